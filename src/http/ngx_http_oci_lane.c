
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "ngx_http_oci_lane.h"
#include "ngx_http_oci_wake.h"


#define NGX_HTTP_OCI_LANE_TIMEOUT  60000


static void ngx_http_oci_lane_thread(void *data, ngx_log_t *log);
static void ngx_http_oci_lane_event(ngx_event_t *ev);
static void ngx_http_oci_lane_open(ngx_log_t *log);
static void ngx_http_oci_lane_woken(ngx_event_t *rev);


/* of this process, made by the first who waits; -1: there is none */

static ngx_fd_t     ngx_http_oci_lane_fd = -1;
static ngx_uint_t   ngx_http_oci_lane_tried;

static ngx_queue_t  ngx_http_oci_lane_waiters;


ngx_int_t
ngx_http_oci_lane_init(ngx_http_request_t *r, ngx_http_oci_lane_t *lane)
{
    ngx_http_oci_lane_t  **ref;

    lane->thread = ngx_thread_task_alloc(r->pool, sizeof(lane));
    if (lane->thread == NULL) {
        return NGX_ERROR;
    }

    lane->request = r;

    ref = lane->thread->ctx;
    *ref = lane;

    lane->thread->handler = ngx_http_oci_lane_thread;
    lane->thread->event.data = lane;
    lane->thread->event.handler = ngx_http_oci_lane_event;
    lane->thread->event.log = r->connection->log;

    return NGX_OK;
}


ngx_int_t
ngx_http_oci_lane_post(ngx_http_oci_lane_t *lane, ngx_thread_pool_t *pool,
    ngx_http_oci_work_pt work, void *data, ngx_http_event_handler_pt resume)
{
    ngx_http_request_t  *r;

    r = lane->request;

    lane->work = work;
    lane->data = data;
    lane->ended = 0;
    lane->thread->event.complete = 0;

    if (ngx_thread_task_post(pool, lane->thread) != NGX_OK) {
        return NGX_ERROR;
    }

    /* a termination sets r->count to one: only r->blocked keeps the pool */

    r->main->blocked++;
    lane->running = 1;

    r->write_event_handler = resume;

    /* not a timeout: keeps a quitting worker alive, shows a stuck disk */

    ngx_add_timer(&lane->thread->event, NGX_HTTP_OCI_LANE_TIMEOUT);

    return NGX_OK;
}


static void
ngx_http_oci_lane_thread(void *data, ngx_log_t *log)
{
    ngx_http_oci_lane_t  **ref = data;

    ngx_http_oci_lane_t  *lane;

    lane = *ref;

    lane->rc = lane->work(lane->data);

    if (lane->rc == OCI_ERROR) {
        lane->failure = *oci_failure();
    }
}


static void
ngx_http_oci_lane_event(ngx_event_t *ev)
{
    ngx_connection_t     *c;
    ngx_http_request_t   *r;
    ngx_http_oci_lane_t  *lane;

    lane = ev->data;
    r = lane->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    if (ev->timedout) {
        ngx_log_error(NGX_LOG_ERR, c->log, 0,
                      "a store operation takes more than %d seconds",
                      NGX_HTTP_OCI_LANE_TIMEOUT / 1000);
        ev->timedout = 0;
        ngx_add_timer(ev, NGX_HTTP_OCI_LANE_TIMEOUT);
        return;
    }

    if (ev->timer_set) {
        ngx_del_timer(ev);
    }

    r->main->blocked--;
    lane->running = 0;
    lane->ended = 1;

    /* what stands there when the client has left meanwhile frees it */

    r->write_event_handler(r);

    ngx_http_run_posted_requests(c);
}


ngx_uint_t
ngx_http_oci_lane_ended(ngx_http_oci_lane_t *lane, int *rc)
{
    ngx_http_oci_ctx_t  *ctx;

    if (!lane->ended) {
        return 0;
    }

    lane->ended = 0;
    *rc = lane->rc;

    if (lane->rc == OCI_ERROR) {
        ctx = ngx_http_get_module_ctx(lane->request, ngx_http_oci_module);
        ctx->err = lane->failure.err;

        ngx_http_oci_log_failure(lane->request->connection->log,
                                 &lane->failure);
    }

    return 1;
}


void
ngx_http_oci_lane_wait(ngx_http_request_t *r, ngx_http_oci_waiter_t *w)
{
    if (!ngx_http_oci_lane_tried) {
        ngx_http_oci_lane_tried = 1;
        ngx_queue_init(&ngx_http_oci_lane_waiters);
        ngx_http_oci_lane_open((ngx_log_t *) ngx_cycle->log);
    }

    w->request = r;

    if (!w->queued) {
        w->queued = 1;
        ngx_queue_insert_tail(&ngx_http_oci_lane_waiters, &w->queue);
    }

    __atomic_store_n(&w->wants, 1, __ATOMIC_SEQ_CST);
}


void
ngx_http_oci_lane_unwait(ngx_http_oci_waiter_t *w)
{
    __atomic_store_n(&w->wants, 0, __ATOMIC_SEQ_CST);

    if (w->queued) {
        w->queued = 0;
        ngx_queue_remove(&w->queue);
    }
}


ngx_uint_t
ngx_http_oci_lane_room(ngx_http_oci_waiter_t *w)
{
    uint64_t  one;

    if (!__atomic_load_n(&w->wants, __ATOMIC_SEQ_CST)) {
        return 1;
    }

    if (ngx_http_oci_lane_fd == -1) {
        return 0;
    }

    one = 1;

    /* a counter that is full wakes as well */

    if (__atomic_exchange_n(&w->wants, 0, __ATOMIC_SEQ_CST)
        && write(ngx_http_oci_lane_fd, &one, sizeof(one)) == -1)
    {
        return 1;
    }

    return 1;
}


static void
ngx_http_oci_lane_open(ngx_log_t *log)
{
    ngx_fd_t  fd;

    fd = ngx_http_oci_wake_create(log);

    if (fd == NGX_INVALID_FILE) {
        return;
    }

    if (ngx_http_oci_wake_listen(fd, ngx_http_oci_lane_woken, log) != NGX_OK) {
        (void) close(fd);
        return;
    }

    ngx_http_oci_lane_fd = fd;
}


static void
ngx_http_oci_lane_woken(ngx_event_t *rev)
{
    ngx_queue_t            *q;
    ngx_connection_t       *c;
    ngx_http_request_t     *r;
    ngx_http_oci_waiter_t  *w;

    if (ngx_http_oci_wake_taken(rev) != NGX_OK) {
        return;
    }

    /* what is called may take any of them out of the queue, and enter again */

    q = ngx_queue_head(&ngx_http_oci_lane_waiters);

    while (q != ngx_queue_sentinel(&ngx_http_oci_lane_waiters)) {

        w = ngx_queue_data(q, ngx_http_oci_waiter_t, queue);

        if (__atomic_load_n(&w->wants, __ATOMIC_SEQ_CST)) {
            q = ngx_queue_next(q);
            continue;
        }

        r = w->request;
        c = r->connection;

        ngx_http_oci_lane_unwait(w);

        ngx_http_set_log_request(c->log, r);

        r->write_event_handler(r);

        ngx_http_run_posted_requests(c);

        q = ngx_queue_head(&ngx_http_oci_lane_waiters);
    }
}
