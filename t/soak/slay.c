
/*
 * Copyright (C) the ngx_http_oci_module authors
 *
 * usage: slay PID ADDRESS SEED SECONDS
 *
 * Kills (kill -9) a worker of nginx in the middle of a change of its zone,
 * which lies at that address: stops it when it writes that it changes
 * something, lets it do some steps more, and kills it if it is still at it.
 * Where the processor does not watch a word for us, it is taken step by step
 * all the way.  Status 0: done; 3: it has left, or changed nothing.
 */


#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>


#define SLAY_SHORT    200               /* steps into a change */
#define SLAY_LONG     2500


/*
 * How ngx_slab_pool_t begins.  It ends where the fixed part of the zone
 * begins, with its version and whether a change is half done.
 */

typedef struct {
    uintptr_t  lock;                    /* the holder's pid */
    uintptr_t  wait;
    size_t     sizes[2];
    void      *pages[2];
    uintptr_t  free[3];
    void      *stats;
    uintptr_t  pfree;
    void      *start;
    void      *end;
} slay_pool_t;


static pid_t      slay_pid;
static int        slay_mem;
static uintptr_t  slay_lock;
static uintptr_t  slay_fixed;


static void
slay_read(void *p, size_t len, uintptr_t at)
{
    if (pread(slay_mem, p, len, (off_t) at) != (ssize_t) len) {
        exit(3);
    }
}


static int
slay_changing(void)
{
    uint32_t   fixed[2];
    uintptr_t  holder;

    slay_read(&holder, sizeof(holder), slay_lock);

    if (holder != (uintptr_t) slay_pid) {
        return 0;
    }

    slay_read(fixed, sizeof(fixed), slay_fixed);

    if (fixed[0] == 0 || fixed[0] > 100 || fixed[1] > 1) {
        fprintf(stderr, "slay: the zone is laid out otherwise\n");
        exit(1);
    }

    return (int) fixed[1];
}


/* when that word, of four bytes, is written; 0: not on this machine */

static int
slay_watch(uintptr_t at)
{
#if (__x86_64__)

    size_t  dr;

    dr = offsetof(struct user, u_debugreg);

    if (ptrace(PTRACE_POKEUSER, slay_pid, dr, at) == 0
        && ptrace(PTRACE_POKEUSER, slay_pid,
                  dr + 7 * sizeof(((struct user *) 0)->u_debugreg[0]),
                  at ? (0xd << 16) | 1 : 0)
           == 0)
    {
        return 1;
    }

#else

    (void) at;

#endif

    return 0;
}


static void
slay_alarm(int signo)
{
    (void) signo;
}


/* as if nothing had been */

static void
slay_leave(void)
{
    (void) slay_watch(0);
    (void) ptrace(PTRACE_DETACH, slay_pid, NULL, NULL);

    exit(3);
}


/* to its next stop */

static void
slay_go(enum __ptrace_request how)
{
    int  status, sig;

    static int  pending;

    for ( ;; ) {

        sig = pending;
        pending = 0;

        if (ptrace(how, slay_pid, NULL, (void *) (intptr_t) sig) == -1) {
            exit(3);
        }

        if (waitpid(slay_pid, &status, __WALL) == -1) {

            /* the time is up */

            if (ptrace(PTRACE_INTERRUPT, slay_pid, NULL, NULL) == -1
                || waitpid(slay_pid, &status, __WALL) == -1
                || !WIFSTOPPED(status))
            {
                exit(3);
            }

            slay_leave();
        }

        if (!WIFSTOPPED(status)) {
            exit(3);
        }

        if (WSTOPSIG(status) == SIGTRAP) {
            return;
        }

        pending = WSTOPSIG(status);
    }
}


static void
slay_attach(void)
{
    int               status;
    struct sigaction  sa;

    if (ptrace(PTRACE_SEIZE, slay_pid, NULL, NULL) == -1) {

        if (errno == ESRCH) {
            exit(3);
        }

        perror("ptrace()");
        exit(1);
    }

    if (ptrace(PTRACE_INTERRUPT, slay_pid, NULL, NULL) == -1
        || waitpid(slay_pid, &status, __WALL) == -1
        || !WIFSTOPPED(status))
    {
        exit(3);
    }

    memset(&sa, 0, sizeof(sa));
    sa.sa_handler = slay_alarm;
    (void) sigaction(SIGALRM, &sa, NULL);
}


int
main(int argc, char **argv)
{
    int          status, watched;
    char         path[64];
    unsigned     left;
    slay_pool_t  pool;

    if (argc != 5) {
        fprintf(stderr, "usage: slay PID ADDRESS SEED SECONDS\n");
        return 2;
    }

    slay_pid = atoi(argv[1]);
    slay_lock = strtoull(argv[2], NULL, 0);
    srand((unsigned) strtoul(argv[3], NULL, 10));

    (void) snprintf(path, sizeof(path), "/proc/%d/mem", (int) slay_pid);

    slay_mem = open(path, O_RDONLY|O_CLOEXEC);
    if (slay_mem == -1) {
        return 3;
    }

    slay_read(&pool, sizeof(pool), slay_lock);
    slay_fixed = (uintptr_t) pool.end;

    slay_attach();

    watched = slay_watch(slay_fixed + sizeof(uint32_t));

    (void) alarm((unsigned) atoi(argv[4]));

    do {
        do {
            slay_go(watched ? PTRACE_CONT : PTRACE_SINGLESTEP);

        } while (!slay_changing());

        left = (unsigned) rand() % (rand() % 2 ? SLAY_SHORT : SLAY_LONG);

        for ( /* void */ ; left && slay_changing(); left--) {
            slay_go(PTRACE_SINGLESTEP);
        }

    } while (!slay_changing());

    (void) kill(slay_pid, SIGKILL);
    (void) waitpid(slay_pid, &status, __WALL);

    return 0;
}
