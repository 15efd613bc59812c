"""Breakages of src/http."""

from mutant import Table

TABLE = Table()
add = TABLE.add


# ---- the gate and the way to it

add("gate-of-the-methods", "src/http/ngx_http_oci_handler.c",
    "    if (right && !(olcf->methods & right)) {",
    "    if (right && !olcf->methods) {",
    "t/test_methods.py::test_operation",
    "t/test_methods.py::test_pull_only_changes_nothing")

add("push-where-only-pull", "src/http/ngx_http_oci_handler.c",
    "NGX_HTTP_OCI_OP_UPLOAD_START,\n      NGX_HTTP_OCI_PUSH,",
    "NGX_HTTP_OCI_OP_UPLOAD_START,\n      NGX_HTTP_OCI_PULL,",
    "t/test_methods.py::test_operation")

add("delete-is-a-push", "src/http/ngx_http_oci_handler.c",
    "NGX_HTTP_OCI_OP_MANIFEST_DELETE,\n      NGX_HTTP_OCI_DELETE,",
    "NGX_HTTP_OCI_OP_MANIFEST_DELETE,\n      NGX_HTTP_OCI_PUSH,",
    "t/test_methods.py::test_operation")

add("status-of-an-upload-is-a-pull", "src/http/ngx_http_oci_handler.c",
    "NGX_HTTP_OCI_OP_UPLOAD_STATUS,\n      NGX_HTTP_OCI_PUSH,",
    "NGX_HTTP_OCI_OP_UPLOAD_STATUS,\n      NGX_HTTP_OCI_PULL,",
    "t/test_methods.py::test_two_locations_on_one_store")

add("allow-of-what-is-disabled", "src/http/ngx_http_oci_handler.c",
    "        if (op->right == 0 || (olcf->methods & op->right)) {",
    "        if (op->right == 0 || olcf->methods) {",
    "t/test_methods.py::test_operation")

add("path-as-nginx-decoded-it", "src/http/ngx_http_oci_handler.c",
    "    if (r->valid_unparsed_uri) {",
    "    if (r->valid_unparsed_uri && r->unparsed_uri.len == 0) {",
    "t/test_names.py::test_hostile_path")

add("namespaces-allowed", "src/http/ngx_http_oci_handler.c",
    "    return ngx_http_oci_send_error(r, OCI_ERR_NAME_UNKNOWN, 0,\n"
    "                                   \"the namespace is not served "
    "here\", NULL);",
    "    ctx->repo.ns.data = value.data;\n"
    "    ctx->repo.ns.len = value.len;\n\n    return NGX_DECLINED;",
    "t/test_namespace.py::test_not_listed")

add("namespace-of-the-request", "src/http/ngx_http_oci_handler.c",
    "            ctx->repo.ns.len = allow[i].len;",
    "            ctx->repo.ns.len = 0;",
    "t/test_namespace.py::test_from_the_request")

add("version-header", "src/http/ngx_http_oci_send.c",
    "    ngx_http_oci_set_header(h, \"Docker-Distribution-Api-Version\",",
    "    ngx_http_oci_set_header(h, \"X-Api-Version\",",
    "t/test_base.py::test_version_check")


# ---- refusals

add("nginx's-own-pages", "src/http/ngx_http_oci_filter.c",
    "    if (r->headers_out.status < NGX_HTTP_BAD_REQUEST "
    "|| olcf->store == NULL) {",
    "    if (r->headers_out.status < 1000 || olcf->store == NULL) {",
    "t/test_refusals.py::test_deny")

add("overload-is-429", "src/http/ngx_http_oci_filter.c",
    "    return NGX_HTTP_TOO_MANY_REQUESTS;\n}",
    "    return NGX_HTTP_SERVICE_UNAVAILABLE;\n}",
    "t/test_refusals.py::test_limit_req")

add("overload-of-a-mirror-is-503", "src/http/ngx_http_oci_filter.c",
    "    if (ngx_http_arg(r, (u_char *) \"ns\", 2, &ns) == NGX_OK) {",
    "    if (ngx_http_arg(r, (u_char *) \"ns\", 2, &ns) == NGX_AGAIN) {",
    "t/test_refusals.py::test_limit_req")

add("filters-of-a-body", "src/http/ngx_http_oci_filter.c",
    "    if (ctx && ctx->answered) {\n"
    "        return ngx_http_low_header_filter(r);",
    "    if (ctx && ctx->answered) {\n"
    "        return ngx_http_next_header_filter(r);",
    "t/test_base.py::test_no_filter_touches")

add("expect-and-a-refusal", "src/http/ngx_http_oci_send.c",
    "    if (r->headers_in.expect && !r->expect_tested\n",
    "    if (r->headers_in.expect && r->expect_tested\n",
    "t/test_upload_bad.py::test_expect_gets_the_refusal")

add("body-that-nobody-read", "src/http/ngx_http_oci_send.c",
    "    if (ngx_http_discard_request_body(r) != NGX_OK) {\n"
    "        r->keepalive = 0;\n    }\n}",
    "}",
    "t/test_upload_bad.py::test_keepalive_after_errors")

add("status-of-a-full-disk", "src/http/ngx_http_oci_send.c",
    "        case ENOSPC:\n        case EDQUOT:",
    "        case EDQUOT:",
    "t/test_disk_full.py::test_push", "t/test_disk_full.py::test_manifest")

add("busy-is-not-forever", "src/http/ngx_http_oci_task.c",
    "    if (t->rc == OCI_AGAIN && t->retry\n",
    "    if (t->rc == OCI_AGAIN && !t->retry\n",
    "t/test_use.py::test_waits")

add("body-limit-of-nginx", "src/http/ngx_http_oci_conf.c",
    "    if (clcf->client_max_body_size == NGX_HTTP_OCI_DEFAULT_MAX_BODY) {",
    "    if (clcf->client_max_body_size < 0) {",
    "t/test_refusals.py::test_no_default_body_limit")


# ---- reading

add("touch-of-a-head", "src/http/ngx_http_oci_blob.c",
    "    rc = oci_blob_touch(get->store, get->ask.repo, get->digest);",
    "    rc = OCI_OK;",
    "t/test_use.py::test_counts_as_use")

add("descriptor-of-a-blob", "src/http/ngx_http_oci_content.c",
    "    cln->handler = ngx_pool_cleanup_file;",
    "    cln->handler = NULL;",
    "t/test_blob_read.py::test_head_equals_get", slow=True)

add("descriptor-of-a-manifest", "src/http/ngx_http_oci_manifest.c",
    "    if (get->record.fd != NGX_INVALID_FILE) {",
    "    if (get->record.fd < NGX_INVALID_FILE) {",
    "t/test_manifest.py::test_3_9_megabytes", slow=True)

add("if-none-match", "src/http/ngx_http_oci_content.c",
    "    if (r->headers_in.if_none_match == NULL) {\n"
    "        return NGX_DECLINED;",
    "    if (r->headers_in.if_none_match != NULL) {\n"
    "        return NGX_DECLINED;\n    }\n\n    if (1) {\n"
    "        return NGX_DECLINED;",
    "t/test_blob_read.py::test_if_none_match",
    "t/test_manifest.py::test_if_none_match")

add("if-range", "src/http/ngx_http_oci_content.c",
    "    return NULL;\n}\n\n\nstatic ngx_int_t\n"
    "ngx_http_oci_content_unsatisfiable(",
    "    return r->headers_in.range;\n}\n\n\nstatic ngx_int_t\n"
    "ngx_http_oci_content_unsatisfiable(",
    "t/test_blob_read.py::test_if_range")

add("accept-ranges-of-a-206", "src/http/ngx_http_oci_content.c",
    "    } else {\n        ngx_http_oci_set_header(h, \"Accept-Ranges\", "
    "&ngx_http_oci_bytes);\n",
    "    } else {\n        ngx_http_oci_set_header(h, \"Accept-Ranges\", "
    "&ngx_http_oci_bytes);\n"
    "        h->hash = (r->headers_in.range == NULL);\n",
    "t/test_blob_read.py::test_one_range")

add("size-in-a-416", "src/http/ngx_http_oci_content.c",
    "\"bytes */%O\", content->size)",
    "\"bytes */%O\", content->size + 1)",
    "t/test_blob_read.py::test_416")

add("last-byte-of-a-range", "src/http/ngx_http_oci_content.c",
    "                                (off_t) range->end - 1, content->size)",
    "                                (off_t) range->end, content->size)",
    "t/test_blob_read.py::test_one_range")

add("parts-of-a-multirange", "src/http/ngx_http_oci_multirange.c",
    "                       (off_t) range->end - 1, content->size);",
    "                       (off_t) range->end, content->size);",
    "t/test_blob_read.py::test_many_ranges")

add("length-of-a-multirange", "src/http/ngx_http_oci_multirange.c",
    "    length += p - start;\n",
    "",
    "t/test_blob_read.py::test_many_ranges_head")

add("head-of-a-large-manifest's-record", "src/http/ngx_http_oci_manifest.c",
    "    content.base = OCI_RECORD_HEADER;",
    "    content.base = 0;",
    "t/test_manifest.py::test_3_9_megabytes")

add("bytes-of-a-small-manifest", "src/http/ngx_http_oci_manifest.c",
    "    ngx_memcpy(get->data, ngx_http_oci_manifest_buf, "
    "get->record.size);",
    "    ngx_memcpy(get->data, ngx_http_oci_manifest_buf,\n"
    "               get->record.size / 2);",
    "t/test_manifest.py::test_exact_bytes")

add("digest-of-another-length", "src/http/ngx_http_oci_content.c",
    "    ctx->digest.len = etag->len - 2;",
    "    ctx->digest.len = ngx_min(etag->len - 2, 71);",
    "t/test_blob_read.py::test_head_equals_get")

add("digits-of-a-length", "src/http/ngx_http_oci_send.c",
    "            *--text.data = (u_char) ('0' + length % 10);",
    "            *--text.data = (u_char) ('0' + length % 9);",
    "t/test_blob_read.py::test_head_equals_get")

add("rest-of-an-answer-in-scratch", "src/http/ngx_http_oci_content.c",
    "    b->last = ngx_cpymem(p, b->pos, left);\n    b->pos = p;\n",
    "",
    "t/test_transport.py::test_answers_that_leave_slowly[main-blobs]",
    "t/test_transport.py::test_answers_that_leave_slowly[main-manifests]")

add("scratch-wherever", "src/http/ngx_http_oci_content.c",
    "#if (NGX_HTTP_SSL)\n    if (r->connection->ssl) {\n"
    "        return 0;\n    }\n#endif\n\n"
    "    return r->http_version < NGX_HTTP_VERSION_20\n           && ",
    "    return ",
    "t/test_transport.py::test_answers_that_leave_slowly[h2-blobs]")

add("link-to-the-next-page", "src/http/ngx_http_oci_list.c",
    "    if (l->list.next[0]\n",
    "    if (l->list.next[0] && l->list.body == NULL\n",
    "t/test_tags.py::test_pages")

add("n-of-the-next-page", "src/http/ngx_http_oci_send.c",
    "    if (n >= 0) {\n        p = ngx_sprintf(p, \"n=%L&\", n);",
    "    if (n < 0) {\n        p = ngx_sprintf(p, \"n=%L&\", n);",
    "t/test_tags.py::test_pages")

add("n-of-zero", "src/http/ngx_http_oci_list.c",
    "            l->n = n;",
    "            l->n = n ? n : OCI_LIST_ALL;",
    "t/test_tags.py::test_n_zero")

add("n-that-is-no-number", "src/http/ngx_http_oci_list.c",
    "            rc = OCI_INVALID;\n\n        } else {",
    "            rc = OCI_NOT_FOUND;\n\n        } else {",
    "t/test_tags.py::test_bad_n")

add("filter-of-referrers", "src/http/ngx_http_oci_referrers.c",
    "                           l->filtered ? &l->type : NULL, &l->last,",
    "                           NULL, &l->last,",
    "t/test_referrers.py::test_filter")

add("filters-applied", "src/http/ngx_http_oci_referrers.c",
    "    if (l->filtered) {",
    "    if (l->filtered && l->next[0]) {",
    "t/test_referrers.py::test_filter")


# ---- manifests

add("digest-check-of-a-manifest", "src/http/ngx_http_oci_manifest_put.c",
    "    if (put->by_digest && !oci_digest_equal(&digest, &put->digest)) {",
    "    if (put->by_digest && put->len == 0) {",
    "t/test_manifest_bad.py::test_wrong_digest")

add("algorithm-of-a-manifest", "src/http/ngx_http_oci_manifest_put.c",
    "put->by_digest ? put->digest.alg : OCI_SHA256,",
    "OCI_SHA256,",
    "t/test_manifest.py::test_by_digest")

add("subject-in-the-answer", "src/http/ngx_http_oci_manifest_put.c",
    "    if (put->has_subject) {",
    "    if (put->has_subject && put->len == 0) {",
    "t/test_referrers.py::test_list")

add("tags-in-the-answer", "src/http/ngx_http_oci_manifest_put.c",
    "    for (i = 0; put->by_digest && i < put->ntags; i++) {",
    "    for (i = 1; put->by_digest && i < put->ntags; i++) {",
    "t/test_manifest.py::test_tag_parameters")

add("status-of-a-large-manifest", "src/http/ngx_http_oci_manifest_put.c",
    "        put->too_large = 1;",
    "        put->too_large = 0;",
    "t/test_manifest_bad.py::test_over_the_limit")

add("sparse-is-off", "src/http/ngx_http_oci_manifest_put.c",
    "    put->sparse = olcf->sparse ? 1 : 0;",
    "    put->sparse = 1;",
    "t/test_manifest_bad.py::test_missing_content")

add("lock-of-a-blob's-delete", "src/http/ngx_http_oci_delete.c",
    "    rc = oci_lock_repo(&lock, del->store, del->repo, 1, 0);",
    "    rc = oci_lock_repo(&lock, del->store, del->repo, 0, 0);",
    "t/test_use.py::test_waits")


# ---- uploads

add("user-of-an-upload", "src/http/ngx_http_oci_upload.c",
    "        u->user.len = r->headers_in.user.len;",
    "        u->user.len = 0;",
    "t/test_auth.py::test_session_of_another_user")

add("offset-of-a-chunk", "src/http/ngx_http_oci_upload.c",
    "    if (u->ranged && u->start != u->session.offset) {",
    "    if (u->ranged && u->start < 0) {",
    "t/test_chunks.py::test_out_of_order")

add("session-after-a-416", "src/http/ngx_http_oci_upload.c",
    "    u->open = 0;\n    oci_upload_close(&u->session);",
    "    u->open = 0;\n    (void) oci_upload_remove(&u->session);",
    "t/test_chunks.py::test_out_of_order")

add("offset-in-an-answer", "src/http/ngx_http_oci_upload.c",
    "                                        ? u->session.offset - 1 : 0);",
    "                                        ? u->session.offset : 0);",
    "t/test_chunks.py::test_in_order")

add("location-of-an-upload", "src/http/ngx_http_oci_upload.c",
    "    if (ngx_http_oci_add_header(r, \"Location\", &path) != NGX_OK",
    "    if (ngx_http_oci_add_header(r, \"Location\", &url) != NGX_OK",
    "t/test_upload.py::test_post_then_put")

add("name-to-mount-from", "src/http/ngx_http_oci_upload.c",
    "                       && oci_name_valid(u->from.name.data, "
    "u->from.name.len);",
    "                       && u->from.name.len;",
    "t/test_mount.py::test_mount_from_a_roundabout_name")

add("mount-without-from", "src/http/ngx_http_oci_upload.c",
    "            u->mount = (olcf->mount == NGX_HTTP_OCI_MOUNT_ANY);",
    "            u->mount = (olcf->mount != NGX_HTTP_OCI_MOUNT_OFF);",
    "t/test_mount.py::test_mount_without_from_is_off")

add("mount-out-of-the-namespace", "src/http/ngx_http_oci_upload.c",
    "            u->from.ns = u->repo->ns;",
    "            u->from.ns.len = 0;",
    "t/test_namespace.py::test_apart")

add("rollback-of-a-broken-chunk", "src/http/ngx_http_oci_receive.c",
    "    } else if (u->ranged || u->put) {",
    "    } else if (u->put) {",
    "t/test_leave.py::test_in_a_chunk", slow=True)

add("session-of-a-broken-post", "src/http/ngx_http_oci_receive.c",
    "    if (u->whole) {\n        u->spoilt = (oci_upload_remove(",
    "    if (u->whole && u->ranged) {\n"
    "        u->spoilt = (oci_upload_remove(",
    "t/test_upload_bad.py::test_vanishes_in_a_single_post", slow=True)

add("bytes-of-a-broken-stream", "src/http/ngx_http_oci_receive.c",
    "        }\n\n        (void) oci_upload_save(&u->session);",
    "        }\n\n        (void) oci_upload_rollback(&u->session);",
    "t/test_leave.py::test_all_at_once", slow=True)

add("what-came-before-the-break", "src/http/ngx_http_oci_body.c",
    "            body->broken = rc;\n            continue;",
    "            ngx_http_oci_body_end(r, body, rc);\n            return;",
    "t/test_leave.py::test_all_at_once_behind_a_slow_disk", slow=True)

add("what-came-with-the-break", "src/http/ngx_http_oci_body.c",
    "        r->read_event_handler = ngx_http_block_reading;\n"
    "        ngx_http_oci_body_handler(r);",
    "        ngx_http_oci_body_end(r, body, rc);",
    "t/test_leave.py::test_all_at_once", slow=True)

add("length-of-a-chunk", "src/http/ngx_http_oci_receive.c",
    "        && u->body.received != u->length)",
    "        && u->body.received > u->length)",
    "t/test_upload_bad.py::test_content_range_is_not_the_length")

add("piece-that-is-still-in-use", "src/http/ngx_http_oci_receive.c",
    "           < NGX_HTTP_OCI_UPLOAD_PIECES;",
    "           <= NGX_HTTP_OCI_UPLOAD_PIECES;",
    "t/test_use.py::test_a_body_waits_for_the_disk")

add("wait-for-the-disk", "src/http/ngx_http_oci_receive.c",
    "    return u->filled - ngx_http_oci_receive_load(&u->hashed)\n"
    "           < NGX_HTTP_OCI_UPLOAD_PIECES;",
    "    return 1;",
    "t/test_use.py::test_a_body_waits_for_the_disk")

add("counted-without-being-written", "src/http/ngx_http_oci_receive.c",
    "        if (rc != OCI_OK) {\n"
    "            return rc;\n        }\n\n"
    "        ngx_http_oci_receive_store(&u->written, u->written + 1);\n",
    "        ngx_http_oci_receive_store(&u->written, u->written + 1);\n\n"
    "        if (rc != OCI_OK) {\n"
    "            return rc;\n        }\n",
    "t/test_disk_full.py::test_what_is_written_counts")

add("bytes-between-the-framing", "src/http/ngx_http_oci_receive.c",
    "        if (to != p + taken) {",
    "        if (to > p + taken) {",
    "t/test_pieces.py::test_chunks_of_the_coding")

add("bytes-of-a-slow-client", "src/http/ngx_http_oci_receive.c",
    "#define NGX_HTTP_OCI_UPLOAD_FLUSH      1000",
    "#define NGX_HTTP_OCI_UPLOAD_FLUSH      3600000",
    "t/test_concurrent.py::test_takeover[False]", slow=True)

add("part-of-a-chunk-is-saved", "src/http/ngx_http_oci_receive.c",
    "#define ngx_http_oci_receive_keep(u)  (!(u)->ranged && !(u)->put)",
    "#define ngx_http_oci_receive_keep(u)  1",
    "t/test_concurrent.py::test_kill_in_a_body", slow=True)

add("touch-of-a-post", "src/http/ngx_http_oci_upload.c",
    "        rc = oci_blob_touch(u->store, u->repo, &u->digest);",
    "        rc = OCI_OK;",
    "t/test_use.py::test_counts_as_use")


# ---- tasks and clients that leave

add("task-that-is-not-counted", "src/http/ngx_http_oci_task.c",
    "    r->main->blocked++;",
    "    r->main->blocked += 0;",
    "t/test_leave.py::test_during_a_task", slow=True)

add("task-that-is-counted-forever", "src/http/ngx_http_oci_task.c",
    "    r->main->blocked--;",
    "    r->main->blocked -= 0;",
    "t/test_leave.py::test_during_a_task", slow=True)

add("request-that-is-not-counted", "src/http/ngx_http_oci_upload.c",
    "        r->read_event_handler = ngx_http_block_reading;\n    }\n\n"
    "    r->main->count++;",
    "        r->read_event_handler = ngx_http_block_reading;\n    }\n",
    "t/test_upload.py::test_post_then_put")

add("timer-of-a-request-that-ended", "src/http/ngx_http_oci_task.c",
    "static void\nngx_http_oci_task_cleanup(void *data)\n{\n"
    "    ngx_http_oci_task_t  *t = data;\n\n"
    "    if (t->timer.timer_set) {",
    "static void\nngx_http_oci_task_cleanup(void *data)\n{\n"
    "    ngx_http_oci_task_t  *t = data;\n\n"
    "    if (t->timer.timer_set && t->running) {",
    "t/test_leave.py::test_before_the_lock_is_free", slow=True)


# ---- the zone

add("counter-of-an-entry", "src/zone/ngx_http_oci_cache.c",
    "    if (e == NULL || e->generation != ask->generation) {\n"
    "        return NGX_HTTP_OCI_CACHE_MISS;",
    "    if (e == NULL) {\n        return NGX_HTTP_OCI_CACHE_MISS;",
    "t/test_zone.py::test_every_worker",
    "t/test_zone.py::test_second_nginx",
    "t/test_zone.py::test_across_a_reload")

add("cache-of-before-a-death", "src/http/ngx_http_oci_module.c",
    "            oci_generation_raise_all(&st->store);\n",
    "",
    "t/test_killed_write.py::test_killed",
    "t/test_killed_write.py::test_all_of_it_killed")

add("nobody-begins", "src/http/ngx_http_oci_module.c",
    "        if (ngx_http_oci_stats_first(&st->cache.sh->first)\n"
    "            || st->doubtful)",
    "        if (st->doubtful)",
    "t/test_killed_write.py::test_all_of_it_killed",
    "t/test_killed_write.py::test_one_of_them_doubts")

add("everybody-begins", "src/zone/ngx_http_oci_stats.c",
    "                              NGX_HTTP_OCI_STATS_BEGUN);",
    "                              NGX_HTTP_OCI_STATS_BEGUN * 0);",
    "t/test_killed_write.py::test_one_of_them_doubts")

add("death-of-who-left-in-peace", "src/zone/ngx_http_oci_stats.c",
    "            dead += writing;",
    "            dead += writing | 1;",
    "t/test_zone.py::test_reload_keeps_it")

add("counter-of-a-second-delete", "src/http/ngx_http_oci_delete.c",
    "            oci_generation_raise(del->store, del->repo);\n",
    "",
    "t/test_killed_write.py::test_delete_again")

add("wake-after-a-death", "src/http/ngx_http_oci_module.c",
    "            ngx_http_oci_zone_wake(cache);\n",
    "",
    "t/test_killed_write.py::test_nobody_sleeps_for_good")

add("time-of-what-is-missing", "src/zone/ngx_http_oci_cache.c",
    "(age < ask->valid_missing)",
    "(age < ask->valid)",
    "t/test_zone.py::test_missing_for_a_while")

add("time-of-what-is-there", "src/zone/ngx_http_oci_cache.c",
    "    if (age < ask->valid) {",
    "    if (age < ask->valid || e->used) {",
    "t/test_zone.py::test_another_machine")

add("stamp-of-what-is-there", "src/http/ngx_http_oci_manifest.c",
    "        if (rc != OCI_OK || !oci_stamp_equal(&stamp, &v.stamp)) {",
    "        if (rc != OCI_OK) {",
    "t/test_zone.py::test_another_machine")

add("counter-of-a-snapshot", "src/zone/ngx_http_oci_tagset.c",
    "        if (e == NULL || e->generation != span.before) {",
    "        if (e == NULL) {",
    "t/test_tagset.py::test_second_nginx")

add("snapshot-that-was-just-made", "src/zone/ngx_http_oci_tagset.c",
    "        renewed = (set.state == 0 && set.token != seen);",
    "        renewed = (set.state == 0 && set.token == seen && seen);",
    "t/test_tagset.py::test_asked_while_it_is_filled")

add("snapshot-under-the-counter-of-now", "src/http/ngx_http_oci_tags.c",
    "    if (oci_generation_read(s, ask->repo) == ask->generation) {",
    "    ((ngx_http_oci_cache_ask_t *) ask)->generation =\n"
    "        oci_generation_read(s, ask->repo);\n\n"
    "    if (s != NULL) {",
    "t/test_tagset.py::test_a_write_while_it_is_read")

add("tag-that-was-deleted", "src/http/ngx_http_oci_delete.c",
    "                                   tag ? 1 : 0, 1);",
    "                                   0, 1);",
    "t/test_tagset.py::test_brought_up_to_date[3000]")

add("tags-of-a-manifest-that-was-deleted", "src/http/ngx_http_oci_delete.c",
    "        return oci_manifest_delete(del->store, del->repo,\n"
    "                                   &del->route->digest);",
    "        rc = oci_manifest_delete(del->store, del->repo,\n"
    "                                 &del->route->digest);\n"
    "        tag = NULL;",
    "t/test_tagset.py::test_manifest_deleted")

add("filter-of-referrers-that-are-kept", "src/http/ngx_http_oci_referrers.c",
    "    l->filter.len = p - l->filter_buf;",
    "    l->filter.len = ngx_min(p - l->filter_buf, 1);",
    "t/test_tagset.py::test_referrers_apart")

add("change-left-half-done", "src/zone/ngx_http_oci_zone.c",
    "    if (z->sh->changing) {\n        ngx_http_oci_zone_reset(z);",
    "    if (z->sh->changing > 1) {\n        ngx_http_oci_zone_reset(z);",
    "t/test_zone.py::test_dead_in_the_lock[1]")

add("flood-of-what-is-missing", "src/zone/ngx_http_oci_zone.c",
    "#define NGX_HTTP_OCI_ZONE_NEGATIVE  (16 * 1024)",
    "#define NGX_HTTP_OCI_ZONE_NEGATIVE  1",
    "t/test_zone.py::test_missing_does_not_push_out")

add("a-line-for-each-eviction", "src/zone/ngx_http_oci_zone.c",
    "#define NGX_HTTP_OCI_ZONE_WARN      60000",
    "#define NGX_HTTP_OCI_ZONE_WARN      10",
    "t/test_zone.py::test_full")

add("used-entries-stay", "src/zone/ngx_http_oci_zone.c",
    "    if (e == keep || e->pinned || (e->used && !e->negative)) {",
    "    if (e == keep || e->pinned) {",
    "t/test_zone.py::test_full")


# ---- counting

add("slot-of-the-dead", "src/zone/ngx_http_oci_stats.c",
    "           || (kill((ngx_pid_t) owner, 0) == -1 "
    "&& ngx_errno == NGX_ESRCH);",
    "           || 0;",
    "t/test_metrics.py::test_slots_come_back")

add("slot-begun-anew", "src/zone/ngx_http_oci_stats.c",
    "            return &slots[i];",
    "            ngx_memzero(slots[i].counters, sizeof(slots[i].counters));\n"
    "            return &slots[i];",
    "t/test_metrics.py::test_sums")

add("slot-of-the-living", "src/zone/ngx_http_oci_stats.c",
    "           || (kill((ngx_pid_t) owner, 0) == -1 "
    "&& ngx_errno == NGX_ESRCH);",
    "           || 1;",
    "t/test_metrics.py::test_more_processes_than_slots")

add("bytes-of-a-head", "src/http/ngx_http_oci_count.c",
    "    sent = r->connection->sent - (off_t) r->header_size;",
    "    sent = r->connection->sent;",
    "t/test_metrics.py::test_sums")

add("bytes-of-an-interim-answer", "src/http/ngx_http_oci_count.c",
    "    return (length >= 0) ? ngx_min(sent, length) : sent;",
    "    return (length >= 0) ? sent : 0;",
    "t/test_metrics.py::test_expect_is_no_body")

add("status-that-nginx-had-in-mind", "src/http/ngx_http_oci_count.c",
    "    class = r->header_sent ? r->headers_out.status / 100 : 0;",
    "    class = (r->err_status ? r->err_status\n"
    "                           : r->headers_out.status) / 100;",
    "t/test_metrics.py::test_refusals_of_nginx")

add("upload-that-is-not-counted", "src/http/ngx_http_oci_receive.c",
    "        u->spoilt = (rc == OCI_MISMATCH);",
    "        u->spoilt = 0;",
    "t/test_metrics.py::test_sums")

add("label-that-is-not-escaped", "src/web/ngx_http_oci_metrics.c",
    "            case '\\\\':\n            case '\"':",
    "            case '\"':",
    "t/test_metrics.py::test_text")


# ---- pushes through an edge

PUSH = "t/test_edge_push.py::"

add("place-on-another-host", "src/http/ngx_http_oci_push_path.c",
    "t->host.len) != 0)\n    {\n        return NGX_DECLINED;",
    "t->host.len) != 0)\n    {\n        text[0] = 'h';",
    PUSH + "test_places_elsewhere")

add("seal-of-a-place", "src/http/ngx_http_oci_push_path.c",
    "        || CRYPTO_memcmp(reference->data, id, sizeof(id)) != 0)",
    "        || 0)",
    PUSH + "test_places_of_another_form")

add("seal-without-its-repository", "src/http/ngx_http_oci_push_path.c",
    "    parts[3].len = p->ctx->repo.name.len;",
    "    parts[3].len = 0;\n    parts[1].len = 0;",
    PUSH + "test_places_of_another_form")

add("mount-by-the-edge's-account", "src/http/ngx_http_oci_push_mount.c",
    "    if (p->u->client) {\n\n        /* its own right there",
    "    if (1) {\n\n        /* its own right there",
    PUSH + "test_mounts_of_what_is_not_shown")

add("mount-by-other-words", "src/http/ngx_http_oci_push_path.c",
    "    ngx_unescape_uri(&dst, &src, len, 0);",
    "    dst = ngx_cpymem(dst, src, len);",
    PUSH + "test_mounts_of_what_is_not_shown")

add("part-of-a-body-as-the-whole", "src/http/ngx_http_oci_push.c",
    "    if (rc != NGX_OK) {\n\n        /* the upstream is not to take",
    "    if (0) {\n\n        /* the upstream is not to take",
    PUSH + "test_client_that_leaves")

add("lists-after-a-push", "src/http/ngx_http_oci_push_answer.c",
    "    ngx_http_oci_zone_push(&olcf->store->cache, "
    "oci_repo_hash(&p->ctx->repo));\n", "",
    PUSH + "test_tags_that_were_pushed",
    PUSH + "test_referrers_that_were_pushed")

add("tags-after-a-push", "src/http/ngx_http_oci_push_answer.c",
    "    oci_generation_raise(&olcf->store->store, &p->ctx->repo);", "",
    PUSH + "test_tags_that_were_pushed")

add("deleted-and-still-here", "src/http/ngx_http_oci_push_answer.c",
    "        return ngx_http_oci_push_forget(p);\n\n"
    "    case NGX_HTTP_OCI_OP_MANIFEST_PUT:",
    "        rc = NGX_OK;\n        break;\n\n"
    "    case NGX_HTTP_OCI_OP_MANIFEST_PUT:",
    PUSH + "test_deletes")

add("error-that-is-none", "src/http/ngx_http_oci_push_answer.c",
    "    if (ngx_http_oci_push_valid(p)) {",
    "    if (ngx_http_oci_push_valid(p) || p->text_len) {",
    PUSH + "test_refusals_that_are_no_errors")

add("pushed-tag-of-an-edge", "src/http/ngx_http_oci_manifest_edge.c",
    "        if ((e->get->digest != NULL "
    "|| ngx_http_oci_manifest_edge_pushed(e))",
    "        if (e->get->digest != NULL",
    PUSH + "test_kept_here")


# ---- signed URLs

SIGNED = "src/http/ngx_http_oci_signed.c"

add("signed-but-not-checked", SIGNED,
    "        rc = oci_signed_check(s, ngx_http_oci_signed_key(olcf), "
    "ngx_time());",
    "        rc = OCI_OK;",
    "t/test_signed_urls.py::test_altered",
    "t/test_signed_urls.py::test_expired")

add("signed-for-every-operation", SIGNED,
    "    if (ctx->op != NGX_HTTP_OCI_OP_BLOB_GET || ctx->route.rc != OCI_OK) {",
    "    if (ctx->op == NGX_HTTP_OCI_OP_NONE) {",
    "t/test_signed_urls.py::test_only_reads_of_blobs")

add("signed-passes-deny", SIGNED,
    "        if (rc != NGX_OK && rc != NGX_DECLINED) {\n"
    "            return rc;\n        }\n    }\n\n    cmcf",
    "        if (rc == NGX_ERROR) {\n"
    "            return rc;\n        }\n    }\n\n    cmcf",
    "t/test_signed_urls.py::test_denied_afterwards")

add("signed-without-the-namespace", SIGNED,
    "    s->ns.len = value.len;",
    "    s->ns.len = 0;",
    "t/test_signed_urls.py::test_namespaces")

add("signed-for-any-upstream", SIGNED,
    "        s->upstream.len = target->key.len;",
    "        s->upstream.len = 0;",
    "t/test_signed_urls.py::test_of_another_upstream")

add("signed-location-of-the-200", "src/http/ngx_http_oci_blob.c",
    "    if (ctx->signed_url\n        && ngx_http_oci_signed_self",
    "    if (0\n        && ngx_http_oci_signed_self",
    "t/test_signed_urls.py::test_ollama")

add("signed-whose-right", SIGNED,
    "    if (s.has_client\n        && ngx_http_oci_signed_restore",
    "    if (0\n        && ngx_http_oci_signed_restore",
    "t/test_signed_urls.py::test_right_of_a_client")

add("signed-heads", SIGNED,
    "    if (conf == NULL || ctx->signed_url || r->method == NGX_HTTP_HEAD",
    "    if (conf == NULL || ctx->signed_url",
    "t/test_signed_urls.py::test_what_is_not_redirected")


# ---- zstd on the wire

ZSTD = "src/http/ngx_http_oci_zstd.c"

add("zstd-of-a-range", ZSTD,
    "    if (r->method != NGX_HTTP_GET || r->headers_in.range",
    "    if (r->method != NGX_HTTP_GET",
    "t/test_zstd.py::test_ranges_and_heads")

add("zstd-for-everybody", ZSTD,
    "    return accepted;",
    "    return accepted + 1;",
    "t/test_zstd.py::test_who_does_not_name_it",
    "t/test_zstd_small.py::test_for_whom")

add("zstd-refused-in-another-line", ZSTD,
    "            if (rc < 0) {\n                return 0;",
    "            if (rc < -1) {\n                return 0;",
    "t/test_zstd_small.py::test_for_whom_lines")

add("zstd-of-small-ones-however-little-it-saves", ZSTD,
    "    *n = size * (1000 - olcf->zstd_min_ratio) / 1000;",
    "    *n = size * (1000 - olcf->zstd_min_ratio / 1000) / 1000;",
    "t/test_zstd_small.py::test_that_does_not_pay")

add("zstd-of-a-small-one-of-any-age", "src/zone/ngx_http_oci_cache.c",
    "        && packed->generation == e->generation",
    "",
    "t/test_zstd_small.py::test_is_as_old_as_what_it_is_of")

add("zstd-of-a-small-one-of-another-file", "src/zone/ngx_http_oci_cache.c",
    "        && packed->inode == e->inode\n"
    "        && packed->ctime == e->ctime)",
    "        )",
    "t/test_zstd_small.py::test_changed_elsewhere")

add("zstd-of-a-small-one-is-forgotten", "src/zone/ngx_http_oci_cache.c",
    "        ngx_http_oci_zone_add(z, key, 0, NULL, 0, body, body ? len : 0),",
    "        NULL,",
    "t/test_zstd_small.py::test_kept")

add("zstd-a-small-one-has-no-vary", ZSTD,
    "    if (ngx_http_oci_add_header(r, \"Vary\", &ngx_http_oci_zstd_vary)\n"
    "        != NGX_OK)\n"
    "    {\n"
    "        return NGX_ERROR;\n"
    "    }\n"
    "\n"
    "    if (content->ask == NULL",
    "    if (content->ask == NULL",
    "t/test_zstd_small.py::test_for_whom")

add("zstd-with-the-tag-of-the-blob", "src/http/ngx_http_oci_content.c",
    "    if (zstd) {\n        p = ngx_cpymem(",
    "    if (zstd > 1) {\n        p = ngx_cpymem(",
    "t/test_zstd.py::test_companion")


# ---- a view of models

HF = "src/web/ngx_http_oci_huggingface"

add("hub-methods", HF + ".c",
    "    if (!(ctx->allow & r->method)) {",
    "    if (ctx->allow == 0) {",
    "t/test_huggingface.py::test_methods")

add("hub-is-a-pull", HF + ".c",
    "    rc = ngx_http_oci_gate(r, ctx, NGX_HTTP_OCI_PULL);",
    "    rc = ngx_http_oci_gate(r, ctx, 0);",
    "t/test_huggingface.py::test_pull_is_a_right")

add("hub-refs-of-an-edge", HF + ".c",
    "    if (hf->route.endpoint == OCI_HUB_REFS && olcf->edge == NULL) {",
    "    if (hf->route.endpoint == OCI_HUB_REFS) {",
    "t/test_huggingface_edge.py::test_right_of_each_client")

add("hub-tells-of-repositories", HF + ".c",
    "    if (olcf->edge && olcf->edge->auth == NGX_HTTP_OCI_AUTH_CLIENT) {\n"
    "        return 0;",
    "    if (olcf->edge && olcf->edge->auth == NGX_HTTP_OCI_AUTH_CLIENT) {\n"
    "        return 1;",
    "t/test_huggingface_edge.py::test_right_of_each_client")

add("hub-tables-of-all-repositories", HF + "_tables.c",
    "            && ngx_http_oci_hf_table_of(t, hf->load.store, "
    "&hf->ctx->repo))",
    "            && t->store == hf->load.store)",
    "t/test_huggingface.py::test_membership")

add("hub-table-without-its-tar", HF + "_tables.c",
    "    if (hf->load.partial) {",
    "    if (hf->load.partial && hf->load.wait) {",
    "t/test_huggingface.py::test_membership")

add("hub-commit-of-another-manifest", HF + "_model.c",
    "    if (hf->guessed\n",
    "    if (hf->guessed && hf->known\n",
    "t/test_huggingface_edge.py::test_commit_that_is_not_here")

add("hub-file-beyond-its-end", HF + "_answer.c",
    "    content->size = file->size;",
    "    content->size -= file->offset;",
    "t/test_huggingface.py::test_range_within_a_tar",
    "t/test_huggingface.py::test_tar")

add("hub-file-from-the-start", HF + "_answer.c",
    "        content->base += file->offset;",
    "        content->base += 0;",
    "t/test_huggingface.py::test_range_within_a_tar")

add("hub-file-in-memory", HF + "_answer.c",
    "        content->data += file->offset;",
    "        content->data += 0;",
    "t/test_huggingface.py::test_membership")

add("hub-entry-that-is-remembered", HF + "_answer.c",
    "    if (ngx_http_oci_hf_add_commit(hf) != NGX_OK) {",
    "    if (hf->known == 0) {",
    "t/test_huggingface.py::test_not_found")

add("hub-if-none-match", "src/http/ngx_http_oci_content.c",
    "        return ngx_http_oci_content_matches(value, &ctx->file->etag)\n"
    "               ? 0 : NGX_DECLINED;",
    "        return NGX_DECLINED;",
    "t/test_huggingface.py::test_conditions")

add("hub-none-match-of-the-blob", "src/http/ngx_http_oci_content.c",
    "    if (ctx->file) {\n"
    "        return ngx_http_oci_content_matches",
    "    if (ctx->file && *value->data != '\"') {\n"
    "        return ngx_http_oci_content_matches",
    "t/test_huggingface.py::test_conditions")

add("view-that-is-inherited", "src/http/ngx_http_oci_conf.c",
    "    ngx_str_set(&conf->name, \"off\");\n}",
    "    ngx_str_set(&conf->name, \"off\");\n    conf->name = prev->name;\n}",
    "t/test_huggingface.py::test_registry_within_a_location")

add("hub-file-compressed", "src/http/ngx_http_oci_blob.c",
    "    get->ask.zstd = (ctx->view == NULL && ngx_http_oci_zstd_wanted(r, olcf));",
    "    get->ask.zstd = ngx_http_oci_zstd_wanted(r, olcf);",
    "t/test_huggingface.py::test_never_compressed")
