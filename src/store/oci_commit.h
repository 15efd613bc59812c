
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Manifests by what clients take for a commit: the first hex digits of a
 * digest; and the commits of all tags.
 */


#ifndef _OCI_COMMIT_H_INCLUDED_
#define _OCI_COMMIT_H_INCLUDED_


#include "oci_store.h"


#define OCI_COMMIT_LEN       40
#define OCI_COMMIT_NAMES_MAX (1024 * 1024)      /* looked at for one */
#define OCI_COMMIT_TAGS_MAX  1000


typedef struct {
    size_t         tag_len;
    char           tag[OCI_TAG_MAX + 1];
    oci_digest_t   digest;
} oci_commit_tag_t;


/*
 * The manifest of a repository whose digest begins with commit, lower-case
 * hex.  Reads names only, at most OCI_COMMIT_NAMES_MAX of them.
 * OCI_OK; OCI_NOT_FOUND; OCI_CONFLICT: there is more than one; OCI_RANGE:
 * too many manifests to look at; OCI_ERROR.
 */
int oci_commit_find(const oci_store_t *s, const oci_repo_t *r,
    const u_char commit[OCI_COMMIT_LEN], oci_digest_t *d);

/*
 * The first OCI_COMMIT_TAGS_MAX tags in byte order, *tags of malloc (NULL if
 * none).  OCI_OK; OCI_NOT_FOUND: no folder of tags; OCI_ERROR.
 */
int oci_commit_tags(const oci_store_t *s, const oci_repo_t *r,
    oci_commit_tag_t **tags, size_t *count);


#endif /* _OCI_COMMIT_H_INCLUDED_ */
