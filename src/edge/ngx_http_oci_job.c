
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "ngx_http_oci_job.h"


#define NGX_HTTP_OCI_JOB_TIMEOUT  60000


static void ngx_http_oci_job_thread(void *data, ngx_log_t *log);
static void ngx_http_oci_job_event(ngx_event_t *ev);


void
ngx_http_oci_job_init(ngx_http_oci_job_t *job, ngx_log_t *log,
    ngx_http_oci_job_work_pt work, ngx_http_oci_job_done_pt done, void *data)
{
    ngx_memzero(job, sizeof(ngx_http_oci_job_t));

    job->work = work;
    job->done = done;
    job->data = data;

    job->task.ctx = job;
    job->task.handler = ngx_http_oci_job_thread;
    job->task.event.data = job;
    job->task.event.handler = ngx_http_oci_job_event;
    job->task.event.log = log;
}


ngx_int_t
ngx_http_oci_job_post(ngx_http_oci_job_t *job, ngx_thread_pool_t *pool)
{
    job->task.event.complete = 0;

    if (ngx_thread_task_post(pool, &job->task) != NGX_OK) {
        return NGX_ERROR;
    }

    job->busy = 1;

    /* not a timeout: keeps a quitting worker alive, shows a stuck disk */

    ngx_add_timer(&job->task.event, NGX_HTTP_OCI_JOB_TIMEOUT);

    return NGX_OK;
}


static void
ngx_http_oci_job_thread(void *data, ngx_log_t *log)
{
    ngx_http_oci_job_t  *job = data;

    job->rc = job->work(job->data);

    if (job->rc == OCI_ERROR) {
        job->failure = *oci_failure();
    }
}


static void
ngx_http_oci_job_event(ngx_event_t *ev)
{
    ngx_http_oci_job_t  *job;

    job = ev->data;

    if (ev->timedout) {
        ngx_log_error(NGX_LOG_ERR, ev->log, 0,
                      "a store operation takes more than %d seconds",
                      NGX_HTTP_OCI_JOB_TIMEOUT / 1000);
        ev->timedout = 0;
        ngx_add_timer(ev, NGX_HTTP_OCI_JOB_TIMEOUT);
        return;
    }

    if (ev->timer_set) {
        ngx_del_timer(ev);
    }

    job->busy = 0;

    if (job->rc == OCI_ERROR) {
        ngx_log_error(NGX_LOG_ERR, ev->log, job->failure.err,
                      "%s \"%s\" failed", job->failure.op,
                      job->failure.path);
    }

    /* it may free the job */

    job->done(job->data, job->rc);
}
