
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "wire.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>


void
wire_die(const char *what)
{
    perror(what);
    exit(1);
}


double
wire_now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}


double
wire_cpu(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);

    return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}


void
wire_sleep_until(double t)
{
    struct timespec  ts;

    ts.tv_sec = (time_t) t;
    ts.tv_nsec = (long) ((t - (double) ts.tv_sec) * 1e9);

    (void) clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}


int
wire_connect(int port)
{
    int                 fd, one;
    struct sockaddr_in  sin;

    fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd == -1) {
        wire_die("socket()");
    }

    memset(&sin, 0, sizeof(sin));
    sin.sin_family = AF_INET;
    sin.sin_port = htons((uint16_t) port);
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    if (connect(fd, (struct sockaddr *) &sin, sizeof(sin)) == -1) {
        wire_die("connect()");
    }

    one = 1;
    (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));

    return fd;
}


void
wire_send(int fd, const void *p, size_t len)
{
    ssize_t      n;
    const char  *c;

    for (c = p; len; c += n, len -= (size_t) n) {
        n = send(fd, c, len, MSG_NOSIGNAL);

        if (n == -1) {
            wire_die("send()");
        }
    }
}


int
wire_head(const char *p, size_t len, wire_answer_t *a)
{
    size_t       n;
    const char  *end, *line;

    end = memmem(p, len, "\r\n\r\n", 4);
    if (end == NULL) {
        return 0;
    }

    if (len < 12 || memcmp(p, "HTTP/1.1 ", 9) != 0) {
        fprintf(stderr, "not an answer: %.40s\n", p);
        exit(1);
    }

    a->status = atoi(p + 9);
    a->head = end + 4 - p;
    a->length = 0;
    a->location[0] = '\0';

    for (line = p; line < end; line++) {

        if (strncasecmp(line, "\r\nContent-Length: ", 18) == 0) {
            a->length = atoll(line + 18);

        } else if (strncasecmp(line, "\r\nLocation: ", 12) == 0) {
            n = strcspn(line + 12, "\r");
            (void) snprintf(a->location, sizeof(a->location), "%.*s",
                            (int) n, line + 12);
        }
    }

    return 1;
}


void
wire_answer(int fd, wire_answer_t *a)
{
    char     buf[65536];
    size_t   len;
    ssize_t  n;
    int64_t  left;

    len = 0;

    do {
        n = recv(fd, buf + len, sizeof(buf) - len, 0);

        if (n <= 0) {
            wire_die("recv() of an answer");
        }

        len += (size_t) n;

    } while (!wire_head(buf, len, a));

    for (left = a->head + a->length - (int64_t) len; left > 0; left -= n) {
        n = recv(fd, buf, sizeof(buf), 0);

        if (n <= 0) {
            wire_die("recv() of a body");
        }
    }
}


unsigned char *
wire_pattern(void)
{
    size_t          i;
    uint64_t        x;
    unsigned char  *p;

    p = malloc(WIRE_PATTERN);
    if (p == NULL) {
        wire_die("malloc()");
    }

    x = 88172645463325252ULL;

    for (i = 0; i < WIRE_PATTERN; i += sizeof(x)) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        memcpy(p + i, &x, sizeof(x));
    }

    return p;
}


void
wire_digest(char *hex, int64_t total)
{
    size_t          i, n;
    int64_t         left;
    SHA256_CTX      sha;
    unsigned char  *p, sum[SHA256_DIGEST_LENGTH];

    p = wire_pattern();

    SHA256_Init(&sha);

    for (left = total; left > 0; left -= (int64_t) n) {
        n = (left < WIRE_PATTERN) ? (size_t) left : WIRE_PATTERN;
        SHA256_Update(&sha, p, n);
    }

    SHA256_Final(sum, &sha);

    for (i = 0; i < sizeof(sum); i++) {
        (void) sprintf(hex + 2 * i, "%02x", sum[i]);
    }

    free(p);
}
