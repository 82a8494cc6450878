/* The functions behind ours. All are looked up at the start, by state.c. A pointer is NULL where this C library has
 * no such function, and while the agent is being set up. */
#ifndef KFM_REAL_H
#define KFM_REAL_H

#include "kfm.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#if defined(__GLIBC__)
#include <fts.h>
#endif
#include <glob.h>
#include <locale.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define KFM_REALS(X) \
    X(clock_gettime) X(clock_nanosleep) X(closedir) X(connect) \
    X(execve) X(execvpe) X(fdopendir) X(fexecve) X(fopen) X(freopen) X(getaddrinfo) X(gethostbyname) \
    X(gethostid) X(gethostname) X(gettimeofday) X(glob) X(localtime) X(localtime_r) X(mkdtemp) \
    X(mkostemps) X(mktime) X(nanosleep) X(openat) X(opendir) X(popen) X(posix_spawn) \
    X(posix_spawnp) X(pthread_cond_timedwait) X(pthread_create) \
    X(pthread_mutex_timedlock) X(read) X(readdir) X(readv) X(rewinddir) X(scandir) X(sched_getaffinity) \
    X(seekdir) X(sem_timedwait) X(sendto) X(setlocale) X(sleep) \
    X(sysconf) X(sysinfo) X(telldir) X(time) X(tzset) X(usleep) X(nftw)

/* Absent from musl, or from older C libraries. */
#if defined(__GLIBC__)
#define KFM_GLIBC_REALS(X) X(fts_open) X(get_nprocs) X(get_nprocs_conf) X(pthread_getaffinity_np)
#else
#define KFM_GLIBC_REALS(X)
#endif

struct kfm_reals {
#define X(name) __typeof__(&name) name;
    KFM_REALS(X)
    KFM_GLIBC_REALS(X)
#undef X
    /* Younger than the oldest C library that we build on: their types are spelled out. */
    int (*pthread_cond_clockwait)(pthread_cond_t *, pthread_mutex_t *, clockid_t, const struct timespec *);
    int (*sem_clockwait)(sem_t *, clockid_t, const struct timespec *);
    ssize_t (*read_chk)(int, void *, size_t, size_t);
    int (*statx)(int, const char *, int, unsigned, void *);
};
extern struct kfm_reals kfm_real;

/* What stands where a real function is missing: the error of a system call that does not exist. */
#define KFM_MISSING_REAL(name, failure) \
    do { \
        if (kfm_real.name == NULL) { \
            errno = ENOSYS; \
            return failure; \
        } \
    } while (0)

#endif
