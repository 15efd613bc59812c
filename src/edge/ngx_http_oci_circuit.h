
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Whether an upstream is worth asking: known to all workers by the zone.
 * Some failures in a row open its circuit; then it is asked only by one
 * request at a time, every few seconds, until one succeeds.
 */


#ifndef _NGX_HTTP_OCI_CIRCUIT_H_INCLUDED_
#define _NGX_HTTP_OCI_CIRCUIT_H_INCLUDED_


#include "ngx_http_oci_target.h"
#include "ngx_http_oci_zone.h"


/* 1 if target should not be asked now by whoever has something else to serve */
ngx_uint_t ngx_http_oci_circuit_open(ngx_http_oci_zone_t *z,
    ngx_http_oci_target_t *target);

/* what came of asking; logs when the circuit opens and when it closes */
void ngx_http_oci_circuit_report(ngx_http_oci_zone_t *z,
    ngx_http_oci_target_t *target, ngx_uint_t failed, ngx_log_t *log);


#endif /* _NGX_HTTP_OCI_CIRCUIT_H_INCLUDED_ */
