/* SPDX-License-Identifier: Apache-2.0 */
/* Targets, queries, Host values and framing: what is understood, and what is refused. */
#include "unit/unit.h"

#include "server/http_head.h"

static void parses(const char *text, const char *path)
{
    struct rw_http_target t;
    const char *wrong = rw_http_target_parse(&t, text);
    if (wrong)
        fail_msg("%s: %s", text, wrong);
    assert_string_equal(t.path, path);
    rw_http_target_fini(&t);
}

static void refused(const char *text, const char *reason)
{
    struct rw_http_target t;
    const char *wrong = rw_http_target_parse(&t, text);
    rw_http_target_fini(&t);
    if (!wrong || !strstr(wrong, reason))
        fail_msg("%s: %s, not %s", text, wrong ? wrong : "parsed", reason);
}

static void test_paths(void **state)
{
    parses("/", "/");
    parses("*", "*");
    parses("/v1/models/a%2Fb%20c%C3%a9", "/v1/models/a/b c\xC3\xA9");
    parses("/a+b", "/a+b");
    parses("/x?", "/x");
    parses("http://Example.org:81/x/y?z", "/x/y");
    parses("https://example.org", "/");
    parses("http://example.org?q=1", "/");
    refused("", "neither a path");
    refused("x", "neither a path");
    refused("*x", "neither a path");
    refused("ftp://h/x", "neither a path");
    refused("/a%", "'%'");
    refused("/a%4", "'%'");
    refused("/a%4g", "'%'");
    refused("/a?b=%zz", "'%'");
    refused("/a%00b", "zero byte");
    refused("/a?b=%00", "zero byte");
    refused("/a b", "escaped");
    refused("/a\x7f", "escaped");
    refused("/a\tb", "escaped");
    refused("/a#b", "escaped");
    refused("http:///x", "Host is empty");
    refused("http://user@host/x", "Host has a character");
    refused("http://h:70000/", "port");
}

static void test_queries(void **state)
{
    struct rw_http_target t;
    assert_null(rw_http_target_parse(&t, "/p?a=1&b=x%26y+z&&flag&a=2&=v&e=&q=a=b"));
    assert_int_equal(t.n_parameters, 7);
    assert_string_equal(rw_http_target_query(&t, "a"), "1");
    assert_string_equal(rw_http_target_query(&t, "b"), "x&y z");
    assert_string_equal(rw_http_target_query(&t, "flag"), "");
    assert_string_equal(rw_http_target_query(&t, ""), "v");
    assert_string_equal(rw_http_target_query(&t, "e"), "");
    assert_string_equal(rw_http_target_query(&t, "q"), "a=b");
    assert_null(rw_http_target_query(&t, "c"));
    rw_http_target_fini(&t);
    char many[2 * RW_HTTP_PARAMETERS + 8] = "/?a";
    for (int i = 1; i < RW_HTTP_PARAMETERS; i++)
        strcat(many, "&a");
    parses(many, "/");
    strcat(many, "&a");
    refused(many, "more than 64");
}

static void host_is(const char *text, const char *host, int port)
{
    struct rw_http_authority a;
    const char *wrong = rw_http_authority_parse(&a, text);
    if (wrong)
        fail_msg("%s: %s", text, wrong);
    assert_string_equal(a.host, host);
    assert_int_equal(a.port, port);
}

static void test_hosts(void **state)
{
    static const char *const bad[] = {"",      ":80",  "[::1",    "[::1]x",        "a b",
                                      "a/b",   "a:b",  "a:65536", "a:99999999999", "a:-1",
                                      "a:8 0", "u@h",  "[]",      "[g]",           "a,b:1:2",
                                      "\x80",  "a\\b", "[::1]:x", "a:+1",          "[::1%eth0]"};
    struct rw_http_authority a;
    char name[300];
    host_is("LocalHost:8080", "localhost", 8080);
    host_is("a", "a", -1);
    host_is("a:", "a", -1);
    host_is("127.0.0.1:0 \t", "127.0.0.1", 0);
    host_is("[::1]:65535", "::1", 65535);
    host_is("[FE80::1]", "fe80::1", -1);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (!rw_http_authority_parse(&a, bad[i]))
            fail_msg("'%s' was taken for a host", bad[i]);
    memset(name, 'a', sizeof name);
    name[255] = 0;
    assert_null(rw_http_authority_parse(&a, name));
    name[255] = 'a';
    name[256] = 0;
    assert_non_null(rw_http_authority_parse(&a, name));
}

/* `head` is NAME:VALUE lines. */
static void frames(const char *head, unsigned minor, unsigned expected, const char *reason)
{
    struct rw_http_framing f = {0};
    char text[512], *save = NULL;
    unsigned status = 0;
    snprintf(text, sizeof text, "%s", head);
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *colon = strchr(line, ':');
        *colon = 0;
        rw_http_framing_field(&f, line, colon + 1);
    }
    const char *wrong = rw_http_framing_check(&f, minor, &status);
    if (expected == 0) {
        assert_null(wrong);
    } else {
        assert_non_null(wrong);
        assert_int_equal(status, expected);
        if (!strstr(wrong, reason))
            fail_msg("%s: %s, not %s", head, wrong, reason);
    }
}

static void test_framing(void **state)
{
    frames("Host:a", 1, 0, NULL);
    frames("", 0, 0, NULL);
    frames("Host:a\nContent-Length:12 ", 1, 0, NULL);
    frames("hOST:a\nTransfer-Encoding:Chunked\t", 1, 0, NULL);
    frames("Host:a\nContent-Length:9223372036854775799", 1, 0, NULL);
    frames("", 1, 400, "Host is missing");
    frames("Host:a\nhost:a", 1, 400, "Host is there more");
    frames("Host:a\nContent-Length:1\ncontent-length:1", 1, 400, "Content-Length is there more");
    frames("Host:a\nContent-Length:1\nTransfer-Encoding:chunked", 1, 400, "both");
    frames("Host:a\nTransfer-Encoding:chunked\nTransfer-Encoding:chunked", 1, 400, "more than");
    frames("Transfer-Encoding:chunked", 0, 400, "HTTP/1.0");
    frames("Host:a\nTransfer-Encoding:gzip, chunked", 1, 501, "only 'chunked'");
    frames("Host:a\nTransfer-Encoding:chunkedx", 1, 501, "only 'chunked'");
    static const char *const lengths[] = {"",
                                          " ",
                                          "-1",
                                          "+1",
                                          "1,1",
                                          "0x1",
                                          "1 1",
                                          "a",
                                          "9223372036854775808",
                                          "99999999999999999999"};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        char head[128];
        snprintf(head, sizeof head, "Host:a\nContent-Length:%s", lengths[i]);
        frames(head, 1, 400, "no number");
    }
    frames("Host:a\nBad Name:x", 1, 400, "no token");
    frames("Host :a", 1, 400, "no token");
    frames("Host:a\n:x", 1, 400, "no token");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_queries),
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_framing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
