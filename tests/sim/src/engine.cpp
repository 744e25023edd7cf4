#include "engine.h"

#include "counters.h"
#include "faults.h"
#include "fiber.h"
#include "memory.h"
#include "source.h"
#include "status.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <sys/mman.h>
#include <vector>

namespace cusim {

Builtins builtins;
uintptr_t own_stack;
unsigned running_thread = NO_THREAD;

namespace {

enum class State : uint8_t {
    Fresh,   // has not begun
    Ready,   // stopped on its fiber, may continue
    AtWarp,  // waits for other lanes of its warp
    AtBlock, // waits at __syncthreads
    Done,
};

struct AsyncCopy {
    void* to;
    const void* from;
    unsigned bytes, valid, group;
    Where where;
};

// What the engine keeps for a thread that waits. A thread that runs to its end without waiting uses only the
// arrays `states` and `indices` below.
struct Thread {
    uint32_t block; // the block that the other fields were set up for
    Fiber* fiber;
    Where where; // where it waits

    // at a block barrier
    Barrier barrier;
    int predicate, result;

    // at a warp operation
    const WarpOp* op;
    unsigned mask;
    void* data;
    bool completes; // the last missing lane has exited, so this thread was woken to run the operation

    uint32_t warp_syncs;
    unsigned copy_group; // the group that cp.async adds to
    std::vector<AsyncCopy> copies;
};

constexpr unsigned MAX_THREADS = 1024, LANES = 32;
Thread threads[MAX_THREADS];
State states[MAX_THREADS];
uint3 indices[MAX_THREADS];
unsigned thread_count, done_count;

// The running launch.
const Kernel* kernel;
void* const* kernel_arguments;
Shape shape;
Outcome outcome;
uint32_t blocks_run, launch_first_block, barriers_passed;

// ---- fibers ---------------------------------------------------------------------------------------------

Fiber scheduler;
std::vector<Fiber*> idle;
unsigned fibers_made;
Fiber* running;         // the fiber that runs now or ran last
unsigned next_to_start; // the thread that an idle fiber begins with when it is switched to

// The lanes of the warp that runs now, in the order of this pass.
unsigned lanes[LANES], lane_count, cursor;

void to_scheduler() {
    running_thread = NO_THREAD;
    switch_fiber(*running, scheduler);
}

void make_current(unsigned id) {
    running_thread = id;
    builtins.thread_index = indices[id];
}

// A fiber runs one thread after another as long as they end without waiting. So a kernel without barriers
// costs one call per thread and no switch. Only a thread that waits keeps its fiber.
[[noreturn]] void fiber_main() {
    for (;;) {
        for (unsigned id = next_to_start;; id = lanes[cursor++]) {
            make_current(id);
            kernel->call(kernel_arguments);
            states[id] = State::Done;
            done_count++;
            if (cursor == lane_count || states[lanes[cursor]] != State::Fresh) break;
        }
        idle.push_back(running);
        to_scheduler();
    }
}

// Lets a thread run until it waits, ends or fails.
void resume(unsigned id) {
    if (states[id] == State::Fresh) {
        if (idle.empty()) {
            auto* fiber = new Fiber;
            fiber->create(fiber_main, fibers_made++);
            idle.push_back(fiber);
        }
        running = idle.back();
        idle.pop_back();
        next_to_start = id;
    } else {
        running = threads[id].fiber;
        make_current(id);
    }
    own_stack = reinterpret_cast<uintptr_t>(running->stack);
    switch_fiber(scheduler, *running);
}

// The running thread's entry; resets it at its first use in a block.
Thread& current_thread() {
    Thread& t = threads[running_thread];
    if (t.block != blocks_run + 1) {
        t.block = blocks_run + 1;
        t.completes = false;
        t.warp_syncs = 0;
        t.copy_group = 0;
        t.copies.clear();
    }
    return t;
}

// Stops the running thread until the scheduler resumes it.
void wait_as(State state) {
    states[running_thread] = state;
    threads[running_thread].fiber = running;
    to_scheduler();
}

// ---- the order of turns ---------------------------------------------------------------------------------

uint64_t random_state;
unsigned random_below(unsigned n) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return unsigned(random_state % n);
}

// first .. first + n - 1, in the order that CUSIM_ORDER sets.
void fill_order(unsigned* order, unsigned first, unsigned n) {
    std::iota(order, order + n, first);
    if (options().order == Order::Reverse) std::reverse(order, order + n);
    if (options().order == Order::Random)
        for (unsigned k = n; k > 1; k--) std::swap(order[k - 1], order[random_below(k)]);
}

// ---- warps ----------------------------------------------------------------------------------------------

unsigned warp_begin(unsigned id) { return id & ~(LANES - 1); }
unsigned id_of(const Thread& t) { return unsigned(&t - threads); }
State state_of(const Thread& t) { return states[id_of(t)]; }

// The lanes of `mask` that can still arrive: those that exist and have not exited.
unsigned live_lanes(unsigned first, unsigned mask) {
    if (done_count == 0 && first + LANES <= thread_count) return mask;
    for (unsigned lane = 0; lane < LANES; lane++)
        if (first + lane >= thread_count || states[first + lane] == State::Done) mask &= ~(1u << lane);
    return mask;
}

bool waits_at_same(const Thread& a, const Thread& b) {
    return state_of(b) == State::AtWarp && b.op == a.op && b.mask == a.mask && b.where.line == a.where.line;
}

// True if all lanes that `t` waits for have arrived. Starts from the last lane, because that one is missing
// most often.
bool is_complete(const Thread& t) {
    const unsigned first = warp_begin(id_of(t)), wanted = live_lanes(first, t.mask);
    for (unsigned lane = LANES; lane-- > 0;)
        if (wanted >> lane & 1 && &threads[first + lane] != &t && !waits_at_same(t, threads[first + lane]))
            return false;
    return true;
}

// Runs the operation on the data of all its lanes, then makes them ready. A thread must call this, not the
// scheduler, because `operate` may fail and fail() ends the running thread.
void complete(Thread& t) {
    const unsigned first = warp_begin(id_of(t)), mask = live_lanes(first, t.mask);
    void* data[LANES] = {};
    uint32_t syncs = 0;
    for (unsigned lane = 0; lane < LANES; lane++)
        if (mask >> lane & 1) {
            data[lane] = threads[first + lane].data;
            syncs = std::max(syncs, threads[first + lane].warp_syncs);
        }
    count_code_of_kernel(false);
    t.op->operate(data, t.mask);
    count_code_of_kernel(true);
    count_operation(t.op->name, t.where);
    if (mask == live_lanes(first, ~0u)) count_warp_point();
    for (unsigned lane = 0; lane < LANES; lane++)
        if (mask >> lane & 1) {
            states[first + lane] = State::Ready;
            if (t.op->orders_memory) threads[first + lane].warp_syncs = syncs + 1;
        }
}

std::string place(const Where& w) { return std::string(w.file) + ":" + std::to_string(w.line); }

std::string mask_text(unsigned mask) {
    char text[16];
    snprintf(text, sizeof text, "%08x", mask);
    return text;
}

std::string what_thread_does(unsigned id) {
    if (id >= thread_count)
        return "does not exist: the block has " + std::to_string(thread_count) + " threads";
    const Thread& t = threads[id];
    switch (states[id]) {
    case State::AtWarp:
        return "waits at " + std::string(t.op->name) + " at " + place(t.where) + " with mask " +
               mask_text(t.mask);
    case State::AtBlock: return "waits at __syncthreads at " + place(t.where);
    case State::Done: return "has exited";
    default: return "runs";
    }
}

void report(int status, unsigned thread, const std::string& what) {
    const uint3 b = builtins.block_index, t = indices[thread];
    char head[300];
    snprintf(head, sizeof head, "kernel %s, block (%u,%u,%u), thread (%u,%u,%u): ", kernel->name, b.x, b.y,
             b.z, t.x, t.y, t.z);
    outcome.status = status;
    outcome.report = head + what;
}

// Called when no lane of the warp can run. If one lane can now complete its operation, because a lane that it
// waited for has exited, makes it ready and returns true. Otherwise reports a lane that is stuck, if any.
bool settle_warp(unsigned first, unsigned count) {
    Thread* stuck = nullptr;
    for (unsigned lane = 0; lane < count; lane++) {
        Thread& t = threads[first + lane];
        if (state_of(t) != State::AtWarp) continue;
        if (is_complete(t)) {
            t.completes = true;
            states[first + lane] = State::Ready;
            return true;
        }
        if (!stuck) stuck = &t;
    }
    if (!stuck) return false;
    for (unsigned lane = 0; lane < LANES; lane++) {
        if (!(live_lanes(first, stuck->mask) >> lane & 1)) continue;
        Thread& other = threads[first + lane];
        if (&other == stuck || waits_at_same(*stuck, other)) continue;
        report(CUDA_ERROR_LAUNCH_FAILED, id_of(*stuck),
               "diverged warp: this lane " + what_thread_does(id_of(*stuck)) + ", but lane " +
                   std::to_string(lane) + " of that mask " + what_thread_does(first + lane));
        break;
    }
    return false;
}

// Runs the threads of a warp until each waits at a block barrier or has ended.
void run_warp(unsigned warp) {
    const unsigned first = warp * LANES;
    lane_count = std::min(LANES, thread_count - first);
    do {
        bool ran = true;
        while (ran) {
            ran = false;
            fill_order(lanes, first, lane_count);
            const unsigned done_before = done_count;
            for (cursor = 0; cursor < lane_count;) {
                const unsigned id = lanes[cursor++];
                if (states[id] != State::Fresh && states[id] != State::Ready) continue;
                ran = true;
                resume(id);
                if (outcome.status) return;
            }
            if (done_count - done_before == lane_count) return;
        }
    } while (settle_warp(first, lane_count));
}

// Ends a thread that has reported an error: the scheduler never resumes it.
[[noreturn]] void stop() {
    to_scheduler();
    abort();
}

// ---- blocks ---------------------------------------------------------------------------------------------

// Dynamic shared memory, rounded up to 16 bytes, ends at a page that must not be accessed. A pattern lies
// before its beginning.
constexpr size_t SHARED_PATTERN_BYTES = 64, GUARD = 4096;
constexpr size_t SHARED_AREA = (MAX_SHARED + SHARED_PATTERN_BYTES + GUARD - 1) / GUARD * GUARD;
constexpr unsigned char PATTERN = 0xeb, UNWRITTEN = 0xff;
char *shared_begin, *shared_end;

char* shared_area_end() {
    static char* const end = [] {
        void* p =
            mmap(nullptr, SHARED_AREA + GUARD, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        char* end = static_cast<char*>(p) + SHARED_AREA;
        if (p == MAP_FAILED || mprotect(end, GUARD, PROT_NONE)) abort();
        return end;
    }();
    return end;
}

void prepare_shared() {
    if (kernel->shared_begin)
        memset(kernel->shared_begin, UNWRITTEN, size_t(kernel->shared_end - kernel->shared_begin));
    const size_t bytes = (shape.shared_bytes + 15) / 16 * 16;
    shared_begin = shared_area_end() - bytes;
    shared_end = shared_begin + shape.shared_bytes;
    if (!bytes) return;
    memset(shared_begin - SHARED_PATTERN_BYTES, PATTERN, SHARED_PATTERN_BYTES);
    memset(shared_begin, UNWRITTEN, shape.shared_bytes);
    memset(shared_end, PATTERN, bytes - shape.shared_bytes);
}

void check_shared() {
    if (!shape.shared_bytes) return;
    for (const char* p = shared_begin - SHARED_PATTERN_BYTES; p < shared_area_end(); p++) {
        if (p == shared_begin) p = shared_end;
        if (p == shared_area_end() || static_cast<unsigned char>(*p) == PATTERN) continue;
        report(CUDA_ERROR_ILLEGAL_ADDRESS, 0,
               "some thread of this block wrote just outside of its " + std::to_string(shape.shared_bytes) +
                   " bytes of dynamic shared memory");
        return;
    }
}

// Called when every thread waits at a block barrier or has ended. If all wait at the same barrier, makes them
// ready and returns true. Returns false when the block is done or an error was reported.
bool pass_barrier() {
    if (done_count == thread_count) return false;
    Thread* first = nullptr;
    unsigned exited = thread_count, true_count = 0, waiting = 0;
    for (unsigned i = 0; i < thread_count; i++) {
        Thread& t = threads[i];
        if (states[i] == State::Done) {
            exited = std::min(exited, i);
            continue;
        }
        if (!first) first = &t;
        if (first->where.line != t.where.line || first->barrier != t.barrier) {
            report(CUDA_ERROR_LAUNCH_FAILED, i,
                   "diverged barrier: this thread " + what_thread_does(i) + ", but thread " +
                       std::to_string(id_of(*first)) + " waits at " + place(first->where));
            return false;
        }
        waiting++;
        true_count += t.predicate != 0;
    }
    if (exited < thread_count && options().strict) {
        report(CUDA_ERROR_LAUNCH_FAILED, id_of(*first),
               "missed barrier: this thread " + what_thread_does(id_of(*first)) + ", but thread " +
                   std::to_string(exited) + " has exited without coming there");
        return false;
    }
    for (unsigned i = 0; i < thread_count; i++) {
        Thread& t = threads[i];
        if (states[i] != State::AtBlock) continue;
        states[i] = State::Ready;
        t.result = t.barrier == Barrier::Count ? int(true_count)
                   : t.barrier == Barrier::And ? true_count == waiting
                                               : true_count != 0;
    }
    barriers_passed++;
    return true;
}

void run_block() {
    prepare_shared();
    barriers_passed = 0;
    done_count = 0;
    std::fill(states, states + thread_count, State::Fresh);
    const unsigned warps = (thread_count + LANES - 1) / LANES;
    unsigned order[MAX_THREADS / LANES];
    do {
        fill_order(order, 0, warps);
        for (unsigned k = 0; k < warps; k++) {
            count_warp_begin(order[k]);
            run_warp(order[k]);
            count_warp_end(order[k]);
            if (outcome.status) return;
        }
    } while (pass_barrier());
    if (!outcome.status) check_shared();
    count_block_end(barriers_passed);
    blocks_run++;
}

// Runs the blocks in the order that CUSIM_ORDER sets. Random order takes steps of one fixed length. This
// length and the number of blocks have no common divisor, so each block runs once.
void run_grid() {
    const dim3 g = shape.grid;
    const uint64_t total = uint64_t(g.x) * g.y * g.z;
    uint64_t at = 0, step = 1;
    if (options().order == Order::Reverse) at = total - 1, step = total - 1;
    if (options().order == Order::Random) {
        at = random_below(unsigned(std::min<uint64_t>(total, 1u << 31)));
        do step = 1 + random_below(unsigned(std::min<uint64_t>(total, 1u << 31)));
        while (std::gcd(step, total) != 1);
    }
    outcome.blocks = total;
    const uint64_t wanted = shape.blocks_wanted ? std::min(shape.blocks_wanted, total) : total;
    for (uint64_t done = 0; done < wanted && !outcome.status; done++) {
        if (wanted < total) at = done * total / wanted;
        builtins.block_index = {unsigned(at % g.x), unsigned(at / g.x % g.y), unsigned(at / g.x / g.y)};
        run_block();
        outcome.blocks_run++;
        at = (at + step) % total;
    }
}

Kernel const* kernels;

} // namespace

Kernel::Kernel(const char* name, void (*call)(void* const*), const size_t* sizes, size_t count, char* begin,
               char* end)
    : name(name), call(call), argument_sizes(sizes), argument_count(count), shared_begin(begin),
      shared_end(end), next(kernels) {
    kernels = this;
}

const Kernel* find_kernel(const std::string& name) {
    for (const Kernel* k = kernels; k; k = k->next)
        if (name == k->name) return k;
    return nullptr;
}

Options& options() {
    static Options the = [] {
        Options o;
        if (const char* text = getenv("CUSIM_ORDER"))
            o.order = std::string(text) == "reverse"  ? Order::Reverse
                      : std::string(text) == "random" ? Order::Random
                                                      : Order::Forward;
        if (const char* text = getenv("CUSIM_SEED")) o.seed = strtoull(text, nullptr, 10);
        if (const char* text = getenv("CUSIM_STRICT")) o.strict = *text && *text != '0';
        return o;
    }();
    return the;
}

Outcome run_kernel(const Kernel& k, const Shape& s, void* const* arguments) {
    kernel = &k;
    kernel_arguments = arguments;
    shape = s;
    outcome = {};
    random_state = options().seed * 0x9e3779b97f4a7c15ull | 1;
    launch_first_block = blocks_run;
    builtins.block_size = s.block;
    builtins.grid_size = s.grid;
    static dim3 numbered(0, 0, 0); // the block size for which `indices` holds
    if (numbered.x != s.block.x || numbered.y != s.block.y || numbered.z != s.block.z) {
        numbered = s.block;
        thread_count = s.block.x * s.block.y * s.block.z;
        for (unsigned i = 0; i < thread_count; i++)
            indices[i] = {i % s.block.x, i / s.block.x % s.block.y, i / s.block.x / s.block.y};
    }

    // A launch that fails leaves fibers in the middle of a kernel. They are not used again, and their stacks
    // are not freed. That does no harm, since the context cannot be used after an error.
    FaultGuard guard;
    run_grid();
    return std::move(outcome);
}

// ---- called by kernels ----------------------------------------------------------------------------------

void* dynamic_shared(Where where) {
    if (!shape.shared_bytes)
        fail("uses dynamic shared memory at %s:%d, but was launched with none", where.file, where.line);
    return shared_begin;
}

int block_barrier(Barrier kind, int predicate, Where where) {
    Thread& t = current_thread();
    t.barrier = kind;
    t.predicate = predicate;
    t.where = where;
    wait_as(State::AtBlock);
    return t.result;
}

void warp_collective(const WarpOp& op, unsigned mask, void* data, Where where) {
    Thread& t = current_thread();
    const unsigned lane = running_thread % LANES;
    if (!(mask >> lane & 1))
        fail("calls %s at %s:%d with mask %08x, which leaves out its own lane %u", op.name, where.file,
             where.line, mask, lane);
    t.op = &op;
    t.mask = mask;
    t.data = data;
    t.where = where;
    if (!is_complete(t)) {
        wait_as(State::AtWarp);
        if (!t.completes) return;
        t.completes = false;
    }
    complete(t);
}

void async_copy(void* to, const void* from, unsigned bytes, unsigned valid, Where where) {
    const auto source = reinterpret_cast<Address>(from);
    if (valid > bytes)
        fail("cp.async at %s:%d: %u of %u bytes are valid", where.file, where.line, valid, bytes);
    if (reinterpret_cast<Address>(to) % bytes || (valid && source % bytes))
        fail("cp.async of %u bytes at %s:%d: an address is not a multiple of %u", bytes, where.file,
             where.line, bytes);
    if (!is_shared(to) || !is_shared(static_cast<char*>(to) + bytes - 1))
        fail("cp.async at %s:%d writes to what is not shared memory", where.file, where.line);
    if (!is_device_range(source, valid)) {
        report(CUDA_ERROR_ILLEGAL_ADDRESS, running_thread,
               "cp.async at " + place(where) + " reads " + describe_address(source, valid));
        stop();
    }
    watch(to, bytes, Access::Write, where);
    count_async(to, from, bytes, valid, where);
    memset(to, UNWRITTEN, bytes);
    Thread& t = current_thread();
    t.copies.push_back({to, from, bytes, valid, t.copy_group, where});
}

void async_commit() { current_thread().copy_group++; }

void async_wait(unsigned groups_left) {
    Thread& t = current_thread();
    size_t kept = 0;
    for (const AsyncCopy& c : t.copies) {
        if (c.group + groups_left >= t.copy_group) {
            t.copies[kept++] = c; // belongs to one of the newest groups, or is not committed yet
            continue;
        }
        watch(c.from, c.valid, Access::Read, c.where);
        watch(c.to, c.bytes, Access::Write, c.where);
        memcpy(c.to, c.from, c.valid);
        memset(static_cast<char*>(c.to) + c.valid, 0, c.bytes - c.valid);
    }
    t.copies.resize(kept);
}

void fail(const char* format, ...) {
    char text[1000];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    report(CUDA_ERROR_LAUNCH_FAILED, running_thread, text);
    stop();
}

void fail_at(int status, const void* code, const std::string& what) {
    report(status, running_thread, what + " at " + source_line(code));
    stop();
}

void fail_at(int status, Where where, const std::string& what) {
    report(status, running_thread, what + " at " + place(where));
    stop();
}

Position position() {
    return {launch_first_block + 1, blocks_run + 1, barriers_passed, current_thread().warp_syncs,
            running_thread};
}

bool is_shared(const void* p) {
    return is_dynamic_shared(p) || (p >= kernel->shared_begin && p < kernel->shared_end);
}

bool is_dynamic_shared(const void* p) { return p >= shared_begin && p < shared_end; }

bool is_near_dynamic_shared(const void* p) {
    return p >= shared_area_end() - SHARED_AREA && p < shared_area_end() + GUARD;
}

} // namespace cusim
