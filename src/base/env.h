/* SPDX-License-Identifier: Apache-2.0 */
/* The one module that looks at the environment and at the machine's clock and memory. */
#ifndef RW_BASE_ENV_H
#define RW_BASE_ENV_H

#include <stddef.h>
#include <stdint.h>

/* The user's data folder for rwkv, "$XDG_DATA_HOME/rwkv" or "$HOME/.local/share/rwkv", to be freed
 * with rw_free; NULL if neither variable is set. */
char *rw_env_data_dir(void);
/* The variable that stands for an option: "RWKV_SERVE_MAX_QUEUE" for "RWKV_SERVE_" and "max-queue",
 * which is written to `name` [size]. Borrowed; NULL if it is not set. */
const char *rw_env_setting(const char *prefix, const char *option, char *name, size_t size);
const char *rw_env_temp_dir(void); /* where short-lived files go: $TMPDIR, or "/tmp"; borrowed */
double rw_env_seconds(void);       /* a monotonic clock */
double rw_env_time(void);          /* the clock on the wall: seconds since 1970 UTC */
uint64_t rw_env_memory_available(void); /* bytes that can be had without swapping; the least of the
                                           system's and the control group's word; 0: unknown */
uint64_t rw_env_memory_peak(void);      /* peak resident bytes of this process … */
void rw_env_memory_peak_reset(void);    /* … since then, where the system can */
size_t rw_env_processes(void); /* that mpirun, or a queue's launcher, started together; 1: alone */
size_t rw_env_processes_here(void); /* those of them on this machine, as far as it is known */

#endif
