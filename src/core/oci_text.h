
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * A growing text.
 */


#ifndef _OCI_TEXT_H_INCLUDED_
#define _OCI_TEXT_H_INCLUDED_


#include "oci_core.h"


/* all zeros at first; its data is malloc's */

typedef struct {
    u_char        *data;
    size_t         len;
    size_t         size;
    unsigned       failed:1;        /* no memory: what was added is lost */
} oci_text_t;


void oci_text_add(oci_text_t *t, const void *data, size_t len);

#define oci_text_lit(t, lit)  oci_text_add(t, lit, sizeof(lit) - 1)


#endif /* _OCI_TEXT_H_INCLUDED_ */
