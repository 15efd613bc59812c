
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Who may read of a fill, and where it can be fetched: a repository gets
 * into it by a manifest that it has and that names the blob, or by the
 * upstream's yes for this repository with the credentials in force.
 */


#include "ngx_http_oci_fill_part.h"


static ngx_uint_t ngx_http_oci_source_same(ngx_http_oci_source_t *source,
    ngx_http_oci_fill_ask_t *ask);
static ngx_uint_t ngx_http_oci_source_equal(const u_char *a, size_t a_len,
    const u_char *b, size_t b_len);
static ngx_http_oci_source_t *ngx_http_oci_source_create(
    ngx_http_oci_fill_t *fill, ngx_http_oci_fill_ask_t *ask);
static ngx_int_t ngx_http_oci_source_copy(ngx_pool_t *pool, oci_str_t *to,
    const oci_str_t *from);
static void ngx_http_oci_source_answer(void *data, ngx_uint_t status,
    off_t size, ngx_int_t retry_after);


ngx_http_oci_source_t *
ngx_http_oci_source_get(ngx_http_oci_fill_t *fill,
    ngx_http_oci_fill_ask_t *ask)
{
    ngx_queue_t            *q;
    ngx_http_oci_source_t  *source;

    for (q = ngx_queue_head(&fill->sources);
         q != ngx_queue_sentinel(&fill->sources);
         q = ngx_queue_next(q))
    {
        source = ngx_queue_data(q, ngx_http_oci_source_t, queue);

        if (!ngx_http_oci_source_same(source, ask)) {
            continue;
        }

        if (source->state == NGX_HTTP_OCI_SOURCE_NO) {

            /* its readers were told; this one asks again */

            source->state = NGX_HTTP_OCI_SOURCE_NEW;
        }

        goto found;
    }

    source = ngx_http_oci_source_create(fill, ask);
    if (source == NULL) {
        return NULL;
    }

found:

    if (ask->known && source->state == NGX_HTTP_OCI_SOURCE_NEW) {
        source->state = NGX_HTTP_OCI_SOURCE_YES;
    }

    return source;
}


static ngx_uint_t
ngx_http_oci_source_same(ngx_http_oci_source_t *source,
    ngx_http_oci_fill_ask_t *ask)
{
    return source->conf == ask->conf
           && ngx_http_oci_source_equal(source->repo.ns.data,
                                        source->repo.ns.len,
                                        ask->repo->ns.data,
                                        ask->repo->ns.len)
           && ngx_http_oci_source_equal(source->repo.name.data,
                                        source->repo.name.len,
                                        ask->repo->name.data,
                                        ask->repo->name.len)
           && ngx_http_oci_source_equal(source->authorization.data,
                                        source->authorization.len,
                                        ask->authorization.data,
                                        ask->authorization.len)
           && ngx_http_oci_source_equal(source->target->key.data,
                                        source->target->key.len,
                                        ask->target->key.data,
                                        ask->target->key.len)
           && ngx_http_oci_source_equal(source->target->repository.data,
                                        source->target->repository.len,
                                        ask->target->repository.data,
                                        ask->target->repository.len);
}


static ngx_uint_t
ngx_http_oci_source_equal(const u_char *a, size_t a_len, const u_char *b,
    size_t b_len)
{
    return a_len == b_len && (a_len == 0 || ngx_memcmp(a, b, a_len) == 0);
}


static ngx_http_oci_source_t *
ngx_http_oci_source_create(ngx_http_oci_fill_t *fill,
    ngx_http_oci_fill_ask_t *ask)
{
    oci_str_t               authorization;
    ngx_http_oci_source_t  *source;

    source = ngx_pcalloc(fill->pool, sizeof(ngx_http_oci_source_t));
    if (source == NULL) {
        return NULL;
    }

    source->fill = fill;
    source->conf = ask->conf;
    source->retry_after = -1;

    source->target = ngx_http_oci_target_copy(fill->pool, ask->target);
    if (source->target == NULL) {
        return NULL;
    }

    authorization.len = ask->authorization.len;
    authorization.data = ask->authorization.data;

    if (ngx_http_oci_source_copy(fill->pool, &source->repo.ns,
                                 &ask->repo->ns)
        != NGX_OK
        || ngx_http_oci_source_copy(fill->pool, &source->repo.name,
                                    &ask->repo->name)
           != NGX_OK
        || ngx_http_oci_source_copy(fill->pool, &authorization,
                                    &authorization)
           != NGX_OK)
    {
        return NULL;
    }

    source->authorization.len = authorization.len;
    source->authorization.data = authorization.data;

    ngx_queue_insert_tail(&fill->sources, &source->queue);

    return source;
}


static ngx_int_t
ngx_http_oci_source_copy(ngx_pool_t *pool, oci_str_t *to,
    const oci_str_t *from)
{
    u_char  *p;

    p = ngx_pnalloc(pool, from->len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    if (from->len) {
        ngx_memcpy(p, from->data, from->len);
    }

    to->len = from->len;
    to->data = p;

    return NGX_OK;
}


/*
 * Asks for those that have no answer yet; not while the first bytes that
 * one of them gives are themselves the answer.
 */

void
ngx_http_oci_source_ask(ngx_http_oci_fill_t *fill)
{
    ngx_queue_t            *q;
    ngx_http_oci_source_t  *source;

    if (fill->state != NGX_HTTP_OCI_FILL_WAITING
        && fill->state != NGX_HTTP_OCI_FILL_RUNNING
        && fill->state != NGX_HTTP_OCI_FILL_PRESENT)
    {
        return;
    }

    for (q = ngx_queue_head(&fill->sources);
         q != ngx_queue_sentinel(&fill->sources);
         q = ngx_queue_next(q))
    {
        source = ngx_queue_data(q, ngx_http_oci_source_t, queue);

        if (source->state != NGX_HTTP_OCI_SOURCE_NEW) {
            continue;
        }

        if (ngx_http_oci_source_dead(source)) {
            ngx_http_oci_source_set(source, NGX_HTTP_OCI_SOURCE_NO,
                                    NGX_HTTP_BAD_GATEWAY, -1);
            continue;
        }

        source->ask = ngx_http_oci_inquire(source->conf, source->target,
                                       fill->zone, &fill->path,
                                       &source->authorization, 0,
                                       ngx_http_oci_source_answer, source);

        if (source->ask == NULL) {
            ngx_http_oci_source_set(source, NGX_HTTP_OCI_SOURCE_NO,
                                    NGX_HTTP_INTERNAL_SERVER_ERROR, -1);
            continue;
        }

        ngx_http_oci_source_set(source, NGX_HTTP_OCI_SOURCE_ASKING, 0, -1);
    }
}


static void
ngx_http_oci_source_answer(void *data, ngx_uint_t status, off_t size,
    ngx_int_t retry_after)
{
    ngx_http_oci_source_t  *source = data;

    source->ask = NULL;

    if (source->state != NGX_HTTP_OCI_SOURCE_ASKING) {
        return;
    }

    if (status == NGX_HTTP_OK) {

        if (source->fill->size < 0) {
            source->fill->size = size;
        }

        ngx_http_oci_source_set(source, NGX_HTTP_OCI_SOURCE_YES, 0, -1);
        return;
    }

    ngx_http_oci_source_set(source, NGX_HTTP_OCI_SOURCE_NO, status,
                            retry_after);
}


void
ngx_http_oci_source_set(ngx_http_oci_source_t *source,
    ngx_http_oci_source_state_e state, ngx_uint_t status,
    ngx_int_t retry_after)
{
    source->state = state;
    source->status = status;
    source->retry_after = retry_after;

    ngx_http_oci_fill_news(source->fill);
}


/* the youngest in that state: its right was given last; NULL: none */

ngx_http_oci_source_t *
ngx_http_oci_source_pick(ngx_http_oci_fill_t *fill,
    ngx_http_oci_source_state_e state)
{
    ngx_queue_t            *q;
    ngx_http_oci_source_t  *source;

    for (q = ngx_queue_last(&fill->sources);
         q != ngx_queue_sentinel(&fill->sources);
         q = ngx_queue_prev(q))
    {
        source = ngx_queue_data(q, ngx_http_oci_source_t, queue);

        if (source->state == state) {
            return source;
        }
    }

    return NULL;
}


/* 1 if all who are here have been refused */

ngx_uint_t
ngx_http_oci_source_none(ngx_http_oci_fill_t *fill)
{
    return ngx_http_oci_source_pick(fill, NGX_HTTP_OCI_SOURCE_YES) == NULL
           && ngx_http_oci_source_pick(fill, NGX_HTTP_OCI_SOURCE_ASKING)
              == NULL
           && ngx_http_oci_source_pick(fill, NGX_HTTP_OCI_SOURCE_NEW) == NULL;
}


/* 1 if its upstream is known not to answer */

ngx_uint_t
ngx_http_oci_source_dead(ngx_http_oci_source_t *source)
{
    return source->conf->use_stale
           && ngx_http_oci_circuit_dead(source->fill->zone, source->target);
}


void
ngx_http_oci_source_cancel(ngx_http_oci_fill_t *fill)
{
    ngx_queue_t            *q;
    ngx_http_oci_inquiry_t  *ask;
    ngx_http_oci_source_t  *source;

    for (q = ngx_queue_head(&fill->sources);
         q != ngx_queue_sentinel(&fill->sources);
         q = ngx_queue_next(q))
    {
        source = ngx_queue_data(q, ngx_http_oci_source_t, queue);
        ask = source->ask;

        if (ask) {
            source->ask = NULL;
            ngx_http_oci_inquiry_cancel(ask);
        }
    }
}
