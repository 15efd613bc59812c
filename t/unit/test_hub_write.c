
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "oci_hub.h"


#define H1  "1111111111111111111111111111111111111111111111111111111111111111"
#define H2  "2222222222222222222222222222222222222222222222222222222222222222"

#define COMMIT  "0123456789abcdef0123456789abcdef01234567"

#define FILE(path, hex, size)                                                 \
    "{\"mediaType\":\"application/vnd.cncf.model.weight.v1.raw\","            \
    "\"digest\":\"sha256:" hex "\",\"size\":" size ",\"annotations\":"        \
    "{\"org.cncf.model.filepath\":\"" path "\"}}"


static oci_text_t          text;
static json_t             *root;
static oci_model_table_t  *table;
static oci_hub_model_t     model;


static int
setup(void **state)
{
    oci_model_t   m;
    const char   *reason;

    static const char  manifest[] = "{\"layers\":["
        FILE("model.safetensors", H1, "1234567890") ","
        FILE("a/b/one", H2, "0") ","
        FILE("a/b/two", H2, "0") ","
        FILE("a/\\\"q\\u20ac\\\"", H2, "0") ","
        FILE("a-z", H2, "5") "]}";

    (void) state;

    memset(&text, 0, sizeof(text));
    memset(&model, 0, sizeof(model));
    root = NULL;

    model.id.data = (u_char *) "Org/Model";
    model.id.len = 9;
    memcpy(model.commit, COMMIT, OCI_HUB_COMMIT);
    model.time = 1700000000;

    if (oci_model_parse(&m, (const u_char *) manifest, sizeof(manifest) - 1,
                        &reason)
        != OCI_OK)
    {
        return 1;
    }

    if (oci_model_build(&m, NULL, &table) != OCI_OK) {
        return 1;
    }

    oci_model_free(&m);

    return 0;
}


static int
teardown(void **state)
{
    (void) state;

    json_decref(root);
    free(text.data);
    free(table);

    return 0;
}


/* what was written is JSON */

static json_t *
written(void)
{
    json_error_t  error;

    json_decref(root);

    root = json_loadb((char *) text.data, text.len, JSON_REJECT_DUPLICATES,
                      &error);

    if (root == NULL) {
        fail_msg("%s in %.*s", error.text, (int) text.len, text.data);
    }

    text.len = 0;

    return root;
}


static void
expect_str(json_t *json, const char *key, const char *value)
{
    const char  *s;

    s = json_string_value(json_object_get(json, key));

    if (s == NULL || strcmp(s, value) != 0) {
        fail_msg("%s is %s, not %s", key, s ? s : "none", value);
    }
}


static void
test_info(void **state)
{
    json_t  *json, *file, *lfs;

    (void) state;

    assert_int_equal(oci_hub_info(&text, &model, table, 0), OCI_OK);
    json = written();

    expect_str(json, "id", "Org/Model");
    expect_str(json, "modelId", "Org/Model");
    expect_str(json, "author", "Org");
    expect_str(json, "sha", COMMIT);
    expect_str(json, "lastModified", "2023-11-14T22:13:20.000Z");
    assert_true(json_is_false(json_object_get(json, "private")));
    assert_true(json_is_false(json_object_get(json, "gated")));
    assert_int_equal(json_integer_value(json_object_get(json, "usedStorage")),
                     1234567895);

    json = json_object_get(json, "siblings");
    assert_int_equal(json_array_size(json), 5);

    file = json_array_get(json, 4);
    assert_int_equal(json_object_size(file), 1);
    expect_str(file, "rfilename", "model.safetensors");
    expect_str(json_array_get(json, 0), "rfilename",
               "a/\"q\xe2\x82\xac\"");

    /* one part in its name, no time, and what each file is */

    model.id.data += 4;
    model.id.len -= 4;
    model.time = 0;

    assert_int_equal(oci_hub_info(&text, &model, table, 1), OCI_OK);
    json = written();

    expect_str(json, "id", "Model");
    assert_null(json_object_get(json, "author"));
    assert_null(json_object_get(json, "lastModified"));

    file = json_array_get(json_object_get(json, "siblings"), 4);
    assert_int_equal(json_integer_value(json_object_get(file, "size")),
                     1234567890);
    expect_str(file, "blobId", "1111111111111111111111111111111111111111");

    lfs = json_object_get(file, "lfs");
    expect_str(lfs, "sha256", H1);
    assert_int_equal(json_integer_value(json_object_get(lfs, "size")),
                     1234567890);
    assert_int_equal(json_integer_value(json_object_get(lfs, "pointerSize")),
                     135);
}


static void
expect_entry(json_t *json, size_t i, const char *type, const char *path)
{
    json_t  *entry;

    entry = json_array_get(json, i);

    expect_str(entry, "type", type);
    expect_str(entry, "path", path);
    assert_int_equal(json_string_length(json_object_get(entry, "oid")), 40);
    assert_true(json_is_integer(json_object_get(entry, "size")));
}


static void
test_tree(void **state)
{
    json_t     *json, *entry;
    oci_str_t   folder;

    (void) state;

    folder.data = (u_char *) "a/b";
    folder.len = 0;

    assert_int_equal(oci_hub_tree(&text, &model, table, &folder, 1, 0),
                     OCI_OK);
    json = written();
    assert_int_equal(json_array_size(json), 7);
    expect_entry(json, 0, "directory", "a");
    expect_entry(json, 1, "file", "a/\"q\xe2\x82\xac\"");
    expect_entry(json, 2, "directory", "a/b");
    expect_entry(json, 3, "file", "a/b/one");
    expect_entry(json, 4, "file", "a/b/two");
    expect_entry(json, 5, "file", "a-z");
    expect_entry(json, 6, "file", "model.safetensors");

    entry = json_array_get(json, 6);
    assert_null(json_object_get(entry, "lastCommit"));
    expect_str(json_object_get(entry, "lfs"), "oid", H1);

    assert_int_equal(oci_hub_tree(&text, &model, table, &folder, 0, 1),
                     OCI_OK);
    json = written();
    assert_int_equal(json_array_size(json), 3);
    expect_entry(json, 0, "directory", "a");
    expect_entry(json, 1, "file", "a-z");
    expect_entry(json, 2, "file", "model.safetensors");

    entry = json_object_get(json_array_get(json, 2), "lastCommit");
    expect_str(entry, "id", COMMIT);
    expect_str(entry, "date", "2023-11-14T22:13:20.000Z");

    folder.len = 1;
    assert_int_equal(oci_hub_tree(&text, &model, table, &folder, 0, 0),
                     OCI_OK);
    json = written();
    assert_int_equal(json_array_size(json), 2);
    expect_entry(json, 0, "file", "a/\"q\xe2\x82\xac\"");
    expect_entry(json, 1, "directory", "a/b");

    folder.len = 3;
    assert_int_equal(oci_hub_tree(&text, &model, table, &folder, 1, 0),
                     OCI_OK);
    json = written();
    assert_int_equal(json_array_size(json), 2);
    expect_entry(json, 0, "file", "a/b/one");

    folder.len = 2;
    assert_int_equal(oci_hub_tree(&text, &model, table, &folder, 1, 0),
                     OCI_NOT_FOUND);
    assert_int_equal(text.len, 0);
}


/* of a file inside a tar the sha256 is not known: no word of one */

static void
test_tar_file(void **state)
{
    json_t             *entry;
    oci_tar_t           tar, *tars[1];
    oci_str_t           folder;
    oci_model_t         m;
    const char         *reason;
    oci_tar_file_t      file;
    oci_model_table_t  *made;

    static const char  manifest[] = "{\"layers\":[{\"mediaType\":"
        "\"application/vnd.cncf.model.weight.v1.tar\",\"digest\":"
        "\"sha256:" H1 "\",\"size\":1024}]}";

    (void) state;

    memset(&file, 0, sizeof(file));
    memset(&tar, 0, sizeof(tar));
    file.name_len = 1;
    file.offset = 512;
    file.size = 100;
    tar.files = &file;
    tar.count = 1;
    tar.names = (u_char *) "f";
    tar.names_len = 1;
    tars[0] = &tar;

    assert_int_equal(oci_model_parse(&m, (const u_char *) manifest,
                                     sizeof(manifest) - 1, &reason), OCI_OK);
    assert_int_equal(oci_model_build(&m, tars, &made), OCI_OK);
    oci_model_free(&m);

    folder.len = 0;
    folder.data = NULL;
    assert_int_equal(oci_hub_tree(&text, &model, made, &folder, 1, 0),
                     OCI_OK);
    free(made);

    entry = json_array_get(written(), 0);
    expect_str(entry, "path", "f");
    assert_null(json_object_get(entry, "lfs"));
    assert_int_equal(json_string_length(json_object_get(entry, "oid")), 40);
    assert_string_not_equal(json_string_value(json_object_get(entry, "oid")),
                            "1111111111111111111111111111111111111111");
}


static void
test_paths_info(void **state)
{
    json_t           *json;
    oci_hub_paths_t   p;

    static char  body[] = "paths=a/b/two&paths=none&paths=a&paths=../x&"
                          "paths=a%2Fb%2F&paths=";

    (void) state;

    assert_int_equal(oci_hub_paths(&p, (u_char *) body, sizeof(body) - 1, 0),
                     OCI_OK);
    assert_int_equal(oci_hub_paths_info(&text, &model, table, &p), OCI_OK);
    oci_hub_paths_free(&p);

    json = written();
    assert_int_equal(json_array_size(json), 3);
    expect_entry(json, 0, "file", "a/b/two");
    expect_entry(json, 1, "directory", "a");
    expect_entry(json, 2, "directory", "a/b");

    assert_int_equal(oci_hub_paths(&p, (u_char *) body, 0, 0), OCI_OK);
    assert_int_equal(oci_hub_paths_info(&text, &model, table, &p), OCI_OK);
    oci_hub_paths_free(&p);
    assert_int_equal(json_array_size(written()), 0);
}


static void
test_refs(void **state)
{
    json_t         *json, *ref;
    oci_digest_t    d;
    oci_hub_ref_t   main_ref, tags[2];

    (void) state;

    oci_digest_of(&d, OCI_SHA256, (u_char *) "", 0);

    main_ref.name.data = (u_char *) "main";
    main_ref.name.len = 4;
    oci_hub_commit(&d, main_ref.commit);

    tags[0] = main_ref;
    tags[0].name.data = (u_char *) "v1.0";
    tags[1] = tags[0];
    tags[1].name.data = (u_char *) "v2.0";

    assert_int_equal(oci_hub_refs(&text, &main_ref, tags, 2, 0), OCI_OK);
    json = written();

    assert_null(json_object_get(json, "pullRequests"));
    assert_int_equal(json_array_size(json_object_get(json, "converts")), 0);
    assert_int_equal(json_array_size(json_object_get(json, "branches")), 1);

    ref = json_array_get(json_object_get(json, "branches"), 0);
    expect_str(ref, "name", "main");
    expect_str(ref, "ref", "refs/heads/main");
    expect_str(ref, "targetCommit",
               "e3b0c44298fc1c149afbf4c8996fb92427ae41e4");

    json = json_object_get(json, "tags");
    assert_int_equal(json_array_size(json), 2);
    expect_str(json_array_get(json, 1), "ref", "refs/tags/v2.0");

    main_ref.name.len = 0;
    assert_int_equal(oci_hub_refs(&text, &main_ref, NULL, 0, 1), OCI_OK);
    json = written();
    assert_int_equal(json_array_size(json_object_get(json, "branches")), 0);
    assert_true(json_is_array(json_object_get(json, "pullRequests")));
}


static void
test_commits(void **state)
{
    json_t  *json;

    (void) state;

    assert_int_equal(oci_hub_commits(&text, &model), OCI_OK);
    json = written();
    assert_int_equal(json_array_size(json), 1);
    json = json_array_get(json, 0);
    expect_str(json, "id", COMMIT);
    expect_str(json, "date", "2023-11-14T22:13:20.000Z");

    /* a time that no client could read */

    model.time = INT64_MAX;
    assert_int_equal(oci_hub_commits(&text, &model), OCI_OK);
    expect_str(json_array_get(written(), 0), "date",
               "1970-01-01T00:00:00.000Z");

    model.time = (int64_t) 400 * 366 * 86400 * 100;
    assert_int_equal(oci_hub_commits(&text, &model), OCI_OK);
    expect_str(json_array_get(written(), 0), "date",
               "1970-01-01T00:00:00.000Z");
}


static void
test_error(void **state)
{
    (void) state;

    assert_int_equal(oci_hub_error(&text, "no \"such\" \\ thing\n"), OCI_OK);
    expect_str(written(), "error", "no \"such\" \\ thing\n");
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_setup_teardown(test_info, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tree, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tar_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_paths_info, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_commits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_error, setup, teardown),
    };

    return cmocka_run_group_tests_name("hub_write", tests, NULL, NULL);
}
