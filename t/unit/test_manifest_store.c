
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "manifest_fixture.h"
#include "oci_blob.h"
#include "oci_generation.h"
#include "oci_referrer.h"
#include "oci_tag.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>


static char          path[OCI_PATH_MAX];
static oci_repo_t    repo;
static oci_digest_t  missing;


static const char *
record(const oci_digest_t *d)
{
    oci_path_manifest(path, &fx_store, &repo, d);

    return path;
}


static const char *
blob(const oci_digest_t *d)
{
    oci_path_repo_blob(path, &fx_store, &repo, d);

    return path;
}


static const char *
tag(const char *name)
{
    oci_str_t  s;

    s = fx_str(name);
    oci_path_tag(path, &fx_store, &repo, &s);

    return path;
}


static int
setup(void **state)
{
    repo = fx_repo("", "some/repo");

    return fx_setup(state);
}


static int
setup_durable(void **state)
{
    repo = fx_repo("docker.io", "some/repo");

    return fx_setup_durable(state);
}


/* an image of one config and one layer, both named by their texts */

static const char *
image(const char *config, const char *layer, const char *more)
{
    char             *p;
    oci_digest_t      c, l;
    static char       buf[4][2048];
    static unsigned   next;

    p = buf[next++ % 4];
    c = fx_digest(OCI_SHA256, config);
    l = fx_digest(OCI_SHA256, layer);

    (void) snprintf(p, sizeof(buf[0]),
                    "{\"schemaVersion\":2,\"config\":{\"mediaType\":\""
                    FX_CONFIG "\",\"digest\":\"%s\",\"size\":%zu},"
                    "\"layers\":[{\"mediaType\":\"" FX_LAYER "\","
                    "\"digest\":\"%s\",\"size\":%zu}]%s}",
                    fx_text(&c), strlen(config), fx_text(&l), strlen(layer),
                    more);

    return p;
}


static const char *
referring(const oci_digest_t *subject, const char *layer)
{
    char  more[256];

    (void) snprintf(more, sizeof(more),
                    ",\"subject\":{\"digest\":\"%s\",\"size\":1}",
                    fx_text(subject));

    return image("config", layer, more);
}


static void
expect(const oci_digest_t *d, const char *name, const char *type,
    const char *text)
{
    char          *buf;
    size_t         len;
    oci_str_t      s;
    oci_record_t   rec;

    s = fx_str(name);

    assert_int_equal(oci_manifest_open(&fx_store, &repo, name ? NULL : d, &s,
                                       0, &rec),
                     OCI_OK);

    len = strlen(text);

    assert_true(oci_digest_equal(&rec.digest, d));
    assert_string_equal(rec.media_type, type);
    assert_int_equal(rec.media_type_len, strlen(type));
    assert_int_equal(rec.size, len);

    buf = malloc(len + 1);
    assert_non_null(buf);
    assert_int_equal(pread(rec.fd, buf, len + 1, OCI_RECORD_HEADER), len);
    assert_memory_equal(buf, text, len);

    free(buf);
    assert_int_equal(close(rec.fd), 0);
}


static void
gone(const oci_digest_t *d, const char *name)
{
    oci_str_t     s;
    oci_record_t  rec;

    s = fx_str(name);

    assert_int_equal(oci_manifest_open(&fx_store, &repo, d, &s, 0, &rec),
                     OCI_NOT_FOUND);
    assert_int_equal(rec.fd, -1);
}


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
test_put_open(void **state)
{
    uint64_t       before;
    const char    *json;
    struct stat    st;
    oci_digest_t   d;

    (void) state;

    fx_blob(&repo, "config");
    fx_blob(&repo, "layer");

    json = image("config", "layer", "");
    d = fx_digest(OCI_SHA256, json);

    gone(&d, NULL);
    gone(NULL, "one");

    before = oci_generation_read(&fx_store, &repo);

    fx_put(&repo, FX_MANIFEST, json, "one two");

    if (fx_store.counters != NULL) {
        assert_true(oci_generation_read(&fx_store, &repo) >= before + 2);
    }

    expect(&d, NULL, FX_MANIFEST, json);
    expect(&d, "one", FX_MANIFEST, json);
    expect(&d, "two", FX_MANIFEST, json);
    gone(NULL, "three");

    assert_int_equal(stat(record(&d), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0444);
    assert_int_equal(st.st_nlink, 1);
    assert_int_equal(fx_tmp_count(), 0);
}


static void
test_nowait(void **state)
{
    int            rc;
    oci_str_t      s;
    oci_digest_t   d;
    oci_record_t   rec;

    (void) state;

    d = fx_put(&repo, FX_MANIFEST, fx_empty(1), "one");
    s = fx_str("one");

    rc = oci_manifest_open(&fx_store, &repo, NULL, &s, 1, &rec);

    /* some file systems can't tell, and say so */

    if (rc == OCI_OK) {
        assert_true(oci_digest_equal(&rec.digest, &d));
        assert_int_equal(close(rec.fd), 0);

    } else {
        assert_int_equal(rc, OCI_AGAIN);
        assert_int_equal(rec.fd, -1);
    }

    s = fx_str("two");
    assert_int_equal(oci_manifest_open(&fx_store, &repo, NULL, &s, 1, &rec),
                     OCI_NOT_FOUND);
}


static void
test_missing(void **state)
{
    char           json[2048];
    oci_digest_t   c, l, s;
    const char    *text;

    (void) state;

    text = image("config", "layer", "");
    c = fx_digest(OCI_SHA256, "config");
    l = fx_digest(OCI_SHA256, "layer");
    s = fx_digest(OCI_SHA256, text);

    assert_int_equal(fx_try(&repo, FX_MANIFEST, text, "t", 0, &missing),
                     OCI_UNKNOWN_BLOB);
    assert_true(oci_digest_equal(&missing, &c));

    fx_blob(&repo, "config");

    assert_int_equal(fx_try(&repo, FX_MANIFEST, text, "t", 0, &missing),
                     OCI_UNKNOWN_BLOB);
    assert_true(oci_digest_equal(&missing, &l));
    assert_false(fx_exists(record(&s)));
    assert_false(fx_exists(tag("t")));
    assert_int_equal(fx_tmp_count(), 0);

    assert_int_equal(fx_try(&repo, FX_MANIFEST, text, "t", 1, &missing),
                     OCI_OK);
    expect(&s, "t", FX_MANIFEST, text);

    /* of another repository: not here */

    repo = fx_repo("", "some/other");
    assert_int_equal(fx_try(&repo, FX_MANIFEST, text, "t", 0, &missing),
                     OCI_UNKNOWN_BLOB);

    /* an unknown algorithm can't be here */

    (void) snprintf(json, sizeof(json),
                    "{\"layers\":[{\"digest\":\"blake3:%s\",\"size\":1}]}",
                    l.hex);

    assert_int_equal(fx_try(&repo, FX_MANIFEST, json, "", 0, &missing),
                     OCI_UNKNOWN_BLOB);
    assert_int_equal(missing.hex_len, 0);
    assert_int_equal(fx_try(&repo, FX_MANIFEST, json, "", 1, &missing),
                     OCI_OK);

    /* need not be here; but once without "urls" it must */

    (void) snprintf(json, sizeof(json),
                    "{\"layers\":[{\"digest\":\"%s\",\"size\":5,"
                    "\"urls\":[\"x\"]}]}", fx_text(&l));

    assert_int_equal(fx_try(&repo, FX_MANIFEST, json, "", 0, &missing),
                     OCI_OK);

    (void) snprintf(json, sizeof(json),
                    "{\"layers\":[{\"digest\":\"%s\",\"size\":5,"
                    "\"urls\":[\"x\"]},{\"digest\":\"%s\",\"size\":5}]}",
                    fx_text(&l), fx_text(&l));

    assert_int_equal(fx_try(&repo, FX_MANIFEST, json, "", 0, &missing),
                     OCI_UNKNOWN_BLOB);
    assert_true(oci_digest_equal(&missing, &l));

    fx_blob(&repo, "layer");
    assert_int_equal(fx_try(&repo, FX_MANIFEST, json, "", 0, &missing),
                     OCI_OK);
}


static void
test_children(void **state)
{
    char           json[2048];
    oci_digest_t   child, stored;

    (void) state;

    child = fx_digest(OCI_SHA256, fx_empty(1));

    (void) snprintf(json, sizeof(json),
                    "{\"manifests\":[{\"digest\":\"%s\",\"size\":1},"
                    "{\"digest\":\"%s\",\"size\":1}]}",
                    fx_text(&child), fx_text(&child));

    assert_int_equal(fx_try(&repo, FX_INDEX, json, "", 0, &missing),
                     OCI_UNKNOWN_BLOB);
    assert_true(oci_digest_equal(&missing, &child));

    fx_put(&repo, FX_MANIFEST, fx_empty(1), "");
    fx_put(&repo, FX_INDEX, json, "i");

    /* a layer that is here as a manifest only is not here */

    (void) snprintf(json, sizeof(json),
                    "{\"layers\":[{\"digest\":\"%s\",\"size\":1}]}",
                    fx_text(&child));

    assert_int_equal(fx_try(&repo, FX_MANIFEST, json, "", 0, &missing),
                     OCI_UNKNOWN_BLOB);

    /* a child that is here as a blob only is */

    stored = fx_blob(&repo, "stored");

    (void) snprintf(json, sizeof(json),
                    "{\"manifests\":[{\"digest\":\"%s\",\"size\":1}]}",
                    fx_text(&stored));

    fx_put(&repo, FX_INDEX, json, "j");

    /* the same digest once as a layer, once as a child */

    (void) snprintf(json, sizeof(json),
                    "{\"blobs\":[{\"digest\":\"%s\",\"size\":1}],"
                    "\"manifests\":[{\"digest\":\"%s\",\"size\":1}]}",
                    fx_text(&child), fx_text(&child));

    assert_int_equal(fx_try(&repo, "a/b", json, "", 0, &missing),
                     OCI_UNKNOWN_BLOB);
}


static void
test_cached(void **state)
{
    char           cached[OCI_PATH_MAX], dir[OCI_PATH_MAX];
    const char    *json;
    oci_digest_t   l;

    (void) state;

    fx_blob(&repo, "config");
    l = fx_blob(&repo, "layer");

    oci_path_repo_cached(cached, &fx_store, &repo, &l);
    (void) strcpy(dir, cached);
    *strrchr(dir, '/') = '\0';

    assert_int_equal(oci_dir_make(&fx_store, dir), OCI_OK);
    assert_int_equal(rename(blob(&l), cached), 0);

    json = image("config", "layer", "");
    fx_put(&repo, FX_MANIFEST, json, "t");

    assert_true(fx_exists(blob(&l)));
    assert_true(fx_exists(cached));
}


static void
test_again(void **state)
{
    char           link[OCI_PATH_MAX];
    const char    *json;
    oci_digest_t   d;
    struct stat    one, two;

    (void) state;

    json = fx_empty(1);
    d = fx_put(&repo, FX_MANIFEST, json, "t");
    assert_int_equal(stat(record(&d), &one), 0);

    fx_age(record(&d));
    fx_age(tag("t"));
    (void) strcpy(link, path);

    fx_put(&repo, FX_MANIFEST, json, "t u");

    assert_int_equal(stat(record(&d), &two), 0);
    assert_int_equal(one.st_ino, two.st_ino);
    assert_true(fx_fresh(record(&d)));
    assert_true(fx_fresh(link));
    expect(&d, "u", FX_MANIFEST, json);

    /* the same bytes as something else */

    assert_int_equal(fx_try(&repo, "a/b", json, "v", 0, &missing),
                     OCI_MISMATCH);
    assert_false(fx_exists(tag("v")));
    expect(&d, NULL, FX_MANIFEST, json);
    assert_int_equal(fx_tmp_count(), 0);

    /* but in another repository they may be */

    repo = fx_repo("ns", "some/repo");
    fx_put(&repo, "a/b", json, "v");
    expect(&d, "v", "a/b", json);
}


/* writes what a crash may leave of a record without fsync */

static void
damage(const oci_digest_t *d, const char *text, size_t len)
{
    int  fd;

    assert_int_equal(unlink(record(d)), 0);

    fd = open(path, O_WRONLY|O_CREAT|O_EXCL, 0444);
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
    d = fx_put(&repo, FX_MANIFEST, json, "t");
    other = fx_digest(OCI_SHA256, "other");
    len = strlen(json);

    for (i = 0; i < 7; i++) {
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
            assert_int_equal(oci_manifest_open(&fx_store, &repo, &d, NULL, 0,
                                               &rec),
                             OCI_INVALID);
            assert_int_equal(errno, EBADMSG);
            assert_int_equal(rec.fd, -1);
        }

        assert_int_equal(oci_manifest_load(&fx_store, &repo, &d, 1000, &m,
                                           &data, &rec),
                         OCI_INVALID);

        fx_put(&repo, FX_MANIFEST, json, "");

        expect(&d, "t", FX_MANIFEST, json);
        assert_int_equal(fx_tmp_count(), 0);
    }

    /* one that is beyond repair can be deleted */

    damage(&d, "x", 1);
    assert_int_equal(oci_manifest_delete(&fx_store, &repo, &d), OCI_OK);
    assert_false(fx_exists(record(&d)));
    assert_false(fx_exists(tag("t")));
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

    assert_int_equal(oci_manifest_load(&fx_store, &repo, &d, 1000, &m, &data,
                                       &rec),
                     OCI_NOT_FOUND);

    fx_put(&repo, FX_MANIFEST, json, "");

    assert_int_equal(oci_manifest_load(&fx_store, &repo, &d, 1000, &m, &data,
                                       &rec),
                     OCI_OK);
    assert_int_equal(rec.fd, -1);
    assert_int_equal(rec.size, strlen(json));
    assert_memory_equal(data, json, strlen(json));
    assert_int_equal(m.count, 0);

    oci_manifest_free(&m);
    free(data);

    assert_int_equal(oci_manifest_load(&fx_store, &repo, &d,
                                       (int64_t) strlen(json) - 1, &m, &data,
                                       &rec),
                     OCI_INVALID);
    assert_int_equal(errno, EFBIG);
}


static void
test_delete(void **state)
{
    char           referrer[OCI_PATH_MAX], folder[OCI_PATH_MAX];
    uint64_t       before;
    oci_digest_t   subject, d, other, c, l;

    (void) state;

    subject = fx_digest(OCI_SHA256, "subject");

    assert_int_equal(oci_manifest_delete(&fx_store, &repo, &subject),
                     OCI_NOT_FOUND);

    c = fx_blob(&repo, "config");
    l = fx_blob(&repo, "layer");

    d = fx_put(&repo, FX_MANIFEST, referring(&subject, "layer"), "one two");
    other = fx_put(&repo, FX_MANIFEST, fx_empty(1), "three");

    oci_path_referrer(referrer, &fx_store, &repo, &subject, &d);
    oci_path_referrers(folder, &fx_store, &repo, &subject);
    assert_true(fx_exists(referrer));

    fx_age(blob(&c));
    fx_age(blob(&l));

    before = oci_generation_read(&fx_store, &repo);

    assert_int_equal(oci_manifest_delete(&fx_store, &repo, &d), OCI_OK);

    if (fx_store.counters != NULL) {
        assert_true(oci_generation_read(&fx_store, &repo) >= before + 2);
    }

    gone(&d, NULL);
    gone(NULL, "one");
    assert_false(fx_exists(tag("one")));
    assert_false(fx_exists(tag("two")));
    assert_false(fx_exists(referrer));
    assert_false(fx_exists(folder));
    assert_true(fx_fresh(blob(&c)));
    assert_true(fx_fresh(blob(&l)));
    expect(&other, "three", FX_MANIFEST, fx_empty(1));

    assert_int_equal(oci_manifest_delete(&fx_store, &repo, &d),
                     OCI_NOT_FOUND);

    /* a second referrer keeps the folder */

    fx_put(&repo, FX_MANIFEST, referring(&subject, "layer"), "");
    other = fx_put(&repo, FX_MANIFEST, referring(&subject, "config"), "");
    assert_int_equal(oci_manifest_delete(&fx_store, &repo, &d), OCI_OK);
    assert_true(fx_exists(folder));
    assert_int_equal(oci_manifest_delete(&fx_store, &repo, &other), OCI_OK);
    assert_false(fx_exists(folder));
}


static void
test_delete_index(void **state)
{
    char           json[512];
    oci_digest_t   child, d;

    (void) state;

    child = fx_put(&repo, FX_MANIFEST, fx_empty(1), "");

    (void) snprintf(json, sizeof(json),
                    "{\"manifests\":[{\"digest\":\"%s\",\"size\":1}]}",
                    fx_text(&child));

    d = fx_put(&repo, FX_INDEX, json, "");

    fx_age(record(&child));
    assert_int_equal(oci_manifest_delete_untagged(&fx_store, &repo, &d),
                     OCI_OK);
    assert_true(fx_fresh(record(&child)));
    assert_false(fx_exists(record(&d)));
}


static void
test_delete_locked(void **state)
{
    oci_lock_t     lock;
    oci_digest_t   one, two;

    (void) state;

    one = fx_put(&repo, FX_MANIFEST, fx_empty(1), "one");
    two = fx_put(&repo, FX_MANIFEST, fx_empty(2), "two");

    assert_int_equal(oci_lock_repo(&lock, &fx_store, &repo, 1, 0), OCI_OK);
    assert_int_equal(oci_manifest_delete_locked(&fx_store, &repo, &one),
                     OCI_OK);
    assert_int_equal(oci_manifest_delete_untagged(&fx_store, &repo, &two),
                     OCI_OK);
    oci_lock_release(&lock);

    assert_false(fx_exists(record(&one)));
    assert_false(fx_exists(tag("one")));
    assert_false(fx_exists(record(&two)));
    assert_true(fx_exists(tag("two")));
}


static void
test_busy(void **state)
{
    oci_str_t      s;
    oci_lock_t     lock;
    oci_digest_t   d;

    (void) state;

    d = fx_put(&repo, FX_MANIFEST, fx_empty(1), "t");
    s = fx_str("t");

    /* a push elsewhere */

    assert_int_equal(oci_lock_repo(&lock, &fx_store, &repo, 0, 0), OCI_OK);

    fx_put(&repo, FX_MANIFEST, fx_empty(2), "u");
    assert_int_equal(oci_manifest_delete(&fx_store, &repo, &d), OCI_AGAIN);
    assert_int_equal(oci_tag_delete(&fx_store, &repo, &s), OCI_AGAIN);
    expect(&d, "t", FX_MANIFEST, fx_empty(1));

    oci_lock_release(&lock);

    /* a delete elsewhere */

    assert_int_equal(oci_lock_repo(&lock, &fx_store, &repo, 1, 0), OCI_OK);

    assert_int_equal(fx_try(&repo, FX_MANIFEST, fx_empty(3), "v", 0,
                            &missing),
                     OCI_AGAIN);
    assert_int_equal(oci_manifest_delete(&fx_store, &repo, &d), OCI_AGAIN);
    assert_int_equal(oci_tag_delete(&fx_store, &repo, &s), OCI_AGAIN);
    assert_false(fx_exists(tag("v")));

    oci_lock_release(&lock);

    assert_int_equal(oci_manifest_delete(&fx_store, &repo, &d), OCI_OK);
    gone(NULL, "t");
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

    fx_blob(&repo, "config");
    fx_blob(&repo, "layer");

    json = referring(&subject, "layer");
    d = fx_put(&repo, FX_MANIFEST, json, "t");
    oci_path_referrer(referrer, &fx_store, &repo, &subject, &d);

    assert_int_equal(unlink(referrer), 0);
    assert_int_equal(unlink(tag("t")), 0);

    fx_put(&repo, FX_MANIFEST, json, "t");

    assert_true(fx_exists(referrer));
    expect(&d, "t", FX_MANIFEST, json);

    /* a delete that came no further than the record */

    assert_int_equal(unlink(record(&d)), 0);
    gone(NULL, "t");
    assert_int_equal(oci_manifest_delete(&fx_store, &repo, &d),
                     OCI_NOT_FOUND);
    assert_false(fx_exists(tag("t")));

    fx_put(&repo, FX_MANIFEST, json, "");
    gone(NULL, "t");
}


static void
test_algorithms(void **state)
{
    int              rc;
    const char      *json, *reason;
    oci_str_t        type, tags[1];
    oci_digest_t     d;
    oci_manifest_t   m;

    (void) state;

    json = fx_empty(1);
    d = fx_digest(OCI_SHA512, json);
    type = fx_str(FX_MANIFEST);
    tags[0] = fx_str("t");

    assert_int_equal(oci_manifest_parse(&m, (const u_char *) json,
                                        strlen(json), &type, &reason),
                     OCI_OK);
    rc = oci_manifest_put(&fx_store, &repo, &m, &d, (const u_char *) json,
                          strlen(json), tags, 1, 0, &missing);
    oci_manifest_free(&m);
    assert_int_equal(rc, OCI_OK);

    /* the tag remembers its algorithm until the next push */

    expect(&d, "t", FX_MANIFEST, json);

    d = fx_put(&repo, FX_MANIFEST, json, "t");
    expect(&d, "t", FX_MANIFEST, json);
}


static void
test_no_room(void **state)
{
    char           root[OCI_PATH_MAX], moved[OCI_PATH_MAX];
    oci_digest_t   d;

    (void) state;

    d = fx_digest(OCI_SHA256, fx_empty(1));

    (void) snprintf(root, sizeof(root), "%s/tmp", fx_store.root);
    (void) snprintf(moved, sizeof(moved), "%s/tmp.moved", fx_store.root);

    assert_int_equal(rename(root, moved), 0);
    assert_int_equal(fx_try(&repo, FX_MANIFEST, fx_empty(1), "t", 0,
                            &missing),
                     OCI_ERROR);
    assert_int_equal(oci_failure()->err, ENOENT);
    assert_false(fx_exists(record(&d)));
    assert_false(fx_exists(tag("t")));
    assert_int_equal(rename(moved, root), 0);

    fx_put(&repo, FX_MANIFEST, fx_empty(1), "t");
    expect(&d, "t", FX_MANIFEST, fx_empty(1));
}


/* the largest number of descriptors: each digest is looked for once */

static void
test_many(void **state)
{
    char          *json, *p;
    size_t         i;
    oci_digest_t   d;

    (void) state;

    d = fx_blob(&repo, "layer");

    json = malloc(100 * 60000 + 64);
    assert_non_null(json);

    p = stpcpy(json, "{\"layers\":[");

    for (i = 0; i < 60000; i++) {
        p += sprintf(p, "%s{\"digest\":\"%s\",\"size\":%zu}", i ? "," : "",
                     fx_text(&d), i);
    }

    (void) strcpy(p, "]}");

    fx_put(&repo, FX_MANIFEST, json, "t");

    free(json);
}


/*
 * Pushes and deletes of the same manifest under the same tag, in processes:
 * none may fail, nothing half may be seen, and what remains fits together.
 */

#define LOOPS  150


static void
pusher(const char *json, const char *name)
{
    int        rc;
    unsigned   n;

    for (n = 0; n < LOOPS; /* void */ ) {
        rc = fx_try(&repo, FX_MANIFEST, json, name, 0, &missing);

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
        rc = oci_manifest_delete(&fx_store, &repo, &d);

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
        rc = oci_manifest_open(&fx_store, &repo, NULL, &s, 0, &rec);

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

    fx_put(&repo, FX_MANIFEST, json, "t");

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

    fx_put(&repo, FX_MANIFEST, json, "t");
    expect(&d, "t", FX_MANIFEST, json);

    assert_int_equal(oci_manifest_delete(&fx_store, &repo, &d), OCI_OK);
    assert_false(fx_exists(tag("t")));
    assert_false(fx_exists(tag("u")));
    assert_int_equal(fx_tmp_count(), 0);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header),
        cmocka_unit_test_setup_teardown(test_put_open, setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_put_open, setup_durable,
                                        fx_teardown),
        cmocka_unit_test_setup_teardown(test_nowait, setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_missing, setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_children, setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_children, setup_durable,
                                        fx_teardown),
        cmocka_unit_test_setup_teardown(test_cached, setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_again, setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_again, setup_durable,
                                        fx_teardown),
        cmocka_unit_test_setup_teardown(test_damaged, setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_load, setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_delete, setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_delete, setup_durable,
                                        fx_teardown),
        cmocka_unit_test_setup_teardown(test_delete_index, setup,
                                        fx_teardown),
        cmocka_unit_test_setup_teardown(test_delete_locked, setup,
                                        fx_teardown),
        cmocka_unit_test_setup_teardown(test_busy, setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_repair, setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_algorithms, setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_no_room, setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_many, setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_concurrent, setup, fx_teardown)
    };

    return cmocka_run_group_tests(tests, fx_begin, fx_end);
}
