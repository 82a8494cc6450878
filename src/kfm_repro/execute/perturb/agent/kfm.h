/* The agent: a library that is preloaded into a replayed command and all its children. It observes, pins and varies
 * what the command reads from its surroundings, at the boundary of the C library.
 *
 * Rules that every interposed function keeps:
 *   - errno is what the real function left, whatever we logged meanwhile;
 *   - nothing is noted from within itself: kfm_busy (per thread) turns the log off;
 *   - no lock is waited for without bound, except in functions that POSIX calls unsafe after fork and in signal
 *     handlers anyway (readdir and its kin);
 *   - real functions are looked up once, at the start: dlsym takes the loader's lock;
 *   - what goes wrong here goes wrong silently for the host: it is noted in the log, and the real answer is given. */
#ifndef KFM_H
#define KFM_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#undef _FORTIFY_SOURCE

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "raw.h"

#define KFM_EXPORT __attribute__((visibility("default")))
#define KFM_ALIAS(of) __attribute__((visibility("default"), alias(#of)))
/* Called by the sanitizers themselves, before they are set up. */
#define KFM_UNSANITIZED __attribute__((no_sanitize_thread, no_sanitize_address))
#define KFM_CONST_STRLEN(s) (sizeof(s) - 1)

enum { KFM_PATH = 4096, KFM_HOST = 65, KFM_RANDOM_FDS = 1024 };

enum kfm_clock { KFM_CLOCK_REAL, KFM_CLOCK_FROZEN, KFM_CLOCK_SHIFTED };
enum kfm_order { KFM_ORDER_NATURAL, KFM_ORDER_SORTED, KFM_ORDER_REVERSED, KFM_ORDER_SHUFFLED };

/* What can be observed. The order is that of kfm_kind_names in log.c. */
enum kfm_kind {
    KFM_PROCESS, KFM_OPEN, KFM_MISSING, KFM_CONNECT, KFM_RESOLVE, KFM_EXEC, KFM_CLOCK, KFM_ENTROPY, KFM_LISTING,
    KFM_HOSTNAME, KFM_CPU, KFM_MEMORY, KFM_TZ, KFM_LOCALE, KFM_THREAD, KFM_NOTE, KFM_KINDS
};

struct kfm_setting {
    enum kfm_clock clock;
    int64_t clock_ns; /* frozen: since 1970; shifted: what is added */
    bool seeded;
    uint64_t seed;
    enum kfm_order order;
    uint64_t order_seed;
    char host[KFM_HOST]; /* empty: real */
    int cpus;            /* 0: real */
    long pages;          /* 0: real */
    bool delays;
    uint64_t delay_seed;
    bool observe;
    bool frames;
    uint64_t log_bytes;
};

extern struct kfm_setting kfm_setting;
extern char kfm_folder[KFM_PATH];  /* where library, config and log lie; no slash at the end */
extern char kfm_library[KFM_PATH]; /* the path that LD_PRELOAD names */

extern __thread int kfm_busy __attribute__((tls_model("initial-exec")));

/* True when the agent is set up; sets it up when nobody has. */
bool kfm_active(void);
/* True when this memory belongs to this process, and not to the parent of a vfork. */
bool kfm_own_memory(void);
int kfm_pid(void);

/* log.c */
void kfm_log_start(void);
void kfm_log_forked(void);
void kfm_log_flush(void);
void kfm_limits_changed(void) KFM_UNSANITIZED;
/* Note one event. error is 0 or an errno; detail is a word of ours; text comes from the command and is escaped. */
void kfm_log(enum kfm_kind kind, int error, const char *detail, const char *text);
bool kfm_observing(enum kfm_kind kind);

/* place.c: where in a Python program we are */
struct kfm_place {
    char at[320];  /* FILE:LINE of the innermost frame */
    char own[320]; /* FILE:LINE of the innermost frame that is not of a library; empty when that is `at` */
    bool import;   /* the stack leads through an import */
};
void kfm_place_start(void);
bool kfm_place(enum kfm_kind kind, const char *text, const void *caller, struct kfm_place *place);
extern __thread const void *kfm_caller __attribute__((tls_model("initial-exec")));

/* clock.c */
int64_t kfm_wall_now(void);  /* what the command is told, without counting as a read */
int64_t kfm_real_wall(void); /* what is */
void kfm_clock_slept(int64_t ns);
bool kfm_clock_answer(int64_t *ns);

/* entropy.c */
void kfm_entropy_start(uint64_t lineage, uint64_t command);
void kfm_entropy_forked(uint64_t ordinal);
void kfm_fill(void *into, size_t size);
uint64_t kfm_mix(uint64_t a, uint64_t b);
uint64_t kfm_hash(const void *data, size_t size, uint64_t seed);
uint64_t kfm_lineage_of_child(void);
void kfm_random_opened(const char *path, int fd);
bool kfm_is_random_device(const char *path);

/* order.c */
int kfm_compare_names(const char *a, const char *b);

/* host.c: the file that stands for a faked one, or -1 */
int kfm_stand_in(const char *path, int flags);

/* directory.c */
void kfm_directory_fork_prepare(void);
void kfm_directory_fork_done(void);

/* tasks.c */
void kfm_tasks_start(void);
void kfm_delay_tasks(const void *caller);

/* process.c */
uint64_t kfm_environment_start(void);

#endif
