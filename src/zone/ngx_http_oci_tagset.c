
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "ngx_http_oci_tagmeta.h"


/* what one hold of the lock does at most: some microseconds each */
#define NGX_HTTP_OCI_TAGSET_TRIM     32         /* leaves freed */
#define NGX_HTTP_OCI_TAGSET_CHANGE   8          /* names put or removed */
#define NGX_HTTP_OCI_TAGSET_VISIT    256        /* leaves copied from */

/* for a small one that grows by so many */
#define NGX_HTTP_OCI_TAGSET_ROOM                                              \
    (NGX_HTTP_OCI_TAGSET_SMALL                                                \
     + NGX_HTTP_OCI_TAGSET_CHANGE * (1 + OCI_TAG_MAX))

/* more names than this are not copied in one piece */
#define NGX_HTTP_OCI_TAGSET_MANY     (NGX_HTTP_OCI_TAGSET_COPY / 8)

/*
 * One that is behind the counter may be brought up to date by a write that
 * has not ended yet; it is built anew when that did not happen.
 */
#define NGX_HTTP_OCI_TAGSET_BEHIND   100        /* ms */

/* what found no room is not tried again so soon */
#define NGX_HTTP_OCI_TAGSET_AGAIN    60000      /* ms */


static ngx_uint_t ngx_http_oci_tagset_behind(ngx_http_oci_zone_entry_t *e,
    ngx_http_oci_tagset_t *set);
static void ngx_http_oci_tagset_copy(ngx_http_oci_zone_entry_t *e,
    const ngx_http_oci_tagset_t *set, const oci_str_t *after, uint64_t n,
    u_char *buf, ngx_http_oci_tagset_part_t *part);
static ngx_int_t ngx_http_oci_tagset_apply(ngx_http_oci_zone_t *z,
    const ngx_http_oci_zone_key_t *key, ngx_http_oci_zone_entry_t **ep,
    const oci_str_t *tags, size_t n, unsigned removed);
static ngx_int_t ngx_http_oci_tagset_apply_small(ngx_http_oci_zone_t *z,
    const ngx_http_oci_zone_key_t *key, ngx_http_oci_zone_entry_t **ep,
    ngx_http_oci_tagset_t *set, const oci_str_t *tags, size_t n,
    unsigned removed);


void
ngx_http_oci_tagset_key(ngx_http_oci_zone_key_t *key,
    const ngx_http_oci_cache_ask_t *ask, ngx_uint_t building)
{
    static const oci_str_t  part = oci_string("b");

    ngx_http_oci_zone_key_of(key, NGX_HTTP_OCI_ZONE_TAGS, ask->repo,
                             ask->hash, building ? &part : NULL, NULL);
}


ngx_http_oci_cache_e
ngx_http_oci_tagset_read(const ngx_http_oci_cache_ask_t *ask,
    const oci_str_t *after, uint64_t n, u_char *buf,
    ngx_http_oci_tagset_part_t *part, oci_stamp_t *stamp)
{
    ngx_http_oci_cache_e        rc;
    ngx_http_oci_tagset_t       set;
    ngx_http_oci_zone_key_t     key;
    ngx_http_oci_zone_entry_t  *e;

    ngx_memzero(part, sizeof(ngx_http_oci_tagset_part_t));

    ngx_http_oci_tagset_key(&key, ask, 0);

    ngx_http_oci_zone_lock(ask->zone);

    e = ngx_http_oci_zone_find(ask->zone, &key);

    if (e == NULL) {
        rc = NGX_HTTP_OCI_CACHE_MISS;
        part->wanted = 1;
        goto done;
    }

    ngx_http_oci_tagset_load(&set, e);

    if (set.state) {
        rc = NGX_HTTP_OCI_CACHE_MISS;
        part->wanted = (set.state != NGX_HTTP_OCI_TAGSET_REFUSED
                        || ngx_current_msec - e->checked
                           >= NGX_HTTP_OCI_TAGSET_AGAIN);
        goto done;
    }

    rc = ngx_http_oci_cache_fresh(ask, e, stamp);

    if (rc == NGX_HTTP_OCI_CACHE_MISS) {
        part->wanted = ngx_http_oci_tagset_behind(e, &set);
        goto done;
    }

    part->token = set.token;
    part->wanted = 1;

    if (n <= NGX_HTTP_OCI_TAGSET_MANY
        || set.tree.count <= NGX_HTTP_OCI_TAGSET_MANY)
    {
        ngx_http_oci_tagset_copy(e, &set, after, n, buf, part);
    }

done:

    ngx_http_oci_zone_unlock(ask->zone);

    return rc;
}


ngx_uint_t
ngx_http_oci_tagset_renewed(const ngx_http_oci_cache_ask_t *ask,
    uint64_t seen)
{
    ngx_uint_t                  renewed;
    ngx_http_oci_tagset_t       set;
    ngx_http_oci_zone_key_t     key;
    ngx_http_oci_zone_entry_t  *e;

    renewed = 0;

    ngx_http_oci_tagset_key(&key, ask, 0);

    ngx_http_oci_zone_lock(ask->zone);

    e = ngx_http_oci_zone_find(ask->zone, &key);

    if (e != NULL && e->generation == ask->generation) {
        ngx_http_oci_tagset_load(&set, e);
        renewed = (set.state == 0 && set.token != seen);
    }

    ngx_http_oci_zone_unlock(ask->zone);

    return renewed;
}


/* 1: for so long that no write will bring it up to date any more */

static ngx_uint_t
ngx_http_oci_tagset_behind(ngx_http_oci_zone_entry_t *e,
    ngx_http_oci_tagset_t *set)
{
    uint64_t  now;

    now = ngx_current_msec;

    if (set->missed == 0) {
        set->missed = now ? now : 1;
        ngx_http_oci_tagset_save(e, set);
        return 0;
    }

    return now > set->missed
           && now - set->missed >= NGX_HTTP_OCI_TAGSET_BEHIND;
}


ngx_int_t
ngx_http_oci_tagset_next(const ngx_http_oci_cache_ask_t *ask,
    const oci_str_t *after, u_char *buf, ngx_http_oci_tagset_part_t *part)
{
    ngx_int_t                   rc;
    ngx_http_oci_tagset_t       set;
    ngx_http_oci_zone_key_t     key;
    ngx_http_oci_zone_entry_t  *e;

    rc = NGX_DECLINED;

    ngx_http_oci_tagset_key(&key, ask, 0);

    ngx_http_oci_zone_lock(ask->zone);

    e = ngx_http_oci_zone_find(ask->zone, &key);

    if (e != NULL && e->generation == ask->generation) {

        ngx_http_oci_tagset_load(&set, e);

        if (set.state == 0 && set.token == part->token) {
            e->used = 1;
            ngx_http_oci_tagset_copy(e, &set, after, (uint64_t) -1, buf,
                                     part);
            rc = NGX_OK;
        }
    }

    ngx_http_oci_zone_unlock(ask->zone);

    return rc;
}


static void
ngx_http_oci_tagset_copy(ngx_http_oci_zone_entry_t *e,
    const ngx_http_oci_tagset_t *set, const oci_str_t *after, uint64_t n,
    u_char *buf, ngx_http_oci_tagset_part_t *part)
{
    uint64_t                       more;
    ngx_uint_t                     i;
    ngx_http_oci_tagpos_t          pos;
    const ngx_http_oci_tagleaf_t  *leaf;

    part->len = 0;
    part->last = 0;

    if (ngx_http_oci_tagset_small(e)) {
        ngx_http_oci_zone_copy(e, buf);
        part->len = e->body_len;
        part->last = 1;
        return;
    }

    pos.node = 0;
    pos.leaf = 0;

    if (after->len) {
        ngx_http_oci_tagtree_find(&set->tree, after, &pos);
    }

    more = 0;

    for (i = 0; i < NGX_HTTP_OCI_TAGSET_VISIT && more <= n; i++) {

        leaf = ngx_http_oci_tagtree_next(&set->tree, &pos);

        if (leaf == NULL) {
            part->last = 1;
            return;
        }

        if (part->len + leaf->len > NGX_HTTP_OCI_TAGSET_COPY) {
            return;
        }

        ngx_memcpy(buf + part->len, leaf->data, leaf->len);
        part->len += leaf->len;

        /* of the first one, any number may come before after */

        if (i != 0) {
            more += leaf->count;
        }
    }
}


void
ngx_http_oci_tagset_confirm(const ngx_http_oci_cache_ask_t *ask)
{
    ngx_http_oci_zone_key_t  key;

    ngx_http_oci_tagset_key(&key, ask, 0);
    ngx_http_oci_cache_confirm(ask, &key);
}


ngx_uint_t
ngx_http_oci_tagset_trim(ngx_http_oci_zone_t *z, ngx_http_oci_zone_entry_t *e)
{
    ngx_http_oci_tagset_t  set;

    if (ngx_http_oci_tagset_small(e)) {
        return 0;
    }

    ngx_http_oci_tagset_load(&set, e);

    set.state = NGX_HTTP_OCI_TAGSET_GOING;
    ngx_http_oci_tagtree_trim(z, &set.tree, NGX_HTTP_OCI_TAGSET_TRIM);

    ngx_http_oci_tagset_save(e, &set);

    return set.tree.n != 0;
}


void
ngx_http_oci_tagset_drop(ngx_http_oci_zone_t *z, ngx_http_oci_zone_entry_t *e)
{
    while (ngx_http_oci_tagset_trim(z, e)) { /* void */ }
}


void
ngx_http_oci_tagset_clear(ngx_http_oci_zone_t *z,
    const ngx_http_oci_zone_key_t *key, uint64_t token)
{
    ngx_uint_t                  more;
    ngx_http_oci_tagset_t       set;
    ngx_http_oci_zone_entry_t  *e;

    do {
        more = 0;

        ngx_http_oci_zone_lock(z);

        e = ngx_http_oci_zone_find(z, key);

        if (e != NULL) {
            ngx_http_oci_tagset_load(&set, e);

            if (token == 0 || set.token == token) {
                ngx_http_oci_zone_change(z);

                more = ngx_http_oci_tagset_trim(z, e);

                if (!more) {
                    ngx_http_oci_zone_remove(z, e);
                }
            }
        }

        ngx_http_oci_zone_unlock(z);

    } while (more);
}


void
ngx_http_oci_tagset_update(ngx_http_oci_zone_t *z, const oci_store_t *s,
    const oci_repo_t *r, const oci_str_t *tags, size_t n, unsigned removed)
{
    size_t                       i, some;
    uint64_t                     token;
    ngx_int_t                    rc;
    ngx_http_oci_tagset_t        set;
    oci_generation_span_t        span;
    ngx_http_oci_zone_key_t      key;
    ngx_http_oci_zone_entry_t   *e;

    if (!oci_generation_span(s, r, &span)) {
        return;
    }

    ngx_http_oci_zone_key(&key, NGX_HTTP_OCI_ZONE_TAGS, r, NULL, NULL);

    i = 0;

    do {
        rc = NGX_OK;
        token = 0;
        some = ngx_min(n - i, NGX_HTTP_OCI_TAGSET_CHANGE);

        ngx_http_oci_zone_lock(z);

        e = ngx_http_oci_zone_find(z, &key);

        if (e == NULL || e->generation != span.before) {
            ngx_http_oci_zone_unlock(z);
            return;
        }

        ngx_http_oci_tagset_load(&set, e);

        if (set.state) {
            ngx_http_oci_zone_unlock(z);
            return;
        }

        token = set.token;

        ngx_http_oci_zone_change(z);

        if (some != 0) {
            rc = ngx_http_oci_tagset_apply(z, &key, &e, tags + i, some,
                                           removed);
            i += some;
        }

        if (rc == NGX_OK && i == n) {

            ngx_http_oci_tagset_load(&set, e);
            set.missed = 0;
            ngx_http_oci_tagset_save(e, &set);

            /* its stamp is that of the folder before: it holds no longer */

            e->generation = span.after;
        }

        ngx_http_oci_zone_unlock(z);

    } while (rc == NGX_OK && i < n);

    if (rc != NGX_OK) {
        ngx_http_oci_tagset_clear(z, &key, token);
    }
}


/* NGX_ERROR: it can't be brought up to date; *ep may have become another */

static ngx_int_t
ngx_http_oci_tagset_apply(ngx_http_oci_zone_t *z,
    const ngx_http_oci_zone_key_t *key, ngx_http_oci_zone_entry_t **ep,
    const oci_str_t *tags, size_t n, unsigned removed)
{
    size_t                 i;
    ngx_int_t              rc;
    ngx_http_oci_tagset_t  set;

    ngx_http_oci_tagset_load(&set, *ep);

    if (ngx_http_oci_tagset_small(*ep)) {
        return ngx_http_oci_tagset_apply_small(z, key, ep, &set, tags, n,
                                               removed);
    }

    rc = NGX_OK;

    for (i = 0; i < n && rc == NGX_OK; i++) {

        if (removed) {
            ngx_http_oci_tagtree_remove(z, &set.tree, &tags[i]);

        } else {
            rc = ngx_http_oci_tagtree_insert(z, *ep, &set.tree, &tags[i]);
        }

        if (set.tree.n == 0) {
            rc = NGX_ERROR;
        }
    }

    ngx_http_oci_tagset_save(*ep, &set);

    return rc;
}


static ngx_int_t
ngx_http_oci_tagset_apply_small(ngx_http_oci_zone_t *z,
    const ngx_http_oci_zone_key_t *key, ngx_http_oci_zone_entry_t **ep,
    ngx_http_oci_tagset_t *set, const oci_str_t *tags, size_t n,
    unsigned removed)
{
    size_t                      i, at, len, size;
    u_char                      run[NGX_HTTP_OCI_TAGSET_ROOM];
    uint64_t                    checked, generation, inode;
    int64_t                     ctime;
    ngx_uint_t                  found, changed;
    ngx_http_oci_zone_entry_t  *e;

    e = *ep;

    len = e->body_len;
    ngx_http_oci_zone_copy(e, run);

    changed = 0;

    for (i = 0; i < n; i++) {

        at = ngx_http_oci_tagrun_find(run, len, &tags[i], &found);

        if (found != removed) {
            continue;
        }

        size = 1 + tags[i].len;

        if (removed) {
            len -= size;
            ngx_memmove(run + at, run + at + size, len - at);
            set->tree.count--;

        } else {
            ngx_memmove(run + at + size, run + at, len - at);
            run[at] = (u_char) tags[i].len;
            ngx_memcpy(run + at + 1, tags[i].data, tags[i].len);
            len += size;
            set->tree.count++;
        }

        changed = 1;
    }

    if (!changed) {
        return NGX_OK;
    }

    /* without any name, whether the repository is known is another matter */

    if (len == 0 || len > NGX_HTTP_OCI_TAGSET_SMALL) {
        return NGX_ERROR;
    }

    checked = e->checked;
    generation = e->generation;
    inode = e->inode;
    ctime = e->ctime;

    e = ngx_http_oci_zone_add(z, key, 0, set, ngx_http_oci_tagset_head, run,
                              len);
    if (e == NULL) {
        return NGX_ERROR;
    }

    e->checked = checked;
    e->generation = generation;
    e->inode = inode;
    e->ctime = ctime;

    *ep = e;

    return NGX_OK;
}
