
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * usage: storm PORT PORT OPERATIONS SEED REPOSITORIES CONNECTIONS PERMILLE
 *
 * PERMILLE: how many of a thousand operations begin a write.  Each write is
 * read back at once, through another worker and the other registry, and the
 * key rests meanwhile.  It goes on until so many operations are done and the
 * standard input has ended; then all is deleted.  Prints "at N" now and then
 * and ends with a line of JSON; any fault ends it with status 1.
 */


#include "storm.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>


#define STORM_DEPTH_USED  6             /* requests on a connection */
#define STORM_HANG        60            /* seconds */
#define STORM_AGAIN       0.005
#define STORM_TRIES       2000
#define STORM_WAITING     4096


typedef struct {
    storm_req_t  *rq;
    double        due;
} storm_waiting_t;


static uint64_t          storm_counts[STORM_OPS];
static uint64_t          storm_done;
static uint64_t          storm_other_worker;
static uint64_t          storm_other_instance;
static uint64_t          storm_same_worker;
static uint64_t          storm_again;
static uint64_t          storm_hits;
static uint64_t          storm_misses;
static uint64_t          storm_revalidated;
static uint64_t          storm_seed;
static unsigned          storm_busy;
static storm_req_t      *storm_free;
static storm_waiting_t   storm_waiting[STORM_WAITING];
static unsigned          storm_nwaiting;


double
storm_now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}


uint64_t
storm_random(void)
{
    storm_seed ^= storm_seed >> 12;
    storm_seed ^= storm_seed << 25;
    storm_seed ^= storm_seed >> 27;

    return (storm_seed * 2685821657736338717ULL) >> 16;
}


void
storm_fail(const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);

    fprintf(stderr, " (after %llu operations)\n",
            (unsigned long long) storm_done);
    exit(1);
}


void
storm_violation(const storm_req_t *rq, const storm_answer_t *a,
    const char *what)
{
    static const char  *ops[] = {
        "GET tag", "HEAD tag", "GET manifest", "HEAD manifest", "GET blob",
        "HEAD blob", "GET none", "tags", "referrers", "PUT tag",
        "DELETE tag", "DELETE manifest", "push blob", "DELETE blob",
        "PUT referrer", "DELETE referrer", "setup"
    };

    fprintf(stderr, "%s: %s%s of r%04u", what, ops[rq->op],
            rq->readback ? " (read back)" : "", rq->repo);

    if (rq->key) {
        fprintf(stderr, ", key %u, asked for %u, state %d, acknowledged %u "
                "when sent, %u now, %u begun, %u tries broke off",
                rq->key->index, rq->version, rq->state, rq->low[0],
                rq->key->acked, rq->key->started, rq->key->broken);
    }

    storm_fail("; answer: %d of worker %d, cache %c, after %.6f s: %.*s",
               a->status, (int) a->worker, a->cache, storm_now() - rq->sent,
               (int) (a->len < 700 ? a->len : 700), a->body);
}


static storm_req_t *
storm_new(void)
{
    storm_req_t  *rq;

    rq = storm_free;

    if (rq) {
        storm_free = rq->next;

    } else {
        rq = malloc(sizeof(storm_req_t));

        if (rq == NULL) {
            storm_fail("malloc()");
        }
    }

    memset(rq, 0, sizeof(storm_req_t));

    return rq;
}


static void
storm_release(storm_req_t *rq)
{
    rq->next = storm_free;
    storm_free = rq;
}


static void
storm_send(storm_conn_t *c, storm_req_t *rq)
{
    char         buf[2048];
    size_t       len, body_len;
    const char  *body;

    len = storm_model_request(rq, buf, sizeof(buf), &body, &body_len);

    storm_conn_send(c, rq, buf, len, body, body_len);
}


static void
storm_wait(storm_req_t *rq, double seconds)
{
    if (storm_nwaiting == STORM_WAITING) {
        storm_fail("too many requests wait");
    }

    storm_waiting[storm_nwaiting].rq = rq;
    storm_waiting[storm_nwaiting].due = storm_now() + seconds;
    storm_nwaiting++;
}


/* what broke off, and what was asked to come again */

static void
storm_resend(void)
{
    double        now;
    unsigned      i;
    storm_req_t  *rq;

    now = storm_now();

    for (i = 0; i < storm_nwaiting; /* void */ ) {

        if (storm_waiting[i].due > now) {
            i++;
            continue;
        }

        rq = storm_waiting[i].rq;
        storm_waiting[i] = storm_waiting[--storm_nwaiting];

        if (rq->readback) {
            storm_send(storm_conn_other(rq->instance, rq->key->worker), rq);

        } else {
            storm_send(storm_conn_other(storm_random() % 3 == 2, 0), rq);
        }
    }
}


static void
storm_readbacks(storm_key_t *k)
{
    unsigned      i;
    storm_req_t  *rq;

    k->readbacks = STORM_READBACKS;

    for (i = 0; i < STORM_READBACKS; i++) {
        rq = storm_new();

        rq->readback = 1;
        rq->instance = (i == 0) ? k->writer
                       : (i == 1) ? !k->writer
                       : (int) (storm_random() & 1);

        storm_model_readback(rq, k, i);
        storm_send(storm_conn_other(rq->instance, k->worker), rq);
    }
}


static void
storm_written(storm_req_t *rq, int instance, const storm_answer_t *a)
{
    int           ok;
    storm_key_t  *k;

    k = rq->key;

    if (a->status == 429 || a->status == 503
        || (k && k->broken && (a->status == 409 || a->status == 416)))
    {
        storm_again++;

        if (k) {
            k->location[0] = '\0';

            if (++k->broken > STORM_TRIES) {
                storm_violation(rq, a, "no try comes through");
            }
        }

        storm_wait(rq, STORM_AGAIN);
        return;
    }

    if (k == NULL) {

        if (a->status != 201) {
            storm_violation(rq, a, "status");
        }

        storm_busy--;
        storm_release(rq);
        return;
    }

    if (rq->op == STORM_PUSH_BLOB && a->location[0] && a->status == 202
        && k->location[0] == '\0')
    {
        strcpy(k->location, a->location);
        storm_send(storm_conn_other(storm_random() % 3 == 2, a->worker), rq);
        return;
    }

    if (a->status == 404 && k->broken) {

        if (rq->op == STORM_PUSH_BLOB && k->location[0]) {

            /* the session went with a try that broke off */

            k->location[0] = '\0';
            storm_wait(rq, 0);
            return;
        }

        ok = (rq->op == STORM_DELETE_TAG || rq->op == STORM_DELETE_MANIFEST
              || rq->op == STORM_DELETE_BLOB
              || rq->op == STORM_DELETE_REFERRER);

    } else if (rq->op == STORM_PUT_TAG || rq->op == STORM_PUSH_BLOB
               || rq->op == STORM_PUT_REFERRER)
    {
        ok = (a->status == 201);

    } else {
        ok = (a->status == 202);
    }

    if (!ok) {
        storm_violation(rq, a, "status");
    }

    storm_counts[rq->op]++;
    storm_done++;

    k->writer = instance;
    k->worker = a->worker;

    storm_model_acked(k);
    storm_release(rq);
    storm_readbacks(k);
}


void
storm_answered(storm_req_t *rq, int instance, const storm_answer_t *a)
{
    storm_key_t  *k;

    if (storm_is_write(rq->op)) {
        storm_written(rq, instance, a);
        return;
    }

    storm_model_check(rq, a);

    storm_counts[rq->op]++;
    storm_done++;

    storm_hits += (a->cache == 'H');
    storm_misses += (a->cache == 'M');
    storm_revalidated += (a->cache == 'R');

    if (rq->readback) {
        k = rq->key;

        if (instance != k->writer) {
            storm_other_instance++;

        } else if (a->worker != k->worker) {
            storm_other_worker++;

        } else {
            storm_same_worker++;
        }

        if (--k->readbacks == 0) {
            k->busy = 0;
            storm_busy--;
        }
    }

    storm_release(rq);
}


void
storm_lost(storm_req_t *rq)
{
    if (storm_is_write(rq->op)) {

        if (rq->key) {
            rq->key->broken++;
            rq->key->location[0] = '\0';
        }

        storm_wait(rq, 0);

    } else if (rq->readback) {
        storm_wait(rq, 0);

    } else {
        storm_release(rq);
    }
}


/* 0: that key has nothing to be written */

static int
storm_write(storm_conn_t *c, storm_key_t *k, int empty)
{
    storm_req_t  *rq;

    if (k->busy || storm_model_write(k, empty) != 0) {
        return 0;
    }

    k->busy = 1;
    storm_busy++;

    rq = storm_new();
    rq->op = k->op;
    rq->key = k;
    rq->repo = k->repo;
    rq->version = storm_model_target(k);

    storm_send(c, rq);

    return 1;
}


static void
storm_fill(storm_conn_t *c, unsigned permille)
{
    storm_req_t  *rq;

    while (storm_conn_load(c) < STORM_DEPTH_USED) {

        if (storm_random() % 1000 < permille) {

            if (storm_write(c, storm_model_any(), 0)) {
                continue;
            }
        }

        rq = storm_new();
        storm_model_read(rq);
        storm_send(c, rq);
    }
}


static void
storm_step(void)
{
    const storm_req_t  *rq;

    static double  looked;

    storm_conn_run(storm_nwaiting ? 1 : 100);

    if (storm_nwaiting) {
        storm_resend();
    }

    if (storm_now() - looked > 1) {
        looked = storm_now();
        rq = storm_conn_oldest();

        if (rq && looked - rq->sent > STORM_HANG) {
            storm_fail("a request (%d, r%04u) waits for %.0f s", rq->op,
                       rq->repo, looked - rq->sent);
        }
    }
}


static void
storm_setup(unsigned repos)
{
    unsigned      i;
    storm_req_t  *rq;

    for (i = 0; i < repos; i++) {
        rq = storm_new();
        rq->op = STORM_SETUP;
        rq->repo = i;
        storm_busy++;
        storm_send(storm_conn_other(0, 0), rq);

        while (storm_busy) {
            storm_step();
        }
    }
}


static int
storm_ended(void)
{
    char           c;
    struct pollfd  pfd;

    pfd.fd = STDIN_FILENO;
    pfd.events = POLLIN;

    return poll(&pfd, 1, 0) == 1 && read(STDIN_FILENO, &c, 1) == 0;
}


static void
storm_rage(uint64_t operations, unsigned permille)
{
    int            ended;
    unsigned       i;
    uint64_t       told, step;
    storm_conn_t  *c;

    step = operations / 400 + 1;
    told = step;
    ended = 0;

    while (storm_done < operations || !ended) {

        for (i = 0; i < storm_conn_count(); i++) {
            c = storm_conn_at(i);

            if (storm_conn_load(c) <= STORM_DEPTH_USED / 2) {
                storm_fill(c, permille);
            }
        }

        storm_step();

        if (storm_done >= told) {
            printf("at %llu\n", (unsigned long long) storm_done);
            fflush(stdout);
            told += step;
            ended = ended || storm_ended();
        }
    }

    while (storm_busy || storm_conn_oldest()) {
        storm_step();
    }
}


static void
storm_empty(void)
{
    int       more;
    unsigned  i;

    do {
        more = 0;

        for (i = 0; i < storm_model_keys(); i++) {

            if (storm_write(storm_conn_other(storm_random() % 3 == 2, 0),
                            storm_model_key(i), 1))
            {
                more = 1;
            }

            while (storm_busy > STORM_CONNS) {
                storm_step();
            }
        }

        while (storm_busy || storm_conn_oldest()) {
            storm_step();
        }

    } while (more);
}


int
main(int argc, char **argv)
{
    int       ports[STORM_INSTANCES];
    double    start, seconds;
    unsigned  i, repos, conns, workers;
    uint64_t  operations, writes, connects, lost;

    if (argc != 8) {
        fprintf(stderr, "usage: storm PORT PORT OPERATIONS SEED "
                "REPOSITORIES CONNECTIONS PERMILLE\n");
        return 2;
    }

    ports[0] = atoi(argv[1]);
    ports[1] = atoi(argv[2]);
    operations = strtoull(argv[3], NULL, 10);
    storm_seed = strtoull(argv[4], NULL, 10) + 88172645463325252ULL;
    repos = (unsigned) atoi(argv[5]);
    conns = (unsigned) atoi(argv[6]);

    if (repos < 1 || repos > STORM_REPOS_MAX || conns < 6
        || conns > STORM_CONNS)
    {
        fprintf(stderr, "storm: too few or too many\n");
        return 2;
    }

    storm_model_init(repos);
    storm_conn_init(ports, conns);

    storm_setup(repos);

    start = storm_now();
    storm_rage(operations, (unsigned) atoi(argv[7]));
    seconds = storm_now() - start;

    storm_empty();

    storm_conn_figures(&connects, &lost, &workers);

    writes = 0;

    for (i = STORM_PUT_TAG; i < STORM_SETUP; i++) {
        writes += storm_counts[i];
    }

    printf("{\"operations\": %llu, \"seconds\": %.1f, \"writes\": %llu, ",
           (unsigned long long) storm_done, seconds,
           (unsigned long long) writes);

    printf("\"puts\": %llu, \"other_worker\": %llu, \"other_nginx\": %llu, "
           "\"same_worker\": %llu, ",
           (unsigned long long) (storm_counts[STORM_PUT_TAG]
                                 + storm_counts[STORM_PUT_REFERRER]
                                 + storm_counts[STORM_PUSH_BLOB]),
           (unsigned long long) storm_other_worker,
           (unsigned long long) storm_other_instance,
           (unsigned long long) storm_same_worker);

    printf("\"hits\": %llu, \"misses\": %llu, \"revalidated\": %llu, "
           "\"again\": %llu, \"connects\": %llu, \"lost\": %llu, "
           "\"workers\": %u}\n",
           (unsigned long long) storm_hits,
           (unsigned long long) storm_misses,
           (unsigned long long) storm_revalidated,
           (unsigned long long) storm_again,
           (unsigned long long) connects, (unsigned long long) lost, workers);

    return 0;
}
