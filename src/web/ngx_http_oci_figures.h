
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * What is known of the stores, read once for an answer, and what each figure
 * is called: the same for every format.
 */


#ifndef _NGX_HTTP_OCI_FIGURES_H_INCLUDED_
#define _NGX_HTTP_OCI_FIGURES_H_INCLUDED_


#include "ngx_http_oci_module.h"


/* a store */

typedef struct {
    ngx_str_t                   name;
    uint64_t                    ready;          /* in this worker */
    ngx_http_oci_stats_t        stats;          /* of all processes */
    ngx_http_oci_zone_use_t     zone;
} ngx_http_oci_figures_t;


/* a figure; those of one name follow each other and differ in their label */

typedef struct {
    const char                 *name;
    const char                 *type;           /* "counter" or "gauge" */
    const char                 *label;          /* NULL: it has none */
    const char                 *value;          /* of the label */
    const char                 *help;
    size_t                      offset;         /* in ngx_http_oci_figures_t,
                                                   of an uint64_t */
} ngx_http_oci_figure_t;


#define ngx_http_oci_figure_get(f, figure)                                    \
    (*(const uint64_t *) ((const u_char *) (f) + (figure)->offset))


extern const ngx_http_oci_figure_t  ngx_http_oci_figure_table[];
extern const ngx_uint_t             ngx_http_oci_figure_count;

/* of requests[][] */
extern const char *const  ngx_http_oci_figure_operations[];
extern const char *const  ngx_http_oci_figure_statuses[];

/* how many operations have a name, and so are counted */
extern const ngx_uint_t   ngx_http_oci_figure_noperations;


/* of each store, in the order of the configuration; NULL: no memory */
ngx_http_oci_figures_t *ngx_http_oci_figures_read(ngx_http_request_t *r,
    ngx_uint_t *n);

/* GET and HEAD only: NGX_OK to go on, else what the handler returns */
ngx_int_t ngx_http_oci_figures_begin(ngx_http_request_t *r);

/* 200 with what stands in b, not to be kept by anyone; type_len without ";" */
ngx_int_t ngx_http_oci_figures_send(ngx_http_request_t *r, ngx_str_t *type,
    size_t type_len, ngx_buf_t *b);


#endif /* _NGX_HTTP_OCI_FIGURES_H_INCLUDED_ */
