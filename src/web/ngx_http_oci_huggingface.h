
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * "oci_huggingface": the models of a store for clients of the Hugging Face
 * hub, which only read.
 */


#ifndef _NGX_HTTP_OCI_HUGGINGFACE_H_INCLUDED_
#define _NGX_HTTP_OCI_HUGGINGFACE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* the setter of the directive */
char *ngx_http_oci_huggingface_conf(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


#endif /* _NGX_HTTP_OCI_HUGGINGFACE_H_INCLUDED_ */
