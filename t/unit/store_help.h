
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Stores in folders of their own for the tests of src/store, and a layer
 * between it and the system: what it calls is noted in order, and a test can
 * make a call fail or do something of its own just before it.
 */


#ifndef _STORE_HELP_H_INCLUDED_
#define _STORE_HELP_H_INCLUDED_


#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <sys/types.h>

#include "oci_store.h"
#include "oci_path.h"


/* a fresh folder below TMPDIR or /tmp, NUL terminated; removed with it all */
void help_dir(char *path);
void help_dir_remove(const char *path);

/* a fresh store in a fresh folder, and both gone again */
void help_store_open(oci_store_t *s, unsigned durable);
void help_store_close(oci_store_t *s);

/* views of texts */
oci_str_t help_str(const char *text);
oci_repo_t help_repo(const char *ns, const char *name);

/* files */
void help_write(const char *path, const void *data, size_t len);
char *help_read(const char *path, size_t *len);        /* malloc's, NUL */
int help_exists(const char *path);
ino_t help_inode(const char *path);
unsigned help_nlink(const char *path);
unsigned help_mode(const char *path);
unsigned help_count(const char *path);                  /* entries */
int64_t help_age(const char *path);                     /* of the mtime */
void help_make_old(const char *path, int64_t seconds);

/* runs call in a child, returns its exit status, -1 when it was killed */
int help_fork(int (*call)(void *data), void *data);

/* becomes an ordinary user; in a child only */
void help_drop_root(void);


/*
 * Calls of src/store, as "call path" or "call path -> path", relative to the
 * folder that help_watch() was given.  Watched: link, rename, unlink, rmdir,
 * mkdir, fsync, fdatasync, pwrite, write, chmod, fchmod, ftruncate, fallocate,
 * fcntl.
 */
void help_watch(const char *root);
void help_watch_end(void);
unsigned help_events(void);
const char *help_event(unsigned i);

/* index of the first such event from index from on, or -1 */
int help_find_event(const char *text, unsigned from);

/* the next times calls called so on a path that holds part fail with err */
void help_fail(const char *call, const char *part, int err, unsigned times);

/* before: once, just before such a call */
void help_before(const char *call, const char *part,
    void (*before)(void *data), void *data);

/* the process ends at its n-th watched call (from 1) that changes anything */
void help_kill_at(unsigned n);

/* statx tells a birth so many seconds earlier; -1: tells none */
void help_birth(int64_t seconds);

/* none of the above any more */
void help_calm(void);


#endif /* _STORE_HELP_H_INCLUDED_ */
