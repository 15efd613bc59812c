
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Credentials of a Docker config.json, and what a token service answers.
 */


#ifndef _OCI_CREDENTIALS_H_INCLUDED_
#define _OCI_CREDENTIALS_H_INCLUDED_


#include "oci_core.h"


typedef struct {
    oci_str_t    host;          /* with a port where one was written */
    oci_str_t    path;          /* "org/repo" of a key with a path, or empty */
    oci_str_t    basic;         /* base64 of "user:password", or empty */
    oci_str_t    user;
    oci_str_t    identity;      /* a refresh token, or empty */
    oci_str_t    token;         /* a Bearer token to be sent as it is */
} oci_credential_t;


typedef struct oci_credentials_s  oci_credentials_t;


/* the answer of a token service */

typedef struct {
    oci_str_t    token;         /* in buf, no NUL */
    int64_t      expires_in;    /* seconds, 60 where none are told */
} oci_grant_t;


/*
 * Parses the text of a config.json.  OCI_OK; OCI_INVALID with *reason, a
 * static text; OCI_ERROR: no memory.  Helpers ("credHelpers", "credsStore")
 * are not run: *helpers is set where they are named.
 */
int oci_credentials_parse(oci_credentials_t **creds, const u_char *data,
    size_t len, int *helpers, const char **reason);

/* wipes and frees */
void oci_credentials_free(oci_credentials_t *creds);

/*
 * The entry for a registry: host in lower case, without brackets; default_port
 * is 1 where port is that of the scheme.  Of several entries the one with the
 * longest path that repository lies below.  The names of Docker Hub are one.
 * NULL: none.
 */
const oci_credential_t *oci_credentials_find(const oci_credentials_t *creds,
    const oci_str_t *host, unsigned port, int default_port,
    const oci_str_t *repository);

/* 1 for a host that is Docker Hub by one of its names */
int oci_docker_hub(const oci_str_t *host);

/*
 * The token of a token service's answer, copied into buf.  OCI_OK;
 * OCI_INVALID: no JSON, no token, or one that does not fit a header or buf.
 */
int oci_grant_parse(oci_grant_t *grant, const u_char *data, size_t len,
    u_char *buf, size_t size);


#endif /* _OCI_CREDENTIALS_H_INCLUDED_ */
