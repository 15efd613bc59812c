
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "oci_encoding.h"

#include <strings.h>


typedef struct {
    size_t       len;
    const char  *bytes;
} oci_encoding_magic_t;


static int oci_encoding_weight(const u_char *p, const u_char *last);
static const u_char *oci_encoding_skip(const u_char *p, const u_char *last);


static const oci_encoding_magic_t  oci_encoding_magics[] = {
    { 2, "\x1f\x8b" },                      /* gzip */
    { 4, "\x28\xb5\x2f\xfd" },              /* zstd */
    { 6, "\xfd" "7zXZ\0" },
    { 3, "BZh" },
    { 4, "PK\x03\x04" },                    /* zip */
    { 6, "7z\xbc\xaf\x27\x1c" },
    { 4, "\x04\x22\x4d\x18" }               /* lz4 */
};


int
oci_encoding_accepts(const u_char *value, size_t len, const char *coding)
{
    int            rc;
    size_t         n;
    const u_char  *p, *last, *end, *semi, *name;

    rc = 0;
    p = value;
    last = value + len;

    while (p < last) {

        end = memchr(p, ',', (size_t) (last - p));
        if (end == NULL) {
            end = last;
        }

        semi = memchr(p, ';', (size_t) (end - p));
        if (semi == NULL) {
            semi = end;
        }

        name = oci_encoding_skip(p, semi);
        n = (size_t) (semi - name);

        while (n && (name[n - 1] == ' ' || name[n - 1] == '\t')) {
            n--;
        }

        if (n == strlen(coding)
            && strncasecmp((const char *) name, coding, n) == 0)
        {
            if (!oci_encoding_weight(semi, end)) {
                return -1;
            }

            rc = 1;
        }

        p = (end < last) ? end + 1 : last;
    }

    return rc;
}


/* 1 for a weight above 0; p is at a semicolon or at the end */

static int
oci_encoding_weight(const u_char *p, const u_char *last)
{
    int       above;
    unsigned  digits;

    if (p == last) {
        return 1;
    }

    p = oci_encoding_skip(p + 1, last);

    if (last - p < 3 || (p[0] != 'q' && p[0] != 'Q') || p[1] != '='
        || (p[2] != '0' && p[2] != '1'))
    {
        return 0;
    }

    above = (p[2] == '1');
    p += 3;

    if (p < last && *p == '.') {
        p++;

        for (digits = 0; p < last && *p >= '0' && *p <= '9'; digits++) {
            if (*p != '0') {
                above = 1;
            }

            p++;
        }

        if (digits > 3) {
            return 0;
        }
    }

    return oci_encoding_skip(p, last) == last ? above : 0;
}


static const u_char *
oci_encoding_skip(const u_char *p, const u_char *last)
{
    while (p < last && (*p == ' ' || *p == '\t')) {
        p++;
    }

    return p;
}


int
oci_encoding_packed(const u_char *head, size_t len)
{
    size_t                       i;
    const oci_encoding_magic_t  *magic;

    for (i = 0;
         i < sizeof(oci_encoding_magics) / sizeof(oci_encoding_magics[0]);
         i++)
    {
        magic = &oci_encoding_magics[i];

        if (len >= magic->len
            && memcmp(head, magic->bytes, magic->len) == 0)
        {
            return 1;
        }
    }

    /* a frame of zstd that is skipped: 184d2a50 to 184d2a5f */

    return len >= 4 && (head[0] & 0xf0) == 0x50 && head[1] == 0x2a
           && head[2] == 0x4d && head[3] == 0x18;
}
