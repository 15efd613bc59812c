
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "oci_error.h"


#define OCI_ERROR_HEAD  "{\"errors\":[{\"code\":\""
#define OCI_ERROR_TAIL  "\"}]}\n"

/* of a message, escaped, so that something is left for the detail */

#define OCI_ERROR_MESSAGE_MAX  512


typedef struct {
    const char  *code;
    const char  *message;
    unsigned     status;
} oci_error_def_t;


static const oci_error_def_t *oci_error_def(oci_error_t e);
static u_char *oci_error_copy(u_char *p, const char *text);
static u_char *oci_error_escape(u_char *p, const u_char *last,
    const u_char *text, size_t len);


static const oci_error_def_t  oci_errors[OCI_ERR_COUNT] = {

    /* OCI_ERR_NONE: asked for by mistake only */

    { "UNKNOWN", "unknown error", 500 },

    { "BLOB_UNKNOWN", "blob unknown to registry", 404 },
    { "BLOB_UPLOAD_INVALID", "blob upload invalid", 400 },
    { "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry", 404 },
    { "DIGEST_INVALID", "digest invalid, unsupported or not that of the"
                        " content", 400 },
    { "MANIFEST_BLOB_UNKNOWN", "manifest references content unknown to"
                               " registry", 400 },
    { "MANIFEST_INVALID", "manifest invalid", 400 },
    { "MANIFEST_UNKNOWN", "manifest unknown to registry", 404 },
    { "NAME_INVALID", "invalid repository name", 400 },
    { "NAME_UNKNOWN", "repository name not known to registry", 404 },
    { "SIZE_INVALID", "length does not match the content or is not"
                      " acceptable", 400 },
    { "UNAUTHORIZED", "authentication required", 401 },
    { "DENIED", "access to the resource is denied", 403 },
    { "UNSUPPORTED", "the operation is unsupported", 405 },
    { "TOOMANYREQUESTS", "too many requests", 429 },
    { "UNAVAILABLE", "service unavailable", 503 },
    { "UNKNOWN", "unknown error", 500 }
};


const char *
oci_error_code(oci_error_t e)
{
    return oci_error_def(e)->code;
}


unsigned
oci_error_status(oci_error_t e)
{
    return oci_error_def(e)->status;
}


oci_error_t
oci_error_of_status(unsigned status)
{
    switch (status) {

    case 401:
        return OCI_ERR_UNAUTHORIZED;

    case 403:
        return OCI_ERR_DENIED;

    case 404:
        return OCI_ERR_NAME_UNKNOWN;

    case 408:
    case 409:
        return OCI_ERR_BLOB_UPLOAD_INVALID;

    case 411:
    case 413:
    case 416:
        return OCI_ERR_SIZE_INVALID;

    case 414:
        return OCI_ERR_NAME_INVALID;

    case 415:
        return OCI_ERR_MANIFEST_INVALID;

    case 429:
        return OCI_ERR_TOOMANYREQUESTS;

    case 501:
    case 505:
        return OCI_ERR_UNSUPPORTED;

    case 502:
    case 503:
    case 504:
    case 507:
        return OCI_ERR_UNAVAILABLE;

    default:
        break;
    }

    if (status >= 400 && status < 500) {
        return OCI_ERR_UNSUPPORTED;
    }

    return OCI_ERR_UNKNOWN;
}


size_t
oci_error_body(u_char *buf, oci_error_t e, const char *message,
    const oci_str_t *detail)
{
    u_char                 *p, *last;
    const oci_error_def_t  *def;

    def = oci_error_def(e);

    if (message == NULL) {
        message = def->message;
    }

    /* what is cut is cut in front of the room for the closing brackets */

    last = buf + OCI_ERROR_BODY_MAX - (sizeof(OCI_ERROR_TAIL) - 1);

    p = oci_error_copy(buf, OCI_ERROR_HEAD);
    p = oci_error_copy(p, def->code);
    p = oci_error_copy(p, "\",\"message\":\"");

    p = oci_error_escape(p, p + OCI_ERROR_MESSAGE_MAX,
                         (const u_char *) message, strlen(message));

    if (detail != NULL) {
        p = oci_error_copy(p, "\",\"detail\":\"");
        p = oci_error_escape(p, last, detail->data, detail->len);
    }

    p = oci_error_copy(p, OCI_ERROR_TAIL);

    return (size_t) (p - buf);
}


static const oci_error_def_t *
oci_error_def(oci_error_t e)
{
    if ((unsigned) e >= OCI_ERR_COUNT) {
        e = OCI_ERR_UNKNOWN;
    }

    return &oci_errors[e];
}


static u_char *
oci_error_copy(u_char *p, const char *text)
{
    size_t  len;

    len = strlen(text);
    memcpy(p, text, len);

    return p + len;
}


/* stops in front of the first byte whose escape would pass last */

static u_char *
oci_error_escape(u_char *p, const u_char *last, const u_char *text,
    size_t len)
{
    size_t               i;
    static const u_char  hex[] = "0123456789abcdef";

    for (i = 0; i < len; i++) {

        if (text[i] == '"' || text[i] == '\\') {

            if (last - p < 2) {
                break;
            }

            *p++ = '\\';
            *p++ = text[i];

        } else if (text[i] < 0x20 || text[i] > 0x7e) {

            if (last - p < 6) {
                break;
            }

            *p++ = '\\';
            *p++ = 'u';
            *p++ = '0';
            *p++ = '0';
            *p++ = hex[text[i] >> 4];
            *p++ = hex[text[i] & 0xf];

        } else {

            if (last - p < 1) {
                break;
            }

            *p++ = text[i];
        }
    }

    return p;
}
