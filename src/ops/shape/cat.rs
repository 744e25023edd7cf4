//! Joins tensors along one dimension, as GoogLeNet and U-Net do with their branches.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! \begin{aligned}
//! y &= [\, x_0 \mid x_1 \mid \cdots \,] \text{ along dim} \\
//! \mathrm{dx}_k &= \text{the part of } \mathrm{dy} \text{ that } x_k \text{ became}
//! \end{aligned}
//! ```
//!
//! Every element is copied once, so each gradient is a slice of `dy`. All other dimensions must be equal. An empty
//! tensor of shape `[0]` is allowed with any others and is ignored, as in PyTorch (`torch.cat`).
//!
//! | tensor | shape | |
//! |---|---|---|
//! | tensors.k | `[.., d_k, ..]`, equal except in `dim` | one dtype for all |
//! | output | `[.., d_0 + d_1 + .., ..]` | |
//!
//! ```
//! use receptive::{Device, Tensor};
//! let cpu = Device::cpu()?;
//! let a = Tensor::from_vec(&cpu, vec![1f32, 2.0], &[2, 1])?;
//! let b = Tensor::from_vec(&cpu, vec![3f32, 4.0, 5.0, 6.0], &[2, 2])?;
//! assert_eq!(Tensor::cat(&[&a, &b], 1)?.to_vec::<f32>()?, [1.0, 3.0, 4.0, 2.0, 5.0, 6.0]);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::cuda::copy;
use crate::core::{Error, Result, Shape};
use crate::cpu::context::CHUNK;
use crate::cpu::{CpuCtx, View, ViewMut};
use crate::cuda::{CudaCtx, DeviceView};
use crate::ops::images::axis;
use crate::ops::{Case, Input, OpSpec, one};
use crate::tensor::{Dependence, Grads, Meta, Op, Plan, Saved, Saves, Tensor, apply};
use smallvec::SmallVec;
use std::sync::Arc;

/// `torch.cat(tensors, dim)`.
#[derive(Debug)]
pub struct Cat {
    pub dim: isize,
}

/// Whether a tensor is ignored: an empty one of shape `[0]`.
fn passed_over(shape: &Shape) -> bool {
    shape.dims() == [0]
}

/// The shape of the first tensor that is not ignored. The others must agree with it.
fn pattern<'a>(mut shapes: impl Iterator<Item = &'a Shape> + Clone) -> &'a Shape {
    let first = shapes.clone().find(|shape| !passed_over(shape));
    first.or_else(|| shapes.next()).expect("an op has at least one input")
}

impl Op for Cat {
    fn name(&self) -> &'static str {
        "cat"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        let shape = pattern(x.iter().map(|m| &m.shape));
        if shape.rank() == 0 {
            return Err(Error::shape(self.name(), "scalars have no dimension to join along")
                .help("reshape each to [1] first"));
        }
        let dim = shape.dim(self.name(), self.dim)?;
        let mut dims: SmallVec<[usize; 6]> = shape.dims().into();
        dims[dim] = 0;
        for (t, m) in x.iter().enumerate() {
            if m.dtype != x[0].dtype {
                let what = format!("tensor 0 is {}, but tensor {t} is {}", x[0].dtype, m.dtype);
                return Err(Error::dtype(self.name(), what).help("convert one of them: x.to_dtype(dtype)"));
            }
            if passed_over(&m.shape) {
                continue;
            }
            let fits = m.shape.rank() == dims.len()
                && (0..dims.len()).all(|d| d == dim || m.dims()[d] == shape.dims()[d]);
            if !fits {
                let what = format!("tensor {t} differs from the others outside dim {dim}");
                return Err(Error::shape(self.name(), what)
                    .with("expected like", shape)
                    .with("tensor", m.shape));
            }
            dims[dim] += m.dims()[dim];
        }
        Ok(Plan::new(Shape::new(&dims)?, x[0].dtype))
    }

    fn saves(&self) -> Saves {
        Saves::NONE
    }

    fn cpu(&self, cx: &CpuCtx, _: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        // Copies bytes of any dtype, because nothing is computed.
        let dim = y[0].shape.dim(self.name(), self.dim)?;
        let [rows, ..] = y[0].shape.around(dim);
        let parts: SmallVec<[(&[u8], usize); 4]> =
            x.iter().map(|x| (x.bytes, x.bytes.len() / rows.max(1))).collect();
        let row = y[0].bytes.len() / rows.max(1);
        let piece = (CHUNK / row.max(1)).max(1);
        let work = y[0].bytes.len() / y[0].dtype.size();
        cx.pieces(y[0].bytes, piece * row, work, |p, y| {
            for (r, mut y) in (p * piece..).zip(y.chunks_mut(row)) {
                for &(bytes, len) in &parts {
                    let (part, rest) = y.split_at_mut(len);
                    part.copy_from_slice(&bytes[r * len..][..len]);
                    y = rest;
                }
            }
        });
        Ok(())
    }

    fn cuda(&self, cx: &CudaCtx, _: &Plan, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let [rows, length, after] = y[0].shape.around(y[0].shape.dim(self.name(), self.dim)?);
        let (bytes, row) = (y[0].dtype.size(), length * after);
        let mut to = y[0].bytes();
        for x in x.iter().filter(|x| x.numel() > 0) {
            let part = x.numel() / rows;
            copy(cx, x.bytes(), to, bytes, &[(rows, part, row), (part, 1, 1)])?;
            to = to.at(part * bytes);
        }
        Ok(())
    }

    fn backward(&self, saved: &Saved, dy: &Tensor, needs: &[bool]) -> Result<Grads> {
        let dim = dy.shape().dim(self.name(), self.dim)?;
        let mut start = 0;
        let mut gradient = |i: usize| {
            let shape = saved.meta(i).shape;
            if passed_over(&shape) {
                return needs[i].then(|| Tensor::zeros(dy.device(), &[0], dy.dtype())).transpose();
            }
            let length = shape.dims()[dim];
            start += length;
            needs[i].then(|| dy.narrow(dim as isize, start - length, length)).transpose()
        };
        (0..saved.len()).map(&mut gradient).collect()
    }

    fn flops(&self, _x: &[Meta], _y: &[Meta]) -> u64 {
        0
    }

    /// If images are joined along rows or columns, the position of an output does not tell how far its image was moved.
    /// The field is then the whole input.
    fn dependence(&self, x: &[Meta]) -> Dependence {
        let shape = pattern(x.iter().map(|m| &m.shape));
        let beside = shape.dim(self.name(), self.dim).is_ok_and(|dim| axis(shape, dim).is_some());
        if beside { Dependence::Global } else { Dependence::Pointwise }
    }
}

impl Tensor {
    /// Joins tensors along `dim`. PyTorch: `torch.cat`.
    ///
    /// # Errors
    /// No tensors, different dtypes, or shapes that differ outside `dim`.
    pub fn cat(tensors: &[&Tensor], dim: isize) -> Result<Tensor> {
        Ok(one(apply(Cat { dim }, tensors)?))
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "cat",
    torch: "torch.cat(tensors, dim=0)",
    inputs: &[Input::new("tensors").list()],
    outputs: &["output"],
    attrs: &["dim"],
    layer: None,
    build: |attrs| Ok(Arc::new(Cat { dim: attrs.or("dim", 0)? })),
    cases: || {
        vec![
            Case::new("rows", "").input("tensors.0", &[2, 3]).input("tensors.1", &[4, 3]),
            Case::new("skip connection", "dim=1")
                .input("tensors.0", &[2, 3, 2, 2])
                .input("tensors.1", &[2, 1, 2, 2])
                .input("tensors.2", &[2, 4, 2, 2]),
            Case::new("columns", "dim=-1").input("tensors.0", &[2, 3]).input("tensors.1", &[2, 2]),
            Case::new("one tensor", "dim=1").input("tensors.0", &[2, 3]).edge(),
            Case::new("an empty one", "dim=1").input("tensors.0", &[0]).input("tensors.1", &[2, 2]).edge(),
            Case::new("zero columns", "dim=1").input("tensors.0", &[2, 0]).input("tensors.1", &[2, 2]).edge(),
            Case::new("U-Net", "dim=1")
                .input("tensors.0", &[8, 64, 128, 128])
                .input("tensors.1", &[8, 64, 128, 128])
                .bench(),
        ]
    },
};

#[cfg(test)]
mod tests {
    use crate::{DType, Device, ErrorKind, Tensor};

    #[test]
    fn tensors_that_do_not_fit_are_refused() {
        let meta = Device::meta();
        let tensor = |dims: &[usize], dtype| Tensor::zeros(&meta, dims, dtype).unwrap();
        let x = tensor(&[2, 3], DType::F32);
        let kind = |other: &Tensor| Tensor::cat(&[&x, other], 0).unwrap_err().kind();
        assert_eq!(kind(&tensor(&[2, 4], DType::F32)), ErrorKind::Shape);
        assert_eq!(kind(&tensor(&[2], DType::F32)), ErrorKind::Shape);
        assert_eq!(kind(&tensor(&[2, 3], DType::F64)), ErrorKind::DType);
        assert_eq!(Tensor::cat(&[], 0).unwrap_err().kind(), ErrorKind::Argument);
    }

    /// Joins more tensors than a save mask has bits.
    #[test]
    fn forty_tensors_join() {
        let x = Tensor::from_vec(&Device::cpu().unwrap(), vec![1f32], &[1]).unwrap().requires_grad();
        let y = Tensor::cat(&[&x; 40], 0).unwrap();
        y.backward_with(&y.detach()).unwrap();
        assert_eq!(x.grad().unwrap().to_vec::<f32>().unwrap(), [40.0]);
    }

    /// If the same tensor is given twice, its gradient is the sum of both parts.
    #[test]
    fn a_tensor_joined_with_itself_receives_both_gradients() {
        let x = Tensor::from_vec(&Device::cpu().unwrap(), vec![1f32, 2.0], &[2]).unwrap().requires_grad();
        let y = Tensor::cat(&[&x, &x], 0).unwrap();
        let dy = Tensor::from_vec(x.device(), vec![1f32, 2.0, 10.0, 20.0], &[4]).unwrap();
        y.backward_with(&dy).unwrap();
        assert_eq!(x.grad().unwrap().to_vec::<f32>().unwrap(), [11.0, 22.0]);
    }
}
