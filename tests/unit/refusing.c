/* Makes the C library's calls of a process refuse as some file systems and systems do; for LD_PRELOAD in tests.
 *
 * REFUSE_FLOCK      an errno: no file below REFUSE_BELOW can be locked
 * REFUSE_RENAMES    so many renames below REFUSE_BELOW fail with EACCES, as while a virus scanner reads the file
 * REFUSE_NEW        no file can be made below REFUSE_BELOW, and the system says that it was not found (ENOENT)
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int below(const char *path) {
    const char *folder = getenv("REFUSE_BELOW");
    return folder && path && strncmp(path, folder, strlen(folder)) == 0;
}

int flock(int file, int operation) {
    static int (*real)(int, int);
    const char *refusal = getenv("REFUSE_FLOCK");
    if (refusal) {
        char link[64], path[PATH_MAX];
        snprintf(link, sizeof link, "/proc/self/fd/%d", file);
        ssize_t length = readlink(link, path, sizeof path - 1);
        path[length > 0 ? length : 0] = 0;
        if (below(path)) {
            errno = atoi(refusal);
            return -1;
        }
    }
    if (!real)
        real = dlsym(RTLD_NEXT, "flock");
    return real(file, operation);
}

int rename(const char *from, const char *to) {
    static int (*real)(const char *, const char *);
    static int refused;
    const char *count = getenv("REFUSE_RENAMES");
    if (count && below(from) && refused < atoi(count)) {
        refused++;
        errno = EACCES;
        return -1;
    }
    if (!real)
        real = dlsym(RTLD_NEXT, "rename");
    return real(from, to);
}

static int refuses_new(const char *path, int flags) {
    return getenv("REFUSE_NEW") && (flags & O_CREAT) && below(path);
}

#define OPEN(name)                                                                                                     \
    int name(const char *path, int flags, ...) {                                                                       \
        static int (*real)(const char *, int, ...);                                                                    \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        mode_t mode = (flags & O_CREAT) ? va_arg(rest, mode_t) : 0;                                                    \
        va_end(rest);                                                                                                  \
        if (refuses_new(path, flags)) {                                                                                \
            errno = ENOENT;                                                                                            \
            return -1;                                                                                                 \
        }                                                                                                              \
        if (!real)                                                                                                     \
            real = dlsym(RTLD_NEXT, #name);                                                                            \
        return real(path, flags, mode);                                                                                \
    }

OPEN(open)
OPEN(open64)
