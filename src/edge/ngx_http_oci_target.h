
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Where a request goes: what "oci_pass" means for one request.
 */


#ifndef _NGX_HTTP_OCI_TARGET_H_INCLUDED_
#define _NGX_HTTP_OCI_TARGET_H_INCLUDED_


#include "ngx_http_oci_edge.h"

#include "oci_url.h"


/*
 * An upstream registry and the repository's name there.  All strings lie in
 * the pool that it was made or copied in.
 */

struct ngx_http_oci_target_s {

    /*
     * The identity of the registry, "https://host:port/prefix": two targets
     * with equal keys are the same upstream.  Fit for logs and metrics.
     */
    ngx_str_t                       key;
    uint32_t                        hash;       /* of key */

    ngx_str_t                       repository; /* upstream; may be empty */

    ngx_str_t                       host;       /* lower case, no [] */
    in_port_t                       port;
    ngx_str_t                       host_header;
    ngx_str_t                       prefix;     /* of paths, no "/" at
                                                   its end */
    ngx_str_t                       ssl_name;   /* as the directive says */

    /* one of: a group, addresses known from the start, a name to resolve */

    ngx_http_upstream_srv_conf_t   *group;
    ngx_addr_t                     *addrs;
    ngx_uint_t                      naddrs;

    unsigned                        ssl:1;
    unsigned                        literal:1;  /* host is an address */
    unsigned                        docker_hub:1;
};


/*
 * The target for a request whose repository is called name here (without
 * its namespace; empty for requests that have none).  Evaluates variables of
 * r; memory is of r->pool.  NGX_OK; NGX_DECLINED: there is no upstream for
 * this request (oci_pass came out empty); NGX_ERROR: logged, an invalid
 * value or no memory.
 */
ngx_int_t ngx_http_oci_target_eval(ngx_http_request_t *r,
    ngx_http_oci_edge_conf_t *conf, ngx_str_t *name,
    ngx_http_oci_target_t **target);

/*
 * A URL of an upstream as "oci_pass" takes it, into *t, without a
 * repository.  ssl_name: what oci_pass_ssl_name says, or empty.  NGX_OK;
 * NGX_DECLINED: no such URL; NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_oci_target_parse(ngx_pool_t *pool, void **main_conf,
    ngx_str_t *text, ngx_str_t *ssl_name, ngx_http_oci_target_t *t);

/* the upstream{} that a URL names, or NULL */
ngx_http_upstream_srv_conf_t *ngx_http_oci_target_group(void **main_conf,
    oci_url_t *url);

/* a copy that outlives the request; NULL: no memory */
ngx_http_oci_target_t *ngx_http_oci_target_copy(ngx_pool_t *pool,
    ngx_http_oci_target_t *target);


#endif /* _NGX_HTTP_OCI_TARGET_H_INCLUDED_ */
