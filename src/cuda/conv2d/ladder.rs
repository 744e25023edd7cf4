//! The GPU's ladder of 2-d convolution: every version, from naive to fast. The kernels are in `kernels/conv2d`.

use super::{ConvFns, direct, im2col, implicit, winograd};
use crate::core::{ConvShape, Precision, Result};
use crate::cuda::CudaCtx;
use crate::ladder::{self, Rung};

/// One version of convolution: a file in `kernels/conv2d`.
#[derive(Debug)]
pub struct CudaConvVersion {
    /// The precision to which `run` rounds its inputs.
    pub precision: Precision,
    /// Its loops: forward, and the gradients of the input and of the weights.
    pub run: ConvFns,
    /// The same loops with inputs rounded to bf16, used if the run asks for bf16. `None` if it has none.
    pub bf16: Option<ConvFns>,
    /// True if it can compute a convolution of these sizes. If not, the default rung for them runs.
    pub supports: fn(&ConvShape) -> bool,
}

impl CudaConvVersion {
    /// Its loops for a run of this precision, and the precision to which they round their inputs.
    pub fn at(&'static self, precision: Precision) -> (&'static ConvFns, Precision) {
        match (&self.bf16, precision) {
            (Some(bf16), Precision::Bf16) => (bf16, Precision::Bf16),
            _ => (&self.run, self.precision),
        }
    }
}

/// The three loops of a rung's file, or of one of the kernel sets in it.
macro_rules! loops {
    ($file:ident) => {
        ConvFns { forward: $file::forward, grad_input: $file::grad_input, grad_weight: $file::grad_weight }
    };
    ($file:ident, $kernels:ident) => {
        ConvFns {
            forward: |cx, g, to| $file::$kernels.forward(cx, g, to),
            grad_input: |cx, g, to| $file::$kernels.grad_input(cx, g, to),
            grad_weight: |cx, g, to| $file::$kernels.grad_weight(cx, g, to),
        }
    };
}

/// True if the grid of the input's gradient is not too large: its z dimension counts groups times stride phases.
fn fits_a_grid(g: &ConvShape) -> bool {
    g.groups.saturating_mul(g.window.stride[0]).saturating_mul(g.window.stride[1]) <= 65_535
}

/// All rungs, slowest first.
pub static RUNGS: &[Rung<CudaConvVersion>] = &[
    Rung {
        number: 1,
        name: "direct",
        teaches: "the definition: one thread per output",
        version: CudaConvVersion {
            precision: Precision::F32,
            run: loops!(direct),
            bf16: None,
            supports: |_| true,
        },
    },
    Rung {
        number: 2,
        name: "im2col",
        teaches: "the pixels of each window become a column, so convolution is a matrix product",
        version: CudaConvVersion {
            precision: Precision::F32,
            run: loops!(im2col),
            bf16: None,
            supports: |_| true,
        },
    },
    Rung {
        number: 3,
        name: "implicit GEMM",
        teaches: "the columns are never written: each entry is computed while a tile is loaded",
        version: CudaConvVersion {
            precision: Precision::F32,
            run: loops!(implicit, F32),
            bf16: None,
            supports: fits_a_grid,
        },
    },
    Rung {
        number: 4,
        name: "tensor cores",
        teaches: "implicit GEMM with tensor-core instructions, on rounded inputs",
        version: CudaConvVersion {
            precision: Precision::Tf32,
            run: loops!(implicit, TF32),
            bf16: Some(loops!(implicit, BF16)),
            supports: fits_a_grid,
        },
    },
    Rung {
        number: 5,
        name: "Winograd",
        teaches: "transforms let a 3x3 kernel compute 2x2 outputs with 16 multiplications instead of 36",
        version: CudaConvVersion {
            precision: Precision::F32,
            run: loops!(winograd),
            bf16: None,
            supports: winograd::supports,
        },
    },
];

/// The rung with this number.
///
/// # Errors
/// No such rung: the message lists them.
pub fn rung(number: u32) -> Result<&'static Rung<CudaConvVersion>> {
    ladder::find("conv-rung", RUNGS, number)
}

/// The rung that runs unless another is chosen: the fastest that rounds no more than `precision` allows. The choice is
/// an estimate, not measured yet.
pub fn default(g: &ConvShape, precision: Precision) -> &'static Rung<CudaConvVersion> {
    // A group with few channels would leave a tile of a matrix product almost empty.
    let thin = g.groups > 1 && g.cg().max(g.og()) < THIN;
    let number = match precision {
        _ if thin || !fits_a_grid(g) => 1,
        Precision::F32 if winograd::supports(g) && mean_channels(g) >= MANY => 5,
        Precision::F32 => 3,
        Precision::Tf32 | Precision::Bf16 => 4,
    };
    &RUNGS[number - 1]
}

/// The harmonic mean of a group's input and output channels. The number of multiply-adds per transformed element is
/// proportional to it.
fn mean_channels(g: &ConvShape) -> usize {
    2 * g.cg() * g.og() / (g.cg() + g.og()).max(1)
}

/// With this many channels or more, Winograd's transforms save more time than they cost. They move 32 bytes per pixel
/// and channel, input and output, at about 2.5 TB/s. They save 10 of 18 flop per pixel and pair of channels at about 40
/// TFLOP/s. The two times are equal at about 100 input and 100 output channels.
const MANY: usize = 96;
/// With fewer channels per group than this, the direct rung is faster than a matrix product with tiles of 32 rows.
const THIN: usize = 8;

/// The loops of this context's rung for these sizes.
pub(super) fn loops_of(cx: &CudaCtx, g: &ConvShape) -> &'static ConvFns {
    let options = cx.options();
    let asked = options.conv_rung.and_then(|number| RUNGS.iter().find(|rung| rung.number == number));
    let rung =
        asked.filter(|rung| (rung.version.supports)(g)).unwrap_or_else(|| default(g, options.precision));
    rung.version.at(options.precision).0
}
