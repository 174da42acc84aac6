/* SPDX-License-Identifier: Apache-2.0 */
/* In the place of comm_mpi.c in builds without MPI. */
#include "base/status.h"
#include "train/comm_int.h"

rwkv_status rw_comm_mpi(struct rw_comm **out, size_t processes, rwkv_error *err)
{
    (void)out;
    return rw_fail(err, RWKV_ERROR_UNSUPPORTED,
                   "%zu processes were started together, but this build has no MPI: build it where "
                   "Open MPI's headers are (Debian: libopenmpi-dev), or start one process",
                   processes);
}
