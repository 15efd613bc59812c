
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Work in a thread that belongs to no request.  A job lies within what owns
 * it, which stays until done() was called.
 */


#ifndef _NGX_HTTP_OCI_JOB_H_INCLUDED_
#define _NGX_HTTP_OCI_JOB_H_INCLUDED_


#include "ngx_http_oci_compat.h"

#include "oci_store.h"


/* runs in a thread; returns a code of the lower floor */
typedef int (*ngx_http_oci_job_work_pt)(void *data);

/* runs in the event loop; rc is what the work returned */
typedef void (*ngx_http_oci_job_done_pt)(void *data, int rc);


typedef struct {
    ngx_thread_task_t           task;
    ngx_http_oci_job_work_pt    work;
    ngx_http_oci_job_done_pt    done;
    void                       *data;
    int                         rc;
    oci_failure_t               failure;    /* of an OCI_ERROR */
    unsigned                    busy:1;
} ngx_http_oci_job_t;


/* all zeros but for these */
void ngx_http_oci_job_init(ngx_http_oci_job_t *job, ngx_log_t *log,
    ngx_http_oci_job_work_pt work, ngx_http_oci_job_done_pt done,
    void *data);

/*
 * One at a time of a job.  A failure (OCI_ERROR) is logged.  NGX_OK, or
 * NGX_ERROR: the pool's queue is full, done() is not called.
 */
ngx_int_t ngx_http_oci_job_post(ngx_http_oci_job_t *job,
    ngx_thread_pool_t *pool);


#endif /* _NGX_HTTP_OCI_JOB_H_INCLUDED_ */
