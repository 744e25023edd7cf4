//! Shapes of image batches, for ops that treat rows and columns differently from channels.

use crate::core::{Error, Result, Shape, Window};
use crate::tensor::{Dependence, Meta};

/// The four dimensions of a batch of images. A single image counts as a batch of one.
///
/// # Errors
/// Neither `[N, C, H, W]` nor `[C, H, W]`.
pub fn images(op: &str, input: &Shape) -> Result<[usize; 4]> {
    match *input.dims() {
        [n, c, h, w] => Ok([n, c, h, w]),
        [c, h, w] => Ok([1, c, h, w]),
        _ => Err(Error::shape(op, format!("input has {} dimensions", input.rank()))
            .with("input", input)
            .expected("[N, C, H, W], or [C, H, W] for a single image")),
    }
}

/// `dims` as a shape, without the batch dimension if `input` has none.
///
/// # Errors
/// Too many elements in a batch, or in one image of an empty batch.
pub fn like_images(input: &Shape, dims: [usize; 4]) -> Result<Shape> {
    Shape::new(&dims[1..])?;
    Shape::new(&dims[4 - input.rank()..])
}

/// `[N, C, *]` as N, C and the product of the rest.
///
/// # Errors
/// Fewer than two dimensions.
pub fn batch_of_channels(op: &str, input: &Shape) -> Result<[usize; 3]> {
    match input.dims() {
        [n, c, rest @ ..] => Ok([*n, *c, rest.iter().product()]),
        _ => Err(Error::shape(op, "input has no channels").with("input", input).expected("[N, C, ...]")),
    }
}

/// Checks that `dy` has the output's shape.
///
/// # Errors
/// A `dy` of another shape.
pub fn check_dy(op: &str, output: [usize; 4], dy: &Meta) -> Result<()> {
    if images(op, &dy.shape)? == output {
        return Ok(());
    }
    Err(Error::shape(op, "dy does not have the output's shape")
        .with("dy", dy.shape)
        .expected(format!("{output:?}")))
}

/// Which axis of an image a dimension is: 0 for rows, 1 for columns, `None` for channels, the batch, and inputs that
/// are not images.
pub fn axis(input: &Shape, dim: usize) -> Option<usize> {
    if input.rank() > 2 { dim.checked_sub(input.rank() - 2) } else { None }
}

/// The receptive field of an output that depends on all elements along `dims` (along all dimensions if `dims` is
/// empty). It is pointwise if none of them is the rows or columns of images.
pub fn dependence_along(op: &str, input: &Shape, dims: &[isize]) -> Dependence {
    let in_place = |&dim: &isize| input.dim(op, dim).is_ok_and(|dim| axis(input, dim).is_none());
    let pointwise = input.rank() > 2 && !dims.is_empty() && dims.iter().all(in_place);
    if pointwise { Dependence::Pointwise } else { Dependence::Global }
}

/// The output shape of a pooling.
///
/// # Errors
/// An input that is not images, images without pixels, or a window that does not fit.
pub fn pooled(op: &str, input: &Shape, window: &Window, ceil_mode: bool) -> Result<Shape> {
    let [n, c, h, w] = images(op, input)?;
    if h == 0 || w == 0 {
        return Err(Error::shape(op, "the images have no pixels").with("input", input));
    }
    window.check_pool_padding(op)?;
    let [oh, ow] = window.output(op, [h, w], ceil_mode).map_err(|e| e.with("input", input))?;
    like_images(input, [n, c, oh, ow])
}
