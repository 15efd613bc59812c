
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "ngx_http_oci_right.h"

#include "oci_digest.h"


static void ngx_http_oci_right_key(ngx_http_oci_zone_key_t *key,
    ngx_http_oci_right_t *right, const oci_str_t *reference);
static void ngx_http_oci_right_put(ngx_http_oci_zone_t *z,
    const ngx_http_oci_zone_key_t *key);
static void ngx_http_oci_right_drop(ngx_http_oci_zone_t *z,
    const ngx_http_oci_zone_key_t *key);


static void
ngx_http_oci_right_key(ngx_http_oci_zone_key_t *key,
    ngx_http_oci_right_t *right, const oci_str_t *reference)
{
    oci_str_t     who;
    oci_hash_t    hash;
    oci_digest_t  d;

    oci_hash_init(&hash, OCI_SHA256);
    oci_hash_update(&hash, right->target->key.data, right->target->key.len);
    oci_hash_update(&hash, (u_char *) "", 1);
    oci_hash_update(&hash, right->target->repository.data,
                    right->target->repository.len);
    oci_hash_update(&hash, (u_char *) "", 1);
    oci_hash_update(&hash, right->authorization.data,
                    right->authorization.len);
    oci_hash_digest(&hash, &d);

    who.data = (u_char *) d.hex;
    who.len = d.hex_len;

    ngx_http_oci_zone_key(key, NGX_HTTP_OCI_ZONE_RIGHT, right->repo, &who,
                          reference);
}


ngx_uint_t
ngx_http_oci_right_known(ngx_http_oci_right_t *right,
    const oci_str_t *reference)
{
    uint64_t                    now;
    ngx_uint_t                  known;
    ngx_http_oci_zone_key_t     key;
    ngx_http_oci_zone_entry_t  *e;

    ngx_http_oci_right_key(&key, right, reference);

    now = ngx_current_msec;

    ngx_http_oci_zone_lock(right->zone);

    e = ngx_http_oci_zone_find(right->zone, &key);

    known = (e != NULL
             && (now <= e->checked || now - e->checked < right->valid));

    if (known) {
        e->used = 1;
    }

    ngx_http_oci_zone_unlock(right->zone);

    return known;
}


void
ngx_http_oci_right_remember(ngx_http_oci_right_t *right,
    const oci_str_t *reference)
{
    ngx_http_oci_zone_key_t  key;

    ngx_http_oci_right_key(&key, right, NULL);
    ngx_http_oci_right_put(right->zone, &key);

    if (reference != NULL) {
        ngx_http_oci_right_key(&key, right, reference);
        ngx_http_oci_right_put(right->zone, &key);
    }
}


static void
ngx_http_oci_right_put(ngx_http_oci_zone_t *z,
    const ngx_http_oci_zone_key_t *key)
{
    ngx_http_oci_zone_entry_t  *e;

    ngx_http_oci_zone_lock(z);
    ngx_http_oci_zone_change(z);

    e = ngx_http_oci_zone_add(z, key, 0, NULL, 0, NULL, 0);

    if (e != NULL) {
        e->checked = ngx_current_msec;
    }

    ngx_http_oci_zone_unlock(z);

    ngx_http_oci_zone_warn(z, ngx_cycle->log);
}


void
ngx_http_oci_right_withdraw(ngx_http_oci_right_t *right,
    const oci_str_t *reference)
{
    ngx_http_oci_zone_key_t  key;

    ngx_http_oci_right_key(&key, right, NULL);
    ngx_http_oci_right_drop(right->zone, &key);

    if (reference != NULL) {
        ngx_http_oci_right_key(&key, right, reference);
        ngx_http_oci_right_drop(right->zone, &key);
    }
}


static void
ngx_http_oci_right_drop(ngx_http_oci_zone_t *z,
    const ngx_http_oci_zone_key_t *key)
{
    ngx_http_oci_zone_entry_t  *e;

    ngx_http_oci_zone_lock(z);

    e = ngx_http_oci_zone_find(z, key);

    if (e != NULL) {
        ngx_http_oci_zone_change(z);
        ngx_http_oci_zone_remove(z, e);
    }

    ngx_http_oci_zone_unlock(z);
}
