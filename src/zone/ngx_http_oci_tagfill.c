
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Filling a snapshot: a large one step by step, in an entry of its own.
 */


#include "ngx_http_oci_tagmeta.h"


/* what one hold of the lock does at most: some microseconds */
#define NGX_HTTP_OCI_TAGSET_FILL     4          /* leaves filled */

/* a builder that did nothing for so long is dead */
#define NGX_HTTP_OCI_TAGSET_DEAD     10000      /* ms */


static uint64_t ngx_http_oci_tagset_token(void);
static void ngx_http_oci_tagset_mark(const ngx_http_oci_cache_ask_t *ask,
    ngx_http_oci_zone_entry_t *e, const oci_stamp_t *stamp);
static void ngx_http_oci_tagset_put_small(
    const ngx_http_oci_cache_ask_t *ask, const u_char *run, size_t len,
    size_t count, const oci_stamp_t *stamp);
static size_t ngx_http_oci_tagset_leaf(const u_char *run, size_t len,
    size_t *count);
static ngx_int_t ngx_http_oci_tagset_fill(const ngx_http_oci_cache_ask_t *ask,
    uint64_t token, const u_char *run, size_t len);
static ngx_int_t ngx_http_oci_tagset_commit(
    const ngx_http_oci_cache_ask_t *ask, uint64_t token,
    const oci_stamp_t *stamp);


/* of no other snapshot of this machine, nor zero */

static uint64_t
ngx_http_oci_tagset_token(void)
{
    static uint32_t  n;

    return ((uint64_t) ngx_pid << 32)
           | __atomic_add_fetch(&n, 1, __ATOMIC_RELAXED);
}


uint64_t
ngx_http_oci_tagset_begin(const ngx_http_oci_cache_ask_t *ask)
{
    uint64_t                    now;
    ngx_http_oci_zone_t        *z;
    ngx_http_oci_tagset_t       set;
    ngx_http_oci_zone_key_t     key;
    ngx_http_oci_zone_entry_t  *e;

    z = ask->zone;
    now = ngx_current_msec;

    ngx_http_oci_tagset_key(&key, ask, 1);

    ngx_http_oci_zone_lock(z);

    e = ngx_http_oci_zone_find(z, &key);

    if (e != NULL) {
        ngx_http_oci_tagset_load(&set, e);

        if (set.state == NGX_HTTP_OCI_TAGSET_BUILDING
            && (now < e->checked
                || now - e->checked < NGX_HTTP_OCI_TAGSET_DEAD))
        {
            ngx_http_oci_zone_unlock(z);
            return 0;
        }
    }

    ngx_http_oci_zone_unlock(z);

    if (e != NULL) {
        ngx_http_oci_tagset_clear(z, &key, set.token);
    }

    ngx_memzero(&set, sizeof(ngx_http_oci_tagset_t));

    set.token = ngx_http_oci_tagset_token();
    set.state = NGX_HTTP_OCI_TAGSET_BUILDING;

    ngx_http_oci_zone_lock(z);

    e = ngx_http_oci_zone_find(z, &key);

    if (e == NULL) {
        ngx_http_oci_zone_change(z);

        e = ngx_http_oci_zone_add(z, &key, 0, &set, sizeof(set), NULL, 0);

        if (e != NULL) {
            e->checked = now;

        } else {
            set.token = 0;
        }

    } else {
        set.token = 0;
    }

    ngx_http_oci_zone_unlock(z);

    return set.token;
}


void
ngx_http_oci_tagset_put(const ngx_http_oci_cache_ask_t *ask, uint64_t token,
    const u_char *run, size_t len, size_t count, const oci_stamp_t *stamp)
{
    ngx_http_oci_zone_key_t  key;

    if (len > NGX_HTTP_OCI_TAGSET_SMALL) {

        if (token == 0) {
            token = ngx_http_oci_tagset_begin(ask);

            if (token == 0) {
                return;
            }
        }

        if (ngx_http_oci_tagset_fill(ask, token, run, len) == NGX_OK
            && ngx_http_oci_tagset_commit(ask, token, stamp) == NGX_OK)
        {
            token = 0;

        } else {
            ngx_http_oci_tagset_put_small(ask, NULL, 0, 0, stamp);
        }

    } else if (count != 0) {
        ngx_http_oci_tagset_put_small(ask, run, len, count, stamp);
    }

    if (token != 0) {
        ngx_http_oci_tagset_key(&key, ask, 1);
        ngx_http_oci_tagset_clear(ask->zone, &key, token);
    }

    ngx_http_oci_zone_warn(ask->zone, ngx_cycle->log);
}


/* no name: what stands for a list that found no room */

static void
ngx_http_oci_tagset_put_small(const ngx_http_oci_cache_ask_t *ask,
    const u_char *run, size_t len, size_t count, const oci_stamp_t *stamp)
{
    ngx_http_oci_zone_t        *z;
    ngx_http_oci_tagset_t       set;
    ngx_http_oci_zone_key_t     key;
    ngx_http_oci_zone_entry_t  *e;

    z = ask->zone;

    ngx_memzero(&set, sizeof(ngx_http_oci_tagset_t));

    set.token = ngx_http_oci_tagset_token();
    set.state = count ? 0 : NGX_HTTP_OCI_TAGSET_REFUSED;
    set.tree.count = count;

    ngx_http_oci_tagset_key(&key, ask, 0);
    ngx_http_oci_tagset_clear(z, &key, 0);

    ngx_http_oci_zone_lock(z);
    ngx_http_oci_zone_change(z);

    e = ngx_http_oci_zone_add(z, &key, 0, &set, ngx_http_oci_tagset_head, run,
                              len);

    if (e != NULL) {
        ngx_http_oci_tagset_mark(ask, e, stamp);
    }

    ngx_http_oci_zone_unlock(z);
}


/* how much of a run makes a leaf */

static size_t
ngx_http_oci_tagset_leaf(const u_char *run, size_t len, size_t *count)
{
    size_t  i;

    *count = 0;

    for (i = 0; i < len && i + 1 + run[i] <= NGX_HTTP_OCI_TAGTREE_DATA;
         i += 1 + run[i])
    {
        (*count)++;
    }

    return i;
}


static ngx_int_t
ngx_http_oci_tagset_fill(const ngx_http_oci_cache_ask_t *ask, uint64_t token,
    const u_char *run, size_t len)
{
    size_t                      size, count;
    ngx_int_t                   rc;
    ngx_uint_t                  i;
    ngx_http_oci_zone_t        *z;
    ngx_http_oci_tagset_t       set;
    ngx_http_oci_zone_key_t     key;
    ngx_http_oci_zone_entry_t  *e;

    z = ask->zone;
    rc = NGX_OK;

    ngx_http_oci_tagset_key(&key, ask, 1);

    while (rc == NGX_OK && len != 0) {

        ngx_http_oci_zone_lock(z);

        e = ngx_http_oci_zone_find(z, &key);

        if (e == NULL) {
            ngx_http_oci_zone_unlock(z);
            return NGX_ERROR;
        }

        ngx_http_oci_tagset_load(&set, e);

        if (set.token != token || set.state != NGX_HTTP_OCI_TAGSET_BUILDING) {
            ngx_http_oci_zone_unlock(z);
            return NGX_ERROR;
        }

        ngx_http_oci_zone_change(z);

        for (i = 0; i < NGX_HTTP_OCI_TAGSET_FILL && len != 0; i++) {

            size = ngx_http_oci_tagset_leaf(run, len, &count);

            rc = ngx_http_oci_tagtree_append(z, e, &set.tree, run, size,
                                             count);
            if (rc != NGX_OK) {
                break;
            }

            run += size;
            len -= size;
        }

        e->checked = ngx_current_msec;
        ngx_http_oci_tagset_save(e, &set);

        ngx_http_oci_zone_unlock(z);
    }

    return rc;
}


/* what was filled takes the place of what was there */

static ngx_int_t
ngx_http_oci_tagset_commit(const ngx_http_oci_cache_ask_t *ask,
    uint64_t token, const oci_stamp_t *stamp)
{
    ngx_int_t                   rc;
    ngx_http_oci_zone_t        *z;
    ngx_http_oci_tagset_t       set, empty;
    ngx_http_oci_zone_key_t     key, live_key;
    ngx_http_oci_zone_entry_t  *e, *live;

    z = ask->zone;
    rc = NGX_ERROR;

    ngx_http_oci_tagset_key(&key, ask, 1);
    ngx_http_oci_tagset_key(&live_key, ask, 0);

    ngx_http_oci_tagset_clear(z, &live_key, 0);

    ngx_http_oci_zone_lock(z);

    e = ngx_http_oci_zone_find(z, &key);

    if (e == NULL) {
        goto done;
    }

    ngx_http_oci_tagset_load(&set, e);

    if (set.token != token || set.state != NGX_HTTP_OCI_TAGSET_BUILDING) {
        goto done;
    }

    ngx_http_oci_zone_change(z);

    ngx_memzero(&empty, sizeof(ngx_http_oci_tagset_t));

    /* room for the one is not to be made by removing the other */

    e->pinned = 1;

    live = ngx_http_oci_zone_add(z, &live_key, 0, &empty, sizeof(empty), NULL,
                                 0);
    e->pinned = 0;

    if (live == NULL) {
        goto done;
    }

    ngx_http_oci_tagset_save(e, &empty);
    ngx_http_oci_zone_remove(z, e);

    set.state = 0;

    ngx_http_oci_tagset_save(live, &set);
    ngx_http_oci_tagset_mark(ask, live, stamp);

    rc = NGX_OK;

done:

    ngx_http_oci_zone_unlock(z);

    return rc;
}


static void
ngx_http_oci_tagset_mark(const ngx_http_oci_cache_ask_t *ask,
    ngx_http_oci_zone_entry_t *e, const oci_stamp_t *stamp)
{
    e->generation = ask->generation;
    e->checked = ngx_current_msec;
    e->inode = stamp->inode;
    e->ctime = stamp->ctime;
}
