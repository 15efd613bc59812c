
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Where a fill comes from: fills/<alg>/<hex>/from, written beside a new map,
 * so that it can be gone on with when all who knew are dead.  It holds names
 * and nothing secret, and is a hint: whoever goes on by it asks its own
 * configuration whether that would still lead there.
 */


#ifndef _OCI_FILL_FROM_H_INCLUDED_
#define _OCI_FILL_FROM_H_INCLUDED_


#include "oci_fill_file.h"


#define OCI_FILL_FROM_MAX  2048         /* bytes of the file */


typedef struct {
    oci_str_t           upstream;       /* "https://host:port/prefix" */
    oci_str_t           remote;         /* the repository there */
    oci_repo_t          repo;           /* and here */
} oci_fill_from_t;


/* a fill that nobody works on */

typedef struct {
    oci_digest_t        digest;
    int64_t             total;          /* bytes that are there */
    oci_fill_from_t     from;           /* in text */
    u_char              text[OCI_FILL_FROM_MAX];
} oci_fill_left_t;


/*
 * Of a fill that is open.  Not made to last: without it the fill waits for
 * somebody who asks.  OCI_OK; OCI_INVALID: it can't be written down;
 * OCI_AGAIN, OCI_NOT_FOUND: it is being ended, or was; OCI_ERROR.
 */
int oci_fill_from_put(const oci_fill_file_t *f, const oci_fill_from_t *from);

/*
 * Those of which that is known, that no process has open and that got no
 * byte for idle seconds; from the *cursor-th on, which is moved to where the
 * next call goes on.  Where the content is in blobs/ by now, what is left is
 * removed; where the disk has no room for what is missing, so that reserve
 * bytes stay free, a fill is passed over.  Returns how many, at most max, or
 * OCI_ERROR.
 */
int oci_fill_left(const oci_store_t *s, int64_t idle, int64_t reserve,
    unsigned *cursor, oci_fill_left_t *left, unsigned max);


#endif /* _OCI_FILL_FROM_H_INCLUDED_ */
