
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Which manifest of a repository names a blob: what gives the repository a
 * right to it where the blob itself is not here.
 */


#ifndef _OCI_MANIFEST_FIND_H_INCLUDED_
#define _OCI_MANIFEST_FIND_H_INCLUDED_


#include "oci_store.h"


/*
 * Looks through at most max stored manifests of the repository.  *size is
 * what the descriptor says of the blob.  OCI_OK, OCI_NOT_FOUND or OCI_ERROR.
 */
int oci_manifest_find(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *d, unsigned max, int64_t *size);


#endif /* _OCI_MANIFEST_FIND_H_INCLUDED_ */
