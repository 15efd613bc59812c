
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
#include <openssl/evp.h>

#include "oci_digest.h"


#define HEX64  "e3b0c44298fc1c149afbf4c8996fb924" \
               "27ae41e4649b934ca495991b7852b855"

#define DATA_SIZE  2048


static void fill(u_char *p, size_t len, uint32_t seed);
static void one_shot(oci_alg_t alg, const u_char *p, size_t len,
    char *text);
static uint32_t crc_by_bits(const u_char *p, size_t len);
static void put_crc(u_char *saved);


static u_char  data[DATA_SIZE];


static void
test_alg(void **state)
{
    oci_alg_t  alg;

    (void) state;

    assert_string_equal(oci_alg_name(OCI_SHA256), "sha256");
    assert_string_equal(oci_alg_name(OCI_SHA512), "sha512");

    assert_int_equal(oci_alg_find(&alg, (u_char *) "sha256", 6), OCI_OK);
    assert_int_equal(alg, OCI_SHA256);
    assert_int_equal(oci_alg_find(&alg, (u_char *) "sha512", 6), OCI_OK);
    assert_int_equal(alg, OCI_SHA512);

    assert_int_equal(oci_alg_find(&alg, (u_char *) "sha25", 5),
                     OCI_UNSUPPORTED);
    assert_int_equal(oci_alg_find(&alg, (u_char *) "sha2566", 7),
                     OCI_UNSUPPORTED);
    assert_int_equal(oci_alg_find(&alg, (u_char *) "SHA256", 6),
                     OCI_UNSUPPORTED);
    assert_int_equal(oci_alg_find(&alg, (u_char *) "blake3", 6),
                     OCI_UNSUPPORTED);
    assert_int_equal(oci_alg_find(&alg, (u_char *) "", 0), OCI_UNSUPPORTED);
}


static void
test_parse(void **state)
{
    size_t        i;
    oci_digest_t  d;

    static const struct {
        const char  *text;
        int          rc;
    } cases[] = {
        { "sha256:" HEX64, OCI_OK },
        { "sha512:" HEX64 HEX64, OCI_OK },

        { "", OCI_INVALID },
        { ":", OCI_INVALID },
        { "sha256", OCI_INVALID },
        { "sha256:", OCI_INVALID },
        { ":" HEX64, OCI_INVALID },
        { HEX64, OCI_INVALID },
        { "sha256:baddigeststring", OCI_INVALID },
        { "sha256:totallywrong", OCI_INVALID },
        { "sha256:" HEX64 "0", OCI_INVALID },
        { "sha256:" HEX64 HEX64, OCI_INVALID },
        { "sha512:" HEX64, OCI_INVALID },
        { "sha256: " HEX64, OCI_INVALID },
        { " sha256:" HEX64, OCI_INVALID },
        { "sha256:" HEX64 "\n", OCI_INVALID },
        { "sha256::" HEX64, OCI_INVALID },
        { "SHA256:" HEX64, OCI_INVALID },
        { "sha256/" HEX64, OCI_INVALID },
        { "sha256:E3B0C44298FC1C149AFBF4C8996FB924"
          "27AE41E4649B934CA495991B7852B855", OCI_INVALID },
        { "sha256:E3b0c44298fc1c149afbf4c8996fb924"
          "27ae41e4649b934ca495991b7852b855", OCI_INVALID },
        { "sha256:g3b0c44298fc1c149afbf4c8996fb924"
          "27ae41e4649b934ca495991b7852b855", OCI_INVALID },
        { "sha256:../44298fc1c149afbf4c8996fb924"
          "27ae41e4649b934ca495991b7852b855", OCI_INVALID },

        { "blake3:" HEX64, OCI_UNSUPPORTED },
        { "sha384:" HEX64, OCI_UNSUPPORTED },
        { "md5:d41d8cd98f00b204e9800998ecf8427e", OCI_UNSUPPORTED },
        { "sha256+b64:LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564=",
          OCI_UNSUPPORTED },
        { "multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8",
          OCI_UNSUPPORTED },
        { "a:b", OCI_UNSUPPORTED },
        { "a.b_c-d+e:=", OCI_UNSUPPORTED },

        { "a..b:c", OCI_INVALID },
        { "a+-b:c", OCI_INVALID },
        { "+a:c", OCI_INVALID },
        { "a+:c", OCI_INVALID },
        { "a/b:c", OCI_INVALID },
        { "a:b:c", OCI_INVALID },
        { "a:b/c", OCI_INVALID },
        { "a:b.c", OCI_INVALID },
        { "a:b+c", OCI_INVALID },
        { "a:\xc3\xa4", OCI_INVALID }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {

        memset(&d, 0x5a, sizeof(d));

        if (oci_digest_parse(&d, (const u_char *) cases[i].text,
                             strlen(cases[i].text))
            != cases[i].rc)
        {
            fail_msg("\"%s\" is not %d", cases[i].text, cases[i].rc);
        }

        if (cases[i].rc != OCI_OK) {
            assert_int_equal(d.hex_len, 0);
            continue;
        }

        assert_string_equal(d.hex, strchr(cases[i].text, ':') + 1);
        assert_int_equal(d.hex_len, strlen(d.hex));
    }

    assert_int_equal(oci_digest_parse(&d, (u_char *) "sha256:" HEX64 "\0",
                                      7 + 64 + 1), OCI_INVALID);
    assert_int_equal(oci_digest_parse(&d, (u_char *) "a\0:b", 4),
                     OCI_INVALID);
    assert_int_equal(oci_digest_parse(&d, (u_char *) "a:\0", 3),
                     OCI_INVALID);
}


/* each byte value at each place of the hex, and each cut */

static void
test_parse_bytes(void **state)
{
    int           c, want;
    size_t        i, len;
    u_char        text[OCI_DIGEST_MAX + 1];
    oci_digest_t  d;

    (void) state;

    len = sizeof("sha256:" HEX64) - 1;

    for (i = 7; i < len; i++) {
        for (c = 0; c < 256; c++) {
            memcpy(text, "sha256:" HEX64, len);
            text[i] = (u_char) c;

            want = c != 0 && strchr("0123456789abcdef", c) != NULL
                   ? OCI_OK : OCI_INVALID;

            assert_int_equal(oci_digest_parse(&d, text, len), want);
        }
    }

    memcpy(text, "sha256:" HEX64, len);

    for (i = 0; i < len; i++) {
        assert_int_equal(oci_digest_parse(&d, text, i), OCI_INVALID);
    }

    len = OCI_DIGEST_MAX;
    memcpy(text, "sha512:" HEX64 HEX64 "0", len + 1);

    for (i = 0; i < len; i++) {
        assert_int_equal(oci_digest_parse(&d, text, i), OCI_INVALID);
    }

    assert_int_equal(oci_digest_parse(&d, text, len), OCI_OK);
    assert_int_equal(oci_digest_parse(&d, text, len + 1), OCI_INVALID);
}


static void
test_text(void **state)
{
    size_t        n;
    u_char        buf[OCI_DIGEST_MAX + 1];
    oci_digest_t  d;

    (void) state;

    assert_int_equal(OCI_DIGEST_MAX, 7 + 128);

    memset(buf, '#', sizeof(buf));
    assert_int_equal(oci_digest_parse(&d, (u_char *) "sha256:" HEX64, 71),
                     OCI_OK);
    n = oci_digest_text(&d, buf);
    assert_int_equal(n, 71);
    assert_memory_equal(buf, "sha256:" HEX64 "#", 72);

    memset(buf, '#', sizeof(buf));
    assert_int_equal(oci_digest_parse(&d, (u_char *) "sha512:" HEX64 HEX64,
                                      135), OCI_OK);
    n = oci_digest_text(&d, buf);
    assert_int_equal(n, 135);
    assert_memory_equal(buf, "sha512:" HEX64 HEX64 "#", 136);
}


static void
test_equal(void **state)
{
    oci_digest_t  a, b;

    (void) state;

    memset(&a, 0, sizeof(a));
    memset(&b, 0xff, sizeof(b));

    oci_digest_of(&a, OCI_SHA256, (u_char *) "", 0);
    oci_digest_of(&b, OCI_SHA256, (u_char *) "", 0);
    assert_int_equal(oci_digest_equal(&a, &b), 1);

    b.hex[63] ^= 1;
    assert_int_equal(oci_digest_equal(&a, &b), 0);

    oci_digest_of(&b, OCI_SHA512, (u_char *) "", 0);
    assert_int_equal(oci_digest_equal(&a, &b), 0);

    /* the same first digits under another algorithm */

    b = a;
    b.alg = OCI_SHA512;
    assert_int_equal(oci_digest_equal(&a, &b), 0);
}


static void
test_known(void **state)
{
    oci_digest_t  d;

    (void) state;

    oci_digest_of(&d, OCI_SHA256, NULL, 0);
    assert_string_equal(d.hex, HEX64);
    assert_int_equal(d.hex_len, 64);

    oci_digest_of(&d, OCI_SHA256, (u_char *) "{}", 2);
    assert_string_equal(d.hex,
        "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");

    oci_digest_of(&d, OCI_SHA512, (u_char *) "abc", 3);
    assert_string_equal(d.hex,
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
        "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
    assert_int_equal(d.hex_len, 128);
}


static void
test_of(void **state)
{
    char          hex[OCI_HEX_MAX + 1];
    size_t        len;
    unsigned      alg;
    oci_digest_t  d;

    (void) state;

    for (alg = 0; alg < OCI_ALG_COUNT; alg++) {
        for (len = 0; len <= 600; len++) {
            oci_digest_of(&d, (oci_alg_t) alg, data, len);
            one_shot((oci_alg_t) alg, data, len, hex);
            assert_string_equal(d.hex, hex);
            assert_int_equal(d.alg, alg);
        }
    }
}


/* saved and loaded at each boundary of 5 blocks, then continued */

static void
test_save_load(void **state)
{
    char          hex[OCI_HEX_MAX + 1], part[OCI_HEX_MAX + 1];
    size_t        len, cut;
    u_char        saved[OCI_HASH_STATE_SIZE], again[OCI_HASH_STATE_SIZE];
    unsigned      alg;
    oci_hash_t    h, loaded;
    oci_digest_t  d;

    (void) state;

    len = 5 * SHA512_CBLOCK + 17;

    for (alg = 0; alg < OCI_ALG_COUNT; alg++) {

        one_shot((oci_alg_t) alg, data, len, hex);

        for (cut = 0; cut <= len; cut++) {

            oci_hash_init(&h, (oci_alg_t) alg);
            oci_hash_update(&h, data, cut);

            memset(saved, 0x5a, sizeof(saved));
            oci_hash_save(&h, saved);

            memset(&loaded, 0x5a, sizeof(loaded));
            assert_int_equal(oci_hash_load(&loaded, saved), OCI_OK);

            assert_int_equal(loaded.alg, alg);
            assert_int_equal(loaded.size, cut);

            oci_hash_save(&loaded, again);
            assert_memory_equal(saved, again, sizeof(saved));

            one_shot((oci_alg_t) alg, data, cut, part);
            oci_hash_digest(&loaded, &d);
            assert_string_equal(d.hex, part);

            oci_hash_update(&loaded, data + cut, len - cut);
            assert_int_equal(loaded.size, len);
            oci_hash_digest(&loaded, &d);
            assert_string_equal(d.hex, hex);

            /* saving left the first one as it was */

            oci_hash_update(&h, data + cut, len - cut);
            oci_hash_digest(&h, &d);
            assert_string_equal(d.hex, hex);
        }
    }
}


/* a chain: saved and loaded after each piece, pieces of every length */

static void
test_save_load_chain(void **state)
{
    char          hex[OCI_HEX_MAX + 1];
    size_t        step, pos, n;
    u_char        saved[OCI_HASH_STATE_SIZE];
    unsigned      alg;
    oci_hash_t    h;
    oci_digest_t  d;

    (void) state;

    for (alg = 0; alg < OCI_ALG_COUNT; alg++) {

        one_shot((oci_alg_t) alg, data, DATA_SIZE, hex);

        for (step = 1; step <= 300; step++) {

            oci_hash_init(&h, (oci_alg_t) alg);
            oci_hash_save(&h, saved);

            for (pos = 0; pos < DATA_SIZE; pos += n) {
                n = DATA_SIZE - pos < step ? DATA_SIZE - pos : step;

                memset(&h, 0xff, sizeof(h));
                assert_int_equal(oci_hash_load(&h, saved), OCI_OK);
                oci_hash_update(&h, data + pos, n);
                oci_hash_save(&h, saved);
            }

            assert_int_equal(oci_hash_load(&h, saved), OCI_OK);
            oci_hash_digest(&h, &d);
            assert_string_equal(d.hex, hex);
        }
    }
}


/* bit counters over 32 bits: 4 GiB and 1 block, without hashing so much */

static void
test_large_size(void **state)
{
    u_char        saved[OCI_HASH_STATE_SIZE];
    uint64_t      blocks;
    oci_hash_t    h;
    oci_digest_t  d;
    SHA256_CTX    c256;
    SHA512_CTX    c512;
    u_char        md[SHA512_DIGEST_LENGTH];
    char          hex[OCI_HEX_MAX + 1];
    size_t        i;

    (void) state;

    blocks = ((uint64_t) 1 << 32) / SHA256_CBLOCK + 1;

    oci_hash_init(&h, OCI_SHA256);
    h.size = blocks * SHA256_CBLOCK + 5;
    memcpy(h.u.sha256.data, "12345", 5);
    oci_hash_save(&h, saved);
    assert_int_equal(oci_hash_load(&h, saved), OCI_OK);
    assert_int_equal(h.size, blocks * SHA256_CBLOCK + 5);
    oci_hash_digest(&h, &d);

    SHA256_Init(&c256);
    c256.Nl = (SHA_LONG) (((blocks * SHA256_CBLOCK) << 3) & 0xffffffff);
    c256.Nh = (SHA_LONG) ((blocks * SHA256_CBLOCK) >> 29);
    assert_true(c256.Nh != 0);
    SHA256_Update(&c256, "12345", 5);
    SHA256_Final(md, &c256);

    for (i = 0; i < 32; i++) {
        sprintf(hex + 2 * i, "%02x", md[i]);
    }

    assert_string_equal(d.hex, hex);

    oci_hash_init(&h, OCI_SHA512);
    h.size = blocks * SHA512_CBLOCK + 5;
    memcpy(h.u.sha512.u.p, "12345", 5);
    oci_hash_save(&h, saved);
    assert_int_equal(oci_hash_load(&h, saved), OCI_OK);
    oci_hash_digest(&h, &d);

    SHA512_Init(&c512);
    c512.Nl = (blocks * SHA512_CBLOCK) << 3;
    SHA512_Update(&c512, "12345", 5);
    SHA512_Final(md, &c512);

    for (i = 0; i < 64; i++) {
        sprintf(hex + 2 * i, "%02x", md[i]);
    }

    assert_string_equal(d.hex, hex);

    /* 2^61 - 1 is the last size that fits */

    oci_hash_init(&h, OCI_SHA256);
    h.size = ((uint64_t) 1 << 61) - 1;
    oci_hash_save(&h, saved);
    assert_int_equal(oci_hash_load(&h, saved), OCI_OK);

    h.size++;
    oci_hash_save(&h, saved);
    assert_int_equal(oci_hash_load(&h, saved), OCI_INVALID);
}


/* the layout is fixed: bytes written by hand load and are saved again */

static void
test_format(void **state)
{
    size_t      i;
    u_char      want[OCI_HASH_STATE_SIZE], got[OCI_HASH_STATE_SIZE];
    oci_hash_t  h;

    static const u_char  words256[32] = {
        0x67, 0xe6, 0x09, 0x6a, 0x85, 0xae, 0x67, 0xbb,
        0x72, 0xf3, 0x6e, 0x3c, 0x3a, 0xf5, 0x4f, 0xa5,
        0x7f, 0x52, 0x0e, 0x51, 0x8c, 0x68, 0x05, 0x9b,
        0xab, 0xd9, 0x83, 0x1f, 0x19, 0xcd, 0xe0, 0x5b
    };

    static const u_char  word512[8] = {
        0x08, 0xc9, 0xbc, 0xf3, 0x67, 0xe6, 0x09, 0x6a
    };

    (void) state;

    assert_int_equal(OCI_HASH_STATE_SIZE, 256);

    memset(want, 0, sizeof(want));
    memcpy(want, "OCIH\x01\x01\0\0\x03\0\0\0\0\0\0\0", 16);
    memcpy(want + 16, words256, 32);
    memcpy(want + 80, "abc", 3);
    put_crc(want);

    oci_hash_init(&h, OCI_SHA256);
    oci_hash_update(&h, (u_char *) "abc", 3);
    oci_hash_save(&h, got);
    assert_memory_equal(got, want, sizeof(want));

    oci_hash_init(&h, OCI_SHA512);
    oci_hash_update(&h, data, 127);
    oci_hash_save(&h, got);
    assert_memory_equal(got, "OCIH\x01\x02\0\0\x7f\0\0\0\0\0\0\0", 16);
    assert_memory_equal(got + 16, word512, 8);
    assert_memory_equal(got + 80, data, 127);

    for (i = 80 + 127; i < 252; i++) {
        assert_int_equal(got[i], 0);
    }
}


static void
test_load_refuses(void **state)
{
    size_t      i;
    u_char      saved[OCI_HASH_STATE_SIZE], bad[OCI_HASH_STATE_SIZE];
    unsigned    alg, bit;
    oci_hash_t  h;

    static const struct {
        size_t  pos;
        u_char  value;
    } cases[] = {
        { 0, 'o' },             /* magic */
        { 4, 0 },               /* version */
        { 4, 2 },
        { 5, 0 },               /* algorithm */
        { 5, 3 },
        { 5, 255 },
        { 6, 1 },               /* reserved */
        { 7, 1 },
        { 15, 0x20 },           /* size */
        { 15, 0x80 },
        { 80 + 5, 1 },          /* behind the tail */
        { 207, 1 },
        { 208, 1 },
        { 251, 1 }
    };

    (void) state;

    for (alg = 0; alg < OCI_ALG_COUNT; alg++) {

        oci_hash_init(&h, (oci_alg_t) alg);
        oci_hash_update(&h, data, 5);
        oci_hash_save(&h, saved);

        /* every single bit is under the CRC */

        for (i = 0; i < sizeof(saved); i++) {
            for (bit = 0; bit < 8; bit++) {
                memcpy(bad, saved, sizeof(bad));
                bad[i] ^= (u_char) (1 << bit);
                assert_int_equal(oci_hash_load(&h, bad), OCI_INVALID);
            }
        }

        /* and what a right CRC does not excuse */

        for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
            memcpy(bad, saved, sizeof(bad));
            bad[cases[i].pos] = cases[i].value;
            put_crc(bad);
            assert_int_equal(oci_hash_load(&h, bad), OCI_INVALID);
        }

        assert_int_equal(oci_hash_load(&h, saved), OCI_OK);
    }

    /* words of sha512 under the name of sha256 */

    oci_hash_init(&h, OCI_SHA512);
    oci_hash_save(&h, bad);
    bad[5] = 1;
    put_crc(bad);
    assert_int_equal(oci_hash_load(&h, bad), OCI_INVALID);

    memset(bad, 0, sizeof(bad));
    assert_int_equal(oci_hash_load(&h, bad), OCI_INVALID);
    memset(bad, 0xff, sizeof(bad));
    assert_int_equal(oci_hash_load(&h, bad), OCI_INVALID);
}


static uint32_t
crc_by_bits(const u_char *p, size_t len)
{
    int       i;
    uint32_t  crc;

    crc = 0xffffffff;

    while (len--) {
        crc ^= *p++;

        for (i = 0; i < 8; i++) {
            crc = crc & 1 ? (crc >> 1) ^ 0x82f63b78 : crc >> 1;
        }
    }

    return ~crc;
}


static void
test_crc32c(void **state)
{
    size_t    start, len, cut;
    u_char    buf[32];
    uint32_t  want;

    (void) state;

    /* RFC 3720, B.4 */

    assert_int_equal(oci_crc32c(0, (u_char *) "123456789", 9), 0xe3069283);
    memset(buf, 0, sizeof(buf));
    assert_int_equal(oci_crc32c(0, buf, 32), 0x8a9136aa);
    memset(buf, 0xff, sizeof(buf));
    assert_int_equal(oci_crc32c(0, buf, 32), 0x62a8ab43);

    assert_int_equal(oci_crc32c(0, NULL, 0), 0);
    assert_int_equal(oci_crc32c_portable(0, NULL, 0), 0);

    /* both ways, at each alignment and length */

    for (start = 0; start < 16; start++) {
        for (len = 0; len <= 200; len++) {
            want = crc_by_bits(data + start, len);

            assert_int_equal(oci_crc32c(0, data + start, len), want);
            assert_int_equal(oci_crc32c_portable(0, data + start, len),
                             want);
        }
    }

    /* continued, one way after the other */

    want = crc_by_bits(data, 300);

    for (cut = 0; cut <= 300; cut++) {
        assert_int_equal(oci_crc32c(oci_crc32c(0, data, cut),
                                    data + cut, 300 - cut), want);
        assert_int_equal(oci_crc32c_portable(oci_crc32c(0, data, cut),
                                             data + cut, 300 - cut), want);
        assert_int_equal(oci_crc32c(oci_crc32c_portable(0, data, cut),
                                    data + cut, 300 - cut), want);
    }
}


static void
fill(u_char *p, size_t len, uint32_t seed)
{
    while (len--) {
        seed = seed * 1664525 + 1013904223;
        *p++ = (u_char) (seed >> 24);
    }
}


static void
one_shot(oci_alg_t alg, const u_char *p, size_t len, char *text)
{
    u_char    md[EVP_MAX_MD_SIZE];
    unsigned  i, n;

    n = 0;

    assert_int_equal(EVP_Digest(p, len, md, &n,
                                alg == OCI_SHA512 ? EVP_sha512()
                                                  : EVP_sha256(), NULL), 1);

    for (i = 0; i < n; i++) {
        sprintf(text + 2 * i, "%02x", md[i]);
    }
}


static void
put_crc(u_char *saved)
{
    uint32_t  crc;

    crc = crc_by_bits(saved, 252);

    saved[252] = (u_char) crc;
    saved[253] = (u_char) (crc >> 8);
    saved[254] = (u_char) (crc >> 16);
    saved[255] = (u_char) (crc >> 24);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alg),
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_parse_bytes),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_of),
        cmocka_unit_test(test_save_load),
        cmocka_unit_test(test_save_load_chain),
        cmocka_unit_test(test_large_size),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_load_refuses),
        cmocka_unit_test(test_crc32c)
    };

    fill(data, sizeof(data), 1);

    return cmocka_run_group_tests(tests, NULL, NULL);
}
