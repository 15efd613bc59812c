
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * The sorted tags of a repository in the zone, as runs of names
 * (oci_taglist.h), so that a page of them needs no look at the folder.
 *
 * Few names are the body of an entry; more lie in pages of the slab, the
 * leaves of a tree of two levels whose root is the entry's meta.  A snapshot
 * is as old as the counter that was read before the folder was, and a hit
 * only while that counter stands, as all entries; but a write that was the
 * only one brings it up to date in place (ngx_http_oci_tagset_update()).
 *
 * A large one is filled in steps, each a short hold of the lock, in an entry
 * of its own that takes the other's place at the end; a builder that is
 * killed leaves one that old age removes.
 */


#ifndef _NGX_HTTP_OCI_TAGSET_H_INCLUDED_
#define _NGX_HTTP_OCI_TAGSET_H_INCLUDED_


#include "ngx_http_oci_cache.h"


/* bytes that a lookup copies at most: some 5000 names */
#define NGX_HTTP_OCI_TAGSET_COPY  (64 * 1024)


typedef struct {
    uint64_t        token;          /* of this snapshot */
    size_t          len;            /* of the run that was copied */
    unsigned        last:1;         /* no name follows it */
    unsigned        wanted:1;       /* of a miss: worth being filled */
} ngx_http_oci_tagset_part_t;


/*
 * Copies, into buf of NGX_HTTP_OCI_TAGSET_COPY bytes, a run that begins at or
 * before the first name after after, and goes on to n names beyond it, the
 * end of the list, or the end of buf.
 */
ngx_http_oci_cache_e ngx_http_oci_tagset_read(
    const ngx_http_oci_cache_ask_t *ask, const oci_str_t *after, uint64_t n,
    u_char *buf, ngx_http_oci_tagset_part_t *part, oci_stamp_t *stamp);

/*
 * The next run of a list that is longer than that, of the same snapshot, to
 * be told from the first by its token.  NGX_OK, or NGX_DECLINED: it is no
 * longer the same.
 */
ngx_int_t ngx_http_oci_tagset_next(const ngx_http_oci_cache_ask_t *ask,
    const oci_str_t *after, u_char *buf, ngx_http_oci_tagset_part_t *part);

/* an expired one was found to be the same on the disk */
void ngx_http_oci_tagset_confirm(const ngx_http_oci_cache_ask_t *ask);

/*
 * 1 if a snapshot for the same counter has come since ..._read() gave the
 * token seen (0: of none): another one would only take it from its readers.
 */
ngx_uint_t ngx_http_oci_tagset_renewed(const ngx_http_oci_cache_ask_t *ask,
    uint64_t seen);

/*
 * Claims the filling of a large one.  The token to fill it with, or 0 while
 * somebody else does.
 */
uint64_t ngx_http_oci_tagset_begin(const ngx_http_oci_cache_ask_t *ask);

/*
 * Keeps the whole list; token 0: not claimed.  ask holds the counter from
 * before the read.  Takes the lock several times: not in the event loop.
 */
void ngx_http_oci_tagset_put(const ngx_http_oci_cache_ask_t *ask,
    uint64_t token, const u_char *run, size_t len, size_t count,
    const oci_stamp_t *stamp);

/*
 * After a write that made these tags (n of them) or, removed, took them away,
 * and nothing else that a list of tags shows.  In the thread of the write,
 * which said oci_generation_span_start() before it.
 */
void ngx_http_oci_tagset_update(ngx_http_oci_zone_t *z, const oci_store_t *s,
    const oci_repo_t *r, const oci_str_t *tags, size_t n, unsigned removed);

/* after one that changed no tag */
#define ngx_http_oci_tagset_carry(z, s, r)                                    \
    ngx_http_oci_tagset_update(z, s, r, NULL, 0, 0)


/* Under the lock, for the zone alone: */

/*
 * An entry is to go: frees some of its pages.  1 if it has more of them, to
 * be freed by further calls; it is no hit from now on.
 */
ngx_uint_t ngx_http_oci_tagset_trim(ngx_http_oci_zone_t *z,
    ngx_http_oci_zone_entry_t *e);

/* frees what is left */
void ngx_http_oci_tagset_drop(ngx_http_oci_zone_t *z,
    ngx_http_oci_zone_entry_t *e);


#endif /* _NGX_HTTP_OCI_TAGSET_H_INCLUDED_ */
