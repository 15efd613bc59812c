
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Eviction and abandoned fills of a store, in the cache manager process.
 */


#ifndef _NGX_HTTP_OCI_EVICT_H_INCLUDED_
#define _NGX_HTTP_OCI_EVICT_H_INCLUDED_


#include "ngx_http_oci_module.h"


/* works for a short while; ms until it is to be called again */
ngx_msec_t ngx_http_oci_evict_manage(ngx_http_oci_store_t *st);

/* the wake handler of the cache manager: a fill has no room */
void ngx_http_oci_evict_woken(void);

/* 1 if the store has limits, and so may evict */
ngx_uint_t ngx_http_oci_evict_limited(ngx_http_oci_store_t *st);


#endif /* _NGX_HTTP_OCI_EVICT_H_INCLUDED_ */
