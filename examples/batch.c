/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Continue several texts at once, the program in rwkv_batch.h:
 *
 *     cc batch.c -o batch $(pkg-config --cflags --libs rwkv)
 *     ./batch MODEL "Once upon a time" "The moon is"
 */
#include <stdio.h>
#include <string.h>
#include <rwkv_batch.h>

static void show(const rwkv_batch_event *event)
{
    if (event->text_size)
        printf("%s: %.*s\n", (const char *)event->user, (int)event->text_size, event->text);
    if (event->kind == RWKV_BATCH_FINISHED && event->error)
        printf("%s: %s\n", (const char *)event->user, event->error->message);
}

int main(int argc, char **argv)
{
    rwkv_error err = {RWKV_OK, ""};
    rwkv_model *model = NULL;
    rwkv_batch *batch = NULL;
    rwkv_batch_event event;
    rwkv_generate_options options = {.max_tokens = 16, .sampler = {.greedy = 1}};
    if (argc > 1 && rwkv_model_open(argv[1], NULL, &model, &err) == RWKV_OK)
        rwkv_batch_new(model, NULL, &batch, &err);
    for (int i = 2; i < argc && !err.code; i++) {
        rwkv_batch_request request = {.prompt = argv[i], .prompt_size = strlen(argv[i])};
        request.options = &options;
        request.user = argv[i];
        rwkv_batch_add(batch, &request, NULL, &err);
    }
    while (!err.code && batch && rwkv_batch_count(batch) > 0) {
        rwkv_batch_step(batch, NULL, &err);
        while (rwkv_batch_next(batch, &event))
            show(&event);
    }
    rwkv_batch_free(batch);
    rwkv_model_close(model);
    if (err.code)
        fprintf(stderr, "%s\n", err.message);
    return err.code ? 1 : 0;
}
