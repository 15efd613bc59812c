
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Work of the store in a thread, on behalf of a request.
 */


#ifndef _NGX_HTTP_OCI_TASK_H_INCLUDED_
#define _NGX_HTTP_OCI_TASK_H_INCLUDED_


#include "ngx_http_oci_module.h"


/* runs in a thread: touches only data; returns a code of the lower floor */
typedef int (*ngx_http_oci_work_pt)(void *data);

/* runs in the event loop; rc is what the work returned */
typedef void (*ngx_http_oci_done_pt)(ngx_http_request_t *r, void *data,
    int rc);


/*
 * Posts work(data) to the pool; done is called once it ended, unless the
 * request was terminated meanwhile.  One task of a request at a time.  The
 * caller holds a count of the request; data lives as long as its pool.  With
 * retry, an OCI_AGAIN is tried again for a while before done sees it.
 * A failure (OCI_ERROR) is logged here and its errno kept in the context.
 * NGX_OK, or NGX_ERROR (logged).
 */
ngx_int_t ngx_http_oci_task_post(ngx_http_request_t *r,
    ngx_thread_pool_t *pool, ngx_http_oci_work_pt work,
    ngx_http_oci_done_pt done, void *data, ngx_uint_t retry);

/*
 * While a task runs for a request without a body: a client that leaves ends
 * the request.
 */
void ngx_http_oci_task_watch(ngx_http_request_t *r);

/*
 * What the handler of a request without a body returns to have its answer
 * made by a task, and sent by done: posts as above, watches the client and
 * takes the count that done gives back.  NGX_DONE, or what is left to be
 * returned of a 503 that was sent because nothing could be posted.
 */
ngx_int_t ngx_http_oci_task_begin(ngx_http_request_t *r,
    ngx_thread_pool_t *pool, ngx_http_oci_work_pt work,
    ngx_http_oci_done_pt done, void *data, ngx_uint_t retry);

/* 1 while a task of the request runs or waits for its next try */
ngx_uint_t ngx_http_oci_task_busy(ngx_http_request_t *r);

/* logs this thread's last failure of the lower floor */
void ngx_http_oci_log_failure(ngx_log_t *log, const oci_failure_t *f);


#endif /* _NGX_HTTP_OCI_TASK_H_INCLUDED_ */
