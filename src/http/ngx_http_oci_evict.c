
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * A pass begins when something was fetched from an upstream since the last
 * one, when the disk runs short, or when it is time to look for what nobody
 * has used; and never sooner than some times what the last one took.  A fill
 * that has no room wakes the manager and waits for a pass, a little.
 */


#include "ngx_http_oci_evict.h"
#include "ngx_http_oci_task.h"

#include "oci_evict.h"
#include "oci_fill_file.h"


#define NGX_HTTP_OCI_EVICT_BUDGET  50       /* ms of a call */
#define NGX_HTTP_OCI_EVICT_PAUSE   50       /* between calls of a pass */
#define NGX_HTTP_OCI_EVICT_LOOK    1000     /* between two looks at the disk */
#define NGX_HTTP_OCI_EVICT_REST    10       /* times what a pass took */
#define NGX_HTTP_OCI_EVICT_SOON    150      /* ms between two for room */
#define NGX_HTTP_OCI_EVICT_MAX     3600000
#define NGX_HTTP_OCI_EVICT_RETRY   10000
#define NGX_HTTP_OCI_EVICT_FILLS   64


struct ngx_http_oci_evict_s {
    oci_evict_t          *evict;            /* NULL: there are no limits */
    oci_evict_limits_t    limits;
    oci_evict_stats_t     reported;

    ngx_msec_t            began;
    ngx_msec_t            next;             /* not before, */
    ngx_msec_t            soon;             /* nor for whoever wants room */
    ngx_msec_t            latest;           /* by then in any case */
    ngx_msec_t            fills_at;
    uint64_t              fetched;          /* when the last pass began */
    unsigned              running:1;
    unsigned              roomy:1;          /* a pass for who wants room */
};


static ngx_http_oci_evict_t *ngx_http_oci_evict_create(
    ngx_http_oci_store_t *st);
static ngx_msec_t ngx_http_oci_evict_pass(ngx_http_oci_store_t *st,
    ngx_http_oci_evict_t *ev);
static void ngx_http_oci_evict_timer(ngx_event_t *ev);
static ngx_uint_t ngx_http_oci_evict_due(ngx_http_oci_store_t *st,
    ngx_http_oci_evict_t *ev);
static void ngx_http_oci_evict_rest(ngx_http_oci_store_t *st,
    ngx_http_oci_evict_t *ev);
static void ngx_http_oci_evict_report(ngx_http_oci_store_t *st,
    ngx_http_oci_evict_t *ev);
static ngx_msec_t ngx_http_oci_evict_fills(ngx_http_oci_store_t *st,
    ngx_http_oci_evict_t *ev);
static ngx_msec_t ngx_http_oci_evict_interval(time_t age);
static uint64_t ngx_http_oci_evict_fetched(ngx_http_oci_store_t *st);


ngx_msec_t
ngx_http_oci_evict_manage(ngx_http_oci_store_t *st)
{
    ngx_msec_t             pass, fills;
    ngx_http_oci_evict_t  *ev;

    if (st->evict == NULL) {
        st->evict = ngx_http_oci_evict_create(st);

        if (st->evict == NULL) {
            return NGX_HTTP_OCI_EVICT_MAX;
        }
    }

    ev = st->evict;

    pass = (ev->evict != NULL) ? ngx_http_oci_evict_pass(st, ev)
                               : NGX_HTTP_OCI_EVICT_MAX;

    fills = ngx_http_oci_evict_fills(st, ev);

    return ngx_min(pass, fills);
}


static ngx_http_oci_evict_t *
ngx_http_oci_evict_create(ngx_http_oci_store_t *st)
{
    ngx_http_oci_evict_t  *ev;

    ev = ngx_calloc(sizeof(ngx_http_oci_evict_t), ngx_cycle->log);
    if (ev == NULL) {
        return NULL;
    }

    ev->limits.max_size = st->max_size;
    ev->limits.min_free = st->min_free;
    ev->limits.inactive = st->inactive;

    if (ngx_http_oci_evict_limited(st)) {
        ev->evict = oci_evict_create(&st->store);
    }

    ev->next = ngx_current_msec;
    ev->latest = ngx_current_msec + ngx_http_oci_evict_interval(st->inactive);
    ev->fills_at = ngx_current_msec
                   + ngx_http_oci_evict_interval(st->upload_timeout);

    return ev;
}


/* whoever waits for room has no time for the manager's own turns */

void
ngx_http_oci_evict_woken(void)
{
    ngx_msec_t                  next;
    ngx_uint_t                  i;
    ngx_http_oci_store_t      **stores;
    ngx_http_oci_main_conf_t   *omcf;

    static ngx_event_t       timer;
    static ngx_connection_t  dumb;

    omcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                               ngx_http_oci_module);
    stores = omcf->stores.elts;
    next = NGX_HTTP_OCI_EVICT_LOOK;

    for (i = 0; i < omcf->stores.nelts; i++) {

        /* of the loader, and before the manager's first turn, there is none */

        if (stores[i]->evict && ngx_http_oci_zone_wanted(&stores[i]->cache)) {
            stores[i]->cache.stats->writing = 1;
            next = ngx_min(next, ngx_http_oci_evict_manage(stores[i]));
            stores[i]->cache.stats->writing = 0;
        }
    }

    if (next < NGX_HTTP_OCI_EVICT_LOOK && !timer.timer_set) {
        timer.handler = ngx_http_oci_evict_timer;
        timer.data = &dumb;
        timer.log = ngx_cycle->log;
        timer.cancelable = 1;

        dumb.fd = (ngx_socket_t) -1;

        ngx_add_timer(&timer, next);
    }
}


static void
ngx_http_oci_evict_timer(ngx_event_t *ev)
{
    ngx_http_oci_evict_woken();
}


ngx_uint_t
ngx_http_oci_evict_limited(ngx_http_oci_store_t *st)
{
    return st->max_size || st->min_free || st->inactive;
}


static ngx_msec_t
ngx_http_oci_evict_pass(ngx_http_oci_store_t *st, ngx_http_oci_evict_t *ev)
{
    if (!ev->running) {

        if (!ngx_http_oci_evict_due(st, ev)) {
            return NGX_HTTP_OCI_EVICT_LOOK;
        }

        ev->running = 1;
        ev->began = ngx_current_msec;
        ev->fetched = ngx_http_oci_evict_fetched(st);
        ev->roomy = (ev->limits.wanted != 0);
    }

    /* a wish may come, or grow, while a pass is under way */

    ev->limits.wanted = (int64_t) ngx_http_oci_zone_wanted(&st->cache);

    switch (oci_evict_step(ev->evict, &ev->limits,
                           NGX_HTTP_OCI_EVICT_BUDGET))
    {

    case OCI_OK:
        return NGX_HTTP_OCI_EVICT_PAUSE;

    case OCI_ERROR:
        ngx_http_oci_log_failure(ngx_cycle->log, oci_failure());
        return NGX_HTTP_OCI_EVICT_LOOK;

    case OCI_EXISTS:

        /* more has to go than one pass remembers */

        ngx_http_oci_evict_report(st, ev);
        ev->running = 0;
        ev->fetched = (uint64_t) -1;
        return NGX_HTTP_OCI_EVICT_PAUSE;

    case OCI_NOT_FOUND:
        ngx_http_oci_evict_report(st, ev);
        ngx_http_oci_evict_rest(st, ev);
        ev->latest = ngx_current_msec
                     + ngx_http_oci_evict_interval(st->inactive);
        return NGX_HTTP_OCI_EVICT_LOOK;

    default: /* OCI_AGAIN: another nginx on this store does it */
        ev->running = 0;
        ev->next = ngx_current_msec + NGX_HTTP_OCI_EVICT_RETRY;
        return NGX_HTTP_OCI_EVICT_RETRY;
    }
}


/* for room that is wanted it begins sooner */

static ngx_uint_t
ngx_http_oci_evict_due(ngx_http_oci_store_t *st, ngx_http_oci_evict_t *ev)
{
    ev->limits.wanted = (int64_t) ngx_http_oci_zone_wanted(&st->cache);

    if (ev->limits.wanted
        && (ngx_msec_int_t) (ev->soon - ngx_current_msec) <= 0
        && oci_evict_urgent(&st->store, &ev->limits))
    {
        return 1;
    }

    ev->limits.wanted = 0;

    return (ngx_msec_int_t) (ev->next - ngx_current_msec) <= 0
           && (ngx_http_oci_evict_fetched(st) != ev->fetched
               || (ngx_msec_int_t) (ev->latest - ngx_current_msec) <= 0
               || oci_evict_urgent(&st->store, &ev->limits));
}


static void
ngx_http_oci_evict_rest(ngx_http_oci_store_t *st, ngx_http_oci_evict_t *ev)
{
    ngx_msec_t  took;

    ngx_time_update();

    took = ngx_current_msec - ev->began;

    ev->running = 0;
    ev->next = ngx_current_msec + NGX_HTTP_OCI_EVICT_REST * took;

    /* whoever was waited for may first take what was made */

    ev->soon = ngx_current_msec + ngx_max(took, NGX_HTTP_OCI_EVICT_SOON);

    /* all that could go for those who wait has gone */

    if (ev->roomy && ev->limits.wanted
        && oci_evict_urgent(&st->store, &ev->limits))
    {
        ngx_http_oci_zone_vain(&st->cache, (uint64_t) ev->limits.wanted);
    }
}


static void
ngx_http_oci_evict_report(ngx_http_oci_store_t *st, ngx_http_oci_evict_t *ev)
{
    oci_evict_stats_t        *was;
    ngx_http_oci_stats_t     *stats;
    const oci_evict_stats_t  *is;

    was = &ev->reported;
    is = oci_evict_stats(ev->evict);
    stats = st->cache.stats;

    if (is->names != was->names) {
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "oci: evicted %uL names of \"%V\", %uL files of %uL "
                      "bytes, %L bytes are left",
                      is->names - was->names, &st->name,
                      is->files - was->files, is->bytes - was->bytes,
                      is->size);
    }

    stats->counters[NGX_HTTP_OCI_STATS_EVICTED_FILES] += is->files
                                                         - was->files;
    stats->counters[NGX_HTTP_OCI_STATS_EVICTED_BYTES] += is->bytes
                                                         - was->bytes;

    *was = *is;
}


/* fills that nobody goes on with, as uploads */

static ngx_msec_t
ngx_http_oci_evict_fills(ngx_http_oci_store_t *st, ngx_http_oci_evict_t *ev)
{
    int             n;
    ngx_msec_int_t  left;

    left = (ngx_msec_int_t) (ev->fills_at - ngx_current_msec);

    if (left > 0) {
        return (ngx_msec_t) left;
    }

    n = oci_fill_expire(&st->store, st->upload_timeout,
                        NGX_HTTP_OCI_EVICT_FILLS);

    if (n == OCI_ERROR) {
        ngx_http_oci_log_failure(ngx_cycle->log, oci_failure());

    } else if (n > 0) {
        ngx_log_error(NGX_LOG_INFO, ngx_cycle->log, 0,
                      "oci: removed %d abandoned fills of \"%V\"", n,
                      &st->name);
    }

    ev->fills_at = ngx_current_msec
                   + ngx_http_oci_evict_interval(st->upload_timeout);

    return ngx_http_oci_evict_interval(st->upload_timeout);
}


static ngx_msec_t
ngx_http_oci_evict_interval(time_t age)
{
    ngx_msec_t  interval;

    if (age == 0) {
        return NGX_HTTP_OCI_EVICT_MAX;
    }

    interval = (ngx_msec_t) age * 1000 / 24;
    interval = ngx_max(interval, 100);

    return ngx_min(interval, NGX_HTTP_OCI_EVICT_MAX);
}


/* bytes that came from upstreams, in all workers together */

static uint64_t
ngx_http_oci_evict_fetched(ngx_http_oci_store_t *st)
{
    uint64_t                 sum;
    ngx_uint_t               i;
    ngx_http_oci_zone_sh_t  *sh;

    sh = st->cache.sh;
    sum = 0;

    for (i = 0; i < sh->nslots; i++) {
        sum += sh->slots[i].counters[NGX_HTTP_OCI_STATS_UPSTREAM_BYTES];
    }

    return sum;
}
