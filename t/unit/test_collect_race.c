
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Processes that push, mount, tag and delete while another one collects
 * without any grace: what was acknowledged by the put of its manifest is
 * whole.
 */


#include "collect_help.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>


#define PUSHERS  4
#define REPOS    3
#define BLOBS    24
#define ROUNDS   600


typedef struct {
    volatile unsigned  puts;        /* acknowledged */
    volatile unsigned  refused;     /* a blob had gone again */
    volatile unsigned  deleted;
    volatile unsigned  mounted;
    volatile unsigned  lost;
    volatile unsigned  errors;
    char               what[1024];  /* the first of them */
} counts_t;


static counts_t  *counts;           /* shared */


static unsigned
dice(unsigned *seed, unsigned n)
{
    *seed = *seed * 1103515245 + 12345;

    return (*seed >> 16) % n;
}


static void
complain(unsigned lost, const char *text, const char *path)
{
    if (counts->lost + counts->errors == 0) {
        (void) snprintf(counts->what, sizeof(counts->what),
                        "%s in %s, errno %d of %s %s", text, path,
                        oci_failure()->err, oci_failure()->op,
                        oci_failure()->path);
    }

    if (lost) {
        __atomic_fetch_add(&counts->lost, 1, __ATOMIC_RELAXED);

    } else {
        __atomic_fetch_add(&counts->errors, 1, __ATOMIC_RELAXED);
    }
}


static int
bring(const char *path, unsigned round, unsigned *seed, oci_digest_t *d)
{
    int         rc;
    char        text[32], from[16];
    oci_repo_t  r, f;

    /* the same few at about the same time, other ones later */

    (void) snprintf(text, sizeof(text), "blob %u",
                    round / 8 * 8 + dice(seed, BLOBS));

    if (dice(seed, 3) == 0) {
        oci_digest_of(d, OCI_SHA256, (u_char *) text, strlen(text));
        (void) snprintf(from, sizeof(from), "r%u/x", dice(seed, REPOS));

        r = repo(path);
        f = repo(from);
        rc = oci_blob_mount(&store, &f, &r, d);

        if (rc == OCI_OK) {
            __atomic_fetch_add(&counts->mounted, 1, __ATOMIC_RELAXED);
            return rc;
        }

        if (rc != OCI_NOT_FOUND) {
            complain(0, "mount", path);
            return rc;
        }
    }

    rc = blob_try(path, text, d);

    if (rc != OCI_OK) {
        complain(0, "push", path);
    }

    return rc;
}


static void
whole(const char *path, const char *tag, const oci_digest_t *d,
    const oci_digest_t *blobs, size_t n)
{
    size_t        i;
    oci_str_t     t;
    oci_repo_t    r;
    oci_record_t  rec;

    r = repo(path);
    t = str(tag);

    if (oci_manifest_open(&store, &r, NULL, &t, 0, &rec) != OCI_OK) {
        complain(1, "no tag", path);

    } else {

        if (!oci_digest_equal(&rec.digest, d)) {
            complain(1, "another manifest", path);
        }

        close(rec.fd);
    }

    if (!has_manifest(path, d)) {
        complain(1, "no manifest", path);
    }

    for (i = 0; i < n; i++) {
        if (!has_blob(path, &blobs[i])) {
            complain(1, "no blob", path);
        }
    }
}


static void
pusher(unsigned id)
{
    int                  rc;
    char                 path[16], tag[16];
    size_t               n, k;
    unsigned             i, seed;
    oci_repo_t           r;
    oci_digest_t         d[4], m;
    const oci_digest_t  *list[4];

    seed = id * 7919 + 17;
    (void) snprintf(tag, sizeof(tag), "t%u", id);

    for (i = 0; i < ROUNDS; i++) {
        (void) snprintf(path, sizeof(path), "r%u/x", (id + i) % REPOS);

        n = 1 + dice(&seed, 4);

        for (k = 0; k < n; k++) {
            list[k] = &d[k];

            if (bring(path, i, &seed, &d[k]) != OCI_OK) {
                return;
            }
        }

        /* now and then what was brought stays without a manifest */

        if (dice(&seed, 4) == 0) {
            continue;
        }

        rc = image_try(path, tag, NULL, id * ROUNDS + i, 0, list, n, &m);

        if (rc == OCI_UNKNOWN_BLOB) {
            __atomic_fetch_add(&counts->refused, 1, __ATOMIC_RELAXED);
            continue;
        }

        if (rc != OCI_OK) {
            complain(0, "put", path);
            continue;
        }

        __atomic_fetch_add(&counts->puts, 1, __ATOMIC_RELAXED);
        whole(path, tag, &m, d, n);

        if (dice(&seed, 2) == 0) {
            r = repo(path);

            do {
                rc = oci_manifest_delete(&store, &r, &m);
            } while (rc == OCI_AGAIN);

            if (rc != OCI_OK) {
                complain(0, "delete", path);
            }

            __atomic_fetch_add(&counts->deleted, 1, __ATOMIC_RELAXED);
            continue;
        }

        if (dice(&seed, 8) == 0) {
            usleep(1000);
            whole(path, tag, &m, d, n);
        }
    }
}


/* every manifest that is there has all its blobs */

static void
audit(void)
{
    int              rc;
    char             path[16];
    u_char          *data;
    size_t           k, n;
    unsigned         i;
    oci_str_t        t;
    oci_repo_t       r;
    oci_digest_t     d;
    oci_record_t     rec;
    oci_manifest_t   m;
    char             tag[16];

    for (i = 0; i < REPOS; i++) {
        (void) snprintf(path, sizeof(path), "r%u/x", i);
        r = repo(path);

        for (n = 0; n < PUSHERS; n++) {
            (void) snprintf(tag, sizeof(tag), "t%u", (unsigned) n);
            t = str(tag);

            rc = oci_tag_get(&store, &r, &t, &d);

            if (rc == OCI_NOT_FOUND) {
                continue;
            }

            assert_int_equal(rc, OCI_OK);

            rc = oci_manifest_load(&store, &r, &d, 1 << 20, &m, &data, &rec);
            assert_int_equal(rc, OCI_OK);

            for (k = 0; k < m.count; k++) {
                assert_true(has_blob(path, &m.descriptors[k].digest));
            }

            oci_manifest_free(&m);
            free(data);
        }
    }
}


static void
race(int64_t untagged)
{
    int                         status;
    pid_t                       pid[PUSHERS];
    unsigned                    i, live;
    const oci_collect_stats_t  *st;

    policy.grace = 0;
    policy.untagged = untagged;

    memset(counts, 0, sizeof(counts_t));

    for (i = 0; i < PUSHERS; i++) {
        pid[i] = fork();
        assert_int_not_equal(pid[i], -1);

        if (pid[i] == 0) {
            pusher(i);
            _exit(0);
        }
    }

    live = PUSHERS;

    while (live) {
        assert_int_equal(pass(5), 0);

        for (i = 0; i < PUSHERS; i++) {
            if (pid[i] && waitpid(pid[i], &status, WNOHANG) == pid[i]) {
                assert_true(WIFEXITED(status));
                assert_int_equal(WEXITSTATUS(status), 0);
                pid[i] = 0;
                live--;
            }
        }
    }

    audit();

    st = oci_collect_stats(collector);

    printf("%u put, %u refused, %u deleted, %u mounted; %u passes, "
           "%u links, %u blobs, %u manifests removed, %u restored, "
           "%u busy\n", counts->puts, counts->refused, counts->deleted,
           counts->mounted, (unsigned) st->passes, (unsigned) st->links,
           (unsigned) st->blobs, (unsigned) st->manifests,
           (unsigned) st->restored, (unsigned) st->busy);

    if (counts->lost || counts->errors) {
        fail_msg("%u lost, %u errors, the first: %s", counts->lost,
                 counts->errors, counts->what);
    }

    /* else it was no race */

    assert_true(counts->puts > PUSHERS * ROUNDS / 10);
    assert_true(st->passes > 5);
    assert_true(st->links > 50);

    assert_true(passes() >= 1);
    audit();
}


static void
test_race(void **state)
{
    (void) state;

    race(-1);
}


static void
test_race_untagged(void **state)
{
    (void) state;

    race(0);
    assert_true(oci_collect_stats(collector)->manifests > 50);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_setup_teardown(test_race, store_setup,
                                        store_teardown),
        cmocka_unit_test_setup_teardown(test_race_untagged, store_setup,
                                        store_teardown),
    };

    counts = mmap(NULL, sizeof(counts_t), PROT_READ|PROT_WRITE,
                  MAP_SHARED|MAP_ANONYMOUS, -1, 0);

    if (counts == MAP_FAILED) {
        return 1;
    }

    return cmocka_run_group_tests(tests, NULL, NULL);
}
