
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * A client on a growing file: only what was published is given to sendfile,
 * one part at a time, and of an answer that carries the whole the last bytes
 * stay here until its digest is known to hold.
 */


#include "ngx_http_oci_pull.h"


#define NGX_HTTP_OCI_STREAM_PART  (4 * 1024 * 1024)


static ngx_uint_t ngx_http_oci_stream_failed(ngx_http_oci_pull_t *pull);
static ngx_int_t ngx_http_oci_stream_flush(ngx_http_oci_pull_t *pull);
static ngx_chain_t *ngx_http_oci_stream_next(ngx_http_oci_pull_t *pull);
static off_t ngx_http_oci_stream_part(ngx_http_oci_pull_t *pull,
    ngx_buf_t *b);
static ngx_int_t ngx_http_oci_stream_early(ngx_http_oci_pull_t *pull);


void
ngx_http_oci_stream(ngx_http_oci_pull_t *pull)
{
    ngx_int_t                  rc;
    ngx_event_t               *wev;
    ngx_chain_t               *out;
    ngx_connection_t          *c;
    ngx_http_request_t        *r;
    ngx_http_core_loc_conf_t  *clcf;

    r = pull->request;
    c = r->connection;
    wev = c->write;

    clcf = ngx_http_get_module_loc_conf(r->main, ngx_http_core_module);

    r->write_event_handler = ngx_http_oci_stream_write_handler;

    for ( ;; ) {

        if (c->error) {
            ngx_http_oci_pull_finish(pull, NGX_ERROR);
            return;
        }

        if (!pull->direct
            && ngx_http_oci_fill_look(&pull->reader) == NGX_DECLINED)
        {
            ngx_http_oci_direct_go_on(pull);
        }

        if (ngx_http_oci_stream_failed(pull)) {

            ngx_log_error(NGX_LOG_WARN, c->log, 0,
                          "oci: an answer was cut, %O bytes were missing",
                          pull->left);

            ngx_http_oci_pull_finish(pull, NGX_ERROR);
            return;
        }

        if (r->buffered || r->postponed || c->buffered) {

            /* the one before is still on its way */

            out = NULL;

        } else {
            out = ngx_http_oci_stream_next(pull);

            if (out == NULL && ngx_http_oci_stream_failed(pull)) {
                continue;
            }

            if (out == NULL) {

                if (wev->timer_set && !wev->delayed) {
                    ngx_del_timer(wev);
                }

                if (pull->plan == NULL) {
                    ngx_http_oci_pull_finish(pull, NGX_OK);
                    return;
                }

                if (ngx_http_oci_stream_flush(pull) != NGX_OK) {
                    ngx_http_oci_pull_finish(pull, NGX_ERROR);
                    return;
                }

                /* it goes on with the next news */

                if (!pull->direct) {
                    ngx_http_oci_fill_want(&pull->reader);
                }

                return;
            }
        }

        pull->flushed = 1;

        rc = ngx_http_output_filter(r, out);

        if (rc == NGX_ERROR) {
            ngx_http_oci_pull_finish(pull, NGX_ERROR);
            return;
        }

        if (r->buffered || r->postponed || c->buffered) {

            if (!wev->delayed) {
                ngx_add_timer(wev, clcf->send_timeout);
            }

            if (ngx_handle_write_event(wev, clcf->send_lowat) != NGX_OK) {
                ngx_http_oci_pull_finish(pull, NGX_ERROR);
            }

            return;
        }
    }
}


static ngx_uint_t
ngx_http_oci_stream_failed(ngx_http_oci_pull_t *pull)
{
    ngx_int_t  rc;

    if (pull->direct) {
        return ngx_http_oci_direct_failed(pull);
    }

    rc = ngx_http_oci_fill_look(&pull->reader);

    return rc == NGX_ERROR || rc == NGX_DECLINED;
}


/* headers that no byte follows yet; NGX_OK or NGX_ERROR */

static ngx_int_t
ngx_http_oci_stream_flush(ngx_http_oci_pull_t *pull)
{
    if (pull->flushed) {
        return NGX_OK;
    }

    pull->flushed = 1;

    return (ngx_http_send_special(pull->request, NGX_HTTP_FLUSH)
            == NGX_ERROR)
           ? NGX_ERROR : NGX_OK;
}


/* what can be sent of the plan now; NULL: nothing */

static ngx_chain_t *
ngx_http_oci_stream_next(ngx_http_oci_pull_t *pull)
{
    off_t                   n;
    ngx_buf_t              *b, *from;
    ngx_chain_t            *cl;
    ngx_http_oci_reader_t  *rd;

    cl = pull->plan;

    if (cl == NULL) {
        return NULL;
    }

    from = cl->buf;

    if (!from->in_file) {

        /* the head of a part, with what comes behind it, or later */

        pull->plan = cl->next;

        from->flush = from->last_buf ? 0 : 1;

        pull->link.buf = from;
        pull->link.next = NULL;

        return &pull->link;
    }

    b = pull->buf;

    ngx_memzero(b, sizeof(ngx_buf_t));

    n = pull->direct ? ngx_http_oci_direct_part(pull, b)
                     : ngx_http_oci_stream_part(pull, b);

    if (n == 0) {
        return NULL;
    }

    b->flush = 1;

    rd = &pull->reader;

    pull->left -= n;
    from->file_pos += n;
    rd->pos = from->file_pos;

    if (from->file_pos == from->file_last) {

        b->last_buf = from->last_buf;
        b->last_in_chain = from->last_in_chain;
        b->flush = from->last_buf ? 0 : 1;

        pull->plan = cl->next;
        rd->at++;

        if (rd->at < rd->nranges) {
            rd->pos = rd->ranges[rd->at].start;
        }
    }

    pull->link.buf = b;
    pull->link.next = NULL;

    return &pull->link;
}


static off_t
ngx_http_oci_stream_part(ngx_http_oci_pull_t *pull, ngx_buf_t *b)
{
    off_t       n, end;
    ngx_buf_t  *from;

    from = pull->plan->buf;

    end = ngx_min(from->file_last,
                  from->file_pos + NGX_HTTP_OCI_STREAM_PART);

    if (!ngx_http_oci_fill_verified(&pull->reader)) {

        if (pull->ask.conf->fill_verify == NGX_HTTP_OCI_VERIFY_ALL) {
            return 0;
        }

        if (pull->whole) {
            end = ngx_min(end, from->file_pos + pull->left
                               - NGX_HTTP_OCI_HOLD_BACK);

            if (end <= from->file_pos) {
                return 0;
            }
        }
    }

    n = ngx_http_oci_fill_ready(&pull->reader, from->file_pos, end)
        - from->file_pos;

    if (n == 0) {
        return 0;
    }

    switch (ngx_http_oci_stream_early(pull)) {

    case NGX_OK:
        b->memory = 1;
        b->pos = pull->early + from->file_pos;
        b->last = b->pos + n;

        if (from->file_pos <= pull->gone) {
            pull->gone = ngx_max(pull->gone, from->file_pos + n);
        }

        break;

    case NGX_DECLINED:

        /* the answer may have begun before it */

        from->file->fd = ngx_http_oci_fill_fd(&pull->reader);

        b->in_file = 1;
        b->file = from->file;
        b->file_pos = from->file_pos;
        b->file_last = from->file_pos + n;
        break;

    default:
        return 0;
    }

    return n;
}


/* a copy of what there is before the file; NGX_DECLINED: there is a file */

static ngx_int_t
ngx_http_oci_stream_early(ngx_http_oci_pull_t *pull)
{
    size_t   n;
    u_char  *p;

    n = ngx_http_oci_fill_early(&pull->reader, &p);

    if (n == 0) {
        return NGX_DECLINED;
    }

    if (pull->early == NULL) {

        pull->early = ngx_palloc(pull->request->pool, n);
        if (pull->early == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(pull->early, p, n);
        pull->reader.early = 1;
    }

    return NGX_OK;
}


/* the client takes more, or has taken nothing for too long */

void
ngx_http_oci_stream_write_handler(ngx_http_request_t *r)
{
    ngx_event_t               *wev;
    ngx_connection_t          *c;
    ngx_http_oci_pull_t       *pull;
    ngx_http_core_loc_conf_t  *clcf;

    c = r->connection;
    wev = c->write;

    pull = ngx_http_oci_pull_of(r);

    if (pull == NULL) {
        return;
    }

    clcf = ngx_http_get_module_loc_conf(r->main, ngx_http_core_module);

    if (wev->timedout) {
        ngx_log_error(NGX_LOG_INFO, c->log, NGX_ETIMEDOUT,
                      "client timed out");
        c->timedout = 1;

        ngx_http_oci_pull_finish(pull, NGX_HTTP_REQUEST_TIME_OUT);
        return;
    }

    if (wev->delayed || r->aio) {

        if (!wev->delayed) {
            ngx_add_timer(wev, clcf->send_timeout);
        }

        if (ngx_handle_write_event(wev, clcf->send_lowat) != NGX_OK) {
            ngx_http_oci_pull_finish(pull, NGX_ERROR);
        }

        return;
    }

    ngx_http_oci_stream(pull);
}
