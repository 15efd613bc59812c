
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Lists of tags and of referrers on an edge.
 */


#ifndef _NGX_HTTP_OCI_LIST_EDGE_H_INCLUDED_
#define _NGX_HTTP_OCI_LIST_EDGE_H_INCLUDED_


#include "ngx_http_oci_module.h"


/*
 * Answers with the upstream's list, or by local, the handler of what is here:
 * where there is no upstream for this request, or it does not answer.
 * Returns what the handler returns.
 */
ngx_int_t ngx_http_oci_list_edge(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx,
    ngx_int_t (*local)(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx));


#endif /* _NGX_HTTP_OCI_LIST_EDGE_H_INCLUDED_ */
