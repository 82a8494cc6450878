/* Waiting. Deadlines on the wall clock are computed by the command from the time that we told it, and kept by the
 * kernel against the real one: they are moved, or a wait would end at once or never. Sleeps are counted for the
 * frozen clock. Nothing here is done while the clock is real. */
#include "real.h"

#define KFM_SECOND INT64_C(1000000000)
#define KFM_LATEST_S INT64_C(8000000000)

static bool moved_clock(void) { return kfm_active() && kfm_setting.clock != KFM_CLOCK_REAL; }

static bool sane(const struct timespec *time) {
    return time != NULL && time->tv_sec >= 0 && time->tv_sec < KFM_LATEST_S && time->tv_nsec >= 0
        && time->tv_nsec < KFM_SECOND;
}

static int64_t in_ns(const struct timespec *time) { return (int64_t)time->tv_sec * KFM_SECOND + time->tv_nsec; }

/* The deadline in real time; `room` holds it. */
static const struct timespec *real_deadline(const struct timespec *given, struct timespec *room) {
    if (!moved_clock() || !sane(given)) {
        return given;
    }
    int64_t deadline = kfm_real_wall() + (in_ns(given) - kfm_wall_now());
    if (deadline < 0) {
        deadline = 0;
    }
    room->tv_sec = (time_t)(deadline / KFM_SECOND);
    room->tv_nsec = (long)(deadline % KFM_SECOND);
    return room;
}

static int64_t distance(int64_t a, int64_t b) { return a > b ? a - b : b - a; }

/* A condition variable may have been set to the monotonic clock, which it does not tell: a time that lies nearer to
 * that clock than to the wall clock is meant so. */
static bool means_monotonic(const struct timespec *given) {
    struct timespec monotonic = {0, 0};
    KFM_RAW(SYS_clock_gettime, CLOCK_MONOTONIC, &monotonic);
    return sane(given)
        && distance(in_ns(given), in_ns(&monotonic)) < distance(in_ns(given), kfm_wall_now());
}

KFM_EXPORT int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                                      const struct timespec *restrict deadline) {
    struct timespec room;
    kfm_active();
    if (kfm_real.pthread_cond_timedwait == NULL) {
        return ENOSYS;
    }
    if (moved_clock() && !means_monotonic(deadline)) {
        deadline = real_deadline(deadline, &room);
    }
    return kfm_real.pthread_cond_timedwait(condition, mutex, deadline);
}

KFM_EXPORT int pthread_cond_clockwait(pthread_cond_t *condition, pthread_mutex_t *mutex, clockid_t clock,
                                      const struct timespec *deadline) {
    struct timespec room;
    kfm_active();
    if (kfm_real.pthread_cond_clockwait == NULL) {
        return ENOSYS;
    }
    return kfm_real.pthread_cond_clockwait(condition, mutex, clock,
                                           clock == CLOCK_REALTIME ? real_deadline(deadline, &room) : deadline);
}

KFM_EXPORT int pthread_mutex_timedlock(pthread_mutex_t *restrict mutex, const struct timespec *restrict deadline) {
    struct timespec room;
    kfm_active();
    if (kfm_real.pthread_mutex_timedlock == NULL) {
        return ENOSYS;
    }
    return kfm_real.pthread_mutex_timedlock(mutex, real_deadline(deadline, &room));
}

KFM_EXPORT int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict deadline) {
    struct timespec room;
    kfm_active();
    KFM_MISSING_REAL(sem_timedwait, -1);
    return kfm_real.sem_timedwait(semaphore, real_deadline(deadline, &room));
}

KFM_EXPORT int sem_clockwait(sem_t *semaphore, clockid_t clock, const struct timespec *deadline) {
    struct timespec room;
    kfm_active();
    KFM_MISSING_REAL(sem_clockwait, -1);
    return kfm_real.sem_clockwait(semaphore, clock,
                                  clock == CLOCK_REALTIME ? real_deadline(deadline, &room) : deadline);
}

KFM_EXPORT int clock_nanosleep(clockid_t clock, int flags, const struct timespec *time, struct timespec *rest) {
    struct timespec room;
    kfm_active();
    if (kfm_real.clock_nanosleep == NULL) {
        return ENOSYS;
    }
    if (moved_clock() && sane(time)) {
        if (!(flags & TIMER_ABSTIME)) {
            kfm_clock_slept(in_ns(time));
        } else if (clock == CLOCK_REALTIME) {
            kfm_clock_slept(in_ns(time) - kfm_wall_now());
            time = real_deadline(time, &room);
        } else {
            kfm_clock_slept(0);
        }
    }
    return kfm_real.clock_nanosleep(clock, flags, time, rest);
}

KFM_EXPORT int nanosleep(const struct timespec *time, struct timespec *rest) {
    if (moved_clock() && sane(time)) {
        kfm_clock_slept(in_ns(time));
    }
    KFM_MISSING_REAL(nanosleep, -1);
    return kfm_real.nanosleep(time, rest);
}

KFM_EXPORT int usleep(useconds_t microseconds) {
    if (moved_clock()) {
        kfm_clock_slept((int64_t)microseconds * 1000);
    }
    KFM_MISSING_REAL(usleep, -1);
    return kfm_real.usleep(microseconds);
}

KFM_EXPORT unsigned sleep(unsigned seconds) {
    if (moved_clock()) {
        kfm_clock_slept((int64_t)seconds * KFM_SECOND);
    }
    return kfm_real.sleep != NULL ? kfm_real.sleep(seconds) : seconds;
}
