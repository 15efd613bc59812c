
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "ngx_http_oci_auth.h"
#include "ngx_http_oci_token.h"

#include "oci_challenge.h"
#include "oci_url.h"


#define NGX_HTTP_OCI_AUTH_CHALLENGES  2
#define NGX_HTTP_OCI_AUTH_SCOPE_MAX   4096


static const oci_credential_t *ngx_http_oci_auth_credential(
    ngx_http_oci_auth_t *auth);
static ngx_int_t ngx_http_oci_auth_key(ngx_http_oci_auth_t *auth,
    const oci_credential_t *cred, ngx_str_t *key);
static ngx_int_t ngx_http_oci_auth_bearer(ngx_http_oci_auth_t *auth,
    ngx_http_oci_realm_t *realm, const oci_credential_t *cred,
    ngx_str_t *more);
static ngx_int_t ngx_http_oci_auth_basic(ngx_http_oci_auth_t *auth,
    const oci_credential_t *cred);
static ngx_int_t ngx_http_oci_auth_value(ngx_http_oci_auth_t *auth,
    const char *scheme, const oci_str_t *text);
static ngx_uint_t ngx_http_oci_auth_best(ngx_http_oci_auth_t *auth,
    oci_response_t *response, const oci_credential_t *cred,
    oci_challenge_t *best);
static ngx_int_t ngx_http_oci_auth_trust(ngx_http_oci_auth_t *auth,
    ngx_http_oci_realm_t *realm, const oci_credential_t *cred);
static ngx_http_oci_allow_t *ngx_http_oci_auth_allowed(
    ngx_http_oci_edge_conf_t *conf, u_char *host, size_t len,
    in_port_t port);
static ngx_int_t ngx_http_oci_auth_scope(ngx_http_oci_auth_t *auth,
    ngx_str_t *extra, ngx_str_t *more, ngx_str_t *scope);
static u_char *ngx_http_oci_auth_scope_add(u_char *start, u_char *p,
    u_char *end, ngx_str_t *list);
static void ngx_http_oci_auth_split(ngx_http_oci_auth_t *auth,
    oci_str_t *scope, ngx_str_t *extra, ngx_str_t *more);


ngx_int_t
ngx_http_oci_auth_known(ngx_http_oci_auth_t *auth)
{
    ngx_str_t                key, none;
    ngx_http_oci_realm_t    *realm;
    const oci_credential_t  *cred;

    ngx_str_null(&auth->value);
    ngx_str_null(&none);

    auth->secret = 0;

    if (auth->conf->auth == NGX_HTTP_OCI_AUTH_CLIENT) {
        auth->value = auth->client;
        auth->secret = 1;
        return NGX_OK;
    }

    cred = ngx_http_oci_auth_credential(auth);

    if (cred && cred->token.len) {
        return ngx_http_oci_auth_value(auth, "Bearer", &cred->token);
    }

    if (ngx_http_oci_auth_key(auth, cred, &key) != NGX_OK) {
        return NGX_ERROR;
    }

    realm = ngx_http_oci_realm_find(&key);

    if (realm == NULL) {
        return NGX_OK;
    }

    if (realm->scheme == OCI_CHALLENGE_BASIC) {
        return cred ? ngx_http_oci_auth_basic(auth, cred) : NGX_OK;
    }

    switch (ngx_http_oci_auth_bearer(auth, realm, cred, &none)) {

    case NGX_AGAIN:
        return NGX_AGAIN;

    case NGX_ERROR:
        return NGX_ERROR;

    default:

        /* refused a moment ago: the upstream itself may still say yes */

        return NGX_OK;
    }
}


static const oci_credential_t *
ngx_http_oci_auth_credential(ngx_http_oci_auth_t *auth)
{
    oci_str_t               host, repository;
    ngx_http_oci_target_t  *t;

    if (auth->conf->credentials == NULL) {
        return NULL;
    }

    t = auth->target;

    host.data = t->host.data;
    host.len = t->host.len;

    repository.data = t->repository.data;
    repository.len = t->repository.len;

    return oci_credentials_find(auth->conf->credentials, &host, t->port,
                                t->port == (t->ssl ? 443 : 80), &repository);
}


/* what of a location and its upstream decides about a challenge */

static ngx_int_t
ngx_http_oci_auth_key(ngx_http_oci_auth_t *auth, const oci_credential_t *cred,
    ngx_str_t *key)
{
    u_char  *p;

    p = ngx_pnalloc(auth->pool, 4 * NGX_PTR_SIZE * 2 + sizeof("    ")
                                + auth->target->key.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    key->data = p;
    key->len = ngx_sprintf(p, "%p %p %p %V", cred, auth->conf->ssl,
                           auth->conf->proxy, &auth->target->key)
               - p;

    return NGX_OK;
}


static ngx_int_t
ngx_http_oci_auth_basic(ngx_http_oci_auth_t *auth,
    const oci_credential_t *cred)
{
    if (cred->basic.len == 0) {
        return NGX_OK;
    }

    return ngx_http_oci_auth_value(auth, "Basic", &cred->basic);
}


static ngx_int_t
ngx_http_oci_auth_value(ngx_http_oci_auth_t *auth, const char *scheme,
    const oci_str_t *text)
{
    u_char  *p;

    p = ngx_pnalloc(auth->pool, sizeof("Bearer ") - 1 + text->len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    auth->value.data = p;
    auth->value.len = ngx_sprintf(p, "%s %*s", scheme, text->len, text->data)
                      - p;
    auth->secret = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_http_oci_auth_bearer(ngx_http_oci_auth_t *auth,
    ngx_http_oci_realm_t *realm, const oci_credential_t *cred,
    ngx_str_t *more)
{
    u_char                *p;
    ngx_str_t              scope;
    ngx_http_oci_token_t  *t;

    if (ngx_http_oci_auth_scope(auth, &realm->extra, more, &scope)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (auth->fresh && auth->value.len && auth->asked.len == scope.len
        && ngx_memcmp(auth->asked.data, scope.data, scope.len) == 0)
    {
        /* got for this very request, and not enough */

        return NGX_DECLINED;
    }

    ngx_str_null(&auth->value);

    p = ngx_pnalloc(auth->pool, realm->sn.str.len + realm->realm.len
                                + realm->service.len + scope.len
                                + sizeof("\n\n\n"));
    if (p == NULL) {
        return NGX_ERROR;
    }

    auth->key.data = p;
    auth->key.len = ngx_sprintf(p, "%V\n%V\n%V\n%V", &realm->sn.str,
                                &realm->realm, &realm->service, &scope)
                    - p;

    t = ngx_http_oci_token_get(&auth->key, auth->log);
    if (t == NULL) {
        return NGX_ERROR;
    }

    if (t->value.len && t->expires > ngx_time()) {

        auth->value.len = t->value.len;
        auth->value.data = ngx_pstrdup(auth->pool, &t->value);
        auth->secret = t->secret;

        return auth->value.data ? NGX_OK : NGX_ERROR;
    }

    if (!t->fetching) {

        if (t->until > ngx_time()) {
            return t->denied ? NGX_DECLINED : NGX_ERROR;
        }

        if (ngx_http_oci_token_fetch(t, realm, auth, &scope,
                                     realm->trusted ? cred : NULL)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    ngx_queue_insert_tail(&t->waiters, &auth->queue);

    auth->waiting = 1;
    auth->fresh = 1;
    auth->asked = scope;

    return NGX_AGAIN;
}


void
ngx_http_oci_auth_cancel(ngx_http_oci_auth_t *auth)
{
    if (auth->waiting) {
        ngx_queue_remove(&auth->queue);
        auth->waiting = 0;
    }
}


ngx_uint_t
ngx_http_oci_auth_possible(ngx_http_oci_auth_t *auth,
    oci_response_t *response)
{
    oci_challenge_t          c;
    const oci_credential_t  *cred;

    if (auth->conf->auth == NGX_HTTP_OCI_AUTH_CLIENT
        || auth->challenges == NGX_HTTP_OCI_AUTH_CHALLENGES)
    {
        return 0;
    }

    cred = ngx_http_oci_auth_credential(auth);

    if (cred && cred->token.len) {
        return 0;
    }

    return ngx_http_oci_auth_best(auth, response, cred, &c);
}


ngx_int_t
ngx_http_oci_auth_challenge(ngx_http_oci_auth_t *auth,
    oci_response_t *response)
{
    ngx_int_t                rc;
    ngx_str_t                key, extra, more;
    oci_challenge_t          c;
    ngx_http_oci_realm_t    *realm;
    const oci_credential_t  *cred;

    cred = ngx_http_oci_auth_credential(auth);

    if (!ngx_http_oci_auth_best(auth, response, cred, &c)) {
        return NGX_DECLINED;
    }

    auth->challenges++;

    if (auth->key.len && auth->value.len && !auth->fresh) {

        /* withdrawn before its time, it seems */

        ngx_http_oci_token_drop(&auth->key, &auth->value);
    }

    ngx_http_oci_auth_split(auth, &c.scope, &extra, &more);

    if (ngx_http_oci_auth_key(auth, cred, &key) != NGX_OK) {
        return NGX_ERROR;
    }

    realm = ngx_http_oci_realm_set(&key, &c, &extra, auth->log);
    if (realm == NULL) {
        return NGX_ERROR;
    }

    realm->near = auth->near;

    if (c.scheme == OCI_CHALLENGE_BASIC) {

        if (auth->value.len > sizeof("Basic ") - 1
            && ngx_strncmp(auth->value.data, "Basic ", 6) == 0)
        {
            return NGX_DECLINED;
        }

        return ngx_http_oci_auth_basic(auth, cred);
    }

    rc = ngx_http_oci_auth_trust(auth, realm, cred);

    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_http_oci_auth_bearer(auth, realm, cred, &more);
}


/* Bearer before Basic, and Basic only with something to say */

static ngx_uint_t
ngx_http_oci_auth_best(ngx_http_oci_auth_t *auth, oci_response_t *response,
    const oci_credential_t *cred, oci_challenge_t *best)
{
    u_char           *p, *last;
    unsigned          i;
    ngx_str_t         text;
    oci_challenge_t   c;
    const oci_str_t  *v;

    ngx_memzero(best, sizeof(oci_challenge_t));

    for (i = 0; (v = oci_response_header(response, "www-authenticate", i));
         i++)
    {
        text.len = v->len;
        text.data = v->data;

        p = ngx_pstrdup(auth->pool, &text);
        if (p == NULL) {
            return 0;
        }

        last = p + text.len;

        while (oci_challenge_next(&c, &p, last) == OCI_OK) {

            if (c.scheme == OCI_CHALLENGE_BEARER && c.realm.len) {
                *best = c;
                return 1;
            }

            if (c.scheme == OCI_CHALLENGE_BASIC && cred && cred->basic.len) {
                *best = c;
            }
        }
    }

    return best->scheme != OCI_CHALLENGE_OTHER;
}


/*
 * Who may have credentials is decided here: the upstream's own host, one
 * below the same domain where both have TLS, or one that a directive names.
 * A realm that may not is asked without any.
 */

static ngx_int_t
ngx_http_oci_auth_trust(ngx_http_oci_auth_t *auth,
    ngx_http_oci_realm_t *realm, const oci_credential_t *cred)
{
    u_char                 *p;
    oci_str_t               host;
    oci_url_t               url;
    ngx_uint_t              same;
    ngx_http_oci_allow_t   *allow;
    ngx_http_oci_target_t  *t;

    t = auth->target;

    realm->trusted = 0;
    realm->named = 0;

    p = ngx_pstrdup(auth->pool, &realm->realm);
    if (p == NULL) {
        return NGX_ERROR;
    }

    if (oci_url_parse(&url, p, realm->realm.len) != OCI_OK || url.user.len) {
        ngx_log_error(NGX_LOG_ERR, auth->log, 0,
                      "upstream named a token service that is no URL");
        return NGX_DECLINED;
    }

    host.data = t->host.data;
    host.len = t->host.len;

    allow = ngx_http_oci_auth_allowed(auth->conf, url.host.data,
                                      url.host.len, (in_port_t) url.port);

    same = (host.len == url.host.len
            && ngx_memcmp(host.data, url.host.data, host.len) == 0);

    if (allow && (url.ssl || allow->plain || !t->ssl)) {
        realm->named = 1;
        realm->trusted = 1;

    } else if (t->ssl && !url.ssl) {
        ngx_log_error(NGX_LOG_ERR, auth->log, 0,
                      "upstream has TLS and names a token service without, "
                      "at \"%*s\"", url.host.len, url.host.data);
        return NGX_DECLINED;

    } else if (same
               || (t->ssl && url.ssl
                   && oci_url_host_related(&host, &url.host)))
    {
        realm->trusted = 1;
    }

    if (!realm->trusted && cred) {
        ngx_log_error(NGX_LOG_ERR, auth->log, 0,
                      "credentials for \"%V\" are not sent to the token "
                      "service at \"%*s\", \"oci_pass_realm_allow\" does not "
                      "name it", &t->host, url.host.len, url.host.data);
    }

    return NGX_OK;
}


static ngx_http_oci_allow_t *
ngx_http_oci_auth_allowed(ngx_http_oci_edge_conf_t *conf, u_char *host,
    size_t len, in_port_t port)
{
    ngx_uint_t             i;
    ngx_http_oci_allow_t  *allow;

    if (conf->realm_allow == NULL) {
        return NULL;
    }

    allow = conf->realm_allow->elts;

    for (i = 0; i < conf->realm_allow->nelts; i++) {

        if (allow[i].host.len == len
            && ngx_memcmp(allow[i].host.data, host, len) == 0
            && (allow[i].port == 0 || allow[i].port == port))
        {
            return &allow[i];
        }
    }

    return NULL;
}


/* with TLS, within this machine, or where a directive says so */

ngx_uint_t
ngx_http_oci_auth_secure(ngx_http_oci_peer_t *peer)
{
    ngx_http_oci_allow_t  *allow;

    if (peer->ssl) {
        return 1;
    }

    if (peer->class == OCI_ADDRESS_LOOPBACK && !peer->absolute) {
        return 1;
    }

    allow = ngx_http_oci_auth_allowed(peer->conf, peer->host.data,
                                      peer->host.len, peer->port);

    return allow && allow->plain;
}


/* ours, and what the upstream wants besides, each once */

static ngx_int_t
ngx_http_oci_auth_scope(ngx_http_oci_auth_t *auth, ngx_str_t *extra,
    ngx_str_t *more, ngx_str_t *scope)
{
    u_char  *p, *end;
    size_t   len;

    len = auth->scope.len + extra->len + more->len + 3;

    p = ngx_pnalloc(auth->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    scope->data = p;
    end = p + len;

    p = ngx_http_oci_auth_scope_add(scope->data, p, end, &auth->scope);
    p = ngx_http_oci_auth_scope_add(scope->data, p, end, extra);
    p = ngx_http_oci_auth_scope_add(scope->data, p, end, more);

    scope->len = p - scope->data;

    return NGX_OK;
}


static u_char *
ngx_http_oci_auth_scope_add(u_char *start, u_char *p, u_char *end,
    ngx_str_t *list)
{
    size_t   len;
    u_char  *word, *last, *have, *stop;

    word = list->data;
    last = list->data + list->len;

    for ( /* void */ ; word < last; word = stop + 1) {

        stop = ngx_strlchr(word, last, ' ');
        if (stop == NULL) {
            stop = last;
        }

        len = stop - word;

        for (have = start; have < p; have++) {

            if ((have == start || have[-1] == ' ')
                && (size_t) (p - have) >= len
                && (have + len == p || have[len] == ' ')
                && ngx_memcmp(have, word, len) == 0)
            {
                break;
            }
        }

        if (len == 0 || have < p || (size_t) (end - p) < len + 1) {
            continue;
        }

        if (p > start) {
            *p++ = ' ';
        }

        p = ngx_cpymem(p, word, len);
    }

    return p;
}


/*
 * What a challenge adds: scopes of repositories count for this request,
 * others (as "aws") for all of the upstream's.
 */

static void
ngx_http_oci_auth_split(ngx_http_oci_auth_t *auth, oci_str_t *scope,
    ngx_str_t *extra, ngx_str_t *more)
{
    ngx_str_null(extra);
    ngx_str_null(more);

    if (scope->len == 0 || scope->len > NGX_HTTP_OCI_AUTH_SCOPE_MAX) {
        return;
    }

    if (scope->len > sizeof("repository:") - 1
        && ngx_strncmp(scope->data, "repository:", sizeof("repository:") - 1)
           == 0)
    {
        more->data = scope->data;
        more->len = scope->len;

    } else {
        extra->data = scope->data;
        extra->len = scope->len;
    }
}
