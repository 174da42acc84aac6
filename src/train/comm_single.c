/* SPDX-License-Identifier: Apache-2.0 */
/* A group of one: nobody to talk to. */
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "train/comm_int.h"

static void exchange(struct rw_comm *comm, const struct rw_comm_parcel *out,
                     const struct rw_comm_parcel *in)
{
    (void)comm, (void)out, (void)in;
}

static void gather(struct rw_comm *comm, const void *mine, void *all, size_t bytes)
{
    memcpy(all, mine, bytes);
}

static void close_single(struct rw_comm *comm)
{
    rw_comm_fini(comm);
    rw_free(comm);
}

static const struct rw_comm_ops ops = {exchange, gather, close_single};

rwkv_status rw_comm_single(struct rw_comm **out, rwkv_error *err)
{
    struct rw_comm *comm = rw_alloc(1, sizeof *comm);
    if (!comm)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a group of processes");
    rwkv_status status = rw_comm_init(comm, &ops, "one process", 0, 1, err);
    if (status == RWKV_OK)
        *out = comm;
    else
        rw_free(comm);
    return status;
}
