
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * The error codes of the distribution spec, their usual statuses, and the
 * JSON body around them.
 */


#ifndef _OCI_ERROR_H_INCLUDED_
#define _OCI_ERROR_H_INCLUDED_


#include "oci_core.h"


typedef enum {
    OCI_ERR_NONE = 0,
    OCI_ERR_BLOB_UNKNOWN,               /* 404 */
    OCI_ERR_BLOB_UPLOAD_INVALID,        /* 400 */
    OCI_ERR_BLOB_UPLOAD_UNKNOWN,        /* 404 */
    OCI_ERR_DIGEST_INVALID,             /* 400 */
    OCI_ERR_MANIFEST_BLOB_UNKNOWN,      /* 400 */
    OCI_ERR_MANIFEST_INVALID,           /* 400 */
    OCI_ERR_MANIFEST_UNKNOWN,           /* 404 */
    OCI_ERR_NAME_INVALID,               /* 400 */
    OCI_ERR_NAME_UNKNOWN,               /* 404 */
    OCI_ERR_SIZE_INVALID,               /* 400 */
    OCI_ERR_UNAUTHORIZED,               /* 401 */
    OCI_ERR_DENIED,                     /* 403 */
    OCI_ERR_UNSUPPORTED,                /* 405 */
    OCI_ERR_TOOMANYREQUESTS,            /* 429 */
    OCI_ERR_UNAVAILABLE,                /* 503; not of the spec's table */
    OCI_ERR_UNKNOWN,                    /* 500; not of the spec's table */
    OCI_ERR_COUNT
} oci_error_t;


#define OCI_ERROR_BODY_MAX  1024


/* "BLOB_UNKNOWN" and so on, static */
const char *oci_error_code(oci_error_t e);

/* the usual HTTP status */
unsigned oci_error_status(oci_error_t e);

/* the code for a status that nginx itself answers with (404, 413, 502, ...) */
oci_error_t oci_error_of_status(unsigned status);

/*
 * Writes {"errors":[{"code":..,"message":..,"detail":..}]} and a newline
 * into buf of OCI_ERROR_BODY_MAX bytes; message NULL means the usual one;
 * detail may be NULL, is a string (spec.md item 3), and is cut when too long.
 * Bytes outside printable ASCII are escaped.  Returns the length.
 */
size_t oci_error_body(u_char *buf, oci_error_t e, const char *message,
    const oci_str_t *detail);


#endif /* _OCI_ERROR_H_INCLUDED_ */
