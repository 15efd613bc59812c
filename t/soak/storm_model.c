
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * What a storm has written, what it asks for, and what may be the answer.
 *
 * A key goes from version to version, one write at a time, and each version
 * has content of its own; only blobs come and go twice more with the same
 * content, so that what was remembered of them is wrong again.
 */


#include "storm.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>


#define STORM_CYCLE   6                 /* versions of one blob's content */

#define STORM_TYPE    "application/vnd.oci.image.manifest.v1+json"

/* of "{}" */
#define STORM_CONFIG                                                          \
    "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


static storm_key_t  *storm_keys;
static unsigned      storm_nkeys;
static unsigned      storm_nrepos;
static unsigned      storm_nblobs;      /* where they begin */
static unsigned      storm_nreferrers;
static char          storm_filler[STORM_BODY_MAX];
static char          storm_content[STORM_BODY_MAX];
static char          storm_subject[STORM_REPOS_MAX][STORM_HEX + 1];

static const size_t  storm_tag_sizes[STORM_TAGS] = {
    0, 100, 700, 1400, 2500, 5000, 12000, 300
};

static const size_t  storm_blob_sizes[STORM_BLOBS] = {
    200, 1500, 3000, 9000
};


static void
storm_hex(char *hex, const void *p, size_t len)
{
    unsigned       i;
    unsigned char  sum[SHA256_DIGEST_LENGTH];

    (void) SHA256(p, len, sum);

    for (i = 0; i < SHA256_DIGEST_LENGTH; i++) {
        (void) sprintf(hex + 2 * i, "%02x", sum[i]);
    }
}


storm_key_t *
storm_model_of(storm_kind_e kind, unsigned repo, unsigned index)
{
    switch (kind) {

    case STORM_TAG:
        return &storm_keys[repo * STORM_TAGS + index];

    case STORM_BLOB:
        return &storm_keys[storm_nblobs + repo * STORM_BLOBS + index];

    default: /* STORM_REFERRER */
        return &storm_keys[storm_nreferrers + repo * STORM_REFERRERS + index];
    }
}


void
storm_model_init(unsigned repos)
{
    char          text[64];
    unsigned      i, k;
    storm_key_t  *key;

    storm_nrepos = repos;
    storm_nblobs = repos * STORM_TAGS;
    storm_nreferrers = storm_nblobs + repos * STORM_BLOBS;
    storm_nkeys = storm_nreferrers + repos * STORM_REFERRERS;

    storm_keys = calloc(storm_nkeys, sizeof(storm_key_t));

    if (storm_keys == NULL) {
        storm_fail("calloc()");
    }

    for (i = 0; i < sizeof(storm_filler); i++) {
        storm_filler[i] = (char) ('a' + storm_random() % 26);
    }

    for (i = 0; i < repos; i++) {

        for (k = 0; k < STORM_TAGS; k++) {
            key = storm_model_of(STORM_TAG, i, k);
            key->kind = STORM_TAG;
            key->repo = i;
            key->index = k;
            key->oldest = 1;
        }

        for (k = 0; k < STORM_BLOBS; k++) {
            key = storm_model_of(STORM_BLOB, i, k);
            key->kind = STORM_BLOB;
            key->repo = i;
            key->index = k;
        }

        for (k = 0; k < STORM_REFERRERS; k++) {
            key = storm_model_of(STORM_REFERRER, i, k);
            key->kind = STORM_REFERRER;
            key->repo = i;
            key->index = k;
        }

        (void) snprintf(text, sizeof(text), "subject %u", i);
        storm_hex(storm_subject[i], text, strlen(text));
    }
}


unsigned
storm_model_keys(void)
{
    return storm_nkeys;
}


storm_key_t *
storm_model_key(unsigned i)
{
    return &storm_keys[i];
}


storm_key_t *
storm_model_any(void)
{
    unsigned  repo, n;

    repo = (unsigned) (storm_random() % storm_nrepos);

    if (storm_random() % 8) {
        repo /= 4;
    }

    n = (unsigned) (storm_random()
                    % (STORM_TAGS + STORM_BLOBS + STORM_REFERRERS));

    if (n < STORM_TAGS) {
        return storm_model_of(STORM_TAG, repo, n);
    }

    n -= STORM_TAGS;

    if (n < STORM_BLOBS) {
        return storm_model_of(STORM_BLOB, repo, n);
    }

    return storm_model_of(STORM_REFERRER, repo, n - STORM_BLOBS);
}


/* ---- content */

static size_t
storm_blob(const storm_key_t *k, uint32_t content, char *buf)
{
    int     n;
    size_t  size;

    n = sprintf(buf, "soak blob R%04uB%02uC%010u\n", k->repo, k->index,
                content);

    size = storm_blob_sizes[k->index];

    if (k->index == STORM_BLOBS - 1 && k->repo % 16 == 0) {
        size = 36000;
    }

    memcpy(buf + n, storm_filler, size);

    return (size_t) n + size;
}


static size_t
storm_manifest(const storm_key_t *k, uint32_t version, char *buf)
{
    int     n;
    size_t  size;

    n = sprintf(buf,
                "{\"schemaVersion\":2,\"mediaType\":\"" STORM_TYPE "\","
                "\"config\":{\"mediaType\":"
                "\"application/vnd.oci.image.config.v1+json\","
                "\"digest\":\"sha256:" STORM_CONFIG "\",\"size\":2},"
                "\"layers\":[],");

    if (k->kind == STORM_REFERRER) {
        n += sprintf(buf + n,
                     "\"artifactType\":\"application/x-soak\",\"subject\":{"
                     "\"mediaType\":\"" STORM_TYPE "\","
                     "\"digest\":\"sha256:%s\",\"size\":9},"
                     "\"annotations\":{\"soak.value\":\"R%04uS%02uV%010u\"}}",
                     storm_subject[k->repo], k->repo, k->index, version);

        return (size_t) n;
    }

    n += sprintf(buf + n,
                 "\"annotations\":{\"soak.value\":\"R%04uT%02uV%010u\","
                 "\"soak.pad\":\"", k->repo, k->index, version);

    size = storm_tag_sizes[k->index];

    if (k->index == STORM_TAGS - 1 && k->repo % 16 == 0) {
        size = 40000;
    }

    memcpy(buf + n, storm_filler, size);
    n += (int) size;

    memcpy(buf + n, "\"}}", 3);

    return (size_t) n + 3;
}


/* the version's place in the ring, made where it is not */

static storm_version_t *
storm_version(storm_key_t *k, uint32_t version)
{
    size_t            len;
    storm_version_t  *v;

    v = &k->ring[version % STORM_RING];

    if (v->version == version && v->hex[0]) {
        return v;
    }

    memset(v, 0, sizeof(storm_version_t));

    v->version = version;

    len = (k->kind == STORM_BLOB) ? storm_blob(k, version, storm_content)
                                  : storm_manifest(k, version, storm_content);

    storm_hex(v->hex, storm_content, len);

    return v;
}


int
storm_model_blob_present(uint32_t content, uint32_t version)
{
    if (version <= content * STORM_CYCLE
        || version >= (content + 1) * STORM_CYCLE)
    {
        return 0;
    }

    return (version - content * STORM_CYCLE) % 2;
}


const char *
storm_model_hex(storm_key_t *k, uint32_t version)
{
    return storm_version(k, version)->hex;
}


/* stands until the next call */

const char *
storm_model_content(const storm_key_t *k, uint32_t version, size_t *len)
{
    *len = (k->kind == STORM_BLOB)
           ? storm_blob(k, version, storm_content)
           : storm_manifest(k, version, storm_content);

    return storm_content;
}


/* ---- reads */

static void
storm_mark(storm_req_t *rq)
{
    unsigned  i;

    switch (rq->op) {

    case STORM_LIST_TAGS:

        for (i = 0; i < STORM_TAGS; i++) {
            rq->low[i] = storm_model_of(STORM_TAG, rq->repo, i)->acked;
        }

        break;

    case STORM_LIST_REFERRERS:

        for (i = 0; i < STORM_REFERRERS; i++) {
            rq->low[i] = storm_model_of(STORM_REFERRER, rq->repo, i)->acked;
        }

        break;

    case STORM_GET_MANIFEST:
    case STORM_HEAD_MANIFEST:
        rq->state = storm_version(rq->key, rq->version)->state;
        break;

    case STORM_GET_NONE:
        break;

    default:
        rq->low[0] = rq->key->acked;
    }
}


static void
storm_choose_version(storm_req_t *rq)
{
    uint32_t      back;
    storm_key_t  *k;

    k = rq->key;

    if (k->started == 0) {
        rq->op = STORM_GET_TAG;
        return;
    }

    back = 0;

    if (storm_random() % 4 == 0) {
        back = (uint32_t) (storm_random() % 8);
    }

    rq->version = (k->started > back) ? k->started - back : 1;

    /* a version without a manifest: that of the one before */

    if (!k->ring[rq->version % STORM_RING].present && rq->version > 1) {
        rq->version--;
    }
}


static void
storm_choose_content(storm_req_t *rq)
{
    storm_key_t  *k;

    k = rq->key;

    rq->version = k->started / STORM_CYCLE;

    if (rq->version > 0 && storm_random() % 8 == 0) {
        rq->version--;
    }
}


void
storm_model_read(storm_req_t *rq)
{
    unsigned  n;

    static const struct {
        unsigned      share;
        storm_op_e    op;
        storm_kind_e  kind;
    } table[] = {
        { 42, STORM_GET_TAG, STORM_TAG },
        { 6, STORM_HEAD_TAG, STORM_TAG },
        { 14, STORM_GET_MANIFEST, STORM_TAG },
        { 3, STORM_HEAD_MANIFEST, STORM_TAG },
        { 16, STORM_GET_BLOB, STORM_BLOB },
        { 3, STORM_HEAD_BLOB, STORM_BLOB },
        { 10, STORM_GET_NONE, STORM_TAG },
        { 3, STORM_LIST_TAGS, STORM_TAG },
        { 3, STORM_LIST_REFERRERS, STORM_REFERRER },
    };

    unsigned  share, i;

    share = (unsigned) (storm_random() % 100);

    for (i = 0; share >= table[i].share; i++) {
        share -= table[i].share;
    }

    rq->op = table[i].op;
    rq->repo = (unsigned) (storm_random() % storm_nrepos);

    n = (table[i].kind == STORM_TAG) ? STORM_TAGS
        : (table[i].kind == STORM_BLOB) ? STORM_BLOBS : STORM_REFERRERS;

    rq->key = storm_model_of(table[i].kind, rq->repo,
                           (unsigned) (storm_random() % n));

    switch (rq->op) {

    case STORM_GET_MANIFEST:
    case STORM_HEAD_MANIFEST:
        storm_choose_version(rq);
        break;

    case STORM_GET_BLOB:
    case STORM_HEAD_BLOB:
        storm_choose_content(rq);
        break;

    case STORM_LIST_TAGS:

        if (storm_random() & 1) {
            rq->page = (unsigned) (1 + storm_random() % STORM_TAGS);
            rq->after = (unsigned) (storm_random() % STORM_TAGS);
        }

        break;

    default:
        rq->version = (uint32_t) (storm_random() % 5000);
    }

    storm_mark(rq);
}


void
storm_model_readback(storm_req_t *rq, storm_key_t *k, unsigned kind)
{
    rq->key = k;
    rq->repo = k->repo;
    rq->version = 0;

    switch (k->kind) {

    case STORM_BLOB:
        rq->op = (kind == 2) ? STORM_HEAD_BLOB : STORM_GET_BLOB;

        /* of what was just deleted for the last time, the same content */

        rq->version = (k->started - 1) / STORM_CYCLE;
        break;

    case STORM_REFERRER:
        rq->op = STORM_LIST_REFERRERS;
        break;

    default: /* STORM_TAG */

        if (k->target != 0 && kind > 0) {
            rq->op = STORM_GET_MANIFEST;
            rq->version = k->target;

        } else if (kind == 2) {
            rq->op = (storm_random() & 1) ? STORM_LIST_TAGS : STORM_HEAD_TAG;

        } else {
            rq->op = STORM_GET_TAG;
        }
    }

    storm_mark(rq);
}


/* ---- writes */

static storm_op_e
storm_write_tag(storm_key_t *k, int empty)
{
    unsigned          chance;
    storm_version_t  *v;

    while (k->oldest < k->started
           && k->ring[k->oldest % STORM_RING].state != STORM_THERE)
    {
        k->oldest++;
    }

    chance = (unsigned) (storm_random() % 10);

    k->target = 0;

    if (k->started > 0 && k->oldest < k->started
        && (empty || chance < 4 || k->started - k->oldest > 6))
    {
        k->target = k->oldest;
        k->ring[k->target % STORM_RING].state = STORM_GOING;
        return STORM_DELETE_MANIFEST;
    }

    chance = (unsigned) (storm_random() % 10);

    v = storm_version(k, k->started + 1);

    if (k->started == 0 || !k->ring[k->started % STORM_RING].present
        || (!empty && chance < 6))
    {
        if (empty) {
            return STORM_OPS;
        }

        v->present = 1;
        v->state = STORM_COMING;
        k->target = k->started + 1;
        k->started++;

        return STORM_PUT_TAG;
    }

    v->present = 0;
    k->started++;

    if (chance & 1) {
        return STORM_DELETE_TAG;
    }

    k->target = k->started - 1;
    k->ring[k->target % STORM_RING].state = STORM_GOING;

    return STORM_DELETE_MANIFEST;
}


int
storm_model_write(storm_key_t *k, int empty)
{
    k->broken = 0;
    k->location[0] = '\0';

    if (k->kind == STORM_TAG) {
        k->op = storm_write_tag(k, empty);
        return (k->op == STORM_OPS) ? -1 : 0;
    }

    if (empty && k->started % 2 == 0) {
        return -1;
    }

    k->started++;

    if (k->kind == STORM_BLOB) {
        k->op = (k->started % 2) ? STORM_PUSH_BLOB : STORM_DELETE_BLOB;

    } else {
        k->op = (k->started % 2) ? STORM_PUT_REFERRER
                                 : STORM_DELETE_REFERRER;
    }

    return 0;
}


void
storm_model_acked(storm_key_t *k)
{
    storm_version_t  *v;

    k->acked = k->started;

    if (k->kind == STORM_TAG && k->target != 0) {
        v = &k->ring[k->target % STORM_RING];
        v->state = (k->op == STORM_PUT_TAG) ? STORM_THERE : STORM_GONE;
    }
}


uint32_t
storm_model_target(const storm_key_t *k)
{
    return (k->kind == STORM_BLOB) ? (k->started - 1) / STORM_CYCLE
                                   : k->target;
}


/* ---- requests */

size_t
storm_model_request(storm_req_t *rq, char *buf, size_t size,
    const char **body, size_t *body_len)
{
    int           n;
    const char   *method;
    storm_key_t  *k;

    k = rq->key;
    *body = NULL;
    *body_len = 0;

    method = storm_is_head(rq->op) ? "HEAD" : storm_is_write(rq->op) ? "DELETE"
                                                                     : "GET";

    switch (rq->op) {

    case STORM_GET_TAG:
    case STORM_HEAD_TAG:
    case STORM_DELETE_TAG:
        n = snprintf(buf, size, "%s /v2/soak/r%04u/manifests/t%02u", method,
                     rq->repo, k->index);
        break;

    case STORM_GET_MANIFEST:
    case STORM_HEAD_MANIFEST:
    case STORM_DELETE_MANIFEST:
        n = snprintf(buf, size, "%s /v2/soak/r%04u/manifests/sha256:%s",
                     method, rq->repo, storm_version(k, rq->version)->hex);
        break;

    case STORM_DELETE_REFERRER:
        n = snprintf(buf, size, "%s /v2/soak/r%04u/manifests/sha256:%s",
                     method, rq->repo,
                     storm_version(k, k->started - 1)->hex);
        break;

    case STORM_GET_BLOB:
    case STORM_HEAD_BLOB:
    case STORM_DELETE_BLOB:
        n = snprintf(buf, size, "%s /v2/soak/r%04u/blobs/sha256:%s", method,
                     rq->repo, storm_version(k, rq->version)->hex);
        break;

    case STORM_GET_NONE:

        if (rq->version % 3 == 0) {
            n = snprintf(buf, size, "GET /v2/soak/r%04u/manifests/never%u",
                         rq->repo, rq->version);

        } else if (rq->version % 3 == 1) {
            n = snprintf(buf, size, "GET /v2/soak/r%04u/blobs/sha256:%064u",
                         rq->repo, rq->version);

        } else {
            n = snprintf(buf, size, "GET /v2/soak/none/r%u/manifests/x",
                         rq->version);
        }

        break;

    case STORM_LIST_TAGS:
        n = snprintf(buf, size, "GET /v2/soak/r%04u/tags/list", rq->repo);

        if (rq->after) {
            n += snprintf(buf + n, size - (size_t) n, "?n=%u&last=t%02u",
                          rq->page, rq->after - 1);

        } else if (rq->page) {
            n += snprintf(buf + n, size - (size_t) n, "?n=%u", rq->page);
        }

        break;

    case STORM_LIST_REFERRERS:
        n = snprintf(buf, size, "GET /v2/soak/r%04u/referrers/sha256:%s",
                     rq->repo, storm_subject[rq->repo]);
        break;

    case STORM_PUT_TAG:
        *body = storm_content;
        *body_len = storm_manifest(k, k->started, storm_content);
        n = snprintf(buf, size, "PUT /v2/soak/r%04u/manifests/t%02u",
                     rq->repo, k->index);
        break;

    case STORM_PUT_REFERRER:
        n = snprintf(buf, size, "PUT /v2/soak/r%04u/manifests/sha256:%s",
                     rq->repo, storm_version(k, k->started)->hex);
        *body = storm_content;
        *body_len = storm_manifest(k, k->started, storm_content);
        break;

    case STORM_SETUP:
        *body = "{}";
        *body_len = 2;
        n = snprintf(buf, size, "POST /v2/soak/r%04u/blobs/uploads/"
                     "?digest=sha256:" STORM_CONFIG, rq->repo);
        break;

    default: /* STORM_PUSH_BLOB */

        if (k->location[0]) {
            n = snprintf(buf, size, "PUT %s%cdigest=sha256:%s", k->location,
                         strchr(k->location, '?') ? '&' : '?',
                         storm_version(k, rq->version)->hex);

        } else if (storm_random() % 3 == 0) {

            /* in a session, which another worker may end */

            n = snprintf(buf, size, "POST /v2/soak/r%04u/blobs/uploads/",
                         rq->repo);
            *body = "";
            break;

        } else {
            n = snprintf(buf, size, "POST /v2/soak/r%04u/blobs/uploads/"
                         "?digest=sha256:%s", rq->repo,
                         storm_version(k, rq->version)->hex);
        }

        *body = storm_content;
        *body_len = storm_blob(k, rq->version, storm_content);
    }

    n += snprintf(buf + n, size - (size_t) n,
                  " HTTP/1.1\r\nHost: soak\r\n");

    if (*body) {
        n += snprintf(buf + n, size - (size_t) n,
                      "Content-Type: %s\r\nContent-Length: %zu\r\n",
                      rq->op == STORM_PUT_TAG || rq->op == STORM_PUT_REFERRER
                      ? STORM_TYPE : "application/octet-stream", *body_len);
    }

    n += snprintf(buf + n, size - (size_t) n, "\r\n");

    return (size_t) n;
}
