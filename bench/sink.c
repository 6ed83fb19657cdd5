/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server behind the origin that takes uploads: reads each content to its end, then answers.
 * Plain HTTP/1.1, one connection after the other in a process of its own each. Usage: sink PORT
 */
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/* One request. 0 served, -1 the connection is over. */
static int request_serve(int fd)
{
    static char bytes[256 * 1024];
    const char *field;
    const char *end = NULL;
    size_t len = 0;
    unsigned long long left = 0;

    while (end == NULL) {
        ssize_t got = recv(fd, bytes + len, sizeof bytes - 1 - len, 0);

        if (got <= 0)
            return -1;
        len += (size_t)got;
        bytes[len] = '\0';
        end = memmem(bytes, len, "\r\n\r\n", 4);
    }
    field = strcasestr(bytes, "\r\ncontent-length:");
    if (field != NULL && field < end)
        left = strtoull(field + strlen("\r\ncontent-length:"), NULL, 10);
    left -= len - (size_t)(end + 4 - bytes);
    while (left > 0) {
        ssize_t got = recv(fd, bytes, left < sizeof bytes ? (size_t)left : sizeof bytes, 0);

        if (got <= 0)
            return -1;
        left -= (unsigned long long)got;
    }
    return send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    const int one = 1;

    if (argc != 2 || listener < 0)
        return 2;
    address.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));
    (void)signal(SIGCHLD, SIG_IGN);
    (void)setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (const struct sockaddr *)&address, sizeof address) < 0 ||
        listen(listener, 64) < 0) {
        perror("sink");
        return 1;
    }
    for (;;) {
        int fd = accept(listener, NULL, NULL);

        if (fd >= 0 && fork() == 0) {
            while (request_serve(fd) == 0)
                ;
            _exit(0);
        }
        (void)close(fd);
    }
}
