
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Directives, their merge, and what happens when a process begins or ends.
 */


#include "ngx_http_oci_module.h"
#include "ngx_http_oci_conf.h"
#include "ngx_http_oci_edge_conf.h"
#include "ngx_http_oci_evict.h"
#include "ngx_http_oci_fill.h"
#include "ngx_http_oci_resume.h"
#include "ngx_http_oci_signed.h"
#include "ngx_http_oci_task.h"
#include "ngx_http_oci_wake.h"
#include "ngx_http_oci_zstd.h"

#include "ngx_http_oci_huggingface.h"
#include "ngx_http_oci_metrics.h"
#include "ngx_http_oci_status.h"


#define NGX_HTTP_OCI_REOPEN  5000


static ngx_int_t ngx_http_oci_preconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_http_oci_postconfiguration(ngx_conf_t *cf);
static void *ngx_http_oci_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_oci_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_oci_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static ngx_int_t ngx_http_oci_init_process(ngx_cycle_t *cycle);
static void ngx_http_oci_exit_process(ngx_cycle_t *cycle);
static void ngx_http_oci_open_store(ngx_http_oci_store_t *st, ngx_log_t *log);
static void ngx_http_oci_reopen_handler(ngx_event_t *ev);


static ngx_conf_bitmask_t  ngx_http_oci_methods[] = {
    { ngx_string("pull"), NGX_HTTP_OCI_PULL },
    { ngx_string("push"), NGX_HTTP_OCI_PUSH },
    { ngx_string("delete"), NGX_HTTP_OCI_DELETE },
    { ngx_null_string, 0 }
};


static ngx_conf_enum_t  ngx_http_oci_mounts[] = {
    { ngx_string("off"), NGX_HTTP_OCI_MOUNT_OFF },
    { ngx_string("from"), NGX_HTTP_OCI_MOUNT_FROM },
    { ngx_string("any"), NGX_HTTP_OCI_MOUNT_ANY },
    { ngx_null_string, 0 }
};


static ngx_command_t  ngx_http_oci_commands[] = {

    { ngx_string("oci_store"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_2MORE,
      ngx_http_oci_conf_store,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("oci"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_oci_conf_oci,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("oci_methods"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_conf_set_bitmask_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_oci_loc_conf_t, methods),
      &ngx_http_oci_methods },

    { ngx_string("oci_namespace"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_oci_conf_namespace,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("oci_manifest_max_size"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_oci_loc_conf_t, manifest_max_size),
      NULL },

    { ngx_string("oci_sparse"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_oci_loc_conf_t, sparse),
      NULL },

    { ngx_string("oci_mount"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_oci_loc_conf_t, mount),
      &ngx_http_oci_mounts },

    { ngx_string("oci_public_url"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_oci_conf_public_url,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("oci_thread_pool"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_oci_conf_thread_pool,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("oci_gc"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_oci_conf_gc,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("oci_valid"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_sec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_oci_loc_conf_t, valid),
      NULL },

    { ngx_string("oci_valid_missing"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_sec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_oci_loc_conf_t, valid_missing),
      NULL },

    { ngx_string("oci_signed_urls"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_oci_signed_conf,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("oci_zstd"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_oci_loc_conf_t, zstd),
      NULL },

    { ngx_string("oci_zstd_level"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_oci_zstd_conf_level,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("oci_zstd_min_ratio"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_oci_zstd_conf_ratio,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("oci_pass"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_oci_edge_conf_pass,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("oci_pass_ssl_trusted_certificate"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_oci_loc_conf_t, edge_conf.ssl_trusted_certificate),
      NULL },

    { ngx_string("oci_pass_ssl_certificate"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_oci_loc_conf_t, edge_conf.ssl_certificate),
      NULL },

    { ngx_string("oci_pass_ssl_certificate_key"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_oci_loc_conf_t, edge_conf.ssl_certificate_key),
      NULL },

    { ngx_string("oci_pass_ssl_ciphers"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_oci_loc_conf_t, edge_conf.ssl_ciphers),
      NULL },

    { ngx_string("oci_pass_ssl_verify"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_oci_loc_conf_t, edge_conf.ssl_verify),
      NULL },

    { ngx_string("oci_pass_ssl_server_name"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_oci_loc_conf_t, edge_conf.ssl_server_name),
      NULL },

    { ngx_string("oci_pass_ssl_name"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_set_complex_value_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_oci_loc_conf_t, edge_conf.ssl_name),
      NULL },

    { ngx_string("oci_pass_ssl_protocols"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_conf_set_bitmask_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_oci_loc_conf_t, edge_conf.ssl_protocols),
      &ngx_http_oci_edge_protocols },

    { ngx_string("oci_pass_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_oci_edge_conf_timeout,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("oci_pass_proxy"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_oci_edge_conf_proxy,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("oci_pass_redirect_allow"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_oci_edge_conf_redirect_allow,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("oci_pass_realm_allow"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_oci_edge_conf_realm_allow,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("oci_pass_credentials"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_oci_edge_conf_credentials,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("oci_pass_auth"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_oci_loc_conf_t, edge_conf.auth),
      &ngx_http_oci_edge_auths },

    { ngx_string("oci_push"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_oci_loc_conf_t, edge_conf.push),
      &ngx_http_oci_edge_pushes },

    { ngx_string("oci_use_stale"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_oci_loc_conf_t, edge_conf.use_stale),
      NULL },

    { ngx_string("oci_fill_verify"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_oci_loc_conf_t, edge_conf.fill_verify),
      &ngx_http_oci_edge_verifies },

    { ngx_string("oci_fill_chunk"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_off_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_oci_loc_conf_t, edge_conf.fill_chunk),
      NULL },

    { ngx_string("oci_fill_connections"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_oci_loc_conf_t, edge_conf.fill_connections),
      NULL },

    { ngx_string("oci_fill_background"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_oci_loc_conf_t, edge_conf.fill_background),
      NULL },

    { ngx_string("oci_upload_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_sec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_oci_loc_conf_t, upload_timeout),
      NULL },

    { ngx_string("oci_huggingface"),
      NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_oci_huggingface_conf,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("oci_metrics"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_oci_metrics,
      0,
      0,
      NULL },

    { ngx_string("oci_status"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_oci_status,
      0,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_oci_module_ctx = {
    ngx_http_oci_preconfiguration,         /* preconfiguration */
    ngx_http_oci_postconfiguration,        /* postconfiguration */

    ngx_http_oci_create_main_conf,         /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_oci_create_loc_conf,          /* create location configuration */
    ngx_http_oci_merge_loc_conf            /* merge location configuration */
};


ngx_module_t  ngx_http_oci_module = {
    NGX_MODULE_V1,
    &ngx_http_oci_module_ctx,              /* module context */
    ngx_http_oci_commands,                 /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    ngx_http_oci_wake_init_module,         /* init module */
    ngx_http_oci_init_process,             /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_oci_exit_process,             /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_int_t
ngx_http_oci_preconfiguration(ngx_conf_t *cf)
{
    return ngx_http_oci_add_variables(cf);
}


static ngx_int_t
ngx_http_oci_postconfiguration(ngx_conf_t *cf)
{
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_PREACCESS_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_oci_mount_phase;

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_LOG_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_oci_count;

    return ngx_http_oci_signed_init(cf);
}


static void *
ngx_http_oci_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_oci_main_conf_t  *omcf;

    omcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_oci_main_conf_t));
    if (omcf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&omcf->stores, cf->pool, 2,
                       sizeof(ngx_http_oci_store_t *))
        != NGX_OK
        || ngx_array_init(&omcf->edges, cf->pool, 4,
                          sizeof(ngx_http_oci_loc_conf_t *))
           != NGX_OK)
    {
        return NULL;
    }

    return omcf;
}


static void *
ngx_http_oci_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_oci_loc_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_oci_loc_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     conf->name = { 0, NULL };
     *     conf->store = NULL;
     *     conf->methods = 0;
     *     conf->public_url = { 0, NULL };
     *     conf->read_pool = NULL;
     *     conf->view = NULL;
     *     conf->view_conf = NULL;
     */

    conf->ns = NGX_CONF_UNSET_PTR;
    conf->ns_allow = NGX_CONF_UNSET_PTR;
    conf->manifest_max_size = NGX_CONF_UNSET_SIZE;
    conf->sparse = NGX_CONF_UNSET;
    conf->mount = NGX_CONF_UNSET_UINT;
    conf->write_pool = NGX_CONF_UNSET_PTR;
    conf->gc = NGX_CONF_UNSET_PTR;
    conf->upload_timeout = NGX_CONF_UNSET;
    conf->valid = NGX_CONF_UNSET;
    conf->valid_missing = NGX_CONF_UNSET;
    conf->signed_urls = NGX_CONF_UNSET_PTR;

    ngx_http_oci_edge_conf_init(&conf->edge_conf);
    ngx_http_oci_zstd_conf_init(conf);

    return conf;
}


static char *
ngx_http_oci_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_oci_loc_conf_t  *prev = parent;
    ngx_http_oci_loc_conf_t  *conf = child;

    ngx_uint_t  own;

    own = (conf->name.data != NULL);

    ngx_http_oci_conf_merge_view(cf, prev, conf);

    ngx_conf_merge_str_value(conf->name, prev->name, "off");

    ngx_conf_merge_bitmask_value(conf->methods, prev->methods,
                                 (NGX_CONF_BITMASK_SET|NGX_HTTP_OCI_PULL));

    if (conf->ns == NGX_CONF_UNSET_PTR) {
        conf->ns = prev->ns;
        conf->ns_allow = prev->ns_allow;
    }

    ngx_conf_merge_ptr_value(conf->ns, prev->ns, NULL);
    ngx_conf_merge_ptr_value(conf->ns_allow, prev->ns_allow, NULL);

    ngx_conf_merge_size_value(conf->manifest_max_size,
                              prev->manifest_max_size, 4 * 1024 * 1024);
    ngx_conf_merge_value(conf->sparse, prev->sparse, 0);
    ngx_conf_merge_uint_value(conf->mount, prev->mount,
                              NGX_HTTP_OCI_MOUNT_FROM);
    ngx_conf_merge_str_value(conf->public_url, prev->public_url, "");
    ngx_conf_merge_ptr_value(conf->write_pool, prev->write_pool, NULL);
    ngx_conf_merge_ptr_value(conf->gc, prev->gc, NULL);
    ngx_conf_merge_sec_value(conf->valid, prev->valid, 60);
    ngx_conf_merge_sec_value(conf->valid_missing, prev->valid_missing, 10);
    ngx_conf_merge_ptr_value(conf->signed_urls, prev->signed_urls, NULL);
    ngx_conf_merge_sec_value(conf->upload_timeout, prev->upload_timeout,
                             24 * 60 * 60);

    ngx_http_oci_zstd_conf_merge(prev, conf);

    if (ngx_http_oci_edge_conf_merge(cf, prev, conf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    if (ngx_strcmp(conf->name.data, "off") == 0) {
        conf->store = NULL;
        return NGX_CONF_OK;
    }

    conf->store = ngx_http_oci_conf_find_store(cf, &conf->name);

    if (conf->store == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "unknown \"oci_store\" zone \"%V\"", &conf->name);
        return NGX_CONF_ERROR;
    }

    /* reads never wait behind an fsync where the operator names a pool */

    conf->read_pool = ngx_thread_pool_add(cf, NULL);
    if (conf->read_pool == NULL) {
        return NGX_CONF_ERROR;
    }

    if (conf->write_pool == NULL) {
        conf->write_pool = conf->read_pool;
    }

    if (ngx_http_oci_conf_merge_gc(cf, conf) != NGX_CONF_OK
        || ngx_http_oci_conf_add_edge(cf, conf) != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    return ngx_http_oci_conf_merge_handler(cf, conf, own);
}


static ngx_int_t
ngx_http_oci_init_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                  i;
    ngx_http_oci_zone_t        *cache;
    ngx_http_oci_store_t      **stores;
    ngx_http_oci_main_conf_t   *omcf;

    omcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_oci_module);

    if (omcf == NULL) {
        return NGX_OK;
    }

    stores = omcf->stores.elts;

    for (i = 0; i < omcf->stores.nelts; i++) {

        cache = &stores[i]->cache;

        if (ngx_http_oci_stats_bury(cache->sh->slots, cache->sh->nslots)) {
            stores[i]->doubtful = 1;
            ngx_http_oci_zone_wake(cache);
        }

        cache->stats = ngx_http_oci_stats_claim(cache->sh->slots,
                                                cache->sh->nslots,
                                                &cache->name, cycle->log);

        ngx_http_oci_open_store(stores[i], cycle->log);
    }

    if (ngx_http_oci_resume_init_process(cycle) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_oci_wake_init_process(cycle, ngx_http_oci_fill_woken,
                                          ngx_http_oci_evict_woken);
}


/*
 * A disk that is not there yet is no reason for a worker to die: requests
 * get 503 until it is.
 */

static void
ngx_http_oci_open_store(ngx_http_oci_store_t *st, ngx_log_t *log)
{
    if (oci_store_open(&st->store, (char *) st->root.data,
                       st->durable ? 1 : 0)
        == OCI_OK)
    {
        /* this nginx' own writes are seen in any case */

        if (st->store.counters == NULL) {
            st->store.counters = st->cache.sh->counters;
            st->unmapped = 1;
        }

        /*
         * Who died between a change and the counter that tells of it has
         * left behind caches that still say what was before.
         */

        if (ngx_http_oci_stats_first(&st->cache.sh->first)
            || st->doubtful)
        {
            oci_generation_raise_all(&st->store);
            ngx_http_oci_stats_begun(&st->cache.sh->first);
            st->doubtful = 0;
        }

        st->ready = 1;
        return;
    }

    ngx_http_oci_log_failure(log, oci_failure());

    st->retry.handler = ngx_http_oci_reopen_handler;
    st->retry.data = st;
    st->retry.log = log;
    st->retry.cancelable = 1;

    ngx_add_timer(&st->retry, NGX_HTTP_OCI_REOPEN);
}


static void
ngx_http_oci_reopen_handler(ngx_event_t *ev)
{
    ngx_http_oci_open_store(ev->data, ev->log);
}


static void
ngx_http_oci_exit_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                  i;
    ngx_http_oci_zone_t        *cache;
    ngx_http_oci_store_t      **stores;
    ngx_http_oci_main_conf_t   *omcf;

    omcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_oci_module);

    if (omcf == NULL) {
        return;
    }

    stores = omcf->stores.elts;

    for (i = 0; i < omcf->stores.nelts; i++) {
        cache = &stores[i]->cache;

        if (stores[i]->doubtful) {

            /* it never came to open its store */

            ngx_http_oci_stats_doubt(&cache->sh->first);
        }

        ngx_http_oci_stats_release(cache->stats);
        cache->stats = ngx_http_oci_stats_none();

        if (stores[i]->unmapped) {
            stores[i]->store.counters = NULL;
        }

        if (stores[i]->ready) {
            oci_store_close(&stores[i]->store);
        }
    }
}
