
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Tags of a repository: from the zone, or from the disk and kept there.
 */


#include "ngx_http_oci_list.h"
#include "ngx_http_oci_list_edge.h"

#include "ngx_http_oci_job.h"
#include "ngx_http_oci_tagset.h"

#include "oci_taglist.h"


/* so many tags are all looked at for a page of some of them, and kept */
#define NGX_HTTP_OCI_TAGS_FEW    1000

/* reads of a large folder until one falls between two writes */
#define NGX_HTTP_OCI_TAGS_TRIES  3


/* of a snapshot that is filled when nobody waits for it any more */

typedef struct {
    ngx_http_oci_job_t          job;
    ngx_pool_t                 *pool;
    const oci_store_t          *store;
    ngx_http_oci_zone_t        *zone;
    uint64_t                    token;
    time_t                      valid;
    time_t                      valid_missing;
    size_t                      ns_len;
    size_t                      name_len;
    u_char                      ns[OCI_NAMESPACE_MAX];
    u_char                      name[OCI_NAME_MAX];
} ngx_http_oci_tags_fill_t;


static ngx_int_t ngx_http_oci_tags_here(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx);
static int ngx_http_oci_tags_cached(ngx_http_oci_ctx_t *ctx,
    ngx_http_oci_list_ctx_t *l);
static int ngx_http_oci_tags_long_work(void *data);
static int ngx_http_oci_tags_work(void *data);
static void ngx_http_oci_tags_keep(const ngx_http_oci_cache_ask_t *ask,
    const oci_store_t *s, uint64_t token, const oci_text_t *run, size_t count,
    const oci_stamp_t *stamp);
static void ngx_http_oci_tags_done(ngx_http_request_t *r, void *data, int rc);
static void ngx_http_oci_tags_fill(ngx_http_request_t *r,
    ngx_http_oci_list_ctx_t *l);
static int ngx_http_oci_tags_fill_work(void *data);
static void ngx_http_oci_tags_fill_done(void *data, int rc);


/* for what is copied at once */

static u_char  ngx_http_oci_tags_buf[NGX_HTTP_OCI_TAGSET_COPY];


ngx_int_t
ngx_http_oci_tags_handler(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx)
{
    return ngx_http_oci_list_edge(r, ctx, ngx_http_oci_tags_here);
}


/* of what is stored */

static ngx_int_t
ngx_http_oci_tags_here(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx)
{
    ngx_int_t                 rc;
    ngx_http_oci_list_ctx_t  *l;

    l = ngx_http_oci_list_create(r, ctx);
    if (l == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_oci_list_args(r, l);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    switch (ngx_http_oci_tags_cached(ctx, l)) {

    case OCI_OK:
        return ngx_http_oci_list_answer(r, l, OCI_OK);

    case OCI_RANGE:
        return ngx_http_oci_list_post(r, l, ngx_http_oci_tags_long_work,
                                      ngx_http_oci_tags_done);

    default:
        return ngx_http_oci_list_post(r, l, ngx_http_oci_tags_work,
                                      ngx_http_oci_tags_done);
    }
}


/*
 * From the zone: OCI_OK; OCI_RANGE: it is there, but too long to be copied
 * here; OCI_AGAIN: the disk is to be asked.
 */

static int
ngx_http_oci_tags_cached(ngx_http_oci_ctx_t *ctx, ngx_http_oci_list_ctx_t *l)
{
    int                           rc;
    oci_stamp_t                   stamp, now;
    oci_tagpage_t                 page;
    ngx_http_oci_tagset_part_t    part;
    ngx_http_oci_cache_e          found;

    found = ngx_http_oci_tagset_read(&l->ask, &l->last, (uint64_t) l->n,
                                     ngx_http_oci_tags_buf, &part, &stamp);

    l->token = part.token;
    l->wanted = part.wanted;

    ctx->cache_status = NGX_HTTP_OCI_STATUS_MISS;

    switch (found) {

    case NGX_HTTP_OCI_CACHE_HIT:
        ctx->cache_status = NGX_HTTP_OCI_STATUS_HIT;
        break;

    case NGX_HTTP_OCI_CACHE_EXPIRED:

        /* another machine may have changed them */

        if (oci_taglist_stat(l->store, l->repo, &now) != OCI_OK
            || !oci_stamp_equal(&now, &stamp))
        {
            return OCI_AGAIN;
        }

        ngx_http_oci_tagset_confirm(&l->ask);

        ctx->cache_status = NGX_HTTP_OCI_STATUS_REVALIDATED;
        break;

    default: /* NGX_HTTP_OCI_CACHE_MISS */
        return OCI_AGAIN;
    }

    if (part.len == 0) {
        return OCI_RANGE;
    }

    oci_tagpage_begin(&page, l->repo, l->n);

    rc = oci_tagpage_run(&page, &l->last, ngx_http_oci_tags_buf, part.len)
         || part.last ? OCI_OK : OCI_RANGE;

    return oci_tagpage_end(&page, &l->list, rc) == OCI_OK ? OCI_OK : OCI_RANGE;
}


/* a long page from the zone, piece by piece, or else from the disk */

static int
ngx_http_oci_tags_long_work(void *data)
{
    ngx_http_oci_list_ctx_t  *l = data;

    int                           full;
    size_t                        i, n;
    u_char                       *buf;
    oci_str_t                     last;
    oci_tagpage_t                 page;
    ngx_http_oci_tagset_part_t    part;

    buf = malloc(NGX_HTTP_OCI_TAGSET_COPY);
    if (buf == NULL) {
        return ngx_http_oci_tags_work(l);
    }

    oci_tagpage_begin(&page, l->repo, l->n);

    last = l->last;
    part.token = l->token;

    do {
        if (ngx_http_oci_tagset_next(&l->ask, &last, buf, &part) != NGX_OK) {
            (void) oci_tagpage_end(&page, NULL, OCI_AGAIN);
            free(buf);

            l->gone = 1;
            return ngx_http_oci_tags_work(l);
        }

        full = oci_tagpage_run(&page, &last, buf, part.len);

        if (!full && !part.last) {

            for (i = 0, n = 0; i < part.len; i += 1 + buf[i]) {
                n = i;
            }

            ngx_memcpy(l->last_buf, &buf[n + 1], buf[n]);
            last.data = l->last_buf;
            last.len = buf[n];
        }

    } while (!full && !part.last);

    free(buf);

    return oci_tagpage_end(&page, &l->list, OCI_OK);
}


static int
ngx_http_oci_tags_work(void *data)
{
    ngx_http_oci_list_ctx_t  *l = data;

    int             rc;
    size_t          count;
    unsigned        whole;
    oci_text_t      run;
    oci_stamp_t     stamp;
    oci_tagpage_t   page;

    /* its time is taken before it is read, so it can only be too old */

    if (oci_taglist_stat(l->store, l->repo, &stamp) != OCI_OK) {
        ngx_memzero(&stamp, sizeof(oci_stamp_t));
    }

    whole = (l->n < 0 && l->last.len == 0);

    rc = oci_taglist_read(l->store, l->repo,
                          whole ? OCI_NAMES_ALL : NGX_HTTP_OCI_TAGS_FEW,
                          &run, &count);

    switch (rc) {

    case OCI_OK:
        break;

    case OCI_RANGE:
        l->fill = l->wanted;
        /* fall through */

    case OCI_NOT_FOUND:
        return oci_list_tags(l->store, l->repo, &l->last, l->n, &l->list);

    default:
        return rc;
    }

    if (count == 0) {

        /* whether there is such a repository is another question */

        free(run.data);
        return oci_list_tags(l->store, l->repo, &l->last, l->n, &l->list);
    }

    oci_tagpage_begin(&page, l->repo, l->n);
    (void) oci_tagpage_run(&page, &l->last, run.data, run.len);

    rc = oci_tagpage_end(&page, &l->list, OCI_OK);

    if (rc == OCI_OK && (l->wanted || count <= NGX_HTTP_OCI_TAGS_FEW)) {
        ngx_http_oci_tags_keep(&l->ask, l->store, 0, &run, count, &stamp);
    }

    free(run.data);

    return rc;
}


/* what is behind the counter already is not worth a place */

static void
ngx_http_oci_tags_keep(const ngx_http_oci_cache_ask_t *ask,
    const oci_store_t *s, uint64_t token, const oci_text_t *run, size_t count,
    const oci_stamp_t *stamp)
{
    if (oci_generation_read(s, ask->repo) == ask->generation) {
        ngx_http_oci_tagset_put(ask, token, run->data, run->len, count,
                                stamp);

    } else if (token) {
        ngx_http_oci_tagset_put(ask, token, NULL, 0, 0, stamp);
    }
}


static void
ngx_http_oci_tags_done(ngx_http_request_t *r, void *data, int rc)
{
    ngx_http_oci_list_ctx_t  *l = data;

    ngx_int_t            n;
    ngx_http_oci_ctx_t  *ctx;

    if (l->gone) {
        ctx = ngx_http_get_module_ctx(r, ngx_http_oci_module);
        ctx->cache_status = NGX_HTTP_OCI_STATUS_MISS;
    }

    n = ngx_http_oci_list_answer(r, l, rc);

    if (rc == OCI_OK && l->fill) {
        ngx_http_oci_tags_fill(r, l);
    }

    ngx_http_finalize_request(r, n);
}


/* all that is not in the answer, for those that come after it */

static void
ngx_http_oci_tags_fill(ngx_http_request_t *r, ngx_http_oci_list_ctx_t *l)
{
    ngx_pool_t                *pool;
    ngx_http_oci_loc_conf_t   *olcf;
    ngx_http_oci_tags_fill_t  *fill;

    if (ngx_exiting || ngx_terminate
        || ngx_http_oci_tagset_renewed(&l->ask, l->token))
    {
        return;
    }

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    pool = ngx_create_pool(2048, ngx_cycle->log);
    if (pool == NULL) {
        return;
    }

    fill = ngx_palloc(pool, sizeof(ngx_http_oci_tags_fill_t));

    if (fill != NULL) {
        fill->token = ngx_http_oci_tagset_begin(&l->ask);
    }

    if (fill == NULL || fill->token == 0) {
        ngx_destroy_pool(pool);
        return;
    }

    fill->pool = pool;
    fill->store = l->store;
    fill->zone = l->ask.zone;
    fill->valid = olcf->valid;
    fill->valid_missing = olcf->valid_missing;

    /* what the request holds goes with it */

    fill->ns_len = l->repo->ns.len;

    if (fill->ns_len) {
        ngx_memcpy(fill->ns, l->repo->ns.data, fill->ns_len);
    }

    fill->name_len = l->repo->name.len;
    ngx_memcpy(fill->name, l->repo->name.data, fill->name_len);

    ngx_http_oci_job_init(&fill->job, ngx_cycle->log,
                          ngx_http_oci_tags_fill_work,
                          ngx_http_oci_tags_fill_done, fill);

    if (ngx_http_oci_job_post(&fill->job, olcf->read_pool) != NGX_OK) {
        ngx_destroy_pool(pool);
    }
}


static int
ngx_http_oci_tags_fill_work(void *data)
{
    ngx_http_oci_tags_fill_t  *fill = data;

    int                         rc;
    size_t                      count;
    oci_repo_t                  repo;
    oci_text_t                  run;
    ngx_uint_t                  try;
    oci_stamp_t                 stamp;
    ngx_http_oci_cache_ask_t    ask;

    repo.ns.data = fill->ns;
    repo.ns.len = fill->ns_len;
    repo.name.data = fill->name;
    repo.name.len = fill->name_len;

    for (try = 1; /* void */ ; try++) {

        ngx_http_oci_cache_ask(&ask, fill->zone, fill->store, &repo,
                               fill->valid, fill->valid_missing);

        ngx_memzero(&run, sizeof(oci_text_t));
        count = 0;

        rc = oci_taglist_stat(fill->store, &repo, &stamp);

        if (rc == OCI_OK) {
            rc = oci_taglist_read(fill->store, &repo, OCI_NAMES_ALL, &run,
                                  &count);
        }

        if (rc != OCI_OK || try == NGX_HTTP_OCI_TAGS_TRIES
            || oci_generation_read(fill->store, &repo) == ask.generation)
        {
            break;
        }

        free(run.data);
    }

    if (rc == OCI_OK) {
        ngx_http_oci_tags_keep(&ask, fill->store, fill->token, &run, count,
                               &stamp);
        free(run.data);

    } else {
        ngx_http_oci_tagset_put(&ask, fill->token, NULL, 0, 0, &stamp);
    }

    return rc;
}


static void
ngx_http_oci_tags_fill_done(void *data, int rc)
{
    ngx_http_oci_tags_fill_t  *fill = data;

    ngx_destroy_pool(fill->pool);
}
