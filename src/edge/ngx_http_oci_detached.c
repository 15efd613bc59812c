
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "ngx_http_oci_detached.h"


static ngx_connection_t *ngx_http_oci_detached_connection(ngx_pool_t *pool,
    ngx_log_t *log);
static ngx_int_t ngx_http_oci_detached_uri(ngx_http_request_t *r,
    ngx_str_t *uri);
static ngx_int_t ngx_http_oci_detached_headers(ngx_http_request_t *r,
    ngx_str_t *host);
static void ngx_http_oci_detached_handler(ngx_http_request_t *r);


static ngx_str_t  ngx_http_oci_detached_get = ngx_string("GET");
static ngx_str_t  ngx_http_oci_detached_head = ngx_string("HEAD");
static ngx_str_t  ngx_http_oci_detached_http = ngx_string("HTTP/1.1");
static ngx_str_t  ngx_http_oci_detached_addr = ngx_string("unix:");


ngx_http_request_t *
ngx_http_oci_detached_create(ngx_pool_t *pool, ngx_log_t *log,
    ngx_http_oci_edge_conf_t *conf, ngx_uint_t method, ngx_str_t *uri,
    ngx_str_t *host)
{
    ngx_time_t                 *tp;
    ngx_http_request_t         *r;
    ngx_http_upstream_t        *u;
    ngx_http_core_main_conf_t  *cmcf;

    r = ngx_pcalloc(pool, sizeof(ngx_http_request_t));
    if (r == NULL) {
        return NULL;
    }

    cmcf = conf->main_conf[ngx_http_core_module.ctx_index];

    r->signature = NGX_HTTP_MODULE;
    r->pool = pool;
    r->main = r;
    r->count = 1;

    r->main_conf = conf->main_conf;
    r->srv_conf = conf->srv_conf;
    r->loc_conf = conf->loc_conf;

    r->read_event_handler = ngx_http_oci_detached_handler;
    r->write_event_handler = ngx_http_oci_detached_handler;

    r->connection = ngx_http_oci_detached_connection(pool, log);
    r->http_connection = ngx_pcalloc(pool, sizeof(ngx_http_connection_t));
    r->header_in = ngx_create_temp_buf(pool, 1);
    r->ctx = ngx_pcalloc(pool, sizeof(void *) * ngx_http_max_module);
    r->variables = ngx_pcalloc(pool, cmcf->variables.nelts
                                     * sizeof(ngx_http_variable_value_t));
    u = ngx_pcalloc(pool, sizeof(ngx_http_upstream_t));

    if (r->connection == NULL || r->http_connection == NULL
        || r->header_in == NULL || r->ctx == NULL || r->variables == NULL
        || u == NULL)
    {
        return NULL;
    }

    r->connection->data = r;

    tp = ngx_timeofday();

    r->start_sec = tp->sec;
    r->start_msec = tp->msec;

    r->method = method;
    r->method_name = (method == NGX_HTTP_HEAD) ? ngx_http_oci_detached_head
                                               : ngx_http_oci_detached_get;
    r->http_version = NGX_HTTP_VERSION_11;
    r->http_protocol = ngx_http_oci_detached_http;

    if (ngx_http_oci_detached_uri(r, uri) != NGX_OK
        || ngx_http_oci_detached_headers(r, host) != NGX_OK)
    {
        return NULL;
    }

    u->state = ngx_pcalloc(pool, sizeof(ngx_http_upstream_state_t));

    if (u->state == NULL) {
        return NULL;
    }

    u->state->connect_time = (ngx_msec_t) -1;
    u->state->header_time = (ngx_msec_t) -1;
    u->state->response_time = (ngx_msec_t) -1;

    /* of the location: some balancers keep connections by it */

    u->conf = conf->upstream;

    u->peer.log = log;
    u->peer.log_error = NGX_ERROR_ERR;

    r->upstream = u;

    return r;
}


/* what never was on a wire */

static ngx_connection_t *
ngx_http_oci_detached_connection(ngx_pool_t *pool, ngx_log_t *log)
{
    ngx_event_t         *events;
    struct sockaddr_un  *sun;
    ngx_connection_t    *c;

    c = ngx_pcalloc(pool, sizeof(ngx_connection_t));
    events = ngx_pcalloc(pool, 2 * sizeof(ngx_event_t));
    sun = ngx_pcalloc(pool, sizeof(struct sockaddr_un));

    if (c == NULL || events == NULL || sun == NULL) {
        return NULL;
    }

    sun->sun_family = AF_UNIX;

    c->fd = (ngx_socket_t) -1;
    c->pool = pool;
    c->log = log;
    c->read = &events[0];
    c->write = &events[1];

    c->read->data = c;
    c->read->log = log;
    c->write->data = c;
    c->write->log = log;
    c->write->write = 1;

    c->sockaddr = (struct sockaddr *) sun;
    c->socklen = sizeof(sa_family_t) + 1;
    c->addr_text = ngx_http_oci_detached_addr;
    c->local_sockaddr = c->sockaddr;
    c->local_socklen = c->socklen;

    return c;
}


static ngx_int_t
ngx_http_oci_detached_uri(ngx_http_request_t *r, ngx_str_t *uri)
{
    u_char  *p;

    r->unparsed_uri = *uri;
    r->valid_unparsed_uri = 1;
    r->uri = *uri;

    p = ngx_strlchr(uri->data, uri->data + uri->len, '?');

    if (p) {
        r->uri.len = p - uri->data;
        r->args.data = p + 1;
        r->args.len = uri->data + uri->len - r->args.data;
    }

    p = ngx_pnalloc(r->pool, r->method_name.len + uri->len
                             + sizeof("  HTTP/1.1") - 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    r->request_line.data = p;
    r->request_line.len = ngx_sprintf(p, "%V %V HTTP/1.1", &r->method_name,
                                      uri)
                          - p;

    return NGX_OK;
}


static ngx_int_t
ngx_http_oci_detached_headers(ngx_http_request_t *r, ngx_str_t *host)
{
    if (ngx_list_init(&r->headers_in.headers, r->pool, 1,
                      sizeof(ngx_table_elt_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_list_init(&r->headers_out.headers, r->pool, 1,
                      sizeof(ngx_table_elt_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_list_init(&r->headers_out.trailers, r->pool, 1,
                      sizeof(ngx_table_elt_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    r->headers_in.server = *host;
    r->headers_in.content_length_n = -1;
    r->headers_in.keep_alive_n = -1;
    r->headers_out.content_length_n = -1;
    r->headers_out.last_modified_time = -1;

    return NGX_OK;
}


static void
ngx_http_oci_detached_handler(ngx_http_request_t *r)
{
    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "http oci event of a detached request");
}


void
ngx_http_oci_detached_destroy(ngx_http_request_t *r)
{
    ngx_http_cleanup_t  *cln;

    while ((cln = r->cleanup)) {
        r->cleanup = cln->next;

        if (cln->handler) {
            cln->handler(cln->data);
        }
    }
}
