
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Tags of an edge that keeps pushes: the upstream's, and those that were
 * pushed here.
 */


#include "oci_taglist.h"
#include "oci_json.h"
#include "oci_tag.h"

#include <errno.h>
#include <stdlib.h>


static int oci_taglist_upstream(oci_names_t *names, const u_char *body,
    size_t len);


int
oci_taglist_pushed(const oci_store_t *s, const oci_repo_t *r,
    oci_text_t *run)
{
    int         rc;
    size_t      count, len;
    u_char     *p, *to, *end;
    oci_str_t   tag;

    rc = oci_taglist_read(s, r, OCI_NAMES_ALL, run, &count);

    if (rc != OCI_OK) {
        memset(run, 0, sizeof(oci_text_t));
        return rc;
    }

    to = run->data;
    end = run->data + run->len;

    for (p = run->data; p < end; p += len) {

        len = 1 + (size_t) *p;
        tag.data = p + 1;
        tag.len = len - 1;

        if (oci_tag_pushed(s, r, &tag)) {
            memmove(to, p, len);
            to += len;
        }
    }

    run->len = (size_t) (to - run->data);

    return OCI_OK;
}


int
oci_taglist_merge(const oci_repo_t *r, const u_char *body, size_t len,
    unsigned more, const oci_text_t *run, const oci_str_t *last, int64_t n,
    oci_list_t *list)
{
    int             rc;
    char            name[OCI_TAG_MAX + 1];
    char            from[OCI_TAG_MAX + 1], to[OCI_TAG_MAX + 1];
    size_t          i;
    const u_char   *p, *end;
    oci_names_t     names;
    oci_tagpage_t   page;

    oci_names_init(&names, OCI_NAMES_ALL);

    rc = oci_taglist_upstream(&names, body, len);

    if (rc != OCI_OK) {
        oci_names_clear(&names);
        return rc;
    }

    oci_names_sort(&names);

    /* what comes behind a page that is not the upstream's last waits */

    to[0] = '\0';

    if (more && names.n) {
        (void) strcpy(to, names.names[names.n - 1]);
    }

    i = (last->len < sizeof(from)) ? last->len : sizeof(from) - 1;

    if (i) {
        memcpy(from, last->data, i);
    }

    from[i] = '\0';

    end = run->data + run->len;

    for (p = run->data; p < end && !(more && to[0] == '\0'); p += 1 + *p) {

        memcpy(name, p + 1, *p);
        name[*p] = '\0';

        if (strcmp(name, from) <= 0 || (more && strcmp(name, to) > 0)) {
            continue;
        }

        if (oci_names_add(&names, name) != OCI_OK) {
            oci_names_clear(&names);
            return oci_fail("malloc()", "");
        }
    }

    oci_names_sort(&names);

    oci_tagpage_begin(&page, r, n);

    for (i = 0; i < names.n; i++) {

        if (i && strcmp(names.names[i], names.names[i - 1]) == 0) {
            continue;
        }

        len = strlen(names.names[i]);

        if (oci_tagpage_name(&page, names.names[i], len)) {
            break;
        }
    }

    oci_names_clear(&names);

    return oci_tagpage_end(&page, list, OCI_OK);
}


static int
oci_taglist_upstream(oci_names_t *names, const u_char *body, size_t len)
{
    int          rc;
    size_t       i;
    json_t      *root, *tags;
    const char  *name;

    root = json_loadb((const char *) body, len, 0, NULL);
    tags = json_object_get(root, "tags");
    rc = OCI_OK;

    if (!json_is_array(tags) && !json_is_null(tags)) {
        rc = OCI_INVALID;
    }

    for (i = 0; rc == OCI_OK && i < json_array_size(tags); i++) {

        name = json_string_value(json_array_get(tags, i));

        if (name == NULL
            || !oci_tag_valid((const u_char *) name, strlen(name)))
        {
            rc = OCI_INVALID;

        } else if (oci_names_add(names, name) != OCI_OK) {
            rc = oci_fail("malloc()", "");
        }
    }

    json_decref(root);

    return rc;
}
