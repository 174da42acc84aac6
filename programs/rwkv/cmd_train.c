/* SPDX-License-Identifier: Apache-2.0 */
/* `rwkv train`: a training run, begun or resumed. */
#include "base/status.h"
#include "commands.h"
#include "interrupt.h"
#include "say.h"
#include "train.h"

static rwkv_status train(struct rw_train *t, rwkv_error *err)
{
    rwkv_trainer *trainer = NULL;
    rwkv_train_plan plan;
    rwkv_status status;
    RW_GO(rw_train_render(t, err));
    t->options.settings = t->settings.data;
    t->options.cancel = &rw_interrupted;
    RW_GO(rwkv_trainer_open(&t->options, &trainer, err));
    rwkv_trainer_get_plan(trainer, &plan);
    bool first = plan.rank == 0; /* of several processes one speaks for all */
    if (first && !t->quiet)
        rw_train_show_plan(t, &plan);
    if (t->plan)
        goto done;
    status = first ? rw_train_keep(t, err) : RWKV_OK;
    RW_GO(rwkv_trainer_agree(trainer, status, err));
    rw_interrupt_catch();
    status = rwkv_trainer_run(trainer, rw_train_show_event, t, err);
    rw_show_status("");
    if (first && status == RWKV_OK && !rwkv_trainer_finished(trainer) && !t->quiet)
        rw_note("rwkv: stopped and saved; go on with: rwkv train --resume %s\n", t->options.folder);
done:
    rwkv_trainer_close(trainer);
    return status;
}

int rw_cmd_train(int argc, char **argv)
{
    struct rw_train t;
    rwkv_error err = {0};
    rw_train_init(&t);
    int status = rw_train_read(&t, argc, argv);
    if (status == RW_OPTIONS_READ && !t.options.data) {
        rw_fail(&err, RWKV_ERROR_ARGUMENT, "wanted --data");
        status = rw_complain_usage("train", &err);
    } else if (status == RW_OPTIONS_READ) {
        status = train(&t, &err) == RWKV_OK ? RW_EXIT_OK : rw_complain(&err);
    }
    rw_train_fini(&t);
    return status;
}
