
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * From the unparsed URI to an endpoint of the distribution spec, and the
 * arguments of a query.
 */


#ifndef _OCI_ROUTE_H_INCLUDED_
#define _OCI_ROUTE_H_INCLUDED_


#include "oci_core.h"
#include "oci_digest.h"
#include "oci_error.h"


typedef enum {
    OCI_ENDPOINT_NONE = 0,      /* not below /v2/: not ours */
    OCI_ENDPOINT_BASE,          /* /v2/ and /v2 */
    OCI_ENDPOINT_CATALOG,       /* /v2/_catalog */
    OCI_ENDPOINT_MANIFEST,      /* /v2/<name>/manifests/<reference> */
    OCI_ENDPOINT_BLOB,          /* /v2/<name>/blobs/<digest> */
    OCI_ENDPOINT_UPLOADS,       /* /v2/<name>/blobs/uploads[/] */
    OCI_ENDPOINT_UPLOAD,        /* /v2/<name>/blobs/uploads/<id> */
    OCI_ENDPOINT_TAGS,          /* /v2/<name>/tags/list */
    OCI_ENDPOINT_REFERRERS,     /* /v2/<name>/referrers/<digest> */
    OCI_ENDPOINT_UNKNOWN        /* below /v2/, no endpoint of the spec */
} oci_endpoint_t;


typedef struct {
    oci_endpoint_t   endpoint;
    oci_str_t        name;          /* inside the grammar */
    oci_str_t        reference;     /* as sent, after decoding of %3A */
    oci_digest_t     digest;        /* valid if is_digest and rc is OCI_OK */

    /*
     * OCI_OK: reference is inside its grammar; OCI_INVALID: it is not;
     * OCI_UNSUPPORTED: a digest of an unknown algorithm.  What that means
     * depends on the method (spec.md item 11), so it is no parse error.
     */
    int              rc;

    unsigned         is_digest:1;   /* a manifest reference with a colon */
} oci_route_t;


/*
 * Parses the path of a request line, percent-encoded and without the query.
 * The path is parsed from its right end, since components of a name may be
 * called "blobs" or "manifests".  Decodes %3A in place, so path must be
 * writable and outlive the route; any other escape, a NUL, an empty or a
 * dot component and a name outside the grammar are refused.
 *
 * OCI_OK; OCI_INVALID with *error set (OCI_ERR_NAME_INVALID).
 */
int oci_route_parse(oci_route_t *route, u_char *path, size_t len,
    oci_error_t *error);

/*
 * The same for the paths that almost all pulls have, which are only read: a
 * manifest or a blob, all inside the grammar, nothing escaped.  1, or 0: it
 * is for oci_route_parse() to say what it is.
 */
int oci_route_plain(oci_route_t *route, const u_char *path, size_t len);

/*
 * Finds the index-th (from 0) argument called key in a raw query string and
 * decodes its value into buf.  '+' stays '+': no value of the spec holds a
 * space, media types hold a plus.
 *
 * OCI_OK; OCI_NOT_FOUND; OCI_INVALID for a bad escape, a control character
 * or a value larger than size.
 */
int oci_query_arg(const oci_str_t *args, const char *key, unsigned index,
    oci_str_t *value, u_char *buf, size_t size);


#endif /* _OCI_ROUTE_H_INCLUDED_ */
