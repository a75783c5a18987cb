/* A client by libssh: runs a command with input, keeps its streams apart, reads a file by SFTP, opens a forward.
   libssh-client HOST PORT USER KEYFILE SHA256-OF-HOST-KEY-IN-HEX FORWARD-PORT
   Prints one line for each thing seen; exits with 1 and a line on standard error when something fails. */
#include <fcntl.h>
#include <libssh/libssh.h>
#include <libssh/sftp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static ssh_session session;

static void must(int holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "%s: %s\n", what, ssh_get_error(session));
  exit(1);
}

static void check_host(const char *wanted) {
  ssh_key key;
  unsigned char *hash;
  size_t length;
  char hex[65];
  must(ssh_get_server_publickey(session, &key) == SSH_OK, "host key");
  must(ssh_get_publickey_hash(key, SSH_PUBLICKEY_HASH_SHA256, &hash, &length) == 0, "hash");
  for (size_t at = 0; at < length; at++) snprintf(hex + 2 * at, 3, "%02x", hash[at]);
  must(strcmp(hex, wanted) == 0, "another host key");
  ssh_clean_pubkey_hash(&hash);
  ssh_key_free(key);
}

static void run_command(void) {
  char buffer[65536];
  long out = 0, err = 0;
  int got;
  ssh_channel channel = ssh_channel_new(session);
  must(ssh_channel_open_session(channel) == SSH_OK, "session");
  must(ssh_channel_request_env(channel, "FROM_LIBSSH", "yes") == SSH_OK, "env");
  must(ssh_channel_request_exec(channel, "cat; cat /dev/zero | head -c 3000000 >&2; test $FROM_LIBSSH = yes; exit $((40 + $?))") == SSH_OK, "exec");
  memset(buffer, 'x', sizeof buffer);
  for (int at = 0; at < 20; at++) must(ssh_channel_write(channel, buffer, 50000) == 50000, "write");
  must(ssh_channel_send_eof(channel) == SSH_OK, "eof");
  while (!ssh_channel_is_eof(channel)) {
    while ((got = ssh_channel_read_nonblocking(channel, buffer, sizeof buffer, 0)) > 0) out += got;
    while ((got = ssh_channel_read_nonblocking(channel, buffer, sizeof buffer, 1)) > 0) err += got;
    ssh_channel_poll_timeout(channel, 50, 0);
  }
  while ((got = ssh_channel_read(channel, buffer, sizeof buffer, 0)) > 0) out += got;
  while ((got = ssh_channel_read(channel, buffer, sizeof buffer, 1)) > 0) err += got;
  printf("exec %ld %ld %d\n", out, err, ssh_channel_get_exit_status(channel));
  ssh_channel_close(channel);
  ssh_channel_free(channel);
}

static void move_file(void) {
  char back[6] = "";
  sftp_session sftp = sftp_new(session);
  must(sftp != NULL && sftp_init(sftp) == SSH_OK, "sftp");
  sftp_file file = sftp_open(sftp, "/tmp/by-libssh", O_WRONLY | O_CREAT | O_TRUNC, 0600);
  must(file != NULL && sftp_write(file, "hello", 5) == 5, "sftp write");
  sftp_close(file);
  file = sftp_open(sftp, "/tmp/by-libssh", O_RDONLY, 0);
  must(file != NULL && sftp_read(file, back, 5) == 5, "sftp read");
  sftp_close(file);
  printf("sftp %s\n", back);
  sftp_free(sftp);
}

static void forward(int port) {
  char answer[256] = "";
  ssh_channel channel = ssh_channel_new(session);
  must(ssh_channel_open_forward(channel, "localhost", port, "127.0.0.1", 1) == SSH_OK, "forward");
  must(ssh_channel_write(channel, "Axyz", 4) == 4, "forward write");
  must(ssh_channel_send_eof(channel) == SSH_OK, "forward eof");
  int got = 0, more;
  while ((more = ssh_channel_read(channel, answer + got, (uint32_t)(sizeof answer - 1 - got), 0)) > 0) got += more;
  printf("forward %.1s\n", answer);
  ssh_channel_free(channel);
}

int main(int count, char **words) {
  must(count == 7, "usage");
  unsigned int port = (unsigned int)atoi(words[2]);
  ssh_key key;
  session = ssh_new();
  ssh_options_set(session, SSH_OPTIONS_HOST, words[1]);
  ssh_options_set(session, SSH_OPTIONS_PORT, &port);
  ssh_options_set(session, SSH_OPTIONS_USER, words[3]);
  must(ssh_connect(session) == SSH_OK, "connect");
  check_host(words[5]);
  must(ssh_pki_import_privkey_file(words[4], NULL, NULL, NULL, &key) == SSH_OK, "key");
  must(ssh_userauth_publickey(session, NULL, key) == SSH_AUTH_SUCCESS, "authentication");
  run_command();
  move_file();
  forward(atoi(words[6]));
  ssh_disconnect(session);
  ssh_free(session);
  return 0;
}
