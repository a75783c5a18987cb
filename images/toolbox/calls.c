/*
 * Carries calls out of a container: `calls serve SOCKET` takes them for the service, `calls ask SOCKET` makes one.
 *
 * `serve` is spoken to over its standard streams. It takes one caller after another: what a caller says until it closes its
 * side, at most 4 KiB and within a second, becomes a line of hexadecimal digits on standard output; a line of them on standard
 * input, maybe empty, is what the caller is answered. It ends with its input, and its socket with it. Only the user that we
 * run as may call; who that is may say anything, so nobody waits for long and nothing is kept.
 *
 * `ask` sends its input and prints the answer, whole or not at all. The service may be about to come back: it is waited for.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* ANSWER_MAX and QUESTION_MAX are those of the service; it takes up to 10 s for each call. */
enum { QUESTION_MAX = 4096, ANSWER_MAX = 65536, SAY_MS = 1000, HERE_MS = 3000, LOOK_MS = 20, WAIT_S = 12, WAITING_MAX = 8 };

static const char *path;
/* Of the socket that we have made; another may have taken its place. */
static struct stat made;

static void end(int code) {
  struct stat now;
  if (made.st_ino != 0 && lstat(path, &now) == 0 && now.st_dev == made.st_dev && now.st_ino == made.st_ino) unlink(path);
  exit(code);
}

static void fail(const char *why) {
  fprintf(stderr, "Cannot carry calls: %s\n", why);
  end(1);
}

static long now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void write_all(const char *text, size_t count) {
  while (count > 0) {
    ssize_t put = write(STDOUT_FILENO, text, count);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) fail(strerror(errno));
    text += put;
    count -= (size_t)put;
  }
}

static struct sockaddr_un address(void) {
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof at.sun_path) fail("the socket's path is too long");
  strcpy(at.sun_path, path);
  return at;
}

/* Of this user alone, in the place of one that was left. */
static int listen_here(void) {
  struct sockaddr_un at = address();
  umask(0177);
  unlink(path);
  int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listener < 0 || bind(listener, (struct sockaddr *)&at, sizeof at) != 0 || lstat(path, &made) != 0 ||
      listen(listener, WAITING_MAX) != 0)
    fail(strerror(errno));
  return listener;
}

/* Between answers there is nothing to be read but the end. */
static void check_input(void) {
  char stray;
  ssize_t got = read(STDIN_FILENO, &stray, 1);
  if (got == 0) end(0);
  if (got > 0) fail("an answer on standard input that nobody waits for");
  if (errno != EINTR && errno != EAGAIN) fail(strerror(errno));
}

/* Waits until `socket` has something, at most until `until`, unless that is negative. */
static int await(int socket, long until) {
  for (;;) {
    struct pollfd polled[] = {{.fd = socket, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
    long left = until < 0 ? -1 : until - now_ms();
    if (until >= 0 && left <= 0) return 0;
    if (poll(polled, 2, (int)left) < 0 && errno != EINTR) fail(strerror(errno));
    if (polled[1].revents != 0) check_input();
    if (polled[0].revents != 0) return 1;
  }
}

/* Returns the number of bytes that a caller says; 0 for one that says nothing, too much or not all of it in time. */
static size_t take_question(int caller, char *question) {
  size_t count = 0;
  long until = now_ms() + SAY_MS;
  while (await(caller, until)) {
    char byte_beyond;
    int is_full = count == QUESTION_MAX;
    ssize_t got = read(caller, is_full ? &byte_beyond : question + count, is_full ? 1 : QUESTION_MAX - count);
    if (got == 0) return count;
    if (got < 0 && errno != EAGAIN && errno != EINTR) return 0;
    if (got > 0 && is_full) return 0;
    if (got > 0) count += (size_t)got;
  }
  return 0;
}

static void tell_question(const char *question, size_t count) {
  static const char digits[] = "0123456789abcdef";
  static char line[2 * QUESTION_MAX + 1];
  for (size_t i = 0; i < count; i++) {
    line[2 * i] = digits[(unsigned char)question[i] >> 4];
    line[2 * i + 1] = digits[question[i] & 15];
  }
  line[2 * count] = '\n';
  write_all(line, 2 * count + 1);
}

static unsigned digit(char letter) {
  if (letter >= '0' && letter <= '9') return (unsigned)(letter - '0');
  if (letter >= 'a' && letter <= 'f') return (unsigned)(letter - 'a' + 10);
  fail("an answer that is not hexadecimal");
  return 0;
}

/* Returns the number of its bytes. */
static size_t take_answer(char *answer) {
  static char line[2 * ANSWER_MAX + 1];
  size_t count = 0;
  while (count == 0 || line[count - 1] != '\n') {
    if (count == sizeof line) fail("an answer that is too long");
    ssize_t got = read(STDIN_FILENO, line + count, sizeof line - count);
    if (got == 0) end(0);
    if (got < 0 && errno != EINTR && errno != EAGAIN) fail(strerror(errno));
    if (got > 0) count += (size_t)got;
  }
  count -= 1;
  if (count % 2 != 0) fail("an answer that is not hexadecimal");
  for (size_t i = 0; i < count / 2; i++) answer[i] = (char)(digit(line[2 * i]) << 4 | digit(line[2 * i + 1]));
  return count / 2;
}

/* Gives up one that does not listen. */
static void tell_answer(int caller, const char *answer, size_t count) {
  long until = now_ms() + SAY_MS;
  while (count > 0) {
    ssize_t put = send(caller, answer, count, MSG_NOSIGNAL);
    if (put > 0) {
      answer += put;
      count -= (size_t)put;
      continue;
    }
    if (put < 0 && errno != EAGAIN && errno != EINTR) return;
    struct pollfd polled = {.fd = caller, .events = POLLOUT};
    long left = until - now_ms();
    if (left <= 0 || poll(&polled, 1, (int)left) == 0) return;
  }
}

static void serve(void) {
  static char question[QUESTION_MAX], answer[ANSWER_MAX];
  int listener = listen_here();
  for (;;) {
    await(listener, -1);
    int caller = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (caller < 0) continue; /* it has gone again */
    size_t count = take_question(caller, question);
    if (count > 0) {
      tell_question(question, count);
      tell_answer(caller, answer, take_answer(answer));
    }
    close(caller);
  }
}

static int call(void) {
  struct sockaddr_un at = address();
  struct timeval wait = {.tv_sec = WAIT_S};
  for (long until = now_ms() + HERE_MS;;) {
    int service = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (service < 0 || setsockopt(service, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait) != 0 ||
        setsockopt(service, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) != 0)
      fail(strerror(errno));
    if (connect(service, (struct sockaddr *)&at, sizeof at) == 0) return service;
    if ((errno != ENOENT && errno != ECONNREFUSED) || now_ms() >= until) fail(strerror(errno));
    close(service);
    usleep(LOOK_MS * 1000);
  }
}

static void ask(void) {
  static char text[ANSWER_MAX + 1];
  int service = call();
  ssize_t got;
  while ((got = read(STDIN_FILENO, text, QUESTION_MAX)) > 0)
    for (ssize_t put, done = 0; done < got; done += put)
      if ((put = send(service, text + done, (size_t)(got - done), MSG_NOSIGNAL)) <= 0) fail("the service hung up");
  shutdown(service, SHUT_WR);
  size_t count = 0;
  while ((got = read(service, text + count, sizeof text - count)) > 0) count += (size_t)got;
  if (got < 0) fail("the service hung up, or does not answer");
  if (count > ANSWER_MAX) fail("an answer that is too long");
  write_all(text, count);
}

int main(int count, char *words[]) {
  path = count == 3 ? words[2] : "";
  signal(SIGPIPE, SIG_IGN);
  if (count == 3 && strcmp(words[1], "serve") == 0) serve();
  if (count != 3 || strcmp(words[1], "ask") != 0) fail("needs \"serve\" or \"ask\", and a socket");
  ask();
  return 0;
}
