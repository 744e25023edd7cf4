//! Keyed random numbers: Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
//!
//! A generator with hidden state gives different numbers when work is reordered, resumed or run on another device. Here
//! a random number is a pure function of (seed, path, step, element): the same arguments always give the same number.
//! So a resumed run, a replayed CUDA graph, and runs with one thread or sixteen all use the same dropout mask.
//!
//! ```
//! use receptive::core::Key;
//! let key = Key::new(42).child("fc1").step(7);
//! assert_eq!(key.bits(1000), key.bits(1000));
//! assert_ne!(key.bits(1000), key.step(8).bits(1000));
//! ```

const MULTIPLIER: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// Ten rounds of Philox 4x32: 128 random bits per (counter, key).
pub fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let [a, b, c, d] = counter;
    let [[a], [b], [c], [d]] = lanes([[a], [b], [c], [d]], key);
    [a, b, c, d]
}

/// As [`philox`], for N counters side by side. Lane i of the four words is counter i. The compiler turns a loop over
/// lanes into vector instructions.
#[inline(always)]
fn lanes<const N: usize>(mut counter: [[u32; N]; 4], mut key: [u32; 2]) -> [[u32; N]; 4] {
    for _ in 0..10 {
        let [a, b, c, d] = &mut counter;
        for i in 0..N {
            let p0 = MULTIPLIER[0] as u64 * a[i] as u64;
            let p1 = MULTIPLIER[1] as u64 * c[i] as u64;
            (a[i], b[i]) = ((p1 >> 32) as u32 ^ b[i] ^ key[0], p1 as u32);
            (c[i], d[i]) = ((p0 >> 32) as u32 ^ d[i] ^ key[1], p0 as u32);
        }
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    counter
}

/// Names a stream of random numbers: a 64-bit key from seed and path, and a step.
///
/// Element `i` of the stream is word `i % 4` of `philox(counter = [i / 4, step], key)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    key: u64,
    step: u64,
}

impl Key {
    /// The root key of a run.
    pub fn new(seed: u64) -> Key {
        Key { key: seed, step: 0 }
    }

    /// The key of a named part: a module, a purpose such as `"shuffle"`.
    pub fn child(self, name: &str) -> Key {
        let mixed = name.bytes().fold(self.key ^ 0xCBF2_9CE4_8422_2325, |h, b| {
            (h ^ b as u64).wrapping_mul(0x0000_0100_0000_01B3) // FNV-1a
        });
        // One call of Philox spreads the hash, so that similar names give unrelated keys.
        let out = philox([mixed as u32, (mixed >> 32) as u32, name.len() as u32, 0], [0, 0]);
        Key { key: out[0] as u64 | (out[1] as u64) << 32, step: self.step }
    }

    /// The same stream at another training step (or epoch).
    pub fn step(self, step: u64) -> Key {
        Key { step, ..self }
    }

    /// Key and step, for kernels that draw random numbers on a GPU.
    pub(crate) fn parts(self) -> (u64, u64) {
        (self.key, self.step)
    }

    /// Four elements at once: elements `4 * block .. 4 * block + 4`.
    #[inline]
    pub fn block(self, block: u64) -> [u32; 4] {
        let [[a], [b], [c], [d]] = self.blocks::<1>(block);
        [a, b, c, d]
    }

    /// N blocks at once, in vector instructions: word k of lane i is element `4 * (first + i) + k`.
    #[inline(always)]
    pub fn blocks<const N: usize>(self, first: u64) -> [[u32; N]; 4] {
        let (mut low, mut high) = ([0; N], [0; N]);
        for i in 0..N {
            let number = first + i as u64;
            (low[i], high[i]) = (number as u32, (number >> 32) as u32);
        }
        let counter = [low, high, [self.step as u32; N], [(self.step >> 32) as u32; N]];
        lanes(counter, [self.key as u32, (self.key >> 32) as u32])
    }

    /// 32 random bits for one element.
    #[inline]
    pub fn bits(self, element: u64) -> u32 {
        self.block(element / 4)[(element % 4) as usize]
    }

    /// Uniform in `[0, 1)`, a multiple of 2^-24, so it is exact in f32.
    pub fn uniform(self, element: u64) -> f64 {
        (self.bits(element) >> 8) as f64 / (1 << 24) as f64
    }

    /// Standard normal by Box-Muller. Uses one block per element.
    pub fn normal(self, element: u64) -> f64 {
        let [a, b, ..] = self.block(element);
        let u = (a as f64 + 1.0) / (1u64 << 32) as f64;
        let angle = std::f64::consts::TAU * (b as f64 / (1u64 << 32) as f64);
        (-2.0 * u.ln()).sqrt() * angle.cos()
    }

    /// An integer below `n`, with a bias too small to measure (64 random bits, multiply-shift).
    pub fn below(self, element: u64, n: usize) -> usize {
        let [a, b, ..] = self.block(element);
        let bits = a as u64 | (b as u64) << 32;
        ((bits as u128 * n as u128) >> 64) as usize
    }

    /// A permutation of `0..n` (Fisher-Yates).
    pub fn permutation(self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for i in (1..n).rev() {
            order.swap(i, self.below(i as u64, i + 1));
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The three known answers published with the paper's library (Random123, `kat_vectors`, philox4x32 10).
    #[test]
    fn published_test_vectors() {
        let ones = u32::MAX;
        assert_eq!(philox([0; 4], [0; 2]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
        assert_eq!(philox([ones; 4], [ones; 2]), [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]);
        assert_eq!(
            philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]),
            [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]
        );
    }

    /// Many blocks at once equal single blocks, also where the counter carries into its second word.
    #[test]
    fn many_blocks_are_the_single_ones() {
        let key = Key::new(5).child("mask").step(3 << 33);
        let first = u32::MAX as u64 - 6;
        let blocks = key.blocks::<16>(first);
        for i in 0..16 {
            assert_eq!(blocks.map(|word| word[i]), key.block(first + i as u64));
            assert_eq!(key.bits(4 * (first + i as u64) + 2), blocks[2][i]);
        }
    }

    #[test]
    fn permutations_hold_every_index_once_and_depend_on_the_epoch() {
        let key = Key::new(3).child("shuffle");
        let mut first = key.permutation(1000);
        assert_ne!(first, key.step(1).permutation(1000));
        first.sort_unstable();
        assert!(first.iter().copied().eq(0..1000));
    }

    #[test]
    fn normal_has_mean_0_and_deviation_1() {
        let key = Key::new(1);
        let n = 100_000;
        let (sum, squares) = (0..n).map(|i| key.normal(i)).fold((0.0, 0.0), |(s, q), x| (s + x, q + x * x));
        assert!((sum / n as f64).abs() < 0.01);
        assert!((squares / n as f64 - 1.0).abs() < 0.02);
    }
}
