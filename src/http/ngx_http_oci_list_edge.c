
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "ngx_http_oci_list_edge.h"
#include "ngx_http_oci_cache.h"
#include "ngx_http_oci_list.h"
#include "ngx_http_oci_send.h"
#include "ngx_http_oci_upstream.h"

#include "oci_taglist.h"


#define NGX_HTTP_OCI_LIST_META  512


typedef struct {
    ngx_http_oci_upstream_t     *u;
    ngx_http_oci_cache_ask_t     ask;
    ngx_str_t                    path;
    ngx_str_t                    args;
    oci_str_t                    first;         /* of the zone's key */
    oci_str_t                    second;

    ngx_str_t                    link;          /* the query of the next page */
    ngx_str_t                    filters;
    u_char                      *body;
    size_t                       len;

    ngx_int_t                  (*local)(ngx_http_request_t *r,
                                        ngx_http_oci_ctx_t *ctx);
    ngx_http_oci_list_ctx_t     *checked;       /* n and last */
    oci_text_t                   pushed;        /* tags that are here alone */
    unsigned                     has:1;         /* body is what is kept */
    unsigned                     tags:1;
} ngx_http_oci_list_edge_t;


static ngx_int_t ngx_http_oci_list_edge_begin(ngx_http_oci_upstream_t *u,
    ngx_http_oci_list_ctx_t *checked,
    ngx_int_t (*local)(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx));
static ngx_int_t ngx_http_oci_list_edge_go(ngx_http_oci_list_edge_t *l);
static ngx_uint_t ngx_http_oci_list_edge_pushes(ngx_http_oci_list_edge_t *l);
static int ngx_http_oci_list_edge_pushed_work(void *data);
static void ngx_http_oci_list_edge_pushed_done(ngx_http_request_t *r,
    void *data, int rc);
static oci_error_t ngx_http_oci_list_edge_unknown(
    ngx_http_oci_list_edge_t *l);
static ngx_int_t ngx_http_oci_list_edge_none(ngx_http_oci_list_edge_t *l,
    ngx_http_oci_cache_status_e status);
static void ngx_http_oci_list_edge_cleanup(void *data);
static ngx_int_t ngx_http_oci_list_edge_path(ngx_http_oci_list_edge_t *l);
static ngx_int_t ngx_http_oci_list_edge_args(ngx_http_oci_list_edge_t *l);
static int ngx_http_oci_list_edge_cached(ngx_http_oci_list_edge_t *l);
static void ngx_http_oci_list_edge_keep(ngx_http_oci_list_edge_t *l);
static void ngx_http_oci_list_edge_answered(ngx_http_oci_upstream_t *u,
    const ngx_http_oci_answer_t *answer);
static ngx_int_t ngx_http_oci_list_edge_take(ngx_http_oci_list_edge_t *l,
    const ngx_http_oci_answer_t *answer);
static void ngx_http_oci_list_edge_query(const ngx_str_t *link,
    ngx_str_t *query);
static ngx_int_t ngx_http_oci_list_edge_name(ngx_http_oci_list_edge_t *l,
    const ngx_http_oci_answer_t *answer);
static ngx_int_t ngx_http_oci_list_edge_send(ngx_http_oci_list_edge_t *l,
    ngx_http_oci_cache_status_e status);
static ngx_int_t ngx_http_oci_list_edge_here(ngx_http_oci_list_edge_t *l);


/* for what is copied at once */

static u_char  ngx_http_oci_list_edge_buf[NGX_HTTP_OCI_CACHE_BODY];


ngx_int_t
ngx_http_oci_list_edge(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx,
    ngx_int_t (*local)(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx))
{
    ngx_int_t                 rc;
    ngx_http_oci_loc_conf_t  *olcf;
    ngx_http_oci_list_ctx_t  *checked;
    ngx_http_oci_upstream_t  *u;

    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    if (olcf->edge == NULL) {
        return local(r, ctx);
    }

    /* what is malformed is refused here */

    checked = ngx_http_oci_list_create(r, ctx);
    if (checked == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_oci_list_args(r, checked);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    rc = ngx_http_oci_upstream_create(r, ctx, &u);

    if (rc == NGX_DECLINED) {
        return local(r, ctx);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_http_oci_list_edge_begin(u, checked, local);
}


static ngx_int_t
ngx_http_oci_list_edge_begin(ngx_http_oci_upstream_t *u,
    ngx_http_oci_list_ctx_t *checked,
    ngx_int_t (*local)(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx))
{
    ngx_int_t                  rc;
    ngx_pool_cleanup_t        *cln;
    ngx_http_request_t        *r;
    ngx_http_oci_ctx_t        *ctx;
    ngx_http_oci_loc_conf_t   *olcf;
    ngx_http_oci_list_edge_t  *l;

    r = u->request;
    ctx = u->ctx;
    olcf = ngx_http_get_module_loc_conf(r, ngx_http_oci_module);

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_oci_list_edge_t));
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    l = cln->data;

    ngx_memzero(l, sizeof(ngx_http_oci_list_edge_t));

    cln->handler = ngx_http_oci_list_edge_cleanup;

    l->checked = checked;
    l->u = u;
    l->local = local;
    l->tags = (ctx->op == NGX_HTTP_OCI_OP_TAGS);

    u->data = l;

    if (ngx_http_oci_list_edge_path(l) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_oci_cache_ask(&l->ask, &olcf->store->cache, &olcf->store->store,
                           &ctx->repo, olcf->valid, olcf->valid_missing);

    /* what it says changes with pushes to it, not with what is stored here */

    l->ask.generation = ngx_http_oci_zone_pushes(&olcf->store->cache,
                                                 l->ask.hash);
    l->ask.edge = 1;

    if (!ngx_http_oci_list_edge_pushes(l)) {
        return ngx_http_oci_list_edge_go(l);
    }

    return ngx_http_oci_task_begin(r, olcf->read_pool,
                                   ngx_http_oci_list_edge_pushed_work,
                                   ngx_http_oci_list_edge_pushed_done, l, 0);
}


/* 1 if there may be tags that were pushed here: the upstream has not these */

static ngx_uint_t
ngx_http_oci_list_edge_pushes(ngx_http_oci_list_edge_t *l)
{
    oci_stamp_t  stamp;

    return l->tags
           && l->u->conf->push == NGX_HTTP_OCI_PUSH_LOCAL
           && oci_taglist_stat(l->checked->store, l->checked->repo, &stamp)
              != OCI_NOT_FOUND;
}


static int
ngx_http_oci_list_edge_pushed_work(void *data)
{
    ngx_http_oci_list_edge_t  *l = data;

    return oci_taglist_pushed(l->checked->store, l->checked->repo,
                              &l->pushed);
}


static void
ngx_http_oci_list_edge_pushed_done(ngx_http_request_t *r, void *data, int rc)
{
    ngx_http_oci_list_edge_t  *l = data;

    ngx_http_finalize_request(r, (rc == OCI_OK || rc == OCI_NOT_FOUND)
                                 ? ngx_http_oci_list_edge_go(l)
                                 : ngx_http_oci_send_failure(r, rc));
}


static void
ngx_http_oci_list_edge_cleanup(void *data)
{
    ngx_http_oci_list_edge_t  *l = data;

    free(l->pushed.data);
}


/*
 * What a 404 of the upstream is here.  An upstream without the API answers a
 * question for referrers like that too, and clients look for their tag then,
 * unless they are told that there is no such repository.
 */

static oci_error_t
ngx_http_oci_list_edge_unknown(ngx_http_oci_list_edge_t *l)
{
    return l->tags ? OCI_ERR_NAME_UNKNOWN : OCI_ERR_MANIFEST_UNKNOWN;
}


/* the upstream has no such repository */

static ngx_int_t
ngx_http_oci_list_edge_none(ngx_http_oci_list_edge_t *l,
    ngx_http_oci_cache_status_e status)
{
    static u_char  none[] = "{\"tags\":[]}";

    l->body = none;
    l->len = sizeof(none) - 1;

    return ngx_http_oci_list_edge_send(l, status);
}


static ngx_int_t
ngx_http_oci_list_edge_go(ngx_http_oci_list_edge_t *l)
{
    ngx_int_t                 rc;
    ngx_http_request_t       *r;
    ngx_http_oci_ctx_t       *ctx;
    ngx_http_oci_upstream_t  *u;
    ngx_http_oci_question_t   q;

    u = l->u;
    r = u->request;
    ctx = u->ctx;

    ctx->cache_status = NGX_HTTP_OCI_STATUS_MISS;

    if (ngx_http_oci_upstream_allowed(u, NULL)) {

        switch (ngx_http_oci_list_edge_cached(l)) {

        case OCI_OK:
            return ngx_http_oci_list_edge_send(l, NGX_HTTP_OCI_STATUS_HIT);

        case OCI_NOT_FOUND:
            ctx->cache_status = NGX_HTTP_OCI_STATUS_HIT;

            if (l->pushed.len) {
                return ngx_http_oci_list_edge_none(l,
                                                   NGX_HTTP_OCI_STATUS_HIT);
            }

            return ngx_http_oci_send_error(r,
                                           ngx_http_oci_list_edge_unknown(l),
                                           0, NULL,
                                           l->tags ? &ctx->repo.name
                                                   : &ctx->route.reference);

        default:
            break;
        }
    }

    ngx_memzero(&q, sizeof(ngx_http_oci_question_t));

    q.path = l->path;
    q.args = l->args;
    q.member = l->tags ? "tags" : "manifests";

    rc = ngx_http_oci_upstream_ask(u, &q,
                                   ngx_http_oci_upstream_allowed(u, NULL),
                                   ngx_http_oci_list_edge_answered);

    switch (rc) {

    case NGX_OK:
        r->main->count++;
        return NGX_DONE;

    case NGX_BUSY:

        rc = ngx_http_oci_list_edge_here(l);

        if (rc != NGX_DECLINED) {
            return rc;
        }

        return ngx_http_oci_send_error(r, OCI_ERR_UNAVAILABLE,
                                       NGX_HTTP_BAD_GATEWAY,
                                       "the upstream does not answer", NULL);

    default:
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
}


static ngx_int_t
ngx_http_oci_list_edge_path(ngx_http_oci_list_edge_t *l)
{
    oci_str_t           *reference;
    ngx_http_request_t  *r;

    r = l->u->request;
    reference = &l->u->ctx->route.reference;

    if (ngx_http_oci_list_edge_args(l) != NGX_OK) {
        return NGX_ERROR;
    }

    if (l->tags) {
        ngx_str_set(&l->path, "tags/list");

    } else {
        l->path.len = sizeof("referrers/") - 1 + reference->len;
        l->path.data = ngx_pnalloc(r->pool, l->path.len);
        if (l->path.data == NULL) {
            return NGX_ERROR;
        }

        (void) ngx_sprintf(l->path.data, "referrers/%*s", reference->len,
                           reference->data);
    }

    l->first.data = l->path.data;
    l->first.len = l->path.len;
    l->second.data = l->args.data;
    l->second.len = l->args.len;

    return NGX_OK;
}


/* those of the specification: "ns" and the like are between us and a client */

static ngx_int_t
ngx_http_oci_list_edge_args(ngx_http_oci_list_edge_t *l)
{
    size_t      len;
    u_char     *p, *last, *end, *to;
    ngx_uint_t  i;

    static ngx_str_t  known[] = {
        ngx_string("n="),
        ngx_string("last="),
        ngx_string("artifactType=")
    };

    to = ngx_pnalloc(l->u->request->pool, l->u->request->args.len + 1);
    if (to == NULL) {
        return NGX_ERROR;
    }

    l->args.data = to;

    p = l->u->request->args.data;
    last = p + l->u->request->args.len;

    for ( /* void */ ; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, '&');
        if (end == NULL) {
            end = last;
        }

        len = end - p;

        for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {

            if (len > known[i].len
                && ngx_strncmp(p, known[i].data, known[i].len) == 0)
            {
                if (to != l->args.data) {
                    *to++ = '&';
                }

                to = ngx_cpymem(to, p, len);
                break;
            }
        }
    }

    l->args.len = to - l->args.data;

    return NGX_OK;
}


/*
 * OCI_OK, OCI_NOT_FOUND, or OCI_AGAIN: the upstream is to be asked; l->has is
 * set where anything is kept.
 */

static int
ngx_http_oci_list_edge_cached(ngx_http_oci_list_edge_t *l)
{
    size_t                      len, n;
    u_char                     *p;
    ngx_http_request_t         *r;
    ngx_http_oci_cache_e        found;
    ngx_http_oci_cache_value_t  v;
    u_char                      meta[NGX_HTTP_OCI_LIST_META];

    r = l->u->request;
    len = sizeof(meta);

    found = ngx_http_oci_cache_answer(&l->ask, &l->first, &l->second, meta,
                                      &len, ngx_http_oci_list_edge_buf, &v);

    if (found == NGX_HTTP_OCI_CACHE_NEGATIVE) {
        return OCI_NOT_FOUND;
    }

    if ((found != NGX_HTTP_OCI_CACHE_HIT
         && found != NGX_HTTP_OCI_CACHE_EXPIRED)
        || v.body == NULL)
    {
        return OCI_AGAIN;
    }

    p = ngx_pnalloc(r->pool, len + v.body_len + 1);
    if (p == NULL) {
        return OCI_AGAIN;
    }

    /* two strings, the first one ends with a NUL */

    ngx_memcpy(p, meta, len);
    n = ngx_strlen(p);

    l->link.data = p;
    l->link.len = n;
    l->filters.data = p + n + 1;
    l->filters.len = len - n - 1;

    l->body = p + len;
    l->len = v.body_len;
    ngx_memcpy(l->body, v.body, v.body_len);

    l->has = 1;

    return (found == NGX_HTTP_OCI_CACHE_HIT) ? OCI_OK : OCI_AGAIN;
}


static void
ngx_http_oci_list_edge_keep(ngx_http_oci_list_edge_t *l)
{
    u_char                     *p;
    ngx_http_oci_cache_value_t  v;
    u_char                      meta[NGX_HTTP_OCI_LIST_META];

    if (l->link.len + 1 + l->filters.len > sizeof(meta)) {
        return;
    }

    p = ngx_cpymem(meta, l->link.data, l->link.len);
    *p++ = '\0';
    p = ngx_cpymem(p, l->filters.data, l->filters.len);

    ngx_memzero(&v, sizeof(ngx_http_oci_cache_value_t));

    v.size = (int64_t) l->len;
    v.body = l->body;
    v.body_len = l->len;

    ngx_http_oci_cache_put_answer(&l->ask, &l->first, &l->second, meta,
                                  p - meta, &v);
}


static void
ngx_http_oci_list_edge_answered(ngx_http_oci_upstream_t *u,
    const ngx_http_oci_answer_t *answer)
{
    ngx_http_oci_list_edge_t  *l = u->data;

    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = u->request;

    if (ngx_http_oci_upstream_stale(u, answer, NULL)) {
        rc = ngx_http_oci_list_edge_here(l);

        if (rc != NGX_DECLINED) {

            /* the handler of what is here counts the request itself */

            ngx_http_finalize_request(r, rc);
            return;
        }
    }

    ngx_http_oci_upstream_learn(u, answer, NULL);

    if (answer->outcome == NGX_HTTP_OCI_ASK_CONTENT) {
        rc = ngx_http_oci_list_edge_take(l, answer);

        if (rc == NGX_OK) {
            ngx_http_oci_list_edge_keep(l);

            rc = ngx_http_oci_list_edge_send(l, NGX_HTTP_OCI_STATUS_MISS);

        } else {
            rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

    } else {
        if (answer->outcome == NGX_HTTP_OCI_ASK_REFUSED
            && answer->status == NGX_HTTP_NOT_FOUND
            && !u->client)
        {
            ngx_http_oci_cache_put_answer(&l->ask, &l->first, &l->second,
                                          NULL, 0, NULL);

            if (l->pushed.len) {
                ngx_http_finalize_request(r,
                    ngx_http_oci_list_edge_none(l, NGX_HTTP_OCI_STATUS_MISS));
                return;
            }
        }

        rc = ngx_http_oci_upstream_error(u, answer,
                                         ngx_http_oci_list_edge_unknown(l));
    }

    ngx_http_finalize_request(r, rc);
}


static ngx_int_t
ngx_http_oci_list_edge_take(ngx_http_oci_list_edge_t *l,
    const ngx_http_oci_answer_t *answer)
{
    ngx_str_t            query;
    ngx_http_request_t  *r;

    r = l->u->request;

    ngx_http_oci_list_edge_query(&answer->link, &query);

    l->link.len = query.len;
    l->link.data = ngx_pstrdup(r->pool, &query);

    l->filters.len = answer->filters.len;
    l->filters.data = ngx_pstrdup(r->pool, (ngx_str_t *) &answer->filters);

    if (l->link.data == NULL || l->filters.data == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_oci_list_edge_name(l, answer);
}


/* of <URL?query>; rel="next"; empty where there is no such */

static void
ngx_http_oci_list_edge_query(const ngx_str_t *link, ngx_str_t *query)
{
    u_char  *p, *last, *end;

    ngx_str_null(query);

    last = link->data + link->len;

    if (link->len == 0
        || link->data[0] != '<'
        || (end = ngx_strlchr(link->data, last, '>')) == NULL
        || (p = ngx_strlchr(link->data, end, '?')) == NULL
        || ngx_strnstr(end, "next", last - end) == NULL)
    {
        return;
    }

    query->data = p + 1;
    query->len = end - query->data;

    for (p = query->data; p < end; p++) {
        if (*p <= ' ' || *p >= 0x7f || *p == '"' || *p == '<') {
            query->len = 0;
            return;
        }
    }
}


/* the list of tags says whose it is, and that is another name here */

static ngx_int_t
ngx_http_oci_list_edge_name(ngx_http_oci_list_edge_t *l,
    const ngx_http_oci_answer_t *answer)
{
    u_char              *p, *at, *last;
    oci_str_t           *here;
    ngx_str_t           *there;
    ngx_http_request_t  *r;

    r = l->u->request;
    here = &l->u->ctx->repo.name;
    there = &l->u->target->repository;

    l->len = answer->len;
    l->body = ngx_pnalloc(r->pool, answer->len + here->len + 1);
    if (l->body == NULL) {
        return NGX_ERROR;
    }

    last = answer->body + answer->len;
    at = NULL;

    if (l->tags
        && there->len
        && (there->len != here->len
            || ngx_memcmp(there->data, here->data, here->len) != 0))
    {
        /* "name" stands before a list that may be long */

        at = memmem(answer->body, ngx_min(answer->len, 1024), there->data,
                    there->len);
    }

    if (at == NULL
        || at == answer->body
        || at[-1] != '"'
        || at + there->len >= last
        || at[there->len] != '"')
    {
        (void) ngx_cpymem(l->body, answer->body, answer->len);
        return NGX_OK;
    }

    p = ngx_cpymem(l->body, answer->body, at - answer->body);
    p = ngx_cpymem(p, here->data, here->len);
    p = ngx_cpymem(p, at + there->len, last - at - there->len);

    l->len = p - l->body;

    return NGX_OK;
}


static ngx_int_t
ngx_http_oci_list_edge_send(ngx_http_oci_list_edge_t *l,
    ngx_http_oci_cache_status_e status)
{
    int                  rc;
    oci_str_t           *name;
    ngx_str_t            value;
    ngx_http_request_t  *r;

    r = l->u->request;
    name = &l->u->ctx->repo.name;

    l->u->ctx->cache_status = status;

    if (l->pushed.len) {

        rc = oci_taglist_merge(l->checked->repo, l->body, l->len,
                               l->link.len ? 1 : 0, &l->pushed,
                               &l->checked->last, l->checked->n,
                               &l->checked->list);

        if (rc == OCI_ERROR) {
            return ngx_http_oci_send_failure(r, rc);
        }

        if (rc == OCI_OK) {
            l->body = l->checked->list.body;
            l->len = l->checked->list.len;

            if (l->checked->list.next[0]) {
                return ngx_http_oci_list_answer(r, l->checked, OCI_OK);
            }
        }
    }

    if (l->link.len) {
        value.data = ngx_pnalloc(r->pool, sizeof("</v2//?>; rel=\"next\"")
                                          + name->len + l->path.len
                                          + l->link.len);
        if (value.data == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        value.len = ngx_sprintf(value.data, "</v2/%*s/%V?%V>; rel=\"next\"",
                                name->len, name->data, &l->path, &l->link)
                    - value.data;

        if (ngx_http_oci_add_header(r, "Link", &value) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    if (l->filters.len
        && ngx_http_oci_add_header(r, "OCI-Filters-Applied", &l->filters)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_oci_send_memory(r, NGX_HTTP_OK,
                                    l->tags ? &ngx_http_oci_type_json
                                            : &ngx_http_oci_type_index,
                                    l->body, l->len);
}


/*
 * The upstream does not answer: what it said before, or the tags that are
 * stored.  No list of referrers is made up: it would say that nothing has
 * been signed.  NGX_DECLINED: neither is there.
 */

static ngx_int_t
ngx_http_oci_list_edge_here(ngx_http_oci_list_edge_t *l)
{
    ngx_int_t            rc;
    ngx_http_oci_ctx_t  *ctx;

    ctx = l->u->ctx;

    if (l->has) {
        return ngx_http_oci_list_edge_send(l, NGX_HTTP_OCI_STATUS_STALE);
    }

    if (!l->tags) {
        return NGX_DECLINED;
    }

    rc = l->local(l->u->request, ctx);

    ctx->cache_status = NGX_HTTP_OCI_STATUS_STALE;

    return rc;
}
