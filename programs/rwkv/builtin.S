/* SPDX-License-Identifier: Apache-2.0 */
/* The built-in model as read-only data: see builtin.h. RW_BUILTIN_FILE is the path of the file. */
#if defined(__APPLE__)
#error "only ELF systems are supported"
#endif
    .section .rodata
    .global rw_builtin_model
    .type rw_builtin_model, %object
    .balign 64
rw_builtin_model:
    .incbin RW_BUILTIN_FILE
1:
    .size rw_builtin_model, 1b - rw_builtin_model

    .global rw_builtin_model_size
    .type rw_builtin_model_size, %object
    .balign 8
rw_builtin_model_size:
    .quad 1b - rw_builtin_model
    .size rw_builtin_model_size, 8

    .section .note.GNU-stack, "", %progbits
