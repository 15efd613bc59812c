
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * The directives of an edge: their setters, for the table in
 * ngx_http_oci_module.c, and their merge.
 */


#ifndef _NGX_HTTP_OCI_EDGE_CONF_H_INCLUDED_
#define _NGX_HTTP_OCI_EDGE_CONF_H_INCLUDED_


#include "ngx_http_oci_module.h"


/* of one that ngx_pcalloc() has zeroed */
void ngx_http_oci_edge_conf_init(ngx_http_oci_edge_conf_t *conf);

/* leaves conf->edge NULL where there is no upstream */
char *ngx_http_oci_edge_conf_merge(ngx_conf_t *cf,
    ngx_http_oci_loc_conf_t *prev, ngx_http_oci_loc_conf_t *conf);

/* the resolver of a location, or else that of the system */
char *ngx_http_oci_edge_conf_resolver(ngx_conf_t *cf,
    ngx_http_oci_edge_conf_t *conf);

/* addresses that a host has now, if any, and if the hosts file names it */
char *ngx_http_oci_edge_conf_resolve(ngx_conf_t *cf,
    ngx_http_oci_edge_conf_t *conf);

char *ngx_http_oci_edge_conf_pass(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_oci_edge_conf_timeout(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_oci_edge_conf_proxy(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_oci_edge_conf_credentials(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* oci_pass_redirect_allow and oci_pass_realm_allow */
char *ngx_http_oci_edge_conf_redirect_allow(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
char *ngx_http_oci_edge_conf_realm_allow(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

extern ngx_conf_bitmask_t  ngx_http_oci_edge_protocols[];
extern ngx_conf_enum_t     ngx_http_oci_edge_auths[];
extern ngx_conf_enum_t     ngx_http_oci_edge_pushes[];
extern ngx_conf_enum_t     ngx_http_oci_edge_verifies[];


#endif /* _NGX_HTTP_OCI_EDGE_CONF_H_INCLUDED_ */
