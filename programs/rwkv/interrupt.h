/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ctrl-C and its like. After rw_interrupt_catch() the first SIGINT or SIGTERM only sets a flag, so
 * that a command can finish tidily; a second one ends the program at once. main() then ends the
 * program by the signal it got, so that a shell sees what happened.
 */
#ifndef RW_PROGRAM_INTERRUPT_H
#define RW_PROGRAM_INTERRUPT_H

#include <stdbool.h>

/* The signal that came, 0 if none. Also the cancel flag of rwkv_generate. */
extern volatile int rw_interrupted;

void rw_interrupt_catch(void);

/* For conversations: every SIGINT only sets the flag, SIGTERM is left alone. */
void rw_interrupt_catch_all(void);

/* End the program by the signal, if one came. */
void rw_interrupt_end(void);

#endif
