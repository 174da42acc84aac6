/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/plugin.h"

#include <dlfcn.h>
#include <string.h>

#include "base/env.h"
#include "base/status.h"

#define LIBRARY "librwkv-cuda.so"

static rwkv_status check(const struct rw_plugin *p, const char *path, rwkv_error *err)
{
    if (p->abi != RW_PLUGIN_ABI || p->ops_bytes != sizeof(struct rw_backend_ops) ||
        strcmp(p->version, RW_VERSION) != 0)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED,
                       "cuda: %s is of another build: wanted version %s, found %s", path,
                       RW_VERSION, p->abi == RW_PLUGIN_ABI ? p->version : "an unknown one");
    return RWKV_OK;
}

rwkv_status rw_plugin_find(const struct rw_plugin **out, rwkv_error *err)
{
    char name[64];
    const char *path = rw_env_setting("RWKV_", "cuda-plugin", name, sizeof name);
    path = path ? path : LIBRARY;
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!library)
        return rw_fail(err, RWKV_ERROR_UNSUPPORTED, "cuda: cannot open the plugin: %s", dlerror());
    const struct rw_plugin *found = dlsym(library, RW_PLUGIN_SYMBOL);
    rwkv_status status = found
                             ? check(found, path, err)
                             : rw_fail(err, RWKV_ERROR_UNSUPPORTED,
                                       "cuda: %s is no plugin: it has no " RW_PLUGIN_SYMBOL, path);
    dlclose(library); /* it stays all the same */
    *out = found;
    return status;
}

rwkv_status rw_plugin_count(size_t *n, rwkv_error *err)
{
    const struct rw_plugin *p;
    *n = 0;
    RW_TRY(rw_plugin_find(&p, err));
    return p->count(n, err);
}

/* The plugin, if it has a device `index`. */
static rwkv_status find_with(const struct rw_plugin **out, size_t index, rwkv_error *err)
{
    size_t n;
    RW_TRY(rw_plugin_find(out, err));
    RW_TRY((*out)->count(&n, err));
    if (index >= n)
        return rw_fail(err, RWKV_ERROR_ARGUMENT, "cuda:%zu: wanted one of the %zu devices here",
                       index, n);
    return RWKV_OK;
}

rwkv_status rw_plugin_describe(size_t index, rwkv_gpu *out, rwkv_error *err)
{
    const struct rw_plugin *p;
    *out = (rwkv_gpu){0};
    RW_TRY(find_with(&p, index, err));
    return p->describe(index, out, err);
}

rwkv_status rw_backend_cuda_new(struct rw_backend **out, size_t index, rwkv_error *err)
{
    const struct rw_plugin *p;
    RW_TRY(find_with(&p, index, err));
    return p->open(out, index, err);
}
