
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * One question to an upstream about a manifest or a list, asked once for all
 * of this worker who want to know it at the same time.  A manifest that is
 * new is checked and stored, in a thread.
 */


#ifndef _NGX_HTTP_OCI_ASK_H_INCLUDED_
#define _NGX_HTTP_OCI_ASK_H_INCLUDED_


#include "ngx_http_oci_fetch.h"
#include "ngx_http_oci_job.h"
#include "ngx_http_oci_zone.h"

#include "oci_manifest_store.h"


typedef enum {
    NGX_HTTP_OCI_ASK_SAME = 0,      /* the upstream has what is here; gives
                                       what it was probed for */
    NGX_HTTP_OCI_ASK_STORED,        /* another one, and it is here now */
    NGX_HTTP_OCI_ASK_CONTENT,       /* it is in the answer (a list; a manifest
                                       that could not be stored) */
    NGX_HTTP_OCI_ASK_REFUSED,       /* any other status, 404 and 401 too */
    NGX_HTTP_OCI_ASK_INVALID,       /* not what was asked for */
    NGX_HTTP_OCI_ASK_FAILED         /* there was no answer */
} ngx_http_oci_ask_outcome_e;


typedef struct ngx_http_oci_ask_s         ngx_http_oci_ask_t;
typedef struct ngx_http_oci_ask_waiter_s  ngx_http_oci_ask_waiter_t;


/* the answer; all of it is valid as long as the callback runs */

typedef struct {
    ngx_http_oci_ask_outcome_e   outcome;
    ngx_uint_t                   status;        /* of the upstream */
    ngx_str_t                    challenge;     /* its WWW-Authenticate */
    int64_t                      retry_after;   /* seconds, -1: none */
    ngx_str_t                    link;          /* of a list */
    ngx_str_t                    filters;       /* its OCI-Filters-Applied */
    oci_digest_t                 digest;        /* of a manifest */
    ngx_str_t                    media_type;
    u_char                      *body;          /* of ..._CONTENT */
    size_t                       len;
    off_t                        bytes;         /* from the upstream */
    ngx_http_oci_fetch_rc_e      error;         /* of ..._FAILED */
} ngx_http_oci_answer_t;


typedef void (*ngx_http_oci_ask_pt)(void *data,
    const ngx_http_oci_answer_t *answer);


/* lies within what waits, all zeros at first */

struct ngx_http_oci_ask_waiter_s {
    ngx_queue_t                  queue;
    ngx_http_oci_ask_t          *ask;           /* NULL: waits for nothing */
    ngx_http_oci_ask_pt          handler;
    void                        *data;
};


typedef struct {
    ngx_http_oci_edge_conf_t    *conf;
    ngx_http_oci_target_t       *target;
    ngx_http_oci_zone_t         *zone;
    const oci_store_t           *store;
    const oci_repo_t            *repo;
    ngx_thread_pool_t           *pool;

    ngx_str_t                    path;      /* "manifests/latest", ... */
    ngx_str_t                    args;
    ngx_str_t                    authorization;
    ngx_msec_t                   timeout;   /* until its head, 0: usual */
    size_t                       max;       /* bytes of a body */

    /* of a manifest */

    const oci_digest_t          *digest;    /* asked for, NULL: a tag */
    const oci_str_t             *tag;
    const oci_digest_t          *have;      /* what is here, NULL: nothing */
    unsigned                     manifest:1;

    const char                  *member;    /* of a list: what it has to
                                               have, static */

    unsigned                     probe:1;   /* whether it would be given */
} ngx_http_oci_question_t;


/*
 * Waits for the answer: w->handler is called once, in a later turn of the
 * event loop.  Nothing of q need live on.  NGX_OK or NGX_ERROR (no memory).
 */
ngx_int_t ngx_http_oci_ask(ngx_http_oci_question_t *q,
    ngx_http_oci_ask_waiter_t *w);

/* waits no longer; the question itself goes on */
void ngx_http_oci_ask_leave(ngx_http_oci_ask_waiter_t *w);


#endif /* _NGX_HTTP_OCI_ASK_H_INCLUDED_ */
