
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "oci_names.h"

#include <stdlib.h>


static int oci_names_compare(const void *one, const void *two);


void
oci_names_init(oci_names_t *l, size_t limit)
{
    memset(l, 0, sizeof(oci_names_t));
    l->limit = limit;
}


int
oci_names_add(oci_names_t *l, const char *name)
{
    char    *copy, **names;
    size_t   size;

    if (l->bound != NULL && strcmp(name, l->bound) >= 0) {
        return OCI_OK;
    }

    /* twice the limit and then half of it away: cheap on the average */

    if (l->n > 1 && l->n / 2 >= l->limit) {
        oci_names_sort(l);

        if (l->bound != NULL && strcmp(name, l->bound) >= 0) {
            return OCI_OK;
        }
    }

    if (l->n == l->size) {
        size = l->size ? 2 * l->size : 64;

        names = realloc(l->names, size * sizeof(char *));
        if (names == NULL) {
            return OCI_ERROR;
        }

        l->names = names;
        l->size = size;
    }

    copy = strdup(name);
    if (copy == NULL) {
        return OCI_ERROR;
    }

    l->names[l->n++] = copy;

    return OCI_OK;
}


void
oci_names_sort(oci_names_t *l)
{
    if (l->n > 1) {
        qsort(l->names, l->n, sizeof(char *), oci_names_compare);
    }

    if (l->n <= l->limit) {
        return;
    }

    while (l->n > l->limit) {
        free(l->names[--l->n]);
    }

    l->bound = l->n ? l->names[l->n - 1] : "";
}


void
oci_names_clear(oci_names_t *l)
{
    while (l->n != 0) {
        free(l->names[--l->n]);
    }

    free(l->names);

    oci_names_init(l, l->limit);
}


static int
oci_names_compare(const void *one, const void *two)
{
    return strcmp(*(char *const *) one, *(char *const *) two);
}
