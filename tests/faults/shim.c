/* Faults between a process and its kernel, for the tests: loaded with LD_PRELOAD.
 *
 * ITERLOG_FAULT says which call fails and how, and may change while the process runs:
 *
 *     call:end of the path:first:count:action[;...]
 *
 * The calls of that name on a path with that end are counted from 1, anew whenever the text changes; those from
 * "first" on, "count" of them, do as "action" says:
 *
 *     errno=N      fail with that error, having done nothing
 *     after=N      do it, then fail with that error
 *     delay=N      fail with that error after a fifth of a second
 *     short=N      write at most N bytes
 *     kill=N       write N bytes (or do nothing, for other calls), then die by SIGKILL
 *
 * ITERLOG_FAULT_LOG names a file that each call on a path with the letters "history" is appended to, with its name.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

enum kind { NONE, BEFORE, AFTER, SHORT, KILL };

struct action {
    enum kind kind;
    long value;
};

static pthread_mutex_t counting = PTHREAD_MUTEX_INITIALIZER;
enum { FAULTS = 4 };
static char current[1024];
static long seen[FAULTS];

static int ends_with(const char *text, const char *end) {
    size_t a = strlen(text), b = strlen(end);
    return a >= b && strcmp(text + a - b, end) == 0;
}

static void note(const char *call, const char *path) {
    const char *log = getenv("ITERLOG_FAULT_LOG");
    if (!log || !*log || !strstr(path, "history")) return;
    char line[4200];
    int size = snprintf(line, sizeof line, "%s %s\n", call, path);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CREAT, 0666);
    if (fd < 0) return;
    if (syscall(SYS_write, fd, line, size) != size) abort();
    syscall(SYS_close, fd);
}

static struct action look(const char *call, const char *path) {
    struct action found = {NONE, 0};
    const char *spec = getenv("ITERLOG_FAULT");
    int wait = 0;
    note(call, path);
    if (!spec || !*spec) return found;
    pthread_mutex_lock(&counting);
    if (strcmp(current, spec) != 0) {
        snprintf(current, sizeof current, "%s", spec);
        memset(seen, 0, sizeof seen);
    }
    for (int i = 0; spec && i < FAULTS; i++) {
        char name[32], end[256], verb[32];
        long first, count, value;
        if (sscanf(spec, "%31[^:]:%255[^:]:%ld:%ld:%31[^=]=%ld", name, end, &first, &count, verb, &value) != 6) abort();
        if (strcmp(name, call) == 0 && ends_with(path, end)) {
            long number = ++seen[i];
            if (found.kind == NONE && number >= first && number < first + count) {
                found.value = value;
                found.kind = !strcmp(verb, "after") ? AFTER
                           : !strcmp(verb, "short") ? SHORT
                           : !strcmp(verb, "kill")  ? KILL
                                                    : BEFORE;
                wait = !strcmp(verb, "delay");
            }
        }
        spec = strchr(spec, ';');
        if (spec) spec++;
    }
    pthread_mutex_unlock(&counting);
    if (wait) usleep(200000);
    return found;
}

static struct action look_at(const char *call, int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    path[size < 0 ? 0 : size] = 0;
    return look(call, path);
}

#define REAL(type, ...) static type (*real)(__VA_ARGS__)
#define FIND(name) if (!real) real = dlsym(RTLD_NEXT, name)
#define DIE() do { kill(getpid(), SIGKILL); pause(); } while (0)

/* Do a call that gives 0 or -1 with whatever fault is asked for. */
#define FAULTY(asked, doing)                                               \
    do {                                                                   \
        struct action todo = (asked);                                      \
        if (todo.kind == KILL) DIE();                                      \
        if (todo.kind == BEFORE) { errno = (int)todo.value; return -1; }   \
        int result = (doing);                                              \
        if (todo.kind == AFTER) { errno = (int)todo.value; return -1; }    \
        return result;                                                     \
    } while (0)

ssize_t write(int fd, const void *data, size_t size) {
    REAL(ssize_t, int, const void *, size_t);
    FIND("write");
    struct action todo = look_at("write", fd);
    if (todo.kind == BEFORE) { errno = (int)todo.value; return -1; }
    if ((todo.kind == SHORT || todo.kind == KILL) && (size_t)todo.value < size) size = (size_t)todo.value;
    ssize_t written = real(fd, data, size);
    if (todo.kind == KILL) DIE();
    if (todo.kind == AFTER) { errno = (int)todo.value; return -1; }
    return written;
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) {
    REAL(ssize_t, int, const void *, size_t, off64_t);
    FIND("pwrite64");
    struct action todo = look_at("pwrite", fd);
    if (todo.kind == BEFORE) { errno = (int)todo.value; return -1; }
    if (todo.kind == KILL) DIE();
    if (todo.kind == SHORT && (size_t)todo.value < size) size = (size_t)todo.value;
    return real(fd, data, size, offset);
}

ssize_t pread64(int fd, void *data, size_t size, off64_t offset) {
    REAL(ssize_t, int, void *, size_t, off64_t);
    FIND("pread64");
    struct action todo = look_at("pread", fd);
    if (todo.kind == BEFORE) { errno = (int)todo.value; return -1; }
    if (todo.kind == SHORT && (size_t)todo.value < size) size = (size_t)todo.value;
    return real(fd, data, size, offset);
}

ssize_t read(int fd, void *data, size_t size) {
    REAL(ssize_t, int, void *, size_t);
    FIND("read");
    struct action todo = look_at("read", fd);
    if (todo.kind == BEFORE) { errno = (int)todo.value; return -1; }
    return real(fd, data, size);
}

int fsync(int fd) {
    REAL(int, int);
    FIND("fsync");
    FAULTY(look_at("fsync", fd), real(fd));
}

int fdatasync(int fd) {
    REAL(int, int);
    FIND("fdatasync");
    FAULTY(look_at("fdatasync", fd), real(fd));
}

int ftruncate64(int fd, off64_t size) {
    REAL(int, int, off64_t);
    FIND("ftruncate64");
    FAULTY(look_at("ftruncate", fd), real(fd, size));
}

int flock(int fd, int operation) {
    REAL(int, int, int);
    FIND("flock");
    FAULTY(look_at("flock", fd), real(fd, operation));
}

int rename(const char *from, const char *to) {
    REAL(int, const char *, const char *);
    FIND("rename");
    FAULTY(look("rename", to), real(from, to));
}

int open64(const char *path, int flags, ...) {
    REAL(int, const char *, int, ...);
    FIND("open64");
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    FAULTY(look("open", path), real(path, flags, mode));
}
