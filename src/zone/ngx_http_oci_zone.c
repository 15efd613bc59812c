
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "ngx_http_oci_zone.h"
#include "ngx_http_oci_tagset.h"

#include <sys/random.h>


#define NGX_HTTP_OCI_ZONE_VERSION   6

/* of an entry with all that is not in chunks: the largest slot of the slab */
#define NGX_HTTP_OCI_ZONE_INLINE    2048
#define NGX_HTTP_OCI_ZONE_PAGE      4096

#define NGX_HTTP_OCI_ZONE_SLOTS_MIN  32
#define NGX_HTTP_OCI_ZONE_SLOTS_MAX  256

/* entries looked at for one allocation: some 20 microseconds at most */
#define NGX_HTTP_OCI_ZONE_TRIES     64

/* of all entries, how many may say that something is not there */
#define NGX_HTTP_OCI_ZONE_NEGATIVE  (16 * 1024)     /* a byte of zone each */

#define NGX_HTTP_OCI_ZONE_WARN      60000           /* ms */

#define ngx_http_oci_zone_head                                                \
    offsetof(ngx_http_oci_zone_entry_t, data)
#define ngx_http_oci_zone_chunk_head                                          \
    offsetof(ngx_http_oci_zone_chunk_t, data)


static ngx_uint_t ngx_http_oci_zone_existed(ngx_shm_zone_t *shm_zone);
static void ngx_http_oci_zone_clear(ngx_http_oci_zone_t *z);
static void ngx_http_oci_zone_reset(ngx_http_oci_zone_t *z);
static u_char *ngx_http_oci_zone_part(u_char *p, const oci_str_t *part);
static ngx_int_t ngx_http_oci_zone_compare(const ngx_http_oci_zone_key_t *key,
    const ngx_http_oci_zone_entry_t *e);
static void ngx_http_oci_zone_insert(ngx_rbtree_node_t *temp,
    ngx_rbtree_node_t *node, ngx_rbtree_node_t *sentinel);
static ngx_uint_t ngx_http_oci_zone_evict(ngx_http_oci_zone_t *z,
    ngx_http_oci_zone_entry_t *keep);
static ngx_int_t ngx_http_oci_zone_store(ngx_http_oci_zone_t *z,
    ngx_http_oci_zone_entry_t *e, const u_char *body, size_t body_len);
static void ngx_http_oci_zone_release(ngx_http_oci_zone_t *z,
    ngx_http_oci_zone_entry_t *e);


ngx_int_t
ngx_http_oci_zone_init(ngx_http_oci_zone_t *z, ngx_shm_zone_t *shm_zone,
    ngx_http_oci_zone_t *old)
{
    size_t                   fixed;
    u_char                  *end;
    ngx_uint_t               n;
    ngx_slab_pool_t         *shpool;
    ngx_http_oci_zone_sh_t  *sh;

    z->name = shm_zone->shm.name;
    z->stats = old ? old->stats : ngx_http_oci_stats_none();

    shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;
    z->shpool = shpool;

    if (old != NULL) {
        z->sh = old->sh;

        if (z->sh->version != NGX_HTTP_OCI_ZONE_VERSION) {
            ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                          "zone \"%V\" is of another version of the module, "
                          "which needs a restart or a binary upgrade",
                          &z->name);
            return NGX_ERROR;
        }

        return NGX_OK;
    }

    n = shm_zone->shm.size / (64 * 1024);
    n = ngx_max(n, NGX_HTTP_OCI_ZONE_SLOTS_MIN);
    n = ngx_min(n, NGX_HTTP_OCI_ZONE_SLOTS_MAX);

    fixed = ngx_align(sizeof(ngx_http_oci_zone_sh_t), 64)
            + n * ngx_align(sizeof(ngx_http_oci_stats_t), 64);
    fixed = ngx_align(fixed, ngx_pagesize);

    /*
     * nginx has made a pool of all of it just now; the fixed part is taken
     * off its end before anything lies there.
     */

    end = (u_char *) shm_zone->shm.addr + shm_zone->shm.size - fixed;
    end = (u_char *) ((uintptr_t) end & ~((uintptr_t) ngx_pagesize - 1));

    sh = (ngx_http_oci_zone_sh_t *) end;
    ngx_memzero(sh, fixed);

    shpool->end = end;
    shpool->data = sh;
    z->sh = sh;

    sh->version = NGX_HTTP_OCI_ZONE_VERSION;
    sh->nslots = n;
    sh->slots = (ngx_http_oci_stats_t *)
                    (end + ngx_align(sizeof(ngx_http_oci_zone_sh_t), 64));

    if (getrandom(sh->secret, sizeof(sh->secret), 0)
        != (ssize_t) sizeof(sh->secret))
    {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, ngx_errno,
                      "getrandom() failed");
        return NGX_ERROR;
    }

    (void) ngx_snprintf(sh->log_ctx, sizeof(sh->log_ctx) - 1,
                        " in oci zone \"%V\"", &z->name);

    ngx_http_oci_zone_clear(z);

    if (ngx_http_oci_zone_existed(shm_zone)) {
        ngx_log_error(NGX_LOG_NOTICE, shm_zone->shm.log, 0,
                      "oci zone \"%V\" is rebuilt with another size, "
                      "it starts empty", &z->name);
    }

    return NGX_OK;
}


/* the cycle before had a zone of that name, of another size */

static ngx_uint_t
ngx_http_oci_zone_existed(ngx_shm_zone_t *shm_zone)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_shm_zone_t   *old;

    if (ngx_cycle == NULL || ngx_cycle->shared_memory.part.elts == NULL) {
        return 0;
    }

    part = (ngx_list_part_t *) &ngx_cycle->shared_memory.part;
    old = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                return 0;
            }

            part = part->next;
            old = part->elts;
            i = 0;
        }

        if (&old[i] != shm_zone
            && old[i].tag == shm_zone->tag
            && old[i].shm.addr != NULL
            && old[i].shm.name.len == shm_zone->shm.name.len
            && ngx_strncmp(old[i].shm.name.data, shm_zone->shm.name.data,
                           shm_zone->shm.name.len)
               == 0)
        {
            return 1;
        }
    }
}


static void
ngx_http_oci_zone_clear(ngx_http_oci_zone_t *z)
{
    ngx_http_oci_zone_sh_t  *sh;

    sh = z->sh;

    ngx_slab_init(z->shpool);

    z->shpool->log_nomem = 0;
    z->shpool->log_ctx = sh->log_ctx;

    ngx_rbtree_sentinel_init(&sh->sentinel);
    sh->root = &sh->sentinel;

    ngx_queue_init(&sh->entries);
    ngx_queue_init(&sh->negatives);

    sh->nentries = 0;
    sh->nnegatives = 0;
}


static void
ngx_http_oci_zone_reset(ngx_http_oci_zone_t *z)
{
    z->sh->resets++;

    ngx_http_oci_zone_clear(z);

    ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                  "oci zone \"%V\" was left half changed by a process that "
                  "died, it starts empty", &z->name);
}


void
ngx_http_oci_zone_lock(ngx_http_oci_zone_t *z)
{
    ngx_shmtx_lock(&z->shpool->mutex);

    if (z->sh->changing) {
        ngx_http_oci_zone_reset(z);
    }
}


void
ngx_http_oci_zone_unlock(ngx_http_oci_zone_t *z)
{
    if (z->sh->changing) {
        __atomic_store_n(&z->sh->changing, 0, __ATOMIC_RELEASE);
    }

    ngx_shmtx_unlock(&z->shpool->mutex);
}


void
ngx_http_oci_zone_wake(ngx_http_oci_zone_t *z)
{
#if (NGX_HAVE_POSIX_SEM)

    if (z->shpool->mutex.semaphore) {
        (void) sem_post(&z->shpool->mutex.sem);
    }

#endif
}


void
ngx_http_oci_zone_change(ngx_http_oci_zone_t *z)
{
    __atomic_store_n(&z->sh->changing, 1, __ATOMIC_SEQ_CST);
}


void
ngx_http_oci_zone_use(ngx_http_oci_zone_t *z, ngx_http_oci_zone_use_t *use)
{
    ngx_http_oci_zone_sh_t  *sh;

    sh = z->sh;

    ngx_http_oci_zone_lock(z);

    use->size = (uint64_t) ((u_char *) sh - (u_char *) z->shpool);
    use->free = (uint64_t) z->shpool->pfree * ngx_pagesize;
    use->entries = sh->nentries;
    use->negatives = sh->nnegatives;
    use->evicted = sh->evicted;
    use->refused = sh->refused;
    use->resets = sh->resets;

    ngx_http_oci_zone_unlock(z);
}


void
ngx_http_oci_zone_key(ngx_http_oci_zone_key_t *key, ngx_uint_t kind,
    const oci_repo_t *r, const oci_str_t *first, const oci_str_t *second)
{
    ngx_http_oci_zone_key_of(key, kind, r, oci_repo_hash(r), first, second);
}


void
ngx_http_oci_zone_key_of(ngx_http_oci_zone_key_t *key, ngx_uint_t kind,
    const oci_repo_t *r, uint64_t hash, const oci_str_t *first,
    const oci_str_t *second)
{
    size_t     len;
    u_char    *p, *rest;
    uint64_t   digits;

    len = 4 + r->ns.len + r->name.len + (first ? first->len : 0)
          + (second ? second->len : 0);

    key->kind = (u_char) kind;
    key->len = 0;

    if (len > NGX_HTTP_OCI_ZONE_KEY_MAX) {
        return;
    }

    /* no part holds a NUL, save for the last, which nothing follows */

    p = key->data;

    *p++ = (u_char) kind;
    p = ngx_http_oci_zone_part(p, &r->ns);
    *p++ = '\0';
    p = ngx_http_oci_zone_part(p, &r->name);
    *p++ = '\0';

    rest = p;

    if (first) {
        p = ngx_http_oci_zone_part(p, first);
    }

    if (second) {
        *p++ = '\0';
        p = ngx_http_oci_zone_part(p, second);
    }

    key->len = (uint32_t) (p - key->data);

    if ((kind == NGX_HTTP_OCI_ZONE_MANIFEST || kind == NGX_HTTP_OCI_ZONE_BLOB)
        && p - rest > (ptrdiff_t) sizeof(uint64_t))
    {
        /* some digits of a digest are as good as a hash of it */

        ngx_memcpy(&digits, rest, sizeof(uint64_t));
        hash ^= digits * 0x9e3779b97f4a7c15ULL;

    } else if (p > rest) {
        hash ^= (uint64_t) ngx_murmur_hash2(rest, p - rest)
                * 0x9e3779b97f4a7c15ULL;
    }

    key->hash = (uint32_t) (hash >> 32) ^ (uint32_t) kind;
}


/* what is empty may be nowhere, and memcpy() minds that */

static u_char *
ngx_http_oci_zone_part(u_char *p, const oci_str_t *part)
{
    return part->len ? ngx_cpymem(p, part->data, part->len) : p;
}


static ngx_int_t
ngx_http_oci_zone_compare(const ngx_http_oci_zone_key_t *key,
    const ngx_http_oci_zone_entry_t *e)
{
    if (key->len != e->key_len) {
        return (key->len < e->key_len) ? -1 : 1;
    }

    return ngx_memcmp(key->data, e->data, key->len);
}


ngx_http_oci_zone_entry_t *
ngx_http_oci_zone_find(ngx_http_oci_zone_t *z,
    const ngx_http_oci_zone_key_t *key)
{
    ngx_int_t                   rc;
    ngx_rbtree_node_t          *node, *sentinel;
    ngx_http_oci_zone_entry_t  *e;

    if (key->len == 0) {
        return NULL;
    }

    node = z->sh->root;
    sentinel = &z->sh->sentinel;

    while (node != sentinel) {

        if (key->hash != node->key) {
            node = (key->hash < node->key) ? node->left : node->right;
            continue;
        }

        e = (ngx_http_oci_zone_entry_t *) node;

        rc = ngx_http_oci_zone_compare(key, e);

        if (rc == 0) {
            return e;
        }

        node = (rc < 0) ? node->left : node->right;
    }

    return NULL;
}


static void
ngx_http_oci_zone_insert(ngx_rbtree_node_t *temp, ngx_rbtree_node_t *node,
    ngx_rbtree_node_t *sentinel)
{
    ngx_int_t                   rc;
    ngx_rbtree_node_t         **p;
    ngx_http_oci_zone_entry_t  *e, *t;

    e = (ngx_http_oci_zone_entry_t *) node;

    for ( ;; ) {

        if (node->key != temp->key) {
            p = (node->key < temp->key) ? &temp->left : &temp->right;

        } else {
            t = (ngx_http_oci_zone_entry_t *) temp;

            if (e->key_len != t->key_len) {
                rc = (e->key_len < t->key_len) ? -1 : 1;

            } else {
                rc = ngx_memcmp(e->data, t->data, e->key_len);
            }

            p = (rc < 0) ? &temp->left : &temp->right;
        }

        if (*p == sentinel) {
            break;
        }

        temp = *p;
    }

    *p = node;
    node->parent = temp;
    node->left = sentinel;
    node->right = sentinel;
    ngx_rbt_red(node);
}


ngx_http_oci_zone_entry_t *
ngx_http_oci_zone_add(ngx_http_oci_zone_t *z,
    const ngx_http_oci_zone_key_t *key, unsigned negative, const void *meta,
    size_t meta_len, const u_char *body, size_t body_len)
{
    size_t                      size, room;
    ngx_rbtree_t                tree;
    ngx_http_oci_zone_sh_t     *sh;
    ngx_http_oci_zone_entry_t  *e;

    if (key->len == 0) {
        return NULL;
    }

    sh = z->sh;

    e = ngx_http_oci_zone_find(z, key);

    if (e != NULL) {
        ngx_http_oci_zone_remove(z, e);
    }

    if (negative
        && sh->nnegatives
           >= (uint64_t) (z->shpool->end - z->shpool->start)
              / NGX_HTTP_OCI_ZONE_NEGATIVE)
    {
        ngx_http_oci_zone_remove(z, ngx_queue_data(
                                        ngx_queue_last(&sh->negatives),
                                        ngx_http_oci_zone_entry_t, queue));
    }

    room = NGX_HTTP_OCI_ZONE_INLINE - ngx_http_oci_zone_head;
    size = key->len + meta_len;

    if (size > room) {
        return NULL;
    }

    room = ngx_min(room - size, body_len);

    e = ngx_http_oci_zone_alloc(z, ngx_http_oci_zone_head + size + room,
                                NULL);
    if (e == NULL) {
        return NULL;
    }

    ngx_memzero(e, ngx_http_oci_zone_head);

    e->node.key = key->hash;
    e->kind = key->kind;
    e->key_len = (uint16_t) key->len;
    e->meta_len = (uint16_t) meta_len;
    e->inline_len = (uint32_t) room;
    e->negative = negative;

    ngx_memcpy(e->data, key->data, key->len);

    if (meta) {
        ngx_memcpy(ngx_http_oci_zone_meta(e), meta, meta_len);
    }

    if (ngx_http_oci_zone_store(z, e, body, body_len) != NGX_OK) {
        ngx_http_oci_zone_release(z, e);
        return NULL;
    }

    /* the tree as nginx has it, without the address of a function in it */

    tree.root = sh->root;
    tree.sentinel = &sh->sentinel;
    tree.insert = ngx_http_oci_zone_insert;

    ngx_rbtree_insert(&tree, &e->node);

    sh->root = tree.root;

    if (negative) {
        ngx_queue_insert_head(&sh->negatives, &e->queue);
        sh->nnegatives++;

    } else {
        ngx_queue_insert_head(&sh->entries, &e->queue);
        sh->nentries++;
    }

    return e;
}


static ngx_int_t
ngx_http_oci_zone_store(ngx_http_oci_zone_t *z, ngx_http_oci_zone_entry_t *e,
    const u_char *body, size_t body_len)
{
    size_t                       n;
    ngx_http_oci_zone_chunk_t   *chunk, **last;

    if (body_len) {
        ngx_memcpy(ngx_http_oci_zone_body(e), body, e->inline_len);
    }

    e->body_len = e->inline_len;
    last = &e->chunks;

    while (e->body_len < body_len) {

        n = ngx_min(body_len - e->body_len,
                    NGX_HTTP_OCI_ZONE_PAGE - ngx_http_oci_zone_chunk_head);

        chunk = ngx_http_oci_zone_alloc(z, ngx_http_oci_zone_chunk_head + n,
                                        NULL);
        if (chunk == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(chunk->data, body + e->body_len, n);
        chunk->next = NULL;

        *last = chunk;
        last = &chunk->next;

        e->body_len += (uint32_t) n;
    }

    return NGX_OK;
}


void
ngx_http_oci_zone_copy(const ngx_http_oci_zone_entry_t *e, u_char *to)
{
    size_t                            left, n;
    const ngx_http_oci_zone_chunk_t  *chunk;

    to = ngx_cpymem(to, ngx_http_oci_zone_body(e), e->inline_len);

    left = e->body_len - e->inline_len;

    for (chunk = e->chunks; left; chunk = chunk->next) {
        n = ngx_min(left,
                    NGX_HTTP_OCI_ZONE_PAGE - ngx_http_oci_zone_chunk_head);

        to = ngx_cpymem(to, chunk->data, n);
        left -= n;
    }
}


void
ngx_http_oci_zone_remove(ngx_http_oci_zone_t *z, ngx_http_oci_zone_entry_t *e)
{
    ngx_rbtree_t             tree;
    ngx_http_oci_zone_sh_t  *sh;

    sh = z->sh;

    tree.root = sh->root;
    tree.sentinel = &sh->sentinel;
    tree.insert = ngx_http_oci_zone_insert;

    ngx_rbtree_delete(&tree, &e->node);

    sh->root = tree.root;

    ngx_queue_remove(&e->queue);

    if (e->negative) {
        sh->nnegatives--;

    } else {
        sh->nentries--;
    }

    ngx_http_oci_zone_release(z, e);
}


/* an entry that is not in the tree, or no longer */

static void
ngx_http_oci_zone_release(ngx_http_oci_zone_t *z,
    ngx_http_oci_zone_entry_t *e)
{
    ngx_http_oci_zone_chunk_t  *chunk, *next;

    if (e->kind == NGX_HTTP_OCI_ZONE_TAGS) {
        ngx_http_oci_tagset_drop(z, e);
    }

    for (chunk = e->chunks; chunk; chunk = next) {
        next = chunk->next;
        ngx_slab_free_locked(z->shpool, chunk);
    }

    ngx_slab_free_locked(z->shpool, e);
}


void *
ngx_http_oci_zone_alloc(ngx_http_oci_zone_t *z, size_t size,
    ngx_http_oci_zone_entry_t *keep)
{
    void        *p;
    ngx_uint_t   i;

    p = ngx_slab_alloc_locked(z->shpool, size);

    for (i = 0; p == NULL && i < NGX_HTTP_OCI_ZONE_TRIES; i++) {

        if (ngx_http_oci_zone_evict(z, keep)) {
            p = ngx_slab_alloc_locked(z->shpool, size);
        }
    }

    if (p == NULL) {
        z->sh->refused++;
    }

    return p;
}


void
ngx_http_oci_zone_free(ngx_http_oci_zone_t *z, void *p)
{
    ngx_slab_free_locked(z->shpool, p);
}


/*
 * Looks at one entry, the oldest: one that was used since the last look goes
 * to the young end, any other goes.  So a hit need change no list.
 */

static ngx_uint_t
ngx_http_oci_zone_evict(ngx_http_oci_zone_t *z,
    ngx_http_oci_zone_entry_t *keep)
{
    ngx_queue_t                *q;
    ngx_http_oci_zone_sh_t     *sh;
    ngx_http_oci_zone_entry_t  *e;

    sh = z->sh;

    if (!ngx_queue_empty(&sh->negatives)) {
        q = ngx_queue_last(&sh->negatives);

    } else if (!ngx_queue_empty(&sh->entries)) {
        q = ngx_queue_last(&sh->entries);

    } else {
        return 0;
    }

    e = ngx_queue_data(q, ngx_http_oci_zone_entry_t, queue);

    if (e == keep || e->pinned || (e->used && !e->negative)) {
        e->used = 0;

        ngx_queue_remove(q);
        ngx_queue_insert_head(e->negative ? &sh->negatives : &sh->entries, q);

        return 0;
    }

    /* a very large one goes in steps */

    if (e->kind == NGX_HTTP_OCI_ZONE_TAGS && ngx_http_oci_tagset_trim(z, e)) {
        return 1;
    }

    ngx_http_oci_zone_remove(z, e);

    sh->evicted++;

    return 1;
}


void
ngx_http_oci_zone_warn(ngx_http_oci_zone_t *z, ngx_log_t *log)
{
    uint64_t                 now, evicted;
    ngx_http_oci_zone_sh_t  *sh;

    sh = z->sh;

    if (sh->evicted + sh->refused == sh->warned_evicted) {
        return;
    }

    now = ngx_current_msec;

    if (sh->warned && now - sh->warned < NGX_HTTP_OCI_ZONE_WARN) {
        return;
    }

    ngx_http_oci_zone_lock(z);

    evicted = sh->evicted + sh->refused - sh->warned_evicted;

    if (evicted == 0
        || (sh->warned && now - sh->warned < NGX_HTTP_OCI_ZONE_WARN))
    {
        ngx_http_oci_zone_unlock(z);
        return;
    }

    sh->warned = now;
    sh->warned_evicted += evicted;

    ngx_http_oci_zone_unlock(z);

    ngx_log_error(NGX_LOG_WARN, log, 0,
                  "oci zone \"%V\" is full: %uL entries gave way since the "
                  "last such line; a larger zone would keep them", &z->name,
                  evicted);
}


uint64_t
ngx_http_oci_zone_pushes(ngx_http_oci_zone_t *z, uint64_t hash)
{
    return __atomic_load_n(&z->sh->pushes[hash % NGX_HTTP_OCI_ZONE_PUSHES],
                           __ATOMIC_SEQ_CST);
}


void
ngx_http_oci_zone_push(ngx_http_oci_zone_t *z, uint64_t hash)
{
    (void) __atomic_add_fetch(&z->sh->pushes[hash % NGX_HTTP_OCI_ZONE_PUSHES],
                              1, __ATOMIC_SEQ_CST);
}
