/* Where in a Python program we are: FILE:LINE of the innermost frame, through Python's public C API, found at run
 * time. Nothing is done in a process that is no Python.
 *
 * The frames of a thread may be walked only by the thread that holds the interpreter lock (GIL). Python lets go of
 * it around open, opendir, connect and getrandom. So:
 *   - where the lock is held (clock, CPU count, local time …) the frames are walked at once;
 *   - for what Python announces to audit hooks (open, os.listdir, socket.connect …) our hook, which is called with
 *     the lock held, notes the place, and the call that follows in the same thread takes it;
 *   - os.urandom is announced to nobody. There the lock is taken, which can only be done safely when the caller is
 *     Python's own urandom code: it takes the lock itself as soon as getrandom returns, holding no lock in between.
 *     Any other native caller may hold a lock that the holder of the GIL waits for, and gets no place. */
#include "real.h"

#include <dlfcn.h>

enum { KFM_DEPTH = 64, KFM_NEAR = 8192 };

static struct {
    bool usable;
    void *(*this_thread)(void);
    void *(*current_thread)(void);
    void *(*frame)(void);
    void *(*frame_code)(void *);
    void *(*frame_back)(void *);
    int (*frame_line)(void *);
    void *(*attribute)(void *, const char *);
    const char *(*utf8)(void *);
    char *(*bytes)(void *);
    void (*release)(void *);
    void *(*tuple_item)(void *, ptrdiff_t);
    void *(*error_occurred)(void);
    void (*error_fetch)(void **, void **, void **);
    void (*error_restore)(void *, void *, void *);
    int (*finalizing)(void);
    int (*initialized)(void);
    int (*ensure)(void);
    void (*release_lock)(int);
    const char *urandom;
} py;

/* What the audit hook noted last in this thread. */
struct noted {
    bool valid;
    enum kfm_kind kind;
    uint64_t text; /* hash of the path; 0: any */
    struct kfm_place place;
};
static __thread struct noted kfm_noted __attribute__((tls_model("initial-exec")));

static bool holds_lock(void) {
    /* PyGILState_Check says yes to everybody once there was a second interpreter; these two do not. */
    void *thread = py.this_thread();
    return thread != NULL && thread == py.current_thread();
}

static bool contains(const char *text, const char *part) { return strstr(text, part) != NULL; }

static bool of_a_library(const char *file) {
    return strncmp(file, "<frozen ", 8) == 0 || contains(file, "/site-packages/") || contains(file, "/dist-packages/")
        || contains(file, "/lib/python3");
}

/* "file:line", the file cut at its start where it is long. */
static void write_place(char into[320], const char *file, int line) {
    char digits[16];
    size_t count = 0;
    unsigned value = line > 0 ? (unsigned)line : 0;
    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    size_t length = strlen(file);
    if (length > 300) {
        file += length - 300;
        length = 300;
    }
    memcpy(into, file, length);
    into[length++] = ':';
    while (count > 0) {
        into[length++] = digits[--count];
    }
    into[length] = '\0';
}

/* Take note of one frame; false when the walk can end. */
static bool see_frame(void *frame, struct kfm_place *place) {
    bool go_on = true;
    void *code = py.frame_code(frame);
    void *name = code != NULL ? py.attribute(code, "co_filename") : NULL;
    const char *file = name != NULL ? py.utf8(name) : NULL;
    if (file != NULL) {
        bool library = of_a_library(file);
        if (strncmp(file, "<frozen importlib", 17) == 0) {
            place->import = true;
            go_on = place->at[0] == '\0';
        } else if (place->at[0] == '\0') {
            write_place(place->at, file, py.frame_line(frame));
            if (!library) {
                memcpy(place->own, place->at, sizeof place->own); /* to find a line takes a walk through all of them */
            }
        } else if (!library && place->own[0] == '\0') {
            write_place(place->own, file, py.frame_line(frame));
        }
    }
    if (name != NULL) {
        py.release(name);
    }
    if (code != NULL) {
        py.release(code);
    }
    return go_on;
}

static void clear_error(void) {
    void *error[3] = {NULL, NULL, NULL};
    py.error_fetch(&error[0], &error[1], &error[2]);
    for (size_t i = 0; i < 3; i++) {
        if (error[i] != NULL) {
            py.release(error[i]);
        }
    }
}

static bool walk(struct kfm_place *place) {
    void *type = NULL, *value = NULL, *trace = NULL;
    bool had_error = py.error_occurred() != NULL;
    if (had_error) {
        py.error_fetch(&type, &value, &trace);
    }
    place->at[0] = place->own[0] = '\0';
    place->import = false;
    void *frame = py.frame(); /* borrowed */
    bool owned = false;
    for (int depth = 0; frame != NULL && depth < KFM_DEPTH && see_frame(frame, place); depth++) {
        void *back = py.frame_back(frame);
        if (owned) {
            py.release(frame);
        }
        frame = back;
        owned = true;
    }
    if (owned && frame != NULL) {
        py.release(frame);
    }
    clear_error(); /* such as a file name that is no UTF-8 */
    if (had_error) {
        py.error_restore(type, value, trace);
    }
    return place->at[0] != '\0' || place->import;
}

static bool take_noted(enum kfm_kind kind, const char *text, struct kfm_place *place) {
    if (!kfm_noted.valid || kfm_noted.kind != kind) {
        return false;
    }
    if (kfm_noted.text != 0 && kfm_noted.text != kfm_hash(text, strlen(text), 1)) {
        return false;
    }
    *place = kfm_noted.place;
    kfm_noted.valid = kind == KFM_EXEC; /* one start of a program may try every folder of PATH */
    return true;
}

static bool from_urandom(const void *caller) {
    ptrdiff_t distance = (const char *)caller - py.urandom;
    return caller != NULL && py.urandom != NULL && distance > -KFM_NEAR && distance < KFM_NEAR;
}

bool kfm_place(enum kfm_kind kind, const char *text, const void *caller, struct kfm_place *place) {
    if (!py.usable) {
        return false;
    }
    if (take_noted(kind, text, place)) {
        return true;
    }
    if (!kfm_own_memory() || !py.initialized() || py.this_thread() == NULL) {
        return false;
    }
    if (holds_lock()) {
        return walk(place);
    }
    if (kind != KFM_ENTROPY || !from_urandom(caller) || (py.finalizing != NULL && py.finalizing())) {
        return false;
    }
    int state = py.ensure();
    bool found = walk(place);
    py.release_lock(state);
    return found;
}

struct announced {
    const char *event;
    enum kfm_kind kind;
    bool by_path;
};

static const struct announced *announced(const char *event) {
    static const struct announced known[] = {
        {"open", KFM_OPEN, true},
        {"os.listdir", KFM_LISTING, true},
        {"os.scandir", KFM_LISTING, true},
        {"os.exec", KFM_EXEC, false},
        {"os.posix_spawn", KFM_EXEC, false},
        {"os.system", KFM_EXEC, false},
        {"subprocess.Popen", KFM_EXEC, false},
        {"socket.connect", KFM_CONNECT, false},
        {"socket.sendto", KFM_CONNECT, false},
        {"socket.getaddrinfo", KFM_RESOLVE, false},
        {"socket.gethostbyname", KFM_RESOLVE, false},
        {"socket.gethostname", KFM_HOSTNAME, false},
    };
    if (event[0] == 'o' || event[0] == 's') {
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
            if (strcmp(event, known[i].event) == 0) {
                return &known[i];
            }
        }
    }
    return NULL;
}

/* Hash of the path that is announced; 0 when it is no text (a descriptor, a path object). */
static uint64_t announced_path(void *arguments) {
    void *first = arguments != NULL ? py.tuple_item(arguments, 0) : NULL; /* borrowed */
    const char *path = first != NULL ? py.utf8(first) : NULL;
    if (path == NULL && first != NULL) {
        clear_error(); /* not a str: bytes, perhaps */
        path = py.bytes(first);
    }
    clear_error();
    return path != NULL ? kfm_hash(path, strlen(path), 1) : 0;
}

static int on_audit(const char *event, void *arguments, void *data) {
    (void)data;
    const struct announced *found = announced(event);
    if (found == NULL || kfm_busy > 0 || !kfm_observing(found->kind) || !kfm_own_memory() || !py.initialized()
        || !holds_lock() || py.error_occurred() != NULL) {
        return 0;
    }
    int saved = errno;
    kfm_busy++;
    kfm_noted.valid = walk(&kfm_noted.place);
    kfm_noted.kind = found->kind;
    kfm_noted.text = found->by_path ? announced_path(arguments) : 0;
    kfm_busy--;
    errno = saved;
    return 0;
}

void kfm_place_start(void) {
    if (!kfm_setting.observe || !kfm_setting.frames || dlsym(RTLD_DEFAULT, "Py_IsInitialized") == NULL) {
        return;
    }
    bool complete = true;
#define FIND(field, name) \
    *(void **)&py.field = dlsym(RTLD_DEFAULT, name); \
    complete = complete && py.field != NULL;
    FIND(this_thread, "PyGILState_GetThisThreadState")
    FIND(frame, "PyEval_GetFrame")
    FIND(frame_code, "PyFrame_GetCode")
    FIND(frame_back, "PyFrame_GetBack")
    FIND(frame_line, "PyFrame_GetLineNumber")
    FIND(attribute, "PyObject_GetAttrString")
    FIND(utf8, "PyUnicode_AsUTF8")
    FIND(bytes, "PyBytes_AsString")
    FIND(release, "Py_DecRef")
    FIND(tuple_item, "PyTuple_GetItem")
    FIND(error_occurred, "PyErr_Occurred")
    FIND(error_fetch, "PyErr_Fetch")
    FIND(error_restore, "PyErr_Restore")
    FIND(initialized, "Py_IsInitialized")
    FIND(ensure, "PyGILState_Ensure")
    FIND(release_lock, "PyGILState_Release")
#undef FIND
    *(void **)&py.current_thread = dlsym(RTLD_DEFAULT, "PyThreadState_GetUnchecked"); /* 3.13 */
    if (py.current_thread == NULL) {
        *(void **)&py.current_thread = dlsym(RTLD_DEFAULT, "_PyThreadState_UncheckedGet"); /* before */
    }
    *(void **)&py.finalizing = dlsym(RTLD_DEFAULT, "Py_IsFinalizing"); /* 3.13 */
    if (py.finalizing == NULL) {
        *(void **)&py.finalizing = dlsym(RTLD_DEFAULT, "_Py_IsFinalizing");
    }
    py.urandom = dlsym(RTLD_DEFAULT, "_PyOS_URandom");
    int (*add_hook)(int (*)(const char *, void *, void *), void *);
    *(void **)&add_hook = dlsym(RTLD_DEFAULT, "PySys_AddAuditHook"); /* may be called before Py_Initialize */
    py.usable = complete && py.current_thread != NULL && add_hook != NULL && add_hook(on_audit, NULL) == 0;
}
