/* Set-up: who we are, what is asked for, which functions are behind ours. */
#include "real.h"

#include <dlfcn.h>
#include <limits.h>

struct kfm_setting kfm_setting;
struct kfm_reals kfm_real;
char kfm_folder[KFM_PATH];
char kfm_library[KFM_PATH];
__thread int kfm_busy __attribute__((tls_model("initial-exec")));
__thread const void *kfm_caller __attribute__((tls_model("initial-exec")));

enum { KFM_UNSET, KFM_SETTING_UP, KFM_READY, KFM_OFF };
static atomic_int kfm_state;
static atomic_int kfm_our_pid;
static char kfm_config[4096];
static bool kfm_config_bad;

int kfm_pid(void) { return (int)KFM_RAW(SYS_getpid); }

bool kfm_own_memory(void) { return kfm_pid() == atomic_load_explicit(&kfm_our_pid, memory_order_relaxed); }

uint64_t kfm_hash(const void *data, size_t size, uint64_t seed) {
    const unsigned char *byte = data;
    uint64_t hash = seed ^ UINT64_C(0xcbf29ce484222325);
    for (size_t left = size; left > 0;) {
        uint64_t word = 0;
        size_t part = left < sizeof word ? left : sizeof word;
        if (part == sizeof word) {
            memcpy(&word, byte, sizeof word); /* of a constant size: one load */
        } else {
            memcpy(&word, byte, part);
        }
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 32;
        byte += part;
        left -= part;
    }
    return kfm_mix(hash, size);
}

/* The finaliser of splitmix64 (Steele, Lea, Flood 2014). */
uint64_t kfm_mix(uint64_t a, uint64_t b) {
    uint64_t z = a + UINT64_C(0x9e3779b97f4a7c15) * (b + 1);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Read at most size - 1 bytes of a file and end them with a zero; the number of bytes, or -1. */
static long read_whole(const char *path, char *into, size_t size) {
    long fd = KFM_RAW(SYS_openat, -100, path, 02000000 /* O_CLOEXEC */);
    if (fd < 0) {
        return -1;
    }
    size_t have = 0;
    while (have < size - 1) {
        long got = KFM_RAW(SYS_read, fd, into + have, size - 1 - have);
        if (got == -EINTR) {
            continue;
        }
        if (got <= 0) {
            break;
        }
        have += (size_t)got;
    }
    KFM_RAW(SYS_close, fd);
    into[have] = '\0';
    return (long)have;
}

static bool locate(void) {
    Dl_info info;
    if (dladdr(&kfm_state, &info) == 0 || info.dli_fname == NULL) {
        return false;
    }
    size_t start = 0;
    if (info.dli_fname[0] != '/') {
        long got = KFM_RAW(SYS_getcwd, kfm_library, sizeof kfm_library);
        if (got <= 0) {
            return false;
        }
        start = strlen(kfm_library);
        if (start + 1 < sizeof kfm_library) {
            kfm_library[start++] = '/';
        }
    }
    size_t length = strlen(info.dli_fname);
    if (start + length >= sizeof kfm_library) {
        return false;
    }
    memcpy(kfm_library + start, info.dli_fname, length + 1);
    const char *slash = strrchr(kfm_library, '/');
    if (slash == NULL || (size_t)(slash - kfm_library) + 32 >= sizeof kfm_folder) {
        return false; /* 32: room for the names of our own files */
    }
    memcpy(kfm_folder, kfm_library, (size_t)(slash - kfm_library));
    kfm_folder[slash - kfm_library] = '\0';
    return true;
}

/* A decimal number, all of the text; strtoll would need a locale. */
static bool number(const char *text, int64_t *value) {
    bool negative = *text == '-';
    uint64_t sum = 0;
    text += negative;
    if (*text == '\0') {
        return false;
    }
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || sum > (UINT64_MAX - 9) / 10) {
            return false;
        }
        sum = sum * 10 + (uint64_t)(*text - '0');
    }
    *value = negative ? (int64_t)(0 - sum) : (int64_t)sum;
    return true;
}

/* Return what follows `word:` in value when it starts so. */
static const char *after(const char *value, const char *word) {
    size_t length = strlen(word);
    return strncmp(value, word, length) == 0 && value[length] == ':' ? value + length + 1 : NULL;
}

static bool set_clock(const char *value) {
    const char *amount;
    if (strcmp(value, "real") == 0) {
        return true;
    }
    if ((amount = after(value, "frozen")) != NULL) {
        kfm_setting.clock = KFM_CLOCK_FROZEN;
    } else if ((amount = after(value, "shifted")) != NULL) {
        kfm_setting.clock = KFM_CLOCK_SHIFTED;
    }
    return amount != NULL && number(amount, &kfm_setting.clock_ns);
}

static bool set_order(const char *value) {
    static const char *const words[] = {"natural", "sorted", "reversed"};
    for (int order = KFM_ORDER_NATURAL; order <= KFM_ORDER_REVERSED; order++) {
        if (strcmp(value, words[order]) == 0) {
            kfm_setting.order = (enum kfm_order)order;
            return true;
        }
    }
    const char *seed = after(value, "shuffled");
    kfm_setting.order = seed != NULL ? KFM_ORDER_SHUFFLED : KFM_ORDER_NATURAL;
    return seed != NULL && number(seed, (int64_t *)&kfm_setting.order_seed);
}

static bool set_seed(const char *value, const char *word, bool *on, uint64_t *seed) {
    const char *text = after(value, word);
    *on = text != NULL && number(text, (int64_t *)seed);
    return *on || strcmp(value, "real") == 0;
}

static bool set_one(const char *key, const char *value) {
    int64_t amount = 0;
    if (strcmp(key, "clock") == 0) {
        return set_clock(value);
    }
    if (strcmp(key, "entropy") == 0) {
        return set_seed(value, "seeded", &kfm_setting.seeded, &kfm_setting.seed);
    }
    if (strcmp(key, "threads") == 0) {
        return set_seed(value, "delayed", &kfm_setting.delays, &kfm_setting.delay_seed);
    }
    if (strcmp(key, "order") == 0) {
        return set_order(value);
    }
    if (strcmp(key, "host") == 0) {
        size_t length = strlen(value);
        if (length >= sizeof kfm_setting.host) {
            return false;
        }
        memcpy(kfm_setting.host, value, length + 1);
        return true;
    }
    if (!number(value, &amount) || amount < 0) {
        return false;
    }
    if (strcmp(key, "cpus") == 0) {
        kfm_setting.cpus = amount <= 1024 ? (int)amount : 0;
        return amount <= 1024;
    }
    if (strcmp(key, "pages") == 0) {
        kfm_setting.pages = (long)amount;
    } else if (strcmp(key, "observe") == 0) {
        kfm_setting.observe = amount != 0;
    } else if (strcmp(key, "frames") == 0) {
        kfm_setting.frames = amount != 0;
    } else if (strcmp(key, "log_bytes") == 0) {
        kfm_setting.log_bytes = (uint64_t)amount;
    } else {
        return false;
    }
    return true;
}

/* Lines `key=value`; the Python side writes them, and an unknown one is noted and passed over. */
static bool configure(void) {
    char path[KFM_PATH];
    size_t length = strlen(kfm_folder);
    memcpy(path, kfm_folder, length);
    memcpy(path + length, "/config", sizeof "/config");
    if (read_whole(path, kfm_config, sizeof kfm_config) <= 0) {
        return false;
    }
    for (char *line = kfm_config; *line != '\0';) {
        char *end = strchr(line, '\n');
        char *equals = strchr(line, '=');
        if (end == NULL) {
            kfm_config_bad = true;
            break;
        }
        *end = '\0';
        if (equals == NULL || equals > end) {
            kfm_config_bad = true;
        } else {
            *equals = '\0';
            kfm_config_bad |= !set_one(line, equals + 1);
        }
        line = end + 1;
    }
    return true;
}

static void find_real_functions(void) {
#define X(name) kfm_real.name = (__typeof__(kfm_real.name))dlsym(RTLD_NEXT, #name);
    KFM_REALS(X)
    KFM_GLIBC_REALS(X)
    X(pthread_cond_clockwait) X(sem_clockwait) X(statx)
#undef X
    kfm_real.read_chk = (__typeof__(kfm_real.read_chk))dlsym(RTLD_NEXT, "__read_chk");
#if defined(__GLIBC__) && defined(__x86_64__)
    /* dlsym may give the oldest version of it, which knows another pthread_cond_t. */
    void *timed = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    if (timed != NULL) {
        kfm_real.pthread_cond_timedwait = (__typeof__(kfm_real.pthread_cond_timedwait))timed;
    }
#endif
}

/* Without the folder that the agent's lies in: below it lies the workspace of the replay, whose name is new each
 * time. */
static uint64_t command_line_hash(void) {
    char command[8192];
    long size = read_whole("/proc/self/cmdline", command, sizeof command);
    const char *slash = strrchr(kfm_folder, '/');
    size_t place = slash != NULL ? (size_t)(slash - kfm_folder) : 0, kept = 0;
    for (size_t at = 0; size > 0 && at < (size_t)size;) {
        if (place > 1 && (size_t)size - at >= place && memcmp(command + at, kfm_folder, place) == 0) {
            at += place;
        } else {
            command[kept++] = command[at++];
        }
    }
    return kfm_hash(command, kept, 0);
}

static void set_up(void) {
    int error = errno;
    kfm_busy++;
    atomic_store(&kfm_our_pid, kfm_pid());
    find_real_functions();
    bool usable = locate() && configure();
    if (usable) {
        uint64_t lineage = kfm_environment_start();
        kfm_entropy_start(lineage, command_line_hash());
        kfm_log_start();
    }
    kfm_busy--;
    atomic_store_explicit(&kfm_state, usable ? KFM_READY : KFM_OFF, memory_order_release);
    if (usable && kfm_config_bad) {
        kfm_log(KFM_NOTE, 0, "config", "a line of the configuration is not understood");
    }
    errno = error;
}

bool kfm_active(void) {
    int state = atomic_load_explicit(&kfm_state, memory_order_acquire);
    if (state == KFM_UNSET) {
        int unset = KFM_UNSET;
        if (atomic_compare_exchange_strong(&kfm_state, &unset, KFM_SETTING_UP)) {
            set_up();
        }
        state = atomic_load_explicit(&kfm_state, memory_order_acquire);
    }
    return state == KFM_READY;
}

/* fork: the ordinal is taken before, so that two children forked at once by two threads get different ones. */
static __thread uint64_t kfm_fork_ordinal __attribute__((tls_model("initial-exec")));

static void before_fork(void) {
    kfm_fork_ordinal = kfm_lineage_of_child();
    kfm_directory_fork_prepare();
}

static void in_child(void) {
    int error = errno;
    kfm_directory_fork_done();
    atomic_store(&kfm_our_pid, kfm_pid());
    kfm_entropy_forked(kfm_fork_ordinal);
    kfm_log_forked();
    errno = error;
}

__attribute__((constructor)) static void kfm_constructor(void) {
    if (!kfm_active()) {
        return;
    }
    kfm_busy++;
    pthread_atfork(before_fork, kfm_directory_fork_done, in_child);
    kfm_place_start();
    kfm_tasks_start();
    kfm_busy--;
}

__attribute__((destructor)) static void kfm_destructor(void) {
    if (kfm_active()) {
        kfm_log_flush();
    }
}
