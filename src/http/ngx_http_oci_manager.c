
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Housekeeping, in nginx's cache manager process: it has one thread and
 * serves the operator's proxy_cache too, so a call works for a short while
 * only, and nothing is scanned at start.
 */


#include "ngx_http_oci_evict.h"
#include "ngx_http_oci_task.h"

#include "oci_upload.h"


#define NGX_HTTP_OCI_MANAGER_BUDGET     50      /* milliseconds of a call */
#define NGX_HTTP_OCI_MANAGER_PAUSE      50      /* between calls of a pass */
#define NGX_HTTP_OCI_MANAGER_MIN        100
#define NGX_HTTP_OCI_MANAGER_MAX        3600000
#define NGX_HTTP_OCI_MANAGER_RETRY      10000
#define NGX_HTTP_OCI_MANAGER_UPLOADS    200     /* looked at in a call */
#define NGX_HTTP_OCI_MANAGER_MANIFEST   (64 * 1024 * 1024)


static ngx_msec_t ngx_http_oci_manager_collect(ngx_http_oci_store_t *st);
static ngx_msec_t ngx_http_oci_manager_expire(ngx_http_oci_store_t *st);
static ngx_msec_t ngx_http_oci_manager_expire_interval(
    ngx_http_oci_store_t *st);
static const oci_collect_policy_t *ngx_http_oci_manager_policy(void *data,
    const oci_str_t *ns);
static ngx_msec_t ngx_http_oci_manager_interval(ngx_http_oci_store_t *st);
static void ngx_http_oci_manager_report(ngx_http_oci_store_t *st);
static ngx_msec_t ngx_http_oci_manager_left(ngx_msec_t at);


static const oci_collect_policy_t  ngx_http_oci_default_policy = {
    24 * 60 * 60,                   /* grace */
    -1,                             /* untagged: keep */
    0,                              /* keep_tags: all */
    NGX_HTTP_OCI_MANAGER_MANIFEST   /* max_size */
};


ngx_msec_t
ngx_http_oci_manager(void *data)
{
    ngx_http_oci_store_t  *st = data;

    ngx_msec_t  collect, evict, expire;

    if (st->upload_timeout == 0) {

        /* no location uses it, so nothing says what may go */

        return NGX_HTTP_OCI_MANAGER_MAX;
    }

    if (!st->ready) {
        return NGX_HTTP_OCI_MANAGER_RETRY;
    }

    if (!st->scheduled) {
        st->scheduled = 1;

        st->collect = oci_collect_create(&st->store,
                                         ngx_http_oci_manager_policy, st);

        st->collect_at = ngx_current_msec + ngx_http_oci_manager_interval(st);
        st->expire_at = ngx_current_msec
                        + ngx_http_oci_manager_expire_interval(st);
    }

    st->cache.stats->writing = 1;

    evict = ngx_http_oci_evict_manage(st);
    expire = ngx_http_oci_manager_expire(st);
    collect = ngx_http_oci_manager_collect(st);

    st->cache.stats->writing = 0;

    return ngx_min(evict, ngx_min(expire, collect));
}


static ngx_msec_t
ngx_http_oci_manager_collect(ngx_http_oci_store_t *st)
{
    ngx_msec_t  left;

    left = ngx_http_oci_manager_left(st->collect_at);

    if (left) {
        return left;
    }

    if (st->collect == NULL) {
        return NGX_HTTP_OCI_MANAGER_MAX;
    }

    switch (oci_collect_step(st->collect, NGX_HTTP_OCI_MANAGER_BUDGET)) {

    case OCI_OK:
        return NGX_HTTP_OCI_MANAGER_PAUSE;

    case OCI_ERROR:
        ngx_http_oci_log_failure(ngx_cycle->log, oci_failure());
        return NGX_HTTP_OCI_MANAGER_PAUSE;

    case OCI_NOT_FOUND:
        ngx_http_oci_manager_report(st);
        left = ngx_http_oci_manager_interval(st);
        break;

    default: /* OCI_AGAIN: another nginx on this store does it */
        left = NGX_HTTP_OCI_MANAGER_RETRY;
    }

    ngx_time_update();

    st->collect_at = ngx_current_msec + left;

    return left;
}


static ngx_msec_t
ngx_http_oci_manager_expire(ngx_http_oci_store_t *st)
{
    int         n;
    ngx_msec_t  left;

    left = ngx_http_oci_manager_left(st->expire_at);

    if (left) {
        return left;
    }

    n = oci_upload_expire(&st->store, st->upload_timeout,
                          NGX_HTTP_OCI_MANAGER_UPLOADS, &st->expire_cursor);

    if (n == OCI_ERROR) {
        ngx_http_oci_log_failure(ngx_cycle->log, oci_failure());

    } else if (n > 0) {
        ngx_http_oci_stats_add(st->cache.stats,
                               NGX_HTTP_OCI_STATS_UPLOADS_EXPIRED, n);

        ngx_log_error(NGX_LOG_INFO, ngx_cycle->log, 0,
                      "oci: removed %d abandoned uploads of \"%V\"",
                      n, &st->name);
    }

    if (st->expire_cursor != 0 && n != OCI_ERROR) {
        return NGX_HTTP_OCI_MANAGER_PAUSE;
    }

    st->expire_cursor = 0;

    left = ngx_http_oci_manager_expire_interval(st);

    st->expire_at = ngx_current_msec + left;

    return left;
}


static ngx_msec_t
ngx_http_oci_manager_expire_interval(ngx_http_oci_store_t *st)
{
    ngx_msec_t  interval;

    interval = (ngx_msec_t) st->upload_timeout * 1000 / 24;
    interval = ngx_max(interval, NGX_HTTP_OCI_MANAGER_MIN);

    return ngx_min(interval, NGX_HTTP_OCI_MANAGER_MAX);
}


static const oci_collect_policy_t *
ngx_http_oci_manager_policy(void *data, const oci_str_t *ns)
{
    ngx_http_oci_store_t  *st = data;

    ngx_uint_t          i;
    ngx_http_oci_gc_t  *gc;

    gc = st->gc.elts;

    st->policy = ngx_http_oci_default_policy;

    for (i = 0; i < st->gc.nelts; i++) {
        if (gc[i].ns.len == ns->len
            && (ns->len == 0
                || ngx_memcmp(gc[i].ns.data, ns->data, ns->len) == 0))
        {
            st->policy = gc[i].policy;
            break;
        }
    }

    /* also what an earlier configuration let in is read again */

    st->policy.max_size = ngx_max(NGX_HTTP_OCI_MANAGER_MANIFEST,
                                  (int64_t) st->manifest_max_size);

    return &st->policy;
}


int64_t
ngx_http_oci_gc_grace(ngx_http_oci_loc_conf_t *olcf)
{
    return olcf->gc ? olcf->gc->grace : ngx_http_oci_default_policy.grace;
}


/* how long after a pass the next begins: a part of the shortest grace */

static ngx_msec_t
ngx_http_oci_manager_interval(ngx_http_oci_store_t *st)
{
    int64_t             shortest;
    ngx_uint_t          i;
    ngx_msec_t          interval;
    ngx_http_oci_gc_t  *gc;

    gc = st->gc.elts;
    shortest = ngx_http_oci_default_policy.grace;

    for (i = 0; i < st->gc.nelts; i++) {
        shortest = ngx_min(shortest, gc[i].policy.grace);

        if (gc[i].policy.untagged >= 0) {
            shortest = ngx_min(shortest, gc[i].policy.untagged);
        }
    }

    interval = (ngx_msec_t) shortest * 1000 / 24;
    interval = ngx_max(interval, NGX_HTTP_OCI_MANAGER_MIN);

    return ngx_min(interval, NGX_HTTP_OCI_MANAGER_MAX);
}


static void
ngx_http_oci_manager_report(ngx_http_oci_store_t *st)
{
    ngx_uint_t                   level;
    oci_collect_stats_t         *was;
    const oci_collect_stats_t   *is;

    was = &st->reported;
    is = oci_collect_stats(st->collect);

    if (is->damaged != was->damaged) {
        level = NGX_LOG_WARN;

    } else if (is->manifests != was->manifests || is->tags != was->tags
               || is->links != was->links || is->blobs != was->blobs)
    {
        level = NGX_LOG_NOTICE;

    } else {
        level = NGX_LOG_INFO;
    }

    ngx_log_error(level, ngx_cycle->log, 0,
                  "oci: collection pass %uL of \"%V\": manifests %uL, "
                  "tags %uL, links %uL, blobs %uL, bytes %uL, restored %uL, "
                  "damaged %uL, busy %uL",
                  is->passes, &st->name,
                  is->manifests - was->manifests,
                  is->tags - was->tags,
                  is->links - was->links,
                  is->blobs - was->blobs,
                  is->bytes - was->bytes,
                  is->restored - was->restored,
                  is->damaged - was->damaged,
                  is->busy - was->busy);

    *was = *is;
}


static ngx_msec_t
ngx_http_oci_manager_left(ngx_msec_t at)
{
    ngx_msec_int_t  left;

    left = (ngx_msec_int_t) (at - ngx_current_msec);

    return left > 0 ? (ngx_msec_t) left : 0;
}
