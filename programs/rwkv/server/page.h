/* SPDX-License-Identifier: Apache-2.0 */
/* The files of the chat page, web/dist, as they were when the program was built. */
#ifndef RW_SERVER_PAGE_H
#define RW_SERVER_PAGE_H

#include <stddef.h>

struct rw_page_file {
    const char *name; /* "page.js" */
    const char *type; /* of its content */
    const char *tag;  /* its ETag, in quotes: other bytes, another tag */
    const unsigned char *data;
    size_t size;
};

extern const struct rw_page_file rw_page_files[]; /* [rw_n_page_files] */
extern const size_t rw_n_page_files;

#endif
