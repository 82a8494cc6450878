/* Opens, and looks at files that are not there. A file's own times, sizes and owners are never changed. */
#include "real.h"

#include <stdarg.h>

FILE *kfm_random_stream(const char *path, const char *mode);

/* How it was opened, as letters: r w rw, then c(reate) t(runcate) a(ppend) x (exclusive) d(irectory). */
static void letters(int flags, char into[8]) {
    static const struct { int flag; char letter; } more[] = {
        {O_CREAT, 'c'}, {O_TRUNC, 't'}, {O_APPEND, 'a'}, {O_EXCL, 'x'}, {O_DIRECTORY, 'd'},
    };
    size_t size = 0;
    if ((flags & O_ACCMODE) != O_WRONLY) {
        into[size++] = 'r';
    }
    if ((flags & O_ACCMODE) != O_RDONLY) {
        into[size++] = 'w';
    }
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++) {
        if ((flags & more[i].flag) == more[i].flag && size < 7) {
            into[size++] = more[i].letter;
        }
    }
    into[size] = '\0';
}

/* Where a path that is relative to an open folder lies. */
static const char *whole_path(int folder, const char *path, char room[KFM_PATH]) {
    char link[32] = "/proc/self/fd/";
    if (folder == AT_FDCWD || path[0] == '/' || folder < 0) {
        return path;
    }
    size_t end = strlen(link);
    int divisor = 1;
    while (folder / divisor >= 10) {
        divisor *= 10;
    }
    for (; divisor > 0; divisor /= 10) {
        link[end++] = (char)('0' + folder / divisor % 10);
    }
    link[end] = '\0';
    long size = KFM_RAW(SYS_readlinkat, AT_FDCWD, link, room, KFM_PATH / 2);
    size_t length = strlen(path);
    if (size <= 0 || (size_t)size + length + 2 > KFM_PATH) {
        return path;
    }
    room[size] = '/';
    memcpy(room + size + 1, path, length + 1);
    return room;
}

void kfm_noted_open(int folder, const char *path, int flags, int error, int fd) {
    char how[8], room[KFM_PATH];
    if (!kfm_active() || path == NULL) {
        return;
    }
    int saved = errno;
    if (kfm_observing(KFM_OPEN)) {
        letters(flags, how);
        kfm_log(KFM_OPEN, error, how, whole_path(folder, path, room));
    }
    kfm_random_opened(path, fd);
    errno = saved;
}

static int open_at(int folder, const char *path, int flags, mode_t mode) {
    int fd = kfm_active() ? kfm_stand_in(path, flags) : -1;
    if (fd >= 0) {
        return fd;
    }
    if (kfm_real.openat != NULL) {
        fd = kfm_real.openat(folder, path, flags, mode); /* a cancellation point, unlike the bare call */
    } else {
        long result = KFM_RAW(SYS_openat, folder, path, flags, mode);
        fd = result < 0 ? -1 : (int)result;
        errno = result < 0 ? (int)-result : errno;
    }
    kfm_noted_open(folder, path, flags, fd < 0 ? errno : 0, fd);
    return fd;
}

#define KFM_MODE(flags, mode) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY))) { \
        va_list rest; \
        va_start(rest, flags); \
        mode = va_arg(rest, mode_t); \
        va_end(rest); \
    }

KFM_EXPORT int open(const char *path, int flags, ...) {
    KFM_MODE(flags, mode)
    return open_at(AT_FDCWD, path, flags, mode);
}

KFM_EXPORT int openat(int folder, const char *path, int flags, ...) {
    KFM_MODE(flags, mode)
    return open_at(folder, path, flags, mode);
}

KFM_EXPORT int creat(const char *path, mode_t mode) {
    return open_at(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

/* What a program calls that was compiled with _FORTIFY_SOURCE. */
KFM_EXPORT int __open_2(const char *path, int flags) { return open_at(AT_FDCWD, path, flags, 0); }
KFM_EXPORT int __open64_2(const char *path, int flags) { return open_at(AT_FDCWD, path, flags, 0); }
KFM_EXPORT int __openat_2(int folder, const char *path, int flags) { return open_at(folder, path, flags, 0); }
KFM_EXPORT int __openat64_2(int folder, const char *path, int flags) { return open_at(folder, path, flags, 0); }

static int stream_flags(const char *mode) {
    bool both = strchr(mode, '+') != NULL;
    switch (mode[0]) {
    case 'w':
        return (both ? O_RDWR : O_WRONLY) | O_CREAT | O_TRUNC;
    case 'a':
        return (both ? O_RDWR : O_WRONLY) | O_CREAT | O_APPEND;
    default:
        return both ? O_RDWR : O_RDONLY;
    }
}

KFM_EXPORT FILE *fopen(const char *restrict path, const char *restrict mode) {
    FILE *file = kfm_random_stream(path, mode);
    if (file != NULL) {
        return file;
    }
    int stand_in = kfm_active() ? kfm_stand_in(path, stream_flags(mode)) : -1;
    if (stand_in >= 0) {
        return fdopen(stand_in, "r");
    }
    KFM_MISSING_REAL(fopen, NULL);
    file = kfm_real.fopen(path, mode);
    kfm_noted_open(AT_FDCWD, path, stream_flags(mode), file == NULL ? errno : 0, -1);
    return file;
}

KFM_EXPORT FILE *freopen(const char *restrict path, const char *restrict mode, FILE *restrict old) {
    kfm_active();
    KFM_MISSING_REAL(freopen, NULL);
    FILE *file = kfm_real.freopen(path, mode, old);
    kfm_noted_open(AT_FDCWD, path, stream_flags(mode), file == NULL ? errno : 0, -1);
    return file;
}

/* A library that looks before it opens (GDAL) never opens what is not there. Modules that Python looks for on its
 * path are passed over: thousands of them are not there. */
static bool of_an_import(const char *path) {
    static const char *const endings[] = {".py", ".pyc", ".so", ".pth"};
    size_t length = strlen(path);
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        size_t ending = strlen(endings[i]);
        if (length >= ending && memcmp(path + length - ending, endings[i], ending) == 0) {
            return true;
        }
    }
    return strstr(path, "/site-packages/") != NULL || strstr(path, "/lib/python3") != NULL
        || strstr(path, "__pycache__") != NULL;
}

static int looked(int folder, const char *path, const char *function, int result) {
    char room[KFM_PATH];
    if (result != 0 && (errno == ENOENT || errno == EACCES) && kfm_active() && path != NULL
        && kfm_observing(KFM_MISSING) && !of_an_import(path)) {
        int saved = errno;
        kfm_log(KFM_MISSING, saved, function, whole_path(folder, path, room));
        errno = saved;
    }
    return result;
}

KFM_EXPORT int stat(const char *restrict path, struct stat *restrict into) {
    long result = KFM_RAW(SYS_newfstatat, AT_FDCWD, path, into, 0);
    errno = result < 0 ? (int)-result : errno;
    return looked(AT_FDCWD, path, "stat", result < 0 ? -1 : 0);
}

KFM_EXPORT int lstat(const char *restrict path, struct stat *restrict into) {
    long result = KFM_RAW(SYS_newfstatat, AT_FDCWD, path, into, AT_SYMLINK_NOFOLLOW);
    errno = result < 0 ? (int)-result : errno;
    return looked(AT_FDCWD, path, "lstat", result < 0 ? -1 : 0);
}

KFM_EXPORT int fstatat(int folder, const char *restrict path, struct stat *restrict into, int flags) {
    long result = KFM_RAW(SYS_newfstatat, folder, path, into, flags);
    errno = result < 0 ? (int)-result : errno;
    return looked(folder, path, "fstatat", result < 0 ? -1 : 0);
}

KFM_EXPORT int access(const char *path, int mode) {
    long result = KFM_RAW(SYS_faccessat, AT_FDCWD, path, mode);
    errno = result < 0 ? (int)-result : errno;
    return looked(AT_FDCWD, path, "access", result < 0 ? -1 : 0);
}

struct statx;
KFM_EXPORT int statx(int folder, const char *restrict path, int flags, unsigned mask, struct statx *restrict into) {
    kfm_active();
    KFM_MISSING_REAL(statx, -1);
    return looked(folder, path, "statx", kfm_real.statx(folder, path, flags, mask, into));
}

#if defined(__GLIBC__)
/* On 64-bit machines the two are one. */
int open64(const char *path, int flags, ...) KFM_ALIAS(open);
int openat64(int folder, const char *path, int flags, ...) KFM_ALIAS(openat);
int creat64(const char *path, mode_t mode) KFM_ALIAS(creat);
FILE *fopen64(const char *restrict path, const char *restrict mode) KFM_ALIAS(fopen);
FILE *freopen64(const char *restrict path, const char *restrict mode, FILE *restrict old) KFM_ALIAS(freopen);
int stat64(const char *restrict path, struct stat64 *restrict into) KFM_ALIAS(stat);
int lstat64(const char *restrict path, struct stat64 *restrict into) KFM_ALIAS(lstat);
int fstatat64(int folder, const char *restrict path, struct stat64 *restrict into, int flags) KFM_ALIAS(fstatat);

/* What a program calls that was linked against a C library before 2.33. */
KFM_EXPORT int __xstat(int version, const char *path, struct stat *into) {
    (void)version;
    return stat(path, into);
}
KFM_EXPORT int __lxstat(int version, const char *path, struct stat *into) {
    (void)version;
    return lstat(path, into);
}
int __xstat64(int version, const char *path, struct stat64 *into) KFM_ALIAS(__xstat);
int __lxstat64(int version, const char *path, struct stat64 *into) KFM_ALIAS(__lxstat);
#endif
