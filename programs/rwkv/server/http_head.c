/* SPDX-License-Identifier: Apache-2.0 */
/* Targets, queries, Host and the framing of bodies; see http_head.h. */
#include "server/http_head.h"

#include <string.h>
#include <strings.h>

#include "base/alloc.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int hex_digit(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Blanks that may follow a value are no part of it. */
static size_t trimmed(const char *value)
{
    size_t n = strlen(value);
    while (n > 0 && (value[n - 1] == ' ' || value[n - 1] == '\t'))
        n--;
    return n;
}

/* Authorities ------------------------------------------------------------------------------- */

/* unreserved and sub-delims of RFC 3986, and '%' of its escapes, which are left as they are. */
static bool is_host_char(char c)
{
    return is_alnum(c) || (c && strchr("-._~!$&'()*+,;=%", c));
}

/* What an IPv6 address in brackets may be made of; a name that is not one matches no list. */
static bool is_address_char(char c)
{
    return hex_digit(c) >= 0 || c == ':' || c == '.';
}

static const char *parse_port(struct rw_http_authority *authority, const char *text, size_t n)
{
    int port = 0;
    if (n == 0)
        return NULL; /* "host:" is allowed, and means the default port */
    for (size_t i = 0; i < n; i++) {
        if (!is_digit(text[i]) || port > 6553)
            return "Host names a port that is not a number up to 65535";
        port = port * 10 + (text[i] - '0');
    }
    if (port > 65535)
        return "Host names a port that is not a number up to 65535";
    authority->port = port;
    return NULL;
}

static const char *parse_authority(struct rw_http_authority *authority, const char *text, size_t n)
{
    size_t at = 0, end, length = 0;
    bool bracket = n > 0 && text[0] == '[';
    *authority = (struct rw_http_authority){.port = -1};
    if (bracket)
        at++;
    end = at;
    while (end < n && (bracket ? is_address_char(text[end]) : is_host_char(text[end])))
        end++;
    if (end == at)
        return "Host is empty or begins with a character that no host name has";
    if (end - at >= sizeof authority->host)
        return "Host is longer than 255 characters";
    for (; at < end; at++) {
        char c = text[at];
        authority->host[length++] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
    if (bracket && (end == n || text[end++] != ']'))
        return "Host begins with '[' but is no IPv6 address in brackets";
    if (end == n)
        return NULL;
    if (text[end] != ':')
        return "Host has a character that no host name has";
    return parse_port(authority, text + end + 1, n - end - 1);
}

const char *rw_http_authority_parse(struct rw_http_authority *authority, const char *text)
{
    return parse_authority(authority, text, trimmed(text));
}

/* Targets ----------------------------------------------------------------------------------- */

/* Decodes text[0, n) to `*out`, terminated, and moves that on. */
static const char *decode(char **out, const char *text, size_t n, bool plus_is_space)
{
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (c == '%') {
            int high = i + 2 < n ? hex_digit(text[i + 1]) : -1;
            int low = i + 2 < n ? hex_digit(text[i + 2]) : -1;
            if (high < 0 || low < 0)
                return "the target has a '%' that two hexadecimal digits do not follow";
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        if (c == 0)
            return "the target has a zero byte";
        *(*out)++ = c;
    }
    *(*out)++ = 0;
    return NULL;
}

static const char *parse_query(struct rw_http_target *target, char *out, const char *query)
{
    while (*query) {
        size_t n = strcspn(query, "&");
        const char *equals = memchr(query, '=', n);
        size_t name_size = equals ? (size_t)(equals - query) : n;
        const char *value = equals ? equals + 1 : query + n, *wrong;
        if (n > 0) {
            if (target->n_parameters == RW_HTTP_PARAMETERS)
                return "the query has more than 64 parameters";
            target->parameters[target->n_parameters].name = out;
            if ((wrong = decode(&out, query, name_size, true)))
                return wrong;
            target->parameters[target->n_parameters++].value = out;
            if ((wrong = decode(&out, value, (size_t)(query + n - value), true)))
                return wrong;
        }
        query += n;
        query += *query == '&';
    }
    return NULL;
}

/* An absolute target: takes the authority off. */
static const char *take_authority(struct rw_http_target *target, const char **text)
{
    size_t scheme = strncasecmp(*text, "http://", 7) == 0    ? 7
                    : strncasecmp(*text, "https://", 8) == 0 ? 8
                                                             : 0;
    if (scheme == 0)
        return NULL;
    const char *begin = *text + scheme;
    size_t n = strcspn(begin, "/?#");
    target->has_authority = true;
    *text = begin + n;
    return parse_authority(&target->authority, begin, n);
}

const char *rw_http_target_parse(struct rw_http_target *target, const char *text)
{
    *target = (struct rw_http_target){0};
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p <= ' ' || *p == 0x7f || *p == '#')
            return "the target has a character that has to be escaped";
    const char *wrong = take_authority(target, &text);
    if (wrong)
        return wrong;
    size_t n = strcspn(text, "?");
    /* A parameter takes as much as it had, with two terminators for '&' and '='. */
    char *out = rw_alloc(2 * strlen(text) + 8, 1);
    if (!(target->path = out))
        return "no memory for the target";
    if (n == 0 && target->has_authority)
        *out++ = '/';
    else if (text[0] != '/' && !(n == 1 && text[0] == '*'))
        return "the target is neither a path nor an http URL";
    if ((wrong = decode(&out, text, n, false)))
        return wrong;
    return text[n] ? parse_query(target, out, text + n + 1) : NULL;
}

void rw_http_target_fini(struct rw_http_target *target)
{
    rw_free(target->path);
    *target = (struct rw_http_target){0};
}

const char *rw_http_target_query(const struct rw_http_target *target, const char *name)
{
    for (size_t i = 0; i < target->n_parameters; i++)
        if (strcmp(target->parameters[i].name, name) == 0)
            return target->parameters[i].value;
    return NULL;
}

/* Framing ----------------------------------------------------------------------------------- */

static bool is_token(const char *text)
{
    if (!*text)
        return false;
    for (; *text; text++)
        if (!is_alnum(*text) && !strchr("!#$%&'*+-.^_`|~", *text))
            return false;
    return true;
}

static bool parse_length(const char *value, uint64_t *out)
{
    size_t n = trimmed(value);
    *out = 0;
    for (size_t i = 0; i < n; i++) {
        if (!is_digit(value[i]) || *out > (INT64_MAX - 9) / 10)
            return false;
        *out = *out * 10 + (uint64_t)(value[i] - '0');
    }
    return n > 0;
}

void rw_http_framing_field(struct rw_http_framing *f, const char *name, const char *value)
{
    if (!is_token(name))
        f->bad_name = true;
    if (strcasecmp(name, "host") == 0) {
        f->hosts++;
        f->host = value;
    } else if (strcasecmp(name, "content-length") == 0) {
        f->lengths++;
        if (!parse_length(value, &f->length))
            f->bad_length = true;
    } else if (strcasecmp(name, "transfer-encoding") == 0) {
        f->encodings++;
        f->chunked = trimmed(value) == 7 && strncasecmp(value, "chunked", 7) == 0;
    }
}

const char *rw_http_framing_check(const struct rw_http_framing *f, unsigned minor, unsigned *status)
{
    *status = 400;
    if (f->bad_name)
        return "the head has a field whose name is no token";
    if (f->hosts > 1)
        return "Host is there more than once";
    if (f->hosts == 0 && minor >= 1)
        return "Host is missing";
    if (f->lengths > 1)
        return "Content-Length is there more than once";
    if (f->bad_length)
        return "Content-Length is no number of bytes";
    if (f->encodings > 0 && f->lengths > 0)
        return "Content-Length and Transfer-Encoding are both there";
    if (f->encodings > 1)
        return "Transfer-Encoding is there more than once";
    if (f->encodings > 0 && minor == 0)
        return "HTTP/1.0 has no Transfer-Encoding";
    if (f->encodings > 0 && !f->chunked) {
        *status = 501;
        return "of transfer encodings only 'chunked' is known";
    }
    return NULL;
}
