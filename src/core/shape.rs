//! The dimensions of a tensor, stored inline, and the arithmetic on them.
//!
//! Tensors are always contiguous and row-major, so the shape alone gives the memory layout: the stride of a dimension
//! is the product of the dimensions to its right. Images are `N C H W`.

use super::error::{Error, Result};
use std::fmt;

/// The highest rank of a tensor. Images need 4, batched windows 6.
pub const MAX_RANK: usize = 6;

/// Up to [`MAX_RANK`] dimensions, row-major. Rank 0 is a scalar with one element.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    dims: [usize; MAX_RANK],
    rank: u8,
}

impl Shape {
    /// The shape of a scalar: rank 0, one element.
    pub const SCALAR: Shape = Shape { dims: [1; MAX_RANK], rank: 0 };

    /// Checks the rank and the number of elements.
    ///
    /// # Errors
    /// More than [`MAX_RANK`] dimensions, or more elements than `isize::MAX / 8`, so that byte counts never overflow.
    pub fn new(dims: &[usize]) -> Result<Shape> {
        if dims.len() > MAX_RANK {
            let what = format!("a tensor has at most {MAX_RANK} dimensions, not {}", dims.len());
            return Err(Error::shape("shape", what).with("dims", format_args!("{dims:?}")));
        }
        let count = dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        if count.is_none_or(|n| n > isize::MAX as usize / 8) {
            return Err(Error::shape("shape", "too many elements").with("dims", format_args!("{dims:?}")));
        }
        let mut shape = Shape { dims: [1; MAX_RANK], rank: dims.len() as u8 };
        shape.dims[..dims.len()].copy_from_slice(dims);
        Ok(shape)
    }

    /// The dimensions, outermost first.
    pub fn dims(&self) -> &[usize] {
        &self.dims[..self.rank as usize]
    }

    /// The number of dimensions.
    pub fn rank(&self) -> usize {
        self.rank as usize
    }

    /// The number of elements: 1 for a scalar, 0 if any dimension is 0.
    pub fn numel(&self) -> usize {
        self.dims().iter().product()
    }

    /// Row-major strides in elements.
    pub fn strides(&self) -> [usize; MAX_RANK] {
        let mut strides = [1; MAX_RANK];
        for d in (1..self.rank()).rev() {
            strides[d - 1] = strides[d] * self.dims[d];
        }
        strides
    }

    /// Turns PyTorch's `dim` (negative counts from the end) into an index.
    ///
    /// # Errors
    /// `dim` outside `-rank .. rank`. As in PyTorch a scalar accepts 0 and -1.
    pub fn dim(&self, op: &str, dim: isize) -> Result<usize> {
        let rank = self.rank().max(1) as isize;
        if dim < -rank || dim >= rank {
            return Err(Error::shape(op, format!("dim {dim} is out of range for this shape"))
                .with("input", self)
                .expected(format!("dim from {} to {}", -rank, rank - 1)));
        }
        Ok(if dim < 0 { dim + rank } else { dim } as usize)
    }

    /// The shape split at `dim`: the product of the dimensions before it, its size, the product of those after it.
    pub fn around(&self, dim: usize) -> [usize; 3] {
        let dims = self.dims();
        if dims.is_empty() {
            return [1; 3];
        }
        [dims[..dim].iter().product(), dims[dim], dims[dim + 1..].iter().product()]
    }

    /// The four dimensions of an image batch.
    ///
    /// # Errors
    /// Any other rank.
    pub fn nchw(&self, op: &str) -> Result<[usize; 4]> {
        self.dims().try_into().map_err(|_| {
            Error::shape(op, format!("input has {} dimensions, but a batch of images has 4", self.rank()))
                .with("input", self)
                .expected("[N, C, H, W]")
                .help("a single image needs a batch dimension in front: reshape it to [1, C, H, W]")
        })
    }

    /// The shape with names, aligned from the right: `[64, C=3, H=32, W=32]`. For error messages.
    pub fn named(&self, names: &[&str]) -> String {
        let unnamed = self.rank().saturating_sub(names.len());
        let names = names.iter().skip(names.len().saturating_sub(self.rank()));
        let named = self.dims()[unnamed..].iter().zip(names).map(|(d, name)| format!("{name}={d}"));
        let items: Vec<String> = self.dims()[..unnamed].iter().map(usize::to_string).chain(named).collect();
        format!("[{}]", items.join(", "))
    }

    /// PyTorch's broadcasting: shapes are aligned at the right, and a dimension of 1 is stretched.
    ///
    /// # Errors
    /// Two dimensions differ and neither is 1.
    pub fn broadcast(&self, op: &str, other: &Shape) -> Result<Shape> {
        if self == other {
            return Ok(*self);
        }
        let rank = self.rank().max(other.rank());
        let mut dims = [1; MAX_RANK];
        for i in 0..rank {
            let a = if i < self.rank() { self.dims[self.rank() - 1 - i] } else { 1 };
            let b = if i < other.rank() { other.dims[other.rank() - 1 - i] } else { 1 };
            dims[rank - 1 - i] = match (a, b) {
                (a, b) if a == b => a,
                (1, b) => b,
                (a, 1) => a,
                (a, b) => {
                    return Err(Error::shape(op, format!("shapes do not broadcast: {a} against {b}"))
                        .with("input", self)
                        .with("other", other)
                        .help("dimensions are aligned from the right and must be equal or 1"));
                }
            };
        }
        Shape::new(&dims[..rank])
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.dims())
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcasting_follows_pytorch() {
        let s = |d: &[usize]| Shape::new(d).unwrap();
        assert_eq!(s(&[3, 1]).broadcast("add", &s(&[4])).unwrap(), s(&[3, 4]));
        assert_eq!(s(&[]).broadcast("add", &s(&[2, 0])).unwrap(), s(&[2, 0]));
        assert_eq!(s(&[1]).broadcast("add", &s(&[0])).unwrap(), s(&[0]));
        assert!(s(&[2]).broadcast("add", &s(&[3])).is_err());
    }

    #[test]
    fn absurd_shapes_are_errors_not_overflows() {
        assert!(Shape::new(&[usize::MAX, 2]).is_err());
        assert!(Shape::new(&[1; 7]).is_err());
        assert!(Shape::new(&[usize::MAX, 0]).is_err() || Shape::new(&[usize::MAX, 0]).unwrap().numel() == 0);
    }

    #[test]
    fn strides_are_row_major() {
        assert_eq!(Shape::new(&[2, 3, 4]).unwrap().strides()[..3], [12, 4, 1]);
    }
}
