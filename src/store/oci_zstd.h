
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Companions: what a blob is when it is compressed by zstd, in a file beside
 * the store's content.  One belongs to a digest and says nothing of who may
 * read it; an empty one says that compressing does not pay.
 */


#ifndef _OCI_ZSTD_H_INCLUDED_
#define _OCI_ZSTD_H_INCLUDED_


#include "oci_blob.h"


#define OCI_ZSTD_MIN        (32 * 1024)     /* of a blob that may get one */

/*
 * Above it windows are larger than the 8 MiB that a decoder of HTTP must be
 * able to hold (RFC 9659).
 */
#define OCI_ZSTD_LEVEL_MAX  19

#define OCI_ZSTD_THREADS_MAX  64


typedef struct oci_zstd_s  oci_zstd_t;
typedef struct ZSTD_CCtx_s  oci_zstd_small_t;


typedef struct {
    int        level;           /* 1 .. OCI_ZSTD_LEVEL_MAX */
    int        threads;         /* 1: the one that makes a step */
    unsigned   min_ratio;       /* thousandths of the size to be saved */
    int64_t    reserve;         /* bytes to be left free on the disk */
} oci_zstd_params_t;


/*
 * Opens the companion of a digest.  OCI_OK; OCI_EXISTS: it is known not to
 * pay (fd -1); OCI_NOT_FOUND: nobody knows yet; OCI_ERROR.
 */
int oci_zstd_open(const oci_store_t *s, const oci_digest_t *d,
    oci_file_t *f);

/* the bytes of it; 0: there is none */
int64_t oci_zstd_size(const oci_store_t *s, const oci_digest_t *d);

/* removes it, with its blob; returns the bytes of it */
int64_t oci_zstd_drop(const oci_store_t *s, const oci_digest_t *d);

/*
 * Removes those of zstd/<alg>/<2 hex>/ that blobs/ has no content for, d
 * having two hex digits; returns how many, or OCI_ERROR.
 */
int oci_zstd_sweep(const oci_store_t *s, const oci_digest_t *d);


/*
 * Makes one.  Names are copied; NULL: no memory.  Nothing is touched before
 * the first step.
 */
oci_zstd_t *oci_zstd_create(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d, const oci_zstd_params_t *params);

/*
 * Compresses about max further bytes, in one thread at a time.  OCI_AGAIN:
 * there is more; OCI_OK: the companion is there; OCI_EXISTS: there is one, or
 * there is nothing to gain; OCI_CONFLICT: another process on this machine
 * makes one; OCI_NOT_FOUND: the repository has no such blob (any more);
 * OCI_RANGE: there is no room; OCI_ERROR.  After anything but OCI_AGAIN it
 * is over.
 */
int oci_zstd_step(oci_zstd_t *z, size_t max);

/*
 * At any time but during a step: what is not complete is removed.  After
 * OCI_AGAIN it may wait for other threads to end.
 */
void oci_zstd_destroy(oci_zstd_t *z);


/*
 * What is small, at once: a context to be used again and again (NULL: no
 * memory), and a body of len bytes, into the *n bytes that it may become at
 * most; *n then is its length.  OCI_OK; OCI_RANGE: it becomes more; OCI_ERROR.
 */
oci_zstd_small_t *oci_zstd_small_create(int level);
int oci_zstd_small(oci_zstd_small_t *ctx, const u_char *body, size_t len,
    u_char *out, size_t *n);


#endif /* _OCI_ZSTD_H_INCLUDED_ */
