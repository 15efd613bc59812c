
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * The map of a fill: which chunks of a blob are there, a CRC32C of each, who
 * fetches which, and how far the hash has come.
 *
 * It is an image of fixed layout that lives in a file and is mapped by every
 * process that takes part, so it is the table that they share and what a
 * restart goes on from, in one.  There is no lock in it: each word that
 * changes is written by one atomic store, or taken by a compare and swap, so
 * a process that is killed leaves nothing half done, and a claim of one that
 * stands still runs out.
 */


#ifndef _OCI_CHUNKMAP_H_INCLUDED_
#define _OCI_CHUNKMAP_H_INCLUDED_


#include "oci_core.h"
#include "oci_digest.h"


#define OCI_CHUNKMAP_VERSION  1
#define OCI_CHUNKMAP_HEAD     4096              /* bytes before the entries */
#define OCI_CHUNKMAP_CLAIMS   64                /* at once */
#define OCI_CHUNKMAP_BOOT     40

#define OCI_CHUNK_MIN         4096
#define OCI_CHUNK_MAX         (1 << 30)
#define OCI_CHUNKS_MAX        (1 << 20)
#define OCI_CHUNK_NONE        UINT32_MAX


typedef enum {
    OCI_CHUNKMAP_OPEN = 0,
    OCI_CHUNKMAP_VERIFIED,          /* the digest of the whole holds */
    OCI_CHUNKMAP_FAILED             /* it does not, or it was given up */
} oci_chunkmap_state_e;


typedef struct oci_chunkmap_head_s   oci_chunkmap_head_t;
typedef struct oci_chunkmap_entry_s  oci_chunkmap_entry_t;


/* a view of an image; what bounds it was copied out of it and checked */

typedef struct {
    oci_chunkmap_head_t     *head;
    oci_chunkmap_entry_t    *entries;
    oci_alg_t                alg;
    int64_t                  size;
    uint32_t                 chunk;
    uint32_t                 n;
} oci_chunkmap_t;


/*
 * The bytes of an image for a blob of that size; *chunk is doubled until
 * there are not too many of them.  0: no such blob or chunk.
 */
size_t oci_chunkmap_length(int64_t size, uint32_t *chunk);

/* writes a new image of that length (aligned to a page, all zero bytes) */
void oci_chunkmap_init(void *image, const oci_digest_t *d, int64_t size,
    uint32_t chunk, const char *boot_id);

/*
 * Checks all that does not change and makes a view.  OCI_OK; OCI_INVALID: no
 * map of this format, or a damaged one; OCI_MISMATCH: of another blob.
 */
int oci_chunkmap_view(oci_chunkmap_t *m, void *image, size_t len,
    const oci_digest_t *d);

/* 1 if it was last used under that boot */
int oci_chunkmap_of_boot(const oci_chunkmap_t *m, const char *boot_id);

/* copies whose boot it was, with a NUL */
void oci_chunkmap_boot(const oci_chunkmap_t *m, char *boot_id);

/*
 * Takes over a map of another boot: no claims, no hash, this boot's id.  The
 * caller has dropped the chunks that did not hold, and nobody else uses it.
 */
void oci_chunkmap_adopt(oci_chunkmap_t *m, const char *boot_id);

oci_chunkmap_state_e oci_chunkmap_state(const oci_chunkmap_t *m);
void oci_chunkmap_set_state(oci_chunkmap_t *m, oci_chunkmap_state_e state);

/* the upstream knows no ranges: one stream from the start, by one process */
unsigned oci_chunkmap_single(const oci_chunkmap_t *m);
void oci_chunkmap_set_single(oci_chunkmap_t *m);


/* chunks: where one begins, how long it is, which one holds an offset */

#define oci_chunkmap_start(m, i)  ((int64_t) (i) * (m)->chunk)
#define oci_chunkmap_at(m, offset)  ((uint32_t) ((offset) / (m)->chunk))

uint32_t oci_chunkmap_chunk(const oci_chunkmap_t *m, uint32_t i);

/* how many bytes of a chunk are there, from its start, and their CRC32C */
uint32_t oci_chunkmap_filled(const oci_chunkmap_t *m, uint32_t i,
    uint32_t *crc);

/* up to where all bytes from offset on are there, at most to */
int64_t oci_chunkmap_ready(const oci_chunkmap_t *m, int64_t offset,
    int64_t to);

/* the bytes that are there, of all */
int64_t oci_chunkmap_total(const oci_chunkmap_t *m);

/*
 * The first chunk with bytes in from..to (exclusive) that is neither whole
 * nor claimed; OCI_CHUNK_NONE if there is none.
 */
uint32_t oci_chunkmap_pick(const oci_chunkmap_t *m, int64_t from, int64_t to,
    uint64_t now);


/*
 * Claims.  Times are milliseconds of a clock that all processes share and
 * that starts with the boot.  At most limit claims are held at once.
 *
 * OCI_OK: *token is ours until now + ttl; OCI_AGAIN: as many as may be are
 * held; OCI_CONFLICT: somebody else has this one; OCI_EXISTS: it is whole.
 */
int oci_chunkmap_claim(oci_chunkmap_t *m, uint32_t i, uint64_t now,
    uint64_t ttl, unsigned limit, uint64_t *token);

/* OCI_OK, or OCI_CONFLICT: it ran out and is somebody else's */
int oci_chunkmap_renew(oci_chunkmap_t *m, uint32_t i, uint64_t token,
    uint64_t now, uint64_t ttl);

void oci_chunkmap_release(oci_chunkmap_t *m, uint32_t i, uint64_t token);

/*
 * Takes one more chunk, of which nothing is there, under a claim that is
 * held: they all end with it.  OCI_OK; OCI_CONFLICT: it is somebody else's;
 * OCI_EXISTS: some of it is there.
 */
int oci_chunkmap_claim_more(oci_chunkmap_t *m, uint32_t i, uint64_t token,
    uint64_t now);

/* lets go of one of several; the claim goes on */
void oci_chunkmap_release_one(oci_chunkmap_t *m, uint32_t i,
    uint64_t token);

/* 1 while the claim is ours */
int oci_chunkmap_holds(const oci_chunkmap_t *m, uint32_t i, uint64_t token);

/* the claims that are held now */
unsigned oci_chunkmap_claims(const oci_chunkmap_t *m, uint64_t now);

/*
 * The first filled bytes of a chunk are in the file, crc is theirs.  Only by
 * the holder of its claim.  OCI_OK, OCI_CONFLICT or OCI_RANGE (fewer than
 * before, or more than there are).
 */
int oci_chunkmap_publish(oci_chunkmap_t *m, uint32_t i, uint64_t token,
    uint32_t filled, uint32_t crc);

/* forgets what a chunk has; by whoever is alone with the map */
void oci_chunkmap_drop(oci_chunkmap_t *m, uint32_t i);


/*
 * The hash over the first bytes, saved in one of two places by turns, so
 * that one of them always holds.  By whoever has the right to hash.
 */
void oci_chunkmap_hash_load(const oci_chunkmap_t *m, oci_hash_t *h);
void oci_chunkmap_hash_save(oci_chunkmap_t *m, const oci_hash_t *h);
void oci_chunkmap_hash_reset(oci_chunkmap_t *m);

/* bytes hashed so far; cheap */
int64_t oci_chunkmap_hashed(const oci_chunkmap_t *m);


/* a word of bits for whoever waits to be told of progress */
void oci_chunkmap_wait(oci_chunkmap_t *m, uint64_t bits);
uint64_t oci_chunkmap_waiters(oci_chunkmap_t *m);       /* takes them */


#endif /* _OCI_CHUNKMAP_H_INCLUDED_ */
