
/*
 * Copyright (C) the ngx_http_oci_module authors
 */


#include "store_help.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>


#define EVENTS_MAX  4096
#define PATH_SIZE   4096


typedef struct {
    const char    *call;
    const char    *part;
    int            err;
    unsigned       times;
    void         (*before)(void *data);
    void          *data;
} help_hook_t;


static int remove_entry(const char *path, const struct stat *st, int flag,
    struct FTW *ftw);
static int called(const char *call, const char *path, const char *to);
static int called_fd(const char *call, int fd);
static const char *shorten(const char *path);


static char          watched[PATH_SIZE];
static char         *events[EVENTS_MAX];
static unsigned      nevents;
static unsigned      inside;
static help_hook_t   hooks[8];
static unsigned      nhooks;
static unsigned      kill_at;
static int64_t       birth;


void
help_dir(char *path)
{
    const char  *tmp;

    tmp = getenv("TMPDIR");

    (void) snprintf(path, 256, "%s/oci-unit-XXXXXX", tmp ? tmp : "/tmp");

    assert_non_null(mkdtemp(path));
}


void
help_dir_remove(const char *path)
{
    assert_int_equal(nftw(path, remove_entry, 16, FTW_DEPTH|FTW_PHYS), 0);
}


void
help_store_open(oci_store_t *s, unsigned durable)
{
    char  root[256];

    help_dir(root);

    assert_int_equal(oci_store_open(s, root, durable), OCI_OK);
    assert_non_null((void *) s->counters);
}


void
help_store_close(oci_store_t *s)
{
    oci_store_close(s);
    help_calm();
    help_watch_end();
    help_dir_remove(s->root);
}


oci_str_t
help_str(const char *text)
{
    oci_str_t  str;

    str.len = strlen(text);
    str.data = (u_char *) text;

    return str;
}


oci_repo_t
help_repo(const char *ns, const char *name)
{
    oci_repo_t  r;

    r.ns = help_str(ns);
    r.name = help_str(name);

    return r;
}


void
help_write(const char *path, const void *data, size_t len)
{
    int  fd;

    inside++;

    fd = open(path, O_WRONLY|O_CREAT|O_TRUNC, 0600);
    assert_int_not_equal(fd, -1);
    assert_int_equal(write(fd, data, len), len);
    assert_int_equal(close(fd), 0);

    inside--;
}


char *
help_read(const char *path, size_t *len)
{
    int          fd;
    char        *data;
    size_t       done;
    ssize_t      n;
    struct stat  st;

    fd = open(path, O_RDONLY);
    assert_int_not_equal(fd, -1);
    assert_int_equal(fstat(fd, &st), 0);

    data = malloc((size_t) st.st_size + 1);
    assert_non_null(data);

    for (done = 0; done < (size_t) st.st_size; done += (size_t) n) {
        n = read(fd, data + done, (size_t) st.st_size - done);
        assert_true(n > 0);
    }

    data[done] = '\0';
    *len = done;

    close(fd);

    return data;
}


int
help_exists(const char *path)
{
    struct stat  st;

    return lstat(path, &st) == 0;
}


ino_t
help_inode(const char *path)
{
    struct stat  st;

    assert_int_equal(lstat(path, &st), 0);

    return st.st_ino;
}


unsigned
help_nlink(const char *path)
{
    struct stat  st;

    assert_int_equal(lstat(path, &st), 0);

    return (unsigned) st.st_nlink;
}


unsigned
help_mode(const char *path)
{
    struct stat  st;

    assert_int_equal(lstat(path, &st), 0);

    return st.st_mode & 07777;
}


unsigned
help_count(const char *path)
{
    DIR            *dir;
    unsigned        n;
    struct dirent  *de;

    dir = opendir(path);
    assert_non_null(dir);

    n = 0;

    while ((de = readdir(dir)) != NULL) {
        n += (de->d_name[0] != '.');
    }

    closedir(dir);

    return n;
}


int64_t
help_age(const char *path)
{
    struct stat      st;
    struct timespec  now;

    assert_int_equal(lstat(path, &st), 0);

    /* time() may be a tick behind what the file system has written */

    assert_int_equal(clock_gettime(CLOCK_REALTIME, &now), 0);

    return (int64_t) (now.tv_sec - st.st_mtim.tv_sec);
}


void
help_make_old(const char *path, int64_t seconds)
{
    struct timespec  ts[2];

    ts[0].tv_sec = time(NULL) - seconds;
    ts[0].tv_nsec = 0;
    ts[1] = ts[0];

    assert_int_equal(utimensat(AT_FDCWD, path, ts, 0), 0);
}


int
help_fork(int (*call)(void *data), void *data)
{
    int    status;
    pid_t  pid;

    (void) fflush(NULL);

    pid = fork();
    assert_int_not_equal(pid, -1);

    if (pid == 0) {
        _exit(call(data));
    }

    assert_int_equal(waitpid(pid, &status, 0), pid);

    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}


void
help_drop_root(void)
{
    if (geteuid() == 0) {
        assert_int_equal(setgroups(0, NULL), 0);
        assert_int_equal(setgid(65534), 0);
        assert_int_equal(setuid(65534), 0);
    }
}


void
help_watch(const char *root)
{
    help_watch_end();

    strcpy(watched, root);
}


void
help_watch_end(void)
{
    unsigned  i;

    for (i = 0; i < nevents; i++) {
        free(events[i]);
    }

    nevents = 0;
    watched[0] = '\0';
}


unsigned
help_events(void)
{
    return nevents;
}


const char *
help_event(unsigned i)
{
    return events[i];
}


int
help_find_event(const char *text, unsigned from)
{
    unsigned  i;

    for (i = from; i < nevents; i++) {
        if (strcmp(events[i], text) == 0) {
            return (int) i;
        }
    }

    return -1;
}


void
help_fail(const char *call, const char *part, int err, unsigned times)
{
    assert_true(nhooks < sizeof(hooks) / sizeof(hooks[0]));

    hooks[nhooks].call = call;
    hooks[nhooks].part = part;
    hooks[nhooks].err = err;
    hooks[nhooks].times = times;
    hooks[nhooks].before = NULL;
    nhooks++;
}


void
help_before(const char *call, const char *part, void (*before)(void *data),
    void *data)
{
    help_fail(call, part, 0, 1);

    hooks[nhooks - 1].before = before;
    hooks[nhooks - 1].data = data;
}


void
help_kill_at(unsigned n)
{
    kill_at = n;
}


void
help_birth(int64_t seconds)
{
    birth = seconds;
}


void
help_calm(void)
{
    nhooks = 0;
    kill_at = 0;
    birth = 0;
}


static int
remove_entry(const char *path, const struct stat *st, int flag,
    struct FTW *ftw)
{
    (void) st;
    (void) flag;
    (void) ftw;

    return remove(path);
}


/* 0, or -1 with errno when the call has to fail */

static int
called(const char *call, const char *path, const char *to)
{
    int           err;
    char          text[2 * PATH_SIZE];
    unsigned      i;
    help_hook_t  *h;

    if (inside) {
        return 0;
    }

    if (watched[0] && nevents < EVENTS_MAX
        && strncmp(path, watched, strlen(watched)) == 0)
    {
        if (to != NULL) {
            (void) snprintf(text, sizeof(text), "%s %s -> %s", call,
                            shorten(path), shorten(to));
        } else {
            (void) snprintf(text, sizeof(text), "%s %s", call,
                            shorten(path));
        }

        events[nevents++] = strdup(text);
    }

    if (kill_at && strcmp(call, "fcntl") != 0 && --kill_at == 0) {
        _exit(99);
    }

    for (i = 0; i < nhooks; i++) {
        h = &hooks[i];

        if (h->times == 0 || strcmp(h->call, call) != 0
            || (strstr(path, h->part) == NULL
                && (to == NULL || strstr(to, h->part) == NULL)))
        {
            continue;
        }

        h->times--;

        if (h->before != NULL) {
            err = errno;
            inside++;
            h->before(h->data);
            inside--;
            errno = err;
            continue;
        }

        errno = h->err;
        return -1;
    }

    return 0;
}


static int
called_fd(const char *call, int fd)
{
    char     name[64], path[PATH_SIZE];
    ssize_t  n;

    (void) snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);

    n = readlink(name, path, sizeof(path) - 1);

    if (n == -1) {
        return 0;
    }

    path[n] = '\0';

    return called(call, path, NULL);
}


static const char *
shorten(const char *path)
{
    size_t  len;

    len = strlen(watched);

    if (len && strncmp(path, watched, len) == 0) {
        path += len;
        return (*path == '/') ? path + 1 : ".";
    }

    return path;
}


/* what follows takes the place of the C library's own */

int
link(const char *from, const char *to)
{
    if (called("link", from, to) == -1) {
        return -1;
    }

    return (int) syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
}


int
rename(const char *from, const char *to)
{
    if (called("rename", from, to) == -1) {
        return -1;
    }

    return (int) syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}


int
unlink(const char *path)
{
    if (called("unlink", path, NULL) == -1) {
        return -1;
    }

    return (int) syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}


int
rmdir(const char *path)
{
    if (called("rmdir", path, NULL) == -1) {
        return -1;
    }

    return (int) syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR);
}


int
mkdir(const char *path, mode_t mode)
{
    if (called("mkdir", path, NULL) == -1) {
        return -1;
    }

    return (int) syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}


int
chmod(const char *path, mode_t mode)
{
    if (called("chmod", path, NULL) == -1) {
        return -1;
    }

    return (int) syscall(SYS_fchmodat, AT_FDCWD, path, mode);
}


int
fchmod(int fd, mode_t mode)
{
    if (called_fd("fchmod", fd) == -1) {
        return -1;
    }

    return (int) syscall(SYS_fchmod, fd, mode);
}


int
fsync(int fd)
{
    if (called_fd("fsync", fd) == -1) {
        return -1;
    }

    return (int) syscall(SYS_fsync, fd);
}


int
fdatasync(int fd)
{
    if (called_fd("fdatasync", fd) == -1) {
        return -1;
    }

    return (int) syscall(SYS_fdatasync, fd);
}


int
ftruncate(int fd, off_t len)
{
    if (called_fd("ftruncate", fd) == -1) {
        return -1;
    }

    return (int) syscall(SYS_ftruncate, fd, len);
}


int
fallocate(int fd, int mode, off_t offset, off_t len)
{
    if (called_fd("fallocate", fd) == -1) {
        return -1;
    }

    return (int) syscall(SYS_fallocate, fd, mode, offset, len);
}


ssize_t
write(int fd, const void *data, size_t len)
{
    if (called_fd("write", fd) == -1) {
        return -1;
    }

    return (ssize_t) syscall(SYS_write, fd, data, len);
}


ssize_t
pwrite(int fd, const void *data, size_t len, off_t offset)
{
    if (called_fd("pwrite", fd) == -1) {

        /* a disk that is full takes what still fits first */

        if (errno != ENOSPC || len < 2) {
            return -1;
        }

        help_fail("pwrite", "", ENOSPC, 1);
        len /= 2;
    }

    return (ssize_t) syscall(SYS_pwrite64, fd, data, len, offset);
}


int
fcntl(int fd, int cmd, ...)
{
    void     *arg;
    va_list   args;

    va_start(args, cmd);
    arg = va_arg(args, void *);
    va_end(args);

    if (called_fd("fcntl", fd) == -1) {
        return -1;
    }

    return (int) syscall(SYS_fcntl, fd, cmd, arg);
}


int
statx(int dir, const char *restrict path, int flags, unsigned mask,
    struct statx *restrict stx)
{
    int  rc;

    rc = (int) syscall(SYS_statx, dir, path, flags, mask, stx);

    if (birth == -1) {
        stx->stx_mask &= ~STATX_BTIME;

    } else {
        stx->stx_btime.tv_sec -= birth;
    }

    return rc;
}
