/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replays files through a fuzz target, so that every fuzz target is also an ordinary test.
 *
 *     replay_NAME PATH…      a file, or a folder of which every regular file is replayed
 *     replay_NAME --suffix .gguf PATH…     from folders only the files of that ending
 *     replay_NAME --optional PATH          as PATH, but may be absent
 *
 * Each input is in a heap block of its exact size, where AddressSanitizer sees one byte too many
 * read.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t replayed;

static int replay_file(const char *path, size_t size)
{
    uint8_t *data = malloc(size ? size : 1);
    FILE *file = fopen(path, "rb");
    int ok = data && file && fread(data, 1, size, file) == size;

    if (ok) {
        LLVMFuzzerTestOneInput(data, size);
        replayed++;
    } else {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
    }
    if (file)
        fclose(file);
    free(data);
    return ok;
}

static int ends_with(const char *name, const char *suffix)
{
    size_t n = strlen(name), s = strlen(suffix);

    return n >= s && strcmp(name + n - s, suffix) == 0;
}

static int replay_folder(const char *path, const char *suffix)
{
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort);
    int ok = count >= 0;

    if (!ok)
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
    for (int i = 0; i < count; i++) {
        char file[4096];
        struct stat st;

        snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);
        if (ends_with(file, suffix) && stat(file, &st) == 0 && S_ISREG(st.st_mode))
            ok = replay_file(file, (size_t)st.st_size) && ok;
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return ok;
}

static int replay_path(const char *path, const char *suffix, int optional)
{
    struct stat st;

    if (stat(path, &st) != 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return optional;
    }
    if (S_ISDIR(st.st_mode))
        return replay_folder(path, suffix);
    return replay_file(path, (size_t)st.st_size);
}

int main(int argc, char **argv)
{
    const char *suffix = "";
    int optional = 0, ok = 1;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--suffix") == 0 && i + 1 < argc) {
            suffix = argv[++i];
        } else if (strcmp(argv[i], "--optional") == 0) {
            optional = 1;
        } else {
            ok = replay_path(argv[i], suffix, optional) && ok;
            optional = 0;
        }
    }
    printf("%zu inputs replayed\n", replayed);
    if (ok && replayed == 0) {
        fprintf(stderr, "no input to replay\n");
        ok = 0;
    }
    return ok ? 0 : 1;
}
