
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
void wire_send(int fd, const void *p, size_t len);

/* reads an answer whole, and drops its body */
void wire_answer(int fd, wire_answer_t *a);

/* 1: a whole head lies in p, and a is filled */
int wire_head(const char *p, size_t len, wire_answer_t *a);

unsigned char *wire_pattern(void);
void wire_digest(char *hex, int64_t total);


#endif /* _WIRE_H_INCLUDED_ */
