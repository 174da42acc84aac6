/* SPDX-License-Identifier: Apache-2.0 */
/* What the reader and the writer of .bin/.idx share: the layout of the .idx. */
#ifndef RW_FORMATS_BINIDX_INT_H
#define RW_FORMATS_BINIDX_INT_H

#define BINIDX_MAGIC "MMIDIDX\0" /* and the terminator: nine bytes */
#define BINIDX_MAGIC_SIZE 9
#define BINIDX_VERSION 1
#define BINIDX_HEADER (BINIDX_MAGIC_SIZE + 8 + 1 + 8 + 8) /* magic, version, type, two counts */

enum { BINIDX_CODE_I32 = 4, BINIDX_CODE_U16 = 8 };

#endif
