
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * Coherence counters in a file that every nginx of this machine maps.
 *
 * Whoever maps the file holds its first byte as a shared OFD lock.  Such a
 * lock belongs to the open file, which the mapping itself keeps open, so it
 * lives exactly as long as the last mapping does, forks included.  Machines
 * that share a store see by it whose file is in use.
 */


#include "oci_generation.h"
#include "oci_lock.h"
#include "oci_path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>


#define OCI_GENERATION_SIZE   (OCI_GENERATION_COUNTERS * sizeof(uint64_t))
#define OCI_GENERATION_TRIES  8


typedef struct {
    volatile uint64_t   *counter;       /* NULL: none was raised */
    uint64_t             first;
    uint64_t             last;
    uint64_t             count;
    unsigned             mixed:1;
} oci_generation_raised_t;


static int oci_generation_file(const char *path);
static int oci_generation_try(const char *path);
static void oci_generation_clean(const oci_store_t *s, const char *path);
static int oci_generation_boot(const char *name);
static size_t oci_generation_index(uint64_t hash);


static _Thread_local oci_generation_raised_t  oci_generation_raised;


int
oci_generation_map(oci_store_t *s)
{
    int    fd;
    char   path[OCI_PATH_MAX];
    void  *p;

    s->counters = NULL;

    oci_path_run(path, s, NULL);

    fd = oci_generation_file(path);

    if (fd < 0) {
        return OCI_ERROR;
    }

    p = mmap(NULL, OCI_GENERATION_SIZE, PROT_READ|PROT_WRITE, MAP_SHARED, fd,
             0);

    if (p == MAP_FAILED) {
        (void) oci_fail("mmap()", path);
        close(fd);
        return OCI_ERROR;
    }

    close(fd);

    s->counters = p;

    oci_generation_clean(s, path);

    return OCI_OK;
}


void
oci_generation_unmap(oci_store_t *s)
{
    if (s->counters != NULL) {
        (void) munmap((void *) s->counters, OCI_GENERATION_SIZE);
        s->counters = NULL;
    }
}


uint64_t
oci_generation_read(const oci_store_t *s, const oci_repo_t *r)
{
    return oci_generation_read_at(s, oci_repo_hash(r));
}


uint64_t
oci_generation_read_at(const oci_store_t *s, uint64_t hash)
{
    if (s->counters == NULL) {
        return 0;
    }

    return __atomic_load_n(&s->counters[oci_generation_index(hash)],
                           __ATOMIC_ACQUIRE);
}


void
oci_generation_raise(const oci_store_t *s, const oci_repo_t *r)
{
    uint64_t                  value;
    volatile uint64_t        *counter;
    oci_generation_raised_t  *raised;

    if (s->counters == NULL) {
        return;
    }

    counter = &s->counters[oci_generation_index(oci_repo_hash(r))];

    value = __atomic_add_fetch(counter, 1, __ATOMIC_SEQ_CST);

    raised = &oci_generation_raised;

    if (raised->counter == NULL) {
        raised->counter = counter;
        raised->first = value;

    } else if (raised->counter != counter) {
        raised->mixed = 1;
    }

    raised->last = value;
    raised->count++;
}


void
oci_generation_raise_all(const oci_store_t *s)
{
    size_t  i;

    if (s->counters == NULL) {
        return;
    }

    for (i = 0; i < OCI_GENERATION_COUNTERS; i++) {
        (void) __atomic_add_fetch(&s->counters[i], 1, __ATOMIC_SEQ_CST);
    }
}


void
oci_generation_span_start(void)
{
    memset(&oci_generation_raised, 0, sizeof(oci_generation_raised_t));
}


int
oci_generation_span(const oci_store_t *s, const oci_repo_t *r,
    oci_generation_span_t *span)
{
    size_t                    i;
    oci_generation_raised_t  *raised;

    raised = &oci_generation_raised;

    i = oci_generation_index(oci_repo_hash(r));

    if (raised->count == 0 || raised->mixed
        || raised->counter != &s->counters[i])
    {
        return 0;
    }

    if (raised->last - raised->first + 1 != raised->count) {
        return 0;
    }

    span->before = raised->first - 1;
    span->after = raised->last;

    return 1;
}


int
oci_generation_alive(const oci_store_t *s, const char *boot_id)
{
    int          fd, held;
    char         path[OCI_PATH_MAX];
    oci_store_t  other;

    if (!oci_generation_boot(boot_id)) {
        return 0;
    }

    if (strcmp(boot_id, s->boot_id) == 0) {
        return 1;
    }

    other = *s;
    strcpy(other.boot_id, boot_id);
    oci_path_run(path, &other, NULL);

    fd = open(path, O_RDWR|O_CLOEXEC);

    if (fd == -1) {
        return 0;
    }

    held = oci_lock_byte_held(fd, 0);

    close(fd);

    return held;
}


static int
oci_generation_file(const char *path)
{
    int       fd;
    unsigned  try;

    for (try = 0; try < OCI_GENERATION_TRIES; try++) {
        fd = oci_generation_try(path);

        if (fd != OCI_AGAIN) {
            return fd;
        }
    }

    errno = EAGAIN;

    return oci_fail("open()", path);
}


static int
oci_generation_try(const char *path)
{
    int          fd;
    struct stat  have, want;

    fd = open(path, O_RDWR|O_CREAT|O_CLOEXEC, 0600);

    if (fd == -1) {
        return oci_fail("open()", path);
    }

    /*
     * Without the lock (a file system that has none, or a machine that is
     * just removing what it takes for a file of an earlier boot) it is
     * enough that the name still leads to this file.
     */

    (void) oci_lock_byte_shared(fd, 0);

    if (fstat(fd, &have) == -1) {
        (void) oci_fail("fstat()", path);
        close(fd);
        return OCI_ERROR;
    }

    if (stat(path, &want) == -1 || have.st_ino != want.st_ino
        || have.st_dev != want.st_dev)
    {
        close(fd);
        return OCI_AGAIN;
    }

    /* never shrinks and never clears: others may have it mapped */

    if (have.st_size < (off_t) OCI_GENERATION_SIZE
        && ftruncate(fd, OCI_GENERATION_SIZE) == -1)
    {
        (void) oci_fail("ftruncate()", path);
        close(fd);
        return OCI_ERROR;
    }

    return fd;
}


/* removes the files of boots that no machine lives in any more */

static void
oci_generation_clean(const oci_store_t *s, const char *path)
{
    int             fd, dfd;
    DIR            *dir;
    char            folder[OCI_PATH_MAX];
    struct dirent  *de;

    strcpy(folder, path);
    *strrchr(folder, '/') = '\0';

    dir = opendir(folder);

    if (dir == NULL) {
        return;
    }

    dfd = dirfd(dir);

    while ((de = readdir(dir)) != NULL) {

        if (!oci_generation_boot(de->d_name)
            || strcmp(de->d_name, s->boot_id) == 0)
        {
            continue;
        }

        fd = openat(dfd, de->d_name, O_RDWR|O_CLOEXEC|O_NOFOLLOW);

        if (fd == -1) {
            continue;
        }

        if (oci_lock_byte(fd, 0) == OCI_OK) {
            (void) unlinkat(dfd, de->d_name, 0);
        }

        close(fd);
    }

    closedir(dir);
}


/* 1 for a name of the shape that a boot id has */

static int
oci_generation_boot(const char *name)
{
    size_t  i;

    if (strcmp(name, OCI_BOOT_UNKNOWN) == 0) {
        return 1;
    }

    if (strlen(name) != OCI_BOOT_ID_LEN) {
        return 0;
    }

    for (i = 0; i < OCI_BOOT_ID_LEN; i++) {
        if ((name[i] < '0' || name[i] > '9')
            && (name[i] < 'a' || name[i] > 'f') && name[i] != '-')
        {
            return 0;
        }
    }

    return 1;
}


/* which counter: every process on the store must find the same */

static size_t
oci_generation_index(uint64_t hash)
{
    /* the low bits of FNV alone are its weakest */

    return (size_t) ((hash ^ (hash >> 32)) % OCI_GENERATION_COUNTERS);
}
