
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * The input as the text of a digest and as a saved hash state; the latter
 * also with its CRC put right, which no mutation would find by itself.
 */


#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "oci_digest.h"


#define check(expr)                                                           \
    if (!(expr)) {                                                            \
        abort();                                                              \
    }


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_parse(const u_char *p, size_t len);
static void fuzz_load(u_char *p);
static void fuzz_crc(const u_char *p, size_t len);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    u_char    *p, *state;
    unsigned   i;
    uint32_t   crc;

    p = calloc(1, size ? size : 1);
    state = malloc(OCI_HASH_STATE_SIZE);
    check(p != NULL && state != NULL);

    if (size) {
        memcpy(p, data, size);
    }

    fuzz_parse(p, size);
    fuzz_crc(p, size);

    memset(state, 0, OCI_HASH_STATE_SIZE);

    if (size) {
        memcpy(state, p, size < OCI_HASH_STATE_SIZE ? size
                                                    : OCI_HASH_STATE_SIZE);
    }

    fuzz_load(state);

    crc = oci_crc32c(0, state, OCI_HASH_STATE_SIZE - 4);

    for (i = 0; i < 4; i++) {
        state[OCI_HASH_STATE_SIZE - 4 + i] = (u_char) (crc >> (8 * i));
    }

    fuzz_load(state);

    free(state);
    free(p);

    return 0;
}


static void
fuzz_parse(const u_char *p, size_t len)
{
    int            rc;
    size_t         n;
    u_char        *text;
    oci_digest_t   d, again;

    rc = oci_digest_parse(&d, p, len);

    check(rc == OCI_OK || rc == OCI_INVALID || rc == OCI_UNSUPPORTED);

    if (rc != OCI_OK) {
        check(d.hex_len == 0);
        return;
    }

    check(d.alg < OCI_ALG_COUNT && strlen(d.hex) == d.hex_len);

    text = malloc(OCI_DIGEST_MAX);
    check(text != NULL);

    n = oci_digest_text(&d, text);
    check(n == len && memcmp(text, p, n) == 0);
    check(oci_digest_parse(&again, text, n) == OCI_OK);
    check(oci_digest_equal(&d, &again));

    free(text);
}


/* a state that loads is the only one that saves so, and can go on */

static void
fuzz_load(u_char *p)
{
    u_char        saved[OCI_HASH_STATE_SIZE];
    oci_hash_t    h;
    oci_digest_t  d;

    if (oci_hash_load(&h, p) != OCI_OK) {
        return;
    }

    oci_hash_save(&h, saved);
    check(memcmp(saved, p, OCI_HASH_STATE_SIZE) == 0);

    oci_hash_update(&h, p, OCI_HASH_STATE_SIZE);
    oci_hash_digest(&h, &d);
    check(strlen(d.hex) == d.hex_len);
}


static void
fuzz_crc(const u_char *p, size_t len)
{
    check(oci_crc32c(0, p, len) == oci_crc32c_portable(0, p, len));
}
