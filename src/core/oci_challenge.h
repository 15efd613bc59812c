
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Challenges of WWW-Authenticate, RFC 9110 section 11.
 */


#ifndef _OCI_CHALLENGE_H_INCLUDED_
#define _OCI_CHALLENGE_H_INCLUDED_


#include "oci_core.h"


typedef enum {
    OCI_CHALLENGE_OTHER = 0,
    OCI_CHALLENGE_BASIC,
    OCI_CHALLENGE_BEARER
} oci_challenge_scheme_t;


/* quoted strings are unescaped in place: views into the text */

typedef struct {
    oci_challenge_scheme_t  scheme;
    oci_str_t               realm;
    oci_str_t               service;
    oci_str_t               scope;
    oci_str_t               error;
} oci_challenge_t;


/*
 * Parses the next challenge of a header value from *p on, and moves *p past
 * it; one value may hold several.  Unknown parameters are skipped, of a
 * parameter that stands twice the first counts.  OCI_OK; OCI_NOT_FOUND: no
 * more; OCI_INVALID: malformed, *p is at the end.
 */
int oci_challenge_next(oci_challenge_t *c, u_char **p, u_char *last);


#endif /* _OCI_CHALLENGE_H_INCLUDED_ */
