
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Range of RFC 9110 on reads; Content-Range of an upload's chunk.
 */


#ifndef _OCI_RANGE_H_INCLUDED_
#define _OCI_RANGE_H_INCLUDED_


#include "oci_core.h"


#define OCI_RANGES_MAX  1024        /* what containers/storage sends at most */


typedef struct {
    int64_t   start;
    int64_t   end;                  /* exclusive */
} oci_range_t;


/*
 * Parses a Range header for content of size bytes into ranges, an array of
 * max entries; *n is what was found, in the order asked for, ends clamped,
 * ranges that start beyond the end left out.
 *
 * OCI_OK, *n >= 1; OCI_NOT_FOUND: another unit than bytes, answer with the
 * whole; OCI_RANGE: malformed, backwards or none satisfiable, answer 416;
 * OCI_INVALID: more than max ranges, answer 400 (spec: clients halve then).
 */
int oci_range_parse(const u_char *p, size_t len, int64_t size,
    oci_range_t *ranges, unsigned max, unsigned *n);

/*
 * The number of ranges a Range header seems to hold (commas plus one), to
 * size an array before parsing; at most OCI_RANGES_MAX + 1.
 */
unsigned oci_range_count(const u_char *p, size_t len);

/*
 * Parses the Content-Range of an upload, "<start>-<end>" without a unit;
 * "bytes <start>-<end>/<total or *>" is taken too.  *end is inclusive.
 * OCI_OK or OCI_INVALID (also end < start and overflow).
 */
int oci_content_range_parse(const u_char *p, size_t len, int64_t *start,
    int64_t *end);


#endif /* _OCI_RANGE_H_INCLUDED_ */
