
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Directives, their merge, and what happens when a process begins or ends.
 */


#include "ngx_http_oci_module.h"
#include "ngx_http_oci_task.h"


#define NGX_HTTP_OCI_DEFAULT_MAX_BODY  (1024 * 1024)
#define NGX_HTTP_OCI_BODY_BUFFER       (256 * 1024)
#define NGX_HTTP_OCI_REOPEN            5000


static ngx_int_t ngx_http_oci_preconfiguration(ngx_conf_t *cf);
static void *ngx_http_oci_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_oci_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_oci_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static char *ngx_http_oci_merge_handler(ngx_conf_t *cf,
    ngx_http_oci_loc_conf_t *conf, ngx_uint_t own);
static char *ngx_http_oci_merge_gc(ngx_conf_t *cf,
    ngx_http_oci_loc_conf_t *conf);
static char *ngx_http_oci_add_gc(ngx_conf_t *cf,
    ngx_http_oci_loc_conf_t *conf, ngx_str_t *ns);
static ngx_http_oci_store_t *ngx_http_oci_find_store(ngx_conf_t *cf,
    ngx_str_t *name);

static char *ngx_http_oci_store(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_int_t ngx_http_oci_store_option(ngx_conf_t *cf,
    ngx_http_oci_store_t *st, ngx_str_t *value, ngx_str_t *zone,
    ssize_t *size);
static char *ngx_http_oci_store_add(ngx_conf_t *cf, ngx_http_oci_store_t *st,
    ssize_t size);
static ngx_int_t ngx_http_oci_init_zone(ngx_shm_zone_t *shm_zone, void *data);
static char *ngx_http_oci(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
static char *ngx_http_oci_namespace(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_oci_thread_pool(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_oci_public_url_set(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_oci_gc(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

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
      ngx_http_oci_store,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("oci"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_oci,
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
      ngx_http_oci_namespace,
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
      ngx_http_oci_public_url_set,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("oci_thread_pool"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_oci_thread_pool,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("oci_gc"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_oci_gc,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("oci_upload_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_sec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_oci_loc_conf_t, upload_timeout),
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_oci_module_ctx = {
    ngx_http_oci_preconfiguration,         /* preconfiguration */
    NULL,                                  /* postconfiguration */

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
    NULL,                                  /* init module */
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
     */

    conf->ns = NGX_CONF_UNSET_PTR;
    conf->ns_allow = NGX_CONF_UNSET_PTR;
    conf->manifest_max_size = NGX_CONF_UNSET_SIZE;
    conf->sparse = NGX_CONF_UNSET;
    conf->mount = NGX_CONF_UNSET_UINT;
    conf->write_pool = NGX_CONF_UNSET_PTR;
    conf->gc = NGX_CONF_UNSET_PTR;
    conf->upload_timeout = NGX_CONF_UNSET;

    return conf;
}


static char *
ngx_http_oci_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_oci_loc_conf_t  *prev = parent;
    ngx_http_oci_loc_conf_t  *conf = child;

    ngx_uint_t  own;

    own = (conf->name.data != NULL);

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
    ngx_conf_merge_sec_value(conf->upload_timeout, prev->upload_timeout,
                             24 * 60 * 60);

    if (ngx_strcmp(conf->name.data, "off") == 0) {
        conf->store = NULL;
        return NGX_CONF_OK;
    }

    conf->store = ngx_http_oci_find_store(cf, &conf->name);

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

    if (ngx_http_oci_merge_gc(cf, conf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    return ngx_http_oci_merge_handler(cf, conf, own);
}


static char *
ngx_http_oci_merge_handler(ngx_conf_t *cf, ngx_http_oci_loc_conf_t *conf,
    ngx_uint_t own)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    /*
     * nginx has put its defaults in by now, so a limit of just this size
     * can't be told from one that nobody set: it is lifted either way.
     */

    if (clcf->client_max_body_size == NGX_HTTP_OCI_DEFAULT_MAX_BODY) {
        clcf->client_max_body_size = 0;
    }

    if (clcf->client_body_buffer_size == 2 * ngx_pagesize) {
        clcf->client_body_buffer_size = NGX_HTTP_OCI_BODY_BUFFER;
    }

    if (clcf->handler == ngx_http_oci_handler) {
        return NGX_CONF_OK;
    }

    if (clcf->handler != NULL) {

        if (own) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"oci %V\" stands in location \"%V\" beside "
                               "another directive that handles its requests",
                               &conf->name, &clcf->name);
            return NGX_CONF_ERROR;
        }

        return NGX_CONF_OK;
    }

    clcf->handler = ngx_http_oci_handler;

    if (own && clcf->name.len && clcf->name.data[clcf->name.len - 1] == '/') {
        clcf->auto_redirect = 1;
    }

    return NGX_CONF_OK;
}


/* the store keeps the policy of each namespace for the manager */

static char *
ngx_http_oci_merge_gc(ngx_conf_t *cf, ngx_http_oci_loc_conf_t *conf)
{
    ngx_str_t   *allow, none;
    ngx_uint_t   i;

    if (conf->upload_timeout > conf->store->upload_timeout) {
        conf->store->upload_timeout = conf->upload_timeout;
    }

    if (conf->gc == NULL) {
        return NGX_CONF_OK;
    }

    conf->gc->max_size = ngx_max(conf->gc->max_size,
                                 (int64_t) conf->manifest_max_size);

    if (conf->ns == NULL) {
        ngx_str_null(&none);
        return ngx_http_oci_add_gc(cf, conf, &none);
    }

    if (conf->ns->lengths == NULL) {
        return ngx_http_oci_add_gc(cf, conf, &conf->ns->value);
    }

    allow = conf->ns_allow ? conf->ns_allow->elts : NULL;

    for (i = 0; allow && i < conf->ns_allow->nelts; i++) {
        if (ngx_http_oci_add_gc(cf, conf, &allow[i]) != NGX_CONF_OK) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_oci_add_gc(ngx_conf_t *cf, ngx_http_oci_loc_conf_t *conf,
    ngx_str_t *ns)
{
    ngx_uint_t             i;
    ngx_http_oci_gc_t     *gc;
    oci_collect_policy_t  *policy;

    policy = conf->gc;
    gc = conf->store->gc.elts;

    for (i = 0; i < conf->store->gc.nelts; i++) {

        if (gc[i].ns.len != ns->len
            || ngx_strncmp(gc[i].ns.data, ns->data, ns->len) != 0)
        {
            continue;
        }

        if (gc[i].policy.grace != policy->grace
            || gc[i].policy.untagged != policy->untagged
            || gc[i].policy.keep_tags != policy->keep_tags)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "conflicting \"oci_gc\" for the same "
                               "repositories of \"%V\"", &conf->name);
            return NGX_CONF_ERROR;
        }

        gc[i].policy.max_size = ngx_max(gc[i].policy.max_size,
                                        policy->max_size);

        return NGX_CONF_OK;
    }

    gc = ngx_array_push(&conf->store->gc);
    if (gc == NULL) {
        return NGX_CONF_ERROR;
    }

    gc->ns = *ns;
    gc->policy = *policy;

    return NGX_CONF_OK;
}


static ngx_http_oci_store_t *
ngx_http_oci_find_store(ngx_conf_t *cf, ngx_str_t *name)
{
    ngx_uint_t                  i;
    ngx_http_oci_store_t      **stores;
    ngx_http_oci_main_conf_t   *omcf;

    omcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_oci_module);
    stores = omcf->stores.elts;

    for (i = 0; i < omcf->stores.nelts; i++) {
        if (stores[i]->name.len == name->len
            && ngx_strncmp(stores[i]->name.data, name->data, name->len) == 0)
        {
            return stores[i];
        }
    }

    return NULL;
}


/* oci_store PATH zone=NAME:SIZE [max_size=] [min_free=] ... */

static char *
ngx_http_oci_store(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ssize_t                size;
    ngx_str_t             *value, zone;
    ngx_uint_t             i;
    ngx_http_oci_store_t  *st;

    value = cf->args->elts;

    st = ngx_pcalloc(cf->pool, sizeof(ngx_http_oci_store_t));
    if (st == NULL) {
        return NGX_CONF_ERROR;
    }

    st->durable = 1;
    st->root = value[1];

    if (st->root.len > 1 && st->root.data[st->root.len - 1] == '/') {
        st->root.len--;
        st->root.data[st->root.len] = '\0';
    }

    if (ngx_conf_full_name(cf->cycle, &st->root, 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (st->root.len >= OCI_STORE_ROOT_MAX) {
        return "has a too long path";
    }

    ngx_str_null(&zone);
    size = 0;

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_http_oci_store_option(cf, st, &value[i], &zone, &size)
            != NGX_OK)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\"", &value[i]);
            return NGX_CONF_ERROR;
        }
    }

    if (zone.len == 0) {
        return "needs a \"zone=NAME:SIZE\"";
    }

    st->name = zone;

    if (ngx_http_oci_find_store(cf, &zone) != NULL
        || ngx_strcmp(zone.data, "off") == 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "zone name \"%V\" is taken", &zone);
        return NGX_CONF_ERROR;
    }

    return ngx_http_oci_store_add(cf, st, size);
}


static ngx_int_t
ngx_http_oci_store_option(ngx_conf_t *cf, ngx_http_oci_store_t *st,
    ngx_str_t *value, ngx_str_t *zone, ssize_t *size)
{
    u_char     *p;
    ngx_str_t   s;

    if (ngx_strncmp(value->data, "zone=", 5) == 0) {

        p = (u_char *) ngx_strchr(value->data + 5, ':');

        if (p == NULL || p == value->data + 5) {
            return NGX_ERROR;
        }

        zone->len = p - (value->data + 5);
        zone->data = ngx_pnalloc(cf->pool, zone->len + 1);
        if (zone->data == NULL) {
            return NGX_ERROR;
        }

        ngx_cpystrn(zone->data, value->data + 5, zone->len + 1);

        s.data = p + 1;
        s.len = value->data + value->len - s.data;

        *size = ngx_parse_size(&s);

        return (*size < (ssize_t) (8 * ngx_pagesize)) ? NGX_ERROR : NGX_OK;
    }

    if (ngx_strncmp(value->data, "max_size=", 9) == 0) {

        s.data = value->data + 9;
        s.len = value->len - 9;

        st->max_size = ngx_parse_offset(&s);

        return (st->max_size < 0) ? NGX_ERROR : NGX_OK;
    }

    if (ngx_strncmp(value->data, "min_free=", 9) == 0) {

        s.data = value->data + 9;
        s.len = value->len - 9;

        st->min_free = ngx_parse_offset(&s);

        return (st->min_free < 0) ? NGX_ERROR : NGX_OK;
    }

    if (ngx_strncmp(value->data, "inactive=", 9) == 0) {

        s.data = value->data + 9;
        s.len = value->len - 9;

        st->inactive = ngx_parse_time(&s, 1);

        return (st->inactive == (time_t) NGX_ERROR) ? NGX_ERROR : NGX_OK;
    }

    if (ngx_strcmp(value->data, "durable=on") == 0) {
        st->durable = 1;
        return NGX_OK;
    }

    if (ngx_strcmp(value->data, "durable=off") == 0) {
        st->durable = 0;
        return NGX_OK;
    }

    return NGX_ERROR;
}


static char *
ngx_http_oci_store_add(ngx_conf_t *cf, ngx_http_oci_store_t *st, ssize_t size)
{
    ngx_path_t                 *path;
    ngx_http_oci_store_t      **ref;
    ngx_http_oci_main_conf_t   *omcf;

    omcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_oci_module);

    switch (oci_store_check((char *) st->root.data)) {

    case OCI_OK:
    case OCI_NOT_FOUND:
        break;

    case OCI_UNSUPPORTED:
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" is a store of another format", &st->root);
        return NGX_CONF_ERROR;

    default:
        ngx_conf_log_error(NGX_LOG_EMERG, cf, oci_failure()->err,
                           "%s \"%s\" failed", oci_failure()->op,
                           oci_failure()->path);
        return NGX_CONF_ERROR;
    }

    if (ngx_array_init(&st->gc, cf->pool, 2, sizeof(ngx_http_oci_gc_t))
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    /* nginx makes the folder, gives it to the workers, calls the manager */

    path = ngx_pcalloc(cf->pool, sizeof(ngx_path_t));
    if (path == NULL) {
        return NGX_CONF_ERROR;
    }

    path->name = st->root;
    path->manager = ngx_http_oci_manager;
    path->data = st;
    path->conf_file = cf->conf_file->file.name.data;
    path->line = cf->conf_file->line;

    st->path = path;

    if (ngx_add_path(cf, &st->path) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    st->zone = ngx_shared_memory_add(cf, &st->name, size,
                                     &ngx_http_oci_module);
    if (st->zone == NULL) {
        return NGX_CONF_ERROR;
    }

    st->zone->init = ngx_http_oci_init_zone;
    st->zone->data = st;

    ref = ngx_array_push(&omcf->stores);
    if (ref == NULL) {
        return NGX_CONF_ERROR;
    }

    *ref = st;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_oci_init_zone(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_oci_store_t  *old = data;

    ngx_http_oci_store_t  *st;

    st = shm_zone->data;

    if (old == NULL) {
        return NGX_OK;
    }

    if (old->root.len != st->root.len
        || ngx_strncmp(old->root.data, st->root.data, st->root.len) != 0)
    {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                      "zone \"%V\" belongs to the store \"%V\", "
                      "it can't become that of \"%V\" by a reload",
                      &shm_zone->shm.name, &old->root, &st->root);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static char *
ngx_http_oci(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_oci_loc_conf_t  *olcf = conf;

    ngx_str_t  *value;

    if (olcf->name.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    olcf->name = value[1];

    return NGX_CONF_OK;
}


static char *
ngx_http_oci_namespace(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_oci_loc_conf_t  *olcf = conf;

    ngx_str_t                         *value, *allow;
    ngx_uint_t                         i;
    ngx_http_compile_complex_value_t   ccv;

    if (olcf->ns != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    olcf->ns = ngx_pcalloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (olcf->ns == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = &value[1];
    ccv.complex_value = olcf->ns;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    olcf->ns_allow = NULL;

    if (olcf->ns->lengths == NULL) {

        if (cf->args->nelts != 2) {
            return "has an \"allow\" without a variable";
        }

        if (value[1].len
            && !oci_namespace_valid(value[1].data, value[1].len))
        {
            return "is no namespace";
        }

        return NGX_CONF_OK;
    }

    olcf->ns_allow = ngx_array_create(cf->pool, 4, sizeof(ngx_str_t));
    if (olcf->ns_allow == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "allow=", 6) != 0) {
            return "has an unknown parameter";
        }

        allow = ngx_array_push(olcf->ns_allow);
        if (allow == NULL) {
            return NGX_CONF_ERROR;
        }

        allow->data = value[i].data + 6;
        allow->len = value[i].len - 6;

        /* an empty one stands for requests that name no namespace */

        if (allow->len && !oci_namespace_valid(allow->data, allow->len)) {
            return "allows what is no namespace";
        }
    }

    if (olcf->ns_allow->nelts == 0) {
        return "with a variable needs an \"allow=\" for each of its values";
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_oci_thread_pool(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_oci_loc_conf_t  *olcf = conf;

    ngx_str_t  *value;

    if (olcf->write_pool != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    olcf->write_pool = ngx_thread_pool_add(cf, &value[1]);

    return olcf->write_pool ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static char *
ngx_http_oci_public_url_set(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_oci_loc_conf_t  *olcf = conf;

    ngx_str_t  *value;

    if (olcf->public_url.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strncasecmp(value[1].data, (u_char *) "http://", 7) != 0
        && ngx_strncasecmp(value[1].data, (u_char *) "https://", 8) != 0)
    {
        return "must begin with \"http://\" or \"https://\"";
    }

    olcf->public_url = value[1];

    while (olcf->public_url.data[olcf->public_url.len - 1] == '/') {
        olcf->public_url.len--;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_oci_gc(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_oci_loc_conf_t  *olcf = conf;

    int64_t                n;
    ngx_str_t             *value, s;
    ngx_uint_t             i;
    oci_collect_policy_t  *policy;

    if (olcf->gc != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    policy = ngx_pcalloc(cf->pool, sizeof(oci_collect_policy_t));
    if (policy == NULL) {
        return NGX_CONF_ERROR;
    }

    policy->grace = 24 * 60 * 60;
    policy->untagged = -1;

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        s.data = (u_char *) ngx_strchr(value[i].data, '=');

        if (s.data == NULL) {
            goto invalid;
        }

        s.data++;
        s.len = value[i].data + value[i].len - s.data;

        if (ngx_strncmp(value[i].data, "grace=", 6) == 0) {
            n = ngx_parse_time(&s, 1);
            policy->grace = n;

        } else if (ngx_strncmp(value[i].data, "untagged=", 9) == 0) {

            if (ngx_strcmp(s.data, "keep") == 0) {
                continue;
            }

            n = ngx_parse_time(&s, 1);
            policy->untagged = n;

        } else if (ngx_strncmp(value[i].data, "keep_tags=", 10) == 0) {
            n = ngx_atoi(s.data, s.len);
            policy->keep_tags = n;

        } else {
            goto invalid;
        }

        if (n < 0) {
            goto invalid;
        }
    }

    olcf->gc = policy;

    return NGX_CONF_OK;

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid parameter \"%V\"",
                       &value[i]);

    return NGX_CONF_ERROR;
}


static ngx_int_t
ngx_http_oci_init_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                  i;
    ngx_http_oci_store_t      **stores;
    ngx_http_oci_main_conf_t   *omcf;

    omcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_oci_module);

    if (omcf == NULL) {
        return NGX_OK;
    }

    stores = omcf->stores.elts;

    for (i = 0; i < omcf->stores.nelts; i++) {
        ngx_http_oci_open_store(stores[i], cycle->log);
    }

    return NGX_OK;
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
    ngx_http_oci_store_t      **stores;
    ngx_http_oci_main_conf_t   *omcf;

    omcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_oci_module);

    if (omcf == NULL) {
        return;
    }

    stores = omcf->stores.elts;

    for (i = 0; i < omcf->stores.nelts; i++) {
        if (stores[i]->ready) {
            oci_store_close(&stores[i]->store);
        }
    }
}
