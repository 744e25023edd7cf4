//! An output of a convolution as an element of a matrix product, and the tile of that product it is computed in.
//!
//! ```text
//!                 column j = pixel (i, j) of the output, K numbers: what the window sees
//!                            |
//!        weight [M, K]  x  columns [K, N]  =  output [M, N]        M = output channels of a group
//!   row -> ==========            |                  *              N = pixels of one image
//! ```
//!
//! The packed GEMM of the CPU keeps a tile of the output in registers while it adds up a block of K, so the sum of one
//! output is a sum of partial sums, one a block. Where tiles begin is what the code itself says ([`cut`]).

use super::conv::ConvTap;
use crate::core::Geometry;
use crate::core::Loop;
use crate::cpu::Simd;
use crate::cpu::conv2d::ladder;
use crate::cpu::gemm::cut::{Cut, cut};
use crate::tensor::Device;
use serde::Serialize;
use std::ops::Range;

/// One output of a convolution in a matrix product: row `row` of the weights times column `column` of the columns. The
/// numbers of both are the taps'.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConvGemm {
    /// The group whose matrices these are.
    pub group: usize,
    /// M, K, N: output channels of a group, terms of a sum, pixels of an image.
    pub sizes: [usize; 3],
    /// The output channel within its group.
    pub row: usize,
    /// The number of the pixel, row by row.
    pub column: usize,
    /// The rung that computes this convolution in f32 on this device; `None` where that is not a CPU.
    pub rung: Option<&'static str>,
    /// The tile, where the product is computed by tiles.
    pub tile: Option<GemmTile>,
}

/// The tile of the packed GEMM that an output is computed in.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GemmTile {
    #[serde(flatten)]
    pub cut: Cut,
    /// Rows and columns of the output matrix that are computed together.
    pub rows: Range<usize>,
    pub columns: Range<usize>,
    /// Blocks of K in the order they are added.
    pub blocks: Vec<Block>,
}

/// A block of K.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Block {
    pub k: Range<usize>,
    /// Of its products.
    pub sum: f64,
}

impl ConvGemm {
    pub(super) fn new(device: &Device, g: &Geometry, [_, o, i, j]: [usize; 4], taps: &[ConvTap]) -> ConvGemm {
        let (sizes, row, column) = ([g.og(), g.k(), g.out_plane()], o % g.og(), i * g.ow + j);
        let tile = conv_cut(device, g).map(|cut| GemmTile::new(cut, sizes, [row, column], taps));
        let rung = device.as_cpu().map(|cx| ladder::choose(cx.conv_rung(), cx.simd(), g, Loop::Forward).name);
        ConvGemm { group: o / g.og(), sizes, row, column, rung, tile }
    }
}

/// How the packed GEMM of the CPU cuts a convolution's matrix product, one group of one image; `None` where it computes it
/// otherwise. Another device is taken for this processor at its best.
pub fn conv_cut(device: &Device, g: &Geometry) -> Option<Cut> {
    let simd = device.as_cpu().map_or_else(Simd::best, |cx| cx.simd());
    cut(simd, [g.og(), g.k(), g.out_plane()])
}

impl GemmTile {
    fn new(cut: Cut, [m, k, n]: [usize; 3], [row, column]: [usize; 2], taps: &[ConvTap]) -> GemmTile {
        // Tall and wide are the tile's own rows and columns: those of the transpose, where the factors changed places.
        let (tall, wide) = if cut.turned { ((n, column), (m, row)) } else { ((m, row), (n, column)) };
        let (tall, wide) = (cut.rows(tall.0, tall.1), cut.columns(wide.0, wide.1));
        let (rows, columns) = if cut.turned { (wide, tall) } else { (tall, wide) };
        let starts = (0..k).step_by(cut.depth);
        let blocks = starts.map(|start| {
            let k = start..k.min(start + cut.depth);
            Block { sum: taps[k.clone()].iter().map(|tap| tap.product).sum(), k }
        });
        GemmTile { rows, columns, blocks: blocks.collect(), cut }
    }
}
