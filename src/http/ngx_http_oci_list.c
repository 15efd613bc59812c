
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Lists: tags, referrers, the catalog.
 */


#include "ngx_http_oci_operations.h"
#include "ngx_http_oci_send.h"
#include "ngx_http_oci_task.h"

#include "ngx_http_oci_job.h"
#include "ngx_http_oci_tagset.h"

#include "oci_referrer.h"
#include "oci_taglist.h"


/* so many tags are all looked at for a page of some of them, and kept */
#define NGX_HTTP_OCI_TAGS_FEW  1000

/* reads of a large folder until one falls between two writes */
#define NGX_HTTP_OCI_TAGS_TRIES  3


typedef struct {
    const oci_store_t          *store;
    const oci_repo_t           *repo;
    ngx_http_oci_cache_ask_t    ask;
    uint64_t                    token;      /* of a snapshot */
    unsigned                    wanted:1;   /* a snapshot is */
    unsigned                    fill:1;     /* once this is answered */
    unsigned                    gone:1;     /* the snapshot, meanwhile */

    const oci_digest_t         *subject;
    const oci_str_t            *reference;  /* the same as text */
    oci_str_t                   filter;     /* what else an answer hangs on */
    u_char                      filter_buf[3 * NGX_INT64_LEN + OCI_NAME_MAX
                                           + OCI_MEDIA_TYPE_MAX];
    int64_t                     n;
    oci_str_t                   last;
    u_char                      last_buf[OCI_NAME_MAX];
    oci_str_t                   type;
    u_char                      type_buf[OCI_MEDIA_TYPE_MAX];
    unsigned                    filtered:1;

    oci_list_t                  list;
    char                        next[OCI_DIGEST_MAX + 1];
} ngx_http_oci_list_ctx_t;


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


static ngx_http_oci_list_ctx_t *ngx_http_oci_list_create(
    ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx);
static void ngx_http_oci_list_cleanup(void *data);
static ngx_int_t ngx_http_oci_list_args(ngx_http_request_t *r,
    ngx_http_oci_list_ctx_t *l);
static ngx_int_t ngx_http_oci_list_post(ngx_http_request_t *r,
    ngx_http_oci_list_ctx_t *l, ngx_http_oci_work_pt work,
    ngx_http_oci_done_pt done);
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
static int ngx_http_oci_catalog_work(void *data);
static void ngx_http_oci_list_done(ngx_http_request_t *r, void *data, int rc);
static ngx_int_t ngx_http_oci_list_answer(ngx_http_request_t *r,
    ngx_http_oci_list_ctx_t *l, int rc);
static void ngx_http_oci_referrers_filter(ngx_http_oci_list_ctx_t *l);
static int ngx_http_oci_referrers_cached(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx, ngx_http_oci_list_ctx_t *l, ngx_str_t *body);
static int ngx_http_oci_referrers_work(void *data);
static void ngx_http_oci_referrers_done(ngx_http_request_t *r, void *data,
    int rc);
static ngx_int_t ngx_http_oci_referrers_answer(ngx_http_request_t *r,
    ngx_http_oci_list_ctx_t *l, u_char *body, size_t len);


/* for what is copied at once */

static u_char  ngx_http_oci_list_buf[NGX_HTTP_OCI_TAGSET_COPY];


ngx_int_t
ngx_http_oci_tags_handler(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx)
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


ngx_int_t
ngx_http_oci_catalog_handler(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx)
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

    return ngx_http_oci_list_post(r, l, ngx_http_oci_catalog_work,
                                  ngx_http_oci_list_done);
}


static ngx_http_oci_list_ctx_t *
ngx_http_oci_list_create(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx)
{
    ngx_pool_cleanup_t       *cln;
    ngx_http_oci_list_ctx_t  *l;
    ngx_http_oci_loc_conf_t  *olcf;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_oci_list_ctx_t));
    if (cln == NULL) {
        return NULL;
    }

    l = cln->data;

    ngx_memzero(l, sizeof(ngx_http_oci_list_ctx_t));

    cln->handler = ngx_http_oci_list_cleanup;

    l->store = &olcf->store->store;
    l->repo = &ctx->repo;
    l->n = OCI_LIST_ALL;

    ngx_http_oci_cache_ask(&l->ask, &olcf->store->cache, l->store, l->repo,
                           olcf->valid, olcf->valid_missing);

    return l;
}


static void
ngx_http_oci_list_cleanup(void *data)
{
    ngx_http_oci_list_ctx_t  *l = data;

    if (l->list.body) {
        free(l->list.body);
    }
}


/* NGX_DECLINED to go on, else what the handler returns */

static ngx_int_t
ngx_http_oci_list_args(ngx_http_request_t *r, ngx_http_oci_list_ctx_t *l)
{
    int         rc;
    u_char      buf[NGX_INT64_LEN];
    oci_str_t   args, value;
    ngx_int_t   n;

    args.data = r->args.data;
    args.len = r->args.len;

    rc = oci_query_arg(&args, "n", 0, &value, buf, sizeof(buf));

    if (rc == OCI_OK) {
        n = ngx_atoi(value.data, value.len);

        if (n == NGX_ERROR) {
            rc = OCI_INVALID;

        } else {
            l->n = n;
        }
    }

    if (rc != OCI_OK && rc != OCI_NOT_FOUND) {
        return ngx_http_oci_send_error(r, OCI_ERR_UNSUPPORTED,
                                       NGX_HTTP_BAD_REQUEST,
                                       "n is not a number", NULL);
    }

    rc = oci_query_arg(&args, "last", 0, &l->last, l->last_buf,
                       sizeof(l->last_buf));

    if (rc == OCI_NOT_FOUND) {
        l->last.len = 0;
        return NGX_DECLINED;
    }

    if (rc != OCI_OK) {
        return ngx_http_oci_send_error(r, OCI_ERR_UNSUPPORTED,
                                       NGX_HTTP_BAD_REQUEST,
                                       "last is malformed", NULL);
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_oci_list_post(ngx_http_request_t *r, ngx_http_oci_list_ctx_t *l,
    ngx_http_oci_work_pt work, ngx_http_oci_done_pt done)
{
    ngx_int_t                 rc;
    ngx_http_oci_loc_conf_t  *olcf;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_http_oci_task_post(r, olcf->read_pool, work, done, l, 1)
        != NGX_OK)
    {
        return ngx_http_oci_send_failure(r, OCI_AGAIN);
    }

    ngx_http_oci_task_watch(r);

    r->main->count++;

    return NGX_DONE;
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
    ngx_http_oci_cache_e          found;
    ngx_http_oci_tagset_part_t    part;

    found = ngx_http_oci_tagset_read(&l->ask, &l->last, (uint64_t) l->n,
                                     ngx_http_oci_list_buf, &part, &stamp);

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

    rc = oci_tagpage_run(&page, &l->last, ngx_http_oci_list_buf, part.len)
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

    if (ngx_exiting || ngx_terminate) {
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
    ngx_memcpy(fill->ns, l->repo->ns.data, fill->ns_len);
    fill->name_len = l->repo->name.len;
    ngx_memcpy(fill->name, l->repo->name.data, fill->name_len);

    ngx_http_oci_job_init(&fill->job, ngx_cycle->log,
                          ngx_http_oci_tags_fill_work,
                          ngx_http_oci_tags_fill_done, fill);

    if (ngx_http_oci_job_post(&fill->job, olcf->read_pool) != NGX_OK) {
        ngx_destroy_pool(pool);
    }
}


static void
ngx_http_oci_tags_fill_done(void *data, int rc)
{
    ngx_http_oci_tags_fill_t  *fill = data;

    ngx_destroy_pool(fill->pool);
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


static int
ngx_http_oci_catalog_work(void *data)
{
    ngx_http_oci_list_ctx_t  *l = data;

    return oci_list_catalog(l->store, &l->repo->ns, &l->last, l->n, &l->list);
}


static void
ngx_http_oci_list_done(ngx_http_request_t *r, void *data, int rc)
{
    ngx_http_finalize_request(r, ngx_http_oci_list_answer(r, data, rc));
}


static ngx_int_t
ngx_http_oci_list_answer(ngx_http_request_t *r, ngx_http_oci_list_ctx_t *l,
    int rc)
{
    switch (rc) {

    case OCI_OK:
        break;

    case OCI_NOT_FOUND:
        return ngx_http_oci_send_error(r, OCI_ERR_NAME_UNKNOWN, 0, NULL,
                                       &l->repo->name);

    default:
        return ngx_http_oci_send_failure(r, rc);
    }

    if (l->list.next[0]
        && ngx_http_oci_add_link(r, l->n, l->list.next, NULL, NULL) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_oci_send_memory(r, NGX_HTTP_OK, &ngx_http_oci_type_json,
                                    l->list.body, l->list.len);
}


ngx_int_t
ngx_http_oci_referrers_handler(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx)
{
    int                       rc;
    oci_str_t                 args;
    ngx_str_t                 body;
    ngx_http_oci_list_ctx_t  *l;

    static u_char  empty[] =
        "{\"schemaVersion\":2,"
        "\"mediaType\":\"application/vnd.oci.image.index.v1+json\","
        "\"manifests\":[]}";

    if (ctx->route.rc == OCI_INVALID) {
        return ngx_http_oci_send_error(r, OCI_ERR_DIGEST_INVALID, 0, NULL,
                                       &ctx->route.reference);
    }

    l = ngx_http_oci_list_create(r, ctx);
    if (l == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_oci_list_args(r, l);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (ctx->route.rc == OCI_UNSUPPORTED) {

        /* a digest that nothing here can have */

        return ngx_http_oci_send_memory(r, NGX_HTTP_OK,
                                        &ngx_http_oci_type_index, empty,
                                        sizeof(empty) - 1);
    }

    l->subject = &ctx->route.digest;
    l->reference = &ctx->route.reference;

    args.data = r->args.data;
    args.len = r->args.len;

    rc = oci_query_arg(&args, "artifactType", 0, &l->type, l->type_buf,
                       sizeof(l->type_buf));

    if (rc == OCI_OK) {
        l->filtered = 1;

    } else if (rc != OCI_NOT_FOUND) {
        return ngx_http_oci_send_error(r, OCI_ERR_UNSUPPORTED,
                                       NGX_HTTP_BAD_REQUEST,
                                       "artifactType is malformed", NULL);
    }

    if (ngx_http_oci_referrers_cached(r, ctx, l, &body) == OCI_OK) {
        return ngx_http_oci_referrers_answer(r, l, body.data, body.len);
    }

    return ngx_http_oci_list_post(r, l, ngx_http_oci_referrers_work,
                                  ngx_http_oci_referrers_done);
}


/* of any bytes, in an order that can't be mistaken */

static void
ngx_http_oci_referrers_filter(ngx_http_oci_list_ctx_t *l)
{
    u_char  *p;

    p = ngx_sprintf(l->filter_buf, "%d,%uz,", l->filtered ? 1 : 0,
                    l->last.len);
    p = ngx_cpymem(p, l->last.data, l->last.len);
    p = ngx_cpymem(p, l->type.data, l->type.len);

    l->filter.data = l->filter_buf;
    l->filter.len = p - l->filter_buf;
}


/* from the zone: OCI_OK, or OCI_AGAIN: the disk is to be asked */

static int
ngx_http_oci_referrers_cached(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx,
    ngx_http_oci_list_ctx_t *l, ngx_str_t *body)
{
    size_t                      len;
    oci_stamp_t                 now;
    ngx_http_oci_cache_e        found;
    ngx_http_oci_cache_value_t  v;

    ngx_http_oci_referrers_filter(l);

    len = OCI_DIGEST_MAX;

    found = ngx_http_oci_cache_answer(&l->ask, l->reference, &l->filter,
                                      (u_char *) l->next, &len,
                                      ngx_http_oci_list_buf, &v);

    ctx->cache_status = NGX_HTTP_OCI_STATUS_MISS;

    switch (found) {

    case NGX_HTTP_OCI_CACHE_HIT:
        ctx->cache_status = NGX_HTTP_OCI_STATUS_HIT;
        break;

    case NGX_HTTP_OCI_CACHE_EXPIRED:

        /* another machine may have changed them */

        if (oci_referrer_stat(l->store, l->repo, l->subject, &now) != OCI_OK
            || !oci_stamp_equal(&now, &v.stamp))
        {
            return OCI_AGAIN;
        }

        ngx_http_oci_cache_confirm_answer(&l->ask, l->reference, &l->filter);

        ctx->cache_status = NGX_HTTP_OCI_STATUS_REVALIDATED;
        break;

    default: /* NGX_HTTP_OCI_CACHE_MISS */
        return OCI_AGAIN;
    }

    l->next[len] = '\0';

    body->len = v.body_len;
    body->data = ngx_pnalloc(r->pool, v.body_len);

    if (body->data == NULL) {
        return OCI_AGAIN;
    }

    ngx_memcpy(body->data, v.body, v.body_len);

    return OCI_OK;
}


static int
ngx_http_oci_referrers_work(void *data)
{
    ngx_http_oci_list_ctx_t  *l = data;

    int                          rc;
    ngx_http_oci_cache_value_t   v;

    /* as with tags: before they are read */

    if (oci_referrer_stat(l->store, l->repo, l->subject, &v.stamp) != OCI_OK)
    {
        ngx_memzero(&v.stamp, sizeof(oci_stamp_t));
    }

    rc = oci_referrer_list(l->store, l->repo, l->subject,
                           l->filtered ? &l->type : NULL, &l->last,
                           &l->list.body, &l->list.len, l->next);

    if (rc == OCI_OK) {
        v.body = l->list.body;
        v.body_len = l->list.len;

        ngx_http_oci_cache_put_answer(&l->ask, l->reference, &l->filter,
                                      (u_char *) l->next,
                                      ngx_strlen(l->next), &v);
    }

    return rc;
}


static void
ngx_http_oci_referrers_done(ngx_http_request_t *r, void *data, int rc)
{
    ngx_http_oci_list_ctx_t  *l = data;

    ngx_int_t  n;

    if (rc == OCI_OK) {
        n = ngx_http_oci_referrers_answer(r, l, l->list.body, l->list.len);

    } else {
        n = ngx_http_oci_send_failure(r, rc);
    }

    ngx_http_finalize_request(r, n);
}


static ngx_int_t
ngx_http_oci_referrers_answer(ngx_http_request_t *r,
    ngx_http_oci_list_ctx_t *l, u_char *body, size_t len)
{
    ngx_str_t  value;

    if (l->filtered) {
        ngx_str_set(&value, "artifactType");

        if (ngx_http_oci_add_header(r, "OCI-Filters-Applied", &value)
            != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    if (l->next[0]
        && ngx_http_oci_add_link(r, l->n, l->next,
                                 l->filtered ? "artifactType" : NULL,
                                 &l->type)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_oci_send_memory(r, NGX_HTTP_OK, &ngx_http_oci_type_index,
                                    body, len);
}
