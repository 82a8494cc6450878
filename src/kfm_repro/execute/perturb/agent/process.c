/* Programs that are started. LD_PRELOAD and our key are taken out of the environment before main, so that a command
 * that writes its environment down writes what it would without us; every start of a program puts them back, so that
 * a child with an empty environment is covered too. No memory is taken: exec may be called in a child of vfork. */
#include "real.h"

#include <alloca.h>
#include <elf.h>
#include <stdarg.h>
#include <sys/wait.h>

extern char **environ;

enum { KFM_MOST_VARIABLES = 4096, KFM_MOST_ARGUMENTS = 4096, KFM_KEY_DIGITS = 16, KFM_HEADERS = 64 };

static const char preload[] = "LD_PRELOAD=";
static const char key[] = "KFM_AGENT_KEY=";
static char kfm_other_preload[KFM_PATH]; /* what the command's own LD_PRELOAD was */

static bool is_variable(const char *entry, const char *name) { return strncmp(entry, name, strlen(name)) == 0; }

/* Where ours stands in a list of libraries; NULL when it does not. */
static const char *our_part(const char *list) {
    const char *found = strstr(list, kfm_library);
    return found != NULL && kfm_library[0] != '\0' ? found : NULL;
}

static uint64_t read_key(const char *digits) {
    uint64_t value = 0;
    for (int i = 0; i < KFM_KEY_DIGITS; i++) {
        char c = digits[i];
        if (c >= '0' && c <= '9') {
            value = value << 4 | (uint64_t)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            value = value << 4 | (uint64_t)(c - 'a' + 10);
        } else {
            return 0;
        }
    }
    return value;
}

/* Take our variables out; what else LD_PRELOAD named stays. Returns the key, 0 for the first process. */
uint64_t kfm_environment_start(void) {
    uint64_t lineage = 0;
    char **to = environ;
    for (char **from = environ; from != NULL && *from != NULL; from++) {
        if (is_variable(*from, key)) {
            lineage = read_key(*from + sizeof key - 1);
            continue;
        }
        if (is_variable(*from, preload)) {
            const char *list = *from + sizeof preload - 1;
            const char *ours = our_part(list);
            const char *rest = ours != NULL ? ours + strlen(kfm_library) : list;
            size_t before = ours != NULL ? (size_t)(ours - list) : 0;
            rest += ours != NULL && (*rest == ':' || *rest == ' ');
            if (before + strlen(rest) == 0) {
                continue;
            }
            if (before + strlen(rest) + sizeof preload <= sizeof kfm_other_preload) {
                memcpy(kfm_other_preload, preload, sizeof preload - 1);
                memcpy(kfm_other_preload + sizeof preload - 1, list, before);
                memcpy(kfm_other_preload + sizeof preload - 1 + before, rest, strlen(rest) + 1);
                *to++ = kfm_other_preload;
                continue;
            }
        }
        *to++ = *from;
    }
    if (to != NULL) {
        *to = NULL;
    }
    return lineage;
}

/* The environment of a child. `room` has two entries more than the given one has, `text` holds ours. */
struct child {
    char preload[2 * KFM_PATH];
    char key[sizeof key + KFM_KEY_DIGITS];
};

static size_t entries(char *const list[], size_t most) {
    size_t count = 0;
    while (list != NULL && count <= most && list[count] != NULL) {
        count++;
    }
    return count;
}

static void write_key(char *into) {
    uint64_t lineage = kfm_lineage_of_child();
    memcpy(into, key, sizeof key - 1);
    for (int i = 0; i < KFM_KEY_DIGITS; i++) {
        into[(int)sizeof key - 1 + i] = "0123456789abcdef"[(lineage >> (60 - 4 * i)) & 15];
    }
    into[sizeof key - 1 + KFM_KEY_DIGITS] = '\0';
}

static void complete(char *const given[], size_t count, char **room, struct child *child) {
    size_t size = 0;
    const char *others = NULL;
    for (size_t i = 0; i < count; i++) {
        if (is_variable(given[i], preload)) {
            others = given[i] + sizeof preload - 1;
        } else if (!is_variable(given[i], key)) {
            room[size++] = given[i];
        }
    }
    size_t ours = strlen(kfm_library);
    memcpy(child->preload, preload, sizeof preload - 1);
    memcpy(child->preload + sizeof preload - 1, kfm_library, ours + 1);
    size_t end = sizeof preload - 1 + ours;
    if (others != NULL && *others != '\0' && our_part(others) == NULL
        && end + 2 + strlen(others) < sizeof child->preload) {
        child->preload[end] = ':';
        memcpy(child->preload + end + 1, others, strlen(others) + 1);
    } else if (others != NULL && our_part(others) != NULL && strlen(others) + sizeof preload < sizeof child->preload) {
        memcpy(child->preload + sizeof preload - 1, others, strlen(others) + 1);
    }
    write_key(child->key);
    room[size++] = child->preload;
    room[size++] = child->key;
    room[size] = NULL;
}

/* `given` completed, on the stack of the caller; as it is where there is too much of it. */
#define KFM_COMPLETE(given, completed) \
    struct child kfm_child; \
    char *const *completed = (given); \
    if (kfm_active()) { \
        size_t kfm_count = entries((given), KFM_MOST_VARIABLES); \
        if (kfm_count <= KFM_MOST_VARIABLES) { \
            char **kfm_room = alloca((kfm_count + 3) * sizeof *kfm_room); \
            complete((given), kfm_count, kfm_room, &kfm_child); \
            completed = kfm_room; \
        } else { \
            kfm_log(KFM_NOTE, 0, "lost", "an environment is too large to be completed"); \
        } \
    }

/* What the loader cannot preload into: a program without one, or one that gives other rights. */
static const char *uncovered(long fd) {
    union {
        Elf64_Ehdr header;
        unsigned char bytes[64];
    } start;
    Elf64_Phdr segments[KFM_HEADERS];
    struct stat state;
    if (KFM_RAW(SYS_fstat, fd, &state) == 0 && (state.st_mode & (S_ISUID | S_ISGID))) {
        return "setuid";
    }
    if (KFM_RAW(SYS_read, fd, &start, sizeof start) != (long)sizeof start
        || memcmp(start.bytes, ELFMAG, SELFMAG) != 0) {
        return NULL; /* a script: its interpreter is looked at when libc or the kernel starts it */
    }
    if (start.bytes[EI_CLASS] != ELFCLASS64) {
        return "other machine";
    }
    size_t count = start.header.e_phnum;
    if (start.header.e_phentsize != sizeof segments[0] || count > KFM_HEADERS
        || KFM_RAW(SYS_pread64, fd, segments, count * sizeof segments[0], start.header.e_phoff)
            != (long)(count * sizeof segments[0])) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        if (segments[i].p_type == PT_INTERP) {
            return NULL;
        }
    }
    return "static";
}

/* Say which program is about to be started, and what is known of it. */
static void noted_start(const char *path, const char *function) {
    if (!kfm_active() || !kfm_observing(KFM_EXEC) || path == NULL) {
        return;
    }
    int saved = errno;
    long fd = strchr(path, '/') != NULL ? KFM_RAW(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC) : -EAGAIN;
    if (fd >= 0) {
        const char *why = uncovered(fd);
        KFM_RAW(SYS_close, fd);
        kfm_log(KFM_EXEC, 0, why != NULL ? why : function, path);
    } else {
        /* Found on PATH, or readable by nobody: only what does not exist is an error. */
        kfm_log(KFM_EXEC, fd == -ENOENT || fd == -ENOTDIR ? (int)-fd : 0, function, path);
    }
    kfm_log_flush(); /* this process may be gone in a moment */
    errno = saved;
}

KFM_EXPORT int execve(const char *path, char *const arguments[], char *const variables[]) {
    noted_start(path, "execve");
    KFM_COMPLETE(variables, completed)
    KFM_MISSING_REAL(execve, -1);
    return kfm_real.execve(path, arguments, completed);
}

KFM_EXPORT int execv(const char *path, char *const arguments[]) { return execve(path, arguments, environ); }

KFM_EXPORT int execvpe(const char *file, char *const arguments[], char *const variables[]) {
    noted_start(file, "execvp");
    KFM_COMPLETE(variables, completed)
    KFM_MISSING_REAL(execvpe, -1);
    return kfm_real.execvpe(file, arguments, completed);
}

KFM_EXPORT int execvp(const char *file, char *const arguments[]) { return execvpe(file, arguments, environ); }

KFM_EXPORT int fexecve(int fd, char *const arguments[], char *const variables[]) {
    if (kfm_active()) {
        kfm_log(KFM_EXEC, 0, "fexecve", "");
        kfm_log_flush();
    }
    KFM_COMPLETE(variables, completed)
    KFM_MISSING_REAL(fexecve, -1);
    return kfm_real.fexecve(fd, arguments, completed);
}

/* The arguments of an execl; `last` is the list that stands after their end. */
#define KFM_ARGUMENTS(first, list, rest) \
    char *list[KFM_MOST_ARGUMENTS + 1]; \
    va_list rest; \
    va_start(rest, first); \
    if (!collect(first, list, &rest)) { \
        va_end(rest); \
        errno = E2BIG; \
        return -1; \
    }

static bool collect(const char *first, char **list, va_list *rest) {
    size_t count = 0;
    for (const char *one = first; one != NULL; one = va_arg(*rest, const char *)) {
        if (count == KFM_MOST_ARGUMENTS) {
            return false;
        }
        list[count++] = (char *)(uintptr_t)one;
    }
    list[count] = NULL;
    return true;
}

KFM_EXPORT int execl(const char *path, const char *first, ...) {
    KFM_ARGUMENTS(first, list, rest)
    va_end(rest);
    return execve(path, list, environ);
}

KFM_EXPORT int execlp(const char *file, const char *first, ...) {
    KFM_ARGUMENTS(first, list, rest)
    va_end(rest);
    return execvpe(file, list, environ);
}

KFM_EXPORT int execle(const char *path, const char *first, ...) {
    KFM_ARGUMENTS(first, list, rest)
    char *const *variables = va_arg(rest, char *const *);
    va_end(rest);
    return execve(path, list, variables);
}

KFM_EXPORT int posix_spawn(pid_t *restrict pid, const char *restrict path,
                           const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *restrict attributes,
                           char *const arguments[restrict], char *const variables[restrict]) {
    noted_start(path, "posix_spawn");
    KFM_COMPLETE(variables != NULL ? variables : environ, completed)
    if (kfm_real.posix_spawn == NULL) {
        return ENOSYS;
    }
    return kfm_real.posix_spawn(pid, path, actions, attributes, arguments, completed);
}

KFM_EXPORT int posix_spawnp(pid_t *restrict pid, const char *restrict file,
                            const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *restrict attributes,
                            char *const arguments[restrict], char *const variables[restrict]) {
    noted_start(file, "posix_spawnp");
    KFM_COMPLETE(variables != NULL ? variables : environ, completed)
    if (kfm_real.posix_spawnp == NULL) {
        return ENOSYS;
    }
    return kfm_real.posix_spawnp(pid, file, actions, attributes, arguments, completed);
}
