
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Lanes: work that threads do for a request while it goes on, several kinds
 * side by side, each in order.  A lane's work goes on as long as there is
 * something to do, and tells the event loop in passing that it has made room.
 */


#ifndef _NGX_HTTP_OCI_LANE_H_INCLUDED_
#define _NGX_HTTP_OCI_LANE_H_INCLUDED_


#include "ngx_http_oci_module.h"
#include "ngx_http_oci_task.h"


typedef struct {
    ngx_http_request_t     *request;
    ngx_thread_task_t      *thread;
    ngx_http_oci_work_pt    work;
    void                   *data;
    int                     rc;
    oci_failure_t           failure;
    unsigned                running:1;
    unsigned                ended:1;
} ngx_http_oci_lane_t;

/* who waits for a lane to make room */

typedef struct {
    ngx_queue_t             queue;
    ngx_http_request_t     *request;
    ngx_uint_t              wants;      /* atomic: not told yet */
    ngx_uint_t              queued;
} ngx_http_oci_waiter_t;


/* NGX_OK or NGX_ERROR; lane lives in the request's pool */
ngx_int_t ngx_http_oci_lane_init(ngx_http_request_t *r,
    ngx_http_oci_lane_t *lane);

/*
 * Posts work(data) to the pool.  When it has ended resume is called as the
 * request's write event handler, which finds ended set, unless the request
 * was terminated meanwhile.  NGX_OK, or NGX_ERROR (logged).
 */
ngx_int_t ngx_http_oci_lane_post(ngx_http_oci_lane_t *lane,
    ngx_thread_pool_t *pool, ngx_http_oci_work_pt work, void *data,
    ngx_http_event_handler_pt resume);

/* 1 once after it ended, with the code of its work in *rc; logs a failure */
ngx_uint_t ngx_http_oci_lane_ended(ngx_http_oci_lane_t *lane, int *rc);

/*
 * Asks for one call of the request's write event handler; who asks looks
 * once more afterwards whether it still has to wait.
 */
void ngx_http_oci_lane_wait(ngx_http_request_t *r, ngx_http_oci_waiter_t *w);
void ngx_http_oci_lane_unwait(ngx_http_oci_waiter_t *w);

/*
 * In a thread: there is room.  1 when it is told, or nobody waits; 0 when
 * only the end of the work can tell it.
 */
ngx_uint_t ngx_http_oci_lane_room(ngx_http_oci_waiter_t *w);


#endif /* _NGX_HTTP_OCI_LANE_H_INCLUDED_ */
