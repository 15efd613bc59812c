
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Names of upstreams when a configuration is read: who will resolve them,
 * and what they are now.
 */


#include "ngx_http_oci_edge_conf.h"

#include "ngx_http_oci_peer.h"
#include "ngx_http_oci_target.h"

#include <stdio.h>


#define NGX_HTTP_OCI_EDGE_RESOLV   "/etc/resolv.conf"
#define NGX_HTTP_OCI_EDGE_HOSTS    "/etc/hosts"
#define NGX_HTTP_OCI_EDGE_SERVERS  3
#define NGX_HTTP_OCI_EDGE_TIMEOUT  5000


static ngx_uint_t ngx_http_oci_edge_names_system(ngx_conf_t *cf,
    ngx_str_t *names);
static ngx_uint_t ngx_http_oci_edge_names_hosts(ngx_str_t *host);


char *
ngx_http_oci_edge_conf_resolver(ngx_conf_t *cf,
    ngx_http_oci_edge_conf_t *conf)
{
    ngx_uint_t                 n;
    ngx_str_t                  names[NGX_HTTP_OCI_EDGE_SERVERS];
    ngx_http_core_loc_conf_t  *clcf;
    ngx_http_oci_main_conf_t  *omcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    /* nginx puts an empty one where none is configured */

    if (clcf->resolver && clcf->resolver->connections.nelts) {
        conf->resolver = clcf->resolver;
        conf->resolver_timeout = clcf->resolver_timeout;
        return NGX_CONF_OK;
    }

    omcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_oci_module);

    if (omcf->resolver == NULL) {

        n = ngx_http_oci_edge_names_system(cf, names);

        if (n) {
            omcf->resolver = ngx_resolver_create(cf, names, n);
            if (omcf->resolver == NULL) {
                return NGX_CONF_ERROR;
            }
        }
    }

    conf->resolver = omcf->resolver;
    conf->resolver_timeout = NGX_HTTP_OCI_EDGE_TIMEOUT;

    return NGX_CONF_OK;
}


/* the servers that the system asks */

static ngx_uint_t
ngx_http_oci_edge_names_system(ngx_conf_t *cf, ngx_str_t *names)
{
    FILE           *file;
    char            line[1024], addr[64];
    u_char         *p;
    ngx_uint_t      n;
    ngx_sockaddr_t  sockaddr;

    file = fopen(NGX_HTTP_OCI_EDGE_RESOLV, "r");
    if (file == NULL) {
        return 0;
    }

    n = 0;

    while (n < NGX_HTTP_OCI_EDGE_SERVERS
           && fgets(line, sizeof(line), file) != NULL)
    {
        if (sscanf(line, "nameserver %63s", addr) != 1) {
            continue;
        }

        p = ngx_pnalloc(cf->pool, sizeof(addr) + 2);
        if (p == NULL) {
            break;
        }

        names[n].data = p;

        if (inet_pton(AF_INET, addr, &sockaddr) == 1) {
            names[n].len = ngx_sprintf(p, "%s", addr) - p;
            n++;

#if (NGX_HAVE_INET6)

        } else if (inet_pton(AF_INET6, addr, &sockaddr) == 1) {
            names[n].len = ngx_sprintf(p, "[%s]", addr) - p;
            n++;

#endif

        }
    }

    (void) fclose(file);

    return n;
}


/*
 * Addresses of the start: those of the hosts file are used as long as nginx
 * runs, others where the resolver does not know the name later.
 */

char *
ngx_http_oci_edge_conf_resolve(ngx_conf_t *cf, ngx_http_oci_edge_conf_t *conf)
{
    ngx_url_t  u;
    ngx_str_t  host;
    in_port_t  port;

    if (conf->proxy) {

        if (conf->proxy->addrs) {
            conf->hosts_file = conf->proxy->hosts_file;
            return NGX_CONF_OK;
        }

        host = conf->proxy->host;
        port = conf->proxy->port;

    } else if (conf->target && conf->target->group == NULL) {
        host = conf->target->host;
        port = conf->target->port;

    } else {
        return NGX_CONF_OK;
    }

    ngx_memzero(&u, sizeof(ngx_url_t));

    u.url.data = ngx_pnalloc(cf->pool, host.len + sizeof("[]"));
    if (u.url.data == NULL) {
        return NGX_CONF_ERROR;
    }

    u.url.len = ngx_sprintf(u.url.data,
                            ngx_strlchr(host.data, host.data + host.len, ':')
                                ? "[%V]%Z" : "%V%Z", &host)
                - u.url.data - 1;
    u.default_port = port;

    if (ngx_parse_url(cf->pool, &u) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "\"%V\" has no address now (%s), "
                           "it is looked for when it is needed", &host,
                           u.err ? u.err : "no memory");
        return NGX_CONF_OK;
    }

    conf->hosts_file = ngx_http_oci_edge_names_hosts(&host);

    if (conf->proxy) {
        conf->proxy->addrs = u.addrs;
        conf->proxy->naddrs = u.naddrs;
        conf->proxy->hosts_file = conf->hosts_file;

    } else {
        conf->target->addrs = u.addrs;
        conf->target->naddrs = u.naddrs;
    }

    return NGX_CONF_OK;
}


/* 1 if the file of hosts names it */

static ngx_uint_t
ngx_http_oci_edge_names_hosts(ngx_str_t *host)
{
    char       *word, *rest;
    char        line[4096];
    FILE       *file;
    ngx_uint_t  found;

    file = fopen(NGX_HTTP_OCI_EDGE_HOSTS, "r");
    if (file == NULL) {
        return 0;
    }

    found = 0;

    while (!found && fgets(line, sizeof(line), file) != NULL) {

        line[strcspn(line, "#\n")] = '\0';

        /* the address comes first */

        word = strtok_r(line, " \t", &rest);

        while (word && (word = strtok_r(NULL, " \t", &rest)) != NULL) {

            if (ngx_strlen(word) == host->len
                && ngx_strncasecmp((u_char *) word, host->data, host->len)
                   == 0)
            {
                found = 1;
                break;
            }
        }
    }

    (void) fclose(file);

    return found;
}
