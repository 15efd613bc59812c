
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * What was tried in vain waits, and longer each time: a blob whose content
 * was another one, and a fill that is gone on with for nobody.
 */


#include "ngx_http_oci_fill_part.h"


typedef struct {
    uint64_t    until;                              /* ngx_current_msec */
    int64_t     mark;
    uint32_t    times;
} ngx_http_oci_fill_bar_t;


static ngx_uint_t ngx_http_oci_fill_bar_read(ngx_http_oci_zone_t *zone,
    ngx_http_oci_zone_key_t *key, int64_t mark,
    ngx_http_oci_fill_bar_t *bar);
static void ngx_http_oci_fill_bar_key(ngx_http_oci_zone_key_t *key,
    ngx_uint_t kind, const oci_digest_t *d, u_char *text);


void
ngx_http_oci_fill_bar(ngx_http_oci_zone_t *zone, ngx_uint_t kind,
    const oci_digest_t *d, ngx_msec_t wait, ngx_uint_t times, int64_t mark)
{
    u_char                    text[OCI_DIGEST_MAX];
    ngx_http_oci_fill_bar_t   bar;
    ngx_http_oci_zone_key_t   key;

    if (zone == NULL) {
        return;
    }

    ngx_http_oci_fill_bar_key(&key, kind, d, text);

    ngx_http_oci_zone_lock(zone);
    ngx_http_oci_zone_change(zone);

    if (!ngx_http_oci_fill_bar_read(zone, &key, mark, &bar)) {
        ngx_memzero(&bar, sizeof(bar));
        bar.mark = mark;
    }

    bar.times = (uint32_t) ngx_min(bar.times + 1, times);
    bar.until = ngx_current_msec + ((uint64_t) wait << (bar.times - 1));

    (void) ngx_http_oci_zone_add(zone, &key, 1, &bar, sizeof(bar), NULL, 0);

    ngx_http_oci_zone_unlock(zone);
}


ngx_int_t
ngx_http_oci_fill_barred(ngx_http_oci_zone_t *zone, ngx_uint_t kind,
    const oci_digest_t *d, int64_t mark)
{
    u_char                    text[OCI_DIGEST_MAX];
    ngx_int_t                 left;
    ngx_http_oci_fill_bar_t   bar;
    ngx_http_oci_zone_key_t   key;

    if (zone == NULL) {
        return 0;
    }

    ngx_http_oci_fill_bar_key(&key, kind, d, text);

    left = 0;

    ngx_http_oci_zone_lock(zone);

    if (ngx_http_oci_fill_bar_read(zone, &key, mark, &bar)
        && bar.until > ngx_current_msec)
    {
        left = (ngx_int_t) (bar.until - ngx_current_msec + 999) / 1000;
    }

    ngx_http_oci_zone_unlock(zone);

    return left;
}


/* under the lock: 1 if there is one, of the same mark */

static ngx_uint_t
ngx_http_oci_fill_bar_read(ngx_http_oci_zone_t *zone,
    ngx_http_oci_zone_key_t *key, int64_t mark, ngx_http_oci_fill_bar_t *bar)
{
    ngx_http_oci_zone_entry_t  *e;

    e = ngx_http_oci_zone_find(zone, key);

    if (e == NULL || e->meta_len != sizeof(ngx_http_oci_fill_bar_t)) {
        return 0;
    }

    ngx_memcpy(bar, ngx_http_oci_zone_meta(e),
               sizeof(ngx_http_oci_fill_bar_t));

    return bar->mark == mark;
}


static void
ngx_http_oci_fill_bar_key(ngx_http_oci_zone_key_t *key, ngx_uint_t kind,
    const oci_digest_t *d, u_char *text)
{
    oci_str_t   first;
    oci_repo_t  none;

    ngx_memzero(&none, sizeof(oci_repo_t));

    first.data = text;
    first.len = oci_digest_text(d, text);

    ngx_http_oci_zone_key(key, kind, &none, &first, NULL);
}
