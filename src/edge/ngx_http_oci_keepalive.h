
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Idle connections of a worker, to whatever host they lead.
 */


#ifndef _NGX_HTTP_OCI_KEEPALIVE_H_INCLUDED_
#define _NGX_HTTP_OCI_KEEPALIVE_H_INCLUDED_


#include "ngx_http_oci_edge.h"


/*
 * An idle connection that was made for key and, unless sockaddr is NULL, to
 * that address; NULL: none.  Its address is put into *found.
 */
ngx_connection_t *ngx_http_oci_keepalive_get(ngx_str_t *key,
    struct sockaddr *sockaddr, socklen_t socklen, ngx_sockaddr_t *found,
    socklen_t *found_len, ngx_log_t *log);

/* takes a connection whose answer was read whole, or closes it */
void ngx_http_oci_keepalive_put(ngx_connection_t *c, ngx_str_t *key,
    struct sockaddr *sockaddr, socklen_t socklen);

/* closes a connection of ours: TLS, pool, socket */
void ngx_http_oci_keepalive_close(ngx_connection_t *c);


#endif /* _NGX_HTTP_OCI_KEEPALIVE_H_INCLUDED_ */
