/* Entropy. Seeded, every process has a stream of its own, keyed by the seed, its command line and its place in the
 * tree of processes (which child of which), never by its number: two replays get the same, two processes never do.
 *
 * The place travels in KFM_AGENT_KEY, which process.c adds when a program is started and takes out before main.
 * Where it was lost (a static program in between), a process that finds its key taken takes the next one.
 *
 * Not covered: AT_RANDOM (the stack protector and the hash of a few programs), RDRAND and RDSEED in the code of the
 * command, system calls that do not go through libc. */
#include "real.h"

enum { KFM_CLAIMS = 1000 };

static atomic_ullong kfm_key;      /* of this process */
static atomic_ullong kfm_drawn;    /* how often it was asked */
static atomic_ullong kfm_children; /* how many it has made */

/* Make the key ours alone: a file by its name, which only one process can make. */
static uint64_t claim(uint64_t key) {
    char path[KFM_PATH + 64];
    size_t length = strlen(kfm_folder);
    memcpy(path, kfm_folder, length);
    memcpy(path + length, "/log/key-", KFM_CONST_STRLEN("/log/key-"));
    length += KFM_CONST_STRLEN("/log/key-");
    for (int attempt = 0; attempt < KFM_CLAIMS; attempt++) {
        for (int digit = 0; digit < 16; digit++) {
            path[length + (size_t)digit] = "0123456789abcdef"[(key >> (60 - 4 * digit)) & 15];
        }
        path[length + 16] = '\0';
        long fd = KFM_RAW(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd >= 0) {
            KFM_RAW(SYS_close, fd);
            return key;
        }
        if (fd != -EEXIST) {
            break;
        }
        key = kfm_mix(key, UINT64_C(0x6b66));
    }
    return key;
}

void kfm_entropy_start(uint64_t lineage, uint64_t command) {
    uint64_t key = kfm_mix(lineage, command);
    atomic_store(&kfm_key, kfm_setting.seeded ? claim(key) : key);
}

/* The ordinals do not depend on the seed, and so neither does what children find in their environment. */
uint64_t kfm_lineage_of_child(void) {
    return kfm_mix(atomic_load(&kfm_key), atomic_fetch_add(&kfm_children, 1) + 1);
}

void kfm_entropy_forked(uint64_t lineage) {
    atomic_store(&kfm_key, lineage);
    atomic_store(&kfm_drawn, 0);
    atomic_store(&kfm_children, 0);
}

void kfm_fill(void *into, size_t size) {
    unsigned char *byte = into;
    uint64_t key = atomic_load(&kfm_key);
    if (!kfm_own_memory()) {
        key = kfm_mix(key, (uint64_t)kfm_pid()); /* vfork, or a fork past libc: rather unlike than twice the same */
    }
    uint64_t stream = kfm_mix(kfm_mix(kfm_setting.seed, key), atomic_fetch_add(&kfm_drawn, 1));
    for (uint64_t block = 0; size > 0; block++) {
        uint64_t value = kfm_mix(stream, block);
        size_t part = size < sizeof value ? size : sizeof value;
        memcpy(byte, &value, part);
        byte += part;
        size -= part;
    }
}

static void noted(const char *function) { kfm_log(KFM_ENTROPY, 0, function, ""); }

static bool seeded(void) { return kfm_active() && kfm_setting.seeded; }

#define KFM_CALLED_FROM() (kfm_caller = __builtin_return_address(0))

/* All of it or an error, as getentropy and arc4random promise. */
static bool real_fill(void *into, size_t size) {
    unsigned char *byte = into;
    while (size > 0) {
        long got = KFM_RAW(SYS_getrandom, byte, size, 0);
        if (got == -EINTR) {
            continue;
        }
        if (got <= 0) {
            errno = got < 0 ? (int)-got : EIO;
            return false;
        }
        byte += got;
        size -= (size_t)got;
    }
    return true;
}

KFM_EXPORT ssize_t getrandom(void *into, size_t size, unsigned flags) {
    KFM_CALLED_FROM();
    ssize_t result;
    if (seeded() && flags <= (GRND_NONBLOCK | GRND_RANDOM | 4 /* GRND_INSECURE */) && size <= (1u << 25)) {
        kfm_fill(into, size);
        result = (ssize_t)size;
    } else {
        result = KFM_RAW(SYS_getrandom, into, size, flags);
        if (result < 0) {
            errno = (int)-result;
            result = -1;
        }
    }
    if (kfm_active()) {
        noted("getrandom");
    }
    return result;
}

KFM_EXPORT int getentropy(void *into, size_t size) {
    KFM_CALLED_FROM();
    if (size > 256) {
        errno = EIO;
        return -1;
    }
    bool filled = true;
    if (seeded()) {
        kfm_fill(into, size);
    } else {
        filled = real_fill(into, size);
    }
    if (kfm_active()) {
        noted("getentropy");
    }
    return filled ? 0 : -1;
}

static uint32_t word(const char *function) {
    uint32_t value = 0;
    if (seeded()) {
        kfm_fill(&value, sizeof value);
    } else {
        real_fill(&value, sizeof value);
    }
    if (kfm_active()) {
        noted(function);
    }
    return value;
}

KFM_EXPORT uint32_t arc4random(void) {
    KFM_CALLED_FROM();
    return word("arc4random");
}

KFM_EXPORT void arc4random_buf(void *into, size_t size) {
    KFM_CALLED_FROM();
    if (seeded()) {
        kfm_fill(into, size);
    } else {
        real_fill(into, size);
    }
    if (kfm_active()) {
        noted("arc4random_buf");
    }
}

KFM_EXPORT uint32_t arc4random_uniform(uint32_t bound) {
    KFM_CALLED_FROM();
    if (bound < 2) {
        return 0;
    }
    uint32_t lowest = -bound % bound; /* below it the remainders are not evenly spread */
    for (;;) {
        uint32_t value = word("arc4random_uniform");
        if (value >= lowest) {
            return value % bound;
        }
    }
}

/* std::random_device::_M_getval() of libstdc++, which may ask the processor (RDRAND). */
KFM_EXPORT unsigned _ZNSt13random_device9_M_getvalEv(void *self) {
    (void)self;
    KFM_CALLED_FROM();
    return word("std::random_device");
}

/* Names of temporary files: libc draws them by itself. */
static bool name_template(char *name, int suffix, char **from) {
    size_t length = strlen(name);
    if (suffix < 0 || length < 6 + (size_t)suffix) {
        return false;
    }
    *from = name + length - 6 - suffix;
    return memcmp(*from, "XXXXXX", 6) == 0;
}

static void draw_name(char *from) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    uint64_t value;
    kfm_fill(&value, sizeof value);
    for (int i = 0; i < 6; i++) {
        from[i] = letters[value % (sizeof letters - 1)];
        value /= sizeof letters - 1;
    }
}

KFM_EXPORT int mkostemps(char *name, int suffix, int flags) {
    char *from;
    KFM_CALLED_FROM();
    if (!seeded() || !name_template(name, suffix, &from)) {
        KFM_MISSING_REAL(mkostemps, -1);
        return kfm_real.mkostemps(name, suffix, flags);
    }
    noted("mkstemp");
    for (int attempt = 0; attempt < KFM_CLAIMS; attempt++) {
        draw_name(from);
        int fd = open(name, (flags & ~O_ACCMODE) | O_RDWR | O_CREAT | O_EXCL, 0600);
        if (fd >= 0 || errno != EEXIST) {
            return fd;
        }
    }
    errno = EEXIST;
    return -1;
}

KFM_EXPORT int mkstemp(char *name) { return mkostemps(name, 0, 0); }
KFM_EXPORT int mkostemp(char *name, int flags) { return mkostemps(name, 0, flags); }
KFM_EXPORT int mkstemps(char *name, int suffix) { return mkostemps(name, suffix, 0); }
#if defined(__GLIBC__)
int mkstemp64(char *name) KFM_ALIAS(mkstemp);
int mkostemp64(char *name, int flags) KFM_ALIAS(mkostemp);
int mkstemps64(char *name, int suffix) KFM_ALIAS(mkstemps);
int mkostemps64(char *name, int suffix, int flags) KFM_ALIAS(mkostemps);
#endif

KFM_EXPORT char *mkdtemp(char *name) {
    char *from;
    KFM_CALLED_FROM();
    if (!seeded() || !name_template(name, 0, &from)) {
        KFM_MISSING_REAL(mkdtemp, NULL);
        return kfm_real.mkdtemp(name);
    }
    noted("mkdtemp");
    for (int attempt = 0; attempt < KFM_CLAIMS; attempt++) {
        draw_name(from);
        if (mkdir(name, 0700) == 0) {
            return name;
        }
        if (errno != EEXIST) {
            return NULL;
        }
    }
    return NULL;
}
