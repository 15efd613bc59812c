
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Eviction of what was filled from upstream: names in _cached/, those that
 * were used least recently first, each with its companion (oci_zstd.h).  What
 * was pushed is never touched.
 *
 * A pass goes over all repositories in small steps, adds up what there is,
 * and remembers the oldest; at its end as many of them go as have to.  Where
 * a pass is stands in run/evict.state now and then, so that the next process
 * goes on from there: nothing is scanned at start.
 */


#ifndef _OCI_EVICT_H_INCLUDED_
#define _OCI_EVICT_H_INCLUDED_


#include "oci_store.h"


typedef struct {
    int64_t     max_size;       /* bytes of all in _cached/, 0: no limit */
    int64_t     min_free;       /* bytes of the file system, 0: no limit */
    int64_t     inactive;       /* seconds since the last use, 0: no limit */
    int64_t     wanted;         /* bytes to be free above min_free, if that
                                   many can be had, for who waits for them */
} oci_evict_limits_t;


typedef struct {
    uint64_t    passes;         /* since start */
    uint64_t    names;          /* removed from _cached/ */
    uint64_t    files;          /* of which no name was left */
    uint64_t    bytes;          /* of those files */
    int64_t     size;           /* of all in _cached/, by the last pass */
} oci_evict_stats_t;


typedef struct oci_evict_s  oci_evict_t;


/* NULL: no memory.  The store must outlive it. */
oci_evict_t *oci_evict_create(const oci_store_t *s);
void oci_evict_destroy(oci_evict_t *e);

/*
 * Works for about budget milliseconds.  One process at a time does, by a
 * lock on run/evict.
 * OCI_OK: more to do in this pass; OCI_NOT_FOUND: the pass is over and the
 * limits hold, or nothing more can be done about them; OCI_EXISTS: it is
 * over, but more has to go: begin the next one soon; OCI_AGAIN: another
 * process has the lease; OCI_ERROR: noted, go on later.
 */
int oci_evict_step(oci_evict_t *e, const oci_evict_limits_t *limits,
    unsigned budget);

/* 1 if less is free now than min_free and what is wanted; one system call */
int oci_evict_urgent(const oci_store_t *s, const oci_evict_limits_t *limits);

const oci_evict_stats_t *oci_evict_stats(const oci_evict_t *e);


#endif /* _OCI_EVICT_H_INCLUDED_ */
