
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "upload_help.h"


const oci_str_t  help_nobody = { 0, NULL };


void
help_begin(oci_upload_t *u, const oci_store_t *s, const oci_repo_t *r,
    oci_alg_t alg)
{
    assert_int_equal(oci_upload_create(u, s, r, &help_nobody, alg), OCI_OK);
}


int
help_take(oci_upload_t *u, const oci_store_t *s, const oci_repo_t *r,
    const char *id)
{
    char       copy[OCI_UPLOAD_ID_LEN + 1];
    oci_str_t  str;

    strcpy(copy, id);
    str = help_str(copy);

    return oci_upload_acquire(u, s, r, &help_nobody, &str);
}


int
help_put(oci_upload_t *u, const char *text, unsigned keep)
{
    return help_bytes(u, (const u_char *) text, strlen(text), keep);
}


int
help_bytes(oci_upload_t *u, const u_char *data, size_t len, unsigned keep)
{
    int  rc;

    rc = oci_upload_put(u, data, len);

    if (rc != OCI_OK) {
        return rc;
    }

    oci_upload_count(u, data, len);

    return oci_upload_due(u, keep) ? oci_upload_mark(u, keep) : OCI_OK;
}


int64_t
help_offset(const oci_store_t *s, const oci_repo_t *r, const char *id)
{
    oci_str_t     str;
    oci_upload_t  u;

    str = help_str(id);
    assert_int_equal(oci_upload_status(&u, s, r, &help_nobody, &str), OCI_OK);

    return u.offset;
}


void
help_digest_of(oci_digest_t *d, oci_alg_t alg, const char *text)
{
    oci_digest_of(d, alg, (const u_char *) text, strlen(text));
}


int
help_stored(const oci_store_t *s, const oci_repo_t *r, const oci_digest_t *d,
    const char *text)
{
    char      path[OCI_PATH_MAX], *have;
    size_t    len;
    unsigned  equal;

    oci_path_repo_blob(path, s, r, d);

    if (!help_exists(path)) {
        return 0;
    }

    have = help_read(path, &len);
    equal = (len == strlen(text) && memcmp(have, text, len) == 0);
    free(have);

    return equal;
}


void
help_file(char *path, const oci_upload_t *u, const char *name)
{
    oci_path_upload(path, u->store, u->id, name);
}
