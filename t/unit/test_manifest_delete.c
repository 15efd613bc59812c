
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "manifest_fixture.h"
#include "oci_generation.h"
#include "oci_referrer.h"
#include "oci_tag.h"

#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>


#define LOOPS  150


static oci_digest_t  missing;


static void
test_delete(void **state)
{
    char           referrer[OCI_PATH_MAX], folder[OCI_PATH_MAX];
    uint64_t       before;
    oci_digest_t   subject, d, other, c, l;

    (void) state;

    subject = fx_digest(OCI_SHA256, "subject");

    assert_int_equal(oci_manifest_delete(&fx_store, &fx_r, &subject),
                     OCI_NOT_FOUND);

    c = fx_blob(&fx_r, "config");
    l = fx_blob(&fx_r, "layer");

    d = fx_put(&fx_r, FX_MANIFEST, fx_referring(&subject, "layer"), "one two");
    other = fx_put(&fx_r, FX_MANIFEST, fx_empty(1), "three");

    oci_path_referrer(referrer, &fx_store, &fx_r, &subject, &d);
    oci_path_referrers(folder, &fx_store, &fx_r, &subject);
    assert_true(fx_exists(referrer));

    fx_age(fx_blob_path(&c));
    fx_age(fx_blob_path(&l));

    before = oci_generation_read(&fx_store, &fx_r);

    assert_int_equal(oci_manifest_delete(&fx_store, &fx_r, &d), OCI_OK);

    if (fx_store.counters != NULL) {
        assert_true(oci_generation_read(&fx_store, &fx_r) >= before + 2);
    }

    fx_gone(&d, NULL);
    fx_gone(NULL, "one");
    assert_false(fx_exists(fx_tag("one")));
    assert_false(fx_exists(fx_tag("two")));
    assert_false(fx_exists(referrer));
    assert_false(fx_exists(folder));
    assert_true(fx_fresh(fx_blob_path(&c)));
    assert_true(fx_fresh(fx_blob_path(&l)));
    fx_expect(&other, "three", FX_MANIFEST, fx_empty(1));

    assert_int_equal(oci_manifest_delete(&fx_store, &fx_r, &d),
                     OCI_NOT_FOUND);

    /* a second referrer keeps the folder */

    fx_put(&fx_r, FX_MANIFEST, fx_referring(&subject, "layer"), "");
    other = fx_put(&fx_r, FX_MANIFEST, fx_referring(&subject, "config"), "");
    assert_int_equal(oci_manifest_delete(&fx_store, &fx_r, &d), OCI_OK);
    assert_true(fx_exists(folder));
    assert_int_equal(oci_manifest_delete(&fx_store, &fx_r, &other), OCI_OK);
    assert_false(fx_exists(folder));
}


static void
test_delete_index(void **state)
{
    char           json[512];
    oci_digest_t   child, d;

    (void) state;

    child = fx_put(&fx_r, FX_MANIFEST, fx_empty(1), "");

    (void) snprintf(json, sizeof(json),
                    "{\"manifests\":[{\"digest\":\"%s\",\"size\":1}]}",
                    fx_text(&child));

    d = fx_put(&fx_r, FX_INDEX, json, "");

    fx_age(fx_record(&child));
    assert_int_equal(oci_manifest_delete_untagged(&fx_store, &fx_r, &d),
                     OCI_OK);
    assert_true(fx_fresh(fx_record(&child)));
    assert_false(fx_exists(fx_record(&d)));
}


static void
test_delete_locked(void **state)
{
    oci_lock_t     lock;
    oci_digest_t   one, two;

    (void) state;

    one = fx_put(&fx_r, FX_MANIFEST, fx_empty(1), "one");
    two = fx_put(&fx_r, FX_MANIFEST, fx_empty(2), "two");

    assert_int_equal(oci_lock_repo(&lock, &fx_store, &fx_r, 1, 0), OCI_OK);
    assert_int_equal(oci_manifest_delete_locked(&fx_store, &fx_r, &one),
                     OCI_OK);
    assert_int_equal(oci_manifest_delete_untagged(&fx_store, &fx_r, &two),
                     OCI_OK);
    oci_lock_release(&lock);

    assert_false(fx_exists(fx_record(&one)));
    assert_false(fx_exists(fx_tag("one")));
    assert_false(fx_exists(fx_record(&two)));
    assert_true(fx_exists(fx_tag("two")));
}


static void
test_busy(void **state)
{
    oci_str_t      s;
    oci_lock_t     lock;
    oci_digest_t   d;

    (void) state;

    d = fx_put(&fx_r, FX_MANIFEST, fx_empty(1), "t");
    s = fx_str("t");

    /* a push elsewhere */

    assert_int_equal(oci_lock_repo(&lock, &fx_store, &fx_r, 0, 0), OCI_OK);

    fx_put(&fx_r, FX_MANIFEST, fx_empty(2), "u");
    assert_int_equal(oci_manifest_delete(&fx_store, &fx_r, &d), OCI_AGAIN);
    assert_int_equal(oci_tag_delete(&fx_store, &fx_r, &s), OCI_AGAIN);
    fx_expect(&d, "t", FX_MANIFEST, fx_empty(1));

    oci_lock_release(&lock);

    /* a delete elsewhere */

    assert_int_equal(oci_lock_repo(&lock, &fx_store, &fx_r, 1, 0), OCI_OK);

    assert_int_equal(fx_try(&fx_r, FX_MANIFEST, fx_empty(3), "v", 0,
                            &missing),
                     OCI_AGAIN);
    assert_int_equal(oci_manifest_delete(&fx_store, &fx_r, &d), OCI_AGAIN);
    assert_int_equal(oci_tag_delete(&fx_store, &fx_r, &s), OCI_AGAIN);
    assert_false(fx_exists(fx_tag("v")));

    oci_lock_release(&lock);

    assert_int_equal(oci_manifest_delete(&fx_store, &fx_r, &d), OCI_OK);
    fx_gone(NULL, "t");
}


/* what a crash leaves out is made up for by the next push of the same */

static void
test_repair(void **state)
{
    char           referrer[OCI_PATH_MAX];
    const char    *json;
    oci_digest_t   subject, d;

    (void) state;

    subject = fx_digest(OCI_SHA256, "subject");

    fx_blob(&fx_r, "config");
    fx_blob(&fx_r, "layer");

    json = fx_referring(&subject, "layer");
    d = fx_put(&fx_r, FX_MANIFEST, json, "t");
    oci_path_referrer(referrer, &fx_store, &fx_r, &subject, &d);

    assert_int_equal(unlink(referrer), 0);
    assert_int_equal(unlink(fx_tag("t")), 0);

    fx_put(&fx_r, FX_MANIFEST, json, "t");

    assert_true(fx_exists(referrer));
    fx_expect(&d, "t", FX_MANIFEST, json);

    /* a delete that came no further than the record */

    assert_int_equal(unlink(fx_record(&d)), 0);
    fx_gone(NULL, "t");
    assert_int_equal(oci_manifest_delete(&fx_store, &fx_r, &d),
                     OCI_NOT_FOUND);
    assert_false(fx_exists(fx_tag("t")));

    fx_put(&fx_r, FX_MANIFEST, json, "");
    fx_gone(NULL, "t");
}


static void
pusher(const char *json, const char *name)
{
    int        rc;
    unsigned   n;

    for (n = 0; n < LOOPS; /* void */ ) {
        rc = fx_try(&fx_r, FX_MANIFEST, json, name, 0, &missing);

        if (rc == OCI_OK) {
            n++;

        } else if (rc != OCI_AGAIN) {
            _exit(2);

        } else {
            (void) sched_yield();
        }
    }

    _exit(0);
}


/* 0 as long as the pushers are at work */

static int
over(int done)
{
    char  c;

    return read(done, &c, 1) == 0;
}


static void
deleter(const char *json, int done)
{
    int            rc, last;
    oci_digest_t   d;

    d = fx_digest(OCI_SHA256, json);

    do {
        last = over(done);
        rc = oci_manifest_delete(&fx_store, &fx_r, &d);

        if (rc == OCI_AGAIN) {
            (void) sched_yield();

        } else if (rc != OCI_OK && rc != OCI_NOT_FOUND) {
            _exit(3);
        }

    } while (!last);

    _exit(0);
}


static void
reader(const char *json, int done)
{
    int            rc, last;
    char           buf[256];
    oci_str_t      s;
    oci_record_t   rec;

    s = fx_str("t");

    do {
        last = over(done);
        rc = oci_manifest_open(&fx_store, &fx_r, NULL, &s, 0, &rec);

        if (rc == OCI_OK) {
            if (pread(rec.fd, buf, sizeof(buf), OCI_RECORD_HEADER)
                != (ssize_t) strlen(json)
                || memcmp(buf, json, strlen(json)) != 0)
            {
                _exit(4);
            }

            (void) close(rec.fd);

        } else if (rc != OCI_NOT_FOUND) {
            _exit(5);
        }

    } while (!last);

    _exit(0);
}


static void
test_concurrent(void **state)
{
    int            i, status, done[2];
    pid_t          pids[5], pid;
    char           json[128];
    oci_digest_t   d;

    (void) state;

    (void) strcpy(json, fx_empty(7));
    d = fx_digest(OCI_SHA256, json);

    assert_int_equal(pipe2(done, O_NONBLOCK|O_CLOEXEC), 0);

    fx_put(&fx_r, FX_MANIFEST, json, "t");

    for (i = 0; i < 5; i++) {
        pid = fork();
        assert_true(pid != -1);

        if (pid == 0) {
            (void) close(done[1]);

            switch (i) {

            case 0:
            case 1:
                pusher(json, i ? "t" : "t u");
                break;

            case 2:
            case 3:
                deleter(json, done[0]);
                break;

            default:
                reader(json, done[0]);
                break;
            }
        }

        pids[i] = pid;
    }

    for (i = 0; i < 5; i++) {

        if (i == 2) {
            (void) close(done[1]);
        }

        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }

    (void) close(done[0]);

    fx_put(&fx_r, FX_MANIFEST, json, "t");
    fx_expect(&d, "t", FX_MANIFEST, json);

    assert_int_equal(oci_manifest_delete(&fx_store, &fx_r, &d), OCI_OK);
    assert_false(fx_exists(fx_tag("t")));
    assert_false(fx_exists(fx_tag("u")));
    assert_int_equal(fx_tmp_count(), 0);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_delete, fx_setup_r, fx_teardown),
        cmocka_unit_test_setup_teardown(test_delete, fx_setup_r_durable,
                                        fx_teardown),
        cmocka_unit_test_setup_teardown(test_delete_index, fx_setup_r,
                                        fx_teardown),
        cmocka_unit_test_setup_teardown(test_delete_locked, fx_setup_r,
                                        fx_teardown),
        cmocka_unit_test_setup_teardown(test_busy, fx_setup_r, fx_teardown),
        cmocka_unit_test_setup_teardown(test_repair, fx_setup_r, fx_teardown),
        cmocka_unit_test_setup_teardown(test_concurrent, fx_setup_r,
                                        fx_teardown)
    };

    return cmocka_run_group_tests(tests, fx_begin, fx_end);
}
