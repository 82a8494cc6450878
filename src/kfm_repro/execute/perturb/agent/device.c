/* /dev/urandom and /dev/random. The command gets the device itself, so that fstat says what it should; what it then
 * reads from it is ours. A FILE* of it reads past the interposed read, and is made by a cookie instead. */
#include "real.h"

#include <sys/sysmacros.h>

static atomic_uchar kfm_random_fds[KFM_RANDOM_FDS];

bool kfm_is_random_device(const char *path) {
    return path != NULL && path[0] == '/'
        && (strcmp(path, "/dev/urandom") == 0 || strcmp(path, "/dev/random") == 0);
}

void kfm_random_opened(const char *path, int fd) {
    if (!kfm_is_random_device(path)) {
        return;
    }
    kfm_caller = NULL;
    kfm_log(KFM_ENTROPY, 0, "device", path);
    if (kfm_setting.seeded && fd >= 0 && fd < KFM_RANDOM_FDS) {
        atomic_store(&kfm_random_fds[fd], 1);
    }
}

/* A mark may be stale: the descriptor was closed and given to another file. */
static bool is_random(int fd) {
    struct stat state;
    if (fd < 0 || fd >= KFM_RANDOM_FDS || !atomic_load_explicit(&kfm_random_fds[fd], memory_order_relaxed)
        || !kfm_active()) {
        return false;
    }
    bool still = KFM_RAW(SYS_fstat, fd, &state) == 0 && S_ISCHR(state.st_mode) && major(state.st_rdev) == 1
        && (minor(state.st_rdev) == 8 || minor(state.st_rdev) == 9);
    if (!still && kfm_own_memory()) {
        atomic_store(&kfm_random_fds[fd], 0);
    }
    return still;
}

static void copied(int from, int to) {
    if (to >= 0 && to < KFM_RANDOM_FDS && is_random(from)) {
        atomic_store(&kfm_random_fds[to], 1);
    }
}

/* A child may have the device as its standard input. */
__attribute__((constructor)) static void look_at_stdin(void) {
    if (kfm_active() && kfm_setting.seeded) {
        atomic_store(&kfm_random_fds[0], 1); /* proved by is_random */
    }
}

KFM_EXPORT ssize_t read(int fd, void *into, size_t size) {
    if (is_random(fd)) {
        size = size < (1u << 25) ? size : (1u << 25);
        kfm_fill(into, size);
        return (ssize_t)size;
    }
    if (kfm_real.read != NULL) {
        return kfm_real.read(fd, into, size);
    }
    long got = KFM_RAW(SYS_read, fd, into, size);
    if (got < 0) {
        errno = (int)-got;
        got = -1;
    }
    return got;
}

KFM_EXPORT ssize_t __read_chk(int fd, void *into, size_t size, size_t room) {
    kfm_active();
    if (kfm_real.read_chk != NULL && (size > room || !is_random(fd))) {
        return kfm_real.read_chk(fd, into, size, room);
    }
    return read(fd, into, size < room ? size : room);
}

KFM_EXPORT ssize_t readv(int fd, const struct iovec *parts, int count) {
    if (is_random(fd)) {
        ssize_t sum = 0;
        for (int i = 0; i < count; i++) {
            kfm_fill(parts[i].iov_base, parts[i].iov_len);
            sum += (ssize_t)parts[i].iov_len;
        }
        return sum;
    }
    kfm_active();
    KFM_MISSING_REAL(readv, -1);
    return kfm_real.readv(fd, parts, count);
}

KFM_EXPORT int dup(int fd) {
    long copy = KFM_RAW(SYS_dup, fd);
    if (copy < 0) {
        errno = (int)-copy;
        return -1;
    }
    copied(fd, (int)copy);
    return (int)copy;
}

KFM_EXPORT int dup3(int fd, int to, int flags) {
    long copy = KFM_RAW(SYS_dup3, fd, to, flags);
    if (copy < 0) {
        errno = (int)-copy;
        return -1;
    }
    copied(fd, (int)copy);
    return (int)copy;
}

KFM_EXPORT int dup2(int fd, int to) {
    if (fd == to) { /* which dup3 refuses */
        long flags = KFM_RAW(SYS_fcntl, fd, F_GETFD);
        if (flags < 0) {
            errno = (int)-flags;
            return -1;
        }
        return to;
    }
    return dup3(fd, to, 0);
}

static ssize_t cookie_read(void *cookie, char *into, size_t size) {
    (void)cookie;
    kfm_fill(into, size);
    return (ssize_t)size;
}

/* fopen of a random device: a stream without end. NULL where it is not ours to answer. */
FILE *kfm_random_stream(const char *path, const char *mode) {
    static const cookie_io_functions_t functions = {.read = cookie_read};
    if (!kfm_is_random_device(path) || !kfm_active()) {
        return NULL;
    }
    kfm_caller = NULL;
    kfm_log(KFM_ENTROPY, 0, "device", path);
    return kfm_setting.seeded && mode[0] == 'r' ? fopencookie(NULL, mode, functions) : NULL;
}
