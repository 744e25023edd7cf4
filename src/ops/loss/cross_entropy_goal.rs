//! What each sample of [`cross_entropy`](super::cross_entropy) asks for: labels and class probabilities, smoothed and
//! weighted, made one. The formulas stand there.

use super::cross_entropy::CrossEntropy;
use super::reduction::total;
use super::scores::Scores;
use crate::core::{DType, Float, Result, Shape};
use crate::cpu::{CpuCtx, View};

/// What each sample should have been.
#[derive(Clone, Copy)]
enum Target<'a, T> {
    Labels(&'a [i64]),
    Probabilities(&'a [T]),
}

/// `w[c] q[i, c]`, from a call's tensors.
pub(super) struct Goal<'a, T> {
    settings: CrossEntropy,
    pub s: Scores,
    target: Target<'a, T>,
    weight: Option<&'a [T]>,
}

impl<'a, T: Float> Goal<'a, T> {
    pub fn new(
        settings: CrossEntropy,
        input: Shape,
        target: View<'a>,
        weight: Option<View<'a>>,
    ) -> Result<Self> {
        let s = Scores::new("cross_entropy", input, None)?;
        let target = match target.dtype {
            DType::I64 => Target::Labels(target.get()),
            _ => Target::Probabilities(target.get()),
        };
        Ok(Goal { settings, s, target, weight: weight.map(|w| w.get()) })
    }

    pub fn weight(&self, class: usize) -> T {
        self.weight.map_or(T::ONE, |w| w[class])
    }

    /// The label of sample `i`; none where it is ignored or the target is a distribution.
    fn label(&self, i: usize) -> Option<usize> {
        match self.target {
            Target::Labels(labels) => {
                Some(labels[i]).filter(|&l| l != self.settings.ignore_index).map(|l| l as usize)
            }
            Target::Probabilities(_) => None,
        }
    }

    /// Calls `f(c, w[c] q[i, c])` for every class that sample `i` asks for: all of them, one label, or none at all.
    #[inline(always)]
    pub fn each(&self, i: usize, mut f: impl FnMut(usize, T)) {
        let smoothing = T::from_f64(self.settings.label_smoothing);
        let (rest, even) = (T::ONE - smoothing, smoothing / T::from_f64(self.s.c as f64));
        match self.target {
            Target::Probabilities(t) => {
                (0..self.s.c).for_each(|c| f(c, self.weight(c) * (rest * t[self.s.at(i, c)] + even)))
            }
            Target::Labels(_) => {
                let Some(label) = self.label(i) else { return };
                if smoothing != T::ZERO {
                    (0..self.s.c).for_each(|c| f(c, self.weight(c) * even));
                }
                f(label, self.weight(label) * rest);
            }
        }
    }

    /// The divisor of the mean.
    pub fn divisor(&self, cx: &CpuCtx, scratch: &mut [T]) -> T {
        match self.target {
            Target::Labels(_) => {
                cx.fill_with(scratch, |i| self.label(i).map_or(T::ZERO, |label| self.weight(label)));
                total(cx, scratch)
            }
            Target::Probabilities(_) => T::from_f64(self.s.samples() as f64),
        }
    }
}
