
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Room on the disk: what fills want to have, and eviction can't give them.
 * Single words, each whole: a wish that is lost is said again.
 */


#include "ngx_http_oci_zone.h"


#define NGX_HTTP_OCI_ROOM_TTL   500         /* ms that a wish lasts */
#define NGX_HTTP_OCI_ROOM_VAIN  10000       /* and that it is hopeless */

#define ngx_http_oci_room_load(p)      __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define ngx_http_oci_room_store(p, v)                                         \
    __atomic_store_n(p, v, __ATOMIC_RELEASE)


void
ngx_http_oci_zone_want(ngx_http_oci_zone_t *z, uint64_t bytes)
{
    /* the largest counts: whoever is served takes it, and others go on */

    if (ngx_http_oci_zone_wanted(z) < bytes) {
        ngx_http_oci_room_store(&z->sh->wanted, bytes);
    }

    ngx_http_oci_room_store(&z->sh->wanted_until,
                            ngx_current_msec + NGX_HTTP_OCI_ROOM_TTL);
}


void
ngx_http_oci_zone_served(ngx_http_oci_zone_t *z)
{
    ngx_http_oci_room_store(&z->sh->wanted_until, 0);
}


uint64_t
ngx_http_oci_zone_wanted(ngx_http_oci_zone_t *z)
{
    return (ngx_http_oci_room_load(&z->sh->wanted_until) > ngx_current_msec)
           ? ngx_http_oci_room_load(&z->sh->wanted) : 0;
}


void
ngx_http_oci_zone_vain(ngx_http_oci_zone_t *z, uint64_t bytes)
{
    ngx_http_oci_room_store(&z->sh->vain, bytes);
    ngx_http_oci_room_store(&z->sh->vain_at, ngx_current_msec);
}


ngx_uint_t
ngx_http_oci_zone_hopeless(ngx_http_oci_zone_t *z, uint64_t bytes)
{
    uint64_t  vain;

    vain = ngx_http_oci_room_load(&z->sh->vain);

    return vain != 0 && bytes >= vain
           && ngx_current_msec - ngx_http_oci_room_load(&z->sh->vain_at)
              < NGX_HTTP_OCI_ROOM_VAIN;
}
