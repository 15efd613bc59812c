
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Fills: the one ongoing fetch of a blob.  What all processes share of it is
 * its map (oci_chunkmap.h); here is what a worker has of it: readers that
 * wait for bytes, sources that may give them, and the fetches of chunks that
 * this worker has claimed.  A fill belongs to no client.
 */


#ifndef _NGX_HTTP_OCI_FILL_H_INCLUDED_
#define _NGX_HTTP_OCI_FILL_H_INCLUDED_


#include "ngx_http_oci_fetch.h"
#include "ngx_http_oci_zone.h"

#include "oci_fill_from.h"
#include "oci_range.h"


typedef struct ngx_http_oci_fill_s    ngx_http_oci_fill_t;
typedef struct ngx_http_oci_source_s  ngx_http_oci_source_t;
typedef struct ngx_http_oci_reader_s  ngx_http_oci_reader_t;


/* what a request asks for; copied where it must last */

typedef struct {
    ngx_http_oci_edge_conf_t   *conf;
    const oci_store_t          *store;
    ngx_http_oci_zone_t        *zone;
    ngx_thread_pool_t          *pool;
    off_t                       reserve;        /* to be left free on disk */
    ngx_uint_t                  evicts;         /* room may be made there */

    ngx_http_oci_target_t      *target;
    const oci_repo_t           *repo;
    const oci_digest_t         *digest;
    ngx_str_t                   authorization;  /* the client's, or empty */

    off_t                       size;           /* as a manifest says, or -1 */
    unsigned                    known:1;        /* a manifest that this
                                                   repository has names it */
    unsigned                    fresh:1;        /* only to begin with it */
} ngx_http_oci_fill_ask_t;


/* somebody who waits for bytes; lies in a request */

struct ngx_http_oci_reader_s {
    ngx_queue_t                 queue;
    ngx_http_oci_fill_t        *fill;           /* NULL: of none */
    ngx_http_oci_source_t      *source;

    /* what it wants, in the order in which it wants it */

    oci_range_t                *ranges;         /* NULL: nothing yet */
    ngx_uint_t                  nranges;
    ngx_uint_t                  at;             /* in which of them */
    off_t                       pos;

    /* called when there may be something new, never from inside a call */

    void                      (*handler)(ngx_http_oci_reader_t *rd);
    void                       *data;

    ngx_uint_t                  status;         /* after NGX_ERROR */
    ngx_int_t                   retry_after;    /* seconds, -1: none */

    off_t                      *bytes;          /* NULL, or what the fetches
                                                   have brought of a fill
                                                   that it started here */

    unsigned                    started:1;      /* an answer has begun */
    unsigned                    early:1;        /* with bytes of which there
                                                   was no file yet */
    unsigned                    told:1;
};


/*
 * Joins the fill of a blob, or starts it.  NGX_OK; NGX_ERROR: no memory;
 * NGX_BUSY: what came last was not this blob, it is not asked for again yet
 * (rd->retry_after); NGX_DECLINED, with ask->fresh: somebody may have begun
 * with it, or blobs/ has it, so that the upstream's answer to the first
 * question may not be the answer whether this repository has it.
 */
ngx_int_t ngx_http_oci_fill_join(ngx_http_oci_fill_ask_t *ask,
    ngx_http_oci_reader_t *rd);

/* the fill goes on without it, or not, as configured */
void ngx_http_oci_fill_leave(ngx_http_oci_reader_t *rd);

/*
 * How it stands.  NGX_AGAIN: not known yet; NGX_OK: its repository may have
 * it, and the file is there, growing, or its first bytes are, before the
 * file; NGX_DONE: its repository holds it by now; NGX_DECLINED: no file can
 * be had, fetch it without one; NGX_ERROR: rd->status.
 */
ngx_int_t ngx_http_oci_fill_look(ngx_http_oci_reader_t *rd);

/* after NGX_OK; NGX_INVALID_FILE: there is none yet */
ngx_fd_t ngx_http_oci_fill_fd(ngx_http_oci_reader_t *rd);
off_t ngx_http_oci_fill_blob_size(ngx_http_oci_reader_t *rd);
off_t ngx_http_oci_fill_ready(ngx_http_oci_reader_t *rd, off_t from,
    off_t to);
ngx_uint_t ngx_http_oci_fill_verified(ngx_http_oci_reader_t *rd);

/*
 * How many of the first bytes have come as long as there is no file, and
 * where they lie until the event loop goes on; 0: none for this one, or there
 * is a file.  Whoever sends them says so (rd->early): what is verified later
 * is the file, and they may not have got into it.
 */
size_t ngx_http_oci_fill_early(ngx_http_oci_reader_t *rd, u_char **p);

/* what it wants has changed */
void ngx_http_oci_fill_want(ngx_http_oci_reader_t *rd);

/* whether a fill of that configuration may go on when nobody reads it */
#define ngx_http_oci_fill_alone(conf)                                         \
    ((conf)->auth == NGX_HTTP_OCI_AUTH_SERVICE && (conf)->fill_background)

/*
 * Goes on with one that is left on the disk, for nobody who reads, as far as
 * "oci_fill_background" lets it.  NGX_OK; NGX_BUSY: it is at work here, or
 * not to be tried yet; NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_oci_fill_continue(ngx_http_oci_fill_ask_t *ask);

/* how many of those are at work in this worker */
ngx_uint_t ngx_http_oci_fill_continued(void);

/*
 * What came of the last tries, in the zone: notes one more, after which the
 * next waits for as many milliseconds as wait, twice as long each time, but
 * times at most; mark: how far it had come, from where it counts anew.
 */
void ngx_http_oci_fill_bar(ngx_http_oci_zone_t *zone, ngx_uint_t kind,
    const oci_digest_t *d, ngx_msec_t wait, ngx_uint_t times, int64_t mark);

/* seconds until the next try, 0: now */
ngx_int_t ngx_http_oci_fill_barred(ngx_http_oci_zone_t *zone, ngx_uint_t kind,
    const oci_digest_t *d, int64_t mark);

/* the wake handler of a worker */
void ngx_http_oci_fill_woken(void);

#endif /* _NGX_HTTP_OCI_FILL_H_INCLUDED_ */
