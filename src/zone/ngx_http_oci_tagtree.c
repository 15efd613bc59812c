
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "ngx_http_oci_tagtree.h"


static ngx_int_t ngx_http_oci_tagtree_compare(const u_char *entry,
    const oci_str_t *name);
static ngx_http_oci_tagleaf_t *ngx_http_oci_tagtree_leaf(
    ngx_http_oci_zone_t *z, ngx_http_oci_zone_entry_t *keep,
    ngx_http_oci_tagtree_t *t, ngx_http_oci_tagpos_t *pos);
static ngx_int_t ngx_http_oci_tagtree_node(ngx_http_oci_zone_t *z,
    ngx_http_oci_zone_entry_t *keep, ngx_http_oci_tagtree_t *t, size_t at);
static ngx_http_oci_tagleaf_t *ngx_http_oci_tagtree_split(
    ngx_http_oci_zone_t *z, ngx_http_oci_zone_entry_t *keep,
    ngx_http_oci_tagtree_t *t, ngx_http_oci_tagpos_t *pos, size_t at);


/* as memcmp() of the entry's name and name */

static ngx_int_t
ngx_http_oci_tagtree_compare(const u_char *entry, const oci_str_t *name)
{
    size_t     len;
    ngx_int_t  rc;

    len = entry[0];

    rc = ngx_memcmp(entry + 1, name->data, ngx_min(len, name->len));

    if (rc != 0) {
        return rc;
    }

    return (len < name->len) ? -1 : len > name->len;
}


size_t
ngx_http_oci_tagrun_find(const u_char *run, size_t len, const oci_str_t *name,
    ngx_uint_t *found)
{
    size_t     i;
    ngx_int_t  rc;

    *found = 0;

    for (i = 0; i < len; i += 1 + run[i]) {

        rc = ngx_http_oci_tagtree_compare(run + i, name);

        if (rc >= 0) {
            *found = (rc == 0);
            break;
        }
    }

    return i;
}


ngx_int_t
ngx_http_oci_tagtree_append(ngx_http_oci_zone_t *z,
    ngx_http_oci_zone_entry_t *keep, ngx_http_oci_tagtree_t *t,
    const u_char *run, size_t len, size_t count)
{
    ngx_http_oci_tagpos_t    pos;
    ngx_http_oci_tagleaf_t  *leaf;

    pos.node = t->n ? t->n - 1 : 0;
    pos.leaf = t->n ? t->nodes[pos.node]->n : 0;

    leaf = ngx_http_oci_tagtree_leaf(z, keep, t, &pos);

    if (leaf == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(leaf->data, run, len);
    leaf->len = (uint16_t) len;
    leaf->count = (uint16_t) count;

    t->count += count;

    return NGX_OK;
}


/*
 * A new leaf at pos, which is at most one behind the last of its node; pos is
 * where it came to lie.  The caller fills it.
 */

static ngx_http_oci_tagleaf_t *
ngx_http_oci_tagtree_leaf(ngx_http_oci_zone_t *z,
    ngx_http_oci_zone_entry_t *keep, ngx_http_oci_tagtree_t *t,
    ngx_http_oci_tagpos_t *pos)
{
    size_t                   half;
    ngx_http_oci_tagleaf_t  *leaf;
    ngx_http_oci_tagnode_t  *node, *next;

    /* a quarter of the zone is enough for one repository */

    if (t->pages >= (uint64_t) (z->shpool->end - z->shpool->start)
                    / NGX_HTTP_OCI_TAGTREE_PAGE / 4)
    {
        return NULL;
    }

    if (t->n == 0) {
        if (ngx_http_oci_tagtree_node(z, keep, t, 0) != NGX_OK) {
            return NULL;
        }

    } else if (t->nodes[pos->node]->n == NGX_HTTP_OCI_TAGTREE_LEAVES) {

        if (ngx_http_oci_tagtree_node(z, keep, t, pos->node + 1) != NGX_OK) {
            return NULL;
        }

        node = t->nodes[pos->node];
        next = t->nodes[pos->node + 1];

        /* names that come in order leave full pages behind them */

        half = (pos->node + 2 == t->n && pos->leaf == node->n) ? node->n
                                                               : node->n / 2;

        next->n = node->n - half;
        ngx_memcpy(next->leaves, node->leaves + half,
                   next->n * sizeof(next->leaves[0]));
        node->n = half;

        if (pos->leaf > half || half == NGX_HTTP_OCI_TAGTREE_LEAVES) {
            pos->node++;
            pos->leaf -= half;
        }
    }

    node = t->nodes[pos->node];

    leaf = ngx_http_oci_zone_alloc(z, sizeof(ngx_http_oci_tagleaf_t), keep);

    if (leaf == NULL) {

        if (node->n == 0) {
            ngx_http_oci_zone_free(z, node);
            t->n--;
            t->pages--;
        }

        return NULL;
    }

    leaf->len = 0;
    leaf->count = 0;

    ngx_memmove(node->leaves + pos->leaf + 1, node->leaves + pos->leaf,
                (node->n - pos->leaf) * sizeof(node->leaves[0]));

    node->leaves[pos->leaf] = leaf;
    node->n++;

    t->pages++;

    return leaf;
}


/* an empty node, for the caller to fill */

static ngx_int_t
ngx_http_oci_tagtree_node(ngx_http_oci_zone_t *z,
    ngx_http_oci_zone_entry_t *keep, ngx_http_oci_tagtree_t *t, size_t at)
{
    ngx_http_oci_tagnode_t  *node;

    if (t->n == NGX_HTTP_OCI_TAGTREE_NODES) {
        return NGX_ERROR;
    }

    node = ngx_http_oci_zone_alloc(z, sizeof(ngx_http_oci_tagnode_t), keep);
    if (node == NULL) {
        return NGX_ERROR;
    }

    node->n = 0;

    ngx_memmove(t->nodes + at + 1, t->nodes + at,
                (t->n - at) * sizeof(t->nodes[0]));

    t->nodes[at] = node;
    t->n++;
    t->pages++;

    return NGX_OK;
}


void
ngx_http_oci_tagtree_find(const ngx_http_oci_tagtree_t *t,
    const oci_str_t *name, ngx_http_oci_tagpos_t *pos)
{
    size_t                         low, high, mid;
    const ngx_http_oci_tagnode_t  *node;

    /* the last that does not begin behind name, or the first of all */

    low = 0;
    high = t->n;

    while (high - low > 1) {
        mid = (low + high) / 2;

        if (ngx_http_oci_tagtree_compare(t->nodes[mid]->leaves[0]->data, name)
            > 0)
        {
            high = mid;

        } else {
            low = mid;
        }
    }

    pos->node = low;
    node = t->nodes[low];

    low = 0;
    high = node->n;

    while (high - low > 1) {
        mid = (low + high) / 2;

        if (ngx_http_oci_tagtree_compare(node->leaves[mid]->data, name) > 0) {
            high = mid;

        } else {
            low = mid;
        }
    }

    pos->leaf = low;
}


const ngx_http_oci_tagleaf_t *
ngx_http_oci_tagtree_next(const ngx_http_oci_tagtree_t *t,
    ngx_http_oci_tagpos_t *pos)
{
    if (pos->node < t->n && pos->leaf == t->nodes[pos->node]->n) {
        pos->node++;
        pos->leaf = 0;
    }

    return (pos->node < t->n) ? t->nodes[pos->node]->leaves[pos->leaf++]
                              : NULL;
}


ngx_int_t
ngx_http_oci_tagtree_insert(ngx_http_oci_zone_t *z,
    ngx_http_oci_zone_entry_t *keep, ngx_http_oci_tagtree_t *t,
    const oci_str_t *name)
{
    size_t                   at;
    ngx_uint_t               found;
    ngx_http_oci_tagpos_t    pos;
    ngx_http_oci_tagleaf_t  *leaf;

    ngx_http_oci_tagtree_find(t, name, &pos);

    leaf = t->nodes[pos.node]->leaves[pos.leaf];

    at = ngx_http_oci_tagrun_find(leaf->data, leaf->len, name, &found);

    if (found) {
        return NGX_OK;
    }

    if (leaf->len + 1 + name->len > NGX_HTTP_OCI_TAGTREE_DATA) {

        leaf = ngx_http_oci_tagtree_split(z, keep, t, &pos, at);

        if (leaf == NULL) {
            return NGX_ERROR;
        }

        at = ngx_http_oci_tagrun_find(leaf->data, leaf->len, name, &found);
    }

    ngx_memmove(leaf->data + at + 1 + name->len, leaf->data + at,
                leaf->len - at);

    leaf->data[at] = (u_char) name->len;
    ngx_memcpy(leaf->data + at + 1, name->data, name->len);

    leaf->len += (uint16_t) (1 + name->len);
    leaf->count++;

    t->count++;

    return NGX_OK;
}


/* the one of the two halves that what is to stand at at belongs to */

static ngx_http_oci_tagleaf_t *
ngx_http_oci_tagtree_split(ngx_http_oci_zone_t *z,
    ngx_http_oci_zone_entry_t *keep, ngx_http_oci_tagtree_t *t,
    ngx_http_oci_tagpos_t *pos, size_t at)
{
    size_t                   half;
    uint16_t                 n;
    ngx_uint_t               end;
    ngx_http_oci_tagleaf_t  *leaf, *next;

    leaf = t->nodes[pos->node]->leaves[pos->leaf];

    end = (at == leaf->len && pos->node == t->n - 1
           && pos->leaf == t->nodes[pos->node]->n - 1);

    pos->leaf++;

    next = ngx_http_oci_tagtree_leaf(z, keep, t, pos);

    if (next == NULL || end) {
        return next;
    }

    n = 0;

    for (half = 0; half < leaf->len / 2u; half += 1 + leaf->data[half]) {
        n++;
    }

    next->len = (uint16_t) (leaf->len - half);
    next->count = leaf->count - n;
    ngx_memcpy(next->data, leaf->data + half, next->len);

    leaf->len = (uint16_t) half;
    leaf->count = n;

    return (at > half) ? next : leaf;
}


void
ngx_http_oci_tagtree_remove(ngx_http_oci_zone_t *z, ngx_http_oci_tagtree_t *t,
    const oci_str_t *name)
{
    size_t                   at, size;
    ngx_uint_t               found;
    ngx_http_oci_tagpos_t    pos;
    ngx_http_oci_tagleaf_t  *leaf;
    ngx_http_oci_tagnode_t  *node;

    if (t->n == 0) {
        return;
    }

    ngx_http_oci_tagtree_find(t, name, &pos);

    node = t->nodes[pos.node];
    leaf = node->leaves[pos.leaf];

    at = ngx_http_oci_tagrun_find(leaf->data, leaf->len, name, &found);

    if (!found) {
        return;
    }

    size = 1 + name->len;

    ngx_memmove(leaf->data + at, leaf->data + at + size,
                leaf->len - at - size);

    leaf->len -= (uint16_t) size;
    leaf->count--;

    t->count--;

    if (leaf->count != 0) {
        return;
    }

    ngx_http_oci_zone_free(z, leaf);
    t->pages--;

    node->n--;
    ngx_memmove(node->leaves + pos.leaf, node->leaves + pos.leaf + 1,
                (node->n - pos.leaf) * sizeof(node->leaves[0]));

    if (node->n != 0) {
        return;
    }

    ngx_http_oci_zone_free(z, node);
    t->pages--;

    t->n--;
    ngx_memmove(t->nodes + pos.node, t->nodes + pos.node + 1,
                (t->n - pos.node) * sizeof(t->nodes[0]));
}


void
ngx_http_oci_tagtree_trim(ngx_http_oci_zone_t *z, ngx_http_oci_tagtree_t *t,
    ngx_uint_t n)
{
    ngx_http_oci_tagleaf_t  *leaf;
    ngx_http_oci_tagnode_t  *node;

    while (t->n != 0 && n != 0) {

        node = t->nodes[t->n - 1];

        leaf = node->leaves[--node->n];
        t->count -= leaf->count;

        ngx_http_oci_zone_free(z, leaf);
        t->pages--;
        n--;

        if (node->n == 0) {
            ngx_http_oci_zone_free(z, node);
            t->pages--;
            t->n--;
        }
    }
}
