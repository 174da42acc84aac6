/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine that interprets a pickle, protocols 2 to 4 (Python's Lib/pickletools.py describes the
 * opcodes). One table holds the opcodes of an honest state dict; those that it lacks are refused,
 * with their name where a pickle might hold them.
 *
 * Values are small and refer to each other by index, in arrays that only grow and are freed as a
 * whole. So a value nested a hundred thousand deep, or shared 2⁶⁰ times, costs what its opcodes
 * cost. An opcode makes at most one value and keeps at most eight items; what the result cannot
 * need (long tuples, a dict's other keys, floats, bytes) is not kept at all. Each array has a limit
 * besides.
 */
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "formats/pth_int.h"

#define MAX_VALUES ((size_t)1 << 22) /* elements of each array */
#define MAX_STACK ((size_t)1 << 20)
#define MIN_MEMO 4096            /* places a memo may have, however small the pickle */
#define KEPT_ITEMS RWKV_MAX_DIMS /* of a tuple; longer ones cannot be part of a tensor */
#define MARKED UINT_MAX          /* op_tuple, op_set, op_append: everything since the mark */

_Static_assert(KEPT_ITEMS >= 7, "the arguments of _rebuild_tensor_v2 must be kept");

const char *rw_pickle_kind_name(enum rw_pickle_kind kind)
{
    static const char *const names[] = {
        [RW_PICKLE_UNSET] = "nothing",   [RW_PICKLE_MARK] = "a mark",
        [RW_PICKLE_NONE] = "None",       [RW_PICKLE_BOOL] = "a bool",
        [RW_PICKLE_INT] = "an integer",  [RW_PICKLE_LONG] = "an integer beyond 64 bits",
        [RW_PICKLE_FLOAT] = "a float",   [RW_PICKLE_STRING] = "a string",
        [RW_PICKLE_BYTES] = "bytes",     [RW_PICKLE_TUPLE] = "a tuple",
        [RW_PICKLE_LIST] = "a list",     [RW_PICKLE_DICT] = "a dict",
        [RW_PICKLE_GLOBAL] = "a global", [RW_PICKLE_STORAGE] = "a storage",
        [RW_PICKLE_TENSOR] = "a tensor",
    };
    return names[kind];
}

bool rw_pickle_is_string(struct rw_pickle_value v, const char *text)
{
    return v.kind == RW_PICKLE_STRING && v.n == strlen(text) && memcmp(v.s, text, v.n) == 0;
}

rwkv_status(rw_pickle_fail)(struct rw_pickle *p, rwkv_status code, const char *fmt, ...)
{
    char text[300];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return rw_fail(p->err, code, "%s: %s: %s at byte %zu: %s", p->path, p->place, p->op, p->op_at,
                   text);
}

/* --- stack, memo and nodes --- */

rwkv_status rw_pickle_room(struct rw_pickle *p, void **array, size_t count, size_t *capacity,
                           size_t size)
{
    if (count >= MAX_VALUES)
        return rw_pickle_fail(p, RWKV_ERROR_UNSUPPORTED, "more than %zu values of a kind",
                              MAX_VALUES);
    if (!rw_grow(array, count, capacity, size))
        return rw_pickle_fail(p, RWKV_ERROR_MEMORY, "no memory for its values");
    return RWKV_OK;
}

/* rw_pickle_room for an array of the machine, whose type the call need not know. */
#define ROOM(p, array, n, capacity)                                                     \
    do {                                                                                \
        void *room_array = (p)->array;                                                  \
        rwkv_status room_status =                                                       \
            rw_pickle_room(p, &room_array, (p)->n, &(p)->capacity, sizeof *(p)->array); \
        (p)->array = room_array;                                                        \
        if (room_status != RWKV_OK)                                                     \
            return room_status;                                                         \
    } while (0)

rwkv_status rw_pickle_push(struct rw_pickle *p, struct rw_pickle_value v)
{
    if (p->n_stack >= MAX_STACK)
        return rw_pickle_fail(p, RWKV_ERROR_UNSUPPORTED, "more than %zu values on the stack",
                              MAX_STACK);
    ROOM(p, stack, n_stack, stack_capacity);
    p->stack[p->n_stack++] = v;
    return RWKV_OK;
}

rwkv_status rw_pickle_push_node(struct rw_pickle *p, enum rw_pickle_kind kind, bool ordered)
{
    ROOM(p, nodes, n_nodes, nodes_capacity);
    p->nodes[p->n_nodes] = (struct rw_pickle_node){.ordered = ordered};
    return rw_pickle_push(p, (struct rw_pickle_value){.kind = kind, .at = p->n_nodes++});
}

/* The value `depth` below the top, when nothing above and including it is a mark; NULL otherwise.
 */
static struct rw_pickle_value *peek(struct rw_pickle *p, size_t depth)
{
    for (size_t i = 0; i <= depth; i++)
        if (i >= p->n_stack || p->stack[p->n_stack - 1 - i].kind == RW_PICKLE_MARK)
            return NULL;
    return &p->stack[p->n_stack - 1 - depth];
}

static rwkv_status fail_empty(struct rw_pickle *p, size_t wanted)
{
    return rw_pickle_fail(p, RWKV_ERROR_FORMAT, "%zu value%s wanted on the stack, fewer found",
                          wanted, wanted == 1 ? "" : "s");
}

static rwkv_status pop(struct rw_pickle *p, struct rw_pickle_value *out)
{
    struct rw_pickle_value *top = peek(p, 0);
    if (!top)
        return fail_empty(p, 1);
    *out = *top;
    p->n_stack--;
    return RWKV_OK;
}

/* The number of values above the last mark. */
static rwkv_status count_marked(struct rw_pickle *p, size_t *n)
{
    for (*n = 0; *n < p->n_stack; ++*n)
        if (p->stack[p->n_stack - 1 - *n].kind == RW_PICKLE_MARK)
            return RWKV_OK;
    return rw_pickle_fail(p, RWKV_ERROR_FORMAT, "no mark on the stack");
}

static rwkv_status add_entry(struct rw_pickle *p, size_t at, struct rw_pickle_value key,
                             struct rw_pickle_value value)
{
    if (key.kind != RW_PICKLE_STRING) {
        p->nodes[at].others = true;
        return RWKV_OK;
    }
    ROOM(p, entries, n_entries, entries_capacity);
    p->entries[p->n_entries++] = (struct rw_pickle_entry){key.s, key.n, 0, value};
    struct rw_pickle_node *node = &p->nodes[at];
    if (node->last)
        p->entries[node->last - 1].next = (uint32_t)p->n_entries;
    else
        node->first = (uint32_t)p->n_entries;
    node->last = (uint32_t)p->n_entries;
    node->n_entries++;
    node->n_tensors += value.kind == RW_PICKLE_TENSOR;
    return RWKV_OK;
}

/* --- reading arguments --- */

static rwkv_status fail_cut(struct rw_pickle *p)
{
    return rw_pickle_fail(p, RWKV_ERROR_FORMAT,
                          "its argument reaches beyond the end of the pickle");
}

/* An unsigned number of 1, 2, 4 or 8 bytes. */
static rwkv_status read_uint(struct rw_pickle *p, unsigned width, uint64_t *out)
{
    const uint8_t *bytes = rw_cursor_bytes(&p->in, width);
    if (!bytes)
        return fail_cut(p);
    *out = 0;
    for (unsigned i = 0; i < width; i++)
        *out |= (uint64_t)bytes[i] << 8 * i;
    return RWKV_OK;
}

/* A length of `width` bytes and so many bytes. */
static rwkv_status read_counted(struct rw_pickle *p, unsigned width, const uint8_t **bytes,
                                uint32_t *n)
{
    uint64_t size;
    RW_TRY(read_uint(p, width, &size));
    *bytes = rw_cursor_bytes(&p->in, size);
    if (!*bytes)
        return rw_pickle_fail(p, RWKV_ERROR_FORMAT,
                              "an argument of %" PRIu64 " bytes, but only %zu are left", size,
                              rw_cursor_left(&p->in));
    *n = (uint32_t)size; /* no more than the pickle has */
    return RWKV_OK;
}

/* A line that ends in LF. */
static rwkv_status read_line(struct rw_pickle *p, const char **line, size_t *n)
{
    const uint8_t *at = p->in.data + p->in.at;
    const uint8_t *end = memchr(at, '\n', rw_cursor_left(&p->in));
    if (!end)
        return fail_cut(p);
    *line = (const char *)at;
    *n = (size_t)(end - at);
    rw_cursor_bytes(&p->in, *n + 1);
    return RWKV_OK;
}

/* --- opcodes --- */

/* `arg` is the opcode's own: most often the bytes of its argument. */
typedef rwkv_status (*op_fn)(struct rw_pickle *p, unsigned arg);

static rwkv_status op_proto(struct rw_pickle *p, unsigned arg)
{
    uint64_t version;
    RW_TRY(read_uint(p, arg, &version));
    if (version < 2 || version > 4)
        return rw_pickle_fail(p, RWKV_ERROR_UNSUPPORTED,
                              "protocol 2 to 4 wanted, %" PRIu64 " found", version);
    return RWKV_OK;
}

static rwkv_status op_frame(struct rw_pickle *p, unsigned arg)
{
    uint64_t size;
    return read_uint(p, arg, &size);
}

static rwkv_status op_push(struct rw_pickle *p, unsigned arg)
{
    return rw_pickle_push(p, (struct rw_pickle_value){.kind = (enum rw_pickle_kind)arg});
}

static rwkv_status op_push_bool(struct rw_pickle *p, unsigned arg)
{
    return rw_pickle_push(p, (struct rw_pickle_value){.kind = RW_PICKLE_BOOL, .i = arg});
}

static rwkv_status op_push_node(struct rw_pickle *p, unsigned arg)
{
    return rw_pickle_push_node(p, (enum rw_pickle_kind)arg, false);
}

static rwkv_status op_int(struct rw_pickle *p, unsigned arg)
{
    uint64_t u;
    RW_TRY(read_uint(p, arg, &u));
    int64_t i = arg == 4 ? (int32_t)u : (int64_t)u; /* only the 4-byte form has a sign */
    return rw_pickle_push(p, (struct rw_pickle_value){.kind = RW_PICKLE_INT, .i = i});
}

static rwkv_status op_long(struct rw_pickle *p, unsigned arg)
{
    const uint8_t *bytes;
    uint32_t n;
    RW_TRY(read_counted(p, arg, &bytes, &n));
    if (n > 8)
        return rw_pickle_push(
            p, (struct rw_pickle_value){.kind = RW_PICKLE_LONG, .n = n, .s = (const char *)bytes});
    uint64_t u = n > 0 && bytes[n - 1] & 0x80 ? UINT64_MAX : 0; /* the sign */
    for (uint32_t i = n; i-- > 0;)
        u = u << 8 | bytes[i];
    return rw_pickle_push(p, (struct rw_pickle_value){.kind = RW_PICKLE_INT, .i = (int64_t)u});
}

static rwkv_status op_float(struct rw_pickle *p, unsigned arg)
{
    uint64_t bits;
    RW_TRY(read_uint(p, arg, &bits));
    return op_push(p, RW_PICKLE_FLOAT);
}

static rwkv_status op_string(struct rw_pickle *p, unsigned arg)
{
    const uint8_t *bytes;
    uint32_t n;
    RW_TRY(read_counted(p, arg, &bytes, &n));
    return rw_pickle_push(
        p, (struct rw_pickle_value){.kind = RW_PICKLE_STRING, .n = n, .s = (const char *)bytes});
}

static rwkv_status op_bytes(struct rw_pickle *p, unsigned arg)
{
    const uint8_t *bytes;
    uint32_t n;
    RW_TRY(read_counted(p, arg, &bytes, &n));
    return op_push(p, RW_PICKLE_BYTES);
}

/* POP takes a mark as well. */
static rwkv_status op_pop(struct rw_pickle *p, unsigned arg)
{
    if (p->n_stack == 0)
        return fail_empty(p, 1);
    p->n_stack--;
    return RWKV_OK;
}

static rwkv_status op_pop_mark(struct rw_pickle *p, unsigned arg)
{
    size_t n;
    RW_TRY(count_marked(p, &n));
    p->n_stack -= n + 1;
    return RWKV_OK;
}

static rwkv_status op_dup(struct rw_pickle *p, unsigned arg)
{
    struct rw_pickle_value *top = peek(p, 0);
    return top ? rw_pickle_push(p, *top) : fail_empty(p, 1);
}

static rwkv_status op_put(struct rw_pickle *p, unsigned arg)
{
    uint64_t at = p->memo_set; /* MEMOIZE */
    if (arg > 0)
        RW_TRY(read_uint(p, arg, &at));
    struct rw_pickle_value *top = peek(p, 0);
    if (!top)
        return fail_empty(p, 1);
    size_t limit = RW_MIN(RW_MAX(p->in.size, (size_t)MIN_MEMO), MAX_VALUES);
    if (at >= limit)
        return rw_pickle_fail(p, RWKV_ERROR_UNSUPPORTED,
                              "a place in the memo below %zu wanted, %" PRIu64 " found", limit, at);
    if (at >= p->memo_capacity) {
        size_t capacity = RW_MIN(RW_MAX(2 * p->memo_capacity, (size_t)at + 1), limit);
        struct rw_pickle_value *memo = rw_realloc(p->memo, capacity, sizeof *memo);
        if (!memo)
            return rw_pickle_fail(p, RWKV_ERROR_MEMORY, "no memory for its memo");
        memset(memo + p->memo_capacity, 0, (capacity - p->memo_capacity) * sizeof *memo);
        p->memo = memo;
        p->memo_capacity = capacity;
    }
    p->memo_set += p->memo[at].kind == RW_PICKLE_UNSET;
    p->memo[at] = *top;
    return RWKV_OK;
}

static rwkv_status op_get(struct rw_pickle *p, unsigned arg)
{
    uint64_t at;
    RW_TRY(read_uint(p, arg, &at));
    if (at >= p->memo_capacity || p->memo[at].kind == RW_PICKLE_UNSET)
        return rw_pickle_fail(p, RWKV_ERROR_FORMAT, "nothing in place %" PRIu64 " of the memo", at);
    return rw_pickle_push(p, p->memo[at]);
}

static rwkv_status op_tuple(struct rw_pickle *p, unsigned arg)
{
    size_t n = arg;
    if (arg == MARKED)
        RW_TRY(count_marked(p, &n));
    else if (!peek(p, n - 1))
        return fail_empty(p, n);
    struct rw_pickle_value tuple = {.kind = RW_PICKLE_TUPLE, .n = (uint32_t)n, .at = p->n_items};
    for (size_t i = 0; n <= KEPT_ITEMS && i < n; i++) {
        ROOM(p, items, n_items, items_capacity);
        p->items[p->n_items++] = p->stack[p->n_stack - n + i];
    }
    p->n_stack -= n + (arg == MARKED);
    return rw_pickle_push(p, tuple);
}

/* Values since the mark, or `arg` of them, go into the dict or list below. */
static rwkv_status op_fill(struct rw_pickle *p, unsigned arg, enum rw_pickle_kind kind, size_t step)
{
    size_t n = arg;
    size_t mark = arg == MARKED;
    if (mark)
        RW_TRY(count_marked(p, &n));
    else if (!peek(p, n - 1))
        return fail_empty(p, n);
    if (n % step != 0)
        return rw_pickle_fail(p, RWKV_ERROR_FORMAT, "pairs wanted, %zu values found", n);
    size_t below = p->n_stack - n - mark;
    enum rw_pickle_kind found = below > 0 ? p->stack[below - 1].kind : RW_PICKLE_UNSET;
    if (found != kind)
        return rw_pickle_fail(p, RWKV_ERROR_FORMAT, "%s wanted to fill, %s found",
                              rw_pickle_kind_name(kind), rw_pickle_kind_name(found));
    for (size_t i = p->n_stack - n; i < p->n_stack; i += step) {
        struct rw_pickle_value value = {.kind = RW_PICKLE_NONE}; /* a list's string is the key */
        if (step == 2)
            value = p->stack[i + 1];
        RW_TRY(add_entry(p, p->stack[below - 1].at, p->stack[i], value));
    }
    p->n_stack = below;
    return RWKV_OK;
}

static rwkv_status op_set(struct rw_pickle *p, unsigned arg)
{
    return op_fill(p, arg, RW_PICKLE_DICT, 2);
}

static rwkv_status op_append(struct rw_pickle *p, unsigned arg)
{
    return op_fill(p, arg, RW_PICKLE_LIST, 1);
}

static rwkv_status op_global(struct rw_pickle *p, unsigned arg)
{
    const char *module, *name;
    size_t module_size, name_size;
    RW_TRY(read_line(p, &module, &module_size));
    RW_TRY(read_line(p, &name, &name_size));
    return rw_torch_global(p, module, module_size, name, name_size);
}

static rwkv_status op_stack_global(struct rw_pickle *p, unsigned arg)
{
    struct rw_pickle_value module, name;
    RW_TRY(pop(p, &name));
    RW_TRY(pop(p, &module));
    if (module.kind != RW_PICKLE_STRING || name.kind != RW_PICKLE_STRING)
        return rw_pickle_fail(p, RWKV_ERROR_FORMAT, "two strings wanted, %s and %s found",
                              rw_pickle_kind_name(module.kind), rw_pickle_kind_name(name.kind));
    return rw_torch_global(p, module.s, module.n, name.s, name.n);
}

static rwkv_status op_reduce(struct rw_pickle *p, unsigned arg)
{
    struct rw_pickle_value callable, args;
    RW_TRY(pop(p, &args));
    RW_TRY(pop(p, &callable));
    if (callable.kind != RW_PICKLE_GLOBAL || args.kind != RW_PICKLE_TUPLE)
        return rw_pickle_fail(p, RWKV_ERROR_FORMAT, "a global and a tuple wanted, %s and %s found",
                              rw_pickle_kind_name(callable.kind), rw_pickle_kind_name(args.kind));
    return rw_torch_reduce(p, callable, args);
}

/* The state of an OrderedDict is the attribute _metadata of a module's state_dict: of no use. */
static rwkv_status op_build(struct rw_pickle *p, unsigned arg)
{
    struct rw_pickle_value state;
    RW_TRY(pop(p, &state));
    struct rw_pickle_value *object = peek(p, 0);
    if (!object || object->kind != RW_PICKLE_DICT || !p->nodes[object->at].ordered)
        return rw_pickle_fail(p, RWKV_ERROR_UNSUPPORTED, "an OrderedDict wanted, %s found",
                              rw_pickle_kind_name(object ? object->kind : RW_PICKLE_UNSET));
    return RWKV_OK;
}

static rwkv_status op_persistent(struct rw_pickle *p, unsigned arg)
{
    struct rw_pickle_value id;
    RW_TRY(pop(p, &id));
    return rw_torch_persistent(p, id);
}

static rwkv_status op_stop(struct rw_pickle *p, unsigned arg)
{
    RW_TRY(pop(p, &p->result));
    if (p->n_stack > 0)
        return rw_pickle_fail(p, RWKV_ERROR_FORMAT, "one value wanted on the stack, %zu found",
                              p->n_stack + 1);
    p->used = p->in.at;
    return RWKV_OK;
}

/* Opcodes without a function are known and refused. */
static const struct opcode {
    const char *name;
    op_fn run;
    unsigned arg;
} opcodes[256] = {
    [0x80] = {"PROTO", op_proto, 1},
    [0x95] = {"FRAME", op_frame, 8},
    ['.'] = {"STOP", op_stop, 0},
    ['('] = {"MARK", op_push, RW_PICKLE_MARK},
    ['0'] = {"POP", op_pop, 0},
    ['1'] = {"POP_MARK", op_pop_mark, 0},
    ['2'] = {"DUP", op_dup, 0},
    ['N'] = {"NONE", op_push, RW_PICKLE_NONE},
    [0x88] = {"NEWTRUE", op_push_bool, 1},
    [0x89] = {"NEWFALSE", op_push_bool, 0},
    ['K'] = {"BININT1", op_int, 1},
    ['M'] = {"BININT2", op_int, 2},
    ['J'] = {"BININT", op_int, 4},
    [0x8a] = {"LONG1", op_long, 1},
    [0x8b] = {"LONG4", op_long, 4},
    ['G'] = {"BINFLOAT", op_float, 8},
    [0x8c] = {"SHORT_BINUNICODE", op_string, 1},
    ['X'] = {"BINUNICODE", op_string, 4},
    [0x8d] = {"BINUNICODE8", op_string, 8},
    ['C'] = {"SHORT_BINBYTES", op_bytes, 1},
    ['B'] = {"BINBYTES", op_bytes, 4},
    [0x8e] = {"BINBYTES8", op_bytes, 8},
    ['q'] = {"BINPUT", op_put, 1},
    ['r'] = {"LONG_BINPUT", op_put, 4},
    [0x94] = {"MEMOIZE", op_put, 0},
    ['h'] = {"BINGET", op_get, 1},
    ['j'] = {"LONG_BINGET", op_get, 4},
    [')'] = {"EMPTY_TUPLE", op_push, RW_PICKLE_TUPLE},
    ['t'] = {"TUPLE", op_tuple, MARKED},
    [0x85] = {"TUPLE1", op_tuple, 1},
    [0x86] = {"TUPLE2", op_tuple, 2},
    [0x87] = {"TUPLE3", op_tuple, 3},
    [']'] = {"EMPTY_LIST", op_push_node, RW_PICKLE_LIST},
    ['a'] = {"APPEND", op_append, 1},
    ['e'] = {"APPENDS", op_append, MARKED},
    ['}'] = {"EMPTY_DICT", op_push_node, RW_PICKLE_DICT},
    ['s'] = {"SETITEM", op_set, 2},
    ['u'] = {"SETITEMS", op_set, MARKED},
    ['c'] = {"GLOBAL", op_global, 0},
    [0x93] = {"STACK_GLOBAL", op_stack_global, 0},
    ['R'] = {"REDUCE", op_reduce, 0},
    ['b'] = {"BUILD", op_build, 0},
    ['Q'] = {"BINPERSID", op_persistent, 0},

    ['F'] = {.name = "FLOAT"},
    ['I'] = {.name = "INT"},
    ['L'] = {.name = "LONG"},
    ['P'] = {.name = "PERSID"},
    ['S'] = {.name = "STRING"},
    ['T'] = {.name = "BINSTRING"},
    ['U'] = {.name = "SHORT_BINSTRING"},
    ['V'] = {.name = "UNICODE"},
    ['d'] = {.name = "DICT"},
    ['g'] = {.name = "GET"},
    ['i'] = {.name = "INST"},
    ['l'] = {.name = "LIST"},
    ['o'] = {.name = "OBJ"},
    ['p'] = {.name = "PUT"},
    [0x81] = {.name = "NEWOBJ"},
    [0x82] = {.name = "EXT1"},
    [0x83] = {.name = "EXT2"},
    [0x84] = {.name = "EXT4"},
    [0x8f] = {.name = "EMPTY_SET"},
    [0x90] = {.name = "ADDITEMS"},
    [0x91] = {.name = "FROZENSET"},
    [0x92] = {.name = "NEWOBJ_EX"},
    [0x96] = {.name = "BYTEARRAY8"},
    [0x97] = {.name = "NEXT_BUFFER"},
    [0x98] = {.name = "READONLY_BUFFER"},
};

static rwkv_status run(struct rw_pickle *p, size_t size)
{
    uint8_t code;
    do {
        p->op_at = p->in.at;
        p->op = "opcode";
        if (rw_cursor_left(&p->in) == 0)
            return rw_pickle_fail(p, RWKV_ERROR_FORMAT, "STOP wanted, %s found",
                                  p->in.size < size ? "a pickle of more than 64 MiB" : "the end");
        code = rw_cursor_u8(&p->in);
        const struct opcode *op = &opcodes[code];
        if (op->name)
            p->op = op->name;
        if (!op->run)
            return rw_pickle_fail(p, RWKV_ERROR_UNSUPPORTED,
                                  "0x%02x is not among the opcodes of a state dict", code);
        if (p->op_at == 0 && op->run != op_proto)
            return rw_pickle_fail(p, RWKV_ERROR_UNSUPPORTED,
                                  "PROTO wanted first (protocol 2 to 4)");
        RW_TRY(op->run(p, op->arg));
    } while (code != '.');
    return RWKV_OK;
}

rwkv_status rw_pickle_run(struct rw_pickle *p, const char *path, const char *place,
                          const void *data, size_t size, size_t id_items, rwkv_error *err)
{
    *p = (struct rw_pickle){
        .path = path,
        .place = place,
        .err = err,
        .id_items = id_items,
        .in = rw_cursor_make(data, RW_MIN(size, RW_PICKLE_MAX_SIZE)),
    };
    return run(p, size);
}

void rw_pickle_fini(struct rw_pickle *p)
{
    rw_free(p->stack);
    rw_free(p->memo);
    rw_free(p->items);
    rw_free(p->nodes);
    rw_free(p->entries);
    rw_free(p->storages);
    *p = (struct rw_pickle){0};
}
