/* Preloaded into a process, writes down every change to files below one folder, in order.
 *
 * RECORD_PREFIX is the folder (absolute, no slash at the end), RECORD_LOG the file to write to. Each record is a
 * head, a path (or two, with a NUL between) and data. One lock is held over each call and its record, so that
 * the order of the records is the order in which things happened.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 65536 };
enum { OPENED = 1, WRITTEN, TRUNCATED, SYNCED, RENAMED, UNLINKED, FOLDER_MADE };

struct head {
    uint32_t what, path_length;
    uint64_t began, ino, offset, length;
};

static int log_fd = -1;
static char prefix[4096];
static size_t prefix_length;
static uint64_t inos[MOST]; /* of the files below the folder that are open; 0 for all others */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name, type, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = dlsym(RTLD_NEXT, name)

__attribute__((constructor)) static void begin(void) {
    const char *folder = getenv("RECORD_PREFIX"), *log = getenv("RECORD_LOG");
    if (!folder || !log || strlen(folder) >= sizeof prefix) return;
    strcpy(prefix, folder);
    prefix_length = strlen(prefix);
    int fd = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    log_fd = fcntl(fd, F_DUPFD_CLOEXEC, 1000);
    syscall(SYS_close, fd);
}

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000u + t.tv_nsec;
}

static int below(const char *path) {
    return log_fd >= 0 && path && !strncmp(path, prefix, prefix_length) &&
           (path[prefix_length] == '/' || !path[prefix_length]);
}

static uint64_t ino_of(int fd) {
    return log_fd >= 0 && fd >= 0 && fd < MOST ? inos[fd] : 0;
}

static void record(uint32_t what, uint64_t began, uint64_t ino, uint64_t offset, const char *path,
                   size_t path_length, const void *data, uint64_t length) {
    struct head head = {what, path_length, began, ino, offset, data ? length : 0};
    struct iovec parts[3] = {
        {&head, sizeof head}, {(void *)path, path_length}, {(void *)data, data ? length : 0}};
    syscall(SYS_writev, log_fd, parts, 3);
}

static int opened(int fd, const char *path, int flags, uint64_t began, int was_there) {
    struct stat s;
    if (fd >= 0 && fd < MOST && below(path) && !fstat(fd, &s)) {
        inos[fd] = s.st_ino;
        record(OPENED, began, s.st_ino, was_there, path, strlen(path), NULL, 0);
        if (was_there && flags & O_TRUNC) record(TRUNCATED, began, s.st_ino, 0, "", 0, NULL, 0);
    }
    return fd;
}

#define OPENING(name) \
    int name(const char *path, int flags, ...) { \
        va_list more; \
        va_start(more, flags); \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, mode_t) : 0; \
        va_end(more); \
        REAL(#name, int, const char *, int, ...); \
        if (!below(path)) return real(path, flags, mode); \
        pthread_mutex_lock(&lock); \
        uint64_t began = now(); \
        struct stat s; \
        int was_there = !stat(path, &s); \
        int fd = opened(real(path, flags, mode), path, flags, began, was_there); \
        pthread_mutex_unlock(&lock); \
        return fd; \
    }
OPENING(open)
OPENING(open64)

int close(int fd) {
    REAL("close", int, int);
    if (fd >= 0 && fd < MOST) inos[fd] = 0;
    return real(fd);
}

#define WRITING(name, off) \
    ssize_t name(int fd, const void *data, size_t length, off offset) { \
        REAL(#name, ssize_t, int, const void *, size_t, off); \
        uint64_t ino = ino_of(fd); \
        if (!ino) return real(fd, data, length, offset); \
        pthread_mutex_lock(&lock); \
        uint64_t began = now(); \
        ssize_t done = real(fd, data, length, offset); \
        if (done > 0) record(WRITTEN, began, ino, offset, "", 0, data, done); \
        pthread_mutex_unlock(&lock); \
        return done; \
    }
WRITING(pwrite, off_t)
WRITING(pwrite64, off64_t)

ssize_t write(int fd, const void *data, size_t length) {
    REAL("write", ssize_t, int, const void *, size_t);
    uint64_t ino = ino_of(fd);
    if (!ino) return real(fd, data, length);
    pthread_mutex_lock(&lock);
    uint64_t began = now();
    ssize_t done = real(fd, data, length);
    /* After the call the position is right behind what was written, also for files that only grow. */
    if (done > 0) record(WRITTEN, began, ino, lseek(fd, 0, SEEK_CUR) - done, "", 0, data, done);
    pthread_mutex_unlock(&lock);
    return done;
}

#define TRUNCATING(name, off) \
    int name(int fd, off length) { \
        REAL(#name, int, int, off); \
        uint64_t ino = ino_of(fd); \
        if (!ino) return real(fd, length); \
        pthread_mutex_lock(&lock); \
        uint64_t began = now(); \
        int done = real(fd, length); \
        if (!done) record(TRUNCATED, began, ino, length, "", 0, NULL, 0); \
        pthread_mutex_unlock(&lock); \
        return done; \
    }
TRUNCATING(ftruncate, off_t)
TRUNCATING(ftruncate64, off64_t)

#define SYNCING(name) \
    int name(int fd) { \
        REAL(#name, int, int); \
        uint64_t ino = ino_of(fd); \
        if (!ino) return real(fd); \
        pthread_mutex_lock(&lock); \
        uint64_t began = now(); \
        int done = real(fd); \
        if (!done) record(SYNCED, began, ino, 0, "", 0, NULL, 0); \
        pthread_mutex_unlock(&lock); \
        return done; \
    }
SYNCING(fsync)
SYNCING(fdatasync)

int rename(const char *from, const char *to) {
    REAL("rename", int, const char *, const char *);
    if (!below(from) && !below(to)) return real(from, to);
    pthread_mutex_lock(&lock);
    uint64_t began = now();
    int done = real(from, to);
    if (!done) {
        size_t a = strlen(from), b = strlen(to);
        char *both = malloc(a + 1 + b);
        memcpy(both, from, a + 1);
        memcpy(both + a + 1, to, b);
        record(RENAMED, began, 0, 0, both, a + 1 + b, NULL, 0);
        free(both);
    }
    pthread_mutex_unlock(&lock);
    return done;
}

int unlink(const char *path) {
    REAL("unlink", int, const char *);
    if (!below(path)) return real(path);
    pthread_mutex_lock(&lock);
    uint64_t began = now();
    int done = real(path);
    if (!done) record(UNLINKED, began, 0, 0, path, strlen(path), NULL, 0);
    pthread_mutex_unlock(&lock);
    return done;
}

int mkdir(const char *path, mode_t mode) {
    REAL("mkdir", int, const char *, mode_t);
    if (!below(path)) return real(path, mode);
    pthread_mutex_lock(&lock);
    uint64_t began = now();
    int done = real(path, mode);
    struct stat s;
    if (!done && !stat(path, &s)) record(FOLDER_MADE, began, s.st_ino, 0, path, strlen(path), NULL, 0);
    pthread_mutex_unlock(&lock);
    return done;
}

/* Room that is set aside counts as a file that grew: what it holds is zeros until it is written. */
int posix_fallocate(int fd, off_t offset, off_t length) {
    REAL("posix_fallocate", int, int, off_t, off_t);
    uint64_t ino = ino_of(fd);
    if (!ino) return real(fd, offset, length);
    pthread_mutex_lock(&lock);
    uint64_t began = now();
    struct stat before;
    fstat(fd, &before);
    int done = real(fd, offset, length);
    if (!done && offset + length > before.st_size)
        record(TRUNCATED, began, ino, offset + length, "", 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return done;
}
int posix_fallocate64(int fd, off64_t offset, off64_t length) __attribute__((alias("posix_fallocate")));
