
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "manifest_fixture.h"
#include "oci_list.h"
#include "oci_names.h"
#include "oci_tag.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>


#define TAGS   100000
#define REPOS  2000


static oci_list_t  list;
static oci_repo_t  repo;


static int
setup(void **state)
{
    repo = fx_repo("", "some/repo");

    return fx_setup(state);
}


static double
now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (double) ts.tv_sec * 1e3 + (double) ts.tv_nsec / 1e6;
}


/* asserts a page of tags, written as the JSON array's inside */

static void
tags(const char *last, int64_t n, const char *want, const char *next)
{
    char       text[1024];
    oci_str_t  s;

    s = fx_str(last);

    assert_int_equal(oci_list_tags(&fx_store, &repo, &s, n, &list), OCI_OK);

    (void) snprintf(text, sizeof(text), "{\"name\":\"%.*s\",\"tags\":[%s]}",
                    (int) repo.name.len, (char *) repo.name.data, want);

    assert_int_equal(list.len, strlen(text));
    assert_memory_equal(list.body, text, list.len);
    assert_string_equal(list.next, next);

    free(list.body);
}


static void
catalog(const char *ns, const char *last, int64_t n, const char *want,
    const char *next)
{
    char       text[1024];
    oci_str_t  s, l;

    s = fx_str(ns);
    l = fx_str(last);

    assert_int_equal(oci_list_catalog(&fx_store, &s, &l, n, &list), OCI_OK);

    (void) snprintf(text, sizeof(text), "{\"repositories\":[%s]}", want);

    assert_int_equal(list.len, strlen(text));
    assert_memory_equal(list.body, text, list.len);
    assert_string_equal(list.next, next);

    free(list.body);
}


static oci_digest_t
push(const char *ns, const char *name, const char *list_of_tags)
{
    oci_repo_t  r;

    r = fx_repo(ns, name);

    return fx_put(&r, FX_MANIFEST, fx_empty(1), list_of_tags);
}


static void
test_names(void **state)
{
    char         name[16];
    size_t       i, limit;
    unsigned     x;
    oci_names_t  l;

    (void) state;

    for (limit = 1; limit < 200; limit += 37) {
        oci_names_init(&l, limit);
        x = 1;

        for (i = 0; i < 5000; i++) {
            x = (x * 1103 + 12345) % 5003;
            (void) snprintf(name, sizeof(name), "%06u", x);
            assert_int_equal(oci_names_add(&l, name), OCI_OK);
            assert_true(l.n <= 2 * limit + 2);
        }

        oci_names_sort(&l);
        assert_int_equal(l.n, limit);
        assert_non_null(l.bound);

        for (i = 1; i < l.n; i++) {
            assert_true(strcmp(l.names[i - 1], l.names[i]) <= 0);
        }

        assert_true(strcmp(l.names[limit - 1], "001000") < 0);

        oci_names_clear(&l);
        assert_null(l.bound);
        assert_int_equal(oci_names_add(&l, "x"), OCI_OK);
        oci_names_sort(&l);
        assert_int_equal(l.n, 1);
        assert_null(l.bound);
        oci_names_clear(&l);
    }
}


static void
test_tags(void **state)
{
    oci_str_t     s;
    oci_digest_t  d;

    (void) state;

    s = fx_str("");
    assert_int_equal(oci_list_tags(&fx_store, &repo, &s, OCI_LIST_ALL,
                                   &list),
                     OCI_NOT_FOUND);

    fx_put(&repo, FX_MANIFEST, fx_empty(1), "");
    tags("", OCI_LIST_ALL, "", "");
    tags("", 10, "", "");

    d = fx_put(&repo, FX_MANIFEST, fx_empty(1), "b a B _ 1.0 1.0-x 1 ab");

    tags("", OCI_LIST_ALL,
         "\"1\",\"1.0\",\"1.0-x\",\"B\",\"_\",\"a\",\"ab\",\"b\"", "");
    tags("", 100,
         "\"1\",\"1.0\",\"1.0-x\",\"B\",\"_\",\"a\",\"ab\",\"b\"", "");
    tags("", 8,
         "\"1\",\"1.0\",\"1.0-x\",\"B\",\"_\",\"a\",\"ab\",\"b\"", "");
    tags("", 7, "\"1\",\"1.0\",\"1.0-x\",\"B\",\"_\",\"a\",\"ab\"", "ab");
    tags("", 1, "\"1\"", "1");
    tags("", 0, "", "");
    tags("1", 2, "\"1.0\",\"1.0-x\"", "1.0-x");
    tags("ab", 2, "\"b\"", "");
    tags("b", 2, "", "");
    tags("b", 0, "", "");

    /* need not exist, need not even be one */

    tags("A", 1, "\"B\"", "B");
    tags("aa", OCI_LIST_ALL, "\"ab\",\"b\"", "");
    tags("zzz", OCI_LIST_ALL, "", "");
    tags("\x7f", OCI_LIST_ALL, "", "");
    tags("/", INT64_MAX, "\"1\",\"1.0\",\"1.0-x\",\"B\",\"_\",\"a\",\"ab\","
         "\"b\"", "");

    /* those without a manifest are none, and the page is filled up */

    s = fx_str("a");
    d.hex[0] = (d.hex[0] == '0' ? '1' : '0');
    assert_int_equal(oci_tag_set(&fx_store, &repo, &s, &d), OCI_OK);
    s = fx_str("1");
    assert_int_equal(oci_tag_set(&fx_store, &repo, &s, &d), OCI_OK);

    tags("", OCI_LIST_ALL,
         "\"1.0\",\"1.0-x\",\"B\",\"_\",\"ab\",\"b\"", "");
    tags("", 1, "\"1.0\"", "1.0");
    tags("_", 1, "\"ab\"", "ab");
    tags("_", 2, "\"ab\",\"b\"", "");

    s = fx_str("b");
    assert_int_equal(oci_tag_set(&fx_store, &repo, &s, &d), OCI_OK);
    tags("_", 1, "\"ab\"", "");
    tags("ab", 1, "", "");
}


static void
test_tags_longest(void **state)
{
    char  a[OCI_TAG_MAX + 1], b[OCI_TAG_MAX + 1], both[2 * OCI_TAG_MAX + 8];
    char  want[2 * OCI_TAG_MAX + 8], last[1000];

    (void) state;

    memset(a, 'x', OCI_TAG_MAX);
    a[OCI_TAG_MAX] = '\0';
    (void) strcpy(b, a);
    a[OCI_TAG_MAX - 1] = 'a';
    b[OCI_TAG_MAX - 1] = 'b';

    (void) snprintf(both, sizeof(both), "%s %s", a, b);
    fx_put(&repo, FX_MANIFEST, fx_empty(1), both);

    (void) snprintf(want, sizeof(want), "\"%s\",\"%s\"", a, b);
    tags("", OCI_LIST_ALL, want, "");
    (void) snprintf(want, sizeof(want), "\"%s\"", a);
    tags("", 1, want, a);
    (void) snprintf(want, sizeof(want), "\"%s\"", b);
    tags(a, 1, want, "");

    memset(last, 'x', sizeof(last) - 1);
    last[sizeof(last) - 1] = '\0';
    tags(last, 1, "", "");

    memset(last, 'w', sizeof(last) - 1);
    (void) snprintf(want, sizeof(want), "\"%s\",\"%s\"", a, b);
    tags(last, 2, want, "");
}


static void
test_tags_namespace(void **state)
{
    (void) state;

    repo = fx_repo("host.example:5000", "a/b");
    push("host.example:5000", "a/b", "t");
    tags("", OCI_LIST_ALL, "\"t\"", "");
}


/* a page of a very large repository: little memory, no time to speak of */

static void
test_tags_many(void **state)
{
    int            page;
    char           target[OCI_PATH_MAX], path[OCI_PATH_MAX], name[32];
    double         start, best, took;
    size_t         i, seen;
    oci_str_t      s;
    oci_digest_t   d;
    struct rusage  before, after;

    (void) state;

    d = fx_put(&repo, FX_MANIFEST, fx_empty(1), "a");
    oci_path_tag_target(target, &d);

    for (i = 0; i < TAGS - 1; i++) {
        (void) snprintf(name, sizeof(name), "v%zu", (i * 7919) % 1000003);
        s = fx_str(name);
        oci_path_tag(path, &fx_store, &repo, &s);
        assert_int_equal(symlink(target, path), 0);
    }

    assert_int_equal(getrusage(RUSAGE_SELF, &before), 0);

    best = 1e9;
    s = fx_str("");

    for (i = 0; i < 5; i++) {
        start = now();
        assert_int_equal(oci_list_tags(&fx_store, &repo, &s, 100, &list),
                         OCI_OK);
        took = now() - start;
        best = took < best ? took : best;
        free(list.body);
    }

    print_message("first page of %d tags: %.1f ms\n", TAGS, best);

    assert_int_equal(getrusage(RUSAGE_SELF, &after), 0);
    assert_true(after.ru_maxrss - before.ru_maxrss < 4096);

    start = now();
    assert_int_equal(oci_list_tags(&fx_store, &repo, &s, OCI_LIST_ALL, &list),
                     OCI_OK);
    print_message("all of %d tags: %.1f ms\n", TAGS, now() - start);
    assert_string_equal(list.next, "");

    seen = 0;

    for (i = 0; i < list.len; i++) {
        seen += (list.body[i] == ',');
    }

    assert_int_equal(seen, TAGS);       /* and one behind the name */
    free(list.body);

    /* pages hold the same, each once */

    seen = 0;
    (void) strcpy(name, "");

    for (page = 0; page < 100; page++) {
        s = fx_str(name);
        assert_int_equal(oci_list_tags(&fx_store, &repo, &s, 9999, &list),
                         OCI_OK);

        for (i = 0; i < list.len; i++) {
            seen += (list.body[i] == ',');
        }

        free(list.body);

        if (list.next[0] == '\0') {
            break;
        }

        assert_true(strcmp(list.next, name) > 0);
        (void) strcpy(name, list.next);
    }

    assert_int_equal(page, 10);
    assert_int_equal(seen, TAGS);
}


static void
test_catalog(void **state)
{
    char         path[OCI_PATH_MAX];
    oci_repo_t   r;
    oci_digest_t d;

    (void) state;

    catalog("", "", OCI_LIST_ALL, "", "");
    catalog("none", "", OCI_LIST_ALL, "", "");

    push("", "a/b", "");
    push("", "a-b", "");
    push("", "a", "");
    push("", "a.b/c", "");
    push("", "a0", "");
    push("", "a_b", "");
    push("", "a/b/c", "");
    push("ns", "z", "");
    push("ns", "y/y", "");

    /* a blob alone makes no entry, nor does a manifest that was deleted */

    r = fx_repo("", "blob/only");
    fx_blob(&r, "x");
    d = push("", "deleted", "t");
    r = fx_repo("", "deleted");
    assert_int_equal(oci_manifest_delete(&fx_store, &r, &d), OCI_OK);

    catalog("", "", OCI_LIST_ALL,
            "\"a\",\"a-b\",\"a.b/c\",\"a/b\",\"a/b/c\",\"a0\",\"a_b\"", "");
    catalog("", "", 7,
            "\"a\",\"a-b\",\"a.b/c\",\"a/b\",\"a/b/c\",\"a0\",\"a_b\"", "");
    catalog("", "", 3, "\"a\",\"a-b\",\"a.b/c\"", "a.b/c");
    catalog("", "a.b/c", 3, "\"a/b\",\"a/b/c\",\"a0\"", "a0");
    catalog("", "a0", 3, "\"a_b\"", "");
    catalog("", "a/b", 1, "\"a/b/c\"", "a/b/c");
    catalog("", "a/b/", 1, "\"a/b/c\"", "a/b/c");
    catalog("", "a/", 1, "\"a/b\"", "a/b");
    catalog("", "a/a/x", 1, "\"a/b\"", "a/b");
    catalog("", "a/c", 1, "\"a0\"", "a0");
    catalog("", "a/b/c/d", 1, "\"a0\"", "a0");
    catalog("", "zz", 1, "", "");
    catalog("", "", 0, "", "");
    catalog("ns", "", OCI_LIST_ALL, "\"y/y\",\"z\"", "");
    catalog("ns", "y", 1, "\"y/y\"", "y/y");

    (void) snprintf(path, sizeof(path), "%s/repositories/LOST+found",
                    fx_store.root);
    assert_int_equal(mkdir(path, 0755), 0);
    catalog("", "a_", OCI_LIST_ALL, "\"a_b\"", "");
}


static void
test_longest(void **state)
{
    char        name[OCI_NAME_MAX + 1], ns[OCI_NAMESPACE_MAX + 1];
    char        next[OCI_NAME_MAX + OCI_NAMESPACE_MAX + 3];
    char        want[OCI_NAME_MAX + 3], path[OCI_PATH_MAX];
    oci_repo_t  r;

    (void) state;

    memset(ns, 'n', OCI_NAMESPACE_MAX);
    ns[OCI_NAMESPACE_MAX] = '\0';

    memset(name, 'a', OCI_NAME_MAX);
    name[OCI_NAME_MAX] = '\0';
    name[100] = '/';
    name[OCI_NAME_MAX - 2] = '/';

    push(ns, name, "");

    (void) snprintf(want, sizeof(want), "\"%s\"", name);
    catalog(ns, "", OCI_LIST_ALL, want, "");
    catalog(ns, name, OCI_LIST_ALL, "", "");

    assert_int_equal(oci_list_next(&fx_store, "", next), OCI_OK);
    assert_int_equal(strlen(next), OCI_NAME_MAX + OCI_NAMESPACE_MAX + 2);
    oci_list_repo(next, &r);
    assert_int_equal(r.ns.len, OCI_NAMESPACE_MAX);
    assert_int_equal(r.name.len, OCI_NAME_MAX);
    assert_memory_equal(r.name.data, name, OCI_NAME_MAX);
    assert_int_equal(oci_list_next(&fx_store, next, next), OCI_NOT_FOUND);

    /* folders below it are too long to be repositories */

    r = fx_repo(ns, name);
    oci_path_repo(path, &fx_store, &r);
    (void) strcat(path, "/b");
    assert_int_equal(mkdir(path, 0755), 0);
    (void) strcat(path, "/_manifests");
    assert_int_equal(mkdir(path, 0755), 0);
    (void) strcat(path, "/sha256");
    assert_int_equal(mkdir(path, 0755), 0);
    (void) strcat(path, "/x");
    assert_int_equal(mkdir(path, 0755), 0);
    catalog(ns, "", OCI_LIST_ALL, want, "");
    (void) snprintf(path, sizeof(path), "@%s/%s", ns, name);
    assert_int_equal(oci_list_next(&fx_store, path, next), OCI_NOT_FOUND);
}


static char      seen[16][64];
static unsigned  nseen;
static int       stop;


static int
note(const oci_store_t *s, const oci_repo_t *r, void *data)
{
    (void) s;

    assert_ptr_equal(data, &nseen);
    assert_true(nseen < 16);

    (void) snprintf(seen[nseen++], sizeof(seen[0]), "%.*s|%.*s",
                    (int) r->ns.len, (char *) r->ns.data,
                    (int) r->name.len, (char *) r->name.data);

    return nseen == (unsigned) stop ? OCI_CONFLICT : OCI_OK;
}


static int
was_seen(const char *what)
{
    unsigned  i, n;

    n = 0;

    for (i = 0; i < nseen; i++) {
        n += (strcmp(seen[i], what) == 0);
    }

    return n == 1;
}


static void
test_walk(void **state)
{
    oci_str_t   ns;
    oci_repo_t  r;

    (void) state;

    nseen = 0;
    stop = 0;
    assert_int_equal(oci_list_walk(&fx_store, NULL, note, &nseen), OCI_OK);
    assert_int_equal(nseen, 0);

    push("", "a/b", "");
    push("", "a", "");
    push("ns", "a/b", "");
    r = fx_repo("other", "x/y/z");
    fx_blob(&r, "x");

    assert_int_equal(oci_list_walk(&fx_store, NULL, note, &nseen), OCI_OK);
    assert_int_equal(nseen, 4);
    assert_true(was_seen("|a"));
    assert_true(was_seen("|a/b"));
    assert_true(was_seen("ns|a/b"));
    assert_true(was_seen("other|x/y/z"));

    nseen = 0;
    ns = fx_str("");
    assert_int_equal(oci_list_walk(&fx_store, &ns, note, &nseen), OCI_OK);
    assert_int_equal(nseen, 2);
    assert_true(was_seen("|a") && was_seen("|a/b"));

    nseen = 0;
    ns = fx_str("other");
    assert_int_equal(oci_list_walk(&fx_store, &ns, note, &nseen), OCI_OK);
    assert_int_equal(nseen, 1);
    assert_true(was_seen("other|x/y/z"));

    nseen = 0;
    ns = fx_str("none");
    assert_int_equal(oci_list_walk(&fx_store, &ns, note, &nseen), OCI_OK);
    assert_int_equal(nseen, 0);

    stop = 2;
    assert_int_equal(oci_list_walk(&fx_store, NULL, note, &nseen),
                     OCI_CONFLICT);
    assert_int_equal(nseen, 2);
}


static void
test_next(void **state)
{
    char        next[OCI_NAME_MAX + OCI_NAMESPACE_MAX + 3];
    size_t      i;
    oci_repo_t  r;
    static const char  *want[] = {
        "0", "@a-b/x", "@a/x", "@a/x/y", "a", "a-b", "a/b", "a0"
    };

    (void) state;

    assert_int_equal(oci_list_next(&fx_store, "", next), OCI_NOT_FOUND);

    push("", "a/b", "");
    push("", "a-b", "");
    push("", "a", "");
    push("", "a0", "");
    push("", "0", "");
    push("a", "x/y", "");
    push("a-b", "x", "");
    r = fx_repo("a", "x");
    fx_blob(&r, "x");

    next[0] = '\0';

    for (i = 0; i < sizeof(want) / sizeof(char *); i++) {
        assert_int_equal(oci_list_next(&fx_store, next, next), OCI_OK);
        assert_string_equal(next, want[i]);
    }

    assert_int_equal(oci_list_next(&fx_store, next, next), OCI_NOT_FOUND);

    /* after one that is gone */

    assert_int_equal(oci_list_next(&fx_store, "a/a/a", next), OCI_OK);
    assert_string_equal(next, "a/b");
    assert_int_equal(oci_list_next(&fx_store, "@", next), OCI_OK);
    assert_string_equal(next, "@a-b/x");
    assert_int_equal(oci_list_next(&fx_store, "@a/x/y/z", next), OCI_OK);
    assert_string_equal(next, "a");

    oci_list_repo("@a/x/y", &r);
    assert_int_equal(r.ns.len, 1);
    assert_int_equal(r.name.len, 3);
    assert_memory_equal(r.name.data, "x/y", 3);
    oci_list_repo("x/y", &r);
    assert_int_equal(r.ns.len, 0);
    assert_int_equal(r.name.len, 3);
}


/* a pass over many repositories, in one folder and in many */

static void
test_next_many(void **state)
{
    char      path[OCI_PATH_MAX], before[512], next[512];
    double    start;
    size_t    i, n;

    (void) state;

    for (i = 0; i < 2 * REPOS; i++) {

        if (i < REPOS) {
            (void) snprintf(path, sizeof(path), "%s/repositories/flat/r%zu/"
                            "_manifests/sha256/x", fx_store.root, i);
        } else {
            (void) snprintf(path, sizeof(path), "%s/repositories/deep/g%zu/"
                            "h%zu/r%zu/_manifests/sha256/x", fx_store.root,
                            i % 20, i % 7, i);
        }

        assert_int_equal(oci_dir_make(&fx_store, path), OCI_OK);
    }

    before[0] = '\0';
    n = 0;
    start = now();

    while (oci_list_next(&fx_store, before, next) == OCI_OK) {
        assert_true(strcmp(next, before) > 0);
        (void) strcpy(before, next);
        n++;
    }

    print_message("oci_list_next() over %zu repositories: %.0f ms\n", n,
                  now() - start);
    assert_int_equal(n, 2 * REPOS);

    before[0] = '\0';
    n = 0;

    do {
        oci_str_t  ns, last;

        ns = fx_str("");
        last = fx_str(before);

        assert_int_equal(oci_list_catalog(&fx_store, &ns, &last, 100000,
                                          &list),
                         OCI_OK);

        for (i = 0; i < list.len; i++) {
            n += (list.body[i] == '/');
        }

        free(list.body);
        (void) strcpy(before, list.next);

    } while (before[0] != '\0');

    /* one slash in "flat/r1", three in "deep/g1/h1/r1" */

    assert_int_equal(n, 4 * REPOS);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test_setup_teardown(test_tags, setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_tags_longest, setup,
                                        fx_teardown),
        cmocka_unit_test_setup_teardown(test_tags_namespace, setup,
                                        fx_teardown),
        cmocka_unit_test_setup_teardown(test_tags_many, setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_catalog, setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_longest, setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_walk, setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_next, setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_next_many, setup, fx_teardown)
    };

    return cmocka_run_group_tests(tests, fx_begin, fx_end);
}
