
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * The single requests of a fetch: where the next one goes, and its text.
 */


#ifndef _NGX_HTTP_OCI_HOP_H_INCLUDED_
#define _NGX_HTTP_OCI_HOP_H_INCLUDED_


#include "ngx_http_oci_auth.h"
#include "ngx_http_oci_exchange.h"
#include "ngx_http_oci_fetch.h"

#include "oci_url.h"


/* what a fetch holds besides what its owner sees */

struct ngx_http_oci_fetch_x_s {
    ngx_http_oci_exchange_t      exchange;
    ngx_http_oci_auth_t          auth;

    oci_url_t                    url;           /* of this hop */
    ngx_str_t                    host;          /* its header */
    oci_address_class_t          near;          /* of the upstream itself */
    ngx_uint_t                   status;        /* that sent us on */

    ngx_event_t                  event;         /* the start, a resume */
    ngx_event_t                  timer;
    ngx_log_t                    log;

    ngx_buf_t                   *kept;          /* body of a 401 */
    off_t                        bytes;         /* of earlier exchanges */
    off_t                        timed;         /* of the body, by the timer's
                                                   last look */

    ngx_uint_t                   state;

    unsigned                     upstream:1;    /* the hop goes to target */
    unsigned                     measured:1;    /* near is known */
    unsigned                     running:1;     /* the exchange is */
    unsigned                     inside:1;
    unsigned                     cancelled:1;
    unsigned                     paused:1;
    unsigned                     challenged:1;  /* this 401 is for us */
    unsigned                     redirected:1;
    unsigned                     finished:1;
};


/* the URL of the first hop into x->url.  NGX_OK, NGX_ERROR, NGX_DECLINED. */
ngx_int_t ngx_http_oci_hop_first(ngx_http_oci_fetch_t *f);

/*
 * A Location into x->url.  NGX_OK; NGX_DECLINED, logged: it must not be
 * followed; NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_oci_hop_next(ngx_http_oci_fetch_t *f,
    oci_str_t *location);

/* makes f->location of the response's */
ngx_int_t ngx_http_oci_hop_location(ngx_http_oci_fetch_t *f);

/* prepares the exchange for x->url */
ngx_int_t ngx_http_oci_hop_peer(ngx_http_oci_fetch_t *f);

/* as x->compose of an exchange whose data is a fetch */
ngx_buf_t *ngx_http_oci_hop_compose(ngx_http_oci_exchange_t *x);


#endif /* _NGX_HTTP_OCI_HOP_H_INCLUDED_ */
