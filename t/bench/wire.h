
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * What the load programs share: a blocking HTTP/1.1 client's few needs, and
 * the bytes that they all send.  Faults end the program.
 */


#ifndef _WIRE_H_INCLUDED_
#define _WIRE_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>


/* the content of every push: this much, again and again */

#define WIRE_PATTERN  (8 * 1024 * 1024)


typedef struct {
    int       status;
    int64_t   head;                     /* bytes of the head */
    int64_t   length;                   /* Content-Length */
    char      location[1024];
} wire_answer_t;


void wire_die(const char *what) __attribute__((noreturn));
double wire_now(void);
double wire_cpu(void);
void wire_sleep_until(double t);

int wire_connect(int port);
int wire_connect_tls(int port);         /* whoever has the certificate */
void wire_send(int fd, const void *p, size_t len);
size_t wire_recv(int fd, void *p, size_t len);

/* what is there, 0: nothing yet; the end is a fault */
ssize_t wire_try(int fd, void *p, size_t len);

/* reads an answer whole, and drops its body */
void wire_answer(int fd, wire_answer_t *a);

/* 1: a whole head lies in p, and a is filled */
int wire_head(const char *p, size_t len, wire_answer_t *a);

unsigned char *wire_pattern(void);
void wire_digest(char *hex, int64_t total);
void wire_hex(char *hex, const void *p, size_t len);        /* of a digest */

void wire_sort(double *p, size_t n);
double wire_at(const double *sorted, size_t n, double part);


#endif /* _WIRE_H_INCLUDED_ */
