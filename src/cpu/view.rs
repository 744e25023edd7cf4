//! The tensors that an op's CPU loop receives: bytes with a shape and an element type.

use crate::core::{DType, Element, Shape};

/// A tensor's contents, to be read.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub shape: Shape,
    pub dtype: DType,
    pub bytes: &'a [u8],
}

impl<'a> View<'a> {
    /// The elements, for a loop to run over.
    ///
    /// # Panics
    /// If `T` is not the view's dtype, which ops know from `infer`. Read as another type, the bytes would be other
    /// numbers.
    #[track_caller]
    pub fn get<T: Element>(&self) -> &'a [T] {
        check::<T>(self.dtype);
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
    /// The elements, for a loop to run over.
    ///
    /// # Panics
    /// If `T` is not the view's dtype.
    #[track_caller]
    pub fn get<T: Element>(&mut self) -> &mut [T] {
        check::<T>(self.dtype);
        bytemuck::cast_slice_mut(self.bytes)
    }

    /// The dimensions.
    pub fn dims(&self) -> &[usize] {
        self.shape.dims()
    }
}

/// Checks the type once for each tensor that a loop reads or writes, in every build.
#[track_caller]
fn check<T: Element>(dtype: DType) {
    assert!(T::DTYPE == dtype, "a view of {dtype} is taken for one of {}", T::DTYPE);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "a view of f32 is taken for one of i64")]
    fn bytes_are_not_read_as_another_type() {
        let view = View { shape: Shape::new(&[2]).unwrap(), dtype: DType::F32, bytes: &[0; 8] };
        view.get::<i64>();
    }

    #[test]
    #[should_panic(expected = "a view of f64 is taken for one of f32")]
    fn nor_written() {
        let mut bytes = [0; 16];
        let mut view = ViewMut { shape: Shape::new(&[2]).unwrap(), dtype: DType::F64, bytes: &mut bytes };
        view.get::<f32>()[0] = 1.0;
    }
}
