
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "oci_digest.h"

#if (defined __x86_64__ && defined __GNUC__)
#include <nmmintrin.h>
#define OCI_HAVE_SSE42  1
#else
#define OCI_HAVE_SSE42  0
#endif


/*
 * A saved hash state; all numbers are little-endian:
 *
 *     0    4   "OCIH"
 *     4    1   version
 *     5    1   algorithm: 1 sha256, 2 sha512
 *     6    2   0
 *     8    8   bytes hashed so far
 *    16   64   eight state words of 4 or of 8 bytes, 0 up to the end
 *    80  128   bytes of the block begun, 0 up to the end
 *   208   44   0
 *   252    4   CRC32C of all before it
 */

#define OCI_STATE_MAGIC      "OCIH"
#define OCI_STATE_VERSION    1

#define OCI_STATE_ALG_POS    5
#define OCI_STATE_SIZE_POS   8
#define OCI_STATE_WORDS_POS  16
#define OCI_STATE_TAIL_POS   80
#define OCI_STATE_CRC_POS    (OCI_HASH_STATE_SIZE - 4)

/* sha256 counts bits in 64 bits: more bytes than this it can't hash */

#define OCI_HASH_SIZE_MAX    ((((uint64_t) 1) << 61) - 1)


typedef struct {
    const char  *name;
    size_t       name_len;
    size_t       hex_len;
    size_t       block;
    size_t       word;
    u_char       id;                /* in a saved state */
} oci_alg_def_t;


static size_t oci_digest_algorithm(const u_char *p, size_t len);
static int oci_digest_encoded(const u_char *p, size_t len);
static void oci_digest_set(oci_digest_t *d, oci_alg_t alg, const u_char *md);
static void oci_put_le(u_char *p, uint64_t value, size_t n);
static uint64_t oci_get_le(const u_char *p, size_t n);
static int oci_digest_known(oci_digest_t *d, const u_char *text, size_t len);
static int oci_digest_hex(const u_char *p, size_t len);
static int oci_all_zero(const u_char *p, const u_char *last);
#if (OCI_HAVE_SSE42)
static uint32_t oci_crc32c_sse42(uint32_t crc, const u_char *data,
    size_t len);
#endif


static const oci_alg_def_t  oci_algs[OCI_ALG_COUNT] = {
    { "sha256", 6, 64, SHA256_CBLOCK, 4, 1 },
    { "sha512", 6, 128, SHA512_CBLOCK, 8, 2 }
};


/* CRC32C of each byte; the polynomial 0x1edc6f41, reflected */

static const uint32_t  oci_crc32c_table[256] = {
    0x00000000, 0xf26b8303, 0xe13b70f7, 0x1350f3f4,
    0xc79a971f, 0x35f1141c, 0x26a1e7e8, 0xd4ca64eb,
    0x8ad958cf, 0x78b2dbcc, 0x6be22838, 0x9989ab3b,
    0x4d43cfd0, 0xbf284cd3, 0xac78bf27, 0x5e133c24,
    0x105ec76f, 0xe235446c, 0xf165b798, 0x030e349b,
    0xd7c45070, 0x25afd373, 0x36ff2087, 0xc494a384,
    0x9a879fa0, 0x68ec1ca3, 0x7bbcef57, 0x89d76c54,
    0x5d1d08bf, 0xaf768bbc, 0xbc267848, 0x4e4dfb4b,
    0x20bd8ede, 0xd2d60ddd, 0xc186fe29, 0x33ed7d2a,
    0xe72719c1, 0x154c9ac2, 0x061c6936, 0xf477ea35,
    0xaa64d611, 0x580f5512, 0x4b5fa6e6, 0xb93425e5,
    0x6dfe410e, 0x9f95c20d, 0x8cc531f9, 0x7eaeb2fa,
    0x30e349b1, 0xc288cab2, 0xd1d83946, 0x23b3ba45,
    0xf779deae, 0x05125dad, 0x1642ae59, 0xe4292d5a,
    0xba3a117e, 0x4851927d, 0x5b016189, 0xa96ae28a,
    0x7da08661, 0x8fcb0562, 0x9c9bf696, 0x6ef07595,
    0x417b1dbc, 0xb3109ebf, 0xa0406d4b, 0x522bee48,
    0x86e18aa3, 0x748a09a0, 0x67dafa54, 0x95b17957,
    0xcba24573, 0x39c9c670, 0x2a993584, 0xd8f2b687,
    0x0c38d26c, 0xfe53516f, 0xed03a29b, 0x1f682198,
    0x5125dad3, 0xa34e59d0, 0xb01eaa24, 0x42752927,
    0x96bf4dcc, 0x64d4cecf, 0x77843d3b, 0x85efbe38,
    0xdbfc821c, 0x2997011f, 0x3ac7f2eb, 0xc8ac71e8,
    0x1c661503, 0xee0d9600, 0xfd5d65f4, 0x0f36e6f7,
    0x61c69362, 0x93ad1061, 0x80fde395, 0x72966096,
    0xa65c047d, 0x5437877e, 0x4767748a, 0xb50cf789,
    0xeb1fcbad, 0x197448ae, 0x0a24bb5a, 0xf84f3859,
    0x2c855cb2, 0xdeeedfb1, 0xcdbe2c45, 0x3fd5af46,
    0x7198540d, 0x83f3d70e, 0x90a324fa, 0x62c8a7f9,
    0xb602c312, 0x44694011, 0x5739b3e5, 0xa55230e6,
    0xfb410cc2, 0x092a8fc1, 0x1a7a7c35, 0xe811ff36,
    0x3cdb9bdd, 0xceb018de, 0xdde0eb2a, 0x2f8b6829,
    0x82f63b78, 0x709db87b, 0x63cd4b8f, 0x91a6c88c,
    0x456cac67, 0xb7072f64, 0xa457dc90, 0x563c5f93,
    0x082f63b7, 0xfa44e0b4, 0xe9141340, 0x1b7f9043,
    0xcfb5f4a8, 0x3dde77ab, 0x2e8e845f, 0xdce5075c,
    0x92a8fc17, 0x60c37f14, 0x73938ce0, 0x81f80fe3,
    0x55326b08, 0xa759e80b, 0xb4091bff, 0x466298fc,
    0x1871a4d8, 0xea1a27db, 0xf94ad42f, 0x0b21572c,
    0xdfeb33c7, 0x2d80b0c4, 0x3ed04330, 0xccbbc033,
    0xa24bb5a6, 0x502036a5, 0x4370c551, 0xb11b4652,
    0x65d122b9, 0x97baa1ba, 0x84ea524e, 0x7681d14d,
    0x2892ed69, 0xdaf96e6a, 0xc9a99d9e, 0x3bc21e9d,
    0xef087a76, 0x1d63f975, 0x0e330a81, 0xfc588982,
    0xb21572c9, 0x407ef1ca, 0x532e023e, 0xa145813d,
    0x758fe5d6, 0x87e466d5, 0x94b49521, 0x66df1622,
    0x38cc2a06, 0xcaa7a905, 0xd9f75af1, 0x2b9cd9f2,
    0xff56bd19, 0x0d3d3e1a, 0x1e6dcdee, 0xec064eed,
    0xc38d26c4, 0x31e6a5c7, 0x22b65633, 0xd0ddd530,
    0x0417b1db, 0xf67c32d8, 0xe52cc12c, 0x1747422f,
    0x49547e0b, 0xbb3ffd08, 0xa86f0efc, 0x5a048dff,
    0x8ecee914, 0x7ca56a17, 0x6ff599e3, 0x9d9e1ae0,
    0xd3d3e1ab, 0x21b862a8, 0x32e8915c, 0xc083125f,
    0x144976b4, 0xe622f5b7, 0xf5720643, 0x07198540,
    0x590ab964, 0xab613a67, 0xb831c993, 0x4a5a4a90,
    0x9e902e7b, 0x6cfbad78, 0x7fab5e8c, 0x8dc0dd8f,
    0xe330a81a, 0x115b2b19, 0x020bd8ed, 0xf0605bee,
    0x24aa3f05, 0xd6c1bc06, 0xc5914ff2, 0x37faccf1,
    0x69e9f0d5, 0x9b8273d6, 0x88d28022, 0x7ab90321,
    0xae7367ca, 0x5c18e4c9, 0x4f48173d, 0xbd23943e,
    0xf36e6f75, 0x0105ec76, 0x12551f82, 0xe03e9c81,
    0x34f4f86a, 0xc69f7b69, 0xd5cf889d, 0x27a40b9e,
    0x79b737ba, 0x8bdcb4b9, 0x988c474d, 0x6ae7c44e,
    0xbe2da0a5, 0x4c4623a6, 0x5f16d052, 0xad7d5351
};


const char *
oci_alg_name(oci_alg_t alg)
{
    return oci_algs[alg].name;
}


int
oci_alg_find(oci_alg_t *alg, const u_char *name, size_t len)
{
    unsigned  i;

    for (i = 0; i < OCI_ALG_COUNT; i++) {
        if (len == oci_algs[i].name_len
            && memcmp(name, oci_algs[i].name, len) == 0)
        {
            *alg = (oci_alg_t) i;
            return OCI_OK;
        }
    }

    return OCI_UNSUPPORTED;
}


int
oci_digest_parse(oci_digest_t *d, const u_char *text, size_t len)
{
    size_t     n, i;
    oci_alg_t  alg;

    if (oci_digest_known(d, text, len)) {
        return OCI_OK;
    }

    /* which kind of fault it is */

    d->alg = OCI_SHA256;
    d->hex_len = 0;
    d->hex[0] = '\0';

    n = oci_digest_algorithm(text, len);

    if (n == 0 || n == len || text[n] != ':') {
        return OCI_INVALID;
    }

    if (!oci_digest_encoded(text + n + 1, len - n - 1)) {
        return OCI_INVALID;
    }

    if (oci_alg_find(&alg, text, n) != OCI_OK) {
        return OCI_UNSUPPORTED;
    }

    text += n + 1;
    len -= n + 1;

    if (len != oci_algs[alg].hex_len) {
        return OCI_INVALID;
    }

    for (i = 0; i < len; i++) {
        if (!(text[i] >= '0' && text[i] <= '9')
            && !(text[i] >= 'a' && text[i] <= 'f'))
        {
            return OCI_INVALID;
        }
    }

    d->alg = alg;
    d->hex_len = len;
    memcpy(d->hex, text, len);
    d->hex[len] = '\0';

    return OCI_OK;
}


/* almost every digest: no look at a byte twice */

static int
oci_digest_known(oci_digest_t *d, const u_char *text, size_t len)
{
    unsigned              i;
    const oci_alg_def_t  *def;

    for (i = 0; i < OCI_ALG_COUNT; i++) {
        def = &oci_algs[i];

        if (len == def->name_len + 1 + def->hex_len
            && memcmp(text, def->name, def->name_len) == 0
            && text[def->name_len] == ':')
        {
            text += def->name_len + 1;

            if (!oci_digest_hex(text, def->hex_len)) {
                return 0;
            }

            d->alg = (oci_alg_t) i;
            d->hex_len = def->hex_len;
            memcpy(d->hex, text, def->hex_len);
            d->hex[def->hex_len] = '\0';

            return 1;
        }
    }

    return 0;
}


/* len is a multiple of 64; without a branch, so that it becomes vectors */

static int
oci_digest_hex(const u_char *p, size_t len)
{
    size_t  i;
    u_char  bad;

    for (bad = 0; len; p += 64, len -= 64) {
        for (i = 0; i < 64; i++) {
            bad |= (u_char) (((u_char) (p[i] - '0') > 9)
                             & ((u_char) (p[i] - 'a') > 5));
        }
    }

    return bad == 0;
}


size_t
oci_digest_text(const oci_digest_t *d, u_char *buf)
{
    u_char               *p;
    const oci_alg_def_t  *def;

    def = &oci_algs[d->alg];
    p = buf;

    memcpy(p, def->name, def->name_len);
    p += def->name_len;

    *p++ = ':';

    memcpy(p, d->hex, d->hex_len);
    p += d->hex_len;

    return (size_t) (p - buf);
}


int
oci_digest_equal(const oci_digest_t *a, const oci_digest_t *b)
{
    return a->alg == b->alg && a->hex_len == b->hex_len
           && memcmp(a->hex, b->hex, a->hex_len) == 0;
}


void
oci_digest_of(oci_digest_t *d, oci_alg_t alg, const u_char *data, size_t len)
{
    oci_hash_t  h;

    oci_hash_init(&h, alg);
    oci_hash_update(&h, data, len);
    oci_hash_digest(&h, d);
}


void
oci_hash_init(oci_hash_t *h, oci_alg_t alg)
{
    h->alg = alg;
    h->size = 0;

    if (alg == OCI_SHA512) {
        (void) SHA512_Init(&h->u.sha512);

    } else {
        (void) SHA256_Init(&h->u.sha256);
    }
}


void
oci_hash_update(oci_hash_t *h, const u_char *data, size_t len)
{
    if (len == 0) {
        return;
    }

    if (h->alg == OCI_SHA512) {
        (void) SHA512_Update(&h->u.sha512, data, len);

    } else {
        (void) SHA256_Update(&h->u.sha256, data, len);
    }

    h->size += len;
}


void
oci_hash_digest(const oci_hash_t *h, oci_digest_t *d)
{
    u_char      md[SHA512_DIGEST_LENGTH];
    oci_hash_t  last;

    last = *h;

    if (h->alg == OCI_SHA512) {
        (void) SHA512_Final(md, &last.u.sha512);

    } else {
        (void) SHA256_Final(md, &last.u.sha256);
    }

    oci_digest_set(d, h->alg, md);
}


void
oci_hash_save(const oci_hash_t *h, u_char *buf)
{
    u_char               *p;
    size_t                tail;
    unsigned              i;
    const oci_alg_def_t  *def;

    def = &oci_algs[h->alg];
    tail = (size_t) (h->size % def->block);

    memset(buf, 0, OCI_HASH_STATE_SIZE);

    memcpy(buf, OCI_STATE_MAGIC, sizeof(OCI_STATE_MAGIC) - 1);
    buf[sizeof(OCI_STATE_MAGIC) - 1] = OCI_STATE_VERSION;
    buf[OCI_STATE_ALG_POS] = def->id;

    oci_put_le(buf + OCI_STATE_SIZE_POS, h->size, 8);

    p = buf + OCI_STATE_WORDS_POS;

    for (i = 0; i < 8; i++) {
        oci_put_le(p, h->alg == OCI_SHA512 ? h->u.sha512.h[i]
                                           : h->u.sha256.h[i],
                   def->word);
        p += def->word;
    }

    /* OpenSSL keeps the block begun as bytes, whatever the type says */

    memcpy(buf + OCI_STATE_TAIL_POS,
           h->alg == OCI_SHA512 ? (const void *) h->u.sha512.u.p
                                : (const void *) h->u.sha256.data,
           tail);

    oci_put_le(buf + OCI_STATE_CRC_POS,
               oci_crc32c(0, buf, OCI_STATE_CRC_POS), 4);
}


int
oci_hash_load(oci_hash_t *h, const u_char *buf)
{
    size_t                tail;
    uint64_t              size;
    unsigned              alg, i;
    const u_char         *p;
    const oci_alg_def_t  *def;

    if (oci_get_le(buf + OCI_STATE_CRC_POS, 4)
        != oci_crc32c(0, buf, OCI_STATE_CRC_POS))
    {
        return OCI_INVALID;
    }

    if (memcmp(buf, OCI_STATE_MAGIC, sizeof(OCI_STATE_MAGIC) - 1) != 0
        || buf[sizeof(OCI_STATE_MAGIC) - 1] != OCI_STATE_VERSION)
    {
        return OCI_INVALID;
    }

    for (alg = 0; alg < OCI_ALG_COUNT; alg++) {
        if (buf[OCI_STATE_ALG_POS] == oci_algs[alg].id) {
            break;
        }
    }

    if (alg == OCI_ALG_COUNT) {
        return OCI_INVALID;
    }

    def = &oci_algs[alg];
    size = oci_get_le(buf + OCI_STATE_SIZE_POS, 8);

    if (size > OCI_HASH_SIZE_MAX) {
        return OCI_INVALID;
    }

    tail = (size_t) (size % def->block);

    if (!oci_all_zero(buf + OCI_STATE_ALG_POS + 1, buf + OCI_STATE_SIZE_POS)
        || !oci_all_zero(buf + OCI_STATE_WORDS_POS + 8 * def->word,
                         buf + OCI_STATE_TAIL_POS)
        || !oci_all_zero(buf + OCI_STATE_TAIL_POS + tail,
                         buf + OCI_STATE_CRC_POS))
    {
        return OCI_INVALID;
    }

    oci_hash_init(h, (oci_alg_t) alg);
    h->size = size;

    p = buf + OCI_STATE_WORDS_POS;

    if (h->alg == OCI_SHA512) {

        for (i = 0; i < 8; i++) {
            h->u.sha512.h[i] = oci_get_le(p, 8);
            p += 8;
        }

        h->u.sha512.Nl = size << 3;
        h->u.sha512.Nh = 0;
        h->u.sha512.num = (unsigned) tail;
        memcpy(h->u.sha512.u.p, buf + OCI_STATE_TAIL_POS, tail);

        return OCI_OK;
    }

    for (i = 0; i < 8; i++) {
        h->u.sha256.h[i] = (SHA_LONG) oci_get_le(p, 4);
        p += 4;
    }

    h->u.sha256.Nl = (SHA_LONG) ((size << 3) & 0xffffffff);
    h->u.sha256.Nh = (SHA_LONG) (size >> 29);
    h->u.sha256.num = (unsigned) tail;
    memcpy(h->u.sha256.data, buf + OCI_STATE_TAIL_POS, tail);

    return OCI_OK;
}


uint32_t
oci_crc32c(uint32_t crc, const u_char *data, size_t len)
{
#if (OCI_HAVE_SSE42)

    if (__builtin_cpu_supports("sse4.2")) {
        return oci_crc32c_sse42(crc, data, len);
    }

#endif

    return oci_crc32c_portable(crc, data, len);
}


uint32_t
oci_crc32c_portable(uint32_t crc, const u_char *data, size_t len)
{
    crc = ~crc;

    while (len--) {
        crc = (crc >> 8) ^ oci_crc32c_table[(crc ^ *data++) & 0xff];
    }

    return ~crc;
}


#if (OCI_HAVE_SSE42)

__attribute__((target("sse4.2")))
static uint32_t
oci_crc32c_sse42(uint32_t crc, const u_char *data, size_t len)
{
    uint64_t  c, word;

    c = (uint32_t) ~crc;

    while (len >= sizeof(uint64_t)) {
        memcpy(&word, data, sizeof(uint64_t));
        c = _mm_crc32_u64(c, word);
        data += sizeof(uint64_t);
        len -= sizeof(uint64_t);
    }

    crc = (uint32_t) c;

    while (len--) {
        crc = _mm_crc32_u8(crc, *data++);
    }

    return ~crc;
}

#endif


/* the length of the algorithm that p begins with, 0 if there is none */

static size_t
oci_digest_algorithm(const u_char *p, size_t len)
{
    size_t  i, part;

    part = 0;

    for (i = 0; i < len; i++) {

        if ((p[i] >= 'a' && p[i] <= 'z') || (p[i] >= '0' && p[i] <= '9')) {
            part++;
            continue;
        }

        if (p[i] != '+' && p[i] != '.' && p[i] != '_' && p[i] != '-') {
            break;
        }

        if (part == 0) {
            return 0;
        }

        part = 0;
    }

    return part ? i : 0;
}


static int
oci_digest_encoded(const u_char *p, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        if (!(p[i] >= 'a' && p[i] <= 'z') && !(p[i] >= 'A' && p[i] <= 'Z')
            && !(p[i] >= '0' && p[i] <= '9')
            && p[i] != '=' && p[i] != '_' && p[i] != '-')
        {
            return 0;
        }
    }

    return len > 0;
}


static void
oci_digest_set(oci_digest_t *d, oci_alg_t alg, const u_char *md)
{
    size_t             i;
    static const char  hex[] = "0123456789abcdef";

    d->alg = alg;
    d->hex_len = oci_algs[alg].hex_len;

    for (i = 0; i < d->hex_len / 2; i++) {
        d->hex[2 * i] = hex[md[i] >> 4];
        d->hex[2 * i + 1] = hex[md[i] & 0xf];
    }

    d->hex[d->hex_len] = '\0';
}


static void
oci_put_le(u_char *p, uint64_t value, size_t n)
{
    while (n--) {
        *p++ = (u_char) (value & 0xff);
        value >>= 8;
    }
}


static uint64_t
oci_get_le(const u_char *p, size_t n)
{
    uint64_t  value;

    value = 0;

    while (n--) {
        value = (value << 8) | p[n];
    }

    return value;
}


static int
oci_all_zero(const u_char *p, const u_char *last)
{
    while (p < last) {
        if (*p++ != 0) {
            return 0;
        }
    }

    return 1;
}
