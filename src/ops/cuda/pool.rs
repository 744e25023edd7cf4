//! Windows of the 2-d poolings, as `kernels/pool.cu` takes them.

use crate::core::Window;
use crate::cpu::pool::Planes;
use crate::cuda::kernels::Pool;

/// The planes and their windows; adaptive pooling has its own.
pub(in crate::ops) fn windows(planes: &Planes, window: Option<&Window>) -> Pool {
    let [h, w, oh, ow] = [planes.h, planes.w, planes.oh, planes.ow].map(|size| size as i64);
    let planes = Pool { h, w, oh, ow, ..Pool::default() };
    let Some(window) = window else { return planes };
    let pair = |axes: [usize; 2]| axes.map(|size| size as i64);
    let ([kh, kw], [sh, sw]) = (pair(window.kernel), pair(window.stride));
    let ([ph, pw], [dh, dw]) = (pair(window.padding.map(|p| p[0])), pair(window.dilation));
    Pool { kh, kw, sh, sw, ph, pw, dh, dw, ..planes }
}

/// Threads that share a mean of so many elements: a warp a large one.
pub(in crate::ops) fn lanes(elements: usize) -> usize {
    if elements >= 32 { 32 } else { 1 }
}
