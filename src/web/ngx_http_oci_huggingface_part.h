
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * What the rooms of "oci_huggingface" have in common: a request, on its way
 * from a revision to a manifest, to the table of its files, to an answer.
 */


#ifndef _NGX_HTTP_OCI_HUGGINGFACE_PART_H_INCLUDED_
#define _NGX_HTTP_OCI_HUGGINGFACE_PART_H_INCLUDED_


#include "ngx_http_oci_huggingface.h"
#include "ngx_http_oci_module.h"

#include "oci_hub.h"


typedef struct {
    ngx_str_t                    main;      /* the tag that "main" is */
    ngx_str_t                    prefix;    /* of repositories, with a slash
                                               at its end, or empty */
    ngx_str_t                    base;      /* of paths, without a slash at
                                               its end */
} ngx_http_oci_hf_conf_t;


/* the files of a manifest as a repository has them; see _tables.c */

typedef struct {
    ngx_queue_t                  queue;
    ngx_uint_t                   refs;
    size_t                       size;
    const oci_store_t           *store;
    ngx_str_t                    repo;      /* namespace, slash, name */
    oci_digest_t                 digest;    /* of the manifest */
    int64_t                      time;
    oci_model_table_t           *files;     /* malloc's */
    unsigned                     kept:1;
} ngx_http_oci_hf_table_t;


/* how a table is made, in a thread */

typedef struct {
    const oci_store_t           *store;
    const oci_repo_t            *repo;
    const oci_digest_t          *digest;
    size_t                       max;       /* bytes of a manifest */
    ngx_str_t                    data;      /* of one that is in no store */

    oci_model_table_t           *files;
    int64_t                      time;
    const char                  *reason;
    size_t                       tars;
    oci_digest_t                 missing;   /* a tar that is not here, */
    int64_t                      missing_size;
    unsigned                     stored:1;  /* the manifest is */
    unsigned                     wait:1;    /* end where a tar is missing */
    unsigned                     partial:1; /* it was made without */
} ngx_http_oci_hf_load_t;


typedef struct {
    ngx_http_request_t          *request;
    ngx_http_oci_ctx_t          *ctx;

    oci_hub_route_t              route;
    oci_hub_model_t              model;
    oci_hub_paths_t              paths;     /* of a POST */
    oci_digest_t                 digest;    /* of the manifest */

    ngx_http_oci_hf_load_t       load;
    ngx_http_oci_hf_table_t     *table;
    oci_model_file_t             file;      /* that is asked for */
    ngx_http_oci_file_t          view;      /* the same, for the blob */
    u_char                       etag[OCI_MODEL_ETAG + 2];

    oci_text_t                   text;      /* an answer that is made */
    oci_str_t                    args;

    oci_str_t                    main;      /* the tag of "main" */
    size_t                       brought;   /* tars that were waited for */
    unsigned                     guessed:1; /* a commit, whose manifest is not
                                               here, may be that of main */
    unsigned                     known:1;   /* model.commit is set */

    u_char                       name[OCI_NAME_MAX];
} ngx_http_oci_hf_t;


#define ngx_http_oci_hf_file_op(hf)                                           \
    ((hf)->route.endpoint == OCI_HUB_RESOLVE)


/* from the revision on; what a content handler returns */
ngx_int_t ngx_http_oci_hf_revision(ngx_http_oci_hf_t *hf);

/* the route leads to that digest now; NGX_OK or NGX_ERROR */
ngx_int_t ngx_http_oci_hf_route(ngx_http_oci_hf_t *hf,
    const oci_digest_t *digest);

/* of the view */
ngx_int_t ngx_http_oci_hf_manifest(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx, const oci_digest_t *digest, ngx_str_t *data);
ngx_int_t ngx_http_oci_hf_blob(ngx_http_request_t *r,
    ngx_http_oci_ctx_t *ctx, void *data);

/* the table is there: the answer, the same */
ngx_int_t ngx_http_oci_hf_answer(ngx_http_oci_hf_t *hf);

/* branches and tags; the same */
ngx_int_t ngx_http_oci_hf_refs(ngx_http_oci_hf_t *hf);

/* 404 with the commit by which clients remember it; the same */
ngx_int_t ngx_http_oci_hf_no_entry(ngx_http_oci_hf_t *hf);

/* X-Repo-Commit; NGX_OK or NGX_ERROR */
ngx_int_t ngx_http_oci_hf_add_commit(ngx_http_oci_hf_t *hf);


/*
 * Tables that this worker has, by store, repository and manifest: not by
 * manifest alone, since what a tar holds is for those who may read it.
 */

/* NULL: none; else it is held until the request's pool goes */
ngx_http_oci_hf_table_t *ngx_http_oci_hf_table_find(ngx_http_oci_hf_t *hf);

/* the digest of a manifest whose table is here, by its commit; or NULL */
const oci_digest_t *ngx_http_oci_hf_table_commit(const oci_store_t *s,
    const oci_repo_t *r, const u_char *commit);

/*
 * Takes over what was loaded, and keeps it unless it is partial; held as
 * above.  NULL: no memory.
 */
ngx_http_oci_hf_table_t *ngx_http_oci_hf_table_add(ngx_http_oci_hf_t *hf);


#endif /* _NGX_HTTP_OCI_HUGGINGFACE_PART_H_INCLUDED_ */
