/* The log: one line per event, written with one write(2) to an O_APPEND descriptor, so that processes and threads do
 * not mix and a signal handler may log. Repetitions are counted in a small table.
 *
 * Fields are separated by tabs and end with a newline:
 *   E  pid  instance  id  kind  error  detail  text  at  own  import       an event, seen for the first time
 *   C  pid  instance  id  count                                           how often that was
 *      own is "=" where it is the same as at
 *   X  pid  instance  full                                                the log has reached its bound
 * Everything that comes from the command is escaped as \xHH outside of printable ASCII: no name can forge a line. */
#include "real.h"

enum { KFM_TEXT_MAX = 2048, KFM_LINE_MAX = 4000, KFM_HEAD_MAX = 96, KFM_SLOTS = 4096, KFM_SPINS = 200 };

static const char *const kfm_kind_names[KFM_KINDS] = {
    "process", "open", "missing", "connect", "resolve", "exec", "clock", "entropy", "listing",
    "hostname", "cpu", "memory", "tz", "locale", "thread", "note",
};

static atomic_int kfm_log_fd = -1;
static atomic_bool kfm_log_off;
static char kfm_log_path[KFM_PATH];
static dev_t kfm_log_dev;
static ino_t kfm_log_ino;
static atomic_ullong kfm_instance;

struct slot {
    uint64_t id;
    uint32_t count;
    uint32_t written;
};
static struct slot kfm_slots[KFM_SLOTS];
static atomic_flag kfm_slots_lock = ATOMIC_FLAG_INIT;

struct line {
    char text[KFM_LINE_MAX];
    size_t size;
};

static void add_char(struct line *line, char c) {
    if (line->size < sizeof line->text) {
        line->text[line->size++] = c;
    }
}

static void add(struct line *line, const char *text) {
    for (; *text != '\0'; text++) {
        add_char(line, *text);
    }
}

static void add_number(struct line *line, uint64_t value, unsigned base) {
    char digits[24];
    size_t count = 0;
    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    while (count > 0) {
        add_char(line, digits[--count]);
    }
}

/* At most `room` bytes of escaped text; what is cut off is shown by \~ at the end. */
static void add_escaped(struct line *line, const char *text, size_t room) {
    size_t end = line->size + room;
    if (end + KFM_CONST_STRLEN("\\~") > sizeof line->text) {
        return; /* by the limits above there is always room */
    }
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain = c >= 0x20 && c < 0x7f && c != '\\';
        if (line->size + (plain ? 1 : 4) > end) {
            add(line, "\\~");
            return;
        }
        if (plain) {
            line->text[line->size++] = (char)c;
        } else {
            add(line, "\\x");
            add_char(line, "0123456789abcdef"[c >> 4]);
            add_char(line, "0123456789abcdef"[c & 15]);
        }
    }
}

static bool is_our_log(int fd, struct stat *state) {
    return fd >= 0 && KFM_RAW(SYS_fstat, fd, state) == 0 && state->st_dev == kfm_log_dev
        && state->st_ino == kfm_log_ino;
}

/* Open the log at a high number, out of the way of the command's own. */
static int open_log(void) {
    static const int high[] = {900, 500, 200, 60};
    long fd = KFM_RAW(SYS_openat, AT_FDCWD, kfm_log_path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return -1;
    }
    for (size_t i = 0; i < sizeof high / sizeof high[0]; i++) {
        long moved = KFM_RAW(SYS_fcntl, fd, F_DUPFD_CLOEXEC, high[i]);
        if (moved >= 0) {
            KFM_RAW(SYS_close, fd);
            return (int)moved;
        }
    }
    return (int)fd;
}

/* The descriptor, proved to be the log's: the command may have closed it, and the number may be another file's now. */
static int log_descriptor(struct stat *state) {
    int fd = atomic_load(&kfm_log_fd);
    if (is_our_log(fd, state)) {
        return fd;
    }
    int fresh = open_log();
    if (!is_our_log(fresh, state)) {
        if (fresh >= 0) {
            KFM_RAW(SYS_close, fresh);
        }
        return -1;
    }
    if (!atomic_compare_exchange_strong(&kfm_log_fd, &fd, fresh)) {
        KFM_RAW(SYS_close, fresh); /* another thread was quicker */
        return is_our_log(fd, state) ? fd : -1;
    }
    return fresh;
}

static void head(struct line *line, char kind) {
    add_char(line, kind);
    add_char(line, '\t');
    add_number(line, (uint64_t)kfm_pid(), 10);
    add_char(line, '\t');
    add_number(line, atomic_load(&kfm_instance), 16);
    add_char(line, '\t');
}

/* A write past RLIMIT_FSIZE would raise SIGXFSZ in the command. Asked only where there may be such a limit: from the
 * start, or since the command set one (host.c). */
static atomic_bool kfm_file_limited;

void kfm_limits_changed(void) { atomic_store(&kfm_file_limited, true); }

static bool within_file_limit(uint64_t end) {
    uint64_t limit[2]; /* struct rlimit64 */
    return !atomic_load_explicit(&kfm_file_limited, memory_order_relaxed)
        || KFM_RAW(SYS_prlimit64, 0, 1 /* RLIMIT_FSIZE */, 0, limit) != 0 || end <= limit[0];
}

static void put(const char *text, size_t size) {
    struct stat state;
    int fd = log_descriptor(&state);
    if (fd < 0 || !within_file_limit((uint64_t)state.st_size + 2 * KFM_LINE_MAX)) {
        return;
    }
    if ((uint64_t)state.st_size + size > kfm_setting.log_bytes) {
        if (!atomic_exchange(&kfm_log_off, true)) {
            struct line line = {.size = 0};
            head(&line, 'X');
            add(&line, "full\n");
            KFM_RAW(SYS_write, fd, line.text, line.size);
        }
        return;
    }
    KFM_RAW(SYS_write, fd, text, size);
}

static void put_count(uint64_t id, uint32_t count) {
    struct line line; /* only its first bytes are touched */
    line.size = 0;
    head(&line, 'C');
    add_number(&line, id, 16);
    add_char(&line, '\t');
    add_number(&line, count, 10);
    add_char(&line, '\n');
    put(line.text, line.size);
}

static bool lock_slots(void) {
    for (int i = 0; i < KFM_SPINS; i++) {
        if (!atomic_flag_test_and_set_explicit(&kfm_slots_lock, memory_order_acquire)) {
            return true;
        }
        KFM_RAW(SYS_sched_yield);
    }
    return false; /* its holder is gone (a raw fork) or far behind: do without */
}

/* Count one more of `id`. True when it is new to the table; *count is then or else what is worth writing, or 0. */
static bool count_one(uint64_t id, struct slot *pushed_out, uint32_t *count) {
    *count = 0;
    pushed_out->count = pushed_out->written = 0;
    if (!lock_slots()) {
        return true;
    }
    struct slot *slot = &kfm_slots[id % KFM_SLOTS];
    bool fresh = slot->id != id || slot->count == 0;
    if (fresh) {
        *pushed_out = *slot;
        *slot = (struct slot){.id = id, .count = 1, .written = 1};
    } else if (slot->count < UINT32_MAX) {
        slot->count++;
        if ((slot->count & (slot->count - 1)) == 0) { /* the powers of two, lest a killed process say 1 */
            *count = slot->written = slot->count;
        }
    }
    atomic_flag_clear_explicit(&kfm_slots_lock, memory_order_release);
    return fresh;
}

bool kfm_observing(enum kfm_kind kind) {
    (void)kind;
    return kfm_setting.observe && !atomic_load_explicit(&kfm_log_off, memory_order_relaxed);
}

static void body(struct line *line, enum kfm_kind kind, int error, const char *detail, const char *text) {
    struct kfm_place place;
    add(line, kfm_kind_names[kind]);
    add_char(line, '\t');
    add_number(line, (uint64_t)error, 10);
    add_char(line, '\t');
    add(line, detail);
    add_char(line, '\t');
    add_escaped(line, text, KFM_TEXT_MAX);
    add_char(line, '\t');
    if (kfm_setting.frames && kfm_place(kind, text, kfm_caller, &place)) {
        add_escaped(line, place.at, 640);
        add_char(line, '\t');
        if (place.own[0] != '\0' && strcmp(place.own, place.at) == 0) {
            add_char(line, '=');
        } else {
            add_escaped(line, place.own, 640);
        }
        add_char(line, '\t');
        add_char(line, place.import ? '1' : '0');
    } else {
        add(line, "\t\t0");
    }
    add_char(line, '\n');
}

void kfm_log(enum kfm_kind kind, int error, const char *detail, const char *text) {
    if (!kfm_observing(kind) || kfm_busy > 0) {
        return;
    }
    int saved = errno;
    kfm_busy++;
    struct line line;
    line.size = KFM_HEAD_MAX; /* the head goes before it, when the id is known */
    body(&line, kind, error, detail, text == NULL ? "" : text);
    if (line.size < sizeof line.text) { /* by the limits above it always fits */
        uint64_t id = kfm_hash(line.text + KFM_HEAD_MAX, line.size - KFM_HEAD_MAX, 0);
        struct slot pushed_out;
        uint32_t count;
        bool fresh = count_one(id, &pushed_out, &count);
        if (pushed_out.count > pushed_out.written) {
            put_count(pushed_out.id, pushed_out.count);
        }
        if (fresh) {
            size_t end = line.size;
            line.size = 0;
            head(&line, 'E');
            add_number(&line, id, 16);
            add_char(&line, '\t');
            size_t start = KFM_HEAD_MAX - line.size;
            memmove(line.text + start, line.text, line.size);
            put(line.text + start, end - start);
        } else if (count > 0) {
            put_count(id, count);
        }
    }
    kfm_busy--;
    errno = saved;
}

/* The next slot from *index on whose count is not written yet; false at the end. */
static bool take_unwritten(size_t *index, struct slot *slot) {
    bool found = false;
    if (!lock_slots()) {
        return false;
    }
    for (; *index < KFM_SLOTS && !found; (*index)++) {
        if (kfm_slots[*index].count > kfm_slots[*index].written) {
            *slot = kfm_slots[*index];
            kfm_slots[*index].written = slot->count;
            found = true;
        }
    }
    atomic_flag_clear_explicit(&kfm_slots_lock, memory_order_release);
    return found;
}

void kfm_log_flush(void) {
    if (!kfm_setting.observe || !kfm_own_memory()) {
        return;
    }
    int saved = errno;
    struct slot slot;
    kfm_busy++;
    for (size_t index = 0; !atomic_load(&kfm_log_off) && take_unwritten(&index, &slot);) {
        put_count(slot.id, slot.count);
    }
    kfm_busy--;
    errno = saved;
}

static void new_instance(void) {
    struct timespec now = {0, 0};
    KFM_RAW(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    uint64_t moment = (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
    atomic_store(&kfm_instance, kfm_mix(moment, (uint64_t)kfm_pid()));
}

void kfm_log_start(void) {
    if (!kfm_setting.observe) {
        return;
    }
    size_t length = strlen(kfm_folder);
    memcpy(kfm_log_path, kfm_folder, length);
    memcpy(kfm_log_path + length, "/log/events", sizeof "/log/events");
    struct stat state;
    int fd = open_log();
    if (fd < 0 || KFM_RAW(SYS_fstat, fd, &state) != 0) {
        kfm_setting.observe = false;
        return;
    }
    kfm_log_dev = state.st_dev;
    kfm_log_ino = state.st_ino;
    atomic_store(&kfm_log_fd, fd);
    atomic_store(&kfm_file_limited, true);
    atomic_store(&kfm_file_limited, !within_file_limit(UINT64_MAX)); /* RLIM_INFINITY */
    new_instance();
}

void kfm_log_forked(void) {
    if (!kfm_setting.observe) {
        return;
    }
    atomic_flag_clear(&kfm_slots_lock);
    memset(kfm_slots, 0, sizeof kfm_slots);
    new_instance();
}
