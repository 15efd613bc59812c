
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * A path up to the first newline, and behind it the body of a request.
 */


#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "oci_hub.h"


#define check(expr)                                                           \
    if (!(expr)) {                                                            \
        abort();                                                              \
    }


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_route(const uint8_t *data, size_t size);
static void fuzz_body(const uint8_t *data, size_t size, unsigned is_json);
static u_char *copy(const uint8_t *data, size_t size);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t          n;
    oci_str_t       args;
    const uint8_t  *end;

    end = size ? memchr(data, '\n', size) : NULL;
    n = end ? (size_t) (end - data) : size;

    fuzz_route(data, n);

    args.data = copy(data, n);
    args.len = n;
    (void) oci_hub_flag(&args, "expand");
    free(args.data);

    n += (end != NULL);

    fuzz_body(data + n, size - n, 0);
    fuzz_body(data + n, size - n, 1);

    return 0;
}


static void
fuzz_route(const uint8_t *data, size_t size)
{
    u_char           *path, buf[OCI_NAME_MAX];
    oci_str_t         prefix, name;
    oci_hub_route_t   route;

    path = copy(data, size);

    if (oci_hub_parse(&route, path, size) != OCI_OK) {
        free(path);
        return;
    }

    check(!route.bad_id || route.id.len == 0);
    check(!route.bad_path || route.path.len == 0);
    check(route.id.len <= OCI_HUB_ID_MAX);
    check(route.path.len == 0
          || oci_file_path_valid(route.path.data, route.path.len));

    switch (route.rev) {

    case OCI_HUB_REV_TAG:
        check(oci_tag_valid(route.revision.data, route.revision.len));
        break;

    case OCI_HUB_REV_COMMIT:
        check(route.revision.len == OCI_HUB_COMMIT);
        break;

    case OCI_HUB_REV_DIGEST:
        check(strlen(route.digest.hex) == route.digest.hex_len);
        check(route.digest.hex_len != 0);
        break;

    default:
        break;
    }

    prefix.data = (u_char *) "m/";
    prefix.len = 2;

    if (oci_hub_repository(&route.id, &prefix, buf, &name) == OCI_OK) {
        check(oci_name_valid(name.data, name.len));
        check(name.len == route.id.len + 2);
    }

    free(path);
}


static void
fuzz_body(const uint8_t *data, size_t size, unsigned is_json)
{
    size_t            i, sum;
    u_char           *body;
    oci_digest_t      d;
    oci_hub_paths_t   paths;

    body = copy(data, size);

    if (oci_hub_paths(&paths, body, size, is_json) == OCI_OK) {

        check(paths.count <= OCI_HUB_PATHS_MAX);

        for (i = 0, sum = 0; i < paths.count; i++) {
            sum += paths.paths[i].len;

            /* each of its bytes can be read */

            oci_digest_of(&d, OCI_SHA256, paths.paths[i].data,
                          paths.paths[i].len);
        }

        check(sum <= size);

        oci_hub_paths_free(&paths);
    }

    free(body);
}


/* exactly that much memory, so that a step too far is seen */

static u_char *
copy(const uint8_t *data, size_t size)
{
    u_char  *p;

    p = malloc(size ? size : 1);
    check(p != NULL);

    if (size) {
        memcpy(p, data, size);
    }

    return p;
}
