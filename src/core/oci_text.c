
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "oci_text.h"

#include <stdlib.h>


void
oci_text_add(oci_text_t *t, const void *data, size_t len)
{
    u_char  *p;
    size_t   size;

    if (t->failed || len == 0) {
        return;
    }

    if (len > t->size - t->len) {
        size = t->size ? 2 * t->size : 1024;

        while (size - t->len < len) {
            size *= 2;
        }

        p = realloc(t->data, size);
        if (p == NULL) {
            t->failed = 1;
            return;
        }

        t->data = p;
        t->size = size;
    }

    memcpy(t->data + t->len, data, len);
    t->len += len;
}
