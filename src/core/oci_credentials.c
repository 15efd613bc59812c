
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "oci_credentials.h"

#include "oci_json.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <stdlib.h>


#define OCI_CREDENTIALS_DEPTH    16
#define OCI_CREDENTIALS_MAX      4096
#define OCI_CREDENTIAL_LEN_MAX   (16 * 1024)
#define OCI_GRANT_DEPTH          8
#define OCI_GRANT_SECONDS        60


struct oci_credentials_s {
    size_t             n;
    oci_credential_t  *list;
};


static int oci_credential_entry(oci_credential_t *c, const char *key,
    json_t *json, const char **reason);
static int oci_credential_key(oci_credential_t *c, const char *key);
static int oci_credential_basic(oci_credential_t *c, json_t *json,
    const char **reason);
static int oci_credential_decode(oci_credential_t *c, const oci_str_t *auth);
static int oci_credential_encode(oci_credential_t *c, const oci_str_t *user,
    const oci_str_t *password);
static int oci_credential_dup(oci_str_t *dst, const oci_str_t *src);
static void oci_credential_wipe(oci_str_t *s);
static int oci_credential_host(const oci_credential_t *c,
    const oci_str_t *host, unsigned port, int default_port);
static int oci_credential_text(const oci_str_t *s);


int
oci_credentials_parse(oci_credentials_t **creds, const u_char *data,
    size_t len, int *helpers, const char **reason)
{
    int                 rc;
    void               *iter;
    json_t             *root, *auths;
    oci_credentials_t  *cr;

    rc = oci_json_load(&root, data, len, OCI_CREDENTIALS_DEPTH, reason);

    if (rc != OCI_OK) {
        return rc;
    }

    *helpers = (oci_json_get(root, "credsStore") != NULL
                || oci_json_get(root, "credHelpers") != NULL);

    cr = calloc(1, sizeof(oci_credentials_t));

    if (cr == NULL) {
        json_decref(root);
        return OCI_ERROR;
    }

    auths = oci_json_get(root, "auths");

    if (!json_is_object(root) || (auths && !json_is_object(auths))
        || (auths && json_object_size(auths) > OCI_CREDENTIALS_MAX))
    {
        *reason = "no object \"auths\" of entries";
        rc = OCI_INVALID;
        goto done;
    }

    cr->list = calloc(auths ? json_object_size(auths) + 1 : 1,
                      sizeof(oci_credential_t));

    if (cr->list == NULL) {
        rc = OCI_ERROR;
        goto done;
    }

    for (iter = json_object_iter(auths);
         iter != NULL;
         iter = json_object_iter_next(auths, iter))
    {
        rc = oci_credential_entry(&cr->list[cr->n++],
                                  json_object_iter_key(iter),
                                  json_object_iter_value(iter), reason);

        if (rc != OCI_OK) {
            goto done;
        }
    }

done:

    json_decref(root);

    if (rc != OCI_OK) {
        oci_credentials_free(cr);
        return rc;
    }

    *creds = cr;

    return OCI_OK;
}


static int
oci_credential_entry(oci_credential_t *c, const char *key, json_t *json,
    const char **reason)
{
    int        rc;
    oci_str_t  text;

    if (!json_is_object(json)) {
        *reason = "an entry of \"auths\" is no object";
        return OCI_INVALID;
    }

    rc = oci_credential_key(c, key);

    if (rc != OCI_OK) {
        *reason = "a key of \"auths\" names no host";
        return rc;
    }

    if (oci_json_str(oci_json_get(json, "identitytoken"), &text)
        && text.len)
    {
        rc = oci_credential_dup(&c->identity, &text);
    }

    if (rc == OCI_OK
        && oci_json_str(oci_json_get(json, "registrytoken"), &text)
        && text.len)
    {
        if (!oci_credential_text(&text)) {
            *reason = "a \"registrytoken\" does not fit a header";
            return OCI_INVALID;
        }

        rc = oci_credential_dup(&c->token, &text);
    }

    if (rc != OCI_OK) {
        *reason = "a token is too long";
        return rc;
    }

    return oci_credential_basic(c, json, reason);
}


/*
 * "https://index.docker.io/v1/", "ghcr.io", "harbor.example.com:8443",
 * "quay.io/org/repo"
 */

static int
oci_credential_key(oci_credential_t *c, const char *key)
{
    size_t       i;
    oci_str_t    host, path;
    const char  *slash;

    if (strncasecmp(key, "https://", 8) == 0) {
        key += 8;

    } else if (strncasecmp(key, "http://", 7) == 0) {
        key += 7;
    }

    slash = strchr(key, '/');

    host.data = (u_char *) key;
    host.len = slash ? (size_t) (slash - key) : strlen(key);

    path.data = (u_char *) (slash ? slash + 1 : "");
    path.len = strlen((char *) path.data);

    while (path.len && path.data[path.len - 1] == '/') {
        path.len--;
    }

    /* what old clients wrote behind a host is no repository */

    if ((path.len == 2 || strncmp((char *) path.data, "v1/", 3) == 0
         || strncmp((char *) path.data, "v2/", 3) == 0)
        && path.data[0] == 'v'
        && (path.data[1] == '1' || path.data[1] == '2'))
    {
        path.len = 0;
    }

    if (host.len == 0 || host.len > 255) {
        return OCI_INVALID;
    }

    if (oci_credential_dup(&c->host, &host) != OCI_OK
        || oci_credential_dup(&c->path, &path) != OCI_OK)
    {
        return OCI_ERROR;
    }

    for (i = 0; i < c->host.len; i++) {
        if (c->host.data[i] >= 'A' && c->host.data[i] <= 'Z') {
            c->host.data[i] |= 0x20;
        }
    }

    return OCI_OK;
}


static int
oci_credential_basic(oci_credential_t *c, json_t *json, const char **reason)
{
    int        rc;
    oci_str_t  user, password, auth;

    *reason = "an \"auth\" is no base64 of \"user:password\"";

    if (oci_json_str(oci_json_get(json, "auth"), &auth) && auth.len) {
        return oci_credential_decode(c, &auth);
    }

    if (!oci_json_str(oci_json_get(json, "username"), &user) || !user.len) {
        return OCI_OK;
    }

    if (!oci_json_str(oci_json_get(json, "password"), &password)) {
        password.len = 0;
    }

    if (memchr(user.data, ':', user.len) != NULL
        || user.len + password.len > OCI_CREDENTIAL_LEN_MAX)
    {
        return OCI_INVALID;
    }

    rc = oci_credential_dup(&c->user, &user);

    return rc == OCI_OK ? oci_credential_encode(c, &user, &password) : rc;
}


static int
oci_credential_decode(oci_credential_t *c, const oci_str_t *auth)
{
    int        n, rc;
    size_t     len;
    u_char    *buf, *colon;
    oci_str_t  user, password;

    len = auth->len;

    if (len > OCI_CREDENTIAL_LEN_MAX || len % 4 != 0) {
        return OCI_INVALID;
    }

    buf = malloc(len + 1);

    if (buf == NULL) {
        return OCI_ERROR;
    }

    n = EVP_DecodeBlock(buf, auth->data, (int) len);

    /* it counts the padding */

    while (n > 0 && len > 0 && auth->data[len - 1] == '=') {
        len--;
        n--;
    }

    rc = OCI_INVALID;
    colon = (n > 0) ? memchr(buf, ':', (size_t) n) : NULL;

    if (colon != NULL && auth->len - len <= 2) {

        user.data = buf;
        user.len = (size_t) (colon - buf);

        /* some write a NUL behind the password */

        while (n > 0 && buf[n - 1] == '\0') {
            n--;
        }

        password.data = colon + 1;
        password.len = (size_t) (buf + n - colon - 1);

        rc = oci_credential_dup(&c->user, &user);

        /* "<token>" and an identity token: nothing for Basic */

        if (rc == OCI_OK && (password.len || c->identity.len == 0)) {
            rc = oci_credential_encode(c, &user, &password);
        }
    }

    OPENSSL_cleanse(buf, auth->len + 1);
    free(buf);

    return rc;
}


static int
oci_credential_encode(oci_credential_t *c, const oci_str_t *user,
    const oci_str_t *password)
{
    size_t   len;
    u_char  *buf;

    len = user->len + 1 + password->len;
    buf = malloc(len);

    if (buf == NULL) {
        return OCI_ERROR;
    }

    memcpy(buf, user->data, user->len);
    buf[user->len] = ':';

    if (password->len) {
        memcpy(buf + user->len + 1, password->data, password->len);
    }

    c->basic.data = malloc((len + 2) / 3 * 4 + 1);

    if (c->basic.data != NULL) {
        c->basic.len = (size_t) EVP_EncodeBlock(c->basic.data, buf,
                                                (int) len);
    }

    OPENSSL_cleanse(buf, len);
    free(buf);

    return c->basic.data ? OCI_OK : OCI_ERROR;
}


static int
oci_credential_dup(oci_str_t *dst, const oci_str_t *src)
{
    if (src->len > OCI_CREDENTIAL_LEN_MAX) {
        return OCI_INVALID;
    }

    dst->data = malloc(src->len + 1);

    if (dst->data == NULL) {
        return OCI_ERROR;
    }

    memcpy(dst->data, src->data, src->len);
    dst->data[src->len] = '\0';
    dst->len = src->len;

    return OCI_OK;
}


void
oci_credentials_free(oci_credentials_t *creds)
{
    size_t  i;

    if (creds == NULL) {
        return;
    }

    for (i = 0; i < creds->n; i++) {
        oci_credential_wipe(&creds->list[i].host);
        oci_credential_wipe(&creds->list[i].path);
        oci_credential_wipe(&creds->list[i].basic);
        oci_credential_wipe(&creds->list[i].user);
        oci_credential_wipe(&creds->list[i].identity);
        oci_credential_wipe(&creds->list[i].token);
    }

    free(creds->list);
    free(creds);
}


static void
oci_credential_wipe(oci_str_t *s)
{
    if (s->data != NULL) {
        OPENSSL_cleanse(s->data, s->len);
        free(s->data);
    }
}


const oci_credential_t *
oci_credentials_find(const oci_credentials_t *creds, const oci_str_t *host,
    unsigned port, int default_port, const oci_str_t *repository)
{
    size_t                   i;
    const oci_credential_t  *c, *best;

    best = NULL;

    for (i = 0; i < creds->n; i++) {

        c = &creds->list[i];

        if (!oci_credential_host(c, host, port, default_port)) {
            continue;
        }

        if (c->path.len
            && (repository->len < c->path.len
                || memcmp(repository->data, c->path.data, c->path.len) != 0
                || (repository->len > c->path.len
                    && repository->data[c->path.len] != '/')))
        {
            continue;
        }

        if (best == NULL || c->path.len > best->path.len) {
            best = c;
        }
    }

    return best;
}


static int
oci_credential_host(const oci_credential_t *c, const oci_str_t *host,
    unsigned port, int default_port)
{
    size_t     len;
    unsigned   n;
    u_char    *p, *last, *end;
    oci_str_t  name;

    /* the port of "host:port", "[v6]:port" */

    last = c->host.data + c->host.len;

    for (p = last; p > c->host.data && p[-1] >= '0' && p[-1] <= '9'; p--) {
        /* void */
    }

    end = last;
    n = 0;

    if (p < last && last - p <= 5 && p > c->host.data && p[-1] == ':'
        && (p - 1 == memchr(c->host.data, ':', c->host.len)
            || p[-2] == ']'))
    {
        end = p - 1;

        for ( /* void */ ; p < last; p++) {
            n = n * 10 + (unsigned) (*p - '0');
        }
    }

    name.data = c->host.data;
    name.len = (size_t) (end - c->host.data);

    if (name.len > 2 && name.data[0] == '['
        && name.data[name.len - 1] == ']')
    {
        name.data++;
        name.len -= 2;
    }

    if (n ? n != port : !default_port) {
        return 0;
    }

    if (oci_docker_hub(&name) && oci_docker_hub(host)) {
        return 1;
    }

    len = name.len;

    return len == host->len && memcmp(name.data, host->data, len) == 0;
}


int
oci_docker_hub(const oci_str_t *host)
{
    return oci_str_eq(host, "docker.io")
           || oci_str_eq(host, "index.docker.io")
           || oci_str_eq(host, "registry-1.docker.io")
           || oci_str_eq(host, "registry.hub.docker.com");
}


int
oci_grant_parse(oci_grant_t *grant, const u_char *data, size_t len,
    u_char *buf, size_t size)
{
    int          rc;
    json_t      *root, *json;
    oci_str_t    token;
    const char  *reason;

    rc = oci_json_load(&root, data, len, OCI_GRANT_DEPTH, &reason);

    if (rc != OCI_OK) {
        return rc;
    }

    rc = OCI_INVALID;

    if (!json_is_object(root)) {
        goto done;
    }

    if ((!oci_json_str(oci_json_get(root, "token"), &token) || !token.len)
        && !oci_json_str(oci_json_get(root, "access_token"), &token))
    {
        goto done;
    }

    if (token.len == 0 || token.len > size || !oci_credential_text(&token)) {
        goto done;
    }

    memcpy(buf, token.data, token.len);

    grant->token.data = buf;
    grant->token.len = token.len;
    grant->expires_in = OCI_GRANT_SECONDS;

    json = oci_json_get(root, "expires_in");

    if (json_is_integer(json) && json_integer_value(json) > 0) {
        grant->expires_in = json_integer_value(json);
    }

    rc = OCI_OK;

done:

    json_decref(root);

    return rc;
}


/* what may stand in a header behind "Bearer " */

static int
oci_credential_text(const oci_str_t *s)
{
    size_t  i;

    for (i = 0; i < s->len; i++) {
        if (s->data[i] <= ' ' || s->data[i] >= 0x7f) {
            return 0;
        }
    }

    return 1;
}
