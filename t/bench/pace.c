
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * GETs of one path, and how long each took.
 *
 * usage: pace PORT PATH RATE SECONDS CONNECTIONS    on a fixed schedule
 *        pace PORT PATH 0 COUNT CONNECTIONS [HEAD]  one after the other
 *
 * On a schedule a request counts from when it was due, not from when a
 * connection was free for it: a server that stalls is charged for all that
 * would have come meanwhile.  Where it may, the program runs ahead of all
 * others then, so that what it measures is the server's wait for a processor
 * and not its own.  Prints one line of JSON.
 */


#include "wire.h"

#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>


#define PACE_CONNECTIONS  64


typedef struct {
    double   due;
    int64_t  got;
    int      busy;
} pace_conn_t;


static char            pace_request[2048];
static size_t          pace_request_len;
static int64_t         pace_size;           /* of an answer, with its head */
static int64_t         pace_body;           /* of it */
static char            pace_start[12];      /* of an answer */
static struct pollfd   pace_fd[PACE_CONNECTIONS];
static pace_conn_t     pace_conn[PACE_CONNECTIONS];
static int             pace_n;
static double         *pace_took;
static double         *pace_late;
static size_t          pace_done;


static void
pace_make(const char *method, const char *path)
{
    pace_request_len = (size_t) snprintf(pace_request, sizeof(pace_request),
                             "%s %s HTTP/1.1\r\nHost: bench\r\n"
                             "Accept: */*\r\n\r\n", method, path);
}


static void
pace_learn(int port)
{
    int            fd;
    wire_answer_t  a;

    fd = wire_connect(port);

    wire_send(fd, pace_request, pace_request_len);
    wire_answer(fd, &a);

    if (a.status != 200) {
        fprintf(stderr, "pace: status %d\n", a.status);
        exit(1);
    }

    pace_body = a.length;
    pace_size = a.head + a.length;
    memcpy(pace_start, "HTTP/1.1 200", 12);
}


static void
pace_ask(int i, double due, double now, size_t k)
{
    pace_conn[i].busy = 1;
    pace_conn[i].due = due;
    pace_conn[i].got = 0;
    pace_late[k] = now - due;

    wire_send(pace_fd[i].fd, pace_request, pace_request_len);
}


static void
pace_read(int i)
{
    char          buf[65536];
    ssize_t       n;
    pace_conn_t  *c;

    c = &pace_conn[i];

    n = recv(pace_fd[i].fd, buf, sizeof(buf), MSG_DONTWAIT);

    if (n <= 0) {
        wire_die("recv()");
    }

    if (c->got == 0 && (n < 12 || memcmp(buf, pace_start, 12) != 0)) {
        fprintf(stderr, "pace: another answer: %.*s\n", (int) n, buf);
        exit(1);
    }

    c->got += n;

    if (c->got > pace_size) {
        fprintf(stderr, "pace: an answer of another size\n");
        exit(1);
    }

    if (c->got == pace_size) {
        pace_took[pace_done++] = wire_now() - c->due;
        c->busy = 0;
    }
}


static void
pace_wait(double until)
{
    int              i, n;
    double           left;
    struct timespec  ts, *limit;

    limit = NULL;

    if (until > 0) {
        left = until - wire_now();

        if (left < 0) {
            left = 0;
        }

        ts.tv_sec = (time_t) left;
        ts.tv_nsec = (long) ((left - (double) ts.tv_sec) * 1e9);
        limit = &ts;
    }

    n = ppoll(pace_fd, (nfds_t) pace_n, limit, NULL);

    for (i = 0; n > 0 && i < pace_n; i++) {
        if (pace_fd[i].revents) {
            pace_read(i);
            n--;
        }
    }
}


static void
pace_run(double rate, size_t count)
{
    int     i;
    size_t  k;
    double  start, due, now;

    start = wire_now();

    for (k = 0; pace_done < count; /* void */ ) {

        now = wire_now();

        for (i = 0; i < pace_n && k < count; i++) {

            due = (rate > 0) ? start + (double) k / rate : now;

            if (due > now) {
                break;
            }

            if (!pace_conn[i].busy) {
                pace_ask(i, due, now, k++);
            }
        }

        due = 0;

        if (rate > 0 && k < count) {

            for (i = 0; i < pace_n && pace_conn[i].busy; i++) { /* void */ }

            if (i < pace_n) {
                due = start + (double) k / rate;
            }
        }

        pace_wait(due);
    }
}


int
main(int argc, char **argv)
{
    int     i, port;
    double  rate, start, seconds;
    size_t  count;

    struct sched_param  sp;

    if (argc != 6 && (argc != 7 || strcmp(argv[6], "HEAD") != 0)) {
        fprintf(stderr, "usage: pace PORT PATH RATE SECONDS CONNECTIONS"
                        " [HEAD]\n");
        return 2;
    }

    /* sleeps end when they are asked to */

    (void) prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);

    port = atoi(argv[1]);
    rate = atof(argv[3]);
    count = (size_t) (rate > 0 ? rate * atof(argv[4]) : atof(argv[4]));
    pace_n = atoi(argv[5]);

    if (count == 0 || pace_n < 1 || pace_n > PACE_CONNECTIONS) {
        fprintf(stderr, "pace: nothing to do\n");
        return 2;
    }

    pace_make("GET", argv[2]);

    pace_took = calloc(count, sizeof(double));
    pace_late = calloc(count, sizeof(double));

    if (pace_took == NULL || pace_late == NULL) {
        wire_die("calloc()");
    }

    pace_learn(port);

    if (argc == 7) {
        pace_make("HEAD", argv[2]);
        pace_size -= pace_body;
    }

    for (i = 0; i < pace_n; i++) {
        pace_fd[i].fd = wire_connect(port);
        pace_fd[i].events = POLLIN;
    }

    memset(&sp, 0, sizeof(sp));
    sp.sched_priority = 1;

    if (rate > 0) {
        (void) sched_setscheduler(0, SCHED_FIFO, &sp);
    }

    start = wire_now();
    pace_run(rate, count);
    seconds = wire_now() - start;

    wire_sort(pace_took, count);
    wire_sort(pace_late, count);

    printf("{\"count\": %zu, \"seconds\": %.6f, \"cpu\": %.6f, "
           "\"p50\": %.7f, \"p90\": %.7f, \"p99\": %.7f, \"p999\": %.7f, "
           "\"max\": %.7f, \"late_p99\": %.7f}\n",
           count, seconds, wire_cpu(), wire_at(pace_took, count, 0.5),
           wire_at(pace_took, count, 0.9), wire_at(pace_took, count, 0.99),
           wire_at(pace_took, count, 0.999), pace_took[count - 1],
           wire_at(pace_late, count, 0.99));

    return 0;
}
