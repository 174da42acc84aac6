/* SPDX-License-Identifier: Apache-2.0 */
#include "golden/golden.h"

#include <dirent.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cpu.h"

static void print_line(const char *verdict, const char *what, const char *fmt, va_list args)
{
    printf("%-4s  %-42s ", verdict, what);
    vprintf(fmt, args);
    printf("\n");
    fflush(stdout);
}

void golden_result(struct golden *g, bool ok, const char *what, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    print_line(ok ? "ok" : "FAIL", what, fmt, args);
    va_end(args);
    if (ok)
        g->passed++;
    else
        g->failed++;
}

void golden_skip(struct golden *g, const char *what, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    print_line("skip", what, fmt, args);
    va_end(args);
    g->skipped++;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

char **golden_names(const char *folder, const char *suffix, size_t *n)
{
    DIR *d = opendir(folder);
    char **names = NULL;
    *n = 0;
    for (struct dirent *e; d && (e = readdir(d));) {
        size_t length = strlen(e->d_name), end = strlen(suffix);
        if (e->d_name[0] == '.' || length < end || strcmp(e->d_name + length - end, suffix) != 0)
            continue;
        names = realloc(names, (*n + 1) * sizeof *names);
        if (!names)
            abort();
        names[(*n)++] = strdup(e->d_name);
    }
    if (d)
        closedir(d);
    if (names)
        qsort(names, *n, sizeof *names, compare);
    return names;
}

void golden_free_names(char **names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    free(names);
}

float *golden_floats(rwkv_file *file, const char *name, size_t *n)
{
    rwkv_tensor_info info;
    size_t i = rwkv_file_find(file, name);
    if (i == SIZE_MAX)
        return NULL;
    rwkv_file_tensor(file, i, &info);
    float *values = malloc(info.n_elements * sizeof *values + 1);
    if (!values || rwkv_file_read_f32(file, i, values, NULL) != RWKV_OK)
        abort();
    *n = info.n_elements;
    return values;
}

int *golden_ints(rwkv_file *file, const char *name, size_t *n)
{
    float *values = golden_floats(file, name, n);
    int *ints = values ? malloc(*n * sizeof *ints + 1) : NULL;
    for (size_t i = 0; ints && i < *n; i++)
        ints[i] = (int)values[i];
    free(values);
    return ints;
}

double golden_deviation(const float *values, size_t n)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++)
        sum += values[i];
    for (size_t i = 0; i < n; i++)
        squares += (values[i] - sum / (double)n) * (values[i] - sum / (double)n);
    return sqrt(squares / (double)n);
}

double golden_largest(const float *a, const float *b, size_t n)
{
    double largest = 0;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - (double)b[i]);
        if (!(d <= largest))
            largest = d; /* NaN too */
    }
    return largest;
}

double golden_rms(const float *a, const float *b, size_t n)
{
    double squares = 0;
    for (size_t i = 0; i < n; i++)
        squares += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sqrt(squares / (double)n);
}

const char *const *golden_isas(void)
{
    static const char *const all[] = {"avx512bf16", "avx512vnni",   "avx512", "avxvnni", "avx2",
                                      "neon-i8mm",  "neon-dotprod", "neon",   "ref"};
    static const char *have[sizeof all / sizeof *all + 1];
    size_t n = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        int ok;
        rw_cpu_from_name(all[i], &ok);
        if (ok)
            have[n++] = all[i];
    }
    have[n] = NULL;
    return have;
}

static void run_folder(struct golden *g, const char *folder)
{
    golden_models(g, folder);
    golden_gradients(g, folder);
    golden_files(g, folder);
    golden_tokenizer(g, folder);
    golden_rows(g, folder);
    golden_training(g, folder);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: golden VECTORS\n");
        return 2;
    }
    struct stat st;
    if (stat(argv[1], &st) != 0) {
        printf("%s: not there; nothing to check\n", argv[1]);
        return 77;
    }
    char temporary[] = "/tmp/rwkv-golden-XXXXXX", data[4096], path[4096];
    if (!mkdtemp(temporary)) {
        perror(temporary);
        return 1;
    }
    snprintf(data, sizeof data, "%s/../data", argv[1]);
    struct golden g = {.shared_data = data, .temporary = temporary};
    run_folder(&g, argv[1]);
    size_t n;
    char **names = golden_names(argv[1], "", &n);
    for (size_t i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/%s", argv[1], names[i]);
        if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
            printf("\n%s\n", path);
            run_folder(&g, path);
        }
    }
    golden_free_names(names, n);
    rmdir(temporary);
    printf("\ngolden: %zu passed, %zu failed, %zu skipped\n", g.passed, g.failed, g.skipped);
    if (g.passed + g.failed == 0)
        return 77;
    return g.failed ? 1 : 0;
}
