/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all groups have in common: everything that computes. Numbers cross the wire as they are and
 * are added in the order of ranks, whichever came first.
 */
#include "train/comm.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "base/env.h"
#include "base/status.h"
#include "train/comm_int.h"

rwkv_status rw_comm_init(struct rw_comm *comm, const struct rw_comm_ops *ops, const char *name,
                         size_t rank, size_t size, rwkv_error *err)
{
    *comm = (struct rw_comm){.ops = ops, .name = name, .rank = rank, .size = size};
    comm->out = rw_calloc(size, sizeof *comm->out);
    comm->in = rw_calloc(size, sizeof *comm->in);
    comm->room = rw_calloc(size, RW_COMM_ROOM);
    if (comm->out && comm->in && comm->room)
        return RWKV_OK;
    rw_comm_fini(comm);
    return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a group of %zu processes", size);
}

void rw_comm_fini(struct rw_comm *comm)
{
    rw_free(comm->out);
    rw_free(comm->in);
    rw_free(comm->room);
}

rwkv_status rw_comm_open(struct rw_comm **out, rwkv_error *err)
{
    size_t processes = rw_env_processes();
    return processes > 1 ? rw_comm_mpi(out, processes, err) : rw_comm_single(out, err);
}

void rw_comm_close(struct rw_comm *comm)
{
    if (comm)
        comm->ops->close(comm);
}

/* --- a few numbers ---------------------------------------------------------------------------- */

void rw_comm_sum(struct rw_comm *comm, double *values, size_t n)
{
    const double *all = comm->room;
    assert(n <= RW_COMM_MAX_SUM);
    comm->ops->gather(comm, values, comm->room, n * sizeof *values);
    memcpy(values, all, n * sizeof *values);
    for (size_t rank = 1; rank < comm->size; rank++)
        for (size_t i = 0; i < n; i++)
            values[i] += all[rank * n + i];
}

double rw_comm_least(struct rw_comm *comm, double value)
{
    const double *all = comm->room;
    comm->ops->gather(comm, &value, comm->room, sizeof value);
    for (size_t rank = 0; rank < comm->size; rank++)
        value = RW_MIN(value, all[rank]);
    return value;
}

rwkv_status rw_comm_agree(struct rw_comm *comm, rwkv_status status, rwkv_error *err)
{
    const rwkv_error *all = comm->room;
    rwkv_error mine = {0};
    if (status != RWKV_OK && err)
        mine = *err;
    mine.code = status;
    comm->ops->gather(comm, &mine, comm->room, sizeof mine);
    for (size_t rank = 0; rank < comm->size; rank++) {
        status = all[rank].code;
        if (status == RWKV_OK)
            continue;
        if (err)
            *err = all[rank];
        if (rank > 0)
            rw_fail_within(err, status, "process of rank %zu", rank);
        if (err && comm->rank > 0)
            err->message[0] = 0;
        return status;
    }
    return RWKV_OK;
}

/* --- arrays in shares ------------------------------------------------------------------------- */

static struct rw_comm_parcel share(float *array, const size_t *cut, size_t rank)
{
    return (struct rw_comm_parcel){array + cut[rank], (cut[rank + 1] - cut[rank]) * sizeof *array};
}

/* What this process has of its own share goes between those of the ranks below and above. */
static void add_in_order(float *sum, const float *others, size_t n, size_t rank, size_t size)
{
    for (size_t i = 0; i < n; i++) {
        float mine = sum[i], total = rank == 0 ? mine : others[i];
        for (size_t r = 1; r < size; r++)
            total += r == rank ? mine : others[r * n + i];
        sum[i] = total;
    }
}

void rw_comm_sum_share(struct rw_comm *comm, float *array, const size_t *cut, float *scratch)
{
    size_t n = cut[comm->rank + 1] - cut[comm->rank];
    for (size_t rank = 0; rank < comm->size; rank++) {
        comm->out[rank] = share(array, cut, rank);
        comm->in[rank] = (struct rw_comm_parcel){scratch + rank * n, n * sizeof *scratch};
    }
    comm->ops->exchange(comm, comm->out, comm->in);
    add_in_order(array + cut[comm->rank], scratch, n, comm->rank, comm->size);
}

void rw_comm_spread(struct rw_comm *comm, float *array, const size_t *cut)
{
    for (size_t rank = 0; rank < comm->size; rank++) {
        comm->out[rank] = share(array, cut, comm->rank);
        comm->in[rank] = share(array, cut, rank);
    }
    comm->ops->exchange(comm, comm->out, comm->in);
}

void rw_comm_collect(struct rw_comm *comm, float *array, const size_t *cut)
{
    memset(comm->out, 0, comm->size * sizeof *comm->out);
    memset(comm->in, 0, comm->size * sizeof *comm->in);
    if (comm->rank > 0)
        comm->out[0] = share(array, cut, comm->rank);
    for (size_t rank = 1; comm->rank == 0 && rank < comm->size; rank++)
        comm->in[rank] = share(array, cut, rank);
    comm->ops->exchange(comm, comm->out, comm->in);
}
