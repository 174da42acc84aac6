/* SPDX-License-Identifier: Apache-2.0 */
/* The listening socket, TCP or unix, and the files of a certificate and its key. */
#include "server/http_int.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/status.h"

#define BACKLOG 1024
#define PEM_BYTES (1 << 20)

/* Where a server is: "http://[::1]:8080". Also sets its port. */
static rwkv_status describe(struct rw_http *http, bool tls, rwkv_error *err)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    char host[INET6_ADDRSTRLEN + 32], port[16];
    struct rw_str url = {0};
    if (getsockname(http->listener, (struct sockaddr *)&address, &size) != 0 ||
        getnameinfo((struct sockaddr *)&address, size, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return rw_fail(err, RWKV_ERROR_IO, "cannot read back the address listened on");
    http->port = (unsigned)strtoul(port, NULL, 10);
    rw_str_printf(&url, strchr(host, ':') ? "%s://[%s]:%s" : "%s://%s:%s", tls ? "https" : "http",
                  host, port);
    http->url = rw_str_take(&url);
    return http->url ? RWKV_OK : rw_fail(err, RWKV_ERROR_MEMORY, "no memory for an address");
}

/* A socket bound to one address and listening; -1 and errno if that cannot be. */
static int bind_one(const struct addrinfo *a)
{
    const int one = 1, zero = 0;
    int fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, a->ai_protocol);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (a->ai_family == AF_INET6) /* "::" is for everyone */
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
    if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int failure = errno;
    close(fd);
    errno = failure;
    return -1;
}

static rwkv_status listen_tcp(struct rw_http *http, const struct rw_http_options *o,
                              rwkv_error *err)
{
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    char port[16];
    if (o->port > 65535)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "port %u: at most 65535", o->port);
    snprintf(port, sizeof port, "%u", o->port);
    int failure = getaddrinfo(o->host, port, &hints, &list);
    if (failure)
        return rw_fail(err, RWKV_ERROR_IO, "cannot listen on '%s': %s", o->host,
                       failure == EAI_SYSTEM ? strerror(errno) : gai_strerror(failure));
    for (const struct addrinfo *a = list; a && http->listener < 0; a = a->ai_next) {
        http->listener = bind_one(a);
        http->family = a->ai_family;
    }
    failure = errno;
    freeaddrinfo(list);
    if (http->listener < 0)
        return rw_fail(err, RWKV_ERROR_IO, "cannot listen on %s, port %u: %s", o->host, o->port,
                       strerror(failure));
    return describe(http, o->cert_file != NULL, err);
}

/* Whether `path` is free to bind: it is absent, or a socket on which nobody listens, which is then
 * removed. */
static rwkv_status make_room(const struct sockaddr_un *address, rwkv_error *err)
{
    const char *path = address->sun_path;
    struct stat st;
    if (lstat(path, &st) != 0)
        return errno == ENOENT ? RWKV_OK
                               : rw_fail(err, RWKV_ERROR_IO, "%s: %s", path, strerror(errno));
    if (!S_ISSOCK(st.st_mode))
        return rw_fail(err, RWKV_ERROR_IO, "%s: is there and no socket; not replaced", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return rw_fail(err, RWKV_ERROR_IO, "%s: %s", path, strerror(errno));
    int refused = connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 &&
                  errno == ECONNREFUSED;
    close(fd);
    if (!refused)
        return rw_fail(err, RWKV_ERROR_IO, "%s: another server listens on this socket", path);
    if (unlink(path) != 0)
        return rw_fail(err, RWKV_ERROR_IO, "%s: cannot replace a stale socket: %s", path,
                       strerror(errno));
    return RWKV_OK;
}

static rwkv_status listen_unix(struct rw_http *http, const struct rw_http_options *o,
                               rwkv_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct rw_str url = {0};
    struct stat st;
    if (!o->unix_path[0] || strlen(o->unix_path) >= sizeof address.sun_path)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "%s: the path of a unix socket has 1 to %zu bytes",
                       o->unix_path, sizeof address.sun_path - 1);
    memcpy(address.sun_path, o->unix_path, strlen(o->unix_path));
    RW_TRY(make_room(&address, err));
    http->family = AF_UNIX;
    http->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    rw_str_printf(&url, "unix:%s", o->unix_path);
    http->url = rw_str_take(&url);
    char *path = rw_strdup(o->unix_path);
    if (!http->url || !path) {
        rw_free(path);
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for the path of a socket");
    }
    /* Nobody can connect before listen(), and so never before chmod(). */
    if (http->listener < 0 ||
        bind(http->listener, (const struct sockaddr *)&address, sizeof address) != 0) {
        rw_free(path);
        return rw_fail(err, RWKV_ERROR_IO, "%s: cannot listen: %s", o->unix_path, strerror(errno));
    }
    http->unix_path = path;
    if (stat(path, &st) == 0) {
        http->unix_device = st.st_dev;
        http->unix_inode = st.st_ino;
    }
    if (chmod(path, o->unix_mode) != 0 || listen(http->listener, BACKLOG) != 0)
        return rw_fail(err, RWKV_ERROR_IO, "%s: cannot listen: %s", path, strerror(errno));
    return RWKV_OK;
}

rwkv_status rw_http_listen(struct rw_http *http, const struct rw_http_options *o, rwkv_error *err)
{
    return o->unix_path ? listen_unix(http, o, err) : listen_tcp(http, o, err);
}

void rw_http_unlisten(struct rw_http *http)
{
    struct stat st;
    if (http->listener >= 0)
        close(http->listener);
    http->listener = -1;
    /* Another server may have replaced it meanwhile. */
    if (http->unix_path && stat(http->unix_path, &st) == 0 && st.st_dev == http->unix_device &&
        st.st_ino == http->unix_inode)
        unlink(http->unix_path);
    rw_free(http->unix_path);
    http->unix_path = NULL;
}

/* Whether a certificate can be read. Asked before libmicrohttpd is given it, as GnuTLS 3.7 loses
 * memory over one that cannot when it comes with its key. */
static rwkv_status check_certificate(const char *path, const char *text, rwkv_error *err)
{
    const gnutls_datum_t data = {(unsigned char *)(uintptr_t)text, (unsigned)strlen(text)};
    gnutls_x509_crt_t *list = NULL;
    unsigned count = 0;
    int failure = gnutls_x509_crt_list_import2(&list, &count, &data, GNUTLS_X509_FMT_PEM, 0);
    if (failure < 0)
        return rw_fail(err, RWKV_ERROR_FORMAT, "%s: no certificate that can be read: %s", path,
                       gnutls_strerror(failure));
    for (unsigned i = 0; i < count; i++)
        gnutls_x509_crt_deinit(list[i]);
    gnutls_free(list);
    return RWKV_OK;
}

rwkv_status rw_http_read_pem(const char *path, const char *what, char **out, rwkv_error *err)
{
    char begin[64];
    size_t size;
    RW_TRY(rw_read_file(path, PEM_BYTES, out, &size, err));
    /* "-----BEGIN EC PRIVATE KEY-----" is one, too. */
    snprintf(begin, sizeof begin, "%s-----", what);
    rwkv_status status = RWKV_OK;
    if (strlen(*out) != size || !strstr(*out, "-----BEGIN ") || !strstr(*out, begin))
        status =
            rw_fail(err, RWKV_ERROR_FORMAT, "%s: holds no '-----BEGIN %s-----' (PEM)", path, what);
    else if (strcmp(what, "CERTIFICATE") == 0)
        status = check_certificate(path, *out, err);
    if (status != RWKV_OK) {
        explicit_bzero(*out, size);
        rw_free(*out);
        *out = NULL;
    }
    return status;
}
