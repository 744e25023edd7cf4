//! One output of a pooling: its window, and how the window becomes one number.

use super::elements::{Elements, check_place};
use crate::core::{Result, Window};
use crate::cpu::pool::{Planes, wins};
use crate::ops::OutputSize;
use crate::ops::adaptive::under;
use crate::ops::adaptive_avg_pool2d::{self, AdaptiveAvgPool2d};
use crate::ops::adaptive_max_pool2d::AdaptiveMaxPool2d;
use crate::ops::avg_pool2d::{AvgPool2d, AvgPool2dOptions};
use crate::ops::images::images;
use crate::ops::max_pool2d::{MaxPool2d, MaxPool2dOptions};
use crate::tensor::{Op, Tensor};
use serde::Serialize;

/// A pooling and its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    Max(MaxPool2dOptions),
    Avg(AvgPool2dOptions),
    AdaptiveMax(OutputSize),
    AdaptiveAvg(OutputSize),
}

/// Everything behind one output of a pooling.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PoolSteps {
    /// Image, channel, row, column.
    pub at: [usize; 4],
    /// The taps of the window, row by row.
    pub taps: Vec<PoolTap>,
    #[serde(flatten)]
    pub pooled: Pooled,
    pub result: f64,
}

/// One place of a window.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PoolTap {
    /// Row and column in the window.
    pub tap: [usize; 2],
    /// Row and column of the input. In the padding they are below 0 or beyond the last one.
    pub at: [isize; 2],
    /// `None` in the padding.
    pub x: Option<f64>,
}

/// How a window became one number.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "by", rename_all = "lowercase")]
pub enum Pooled {
    Max {
        /// The index of the tap that won. Among equal values the first wins, row by row. NaN wins over all numbers, and
        /// the last NaN wins over earlier ones. `None` if the window lies entirely in the padding; its output is minus
        /// infinity.
        winner: Option<usize>,
    },
    Avg {
        sum: f64,
        /// The divisor of the sum: the number of taps that count, or `divisor_override`.
        divisor: f64,
    },
}

/// The steps to output `at`, `[n, c, i, j]`, of a pooling of `x`.
///
/// # Errors
/// An error of the op; a place that the output does not have.
pub fn pool_steps(x: &Tensor, pooling: Pooling, at: [usize; 4]) -> Result<PoolSteps> {
    let op: Box<dyn Op> = match pooling {
        Pooling::Max(options) => Box::new(MaxPool2d { options, return_indices: false }),
        Pooling::Avg(options) => Box::new(AvgPool2d(options)),
        Pooling::AdaptiveMax(size) => Box::new(AdaptiveMaxPool2d(size)),
        Pooling::AdaptiveAvg(size) => Box::new(AdaptiveAvgPool2d(size)),
    };
    let plan = op.infer(&[x.meta()])?;
    let (input, output) = (images(op.name(), x.shape())?, images(op.name(), &plan.outputs()[0].shape)?);
    check_place(op.name(), "output", &at, &output)?;
    let planes = Planes::new(input, output);
    let taps = taps(&Elements::shaped(x, &input)?, pooling, &planes, at);
    let place = at[2] * planes.ow + at[3];
    let (pooled, result) = match pooling {
        Pooling::Max(_) | Pooling::AdaptiveMax(_) => largest(&taps),
        Pooling::Avg(options) => mean(&taps, options.under(&planes, place).1),
        Pooling::AdaptiveAvg(_) => mean(&taps, adaptive_avg_pool2d::window(&planes, place).1),
    };
    Ok(PoolSteps { at, taps, pooled, result })
}

fn taps(image: &Elements, pooling: Pooling, planes: &Planes, [n, c, i, j]: [usize; 4]) -> Vec<PoolTap> {
    let (at, input, output) = ([i, j], [planes.h, planes.w], [planes.oh, planes.ow]);
    let of_window = |window: Window| {
        [0, 1]
            .map(|axis| (0..window.kernel[axis]).map(|k| window.reach(axis, at[axis], k)).collect::<Vec<_>>())
    };
    let [rows, columns] = match pooling {
        Pooling::Max(options) => of_window(options.window()),
        Pooling::Avg(options) => of_window(options.window()),
        Pooling::AdaptiveMax(_) | Pooling::AdaptiveAvg(_) => [0, 1]
            .map(|axis| under(at[axis], input[axis], output[axis]).map(|p| p as isize).collect::<Vec<_>>()),
    };
    let mut taps = Vec::with_capacity(rows.len() * columns.len());
    for (a, &p) in rows.iter().enumerate() {
        for (b, &q) in columns.iter().enumerate() {
            let inside = (0..planes.h as isize).contains(&p) && (0..planes.w as isize).contains(&q);
            let x = inside.then(|| image.at(&[n, c, p as usize, q as usize]));
            taps.push(PoolTap { tap: [a, b], at: [p, q], x });
        }
    }
    taps
}

fn largest(taps: &[PoolTap]) -> (Pooled, f64) {
    let real = taps.iter().enumerate().filter_map(|(tap, place)| Some((tap, place.x?)));
    let best = real.reduce(|best, next| if wins(next.1, best.1) { next } else { best });
    (Pooled::Max { winner: best.map(|(tap, _)| tap) }, best.map_or(f64::NEG_INFINITY, |(_, x)| x))
}

fn mean(taps: &[PoolTap], divisor: f64) -> (Pooled, f64) {
    let sum: f64 = taps.iter().filter_map(|tap| tap.x).sum();
    (Pooled::Avg { sum, divisor }, sum / divisor)
}
