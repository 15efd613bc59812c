
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * What a location knows of its upstream.  One for each location that has a
 * registry, filled in by the directives; read only at run time.
 */


#ifndef _NGX_HTTP_OCI_EDGE_H_INCLUDED_
#define _NGX_HTTP_OCI_EDGE_H_INCLUDED_


#include "ngx_http_oci_compat.h"

#include "oci_core.h"
#include "oci_credentials.h"


#define NGX_HTTP_OCI_AUTH_SERVICE   0       /* the edge's own account */
#define NGX_HTTP_OCI_AUTH_CLIENT    1       /* each client's own right */

#define NGX_HTTP_OCI_PUSH_LOCAL     0
#define NGX_HTTP_OCI_PUSH_UPSTREAM  1

#define NGX_HTTP_OCI_VERIFY_WHOLE   0
#define NGX_HTTP_OCI_VERIFY_ALL     1


typedef struct ngx_http_oci_target_s  ngx_http_oci_target_t;
typedef struct ngx_http_oci_proxy_s   ngx_http_oci_proxy_t;


/* a HOST, HOST:PORT or URL of oci_pass_redirect_allow, _realm_allow */

typedef struct {
    ngx_str_t                    host;      /* lower case */
    in_port_t                    port;      /* 0: any */
    unsigned                     plain:1;   /* http:// was written */
} ngx_http_oci_allow_t;


typedef struct ngx_http_oci_edge_conf_s {
    ngx_http_complex_value_t    *pass;      /* of oci_pass, NULL: none */
    ngx_http_complex_value_t    *repository;    /* its name upstream */
    ngx_http_oci_target_t       *target;    /* where pass has no variables */

    ngx_uint_t                   auth;      /* NGX_HTTP_OCI_AUTH_... */
    ngx_uint_t                   push;      /* NGX_HTTP_OCI_PUSH_... */
    ngx_flag_t                   use_stale;

    ngx_uint_t                   fill_verify;   /* NGX_HTTP_OCI_VERIFY_... */
    off_t                        fill_chunk;
    ngx_uint_t                   fill_connections;
    ngx_flag_t                   fill_background;

    ngx_msec_t                   connect_timeout;
    ngx_msec_t                   timeout;   /* between two reads or writes */

    ngx_str_t                    credentials_file;
    oci_credentials_t           *credentials;   /* NULL: none */

    ngx_array_t                 *redirect_allow;    /* ngx_http_oci_allow_t */
    ngx_array_t                 *redirect_cidrs;    /* ngx_cidr_t */
    ngx_array_t                 *realm_allow;       /* ngx_http_oci_allow_t */

    ngx_http_oci_proxy_t        *proxy;     /* NULL: none */

    void                        *ssl;       /* ngx_ssl_t */
    ngx_flag_t                   ssl_verify;
    ngx_flag_t                   ssl_server_name;
    ngx_http_complex_value_t    *ssl_name;
    ngx_uint_t                   ssl_name_fixed;    /* has no variables */
    ngx_str_t                    ssl_trusted_certificate;
    ngx_str_t                    ssl_certificate;
    ngx_str_t                    ssl_certificate_key;
    ngx_str_t                    ssl_ciphers;
    ngx_uint_t                   ssl_protocols;

    ngx_resolver_t              *resolver;  /* NULL: none at all */
    ngx_msec_t                   resolver_timeout;
    time_t                       resolver_failed;   /* in this worker */
    ngx_uint_t                   hosts_file;    /* has the name of target or
                                                   proxy */

    /* of the location: requests that no client made need them */

    ngx_http_upstream_conf_t    *upstream;  /* all zero */
    void                       **main_conf;
    void                       **srv_conf;
    void                       **loc_conf;
} ngx_http_oci_edge_conf_t;


#endif /* _NGX_HTTP_OCI_EDGE_H_INCLUDED_ */
