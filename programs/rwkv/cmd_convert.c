/* SPDX-License-Identifier: Apache-2.0 */
/* `rwkv convert`: a model from one container to another. */
#include <sys/stat.h>

#include "base/status.h"
#include "commands.h"
#include "interrupt.h"
#include "options.h"
#include "progress.h"
#include "rwkv.h"
#include "rwkv_file.h"
#include "say.h"

struct convert {
    const char *type, *vocab;
    int naming;
    bool force, quiet;
};

static const char *const namings[] = {"auto", "blinkdl", "hf", NULL};

static rwkv_status parse_type(void *to, const char *value, rwkv_error *err)
{
    rwkv_dtype dtype = rwkv_dtype_from_name(value);
    if (dtype != RWKV_DTYPE_F32 && dtype != RWKV_DTYPE_F16 && dtype != RWKV_DTYPE_BF16)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "wanted f32, f16 or bf16, found '%s'", value);
    *(const char **)to = value;
    return RWKV_OK;
}

static rwkv_status convert(const struct convert *args, const char *in, const char *out,
                           rwkv_error *err)
{
    struct rw_progress progress;
    rw_progress_begin(&progress, "converting", RW_PROGRESS_BYTES, args->quiet);
    rwkv_convert_options options = {
        .has_dtype = args->type != NULL,
        .dtype = args->type ? rwkv_dtype_from_name(args->type) : RWKV_DTYPE_F32,
        .naming = (rwkv_naming)args->naming,
        .vocab = args->vocab,
        .overwrite = args->force,
        .progress = rw_progress_step,
        .progress_user = &progress,
    };
    rwkv_status status = rwkv_convert(in, out, &options, err);
    rw_progress_end(&progress);
    struct stat st;
    if (status == RWKV_OK && !args->quiet && stat(out, &st) == 0)
        rw_note("%s: %s written\n", out, rw_show_bytes((uint64_t)st.st_size).text);
    return status;
}

int rw_cmd_convert(int argc, char **argv)
{
    struct convert args = {.naming = RWKV_NAMING_AUTO};
    const struct rw_option options[] = {
        {"type", 0, RW_OPTION_CALL, &args.type, .parse = parse_type},
        {"naming", 0, RW_OPTION_CHOICE, &args.naming, .choices = namings},
        {"vocab", 0, RW_OPTION_TEXT, &args.vocab},
        {"force", 0, RW_OPTION_FLAG, &args.force},
        {"quiet", 'q', RW_OPTION_FLAG, &args.quiet},
        {0}};
    struct rw_operands operands = {.wanted = "IN OUT", .min = 2, .max = 2};
    int status = rw_options_read("convert", options, argc, argv, &operands);
    if (status != RW_OPTIONS_READ)
        return status;
    rwkv_error err = {0};
    rw_interrupt_catch();
    return convert(&args, operands.list[0], operands.list[1], &err) ? rw_complain(&err)
                                                                    : RW_EXIT_OK;
}
