/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rwkv_quantize.h: which tensor becomes what, that reports tell the truth about the file, that the
 * result does not depend on threads, that importance is what the model's inputs are, and what is
 * refused. How good the blocks are is the business of test_quantize_blocks.c.
 */
#include "models.h"

#include <math.h>
#include <sys/stat.h>

#include "base/status.h"
#include "rwkv_bench.h"
#include "rwkv_quantize.h"

static char in_path[1024], out_path[1024], other_path[1024];

static void set_paths(void)
{
    snprintf(in_path, sizeof in_path, "/tmp/rwkv-test-%ld-in.gguf", (long)getpid());
    snprintf(out_path, sizeof out_path, "/tmp/rwkv-test-%ld-out.gguf", (long)getpid());
    snprintf(other_path, sizeof other_path, "/tmp/rwkv-test-%ld-other.gguf", (long)getpid());
}

static int tear_down(void **state)
{
    (void)state;
    unlink(in_path);
    unlink(out_path);
    unlink(other_path);
    return 0;
}

/* A model whose rows fit every type, at in_path. */
static void make_layers(rwkv_dtype dtype, size_t n_layer)
{
    const rwkv_random_model shape = {
        .n_layer = n_layer, .n_embd = 256, .n_vocab = 256, .n_ffn = 512, .dtype = dtype, .seed = 3};
    rwkv_error err = {0};
    if (rwkv_random_model_write(in_path, &shape, &err))
        fail_msg("%s", err.message);
}

static void make_model(rwkv_dtype dtype)
{
    make_layers(dtype, 2);
}

struct report {
    rwkv_quantized_tensor tensors[128];
    char names[128][80];
    size_t n;
};

static void collect(void *user, const rwkv_quantized_tensor *tensor)
{
    struct report *r = user;
    assert_true(r->n < RW_COUNT(r->tensors));
    snprintf(r->names[r->n], sizeof r->names[0], "%s", tensor->name);
    r->tensors[r->n] = *tensor;
    r->tensors[r->n].name = r->names[r->n];
    r->n++;
}

static const rwkv_quantized_tensor *find(const struct report *r, const char *name)
{
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(r->names[i], name) == 0)
            return &r->tensors[i];
    fail_msg("no tensor %s", name);
    return NULL;
}

static void quantize(const char *from, const char *to, rwkv_quantize_options options,
                     struct report *report)
{
    rwkv_error err = {0};
    options.overwrite = 1;
    if (report) {
        report->n = 0;
        options.report = collect;
        options.report_user = report;
    }
    if (rwkv_quantize(from, to, &options, &err))
        fail_msg("%s", err.message);
}

/* It fails, saying `words`, and leaves nothing. */
static void refuse(const char *from, rwkv_quantize_options options, rwkv_status status,
                   const char *words)
{
    rwkv_error err = {0};
    unlink(out_path);
    assert_int_equal(rwkv_quantize(from, out_path, &options, &err), status);
    if (!strstr(err.message, words))
        fail_msg("wanted '%s' in '%s'", words, err.message);
    assert_int_not_equal(access(out_path, F_OK), 0);
}

static void *slurp(const char *path, size_t *size)
{
    struct stat st;
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fstat(fileno(f), &st), 0);
    *size = (size_t)st.st_size;
    void *bytes = malloc(*size);
    assert_int_equal(fread(bytes, 1, *size, f), *size);
    fclose(f);
    return bytes;
}

/* --- what becomes what ------------------------------------------------------------------------ */

static void test_policy(void **state)
{
    static const struct {
        rwkv_dtype asked, matrix, embedding, head;
    } cases[] = {
        {RWKV_DTYPE_Q8_0, RWKV_DTYPE_Q8_0, RWKV_DTYPE_Q8_0, RWKV_DTYPE_Q8_0},
        {RWKV_DTYPE_Q4_K, RWKV_DTYPE_Q4_K, RWKV_DTYPE_Q4_K, RWKV_DTYPE_Q6_K},
        {RWKV_DTYPE_Q2_K, RWKV_DTYPE_Q2_K, RWKV_DTYPE_Q4_K, RWKV_DTYPE_Q6_K},
        {RWKV_DTYPE_IQ4_XS, RWKV_DTYPE_IQ4_XS, RWKV_DTYPE_IQ4_XS, RWKV_DTYPE_Q6_K},
    };
    struct report r;
    (void)state;
    make_model(RWKV_DTYPE_F16);
    for (size_t i = 0; i < RW_COUNT(cases); i++) {
        quantize(in_path, out_path, (rwkv_quantize_options){.dtype = cases[i].asked}, &r);
        assert_int_equal(find(&r, "blk.1.time_mix_key.weight")->to, cases[i].matrix);
        assert_int_equal(find(&r, "blk.0.channel_mix_value.weight")->to, cases[i].matrix);
        assert_int_equal(find(&r, "token_embd.weight")->to, cases[i].embedding);
        assert_int_equal(find(&r, "output.weight")->to, cases[i].head);
        assert_int_equal(find(&r, "blk.1.time_mix_w1.weight")->to, RWKV_DTYPE_F16);
        assert_int_equal(find(&r, "blk.0.time_mix_v2.weight")->to, RWKV_DTYPE_F16);
        assert_int_equal(find(&r, "blk.0.attn_norm.weight")->to, RWKV_DTYPE_F32);
        assert_int_equal(find(&r, "blk.0.time_mix_lerp_fused.weight")->to, RWKV_DTYPE_F32);
    }
}

/* Rows of 128: no block of 256 fits, and the type that is taken instead is said. */
static void test_fallback(void **state)
{
    static const rwkv_dtype cases[][2] = {
        {RWKV_DTYPE_Q4_K, RWKV_DTYPE_Q5_0},   {RWKV_DTYPE_Q5_K, RWKV_DTYPE_Q5_1},
        {RWKV_DTYPE_Q6_K, RWKV_DTYPE_Q8_0},   {RWKV_DTYPE_Q3_K, RWKV_DTYPE_IQ4_NL},
        {RWKV_DTYPE_Q2_K, RWKV_DTYPE_IQ4_NL}, {RWKV_DTYPE_IQ4_XS, RWKV_DTYPE_IQ4_NL},
        {RWKV_DTYPE_Q4_0, RWKV_DTYPE_Q4_0},
    };
    char path[1024];
    struct report r;
    (void)state;
    for (size_t i = 0; i < RW_COUNT(cases); i++) {
        quantize(unit_source(path, SMALL_F32), out_path,
                 (rwkv_quantize_options){.dtype = cases[i][0], .vocab = "bytes"}, &r);
        const rwkv_quantized_tensor *t = find(&r, "blk.0.time_mix_key.weight");
        assert_int_equal(t->wanted, cases[i][0]);
        assert_int_equal(t->to, cases[i][1]);
        assert_int_equal(find(&r, "output.weight")->to, RWKV_DTYPE_Q8_0);
    }
}

static void test_rules(void **state)
{
    static const rwkv_quantize_rule rules[] = {
        {"*", RWKV_DTYPE_Q5_K},
        {"blk.?.time_mix_[wavg][12].weight", RWKV_DTYPE_F32},
        {"blocks.1.att.*", RWKV_DTYPE_Q4_0},
        {"model.layers.0.ffn.key.weight", RWKV_DTYPE_BF16},
        {"output.weight", RWKV_DTYPE_Q8_0},
    };
    struct report r;
    (void)state;
    make_model(RWKV_DTYPE_F16);
    quantize(in_path, out_path,
             (rwkv_quantize_options){
                 .dtype = RWKV_DTYPE_Q8_0, .rules = rules + 1, .n_rules = RW_COUNT(rules) - 1},
             &r);
    assert_int_equal(find(&r, "blk.0.time_mix_w1.weight")->to, RWKV_DTYPE_F32);
    assert_int_equal(find(&r, "blk.0.time_mix_v1.weight")->to, RWKV_DTYPE_F32);
    assert_int_equal(find(&r, "blk.1.time_mix_w1.weight")->to, RWKV_DTYPE_Q4_0);
    assert_int_equal(find(&r, "blk.1.time_mix_key.weight")->to, RWKV_DTYPE_Q4_0);
    assert_int_equal(find(&r, "blk.1.time_mix_k_k.weight")->to, RWKV_DTYPE_F32); /* a vector */
    assert_int_equal(find(&r, "blk.1.channel_mix_key.weight")->to, RWKV_DTYPE_Q8_0);
    assert_int_equal(find(&r, "blk.0.channel_mix_key.weight")->to, RWKV_DTYPE_BF16);
    assert_int_equal(find(&r, "output.weight")->to, RWKV_DTYPE_Q8_0);
    /* The pairs' rows of 32 are no block of Q5_K: a rule does not give way. */
    refuse(in_path, (rwkv_quantize_options){.dtype = RWKV_DTYPE_Q8_0, .rules = rules, .n_rules = 1},
           RWKV_ERROR_ARGUMENT, "blk.0.time_mix_w2.weight: type Q5_K wants rows of a multiple");
    static const rwkv_quantize_rule nothing = {"blk.7.*", RWKV_DTYPE_Q8_0};
    refuse(in_path,
           (rwkv_quantize_options){.dtype = RWKV_DTYPE_Q8_0, .rules = &nothing, .n_rules = 1},
           RWKV_ERROR_ARGUMENT, "blk.7.*: no matrix of that name");
    static const rwkv_quantize_rule vector = {"*norm*", RWKV_DTYPE_Q8_0};
    refuse(in_path,
           (rwkv_quantize_options){.dtype = RWKV_DTYPE_Q8_0, .rules = &vector, .n_rules = 1},
           RWKV_ERROR_ARGUMENT, "*norm*: no matrix of that name");
    static const rwkv_quantize_rule integers = {"*", RWKV_DTYPE_I8};
    refuse(in_path,
           (rwkv_quantize_options){.dtype = RWKV_DTYPE_Q8_0, .rules = &integers, .n_rules = 1},
           RWKV_ERROR_ARGUMENT, "wanted a type of weights, found I8");
}

/* --- the file and the report ------------------------------------------------------------------ */

static float *read_f32(const rwkv_file *f, const char *name, size_t *n)
{
    rwkv_tensor_info info;
    size_t at = rwkv_file_find(f, name);
    assert_int_not_equal(at, SIZE_MAX);
    rwkv_file_tensor(f, at, &info);
    float *x = malloc((info.n_elements + 1) * sizeof *x);
    assert_int_equal(rwkv_file_read_f32(f, at, x, NULL), RWKV_OK);
    *n = (size_t)info.n_elements;
    return x;
}

static void check_tensor(const rwkv_file *before, const rwkv_file *after,
                         const rwkv_quantized_tensor *t)
{
    size_t n, m;
    double error = 0, sum = 0, largest = 0;
    float *x = read_f32(before, t->name, &n), *y = read_f32(after, t->name, &m);
    assert_int_equal(n, m);
    assert_int_equal(n, t->n_elements);
    for (size_t i = 0; i < n; i++) {
        double d = (double)x[i] - (double)y[i];
        error += d * d;
        sum += (double)x[i] * (double)x[i];
        largest = fmax(largest, fabs(d));
    }
    assert_true(fabs(error - t->square_error) <= 1e-9 * error);
    assert_true(fabs(sum - t->square_sum) <= 1e-9 * sum);
    assert_true(fabs(largest - t->max_error) <= 1e-6 * largest);
    free(x);
    free(y);
}

/* Every number of the report is that of the file, for every type, and the file is a model. */
static void test_report(void **state)
{
    struct report r;
    rwkv_file *before, *after;
    (void)state;
    make_layers(RWKV_DTYPE_BF16, 1);
    for (int t = RWKV_DTYPE_Q4_0; t < RWKV_DTYPE_MODEL_COUNT; t++) {
        quantize(in_path, out_path, (rwkv_quantize_options){.dtype = (rwkv_dtype)t}, &r);
        assert_int_equal(rwkv_file_open(in_path, &before, NULL), RWKV_OK);
        assert_int_equal(rwkv_file_open(out_path, &after, NULL), RWKV_OK);
        assert_int_equal(rwkv_file_count(after), r.n);
        for (size_t i = 0; i < r.n; i++) /* block 0 has no v0, v1, v2: they are made up */
            if (strncmp(r.names[i], "blk.0.time_mix_v", 16) != 0 || r.names[i][16] == 'a')
                check_tensor(before, after, &r.tensors[i]);
        const rwkv_quantized_tensor *key = find(&r, "blk.0.time_mix_key.weight");
        assert_true(key->square_error > 0 && key->square_error < 0.07 * key->square_sum);
        rwkv_file_close(before);
        rwkv_file_close(after);
        rwkv_model *m = NULL;
        assert_int_equal(rwkv_model_open(out_path, NULL, &m, NULL), RWKV_OK);
        rwkv_session *s = new_session(m);
        assert_int_equal(rwkv_session_eval(s, (int32_t[]){1, 2, 3}, 3, NULL), RWKV_OK);
        for (size_t i = 0; i < 256; i++)
            assert_true(isfinite(rwkv_session_logits(s)[i]));
        rwkv_session_free(s);
        rwkv_model_close(m);
    }
}

static void test_threads(void **state)
{
    size_t n, m;
    (void)state;
    make_model(RWKV_DTYPE_F16);
    quantize(in_path, out_path, (rwkv_quantize_options){.dtype = RWKV_DTYPE_Q4_K, .threads = 1},
             NULL);
    quantize(in_path, other_path, (rwkv_quantize_options){.dtype = RWKV_DTYPE_Q4_K, .threads = 3},
             NULL);
    void *one = slurp(out_path, &n), *three = slurp(other_path, &m);
    assert_int_equal(n, m);
    assert_memory_equal(one, three, n);
    free(one);
    free(three);
}

/* Blocks that are of the type wanted stay bit for bit; others are quantized again. */
static void test_again(void **state)
{
    struct report r;
    char first[65], second[65];
    rwkv_file *a, *b;
    (void)state;
    make_model(RWKV_DTYPE_Q4_0);
    quantize(in_path, out_path, (rwkv_quantize_options){.dtype = RWKV_DTYPE_Q4_0}, &r);
    assert_int_equal(rwkv_file_open(in_path, &a, NULL), RWKV_OK);
    assert_int_equal(rwkv_file_open(out_path, &b, NULL), RWKV_OK);
    const char *name = "blk.0.channel_mix_key.weight";
    rwkv_file_sha256(a, rwkv_file_find(a, name), first, NULL);
    rwkv_file_sha256(b, rwkv_file_find(b, name), second, NULL);
    assert_string_equal(first, second);
    assert_true(find(&r, name)->square_error == 0 && find(&r, name)->square_sum > 0);
    rwkv_file_close(a);
    rwkv_file_close(b);
    quantize(in_path, out_path, (rwkv_quantize_options){.dtype = RWKV_DTYPE_Q6_K}, &r);
    assert_int_equal(find(&r, name)->from, RWKV_DTYPE_Q4_0);
    assert_true(find(&r, name)->square_error > 0);
}

/* All containers and namings give the same blocks, the pairs of a .pth the other way round too. */
static void test_containers(void **state)
{
    static const char *const names[] = {"/tmp/rwkv-test-%ld.pth", "/tmp/rwkv-test-%ld.safetensors"};
    (void)state;
    make_model(RWKV_DTYPE_F16);
    quantize(in_path, out_path, (rwkv_quantize_options){.dtype = RWKV_DTYPE_Q4_K}, NULL);
    rwkv_file *want, *found;
    assert_int_equal(rwkv_file_open(out_path, &want, NULL), RWKV_OK);
    for (size_t i = 0; i < RW_COUNT(names); i++) {
        char path[1024];
        snprintf(path, sizeof path, names[i], (long)getpid());
        const rwkv_convert_options options = {.overwrite = 1};
        assert_int_equal(rwkv_convert(in_path, path, &options, NULL), RWKV_OK);
        quantize(path, other_path,
                 (rwkv_quantize_options){.dtype = RWKV_DTYPE_Q4_K, .vocab = in_path}, NULL);
        assert_int_equal(rwkv_file_open(other_path, &found, NULL), RWKV_OK);
        for (size_t t = 0; t < rwkv_file_count(want); t++) {
            char a[65], b[65];
            rwkv_tensor_info info;
            rwkv_file_tensor(want, t, &info);
            rwkv_file_sha256(want, t, a, NULL);
            rwkv_file_sha256(found, rwkv_file_find(found, info.name), b, NULL);
            assert_string_equal(a, b);
        }
        rwkv_file_close(found);
        unlink(path);
    }
    rwkv_file_close(want);
}

/* --- importance ------------------------------------------------------------------------------- */

#define TOKENS 300

static const int32_t *some_tokens(void)
{
    static int32_t tokens[TOKENS];
    for (int i = 0; i < TOKENS; i++)
        tokens[i] = (i * 37 + i * i) % 256;
    return tokens;
}

static rwkv_importance *measure(const char *path, size_t chunk)
{
    const rwkv_model_options options = {.chunk = chunk};
    rwkv_model *m = NULL;
    rwkv_importance *importance = NULL;
    rwkv_error err = {0};
    assert_int_equal(rwkv_model_open(path, &options, &m, NULL), RWKV_OK);
    if (rwkv_importance_measure(m, some_tokens(), TOKENS, NULL, NULL, &importance, &err))
        fail_msg("%s", err.message);
    rwkv_model_close(m);
    return importance;
}

/* The head's inputs are the hidden states, which can be had; every other matrix is there, with the
 * inputs it has; and chunks make no difference. */
static void test_importance(void **state)
{
    static float hidden[TOKENS * 256];
    size_t n;
    (void)state;
    make_model(RWKV_DTYPE_F16);
    rwkv_importance *importance = measure(in_path, 0), *other = measure(in_path, 7);
    assert_int_equal(rwkv_importance_count(importance), 2 * 14 - 2 + 1); /* block 0 has no v1, v2 */
    assert_null(rwkv_importance_find(importance, "token_embd.weight", &n));
    rwkv_importance_find(importance, "blk.1.channel_mix_value.weight", &n);
    assert_int_equal(n, 512);
    rwkv_importance_find(importance, "blk.1.time_mix_w2.weight", &n);
    assert_int_equal(n, 32);
    const float *head = rwkv_importance_find(importance, "output.weight", &n);
    assert_int_equal(n, 256);
    rwkv_model *m = NULL;
    assert_int_equal(rwkv_model_open(in_path, NULL, &m, NULL), RWKV_OK);
    rwkv_session *s = new_session(m);
    assert_int_equal(rwkv_session_eval_all(s, some_tokens(), TOKENS, NULL, hidden, NULL), RWKV_OK);
    for (size_t k = 0; k < n; k++) {
        double sum = 0;
        for (size_t t = 0; t < TOKENS; t++)
            sum += (double)hidden[t * 256 + k] * (double)hidden[t * 256 + k];
        assert_true(fabs(sum / TOKENS - (double)head[k]) <= 1e-6 * sum / TOKENS);
    }
    const char *name = "blk.0.time_mix_output.weight";
    assert_memory_equal(rwkv_importance_find(importance, name, &n),
                        rwkv_importance_find(other, name, &n), n * sizeof(float));
    rwkv_session_free(s);
    rwkv_model_close(m);
    rwkv_importance_free(importance);
    rwkv_importance_free(other);
}

static void test_importance_file(void **state)
{
    size_t n, m;
    rwkv_importance *read = NULL;
    rwkv_error err = {0};
    (void)state;
    make_model(RWKV_DTYPE_F16);
    rwkv_importance *importance = measure(in_path, 0);
    if (rwkv_importance_save(importance, other_path, "some text", &err) ||
        rwkv_importance_open(other_path, &read, &err))
        fail_msg("%s", err.message);
    assert_int_equal(rwkv_importance_count(read), rwkv_importance_count(importance));
    const float *a = rwkv_importance_find(importance, "blk.1.channel_mix_value.weight", &n);
    const float *b = rwkv_importance_find(read, "blk.1.channel_mix_value.weight", &m);
    assert_int_equal(n, m);
    for (size_t k = 0; k < n; k++)
        assert_true(fabsf(a[k] - b[k]) <= 1e-6f * a[k]);
    assert_int_equal(rwkv_importance_save(importance, "/tmp/x.txt", NULL, &err),
                     RWKV_ERROR_ARGUMENT);
    rwkv_importance_free(importance);
    rwkv_importance_free(read);
}

/* With it, the weighted error of the matrices it knows gets smaller. */
static void test_importance_helps(void **state)
{
    static struct report with, without;
    static const char *const names[] = {"blk.1.time_mix_output.weight",
                                        "blk.1.channel_mix_value.weight", "output.weight"};
    rwkv_file *before, *after;
    size_t n, m;
    (void)state;
    make_model(RWKV_DTYPE_F16);
    rwkv_importance *importance = measure(in_path, 0);
    quantize(in_path, out_path,
             (rwkv_quantize_options){.dtype = RWKV_DTYPE_Q4_K, .importance = importance}, &with);
    quantize(in_path, other_path, (rwkv_quantize_options){.dtype = RWKV_DTYPE_Q4_K}, &without);
    assert_int_equal(rwkv_file_open(in_path, &before, NULL), RWKV_OK);
    assert_int_equal(rwkv_file_open(other_path, &after, NULL), RWKV_OK);
    for (size_t i = 0; i < RW_COUNT(names); i++) {
        double error = 0, sum = 0;
        float *x = read_f32(before, names[i], &n), *y = read_f32(after, names[i], &n);
        const float *w = rwkv_importance_find(importance, names[i], &m);
        for (size_t k = 0; k < n; k++) {
            double d = (double)x[k] - (double)y[k];
            error += (double)w[k % m] * d * d;
            sum += (double)w[k % m] * (double)x[k] * (double)x[k];
        }
        assert_true(find(&with, names[i])->weighted);
        assert_false(find(&without, names[i])->weighted);
        assert_true(find(&with, names[i])->weighted_error < error / sum);
        free(x);
        free(y);
    }
    assert_false(find(&with, "token_embd.weight")->weighted);
    rwkv_file_close(before);
    rwkv_file_close(after);
    rwkv_importance_free(importance);
}

/* --- refusals --------------------------------------------------------------------------------- */

/* A number in a matrix or a vector that no type can hold. */
static void test_bad_numbers(void **state)
{
    static const struct {
        const char *tensor, *words;
        float value;
    } cases[] = {
        {"blocks.1.att.key.weight", "blk.1.time_mix_key.weight: row 0, column 5", NAN},
        {"blocks.1.att.key.weight", "found inf", INFINITY},
        {"blocks.0.ffn.value.weight", "at most 65504 for type Q8_0, found 70000", 70000},
        {"blocks.0.att.a1", "blk.0.time_mix_a1.weight", 1e6f},
        {"blocks.0.att.a1", "for type F16", -1e6f},
        {"blocks.0.ln1.weight", "blk.0.attn_norm.weight", -INFINITY},
        {"blocks.1.att.x_v", "blk.1.time_mix_lerp_fused.weight", NAN},
    };
    (void)state;
    for (size_t i = 0; i < RW_COUNT(cases); i++) {
        struct tensors t = {.n = 0};
        char path[1024];
        tensors_read(&t, SMALL_F32);
        rwkv_write_tensor *item = tensors_find(&t, cases[i].tensor);
        assert_int_equal(item->dtype, RWKV_DTYPE_F32);
        ((float *)(uintptr_t)item->data)[5] = cases[i].value;
        tensors_write(&t, ".safetensors", path);
        refuse(path, (rwkv_quantize_options){.dtype = RWKV_DTYPE_Q8_0, .vocab = "bytes"},
               RWKV_ERROR_UNSUPPORTED, cases[i].words);
        unlink(path);
        tensors_free(&t);
    }
}

/* A low-rank pair of rank 0: a GGUF cannot hold it. */
static void test_empty_pair(void **state)
{
    struct tensors t = {.n = 0};
    char path[1024];
    (void)state;
    tensors_read(&t, SMALL_F32);
    for (int block = 0; block < 2; block++) {
        char name[64];
        snprintf(name, sizeof name, "blocks.%d.att.g1", block);
        tensors_find(&t, name)->shape[1] = 0;
        snprintf(name, sizeof name, "blocks.%d.att.g2", block);
        tensors_find(&t, name)->shape[0] = 0;
    }
    tensors_write(&t, ".safetensors", path);
    refuse(path, (rwkv_quantize_options){.dtype = RWKV_DTYPE_Q8_0, .vocab = "bytes"},
           RWKV_ERROR_UNSUPPORTED, "time_mix_g1");
    unlink(path);
    tensors_free(&t);
}

/* What an importance file must not say. Any container is read. */
static void test_hostile_importance(void **state)
{
    static const struct {
        const char *sums, *counts, *words;
        float sum, count;
        rwkv_dtype dtype;
    } cases[] = {
        {"output.weight.in_sum2", "other.weight.counts", "wanted sums and one count", 1, 1,
         RWKV_DTYPE_F32},
        {"output.weight.in_sum2", "output.weight.counts", "wanted sums and one count", 1, 1,
         RWKV_DTYPE_I32},
        {"output.weight.in_sum2", "output.weight.counts", "wanted a count of tokens, found -1", 1,
         -1, RWKV_DTYPE_F32},
        {"output.weight.in_sum2", "output.weight.counts", "wanted a count of tokens", 1, NAN,
         RWKV_DTYPE_F32},
        {"output.weight.in_sum2", "output.weight.counts", "found -2 at 0", -2, 1, RWKV_DTYPE_F32},
        {"output.weight.in_sum2", "output.weight.counts", "wanted sums of squares", NAN, 1,
         RWKV_DTYPE_F32},
        {"output.weight.in_sum2", "output.weight.counts", "wanted sums of squares", INFINITY, 1,
         RWKV_DTYPE_F32},
        {"output.weight.in_sum2", "output.weight.counts", "found no tensor", 1, 0, RWKV_DTYPE_F32},
        {"output.weight", "output.weight.counts", "found no tensor", 1, 1, RWKV_DTYPE_F32},
    };
    (void)state;
    for (size_t i = 0; i < RW_COUNT(cases); i++) {
        const float sums[] = {cases[i].sum, 1};
        const rwkv_write_tensor tensors[] = {
            {cases[i].sums, cases[i].dtype, 1, {2}, sums},
            {cases[i].counts, RWKV_DTYPE_F32, 1, {1}, &cases[i].count},
        };
        char path[1024];
        rwkv_importance *importance = NULL;
        rwkv_error err = {0};
        snprintf(path, sizeof path, "/tmp/rwkv-test-%ld.safetensors", (long)getpid());
        assert_int_equal(rwkv_file_write(path, tensors, 2, NULL), RWKV_OK);
        assert_int_equal(rwkv_importance_open(path, &importance, &err), RWKV_ERROR_FORMAT);
        if (!strstr(err.message, cases[i].words))
            fail_msg("wanted '%s' in '%s'", cases[i].words, err.message);
        assert_null(importance);
        unlink(path);
    }
}

static int stop_early(void *user, uint64_t done, uint64_t total)
{
    (void)user;
    return done > total / 3;
}

static void test_refusals(void **state)
{
    rwkv_error err = {0};
    const rwkv_quantize_options q8_0 = {.dtype = RWKV_DTYPE_Q8_0};
    (void)state;
    make_model(RWKV_DTYPE_F16);
    refuse(in_path, (rwkv_quantize_options){.dtype = RWKV_DTYPE_F16}, RWKV_ERROR_ARGUMENT,
           "wanted a block type, found F16");
    refuse(in_path, (rwkv_quantize_options){.dtype = RWKV_DTYPE_COUNT}, RWKV_ERROR_ARGUMENT,
           "wanted a block type");
    refuse(in_path, (rwkv_quantize_options){.dtype = RWKV_DTYPE_Q8_0, .threads = -1},
           RWKV_ERROR_ARGUMENT, "threads");
    refuse("nothing.gguf", q8_0, RWKV_ERROR_IO, "nothing.gguf");
    refuse(in_path, (rwkv_quantize_options){.dtype = RWKV_DTYPE_Q8_0, .progress = stop_early},
           RWKV_ERROR_CANCELLED, "stopped");
    assert_int_equal(rwkv_quantize(in_path, "/tmp/x.pth", &q8_0, &err), RWKV_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "/tmp/x.pth: wanted a name that ends in .gguf"));
    assert_int_equal(rwkv_quantize(in_path, in_path, &q8_0, &err), RWKV_ERROR_IO);
    assert_non_null(strstr(err.message, "exists already"));
    assert_int_equal(rwkv_quantize(in_path, out_path, NULL, &err), RWKV_ERROR_ARGUMENT);
    assert_int_equal(rwkv_quantize(NULL, out_path, &q8_0, &err), RWKV_ERROR_ARGUMENT);
    assert_int_equal(rwkv_importance_open(in_path, &(rwkv_importance *){NULL}, &err),
                     RWKV_ERROR_FORMAT);
    rwkv_importance_free(NULL);
}

/* Importance of another model: other sizes under the same names, or other names. */
static void test_foreign_importance(void **state)
{
    char path[1024];
    (void)state;
    make_model(RWKV_DTYPE_F16);
    rwkv_importance *importance = measure(in_path, 0);
    refuse(unit_source(path, SMALL_F32),
           (rwkv_quantize_options){
               .dtype = RWKV_DTYPE_Q8_0, .vocab = "bytes", .importance = importance},
           RWKV_ERROR_ARGUMENT, "wanted the importance of 128 inputs, found that of 256");
    rwkv_importance_free(importance);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policy),
        cmocka_unit_test(test_fallback),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_report),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_again),
        cmocka_unit_test(test_containers),
        cmocka_unit_test(test_importance),
        cmocka_unit_test(test_importance_file),
        cmocka_unit_test(test_importance_helps),
        cmocka_unit_test(test_bad_numbers),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_foreign_importance),
        cmocka_unit_test(test_empty_pair),
        cmocka_unit_test(test_hostile_importance),
    };
    set_paths();
    return cmocka_run_group_tests(tests, NULL, tear_down);
}
