/* SPDX-License-Identifier: Apache-2.0 */
/* Kinds of groups, for comm.c. */
#ifndef RW_TRAIN_COMM_INT_H
#define RW_TRAIN_COMM_INT_H

#include "train/comm.h"

/* A group of this process alone. */
rwkv_status rw_comm_single(struct rw_comm **out, rwkv_error *err);
/* The group of `processes` that mpirun started. */
rwkv_status rw_comm_mpi(struct rw_comm **out, size_t processes, rwkv_error *err);

/* Give the group its lists of parcels; `name` is borrowed. */
rwkv_status rw_comm_init(struct rw_comm *comm, const struct rw_comm_ops *ops, const char *name,
                         size_t rank, size_t size, rwkv_error *err);
void rw_comm_fini(struct rw_comm *comm);

#endif
