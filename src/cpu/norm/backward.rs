//! The gradient of a normalisation and of the rectifier after it.

use super::sums::{LANES, fold, totals};
use super::{BLOCK, COLUMNS, NormLayout, NormRelu, STATS, Scale, columns, number};
use crate::core::Float;
use crate::cpu::CpuCtx;
use crate::cpu::chunks::StridedPieces;
use std::ops::Range;

/// The inputs of [`backward`].
#[derive(Clone, Copy)]
pub struct NormBackward<'a, T> {
    pub dy: &'a [T],
    pub x: &'a [T],
    /// The statistics of each group, from [`forward`](super::forward).
    pub stats: &'a [f64],
    pub weight: Option<&'a [T]>,
    /// Used only with [`NormRelu::Plain`], to compute the output again, which is faster than to read it.
    pub bias: Option<&'a [T]>,
    /// True if the statistics were computed from the groups, so that they depend on `x`.
    pub own: bool,
    pub relu: NormRelu<'a, T>,
}

/// The gradients to compute. An empty slice means that this one is not needed.
pub struct Gradients<'a, T> {
    pub dx: &'a mut [T],
    pub dweight: &'a mut [T],
    pub dbias: &'a mut [T],
    /// The gradient of the residual that was added before the rectifier.
    pub dresidual: &'a mut [T],
}

/// Let `d = dy`, or 0 where the rectifier's output is 0, and `g = d * weight`. With means over the group,
/// `dx = (g - mean(g) - xhat mean(g xhat)) * inverse deviation`, or `g * inverse deviation` if the statistics were
/// given. `dweight = sum d xhat` and `dbias = sum d`, over the elements that share the weight; `dresidual = d`.
pub fn backward<T: Float>(cx: &CpuCtx, l: NormLayout, from: NormBackward<T>, out: Gradients<T>) {
    if l.numel() == 0 {
        out.dweight.fill(T::ZERO);
        return out.dbias.fill(T::ZERO);
    }
    if l.elementwise() {
        return elementwise(cx, l, from, out);
    }
    let summed = from.own || !out.dweight.is_empty() || !out.dbias.is_empty();
    let mut sums = cx.scratch(l.groups * l.runs() * 2 * size_of::<f64>());
    let sums = sums.slice_mut::<f64>();
    let asked = [!out.dx.is_empty(), !out.dresidual.is_empty()];
    let needs = Needs { sums: summed, dx: asked[0], dresidual: asked[1] };
    if l.features() {
        columns::backward(cx, l, from, needs, [&mut *out.dx, &mut *out.dresidual], sums);
    } else {
        let (outputs, work) = ([&mut *out.dx, &mut *out.dresidual], 2 * from.x.len());
        cx.groups(l.groups, outputs, l.len, sums, work, |g, outputs, sums| {
            cx.vectors::<T, _>(
                #[inline(always)]
                || group(l, from, needs, g, outputs, sums),
            );
        });
    }
    // Weight w belongs to run w % runs of the groups w / runs, w / runs + cycle, ...
    let each = l.cycle * l.runs();
    for (k, gradient) in [out.dbias, out.dweight].into_iter().enumerate() {
        for (w, d) in gradient.iter_mut().enumerate() {
            *d = T::from_f64(sums[2 * w + k..].iter().step_by(2 * each).sum());
        }
    }
}

/// The results that a task must compute.
#[derive(Clone, Copy)]
pub(super) struct Needs {
    pub sums: bool,
    pub dx: bool,
    pub dresidual: bool,
}

#[inline(always)]
fn group<T: Float>(
    l: NormLayout,
    from: NormBackward<T>,
    needs: Needs,
    g: usize,
    outputs: [StridedPieces<T>; 2],
    sums: &mut [f64],
) {
    let scale = Scale::<T>::new(&from.stats[STATS * g..]);
    match from.relu {
        NormRelu::None => passes(l, from, needs, g, outputs, sums, from.x, |dy, _, _| dy),
        // Only groups that are channels are rectified, and a channel has one weight.
        NormRelu::Plain => {
            let w = l.first_weight(g);
            let [mean, a, b] = scale.line(number(from.weight, w, 1.0), number(from.bias, w, 0.0));
            let pass = |dy, x: T, _| if (x - mean) * a + b <= T::ZERO { T::ZERO } else { dy };
            passes(l, from, needs, g, outputs, sums, from.x, pass);
        }
        NormRelu::Added(y) => {
            passes(l, from, needs, g, outputs, sums, y, |dy, _, y| if y <= T::ZERO { T::ZERO } else { dy });
        }
    }
}

/// A factor for each run of a group, and one for the whole group that is multiplied last. A group's only weight is
/// multiplied last if it is not finite, as in PyTorch: otherwise the centred gradient would be `inf - inf`.
#[inline(always)]
fn factors<'a, T: Float>(
    l: NormLayout,
    weight: Option<&'a [T]>,
    g: usize,
) -> (impl Fn(usize) -> f64 + 'a, f64) {
    let first = l.first_weight(g);
    let alone = number(weight, first, 1.0);
    let last = if l.runs() == 1 && !alone.is_finite() { alone } else { 1.0 };
    (move |j| if last == 1.0 { number(weight, first + j, 1.0) } else { 1.0 }, last)
}

/// Computes the sums of a group, and then its gradients, which need the sums. `d = pass(dy, x, other)`.
#[allow(clippy::too_many_arguments)] // they are the data of one task
#[inline(always)]
fn passes<T: Float>(
    l: NormLayout,
    from: NormBackward<T>,
    needs: Needs,
    g: usize,
    [mut dx, mut dresidual]: [StridedPieces<T>; 2],
    sums: &mut [f64],
    other: &[T],
    pass: impl Fn(T, T, T) -> T,
) {
    let scale = Scale::<T>::new(&from.stats[STATS * g..]);
    let rows = |s: usize, part: Range<usize>| {
        let row = |x| &l.slice(x, g, s)[part.clone()];
        [row(from.dy), row(from.x), row(other)]
    };
    let (weight, last) = factors(l, from.weight, g);
    let part = |j: usize| j * l.run..(j + 1) * l.run;
    let mut means = [0.0; 2];
    for (j, both) in sums.chunks_exact_mut(2).enumerate().filter(|_| needs.sums) {
        both.fill(0.0);
        l.blocks(
            part(j),
            #[inline(always)]
            |block| {
                let mut sums = [[T::ZERO; LANES]; 2];
                for s in block.slices {
                    fold(
                        &mut sums,
                        rows(s, block.part.clone()),
                        #[inline(always)]
                        |[dy, x, other]| {
                            let d = pass(dy, x, other);
                            [d, d * (x - scale.mean)]
                        },
                    );
                }
                let [d, product] = totals(sums);
                both[0] += d;
                both[1] += scale.inverse * scale.corrected(product, d);
            },
        );
        (0..2).for_each(|k| means[k] += weight(j) * both[k] / l.count() as f64);
    }
    // The last slices come first: they are still in the cache.
    for (s, j) in (0..l.slices).rev().flat_map(|s| (0..l.runs()).map(move |j| (s, j))) {
        let [dy, x, other] = rows(s, part(j));
        let n = dy.len();
        let (x, other) = (&x[..n], &other[..n]);
        if needs.dresidual {
            let dresidual = &mut dresidual.piece(s)[..n];
            for i in 0..n {
                dresidual[i] = pass(dy[i], x[i], other[i]);
            }
        }
        if !needs.dx {
            continue;
        }
        let dx = &mut dx.piece(s)[part(j)][..n];
        if from.own {
            let (inverse, w, [b, c]) =
                (T::from_f64(scale.inverse * last), T::from_f64(weight(j)), scale.centring(means));
            for i in 0..n {
                dx[i] = (pass(dy[i], x[i], other[i]) * w - c - (x[i] - scale.mean) * b) * inverse;
            }
        } else {
            let [_, a, _] = scale.line(weight(j) * last, 0.0);
            for i in 0..n {
                dx[i] = pass(dy[i], x[i], other[i]) * a;
            }
        }
    }
}

/// The same, if every element of a slice has its own weight. A group is then one slice, and there is no rectifier.
fn elementwise<T: Float>(cx: &CpuCtx, l: NormLayout, from: NormBackward<T>, out: Gradients<T>) {
    if !out.dx.is_empty() {
        cx.groups(l.groups, [&mut *out.dx], l.len, &mut [(); 0], 2 * from.x.len(), |g, [mut dx], _| {
            cx.vectors::<T, _>(
                #[inline(always)]
                || elementwise_input(l, from, g, dx.piece(0)),
            );
        });
    }
    if out.dweight.is_empty() && out.dbias.is_empty() {
        return;
    }
    let mut sums = cx.scratch(l.cycle * l.len * 2 * size_of::<f64>());
    let sums = sums.slice_mut::<f64>();
    for (first, sums) in sums.chunks_exact_mut(2 * l.len).enumerate() {
        cx.pieces(sums, 2 * COLUMNS, 2 * from.x.len(), |piece, sums| {
            sums.fill(0.0);
            for g in (first..l.groups).step_by(l.cycle) {
                let &[mean, _, inverse] = &from.stats[STATS * g..][..STATS] else { unreachable!() };
                let at = l.start(g, 0) + piece * COLUMNS;
                for ((sums, dy), x) in sums.chunks_exact_mut(2).zip(&from.dy[at..]).zip(&from.x[at..]) {
                    sums[0] += dy.to_f64();
                    sums[1] += dy.to_f64() * (x.to_f64() - mean) * inverse;
                }
            }
        });
    }
    for (k, gradient) in [out.dbias, out.dweight].into_iter().enumerate() {
        gradient.iter_mut().zip(sums.chunks_exact(2)).for_each(|(d, sums)| *d = T::from_f64(sums[k]));
    }
}

#[inline(always)]
fn elementwise_input<T: Float>(l: NormLayout, from: NormBackward<T>, g: usize, dx: &mut [T]) {
    let scale = Scale::<T>::new(&from.stats[STATS * g..]);
    let (x, dy, dx) = (&l.slice(from.x, g, 0)[..l.len], &l.slice(from.dy, g, 0)[..l.len], &mut dx[..l.len]);
    match from.weight {
        Some(w) => {
            let w = &w[l.first_weight(g)..][..l.len];
            for i in 0..l.len {
                dx[i] = dy[i] * w[i];
            }
        }
        None => dx.copy_from_slice(dy),
    }
    let mut means = [0.0; 2];
    for (g, x) in dx.chunks(BLOCK).zip(x.chunks(BLOCK)) {
        let mut sums = [[T::ZERO; LANES]; 2];
        fold(
            &mut sums,
            [g, x],
            #[inline(always)]
            |[g, x]| [g, g * (x - scale.mean)],
        );
        let [g, product] = totals(sums);
        means[0] += g / l.len as f64;
        means[1] += scale.inverse * scale.corrected(product, g) / l.len as f64;
    }
    let (inverse, [b, c]) = (T::from_f64(scale.inverse), scale.centring(means));
    for i in 0..l.len {
        dx[i] = (dx[i] - c - (x[i] - scale.mean) * b) * inverse;
    }
}
