
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * The map of a fill.  Words are in the order of this machine's bytes: a map
 * from a machine of the other kind is of no use and is refused.
 */


#include "oci_chunkmap.h"


#define OCI_CHUNKMAP_MAGIC  "OCI-MAP\n"
#define OCI_CHUNKMAP_ORDER  0x01020304u

/* a claim's place: a number in 24 bits, when it runs out in 40 */

#define OCI_CLAIM_EXPIRES   ((((uint64_t) 1) << 40) - 1)
#define OCI_CLAIM_NUMBER    0xffffffu

#define oci_load(p)      __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define oci_store(p, v)  __atomic_store_n(p, v, __ATOMIC_RELEASE)


/*
 * An entry: the claim's place and number, 0 where nobody has it; and how
 * much is there in the upper half, its CRC32C in the lower one.
 */

struct oci_chunkmap_entry_s {
    uint64_t    claim;
    uint64_t    filled;
};


struct oci_chunkmap_head_s {
    u_char      magic[8];
    uint32_t    version;
    uint32_t    order;
    int64_t     size;
    uint32_t    chunk;
    uint32_t    n;
    char        digest[OCI_DIGEST_MAX + 1];     /* text, NULs behind it */
    uint32_t    crc;                            /* of all before it */

    char        boot_id[OCI_CHUNKMAP_BOOT];
    uint32_t    state;
    uint32_t    number;                         /* of the last claim */
    uint32_t    single;
    uint32_t    unused;
    uint64_t    waiters;
    uint64_t    hashed;
    uint64_t    claims[OCI_CHUNKMAP_CLAIMS];
    u_char      hash[2][OCI_HASH_STATE_SIZE];
};


_Static_assert(sizeof(oci_chunkmap_head_t) <= OCI_CHUNKMAP_HEAD,
               "the head of a map does not fit its page");


static uint32_t oci_chunkmap_crc(const oci_chunkmap_head_t *h);
static int oci_chunkmap_live(const oci_chunkmap_t *m, uint64_t claim,
    uint64_t now);
static int oci_chunkmap_hash_newer(const oci_chunkmap_t *m, oci_hash_t *h);
static int oci_swap(uint64_t *p, uint64_t from, uint64_t to);


size_t
oci_chunkmap_length(int64_t size, uint32_t *chunk)
{
    uint64_t  n;

    if (size < 0 || size > INT64_MAX - OCI_CHUNK_MAX
        || *chunk < OCI_CHUNK_MIN || *chunk > OCI_CHUNK_MAX)
    {
        return 0;
    }

    for ( ;; ) {
        n = ((uint64_t) size + *chunk - 1) / *chunk;

        if (n <= OCI_CHUNKS_MAX) {
            break;
        }

        if (*chunk > OCI_CHUNK_MAX / 2) {
            return 0;
        }

        *chunk *= 2;
    }

    return OCI_CHUNKMAP_HEAD + (size_t) n * sizeof(oci_chunkmap_entry_t);
}


void
oci_chunkmap_init(void *image, const oci_digest_t *d, int64_t size,
    uint32_t chunk, const char *boot_id)
{
    oci_chunkmap_head_t  *h = image;

    memset(h, 0, OCI_CHUNKMAP_HEAD);

    memcpy(h->magic, OCI_CHUNKMAP_MAGIC, sizeof(h->magic));
    h->version = OCI_CHUNKMAP_VERSION;
    h->order = OCI_CHUNKMAP_ORDER;
    h->size = size;
    h->chunk = chunk;
    h->n = (uint32_t) ((size + chunk - 1) / chunk);

    (void) oci_digest_text(d, (u_char *) h->digest);

    h->crc = oci_chunkmap_crc(h);

    strncpy(h->boot_id, boot_id, sizeof(h->boot_id) - 1);
}


int
oci_chunkmap_view(oci_chunkmap_t *m, void *image, size_t len,
    const oci_digest_t *d)
{
    char                  text[OCI_DIGEST_MAX + 1];
    uint32_t              chunk;
    oci_chunkmap_head_t  *h = image;

    if (len < OCI_CHUNKMAP_HEAD
        || memcmp(h->magic, OCI_CHUNKMAP_MAGIC, sizeof(h->magic)) != 0
        || h->version != OCI_CHUNKMAP_VERSION
        || h->order != OCI_CHUNKMAP_ORDER
        || h->crc != oci_chunkmap_crc(h))
    {
        return OCI_INVALID;
    }

    memset(text, 0, sizeof(text));
    (void) oci_digest_text(d, (u_char *) text);

    if (memcmp(h->digest, text, sizeof(text)) != 0) {
        return OCI_MISMATCH;
    }

    m->head = h;
    m->entries = (oci_chunkmap_entry_t *) (void *) ((u_char *) image
                                                    + OCI_CHUNKMAP_HEAD);
    m->alg = d->alg;
    m->size = h->size;
    m->chunk = h->chunk;
    m->n = h->n;

    chunk = m->chunk;

    if (oci_chunkmap_length(m->size, &chunk) != len || chunk != m->chunk
        || m->n != (len - OCI_CHUNKMAP_HEAD) / sizeof(oci_chunkmap_entry_t))
    {
        return OCI_INVALID;
    }

    return OCI_OK;
}


int
oci_chunkmap_of_boot(const oci_chunkmap_t *m, const char *boot_id)
{
    return strncmp(m->head->boot_id, boot_id, sizeof(m->head->boot_id)) == 0;
}


void
oci_chunkmap_boot(const oci_chunkmap_t *m, char *boot_id)
{
    memcpy(boot_id, m->head->boot_id, OCI_CHUNKMAP_BOOT);
    boot_id[OCI_CHUNKMAP_BOOT - 1] = '\0';
}


void
oci_chunkmap_adopt(oci_chunkmap_t *m, const char *boot_id)
{
    uint32_t  i;

    for (i = 0; i < m->n; i++) {
        oci_store(&m->entries[i].claim, 0);
    }

    memset(m->head->claims, 0, sizeof(m->head->claims));
    oci_store(&m->head->waiters, 0);
    oci_store(&m->head->single, 0);
    oci_chunkmap_hash_reset(m);

    if (oci_chunkmap_state(m) == OCI_CHUNKMAP_VERIFIED) {
        oci_chunkmap_set_state(m, OCI_CHUNKMAP_OPEN);
    }

    memset(m->head->boot_id, 0, sizeof(m->head->boot_id));
    strncpy(m->head->boot_id, boot_id, sizeof(m->head->boot_id) - 1);
}


oci_chunkmap_state_e
oci_chunkmap_state(const oci_chunkmap_t *m)
{
    uint32_t  state;

    state = oci_load(&m->head->state);

    return (state <= OCI_CHUNKMAP_FAILED) ? (oci_chunkmap_state_e) state
                                          : OCI_CHUNKMAP_FAILED;
}


void
oci_chunkmap_set_state(oci_chunkmap_t *m, oci_chunkmap_state_e state)
{
    oci_store(&m->head->state, (uint32_t) state);
}


unsigned
oci_chunkmap_single(const oci_chunkmap_t *m)
{
    return oci_load(&m->head->single) ? 1 : 0;
}


void
oci_chunkmap_set_single(oci_chunkmap_t *m)
{
    oci_store(&m->head->single, 1);
}


uint32_t
oci_chunkmap_chunk(const oci_chunkmap_t *m, uint32_t i)
{
    int64_t  left;

    left = m->size - oci_chunkmap_start(m, i);

    return (left < (int64_t) m->chunk) ? (uint32_t) left : m->chunk;
}


uint32_t
oci_chunkmap_filled(const oci_chunkmap_t *m, uint32_t i, uint32_t *crc)
{
    uint32_t  len, max;
    uint64_t  word;

    word = oci_load(&m->entries[i].filled);
    len = (uint32_t) (word >> 32);
    max = oci_chunkmap_chunk(m, i);

    if (crc != NULL) {
        *crc = (uint32_t) word;
    }

    return (len < max) ? len : max;
}


int64_t
oci_chunkmap_ready(const oci_chunkmap_t *m, int64_t offset, int64_t to)
{
    int64_t   end;
    uint32_t  i;

    if (to > m->size) {
        to = m->size;
    }

    end = offset;

    while (end < to) {
        i = oci_chunkmap_at(m, end);

        end = oci_chunkmap_start(m, i) + oci_chunkmap_filled(m, i, NULL);

        if (end < oci_chunkmap_start(m, i) + oci_chunkmap_chunk(m, i)) {
            break;
        }
    }

    if (end < offset) {
        return offset;
    }

    return (end < to) ? end : to;
}


int64_t
oci_chunkmap_total(const oci_chunkmap_t *m)
{
    int64_t   total;
    uint32_t  i;

    total = 0;

    for (i = 0; i < m->n; i++) {
        total += oci_chunkmap_filled(m, i, NULL);
    }

    return total;
}


uint32_t
oci_chunkmap_pick(const oci_chunkmap_t *m, int64_t from, int64_t to,
    uint64_t now)
{
    uint32_t  i;

    if (from < 0) {
        from = 0;
    }

    if (to > m->size) {
        to = m->size;
    }

    while (from < to) {
        i = oci_chunkmap_at(m, from);

        if (oci_chunkmap_filled(m, i, NULL) < oci_chunkmap_chunk(m, i)
            && !oci_chunkmap_live(m, oci_load(&m->entries[i].claim), now))
        {
            return i;
        }

        from = oci_chunkmap_start(m, i) + m->chunk;
    }

    return OCI_CHUNK_NONE;
}


int
oci_chunkmap_claim(oci_chunkmap_t *m, uint32_t i, uint64_t now, uint64_t ttl,
    unsigned limit, uint64_t *token)
{
    unsigned   k;
    uint64_t   claim, place, number, *p;

    if (oci_chunkmap_filled(m, i, NULL) == oci_chunkmap_chunk(m, i)) {
        return OCI_EXISTS;
    }

    claim = oci_load(&m->entries[i].claim);

    if (oci_chunkmap_live(m, claim, now)) {
        return OCI_CONFLICT;
    }

    do {
        number = __atomic_add_fetch(&m->head->number, 1, __ATOMIC_RELAXED)
                 & OCI_CLAIM_NUMBER;
    } while (number == 0);

    if (limit > OCI_CHUNKMAP_CLAIMS) {
        limit = OCI_CHUNKMAP_CLAIMS;
    }

    for (k = 0; k < limit; k++) {
        p = &m->head->claims[k];
        place = oci_load(p);

        if ((place & OCI_CLAIM_EXPIRES) > now) {
            continue;
        }

        if (oci_swap(p, place,
                     number << 40 | ((now + ttl) & OCI_CLAIM_EXPIRES)))
        {
            break;
        }
    }

    if (k == limit) {
        return OCI_AGAIN;
    }

    *token = ((uint64_t) (k + 1) << 32) | number;

    if (!oci_swap(&m->entries[i].claim, claim, *token)) {
        oci_store(&m->head->claims[k], 0);
        return OCI_CONFLICT;
    }

    /* it may have become whole between the two looks */

    if (oci_chunkmap_filled(m, i, NULL) == oci_chunkmap_chunk(m, i)) {
        oci_chunkmap_release(m, i, *token);
        return OCI_EXISTS;
    }

    return OCI_OK;
}


int
oci_chunkmap_renew(oci_chunkmap_t *m, uint32_t i, uint64_t token,
    uint64_t now, uint64_t ttl)
{
    uint64_t  place, *p;

    p = &m->head->claims[(token >> 32) - 1];

    for ( ;; ) {
        place = oci_load(p);

        if (place >> 40 != (token & OCI_CLAIM_NUMBER)
            || !oci_chunkmap_holds(m, i, token))
        {
            return OCI_CONFLICT;
        }

        if (oci_swap(p, place, (place & ~OCI_CLAIM_EXPIRES)
                               | ((now + ttl) & OCI_CLAIM_EXPIRES)))
        {
            return OCI_OK;
        }
    }
}


void
oci_chunkmap_release(oci_chunkmap_t *m, uint32_t i, uint64_t token)
{
    uint64_t  place, *p;

    (void) oci_swap(&m->entries[i].claim, token, 0);

    p = &m->head->claims[(token >> 32) - 1];
    place = oci_load(p);

    if (place >> 40 == (token & OCI_CLAIM_NUMBER)) {
        (void) oci_swap(p, place, 0);
    }
}


int
oci_chunkmap_claim_more(oci_chunkmap_t *m, uint32_t i, uint64_t token,
    uint64_t now)
{
    uint64_t  claim;

    if (oci_chunkmap_filled(m, i, NULL) != 0) {
        return OCI_EXISTS;
    }

    claim = oci_load(&m->entries[i].claim);

    if (oci_chunkmap_live(m, claim, now)
        || !oci_swap(&m->entries[i].claim, claim, token))
    {
        return OCI_CONFLICT;
    }

    /* somebody may have had it between the two looks */

    if (oci_chunkmap_filled(m, i, NULL) != 0) {
        oci_chunkmap_release_one(m, i, token);
        return OCI_EXISTS;
    }

    return OCI_OK;
}


void
oci_chunkmap_release_one(oci_chunkmap_t *m, uint32_t i, uint64_t token)
{
    (void) oci_swap(&m->entries[i].claim, token, 0);
}


int
oci_chunkmap_holds(const oci_chunkmap_t *m, uint32_t i, uint64_t token)
{
    return oci_load(&m->entries[i].claim) == token;
}


unsigned
oci_chunkmap_claims(const oci_chunkmap_t *m, uint64_t now)
{
    unsigned  k, n;

    n = 0;

    for (k = 0; k < OCI_CHUNKMAP_CLAIMS; k++) {
        n += ((oci_load(&m->head->claims[k]) & OCI_CLAIM_EXPIRES) > now);
    }

    return n;
}


int
oci_chunkmap_publish(oci_chunkmap_t *m, uint32_t i, uint64_t token,
    uint32_t filled, uint32_t crc)
{
    if (!oci_chunkmap_holds(m, i, token)) {
        return OCI_CONFLICT;
    }

    if (filled > oci_chunkmap_chunk(m, i)
        || filled < oci_chunkmap_filled(m, i, NULL))
    {
        return OCI_RANGE;
    }

    oci_store(&m->entries[i].filled, (uint64_t) filled << 32 | crc);

    return OCI_OK;
}


void
oci_chunkmap_drop(oci_chunkmap_t *m, uint32_t i)
{
    oci_store(&m->entries[i].filled, 0);
}


void
oci_chunkmap_hash_load(const oci_chunkmap_t *m, oci_hash_t *h)
{
    if (oci_chunkmap_hash_newer(m, h) == -1) {
        oci_hash_init(h, m->alg);
    }
}


void
oci_chunkmap_hash_save(oci_chunkmap_t *m, const oci_hash_t *h)
{
    int         newer;
    oci_hash_t  last;

    newer = oci_chunkmap_hash_newer(m, &last);

    oci_hash_save(h, m->head->hash[newer == 0 ? 1 : 0]);

    oci_store(&m->head->hashed, h->size);
}


void
oci_chunkmap_hash_reset(oci_chunkmap_t *m)
{
    oci_store(&m->head->hashed, 0);
    memset(m->head->hash, 0, sizeof(m->head->hash));
}


int64_t
oci_chunkmap_hashed(const oci_chunkmap_t *m)
{
    uint64_t  hashed;

    hashed = oci_load(&m->head->hashed);

    return (hashed > (uint64_t) m->size) ? m->size : (int64_t) hashed;
}


void
oci_chunkmap_wait(oci_chunkmap_t *m, uint64_t bits)
{
    (void) __atomic_fetch_or(&m->head->waiters, bits, __ATOMIC_SEQ_CST);
}


uint64_t
oci_chunkmap_waiters(oci_chunkmap_t *m)
{
    if (__atomic_load_n(&m->head->waiters, __ATOMIC_SEQ_CST) == 0) {
        return 0;
    }

    return __atomic_exchange_n(&m->head->waiters, 0, __ATOMIC_SEQ_CST);
}


static uint32_t
oci_chunkmap_crc(const oci_chunkmap_head_t *h)
{
    return oci_crc32c(0, (const u_char *) h,
                      offsetof(oci_chunkmap_head_t, crc));
}


static int
oci_chunkmap_live(const oci_chunkmap_t *m, uint64_t claim, uint64_t now)
{
    uint64_t  k, place;

    k = claim >> 32;

    if (k == 0 || k > OCI_CHUNKMAP_CLAIMS) {
        return 0;
    }

    place = oci_load(&m->head->claims[k - 1]);

    return place >> 40 == (claim & 0xffffffff)
           && (place & OCI_CLAIM_EXPIRES) > now;
}


/* which of the two it is, -1: none */

static int
oci_chunkmap_hash_newer(const oci_chunkmap_t *m, oci_hash_t *h)
{
    int         i, newer;
    oci_hash_t  one;

    newer = -1;

    for (i = 0; i < 2; i++) {

        if (oci_hash_load(&one, m->head->hash[i]) != OCI_OK
            || one.alg != m->alg || one.size > (uint64_t) m->size)
        {
            continue;
        }

        if (newer == -1 || one.size > h->size) {
            *h = one;
            newer = i;
        }
    }

    return newer;
}


static int
oci_swap(uint64_t *p, uint64_t from, uint64_t to)
{
    return __atomic_compare_exchange_n(p, &from, to, 0, __ATOMIC_SEQ_CST,
                                       __ATOMIC_ACQUIRE);
}
