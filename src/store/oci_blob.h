
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Blobs: content by digest, and a repository's right to it, which is a hard
 * link.
 */


#ifndef _OCI_BLOB_H_INCLUDED_
#define _OCI_BLOB_H_INCLUDED_


#include "oci_store.h"


typedef struct {
    int       fd;               /* -1: none */
    int64_t   size;
    int64_t   mtime;            /* seconds */
    ino_t     inode;
    unsigned  cached:1;         /* through _cached/: may be evicted */
} oci_file_t;


/*
 * Opens a blob through the repository's link: one open and one fstat, fit
 * for the event loop as nginx's own static files are.  The caller closes fd.
 * OCI_OK, OCI_NOT_FOUND or OCI_ERROR.
 */
int oci_blob_open(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d, oci_file_t *f);

/* the same of a file at path: no link is resolved, f->cached stays 0 */
int oci_blob_fd(const char *path, oci_file_t *f);

/* the same by one stat without opening; fd is -1 */
int oci_blob_stat(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d, oci_file_t *f);

/*
 * Sets the inode's mtime to now, which the collector's grace counts from.
 * OCI_OK, OCI_NOT_FOUND (of _blobs/ only) or OCI_ERROR.
 */
int oci_blob_touch(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d);

/* the same for what was filled: when it was used last, for eviction */
int oci_blob_touch_cached(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d);

/*
 * Brings verified content into the repository and into blobs/.  path is a
 * file of this store, complete, size bytes, already fsynced where durable;
 * it stays, the caller removes it.  Content that blobs/ has already is
 * linked instead of it.  Every name is durable on return.  Raises the
 * repository's generation.
 * OCI_OK; OCI_MISMATCH: another size stands under that digest; OCI_ERROR.
 */
int oci_blob_link(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d, const char *path, int64_t size);

/*
 * The same for content that was filled from upstream: into _cached/, from
 * where it may be evicted.  Where _blobs/ has it, nothing is added.
 */
int oci_blob_cache(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d, const char *path, int64_t size);

/*
 * Whether blobs/ has the content: not whether anybody may read it.  OCI_OK
 * with its size, OCI_NOT_FOUND or OCI_ERROR.
 */
int oci_blob_known(const oci_store_t *s, const oci_digest_t *d,
    int64_t *size);

/*
 * Links what blobs/ has into _cached/ of the repository, whose right to it
 * was asked for by the caller; *size is the content's.  OCI_OK,
 * OCI_NOT_FOUND (blobs/ has no such content) or OCI_ERROR.
 */
int oci_blob_cache_known(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d, int64_t *size);

/*
 * Links a blob of the repository from (of _blobs/ or _cached/) into to.
 * OCI_OK, OCI_NOT_FOUND (from has no such blob) or OCI_ERROR.
 */
int oci_blob_mount(const oci_store_t *s, const oci_repo_t *from,
    const oci_repo_t *to, const oci_digest_t *d);

/*
 * The same from any repository of to's namespace, to itself included
 * (oci_mount any).
 */
int oci_blob_mount_any(const oci_store_t *s, const oci_repo_t *to,
    const oci_digest_t *d);

/*
 * A manifest pushed here names a blob: makes sure that _blobs/ has it, by a
 * link from _cached/ where only that one stands, and touches nothing else.
 * OCI_OK, OCI_NOT_FOUND or OCI_ERROR.
 */
int oci_blob_keep(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d);

/*
 * Unlinks a blob from the repository, _blobs/ and _cached/ alike, and the
 * name in blobs/ when it was the last.  Durable on return.  The caller holds
 * the exclusive lock.  Raises the generation.
 * OCI_OK, OCI_NOT_FOUND or OCI_ERROR.
 */
int oci_blob_delete(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d);


#endif /* _OCI_BLOB_H_INCLUDED_ */
