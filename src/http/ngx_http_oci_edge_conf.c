
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "ngx_http_oci_edge_conf.h"

#include "ngx_http_oci_peer.h"
#include "ngx_http_oci_target.h"
#include "ngx_http_oci_tls.h"

#include "oci_url.h"


#define NGX_HTTP_OCI_EDGE_CREDENTIALS_MAX  (1024 * 1024)
#define NGX_HTTP_OCI_EDGE_CHUNK_MIN        (64 * 1024)
#define NGX_HTTP_OCI_EDGE_CONNECTIONS_MAX  64


static ngx_int_t ngx_http_oci_edge_conf_bounds(ngx_conf_t *cf,
    ngx_http_oci_edge_conf_t *conf);
static char *ngx_http_oci_edge_conf_target(ngx_conf_t *cf,
    ngx_http_oci_edge_conf_t *prev, ngx_http_oci_edge_conf_t *conf);
static void ngx_http_oci_edge_conf_merge_ssl(ngx_conf_t *cf,
    ngx_http_oci_edge_conf_t *prev, ngx_http_oci_edge_conf_t *conf);
static ngx_uint_t ngx_http_oci_edge_conf_ssl_own(
    ngx_http_oci_edge_conf_t *conf);
static char *ngx_http_oci_edge_conf_value(ngx_conf_t *cf, ngx_str_t *text,
    ngx_http_complex_value_t **value);
static ngx_int_t ngx_http_oci_edge_conf_proxy_auth(ngx_conf_t *cf,
    ngx_http_oci_proxy_t *proxy, oci_url_t *url);
static char *ngx_http_oci_edge_conf_allow(ngx_conf_t *cf, ngx_array_t **hosts,
    ngx_array_t **cidrs);
static char *ngx_http_oci_edge_conf_allow_host(ngx_conf_t *cf,
    ngx_str_t *text, ngx_http_oci_allow_t *allow);
static ssize_t ngx_http_oci_edge_conf_read(ngx_conf_t *cf, ngx_str_t *name,
    u_char *buf, size_t size);
static void ngx_http_oci_edge_conf_cleanup(void *data);


ngx_conf_bitmask_t  ngx_http_oci_edge_protocols[] = {
    { ngx_string("TLSv1.2"), NGX_SSL_TLSv1_2 },
    { ngx_string("TLSv1.3"), NGX_SSL_TLSv1_3 },
    { ngx_null_string, 0 }
};


ngx_conf_enum_t  ngx_http_oci_edge_auths[] = {
    { ngx_string("service"), NGX_HTTP_OCI_AUTH_SERVICE },
    { ngx_string("client"), NGX_HTTP_OCI_AUTH_CLIENT },
    { ngx_null_string, 0 }
};


ngx_conf_enum_t  ngx_http_oci_edge_pushes[] = {
    { ngx_string("local"), NGX_HTTP_OCI_PUSH_LOCAL },
    { ngx_string("upstream"), NGX_HTTP_OCI_PUSH_UPSTREAM },
    { ngx_null_string, 0 }
};


ngx_conf_enum_t  ngx_http_oci_edge_verifies[] = {
    { ngx_string("whole"), NGX_HTTP_OCI_VERIFY_WHOLE },
    { ngx_string("all"), NGX_HTTP_OCI_VERIFY_ALL },
    { ngx_null_string, 0 }
};


void
ngx_http_oci_edge_conf_init(ngx_http_oci_edge_conf_t *conf)
{
    conf->pass = NGX_CONF_UNSET_PTR;
    conf->repository = NGX_CONF_UNSET_PTR;
    conf->auth = NGX_CONF_UNSET_UINT;
    conf->push = NGX_CONF_UNSET_UINT;
    conf->use_stale = NGX_CONF_UNSET;
    conf->fill_verify = NGX_CONF_UNSET_UINT;
    conf->fill_chunk = NGX_CONF_UNSET;
    conf->fill_connections = NGX_CONF_UNSET_UINT;
    conf->fill_background = NGX_CONF_UNSET;
    conf->connect_timeout = NGX_CONF_UNSET_MSEC;
    conf->timeout = NGX_CONF_UNSET_MSEC;
    conf->credentials = NGX_CONF_UNSET_PTR;
    conf->redirect_allow = NGX_CONF_UNSET_PTR;
    conf->redirect_cidrs = NGX_CONF_UNSET_PTR;
    conf->realm_allow = NGX_CONF_UNSET_PTR;
    conf->proxy = NGX_CONF_UNSET_PTR;
    conf->ssl_verify = NGX_CONF_UNSET;
    conf->ssl_server_name = NGX_CONF_UNSET;
    conf->ssl_name = NGX_CONF_UNSET_PTR;
}


char *
ngx_http_oci_edge_conf_merge(ngx_conf_t *cf, ngx_http_oci_loc_conf_t *up,
    ngx_http_oci_loc_conf_t *down)
{
    char                      *rv;
    ngx_uint_t                 own;
    ngx_http_conf_ctx_t       *ctx;
    ngx_http_oci_edge_conf_t  *prev, *conf;

    prev = &up->edge_conf;
    conf = &down->edge_conf;

    own = ngx_http_oci_edge_conf_ssl_own(conf);

    if (conf->pass == NGX_CONF_UNSET_PTR) {
        conf->pass = prev->pass;
        conf->repository = prev->repository;
    }

    ngx_conf_merge_ptr_value(conf->pass, prev->pass, NULL);
    ngx_conf_merge_ptr_value(conf->repository, prev->repository, NULL);
    ngx_conf_merge_uint_value(conf->auth, prev->auth,
                              NGX_HTTP_OCI_AUTH_SERVICE);
    ngx_conf_merge_uint_value(conf->push, prev->push,
                              NGX_HTTP_OCI_PUSH_LOCAL);
    ngx_conf_merge_value(conf->use_stale, prev->use_stale, 1);
    ngx_conf_merge_uint_value(conf->fill_verify, prev->fill_verify,
                              NGX_HTTP_OCI_VERIFY_WHOLE);
    ngx_conf_merge_off_value(conf->fill_chunk, prev->fill_chunk,
                             8 * 1024 * 1024);
    ngx_conf_merge_uint_value(conf->fill_connections, prev->fill_connections,
                              4);
    ngx_conf_merge_value(conf->fill_background, prev->fill_background, 1);
    ngx_conf_merge_msec_value(conf->connect_timeout, prev->connect_timeout,
                              5000);
    ngx_conf_merge_msec_value(conf->timeout, prev->timeout, 30000);
    ngx_conf_merge_ptr_value(conf->credentials, prev->credentials, NULL);

    if (conf->redirect_allow == NGX_CONF_UNSET_PTR) {
        conf->redirect_allow = prev->redirect_allow;
        conf->redirect_cidrs = prev->redirect_cidrs;
    }

    ngx_conf_merge_ptr_value(conf->redirect_allow, prev->redirect_allow,
                             NULL);
    ngx_conf_merge_ptr_value(conf->redirect_cidrs, prev->redirect_cidrs,
                             NULL);
    ngx_conf_merge_ptr_value(conf->realm_allow, prev->realm_allow, NULL);
    ngx_conf_merge_ptr_value(conf->proxy, prev->proxy, NULL);

    ngx_http_oci_edge_conf_merge_ssl(cf, prev, conf);

    if (conf->pass == NULL) {
        return NGX_CONF_OK;
    }

    conf->upstream = ngx_pcalloc(cf->pool, sizeof(ngx_http_upstream_conf_t));
    if (conf->upstream == NULL) {
        return NGX_CONF_ERROR;
    }

    ctx = cf->ctx;

    conf->main_conf = ctx->main_conf;
    conf->srv_conf = ctx->srv_conf;
    conf->loc_conf = ctx->loc_conf;

    if (!own) {
        conf->ssl = prev->ssl;
    }

    if (ngx_http_oci_edge_conf_bounds(cf, conf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (conf->ssl == NULL
        && ngx_http_oci_tls_create(cf, conf) != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    rv = ngx_http_oci_edge_conf_resolver(cf, conf);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    rv = ngx_http_oci_edge_conf_target(cf, prev, conf);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (down->name.data && ngx_strcmp(down->name.data, "off") != 0) {
        down->edge = conf;
        down->sparse = 1;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_oci_edge_conf_bounds(ngx_conf_t *cf, ngx_http_oci_edge_conf_t *conf)
{
    if (conf->fill_chunk >= NGX_HTTP_OCI_EDGE_CHUNK_MIN
        && conf->fill_connections >= 1
        && conf->fill_connections <= NGX_HTTP_OCI_EDGE_CONNECTIONS_MAX)
    {
        return NGX_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "\"oci_fill_chunk\" must be at least %d, "
                       "\"oci_fill_connections\" from 1 to %d",
                       NGX_HTTP_OCI_EDGE_CHUNK_MIN,
                       NGX_HTTP_OCI_EDGE_CONNECTIONS_MAX);

    return NGX_ERROR;
}


static ngx_uint_t
ngx_http_oci_edge_conf_ssl_own(ngx_http_oci_edge_conf_t *conf)
{
    return conf->ssl_verify != NGX_CONF_UNSET
           || conf->ssl_protocols
           || conf->ssl_trusted_certificate.data
           || conf->ssl_certificate.data
           || conf->ssl_certificate_key.data
           || conf->ssl_ciphers.data;
}


static void
ngx_http_oci_edge_conf_merge_ssl(ngx_conf_t *cf,
    ngx_http_oci_edge_conf_t *prev, ngx_http_oci_edge_conf_t *conf)
{
    ngx_conf_merge_value(conf->ssl_verify, prev->ssl_verify, 1);
    ngx_conf_merge_value(conf->ssl_server_name, prev->ssl_server_name, 1);
    ngx_conf_merge_ptr_value(conf->ssl_name, prev->ssl_name, NULL);
    ngx_conf_merge_str_value(conf->ssl_trusted_certificate,
                             prev->ssl_trusted_certificate, "");
    ngx_conf_merge_str_value(conf->ssl_certificate, prev->ssl_certificate,
                             "");
    ngx_conf_merge_str_value(conf->ssl_certificate_key,
                             prev->ssl_certificate_key, "");
    ngx_conf_merge_str_value(conf->ssl_ciphers, prev->ssl_ciphers,
                             "DEFAULT");
    ngx_conf_merge_bitmask_value(conf->ssl_protocols, prev->ssl_protocols,
                                 (NGX_CONF_BITMASK_SET|NGX_SSL_TLSv1_2
                                  |NGX_SSL_TLSv1_3));

    conf->ssl_name_fixed = (conf->ssl_name == NULL
                            || conf->ssl_name->lengths == NULL);
}


/* an URL without variables is looked at once, and mistakes in it told now */

static char *
ngx_http_oci_edge_conf_target(ngx_conf_t *cf, ngx_http_oci_edge_conf_t *prev,
    ngx_http_oci_edge_conf_t *conf)
{
    ngx_int_t               rc;
    ngx_str_t               ssl_name;
    ngx_http_oci_target_t  *t;

    conf->target = NULL;

    if (conf->pass->lengths == NULL) {

        if (conf->pass == prev->pass && conf->ssl_name == prev->ssl_name
            && conf->proxy == prev->proxy && prev->target)
        {
            conf->target = prev->target;
            conf->hosts_file = prev->hosts_file;
            return NGX_CONF_OK;
        }

        t = ngx_pcalloc(cf->pool, sizeof(ngx_http_oci_target_t));
        if (t == NULL) {
            return NGX_CONF_ERROR;
        }

        ngx_str_null(&ssl_name);

        if (conf->ssl_name && conf->ssl_name->lengths == NULL) {
            ssl_name = conf->ssl_name->value;
        }

        rc = ngx_http_oci_target_parse(cf->pool, conf->main_conf,
                                       &conf->pass->value, &ssl_name, t);

        if (rc == NGX_ERROR) {
            return NGX_CONF_ERROR;
        }

        if (rc == NGX_DECLINED) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"oci_pass\" needs an URL of http or https, "
                               "\"%V\" is none", &conf->pass->value);
            return NGX_CONF_ERROR;
        }

        conf->target = t;
    }

    return ngx_http_oci_edge_conf_resolve(cf, conf);
}


/* oci_pass off | URL [repository=NAME] */

char *
ngx_http_oci_edge_conf_pass(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_oci_loc_conf_t *olcf = conf;

    ngx_str_t                 *value, text;
    ngx_http_oci_edge_conf_t  *edge;

    edge = &olcf->edge_conf;

    if (edge->pass != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    edge->repository = NULL;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        edge->pass = NULL;
        return NGX_CONF_OK;
    }

    if (cf->args->nelts == 3) {

        if (ngx_strncmp(value[2].data, "repository=", 11) != 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\"", &value[2]);
            return NGX_CONF_ERROR;
        }

        text.data = value[2].data + 11;
        text.len = value[2].len - 11;

        if (ngx_http_oci_edge_conf_value(cf, &text, &edge->repository)
            != NGX_CONF_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    return ngx_http_oci_edge_conf_value(cf, &value[1], &edge->pass);
}


static char *
ngx_http_oci_edge_conf_value(ngx_conf_t *cf, ngx_str_t *text,
    ngx_http_complex_value_t **value)
{
    ngx_http_compile_complex_value_t  ccv;

    *value = ngx_pcalloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (*value == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = text;
    ccv.complex_value = *value;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* oci_pass_timeout TIME [connect=TIME] */

char *
ngx_http_oci_edge_conf_timeout(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_oci_loc_conf_t *olcf = conf;

    ngx_int_t                  n;
    ngx_str_t                 *value, s;
    ngx_http_oci_edge_conf_t  *edge;

    edge = &olcf->edge_conf;

    if (edge->timeout != NGX_CONF_UNSET_MSEC) {
        return "is duplicate";
    }

    value = cf->args->elts;

    n = ngx_parse_time(&value[1], 0);
    if (n == NGX_ERROR || n == 0) {
        return "has an invalid time";
    }

    edge->timeout = n;

    if (cf->args->nelts == 2) {
        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value[2].data, "connect=", 8) != 0) {
        return "has an unknown parameter";
    }

    s.data = value[2].data + 8;
    s.len = value[2].len - 8;

    n = ngx_parse_time(&s, 0);
    if (n == NGX_ERROR || n == 0) {
        return "has an invalid time";
    }

    edge->connect_timeout = n;

    return NGX_CONF_OK;
}


/* oci_pass_proxy off | http[s]://[user:password@]host[:port] */

char *
ngx_http_oci_edge_conf_proxy(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_oci_loc_conf_t *olcf = conf;

    ngx_str_t                 *value;
    oci_url_t                  url;
    ngx_http_oci_proxy_t      *proxy;
    ngx_http_oci_edge_conf_t  *edge;

    edge = &olcf->edge_conf;

    if (edge->proxy != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        edge->proxy = NULL;
        return NGX_CONF_OK;
    }

    if (oci_url_parse(&url, value[1].data, value[1].len) != OCI_OK
        || url.path.len > 1)
    {
        return "needs an URL of http or https without a path";
    }

    proxy = ngx_pcalloc(cf->pool, sizeof(ngx_http_oci_proxy_t));
    if (proxy == NULL) {
        return NGX_CONF_ERROR;
    }

    proxy->ssl = url.ssl;
    proxy->port = (in_port_t) url.port;

    proxy->host.len = url.host.len;
    proxy->host.data = ngx_pnalloc(cf->pool, url.host.len + 1);
    if (proxy->host.data == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_cpystrn(proxy->host.data, url.host.data, url.host.len + 1);

    if (url.user.len
        && ngx_http_oci_edge_conf_proxy_auth(cf, proxy, &url) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    edge->proxy = proxy;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_oci_edge_conf_proxy_auth(ngx_conf_t *cf, ngx_http_oci_proxy_t *proxy,
    oci_url_t *url)
{
    u_char     *src, *dst;
    ngx_str_t   user, code;

    user.data = ngx_pnalloc(cf->pool, url->user.len);
    if (user.data == NULL) {
        return NGX_ERROR;
    }

    dst = user.data;
    src = url->user.data;

    ngx_unescape_uri(&dst, &src, url->user.len, 0);

    user.len = dst - user.data;

    proxy->authorization.data = ngx_pnalloc(cf->pool,
                                            sizeof("Basic ") - 1
                                            + ngx_base64_encoded_length(
                                                  user.len));
    if (proxy->authorization.data == NULL) {
        return NGX_ERROR;
    }

    code.data = ngx_cpymem(proxy->authorization.data, "Basic ", 6);

    ngx_encode_base64(&code, &user);

    proxy->authorization.len = 6 + code.len;

    return NGX_OK;
}


char *
ngx_http_oci_edge_conf_redirect_allow(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_oci_loc_conf_t *olcf = conf;

    return ngx_http_oci_edge_conf_allow(cf, &olcf->edge_conf.redirect_allow,
                                        &olcf->edge_conf.redirect_cidrs);
}


char *
ngx_http_oci_edge_conf_realm_allow(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_oci_loc_conf_t *olcf = conf;

    return ngx_http_oci_edge_conf_allow(cf, &olcf->edge_conf.realm_allow,
                                        NULL);
}


static char *
ngx_http_oci_edge_conf_allow(ngx_conf_t *cf, ngx_array_t **hosts,
    ngx_array_t **cidrs)
{
    char                  *rv;
    ngx_int_t              rc;
    ngx_str_t             *value;
    ngx_cidr_t             cidr, *c;
    ngx_uint_t             i;
    ngx_http_oci_allow_t  *allow;

    if (*hosts != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    *hosts = ngx_array_create(cf->pool, 4, sizeof(ngx_http_oci_allow_t));

    if (*hosts == NULL) {
        return NGX_CONF_ERROR;
    }

    if (cidrs) {
        *cidrs = ngx_array_create(cf->pool, 4, sizeof(ngx_cidr_t));
        if (*cidrs == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        ngx_memzero(&cidr, sizeof(ngx_cidr_t));

        rc = cidrs ? ngx_ptocidr(&value[i], &cidr) : NGX_ERROR;

        if (rc == NGX_DONE) {
            ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                               "low address bits of \"%V\" are meaningless",
                               &value[i]);
            rc = NGX_OK;
        }

        if (rc == NGX_OK) {
            c = ngx_array_push(*cidrs);
            if (c == NULL) {
                return NGX_CONF_ERROR;
            }

            *c = cidr;
            continue;
        }

        allow = ngx_array_push(*hosts);
        if (allow == NULL) {
            return NGX_CONF_ERROR;
        }

        rv = ngx_http_oci_edge_conf_allow_host(cf, &value[i], allow);

        if (rv != NGX_CONF_OK) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" is no host", &value[i]);
            return rv;
        }
    }

    return NGX_CONF_OK;
}


/* HOST, HOST:PORT, https://HOST, http://HOST:PORT */

static char *
ngx_http_oci_edge_conf_allow_host(ngx_conf_t *cf, ngx_str_t *text,
    ngx_http_oci_allow_t *allow)
{
    u_char     *p;
    size_t      len;
    oci_url_t   url;
    ngx_uint_t  scheme;

    ngx_memzero(allow, sizeof(ngx_http_oci_allow_t));

    scheme = (ngx_strstr(text->data, "://") != NULL);

    p = ngx_pnalloc(cf->pool, sizeof("https://") + text->len);
    if (p == NULL) {
        return NGX_CONF_ERROR;
    }

    len = ngx_sprintf(p, scheme ? "%V" : "https://%V", text) - p;

    if (oci_url_parse(&url, p, len) != OCI_OK || url.path.len > 1
        || url.user.len)
    {
        return NGX_CONF_ERROR;
    }

    allow->host.data = url.host.data;
    allow->host.len = url.host.len;
    allow->plain = (scheme && !url.ssl);

    /* a port that was written, even the one of the scheme */

    p = url.host.data + url.host.len + (url.v6 ? 1 : 0);

    if (p < url.path.data && *p == ':') {
        allow->port = (in_port_t) url.port;
    }

    return NGX_CONF_OK;
}


/* oci_pass_credentials off | FILE */

char *
ngx_http_oci_edge_conf_credentials(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_oci_loc_conf_t *olcf = conf;

    int                        rc, helpers;
    u_char                    *buf;
    ssize_t                    n;
    ngx_str_t                 *value;
    const char                *reason;
    oci_credentials_t         *creds;
    ngx_pool_cleanup_t        *cln;
    ngx_http_oci_edge_conf_t  *edge;

    edge = &olcf->edge_conf;

    if (edge->credentials != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        edge->credentials = NULL;
        return NGX_CONF_OK;
    }

    if (ngx_conf_full_name(cf->cycle, &value[1], 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    buf = ngx_alloc(NGX_HTTP_OCI_EDGE_CREDENTIALS_MAX, cf->log);
    if (buf == NULL) {
        return NGX_CONF_ERROR;
    }

    n = ngx_http_oci_edge_conf_read(cf, &value[1], buf,
                                    NGX_HTTP_OCI_EDGE_CREDENTIALS_MAX);
    if (n < 0) {
        ngx_free(buf);
        return NGX_CONF_ERROR;
    }

    reason = "no memory";
    helpers = 0;

    rc = oci_credentials_parse(&creds, buf, n, &helpers, &reason);

    ngx_explicit_memzero(buf, n);
    ngx_free(buf);

    if (rc != OCI_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\" is no config.json "
                           "with credentials: %s", &value[1], reason);
        return NGX_CONF_ERROR;
    }

    if (helpers) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0, "\"%V\" names helpers for "
                           "credentials, which are not asked", &value[1]);
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        oci_credentials_free(creds);
        return NGX_CONF_ERROR;
    }

    cln->handler = ngx_http_oci_edge_conf_cleanup;
    cln->data = creds;

    edge->credentials = creds;
    edge->credentials_file = value[1];

    return NGX_CONF_OK;
}


static ssize_t
ngx_http_oci_edge_conf_read(ngx_conf_t *cf, ngx_str_t *name, u_char *buf,
    size_t size)
{
    ssize_t   n;
    size_t    len;
    ngx_fd_t  fd;

    fd = ngx_open_file(name->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_open_file_n " \"%V\" failed", name);
        return NGX_ERROR;
    }

    n = 0;

    for (len = 0; len < size; len += n) {

        n = ngx_read_fd(fd, buf + len, size - len);

        if (n == -1) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                               ngx_read_fd_n " \"%V\" failed", name);
            break;
        }

        if (n == 0) {
            break;
        }
    }

    if (len == size) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\" is too large", name);
        n = -1;
    }

    if (ngx_close_file(fd) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_ALERT, cf, ngx_errno,
                           ngx_close_file_n " \"%V\" failed", name);
    }

    return (n == -1) ? NGX_ERROR : (ssize_t) len;
}


static void
ngx_http_oci_edge_conf_cleanup(void *data)
{
    oci_credentials_free(data);
}
