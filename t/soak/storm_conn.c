
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * The connections of a storm: requests go out several at once, and what was
 * not answered when a connection ends is told.
 */


#include "storm.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>


#define STORM_IN  (256 * 1024)


struct storm_conn_s {
    int           fd;
    int           instance;
    pid_t         worker;               /* 0: not known yet */

    storm_req_t  *queue[STORM_DEPTH];
    unsigned      first;
    unsigned      n;

    char         *out;
    size_t        out_len;
    size_t        out_sent;
    size_t        out_size;
    int           blocked;

    char         *in;
    size_t        in_len;
};


static storm_conn_t  storm_conns[STORM_CONNS];
static unsigned      storm_nconns;
static int           storm_ports[STORM_INSTANCES];
static int           storm_epoll = -1;
static uint64_t      storm_connects;
static uint64_t      storm_lost_count;
static pid_t         storm_seen[65536];
static unsigned      storm_nseen;


static void
storm_conn_open(storm_conn_t *c)
{
    int                 one;
    struct sockaddr_in  sin;
    struct epoll_event  ee;

    c->fd = socket(AF_INET, SOCK_STREAM|SOCK_CLOEXEC, 0);

    if (c->fd == -1) {
        storm_fail("socket(): %s", strerror(errno));
    }

    memset(&sin, 0, sizeof(sin));
    sin.sin_family = AF_INET;
    sin.sin_port = htons((uint16_t) storm_ports[c->instance]);
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    if (connect(c->fd, (struct sockaddr *) &sin, sizeof(sin)) == -1) {
        storm_fail("connect() to %d: %s", storm_ports[c->instance],
                   strerror(errno));
    }

    one = 1;
    (void) setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));

    memset(&ee, 0, sizeof(ee));
    ee.events = EPOLLIN;
    ee.data.ptr = c;

    if (epoll_ctl(storm_epoll, EPOLL_CTL_ADD, c->fd, &ee) == -1) {
        storm_fail("epoll_ctl(): %s", strerror(errno));
    }

    c->worker = 0;
    c->first = 0;
    c->n = 0;
    c->out_len = 0;
    c->out_sent = 0;
    c->blocked = 0;
    c->in_len = 0;

    storm_connects++;
}


void
storm_conn_init(const int *ports, unsigned n)
{
    unsigned       i;
    storm_conn_t  *c;

    memcpy(storm_ports, ports, sizeof(storm_ports));

    storm_epoll = epoll_create1(EPOLL_CLOEXEC);
    if (storm_epoll == -1) {
        storm_fail("epoll_create1(): %s", strerror(errno));
    }

    storm_nconns = n;

    for (i = 0; i < n; i++) {
        c = &storm_conns[i];

        c->instance = (i % 3 == 2);
        c->in = malloc(STORM_IN);

        if (c->in == NULL) {
            storm_fail("malloc()");
        }

        storm_conn_open(c);
    }
}


unsigned
storm_conn_count(void)
{
    return storm_nconns;
}


storm_conn_t *
storm_conn_at(unsigned i)
{
    return &storm_conns[i];
}


unsigned
storm_conn_load(const storm_conn_t *c)
{
    return c->n;
}


int
storm_conn_instance(const storm_conn_t *c)
{
    return c->instance;
}


storm_conn_t *
storm_conn_other(int instance, pid_t worker)
{
    unsigned       i, at;
    storm_conn_t  *c, *any;

    at = (unsigned) (storm_random() % storm_nconns);
    any = NULL;

    for (i = 0; i < storm_nconns; i++) {
        c = &storm_conns[(at + i) % storm_nconns];

        if (c->instance != instance || c->n == STORM_DEPTH) {
            continue;
        }

        if (c->worker != 0 && c->worker != worker) {
            return c;
        }

        any = c;
    }

    if (any == NULL) {
        storm_fail("no connection is free");
    }

    return any;
}


void
storm_conn_send(storm_conn_t *c, storm_req_t *rq, const char *p, size_t len,
    const char *body, size_t body_len)
{
    size_t  need;

    need = c->out_len + len + body_len;

    if (need > c->out_size) {
        c->out_size = 2 * need;
        c->out = realloc(c->out, c->out_size);

        if (c->out == NULL) {
            storm_fail("realloc()");
        }
    }

    memcpy(c->out + c->out_len, p, len);
    c->out_len += len;

    if (body_len) {
        memcpy(c->out + c->out_len, body, body_len);
        c->out_len += body_len;
    }

    rq->sent = storm_now();

    c->queue[(c->first + c->n++) % STORM_DEPTH] = rq;
}


static void
storm_conn_lose(storm_conn_t *c)
{
    unsigned      i, n;
    storm_req_t  *lost[STORM_DEPTH];

    n = c->n;

    for (i = 0; i < n; i++) {
        lost[i] = c->queue[(c->first + i) % STORM_DEPTH];
    }

    (void) close(c->fd);

    storm_conn_open(c);

    storm_lost_count += n;

    for (i = 0; i < n; i++) {
        storm_lost(lost[i]);
    }
}


static void
storm_conn_watch(storm_conn_t *c, int blocked)
{
    struct epoll_event  ee;

    if (c->blocked == blocked) {
        return;
    }

    memset(&ee, 0, sizeof(ee));
    ee.events = blocked ? EPOLLIN|EPOLLOUT : EPOLLIN;
    ee.data.ptr = c;

    (void) epoll_ctl(storm_epoll, EPOLL_CTL_MOD, c->fd, &ee);

    c->blocked = blocked;
}


static void
storm_conn_flush(storm_conn_t *c)
{
    ssize_t  n;

    while (c->out_sent < c->out_len) {
        n = send(c->fd, c->out + c->out_sent, c->out_len - c->out_sent,
                 MSG_NOSIGNAL|MSG_DONTWAIT);

        if (n == -1) {

            if (errno == EAGAIN) {
                storm_conn_watch(c, 1);
                return;
            }

            /* what was answered before is to be read all the same */

            c->out_sent = c->out_len;
            break;
        }

        c->out_sent += (size_t) n;
    }

    c->out_len = 0;
    c->out_sent = 0;

    storm_conn_watch(c, 0);
}


static void
storm_conn_seen(pid_t pid)
{
    unsigned  i;

    for (i = storm_nseen; i-- > 0; /* void */ ) {
        if (storm_seen[i] == pid) {
            return;
        }
    }

    if (storm_nseen < sizeof(storm_seen) / sizeof(storm_seen[0])) {
        storm_seen[storm_nseen++] = pid;
    }
}


static void
storm_conn_copy(char *to, size_t size, const char *from, const char *end)
{
    size_t  n;

    n = (size_t) (end - from);

    if (n >= size) {
        n = size - 1;
    }

    memcpy(to, from, n);
    to[n] = '\0';
}


/* one line of a head, without its end */

static void
storm_conn_line(const char *p, const char *end, storm_answer_t *a,
    size_t *length)
{
    size_t       n;
    const char  *v;

    v = memchr(p, ':', (size_t) (end - p));
    if (v == NULL) {
        return;
    }

    n = (size_t) (v - p);

    for (v++; v < end && *v == ' '; v++) { /* void */ }

    switch (n) {

    case 7:
        if (strncasecmp(p, "X-Cache", 7) == 0) {
            a->cache = *v;
        }

        break;

    case 8:
        if (strncasecmp(p, "X-Worker", 8) == 0) {
            a->worker = (pid_t) atoi(v);

        } else if (strncasecmp(p, "Location", 8) == 0) {
            storm_conn_copy(a->location, sizeof(a->location), v, end);
        }

        break;

    case 10:
        if (strncasecmp(p, "Connection", 10) == 0) {
            a->close = (*v == 'c' || *v == 'C');
        }

        break;

    case 14:
        if (strncasecmp(p, "Content-Length", 14) == 0) {
            *length = strtoul(v, NULL, 10);
        }

        break;

    case 21:
        if (strncasecmp(p, "Docker-Content-Digest", 21) == 0
            && end - v == 7 + STORM_HEX)
        {
            storm_conn_copy(a->digest, sizeof(a->digest), v + 7, end);
        }

        break;
    }
}


/* the length of a whole answer in p, 0 if it is not all there */

static size_t
storm_conn_parse(const char *p, size_t len, int head, storm_answer_t *a)
{
    size_t       length, total;
    const char  *end, *line, *next;

    end = memmem(p, len, "\r\n\r\n", 4);
    if (end == NULL) {
        return 0;
    }

    if (memcmp(p, "HTTP/1.1 ", 9) != 0) {
        storm_fail("not an answer: %.*s", (int) (len < 60 ? len : 60), p);
    }

    a->status = atoi(p + 9);
    a->close = 0;
    a->worker = 0;
    a->cache = '-';
    a->digest[0] = '\0';
    a->location[0] = '\0';

    length = 0;

    for (line = p; line < end; line = next + 2) {
        next = memmem(line, (size_t) (end + 2 - line), "\r\n", 2);
        storm_conn_line(line, next, a, &length);
    }

    if (head || a->status == 204 || a->status == 304) {
        length = 0;
    }

    a->body = end + 4;
    a->len = length;

    total = (size_t) (a->body - p) + length;

    return (total <= len) ? total : 0;
}


static void
storm_conn_read(storm_conn_t *c)
{
    size_t          at, n;
    ssize_t         got;
    storm_req_t    *rq;
    storm_answer_t  a;

    got = recv(c->fd, c->in + c->in_len, STORM_IN - c->in_len, MSG_DONTWAIT);

    if (got == -1 && errno == EAGAIN) {
        return;
    }

    if (got <= 0) {
        storm_conn_lose(c);
        return;
    }

    c->in_len += (size_t) got;

    for (at = 0; c->n && at < c->in_len; at += n) {

        rq = c->queue[c->first];

        n = storm_conn_parse(c->in + at, c->in_len - at,
                             storm_is_head(rq->op), &a);

        if (n == 0) {
            break;
        }

        c->first = (c->first + 1) % STORM_DEPTH;
        c->n--;

        if (a.worker != c->worker) {

            if (c->worker != 0 || a.worker == 0) {
                storm_violation(rq, &a, "another worker on a connection");
            }

            c->worker = a.worker;
            storm_conn_seen(a.worker);
        }

        storm_answered(rq, c->instance, &a);

        if (a.close) {
            storm_conn_lose(c);
            return;
        }
    }

    if (c->n == 0 && at < c->in_len) {
        storm_fail("an answer to nothing: %.*s",
                   (int) (c->in_len - at < 200 ? c->in_len - at : 200),
                   c->in + at);
    }

    if (at == 0 && c->in_len == STORM_IN) {
        storm_fail("a too long answer");
    }

    memmove(c->in, c->in + at, c->in_len - at);
    c->in_len -= at;
}


void
storm_conn_run(int timeout)
{
    int                 i, n;
    unsigned            k;
    storm_conn_t       *c;
    struct epoll_event  events[STORM_CONNS];

    for (k = 0; k < storm_nconns; k++) {
        c = &storm_conns[k];

        if (c->out_len && !c->blocked) {
            storm_conn_flush(c);
        }
    }

    n = epoll_wait(storm_epoll, events, STORM_CONNS, timeout);

    for (i = 0; i < n; i++) {
        c = events[i].data.ptr;

        if (events[i].events & EPOLLOUT) {
            storm_conn_flush(c);
        }

        if (events[i].events & (EPOLLIN|EPOLLERR|EPOLLHUP)) {
            storm_conn_read(c);
        }
    }
}


const storm_req_t *
storm_conn_oldest(void)
{
    unsigned            i;
    storm_conn_t       *c;
    const storm_req_t  *rq, *oldest;

    oldest = NULL;

    for (i = 0; i < storm_nconns; i++) {
        c = &storm_conns[i];

        if (c->n == 0) {
            continue;
        }

        rq = c->queue[c->first];

        if (oldest == NULL || rq->sent < oldest->sent) {
            oldest = rq;
        }
    }

    return oldest;
}


void
storm_conn_figures(uint64_t *connects, uint64_t *lost, unsigned *workers)
{
    *connects = storm_connects;
    *lost = storm_lost_count;
    *workers = storm_nseen;
}
