
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Signed URLs of blobs: what a query says, and its seal over everything that
 * the URL is for.
 */


#ifndef _OCI_SIGNED_H_INCLUDED_
#define _OCI_SIGNED_H_INCLUDED_


#include "oci_core.h"
#include "oci_digest.h"


#define OCI_SIGNED_KEY      32
#define OCI_SIGNED_MAC      64          /* hex */
#define OCI_SIGNED_CLIENT   32          /* hex */

#define OCI_SIGNED_QUERY_MAX                                                  \
    (sizeof("oci_expires=&oci_client=&oci_signature=") + 20                   \
     + OCI_SIGNED_CLIENT + OCI_SIGNED_MAC)


typedef struct {

    /* what it is for, in no query */

    oci_str_t        ns;
    oci_str_t        name;
    oci_str_t        upstream;          /* may be empty */
    oci_digest_t     digest;

    /* what the query says */

    int64_t          expires;           /* seconds since the epoch */
    u_char           client[OCI_SIGNED_CLIENT];
    u_char           mac[OCI_SIGNED_MAC];
    unsigned         has_client:1;
} oci_signed_t;


/*
 * Reads expires, client and mac from a raw query.  OCI_OK; OCI_NOT_FOUND:
 * the query has nothing of the kind; OCI_INVALID: only a part of it, a part
 * twice, or one that is not of its form.
 */
int oci_signed_parse(oci_signed_t *s, const oci_str_t *args);

/* OCI_OK with s->mac set, or OCI_ERROR */
int oci_signed_sign(oci_signed_t *s, const u_char key[OCI_SIGNED_KEY]);

/*
 * OCI_OK; OCI_MISMATCH: signed for something else, or by somebody else;
 * OCI_RANGE: its time is over; OCI_ERROR.
 */
int oci_signed_check(const oci_signed_t *s, const u_char key[OCI_SIGNED_KEY],
    int64_t now);

/* who a client is without saying it; OCI_OK with s->client set or OCI_ERROR */
int oci_signed_client(oci_signed_t *s, const u_char key[OCI_SIGNED_KEY],
    const u_char *authorization, size_t len);

/* 1 if this argument ("name=value") is one that only a signed URL has */
int oci_signed_own(const u_char *arg, size_t len);

/* "oci_expires=...", no "?" or "&" before it; returns the length */
size_t oci_signed_query(const oci_signed_t *s,
    u_char buf[OCI_SIGNED_QUERY_MAX]);


#endif /* _OCI_SIGNED_H_INCLUDED_ */
