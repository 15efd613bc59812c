
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * What a worker knows of upstreams' challenges and tokens, and the request
 * that gets a token.
 */


#ifndef _NGX_HTTP_OCI_TOKEN_H_INCLUDED_
#define _NGX_HTTP_OCI_TOKEN_H_INCLUDED_


#include "ngx_http_oci_auth.h"
#include "ngx_http_oci_exchange.h"

#include "oci_challenge.h"


/* how an upstream wants to be spoken to */

typedef struct {
    ngx_str_node_t            sn;
    ngx_queue_t               lru;
    oci_challenge_scheme_t    scheme;
    ngx_str_t                 realm;
    ngx_str_t                 service;
    ngx_str_t                 extra;        /* scopes that it adds to ours */
    oci_address_class_t       near;
    unsigned                  trusted:1;    /* realm may have credentials */
    unsigned                  named:1;      /* realm is named by directive */
} ngx_http_oci_realm_t;


typedef struct {
    ngx_str_node_t            sn;
    ngx_queue_t               lru;
    ngx_queue_t               waiters;      /* ngx_http_oci_auth_t */
    ngx_str_t                 value;        /* "Bearer ...", or empty */
    time_t                    expires;
    time_t                    until;        /* no other try before */
    unsigned                  secret:1;     /* got with credentials */
    unsigned                  fetching:1;
    unsigned                  denied:1;     /* until then, and why */
} ngx_http_oci_token_t;


/* NULL: not known */
ngx_http_oci_realm_t *ngx_http_oci_realm_find(ngx_str_t *key);

/* makes or renews; NULL: no memory */
ngx_http_oci_realm_t *ngx_http_oci_realm_set(ngx_str_t *key,
    oci_challenge_t *c, ngx_str_t *extra, ngx_log_t *log);

/* finds or makes; NULL: no memory */
ngx_http_oci_token_t *ngx_http_oci_token_get(ngx_str_t *key, ngx_log_t *log);

/* the upstream did not take that value any more */
void ngx_http_oci_token_drop(ngx_str_t *key, ngx_str_t *value);

/* NGX_ERROR: no memory; NULL takes the old value away */
ngx_int_t ngx_http_oci_token_set(ngx_http_oci_token_t *t, oci_str_t *text,
    ngx_log_t *log);

/*
 * Fetches a token for those who wait for it.  scope: as auth's, complete.
 * NGX_OK: their handlers will be called, not before this returns.
 */
ngx_int_t ngx_http_oci_token_fetch(ngx_http_oci_token_t *t,
    ngx_http_oci_realm_t *realm, ngx_http_oci_auth_t *auth,
    ngx_str_t *scope, const oci_credential_t *cred);


#endif /* _NGX_HTTP_OCI_TOKEN_H_INCLUDED_ */
