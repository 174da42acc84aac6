/* SPDX-License-Identifier: Apache-2.0 */
#include "interrupt.h"

#include <signal.h>
#include <stddef.h>

volatile int rw_interrupted;

static void on_signal(int number)
{
    rw_interrupted = number;
}

/* No SA_RESTART: a read that waits for the user returns. */
static void handle(int number, int flags)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

void rw_interrupt_catch(void)
{
    handle(SIGINT, (int)SA_RESETHAND);
    handle(SIGTERM, (int)SA_RESETHAND);
}

void rw_interrupt_catch_all(void)
{
    handle(SIGINT, 0);
}

void rw_interrupt_end(void)
{
    if (!rw_interrupted)
        return;
    signal(rw_interrupted, SIG_DFL);
    raise(rw_interrupted);
}
