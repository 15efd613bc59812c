
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * The only place where paths of a store are built, and the small calls on
 * directories that make new names durable.
 */


#ifndef _OCI_PATH_H_INCLUDED_
#define _OCI_PATH_H_INCLUDED_


#include "oci_store.h"


#define OCI_PATH_MAX  2560      /* root, namespace, name, two digests */


/*
 * Each writes a path with a NUL into buf of OCI_PATH_MAX bytes and returns
 * its length.  They can't fail: every part was bounded by its grammar.
 */

size_t oci_path_blob(char *buf, const oci_store_t *s, const oci_digest_t *d);
size_t oci_path_zstd(char *buf, const oci_store_t *s, const oci_digest_t *d);
size_t oci_path_repo(char *buf, const oci_store_t *s, const oci_repo_t *r);
size_t oci_path_repo_lock(char *buf, const oci_store_t *s,
    const oci_repo_t *r);
size_t oci_path_repo_blob(char *buf, const oci_store_t *s,
    const oci_repo_t *r, const oci_digest_t *d);            /* _blobs/ */
size_t oci_path_repo_cached(char *buf, const oci_store_t *s,
    const oci_repo_t *r, const oci_digest_t *d);            /* _cached/ */
size_t oci_path_manifest(char *buf, const oci_store_t *s,
    const oci_repo_t *r, const oci_digest_t *d);
size_t oci_path_tag(char *buf, const oci_store_t *s, const oci_repo_t *r,
    const oci_str_t *tag);
size_t oci_path_tags(char *buf, const oci_store_t *s, const oci_repo_t *r);

/* what a tag's symbolic link holds: "../_manifests/<alg>/<hex>" */
size_t oci_path_tag_target(char *buf, const oci_digest_t *d);

/* of a tag that was filled: the same place by other words, ".././..." */
size_t oci_path_tag_filled(char *buf, const oci_digest_t *d);

size_t oci_path_referrers(char *buf, const oci_store_t *s,
    const oci_repo_t *r, const oci_digest_t *subject);      /* the folder */
size_t oci_path_referrer(char *buf, const oci_store_t *s,
    const oci_repo_t *r, const oci_digest_t *subject, const oci_digest_t *d);
size_t oci_path_repositories(char *buf, const oci_store_t *s,
    const oci_str_t *ns);       /* ns len 0: the folder above all */
size_t oci_path_upload(char *buf, const oci_store_t *s, const char *id,
    const char *file);          /* file NULL: the folder */
size_t oci_path_uploads(char *buf, const oci_store_t *s);
size_t oci_path_fill(char *buf, const oci_store_t *s, const oci_digest_t *d,
    const char *file);          /* file NULL: the folder */
size_t oci_path_fills(char *buf, const oci_store_t *s, oci_alg_t alg);

/* a fresh name in tmp/: random, unused */
size_t oci_path_tmp(char *buf, const oci_store_t *s);
size_t oci_path_tmps(char *buf, const oci_store_t *s);      /* tmp/ itself */
size_t oci_path_run(char *buf, const oci_store_t *s,
    const char *file);          /* file NULL: run/<boot id> */


/*
 * Makes the folder path and what is missing above it, below the store's
 * root.  Where the store is durable, each folder that got a new name is
 * fsynced, up to the root; also for a name that someone else made less than
 * a minute ago (statx btime; unknown counts as young), since its maker may
 * not have come to its fsync yet.  OCI_OK or OCI_ERROR.
 */
int oci_dir_make(const oci_store_t *s, const char *path);

/* fsync of the folder itself (nothing when not durable) */
int oci_dir_sync(const oci_store_t *s, const char *path);

/* fsync of the folder that holds path */
int oci_dir_sync_parent(const oci_store_t *s, const char *path);

/*
 * Removes the empty folders from path upwards, never the one named stop or
 * anything above it.  Best effort: stops at the first that is not empty.
 */
void oci_dir_prune(const char *path, const char *stop);

/*
 * Writes a new file: mode, len bytes, fsync when durable.  The name must not
 * exist.  On failure the name is gone again.  OCI_OK or OCI_ERROR.
 */
int oci_file_write(const oci_store_t *s, const char *path, unsigned mode,
    const void *data, size_t len);

/* n lower-case hex digits of random bits, NUL behind them */
int oci_random_hex(char *buf, size_t n);


#endif /* _OCI_PATH_H_INCLUDED_ */
