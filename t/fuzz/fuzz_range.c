
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Eight bytes of content size and the text of a Range or Content-Range.
 */


#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "oci_range.h"


#define check(expr)                                                           \
    if (!(expr)) {                                                            \
        abort();                                                              \
    }


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_range(const u_char *p, size_t len, int64_t content);
static void fuzz_content_range(const u_char *p, size_t len);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t    i, len;
    u_char   *p;
    uint64_t  content;

    if (size < 8) {
        return 0;
    }

    content = 0;

    for (i = 0; i < 8; i++) {
        content = (content << 8) | data[i];
    }

    len = size - 8;

    p = malloc(len ? len : 1);
    check(p != NULL);
    memcpy(p, data + 8, len);

    fuzz_range(p, len, (int64_t) (content & INT64_MAX));
    fuzz_content_range(p, len);

    free(p);

    return 0;
}


static void
fuzz_range(const u_char *p, size_t len, int64_t content)
{
    int           rc;
    unsigned      i, n, max;
    oci_range_t  *ranges;

    max = oci_range_count(p, len);
    check(max >= 1 && max <= OCI_RANGES_MAX + 1);

    if (max > OCI_RANGES_MAX) {
        max = OCI_RANGES_MAX;
    }

    ranges = malloc(max * sizeof(oci_range_t));
    check(ranges != NULL);

    rc = oci_range_parse(p, len, content, ranges, max, &n);

    check(rc == OCI_OK || rc == OCI_NOT_FOUND || rc == OCI_RANGE
          || rc == OCI_INVALID);
    check((rc == OCI_OK) == (n > 0) && n <= max);

    if (rc == OCI_INVALID) {
        check(oci_range_count(p, len) == OCI_RANGES_MAX + 1);
    }

    for (i = 0; i < n; i++) {
        check(ranges[i].start >= 0);
        check(ranges[i].start < ranges[i].end);
        check(ranges[i].end <= content);
    }

    free(ranges);
}


static void
fuzz_content_range(const u_char *p, size_t len)
{
    int64_t  start, end;

    if (oci_content_range_parse(p, len, &start, &end) != OCI_OK) {
        return;
    }

    check(start >= 0 && start <= end && end < INT64_MAX);
}
