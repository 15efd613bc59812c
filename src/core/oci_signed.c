
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "oci_signed.h"
#include "oci_route.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>


#define OCI_SIGNED_DIGITS  15       /* of a time */
#define OCI_SIGNED_PARTS   7


static const char  oci_signed_expires[] = "oci_expires";
static const char  oci_signed_who[] = "oci_client";
static const char  oci_signed_mac[] = "oci_signature";

/* no two uses of one key begin with the same word */

static const char  oci_signed_label_url[] = "signed url";
static const char  oci_signed_label_client[] = "client";


static int oci_signed_arg(const oci_str_t *args, const char *name,
    oci_str_t *value, u_char *buf, size_t size);
static int oci_signed_hex(const oci_str_t *value, u_char *to, size_t len);
static int oci_signed_time(const oci_str_t *value, int64_t *seconds);
static int oci_signed_hmac(const u_char *key, const oci_str_t *parts,
    unsigned n, u_char *hex, size_t len);


int
oci_signed_parse(oci_signed_t *s, const oci_str_t *args)
{
    int        expires, who, mac;
    u_char     time[OCI_SIGNED_DIGITS], text[OCI_SIGNED_MAC];
    u_char     client[OCI_SIGNED_CLIENT];
    oci_str_t  at, by, seal;

    expires = oci_signed_arg(args, oci_signed_expires, &at, time,
                             sizeof(time));
    who = oci_signed_arg(args, oci_signed_who, &by, client, sizeof(client));
    mac = oci_signed_arg(args, oci_signed_mac, &seal, text, sizeof(text));

    if (expires == OCI_NOT_FOUND && who == OCI_NOT_FOUND
        && mac == OCI_NOT_FOUND)
    {
        return OCI_NOT_FOUND;
    }

    if (expires != OCI_OK || mac != OCI_OK || who == OCI_INVALID) {
        return OCI_INVALID;
    }

    s->has_client = (who == OCI_OK);

    if (s->has_client
        && oci_signed_hex(&by, s->client, sizeof(s->client)) != OCI_OK)
    {
        return OCI_INVALID;
    }

    if (oci_signed_hex(&seal, s->mac, sizeof(s->mac)) != OCI_OK) {
        return OCI_INVALID;
    }

    return oci_signed_time(&at, &s->expires);
}


/* an argument that may be there once */

static int
oci_signed_arg(const oci_str_t *args, const char *name, oci_str_t *value,
    u_char *buf, size_t size)
{
    int        rc;
    u_char     again[1];
    oci_str_t  other;

    rc = oci_query_arg(args, name, 0, value, buf, size);

    if (rc == OCI_OK
        && oci_query_arg(args, name, 1, &other, again, sizeof(again))
           != OCI_NOT_FOUND)
    {
        return OCI_INVALID;
    }

    return rc;
}


static int
oci_signed_hex(const oci_str_t *value, u_char *to, size_t len)
{
    size_t  i;

    if (value->len != len) {
        return OCI_INVALID;
    }

    for (i = 0; i < len; i++) {

        if (!((value->data[i] >= '0' && value->data[i] <= '9')
              || (value->data[i] >= 'a' && value->data[i] <= 'f')))
        {
            return OCI_INVALID;
        }
    }

    memcpy(to, value->data, len);

    return OCI_OK;
}


static int
oci_signed_time(const oci_str_t *value, int64_t *seconds)
{
    size_t   i;
    int64_t  n;

    /* one way to write each: what is signed is the number */

    if (value->len == 0 || value->data[0] == '0') {
        return OCI_INVALID;
    }

    n = 0;

    for (i = 0; i < value->len; i++) {

        if (value->data[i] < '0' || value->data[i] > '9') {
            return OCI_INVALID;
        }

        n = n * 10 + (value->data[i] - '0');
    }

    *seconds = n;

    return OCI_OK;
}


int
oci_signed_sign(oci_signed_t *s, const u_char key[OCI_SIGNED_KEY])
{
    int        n;
    u_char     digest[OCI_DIGEST_MAX];
    char       expires[24];
    oci_str_t  parts[OCI_SIGNED_PARTS];

    n = snprintf(expires, sizeof(expires), "%lld", (long long) s->expires);

    parts[0].data = (u_char *) oci_signed_label_url;
    parts[0].len = sizeof(oci_signed_label_url) - 1;
    parts[1] = s->ns;
    parts[2] = s->name;
    parts[3].data = digest;
    parts[3].len = oci_digest_text(&s->digest, digest);
    parts[4] = s->upstream;
    parts[5].data = (u_char *) expires;
    parts[5].len = (size_t) n;
    parts[6].data = s->client;
    parts[6].len = s->has_client ? sizeof(s->client) : 0;

    return oci_signed_hmac(key, parts, OCI_SIGNED_PARTS, s->mac,
                           sizeof(s->mac));
}


int
oci_signed_check(const oci_signed_t *s, const u_char key[OCI_SIGNED_KEY],
    int64_t now)
{
    oci_signed_t  own;

    own = *s;

    if (oci_signed_sign(&own, key) != OCI_OK) {
        return OCI_ERROR;
    }

    if (CRYPTO_memcmp(own.mac, s->mac, sizeof(own.mac)) != 0) {
        return OCI_MISMATCH;
    }

    return (now < s->expires) ? OCI_OK : OCI_RANGE;
}


int
oci_signed_client(oci_signed_t *s, const u_char key[OCI_SIGNED_KEY],
    const u_char *authorization, size_t len)
{
    oci_str_t  parts[2];

    parts[0].data = (u_char *) oci_signed_label_client;
    parts[0].len = sizeof(oci_signed_label_client) - 1;
    parts[1].data = (u_char *) authorization;
    parts[1].len = len;

    s->has_client = 1;

    return oci_signed_hmac(key, parts, 2, s->client, sizeof(s->client));
}


/* hex of the first len / 2 bytes; lengths are hashed, so parts can't shift */

static int
oci_signed_hmac(const u_char *key, const oci_str_t *parts, unsigned n,
    u_char *hex, size_t len)
{
    int                  rc;
    u_char               mac[EVP_MAX_MD_SIZE], size[8];
    size_t               i, k;
    unsigned             m;
    uint64_t             l;
    HMAC_CTX            *ctx;

    static const u_char  digits[] = "0123456789abcdef";

    ctx = HMAC_CTX_new();
    if (ctx == NULL) {
        return OCI_ERROR;
    }

    rc = HMAC_Init_ex(ctx, key, OCI_SIGNED_KEY, EVP_sha256(), NULL);

    for (i = 0; i < n && rc == 1; i++) {
        l = parts[i].len;

        for (k = 0; k < sizeof(size); k++) {
            size[k] = (u_char) (l >> (8 * k));
        }

        rc = HMAC_Update(ctx, size, sizeof(size));

        if (rc == 1 && parts[i].len) {
            rc = HMAC_Update(ctx, parts[i].data, parts[i].len);
        }
    }

    m = sizeof(mac);

    if (rc == 1) {
        rc = HMAC_Final(ctx, mac, &m);
    }

    HMAC_CTX_free(ctx);

    if (rc != 1 || m < len / 2) {
        return OCI_ERROR;
    }

    for (i = 0; i < len / 2; i++) {
        *hex++ = digits[mac[i] >> 4];
        *hex++ = digits[mac[i] & 0xf];
    }

    return OCI_OK;
}


int
oci_signed_own(const u_char *arg, size_t len)
{
    size_t              n;
    unsigned            i;
    static const char  *names[] = {
        oci_signed_expires, oci_signed_who, oci_signed_mac
    };

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        n = strlen(names[i]);

        if (len >= n && memcmp(arg, names[i], n) == 0
            && (len == n || arg[n] == '='))
        {
            return 1;
        }
    }

    return 0;
}


size_t
oci_signed_query(const oci_signed_t *s, u_char buf[OCI_SIGNED_QUERY_MAX])
{
    int  n;

    if (s->has_client) {
        n = snprintf((char *) buf, OCI_SIGNED_QUERY_MAX,
                     "%s=%lld&%s=%.*s&%s=%.*s",
                     oci_signed_expires, (long long) s->expires,
                     oci_signed_who, OCI_SIGNED_CLIENT, s->client,
                     oci_signed_mac, OCI_SIGNED_MAC, s->mac);

    } else {
        n = snprintf((char *) buf, OCI_SIGNED_QUERY_MAX, "%s=%lld&%s=%.*s",
                     oci_signed_expires, (long long) s->expires,
                     oci_signed_mac, OCI_SIGNED_MAC, s->mac);
    }

    return (size_t) n;
}
