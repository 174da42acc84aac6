/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A group under Open MPI. The library is not linked but opened when a group is: so the same program
 * runs on machines that have none, and nothing of it is loaded by those who do not train.
 *
 * Open MPI moves data only while somebody is inside one of its functions. We start messages and
 * look again and again whether they have arrived, sleeping in between, so that waiting leaves the
 * processors to those who compute: this process' own threads while gradients are exchanged, or
 * others on a shared machine.
 */
#include <assert.h>
#include <dlfcn.h>
#include <limits.h>
#include <mpi.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/status.h"
#include "train/comm_int.h"

#define LIBRARY "libmpi.so.40" /* of Open MPI 2 to 5 */
#define TAG 7

/* clang-format off */
#define FUNCTIONS(X) \
    X(Comm_rank) X(Comm_size) X(Finalize) X(Iallgather) X(Init_thread) X(Initialized) \
    X(Irecv) X(Isend) X(Testall)
/* clang-format on */

#define POINTER(name) __typeof__(MPI_##name) *name;

struct library {
    FUNCTIONS(POINTER)
    MPI_Comm world;
    MPI_Datatype byte;
};

struct comm_mpi {
    struct rw_comm comm;
    struct library mpi;
    MPI_Request *requests; /* [2 × size] */
};

static struct comm_mpi *mpi_of(struct rw_comm *comm)
{
    return (struct comm_mpi *)comm;
}

/* --- the library ------------------------------------------------------------------------------ */

#define NAME(name) {"MPI_" #name, offsetof(struct library, name)},

/* Functions, and the objects behind MPI_COMM_WORLD and MPI_BYTE. */
static const struct {
    const char *name;
    size_t offset;
} symbols[] = {FUNCTIONS(NAME){"ompi_mpi_comm_world", offsetof(struct library, world)},
               {"ompi_mpi_byte", offsetof(struct library, byte)}};

/* It stays open: threads and handlers of its own may outlive the group. Its components look for its
 * symbols in the global scope. */
static rwkv_status load(struct library *mpi, rwkv_error *err)
{
    void *handle = dlopen(LIBRARY, RTLD_NOW | RTLD_GLOBAL);
    if (!handle)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED,
                       "several processes were started together: wanted Open MPI, found none: %s",
                       dlerror());
    for (size_t i = 0; i < RW_COUNT(symbols); i++) {
        void *symbol = dlsym(handle, symbols[i].name);
        if (!symbol)
            return rw_fail(err, RWKV_ERROR_UNSUPPORTED, "%s: wanted Open MPI, found no %s", LIBRARY,
                           symbols[i].name);
        memcpy((char *)mpi + symbols[i].offset, &symbol, sizeof symbol);
    }
    return RWKV_OK;
}

/* --- messages --------------------------------------------------------------------------------- */

/* Errors end all processes: that is MPI's default, which we leave. */
static void finish(struct comm_mpi *c, MPI_Request *requests, size_t n)
{
    struct timespec pause = {0, 1000};
    for (int done = 0;;) {
        c->mpi.Testall((int)n, requests, &done, MPI_STATUSES_IGNORE);
        if (done)
            return;
        nanosleep(&pause, NULL);
        pause.tv_nsec = RW_MIN(pause.tv_nsec * 2, 100000L);
    }
}

static void exchange(struct rw_comm *comm, const struct rw_comm_parcel *out,
                     const struct rw_comm_parcel *in)
{
    struct comm_mpi *c = mpi_of(comm);
    size_t n = 0;
    /* Each begins with its neighbour, so that not all send to one at a time. */
    for (size_t i = 1; i < comm->size; i++) {
        size_t from = (comm->rank + comm->size - i) % comm->size;
        assert(in[from].bytes <= INT_MAX);
        if (in[from].bytes)
            c->mpi.Irecv(in[from].data, (int)in[from].bytes, c->mpi.byte, (int)from, TAG,
                         c->mpi.world, &c->requests[n++]);
    }
    for (size_t i = 1; i < comm->size; i++) {
        size_t to = (comm->rank + i) % comm->size;
        assert(out[to].bytes <= INT_MAX);
        if (out[to].bytes)
            c->mpi.Isend(out[to].data, (int)out[to].bytes, c->mpi.byte, (int)to, TAG, c->mpi.world,
                         &c->requests[n++]);
    }
    finish(c, c->requests, n);
}

static void gather(struct rw_comm *comm, const void *mine, void *all, size_t bytes)
{
    struct comm_mpi *c = mpi_of(comm);
    MPI_Request request;
    c->mpi.Iallgather(mine, (int)bytes, c->mpi.byte, all, (int)bytes, c->mpi.byte, c->mpi.world,
                      &request);
    finish(c, &request, 1);
}

/* --- the group -------------------------------------------------------------------------------- */

static void free_group(struct comm_mpi *c)
{
    rw_comm_fini(&c->comm);
    rw_free(c->requests);
    rw_free(c);
}

static void close_group(struct rw_comm *comm)
{
    struct comm_mpi *c = mpi_of(comm);
    c->mpi.Finalize();
    free_group(c);
}

static const struct rw_comm_ops ops = {exchange, gather, close_group};

static rwkv_status start(const struct library *mpi, rwkv_error *err)
{
    int begun = 0, level = MPI_THREAD_SINGLE;
    mpi->Initialized(&begun);
    if (begun)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED,
                       "a process can train in a group of processes only once");
    mpi->Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &level);
    if (level < MPI_THREAD_SERIALIZED)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED,
                       "wanted an Open MPI that different threads may call, found one without");
    return RWKV_OK;
}

static rwkv_status join(struct comm_mpi *c, size_t processes, rwkv_error *err)
{
    int rank, size;
    c->mpi.Comm_rank(c->mpi.world, &rank);
    c->mpi.Comm_size(c->mpi.world, &size);
    if ((size_t)size != processes)
        return rw_fail(
            err, RWKV_ERROR_UNSUPPORTED,
            "%zu processes were started together, but Open MPI found %d: start them with "
            "Open MPI's own mpirun",
            processes, size);
    RW_TRY(rw_comm_init(&c->comm, &ops, "Open MPI", (size_t)rank, processes, err));
    c->requests = rw_alloc(2 * processes, sizeof(MPI_Request));
    if (!c->requests)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a group of %zu processes", processes);
    return RWKV_OK;
}

/* A process that fails here ends without leaving the group, and mpirun ends the others. */
rwkv_status rw_comm_mpi(struct rw_comm **out, size_t processes, rwkv_error *err)
{
    rwkv_status status;
    struct comm_mpi *c = rw_calloc(1, sizeof *c);
    if (!c)
        return rw_fail(err, RWKV_ERROR_MEMORY, "no memory for a group of processes");
    RW_GO(load(&c->mpi, err));
    RW_GO(start(&c->mpi, err));
    RW_GO(join(c, processes, err));
done:
    if (status == RWKV_OK)
        *out = &c->comm;
    else
        free_group(c);
    return status;
}
