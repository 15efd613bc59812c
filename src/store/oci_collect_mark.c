
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "oci_collect_mark.h"

#include <errno.h>
#include <stdlib.h>


#define OCI_MARKS_MIN  64
#define OCI_MARKS_MAX  ((size_t) 1 << 30)


static void oci_mark_value(oci_mark_t *m, const oci_digest_t *d);
static size_t oci_marks_slot(const oci_marks_t *t, const oci_mark_t *key);
static int oci_marks_grow(oci_marks_t *t);


static void
oci_mark_value(oci_mark_t *m, const oci_digest_t *d)
{
    unsigned  c, v;
    size_t    i;

    memset(m, 0, sizeof(oci_mark_t));

    m->alg = (unsigned) d->alg & 3;

    for (i = 0; i < d->hex_len && i < OCI_HEX_MAX; i++) {
        c = (u_char) d->hex[i];
        v = (c <= '9') ? c - '0' : c - 'a' + 10;

        m->value[i / 2] = (u_char) (m->value[i / 2] << 4 | v);
    }
}


void
oci_mark_digest(const oci_mark_t *m, oci_digest_t *d)
{
    size_t             i;
    static const char  hex[] = "0123456789abcdef";

    d->alg = (oci_alg_t) m->alg;
    d->hex_len = (d->alg == OCI_SHA512) ? 128 : 64;

    for (i = 0; i < d->hex_len / 2; i++) {
        d->hex[2 * i] = hex[m->value[i] >> 4];
        d->hex[2 * i + 1] = hex[m->value[i] & 15];
    }

    d->hex[d->hex_len] = '\0';
}


/* the slot of the key, or the free one where it belongs */

static size_t
oci_marks_slot(const oci_marks_t *t, const oci_mark_t *key)
{
    size_t             i;
    uint64_t           h;
    const oci_mark_t  *m;

    memcpy(&h, key->value, sizeof(h));

    h ^= key->alg;
    h *= 0x9e3779b97f4a7c15ULL;
    i = (size_t) (h >> 32) & (t->slots - 1);

    while (t->slot[i] != 0) {
        m = &t->mark[t->slot[i] - 1];

        if (m->alg == key->alg
            && memcmp(m->value, key->value, sizeof(m->value)) == 0)
        {
            break;
        }

        i = (i + 1) & (t->slots - 1);
    }

    return i;
}


static int
oci_marks_grow(oci_marks_t *t)
{
    size_t       i, size;
    uint32_t    *slot;
    oci_mark_t  *mark;

    size = t->size ? t->size * 2 : OCI_MARKS_MIN;

    if (size > OCI_MARKS_MAX) {
        errno = ENOMEM;
        return OCI_ERROR;
    }

    mark = realloc(t->mark, size * sizeof(oci_mark_t));
    if (mark == NULL) {
        return OCI_ERROR;
    }

    t->mark = mark;

    slot = calloc(size * 2, sizeof(uint32_t));
    if (slot == NULL) {
        return OCI_ERROR;
    }

    free(t->slot);

    t->slot = slot;
    t->slots = size * 2;
    t->size = size;

    for (i = 0; i < t->n; i++) {
        t->slot[oci_marks_slot(t, &t->mark[i])] = (uint32_t) (i + 1);
    }

    return OCI_OK;
}


void
oci_marks_reset(oci_marks_t *t)
{
    free(t->mark);
    free(t->slot);
    free(t->edge);

    memset(t, 0, sizeof(oci_marks_t));
}


size_t
oci_marks_find(const oci_marks_t *t, const oci_digest_t *d)
{
    size_t      i;
    oci_mark_t  key;

    if (t->n == 0) {
        return OCI_MARK_NONE;
    }

    oci_mark_value(&key, d);

    i = oci_marks_slot(t, &key);

    return t->slot[i] ? t->slot[i] - 1 : OCI_MARK_NONE;
}


size_t
oci_marks_add(oci_marks_t *t, const oci_digest_t *d)
{
    size_t      i;
    oci_mark_t  key;

    if (t->n == t->size && oci_marks_grow(t) != OCI_OK) {
        return OCI_MARK_NONE;
    }

    oci_mark_value(&key, d);

    i = oci_marks_slot(t, &key);

    if (t->slot[i] == 0) {
        t->mark[t->n++] = key;
        t->slot[i] = (uint32_t) t->n;
    }

    return t->slot[i] - 1;
}


int
oci_marks_edge(oci_marks_t *t, size_t from, size_t to)
{
    size_t       size;
    oci_edge_t  *edge;

    if (t->nedges == t->edges_size) {
        size = t->edges_size ? t->edges_size * 2 : OCI_MARKS_MIN;

        if (size > OCI_MARKS_MAX) {
            errno = ENOMEM;
            return OCI_ERROR;
        }

        edge = realloc(t->edge, size * sizeof(oci_edge_t));
        if (edge == NULL) {
            return OCI_ERROR;
        }

        t->edge = edge;
        t->edges_size = size;
    }

    edge = &t->edge[t->nedges++];

    edge->to = (uint32_t) to;
    edge->next = t->mark[from].edge;
    t->mark[from].edge = (uint32_t) t->nedges;

    return OCI_OK;
}


int
oci_marks_spread(oci_marks_t *t)
{
    size_t       i, n;
    uint32_t    *todo, e;
    oci_mark_t  *m;

    if (t->n == 0) {
        return OCI_OK;
    }

    todo = malloc(t->n * sizeof(uint32_t));
    if (todo == NULL) {
        return OCI_ERROR;
    }

    n = 0;

    for (i = 0; i < t->n; i++) {
        if (t->mark[i].kept) {
            todo[n++] = (uint32_t) i;
        }
    }

    /* each mark comes to the list once, when it becomes kept */

    while (n) {
        for (e = t->mark[todo[--n]].edge; e != 0; e = t->edge[e - 1].next) {
            m = &t->mark[t->edge[e - 1].to];

            if (m->present && !m->kept) {
                m->kept = 1;
                todo[n++] = t->edge[e - 1].to;
            }
        }
    }

    free(todo);

    return OCI_OK;
}
