
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * OFD locks: they belong to an open file, work between threads and
 * processes, and go with their holder when it is killed.  Tried, never
 * waited for.
 */


#ifndef _OCI_LOCK_H_INCLUDED_
#define _OCI_LOCK_H_INCLUDED_


#include "oci_store.h"


typedef struct {
    int    fd;                  /* -1: not held */
} oci_lock_t;


/*
 * The lock of a repository: shared for a push of a manifest, exclusive for
 * deletes and collection.  create makes the repository's folder and its
 * _lock where they are missing; without it a missing repository is
 * OCI_NOT_FOUND.  OCI_OK; OCI_AGAIN: held elsewhere; OCI_NOT_FOUND;
 * OCI_ERROR.
 */
int oci_lock_repo(oci_lock_t *l, const oci_store_t *s, const oci_repo_t *r,
    unsigned exclusive, unsigned create);

void oci_lock_release(oci_lock_t *l);

/* one byte of an open file, exclusive; OCI_OK, OCI_AGAIN or OCI_ERROR */
int oci_lock_byte(int fd, off_t byte);
void oci_unlock_byte(int fd, off_t byte);

/* 1 if another open file holds the byte, 0 if not */
int oci_lock_byte_held(int fd, off_t byte);

/* the same for the byte and all that follow it */
int oci_lock_from_held(int fd, off_t byte);

/* one byte of an open file, shared; OCI_OK, OCI_AGAIN or OCI_ERROR */
int oci_lock_byte_shared(int fd, off_t byte);


#endif /* _OCI_LOCK_H_INCLUDED_ */
