//! Reductions on a GPU, in passes. A long reduction is split into chunks of a fixed length, so that the whole GPU has
//! work. The next pass reduces the results of the chunks. How a reduction is split depends only on the shape.

use crate::core::Result;
use crate::core::shape::MAX_RANK;
use crate::cpu::broadcast::BroadcastLayout;
use crate::cpu::reduce::ReduceDim;
use crate::cuda::{CudaCtx, DeviceBuffer, DeviceView, Launch, Ptr, kernels};
use smallvec::SmallVec;

/// Elements per chunk if the reduced elements are contiguous. One warp or block adds up a chunk.
const ROW: usize = 4096;
/// Rows per chunk otherwise. One block adds them up element by element.
const COLUMN: usize = 256;

/// The length of a chunk, and the number of chunks of `n` elements: at least one, even if `n` is 0.
fn chunks(n: usize, after: usize) -> (usize, usize) {
    let chunk = if after == 1 { ROW } else { COLUMN };
    (chunk, n.div_ceil(chunk).max(1))
}

/// How many of a block's 256 threads work on one chunk of a row, and the grid for `units` chunks.
fn rows_launch(n: usize, units: usize) -> (i32, Launch) {
    let width = if n <= 1024 { 32 } else { 256 };
    (width as i32, blocks(units.div_ceil(256 / width)))
}

/// A grid with blocks of 256 threads, for a kernel whose blocks loop over units of work.
fn blocks(units: usize) -> Launch {
    Launch::blocks([units.min(65_535), 1, 1], 256)
}

/// What a pass reads: elements, or the partial sums of the previous pass.
enum Summands {
    Elements(Ptr<f32>),
    Partial(DeviceBuffer),
}

/// `y[b, a] = sum over i of x[b, i, a] / divisor` for `x: [before, n, after]`.
pub(crate) fn sum(
    cx: &CudaCtx,
    [before, n, after]: [usize; 3],
    x: Ptr<f32>,
    y: Ptr<f32>,
    divisor: f64,
) -> Result<()> {
    let dim = |size, summed| ReduceDim { size, summed };
    let dims = [dim(before, false), dim(n, true), dim(after, false)];
    sum_dims(cx, SmallVec::from_iter(dims), Summands::Elements(x), y, divisor)
}

/// `y = x / divisor`, summed over the dimensions in which `y` would be broadcast to the shape of `x`.
pub(crate) fn sum_to(cx: &CudaCtx, x: &DeviceView, y: &DeviceView, divisor: f64) -> Result<()> {
    let layout = BroadcastLayout::new(&x.shape, [&y.shape]);
    let dims = layout.dims().iter().map(|&(size, [stride])| ReduceDim { size, summed: stride == 0 });
    sum_dims(cx, dims.collect(), Summands::Elements(x.f32()?), y.f32()?, divisor)
}

/// Sums one dimension after the other, innermost first, as on the CPU.
fn sum_dims(
    cx: &CudaCtx,
    mut dims: SmallVec<[ReduceDim; MAX_RANK]>,
    mut x: Summands,
    y: Ptr<f32>,
    divisor: f64,
) -> Result<()> {
    let size = |dims: &[ReduceDim]| dims.iter().map(|dim| dim.size).product::<usize>();
    loop {
        // If no dimension is summed, one pass over rows of length 1 converts and divides the elements.
        let d = dims.iter().rposition(|dim| dim.summed).unwrap_or_else(|| {
            dims.push(ReduceDim { size: 1, summed: true });
            dims.len() - 1
        });
        let around = [size(&dims[..d]), dims[d].size, size(&dims[d + 1..])];
        let (chunk, count) = chunks(around[1], around[2]);
        dims[d] = ReduceDim { size: count, summed: count > 1 };
        if dims.iter().all(|dim| !dim.summed) {
            return pass_to_elements(cx, around, chunk, &x, y, divisor);
        }
        let partial = cx.scratch::<f64>(around[0] * count * around[2])?;
        pass_to_partial(cx, around, chunk, &x, partial.ptr())?;
        x = Summands::Partial(partial);
    }
}

fn pass_to_elements(
    cx: &CudaCtx,
    [before, n, after]: [usize; 3],
    chunk: usize,
    x: &Summands,
    y: Ptr<f32>,
    divisor: f64,
) -> Result<()> {
    let [b, k, a, c] = [before, n, after, chunk].map(|v| v as i64);
    if after == 1 {
        let (width, launch) = rows_launch(n, before);
        return match x {
            Summands::Elements(x) => kernels::sum_rows_f32_f32(cx, launch, *x, y, b, k, c, divisor, width),
            Summands::Partial(x) => {
                kernels::sum_rows_f64_f32(cx, launch, x.ptr(), y, b, k, c, divisor, width)
            }
        };
    }
    let launch = blocks(before * after.div_ceil(32));
    match x {
        Summands::Elements(x) => kernels::sum_columns_f32_f32(cx, launch, *x, y, b, k, a, c, divisor),
        Summands::Partial(x) => kernels::sum_columns_f64_f32(cx, launch, x.ptr(), y, b, k, a, c, divisor),
    }
}

fn pass_to_partial(
    cx: &CudaCtx,
    [before, n, after]: [usize; 3],
    chunk: usize,
    x: &Summands,
    y: Ptr<f64>,
) -> Result<()> {
    let [b, k, a, c] = [before, n, after, chunk].map(|v| v as i64);
    let units = before * n.div_ceil(chunk).max(1);
    if after == 1 {
        let (width, launch) = rows_launch(n, units);
        return match x {
            Summands::Elements(x) => kernels::sum_rows_f32_f64(cx, launch, *x, y, b, k, c, width),
            Summands::Partial(x) => kernels::sum_rows_f64_f64(cx, launch, x.ptr(), y, b, k, c, width),
        };
    }
    let launch = blocks(units * after.div_ceil(32));
    match x {
        Summands::Elements(x) => kernels::sum_columns_f32_f64(cx, launch, *x, y, b, k, a, c),
        Summands::Partial(x) => kernels::sum_columns_f64_f64(cx, launch, x.ptr(), y, b, k, a, c),
    }
}

/// Pointers to the largest elements and their indices. `indices` is [`Ptr::NULL`] if each element's index is its own
/// position.
#[derive(Clone, Copy)]
pub(in crate::ops) struct Largest {
    pub values: Ptr<f32>,
    pub indices: Ptr<i64>,
}

/// The largest elements of `x: [before, n, after]` along `n`, and their first indices. `n` is not 0.
pub(in crate::ops) fn arg_max(
    cx: &CudaCtx,
    [before, n, after]: [usize; 3],
    x: Ptr<f32>,
    to: Largest,
) -> Result<()> {
    let (chunk, count) = chunks(n, after);
    let (mut n, mut count, mut from) = (n, count, Largest { values: x, indices: Ptr::NULL });
    let mut _held;
    while count > 1 {
        let outputs = before * count * after;
        let partial = [cx.scratch::<f32>(outputs)?, cx.scratch::<i64>(outputs)?];
        let best = Largest { values: partial[0].ptr(), indices: partial[1].ptr() };
        largest_of_chunks(cx, [before, n, after], chunk, from, best)?;
        (n, count, from, _held) = (count, chunks(count, after).1, best, partial);
    }
    largest_of_chunks(cx, [before, n, after], chunk, from, to)
}

/// One pass: the largest element of each chunk.
fn largest_of_chunks(
    cx: &CudaCtx,
    [before, n, after]: [usize; 3],
    chunk: usize,
    from: Largest,
    to: Largest,
) -> Result<()> {
    let [b, k, a, c] = [before, n, after, chunk].map(|v| v as i64);
    let units = before * n.div_ceil(chunk).max(1);
    let ([x, values], [places, indices]) = ([from.values, to.values], [from.indices, to.indices]);
    if after == 1 {
        let (width, launch) = rows_launch(n, units);
        return kernels::arg_max_rows_f32(cx, launch, x, places, values, indices, b, k, c, width);
    }
    kernels::arg_max_columns_f32(cx, Launch::over(units * after), x, places, values, indices, b, k, a, c)
}

/// Counts the elements of `x` that equal the largest.
pub(in crate::ops) fn count_max(
    cx: &CudaCtx,
    n: usize,
    x: Ptr<f32>,
    largest: Ptr<f32>,
    count: Ptr<f32>,
) -> Result<()> {
    let (chunk, parts) = chunks(n, 1);
    let partial = cx.scratch::<f64>(parts)?;
    kernels::count_max_f32_f64(cx, blocks(parts), x, largest, partial.ptr(), n as i64, chunk as i64)?;
    let dims = SmallVec::from_iter([ReduceDim { size: parts, summed: true }]);
    sum_dims(cx, dims, Summands::Partial(partial), count, 1.0)
}
