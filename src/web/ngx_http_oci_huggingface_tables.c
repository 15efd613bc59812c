
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Tables of files that a worker keeps: those that were used last, as many as
 * fit.  A request holds the one that it works with.
 */


#include "ngx_http_oci_huggingface_part.h"


#define NGX_HTTP_OCI_HF_TABLES      256
#define NGX_HTTP_OCI_HF_TABLES_MAX  (32 * 1024 * 1024)      /* bytes */


static ngx_http_oci_hf_table_t *ngx_http_oci_hf_table_hold(
    ngx_http_oci_hf_t *hf, ngx_http_oci_hf_table_t *t);
static void ngx_http_oci_hf_table_release(void *data);
static void ngx_http_oci_hf_table_free(ngx_http_oci_hf_table_t *t);
static void ngx_http_oci_hf_table_drop(ngx_http_oci_hf_table_t *t);
static ngx_uint_t ngx_http_oci_hf_table_of(ngx_http_oci_hf_table_t *t,
    const oci_store_t *s, const oci_repo_t *r);


static ngx_queue_t  ngx_http_oci_hf_tables;     /* the youngest first */
static size_t       ngx_http_oci_hf_tables_size;
static ngx_uint_t   ngx_http_oci_hf_tables_count;


ngx_http_oci_hf_table_t *
ngx_http_oci_hf_table_find(ngx_http_oci_hf_t *hf)
{
    ngx_queue_t              *q, *all;
    ngx_http_oci_hf_table_t  *t;

    all = &ngx_http_oci_hf_tables;

    if (all->next == NULL) {
        ngx_queue_init(all);
    }

    for (q = ngx_queue_head(all);
         q != ngx_queue_sentinel(all);
         q = ngx_queue_next(q))
    {
        t = ngx_queue_data(q, ngx_http_oci_hf_table_t, queue);

        if (oci_digest_equal(&t->digest, &hf->digest)
            && ngx_http_oci_hf_table_of(t, hf->load.store, &hf->ctx->repo))
        {
            ngx_queue_remove(q);
            ngx_queue_insert_head(all, q);

            return ngx_http_oci_hf_table_hold(hf, t);
        }
    }

    return NULL;
}


const oci_digest_t *
ngx_http_oci_hf_table_commit(const oci_store_t *s, const oci_repo_t *r,
    const u_char *commit)
{
    ngx_queue_t              *q, *all;
    ngx_http_oci_hf_table_t  *t;

    all = &ngx_http_oci_hf_tables;

    if (all->next == NULL) {
        return NULL;
    }

    for (q = ngx_queue_head(all);
         q != ngx_queue_sentinel(all);
         q = ngx_queue_next(q))
    {
        t = ngx_queue_data(q, ngx_http_oci_hf_table_t, queue);

        if (ngx_memcmp(t->digest.hex, commit, OCI_HUB_COMMIT) == 0
            && ngx_http_oci_hf_table_of(t, s, r))
        {
            return &t->digest;
        }
    }

    return NULL;
}


ngx_http_oci_hf_table_t *
ngx_http_oci_hf_table_add(ngx_http_oci_hf_t *hf)
{
    u_char                   *p;
    oci_repo_t               *repo;
    ngx_queue_t              *q, *all;
    ngx_http_oci_hf_table_t  *t, *old;

    repo = &hf->ctx->repo;
    all = &ngx_http_oci_hf_tables;

    t = ngx_alloc(sizeof(ngx_http_oci_hf_table_t) + repo->ns.len + 1
                  + repo->name.len, hf->request->connection->log);
    if (t == NULL) {
        return NULL;
    }

    ngx_memzero(t, sizeof(ngx_http_oci_hf_table_t));

    t->repo.data = (u_char *) t + sizeof(ngx_http_oci_hf_table_t);

    p = t->repo.data;

    if (repo->ns.len) {
        p = ngx_cpymem(p, repo->ns.data, repo->ns.len);
    }

    *p++ = '/';
    p = ngx_cpymem(p, repo->name.data, repo->name.len);

    t->repo.len = p - t->repo.data;

    t->store = hf->load.store;
    t->digest = hf->digest;
    t->time = hf->load.time;
    t->files = hf->load.files;
    t->size = sizeof(ngx_http_oci_hf_table_t) + t->repo.len + t->files->len;

    hf->load.files = NULL;

    if (hf->load.partial) {
        return ngx_http_oci_hf_table_hold(hf, t);
    }

    /* several requests may have made it at a time: the last one stays */

    if (all->next == NULL) {
        ngx_queue_init(all);
    }

    for (q = ngx_queue_head(all); q != ngx_queue_sentinel(all); /* void */ ) {

        old = ngx_queue_data(q, ngx_http_oci_hf_table_t, queue);
        q = ngx_queue_next(q);

        if (oci_digest_equal(&old->digest, &t->digest)
            && ngx_http_oci_hf_table_of(old, t->store, repo))
        {
            ngx_http_oci_hf_table_drop(old);
        }
    }

    while (!ngx_queue_empty(all)
           && (ngx_http_oci_hf_tables_count == NGX_HTTP_OCI_HF_TABLES
               || ngx_http_oci_hf_tables_size + t->size
                  > NGX_HTTP_OCI_HF_TABLES_MAX))
    {
        q = ngx_queue_last(all);

        ngx_http_oci_hf_table_drop(ngx_queue_data(q, ngx_http_oci_hf_table_t,
                                                  queue));
    }

    t->kept = 1;
    ngx_queue_insert_head(all, &t->queue);
    ngx_http_oci_hf_tables_size += t->size;
    ngx_http_oci_hf_tables_count++;

    return ngx_http_oci_hf_table_hold(hf, t);
}


static ngx_http_oci_hf_table_t *
ngx_http_oci_hf_table_hold(ngx_http_oci_hf_t *hf, ngx_http_oci_hf_table_t *t)
{
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(hf->request->pool, 0);

    if (cln == NULL) {
        ngx_http_oci_hf_table_free(t);
        return NULL;
    }

    cln->handler = ngx_http_oci_hf_table_release;
    cln->data = t;

    t->refs++;

    return t;
}


static void
ngx_http_oci_hf_table_release(void *data)
{
    ngx_http_oci_hf_table_t  *t = data;

    t->refs--;

    ngx_http_oci_hf_table_free(t);
}


/* unless somebody has it still */

static void
ngx_http_oci_hf_table_free(ngx_http_oci_hf_table_t *t)
{
    if (t->refs || t->kept) {
        return;
    }

    free(t->files);
    ngx_free(t);
}


static void
ngx_http_oci_hf_table_drop(ngx_http_oci_hf_table_t *t)
{
    ngx_queue_remove(&t->queue);

    t->kept = 0;
    ngx_http_oci_hf_tables_size -= t->size;
    ngx_http_oci_hf_tables_count--;

    ngx_http_oci_hf_table_free(t);
}


static ngx_uint_t
ngx_http_oci_hf_table_of(ngx_http_oci_hf_table_t *t, const oci_store_t *s,
    const oci_repo_t *r)
{
    return t->store == s
           && t->repo.len == r->ns.len + 1 + r->name.len
           && (r->ns.len == 0
               || ngx_memcmp(t->repo.data, r->ns.data, r->ns.len) == 0)
           && t->repo.data[r->ns.len] == '/'
           && ngx_memcmp(t->repo.data + r->ns.len + 1, r->name.data,
                         r->name.len)
              == 0;
}
