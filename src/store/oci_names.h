
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * What lists are made of: the smallest names of a folder of any size in
 * bounded memory.
 */


#ifndef _OCI_NAMES_H_INCLUDED_
#define _OCI_NAMES_H_INCLUDED_


#include "oci_core.h"
#include "oci_text.h"


typedef struct {
    char         **names;
    size_t         n;
    size_t         size;            /* entries allocated */
    size_t         limit;           /* only so many of the smallest are kept */
    const char    *bound;           /* nothing from here on is kept, or NULL */
} oci_names_t;


#define OCI_NAMES_ALL  ((size_t) -1)


void oci_names_init(oci_names_t *l, size_t limit);

/* keeps a copy of the name if it is among the smallest; OCI_OK, OCI_ERROR */
int oci_names_add(oci_names_t *l, const char *name);

/*
 * Sorts by bytes and cuts to the limit.  l->bound is not NULL after it when
 * names were left out.
 */
void oci_names_sort(oci_names_t *l);

/* frees the names; the same list can be filled again */
void oci_names_clear(oci_names_t *l);


#endif /* _OCI_NAMES_H_INCLUDED_ */
