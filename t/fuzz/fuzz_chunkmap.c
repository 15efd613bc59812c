
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * A map file as it may be found: whatever its bytes are, it is refused, or
 * all that can be asked of it stays within it.
 */


#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "oci_chunkmap.h"


#define check(expr)                                                           \
    if (!(expr)) {                                                            \
        abort();                                                              \
    }


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_view(oci_chunkmap_t *m);
static void fuzz_made(const uint8_t *data, size_t size);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    void            *image;
    oci_digest_t     d;
    oci_chunkmap_t   m;

    image = aligned_alloc(16, (size + 16) & ~(size_t) 15);
    check(image != NULL);
    memcpy(image, data, size);

    oci_digest_of(&d, OCI_SHA256, (const u_char *) "blob", 4);

    if (oci_chunkmap_view(&m, image, size, &d) == OCI_OK) {
        fuzz_view(&m);
        check(oci_chunkmap_view(&m, image, size, &d) == OCI_OK);
    }

    free(image);

    fuzz_made(data, size);

    return 0;
}


/* a good head, and the input in place of all that changes */

static void
fuzz_made(const uint8_t *data, size_t size)
{
    void            *image;
    size_t           len, n;
    int64_t          blob;
    uint32_t         chunk;
    oci_digest_t     d;
    oci_chunkmap_t   m;

    if (size < 4) {
        return;
    }

    chunk = OCI_CHUNK_MIN;
    blob = (int64_t) (data[0] << 8 | data[1]) * 16;

    len = oci_chunkmap_length(blob, &chunk);
    check(len != 0);

    image = aligned_alloc(16, (len + 15) & ~(size_t) 15);
    check(image != NULL);
    memset(image, 0, len);

    oci_digest_of(&d, OCI_SHA256, (const u_char *) "blob", 4);
    oci_chunkmap_init(image, &d, blob, chunk, "boot");

    n = (size > 172) ? size - 172 : 0;

    if (n > len - 172) {
        n = len - 172;
    }

    if (n) {
        memcpy((u_char *) image + 172, data + 172, n);
    }

    /* the entries lie behind the head's page: let some bytes reach them */

    for (n = 2; n < size && OCI_CHUNKMAP_HEAD + n < len; n++) {
        ((u_char *) image)[OCI_CHUNKMAP_HEAD + n] = data[n];
    }

    check(oci_chunkmap_view(&m, image, len, &d) == OCI_OK);
    fuzz_view(&m);

    free(image);
}


static void
fuzz_view(oci_chunkmap_t *m)
{
    int         rc;
    char        boot[OCI_CHUNKMAP_BOOT];
    int64_t     end;
    uint32_t    i, crc, n;
    uint64_t    token;
    oci_hash_t  h;

    end = oci_chunkmap_ready(m, 0, m->size);
    check(end >= 0 && end <= m->size);
    check(oci_chunkmap_total(m) <= m->size);
    check(oci_chunkmap_hashed(m) <= m->size);
    check(oci_chunkmap_claims(m, 5) <= OCI_CHUNKMAP_CLAIMS);

    oci_chunkmap_boot(m, boot);
    check(memchr(boot, '\0', sizeof(boot)) != NULL);

    oci_chunkmap_hash_load(m, &h);
    check(h.size <= (uint64_t) m->size && h.alg == m->alg);
    oci_chunkmap_hash_save(m, &h);

    for (n = 0; n < 8; n++) {
        i = oci_chunkmap_pick(m, 0, m->size, 5);

        if (i == OCI_CHUNK_NONE) {
            break;
        }

        check(i < m->n);

        end = oci_chunkmap_start(m, i);
        check(oci_chunkmap_ready(m, end, m->size) >= end);

        rc = oci_chunkmap_claim(m, i, 5, 10, 4, &token);
        check(rc == OCI_OK || rc == OCI_AGAIN);

        if (rc != OCI_OK) {
            break;
        }

        check(oci_chunkmap_renew(m, i, token, 6, 10) == OCI_OK);
        check(oci_chunkmap_publish(m, i, token, oci_chunkmap_chunk(m, i), 1)
              == OCI_OK);
        oci_chunkmap_release(m, i, token);
        check(oci_chunkmap_filled(m, i, &crc) == oci_chunkmap_chunk(m, i));
        check(crc == 1);
    }

    oci_chunkmap_adopt(m, "boot");
    check(oci_chunkmap_claims(m, 5) == 0);
    check(oci_chunkmap_of_boot(m, "boot"));
}
