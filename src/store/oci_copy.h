
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Content into files: writes of any size, and copies for the rare cases in
 * which a link can't be had.
 */


#ifndef _OCI_COPY_H_INCLUDED_
#define _OCI_COPY_H_INCLUDED_


#include "oci_store.h"


/*
 * Writes len bytes at offset, in turns that let the event loop have the
 * processor between them.  OCI_OK, or OCI_ERROR with errno set and a part of
 * it written: what the caller was doing is its own to tell.
 */
int oci_pwrite(int fd, const u_char *data, size_t len, off_t offset);

/*
 * Copies the file from, which is content of digest d, to the new file to,
 * verified and synced.  OCI_OK, OCI_NOT_FOUND (no from) or OCI_ERROR (also
 * when the digest is wrong, errno is EBADMSG); to is not there then.
 */
int oci_copy_blob(const oci_store_t *s, const char *from, const char *to,
    const oci_digest_t *d);

/* the first size bytes of in to out, both from 0; nothing is synced */
int oci_copy_data(int in, int out, int64_t size, const char *path);

/* hashes the first size bytes of fd into h; OCI_OK or OCI_ERROR */
int oci_copy_hash(int fd, int64_t size, oci_hash_t *h, const char *path);


#endif /* _OCI_COPY_H_INCLUDED_ */
