/* The schedule inside Python: a worker waits a moment between taking a task and doing it, and threads change places
 * far more often. A race among workers that have all started long ago is lost by nothing else.
 *
 * Two methods are wrapped, which every worker calls in between: Future.set_running_or_notify_cancel (all executors)
 * and Queue.get. It is done where Python starts a thread, which comes before any worker's first task, in the thread
 * that starts it:
 *   - only for calls from Python's own code, and with the interpreter lock (GIL) held: a native library may start a
 *     thread while it holds a lock, such as the loader's, that another holder of the GIL waits for;
 *   - nothing is imported and no Python code is compiled or run: a module that the command has not loaded is looked
 *     for again at the next thread. So clock, entropy, open files and sys.modules are what they are without delays;
 *   - nothing is remembered: whether a method is ours is asked of itself. So forks, further interpreters in this
 *     process and a Python that is started anew need no care.
 * Workers that take tasks from elsewhere (queue.SimpleQueue, as multiprocessing's ThreadPool does) only start late. */
#include "real.h"

#include <dlfcn.h>
#include <link.h>

enum { KFM_LONGEST_TASK_US = 2000, KFM_EVERY_TASK = 1024, KFM_WITH_ARGUMENTS = 1 | 2 /* METH_VARARGS | METH_KEYWORDS */ };

static const double kfm_usual_interval = 0.005, kfm_interval = 0.00001;

/* PyMethodDef, of the stable ABI. */
struct definition {
    const char *name;
    void *(*run)(void *, void *, void *);
    int flags;
    const char *text;
};

#define KFM_PYTHON(X) \
    X(attribute, "PyObject_GetAttrString", void *, (void *, const char *)) \
    X(set_attribute, "PyObject_SetAttrString", int, (void *, const char *, void *)) \
    X(call, "PyObject_Call", void *, (void *, void *, void *)) \
    X(call_function, "PyObject_CallFunction", void *, (void *, const char *, ...)) \
    X(release, "Py_DecRef", void, (void *)) \
    X(modules, "PyImport_GetModuleDict", void *, (void)) \
    X(item, "PyDict_GetItemString", void *, (void *, const char *)) \
    X(of_sys, "PySys_GetObject", void *, (const char *)) \
    X(number, "PyFloat_AsDouble", double, (void *)) \
    X(function, "PyCFunction_NewEx", void *, (struct definition *, void *, void *)) \
    X(behind, "PyCFunction_GetFunction", void *, (void *)) \
    X(method, "PyInstanceMethod_New", void *, (void *)) \
    X(error_occurred, "PyErr_Occurred", void *, (void)) \
    X(error_clear, "PyErr_Clear", void, (void)) \
    X(let_go, "PyEval_SaveThread", void *, (void)) \
    X(take_back, "PyEval_RestoreThread", void, (void *)) \
    X(this_thread, "PyGILState_GetThisThreadState", void *, (void)) \
    X(initialized, "Py_IsInitialized", int, (void))

static struct {
#define X(field, name, result, arguments) result(*field) arguments;
    KFM_PYTHON(X)
#undef X
    void *(*current_thread)(void);
    uintptr_t start, end; /* Python's own code; 0 where this is no Python that we know */
} py;

static atomic_ullong kfm_tasks;

/* Every task at first, then fewer and fewer: a million small ones shall not take minutes. */
static void wait_a_moment(void) {
    uint64_t number = atomic_fetch_add(&kfm_tasks, 1);
    uint64_t drawn = kfm_mix(~kfm_setting.delay_seed, number);
    if ((drawn >> 32) % (number / KFM_EVERY_TASK + 1) == 0) {
        struct timespec pause = {0, (long)(drawn % KFM_LONGEST_TASK_US) * 1000};
        /* Not through our own nanosleep, which the frozen clock counts. */
        void *thread = py.let_go();
        KFM_RAW(SYS_nanosleep, &pause, 0);
        py.take_back(thread);
    }
}

/* Stands for a method `real`, and has no frame: what goes wrong in that one looks as it would without us. */
static void *take_task(void *real, void *arguments, void *named) {
    void *result = py.call(real, arguments, named);
    if (result != NULL) {
        wait_a_moment();
    }
    return result;
}

static struct {
    const char *module;
    const char *class;
    struct definition method;
} kfm_takers[] = {
    {"concurrent.futures._base", "Future", {"set_running_or_notify_cancel", take_task, KFM_WITH_ARGUMENTS, NULL}},
    {"queue", "Queue", {"get", take_task, KFM_WITH_ARGUMENTS, NULL}},
};

static void release(void *object) {
    if (object != NULL) {
        py.release(object);
    }
}

static bool is_ours(void *method) {
    void *(*run)(void *, void *, void *) = take_task;
    void *behind = py.behind(method); /* NULL, with an error, for what is not written in C */
    py.error_clear();
    return memcmp(&behind, &run, sizeof run) == 0;
}

/* The module may be unknown as yet, or only half loaded. */
static void wrap(const char *module_name, const char *class_name, struct definition *definition) {
    void *modules = py.modules(); /* borrowed, as is the next */
    void *module = modules != NULL ? py.item(modules, module_name) : NULL;
    void *class = module != NULL ? py.attribute(module, class_name) : NULL;
    void *real = class != NULL ? py.attribute(class, definition->name) : NULL;
    py.error_clear();
    if (real != NULL && !is_ours(real)) {
        void *function = py.function(definition, real, NULL);
        void *method = function != NULL ? py.method(function) : NULL;
        if (method != NULL) {
            py.set_attribute(class, definition->name, method);
        }
        release(method);
        release(function);
        py.error_clear();
    }
    release(real);
    release(class);
}

/* A command that has chosen an interval of its own keeps it. */
static void change_places_often(void) {
    void *get = py.of_sys("getswitchinterval"), *set = py.of_sys("setswitchinterval"); /* borrowed */
    void *interval = get != NULL && set != NULL ? py.call_function(get, NULL) : NULL;
    double difference = interval != NULL ? py.number(interval) - kfm_usual_interval : 1;
    if (difference < 1e-6 && difference > -1e-6) {
        release(py.call_function(set, "d", kfm_interval));
    }
    release(interval);
    py.error_clear();
}

/* A thread is about to be started by the code at `caller`. */
void kfm_delay_tasks(const void *caller) {
    if ((uintptr_t)caller < py.start || (uintptr_t)caller >= py.end || kfm_busy > 0 || !py.initialized()) {
        return;
    }
    void *thread = py.this_thread();
    if (thread == NULL || thread != py.current_thread() || py.error_occurred() != NULL) {
        return;
    }
    int saved = errno;
    change_places_often();
    for (size_t i = 0; i < sizeof kfm_takers / sizeof kfm_takers[0]; i++) {
        wrap(kfm_takers[i].module, kfm_takers[i].class, &kfm_takers[i].method);
    }
    errno = saved;
}

/* Find the segment of code that a function of Python's lies in. */
static int find_code(struct dl_phdr_info *object, size_t size, void *data) {
    (void)size;
    uintptr_t function = *(uintptr_t *)data;
    for (size_t i = 0; i < object->dlpi_phnum; i++) {
        uintptr_t start = object->dlpi_addr + object->dlpi_phdr[i].p_vaddr;
        if (object->dlpi_phdr[i].p_type == PT_LOAD && function >= start
            && function - start < object->dlpi_phdr[i].p_memsz) {
            py.start = start;
            py.end = start + object->dlpi_phdr[i].p_memsz;
            return 1;
        }
    }
    return 0;
}

void kfm_tasks_start(void) {
    if (!kfm_setting.delays || dlsym(RTLD_DEFAULT, "Py_IsInitialized") == NULL) {
        return;
    }
    bool complete = true;
#define X(field, name, result, arguments) \
    *(void **)&py.field = dlsym(RTLD_DEFAULT, name); \
    complete = complete && py.field != NULL;
    KFM_PYTHON(X)
#undef X
    *(void **)&py.current_thread = dlsym(RTLD_DEFAULT, "PyThreadState_GetUnchecked"); /* 3.13 */
    if (py.current_thread == NULL) {
        *(void **)&py.current_thread = dlsym(RTLD_DEFAULT, "_PyThreadState_UncheckedGet"); /* before */
    }
    if (complete && py.current_thread != NULL) {
        uintptr_t function = (uintptr_t)py.initialized;
        dl_iterate_phdr(find_code, &function);
    }
}
