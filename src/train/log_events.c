/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TensorBoard's event files. A file is a row of records in the form of TFRecord
 * (tensorflow.org/tutorials/load_data/tfrecord):
 *
 *     u64 length, u32 check of the length, data [length], u32 check of the data
 *
 * little endian, a check being the CRC-32C rotated right by 15 bits plus 0xa282ead8. The data is a
 * protocol buffer, Event of tensorflow/core/util/event.proto; of it and of what it contains these
 * fields are written:
 *
 *     Event          1 double wall_time, 2 int64 step, 3 string file_version, 5 Summary summary,
 *                    7 SessionLog session_log
 *     SessionLog     1 enum status (1: START)
 *     Summary        1 repeated Value; of it 1 string tag, 2 float simple_value, 8 TensorProto
 *                    tensor, 9 SummaryMetadata metadata
 *     TensorProto    1 enum dtype (7: string), 2 shape, 8 repeated bytes string_val
 *     shape          2 repeated Dim; of it 1 int64 size
 *     SummaryMetadata 1 PluginData; of it 1 string plugin_name
 *
 * A run started again writes a new file, whose START makes readers forget later steps of others.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/status.h"
#include "base/utf8.h"
#include "train/log_int.h"

#define MAX_NAMES 1000 /* files of one second */

enum wire { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

/* --- protocol buffers ------------------------------------------------------------------------- */

static void add_varint(struct rw_str *to, uint64_t x)
{
    for (; x >= 0x80; x >>= 7)
        rw_str_addc(to, (char)(x | 0x80));
    rw_str_addc(to, (char)x);
}

static void add_fixed(struct rw_str *to, uint64_t x, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        rw_str_addc(to, (char)(x >> (8 * i)));
}

static void add_key(struct rw_str *to, unsigned field, enum wire wire)
{
    add_varint(to, (uint64_t)field << 3 | wire);
}

static void add_number(struct rw_str *to, unsigned field, uint64_t x)
{
    add_key(to, field, VARINT);
    add_varint(to, x);
}

static void add_double(struct rw_str *to, unsigned field, double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    add_key(to, field, FIXED64);
    add_fixed(to, bits, 8);
}

static void add_float(struct rw_str *to, unsigned field, float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    add_key(to, field, FIXED32);
    add_fixed(to, bits, 4);
}

static void add_bytes(struct rw_str *to, unsigned field, const void *bytes, size_t n)
{
    add_key(to, field, BYTES);
    add_varint(to, n);
    rw_str_add(to, bytes, n);
}

/* A message as a field of another; it is done with. */
static void add_message(struct rw_str *to, unsigned field, struct rw_str *message)
{
    to->failed = to->failed || message->failed;
    add_bytes(to, field, message->data, message->size);
    rw_str_fini(message);
}

/* --- records ---------------------------------------------------------------------------------- */

static uint32_t masked(const void *bytes, size_t n)
{
    uint32_t crc = rw_crc32c(bytes, n);
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

/* Append an event to the file; it is done with. */
static rwkv_status write_event(struct rw_log_events *e, struct rw_str *event, rwkv_error *err)
{
    struct rw_str *record = &e->record;
    rw_str_reset(record);
    add_fixed(record, event->size, 8);
    if (!record->failed)
        add_fixed(record, masked(record->data, 8), 4);
    rw_str_add(record, event->data, event->size);
    add_fixed(record, masked(event->data, event->size), 4);
    bool failed = record->failed || event->failed;
    rw_str_fini(event);
    if (failed)
        return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory for a record", e->path);
    return rw_log_append(e->fd, e->path, record->data, record->size, err);
}

static struct rw_str begin_event(double time, uint64_t step)
{
    struct rw_str event = {0};
    add_double(&event, 1, time);
    if (step)
        add_number(&event, 2, step);
    return event;
}

/* --- files ------------------------------------------------------------------------------------ */

/* Readers take files in the order of their names. */
static rwkv_status create(struct rw_log_events *e, const char *folder, double time, rwkv_error *err)
{
    for (int i = 0; i < MAX_NAMES; i++) {
        struct rw_str path = {0};
        rw_str_printf(&path, "%s/events.out.tfevents.%010.0f.rwkv.%03d", folder, floor(time), i);
        e->path = rw_str_take(&path);
        if (!e->path)
            return rw_fail(err, RWKV_ERROR_MEMORY, "%s: no memory for a path", folder);
        e->fd = open(e->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (e->fd >= 0)
            return RWKV_OK;
        if (errno != EEXIST)
            break;
        rw_free(e->path);
        e->path = NULL;
    }
    return rw_fail(err, RWKV_ERROR_IO, "%s: cannot create a file for TensorBoard: %s", folder,
                   strerror(errno));
}

rwkv_status rw_log_events_open(struct rw_log_events *events, const char *folder, double time,
                               uint64_t first_step, rwkv_error *err)
{
    static const char version[] = "brain.Event:2";
    RW_TRY(create(events, folder, time, err));
    struct rw_str event = begin_event(time, 0);
    add_bytes(&event, 3, version, sizeof version - 1);
    RW_TRY(write_event(events, &event, err));
    struct rw_str session = {0};
    event = begin_event(time, first_step);
    add_number(&session, 1, 1);
    add_message(&event, 7, &session);
    return write_event(events, &event, err);
}

void rw_log_events_close(struct rw_log_events *events)
{
    if (events->fd >= 0)
        close(events->fd);
    rw_free(events->path);
    rw_str_fini(&events->record);
    *events = (struct rw_log_events){.fd = -1};
}

rwkv_status rw_log_events_scalars(struct rw_log_events *events, double time, uint64_t step,
                                  const struct rw_log_field *fields, size_t n, rwkv_error *err)
{
    struct rw_str event = begin_event(time, step), summary = {0};
    for (size_t i = 0; i < n; i++) {
        struct rw_str value = {0};
        if (!fields[i].tag || !isfinite(fields[i].value))
            continue;
        add_bytes(&value, 1, fields[i].tag, strlen(fields[i].tag));
        add_float(&value, 2, (float)fields[i].value);
        add_message(&summary, 1, &value);
    }
    add_message(&event, 5, &summary);
    return write_event(events, &event, err);
}

/* Readers want UTF-8: what is none becomes U+FFFD. */
static void add_text(struct rw_str *to, unsigned field, const char *text, size_t size)
{
    struct rw_str valid = {0};
    for (size_t at = 0, n; at < size; at += n) {
        uint32_t code;
        enum rw_utf8_kind kind = rw_utf8_next((const uint8_t *)text + at, size - at, &n, &code);
        if (kind == RW_UTF8_PARTIAL)
            n = size - at;
        if (kind == RW_UTF8_CHAR)
            rw_str_add(&valid, text + at, n);
        else
            rw_str_adds(&valid, "\xef\xbf\xbd");
    }
    add_message(to, field, &valid);
}

rwkv_status rw_log_events_text(struct rw_log_events *events, double time, uint64_t step,
                               const char *tag, const char *text, size_t size, rwkv_error *err)
{
    static const char plugin_name[] = "text";
    struct rw_str event = begin_event(time, step), summary = {0}, value = {0};
    struct rw_str tensor = {0}, shape = {0}, dim = {0}, metadata = {0}, plugin = {0};
    add_number(&dim, 1, 1);
    add_message(&shape, 2, &dim);
    add_number(&tensor, 1, 7);
    add_message(&tensor, 2, &shape);
    add_text(&tensor, 8, text, size);
    add_bytes(&plugin, 1, plugin_name, sizeof plugin_name - 1);
    add_message(&metadata, 1, &plugin);
    add_bytes(&value, 1, tag, strlen(tag));
    add_message(&value, 8, &tensor);
    add_message(&value, 9, &metadata);
    add_message(&summary, 1, &value);
    add_message(&event, 5, &summary);
    return write_event(events, &event, err);
}
