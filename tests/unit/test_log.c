/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log of a training run: its lines, its events byte for byte against records put together here
 * by hand, its report, and what is left of each after a run was killed.
 */
#include "unit.h"

#include <dirent.h>
#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/map.h"
#include "train/log_int.h"

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/rwkv-log-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    DIR *dir = opendir(folder);
    char path[512];

    (void)state;
    for (struct dirent *e; dir && (e = readdir(dir));) {
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        unlink(path);
    }
    closedir(dir);
    return rmdir(folder);
}

static char *read_back(const char *name, size_t *size)
{
    char path[256], *text;
    size_t unused;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(rw_read_file(path, 1 << 26, &text, size ? size : &unused, NULL), RWKV_OK);
    return text;
}

static struct rw_log *open_log(uint64_t resume, double report_seconds)
{
    const struct rw_log_options options = {.folder = folder,
                                           .title = "a <run>",
                                           .summary = "what & why",
                                           .resume_step = resume,
                                           .total_steps = 100,
                                           .time = 1700000000.5,
                                           .report_seconds = report_seconds};
    struct rw_log *log;
    rwkv_error err = {0};
    if (rw_log_open(&log, &options, &err) != RWKV_OK)
        fail_msg("%s", err.message);
    return log;
}

static struct rw_log_step step_of(uint64_t step)
{
    return (struct rw_log_step){.step = step,
                                .tokens = 1000 * step,
                                .loss = 8.0 / (double)step,
                                .bits_per_byte = NAN,
                                .learning_rate = 0.001,
                                .gradient_norm = 0.5,
                                .tokens_per_second = 12345.678,
                                .share_of_peak = 0.25,
                                .seconds = 2.0 * (double)step,
                                .time = 1700000000.5 + 2.0 * (double)step};
}

static void log_steps(struct rw_log *log, uint64_t first, uint64_t last)
{
    for (uint64_t i = first; i <= last; i++) {
        const struct rw_log_step step = step_of(i);
        assert_int_equal(rw_log_step(log, &step, NULL), RWKV_OK);
    }
}

static const struct rw_log_validation validation = {2, 3.25, 1.125, 4, 1700000004.75};
static const struct rw_log_sample sample = {2, "one \"two\"\n<three>\xff", 18, 4, 1700000005};

static const char lines[] =
    "{\"kind\": \"step\", \"step\": 1, \"tokens\": 1000, \"loss\": 8, \"bits_per_byte\": null, "
    "\"learning_rate\": 0.001, \"gradient_norm\": 0.5, \"tokens_per_second\": 12345.678, "
    "\"share_of_peak\": 0.25, \"seconds\": 2, \"time\": 1700000002.5}\n"
    "{\"kind\": \"step\", \"step\": 2, \"tokens\": 2000, \"loss\": 4, \"bits_per_byte\": null, "
    "\"learning_rate\": 0.001, \"gradient_norm\": 0.5, \"tokens_per_second\": 12345.678, "
    "\"share_of_peak\": 0.25, \"seconds\": 4, \"time\": 1700000004.5}\n"
    "{\"kind\": \"validation\", \"step\": 2, \"loss\": 3.25, \"bits_per_byte\": 1.125, "
    "\"seconds\": 4, \"time\": 1700000004.75}\n"
    "{\"kind\": \"sample\", \"step\": 2, \"text\": \"one \\\"two\\\"\\n<three>\xef\xbf\xbd\", "
    "\"seconds\": 4, \"time\": 1700000005}\n";

static void test_lines(void **state)
{
    struct rw_log *log = open_log(0, 0);

    (void)state;
    log_steps(log, 1, 2);
    assert_int_equal(rw_log_validation(log, &validation, NULL), RWKV_OK);
    assert_int_equal(rw_log_sample(log, &sample, NULL), RWKV_OK);
    char *text = read_back("log.jsonl", NULL); /* before it is closed */
    assert_string_equal(text, lines);
    rw_free(text);
    assert_int_equal(rw_log_close(log, true, NULL), RWKV_OK);
    log = open_log(0, 0); /* a new run: nothing is left of the old one */
    assert_int_equal(rw_log_close(log, false, NULL), RWKV_OK);
    text = read_back("log.jsonl", NULL);
    assert_string_equal(text, "");
    rw_free(text);
    assert_int_equal(rw_log_close(NULL, false, NULL), RWKV_OK);
}

/* --- after a kill --- */

static void append(const char *bytes, size_t n)
{
    char path[256];
    snprintf(path, sizeof path, "%s/log.jsonl", folder);
    FILE *f = fopen(path, "ab");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

/* Killed within every byte of the third step's line, and resumed from the second. */
static void test_resume(void **state)
{
    char *whole, *text;
    size_t two, three;
    struct rw_log *log = open_log(0, 0);

    (void)state;
    log_steps(log, 1, 2);
    rw_free(read_back("log.jsonl", &two));
    log_steps(log, 3, 3);
    rw_log_close(log, false, NULL);
    whole = read_back("log.jsonl", &three);
    for (size_t torn = two; torn <= three; torn++) {
        char path[256];
        snprintf(path, sizeof path, "%s/log.jsonl", folder);
        assert_int_equal(truncate(path, (off_t)two), 0);
        append(whole + two, torn - two);
        log = open_log(2, 0);
        if (torn % 16 == 0)
            log_steps(log, 3, 3);
        assert_int_equal(rw_log_close(log, false, NULL), RWKV_OK);
        text = read_back("log.jsonl", NULL);
        assert_string_equal(text + two, torn % 16 == 0 ? whole + two : "");
        assert_memory_equal(text, whole, two);
        rw_free(text);
    }
    /* The report of a resumed run begins where the run began. */
    log = open_log(1, 0);
    log_steps(log, 2, 2);
    rw_log_close(log, false, NULL);
    text = read_back("report.html", NULL);
    assert_non_null(strstr(text, "step 2: 4<"));
    assert_non_null(strstr(text, ">2 of 100<"));
    rw_free(text);
    rw_free(whole);
}

struct notes {
    int count;
    char last[256];
};

static void take_note(void *user, const char *message)
{
    struct notes *notes = user;
    if (notes->count++ == 0)
        snprintf(notes->last, sizeof notes->last, "%s", message);
}

static void reopen(uint64_t resume, struct notes *notes)
{
    const struct rw_log_options options = {.folder = folder,
                                           .title = "",
                                           .resume_step = resume,
                                           .time = 1700000000.5,
                                           .note = take_note,
                                           .user = notes};
    struct rw_log *log;
    rwkv_error err = {0};
    *notes = (struct notes){0};
    if (rw_log_open(&log, &options, &err) != RWKV_OK)
        fail_msg("%s", err.message);
    assert_int_equal(rw_log_close(log, false, NULL), RWKV_OK);
}

#define LINE(text)            \
    {                         \
        text, sizeof text - 1 \
    }

/* A line that is no record is left out, at the end and in the middle; the good ones stay. */
static void test_damaged_lines(void **state)
{
    static const struct {
        const char *line;
        size_t size;
    } cases[] = {
        LINE("nonsense\n"),
        LINE("\n"),
        LINE("\0\0\0\0\n"),
        LINE("{\"step\": 1}\n"),
        LINE("{\"kind\": \"step\", \"step\": 1}\n"),
        LINE("{\"kind\": \"step\", \"step\": -1, \"tokens\": 5}\n"),
        LINE("{\"kind\": \"sample\", \"step\": 1, \"text\": 5}\n"),
        LINE("{\"kind\": \"other\", \"step\": 1}\n"),
        LINE("[1]\n"),
    };
    char *good = NULL;
    size_t size = 0;
    (void)state;
    for (size_t i = 0; i < 2 * (sizeof cases / sizeof *cases); i++) {
        struct notes notes;
        bool middle = i % 2;
        struct rw_log *log = open_log(0, 0);
        log_steps(log, 1, 2);
        rw_log_close(log, false, NULL);
        rw_free(good);
        good = read_back("log.jsonl", &size);
        append(cases[i / 2].line, cases[i / 2].size);
        append(cases[i / 2].line, cases[i / 2].size);
        if (middle)
            append(lines, size); /* the same two steps again */
        append("torn", 4);
        reopen(5, &notes);
        char *text = read_back("log.jsonl", NULL);
        assert_memory_equal(text, good, size);
        assert_string_equal(text + size, middle ? good : "");
        assert_int_equal(notes.count, 2);
        assert_non_null(strstr(notes.last, "/log.jsonl: line 3 is left out"));
        rw_free(text);
        reopen(5, &notes);
        assert_int_equal(notes.count, 0);
    }
    rw_free(good);
}

/* Of what comes after the step that is resumed from nothing is said. */
static void test_damaged_later(void **state)
{
    struct notes notes;
    size_t size;
    struct rw_log *log = open_log(0, 0);
    (void)state;
    log_steps(log, 1, 2);
    rw_log_close(log, false, NULL);
    append("nonsense\n", 9);
    reopen(1, &notes);
    assert_int_equal(notes.count, 0);
    rw_free(read_back("log.jsonl", &size));
    assert_int_equal(size, strchr(lines, '\n') - lines + 1);
}

/* A file whose first line is no record is not ours to change. */
static void test_foreign_file(void **state)
{
    const struct rw_log_options options = {.folder = folder, .title = "", .resume_step = 5};
    const struct rw_log_options nowhere = {.folder = "/nonexistent", .title = ""};
    struct rw_log *log;
    rwkv_error err = {0};
    (void)state;
    append("mine\n", 5);
    append(lines, strlen(lines));
    assert_int_equal(rw_log_open(&log, &options, &err), RWKV_ERROR_FORMAT);
    assert_non_null(strstr(err.message, "/log.jsonl: line 1: wanted a record of a training run, "
                                        "found \"mine\""));
    char *text = read_back("log.jsonl", NULL);
    assert_memory_equal(text, "mine\n", 5);
    assert_string_equal(text + 5, lines);
    rw_free(text);
    assert_int_equal(rw_log_open(&log, &nowhere, NULL), RWKV_ERROR_IO);
}

/* What it holds is known from this start and from those before. */
static void test_has(void **state)
{
    struct rw_log *log = open_log(0, 0);
    (void)state;
    log_steps(log, 1, 2);
    assert_false(rw_log_has_validation(log, 2) || rw_log_has_sample(log, 2));
    rw_log_validation(log, &validation, NULL);
    assert_true(rw_log_has_validation(log, 2) && !rw_log_has_sample(log, 2));
    rw_log_sample(log, &sample, NULL);
    assert_true(rw_log_has_sample(log, 2));
    rw_log_close(log, false, NULL);
    log = open_log(2, 0);
    assert_true(rw_log_has_validation(log, 2) && rw_log_has_sample(log, 2));
    rw_log_close(log, false, NULL);
    log = open_log(1, 0);
    assert_false(rw_log_has_validation(log, 1) || rw_log_has_sample(log, 1));
    rw_log_close(log, false, NULL);
}

/* No room on the disk: no torn line stays, and the log goes on when there is room again. */
static void test_full_disk(void **state)
{
    struct rlimit before, limit;
    struct rw_log *log = open_log(0, 0);
    char *text;
    size_t size;
    rwkv_error err = {0};
    const struct rw_log_step second = step_of(2);

    (void)state;
    log_steps(log, 1, 1);
    rw_free(read_back("log.jsonl", &size));
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    limit = before;
    limit.rlim_cur = size + 10;
    setrlimit(RLIMIT_FSIZE, &limit);
    assert_int_equal(rw_log_step(log, &second, &err), RWKV_ERROR_IO);
    assert_non_null(strstr(err.message, "/log.jsonl: cannot write"));
    setrlimit(RLIMIT_FSIZE, &before);
    log_steps(log, 2, 2);
    assert_int_equal(rw_log_close(log, false, NULL), RWKV_OK);
    text = read_back("log.jsonl", NULL);
    assert_memory_equal(text, lines, size);
    assert_non_null(strstr(text + size, "\"step\": 2"));
    assert_ptr_equal(strchr(text, '\n'), text + size - 1);
    rw_free(text);
}

/* --- events --- */

/* Another CRC-32C: by polynomial division of the reflected message, bit after bit. */
static uint32_t other_crc32c(const uint8_t *p, size_t n)
{
    uint64_t rest = 0;
    for (size_t i = 0; i < 8 * (n + 4); i++) {
        uint64_t bit = i < 8 * n ? p[i / 8] >> (i % 8) & 1 : 0;
        if (i < 32)
            bit ^= 1;
        rest = rest << 1 | bit;
        if (rest >> 32)
            rest ^= 0x11edc6f41u;
    }
    uint32_t reflected = 0;
    for (int i = 0; i < 32; i++)
        reflected |= (uint32_t)(rest >> i & 1) << (31 - i);
    return ~reflected;
}

static void test_crc32c(void **state)
{
    uint8_t bytes[300];

    (void)state;
    assert_int_equal(rw_crc32c("123456789", 9), 0xe3069283u); /* the published check value */
    assert_int_equal(rw_crc32c("", 0), 0);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 77 + i / 7);
    for (size_t n = 4; n < sizeof bytes; n += 13)
        assert_int_equal(rw_crc32c(bytes, n), other_crc32c(bytes, n));
}

static size_t put_u32(uint8_t *to, uint32_t x)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(x >> (8 * i));
    return 4;
}

static uint32_t mask(uint32_t crc)
{
    return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

/* The record around `data`, as published. */
static size_t put_record(uint8_t *to, const void *data, size_t n)
{
    uint8_t *at = to;
    at += put_u32(at, (uint32_t)n);
    at += put_u32(at, 0);
    at += put_u32(at, mask(other_crc32c(to, 8)));
    memcpy(at, data, n);
    at += n;
    at += put_u32(at, mask(other_crc32c(data, n)));
    return (size_t)(at - to);
}

static void test_events(void **state)
{
    /* Doubles 1700000000.5, …2.5, …4.75, …5 and floats 8, 0.001, 0.5, 12345.678, 0.25, 3.25,
     * 1.125 as their bytes. */
    static const char version[] = "\x09\x00\x00\x20\x40\xfc\x54\xd9\x41\x1a\x0d"
                                  "brain.Event:2";
    static const char start[] = "\x09\x00\x00\x20\x40\xfc\x54\xd9\x41\x10\x01\x3a\x02\x08\x01";
    static const char step[] = "\x09\x00\x00\xa0\x40\xfc\x54\xd9\x41\x10\x01\x2a\x87\x01"
                               "\x0a\x11\x0a\x0atrain/loss\x15\x00\x00\x00\x41"
                               "\x0a\x1a\x0a\x13train/learning_rate\x15\x6f\x12\x83\x3a"
                               "\x0a\x1a\x0a\x13train/gradient_norm\x15\x00\x00\x00\x3f"
                               "\x0a\x1e\x0a\x17speed/tokens_per_second\x15\xb6\xe6\x40\x46"
                               "\x0a\x1a\x0a\x13speed/share_of_peak\x15\x00\x00\x80\x3e";
    static const char valid[] = "\x09\x00\x00\x30\x41\xfc\x54\xd9\x41\x10\x02\x2a\x39"
                                "\x0a\x16\x0a\x0fvalidation/loss\x15\x00\x00\x50\x40"
                                "\x0a\x1f\x0a\x18validation/bits_per_byte\x15\x00\x00\x90\x3f";
    static const char text[] =
        "\x09\x00\x00\x40\x41\xfc\x54\xd9\x41\x10\x02\x2a\x34\x0a\x32\x0a\x06sample"
        "\x42\x1e\x08\x07\x12\x04\x12\x02\x08\x01\x42\x14one \"two\"\n<three>\xef\xbf\xbd"
        "\x4a\x08\x0a\x06\x0a\x04text";
    uint8_t wanted[1024];
    size_t n = 0, size;
    struct rw_log *log = open_log(0, 0);

    (void)state;
    log_steps(log, 1, 1);
    rw_log_validation(log, &validation, NULL);
    rw_log_sample(log, &sample, NULL);
    rw_log_close(log, false, NULL);
    n += put_record(wanted + n, version, sizeof version - 1);
    n += put_record(wanted + n, start, sizeof start - 1);
    n += put_record(wanted + n, step, sizeof step - 1);
    n += put_record(wanted + n, valid, sizeof valid - 1);
    n += put_record(wanted + n, text, sizeof text - 1);
    char *found = read_back("events.out.tfevents.1700000000.rwkv.000", &size);
    assert_int_equal(size, n);
    assert_memory_equal(found, wanted, n);
    rw_free(found);
    /* Started again in the same second: another file, which voids step 3 and what follows. */
    log = open_log(2, 0);
    rw_log_close(log, false, NULL);
    found = read_back("events.out.tfevents.1700000000.rwkv.001", &size);
    memcpy(wanted, start, sizeof start);
    wanted[10] = 3;
    uint8_t record[64];
    size_t record_size = put_record(record, wanted, sizeof start - 1);
    assert_memory_equal(found + size - record_size, record, record_size);
    rw_free(found);
}

/* TensorBoard's own reader, where python3 has it. */
static void test_events_read(void **state)
{
    char command[1024];
    struct rw_log *log = open_log(0, 0);

    (void)state;
    if (system("python3 -c 'import tensorboard' 2>/dev/null") != 0) {
        rw_log_close(log, false, NULL);
        printf("python3 has no tensorboard\n");
        skip();
    }
    log_steps(log, 1, 5);
    rw_log_close(log, false, NULL);
    log = open_log(3, 0);
    log_steps(log, 4, 4);
    rw_log_sample(log, &sample, NULL);
    rw_log_close(log, false, NULL);
    snprintf(command, sizeof command,
             "python3 -c '\n"
             "from tensorboard.backend.event_processing import event_accumulator as e\n"
             "a = e.EventAccumulator(\"%s\")\n"
             "a.Reload()\n"
             "assert [(s.step, s.value) for s in a.Scalars(\"train/loss\")] == "
             "[(i, 8 / i if i != 3 else s.value) for i, s in "
             "zip((1, 2, 3, 4), a.Scalars(\"train/loss\"))]\n"
             "assert a.Tensors(\"sample\")[0].tensor_proto.string_val[0].startswith(b\"one\")\n'",
             folder);
    assert_int_equal(system(command), 0);
}

/* --- the report --- */

static void test_report(void **state)
{
    char path[256];
    struct stat before;
    struct rw_log *log = open_log(0, 10);

    (void)state;
    snprintf(path, sizeof path, "%s/report.html", folder);
    log_steps(log, 1, 4); /* up to second 8 */
    assert_int_not_equal(stat(path, &before), 0);
    log_steps(log, 5, 5);
    char *text = read_back("report.html", NULL);
    assert_non_null(strstr(text, "http-equiv=\"refresh\""));
    assert_non_null(strstr(text, "<dd>training</dd>"));
    assert_non_null(strstr(text, ">5 of 100<"));
    assert_non_null(strstr(text, "<dd>0:03:10</dd>")); /* left: 95 steps of 2 seconds */
    assert_null(strstr(text, "Samples"));
    assert_null(strstr(text, "Bits per byte")); /* none is known */
    rw_free(text);
    log_steps(log, 6, 9); /* not due again */
    text = read_back("report.html", NULL);
    assert_non_null(strstr(text, ">5 of 100<"));
    rw_free(text);
    rw_log_validation(log, &validation, NULL);
    rw_log_sample(log, &sample, NULL);
    assert_int_equal(rw_log_close(log, true, NULL), RWKV_OK);
    text = read_back("report.html", NULL);
    assert_null(strstr(text, "refresh"));
    assert_non_null(strstr(text, "<dd>finished</dd>"));
    assert_non_null(strstr(text, "<title>a &#60;run></title>"));
    assert_non_null(strstr(text, "what &#38; why"));
    assert_non_null(strstr(text, "one &#34;two&#34;\n&#60;three>\xef\xbf\xbd</pre>"));
    assert_non_null(strstr(text, "Bits per byte"));
    assert_non_null(strstr(text, "validation</tspan>"));
    assert_non_null(strstr(text, "prefers-color-scheme:dark"));
    assert_null(strstr(text, "http:")); /* it asks for nothing */
    assert_null(strstr(text, "https:"));
    assert_null(strstr(text, "<script"));
    assert_null(strstr(text, "nan"));
    rw_free(text);
}

static void test_report_of_nothing(void **state)
{
    struct rw_log *log = open_log(0, 0);

    (void)state;
    assert_int_equal(rw_log_close(log, false, NULL), RWKV_OK);
    char *text = read_back("report.html", NULL);
    assert_non_null(strstr(text, "<dd>paused</dd>"));
    assert_null(strstr(text, "<svg"));
    rw_free(text);
}

/* Long runs stay within bounds, and no value is lost. */
static void test_curves(void **state)
{
    struct rw_curve *curve = rw_calloc(1, sizeof *curve);

    (void)state;
    assert_non_null(curve);
    for (uint64_t step = 1; step <= 100000; step++) {
        rw_curve_add(curve, step, step == 777 ? -5 : (double)(step % 10));
        rw_curve_add(curve, step, NAN);
    }
    size_t n = 0;
    double sum = 0, least = 0;
    for (size_t i = 0; i < curve->n; i++) {
        n += curve->points[i].n;
        sum += curve->points[i].sum;
        least = fmin(least, curve->points[i].min);
        assert_true(curve->points[i].max == 9);
        assert_true(i == 0 || curve->points[i].step > curve->points[i - 1].step);
    }
    assert_true(curve->n > RW_CURVE_POINTS / 4 && curve->n <= RW_CURVE_POINTS);
    assert_int_equal(n, 100000);
    assert_true(sum == 450000 - 12 && least == -5);
    assert_int_equal(curve->points[curve->n - 1].step, 100000);
    rw_free(curve);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_lines),         IN_FOLDER(test_resume),
        IN_FOLDER(test_damaged_lines), IN_FOLDER(test_damaged_later),
        IN_FOLDER(test_foreign_file),  IN_FOLDER(test_has),
        IN_FOLDER(test_full_disk),     cmocka_unit_test(test_crc32c),
        IN_FOLDER(test_events),        IN_FOLDER(test_events_read),
        IN_FOLDER(test_report),        IN_FOLDER(test_report_of_nothing),
        cmocka_unit_test(test_curves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
