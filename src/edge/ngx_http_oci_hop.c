
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "ngx_http_oci_hop.h"


#define NGX_HTTP_OCI_HOPS  10


static ngx_uint_t ngx_http_oci_hop_whole(ngx_str_t *path);
static ngx_int_t ngx_http_oci_hop_set(ngx_http_oci_fetch_t *f, u_char *text,
    size_t len);
static ngx_int_t ngx_http_oci_hop_uri(ngx_http_oci_fetch_t *f,
    ngx_http_oci_peer_t *peer);
static ngx_str_t *ngx_http_oci_hop_method(ngx_http_oci_fetch_t *f);
static ngx_uint_t ngx_http_oci_hop_authorized(ngx_http_oci_fetch_t *f,
    ngx_http_oci_peer_t *peer);
static ngx_uint_t ngx_http_oci_hop_body(ngx_http_oci_fetch_t *f);
static u_char *ngx_http_oci_hop_head(ngx_http_oci_fetch_t *f,
    ngx_http_oci_peer_t *peer, u_char *p);


static struct {
    ngx_uint_t  method;
    ngx_str_t   name;
} ngx_http_oci_hop_methods[] = {
    { NGX_HTTP_GET, ngx_string("GET") },
    { NGX_HTTP_HEAD, ngx_string("HEAD") },
    { NGX_HTTP_POST, ngx_string("POST") },
    { NGX_HTTP_PUT, ngx_string("PUT") },
    { NGX_HTTP_PATCH, ngx_string("PATCH") },
    { NGX_HTTP_DELETE, ngx_string("DELETE") },
    { 0, ngx_null_string }
};


ngx_int_t
ngx_http_oci_hop_first(ngx_http_oci_fetch_t *f)
{
    u_char                 *p, *text;
    ngx_str_t              *path;
    ngx_http_oci_target_t  *t;

    t = f->target;
    path = &f->path;

    p = ngx_pnalloc(f->pool, sizeof("https://" "/v2//?") - 1
                             + t->host_header.len + t->prefix.len
                             + t->repository.len + path->len + f->args.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    text = p;

    if (ngx_http_oci_hop_whole(path)) {
        p = ngx_sprintf(p, "%V", path);

    } else {
        p = ngx_sprintf(p, "%s://%V%V", t->ssl ? "https" : "http",
                        &t->host_header, &t->prefix);

        if (path->len == 0 || path->data[0] != '/') {
            p = ngx_sprintf(p, "/v2/%V/", &t->repository);
        }

        p = ngx_sprintf(p, "%V", path);
    }

    if (f->args.len) {
        p = ngx_sprintf(p, ngx_strlchr(text, p, '?') ? "&%V" : "?%V",
                        &f->args);
    }

    return ngx_http_oci_hop_set(f, text, p - text);
}


static ngx_uint_t
ngx_http_oci_hop_whole(ngx_str_t *path)
{
    return (path->len > 7
            && ngx_strncasecmp(path->data, (u_char *) "http://", 7) == 0)
           || (path->len > 8
               && ngx_strncasecmp(path->data, (u_char *) "https://", 8)
                  == 0);
}


static ngx_int_t
ngx_http_oci_hop_set(ngx_http_oci_fetch_t *f, u_char *text, size_t len)
{
    oci_url_t                url;
    ngx_http_oci_target_t   *t;
    ngx_http_oci_fetch_x_t  *x;

    x = f->x;
    t = f->target;

    if (oci_url_parse(&url, text, len) != OCI_OK || url.user.len) {
        ngx_log_error(NGX_LOG_ERR, f->log, 0,
                      "no request can be made of an upstream's URL");
        return NGX_DECLINED;
    }

    x->url = url;

    x->upstream = (t->ssl == url.ssl && t->port == url.port
                   && t->host.len == url.host.len
                   && ngx_memcmp(t->host.data, url.host.data, t->host.len)
                      == 0);

    if (t->ssl && !url.ssl) {
        ngx_log_error(NGX_LOG_ERR, f->log, 0,
                      "upstream has TLS and leads to \"%*s\" without",
                      url.host.len, url.host.data);
        return NGX_DECLINED;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_oci_hop_next(ngx_http_oci_fetch_t *f, oci_str_t *location)
{
    u_char                  *p;
    size_t                   len;
    ngx_uint_t               ssl;
    ngx_http_oci_fetch_x_t  *x;

    x = f->x;

    if (f->hops == NGX_HTTP_OCI_HOPS) {
        ngx_log_error(NGX_LOG_ERR, f->log, 0, "upstream redirects too often");
        return NGX_DECLINED;
    }

    p = ngx_pnalloc(f->pool, OCI_URL_MAX);
    if (p == NULL) {
        return NGX_ERROR;
    }

    if (oci_url_resolve(&x->url, location, p, OCI_URL_MAX, &len) != OCI_OK) {
        ngx_log_error(NGX_LOG_ERR, f->log, 0,
                      "upstream redirects to what is no URL");
        return NGX_DECLINED;
    }

    ssl = x->url.ssl;

    if (ngx_http_oci_hop_set(f, p, len) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (ssl && !x->url.ssl) {
        ngx_log_error(NGX_LOG_ERR, f->log, 0,
                      "upstream redirects from TLS to \"%*s\" without",
                      x->url.host.len, x->url.host.data);
        return NGX_DECLINED;
    }

    f->hops++;

    return NGX_OK;
}


ngx_int_t
ngx_http_oci_hop_location(ngx_http_oci_fetch_t *f)
{
    u_char  *p;
    size_t   len;

    if (f->response->location.len == 0) {
        return NGX_OK;
    }

    p = ngx_pnalloc(f->pool, OCI_URL_MAX);
    if (p == NULL) {
        return NGX_ERROR;
    }

    if (oci_url_resolve(&f->x->url, &f->response->location, p, OCI_URL_MAX,
                        &len)
        == OCI_OK)
    {
        f->location.data = p;
        f->location.len = len;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_oci_hop_peer(ngx_http_oci_fetch_t *f)
{
    u_char                   *p;
    ngx_buf_t                *buffer;
    oci_url_t                *url;
    ngx_http_oci_peer_t      *peer;
    ngx_http_oci_target_t    *t;
    ngx_http_oci_fetch_x_t   *x;
    ngx_http_oci_exchange_t  *ex;

    x = f->x;
    t = f->target;
    url = &x->url;
    ex = &x->exchange;
    peer = &ex->peer;

    buffer = ex->buffer;

    ngx_memzero(ex, sizeof(ngx_http_oci_exchange_t));

    ex->buffer = buffer;
    ex->compose = ngx_http_oci_hop_compose;
    ex->data = f;
    ex->head = (f->method == NGX_HTTP_HEAD);
    ex->streamed = (f->send != NULL);
    ex->chunks = (f->send != NULL && f->content_length == -1);
    ex->idempotent = (f->send == NULL && f->method != NGX_HTTP_PATCH);

    peer->pool = f->pool;
    peer->log = f->log;
    peer->conf = f->conf;
    peer->port = (in_port_t) url->port;
    peer->ssl = url->ssl;
    peer->method = f->method;
    peer->near = x->near;

    if (x->upstream) {
        peer->host = t->host;
        peer->ssl_name = t->ssl_name;
        peer->group = t->group;
        peer->addrs = t->addrs;
        peer->naddrs = t->naddrs;
        x->host = t->host_header;

        return ngx_http_oci_hop_uri(f, peer);
    }

    peer->check = 1;

    p = ngx_pnalloc(f->pool, 2 * url->host.len + sizeof("[]:65535") + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    peer->host.data = p;
    peer->host.len = url->host.len;

    p = ngx_cpymem(p, url->host.data, url->host.len);
    *p++ = '\0';

    peer->ssl_name = peer->host;

    x->host.data = p;

    p = ngx_sprintf(p, url->v6 ? "[%V]" : "%V", &peer->host);

    if (!url->default_port) {
        p = ngx_sprintf(p, ":%ui", (ngx_uint_t) url->port);
    }

    x->host.len = p - x->host.data;

    return NGX_OK;
}


/* what the variables of a group's balancer see */

static ngx_int_t
ngx_http_oci_hop_uri(ngx_http_oci_fetch_t *f, ngx_http_oci_peer_t *peer)
{
    u_char     *p;
    ngx_str_t  *name;

    if (peer->group == NULL) {
        return NGX_OK;
    }

    name = &f->target->repository;

    p = ngx_pnalloc(f->pool, sizeof("/v2//blobs/") - 1 + name->len
                             + f->path.len + f->digest.len + f->args.len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    peer->uri.data = p;

    if (f->digest.len) {
        p = ngx_sprintf(p, "/v2/%V/blobs/%V", name, &f->digest);

    } else if (ngx_http_oci_hop_whole(&f->path)) {
        p = ngx_sprintf(p, "/v2/");

    } else if (f->path.len && f->path.data[0] == '/') {
        p = ngx_sprintf(p, "%V", &f->path);

    } else {
        p = ngx_sprintf(p, "/v2/%V/%V", name, &f->path);
    }

    if (f->args.len) {
        p = ngx_sprintf(p, "?%V", &f->args);
    }

    peer->uri.len = p - peer->uri.data;

    return NGX_OK;
}


static ngx_str_t *
ngx_http_oci_hop_method(ngx_http_oci_fetch_t *f)
{
    ngx_uint_t  i;

    for (i = 0; ngx_http_oci_hop_methods[i].method; i++) {
        if (ngx_http_oci_hop_methods[i].method == f->method) {
            break;
        }
    }

    return ngx_http_oci_hop_methods[i].method
           ? &ngx_http_oci_hop_methods[i].name
           : &ngx_http_oci_hop_methods[0].name;
}


/* never beyond the upstream itself, never where others can read it */

static ngx_uint_t
ngx_http_oci_hop_authorized(ngx_http_oci_fetch_t *f,
    ngx_http_oci_peer_t *peer)
{
    ngx_http_oci_auth_t  *auth;

    auth = &f->x->auth;

    if (!f->x->upstream || auth->value.len == 0) {
        return 0;
    }

    if (auth->secret && !ngx_http_oci_auth_secure(peer)) {
        ngx_log_error(NGX_LOG_ERR, f->log, 0,
                      "credentials are not sent over plain HTTP to \"%V\"",
                      &f->x->host);
        return 0;
    }

    return 1;
}


static ngx_uint_t
ngx_http_oci_hop_body(ngx_http_oci_fetch_t *f)
{
    return f->method != NGX_HTTP_GET && f->method != NGX_HTTP_HEAD;
}


ngx_buf_t *
ngx_http_oci_hop_compose(ngx_http_oci_exchange_t *ex)
{
    size_t                   len;
    ngx_buf_t               *b;
    ngx_http_oci_fetch_t    *f;
    ngx_http_oci_fetch_x_t  *x;

    f = ex->data;
    x = f->x;

    if (x->upstream && !x->measured) {
        x->near = ex->peer.class;
        x->measured = 1;
    }

    f->peer = ex->peer.name;

    len = sizeof("DELETE http:///? HTTP/1.1" CRLF
                 "Host: " CRLF
                 "User-Agent: " NGX_HTTP_OCI_USER_AGENT CRLF
                 "Accept-Encoding: identity" CRLF
                 "Accept: " CRLF
                 "If-None-Match: " CRLF
                 "Range: bytes=-" CRLF
                 "Authorization: " CRLF
                 "Proxy-Authorization: " CRLF
                 "Content-Type: " CRLF
                 "Content-Length: " CRLF
                 "Transfer-Encoding: chunked" CRLF
                 "Expect: 100-continue" CRLF CRLF) - 1
          + 2 * x->host.len + x->url.path.len + f->accept.len
          + f->if_none_match.len + 3 * NGX_OFF_T_LEN + x->auth.value.len
          + (ex->peer.absolute ? f->conf->proxy->authorization.len : 0)
          + f->content_type.len + f->headers.len + f->content.len;

    b = ngx_create_temp_buf(f->pool, len);
    if (b == NULL) {
        return NULL;
    }

    b->last = ngx_http_oci_hop_head(f, &ex->peer, b->last);

    if (ngx_http_oci_hop_body(f)) {

        if (ex->chunks) {
            b->last = ngx_sprintf(b->last, "Transfer-Encoding: chunked" CRLF);

        } else {
            b->last = ngx_sprintf(b->last, "Content-Length: %O" CRLF,
                                  f->send ? f->content_length
                                          : (off_t) f->content.len);
        }

        if (f->send) {
            b->last = ngx_sprintf(b->last, "Expect: 100-continue" CRLF);
        }

        if (f->content_type.len) {
            b->last = ngx_sprintf(b->last, "Content-Type: %V" CRLF,
                                  &f->content_type);
        }
    }

    b->last = ngx_cpymem(b->last, CRLF, sizeof(CRLF) - 1);

    if (ngx_http_oci_hop_body(f) && f->send == NULL && f->content.len) {
        b->last = ngx_cpymem(b->last, f->content.data, f->content.len);
    }

    return b;
}


static u_char *
ngx_http_oci_hop_head(ngx_http_oci_fetch_t *f, ngx_http_oci_peer_t *peer,
    u_char *p)
{
    ngx_str_t                path;
    ngx_http_oci_fetch_x_t  *x;

    x = f->x;

    path.data = x->url.path.data;
    path.len = x->url.path.len;

    p = ngx_sprintf(p, "%V ", ngx_http_oci_hop_method(f));

    if (peer->absolute) {
        p = ngx_sprintf(p, "http://%V", &x->host);
    }

    if (path.len == 0 || path.data[0] != '/') {
        *p++ = '/';
    }

    p = ngx_sprintf(p, "%V HTTP/1.1" CRLF
                       "Host: %V" CRLF
                       "User-Agent: " NGX_HTTP_OCI_USER_AGENT CRLF
                       "Accept-Encoding: identity" CRLF,
                    &path, &x->host);

    if (f->accept.len) {
        p = ngx_sprintf(p, "Accept: %V" CRLF, &f->accept);
    }

    if (f->range_start != -1) {
        p = ngx_sprintf(p, "Range: bytes=%O-", f->range_start);

        if (f->range_end != -1) {
            p = ngx_sprintf(p, "%O", f->range_end);
        }

        p = ngx_cpymem(p, CRLF, sizeof(CRLF) - 1);
    }

    if (peer->absolute && f->conf->proxy->authorization.len) {
        p = ngx_sprintf(p, "Proxy-Authorization: %V" CRLF,
                        &f->conf->proxy->authorization);
    }

    if (!x->upstream && !ngx_http_oci_hop_body(f)) {

        /* a store of objects has names of its own for what it holds */

        return p;
    }

    if (f->if_none_match.len) {
        p = ngx_sprintf(p, "If-None-Match: %V" CRLF, &f->if_none_match);
    }

    if (ngx_http_oci_hop_authorized(f, peer)) {
        p = ngx_sprintf(p, "Authorization: %V" CRLF, &x->auth.value);
    }

    return ngx_sprintf(p, "%V", &f->headers);
}
