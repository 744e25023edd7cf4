//! The targets of [`cross_entropy`](super::cross_entropy): one interface for labels and class probabilities, with
//! smoothing and class weights. That module has the formulas.

use super::cross_entropy::CrossEntropy;
use super::reduction::total;
use super::scores::ClassScores;
use crate::core::{DType, Float, Result, Shape};
use crate::cpu::{CpuCtx, View};

/// The target, in one of its two forms.
#[derive(Clone, Copy)]
enum ClassTarget<'a, T> {
    Labels(&'a [i64]),
    Probabilities(&'a [T]),
}

/// Computes `w[c] q[i, c]` from the tensors of a call.
pub(super) struct Targets<'a, T> {
    settings: CrossEntropy,
    pub s: ClassScores,
    target: ClassTarget<'a, T>,
    weight: Option<&'a [T]>,
}

impl<'a, T: Float> Targets<'a, T> {
    pub fn new(
        settings: CrossEntropy,
        input: Shape,
        target: View<'a>,
        weight: Option<View<'a>>,
    ) -> Result<Self> {
        let s = ClassScores::new("cross_entropy", input, None)?;
        let target = match target.dtype {
            DType::I64 => ClassTarget::Labels(target.get()),
            _ => ClassTarget::Probabilities(target.get()),
        };
        Ok(Targets { settings, s, target, weight: weight.map(|w| w.get()) })
    }

    pub fn weight(&self, class: usize) -> T {
        self.weight.map_or(T::ONE, |w| w[class])
    }

    /// The label of sample `i`; `None` if it is ignored or if the targets are probabilities.
    fn label(&self, i: usize) -> Option<usize> {
        match self.target {
            ClassTarget::Labels(labels) => {
                Some(labels[i]).filter(|&l| l != self.settings.ignore_index).map(|l| l as usize)
            }
            ClassTarget::Probabilities(_) => None,
        }
    }

    /// Calls `f(c, w[c] q[i, c])` for every class that the target of sample `i` contains: all classes, only the label,
    /// or none if the sample is ignored.
    #[inline(always)]
    pub fn each(&self, i: usize, mut f: impl FnMut(usize, T)) {
        let smoothing = T::from_f64(self.settings.label_smoothing);
        let (rest, even) = (T::ONE - smoothing, smoothing / T::from_f64(self.s.c as f64));
        match self.target {
            ClassTarget::Probabilities(t) => {
                (0..self.s.c).for_each(|c| f(c, self.weight(c) * (rest * t[self.s.at(i, c)] + even)))
            }
            ClassTarget::Labels(_) => {
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
            ClassTarget::Labels(_) => {
                cx.fill_with(scratch, |i| self.label(i).map_or(T::ZERO, |label| self.weight(label)));
                total(cx, scratch)
            }
            ClassTarget::Probabilities(_) => T::from_f64(self.s.samples() as f64),
        }
    }
}
