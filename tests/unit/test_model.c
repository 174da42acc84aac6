/* SPDX-License-Identifier: Apache-2.0 */
/* Which files are models, and what is said of those that are not. */
#include "unit.h"

#include "models.h"

/* Opening must fail with `code` and a message that has `part` in it. */
static void expect_refusal(const struct tensors *t, const char *suffix, rwkv_status code,
                           const char *part)
{
    char path[1024];
    rwkv_model *m = NULL;
    rwkv_error err = {0};
    tensors_write(t, suffix, path);
    rwkv_status status = rwkv_model_open(path, NULL, &m, &err);
    unlink(path);
    if (status != code || !strstr(err.message, part) || !strstr(err.message, path))
        fail_msg("wanted status %d and '%s', found %d and '%s'", code, part, status, err.message);
    assert_null(m);
}

static void missing_tensor(void **state)
{
    (void)state;
    static const char *const names[] = {"emb.weight",       "blocks.1.att.v1",
                                        "blocks.0.att.r_k", "blocks.0.ln0.bias",
                                        "head.weight",      "blocks.1.ffn.value.weight"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct tensors t;
        tensors_read(&t, SMALL_F16);
        tensors_drop(&t, names[i]);
        expect_refusal(&t, ".safetensors", RWKV_ERROR_MODEL, names[i]);
        tensors_free(&t);
    }
}

static void wrong_shape(void **state)
{
    (void)state;
    static const char *const names[] = {"blocks.0.att.receptance.weight", "blocks.1.att.w2",
                                        "blocks.0.ffn.value.weight", "head.weight",
                                        "blocks.1.ln1.weight"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct tensors t;
        tensors_read(&t, SMALL_F16);
        rwkv_write_tensor *w = tensors_find(&t, names[i]);
        w->shape[w->n_dims - 1]--; /* the data is longer than needed */
        expect_refusal(&t, ".safetensors", RWKV_ERROR_MODEL, names[i]);
        tensors_free(&t);
    }
}

/* As many numbers as wanted, in heads of another size. */
static void wrong_heads(void **state)
{
    (void)state;
    struct tensors t;
    tensors_read(&t, SMALL_F16);
    rwkv_write_tensor *w = tensors_find(&t, "blocks.1.att.r_k");
    w->shape[0] *= 2;
    w->shape[1] /= 2;
    expect_refusal(&t, ".safetensors", RWKV_ERROR_MODEL, "blocks.1.att.r_k: wanted shape [1, 64]");
    tensors_free(&t);
}

static void wrong_type(void **state)
{
    (void)state;
    struct tensors t;
    tensors_read(&t, SMALL_F16);
    tensors_find(&t, "blocks.0.att.key.weight")->dtype = RWKV_DTYPE_I16;
    expect_refusal(&t, ".safetensors", RWKV_ERROR_UNSUPPORTED, "I16");
    tensors_free(&t);
}

/* Block 0's v0, v1, v2 are not used, but converting copies them. */
static void wrong_type_unused(void **state)
{
    (void)state;
    struct tensors t;
    tensors_read(&t, SMALL_F16);
    const void *data = tensors_find(&t, "emb.weight")->data;
    t.items[t.n++] = (rwkv_write_tensor){"blocks.0.att.v1", RWKV_DTYPE_F8_E4M3, 2, {64, 32}, data};
    expect_refusal(&t, ".safetensors", RWKV_ERROR_UNSUPPORTED, "F8_E4M3");
    t.n--;
    tensors_free(&t);
}

/* A GGUF says the head size itself. */
static void wrong_head_size(void **state)
{
    (void)state;
    static const char key[] = "rwkv7.wkv.head_size";
    static char bytes[1 << 20];
    static const uint8_t sizes[] = {0, 7, 255};
    char path[1024];
    FILE *f = fopen(unit_source(path, SMALL_GGUF), "rb");
    assert_non_null(f);
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    char *value = memmem(bytes, n, key, strlen(key));
    assert_non_null(value);
    value += strlen(key) + 4; /* behind the type */
    for (size_t i = 0; i < sizeof sizes; i++) {
        rwkv_model *m = NULL;
        rwkv_error err = {0};
        *value = (char)sizes[i];
        assert_int_equal(rwkv_model_open_memory(bytes, n, "m.gguf", NULL, &m, &err),
                         RWKV_ERROR_MODEL);
        if (!strstr(err.message, "a head size of at most 512 that divides the width 64"))
            fail_msg("%s", err.message);
    }
}

static void unknown_tensor(void **state)
{
    (void)state;
    struct tensors t;
    tensors_read(&t, SMALL_F16);
    strcpy(t.names[5], "blocks.0.att.something");
    expect_refusal(&t, ".safetensors", RWKV_ERROR_MODEL, t.names[5]);
    tensors_free(&t);
    tensors_read(&t, SMALL_F16);
    rwkv_write_tensor extra = {"blocks.0.att.time_state",
                               RWKV_DTYPE_F16,
                               3,
                               {1, 8, 8},
                               tensors_find(&t, "emb.weight")->data};
    t.items[t.n++] = extra;
    expect_refusal(&t, ".safetensors", RWKV_ERROR_UNSUPPORTED, "tuned initial states");
    t.n--;
    tensors_free(&t);
}

/* Files of other kinds, made of one tensor that marks the kind. */
static void other_kinds(void **state)
{
    (void)state;
    static const struct {
        const char *names[3];
        const char *what;
    } kinds[] = {
        {{"blocks.0.att.time_maa_x"}, "an RWKV-6 model"},
        {{"blocks.0.att.time_decay"}, "an RWKV-4 model"},
        {{"blocks.0.att.time_decay", "blocks.0.att.ln_x.weight"}, "an RWKV-5.0 model"},
        {{"blocks.0.att.time_decay", "blocks.0.att.ln_x.weight", "blocks.0.att.gate.weight"},
         "an RWKV-5.1 model"},
        {{"blocks.0.att.r_k", "blocks.0.ffn.s_emb.weight"}, "an RWKV-7a model"},
        {{"blocks.0.att.r_k", "blocks.0.ffn.s_emb.weight", "blocks.0.qkv.x_q"}, "an RWKV-7b model"},
        {{"blocks.0.att.r_k", "blocks.0.ffn.enn.weight"}, "an RWKV-8 model"},
        {{"blocks.0.att.key.lora_A", "blocks.0.att.key.lora_B"}, "an adapter (LoRA)"},
        {{"blocks.0.att.time_state"}, "a tuned state"},
        {{"rwkv.blocks.0.attention.time_decay"}, "Hugging Face naming"},
        {{"model.layers.0.self_attn.q_proj.weight"}, "a Transformer"},
        {{"conv1.weight"}, "no model known here"},
    };
    static const float values[4];
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct tensors t = {0};
        for (; t.n < 3 && kinds[i].names[t.n]; t.n++)
            t.items[t.n] = (rwkv_write_tensor){kinds[i].names[t.n], RWKV_DTYPE_F32, 1, {4}, values};
        expect_refusal(&t, ".safetensors", RWKV_ERROR_UNSUPPORTED, kinds[i].what);
    }
}

/* The values of a matrix of 16-bit numbers the other way round, in place. */
static void transpose(rwkv_write_tensor *w)
{
    size_t rows = w->shape[0], cols = w->shape[1];
    const uint16_t *from = w->data;
    uint16_t *to = malloc(rows * cols * 2);
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < cols; c++)
            to[c * rows + r] = from[r * cols + c];
    free((void *)w->data);
    w->data = to;
}

/* The low-rank pairs the other way round, as web-rwkv stores them: the same numbers. */
static void both_orientations(void **state)
{
    (void)state;
    struct tensors t;
    char path[1024];
    rwkv_model_info one, other;
    rwkv_model *m;
    rwkv_error err = {0};
    tensors_read(&t, SMALL_F16);
    for (size_t i = 0; i < t.n; i++) {
        rwkv_write_tensor *w = &t.items[i];
        const char *end = strrchr(w->name, '.') + 1;
        if (w->n_dims != 2 || strlen(end) != 2 || !strchr("wavg", end[0]))
            continue;
        transpose(w);
        size_t rows = w->shape[0];
        w->shape[0] = w->shape[1];
        w->shape[1] = rows;
    }
    tensors_write(&t, ".safetensors", path);
    tensors_free(&t);
    if (rwkv_model_open(path, NULL, &m, &err) != RWKV_OK)
        fail_msg("%s", err.message);
    unlink(path);
    rwkv_model_get_info(m, &other);
    rwkv_model_close(m);
    m = open_model(SMALL_F16, NULL);
    rwkv_model_get_info(m, &one);
    rwkv_model_close(m);
    assert_string_equal(one.fingerprint, other.fingerprint);
}

/* Make the matrix `name` of a .pth that we wrote a view with the strides of its transpose: they
 * are two one-byte integers of the pickle, after the shape. */
static void patch_strides(const char *path, const char *name, size_t rows, size_t cols)
{
    static char bytes[1 << 20];
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    size_t n = fread(bytes, 1, sizeof bytes, f);
    const char old[] = {'(', 'K', (char)cols, 'K', 1, 't'};
    const char new[] = {'(', 'K', 1, 'K', (char)rows, 't'};
    char *at = memmem(bytes, n, name, strlen(name));
    assert_non_null(at);
    at = memmem(at, n - (size_t)(at - bytes), old, sizeof old);
    assert_non_null(at);
    fseek(f, at - bytes, SEEK_SET);
    fwrite(new, 1, sizeof new, f);
    fclose(f);
}

static void last_logits(rwkv_model *m, float *to, size_t n)
{
    static const int32_t tokens[] = {127, 1, 64, 126}; /* the last rows of the embedding, too */
    rwkv_session *s = new_session(m);
    assert_int_equal(rwkv_session_eval(s, tokens, 4, NULL), RWKV_OK);
    memcpy(to, rwkv_session_logits(s), n * sizeof *to);
    rwkv_session_free(s);
    rwkv_model_close(m);
}

/* Matrices of a .pth may be views of their transposes: W.t() saved. */
static void transposed_views(void **state)
{
    (void)state;
    static const char *const names[] = {"emb.weight", "head.weight", "blocks.0.att.key.weight",
                                        "blocks.1.att.w1", "blocks.1.att.g2"};
    struct tensors t;
    char path[1024];
    rwkv_model *m;
    rwkv_error err = {0};
    float wanted[128], found[128];
    tensors_read(&t, SMALL_F16);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        transpose(tensors_find(&t, names[i]));
    tensors_write(&t, ".pth", path);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const rwkv_write_tensor *w = tensors_find(&t, names[i]);
        patch_strides(path, names[i], w->shape[0], w->shape[1]);
    }
    tensors_free(&t);
    if (rwkv_model_open(path, NULL, &m, &err) != RWKV_OK)
        fail_msg("%s", err.message);
    unlink(path);
    last_logits(m, found, 128);
    last_logits(open_model(SMALL_F16, NULL), wanted, 128);
    assert_memory_equal(found, wanted, sizeof wanted);
}

static void information(void **state)
{
    (void)state;
    rwkv_model_info info, plan;
    char path[1024];
    rwkv_model *m = open_model(SMALL_F32, &(rwkv_model_options){.vocab = "bytes"});
    rwkv_model_get_info(m, &info);
    rwkv_model_close(m);
    assert_int_equal(info.version, 7);
    assert_int_equal(info.n_layer, 2);
    assert_int_equal(info.n_embd, 128);
    assert_int_equal(info.n_vocab, 256);
    assert_int_equal(info.n_head, 2);
    assert_int_equal(info.head_size, 64);
    assert_int_equal(info.n_ffn, 512);
    assert_int_equal(info.rank_w, 32);
    assert_int_equal(info.rank_g, 64);
    assert_int_equal(info.state_bytes, 2 * (2 * 128 + 128 * 64) * 4);
    /* docs/model.md's formula, less block 0's value residual, which this file does not have */
    size_t c = 128, v = 256, ranks = 32 + 32 + 32 + 64;
    assert_int_equal(info.n_params, 2 * v * c + 4 * c + 2 * (19 * c + 12 * c * c + 2 * c * ranks) -
                                        c - 2 * c * 32);
    assert_string_equal(info.format, "safetensors");
    assert_int_equal(info.dtype, RWKV_DTYPE_F32);
    rwkv_error err;
    assert_int_equal(rwkv_model_plan(unit_source(path, SMALL_F32), NULL, &plan, &err), RWKV_OK);
    assert_int_equal(plan.private_bytes, info.private_bytes);
    assert_int_equal(plan.scratch_bytes, info.scratch_bytes);
    assert_string_equal(plan.fingerprint, info.fingerprint);
}

static void bad_options(void **state)
{
    (void)state;
    static const struct {
        rwkv_model_options options;
        rwkv_status status;
        const char *part;
    } cases[] = {
        {{.threads = -1}, RWKV_ERROR_ARGUMENT, "threads"},
        {{.threads = 257}, RWKV_ERROR_ARGUMENT, "threads"},
        {{.chunk = 4097}, RWKV_ERROR_ARGUMENT, "chunk"},
        {{.zeros = (rwkv_zeros)3}, RWKV_ERROR_ARGUMENT, "zeros"},
        {{.cpu = "z80"}, RWKV_ERROR_ARGUMENT, "z80"},
        {{.memory_limit = 1000}, RWKV_ERROR_MEMORY, "not enough memory"},
    };
    char path[1024];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rwkv_model *m = NULL;
        rwkv_error err = {0};
        assert_int_equal(rwkv_model_open(unit_source(path, SMALL_F16), &cases[i].options, &m, &err),
                         cases[i].status);
        assert_non_null(strstr(err.message, cases[i].part));
        assert_null(m);
    }
    assert_int_equal(rwkv_model_open(NULL, NULL, NULL, NULL), RWKV_ERROR_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_tensor),    cmocka_unit_test(wrong_shape),
        cmocka_unit_test(wrong_heads),       cmocka_unit_test(wrong_type),
        cmocka_unit_test(unknown_tensor),    cmocka_unit_test(other_kinds),
        cmocka_unit_test(both_orientations), cmocka_unit_test(information),
        cmocka_unit_test(bad_options),       cmocka_unit_test(transposed_views),
        cmocka_unit_test(wrong_type_unused), cmocka_unit_test(wrong_head_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
