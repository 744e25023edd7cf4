//! General matrix multiplication on the GPU: the host code that the rungs of [`ladder`] share. It fills the argument
//! struct of `kernels/args.cuh` for a product, picks the kernel with the best tile size, cuts long sums into parts
//! (split-K), and launches.

pub mod ladder;

use super::kernels::{self, Gemm};
use super::{CudaCtx, Launch, Ptr};
use crate::core::{Error, Result};

/// A matrix in device memory: element `(i, j)` is `data[i * row + j * col]`. A transpose swaps the strides.
#[derive(Debug, Clone, Copy)]
pub struct Mat {
    pub data: Ptr<f32>,
    pub row: usize,
    pub col: usize,
}

impl Mat {
    /// A row-major matrix with `cols` columns.
    pub fn new(data: Ptr<f32>, cols: usize) -> Mat {
        Mat { data, row: cols, col: 1 }
    }

    /// The transpose of a row-major matrix that is stored with `cols` columns.
    pub fn transposed(data: Ptr<f32>, cols: usize) -> Mat {
        Mat { data, row: 1, col: cols }
    }
}

/// The bias that is added to each element of the product.
#[derive(Debug, Clone, Copy)]
pub enum Bias {
    None,
    /// One value per column.
    Columns(Ptr<f32>),
    /// One value per row. Matrix `z` of the batch uses the `m` values that start at `data[z % period * m]`.
    Rows {
        data: Ptr<f32>,
        period: usize,
    },
}

/// The matrices of a batch. `dims` is their number along each of up to four dimensions, outermost first. `a` and `b`
/// are the distances, in elements, from one matrix of A or B to the next along each dimension. A distance of 0 uses the
/// same matrix again, which broadcasts the operand.
#[derive(Debug, Clone, Copy)]
pub struct MatBatch {
    pub dims: [usize; 4],
    pub a: [usize; 4],
    pub b: [usize; 4],
}

impl MatBatch {
    /// A single product.
    pub const ONE: MatBatch = MatBatch { dims: [1; 4], a: [0; 4], b: [0; 4] };

    /// A batch with two dimensions.
    pub fn two(dims: [usize; 2], a: [usize; 2], b: [usize; 2]) -> MatBatch {
        let front = |[x, y]: [usize; 2], fill| [fill, fill, x, y];
        MatBatch { dims: front(dims, 1), a: front(a, 0), b: front(b, 0) }
    }

    fn len(&self) -> usize {
        self.dims.iter().product()
    }
}

/// `C[m, n] = relu(beta C + A[m, k] B[k, n] + bias)` for every matrix of a batch. `beta` is 1 if `add` is true, else 0.
/// The bias and `relu` are optional. C is contiguous, one matrix after the other.
#[derive(Debug, Clone, Copy)]
pub struct Product {
    pub m: usize,
    pub k: usize,
    pub n: usize,
    pub a: Mat,
    pub b: Mat,
    pub c: Ptr<f32>,
    pub batch: MatBatch,
    pub bias: Bias,
    /// True if the sums are added to the contents of C.
    pub add: bool,
    pub relu: bool,
}

impl Product {
    /// One product `C = A B`, without a bias.
    pub fn new([m, k, n]: [usize; 3], a: Mat, b: Mat, c: Ptr<f32>) -> Product {
        Product { m, k, n, a, b, c, batch: MatBatch::ONE, bias: Bias::None, add: false, relu: false }
    }

    fn arguments(&self) -> Result<Gemm> {
        let (bias, period) = match self.bias {
            Bias::None => (Ptr::NULL, 0),
            Bias::Columns(data) => (data, 0),
            Bias::Rows { data, period } => (data, period),
        };
        let MatBatch { dims, a, b } = self.batch;
        let mut batch = [0; 4];
        for (int, dim) in batch.iter_mut().zip(dims) {
            *int = int32("batch", dim)?;
        }
        Ok(Gemm {
            bias,
            a_row: self.a.row as i64,
            a_col: self.a.col as i64,
            b_row: self.b.row as i64,
            b_col: self.b.col as i64,
            ldc: self.n as i64,
            a_batch: a.map(|step| step as i64),
            b_batch: b.map(|step| step as i64),
            c_batch: (self.m * self.n) as i64,
            c_split: 0,
            batch,
            m: int32("rows", self.m)?,
            n: int32("columns", self.n)?,
            k: int32("terms", self.k)?,
            splits: 1,
            k_split: int32("terms", self.k)?,
            first: 0,
            bias_period: int32("bias", period)?,
            beta: i32::from(self.add),
            relu: i32::from(self.relu),
            ..Gemm::default()
        })
    }
}

/// Converts a size to 32 bits: kernels count along one dimension with `int`. `what` names the size in the error.
pub(super) fn int32(what: &str, value: usize) -> Result<i32> {
    i32::try_from(value).map_err(|_| {
        Error::argument("cuda", format!("{value} {what} are more than a kernel can handle"))
            .expected(format!("at most {}", i32::MAX))
    })
}

/// The launch function of a kernel.
pub type GemmKernel = fn(&CudaCtx, Launch, Ptr<f32>, Ptr<f32>, Ptr<f32>, Gemm) -> Result<()>;

/// One kernel of a rung.
#[derive(Debug, Clone, Copy)]
pub struct Tiled {
    pub kernel: GemmKernel,
    /// Rows and columns of C that a block computes; `None` if each of 256 threads computes one output.
    pub tile: Option<[usize; 2]>,
    /// Threads per block.
    pub threads: u32,
    /// Speed in percent of the rung's fastest kernel, if all multiprocessors are busy. It is estimated from the
    /// tiles' arithmetic intensity, not measured yet.
    pub pace: usize,
}

/// Blocks that keep a large GPU busy: two for each of the 132 multiprocessors of an H100. This is a constant, so that
/// sums are cut in the same way on every GPU.
const BUSY: usize = 264;
/// The fewest terms of a part of a sum. With shorter parts, most of the time would go into waiting for memory and into
/// adding the parts.
const LEAST_TERMS: usize = 256;
/// The terms of a part are a multiple of this, so that loads of four floats stay aligned.
const TERMS_ALIGN: usize = 32;
/// The largest z dimension of a grid.
const DEPTH: usize = 65_535;

/// The number of parts into which to cut sums of `k` terms, if C has this many tiles in all.
pub(super) fn splits(tiles: usize, k: usize) -> usize {
    (BUSY / tiles.max(1)).min(k / LEAST_TERMS).max(1)
}

/// The terms of each part, and the resulting number of parts.
pub(super) fn split(k: usize, splits: usize) -> [usize; 2] {
    let terms = k.div_ceil(splits).next_multiple_of(TERMS_ALIGN).min(k).max(1);
    [terms, k.div_ceil(terms).max(1)]
}

impl Tiled {
    /// The number of blocks per matrix (one per tile of C), and of parts of each sum.
    fn grid(&self, p: &Product) -> [usize; 2] {
        match self.tile {
            None => [(p.m * p.n).div_ceil(self.threads as usize), 1],
            Some([rows, cols]) => {
                let tiles = p.m.div_ceil(rows) * p.n.div_ceil(cols);
                [tiles, splits(tiles * p.batch.len(), p.k)]
            }
        }
    }

    /// The estimated time of a product, in arbitrary units: the number of waves (rounds in which all multiprocessors
    /// are busy) that all blocks need, times a block's work, plus the cost of adding the parts.
    fn cost(&self, p: &Product) -> usize {
        let Some([rows, cols]) = self.tile else { return 0 };
        let [tiles, splits] = self.grid(p);
        let rounds = (tiles * p.batch.len() * splits).div_ceil(BUSY);
        let adding = if splits > 1 { p.m * p.n * p.batch.len() / BUSY * splits } else { 0 };
        rounds * rows * cols * (p.k.div_ceil(splits) + LEAST_TERMS / 4) * 100 / self.pace + 4 * adding
    }

    /// The kernel of `kernels` that should be fastest for this product.
    pub fn best<'a>(kernels: &'a [Tiled], p: &Product) -> &'a Tiled {
        kernels.iter().min_by_key(|kernel| kernel.cost(p)).expect("a rung has a kernel")
    }

    /// Runs the product.
    ///
    /// # Errors
    /// A dimension is beyond 2^31 - 1, there is no memory for the parts of long sums, or the driver refuses.
    pub fn run(&self, cx: &CudaCtx, p: &Product) -> Result<()> {
        if p.m * p.n * p.batch.len() == 0 {
            return Ok(());
        }
        let g = p.arguments()?;
        let [tiles, wanted] = self.grid(p);
        let [terms, splits] = split(p.k, wanted);
        if splits == 1 {
            return self.launch(cx, p, tiles, p.c, g);
        }
        let size = p.m * p.n * p.batch.len();
        let parts = cx.scratch::<f32>(splits * size)?;
        let plain = Gemm { bias: Ptr::NULL, beta: 0, relu: 0, c_split: size as i64, ..g };
        let part = Gemm { splits: int32("parts", splits)?, k_split: int32("terms", terms)?, ..plain };
        self.launch(cx, p, tiles, parts.ptr(), part)?;
        sum_splits(cx, parts.ptr(), p.c, size, Gemm { splits: part.splits, ..g })
    }

    fn launch(&self, cx: &CudaCtx, p: &Product, tiles: usize, c: Ptr<f32>, g: Gemm) -> Result<()> {
        let (splits, batch) = (g.splits as usize, p.batch.len());
        let at_once = (DEPTH / splits).max(1);
        for first in (0..batch).step_by(at_once) {
            let depth = at_once.min(batch - first) * splits;
            let grid = Launch::blocks([tiles, 1, depth], self.threads);
            (self.kernel)(cx, grid, p.a.data, p.b.data, c, Gemm { first: int32("matrices", first)?, ..g })?;
        }
        Ok(())
    }
}

/// Adds `g.splits` parts of `size` sums each, in order. Then adds C and the bias and applies ReLU, as `g` says.
pub(super) fn sum_splits(cx: &CudaCtx, parts: Ptr<f32>, c: Ptr<f32>, size: usize, g: Gemm) -> Result<()> {
    kernels::gemm_sum_splits_f32(cx, Launch::over(size), parts, c, g)
}

/// Computes a product with the rung that this context uses.
///
/// # Errors
/// As for [`Tiled::run`].
pub fn gemm(cx: &CudaCtx, p: &Product) -> Result<()> {
    Tiled::best(ladder::kernels_of(cx), p).run(cx, p)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_the_sum_and_none_is_empty() {
        for k in [0, 1, 31, 256, 1000, 60_000, 802_816] {
            for tiles in [1, 7, 100, 300] {
                let [terms, parts] = split(k, splits(tiles, k));
                assert!(terms * parts >= k && (parts == 1 || terms * (parts - 1) < k), "{k} {tiles}");
                assert!(parts == 1 || terms % TERMS_ALIGN == 0);
            }
        }
    }
}
