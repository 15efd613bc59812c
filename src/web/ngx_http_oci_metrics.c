
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "ngx_http_oci_metrics.h"
#include "ngx_http_oci_figures.h"


/* no line is longer, without the name of a store and the text of a HELP */
#define NGX_HTTP_OCI_METRICS_LINE  192


static ngx_int_t ngx_http_oci_metrics_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_oci_metrics_names(ngx_http_request_t *r,
    ngx_http_oci_figures_t *f, ngx_uint_t n, size_t *size);
static u_char *ngx_http_oci_metrics_requests(u_char *p, u_char *last,
    ngx_http_oci_figures_t *f, ngx_uint_t n);
static u_char *ngx_http_oci_metrics_figures(u_char *p, u_char *last,
    ngx_http_oci_figures_t *f, ngx_uint_t n);


static ngx_str_t  ngx_http_oci_metrics_type =
    ngx_string("text/plain; version=0.0.4; charset=utf-8");


char *
ngx_http_oci_metrics(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_oci_metrics_handler;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_oci_metrics_handler(ngx_http_request_t *r)
{
    size_t                   size;
    ngx_int_t                rc;
    ngx_buf_t               *b;
    ngx_uint_t               n;
    ngx_http_oci_figures_t  *f;

    rc = ngx_http_oci_figures_begin(r);

    if (rc != NGX_OK) {
        return rc;
    }

    f = ngx_http_oci_figures_read(r, &n);

    if (f == NULL || ngx_http_oci_metrics_names(r, f, n, &size) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b = ngx_create_temp_buf(r->pool, size);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->last = ngx_http_oci_metrics_requests(b->last, b->end, f, n);
    b->last = ngx_http_oci_metrics_figures(b->last, b->end, f, n);

    return ngx_http_oci_figures_send(r, &ngx_http_oci_metrics_type,
                                     sizeof("text/plain") - 1, b);
}


/* as the value of a label has to be written; and how long all will be */

static ngx_int_t
ngx_http_oci_metrics_names(ngx_http_request_t *r, ngx_http_oci_figures_t *f,
    ngx_uint_t n, size_t *size)
{
    size_t       lines;
    u_char      *p, *from;
    ngx_uint_t   i, k;

    lines = ngx_http_oci_figure_noperations * NGX_HTTP_OCI_STATS_STATUSES
            + ngx_http_oci_figure_count;

    *size = NGX_HTTP_OCI_METRICS_LINE * 2;

    for (k = 0; k < ngx_http_oci_figure_count; k++) {
        if (ngx_http_oci_figure_table[k].help) {
            *size += 2 * NGX_HTTP_OCI_METRICS_LINE
                     + ngx_strlen(ngx_http_oci_figure_table[k].help);
        }
    }

    for (i = 0; i < n; i++) {

        p = ngx_pnalloc(r->pool, 2 * f[i].name.len + 1);
        if (p == NULL) {
            return NGX_ERROR;
        }

        from = f[i].name.data;
        f[i].name.data = p;

        for (k = 0; k < f[i].name.len; k++) {

            switch (from[k]) {

            case '\n':
                *p++ = '\\';
                *p++ = 'n';
                break;

            case '\\':
            case '"':
                *p++ = '\\';
                /* fall through */

            default:
                *p++ = from[k];
            }
        }

        f[i].name.len = p - f[i].name.data;

        *size += lines * (NGX_HTTP_OCI_METRICS_LINE + f[i].name.len);
    }

    return NGX_OK;
}


static u_char *
ngx_http_oci_metrics_requests(u_char *p, u_char *last,
    ngx_http_oci_figures_t *f, ngx_uint_t n)
{
    uint64_t    value;
    ngx_uint_t  i, k, c;

    p = ngx_slprintf(p, last,
                     "# HELP oci_requests_total Requests, by operation and "
                     "status (none: the client left before an answer).\n"
                     "# TYPE oci_requests_total counter\n");

    for (i = 0; i < n; i++) {
        for (k = 0; k < ngx_http_oci_figure_noperations; k++) {
            for (c = 0; c < NGX_HTTP_OCI_STATS_STATUSES; c++) {

                value = f[i].stats.requests[k][c];

                if (c == 1 && value == 0) {
                    continue;
                }

                p = ngx_slprintf(p, last,
                                 "oci_requests_total{store=\"%V\","
                                 "operation=\"%s\",status=\"%s\"} %uL\n",
                                 &f[i].name,
                                 ngx_http_oci_figure_operations[k],
                                 ngx_http_oci_figure_statuses[c], value);
            }
        }
    }

    return p;
}


static u_char *
ngx_http_oci_metrics_figures(u_char *p, u_char *last,
    ngx_http_oci_figures_t *f, ngx_uint_t n)
{
    ngx_uint_t                    i, k, end;
    const ngx_http_oci_figure_t  *figure, *table;

    table = ngx_http_oci_figure_table;

    for (k = 0; k < ngx_http_oci_figure_count; k = end) {

        p = ngx_slprintf(p, last, "# HELP %s %s\n# TYPE %s %s\n",
                         table[k].name, table[k].help, table[k].name,
                         table[k].type);

        /* all samples of a metric are one group */

        for (end = k + 1; end < ngx_http_oci_figure_count; end++) {
            if (ngx_strcmp(table[end].name, table[k].name) != 0) {
                break;
            }
        }

        for (i = 0; i < n; i++) {
            for (figure = &table[k]; figure < &table[end]; figure++) {

                p = ngx_slprintf(p, last, "%s{store=\"%V\"", figure->name,
                                 &f[i].name);

                if (figure->label) {
                    p = ngx_slprintf(p, last, ",%s=\"%s\"", figure->label,
                                     figure->value);
                }

                p = ngx_slprintf(p, last, "} %uL\n",
                                 ngx_http_oci_figure_get(&f[i], figure));
            }
        }
    }

    return p;
}
