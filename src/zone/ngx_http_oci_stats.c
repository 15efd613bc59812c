
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "ngx_http_oci_stats.h"


#define NGX_HTTP_OCI_STATS_BEGUN  ((ngx_atomic_uint_t) -1)     /* no process */


static ngx_uint_t ngx_http_oci_stats_dead(ngx_atomic_uint_t owner);


static ngx_http_oci_stats_t  ngx_http_oci_stats_private;


ngx_http_oci_stats_t *
ngx_http_oci_stats_none(void)
{
    return &ngx_http_oci_stats_private;
}


ngx_http_oci_stats_t *
ngx_http_oci_stats_claim(ngx_http_oci_stats_t *slots, ngx_uint_t n,
    ngx_str_t *zone, ngx_log_t *log)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {

        /* who died after bury() is the next one's to bury */

        if (ngx_atomic_cmp_set(&slots[i].owner, 0,
                               (ngx_atomic_uint_t) ngx_pid))
        {
            /* nginx' other processes leave without a word */

            slots[i].writing = (ngx_process == NGX_PROCESS_WORKER
                                || ngx_process == NGX_PROCESS_SINGLE);

            slots[i].filling = 0;

            return &slots[i];
        }
    }

    ngx_log_error(NGX_LOG_WARN, log, 0,
                  "oci zone \"%V\" has counters for %ui processes and all "
                  "are taken: what this one does is not counted; a larger "
                  "zone has more", zone, n);

    return ngx_http_oci_stats_none();
}


/* a dead process may have had the number that is this one's now */

static ngx_uint_t
ngx_http_oci_stats_dead(ngx_atomic_uint_t owner)
{
    return owner == (ngx_atomic_uint_t) ngx_pid
           || (kill((ngx_pid_t) owner, 0) == -1 && ngx_errno == NGX_ESRCH);
}


ngx_uint_t
ngx_http_oci_stats_bury(ngx_http_oci_stats_t *slots, ngx_uint_t n)
{
    ngx_uint_t          i, dead;
    ngx_atomic_uint_t   owner, writing;

    dead = 0;

    for (i = 0; i < n; i++) {

        owner = slots[i].owner;

        if (owner == 0) {
            continue;
        }

        writing = slots[i].writing;

        if (ngx_http_oci_stats_dead(owner)
            && ngx_atomic_cmp_set(&slots[i].owner, owner, 0))
        {
            dead += writing;
        }
    }

    return dead != 0;
}


ngx_uint_t
ngx_http_oci_stats_first(ngx_atomic_t *first)
{
    ngx_atomic_uint_t  owner;

    owner = *first;

    return owner != NGX_HTTP_OCI_STATS_BEGUN
           && (owner == 0 || ngx_http_oci_stats_dead(owner))
           && ngx_atomic_cmp_set(first, owner, (ngx_atomic_uint_t) ngx_pid);
}


void
ngx_http_oci_stats_begun(ngx_atomic_t *first)
{
    (void) ngx_atomic_cmp_set(first, (ngx_atomic_uint_t) ngx_pid,
                              NGX_HTTP_OCI_STATS_BEGUN);
}


void
ngx_http_oci_stats_doubt(ngx_atomic_t *first)
{
    *first = 0;
}


void
ngx_http_oci_stats_release(ngx_http_oci_stats_t *stats)
{
    if (stats != ngx_http_oci_stats_none()) {
        __atomic_store_n(&stats->owner, 0, __ATOMIC_RELEASE);
    }
}


void
ngx_http_oci_stats_sum(const ngx_http_oci_stats_t *slots, ngx_uint_t n,
    ngx_http_oci_stats_t *sum)
{
    ngx_uint_t  i, k, c;

    ngx_memzero(sum, sizeof(ngx_http_oci_stats_t));

    for (i = 0; i < n; i++) {

        for (k = 0; k < NGX_HTTP_OCI_STATS_OPERATIONS; k++) {
            for (c = 0; c < NGX_HTTP_OCI_STATS_STATUSES; c++) {
                sum->requests[k][c] += __atomic_load_n(
                                                  &slots[i].requests[k][c],
                                                  __ATOMIC_RELAXED);
            }
        }

        if (slots[i].owner != 0) {
            sum->filling += __atomic_load_n(&slots[i].filling,
                                            __ATOMIC_RELAXED);
        }

        for (c = 0; c < NGX_HTTP_OCI_STATS_COUNTERS; c++) {
            sum->counters[c] += __atomic_load_n(&slots[i].counters[c],
                                                __ATOMIC_RELAXED);
        }
    }
}
