
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "oci_challenge.h"


static u_char *oci_challenge_token(u_char *p, u_char *last);
static u_char *oci_challenge_space(u_char *p, u_char *last, int comma);
static int oci_challenge_param(oci_challenge_t *c, u_char **pos,
    u_char *last);
static int oci_challenge_quoted(oci_str_t *value, u_char **pos,
    u_char *last);
static int oci_challenge_is(const u_char *p, size_t len, const char *word);


int
oci_challenge_next(oci_challenge_t *c, u_char **pos, u_char *last)
{
    int      rc;
    u_char  *p, *start, *end;

    memset(c, 0, sizeof(oci_challenge_t));

    p = oci_challenge_space(*pos, last, 1);

    if (p == last) {
        *pos = last;
        return OCI_NOT_FOUND;
    }

    start = p;
    end = oci_challenge_token(p, last);

    if (end == start || (end < last && *end != ' ' && *end != ','
                         && *end != '\t'))
    {
        *pos = last;
        return OCI_INVALID;
    }

    if (oci_challenge_is(start, (size_t) (end - start), "bearer")) {
        c->scheme = OCI_CHALLENGE_BEARER;

    } else if (oci_challenge_is(start, (size_t) (end - start), "basic")) {
        c->scheme = OCI_CHALLENGE_BASIC;
    }

    p = end;

    for ( ;; ) {

        rc = oci_challenge_param(c, &p, last);

        if (rc == OCI_OK) {
            continue;
        }

        *pos = (rc == OCI_NOT_FOUND) ? p : last;

        return (rc == OCI_NOT_FOUND) ? OCI_OK : OCI_INVALID;
    }
}


/*
 * One parameter, or OCI_NOT_FOUND where the next challenge begins: a token
 * behind a comma that has no "=".  The value of token68 that some schemes
 * have instead of parameters is skipped.
 */

static int
oci_challenge_param(oci_challenge_t *c, u_char **pos, u_char *last)
{
    size_t      i, len;
    u_char     *p, *name, *end;
    oci_str_t   value;

    const struct {
        const char  *name;
        oci_str_t   *value;
    } known[] = {
        { "realm", &c->realm },
        { "service", &c->service },
        { "scope", &c->scope },
        { "error", &c->error }
    };

    name = oci_challenge_space(*pos, last, 1);
    end = oci_challenge_token(name, last);
    len = (size_t) (end - name);

    if (name == last) {
        *pos = last;
        return OCI_NOT_FOUND;
    }

    if (len == 0) {
        return OCI_INVALID;
    }

    p = oci_challenge_space(end, last, 0);

    if (p == last || *p != '=') {

        if (memchr(*pos, ',', (size_t) (name - *pos)) != NULL) {
            *pos = name;
            return OCI_NOT_FOUND;
        }

        for (p = end; p < last && *p != ','; p++) {
            /* void */
        }

        *pos = p;
        return OCI_OK;
    }

    p++;

    if (p < last && (*p == '=' || *p == ',')) {

        /* padding: token68 */

        while (p < last && *p == '=') {
            p++;
        }

        *pos = p;
        return OCI_OK;
    }

    p = oci_challenge_space(p, last, 0);

    if (p < last && *p == '"') {

        if (oci_challenge_quoted(&value, &p, last) != OCI_OK) {
            return OCI_INVALID;
        }

    } else {

        /* some leave the quotes out around URLs */

        value.data = p;

        while (p < last && *p != ',' && *p != ' ' && *p != '\t') {
            if (*p < ' ' || *p == '"') {
                return OCI_INVALID;
            }

            p++;
        }

        value.len = (size_t) (p - value.data);
    }

    *pos = p;

    for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {

        if (known[i].value->data == NULL
            && oci_challenge_is(name, len, known[i].name))
        {
            *known[i].value = value;
        }
    }

    return OCI_OK;
}


static int
oci_challenge_quoted(oci_str_t *value, u_char **pos, u_char *last)
{
    u_char  *p, *d;

    p = *pos + 1;
    d = p;

    value->data = d;

    while (p < last && *p != '"') {

        if (*p == '\\' && ++p == last) {
            return OCI_INVALID;
        }

        if ((*p < ' ' && *p != '\t') || *p == 0x7f) {
            return OCI_INVALID;
        }

        *d++ = *p++;
    }

    if (p == last) {
        return OCI_INVALID;
    }

    value->len = (size_t) (d - value->data);
    *pos = p + 1;

    return OCI_OK;
}


static u_char *
oci_challenge_token(u_char *p, u_char *last)
{
    while (p < last
           && ((*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'z')
               || (*p >= 'A' && *p <= 'Z')
               || (*p != '\0' && strchr("!#$%&'*+-.^_`|~", *p) != NULL)))
    {
        p++;
    }

    return p;
}


static u_char *
oci_challenge_space(u_char *p, u_char *last, int comma)
{
    while (p < last && (*p == ' ' || *p == '\t' || (comma && *p == ','))) {
        p++;
    }

    return p;
}


static int
oci_challenge_is(const u_char *p, size_t len, const char *word)
{
    return len == strlen(word)
           && strncasecmp((const char *) p, word, len) == 0;
}
