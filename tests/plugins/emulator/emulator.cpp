/* SPDX-License-Identifier: Apache-2.0 */
#include "cuda_runtime.h"

#include <csetjmp>
#include <cstdlib>
#include <mutex>
#include <sys/mman.h>
#include <ucontext.h>
#include <vector>

extern "C" {
#include "base/half.h"
}

dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace
{
constexpr size_t STACK = 64 << 10;
constexpr size_t THREADS = 1024;
constexpr size_t SHARED = 96 << 10;
constexpr size_t MEMORY = (size_t)4 << 30; /* of address space */
constexpr size_t PAGE = 4096;

enum class state { ready, at_warp, at_block, done };

/* A fiber begins by swapcontext, which asks the system to change the signal mask, and from then on
 * goes and comes by jumps, which do not: from one kernel to the next it stays the same. */
struct fiber {
    ucontext_t begin;
    std::jmp_buf at;
    bool begun;
    state is;
    dim3 index;
};

struct block {
    std::vector<fiber> fibers;
    char *stacks = nullptr;
    size_t n_fibers = 0;
    size_t n = 0, now = 0;
    ucontext_t first;
    std::jmp_buf scheduler;
    const std::function<void()> *thread = nullptr;
    alignas(64) char warp[32][64 * 32];
    alignas(64) char shared[SHARED];
} running;

std::recursive_mutex device; /* one kernel or copy at a time */

[[noreturn]] void die(const char *what)
{
    std::fprintf(stderr, "emulator: %s (block %u %u %u, thread %u)\n", what, blockIdx.x, blockIdx.y,
                 blockIdx.z, threadIdx.x);
    std::abort();
}

/* Back to the scheduler, until it comes here again. */
void pause(state why)
{
    fiber &f = running.fibers[running.now];
    f.is = why;
    if (_setjmp(f.at) == 0)
        _longjmp(running.scheduler, 1);
}

void run_threads()
{
    for (;;) {
        (*running.thread)();
        pause(state::done);
    }
}

/* Let the fiber go on until it pauses. */
__attribute__((noinline)) void resume(fiber &f)
{
    if (_setjmp(running.scheduler) != 0)
        return;
    if (f.begun)
        _longjmp(f.at, 1);
    f.begun = true;
    swapcontext(&running.first, &f.begin);
}

/* Let all that wait at `why` go on, if all of [begin, end) that are not done do. */
bool release(size_t begin, size_t end, state why)
{
    bool any = false;
    for (size_t i = begin; i < end; i++) {
        if (running.fibers[i].is != why && running.fibers[i].is != state::done)
            return false;
        any = any || running.fibers[i].is == why;
    }
    for (size_t i = begin; i < end; i++)
        if (running.fibers[i].is == why)
            running.fibers[i].is = state::ready;
    return any;
}

void prepare_fibers(size_t n)
{
    if (!running.stacks) {
        void *p = mmap(nullptr, THREADS * STACK, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED)
            die("no memory for stacks");
        running.stacks = static_cast<char *>(p);
        running.fibers.resize(THREADS);
    }
    for (; running.n_fibers < n; running.n_fibers++) {
        fiber &f = running.fibers[running.n_fibers];
        f.begun = false;
        getcontext(&f.begin);
        f.begin.uc_stack.ss_sp = running.stacks + running.n_fibers * STACK;
        f.begin.uc_stack.ss_size = STACK;
        f.begin.uc_link = nullptr;
        makecontext(&f.begin, run_threads, 0);
    }
}

/* Every thread that can go on does so until it waits. False: there was none. */
bool run_ready()
{
    bool any = false;
    for (size_t i = 0; i < running.n; i++) {
        fiber &f = running.fibers[i];
        if (f.is != state::ready)
            continue;
        any = true;
        running.now = i;
        threadIdx = f.index;
        resume(f);
    }
    return any;
}

void run_block()
{
    running.n = (size_t)blockDim.x * blockDim.y * blockDim.z;
    prepare_fibers(running.n);
    for (size_t i = 0; i < running.n; i++) {
        fiber &f = running.fibers[i];
        f.is = state::ready;
        f.index = dim3((unsigned)i % blockDim.x, (unsigned)i / blockDim.x % blockDim.y,
                       (unsigned)i / blockDim.x / blockDim.y);
    }
    for (;;) {
        bool any = run_ready();
        for (size_t i = 0; i < running.n; i += 32)
            any |= release(i, i + 32 < running.n ? i + 32 : running.n, state::at_warp);
        any |= release(0, running.n, state::at_block);
        if (any)
            continue;
        for (size_t i = 0; i < running.n; i++)
            if (running.fibers[i].is != state::done)
                die("not all threads come to a synchronization");
        return;
    }
}

/* --- memory ----------------------------------------------------------------------------------- */

struct region {
    char *base = nullptr;
    size_t used = 0;
} memory;

void open_memory(int protection)
{
    if (memory.used > 0 && mprotect(memory.base, memory.used, protection) != 0)
        die("mprotect");
}

/* While it lives, device memory can be touched. */
struct access {
    std::lock_guard<std::recursive_mutex> guard{device};
    access()
    {
        open_memory(PROT_READ | PROT_WRITE);
    }
    ~access()
    {
        open_memory(PROT_NONE);
    }
};

bool is_device(const void *p)
{
    const char *c = static_cast<const char *>(p);
    return memory.base && c >= memory.base && c < memory.base + memory.used;
}
} // namespace

void __syncthreads()
{
    pause(state::at_block);
}

void __syncwarp(unsigned)
{
    pause(state::at_warp);
}

namespace emulator
{
float number(bool bf16, uint32_t pair, unsigned which)
{
    uint16_t bits = (uint16_t)(which ? pair >> 16 : pair);
    return bf16 ? rw_bf16_to_f32(bits) : rw_f16_to_f32(bits);
}

unsigned lane()
{
    return (unsigned)running.now % 32;
}

void *warp_memory()
{
    return running.warp[running.now / 32];
}

void launch(dim3 grid, dim3 block, size_t shared, const std::function<void()> &thread)
{
    access on;
    if (shared > SHARED || (size_t)block.x * block.y * block.z > THREADS)
        die("a block that is too large");
    gridDim = grid;
    blockDim = block;
    running.thread = &thread;
    for (unsigned z = 0; z < grid.z; z++)
        for (unsigned y = 0; y < grid.y; y++)
            for (unsigned x = 0; x < grid.x; x++) {
                blockIdx = dim3(x, y, z);
                std::memset(running.shared, 0xff, shared); /* NaN: nothing is zero by itself */
                run_block();
            }
}
} // namespace emulator

/* --- the runtime ------------------------------------------------------------------------------ */

const char *cudaGetErrorString(cudaError_t error)
{
    return error == cudaErrorMemoryAllocation ? "out of memory" : "invalid value";
}

cudaError_t cudaGetLastError()
{
    return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *count)
{
    *count = 2;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *prop, int device_index)
{
    *prop = {};
    std::snprintf(prop->name, sizeof prop->name, "emulated GPU %d", device_index);
    prop->totalGlobalMem = MEMORY;
    prop->major = 8;
    prop->multiProcessorCount = 4;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int)
{
    return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *free, size_t *total)
{
    *free = MEMORY - memory.used;
    *total = MEMORY;
    return cudaSuccess;
}

cudaError_t cudaMalloc(void **p, size_t bytes)
{
    std::lock_guard<std::recursive_mutex> guard(device);
    if (!memory.base) {
        void *base =
            mmap(nullptr, MEMORY, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (base == MAP_FAILED)
            return cudaErrorMemoryAllocation;
        memory.base = static_cast<char *>(base);
    }
    size_t size = (bytes + PAGE - 1) / PAGE * PAGE;
    if (size > MEMORY - memory.used)
        return cudaErrorMemoryAllocation;
    *p = memory.base + memory.used;
    memory.used += size;
    access on;
    std::memset(*p, 0xff, size); /* as little zero as a real one's */
    return cudaSuccess;
}

cudaError_t cudaFree(void *)
{
    return cudaSuccess; /* address space is plenty */
}

cudaError_t cudaMallocHost(void **p, size_t bytes)
{
    *p = std::malloc(bytes);
    return *p ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudaError_t cudaFreeHost(void *p)
{
    std::free(p);
    return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t)
{
    access on;
    if (bytes > 0 && (is_device(to) != (kind != cudaMemcpyDeviceToHost) ||
                      is_device(from) != (kind != cudaMemcpyHostToDevice)))
        die("a copy in another direction than said");
    std::memcpy(to, from, bytes);
    return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *p, int value, size_t bytes, cudaStream_t)
{
    access on;
    if (bytes > 0 && !is_device(p))
        die("memset of memory that is not the device's");
    std::memset(p, value, bytes);
    return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned)
{
    *stream = reinterpret_cast<cudaStream_t>(1);
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t)
{
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t)
{
    return cudaSuccess;
}
