//! What the adaptive poolings share: the size of the output, and the window of inputs that each output covers.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! The axis of H inputs is divided into H' equal parts. Output `i` covers every input that part `i` touches:
//!
//! ```math
//! \mathrm{start}(i) = \lfloor i H / H' \rfloor
//! \qquad
//! \mathrm{end}(i) = \lceil (i + 1) H / H' \rceil
//! ```
//!
//! Neighbouring windows can overlap by one input if H' does not divide H. If H' is larger than H, inputs repeat.

use crate::core::{Error, Result, Shape, Window};
use crate::ops::attrs::{AttrValue, Attrs};
use crate::ops::images::{images, like_images};
use crate::tensor::Dependence;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// The height and width of an adaptive pooling's output. `None` keeps the input's size; a single number sets both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputSize(pub [Option<usize>; 2]);

impl From<usize> for OutputSize {
    fn from(both: usize) -> OutputSize {
        OutputSize([Some(both); 2])
    }
}

impl From<[usize; 2]> for OutputSize {
    fn from(pair: [usize; 2]) -> OutputSize {
        OutputSize(pair.map(Some))
    }
}

impl From<[Option<usize>; 2]> for OutputSize {
    fn from(pair: [Option<usize>; 2]) -> OutputSize {
        OutputSize(pair)
    }
}

impl fmt::Display for OutputSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [h, w] = self.0.map(|size| size.map_or("None".into(), |n| n.to_string()));
        if h == w { write!(f, "{h}") } else { write!(f, "({h}, {w})") }
    }
}

/// One number of `output_size`, or `None`.
struct Item(Option<usize>);

impl FromStr for Item {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Item, Self::Err> {
        if text == "None" { Ok(Item(None)) } else { text.parse().map(|n| Item(Some(n))) }
    }
}

impl AttrValue for Item {
    const FORM: &'static str = "a whole number, 0 or more, or None";
}

impl OutputSize {
    /// Reads the size from attributes in text form.
    ///
    /// # Errors
    /// No `output_size`, or text of the wrong form.
    pub fn from_attrs(attrs: &Attrs) -> Result<OutputSize> {
        let key = "output_size";
        match attrs.list::<Item>(key)?.as_deref() {
            None => Err(attrs.missing(key)),
            Some([both]) => Ok(OutputSize([both.0; 2])),
            Some([h, w]) => Ok(OutputSize([h.0, w.0])),
            Some(_) => Err(attrs.malformed(key, attrs.text(key).unwrap_or(""), "one number or two: h,w")),
        }
    }

    /// The output's shape.
    ///
    /// # Errors
    /// An input that is not images, images without pixels, a size that is too large.
    pub(super) fn shape(&self, op: &str, input: &Shape) -> Result<Shape> {
        let [n, c, h, w] = images(op, input)?;
        if h == 0 || w == 0 {
            return Err(Error::shape(op, "the images have no pixels").with("input", input));
        }
        let [oh, ow] = self.sizes([h, w]);
        like_images(input, [n, c, oh, ow])
    }

    fn sizes(&self, input: [usize; 2]) -> [usize; 2] {
        [0, 1].map(|axis| self.0[axis].unwrap_or(input[axis]))
    }

    /// If the output's size divides the input's, all windows have the same size and distance. Else the field is taken
    /// as the whole input.
    pub(super) fn dependence(&self, input: &Shape) -> Dependence {
        let Ok([_, _, h, w]) = images("adaptive pooling", input) else { return Dependence::Global };
        let (input, output) = ([h, w], self.sizes([h, w]));
        if (0..2).any(|axis| output[axis] == 0 || !input[axis].is_multiple_of(output[axis])) {
            return Dependence::Global;
        }
        let kernel = [0, 1].map(|axis| input[axis] / output[axis]);
        Dependence::Window(Window { kernel, stride: kernel, padding: [[0; 2]; 2], dilation: [1, 1] })
    }
}

/// The range of inputs that output `i` covers, for an axis of `input` inputs and `outputs` outputs.
pub fn under(i: usize, input: usize, outputs: usize) -> Range<usize> {
    i * input / outputs..((i + 1) * input).div_ceil(outputs)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Windows overlap if the parts do not divide the inputs. Inputs repeat if there are more parts than inputs.
    #[test]
    fn windows_follow_the_formula() {
        let all = |input, outputs| (0..outputs).map(|i| under(i, input, outputs)).collect::<Vec<_>>();
        assert_eq!(all(6, 3), [0..2, 2..4, 4..6]);
        assert_eq!(all(7, 3), [0..3, 2..5, 4..7]);
        assert_eq!(all(2, 4), [0..1, 0..1, 1..2, 1..2]);
        assert_eq!(all(5, 1), [0..5; 1]);
    }

    #[test]
    fn sizes_print_as_pytorch_does() {
        let text = |size: OutputSize| size.to_string();
        assert_eq!(text(1.into()), "1");
        assert_eq!(text([2, 3].into()), "(2, 3)");
        assert_eq!(text([Some(3), None].into()), "(3, None)");
    }
}
