
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * GETs of large content, whose bytes are dropped unread by the kernel, so
 * that the client costs next to nothing.
 *
 * usage: pull PORT PATH CONNECTIONS COUNT [PART SIZE]
 *
 * COUNT answers in all.  PART: each asks for the next PART bytes of SIZE.
 * Prints one line of JSON.
 */


#include "wire.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>


#define PULL_CONNECTIONS  256
#define PULL_HEAD         8192


typedef struct {
    int64_t  left;                      /* of the body */
    size_t   len;                       /* of the head so far */
    int      open;                      /* an answer is awaited */
    char     head[PULL_HEAD];
} pull_conn_t;


static struct pollfd  pull_fd[PULL_CONNECTIONS];
static pull_conn_t    pull_conn[PULL_CONNECTIONS];
static const char    *pull_path;
static int64_t        pull_part, pull_size, pull_bytes;
static long           pull_asked, pull_done, pull_count;


static void
pull_ask(int i)
{
    int      n;
    char     request[2048], range[128];
    int64_t  first, last;

    if (pull_asked == pull_count) {
        pull_fd[i].events = 0;
        return;
    }

    range[0] = '\0';

    if (pull_part) {
        first = (pull_asked * pull_part) % pull_size;
        last = first + pull_part - 1;

        (void) snprintf(range, sizeof(range), "Range: bytes=%lld-%lld\r\n",
                        (long long) first, (long long) last);
    }

    n = snprintf(request, sizeof(request),
                 "GET %s HTTP/1.1\r\nHost: bench\r\n%s\r\n", pull_path,
                 range);

    pull_conn[i].len = 0;
    pull_conn[i].left = 0;
    pull_conn[i].open = 1;
    pull_asked++;

    wire_send(pull_fd[i].fd, request, (size_t) n);
}


static void
pull_read_head(int i)
{
    ssize_t        n;
    wire_answer_t  a;
    pull_conn_t   *c;

    c = &pull_conn[i];

    n = recv(pull_fd[i].fd, c->head + c->len, PULL_HEAD - c->len,
             MSG_DONTWAIT);

    if (n <= 0) {
        wire_die("recv() of a head");
    }

    c->len += (size_t) n;

    if (!wire_head(c->head, c->len, &a)) {
        return;
    }

    if (a.status != (pull_part ? 206 : 200)) {
        fprintf(stderr, "pull: status %d\n", a.status);
        exit(1);
    }

    c->left = a.length - ((int64_t) c->len - a.head);
    c->open = 0;
    pull_bytes += a.length;
}


static void
pull_read(int i)
{
    ssize_t       n;
    pull_conn_t  *c;

    c = &pull_conn[i];

    if (c->open) {
        pull_read_head(i);

    } else {
        n = recv(pull_fd[i].fd, NULL, (size_t) c->left,
                 MSG_DONTWAIT|MSG_TRUNC);

        if (n <= 0) {
            wire_die("recv() of a body");
        }

        c->left -= n;
    }

    if (!c->open && c->left == 0) {
        pull_done++;
        pull_ask(i);
    }
}


int
main(int argc, char **argv)
{
    int     i, n;
    double  start, seconds;

    if (argc != 5 && argc != 7) {
        fprintf(stderr, "usage: pull PORT PATH CONNECTIONS COUNT"
                        " [PART SIZE]\n");
        return 2;
    }

    pull_path = argv[2];
    n = atoi(argv[3]);
    pull_count = atol(argv[4]);

    if (n < 1 || n > PULL_CONNECTIONS) {
        fprintf(stderr, "pull: so many connections it can't hold\n");
        return 2;
    }

    if (argc == 7) {
        pull_part = atoll(argv[5]);
        pull_size = atoll(argv[6]);
    }

    for (i = 0; i < n; i++) {
        pull_fd[i].fd = wire_connect(atoi(argv[1]));
        pull_fd[i].events = POLLIN;
    }

    start = wire_now();

    for (i = 0; i < n; i++) {
        pull_ask(i);
    }

    while (pull_done < pull_count) {

        if (poll(pull_fd, (nfds_t) n, -1) == -1) {
            wire_die("poll()");
        }

        for (i = 0; i < n; i++) {
            if (pull_fd[i].revents & POLLIN) {
                pull_read(i);
            }
        }
    }

    seconds = wire_now() - start;

    printf("{\"count\": %ld, \"bytes\": %lld, \"seconds\": %.6f}\n",
           pull_done, (long long) pull_bytes, seconds);

    return 0;
}
