
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * What lists are made of: the smallest names of a folder of any size in
 * bounded memory, and a growing text.
 */


#ifndef _OCI_NAMES_H_INCLUDED_
#define _OCI_NAMES_H_INCLUDED_


#include "oci_core.h"


typedef struct {
    char         **names;
    size_t         n;
    size_t         size;            /* entries allocated */
    size_t         limit;           /* only so many of the smallest are kept */
    const char    *bound;           /* nothing from here on is kept, or NULL */
} oci_names_t;


typedef struct {
    u_char        *data;
    size_t         len;
    size_t         size;
    unsigned       failed:1;        /* no memory: what was added is lost */
} oci_text_t;


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


/* a text is all zeros at first; its data is malloc's */
void oci_text_add(oci_text_t *t, const void *data, size_t len);

#define oci_text_lit(t, lit)  oci_text_add(t, lit, sizeof(lit) - 1)


#endif /* _OCI_NAMES_H_INCLUDED_ */
