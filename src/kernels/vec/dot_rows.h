/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of a weight that are laid side by side; see vec/dot.h. */
#ifndef RW_KERNELS_VEC_DOT_ROWS_H
#define RW_KERNELS_VEC_DOT_ROWS_H

#include "kernels/vec/base.h"

#define IMAGE_DWORD (RW_PANEL_ROWS * 4) /* bytes of one dword of each row */
#define IMAGE_HALF (RW_PANEL_ROWS * 2)

/* 16 rows of a block, by as few pointers as can address them all: rows 4i … of pointer i. */
struct image_rows {
    const uint8_t *first[4];
    size_t stride, stride3;
};

VEC const uint8_t *image_row(const struct image_rows *rows, const size_t r)
{
    const uint8_t *first = rows->first[r % 4];
    return r / 4 == 3 ? first + 4 * rows->stride3 : first + r / 4 * 4 * rows->stride;
}

#endif
