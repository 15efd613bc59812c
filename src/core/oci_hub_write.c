
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Every file that is a whole blob is called one of LFS: then its sha256 is
 * what clients know it by, and check.
 */


#include "oci_hub.h"

#include <stdio.h>
#include <time.h>


#define OCI_HUB_TIME  sizeof("1970-01-01T00:00:00.000Z")


static void oci_hub_file_entry(oci_text_t *text,
    const oci_hub_model_t *model, const oci_model_file_t *file,
    unsigned expand);
static void oci_hub_folder_entry(oci_text_t *text,
    const oci_hub_model_t *model, const oci_str_t *path, unsigned expand);
static void oci_hub_lfs(oci_text_t *text, const char *key,
    const u_char *etag, int64_t size);
static void oci_hub_last_commit(oci_text_t *text,
    const oci_hub_model_t *model);
static void oci_hub_ref(oci_text_t *text, const oci_hub_ref_t *ref,
    const char *kind);
static void oci_hub_time(oci_text_t *text, int64_t time);
static void oci_hub_number(oci_text_t *text, int64_t n);
static void oci_hub_string(oci_text_t *text, const oci_str_t *s);
static int oci_hub_end(const oci_text_t *text);


int
oci_hub_info(oci_text_t *text, const oci_hub_model_t *model,
    const oci_model_table_t *table, unsigned blobs)
{
    size_t             i, len;
    u_char             etag[OCI_MODEL_ETAG], *slash;
    int64_t            used;
    oci_str_t          author;
    oci_model_file_t   file;

    oci_text_lit(text, "{\"id\":");
    oci_hub_string(text, &model->id);
    oci_text_lit(text, ",\"modelId\":");
    oci_hub_string(text, &model->id);

    slash = memchr(model->id.data, '/', model->id.len);

    if (slash) {
        author.data = model->id.data;
        author.len = (size_t) (slash - author.data);

        oci_text_lit(text, ",\"author\":");
        oci_hub_string(text, &author);
    }

    oci_text_lit(text, ",\"sha\":\"");
    oci_text_add(text, model->commit, OCI_HUB_COMMIT);
    oci_text_lit(text, "\"");

    if (model->time) {
        oci_text_lit(text, ",\"lastModified\":");
        oci_hub_time(text, model->time);
        oci_text_lit(text, ",\"createdAt\":");
        oci_hub_time(text, model->time);
    }

    oci_text_lit(text, ",\"private\":false,\"gated\":false,"
                       "\"disabled\":false,\"downloads\":0,\"likes\":0,"
                       "\"tags\":[],\"siblings\":[");

    used = 0;

    for (i = 0; i < table->count; i++) {

        oci_model_file(table, i, &file);

        if (i) {
            oci_text_lit(text, ",");
        }

        oci_text_lit(text, "{\"rfilename\":");
        oci_hub_string(text, &file.path);

        if (blobs) {
            len = oci_model_etag(&file, etag);

            oci_text_lit(text, ",\"size\":");
            oci_hub_number(text, file.size);
            oci_text_lit(text, ",\"blobId\":\"");
            oci_text_add(text, etag, OCI_HUB_COMMIT);
            oci_text_lit(text, "\"");

            if (len == OCI_MODEL_ETAG) {
                oci_hub_lfs(text, "sha256", etag, file.size);
            }
        }

        oci_text_lit(text, "}");

        if (file.size <= INT64_MAX - used) {
            used += file.size;
        }
    }

    oci_text_lit(text, "],\"usedStorage\":");
    oci_hub_number(text, used);
    oci_text_lit(text, "}");

    return oci_hub_end(text);
}


int
oci_hub_tree(oci_text_t *text, const oci_hub_model_t *model,
    const oci_model_table_t *table, const oci_str_t *folder,
    unsigned recursive, unsigned expand)
{
    size_t             i, first, last, skip, depth;
    u_char            *slash;
    oci_str_t          sub;
    oci_model_file_t   file;

    if (oci_model_folder(table, folder, &first, &last) != OCI_OK) {
        return OCI_NOT_FOUND;
    }

    /* what is said of each path is what comes behind the folder's */

    skip = folder->len ? folder->len + 1 : 0;
    sub.len = 0;
    sub.data = (u_char *) "";

    oci_text_lit(text, "[");

    for (i = first; i < last; i++) {

        oci_model_file(table, i, &file);

        /* each folder comes before the first of its files */

        for (depth = skip; /* void */ ; depth = (size_t) (slash + 1
                                                         - file.path.data))
        {
            slash = memchr(file.path.data + depth, '/',
                           file.path.len - depth);

            if (slash == NULL || (depth != skip && !recursive)) {
                break;
            }

            if (sub.len > (size_t) (slash - file.path.data)
                && sub.data[slash - file.path.data] == '/'
                && memcmp(sub.data, file.path.data,
                          (size_t) (slash - file.path.data)) == 0)
            {
                continue;
            }

            sub.data = file.path.data;
            sub.len = (size_t) (slash - file.path.data);

            oci_hub_folder_entry(text, model, &sub, expand);
        }

        sub = file.path;

        if (recursive || depth == skip) {
            oci_hub_file_entry(text, model, &file, expand);
        }
    }

    oci_text_lit(text, "]");

    return oci_hub_end(text);
}


int
oci_hub_paths_info(oci_text_t *text, const oci_hub_model_t *model,
    const oci_model_table_t *table, const oci_hub_paths_t *paths)
{
    size_t            i;
    oci_str_t         path;
    oci_model_file_t  file;

    oci_text_lit(text, "[");

    for (i = 0; i < paths->count; i++) {

        path = paths->paths[i];

        if (path.len && path.data[path.len - 1] == '/') {
            path.len--;
        }

        if (!oci_file_path_valid(path.data, path.len)) {
            continue;
        }

        switch (oci_model_find(table, &path, &file)) {

        case OCI_OK:
            oci_hub_file_entry(text, model, &file, paths->expand);
            break;

        case OCI_EXISTS:
            oci_hub_folder_entry(text, model, &path, paths->expand);
            break;

        default:
            break;
        }
    }

    oci_text_lit(text, "]");

    return oci_hub_end(text);
}


int
oci_hub_refs(oci_text_t *text, const oci_hub_ref_t *main_ref,
    const oci_hub_ref_t *tags, size_t count, unsigned pull_requests)
{
    size_t  i;

    oci_text_lit(text, "{\"branches\":[");

    if (main_ref->name.len) {
        oci_hub_ref(text, main_ref, "refs/heads/");
    }

    oci_text_lit(text, "],\"converts\":[],\"tags\":[");

    for (i = 0; i < count; i++) {

        if (i) {
            oci_text_lit(text, ",");
        }

        oci_hub_ref(text, &tags[i], "refs/tags/");
    }

    oci_text_lit(text, "]");

    if (pull_requests) {
        oci_text_lit(text, ",\"pullRequests\":[]");
    }

    oci_text_lit(text, "}");

    return oci_hub_end(text);
}


int
oci_hub_commits(oci_text_t *text, const oci_hub_model_t *model)
{
    oci_text_lit(text, "[{\"id\":\"");
    oci_text_add(text, model->commit, OCI_HUB_COMMIT);
    oci_text_lit(text, "\",\"title\":\"\",\"message\":\"\",\"authors\":[],"
                       "\"date\":");
    oci_hub_time(text, model->time);
    oci_text_lit(text, "}]");

    return oci_hub_end(text);
}


int
oci_hub_error(oci_text_t *text, const char *message)
{
    oci_str_t  s;

    s.data = (u_char *) (uintptr_t) message;
    s.len = strlen(message);

    oci_text_lit(text, "{\"error\":");
    oci_hub_string(text, &s);
    oci_text_lit(text, "}");

    return oci_hub_end(text);
}


/* the first digits of its ETag are the id of a file's content */

static void
oci_hub_file_entry(oci_text_t *text, const oci_hub_model_t *model,
    const oci_model_file_t *file, unsigned expand)
{
    size_t  len;
    u_char  etag[OCI_MODEL_ETAG];

    len = oci_model_etag(file, etag);

    if (text->len && text->data[text->len - 1] == '}') {
        oci_text_lit(text, ",");
    }

    oci_text_lit(text, "{\"type\":\"file\",\"oid\":\"");
    oci_text_add(text, etag, OCI_HUB_COMMIT);
    oci_text_lit(text, "\",\"size\":");
    oci_hub_number(text, file->size);
    oci_text_lit(text, ",\"path\":");
    oci_hub_string(text, &file->path);

    if (len == OCI_MODEL_ETAG) {
        oci_hub_lfs(text, "oid", etag, file->size);
    }

    if (expand) {
        oci_hub_last_commit(text, model);
    }

    oci_text_lit(text, "}");
}


static void
oci_hub_folder_entry(oci_text_t *text, const oci_hub_model_t *model,
    const oci_str_t *path, unsigned expand)
{
    oci_hash_t    hash;
    oci_digest_t  d;

    oci_hash_init(&hash, OCI_SHA256);
    oci_hash_update(&hash, model->commit, OCI_HUB_COMMIT);
    oci_hash_update(&hash, path->data, path->len);
    oci_hash_digest(&hash, &d);

    if (text->len && text->data[text->len - 1] == '}') {
        oci_text_lit(text, ",");
    }

    oci_text_lit(text, "{\"type\":\"directory\",\"oid\":\"");
    oci_text_add(text, d.hex, OCI_HUB_COMMIT);
    oci_text_lit(text, "\",\"size\":0,\"path\":");
    oci_hub_string(text, path);

    if (expand) {
        oci_hub_last_commit(text, model);
    }

    oci_text_lit(text, "}");
}


static void
oci_hub_lfs(oci_text_t *text, const char *key, const u_char *etag,
    int64_t size)
{
    int   n;
    char  pointer[256];

    /* the size of the pointer that would be in the repository of git */

    n = snprintf(pointer, sizeof(pointer),
                 "version https://git-lfs.github.com/spec/v1\n"
                 "oid sha256:%.64s\nsize %lld\n",
                 (const char *) etag, (long long) size);

    oci_text_lit(text, ",\"lfs\":{\"");
    oci_text_add(text, key, strlen(key));
    oci_text_lit(text, "\":\"");
    oci_text_add(text, etag, OCI_MODEL_ETAG);
    oci_text_lit(text, "\",\"size\":");
    oci_hub_number(text, size);
    oci_text_lit(text, ",\"pointerSize\":");
    oci_hub_number(text, n);
    oci_text_lit(text, "}");
}


static void
oci_hub_last_commit(oci_text_t *text, const oci_hub_model_t *model)
{
    oci_text_lit(text, ",\"lastCommit\":{\"id\":\"");
    oci_text_add(text, model->commit, OCI_HUB_COMMIT);
    oci_text_lit(text, "\",\"title\":\"\",\"date\":");
    oci_hub_time(text, model->time);
    oci_text_lit(text, "}");
}


static void
oci_hub_ref(oci_text_t *text, const oci_hub_ref_t *ref, const char *kind)
{
    oci_text_lit(text, "{\"name\":");
    oci_hub_string(text, &ref->name);

    /* tags have no character that JSON would want to be escaped */

    oci_text_lit(text, ",\"ref\":\"");
    oci_text_add(text, kind, strlen(kind));
    oci_text_add(text, ref->name.data, ref->name.len);
    oci_text_lit(text, "\",\"targetCommit\":\"");
    oci_text_add(text, ref->commit, OCI_HUB_COMMIT);
    oci_text_lit(text, "\"}");
}


/* the one form that clients read */

static void
oci_hub_time(oci_text_t *text, int64_t seconds)
{
    char       buf[OCI_HUB_TIME];
    time_t     t;
    struct tm  tm;

    t = (time_t) seconds;

    if (gmtime_r(&t, &tm) == NULL
        || strftime(buf, sizeof(buf), "%Y-%m-%dT%H:%M:%S.000Z", &tm)
           != OCI_HUB_TIME - 1)
    {
        memcpy(buf, "1970-01-01T00:00:00.000Z", OCI_HUB_TIME);
    }

    oci_text_lit(text, "\"");
    oci_text_add(text, buf, OCI_HUB_TIME - 1);
    oci_text_lit(text, "\"");
}


static void
oci_hub_number(oci_text_t *text, int64_t n)
{
    int   len;
    char  buf[32];

    len = snprintf(buf, sizeof(buf), "%lld", (long long) n);

    oci_text_add(text, buf, (size_t) len);
}


static void
oci_hub_string(oci_text_t *text, const oci_str_t *s)
{
    char    escape[8];
    size_t  i, from;
    u_char  c;

    oci_text_lit(text, "\"");

    from = 0;

    for (i = 0; i < s->len; i++) {

        c = s->data[i];

        if (c >= 0x20 && c != '"' && c != '\\') {
            continue;
        }

        oci_text_add(text, s->data + from, i - from);
        from = i + 1;

        (void) snprintf(escape, sizeof(escape), "\\u%04x", c);
        oci_text_add(text, escape, 6);
    }

    oci_text_add(text, s->data + from, s->len - from);
    oci_text_lit(text, "\"");
}


static int
oci_hub_end(const oci_text_t *text)
{
    return text->failed ? OCI_ERROR : OCI_OK;
}
