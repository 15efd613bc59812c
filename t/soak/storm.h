
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * A storm: many clients in one process, on two registries that share one
 * store.  Because it is one process, it knows the order of all that it sent
 * and got, and hence what each answer may say: nothing older than the last
 * write that was acknowledged before the request went out, nothing younger
 * than the last that was begun before the answer was read.
 */


#ifndef _STORM_H_INCLUDED_
#define _STORM_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>


#define STORM_INSTANCES   2
#define STORM_CONNS       64            /* of both */
#define STORM_DEPTH       64            /* requests on one connection */

#define STORM_REPOS_MAX   256
#define STORM_TAGS        8             /* of a repository */
#define STORM_BLOBS       4
#define STORM_REFERRERS   4
#define STORM_RING        64            /* versions of a tag remembered */
#define STORM_HEX         64
#define STORM_BODY_MAX    65536


typedef struct {
    int          status;
    int          close;                 /* of the connection */
    pid_t        worker;
    char         cache;                 /* first letter of its status */
    char         digest[STORM_HEX + 1]; /* what follows "sha256:", or "" */
    char         location[512];         /* a path, or "" */
    const char  *body;
    size_t       len;
} storm_answer_t;


typedef enum {
    STORM_GET_TAG = 0,
    STORM_HEAD_TAG,
    STORM_GET_MANIFEST,
    STORM_HEAD_MANIFEST,
    STORM_GET_BLOB,
    STORM_HEAD_BLOB,
    STORM_GET_NONE,                     /* of what has never been there */
    STORM_LIST_TAGS,
    STORM_LIST_REFERRERS,

    STORM_PUT_TAG,
    STORM_DELETE_TAG,
    STORM_DELETE_MANIFEST,
    STORM_PUSH_BLOB,
    STORM_DELETE_BLOB,
    STORM_PUT_REFERRER,
    STORM_DELETE_REFERRER,
    STORM_SETUP,                        /* the config blob of a repository */

    STORM_OPS
} storm_op_e;


#define storm_is_write(op)  ((op) >= STORM_PUT_TAG)
#define storm_is_head(op)                                                     \
    ((op) == STORM_HEAD_TAG || (op) == STORM_HEAD_MANIFEST                    \
     || (op) == STORM_HEAD_BLOB)


/* what changes: a tag, a blob that comes and goes, a referrer */

typedef enum {
    STORM_TAG = 0,
    STORM_BLOB,
    STORM_REFERRER
} storm_kind_e;


typedef struct {
    uint32_t     version;               /* that it is of; of a blob: content */
    char         present;               /* 0: this version is a delete */
    char         state;                 /* of the manifest; STORM_NEVER.. */
    char         hex[STORM_HEX + 1];
} storm_version_t;


#define STORM_NEVER    0
#define STORM_COMING   1
#define STORM_THERE    2
#define STORM_GOING    3
#define STORM_GONE     4


typedef struct {
    storm_kind_e      kind;
    unsigned          repo;
    unsigned          index;            /* in its repository */

    storm_op_e        op;               /* the write under way */
    uint32_t          acked;            /* version last acknowledged */
    uint32_t          started;          /* version last sent */

    int               busy;             /* a write, or its reading back */
    unsigned          readbacks;        /* of them that are open */
    int               writer;           /* instance that acknowledged */
    pid_t             worker;

    unsigned          broken;           /* tries of which nothing is known */
    uint32_t          target;           /* version whose manifest goes */
    char              location[512];    /* of an upload begun */

    uint32_t          oldest;           /* version that may be there still */
    storm_version_t   ring[STORM_RING];
} storm_key_t;


typedef struct storm_req_s  storm_req_t;

struct storm_req_s {
    storm_req_t  *next;                 /* of those that are free */
    storm_op_e    op;
    storm_key_t  *key;                  /* NULL: none */
    unsigned      repo;
    uint32_t      version;              /* of what is asked for by digest */
    unsigned      page;                 /* of tags: so many, 0: all */
    unsigned      after;                /* and those from this one on */
    char          state;                /* that it had then */
    uint32_t      low[STORM_TAGS];      /* acknowledged when it was sent */
    double        sent;
    unsigned      readback:1;
    int           instance;             /* of a read-back: where it goes */
};


/* storm.c */

double storm_now(void);
uint64_t storm_random(void);
void storm_fail(const char *fmt, ...)
    __attribute__((noreturn, format(printf, 1, 2)));
void storm_violation(const storm_req_t *rq, const storm_answer_t *a,
    const char *what) __attribute__((noreturn));

/* whose request it is then */
void storm_answered(storm_req_t *rq, int instance, const storm_answer_t *a);
void storm_lost(storm_req_t *rq);


/* storm_conn.c */

typedef struct storm_conn_s  storm_conn_t;

void storm_conn_init(const int *ports, unsigned n);
unsigned storm_conn_count(void);
storm_conn_t *storm_conn_at(unsigned i);
unsigned storm_conn_load(const storm_conn_t *c);
int storm_conn_instance(const storm_conn_t *c);

/* one of that instance, with another worker than that if any is known */
storm_conn_t *storm_conn_other(int instance, pid_t worker);

/* copies both; they go out with the next run */
void storm_conn_send(storm_conn_t *c, storm_req_t *rq, const char *p,
    size_t len, const char *body, size_t body_len);

/* sends what is to be sent, waits, and reads what has come */
void storm_conn_run(int timeout);

/* that waits longest for its answer, NULL: none */
const storm_req_t *storm_conn_oldest(void);

void storm_conn_figures(uint64_t *connects, uint64_t *lost,
    unsigned *workers);


/* storm_model.c */

void storm_model_init(unsigned repos);
unsigned storm_model_keys(void);
storm_key_t *storm_model_key(unsigned i);

/* to be written: most in a few repositories, so that the others rest */
storm_key_t *storm_model_any(void);

/* chooses one, and marks what its answer may be */
void storm_model_read(storm_req_t *rq);

/* a read of what a write has changed; there are that many kinds of them */
#define STORM_READBACKS  3
void storm_model_readback(storm_req_t *rq, storm_key_t *k, unsigned kind);

/*
 * Begins the next write of a key, which is not busy: -1: none, it is empty
 * and is to be.
 */
int storm_model_write(storm_key_t *k, int empty);
void storm_model_acked(storm_key_t *k);

/* the version whose digest the write names */
uint32_t storm_model_target(const storm_key_t *k);

/* writes the head of a request to buf; its length */
size_t storm_model_request(storm_req_t *rq, char *buf, size_t size,
    const char **body, size_t *body_len);

storm_key_t *storm_model_of(storm_kind_e kind, unsigned repo,
    unsigned index);
const char *storm_model_hex(storm_key_t *k, uint32_t version);
const char *storm_model_content(const storm_key_t *k, uint32_t version,
    size_t *len);
int storm_model_blob_present(uint32_t content, uint32_t version);


/* storm_check.c */

/* ends in storm_violation() where an answer to a read may not be */
void storm_model_check(const storm_req_t *rq, const storm_answer_t *a);


#endif /* _STORM_H_INCLUDED_ */
