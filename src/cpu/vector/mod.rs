//! Registers of floats with one interface for every [`Simd`] level. Hand-written kernels are built from them.
//!
//! A kernel is generic over [`Vector`]. [`Simd::dispatch`] compiles it for each level and runs it. Every function on
//! its hot path must be `#[inline(always)]`: only inside a function that may use a level's instructions does a call to
//! one become that single instruction.

#[cfg(target_arch = "x86_64")]
mod x86;

use super::Simd;
#[cfg(target_arch = "x86_64")]
use super::simd;

/// A register of `LANES` floats.
///
/// # Safety
/// Loads and stores use raw pointers: the caller guarantees that every element touched can be accessed. The processor
/// must have the instructions: kernels get to them only through [`Simd::dispatch`].
pub unsafe trait Vector: Copy {
    /// The number of floats in a register.
    const LANES: usize;
    /// Rows and vectors of the largest [outer product](super::outer_product) whose sums fit in registers.
    const TILE: [usize; 2];
    /// Rows of both factors in the largest block of [dot products](super::dot_products) whose sums fit in registers.
    const DOTS: [usize; 2];
    /// Selects the lanes of a partial load or store.
    type Mask: Copy;
    /// `LANES` registers.
    type Registers: Copy + AsRef<[Self]> + AsMut<[Self]>;

    /// The first `n <= LANES` lanes.
    fn first(n: usize) -> Self::Mask;
    /// True if a plain load is cheaper than a masked one.
    const PREFERS_PLAIN_LOADS: bool;
    /// True if the mask selects all lanes.
    fn is_full(mask: Self::Mask) -> bool;
    /// All lanes equal.
    fn splat(x: f32) -> Self;
    /// Loads all lanes from memory of any alignment.
    ///
    /// # Safety
    /// `LANES` floats can be read.
    unsafe fn load(from: *const f32) -> Self;
    /// Loads the mask's lanes; the others are 0.
    ///
    /// # Safety
    /// The mask's lanes can be read.
    unsafe fn load_part(from: *const f32, mask: Self::Mask) -> Self;
    /// The last register of a row: all of it if `WHOLE`, else the mask's lanes.
    ///
    /// # Safety
    /// Those lanes can be read.
    #[inline(always)]
    unsafe fn load_last<const WHOLE: bool>(from: *const f32, mask: Self::Mask) -> Self {
        // SAFETY: those lanes can be read: promised by the caller.
        unsafe { if WHOLE { Self::load(from) } else { Self::load_part(from, mask) } }
    }
    /// Loads every second float, beginning with the first.
    ///
    /// # Safety
    /// `2 * LANES` floats can be read.
    #[inline(always)]
    unsafe fn load_second(from: *const f32) -> Self {
        let mut lanes = [0f32; 16];
        for (i, lane) in lanes.iter_mut().enumerate().take(Self::LANES) {
            // SAFETY: `2 * LANES` floats can be read: promised by the caller.
            *lane = unsafe { *from.add(2 * i) };
        }
        // SAFETY: no level has more than 16 lanes.
        unsafe { Self::load(lanes.as_ptr()) }
    }
    /// Stores all lanes to memory of any alignment.
    ///
    /// # Safety
    /// `LANES` floats can be written.
    unsafe fn store(self, to: *mut f32);
    /// Stores the mask's lanes.
    ///
    /// # Safety
    /// The mask's lanes can be written.
    unsafe fn store_part(self, to: *mut f32, mask: Self::Mask);
    /// Stores the lanes whose bits are set in `lanes`, the lowest first, `step` floats apart.
    ///
    /// # Safety
    /// Those floats can be written.
    #[inline(always)]
    unsafe fn store_lanes(self, to: *mut f32, lanes: u32, step: usize) {
        let mut all = [0f32; 16];
        // SAFETY: no level has more than 16 lanes.
        unsafe { self.store(all.as_mut_ptr()) };
        let mut at = 0;
        for (i, &lane) in all.iter().enumerate().take(Self::LANES) {
            if lanes >> i & 1 == 1 {
                // SAFETY: one float for each bit that is set can be written: promised by the caller.
                unsafe { *to.add(at) = lane };
                at += step;
            }
        }
    }
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    /// `self * by + plus`, rounded once where the level has fused multiply-adds.
    fn mul_add(self, by: Self, plus: Self) -> Self;
    /// The larger value of each lane; `other`'s value if one of them is NaN.
    fn max(self, other: Self) -> Self;
    /// `LANES` registers of zeros.
    fn block() -> Self::Registers;
    /// Rows become columns: lane j of register i goes to lane i of register j.
    fn transpose(rows: Self::Registers) -> Self::Registers;
    /// The sum of the lanes, in one fixed order.
    #[inline(always)]
    fn sum(self) -> f32 {
        let mut lanes = [0f32; 16];
        // SAFETY: no level has more than 16 lanes.
        unsafe { self.store(lanes.as_mut_ptr()) };
        let mut width = Self::LANES;
        while width > 1 {
            width /= 2;
            for i in 0..width {
                lanes[i] += lanes[i + width];
            }
        }
        lanes[0]
    }
}

/// A computation to be compiled for every level.
pub trait Kernel {
    type Output;
    /// Runs the computation. Implementations are `#[inline(always)]`.
    fn run<V: Vector>(self) -> Self::Output;
}

impl Simd {
    /// Runs a kernel with this level's registers.
    #[inline(always)]
    pub fn dispatch<K: Kernel>(self, kernel: K) -> K::Output {
        match self {
            // This does not use `run`, which would compile each of these closures for every level.
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a context's level is one that `supported` found on this processor.
            Simd::Avx512 => unsafe {
                simd::avx512(
                    #[inline(always)]
                    || kernel.run::<x86::Zmm>(),
                )
            },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a context's level is one that `supported` found on this processor.
            Simd::Avx2 => unsafe {
                simd::avx2(
                    #[inline(always)]
                    || kernel.run::<x86::Ymm>(),
                )
            },
            _ => kernel.run::<Four>(),
        }
    }
}

/// Four floats, in plain Rust. The compiler puts them into one register of SSE2 or NEON.
#[derive(Clone, Copy)]
pub struct Four([f32; 4]);

impl Four {
    #[inline(always)]
    fn of(lane: impl Fn(usize) -> f32) -> Four {
        Four([lane(0), lane(1), lane(2), lane(3)])
    }
}

// SAFETY: plain loops over exactly the lanes asked for.
unsafe impl Vector for Four {
    const LANES: usize = 4;
    const TILE: [usize; 2] = [4, 2];
    const DOTS: [usize; 2] = [2, 4];
    type Mask = usize;
    type Registers = [Self; 4];

    #[inline(always)]
    fn first(n: usize) -> usize {
        n
    }
    const PREFERS_PLAIN_LOADS: bool = true;
    #[inline(always)]
    fn is_full(n: usize) -> bool {
        n == Self::LANES
    }
    #[inline(always)]
    fn splat(x: f32) -> Self {
        Four([x; 4])
    }
    // SAFETY: the contract is the trait's: the places can be accessed.
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: `LANES` floats can be read: promised by the caller.
        Four(unsafe { from.cast::<[f32; 4]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn load_part(from: *const f32, n: usize) -> Self {
        // SAFETY: lanes below n can be read: promised by the caller.
        Four::of(|i| if i < n { unsafe { *from.add(i) } } else { 0.0 })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: `LANES` floats can be written: promised by the caller.
        unsafe { to.cast::<[f32; 4]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn store_part(self, to: *mut f32, n: usize) {
        for (i, &lane) in self.0.iter().enumerate().take(n) {
            // SAFETY: lanes below n can be written: promised by the caller.
            unsafe { *to.add(i) = lane }
        }
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Four::of(|i| self.0[i] + other.0[i])
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Four::of(|i| self.0[i] - other.0[i])
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Four::of(|i| self.0[i] * other.0[i])
    }
    #[inline(always)]
    fn mul_add(self, by: Self, plus: Self) -> Self {
        Four::of(|i| self.0[i] * by.0[i] + plus.0[i])
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        Four::of(|i| if self.0[i] > other.0[i] { self.0[i] } else { other.0[i] })
    }
    #[inline(always)]
    fn block() -> [Self; 4] {
        [Four([0.0; 4]); 4]
    }
    #[inline(always)]
    fn transpose(rows: [Self; 4]) -> [Self; 4] {
        std::array::from_fn(|j| Four::of(|i| rows[i].0[j]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Transposed;

    impl Kernel for Transposed {
        type Output = ();
        #[inline(always)]
        fn run<V: Vector>(self) {
            let numbers: Vec<f32> = (0..V::LANES * V::LANES).map(|i| i as f32).collect();
            let mut rows = V::block();
            for (row, from) in rows.as_mut().iter_mut().zip(numbers.chunks_exact(V::LANES)) {
                // SAFETY: `from` is LANES long.
                *row = unsafe { V::load(from.as_ptr()) };
            }
            for (j, column) in V::transpose(rows).as_ref().iter().enumerate() {
                let mut lanes = vec![0f32; V::LANES];
                // SAFETY: `lanes` is LANES long.
                unsafe { column.store(lanes.as_mut_ptr()) };
                let expected: Vec<f32> = numbers.iter().skip(j).step_by(V::LANES).copied().collect();
                assert_eq!(lanes, expected, "column {j} of {}", V::LANES);
            }
        }
    }

    #[test]
    fn every_level_transposes() {
        for level in [Simd::Portable, Simd::Avx2, Simd::Avx512] {
            if let Ok(level) = level.supported() {
                level.dispatch(Transposed);
            }
        }
    }
}
