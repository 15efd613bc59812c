
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * URLs of http and https, and where a Location leads.
 */


#ifndef _OCI_URL_H_INCLUDED_
#define _OCI_URL_H_INCLUDED_


#include "oci_core.h"


#define OCI_URL_MAX  8192


/* a view, but for host, which is turned to lower case in place */

typedef struct {
    oci_str_t    host;          /* no brackets */
    oci_str_t    user;          /* "user:password", or empty */
    oci_str_t    path;          /* with its query; empty or from "/" or "?" */
    unsigned     port;
    unsigned     ssl:1;
    unsigned     default_port:1;
    unsigned     v6:1;          /* host is an IPv6 address */
} oci_url_t;


/*
 * Parses "http[s]://[user@]host[:port][/path][?query]"; a fragment is left
 * out.  OCI_OK or OCI_INVALID, also for spaces and control characters.
 */
int oci_url_parse(oci_url_t *url, u_char *text, size_t len);

/*
 * Resolves a reference against the URL it came with, into buf: the whole URL
 * without user and fragment, *len long.  OCI_OK or OCI_INVALID: no URL of
 * http or https, or longer than size.
 */
int oci_url_resolve(const oci_url_t *base, const oci_str_t *ref, u_char *buf,
    size_t size, size_t *len);

/* 1 if scheme, host and port are the same */
int oci_url_same_origin(const oci_url_t *a, const oci_url_t *b);

/*
 * 1 if credentials for the host a may go to the host b over https: the same
 * name, or both below one parent domain of at least two labels (three where
 * the second is one that registries of countries use, as in "co.uk").
 */
int oci_url_host_related(const oci_str_t *a, const oci_str_t *b);

/* 1 for an IPv4 or IPv6 address */
int oci_url_host_literal(const oci_str_t *host);


#endif /* _OCI_URL_H_INCLUDED_ */
