
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "oci_hub.h"
#include "oci_json.h"

#include <stdlib.h>


#define OCI_HUB_PARTS       8           /* of a path, looked at one by one */
#define OCI_HUB_DEPTH_MAX   8           /* of JSON that is sent here */


#define oci_hub_owner_char(c)                                                 \
    (((c) >= 'a' && (c) <= 'z') || ((c) >= 'A' && (c) <= 'Z')                 \
     || ((c) >= '0' && (c) <= '9') || (c) == '.' || (c) == '_' || (c) == '-')


/* a path cut at its first slashes */

typedef struct {
    oci_str_t   parts[OCI_HUB_PARTS];
    size_t      count;
    u_char     *last;
} oci_hub_cut_t;


static void oci_hub_cut(oci_hub_cut_t *cut, u_char *path, size_t len);
static void oci_hub_rest(const oci_hub_cut_t *cut, size_t from,
    oci_str_t *rest);
static int oci_hub_api(oci_hub_route_t *route, const oci_hub_cut_t *cut);
static int oci_hub_endpoint(oci_hub_route_t *route, const oci_hub_cut_t *cut,
    size_t at);
static int oci_hub_file(oci_hub_route_t *route, const oci_hub_cut_t *cut,
    size_t rev);
static int oci_hub_id(oci_hub_route_t *route, const oci_hub_cut_t *cut,
    size_t first, size_t end);
static int oci_hub_id_valid(const oci_str_t *id);
static int oci_hub_is_commit(const oci_str_t *text);
static int oci_hub_revision(oci_hub_route_t *route, const oci_str_t *part);
static int oci_hub_path(oci_hub_route_t *route, const oci_hub_cut_t *cut,
    size_t from);
static int oci_hub_decode(oci_str_t *text, unsigned form);
static int oci_hub_digit(u_char c);
static int oci_hub_yes(const oci_str_t *value);
static int oci_hub_form(oci_hub_paths_t *paths, u_char *body, size_t len);
static int oci_hub_json(oci_hub_paths_t *paths, const u_char *body,
    size_t len);


int
oci_hub_parse(oci_hub_route_t *route, u_char *path, size_t len)
{
    size_t         i;
    oci_hub_cut_t  cut;

    memset(route, 0, sizeof(oci_hub_route_t));

    route->revision.data = (u_char *) "main";
    route->revision.len = sizeof("main") - 1;

    if (len == 0 || path[0] != '/') {
        return OCI_OK;
    }

    oci_hub_cut(&cut, path + 1, len - 1);

    if (cut.count && oci_str_eq(&cut.parts[0], "api")) {
        return oci_hub_api(route, &cut);
    }

    if (cut.count && (oci_str_eq(&cut.parts[0], "datasets")
                      || oci_str_eq(&cut.parts[0], "spaces")))
    {
        route->endpoint = OCI_HUB_OTHER;
        return OCI_OK;
    }

    /* an id has one part or two, a file is at least a part more */

    for (i = 1; i <= 2 && i + 2 < cut.count; i++) {

        if (oci_str_eq(&cut.parts[i], "resolve")
            || oci_str_eq(&cut.parts[i], "raw"))
        {
            if (oci_hub_id(route, &cut, 0, i) != OCI_OK) {
                return OCI_INVALID;
            }

            return oci_hub_file(route, &cut, i + 1);
        }
    }

    return OCI_OK;
}


int
oci_hub_repository(const oci_str_t *id, const oci_str_t *prefix, u_char *buf,
    oci_str_t *name)
{
    size_t  i;
    u_char  c;

    if (id->len == 0 || prefix->len > OCI_NAME_MAX
        || id->len > OCI_NAME_MAX - prefix->len)
    {
        return OCI_NOT_FOUND;
    }

    if (prefix->len) {
        memcpy(buf, prefix->data, prefix->len);
    }

    for (i = 0; i < id->len; i++) {
        c = id->data[i];
        buf[prefix->len + i] = (c >= 'A' && c <= 'Z') ? (c | 0x20) : c;
    }

    name->data = buf;
    name->len = prefix->len + id->len;

    return oci_name_valid(name->data, name->len) ? OCI_OK : OCI_NOT_FOUND;
}


void
oci_hub_commit(const oci_digest_t *d, u_char commit[OCI_HUB_COMMIT])
{
    memcpy(commit, d->hex, OCI_HUB_COMMIT);
}


int
oci_hub_flag(const oci_str_t *args, const char *key)
{
    size_t         n;
    u_char        *p, *last, *end;
    oci_str_t      value;

    n = strlen(key);

    p = args->data;
    last = p + args->len;

    while (p < last) {

        end = memchr(p, '&', (size_t) (last - p));

        if (end == NULL) {
            end = last;
        }

        if ((size_t) (end - p) > n && p[n] == '=' && memcmp(p, key, n) == 0) {
            value.data = p + n + 1;
            value.len = (size_t) (end - value.data);

            return oci_hub_yes(&value);
        }

        p = end + 1;
    }

    return 0;
}


int
oci_hub_paths(oci_hub_paths_t *paths, u_char *body, size_t len,
    unsigned is_json)
{
    int  rc;

    memset(paths, 0, sizeof(oci_hub_paths_t));

    paths->paths = malloc(OCI_HUB_PATHS_MAX * sizeof(oci_str_t));

    if (paths->paths == NULL) {
        return OCI_ERROR;
    }

    rc = is_json ? oci_hub_json(paths, body, len)
                 : oci_hub_form(paths, body, len);

    if (rc != OCI_OK) {
        oci_hub_paths_free(paths);
    }

    return rc;
}


void
oci_hub_paths_free(oci_hub_paths_t *paths)
{
    json_decref(paths->json);
    free(paths->paths);
    memset(paths, 0, sizeof(oci_hub_paths_t));
}


static void
oci_hub_cut(oci_hub_cut_t *cut, u_char *path, size_t len)
{
    u_char  *p, *end;

    cut->count = 0;
    cut->last = path + len;

    for (p = path; cut->count < OCI_HUB_PARTS; p = end + 1) {

        end = memchr(p, '/', (size_t) (cut->last - p));

        if (end == NULL) {
            end = cut->last;
        }

        cut->parts[cut->count].data = p;
        cut->parts[cut->count].len = (size_t) (end - p);
        cut->count++;

        if (end == cut->last) {
            break;
        }
    }
}


/* from a part to the end of the path, empty if there is no such part */

static void
oci_hub_rest(const oci_hub_cut_t *cut, size_t from, oci_str_t *rest)
{
    if (from >= cut->count) {
        rest->data = cut->last;
        rest->len = 0;
        return;
    }

    rest->data = cut->parts[from].data;
    rest->len = (size_t) (cut->last - rest->data);
}


static int
oci_hub_api(oci_hub_route_t *route, const oci_hub_cut_t *cut)
{
    int               rc;
    size_t            at;
    const oci_str_t  *parts;

    parts = cut->parts;

    if (cut->count < 2) {
        return OCI_OK;
    }

    if (oci_str_eq(&parts[1], "whoami-v2") && cut->count == 2) {
        route->endpoint = OCI_HUB_WHOAMI;
        return OCI_OK;
    }

    if (oci_str_eq(&parts[1], "datasets") || oci_str_eq(&parts[1], "spaces")) {
        route->endpoint = OCI_HUB_OTHER;
        return OCI_OK;
    }

    if (oci_str_eq(&parts[1], "resolve-cache")) {

        /* "models", an id of two parts or of one, a commit, a path */

        if (cut->count < 6 || !oci_str_eq(&parts[2], "models")) {
            route->endpoint = OCI_HUB_OTHER;
            return OCI_OK;
        }

        at = oci_hub_is_commit(&parts[4]) ? 4 : 5;

        if (oci_hub_id(route, cut, 3, at) != OCI_OK) {
            return OCI_INVALID;
        }

        return oci_hub_file(route, cut, at);
    }

    if (!oci_str_eq(&parts[1], "models") || cut->count < 3) {
        return OCI_OK;
    }

    /* what is behind an id of one part, or of two, or it is an id alone */

    for (at = 3; at <= 4; at++) {

        rc = oci_hub_endpoint(route, cut, at);

        if (rc == OCI_NOT_FOUND) {
            continue;
        }

        if (rc != OCI_OK) {
            return rc;
        }

        return oci_hub_id(route, cut, 2, at);
    }

    if (cut->count > 4) {
        return OCI_OK;
    }

    route->endpoint = OCI_HUB_INFO;

    return oci_hub_id(route, cut, 2, cut->count);
}


/* OCI_OK, OCI_INVALID or OCI_NOT_FOUND: there is none at this part */

static int
oci_hub_endpoint(oci_hub_route_t *route, const oci_hub_cut_t *cut, size_t at)
{
    oci_str_t              rest;
    const oci_str_t       *part;
    oci_hub_endpoint_t     endpoint;

    if (at >= cut->count) {
        return OCI_NOT_FOUND;
    }

    part = &cut->parts[at];

    if (oci_str_eq(part, "refs") && cut->count == at + 1) {
        route->endpoint = OCI_HUB_REFS;
        return OCI_OK;
    }

    if (cut->count < at + 2) {
        return OCI_NOT_FOUND;
    }

    if (oci_str_eq(part, "tree")) {

        if (oci_hub_revision(route, &cut->parts[at + 1]) != OCI_OK
            || oci_hub_path(route, cut, at + 2) != OCI_OK)
        {
            return OCI_INVALID;
        }

        route->endpoint = OCI_HUB_TREE;
        return OCI_OK;
    }

    if (oci_str_eq(part, "revision")) {
        endpoint = OCI_HUB_INFO;

    } else if (oci_str_eq(part, "commits")) {
        endpoint = OCI_HUB_COMMITS;

    } else if (oci_str_eq(part, "paths-info")) {
        endpoint = OCI_HUB_PATHS;

    } else {
        return OCI_NOT_FOUND;
    }

    /* a revision with slashes that are not escaped is still one revision */

    oci_hub_rest(cut, at + 1, &rest);

    if (oci_hub_revision(route, &rest) != OCI_OK) {
        return OCI_INVALID;
    }

    route->endpoint = endpoint;

    return OCI_OK;
}


static int
oci_hub_file(oci_hub_route_t *route, const oci_hub_cut_t *cut, size_t rev)
{
    if (oci_hub_revision(route, &cut->parts[rev]) != OCI_OK
        || oci_hub_path(route, cut, rev + 1) != OCI_OK)
    {
        return OCI_INVALID;
    }

    route->endpoint = OCI_HUB_RESOLVE;

    if (route->path.len == 0) {
        route->bad_path = 1;
    }

    return OCI_OK;
}


static int
oci_hub_id(oci_hub_route_t *route, const oci_hub_cut_t *cut, size_t first,
    size_t end)
{
    oci_str_t  id;

    id.data = cut->parts[first].data;
    id.len = (size_t) (cut->parts[end - 1].data + cut->parts[end - 1].len
                       - id.data);

    if (oci_hub_decode(&id, 0) != OCI_OK) {
        return OCI_INVALID;
    }

    if (oci_hub_id_valid(&id)) {
        route->id = id;

    } else {
        route->bad_id = 1;
    }

    return OCI_OK;
}


static int
oci_hub_id_valid(const oci_str_t *id)
{
    size_t         i, slashes;
    const u_char  *p;

    p = id->data;
    slashes = 0;

    if (id->len == 0 || id->len > OCI_HUB_ID_MAX) {
        return 0;
    }

    for (i = 0; i < id->len; i++) {

        if (p[i] == '/') {

            if (++slashes > 1 || i == 0 || i == id->len - 1) {
                return 0;
            }

            continue;
        }

        if (!oci_hub_owner_char(p[i])) {
            return 0;
        }

        if (i && (p[i] == '.' || p[i] == '-') && p[i - 1] == p[i]) {
            return 0;
        }
    }

    return 1;
}


static int
oci_hub_is_commit(const oci_str_t *text)
{
    size_t  i;
    u_char  c;

    for (i = 0; i < text->len; i++) {
        c = text->data[i];

        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f')) {
            return 0;
        }
    }

    return text->len == OCI_HUB_COMMIT;
}


static int
oci_hub_revision(oci_hub_route_t *route, const oci_str_t *part)
{
    oci_str_t  rev;

    rev = *part;

    if (oci_hub_decode(&rev, 0) != OCI_OK) {
        return OCI_INVALID;
    }

    route->revision = rev;

    if (oci_str_eq(&rev, "main")) {
        route->rev = OCI_HUB_REV_MAIN;
        return OCI_OK;
    }

    if (oci_hub_is_commit(&rev)) {
        route->rev = OCI_HUB_REV_COMMIT;
        return OCI_OK;
    }

    if (oci_digest_parse(&route->digest, rev.data, rev.len) == OCI_OK) {
        route->rev = OCI_HUB_REV_DIGEST;

    } else if (oci_tag_valid(rev.data, rev.len)) {
        route->rev = OCI_HUB_REV_TAG;

    } else {
        route->rev = OCI_HUB_REV_NONE;
    }

    return OCI_OK;
}


static int
oci_hub_path(oci_hub_route_t *route, const oci_hub_cut_t *cut, size_t from)
{
    oci_str_t  path;

    oci_hub_rest(cut, from, &path);

    if (oci_hub_decode(&path, 0) != OCI_OK) {
        return OCI_INVALID;
    }

    if (path.len && path.data[path.len - 1] == '/') {
        path.len--;
    }

    if (path.len == 0 || oci_file_path_valid(path.data, path.len)) {
        route->path = path;

    } else {
        route->bad_path = 1;
    }

    return OCI_OK;
}


/* once, in place; in a form "+" is a space */

static int
oci_hub_decode(oci_str_t *text, unsigned form)
{
    int      high, low;
    u_char  *p, *to, *last;

    p = text->data;
    to = p;
    last = p + text->len;

    for ( /* void */ ; p < last; p++) {

        if (*p == '+' && form) {
            *to++ = ' ';
            continue;
        }

        if (*p != '%') {
            *to++ = *p;
            continue;
        }

        if (last - p < 3) {
            return OCI_INVALID;
        }

        high = oci_hub_digit(p[1]);
        low = oci_hub_digit(p[2]);

        if (high == -1 || low == -1) {
            return OCI_INVALID;
        }

        *to++ = (u_char) (high << 4 | low);
        p += 2;
    }

    text->len = (size_t) (to - text->data);

    return OCI_OK;
}


static int
oci_hub_digit(u_char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    c |= 0x20;

    return (c >= 'a' && c <= 'f') ? c - 'a' + 10 : -1;
}


static int
oci_hub_yes(const oci_str_t *value)
{
    return oci_str_eq(value, "true") || oci_str_eq(value, "True")
           || oci_str_eq(value, "1");
}


static int
oci_hub_form(oci_hub_paths_t *paths, u_char *body, size_t len)
{
    u_char     *p, *last, *end, *equal;
    oci_str_t   key, value;

    last = body + len;

    for (p = body; p < last; p = end + 1) {

        end = memchr(p, '&', (size_t) (last - p));

        if (end == NULL) {
            end = last;
        }

        equal = memchr(p, '=', (size_t) (end - p));

        if (equal == NULL) {
            continue;
        }

        key.data = p;
        key.len = (size_t) (equal - p);
        value.data = equal + 1;
        value.len = (size_t) (end - value.data);

        if (oci_hub_decode(&value, 1) != OCI_OK) {
            return OCI_INVALID;
        }

        if (oci_str_eq(&key, "expand")) {
            paths->expand = (oci_hub_yes(&value) != 0);

        } else if (oci_str_eq(&key, "paths")) {

            if (paths->count == OCI_HUB_PATHS_MAX) {
                return OCI_RANGE;
            }

            paths->paths[paths->count++] = value;
        }
    }

    return OCI_OK;
}


static int
oci_hub_json(oci_hub_paths_t *paths, const u_char *body, size_t len)
{
    int          rc;
    size_t       i, n;
    json_t      *root, *list;
    oci_str_t    path;
    const char  *reason;

    rc = oci_json_load(&root, body, len, OCI_HUB_DEPTH_MAX, &reason);

    if (rc != OCI_OK) {
        return rc;
    }

    paths->json = root;
    paths->expand = (json_is_true(oci_json_get(root, "expand")) != 0);

    list = oci_json_get(root, "paths");

    if (oci_json_str(list, &path)) {
        paths->paths[paths->count++] = path;
        return OCI_OK;
    }

    if (!json_is_array(list)) {
        return OCI_INVALID;
    }

    n = json_array_size(list);

    if (n > OCI_HUB_PATHS_MAX) {
        return OCI_RANGE;
    }

    for (i = 0; i < n; i++) {

        if (!oci_json_str(json_array_get(list, i), &path)) {
            return OCI_INVALID;
        }

        paths->paths[paths->count++] = path;
    }

    return OCI_OK;
}
