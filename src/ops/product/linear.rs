//! Fully connected layer.
//!
//! Compared with lesson 0: one fast function computes the three matrix products, and the bias is optional.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! y_{\ldots,o} = \sum_i x_{\ldots,i} \, w_{o,i} + b_o
//! ```
//!
//! If all dimensions of x but the last are flattened to rows, this is one matrix product, `Y = X W^T + 1 b^T`. Here 1
//! is a column of ones, so b is added to each row. A small change `delta X` changes the loss by
//! `<dY, delta X W^T> = <dY W, delta X>`: the notation page explains this step. With the same for W and b:
//!
//! ```math
//! \begin{aligned}
//! \mathrm{dX} &= \mathrm{dY} \, W \\
//! \mathrm{dW} &= \mathrm{dY}^T X \\
//! \mathrm{db}_o &= \sum_{\mathrm{rows}} \mathrm{dY}_{\ldots,o}
//! \end{aligned}
//! ```
//!
//! The matrix product (GEMM) can read a matrix as its transpose, so no transposed copy is made. PyTorch: `F.linear`.
//!
//! | tensor | shape | |
//! |---|---|---|
//! | input | `[*, I]` | any leading dimensions, also none |
//! | weight | `[O, I]` | |
//! | bias | `[O]` | optional |
//! | output | `[*, O]` | |
//!
//! ```
//! use receptive::{Device, Tensor};
//! let cpu = Device::cpu()?;
//! let x = Tensor::from_vec(&cpu, vec![1f32, 2.0, 3.0, 4.0], &[2, 2])?;
//! let weight = Tensor::from_vec(&cpu, vec![1f32, 0.0, 1.0, -1.0, 0.5, 0.5], &[3, 2])?;
//! let bias = Tensor::from_vec(&cpu, vec![0f32, 10.0, 0.0], &[3])?;
//! assert_eq!(x.linear(&weight, Some(&bias))?.to_vec::<f32>()?, [1.0, 9.0, 1.5, 3.0, 9.0, 3.5]);
//! # Ok::<(), receptive::Error>(())
//! ```

use crate::core::{Error, Float, Result, Shape};
use crate::cpu::gemm::{Mat, gemm};
use crate::cpu::{CpuCtx, View, ViewMut};
use crate::cuda::gemm as cuda;
use crate::cuda::{CudaCtx, DeviceView};
use crate::float_type;
use crate::ops::gradient::{Gradient, GradientOp};
use crate::ops::{Case, Input, OpSpec, one};
use crate::tensor::{Dependence, Grads, Meta, Op, Plan, Saved, Saves, Tensor, apply, one_float};
use smallvec::smallvec;
use std::sync::Arc;

/// `x W^T + b` from `(input, weight)` or `(input, weight, bias)`.
#[derive(Debug)]
pub struct Linear;

impl Linear {
    /// Launches the matrix product. With `relu`, negative outputs become 0.
    pub(super) fn launch(&self, cx: &CudaCtx, x: &[DeviceView], y: &[DeviceView], relu: bool) -> Result<()> {
        let (rows, o, i) = sizes(&x[0].shape, x[1].dims()[0]);
        let (a, b) = (cuda::Mat::new(x[0].f32()?, i), cuda::Mat::transposed(x[1].f32()?, i));
        let bias = x.get(2).map_or(Ok(cuda::Bias::None), |b| b.f32().map(cuda::Bias::Columns))?;
        let product = cuda::Product::new([rows, i, o], a, b, y[0].f32()?);
        cuda::gemm(cx, &cuda::Product { bias, relu, ..product })
    }
}

impl Op for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        let dtype = one_float(self.name(), x)?;
        let (input, weight) = (x[0].shape, x[1].shape);
        let &[o, i] = weight.dims() else {
            return Err(Error::shape(self.name(), "weight is not a matrix")
                .with("weight", weight)
                .expected("[O, I]")
                .help("reshape a single row of weights to [1, I], or use matmul"));
        };
        let Some((&features, _)) = input.dims().split_last() else {
            return Err(Error::shape(self.name(), "input is a scalar")
                .with("input", input)
                .expected(format!("[*, I={i}]")));
        };
        if features != i {
            return Err(Error::shape(self.name(), "input features disagree with weight")
                .with("input", input.named(&["I"]))
                .with("weight", weight.named(&["O", "I"]))
                .expected(format!("I = {features}"))
                .help(format!("Linear::new({features}, {o})")));
        }
        if let Some(bias) = x.get(2)
            && bias.dims() != [o]
        {
            return Err(Error::shape(self.name(), "bias disagrees with weight")
                .with("bias", bias.shape)
                .with("weight", weight.named(&["O", "I"]))
                .expected(format!("[{o}]")));
        }
        Ok(Plan::new(with_last(&input, o)?, dtype))
    }

    fn saves(&self) -> Saves {
        Saves::inputs(&[0, 1])
    }

    fn cpu(&self, cx: &CpuCtx, _: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let (rows, o, i) = sizes(&x[0].shape, x[1].dims()[0]);
        float_type!(self.name(), x[0].dtype, T => {
            let out = y[0].get::<T>();
            let mut beta = T::ZERO;
            if let Some(bias) = x.get(2).filter(|_| o > 0) {
                out.chunks_exact_mut(o).for_each(|row| row.copy_from_slice(bias.get()));
                beta = T::ONE;
            }
            gemm(cx, [rows, i, o], Mat::new(x[0].get(), i), Mat::transposed(x[1].get(), i), beta, out);
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, _: &Plan, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        self.launch(cx, x, y, false)
    }

    fn backward(&self, saved: &Saved, dy: &Tensor, needs: &[bool]) -> Result<Grads> {
        let mut grads: Grads = smallvec![None; saved.len()];
        if needs[0] {
            grads[0] = Some(Gradient::of(LinearGrad::Input, &[dy, &saved.input(1)])?);
        }
        if needs[1] {
            grads[1] = Some(Gradient::of(LinearGrad::Weight, &[dy, &saved.input(0)])?);
        }
        if needs.get(2) == Some(&true) {
            grads[2] = Some(dy.sum_to_size(saved.meta(2).dims())?);
        }
        Ok(grads)
    }

    fn flops(&self, x: &[Meta], y: &[Meta]) -> u64 {
        let bias = if x.len() == 3 { y[0].numel() } else { 0 };
        product_flops(&x[0].shape, x[1].dims()[0]) + bias as u64
    }

    fn dependence(&self, _x: &[Meta]) -> Dependence {
        Dependence::Global
    }
}

/// The two matrix products of the backward pass.
#[derive(Debug)]
enum LinearGrad {
    /// `dX = dY W` from `(dy, weight)`.
    Input,
    /// `dW = dY^T X` from `(dy, input)`.
    Weight,
}

impl GradientOp for LinearGrad {
    fn name(&self) -> &'static str {
        match self {
            LinearGrad::Input => "linear_grad_input",
            LinearGrad::Weight => "linear_grad_weight",
        }
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        let dtype = one_float(self.name(), x)?;
        let i = last(&x[1].shape);
        let shape = match self {
            LinearGrad::Input => with_last(&x[0].shape, i)?,
            LinearGrad::Weight => Shape::new(&[last(&x[0].shape), i])?,
        };
        Ok(Plan::new(shape, dtype))
    }

    fn cpu(&self, cx: &CpuCtx, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let (rows, i, o) = sizes(&x[0].shape, last(&x[1].shape));
        float_type!(self.name(), x[0].dtype, T => {
            let (dy, other, out) = (x[0].get::<T>(), Mat::new(x[1].get::<T>(), i), y[0].get::<T>());
            match self {
                LinearGrad::Input => gemm(cx, [rows, o, i], Mat::new(dy, o), other, T::ZERO, out),
                LinearGrad::Weight => gemm(cx, [o, rows, i], Mat::transposed(dy, o), other, T::ZERO, out),
            }
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let (rows, i, o) = sizes(&x[0].shape, last(&x[1].shape));
        let (dy, other, out) = (x[0].f32()?, cuda::Mat::new(x[1].f32()?, i), y[0].f32()?);
        let product = match self {
            LinearGrad::Input => cuda::Product::new([rows, o, i], cuda::Mat::new(dy, o), other, out),
            LinearGrad::Weight => cuda::Product::new([o, rows, i], cuda::Mat::transposed(dy, o), other, out),
        };
        cuda::gemm(cx, &product)
    }

    fn flops(&self, x: &[Meta], _y: &[Meta]) -> u64 {
        product_flops(&x[0].shape, last(&x[1].shape))
    }
}

fn last(shape: &Shape) -> usize {
    shape.dims().last().copied().unwrap_or(1)
}

/// `shape` with its last dimension replaced by `n`.
fn with_last(shape: &Shape, n: usize) -> Result<Shape> {
    let mut dims = shape.dims().to_vec();
    dims[shape.rank() - 1] = n;
    Shape::new(&dims)
}

/// Rows, `other` and columns of a tensor seen as a matrix: the last dimension is the columns.
fn sizes(shape: &Shape, other: usize) -> (usize, usize, usize) {
    let [rows, columns, _] = shape.around(shape.rank() - 1);
    (rows, other, columns)
}

fn product_flops(shape: &Shape, other: usize) -> u64 {
    2 * shape.numel() as u64 * other as u64
}

impl Tensor {
    /// `x W^T + b`: `[*, I]` and a weight `[O, I]` give `[*, O]`. PyTorch: `F.linear`.
    ///
    /// # Errors
    /// Features that disagree with the weight, a bias that is not `[O]`, a dtype other than f32 and f64.
    pub fn linear(&self, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        Ok(one(match bias {
            Some(bias) => apply(Linear, &[self, weight, bias])?,
            None => apply(Linear, &[self, weight])?,
        }))
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "linear",
    torch: "F.linear(input, weight, bias)",
    inputs: &[Input::new("input"), Input::new("weight"), Input::new("bias").optional()],
    outputs: &["output"],
    attrs: &[],
    layer: None,
    build: |_| Ok(Arc::new(Linear)),
    cases,
};

fn cases() -> Vec<Case> {
    let case = |label, input: &[usize], o: usize| {
        let i = input[input.len() - 1];
        Case::new(label, "").input("input", input).input("weight", &[o, i])
    };
    let biased = |label, input: &[usize], o: usize| case(label, input, o).input("bias", &[o]);
    vec![
        biased("batch", &[4, 5], 3),
        case("no bias", &[3, 7], 2),
        biased("one vector", &[5], 3),
        biased("sequences", &[2, 3, 4], 5),
        biased("one feature", &[3, 1], 1).edge(),
        biased("empty batch", &[0, 4], 3).edge(),
        biased("no features", &[2, 0], 3).edge(),
        biased("no outputs", &[2, 3], 0).edge(),
        biased("lenet5 fc1", &[64, 400], 120).bench(),
        biased("lenet5 fc3", &[64, 84], 10).bench(),
        biased("mlp fc1", &[64, 784], 256).bench(),
        biased("vgg fc2", &[32, 4096], 4096).bench(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Device;

    /// Compares dX, dW and db with their definitions, on numbers whose sums are exact.
    #[test]
    fn gradients_are_the_transposed_products() {
        let cpu = Device::cpu().unwrap();
        let make = |values: Vec<f64>, dims: &[usize]| Tensor::from_vec(&cpu, values, dims).unwrap();
        let x = make(vec![1.0, 2.0, 3.0, 4.0], &[2, 2]).requires_grad();
        let w = make(vec![1.0, 0.0, 1.0, -1.0, 2.0, 0.5], &[3, 2]).requires_grad();
        let b = make(vec![0.0; 3], &[3]).requires_grad();
        let dy = make(vec![1.0, 2.0, 3.0, -1.0, 0.0, 4.0], &[2, 3]);
        x.linear(&w, Some(&b)).unwrap().backward_with(&dy).unwrap();
        assert_eq!(x.grad().unwrap().to_f64().unwrap(), [9.0, -0.5, 7.0, 2.0]);
        assert_eq!(w.grad().unwrap().to_f64().unwrap(), [-2.0, -2.0, 2.0, 4.0, 15.0, 22.0]);
        assert_eq!(b.grad().unwrap().to_f64().unwrap(), [0.0, 2.0, 7.0]);
    }

    #[test]
    fn disagreeing_features_name_both_shapes_and_the_layer_to_write() {
        let meta = Device::meta();
        let zeros = |dims: &[usize]| Tensor::zeros(&meta, dims, crate::DType::F32).unwrap();
        let error = zeros(&[64, 256]).linear(&zeros(&[120, 400]), None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "linear: input features disagree with weight\n  input [64, I=256]   weight [O=120, I=400]\n  \
             expected I = 256\n  help: Linear::new(256, 120)"
        );
    }
}
