//! What an op's CPU loop receives: bytes with a shape and an element type.

use crate::core::{DType, Element, Shape};

/// A tensor's contents, to be read.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub shape: Shape,
    pub dtype: DType,
    pub bytes: &'a [u8],
}

impl<'a> View<'a> {
    /// The elements. `T` must be the view's dtype; ops know it from `infer`.
    pub fn get<T: Element>(&self) -> &'a [T] {
        debug_assert_eq!(T::DTYPE, self.dtype);
        bytemuck::cast_slice(self.bytes)
    }

    /// The dimensions.
    pub fn dims(&self) -> &[usize] {
        self.shape.dims()
    }
}

/// A tensor's contents, to be written.
pub struct ViewMut<'a> {
    pub shape: Shape,
    pub dtype: DType,
    pub bytes: &'a mut [u8],
}

impl ViewMut<'_> {
    /// The elements. `T` must be the view's dtype.
    pub fn get<T: Element>(&mut self) -> &mut [T] {
        debug_assert_eq!(T::DTYPE, self.dtype);
        bytemuck::cast_slice_mut(self.bytes)
    }

    /// The dimensions.
    pub fn dims(&self) -> &[usize] {
        self.shape.dims()
    }
}
