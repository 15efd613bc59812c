
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * A config.json, and the answer of a token service.
 */


#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "oci_credentials.h"


#define check(expr)                                                           \
    if (!(expr)) {                                                            \
        abort();                                                              \
    }


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_credentials(const u_char *p, size_t len);
static void fuzz_grant(const u_char *p, size_t len);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    u_char  *p;

    p = malloc(size ? size : 1);
    check(p != NULL);

    if (size) {
        memcpy(p, data, size);
    }

    fuzz_credentials(p, size);
    fuzz_grant(p, size);

    free(p);

    return 0;
}


static void
fuzz_credentials(const u_char *p, size_t len)
{
    int                      rc, helpers;
    size_t                   i;
    const char              *reason;
    oci_credentials_t       *creds;
    const oci_credential_t  *c;

    static const oci_str_t  hosts[] = {
        oci_string("registry-1.docker.io"), oci_string("a"),
        oci_string("::1"), oci_string("")
    };
    static const oci_str_t  repo = oci_string("org/app");

    reason = NULL;

    rc = oci_credentials_parse(&creds, p, len, &helpers, &reason);

    check(rc == OCI_OK || (rc == OCI_INVALID && reason != NULL));

    if (rc != OCI_OK) {
        return;
    }

    for (i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {

        c = oci_credentials_find(creds, &hosts[i], 443, 1, &repo);

        if (c != NULL) {
            check(c->path.len <= repo.len);
            check(memchr(c->basic.data ? (char *) c->basic.data : "", '\n',
                         c->basic.len)
                  == NULL);
        }

        (void) oci_credentials_find(creds, &hosts[i], 5000, 0, &repo);
    }

    oci_credentials_free(creds);
}


static void
fuzz_grant(const u_char *p, size_t len)
{
    size_t       i;
    u_char       buf[256];
    oci_grant_t  g;

    if (oci_grant_parse(&g, p, len, buf, sizeof(buf)) != OCI_OK) {
        return;
    }

    check(g.token.len > 0 && g.token.len <= sizeof(buf));
    check(g.expires_in > 0);

    for (i = 0; i < g.token.len; i++) {
        check(g.token.data[i] > ' ' && g.token.data[i] < 0x7f);
    }
}
