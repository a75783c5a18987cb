/*
 * The half-close-server.mjs beside this for environments without node: the same answers, linked to nothing. One thread a
 * connection.  half-close-server PORT|PATH
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { COUNTS_MAX = 1000, ANSWER = 300000 };

static long counts[COUNTS_MAX];
static int count_count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* SHA-256: FIPS 180-4. */
struct sha256 {
  uint32_t state[8];
  uint64_t bytes;
  unsigned char block[64];
};

static uint32_t constant(int at) {
  static uint32_t table[64];
  static const unsigned primes[64] = {2,   3,   5,   7,   11,  13,  17,  19,  23,  29,  31,  37,  41,  43,  47,  53,
                                      59,  61,  67,  71,  73,  79,  83,  89,  97,  101, 103, 107, 109, 113, 127, 131,
                                      137, 139, 149, 151, 157, 163, 167, 173, 179, 181, 191, 193, 197, 199, 211, 223,
                                      227, 229, 233, 239, 241, 251, 257, 263, 269, 271, 277, 281, 283, 293, 307, 311};
  if (table[at] == 0) {
    /* First 32 bits of the fraction of the cube root: the largest whole r with r^3 <= prime * 2^96. */
    unsigned __int128 low = 0, high = (unsigned __int128)7 << 32;
    while (low + 1 < high) {
      unsigned __int128 middle = (low + high) / 2;
      if (middle * middle * middle <= (unsigned __int128)primes[at] << 96) low = middle;
      else high = middle;
    }
    table[at] = (uint32_t)low;
  }
  return table[at];
}

static uint32_t rotate(uint32_t word, int by) { return word >> by | word << (32 - by); }

static void take_block(struct sha256 *sha) {
  uint32_t w[64], s[8];
  for (int i = 0; i < 16; i++) {
    const unsigned char *at = sha->block + 4 * i;
    w[i] = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
  }
  for (int i = 16; i < 64; i++) {
    uint32_t a = w[i - 15], b = w[i - 2];
    w[i] = w[i - 16] + (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) + w[i - 7] + (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
  }
  memcpy(s, sha->state, sizeof s);
  for (int i = 0; i < 64; i++) {
    uint32_t one = s[7] + (rotate(s[4], 6) ^ rotate(s[4], 11) ^ rotate(s[4], 25)) + ((s[4] & s[5]) ^ (~s[4] & s[6])) +
                   constant(i) + w[i];
    uint32_t two = (rotate(s[0], 2) ^ rotate(s[0], 13) ^ rotate(s[0], 22)) +
                   ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
    memmove(s + 1, s, 7 * sizeof *s);
    s[4] += one;
    s[0] = one + two;
  }
  for (int i = 0; i < 8; i++) sha->state[i] += s[i];
}

static void take(struct sha256 *sha, const unsigned char *data, size_t size) {
  for (size_t i = 0; i < size; i++) {
    sha->block[sha->bytes++ % 64] = data[i];
    if (sha->bytes % 64 == 0) take_block(sha);
  }
}

/* Writes the digest in hexadecimal. */
static void finish(struct sha256 *sha, char *hex) {
  uint64_t bits = sha->bytes * 8;
  take(sha, (const unsigned char *)"\x80", 1);
  while (sha->bytes % 64 != 56) take(sha, (const unsigned char *)"", 1);
  for (int shift = 56; shift >= 0; shift -= 8) take(sha, (const unsigned char[]){(unsigned char)(bits >> shift)}, 1);
  for (int i = 0; i < 8; i++) sprintf(hex + 8 * i, "%08x", sha->state[i]);
}

static void send_all(int client, const char *data, size_t size) {
  while (size > 0) {
    ssize_t sent = write(client, data, size);
    if (sent <= 0) return;
    data += sent;
    size -= (size_t)sent;
  }
}

/* Tells the counts and ends our half. */
static void report(int client) {
  char text[COUNTS_MAX * 21 + 4] = "[";
  pthread_mutex_lock(&lock);
  for (int i = 0; i < count_count; i++) sprintf(text + strlen(text), "%s%ld", i == 0 ? "" : ",", counts[i]);
  pthread_mutex_unlock(&lock);
  strcat(text, "]\n");
  send_all(client, text, strlen(text));
  shutdown(client, SHUT_WR);
}

static void *serve(void *argument) {
  int client = (int)(intptr_t)argument;
  static const char answer[ANSWER];
  struct sha256 sha = {.state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab,
                                 0x5be0cd19}};
  unsigned char buffer[65536];
  unsigned char kind = 0;
  ssize_t size;
  while ((size = read(client, buffer, sizeof buffer)) > 0) {
    if (sha.bytes == 0) {
      kind = buffer[0];
      if (kind == 'B') send_all(client, answer, sizeof answer), shutdown(client, SHUT_WR);
      if (kind == 'R') report(client);
    }
    take(&sha, buffer, (size_t)size);
  }
  long bytes = (long)sha.bytes;
  if (kind == 'A' && size == 0) {
    char text[100], hex[65];
    finish(&sha, hex);
    send_all(client, text, (size_t)sprintf(text, "%ld %s\n", bytes, hex));
  }
  if (kind == 'B') {
    pthread_mutex_lock(&lock);
    if (count_count < COUNTS_MAX) counts[count_count++] = size == 0 ? bytes : -1; /* broken */
    pthread_mutex_unlock(&lock);
  }
  close(client);
  return NULL;
}

int main(int count, char **words) {
  if (count != 2) return 2;
  signal(SIGPIPE, SIG_IGN);
  int is_port = words[1][0] != '/';
  int listener = socket(is_port ? AF_INET : AF_UNIX, SOCK_STREAM, 0);
  struct sockaddr_in port = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(words[1]))};
  port.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  struct sockaddr_un path = {.sun_family = AF_UNIX};
  if (!is_port) strncpy(path.sun_path, words[1], sizeof path.sun_path - 1);
  int bound = is_port ? bind(listener, (struct sockaddr *)&port, sizeof port)
                      : bind(listener, (struct sockaddr *)&path, sizeof path);
  for (int at = 0; at < 64; at++) constant(at); /* before threads share the table */
  if (bound != 0 || listen(listener, 128) != 0) return perror("Cannot listen"), 1;
  puts("listening");
  fflush(stdout);
  for (;;) {
    int client = accept(listener, NULL, NULL);
    pthread_t thread;
    if (client >= 0 && pthread_create(&thread, NULL, serve, (void *)(intptr_t)client) == 0) pthread_detach(thread);
  }
}
