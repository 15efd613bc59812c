
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * What the rooms of fills share.  For ngx_http_oci_fill*.c alone.
 */


#ifndef _NGX_HTTP_OCI_FILL_PART_H_INCLUDED_
#define _NGX_HTTP_OCI_FILL_PART_H_INCLUDED_


#include "ngx_http_oci_fill.h"
#include "ngx_http_oci_circuit.h"
#include "ngx_http_oci_inquiry.h"
#include "ngx_http_oci_job.h"
#include "ngx_http_oci_wake.h"


#define NGX_HTTP_OCI_FILL_TTL    15000      /* ms that a claim lasts */
#define NGX_HTTP_OCI_FILL_TICK   50         /* ms; others may have made
                                               progress */


#define NGX_HTTP_OCI_FILL_ALIVE  (64 * 1024)    /* bytes that are a sign of
                                                   life, and fewer are not */


typedef enum {
    NGX_HTTP_OCI_FILL_OPENING = 0,  /* a job looks at the disk; it may be
                                       asked for already */
    NGX_HTTP_OCI_FILL_ASKING,       /* this worker asks how long it is */
    NGX_HTTP_OCI_FILL_WAITING,      /* somebody else does */
    NGX_HTTP_OCI_FILL_RUNNING,      /* there is a file */
    NGX_HTTP_OCI_FILL_PRESENT,      /* blobs/ has it */
    NGX_HTTP_OCI_FILL_DIRECT,       /* no file can be had */
    NGX_HTTP_OCI_FILL_FAILED
} ngx_http_oci_fill_state_e;


typedef enum {
    NGX_HTTP_OCI_SOURCE_NEW = 0,
    NGX_HTTP_OCI_SOURCE_ASKING,
    NGX_HTTP_OCI_SOURCE_YES,        /* this repository may have it */
    NGX_HTTP_OCI_SOURCE_NO
} ngx_http_oci_source_state_e;


/* a repository here and where it comes from, with one right to read */

struct ngx_http_oci_source_s {
    ngx_queue_t                  queue;
    ngx_http_oci_fill_t         *fill;
    ngx_http_oci_edge_conf_t    *conf;
    ngx_http_oci_target_t       *target;
    oci_repo_t                   repo;
    ngx_str_t                    authorization;

    ngx_http_oci_source_state_e  state;
    ngx_http_oci_inquiry_t      *ask;
    ngx_uint_t                   status;        /* of a NO */
    ngx_int_t                    retry_after;
    ngx_http_oci_source_t       *link;          /* the next to be linked */
    unsigned                     linked:1;      /* its repository has it */
    unsigned                     answers:1;     /* as its circuit knows */
};


/* bytes on their way to the file */

typedef struct {
    u_char                      *data;
    size_t                       size;
    size_t                       len;
} ngx_http_oci_piece_t;


/* one request to a source, of a chunk, or of all from the start */

typedef struct {
    ngx_queue_t                  queue;
    ngx_http_oci_fill_t         *fill;
    ngx_http_oci_source_t       *source;
    ngx_http_oci_fetch_t        *fetch;         /* NULL: it has ended */
    ngx_http_oci_fetch_rc_e      rc;

    oci_fill_writer_t            writer;        /* lock -1: none */
    uint32_t                     chunk;         /* claimed one */
    uint64_t                     token;

    off_t                        at;            /* of the next byte */
    off_t                        to;            /* where the request ends */

    ngx_http_oci_piece_t         in;
    ngx_http_oci_piece_t         out;           /* of the write job */
    off_t                        out_at;
    ngx_http_oci_job_t           write;
    ngx_event_t                  linger;        /* for more to write */

    void                        *spool;         /* of no length, in tmp/ */
    ngx_uint_t                   status;        /* an answer of no use */
    ngx_int_t                    retry_after;
    ngx_uint_t                   failed;        /* NGX_HTTP_OCI_CIRCUIT_... */

    /* set in threads, too: no bits, which share their words with others */

    ngx_uint_t                   claimed;
    ngx_atomic_t                 offer;         /* of out, as its file is
                                                   made: see there */
    ngx_uint_t                   written;       /* out was, as its file was
                                                   made, and */
    int                          wrote;         /* this came of it */


    unsigned                     begun:1;       /* it has written */
    unsigned                     hurry:1;
    unsigned                     probe:1;       /* asks for the size too */
    unsigned                     whole:1;       /* the upstream has no ranges */
    unsigned                     spooled:1;     /* nor tells it a length */
    unsigned                     answered:1;
    unsigned                     paused:1;
    unsigned                     useless:1;     /* its body is dropped */
    unsigned                     lost:1;        /* its claim is */
    unsigned                     early:1;       /* its first were shown
                                                   before there was a file */
    unsigned                     moved:1;       /* it brought bytes */
    unsigned                     stalled:1;     /* and then none */
} ngx_http_oci_fill_fetch_t;


struct ngx_http_oci_fill_s {
    ngx_queue_t                  queue;         /* of the worker's fills */
    ngx_pool_t                  *pool;
    ngx_log_t                   *log;
    const oci_store_t           *store;
    ngx_http_oci_zone_t         *zone;
    ngx_thread_pool_t           *threads;
    ngx_http_oci_edge_conf_t    *conf;          /* of the first who asked */
    off_t                        reserve;
    ngx_uint_t                   evicts;
    ngx_msec_t                   wanted;        /* since when room is, 0 */
    oci_digest_t                 digest;
    ngx_str_t                    path;          /* "blobs/sha256:..." */

    ngx_http_oci_fill_state_e    state;
    oci_fill_file_t              file;
    off_t                        size;          /* -1: not known */
    ngx_uint_t                   status;        /* of a failure */
    ngx_int_t                    retry_after;

    ngx_queue_t                  readers;
    ngx_http_oci_reader_t       *starter;       /* as long as it reads */
    ngx_queue_t                  sources;
    ngx_queue_t                  fetches;
    ngx_uint_t                   nfetches;

    ngx_http_oci_job_t           open;
    ngx_http_oci_job_t           make;          /* give it its size */
    ngx_http_oci_job_t           rest;          /* what can wait of that */
    ngx_http_oci_job_t           verify;
    ngx_http_oci_job_t           end;           /* link, or discard */
    ngx_event_t                  tick;
    ngx_event_t                  news;

    int                          turn;          /* to ask, -1: not ours */
    ngx_http_oci_fill_fetch_t   *probe;         /* waits for its file */
    ngx_http_oci_source_t       *from;          /* that it began with, NULL:
                                                   nobody need know */
    void                        *spool;         /* whole, to be looked at */
    ngx_http_oci_source_t       *spooler;
    ngx_http_oci_source_t       *links;         /* of the end job; no queue:
                                                   sources are added */
    off_t                        cursor;        /* all before it is there */
    ngx_uint_t                   failures;      /* in a row */
    off_t                        moved;         /* bytes since the last */
    ngx_msec_t                   retry_at;
    ngx_msec_t                   timed_out;     /* as the circuit knows */
    ngx_uint_t                   busy;          /* handlers that run now */

    unsigned                     hashed:1;      /* found by its digest */
    unsigned                     rests:1;       /* rest is to be posted */
    unsigned                     sizing:1;      /* a file is to be made, */
    unsigned                     later:1;       /* not before the next tick */
    unsigned                     again:1;       /* woken as open looked */
    unsigned                     single:1;      /* the turn is a stream's */
    unsigned                     kept:1;        /* what was shown early is in
                                                   the file, */
    unsigned                     unkept:1;      /* or will not be */
    unsigned                     verified:1;
    unsigned                     discard:1;
    unsigned                     counted:1;
    unsigned                     resumed:1;     /* for nobody, from the disk */
};


/* fill.c */
void ngx_http_oci_fill_news(ngx_http_oci_fill_t *fill);
void ngx_http_oci_fill_progress(ngx_http_oci_fill_t *fill);
void ngx_http_oci_fill_set(ngx_http_oci_fill_t *fill,
    ngx_http_oci_fill_state_e state);
void ngx_http_oci_fill_fail(ngx_http_oci_fill_t *fill, ngx_uint_t status,
    ngx_int_t retry_after);
void ngx_http_oci_fill_look_around(ngx_http_oci_fill_t *fill);
void ngx_http_oci_fill_release(ngx_http_oci_fill_t *fill);

/* fill_open.c */

/* the turn to ask for what nobody has begun with, or -1 */
int ngx_http_oci_fill_fresh(ngx_http_oci_fill_ask_t *ask);

void ngx_http_oci_fill_open_init(ngx_http_oci_fill_t *fill);
void ngx_http_oci_fill_open(ngx_http_oci_fill_t *fill);

/* fill_source.c */
ngx_http_oci_source_t *ngx_http_oci_source_get(ngx_http_oci_fill_t *fill,
    ngx_http_oci_fill_ask_t *ask);
void ngx_http_oci_source_ask(ngx_http_oci_fill_t *fill);
void ngx_http_oci_source_set(ngx_http_oci_source_t *source,
    ngx_http_oci_source_state_e state, ngx_uint_t status,
    ngx_int_t retry_after);
ngx_http_oci_source_t *ngx_http_oci_source_pick(ngx_http_oci_fill_t *fill,
    ngx_http_oci_source_state_e state);
ngx_uint_t ngx_http_oci_source_none(ngx_http_oci_fill_t *fill);
ngx_uint_t ngx_http_oci_source_dead(ngx_http_oci_source_t *source);
void ngx_http_oci_source_cancel(ngx_http_oci_fill_t *fill);

/* fill_probe.c */
void ngx_http_oci_fill_probe_init(ngx_http_oci_fill_t *fill);
void ngx_http_oci_fill_probe(ngx_http_oci_fill_t *fill);
void ngx_http_oci_fill_probe_lost(ngx_http_oci_fill_t *fill);
void ngx_http_oci_fill_make(ngx_http_oci_fill_t *fill);
ngx_int_t ngx_http_oci_fill_turn(ngx_http_oci_fill_t *fill);
void ngx_http_oci_fill_turn_end(ngx_http_oci_fill_t *fill);

/* fill_schedule.c */
void ngx_http_oci_fill_schedule(ngx_http_oci_fill_t *fill);
uint32_t ngx_http_oci_fill_grain(ngx_http_oci_edge_conf_t *conf);
off_t ngx_http_oci_fill_run(ngx_http_oci_fill_t *fill, uint32_t i, uint32_t n,
    uint64_t token, uint64_t now);

/* fill_fetch.c */
ngx_http_oci_fill_fetch_t *ngx_http_oci_fill_fetch_create(
    ngx_http_oci_fill_t *fill, ngx_http_oci_source_t *source);
ngx_int_t ngx_http_oci_fill_fetch_start(ngx_http_oci_fill_fetch_t *ff);
ngx_int_t ngx_http_oci_fill_other_size(ngx_http_oci_fill_fetch_t *ff,
    off_t size);
ngx_uint_t ngx_http_oci_fill_dead(ngx_http_oci_fill_t *fill,
    ngx_http_oci_source_t *source);
ngx_uint_t ngx_http_oci_fill_stalled(ngx_http_oci_fill_t *fill);
void ngx_http_oci_fill_renew(ngx_http_oci_fill_t *fill);
void ngx_http_oci_fill_cancel(ngx_http_oci_fill_t *fill);
void ngx_http_oci_fill_fetch_end(ngx_http_oci_fill_fetch_t *ff);

/* fill_write.c */
ngx_int_t ngx_http_oci_fill_take(ngx_http_oci_fill_fetch_t *ff, u_char *p,
    size_t n);
void ngx_http_oci_fill_write(ngx_http_oci_fill_fetch_t *ff);
void ngx_http_oci_fill_write_init(ngx_http_oci_fill_fetch_t *ff);
void ngx_http_oci_fill_hand(ngx_http_oci_fill_fetch_t *ff);
int ngx_http_oci_fill_write_work(void *data);
void ngx_http_oci_fill_write_done(void *data, int rc);
void ngx_http_oci_fill_written(ngx_http_oci_fill_fetch_t *ff);
void ngx_http_oci_fill_write_free(ngx_http_oci_fill_fetch_t *ff);
void ngx_http_oci_fill_let_go(ngx_http_oci_fill_fetch_t *ff);

/* fill_spool.c */
int ngx_http_oci_spool_write(ngx_http_oci_fill_fetch_t *ff);
int ngx_http_oci_spool_end(ngx_http_oci_fill_t *fill);
void ngx_http_oci_spool_free(void *data);

/* fill_end.c */
void ngx_http_oci_fill_verify(ngx_http_oci_fill_t *fill);
void ngx_http_oci_fill_end(ngx_http_oci_fill_t *fill);
void ngx_http_oci_fill_corrupt(ngx_http_oci_fill_t *fill);
void ngx_http_oci_fill_end_init(ngx_http_oci_fill_t *fill);

uint64_t ngx_http_oci_fill_now(void);


/* a thread opens or makes its file: nobody else may look into that */

#define ngx_http_oci_fill_unsettled(fill)                                     \
    ((fill)->open.busy || (fill)->make.busy)


#define ngx_http_oci_fill_stat(fill, counter, n)                              \
    if ((fill)->zone && (fill)->zone->stats) {                                \
        (fill)->zone->stats->counters[counter] += n;                          \
    }


#endif /* _NGX_HTTP_OCI_FILL_PART_H_INCLUDED_ */
