/* SPDX-License-Identifier: Apache-2.0 */
#include "say.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/status.h"
#include "base/utf8.h"
#include "interrupt.h"

static int out_error; /* errno of the first failed write, 0 while all is well */

static void check_out(bool ok)
{
    if (!ok && !out_error)
        out_error = errno ? errno : EIO;
}

void rw_out(const void *bytes, size_t n)
{
    if (!out_error && n)
        check_out(fwrite(bytes, 1, n, stdout) == n);
}

void rw_outs(const char *text)
{
    rw_out(text, strlen(text));
}

void rw_out_generated(const char *text, size_t n)
{
    if (!rw_out_is_terminal()) {
        rw_out(text, n);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        if ((c >= 0x20 && c != 0x7f) || c == '\n' || c == '\t')
            rw_out(&text[i], 1);
    }
}

void rw_out_safe(const char *text)
{
    size_t n = strlen(text), len;
    for (size_t at = 0; at < n; at += len) {
        uint32_t code = 0;
        enum rw_utf8_kind kind = rw_utf8_next((const uint8_t *)text + at, n - at, &len, &code);
        if (kind == RW_UTF8_PARTIAL)
            len = n - at;
        bool control = code < 0x20 || (code >= 0x7f && code < 0xa0);
        if (kind == RW_UTF8_CHAR && !control)
            rw_out(text + at, len);
        else
            rw_outs("?");
    }
}

void rw_outf(const char *fmt, ...)
{
    if (out_error)
        return;
    va_list args;
    va_start(args, fmt);
    check_out(vprintf(fmt, args) >= 0);
    va_end(args);
}

void rw_out_flush(void)
{
    if (!out_error)
        check_out(fflush(stdout) == 0);
}

bool rw_out_failed(void)
{
    return out_error != 0;
}

bool rw_out_is_terminal(void)
{
    return isatty(STDOUT_FILENO);
}

int rw_out_end(int status)
{
    rw_out_flush();
    if (out_error == EPIPE) {
        signal(SIGPIPE, SIG_DFL);
        raise(SIGPIPE);
    }
    if (out_error && status == RW_EXIT_OK) {
        rwkv_error err;
        rw_fail(&err, RWKV_ERROR_IO, "standard output: %s", strerror(out_error));
        status = rw_complain(&err);
    }
    return status;
}

int rw_complain(const rwkv_error *err)
{
    if (err->code == RWKV_ERROR_CANCELLED && rw_interrupted)
        return RW_EXIT_FAILURE; /* the user knows */
    /* Another process of the group tells it, and fails for all: mpirun would stop it at that if we
     * were the first to fail. */
    if (!err->message[0])
        return RW_EXIT_OK;
    rw_out_flush();
    fprintf(stderr, "rwkv: %s\n", err->message);
    return RW_EXIT_FAILURE;
}

int rw_complain_usage(const char *command, const rwkv_error *err)
{
    if (command)
        fprintf(stderr, "rwkv: %s: %s (see 'rwkv %s --help')\n", command, err->message, command);
    else
        fprintf(stderr, "rwkv: %s (see 'rwkv --help')\n", err->message);
    return RW_EXIT_USAGE;
}

void rw_note(const char *fmt, ...)
{
    rw_out_flush();
    va_list args;
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
}

void rw_show_status(const char *text)
{
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K%s", text);
}

/* n with three significant digits and the largest of the units (a power of `step` apart) it fills.
 */
static struct rw_shown scale(double n, double step, const char *const *units, size_t count)
{
    struct rw_shown s;
    size_t unit = 0;
    while (n >= step && unit + 1 < count) {
        n /= step;
        unit++;
    }
    int digits = unit == 0 || n >= 100 ? 0 : n >= 10 ? 1 : 2;
    snprintf(s.text, sizeof s.text, "%.*f%s", digits, n, units[unit]);
    return s;
}

struct rw_shown rw_show_bytes(uint64_t n)
{
    static const char *const units[] = {" B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB"};
    return scale((double)n, 1024, units, RW_COUNT(units));
}

struct rw_shown rw_show_count(double n)
{
    static const char *const units[] = {"", " k", " M", " G", " T", " P", " E"};
    return scale(n, 1000, units, RW_COUNT(units));
}

struct rw_shown rw_show_seconds(double s)
{
    struct rw_shown shown;
    if (s < 0.9995)
        snprintf(shown.text, sizeof shown.text, "%.3g ms", s * 1e3);
    else
        snprintf(shown.text, sizeof shown.text, "%.*f s", s < 10 ? 2 : 1, s);
    return shown;
}

struct rw_shown rw_show_rate(double n, double seconds)
{
    struct rw_shown s = {"-"};
    double rate = n / seconds;
    if (seconds > 0 && isfinite(rate))
        snprintf(s.text, sizeof s.text, "%.*f", rate < 10 ? 2 : rate < 1000 ? 1 : 0, rate);
    return s;
}
