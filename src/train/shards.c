/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shares are cut inside each bucket, and not across the array, so that at any moment all processes
 * send and receive as much as each other.
 */
#include "train/shards.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"

#define BUCKET ((size_t)4 << 20) /* floats: 16 MiB */

struct rw_shards {
    const struct rw_parameters *parameters;
    struct rw_comm *comm;
    size_t bucket, n_buckets;
    size_t *cut;    /* [size + 1]: of the bucket in hand */
    float *scratch; /* a bucket as the others have it, or shares on their way to rank 0 */

    float *gradients;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool running, stop;
    size_t final;  /* buckets from this one on may be summed up … */
    size_t summed; /* … and those from this one on are */
};

/* --- cuts ------------------------------------------------------------------------------------- */

static size_t bucket_of(const struct rw_parameters *p, const struct rw_comm *comm, size_t bucket)
{
    bucket = bucket ? bucket : BUCKET;
    return comm->size == 1 ? p->floats : RW_MIN(bucket, p->floats);
}

static size_t bucket_floats(const struct rw_shards *s, size_t k)
{
    return RW_MIN(s->parameters->floats - k * s->bucket, s->bucket);
}

/* Where the share of `rank` begins in a bucket of so many floats: nothing is cut but between units
 * of RW_PARAMETER_ALIGN, at multiples of which all tensors begin. */
static size_t share_begin(size_t floats, size_t rank, size_t size)
{
    return floats / RW_PARAMETER_ALIGN * rank / size * RW_PARAMETER_ALIGN;
}

static size_t share_floats(size_t floats, size_t rank, size_t size)
{
    return share_begin(floats, rank + 1, size) - share_begin(floats, rank, size);
}

/* Of the shares in buckets below k together. */
static size_t packed_at(const struct rw_shards *s, size_t k)
{
    const struct rw_comm *comm = s->comm;
    size_t full = RW_MIN(k, s->parameters->floats / s->bucket);
    size_t floats = full * share_floats(s->bucket, comm->rank, comm->size);
    if (k > full)
        floats += share_floats(bucket_floats(s, full), comm->rank, comm->size);
    return floats;
}

static const size_t *cut_bucket(struct rw_shards *s, size_t k)
{
    size_t floats = bucket_floats(s, k);
    for (size_t rank = 0; rank <= s->comm->size; rank++)
        s->cut[rank] = k * s->bucket + share_begin(floats, rank, s->comm->size);
    return s->cut;
}

/* The own share of bucket k in the whole array. */
static size_t own(const struct rw_shards *s, size_t k, size_t *floats)
{
    size_t all = bucket_floats(s, k);
    *floats = share_floats(all, s->comm->rank, s->comm->size);
    return k * s->bucket + share_begin(all, s->comm->rank, s->comm->size);
}

size_t rw_shards_floats(const struct rw_shards *s)
{
    return packed_at(s, s->n_buckets);
}

/* --- the thread ------------------------------------------------------------------------------- */

static void sum_up(struct rw_shards *s, size_t k)
{
    rw_comm_sum_share(s->comm, s->gradients, cut_bucket(s, k), s->scratch);
}

static void *work(void *arg)
{
    struct rw_shards *s = arg;
    pthread_mutex_lock(&s->lock);
    for (;;) {
        while (!s->stop && s->summed <= s->final)
            pthread_cond_wait(&s->changed, &s->lock);
        if (s->stop)
            break;
        size_t k = s->summed - 1;
        pthread_mutex_unlock(&s->lock);
        sum_up(s, k);
        pthread_mutex_lock(&s->lock);
        s->summed = k;
        if (k == 0)
            pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* Signals are for the thread that was there before. */
static rwkv_status start_thread(struct rw_shards *s, rwkv_error *err)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&s->thread, NULL, work, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    s->running = failed == 0;
    return failed ? rw_fail(err, RWKV_ERROR_IO, "cannot start a thread for messages: %s",
                            strerror(failed))
                  : RWKV_OK;
}

void rw_shards_begin(struct rw_shards *s, float *gradients)
{
    pthread_mutex_lock(&s->lock);
    s->gradients = gradients;
    s->final = s->n_buckets;
    s->summed = s->n_buckets;
    pthread_mutex_unlock(&s->lock);
}

void rw_shards_final(struct rw_shards *s, size_t at)
{
    size_t first = (at + s->bucket - 1) / s->bucket;
    pthread_mutex_lock(&s->lock);
    s->final = RW_MIN(s->final, first);
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

void rw_shards_end(struct rw_shards *s)
{
    if (!s->running)
        return;
    rw_shards_final(s, 0);
    pthread_mutex_lock(&s->lock);
    while (s->summed > 0)
        pthread_cond_wait(&s->changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

/* --- life ------------------------------------------------------------------------------------- */

/* The largest share, of every process. */
static size_t scratch_floats(const struct rw_comm *comm, size_t bucket)
{
    size_t most = (bucket / RW_PARAMETER_ALIGN + comm->size - 1) / comm->size * RW_PARAMETER_ALIGN;
    return comm->size == 1 ? 0 : most * comm->size;
}

size_t rw_shards_bytes(const struct rw_parameters *parameters, const struct rw_comm *comm,
                       size_t bucket)
{
    return scratch_floats(comm, bucket_of(parameters, comm, bucket)) * sizeof(float);
}

rwkv_status rw_shards_new(struct rw_shards **out, const struct rw_parameters *parameters,
                          struct rw_comm *comm, size_t bucket, rwkv_error *err)
{
    assert(bucket % RW_PARAMETER_ALIGN == 0);
    rwkv_status status = RWKV_OK;
    struct rw_shards *s = rw_calloc(1, sizeof *s);
    if (!s)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for shares of the parameters");
    s->parameters = parameters;
    s->comm = comm;
    s->bucket = bucket_of(parameters, comm, bucket);
    s->n_buckets = (parameters->floats + s->bucket - 1) / s->bucket;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    s->cut = rw_alloc(comm->size + 1, sizeof *s->cut);
    if (comm->size > 1)
        s->scratch = rw_alloc_aligned(scratch_floats(comm, s->bucket), sizeof *s->scratch);
    if (!s->cut || (comm->size > 1 && !s->scratch))
        RW_GO(rw_fail(err, RWKV_ERROR_MEMORY, "no memory for %zu bytes of messages",
                      rw_shards_bytes(parameters, comm, bucket)));
    if (comm->size > 1)
        RW_GO(start_thread(s, err));
done:
    if (status == RWKV_OK)
        *out = s;
    else
        rw_shards_free(s);
    return status;
}

void rw_shards_free(struct rw_shards *s)
{
    if (!s)
        return;
    if (s->running) {
        pthread_mutex_lock(&s->lock);
        s->stop = true;
        pthread_cond_broadcast(&s->changed);
        pthread_mutex_unlock(&s->lock);
        pthread_join(s->thread, NULL);
    }
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->changed);
    rw_free(s->cut);
    rw_free(s->scratch);
    rw_free(s);
}

/* --- the own share ---------------------------------------------------------------------------- */

/* A piece of a tensor inside the own share. */
struct piece {
    size_t tensor;
    size_t at, packed, count; /* floats */
};

struct walk {
    const struct rw_shards *s;
    size_t bucket, tensor;
};

/* The next piece, in the order of the array; false: there is none. The zeros between tensors belong
 * to none. */
static bool next_piece(struct walk *w, struct piece *piece)
{
    const struct rw_parameters *p = w->s->parameters;
    while (w->bucket < w->s->n_buckets && w->tensor < p->n) {
        const struct rw_parameter *t = &p->list[w->tensor];
        size_t floats, begin = own(w->s, w->bucket, &floats), end = begin + floats;
        size_t first = RW_MAX(begin, t->offset), last = RW_MIN(end, t->offset + t->count);
        *piece = (struct piece){w->tensor, first, packed_at(w->s, w->bucket) + first - begin,
                                last - first};
        if (t->offset + t->count <= end)
            w->tensor++;
        else
            w->bucket++;
        if (first < last)
            return true;
    }
    return false;
}

double rw_shards_squares(const struct rw_shards *s, struct rw_backend *be, const float *array)
{
    struct walk walk = {s, 0, 0};
    struct piece piece;
    double sum = 0;
    while (next_piece(&walk, &piece))
        sum += be->ops->backward->sum_squares(be, array + piece.at, piece.count);
    return sum;
}

size_t rw_shards_not_finite(const struct rw_shards *s, struct rw_backend *be, const float *array)
{
    struct walk walk = {s, 0, 0};
    struct piece piece;
    while (next_piece(&walk, &piece))
        if (!isfinite(be->ops->backward->sum_squares(be, array + piece.at, piece.count)))
            return piece.tensor;
    return s->parameters->n;
}

void rw_shards_update(struct rw_shards *s, struct rw_backend *be,
                      const struct rw_optimizer_arrays *arrays,
                      const struct rw_optimizer_options *options, double rate, double norm,
                      uint64_t update)
{
    struct walk walk = {s, 0, 0};
    struct piece piece;
    while (next_piece(&walk, &piece)) {
        const struct rw_optimizer_arrays part = {arrays->values + piece.at,
                                                 arrays->m + piece.packed, arrays->v + piece.packed,
                                                 arrays->gradients + piece.at};
        rw_optimizer_update(be, &s->parameters->list[piece.tensor], &part, piece.count, options,
                            rate, norm, update);
    }
    rw_shards_spread(s, arrays->values);
}

/* --- whole arrays ----------------------------------------------------------------------------- */

void rw_shards_spread(struct rw_shards *s, float *array)
{
    for (size_t k = 0; k < s->n_buckets; k++)
        rw_comm_spread(s->comm, array, cut_bucket(s, k));
}

void rw_shards_pack(const struct rw_shards *s, float *share, const float *whole)
{
    for (size_t k = 0; k < s->n_buckets; k++) {
        size_t floats, at = own(s, k, &floats);
        memcpy(share + packed_at(s, k), whole + at, floats * sizeof *whole);
    }
}

/* Parcels are sent from where they lie in a bucket: in `scratch`, or in rank 0's array. */
void rw_shards_collect(struct rw_shards *s, float *whole, const float *share)
{
    for (size_t k = 0; k < s->n_buckets; k++) {
        size_t floats, at = own(s, k, &floats), base = k * s->bucket;
        float *bucket = s->comm->rank == 0 ? whole + base : s->scratch;
        const size_t *cut = cut_bucket(s, k);
        for (size_t rank = 0; rank <= s->comm->size; rank++)
            s->cut[rank] -= base;
        memcpy(bucket + at - base, share + packed_at(s, k), floats * sizeof *share);
        rw_comm_collect(s->comm, bucket, cut);
    }
}
