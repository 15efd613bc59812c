
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "oci_tar_field.h"


/* some old writers added signed bytes */

int
oci_tar_sum(const u_char *block)
{
    size_t   i;
    int64_t  sum, plain, with_sign;

    if (oci_tar_number(block + OCI_TAR_SUM, OCI_TAR_SUM_LEN, &sum)
        != OCI_OK)
    {
        return 0;
    }

    plain = 0;
    with_sign = 0;

    for (i = 0; i < OCI_TAR_BLOCK; i++) {

        if (i >= OCI_TAR_SUM && i < OCI_TAR_SUM + OCI_TAR_SUM_LEN) {
            plain += ' ';
            with_sign += ' ';

        } else {
            plain += block[i];
            with_sign += (signed char) block[i];
        }
    }

    return sum == plain || sum == with_sign;
}


int
oci_tar_number(const u_char *p, size_t len, int64_t *number)
{
    size_t   i;
    int64_t  n;

    n = 0;

    if (p[0] & 0x80) {

        if (p[0] != 0x80) {
            return OCI_INVALID;             /* negative, or beyond 64 bits */
        }

        for (i = 1; i < len; i++) {

            if (n > (OCI_TAR_SIZE_MAX >> 8)) {
                return OCI_INVALID;
            }

            n = n * 256 + p[i];
        }

        *number = n;
        return OCI_OK;
    }

    i = 0;

    while (i < len && p[i] == ' ') {
        i++;
    }

    while (i < len && p[i] >= '0' && p[i] <= '7') {
        n = n * 8 + (p[i++] - '0');         /* 12 digits are 36 bits */
    }

    while (i < len && (p[i] == ' ' || p[i] == '\0')) {
        i++;
    }

    if (i != len) {
        return OCI_INVALID;
    }

    *number = n;

    return OCI_OK;
}


int
oci_tar_decimal(const u_char *p, size_t len, int64_t *number)
{
    size_t   i;
    int64_t  n;

    if (len == 0) {
        return OCI_INVALID;
    }

    n = 0;

    for (i = 0; i < len; i++) {

        if (p[i] < '0' || p[i] > '9' || n > OCI_TAR_SIZE_MAX / 10) {
            return OCI_INVALID;
        }

        n = n * 10 + (p[i] - '0');
    }

    if (n > OCI_TAR_SIZE_MAX) {
        return OCI_INVALID;
    }

    *number = n;

    return OCI_OK;
}


size_t
oci_tar_text(const u_char *p, size_t max)
{
    const u_char  *end;

    end = memchr(p, '\0', max);

    return end ? (size_t) (end - p) : max;
}
