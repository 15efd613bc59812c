
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Configuration and request context, shared by all rooms of the upper floor.
 */


#ifndef _NGX_HTTP_OCI_MODULE_H_INCLUDED_
#define _NGX_HTTP_OCI_MODULE_H_INCLUDED_


#include "ngx_http_oci_compat.h"
#include "ngx_http_oci_edge.h"

#include "oci_core.h"
#include "oci_digest.h"
#include "oci_error.h"
#include "oci_reference.h"
#include "oci_route.h"
#include "oci_range.h"
#include "oci_store.h"
#include "oci_collect.h"

#include "ngx_http_oci_zone.h"


#define NGX_HTTP_OCI_PULL    0x0002
#define NGX_HTTP_OCI_PUSH    0x0004
#define NGX_HTTP_OCI_DELETE  0x0008

#define NGX_HTTP_OCI_MOUNT_OFF   0
#define NGX_HTTP_OCI_MOUNT_FROM  1
#define NGX_HTTP_OCI_MOUNT_ANY   2


typedef struct {
    ngx_str_t               ns;
    oci_collect_policy_t    policy;
} ngx_http_oci_gc_t;


typedef struct ngx_http_oci_evict_s        ngx_http_oci_evict_t;
typedef struct ngx_http_oci_signed_conf_s  ngx_http_oci_signed_conf_t;
typedef struct ngx_http_oci_view_s         ngx_http_oci_view_t;


/* a store, as "oci_store" declares it; one per cycle */

typedef struct {
    ngx_str_t               name;
    ngx_str_t               root;
    ngx_shm_zone_t         *zone;
    ngx_http_oci_zone_t     cache;
    ngx_path_t             *path;

    off_t                   max_size;
    off_t                   min_free;
    time_t                  inactive;
    ngx_flag_t              durable;

    ngx_array_t             gc;             /* ngx_http_oci_gc_t */
    size_t                  manifest_max_size;  /* the largest and longest */
    time_t                  upload_timeout;     /* of its locations */
    oci_collect_policy_t    policy;             /* of the manager's last ask */

    /* per process */

    oci_store_t             store;
    ngx_event_t             retry;          /* of opening it */
    unsigned                ready:1;
    unsigned                unmapped:1;     /* the counters are the zone's */
    unsigned                doubtful:1;     /* a process died in mid-write */

    /* of the cache manager */

    ngx_http_oci_evict_t   *evict;
    oci_collect_t          *collect;
    oci_collect_stats_t     reported;
    uint64_t                expire_cursor;
    ngx_msec_t              collect_at;
    ngx_msec_t              expire_at;
    unsigned                scheduled:1;
} ngx_http_oci_store_t;


typedef struct {
    ngx_array_t             stores;         /* ngx_http_oci_store_t * */
    ngx_array_t             edges;          /* ngx_http_oci_loc_conf_t * of
                                               locations with an upstream */
    ngx_resolver_t         *resolver;       /* the system's, once needed */
    unsigned                signed_urls:1;  /* some location has them */
} ngx_http_oci_main_conf_t;


typedef struct {
    ngx_str_t                   name;       /* of the store, or "off" */
    ngx_http_oci_store_t       *store;      /* NULL: off */

    ngx_uint_t                  methods;    /* NGX_HTTP_OCI_PULL, ... */
    ngx_http_complex_value_t   *ns;
    ngx_array_t                *ns_allow;   /* ngx_str_t, NULL: none */
    size_t                      manifest_max_size;
    ngx_flag_t                  sparse;
    ngx_uint_t                  mount;
    ngx_str_t                   public_url;
    ngx_thread_pool_t          *write_pool;
    ngx_thread_pool_t          *read_pool;
    oci_collect_policy_t       *gc;
    time_t                      upload_timeout;
    time_t                      valid;      /* s, of what is cached */
    time_t                      valid_missing;
    ngx_http_oci_signed_conf_t *signed_urls;    /* NULL: none */
    ngx_flag_t                  zstd;
    ngx_int_t                   zstd_level;
    ngx_int_t                   zstd_threads;
    ngx_int_t                   zstd_min_ratio;     /* thousandths */

    const ngx_http_oci_view_t  *view;       /* NULL: OCI's own paths */
    void                       *view_conf;  /* what its directive says */

    ngx_http_oci_edge_conf_t   *edge;       /* NULL: no upstream */
    ngx_http_oci_edge_conf_t    edge_conf;  /* what the directives say */
} ngx_http_oci_loc_conf_t;


typedef struct ngx_http_oci_task_s    ngx_http_oci_task_t;
typedef struct ngx_http_oci_body_s    ngx_http_oci_body_t;
typedef struct ngx_http_oci_upload_s  ngx_http_oci_upload_t;


typedef enum {
    NGX_HTTP_OCI_OP_NONE = 0,
    NGX_HTTP_OCI_OP_BASE,
    NGX_HTTP_OCI_OP_CATALOG,
    NGX_HTTP_OCI_OP_MANIFEST_GET,
    NGX_HTTP_OCI_OP_MANIFEST_PUT,
    NGX_HTTP_OCI_OP_MANIFEST_DELETE,
    NGX_HTTP_OCI_OP_BLOB_GET,
    NGX_HTTP_OCI_OP_BLOB_DELETE,
    NGX_HTTP_OCI_OP_UPLOAD_START,
    NGX_HTTP_OCI_OP_UPLOAD_PATCH,
    NGX_HTTP_OCI_OP_UPLOAD_PUT,
    NGX_HTTP_OCI_OP_UPLOAD_STATUS,
    NGX_HTTP_OCI_OP_UPLOAD_CANCEL,
    NGX_HTTP_OCI_OP_TAGS,
    NGX_HTTP_OCI_OP_REFERRERS,
    NGX_HTTP_OCI_OP_HUB_INFO,               /* of a view: about a model, */
    NGX_HTTP_OCI_OP_HUB_FILE                /* a file of one */
} ngx_http_oci_op_e;


/* what $oci_cache_status says; in the order of the counters of it */

typedef enum {
    NGX_HTTP_OCI_STATUS_NONE = 0,           /* nothing that is cached */
    NGX_HTTP_OCI_STATUS_HIT,
    NGX_HTTP_OCI_STATUS_MISS,
    NGX_HTTP_OCI_STATUS_REVALIDATED,        /* looked at, unchanged */
    NGX_HTTP_OCI_STATUS_STALE,
    NGX_HTTP_OCI_STATUS_FILL
} ngx_http_oci_cache_status_e;


/* a file as a part of the blob that the route names */

typedef struct {
    ngx_str_t               etag;           /* with its quotes */
    oci_range_t             part;
} ngx_http_oci_file_t;


typedef struct {
    ngx_str_t               uri;            /* that the route was parsed of */
    oci_route_t             route;
    oci_error_t             route_error;
    ngx_http_oci_op_e       op;
    const void             *operation;      /* of handler, NULL: none */

    oci_repo_t              repo;
    ngx_str_t               media_type;     /* of what was answered */
    ngx_str_t               digest;         /* of what was answered */

    ngx_http_oci_task_t    *task;
    ngx_http_oci_body_t    *body;
    ngx_http_request_t     *probe;          /* of a mount's source */

    /* the error body that stands in place of nginx's own page */
    ngx_buf_t              *page;

    ngx_http_oci_cache_status_e   cache_status;
    ngx_http_oci_stats_counter_e  source;   /* of the body that is sent */
    off_t                         upstream_bytes;   /* fetched for it */

    ngx_err_t               err;            /* of the last OCI_ERROR */

    const ngx_http_oci_view_t    *view;     /* of the location */
    void                         *viewed;   /* what it knows of the request */
    ngx_http_oci_file_t          *file;     /* NULL: no file of it yet */
    ngx_uint_t                    allow;    /* methods of its endpoint */

    unsigned                answered:1;     /* headers are ours */
    unsigned                paged:1;        /* page was passed on */
    unsigned                mountable:1;    /* what the probe found */
    unsigned                signed_url:1;   /* its URL is its right */
    unsigned                asked:1;        /* for a right, once more */
} ngx_http_oci_ctx_t;


/*
 * Another protocol over the same repositories: what it has in place of OCI's
 * own.  Its handler sets a route and calls the handlers of operations, which
 * give it what they would have sent.
 */

struct ngx_http_oci_view_s {

    /* fills in ctx, all zeros but for its uri: NGX_OK or NGX_ERROR */
    ngx_int_t  (*parse)(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx);

    ngx_http_handler_pt  handler;

    /*
     * A manifest that this client may read.  data NULL: the repository holds
     * it, on the disk; else it may be in no store, and is the caller's.
     */
    ngx_int_t  (*manifest)(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx,
        const oci_digest_t *digest, ngx_str_t *data);

    /* a blob, of type ngx_http_oci_content_t, and not only a part of it */
    ngx_int_t  (*blob)(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx,
        void *content);

    /* the JSON of an error, and headers of its own: NGX_OK or NGX_ERROR */
    ngx_int_t  (*error)(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx,
        oci_error_t e, ngx_uint_t status, const char *message,
        ngx_str_t *body);
};


/*
 * The context of a request, its route parsed on first use; NULL when there
 * is no memory.  Fit for every phase, also the log phase.
 */
ngx_http_oci_ctx_t *ngx_http_oci_get_ctx(ngx_http_request_t *r);

/*
 * What Allow says: NGX_HTTP_GET and so on, the methods of the endpoint that
 * the location lets through.
 */
ngx_uint_t ngx_http_oci_allow(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx);

/* the location's content handler */
ngx_int_t ngx_http_oci_handler(ngx_http_request_t *r);

/*
 * The one gate, before anything of an operation is looked at: its right (0:
 * none is needed), the store, the namespace.  NGX_DECLINED to go on, else
 * what the handler returns.
 */
ngx_int_t ngx_http_oci_gate(ngx_http_request_t *r, ngx_http_oci_ctx_t *ctx,
    ngx_uint_t right);

/* a handler of the preaccess phase, for what ngx_http_oci_mount_check() asks */
ngx_int_t ngx_http_oci_mount_phase(ngx_http_request_t *r);

/* a handler of the log phase: counts what was answered */
ngx_int_t ngx_http_oci_count(ngx_http_request_t *r);

/* the location's grace period in seconds */
int64_t ngx_http_oci_gc_grace(ngx_http_oci_loc_conf_t *olcf);

/* adds the variables; called in preconfiguration */
ngx_int_t ngx_http_oci_add_variables(ngx_conf_t *cf);

/* the manager of a store's path, run in the cache manager process */
ngx_msec_t ngx_http_oci_manager(void *data);


extern ngx_module_t  ngx_http_oci_module;
extern ngx_module_t  ngx_http_oci_filter_module;
extern ngx_module_t  ngx_http_oci_low_filter_module;


#endif /* _NGX_HTTP_OCI_MODULE_H_INCLUDED_ */
