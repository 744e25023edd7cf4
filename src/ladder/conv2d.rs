//! The ladder of 2-d convolution: forward, gradient of the input, gradient of the weights.

use crate::core::{Error, Result};
use crate::cpu::conv2d::ConvFns;

/// One version of convolution.
#[derive(Debug)]
pub struct ConvRung {
    /// Its place on the ladder, as `--conv-rung` takes it.
    pub number: u32,
    /// A short name.
    pub name: &'static str,
    /// The one idea a reader takes from it.
    pub teaches: &'static str,
    /// The f32 version.
    pub f32: ConvFns<f32>,
    /// The f64 version: the oracle's arithmetic.
    pub f64: ConvFns<f64>,
}

/// All rungs, slowest first.
pub static RUNGS: &[ConvRung] = &[
    ConvRung {
        number: 1,
        name: "direct",
        teaches: "the definition: seven nested loops",
        f32: ConvFns::DIRECT,
        f64: ConvFns::DIRECT,
    },
    ConvRung {
        number: 2,
        name: "im2col",
        teaches: "taps gathered into columns turn convolution into a matrix product",
        f32: ConvFns::IM2COL,
        f64: ConvFns::IM2COL,
    },
];

/// The rung that runs unless another is asked for.
pub const DEFAULT: u32 = 2;

/// The rung with this number.
///
/// # Errors
/// No such rung: the message lists them.
pub fn rung(number: u32) -> Result<&'static ConvRung> {
    RUNGS.iter().find(|r| r.number == number).ok_or_else(|| {
        let known: Vec<String> = RUNGS.iter().map(|r| format!("{} ({})", r.number, r.name)).collect();
        Error::argument("conv-rung", format!("there is no rung {number}")).expected(known.join(", "))
    })
}
