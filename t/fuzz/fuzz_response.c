
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * A byte that says how the rest is cut into pieces, then a response as it
 * comes from a connection.  However it is cut, the same comes out.
 */


#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "oci_response.h"
#include "oci_digest.h"


#define check(expr)                                                           \
    if (!(expr)) {                                                            \
        abort();                                                              \
    }


typedef struct {
    int           rc;
    int64_t       received;
    size_t        taken;
    uint32_t      crc;
} outcome_t;


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_views(const oci_response_t *r, const u_char *p, size_t len);
static outcome_t fuzz_body(const oci_response_t *r, int head,
    const u_char *p, size_t len, size_t step);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int              rc;
    size_t           i, step, seen, end, again;
    u_char          *p;
    outcome_t        a, b;
    oci_response_t  *r;

    if (size < 1) {
        return 0;
    }

    step = (size_t) (data[0] & 0x3f) + 1;
    data++;
    size--;

    seen = 0;
    rc = OCI_AGAIN;

    for (i = 0; i < size && rc == OCI_AGAIN; /* void */ ) {
        i = size - i < step ? size : i + step;
        rc = oci_response_end(data, i, &seen, &end);
    }

    if (rc != OCI_OK) {
        return 0;
    }

    check(end <= i);

    seen = 0;
    check(oci_response_end(data, size, &seen, &again) == OCI_OK);
    check(again == end);

    p = malloc(end);
    r = malloc(sizeof(oci_response_t));
    check(p != NULL && r != NULL);
    memcpy(p, data, end);

    if (oci_response_parse(r, p, end) == OCI_OK) {
        fuzz_views(r, p, end);

        a = fuzz_body(r, step & 1, data + end, size - end, step);
        b = fuzz_body(r, step & 1, data + end, size - end, size + 1);

        check(a.rc == b.rc && a.received == b.received && a.crc == b.crc);
        check(a.rc == OCI_INVALID || a.taken == b.taken);
    }

    free(p);
    free(r);

    return 0;
}


static void
fuzz_views(const oci_response_t *r, const u_char *p, size_t len)
{
    size_t             i;
    unsigned           n;
    const oci_str_t   *v;

    check(r->status >= 100 && r->status <= 599);
    check(r->nheaders <= OCI_RESPONSE_HEADERS_MAX);
    check(r->content_length >= -1);
    check(r->content_length == -1 || !r->chunked);
    check(r->retry_after >= -1);
    check(r->range_start <= r->range_end);
    check(r->range_total == -1 || r->range_end < r->range_total);

    for (n = 0; n < r->nheaders; n++) {

        v = &r->headers[n].value;

        check(r->headers[n].name.len > 0);
        check(v->data >= p && v->data + v->len <= p + len);

        for (i = 0; i < v->len; i++) {
            check(v->data[i] != '\r' && v->data[i] != '\n'
                  && v->data[i] != '\0');
        }
    }
}


static outcome_t
fuzz_body(const oci_response_t *r, int head, const u_char *p, size_t len,
    size_t step)
{
    size_t         n, at, size;
    u_char        *piece;
    outcome_t      out;
    oci_body_t     b;
    const u_char  *pos, *content;

    memset(&out, 0, sizeof(out));

    oci_body_init(&b, r, head);

    out.rc = b.done ? OCI_OK : OCI_AGAIN;

    for (at = 0; at < len && !b.done; at += n) {

        n = len - at < step ? len - at : step;

        piece = malloc(n);
        check(piece != NULL);
        memcpy(piece, p + at, n);

        pos = piece;

        do {
            out.rc = oci_body_next(&b, &pos, piece + n, &content, &size);

            check(pos <= piece + n);

            if (out.rc == OCI_OK) {
                check(content >= piece && content + size <= pos);
                check(size || b.done);
                out.crc = oci_crc32c(out.crc, content, size);
            }
        } while (out.rc == OCI_OK && !b.done);

        n = (size_t) (pos - piece);
        free(piece);

        if (out.rc == OCI_INVALID) {
            break;
        }

        check(out.rc == OCI_OK || out.rc == OCI_AGAIN);
    }

    out.taken = at;
    out.received = b.received;

    if (out.rc != OCI_INVALID) {
        out.rc = oci_body_eof(&b);
    }

    return out;
}
