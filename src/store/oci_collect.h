
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Collection of what nothing names any more, in small steps: untagged
 * manifests and surplus tags where asked for, blobs of a repository that no
 * manifest of it names, names in blobs/ whose link count is 1; and names in
 * blobs/ that are missing are made again.  Runs in the cache manager
 * process; resumable; never a scan at start.
 */


#ifndef _OCI_COLLECT_H_INCLUDED_
#define _OCI_COLLECT_H_INCLUDED_


#include "oci_store.h"
#include "oci_list.h"


typedef struct {
    int64_t     grace;          /* seconds */
    int64_t     untagged;       /* seconds, -1: keep */
    int64_t     keep_tags;      /* newest N tags of a repository, 0: all */
    int64_t     max_size;       /* largest manifest to read, bytes */
} oci_collect_policy_t;


typedef struct {
    uint64_t    passes;         /* full rounds since start */
    uint64_t    repositories;   /* looked at */
    uint64_t    manifests;      /* removed */
    uint64_t    tags;           /* removed */
    uint64_t    links;          /* _blobs/ links removed */
    uint64_t    blobs;          /* names in blobs/ removed */
    uint64_t    bytes;          /* of content that has no name left */
    uint64_t    restored;       /* names in blobs/ made again */
    uint64_t    damaged;        /* manifests that can't be read: each time
                                   their repository is left as it is */
    uint64_t    busy;           /* repositories left as their lock was held */
} oci_collect_stats_t;


typedef struct oci_collect_s  oci_collect_t;


/* the policy for a repository of this namespace (len 0: none) */

typedef const oci_collect_policy_t *(*oci_collect_policy_pt)(void *data,
    const oci_str_t *ns);

/* NULL: no memory.  The store must outlive it. */
oci_collect_t *oci_collect_create(const oci_store_t *s,
    oci_collect_policy_pt policy, void *data);
void oci_collect_destroy(oci_collect_t *c);

/*
 * Works for about budget milliseconds and returns; where it is and what it
 * marked is kept between calls in memory bounded by one repository.  Takes a
 * lease (an OFD lock on run/collect) so that one process collects where
 * several share a store.
 * OCI_OK: more to do in this pass; OCI_NOT_FOUND: the pass is over;
 * OCI_AGAIN: another process has the lease; OCI_ERROR: noted, the step was
 * skipped, go on later.
 */
int oci_collect_step(oci_collect_t *c, unsigned budget);

const oci_collect_stats_t *oci_collect_stats(const oci_collect_t *c);


#endif /* _OCI_COLLECT_H_INCLUDED_ */
