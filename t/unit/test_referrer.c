
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "manifest_fixture.h"
#include "oci_referrer.h"

#include <sys/stat.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <unistd.h>


#define MANY  400


static char          next[OCI_DIGEST_MAX + 1];
static oci_repo_t    repo;
static oci_digest_t  subject;


static int
setup(void **state)
{
    repo = fx_repo("", "r");
    subject = fx_digest(OCI_SHA256, "subject");

    return fx_setup(state);
}


static int
setup_durable(void **state)
{
    repo = fx_repo("", "r");
    subject = fx_digest(OCI_SHA512, "subject");

    return fx_setup_durable(state);
}


/* a manifest with this subject; more is what else it says */

static oci_digest_t
refer(const char *type, const char *more, const char *annotation)
{
    char          *json;
    oci_digest_t   d;

    json = malloc(strlen(more) + strlen(annotation) + 1024);
    assert_non_null(json);

    (void) sprintf(json, "{\"subject\":{\"digest\":\"%s\",\"size\":1}%s,"
                   "\"annotations\":{\"a\":\"%s\"}}",
                   fx_text(&subject), more, annotation);

    d = fx_put(&repo, type, json, "");

    free(json);

    return d;
}


/* the "manifests" of the list; the caller frees *root */

static json_t *
list(const char *type, const char *last, json_t **root)
{
    size_t         len;
    u_char        *body;
    json_t        *manifests;
    oci_str_t      t, l;
    json_error_t   error;

    t = fx_str(type);
    l = fx_str(last);

    assert_int_equal(oci_referrer_list(&fx_store, &repo, &subject,
                                       type ? &t : NULL, &l, &body, &len,
                                       next),
                     OCI_OK);

    *root = json_loadb((char *) body, len, JSON_REJECT_DUPLICATES, &error);
    free(body);

    if (*root == NULL) {
        fail_msg("%s", error.text);
    }

    assert_int_equal(json_object_size(*root), 3);
    assert_int_equal(json_integer_value(json_object_get(*root,
                                                        "schemaVersion")),
                     2);
    assert_string_equal(json_string_value(json_object_get(*root,
                                                          "mediaType")),
                        FX_INDEX);

    manifests = json_object_get(*root, "manifests");
    assert_true(json_is_array(manifests));

    return manifests;
}


static size_t
count(const char *type)
{
    size_t   n;
    json_t  *root;

    n = json_array_size(list(type, "", &root));
    assert_string_equal(next, "");
    json_decref(root);

    return n;
}


static const char *
field(json_t *manifests, size_t i, const char *name)
{
    return json_string_value(json_object_get(json_array_get(manifests, i),
                                             name));
}


static void
test_list(void **state)
{
    size_t         i;
    json_t        *root, *manifests;
    const char    *one, *two;
    oci_digest_t   a, b;

    (void) state;

    assert_int_equal(count(NULL), 0);
    assert_int_equal(count("a/b"), 0);

    a = refer(FX_MANIFEST, ",\"artifactType\":\"a/b\"", "1");
    b = refer(FX_INDEX, "", "2");

    manifests = list(NULL, "", &root);
    assert_int_equal(json_array_size(manifests), 2);
    assert_string_equal(next, "");

    one = field(manifests, 0, "digest");
    two = field(manifests, 1, "digest");
    assert_true(strcmp(one, two) < 0);

    i = strcmp(one, fx_text(&a)) == 0 ? 0 : 1;

    assert_string_equal(field(manifests, i, "digest"), fx_text(&a));
    assert_string_equal(field(manifests, i, "mediaType"), FX_MANIFEST);
    assert_string_equal(field(manifests, i, "artifactType"), "a/b");
    assert_string_equal(field(manifests, 1 - i, "digest"), fx_text(&b));
    assert_string_equal(field(manifests, 1 - i, "mediaType"), FX_INDEX);
    assert_null(field(manifests, 1 - i, "artifactType"));

    json_decref(root);

    /* of another subject, of another repository: nothing */

    subject = fx_digest(OCI_SHA256, "other");
    assert_int_equal(count(NULL), 0);
    repo = fx_repo("", "s");
    assert_int_equal(count(NULL), 0);
}


static void
test_filter(void **state)
{
    (void) state;

    refer(FX_MANIFEST, ",\"artifactType\":\"a/b\"", "1");
    refer(FX_MANIFEST, ",\"artifactType\":\"a/b\"", "2");
    refer(FX_MANIFEST, ",\"artifactType\":\"a/b+json\"", "3");
    refer(FX_INDEX, "", "4");
    refer(FX_INDEX, ",\"artifactType\":\"a/b\"", "5");

    assert_int_equal(count(NULL), 5);
    assert_int_equal(count("a/b"), 3);
    assert_int_equal(count("a/b+json"), 1);
    assert_int_equal(count("a"), 0);
    assert_int_equal(count("A/b"), 0);
    assert_int_equal(count(""), 1);
}


static void
test_left_out(void **state)
{
    int            fd;
    char           path[OCI_PATH_MAX], dir[OCI_PATH_MAX];
    oci_digest_t   a, b;

    (void) state;

    a = refer(FX_MANIFEST, "", "1");
    b = refer(FX_MANIFEST, "", "2");

    /* a crash came between the record and the entry */

    oci_path_manifest(path, &fx_store, &repo, &a);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(count(NULL), 1);

    /* something else in the folder */

    oci_path_referrers(dir, &fx_store, &repo, &subject);
    (void) snprintf(path, sizeof(path), "%.*s/sha256-x", 2000, dir);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(count(NULL), 1);
    assert_int_equal(rmdir(path), 0);

    /* a store without fsync may lose what an entry holds */

    oci_path_referrer(path, &fx_store, &repo, &subject, &b);
    assert_int_equal(unlink(path), 0);
    fd = open(path, O_WRONLY|O_CREAT|O_EXCL, 0444);
    assert_true(fd != -1);
    assert_int_equal(ftruncate(fd, 100), 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(count(NULL), 0);
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(count(NULL), 0);

    refer(FX_MANIFEST, "", "2");
    assert_int_equal(count(NULL), 1);
    assert_int_equal(fx_tmp_count(), 0);
}


static void
test_remove(void **state)
{
    char           dir[OCI_PATH_MAX], *slash;
    oci_digest_t   a, b;

    (void) state;

    a = refer(FX_MANIFEST, "", "1");
    b = refer(FX_MANIFEST, "", "2");

    oci_path_referrers(dir, &fx_store, &repo, &subject);

    assert_int_equal(oci_referrer_remove(&fx_store, &repo, &subject, &a),
                     OCI_OK);
    assert_int_equal(oci_referrer_remove(&fx_store, &repo, &subject, &a),
                     OCI_OK);
    assert_int_equal(count(NULL), 1);
    assert_true(fx_exists(dir));

    assert_int_equal(oci_referrer_remove(&fx_store, &repo, &subject, &b),
                     OCI_OK);
    assert_int_equal(oci_referrer_remove(&fx_store, &repo, &subject, &b),
                     OCI_OK);
    assert_int_equal(count(NULL), 0);
    assert_false(fx_exists(dir));

    /* the repository's own folder stays */

    slash = strstr(dir, "/_referrers");
    assert_non_null(slash);
    *slash = '\0';
    assert_true(fx_exists(dir));
}


/* pages are disjoint, in order, bounded, and whole together */

static void
pages(const char *type, size_t want, size_t *npages)
{
    char          last[OCI_DIGEST_MAX + 1], *text;
    size_t        i, n, seen;
    json_t       *root, *manifests;
    const char   *digest;
    char          before[OCI_DIGEST_MAX + 1];

    last[0] = '\0';
    before[0] = '\0';
    seen = 0;
    *npages = 0;

    do {
        manifests = list(type, last, &root);
        n = json_array_size(manifests);

        for (i = 0; i < n; i++) {
            digest = field(manifests, i, "digest");
            assert_true(strcmp(digest, before) > 0);
            (void) strcpy(before, digest);
        }

        text = json_dumps(root, JSON_COMPACT);
        assert_non_null(text);
        assert_true(strlen(text) <= OCI_REFERRERS_PAGE + 128);
        free(text);
        json_decref(root);

        seen += n;
        (*npages)++;

        assert_true(n > 0);
        (void) strcpy(last, next);

    } while (last[0] != '\0');

    assert_int_equal(seen, want);
}


static void
test_pages(void **state)
{
    char      *text, number[32];
    size_t     n;
    unsigned   i;

    (void) state;

    text = malloc(40000);
    assert_non_null(text);
    memset(text, 'x', 39999);
    text[39999] = '\0';

    for (i = 0; i < MANY; i++) {
        (void) snprintf(number, sizeof(number), "%08u", i);
        memcpy(text, number, 8);
        refer(FX_MANIFEST, i % 2 ? ",\"artifactType\":\"a/b\"" : "", text);
    }

    free(text);

    pages(NULL, MANY, &n);
    assert_true(n >= 4 && n <= 6);
    pages("a/b", MANY / 2, &n);
    assert_true(n >= 2 && n <= 4);
    pages("", MANY / 2, &n);
    assert_true(n >= 2 && n <= 4);
}


static void
test_one_too_large(void **state)
{
    char     last[OCI_DIGEST_MAX + 1], *text;
    size_t   n;
    json_t  *root;

    (void) state;

    text = malloc(OCI_REFERRERS_PAGE);
    assert_non_null(text);
    memset(text, 'x', OCI_REFERRERS_PAGE - 1);
    text[OCI_REFERRERS_PAGE - 1] = '\0';

    refer(FX_MANIFEST, "", "1");
    refer(FX_MANIFEST, "", text);
    refer(FX_MANIFEST, "", "2");

    free(text);

    /* it fills a page alone, and the list goes on */

    n = 0;
    last[0] = '\0';

    do {
        n += json_array_size(list(NULL, last, &root));
        json_decref(root);
        (void) strcpy(last, next);
    } while (last[0] != '\0');

    assert_int_equal(n, 3);
}


static void
test_last(void **state)
{
    char     last[1024];
    json_t  *root;

    (void) state;

    refer(FX_MANIFEST, "", "1");

    memset(last, 'z', sizeof(last));
    last[sizeof(last) - 1] = '\0';
    assert_int_equal(json_array_size(list(NULL, last, &root)), 0);
    json_decref(root);

    memset(last, '0', sizeof(last) - 1);
    assert_int_equal(json_array_size(list(NULL, last, &root)), 1);
    json_decref(root);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_list, setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_list, setup_durable,
                                        fx_teardown),
        cmocka_unit_test_setup_teardown(test_filter, setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_left_out, setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_remove, setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_remove, setup_durable,
                                        fx_teardown),
        cmocka_unit_test_setup_teardown(test_pages, setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_one_too_large, setup,
                                        fx_teardown),
        cmocka_unit_test_setup_teardown(test_last, setup, fx_teardown)
    };

    return cmocka_run_group_tests(tests, fx_begin, fx_end);
}
