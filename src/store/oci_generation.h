
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Coherence: 4096 counters in run/<boot id>, mapped by every nginx of this
 * machine.  Each write or delete raises its repository's counter before and
 * after the change and before the answer; a cache keeps the counter that it
 * read before its own disk read and is a hit only while they are equal.
 */


#ifndef _OCI_GENERATION_H_INCLUDED_
#define _OCI_GENERATION_H_INCLUDED_


#include "oci_store.h"


#define OCI_GENERATION_COUNTERS  4096


/*
 * Maps the counters into s, making the file where it is missing, and removes
 * those of earlier boots.  OCI_OK or OCI_ERROR (s->counters is NULL then:
 * raising does nothing and reading gives 0).
 */
int oci_generation_map(oci_store_t *s);
void oci_generation_unmap(oci_store_t *s);

/* none blocks: fit for the event loop; hash is oci_repo_hash() of r */
uint64_t oci_generation_read(const oci_store_t *s, const oci_repo_t *r);
uint64_t oci_generation_read_at(const oci_store_t *s, uint64_t hash);
void oci_generation_raise(const oci_store_t *s, const oci_repo_t *r);

/* those of all repositories: nothing that was kept of this store holds */
void oci_generation_raise_all(const oci_store_t *s);


/*
 * What this thread has raised since it said so: before is what the counter
 * was, after what it came to be.  Whoever kept something under before, and
 * brings it up to date with what this thread wrote, may keep it under after,
 * if nobody else has raised the counter in between.
 */

typedef struct {
    uint64_t             before;
    uint64_t             after;
} oci_generation_span_t;

void oci_generation_span_start(void);

/* 1 if it raised that repository's counter, no other, and did so alone */
int oci_generation_span(const oci_store_t *s, const oci_repo_t *r,
    oci_generation_span_t *span);


/*
 * 1 if the counters of that boot are mapped by some process: it is this
 * machine's own boot, or another machine that shares the store and is up.
 */
int oci_generation_alive(const oci_store_t *s, const char *boot_id);


#endif /* _OCI_GENERATION_H_INCLUDED_ */
