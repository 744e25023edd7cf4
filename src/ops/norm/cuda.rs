//! Launches the GPU kernels of normalisation, `kernels/norm.cu` and `kernels/norm_grad.cu`. They compute the same as
//! [`crate::cpu::norm`].

use crate::core::Result;
use crate::cpu::norm::{NormLayout, STATS};
use crate::cuda::{CudaCtx, Launch, Ptr, kernels};

impl From<NormLayout> for kernels::Norm {
    fn from(l: NormLayout) -> Self {
        let [groups, slices, len, run, cycle] =
            [l.groups, l.slices, l.len, l.run, l.cycle].map(|size| size as i64);
        kernels::Norm { groups, slices, len, run, cycle }
    }
}

/// How a set of elements is divided among teams of threads: each of `parts` teams has `lanes` threads and reduces
/// `part` elements.
struct TeamSplit {
    part: usize,
    parts: usize,
    lanes: usize,
}

impl TeamSplit {
    /// Depends only on the number of elements, so that sums have the same order on every GPU.
    fn new(count: usize) -> TeamSplit {
        let (part, lanes) = if count <= 512 { (512, 32) } else { (8192, 256) };
        TeamSplit { part, parts: count.div_ceil(part), lanes }
    }

    /// Number of threads that add the teams' results.
    fn merging(&self) -> usize {
        if self.parts > 1 { 32 } else { 1 }
    }
}

/// What forward reads and writes; absent tensors are [`Ptr::NULL`].
#[derive(Debug, Clone, Copy)]
pub(in crate::ops) struct ForwardBuffers {
    pub x: Ptr<f32>,
    pub weight: Ptr<f32>,
    pub bias: Ptr<f32>,
    /// Added to the normalised values.
    pub residual: Ptr<f32>,
    /// Negative outputs become 0.
    pub relu: bool,
    pub eps: f64,
    /// Whether the statistics are computed from the input; else they are the running ones.
    pub own: bool,
    pub running: Option<RunningBuffers>,
    pub y: Ptr<f32>,
    /// `[groups, 3]`, for backward.
    pub stats: Ptr<f64>,
}

/// Running mean and variance of `channels` channels, before and after this step.
#[derive(Debug, Clone, Copy)]
pub(in crate::ops) struct RunningBuffers {
    pub channels: usize,
    pub momentum: f64,
    pub old: [Ptr<f32>; 2],
    pub new: [Ptr<f32>; 2],
}

/// As [`crate::cpu::norm::forward`], and also updates the running statistics, adds a residual and applies ReLU.
///
/// # Errors
/// Too little memory; an error from the driver.
pub(in crate::ops) fn forward(cx: &CudaCtx, l: NormLayout, f: &ForwardBuffers) -> Result<()> {
    if l.numel() == 0 {
        cx.fill_bytes(f.stats.cast(), 0, l.groups * STATS * size_of::<f64>())?;
        let Some(RunningBuffers { channels, old, new, .. }) = f.running else { return Ok(()) };
        return (0..2).try_for_each(|k| cx.copy(new[k].cast(), old[k].cast(), channels * size_of::<f32>()));
    }
    let scale = cx.scratch::<f32>(STATS * l.groups)?;
    let none = RunningBuffers { channels: l.groups, momentum: 0.0, old: [Ptr::NULL; 2], new: [Ptr::NULL; 2] };
    let RunningBuffers { channels, momentum, old, new } = f.running.unwrap_or(none);
    if f.own {
        let cut = TeamSplit::new(l.count());
        let teams = l.groups * cut.parts;
        let moments = cx.scratch::<f64>(STATS * teams)?;
        let (part, lanes, merging) = (cut.part as i64, cut.lanes as i32, cut.merging());
        let launch = Launch::teams(teams, cut.lanes);
        kernels::norm_moments_f32(cx, launch, f.x, l.into(), part, lanes, moments.ptr())?;
        kernels::norm_statistics_f32(
            cx,
            Launch::teams(channels, merging),
            moments.ptr(),
            l.into(),
            cut.parts as i64,
            f.eps,
            merging as i32,
            channels as i64,
            momentum,
            old[0],
            old[1],
            new[0],
            new[1],
            f.stats,
            scale.ptr(),
        )?;
    } else {
        let launch = Launch::over(channels);
        let n = channels as i64;
        kernels::norm_given_f32(cx, launch, old[0], old[1], n, f.eps, new[0], new[1], f.stats, scale.ptr())?;
    }
    kernels::norm_fwd_f32(
        cx,
        Launch::over(l.numel()),
        f.x,
        scale.ptr(),
        f.weight,
        f.bias,
        f.residual,
        f.y,
        l.into(),
        i32::from(f.relu),
        l.numel() as i64,
    )
}

/// What backward reads, and the gradients that it writes; absent tensors and unwanted gradients are [`Ptr::NULL`].
#[derive(Debug, Clone, Copy)]
pub(in crate::ops) struct BackwardBuffers {
    pub dy: Ptr<f32>,
    pub x: Ptr<f32>,
    /// The output, if ReLU was applied: its zeros tell where the gradient is 0.
    pub y: Ptr<f32>,
    pub stats: Ptr<f64>,
    pub weight: Ptr<f32>,
    /// Number of elements of `dweight` and of `dbias`.
    pub weights: usize,
    /// Whether the statistics were computed from the input.
    pub own: bool,
    pub dx: Ptr<f32>,
    pub dweight: Ptr<f32>,
    pub dbias: Ptr<f32>,
    pub dresidual: Ptr<f32>,
}

/// As [`crate::cpu::norm::backward`].
///
/// # Errors
/// Too little memory; an error from the driver.
pub(in crate::ops) fn backward(cx: &CudaCtx, l: NormLayout, b: &BackwardBuffers) -> Result<()> {
    let parameters = !(b.dweight.is_null() && b.dbias.is_null());
    if l.numel() == 0 {
        let mut asked = [b.dweight, b.dbias].into_iter().filter(|ptr| !ptr.is_null());
        return asked.try_for_each(|ptr| cx.fill_f32(ptr, 0.0, b.weights));
    }
    // If each element of a group has its own weight, the sums over a group include the weights, and `columns` computes
    // the gradients of the weights separately.
    let elementwise = l.elementwise();
    let sets = if elementwise { NormLayout { run: l.len, ..l } } else { l };
    let (inside, outside) = if elementwise { (b.weight, Ptr::NULL) } else { (Ptr::NULL, b.weight) };
    let units = l.groups * sets.runs();
    let mut cut = TeamSplit::new(sets.slices * sets.run);
    if !b.own && (elementwise || !parameters) {
        cut.parts = 0; // Nothing depends on the sums.
    }
    let (part, parts) = (cut.part as i64, cut.parts as i64);
    let sums = cx.scratch::<f64>(2 * units * cut.parts)?;
    let totals = cx.scratch::<f64>(2 * units)?;
    let factors = cx.scratch::<f32>(4 * l.groups)?;
    let launch = Launch::teams(units * cut.parts, cut.lanes);
    let lanes = cut.lanes as i32;
    kernels::norm_sums_f32(
        cx,
        launch,
        b.dy,
        b.x,
        b.y,
        b.stats,
        inside,
        sets.into(),
        part,
        lanes,
        sums.ptr(),
    )?;
    let alone = !elementwise && l.cycle == l.groups;
    let [dweight, dbias] = [b.dweight, b.dbias].map(|ptr| if alone { ptr } else { Ptr::NULL });
    kernels::norm_centre_f32(
        cx,
        Launch::teams(l.groups, cut.merging()),
        sums.ptr(),
        b.stats,
        outside,
        sets.into(),
        parts,
        cut.merging() as i32,
        i32::from(b.own),
        totals.ptr(),
        factors.ptr(),
        dweight,
        dbias,
    )?;
    if parameters && elementwise {
        columns(cx, l, b)?;
    } else if parameters && !alone {
        let (rows, weights) = ((l.groups / l.cycle) as i64, b.weights as i64);
        let launch = Launch::over(b.weights);
        kernels::norm_weights_f32(cx, launch, totals.ptr(), rows, weights, b.dweight, b.dbias)?;
    }
    if b.dx.is_null() && b.dresidual.is_null() {
        return Ok(());
    }
    let (launch, n) = (Launch::over(l.numel()), l.numel() as i64);
    let x = if b.own { b.x } else { Ptr::NULL };
    kernels::norm_bwd_f32(cx, launch, b.dy, x, b.y, factors.ptr(), b.weight, b.dx, b.dresidual, l.into(), n)
}

/// The gradients of weight and bias if each element of a group has its own: sums down the columns.
fn columns(cx: &CudaCtx, l: NormLayout, b: &BackwardBuffers) -> Result<()> {
    const PART: usize = 256;
    let parts = (l.groups / l.cycle).div_ceil(PART);
    let totals = cx.scratch::<f64>(2 * parts * b.weights)?;
    let launch = Launch::blocks([l.len.div_ceil(32) * l.cycle * parts, 1, 1], 256);
    kernels::norm_columns_f32(cx, launch, b.dy, b.x, b.stats, l.into(), PART as i64, totals.ptr())?;
    let (parts, weights) = (parts as i64, b.weights as i64);
    let launch = Launch::over(b.weights);
    kernels::norm_weights_f32(cx, launch, totals.ptr(), parts, weights, b.dweight, b.dbias)
}
