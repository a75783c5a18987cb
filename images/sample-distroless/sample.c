/* Answers every HTTP request with one file:  sample FILE  Listens at PORT, 8080 without one. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN);
  static char page[65536];
  FILE *file = argc > 1 ? fopen(argv[1], "r") : NULL;
  size_t bytes = file == NULL ? 0 : fread(page, 1, sizeof page, file);
  const char *port = getenv("PORT");
  struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(port == NULL ? 8080 : (in_port_t)atoi(port))};
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  int yes = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(listener, (struct sockaddr *)&here, sizeof here) != 0 || listen(listener, 16) != 0) {
    perror("Cannot listen");
    return 1;
  }
  for (;;) {
    int client = accept(listener, NULL, NULL);
    if (client < 0) continue;
    char request[4096];
    if (read(client, request, sizeof request) > 0) {
      dprintf(client, "HTTP/1.0 200 OK\r\nContent-Type: text/html\r\nContent-Length: %zu\r\n\r\n", bytes);
      if (write(client, page, bytes) < 0) perror("Cannot answer");
    }
    close(client);
  }
}
