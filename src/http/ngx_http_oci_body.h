
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Reads a request body as it comes and hands it to a sink.
 */


#ifndef _NGX_HTTP_OCI_BODY_H_INCLUDED_
#define _NGX_HTTP_OCI_BODY_H_INCLUDED_


#include "ngx_http_oci_module.h"


struct ngx_http_oci_body_s {
    /*
     * Takes up to len bytes and returns how many it took; less than len
     * means that it is full: nothing more is read from the client until
     * ngx_http_oci_body_continue() is called.  NGX_ERROR ends the body.
     */
    ssize_t   (*data)(ngx_http_request_t *r, void *sink, u_char *p,
                      size_t len);

    /*
     * Where the sink would copy the next bytes to, and how many it has room
     * for: they may be received there at once, and data() finds them in
     * their place then.  NGX_OK; NGX_AGAIN: it is full; NGX_DECLINED: it
     * can't tell.  NULL: never.
     */
    ngx_int_t (*room)(ngx_http_request_t *r, void *sink, u_char **p,
                      size_t *len);

    /*
     * The end: NGX_OK when the body is complete, else an HTTP status: 400
     * when the client broke off or its framing is bad, 408, 413, 500.
     * Called once.
     */
    void      (*end)(ngx_http_request_t *r, void *sink, ngx_int_t rc);

    void         *sink;
    off_t         received;
    ngx_int_t     broken;       /* how it ends once all is handed over */
    ngx_chain_t  *bufs;         /* our view of a body that others keep */
    u_char       *start;        /* nginx's own buffer, aimed elsewhere now */
    u_char       *last;
    unsigned      ended:1;
    unsigned      preserved:1;
};


/*
 * Starts reading; the callbacks may run before it returns.  Takes over a
 * count of the request from the caller, and who ends the request in end()
 * finalizes it once.
 */
void ngx_http_oci_body_read(ngx_http_request_t *r, ngx_http_oci_body_t *body);

/* the sink has room again */
void ngx_http_oci_body_continue(ngx_http_request_t *r);

/* the sink wants no more; end() is not called */
void ngx_http_oci_body_stop(ngx_http_request_t *r);


#endif /* _NGX_HTTP_OCI_BODY_H_INCLUDED_ */
