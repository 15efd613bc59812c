
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * The collector's tables of one repository: a set of digests with what is
 * known of each, and which manifest keeps which.
 */


#ifndef _OCI_COLLECT_MARK_H_INCLUDED_
#define _OCI_COLLECT_MARK_H_INCLUDED_


#include "oci_core.h"
#include "oci_digest.h"


#define OCI_MARK_NONE  ((size_t) -1)


typedef struct {
    u_char     value[OCI_HEX_MAX / 2];
    int64_t    mtime;           /* nanoseconds */
    uint32_t   edge;            /* the first one's number + 1, 0: none */
    unsigned   alg:2;
    unsigned   named:1;         /* a link that a manifest names */
    unsigned   present:1;       /* a manifest that is there, not only named */
    unsigned   loaded:1;        /* its names are marked */
    unsigned   late:1;          /* came after the list was made */
    unsigned   tagged:1;
    unsigned   kept:1;
    unsigned   index:1;
} oci_mark_t;


typedef struct {
    uint32_t   to;
    uint32_t   next;            /* number + 1, 0: none */
} oci_edge_t;


typedef struct {
    oci_mark_t  *mark;
    size_t       n;
    size_t       size;
    uint32_t    *slot;          /* number + 1, 0: free */
    size_t       slots;         /* a power of two */
    oci_edge_t  *edge;
    size_t       nedges;
    size_t       edges_size;
} oci_marks_t;


/* frees what the table holds; it is empty and usable then, as when zeroed */
void oci_marks_reset(oci_marks_t *t);

/* the number of a digest, or OCI_MARK_NONE */
size_t oci_marks_find(const oci_marks_t *t, const oci_digest_t *d);

/* the same, added where it is missing; OCI_MARK_NONE: no memory */
size_t oci_marks_add(oci_marks_t *t, const oci_digest_t *d);

/* from keeps to; OCI_OK or OCI_ERROR (no memory) */
int oci_marks_edge(oci_marks_t *t, size_t from, size_t to);

/*
 * Spreads "kept" over the edges, through what is present alone.
 * OCI_OK or OCI_ERROR (no memory).
 */
int oci_marks_spread(oci_marks_t *t);

void oci_mark_digest(const oci_mark_t *m, oci_digest_t *d);


#endif /* _OCI_COLLECT_MARK_H_INCLUDED_ */
