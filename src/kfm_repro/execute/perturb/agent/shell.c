/* Commands that libc hands to a shell, past our posix_spawn; the end of a process; the bare syscall(). */
#include "real.h"

#include <stdarg.h>
#include <sys/wait.h>

extern char **environ;

void kfm_noted_open(int folder, const char *path, int flags, int error, int fd);
void kfm_affinity_read(void *mask, size_t size);
void kfm_order_kernel_entries(char *buffer, size_t size);

/* system(), as POSIX describes it. */
KFM_EXPORT int system(const char *command) {
    static const char shell[] = "/bin/sh";
    if (command == NULL) {
        return 1;
    }
    char *const arguments[] = {(char *)(uintptr_t)"sh", (char *)(uintptr_t)"-c", (char *)(uintptr_t)command, NULL};
    struct sigaction ignore = {.sa_handler = SIG_IGN}, interrupt, quit;
    sigset_t child, before, defaults;
    posix_spawnattr_t attributes;
    pid_t pid;
    int status = -1;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigaction(SIGINT, &ignore, &interrupt);
    sigaction(SIGQUIT, &ignore, &quit);
    pthread_sigmask(SIG_BLOCK, &child, &before);
    sigemptyset(&defaults);
    if (interrupt.sa_handler != SIG_IGN) {
        sigaddset(&defaults, SIGINT);
    }
    if (quit.sa_handler != SIG_IGN) {
        sigaddset(&defaults, SIGQUIT);
    }
    int error = posix_spawnattr_init(&attributes);
    if (error == 0) {
        posix_spawnattr_setsigmask(&attributes, &before);
        posix_spawnattr_setsigdefault(&attributes, &defaults);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
        error = posix_spawn(&pid, shell, NULL, &attributes, arguments, environ);
        posix_spawnattr_destroy(&attributes);
    }
    if (error == 0) {
        while (waitpid(pid, &status, 0) < 0) {
            if (errno != EINTR) {
                error = errno;
                break;
            }
        }
    } else if (error != ENOMEM && error != EAGAIN) {
        status = 127 << 8; /* as if the shell had said so */
        error = 0;
    }
    sigaction(SIGINT, &interrupt, NULL);
    sigaction(SIGQUIT, &quit, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        errno = error;
        return -1;
    }
    return status;
}

/* popen belongs to pclose, so it stays libc's: the shell is told to give its children what they need. */
KFM_EXPORT FILE *popen(const char *command, const char *mode) {
    static const char before[] = "export LD_PRELOAD='", after[] = "'; ";
    bool active = kfm_active();
    KFM_MISSING_REAL(popen, NULL);
    size_t library = strlen(kfm_library), length = strlen(command);
    char *longer = NULL;
    if (active) {
        kfm_log(KFM_EXEC, 0, "popen", command);
        if (strchr(kfm_library, '\'') == NULL) {
            longer = malloc(sizeof before + library + sizeof after + length);
        }
    }
    if (longer == NULL) {
        return kfm_real.popen(command, mode);
    }
    size_t end = sizeof before - 1;
    memcpy(longer, before, end);
    memcpy(longer + end, kfm_library, library);
    end += library;
    memcpy(longer + end, after, sizeof after - 1);
    end += sizeof after - 1;
    memcpy(longer + end, command, length + 1);
    FILE *stream = kfm_real.popen(longer, mode);
    int saved = errno;
    free(longer);
    errno = saved;
    return stream;
}

/* Without our destructor: the counts would be lost. */
KFM_EXPORT _Noreturn void _exit(int status) {
    if (kfm_active()) {
        kfm_log_flush();
    }
    for (;;) {
        KFM_RAW(SYS_exit_group, status);
    }
}

_Noreturn void _Exit(int status) KFM_ALIAS(_exit);

static long random_call(void *into, size_t size, unsigned flags) {
    return (long)getrandom(into, size, flags);
}

/* Programs that know the number better than the function (DuckDB, Rust, older OpenSSL). */
KFM_EXPORT long syscall(long number, ...) {
    va_list rest;
    va_start(rest, number);
    long a = va_arg(rest, long), b = va_arg(rest, long), c = va_arg(rest, long);
    long d = va_arg(rest, long), e = va_arg(rest, long), f = va_arg(rest, long);
    va_end(rest);
    bool active = kfm_active();
    if (active && number == SYS_getrandom) {
        return random_call((void *)a, (size_t)b, (unsigned)c);
    }
    if (active && number == SYS_clock_gettime) {
        return clock_gettime((clockid_t)a, (struct timespec *)b);
    }
    if (active && number == SYS_gettimeofday) {
        return gettimeofday((struct timeval *)a, (void *)b);
    }
#if defined(SYS_time)
    if (active && number == SYS_time) {
        return (long)time((time_t *)a);
    }
#endif
    if (active && number == SYS_execve) {
        return execve((const char *)a, (char *const *)b, (char *const *)c);
    }
    if (active && number == SYS_uname) {
        return uname((struct utsname *)a);
    }
    long result = kfm_raw6(number, a, b, c, d, e, f);
    if (number == SYS_prlimit64 || number == SYS_setrlimit) {
        kfm_limits_changed();
    }
    if (active && number == SYS_openat) {
        kfm_noted_open((int)a, (const char *)b, (int)c, result < 0 ? (int)-result : 0, (int)result);
    }
#if defined(SYS_open)
    if (active && number == SYS_open) {
        kfm_noted_open(AT_FDCWD, (const char *)a, (int)b, result < 0 ? (int)-result : 0, (int)result);
    }
#endif
    if (active && number == SYS_sched_getaffinity && result > 0) {
        kfm_affinity_read((void *)c, (size_t)result);
    }
    if (active && number == SYS_getdents64 && result > 0 && kfm_setting.order != KFM_ORDER_NATURAL) {
        kfm_order_kernel_entries((char *)b, (size_t)result);
    }
    if (result < 0 && result > -4096) {
        errno = (int)-result;
        return -1;
    }
    return result;
}
