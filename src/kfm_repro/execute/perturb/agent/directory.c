/* opendir and its kin. In another order than the natural one, the first readdir reads the whole folder and hands it
 * out in order; rewinddir reads it anew, as POSIX has it. A folder too large to hold is given as it is, and noted. */
#include "real.h"

enum { KFM_BUCKETS = 256, KFM_MOST_NAMES = 1 << 20, KFM_MOST_BYTES = 1 << 28 };

struct listing {
    DIR *folder;
    struct listing *next;
    struct dirent **entries;
    size_t count;
    size_t position;
    bool natural; /* too large: passed through */
};

static struct listing *kfm_listings[KFM_BUCKETS];
static pthread_mutex_t kfm_listings_lock = PTHREAD_MUTEX_INITIALIZER;

void kfm_directory_fork_prepare(void) { pthread_mutex_lock(&kfm_listings_lock); }
void kfm_directory_fork_done(void) { pthread_mutex_unlock(&kfm_listings_lock); }

static struct listing **bucket(DIR *folder) {
    return &kfm_listings[((uintptr_t)folder >> 5) % KFM_BUCKETS];
}

static bool ordered(void) { return kfm_active() && kfm_setting.order != KFM_ORDER_NATURAL; }

static int compare_entries(const void *a, const void *b) {
    return kfm_compare_names((*(struct dirent *const *)a)->d_name, (*(struct dirent *const *)b)->d_name);
}

static void forget_entries(struct listing *listing) {
    for (size_t i = 0; i < listing->count; i++) {
        free(listing->entries[i]);
    }
    free(listing->entries);
    listing->entries = NULL;
    listing->count = listing->position = 0;
}

static struct dirent *copy_of(const struct dirent *entry) {
    size_t size = offsetof(struct dirent, d_name) + strlen(entry->d_name) + 1;
    /* Callers copy sizeof(struct dirent), which may be more than this entry has. */
    struct dirent *copy = calloc(1, size > sizeof *copy ? size : sizeof *copy);
    if (copy != NULL) {
        memcpy(copy, entry, size);
    }
    return copy;
}

/* Read all of it; false when it does not fit, and then the folder is at its start again. */
static bool read_entries(struct listing *listing) {
    size_t room = 0, bytes = 0;
    struct dirent *entry;
    while ((errno = 0, entry = kfm_real.readdir(listing->folder)) != NULL) {
        if (listing->count == room) {
            size_t more = room != 0 ? room * 2 : 64;
            struct dirent **larger = realloc(listing->entries, more * sizeof *larger);
            if (larger == NULL) {
                return false;
            }
            listing->entries = larger;
            room = more;
        }
        struct dirent *copy = copy_of(entry);
        if (copy == NULL) {
            return false;
        }
        listing->entries[listing->count++] = copy;
        bytes += sizeof *copy;
        if (listing->count >= KFM_MOST_NAMES || bytes >= KFM_MOST_BYTES) {
            return false;
        }
    }
    if (errno != 0) {
        return false; /* the command shall see the error where it happens */
    }
    qsort(listing->entries, listing->count, sizeof *listing->entries, compare_entries);
    return true;
}

/* The listing of a folder, made when there is none; NULL without memory. The lock is held. */
static struct listing *listing_of(DIR *folder, bool make) {
    struct listing **place = bucket(folder);
    for (struct listing *found = *place; found != NULL; found = found->next) {
        if (found->folder == folder) {
            return found;
        }
    }
    struct listing *fresh = make ? calloc(1, sizeof *fresh) : NULL;
    if (fresh == NULL) {
        return NULL;
    }
    fresh->folder = folder;
    if (!read_entries(fresh)) {
        forget_entries(fresh);
        kfm_real.rewinddir(folder);
        fresh->natural = true;
    }
    fresh->next = *place;
    *place = fresh;
    return fresh;
}

static void forget(DIR *folder) {
    pthread_mutex_lock(&kfm_listings_lock);
    for (struct listing **place = bucket(folder); *place != NULL; place = &(*place)->next) {
        if ((*place)->folder == folder) {
            struct listing *gone = *place;
            *place = gone->next;
            forget_entries(gone);
            free(gone);
            break;
        }
    }
    pthread_mutex_unlock(&kfm_listings_lock);
}

KFM_EXPORT struct dirent *readdir(DIR *folder) {
    if (!ordered()) {
        KFM_MISSING_REAL(readdir, NULL);
        return kfm_real.readdir(folder);
    }
    int saved = errno;
    struct dirent *entry = NULL;
    pthread_mutex_lock(&kfm_listings_lock);
    struct listing *listing = listing_of(folder, true);
    bool natural = listing == NULL || listing->natural;
    if (!natural && listing->position < listing->count) {
        entry = listing->entries[listing->position++];
    }
    pthread_mutex_unlock(&kfm_listings_lock);
    errno = saved; /* at the end of a folder it is unchanged */
    if (natural) {
        kfm_log(KFM_NOTE, 0, "order", "a folder could not be read whole: its order is the natural one");
    }
    return natural ? kfm_real.readdir(folder) : entry;
}

KFM_EXPORT int readdir_r(DIR *restrict folder, struct dirent *restrict into, struct dirent **restrict result) {
    int saved = errno;
    errno = 0;
    struct dirent *entry = readdir(folder);
    int error = errno;
    errno = saved;
    *result = NULL;
    if (entry == NULL) {
        return error;
    }
    size_t length = strlen(entry->d_name);
    if (length >= sizeof into->d_name) {
        return ENAMETOOLONG;
    }
    memcpy(into, entry, offsetof(struct dirent, d_name) + length + 1);
    *result = into;
    return 0;
}

#if defined(__GLIBC__)
/* On 64-bit machines the two are one. */
struct dirent64 *readdir64(DIR *folder) KFM_ALIAS(readdir);
int readdir64_r(DIR *restrict folder, struct dirent64 *restrict into, struct dirent64 **restrict result)
    KFM_ALIAS(readdir_r);
#endif

KFM_EXPORT void rewinddir(DIR *folder) {
    if (ordered()) {
        forget(folder);
    }
    if (kfm_real.rewinddir != NULL) {
        kfm_real.rewinddir(folder);
    }
}

KFM_EXPORT long telldir(DIR *folder) {
    if (ordered()) {
        pthread_mutex_lock(&kfm_listings_lock);
        struct listing *listing = listing_of(folder, true);
        long position = listing != NULL && !listing->natural ? (long)listing->position : -1;
        pthread_mutex_unlock(&kfm_listings_lock);
        if (position >= 0) {
            return position;
        }
    }
    KFM_MISSING_REAL(telldir, -1);
    return kfm_real.telldir(folder);
}

KFM_EXPORT void seekdir(DIR *folder, long position) {
    if (ordered()) {
        pthread_mutex_lock(&kfm_listings_lock);
        struct listing *listing = listing_of(folder, true);
        bool ours = listing != NULL && !listing->natural;
        if (ours && position >= 0) {
            listing->position = (size_t)position < listing->count ? (size_t)position : listing->count;
        }
        pthread_mutex_unlock(&kfm_listings_lock);
        if (ours) {
            return;
        }
    }
    if (kfm_real.seekdir != NULL) {
        kfm_real.seekdir(folder, position);
    }
}

KFM_EXPORT int closedir(DIR *folder) {
    if (ordered()) {
        forget(folder);
    }
    KFM_MISSING_REAL(closedir, -1);
    return kfm_real.closedir(folder);
}

KFM_EXPORT DIR *opendir(const char *path) {
    bool active = kfm_active();
    KFM_MISSING_REAL(opendir, NULL);
    DIR *folder = kfm_real.opendir(path);
    if (active) {
        kfm_log(KFM_LISTING, folder == NULL ? errno : 0, "opendir", path);
    }
    return folder;
}

KFM_EXPORT DIR *fdopendir(int fd) {
    bool active = kfm_active();
    KFM_MISSING_REAL(fdopendir, NULL);
    DIR *folder = kfm_real.fdopendir(fd);
    if (active && folder != NULL && kfm_observing(KFM_LISTING)) {
        char link[64] = "/proc/self/fd/", path[KFM_PATH];
        size_t end = strlen(link);
        int divisor = 1;
        while (fd / divisor >= 10) {
            divisor *= 10;
        }
        for (; divisor > 0; divisor /= 10) {
            link[end++] = (char)('0' + fd / divisor % 10);
        }
        link[end] = '\0';
        long size = KFM_RAW(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
        path[size > 0 ? size : 0] = '\0';
        kfm_log(KFM_LISTING, 0, "fdopendir", path);
    }
    return folder;
}
