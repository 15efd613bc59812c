
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * What the two halves of fills share.  For oci_fill_*.c alone.
 */


#ifndef _OCI_FILL_PART_H_INCLUDED_
#define _OCI_FILL_PART_H_INCLUDED_


#include "oci_fill_file.h"


/* bytes of lock; those below are the chunks' */

#define OCI_FILL_LIFE   (((off_t) 1) << 60)     /* made, taken over, ended */
#define OCI_FILL_HOLD   (OCI_FILL_LIFE + 1)     /* shared: it is in use */
#define OCI_FILL_HASH   (OCI_FILL_LIFE + 3)


#define OCI_FILL_FILES  6


/*
 * Data and a map for one that is open and has none, by whoever holds the byte
 * of its life: as oci_fill_open() with a size.  After an error nothing is
 * left but the lock.
 */
int oci_fill_make(oci_fill_file_t *f, int64_t size, uint32_t chunk,
    int64_t reserve);

/* maps length bytes of fd, whose name is path; OCI_OK or OCI_ERROR */
int oci_fill_image(oci_fill_file_t *f, int fd, size_t length,
    const char *path);

/* lets go of its map and its data */
void oci_fill_forget(oci_fill_file_t *f);

/* removes the first n of its files; the last is what its locks lie on */
int oci_fill_unlink(const oci_store_t *s, const oci_digest_t *d, unsigned n);

/* OCI_OK: the fill of that name is still this one; else OCI_NOT_FOUND */
int oci_fill_stands(const oci_fill_file_t *f);

/*
 * Removes its files, the map first: data alone is nothing; the lock last.
 * By whoever holds the byte of its life, so that it is not another's by now.
 */
int oci_fill_remove(const oci_store_t *s, const oci_digest_t *d);

/* seconds since its last byte, or since it was opened without one */
int64_t oci_fill_idle(const oci_store_t *s, const oci_digest_t *d);

/* removes it if it is idle for age seconds and nobody has it open: 1 */
int oci_fill_expire_one(const oci_store_t *s, const oci_digest_t *d,
    int64_t age);

/* 1 if that errno says that the disk is full */
int oci_fill_no_room(int err);


#endif /* _OCI_FILL_PART_H_INCLUDED_ */
