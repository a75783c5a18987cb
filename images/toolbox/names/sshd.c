/*
 * Lets sshd serve the one user it runs as, whoever that is: beside names.c in the library of sshd alone; nothing of it
 * reaches what sshd starts.
 *
 * As user 0 sshd would change its root folder and its groups, for which a container has no capabilities, or should not need
 * them. Told that it is another it does without, as for any ordinary user; the kernel knows better, and so sessions have
 * what rights the container's user 0 has, no less and no more.
 */
#define _GNU_SOURCE
#include <shadow.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

/* Debian's nobody: any but 0 would do. */
static const uid_t NOT_ROOT = 65534;

uid_t told_uid(uid_t uid) { return uid == 0 ? NOT_ROOT : uid; }

uid_t getuid(void) { return told_uid((uid_t)syscall(SYS_getuid)); }

uid_t geteuid(void) { return told_uid((uid_t)syscall(SYS_geteuid)); }

/* Of terminals: one that user 0 opened is its own already, and must not become another's. */
int chown(const char *path, uid_t uid, gid_t gid) {
  if (syscall(SYS_getuid) == 0) return 0;
  return (int)syscall(SYS_fchownat, -100 /* AT_FDCWD */, path, uid, gid, 0);
}

/* A locked password of the image's root is not about keys that the gateway proves. */
struct spwd *getspnam(const char *name) {
  (void)name;
  return NULL;
}
