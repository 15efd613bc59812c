
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "oci_range.h"

#include <strings.h>


static int oci_range_spec(const u_char **pp, const u_char *last, int64_t size,
    oci_range_t *range);
static int oci_range_number(const u_char **pp, const u_char *last,
    int64_t *value);


#define oci_is_digit(c)  ((c) >= '0' && (c) <= '9')
#define oci_is_ows(c)    ((c) == ' ' || (c) == '\t')


int
oci_range_parse(const u_char *p, size_t len, int64_t size,
    oci_range_t *ranges, unsigned max, unsigned *n)
{
    int            rc;
    unsigned       specs;
    oci_range_t    range;
    const u_char  *last, *eq;

    *n = 0;

    if (len == 0) {
        return OCI_RANGE;
    }

    last = p + len;
    eq = memchr(p, '=', len);

    if (eq == NULL || eq == p) {
        return OCI_RANGE;
    }

    if (eq - p != sizeof("bytes") - 1
        || strncasecmp((const char *) p, "bytes", sizeof("bytes") - 1) != 0)
    {
        return OCI_NOT_FOUND;
    }

    p = eq + 1;
    specs = 0;

    for ( ;; ) {

        /* RFC 9110 lets empty elements stand in a list */

        while (p < last && (oci_is_ows(*p) || *p == ',')) {
            p++;
        }

        if (p == last) {
            break;
        }

        if (specs++ == max) {
            *n = 0;
            return OCI_INVALID;
        }

        rc = oci_range_spec(&p, last, size, &range);

        if (rc == OCI_INVALID) {
            *n = 0;
            return OCI_RANGE;
        }

        if (rc == OCI_OK) {
            ranges[(*n)++] = range;
        }

        while (p < last && oci_is_ows(*p)) {
            p++;
        }

        if (p < last && *p != ',') {
            *n = 0;
            return OCI_RANGE;
        }
    }

    return *n ? OCI_OK : OCI_RANGE;
}


unsigned
oci_range_count(const u_char *p, size_t len)
{
    size_t    i;
    unsigned  n;

    n = 1;

    for (i = 0; i < len && n <= OCI_RANGES_MAX; i++) {
        if (p[i] == ',') {
            n++;
        }
    }

    return n;
}


int
oci_content_range_parse(const u_char *p, size_t len, int64_t *start,
    int64_t *end)
{
    int            unit;
    int64_t        first, final, total;
    const u_char  *last;

    if (len == 0) {
        return OCI_INVALID;
    }

    last = p + len;
    unit = 0;

    if (len > sizeof("bytes ") - 1
        && strncasecmp((const char *) p, "bytes ", sizeof("bytes ") - 1) == 0)
    {
        p += sizeof("bytes ") - 1;
        unit = 1;
    }

    if (oci_range_number(&p, last, &first) != OCI_OK) {
        return OCI_INVALID;
    }

    if (p == last || *p++ != '-') {
        return OCI_INVALID;
    }

    if (oci_range_number(&p, last, &final) != OCI_OK) {
        return OCI_INVALID;
    }

    /* the end is inclusive, and the offset after it must fit too */

    if (final < first || final == INT64_MAX) {
        return OCI_INVALID;
    }

    if (unit) {

        if (p == last || *p++ != '/') {
            return OCI_INVALID;
        }

        if (p < last && *p == '*') {
            p++;

        } else {

            if (oci_range_number(&p, last, &total) != OCI_OK
                || total <= final)
            {
                return OCI_INVALID;
            }
        }
    }

    if (p != last) {
        return OCI_INVALID;
    }

    *start = first;
    *end = final;

    return OCI_OK;
}


/*
 * One "first-last", "first-" or "-suffix": OCI_OK, OCI_RANGE if it is
 * beyond the content, OCI_INVALID if malformed or backwards.
 *
 * A number over 63 bits is not an error here, RFC 9110 wants it read as
 * large: it ends at the content's end or starts beyond it.
 */

static int
oci_range_spec(const u_char **pp, const u_char *last, int64_t size,
    oci_range_t *range)
{
    int64_t        first, final;
    const u_char  *p;

    p = *pp;

    if (*p == '-') {
        p++;

        if (oci_range_number(&p, last, &final) == OCI_INVALID) {
            return OCI_INVALID;
        }

        *pp = p;

        if (final == 0 || size <= 0) {
            return OCI_RANGE;
        }

        range->start = final < size ? size - final : 0;
        range->end = size;

        return OCI_OK;
    }

    if (oci_range_number(&p, last, &first) == OCI_INVALID) {
        return OCI_INVALID;
    }

    if (p == last || *p++ != '-') {
        return OCI_INVALID;
    }

    final = INT64_MAX;

    if (p < last && oci_is_digit(*p)) {
        (void) oci_range_number(&p, last, &final);

        if (final < first) {
            return OCI_INVALID;
        }
    }

    *pp = p;

    if (first >= size) {
        return OCI_RANGE;
    }

    range->start = first;
    range->end = final < size ? final + 1 : size;

    return OCI_OK;
}


/*
 * Digits at *pp, which moves behind them.  OCI_OK; OCI_INVALID: none;
 * OCI_RANGE: over 63 bits, *value is INT64_MAX then.
 */

static int
oci_range_number(const u_char **pp, const u_char *last, int64_t *value)
{
    int            rc, digit;
    int64_t        v;
    const u_char  *p;

    p = *pp;

    if (p == last || !oci_is_digit(*p)) {
        return OCI_INVALID;
    }

    rc = OCI_OK;
    v = 0;

    for ( /* void */ ; p < last && oci_is_digit(*p); p++) {

        digit = *p - '0';

        if (v > (INT64_MAX - digit) / 10) {
            rc = OCI_RANGE;
            v = INT64_MAX;
            continue;
        }

        v = v * 10 + digit;
    }

    *pp = p;
    *value = v;

    return rc;
}
