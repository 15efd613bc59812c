
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "ngx_http_oci_status.h"
#include "ngx_http_oci_figures.h"

#include <jansson.h>


/* a figure's name within JSON: without these */
#define NGX_HTTP_OCI_STATUS_PREFIX  "oci_"
#define NGX_HTTP_OCI_STATUS_SUFFIX  "_total"
#define NGX_HTTP_OCI_STATUS_NAME    64


static ngx_int_t ngx_http_oci_status_handler(ngx_http_request_t *r);
static json_t *ngx_http_oci_status_stores(const ngx_http_oci_figures_t *f,
    ngx_uint_t n);
static json_t *ngx_http_oci_status_store(const ngx_http_oci_figures_t *f);
static json_t *ngx_http_oci_status_requests(const ngx_http_oci_figures_t *f);
static int ngx_http_oci_status_figure(json_t *store,
    const ngx_http_oci_figures_t *f, const ngx_http_oci_figure_t *figure);
static void ngx_http_oci_status_name(char *buf, const char *name);


static ngx_str_t  ngx_http_oci_status_type = ngx_string("application/json");


char *
ngx_http_oci_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_oci_status_handler;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_oci_status_handler(ngx_http_request_t *r)
{
    char                    *text;
    size_t                   len;
    json_t                  *root;
    ngx_int_t                rc;
    ngx_buf_t               *b;
    ngx_uint_t               n;
    ngx_http_oci_figures_t  *f;

    rc = ngx_http_oci_figures_begin(r);

    if (rc != NGX_OK) {
        return rc;
    }

    f = ngx_http_oci_figures_read(r, &n);
    if (f == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    root = ngx_http_oci_status_stores(f, n);
    if (root == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    text = json_dumps(root, JSON_INDENT(1));

    json_decref(root);

    if (text == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    len = ngx_strlen(text);

    b = ngx_create_temp_buf(r->pool, len + 1);

    if (b) {
        b->last = ngx_cpymem(b->last, text, len);
        *b->last++ = '\n';
    }

    free(text);

    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_oci_figures_send(r, &ngx_http_oci_status_type,
                                     ngx_http_oci_status_type.len, b);
}


static json_t *
ngx_http_oci_status_stores(const ngx_http_oci_figures_t *f, ngx_uint_t n)
{
    json_t      *root, *stores;
    ngx_uint_t   i;

    stores = json_array();

    for (i = 0; i < n; i++) {
        if (json_array_append_new(stores, ngx_http_oci_status_store(&f[i]))
            != 0)
        {
            json_decref(stores);
            return NULL;
        }
    }

    root = json_object();

    if (json_object_set_new(root, "stores", stores) != 0) {
        json_decref(root);
        return NULL;
    }

    return root;
}


static json_t *
ngx_http_oci_status_store(const ngx_http_oci_figures_t *f)
{
    json_t      *store, *name;
    ngx_uint_t   k;

    store = json_object();

    name = json_stringn((char *) f->name.data, f->name.len);

    if (name == NULL) {

        /* nobody keeps an operator from a name that is not UTF-8 */

        name = json_null();
    }

    if (json_object_set_new(store, "name", name) != 0
        || json_object_set_new(store, "requests",
                               ngx_http_oci_status_requests(f))
           != 0)
    {
        json_decref(store);
        return NULL;
    }

    for (k = 0; k < ngx_http_oci_figure_count; k++) {
        if (ngx_http_oci_status_figure(store, f,
                                       &ngx_http_oci_figure_table[k])
            != 0)
        {
            json_decref(store);
            return NULL;
        }
    }

    return store;
}


static json_t *
ngx_http_oci_status_requests(const ngx_http_oci_figures_t *f)
{
    json_t      *requests, *op;
    ngx_uint_t   k, c;

    requests = json_object();

    for (k = 0; k < ngx_http_oci_figure_noperations; k++) {

        op = json_object();

        for (c = 0; c < NGX_HTTP_OCI_STATS_STATUSES; c++) {

            if (c == 1 && f->stats.requests[k][c] == 0) {
                continue;
            }

            (void) json_object_set_new(op, ngx_http_oci_figure_statuses[c],
                          json_integer((json_int_t) f->stats.requests[k][c]));
        }

        if (json_object_set_new(requests, ngx_http_oci_figure_operations[k],
                                op)
            != 0)
        {
            json_decref(requests);
            return NULL;
        }
    }

    return requests;
}


static int
ngx_http_oci_status_figure(json_t *store, const ngx_http_oci_figures_t *f,
    const ngx_http_oci_figure_t *figure)
{
    char     name[NGX_HTTP_OCI_STATUS_NAME];
    json_t  *value, *group;

    ngx_http_oci_status_name(name, figure->name);

    value = json_integer((json_int_t) ngx_http_oci_figure_get(f, figure));

    if (figure->label == NULL) {
        return json_object_set_new(store, name, value);
    }

    group = json_object_get(store, name);

    if (group == NULL) {
        group = json_object();

        if (json_object_set_new(store, name, group) != 0) {
            json_decref(value);
            return -1;
        }
    }

    return json_object_set_new(group, figure->value, value);
}


static void
ngx_http_oci_status_name(char *buf, const char *name)
{
    size_t  len, end;

    name += sizeof(NGX_HTTP_OCI_STATUS_PREFIX) - 1;

    len = ngx_strlen(name);
    end = sizeof(NGX_HTTP_OCI_STATUS_SUFFIX) - 1;

    if (len > end
        && ngx_strcmp(name + len - end, NGX_HTTP_OCI_STATUS_SUFFIX) == 0)
    {
        len -= end;
    }

    (void) ngx_cpystrn((u_char *) buf, (u_char *) name,
                       ngx_min(len + 1, NGX_HTTP_OCI_STATUS_NAME));
}
