/* SPDX-License-Identifier: Apache-2.0 */
#include "text/chat.h"

#include <string.h>

#include "base/status.h"

rwkv_status rwkv_chat_render(const rwkv_message *messages, size_t n_messages, rwkv_think think,
                             char *text, size_t capacity, size_t *size, rwkv_error *err)
{
    if ((!messages && n_messages) || (!text && capacity) || !size)
        return rw_fail(err, RWKV_ERROR_ARGUMENT,
                       "rwkv_chat_render: messages, text or size is NULL");
    struct rw_str s = {0};
    rwkv_status status = rw_chat_render(messages, n_messages, think, &s, err);
    if (status == RWKV_OK) {
        if (capacity)
            memcpy(text, s.data,
                   RW_MIN(s.size + 1, capacity)); /* with the terminator, if it fits */
        *size = s.size;
    }
    rw_str_fini(&s);
    return status;
}
