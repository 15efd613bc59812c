
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * What the directives with a syntax of their own mean, and what a location
 * becomes by them.
 */


#include "ngx_http_oci_conf.h"


#define NGX_HTTP_OCI_DEFAULT_MAX_BODY  (1024 * 1024)
#define NGX_HTTP_OCI_BODY_BUFFER       (128 * 1024)


static ngx_int_t ngx_http_oci_conf_store_option(ngx_conf_t *cf,
    ngx_http_oci_store_t *st, ngx_str_t *value, ngx_str_t *zone,
    ssize_t *size);
static char *ngx_http_oci_conf_store_add(ngx_conf_t *cf,
    ngx_http_oci_store_t *st, ssize_t size);
static ngx_int_t ngx_http_oci_conf_init_zone(ngx_shm_zone_t *shm_zone,
    void *data);
static char *ngx_http_oci_conf_add_gc(ngx_conf_t *cf,
    ngx_http_oci_loc_conf_t *conf, ngx_str_t *ns);


/* oci_store PATH zone=NAME:SIZE [max_size=] [min_free=] ... */

char *
ngx_http_oci_conf_store(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
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

        if (ngx_http_oci_conf_store_option(cf, st, &value[i], &zone, &size)
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

    if (ngx_http_oci_conf_find_store(cf, &zone) != NULL
        || ngx_strcmp(zone.data, "off") == 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "zone name \"%V\" is taken", &zone);
        return NGX_CONF_ERROR;
    }

    return ngx_http_oci_conf_store_add(cf, st, size);
}


static ngx_int_t
ngx_http_oci_conf_store_option(ngx_conf_t *cf, ngx_http_oci_store_t *st,
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

        return (*size < NGX_HTTP_OCI_ZONE_MIN) ? NGX_ERROR : NGX_OK;
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
ngx_http_oci_conf_store_add(ngx_conf_t *cf, ngx_http_oci_store_t *st,
    ssize_t size)
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
                           "\"%V\" is not a store, or one of another format",
                           &st->root);
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

    st->zone->init = ngx_http_oci_conf_init_zone;
    st->zone->data = st;

    ref = ngx_array_push(&omcf->stores);
    if (ref == NULL) {
        return NGX_CONF_ERROR;
    }

    *ref = st;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_oci_conf_init_zone(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_oci_store_t  *old = data;

    ngx_http_oci_store_t  *st;

    st = shm_zone->data;

    if (old == NULL) {
        return ngx_http_oci_zone_init(&st->cache, shm_zone, NULL);
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

    return ngx_http_oci_zone_init(&st->cache, shm_zone, &old->cache);
}


ngx_http_oci_store_t *
ngx_http_oci_conf_find_store(ngx_conf_t *cf, ngx_str_t *name)
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


char *
ngx_http_oci_conf_oci(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
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


char *
ngx_http_oci_conf_namespace(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
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


char *
ngx_http_oci_conf_thread_pool(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
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


char *
ngx_http_oci_conf_public_url(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
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


char *
ngx_http_oci_conf_gc(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
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


/*
 * What stands in such a location is the view's; a location within is not,
 * unless it is an "if" or "limit_except".
 */

void
ngx_http_oci_conf_merge_view(ngx_conf_t *cf, ngx_http_oci_loc_conf_t *prev,
    ngx_http_oci_loc_conf_t *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    if (prev->view == NULL || conf->name.data != NULL) {
        return;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->noname) {
        conf->view = prev->view;
        conf->view_conf = prev->view_conf;
        return;
    }

    ngx_str_set(&conf->name, "off");
}


char *
ngx_http_oci_conf_merge_handler(ngx_conf_t *cf, ngx_http_oci_loc_conf_t *conf,
    ngx_uint_t own)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (conf->view) {

        /* nginx looks for the handler in a "limit_except" alone */

        if (own || clcf->lmt_excpt) {
            clcf->handler = conf->view->handler;
        }

        return NGX_CONF_OK;
    }

    if (clcf->handler != NULL && clcf->handler != ngx_http_oci_handler) {

        if (own) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"oci %V\" stands in location \"%V\" beside "
                               "another directive that handles its requests",
                               &conf->name, &clcf->name);
            return NGX_CONF_ERROR;
        }

        return NGX_CONF_OK;
    }

    /* an "if" keeps the handler of the location around it */

    if (clcf->noname && !clcf->lmt_excpt) {
        return NGX_CONF_OK;
    }

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

    clcf->handler = ngx_http_oci_handler;

    if (own && clcf->name.len && clcf->name.data[clcf->name.len - 1] == '/') {
        clcf->auto_redirect = 1;
    }

    return NGX_CONF_OK;
}


/* the store keeps the policy of each namespace for the manager */

char *
ngx_http_oci_conf_merge_gc(ngx_conf_t *cf, ngx_http_oci_loc_conf_t *conf)
{
    ngx_str_t   *allow, none;
    ngx_uint_t   i;

    if (conf->upload_timeout > conf->store->upload_timeout) {
        conf->store->upload_timeout = conf->upload_timeout;
    }

    conf->store->manifest_max_size = ngx_max(conf->store->manifest_max_size,
                                             conf->manifest_max_size);

    if (conf->gc == NULL) {
        return NGX_CONF_OK;
    }

    if (conf->ns == NULL) {
        ngx_str_null(&none);
        return ngx_http_oci_conf_add_gc(cf, conf, &none);
    }

    if (conf->ns->lengths == NULL) {
        return ngx_http_oci_conf_add_gc(cf, conf, &conf->ns->value);
    }

    allow = conf->ns_allow ? conf->ns_allow->elts : NULL;

    for (i = 0; allow && i < conf->ns_allow->nelts; i++) {
        if (ngx_http_oci_conf_add_gc(cf, conf, &allow[i]) != NGX_CONF_OK) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_oci_conf_add_gc(ngx_conf_t *cf, ngx_http_oci_loc_conf_t *conf,
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


char *
ngx_http_oci_conf_add_edge(ngx_conf_t *cf, ngx_http_oci_loc_conf_t *conf)
{
    ngx_http_oci_loc_conf_t   **ref;
    ngx_http_oci_main_conf_t   *omcf;

    if (conf->edge == NULL) {
        return NGX_CONF_OK;
    }

    omcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_oci_module);

    ref = ngx_array_push(&omcf->edges);
    if (ref == NULL) {
        return NGX_CONF_ERROR;
    }

    *ref = conf;

    return NGX_CONF_OK;
}
