
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "ngx_http_oci_tls.h"

#include "oci_url.h"


#if (NGX_HTTP_SSL)

#include <openssl/x509v3.h>


#define NGX_HTTP_OCI_TLS_DEPTH  9


static ngx_int_t ngx_http_oci_tls_trust(ngx_conf_t *cf, ngx_ssl_t *ssl,
    ngx_http_oci_edge_conf_t *conf);
static ngx_int_t ngx_http_oci_tls_inside(ngx_connection_t *c,
    ngx_ssl_connection_t *outer);
static ngx_uint_t ngx_http_oci_tls_literal(ngx_str_t *name);


/* where systems keep the certificates that they trust, in one file */

static ngx_str_t  ngx_http_oci_tls_bundles[] = {
    ngx_string("/etc/ssl/certs/ca-certificates.crt"),
    ngx_string("/etc/pki/tls/certs/ca-bundle.crt"),
    ngx_string("/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"),
    ngx_string("/etc/ssl/ca-bundle.pem"),
    ngx_string("/etc/ssl/cert.pem"),
    ngx_null_string
};


char *
ngx_http_oci_tls_create(ngx_conf_t *cf, ngx_http_oci_edge_conf_t *conf)
{
    ngx_ssl_t           *ssl;
    ngx_pool_cleanup_t  *cln;

    static const u_char  alpn[] = "\x08http/1.1";

    ssl = ngx_pcalloc(cf->pool, sizeof(ngx_ssl_t));
    if (ssl == NULL) {
        return NGX_CONF_ERROR;
    }

    ssl->log = cf->log;

    if (ngx_ssl_create(ssl, conf->ssl_protocols, NULL) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        ngx_ssl_cleanup_ctx(ssl);
        return NGX_CONF_ERROR;
    }

    cln->handler = ngx_ssl_cleanup_ctx;
    cln->data = ssl;

    if (ngx_ssl_ciphers(cf, ssl, &conf->ssl_ciphers, 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (conf->ssl_certificate.len) {

        if (conf->ssl_certificate_key.len == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "no \"oci_pass_ssl_certificate_key\" for the "
                               "certificate \"%V\"", &conf->ssl_certificate);
            return NGX_CONF_ERROR;
        }

        if (ngx_ssl_certificate(cf, ssl, &conf->ssl_certificate,
                                &conf->ssl_certificate_key, NULL)
            != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    if (SSL_CTX_set_alpn_protos(ssl->ctx, alpn, sizeof(alpn) - 1) != 0) {
        return NGX_CONF_ERROR;
    }

    if (conf->ssl_verify
        && ngx_http_oci_tls_trust(cf, ssl, conf) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    conf->ssl = ssl;

    return NGX_CONF_OK;
}


/*
 * Without a file of its own a location trusts whom the system trusts: the
 * folder that OpenSSL was built for, whose certificates are read when they
 * are asked for, or else a bundle.
 */

static ngx_int_t
ngx_http_oci_tls_trust(ngx_conf_t *cf, ngx_ssl_t *ssl,
    ngx_http_oci_edge_conf_t *conf)
{
    glob_t           names;
    ngx_str_t       *bundle, file;
    ngx_file_info_t  fi;
    u_char           hashed[NGX_MAX_PATH];

    if (conf->ssl_trusted_certificate.len) {
        return ngx_ssl_trusted_certificate(cf, ssl,
                                           &conf->ssl_trusted_certificate,
                                           NGX_HTTP_OCI_TLS_DEPTH);
    }

    SSL_CTX_set_verify_depth(ssl->ctx, NGX_HTTP_OCI_TLS_DEPTH);

    /* with SSL_CERT_FILE and SSL_CERT_DIR, too */

    if (SSL_CTX_set_default_verify_paths(ssl->ctx) == 0) {
        ngx_ssl_error(NGX_LOG_EMERG, cf->log, 0,
                      "SSL_CTX_set_default_verify_paths() failed");
        return NGX_ERROR;
    }

    if (getenv(X509_get_default_cert_file_env())
        || ngx_file_info(X509_get_default_cert_file(), &fi)
           != NGX_FILE_ERROR)
    {
        return NGX_OK;
    }

    ngx_sprintf(hashed, "%s/*.0%Z", X509_get_default_cert_dir());

    if (glob((char *) hashed, GLOB_NOSORT, NULL, &names) == 0) {
        globfree(&names);
        return NGX_OK;
    }

    for (bundle = ngx_http_oci_tls_bundles; bundle->len; bundle++) {

        if (ngx_file_info(bundle->data, &fi) == NGX_FILE_ERROR) {
            continue;
        }

        file = *bundle;

        return ngx_ssl_trusted_certificate(cf, ssl, &file,
                                           NGX_HTTP_OCI_TLS_DEPTH);
    }

    ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                       "the system has no certificates to verify upstreams "
                       "with, \"oci_pass_ssl_trusted_certificate\" is needed");

    return NGX_OK;
}


ngx_int_t
ngx_http_oci_tls_start(ngx_connection_t *c, ngx_http_oci_edge_conf_t *conf,
    ngx_str_t *name, ngx_http_oci_tls_handler_pt handler)
{
    ngx_int_t              rc;
    ngx_ssl_connection_t  *outer;

    outer = c->ssl;

    if (ngx_ssl_create_connection(conf->ssl, c,
                                  NGX_SSL_BUFFER|NGX_SSL_CLIENT)
        != NGX_OK)
    {
        c->ssl = outer;
        return NGX_ERROR;
    }

    c->sendfile = 0;

    if (outer && ngx_http_oci_tls_inside(c, outer) != NGX_OK) {
        return NGX_ERROR;
    }

    if (conf->ssl_server_name && !ngx_http_oci_tls_literal(name)
        && SSL_set_tlsext_host_name(c->ssl->connection, (char *) name->data)
           == 0)
    {
        ngx_ssl_error(NGX_LOG_ERR, c->log, 0,
                      "SSL_set_tlsext_host_name(\"%s\") failed", name->data);
        return NGX_ERROR;
    }

    rc = ngx_ssl_handshake(c);

    if (rc == NGX_AGAIN) {
        c->ssl->handler = handler;
    }

    return rc;
}


/*
 * TLS inside of TLS: the inner one's bytes go through the outer one.  The
 * outer is freed with the inner.
 */

static ngx_int_t
ngx_http_oci_tls_inside(ngx_connection_t *c, ngx_ssl_connection_t *outer)
{
    BIO  *bio;

    bio = BIO_new(BIO_f_ssl());

    if (bio == NULL) {
        SSL_free(c->ssl->connection);
        c->ssl = outer;
        return NGX_ERROR;
    }

    (void) BIO_set_ssl(bio, outer->connection, BIO_CLOSE);

    SSL_set_bio(c->ssl->connection, bio, bio);

    return NGX_OK;
}


ngx_int_t
ngx_http_oci_tls_verify(ngx_connection_t *c, ngx_http_oci_edge_conf_t *conf,
    ngx_str_t *name)
{
    int    ok;
    long   rc;
    X509  *cert;

    if (c->ssl == NULL || !c->ssl->handshaked) {
        return NGX_ERROR;
    }

    if (!conf->ssl_verify) {
        return NGX_OK;
    }

    rc = SSL_get_verify_result(c->ssl->connection);

    if (rc != X509_V_OK) {
        ngx_log_error(NGX_LOG_ERR, c->log, 0,
                      "upstream SSL certificate verify error: (%l:%s)",
                      rc, X509_verify_cert_error_string(rc));
        return NGX_ERROR;
    }

    cert = SSL_get_peer_certificate(c->ssl->connection);

    if (cert == NULL) {
        ngx_log_error(NGX_LOG_ERR, c->log, 0,
                      "upstream sent no SSL certificate");
        return NGX_ERROR;
    }

    if (ngx_http_oci_tls_literal(name)) {
        ok = X509_check_ip_asc(cert, (char *) name->data, 0);

    } else {
        ok = X509_check_host(cert, (char *) name->data, name->len,
                             X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL);
    }

    X509_free(cert);

    if (ok != 1) {
        ngx_log_error(NGX_LOG_ERR, c->log, 0,
                      "upstream SSL certificate does not match \"%V\"", name);
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_uint_t
ngx_http_oci_tls_same(ngx_connection_t *c, ngx_http_oci_edge_conf_t *conf,
    ngx_str_t *name)
{
    ngx_ssl_t  *ssl;

    ssl = conf->ssl;

    return c->ssl != NULL && ssl != NULL
           && SSL_get_SSL_CTX(c->ssl->connection) == ssl->ctx
           && ngx_http_oci_tls_verify(c, conf, name) == NGX_OK;
}


void
ngx_http_oci_tls_close(ngx_connection_t *c)
{
    if (c->ssl == NULL) {
        return;
    }

    c->ssl->no_wait_shutdown = 1;

    (void) ngx_ssl_shutdown(c);

    if (c->ssl) {

        /* the socket took no more */

        SSL_free(c->ssl->connection);
        c->ssl = NULL;
    }
}


static ngx_uint_t
ngx_http_oci_tls_literal(ngx_str_t *name)
{
    oci_str_t  host;

    host.data = name->data;
    host.len = name->len;

    return oci_url_host_literal(&host);
}


#else


char *
ngx_http_oci_tls_create(ngx_conf_t *cf, ngx_http_oci_edge_conf_t *conf)
{
    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_oci_tls_start(ngx_connection_t *c, ngx_http_oci_edge_conf_t *conf,
    ngx_str_t *name, ngx_http_oci_tls_handler_pt handler)
{
    ngx_log_error(NGX_LOG_ERR, c->log, 0,
                  "https to an upstream needs nginx with "
                  "--with-http_ssl_module");
    return NGX_ERROR;
}


ngx_int_t
ngx_http_oci_tls_verify(ngx_connection_t *c, ngx_http_oci_edge_conf_t *conf,
    ngx_str_t *name)
{
    return NGX_ERROR;
}


ngx_uint_t
ngx_http_oci_tls_same(ngx_connection_t *c, ngx_http_oci_edge_conf_t *conf,
    ngx_str_t *name)
{
    return 0;
}


void
ngx_http_oci_tls_close(ngx_connection_t *c)
{
}


#endif
