
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * A fill as its readers see it.
 */


#include "ngx_http_oci_fill_part.h"


size_t
ngx_http_oci_fill_early(ngx_http_oci_reader_t *rd, u_char **p)
{
    ngx_http_oci_fill_t        *fill;
    ngx_http_oci_fill_fetch_t  *ff;

    fill = rd->fill;

    if (fill->state != NGX_HTTP_OCI_FILL_ASKING || !fill->sizing
        || rd->source->conf->fill_verify == NGX_HTTP_OCI_VERIFY_ALL)
    {
        return 0;
    }

    /* they stay as they are as long as a thread may write them */

    ff = fill->probe;
    *p = ff->out.data;

    return ff->out.len;
}


ngx_int_t
ngx_http_oci_fill_look(ngx_http_oci_reader_t *rd)
{
    u_char                 *p;
    ngx_http_oci_fill_t    *fill;
    ngx_http_oci_source_t  *source;

    fill = rd->fill;
    source = rd->source;

    if (source->state == NGX_HTTP_OCI_SOURCE_NO) {
        rd->status = source->status;
        rd->retry_after = source->retry_after;
        return NGX_ERROR;
    }

    if (rd->early && fill->unkept && fill->state != NGX_HTTP_OCI_FILL_DIRECT) {
        rd->status = NGX_HTTP_BAD_GATEWAY;
        rd->retry_after = -1;
        return NGX_ERROR;
    }

    switch (fill->state) {

    case NGX_HTTP_OCI_FILL_FAILED:
        rd->status = fill->status;
        rd->retry_after = fill->retry_after;
        return NGX_ERROR;

    case NGX_HTTP_OCI_FILL_DIRECT:
        return NGX_DECLINED;

    case NGX_HTTP_OCI_FILL_PRESENT:
        return source->linked ? NGX_DONE : NGX_AGAIN;

    case NGX_HTTP_OCI_FILL_ASKING:

        if (ngx_http_oci_fill_early(rd, &p) == 0) {
            return NGX_AGAIN;
        }

        /* fall through */

    case NGX_HTTP_OCI_FILL_RUNNING:
        return (source->state == NGX_HTTP_OCI_SOURCE_YES) ? NGX_OK
                                                          : NGX_AGAIN;

    default:
        return NGX_AGAIN;
    }
}


ngx_fd_t
ngx_http_oci_fill_fd(ngx_http_oci_reader_t *rd)
{
    return (rd->fill->state == NGX_HTTP_OCI_FILL_ASKING)
           ? NGX_INVALID_FILE : rd->fill->file.fd;
}


off_t
ngx_http_oci_fill_blob_size(ngx_http_oci_reader_t *rd)
{
    return (rd->fill->state == NGX_HTTP_OCI_FILL_ASKING)
           ? rd->fill->size : (off_t) rd->fill->file.map.size;
}


off_t
ngx_http_oci_fill_ready(ngx_http_oci_reader_t *rd, off_t from, off_t to)
{
    u_char  *p;

    if (rd->fill->state == NGX_HTTP_OCI_FILL_ASKING) {
        return ngx_max(from, ngx_min(to, (off_t) ngx_http_oci_fill_early(rd,
                                                                     &p)));
    }

    return oci_chunkmap_ready(&rd->fill->file.map, from, to);
}


ngx_uint_t
ngx_http_oci_fill_verified(ngx_http_oci_reader_t *rd)
{
    ngx_http_oci_fill_t  *fill;

    fill = rd->fill;

    return fill->state != NGX_HTTP_OCI_FILL_ASKING
           && (!rd->early || fill->kept)
           && oci_chunkmap_state(&fill->file.map) == OCI_CHUNKMAP_VERIFIED;
}


void
ngx_http_oci_fill_want(ngx_http_oci_reader_t *rd)
{
    /* while readers are told of news, once for all of them behind that */

    if (!rd->fill->busy) {
        ngx_http_oci_fill_schedule(rd->fill);
    }
}
