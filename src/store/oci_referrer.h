
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Referrers: one file per referring manifest, holding its descriptor ready
 * to be concatenated.
 */


#ifndef _OCI_REFERRER_H_INCLUDED_
#define _OCI_REFERRER_H_INCLUDED_


#include "oci_store.h"
#include "oci_manifest.h"


#define OCI_REFERRERS_PAGE  (4 * 1024 * 1024)   /* bytes of one answer */


/* writes the entry, durable on return; OCI_OK or OCI_ERROR */
int oci_referrer_add(const oci_store_t *s, const oci_repo_t *r,
    const oci_manifest_t *m, const oci_digest_t *d, size_t size);

/* OCI_OK (also when it was not there) or OCI_ERROR; durable on return */
int oci_referrer_remove(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *subject, const oci_digest_t *d);

/*
 * The image index of all referrers of subject, sorted by digest, whose
 * artifactType is type (NULL: no filter; an empty type: those without one),
 * after the entry called last (len 0: from the start; "<alg>-<hex>"), at
 * most about OCI_REFERRERS_PAGE bytes.  An unknown subject or repository
 * gives an empty index.  *body is malloc's.  next, a buffer of
 * OCI_DIGEST_MAX + 1 bytes, gets the name of the last entry when more
 * follow, else "".
 * OCI_OK or OCI_ERROR.
 */
int oci_referrer_list(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *subject, const oci_str_t *type,
    const oci_str_t *last, u_char **body, size_t *len, char *next);

/*
 * The stamp of the folder of a subject's referrers, by one stat: it changes
 * with each of them.  OCI_OK, OCI_NOT_FOUND or OCI_ERROR.
 */
int oci_referrer_stat(const oci_store_t *s, const oci_repo_t *r,
    const oci_digest_t *subject, oci_stamp_t *stamp);


#endif /* _OCI_REFERRER_H_INCLUDED_ */
