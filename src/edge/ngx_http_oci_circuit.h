
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Whether an upstream is worth asking: known to all workers by the zone.
 * Some failures in a row open its circuit; then it is asked only by one
 * request at a time, every few seconds, until one succeeds.
 */


#ifndef _NGX_HTTP_OCI_CIRCUIT_H_INCLUDED_
#define _NGX_HTTP_OCI_CIRCUIT_H_INCLUDED_


#include "ngx_http_oci_fetch.h"
#include "ngx_http_oci_zone.h"


/*
 * How an upstream failed: it may also have answered that it is asked too
 * often, and so is alive; or have sent a head, and then no body.  After that
 * the head of an answer that has no body says nothing.
 */

#define NGX_HTTP_OCI_CIRCUIT_ANSWERED  0
#define NGX_HTTP_OCI_CIRCUIT_FAILED    1
#define NGX_HTTP_OCI_CIRCUIT_LIMITED   2
#define NGX_HTTP_OCI_CIRCUIT_STALLED   3
#define NGX_HTTP_OCI_CIRCUIT_HEADED    4        /* to be reported only */


/* 1 if target should not be asked now by whoever has something else to serve */
ngx_uint_t ngx_http_oci_circuit_open(ngx_http_oci_zone_t *z,
    ngx_http_oci_target_t *target);

/*
 * 1 if it need not be asked now by anybody: what it failed with, in a row,
 * was no limit.  As above, one who is told 0 tries for all.
 */
ngx_uint_t ngx_http_oci_circuit_dead(ngx_http_oci_zone_t *z,
    ngx_http_oci_target_t *target);

/* what a fetch that has ended says: one of the above */
ngx_uint_t ngx_http_oci_circuit_verdict(ngx_http_oci_fetch_t *f,
    ngx_http_oci_fetch_rc_e rc);

/* what came of asking, as above; logs when it opens and when it closes */
void ngx_http_oci_circuit_report(ngx_http_oci_zone_t *z,
    ngx_http_oci_target_t *target, ngx_uint_t failed, ngx_log_t *log);


#endif /* _NGX_HTTP_OCI_CIRCUIT_H_INCLUDED_ */
