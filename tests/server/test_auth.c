/* SPDX-License-Identifier: Apache-2.0 */
/* Keys, hosts and origins as texts, of every odd form. */
#include "unit/unit.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/status.h"
#include "server/auth.h"

static char key_path[] = "/tmp/rwkv-auth-XXXXXX";

static void write_keys(const char *text)
{
    FILE *file = fopen(key_path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static struct rw_auth *make(const char *keys, const char *hosts, const char *origins)
{
    rwkv_error err = {0};
    struct rw_auth *auth = NULL;
    struct rw_http_options http = rw_http_defaults();
    struct rw_auth_options options = {.hosts = hosts, .origins = origins};
    if (keys) {
        write_keys(keys);
        options.key_file = key_path;
    }
    if (rw_auth_new(&options, &http, &auth, &err) != RWKV_OK)
        fail_msg("%s", err.message);
    return auth;
}

static void test_keys(void **state)
{
    struct rw_identity ann = {0}, second = {0}, other = {.name = "unchanged"};
    struct rw_auth *a = make("ann  first-key\r\n# no-key-1\n\tsecond-key\n", NULL, NULL);
    (void)state;
    assert_int_equal(rw_auth_keys(a), 2);
    assert_true(rw_auth_knows_key(a, "Bearer first-key", NULL, &ann));
    assert_true(rw_auth_knows_key(a, "bEARER    second-key", NULL, &second));
    assert_string_equal(ann.name, "ann");
    assert_string_equal(second.name, "key-2");
    assert_int_not_equal(ann.group, second.group);
    assert_memory_not_equal(&ann.owner, &second.owner, sizeof ann.owner);
    assert_true(rw_auth_knows_key(a, NULL, "first-key", &other));
    assert_memory_equal(&other.owner, &ann.owner, sizeof ann.owner);
    other = (struct rw_identity){.name = "unchanged"};
    static const char *const wrong[] = {"Bearer",
                                        "Bearer ",
                                        "Bearer first-ke",
                                        "Bearer first-keyy",
                                        "Bearer first-key ",
                                        "Bearer FIRST-KEY",
                                        "first-key",
                                        "Basic first-key",
                                        "Bearer ann",
                                        "Bearer no-key-1",
                                        "Bearer # no-key-1",
                                        "Bearer \tfirst-key",
                                        ""};
    for (size_t i = 0; i < RW_COUNT(wrong); i++)
        assert_false(rw_auth_knows_key(a, wrong[i], NULL, &other));
    assert_false(rw_auth_knows_key(a, NULL, "", &other));
    assert_false(rw_auth_knows_key(a, NULL, NULL, &other));
    assert_false(rw_auth_knows_key(a, "Bearer wrong", "first-key", &other));
    assert_string_equal(other.name, "unchanged");
    rw_auth_free(a);
}

static void test_files(void **state)
{
    static const struct {
        const char *text, *wanted;
    } wrong[] = {{"", "there is no key"},
                 {"# only this\n\n", "there is no key"},
                 {"1234567\n", "line 1: a key of 7 characters"},
                 {"12345678\nann 1234567", "line 2: a key of 7 characters"},
                 {"ann of ferngully-key\n", "line 1: more than a name and a key"}};
    rwkv_error err;
    struct rw_auth *auth = NULL;
    struct rw_http_options http = rw_http_defaults();
    struct rw_auth_options options = {.key_file = key_path};
    (void)state;
    for (size_t i = 0; i < RW_COUNT(wrong); i++) {
        write_keys(wrong[i].text);
        assert_int_equal(rw_auth_new(&options, &http, &auth, &err), RWKV_ERROR_FORMAT);
        assert_non_null(strstr(err.message, wrong[i].wanted));
        assert_non_null(strstr(err.message, key_path));
    }
}

static void test_hosts(void **state)
{
    static const char *const known[] = {"",        "localhost", "127.0.0.1",   "127.9.9.9",
                                        "::1",     "10.0.0.1",  "2001:db8::1", "box.example",
                                        "a.local", "0.0.0.0"};
    static const char *const strange[] = {"evil.example",
                                          "127.0.0.1.evil.example",
                                          "127.evil.example",
                                          "127.0.0.1.",
                                          "127.1",
                                          "box.example.",
                                          "xbox.example",
                                          "box.exampl",
                                          "local",
                                          "a",
                                          "0x7f.1",
                                          "::1.example"};
    struct rw_auth *a = make(NULL, " Box.Example ,,A.LOCAL", NULL), *any = make(NULL, "*", NULL);
    (void)state;
    for (size_t i = 0; i < RW_COUNT(known); i++)
        assert_true(rw_auth_knows_host(a, known[i]));
    for (size_t i = 0; i < RW_COUNT(strange); i++) {
        assert_false(rw_auth_knows_host(a, strange[i]));
        assert_true(rw_auth_knows_host(any, strange[i]));
    }
    rw_auth_free(a);
    rw_auth_free(any);
}

static void test_origins(void **state)
{
    struct rw_auth *a = make(NULL, NULL, "https://app.example, http://b.example:99");
    struct rw_auth *any = make(NULL, NULL, "*");
    (void)state;
    assert_true(rw_auth_knows_origin(a, "https://app.example", "localhost:8080"));
    assert_true(rw_auth_knows_origin(a, "HTTPS://APP.example", NULL));
    assert_true(rw_auth_knows_origin(a, "http://b.example:99", NULL));
    assert_true(rw_auth_knows_origin(a, "http://localhost:8080", "localhost:8080"));
    static const char *const strange[] = {"null",
                                          "",
                                          "://",
                                          "https://",
                                          "http://app.example",
                                          "https://app.example/",
                                          "https://app.example:443",
                                          "https://app.example.evil",
                                          "http://b.example",
                                          "http://localhost",
                                          "http://localhost:80801",
                                          "http://x@localhost:8080"};
    for (size_t i = 0; i < RW_COUNT(strange); i++) {
        assert_false(rw_auth_knows_origin(a, strange[i], "localhost:8080"));
        assert_false(rw_auth_knows_origin(a, strange[i], NULL));
        assert_true(rw_auth_knows_origin(any, strange[i], NULL));
    }
    rw_auth_free(a);
    rw_auth_free(any);
}

static void test_open_doors(void **state)
{
    static const char *const open[] = {"0.0.0.0", "::", "192.0.2.7", "box.example",
                                       "127.0.0.1.example"};
    rwkv_error err;
    struct rw_auth *auth = NULL;
    struct rw_http_options http = rw_http_defaults();
    (void)state;
    for (size_t i = 0; i < RW_COUNT(open); i++) {
        http.host = open[i];
        assert_int_equal(rw_auth_new(&(struct rw_auth_options){0}, &http, &auth, &err),
                         RWKV_ERROR_ARGUMENT);
        assert_int_equal(
            rw_auth_new(&(struct rw_auth_options){.insecure = true}, &http, &auth, &err), RWKV_OK);
        assert_true(rw_auth_knows_host(auth, open[i]));
        rw_auth_free(auth);
    }
    http.unix_path = "/run/rwkv";
    assert_int_equal(rw_auth_new(&(struct rw_auth_options){0}, &http, &auth, &err), RWKV_OK);
    rw_auth_free(auth);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),       cmocka_unit_test(test_files),
        cmocka_unit_test(test_hosts),      cmocka_unit_test(test_origins),
        cmocka_unit_test(test_open_doors),
    };
    int fd = mkstemp(key_path);
    if (fd < 0 || close(fd) != 0)
        return 1;
    int failed = cmocka_run_group_tests_name("auth", tests, NULL, NULL);
    unlink(key_path);
    return failed;
}
