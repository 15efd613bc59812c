
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * The request to a token service: detached from all who wait for its answer.
 */


#include "ngx_http_oci_token.h"

#include "oci_url.h"


#define NGX_HTTP_OCI_GRANT_MAX     (64 * 1024)
#define NGX_HTTP_OCI_GRANT_LIFE    86400
#define NGX_HTTP_OCI_GRANT_DENIED  10       /* locked accounts stay locked */
#define NGX_HTTP_OCI_GRANT_FAILED  1
#define NGX_HTTP_OCI_GRANT_WAIT    60


typedef struct {
    ngx_http_oci_exchange_t    exchange;
    ngx_http_oci_token_t      *token;
    oci_url_t                  url;
    ngx_str_t                  query;       /* or the body of a POST */
    ngx_str_t                  basic;
    ngx_str_t                  host;        /* the header */
    ngx_buf_t                 *answer;
    ngx_log_t                  log;
    unsigned                   post:1;
    unsigned                   secret:1;
} ngx_http_oci_grant_t;


static ngx_int_t ngx_http_oci_grant_peer(ngx_http_oci_grant_t *g,
    ngx_http_oci_realm_t *realm, ngx_http_oci_target_t *t);
static ngx_int_t ngx_http_oci_grant_query(ngx_http_oci_grant_t *g,
    ngx_http_oci_realm_t *realm, ngx_str_t *scope,
    const oci_credential_t *cred);
static u_char *ngx_http_oci_grant_arg(u_char *p, const char *name,
    const u_char *data, size_t len);
static void ngx_http_oci_grant_start(ngx_event_t *ev);
static ngx_buf_t *ngx_http_oci_grant_compose(ngx_http_oci_exchange_t *x);
static ngx_int_t ngx_http_oci_grant_header(ngx_http_oci_exchange_t *x);
static ngx_int_t ngx_http_oci_grant_body(ngx_http_oci_exchange_t *x,
    u_char *p, size_t n);
static void ngx_http_oci_grant_done(ngx_http_oci_exchange_t *x,
    ngx_http_oci_fetch_rc_e rc);
static ngx_int_t ngx_http_oci_grant_result(ngx_http_oci_grant_t *g,
    ngx_http_oci_fetch_rc_e rc);
static ngx_int_t ngx_http_oci_grant_take(ngx_http_oci_grant_t *g);
static void ngx_http_oci_grant_tell(ngx_http_oci_token_t *t, ngx_int_t rc);


ngx_int_t
ngx_http_oci_token_fetch(ngx_http_oci_token_t *t,
    ngx_http_oci_realm_t *realm, ngx_http_oci_auth_t *auth,
    ngx_str_t *scope, const oci_credential_t *cred)
{
    ngx_pool_t               *pool;
    ngx_event_t              *ev;
    ngx_http_oci_grant_t     *g;
    ngx_http_oci_exchange_t  *x;

    pool = ngx_create_pool(4096, ngx_cycle->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    g = ngx_pcalloc(pool, sizeof(ngx_http_oci_grant_t));
    ev = ngx_pcalloc(pool, sizeof(ngx_event_t));

    if (g == NULL || ev == NULL) {
        ngx_destroy_pool(pool);
        return NGX_ERROR;
    }

    g->log = *ngx_cycle->log;
    g->token = t;

    x = &g->exchange;

    x->peer.pool = pool;
    x->peer.log = &g->log;
    x->peer.conf = auth->conf;
    x->peer.near = realm->near;

    x->compose = ngx_http_oci_grant_compose;
    x->header = ngx_http_oci_grant_header;
    x->body = ngx_http_oci_grant_body;
    x->done = ngx_http_oci_grant_done;
    x->data = g;
    x->idempotent = 1;

    g->answer = ngx_create_temp_buf(pool, NGX_HTTP_OCI_GRANT_MAX);

    if (g->answer == NULL
        || ngx_http_oci_grant_peer(g, realm, auth->target) != NGX_OK
        || ngx_http_oci_grant_query(g, realm, scope, cred) != NGX_OK)
    {
        ngx_destroy_pool(pool);
        return NGX_ERROR;
    }

    t->fetching = 1;

    /* the waiters join first */

    ev->handler = ngx_http_oci_grant_start;
    ev->data = g;
    ev->log = &g->log;

    ngx_post_event(ev, &ngx_posted_events);

    return NGX_OK;
}


static ngx_int_t
ngx_http_oci_grant_peer(ngx_http_oci_grant_t *g, ngx_http_oci_realm_t *realm,
    ngx_http_oci_target_t *t)
{
    u_char               *p;
    ngx_uint_t            same;
    ngx_http_oci_peer_t  *peer;

    peer = &g->exchange.peer;

    p = ngx_pstrdup(peer->pool, &realm->realm);
    if (p == NULL) {
        return NGX_ERROR;
    }

    if (oci_url_parse(&g->url, p, realm->realm.len) != OCI_OK) {
        return NGX_ERROR;
    }

    p = ngx_pnalloc(peer->pool, 2 * g->url.host.len
                                + sizeof("[]:65535") + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    peer->host.data = p;
    peer->host.len = g->url.host.len;
    p = ngx_cpymem(p, g->url.host.data, g->url.host.len);
    *p++ = '\0';

    g->host.data = p;

    p = ngx_sprintf(p, g->url.v6 ? "[%V]" : "%V", &peer->host);

    if (!g->url.default_port) {
        p = ngx_sprintf(p, ":%ui", (ngx_uint_t) g->url.port);
    }

    g->host.len = p - g->host.data;

    peer->port = (in_port_t) g->url.port;
    peer->ssl = g->url.ssl;
    peer->ssl_name = peer->host;
    peer->method = NGX_HTTP_GET;
    ngx_str_set(&peer->uri, "/v2/");

    same = (t->ssl == g->url.ssl && t->port == peer->port
            && t->host.len == peer->host.len
            && ngx_memcmp(t->host.data, peer->host.data, t->host.len) == 0);

    if (same) {

        /* the upstream itself, wherever that is */

        t = ngx_http_oci_target_copy(peer->pool, t);
        if (t == NULL) {
            return NGX_ERROR;
        }

        peer->group = t->group;
        peer->addrs = t->addrs;
        peer->naddrs = t->naddrs;
        peer->ssl_name = t->ssl_name;

    } else {
        peer->check = !realm->named;
    }

    return NGX_OK;
}


/*
 * GET with Basic, as all token services know it; an identity token is
 * exchanged by a POST.
 */

static ngx_int_t
ngx_http_oci_grant_query(ngx_http_oci_grant_t *g, ngx_http_oci_realm_t *realm,
    ngx_str_t *scope, const oci_credential_t *cred)
{
    size_t       len;
    u_char      *p, *word, *last, *stop;
    ngx_pool_t  *pool;

    pool = g->exchange.peer.pool;

    g->post = (cred && cred->identity.len);

    len = sizeof("grant_type=refresh_token&client_id=nginx&refresh_token="
                 "&service=") - 1
          + 3 * (realm->service.len + 4 * scope->len)
          + sizeof("&scope=") * (scope->len + 1)
          + (g->post ? 3 * cred->identity.len : 0);

    p = ngx_pnalloc(pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    g->query.data = p;

    if (g->post) {
        p = ngx_cpymem(p, "grant_type=refresh_token&client_id=nginx",
                       sizeof("grant_type=refresh_token&client_id=nginx")
                       - 1);
        p = ngx_http_oci_grant_arg(p, "&refresh_token=", cred->identity.data,
                                   cred->identity.len);
    }

    if (realm->service.len) {
        p = ngx_http_oci_grant_arg(p, (p > g->query.data) ? "&service="
                                                          : "service=",
                                   realm->service.data, realm->service.len);
    }

    last = scope->data + scope->len;

    if (g->post) {

        /* of a form there is one, with spaces in it */

        if (scope->len) {
            p = ngx_http_oci_grant_arg(p, "&scope=", scope->data, scope->len);
        }

    } else {

        for (word = scope->data; word < last; word = stop + 1) {

            stop = ngx_strlchr(word, last, ' ');
            if (stop == NULL) {
                stop = last;
            }

            p = ngx_http_oci_grant_arg(p, (p > g->query.data) ? "&scope="
                                                              : "scope=",
                                       word, stop - word);
        }
    }

    g->query.len = p - g->query.data;

    g->secret = (cred && (g->post || cred->basic.len));

    if (g->secret && !g->post) {

        g->basic.len = cred->basic.len;
        g->basic.data = ngx_pnalloc(pool, cred->basic.len);
        if (g->basic.data == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(g->basic.data, cred->basic.data, cred->basic.len);
    }

    return NGX_OK;
}


static u_char *
ngx_http_oci_grant_arg(u_char *p, const char *name, const u_char *data,
    size_t len)
{
    size_t  i;

    p = ngx_cpymem(p, name, ngx_strlen(name));

    for (i = 0; i < len; i++) {

        if ((data[i] >= 'a' && data[i] <= 'z')
            || (data[i] >= 'A' && data[i] <= 'Z')
            || (data[i] >= '0' && data[i] <= '9')
            || data[i] == '-' || data[i] == '.' || data[i] == '_'
            || data[i] == '~')
        {
            *p++ = data[i];

        } else {
            p = ngx_sprintf(p, "%%%02Xd", (int) data[i]);
        }
    }

    return p;
}


static void
ngx_http_oci_grant_start(ngx_event_t *ev)
{
    ngx_http_oci_grant_t  *g;

    g = ev->data;

    ngx_http_oci_exchange_start(&g->exchange);
}


static ngx_buf_t *
ngx_http_oci_grant_compose(ngx_http_oci_exchange_t *x)
{
    size_t                 len;
    ngx_buf_t             *b;
    ngx_str_t              path;
    ngx_http_oci_grant_t  *g;

    g = x->data;

    if (g->secret && !ngx_http_oci_auth_secure(&x->peer)) {

        ngx_log_error(NGX_LOG_ERR, x->peer.log, 0,
                      "credentials are not sent over plain HTTP to \"%V\"",
                      &g->host);

        if (g->post) {
            return NULL;
        }

        g->secret = 0;
        ngx_str_null(&g->basic);
    }

    path.data = g->url.path.data;
    path.len = g->url.path.len;

    len = sizeof("POST http:///? HTTP/1.1" CRLF
                 "Host: " CRLF
                 "User-Agent: " NGX_HTTP_OCI_USER_AGENT CRLF
                 "Accept: application/json" CRLF
                 "Authorization: Basic " CRLF
                 "Proxy-Authorization: " CRLF
                 "Content-Type: application/x-www-form-urlencoded" CRLF
                 "Content-Length: " CRLF CRLF) - 1
          + 2 * g->host.len + path.len + g->query.len + g->basic.len
          + (x->peer.absolute ? x->peer.conf->proxy->authorization.len : 0)
          + NGX_SIZE_T_LEN;

    b = ngx_create_temp_buf(x->peer.pool, len);
    if (b == NULL) {
        return NULL;
    }

    b->last = ngx_sprintf(b->last, g->post ? "POST " : "GET ");

    if (x->peer.absolute) {
        b->last = ngx_sprintf(b->last, "http://%V", &g->host);
    }

    if (path.len == 0 || path.data[0] != '/') {
        *b->last++ = '/';
    }

    b->last = ngx_sprintf(b->last, "%V", &path);

    if (!g->post && g->query.len) {
        *b->last++ = ngx_strlchr(path.data, path.data + path.len, '?') ? '&'
                                                                       : '?';
        b->last = ngx_cpymem(b->last, g->query.data, g->query.len);
    }

    b->last = ngx_sprintf(b->last, " HTTP/1.1" CRLF
                          "Host: %V" CRLF
                          "User-Agent: " NGX_HTTP_OCI_USER_AGENT CRLF
                          "Accept: application/json" CRLF, &g->host);

    if (x->peer.absolute && x->peer.conf->proxy->authorization.len) {
        b->last = ngx_sprintf(b->last, "Proxy-Authorization: %V" CRLF,
                              &x->peer.conf->proxy->authorization);
    }

    if (g->basic.len) {
        b->last = ngx_sprintf(b->last, "Authorization: Basic %V" CRLF,
                              &g->basic);
    }

    if (g->post) {
        b->last = ngx_sprintf(b->last,
                      "Content-Type: application/x-www-form-urlencoded" CRLF
                      "Content-Length: %uz" CRLF, g->query.len);
    }

    b->last = ngx_cpymem(b->last, CRLF, sizeof(CRLF) - 1);

    if (g->post) {
        b->last = ngx_cpymem(b->last, g->query.data, g->query.len);
    }

    return b;
}


static ngx_int_t
ngx_http_oci_grant_header(ngx_http_oci_exchange_t *x)
{
    return (x->response->status == 200) ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
ngx_http_oci_grant_body(ngx_http_oci_exchange_t *x, u_char *p, size_t n)
{
    ngx_buf_t             *b;
    ngx_http_oci_grant_t  *g;

    g = x->data;
    b = g->answer;

    if ((size_t) (b->end - b->last) < n) {
        return NGX_ERROR;
    }

    b->last = ngx_cpymem(b->last, p, n);

    return NGX_OK;
}


static void
ngx_http_oci_grant_done(ngx_http_oci_exchange_t *x,
    ngx_http_oci_fetch_rc_e rc)
{
    ngx_int_t              result;
    ngx_pool_t            *pool;
    ngx_http_oci_grant_t  *g;
    ngx_http_oci_token_t  *t;

    g = x->data;
    t = g->token;
    pool = x->peer.pool;

    result = ngx_http_oci_grant_result(g, rc);

    ngx_explicit_memzero(g->answer->start, g->answer->last
                                           - g->answer->start);

    t->fetching = 0;

    ngx_destroy_pool(pool);

    ngx_http_oci_grant_tell(t, result);
}


static ngx_int_t
ngx_http_oci_grant_result(ngx_http_oci_grant_t *g, ngx_http_oci_fetch_rc_e rc)
{
    time_t                 wait;
    ngx_uint_t             status;
    ngx_http_oci_token_t  *t;

    t = g->token;

    if (rc != NGX_HTTP_OCI_FETCH_OK) {
        ngx_log_error(NGX_LOG_ERR, &g->log, 0,
                      "no token from \"%V\": %s", &g->host,
                      ngx_http_oci_fetch_error(rc));

        t->denied = 0;
        t->until = ngx_time() + NGX_HTTP_OCI_GRANT_FAILED;

        return NGX_ERROR;
    }

    status = g->exchange.response->status;

    if (status == 200) {
        return ngx_http_oci_grant_take(g);
    }

    ngx_log_error(NGX_LOG_ERR, &g->log, 0, "no token from \"%V\": it said %ui",
                  &g->host, status);

    if (status / 100 == 4 && status != 408 && status != 429) {
        t->denied = 1;
        t->until = ngx_time() + NGX_HTTP_OCI_GRANT_DENIED;

        return NGX_DECLINED;
    }

    wait = g->exchange.response->retry_after;

    if (wait < NGX_HTTP_OCI_GRANT_FAILED) {
        wait = NGX_HTTP_OCI_GRANT_FAILED;
    }

    t->denied = 0;
    t->until = ngx_time() + ngx_min(wait, NGX_HTTP_OCI_GRANT_WAIT);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_oci_grant_take(ngx_http_oci_grant_t *g)
{
    u_char                *buf;
    int64_t                life;
    oci_grant_t            grant;
    ngx_http_oci_token_t  *t;

    t = g->token;

    buf = ngx_pnalloc(g->exchange.peer.pool, NGX_HTTP_OCI_GRANT_MAX);

    if (buf == NULL
        || oci_grant_parse(&grant, g->answer->pos,
                           g->answer->last - g->answer->pos, buf,
                           NGX_HTTP_OCI_GRANT_MAX)
           != OCI_OK
        || ngx_http_oci_token_set(t, &grant.token, &g->log) != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ERR, &g->log, 0,
                      "no token from \"%V\": its answer holds none", &g->host);

        t->denied = 0;
        t->until = ngx_time() + NGX_HTTP_OCI_GRANT_FAILED;

        return NGX_ERROR;
    }

    ngx_explicit_memzero(buf, grant.token.len);

    /* a request that begins with it must not see it expire */

    life = ngx_min(grant.expires_in, NGX_HTTP_OCI_GRANT_LIFE);
    life -= ngx_min(life / 5, 30);

    t->expires = ngx_time() + (time_t) life;
    t->until = 0;
    t->secret = g->secret;

    return NGX_OK;
}


static void
ngx_http_oci_grant_tell(ngx_http_oci_token_t *t, ngx_int_t rc)
{
    ngx_queue_t           waiters, *q;
    ngx_http_oci_auth_t  *auth;

    if (ngx_queue_empty(&t->waiters)) {
        return;
    }

    /* a handler may wait for the same token once more, or take others away */

    ngx_queue_init(&waiters);
    ngx_queue_add(&waiters, &t->waiters);
    ngx_queue_init(&t->waiters);

    for (q = ngx_queue_head(&waiters);
         q != ngx_queue_sentinel(&waiters);
         q = ngx_queue_next(q))
    {
        auth = ngx_queue_data(q, ngx_http_oci_auth_t, queue);

        if (rc != NGX_OK) {
            continue;
        }

        auth->value.data = ngx_pstrdup(auth->pool, &t->value);
        auth->value.len = auth->value.data ? t->value.len : 0;
        auth->secret = t->secret;
    }

    while (!ngx_queue_empty(&waiters)) {

        q = ngx_queue_head(&waiters);
        ngx_queue_remove(q);

        auth = ngx_queue_data(q, ngx_http_oci_auth_t, queue);
        auth->waiting = 0;

        auth->handler(auth, (rc == NGX_OK && auth->value.data == NULL)
                                ? NGX_ERROR : rc);
    }
}
