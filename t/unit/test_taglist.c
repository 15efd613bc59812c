
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "manifest_fixture.h"
#include "oci_taglist.h"
#include "oci_tag.h"

#include <sys/stat.h>
#include <stdio.h>
#include <unistd.h>


static oci_repo_t  repo;


static int
setup(void **state)
{
    repo = fx_repo("", "some/repo");

    return fx_setup(state);
}


/* names separated by spaces as a run */

static size_t
run_of(u_char *run, const char *names)
{
    size_t       n;
    u_char      *p;
    const char  *end;

    p = run;

    while (*names) {
        end = strchr(names, ' ');
        n = end ? (size_t) (end - names) : strlen(names);

        *p++ = (u_char) n;
        memcpy(p, names, n);
        p += n;

        names += n + (end != NULL);
    }

    return (size_t) (p - run);
}


static void
test_read(void **state)
{
    char           path[OCI_PATH_MAX], dangling[OCI_PATH_MAX + 8];
    size_t         count, len;
    u_char         run[256];
    oci_text_t     text;
    oci_stamp_t    before, after;

    (void) state;

    assert_int_equal(oci_taglist_stat(&fx_store, &repo, &before),
                     OCI_NOT_FOUND);
    assert_int_equal(oci_taglist_read(&fx_store, &repo, 10, &text, &count),
                     OCI_NOT_FOUND);

    (void) fx_put(&repo, FX_MANIFEST, fx_empty(1), "b aa 1.2 B a _x");

    /* one that dangles, and what is no tag */

    (void) oci_path_tags(path, &fx_store, &repo);
    (void) snprintf(dangling, sizeof(dangling), "%s/ab", path);
    assert_int_equal(symlink("../_manifests/sha256/0", dangling), 0);
    (void) snprintf(dangling, sizeof(dangling), "%s/.x", path);
    assert_int_equal(symlink("../_manifests/sha256/0", dangling), 0);

    assert_int_equal(oci_taglist_read(&fx_store, &repo, 7, &text, &count),
                     OCI_OK);
    len = run_of(run, "1.2 B _x a aa b");
    assert_int_equal(count, 6);
    assert_int_equal(text.len, len);
    assert_memory_equal(text.data, run, len);
    free(text.data);

    /* all names count for the limit, as they all have to be looked at */

    assert_int_equal(oci_taglist_read(&fx_store, &repo, 6, &text, &count),
                     OCI_RANGE);

    /* a folder that has just changed has no stamp to rely on */

    assert_int_equal(oci_taglist_stat(&fx_store, &repo, &before), OCI_OK);
    assert_int_equal(oci_taglist_stat(&fx_store, &repo, &after), OCI_OK);
    assert_false(oci_stamp_equal(&before, &after));
}


static void
page(const char *names, const char *last, int64_t n, const char *want,
    const char *next, int full)
{
    size_t          len;
    u_char          run[256];
    oci_str_t       s;
    oci_list_t      list;
    oci_tagpage_t   p;

    s = fx_str(last);
    len = run_of(run, names);

    oci_tagpage_begin(&p, &repo, n);
    assert_int_equal(oci_tagpage_run(&p, &s, run, len), full);
    assert_int_equal(oci_tagpage_end(&p, &list, OCI_OK), OCI_OK);

    assert_int_equal(list.len, strlen(want) + 30);
    assert_memory_equal(list.body, "{\"name\":\"some/repo\",\"tags\":[", 28);
    assert_memory_equal(list.body + 28, want, strlen(want));
    assert_string_equal(list.next, next);

    free(list.body);
}


static void
test_page(void **state)
{
    (void) state;

    page("a b c", "", OCI_LIST_ALL, "\"a\",\"b\",\"c\"", "", 0);
    page("a b c", "", 3, "\"a\",\"b\",\"c\"", "", 0);
    page("a b c", "", 2, "\"a\",\"b\"", "b", 1);
    page("a b c", "a", 1, "\"b\"", "b", 1);
    page("a b c", "a", 2, "\"b\",\"c\"", "", 0);
    page("a b c", "aa", 1, "\"b\"", "b", 1);
    page("a b c", "c", 1, "", "", 0);
    page("a b c", "Z", 1, "\"a\"", "a", 1);
    page("a ab abc", "ab", 5, "\"abc\"", "", 0);
    page("a ab abc", "abb", 5, "\"abc\"", "", 0);
    page("a ab abc", "a-", 5, "\"ab\",\"abc\"", "", 0);

    /* nothing is asked for, so nothing follows */

    page("a b c", "", 0, "", "", 1);
    page("", "", 0, "", "", 0);
    page("", "", 5, "", "", 0);
}


static void
test_pieces(void **state)
{
    size_t          len;
    u_char          run[256];
    oci_str_t       none, last;
    oci_list_t      list;
    oci_tagpage_t   p;

    (void) state;

    none = fx_str("");
    last = fx_str("b");

    oci_tagpage_begin(&p, &repo, 3);

    len = run_of(run, "a b");
    assert_int_equal(oci_tagpage_run(&p, &none, run, len), 0);

    /* the next piece begins a little before where the first one ended */

    len = run_of(run, "b c d");
    assert_int_equal(oci_tagpage_run(&p, &last, run, len), 1);
    assert_int_equal(oci_tagpage_end(&p, &list, OCI_OK), OCI_OK);
    assert_string_equal(list.next, "c");
    assert_int_equal(list.len, 30 + 11);
    assert_memory_equal(list.body + 28, "\"a\",\"b\",\"c\"", 11);
    free(list.body);

    /* given up */

    oci_tagpage_begin(&p, &repo, 3);
    assert_int_equal(oci_tagpage_end(&p, NULL, OCI_AGAIN), OCI_AGAIN);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_setup_teardown(test_read, setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_page, setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_pieces, setup, fx_teardown),
    };

    return cmocka_run_group_tests(tests, fx_begin, fx_end);
}
