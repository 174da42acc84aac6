/* SPDX-License-Identifier: Apache-2.0 */
/* Where $WATCHDOG_USEC asks for it, the loop says twice in that time that it is alive. */
#include "server/notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/env.h"
#include "base/status.h"

struct rw_notify {
    struct rw_loop *loop;
    int fd; /* -1: nobody listens */
    struct rw_timer watchdog;
};

static void say_alive(void *user)
{
    rw_notify_say(user, "WATCHDOG=1");
}

/* A path, or a name that begins with @ in the space of names without files. */
static rwkv_status connect_to(const char *name, int *fd, rwkv_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t size = strlen(name);
    if (size >= sizeof address.sun_path || !strchr("/@", name[0]))
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "NOTIFY_SOCKET: wanted a path or @NAME of at most %zu bytes, found '%s'",
                       sizeof address.sun_path - 1, name);
    memcpy(address.sun_path, name, size);
    if (name[0] == '@')
        address.sun_path[0] = 0;
    *fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
    if (*fd < 0 || connect(*fd, (const struct sockaddr *)&address, length) != 0)
        return rw_fail(err, RWKV_ERROR_IO, "NOTIFY_SOCKET: %s: %s", name, strerror(errno));
    return RWKV_OK;
}

rwkv_status rw_notify_new(struct rw_notify **out, struct rw_loop *loop, rwkv_error *err)
{
    char name[32];
    const char *path = rw_env_setting("NOTIFY_", "socket", name, sizeof name);
    const char *every = rw_env_setting("WATCHDOG_", "usec", name, sizeof name);
    struct rw_notify *notify = rw_calloc(1, sizeof *notify);
    if (!notify)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a socket");
    notify->loop = loop;
    notify->fd = -1;
    rwkv_status status = path && *path ? connect_to(path, &notify->fd, err) : RWKV_OK;
    if (status != RWKV_OK) {
        rw_notify_free(notify);
        return status;
    }
    uint64_t ms = every && notify->fd >= 0 ? strtoull(every, NULL, 10) / 2000 : 0;
    if (ms > 0)
        rw_timer_start(loop, &notify->watchdog, ms, ms, say_alive, notify);
    *out = notify;
    return RWKV_OK;
}

void rw_notify_free(struct rw_notify *notify)
{
    if (!notify)
        return;
    rw_timer_stop(notify->loop, &notify->watchdog);
    if (notify->fd >= 0)
        close(notify->fd);
    rw_free(notify);
}

bool rw_notify_is_heard(const struct rw_notify *notify)
{
    return notify->fd >= 0;
}

void rw_notify_say(struct rw_notify *notify, const char *fmt, ...)
{
    char text[512];
    va_list args;
    if (notify->fd < 0)
        return;
    va_start(args, fmt);
    int size = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (size > 0)
        send(notify->fd, text, RW_MIN((size_t)size, sizeof text - 1), MSG_NOSIGNAL | MSG_DONTWAIT);
}
