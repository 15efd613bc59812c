
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "ngx_http_oci_keepalive.h"
#include "ngx_http_oci_tls.h"


#define NGX_HTTP_OCI_KEEPALIVE_MAX       128
#define NGX_HTTP_OCI_KEEPALIVE_TIMEOUT   55000
#define NGX_HTTP_OCI_KEEPALIVE_REQUESTS  1000
#define NGX_HTTP_OCI_KEEPALIVE_TIME      3600000


/* lies in the pool of the connection */

typedef struct {
    ngx_queue_t        queue;
    ngx_connection_t  *connection;
    ngx_str_t          key;
    ngx_sockaddr_t     sockaddr;
    socklen_t          socklen;
} ngx_http_oci_keepalive_t;


static ngx_http_oci_keepalive_t *ngx_http_oci_keepalive_item(
    ngx_connection_t *c, ngx_str_t *key);
static void ngx_http_oci_keepalive_cleanup(void *data);
static void ngx_http_oci_keepalive_remove(ngx_http_oci_keepalive_t *item);
static void ngx_http_oci_keepalive_handler(ngx_event_t *rev);
static void ngx_http_oci_keepalive_dummy(ngx_event_t *wev);


/* of a worker, the latest first */

static ngx_queue_t  ngx_http_oci_keepalive_queue = {
    &ngx_http_oci_keepalive_queue, &ngx_http_oci_keepalive_queue
};

static ngx_uint_t  ngx_http_oci_keepalive_n;


ngx_connection_t *
ngx_http_oci_keepalive_get(ngx_str_t *key, struct sockaddr *sockaddr,
    socklen_t socklen, ngx_sockaddr_t *found, socklen_t *found_len,
    ngx_log_t *log)
{
    ngx_queue_t               *q;
    ngx_connection_t          *c;
    ngx_http_oci_keepalive_t  *item;

    for (q = ngx_queue_head(&ngx_http_oci_keepalive_queue);
         q != ngx_queue_sentinel(&ngx_http_oci_keepalive_queue);
         q = ngx_queue_next(q))
    {
        item = ngx_queue_data(q, ngx_http_oci_keepalive_t, queue);

        if (item->key.len != key->len
            || ngx_memcmp(item->key.data, key->data, key->len) != 0)
        {
            continue;
        }

        if (sockaddr
            && ngx_memn2cmp((u_char *) &item->sockaddr, (u_char *) sockaddr,
                            item->socklen, socklen)
               != 0)
        {
            continue;
        }

        c = item->connection;

        ngx_http_oci_keepalive_remove(item);

        if (c->read->timer_set) {
            ngx_del_timer(c->read);
        }

        ngx_reusable_connection(c, 0);

        c->idle = 0;
        c->sent = 0;
        c->data = NULL;
        c->log = log;
        c->read->log = log;
        c->write->log = log;
        c->pool->log = log;

        *found = item->sockaddr;
        *found_len = item->socklen;

        return c;
    }

    return NULL;
}


void
ngx_http_oci_keepalive_put(ngx_connection_t *c, ngx_str_t *key,
    struct sockaddr *sockaddr, socklen_t socklen)
{
    ngx_queue_t               *q;
    ngx_http_oci_keepalive_t  *item, *last;

    if (ngx_terminate || ngx_exiting || c->close || c->error
        || c->read->eof || c->read->error || c->read->timedout
        || c->write->error || c->write->timedout
        || c->requests >= NGX_HTTP_OCI_KEEPALIVE_REQUESTS
        || ngx_current_msec - c->start_time > NGX_HTTP_OCI_KEEPALIVE_TIME
        || (size_t) socklen > sizeof(ngx_sockaddr_t)
        || ngx_handle_read_event(c->read, 0) != NGX_OK)
    {
        ngx_http_oci_keepalive_close(c);
        return;
    }

    item = ngx_http_oci_keepalive_item(c, key);
    if (item == NULL) {
        ngx_http_oci_keepalive_close(c);
        return;
    }

    if (ngx_http_oci_keepalive_n == NGX_HTTP_OCI_KEEPALIVE_MAX) {
        q = ngx_queue_last(&ngx_http_oci_keepalive_queue);

        last = ngx_queue_data(q, ngx_http_oci_keepalive_t, queue);

        ngx_http_oci_keepalive_close(last->connection);
    }

    ngx_memcpy(&item->sockaddr, sockaddr, socklen);
    item->socklen = socklen;

    ngx_queue_insert_head(&ngx_http_oci_keepalive_queue, &item->queue);
    ngx_http_oci_keepalive_n++;

    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }

    ngx_add_timer(c->read, NGX_HTTP_OCI_KEEPALIVE_TIMEOUT);

    c->data = item;
    c->idle = 1;
    c->log = ngx_cycle->log;
    c->read->log = ngx_cycle->log;
    c->write->log = ngx_cycle->log;
    c->pool->log = ngx_cycle->log;
    c->read->handler = ngx_http_oci_keepalive_handler;
    c->write->handler = ngx_http_oci_keepalive_dummy;

    ngx_reusable_connection(c, 1);

    if (c->read->ready) {
        ngx_http_oci_keepalive_handler(c->read);
    }
}


/* the item of a connection that was here before, or a new one */

static ngx_http_oci_keepalive_t *
ngx_http_oci_keepalive_item(ngx_connection_t *c, ngx_str_t *key)
{
    ngx_pool_cleanup_t        *cln;
    ngx_http_oci_keepalive_t  *item;

    for (cln = c->pool->cleanup; cln; cln = cln->next) {

        if (cln->handler == ngx_http_oci_keepalive_cleanup) {
            item = cln->data;

            if (item->key.len == key->len
                && ngx_memcmp(item->key.data, key->data, key->len) == 0)
            {
                return item;
            }

            return NULL;
        }
    }

    cln = ngx_pool_cleanup_add(c->pool, sizeof(ngx_http_oci_keepalive_t));
    if (cln == NULL) {
        return NULL;
    }

    item = cln->data;

    ngx_memzero(item, sizeof(ngx_http_oci_keepalive_t));

    item->connection = c;
    item->key.len = key->len;
    item->key.data = ngx_pstrdup(c->pool, key);
    if (item->key.data == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_oci_keepalive_cleanup;

    return item;
}


static void
ngx_http_oci_keepalive_cleanup(void *data)
{
    ngx_http_oci_keepalive_remove(data);
}


static void
ngx_http_oci_keepalive_remove(ngx_http_oci_keepalive_t *item)
{
    if (item->queue.next == NULL) {
        return;
    }

    ngx_queue_remove(&item->queue);

    item->queue.next = NULL;

    ngx_http_oci_keepalive_n--;
}


/* an idle connection has nothing to say but that it ends */

static void
ngx_http_oci_keepalive_handler(ngx_event_t *rev)
{
    int                n;
    char               buf[1];
    ngx_connection_t  *c;

    c = rev->data;

    if (!c->close && !rev->timedout && c->ssl == NULL) {

        n = recv(c->fd, buf, 1, MSG_PEEK);

        if (n == -1 && ngx_socket_errno == NGX_EAGAIN) {
            rev->ready = 0;

            if (ngx_handle_read_event(rev, 0) == NGX_OK) {
                return;
            }
        }

    } else if (!c->close && !rev->timedout) {

        /* TLS 1.3 brings tickets for later sessions after the handshake */

        n = (int) c->recv(c, (u_char *) buf, 1);

        if (n == NGX_AGAIN && ngx_handle_read_event(rev, 0) == NGX_OK) {
            return;
        }
    }

    ngx_http_oci_keepalive_close(c);
}


static void
ngx_http_oci_keepalive_dummy(ngx_event_t *wev)
{
    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, wev->log, 0,
                   "http oci write event of an idle upstream connection");
}


void
ngx_http_oci_keepalive_close(ngx_connection_t *c)
{
    ngx_pool_t  *pool;

    ngx_http_oci_tls_close(c);

    pool = c->pool;
    c->pool = NULL;

    ngx_close_connection(c);

    if (pool) {
        ngx_destroy_pool(pool);
    }
}
