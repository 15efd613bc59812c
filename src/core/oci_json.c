
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "oci_json.h"

#include <errno.h>


static int oci_json_scan(const u_char *p, size_t len, size_t max_depth,
    const char **reason);


int
oci_json_load(json_t **root, const u_char *data, size_t len, size_t max_depth,
    const char **reason)
{
    json_error_t  error;

    if (oci_json_scan(data, len, max_depth, reason) != OCI_OK) {
        return OCI_INVALID;
    }

    errno = 0;

    *root = json_loadb((const char *) data, len,
                       JSON_REJECT_DUPLICATES|JSON_ALLOW_NUL, &error);

    if (*root != NULL) {
        return OCI_OK;
    }

    /* jansson takes some failures of malloc() for bad syntax */

    if (errno == ENOMEM) {
        return OCI_ERROR;
    }

    switch (json_error_code(&error)) {

    case json_error_duplicate_key:
        *reason = "duplicate keys";
        break;

    case json_error_numeric_overflow:
        *reason = "a number that is too large";
        break;

    default:
        *reason = "not valid JSON";
        break;
    }

    return OCI_INVALID;
}


json_t *
oci_json_get(json_t *object, const char *key)
{
    json_t  *value;

    value = json_object_get(object, key);

    return json_is_null(value) ? NULL : value;
}


int
oci_json_str(json_t *json, oci_str_t *text)
{
    if (!json_is_string(json)) {
        text->len = 0;
        text->data = NULL;
        return 0;
    }

    text->len = json_string_length(json);
    text->data = (u_char *) (uintptr_t) json_string_value(json);

    return 1;
}


/*
 * One pass over the bytes, before anything is allocated or recursed for.
 * It needs not be right about JSON that is broken: jansson refuses that.
 */

static int
oci_json_scan(const u_char *p, size_t len, size_t max_depth,
    const char **reason)
{
    size_t         depth, containers, commas;
    const u_char  *last;

    depth = 0;
    containers = 0;
    commas = 0;

    for (last = p + len; p < last; p++) {

        switch (*p) {

        case '"':

            for (p++; p < last && *p != '"'; p++) {
                if (*p == '\\') {
                    p++;
                }
            }

            break;

        case '{':
        case '[':

            if (++depth > max_depth) {
                *reason = "nested too deep";
                return OCI_INVALID;
            }

            containers++;

            break;

        case '}':
        case ']':

            if (depth == 0) {
                *reason = "not valid JSON";
                return OCI_INVALID;
            }

            depth--;

            break;

        case ',':
            commas++;
            break;

        default:
            break;
        }
    }

    if (containers > OCI_JSON_CONTAINERS_MAX
        || commas > OCI_JSON_COMMAS_MAX)
    {
        *reason = "too many values";
        return OCI_INVALID;
    }

    return OCI_OK;
}
