
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * The first worker looks for them every few seconds, in a thread: its place
 * is taken by another process when it dies.  What a fill says of where it
 * comes from has to be what a location's configuration says now, and only
 * where that needs no client: a fixed upstream, and the edge's own account.
 */


#include "ngx_http_oci_resume.h"
#include "ngx_http_oci_circuit.h"
#include "ngx_http_oci_detached.h"
#include "ngx_http_oci_fill.h"
#include "ngx_http_oci_job.h"


#define NGX_HTTP_OCI_RESUME_FIRST  1000     /* ms after the start */
#define NGX_HTTP_OCI_RESUME_EACH   3000
#define NGX_HTTP_OCI_RESUME_IDLE   3        /* seconds without a byte */
#define NGX_HTTP_OCI_RESUME_MAX    4        /* fills at once */
#define NGX_HTTP_OCI_RESUME_LOOK   16       /* of those that are found */
#define NGX_HTTP_OCI_RESUME_TIMES  12       /* 3 s, 6 s, ... 1.7 hours */


typedef struct {
    ngx_http_oci_store_t   *store;
    ngx_thread_pool_t      *pool;
    ngx_event_t             timer;
    ngx_http_oci_job_t      job;
    oci_fill_left_t        *left;
    int                     n;
    unsigned                cursor;
} ngx_http_oci_resume_t;


static ngx_int_t ngx_http_oci_resume_store(ngx_cycle_t *cycle,
    ngx_http_oci_store_t *st, ngx_array_t *edges);
static ngx_uint_t ngx_http_oci_resume_fit(ngx_http_oci_loc_conf_t *olcf,
    ngx_http_oci_store_t *st);
static void ngx_http_oci_resume_timer(ngx_event_t *ev);
static int ngx_http_oci_resume_work(void *data);
static void ngx_http_oci_resume_done(void *data, int rc);
static void ngx_http_oci_resume_fill(ngx_http_oci_resume_t *rs,
    oci_fill_left_t *left);
static ngx_uint_t ngx_http_oci_resume_leads(ngx_http_oci_loc_conf_t *olcf,
    oci_fill_from_t *from);
static ngx_int_t ngx_http_oci_resume_at(ngx_http_oci_loc_conf_t *olcf,
    oci_fill_left_t *left, ngx_pool_t *pool);


ngx_int_t
ngx_http_oci_resume_init_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                  i;
    ngx_http_oci_store_t      **stores;
    ngx_http_oci_main_conf_t   *omcf;

    if ((ngx_process != NGX_PROCESS_WORKER || ngx_worker != 0)
        && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    omcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_oci_module);
    stores = omcf->stores.elts;

    for (i = 0; i < omcf->stores.nelts; i++) {
        if (ngx_http_oci_resume_store(cycle, stores[i], &omcf->edges)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_oci_resume_store(ngx_cycle_t *cycle, ngx_http_oci_store_t *st,
    ngx_array_t *edges)
{
    ngx_uint_t                 i;
    ngx_http_oci_resume_t     *rs;
    ngx_http_oci_loc_conf_t  **olcf;

    olcf = edges->elts;

    for (i = 0; i < edges->nelts; i++) {
        if (ngx_http_oci_resume_fit(olcf[i], st)) {
            break;
        }
    }

    if (i == edges->nelts) {
        return NGX_OK;
    }

    rs = ngx_pcalloc(cycle->pool, sizeof(ngx_http_oci_resume_t));
    if (rs == NULL) {
        return NGX_ERROR;
    }

    rs->left = ngx_palloc(cycle->pool, NGX_HTTP_OCI_RESUME_LOOK
                                       * sizeof(oci_fill_left_t));
    if (rs->left == NULL) {
        return NGX_ERROR;
    }

    rs->store = st;
    rs->pool = olcf[i]->write_pool;

    rs->timer.handler = ngx_http_oci_resume_timer;
    rs->timer.data = rs;
    rs->timer.log = cycle->log;
    rs->timer.cancelable = 1;

    ngx_http_oci_job_init(&rs->job, cycle->log, ngx_http_oci_resume_work,
                          ngx_http_oci_resume_done, rs);

    ngx_add_timer(&rs->timer, NGX_HTTP_OCI_RESUME_FIRST);

    return NGX_OK;
}


static ngx_uint_t
ngx_http_oci_resume_fit(ngx_http_oci_loc_conf_t *olcf,
    ngx_http_oci_store_t *st)
{
    ngx_http_oci_edge_conf_t  *edge;

    edge = olcf->edge;

    return olcf->store == st && edge->target && edge->ssl_name_fixed
           && ngx_http_oci_fill_alone(edge);
}


static void
ngx_http_oci_resume_timer(ngx_event_t *ev)
{
    ngx_http_oci_resume_t  *rs;

    rs = ev->data;

    if (ngx_exiting) {
        return;
    }

    if (rs->store->ready
        && ngx_http_oci_fill_continued() < NGX_HTTP_OCI_RESUME_MAX
        && ngx_http_oci_job_post(&rs->job, rs->pool) == NGX_OK)
    {
        return;
    }

    ngx_add_timer(ev, NGX_HTTP_OCI_RESUME_EACH);
}


static int
ngx_http_oci_resume_work(void *data)
{
    ngx_http_oci_resume_t  *rs = data;

    rs->n = oci_fill_left(&rs->store->store, NGX_HTTP_OCI_RESUME_IDLE,
                          rs->store->min_free, &rs->cursor, rs->left,
                          NGX_HTTP_OCI_RESUME_LOOK);

    return (rs->n == OCI_ERROR) ? OCI_ERROR : OCI_OK;
}


static void
ngx_http_oci_resume_done(void *data, int rc)
{
    ngx_http_oci_resume_t  *rs = data;

    int  i;

    if (ngx_exiting) {
        return;
    }

    for (i = 0; rc == OCI_OK && i < rs->n; i++) {

        if (ngx_http_oci_fill_continued() >= NGX_HTTP_OCI_RESUME_MAX) {
            break;
        }

        ngx_http_oci_resume_fill(rs, &rs->left[i]);
    }

    ngx_add_timer(&rs->timer, NGX_HTTP_OCI_RESUME_EACH);
}


/* by the first location that leads to where it comes from */

static void
ngx_http_oci_resume_fill(ngx_http_oci_resume_t *rs, oci_fill_left_t *left)
{
    ngx_int_t                   rc;
    ngx_uint_t                  i;
    ngx_pool_t                 *pool;
    ngx_http_oci_loc_conf_t   **olcf;
    ngx_http_oci_main_conf_t   *omcf;

    if (ngx_http_oci_fill_barred(&rs->store->cache,
                                 NGX_HTTP_OCI_ZONE_RESUME, &left->digest,
                                 left->total))
    {
        return;
    }

    omcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                               ngx_http_oci_module);
    olcf = omcf->edges.elts;

    for (i = 0; i < omcf->edges.nelts; i++) {

        if (!ngx_http_oci_resume_fit(olcf[i], rs->store)
            || !ngx_http_oci_resume_leads(olcf[i], &left->from))
        {
            continue;
        }

        pool = ngx_create_pool(4096, ngx_cycle->log);
        if (pool == NULL) {
            return;
        }

        rc = ngx_http_oci_resume_at(olcf[i], left, pool);

        ngx_destroy_pool(pool);

        if (rc != NGX_DECLINED) {
            return;
        }
    }
}


/* 1 if its upstream and its namespace are those */

static ngx_uint_t
ngx_http_oci_resume_leads(ngx_http_oci_loc_conf_t *olcf,
    oci_fill_from_t *from)
{
    ngx_str_t   *key, *allow;
    oci_str_t   *ns;
    ngx_uint_t   i;

    key = &olcf->edge->target->key;
    ns = &from->repo.ns;

    if (key->len != from->upstream.len
        || ngx_memcmp(key->data, from->upstream.data, key->len) != 0)
    {
        return 0;
    }

    if (olcf->ns == NULL) {
        return ns->len == 0;
    }

    if (olcf->ns->lengths == NULL) {
        allow = &olcf->ns->value;
        i = 1;

    } else {
        allow = olcf->ns_allow->elts;
        i = olcf->ns_allow->nelts;
    }

    while (i--) {
        if (allow[i].len == ns->len
            && (ns->len == 0
                || ngx_memcmp(allow[i].data, ns->data, ns->len) == 0))
        {
            return 1;
        }
    }

    return 0;
}


/*
 * NGX_DECLINED: the repository is another one there, by this location;
 * NGX_OK: it is at work, or it is not the time.
 */

static ngx_int_t
ngx_http_oci_resume_at(ngx_http_oci_loc_conf_t *olcf, oci_fill_left_t *left,
    ngx_pool_t *pool)
{
    u_char                   *p, text[OCI_DIGEST_MAX];
    size_t                    len;
    ngx_int_t                 rc;
    ngx_str_t                 uri, host, name;
    ngx_http_request_t       *r;
    ngx_http_oci_target_t    *target;
    ngx_http_oci_fill_ask_t   ask;

    name.len = left->from.repo.name.len;
    name.data = left->from.repo.name.data;

    ngx_str_null(&host);

    len = oci_digest_text(&left->digest, text);

    p = ngx_pnalloc(pool, sizeof("/v2//blobs/") + name.len + len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    uri.data = p;
    uri.len = ngx_sprintf(p, "/v2/%V/blobs/%*s", &name, len, text) - p;

    r = ngx_http_oci_detached_create(pool, ngx_cycle->log, olcf->edge,
                                     NGX_HTTP_GET, &uri, &host);
    if (r == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_http_oci_target_eval(r, olcf->edge, &name, &target);

    ngx_http_oci_detached_destroy(r);

    if (rc != NGX_OK
        || target->repository.len != left->from.remote.len
        || ngx_memcmp(target->repository.data, left->from.remote.data,
                      target->repository.len)
           != 0)
    {
        return NGX_DECLINED;
    }

    if (olcf->edge->use_stale
        && ngx_http_oci_circuit_dead(&olcf->store->cache, target))
    {
        return NGX_OK;
    }

    ngx_http_oci_fill_bar(&olcf->store->cache, NGX_HTTP_OCI_ZONE_RESUME,
                          &left->digest, NGX_HTTP_OCI_RESUME_EACH,
                          NGX_HTTP_OCI_RESUME_TIMES, left->total);

    ngx_memzero(&ask, sizeof(ngx_http_oci_fill_ask_t));

    ask.conf = olcf->edge;
    ask.store = &olcf->store->store;
    ask.zone = &olcf->store->cache;
    ask.pool = olcf->write_pool;
    ask.reserve = olcf->store->min_free;
    ask.target = target;
    ask.repo = &left->from.repo;
    ask.digest = &left->digest;
    ask.size = -1;
    ask.known = 1;

    if (ngx_http_oci_fill_continue(&ask) == NGX_OK) {
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "oci: going on with the fill of %*s from %V, %L bytes "
                      "are here", len, text, &target->key, left->total);
    }

    return NGX_OK;
}
