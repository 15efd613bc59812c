
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "manifest_fixture.h"

#include <sys/uio.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>


static void
test_header(void **state)
{
    char           type[OCI_MEDIA_TYPE_MAX + 1];
    size_t         i;
    u_char         header[OCI_RECORD_HEADER], copy[OCI_RECORD_HEADER];
    oci_str_t      s;
    oci_digest_t   d;
    oci_record_t   rec;

    (void) state;

    memset(type, 'a', sizeof(type));
    type[127] = '/';
    type[OCI_MEDIA_TYPE_MAX] = '\0';

    s = fx_str(type);
    d = fx_digest(OCI_SHA512, "x");

    oci_record_header(header, &s, &d, INT64_MAX - 7);

    assert_memory_equal(header, "oci-manifest 1\n", 15);
    assert_int_equal(header[OCI_RECORD_HEADER - 1], '\n');
    assert_int_equal(oci_record_parse(&rec, header), OCI_INVALID);

    oci_record_header(header, &s, &d, 1234567890123456789);

    assert_int_equal(oci_record_parse(&rec, header), OCI_OK);
    assert_int_equal(rec.size, 1234567890123456789);
    assert_string_equal(rec.media_type, type);
    assert_true(oci_digest_equal(&rec.digest, &d));

    s = fx_str(FX_INDEX);
    d = fx_digest(OCI_SHA256, "x");
    oci_record_header(header, &s, &d, 0);
    assert_int_equal(oci_record_parse(&rec, header), OCI_OK);
    assert_int_equal(rec.size, 0);

    /* every byte counts, save those of type and digest that stay valid */

    for (i = 0; i < OCI_RECORD_HEADER; i++) {
        memcpy(copy, header, sizeof(copy));
        copy[i] = '\t';
        assert_int_equal(oci_record_parse(&rec, copy), OCI_INVALID);

        copy[i] = '\0';
        assert_int_equal(oci_record_parse(&rec, copy), OCI_INVALID);
    }

    memset(copy, 0, sizeof(copy));
    assert_int_equal(oci_record_parse(&rec, copy), OCI_INVALID);
    memset(copy, '\n', sizeof(copy));
    assert_int_equal(oci_record_parse(&rec, copy), OCI_INVALID);
    memset(copy, '1', sizeof(copy));
    memcpy(copy, "oci-manifest 1\n", 15);
    assert_int_equal(oci_record_parse(&rec, copy), OCI_INVALID);
}


static void
test_nowait(void **state)
{
    int            fd, rc;
    u_char         header[OCI_RECORD_HEADER];
    ssize_t        n;
    oci_str_t      s;
    struct iovec   iov;
    oci_digest_t   d;
    oci_record_t   rec;

    (void) state;

    d = fx_put(&fx_r, FX_MANIFEST, fx_empty(1), "one");
    s = fx_str("one");

    /* some file systems can't tell what is in memory */

    iov.iov_base = header;
    iov.iov_len = sizeof(header);

    fd = open(fx_record(&d), O_RDONLY);
    assert_true(fd != -1);
    n = preadv2(fd, &iov, 1, 0, RWF_NOWAIT);
    assert_int_equal(close(fd), 0);

    rc = oci_manifest_open(&fx_store, &fx_r, NULL, &s, 1, &rec);

    if (n == sizeof(header)) {
        assert_int_equal(rc, OCI_OK);
        assert_true(oci_digest_equal(&rec.digest, &d));
        assert_int_equal(close(rec.fd), 0);

    } else {
        assert_int_equal(rc, OCI_AGAIN);
        assert_int_equal(rec.fd, -1);
    }

    s = fx_str("two");
    assert_int_equal(oci_manifest_open(&fx_store, &fx_r, NULL, &s, 1, &rec),
                     OCI_NOT_FOUND);
}


/* writes what a crash may leave of a record without fsync */

static void
damage(const oci_digest_t *d, const char *text, size_t len)
{
    int  fd;

    assert_int_equal(unlink(fx_record(d)), 0);

    fd = open(fx_record(d), O_WRONLY|O_CREAT|O_EXCL, 0444);
    assert_true(fd != -1);
    assert_int_equal(write(fd, text, len), len);
    assert_int_equal(close(fd), 0);
}


static void
test_damaged(void **state)
{
    char            buf[OCI_RECORD_HEADER + 256];
    size_t          i, len;
    u_char         *data;
    const char     *json;
    oci_str_t       s;
    oci_digest_t    d, other;
    oci_record_t    rec;
    oci_manifest_t  m;

    (void) state;

    json = fx_empty(1);
    d = fx_put(&fx_r, FX_MANIFEST, json, "t");
    other = fx_digest(OCI_SHA256, "other");
    len = strlen(json);

    for (i = 0; i < 7; i++) {
        memset(buf, 'x', sizeof(buf));
        s = fx_str(FX_MANIFEST);
        oci_record_header((u_char *) buf, &s, &d, (int64_t) len);
        memcpy(buf + OCI_RECORD_HEADER, json, len);

        switch (i) {

        case 0:
            damage(&d, "", 0);
            break;

        case 1:
            damage(&d, buf, 100);
            break;

        case 2:
            damage(&d, buf, OCI_RECORD_HEADER + len - 1);
            break;

        case 3:
            damage(&d, buf, OCI_RECORD_HEADER + len + 1);
            break;

        case 4:
            memset(buf, 0, sizeof(buf));
            damage(&d, buf, OCI_RECORD_HEADER + len);
            break;

        case 5:
            oci_record_header((u_char *) buf, &s, &other, (int64_t) len);
            damage(&d, buf, OCI_RECORD_HEADER + len);
            break;

        default:
            memset(buf + OCI_RECORD_HEADER, 0, len);
            damage(&d, buf, OCI_RECORD_HEADER + len);
            break;
        }

        /* the header of the last one is right, its bytes are not */

        s = fx_str("t");
        errno = 0;

        if (i != 6) {
            assert_int_equal(oci_manifest_open(&fx_store, &fx_r, &d, NULL, 0,
                                               &rec),
                             OCI_INVALID);
            assert_int_equal(errno, EBADMSG);
            assert_int_equal(rec.fd, -1);
        }

        assert_int_equal(oci_manifest_load(&fx_store, &fx_r, &d, 1000, &m,
                                           &data, &rec),
                         OCI_INVALID);

        fx_put(&fx_r, FX_MANIFEST, json, "");

        fx_expect(&d, "t", FX_MANIFEST, json);
        assert_int_equal(fx_tmp_count(), 0);
    }

    /* one that is beyond repair can be deleted */

    damage(&d, "x", 1);
    assert_int_equal(oci_manifest_delete(&fx_store, &fx_r, &d), OCI_OK);
    assert_false(fx_exists(fx_record(&d)));
    assert_false(fx_exists(fx_tag("t")));
}


static void
test_load(void **state)
{
    u_char          *data;
    const char      *json;
    oci_digest_t     d;
    oci_record_t     rec;
    oci_manifest_t   m;

    (void) state;

    json = fx_empty(1);
    d = fx_digest(OCI_SHA256, json);

    assert_int_equal(oci_manifest_load(&fx_store, &fx_r, &d, 1000, &m, &data,
                                       &rec),
                     OCI_NOT_FOUND);

    fx_put(&fx_r, FX_MANIFEST, json, "");

    assert_int_equal(oci_manifest_load(&fx_store, &fx_r, &d, 1000, &m, &data,
                                       &rec),
                     OCI_OK);
    assert_int_equal(rec.fd, -1);
    assert_int_equal(rec.size, strlen(json));
    assert_memory_equal(data, json, strlen(json));
    assert_int_equal(m.count, 0);

    oci_manifest_free(&m);
    free(data);

    assert_int_equal(oci_manifest_load(&fx_store, &fx_r, &d,
                                       (int64_t) strlen(json) - 1, &m, &data,
                                       &rec),
                     OCI_INVALID);
    assert_int_equal(errno, EFBIG);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header),
        cmocka_unit_test_setup_teardown(test_nowait, fx_setup_r, fx_teardown),
        cmocka_unit_test_setup_teardown(test_damaged, fx_setup_r, fx_teardown),
        cmocka_unit_test_setup_teardown(test_load, fx_setup_r, fx_teardown)
    };

    return cmocka_run_group_tests(tests, fx_begin, fx_end);
}
