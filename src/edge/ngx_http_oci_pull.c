
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * From the question to the first byte of the answer.
 *
 * An answer begins with its first byte at hand, so that an upstream that
 * fails gives an error and not a broken answer; but not later than clients
 * wait for headers.
 */


#include "ngx_http_oci_pull.h"


#define NGX_HTTP_OCI_PULL_PATIENCE  2500        /* ms */


static void ngx_http_oci_pull_news(ngx_http_oci_reader_t *rd);
static void ngx_http_oci_pull_try(ngx_http_oci_pull_t *pull);
static void ngx_http_oci_pull_first(ngx_http_oci_pull_t *pull);
static ngx_uint_t ngx_http_oci_pull_due(ngx_http_oci_pull_t *pull);
static void ngx_http_oci_pull_write(ngx_http_request_t *r);
static ngx_uint_t ngx_http_oci_pull_covers(ngx_http_oci_pull_t *pull);
static void ngx_http_oci_pull_cleanup(void *data);


ngx_int_t
ngx_http_oci_pull(ngx_http_request_t *r, ngx_http_oci_pull_t *pull)
{
    ngx_event_t         *rev;
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    pull->request = r;
    pull->fd = NGX_INVALID_FILE;
    pull->size = -1;
    pull->retry_after = -1;
    pull->since = ngx_current_msec;
    pull->first.end = 0;

    pull->reader.handler = ngx_http_oci_pull_news;
    pull->reader.data = pull;

    switch (ngx_http_oci_fill_join(&pull->ask, &pull->reader)) {

    case NGX_OK:
        break;

    case NGX_DECLINED:
        return NGX_DECLINED;

    case NGX_BUSY:
        pull->status = NGX_HTTP_BAD_GATEWAY;
        pull->retry_after = pull->reader.retry_after;
        return pull->answer(r, pull, NGX_ERROR);

    default:
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* not sooner than its pool: the file is sent from until then */

    cln->handler = ngx_http_oci_pull_cleanup;
    cln->data = pull;

    r->main->count++;

    r->write_event_handler = ngx_http_oci_pull_write;

    if (!r->discard_body) {
        rev = r->connection->read;

        r->read_event_handler = ngx_http_test_reading;

        if (rev->ready) {
            ngx_post_event(rev, &ngx_posted_events);
        }
    }

    return NGX_DONE;
}


/* the fill has news */

static void
ngx_http_oci_pull_news(ngx_http_oci_reader_t *rd)
{
    ngx_connection_t     *c;
    ngx_http_oci_pull_t  *pull;

    pull = rd->data;
    c = pull->request->connection;

    ngx_http_set_log_request(c->log, pull->request);

    if (pull->direct) {
        return;
    }

    if (pull->streaming) {
        ngx_http_oci_stream(pull);

    } else if (!pull->started) {
        ngx_http_oci_pull_try(pull);
    }

    ngx_http_run_posted_requests(c);
}


static void
ngx_http_oci_pull_try(ngx_http_oci_pull_t *pull)
{
    ngx_int_t               rc;
    ngx_http_oci_reader_t  *rd;

    rd = &pull->reader;

    rc = ngx_http_oci_fill_look(rd);

    switch (rc) {

    case NGX_AGAIN:
        return;

    case NGX_OK:
        break;

    case NGX_DECLINED:

        rc = ngx_http_oci_direct_start(pull);

        if (rc == NGX_OK) {
            return;
        }

        if (rc != NGX_BUSY) {
            pull->started = 1;
            ngx_http_oci_pull_finish(pull, NGX_HTTP_INTERNAL_SERVER_ERROR);
            return;
        }

        rd->status = NGX_HTTP_BAD_GATEWAY;
        rc = NGX_ERROR;

        /* fall through */

    default: /* NGX_DONE, NGX_ERROR */

        pull->started = 1;
        pull->status = rd->status;
        pull->retry_after = rd->retry_after;

        ngx_http_oci_pull_finish(pull,
                                 pull->answer(pull->request, pull, rc));
        return;
    }

    pull->size = ngx_http_oci_fill_blob_size(rd);
    pull->fd = ngx_http_oci_fill_fd(rd);

    if (pull->request->method != NGX_HTTP_HEAD) {

        if (rd->ranges == NULL) {
            ngx_http_oci_pull_first(pull);
            ngx_http_oci_fill_want(rd);
        }

        if (!ngx_http_oci_pull_due(pull)) {
            return;
        }
    }

    ngx_http_oci_pull_begin(pull);
}


void
ngx_http_oci_pull_begin(ngx_http_oci_pull_t *pull)
{
    ngx_int_t  rc;

    pull->started = 1;
    pull->reader.started = 1;

    rc = pull->answer(pull->request, pull, NGX_OK);

    if (!pull->streaming) {
        ngx_http_oci_pull_finish(pull, rc);
        return;
    }

    ngx_http_oci_stream(pull);
}


void
ngx_http_oci_pull_finish(ngx_http_oci_pull_t *pull, ngx_int_t rc)
{
    pull->streaming = 0;

    if (rc == NGX_ERROR) {
        pull->request->keepalive = 0;
    }

    ngx_http_finalize_request(pull->request, rc);
}


/*
 * Where the body will begin, as far as that can be told before the headers:
 * conditions may still make it another one.
 */

static void
ngx_http_oci_pull_first(ngx_http_oci_pull_t *pull)
{
    unsigned             n;
    oci_range_t          ranges[2], part;
    ngx_table_elt_t     *h;
    ngx_http_request_t  *r;

    r = pull->request;

    part = pull->part;

    if (part.end == 0) {
        part.end = pull->size;
    }

    pull->first.start = ngx_min(part.start, pull->size);
    pull->first.end = ngx_min(part.end, pull->size);

    h = r->headers_in.range;

    if (h && oci_range_count(h->value.data, h->value.len) == 1
        && oci_range_parse(h->value.data, h->value.len,
                           pull->first.end - pull->first.start, ranges, 1,
                           &n)
           == OCI_OK)
    {
        pull->first.end = pull->first.start + ranges[0].end;
        pull->first.start += ranges[0].start;

    } else if (h) {

        /* several, or none that is any good: nothing is waited for */

        pull->first.end = 0;
    }

    pull->reader.ranges = &pull->first;
    pull->reader.nranges = (pull->first.end > pull->first.start) ? 1 : 0;
    pull->reader.at = 0;
    pull->reader.pos = pull->first.start;
}


static ngx_uint_t
ngx_http_oci_pull_due(ngx_http_oci_pull_t *pull)
{
    off_t  end;

    if (ngx_http_oci_fill_verified(&pull->reader)) {
        return 1;
    }

    /* before there is a file, only with its first byte */

    if (pull->fd != NGX_INVALID_FILE
        && ngx_current_msec - pull->since >= NGX_HTTP_OCI_PULL_PATIENCE)
    {
        return 1;
    }

    if (pull->ask.conf->fill_verify == NGX_HTTP_OCI_VERIFY_ALL) {
        return 0;
    }

    if (pull->first.start >= pull->first.end) {
        return 1;
    }

    end = pull->first.end;

    if (pull->first.start == 0 && end == pull->size) {
        end -= NGX_HTTP_OCI_HOLD_BACK;

        if (end <= 0) {
            return 0;
        }
    }

    return ngx_http_oci_fill_ready(&pull->reader, pull->first.start, end)
           > pull->first.start;
}


/* keeps the chain; it is sent as its bytes come */

ngx_int_t
ngx_http_oci_pull_send(ngx_http_request_t *r, ngx_chain_t *body, void *data)
{
    ngx_http_oci_pull_t  *pull = data;

    ngx_uint_t              n;
    ngx_chain_t            *cl, **ll;
    oci_range_t            *ranges;
    ngx_http_oci_reader_t  *rd;

    n = 0;
    ll = &pull->plan;
    pull->left = 0;

    for ( /* void */ ; body; body = body->next) {

        cl = ngx_alloc_chain_link(r->pool);
        if (cl == NULL) {
            return NGX_ERROR;
        }

        cl->buf = body->buf;
        cl->next = NULL;

        *ll = cl;
        ll = &cl->next;

        if (cl->buf->in_file) {
            pull->left += cl->buf->file_last - cl->buf->file_pos;
            n++;
        }
    }

    pull->buf = ngx_calloc_buf(r->pool);
    ranges = ngx_palloc(r->pool, (n + 1) * sizeof(oci_range_t));

    if (pull->buf == NULL || ranges == NULL) {
        return NGX_ERROR;
    }

    n = 0;

    for (cl = pull->plan; cl; cl = cl->next) {
        if (cl->buf->in_file) {
            ranges[n].start = cl->buf->file_pos;
            ranges[n].end = cl->buf->file_last;
            n++;
        }
    }

    rd = &pull->reader;

    rd->ranges = ranges;
    rd->nranges = n;
    rd->at = 0;
    rd->pos = n ? ranges[0].start : 0;

    pull->whole = ngx_http_oci_pull_covers(pull);
    pull->streaming = 1;

    return NGX_DONE;
}


/* 1 if the parts, in their order, make up all of the blob */

static ngx_uint_t
ngx_http_oci_pull_covers(ngx_http_oci_pull_t *pull)
{
    off_t                   end, next;
    ngx_uint_t              i;
    ngx_http_oci_reader_t  *rd;

    rd = &pull->reader;

    /* a part that begins where all before it is covered goes further */

    end = 0;

    do {
        next = end;

        for (i = 0; i < rd->nranges; i++) {
            if (rd->ranges[i].start <= end && rd->ranges[i].end > end) {
                end = rd->ranges[i].end;
            }
        }

    } while (end != next);

    return end == pull->size;
}


static void
ngx_http_oci_pull_write(ngx_http_request_t *r)
{
    /* the stream sets its own; nothing is to be written before */
}


ngx_http_oci_pull_t *
ngx_http_oci_pull_of(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t  *cln;

    for (cln = r->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_http_oci_pull_cleanup) {
            return cln->data;
        }
    }

    return NULL;
}


static void
ngx_http_oci_pull_cleanup(void *data)
{
    ngx_http_oci_pull_t  *pull = data;

    ngx_http_oci_direct_cancel(pull);
    ngx_http_oci_fill_leave(&pull->reader);
}
