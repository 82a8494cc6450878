/* System calls without libc: they work before libc is ready, in signal handlers and in a vfork child, they leave
 * errno alone, and they can never come back to one of our own interposed functions. */
#ifndef KFM_RAW_H
#define KFM_RAW_H

#include <sys/syscall.h>

#if defined(__x86_64__)
static inline long kfm_raw6(long number, long a, long b, long c, long d, long e, long f) {
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
static inline long kfm_raw6(long number, long a, long b, long c, long d, long e, long f) {
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return x0;
}
#else
#error "the agent is written for x86-64 and aarch64"
#endif

/* The result is the kernel's: -errno on failure. */
#define KFM_RAW_(n, a, b, c, d, e, f, ...) \
    kfm_raw6((long)(n), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
#define KFM_RAW(...) KFM_RAW_(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)

#endif
