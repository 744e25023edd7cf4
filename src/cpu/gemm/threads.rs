//! Whether a product runs on one thread or on all.

use crate::cpu::CpuCtx;
use crate::cpu::fork_join::Body;
use crate::cpu::simd::Simd;

/// The fewest multiply-adds of a task.
pub(super) const TASK: usize = 1 << 18;

/// The threads and the SIMD level that compute a product.
#[derive(Clone, Copy)]
pub(super) struct Threads<'a> {
    pub cx: &'a CpuCtx,
    pub simd: Simd,
    /// True if other threads take part.
    pub share: bool,
}

impl Threads<'_> {
    /// Calls `f(0) .. f(n - 1)` for a product of `work` multiply-adds.
    pub fn all(&self, n: usize, work: usize, f: Body) {
        match self.share && work >= TASK {
            true => self.cx.tasks(n, work, f),
            false => (0..n).for_each(f),
        }
    }
}
