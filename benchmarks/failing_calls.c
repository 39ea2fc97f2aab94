/* Makes the n-th call that writes below a folder fail, for benchmarks/store_failures.py; loaded by LD_PRELOAD.
 *
 * Nothing fails before `fail_calls` was called; `called` says how many calls there were since. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static char folder[4096];
static int which, forever, error, calls, armed;

void fail_calls(const char *root, int n, int number, int all_later)
{
    strncpy(folder, root, sizeof folder - 1);
    which = n, error = number, forever = all_later, calls = 0, armed = 1;
}

int called(void)
{
    armed = 0;
    return calls;
}

static int fails(const char *path)
{
    if (!armed || !path || strncmp(path, folder, strlen(folder)))
        return 0;
    ++calls;
    if (calls != which && !(forever && calls > which))
        return 0;
    errno = error;
    return 1;
}

static int handle_fails(int handle)
{
    char link[64], path[4096];
    if (!armed)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return fails(path);
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define WITH_HANDLE(type, name, parameters, arguments)  \
    type name parameters                                \
    {                                                   \
        return handle_fails(handle) ? -1 : NEXT(name) arguments; \
    }

#define WITH_PATH(name, parameters, arguments)  \
    int name parameters                         \
    {                                           \
        return fails(path) ? -1 : NEXT(name) arguments; \
    }

WITH_HANDLE(ssize_t, write, (int handle, const void *data, size_t size), (handle, data, size))
WITH_HANDLE(ssize_t, pwrite, (int handle, const void *data, size_t size, off_t place), (handle, data, size, place))
WITH_HANDLE(ssize_t, pwrite64, (int handle, const void *data, size_t size, off64_t place), (handle, data, size, place))
WITH_HANDLE(int, fsync, (int handle), (handle))
WITH_HANDLE(int, fdatasync, (int handle), (handle))
WITH_HANDLE(int, ftruncate, (int handle, off_t size), (handle, size))
WITH_HANDLE(int, ftruncate64, (int handle, off64_t size), (handle, size))
WITH_PATH(mkdir, (const char *path, mode_t mode), (path, mode))
WITH_PATH(rename, (const char *path, const char *to), (path, to))
WITH_PATH(link, (const char *path, const char *to), (path, to))
WITH_PATH(unlink, (const char *path), (path))
WITH_PATH(rmdir, (const char *path), (path))
WITH_PATH(chmod, (const char *path, mode_t mode), (path, mode))

/* Of openings only those that write or make. */
#define OPENING(name)                                          \
    int name(const char *path, int flags, ...)                 \
    {                                                          \
        va_list rest;                                          \
        va_start(rest, flags);                                 \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest);                                          \
        if (flags & (O_CREAT | O_WRONLY | O_RDWR) && fails(path)) \
            return -1;                                         \
        return NEXT(name)(path, flags, mode);                  \
    }

OPENING(open)
OPENING(open64)
