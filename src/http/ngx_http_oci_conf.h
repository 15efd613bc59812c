
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * The setters of directives with a syntax of their own, for the table in
 * ngx_http_oci_module.c.
 */


#ifndef _NGX_HTTP_OCI_CONF_H_INCLUDED_
#define _NGX_HTTP_OCI_CONF_H_INCLUDED_


#include "ngx_http_oci_module.h"


char *ngx_http_oci_conf_store(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_oci_conf_oci(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_oci_conf_namespace(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_oci_conf_thread_pool(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_oci_conf_public_url(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_oci_conf_gc(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* of one location, once its store is known */
char *ngx_http_oci_conf_merge_handler(ngx_conf_t *cf,
    ngx_http_oci_loc_conf_t *conf, ngx_uint_t own);
char *ngx_http_oci_conf_merge_gc(ngx_conf_t *cf,
    ngx_http_oci_loc_conf_t *conf);
char *ngx_http_oci_conf_add_edge(ngx_conf_t *cf,
    ngx_http_oci_loc_conf_t *conf);

/* before its name is merged */
void ngx_http_oci_conf_merge_view(ngx_conf_t *cf,
    ngx_http_oci_loc_conf_t *prev, ngx_http_oci_loc_conf_t *conf);

/* a store by the name of its zone, or NULL */
ngx_http_oci_store_t *ngx_http_oci_conf_find_store(ngx_conf_t *cf,
    ngx_str_t *name);


#endif /* _NGX_HTTP_OCI_CONF_H_INCLUDED_ */
