
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Many small pushes: POST, then the content in the closing PUT, over
 * connections that stay open.  No two have the same content.
 *
 * usage: many PORT NAME COUNT SIZE CONNECTIONS SALT [tls]
 *
 * SALT is a number that makes the content another than that of other runs.
 * Prints one line of JSON.
 */


#include "wire.h"

#include <openssl/sha.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>


#define MANY_CONNECTIONS  64


static int          many_port, many_tls;
static const char  *many_name;
static size_t       many_size;
static long         many_count, many_next;
static uint64_t     many_salt;
static double      *many_took;


static void
many_expect(int fd, wire_answer_t *a, int status)
{
    wire_answer(fd, a);

    if (a->status != status) {
        fprintf(stderr, "many: status %d, not %d\n", a->status, status);
        exit(1);
    }
}


static void
many_push(int fd, unsigned char *data, long k)
{
    int            n;
    char           head[4096], hex[65];
    uint64_t       id[2];
    unsigned char  sum[SHA256_DIGEST_LENGTH];
    wire_answer_t  a;

    id[0] = many_salt;
    id[1] = (uint64_t) k;

    memcpy(data, id, sizeof(id));
    SHA256(data, many_size, sum);
    wire_hex(hex, sum, sizeof(sum));

    n = snprintf(head, sizeof(head), "POST /v2/%s/blobs/uploads/ HTTP/1.1\r\n"
                 "Host: bench\r\nContent-Length: 0\r\n\r\n", many_name);

    wire_send(fd, head, (size_t) n);
    many_expect(fd, &a, 202);

    n = snprintf(head, sizeof(head), "PUT %s%cdigest=sha256:%s HTTP/1.1\r\n"
                 "Host: bench\r\nContent-Length: %zu\r\n"
                 "Content-Type: application/octet-stream\r\n\r\n", a.location,
                 strchr(a.location, '?') ? '&' : '?', hex, many_size);

    wire_send(fd, head, (size_t) n);
    wire_send(fd, data, many_size);
    many_expect(fd, &a, 201);
}


static void *
many_thread(void *arg)
{
    int             fd;
    long            k;
    double          start;
    unsigned char  *data;

    fd = many_tls ? wire_connect_tls(many_port) : wire_connect(many_port);
    data = calloc(1, many_size);

    if (data == NULL) {
        wire_die("calloc()");
    }

    for ( ;; ) {
        k = __atomic_fetch_add(&many_next, 1, __ATOMIC_RELAXED);

        if (k >= many_count) {
            break;
        }

        start = wire_now();
        many_push(fd, data, k);
        many_took[k] = wire_now() - start;
    }

    free(data);

    return arg;
}


int
main(int argc, char **argv)
{
    int        i, n;
    double     start, seconds;
    pthread_t  thread[MANY_CONNECTIONS];

    if (argc != 7 && argc != 8) {
        fprintf(stderr, "usage: many PORT NAME COUNT SIZE CONNECTIONS SALT"
                        " [tls]\n");
        return 2;
    }

    many_port = atoi(argv[1]);
    many_name = argv[2];
    many_count = atol(argv[3]);
    many_size = (size_t) atol(argv[4]);
    n = atoi(argv[5]);
    many_salt = strtoull(argv[6], NULL, 10);
    many_tls = (argc == 8);

    if (many_count < 1 || many_size < 16 || n < 1 || n > MANY_CONNECTIONS) {
        fprintf(stderr, "many: nothing to do\n");
        return 2;
    }

    many_took = calloc((size_t) many_count, sizeof(double));

    if (many_took == NULL) {
        wire_die("calloc()");
    }

    start = wire_now();

    for (i = 0; i < n; i++) {
        if (pthread_create(&thread[i], NULL, many_thread, NULL) != 0) {
            wire_die("pthread_create()");
        }
    }

    for (i = 0; i < n; i++) {
        (void) pthread_join(thread[i], NULL);
    }

    seconds = wire_now() - start;

    wire_sort(many_took, (size_t) many_count);

    printf("{\"count\": %ld, \"seconds\": %.6f, \"p50\": %.9f, "
           "\"p99\": %.9f}\n", many_count, seconds,
           wire_at(many_took, (size_t) many_count, 0.5),
           wire_at(many_took, (size_t) many_count, 0.99));

    return 0;
}
