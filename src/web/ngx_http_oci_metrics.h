
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * "oci_metrics": the counters of all stores as Prometheus reads them.
 */


#ifndef _NGX_HTTP_OCI_METRICS_H_INCLUDED_
#define _NGX_HTTP_OCI_METRICS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* the setter of the directive */
char *ngx_http_oci_metrics(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);


#endif /* _NGX_HTTP_OCI_METRICS_H_INCLUDED_ */
