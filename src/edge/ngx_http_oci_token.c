
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "ngx_http_oci_token.h"


#define NGX_HTTP_OCI_TOKEN_MAX  4096
#define NGX_HTTP_OCI_REALM_MAX  1024


typedef struct {
    ngx_rbtree_t           rbtree;
    ngx_rbtree_node_t      sentinel;
    ngx_queue_t            lru;             /* the latest first */
    ngx_uint_t             n;
} ngx_http_oci_known_t;


static void ngx_http_oci_known_init(ngx_http_oci_known_t *known);
static ngx_str_node_t *ngx_http_oci_known_find(ngx_http_oci_known_t *known,
    ngx_str_t *key);
static ngx_int_t ngx_http_oci_known_add(ngx_http_oci_known_t *known,
    ngx_str_node_t *sn, ngx_queue_t *lru, ngx_str_t *key, ngx_log_t *log);
static void ngx_http_oci_realm_free(ngx_http_oci_realm_t *realm);
static void ngx_http_oci_token_free(ngx_http_oci_token_t *t);
static void ngx_http_oci_token_evict(void);


/* of a worker */

static ngx_http_oci_known_t  ngx_http_oci_realms;
static ngx_http_oci_known_t  ngx_http_oci_tokens;


static void
ngx_http_oci_known_init(ngx_http_oci_known_t *known)
{
    if (known->rbtree.root) {
        return;
    }

    ngx_rbtree_init(&known->rbtree, &known->sentinel,
                    ngx_str_rbtree_insert_value);
    ngx_queue_init(&known->lru);
}


static ngx_str_node_t *
ngx_http_oci_known_find(ngx_http_oci_known_t *known, ngx_str_t *key)
{
    uint32_t  hash;

    ngx_http_oci_known_init(known);

    hash = ngx_murmur_hash2(key->data, key->len);

    return ngx_str_rbtree_lookup(&known->rbtree, key, hash);
}


static ngx_int_t
ngx_http_oci_known_add(ngx_http_oci_known_t *known, ngx_str_node_t *sn,
    ngx_queue_t *lru, ngx_str_t *key, ngx_log_t *log)
{
    sn->str.data = ngx_alloc(key->len, log);
    if (sn->str.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(sn->str.data, key->data, key->len);

    sn->str.len = key->len;
    sn->node.key = ngx_murmur_hash2(key->data, key->len);

    ngx_rbtree_insert(&known->rbtree, &sn->node);
    ngx_queue_insert_head(&known->lru, lru);
    known->n++;

    return NGX_OK;
}


ngx_http_oci_realm_t *
ngx_http_oci_realm_find(ngx_str_t *key)
{
    return (ngx_http_oci_realm_t *)
                       ngx_http_oci_known_find(&ngx_http_oci_realms, key);
}


ngx_http_oci_realm_t *
ngx_http_oci_realm_set(ngx_str_t *key, oci_challenge_t *c, ngx_str_t *extra,
    ngx_log_t *log)
{
    u_char                *p;
    size_t                 len;
    ngx_http_oci_realm_t  *realm, *last;

    realm = ngx_http_oci_realm_find(key);

    if (realm == NULL) {

        if (ngx_http_oci_realms.n >= NGX_HTTP_OCI_REALM_MAX) {
            last = ngx_queue_data(ngx_queue_last(&ngx_http_oci_realms.lru),
                                  ngx_http_oci_realm_t, lru);
            ngx_http_oci_realm_free(last);
        }

        realm = ngx_calloc(sizeof(ngx_http_oci_realm_t), log);
        if (realm == NULL) {
            return NULL;
        }

        if (ngx_http_oci_known_add(&ngx_http_oci_realms, &realm->sn,
                                   &realm->lru, key, log)
            != NGX_OK)
        {
            ngx_free(realm);
            return NULL;
        }
    }

    ngx_queue_remove(&realm->lru);
    ngx_queue_insert_head(&ngx_http_oci_realms.lru, &realm->lru);

    /* one piece of memory: realm, service, extra */

    len = c->realm.len + c->service.len + extra->len;

    p = ngx_alloc(len + 1, log);
    if (p == NULL) {
        ngx_http_oci_realm_free(realm);
        return NULL;
    }

    if (realm->realm.data) {
        ngx_free(realm->realm.data);
    }

    realm->scheme = c->scheme;

    realm->realm.data = p;
    realm->realm.len = c->realm.len;

    if (c->realm.len) {
        p = ngx_cpymem(p, c->realm.data, c->realm.len);
    }

    realm->service.data = p;
    realm->service.len = c->service.len;

    if (c->service.len) {
        p = ngx_cpymem(p, c->service.data, c->service.len);
    }

    realm->extra.data = p;
    realm->extra.len = extra->len;

    if (extra->len) {
        ngx_memcpy(p, extra->data, extra->len);
    }

    return realm;
}


static void
ngx_http_oci_realm_free(ngx_http_oci_realm_t *realm)
{
    ngx_rbtree_delete(&ngx_http_oci_realms.rbtree, &realm->sn.node);
    ngx_queue_remove(&realm->lru);
    ngx_http_oci_realms.n--;

    if (realm->realm.data) {
        ngx_free(realm->realm.data);
    }

    ngx_free(realm->sn.str.data);
    ngx_free(realm);
}


ngx_http_oci_token_t *
ngx_http_oci_token_get(ngx_str_t *key, ngx_log_t *log)
{
    ngx_http_oci_token_t  *t;

    t = (ngx_http_oci_token_t *)
                       ngx_http_oci_known_find(&ngx_http_oci_tokens, key);

    if (t) {
        ngx_queue_remove(&t->lru);
        ngx_queue_insert_head(&ngx_http_oci_tokens.lru, &t->lru);

        return t;
    }

    if (ngx_http_oci_tokens.n >= NGX_HTTP_OCI_TOKEN_MAX) {
        ngx_http_oci_token_evict();
    }

    t = ngx_calloc(sizeof(ngx_http_oci_token_t), log);
    if (t == NULL) {
        return NULL;
    }

    ngx_queue_init(&t->waiters);

    if (ngx_http_oci_known_add(&ngx_http_oci_tokens, &t->sn, &t->lru, key,
                               log)
        != NGX_OK)
    {
        ngx_free(t);
        return NULL;
    }

    return t;
}


/* the oldest few, but none that is waited for */

static void
ngx_http_oci_token_evict(void)
{
    ngx_uint_t             n;
    ngx_queue_t           *q, *prev;
    ngx_http_oci_token_t  *t;

    q = ngx_queue_last(&ngx_http_oci_tokens.lru);

    for (n = 0;
         n < 16 && q != ngx_queue_sentinel(&ngx_http_oci_tokens.lru);
         n++)
    {
        prev = ngx_queue_prev(q);
        t = ngx_queue_data(q, ngx_http_oci_token_t, lru);

        if (!t->fetching) {
            ngx_http_oci_token_free(t);
        }

        q = prev;
    }
}


static void
ngx_http_oci_token_free(ngx_http_oci_token_t *t)
{
    ngx_rbtree_delete(&ngx_http_oci_tokens.rbtree, &t->sn.node);
    ngx_queue_remove(&t->lru);
    ngx_http_oci_tokens.n--;

    (void) ngx_http_oci_token_set(t, NULL, NULL);

    ngx_free(t->sn.str.data);
    ngx_free(t);
}


/* NULL takes the old one away */

ngx_int_t
ngx_http_oci_token_set(ngx_http_oci_token_t *t, oci_str_t *text,
    ngx_log_t *log)
{
    if (t->value.data) {
        ngx_explicit_memzero(t->value.data, t->value.len);
        ngx_free(t->value.data);
        ngx_str_null(&t->value);
    }

    if (text == NULL) {
        return NGX_OK;
    }

    t->value.data = ngx_alloc(sizeof("Bearer ") - 1 + text->len, log);
    if (t->value.data == NULL) {
        return NGX_ERROR;
    }

    t->value.len = ngx_sprintf(t->value.data, "Bearer %*s", text->len,
                               text->data)
                   - t->value.data;

    return NGX_OK;
}


void
ngx_http_oci_token_drop(ngx_str_t *key, ngx_str_t *value)
{
    ngx_http_oci_token_t  *t;

    t = (ngx_http_oci_token_t *)
                       ngx_http_oci_known_find(&ngx_http_oci_tokens, key);

    if (t && t->value.len == value->len
        && ngx_memcmp(t->value.data, value->data, value->len) == 0)
    {
        (void) ngx_http_oci_token_set(t, NULL, NULL);
    }
}
