
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "oci_reference.h"


/* a type or a subtype of RFC 6838, section 4.2 */

#define OCI_RESTRICTED_NAME_MAX  127


static size_t oci_restricted_name(const u_char *p, size_t len);
static size_t oci_utf8(const u_char *p, size_t len);


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
oci_file_path_valid(const u_char *p, size_t len)
{
    size_t         n;
    const u_char  *last, *part;

    if (len == 0 || len > OCI_FILE_PATH_MAX) {
        return 0;
    }

    last = p + len;
    part = p;

    for ( ;; ) {

        if (p == last || *p == '/') {

            n = (size_t) (p - part);

            if (n == 0 || (n == 1 && part[0] == '.')
                || (n == 2 && part[0] == '.' && part[1] == '.'))
            {
                return 0;
            }

            if (p == last) {
                return 1;
            }

            part = ++p;
            continue;
        }

        if (*p < 0x20 || *p == 0x7f || *p == '\\') {
            return 0;
        }

        n = oci_utf8(p, (size_t) (last - p));

        if (n == 0) {
            return 0;
        }

        p += n;
    }
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


/* the bytes of the first character, 0 if they are not of UTF-8's shortest */

static size_t
oci_utf8(const u_char *p, size_t len)
{
    size_t    i, n;
    uint32_t  c;

    static const uint32_t  least[] = { 0, 0, 0x80, 0x800, 0x10000 };

    if (p[0] < 0x80) {
        return 1;
    }

    if (p[0] >= 0xf0) {
        n = 4;
        c = p[0] & 0x0f;                    /* 0xf8 and on are too large */

    } else if (p[0] >= 0xe0) {
        n = 3;
        c = p[0] & 0x0f;

    } else if (p[0] >= 0xc0) {
        n = 2;
        c = p[0] & 0x1f;

    } else {
        return 0;
    }

    if (n > len) {
        return 0;
    }

    for (i = 1; i < n; i++) {

        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }

        c = (c << 6) | (p[i] & 0x3f);
    }

    if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) {
        return 0;
    }

    return n;
}
