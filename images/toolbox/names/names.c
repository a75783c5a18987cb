/*
 * Tells the programs of the toolbox who a user or group is: by the files that `init` wrote, then by those of the image. The
 * image may have neither the user nor any /etc/passwd, and what its /etc/nsswitch.conf names are libraries for its own C
 * library, which must not be loaded into ours; hosts are looked up in /etc/hosts and by DNS, in this order, whatever it says.
 *
 * Linked to sshd, ssh, bash, git and their like as the first library they need, so it is asked before the C library.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <nss.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

static const char *const USER_FILES[] = {"/run/slipway/passwd", "/etc/passwd"};
static const char *const GROUP_FILES[] = {"/run/slipway/group", "/etc/group"};

int __nss_configure_lookup(const char *database, const char *services);

/* For what we do not answer here ourselves; "files" and "dns" are part of the C library since 2.34. */
__attribute__((constructor)) static void use_no_modules(void) {
  __nss_configure_lookup("hosts", "files dns");
  static const char *const others[] = {"passwd", "group", "shadow", "services", "protocols", "netgroup", "networks"};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) __nss_configure_lookup(others[i], "files");
}

/* The number that a program is told instead of a user's own; sshd.c has another. */
__attribute__((weak)) uid_t told_uid(uid_t uid) { return uid; }

/* By name, or by number where there is none. Returns 0, or an error number; *found is NULL when there is nobody. */
static int find_user(const char *name, uid_t uid, struct passwd *user, char *buffer, size_t size, struct passwd **found) {
  *found = NULL;
  for (int i = 0; i < 2; i++) {
    FILE *file = fopen(USER_FILES[i], "re");
    if (file == NULL) continue;
    int failed;
    while ((failed = fgetpwent_r(file, user, buffer, size, found)) == 0) {
      user->pw_uid = told_uid(user->pw_uid);
      if (name != NULL ? strcmp(user->pw_name, name) == 0 : user->pw_uid == uid) break;
    }
    fclose(file);
    if (failed == 0) return 0;
    *found = NULL;
    if (failed == ERANGE) return failed;
  }
  return 0;
}

static int find_group(const char *name, gid_t gid, struct group *group, char *buffer, size_t size, struct group **found) {
  *found = NULL;
  for (int i = 0; i < 2; i++) {
    FILE *file = fopen(GROUP_FILES[i], "re");
    if (file == NULL) continue;
    int failed;
    while ((failed = fgetgrent_r(file, group, buffer, size, found)) == 0)
      if (name != NULL ? strcmp(group->gr_name, name) == 0 : group->gr_gid == gid) break;
    fclose(file);
    if (failed == 0) return 0;
    *found = NULL;
    if (failed == ERANGE) return failed;
  }
  return 0;
}

int getpwnam_r(const char *name, struct passwd *user, char *buffer, size_t size, struct passwd **found) {
  return find_user(name, 0, user, buffer, size, found);
}

int getpwuid_r(uid_t uid, struct passwd *user, char *buffer, size_t size, struct passwd **found) {
  return find_user(NULL, uid, user, buffer, size, found);
}

int getgrnam_r(const char *name, struct group *group, char *buffer, size_t size, struct group **found) {
  return find_group(name, 0, group, buffer, size, found);
}

int getgrgid_r(gid_t gid, struct group *group, char *buffer, size_t size, struct group **found) {
  return find_group(NULL, gid, group, buffer, size, found);
}

/* Lines longer than these are of nobody we serve. */
static struct passwd one_user;
static char user_text[16384];
static struct group one_group;
static char group_text[65536];

struct passwd *getpwnam(const char *name) {
  struct passwd *found;
  errno = find_user(name, 0, &one_user, user_text, sizeof user_text, &found);
  return found;
}

struct passwd *getpwuid(uid_t uid) {
  struct passwd *found;
  errno = find_user(NULL, uid, &one_user, user_text, sizeof user_text, &found);
  return found;
}

struct group *getgrnam(const char *name) {
  struct group *found;
  errno = find_group(name, 0, &one_group, group_text, sizeof group_text, &found);
  return found;
}

struct group *getgrgid(gid_t gid) {
  struct group *found;
  errno = find_group(NULL, gid, &one_group, group_text, sizeof group_text, &found);
  return found;
}
