//! An output of a convolution as an element of a matrix product, and the tile of that product in which it is computed.
//!
//! ```text
//!                 column j = pixel (i, j) of the output, K numbers: what the window sees
//!                            |
//!        weight [M, K]  x  columns [K, N]  =  output [M, N]        M = output channels of a group
//!   row -> ==========            |                  *              N = pixels of one image
//! ```
//!
//! The CPU's packed GEMM keeps a tile of the output in registers while it sums over a block of K. So the sum of one
//! output consists of partial sums, one per block. The borders of the tiles come from the GEMM's own code
//! ([`gemm_tiling`]).

use super::conv::ConvTap;
use crate::core::ConvShape;
use crate::core::Loop;
use crate::cpu::Simd;
use crate::cpu::conv2d::ladder;
use crate::cpu::gemm::tiling::{GemmTiling, gemm_tiling};
use crate::tensor::Device;
use serde::Serialize;
use std::ops::Range;

/// One output of a convolution in a matrix product: row `row` of the weights times column `column` of the columns. The
/// taps hold the numbers of both.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConvGemm {
    /// The group that these matrices belong to.
    pub group: usize,
    /// M, K, N: output channels per group, terms per sum, pixels per image.
    pub sizes: [usize; 3],
    /// The output channel within its group.
    pub row: usize,
    /// The index of the pixel, counted row by row.
    pub column: usize,
    /// The rung that computes this convolution in f32 on this device; `None` if the device is not a CPU.
    pub rung: Option<&'static str>,
    /// The tile, if the product is computed in tiles.
    pub tile: Option<GemmTile>,
}

/// The tile of the packed GEMM in which an output is computed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GemmTile {
    #[serde(flatten)]
    pub cut: GemmTiling,
    /// Rows and columns of the output matrix that are computed together.
    pub rows: Range<usize>,
    pub columns: Range<usize>,
    /// Blocks of K in the order they are added.
    pub blocks: Vec<DepthBlock>,
}

/// A block of K.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DepthBlock {
    pub k: Range<usize>,
    /// Sum of the block's products.
    pub sum: f64,
}

impl ConvGemm {
    pub(super) fn new(
        device: &Device,
        g: &ConvShape,
        [_, o, i, j]: [usize; 4],
        taps: &[ConvTap],
    ) -> ConvGemm {
        let (sizes, row, column) = ([g.og(), g.k(), g.out_plane()], o % g.og(), i * g.ow + j);
        let tile = conv_tiling(device, g).map(|tiling| GemmTile::new(tiling, sizes, [row, column], taps));
        let rung = device.as_cpu().map(|cx| ladder::choose(cx.conv_rung(), cx.simd(), g, Loop::Forward).name);
        ConvGemm { group: o / g.og(), sizes, row, column, rung, tile }
    }
}

/// How the CPU's packed GEMM cuts a convolution's matrix product, for one group of one image. `None` if the convolution
/// is computed in another way. For a device that is not a CPU, this processor's best SIMD level is assumed.
pub fn conv_tiling(device: &Device, g: &ConvShape) -> Option<GemmTiling> {
    let simd = device.as_cpu().map_or_else(Simd::best, |cx| cx.simd());
    gemm_tiling(simd, [g.og(), g.k(), g.out_plane()])
}

impl GemmTile {
    fn new(cut: GemmTiling, [m, k, n]: [usize; 3], [row, column]: [usize; 2], taps: &[ConvTap]) -> GemmTile {
        // The tile's own rows and columns. If the factors changed places, they are rows and columns of the transposed
        // product.
        let (tall, wide) = if cut.turned { ((n, column), (m, row)) } else { ((m, row), (n, column)) };
        let (tall, wide) = (cut.rows(tall.0, tall.1), cut.columns(wide.0, wide.1));
        let (rows, columns) = if cut.turned { (wide, tall) } else { (tall, wide) };
        let starts = (0..k).step_by(cut.depth);
        let blocks = starts.map(|start| {
            let k = start..k.min(start + cut.depth);
            DepthBlock { sum: taps[k.clone()].iter().map(|tap| tap.product).sum(), k }
        });
        GemmTile { rows, columns, blocks: blocks.collect(), cut }
    }
}
