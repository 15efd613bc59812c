
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "oci_reference.h"


/* a type or a subtype of RFC 6838, section 4.2 */

#define OCI_RESTRICTED_NAME_MAX  127


static size_t oci_restricted_name(const u_char *p, size_t len);


#define oci_is_digit(c)      ((c) >= '0' && (c) <= '9')
#define oci_is_lower(c)      ((c) >= 'a' && (c) <= 'z')
#define oci_is_upper(c)      ((c) >= 'A' && (c) <= 'Z')
#define oci_is_low_alnum(c)  (oci_is_lower(c) || oci_is_digit(c))
#define oci_is_alnum(c)      (oci_is_low_alnum(c) || oci_is_upper(c))


int
oci_name_valid(const u_char *p, size_t len)
{
    size_t  i;

    if (len > OCI_NAME_MAX) {
        return 0;
    }

    i = 0;

    while (i < len) {

        /* here a component or the part after a separator begins */

        if (!oci_is_low_alnum(p[i])) {
            return 0;
        }

        while (i < len && oci_is_low_alnum(p[i])) {
            i++;
        }

        if (i == len) {
            return 1;
        }

        switch (p[i]) {

        case '/':
        case '.':
            i++;
            break;

        case '_':
            i++;

            if (i < len && p[i] == '_') {
                i++;
            }

            break;

        case '-':
            while (i < len && p[i] == '-') {
                i++;
            }

            break;

        default:
            return 0;
        }
    }

    /* empty, or a separator was the last */

    return 0;
}


int
oci_tag_valid(const u_char *p, size_t len)
{
    size_t  i;

    if (len == 0 || len > OCI_TAG_MAX) {
        return 0;
    }

    if (p[0] == '.' || p[0] == '-') {
        return 0;
    }

    for (i = 0; i < len; i++) {
        if (!oci_is_alnum(p[i])
            && p[i] != '_' && p[i] != '.' && p[i] != '-')
        {
            return 0;
        }
    }

    return 1;
}


int
oci_namespace_valid(const u_char *p, size_t len)
{
    size_t  i;

    if (len == 0 || len > OCI_NAMESPACE_MAX) {
        return 0;
    }

    for (i = 0; i < len; i++) {
        if (!oci_is_low_alnum(p[i])
            && p[i] != '.' && p[i] != ':' && p[i] != '-')
        {
            return 0;
        }
    }

    if (p[0] == '.' && (len == 1 || (len == 2 && p[1] == '.'))) {
        return 0;
    }

    return 1;
}


int
oci_media_type_valid(const u_char *p, size_t len)
{
    size_t  n;

    if (len == 0 || len > OCI_MEDIA_TYPE_MAX) {
        return 0;
    }

    n = oci_restricted_name(p, len);

    if (n == 0 || n == len || p[n] != '/') {
        return 0;
    }

    p += n + 1;
    len -= n + 1;

    return len > 0 && oci_restricted_name(p, len) == len;
}


int
oci_upload_id_valid(const u_char *p, size_t len)
{
    size_t  i;

    if (len != OCI_UPLOAD_ID_LEN) {
        return 0;
    }

    for (i = 0; i < len; i++) {
        if (!oci_is_digit(p[i]) && !(p[i] >= 'a' && p[i] <= 'f')) {
            return 0;
        }
    }

    return 1;
}


/* the length of the name that p begins with, 0 if there is none */

static size_t
oci_restricted_name(const u_char *p, size_t len)
{
    size_t  i;

    if (len == 0 || !oci_is_alnum(p[0])) {
        return 0;
    }

    for (i = 1; i < len; i++) {

        if (oci_is_alnum(p[i])) {
            continue;
        }

        switch (p[i]) {

        case '!':
        case '#':
        case '$':
        case '&':
        case '-':
        case '^':
        case '_':
        case '.':
        case '+':
            continue;

        default:
            break;
        }

        break;
    }

    return i <= OCI_RESTRICTED_NAME_MAX ? i : 0;
}
