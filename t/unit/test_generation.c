
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "store_help.h"
#include "oci_generation.h"
#include "oci_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>


#define BOOT_A  "11111111-2222-3333-4444-555555555555"
#define BOOT_B  "66666666-7777-8888-9999-aaaaaaaaaaaa"


typedef struct {
    char         *root;
    oci_repo_t   *r;
    unsigned      n;
} raise_t;


static int raise_elsewhere(void *data);
static int clean_elsewhere(void *data);
static void remove_file(void *data);
static void replace_file(void *data);
static void run_path(char *path, const oci_store_t *s, const char *name);


static void
test_counters(void **state)
{
    uint64_t      before;
    raise_t       t;
    unsigned      i, differ;
    char          name[16];
    oci_repo_t    a, b, r;
    oci_store_t   s, other;

    (void) state;

    help_store_open(&s, 0);
    assert_int_equal(oci_store_open(&other, s.root, 0), OCI_OK);
    assert_ptr_not_equal((void *) s.counters, (void *) other.counters);

    a = help_repo("", "library/a");
    b = help_repo("n", "library/a");

    before = oci_generation_read(&s, &a);
    oci_generation_raise(&other, &a);
    assert_int_equal(oci_generation_read(&s, &a), before + 1);
    assert_int_equal(oci_generation_read(&other, &a), before + 1);

    /* the namespace counts, and where it ends */

    assert_int_equal(oci_generation_read(&s, &b), 0);
    oci_generation_raise(&s, &b);
    assert_int_equal(oci_generation_read(&s, &b), 1);
    assert_int_equal(oci_generation_read(&s, &a), before + 1);

    /* names spread over the counters */

    differ = 0;

    for (i = 0; i < 500; i++) {
        (void) snprintf(name, sizeof(name), "repo%u", i);
        r = help_repo("x", name);

        differ += (oci_generation_read(&s, &r) == 0);
        oci_generation_raise(&s, &r);
        assert_true(oci_generation_read(&s, &r) > 0);
    }

    assert_true(differ > 420);

    /* other processes */

    t.root = s.root;
    t.r = &a;
    t.n = 1;
    assert_int_equal(help_fork(raise_elsewhere, &t), 0);
    assert_int_equal(oci_generation_read(&s, &a), before + 2);

    before = oci_generation_read(&s, &b);
    oci_generation_raise_all(&other);
    assert_int_equal(oci_generation_read(&s, &b), before + 1);

    oci_store_close(&other);

    /* and it stays when everybody but one has left and come again */

    assert_int_equal(oci_store_open(&other, s.root, 0), OCI_OK);
    assert_int_equal(oci_generation_read(&other, &a), before + 2);
    oci_store_close(&other);

    help_store_close(&s);
}


static void
test_no_raise_is_lost(void **state)
{
    int          status;
    pid_t        pid[4];
    size_t       i;
    raise_t      t;
    oci_repo_t   a;
    oci_store_t  s;

    (void) state;

    help_store_open(&s, 0);
    a = help_repo("", "a");

    t.root = s.root;
    t.r = &a;
    t.n = 50000;

    for (i = 0; i < 4; i++) {
        pid[i] = fork();
        assert_int_not_equal(pid[i], -1);

        if (pid[i] == 0) {
            _exit(raise_elsewhere(&t));
        }
    }

    for (i = 0; i < 4; i++) {
        assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
        assert_int_equal(status, 0);
    }

    assert_int_equal(oci_generation_read(&s, &a), 200000);

    help_store_close(&s);
}


static void
test_boots(void **state)
{
    char         path[OCI_PATH_MAX], own[OCI_BOOT_ID_LEN + 1];
    oci_repo_t   a;
    oci_store_t  s, live;

    (void) state;

    help_store_open(&s, 0);
    a = help_repo("", "a");
    oci_generation_raise(&s, &a);
    strcpy(own, s.boot_id);

    /* another machine, or another boot: counters of its own */

    live = s;
    strcpy(live.boot_id, BOOT_A);
    assert_int_equal(oci_generation_map(&live), OCI_OK);
    assert_int_equal(oci_generation_read(&live, &a), 0);

    /* its file is in use, so nobody takes it away */

    assert_int_equal(oci_generation_alive(&s, BOOT_A), 1);
    assert_int_equal(oci_generation_alive(&s, BOOT_B), 0);
    assert_int_equal(oci_generation_alive(&s, own), 1);
    assert_int_equal(oci_generation_alive(&live, own), 1);
    assert_int_equal(oci_generation_alive(&s, "collect"), 0);
    assert_int_equal(oci_generation_alive(&s, ""), 0);

    run_path(path, &s, "collect");
    help_write(path, "", 0);
    run_path(path, &s, BOOT_B);
    help_write(path, "", 0);

    assert_int_equal(help_fork(clean_elsewhere, s.root), 0);

    assert_false(help_exists(path));
    run_path(path, &s, BOOT_A);
    assert_true(help_exists(path));
    run_path(path, &s, own);
    assert_true(help_exists(path));
    run_path(path, &s, "collect");
    assert_true(help_exists(path));

    /* not after its last mapping went */

    oci_generation_unmap(&live);
    assert_int_equal(oci_generation_alive(&s, BOOT_A), 0);
    assert_int_equal(help_fork(clean_elsewhere, s.root), 0);
    run_path(path, &s, BOOT_A);
    assert_false(help_exists(path));

    assert_int_equal(oci_generation_read(&s, &a), 1);

    help_store_close(&s);
}


/* another machine removes our file between its making and its lock */

static void
test_removed(void **state)
{
    char         path[OCI_PATH_MAX];
    struct stat  st;
    oci_repo_t   a;
    oci_store_t  s, other;

    (void) state;

    help_store_open(&s, 0);
    a = help_repo("", "a");
    oci_generation_unmap(&s);

    run_path(path, &s, s.boot_id);
    help_before("fcntl", "/run/", remove_file, path);

    assert_int_equal(oci_generation_map(&s), OCI_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, OCI_GENERATION_COUNTERS * 8);
    assert_int_equal(oci_generation_alive(&s, s.boot_id), 1);

    /* and its next process has made another one already */

    oci_generation_unmap(&s);
    help_before("fcntl", "/run/", replace_file, path);
    assert_int_equal(oci_generation_map(&s), OCI_OK);
    assert_int_equal(oci_store_open(&other, s.root, 0), OCI_OK);
    oci_generation_raise(&other, &a);
    assert_int_equal(oci_generation_read(&s, &a), 1);
    oci_store_close(&other);

    help_store_close(&s);
}


static void
test_no_map(void **state)
{
    char         path[OCI_PATH_MAX];
    oci_repo_t   a;
    oci_store_t  s, other;

    (void) state;

    help_store_open(&s, 0);
    a = help_repo("", "a");
    oci_generation_unmap(&s);
    oci_generation_unmap(&s);

    run_path(path, &s, s.boot_id);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);

    assert_int_equal(oci_generation_map(&s), OCI_ERROR);
    assert_int_equal(errno, EISDIR);
    assert_null((void *) s.counters);

    oci_generation_raise(&s, &a);
    assert_int_equal(oci_generation_read(&s, &a), 0);

    /* the store opens nonetheless */

    assert_int_equal(oci_store_open(&other, s.root, 0), OCI_OK);
    assert_null((void *) other.counters);
    assert_int_equal(rmdir(path), 0);

    help_fail("ftruncate", "/run/", ENOSPC, 1);
    assert_int_equal(oci_generation_map(&s), OCI_ERROR);
    assert_int_equal(errno, ENOSPC);
    assert_null((void *) s.counters);

    /* a file system without locks */

    help_fail("fcntl", "/run/", ENOLCK, 100);
    assert_int_equal(oci_generation_map(&s), OCI_OK);
    oci_generation_raise(&s, &a);
    assert_int_equal(oci_generation_read(&s, &a), 1);

    help_store_close(&s);
}


static void
test_span(void **state)
{
    raise_t                 t;
    oci_repo_t              a, b;
    oci_store_t             s;
    oci_generation_span_t   span;

    (void) state;

    help_store_open(&s, 0);
    a = help_repo("", "a");
    b = help_repo("", "b");

    oci_generation_raise(&s, &a);
    oci_generation_raise(&s, &a);

    /* none */

    oci_generation_span_start();
    assert_int_equal(oci_generation_span(&s, &a, &span), 0);

    /* alone */

    oci_generation_raise(&s, &a);
    assert_int_equal(oci_generation_span(&s, &a, &span), 1);
    assert_int_equal(span.before, 2);
    assert_int_equal(span.after, 3);
    assert_int_equal(oci_generation_span(&s, &b, &span), 0);

    oci_generation_raise(&s, &a);
    oci_generation_raise(&s, &a);
    assert_int_equal(oci_generation_span(&s, &a, &span), 1);
    assert_int_equal(span.before, 2);
    assert_int_equal(span.after, 5);

    /* somebody else raised it before, and after: no matter */

    t.root = s.root;
    t.r = &a;
    t.n = 1;
    assert_int_equal(help_fork(raise_elsewhere, &t), 0);
    oci_generation_span_start();
    oci_generation_raise(&s, &a);
    oci_generation_raise(&s, &a);
    assert_int_equal(help_fork(raise_elsewhere, &t), 0);
    assert_int_equal(oci_generation_span(&s, &a, &span), 1);
    assert_int_equal(span.before, 6);
    assert_int_equal(span.after, 8);

    /* in between */

    oci_generation_raise(&s, &a);
    assert_int_equal(oci_generation_span(&s, &a, &span), 0);

    /* two repositories */

    oci_generation_span_start();
    oci_generation_raise(&s, &a);
    oci_generation_raise(&s, &b);
    assert_int_equal(oci_generation_span(&s, &a, &span), 0);
    assert_int_equal(oci_generation_span(&s, &b, &span), 0);

    oci_generation_span_start();

    help_store_close(&s);
}


static int
raise_elsewhere(void *data)
{
    raise_t      *t = data;
    unsigned      i;
    oci_store_t   s;

    if (oci_store_open(&s, t->root, 0) != OCI_OK || s.counters == NULL) {
        return 1;
    }

    for (i = 0; i < t->n; i++) {
        oci_generation_raise(&s, t->r);
    }

    return 0;
}


static int
clean_elsewhere(void *data)
{
    oci_store_t  s;

    return oci_store_open(&s, data, 0) == OCI_OK ? 0 : 1;
}


static void
remove_file(void *data)
{
    assert_int_equal(unlink(data), 0);
}


static void
replace_file(void *data)
{
    assert_int_equal(unlink(data), 0);
    help_write(data, "", 0);
}


static void
run_path(char *path, const oci_store_t *s, const char *name)
{
    (void) snprintf(path, OCI_PATH_MAX, "%s/run/%s", s->root, name);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_counters),
        cmocka_unit_test(test_no_raise_is_lost),
        cmocka_unit_test(test_boots),
        cmocka_unit_test(test_removed),
        cmocka_unit_test(test_no_map),
        cmocka_unit_test(test_span),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
