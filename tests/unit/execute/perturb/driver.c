/* Calls every function that the agent stands before, and says what came of it: one "name value" per line. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <ftw.h>
#include <glob.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static void say_hex(const char *name, const void *data, size_t size) {
    printf("%s ", name);
    for (size_t i = 0; i < size; i++) {
        printf("%02x", ((const unsigned char *)data)[i]);
    }
    printf("\n");
}

static void *find(const char *name) { return dlsym(RTLD_DEFAULT, name); }

static void clocks(void) {
    struct timespec t;
    struct timeval v;
    printf("time %ld\n", (long)time(NULL));
    gettimeofday(&v, NULL);
    printf("gettimeofday %ld.%06ld\n", (long)v.tv_sec, (long)v.tv_usec);
    clock_gettime(CLOCK_REALTIME, &t);
    printf("clock_gettime %ld.%09ld\n", (long)t.tv_sec, t.tv_nsec);
    clock_gettime(CLOCK_REALTIME_COARSE, &t);
    printf("coarse %ld\n", (long)t.tv_sec);
    clock_gettime(CLOCK_TAI, &t);
    printf("tai %ld\n", (long)t.tv_sec);
    timespec_get(&t, TIME_UTC);
    printf("timespec_get %ld\n", (long)t.tv_sec);
    syscall(SYS_clock_gettime, CLOCK_REALTIME, &t);
    printf("syscall_clock_gettime %ld\n", (long)t.tv_sec);
    struct { time_t time; unsigned short ms; short zone, dst; } b;
    int (*old)(void *) = (int (*)(void *))find("ftime");
    if (old != NULL) {
        old(&b);
        printf("ftime %ld\n", (long)b.time);
    }
    struct timespec real, ours;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &real);
    clock_gettime(CLOCK_MONOTONIC, &ours);
    printf("monotonic_off %ld\n", labs((long)(ours.tv_sec - real.tv_sec)) > 60 ? 1L : 0L);
}

static void entropy(void) {
    unsigned char b[8];
    uint32_t word;
    getrandom(b, sizeof b, 0);
    say_hex("getrandom", b, sizeof b);
    getentropy(b, sizeof b);
    say_hex("getentropy", b, sizeof b);
    syscall(SYS_getrandom, b, sizeof b, 0);
    say_hex("syscall_getrandom", b, sizeof b);
    uint32_t (*arc)(void) = (uint32_t(*)(void))find("arc4random");
    if (arc != NULL) {
        word = arc();
        say_hex("arc4random", &word, sizeof word);
        ((void (*)(void *, size_t))find("arc4random_buf"))(b, sizeof b);
        say_hex("arc4random_buf", b, sizeof b);
        word = ((uint32_t(*)(uint32_t))find("arc4random_uniform"))(1000000);
        say_hex("arc4random_uniform", &word, sizeof word);
    }
    unsigned (*device)(void *) = (unsigned (*)(void *))find("_ZNSt13random_device9_M_getvalEv");
    if (device != NULL) {
        word = device(NULL);
        say_hex("random_device", &word, sizeof word);
    }
    static const char *const paths[] = {"/dev/urandom", "/dev/random"};
    for (int i = 0; i < 2; i++) {
        int fd = open(paths[i], O_RDONLY);
        struct stat state;
        if (read(fd, b, sizeof b) == (ssize_t)sizeof b) {
            say_hex(i == 0 ? "read_urandom" : "read_random", b, sizeof b);
        }
        int copy = dup2(fd, 77);
        struct iovec part = {b, sizeof b};
        if (readv(copy, &part, 1) == (ssize_t)sizeof b) {
            say_hex(i == 0 ? "readv_urandom" : "readv_random", b, sizeof b);
        }
        fstat(fd, &state);
        printf("device_%d %d\n", i, S_ISCHR(state.st_mode) ? 1 : 0);
        close(fd);
        close(copy);
        int plain = open("/dev/zero", O_RDONLY); /* takes the number of the closed one */
        if (read(plain, b, sizeof b) == (ssize_t)sizeof b) {
            say_hex(i == 0 ? "zero_0" : "zero_1", b, sizeof b);
        }
        close(plain);
        FILE *file = fopen(paths[i], "r");
        if (fread(b, 1, sizeof b, file) == sizeof b) {
            say_hex(i == 0 ? "fopen_urandom" : "fopen_random", b, sizeof b);
        }
        fclose(file);
    }
    char name[] = "name-XXXXXX.txt", folder[] = "folder-XXXXXX";
    close(mkstemps(name, 4));
    printf("mkstemps %s\n", name);
    printf("mkdtemp %s\n", mkdtemp(folder));
    unlink(name);
    rmdir(folder);
}

static int walked(const char *path, const struct stat *state, int kind, struct FTW *place) {
    (void)state, (void)kind;
    if (place->level > 0) {
        printf("%s ", path + place->base);
    }
    return 0;
}

static void listings(const char *path) {
    struct dirent *entry, **names, one, *result;
    DIR *folder = opendir(path);
    printf("readdir ");
    while ((entry = readdir(folder)) != NULL) {
        printf("%s ", entry->d_name);
    }
    rewinddir(folder);
    printf("\nrewinddir ");
    while ((entry = readdir(folder)) != NULL) {
        printf("%s ", entry->d_name);
    }
    rewinddir(folder);
    for (int i = 0; i < 4; i++) {
        readdir(folder);
    }
    long place = telldir(folder);
    entry = readdir(folder);
    char fifth[256];
    snprintf(fifth, sizeof fifth, "%s", entry->d_name);
    while (readdir(folder) != NULL) {
    }
    seekdir(folder, place);
    entry = readdir(folder);
    printf("\nseekdir %d\n", strcmp(entry->d_name, fifth) == 0);
    rewinddir(folder);
    printf("readdir_r ");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    while (readdir_r(folder, &one, &result) == 0 && result != NULL) {
        printf("%s ", one.d_name);
    }
#pragma GCC diagnostic pop
    closedir(folder);
    printf("\nscandir ");
    int count = scandir(path, &names, NULL, NULL);
    for (int i = 0; i < count; i++) {
        printf("%s ", names[i]->d_name);
        free(names[i]);
    }
    free(names);
    printf("\nglob ");
    glob_t found;
    char pattern[4096];
    snprintf(pattern, sizeof pattern, "%s/*", path);
    glob(pattern, GLOB_NOSORT, NULL, &found);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        printf("%s ", strrchr(found.gl_pathv[i], '/') + 1);
    }
    globfree(&found);
    printf("\nfts ");
    char *paths[] = {(char *)path, NULL};
    FTS *tree = fts_open(paths, FTS_PHYSICAL, NULL);
    FTSENT *node;
    while ((node = fts_read(tree)) != NULL) {
        if (node->fts_level == 1) {
            printf("%s ", node->fts_name);
        }
    }
    fts_close(tree);
    printf("\nnftw ");
    nftw(path, walked, 8, FTW_PHYS);
    char buffer[4096];
    int fd = open(path, O_RDONLY | O_DIRECTORY);
    long got = syscall(SYS_getdents64, fd, buffer, sizeof buffer);
    printf("\ngetdents64 ");
    for (long at = 0; at < got;) {
        struct dirent64 *raw = (struct dirent64 *)(void *)(buffer + at);
        printf("%s ", raw->d_name);
        at += raw->d_reclen;
    }
    close(fd);
    printf("\n");
}

static void first_line(const char *name, const char *path) {
    char line[256] = "";
    FILE *file = fopen(path, "r");
    if (file != NULL) {
        if (fgets(line, sizeof line, file) != NULL) {
            line[strcspn(line, "\n")] = '\0';
        }
        fclose(file);
    }
    printf("%s %s\n", name, line);
}

static void machine(void) {
    char name[65] = "";
    struct utsname self;
    cpu_set_t mask;
    gethostname(name, sizeof name);
    uname(&self);
    printf("gethostname %s\nuname %s\n", name, self.nodename);
    syscall(SYS_uname, &self);
    printf("syscall_uname %s\n", self.nodename);
    first_line("etc_hostname", "/etc/hostname");
    errno = 0;
    printf("gethostname_short %d", gethostname(name, 2));
    printf(" %d\n", errno == ENAMETOOLONG);
    printf("online %ld\nconf %ld\n", sysconf(_SC_NPROCESSORS_ONLN), sysconf(_SC_NPROCESSORS_CONF));
    printf("get_nprocs %d\nget_nprocs_conf %d\n", get_nprocs(), get_nprocs_conf());
    sched_getaffinity(0, sizeof mask, &mask);
    printf("affinity %d\n", CPU_COUNT(&mask));
    pthread_getaffinity_np(pthread_self(), sizeof mask, &mask);
    printf("pthread_affinity %d\n", CPU_COUNT(&mask));
    memset(&mask, 0, sizeof mask);
    syscall(SYS_sched_getaffinity, 0, sizeof mask, &mask);
    printf("syscall_affinity %d\n", CPU_COUNT(&mask));
    first_line("sys_online", "/sys/devices/system/cpu/online");
    struct sysinfo info;
    sysinfo(&info);
    printf("pages %ld\n", sysconf(_SC_PHYS_PAGES));
    printf("sysinfo %ld\n", (long)(info.totalram * info.mem_unit / (unsigned long)sysconf(_SC_PAGESIZE)));
    printf("page_size %ld\n", sysconf(_SC_PAGESIZE));
}

static double monotonic(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Deadlines 50 ms away on the wall clock, as the command sees it: each must end, and not at once. */
static void waits(void) {
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t condition = PTHREAD_COND_INITIALIZER, steady;
    pthread_condattr_t attributes;
    sem_t semaphore;
    struct timespec t;
    for (int which = 0; which < 4; which++) {
        double start = monotonic();
        clock_gettime(which == 3 ? CLOCK_MONOTONIC : CLOCK_REALTIME, &t);
        t.tv_nsec += 50000000;
        t.tv_sec += t.tv_nsec / 1000000000;
        t.tv_nsec %= 1000000000;
        int error = 0;
        if (which == 0 || which == 3) {
            pthread_condattr_init(&attributes);
            pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
            pthread_cond_init(&steady, &attributes);
            pthread_mutex_lock(&mutex);
            while (error == 0) {
                error = pthread_cond_timedwait(which == 0 ? &condition : &steady, &mutex, &t);
            }
            pthread_mutex_unlock(&mutex);
        } else if (which == 1) {
            sem_init(&semaphore, 0, 0);
            error = sem_timedwait(&semaphore, &t) != 0 ? errno : 0;
        } else {
            error = clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &t, NULL) == 0 ? ETIMEDOUT : 0;
        }
        printf("wait_%d %d %d\n", which, error == ETIMEDOUT, monotonic() - start > 0.045);
    }
}

static void use_everything(const char *path) {
    unsigned char b[16];
    char file[4096];
    struct dirent *entry;
    for (int round = 0; round < 20; round++) {
        time(NULL);
        getrandom(b, sizeof b, 0);
        DIR *folder = opendir(path);
        while (folder != NULL && (entry = readdir(folder)) != NULL) {
        }
        if (folder != NULL) {
            closedir(folder);
        }
        snprintf(file, sizeof file, "%s/not-there-%d", path, round);
        if (open(file, O_RDONLY) >= 0) {
            abort();
        }
        sysconf(_SC_NPROCESSORS_ONLN);
    }
}

static atomic_int over;

static void *busy(void *path) {
    while (!atomic_load(&over)) {
        use_everything(path);
    }
    return NULL;
}

static void stress(const char *path, int forks) {
    pthread_t threads[8];
    int failed = 0;
    for (int i = 0; i < 8; i++) {
        pthread_create(&threads[i], NULL, busy, (void *)path);
    }
    for (int i = 0; i < forks; i++) {
        pid_t child = fork();
        if (child == 0) {
            use_everything(path);
            _exit(0);
        }
        int status = -1;
        waitpid(child, &status, 0);
        failed += status != 0;
    }
    atomic_store(&over, 1);
    for (int i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
    }
    printf("stress %d\n", failed);
}

static void *some(void *path) {
    use_everything(path);
    return NULL;
}

static void many_threads(const char *path) {
    pthread_t threads[8];
    for (int i = 0; i < 8; i++) {
        pthread_create(&threads[i], NULL, some, (void *)path);
    }
    for (int i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
    }
    printf("threads 8\n");
}

static void forks(void) {
    unsigned char b[8];
    for (int i = 0; i < 2; i++) {
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            getrandom(b, sizeof b, 0);
            say_hex(i == 0 ? "first" : "second", b, sizeof b);
            fflush(stdout);
            _exit(0);
        }
        waitpid(child, NULL, 0);
    }
    getrandom(b, sizeof b, 0);
    say_hex("parent", b, sizeof b);
}

/* Close whatever is open, and let other files have the numbers. */
static void close_all(const char *path) {
    char file[4096];
    for (int fd = 3; fd < 1024; fd++) {
        close(fd);
    }
    for (int i = 3; i < 950; i++) {
        snprintf(file, sizeof file, "%s/mine", path);
        open(file, O_RDWR | O_CREAT, 0600);
    }
    snprintf(file, sizeof file, "%s/after-closing", path);
    open(file, O_RDONLY);
    struct stat state;
    snprintf(file, sizeof file, "%s/mine", path);
    stat(file, &state);
    printf("mine %ld\n", (long)state.st_size);
}

static void small_files(void) {
    struct rlimit limit = {100, 100};
    setrlimit(RLIMIT_FSIZE, &limit);
    for (int i = 0; i < 100; i++) {
        char path[64];
        snprintf(path, sizeof path, "/not/there/%d", i);
        open(path, O_RDONLY);
    }
    printf("alive 1\n");
}

static void programs(void) {
    static char *const shell[] = {"sh", "-c", "echo $0-$1 $(date +%s)", "child", "x", NULL};
    static char *const nothing[] = {NULL};
    printf("preload %d\n", getenv("LD_PRELOAD") != NULL || getenv("KFM_AGENT_KEY") != NULL);
    for (int way = 0; way < 6; way++) {
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            switch (way) {
            case 0: execve("/bin/sh", shell, nothing); break;
            case 1: execv("/bin/sh", shell); break;
            case 2: execvp("sh", shell); break;
            case 3: execl("/bin/sh", "sh", "-c", shell[2], "child", "x", (char *)NULL); break;
            case 4: execle("/bin/sh", "sh", "-c", shell[2], "child", "x", (char *)NULL, nothing); break;
            default: execlp("sh", "sh", "-c", shell[2], "child", "x", (char *)NULL); break;
            }
            _exit(9);
        }
        waitpid(child, NULL, 0);
    }
    clearenv();
    fflush(stdout);
    printf("system %d\n", system("echo system $(/bin/date +%s); exit 3") >> 8);
    char line[64] = "";
    FILE *pipe = popen("/bin/date +%s", "r");
    if (fgets(line, sizeof line, pipe) != NULL) {
        printf("popen %s", line);
    }
    printf("pclose %d\n", pclose(pipe));
}

int main(int count, char **words) {
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    const char *what = count > 1 ? words[1] : "", *path = count > 2 ? words[2] : ".";
    if (strcmp(what, "clocks") == 0) {
        clocks();
    } else if (strcmp(what, "entropy") == 0) {
        entropy();
    } else if (strcmp(what, "listings") == 0) {
        listings(path);
    } else if (strcmp(what, "machine") == 0) {
        machine();
    } else if (strcmp(what, "waits") == 0) {
        waits();
    } else if (strcmp(what, "stress") == 0) {
        stress(path, count > 3 ? atoi(words[3]) : 200);
    } else if (strcmp(what, "threads") == 0) {
        many_threads(path);
    } else if (strcmp(what, "forks") == 0) {
        forks();
    } else if (strcmp(what, "close") == 0) {
        close_all(path);
    } else if (strcmp(what, "limit") == 0) {
        small_files();
    } else if (strcmp(what, "programs") == 0) {
        programs();
    } else if (strcmp(what, "spin") == 0) {
        for (time_t end = time(NULL) + 3600; time(NULL) < end;) {
        }
        printf("spun 1\n");
    } else {
        return 2;
    }
    return fflush(stdout);
}
