
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * What reads need of a repository, in a store's zone: tags, manifests,
 * blobs, lists of referrers, and that something is not there.
 *
 * An entry is as old as the counter that was read before its own read of
 * the disk (oci_generation.h), and is a hit only while that counter stands.
 * What it says is copied out; nothing is pinned.
 */


#ifndef _NGX_HTTP_OCI_CACHE_H_INCLUDED_
#define _NGX_HTTP_OCI_CACHE_H_INCLUDED_


#include "ngx_http_oci_zone.h"

#include "oci_blob.h"
#include "oci_manifest_store.h"


/* the longest body that is kept; longer ones are sent from their file */
#define NGX_HTTP_OCI_CACHE_BODY  (32 * 1024)


typedef enum {
    NGX_HTTP_OCI_CACHE_MISS = 0,
    NGX_HTTP_OCI_CACHE_HIT,
    NGX_HTTP_OCI_CACHE_NEGATIVE,    /* a hit: it is not there */
    NGX_HTTP_OCI_CACHE_EXPIRED      /* a hit, if the stamp still holds */
} ngx_http_oci_cache_e;


typedef struct {
    ngx_http_oci_zone_t    *zone;
    const oci_repo_t       *repo;
    uint64_t                hash;           /* of repo */
    uint64_t                generation;     /* now; for a put: from before
                                               the disk was read */
    ngx_msec_t              valid;          /* ms that an entry is trusted */
    ngx_msec_t              valid_missing;  /* the same of a negative one */
    unsigned                edge:1;         /* tags are what the upstream has
                                               said, not the disk */
    unsigned                zstd:1;         /* a compressed body is welcome */
} ngx_http_oci_cache_ask_t;


/* of a body in a lookup with ask->zstd */

typedef enum {
    NGX_HTTP_OCI_CACHE_PLAIN = 0,   /* nobody has compressed it yet */
    NGX_HTTP_OCI_CACHE_ZSTD,        /* it is compressed */
    NGX_HTTP_OCI_CACHE_NEVER        /* it is plain: it does not pay */
} ngx_http_oci_cache_form_e;


/* what a lookup gives and a put takes */

typedef struct {
    int64_t                 size;           /* of the content */
    int64_t                 touched;        /* of a blob: s since the epoch */
    oci_stamp_t             stamp;
    u_char                 *body;           /* NULL: none is kept */
    size_t                  body_len;
    ngx_http_oci_cache_form_e  form;        /* set with ask->zstd only */
    oci_stamp_t             origin;         /* the same: of the body's entry */
} ngx_http_oci_cache_value_t;


/*
 * Fills in an ask, with the repository's counter as it is now; the times are
 * in seconds.
 */
void ngx_http_oci_cache_ask(ngx_http_oci_cache_ask_t *ask,
    ngx_http_oci_zone_t *z, const oci_store_t *s, const oci_repo_t *r,
    time_t valid, time_t valid_missing);

/*
 * All lookups copy a body into buf, of NGX_HTTP_OCI_CACHE_BODY bytes, and set
 * v->body to it; buf may be NULL.  All puts keep the body if it is not too
 * long, and log (at most once a minute) when the zone is full.
 */

/*
 * By digest, or by tag if d is NULL.  Fills in digest, size and media type
 * of rec and no more.
 */
ngx_http_oci_cache_e ngx_http_oci_cache_manifest(
    const ngx_http_oci_cache_ask_t *ask, const oci_digest_t *d,
    const oci_str_t *tag, oci_record_t *rec, u_char *buf,
    ngx_http_oci_cache_value_t *v);

/* rec NULL: it is not there */
void ngx_http_oci_cache_put_manifest(const ngx_http_oci_cache_ask_t *ask,
    const oci_digest_t *d, const oci_str_t *tag, const oci_record_t *rec,
    const ngx_http_oci_cache_value_t *v);

ngx_http_oci_cache_e ngx_http_oci_cache_blob(
    const ngx_http_oci_cache_ask_t *ask, const oci_digest_t *d, u_char *buf,
    ngx_http_oci_cache_value_t *v);

/* v NULL: it is not there */
void ngx_http_oci_cache_put_blob(const ngx_http_oci_cache_ask_t *ask,
    const oci_digest_t *d, const ngx_http_oci_cache_value_t *v);

/*
 * A whole answer: first and second are what it depends on, meta is what goes
 * beside it (at most 512 bytes; *meta_len is its room, then its length).
 */
ngx_http_oci_cache_e ngx_http_oci_cache_answer(
    const ngx_http_oci_cache_ask_t *ask, const oci_str_t *first,
    const oci_str_t *second, u_char *meta, size_t *meta_len, u_char *buf,
    ngx_http_oci_cache_value_t *v);

/* v NULL: there is none */
void ngx_http_oci_cache_put_answer(const ngx_http_oci_cache_ask_t *ask,
    const oci_str_t *first, const oci_str_t *second, const u_char *meta,
    size_t meta_len, const ngx_http_oci_cache_value_t *v);

/*
 * Keeps the compressed form of a manifest's or blob's body, or of an answer:
 * good for an entry of it that was read from the same (origin) under the same
 * counter.  body NULL: it does not pay.
 */
void ngx_http_oci_cache_put_zstd(const ngx_http_oci_cache_ask_t *ask,
    const oci_digest_t *d, const oci_stamp_t *origin, const u_char *body,
    size_t len);
void ngx_http_oci_cache_put_answer_zstd(const ngx_http_oci_cache_ask_t *ask,
    const oci_str_t *first, const oci_str_t *second,
    const oci_stamp_t *origin, const u_char *body, size_t len);

/*
 * An expired entry was looked at on the disk and found to be the same: it is
 * trusted for a further while.
 */
void ngx_http_oci_cache_confirm_manifest(const ngx_http_oci_cache_ask_t *ask,
    const oci_digest_t *d, const oci_str_t *tag);
void ngx_http_oci_cache_confirm_blob(const ngx_http_oci_cache_ask_t *ask,
    const oci_digest_t *d);
void ngx_http_oci_cache_confirm_answer(const ngx_http_oci_cache_ask_t *ask,
    const oci_str_t *first, const oci_str_t *second);


/* For other rooms of the zone: */

/* under the lock: what an entry (may be NULL) is to ask, and its stamp */
ngx_http_oci_cache_e ngx_http_oci_cache_fresh(
    const ngx_http_oci_cache_ask_t *ask, ngx_http_oci_zone_entry_t *e,
    oci_stamp_t *stamp);

/* an expired entry of this key is trusted for a further while */
void ngx_http_oci_cache_confirm(const ngx_http_oci_cache_ask_t *ask,
    const ngx_http_oci_zone_key_t *key);


#endif /* _NGX_HTTP_OCI_CACHE_H_INCLUDED_ */
