
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * GET /v2/: that this is a registry, and whether one has to log in.
 */


#include "ngx_http_oci_operations.h"
#include "ngx_http_oci_send.h"
#include "ngx_http_oci_upstream.h"


static void ngx_http_oci_base_answered(ngx_http_oci_upstream_t *u,
    const ngx_http_oci_answer_t *answer);
static ngx_int_t ngx_http_oci_base_send(ngx_http_request_t *r);


/* where each client's own right counts, the upstream says who may come in */

ngx_int_t
ngx_http_oci_base_handler(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx)
{
    ngx_int_t                 rc;
    ngx_http_oci_loc_conf_t  *olcf;
    ngx_http_oci_upstream_t  *u;
    ngx_http_oci_question_t   q;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    if (olcf->edge == NULL || olcf->edge->auth != NGX_HTTP_OCI_AUTH_CLIENT) {
        return ngx_http_oci_base_send(r);
    }

    rc = ngx_http_oci_upstream_create(r, ctx, &u);

    if (rc == NGX_DECLINED) {
        return ngx_http_oci_base_send(r);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    ngx_memzero(&q, sizeof(ngx_http_oci_question_t));

    ngx_str_set(&q.path, "/v2/");
    q.probe = 1;

    if (ngx_http_oci_upstream_ask(u, &q, 0, ngx_http_oci_base_answered)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->main->count++;

    return NGX_DONE;
}


static void
ngx_http_oci_base_answered(ngx_http_oci_upstream_t *u,
    const ngx_http_oci_answer_t *answer)
{
    ngx_int_t  rc;

    rc = (answer->outcome == NGX_HTTP_OCI_ASK_SAME)
         ? ngx_http_oci_base_send(u->request)
         : ngx_http_oci_upstream_error(u, answer, OCI_ERR_NAME_UNKNOWN);

    ngx_http_finalize_request(u->request, rc);
}


static ngx_int_t
ngx_http_oci_base_send(ngx_http_request_t *r)
{
    static u_char  body[] = "{}";

    return ngx_http_oci_send_memory(r, NGX_HTTP_OK, &ngx_http_oci_type_json,
                                    body, sizeof(body) - 1);
}
