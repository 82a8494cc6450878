/* The machine as it is told: host name, number of processors, memory. */
#include "real.h"

#include <sys/mman.h>
#include <sys/resource.h>

#if !defined(__GLIBC__)
#define __rlimit_resource_t int
#define KFM_RESOURCE int
#else
#define KFM_RESOURCE enum __rlimit_resource
#endif

static bool fakes_cpus(void) { return kfm_active() && kfm_setting.cpus > 0; }
static bool fakes_host(void) { return kfm_active() && kfm_setting.host[0] != '\0'; }
static bool fakes_memory(void) { return kfm_active() && kfm_setting.pages > 0; }

static void noted(enum kfm_kind kind, const char *function) {
    if (kfm_active()) {
        kfm_log(kind, 0, function, "");
    }
}

KFM_EXPORT int uname(struct utsname *into) {
    long result = KFM_RAW(SYS_uname, into);
    if (result < 0) {
        errno = (int)-result;
        return -1;
    }
    if (fakes_host()) {
        memset(into->nodename, 0, sizeof into->nodename);
        memcpy(into->nodename, kfm_setting.host, strlen(kfm_setting.host));
    }
    noted(KFM_HOSTNAME, "uname");
    return 0;
}

KFM_EXPORT int gethostname(char *into, size_t size) {
    bool fake = fakes_host();
    KFM_MISSING_REAL(gethostname, -1);
    int result;
    if (fake) {
        size_t length = strlen(kfm_setting.host) + 1;
        memcpy(into, kfm_setting.host, length < size ? length : size);
        result = length <= size ? 0 : -1;
        if (result != 0) {
            errno = ENAMETOOLONG;
        }
    } else {
        result = kfm_real.gethostname(into, size);
    }
    noted(KFM_HOSTNAME, "gethostname");
    return result;
}

KFM_EXPORT int __gethostname_chk(char *into, size_t size, size_t room) {
    return gethostname(into, size < room ? size : room);
}

KFM_EXPORT long gethostid(void) {
    bool fake = fakes_host();
    noted(KFM_HOSTNAME, "gethostid");
    KFM_MISSING_REAL(gethostid, -1);
    return fake ? (long)(int32_t)kfm_hash(kfm_setting.host, strlen(kfm_setting.host), 0) : kfm_real.gethostid();
}

KFM_EXPORT long sysconf(int name) {
    kfm_active();
    KFM_MISSING_REAL(sysconf, -1);
    switch (name) {
    case _SC_NPROCESSORS_ONLN:
    case _SC_NPROCESSORS_CONF:
        noted(KFM_CPU, "sysconf");
        return fakes_cpus() ? kfm_setting.cpus : kfm_real.sysconf(name);
    case _SC_PHYS_PAGES:
    case _SC_AVPHYS_PAGES:
        noted(KFM_MEMORY, "sysconf");
        return fakes_memory() ? kfm_setting.pages : kfm_real.sysconf(name);
    default:
        return kfm_real.sysconf(name);
    }
}

KFM_EXPORT int sysinfo(struct sysinfo *into) {
    bool fake = fakes_memory();
    KFM_MISSING_REAL(sysinfo, -1);
    int result = kfm_real.sysinfo(into);
    if (result == 0 && fake) {
        uint64_t page = (uint64_t)kfm_real.sysconf(_SC_PAGESIZE);
        uint64_t unit = into->mem_unit > 0 ? into->mem_unit : 1;
        into->totalram = (unsigned long)((uint64_t)kfm_setting.pages * page / unit);
        into->freeram = into->totalram;
        into->bufferram = into->sharedram = 0;
    }
    noted(KFM_MEMORY, "sysinfo");
    return result;
}

/* The first `cpus` processors, as the kernel writes them: only as many bytes as its own mask has. */
static void fill_mask(unsigned char *mask, size_t size) {
    memset(mask, 0, size);
    for (size_t cpu = 0; cpu < (size_t)kfm_setting.cpus && cpu < size * 8; cpu++) {
        /* Words of the machine; both machines are little-endian, so that bytes will do. */
        mask[cpu / 8] = (unsigned char)(mask[cpu / 8] | 1u << cpu % 8);
    }
}

void kfm_affinity_read(void *mask, size_t size) {
    if (fakes_cpus()) {
        fill_mask(mask, size);
    }
    noted(KFM_CPU, "sched_getaffinity");
}

KFM_EXPORT int sched_getaffinity(pid_t pid, size_t size, cpu_set_t *mask) {
    kfm_active();
    KFM_MISSING_REAL(sched_getaffinity, -1);
    int result = kfm_real.sched_getaffinity(pid, size, mask);
    if (result == 0) {
        kfm_affinity_read(mask, size);
    }
    return result;
}

#if defined(__GLIBC__)
KFM_EXPORT int pthread_getaffinity_np(pthread_t thread, size_t size, cpu_set_t *mask) {
    kfm_active();
    if (kfm_real.pthread_getaffinity_np == NULL) {
        return ENOSYS;
    }
    int result = kfm_real.pthread_getaffinity_np(thread, size, mask);
    if (result == 0) {
        kfm_affinity_read(mask, size);
    }
    return result;
}

KFM_EXPORT int get_nprocs(void) {
    noted(KFM_CPU, "get_nprocs");
    KFM_MISSING_REAL(get_nprocs, 1);
    return fakes_cpus() ? kfm_setting.cpus : kfm_real.get_nprocs();
}

KFM_EXPORT int get_nprocs_conf(void) {
    noted(KFM_CPU, "get_nprocs_conf");
    KFM_MISSING_REAL(get_nprocs_conf, 1);
    return fakes_cpus() ? kfm_setting.cpus : kfm_real.get_nprocs_conf();
}
#endif

static size_t write_cpus(char *into) {
    size_t size = 0;
    into[size++] = '0';
    if (kfm_setting.cpus > 1) {
        char digits[8];
        size_t count = 0;
        for (int last = kfm_setting.cpus - 1; last > 0; last /= 10) {
            digits[count++] = (char)('0' + last % 10);
        }
        into[size++] = '-';
        while (count > 0) {
            into[size++] = digits[--count];
        }
    }
    into[size++] = '\n';
    return size;
}

/* Some ask the file system and not libc (DuckDB, the runtime of Go by cgo, R). */
int kfm_stand_in(const char *path, int flags) {
    static const char cpus[] = "/sys/devices/system/cpu/";
    char text[KFM_HOST + 1];
    size_t size = 0;
    if (path == NULL || path[0] != '/' || (flags & O_ACCMODE) != O_RDONLY) {
        return -1;
    }
    if (strncmp(path, cpus, sizeof cpus - 1) == 0) {
        const char *name = path + sizeof cpus - 1;
        if (strcmp(name, "online") == 0 || strcmp(name, "possible") == 0 || strcmp(name, "present") == 0) {
            noted(KFM_CPU, "file");
            size = kfm_setting.cpus > 0 ? write_cpus(text) : 0;
        }
    } else if (strcmp(path, "/etc/hostname") == 0 || strcmp(path, "/proc/sys/kernel/hostname") == 0) {
        noted(KFM_HOSTNAME, "file");
        size = strlen(kfm_setting.host);
        memcpy(text, kfm_setting.host, size);
        if (size > 0) {
            text[size++] = '\n';
        }
    }
    if (size == 0) {
        return -1;
    }
    long fd = KFM_RAW(SYS_memfd_create, "kfm", flags & O_CLOEXEC ? 1 /* MFD_CLOEXEC */ : 0);
    if (fd >= 0 && (KFM_RAW(SYS_write, fd, text, size) != (long)size || KFM_RAW(SYS_lseek, fd, 0, SEEK_SET) != 0)) {
        KFM_RAW(SYS_close, fd);
        return -1;
    }
    return fd >= 0 ? (int)fd : -1;
}

/* Limits are the command's own affair; the log must know of them. */
KFM_EXPORT KFM_UNSANITIZED int prlimit(pid_t pid, KFM_RESOURCE resource, const struct rlimit *fresh, struct rlimit *old) {
    long result = KFM_RAW(SYS_prlimit64, pid, resource, fresh, old);
    if (fresh != NULL) {
        kfm_limits_changed();
    }
    errno = result < 0 ? (int)-result : errno;
    return result < 0 ? -1 : 0;
}

KFM_EXPORT KFM_UNSANITIZED int setrlimit(__rlimit_resource_t resource, const struct rlimit *fresh) {
    return prlimit(0, resource, fresh, NULL);
}

#if defined(__GLIBC__)
int prlimit64(pid_t pid, KFM_RESOURCE resource, const struct rlimit64 *fresh, struct rlimit64 *old)
    KFM_ALIAS(prlimit);
int setrlimit64(__rlimit_resource_t resource, const struct rlimit64 *fresh) KFM_ALIAS(setrlimit);
#endif

/* Local time and locale: seen, not changed (TZ and LC_ALL do that). */
KFM_EXPORT struct tm *localtime_r(const time_t *restrict time, struct tm *restrict into) {
    noted(KFM_TZ, "localtime_r");
    KFM_MISSING_REAL(localtime_r, NULL);
    return kfm_real.localtime_r(time, into);
}

KFM_EXPORT struct tm *localtime(const time_t *time) {
    noted(KFM_TZ, "localtime");
    KFM_MISSING_REAL(localtime, NULL);
    return kfm_real.localtime(time);
}

KFM_EXPORT time_t mktime(struct tm *time) {
    noted(KFM_TZ, "mktime");
    KFM_MISSING_REAL(mktime, -1);
    return kfm_real.mktime(time);
}

KFM_EXPORT void tzset(void) {
    noted(KFM_TZ, "tzset");
    if (kfm_real.tzset != NULL) {
        kfm_real.tzset();
    }
}

KFM_EXPORT char *setlocale(int category, const char *locale) {
    if (locale != NULL && locale[0] == '\0') {
        noted(KFM_LOCALE, "setlocale");
    }
    kfm_active();
    KFM_MISSING_REAL(setlocale, NULL);
    return kfm_real.setlocale(category, locale);
}
