
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "ngx_http_oci_fetch.h"
#include "ngx_http_oci_hop.h"


#define NGX_HTTP_OCI_FETCH_POOL  4096
#define NGX_HTTP_OCI_FETCH_KEPT  (64 * 1024)
#define NGX_HTTP_OCI_FETCH_FLOOR 1024       /* bytes of a body in a timeout */


/* what x->event is to do */

enum {
    NGX_HTTP_OCI_FETCH_BEGIN = 0,
    NGX_HTTP_OCI_FETCH_RUN,         /* the exchange runs or a token comes */
    NGX_HTTP_OCI_FETCH_HEADER,      /* of a 401 that was kept */
    NGX_HTTP_OCI_FETCH_BODY,
    NGX_HTTP_OCI_FETCH_END
};


static u_char *ngx_http_oci_fetch_log(ngx_log_t *log, u_char *buf,
    size_t len);
static ngx_int_t ngx_http_oci_fetch_scope(ngx_http_oci_fetch_t *f);
static void ngx_http_oci_fetch_event(ngx_event_t *ev);
static void ngx_http_oci_fetch_begin(ngx_http_oci_fetch_t *f);
static void ngx_http_oci_fetch_timer(ngx_event_t *ev);
static void ngx_http_oci_fetch_authorized(ngx_http_oci_auth_t *auth,
    ngx_int_t rc);
static void ngx_http_oci_fetch_request(ngx_http_oci_fetch_t *f);
static void ngx_http_oci_fetch_asked(ngx_http_oci_exchange_t *ex);
static ngx_int_t ngx_http_oci_fetch_header(ngx_http_oci_exchange_t *ex);
static ngx_uint_t ngx_http_oci_fetch_redirected(ngx_http_oci_fetch_t *f);
static ngx_int_t ngx_http_oci_fetch_give_header(ngx_http_oci_fetch_t *f);
static ngx_int_t ngx_http_oci_fetch_body(ngx_http_oci_exchange_t *ex,
    u_char *p, size_t n);
static ngx_int_t ngx_http_oci_fetch_send(ngx_http_oci_exchange_t *ex,
    ngx_buf_t *b);
static void ngx_http_oci_fetch_done(ngx_http_oci_exchange_t *ex,
    ngx_http_oci_fetch_rc_e rc);
static void ngx_http_oci_fetch_challenge(ngx_http_oci_fetch_t *f);
static void ngx_http_oci_fetch_replay(ngx_http_oci_fetch_t *f);
static void ngx_http_oci_fetch_finish(ngx_http_oci_fetch_t *f,
    ngx_http_oci_fetch_rc_e rc);


ngx_http_oci_fetch_t *
ngx_http_oci_fetch_create(ngx_http_oci_edge_conf_t *conf,
    ngx_http_oci_target_t *target)
{
    ngx_pool_t              *pool;
    ngx_http_oci_fetch_t    *f;
    ngx_http_oci_fetch_x_t  *x;

    pool = ngx_create_pool(NGX_HTTP_OCI_FETCH_POOL, ngx_cycle->log);
    if (pool == NULL) {
        return NULL;
    }

    f = ngx_pcalloc(pool, sizeof(ngx_http_oci_fetch_t));
    x = ngx_pcalloc(pool, sizeof(ngx_http_oci_fetch_x_t));

    if (f == NULL || x == NULL) {
        goto failed;
    }

    f->pool = pool;
    f->conf = conf;
    f->x = x;

    f->target = ngx_http_oci_target_copy(pool, target);
    if (f->target == NULL) {
        goto failed;
    }

    x->log = *ngx_cycle->log;
    x->log.handler = ngx_http_oci_fetch_log;
    x->log.data = f;
    x->log.action = NULL;

    f->log = &x->log;

    f->method = NGX_HTTP_GET;
    f->range_start = -1;
    f->range_end = -1;

    ngx_str_set(&f->actions, "pull");

    x->event.handler = ngx_http_oci_fetch_event;
    x->event.data = f;
    x->event.log = f->log;

    x->timer.handler = ngx_http_oci_fetch_timer;
    x->timer.data = f;
    x->timer.log = f->log;

    return f;

failed:

    ngx_destroy_pool(pool);

    return NULL;
}


/* neither queries nor what a redirect names: both may hold secrets */

static u_char *
ngx_http_oci_fetch_log(ngx_log_t *log, u_char *buf, size_t len)
{
    u_char                  *p;
    ngx_str_t                path;
    ngx_http_oci_fetch_t    *f;
    ngx_http_oci_fetch_x_t  *x;

    f = log->data;
    x = f->x;

    if (log->action) {
        p = ngx_snprintf(buf, len, " while %s", log->action);
        len -= p - buf;
        buf = p;
    }

    if (x->url.host.len && !x->upstream) {
        p = ngx_snprintf(buf, len, ", redirected to: \"%*s\"",
                         x->url.host.len, x->url.host.data);
        len -= p - buf;
        buf = p;
    }

    path = f->path;

    p = ngx_strlchr(path.data, path.data + path.len, '?');
    if (p) {
        path.len = p - path.data;
    }

    return ngx_snprintf(buf, len,
                        ", upstream: \"%V\", repository: \"%V\", path: \"%V\"",
                        &f->target->key, &f->target->repository, &path);
}


void
ngx_http_oci_fetch_start(ngx_http_oci_fetch_t *f)
{
    if (f->timeout) {
        ngx_add_timer(&f->x->timer, f->timeout);
    }

    ngx_post_event(&f->x->event, &ngx_posted_events);
}


void
ngx_http_oci_fetch_destroy(ngx_http_oci_fetch_t *f)
{
    ngx_destroy_pool(f->pool);
}


static void
ngx_http_oci_fetch_event(ngx_event_t *ev)
{
    ngx_http_oci_fetch_t  *f;

    f = ev->data;

    switch (f->x->state) {

    case NGX_HTTP_OCI_FETCH_BEGIN:
        ngx_http_oci_fetch_begin(f);
        return;

    case NGX_HTTP_OCI_FETCH_HEADER:
    case NGX_HTTP_OCI_FETCH_BODY:
        ngx_http_oci_fetch_replay(f);
        return;

    default:
        return;
    }
}


static void
ngx_http_oci_fetch_begin(ngx_http_oci_fetch_t *f)
{
    ngx_int_t                rc;
    ngx_http_oci_auth_t     *auth;
    ngx_http_oci_fetch_x_t  *x;

    x = f->x;
    auth = &x->auth;

    x->state = NGX_HTTP_OCI_FETCH_RUN;

    rc = ngx_http_oci_hop_first(f);

    if (rc != NGX_OK) {
        ngx_http_oci_fetch_finish(f, rc == NGX_DECLINED
                                         ? NGX_HTTP_OCI_FETCH_REDIRECT
                                         : NGX_HTTP_OCI_FETCH_INTERNAL);
        return;
    }

    if (ngx_http_oci_fetch_scope(f) != NGX_OK) {
        ngx_http_oci_fetch_finish(f, NGX_HTTP_OCI_FETCH_INTERNAL);
        return;
    }

    auth->pool = f->pool;
    auth->log = f->log;
    auth->conf = f->conf;
    auth->target = f->target;
    auth->client = f->authorization;
    auth->data = f;
    auth->handler = ngx_http_oci_fetch_authorized;

    if (!x->upstream) {

        /* a Location that leads elsewhere */

        ngx_http_oci_fetch_request(f);
        return;
    }

    rc = ngx_http_oci_auth_known(auth);

    if (rc == NGX_AGAIN) {
        return;
    }

    ngx_http_oci_fetch_authorized(auth, rc);
}


static ngx_int_t
ngx_http_oci_fetch_scope(ngx_http_oci_fetch_t *f)
{
    u_char     *p;
    ngx_str_t  *scope;

    scope = &f->x->auth.scope;

    p = ngx_pnalloc(f->pool, sizeof("repository:: ") - 1
                             + f->target->repository.len + f->actions.len
                             + f->scope.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    scope->data = p;

    if (f->target->repository.len && f->actions.len) {
        p = ngx_sprintf(p, "repository:%V:%V", &f->target->repository,
                        &f->actions);
    }

    if (f->scope.len) {

        if (p > scope->data) {
            *p++ = ' ';
        }

        p = ngx_cpymem(p, f->scope.data, f->scope.len);
    }

    scope->len = p - scope->data;

    return NGX_OK;
}


static void
ngx_http_oci_fetch_timer(ngx_event_t *ev)
{
    ngx_http_oci_fetch_t    *f;
    ngx_http_oci_fetch_x_t  *x;

    f = ev->data;
    x = f->x;

    if (f->received - x->timed >= NGX_HTTP_OCI_FETCH_FLOOR) {

        /* its body is on the way */

        x->timed = f->received;
        ngx_add_timer(ev, f->timeout);
        return;
    }

    ngx_log_error(NGX_LOG_ERR, f->log, NGX_ETIMEDOUT,
                  "upstream has not answered in time");

    if (x->running) {
        ngx_http_oci_exchange_end(&x->exchange, NGX_HTTP_OCI_FETCH_TIMEOUT);
        return;
    }

    ngx_http_oci_fetch_finish(f, NGX_HTTP_OCI_FETCH_TIMEOUT);
}


/* a value for Authorization is there, or will not be */

static void
ngx_http_oci_fetch_authorized(ngx_http_oci_auth_t *auth, ngx_int_t rc)
{
    ngx_http_oci_fetch_t  *f;

    f = auth->data;

    if (rc == NGX_ERROR) {
        ngx_http_oci_fetch_finish(f, NGX_HTTP_OCI_FETCH_AUTH);
        return;
    }

    if (rc == NGX_DECLINED && f->x->kept) {

        /* refused: so the 401 that led there is the answer */

        f->x->state = NGX_HTTP_OCI_FETCH_HEADER;
        ngx_http_oci_fetch_replay(f);
        return;
    }

    ngx_http_oci_fetch_request(f);
}


static void
ngx_http_oci_fetch_request(ngx_http_oci_fetch_t *f)
{
    ngx_http_oci_fetch_x_t   *x;
    ngx_http_oci_exchange_t  *ex;

    x = f->x;
    ex = &x->exchange;

    x->challenged = 0;
    x->redirected = 0;

    if (ngx_http_oci_hop_peer(f) != NGX_OK) {
        ngx_http_oci_fetch_finish(f, NGX_HTTP_OCI_FETCH_INTERNAL);
        return;
    }

    ex->asked = f->asked ? ngx_http_oci_fetch_asked : NULL;
    ex->header = ngx_http_oci_fetch_header;
    ex->body = ngx_http_oci_fetch_body;
    ex->send = ngx_http_oci_fetch_send;
    ex->done = ngx_http_oci_fetch_done;

    x->running = 1;
    f->log->action = "connecting to upstream";

    ngx_http_oci_exchange_start(ex);
}


static void
ngx_http_oci_fetch_asked(ngx_http_oci_exchange_t *ex)
{
    ngx_http_oci_fetch_t  *f;

    f = ex->data;

    f->asked(f);
}


static ngx_int_t
ngx_http_oci_fetch_header(ngx_http_oci_exchange_t *ex)
{
    ngx_http_oci_fetch_t    *f;
    ngx_http_oci_fetch_x_t  *x;

    f = ex->data;
    x = f->x;

    f->response = ex->response;
    x->status = ex->response->status;

    if (x->status == 401 && x->upstream && !ex->consumed
        && ngx_http_oci_auth_possible(&x->auth, ex->response))
    {
        x->challenged = 1;

        if (x->kept == NULL) {
            x->kept = ngx_create_temp_buf(f->pool, NGX_HTTP_OCI_FETCH_KEPT);
            if (x->kept == NULL) {
                return NGX_ERROR;
            }
        }

        x->kept->pos = x->kept->start;
        x->kept->last = x->kept->start;

        return NGX_OK;
    }

    if (ngx_http_oci_fetch_redirected(f)) {
        x->redirected = 1;
        return NGX_DECLINED;
    }

    return ngx_http_oci_fetch_give_header(f);
}


static ngx_uint_t
ngx_http_oci_fetch_redirected(ngx_http_oci_fetch_t *f)
{
    if (f->method != NGX_HTTP_GET && f->method != NGX_HTTP_HEAD) {
        return 0;
    }

    switch (f->response->status) {

    case 301:
    case 302:
    case 303:
    case 307:
    case 308:
        return f->response->location.len != 0;

    default:
        return 0;
    }
}


static ngx_int_t
ngx_http_oci_fetch_give_header(ngx_http_oci_fetch_t *f)
{
    if (ngx_http_oci_hop_location(f) != NGX_OK) {
        return NGX_ERROR;
    }

    return f->header ? f->header(f) : NGX_OK;
}


static ngx_int_t
ngx_http_oci_fetch_body(ngx_http_oci_exchange_t *ex, u_char *p, size_t n)
{
    ngx_buf_t               *b;
    ngx_http_oci_fetch_t    *f;
    ngx_http_oci_fetch_x_t  *x;

    f = ex->data;
    x = f->x;

    if (x->challenged) {
        b = x->kept;

        n = ngx_min(n, (size_t) (b->end - b->last));
        b->last = ngx_cpymem(b->last, p, n);

        return NGX_OK;
    }

    f->received += n;
    f->bytes = x->bytes + ex->bytes;

    return f->body ? f->body(f, p, n) : NGX_OK;
}


static ngx_int_t
ngx_http_oci_fetch_send(ngx_http_oci_exchange_t *ex, ngx_buf_t *b)
{
    ngx_http_oci_fetch_t  *f;

    f = ex->data;

    return f->send(f, b);
}


static void
ngx_http_oci_fetch_done(ngx_http_oci_exchange_t *ex,
    ngx_http_oci_fetch_rc_e rc)
{
    ngx_int_t                hop;
    ngx_http_oci_fetch_t    *f;
    ngx_http_oci_fetch_x_t  *x;

    f = ex->data;
    x = f->x;

    x->running = 0;
    x->bytes += ex->bytes;
    f->bytes = x->bytes;

    if (rc != NGX_HTTP_OCI_FETCH_OK) {
        ngx_http_oci_fetch_finish(f, rc);
        return;
    }

    if (x->challenged) {
        ngx_http_oci_fetch_challenge(f);
        return;
    }

    if (!x->redirected) {
        ngx_http_oci_fetch_finish(f, NGX_HTTP_OCI_FETCH_OK);
        return;
    }

    hop = ngx_http_oci_hop_next(f, &f->response->location);

    if (hop != NGX_OK) {
        ngx_http_oci_fetch_finish(f, hop == NGX_DECLINED
                                         ? NGX_HTTP_OCI_FETCH_REDIRECT
                                         : NGX_HTTP_OCI_FETCH_INTERNAL);
        return;
    }

    ngx_http_oci_fetch_request(f);
}


static void
ngx_http_oci_fetch_challenge(ngx_http_oci_fetch_t *f)
{
    ngx_int_t             rc;
    ngx_http_oci_auth_t  *auth;

    auth = &f->x->auth;
    auth->near = f->x->near;

    f->log->action = "asking for a token";

    rc = ngx_http_oci_auth_challenge(auth, f->response);

    if (rc == NGX_AGAIN) {
        return;
    }

    ngx_http_oci_fetch_authorized(auth, rc);
}


/* what was kept of a 401, as if it came now */

static void
ngx_http_oci_fetch_replay(ngx_http_oci_fetch_t *f)
{
    size_t                   n;
    ngx_int_t                rc;
    ngx_http_oci_fetch_x_t  *x;

    x = f->x;

    if (x->paused) {
        return;
    }

    x->inside = 1;

    if (x->state == NGX_HTTP_OCI_FETCH_HEADER) {
        rc = ngx_http_oci_fetch_give_header(f);
        x->state = NGX_HTTP_OCI_FETCH_BODY;

    } else {
        rc = NGX_OK;
    }

    if (rc == NGX_OK && !x->cancelled) {

        n = x->kept->last - x->kept->pos;

        f->received = n;

        if (n && f->body) {
            rc = f->body(f, x->kept->pos, n);
        }

        x->state = NGX_HTTP_OCI_FETCH_END;
    }

    x->inside = 0;

    if (x->cancelled) {
        ngx_http_oci_fetch_finish(f, NGX_HTTP_OCI_FETCH_CANCELLED);
        return;
    }

    if (rc == NGX_ERROR) {
        ngx_http_oci_fetch_finish(f, NGX_HTTP_OCI_FETCH_ABORTED);
        return;
    }

    if (x->state == NGX_HTTP_OCI_FETCH_END) {
        ngx_http_oci_fetch_finish(f, NGX_HTTP_OCI_FETCH_OK);
        return;
    }

    x->paused = 1;
}


void
ngx_http_oci_fetch_resume(ngx_http_oci_fetch_t *f)
{
    ngx_http_oci_fetch_x_t  *x;

    x = f->x;

    if (x->running) {
        ngx_http_oci_exchange_resume(&x->exchange);
        return;
    }

    if (x->paused) {
        x->paused = 0;
        ngx_post_event(&x->event, &ngx_posted_events);
    }
}


void
ngx_http_oci_fetch_cancel(ngx_http_oci_fetch_t *f)
{
    ngx_http_oci_fetch_x_t  *x;

    x = f->x;

    if (x->finished) {
        return;
    }

    if (x->running) {
        ngx_http_oci_exchange_end(&x->exchange,
                                  NGX_HTTP_OCI_FETCH_CANCELLED);
        return;
    }

    if (x->inside) {
        x->cancelled = 1;
        return;
    }

    ngx_http_oci_fetch_finish(f, NGX_HTTP_OCI_FETCH_CANCELLED);
}


static void
ngx_http_oci_fetch_finish(ngx_http_oci_fetch_t *f,
    ngx_http_oci_fetch_rc_e rc)
{
    ngx_http_oci_fetch_x_t  *x;

    x = f->x;

    x->finished = 1;

    if (x->timer.timer_set) {
        ngx_del_timer(&x->timer);
    }

    if (x->event.posted) {
        ngx_delete_posted_event(&x->event);
    }

    ngx_http_oci_auth_cancel(&x->auth);

    f->done(f, rc);

    ngx_destroy_pool(f->pool);
}


const char *
ngx_http_oci_fetch_error(ngx_http_oci_fetch_rc_e rc)
{
    static const char  *const  texts[] = {
        "ok",
        "its name has no address",
        "no connection",
        "timed out",
        "TLS failed",
        "the proxy refused",
        "the connection broke",
        "the body was too short",
        "an invalid response",
        "no token could be had",
        "a redirect that must not be followed",
        "aborted",
        "cancelled",
        "internal error"
    };

    return texts[rc];
}


ngx_uint_t
ngx_http_oci_fetch_failed(ngx_http_oci_fetch_t *f,
    ngx_http_oci_fetch_rc_e rc)
{
    switch (rc) {

    case NGX_HTTP_OCI_FETCH_OK:
        return f->response
               && (f->response->status >= 500 || f->response->status == 429
                   || f->response->status == 408);

    case NGX_HTTP_OCI_FETCH_ABORTED:
    case NGX_HTTP_OCI_FETCH_CANCELLED:
    case NGX_HTTP_OCI_FETCH_INTERNAL:
        return 0;

    default:
        return 1;
    }
}


ngx_uint_t
ngx_http_oci_fetch_status(ngx_http_oci_fetch_rc_e rc,
    oci_response_t *response, ngx_int_t *retry_after)
{
    *retry_after = -1;

    if (rc == NGX_HTTP_OCI_FETCH_TIMEOUT) {
        return NGX_HTTP_GATEWAY_TIME_OUT;
    }

    if (response == NULL) {
        return NGX_HTTP_BAD_GATEWAY;
    }

    *retry_after = (ngx_int_t) ngx_min(response->retry_after, 3600);

    switch (response->status) {

    case 401:
    case 403:
    case 404:
    case 429:
    case 503:
        return response->status;

    case 410:
        return NGX_HTTP_NOT_FOUND;

    default:
        return NGX_HTTP_BAD_GATEWAY;
    }
}
