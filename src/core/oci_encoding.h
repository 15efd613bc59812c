
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Accept-Encoding (RFC 9110 12.5.3), and content that is compressed already.
 */


#ifndef _OCI_ENCODING_H_INCLUDED_
#define _OCI_ENCODING_H_INCLUDED_


#include "oci_core.h"


#define OCI_ENCODING_MAGIC  8       /* bytes that are enough to tell */


/*
 * What one line of Accept-Encoding says of a coding, a lower-case name: 1 it
 * is accepted; 0 it is not named ("*" names nothing); -1 it is refused (q=0)
 * or its weight is not of its form.
 */
int oci_encoding_accepts(const u_char *value, size_t len, const char *coding);

/* 1 if content that begins like this would gain nothing */
int oci_encoding_packed(const u_char *head, size_t len);


#endif /* _OCI_ENCODING_H_INCLUDED_ */
