
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "ngx_http_oci_upstream.h"
#include "ngx_http_oci_circuit.h"
#include "ngx_http_oci_send.h"
#include "ngx_http_oci_task.h"


/* ms until something stale is served instead */

#define NGX_HTTP_OCI_UPSTREAM_PATIENCE  1500


static void ngx_http_oci_upstream_cleanup(void *data);
static void ngx_http_oci_upstream_answered(void *data,
    const ngx_http_oci_answer_t *answer);
static ngx_int_t ngx_http_oci_upstream_wait(ngx_http_oci_upstream_t *u,
    const ngx_http_oci_answer_t *answer);


ngx_int_t
ngx_http_oci_upstream_create(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx,
    ngx_http_oci_upstream_t **up)
{
    ngx_int_t                  rc;
    ngx_str_t                  name;
    ngx_pool_cleanup_t        *cln;
    ngx_http_oci_target_t     *target;
    ngx_http_oci_loc_conf_t   *olcf;
    ngx_http_oci_upstream_t   *u;
    ngx_http_oci_edge_conf_t  *conf;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);
    conf = olcf->edge;

    if (conf == NULL || conf->pass == NULL) {
        return NGX_DECLINED;
    }

    name.data = ctx->repo.name.data;
    name.len = ctx->repo.name.len;

    rc = ngx_http_oci_target_eval(r, conf, &name, &target);

    if (rc == NGX_DECLINED) {
        return NGX_DECLINED;
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_oci_upstream_t));
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    u = cln->data;

    ngx_memzero(u, sizeof(ngx_http_oci_upstream_t));

    cln->handler = ngx_http_oci_upstream_cleanup;

    u->request = r;
    u->ctx = ctx;
    u->conf = conf;
    u->target = target;
    u->client = (conf->auth == NGX_HTTP_OCI_AUTH_CLIENT);

    u->right.zone = &olcf->store->cache;
    u->right.repo = &ctx->repo;
    u->right.target = target;
    u->right.valid = (ngx_msec_t) olcf->valid * 1000;

    if (u->client && r->headers_in.authorization) {
        u->right.authorization = r->headers_in.authorization->value;
    }

    *up = u;

    return NGX_OK;
}


static void
ngx_http_oci_upstream_cleanup(void *data)
{
    ngx_http_oci_upstream_t  *u = data;

    ngx_http_oci_ask_leave(&u->waiter);
}


ngx_uint_t
ngx_http_oci_upstream_allowed(ngx_http_oci_upstream_t *u,
    const oci_str_t *reference)
{
    return !u->client || ngx_http_oci_right_known(&u->right, reference);
}


ngx_int_t
ngx_http_oci_upstream_ask(ngx_http_oci_upstream_t *u,
    ngx_http_oci_question_t *q, ngx_uint_t stale,
    ngx_http_oci_upstream_pt handler)
{
    ngx_http_request_t       *r;
    ngx_http_oci_loc_conf_t  *olcf;

    r = u->request;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    stale = stale && u->conf->use_stale;

    if (stale
        && ngx_http_oci_circuit_open(&olcf->store->cache, u->target))
    {
        return NGX_BUSY;
    }

    q->conf = u->conf;
    q->target = u->target;
    q->zone = &olcf->store->cache;
    q->store = &olcf->store->store;
    q->repo = &u->ctx->repo;
    q->pool = olcf->write_pool;
    q->authorization = u->right.authorization;
    q->timeout = stale ? NGX_HTTP_OCI_UPSTREAM_PATIENCE : 0;
    q->max = olcf->manifest_max_size;

    u->handler = handler;
    u->waiter.handler = ngx_http_oci_upstream_answered;
    u->waiter.data = u;

    if (ngx_http_oci_ask(q, &u->waiter) != NGX_OK) {
        return NGX_ERROR;
    }

    r->write_event_handler = ngx_http_request_empty_handler;

    ngx_http_oci_task_watch(r);

    return NGX_OK;
}


static void
ngx_http_oci_upstream_answered(void *data,
    const ngx_http_oci_answer_t *answer)
{
    ngx_http_oci_upstream_t  *u = data;

    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = u->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    u->ctx->upstream_bytes += answer->bytes;

    u->handler(u, answer);

    ngx_http_run_posted_requests(c);
}


void
ngx_http_oci_upstream_learn(ngx_http_oci_upstream_t *u,
    const ngx_http_oci_answer_t *answer, const oci_str_t *reference)
{
    if (!u->client) {
        return;
    }

    switch (answer->outcome) {

    case NGX_HTTP_OCI_ASK_SAME:
    case NGX_HTTP_OCI_ASK_STORED:
    case NGX_HTTP_OCI_ASK_CONTENT:
        ngx_http_oci_right_remember(&u->right, reference);
        break;

    case NGX_HTTP_OCI_ASK_REFUSED:
        ngx_http_oci_right_withdraw(&u->right, reference);
        break;

    default:
        break;
    }
}


ngx_uint_t
ngx_http_oci_upstream_stale(ngx_http_oci_upstream_t *u,
    const ngx_http_oci_answer_t *answer, const oci_str_t *reference)
{
    if (!u->conf->use_stale
        || !ngx_http_oci_upstream_allowed(u, reference))
    {
        return 0;
    }

    switch (answer->outcome) {

    case NGX_HTTP_OCI_ASK_INVALID:
    case NGX_HTTP_OCI_ASK_FAILED:
        return 1;

    case NGX_HTTP_OCI_ASK_REFUSED:
        return answer->status == NGX_HTTP_TOO_MANY_REQUESTS;

    default:
        return 0;
    }
}


ngx_int_t
ngx_http_oci_upstream_error(ngx_http_oci_upstream_t *u,
    const ngx_http_oci_answer_t *answer, oci_error_t e)
{
    ngx_str_t            value;
    ngx_uint_t           status;
    ngx_http_request_t  *r;

    r = u->request;

    if (answer->outcome == NGX_HTTP_OCI_ASK_FAILED
        && answer->error == NGX_HTTP_OCI_FETCH_OK
        && answer->status == NGX_HTTP_SERVICE_UNAVAILABLE)
    {
        if (ngx_http_oci_upstream_retry(r, answer->retry_after) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return ngx_http_oci_send_error(r, OCI_ERR_UNAVAILABLE, answer->status,
                                       "the upstream is not available", NULL);
    }

    if (answer->outcome == NGX_HTTP_OCI_ASK_FAILED) {
        return ngx_http_oci_send_error(r, OCI_ERR_UNAVAILABLE,
                   answer->error == NGX_HTTP_OCI_FETCH_TIMEOUT
                       ? NGX_HTTP_GATEWAY_TIME_OUT : NGX_HTTP_BAD_GATEWAY,
                   "the upstream does not answer", NULL);
    }

    if (answer->outcome != NGX_HTTP_OCI_ASK_REFUSED) {
        return ngx_http_oci_send_error(r, OCI_ERR_UNAVAILABLE,
                                       NGX_HTTP_BAD_GATEWAY,
                                       "the upstream's answer is invalid",
                                       NULL);
    }

    status = answer->status;

    switch (status) {

    case NGX_HTTP_NOT_FOUND:
        return ngx_http_oci_send_error(r, e, 0, NULL,
                                       &u->ctx->route.reference);

    case NGX_HTTP_UNAUTHORIZED:

        if (!u->client) {

            /* no login of the client's would help: this is our account's */

            return ngx_http_oci_send_error(r, e, 0,
                                           "the upstream does not show it",
                                           &u->ctx->route.reference);
        }

        if (answer->challenge.len) {
            value.len = answer->challenge.len;
            value.data = ngx_pstrdup(r->pool, (ngx_str_t *)
                                              &answer->challenge);
            if (value.data == NULL
                || ngx_http_oci_add_header(r, "WWW-Authenticate", &value)
                   != NGX_OK)
            {
                return NGX_HTTP_INTERNAL_SERVER_ERROR;
            }
        }

        return ngx_http_oci_send_error(r, OCI_ERR_UNAUTHORIZED, 0, NULL,
                                       NULL);

    case NGX_HTTP_FORBIDDEN:
        return ngx_http_oci_send_error(r, OCI_ERR_DENIED, 0, NULL, NULL);

    case NGX_HTTP_PRECONDITION_FAILED:
        return ngx_http_oci_send_error(r, OCI_ERR_DENIED, status,
                                       "a policy of the upstream holds it back",
                                       NULL);

    case NGX_HTTP_TOO_MANY_REQUESTS:
        return ngx_http_oci_upstream_wait(u, answer);

    default:
        return ngx_http_oci_send_error(r, OCI_ERR_UNAVAILABLE,
                                       NGX_HTTP_BAD_GATEWAY,
                                       "the upstream refuses", NULL);
    }
}


ngx_int_t
ngx_http_oci_upstream_retry(ngx_http_request_t *r, int64_t seconds)
{
    ngx_str_t  value;

    if (seconds <= 0) {
        return NGX_OK;
    }

    value.data = ngx_pnalloc(r->pool, NGX_INT64_LEN);
    if (value.data == NULL) {
        return NGX_ERROR;
    }

    value.len = ngx_sprintf(value.data, "%L", seconds) - value.data;

    return ngx_http_oci_add_header(r, "Retry-After", &value);
}


/* containerd asks a mirror that answers 503 again, but not one that says 429 */

static ngx_int_t
ngx_http_oci_upstream_wait(ngx_http_oci_upstream_t *u,
    const ngx_http_oci_answer_t *answer)
{
    u_char               buf[1];
    oci_str_t            args, ns;
    ngx_uint_t           status;
    ngx_http_request_t  *r;

    r = u->request;

    if (ngx_http_oci_upstream_retry(r, answer->retry_after) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    args.data = r->args.data;
    args.len = r->args.len;

    status = (oci_query_arg(&args, "ns", 0, &ns, buf, sizeof(buf))
              == OCI_NOT_FOUND)
             ? NGX_HTTP_TOO_MANY_REQUESTS : NGX_HTTP_SERVICE_UNAVAILABLE;

    return ngx_http_oci_send_error(r, OCI_ERR_TOOMANYREQUESTS, status,
                                   "the upstream limits its requests", NULL);
}
