
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Names in pages of the zone: a tree of two levels.  All under the lock.
 */


#ifndef _NGX_HTTP_OCI_TAGTREE_H_INCLUDED_
#define _NGX_HTTP_OCI_TAGTREE_H_INCLUDED_


#include "ngx_http_oci_zone.h"


#define NGX_HTTP_OCI_TAGTREE_PAGE    4096
#define NGX_HTTP_OCI_TAGTREE_NODES   64
#define NGX_HTTP_OCI_TAGTREE_LEAVES                                           \
    (NGX_HTTP_OCI_TAGTREE_PAGE / sizeof(void *) - 1)
#define NGX_HTTP_OCI_TAGTREE_DATA    (NGX_HTTP_OCI_TAGTREE_PAGE - 4)


/* no leaf and no node is ever empty */

typedef struct {
    uint16_t                     len;
    uint16_t                     count;
    u_char                       data[NGX_HTTP_OCI_TAGTREE_DATA];  /* a run */
} ngx_http_oci_tagleaf_t;


typedef struct {
    size_t                       n;
    ngx_http_oci_tagleaf_t      *leaves[NGX_HTTP_OCI_TAGTREE_LEAVES];
} ngx_http_oci_tagnode_t;


typedef struct {
    uint64_t                     count;         /* names */
    uint64_t                     pages;
    uint64_t                     n;             /* nodes */
    ngx_http_oci_tagnode_t      *nodes[NGX_HTTP_OCI_TAGTREE_NODES];
} ngx_http_oci_tagtree_t;


typedef struct {
    size_t                       node;
    size_t                       leaf;
} ngx_http_oci_tagpos_t;


/*
 * A run of len bytes, at most NGX_HTTP_OCI_TAGTREE_DATA, behind all that is
 * there.  keep is the entry that the tree belongs to.  NGX_OK, or NGX_ERROR:
 * no room.
 */
ngx_int_t ngx_http_oci_tagtree_append(ngx_http_oci_zone_t *z,
    ngx_http_oci_zone_entry_t *keep, ngx_http_oci_tagtree_t *t,
    const u_char *run, size_t len, size_t count);

/* the leaf that holds name, or would hold it; t is not empty */
void ngx_http_oci_tagtree_find(const ngx_http_oci_tagtree_t *t,
    const oci_str_t *name, ngx_http_oci_tagpos_t *pos);

/* NULL at the end */
const ngx_http_oci_tagleaf_t *ngx_http_oci_tagtree_next(
    const ngx_http_oci_tagtree_t *t, ngx_http_oci_tagpos_t *pos);

/* a name that is there already is no change; NGX_OK or NGX_ERROR: no room */
ngx_int_t ngx_http_oci_tagtree_insert(ngx_http_oci_zone_t *z,
    ngx_http_oci_zone_entry_t *keep, ngx_http_oci_tagtree_t *t,
    const oci_str_t *name);

void ngx_http_oci_tagtree_remove(ngx_http_oci_zone_t *z,
    ngx_http_oci_tagtree_t *t, const oci_str_t *name);

/* frees at most n pages from the end */
void ngx_http_oci_tagtree_trim(ngx_http_oci_zone_t *z,
    ngx_http_oci_tagtree_t *t, ngx_uint_t n);

/* where name stands in a run, or is to stand; *found is 1 if it does */
size_t ngx_http_oci_tagrun_find(const u_char *run, size_t len,
    const oci_str_t *name, ngx_uint_t *found);


#endif /* _NGX_HTTP_OCI_TAGTREE_H_INCLUDED_ */
