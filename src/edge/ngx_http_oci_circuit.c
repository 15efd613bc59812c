
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "ngx_http_oci_circuit.h"


#define NGX_HTTP_OCI_CIRCUIT_FAILURES  3
#define NGX_HTTP_OCI_CIRCUIT_PAUSE     5000         /* ms between two tries */
#define NGX_HTTP_OCI_CIRCUIT_HEADS     30000        /* ms after a stall: a head
                                                       is no sign of life */


typedef struct {
    uint64_t    next;               /* ngx_current_msec of the next try */
    uint64_t    stalled;            /* and of the last body that stalled since
                                       one came, 0: none */
    uint32_t    failures;           /* in a row */
    uint32_t    open;
    uint32_t    dead;               /* of the failures, the last in a row that
                                       were no limit */
} ngx_http_oci_circuit_t;


static void ngx_http_oci_circuit_key(ngx_http_oci_zone_key_t *key,
    ngx_http_oci_target_t *target);
static ngx_uint_t ngx_http_oci_circuit_look(ngx_http_oci_zone_t *z,
    ngx_http_oci_target_t *target, ngx_uint_t dead);


static void
ngx_http_oci_circuit_key(ngx_http_oci_zone_key_t *key,
    ngx_http_oci_target_t *target)
{
    oci_str_t   s;
    oci_repo_t  none;

    ngx_memzero(&none, sizeof(oci_repo_t));

    s.data = target->key.data;
    s.len = target->key.len;

    ngx_http_oci_zone_key(key, NGX_HTTP_OCI_ZONE_CIRCUIT, &none, &s, NULL);
}


ngx_uint_t
ngx_http_oci_circuit_open(ngx_http_oci_zone_t *z,
    ngx_http_oci_target_t *target)
{
    return ngx_http_oci_circuit_look(z, target, 0);
}


ngx_uint_t
ngx_http_oci_circuit_dead(ngx_http_oci_zone_t *z,
    ngx_http_oci_target_t *target)
{
    return ngx_http_oci_circuit_look(z, target, 1);
}


static ngx_uint_t
ngx_http_oci_circuit_look(ngx_http_oci_zone_t *z,
    ngx_http_oci_target_t *target, ngx_uint_t dead)
{
    ngx_uint_t                  open;
    ngx_http_oci_circuit_t      circuit;
    ngx_http_oci_zone_key_t     key;
    ngx_http_oci_zone_entry_t  *e;

    ngx_http_oci_circuit_key(&key, target);

    open = 0;

    ngx_http_oci_zone_lock(z);

    e = ngx_http_oci_zone_find(z, &key);

    if (e != NULL) {
        ngx_memcpy(&circuit, ngx_http_oci_zone_meta(e), sizeof(circuit));

        e->used = 1;

        if (circuit.open
            && (!dead || circuit.dead >= NGX_HTTP_OCI_CIRCUIT_FAILURES))
        {
            open = (ngx_current_msec < circuit.next);

            if (!open) {

                /* this one tries; the others wait for what comes of it */

                circuit.next = ngx_current_msec + NGX_HTTP_OCI_CIRCUIT_PAUSE;
                ngx_memcpy(ngx_http_oci_zone_meta(e), &circuit,
                           sizeof(circuit));
            }
        }
    }

    ngx_http_oci_zone_unlock(z);

    return open;
}


ngx_uint_t
ngx_http_oci_circuit_verdict(ngx_http_oci_fetch_t *f,
    ngx_http_oci_fetch_rc_e rc)
{
    if (!ngx_http_oci_fetch_failed(f, rc)) {
        return NGX_HTTP_OCI_CIRCUIT_ANSWERED;
    }

    if (rc == NGX_HTTP_OCI_FETCH_TIMEOUT && f->response) {
        return NGX_HTTP_OCI_CIRCUIT_STALLED;
    }

    return (rc == NGX_HTTP_OCI_FETCH_OK
            && f->response->status == NGX_HTTP_TOO_MANY_REQUESTS)
           ? NGX_HTTP_OCI_CIRCUIT_LIMITED : NGX_HTTP_OCI_CIRCUIT_FAILED;
}


void
ngx_http_oci_circuit_report(ngx_http_oci_zone_t *z,
    ngx_http_oci_target_t *target, ngx_uint_t failed, ngx_log_t *log)
{
    ngx_uint_t                  opened, closed;
    ngx_http_oci_circuit_t      circuit;
    ngx_http_oci_zone_key_t     key;
    ngx_http_oci_zone_entry_t  *e;

    ngx_http_oci_circuit_key(&key, target);

    opened = 0;
    closed = 0;

    ngx_http_oci_zone_lock(z);

    e = ngx_http_oci_zone_find(z, &key);

    if (e == NULL) {
        ngx_memzero(&circuit, sizeof(circuit));

    } else {
        ngx_memcpy(&circuit, ngx_http_oci_zone_meta(e), sizeof(circuit));
    }

    if (failed == NGX_HTTP_OCI_CIRCUIT_STALLED) {
        circuit.stalled = ngx_current_msec;
    }

    if (failed == NGX_HTTP_OCI_CIRCUIT_HEADED) {

        if (circuit.stalled && ngx_current_msec - circuit.stalled
                               < NGX_HTTP_OCI_CIRCUIT_HEADS)
        {
            ngx_http_oci_zone_unlock(z);
            return;
        }

        failed = NGX_HTTP_OCI_CIRCUIT_ANSWERED;
    }

    if (failed) {
        circuit.failures++;
        circuit.dead = (failed == NGX_HTTP_OCI_CIRCUIT_LIMITED)
                       ? 0 : circuit.dead + 1;
        circuit.next = ngx_current_msec + NGX_HTTP_OCI_CIRCUIT_PAUSE;

        if (!circuit.open
            && circuit.failures >= NGX_HTTP_OCI_CIRCUIT_FAILURES)
        {
            circuit.open = 1;
            opened = 1;
        }

    } else {
        closed = circuit.open;
        ngx_memzero(&circuit, sizeof(circuit));
    }

    if (e != NULL) {
        ngx_memcpy(ngx_http_oci_zone_meta(e), &circuit, sizeof(circuit));

    } else if (failed) {
        ngx_http_oci_zone_change(z);
        (void) ngx_http_oci_zone_add(z, &key, 0, &circuit, sizeof(circuit),
                                     NULL, 0);
    }

    ngx_http_oci_zone_unlock(z);

    if (opened) {
        z->stats->counters[NGX_HTTP_OCI_STATS_CIRCUIT_OPENED]++;

        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "upstream \"%V\" failed %d times in a row, it is asked "
                      "every %d seconds until it answers", &target->key,
                      NGX_HTTP_OCI_CIRCUIT_FAILURES,
                      NGX_HTTP_OCI_CIRCUIT_PAUSE / 1000);
    }

    if (closed) {
        z->stats->counters[NGX_HTTP_OCI_STATS_CIRCUIT_CLOSED]++;

        ngx_log_error(NGX_LOG_NOTICE, log, 0, "upstream \"%V\" answers again",
                      &target->key);
    }
}
