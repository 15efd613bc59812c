
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * What a question has brought: looked at in a thread, and a manifest stored.
 */


#include "ngx_http_oci_ask_part.h"

#include "oci_json.h"
#include "oci_manifest.h"


#define NGX_HTTP_OCI_ASK_RETRY    20                /* ms, a lock is held */
#define NGX_HTTP_OCI_ASK_RETRIES  100
#define NGX_HTTP_OCI_ASK_DEPTH    16                /* of a list's JSON */


static void ngx_http_oci_ask_store(ngx_http_oci_ask_t *a);
static int ngx_http_oci_ask_work(void *data);
static void ngx_http_oci_ask_stored(void *data, int rc);
static int ngx_http_oci_ask_list_work(void *data);
static void ngx_http_oci_ask_listed(void *data, int rc);
static void ngx_http_oci_ask_retry(ngx_event_t *ev);


void
ngx_http_oci_ask_got(ngx_http_oci_ask_t *a)
{
    a->answer.body = a->body ? a->body : (u_char *) "";

    ngx_http_oci_job_init(&a->job, a->log,
                          a->q.manifest ? ngx_http_oci_ask_work
                                        : ngx_http_oci_ask_list_work,
                          a->q.manifest ? ngx_http_oci_ask_stored
                                        : ngx_http_oci_ask_listed, a);

    a->retry.handler = ngx_http_oci_ask_retry;
    a->retry.data = a;
    a->retry.log = a->log;

    ngx_http_oci_ask_store(a);
}


static void
ngx_http_oci_ask_store(ngx_http_oci_ask_t *a)
{
    if (ngx_http_oci_job_post(&a->job, a->q.pool) != NGX_OK) {
        a->answer.error = NGX_HTTP_OCI_FETCH_INTERNAL;
        ngx_http_oci_ask_end(a, NGX_HTTP_OCI_ASK_FAILED);
    }
}


/* in a thread: is it what was asked for, and then it is stored */

static int
ngx_http_oci_ask_work(void *data)
{
    ngx_http_oci_ask_t  *a = data;

    int              rc;
    oci_alg_t        alg;
    oci_str_t        type;
    oci_digest_t     missing;
    oci_manifest_t   m;

    alg = a->q.digest ? a->digest.alg : a->has_told ? a->told.alg
                                                    : OCI_SHA256;

    oci_digest_of(&a->answer.digest, alg, a->answer.body, a->answer.len);

    if (a->q.digest && !oci_digest_equal(&a->answer.digest, &a->digest)) {
        a->reason = "its content has another digest";
        return OCI_INVALID;
    }

    if (!a->q.digest && a->has_told
        && !oci_digest_equal(&a->answer.digest, &a->told))
    {
        a->reason = "its content has another digest than its header says";
        return OCI_INVALID;
    }

    type.data = a->answer.media_type.data;
    type.len = a->answer.media_type.len;

    rc = oci_manifest_parse(&m, a->answer.body, a->answer.len, &type,
                            &a->reason);

    if (rc != OCI_OK) {
        return rc;
    }

    rc = oci_manifest_put(a->q.store, &a->repo, &m, &a->answer.digest,
                          a->answer.body, a->answer.len, a->q.tag,
                          a->q.tag ? 1 : 0,
                          a->q.conf->push == NGX_HTTP_OCI_PUSH_LOCAL
                              ? OCI_MANIFEST_FILLED|OCI_MANIFEST_YIELD
                              : OCI_MANIFEST_FILLED, &missing);

    oci_manifest_free(&m);

    return rc;
}


static void
ngx_http_oci_ask_stored(void *data, int rc)
{
    ngx_http_oci_ask_t  *a = data;

    switch (rc) {

    case OCI_OK:
        ngx_http_oci_ask_end(a, NGX_HTTP_OCI_ASK_STORED);
        return;

    case OCI_AGAIN:

        if (a->retries++ < NGX_HTTP_OCI_ASK_RETRIES) {
            ngx_add_timer(&a->retry, NGX_HTTP_OCI_ASK_RETRY);
            return;
        }

        break;

    case OCI_INVALID:
    case OCI_UNSUPPORTED:
        ngx_log_error(NGX_LOG_ERR, a->log, 0,
                      "upstream \"%V\" sent no manifest for \"%V\": %s",
                      &a->q.target->key, &a->q.path,
                      a->reason ? a->reason : "it is malformed");
        ngx_http_oci_ask_end(a, NGX_HTTP_OCI_ASK_INVALID);
        return;

    default:
        break;
    }

    /* a full disk, or the same bytes of another type: it is sent as it is */

    ngx_http_oci_ask_end(a, NGX_HTTP_OCI_ASK_CONTENT);
}


/* in a thread: a list may be long */

static int
ngx_http_oci_ask_list_work(void *data)
{
    ngx_http_oci_ask_t  *a = data;

    int      rc;
    json_t  *root, *list;

    rc = oci_json_load(&root, a->answer.body, a->answer.len,
                       NGX_HTTP_OCI_ASK_DEPTH, &a->reason);

    if (rc != OCI_OK) {
        return rc;
    }

    list = json_object_get(root, a->q.member);

    /* some encoders write null for an empty one */

    if (list == NULL || (!json_is_array(list) && !json_is_null(list))) {
        a->reason = "the list is not in it";
        rc = OCI_INVALID;
    }

    json_decref(root);

    return rc;
}


static void
ngx_http_oci_ask_listed(void *data, int rc)
{
    ngx_http_oci_ask_t  *a = data;

    if (rc == OCI_OK) {
        ngx_http_oci_ask_end(a, NGX_HTTP_OCI_ASK_CONTENT);
        return;
    }

    ngx_log_error(NGX_LOG_ERR, a->log, 0,
                  "upstream \"%V\" sent no list for \"%V\": %s",
                  &a->q.target->key, &a->q.path,
                  a->reason ? a->reason : "it is malformed");

    ngx_http_oci_ask_end(a, NGX_HTTP_OCI_ASK_INVALID);
}


static void
ngx_http_oci_ask_retry(ngx_event_t *ev)
{
    ngx_http_oci_ask_store(ev->data);
}
