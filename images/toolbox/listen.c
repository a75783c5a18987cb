/*
 * Takes one connection over TCP for a program that serves its standard input and output: `listen ADDRESS PROGRAM ARG…`.
 *
 * Whoever started us is believed, and says by SLIPWAY_TOKEN which connection is meant: the one that begins with these 32
 * characters. Anybody who reaches the address may knock, so that is bounded: a second for each, five at once, five seconds in
 * all. The token opens nothing; it keeps others from using up the one connection there is.
 *
 * Says `port N` on standard output. A line `here` on standard input, before that connection is there, has the program serve
 * our own standard input and output in its stead. The end of standard input ends the connection, however alive that is.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TOKEN_SIZE = 32, KNOCKING_MAX = 5, KNOCK_MS = 1000, ALL_MS = 5000 };

/* A connection that has not shown the token yet; `socket` is -1 where there is none. */
struct knock {
  int socket;
  long since;
  size_t count;
  char text[TOKEN_SIZE];
};

static void fail(const char *why) {
  fprintf(stderr, "Cannot take a connection: %s\n", why);
  exit(1);
}

static long now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* On a free port of the address alone. */
static int listen_on(const char *address) {
  union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
  } at = {0};
  socklen_t size;
  if (inet_pton(AF_INET, address, &at.v4.sin_addr) == 1) {
    at.v4.sin_family = AF_INET;
    size = sizeof at.v4;
  } else if (inet_pton(AF_INET6, address, &at.v6.sin6_addr) == 1) {
    at.v6.sin6_family = AF_INET6;
    size = sizeof at.v6;
  } else {
    fail("needs an address");
  }
  int listener = socket(at.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listener < 0 || bind(listener, &at.any, size) != 0 || listen(listener, KNOCKING_MAX) != 0 ||
      getsockname(listener, &at.any, &size) != 0)
    fail(strerror(errno));
  /* Both have the port in the same place: RFC 3493 section 3.3. */
  if (dprintf(STDOUT_FILENO, "port %u\n", ntohs(at.v4.sin_port)) < 0) fail(strerror(errno));
  return listener;
}

/* Whether the line is whole. By single bytes: what follows it is the program's. */
static int take_word(char *word, size_t *count) {
  static const char expected[] = "here\n";
  ssize_t got = read(STDIN_FILENO, word + *count, 1);
  if (got == 0) exit(0); /* nobody wants it any more */
  if (got < 0) fail(strerror(errno));
  if (word[*count] != expected[*count]) fail("a line on standard input that is not \"here\"");
  *count += 1;
  return *count == sizeof expected - 1;
}

static void drop(struct knock *knock) {
  close(knock->socket);
  knock->socket = -1;
}

/* Whether it is the one; drops it when it is not. */
static int take_token(struct knock *knock, const char *token) {
  ssize_t got = read(knock->socket, knock->text + knock->count, TOKEN_SIZE - knock->count);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
  if (got > 0) knock->count += (size_t)got;
  if (got > 0 && knock->count < TOKEN_SIZE) return 0;
  unsigned differs = got <= 0;
  for (size_t i = 0; i < knock->count; i++) differs |= (unsigned char)(knock->text[i] ^ token[i]);
  if (!differs) return 1;
  drop(knock);
  return 0;
}

/* Returns the connection that is meant, or -1 when it is to be here. */
static int take_one(int listener, const char *token) {
  struct knock knocks[KNOCKING_MAX];
  for (int i = 0; i < KNOCKING_MAX; i++) knocks[i].socket = -1;
  char word[8];
  size_t word_count = 0;
  long end = now_ms() + ALL_MS;
  for (long now = now_ms(); now < end; now = now_ms()) {
    struct pollfd polled[KNOCKING_MAX + 2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = -1, .events = POLLIN}};
    long next = end;
    for (int i = 0; i < KNOCKING_MAX; i++) {
      struct knock *knock = &knocks[i];
      if (knock->socket >= 0 && now - knock->since >= KNOCK_MS) drop(knock);
      if (knock->socket < 0) polled[1].fd = listener; /* there is room */
      else if (knock->since + KNOCK_MS < next) next = knock->since + KNOCK_MS;
      polled[i + 2] = (struct pollfd){.fd = knock->socket, .events = POLLIN};
    }
    if (poll(polled, KNOCKING_MAX + 2, (int)(next - now)) < 0 && errno != EINTR) fail(strerror(errno));
    if (polled[0].revents != 0 && take_word(word, &word_count)) return -1;
    for (int i = 0; i < KNOCKING_MAX; i++) {
      if (polled[i + 2].revents == 0 || !take_token(&knocks[i], token)) continue;
      for (int other = 0; other < KNOCKING_MAX; other++)
        if (other != i && knocks[other].socket >= 0) drop(&knocks[other]);
      return knocks[i].socket;
    }
    if (polled[1].revents == 0) continue;
    int taken = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    for (int i = 0; taken >= 0 && i < KNOCKING_MAX; i++) {
      if (knocks[i].socket >= 0) continue;
      knocks[i] = (struct knock){.socket = taken, .since = now_ms()};
      break;
    }
  }
  fail("nobody with the token came within 5 s");
  return -1;
}

static void run(char *const words[]) {
  execv(words[0], words);
  fail(strerror(errno));
}

static void on_child(int number) { (void)number; }

/* Has the program serve the connection until either ends, and exits as it does. */
static void serve(int connection, char *const words[]) {
  sigset_t child, before;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_BLOCK, &child, &before);
  signal(SIGCHLD, on_child);
  pid_t pid = fork();
  if (pid < 0) fail(strerror(errno));
  if (pid == 0) {
    signal(SIGCHLD, SIG_DFL);
    sigprocmask(SIG_SETMASK, &before, NULL);
    dup2(connection, STDIN_FILENO);
    dup2(connection, STDOUT_FILENO);
    run(words);
  }
  sigdelset(&before, SIGCHLD);
  struct pollfd line = {.fd = STDIN_FILENO, .events = POLLIN};
  int status;
  while (waitpid(pid, &status, WNOHANG) == 0) {
    if (ppoll(&line, 1, NULL, &before) <= 0 || line.revents == 0) continue;
    char ignored[64];
    if (read(STDIN_FILENO, ignored, sizeof ignored) > 0) continue;
    shutdown(connection, SHUT_RDWR); /* the program sees its end */
    line.fd = -1;
  }
  exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

int main(int count, char *words[]) {
  const char *given = getenv("SLIPWAY_TOKEN");
  if (count < 3 || given == NULL || strlen(given) != TOKEN_SIZE) fail("needs an address, a program and a token");
  char token[TOKEN_SIZE];
  memcpy(token, given, TOKEN_SIZE);
  unsetenv("SLIPWAY_TOKEN");
  int listener = listen_on(words[1]);
  int connection = take_one(listener, token);
  close(listener);
  if (connection < 0) run(words + 2);
  /* A program expects one that it can wait on; small answers must not wait for each other. */
  int now = 0, one = 1;
  if (ioctl(connection, FIONBIO, &now) != 0 || setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0)
    fail(strerror(errno));
  serve(connection, words + 2);
}
