
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * The only place that looks at nginx's version.
 */


#ifndef _NGX_HTTP_OCI_COMPAT_H_INCLUDED_
#define _NGX_HTTP_OCI_COMPAT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


#if !(NGX_THREADS)
#error "ngx_http_oci_module needs nginx configured with --with-threads"
#endif


/* 1.23.0 chains headers of one name; ngx_list_push() does not zero memory */

#if (nginx_version >= 1023000)
#define ngx_http_oci_header_init(h)  (h)->hash = 1; (h)->next = NULL
#else
#define ngx_http_oci_header_init(h)  (h)->hash = 1
#endif


#endif /* _NGX_HTTP_OCI_COMPAT_H_INCLUDED_ */
