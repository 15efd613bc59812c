
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

#include "oci_model.h"
#include "oci_reference.h"


#define H1  "1111111111111111111111111111111111111111111111111111111111111111"
#define H2  "2222222222222222222222222222222222222222222222222222222222222222"
#define D1  "sha256:" H1
#define D2  "sha256:" H2
#define D5  "sha512:" H1 H2

#define TITLE     "org.opencontainers.image.title"
#define FILEPATH  "org.cncf.model.filepath"
#define CNAI      "org.cnai.model.filepath"

#define RAW     "application/vnd.cncf.model.weight.v1.raw"
#define TAR     "application/vnd.cncf.model.weight.v1.tar"
#define GZIP    "application/vnd.cncf.model.weight.v1.tar+gzip"
#define ZSTD    "application/vnd.cncf.model.weight.v1.tar+zstd"
#define KIT     "application/vnd.kitops.modelkit.model.v1.tar"
#define KITGZ   "application/vnd.kitops.modelkit.model.v1.tar+gzip"
#define GGUF    "application/vnd.docker.ai.gguf.v3"
#define SAFE    "application/vnd.docker.ai.safetensors"
#define LAYER   "application/vnd.oci.image.layer.v1.tar"

/* a layer of a size; what is behind it is its annotations */

#define DESC(type, digest, size)                                              \
    "{\"mediaType\":\"" type "\",\"digest\":\"" digest "\",\"size\":" size    \
    "}"

#define NOTED(type, digest, size, key, value)                                 \
    "{\"mediaType\":\"" type "\",\"digest\":\"" digest "\",\"size\":" size    \
    ",\"annotations\":{\"" key "\":\"" value "\"}}"


static oci_model_t         m;
static oci_model_table_t  *table;
static const char         *reason;


static int
parse(const char *layers)
{
    int      rc;
    char    *text;
    size_t   len;

    len = strlen(layers) + 256;
    text = malloc(len);
    assert_non_null(text);

    len = (size_t) snprintf(text, len, "{\"schemaVersion\":2,\"config\":"
                            DESC("a/b", D1, "2") ",\"layers\":[%s]}",
                            layers);

    rc = oci_model_parse(&m, (u_char *) text, len, &reason);

    memset(text, 'x', len);
    free(text);

    return rc;
}


static void
build(oci_tar_t *const *tars)
{
    oci_model_table_t  *made;

    free(table);
    table = NULL;

    assert_int_equal(oci_model_build(&m, tars, &made), OCI_OK);

    /* it holds wherever it is, and needs nothing of what it was made of */

    oci_model_free(&m);

    table = malloc(made->len);
    assert_non_null(table);
    memcpy(table, made, made->len);

    memset(made, 0xff, made->len);
    free(made);
}


static int
teardown(void **state)
{
    (void) state;

    oci_model_free(&m);
    free(table);
    table = NULL;

    return 0;
}


static oci_str_t
str(const char *text)
{
    oci_str_t  s;

    s.data = (u_char *) (uintptr_t) text;
    s.len = strlen(text);

    return s;
}


static void
expect_path(size_t i, const char *path)
{
    oci_model_file_t  file;

    assert_true(i < table->count);
    oci_model_file(table, i, &file);
    assert_int_equal(file.path.len, strlen(path));
    assert_memory_equal(file.path.data, path, file.path.len);
}


static void
expect_file(const char *path, const char *hex, int64_t offset, int64_t size,
    unsigned whole)
{
    oci_str_t         name;
    oci_model_file_t  file;

    name = str(path);

    if (oci_model_find(table, &name, &file) != OCI_OK) {
        fail_msg("not found: %s", path);
    }

    assert_string_equal(file.digest.hex, hex);
    assert_int_equal(file.offset, offset);
    assert_int_equal(file.size, size);
    assert_int_equal(file.whole, whole);
}


/* an index: names and sizes in turn, contents one behind the other */

static oci_tar_t *
index_of(const char *const *names, const int64_t *sizes, size_t n)
{
    size_t      i;
    int64_t     at;
    oci_tar_t  *tar;

    tar = calloc(1, sizeof(oci_tar_t));
    assert_non_null(tar);
    tar->files = calloc(n, sizeof(oci_tar_file_t));
    tar->names = malloc(4096);
    assert_non_null(tar->files);
    assert_non_null(tar->names);

    at = 512;

    for (i = 0; i < n; i++) {
        tar->files[i].name = tar->names_len;
        tar->files[i].name_len = strlen(names[i]);
        tar->files[i].offset = at;
        tar->files[i].size = sizes[i];

        memcpy(tar->names + tar->names_len, names[i], strlen(names[i]));
        tar->names_len += strlen(names[i]);
        at += 1024;
    }

    tar->count = n;

    return tar;
}


static void
index_free(oci_tar_t *tar)
{
    oci_tar_free(tar);
    free(tar);
}


static void
test_modelpack(void **state)
{
    (void) state;

    assert_int_equal(parse(
        NOTED(RAW, D1, "5", FILEPATH, "model.safetensors") ","
        NOTED("application/vnd.cncf.model.doc.v1.raw", D2, "0", FILEPATH,
              "docs/README.md") ","
        NOTED("application/vnd.cnai.model.weight.config.v1.raw", D2, "0",
              CNAI, "config.json")), OCI_OK);

    assert_int_equal(m.count, 3);
    assert_int_equal(m.tars + m.packed + m.left_out, 0);

    build(NULL);

    assert_int_equal(table->count, 3);
    expect_path(0, "config.json");
    expect_path(1, "docs/README.md");
    expect_path(2, "model.safetensors");
    expect_file("model.safetensors", H1, 0, 5, 1);
    expect_file("docs/README.md", H2, 0, 0, 1);
    expect_file("config.json", H2, 0, 0, 1);
}


/* the newer key counts, whatever comes first; then a title */

static void
test_keys(void **state)
{
    (void) state;

    assert_int_equal(parse(
        "{\"mediaType\":\"" RAW "\",\"digest\":\"" D1 "\",\"size\":1,"
        "\"annotations\":{\"" TITLE "\":\"c\",\"" CNAI "\":\"b\","
        "\"" FILEPATH "\":\"a\"}},"
        "{\"mediaType\":\"" RAW "\",\"digest\":\"" D1 "\",\"size\":1,"
        "\"annotations\":{\"" TITLE "\":\"c\",\"" CNAI "\":\"b\"}}"), OCI_OK);

    build(NULL);

    assert_int_equal(table->count, 2);
    expect_path(0, "a");
    expect_path(1, "b");
}


static void
test_docker(void **state)
{
    (void) state;

    /* with paths, and without any: alone, and as shards */

    assert_int_equal(parse(
        NOTED(SAFE, D1, "5", FILEPATH, "text_encoder/model.safetensors") ","
        NOTED("application/vnd.docker.ai.model.file", D2, "6", FILEPATH,
              "tokenizer.json")), OCI_OK);
    build(NULL);
    expect_file("text_encoder/model.safetensors", H1, 0, 5, 1);
    expect_file("tokenizer.json", H2, 0, 6, 1);

    assert_int_equal(parse(
        DESC(GGUF, D1, "5") ","
        DESC("application/vnd.docker.ai.mmproj", D1, "6") ","
        DESC("application/vnd.docker.ai.chat.template.jinja", D2, "7") ","
        DESC("application/vnd.docker.ai.license", D2, "8") ","
        DESC("application/vnd.docker.ai.license", D2, "9") ","
        DESC("application/vnd.docker.ai.model.file", D2, "10")), OCI_OK);
    assert_int_equal(m.left_out, 1);
    build(NULL);
    assert_int_equal(table->count, 5);
    assert_int_equal(table->left_out, 1);
    expect_file("model.gguf", H1, 0, 5, 1);
    expect_file("mmproj.gguf", H1, 0, 6, 1);
    expect_file("chat_template.jinja", H2, 0, 7, 1);
    expect_file("LICENSE-00001-of-00002", H2, 0, 8, 1);
    expect_file("LICENSE-00002-of-00002", H2, 0, 9, 1);

    assert_int_equal(parse(
        DESC(SAFE, D1, "1") "," DESC(SAFE, D2, "2") ","
        DESC(SAFE, D1, "3")), OCI_OK);
    build(NULL);
    assert_int_equal(table->count, 3);
    expect_file("model-00001-of-00003.safetensors", H1, 0, 1, 1);
    expect_file("model-00002-of-00003.safetensors", H2, 0, 2, 1);
    expect_file("model-00003-of-00003.safetensors", H1, 0, 3, 1);
}


static void
test_ollama(void **state)
{
    (void) state;

    assert_int_equal(parse(
        DESC("application/vnd.ollama.image.model", D1, "5") ","
        DESC("application/vnd.ollama.image.params", D2, "6") ","
        DESC("application/vnd.ollama.image.tensor", D2, "7")), OCI_OK);
    build(NULL);
    assert_int_equal(table->count, 2);
    expect_file("model.gguf", H1, 0, 5, 1);
    expect_file("params.json", H2, 0, 6, 1);
}


/* what ORAS pushes: a file of any type has a title, a folder says so too */

static void
test_oras(void **state)
{
    (void) state;

    assert_int_equal(parse(
        NOTED(LAYER, D1, "5", TITLE, "model.gguf") ","
        NOTED("text/plain", D2, "6", TITLE, "dir/notes.txt") ","
        "{\"mediaType\":\"" LAYER "+gzip\",\"digest\":\"" D1 "\",\"size\":7,"
        "\"annotations\":{\"io.deis.oras.content.unpack\":\"true\","
        "\"" TITLE "\":\"folder\"}},"
        "{\"mediaType\":\"" LAYER "\",\"digest\":\"" D1 "\",\"size\":8,"
        "\"annotations\":{\"io.deis.oras.content.unpack\":\"true\","
        "\"" TITLE "\":\"plain\"}}"), OCI_OK);

    assert_int_equal(m.count, 4);
    assert_int_equal(m.packed, 1);
    assert_int_equal(m.tars, 1);
    assert_int_equal(m.layers[0].form, OCI_MODEL_RAW);
    assert_int_equal(m.layers[2].form, OCI_MODEL_PACKED);
    assert_int_equal(m.layers[3].form, OCI_MODEL_TAR);
}


static void
test_none(void **state)
{
    size_t  i;
    char    text[512];

    static const char *const  none[] = {
        DESC(LAYER, D1, "5"),                           /* an image */
        DESC(LAYER "+gzip", D1, "5"),
        DESC(RAW, D1, "5"),                             /* without a path */
        "",
        "{}", "1", "null",
        NOTED(RAW, "sha256:1", "5", FILEPATH, "a"),
        NOTED(RAW, "md5:" H1, "5", FILEPATH, "a"),
        NOTED(RAW, D1, "-1", FILEPATH, "a"),
        NOTED(RAW, D1, "1.5", FILEPATH, "a"),
        NOTED(RAW, D1, "\"5\"", FILEPATH, "a"),
        "{\"mediaType\":\"" RAW "\",\"digest\":\"" D1 "\",\"size\":1,"
        "\"annotations\":{\"" FILEPATH "\":1}}",
        "{\"mediaType\":\"" RAW "\",\"digest\":\"" D1 "\",\"size\":1,"
        "\"annotations\":\"" FILEPATH "\"}"
    };

    static const char *const  invalid[] = {
        "", "[]", "{", "{\"layers\":[],\"layers\":[]}", "\"x\""
    };

    (void) state;

    for (i = 0; i < sizeof(none) / sizeof(char *); i++) {
        if (parse(none[i]) == OCI_OK) {
            fail_msg("taken: %s", none[i]);
        }

        assert_non_null(reason);
    }

    for (i = 0; i < sizeof(invalid) / sizeof(char *); i++) {
        assert_int_equal(oci_model_parse(&m, (u_char *) (uintptr_t)
                                         invalid[i], strlen(invalid[i]),
                                         &reason), OCI_INVALID);
        assert_non_null(reason);
    }

    i = (size_t) snprintf(text, sizeof(text), "{\"manifests\":[%s]}",
                          NOTED(RAW, D1, "5", FILEPATH, "a"));
    assert_int_equal(oci_model_parse(&m, (u_char *) text, i, &reason),
                     OCI_NOT_FOUND);

    i = (size_t) snprintf(text, sizeof(text), "{\"layers\":{\"a\":[]}}");
    assert_int_equal(oci_model_parse(&m, (u_char *) text, i, &reason),
                     OCI_NOT_FOUND);
}


static void
test_hostile(void **state)
{
    size_t  i;
    char    layers[2048];

    static const char *const  paths[] = {
        "", "/abs", "../up", "a/../b", "a/..", "..", ".", "./a", "a//b", "a/",
        "a\\\\b", "a\\u0000b", "a\\nb", "a/\\u001fb", "\\u007f"
    };

    (void) state;

    for (i = 0; i < sizeof(paths) / sizeof(char *); i++) {
        (void) snprintf(layers, sizeof(layers),
                        "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":1,"
                        "\"annotations\":{\"%s\":\"%s\",\"%s\":\"good\"}},%s",
                        RAW, D1, FILEPATH, paths[i], TITLE,
                        NOTED(RAW, D2, "2", FILEPATH, "kept"));

        assert_int_equal(parse(layers), OCI_OK);
        assert_int_equal(m.left_out, 1);

        build(NULL);

        if (table->count != 1) {
            fail_msg("taken: %s", paths[i]);
        }

        assert_int_equal(table->left_out, 1);
        expect_path(0, "kept");
    }
}


static void
test_tar(void **state)
{
    oci_tar_t  *one, *two, *tars[2];

    static const char *const  names[] = { "b/c", "a", "config.json" };
    static const int64_t      sizes[] = { 100, 200, 0 };
    static const char *const  more[] = { "b/c", "b/d" };

    (void) state;

    assert_int_equal(parse(
        DESC(TAR, D1, "10240") ","
        DESC(GZIP, D1, "10240") "," DESC(ZSTD, D1, "10240") ","
        DESC(KITGZ, D1, "10240") ","
        NOTED(RAW, D2, "7", FILEPATH, "config.json") ","
        NOTED(KIT, D5, "4096", FILEPATH, "of no meaning")), OCI_OK);

    assert_int_equal(m.tars, 2);
    assert_int_equal(m.packed, 3);

    one = index_of(names, sizes, 3);
    one->left_out = 4;
    two = index_of(more, sizes, 2);
    tars[0] = one;
    tars[1] = two;

    build(tars);

    index_free(one);
    index_free(two);

    assert_int_equal(table->count, 4);
    assert_int_equal(table->packed, 3);
    assert_int_equal(table->left_out, 4);
    expect_path(0, "a");
    expect_path(1, "b/c");
    expect_path(2, "b/d");
    expect_path(3, "config.json");

    /* the later layer's wins, whatever its form */

    expect_file("a", H1, 1536, 200, 0);
    expect_file("b/c", H1 H2, 512, 100, 0);
    expect_file("b/d", H1 H2, 1536, 200, 0);
    expect_file("config.json", H2, 0, 7, 1);
}


static void
test_tar_missing(void **state)
{
    oci_tar_t          *tars[2];
    oci_model_table_t  *made;

    static const char *const  names[] = { "a" };
    static const int64_t      sizes[] = { 100 };

    (void) state;

    assert_int_equal(parse(DESC(TAR, D1, "700") "," DESC(TAR, D2, "700")),
                     OCI_OK);

    tars[0] = NULL;
    tars[1] = index_of(names, sizes, 1);

    assert_int_equal(oci_model_build(&m, tars, &made), OCI_OK);
    assert_int_equal(made->count, 1);
    assert_int_equal(made->left_out, 1);
    free(made);

    /* an index that reaches beyond what the manifest says */

    tars[1]->files[0].size = 700 - 512;
    assert_int_equal(oci_model_build(&m, tars, &made), OCI_OK);
    free(made);

    tars[1]->files[0].size++;
    assert_int_equal(oci_model_build(&m, tars, &made), OCI_RANGE);
    assert_null(made);

    tars[1]->files[0].size = 1;
    tars[1]->files[0].offset = 701;
    assert_int_equal(oci_model_build(&m, tars, &made), OCI_RANGE);

    index_free(tars[1]);
}


/* what would be below a file cannot be there for a client */

static void
test_conflicts(void **state)
{
    (void) state;

    assert_int_equal(parse(
        NOTED(RAW, D1, "1", FILEPATH, "a/b") ","
        NOTED(RAW, D1, "2", FILEPATH, "a") ","
        NOTED(RAW, D1, "3", FILEPATH, "a-b") ","
        NOTED(RAW, D1, "4", FILEPATH, "a/c/d") ","
        NOTED(RAW, D1, "5", FILEPATH, "a-b") ","
        NOTED(RAW, D1, "6", FILEPATH, "ab/c")), OCI_OK);
    build(NULL);

    assert_int_equal(table->count, 3);
    assert_int_equal(table->left_out, 2);
    expect_file("a", H1, 0, 2, 1);
    expect_file("a-b", H1, 0, 5, 1);
    expect_file("ab/c", H1, 0, 6, 1);
}


static void
test_find(void **state)
{
    size_t            first, last;
    oci_str_t         path;
    oci_model_file_t  file;

    (void) state;

    assert_int_equal(parse(
        NOTED(RAW, D1, "1", FILEPATH, "a-x") ","
        NOTED(RAW, D1, "2", FILEPATH, "a/b/c") ","
        NOTED(RAW, D1, "3", FILEPATH, "a/d") ","
        NOTED(RAW, D1, "4", FILEPATH, "a.x") ","
        NOTED(RAW, D1, "5", FILEPATH, "z")), OCI_OK);
    build(NULL);

    expect_path(0, "a/b/c");
    expect_path(1, "a/d");
    expect_path(2, "a-x");
    expect_path(3, "a.x");
    expect_path(4, "z");

    path = str("a");
    assert_int_equal(oci_model_find(table, &path, &file), OCI_EXISTS);
    assert_int_equal(oci_model_folder(table, &path, &first, &last), OCI_OK);
    assert_int_equal(first, 0);
    assert_int_equal(last, 2);

    path = str("a/b");
    assert_int_equal(oci_model_find(table, &path, &file), OCI_EXISTS);
    assert_int_equal(oci_model_folder(table, &path, &first, &last), OCI_OK);
    assert_int_equal(first, 0);
    assert_int_equal(last, 1);

    path = str("");
    assert_int_equal(oci_model_folder(table, &path, &first, &last), OCI_OK);
    assert_int_equal(first, 0);
    assert_int_equal(last, 5);

    path = str("a/d");
    assert_int_equal(oci_model_find(table, &path, &file), OCI_OK);
    assert_int_equal(file.size, 3);
    assert_int_equal(oci_model_folder(table, &path, &first, &last),
                     OCI_NOT_FOUND);

    path = str("a/");
    assert_int_equal(oci_model_find(table, &path, &file), OCI_NOT_FOUND);
    path = str("a/bb");
    assert_int_equal(oci_model_find(table, &path, &file), OCI_NOT_FOUND);
    path = str("zz");
    assert_int_equal(oci_model_find(table, &path, &file), OCI_NOT_FOUND);
    assert_int_equal(oci_model_folder(table, &path, &first, &last),
                     OCI_NOT_FOUND);
    path = str("");
    assert_int_equal(oci_model_find(table, &path, &file), OCI_NOT_FOUND);
}


static void
test_etag(void **state)
{
    u_char            one[OCI_MODEL_ETAG], two[OCI_MODEL_ETAG];
    oci_model_file_t  file;

    (void) state;

    memset(&file, 0, sizeof(file));
    assert_int_equal(oci_digest_parse(&file.digest, (u_char *) D1,
                                      sizeof(D1) - 1), OCI_OK);
    file.size = 5;
    file.whole = 1;

    assert_int_equal(oci_model_etag(&file, one), 64);
    assert_memory_equal(one, H1, 64);

    /* what has another sha256, or one that is not known, must not look so */

    file.whole = 0;
    assert_int_equal(oci_model_etag(&file, one), 40);

    file.offset = 1;
    assert_int_equal(oci_model_etag(&file, two), 40);
    assert_memory_not_equal(one, two, 40);

    file.offset = 0;
    file.size = 6;
    assert_int_equal(oci_model_etag(&file, two), 40);
    assert_memory_not_equal(one, two, 40);

    file.size = 5;
    assert_int_equal(oci_digest_parse(&file.digest, (u_char *) D2,
                                      sizeof(D2) - 1), OCI_OK);
    assert_int_equal(oci_model_etag(&file, two), 40);
    assert_memory_not_equal(one, two, 40);

    file.whole = 1;
    assert_int_equal(oci_digest_parse(&file.digest, (u_char *) D5,
                                      sizeof(D5) - 1), OCI_OK);
    assert_int_equal(oci_model_etag(&file, two), 40);
}


static void
test_limits(void **state)
{
    char               *text, *p;
    size_t              i;
    oci_tar_t           index, *tars[1];
    oci_model_table_t  *made;

    (void) state;

    /* one archive with all files that there may be, and one file beside it */

    assert_int_equal(parse(DESC(TAR, D1, "1024")), OCI_OK);

    memset(&index, 0, sizeof(index));
    index.files = calloc(OCI_MODEL_FILES_MAX, sizeof(oci_tar_file_t));
    index.names = malloc(1024);
    assert_non_null(index.files);
    assert_non_null(index.names);
    memset(index.names, 'n', 1024);
    index.count = OCI_MODEL_FILES_MAX;
    tars[0] = &index;

    for (i = 0; i < OCI_MODEL_FILES_MAX; i++) {
        index.files[i].name_len = 1 + i % 1024;
    }

    assert_int_equal(oci_model_build(&m, tars, &made), OCI_RANGE);

    index.count--;
    assert_int_equal(oci_model_build(&m, tars, &made), OCI_OK);
    assert_int_equal(made->count, 1024);
    free(made);
    oci_model_free(&m);

    oci_tar_free(&index);

    /* archives without an end */

    text = malloc((OCI_MODEL_TARS_MAX + 1) * 256);
    assert_non_null(text);

    p = text;

    for (i = 0; i <= OCI_MODEL_TARS_MAX; i++) {
        p += sprintf(p, "%s%s", i ? "," : "", DESC(TAR, D1, "1"));
    }

    assert_int_equal(parse(text), OCI_INVALID);

    *strrchr(text, '{') = '\0';
    text[strlen(text) - 1] = '\0';
    assert_int_equal(parse(text), OCI_OK);

    free(text);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_teardown(test_modelpack, teardown),
        cmocka_unit_test_teardown(test_keys, teardown),
        cmocka_unit_test_teardown(test_docker, teardown),
        cmocka_unit_test_teardown(test_ollama, teardown),
        cmocka_unit_test_teardown(test_oras, teardown),
        cmocka_unit_test_teardown(test_none, teardown),
        cmocka_unit_test_teardown(test_hostile, teardown),
        cmocka_unit_test_teardown(test_tar, teardown),
        cmocka_unit_test_teardown(test_tar_missing, teardown),
        cmocka_unit_test_teardown(test_conflicts, teardown),
        cmocka_unit_test_teardown(test_find, teardown),
        cmocka_unit_test_teardown(test_etag, teardown),
        cmocka_unit_test_teardown(test_limits, teardown),
    };

    return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
