/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints and the optimizer: what is written comes back to the bit; nothing damaged is taken;
 * the newest are kept; the update is that of its formula. */
#include "unit.h"

#include <fcntl.h>
#include <math.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <signal.h>

#include "base/alloc.h"
#include "base/cpu.h"
#include "train/checkpoint.h"
#include "train/init.h"
#include "train/optimizer.h"

static char folder[] = "/tmp/rwkv-checkpoint-XXXXXX";
static struct rw_parameters parameters;
static struct rw_checkpoint_arrays arrays, loaded;
static const struct rw_training_state state = {.step = 7,
                                               .updates = 6,
                                               .tokens = 1234567890123,
                                               .milliseconds = 5,
                                               .context = 16,
                                               .batch = 4,
                                               .windows = 99,
                                               .order = 1,
                                               .seed = UINT64_MAX,
                                               .data = "0123456789abcdef0123456789abcdef"
                                                       "0123456789abcdef0123456789abcdef"};

static void path_of(char path[256], const char *name)
{
    snprintf(path, 256, "%s/%s", folder, name);
}

static float *numbers(float first)
{
    float *a = rw_calloc(parameters.floats, sizeof *a);
    assert_non_null(a);
    for (size_t i = 0; i < parameters.n; i++)
        for (size_t j = 0; j < parameters.list[i].count; j++)
            a[parameters.list[i].offset + j] = first + (float)(i * 1000 + j) * 1e-3f;
    return a;
}

static int setup(void **unused)
{
    const struct rw_sizes sizes = {
        .n_layer = 2, .n_embd = 8, .n_vocab = 12, .n_ffn = 32, .head_size = 4};
    const struct rw_ranks ranks = {3, 4, 5, 6};
    struct rw_params params;
    assert_int_equal(rw_params_make(&params, &sizes, &ranks, RWKV_DTYPE_F32, NULL), RWKV_OK);
    assert_int_equal(rw_parameters_init(&parameters, &params, NULL), RWKV_OK);
    rw_params_close(&params);
    assert_non_null(mkdtemp(folder));
    arrays = (struct rw_checkpoint_arrays){numbers(1), numbers(-2), numbers(0)};
    loaded = (struct rw_checkpoint_arrays){numbers(0), numbers(0), numbers(1)};
    return 0;
}

static int teardown(void **unused)
{
    float *all[] = {arrays.values, arrays.m, arrays.v, loaded.values, loaded.m, loaded.v};
    for (size_t i = 0; i < 6; i++)
        rw_free(all[i]);
    rw_parameters_fini(&parameters);
    return rmdir(folder);
}

static void write_one(const char *name)
{
    char path[256];
    path_of(path, name);
    assert_int_equal(rw_checkpoint_write(path, &parameters, &arrays, &state, "lr = 1\n", NULL),
                     RWKV_OK);
}

static void test_round_trip(void **unused)
{
    char path[256];
    struct rw_checkpoint *c;
    size_t bytes = parameters.floats * sizeof(float);
    write_one("a.safetensors");
    path_of(path, "a.safetensors");
    assert_int_equal(rw_checkpoint_open(&c, path, NULL), RWKV_OK);
    assert_memory_equal(&c->state, &state, sizeof state);
    assert_int_equal(rw_checkpoint_weights(c, &parameters, loaded.values, NULL), RWKV_OK);
    rw_checkpoint_moment(c, c->m, loaded.m);
    rw_checkpoint_moment(c, c->v, loaded.v);
    assert_memory_equal(loaded.values, arrays.values, bytes);
    assert_memory_equal(loaded.m, arrays.m, bytes);
    assert_memory_equal(loaded.v, arrays.v, bytes);
    rw_checkpoint_close(c);
    unlink(path);
}

/* Cut at any length, or with any bit changed, it is refused. */
static void test_damage(void **unused)
{
    char path[256];
    struct rw_checkpoint *c;
    struct stat st;
    path_of(path, "b.safetensors");
    write_one("b.safetensors");
    assert_int_equal(stat(path, &st), 0);
    int fd = open(path, O_RDWR);
    for (off_t at = 0; at < st.st_size; at += 97) {
        char byte, changed;
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        changed = (char)(byte ^ 1 << at % 7);
        assert_int_equal(pwrite(fd, &changed, 1, at), 1);
        if (rw_checkpoint_open(&c, path, NULL) == RWKV_OK)
            fail_msg("byte %ld of %ld may change", (long)at, (long)st.st_size);
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    }
    assert_int_equal(rw_checkpoint_open(&c, path, NULL), RWKV_OK);
    rw_checkpoint_close(c);
    for (off_t size = st.st_size - 1; size >= 0; size -= 211) {
        assert_int_equal(ftruncate(fd, size), 0);
        assert_int_not_equal(rw_checkpoint_open(&c, path, NULL), RWKV_OK);
    }
    close(fd);
    unlink(path);
}

static void count_note(void *user, const char *message)
{
    ++*(int *)user;
}

static int save_notes;

static void save(uint64_t step, size_t keep, rwkv_status wanted)
{
    struct rw_training_state now = state;
    char path[256];
    rwkv_error err;
    now.step = step;
    path_of(path, "run");
    assert_int_equal(rw_checkpoint_save(path, keep, &parameters, &arrays, &now, "", count_note,
                                        &save_notes, &err),
                     wanted);
}

static uint64_t latest(int *notes)
{
    char path[256];
    struct rw_checkpoint *c;
    path_of(path, "run");
    *notes = 0;
    assert_int_equal(rw_checkpoint_latest(&c, path, count_note, notes, NULL), RWKV_OK);
    uint64_t step = c ? c->state.step : UINT64_MAX;
    rw_checkpoint_close(c);
    return step;
}

static bool there(uint64_t step)
{
    char name[64], path[256];
    snprintf(name, sizeof name, "run/step-%010llu.safetensors", (unsigned long long)step);
    path_of(path, name);
    return access(path, F_OK) == 0;
}

static void remove_step(uint64_t step)
{
    char name[64], path[256];
    snprintf(name, sizeof name, "run/step-%010llu.safetensors", (unsigned long long)step);
    path_of(path, name);
    assert_int_equal(unlink(path), 0);
}

/* Rotation; a newer one that is broken is passed over, and not counted as one of those kept. */
static void test_rotation(void **unused)
{
    char path[256];
    int notes;
    assert_true(latest(&notes) == UINT64_MAX);
    for (uint64_t step = 1; step <= 12; step++)
        save(step, 3, RWKV_OK);
    assert_true(there(12) && there(11) && there(10) && !there(9) && !there(1));
    path_of(path, "run/step-0000000012.safetensors");
    assert_int_equal(truncate(path, 1000), 0);
    assert_true(latest(&notes) == 11);
    assert_int_equal(notes, 1);
    save(10, 1, RWKV_OK);
    assert_true(there(10) && there(11) && there(12));
    for (uint64_t step = 10; step <= 12; step++)
        remove_step(step);
    path_of(path, "run");
    rmdir(path);
}

/* No room: refused, nothing left behind, and what was there is untouched. */
static void test_full(void **unused)
{
    struct rlimit limit, little = {.rlim_cur = 4096};
    char path[256];
    int notes;
    save(1, 1, RWKV_OK);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    little.rlim_max = limit.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
    save(2, 1, RWKV_ERROR_IO);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_true(there(1) && !there(2));
    assert_true(latest(&notes) == 1 && notes == 0);
    save(2, 1, RWKV_OK);
    assert_true(!there(1) && there(2));
    remove_step(2);
    path_of(path, "run");
    assert_int_equal(rmdir(path), 0);
}

/* What cannot be removed is told; the checkpoint is saved all the same, and others are removed. */
static void test_stubborn(void **unused)
{
    char path[256];
    save(1, 1, RWKV_OK);
    save(3, 0, RWKV_OK);
    path_of(path, "run/step-0000000002.safetensors");
    assert_int_equal(mkdir(path, 0777), 0);
    save_notes = 0;
    save(4, 1, RWKV_OK);
    assert_int_equal(save_notes, 1);
    assert_true(there(4) && !there(3) && there(2) && !there(1));
    assert_int_equal(rmdir(path), 0);
    remove_step(4);
    path_of(path, "run");
    assert_int_equal(rmdir(path), 0);
}

/* Files that a killed process leaves have names of exactly one form. */
static void test_sweep(void **unused)
{
    static const char *const names[] = {"rwkv-1-0.tmp",  "rwkv-1234567-999.tmp", "rwkv--0.tmp",
                                        "rwkv-1-.tmp",   "rwkv-1-0.tmp2",        "xrwkv-1-0.tmp",
                                        "rwkv-1-0",      "rwkv-a-0.tmp",         "rwkv-1-0x.tmp",
                                        "rwkv-1-0-0.tmp"};
    char path[256], name[64];
    path_of(path, "run");
    rw_checkpoint_sweep(path); /* a folder that is not there */
    assert_int_equal(mkdir(path, 0777), 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(name, sizeof name, "run/%s", names[i]);
        path_of(path, name);
        close(open(path, O_CREAT | O_WRONLY, 0666));
    }
    path_of(path, "run");
    rw_checkpoint_sweep(path);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(name, sizeof name, "run/%s", names[i]);
        path_of(path, name);
        if ((unlink(path) == 0) != (i >= 2))
            fail_msg("%s", names[i]);
    }
    path_of(path, "run");
    assert_int_equal(rmdir(path), 0);
}

static void test_groups(void **unused)
{
    static const char *const decayed[] = {"emb.weight", "head.weight",  "receptance.weight",
                                          "key.weight", "value.weight", "output.weight"};
    for (size_t i = 0; i < parameters.n; i++) {
        const char *name = parameters.list[i].name;
        struct rw_optimizer_group group = rw_optimizer_group(&parameters.list[i]);
        bool matrix = false;
        for (size_t j = 0; j < sizeof decayed / sizeof decayed[0]; j++)
            matrix = matrix || strstr(name, decayed[j]);
        assert_true(group.rate == (strstr(name, "att.w0") ? 2 : 1));
        assert_true(group.decay == (matrix ? 1 : 0));
    }
}

static void test_clip(void **unused)
{
    assert_true(rw_optimizer_clip(1, 0.5) == 1);
    assert_true(fabs(rw_optimizer_clip(1, 4) - 1 / 4.000001) < 1e-12);
    assert_true(rw_optimizer_clip(0, 1e9) == 1);
}

/* Two updates of every parameter against the formula in double precision. */
static void test_update(void **unused)
{
    struct rw_backend *be;
    const struct rw_optimizer_options o = {0.9, 0.99, 1e-18, 0.1, 1};
    float *p = numbers(1), *g = numbers(-3), *m = numbers(0), *v = numbers(0), *was = numbers(1);
    memset(m, 0, parameters.floats * sizeof *m);
    memset(v, 0, parameters.floats * sizeof *v);
    assert_int_equal(rw_backend_cpu_new(&be, 1, rw_cpu_detect(), NULL), RWKV_OK);
    assert_int_equal(be->ops->backward->prepare(be, 1, 64, 4, NULL), RWKV_OK);
    double norm = sqrt(be->ops->backward->sum_squares(be, g, parameters.floats));
    for (uint64_t k = 1; k <= 2; k++)
        for (size_t i = 0; i < parameters.n; i++) {
            const struct rw_parameter *one = &parameters.list[i];
            const struct rw_optimizer_arrays part = {p + one->offset, m + one->offset,
                                                     v + one->offset, g + one->offset};
            rw_optimizer_update(be, one, &part, one->count, &o, k == 1 ? 1e-2 : 1e-3, norm, k);
        }
    for (size_t i = 0; i < parameters.n; i++) {
        struct rw_optimizer_group group = rw_optimizer_group(&parameters.list[i]);
        size_t at = parameters.list[i].offset;
        double x = (double)was[at], d = (double)g[at] / (norm + 1e-6), dm = 0, dv = 0;
        for (int k = 1; k <= 2; k++) {
            dm = 0.9 * dm + 0.1 * d;
            dv = 0.99 * dv + 0.01 * d * d;
            x -= (k == 1 ? 1e-2 : 1e-3) * group.rate *
                 (dm / (1 - pow(0.9, k)) / (sqrt(dv / (1 - pow(0.99, k))) + 1e-18) +
                  0.1 * group.decay * x);
        }
        assert_true(fabs((double)p[at] - x) < 2e-6 * fmax(1, fabs(x)));
    }
    assert_null(rw_optimizer_not_finite(be, &parameters, p));
    p[parameters.list[5].offset + 1] = NAN;
    assert_ptr_equal(rw_optimizer_not_finite(be, &parameters, p), &parameters.list[5]);
    be->ops->free(be);
    float *arrays_used[] = {p, g, m, v, was};
    for (size_t i = 0; i < 5; i++)
        rw_free(arrays_used[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_damage),
        cmocka_unit_test(test_rotation),   cmocka_unit_test(test_full),
        cmocka_unit_test(test_stubborn),   cmocka_unit_test(test_sweep),
        cmocka_unit_test(test_groups),     cmocka_unit_test(test_clip),
        cmocka_unit_test(test_update),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
