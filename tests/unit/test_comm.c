/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Groups of processes, and parameters in shares: sums, shares of odd sizes, updates, against the
 * same done by one. Ranks are threads of this process that pass messages by copying. Started by
 * mpirun, the test does the same in the group it is a rank of: tests/mpi.
 */
#include "unit.h"

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "backend/backend.h"
#include "base/env.h"
#include "base/status.h"
#include "model/params.h"
#include "train/comm.h"
#include "train/comm_int.h"
#include "train/init.h"
#include "train/optimizer.h"
#include "train/shards.h"

/* cmocka's assertions belong to one thread. */
#define EXPECT(condition)                                                           \
    do {                                                                            \
        if (!(condition)) {                                                         \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            _exit(1);                                                               \
        }                                                                           \
    } while (0)

/* --- a group of threads ----------------------------------------------------------------------- */

struct hall {
    pthread_barrier_t barrier;
    const struct rw_comm_parcel *out[8];
    const void *mine[8];
    size_t size;
};

struct guest {
    struct rw_comm comm;
    struct hall *hall;
    void (*check)(struct rw_comm *comm);
};

static struct hall *hall_of(struct rw_comm *comm)
{
    return ((struct guest *)comm)->hall;
}

/* Some ranks are late, each time others. */
static void dawdle(struct rw_comm *comm)
{
    static _Thread_local unsigned turn;
    if ((turn++ + comm->rank) % comm->size == 0)
        nanosleep(&(struct timespec){0, 50000}, NULL);
}

static void exchange(struct rw_comm *comm, const struct rw_comm_parcel *out,
                     const struct rw_comm_parcel *in)
{
    struct hall *hall = hall_of(comm);
    dawdle(comm);
    hall->out[comm->rank] = out;
    pthread_barrier_wait(&hall->barrier);
    for (size_t r = 0; r < comm->size; r++) {
        const struct rw_comm_parcel *parcel = &hall->out[r][comm->rank];
        if (r == comm->rank)
            continue;
        EXPECT(parcel->bytes == in[r].bytes);
        if (parcel->bytes)
            memcpy(in[r].data, parcel->data, parcel->bytes);
    }
    pthread_barrier_wait(&hall->barrier);
}

static void gather(struct rw_comm *comm, const void *mine, void *all, size_t bytes)
{
    struct hall *hall = hall_of(comm);
    dawdle(comm);
    hall->mine[comm->rank] = mine;
    pthread_barrier_wait(&hall->barrier);
    for (size_t r = 0; r < comm->size; r++)
        memcpy((char *)all + r * bytes, hall->mine[r], bytes);
    pthread_barrier_wait(&hall->barrier);
}

static const struct rw_comm_ops threads = {.exchange = exchange, .gather = gather};

static void *be_guest(void *arg)
{
    struct guest *guest = arg;
    guest->check(&guest->comm);
    return NULL;
}

static void in_a_group(size_t size, void (*check)(struct rw_comm *comm))
{
    struct hall hall = {.size = size};
    struct guest guests[8];
    pthread_t thread[8];
    pthread_barrier_init(&hall.barrier, NULL, (unsigned)size);
    for (size_t r = 0; r < size; r++) {
        guests[r].hall = &hall;
        guests[r].check = check;
        EXPECT(rw_comm_init(&guests[r].comm, &threads, "threads", r, size, NULL) == RWKV_OK);
    }
    for (size_t r = 0; r < size; r++)
        EXPECT(pthread_create(&thread[r], NULL, be_guest, &guests[r]) == 0);
    for (size_t r = 0; r < size; r++)
        pthread_join(thread[r], NULL);
    for (size_t r = 0; r < size; r++)
        rw_comm_fini(&guests[r].comm);
    pthread_barrier_destroy(&hall.barrier);
}

/* --- numbers ---------------------------------------------------------------------------------- */

/* A number of many bits that is large for some ranks and small for others, so that the order of a
 * sum shows. */
static float number(size_t rank, size_t i)
{
    uint64_t x = (i + 1) * 0x9e3779b97f4a7c15u + rank * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 31)) * 0x94d049bb133111ebu;
    float unit = (float)(int32_t)(x >> 32) / 2147483648.0F;
    return (x & 1) ? unit : unit * 1e-4F;
}

static float sum_of_all(size_t size, size_t i)
{
    float sum = number(0, i);
    for (size_t r = 1; r < size; r++)
        sum += number(r, i);
    return sum;
}

static bool same(float a, float b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

static void check_sum(struct rw_comm *comm)
{
    double mine[RW_COMM_MAX_SUM];
    for (size_t i = 0; i < RW_COMM_MAX_SUM; i++)
        mine[i] = number(comm->rank, i) / 3.0;
    rw_comm_sum(comm, mine, RW_COMM_MAX_SUM);
    for (size_t i = 0; i < RW_COMM_MAX_SUM; i++) {
        double sum = number(0, i) / 3.0;
        for (size_t r = 1; r < comm->size; r++)
            sum += number(r, i) / 3.0;
        EXPECT(memcmp(&sum, &mine[i], sizeof sum) == 0);
    }
}

static void check_agree(struct rw_comm *comm)
{
    rwkv_error err = {0};
    EXPECT(rw_comm_agree(comm, RWKV_OK, &err) == RWKV_OK);
    size_t last = comm->size - 1;
    rwkv_status mine = RWKV_OK;
    if (comm->rank == last)
        mine = rw_fail(&err, RWKV_ERROR_IO, "data.bin: gone");
    EXPECT(rw_comm_agree(comm, mine, &err) == RWKV_ERROR_IO);
    char wanted[100];
    snprintf(wanted, sizeof wanted, "process of rank %zu: data.bin: gone", last);
    const char *told = last ? wanted : "data.bin: gone";
    EXPECT(strcmp(err.message, comm->rank == 0 ? told : "") == 0);
    EXPECT(err.code == RWKV_ERROR_IO);
    mine = rw_fail(&err, comm->rank ? RWKV_ERROR_IO : RWKV_ERROR_FORMAT, "rank %zu", comm->rank);
    EXPECT(rw_comm_agree(comm, mine, &err) == RWKV_ERROR_FORMAT);
    EXPECT(strcmp(err.message, comm->rank == 0 ? "rank 0" : "") == 0);
    EXPECT(rw_comm_agree(comm, comm->rank == last ? RWKV_ERROR_IO : RWKV_OK, NULL) ==
           RWKV_ERROR_IO);
}

/* --- shares of an array ----------------------------------------------------------------------- */

#define FLOATS 1000

/* Shares of 0, 1, 3, 7 … floats; the last has the rest. */
static void cut_oddly(size_t cut[9], size_t size)
{
    cut[0] = 5;
    for (size_t r = 0; r < size; r++)
        cut[r + 1] = r + 1 == size ? FLOATS - 3 : cut[r] + ((size_t)1 << r) - 1;
}

static void fill(float *array, size_t rank)
{
    for (size_t i = 0; i < FLOATS; i++)
        array[i] = number(rank, i);
}

static size_t owner(const size_t *cut, size_t size, size_t i)
{
    size_t r = 0;
    while (r < size && i >= cut[r + 1])
        r++;
    return i < cut[0] ? size : r;
}

static void check_shares(struct rw_comm *comm)
{
    float array[FLOATS], scratch[8 * FLOATS];
    size_t cut[9], size = comm->size;
    cut_oddly(cut, size);
    fill(array, comm->rank);
    rw_comm_sum_share(comm, array, cut, scratch);
    for (size_t i = 0; i < FLOATS; i++) {
        bool own = owner(cut, size, i) == comm->rank;
        EXPECT(same(array[i], own ? sum_of_all(size, i) : number(comm->rank, i)));
    }
    fill(array, comm->rank);
    rw_comm_spread(comm, array, cut);
    for (size_t i = 0; i < FLOATS; i++) {
        size_t r = owner(cut, size, i);
        EXPECT(same(array[i], number(r < size ? r : comm->rank, i)));
    }
    fill(array, comm->rank);
    rw_comm_collect(comm, array, cut);
    for (size_t i = 0; i < FLOATS; i++) {
        size_t r = owner(cut, size, i);
        EXPECT(same(array[i], number(comm->rank == 0 && r < size ? r : comm->rank, i)));
    }
}

/* --- parameters in shares --------------------------------------------------------------------- */

struct model {
    struct rw_parameters parameters;
    struct rw_backend *backend;
    float *values, *gradients, *m, *v;            /* of this rank; m and v of its share */
    float *all_values, *all_sums, *all_m, *all_v; /* as one process would have them */
};

static float *zeros(size_t n)
{
    float *x = calloc(n ? n : 1, sizeof *x);
    EXPECT(x);
    return x;
}

static void make_model(struct model *m)
{
    const struct rw_sizes sizes = {
        .n_layer = 2, .n_embd = 24, .n_vocab = 19, .n_ffn = 40, .head_size = 8};
    const struct rw_ranks ranks = {.w = 5, .a = 5, .v = 3, .g = 7};
    struct rw_params params;
    EXPECT(rw_params_make(&params, &sizes, &ranks, RWKV_DTYPE_F32, NULL) == RWKV_OK);
    EXPECT(rw_parameters_init(&m->parameters, &params, NULL) == RWKV_OK);
    rw_params_close(&params);
    EXPECT(rw_backend_cpu_new(&m->backend, 1, 0, NULL) == RWKV_OK);
    size_t n = m->parameters.floats;
    float **arrays[] = {&m->values,   &m->gradients, &m->all_values,
                        &m->all_sums, &m->all_m,     &m->all_v};
    for (size_t i = 0; i < RW_COUNT(arrays); i++)
        *arrays[i] = zeros(n);
}

static void free_model(struct model *m)
{
    float *arrays[] = {m->values,     m->gradients, m->m,     m->v,
                       m->all_values, m->all_sums,  m->all_m, m->all_v};
    for (size_t i = 0; i < RW_COUNT(arrays); i++)
        free(arrays[i]);
    m->backend->ops->free(m->backend);
    rw_parameters_fini(&m->parameters);
}

/* Gradients of a step, this rank's and the sum of all. The gaps between tensors stay zero. */
static void make_gradients(struct model *m, const struct rw_comm *comm, size_t step)
{
    for (size_t t = 0; t < m->parameters.n; t++) {
        const struct rw_parameter *p = &m->parameters.list[t];
        for (size_t i = p->offset; i < p->offset + p->count; i++) {
            m->gradients[i] = number(comm->rank, i + step);
            m->all_sums[i] = sum_of_all(comm->size, i + step);
        }
    }
}

/* In uneven steps, as a backward pass would. */
static void sum_up(struct model *m, struct rw_shards *shards, size_t step)
{
    rw_shards_begin(shards, m->gradients);
    for (size_t at = m->parameters.floats, by = 1 + step; at > by; at -= by, by = by * 2 + 13)
        rw_shards_final(shards, at);
    rw_shards_end(shards);
}

/* As one process does it. */
static double update_alone(struct model *m, const struct rw_optimizer_options *options, size_t step)
{
    struct rw_backend *be = m->backend;
    double norm = sqrt(be->ops->backward->sum_squares(be, m->all_sums, m->parameters.floats));
    for (size_t t = 0; t < m->parameters.n; t++) {
        const struct rw_parameter *p = &m->parameters.list[t];
        const struct rw_optimizer_arrays all = {m->all_values + p->offset, m->all_m + p->offset,
                                                m->all_v + p->offset, m->all_sums + p->offset};
        rw_optimizer_update(be, p, &all, p->count, options, 1e-2, norm, step + 1);
    }
    return norm;
}

static void check_step(struct model *m, struct rw_comm *comm, struct rw_shards *shards, size_t step)
{
    static const struct rw_optimizer_options options = {0.9, 0.99, 1e-18, 0.1, 1};
    size_t floats = m->parameters.floats;
    make_gradients(m, comm, step);
    sum_up(m, shards, step);
    double squares = rw_shards_squares(shards, m->backend, m->gradients);
    double norm = update_alone(m, &options, step);
    rw_comm_sum(comm, &squares, 1);
    EXPECT(fabs(sqrt(squares) / norm - 1) < 1e-12);
    const struct rw_optimizer_arrays arrays = {m->values, m->m, m->v, m->gradients};
    rw_shards_update(shards, m->backend, &arrays, &options, 1e-2, norm, step + 1);
    EXPECT(memcmp(m->values, m->all_values, floats * sizeof(float)) == 0);
}

static void check_moments(struct model *m, struct rw_comm *comm, struct rw_shards *shards)
{
    size_t floats = m->parameters.floats, share = rw_shards_floats(shards);
    float *whole = comm->rank == 0 ? zeros(floats) : NULL, *back = zeros(share);
    rw_shards_collect(shards, whole, m->v);
    if (whole)
        EXPECT(memcmp(whole, m->all_v, floats * sizeof(float)) == 0);
    rw_shards_collect(shards, whole, m->m);
    if (whole)
        EXPECT(memcmp(whole, m->all_m, floats * sizeof(float)) == 0);
    rw_shards_pack(shards, back, m->all_m);
    EXPECT(memcmp(back, m->m, share * sizeof(float)) == 0);
    free(whole);
    free(back);
}

/* The first tensor to blame is found by its owner. */
static void check_not_finite(struct model *m, struct rw_comm *comm, struct rw_shards *shards)
{
    double n = (double)m->parameters.n, found;
    EXPECT(rw_shards_not_finite(shards, m->backend, m->values) == m->parameters.n);
    for (size_t t = 0; t < m->parameters.n; t += 5) {
        const struct rw_parameter *p = &m->parameters.list[t];
        float *culprit = &m->values[p->offset + p->count / 2], before = *culprit;
        *culprit = NAN;
        found = (double)rw_shards_not_finite(shards, m->backend, m->values);
        EXPECT(found == (double)t || found == n);
        EXPECT(rw_comm_least(comm, found) == (double)t);
        *culprit = before;
    }
}

static void check_buckets(struct rw_comm *comm, size_t bucket)
{
    struct model m = {0};
    struct rw_shards *shards;
    make_model(&m);
    EXPECT(rw_shards_new(&shards, &m.parameters, comm, bucket, NULL) == RWKV_OK);
    double share = (double)rw_shards_floats(shards);
    m.m = zeros(rw_shards_floats(shards));
    m.v = zeros(rw_shards_floats(shards));
    rw_comm_sum(comm, &share, 1);
    EXPECT(share == (double)m.parameters.floats);
    for (size_t i = 0; i < m.parameters.floats; i++) /* all begin with different weights */
        m.values[i] = number(comm->rank, i);
    rw_shards_spread(shards, m.values);
    memcpy(m.all_values, m.values, m.parameters.floats * sizeof(float));
    for (size_t step = 0; step < 4; step++)
        check_step(&m, comm, shards, step);
    check_moments(&m, comm, shards);
    check_not_finite(&m, comm, shards);
    rw_shards_free(shards);
    free_model(&m);
}

static void check_shards(struct rw_comm *comm)
{
    static const size_t buckets[] = {0, 16, 48, 1024, 4096};
    for (size_t i = 0; i < RW_COUNT(buckets); i++)
        if (buckets[i] != 16 || comm->size < 3) /* a thousand of them */
            check_buckets(comm, buckets[i]);
}

/* --- the tests -------------------------------------------------------------------------------- */

static void in_groups(void (*check)(struct rw_comm *comm))
{
    struct rw_comm *alone;
    assert_int_equal(rw_comm_single(&alone, NULL), RWKV_OK);
    check(alone);
    rw_comm_close(alone);
    for (size_t size = 2; size <= 5; size++)
        in_a_group(size, check);
}

static void test_sum(void **state)
{
    in_groups(check_sum);
}

static void test_agree(void **state)
{
    in_groups(check_agree);
}

static void test_shares(void **state)
{
    in_groups(check_shares);
}

static void test_shards(void **state)
{
    in_groups(check_shards);
}

/* Everything once more, in a group of processes. */
static int under_mpi(void)
{
    struct rw_comm *comm;
    rwkv_error err;
    if (rw_comm_open(&comm, &err) != RWKV_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    EXPECT(comm->size == rw_env_processes());
    check_sum(comm);
    check_agree(comm);
    check_shares(comm);
    check_shards(comm);
    if (comm->rank == 0)
        printf("%s: %zu processes agree\n", comm->name, comm->size);
    rw_comm_close(comm);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sum),
        cmocka_unit_test(test_agree),
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_shards),
    };
    if (rw_env_processes() > 1)
        return under_mpi();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
