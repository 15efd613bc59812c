
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Records as files: what oci_manifest_store.h says of reading them, and how
 * they are written.
 */


#ifndef _OCI_RECORD_H_INCLUDED_
#define _OCI_RECORD_H_INCLUDED_


#include "oci_manifest_store.h"


/*
 * Makes the record path of a manifest: new, or the sound one that stands
 * there gets a fresh mtime, or a damaged one is replaced.  Durable on
 * return.  OCI_OK; OCI_MISMATCH: it stands there under another media type;
 * OCI_ERROR.
 */
int oci_record_write(const oci_store_t *s, const char *path,
    const oci_manifest_t *m, const oci_digest_t *d, const u_char *data,
    size_t len);


#endif /* _OCI_RECORD_H_INCLUDED_ */
