
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Whether an answer may be.
 */


#include "storm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>


static void
storm_check_body(const storm_req_t *rq, const storm_answer_t *a,
    uint32_t version)
{
    size_t              len;
    const char         *hex, *content;

    content = storm_model_content(rq->key, version, &len);

    if (a->len != len || memcmp(a->body, content, len) != 0) {
        storm_violation(rq, a, "another content");
    }

    hex = storm_model_hex(rq->key, version);

    if (strcmp(a->digest, hex) != 0) {
        storm_violation(rq, a, "another digest");
    }
}


/* the version that a manifest names as its own, 0: none */

static uint32_t
storm_check_version(const storm_req_t *rq, const storm_answer_t *a)
{
    int          n;
    char         token[64];
    const char  *p;

    n = snprintf(token, sizeof(token), "\"soak.value\":\"R%04uT%02uV",
                 rq->repo, rq->key->index);

    p = memmem(a->body, a->len, token, (size_t) n);

    return p ? (uint32_t) strtoul(p + n, NULL, 10) : 0;
}


static void
storm_check_tag(const storm_req_t *rq, const storm_answer_t *a)
{
    uint32_t      v, low, high;
    storm_key_t  *k;

    k = rq->key;
    low = rq->low[0];
    high = k->started;

    if (high - low > STORM_RING / 2) {
        return;
    }

    if (a->status == 404) {

        for (v = low; v <= high; v++) {
            if (v == 0 || !k->ring[v % STORM_RING].present) {
                return;
            }
        }

        storm_violation(rq, a, "a tag is not there");
    }

    if (a->status != 200) {
        storm_violation(rq, a, "status");
    }

    if (rq->op == STORM_HEAD_TAG) {

        for (v = low; v <= high; v++) {
            if (v != 0 && k->ring[v % STORM_RING].present
                && strcmp(a->digest, storm_model_hex(k, v)) == 0)
            {
                return;
            }
        }

        storm_violation(rq, a, "a digest that is not the tag's");
    }

    v = storm_check_version(rq, a);

    if (v == 0 || v < low || v > high || !k->ring[v % STORM_RING].present) {
        storm_violation(rq, a, "a manifest that is not the tag's");
    }

    storm_check_body(rq, a, v);
}


static void
storm_check_manifest(const storm_req_t *rq, const storm_answer_t *a)
{
    char              now;
    storm_version_t  *v;

    v = &rq->key->ring[rq->version % STORM_RING];

    if (v->version != rq->version) {
        return;
    }

    now = v->state;

    if (a->status == 404) {

        if (rq->state > STORM_COMING && now < STORM_GOING) {
            storm_violation(rq, a, "a manifest is not there");
        }

        return;
    }

    if (a->status != 200) {
        storm_violation(rq, a, "status");
    }

    if (rq->state == STORM_GONE || now == STORM_NEVER) {
        storm_violation(rq, a, "a manifest is there");
    }

    if (rq->op == STORM_GET_MANIFEST) {
        storm_check_body(rq, a, rq->version);

    } else if (strcmp(a->digest, v->hex) != 0) {
        storm_violation(rq, a, "another digest");
    }
}


static void
storm_check_blob(const storm_req_t *rq, const storm_answer_t *a)
{
    int           there, missing;
    uint32_t      v;
    storm_key_t  *k;

    k = rq->key;
    there = 0;
    missing = 0;

    for (v = rq->low[0]; v <= k->started; v++) {
        if (storm_model_blob_present(rq->version, v)) {
            there = 1;

        } else {
            missing = 1;
        }
    }

    if (a->status == 404) {
        if (!missing) {
            storm_violation(rq, a, "a blob is not there");
        }

        return;
    }

    if (a->status != 200) {
        storm_violation(rq, a, "status");
    }

    if (!there) {
        storm_violation(rq, a, "a blob is there");
    }

    if (rq->op == STORM_GET_BLOB) {
        storm_check_body(rq, a, rq->version);
    }
}


/* with a page that is full, nothing is said of what lies behind it */

static unsigned
storm_check_page(const storm_req_t *rq, const storm_answer_t *a)
{
    char      token[16];
    unsigned  i, n, end;

    n = 0;
    end = 0;

    for (i = 0; i < STORM_TAGS && a->status == 200; i++) {
        (void) snprintf(token, sizeof(token), "\"t%02u\"", i);

        if (memmem(a->body, a->len, token, strlen(token)) == NULL) {
            continue;
        }

        if (i < rq->after) {
            storm_violation(rq, a, "a tag from before the page");
        }

        n++;
        end = i + 1;
    }

    if (rq->page && n > rq->page) {
        storm_violation(rq, a, "a too long page");
    }

    return (rq->page && n == rq->page) ? end : STORM_TAGS;
}


static void
storm_check_tags(const storm_req_t *rq, const storm_answer_t *a)
{
    int           listed, there, missing;
    char          token[16];
    unsigned      i, end;
    uint32_t      v;
    storm_key_t  *k;

    if (a->status != 200 && a->status != 404) {
        storm_violation(rq, a, "status");
    }

    end = storm_check_page(rq, a);

    for (i = rq->after; i < end; i++) {
        k = storm_model_of(STORM_TAG, rq->repo, i);

        if (k->started - rq->low[i] > STORM_RING / 2) {
            continue;
        }

        (void) snprintf(token, sizeof(token), "\"t%02u\"", i);

        listed = a->status == 200
                 && memmem(a->body, a->len, token, strlen(token)) != NULL;

        there = 0;
        missing = 0;

        for (v = rq->low[i]; v <= k->started; v++) {
            if (v != 0 && k->ring[v % STORM_RING].present) {
                there = 1;

            } else {
                missing = 1;
            }
        }

        if (listed ? !there : !missing) {
            storm_violation(rq, a, listed ? token : "a tag is not listed");
        }
    }
}


static void
storm_check_referrers(const storm_req_t *rq, const storm_answer_t *a)
{
    int           n, listed;
    char          token[64];
    unsigned      i;
    uint32_t      v, high;
    storm_key_t  *k;
    const char   *p, *end;

    if (a->status != 200 && a->status != 404) {
        storm_violation(rq, a, "status");
    }

    end = a->body + (a->status == 200 ? a->len : 0);

    for (i = 0; i < STORM_REFERRERS; i++) {
        k = storm_model_of(STORM_REFERRER, rq->repo, i);
        high = k->started;
        listed = 0;

        n = snprintf(token, sizeof(token), "\"R%04uS%02uV", rq->repo, i);

        for (p = a->body; p < end; p += n) {
            p = memmem(p, (size_t) (end - p), token, (size_t) n);

            if (p == NULL) {
                break;
            }

            v = (uint32_t) strtoul(p + n, NULL, 10);
            listed = 1;

            if (v < rq->low[i] || v > high || v % 2 == 0) {
                storm_violation(rq, a, "a referrer that is not there");
            }
        }

        if (!listed && rq->low[i] == high && high % 2) {
            storm_violation(rq, a, "a referrer is not listed");
        }
    }
}


void
storm_model_check(const storm_req_t *rq, const storm_answer_t *a)
{
    switch (rq->op) {

    case STORM_GET_TAG:
    case STORM_HEAD_TAG:
        storm_check_tag(rq, a);
        break;

    case STORM_GET_MANIFEST:
    case STORM_HEAD_MANIFEST:
        storm_check_manifest(rq, a);
        break;

    case STORM_GET_BLOB:
    case STORM_HEAD_BLOB:
        storm_check_blob(rq, a);
        break;

    case STORM_LIST_TAGS:
        storm_check_tags(rq, a);
        break;

    case STORM_LIST_REFERRERS:
        storm_check_referrers(rq, a);
        break;

    default: /* STORM_GET_NONE */

        if (a->status != 404) {
            storm_violation(rq, a, "status");
        }
    }
}
