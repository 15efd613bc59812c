
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Counters of a store: each worker has a slot of its own in the zone and is
 * the only one that writes to it, so nothing is locked; the sum over all
 * slots is the total.  A slot outlives its worker, its numbers only rise.
 * Counting is for the event loop alone, not for threads.
 */


#ifndef _NGX_HTTP_OCI_STATS_H_INCLUDED_
#define _NGX_HTTP_OCI_STATS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_HTTP_OCI_STATS_OPERATIONS  24
#define NGX_HTTP_OCI_STATS_STATUSES    6    /* 0: no answer, 1: 1xx, ... */


typedef enum {
    NGX_HTTP_OCI_STATS_SENT_MEMORY = 0,     /* bytes of bodies, by source */
    NGX_HTTP_OCI_STATS_SENT_FILE,
    NGX_HTTP_OCI_STATS_SENT_UPSTREAM,

    NGX_HTTP_OCI_STATS_HIT,                 /* requests, by cache status */
    NGX_HTTP_OCI_STATS_MISS,
    NGX_HTTP_OCI_STATS_REVALIDATED,
    NGX_HTTP_OCI_STATS_STALE,
    NGX_HTTP_OCI_STATS_FILL,

    NGX_HTTP_OCI_STATS_UPLOADS_STARTED,
    NGX_HTTP_OCI_STATS_UPLOADS_DONE,
    NGX_HTTP_OCI_STATS_UPLOADS_FAILED,      /* content that did not match,
                                               or a POST that broke off */
    NGX_HTTP_OCI_STATS_UPLOADS_CANCELLED,
    NGX_HTTP_OCI_STATS_UPLOADS_EXPIRED,
    NGX_HTTP_OCI_STATS_MOUNTS,
    NGX_HTTP_OCI_STATS_RECEIVED,            /* bytes of uploads */

    NGX_HTTP_OCI_STATS_UPSTREAM_REQUESTS,
    NGX_HTTP_OCI_STATS_UPSTREAM_ERRORS,
    NGX_HTTP_OCI_STATS_UPSTREAM_BYTES,
    NGX_HTTP_OCI_STATS_FILLS_STARTED,
    NGX_HTTP_OCI_STATS_FILLS_DONE,
    NGX_HTTP_OCI_STATS_FILLS_FAILED,
    NGX_HTTP_OCI_STATS_CIRCUIT_OPENED,
    NGX_HTTP_OCI_STATS_CIRCUIT_CLOSED,
    NGX_HTTP_OCI_STATS_EVICTED_FILES,
    NGX_HTTP_OCI_STATS_EVICTED_BYTES,

    NGX_HTTP_OCI_STATS_COUNTERS
} ngx_http_oci_stats_counter_e;


typedef struct {
    ngx_atomic_t    owner;                  /* pid, 0: nobody's yet */
    ngx_atomic_t    writing;                /* it may be changing the store */
    uint64_t        requests[NGX_HTTP_OCI_STATS_OPERATIONS]
                            [NGX_HTTP_OCI_STATS_STATUSES];
    uint64_t        counters[NGX_HTTP_OCI_STATS_COUNTERS];
    uint64_t        filling;                /* fills that it writes now */
    u_char          pad[64];                /* no cache line is shared */
} ngx_http_oci_stats_t;


#define ngx_http_oci_stats_add(stats, counter, n)                             \
    (stats)->counters[counter] += (n)


/* a slot that no total has: of a process that has no other */
ngx_http_oci_stats_t *ngx_http_oci_stats_none(void);

/*
 * For this process, of those that nobody has; its numbers are gone on with.
 * Where none is left: the one that no total has, and a line in the log.
 */
ngx_http_oci_stats_t *ngx_http_oci_stats_claim(ngx_http_oci_stats_t *slots,
    ngx_uint_t n, ngx_str_t *zone, ngx_log_t *log);

/*
 * For a process that starts, before it claims one: 1 if an owner has died
 * that was writing.
 */
ngx_uint_t ngx_http_oci_stats_bury(ngx_http_oci_stats_t *slots,
    ngx_uint_t n);

/*
 * Of the processes that open a store with a new zone one is the first, and
 * has to doubt what the last nginx left: 1 for it, and for the next one when
 * it died before it called begun().  doubt(): the next one is the first again.
 */
ngx_uint_t ngx_http_oci_stats_first(ngx_atomic_t *first);
void ngx_http_oci_stats_begun(ngx_atomic_t *first);
void ngx_http_oci_stats_doubt(ngx_atomic_t *first);

void ngx_http_oci_stats_release(ngx_http_oci_stats_t *stats);

/* the totals, as of now */
void ngx_http_oci_stats_sum(const ngx_http_oci_stats_t *slots, ngx_uint_t n,
    ngx_http_oci_stats_t *sum);


#endif /* _NGX_HTTP_OCI_STATS_H_INCLUDED_ */
