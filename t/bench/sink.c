
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * A plain writer of files that takes a push: what arrives is written, and
 * nothing else is done.  One client at a time.
 *
 * usage: sink FILE plain|hash
 *
 * hash: every byte goes through SHA-256 too.  Prints its port.
 */


#include "wire.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>


#define SINK_BUFFER  (512 * 1024)


static const char     *sink_name;
static int             sink_hash;
static int             sink_file = -1;
static SHA256_CTX      sink_sha;
static char            sink_buf[SINK_BUFFER];


static void
sink_write(const char *p, size_t len)
{
    if (write(sink_file, p, len) != (ssize_t) len) {
        wire_die("write()");
    }

    if (sink_hash) {
        SHA256_Update(&sink_sha, p, len);
    }
}


static void
sink_say(int fd, const char *status)
{
    int   n;
    char  head[256];

    n = snprintf(head, sizeof(head), "HTTP/1.1 %s\r\nContent-Length: 0\r\n"
                 "Location: /upload\r\n\r\n", status);

    wire_send(fd, head, (size_t) n);
}


static void
sink_body(int fd, size_t have, int64_t length)
{
    size_t   n;
    ssize_t  got;

    if (have) {
        sink_write(sink_buf, have);
        length -= (int64_t) have;
    }

    while (length > 0) {
        n = (length < SINK_BUFFER) ? (size_t) length : SINK_BUFFER;

        got = recv(fd, sink_buf, n, 0);
        if (got <= 0) {
            wire_die("recv()");
        }

        sink_write(sink_buf, (size_t) got);
        length -= got;
    }
}


static void
sink_open(void)
{
    sink_file = open(sink_name, O_WRONLY|O_CREAT|O_TRUNC, 0644);
    if (sink_file == -1) {
        wire_die("open()");
    }

    SHA256_Init(&sink_sha);
}


/* 0: the client has left */

static int
sink_request(int fd)
{
    char     *end, *p, method;
    size_t    len, head, have;
    ssize_t   n;
    int64_t   length;

    for (len = 0, end = NULL; end == NULL; len += (size_t) n) {
        n = recv(fd, sink_buf + len, sizeof(sink_buf) - 1 - len, 0);

        if (n <= 0) {
            return 0;
        }

        sink_buf[len + (size_t) n] = '\0';
        end = memmem(sink_buf, len + (size_t) n, "\r\n\r\n", 4);
    }

    head = (size_t) (end + 4 - sink_buf);
    p = strstr(sink_buf, "Content-Length: ");
    length = (p && p < end) ? atoll(p + 16) : 0;
    method = sink_buf[1];               /* pOst, pAtch, pUt, dElete */

    have = len - head;
    memmove(sink_buf, sink_buf + head, have);

    switch (method) {

    case 'O':
        sink_open();
        sink_say(fd, "202 Accepted");
        break;

    case 'A':
        sink_body(fd, have, length);
        sink_say(fd, "202 Accepted");
        break;

    case 'U':
        sink_body(fd, have, length);
        sink_say(fd, length ? "400 Bad Request" : "201 Created");
        break;

    default:
        sink_say(fd, "204 No Content");
    }

    if (method == 'U' || method == 'E') {

        /* nothing of it is left to be written back beside the next run */

        (void) unlink(sink_name);
        (void) close(sink_file);
        sink_file = -1;
    }

    return 1;
}


int
main(int argc, char **argv)
{
    int                 s, fd;
    socklen_t           len;
    struct sockaddr_in  sin;

    if (argc != 3) {
        fprintf(stderr, "usage: sink FILE plain|hash\n");
        return 2;
    }

    sink_name = argv[1];
    sink_hash = (strcmp(argv[2], "hash") == 0);

    s = socket(AF_INET, SOCK_STREAM, 0);

    memset(&sin, 0, sizeof(sin));
    sin.sin_family = AF_INET;
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    len = sizeof(sin);

    if (s == -1 || bind(s, (struct sockaddr *) &sin, len) == -1
        || listen(s, 8) == -1
        || getsockname(s, (struct sockaddr *) &sin, &len) == -1)
    {
        wire_die("listen()");
    }

    printf("%d\n", ntohs(sin.sin_port));
    fflush(stdout);

    for ( ;; ) {
        fd = accept(s, NULL, NULL);

        if (fd == -1) {
            wire_die("accept()");
        }

        while (sink_request(fd)) { /* void */ }

        (void) close(fd);
    }
}
