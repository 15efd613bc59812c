
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Which requests get what is compressed; what is small is compressed here
 * and now, for the rest a worker has one job that makes a companion.
 */


#include "ngx_http_oci_zstd.h"
#include "ngx_http_oci_job.h"
#include "ngx_http_oci_send.h"
#include "ngx_http_oci_task.h"

#include "oci_encoding.h"
#include "oci_zstd.h"

#include <sys/uio.h>


/* of a blob for one turn of a thread, and ms of rest after a failure */

#define NGX_HTTP_OCI_ZSTD_STEP  (64 * 1024 * 1024)
#define NGX_HTTP_OCI_ZSTD_REST  60000

/*
 * Of content in memory: below it nothing is saved but a part of a packet.
 * Level 1 takes 0.1 ms for 32k, and saves as much of JSON as level 9.
 */

#define NGX_HTTP_OCI_ZSTD_SMALL        512
#define NGX_HTTP_OCI_ZSTD_SMALL_LEVEL  1


typedef struct {
    ngx_http_oci_job_t    job;
    oci_zstd_t           *zstd;         /* NULL: gone already */
    ngx_thread_pool_t    *pool;
    ngx_uint_t            last;         /* the worker is to end */
} ngx_http_oci_zstd_job_t;


static ngx_int_t ngx_http_oci_zstd_small(ngx_http_request_t *r, u_char *data,
    size_t size, size_t *n);
static ngx_uint_t ngx_http_oci_zstd_packed(ngx_http_oci_content_t *content);
static void ngx_http_oci_zstd_start(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx);
static int ngx_http_oci_zstd_work(void *data);
static void ngx_http_oci_zstd_done(void *data, int rc);


static ngx_http_oci_zstd_job_t  *ngx_http_oci_zstd_busy;
static ngx_msec_t                ngx_http_oci_zstd_rested;

static ngx_str_t  ngx_http_oci_zstd_vary = ngx_string("Accept-Encoding");
static ngx_str_t  ngx_http_oci_zstd_coding = ngx_string("zstd");

/* for what is compressed at once */

static oci_zstd_small_t  *ngx_http_oci_zstd_ctx;
static u_char             ngx_http_oci_zstd_buf[NGX_HTTP_OCI_CACHE_BODY];


void
ngx_http_oci_zstd_form(ngx_http_oci_content_t *content,
    const ngx_http_oci_cache_ask_t *ask, ngx_http_oci_cache_form_e form,
    size_t len)
{
    switch (form) {

    case NGX_HTTP_OCI_CACHE_PLAIN:
        content->ask = ask;
        break;

    case NGX_HTTP_OCI_CACHE_ZSTD:
        content->zstd = 1;
        content->size = len;
        break;

    default: /* NGX_HTTP_OCI_CACHE_NEVER */
        break;
    }
}


ngx_int_t
ngx_http_oci_zstd_content(ngx_http_request_t *r,
    ngx_http_oci_content_t *content)
{
    size_t      n;
    u_char     *data;
    ngx_int_t   rc;

    if (ngx_http_oci_add_header(r, "Vary", &ngx_http_oci_zstd_vary)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (content->ask == NULL || content->data == NULL
        || ngx_http_oci_content_unmodified(r, content->digest))
    {
        return NGX_OK;
    }

    rc = ngx_http_oci_zstd_small(r, content->data, content->size, &n);

    if (rc == NGX_DECLINED) {
        return NGX_OK;
    }

    ngx_http_oci_cache_put_zstd(content->ask, content->digest,
                                &content->origin,
                                rc == NGX_OK ? ngx_http_oci_zstd_buf : NULL,
                                n);

    if (rc != NGX_OK) {
        return NGX_OK;
    }

    data = ngx_http_oci_zstd_buf;
    content->scratch = ngx_http_oci_content_scratch(r);

    if (!content->scratch) {
        data = ngx_pnalloc(r->pool, n);
        if (data == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(data, ngx_http_oci_zstd_buf, n);
    }

    content->data = data;
    content->size = n;
    content->zstd = 1;

    return NGX_OK;
}


ngx_int_t
ngx_http_oci_zstd_list(ngx_http_request_t *r, ngx_http_oci_list_ctx_t *l,
    ngx_str_t *body)
{
    size_t      n;
    ngx_int_t   rc;

    if (ngx_http_oci_add_header(r, "Vary", &ngx_http_oci_zstd_vary)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (!l->ask.zstd || l->form == NGX_HTTP_OCI_CACHE_NEVER) {
        return NGX_OK;
    }

    if (l->form == NGX_HTTP_OCI_CACHE_PLAIN) {

        rc = ngx_http_oci_zstd_small(r, body->data, body->len, &n);

        if (rc == NGX_DECLINED) {
            return NGX_OK;
        }

        ngx_http_oci_cache_put_answer_zstd(&l->ask, l->reference, &l->filter,
                                           &l->origin,
                                           rc == NGX_OK
                                           ? ngx_http_oci_zstd_buf : NULL, n);

        if (rc != NGX_OK) {
            return NGX_OK;
        }

        body->data = ngx_pnalloc(r->pool, n);
        if (body->data == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(body->data, ngx_http_oci_zstd_buf, n);
        body->len = n;
    }

    return ngx_http_oci_add_header(r, "Content-Encoding",
                                   &ngx_http_oci_zstd_coding);
}


/*
 * Compresses into ..._buf.  NGX_OK, NGX_ABORT: it does not pay, or
 * NGX_DECLINED: it is none to be tried.
 */

static ngx_int_t
ngx_http_oci_zstd_small(ngx_http_request_t *r, u_char *data, size_t size,
    size_t *n)
{
    ngx_http_oci_loc_conf_t  *olcf;

    if (size < NGX_HTTP_OCI_ZSTD_SMALL || size > NGX_HTTP_OCI_CACHE_BODY
        || oci_encoding_packed(data, size))
    {
        return NGX_DECLINED;
    }

    if (ngx_http_oci_zstd_ctx == NULL) {
        ngx_http_oci_zstd_ctx =
                        oci_zstd_small_create(NGX_HTTP_OCI_ZSTD_SMALL_LEVEL);

        if (ngx_http_oci_zstd_ctx == NULL) {
            return NGX_DECLINED;
        }
    }

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    *n = size * (1000 - olcf->zstd_min_ratio) / 1000;

    switch (oci_zstd_small(ngx_http_oci_zstd_ctx, data, size,
                           ngx_http_oci_zstd_buf, n))
    {
    case OCI_OK:
        return NGX_OK;

    case OCI_RANGE:
        return NGX_ABORT;

    default:
        return NGX_DECLINED;
    }
}


ngx_int_t
ngx_http_oci_zstd_blob(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx,
    ngx_http_oci_content_t *content)
{
    int                       rc;
    oci_file_t                f;
    ngx_http_oci_loc_conf_t  *olcf;

    if (ngx_http_oci_zstd_content(r, content) != NGX_OK) {
        return NGX_ERROR;
    }

    if (content->size < OCI_ZSTD_MIN || content->fd == NGX_INVALID_FILE
        || content->data || content->send
        || !ngx_http_oci_zstd_asked(r)
        || ngx_http_oci_content_unmodified(r, &ctx->route.digest))
    {
        return NGX_OK;
    }

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    rc = oci_zstd_open(&olcf->store->store, &ctx->route.digest, &f);

    switch (rc) {

    case OCI_OK:

        if (ngx_http_oci_content_own(r, f.fd) != NGX_OK) {
            return NGX_ERROR;
        }

        content->fd = f.fd;
        content->size = f.size;
        content->zstd = 1;
        break;

    case OCI_NOT_FOUND:

        if (!ngx_http_oci_zstd_packed(content)) {
            ngx_http_oci_zstd_start(r, ctx);
        }

        break;

    case OCI_ERROR:
        ngx_http_oci_log_failure(r->connection->log, oci_failure());
        break;

    default: /* OCI_EXISTS: it does not pay */
        break;
    }

    return NGX_OK;
}


/* for the whole; named in one of the lines, and refused in none */

ngx_uint_t
ngx_http_oci_zstd_asked(ngx_http_request_t *r)
{
    int               rc;
    ngx_uint_t        i, accepted;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    if (r->method != NGX_HTTP_GET || r->headers_in.range) {
        return 0;
    }

#if (NGX_HTTP_GZIP)
    if (r->headers_in.accept_encoding == NULL) {
        return 0;
    }
#endif

    accepted = 0;

    for (part = &r->headers_in.headers.part; part; part = part->next) {

        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].key.len != sizeof("Accept-Encoding") - 1
                || ngx_strncasecmp(h[i].key.data,
                                   (u_char *) "Accept-Encoding",
                                   h[i].key.len)
                   != 0)
            {
                continue;
            }

            rc = oci_encoding_accepts(h[i].value.data, h[i].value.len,
                                      "zstd");

            if (rc < 0) {
                return 0;
            }

            accepted |= (rc > 0);
        }
    }

    return accepted;
}


/* most blobs are; if the page cache can't say, the job looks again */

static ngx_uint_t
ngx_http_oci_zstd_packed(ngx_http_oci_content_t *content)
{
    u_char        head[OCI_ENCODING_MAGIC];
    ssize_t       n;
    struct iovec  iov;

    iov.iov_base = head;
    iov.iov_len = sizeof(head);

    n = preadv2(content->fd, &iov, 1, content->base, RWF_NOWAIT);

    return n > 0 && oci_encoding_packed(head, n);
}


static void
ngx_http_oci_zstd_start(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx)
{
    oci_zstd_params_t         params;
    ngx_http_oci_loc_conf_t  *olcf;
    ngx_http_oci_zstd_job_t  *zj;

    if (ngx_http_oci_zstd_busy || ngx_exiting || ngx_terminate
        || (ngx_msec_int_t) (ngx_current_msec - ngx_http_oci_zstd_rested) < 0)
    {
        return;
    }

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    zj = ngx_alloc(sizeof(ngx_http_oci_zstd_job_t), r->connection->log);
    if (zj == NULL) {
        return;
    }

    params.level = (int) olcf->zstd_level;
    params.threads = (int) olcf->zstd_threads;
    params.min_ratio = (unsigned) olcf->zstd_min_ratio;
    params.reserve = olcf->store->min_free;

    zj->last = 0;
    zj->pool = olcf->write_pool;
    zj->zstd = oci_zstd_create(&olcf->store->store, &ctx->repo,
                               &ctx->route.digest, &params);
    if (zj->zstd == NULL) {
        ngx_free(zj);
        return;
    }

    ngx_http_oci_job_init(&zj->job, ngx_cycle->log, ngx_http_oci_zstd_work,
                          ngx_http_oci_zstd_done, zj);

    if (ngx_http_oci_job_post(&zj->job, zj->pool) != NGX_OK) {
        oci_zstd_destroy(zj->zstd);
        ngx_free(zj);
        return;
    }

    ngx_http_oci_zstd_busy = zj;
}


static int
ngx_http_oci_zstd_work(void *data)
{
    ngx_http_oci_zstd_job_t  *zj = data;

    if (zj->last) {
        oci_zstd_destroy(zj->zstd);
        zj->zstd = NULL;

        return OCI_NOT_FOUND;
    }

    return oci_zstd_step(zj->zstd, NGX_HTTP_OCI_ZSTD_STEP);
}


static void
ngx_http_oci_zstd_done(void *data, int rc)
{
    ngx_http_oci_zstd_job_t  *zj = data;

    if (rc == OCI_AGAIN) {

        /* a worker that is to end ends; another one begins again */

        zj->last = ngx_exiting || ngx_terminate;

        if (ngx_http_oci_job_post(&zj->job, zj->pool) == NGX_OK) {
            return;
        }
    }

    if (rc == OCI_ERROR || rc == OCI_RANGE || rc == OCI_CONFLICT) {
        ngx_http_oci_zstd_rested = ngx_current_msec
                                   + (rc == OCI_CONFLICT
                                      ? NGX_HTTP_OCI_ZSTD_REST / 60
                                      : NGX_HTTP_OCI_ZSTD_REST);
    }

    if (zj->zstd) {
        oci_zstd_destroy(zj->zstd);
    }

    ngx_free(zj);

    ngx_http_oci_zstd_busy = NULL;
}


char *
ngx_http_oci_zstd_conf_level(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_oci_loc_conf_t  *olcf = conf;

    ngx_str_t  *value;

    static const size_t  skip = sizeof("threads=") - 1;

    if (olcf->zstd_level != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    olcf->zstd_level = ngx_atoi(value[1].data, value[1].len);

    if (olcf->zstd_level < 1 || olcf->zstd_level > OCI_ZSTD_LEVEL_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"oci_zstd_level\" must be 1 to %d",
                           OCI_ZSTD_LEVEL_MAX);
        return NGX_CONF_ERROR;
    }

    olcf->zstd_threads = 1;

    if (cf->args->nelts == 2) {
        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value[2].data, "threads=", skip) != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid parameter \"%V\"",
                           &value[2]);
        return NGX_CONF_ERROR;
    }

    olcf->zstd_threads = ngx_atoi(value[2].data + skip, value[2].len - skip);

    if (olcf->zstd_threads < 1 || olcf->zstd_threads > OCI_ZSTD_THREADS_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"threads\" must be 1 to %d",
                           OCI_ZSTD_THREADS_MAX);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_oci_zstd_conf_ratio(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_oci_loc_conf_t  *olcf = conf;

    ngx_int_t   n;
    ngx_str_t  *value;

    if (olcf->zstd_min_ratio != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    n = ngx_atofp(value[1].data, value[1].len, 3);

    if (n == NGX_ERROR || n >= 1000) {
        return "must be a number from 0 to 0.999";
    }

    olcf->zstd_min_ratio = n;

    return NGX_CONF_OK;
}


void
ngx_http_oci_zstd_conf_init(ngx_http_oci_loc_conf_t *conf)
{
    conf->zstd = NGX_CONF_UNSET;
    conf->zstd_level = NGX_CONF_UNSET;
    conf->zstd_threads = NGX_CONF_UNSET;
    conf->zstd_min_ratio = NGX_CONF_UNSET;
}


void
ngx_http_oci_zstd_conf_merge(ngx_http_oci_loc_conf_t *prev,
    ngx_http_oci_loc_conf_t *conf)
{
    ngx_conf_merge_value(conf->zstd, prev->zstd, 0);
    ngx_conf_merge_value(conf->zstd_level, prev->zstd_level, 3);
    ngx_conf_merge_value(conf->zstd_threads, prev->zstd_threads, 1);
    ngx_conf_merge_value(conf->zstd_min_ratio, prev->zstd_min_ratio, 100);
}
