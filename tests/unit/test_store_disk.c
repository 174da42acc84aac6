/* SPDX-License-Identifier: Apache-2.0 */
/* A store's folder: damaged and foreign files, several processes, kills, disks that refuse. */
#include "unit.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "stores.h"

enum { N = 10 };

struct fixture {
    rwkv_store_options options;
    rwkv_store *store;
    rwkv_model *model;
    rwkv_session *a, *b;
    int32_t tokens[N];
    char folder[64];
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->options.folder = folder_new(f->folder);
    f->model = open_model(SMALL_F32, MODEL_OPTIONS);
    f->a = new_session(f->model);
    f->b = new_session(f->model);
    f->store = store_open(&f->options);
    tokens_of(1, f->tokens, N);
    go_to(f->a, f->tokens, N);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    rwkv_store_close(f->store);
    folder_remove(f->folder);
    rwkv_session_free(f->a);
    rwkv_session_free(f->b);
    rwkv_model_close(f->model);
    free(f);
    return 0;
}

static void reopen(struct fixture *f)
{
    rwkv_store_close(f->store);
    f->store = store_open(&f->options);
}

/* Remember and save the session's state in the folder, and nothing else. */
static void store_both(struct fixture *f)
{
    rwkv_error err = {0};
    put(f->store, f->a, &alice, f->tokens, N);
    if (rwkv_store_save(f->store, f->a, &alice, "kept", NULL, &err) != RWKV_OK)
        fail_msg("%s", err.message);
    reopen(f);
}

static void files_of(const struct fixture *f, const char *command)
{
    char line[1024];
    snprintf(line, sizeof line, "cd %s && %s", f->folder, command);
    assert_int_equal(system(line), 0);
}

/* Neither is there any more, which was noticed twice, and nothing else has suffered. */
static void assert_forgotten(struct fixture *f)
{
    rwkv_error err = {0};
    rwkv_session_reset(f->b);
    assert_int_equal(find(f->store, f->b, &alice, f->tokens, N), 0);
    assert_int_equal(rwkv_store_load(f->store, f->b, &alice, "kept", &err), RWKV_ERROR_FORMAT);
    assert_int_equal(err.code, RWKV_ERROR_FORMAT);
    assert_non_null(strstr(err.message, "'kept'"));
    assert_int_equal(rwkv_session_position(f->b), 0);
    rwkv_store_stats s = stats_of(f->store);
    assert_int_equal(s.damaged, 2);
    assert_int_not_equal(s.message[0], 0);
    assert_int_equal(s.disk_entries + s.named, 0);
    assert_int_equal(rwkv_store_load(f->store, f->b, &alice, "kept", &err), RWKV_ERROR_NOT_FOUND);
    assert_int_equal(stats_of(f->store).damaged, 2);
    store_both(f);
    assert_int_equal(find(f->store, f->b, &alice, f->tokens, N), N);
    assert_int_equal(rwkv_store_load(f->store, f->b, &alice, "kept", &err), RWKV_OK);
    assert_same_session(f->a, f->b);
}

/* --- damage ----------------------------------------------------------------------------------- */

static long flip_at; /* from the end of the file if negative */

static void flip(const char *path)
{
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    fseek(file, flip_at, flip_at < 0 ? SEEK_END : SEEK_SET);
    int c = fgetc(file);
    fseek(file, flip_at, flip_at < 0 ? SEEK_END : SEEK_SET);
    fputc(c ^ 4, file);
    fclose(file);
}

/* A bit anywhere: magic, version, model, owner, tokens, the state, checksums. */
static void damaged_files(void **state)
{
    static const long places[] = {0, 8, 13, 20, 50, 80, 88, 97, 140, 2000, -3};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        store_both(f);
        flip_at = places[i];
        assert_int_equal(folder_files(f->folder, ".state", flip), 2);
        assert_forgotten(f);
        reopen(f); /* what is counted begins at 0 */
    }
    assert_int_equal(folder_files(f->folder, ".damaged", NULL), sizeof places / sizeof places[0]);
}

static void shortened_files(void **state)
{
    struct fixture *f = *state;
    static const char *const how[] = {
        "for i in *.state; do : >$i; done",
        "for i in *.state; do head -c 50 $i >x && mv x $i; done",
        "for i in *.state; do head -c 4000 $i >x && mv x $i; done",
        "for i in *.state; do echo more >>$i; done",
        "rm *.state",
        "for i in *.state; do rm $i && mkfifo $i; done",
        "for i in *.state; do mv $i x && ln -s x $i; done",
    };
    for (size_t i = 0; i < sizeof how / sizeof how[0]; i++) {
        store_both(f);
        files_of(f, how[i]);
        assert_forgotten(f);
        reopen(f);
    }
}

/* Whole files in each other's places: of another owner, of other tokens, of another kind. */
static void swapped_files(void **state)
{
    struct fixture *f = *state;
    int32_t others[N];
    rwkv_error err = {0};
    tokens_of(2, others, N);
    put(f->store, f->a, &alice, f->tokens, N);
    put(f->store, f->a, &bob, f->tokens, N);
    learn(f->store, f->b, &alice, others, N);
    rwkv_store_save(f->store, f->b, &alice, "kept", NULL, NULL);
    rwkv_store_save(f->store, f->a, &bob, "kept", NULL, NULL);
    reopen(f);
    files_of(f, "set -- *.state && mv $1 x && mv $2 $1 && mv $3 $2 && mv $4 $3 && mv $5 $4 && "
                "mv x $5");
    size_t wrong = 0;
    const rwkv_owner *owners[] = {&alice, &bob};
    for (size_t i = 0; i < 2; i++) {
        go_to(f->a, f->tokens, N);
        if (find(f->store, f->b, owners[i], f->tokens, N))
            assert_same_session(f->a, f->b);
        else
            wrong++;
        /* A file says whose it is, not under which name: each has one named state here. */
        wrong += rwkv_store_load(f->store, f->b, owners[i], "kept", &err) != RWKV_OK;
    }
    wrong += find(f->store, f->b, &alice, others, N) == 0;
    assert_int_equal(wrong, 5);
    assert_int_equal(stats_of(f->store).damaged, 5);
}

/* A shorter one is found where a longer one is damaged. */
static void next_best(void **state)
{
    struct fixture *f = *state;
    learn(f->store, f->a, &alice, f->tokens, 4);
    flush(f->store);
    flip_at = 3000;
    learn(f->store, f->b, &alice, f->tokens, N);
    files_of(f, "mkdir aside && mv *.state aside");
    flush(f->store);
    folder_files(f->folder, ".state", flip);
    files_of(f, "mv aside/* . && rmdir aside");
    reopen(f);
    assert_int_equal(find(f->store, f->b, &alice, f->tokens, N), 4);
    assert_same_session(f->a, f->b);
    assert_int_equal(stats_of(f->store).damaged, 1);
}

/* An index that is not ours, or damaged, is refused and left as it is. */
static void damaged_index(void **state)
{
    struct fixture *f = *state;
    static const char *const how[] = {
        "echo 'not a database, but long enough to look at' >index.sqlite",
        "sqlite3 index.sqlite 'PRAGMA application_id = 7; CREATE TABLE x(y)'",
        "sqlite3 index.sqlite 'PRAGMA user_version = 99'",
        "head -c 5000 index.sqlite >x && mv x index.sqlite",
        "mv index.sqlite x && ln -s x index.sqlite",
        "rm index.sqlite && mkdir index.sqlite",
    };
    rwkv_store *store = NULL;
    rwkv_error err = {0};
    if (system("sqlite3 --version >/dev/null 2>&1") != 0)
        skip();
    store_both(f);
    rwkv_store_close(f->store);
    files_of(f, "mkdir safe && cp index.sqlite *.state safe");
    for (size_t i = 0; i < sizeof how / sizeof how[0]; i++) {
        files_of(f, how[i]);
        assert_int_not_equal(rwkv_store_open(&f->options, &store, &err), RWKV_OK);
        assert_non_null(strstr(err.message, "index.sqlite"));
        assert_int_equal(folder_files(f->folder, ".state", NULL), 2);
        files_of(f, "rm -rf index.sqlite* x && cp safe/index.sqlite .");
    }
    f->store = store_open(&f->options);
    assert_int_equal(find(f->store, f->b, &alice, f->tokens, N), N);
    files_of(f, "rm -r safe");
}

/* Rows that make no sense are removed, the others stay. */
static void damaged_rows(void **state)
{
    struct fixture *f = *state;
    if (system("sqlite3 --version >/dev/null 2>&1") != 0)
        skip();
    store_both(f);
    learn(f->store, f->b, &bob, f->tokens, 3);
    reopen(f);
    files_of(f, "sqlite3 index.sqlite \"UPDATE state SET tokens = x'00' WHERE n_tokens = 3;"
                "UPDATE state SET model = 'text' WHERE named = 1\"");
    reopen(f);
    rwkv_store_stats s = stats_of(f->store);
    assert_int_equal(s.damaged, 2);
    assert_int_equal(s.disk_entries, 1);
    assert_int_equal(s.named, 0);
    assert_int_equal(folder_files(f->folder, ".state", NULL), 1);
    assert_int_equal(find(f->store, f->b, &alice, f->tokens, N), N);
    assert_int_equal(find(f->store, f->b, &bob, f->tokens, N), 0);
}

/* --- several processes ------------------------------------------------------------------------ */

/* Two stores in one folder are as two processes: they share nothing but the files. */
static void shared_folder(void **state)
{
    struct fixture *f = *state;
    rwkv_store_options options = f->options;
    options.share = 1;
    rwkv_store *other = store_open(&options);
    put(other, f->a, &alice, f->tokens, N); /* written at once, by the store's thread */
    for (int i = 0; i < 2000 && stats_of(other).disk_entries == 0; i++)
        usleep(5000);
    assert_int_equal(find(f->store, f->b, &alice, f->tokens, N), N);
    assert_same_session(f->a, f->b);
    assert_int_equal(rwkv_store_save(other, f->a, &alice, "kept", NULL, NULL), RWKV_OK);
    assert_int_equal(rwkv_store_load(f->store, f->b, &alice, "kept", NULL), RWKV_OK);
    learn(f->store, f->a, &bob, f->tokens, 5); /* both write it: it is there once */
    learn(other, f->a, &bob, f->tokens, 5);
    flush(f->store);
    flush(other);
    assert_int_equal(folder_files(f->folder, ".state", NULL), 3);
    rwkv_store_close(other);
}

/* What another process removes from the disk is not found, and counts as no damage. */
static void removed_by_another(void **state)
{
    struct fixture *f = *state;
    rwkv_store_options options = f->options;
    int32_t others[N];
    put(f->store, f->a, &alice, f->tokens, N);
    reopen(f);
    options.disk_bytes = 80 * 1024; /* one state */
    rwkv_store *other = store_open(&options);
    tokens_of(2, others, N);
    learn(other, f->b, &alice, others, N);
    flush(other);
    assert_int_equal(stats_of(other).disk_evictions, 1);
    assert_int_equal(find(f->store, f->b, &alice, f->tokens, N), 0);
    assert_int_equal(find(f->store, f->b, &alice, others, N), N);
    assert_int_equal(stats_of(f->store).damaged, 0);
    rwkv_store_close(other);
}

/* States that others removed do not stay in memory for ever. */
static void swept(void **state)
{
    enum { MANY = 150 };
    struct fixture *f = *state;
    rwkv_store_options options = f->options;
    int32_t tokens[3];
    rwkv_store *other = store_open(&options);
    for (unsigned i = 0; i < MANY; i++) {
        memcpy(tokens, (int32_t[]){(int32_t)i, 1, 2}, sizeof tokens);
        learn(other, f->b, &alice, tokens, 3);
    }
    flush(other);
    assert_int_equal(find(f->store, f->b, &bob, tokens, 3), 0); /* hears of them */
    uint64_t before = stats_of(f->store).memory_bytes;
    rwkv_store_close(other);
    options.disk_bytes = 80 * 1024;
    other = store_open(&options);
    learn(other, f->b, &bob, tokens, 2);
    flush(other);
    rwkv_store_close(other);
    uint64_t one = rwkv_session_state_size(f->a);
    learn(f->store, f->a, &bob, tokens, 3);
    flush(f->store);
    assert_true(stats_of(f->store).memory_bytes < before + one - MANY * 100);
    assert_int_equal(find(f->store, f->b, &bob, tokens, 3), 3);
}

/* --- kills ------------------------------------------------------------------------------------ */

/* Save states and remember others until killed; before each save its number goes to the pipe's
 * other end, after it again. */
static void work_until_killed(const char *folder, int pipe_end)
{
    rwkv_model *model = open_model(SMALL_F32, MODEL_OPTIONS);
    rwkv_session *a = new_session(model);
    rwkv_store *store = store_open(&(rwkv_store_options){.folder = folder, .share = 1});
    for (uint8_t i = 0; i < 200; i++) {
        char name[16];
        int32_t tokens[N];
        tokens_of(i, tokens, N);
        snprintf(name, sizeof name, "s%u", (unsigned)i % 20);
        learn(store, a, &alice, tokens, N);
        if (write(pipe_end, &i, 1) != 1 ||
            rwkv_store_save(store, a, &alice, name, NULL, NULL) != RWKV_OK ||
            write(pipe_end, &i, 1) != 1)
            _exit(1);
    }
    _exit(2);
}

/* Run a process and kill it after so many bytes have come; the last saves begun and finished. */
static void run_and_kill(const char *folder, size_t bytes, int *begun, int *finished)
{
    int ends[2];
    uint8_t number;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(ends[0]);
        work_until_killed(folder, ends[1]);
    }
    close(ends[1]);
    *begun = *finished = -1;
    for (size_t i = 0; read(ends[0], &number, 1) == 1; i++) {
        *(i % 2 == 0 ? begun : finished) = number;
        if (i == bytes) {
            usleep((useconds_t)(bytes * 37 % 900)); /* somewhere inside */
            kill(child, SIGKILL);
        }
    }
    close(ends[0]);
    waitpid(child, NULL, 0);
}

static void killed(void **state)
{
    struct fixture *f = *state;
    rwkv_store_close(f->store);
    for (size_t round = 0; round < 8; round++) {
        int begun, finished;
        run_and_kill(f->folder, 3 + round * 8, &begun, &finished);
        f->store = store_open(&f->options);
        for (int i = finished; i >= 0 && i > finished - 20; i--) {
            char name[16];
            int32_t tokens[N];
            rwkv_error err = {0};
            if (begun != finished && i % 20 == begun % 20)
                continue; /* it may have been replaced */
            tokens_of((unsigned)i, tokens, N);
            go_to(f->a, tokens, N);
            snprintf(name, sizeof name, "s%d", i % 20);
            if (rwkv_store_load(f->store, f->b, &alice, name, &err) != RWKV_OK)
                fail_msg("%s", err.message);
            assert_same_session(f->a, f->b);
        }
        rwkv_store_stats s = stats_of(f->store);
        assert_int_equal(s.damaged + s.failures, 0);
        assert_int_equal(folder_files(f->folder, ".tmp", NULL), 0);
        assert_int_equal(folder_files(f->folder, ".state", NULL), s.disk_entries + s.named);
        rwkv_store_close(f->store);
    }
    f->store = store_open(&f->options);
}

/* Files that a killed process left are removed; those that one is writing, and others', are not. */
static void left_over(void **state)
{
    struct fixture *f = *state;
    store_both(f);
    files_of(f, "touch 00000000000000000000000000000000.tmp 11111111111111111111111111111111.tmp "
                "22222222222222222222222222222222.state notes.state 3.tmp");
    char path[1024];
    snprintf(path, sizeof path, "%s/11111111111111111111111111111111.tmp", f->folder);
    int fd = open(path, O_RDONLY);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    reopen(f);
    assert_int_equal(folder_files(f->folder, ".tmp", NULL), 2); /* the locked one, and 3.tmp */
    close(fd);
    assert_int_equal(folder_files(f->folder, ".state", NULL), 3); /* ours, and notes */
    assert_int_equal(find(f->store, f->b, &alice, f->tokens, N), N);
}

/* --- disks that refuse ------------------------------------------------------------------------ */

/* Writing fails as on a full disk: files may not grow beyond some bytes. */
static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void full_disk(void **state)
{
    struct fixture *f = *state;
    rwkv_error err = {0};
    int32_t others[N];
    store_both(f);
    tokens_of(2, others, N);
    limit_files(20000);
    learn(f->store, f->b, &alice, others, N);
    assert_int_equal(rwkv_store_save(f->store, f->b, &alice, "kept", NULL, &err), RWKV_ERROR_IO);
    assert_non_null(strstr(err.message, f->folder));
    assert_int_equal(rwkv_store_flush(f->store, &err), RWKV_ERROR_IO);
    assert_true(stats_of(f->store).failures > 0);
    assert_int_equal(folder_files(f->folder, ".tmp", NULL), 0);
    go_to(f->a, others, N);
    assert_int_equal(find(f->store, f->b, &alice, others, N), N); /* from memory */
    assert_same_session(f->a, f->b);
    limit_files(RLIM_INFINITY);
    flush(f->store);
    reopen(f);
    assert_int_equal(find(f->store, f->b, &alice, others, N), N);
    assert_int_equal(rwkv_store_load(f->store, f->b, &alice, "kept", &err), RWKV_OK);
    go_to(f->a, f->tokens, N);
    assert_same_session(f->a, f->b); /* the one before */
}

/* A small disk of its own for this process; false where that cannot be had. */
static bool small_disk(const char *folder)
{
    int apart = CLONE_NEWNS | (geteuid() == 0 ? 0 : CLONE_NEWUSER);
    return unshare(apart) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", folder, "tmpfs", 0, "size=4m") == 0;
}

/* In a process of its own: remember more than the disk holds, then save; 0, or what went wrong. */
static int fill_disk(struct fixture *f)
{
    enum { TEXTS = 70, SKIPPED = 77 };
    int32_t tokens[N];
    if (!small_disk(f->folder))
        return SKIPPED;
    rwkv_store *store;
    if (rwkv_store_open(&f->options, &store, NULL) != RWKV_OK)
        return 1;
    for (unsigned text = 0; text < TEXTS; text++) {
        tokens_of(text, tokens, N);
        rwkv_session_reset(f->b);
        if (rwkv_session_eval(f->b, tokens, N, NULL) != RWKV_OK ||
            rwkv_store_put(store, f->b, &alice, tokens, N, NULL) != RWKV_OK ||
            rwkv_store_flush(store, NULL) != RWKV_OK)
            return 2;
    }
    if (rwkv_store_save(store, f->a, &alice, "kept", NULL, NULL) != RWKV_OK)
        return 3;
    rwkv_store_stats s = stats_of(store);
    if (s.failures || s.damaged || s.disk_evictions == 0)
        return 4;
    rwkv_store_close(store);
    size_t found;
    if (rwkv_store_open(&f->options, &store, NULL) != RWKV_OK ||
        rwkv_store_find(store, f->b, &alice, tokens, N, &found, NULL) != RWKV_OK || found != N ||
        rwkv_store_load(store, f->b, &alice, "kept", NULL) != RWKV_OK)
        return 5;
    rwkv_store_close(store);
    return 0;
}

/* On a disk that is really full, older remembered states make room. */
static void small_disk_filled(void **state)
{
    struct fixture *f = *state;
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(fill_disk(f));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* The folder goes away: memory goes on, naming fails and says why, and nothing appears elsewhere.
 */
static void folder_removed(void **state)
{
    struct fixture *f = *state;
    rwkv_error err = {0};
    store_both(f);
    learn(f->store, f->b, &bob, f->tokens, N);
    files_of(f, "rm -r *");
    assert_int_equal(rwkv_store_save(f->store, f->a, &alice, "new", NULL, &err), RWKV_ERROR_IO);
    assert_non_null(strstr(err.message, "index.sqlite"));
    assert_int_equal(rmdir(f->folder), 0);
    assert_int_equal(rwkv_store_save(f->store, f->a, &alice, "new", NULL, &err), RWKV_ERROR_IO);
    assert_int_not_equal(rwkv_store_load(f->store, f->b, &alice, "kept", &err), RWKV_OK);
    assert_int_equal(find(f->store, f->b, &alice, f->tokens, N), 0);
    assert_int_equal(find(f->store, f->b, &bob, f->tokens, N), N);
    assert_int_not_equal(rwkv_store_flush(f->store, &err), RWKV_OK);
    assert_int_not_equal(access(f->folder, F_OK), 0);
}

static void unusable_folder(void **state)
{
    struct fixture *f = *state;
    rwkv_store *store = NULL;
    rwkv_error err = {0};
    char path[128];
    const rwkv_store_options nowhere = {.folder = "/nonexistent/folder"};
    assert_int_equal(rwkv_store_open(&nowhere, &store, &err), RWKV_ERROR_IO);
    assert_non_null(strstr(err.message, "/nonexistent/folder"));
    snprintf(path, sizeof path, "%s/file", f->folder);
    files_of(f, "touch file && mkdir closed && chmod 500 closed");
    const rwkv_store_options file = {.folder = path};
    assert_int_equal(rwkv_store_open(&file, &store, &err), RWKV_ERROR_IO);
    if (geteuid() == 0) { /* to whom nothing is closed */
        assert_int_equal(chmod(f->folder, 0755), 0);
        assert_int_equal(seteuid(65534), 0);
    }
    snprintf(path, sizeof path, "%s/closed", f->folder);
    const rwkv_store_options closed = {.folder = path};
    rwkv_status status = rwkv_store_open(&closed, &store, &err);
    if (geteuid() == 65534)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(status, RWKV_ERROR_IO);
    assert_non_null(strstr(err.message, "ermission denied"));
    assert_null(store);
    assert_int_equal(rmdir(path), 0);
}

/* Others of the machine cannot read what is kept: prompts are in the index. */
static void private_files(void **state)
{
    struct fixture *f = *state;
    char path[128];
    struct stat st;
    snprintf(path, sizeof path, "%s/made", f->folder);
    rwkv_store *store = store_open(&(rwkv_store_options){.folder = path});
    put(store, f->a, &alice, f->tokens, N);
    flush(store);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 077, 0);
    files_of(f, "test -z \"$(find made -type f -perm /077)\"");
    rwkv_store_close(store);
    files_of(f, "rm -r made");
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(damaged_files),
        TEST(shortened_files),
        TEST(swapped_files),
        TEST(next_best),
        TEST(damaged_index),
        TEST(damaged_rows),
        TEST(shared_folder),
        TEST(removed_by_another),
        TEST(swept),
        TEST(killed),
        TEST(left_over),
        TEST(full_disk),
        TEST(small_disk_filled),
        TEST(folder_removed),
        TEST(unusable_folder),
        TEST(private_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
