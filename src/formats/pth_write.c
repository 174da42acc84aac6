/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing a .pth that torch.load reads, with weights_only too: a zip archive of stored members,
 * their data at multiples of 64 bytes, zip64 records where 32 bits do not suffice. Every tensor has
 * a storage of its own. The same tensors give the same bytes: there are no times and no file names
 * in it.
 *
 * Checksums of the tensors are known after their data, and are then patched into the local headers,
 * so that no data descriptors are needed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cursor.h"
#include "base/hash.h"
#include "base/output.h"
#include "base/status.h"
#include "base/str.h"
#include "formats/pth_int.h"

#define LOCAL_SIZE 30
#define CENTRAL_SIZE 46
#define END64_SIZE 56
#define LOCATOR64_SIZE 20
#define END_SIZE 22
#define CRC_AT 14 /* in the local header */
#define EXTRA_ZIP64 0x0001
#define EXTRA_PADDING 0x4246 /* "FB", as torch pads */
#define VERSION_PLAIN 20
#define VERSION_ZIP64 45
#define DATE 0x21 /* 1 January 1980, the first there is */
#define ALIGNMENT 64

struct member {
    char name[40];
    uint64_t local; /* offset of the local header */
    uint64_t size;
    uint32_t crc;
};

struct pth {
    struct member *members;
    size_t n_members;
};

static uint32_t narrow32(uint64_t v)
{
    return v < UINT32_MAX ? (uint32_t)v : UINT32_MAX;
}

static uint16_t narrow16(uint64_t v)
{
    return v < UINT16_MAX ? (uint16_t)v : UINT16_MAX;
}

/* --- the pickle, protocol 2 --- */

static void put_u32(struct rw_str *s, uint32_t v)
{
    uint8_t bytes[4];
    rw_store_u32(bytes, v);
    rw_str_add(s, bytes, sizeof bytes);
}

static void put_string(struct rw_str *s, const char *text)
{
    rw_str_addc(s, 'X'); /* BINUNICODE */
    put_u32(s, (uint32_t)strlen(text));
    rw_str_adds(s, text);
}

static void put_int(struct rw_str *s, size_t v)
{
    uint8_t bytes[8];
    rw_store_u64(bytes, v);
    if (v <= UINT8_MAX) {
        rw_str_addc(s, 'K'); /* BININT1 */
        rw_str_add(s, bytes, 1);
    } else if (v <= INT32_MAX) {
        rw_str_addc(s, 'J'); /* BININT */
        rw_str_add(s, bytes, 4);
    } else {
        rw_str_adds(s, "\x8a\x08"); /* LONG1 of 8 bytes */
        rw_str_add(s, bytes, 8);
    }
}

static void put_ints(struct rw_str *s, const size_t *v, size_t n)
{
    rw_str_addc(s, '('); /* MARK … TUPLE */
    for (size_t i = 0; i < n; i++)
        put_int(s, v[i]);
    rw_str_addc(s, 't');
}

/* One pair of the dict: the name, and _rebuild_tensor_v2 applied to storage, offset 0, size,
 * stride, requires_grad False, no hooks. */
static void put_tensor(struct rw_str *s, const struct rw_named_tensor *named, size_t key)
{
    struct rw_tensor t;
    char text[24];
    rw_tensor_init(&t, named->tensor.dtype, named->tensor.n_dims, named->tensor.shape, NULL);
    put_string(s, named->name);
    rw_str_adds(s, "ctorch._utils\n_rebuild_tensor_v2\n((");
    put_string(s, "storage");
    rw_str_printf(s, "ctorch\n%s\n", rw_dtype(t.dtype)->torch);
    snprintf(text, sizeof text, "%zu", key);
    put_string(s, text);
    put_string(s, "cpu");
    put_int(s, rw_tensor_elements(&t));
    rw_str_adds(s, "tQK");
    rw_str_addc(s, 0);
    put_ints(s, t.shape, t.n_dims);
    put_ints(s, t.stride, t.n_dims);
    rw_str_adds(s, "\x89"
                   "ccollections\nOrderedDict\n)RtRs"); /* NEWFALSE … SETITEM */
}

static void put_pickle(struct rw_str *s, const struct rw_write_plan *plan)
{
    rw_str_adds(s, "\x80\x02}");
    for (size_t i = 0; i < plan->n_tensors; i++)
        put_tensor(s, &plan->tensors[i], i);
    rw_str_addc(s, '.');
}

/* --- members --- */

/* Write the local header of a new member of `size` bytes, padded so that its data is aligned. */
static rwkv_status begin_member(struct rw_writer *w, struct pth *self, const char *name,
                                uint64_t size, uint32_t crc, rwkv_error *err)
{
    static const uint8_t zeros[ALIGNMENT + 4];
    struct rw_output *o = rw_writer_output(w);
    struct member *m = &self->members[self->n_members++];
    *m = (struct member){.local = rw_output_position(o), .size = size, .crc = crc};
    snprintf(m->name, sizeof m->name, "archive/%s", name);

    bool wide = size >= UINT32_MAX;
    size_t name_size = strlen(m->name), wide_size = wide ? 4 + 16 : 0;
    size_t padding = -(m->local + LOCAL_SIZE + name_size + wide_size + 4) % ALIGNMENT;
    uint8_t h[LOCAL_SIZE + 4 + 16 + 4] = "PK\x03\x04";
    rw_store_u16(h + 4, wide ? VERSION_ZIP64 : VERSION_PLAIN);
    rw_store_u16(h + 12, DATE);
    rw_store_u32(h + CRC_AT, crc);
    rw_store_u32(h + 18, narrow32(size));
    rw_store_u32(h + 22, narrow32(size));
    rw_store_u16(h + 26, (uint16_t)name_size);
    rw_store_u16(h + 28, (uint16_t)(wide_size + 4 + padding));
    uint8_t *extra = h + LOCAL_SIZE;
    if (wide) {
        rw_store_u16(extra, EXTRA_ZIP64);
        rw_store_u16(extra + 2, 16);
        rw_store_u64(extra + 4, size);
        rw_store_u64(extra + 12, size);
    }
    rw_store_u16(extra + wide_size, EXTRA_PADDING);
    rw_store_u16(extra + wide_size + 2, (uint16_t)padding);
    RW_TRY(rw_output_write(o, h, LOCAL_SIZE, err));
    RW_TRY(rw_output_write(o, m->name, name_size, err));
    RW_TRY(rw_output_write(o, extra, wide_size + 4, err));
    return rw_output_write(o, zeros, padding, err);
}

static rwkv_status put_member(struct rw_writer *w, struct pth *self, const char *name,
                              const char *bytes, size_t size, rwkv_error *err)
{
    RW_TRY(begin_member(w, self, name, size, rw_crc32(0, bytes, size), err));
    return rw_output_write(rw_writer_output(w), bytes, size, err);
}

/* --- the directory --- */

static rwkv_status put_central(struct rw_output *o, const struct member *m, rwkv_error *err)
{
    bool wide_size = m->size >= UINT32_MAX, wide_local = m->local >= UINT32_MAX;
    uint8_t extra[4 + 24];
    size_t n = 4;
    if (wide_size) {
        rw_store_u64(extra + n, m->size);
        rw_store_u64(extra + n + 8, m->size);
        n += 16;
    }
    if (wide_local) {
        rw_store_u64(extra + n, m->local);
        n += 8;
    }
    rw_store_u16(extra, EXTRA_ZIP64);
    rw_store_u16(extra + 2, (uint16_t)(n - 4));
    n = n > 4 ? n : 0;

    uint16_t version = n ? VERSION_ZIP64 : VERSION_PLAIN;
    size_t name_size = strlen(m->name);
    uint8_t h[CENTRAL_SIZE] = "PK\x01\x02";
    rw_store_u16(h + 4, version);
    rw_store_u16(h + 6, version);
    rw_store_u16(h + 14, DATE);
    rw_store_u32(h + 16, m->crc);
    rw_store_u32(h + 20, narrow32(m->size));
    rw_store_u32(h + 24, narrow32(m->size));
    rw_store_u16(h + 28, (uint16_t)name_size);
    rw_store_u16(h + 30, (uint16_t)n);
    rw_store_u32(h + 42, narrow32(m->local));
    RW_TRY(rw_output_write(o, h, sizeof h, err));
    RW_TRY(rw_output_write(o, m->name, name_size, err));
    return rw_output_write(o, extra, n, err);
}

/* The end record, with its zip64 form before it where that is needed. */
static rwkv_status put_end(struct rw_output *o, uint64_t members, uint64_t directory,
                           rwkv_error *err)
{
    uint64_t at = rw_output_position(o), size = at - directory;
    if (members >= UINT16_MAX || size >= UINT32_MAX || directory >= UINT32_MAX) {
        uint8_t e[END64_SIZE + LOCATOR64_SIZE] = "PK\x06\x06";
        rw_store_u64(e + 4, END64_SIZE - 12);
        rw_store_u16(e + 12, VERSION_ZIP64);
        rw_store_u16(e + 14, VERSION_ZIP64);
        rw_store_u64(e + 24, members);
        rw_store_u64(e + 32, members);
        rw_store_u64(e + 40, size);
        rw_store_u64(e + 48, directory);
        memcpy(e + END64_SIZE, "PK\x06\x07", 4);
        rw_store_u64(e + END64_SIZE + 8, at);
        rw_store_u32(e + END64_SIZE + 16, 1);
        RW_TRY(rw_output_write(o, e, sizeof e, err));
    }
    uint8_t e[END_SIZE] = "PK\x05\x06";
    rw_store_u16(e + 8, narrow16(members));
    rw_store_u16(e + 10, narrow16(members));
    rw_store_u32(e + 12, narrow32(size));
    rw_store_u32(e + 16, narrow32(directory));
    return rw_output_write(o, e, sizeof e, err);
}

/* --- the steps --- */

/* What a .pth cannot hold, or our reader would not take back. */
static rwkv_status check_plan(struct rw_writer *w, rwkv_error *err)
{
    const struct rw_write_plan *plan = rw_writer_plan(w);
    for (size_t i = 0; i < plan->n_tensors; i++) {
        const struct rw_named_tensor *t = &plan->tensors[i];
        const struct rw_dtype_info *dtype = rw_dtype(t->tensor.dtype);
        if (!dtype->torch)
            return rw_fail(err, RWKV_ERROR_UNSUPPORTED,
                           "%s: tensor %s: a type that torch has wanted, %s found",
                           rw_writer_path(w), t->name, dtype->name);
        if (strlen(t->name) > RW_PTH_MAX_NAME)
            return rw_fail(err, RWKV_ERROR_ARGUMENT,
                           "%s: tensor %s: a name of at most %d bytes wanted", rw_writer_path(w),
                           t->name, RW_PTH_MAX_NAME);
    }
    return RWKV_OK;
}

static rwkv_status begin(struct rw_writer *w, void *user, rwkv_error *err)
{
    struct pth *self = user;
    const struct rw_write_plan *plan = rw_writer_plan(w);
    RW_TRY(check_plan(w, err));
    struct rw_str pickle = {0};
    put_pickle(&pickle, plan);
    self->members = rw_alloc(plan->n_tensors + 3, sizeof *self->members);
    rwkv_status status;
    if (pickle.failed || !self->members)
        status = rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory to list %zu tensors",
                         rw_writer_path(w), plan->n_tensors);
    else
        status = put_member(w, self, "data.pkl", pickle.data, pickle.size, err);
    rw_str_fini(&pickle);
    RW_TRY(status);
    return put_member(w, self, "byteorder", "little", 6, err);
}

static rwkv_status before(struct rw_writer *w, void *self, size_t i, rwkv_error *err)
{
    char name[32];
    snprintf(name, sizeof name, "data/%zu", i);
    return begin_member(w, self, name, rw_tensor_bytes(&rw_writer_plan(w)->tensors[i].tensor), 0,
                        err);
}

static rwkv_status after(struct rw_writer *w, void *user, size_t i, rwkv_error *err)
{
    struct pth *self = user;
    struct member *m = &self->members[self->n_members - 1];
    uint8_t bytes[4];
    m->crc = rw_writer_crc(w);
    rw_store_u32(bytes, m->crc);
    return rw_output_patch(rw_writer_output(w), m->local + CRC_AT, bytes, sizeof bytes, err);
}

static rwkv_status end(struct rw_writer *w, void *user, rwkv_error *err)
{
    struct pth *self = user;
    struct rw_output *o = rw_writer_output(w);
    RW_TRY(put_member(w, self, "version", "3\n", 2, err));
    uint64_t directory = rw_output_position(o);
    for (size_t i = 0; i < self->n_members; i++)
        RW_TRY(put_central(o, &self->members[i], err));
    return put_end(o, self->n_members, directory, err);
}

static void fini(struct rw_writer *w, void *user)
{
    struct pth *self = user;
    rw_free(self->members);
}

const struct rw_writer_ops rw_pth_writer = {
    .size = sizeof(struct pth),
    .begin = begin,
    .tensor = before,
    .after = after,
    .end = end,
    .fini = fini,
};
