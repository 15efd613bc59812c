
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "ngx_http_oci_target.h"

#include "oci_reference.h"
#include "oci_url.h"


#define NGX_HTTP_OCI_HUB          "registry-1.docker.io"
#define NGX_HTTP_OCI_HUB_LIBRARY  "library/"


static ngx_int_t ngx_http_oci_target_names(ngx_pool_t *pool,
    ngx_http_oci_target_t *t, oci_url_t *url, ngx_str_t *ssl_name);
static ngx_int_t ngx_http_oci_target_ssl_name(ngx_http_request_t *r,
    ngx_http_oci_edge_conf_t *conf, ngx_http_oci_target_t *t,
    ngx_str_t *text);
static ngx_int_t ngx_http_oci_target_repository(ngx_http_request_t *r,
    ngx_http_oci_edge_conf_t *conf, ngx_http_oci_target_t *t,
    ngx_str_t *name);
static ngx_int_t ngx_http_oci_target_dup(ngx_pool_t *pool, ngx_str_t *s);


ngx_int_t
ngx_http_oci_target_parse(ngx_pool_t *pool, void **main_conf, ngx_str_t *text,
    ngx_str_t *ssl_name, ngx_http_oci_target_t *t)
{
    u_char     *p;
    oci_url_t   url;

    ngx_memzero(t, sizeof(ngx_http_oci_target_t));

    p = ngx_pnalloc(pool, text->len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(p, text->data, text->len);

    if (oci_url_parse(&url, p, text->len) != OCI_OK || url.user.len
        || ngx_strlchr(url.path.data, url.path.data + url.path.len, '?'))
    {
        return NGX_DECLINED;
    }

    while (url.path.len && url.path.data[url.path.len - 1] == '/') {
        url.path.len--;
    }

    if (oci_str_eq(&url.host, "docker.io")) {
        url.host.data = (u_char *) NGX_HTTP_OCI_HUB;
        url.host.len = sizeof(NGX_HTTP_OCI_HUB) - 1;
    }

    t->ssl = url.ssl;
    t->port = (in_port_t) url.port;
    t->literal = oci_url_host_literal(&url.host);
    t->group = ngx_http_oci_target_group(main_conf, &url);

    t->prefix.data = url.path.data;
    t->prefix.len = url.path.len;

    return ngx_http_oci_target_names(pool, t, &url, ssl_name);
}


/* an upstream{} of that name, as nginx finds those of proxy_pass */

ngx_http_upstream_srv_conf_t *
ngx_http_oci_target_group(void **main_conf, oci_url_t *url)
{
    ngx_uint_t                       i;
    ngx_http_upstream_srv_conf_t   **uscfp, *uscf;
    ngx_http_upstream_main_conf_t   *umcf;

    if (!url->default_port) {
        return NULL;
    }

    umcf = main_conf[ngx_http_upstream_module.ctx_index];
    uscfp = umcf->upstreams.elts;

    for (i = 0; i < umcf->upstreams.nelts; i++) {

        uscf = uscfp[i];

        if ((uscf->flags & NGX_HTTP_UPSTREAM_CREATE)
            && uscf->host.len == url->host.len
            && ngx_strncasecmp(uscf->host.data, url->host.data,
                               url->host.len)
               == 0)
        {
            return uscf;
        }
    }

    return NULL;
}


/*
 * A group has a name of its own making: what its servers call themselves is
 * oci_pass_ssl_name, where that is set.
 */

static ngx_int_t
ngx_http_oci_target_names(ngx_pool_t *pool, ngx_http_oci_target_t *t,
    oci_url_t *url, ngx_str_t *ssl_name)
{
    u_char     *p;
    oci_str_t   host;
    ngx_uint_t  standard;

    t->host.data = url->host.data;
    t->host.len = url->host.len;

    if (t->group && ssl_name->len) {

        t->host.data = ngx_pnalloc(pool, ssl_name->len);
        if (t->host.data == NULL) {
            return NGX_ERROR;
        }

        ngx_strlow(t->host.data, ssl_name->data, ssl_name->len);
        t->host.len = ssl_name->len;
    }

    t->ssl_name = ssl_name->len ? *ssl_name : t->host;

    if (ngx_http_oci_target_dup(pool, &t->ssl_name) != NGX_OK) {
        return NGX_ERROR;
    }

    standard = t->ssl ? 443 : 80;

    p = ngx_pnalloc(pool, t->host.len + sizeof("[]:65535") - 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    t->host_header.data = p;

    p = ngx_sprintf(p, url->v6 ? "[%V]" : "%V", &t->host);

    if (t->port != standard) {
        p = ngx_sprintf(p, ":%ui", (ngx_uint_t) t->port);
    }

    t->host_header.len = p - t->host_header.data;

    host.data = t->host.data;
    host.len = t->host.len;

    t->docker_hub = oci_docker_hub(&host);

    p = ngx_pnalloc(pool, sizeof("https://[]:65535") - 1 + url->host.len
                          + sizeof(";") - 1 + t->host.len + t->prefix.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    t->key.data = p;

    p = ngx_sprintf(p, "%s://", t->ssl ? "https" : "http");
    p = ngx_sprintf(p, url->v6 ? "[%*s]" : "%*s", url->host.len,
                    url->host.data);

    if (t->group == NULL) {
        p = ngx_sprintf(p, ":%ui", (ngx_uint_t) t->port);

    } else if (t->host.data != url->host.data) {
        p = ngx_sprintf(p, ";%V", &t->host);
    }

    p = ngx_sprintf(p, "%V", &t->prefix);

    t->key.len = p - t->key.data;
    t->hash = ngx_murmur_hash2(t->key.data, t->key.len);

    return NGX_OK;
}


ngx_int_t
ngx_http_oci_target_eval(ngx_http_request_t *r,
    ngx_http_oci_edge_conf_t *conf, ngx_str_t *name,
    ngx_http_oci_target_t **target)
{
    ngx_int_t               rc;
    ngx_str_t               text;
    ngx_http_oci_target_t  *t;

    if (conf->pass == NULL) {
        return NGX_DECLINED;
    }

    t = ngx_palloc(r->pool, sizeof(ngx_http_oci_target_t));
    if (t == NULL) {
        return NGX_ERROR;
    }

    if (conf->target && conf->ssl_name_fixed) {
        *t = *conf->target;

    } else {

        if (ngx_http_complex_value(r, conf->pass, &text) != NGX_OK) {
            return NGX_ERROR;
        }

        if (text.len == 0) {
            return NGX_DECLINED;
        }

        rc = ngx_http_oci_target_ssl_name(r, conf, t, &text);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    if (ngx_http_oci_target_repository(r, conf, t, name) != NGX_OK) {
        return NGX_ERROR;
    }

    *target = t;

    return NGX_OK;
}


static ngx_int_t
ngx_http_oci_target_ssl_name(ngx_http_request_t *r,
    ngx_http_oci_edge_conf_t *conf, ngx_http_oci_target_t *t,
    ngx_str_t *text)
{
    ngx_int_t  rc;
    ngx_str_t  ssl_name;

    ngx_str_null(&ssl_name);

    if (conf->ssl_name
        && ngx_http_complex_value(r, conf->ssl_name, &ssl_name) != NGX_OK)
    {
        return NGX_ERROR;
    }

    rc = ngx_http_oci_target_parse(r->pool, conf->main_conf, text, &ssl_name,
                                   t);

    if (rc == NGX_DECLINED) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "\"oci_pass\" came out as no URL of a registry");
        return NGX_ERROR;
    }

    if (rc == NGX_OK && conf->target && t->group == NULL) {
        t->addrs = conf->target->addrs;
        t->naddrs = conf->target->naddrs;
    }

    return rc;
}


static ngx_int_t
ngx_http_oci_target_repository(ngx_http_request_t *r,
    ngx_http_oci_edge_conf_t *conf, ngx_http_oci_target_t *t,
    ngx_str_t *name)
{
    u_char  *p;

    t->repository = *name;

    if (name->len == 0) {
        return NGX_OK;
    }

    if (conf->repository) {

        if (ngx_http_complex_value(r, conf->repository, &t->repository)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (!oci_name_valid(t->repository.data, t->repository.len)) {
            ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                          "\"repository=\" of \"oci_pass\" came out as no "
                          "name of a repository");
            return NGX_ERROR;
        }
    }

    if (!t->docker_hub
        || ngx_strlchr(t->repository.data,
                       t->repository.data + t->repository.len, '/'))
    {
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, sizeof(NGX_HTTP_OCI_HUB_LIBRARY) - 1
                             + t->repository.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    t->repository.len = ngx_sprintf(p, NGX_HTTP_OCI_HUB_LIBRARY "%V",
                                    &t->repository)
                        - p;
    t->repository.data = p;

    return NGX_OK;
}


/* the group and the addresses belong to the configuration */

ngx_http_oci_target_t *
ngx_http_oci_target_copy(ngx_pool_t *pool, ngx_http_oci_target_t *target)
{
    ngx_http_oci_target_t  *t;

    t = ngx_palloc(pool, sizeof(ngx_http_oci_target_t));
    if (t == NULL) {
        return NULL;
    }

    *t = *target;

    if (ngx_http_oci_target_dup(pool, &t->key) != NGX_OK
        || ngx_http_oci_target_dup(pool, &t->repository) != NGX_OK
        || ngx_http_oci_target_dup(pool, &t->host) != NGX_OK
        || ngx_http_oci_target_dup(pool, &t->host_header) != NGX_OK
        || ngx_http_oci_target_dup(pool, &t->prefix) != NGX_OK
        || ngx_http_oci_target_dup(pool, &t->ssl_name) != NGX_OK)
    {
        return NULL;
    }

    return t;
}


/* terminated by NUL: OpenSSL takes names so */

static ngx_int_t
ngx_http_oci_target_dup(ngx_pool_t *pool, ngx_str_t *s)
{
    u_char  *p;

    p = ngx_pnalloc(pool, s->len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    if (s->len) {
        ngx_memcpy(p, s->data, s->len);
    }

    p[s->len] = '\0';
    s->data = p;

    return NGX_OK;
}
