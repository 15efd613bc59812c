
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Waking other workers: each has an eventfd that was made before it was
 * forked.  The master keeps them over reloads, so old and new workers wake
 * each other too.  Whoever waits looks now and then by itself all the same:
 * another nginx on the store has eventfds of its own.
 */


#ifndef _NGX_HTTP_OCI_WAKE_H_INCLUDED_
#define _NGX_HTTP_OCI_WAKE_H_INCLUDED_


#include "ngx_http_oci_compat.h"


typedef void (*ngx_http_oci_wake_pt)(void);


/* in the master: makes what is missing for this cycle's workers */
ngx_int_t ngx_http_oci_wake_init_module(ngx_cycle_t *cycle);

/*
 * In a worker: handler is called when somebody has woken it; in the cache
 * manager (and the loader) manager is.
 */
ngx_int_t ngx_http_oci_wake_init_process(ngx_cycle_t *cycle,
    ngx_http_oci_wake_pt handler, ngx_http_oci_wake_pt manager);

/* an eventfd; NGX_INVALID_FILE (logged): it can't be made */
ngx_fd_t ngx_http_oci_wake_create(ngx_log_t *log);

/*
 * In a worker: handler is called for each read event of an eventfd, which
 * stays the caller's.  NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_http_oci_wake_listen(ngx_fd_t fd, ngx_event_handler_pt handler,
    ngx_log_t *log);

/*
 * In such a handler: empties the counter and asks for the next event.  NGX_OK
 * or NGX_ERROR: there will be none.
 */
ngx_int_t ngx_http_oci_wake_taken(ngx_event_t *rev);

/* the bit that stands for this worker */
uint64_t ngx_http_oci_wake_bit(void);

/* wakes the workers whose bits are set, this one excepted; fit for threads */
void ngx_http_oci_wake(uint64_t bits);

/* wakes the cache manager: room is wanted */
void ngx_http_oci_wake_manager(void);


#endif /* _NGX_HTTP_OCI_WAKE_H_INCLUDED_ */
