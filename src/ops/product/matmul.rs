//! Matrix product, with PyTorch's rules for vectors and batches.
//!
//! Notation: [docs/notation.md](crate::ops::notation).
//!
//! ```math
//! y_{\ldots,i,j} = \sum_k x_{\ldots,i,k} \, z_{\ldots,k,j}
//! ```
//!
//! z is `other`. As matrices the tensors are capitals: `Y = X Z`. A small change `delta X` changes the loss by
//! `<dY, delta X Z> = <dY Z^T, delta X>`. The same holds for Z, so
//!
//! ```math
//! \begin{aligned}
//! \mathrm{dX} &= \mathrm{dY} \, Z^T \\
//! \mathrm{dZ} &= X^T \, \mathrm{dY}
//! \end{aligned}
//! ```
//!
//! Each is summed over the batch dimensions in which the operand was broadcast.
//!
//! The sizes are those of matrix products: M rows, N columns, K terms in a sum. A 1-D `input` counts as a row and a 1-D
//! `other` as a column; the output drops the added dimension. All dimensions but the last two are batch dimensions and
//! broadcast. If `other` is a single matrix, the rows of the whole batch are multiplied in one product. PyTorch:
//! `torch.matmul`.
//!
//! | input | other | output |
//! |---|---|---|
//! | `[K]` | `[K]` | `[]` |
//! | `[M, K]` | `[K, N]` | `[M, N]` |
//! | `[K]` | `[*, K, N]` | `[*, N]` |
//! | `[*, M, K]` | `[K]` | `[*, M]` |
//! | `[*, M, K]` | `[*, K, N]` | `[*, M, N]`, the batches broadcast |
//!
//! ```
//! use receptive::{Device, Tensor};
//! let cpu = Device::cpu()?;
//! let a = Tensor::from_vec(&cpu, vec![1f32, 2.0, 3.0, 4.0], &[2, 2])?;
//! let b = Tensor::from_vec(&cpu, vec![0f32, 1.0, 1.0, 0.0], &[2, 2])?;
//! assert_eq!(a.matmul(&b)?.to_vec::<f32>()?, [2.0, 1.0, 4.0, 3.0]);
//! # Ok::<(), receptive::Error>(())
//! ```

use crate::core::{Error, Result, Shape};
use crate::cpu::gemm::{GemmFloat, Mat, gemm};
use crate::cpu::{CpuCtx, View, ViewMut};
use crate::cuda::gemm as cuda;
use crate::cuda::{CudaCtx, DeviceView};
use crate::float_type;
use crate::ops::gradient::{Gradient, GradientOp};
use crate::ops::{Case, Input, OpSpec, one};
use crate::tensor::{Dependence, Grads, Meta, Op, Plan, Saved, Saves, Tensor, apply, one_float};
use smallvec::smallvec;
use std::sync::Arc;

/// `torch.matmul`.
#[derive(Debug, Default)]
pub struct MatMul;

/// A batched matrix product; matmul and both of its gradients use it. `transpose` tells which operands are transposed
/// first, in their last two dimensions.
#[derive(Debug)]
struct MatmulProduct {
    transpose: [bool; 2],
}

const NAME: &str = "matmul";

/// The sizes of both operands as batches of matrices.
struct MatmulSizes {
    m: usize,
    k: usize,
    n: usize,
    /// The batch dimensions of each operand, and of the output.
    batch: [Shape; 3],
    output: Shape,
}

impl MatmulProduct {
    fn sizes(&self, input: &Shape, other: &Shape) -> Result<MatmulSizes> {
        let wrong = |what: String| Error::shape(NAME, what).with("input", input).with("other", other);
        if input.rank() == 0 || other.rank() == 0 {
            return Err(
                wrong("a scalar cannot be an input of matmul".into()).help("use mul to multiply by a scalar")
            );
        }
        let split = |shape: &Shape, transpose: bool| {
            let (batch, last) = shape.dims().split_at(shape.rank().saturating_sub(2));
            let [rows, columns] = *last.last_chunk().unwrap_or(&[1, last[0]]);
            Ok::<_, Error>((Shape::new(batch)?, if transpose { (columns, rows) } else { (rows, columns) }))
        };
        let (batch_a, (m, k)) = split(input, self.transpose[0])?;
        // A vector on the right is a column. `split` treats it as a row, so it is transposed.
        let (batch_b, (kb, n)) = split(other, self.transpose[1] != (other.rank() == 1))?;
        if k != kb {
            return Err(wrong(format!("inner dimensions disagree: {k} against {kb}"))
                .expected("input [.., M, K] and other [.., K, N]"));
        }
        let batch = batch_a.broadcast(NAME, &batch_b).map_err(|_| {
            wrong("batch dimensions do not broadcast".into())
                .help("all dimensions but the last two are aligned from the right and must be equal or 1")
        })?;
        let mut dims = batch.dims().to_vec();
        dims.extend((input.rank() > 1).then_some(m));
        dims.extend((other.rank() > 1).then_some(n));
        Ok(MatmulSizes { m, k, n, batch: [batch_a, batch_b, batch], output: Shape::new(&dims)? })
    }

    fn run<T: GemmFloat>(&self, cx: &CpuCtx, s: &MatmulSizes, a: &[T], b: &[T], c: &mut [T]) {
        let MatmulSizes { m, k, n, .. } = *s;
        let mat = |data, rows, columns, transpose| match transpose {
            true => Mat::transposed(data, rows),
            false => Mat::new(data, columns),
        };
        let [ta, tb] = self.transpose;
        // With a single right-hand matrix, the rows of the whole batch form one matrix.
        if s.batch[1].numel() == 1 && !ta {
            return gemm(cx, [s.batch[0].numel() * m, k, n], mat(a, m, k, ta), mat(b, k, n, tb), T::ZERO, c);
        }
        let factors = |i: usize| {
            let (i, j) = (stretched(&s.batch[2], &s.batch[0], i), stretched(&s.batch[2], &s.batch[1], i));
            (mat(&a[i * m * k..], m, k, ta), mat(&b[j * k * n..], k, n, tb))
        };
        let batch = s.batch[2].numel();
        if batch < PARALLEL_BATCH {
            for (i, c) in c.chunks_exact_mut((m * n).max(1)).enumerate() {
                let (a, b) = factors(i);
                gemm(cx, [m, k, n], a, b, T::ZERO, c);
            }
        } else {
            cx.pieces(c, m * n, batch * m * n * k / MACS, |i, c| {
                let (a, b) = factors(i);
                (T::gemm(cx).alone)(cx, [m, k, n], a, b, T::ZERO, c, n);
            });
        }
    }
}

/// This many multiply-adds take about as long as reading or writing one element, the unit in which contexts measure
/// work.
const MACS: usize = 16;
/// From this many matrices on, each matrix is one task. Fewer are computed one after the other, each split into tiles.
const PARALLEL_BATCH: usize = 8;

/// The stride of an operand in each of four batch dimensions; 0 where it is broadcast. `size` is its elements per
/// matrix.
fn steps(batch: &Shape, size: usize) -> [usize; 4] {
    let (strides, missing) = (batch.strides(), 4 - batch.rank());
    let step = |d: usize| if batch.dims()[d] > 1 { strides[d] * size } else { 0 };
    std::array::from_fn(|d| d.checked_sub(missing).map_or(0, step))
}

/// The position, in an operand of shape `from`, of element `i` of the broadcast `shape`.
fn stretched(shape: &Shape, from: &Shape, i: usize) -> usize {
    let (strides, own) = (shape.strides(), from.strides());
    let missing = shape.rank() - from.rank();
    (0..from.rank())
        .filter(|&d| from.dims()[d] > 1)
        .map(|d| i / strides[d + missing] % shape.dims()[d + missing] * own[d])
        .sum()
}

/// The product without transposes.
const FORWARD: MatmulProduct = MatmulProduct { transpose: [false; 2] };

impl Op for MatMul {
    fn name(&self) -> &'static str {
        NAME
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        FORWARD.infer(x)
    }

    fn saves(&self) -> Saves {
        Saves::inputs(&[0, 1])
    }

    fn cpu(&self, cx: &CpuCtx, _: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        FORWARD.cpu(cx, x, y)
    }

    fn cuda(&self, cx: &CudaCtx, _: &Plan, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        FORWARD.cuda(cx, x, y)
    }

    fn backward(&self, saved: &Saved, dy: &Tensor, needs: &[bool]) -> Result<Grads> {
        let (a, b) = (saved.input(0), saved.input(1));
        let s = FORWARD.sizes(a.shape(), b.shape())?;
        let matrices = |x: &Tensor, batch: &Shape, rows: usize, columns: usize| {
            // With a single right-hand matrix, one product covers all rows, in forward and in backward.
            match s.batch[1].numel() {
                1 => x.reshape(&[batch.numel() * rows, columns]),
                _ => x.reshape(&[batch.dims(), &[rows, columns]].concat()),
            }
        };
        let (a2, dy2) = (matrices(&a, &s.batch[0], s.m, s.k)?, matrices(dy, &s.batch[2], s.m, s.n)?);
        let b2 = matrices(&b, &s.batch[1], s.k, s.n)?;
        let product = |transpose, x: &Tensor, y: &Tensor| Gradient::of(MatmulProduct { transpose }, &[x, y]);
        let back = |gradient: Tensor, matrices: &Tensor, to: &Tensor| {
            gradient.sum_to_size(matrices.dims())?.reshape(to.dims())
        };
        let grad = |needed: bool, f: &dyn Fn() -> Result<Tensor>| needed.then(f).transpose();
        Ok(smallvec![
            grad(needs[0], &|| back(product([false, true], &dy2, &b2)?, &a2, &a))?,
            grad(needs[1], &|| back(product([true, false], &a2, &dy2)?, &b2, &b))?,
        ])
    }

    fn flops(&self, x: &[Meta], y: &[Meta]) -> u64 {
        FORWARD.flops(x, y)
    }

    fn dependence(&self, _x: &[Meta]) -> Dependence {
        Dependence::Global
    }
}

impl GradientOp for MatmulProduct {
    fn name(&self) -> &'static str {
        NAME
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        let dtype = one_float(NAME, x)?;
        Ok(Plan::new(self.sizes(&x[0].shape, &x[1].shape)?.output, dtype))
    }

    fn cpu(&self, cx: &CpuCtx, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let sizes = self.sizes(&x[0].shape, &x[1].shape)?;
        float_type!(NAME, x[0].dtype, T => {
            self.run::<T>(cx, &sizes, x[0].get(), x[1].get(), y[0].get());
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, x: &[DeviceView], y: &[DeviceView]) -> Result<()> {
        let s = self.sizes(&x[0].shape, &x[1].shape)?;
        let MatmulSizes { m, k, n, .. } = s;
        let mat = |data, rows, columns, transpose| match transpose {
            true => cuda::Mat::transposed(data, rows),
            false => cuda::Mat::new(data, columns),
        };
        let [ta, tb] = self.transpose;
        let (a, b, c) = (mat(x[0].f32()?, m, k, ta), mat(x[1].f32()?, k, n, tb), y[0].f32()?);
        let product = |rows| cuda::Product::new([rows, k, n], a, b, c);
        // With a single right-hand matrix, the rows of the whole batch form one matrix.
        if s.batch[1].numel() == 1 && !ta {
            return cuda::gemm(cx, &product(s.batch[0].numel() * m));
        }
        let mut dims = [1; 4];
        dims[4 - s.batch[2].rank()..].copy_from_slice(s.batch[2].dims());
        let batch = cuda::MatBatch { dims, a: steps(&s.batch[0], m * k), b: steps(&s.batch[1], k * n) };
        cuda::gemm(cx, &cuda::Product { batch, ..product(m) })
    }

    fn flops(&self, x: &[Meta], _y: &[Meta]) -> u64 {
        let sizes = self.sizes(&x[0].shape, &x[1].shape);
        sizes.map_or(0, |s| 2 * (s.batch[2].numel() * s.m * s.n * s.k) as u64)
    }
}

impl Tensor {
    /// The matrix product, with vectors and broadcast batches as in `torch.matmul`.
    ///
    /// # Errors
    /// A scalar, inner dimensions that disagree, batches that do not broadcast, a dtype other than f32 and f64.
    pub fn matmul(&self, other: &Tensor) -> Result<Tensor> {
        Ok(one(apply(MatMul, &[self, other])?))
    }
}

/// This op's row in the table of ops.
pub static SPEC: OpSpec = OpSpec {
    name: "matmul",
    torch: "torch.matmul(input, other)",
    inputs: &[Input::new("input"), Input::new("other")],
    outputs: &["output"],
    attrs: &[],
    layer: None,
    build: |_| Ok(Arc::new(MatMul)),
    cases,
};

fn cases() -> Vec<Case> {
    let case = |label, input: &[usize], other: &[usize]| {
        Case::new(label, "").input("input", input).input("other", other)
    };
    vec![
        case("matrices", &[3, 4], &[4, 5]),
        case("vectors", &[5], &[5]),
        case("vector, matrix", &[4], &[4, 3]),
        case("matrix, vector", &[3, 4], &[4]),
        case("vector, batch", &[4], &[2, 4, 3]),
        case("batch, vector", &[2, 3, 4], &[4]),
        case("batches", &[3, 2, 4], &[3, 4, 5]),
        case("batch, matrix", &[2, 3, 2, 4], &[4, 5]),
        case("matrix, batch", &[2, 4], &[3, 4, 5]),
        case("broadcast both ways", &[2, 1, 3, 4], &[3, 4, 2]),
        case("broadcast inside", &[2, 3, 2, 4], &[2, 1, 4, 3]),
        case("one matrix, more dimensions", &[3, 2, 4], &[1, 1, 4, 2]),
        case("many small", &[4, 3, 2, 3], &[4, 3, 3, 2]),
        case("1x1", &[1, 1], &[1, 1]).edge(),
        case("no terms", &[2, 0], &[0, 3]).edge(),
        case("no rows", &[0, 4], &[4, 3]).edge(),
        case("no columns", &[2, 3, 4], &[2, 4, 0]).edge(),
        case("empty batch", &[0, 2, 4], &[0, 4, 3]).edge(),
        case("256", &[256, 256], &[256, 256]).bench(),
        case("1024", &[1024, 1024], &[1024, 1024]).bench(),
        case("attention", &[16, 8, 64, 64], &[16, 8, 64, 64]).bench(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Device;

    #[test]
    fn shapes_that_do_not_fit_name_what_disagrees() {
        let meta = Device::meta();
        let text = |a: &[usize], b: &[usize]| {
            let zeros = |dims: &[usize]| Tensor::zeros(&meta, dims, crate::DType::F32).unwrap();
            zeros(a).matmul(&zeros(b)).unwrap_err().to_string()
        };
        assert!(text(&[2, 3], &[4, 5]).contains("inner dimensions disagree: 3 against 4"));
        assert!(text(&[3, 2, 4], &[2, 4, 5]).contains("batch dimensions do not broadcast"));
        assert!(text(&[], &[2, 4, 5]).contains("a scalar cannot be an input of matmul"));
    }
}
