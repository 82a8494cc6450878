/* What libc lists by itself, past our readdir: scandir, glob, fts, nftw; and getdents64. */
#include "real.h"

enum { KFM_GETDENTS_MOST = 1 << 18, KFM_WALK_DEPTH = 512 };

static bool ordered(void) { return kfm_active() && kfm_setting.order != KFM_ORDER_NATURAL; }

static int compare_entries(const void *a, const void *b) {
    return kfm_compare_names((*(struct dirent *const *)a)->d_name, (*(struct dirent *const *)b)->d_name);
}

typedef int scandir_compare(const struct dirent **, const struct dirent **);

KFM_EXPORT int scandir(const char *restrict path, struct dirent ***restrict list,
                       int (*filter)(const struct dirent *), scandir_compare *compare) {
    bool active = kfm_active();
    KFM_MISSING_REAL(scandir, -1);
    bool ours = ordered();
    int count = kfm_real.scandir(path, list, filter, ours ? NULL : compare);
    if (ours && count > 0) {
        qsort(*list, (size_t)count, sizeof **list, compare_entries);
        if (compare != NULL) { /* what the command's order leaves open (versions, case) stays in ours */
            qsort(*list, (size_t)count, sizeof **list, (int (*)(const void *, const void *))(void *)compare);
        }
    }
    if (active) {
        kfm_log(KFM_LISTING, count < 0 ? errno : 0, "scandir", path);
    }
    return count;
}

/* By folder, and within one by name. */
static int compare_paths(const void *a, const void *b) {
    const char *first = *(char *const *)a, *second = *(char *const *)b;
    const char *first_slash = strrchr(first, '/'), *second_slash = strrchr(second, '/');
    size_t folder = first_slash != NULL ? (size_t)(first_slash - first) + 1 : 0;
    size_t other = second_slash != NULL ? (size_t)(second_slash - second) + 1 : 0;
    if (folder != other || memcmp(first, second, folder) != 0) {
        return kfm_compare_names(first, second);
    }
    return kfm_compare_names(first + folder, second + folder);
}

KFM_EXPORT int glob(const char *restrict pattern, int flags, int (*failed)(const char *, int), glob_t *restrict into) {
    bool active = kfm_active();
    KFM_MISSING_REAL(glob, GLOB_NOMATCH);
    size_t before = flags & GLOB_APPEND ? into->gl_pathc : 0;
    int result = kfm_real.glob(pattern, flags, failed, into);
    if (result == 0 && (flags & GLOB_NOSORT) && ordered()) {
        size_t start = before + (flags & GLOB_DOOFFS ? into->gl_offs : 0);
        qsort(into->gl_pathv + start, into->gl_pathc - before, sizeof *into->gl_pathv, compare_paths);
    }
    if (active) {
        kfm_log(KFM_LISTING, 0, "glob", pattern);
    }
    return result;
}

#if defined(__GLIBC__)
int scandir64(const char *restrict path, struct dirent64 ***restrict list, int (*filter)(const struct dirent64 *),
              int (*compare)(const struct dirent64 **, const struct dirent64 **)) KFM_ALIAS(scandir);
int glob64(const char *restrict pattern, int flags, int (*failed)(const char *, int), glob64_t *restrict into)
    KFM_ALIAS(glob);

static int compare_fts(const FTSENT **a, const FTSENT **b) {
    return kfm_compare_names((*a)->fts_name, (*b)->fts_name);
}

KFM_EXPORT FTS *fts_open(char *const *paths, int options, int (*compare)(const FTSENT **, const FTSENT **)) {
    bool active = kfm_active();
    KFM_MISSING_REAL(fts_open, NULL);
    if (compare == NULL && ordered() && paths[0] != NULL && paths[1] == NULL) {
        compare = compare_fts; /* several start points would be put in order too: those stay as given */
    }
    if (active && paths[0] != NULL) {
        kfm_log(KFM_LISTING, 0, "fts", paths[0]);
    }
    return kfm_real.fts_open(paths, options, compare);
}
#endif

/* nftw, which takes no order: our own walk with our readdir. What is rarely asked for (changing into folders, skipping
 * by return value) is left to the real one, and noted. */
typedef int walk_visit(const char *, const struct stat *, int, struct FTW *);

struct walk {
    walk_visit *visit;
    int flags;
    dev_t device;
    char path[KFM_PATH];
};

static int walk_from(struct walk *walk, size_t length, size_t base, int level);

static int walk_inside(struct walk *walk, size_t length, int level) {
    struct dirent **names = NULL;
    int result = 0;
    int count = scandir(walk->path, &names, NULL, NULL);
    for (int i = 0; i < count; i++) {
        const char *name = names[i]->d_name;
        size_t extra = strlen(name);
        bool dots = strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
        if (result == 0 && !dots && length + 1 + extra < sizeof walk->path) {
            bool slash = length == 0 || walk->path[length - 1] != '/';
            walk->path[length] = '/';
            memcpy(walk->path + length + slash, name, extra + 1);
            result = walk_from(walk, length + slash + extra, length + slash, level + 1);
            walk->path[length] = '\0';
        }
        free(names[i]);
    }
    free(names);
    return result;
}

static int walk_from(struct walk *walk, size_t length, size_t base, int level) {
    struct stat state;
    struct FTW place = {.base = (int)base, .level = level};
    int kind = FTW_F;
    if (KFM_RAW(SYS_newfstatat, AT_FDCWD, walk->path, &state, walk->flags & FTW_PHYS ? AT_SYMLINK_NOFOLLOW : 0) != 0) {
        bool dangling = !(walk->flags & FTW_PHYS)
            && KFM_RAW(SYS_newfstatat, AT_FDCWD, walk->path, &state, AT_SYMLINK_NOFOLLOW) == 0;
        return walk->visit(walk->path, &state, dangling ? FTW_SLN : FTW_NS, &place);
    }
    if (level == 0) {
        walk->device = state.st_dev;
    } else if ((walk->flags & FTW_MOUNT) && state.st_dev != walk->device) {
        return 0;
    }
    if (S_ISLNK(state.st_mode)) {
        kind = FTW_SL;
    } else if (S_ISDIR(state.st_mode)) {
        kind = KFM_RAW(SYS_faccessat, AT_FDCWD, walk->path, R_OK) != 0 ? FTW_DNR : FTW_D;
    }
    if (kind != FTW_D || level >= KFM_WALK_DEPTH) {
        return walk->visit(walk->path, &state, kind, &place);
    }
    int result = walk->flags & FTW_DEPTH ? 0 : walk->visit(walk->path, &state, FTW_D, &place);
    if (result == 0) {
        result = walk_inside(walk, length, level);
    }
    if (result == 0 && (walk->flags & FTW_DEPTH)) {
        result = walk->visit(walk->path, &state, FTW_DP, &place);
    }
    return result;
}

KFM_EXPORT int nftw(const char *path, walk_visit *visit, int descriptors, int flags) {
    bool active = kfm_active();
    size_t length = strlen(path);
    /* Only physical walks are ours: those that follow links must know a circle when they meet one. */
    if (ordered() && flags >= 0 && (flags & FTW_PHYS) && !(flags & ~(FTW_PHYS | FTW_MOUNT | FTW_DEPTH))
        && length > 0 && length < KFM_PATH) {
        struct walk walk = {.visit = visit, .flags = flags};
        memcpy(walk.path, path, length + 1);
        const char *slash = strrchr(path, '/');
        struct stat state;
        long error = KFM_RAW(SYS_newfstatat, AT_FDCWD, path, &state, AT_SYMLINK_NOFOLLOW);
        if (error < 0) {
            errno = (int)-error;
            return -1;
        }
        return walk_from(&walk, length, slash != NULL && slash[1] != '\0' ? (size_t)(slash - path) + 1 : 0, 0);
    }
    if (active) {
        kfm_log(KFM_LISTING, 0, ordered() ? "nftw (natural order)" : "nftw", path);
    }
    KFM_MISSING_REAL(nftw, -1);
    return kfm_real.nftw(path, visit, descriptors, flags);
}

#if defined(__GLIBC__)
int nftw64(const char *path, int (*visit)(const char *, const struct stat64 *, int, struct FTW *), int descriptors,
           int flags) KFM_ALIAS(nftw);
#endif

/* struct linux_dirent64, of the kernel */
struct kernel_entry {
    uint64_t inode;
    int64_t next;
    uint16_t size;
    uint8_t type;
    char name[];
};

/* Put what one getdents64 gave in order, in place and without memory: this may run in a child of vfork. A folder that
 * takes several calls is in order within each. d_off keeps its position, for the last one is where a reader goes on. */
void kfm_order_kernel_entries(char *buffer, size_t size) {
    char one[512];
    if (size > KFM_GETDENTS_MOST) {
        return;
    }
    for (size_t at = 0; at + offsetof(struct kernel_entry, name) < size;) {
        struct kernel_entry *entry = (struct kernel_entry *)(void *)(buffer + at);
        size_t length = entry->size;
        if (length == 0 || length > sizeof one || at + length > size) {
            return;
        }
        size_t to = 0;
        while (to < at) {
            struct kernel_entry *other = (struct kernel_entry *)(void *)(buffer + to);
            if (kfm_compare_names(entry->name, other->name) < 0) {
                break;
            }
            to += other->size;
        }
        if (to < at) {
            memcpy(one, entry, length);
            memmove(buffer + to + length, buffer + to, at - to);
            memcpy(buffer + to, one, length);
        }
        at += length;
    }
}

#if !defined(__GLIBC__)
#undef getdents64
ssize_t getdents64(int fd, void *buffer, size_t size);
#endif
KFM_EXPORT ssize_t getdents64(int fd, void *buffer, size_t size) {
    long got = KFM_RAW(SYS_getdents64, fd, buffer, size);
    if (got < 0) {
        errno = (int)-got;
        return -1;
    }
    if (ordered()) {
        kfm_order_kernel_entries(buffer, (size_t)got);
    }
    return got;
}
