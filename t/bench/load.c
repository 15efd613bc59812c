
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * GETs of one path over connections that stay open, each asking again as
 * soon as it has its answer.
 *
 * usage: load PORT PATH [KEY=VALUE...]
 *
 *     connections=N    (1)
 *     seconds=T        how long (1), or
 *     count=N          how many answers
 *     status=N         of every answer (200)
 *     part=N size=N    each asks for the next N bytes of SIZE
 *     accept=TYPES     (any)
 *     tls=1            without looking at the certificate
 *
 * A body is dropped unread by the kernel where that can be, so that the
 * client costs next to nothing.  Prints "go" when all connections are there
 * and have had one answer, starts when a line comes in, and prints one line
 * of JSON.
 */


#include "wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>


#define LOAD_CONNECTIONS  1024
#define LOAD_HEAD         8192
#define LOAD_BUFFER       (256 * 1024)


typedef struct {
    int      fd;
    int      open;                      /* a head is awaited */
    int      idle;
    int64_t  left;                      /* of the body */
    double   asked;
    size_t   len;                       /* of the head so far */
    char     head[LOAD_HEAD];
} load_conn_t;


static load_conn_t   load_conn[LOAD_CONNECTIONS];
static char          load_buf[LOAD_BUFFER];
static const char   *load_path;
static const char   *load_accept = "*/*";
static char          load_request[4096];
static size_t        load_request_len;
static int           load_n = 1;
static int           load_tls;
static int           load_status = 200;
static int64_t       load_part, load_size, load_bytes;
static long          load_asked, load_count;
static double        load_seconds = 1, load_until;
static double       *load_took;
static size_t        load_done, load_room;
static int           load_epoll;


static void
load_prepare(void)
{
    int      n;
    char     range[128];
    int64_t  first;

    if (load_request_len && !load_part) {
        return;
    }

    range[0] = '\0';

    if (load_part) {
        first = (load_asked * load_part) % load_size;

        (void) snprintf(range, sizeof(range), "Range: bytes=%lld-%lld\r\n",
                        (long long) first,
                        (long long) (first + load_part - 1));
    }

    n = snprintf(load_request, sizeof(load_request),
                 "GET %s HTTP/1.1\r\nHost: bench\r\nAccept: %s\r\n%s\r\n",
                 load_path, load_accept, range);

    load_request_len = (size_t) n;
}


static void
load_ask(load_conn_t *c)
{
    load_prepare();

    c->len = 0;
    c->left = 0;
    c->open = 1;
    c->idle = 0;
    c->asked = wire_now();
    load_asked++;

    wire_send(c->fd, load_request, load_request_len);
}


static void
load_took_one(double took)
{
    if (load_done == load_room) {
        load_room = load_room ? load_room * 2 : 65536;
        load_took = realloc(load_took, load_room * sizeof(double));

        if (load_took == NULL) {
            wire_die("realloc()");
        }
    }

    load_took[load_done++] = took;
}


/* 1: something came */

static int
load_read_head(load_conn_t *c)
{
    ssize_t        n;
    wire_answer_t  a;

    n = wire_try(c->fd, load_buf, c->len ? LOAD_HEAD - c->len : LOAD_BUFFER);

    if (n == 0) {
        return 0;
    }

    if (c->len == 0 && wire_head(load_buf, (size_t) n, &a)) {
        goto parsed;
    }

    if (c->len + (size_t) n > LOAD_HEAD) {
        fprintf(stderr, "load: so long a head\n");
        exit(1);
    }

    memcpy(c->head + c->len, load_buf, (size_t) n);

    c->len += (size_t) n;
    n = (ssize_t) c->len;

    if (!wire_head(c->head, c->len, &a)) {
        return 1;
    }

parsed:

    if (a.status != load_status) {
        fprintf(stderr, "load: %s: status %d\n", load_path, a.status);
        exit(1);
    }

    c->left = a.length - (n - a.head);
    c->open = 0;
    load_bytes += n - a.head;

    if (c->left < 0) {
        fprintf(stderr, "load: more than the answer\n");
        exit(1);
    }

    return 1;
}


static int
load_read_body(load_conn_t *c)
{
    ssize_t  n;

    if (load_tls) {
        n = wire_try(c->fd, load_buf,
                     c->left < LOAD_BUFFER ? (size_t) c->left : LOAD_BUFFER);

    } else {
        n = recv(c->fd, NULL, (size_t) c->left, MSG_DONTWAIT|MSG_TRUNC);

        if (n <= 0) {
            wire_die("recv() of a body");
        }
    }

    c->left -= n;
    load_bytes += n;

    return n != 0;
}


/* TLS may hold more than the socket says */

static void
load_read(load_conn_t *c)
{
    int  more;

    if (c->idle) {
        (void) epoll_ctl(load_epoll, EPOLL_CTL_DEL, c->fd, NULL);
        return;
    }

    do {
        more = c->open ? load_read_head(c) : load_read_body(c);

    } while (load_tls && more && (c->open || c->left));

    if (c->open || c->left) {
        return;
    }

    load_took_one(wire_now() - c->asked);

    if (load_count ? load_asked < load_count : wire_now() < load_until) {
        load_ask(c);

    } else {
        c->idle = 1;
    }
}


static int
load_ended(void)
{
    return load_count ? load_done >= (size_t) load_count
                      : load_done && wire_now() >= load_until;
}


static void
load_run(void)
{
    int                 i, n;
    struct epoll_event  ready[LOAD_CONNECTIONS];

    for (i = 0; i < load_n && (!load_count || load_asked < load_count); i++) {
        load_ask(&load_conn[i]);
    }

    while (!load_ended()) {

        /* a server that stalls for this long is no server */

        n = epoll_wait(load_epoll, ready, LOAD_CONNECTIONS,
                       (load_count || !load_done) ? 60000 : 100);

        if (n == -1 || (n == 0 && (load_count || !load_done))) {
            fprintf(stderr, "load: %s: no answer\n", load_path);
            exit(1);
        }

        for (i = 0; i < n; i++) {
            load_read(&load_conn[ready[i].data.u32]);
        }
    }
}


/* The first answer of each connection, unmeasured. */

static void
load_warm(void)
{
    int            i;
    wire_answer_t  a;

    for (i = 0; i < load_n; i++) {
        load_prepare();
        load_asked++;
        wire_send(load_conn[i].fd, load_request, load_request_len);
        wire_answer(load_conn[i].fd, &a);

        if (a.status != load_status) {
            fprintf(stderr, "load: %s: status %d\n", load_path, a.status);
            exit(1);
        }
    }

    load_asked = 0;
}


static void
load_arg(const char *arg)
{
    const char  *v;

    v = strchr(arg, '=');
    v = v ? v + 1 : "";

    if (strncmp(arg, "connections=", 12) == 0) {
        load_n = atoi(v);

    } else if (strncmp(arg, "seconds=", 8) == 0) {
        load_seconds = atof(v);

    } else if (strncmp(arg, "count=", 6) == 0) {
        load_count = atol(v);

    } else if (strncmp(arg, "status=", 7) == 0) {
        load_status = atoi(v);

    } else if (strncmp(arg, "part=", 5) == 0) {
        load_part = atoll(v);
        load_status = 206;

    } else if (strncmp(arg, "size=", 5) == 0) {
        load_size = atoll(v);

    } else if (strncmp(arg, "accept=", 7) == 0) {
        load_accept = v;

    } else if (strcmp(arg, "tls=1") == 0) {
        load_tls = 1;

    } else {
        fprintf(stderr, "load: %s?\n", arg);
        exit(2);
    }
}


int
main(int argc, char **argv)
{
    int                 i;
    char                line[64];
    double              start, seconds;
    struct epoll_event  ev;

    if (argc < 3) {
        fprintf(stderr, "usage: load PORT PATH [KEY=VALUE...]\n");
        return 2;
    }

    load_path = argv[2];

    for (i = 3; i < argc; i++) {
        load_arg(argv[i]);
    }

    load_epoll = epoll_create1(0);

    if (load_n < 1 || load_n > LOAD_CONNECTIONS || load_epoll == -1
        || (load_part && load_size < load_part))
    {
        fprintf(stderr, "load: nothing to do\n");
        return 2;
    }

    for (i = 0; i < load_n; i++) {
        load_conn[i].fd = load_tls ? wire_connect_tls(atoi(argv[1]))
                                   : wire_connect(atoi(argv[1]));

        ev.events = EPOLLIN;
        ev.data.u64 = 0;
        ev.data.u32 = (uint32_t) i;

        if (epoll_ctl(load_epoll, EPOLL_CTL_ADD, load_conn[i].fd, &ev)
            == -1)
        {
            wire_die("epoll_ctl()");
        }
    }

    load_warm();

    printf("go\n");
    fflush(stdout);

    if (fgets(line, sizeof(line), stdin) == NULL) {
        return 1;
    }

    start = wire_now();
    load_until = start + load_seconds;

    load_run();

    seconds = wire_now() - start;

    wire_sort(load_took, load_done);

    printf("{\"count\": %zu, \"bytes\": %lld, \"seconds\": %.6f, "
           "\"p50\": %.9f, \"p99\": %.9f}\n",
           load_done, (long long) load_bytes, seconds,
           wire_at(load_took, load_done, 0.5),
           wire_at(load_took, load_done, 0.99));

    return 0;
}
