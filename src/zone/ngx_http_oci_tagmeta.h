
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * What the parts of tagset share: the meta of an entry.
 */


#ifndef _NGX_HTTP_OCI_TAGMETA_H_INCLUDED_
#define _NGX_HTTP_OCI_TAGMETA_H_INCLUDED_


#include "ngx_http_oci_tagset.h"
#include "ngx_http_oci_tagtree.h"


/* bytes of a run that is the body of its entry */
#define NGX_HTTP_OCI_TAGSET_SMALL     4096

#define NGX_HTTP_OCI_TAGSET_BUILDING  1
#define NGX_HTTP_OCI_TAGSET_GOING     2
#define NGX_HTTP_OCI_TAGSET_REFUSED   3         /* found no room */


/* of a small one it ends before tree.nodes */

typedef struct {
    uint64_t                  token;
    uint64_t                  missed;       /* first found behind, or 0 */
    uint64_t                  state;        /* 0: whole */
    ngx_http_oci_tagtree_t    tree;
} ngx_http_oci_tagset_t;


#define ngx_http_oci_tagset_head                                              \
    offsetof(ngx_http_oci_tagset_t, tree.nodes)
#define ngx_http_oci_tagset_small(e)                                          \
    ((e)->meta_len == ngx_http_oci_tagset_head)


/* a meta may lie at any address */

#define ngx_http_oci_tagset_load(set, e)                                      \
    ngx_memcpy(set, ngx_http_oci_zone_meta(e), (e)->meta_len)
#define ngx_http_oci_tagset_save(e, set)                                      \
    ngx_memcpy(ngx_http_oci_zone_meta(e), set, (e)->meta_len)


/* of the snapshot, or of the one that is to take its place */
void ngx_http_oci_tagset_key(ngx_http_oci_zone_key_t *key,
    const ngx_http_oci_cache_ask_t *ask, ngx_uint_t building);

/* removes an entry step by step; token 0: whatever is there */
void ngx_http_oci_tagset_clear(ngx_http_oci_zone_t *z,
    const ngx_http_oci_zone_key_t *key, uint64_t token);


#endif /* _NGX_HTTP_OCI_TAGMETA_H_INCLUDED_ */
