/* SPDX-License-Identifier: Apache-2.0 */
/* `rwkv init`: a new model, to be trained. */
#include <sys/stat.h>

#include "commands.h"
#include "options.h"
#include "rwkv_trainer.h"
#include "say.h"

int rw_cmd_init(int argc, char **argv)
{
    rwkv_init_options init = {.seed = 42};
    bool force = false, quiet = false;
    const struct rw_option options[] = {
        {"layers", 0, RW_OPTION_SIZE, &init.n_layer, 2, 1024},
        {"embd", 0, RW_OPTION_SIZE, &init.n_embd, 1, 65536},
        {"vocab-size", 0, RW_OPTION_SIZE, &init.n_vocab, 1, 1 << 20},
        {"vocab", 0, RW_OPTION_TEXT, &init.vocab},
        {"head-size", 0, RW_OPTION_SIZE, &init.head_size, 2, 512},
        {"ffn", 0, RW_OPTION_SIZE, &init.n_ffn, 1, 1 << 20},
        {"seed", 0, RW_OPTION_U64, &init.seed},
        {"memory-limit", 0, RW_OPTION_BYTES, &init.memory_limit},
        {"threads", 't', RW_OPTION_INT, &init.threads, 1, 256},
        {"force", 0, RW_OPTION_FLAG, &force},
        {"quiet", 'q', RW_OPTION_FLAG, &quiet},
        {0}};
    struct rw_operands operands = {.wanted = "OUT", .min = 1, .max = 1};
    rwkv_error err = {0};
    int status = rw_options_read("init", options, argc, argv, &operands);
    if (status != RW_OPTIONS_READ)
        return status;
    if (!init.n_layer || !init.n_embd || (!init.n_vocab && !init.vocab)) {
        err = (rwkv_error){RWKV_ERROR_ARGUMENT,
                           "wanted --layers, --embd, and --vocab-size or --vocab"};
        return rw_complain_usage("init", &err);
    }
    init.overwrite = force;
    const char *out = operands.list[0];
    if (rwkv_init(out, &init, &err) != RWKV_OK)
        return rw_complain(&err);
    struct stat st;
    if (!quiet && stat(out, &st) == 0)
        rw_note("%s: %s written\n", out, rw_show_bytes((uint64_t)st.st_size).text);
    return RW_EXIT_OK;
}
