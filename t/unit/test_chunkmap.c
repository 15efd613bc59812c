
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "oci_chunkmap.h"


#define BOOT   "11111111-2222-3333-4444-555555555555"
#define OTHER  "66666666-7777-8888-9999-aaaaaaaaaaaa"
#define CHUNK  4096


static void *make(oci_chunkmap_t *m, oci_digest_t *d, int64_t size,
    uint32_t chunk, size_t *len);
static void fill(oci_chunkmap_t *m, uint32_t i, uint32_t bytes);


static void
test_length(void **state)
{
    uint32_t  chunk;

    (void) state;

    chunk = CHUNK;
    assert_int_equal(oci_chunkmap_length(0, &chunk), OCI_CHUNKMAP_HEAD);
    assert_int_equal(oci_chunkmap_length(1, &chunk), OCI_CHUNKMAP_HEAD + 16);
    assert_int_equal(oci_chunkmap_length(CHUNK, &chunk),
                     OCI_CHUNKMAP_HEAD + 16);
    assert_int_equal(oci_chunkmap_length(CHUNK + 1, &chunk),
                     OCI_CHUNKMAP_HEAD + 32);
    assert_int_equal(oci_chunkmap_length(-1, &chunk), 0);
    assert_int_equal(oci_chunkmap_length(INT64_MAX, &chunk), 0);
    assert_int_equal(chunk, CHUNK);

    /* larger chunks where there would be too many */

    assert_int_equal(oci_chunkmap_length((int64_t) CHUNK * OCI_CHUNKS_MAX,
                                         &chunk),
                     OCI_CHUNKMAP_HEAD + 16 * OCI_CHUNKS_MAX);
    assert_int_equal(chunk, CHUNK);

    assert_int_equal(oci_chunkmap_length((int64_t) CHUNK * OCI_CHUNKS_MAX
                                         + 1, &chunk),
                     OCI_CHUNKMAP_HEAD + 16 * (OCI_CHUNKS_MAX / 2 + 1));
    assert_int_equal(chunk, 2 * CHUNK);

    chunk = OCI_CHUNK_MAX;
    assert_int_equal(oci_chunkmap_length((int64_t) OCI_CHUNK_MAX
                                         * OCI_CHUNKS_MAX + 1, &chunk), 0);
    chunk = OCI_CHUNK_MIN - 1;
    assert_int_equal(oci_chunkmap_length(1, &chunk), 0);
    chunk = OCI_CHUNK_MAX + 1u;
    assert_int_equal(oci_chunkmap_length(1, &chunk), 0);
}


static void
test_strict(void **state)
{
    void            *image;
    size_t           len, i;
    u_char          *p, was;
    oci_digest_t     d, other;
    oci_chunkmap_t   m;

    (void) state;

    image = make(&m, &d, 3 * CHUNK + 100, CHUNK, &len);
    p = image;

    assert_int_equal(m.n, 4);
    assert_int_equal(m.size, 3 * CHUNK + 100);
    assert_int_equal(oci_chunkmap_chunk(&m, 2), CHUNK);
    assert_int_equal(oci_chunkmap_chunk(&m, 3), 100);

    oci_digest_of(&other, OCI_SHA256, (const u_char *) "other", 5);
    assert_int_equal(oci_chunkmap_view(&m, image, len, &other),
                     OCI_MISMATCH);
    oci_digest_of(&other, OCI_SHA512, (const u_char *) "blob", 4);
    assert_int_equal(oci_chunkmap_view(&m, image, len, &other),
                     OCI_MISMATCH);

    for (i = 0; i < len; i += (i < 256) ? 1 : 512) {
        assert_int_equal(oci_chunkmap_view(&m, image, i, &d), OCI_INVALID);
    }

    assert_int_equal(oci_chunkmap_view(&m, image, len - 1, &d), OCI_INVALID);
    assert_int_equal(oci_chunkmap_view(&m, image, len + 1, &d), OCI_INVALID);
    assert_int_equal(oci_chunkmap_view(&m, image, len + 16, &d),
                     OCI_INVALID);

    /* no byte of what does not change may be another one */

    for (i = 0; i < 172; i++) {
        was = p[i];
        p[i] ^= 0x10;
        assert_int_equal(oci_chunkmap_view(&m, image, len, &d), OCI_INVALID);
        p[i] = was;
    }

    assert_int_equal(oci_chunkmap_view(&m, image, len, &d), OCI_OK);

    free(image);
}


static void
test_progress(void **state)
{
    void            *image;
    size_t           len;
    uint32_t         crc;
    uint64_t         token;
    oci_digest_t     d;
    oci_chunkmap_t   m;

    (void) state;

    image = make(&m, &d, 3 * CHUNK + 100, CHUNK, &len);

    assert_int_equal(oci_chunkmap_ready(&m, 0, m.size), 0);
    assert_int_equal(oci_chunkmap_ready(&m, 5000, m.size), 5000);
    assert_int_equal(oci_chunkmap_total(&m), 0);

    assert_int_equal(oci_chunkmap_claim(&m, 1, 1000, 50, 4, &token), OCI_OK);

    assert_int_equal(oci_chunkmap_publish(&m, 1, token, 1000, 7), OCI_OK);
    assert_int_equal(oci_chunkmap_filled(&m, 1, &crc), 1000);
    assert_int_equal(crc, 7);

    assert_int_equal(oci_chunkmap_ready(&m, CHUNK, m.size), CHUNK + 1000);
    assert_int_equal(oci_chunkmap_ready(&m, CHUNK + 999, m.size),
                     CHUNK + 1000);
    assert_int_equal(oci_chunkmap_ready(&m, CHUNK + 1000, m.size),
                     CHUNK + 1000);
    assert_int_equal(oci_chunkmap_ready(&m, CHUNK + 2000, m.size),
                     CHUNK + 2000);
    assert_int_equal(oci_chunkmap_ready(&m, CHUNK, CHUNK + 10), CHUNK + 10);
    assert_int_equal(oci_chunkmap_ready(&m, 0, m.size), 0);

    /* forwards only, and no more than there is */

    assert_int_equal(oci_chunkmap_publish(&m, 1, token, 999, 7), OCI_RANGE);
    assert_int_equal(oci_chunkmap_publish(&m, 1, token, CHUNK + 1, 7),
                     OCI_RANGE);
    assert_int_equal(oci_chunkmap_publish(&m, 1, token + 1, 2000, 7),
                     OCI_CONFLICT);
    assert_int_equal(oci_chunkmap_publish(&m, 1, token, CHUNK, 8), OCI_OK);
    oci_chunkmap_release(&m, 1, token);
    assert_int_equal(oci_chunkmap_publish(&m, 1, token, CHUNK, 8),
                     OCI_CONFLICT);

    fill(&m, 2, CHUNK);
    assert_int_equal(oci_chunkmap_ready(&m, CHUNK + 5, m.size), 3 * CHUNK);
    fill(&m, 3, 100);
    assert_int_equal(oci_chunkmap_ready(&m, CHUNK + 5, m.size), m.size);
    assert_int_equal(oci_chunkmap_ready(&m, CHUNK + 5, INT64_MAX), m.size);
    assert_int_equal(oci_chunkmap_ready(&m, m.size, INT64_MAX), m.size);
    fill(&m, 0, CHUNK);
    assert_int_equal(oci_chunkmap_ready(&m, 0, m.size), m.size);
    assert_int_equal(oci_chunkmap_total(&m), m.size);

    oci_chunkmap_drop(&m, 0);
    assert_int_equal(oci_chunkmap_ready(&m, 0, m.size), 0);
    assert_int_equal(oci_chunkmap_total(&m), m.size - CHUNK);

    free(image);
}


static void
test_claims(void **state)
{
    void            *image;
    size_t           len;
    uint64_t         a, b, c;
    oci_digest_t     d;
    oci_chunkmap_t   m;

    (void) state;

    image = make(&m, &d, 8 * CHUNK, CHUNK, &len);

    assert_int_equal(oci_chunkmap_pick(&m, 0, m.size, 1000), 0);
    assert_int_equal(oci_chunkmap_claim(&m, 0, 1000, 50, 2, &a), OCI_OK);
    assert_int_equal(oci_chunkmap_claim(&m, 0, 1000, 50, 2, &b),
                     OCI_CONFLICT);
    assert_int_equal(oci_chunkmap_pick(&m, 0, m.size, 1000), 1);
    assert_int_equal(oci_chunkmap_pick(&m, 0, 10, 1000), OCI_CHUNK_NONE);
    assert_int_equal(oci_chunkmap_pick(&m, 5 * CHUNK + 1, 5 * CHUNK + 2,
                                       1000), 5);

    assert_int_equal(oci_chunkmap_claim(&m, 5, 1000, 60, 2, &b), OCI_OK);
    assert_int_equal(oci_chunkmap_claims(&m, 1000), 2);

    /* no more than so many at once */

    assert_int_equal(oci_chunkmap_claim(&m, 6, 1000, 50, 2, &c), OCI_AGAIN);
    assert_int_equal(oci_chunkmap_claim(&m, 6, 1000, 50, 3, &c), OCI_OK);
    oci_chunkmap_release(&m, 6, c);
    assert_int_equal(oci_chunkmap_claims(&m, 1000), 2);

    /* progress moves the time, standing still does not */

    assert_int_equal(oci_chunkmap_renew(&m, 0, a, 1040, 50), OCI_OK);
    assert_int_equal(oci_chunkmap_pick(&m, 0, 10, 1089), OCI_CHUNK_NONE);
    assert_int_equal(oci_chunkmap_claims(&m, 1070), 1);
    assert_int_equal(oci_chunkmap_pick(&m, 0, 10, 1090), 0);

    assert_int_equal(oci_chunkmap_claim(&m, 5, 1060, 50, 2, &c), OCI_OK);
    assert_int_not_equal(c, b);
    assert_int_equal(oci_chunkmap_renew(&m, 5, b, 1060, 50), OCI_CONFLICT);
    assert_int_equal(oci_chunkmap_publish(&m, 5, b, 10, 1), OCI_CONFLICT);
    assert_int_equal(oci_chunkmap_publish(&m, 5, c, 10, 1), OCI_OK);

    /* what ran out but was not taken is still its holder's */

    assert_int_equal(oci_chunkmap_renew(&m, 0, a, 1200, 50), OCI_OK);
    assert_int_equal(oci_chunkmap_claim(&m, 0, 1240, 50, 4, &b),
                     OCI_CONFLICT);

    /* the release of one that lost it changes nothing */

    assert_int_equal(oci_chunkmap_claim(&m, 0, 1250, 50, 4, &b), OCI_OK);
    oci_chunkmap_release(&m, 0, a);
    assert_true(oci_chunkmap_holds(&m, 0, b));
    assert_int_equal(oci_chunkmap_claim(&m, 0, 1251, 50, 4, &c),
                     OCI_CONFLICT);

    assert_int_equal(oci_chunkmap_publish(&m, 0, b, CHUNK, 1), OCI_OK);
    oci_chunkmap_release(&m, 0, b);
    assert_int_equal(oci_chunkmap_claim(&m, 0, 1251, 50, 4, &c), OCI_EXISTS);
    assert_int_equal(oci_chunkmap_claims(&m, 2000), 0);

    free(image);
}


/* several chunks under one claim: they come and go with it */

static void
test_claim_of_several(void **state)
{
    void            *image;
    size_t           len;
    uint64_t         a, b;
    oci_digest_t     d;
    oci_chunkmap_t   m;

    (void) state;

    image = make(&m, &d, 8 * CHUNK, CHUNK, &len);

    fill(&m, 3, 10);

    assert_int_equal(oci_chunkmap_claim(&m, 0, 1000, 50, 1, &a), OCI_OK);
    assert_int_equal(oci_chunkmap_claim_more(&m, 1, a, 1000), OCI_OK);
    assert_int_equal(oci_chunkmap_claim_more(&m, 2, a, 1000), OCI_OK);
    assert_int_equal(oci_chunkmap_claim_more(&m, 3, a, 1000), OCI_EXISTS);
    assert_int_equal(oci_chunkmap_claims(&m, 1000), 1);
    assert_int_equal(oci_chunkmap_pick(&m, 0, m.size, 1000), 3);

    assert_int_equal(oci_chunkmap_claim(&m, 4, 1000, 50, 2, &b), OCI_OK);
    assert_int_equal(oci_chunkmap_claim_more(&m, 2, b, 1000), OCI_CONFLICT);
    assert_int_equal(oci_chunkmap_publish(&m, 2, b, 1, 1), OCI_CONFLICT);
    oci_chunkmap_release(&m, 4, b);

    /* done with the first: the others are held all the same */

    assert_int_equal(oci_chunkmap_publish(&m, 0, a, CHUNK, 1), OCI_OK);
    oci_chunkmap_release_one(&m, 0, a);
    assert_int_equal(oci_chunkmap_renew(&m, 1, a, 1040, 50), OCI_OK);
    assert_int_equal(oci_chunkmap_pick(&m, 0, 3 * CHUNK, 1089),
                     OCI_CHUNK_NONE);

    /* and all are free with the end of the claim */

    assert_int_equal(oci_chunkmap_pick(&m, 0, m.size, 1090), 1);
    oci_chunkmap_release(&m, 1, a);
    assert_int_equal(oci_chunkmap_pick(&m, 2 * CHUNK, m.size, 1041), 2);
    assert_int_equal(oci_chunkmap_claim(&m, 2, 1041, 50, 1, &b), OCI_OK);
    assert_false(oci_chunkmap_holds(&m, 2, a));

    free(image);
}


/* many processes on one map: each chunk is got by one of them */

static void
test_processes(void **state)
{
    int              status;
    void            *image;
    pid_t            pid[4];
    size_t           len;
    uint32_t         i, n, chunk, *got;
    uint64_t         token;
    unsigned         k;
    oci_digest_t     d;
    oci_chunkmap_t   m;

    (void) state;

    chunk = CHUNK;
    n = 20000;
    len = oci_chunkmap_length((int64_t) n * CHUNK, &chunk);
    image = mmap(NULL, len, PROT_READ|PROT_WRITE, MAP_SHARED|MAP_ANONYMOUS,
                 -1, 0);
    got = mmap(NULL, n * sizeof(uint32_t), PROT_READ|PROT_WRITE,
               MAP_SHARED|MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(image, MAP_FAILED);
    assert_ptr_not_equal(got, MAP_FAILED);

    oci_digest_of(&d, OCI_SHA256, (const u_char *) "blob", 4);
    oci_chunkmap_init(image, &d, (int64_t) n * CHUNK, chunk, BOOT);
    assert_int_equal(oci_chunkmap_view(&m, image, len, &d), OCI_OK);

    for (k = 0; k < 4; k++) {
        pid[k] = fork();
        assert_int_not_equal(pid[k], -1);

        if (pid[k] != 0) {
            continue;
        }

        for ( ;; ) {
            i = oci_chunkmap_pick(&m, 0, m.size, 1);

            if (i == OCI_CHUNK_NONE) {
                if (oci_chunkmap_ready(&m, 0, m.size) == m.size) {
                    _exit(0);
                }

                continue;
            }

            if (oci_chunkmap_claim(&m, i, 1, 1000, 8, &token) != OCI_OK) {
                continue;
            }

            __atomic_fetch_add(&got[i], 1, __ATOMIC_RELAXED);

            if (oci_chunkmap_publish(&m, i, token, CHUNK, 0) != OCI_OK) {
                _exit(1);
            }

            oci_chunkmap_release(&m, i, token);
        }
    }

    for (k = 0; k < 4; k++) {
        assert_int_equal(waitpid(pid[k], &status, 0), pid[k]);
        assert_int_equal(status, 0);
    }

    for (i = 0; i < n; i++) {
        assert_int_equal(got[i], 1);
    }

    assert_int_equal(oci_chunkmap_claims(&m, 2), 0);

    assert_int_equal(munmap(image, len), 0);
    assert_int_equal(munmap(got, n * sizeof(uint32_t)), 0);
}


static void
test_hash(void **state)
{
    void            *image;
    size_t           len;
    u_char          *p;
    unsigned         i, at;
    oci_hash_t       h, back;
    oci_digest_t     d, want, have;
    oci_chunkmap_t   m;

    (void) state;

    image = make(&m, &d, 10 * CHUNK, CHUNK, &len);
    p = image;

    oci_chunkmap_hash_load(&m, &h);
    assert_int_equal(h.size, 0);
    assert_int_equal(h.alg, OCI_SHA256);

    for (i = 1; i <= 5; i++) {
        oci_hash_update(&h, (const u_char *) "hello", 5);
        oci_chunkmap_hash_save(&m, &h);
        assert_int_equal(oci_chunkmap_hashed(&m), 5 * i);
        oci_chunkmap_hash_load(&m, &back);
        assert_int_equal(back.size, 5 * i);
    }

    oci_digest_of(&want, OCI_SHA256,
                  (const u_char *) "hellohellohellohellohello", 25);
    oci_hash_digest(&back, &have);
    assert_true(oci_digest_equal(&want, &have));

    /* the last save was cut off in the middle: the one before it holds */

    for (at = 0; at + 4 < len && memcmp(p + at, "OCIH", 4) != 0; at++) {
        /* void */
    }

    for (i = 0; i < 2; i++) {
        p[at + i * OCI_HASH_STATE_SIZE + 60] ^= 1;
        oci_chunkmap_hash_load(&m, &back);
        assert_true(back.size == 20 || back.size == 25);
        p[at + i * OCI_HASH_STATE_SIZE + 60] ^= 1;
    }

    p[at + 60] ^= 1;
    p[at + OCI_HASH_STATE_SIZE + 60] ^= 1;
    oci_chunkmap_hash_load(&m, &back);
    assert_int_equal(back.size, 0);
    p[at + 60] ^= 1;
    p[at + OCI_HASH_STATE_SIZE + 60] ^= 1;

    oci_chunkmap_hash_reset(&m);
    assert_int_equal(oci_chunkmap_hashed(&m), 0);
    oci_chunkmap_hash_load(&m, &back);
    assert_int_equal(back.size, 0);

    free(image);
}


static void
test_boots(void **state)
{
    char             boot[OCI_CHUNKMAP_BOOT];
    void            *image;
    size_t           len;
    uint64_t         token;
    oci_hash_t       h;
    oci_digest_t     d;
    oci_chunkmap_t   m;

    (void) state;

    image = make(&m, &d, 10 * CHUNK, CHUNK, &len);

    assert_true(oci_chunkmap_of_boot(&m, BOOT));
    assert_false(oci_chunkmap_of_boot(&m, OTHER));
    oci_chunkmap_boot(&m, boot);
    assert_string_equal(boot, BOOT);

    fill(&m, 3, CHUNK);
    assert_int_equal(oci_chunkmap_claim(&m, 1, 9, 1 << 30, 4, &token),
                     OCI_OK);
    oci_chunkmap_hash_load(&m, &h);
    oci_hash_update(&h, (const u_char *) "hello", 5);
    oci_chunkmap_hash_save(&m, &h);
    oci_chunkmap_wait(&m, 5);
    assert_false(oci_chunkmap_single(&m));
    oci_chunkmap_set_single(&m);
    assert_true(oci_chunkmap_single(&m));
    oci_chunkmap_set_state(&m, OCI_CHUNKMAP_VERIFIED);

    oci_chunkmap_adopt(&m, OTHER);

    assert_true(oci_chunkmap_of_boot(&m, OTHER));
    assert_int_equal(oci_chunkmap_state(&m), OCI_CHUNKMAP_OPEN);
    assert_int_equal(oci_chunkmap_claims(&m, 10), 0);
    assert_int_equal(oci_chunkmap_pick(&m, CHUNK, 2 * CHUNK, 10), 1);
    assert_int_equal(oci_chunkmap_hashed(&m), 0);
    assert_int_equal(oci_chunkmap_waiters(&m), 0);
    assert_false(oci_chunkmap_single(&m));
    assert_int_equal(oci_chunkmap_filled(&m, 3, NULL), CHUNK);
    assert_int_equal(oci_chunkmap_view(&m, image, len, &d), OCI_OK);

    /* waiters are told once */

    oci_chunkmap_wait(&m, 1);
    oci_chunkmap_wait(&m, 4);
    assert_int_equal(oci_chunkmap_waiters(&m), 5);
    assert_int_equal(oci_chunkmap_waiters(&m), 0);

    oci_chunkmap_set_state(&m, OCI_CHUNKMAP_FAILED);
    oci_chunkmap_adopt(&m, BOOT);
    assert_int_equal(oci_chunkmap_state(&m), OCI_CHUNKMAP_FAILED);

    free(image);
}


static void *
make(oci_chunkmap_t *m, oci_digest_t *d, int64_t size, uint32_t chunk,
    size_t *len)
{
    void  *image;

    *len = oci_chunkmap_length(size, &chunk);
    assert_int_not_equal(*len, 0);

    image = calloc(1, *len + 16);
    assert_non_null(image);

    oci_digest_of(d, OCI_SHA256, (const u_char *) "blob", 4);
    oci_chunkmap_init(image, d, size, chunk, BOOT);
    assert_int_equal(oci_chunkmap_view(m, image, *len, d), OCI_OK);

    return image;
}


static void
fill(oci_chunkmap_t *m, uint32_t i, uint32_t bytes)
{
    uint64_t  token;

    assert_int_equal(oci_chunkmap_claim(m, i, 1, 1, 4, &token), OCI_OK);
    assert_int_equal(oci_chunkmap_publish(m, i, token, bytes, 0), OCI_OK);
    oci_chunkmap_release(m, i, token);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_length),
        cmocka_unit_test(test_strict),
        cmocka_unit_test(test_progress),
        cmocka_unit_test(test_claims),
        cmocka_unit_test(test_claim_of_several),
        cmocka_unit_test(test_processes),
        cmocka_unit_test(test_hash),
        cmocka_unit_test(test_boots)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
