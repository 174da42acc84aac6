/* SPDX-License-Identifier: Apache-2.0 */
/* TLS: a certificate made here, requests, streams and clients that leave; files that are wrong. */
#include "server.h"

#include <sys/socket.h>
#include <time.h>

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

static char folder[64], cert_path[128], key_path[128], other_key_path[128];

static void write_file(const char *path, const gnutls_datum_t *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text->data, 1, text->size, file), text->size);
    fclose(file);
}

static gnutls_x509_privkey_t make_key(const char *path)
{
    gnutls_x509_privkey_t key;
    gnutls_datum_t text;
    assert_int_equal(gnutls_x509_privkey_init(&key), 0);
    assert_int_equal(gnutls_x509_privkey_generate(
                         key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
                     0);
    assert_int_equal(gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &text), 0);
    write_file(path, &text);
    gnutls_free(text.data);
    return key;
}

static int make_files(void **state)
{
    gnutls_x509_crt_t cert;
    gnutls_datum_t text;
    server_mkdir(folder);
    snprintf(cert_path, sizeof cert_path, "%s/cert.pem", folder);
    snprintf(key_path, sizeof key_path, "%s/key.pem", folder);
    snprintf(other_key_path, sizeof other_key_path, "%s/other.pem", folder);
    gnutls_x509_privkey_deinit(make_key(other_key_path));
    gnutls_x509_privkey_t key = make_key(key_path);
    assert_int_equal(gnutls_x509_crt_init(&cert), 0);
    gnutls_x509_crt_set_version(cert, 3);
    gnutls_x509_crt_set_serial(cert, "\1", 1);
    gnutls_x509_crt_set_activation_time(cert, time(NULL) - 3600);
    gnutls_x509_crt_set_expiration_time(cert, time(NULL) + 86400);
    gnutls_x509_crt_set_dn(cert, "CN=localhost", NULL);
    gnutls_x509_crt_set_key(cert, key);
    assert_int_equal(gnutls_x509_crt_sign2(cert, cert, key, GNUTLS_DIG_SHA256, 0), 0);
    assert_int_equal(gnutls_x509_crt_export2(cert, GNUTLS_X509_FMT_PEM, &text), 0);
    write_file(cert_path, &text);
    gnutls_free(text.data);
    gnutls_x509_crt_deinit(cert);
    gnutls_x509_privkey_deinit(key);
    return 0;
}

static int remove_files(void **state)
{
    server_rmdir(folder);
    return 0;
}

struct tls {
    int fd;
    gnutls_session_t session;
    gnutls_certificate_credentials_t credentials;
};

static void tls_connect(struct tls *t, const struct server *s)
{
    int status;
    t->fd = client_connect(s);
    gnutls_certificate_allocate_credentials(&t->credentials);
    gnutls_init(&t->session, GNUTLS_CLIENT);
    gnutls_set_default_priority(t->session);
    gnutls_credentials_set(t->session, GNUTLS_CRD_CERTIFICATE, t->credentials);
    gnutls_transport_set_int(t->session, t->fd);
    do
        status = gnutls_handshake(t->session);
    while (status < 0 && !gnutls_error_is_fatal(status));
    assert_int_equal(status, 0);
}

static void tls_close(struct tls *t)
{
    close(t->fd);
    gnutls_deinit(t->session);
    gnutls_certificate_free_credentials(t->credentials);
}

static void tls_send(struct tls *t, const char *text)
{
    assert_int_equal(gnutls_record_send(t->session, text, strlen(text)), strlen(text));
}

/* Reads until `end` was there; what came, to be freed. */
static char *tls_read(struct tls *t, const char *end)
{
    char *text = calloc(1, 1 << 20);
    size_t n = 0;
    assert_non_null(text);
    while (!strstr(text, end)) {
        ssize_t got = gnutls_record_recv(t->session, text + n, (1 << 20) - 1 - n);
        if (got == GNUTLS_E_AGAIN || got == GNUTLS_E_INTERRUPTED)
            continue;
        if (got <= 0)
            fail_msg("the end came before '%s' in '%s'", end, text);
        n += (size_t)got;
    }
    return text;
}

static struct rw_http_options tls_options(void)
{
    struct rw_http_options options = server_options();
    options.cert_file = cert_path;
    options.key_file = key_path;
    return options;
}

static void test_requests(void **state)
{
    struct rw_http_options options = tls_options();
    struct server s;
    struct tls t;
    server_start(&s, &options);
    assert_int_equal(strncmp(rw_http_url(s.http), "https://127.0.0.1:", 18), 0);
    tls_connect(&t, &s);
    tls_send(&t, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    free(tls_read(&t, "\r\n\r\nhello"));
    tls_send(&t, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde");
    free(tls_read(&t, "\r\n\r\nabcde"));
    tls_send(&t, "GET /tick?n=3&ms=2 HTTP/1.1\r\nHost: a\r\n\r\n");
    free(tls_read(&t, "tick 2\n\r\n0\r\n\r\n"));
    tls_send(&t, "POST /small HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "b\r\n01234567890\r\n");
    char *text = tls_read(&t, "}}");
    assert_non_null(strstr(text, "HTTP/1.1 413 "));
    free(text);
    tls_close(&t);
    server_stop(&s);
}

static void test_leaving(void **state)
{
    struct rw_http_options options = tls_options();
    struct server s;
    struct tls t;
    server_start(&s, &options);
    tls_connect(&t, &s);
    tls_send(&t, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    server_wait(&s, &s.requests, 1);
    tls_close(&t);
    server_wait(&s, &s.gone, 1);
    assert_true(s.gone_in_time);
    tls_connect(&t, &s);
    tls_send(&t, "GET /tick?n=1000000&ms=5 HTTP/1.1\r\nHost: a\r\n\r\n");
    free(tls_read(&t, "tick 1\n"));
    gnutls_bye(t.session, GNUTLS_SHUT_WR); /* as a polite client does */
    tls_close(&t);
    server_wait(&s, &s.gone, 2);
    assert_true(s.gone_in_time);
    server_stop(&s);
}

/* A handshake that comes a byte at a time is a slow head. */
static void test_slow_handshake(void **state)
{
    struct rw_http_options options = tls_options();
    struct server s;
    int sent = 0;
    options.head_ms = 50;
    server_start(&s, &options);
    int fd = client_connect(&s);
    assert_true(client_try_send(fd, "\x16\x03\x01\x40\x00\x01", 6)); /* of 16 KiB */
    while (sent < 5000 && client_try_send(fd, "x", 1)) {
        usleep(5000);
        sent++;
    }
    assert_true(sent < 5000);
    close(fd);
    server_stop(&s);
}

static void cannot_open(const char *cert, const char *key, const char *reason)
{
    struct rw_http_options options = server_options();
    struct rw_http_handler handler = {0};
    struct rw_http *http = NULL;
    struct rw_loop *loop;
    rwkv_error err = {0};
    options.cert_file = cert;
    options.key_file = key;
    assert_int_equal(rw_loop_new(&loop, &err), RWKV_OK);
    assert_int_not_equal(rw_http_open(&http, loop, &options, &handler, &err), RWKV_OK);
    if (!strstr(err.message, reason))
        fail_msg("'%s' does not say '%s'", err.message, reason);
    rw_loop_free(loop);
}

static void test_wrong_files(void **state)
{
    char broken[128], absent[128];
    snprintf(broken, sizeof broken, "%s/broken.pem", folder);
    snprintf(absent, sizeof absent, "%s/absent.pem", folder);
    const char *text = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    write_file(broken, &(gnutls_datum_t){(unsigned char *)(uintptr_t)text, (unsigned)strlen(text)});
    cannot_open(cert_path, NULL, "a file of the key");
    cannot_open(NULL, key_path, "a file of the certificate");
    cannot_open(absent, key_path, "absent.pem");
    cannot_open(key_path, cert_path, "BEGIN CERTIFICATE");
    cannot_open(cert_path, cert_path, "BEGIN PRIVATE KEY");
    cannot_open(broken, key_path, "broken.pem: no certificate");
    cannot_open(cert_path, other_key_path, "other.pem");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_leaving),
        cmocka_unit_test(test_slow_handshake),
        cmocka_unit_test(test_wrong_files),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
