
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * A fill on the disk: fills/<alg>/<hex>/data, sparse and as long as the
 * blob, and map beside it (oci_chunkmap.h), which every process that takes
 * part has mapped.  It outlives all of them: the next one goes on with it.
 *
 * Locks are of single bytes of a third file, lock, and belong to open files:
 * they go with whoever is killed.  One comes before there is any of these:
 * of a byte of run/turn that the digest tells.
 */


#ifndef _OCI_FILL_FILE_H_INCLUDED_
#define _OCI_FILL_FILE_H_INCLUDED_


#include "oci_store.h"
#include "oci_chunkmap.h"


typedef struct {
    const oci_store_t  *store;
    oci_digest_t        digest;
    int                 lock;           /* -1: not open */
    ino_t               inode;          /* of lock */
    int                 fd;             /* of data, -1: none yet */
    int                 data_ahead;     /* of what is to be data */
    int                 map_ahead;      /* of map.tmp; -1: not made */
    void               *image;          /* of the map, NULL: none yet */
    size_t              length;
    oci_chunkmap_t      map;
    oci_digest_t        found;          /* after OCI_MISMATCH: what it is */
    int64_t             rest;           /* from where on room is still to be
                                           reserved, 0: nothing */
    unsigned            created:1;      /* by this call */

    /*
     * With claim_ttl, a map that is made is claimed in its first chunks, as
     * far as claim_to (at least one), before anybody sees it, until claim_now
     * and claim_ttl (ms); first is the token of that claim, 0: none.
     */
    uint64_t            claim_now;
    uint64_t            claim_ttl;
    int64_t             claim_to;
    uint64_t            first;
} oci_fill_file_t;


/* who writes one chunk; has an open file of its own for its lock */

typedef struct {
    int                 lock;
    uint32_t            i;
    uint32_t            offset;         /* of the next byte in the chunk */
    uint64_t            token;          /* of the claim */
} oci_fill_writer_t;


/*
 * Opens the fill of d, or makes it.  With a size the map is made as well and
 * room for data reserved, so that reserve bytes of the file system stay free:
 * for all of it, or, where there is plenty, for its beginning (f->rest); size
 * -1 takes what is there, and has no image where there is
 * none.  chunk is the wish for a new map.  Chunks of a map that an earlier
 * boot left are checked, and dropped where they don't hold.
 *
 * OCI_OK; OCI_RANGE: no room; OCI_AGAIN: another process makes or ends it;
 * OCI_MISMATCH: it is one of another size (open; f->map tells which);
 * OCI_CONFLICT: another machine does it; OCI_INVALID: no such size;
 * OCI_ERROR.
 */
int oci_fill_open(oci_fill_file_t *f, const oci_store_t *s,
    const oci_digest_t *d, int64_t size, uint32_t chunk, int64_t reserve);

/*
 * The same for a fill that was opened and has no image; it stays open, also
 * where there was no room, unless its folder is gone.  It may be called again
 * in any case.
 */
int oci_fill_size(oci_fill_file_t *f, int64_t size, uint32_t chunk,
    int64_t reserve);

/*
 * By whose turn it is, once, of a fill that is open and has no image: files
 * that oci_fill_size() will need, while their length is being asked for.
 * What can't be made is left to it.
 */
void oci_fill_prepare(oci_fill_file_t *f);

/*
 * Reserves the rest of the room, beside others who write: a model of 40 GiB
 * takes ext4 tens of milliseconds.  OCI_OK; OCI_RANGE: it has been taken by
 * others, the fill may go on and find none later; OCI_ERROR.
 */
int oci_fill_reserve(const oci_fill_file_t *f);

void oci_fill_close(oci_fill_file_t *f);

/* not open: to be closed without being opened first */
void oci_fill_init(oci_fill_file_t *f, const oci_store_t *s,
    const oci_digest_t *d);

/*
 * The turn to ask upstream how long d is, or for all of it at once: one has
 * it, of all who use the store, whether the blob has a fill by now or not, and
 * keeps it until there is a map.  Returns an open file, which the turn ends
 * with, OCI_AGAIN or OCI_ERROR.  It makes nothing but, once, the file whose
 * bytes are locked.
 */
int oci_fill_turn(const oci_store_t *s, const oci_digest_t *d);

/*
 * By whose turn it is: OCI_OK, there is nothing of d in fills/ or in blobs/;
 * OCI_EXISTS, or OCI_ERROR.
 */
int oci_fill_fresh(const oci_store_t *s, const oci_digest_t *d);

/*
 * Begins to write a chunk that was claimed; w->offset says from where on
 * bytes are missing.  OCI_OK; OCI_CONFLICT: the fill has ended;
 * OCI_NOT_FOUND: it has not, but somebody removed its files; OCI_ERROR.
 */
int oci_fill_writer_open(oci_fill_writer_t *w, const oci_fill_file_t *f,
    uint32_t i, uint64_t token);
void oci_fill_writer_close(oci_fill_writer_t *w);

/*
 * Writes the next len bytes and publishes them.  Alone with the chunk: no
 * byte that was published is written again, whoever else thinks that the
 * claim is still its own.  OCI_OK; OCI_CONFLICT: the claim is lost;
 * OCI_AGAIN: the one before us is still at it; OCI_RANGE: the disk is full,
 * or more bytes than the chunk has; OCI_ERROR.
 */
int oci_fill_write(oci_fill_writer_t *w, oci_fill_file_t *f,
    const u_char *data, size_t len);

/*
 * Hashes what follows what was hashed, at most budget bytes, by buf.
 * OCI_OK: the digest of the whole holds; OCI_AGAIN: there is more to hash;
 * OCI_NOT_FOUND: the next bytes are missing; OCI_CONFLICT: another process
 * does it; OCI_MISMATCH: the digest is another one (f->found), the fill has
 * failed; OCI_ERROR.
 */
int oci_fill_verify(oci_fill_file_t *f, u_char *buf, size_t size,
    int64_t budget);

/*
 * Of a fill that was verified: makes it last, links it into blobs/ and into
 * _cached/ of the repository, and with last removes the fill.  Where another
 * process has ended it, what blobs/ has is linked.
 * OCI_OK; OCI_AGAIN: another process is at it; OCI_NOT_FOUND: it was ended
 * and evicted since; OCI_ERROR.
 */
int oci_fill_finish(oci_fill_file_t *f, const oci_repo_t *r, unsigned last);

/* gives it up: nothing of it stays; the same codes */
int oci_fill_discard(oci_fill_file_t *f);

/*
 * Removes at most max fills that nobody has open and that got no byte for
 * age seconds.  Returns how many, or OCI_ERROR.
 */
int oci_fill_expire(const oci_store_t *s, int64_t age, unsigned max);


#endif /* _OCI_FILL_FILE_H_INCLUDED_ */
