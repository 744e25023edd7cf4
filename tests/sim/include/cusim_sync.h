// Barriers, shuffles, votes and atomics, as calls into the engine.
#pragma once

// CUSIM_CALLER: the last parameters of a function; they default to the file and line of its caller.
// CUSIM_PLACE: inside that function, the same two as a Where.
#define CUSIM_CALLER const char *caller_file = __builtin_FILE(), int caller_line = __builtin_LINE()
#define CUSIM_PLACE (cusim::Where{caller_file, caller_line})

inline void __syncthreads(CUSIM_CALLER) { cusim::block_barrier(cusim::Barrier::Plain, 0, CUSIM_PLACE); }
inline int __syncthreads_count(int predicate, CUSIM_CALLER) {
    return cusim::block_barrier(cusim::Barrier::Count, predicate, CUSIM_PLACE);
}
inline int __syncthreads_and(int predicate, CUSIM_CALLER) {
    return cusim::block_barrier(cusim::Barrier::And, predicate, CUSIM_PLACE);
}
inline int __syncthreads_or(int predicate, CUSIM_CALLER) {
    return cusim::block_barrier(cusim::Barrier::Or, predicate, CUSIM_PLACE);
}

namespace cusim {

CUSIM_UNWATCHED inline void sync_lanes(void* const*, unsigned) {}
constexpr WarpOp SYNCWARP{"__syncwarp", sync_lanes, true};

// The four shuffles differ in the lane that each lane reads: (lane, argument, width) -> source.
struct ShflIdx {
    static constexpr const char* name = "__shfl_sync";
    static int source(int lane, int from, int width) { return (lane & ~(width - 1)) + (from & (width - 1)); }
};
struct ShflXor {
    static constexpr const char* name = "__shfl_xor_sync";
    static int source(int lane, int bits, int width) {
        const int from = lane ^ bits;
        return from < (lane & ~(width - 1)) + width ? from : lane;
    }
};
struct ShflDown {
    static constexpr const char* name = "__shfl_down_sync";
    static int source(int lane, int delta, int width) {
        return (lane & (width - 1)) + delta < width ? lane + delta : lane;
    }
};
struct ShflUp {
    static constexpr const char* name = "__shfl_up_sync";
    static int source(int lane, int delta, int width) {
        return (lane & (width - 1)) >= delta ? lane - delta : lane;
    }
};

template <class Kind, class T> struct Shuffle {
    T given, received;
    int argument, width;

    CUSIM_UNWATCHED static void operate(void* const lanes[32], unsigned mask) {
        for (int lane = 0; lane < 32; lane++) {
            if (!lanes[lane]) continue;
            auto& mine = *static_cast<Shuffle*>(lanes[lane]);
            const int source = Kind::source(lane, mine.argument, mine.width);
            if (!lanes[source])
                fail("%s: lane %d reads lane %d, which %s", Kind::name, lane, source,
                     mask >> source & 1 ? "has exited" : "is not in the mask");
            mine.received = static_cast<Shuffle*>(lanes[source])->given;
        }
    }
    static constexpr WarpOp OP{Kind::name, operate, false};
};

template <class Kind, class T> T shuffle(unsigned mask, T value, int argument, int width, Where where) {
    Shuffle<Kind, T> data{value, value, argument, width};
    warp_collective(Shuffle<Kind, T>::OP, mask, &data, where);
    return data.received;
}

struct Ballot {
    int predicate;
    unsigned votes, voters;

    CUSIM_UNWATCHED static void operate(void* const lanes[32], unsigned) {
        unsigned votes = 0, voters = 0;
        for (int lane = 0; lane < 32; lane++)
            if (lanes[lane]) {
                voters |= 1u << lane;
                votes |= unsigned(static_cast<Ballot*>(lanes[lane])->predicate != 0) << lane;
            }
        for (int lane = 0; lane < 32; lane++)
            if (auto* mine = static_cast<Ballot*>(lanes[lane])) mine->votes = votes, mine->voters = voters;
    }
};
constexpr WarpOp BALLOT{"__ballot_sync", Ballot::operate, false};

inline Ballot ballot(unsigned mask, int predicate, Where where) {
    Ballot data{predicate, 0, 0};
    warp_collective(BALLOT, mask, &data, where);
    return data;
}

} // namespace cusim

inline void __syncwarp(unsigned mask = 0xffffffffu, CUSIM_CALLER) {
    int nothing;
    cusim::warp_collective(cusim::SYNCWARP, mask, &nothing, CUSIM_PLACE);
}
template <class T> T __shfl_sync(unsigned mask, T v, int lane, int width = 32, CUSIM_CALLER) {
    return cusim::shuffle<cusim::ShflIdx>(mask, v, lane, width, CUSIM_PLACE);
}
template <class T> T __shfl_xor_sync(unsigned mask, T v, int bits, int width = 32, CUSIM_CALLER) {
    return cusim::shuffle<cusim::ShflXor>(mask, v, bits, width, CUSIM_PLACE);
}
template <class T> T __shfl_down_sync(unsigned mask, T v, unsigned delta, int width = 32, CUSIM_CALLER) {
    return cusim::shuffle<cusim::ShflDown>(mask, v, int(delta), width, CUSIM_PLACE);
}
template <class T> T __shfl_up_sync(unsigned mask, T v, unsigned delta, int width = 32, CUSIM_CALLER) {
    return cusim::shuffle<cusim::ShflUp>(mask, v, int(delta), width, CUSIM_PLACE);
}
inline unsigned __ballot_sync(unsigned mask, int predicate, CUSIM_CALLER) {
    return cusim::ballot(mask, predicate, CUSIM_PLACE).votes;
}
inline int __any_sync(unsigned mask, int predicate, CUSIM_CALLER) {
    return cusim::ballot(mask, predicate, CUSIM_PLACE).votes != 0;
}
inline int __all_sync(unsigned mask, int predicate, CUSIM_CALLER) {
    const auto result = cusim::ballot(mask, predicate, CUSIM_PLACE);
    return result.votes == result.voters;
}

inline void __threadfence() {}
inline void __threadfence_block() {}

// Only one CUDA thread runs at a time, and the engine switches threads only at barriers. So a plain read,
// change and write is atomic.
namespace cusim {
template <class T, class F> CUSIM_UNWATCHED T read_modify_write(T* p, Where where, F change) {
    watch(p, sizeof(T), Access::Atomic, where);
    const T old = *p;
    *p = change(old);
    return old;
}
} // namespace cusim
template <class T> T atomicAdd(T* p, T v, CUSIM_CALLER) {
    return cusim::read_modify_write(p, CUSIM_PLACE, [=](T old) { return T(old + v); });
}
template <class T> T atomicSub(T* p, T v, CUSIM_CALLER) {
    return cusim::read_modify_write(p, CUSIM_PLACE, [=](T old) { return T(old - v); });
}
template <class T> T atomicMax(T* p, T v, CUSIM_CALLER) {
    return cusim::read_modify_write(p, CUSIM_PLACE, [=](T old) { return old > v ? old : v; });
}
template <class T> T atomicMin(T* p, T v, CUSIM_CALLER) {
    return cusim::read_modify_write(p, CUSIM_PLACE, [=](T old) { return old < v ? old : v; });
}
template <class T> T atomicOr(T* p, T v, CUSIM_CALLER) {
    return cusim::read_modify_write(p, CUSIM_PLACE, [=](T old) { return T(old | v); });
}
template <class T> T atomicAnd(T* p, T v, CUSIM_CALLER) {
    return cusim::read_modify_write(p, CUSIM_PLACE, [=](T old) { return T(old & v); });
}
template <class T> T atomicExch(T* p, T v, CUSIM_CALLER) {
    return cusim::read_modify_write(p, CUSIM_PLACE, [=](T) { return v; });
}
template <class T> T atomicCAS(T* p, T expected, T v, CUSIM_CALLER) {
    return cusim::read_modify_write(p, CUSIM_PLACE, [=](T old) { return old == expected ? v : old; });
}
