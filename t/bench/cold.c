
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Clients that ask for the same content at the same moment, once each, and
 * what became of every one of them: nothing that a server does ends the
 * program.
 *
 * usage: cold PORT PATH CLIENTS SECONDS [FIRST LAST | digest]
 *
 * SECONDS: after so many, who is not done is left.  digest: what came is
 * hashed, else the kernel drops it unread.  Prints one line of JSON.
 */


#include "wire.h"

#include <openssl/sha.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>


#define COLD_CLIENTS  256
#define COLD_HEAD     8192
#define COLD_BUFFER   (256 * 1024)


typedef struct {
    int64_t     length;                 /* -1: not known yet */
    int64_t     bytes;
    double      first;                  /* of the body; 0: none came */
    double      end;
    int         status;                 /* 0: no head came */
    size_t      len;                    /* of the head so far */
    char        head[COLD_HEAD];
    SHA256_CTX  hash;
} cold_client_t;


static struct pollfd  cold_fd[COLD_CLIENTS];
static cold_client_t  cold_client[COLD_CLIENTS];
static int            cold_hashed, cold_left;


static void
cold_close(int i)
{
    cold_client[i].end = wire_now();
    cold_fd[i].fd = -1;
    cold_left--;
}


static void
cold_took(cold_client_t *c, const char *p, size_t n)
{
    if (n == 0) {
        return;
    }

    if (c->bytes == 0) {
        c->first = wire_now();
    }

    c->bytes += (int64_t) n;

    if (cold_hashed) {
        SHA256_Update(&c->hash, p, n);
    }
}


static void
cold_read(int i)
{
    ssize_t         n;
    wire_answer_t   a;
    cold_client_t  *c;

    static char     buffer[COLD_BUFFER];

    c = &cold_client[i];

    if (c->length == -1) {
        n = recv(cold_fd[i].fd, c->head + c->len, COLD_HEAD - c->len,
                 MSG_DONTWAIT);

        if (n <= 0) {
            cold_close(i);
            return;
        }

        c->len += (size_t) n;

        if (!wire_head(c->head, c->len, &a)) {
            if (c->len == COLD_HEAD) {
                cold_close(i);
            }

            return;
        }

        c->status = a.status;
        c->length = a.length;

        cold_took(c, c->head + a.head, c->len - (size_t) a.head);

    } else {
        n = recv(cold_fd[i].fd, cold_hashed ? buffer : NULL, COLD_BUFFER,
                 MSG_DONTWAIT | (cold_hashed ? 0 : MSG_TRUNC));

        if (n <= 0) {
            cold_close(i);
            return;
        }

        cold_took(c, buffer, (size_t) n);
    }

    if (c->bytes >= c->length || c->status >= 300) {
        cold_close(i);
    }
}


static void
cold_print(int n, double start)
{
    int             i, k;
    unsigned char   hash[SHA256_DIGEST_LENGTH];
    cold_client_t  *c;

    printf("{\"clients\": [");

    for (i = 0; i < n; i++) {
        c = &cold_client[i];

        printf("%s{\"status\": %d, \"length\": %lld, \"bytes\": %lld, "
               "\"first\": %.6f, \"seconds\": %.6f, \"done\": %s",
               i ? ", " : "", c->status, (long long) c->length,
               (long long) c->bytes, c->first ? c->first - start : -1,
               (c->end ? c->end : wire_now()) - start,
               c->end && c->bytes == c->length ? "true" : "false");

        if (cold_hashed) {
            SHA256_Final(hash, &c->hash);
            printf(", \"digest\": \"sha256:");

            for (k = 0; k < SHA256_DIGEST_LENGTH; k++) {
                printf("%02x", hash[k]);
            }

            printf("\"");
        }

        printf("}");
    }

    printf("]}\n");
}


int
main(int argc, char **argv)
{
    int     i, n, wait;
    char    request[2048], range[128];
    double  start, limit;

    if (argc < 5 || argc > 7) {
        fprintf(stderr, "usage: cold PORT PATH CLIENTS SECONDS"
                        " [FIRST LAST | digest]\n");
        return 2;
    }

    n = atoi(argv[3]);
    limit = atof(argv[4]);
    cold_hashed = argc == 6;
    range[0] = '\0';

    if (n < 1 || n > COLD_CLIENTS) {
        fprintf(stderr, "cold: so many clients it can't hold\n");
        return 2;
    }

    if (argc == 7) {
        (void) snprintf(range, sizeof(range), "Range: bytes=%s-%s\r\n",
                        argv[5], argv[6]);
    }

    i = snprintf(request, sizeof(request),
                 "GET %s HTTP/1.1\r\nHost: bench\r\n"
                 "Connection: close\r\n%s\r\n", argv[2], range);

    if (i < 0 || (size_t) i >= sizeof(request)) {
        fprintf(stderr, "cold: too long a path\n");
        return 2;
    }

    for (i = 0; i < n; i++) {
        cold_fd[i].fd = wire_connect(atoi(argv[1]));
        cold_fd[i].events = POLLIN;
        cold_client[i].length = -1;
        SHA256_Init(&cold_client[i].hash);
    }

    start = wire_now();
    cold_left = n;

    for (i = 0; i < n; i++) {
        wire_send(cold_fd[i].fd, request, strlen(request));
    }

    while (cold_left) {
        wait = (int) ((start + limit - wire_now()) * 1000);

        if (wait <= 0) {
            break;
        }

        if (poll(cold_fd, (nfds_t) n, wait) == -1) {
            wire_die("poll()");
        }

        for (i = 0; i < n; i++) {
            if (cold_fd[i].fd != -1 && cold_fd[i].revents) {
                cold_read(i);
            }
        }
    }

    cold_print(n, start);

    return 0;
}
