// The functions of kernels/ptx.cuh for the simulator: what each instruction does to the data of a warp's 32
// lanes. The layouts are those of the PTX manual. kernels/ptx.cuh includes this file in place of its inline
// assembly.
#pragma once

// ---- Asynchronous copies: the destination holds NaN until the thread waits; then the engine copies -------

inline void cp_async_4(void* to, const void* from, bool real, CUSIM_CALLER) {
    cusim::async_copy(to, from, 4, real ? 4 : 0, CUSIM_PLACE);
}
inline void cp_async_16(void* to, const void* from, int real, CUSIM_CALLER) {
    cusim::async_copy(to, from, 16, unsigned(real), CUSIM_PLACE);
}
inline void cp_async_commit() { cusim::async_commit(); }
template <int N> void cp_async_wait() { cusim::async_wait(N); }

namespace cusim {

// A matrix instruction needs all 32 lanes. The engine reports a lane that did not come, but it does not wait
// for lanes that have exited. This check reports those.
inline void need_all_lanes(const char* name, void* const lanes[32]) {
    for (int lane = 0; lane < 32; lane++)
        if (!lanes[lane]) fail("%s: lane %d has exited, and all 32 are needed", name, lane);
}

// ---- ldmatrix -------------------------------------------------------------------------------------------

struct LdMatrix {
    const void* row;
    unsigned (*out)[4];
    Where where;
    static constexpr const char* NAME = "ldmatrix.x4";

    CUSIM_UNWATCHED static void operate(void* const lanes[32], unsigned) {
        need_all_lanes(NAME, lanes);
        const void* rows[32];
        for (int lane = 0; lane < 32; lane++) rows[lane] = static_cast<LdMatrix*>(lanes[lane])->row;
        count_ldmatrix(rows, static_cast<LdMatrix*>(lanes[0])->where);
        for (int matrix = 0; matrix < 4; matrix++)
            for (int row = 0; row < 8; row++) {
                const auto& from = *static_cast<LdMatrix*>(lanes[8 * matrix + row]);
                const void* address = from.row;
                if (reinterpret_cast<uintptr_t>(address) % 16)
                    fail("%s: the address of lane %d is not a multiple of 16", NAME, 8 * matrix + row);
                watch(address, 16, Access::Read, from.where);
                for (int word = 0; word < 4; word++)
                    memcpy(&(*static_cast<LdMatrix*>(lanes[4 * row + word])->out)[matrix],
                           static_cast<const char*>(address) + 4 * word, 4);
            }
    }
};
constexpr WarpOp LDMATRIX{LdMatrix::NAME, LdMatrix::operate, false};

// ---- mma.sync -------------------------------------------------------------------------------------------

struct Tf32 { // one number per word; the instruction ignores the lowest 13 bits
    static constexpr const char* NAME = "mma.sync.m16n8k8.tf32";
    static double dot(unsigned a, unsigned b) {
        return double(same_bits<float>(a & 0xffffe000u)) * same_bits<float>(b & 0xffffe000u);
    }
};
struct Bf16 { // two numbers per word, each the upper half of a float
    static constexpr const char* NAME = "mma.sync.m16n8k16.bf16";
    static double dot(unsigned a, unsigned b) {
        return double(same_bits<float>(a << 16)) * same_bits<float>(b << 16) +
               double(same_bits<float>(a & 0xffff0000u)) * same_bits<float>(b & 0xffff0000u);
    }
};

// D[16, 8] += A[16, 8 words] B[8 words, 8], in the layout that kernels/ptx.cuh draws. Products are exact and
// are summed in double. This is more accurate than any tensor core, which cuts its sums off at a lower bit.
template <class Number> struct Mma {
    float (*d)[4];
    const unsigned (*a)[4];
    unsigned b[2];

    CUSIM_UNWATCHED static void operate(void* const lanes[32], unsigned) {
        need_all_lanes(Number::NAME, lanes);
        if (only_counts) return;
        unsigned a[16][8], b[8][8];
        for (int lane = 0; lane < 32; lane++) {
            const auto& mine = *static_cast<Mma*>(lanes[lane]);
            const int group = lane / 4, t = lane % 4;
            for (int i = 0; i < 4; i++) a[group + i % 2 * 8][t + i / 2 * 4] = (*mine.a)[i];
            for (int i = 0; i < 2; i++) b[t + i * 4][group] = mine.b[i];
        }
        for (int lane = 0; lane < 32; lane++) {
            auto& mine = *static_cast<Mma*>(lanes[lane]);
            for (int i = 0; i < 4; i++) {
                const int row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
                double sum = 0;
                for (int k = 0; k < 8; k++) sum += Number::dot(a[row][k], b[k][column]);
                (*mine.d)[i] = float((*mine.d)[i] + sum);
            }
        }
    }
    static constexpr WarpOp OP{Number::NAME, operate, false};
};

} // namespace cusim

inline void ldmatrix_x4(unsigned (&out)[4], const void* row, CUSIM_CALLER) {
    cusim::LdMatrix data{row, &out, CUSIM_PLACE};
    cusim::warp_collective(cusim::LDMATRIX, 0xffffffffu, &data, CUSIM_PLACE);
}
inline void mma_m16n8k8_tf32(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1, CUSIM_CALLER) {
    cusim::Mma<cusim::Tf32> data{&d, &a, {b0, b1}};
    cusim::warp_collective(cusim::Mma<cusim::Tf32>::OP, 0xffffffffu, &data, CUSIM_PLACE);
}
inline void mma_m16n8k16_bf16(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1, CUSIM_CALLER) {
    cusim::Mma<cusim::Bf16> data{&d, &a, {b0, b1}};
    cusim::warp_collective(cusim::Mma<cusim::Bf16>::OP, 0xffffffffu, &data, CUSIM_PLACE);
}

// ---- Rounding -------------------------------------------------------------------------------------------

// Adds half a unit of the tenth fraction bit to the magnitude, then cuts off the bits below the tenth.
inline unsigned round_tf32(float v) {
    const unsigned bits = __float_as_uint(v);
    if ((bits & 0x7f800000u) == 0x7f800000u) return bits & 0xffffe000u | (isnan(v) ? 0x00400000u : 0u);
    return (bits + 0x1000u) & 0xffffe000u;
}
inline unsigned pack_bf16(float low, float high) {
    return unsigned(__nv_bfloat16(low).bits) | unsigned(__nv_bfloat16(high).bits) << 16;
}
