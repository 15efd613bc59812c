"""Breakages of an edge: whom it trusts, what it gives to whom, and when."""

from mutant import Table

TABLE = Table()
add = TABLE.add


# ---- lists of what was pushed here and of the upstream

add("tags-that-were-only-pulled", "src/store/oci_taglist_merge.c",
    "        if (oci_tag_pushed(s, r, &tag)) {",
    "        if (tag.len && s && r) {",
    "t/test_edge_lists.py::test_tags_that_were_pushed")

add("tag-behind-its-page", "src/store/oci_taglist_merge.c",
    "|| (more && strcmp(name, to) > 0)) {",
    "|| (more && strcmp(name, to) == 0)) {",
    "t/test_edge_lists.py::test_tags_that_were_pushed")

add("tag-that-stands-twice", "src/store/oci_taglist_merge.c",
    "        if (i && strcmp(names.names[i], names.names[i - 1]) == 0) {",
    "        if (i && strcmp(names.names[i], names.names[i - 1]) < 0) {",
    "t/test_edge_lists.py::test_tags_that_were_pushed")


# ---- where credentials go

AUTH = "src/edge/ngx_http_oci_auth.c"
REALMS = "t/test_fetch_auth.py::test_the_rule_of_realms"

add("realm-anywhere", AUTH,
    "               || (t->ssl && url.ssl\n"
    "                   && oci_url_host_related(&host, &url.host)))",
    "               || (t->ssl && url.ssl))",
    REALMS)

add("login-for-a-realm-that-is-not-trusted", AUTH,
    "                                     realm->trusted ? cred : NULL)",
    "                                     cred)",
    REALMS)

add("realm-without-tls", AUTH,
    "    } else if (t->ssl && !url.ssl) {",
    "    } else if (t->ssl && !url.ssl && !same) {",
    "t/test_fetch_auth.py::test_a_realm_without_tls")

add("realm-that-is-named-without-tls", AUTH,
    "    if (allow && (url.ssl || allow->plain || !t->ssl)) {",
    "    if (allow) {",
    "t/test_fetch_auth.py::test_a_realm_without_tls")

add("port-of-a-named-realm", AUTH,
    "            && (allow[i].port == 0 || allow[i].port == port))",
    "            && (allow[i].port == 0 || port != 0))",
    REALMS)

add("domains-that-many-share", "src/core/oci_url.c",
    "            need = 3;", "            need = 2;",
    "test_url:test_related")

add("credentials-in-the-clear", AUTH,
    "    return allow && allow->plain;",
    "    return allow == NULL || allow->plain;",
    "t/test_fetch_auth.py::test_never_in_the_clear")

add("credentials-through-a-proxy", AUTH,
    "    if (peer->class == OCI_ADDRESS_LOOPBACK && !peer->absolute) {",
    "    if (peer->class == OCI_ADDRESS_LOOPBACK || peer->absolute) {",
    "t/test_fetch_auth.py::test_never_in_the_clear")

add("authorization-across-hosts", "src/edge/ngx_http_oci_hop.c",
    "    x = f->x;\n\n    path.data = x->url.path.data;",
    "    x = f->x;\n    x->upstream = 1;\n\n"
    "    path.data = x->url.path.data;",
    "t/test_fetch_redirect.py::test_to_object_storage")

add("token-that-ended", AUTH,
    "    if (t->value.len && t->expires > ngx_time()) {",
    "    if (t->value.len) {",
    "t/test_fetch_auth.py::test_a_token_expires")


add("account-that-is-refused-again-and-again", AUTH,
    "        if (t->until > ngx_time()) {",
    "        if (t->until > ngx_time() + 3600) {",
    "t/test_fetch_auth.py::test_a_service_that_refuses")


# ---- where an upstream may lead

REDIRECT = "t/test_fetch_redirect.py::"

add("address-of-a-redirect", "src/edge/ngx_http_oci_hop.c",
    "    peer->check = 1;", "    peer->check = 0;",
    REDIRECT + "test_inside_from_outside", REDIRECT + "test_never_there")

add("address-that-no-directive-allows", "src/edge/ngx_http_oci_peer.c",
    "    if (class == OCI_ADDRESS_FORBIDDEN) {\n        return 0;",
    "    if (class == OCI_ADDRESS_FORBIDDEN) {\n        class = 0;",
    REDIRECT + "test_never_there")

add("loopback-from-outside", "src/core/oci_address.c",
    "        return upstream == OCI_ADDRESS_LOOPBACK;",
    "        return upstream != OCI_ADDRESS_FORBIDDEN;",
    "test_address:test_allowed", REDIRECT + "test_inside_from_outside")

add("port-of-a-named-redirect", "src/edge/ngx_http_oci_peer.c",
    "            && (allow[i].port == 0 || allow[i].port == peer->port))",
    "            && (allow[i].port == 0 || peer->port != 0))",
    REDIRECT + "test_inside_from_outside")

add("from-an-upstream-with-tls-to-none", "src/edge/ngx_http_oci_hop.c",
    "    if (t->ssl && !url.ssl) {",
    "    if (t->ssl && !url.ssl && f->hops) {",
    REDIRECT + "test_from_tls_to_none")

add("from-a-hop-with-tls-to-none", "src/edge/ngx_http_oci_hop.c",
    "    if (ssl && !x->url.ssl) {",
    "    if (ssl && !x->url.ssl && f->target->ssl) {",
    REDIRECT + "test_from_tls_to_none")

add("login-in-a-redirect", "src/edge/ngx_http_oci_hop.c",
    "    if (oci_url_parse(&url, text, len) != OCI_OK || url.user.len) {",
    "    if (oci_url_parse(&url, text, len) != OCI_OK) {",
    REDIRECT + "test_to_nowhere")

add("redirects-without-an-end", "src/edge/ngx_http_oci_hop.c",
    "    if (f->hops == NGX_HTTP_OCI_HOPS) {",
    "    if (f->hops == 2 * NGX_HTTP_OCI_HOPS) {",
    REDIRECT + "test_a_loop")

add("certificate-of-anybody", "src/edge/ngx_http_oci_tls.c",
    "    if (rc != X509_V_OK) {", "    if (rc < X509_V_OK) {",
    "t/test_edge_mirror.py::test_certificates[self-signed]",
    "t/test_fetch.py::test_tls_and_whom_not_to_trust")

add("certificate-of-another-name", "src/edge/ngx_http_oci_tls.c",
    "    if (ok != 1) {", "    if (ok < 0) {",
    "t/test_edge_mirror.py::test_certificates[wrong-name]")

add("connection-that-nobody-verified", "src/edge/ngx_http_oci_tls.c",
    "    return c->ssl != NULL && ssl != NULL\n"
    "           && SSL_get_SSL_CTX(c->ssl->connection) == ssl->ctx\n"
    "           && ngx_http_oci_tls_verify(c, conf, name) == NGX_OK;",
    "    return c->ssl != NULL && ssl != NULL;",
    "t/test_fetch.py::test_a_group_shared_with_one_who_trusts_all")

add("two-lengths-of-a-body", "src/core/oci_response.c",
    "            || (i > 0 && n != r->content_length))",
    "            || (i > 0 && n < 0))",
    "test_response:test_lengths")

add("library-of-docker-hub", "src/edge/ngx_http_oci_target.c",
    "    t->docker_hub = oci_docker_hub(&host);",
    "    t->docker_hub = oci_docker_hub(&host) && t->group != NULL;",
    "t/test_edge_mirror.py::test_docker_hub")

add("library-of-others", "src/edge/ngx_http_oci_target.c",
    "    t->docker_hub = oci_docker_hub(&host);",
    "    t->docker_hub = oci_docker_hub(&host) || t->group == NULL;",
    "t/test_edge_mirror.py::test_library_is_docker_hubs_alone")


add("any-name-for-the-upstream", "src/edge/ngx_http_oci_target.c",
    "        if (!oci_name_valid(t->repository.data, t->repository.len)) {",
    "        if (t->repository.len == 0) {",
    REDIRECT + "test_names_upstream")


# ---- each client's own right

CLIENTS = "t/test_edge_auth.py::"

add("right-of-everybody", "src/edge/ngx_http_oci_right.c",
    "    return known;", "    return known | 1;",
    CLIENTS + "test_two_users")

add("right-of-another-client", "src/edge/ngx_http_oci_right.c",
    "    oci_hash_update(&hash, right->authorization.data,\n"
    "                    right->authorization.len);\n",
    "",
    CLIENTS + "test_two_users")

add("right-that-never-ends", "src/edge/ngx_http_oci_right.c",
    "             && (now <= e->checked || now - e->checked < right->valid));",
    "             && (now <= e->checked || now > e->checked));",
    CLIENTS + "test_revoked")

add("right-that-is-not-withdrawn", "src/http/ngx_http_oci_upstream.c",
    "        ngx_http_oci_right_withdraw(&u->right, reference);\n",
    "",
    CLIENTS + "test_a_refusal_ends_a_right")

add("blob-without-a-right", "src/http/ngx_http_oci_blob.c",
    "        n = ngx_http_oci_blob_right(r, ctx);",
    "        n = NGX_DECLINED;",
    CLIENTS + "test_two_users")

add("list-without-a-right", "src/http/ngx_http_oci_list_edge.c",
    "    if (ngx_http_oci_upstream_allowed(u, NULL)) {\n\n"
    "        switch",
    "    if (u != NULL) {\n\n"
    "        switch",
    CLIENTS + "test_two_users")

add("no-referrers-api-as-no-repository", "src/http/ngx_http_oci_list_edge.c",
    "    return l->tags ? OCI_ERR_NAME_UNKNOWN : OCI_ERR_MANIFEST_UNKNOWN;",
    "    return OCI_ERR_NAME_UNKNOWN;",
    "t/test_edge_lists.py::test_upstream_without_referrers")

add("refusal-of-one-for-all", "src/http/ngx_http_oci_manifest_edge.c",
    "        if (answer->status == NGX_HTTP_NOT_FOUND && !u->client) {",
    "        if (answer->status == NGX_HTTP_NOT_FOUND) {",
    CLIENTS + "test_a_refusal_is_one_clients")

add("stale-without-a-right", "src/http/ngx_http_oci_upstream.c",
    "    if (!u->conf->use_stale\n"
    "        || !ngx_http_oci_upstream_allowed(u, reference))\n    {",
    "    if (!u->conf->use_stale) {",
    CLIENTS + "test_upstream_down_and_rights")

add("answer-to-another-client", "src/edge/ngx_http_oci_ask.c",
    "    p = ngx_http_oci_ask_key_add(p, q->authorization.data,\n"
    "                                 q->authorization.len);\n",
    "    key->len -= sizeof(size_t) + q->authorization.len;\n",
    CLIENTS + "test_an_answer_is_shared_with_a_right_only")

add("welcome-for-everybody", "src/http/ngx_http_oci_base.c",
    "    if (olcf->edge == NULL || olcf->edge->auth "
    "!= NGX_HTTP_OCI_AUTH_CLIENT) {",
    "    if (olcf->edge == NULL || olcf->edge->auth "
    "== NGX_HTTP_OCI_AUTH_CLIENT) {",
    CLIENTS + "test_challenge")


add("refusal-that-is-final", "src/http/ngx_http_oci_blob_pull.c",
    "        if (!ctx->asked) {",
    "        if (ctx->asked) {",
    CLIENTS + "test_cold_blob_and_a_right_that_ended")

add("blob-refused-and-nothing-learnt", "src/http/ngx_http_oci_blob_pull.c",
    "    ngx_http_oci_upstream_learn(bp->u, answer, NULL);\n",
    "",
    CLIENTS + "test_cold_blob_and_a_right_that_ended")


# ---- manifests and tags

add("digest-of-a-manifest", "src/edge/ngx_http_oci_ask_store.c",
    "    if (a->q.digest && !oci_digest_equal(&a->answer.digest, "
    "&a->digest)) {",
    "    if (a->q.digest && a->answer.len == 0) {",
    "t/test_edge.py::test_wrong_manifests")

add("digest-that-was-told", "src/edge/ngx_http_oci_ask_store.c",
    "        && !oci_digest_equal(&a->answer.digest, &a->told))\n    {",
    "        && a->answer.len == 0)\n    {",
    "t/test_edge.py::test_wrong_digest_header")

add("recheck-by-get", "src/edge/ngx_http_oci_ask.c",
    "        if (ngx_http_oci_ask_fetch(a, q->probe\n"
    "                                      "
    "|| (q->manifest && q->have != NULL))",
    "        if (ngx_http_oci_ask_fetch(a, q->probe)",
    "t/test_edge.py::test_recheck_costs_no_pull")

add("tag-that-moved", "src/edge/ngx_http_oci_ask.c",
    "                            && oci_digest_equal(&a->told, &a->have)))",
    "                            && a->have.hex_len))",
    "t/test_edge.py::test_tag_that_moves")

add("each-asks-alone", "src/edge/ngx_http_oci_ask.c",
    "        if (a->key.len == key->len\n            && ngx_memcmp(",
    "        if (a->key.len > key->len\n            && ngx_memcmp(",
    "t/test_edge.py::test_one_fetch_for_many")

add("missing-manifest-is-forgotten", "src/http/ngx_http_oci_manifest_edge.c",
    "        ngx_http_oci_manifest_keep(e->get, OCI_NOT_FOUND);\n",
    "",
    "t/test_edge.py::test_missing_is_remembered")

add("missing-blob-is-forgotten", "src/http/ngx_http_oci_blob_pull.c",
    "    ask.generation = bp->generation;",
    "    ask.generation = bp->generation + 1;",
    "t/test_edge.py::test_missing_is_remembered")

add("tag-that-went", "src/http/ngx_http_oci_manifest_edge.c",
    "    return oci_tag_delete(e->get->store, e->get->ask.repo, "
    "e->get->tag);",
    "    return OCI_OK;",
    "t/test_edge.py::test_tag_that_goes")


RETRY = "t/test_edge.py::test_retry_after"

add("retry-after-of-a-limit", "src/http/ngx_http_oci_upstream.c",
    "    if (ngx_http_oci_upstream_retry(r, answer->retry_after) != NGX_OK) {"
    "\n        return NGX_HTTP_INTERNAL_SERVER_ERROR;\n    }\n\n"
    "    args.data",
    "    args.data",
    RETRY + "[429]")

add("retry-after-of-an-outage", "src/http/ngx_http_oci_upstream.c",
    "        && answer->status == NGX_HTTP_SERVICE_UNAVAILABLE)\n",
    "        && answer->status == 0)\n",
    RETRY + "[503]")


# ---- an upstream that is down

STALE = "t/test_edge_stale.py::"

add("stale-is-not-served", "src/http/ngx_http_oci_upstream.c",
    "    case NGX_HTTP_OCI_ASK_INVALID:\n"
    "    case NGX_HTTP_OCI_ASK_FAILED:\n        return 1;",
    "    case NGX_HTTP_OCI_ASK_INVALID:\n"
    "    case NGX_HTTP_OCI_ASK_FAILED:\n        return 0;",
    STALE + "test_down")

add("stale-for-who-is-refused", "src/http/ngx_http_oci_upstream.c",
    "        return answer->status == NGX_HTTP_TOO_MANY_REQUESTS;",
    "        return answer->status != 0;",
    STALE + "test_an_answer_is_no_failure")

add("stale-although-off", "src/http/ngx_http_oci_upstream.c",
    "    if (!u->conf->use_stale\n        || ",
    "    if (",
    STALE + "test_no_stale")

add("circuit-that-never-opens", "src/edge/ngx_http_oci_circuit.c",
    "#define NGX_HTTP_OCI_CIRCUIT_FAILURES  3",
    "#define NGX_HTTP_OCI_CIRCUIT_FAILURES  1000000",
    STALE + "test_hanging[hang]", slow=True)

add("circuit-that-never-closes", "src/edge/ngx_http_oci_circuit.c",
    "        closed = circuit.open;\n"
    "        ngx_memzero(&circuit, sizeof(circuit));",
    "        closed = circuit.open;",
    STALE + "test_down")

add("patience-with-a-hanging-upstream", "src/http/ngx_http_oci_upstream.c",
    "    q->timeout = stale ? NGX_HTTP_OCI_UPSTREAM_PATIENCE : 0;",
    "    q->timeout = 0;",
    STALE + "test_hanging[slow_head]", slow=True)

COLD = STALE + "test_cold_blobs"

add("fill-that-does-not-ask", "src/edge/ngx_http_oci_fill_fetch.c",
    "    if (!ngx_http_oci_source_dead(source)) {",
    "    if (source->conf != NULL) {",
    COLD + "[GET-stop]")

add("fill-that-does-not-report", "src/edge/ngx_http_oci_fill_fetch.c",
    "    if (ff->failed && (last || (ff->rc == NGX_HTTP_OCI_FETCH_TIMEOUT\n"
    "                                && ngx_current_msec",
    "    if (ff->failed && (tries == 0 || (ff->rc == 99\n"
    "                                && ngx_current_msec",
    COLD + "[GET-stop]")

add("fill-that-does-not-close", "src/edge/ngx_http_oci_fill_fetch.c",
    "    if (ff->source->answers) {",
    "    if (ff->source->answers || ff->source->conf) {",
    COLD + "[GET-stop]")

add("inquiry-that-does-not-report", "src/edge/ngx_http_oci_inquiry.c",
    "    if (failed || in->answered) {",
    "    if (in->answered) {",
    COLD + "[HEAD-stop]")

add("limit-that-is-a-death", "src/edge/ngx_http_oci_circuit.c",
    "        circuit.dead = (failed == NGX_HTTP_OCI_CIRCUIT_LIMITED)\n"
    "                       ? 0 : circuit.dead + 1;",
    "        circuit.dead++;",
    COLD + "_and_a_limit")

STALL = "t/test_edge_stall.py::"

add("head-that-is-a-sign-of-life", "src/edge/ngx_http_oci_circuit.c",
    "        if (circuit.stalled && ngx_current_msec - circuit.stalled\n",
    "        if (failed == 0 && ngx_current_msec - circuit.stalled\n",
    STALL + "test_manifests[stall-0]")

add("manifest-that-stalls", "src/edge/ngx_http_oci_fetch.c",
    "    if (f->received - x->timed >= NGX_HTTP_OCI_FETCH_FLOOR) {",
    "    if (f->response) {",
    STALL + "test_manifests[stall-0]")

add("body-that-trickles", "src/edge/ngx_http_oci_exchange.c",
    "    if (x->bytes - x->paced_bytes >= least) {",
    "    if (x->bytes - x->paced_bytes >= least / 4096) {",
    STALL + "test_cold_blobs[rate-100]")

add("chunk-of-ten-bytes", "src/edge/ngx_http_oci_fill_fetch.c",
    "    if (f->received >= NGX_HTTP_OCI_FILL_ALIVE) {",
    "    if (f->received) {",
    STALL + "test_cold_blobs[stall-10]")

add("chunk-that-stalls", "src/edge/ngx_http_oci_fill_schedule.c",
    "    if (source == NULL || ngx_http_oci_fill_stalled(fill)) {",
    "    if (source == NULL) {",
    STALL + "test_one_stall")


# ---- what is counted

add("bytes-of-a-fill", "src/edge/ngx_http_oci_fill_fetch.c",
    "    if (rd && rd->bytes) {",
    "    if (rd && rd->bytes && n == 0) {",
    "t/test_fill.py::test_counts")

add("fills-of-the-dead", "src/zone/ngx_http_oci_stats.c",
    "            slots[i].filling = 0;\n",
    "",
    "t/test_fill.py::test_counts_of_killed_workers")
