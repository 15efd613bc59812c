
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * A request that no client made, for what nginx gives requests alone: the
 * balancers of an upstream{} and the variables that they look at.
 */


#ifndef _NGX_HTTP_OCI_DETACHED_H_INCLUDED_
#define _NGX_HTTP_OCI_DETACHED_H_INCLUDED_


#include "ngx_http_oci_edge.h"


/*
 * uri: as a client would send it, terminated by anything; r->upstream is
 * there, ready for peer.init().  NULL: no memory.
 */
ngx_http_request_t *ngx_http_oci_detached_create(ngx_pool_t *pool,
    ngx_log_t *log, ngx_http_oci_edge_conf_t *conf, ngx_uint_t method,
    ngx_str_t *uri, ngx_str_t *host);

/* what others have left to be done at the end of a request */
void ngx_http_oci_detached_destroy(ngx_http_request_t *r);


#endif /* _NGX_HTTP_OCI_DETACHED_H_INCLUDED_ */
