
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * A blob on an edge where each client's own right counts ("oci_pass_auth
 * client"): what is here is sent to nobody to whom the upstream, within
 * "oci_valid", has not given something of the repository.
 */


#include "ngx_http_oci_operations.h"
#include "ngx_http_oci_send.h"
#include "ngx_http_oci_upstream.h"


static void ngx_http_oci_blob_right_answered(ngx_http_oci_upstream_t *u,
    const ngx_http_oci_answer_t *answer);


ngx_int_t
ngx_http_oci_blob_right(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx)
{
    ngx_int_t                 rc;
    ngx_str_t                 path;
    oci_str_t                *reference;
    ngx_http_oci_upstream_t  *u;
    ngx_http_oci_question_t   q;

    rc = ngx_http_oci_upstream_create(r, ctx, &u);

    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_http_oci_upstream_allowed(u, NULL)) {
        return NGX_DECLINED;
    }

    reference = &ctx->route.reference;

    path.len = sizeof("blobs/") - 1 + reference->len;
    path.data = ngx_pnalloc(r->pool, path.len);
    if (path.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    (void) ngx_sprintf(path.data, "blobs/%*s", reference->len,
                       reference->data);

    ngx_memzero(&q, sizeof(ngx_http_oci_question_t));

    q.path = path;
    q.probe = 1;

    if (ngx_http_oci_upstream_ask(u, &q, 0, ngx_http_oci_blob_right_answered)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->main->count++;

    return NGX_DONE;
}


static void
ngx_http_oci_blob_right_answered(ngx_http_oci_upstream_t *u,
    const ngx_http_oci_answer_t *answer)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = u->request;

    ngx_http_oci_upstream_learn(u, answer, NULL);

    rc = (answer->outcome == NGX_HTTP_OCI_ASK_SAME)
         ? ngx_http_oci_blob_get(r, u->ctx)
         : ngx_http_oci_upstream_error(u, answer, OCI_ERR_BLOB_UNKNOWN);

    ngx_http_finalize_request(r, rc);
}
