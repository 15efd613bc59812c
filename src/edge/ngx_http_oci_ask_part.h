
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * What the halves of a question share.  For ngx_http_oci_ask*.c alone.
 */


#ifndef _NGX_HTTP_OCI_ASK_PART_H_INCLUDED_
#define _NGX_HTTP_OCI_ASK_PART_H_INCLUDED_


#include "ngx_http_oci_ask.h"


struct ngx_http_oci_ask_s {
    ngx_queue_t                  queue;         /* of all of this worker */
    ngx_queue_t                  waiters;
    ngx_pool_t                  *pool;
    ngx_log_t                   *log;
    ngx_str_t                    key;

    ngx_http_oci_question_t      q;             /* a copy in pool */
    oci_repo_t                   repo;
    oci_str_t                    tag;
    oci_digest_t                 digest;
    oci_digest_t                 have;

    ngx_http_oci_answer_t        answer;
    oci_digest_t                 told;          /* by the upstream */
    u_char                      *body;          /* malloc's */
    size_t                       size;

    ngx_http_oci_job_t           job;
    ngx_event_t                  retry;
    ngx_uint_t                   retries;
    const char                  *reason;

    unsigned                     head:1;        /* a HEAD is on its way */
    unsigned                     has_told:1;
    unsigned                     too_large:1;
    unsigned                     given:1;       /* the answer to a probe */
};


/* ask_store.c: a whole body has come */
void ngx_http_oci_ask_got(ngx_http_oci_ask_t *a);

/* ask.c: tells all who wait, and frees it */
void ngx_http_oci_ask_end(ngx_http_oci_ask_t *a,
    ngx_http_oci_ask_outcome_e outcome);


#endif /* _NGX_HTTP_OCI_ASK_PART_H_INCLUDED_ */
