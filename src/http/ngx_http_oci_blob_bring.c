
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * A reader of a fill that takes no bytes: it waits for the end.
 */


#include "ngx_http_oci_blob_pull.h"
#include "ngx_http_oci_task.h"


typedef struct {
    ngx_http_request_t       *request;
    ngx_http_oci_upstream_t  *u;
    ngx_http_oci_fill_ask_t   ask;
    ngx_http_oci_reader_t     reader;
    oci_range_t               whole;
    ngx_http_oci_bring_pt     done;
    void                     *data;
} ngx_http_oci_bring_t;


static void ngx_http_oci_blob_bring_news(ngx_http_oci_reader_t *rd);
static void ngx_http_oci_blob_bring_on(ngx_http_oci_bring_t *b);
static void ngx_http_oci_blob_bring_cleanup(void *data);


ngx_int_t
ngx_http_oci_blob_bring(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx,
    off_t size, ngx_uint_t known, ngx_http_oci_bring_pt done, void *data)
{
    ngx_int_t              rc;
    ngx_pool_cleanup_t    *cln;
    ngx_http_oci_bring_t  *b;

    cln = ngx_pool_cleanup_add(r->pool, 0);
    b = ngx_pcalloc(r->pool, sizeof(ngx_http_oci_bring_t));

    if (cln == NULL || b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_oci_upstream_create(r, ctx, &b->u);

    if (rc != NGX_OK) {
        return rc;
    }

    ngx_http_oci_blob_pull_ask(b->u, &b->ask);

    /* of a client that is to be asked for, a manifest alone says nothing */

    b->ask.size = size;
    b->ask.known = known && ngx_http_oci_upstream_allowed(b->u, NULL);

    b->request = r;
    b->done = done;
    b->data = data;

    b->reader.handler = ngx_http_oci_blob_bring_news;
    b->reader.data = b;
    b->reader.bytes = &ctx->upstream_bytes;

    switch (ngx_http_oci_fill_join(&b->ask, &b->reader)) {

    case NGX_OK:
        break;

    case NGX_BUSY:
        return NGX_HTTP_BAD_GATEWAY;

    default:
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_http_oci_blob_bring_cleanup;
    cln->data = b;

    r->write_event_handler = ngx_http_request_empty_handler;

    ngx_http_oci_task_watch(r);

    return NGX_OK;
}


static void
ngx_http_oci_blob_bring_news(ngx_http_oci_reader_t *rd)
{
    ngx_connection_t      *c;
    ngx_http_oci_bring_t  *b;

    b = rd->data;
    c = b->request->connection;

    ngx_http_set_log_request(c->log, b->request);

    ngx_http_oci_blob_bring_on(b);

    ngx_http_run_posted_requests(c);
}


static void
ngx_http_oci_blob_bring_on(ngx_http_oci_bring_t *b)
{
    ngx_uint_t              status;
    ngx_http_oci_reader_t  *rd;

    rd = &b->reader;

    switch (ngx_http_oci_fill_look(rd)) {

    case NGX_AGAIN:
        return;

    case NGX_OK:

        if (ngx_http_oci_fill_fd(rd) == NGX_INVALID_FILE) {
            return;
        }

        /* as one who reads on as fast as it comes */

        if (rd->ranges == NULL) {
            b->whole.end = ngx_http_oci_fill_blob_size(rd);

            rd->ranges = &b->whole;
            rd->nranges = (b->whole.end > 0) ? 1 : 0;
        }

        rd->pos = ngx_http_oci_fill_ready(rd, rd->pos, b->whole.end);

        if (rd->pos == b->whole.end) {
            rd->at = rd->nranges;
        }

        ngx_http_oci_fill_want(rd);
        return;

    case NGX_DONE:
        status = NGX_HTTP_OK;
        break;

    case NGX_DECLINED:
        status = NGX_HTTP_INSUFFICIENT_STORAGE;
        break;

    default: /* NGX_ERROR */
        status = rd->status;
    }

    ngx_http_oci_fill_leave(rd);

    b->done(b->request, b->data, status, rd->retry_after);
}


static void
ngx_http_oci_blob_bring_cleanup(void *data)
{
    ngx_http_oci_bring_t  *b = data;

    ngx_http_oci_fill_leave(&b->reader);
}
