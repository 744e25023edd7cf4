//! Sliding windows over rows and columns, and the arithmetic that convolution and pooling share.
//!
//! A window has `kernel` taps, `dilation` apart, and moves over the padded input in steps of `stride`. Tap `k` of
//! output `i` reads this input position:
//!
//! ```math
//! p = i \cdot \mathrm{stride} - \text{padding before} + k \cdot \mathrm{dilation} \qquad 0 \le k < \mathrm{kernel}
//! ```
//!
//! There are `floor((input + padding - extent) / stride) + 1` outputs, with `extent = dilation * (kernel - 1) + 1`.

use super::error::{Error, Result};
use serde::Serialize;
use std::iter::StepBy;
use std::ops::Range;

/// The limit of all settings, so that the product of two settings and an input size cannot overflow.
const LARGEST: usize = 1 << 24;

/// A sliding window, `[vertical, horizontal]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Window {
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    /// Before and after, per direction (`padding=same` may need one more after than before).
    pub padding: [[usize; 2]; 2],
    pub dilation: [usize; 2],
}

/// The `padding` of a convolution, as PyTorch takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// Rows above and below, columns left and right.
    Explicit([usize; 2]),
    /// Padding that keeps height and width. If the total is odd, one more is added after than before. Stride 1 only.
    Same,
    /// None.
    Valid,
}

impl Padding {
    /// The padding before and after, per direction.
    ///
    /// # Errors
    /// `Same` with a stride other than 1.
    pub fn resolve(
        self,
        op: &str,
        kernel: [usize; 2],
        stride: [usize; 2],
        dilation: [usize; 2],
    ) -> Result<[[usize; 2]; 2]> {
        match self {
            Padding::Explicit(padding) => Ok(padding.map(|p| [p; 2])),
            Padding::Valid => Ok([[0; 2]; 2]),
            Padding::Same if stride != [1, 1] => {
                Err(Error::argument(op, "padding `same` keeps the image's size, so it needs stride 1")
                    .with("stride", format_args!("{stride:?}"))
                    .expected("stride 1")
                    .help("give the padding as numbers"))
            }
            Padding::Same => Ok([0, 1].map(|axis| {
                let total = dilation[axis].saturating_mul(kernel[axis].saturating_sub(1));
                [total / 2, total - total / 2]
            })),
        }
    }
}

impl Window {
    /// The number of input positions from the first tap to the last.
    pub fn extent(&self, axis: usize) -> usize {
        self.dilation[axis] * (self.kernel[axis] - 1) + 1
    }

    /// The output's height and width for an input's height and width.
    ///
    /// # Errors
    /// A kernel, stride or dilation of zero; settings out of range; a window larger than the padded input.
    pub fn output(&self, op: &str, input: [usize; 2], ceil_mode: bool) -> Result<[usize; 2]> {
        self.check(op)?;
        let mut output = [0; 2];
        for axis in 0..2 {
            let ([before, after], stride) = (self.padding[axis], self.stride[axis]);
            let padded = input[axis] + before + after;
            let spare = if ceil_mode { stride - 1 } else { 0 };
            let Some(room) = (padded + spare).checked_sub(self.extent(axis)) else {
                return Err(Error::shape(op, "the kernel is larger than the padded input")
                    .with("padded input", format_args!("{:?}", self.padded(input)))
                    .with("kernel", format_args!("{:?}", self.kernel))
                    .with("dilation", format_args!("{:?}", self.dilation))
                    .expected(format!("at least {:?}", [self.extent(0), self.extent(1)]))
                    .help("pad more, or use a smaller kernel or a larger image"));
            };
            output[axis] = room / stride + 1;
            // PyTorch's rule: the last window must start inside the input or the padding before it.
            if ceil_mode && (output[axis] - 1) * stride >= input[axis] + before {
                output[axis] -= 1;
            }
        }
        Ok(output)
    }

    /// Height and width of the output of a transposed convolution: `(input - 1) * stride + extent`, minus the padding,
    /// plus `output_padding` at the end.
    ///
    /// # Errors
    /// Settings out of range; output padding that is not below the larger of stride and dilation; an input without
    /// pixels; padding that leaves no output.
    pub fn transposed_output(
        &self,
        op: &str,
        input: [usize; 2],
        output_padding: [usize; 2],
    ) -> Result<[usize; 2]> {
        self.check(op)?;
        let limit = [0, 1].map(|axis| self.stride[axis].max(self.dilation[axis]));
        if (0..2).any(|axis| output_padding[axis] >= limit[axis]) {
            return Err(Error::argument(
                op,
                "output_padding must be smaller than the stride or the dilation",
            )
            .with("output_padding", format_args!("{output_padding:?}"))
            .expected(format!("below {limit:?}")));
        }
        if input.contains(&0) {
            return Err(Error::shape(op, "the images have no pixels"));
        }
        let mut output = [0; 2];
        for axis in 0..2 {
            let windows = (input[axis] - 1).saturating_mul(self.stride[axis]);
            let whole = windows.saturating_add(self.extent(axis) + output_padding[axis]);
            output[axis] = whole.saturating_sub(self.padding[axis][0] + self.padding[axis][1]);
            if output[axis] == 0 {
                return Err(Error::shape(op, "the padding removes the whole output")
                    .with("padding", format_args!("{:?}", self.padding.map(|p| p[0])))
                    .expected(format!("a padding of less than {whole} rows or columns in total"))
                    .help("pad less, or use a larger kernel, stride or image"));
            }
        }
        Ok(output)
    }

    /// # Errors
    /// A kernel, stride or dilation of zero; settings out of range.
    pub(crate) fn check(&self, op: &str) -> Result<()> {
        let settings = [
            ("kernel_size", self.kernel, 1),
            ("stride", self.stride, 1),
            ("padding", self.padding.map(|p| p[0].max(p[1])), 0),
            ("dilation", self.dilation, 1),
        ];
        for (name, values, least) in settings {
            if values.iter().any(|v| *v < least || *v > LARGEST) {
                return Err(Error::argument(op, format!("{name} is out of range"))
                    .with(name, format_args!("{values:?}"))
                    .expected(format!("from {least} to {LARGEST}")));
            }
        }
        Ok(())
    }

    /// Returns an error if the padding is more than half the window's extent. Pooling could then see nothing but
    /// padding.
    ///
    /// # Errors
    /// The padding is too large, or another setting is out of range.
    pub fn check_pool_padding(&self, op: &str) -> Result<()> {
        self.check(op)?;
        let most = [0, 1].map(|axis| self.extent(axis) / 2);
        let padding = self.padding.map(|p| p[0]);
        if (0..2).any(|axis| padding[axis] > most[axis]) {
            return Err(Error::argument(op, "padding is more than half of the window")
                .with("padding", format_args!("{padding:?}"))
                .with("kernel_size", format_args!("{:?}", self.kernel))
                .with("dilation", format_args!("{:?}", self.dilation))
                .expected(format!("at most {most:?}")));
        }
        Ok(())
    }

    fn padded(&self, input: [usize; 2]) -> [usize; 2] {
        [0, 1].map(|axis| input[axis] + self.padding[axis][0] + self.padding[axis][1])
    }

    /// The outputs `i` below `outputs` for which tap `k` lies inside an input of size `input`.
    #[inline]
    pub fn inside(&self, axis: usize, k: usize, input: usize, outputs: usize) -> Range<usize> {
        let (stride, before, tap) = (self.stride[axis], self.padding[axis][0], k * self.dilation[axis]);
        let first = before.saturating_sub(tap).div_ceil(stride);
        let end = (input + before).saturating_sub(tap).div_ceil(stride);
        first.min(outputs)..end.clamp(first.min(outputs), outputs)
    }

    /// The input position of tap `k` of output `i`. Only for outputs that [`inside`](Self::inside) allows.
    #[inline]
    pub fn position(&self, axis: usize, i: usize, k: usize) -> usize {
        i * self.stride[axis] + k * self.dilation[axis] - self.padding[axis][0]
    }

    /// The position that tap `k` of output `i` reads. In the padding it is below 0 or beyond the input.
    #[inline]
    pub fn reach(&self, axis: usize, i: usize, k: usize) -> isize {
        (i * self.stride[axis] + k * self.dilation[axis]) as isize - self.padding[axis][0] as isize
    }

    /// The output below `outputs` whose tap `k` reads input position `p`, if there is one.
    #[inline]
    pub fn reader(&self, axis: usize, p: usize, k: usize, outputs: usize) -> Option<usize> {
        let from = (p + self.padding[axis][0]).checked_sub(k * self.dilation[axis])?;
        let i = from / self.stride[axis];
        (from.is_multiple_of(self.stride[axis]) && i < outputs).then_some(i)
    }

    /// The taps of output `i` that lie inside an input of size `input`.
    #[inline]
    pub fn taps(&self, axis: usize, i: usize, input: usize) -> Range<usize> {
        let (start, before) = (i * self.stride[axis], self.padding[axis][0]);
        let dilation = self.dilation[axis];
        let first = before.saturating_sub(start).div_ceil(dilation);
        let end = (input + before).saturating_sub(start).div_ceil(dilation);
        first..end.min(self.kernel[axis]).max(first)
    }

    /// The positions in an input of size `input` that output `i` reads.
    #[inline]
    pub fn positions(&self, axis: usize, i: usize, input: usize) -> StepBy<Range<usize>> {
        let taps = self.taps(axis, i, input);
        let first = if taps.is_empty() { 0 } else { self.position(axis, i, taps.start) };
        (first..first + taps.len() * self.dilation[axis]).step_by(self.dilation[axis])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(kernel: usize, stride: usize, padding: usize, dilation: usize) -> Window {
        Window {
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding: [[padding; 2]; 2],
            dilation: [dilation; 2],
        }
    }

    /// All methods must agree with the formula, for every tap of every output.
    #[test]
    fn ranges_agree_with_the_formula() {
        for (kernel, stride, padding, dilation, input) in
            [(3, 1, 1, 1, 5), (3, 2, 1, 2, 8), (2, 3, 1, 3, 7), (5, 1, 2, 1, 3), (1, 2, 0, 1, 4)]
        {
            let w = window(kernel, stride, padding, dilation);
            let outputs = w.output("test", [input; 2], true).unwrap()[0];
            for (i, k) in (0..outputs).flat_map(|i| (0..kernel).map(move |k| (i, k))) {
                let p = (i * stride + k * dilation) as isize - padding as isize;
                let real = p >= 0 && p < input as isize;
                assert_eq!(w.inside(0, k, input, outputs).contains(&i), real, "{w:?} output {i} tap {k}");
                assert_eq!(w.taps(0, i, input).contains(&k), real, "{w:?} output {i} tap {k}");
                assert!(!real || w.position(0, i, k) == p as usize);
                assert_eq!(w.positions(0, i, input).any(|q| q as isize == p), real);
                assert_eq!(w.reach(0, i, k), p);
                let reads = |q| w.reader(0, q, k, outputs) == Some(i);
                assert!((0..input).all(|q| reads(q) == (q as isize == p)), "{w:?} output {i} tap {k}");
            }
        }
    }

    /// Values from PyTorch 2.15: ceil mode adds a window only if it starts inside the input or the padding before it.
    #[test]
    fn output_sizes_follow_pytorch() {
        let size = |w: Window, input, ceil| w.output("test", [input; 2], ceil).map(|o| o[0]).ok();
        assert_eq!(size(window(3, 2, 1, 1), 6, false), Some(3));
        assert_eq!(size(window(3, 2, 1, 1), 6, true), Some(4));
        assert_eq!(size(window(2, 2, 1, 1), 3, true), Some(2));
        assert_eq!(size(window(2, 2, 0, 1), 1, true), Some(1));
        assert_eq!(size(window(2, 2, 0, 1), 1, false), None);
        assert_eq!(size(window(2, 0, 0, 1), 4, false), None);
        assert_eq!(size(window(2, 1, 0, usize::MAX), 4, false), None);
    }

    #[test]
    fn same_padding_puts_the_odd_one_after() {
        let same = |k, d| Padding::Same.resolve("test", [k; 2], [1; 2], [d; 2]).unwrap()[0];
        assert_eq!((same(3, 1), same(2, 1), same(4, 3)), ([1, 1], [0, 1], [4, 5]));
        assert!(Padding::Same.resolve("test", [3; 2], [2, 1], [1; 2]).is_err());
    }
}
