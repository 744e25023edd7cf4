//! Helpers to launch pooling and resizing on a GPU: windows for `kernels/pool.cu`, matrices for
//! `kernels/interpolate.cu`.

use crate::core::resample::ResampleWeights;
use crate::core::{Result, Window};
use crate::cpu::pool::Planes;
use crate::cuda::kernels::{self, Pool};
use crate::cuda::{CudaCtx, DeviceView, Launch};

/// The sizes of the planes and of their windows. `window` is `None` for adaptive pooling, whose kernels compute the
/// windows.
pub(in crate::ops) fn windows(planes: &Planes, window: Option<&Window>) -> Pool {
    let [h, w, oh, ow] = [planes.h, planes.w, planes.oh, planes.ow].map(|size| size as i64);
    let planes = Pool { h, w, oh, ow, ..Pool::default() };
    let Some(window) = window else { return planes };
    let pair = |axes: [usize; 2]| axes.map(|size| size as i64);
    let ([kh, kw], [sh, sw]) = (pair(window.kernel), pair(window.stride));
    let ([ph, pw], [dh, dw]) = (pair(window.padding.map(|p| p[0])), pair(window.dilation));
    Pool { kh, kw, sh, sw, ph, pw, dh, dw, ..planes }
}

/// Number of threads that compute one mean of `elements` elements: a warp from 32 elements up, else one thread.
pub(in crate::ops) fn lanes(elements: usize) -> usize {
    if elements >= 32 { 32 } else { 1 }
}

/// `Y = R X C^T` for every plane on a GPU. First it copies the matrices there. For each row of a matrix it stores the
/// first input, the position of its weights, and the weights; each number has 4 bytes.
pub(in crate::ops) fn resample(
    cx: &CudaCtx,
    axes: [ResampleWeights; 2],
    x: &DeviceView,
    y: &DeviceView,
) -> Result<()> {
    let mut words: Vec<u32> = Vec::new();
    let places = axes.each_ref().map(|axis| {
        let start = words.len();
        words.extend(axis.iter().map(|(start, _)| start as u32));
        let first = words.len();
        let ends = axis.iter().scan(0, |end, (_, weights)| {
            *end += weights.len() as u32;
            Some(*end)
        });
        words.extend(std::iter::once(0).chain(ends));
        let weights = words.len();
        words.extend(axis.iter().flat_map(|(_, weights)| weights).map(|&w| (w as f32).to_bits()));
        [start, first, weights]
    });
    let buffer = cx.scratch::<u32>(words.len())?;
    let at = buffer.ptr::<u32>();
    cx.upload(at, &words)?;
    let matrix = |k: usize| kernels::Resample {
        start: at.at(places[k][0]).cast(),
        first: at.at(places[k][1]).cast(),
        weights: at.at(places[k][2]).cast(),
        inputs: axes[k].inputs() as i64,
        outputs: axes[k].outputs() as i64,
    };
    let (launch, n) = (Launch::over(y.numel()), y.numel() as i64);
    kernels::interpolate_f32(cx, launch, x.f32()?, y.f32()?, matrix(0), matrix(1), n)
}
