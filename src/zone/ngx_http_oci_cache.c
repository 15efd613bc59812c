
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "ngx_http_oci_cache.h"


/*
 * While one request looks at the disk whether an expired entry still holds,
 * others go on with it, but no longer than this.
 */
#define NGX_HTTP_OCI_CACHE_RECHECK  1000        /* ms */


typedef struct {
    int64_t     size;
    uint32_t    type_len;
    u_char      type[OCI_MEDIA_TYPE_MAX];
} ngx_http_oci_cache_manifest_t;


typedef struct {
    int64_t     size;
    int64_t     touched;
} ngx_http_oci_cache_blob_t;


static void ngx_http_oci_cache_digest_key(ngx_http_oci_zone_key_t *key,
    ngx_uint_t kind, const ngx_http_oci_cache_ask_t *ask,
    const oci_digest_t *d);
static void ngx_http_oci_cache_tag_key(ngx_http_oci_zone_key_t *key,
    const ngx_http_oci_cache_ask_t *ask, const oci_str_t *tag);
static void ngx_http_oci_cache_body(const ngx_http_oci_zone_entry_t *e,
    u_char *buf, ngx_http_oci_cache_value_t *v);
static void ngx_http_oci_cache_form(const ngx_http_oci_cache_ask_t *ask,
    const ngx_http_oci_zone_entry_t *e, const ngx_http_oci_zone_key_t *key,
    u_char *buf, ngx_http_oci_cache_value_t *v);
static void ngx_http_oci_cache_put_form(const ngx_http_oci_cache_ask_t *ask,
    const ngx_http_oci_zone_key_t *key, const oci_stamp_t *origin,
    const u_char *body, size_t len);
static void ngx_http_oci_cache_mark(const ngx_http_oci_cache_ask_t *ask,
    ngx_http_oci_zone_entry_t *e, const ngx_http_oci_cache_value_t *v);


void
ngx_http_oci_cache_ask(ngx_http_oci_cache_ask_t *ask, ngx_http_oci_zone_t *z,
    const oci_store_t *s, const oci_repo_t *r, time_t valid,
    time_t valid_missing)
{
    ask->zone = z;
    ask->repo = r;
    ask->hash = oci_repo_hash(r);
    ask->generation = oci_generation_read_at(s, ask->hash);
    ask->valid = (ngx_msec_t) valid * 1000;
    ask->valid_missing = (ngx_msec_t) valid_missing * 1000;
    ask->edge = 0;
    ask->zstd = 0;
}


static void
ngx_http_oci_cache_digest_key(ngx_http_oci_zone_key_t *key, ngx_uint_t kind,
    const ngx_http_oci_cache_ask_t *ask, const oci_digest_t *d)
{
    oci_str_t  s;

    /* no two algorithms have as many digits */

    s.data = (u_char *) d->hex;
    s.len = d->hex_len;

    ngx_http_oci_zone_key_of(key, kind, ask->repo, ask->hash, &s, NULL);
}


static void
ngx_http_oci_cache_tag_key(ngx_http_oci_zone_key_t *key,
    const ngx_http_oci_cache_ask_t *ask, const oci_str_t *tag)
{
    ngx_http_oci_zone_key_of(key, ask->edge ? NGX_HTTP_OCI_ZONE_EDGE_TAG
                                            : NGX_HTTP_OCI_ZONE_TAG,
                             ask->repo, ask->hash, tag, NULL);
}


ngx_http_oci_cache_e
ngx_http_oci_cache_fresh(const ngx_http_oci_cache_ask_t *ask,
    ngx_http_oci_zone_entry_t *e, oci_stamp_t *stamp)
{
    uint64_t  now, age;

    if (e == NULL || e->generation != ask->generation) {
        return NGX_HTTP_OCI_CACHE_MISS;
    }

    now = ngx_current_msec;

    /* another worker's clock may have been read a moment later */

    age = (now > e->checked) ? now - e->checked : 0;

    if (e->negative) {
        return (age < ask->valid_missing) ? NGX_HTTP_OCI_CACHE_NEGATIVE
                                          : NGX_HTTP_OCI_CACHE_MISS;
    }

    e->used = 1;

    if (age < ask->valid) {
        return NGX_HTTP_OCI_CACHE_HIT;
    }

    stamp->inode = e->inode;
    stamp->ctime = e->ctime;

    e->checked = now - ask->valid
                 + ngx_min(ask->valid, NGX_HTTP_OCI_CACHE_RECHECK);

    return NGX_HTTP_OCI_CACHE_EXPIRED;
}


static void
ngx_http_oci_cache_body(const ngx_http_oci_zone_entry_t *e, u_char *buf,
    ngx_http_oci_cache_value_t *v)
{
    v->body = NULL;
    v->body_len = 0;

    if (buf != NULL && e->body_len == v->size) {
        ngx_http_oci_zone_copy(e, buf);
        v->body = buf;
        v->body_len = e->body_len;
    }
}


/* the body of e, compressed where key has it so */

static void
ngx_http_oci_cache_form(const ngx_http_oci_cache_ask_t *ask,
    const ngx_http_oci_zone_entry_t *e, const ngx_http_oci_zone_key_t *key,
    u_char *buf, ngx_http_oci_cache_value_t *v)
{
    ngx_http_oci_zone_entry_t  *packed;

    packed = ngx_http_oci_zone_find(ask->zone, key);

    v->form = NGX_HTTP_OCI_CACHE_PLAIN;
    v->origin.inode = e->inode;
    v->origin.ctime = e->ctime;

    if (packed != NULL
        && packed->generation == e->generation
        && packed->inode == e->inode
        && packed->ctime == e->ctime)
    {
        packed->used = 1;

        if (packed->body_len) {
            ngx_http_oci_zone_copy(packed, buf);

            v->form = NGX_HTTP_OCI_CACHE_ZSTD;
            v->body = buf;
            v->body_len = packed->body_len;

            return;
        }

        v->form = NGX_HTTP_OCI_CACHE_NEVER;
    }

    ngx_http_oci_cache_body(e, buf, v);
}


static void
ngx_http_oci_cache_mark(const ngx_http_oci_cache_ask_t *ask,
    ngx_http_oci_zone_entry_t *e, const ngx_http_oci_cache_value_t *v)
{
    if (e == NULL) {
        return;
    }

    e->generation = ask->generation;
    e->checked = ngx_current_msec;

    if (v != NULL) {
        e->inode = v->stamp.inode;
        e->ctime = v->stamp.ctime;
    }
}


ngx_http_oci_cache_e
ngx_http_oci_cache_manifest(const ngx_http_oci_cache_ask_t *ask,
    const oci_digest_t *d, const oci_str_t *tag, oci_record_t *rec,
    u_char *buf, ngx_http_oci_cache_value_t *v)
{
    ngx_http_oci_cache_e            rc;
    ngx_http_oci_zone_key_t         key;
    ngx_http_oci_zone_entry_t      *e;
    ngx_http_oci_cache_manifest_t   m;

    if (d != NULL) {
        ngx_http_oci_cache_digest_key(&key, NGX_HTTP_OCI_ZONE_MANIFEST,
                                      ask, d);
    } else {
        ngx_http_oci_cache_tag_key(&key, ask, tag);
    }

    ngx_http_oci_zone_lock(ask->zone);

    e = ngx_http_oci_zone_find(ask->zone, &key);

    rc = ngx_http_oci_cache_fresh(ask, e, &v->stamp);

    if (rc == NGX_HTTP_OCI_CACHE_MISS || rc == NGX_HTTP_OCI_CACHE_NEGATIVE) {
        goto done;
    }

    if (d == NULL) {

        /*
         * The look at the tag's link is a look at the record behind it, so
         * the age of the record's own entry does not matter.
         */

        ngx_memcpy(&rec->digest, ngx_http_oci_zone_meta(e),
                   sizeof(oci_digest_t));

        ngx_http_oci_cache_digest_key(&key, NGX_HTTP_OCI_ZONE_MANIFEST,
                                      ask, &rec->digest);

        e = ngx_http_oci_zone_find(ask->zone, &key);

        if (e == NULL || e->negative || e->generation != ask->generation) {
            rc = NGX_HTTP_OCI_CACHE_MISS;
            goto done;
        }

        e->used = 1;

    } else {
        rec->digest = *d;
    }

    ngx_memcpy(&m, ngx_http_oci_zone_meta(e), e->meta_len);

    v->size = m.size;
    rec->size = m.size;
    rec->media_type_len = m.type_len;
    ngx_memcpy(rec->media_type, m.type, m.type_len);
    rec->media_type[m.type_len] = '\0';

    if (ask->zstd) {
        ngx_http_oci_cache_digest_key(&key, NGX_HTTP_OCI_ZONE_ZSTD, ask,
                                      &rec->digest);
        ngx_http_oci_cache_form(ask, e, &key, buf, v);

    } else {
        ngx_http_oci_cache_body(e, buf, v);
    }

done:

    ngx_http_oci_zone_unlock(ask->zone);

    return rc;
}


void
ngx_http_oci_cache_put_manifest(const ngx_http_oci_cache_ask_t *ask,
    const oci_digest_t *d, const oci_str_t *tag, const oci_record_t *rec,
    const ngx_http_oci_cache_value_t *v)
{
    size_t                          len;
    ngx_http_oci_zone_t            *z;
    ngx_http_oci_zone_key_t         key, tag_key;
    ngx_http_oci_cache_manifest_t   m;

    z = ask->zone;

    if (d == NULL) {
        ngx_http_oci_cache_tag_key(&tag_key, ask, tag);
    }

    if (rec != NULL || d != NULL) {
        ngx_http_oci_cache_digest_key(&key, NGX_HTTP_OCI_ZONE_MANIFEST,
                                      ask, rec ? &rec->digest : d);
    }

    if (rec == NULL) {
        ngx_http_oci_zone_lock(z);
        ngx_http_oci_zone_change(z);

        ngx_http_oci_cache_mark(ask,
            ngx_http_oci_zone_add(z, d ? &key : &tag_key, 1, NULL, 0, NULL,
                                  0),
            NULL);

        ngx_http_oci_zone_unlock(z);

        ngx_http_oci_zone_warn(z, ngx_cycle->log);
        return;
    }

    m.size = rec->size;
    m.type_len = (uint32_t) rec->media_type_len;
    ngx_memcpy(m.type, rec->media_type, rec->media_type_len);

    len = v->body_len > NGX_HTTP_OCI_CACHE_BODY ? 0 : v->body_len;

    ngx_http_oci_zone_lock(z);
    ngx_http_oci_zone_change(z);

    ngx_http_oci_cache_mark(ask,
        ngx_http_oci_zone_add(z, &key, 0, &m,
                              offsetof(ngx_http_oci_cache_manifest_t, type)
                              + m.type_len,
                              v->body, len),
        v);

    if (d == NULL) {
        ngx_http_oci_cache_mark(ask,
            ngx_http_oci_zone_add(z, &tag_key, 0, &rec->digest,
                                  sizeof(oci_digest_t), NULL, 0),
            v);
    }

    ngx_http_oci_zone_unlock(z);

    ngx_http_oci_zone_warn(z, ngx_cycle->log);
}


ngx_http_oci_cache_e
ngx_http_oci_cache_blob(const ngx_http_oci_cache_ask_t *ask,
    const oci_digest_t *d, u_char *buf, ngx_http_oci_cache_value_t *v)
{
    ngx_http_oci_cache_e         rc;
    ngx_http_oci_zone_key_t      key;
    ngx_http_oci_cache_blob_t    b;
    ngx_http_oci_zone_entry_t   *e;

    ngx_http_oci_cache_digest_key(&key, NGX_HTTP_OCI_ZONE_BLOB, ask, d);

    ngx_http_oci_zone_lock(ask->zone);

    e = ngx_http_oci_zone_find(ask->zone, &key);

    rc = ngx_http_oci_cache_fresh(ask, e, &v->stamp);

    if (rc == NGX_HTTP_OCI_CACHE_HIT || rc == NGX_HTTP_OCI_CACHE_EXPIRED) {
        ngx_memcpy(&b, ngx_http_oci_zone_meta(e), sizeof(b));

        v->size = b.size;
        v->touched = b.touched;

        if (ask->zstd) {
            ngx_http_oci_cache_digest_key(&key, NGX_HTTP_OCI_ZONE_ZSTD, ask,
                                          d);
            ngx_http_oci_cache_form(ask, e, &key, buf, v);

        } else {
            ngx_http_oci_cache_body(e, buf, v);
        }
    }

    ngx_http_oci_zone_unlock(ask->zone);

    return rc;
}


void
ngx_http_oci_cache_put_blob(const ngx_http_oci_cache_ask_t *ask,
    const oci_digest_t *d, const ngx_http_oci_cache_value_t *v)
{
    size_t                      len;
    ngx_http_oci_zone_t        *z;
    ngx_http_oci_zone_key_t     key;
    ngx_http_oci_cache_blob_t   b;
    ngx_http_oci_zone_entry_t  *e;

    z = ask->zone;

    ngx_http_oci_cache_digest_key(&key, NGX_HTTP_OCI_ZONE_BLOB, ask, d);

    ngx_http_oci_zone_lock(z);
    ngx_http_oci_zone_change(z);

    if (v != NULL) {
        b.size = v->size;
        b.touched = v->touched;

        len = v->body_len > NGX_HTTP_OCI_CACHE_BODY ? 0 : v->body_len;

        e = ngx_http_oci_zone_add(z, &key, 0, &b, sizeof(b), v->body, len);

    } else {
        e = ngx_http_oci_zone_add(z, &key, 1, NULL, 0, NULL, 0);
    }

    ngx_http_oci_cache_mark(ask, e, v);

    ngx_http_oci_zone_unlock(z);

    ngx_http_oci_zone_warn(z, ngx_cycle->log);
}


void
ngx_http_oci_cache_put_zstd(const ngx_http_oci_cache_ask_t *ask,
    const oci_digest_t *d, const oci_stamp_t *origin, const u_char *body,
    size_t len)
{
    ngx_http_oci_zone_key_t  key;

    ngx_http_oci_cache_digest_key(&key, NGX_HTTP_OCI_ZONE_ZSTD, ask, d);
    ngx_http_oci_cache_put_form(ask, &key, origin, body, len);
}


void
ngx_http_oci_cache_put_answer_zstd(const ngx_http_oci_cache_ask_t *ask,
    const oci_str_t *first, const oci_str_t *second,
    const oci_stamp_t *origin, const u_char *body, size_t len)
{
    ngx_http_oci_zone_key_t  key;

    /* a digest is always of the same bytes; an answer may be another one */

    if (origin->inode == 0) {
        return;
    }

    ngx_http_oci_zone_key(&key, NGX_HTTP_OCI_ZONE_ZSTD, ask->repo, first,
                          second);
    ngx_http_oci_cache_put_form(ask, &key, origin, body, len);
}


static void
ngx_http_oci_cache_put_form(const ngx_http_oci_cache_ask_t *ask,
    const ngx_http_oci_zone_key_t *key, const oci_stamp_t *origin,
    const u_char *body, size_t len)
{
    ngx_http_oci_zone_t         *z;
    ngx_http_oci_cache_value_t   v;

    z = ask->zone;
    v.stamp = *origin;

    ngx_http_oci_zone_lock(z);
    ngx_http_oci_zone_change(z);

    ngx_http_oci_cache_mark(ask,
        ngx_http_oci_zone_add(z, key, 0, NULL, 0, body, body ? len : 0),
        &v);

    ngx_http_oci_zone_unlock(z);

    ngx_http_oci_zone_warn(z, ngx_cycle->log);
}


ngx_http_oci_cache_e
ngx_http_oci_cache_answer(const ngx_http_oci_cache_ask_t *ask,
    const oci_str_t *first, const oci_str_t *second, u_char *meta,
    size_t *meta_len, u_char *buf, ngx_http_oci_cache_value_t *v)
{
    ngx_http_oci_cache_e        rc;
    ngx_http_oci_zone_key_t     key;
    ngx_http_oci_zone_entry_t  *e;

    ngx_http_oci_zone_key(&key, NGX_HTTP_OCI_ZONE_REFERRERS, ask->repo, first,
                          second);

    ngx_http_oci_zone_lock(ask->zone);

    e = ngx_http_oci_zone_find(ask->zone, &key);

    rc = ngx_http_oci_cache_fresh(ask, e, &v->stamp);

    if (rc == NGX_HTTP_OCI_CACHE_HIT || rc == NGX_HTTP_OCI_CACHE_EXPIRED) {

        if (e->meta_len > *meta_len) {
            rc = NGX_HTTP_OCI_CACHE_MISS;

        } else {
            ngx_memcpy(meta, ngx_http_oci_zone_meta(e), e->meta_len);
            *meta_len = e->meta_len;

            v->size = e->body_len;

            if (ask->zstd) {
                ngx_http_oci_zone_key(&key, NGX_HTTP_OCI_ZONE_ZSTD, ask->repo,
                                      first, second);
                ngx_http_oci_cache_form(ask, e, &key, buf, v);

            } else {
                ngx_http_oci_cache_body(e, buf, v);
            }
        }
    }

    ngx_http_oci_zone_unlock(ask->zone);

    return rc;
}


void
ngx_http_oci_cache_put_answer(const ngx_http_oci_cache_ask_t *ask,
    const oci_str_t *first, const oci_str_t *second, const u_char *meta,
    size_t meta_len, const ngx_http_oci_cache_value_t *v)
{
    ngx_http_oci_zone_t      *z;
    ngx_http_oci_zone_key_t   key;

    if (v != NULL && v->body_len > NGX_HTTP_OCI_CACHE_BODY) {
        return;
    }

    z = ask->zone;

    ngx_http_oci_zone_key(&key, NGX_HTTP_OCI_ZONE_REFERRERS, ask->repo, first,
                          second);

    ngx_http_oci_zone_lock(z);
    ngx_http_oci_zone_change(z);

    ngx_http_oci_cache_mark(ask,
        ngx_http_oci_zone_add(z, &key, v == NULL, meta, meta_len,
                              v ? v->body : NULL, v ? v->body_len : 0),
        v);

    ngx_http_oci_zone_unlock(z);

    ngx_http_oci_zone_warn(z, ngx_cycle->log);
}


void
ngx_http_oci_cache_confirm(const ngx_http_oci_cache_ask_t *ask,
    const ngx_http_oci_zone_key_t *key)
{
    ngx_http_oci_zone_entry_t  *e;

    ngx_http_oci_zone_lock(ask->zone);

    e = ngx_http_oci_zone_find(ask->zone, key);

    if (e != NULL && e->generation == ask->generation) {
        e->checked = ngx_current_msec;
    }

    ngx_http_oci_zone_unlock(ask->zone);
}


void
ngx_http_oci_cache_confirm_manifest(const ngx_http_oci_cache_ask_t *ask,
    const oci_digest_t *d, const oci_str_t *tag)
{
    ngx_http_oci_zone_key_t  key;

    if (d != NULL) {
        ngx_http_oci_cache_digest_key(&key, NGX_HTTP_OCI_ZONE_MANIFEST,
                                      ask, d);
    } else {
        ngx_http_oci_cache_tag_key(&key, ask, tag);
    }

    ngx_http_oci_cache_confirm(ask, &key);
}


void
ngx_http_oci_cache_confirm_blob(const ngx_http_oci_cache_ask_t *ask,
    const oci_digest_t *d)
{
    ngx_http_oci_zone_key_t  key;

    ngx_http_oci_cache_digest_key(&key, NGX_HTTP_OCI_ZONE_BLOB, ask, d);
    ngx_http_oci_cache_confirm(ask, &key);
}


void
ngx_http_oci_cache_confirm_answer(const ngx_http_oci_cache_ask_t *ask,
    const oci_str_t *first, const oci_str_t *second)
{
    ngx_http_oci_zone_key_t  key;

    ngx_http_oci_zone_key(&key, NGX_HTTP_OCI_ZONE_REFERRERS, ask->repo, first,
                          second);
    ngx_http_oci_cache_confirm(ask, &key);
}
