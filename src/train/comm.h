/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A group of processes that train one model together: one alone, or those that mpirun started.
 *
 *     struct rw_comm *comm;
 *     RW_TRY(rw_comm_open(&comm, err));
 *     status = prepare(err);
 *     RW_GO(rw_comm_agree(comm, status, err));        // all go on, or none does
 *     rw_comm_sum(comm, &loss, 1);                    // the same sum, to the bit, in all of them
 *     rw_comm_close(comm);
 *
 * Every function is called by all processes, in one order; one thread of a process calls
 * at a time. Sums are made here, from rank 0 on, and not by the library that carries the numbers:
 * they depend on the number of processes alone.
 *
 * What fails below (a process gone, a network down) ends all processes: there is no status for it.
 */
#ifndef RW_TRAIN_COMM_H
#define RW_TRAIN_COMM_H

#include <stddef.h>

#include "rwkv.h"

struct rw_comm;

/* What goes to one process or comes from it. */
struct rw_comm_parcel {
    void *data;
    size_t bytes; /* below 2³¹; 0: nothing goes */
};

struct rw_comm_ops {
    /* Send out[r] to rank r and receive in[r] from it, for all r but the own one. */
    void (*exchange)(struct rw_comm *comm, const struct rw_comm_parcel *out,
                     const struct rw_comm_parcel *in);
    /* all [size × bytes] gets `mine` of every rank, in their order. */
    void (*gather)(struct rw_comm *comm, const void *mine, void *all, size_t bytes);
    void (*close)(struct rw_comm *comm);
};

struct rw_comm {
    const struct rw_comm_ops *ops;
    const char *name; /* what carries the messages, for people */
    size_t rank, size;
    struct rw_comm_parcel *out, *in; /* [size] each, of the functions below */
    void *room;                      /* [size × RW_COMM_ROOM] as well */
};

#define RW_COMM_ROOM (sizeof(rwkv_error))
#define RW_COMM_MAX_SUM (RW_COMM_ROOM / sizeof(double)) /* numbers in one sum: 63 */

/* Join the group this process was started in. Fails where it was started by mpirun, and there is no
 * MPI in this build or on this machine, or another one. */
rwkv_status rw_comm_open(struct rw_comm **out, rwkv_error *err);
/* Waits for the others. NULL is fine. */
void rw_comm_close(struct rw_comm *comm);

/* values [n] of all, n ≤ RW_COMM_MAX_SUM, added up from rank 0 on. */
void rw_comm_sum(struct rw_comm *comm, double *values, size_t n);
/* The least value of all. */
double rw_comm_least(struct rw_comm *comm, double value);

/* The status of the first rank that has failed, in all of them; the message in rank 0, which is to
 * tell it, and an empty one elsewhere. */
rwkv_status rw_comm_agree(struct rw_comm *comm, rwkv_status status, rwkv_error *err);

/* Arrays of floats that every process has, cut into a share for each: rank r's is array[cut[r]] up
 * to array[cut[r + 1]]. Each share at most 2³¹ bytes. */

/* The own share becomes the sum of all processes' arrays there, from rank 0 on; the rest is left as
 * it is. scratch [size × the own share]. */
void rw_comm_sum_share(struct rw_comm *comm, float *array, const size_t *cut, float *scratch);
/* Every share comes from its owner. */
void rw_comm_spread(struct rw_comm *comm, float *array, const size_t *cut);
/* The same in rank 0 alone; the others' arrays are read only. */
void rw_comm_collect(struct rw_comm *comm, float *array, const size_t *cut);

#endif
