
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "ngx_http_oci_body.h"


#define NGX_HTTP_OCI_BODY_PIECE  65536

/* taken from a client before others of the worker have their turn */

#define NGX_HTTP_OCI_BODY_TURN   (128 * 1024)


static void ngx_http_oci_body_init(ngx_http_request_t *r);
static ngx_int_t ngx_http_oci_body_preserve(ngx_http_request_t *r,
    ngx_http_oci_body_t *body);
static void ngx_http_oci_body_handler(ngx_http_request_t *r);
static void ngx_http_oci_body_full(ngx_http_request_t *r,
    ngx_http_oci_body_t *body);
static ngx_int_t ngx_http_oci_body_aim(ngx_http_request_t *r,
    ngx_http_oci_body_t *body);
static void ngx_http_oci_body_unaim(ngx_http_request_t *r,
    ngx_http_oci_body_t *body);
static ngx_int_t ngx_http_oci_body_pass(ngx_http_request_t *r,
    ngx_http_oci_body_t *body);
static ngx_int_t ngx_http_oci_body_pass_buf(ngx_http_request_t *r,
    ngx_http_oci_body_t *body, ngx_buf_t *b);
static ngx_int_t ngx_http_oci_body_pass_file(ngx_http_request_t *r,
    ngx_http_oci_body_t *body, ngx_buf_t *b);
static void ngx_http_oci_body_end(ngx_http_request_t *r,
    ngx_http_oci_body_t *body, ngx_int_t rc);


void
ngx_http_oci_body_read(ngx_http_request_t *r, ngx_http_oci_body_t *body)
{
    ngx_int_t            rc;
    ngx_http_oci_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_oci_module);
    ctx->body = body;

    r->request_body_no_buffering = 1;

    rc = ngx_http_read_client_request_body(r, ngx_http_oci_body_init);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {

        /* its count is given back already, ours is still held */

        body->broken = rc;
        r->read_event_handler = ngx_http_block_reading;
        ngx_http_oci_body_handler(r);
        return;
    }

    /* it holds a count of its own now, which is what end() finalizes */

    ngx_http_finalize_request(r, NGX_DONE);
}


static void
ngx_http_oci_body_init(ngx_http_request_t *r)
{
    ngx_http_oci_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_oci_module);

    if (r->preserve_body && r->request_body
        && ngx_http_oci_body_preserve(r, ctx->body) != NGX_OK)
    {
        ctx->body->broken = NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->read_event_handler = ngx_http_oci_body_handler;
    ngx_http_oci_body_handler(r);
}


/* mirror was here before us, and its subrequests send the same buffers */

static ngx_int_t
ngx_http_oci_body_preserve(ngx_http_request_t *r, ngx_http_oci_body_t *body)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl, *in, **ll;

    body->preserved = 1;

    ll = &body->bufs;

    for (in = r->request_body->bufs; in; in = in->next) {

        cl = ngx_alloc_chain_link(r->pool);
        b = ngx_alloc_buf(r->pool);

        if (cl == NULL || b == NULL) {
            return NGX_ERROR;
        }

        *b = *in->buf;

        cl->buf = b;
        cl->next = NULL;

        *ll = cl;
        ll = &cl->next;
    }

    return NGX_OK;
}


void
ngx_http_oci_body_continue(ngx_http_request_t *r)
{
    ngx_http_oci_body_handler(r);
}


static void
ngx_http_oci_body_handler(ngx_http_request_t *r)
{
    off_t                 turn;
    ngx_int_t             rc;
    ngx_http_oci_ctx_t   *ctx;
    ngx_http_oci_body_t  *body;

    ctx = ngx_http_get_module_ctx(r, ngx_http_oci_module);
    body = ctx->body;

    if (body->ended) {
        return;
    }

    turn = body->received + NGX_HTTP_OCI_BODY_TURN;

    if (r->connection->read->timedout) {
        r->connection->timedout = 1;
        ngx_http_oci_body_end(r, body, NGX_HTTP_REQUEST_TIME_OUT);
        return;
    }

    for ( ;; ) {

        rc = ngx_http_oci_body_pass(r, body);

        if (rc == NGX_AGAIN) {
            ngx_http_oci_body_full(r, body);
            return;
        }

        if (rc != NGX_OK) {
            ngx_http_oci_body_end(r, body, rc);
            return;
        }

        if (body->broken) {
            ngx_http_oci_body_end(r, body, body->broken);
            return;
        }

        if (!r->reading_body) {
            ngx_http_oci_body_end(r, body, NGX_OK);
            return;
        }

        if (body->received >= turn) {
            ngx_post_event(r->connection->read, &ngx_posted_next_events);
            return;
        }

        if (ngx_http_oci_body_aim(r, body) == NGX_AGAIN) {
            ngx_http_oci_body_full(r, body);
            return;
        }

        rc = ngx_http_read_unbuffered_request_body(r);

        if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {

            /* what came before the end of it still counts */

            body->broken = rc;
            continue;
        }

        if (rc == NGX_AGAIN && r->request_body->bufs == NULL) {
            return;
        }
    }
}


/*
 * The sink is full.  What it did not take stays in the buffers, which keeps
 * nginx from reading on; no timer runs meanwhile, since it is not the client
 * who is slow.
 */

static void
ngx_http_oci_body_full(ngx_http_request_t *r, ngx_http_oci_body_t *body)
{
    if (r->connection->read->timer_set) {
        ngx_del_timer(r->connection->read);
    }

    /* level-triggered events are not to come again and again */

    if (r->http_version < NGX_HTTP_VERSION_20
        && ngx_handle_read_event(r->connection->read, 0) != NGX_OK)
    {
        ngx_http_oci_body_end(r, body, NGX_HTTP_INTERNAL_SERVER_ERROR);
    }
}


/*
 * Has nginx receive what comes next where the sink wants it, in one piece of
 * up to a turn, instead of into a buffer of client_body_buffer_size.  It may
 * be done while nothing in that buffer waits to be parsed or taken, and only
 * where no other filter of bodies could still hold on to it.
 */

static ngx_int_t
ngx_http_oci_body_aim(ngx_http_request_t *r, ngx_http_oci_body_t *body)
{
    u_char                   *p;
    size_t                    n;
    ngx_buf_t                *b;
    ngx_int_t                 rc;
    ngx_http_request_body_t  *rb;

    rb = r->request_body;
    b = rb->buf;

    if (body->room == NULL || r->http_version >= NGX_HTTP_VERSION_20
        || body->preserved || rb->bufs || b == NULL || b->pos != b->last
        || ngx_http_top_request_body_filter
           != ngx_http_request_body_save_filter)
    {
        return NGX_DECLINED;
    }

    rc = body->room(r, body->sink, &p, &n);

    if (rc != NGX_OK) {
        ngx_http_oci_body_unaim(r, body);
        return rc;
    }

    if (body->start == NULL) {
        body->start = b->start;
        body->last = b->end;
    }

    b->start = p;
    b->pos = p;
    b->last = p;
    b->end = p + ngx_min(n, NGX_HTTP_OCI_BODY_TURN);

    return NGX_OK;
}


/* what the sink has handed on is nobody's to receive into */

static void
ngx_http_oci_body_unaim(ngx_http_request_t *r, ngx_http_oci_body_t *body)
{
    ngx_buf_t  *b;

    if (body->start == NULL) {
        return;
    }

    b = r->request_body->buf;

    b->start = body->start;
    b->pos = body->start;
    b->last = body->start;
    b->end = body->last;

    body->start = NULL;
}


static ngx_int_t
ngx_http_oci_body_pass(ngx_http_request_t *r, ngx_http_oci_body_t *body)
{
    ngx_int_t     rc;
    ngx_chain_t  *cl, **bufs;

    if (body->preserved) {
        bufs = &body->bufs;

    } else if (r->request_body) {
        bufs = &r->request_body->bufs;

    } else {
        return NGX_OK;
    }

    while (*bufs) {

        cl = *bufs;

        rc = cl->buf->in_file ? ngx_http_oci_body_pass_file(r, body, cl->buf)
                              : ngx_http_oci_body_pass_buf(r, body, cl->buf);

        if (rc != NGX_OK) {
            return rc;
        }

        *bufs = cl->next;
        ngx_free_chain(r->pool, cl);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_oci_body_pass_buf(ngx_http_request_t *r, ngx_http_oci_body_t *body,
    ngx_buf_t *b)
{
    size_t   size;
    ssize_t  n;

    size = b->last - b->pos;

    if (size == 0) {
        return NGX_OK;
    }

    n = body->data(r, body->sink, b->pos, size);

    if (n == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->pos += n;
    body->received += n;

    return ((size_t) n == size) ? NGX_OK : NGX_AGAIN;
}


/*
 * Somebody before us (mirror, auth_request with a body) had the body read to
 * a file; it comes back from the page cache.
 */

static ngx_int_t
ngx_http_oci_body_pass_file(ngx_http_request_t *r, ngx_http_oci_body_t *body,
    ngx_buf_t *b)
{
    u_char   *p;
    ssize_t   n, size;

    p = ngx_alloc(NGX_HTTP_OCI_BODY_PIECE, r->connection->log);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    while (b->file_pos < b->file_last) {

        size = ngx_read_file(b->file, p,
                             (size_t) ngx_min(b->file_last - b->file_pos,
                                              NGX_HTTP_OCI_BODY_PIECE),
                             b->file_pos);

        if (size <= 0) {
            ngx_free(p);
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        n = body->data(r, body->sink, p, size);

        if (n == NGX_ERROR) {
            ngx_free(p);
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        b->file_pos += n;
        body->received += n;

        if (n != size) {
            ngx_free(p);
            return NGX_AGAIN;
        }
    }

    ngx_free(p);

    return NGX_OK;
}


void
ngx_http_oci_body_stop(ngx_http_request_t *r)
{
    ngx_http_oci_ctx_t   *ctx;
    ngx_http_oci_body_t  *body;

    ctx = ngx_http_get_module_ctx(r, ngx_http_oci_module);
    body = ctx->body;

    body->ended = 1;

    ngx_http_oci_body_unaim(r, body);

    if (r->connection->read->timer_set) {
        ngx_del_timer(r->connection->read);
    }

    r->read_event_handler = ngx_http_block_reading;
}


static void
ngx_http_oci_body_end(ngx_http_request_t *r, ngx_http_oci_body_t *body,
    ngx_int_t rc)
{
    ngx_http_oci_body_stop(r);

    body->end(r, body->sink, rc);
}
