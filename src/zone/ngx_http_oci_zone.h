
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * A store's shared memory: what every room of it stands on.
 *
 * At the end of the segment lies a fixed part that no allocator touches (the
 * heads, counters, statistics); all before it is nginx's slab pool.  The one
 * mutex is the slab pool's own, because only that one is unlocked by nginx
 * when a worker dies.  Whoever changes anything says so first
 * (ngx_http_oci_zone_change()), so that the next one to lock it learns of a
 * change that a dead worker left half done, and starts with an empty zone:
 * it is a cache, the store has it all.
 *
 * Hence nothing that points into the slab may be kept across an unlock.
 * Every call is fit for threads also.
 */


#ifndef _NGX_HTTP_OCI_ZONE_H_INCLUDED_
#define _NGX_HTTP_OCI_ZONE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_oci_stats.h"

#include "oci_core.h"
#include "oci_generation.h"


#define NGX_HTTP_OCI_ZONE_MIN      (512 * 1024)     /* bytes of a segment */
#define NGX_HTTP_OCI_ZONE_KEY_MAX  1024
#define NGX_HTTP_OCI_ZONE_PUSHES   512
#define NGX_HTTP_OCI_ZONE_SECRET   32


/* what an entry is about; a part of its key */

#define NGX_HTTP_OCI_ZONE_TAG        1
#define NGX_HTTP_OCI_ZONE_MANIFEST   2
#define NGX_HTTP_OCI_ZONE_BLOB       3
#define NGX_HTTP_OCI_ZONE_REFERRERS  4
#define NGX_HTTP_OCI_ZONE_TAGS       5
#define NGX_HTTP_OCI_ZONE_FILL       6
#define NGX_HTTP_OCI_ZONE_RIGHT      7
#define NGX_HTTP_OCI_ZONE_CIRCUIT    8
#define NGX_HTTP_OCI_ZONE_EDGE_TAG   9      /* as the upstream said */
#define NGX_HTTP_OCI_ZONE_SIGNED     10     /* whom a signed URL stands for */
#define NGX_HTTP_OCI_ZONE_ZSTD       11     /* what a body is, compressed */
#define NGX_HTTP_OCI_ZONE_RESUME     12     /* a fill gone on with for nobody */


typedef struct ngx_http_oci_zone_chunk_s  ngx_http_oci_zone_chunk_t;

struct ngx_http_oci_zone_chunk_s {
    ngx_http_oci_zone_chunk_t  *next;
    u_char                      data[1];
};


/* no allocation is over a page, so the slab never lacks what is in a row */

typedef struct {
    ngx_rbtree_node_t           node;           /* key: hash of the key */
    ngx_queue_t                 queue;
    uint64_t                    generation;
    uint64_t                    checked;        /* ngx_current_msec */
    uint64_t                    inode;          /* of what it was read from, */
    int64_t                     ctime;          /* in ns; 0: not known */
    ngx_http_oci_zone_chunk_t  *chunks;         /* of the body's rest */
    uint32_t                    body_len;       /* of all */
    uint32_t                    inline_len;     /* of it in data */
    uint16_t                    key_len;
    uint16_t                    meta_len;
    u_char                      kind;
    unsigned                    used:1;         /* since the last look */
    unsigned                    negative:1;
    unsigned                    pinned:1;       /* never evicted */
    u_char                      data[1];        /* key, meta, body */
} ngx_http_oci_zone_entry_t;


#define ngx_http_oci_zone_meta(e)  ((e)->data + (e)->key_len)
#define ngx_http_oci_zone_body(e)                                             \
    ((e)->data + (e)->key_len + (e)->meta_len)


typedef struct {
    uint32_t                    version;        /* of this layout */
    uint32_t                    changing;       /* a change is half done */
    uint64_t                    resets;

    ngx_rbtree_node_t          *root;
    ngx_rbtree_node_t           sentinel;
    ngx_queue_t                 entries;        /* the youngest first */
    ngx_queue_t                 negatives;

    uint64_t                    nentries;
    uint64_t                    nnegatives;
    uint64_t                    evicted;
    uint64_t                    refused;        /* no room even so */
    uint64_t                    warned;         /* ngx_current_msec */
    uint64_t                    warned_evicted; /* evicted by then */

    uint64_t                    wanted;         /* bytes, by a fill that has
                                                   no room, */
    uint64_t                    wanted_until;   /* by ngx_current_msec */
    uint64_t                    vain;           /* that could not be had */
    uint64_t                    vain_at;

    uint64_t                    waiting;        /* workers, for a fill's map */

    uint32_t                    nslots;
    ngx_http_oci_stats_t       *slots;
    ngx_atomic_t                first;          /* to open the store: its
                                                   pid, see stats.h */

    u_char                      log_ctx[80];
    u_char                      secret[NGX_HTTP_OCI_ZONE_SECRET];
    uint64_t                    pushes[NGX_HTTP_OCI_ZONE_PUSHES];
    uint64_t                    counters[OCI_GENERATION_COUNTERS];
} ngx_http_oci_zone_sh_t;


/* a process' view of it, one per cycle */

typedef struct {
    ngx_slab_pool_t            *shpool;
    ngx_http_oci_zone_sh_t     *sh;
    ngx_str_t                   name;
    ngx_http_oci_stats_t       *stats;          /* this worker's, never NULL
                                                   once it runs */
} ngx_http_oci_zone_t;


/* what metrics say of it */

typedef struct {
    uint64_t                    size;           /* of what is not fixed */
    uint64_t                    free;           /* in whole pages */
    uint64_t                    entries;
    uint64_t                    negatives;
    uint64_t                    evicted;
    uint64_t                    refused;
    uint64_t                    resets;
} ngx_http_oci_zone_use_t;


/* a key, built once per request */

typedef struct {
    uint32_t                    hash;
    uint32_t                    len;            /* 0: too long to be kept */
    u_char                      kind;
    u_char                      data[NGX_HTTP_OCI_ZONE_KEY_MAX];
} ngx_http_oci_zone_key_t;


/*
 * For shm_zone->init: lays out a new segment, or takes over what the cycle
 * before had (old; NULL: none).  Logs which.  NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_http_oci_zone_init(ngx_http_oci_zone_t *z,
    ngx_shm_zone_t *shm_zone, ngx_http_oci_zone_t *old);

/* of kind, repository and up to two further parts (NULL: none) */
void ngx_http_oci_zone_key(ngx_http_oci_zone_key_t *key, ngx_uint_t kind,
    const oci_repo_t *r, const oci_str_t *first, const oci_str_t *second);

/* the same where oci_repo_hash() of r is known */
void ngx_http_oci_zone_key_of(ngx_http_oci_zone_key_t *key, ngx_uint_t kind,
    const oci_repo_t *r, uint64_t hash, const oci_str_t *first,
    const oci_str_t *second);

/* an empty zone on return from lock where a dead worker left it half done */
void ngx_http_oci_zone_lock(ngx_http_oci_zone_t *z);
void ngx_http_oci_zone_unlock(ngx_http_oci_zone_t *z);

/*
 * After a death: who has unlocked wakes another, unless it dies before that,
 * and who was woken passes that on, unless it dies.  One more who wakes for
 * nothing only looks.
 */
void ngx_http_oci_zone_wake(ngx_http_oci_zone_t *z);

/* under the lock, before the first change; unlock ends it */
void ngx_http_oci_zone_change(ngx_http_oci_zone_t *z);


/*
 * How often a repository was changed at its upstream through this server:
 * what the upstream said before the last time is not to be kept.  hash is
 * oci_repo_hash() of it.  Without the lock.
 */
uint64_t ngx_http_oci_zone_pushes(ngx_http_oci_zone_t *z, uint64_t hash);
void ngx_http_oci_zone_push(ngx_http_oci_zone_t *z, uint64_t hash);

/*
 * Workers that wait for the map of a fill, which has no place for that before
 * it is there: each sets its bit before it looks for the map, and whoever has
 * made one takes all bits but its own and wakes them
 * (ngx_http_oci_wake_bit()).
 */
#define ngx_http_oci_zone_wait(z, bit)                                        \
    (void) __atomic_fetch_or(&(z)->sh->waiting, bit, __ATOMIC_SEQ_CST)

#define ngx_http_oci_zone_waiting(z, own)                                     \
    (__atomic_fetch_and(&(z)->sh->waiting, own, __ATOMIC_SEQ_CST) & ~(own))

/*
 * Room on the disk.  Who waits for some says so, and again while it waits,
 * and is served when it has it, as others may be who say it again; whoever
 * evicts is told how much is wanted, 0: none, and says where that
 * was in vain: for a while it is hopeless to wait for as much.  Without the
 * lock.
 */
void ngx_http_oci_zone_want(ngx_http_oci_zone_t *z, uint64_t bytes);
void ngx_http_oci_zone_served(ngx_http_oci_zone_t *z);
uint64_t ngx_http_oci_zone_wanted(ngx_http_oci_zone_t *z);
void ngx_http_oci_zone_vain(ngx_http_oci_zone_t *z, uint64_t bytes);
ngx_uint_t ngx_http_oci_zone_hopeless(ngx_http_oci_zone_t *z,
    uint64_t bytes);

/* takes the lock */
void ngx_http_oci_zone_use(ngx_http_oci_zone_t *z,
    ngx_http_oci_zone_use_t *use);


/* All below: under the lock; those that change, after zone_change(). */

ngx_http_oci_zone_entry_t *ngx_http_oci_zone_find(ngx_http_oci_zone_t *z,
    const ngx_http_oci_zone_key_t *key);

/*
 * A new entry in place of any of that key, at the young end, with meta_len
 * bytes of meta (at most 1024; to be written by the caller) and body copied.
 * NULL when there is no room even after some old entries have gone.
 */
ngx_http_oci_zone_entry_t *ngx_http_oci_zone_add(ngx_http_oci_zone_t *z,
    const ngx_http_oci_zone_key_t *key, unsigned negative, const void *meta,
    size_t meta_len, const u_char *body, size_t body_len);

void ngx_http_oci_zone_remove(ngx_http_oci_zone_t *z,
    ngx_http_oci_zone_entry_t *e);

/*
 * At most a page, from the slab; old entries go where there is no room, but
 * not keep (NULL: none).  NULL when that did not help.
 */
void *ngx_http_oci_zone_alloc(ngx_http_oci_zone_t *z, size_t size,
    ngx_http_oci_zone_entry_t *keep);
void ngx_http_oci_zone_free(ngx_http_oci_zone_t *z, void *p);

/* copies the body, which fits */
void ngx_http_oci_zone_copy(const ngx_http_oci_zone_entry_t *e, u_char *to);


/*
 * Without the lock: at most one line a minute, when entries had to go for
 * lack of room.
 */
void ngx_http_oci_zone_warn(ngx_http_oci_zone_t *z, ngx_log_t *log);


#endif /* _NGX_HTTP_OCI_ZONE_H_INCLUDED_ */
