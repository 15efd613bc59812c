
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>


#define WIRE_FDS  65536


static SSL  *wire_ssl[WIRE_FDS];        /* of the connections under TLS */


void
wire_die(const char *what)
{
    perror(what);
    exit(1);
}


static void
wire_die_tls(const char *what)
{
    fprintf(stderr, "%s:\n", what);
    ERR_print_errors_fp(stderr);
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


int
wire_connect_tls(int port)
{
    int              fd;
    SSL             *ssl;
    static SSL_CTX  *ctx;

    if (ctx == NULL) {
        ctx = SSL_CTX_new(TLS_client_method());

        if (ctx == NULL) {
            wire_die_tls("SSL_CTX_new()");
        }

        (void) SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
        (void) SSL_CTX_set_mode(ctx, SSL_MODE_AUTO_RETRY);
    }

    fd = wire_connect(port);
    ssl = SSL_new(ctx);

    if (ssl == NULL || fd >= WIRE_FDS || SSL_set_fd(ssl, fd) != 1
        || SSL_connect(ssl) != 1)
    {
        wire_die_tls("SSL_connect()");
    }

    wire_ssl[fd] = ssl;

    return fd;
}


void
wire_send(int fd, const void *p, size_t len)
{
    ssize_t      n;
    const char  *c;

    for (c = p; len; c += n, len -= (size_t) n) {

        if (wire_ssl[fd]) {
            n = SSL_write(wire_ssl[fd], c, (int) len);

            if (n <= 0) {
                wire_die_tls("SSL_write()");
            }

            continue;
        }

        n = send(fd, c, len, MSG_NOSIGNAL);

        if (n == -1) {
            wire_die("send()");
        }
    }
}


size_t
wire_recv(int fd, void *p, size_t len)
{
    ssize_t  n;

    if (wire_ssl[fd]) {
        n = SSL_read(wire_ssl[fd], p, (int) len);

        if (n <= 0) {
            wire_die_tls("SSL_read()");
        }

        return (size_t) n;
    }

    n = recv(fd, p, len, 0);

    if (n <= 0) {
        wire_die("recv()");
    }

    return (size_t) n;
}


/*
 * The socket blocks, so that SSL_write() need not be called twice; a record
 * that has begun to come is waited for.
 */

ssize_t
wire_try(int fd, void *p, size_t len)
{
    char     c;
    ssize_t  n;

    if (wire_ssl[fd]) {

        if (SSL_pending(wire_ssl[fd]) == 0
            && recv(fd, &c, 1, MSG_DONTWAIT|MSG_PEEK) == -1
            && errno == EAGAIN)
        {
            return 0;
        }

        return (ssize_t) wire_recv(fd, p, len);
    }

    n = recv(fd, p, len, MSG_DONTWAIT);

    if (n == -1 && errno == EAGAIN) {
        return 0;
    }

    if (n <= 0) {
        wire_die("recv()");
    }

    return n;
}


/* of an absolute URL the path: it names a host that we are not */

static void
wire_location(const char *p, wire_answer_t *a)
{
    size_t       n;
    const char  *path;

    n = strcspn(p, "\r");
    path = memmem(p, n, "://", 3);

    if (path) {
        path = memchr(path + 3, '/', n - (size_t) (path + 3 - p));
        n = path ? n - (size_t) (path - p) : 0;
        p = path;
    }

    (void) snprintf(a->location, sizeof(a->location), "%.*s", (int) n,
                    n ? p : "");
}


int
wire_head(const char *p, size_t len, wire_answer_t *a)
{
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

    for (line = p; line < end; line += strcspn(line, "\n") + 1) {

        if (strncasecmp(line, "Content-Length: ", 16) == 0) {
            a->length = atoll(line + 16);

        } else if (strncasecmp(line, "Location: ", 10) == 0) {
            wire_location(line + 10, a);
        }
    }

    return 1;
}


void
wire_answer(int fd, wire_answer_t *a)
{
    char     buf[65536];
    size_t   len;
    int64_t  left;

    len = 0;

    do {
        if (len == sizeof(buf)) {
            fprintf(stderr, "so long a head\n");
            exit(1);
        }

        len += wire_recv(fd, buf + len, sizeof(buf) - len);

    } while (!wire_head(buf, len, a));

    left = a->head + a->length - (int64_t) len;

    while (left > 0) {
        left -= (int64_t) wire_recv(fd, buf, sizeof(buf));
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
    size_t          n;
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

    wire_hex(hex, sum, sizeof(sum));

    free(p);
}


void
wire_hex(char *hex, const void *p, size_t len)
{
    size_t                i;
    const unsigned char  *sum;

    sum = p;

    for (i = 0; i < len; i++) {
        (void) sprintf(hex + 2 * i, "%02x", sum[i]);
    }
}


static int
wire_compare(const void *one, const void *two)
{
    double  a, b;

    a = *(const double *) one;
    b = *(const double *) two;

    return (a > b) - (a < b);
}


void
wire_sort(double *p, size_t n)
{
    qsort(p, n, sizeof(double), wire_compare);
}


double
wire_at(const double *sorted, size_t n, double part)
{
    size_t  i;

    i = (size_t) ((double) n * part);

    return sorted[(i < n) ? i : n - 1];
}
