
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "ngx_http_oci_task.h"
#include "ngx_http_oci_send.h"


#define NGX_HTTP_OCI_TASK_TIMEOUT    60000
#define NGX_HTTP_OCI_TASK_RETRY_MIN  2
#define NGX_HTTP_OCI_TASK_RETRY_MAX  100
#define NGX_HTTP_OCI_TASK_RETRY_ALL  20000


struct ngx_http_oci_task_s {
    ngx_http_request_t     *request;
    ngx_thread_pool_t      *pool;
    ngx_thread_task_t      *thread;
    ngx_http_oci_work_pt    work;
    ngx_http_oci_done_pt    done;
    void                   *data;

    ngx_event_t             timer;          /* of the next try */
    ngx_msec_t              delay;
    ngx_msec_t              waited;

    int                     rc;
    oci_failure_t           failure;

    unsigned                retry:1;
    unsigned                running:1;
    unsigned                complete:1;
};


static ngx_http_oci_task_t *ngx_http_oci_task_create(ngx_http_request_t *r);
static ngx_int_t ngx_http_oci_task_run(ngx_http_oci_task_t *t);
static void ngx_http_oci_task_thread(void *data, ngx_log_t *log);
static void ngx_http_oci_task_event(ngx_event_t *ev);
static void ngx_http_oci_task_resume(ngx_http_request_t *r);
static void ngx_http_oci_task_timer(ngx_event_t *ev);
static void ngx_http_oci_task_cleanup(void *data);


ngx_int_t
ngx_http_oci_task_post(ngx_http_request_t *r, ngx_thread_pool_t *pool,
    ngx_http_oci_work_pt work, ngx_http_oci_done_pt done, void *data,
    ngx_uint_t retry)
{
    ngx_http_oci_ctx_t   *ctx;
    ngx_http_oci_task_t  *t;

    ctx = ngx_http_get_module_ctx(r, ngx_http_oci_module);
    t = ctx->task;

    if (t == NULL) {
        t = ngx_http_oci_task_create(r);
        if (t == NULL) {
            return NGX_ERROR;
        }

        ctx->task = t;
    }

    if (ngx_http_oci_task_busy(r)) {
        ngx_log_error(NGX_LOG_ALERT, r->connection->log, 0,
                      "second task of a request");
        return NGX_ERROR;
    }

    t->pool = pool;
    t->work = work;
    t->done = done;
    t->data = data;
    t->retry = retry ? 1 : 0;
    t->delay = NGX_HTTP_OCI_TASK_RETRY_MIN;
    t->waited = 0;

    return ngx_http_oci_task_run(t);
}


static ngx_http_oci_task_t *
ngx_http_oci_task_create(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t    *cln;
    ngx_http_oci_task_t   *t;
    ngx_http_oci_task_t  **ref;

    t = ngx_pcalloc(r->pool, sizeof(ngx_http_oci_task_t));
    if (t == NULL) {
        return NULL;
    }

    t->thread = ngx_thread_task_alloc(r->pool, sizeof(t));
    if (t->thread == NULL) {
        return NULL;
    }

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_oci_task_cleanup;
    cln->data = t;

    ref = t->thread->ctx;
    *ref = t;

    t->request = r;

    t->thread->handler = ngx_http_oci_task_thread;
    t->thread->event.data = t;
    t->thread->event.handler = ngx_http_oci_task_event;
    t->thread->event.log = r->connection->log;

    t->timer.data = r->connection;
    t->timer.handler = ngx_http_oci_task_timer;
    t->timer.log = r->connection->log;

    return t;
}


static ngx_int_t
ngx_http_oci_task_run(ngx_http_oci_task_t *t)
{
    ngx_http_request_t  *r;

    r = t->request;

    t->complete = 0;
    t->thread->event.complete = 0;

    if (ngx_thread_task_post(t->pool, t->thread) != NGX_OK) {
        return NGX_ERROR;
    }

    /*
     * A task is not counted by r->count alone: termination sets that to one
     * whatever it was, only r->blocked keeps the pool.
     */

    r->main->blocked++;
    t->running = 1;

    r->write_event_handler = ngx_http_oci_task_resume;

    /* not a timeout: keeps a quitting worker alive, shows a stuck disk */

    ngx_add_timer(&t->thread->event, NGX_HTTP_OCI_TASK_TIMEOUT);

    return NGX_OK;
}


static void
ngx_http_oci_task_thread(void *data, ngx_log_t *log)
{
    ngx_http_oci_task_t  **ref = data;

    ngx_http_oci_task_t  *t;

    t = *ref;

    t->rc = t->work(t->data);

    if (t->rc == OCI_ERROR) {
        t->failure = *oci_failure();
    }
}


static void
ngx_http_oci_task_event(ngx_event_t *ev)
{
    ngx_connection_t     *c;
    ngx_http_request_t   *r;
    ngx_http_oci_task_t  *t;

    t = ev->data;
    r = t->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    if (ev->timedout) {
        ngx_log_error(NGX_LOG_ERR, c->log, 0,
                      "a store operation takes more than %d seconds",
                      NGX_HTTP_OCI_TASK_TIMEOUT / 1000);
        ev->timedout = 0;
        ngx_add_timer(ev, NGX_HTTP_OCI_TASK_TIMEOUT);
        return;
    }

    if (ev->timer_set) {
        ngx_del_timer(ev);
    }

    r->main->blocked--;
    t->running = 0;
    t->complete = 1;

    /*
     * Not the handler itself: a client that left meanwhile had it replaced,
     * and what stands there now frees the request.
     */

    r->write_event_handler(r);

    ngx_http_run_posted_requests(c);
}


static void
ngx_http_oci_task_resume(ngx_http_request_t *r)
{
    ngx_http_oci_ctx_t   *ctx;
    ngx_http_oci_task_t  *t;

    ctx = ngx_http_get_module_ctx(r, ngx_http_oci_module);
    t = ctx->task;

    if (!t->complete) {
        /* a write event of the connection: nothing is to be written yet */
        return;
    }

    t->complete = 0;

    if (t->rc == OCI_AGAIN && t->retry
        && t->waited < NGX_HTTP_OCI_TASK_RETRY_ALL)
    {
        ngx_add_timer(&t->timer, t->delay);
        t->waited += t->delay;
        t->delay = ngx_min(t->delay * 2, NGX_HTTP_OCI_TASK_RETRY_MAX);
        return;
    }

    r->write_event_handler = ngx_http_request_empty_handler;

    if (t->rc == OCI_ERROR) {
        ctx->err = t->failure.err;
        ngx_http_oci_log_failure(r->connection->log, &t->failure);
    }

    t->done(r, t->data, t->rc);
}


static void
ngx_http_oci_task_timer(ngx_event_t *ev)
{
    ngx_connection_t     *c;
    ngx_http_request_t   *r;
    ngx_http_oci_ctx_t   *ctx;
    ngx_http_oci_task_t  *t;

    t = (ngx_http_oci_task_t *) ((u_char *) ev
                                 - offsetof(ngx_http_oci_task_t, timer));
    r = t->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    if (ngx_http_oci_task_run(t) != NGX_OK) {
        ctx = ngx_http_get_module_ctx(r, ngx_http_oci_module);
        ctx->task->complete = 1;
        t->retry = 0;
        r->write_event_handler(r);
    }

    ngx_http_run_posted_requests(c);
}


void
ngx_http_oci_task_watch(ngx_http_request_t *r)
{
    ngx_event_t  *rev;

    if (r->discard_body) {
        return;
    }

    rev = r->connection->read;

    r->read_event_handler = ngx_http_test_reading;

    if (rev->ready) {

        /* it may have left with its request: that event is over already */

        ngx_post_event(rev, &ngx_posted_events);
    }
}


ngx_int_t
ngx_http_oci_task_begin(ngx_http_request_t *r, ngx_thread_pool_t *pool,
    ngx_http_oci_work_pt work, ngx_http_oci_done_pt done, void *data,
    ngx_uint_t retry)
{
    if (ngx_http_oci_task_post(r, pool, work, done, data, retry) != NGX_OK) {
        return ngx_http_oci_send_failure(r, OCI_AGAIN);
    }

    ngx_http_oci_task_watch(r);

    r->main->count++;

    return NGX_DONE;
}


ngx_uint_t
ngx_http_oci_task_busy(ngx_http_request_t *r)
{
    ngx_http_oci_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_oci_module);

    return ctx->task != NULL
           && (ctx->task->running || ctx->task->complete
               || ctx->task->timer.timer_set);
}


void
ngx_http_oci_log_failure(ngx_log_t *log, const oci_failure_t *f)
{
    ngx_log_error(NGX_LOG_ERR, log, f->err, "%s \"%s\" failed",
                  f->op ? f->op : "operation", f->path);
}


static void
ngx_http_oci_task_cleanup(void *data)
{
    ngx_http_oci_task_t  *t = data;

    if (t->timer.timer_set) {
        ngx_del_timer(&t->timer);
    }
}
