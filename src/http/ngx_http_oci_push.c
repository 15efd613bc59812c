
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "ngx_http_oci_push.h"
#include "ngx_http_oci_send.h"
#include "ngx_http_oci_task.h"


/* a worker asks an upstream again after that many seconds how to log in */

#define NGX_HTTP_OCI_PUSH_KNOWN    300
#define NGX_HTTP_OCI_PUSH_TARGETS  32


typedef struct {
    ngx_http_oci_edge_conf_t  *conf;
    uint32_t                   hash;
    time_t                     until;
} ngx_http_oci_push_known_t;


static void ngx_http_oci_push_cleanup(void *data);
static ngx_int_t ngx_http_oci_push_invalid(ngx_http_oci_push_t *p);
static ngx_http_oci_fetch_t *ngx_http_oci_push_create(
    ngx_http_oci_push_t *p);
static ngx_http_oci_push_known_t *ngx_http_oci_push_known(
    ngx_http_oci_push_t *p);
static ngx_int_t ngx_http_oci_push_probe(ngx_http_oci_push_t *p);
static void ngx_http_oci_push_probed(ngx_http_oci_fetch_t *f,
    ngx_http_oci_fetch_rc_e rc);
static ngx_int_t ngx_http_oci_push_start(ngx_http_oci_push_t *p);
static ngx_int_t ngx_http_oci_push_headers(ngx_http_oci_push_t *p,
    ngx_http_oci_fetch_t *f);
static ngx_int_t ngx_http_oci_push_send(ngx_http_oci_fetch_t *f,
    ngx_buf_t *b);
static void ngx_http_oci_push_wake(ngx_event_t *ev);
static ssize_t ngx_http_oci_push_data(ngx_http_request_t *r, void *sink,
    u_char *buf, size_t len);
static void ngx_http_oci_push_end(ngx_http_request_t *r, void *sink,
    ngx_int_t rc);
static void ngx_http_oci_push_cancel(ngx_http_oci_push_t *p);
static ngx_int_t ngx_http_oci_push_text(ngx_http_oci_fetch_t *f, u_char *buf,
    size_t n);
static void ngx_http_oci_push_done(ngx_http_oci_fetch_t *f,
    ngx_http_oci_fetch_rc_e rc);


static ngx_http_oci_push_known_t
    ngx_http_oci_push_targets[NGX_HTTP_OCI_PUSH_TARGETS];


ngx_int_t
ngx_http_oci_push_upstream(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx)
{
    ngx_int_t                 rc;
    ngx_pool_cleanup_t       *cln;
    ngx_http_oci_push_t      *p;
    ngx_http_oci_loc_conf_t  *olcf;
    ngx_http_oci_upstream_t  *u;

    rc = ngx_http_oci_upstream_create(r, ctx, &u);

    if (rc != NGX_OK) {
        return rc;
    }

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_oci_push_t));
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p = cln->data;

    ngx_memzero(p, sizeof(ngx_http_oci_push_t));

    cln->handler = ngx_http_oci_push_cleanup;

    p->request = r;
    p->ctx = ctx;
    p->u = u;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    p->store = &olcf->store->store;

    p->wake.handler = ngx_http_oci_push_wake;
    p->wake.data = p;
    p->wake.log = r->connection->log;

    p->body.data = ngx_http_oci_push_data;
    p->body.end = ngx_http_oci_push_end;
    p->body.sink = p;

    rc = ngx_http_oci_push_path(p);

    if (rc != NGX_OK) {
        return (rc == NGX_DECLINED) ? ngx_http_oci_push_invalid(p)
                                    : NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (r->method == NGX_HTTP_POST || r->method == NGX_HTTP_PATCH
        || r->method == NGX_HTTP_PUT)
    {
        p->length = r->headers_in.chunked ? -1
                                          : r->headers_in.content_length_n;
        p->streamed = (r->headers_in.chunked || p->length > 0);

    } else {
        rc = ngx_http_discard_request_body(r);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    if (p->mount) {
        return ngx_http_oci_push_mount(p);
    }

    return ngx_http_oci_push_begin(p);
}


static void
ngx_http_oci_push_cleanup(void *data)
{
    ngx_http_oci_push_t  *p = data;

    ngx_http_oci_push_cancel(p);

    if (p->piece[0]) {
        ngx_free(p->piece[0]);
    }

    if (p->piece[1]) {
        ngx_free(p->piece[1]);
    }
}


static ngx_int_t
ngx_http_oci_push_invalid(ngx_http_oci_push_t *p)
{
    oci_error_t  e;

    switch (p->ctx->route.endpoint) {

    case OCI_ENDPOINT_UPLOAD:
        e = OCI_ERR_BLOB_UPLOAD_UNKNOWN;
        break;

    case OCI_ENDPOINT_MANIFEST:

        if (!p->ctx->route.is_digest) {
            e = OCI_ERR_MANIFEST_INVALID;
            break;
        }

        /* fall through */

    default:
        e = OCI_ERR_DIGEST_INVALID;
    }

    return ngx_http_oci_send_error(p->request, e, 0, NULL,
                                   &p->ctx->route.reference);
}


ngx_int_t
ngx_http_oci_push_begin(ngx_http_oci_push_t *p)
{
    ngx_int_t                   rc;
    ngx_http_request_t         *r;
    ngx_http_oci_push_known_t  *known;

    r = p->request;

    r->write_event_handler = ngx_http_request_empty_handler;

    if (p->streamed) {

        p->size = NGX_HTTP_OCI_PUSH_PIECE;

        if (p->length >= 0 && p->length < NGX_HTTP_OCI_PUSH_PIECE) {
            p->size = (size_t) p->length;
        }

        p->piece[0] = ngx_alloc(p->size, r->connection->log);
        p->piece[1] = ngx_alloc(p->size, r->connection->log);

        if (p->piece[0] == NULL || p->piece[1] == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        /* its body is waiting in the socket: not to be read nor peeked at */

        r->read_event_handler = ngx_http_block_reading;

        known = ngx_http_oci_push_known(p);

        rc = (p->u->client || known->until > ngx_time())
             ? ngx_http_oci_push_start(p) : ngx_http_oci_push_probe(p);

    } else {
        rc = ngx_http_oci_push_start(p);

        if (rc == NGX_OK) {
            ngx_http_oci_task_watch(r);
        }
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->main->count++;

    return NGX_DONE;
}


static ngx_http_oci_fetch_t *
ngx_http_oci_push_create(ngx_http_oci_push_t *p)
{
    ngx_http_oci_fetch_t  *f;

    f = ngx_http_oci_fetch_create(p->u->conf, p->u->target);
    if (f == NULL) {
        return NULL;
    }

    if (p->ctx->op == NGX_HTTP_OCI_OP_MANIFEST_DELETE
        || p->ctx->op == NGX_HTTP_OCI_OP_BLOB_DELETE)
    {
        ngx_str_set(&f->actions, "delete");

    } else {
        ngx_str_set(&f->actions, "pull,push");
    }

    f->scope.len = p->scope.len;
    f->scope.data = ngx_pstrdup(f->pool, &p->scope);

    f->authorization.len = p->u->right.authorization.len;
    f->authorization.data = ngx_pstrdup(f->pool, &p->u->right.authorization);

    if (f->scope.data == NULL || f->authorization.data == NULL) {
        ngx_http_oci_fetch_destroy(f);
        return NULL;
    }

    f->data = p;

    return f;
}


static ngx_http_oci_push_known_t *
ngx_http_oci_push_known(ngx_http_oci_push_t *p)
{
    ngx_http_oci_push_known_t  *known;

    known = &ngx_http_oci_push_targets[p->u->target->hash
                                       % NGX_HTTP_OCI_PUSH_TARGETS];

    if (known->conf != p->u->conf || known->hash != p->u->target->hash) {
        known->conf = p->u->conf;
        known->hash = p->u->target->hash;
        known->until = 0;
    }

    return known;
}


/*
 * A body is sent once.  An upstream that does not know "Expect", or has a
 * proxy in front of it that does, would take it all and ask for a token then,
 * so a worker that knows nothing of an upstream asks it for something small
 * first; what it learns is there for the request itself.
 */

static ngx_int_t
ngx_http_oci_push_probe(ngx_http_oci_push_t *p)
{
    ngx_http_oci_fetch_t  *f;

    f = ngx_http_oci_push_create(p);
    if (f == NULL) {
        return NGX_ERROR;
    }

    ngx_str_set(&f->path, "/v2/");

    f->done = ngx_http_oci_push_probed;

    p->fetch = f;

    ngx_http_oci_fetch_start(f);

    return NGX_OK;
}


static void
ngx_http_oci_push_probed(ngx_http_oci_fetch_t *f, ngx_http_oci_fetch_rc_e rc)
{
    ngx_int_t             n;
    ngx_connection_t     *c;
    ngx_http_request_t   *r;
    ngx_http_oci_push_t  *p;

    p = f->data;

    if (p == NULL) {
        return;
    }

    r = p->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    p->fetch = NULL;
    p->ctx->upstream_bytes += f->bytes;

    if (rc != NGX_HTTP_OCI_FETCH_OK) {
        n = ngx_http_oci_push_answer(p, f, rc);

    } else {
        ngx_http_oci_push_known(p)->until = ngx_time()
                                            + NGX_HTTP_OCI_PUSH_KNOWN;

        n = (ngx_http_oci_push_start(p) == NGX_OK)
            ? NGX_OK : NGX_HTTP_INTERNAL_SERVER_ERROR;

        if (n == NGX_OK) {
            return;
        }
    }

    ngx_http_finalize_request(r, n);
    ngx_http_run_posted_requests(c);
}


static ngx_int_t
ngx_http_oci_push_start(ngx_http_oci_push_t *p)
{
    ngx_http_request_t    *r;
    ngx_http_oci_fetch_t  *f;

    r = p->request;

    f = ngx_http_oci_push_create(p);
    if (f == NULL) {
        return NGX_ERROR;
    }

    f->method = r->method;

    f->path.len = p->path.len;
    f->path.data = ngx_pstrdup(f->pool, &p->path);
    f->args.len = p->args.len;
    f->args.data = ngx_pstrdup(f->pool, &p->args);

    if (f->path.data == NULL || f->args.data == NULL
        || ngx_http_oci_push_headers(p, f) != NGX_OK)
    {
        ngx_http_oci_fetch_destroy(f);
        return NGX_ERROR;
    }

    if (p->streamed) {
        f->content_length = p->length;
        f->send = ngx_http_oci_push_send;
    }

    f->body = ngx_http_oci_push_text;
    f->done = ngx_http_oci_push_done;

    p->fetch = f;

    ngx_http_oci_fetch_start(f);

    return NGX_OK;
}


static ngx_int_t
ngx_http_oci_push_headers(ngx_http_oci_push_t *p, ngx_http_oci_fetch_t *f)
{
    u_char              *at;
    ngx_uint_t           i;
    ngx_list_part_t     *part;
    ngx_table_elt_t     *h;
    ngx_http_request_t  *r;

    r = p->request;

    if (r->headers_in.content_type) {
        f->content_type.len = r->headers_in.content_type->value.len;
        f->content_type.data = ngx_pstrdup(f->pool,
                                     &r->headers_in.content_type->value);
        if (f->content_type.data == NULL) {
            return NGX_ERROR;
        }
    }

    for (part = &r->headers_in.headers.part; part; part = part->next) {

        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].key.len != sizeof("Content-Range") - 1
                || ngx_strncasecmp(h[i].key.data, (u_char *) "Content-Range",
                                   sizeof("Content-Range") - 1)
                   != 0)
            {
                continue;
            }

            at = ngx_pnalloc(f->pool, sizeof("Content-Range: " CRLF)
                                      + h[i].value.len);
            if (at == NULL) {
                return NGX_ERROR;
            }

            f->headers.data = at;
            f->headers.len = ngx_sprintf(at, "Content-Range: %V" CRLF,
                                         &h[i].value)
                             - at;

            return NGX_OK;
        }
    }

    return NGX_OK;
}


/* the first call is the upstream's wish for the body: ours to the client */

static ngx_int_t
ngx_http_oci_push_send(ngx_http_oci_fetch_t *f, ngx_buf_t *b)
{
    ngx_http_oci_push_t  *p;

    p = f->data;

    if (p == NULL) {
        return NGX_ERROR;
    }

    if (!p->reading) {
        p->reading = 1;
        ngx_post_event(&p->wake, &ngx_posted_events);
        return NGX_AGAIN;
    }

    if (p->len[p->fill] == 0) {
        return p->ended ? NGX_DONE : NGX_AGAIN;
    }

    b->pos = p->piece[p->fill];
    b->last = b->pos + p->len[p->fill];

    p->fill = 1 - p->fill;
    p->len[p->fill] = 0;

    if (!p->ended) {

        /* there is room again */

        ngx_post_event(&p->wake, &ngx_posted_events);
    }

    return NGX_OK;
}


static void
ngx_http_oci_push_wake(ngx_event_t *ev)
{
    ngx_connection_t     *c;
    ngx_http_request_t   *r;
    ngx_http_oci_push_t  *p;

    p = ev->data;
    r = p->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    if (!p->started) {
        p->started = 1;
        ngx_http_oci_body_read(r, &p->body);

    } else if (!p->ended) {
        ngx_http_oci_body_continue(r);
    }

    ngx_http_run_posted_requests(c);
}


static ssize_t
ngx_http_oci_push_data(ngx_http_request_t *r, void *sink, u_char *buf,
    size_t len)
{
    ngx_http_oci_push_t  *p = sink;

    size_t  n;

    if (p->fetch == NULL) {
        return NGX_ERROR;
    }

    n = ngx_min(len, p->size - p->len[p->fill]);

    if (n == 0) {
        return 0;
    }

    ngx_memcpy(p->piece[p->fill] + p->len[p->fill], buf, n);

    p->len[p->fill] += n;

    ngx_http_oci_fetch_resume(p->fetch);

    return n;
}


static void
ngx_http_oci_push_end(ngx_http_request_t *r, void *sink, ngx_int_t rc)
{
    ngx_http_oci_push_t  *p = sink;

    p->ended = 1;

    if (rc != NGX_OK) {

        /* the upstream is not to take what came for the whole */

        ngx_http_oci_push_cancel(p);
        ngx_http_finalize_request(r, rc);
        return;
    }

    ngx_http_oci_task_watch(r);

    ngx_http_oci_fetch_resume(p->fetch);
}


static void
ngx_http_oci_push_cancel(ngx_http_oci_push_t *p)
{
    ngx_http_oci_fetch_t  *f;

    if (p->wake.posted) {
        ngx_delete_posted_event(&p->wake);
    }

    f = p->fetch;

    if (f == NULL) {
        return;
    }

    p->fetch = NULL;
    p->ctx->upstream_bytes += f->bytes;

    /* the upstream may do it all the same */

    ngx_http_oci_push_refresh(p);

    f->data = NULL;
    ngx_http_oci_fetch_cancel(f);
}


static ngx_int_t
ngx_http_oci_push_text(ngx_http_oci_fetch_t *f, u_char *buf, size_t n)
{
    ngx_http_oci_push_t  *p;

    p = f->data;

    if (p == NULL) {
        return NGX_ERROR;
    }

    if (f->response->status < 400 || p->long_text) {
        return NGX_OK;
    }

    if (p->text == NULL) {
        p->text = ngx_pnalloc(p->request->pool, NGX_HTTP_OCI_PUSH_TEXT);
        if (p->text == NULL) {
            return NGX_ERROR;
        }
    }

    if (n > NGX_HTTP_OCI_PUSH_TEXT - p->text_len) {
        p->long_text = 1;
        return NGX_OK;
    }

    ngx_memcpy(p->text + p->text_len, buf, n);
    p->text_len += n;

    return NGX_OK;
}


static void
ngx_http_oci_push_done(ngx_http_oci_fetch_t *f, ngx_http_oci_fetch_rc_e rc)
{
    ngx_int_t             n;
    ngx_connection_t     *c;
    ngx_http_request_t   *r;
    ngx_http_oci_push_t  *p;

    p = f->data;

    if (p == NULL) {
        return;
    }

    r = p->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    p->fetch = NULL;
    p->ctx->upstream_bytes += f->bytes;

    if (p->wake.posted) {
        ngx_delete_posted_event(&p->wake);
    }

    if (p->started && !p->ended) {

        /* an answer that did not wait for the whole */

        ngx_http_oci_body_stop(r);
    }

    p->ended = 1;

    if (p->streamed && rc == NGX_HTTP_OCI_FETCH_OK
        && f->response->status == NGX_HTTP_UNAUTHORIZED)
    {
        ngx_http_oci_push_known(p)->until = 0;
    }

    n = ngx_http_oci_push_answer(p, f, rc);

    if (n == NGX_DONE) {

        /* a thread goes on with it */

        return;
    }

    ngx_http_finalize_request(r, n);
    ngx_http_run_posted_requests(c);
}
