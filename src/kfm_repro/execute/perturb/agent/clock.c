/* The wall clock. Monotonic clocks stay real, so that intervals, time-outs and schedulers work.
 *
 * A frozen clock stands at T. A command that only waits for the wall clock to pass (`while time() < deadline`) would
 * wait for ever; so each thread counts its reads, and one that has read very often sees the clock move, by steps that
 * grow. A sleep counts as many reads, and once the clock moves, sleeping moves it by what was asked for. Both depend
 * on what the thread does and never on how fast the machine is: two replays see the same.
 *
 * The times that the kernel gives to files are real; a time that the command sets (os.utime with time.time()) is not. */
#include "real.h"

enum { KFM_SPIN_READS = 20000, KFM_SPIN_SLEEP = 100, KFM_SPIN_STEP = 5000, KFM_SPIN_DOUBLINGS = 20 };
#define KFM_SECOND INT64_C(1000000000)

static __thread uint64_t kfm_reads __attribute__((tls_model("initial-exec")));
static __thread int64_t kfm_moved __attribute__((tls_model("initial-exec")));

static int64_t in_ns(const struct timespec *time) { return (int64_t)time->tv_sec * KFM_SECOND + time->tv_nsec; }

static struct timespec of_ns(int64_t ns) {
    int64_t rest = ns % KFM_SECOND;
    struct timespec time;
    rest += rest < 0 ? KFM_SECOND : 0;
    time.tv_sec = (time_t)((ns - rest) / KFM_SECOND);
    time.tv_nsec = (long)rest;
    return time;
}

static int real_clock(clockid_t clock, struct timespec *time) {
    if (kfm_real.clock_gettime != NULL) {
        return kfm_real.clock_gettime(clock, time); /* without a system call, where the machine can */
    }
    long result = KFM_RAW(SYS_clock_gettime, clock, time);
    if (result < 0) {
        errno = (int)-result;
        return -1;
    }
    return 0;
}

int64_t kfm_real_wall(void) {
    struct timespec now = {0, 0};
    real_clock(CLOCK_REALTIME, &now);
    return in_ns(&now);
}

int64_t kfm_wall_now(void) {
    return kfm_setting.clock == KFM_CLOCK_FROZEN ? kfm_setting.clock_ns + kfm_moved
                                                 : kfm_real_wall() + kfm_setting.clock_ns;
}

void kfm_clock_slept(int64_t ns) {
    if (kfm_setting.clock == KFM_CLOCK_FROZEN) {
        kfm_reads += KFM_SPIN_SLEEP;
        if (kfm_reads > KFM_SPIN_READS && ns > 0 && ns < INT64_C(86400) * KFM_SECOND) {
            kfm_moved += ns;
        }
    }
}

/* True when the wall clock is not the real one: then *ns is what to answer to this read. */
bool kfm_clock_answer(int64_t *ns) {
    if (!kfm_active() || kfm_setting.clock == KFM_CLOCK_REAL) {
        return false;
    }
    if (kfm_setting.clock == KFM_CLOCK_FROZEN && ++kfm_reads > KFM_SPIN_READS) {
        uint64_t doublings = (kfm_reads - KFM_SPIN_READS) / KFM_SPIN_STEP;
        if (doublings > KFM_SPIN_DOUBLINGS) {
            doublings = KFM_SPIN_DOUBLINGS;
        }
        kfm_moved += INT64_C(1000000) << doublings;
    }
    *ns = kfm_wall_now();
    return true;
}

static bool is_wall(clockid_t clock) {
    return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI;
}

static void read_noted(const char *function) {
    if (kfm_active()) {
        kfm_log(KFM_CLOCK, 0, function, "");
    }
}

KFM_EXPORT int clock_gettime(clockid_t clock, struct timespec *time) {
    int64_t ns;
    if (!is_wall(clock)) {
        return real_clock(clock, time);
    }
    int result = 0;
    if (kfm_clock_answer(&ns)) {
        *time = of_ns(ns);
    } else {
        result = real_clock(clock, time);
    }
    read_noted("clock_gettime");
    return result;
}

KFM_EXPORT int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    int64_t ns;
    struct timespec now = {0, 0};
    bool ours = kfm_clock_answer(&ns);
    int result = 0;
    if (kfm_real.gettimeofday != NULL) {
        result = kfm_real.gettimeofday(time, zone);
    } else {
        result = real_clock(CLOCK_REALTIME, &now);
        time->tv_sec = now.tv_sec;
        time->tv_usec = now.tv_nsec / 1000;
    }
    if (ours) {
        now = of_ns(ns);
        time->tv_sec = now.tv_sec;
        time->tv_usec = now.tv_nsec / 1000;
    }
    read_noted("gettimeofday");
    return result;
}

KFM_EXPORT time_t time(time_t *into) {
    int64_t ns;
    struct timespec now = {0, 0};
    if (kfm_clock_answer(&ns)) {
        now = of_ns(ns);
    } else if (kfm_real.time != NULL) {
        now.tv_sec = kfm_real.time(NULL);
    } else {
        real_clock(CLOCK_REALTIME_COARSE, &now);
    }
    if (into != NULL) {
        *into = now.tv_sec;
    }
    read_noted("time");
    return now.tv_sec;
}

KFM_EXPORT int timespec_get(struct timespec *time, int base) {
    if (base == TIME_UTC) {
        return clock_gettime(CLOCK_REALTIME, time) == 0 ? base : 0;
    }
#if defined(TIME_MONOTONIC)
    if (base == TIME_MONOTONIC) {
        return real_clock(CLOCK_MONOTONIC, time) == 0 ? base : 0;
    }
#endif
    return 0;
}

/* sys/timeb.h is no more in newer C libraries; old programs still call it. */
struct kfm_timeb {
    time_t time;
    unsigned short millitm;
    short timezone;
    short dstflag;
};

KFM_EXPORT int ftime(struct kfm_timeb *into) {
    struct timespec now;
    int result = clock_gettime(CLOCK_REALTIME, &now);
    if (result == 0) {
        into->time = now.tv_sec;
        into->millitm = (unsigned short)(now.tv_nsec / 1000000);
        into->timezone = 0;
        into->dstflag = 0;
    }
    return result;
}
