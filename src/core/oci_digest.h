
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Digests as image-spec descriptor.md defines them, and the running hash
 * behind an upload, whose state can be saved and loaded.
 */


#ifndef _OCI_DIGEST_H_INCLUDED_
#define _OCI_DIGEST_H_INCLUDED_


#include "oci_core.h"

#include <openssl/sha.h>


typedef enum {
    OCI_SHA256 = 0,
    OCI_SHA512,
    OCI_ALG_COUNT
} oci_alg_t;


#define OCI_HEX_MAX      128                        /* hex digits of sha512 */
#define OCI_DIGEST_MAX   (sizeof("sha512:") - 1 + OCI_HEX_MAX)


/* a digest by value: no memory behind it */

typedef struct {
    oci_alg_t   alg;
    size_t      hex_len;                            /* 64 or 128 */
    char        hex[OCI_HEX_MAX + 1];               /* lower case, NUL */
} oci_digest_t;


typedef struct {
    oci_alg_t       alg;
    uint64_t        size;                           /* bytes hashed so far */
    union {
        SHA256_CTX  sha256;
        SHA512_CTX  sha512;
    } u;
} oci_hash_t;


/* size of a saved hash state: version, algorithm, state words, tail, CRC */

#define OCI_HASH_STATE_SIZE  256


/* "sha256" or "sha512", static */
const char *oci_alg_name(oci_alg_t alg);

/* OCI_OK, or OCI_UNSUPPORTED for a name that is not one of ours */
int oci_alg_find(oci_alg_t *alg, const u_char *name, size_t len);

/*
 * Parses "algorithm:encoded".  OCI_OK; OCI_INVALID outside the grammar
 * (upper-case or too short hex of a known algorithm included);
 * OCI_UNSUPPORTED when the grammar holds but the algorithm is unknown.
 */
int oci_digest_parse(oci_digest_t *d, const u_char *text, size_t len);

/*
 * Writes "algorithm:hex" into buf, which holds at least OCI_DIGEST_MAX
 * bytes; no NUL.  Returns the length.
 */
size_t oci_digest_text(const oci_digest_t *d, u_char *buf);

/* 1 if both are the same algorithm and value, else 0 */
int oci_digest_equal(const oci_digest_t *a, const oci_digest_t *b);

/* the digest of len bytes at once */
void oci_digest_of(oci_digest_t *d, oci_alg_t alg, const u_char *data,
    size_t len);


void oci_hash_init(oci_hash_t *h, oci_alg_t alg);
void oci_hash_update(oci_hash_t *h, const u_char *data, size_t len);

/* the digest of what came so far; the hash itself can go on */
void oci_hash_digest(const oci_hash_t *h, oci_digest_t *d);

/*
 * Saves the state into OCI_HASH_STATE_SIZE bytes: an explicit little-endian
 * format with version and CRC, so that any process of any build continues it.
 */
void oci_hash_save(const oci_hash_t *h, u_char *buf);

/* OCI_OK, or OCI_INVALID when version, algorithm or CRC do not hold */
int oci_hash_load(oci_hash_t *h, const u_char *buf);


/* CRC32C (Castagnoli) of len bytes, continuing from crc (0 at first) */
uint32_t oci_crc32c(uint32_t crc, const u_char *data, size_t len);

/* the same without instructions of a special CPU, what others fall back to */
uint32_t oci_crc32c_portable(uint32_t crc, const u_char *data, size_t len);


#endif /* _OCI_DIGEST_H_INCLUDED_ */
