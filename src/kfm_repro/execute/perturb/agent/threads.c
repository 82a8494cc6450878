/* The schedule: a new thread waits a moment, drawn from the seed, before it runs. Threads cannot be made to take turns
 * from here: what they wait for is not known. What workers do once they have started is for tasks.c. */
#include "real.h"

enum { KFM_LONGEST_US = 4000 };

struct start {
    void *(*run)(void *);
    void *argument;
    unsigned wait_us;
};

static atomic_ullong kfm_threads;

static void *wait_and_run(void *given) {
    struct start start = *(struct start *)given;
    free(given);
    struct timespec pause = {0, (long)start.wait_us * 1000};
    KFM_RAW(SYS_nanosleep, &pause, 0);
    return start.run(start.argument);
}

KFM_EXPORT int pthread_create(pthread_t *restrict thread, const pthread_attr_t *restrict attributes,
                              void *(*run)(void *), void *restrict argument) {
    bool active = kfm_active();
    if (kfm_real.pthread_create == NULL) {
        return EAGAIN;
    }
    if (active) {
        kfm_log(KFM_THREAD, 0, "pthread_create", "");
        kfm_delay_tasks(__builtin_return_address(0));
    }
    struct start *start = active && kfm_setting.delays ? malloc(sizeof *start) : NULL;
    if (start == NULL) {
        return kfm_real.pthread_create(thread, attributes, run, argument);
    }
    uint64_t drawn = kfm_mix(kfm_setting.delay_seed, atomic_fetch_add(&kfm_threads, 1));
    *start = (struct start){run, argument, (unsigned)(drawn % KFM_LONGEST_US)};
    int error = kfm_real.pthread_create(thread, attributes, wait_and_run, start);
    if (error != 0) {
        free(start);
    }
    return error;
}
