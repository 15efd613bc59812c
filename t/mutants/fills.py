"""Breakages of fills and of eviction."""

from mutant import Table

TABLE = Table()
add = TABLE.add


# ---- what is shared

add("claim-that-never-ends", "src/core/oci_chunkmap.c",
    "    return place >> 40 == (claim & 0xffffffff)\n"
    "           && (place & OCI_CLAIM_EXPIRES) > now;",
    "    return place >> 40 == (claim & 0xffffffff)\n"
    "           && (place & OCI_CLAIM_EXPIRES) > (now & 1);",
    "test_chunkmap:test_claims")

add("claim-that-progress-does-not-move", "src/core/oci_chunkmap.c",
    "        if (oci_swap(p, place, (place & ~OCI_CLAIM_EXPIRES)\n"
    "                               | ((now + ttl) & OCI_CLAIM_EXPIRES)))",
    "        if (now + ttl > 0)",
    "test_chunkmap:test_claims")

add("more-at-once-than-allowed", "src/core/oci_chunkmap.c",
    "    if (limit > OCI_CHUNKMAP_CLAIMS) {",
    "    if (limit) {",
    "test_chunkmap:test_claims")

add("crc-of-another-boot", "src/store/oci_fill_file.c",
    "        if (done != filled || crc != want) {",
    "        if (done != filled) {",
    "test_fill_file:test_other_boot")

add("hash-of-another-boot", "src/core/oci_chunkmap.c",
    "    oci_store(&m->head->single, 0);\n    oci_chunkmap_hash_reset(m);",
    "    oci_store(&m->head->single, 0);",
    "test_fill_file:test_other_boot")

add("late-writer", "src/store/oci_fill_step.c",
    "    if (!oci_chunkmap_holds(&f->map, w->i, w->token)\n        || ",
    "    if (",
    "test_fill_step:test_late_writer")

add("lock-of-a-chunk", "src/store/oci_fill_step.c",
    "    rc = oci_lock_byte(w->lock, (off_t) w->i);",
    "    rc = OCI_OK;",
    "test_fill_step:test_one_at_a_time")

add("fsync-of-a-fill", "src/store/oci_fill_step.c",
    "    if (f->store->durable && fsync(f->fd) == -1) {",
    "    if (f->store->durable && f->fd == -1) {",
    "test_fill_file:test_whole")

add("room-that-is-not-reserved", "src/store/oci_fill_make.c",
    "        room = (int64_t) fs.f_bavail * (int64_t) fs.f_frsize - reserve;",
    "        room = (int64_t) fs.f_bavail * (int64_t) fs.f_frsize + reserve;",
    "test_fill_step:test_no_room")

add("digest-of-a-fill", "src/store/oci_fill_step.c",
    "    if (!oci_digest_equal(&f->found, &f->digest)) {",
    "    if (f->found.hex_len == 0) {",
    "t/test_fill.py::test_corrupt", "test_fill_file:test_mismatch")

add("two-who-ask-for-the-size", "src/store/oci_fill_step.c",
    "    rc = oci_lock_byte(fd, (off_t) (n * OCI_ALG_COUNT + d->alg));",
    "    rc = (n == UINT64_MAX) ? OCI_AGAIN : OCI_OK;",
    "test_fill_step:test_one_at_a_time")

add("prepared-file-of-another", "src/store/oci_fill_make.c",
    "        && have.st_ino == want.st_ino)\n    {\n        return fd;",
    "        && have.st_nlink <= want.st_nlink)\n    {\n        return fd;",
    "test_fill_step:test_prepared")

add("file-that-was-left-before-a-map", "src/store/oci_fill_make.c",
    "    (void) unlink(path);\n\n    return open(path, O_RDWR|O_CREAT|O_EXCL",
    "    return open(path, O_RDWR|O_CREAT|O_EXCL",
    "t/test_fill_begin.py::test_left_before_a_map")

add("turn-without-a-look", "src/edge/ngx_http_oci_fill_open.c",
    "    if (oci_fill_fresh(ask->store, ask->digest) != OCI_OK) {",
    "    if (ask->digest == NULL) {",
    "t/test_fill_begin.py::test_what_is_here_is_not_asked_for")

add("prepared-beside-a-map", "src/store/oci_fill_make.c",
    "        && access(path, F_OK) == -1 && errno == ENOENT)",
    "        && access(path, F_OK) < 1)",
    "test_fill_step:test_prepared")

add("folder-that-is-gone", "src/store/oci_fill_file.c",
    "        rc = (f->lock == -1) ? oci_fill_enter(f) : OCI_OK;",
    "        rc = (f->lock == -1) ? OCI_AGAIN : OCI_OK;",
    "test_fill_step:test_prepared")

add("first-bytes-that-are-written-twice",
    "src/edge/ngx_http_oci_fill_probe.c",
    "    if (ff->written && !ff->lost) {",
    "    if (ff->written && ff->lost) {",
    "t/test_fill.py::test_cold")


add("chunk-of-another-one's-request", "src/core/oci_chunkmap.c",
    "    if (oci_chunkmap_live(m, claim, now)\n        || !oci_swap(",
    "    if (now == 0\n        || !oci_swap(",
    "test_chunkmap:test_claim_of_several")

add("end-that-one-connection-fetches",
    "src/edge/ngx_http_oci_fill_schedule.c",
    "    share = ngx_min(share, source->conf->fill_chunk);",
    "    share = source->conf->fill_chunk;",
    "t/test_fill.py::test_end_is_shared")

add("run-that-was-not-taken", "src/edge/ngx_http_oci_fill_schedule.c",
    "        if (!oci_chunkmap_holds(map, last + 1, token)\n"
    "            && oci_chunkmap_claim_more(",
    "        if (0 && oci_chunkmap_claim_more(",
    "t/test_fill.py::test_many_clients")


# ---- what clients see

add("hold-back", "src/edge/ngx_http_oci_stream.c",
    "        if (pull->whole) {",
    "        if (pull->whole && pull->size < 0) {",
    "t/test_fill.py::test_corrupt")

add("verify-all", "src/edge/ngx_http_oci_stream.c",
    "        if (pull->ask.conf->fill_verify == NGX_HTTP_OCI_VERIFY_ALL) {\n"
    "            return 0;\n        }\n",
    "",
    "t/test_fill.py::test_verify_all_and_slow")

add("answer-before-the-whole-holds", "src/edge/ngx_http_oci_pull.c",
    "    if (pull->ask.conf->fill_verify == NGX_HTTP_OCI_VERIFY_ALL) {\n"
    "        return 0;\n    }\n",
    "",
    "t/test_fill.py::test_verify_all")

add("bytes-that-are-not-there", "src/edge/ngx_http_oci_stream.c",
    "    b->file_last = ngx_http_oci_fill_ready(&pull->reader, from->file_pos,\n"
    "                                           end);",
    "    b->file_last = end;",
    "t/test_fill.py::test_cold")

add("right-through-another-repository",
    "src/edge/ngx_http_oci_fill_look.c",
    "        return (source->state == NGX_HTTP_OCI_SOURCE_YES) ? NGX_OK\n"
    "                                                          "
    ": NGX_AGAIN;",
    "        return NGX_OK;",
    "t/test_fill.py::test_membership")

add("link-for-who-was-refused", "src/edge/ngx_http_oci_fill_end.c",
    "        if (source->state == NGX_HTTP_OCI_SOURCE_YES && !source->linked) {",
    "        if (!source->linked) {",
    "t/test_fill.py::test_membership")

add("digest-without-a-file", "src/edge/ngx_http_oci_direct.c",
    "    if (oci_digest_equal(&found, pull->ask.digest)) {",
    "    if (found.hex_len) {",
    "t/test_fill.py::test_no_room")

add("digest-without-a-length", "src/edge/ngx_http_oci_fill_spool.c",
    "    if (!oci_digest_equal(&fill->file.found, &fill->digest)) {",
    "    if (fill->file.found.hex_len == 0) {",
    "t/test_fill.py::test_no_length")

add("no-waiting-after-wrong-content", "src/edge/ngx_http_oci_fill_bar.c",
    "        && bar.until > ngx_current_msec)",
    "        && bar.until == 0)",
    "t/test_fill.py::test_corrupt")

add("fill-of-its-first-client", "src/edge/ngx_http_oci_fill_schedule.c",
    "    background = (source->conf->fill_background && !ngx_exiting)\n",
    "    background = 0\n",
    "t/test_fill.py::test_client_leaves")

add("all-of-an-open-range", "src/edge/ngx_http_oci_fill_schedule.c",
    "        end = ngx_min(rd->ranges[at].end, pos + window);",
    "        end = rd->ranges[at].end;",
    "t/test_fill.py::test_no_background")


# ---- eviction

add("youngest-first", "src/store/oci_evict.c",
    "        return (a->mtime < b->mtime) ? -1 : 1;",
    "        return (a->mtime < b->mtime) ? 1 : -1;",
    "test_evict:test_oldest_first")

add("used-while-the-pass-went-on", "src/store/oci_evict.c",
    "    if ((int64_t) st.st_mtim.tv_sec != name->mtime) {",
    "    if (name->mtime == -1) {",
    "test_evict:test_used_meanwhile")

add("evicted-although-pushed", "src/store/oci_evict.c",
    "    if (stat(path, &st) == 0 && st.st_nlink == 1) {",
    "    if (stat(path, &st) == 0) {",
    "test_evict:test_shared")

add("use-that-is-not-noted", "src/http/ngx_http_oci_blob.c",
    "        ngx_http_oci_blob_use(r, ctx, &get->file);\n",
    "",
    "t/test_evict.py::test_max_size")


# ---- fills that go on alone

ALONE = "t/test_fill_alone.py::"
EARLY = "t/test_fill_early.py::"

add("from-another-upstream", "src/http/ngx_http_oci_resume.c",
    "        || ngx_memcmp(key->data, from->upstream.data, key->len) != 0)",
    "        || key->len == 0)",
    ALONE + "test_another_configuration")

add("from-another-repository", "src/http/ngx_http_oci_resume.c",
    "        || ngx_memcmp(target->repository.data, left->from.remote.data,\n"
    "                      target->repository.len)\n"
    "           != 0)",
    "        || name.len == 0)",
    ALONE + "test_another_configuration")

add("from-a-client's-right", "src/edge/ngx_http_oci_fill.h",
    "((conf)->auth == NGX_HTTP_OCI_AUTH_SERVICE && (conf)->fill_background)",
    "((conf)->fill_background)",
    ALONE + "test_not_for_nobody[client]")

add("from-where-it-may-not", "src/edge/ngx_http_oci_fill.h",
    "((conf)->auth == NGX_HTTP_OCI_AUTH_SERVICE && (conf)->fill_background)",
    "((conf)->auth == NGX_HTTP_OCI_AUTH_SERVICE)",
    ALONE + "test_not_for_nobody[beside]")

add("from-names-that-are-none", "src/store/oci_fill_from.c",
    "        || !oci_name_valid(from->repo.name.data, from->repo.name.len)\n",
    "",
    "test_fill_from:test_texts")

add("fill-that-somebody-has", "src/store/oci_fill_from.c",
    "    held = oci_lock_byte_held(fd, OCI_FILL_HOLD);",
    "    held = 0;",
    "test_fill_from:test_left")

add("room-that-is-gone", "src/store/oci_fill_from.c",
    "    return oci_fill_left_room(left, s, reserve);",
    "    return oci_fill_left_room(left, s, reserve - reserve);",
    "test_fill_from:test_room")

add("failed-for-ever", "src/edge/ngx_http_oci_fill_end.c",
    "        fill->discard = 1;\n\n"
    "        ngx_http_oci_fill_fail(fill, NGX_HTTP_BAD_GATEWAY, -1);",
    "        ngx_http_oci_fill_fail(fill, NGX_HTTP_BAD_GATEWAY, -1);",
    ALONE + "test_found_wrong_and_killed")


# ---- what must end, and room

add("whole-that-nobody-fetches", "src/edge/ngx_http_oci_fill_schedule.c",
    "                 || ngx_http_oci_fill_whole(fill);",
    "                 || (ngx_exiting > 1 && ngx_http_oci_fill_whole(fill));",
    "t/test_fill_ends.py::test_verify_all_without_background")

add("parts-that-are-not-verified", "src/edge/ngx_http_oci_direct.c",
    "    if (pull->whole && !d->checked) {",
    "    if (pull->whole && pull->reader.nranges == 1 && !d->checked) {",
    "t/test_fill_ends.py::test_all_parts_in_another_order")

add("room-that-nobody-waits-for", "src/edge/ngx_http_oci_fill_probe.c",
    "    ngx_http_oci_zone_want(fill->zone, fill->size);",
    "    ngx_http_oci_zone_want(fill->zone, 0);",
    "t/test_fill_room.py::test_room_is_made")

add("early-bytes-that-nobody-hashed", "src/edge/ngx_http_oci_direct.c",
    "            oci_hash_update(&d->hash, pull->early, (size_t) pull->gone);\n",
    "",
    EARLY + "test_no_room")

add("early-bytes-taken-for-sent", "src/edge/ngx_http_oci_stream.c",
    "            pull->gone = ngx_max(pull->gone, from->file_pos + n);",
    "            pull->gone = ngx_max(pull->gone, from->file_pos + n + 1000);",
    EARLY + "test_wrong_behind_what_went_out")

add("early-bytes-for-whoever-asks", "src/edge/ngx_http_oci_fill_look.c",
    "            return NGX_AGAIN;\n        }\n\n        /* fall through */",
    "            return NGX_AGAIN;\n        }\n\n        return NGX_OK;",
    EARLY + "test_who_may_not")

add("early-answer-that-does-not-go-on", "src/edge/ngx_http_oci_stream.c",
    "            ngx_http_oci_direct_go_on(pull);\n",
    "",
    EARLY + "test_no_room")

add("early-bytes-that-no-file-has", "src/edge/ngx_http_oci_fill_fetch.c",
    "        fill->unkept = 1;",
    "        fill->kept = 1;",
    EARLY + "test_what_the_file_has_not")

add("files-that-somebody-removed", "src/store/oci_fill_step.c",
    "               ? OCI_NOT_FOUND : OCI_CONFLICT;",
    "               ? OCI_CONFLICT : OCI_CONFLICT;",
    "t/test_fill_ends.py::test_removed")

add("eviction-in-vain", "src/store/oci_evict.c",
    "           && free + e->stats.size >= limits->min_free + limits->wanted\n",
    "",
    "test_evict:test_min_free")
