
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Tags: symbolic links to a manifest's record, replaced by rename.
 */


#ifndef _OCI_TAG_H_INCLUDED_
#define _OCI_TAG_H_INCLUDED_


#include "oci_store.h"


/*
 * Points the tag at the digest.  The folder of tags is synced by the caller,
 * once for all tags of a push (oci_tags_sync()).  The manifest that loses
 * the tag gets a fresh mtime.  The caller holds the repository's lock.
 * OCI_OK or OCI_ERROR.
 */
int oci_tag_set(const oci_store_t *s, const oci_repo_t *r,
    const oci_str_t *tag, const oci_digest_t *d);

/*
 * The same of what an upstream says.  yield: a tag that was pushed stays as
 * it is.
 */
int oci_tag_fill(const oci_store_t *s, const oci_repo_t *r,
    const oci_str_t *tag, const oci_digest_t *d, unsigned yield);

/* 1 if the tag is here and was pushed, by one readlink() */
int oci_tag_pushed(const oci_store_t *s, const oci_repo_t *r,
    const oci_str_t *tag);

int oci_tags_sync(const oci_store_t *s, const oci_repo_t *r);

/*
 * Reads where a tag points, by its link alone (the record may be gone).
 * OCI_OK, OCI_NOT_FOUND, OCI_INVALID (not a link of ours) or OCI_ERROR.
 */
int oci_tag_get(const oci_store_t *s, const oci_repo_t *r,
    const oci_str_t *tag, oci_digest_t *d);

/*
 * Removes a tag; its manifest stays and gets a fresh mtime.  Takes the
 * exclusive lock, raises the generation, durable on return.
 * OCI_OK, OCI_AGAIN, OCI_NOT_FOUND or OCI_ERROR.
 */
int oci_tag_delete(const oci_store_t *s, const oci_repo_t *r,
    const oci_str_t *tag);

/*
 * Removes every tag that points at d (or, d NULL, at nothing).  The caller
 * holds the exclusive lock.  OCI_OK or OCI_ERROR.
 */
int oci_tags_drop(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d);


#endif /* _OCI_TAG_H_INCLUDED_ */
