//! conv2d / 04 Winograd F(2x2, 3x3): fewer multiplications instead of faster ones (Lavin and Gray 2016).
//!
//! What changed since 03: the algorithm. A 2 x 2 block of outputs of a 3 x 3 convolution with stride 1 needs 2*2*9 = 36
//! multiplications when computed tap by tap. Transformed, it needs 16: one per element of the 4 x 4 pixels that it
//! reads.
//!
//! ```math
//! \begin{aligned}
//! V &= B^T d B & d &: 4 \times 4 \text{ pixels} \\
//! U &= G g G^T & g &: 3 \times 3 \text{ taps} \\
//! y &= A^T (U \odot V) A & y &: 2 \times 2 \text{ outputs}
//! \end{aligned}
//! ```
//!
//! where the product in the middle is elementwise, and
//!
//! ```math
//! B^T = \begin{bmatrix}
//!   1 &  0 & -1 &  0 \\
//!   0 &  1 &  1 &  0 \\
//!   0 & -1 &  1 &  0 \\
//!   0 &  1 &  0 & -1
//! \end{bmatrix}
//! \qquad
//! G = \frac12 \begin{bmatrix}
//!   2 &  0 &  0 \\
//!   1 &  1 &  1 \\
//!   1 & -1 &  1 \\
//!   0 &  0 &  2
//! \end{bmatrix}
//! \qquad
//! A^T = \begin{bmatrix}
//!   1 &  1 &  1 &  0 \\
//!   0 &  1 & -1 & -1
//! \end{bmatrix}
//! ```
//!
//! Summed over channels, the 16 elements are 16 independent matrix products of [tiles, C] by [C, O]:
//!
//! ```text
//!   x --gather--> patch -B^T d B--> V [16][tile][C] \
//!                                                     M [16][tile][O] --A^T m A--> patch --scatter--> y (+ bias, ReLU)
//!   w -------------------G g G^T--> U [16][C][O]    /
//!                                                                  all of it for one block of about 64 tiles at a time
//! ```
//!
//! In a patch, the channels of one register lie side by side: `patch.rs` says why. [`outer_product`] reads V and U in
//! the layout in which they were written, with tiles as rows and output channels along the registers. Only the number
//! of tiles can leave a partial tile of the product.
//!
//! Bytes moved: a block's V and M, 64 bytes per tile and channel, stay in the second-level cache. U is 16/9 of the
//! weights, and is read from the third-level cache once per block. Intensity: for C = O = 64, a tile takes 16 * 64 * 64
//! multiply-adds, which take 4,096 cycles with AVX-512. The transforms of its 128 channels take about 3 cycles each: 1
//! part in 10. Limited by: the multiply-adds; with 16 channels, the transforms; with few pixels and many channels (512
//! and more on 3 x 3), the transform of the weights.
//!
//! Error: the transforms add and subtract neighbours, so larger numbers are rounded, but the sums are 9 times shorter.
//! The table shows the largest error against f64, relative to the largest value. The data are uniform from -1/2 to 1/2:
//! 2 images of 14 x 14, with as many output as input channels (about 4,000 values of each; AVX-512):
//!
//! | channels | loop | 01 direct | 03 implicit GEMM | 04 Winograd |
//! |---|---|---|---|---|
//! | 16 | forward, grad input | 4.4e-7, 3.9e-7 | 3.9e-7, 3.4e-7 | 2.1e-7, 1.7e-7 |
//! | 16 | grad weight | 6.8e-7 | 1.2e-7 | 3.1e-7 |
//! | 64 | forward, grad input | 5.9e-7, 6.4e-7 | 5.3e-7, 6.4e-7 | 3.5e-7, 3.0e-7 |
//! | 64 | grad weight | 6.7e-7 | 0.8e-7 | 2.5e-7 |
//! | 512 | forward, grad input | 1.7e-6, 1.5e-6 | 1.7e-6, 1.4e-6 | 2.7e-7, 2.7e-7 |
//! | 512 | grad weight | 3.6e-7 | 0.8e-7 | 4.1e-7 |
//!
//! This rung computes convolutions with 3 x 3 taps, stride 1, dilation 1 and one group ([`supports`]). Others run on
//! another rung.
//!
//! [`outer_product`]: crate::cpu::outer_product

mod forward;
mod grad_weight;
mod patch;
mod transforms;

pub use forward::{forward, grad_input};
pub use grad_weight::grad_weight;

use super::ConvShape;
use patch::Patch;
use std::ops::Range;

/// About the number of tiles that are transformed together.
const TILES: usize = 64;

/// True if this rung can compute a convolution of these sizes.
pub fn supports(g: &ConvShape) -> bool {
    let w = g.window;
    w.kernel == [3, 3] && w.stride == [1, 1] && w.dilation == [1, 1] && g.groups == 1
}

/// Multiply-adds that take about as long as touching one element. Contexts count work in elements.
const MACS: usize = 32;

/// How the tiles of all outputs are cut into blocks. It depends only on the sizes.
#[derive(Clone, Copy)]
struct WinogradTiling {
    n: usize,
    /// Tiles of an image: rows (`down`) and columns (`across`).
    down: usize,
    across: usize,
    /// Images, rows and columns of a block.
    images: usize,
    rows: usize,
    cols: usize,
}

/// Tiles that are transformed together: the same rows and columns of some images.
struct TileBlock {
    /// The index of its first tile among the tiles of all blocks that are transformed together.
    begin: usize,
    images: Range<usize>,
    rows: Range<usize>,
    cols: Range<usize>,
}

impl WinogradTiling {
    fn new(n: usize, [h, w]: [usize; 2]) -> Self {
        let (down, across) = (h.div_ceil(2), w.div_ceil(2));
        let cols = across.div_ceil(across.div_ceil(TILES));
        let rows = down.div_ceil(down.div_ceil((TILES / cols).max(1)));
        let whole = rows == down && cols == across;
        let images = if whole { (TILES / (down * across)).clamp(1, n.max(1)) } else { 1 };
        WinogradTiling { n, down, across, images, rows, cols }
    }

    /// The number of blocks.
    fn len(&self) -> usize {
        self.n.div_ceil(self.images) * self.in_image()
    }

    /// The number of tiles.
    fn tiles(&self) -> usize {
        self.n * self.down * self.across
    }

    /// The number of blocks of an image (1 if a block has several small images).
    fn in_image(&self) -> usize {
        self.down.div_ceil(self.rows) * self.across.div_ceil(self.cols)
    }

    /// The number of tiles of the largest block.
    fn largest(&self) -> usize {
        self.images * self.rows * self.cols
    }

    /// The number of floats of the largest patch.
    fn patch(&self, lanes: usize) -> usize {
        (2 * self.rows + 2) * (2 * self.cols + 2) * lanes
    }

    /// How many blocks have about `tiles` tiles together: at least one block, at most all.
    fn together(&self, tiles: usize) -> usize {
        (tiles / self.largest()).clamp(1, self.len().max(1))
    }

    /// Up to `count` blocks from `first` on, whose tiles are numbered one after the other, and the number of these
    /// tiles.
    fn blocks(&self, first: usize, count: usize) -> (Vec<TileBlock>, usize) {
        let mut tiles = 0;
        let blocks = (first..self.len().min(first + count)).map(|number| {
            let block = TileBlock { begin: tiles, ..self.block(number) };
            tiles += block.len();
            block
        });
        (blocks.collect(), tiles)
    }

    fn block(&self, number: usize) -> TileBlock {
        let part = |number: usize, size: usize, all: usize| number * size..all.min((number + 1) * size);
        let across = self.across.div_ceil(self.cols);
        let in_image = number % self.in_image();
        TileBlock {
            begin: 0,
            images: part(number / self.in_image(), self.images, self.n),
            rows: part(in_image / across, self.rows, self.down),
            cols: part(in_image % across, self.cols, self.across),
        }
    }
}

impl TileBlock {
    fn len(&self) -> usize {
        self.images.len() * self.in_image()
    }

    fn in_image(&self) -> usize {
        self.rows.len() * self.cols.len()
    }

    /// Its images, each with the index of its first tile.
    fn images(&self) -> impl Iterator<Item = (usize, usize)> {
        self.images.clone().zip((self.begin..).step_by(self.in_image()))
    }

    #[inline]
    fn size(&self) -> [usize; 2] {
        [self.rows.len(), self.cols.len()]
    }

    /// The pixels that its tiles read, for a padding of `before` rows and columns.
    fn read(&self, before: [isize; 2]) -> Patch {
        Patch {
            row: 2 * self.rows.start as isize - before[0],
            col: 2 * self.cols.start as isize - before[1],
            height: 2 * self.rows.len() + 2,
            width: 2 * self.cols.len() + 2,
        }
    }

    /// The pixels that its tiles write.
    #[inline]
    fn written(&self) -> Patch {
        Patch {
            row: 2 * self.rows.start as isize,
            col: 2 * self.cols.start as isize,
            height: 2 * self.rows.len(),
            width: 2 * self.cols.len(),
        }
    }
}

/// Floats from one tile's channels to the next tile's: whole registers, and not a multiple of 256, because a cache
/// holds only few lines at such distances.
fn pitch(channels: usize, lanes: usize) -> usize {
    let whole = channels.next_multiple_of(lanes);
    if whole.is_multiple_of(256) { whole + lanes } else { whole }
}
