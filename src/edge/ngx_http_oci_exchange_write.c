
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * A request on its way out: its head, and the pieces of a body behind it.
 */


#include "ngx_http_oci_exchange.h"


static ngx_int_t ngx_http_oci_exchange_piece(ngx_http_oci_exchange_t *x);
static ngx_int_t ngx_http_oci_exchange_links(ngx_http_oci_exchange_t *x);
static void ngx_http_oci_exchange_link(ngx_http_oci_exchange_t *x, u_char *p,
    size_t len);


ngx_int_t
ngx_http_oci_exchange_write(ngx_http_oci_exchange_t *x)
{
    ssize_t            n;
    ngx_int_t          rc;
    ngx_connection_t  *c;

    c = x->peer.connection;

    while (x->out->pos < x->out->last) {

        n = c->send(c, x->out->pos, x->out->last - x->out->pos);

        if (n == NGX_ERROR || n == NGX_AGAIN) {
            return n;
        }

        x->out->pos += n;
    }

    if (!x->streamed) {
        return NGX_OK;
    }

    if (x->waiting) {
        return NGX_AGAIN;
    }

    for ( ;; ) {

        if (x->pieces) {

            x->pieces = c->send_chain(c, x->pieces, 0);

            if (x->pieces == NGX_CHAIN_ERROR) {
                x->pieces = NULL;
                return NGX_ERROR;
            }

            if (x->pieces) {
                return NGX_AGAIN;
            }
        }

        /* what TLS still holds is written before the next piece is asked for */

        if (c->buffered) {
            x->pieces = c->send_chain(c, NULL, 0);

            if (x->pieces == NGX_CHAIN_ERROR) {
                x->pieces = NULL;
                return NGX_ERROR;
            }

            if (c->buffered) {
                return NGX_AGAIN;
            }
        }

        if (x->last) {
            return NGX_OK;
        }

        rc = ngx_http_oci_exchange_piece(x);

        if (rc != NGX_OK) {
            return rc;
        }
    }
}


static ngx_int_t
ngx_http_oci_exchange_piece(ngx_http_oci_exchange_t *x)
{
    u_char     *p;
    size_t      size;
    ngx_int_t   rc;

    if (ngx_http_oci_exchange_links(x) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_memzero(&x->piece, sizeof(ngx_buf_t));

    x->inside = 1;
    rc = x->send(x, &x->piece);
    x->inside = 0;

    if (x->ending || rc == NGX_ERROR) {
        ngx_http_oci_exchange_finish(x, x->ending
                                        ? x->rc
                                        : NGX_HTTP_OCI_FETCH_ABORTED);
        return NGX_DONE;
    }

    x->starved = (rc == NGX_AGAIN);

    if (rc == NGX_AGAIN) {
        return NGX_AGAIN;
    }

    if (rc == NGX_DONE) {
        x->last = 1;

        if (x->chunks) {
            ngx_http_oci_exchange_link(x, (u_char *) "0" CRLF CRLF, 5);
        }

        return NGX_OK;
    }

    x->consumed = 1;

    size = x->piece.last - x->piece.pos;

    if (size == 0) {
        return NGX_OK;
    }

    if (!x->chunks) {
        ngx_http_oci_exchange_link(x, x->piece.pos, size);
        return NGX_OK;
    }

    p = ngx_sprintf(x->chunk, "%xz" CRLF, size);

    ngx_http_oci_exchange_link(x, x->chunk, p - x->chunk);
    ngx_http_oci_exchange_link(x, x->piece.pos, size);
    ngx_http_oci_exchange_link(x, (u_char *) CRLF, 2);

    return NGX_OK;
}


/* the links are used again for each piece: there may be many */

static ngx_int_t
ngx_http_oci_exchange_links(ngx_http_oci_exchange_t *x)
{
    ngx_uint_t  i;

    x->nlinks = 0;

    if (x->links[0].buf) {
        return NGX_OK;
    }

    for (i = 0; i < NGX_HTTP_OCI_EXCHANGE_LINKS; i++) {

        x->links[i].buf = ngx_calloc_buf(x->peer.pool);

        if (x->links[i].buf == NULL) {
            x->links[0].buf = NULL;
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static void
ngx_http_oci_exchange_link(ngx_http_oci_exchange_t *x, u_char *p, size_t len)
{
    ngx_chain_t  *cl;

    cl = &x->links[x->nlinks];

    ngx_memzero(cl->buf, sizeof(ngx_buf_t));

    cl->buf->start = p;
    cl->buf->pos = p;
    cl->buf->last = p + len;
    cl->buf->end = p + len;
    cl->buf->memory = 1;
    cl->buf->flush = 1;
    cl->next = NULL;

    if (x->nlinks++) {
        cl[-1].next = cl;

    } else {
        x->pieces = cl;
    }
}
