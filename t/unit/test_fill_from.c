
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "fill_help.h"
#include "oci_blob.h"
#include "oci_fill_from.h"
#include "oci_path.h"

#include <unistd.h>


#define FROM_UPSTREAM  "https://registry.example:8443/prefix"


static void from_of(oci_fill_from_t *from, oci_str_t *upstream,
    const char *ns);
static void from_age(oci_store_t *s, oci_digest_t *d);
static void from_write(oci_store_t *s, oci_digest_t *d, const char *text);
static int from_left(oci_store_t *s, int64_t reserve, oci_fill_left_t *left,
    unsigned max);
static void from_is(const oci_str_t *s, const char *text);


static void
test_left(void **state)
{
    oci_str_t         upstream = oci_string(FROM_UPSTREAM);
    oci_store_t       s;
    oci_digest_t      d;
    oci_fill_file_t   f;
    oci_fill_from_t   from;
    oci_fill_left_t   left[2];

    (void) state;

    help_store_open(&s, 0);
    fill_blob(&d, 21);
    fill_open(&f, &s, &d);
    fill_put(&f, 0, FILL_CHUNK);
    fill_put(&f, 3, 100);

    from_of(&from, &upstream, "ns.example");
    assert_int_equal(oci_fill_from_put(&f, &from), OCI_OK);
    assert_true(fill_exists(&s, &d, "from"));
    assert_false(fill_exists(&s, &d, "from.tmp"));

    /* somebody has it open; then it is too young; then it is one */

    from_age(&s, &d);
    assert_int_equal(from_left(&s, 0, left, 2), 0);
    oci_fill_close(&f);
    assert_int_equal(from_left(&s, 0, left, 2), 1);

    assert_true(oci_digest_equal(&left[0].digest, &d));
    assert_int_equal(left[0].total, FILL_CHUNK + 100);
    from_is(&left[0].from.upstream, FROM_UPSTREAM);
    from_is(&left[0].from.remote, "library/app");
    from_is(&left[0].from.repo.ns, "ns.example");
    from_is(&left[0].from.repo.name, "app");

    fill_open(&f, &s, &d);
    fill_put(&f, 5, 1);
    oci_fill_close(&f);
    assert_int_equal(from_left(&s, 0, left, 2), 0);

    /* all of it goes */

    from_age(&s, &d);
    assert_int_equal(oci_fill_expire(&s, 3, 10), 1);
    assert_false(fill_exists(&s, &d, NULL));
    assert_int_equal(from_left(&s, 0, left, 2), 0);

    help_store_close(&s);
}


static void
test_ended(void **state)
{
    oci_str_t         upstream = oci_string(FROM_UPSTREAM);
    oci_repo_t        r;
    oci_store_t       s;
    oci_digest_t      d;
    oci_fill_file_t   f;
    oci_fill_from_t   from;
    oci_fill_left_t   left[2];

    (void) state;

    help_store_open(&s, 0);
    fill_blob(&d, 22);
    r = help_repo("", "app");
    from_of(&from, &upstream, "");

    /* verified, and killed before it was linked: it is still one */

    fill_open(&f, &s, &d);
    assert_int_equal(oci_fill_from_put(&f, &from), OCI_OK);
    fill_put_all(&f);
    assert_int_equal(fill_verify(&f), OCI_OK);
    oci_fill_close(&f);
    from_age(&s, &d);
    assert_int_equal(from_left(&s, 0, left, 2), 1);
    assert_int_equal(left[0].from.repo.ns.len, 0);
    assert_int_equal(left[0].total, FILL_SIZE);

    /* linked, and killed before it was removed: it goes */

    fill_open(&f, &s, &d);
    assert_int_equal(oci_fill_finish(&f, &r, 0), OCI_OK);
    oci_fill_close(&f);
    assert_true(fill_exists(&s, &d, "map"));
    from_age(&s, &d);
    assert_int_equal(from_left(&s, 0, left, 2), 0);
    assert_false(fill_exists(&s, &d, NULL));

    help_store_close(&s);
}


static void
test_room(void **state)
{
    char              path[OCI_PATH_MAX];
    oci_str_t         upstream = oci_string(FROM_UPSTREAM);
    oci_store_t       s;
    oci_digest_t      d;
    oci_fill_file_t   f;
    oci_fill_from_t   from;
    oci_fill_left_t   left[2];

    (void) state;

    help_store_open(&s, 0);
    fill_blob(&d, 23);
    from_of(&from, &upstream, "");
    fill_open(&f, &s, &d);
    assert_int_equal(oci_fill_from_put(&f, &from), OCI_OK);
    oci_fill_close(&f);

    /* with its blocks it needs no more room, without them it does */

    from_age(&s, &d);
    assert_int_equal(from_left(&s, (int64_t) 1 << 55, left, 2), 1);

    oci_path_fill(path, &s, &d, "data");
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(truncate(path, FILL_SIZE), 0);
    from_age(&s, &d);
    assert_int_equal(from_left(&s, (int64_t) 1 << 55, left, 2), 0);

    /* and takes them again where there is some */

    assert_int_equal(from_left(&s, 0, left, 2), 1);
    from_age(&s, &d);
    assert_int_equal(from_left(&s, (int64_t) 1 << 55, left, 2), 1);

    help_store_close(&s);
}


static void
test_texts(void **state)
{
    oci_str_t         upstream = oci_string(FROM_UPSTREAM);
    oci_store_t       s;
    oci_digest_t      d;
    oci_fill_file_t   f;
    oci_fill_from_t   from;
    oci_fill_left_t   left[2];
    unsigned          i;

    static const char *const  bad[] = {
        "",
        "oci-fill-from 2\nhttp://a:80\na\n\na\n",
        "oci-fill-from 1\nhttp://a:80\na\n\n",
        "oci-fill-from 1\nhttp://a:80\na\n\na",
        "oci-fill-from 1\nhttp://a:80\na\n\na\nb\n",
        "oci-fill-from 1\n\na\n\na\n",
        "oci-fill-from 1\nhttp://a:80\na\n\n../../x\n",
        "oci-fill-from 1\nhttp://a:80\n../a\n\na\n",
        "oci-fill-from 1\nhttp://a:80\na\n..\na\n",
        "oci-fill-from 1\nhttp://a:80\na\na/b\na\n",
        "oci-fill-from 1\nhttp://a:80\na\n\nA\n"
    };

    (void) state;

    help_store_open(&s, 0);
    fill_blob(&d, 24);
    fill_open(&f, &s, &d);

    from_of(&from, &upstream, "");
    from.remote.data = (u_char *) "two\nlines";
    from.remote.len = 9;
    assert_int_equal(oci_fill_from_put(&f, &from), OCI_INVALID);
    from.remote.len = OCI_FILL_FROM_MAX;
    assert_int_equal(oci_fill_from_put(&f, &from), OCI_INVALID);
    assert_false(fill_exists(&s, &d, "from"));

    oci_fill_close(&f);
    from_age(&s, &d);
    assert_int_equal(from_left(&s, 0, left, 2), 0);

    from_write(&s, &d, "oci-fill-from 1\nhttp://a:80\na\n\na\n");
    assert_int_equal(from_left(&s, 0, left, 2), 1);

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        from_write(&s, &d, bad[i]);
        assert_int_equal(from_left(&s, 0, left, 2), 0);
    }

    help_store_close(&s);
}


static void
test_many(void **state)
{
    int               n, all;
    unsigned          i, cursor;
    oci_str_t         upstream = oci_string(FROM_UPSTREAM);
    oci_store_t       s;
    oci_digest_t      d;
    oci_fill_file_t   f;
    oci_fill_from_t   from;
    oci_fill_left_t   left[2];

    (void) state;

    help_store_open(&s, 0);
    from_of(&from, &upstream, "");

    for (i = 0; i < 5; i++) {
        fill_blob(&d, 30 + i);
        fill_open(&f, &s, &d);
        assert_int_equal(oci_fill_from_put(&f, &from), OCI_OK);
        oci_fill_close(&f);
        from_age(&s, &d);
    }

    /* two at a time, each of them once, and from the start again */

    cursor = 0;
    all = 0;

    do {
        n = oci_fill_left(&s, 3, 0, &cursor, left, 2);
        assert_in_range(n, 0, 2);
        all += n;
    } while (cursor);

    assert_int_equal(all, 5);
    assert_int_equal(oci_fill_left(&s, 3, 0, &cursor, left, 2), 2);

    help_store_close(&s);
}


static void
from_of(oci_fill_from_t *from, oci_str_t *upstream, const char *ns)
{
    from->upstream = *upstream;
    from->remote.data = (u_char *) "library/app";
    from->remote.len = sizeof("library/app") - 1;
    from->repo = help_repo(ns, "app");
}


/* nothing has come for a while */

static void
from_age(oci_store_t *s, oci_digest_t *d)
{
    char  path[OCI_PATH_MAX];

    oci_path_fill(path, s, d, "data");
    help_make_old(path, 10);
}


static void
from_write(oci_store_t *s, oci_digest_t *d, const char *text)
{
    char  path[OCI_PATH_MAX];

    oci_path_fill(path, s, d, "from");
    help_write(path, text, strlen(text));
}


static int
from_left(oci_store_t *s, int64_t reserve, oci_fill_left_t *left,
    unsigned max)
{
    unsigned  cursor;

    cursor = 0;

    return oci_fill_left(s, 3, reserve, &cursor, left, max);
}


static void
from_is(const oci_str_t *s, const char *text)
{
    assert_int_equal(s->len, strlen(text));
    assert_memory_equal(s->data, text, s->len);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_left),
        cmocka_unit_test(test_ended),
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_many)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
