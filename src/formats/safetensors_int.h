/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files that read safetensors: one file, and what lies around it in a folder. */
#ifndef RW_FORMATS_SAFETENSORS_INT_H
#define RW_FORMATS_SAFETENSORS_INT_H

#include "formats/format.h"
#include "formats/json.h"

/* Read the safetensors file file->maps[map]: add its tensors and, if wanted, its metadata.
 * part->path is given, the rest of `part` is filled. The layout of the data remains to be checked.
 */
rwkv_status rw_safetensors_read_part(struct rw_file *file, size_t map, struct rw_part *part,
                                     bool keep_metadata, rwkv_error *err);

/* maps[0] is the index of a model in several files: map, read and check them all. */
rwkv_status rw_safetensors_read_index(struct rw_file *file, rwkv_error *err);

/* Add the scalars of a config.json beside the file, if there is one, as metadata "config.KEY". */
rwkv_status rw_safetensors_add_config(struct rw_file *file, rwkv_error *err);

/* Make `meta` a string: a copy of a JSON string, kept with the file. */
rwkv_status rw_safetensors_keep_string(struct rw_file *file, const json_t *value,
                                       struct rw_meta *meta, rwkv_error *err);

extern const struct rw_writer_ops rw_safetensors_writer;

#endif
