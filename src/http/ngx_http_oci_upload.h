
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * An upload as a request sees it: opening a session, writing to it from the
 * request's body, ending it.
 */


#ifndef _NGX_HTTP_OCI_UPLOAD_H_INCLUDED_
#define _NGX_HTTP_OCI_UPLOAD_H_INCLUDED_


#include "ngx_http_oci_module.h"
#include "ngx_http_oci_body.h"
#include "ngx_http_oci_lane.h"

#include "oci_upload.h"


/*
 * What is read ahead of the disk: so many pieces of at most this; of less
 * where a worker takes many uploads at once.
 */

#define NGX_HTTP_OCI_UPLOAD_PIECES  4
#define NGX_HTTP_OCI_UPLOAD_PIECE   (512 * 1024)
#define NGX_HTTP_OCI_UPLOAD_SMALL   (128 * 1024)
#define NGX_HTTP_OCI_UPLOAD_MANY    16

/* pieces that a worker keeps between uploads */

#define NGX_HTTP_OCI_UPLOAD_SPARE   8


typedef struct {
    u_char                 *data;
    size_t                  len;
} ngx_http_oci_piece_t;


struct ngx_http_oci_upload_s {
    ngx_http_request_t     *request;
    const oci_store_t      *store;
    ngx_http_oci_zone_t    *zone;
    const oci_repo_t       *repo;
    oci_repo_t              from;           /* of a mount; name.len 0: any */
    oci_str_t               user;
    oci_str_t               id;
    u_char                  id_buf[OCI_UPLOAD_ID_LEN];
    oci_alg_t               alg;
    oci_digest_t            digest;         /* of ?digest= or ?mount= */
    oci_upload_t            session;

    int64_t                 start;          /* of Content-Range */
    int64_t                 length;         /* likewise */
    off_t                   total;          /* Content-Length, or -1 */

    ngx_http_oci_body_t     body;

    /*
     * The ring of pieces: those up to filled were handed out, those up to
     * written are in the file, those up to hashed count and are free again.
     * filled is the event loop's, written the writer's, hashed the hasher's;
     * others only read them.
     */

    ngx_http_oci_piece_t    pieces[NGX_HTTP_OCI_UPLOAD_PIECES];
    size_t                  size;           /* of a piece */
    size_t                  len;            /* of what is in the next one */
    ngx_uint_t              filled;
    ngx_uint_t              written;
    ngx_uint_t              hashed;
    ngx_uint_t              due;            /* a sync or save on the way */
    ngx_http_oci_lane_t     writer;
    ngx_http_oci_lane_t     hasher;
    ngx_http_oci_waiter_t   waiter;
    ngx_event_t             flush;

    ngx_int_t               body_rc;        /* how the body ended */
    int                     rc;             /* how the session fared */

    /* what goes on after a mount's check, NULL: the session */
    ngx_int_t             (*proceed)(ngx_http_request_t *r,
                                     ngx_http_oci_upload_t *u);
    void                   *owner;

    unsigned                mount:1;
    unsigned                whole:1;        /* POST with the content */
    unsigned                put:1;
    unsigned                digested:1;     /* digest is set */
    unsigned                ranged:1;       /* Content-Range */
    unsigned                open:1;         /* session holds a file */
    unsigned                receiving:1;    /* counted among its worker's */
    unsigned                body_ended:1;
    unsigned                blocked:1;      /* the body waits for room */
    unsigned                lost:1;         /* what is in the ring is void */
    unsigned                stay:1;         /* no content came: 202 */
    unsigned                failed:1;
    unsigned                linked:1;       /* content is in the repository */

    unsigned                mounted:1;      /* what is to be counted */
    unsigned                created:1;
    unsigned                finished:1;
    unsigned                spoilt:1;
    unsigned                cancelled:1;
};


ngx_http_oci_upload_t *ngx_http_oci_upload_create(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx);

/* the mount or the session, in a thread; returns as a content handler does */
ngx_int_t ngx_http_oci_upload_start(ngx_http_request_t *r,
    ngx_http_oci_upload_t *u);

/*
 * Finds out whether the location that u->from is read through is this one,
 * and goes on with u->proceed or ngx_http_oci_upload_start(), u->mount saying
 * so.  The caller holds a count of the request.  NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_http_oci_mount_check(ngx_http_request_t *r,
    ngx_http_oci_upload_t *u);

/*
 * Reads the body into the acquired session and ends the request.  Takes over
 * a count of the request.
 */
void ngx_http_oci_upload_receive(ngx_http_request_t *r,
    ngx_http_oci_upload_t *u);

/* gives back the memory of the pieces, with the request's pool */
void ngx_http_oci_upload_release(ngx_http_oci_upload_t *u);

/*
 * Counts what became of it, with the request's pool: a task goes on when its
 * client has left.
 */
void ngx_http_oci_upload_count(ngx_http_oci_upload_t *u);

/* Location, Range, Docker-Upload-UUID, Docker-Upload-Location */
ngx_int_t ngx_http_oci_upload_headers(ngx_http_request_t *r,
    ngx_http_oci_upload_t *u);

/* 201 with Location and digest */
ngx_int_t ngx_http_oci_upload_created(ngx_http_request_t *r,
    ngx_http_oci_upload_t *u);

/* the answer for OCI_CONFLICT, OCI_NOT_FOUND, OCI_MISMATCH and failures */
ngx_int_t ngx_http_oci_upload_error(ngx_http_request_t *r,
    ngx_http_oci_upload_t *u, int rc);


#endif /* _NGX_HTTP_OCI_UPLOAD_H_INCLUDED_ */
