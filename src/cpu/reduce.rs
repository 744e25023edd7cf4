//! Sums along a dimension, in one fixed order.
//!
//! Adding a million numbers one after the other loses digits: the running sum is large and each summand is small. So
//! rows are cut into blocks of a fixed size, each block is summed, and the blocks' sums are summed the same way. The
//! order depends only on the shape, never on the number of threads.

use super::CpuCtx;
use super::chunks::Pieces;
use super::context::CHUNK;
use crate::core::Float;
use crate::core::shape::MAX_RANK;
use smallvec::SmallVec;

/// Independent running sums within a block: two registers of the widest level, whose additions overlap.
const LANES: usize = 2 * HALF;
const HALF: usize = 16;
/// Elements of a row that are summed before their sum is added to others.
const BLOCK: usize = 1024;
/// Rows that are summed element by element before their sum is added to others.
const ROWS: usize = 64;
/// With this many rows all threads have work without cutting a row.
const MANY: usize = 64;

/// The sum of a row: pairwise over blocks, in lanes within a block.
#[inline(always)]
pub fn sum_of<T: Float>(x: &[T]) -> T {
    // A binary counter: `sums[d]` is a sum of 2^d blocks, and is in use if bit d of `count` is 1.
    let mut sums = [T::ZERO; usize::BITS as usize];
    let mut count = 0usize;
    for block in x.chunks(BLOCK) {
        let (mut sum, mut digit) = (block_sum(block), 0);
        while count >> digit & 1 == 1 {
            sum = sums[digit] + sum;
            digit += 1;
        }
        sums[digit] = sum;
        count += 1;
    }
    let mut total = T::ZERO;
    for (digit, &sum) in sums.iter().enumerate().take((usize::BITS - count.leading_zeros()) as usize) {
        if count >> digit & 1 == 1 {
            total = sum + total;
        }
    }
    total
}

#[inline(always)]
fn block_sum<T: Float>(x: &[T]) -> T {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let [mut even, mut odd] = [[T::ZERO; HALF]; 2];
    for chunk in chunks {
        for lane in 0..HALF {
            even[lane] += chunk[lane];
        }
        for lane in 0..HALF {
            odd[lane] += chunk[HALF + lane];
        }
    }
    for (lane, &v) in rest.iter().enumerate() {
        even[lane % HALF] += v;
    }
    for lane in 0..HALF {
        even[lane] += odd[lane];
    }
    let mut width = HALF;
    while width > 1 {
        width /= 2;
        for i in 0..width {
            let other = even[i + width];
            even[i] += other;
        }
    }
    even[0]
}

/// The largest element, ignoring NaN; minus infinity for an empty row.
#[inline(always)]
pub fn max_of<T: Float>(x: &[T]) -> T {
    let larger = |a: T, b: T| if b > a { b } else { a };
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut lanes = [T::NEG_INFINITY; LANES];
    for chunk in chunks {
        for lane in 0..LANES {
            lanes[lane] = larger(lanes[lane], chunk[lane]);
        }
    }
    let mut max = T::NEG_INFINITY;
    for lane in 0..LANES {
        max = larger(max, lanes[lane]);
    }
    for &v in rest {
        max = larger(max, v);
    }
    max
}

/// `y[b, a] = sum over i of x[b, i, a]` for `x: [before, n, after]`.
pub fn sum<T: Float>(cx: &CpuCtx, [before, n, after]: [usize; 3], x: &[T], y: &mut [T]) {
    let block = match after {
        1 if before >= MANY => n,
        1 => CHUNK,
        _ => ROWS,
    };
    if n <= block {
        return sum_blocks(cx, [n, after], n.max(1), x, y);
    }
    let blocks = n.div_ceil(block);
    let mut partial = cx.scratch(before * blocks * after * size_of::<T>());
    let partial = partial.slice_mut::<T>();
    sum_blocks(cx, [n, after], block, x, partial);
    sum(cx, [before, blocks, after], partial, y);
}

/// One of several dimensions, outermost first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReduceDim {
    pub size: usize,
    pub summed: bool,
}

impl ReduceDim {
    /// True if there is anything to add: a dimension of size 1 is its own sum.
    fn is_sum(&self) -> bool {
        self.summed && self.size != 1
    }
}

/// The sum over several dimensions, one after the other. The innermost comes first: its rows are contiguous, and it
/// removes most of the elements. Little is left for the outer dimensions.
pub fn sum_dims<T: Float>(cx: &CpuCtx, dims: &[ReduceDim], x: &[T], y: &mut [T]) {
    let Some(d) = dims.iter().rposition(ReduceDim::is_sum) else {
        return y.copy_from_slice(x);
    };
    let size = |dims: &[ReduceDim]| dims.iter().map(|dim| dim.size).product::<usize>();
    let around = [size(&dims[..d]), dims[d].size, size(&dims[d + 1..])];
    let left: SmallVec<[ReduceDim; MAX_RANK]> = dims[..d].iter().chain(&dims[d + 1..]).copied().collect();
    if !left.iter().any(ReduceDim::is_sum) {
        return sum(cx, around, x, y);
    }
    let mut partial = cx.scratch(around[0] * around[2] * size_of::<T>());
    let partial = partial.slice_mut::<T>();
    sum(cx, around, x, partial);
    sum_dims(cx, &left, partial, y);
}

/// `y[b, k, a] = sum over i in block k of x[b, i, a]`.
fn sum_blocks<T: Float>(cx: &CpuCtx, [n, after]: [usize; 2], block: usize, x: &[T], y: &mut [T]) {
    let blocks = n.div_ceil(block).max(1);
    // Row r of y is block r % blocks of x's row r / blocks.
    let source = |r: usize| {
        let (b, k) = (r / blocks, r % blocks);
        &x[(b * n + k * block) * after..(b * n + n.min((k + 1) * block)) * after]
    };
    let piece = (CHUNK / block).max(1);
    cx.pieces(y, piece, x.len(), |p, mut y| {
        let mut at = p * piece;
        cx.vectors::<T, _>(
            #[inline(always)]
            || {
                while !y.is_empty() {
                    let (r, a) = (at / after, at % after);
                    let run = (after - a).min(y.len());
                    let (head, tail) = std::mem::take(&mut y).split_at_mut(run);
                    if after == 1 {
                        head[0] = sum_of(source(r));
                    } else {
                        head.fill(T::ZERO);
                        for row in source(r).chunks_exact(after) {
                            let row = &row[a..][..run];
                            for i in 0..run {
                                head[i] += row[i];
                            }
                        }
                    }
                    at += head.len();
                    y = tail;
                }
            },
        );
    });
}

/// The gradient through a rectifier, for the elements from `start` on: 0 where `y <= 0`.
#[inline(always)]
fn rectify<T: Float>(y: &[T], dy: Option<&[T]>, start: usize, d: &mut [T]) {
    if let Some(dy) = dy {
        d.copy_from_slice(&dy[start..][..d.len()]);
    }
    let y = &y[start..][..d.len()];
    for i in 0..d.len() {
        d[i] = if y[i] <= T::ZERO { T::ZERO } else { d[i] };
    }
}

/// The gradient through a rectifier with output `y`, written to `d`. It starts from `dy` if that is given, else from
/// the contents of `d`. If sums are asked for, also sums it over all dimensions of `[n, channels, len]` but the
/// channels. The sums equal those of [`sum_dims`], but are made while each plane is in the cache.
pub fn relu_grad<T: Float>(
    cx: &CpuCtx,
    [n, channels, len]: [usize; 3],
    y: &[T],
    dy: Option<&[T]>,
    d: &mut [T],
    sums: Option<&mut [T]>,
) {
    let (planes, work) = (n * channels, 2 * y.len());
    if let Some(sums) = sums {
        // One sum per plane, unless planes are few or tiny, or there is a single channel: its planes are one row.
        if len >= HALF && planes >= MANY && channels > 1 {
            let together = (CHUNK / len).max(1);
            let mut rows = cx.scratch(planes * size_of::<T>());
            let rows = rows.slice_mut::<T>();
            let (d, own) = (Pieces::new(d, together * len), Pieces::new(rows, together));
            cx.pieces2(d, own, work, |piece, d, rows| {
                cx.vectors::<T, _>(
                    #[inline(always)]
                    || {
                        for i in 0..rows.len() {
                            let d = &mut d[i * len..][..len];
                            rectify(y, dy, (piece * together + i) * len, d);
                            rows[i] = sum_of(d);
                        }
                    },
                );
            });
            return sum(cx, [1, n, channels], rows, sums);
        }
        relu_grad(cx, [n, channels, len], y, dy, d, None);
        let dim = |size, summed| ReduceDim { size, summed };
        return match channels {
            1 => sum_dims(cx, &[dim(n * len, true)], d, sums),
            _ => sum_dims(cx, &[dim(n, true), dim(channels, false), dim(len, true)], d, sums),
        };
    }
    cx.pieces(d, CHUNK, work, |piece, d| {
        cx.vectors::<T, _>(
            #[inline(always)]
            || rectify(y, dy, piece * CHUNK, d),
        );
    });
}

/// True if `b` replaces `a` as the largest so far. NaN counts as largest, and the first of equal elements stays.
fn beats<T: Float>(b: T, a: T) -> bool {
    b > a || (b.is_nan() && !a.is_nan())
}

/// The largest elements of `x: [before, n, after]` along `n`, and their first indices. `n` may be 0 only if there is no
/// output.
pub fn arg_max<T: Float>(
    cx: &CpuCtx,
    [_, n, after]: [usize; 3],
    x: &[T],
    values: &mut [T],
    indices: &mut [i64],
) {
    if after > 1 {
        cx.pieces2(Pieces::new(values, after), Pieces::new(indices, after), x.len(), |b, values, indices| {
            let x = &x[b * n * after..][..n * after];
            values.copy_from_slice(&x[..after]);
            indices.fill(0);
            for (k, row) in x.chunks_exact(after).enumerate().skip(1) {
                for ((&v, value), index) in row.iter().zip(values.iter_mut()).zip(indices.iter_mut()) {
                    if beats(v, *value) {
                        (*value, *index) = (v, k as i64);
                    }
                }
            }
        });
        return;
    }
    let rows = (CHUNK / n.max(1)).max(1);
    cx.pieces2(Pieces::new(values, rows), Pieces::new(indices, rows), x.len(), |p, values, indices| {
        for (i, (value, index)) in values.iter_mut().zip(indices).enumerate() {
            let row = &x[(p * rows + i) * n..][..n];
            // Finding the largest value is fast in lanes. The search for its index then stops at the first match.
            let max = max_of(row);
            let place = row.iter().position(|v| v.is_nan()).or_else(|| row.iter().position(|&v| v == max));
            let place = place.unwrap_or(0);
            (*value, *index) = (row[place], place as i64);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::CpuOptions;

    fn context(threads: usize) -> CpuCtx {
        CpuCtx::new(&CpuOptions::with_threads(threads)).unwrap()
    }

    /// Added one after the other in f32, a million times 0.1 gives 100958.3.
    #[test]
    fn a_million_summands_keep_their_digits() {
        let n = 1_000_003;
        let x: Vec<f32> = (0..n).map(|i| 0.1 + (i % 7) as f32 * 1e-3).collect();
        let exact: f64 = x.iter().map(|&v| v as f64).sum();
        let mut y = [0f32; 3];
        sum(&context(2), [1, n, 1], &x, &mut y[..1]);
        assert!((y[0] as f64 / exact - 1.0).abs() < 1e-6, "{} for {exact}", y[0]);

        sum(&context(2), [1, n / 3, 3], &x[..n / 3 * 3], &mut y);
        for (column, &y) in y.iter().enumerate() {
            let exact: f64 = x.iter().skip(column).step_by(3).take(n / 3).map(|&v| v as f64).sum();
            assert!((y as f64 / exact - 1.0).abs() < 1e-5, "{y} for {exact}");
        }
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        for around in [[1, 200_000, 1], [5, 70, 999], [1, 3000, 70], [900, 33, 1]] {
            let [before, n, after] = around;
            let x: Vec<f32> = (0..before * n * after).map(|i| (i as f32 * 0.7).sin()).collect();
            let run = |threads| {
                let mut y = vec![0f32; before * after];
                sum(&context(threads), around, &x, &mut y);
                y
            };
            assert_eq!(run(1), run(3), "{around:?}");
        }
    }
}
