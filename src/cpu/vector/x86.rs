//! The registers of x86-64.

use super::Vector;
use std::arch::x86_64::*;

/// AVX-512: sixteen floats.
#[derive(Clone, Copy)]
pub struct Zmm(__m512);

/// AVX2: eight floats.
#[derive(Clone, Copy)]
pub struct Ymm(__m256);

macro_rules! arithmetic {
    ($t:ident, $splat:ident, $load:ident, $store:ident, $add:ident, $sub:ident, $mul:ident, $fma:ident, $max:ident) => {
        #[inline(always)]
        fn splat(x: f32) -> Self {
            // SAFETY: kernels of this level run where its instructions exist.
            $t(unsafe { $splat(x) })
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: the instruction exists; `LANES` floats can be read: promised by the caller.
            $t(unsafe { $load(from) })
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: the instruction exists; `LANES` floats can be written: promised by the caller.
            unsafe { $store(to, self.0) }
        }
        #[inline(always)]
        fn add(self, other: Self) -> Self {
            // SAFETY: kernels of this level run where its instructions exist.
            $t(unsafe { $add(self.0, other.0) })
        }
        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            // SAFETY: kernels of this level run where its instructions exist.
            $t(unsafe { $sub(self.0, other.0) })
        }
        #[inline(always)]
        fn mul(self, other: Self) -> Self {
            // SAFETY: kernels of this level run where its instructions exist.
            $t(unsafe { $mul(self.0, other.0) })
        }
        #[inline(always)]
        fn mul_add(self, by: Self, plus: Self) -> Self {
            // SAFETY: kernels of this level run where its instructions exist.
            $t(unsafe { $fma(self.0, by.0, plus.0) })
        }
        #[inline(always)]
        fn max(self, other: Self) -> Self {
            // SAFETY: kernels of this level run where its instructions exist.
            $t(unsafe { $max(self.0, other.0) })
        }
    };
}

// SAFETY: each method is the instruction of its name.
unsafe impl Vector for Zmm {
    const LANES: usize = 16;
    const TILE: [usize; 2] = [8, 3];
    const DOTS: [usize; 2] = [4, 6];
    type Mask = __mmask16;
    type Registers = [Self; 16];

    #[inline(always)]
    fn first(n: usize) -> __mmask16 {
        ((1u32 << n) - 1) as __mmask16
    }
    const PREFERS_PLAIN_LOADS: bool = false;
    #[inline(always)]
    fn is_full(mask: __mmask16) -> bool {
        mask == u16::MAX
    }
    // SAFETY: the contract is the trait's: the places can be accessed.
    #[inline(always)]
    unsafe fn load_part(from: *const f32, mask: __mmask16) -> Self {
        // SAFETY: the mask's lanes can be read: promised by the caller; no others are touched.
        Zmm(unsafe { _mm512_maskz_loadu_ps(mask, from) })
    }
    #[inline(always)]
    fn block() -> [Self; 16] {
        [Self::splat(0.0); 16]
    }
    #[inline(always)]
    fn transpose(r: [Self; 16]) -> [Self; 16] {
        // First 4 x 4 blocks within the quarters of registers, then the quarters themselves. Each takes two rounds of
        // 16 shuffles.
        let mut t = r;
        for i in 0..4 {
            let [a, b, c, d] = [r[4 * i].0, r[4 * i + 1].0, r[4 * i + 2].0, r[4 * i + 3].0];
            // SAFETY: kernels of this level run where its instructions exist.
            unsafe {
                let (ab, cd) = (_mm512_unpacklo_ps(a, b), _mm512_unpacklo_ps(c, d));
                let (ef, gh) = (_mm512_unpackhi_ps(a, b), _mm512_unpackhi_ps(c, d));
                t[4 * i] = Zmm(_mm512_shuffle_ps::<0x44>(ab, cd));
                t[4 * i + 1] = Zmm(_mm512_shuffle_ps::<0xee>(ab, cd));
                t[4 * i + 2] = Zmm(_mm512_shuffle_ps::<0x44>(ef, gh));
                t[4 * i + 3] = Zmm(_mm512_shuffle_ps::<0xee>(ef, gh));
            }
        }
        let mut columns = t;
        for i in 0..4 {
            let [a, b, c, d] = [t[i].0, t[i + 4].0, t[i + 8].0, t[i + 12].0];
            // SAFETY: kernels of this level run where its instructions exist.
            unsafe {
                let (ab, cd) = (_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0x88>(c, d));
                let (ef, gh) = (_mm512_shuffle_f32x4::<0xdd>(a, b), _mm512_shuffle_f32x4::<0xdd>(c, d));
                columns[i] = Zmm(_mm512_shuffle_f32x4::<0x88>(ab, cd));
                columns[i + 4] = Zmm(_mm512_shuffle_f32x4::<0x88>(ef, gh));
                columns[i + 8] = Zmm(_mm512_shuffle_f32x4::<0xdd>(ab, cd));
                columns[i + 12] = Zmm(_mm512_shuffle_f32x4::<0xdd>(ef, gh));
            }
        }
        columns
    }
    // SAFETY: the contract is the trait's: the places can be accessed.
    #[inline(always)]
    unsafe fn load_second(from: *const f32) -> Self {
        // SAFETY: the instructions exist; `2 * LANES` floats can be read: promised by the caller.
        unsafe {
            let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
            let [low, high] = [_mm512_loadu_ps(from), _mm512_loadu_ps(from.add(16))];
            Zmm(_mm512_permutex2var_ps(low, even, high))
        }
    }
    // SAFETY: the contract is the trait's: the places can be accessed.
    #[inline(always)]
    unsafe fn store_part(self, to: *mut f32, mask: __mmask16) {
        // SAFETY: the mask's lanes can be written: promised by the caller; no others are touched.
        unsafe { _mm512_mask_storeu_ps(to, mask, self.0) }
    }
    #[inline(always)]
    unsafe fn store_lanes(self, to: *mut f32, lanes: u32, step: usize) {
        // Compresses in a register: compressing into memory takes a hundred cycles on some processors.
        // SAFETY: the instructions exist. One float per set bit, `step` floats apart, can be written: promised by the
        // caller.
        unsafe {
            let (packed, n) = (_mm512_maskz_compress_ps(lanes as __mmask16, self.0), lanes.count_ones());
            let first = (1u32 << n) - 1;
            match step {
                1 => _mm512_mask_storeu_ps(to, first as __mmask16, packed),
                2 => {
                    // `step` is 2: spread eight lanes over a register, and store every second lane of it.
                    let lower = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
                    let upper = _mm512_add_epi32(lower, _mm512_set1_epi32(8));
                    let apart = |lanes: u32| _pdep_u32(lanes, 0x5555) as __mmask16;
                    _mm512_mask_storeu_ps(to, apart(first & 0xff), _mm512_permutexvar_ps(lower, packed));
                    let rest = apart(first >> 8);
                    if rest != 0 {
                        _mm512_mask_storeu_ps(to.add(16), rest, _mm512_permutexvar_ps(upper, packed));
                    }
                }
                _ => {
                    let mut all = [0f32; 16];
                    _mm512_storeu_ps(all.as_mut_ptr(), packed);
                    all[..n as usize].iter().enumerate().for_each(|(i, &x)| *to.add(i * step) = x);
                }
            }
        }
    }
    arithmetic!(
        Zmm,
        _mm512_set1_ps,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_add_ps,
        _mm512_sub_ps,
        _mm512_mul_ps,
        _mm512_fmadd_ps,
        _mm512_max_ps
    );
}

// SAFETY: each method is the instruction of its name.
unsafe impl Vector for Ymm {
    const LANES: usize = 8;
    const TILE: [usize; 2] = [6, 2];
    const DOTS: [usize; 2] = [2, 4];
    type Mask = __m256i;
    type Registers = [Self; 8];

    #[inline(always)]
    fn first(n: usize) -> __m256i {
        // SAFETY: kernels of this level run where its instructions exist.
        unsafe { _mm256_cmpgt_epi32(_mm256_set1_epi32(n as i32), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)) }
    }
    const PREFERS_PLAIN_LOADS: bool = true;
    #[inline(always)]
    fn is_full(mask: __m256i) -> bool {
        // SAFETY: kernels of this level run where its instructions exist.
        unsafe { _mm256_movemask_epi8(mask) == -1 }
    }
    #[inline(always)]
    unsafe fn load_part(from: *const f32, mask: __m256i) -> Self {
        // SAFETY: the mask's lanes can be read: promised by the caller; no others are touched.
        Ymm(unsafe { _mm256_maskload_ps(from, mask) })
    }
    #[inline(always)]
    fn block() -> [Self; 8] {
        [Self::splat(0.0); 8]
    }
    #[inline(always)]
    fn transpose(r: [Self; 8]) -> [Self; 8] {
        let mut t = r;
        for i in 0..2 {
            let [a, b, c, d] = [r[4 * i].0, r[4 * i + 1].0, r[4 * i + 2].0, r[4 * i + 3].0];
            // SAFETY: kernels of this level run where its instructions exist.
            unsafe {
                let (ab, cd) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d));
                let (ef, gh) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d));
                t[4 * i] = Ymm(_mm256_shuffle_ps::<0x44>(ab, cd));
                t[4 * i + 1] = Ymm(_mm256_shuffle_ps::<0xee>(ab, cd));
                t[4 * i + 2] = Ymm(_mm256_shuffle_ps::<0x44>(ef, gh));
                t[4 * i + 3] = Ymm(_mm256_shuffle_ps::<0xee>(ef, gh));
            }
        }
        let mut columns = t;
        for i in 0..4 {
            let (a, b) = (t[i].0, t[i + 4].0);
            // SAFETY: kernels of this level run where its instructions exist.
            unsafe {
                columns[i] = Ymm(_mm256_permute2f128_ps::<0x20>(a, b));
                columns[i + 4] = Ymm(_mm256_permute2f128_ps::<0x31>(a, b));
            }
        }
        columns
    }
    // SAFETY: the contract is the trait's: the places can be accessed.
    #[inline(always)]
    unsafe fn store_part(self, to: *mut f32, mask: __m256i) {
        // SAFETY: the mask's lanes can be written: promised by the caller; no others are touched.
        unsafe { _mm256_maskstore_ps(to, mask, self.0) }
    }
    arithmetic!(
        Ymm,
        _mm256_set1_ps,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_add_ps,
        _mm256_sub_ps,
        _mm256_mul_ps,
        _mm256_fmadd_ps,
        _mm256_max_ps
    );
}
