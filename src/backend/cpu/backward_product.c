/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products of training. Operands are packed a piece of their depth at a time, by all threads, into
 * memory that the caches hold; then threads share tiles of the outputs. Each output is one chain of
 * sums, which waits in the output from one piece to the next. Large outputs are cut into parts, and
 * small products go side by side.
 */
#include "backend/cpu/cpu_int.h"
#include "base/status.h"

#define MAX_PARTS 8             /* done at the same time */
#define PACK_STEPS ((size_t)2)  /* of an operand that a thread packs at a time */
#define TILE_ROWS ((size_t)192) /* of a tile, if there are enough of them; */
#define TILE_COLS ((size_t)240) /* all multiples of RW_PRODUCT_STEP */
#define TILES_A_THREAD 4        /* or threads would wait for the last one */

/* A(i, r) = from[i · step + r · row] */
struct operand {
    const float *from;
    size_t row, step;
};

/* out [rows, cols] (+)= Σ_i A(i, row) B(i, col), as kernels.h has it. */
struct product {
    float *out;
    struct operand a, b;
    struct rw_product whole;
    enum rw_epilogue epilogue;
};

struct job {
    const struct rw_backend_cpu *cpu;
    bool bf16;
    size_t rows;  /* of a tile */
    size_t begin; /* of the piece of the depth */
    size_t n;
    struct product parts[MAX_PARTS];
    float *packed_a[MAX_PARTS], *packed_b[MAX_PARTS];
    size_t used; /* floats of the packed operands */
};

static size_t divide_up(size_t a, size_t b)
{
    return (a + b - 1) / b;
}

/* Of the piece of a part's depth that is worked on; 0: it is done. */
static size_t depth_now(const struct job *job, const struct product *p)
{
    size_t depth = p->whole.depth;
    return depth > job->begin ? RW_MIN(depth - job->begin, (size_t)RW_PRODUCT_DEPTH) : 0;
}

/* --- packing ---------------------------------------------------------------------------------- */

#define PACK_ROWS (PACK_STEPS * RW_PRODUCT_STEP)

static void pack(const struct job *job, float *to, const struct operand *o, size_t n, size_t depth,
                 size_t index, bool cols)
{
    size_t at = index * PACK_ROWS;
    const struct rw_product_operand operand = {.row = o->row,
                                               .step = o->step,
                                               .n = RW_MIN(n - at, PACK_ROWS),
                                               .depth = depth,
                                               .cols = cols,
                                               .bf16 = job->bf16};
    job->cpu->kernels.product_pack(to + at * depth, o->from + at * o->row + job->begin * o->step,
                                   &operand);
}

static size_t packs(const struct product *p)
{
    return divide_up(p->whole.rows, PACK_ROWS) + divide_up(p->whole.cols, PACK_ROWS);
}

static void pack_piece(void *ctx, size_t index, size_t thread)
{
    const struct job *job = ctx;
    size_t i = 0;
    for (; index >= packs(&job->parts[i]); i++)
        index -= packs(&job->parts[i]);
    const struct product *p = &job->parts[i];
    size_t rows = divide_up(p->whole.rows, PACK_ROWS), depth = depth_now(job, p);
    if (index < rows)
        pack(job, job->packed_a[i], &p->a, p->whole.rows, depth, index, false);
    else
        pack(job, job->packed_b[i], &p->b, p->whole.cols, depth, index - rows, true);
}

/* --- multiplying ------------------------------------------------------------------------------ */

static size_t tiles(const struct job *job, const struct product *p)
{
    return divide_up(p->whole.rows, job->rows) * divide_up(p->whole.cols, TILE_COLS);
}

static void tile_piece(void *ctx, size_t index, size_t thread)
{
    const struct job *job = ctx;
    const struct rw_kernels *k = &job->cpu->kernels;
    size_t i = 0;
    for (; index >= tiles(job, &job->parts[i]); i++)
        index -= tiles(job, &job->parts[i]);
    const struct product *p = &job->parts[i];
    struct rw_product part = p->whole;
    part.depth = depth_now(job, p);
    if (part.depth == 0)
        return;
    size_t across = divide_up(p->whole.cols, TILE_COLS);
    size_t row = index / across * job->rows, col = index % across * TILE_COLS;
    float *out = p->out + row * part.ld + col;
    part.rows = RW_MIN(p->whole.rows - row, job->rows);
    part.cols = RW_MIN(p->whole.cols - col, TILE_COLS);
    part.first = part.first && job->begin == 0;
    k->product(out, job->packed_a[i] + row * part.depth, job->packed_b[i] + col * part.depth,
               &part);
    if (job->begin + part.depth == p->whole.depth && p->epilogue != RW_STORE)
        for (size_t r = 0; r < part.rows; r++)
            rw_cpu_finish(k, p->epilogue, out + r * part.ld, part.cols);
}

/* All parts that wait. */
static void work_off(struct job *job)
{
    size_t depth = 0, n_packs = 0, n_tiles;
    job->rows = TILE_ROWS;
    for (size_t i = 0; i < job->n; i++) {
        depth = RW_MAX(depth, job->parts[i].whole.depth);
        n_packs += packs(&job->parts[i]);
    }
    for (;; job->rows /= 2) {
        n_tiles = 0;
        for (size_t i = 0; i < job->n; i++)
            n_tiles += tiles(job, &job->parts[i]);
        if (job->rows == RW_PRODUCT_STEP || n_tiles >= TILES_A_THREAD * job->cpu->base.threads)
            break;
    }
    for (job->begin = 0; job->begin < depth; job->begin += RW_PRODUCT_DEPTH) {
        rw_pool_each(job->cpu->pool, pack_piece, job, n_packs);
        rw_pool_each(job->cpu->pool, tile_piece, job, n_tiles);
    }
    job->n = job->used = 0;
}

static void add_part(struct job *job, const struct product *part)
{
    size_t depth = RW_MIN(part->whole.depth, (size_t)RW_PRODUCT_DEPTH);
    size_t a = RW_PRODUCT_PACKED(part->whole.rows, depth);
    size_t b = RW_PRODUCT_PACKED(part->whole.cols, depth);
    if (job->n == MAX_PARTS ||
        job->used + a + b > rw_cpu_packed_floats(job->cpu->backward.packed_rows))
        work_off(job);
    job->packed_a[job->n] = job->cpu->backward.packed + job->used;
    job->packed_b[job->n] = job->packed_a[job->n] + a;
    job->parts[job->n++] = *part;
    job->used += a + b;
}

static void add_product(struct job *job, const struct product *p)
{
    size_t most = job->cpu->backward.packed_rows;
    for (size_t row = 0; row < p->whole.rows; row += most)
        for (size_t col = 0; col < p->whole.cols; col += most) {
            struct product part = *p;
            part.out += row * p->whole.ld + col;
            part.a.from += row * p->a.row;
            part.b.from += col * p->b.row;
            part.whole.rows = RW_MIN(p->whole.rows - row, most);
            part.whole.cols = RW_MIN(p->whole.cols - col, most);
            add_part(job, &part);
        }
}

static struct job begin(struct rw_backend *be, enum rw_precision precision)
{
    return (struct job){.cpu = rw_cpu(be), .bf16 = precision == RW_PRECISION_BF16};
}

/* --- operations ------------------------------------------------------------------------------- */

static struct product forward(const struct rw_matmul *op, size_t tokens)
{
    const struct rw_weight *w = op->w;
    bool add = op->epilogue == RW_ADD;
    return (struct product){
        .out = op->y,
        .a = {op->x, w->cols, 1},
        .b = {w->data, w->cols, 1},
        .whole = {tokens, w->rows, w->cols, w->rows, !add},
        .epilogue = add ? RW_STORE : op->epilogue,
    };
}

void rw_cpu_train_matmul(struct rw_backend *be, const struct rw_matmul *ops, size_t n_ops,
                         size_t n_tokens, enum rw_precision precision)
{
    struct job job = begin(be, precision);
    for (size_t i = 0; i < n_ops; i++) {
        const struct product p = forward(&ops[i], n_tokens);
        add_product(&job, &p);
    }
    work_off(&job);
}

void rw_cpu_matmul_dx(struct rw_backend *be, const struct rw_matmul_dx *ops, size_t n_ops,
                      size_t n_tokens, enum rw_precision precision)
{
    struct job job = begin(be, precision);
    for (size_t i = 0; i < n_ops; i++) {
        size_t rows = ops[i].rows, cols = ops[i].cols;
        const struct product p = {
            .out = ops[i].dx,
            .a = {ops[i].dy, rows, 1},
            .b = {ops[i].w, 1, cols},
            .whole = {n_tokens, cols, rows, cols, !ops[i].add},
        };
        add_product(&job, &p);
    }
    work_off(&job);
}

void rw_cpu_matmul_dw(struct rw_backend *be, const struct rw_matmul_dw *ops, size_t n_ops,
                      size_t n_tokens, enum rw_precision precision)
{
    struct job job = begin(be, precision);
    for (size_t i = 0; i < n_ops; i++) {
        size_t rows = ops[i].rows, cols = ops[i].cols;
        const struct product p = {
            .out = ops[i].dw,
            .a = {ops[i].dy, 1, rows},
            .b = {ops[i].x, 1, cols},
            .whole = {rows, cols, n_tokens, cols, false},
        };
        add_product(&job, &p);
    }
    work_off(&job);
}
