
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "ngx_http_oci_wake.h"

#include <sys/eventfd.h>


#define NGX_HTTP_OCI_WAKE_BITS  64
#define NGX_HTTP_OCI_WAKE_MAX   1024


static void ngx_http_oci_wake_read(ngx_event_t *rev);
static void ngx_http_oci_wake_unused(ngx_event_t *wev);


/* inherited by workers; worker n has the n-th */

static ngx_fd_t              ngx_http_oci_wake_fds[NGX_HTTP_OCI_WAKE_MAX];
static ngx_uint_t            ngx_http_oci_wake_nfds;
static ngx_fd_t              ngx_http_oci_wake_manager_fd = NGX_INVALID_FILE;

static ngx_http_oci_wake_pt  ngx_http_oci_wake_handler;


ngx_int_t
ngx_http_oci_wake_init_module(ngx_cycle_t *cycle)
{
    ngx_fd_t          fd;
    ngx_uint_t        n;
    ngx_core_conf_t  *ccf;

    if (ngx_test_config) {
        return NGX_OK;
    }

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    n = (ccf->worker_processes > 0) ? (ngx_uint_t) ccf->worker_processes : 1;
    n = ngx_min(n, NGX_HTTP_OCI_WAKE_MAX);

    if (ngx_http_oci_wake_manager_fd == NGX_INVALID_FILE) {
        ngx_http_oci_wake_manager_fd = ngx_http_oci_wake_create(cycle->log);
    }

    while (ngx_http_oci_wake_nfds < n) {
        fd = ngx_http_oci_wake_create(cycle->log);

        if (fd == NGX_INVALID_FILE) {
            break;
        }

        ngx_http_oci_wake_fds[ngx_http_oci_wake_nfds++] = fd;
    }

    return NGX_OK;
}


ngx_fd_t
ngx_http_oci_wake_create(ngx_log_t *log)
{
    ngx_fd_t  fd;

    fd = eventfd(0, EFD_NONBLOCK|EFD_CLOEXEC);

    if (fd == NGX_INVALID_FILE) {

        /* without it a process looks for itself, later */

        ngx_log_error(NGX_LOG_WARN, log, ngx_errno, "eventfd() failed");
    }

    return fd;
}


ngx_int_t
ngx_http_oci_wake_init_process(ngx_cycle_t *cycle,
    ngx_http_oci_wake_pt handler, ngx_http_oci_wake_pt manager)
{
    ngx_fd_t  fd;

    if (ngx_process == NGX_PROCESS_HELPER) {
        fd = ngx_http_oci_wake_manager_fd;
        ngx_http_oci_wake_handler = manager;

    } else if ((ngx_process == NGX_PROCESS_WORKER
                || ngx_process == NGX_PROCESS_SINGLE)
               && ngx_worker < ngx_http_oci_wake_nfds)
    {
        fd = ngx_http_oci_wake_fds[ngx_worker];
        ngx_http_oci_wake_handler = handler;

    } else {
        fd = NGX_INVALID_FILE;
    }

    if (fd == NGX_INVALID_FILE) {
        return NGX_OK;
    }

    return ngx_http_oci_wake_listen(fd, ngx_http_oci_wake_read, cycle->log);
}


ngx_int_t
ngx_http_oci_wake_listen(ngx_fd_t fd, ngx_event_handler_pt handler,
    ngx_log_t *log)
{
    ngx_connection_t  *c;

    c = ngx_get_connection(fd, log);
    if (c == NULL) {
        return NGX_ERROR;
    }

    c->log = log;
    c->read->log = log;
    c->write->log = log;

    c->read->handler = handler;
    c->write->handler = ngx_http_oci_wake_unused;

    /* no socket that is left open when the worker exits */

    c->read->channel = 1;
    c->write->channel = 1;

    if (ngx_add_event(c->read, NGX_READ_EVENT, NGX_CLEAR_EVENT)
        == NGX_ERROR)
    {
        ngx_free_connection(c);
        return NGX_ERROR;
    }

    return NGX_OK;
}


uint64_t
ngx_http_oci_wake_bit(void)
{
    return (uint64_t) 1 << (ngx_worker % NGX_HTTP_OCI_WAKE_BITS);
}


void
ngx_http_oci_wake(uint64_t bits)
{
    uint64_t    one;
    ngx_uint_t  i;

    one = 1;

    for (i = 0; bits && i < ngx_http_oci_wake_nfds; i++) {

        if (i == ngx_worker
            || !(bits & ((uint64_t) 1 << (i % NGX_HTTP_OCI_WAKE_BITS))))
        {
            continue;
        }

        /* a counter that is full wakes as well */

        if (write(ngx_http_oci_wake_fds[i], &one, sizeof(one)) == -1) {
            continue;
        }
    }
}


void
ngx_http_oci_wake_manager(void)
{
    uint64_t  one;

    one = 1;

    if (ngx_http_oci_wake_manager_fd != NGX_INVALID_FILE
        && write(ngx_http_oci_wake_manager_fd, &one, sizeof(one)) == -1)
    {
        /* it is full, and so wakes as well */

        return;
    }
}


static void
ngx_http_oci_wake_read(ngx_event_t *rev)
{
    if (ngx_http_oci_wake_taken(rev) == NGX_OK) {
        ngx_http_oci_wake_handler();
    }
}


ngx_int_t
ngx_http_oci_wake_taken(ngx_event_t *rev)
{
    uint64_t           count;
    ngx_connection_t  *c;

    c = rev->data;

    /* an old worker of the same number may have read it: no matter */

    if (read(c->fd, &count, sizeof(count)) == -1 && ngx_errno != NGX_EAGAIN) {
        ngx_log_error(NGX_LOG_ALERT, rev->log, ngx_errno,
                      "read() from an eventfd failed");
    }

    return ngx_handle_read_event(rev, 0);
}


static void
ngx_http_oci_wake_unused(ngx_event_t *wev)
{
    /* void */
}
