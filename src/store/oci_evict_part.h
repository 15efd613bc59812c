
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * What the halves of eviction share.  For oci_evict*.c alone.
 */


#ifndef _OCI_EVICT_PART_H_INCLUDED_
#define _OCI_EVICT_PART_H_INCLUDED_


#include "oci_evict.h"
#include "oci_names.h"
#include "oci_tree.h"


#define OCI_EVICT_OLDEST  2048          /* remembered in a pass */


/* a name in _cached/ that may go */

typedef struct {
    int64_t         mtime;
    int64_t         share;              /* of its file's bytes */
    oci_digest_t    digest;
    char           *repo;               /* malloc's */
} oci_evict_name_t;


struct oci_evict_s {
    const oci_store_t   *store;
    oci_evict_stats_t    stats;
    int                  lease;         /* of a pass, -1: not held */

    /* the walk */

    char                 done[OCI_TREE_PATH_MAX];   /* the last whole one */
    char                 repo[OCI_TREE_PATH_MAX];   /* the one it is in */
    DIR                 *dir;
    oci_alg_t            alg;
    int64_t              part;          /* bytes of repo so far */
    int64_t              size;          /* bytes up to done */
    int64_t              saved;         /* when, by the clock */
    uint64_t             bytes;         /* of stats, when it was over */
    unsigned             loaded:1;
    unsigned             inside:1;
    unsigned             walked:1;

    /* a heap, the youngest on top; sorted when the walk is over */

    oci_evict_name_t    *names;
    size_t               n;
    size_t               next;          /* to be removed */
    unsigned             left:1;        /* younger ones were left out */
};


/* the state of a walk in run/evict.state; best effort */
void oci_evict_save(oci_evict_t *e);
void oci_evict_load(oci_evict_t *e);

/* keeps it if it is one of the oldest; OCI_OK or OCI_ERROR: no memory */
int oci_evict_remember(oci_evict_t *e, const char *repo,
    const oci_digest_t *d, int64_t mtime, int64_t share);

void oci_evict_forget(oci_evict_t *e);


#endif /* _OCI_EVICT_PART_H_INCLUDED_ */
