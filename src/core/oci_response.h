
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * The head of an HTTP/1.1 response, and its body with or without chunks.
 */


#ifndef _OCI_RESPONSE_H_INCLUDED_
#define _OCI_RESPONSE_H_INCLUDED_


#include "oci_core.h"


#define OCI_RESPONSE_HEAD_MAX     (64 * 1024)
#define OCI_RESPONSE_HEADERS_MAX  128


typedef struct {
    oci_str_t    name;                          /* in lower case */
    oci_str_t    value;                         /* trimmed, no CTL but HTAB */
} oci_header_t;


/* a view: all strings point into the text that was parsed */

typedef struct {
    unsigned      status;                       /* 100 to 599 */
    unsigned      nheaders;
    oci_header_t  headers[OCI_RESPONSE_HEADERS_MAX];

    int64_t       content_length;               /* -1: not told */

    int64_t       range_start;                  /* of Content-Range, else -1 */
    int64_t       range_end;                    /* inclusive, else -1 */
    int64_t       range_total;                  /* -1: unknown or "*" */

    int64_t       retry_after;                  /* seconds, -1: none; a date
                                                   counts from Date */

    oci_str_t     content_type;
    oci_str_t     content_encoding;
    oci_str_t     etag;
    oci_str_t     digest;                       /* Docker-Content-Digest */
    oci_str_t     location;
    oci_str_t     link;                         /* the first one */
    oci_str_t     www_authenticate;             /* the first one */

    unsigned      chunked:1;
    unsigned      keepalive:1;                  /* the connection stays */
    unsigned      accept_ranges:1;              /* bytes */
} oci_response_t;


typedef enum {
    OCI_BODY_NONE = 0,                          /* HEAD, 204, 304 */
    OCI_BODY_LENGTH,
    OCI_BODY_CHUNKED,
    OCI_BODY_EOF                                /* ends with the connection */
} oci_body_mode_t;


typedef struct {
    oci_body_mode_t  mode;
    unsigned         state;
    unsigned         line;                      /* bytes of a line so far */
    int64_t          left;                      /* of the body or the chunk */
    int64_t          received;                  /* bytes of content so far */
    unsigned         done:1;
} oci_body_t;


/*
 * Looks for the end of a head in what has come so far.  *seen remembers
 * between calls what was looked at, 0 at first.  OCI_OK with *size, the
 * length of the head with its empty line; OCI_AGAIN: more is needed;
 * OCI_INVALID: longer than OCI_RESPONSE_HEAD_MAX.
 */
int oci_response_end(const u_char *p, size_t len, size_t *seen, size_t *size);

/*
 * Parses a whole head; names are turned to lower case in place.  OCI_OK or
 * OCI_INVALID: another version than 1.0 and 1.1, folded lines, white space
 * before a colon, a bare CR or LF, several lengths that differ, a length
 * beside Transfer-Encoding, an encoding other than chunked, too many headers.
 */
int oci_response_parse(oci_response_t *r, u_char *p, size_t len);

/* the index-th header of that name (lower case), NULL if there is none */
const oci_str_t *oci_response_header(const oci_response_t *r,
    const char *name, unsigned index);

/* how the body of a response ends; head: the request was a HEAD */
void oci_body_init(oci_body_t *b, const oci_response_t *r, int head);

/*
 * Takes bytes of a body from *p up to last.  OCI_OK: *size bytes of content
 * are at *data, *p is moved; when b->done is set the body is at its end,
 * *size may be 0 then.  OCI_AGAIN: all was taken, no content in it.
 * OCI_INVALID: malformed chunks.
 */
int oci_body_next(oci_body_t *b, const u_char **p, const u_char *last,
    const u_char **data, size_t *size);

/* the connection has ended: OCI_OK where that ends the body, else OCI_RANGE */
int oci_body_eof(oci_body_t *b);


#endif /* _OCI_RESPONSE_H_INCLUDED_ */
