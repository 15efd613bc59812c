
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * TLS to upstreams and proxies.
 */


#ifndef _NGX_HTTP_OCI_TLS_H_INCLUDED_
#define _NGX_HTTP_OCI_TLS_H_INCLUDED_


#include "ngx_http_oci_edge.h"


typedef void (*ngx_http_oci_tls_handler_pt)(ngx_connection_t *c);


/* makes conf->ssl of what conf names; NGX_CONF_OK, or NGX_CONF_ERROR, logged */
char *ngx_http_oci_tls_create(ngx_conf_t *cf, ngx_http_oci_edge_conf_t *conf);

/*
 * Begins a handshake for name, which is terminated by NUL; over a connection
 * that has TLS already (to a proxy) inside of it.  NGX_AGAIN: handler will
 * be called; NGX_OK: done, as ngx_http_oci_tls_verify() must still find;
 * NGX_ERROR.
 */
ngx_int_t ngx_http_oci_tls_start(ngx_connection_t *c,
    ngx_http_oci_edge_conf_t *conf, ngx_str_t *name,
    ngx_http_oci_tls_handler_pt handler);

/* NGX_OK, or NGX_ERROR, logged: no handshake, or not who it should be */
ngx_int_t ngx_http_oci_tls_verify(ngx_connection_t *c,
    ngx_http_oci_edge_conf_t *conf, ngx_str_t *name);

/* 1 if an open connection, of whoever, is what conf and name ask for */
ngx_uint_t ngx_http_oci_tls_same(ngx_connection_t *c,
    ngx_http_oci_edge_conf_t *conf, ngx_str_t *name);

/* says goodbye, waits for none */
void ngx_http_oci_tls_close(ngx_connection_t *c);


#endif /* _NGX_HTTP_OCI_TLS_H_INCLUDED_ */
