
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * The least that a push can cost: one thread writes a file while another
 * hashes the same bytes.  Neither waits for the other, and no byte crosses a
 * socket.
 *
 * usage: limit FILE TOTAL [warm]
 *
 * warm: only writes.  On a virtual machine the pages of a file cost several
 * times as much when the host must find them first; those that a file has
 * just given back don't.
 */


#include "wire.h"

#include <fcntl.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>


#define LIMIT_PIECE  (512 * 1024)


static int             limit_fd;
static int64_t         limit_total;
static unsigned char  *limit_data;
static SHA256_CTX      limit_sha;


static void *
limit_hash(void *arg)
{
    int64_t  at;

    SHA256_Init(&limit_sha);

    for (at = 0; at < limit_total; at += LIMIT_PIECE) {
        SHA256_Update(&limit_sha, limit_data + at % WIRE_PATTERN,
                      LIMIT_PIECE);
    }

    return arg;
}


static void *
limit_write(void *arg)
{
    int64_t  at;

    for (at = 0; at < limit_total; at += LIMIT_PIECE) {
        if (pwrite(limit_fd, limit_data + at % WIRE_PATTERN, LIMIT_PIECE, at)
            != LIMIT_PIECE)
        {
            wire_die("pwrite()");
        }
    }

    return arg;
}


int
main(int argc, char **argv)
{
    double     start, cpu;
    pthread_t  writer, hasher;

    if (argc != 3 && argc != 4) {
        fprintf(stderr, "usage: limit FILE TOTAL [warm]\n");
        return 2;
    }

    limit_total = atoll(argv[2]) / LIMIT_PIECE * LIMIT_PIECE;
    limit_data = wire_pattern();
    limit_fd = open(argv[1], O_WRONLY|O_CREAT|O_TRUNC, 0644);

    if (limit_fd == -1) {
        wire_die("open()");
    }

    if (argc == 4) {
        (void) limit_write(NULL);
        (void) unlink(argv[1]);
        return 0;
    }

    start = wire_now();
    cpu = wire_cpu();

    if (pthread_create(&writer, NULL, limit_write, NULL) != 0
        || pthread_create(&hasher, NULL, limit_hash, NULL) != 0)
    {
        wire_die("pthread_create()");
    }

    (void) pthread_join(writer, NULL);
    (void) pthread_join(hasher, NULL);

    printf("{\"seconds\": %.6f, \"cpu\": %.6f}\n", wire_now() - start,
           wire_cpu() - cpu);

    (void) unlink(argv[1]);

    return 0;
}
