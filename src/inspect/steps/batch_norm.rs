//! One element of a batch normalisation. The formulas are in [`crate::ops::batch_norm`].

use super::elements::{Elements, check_place};
use crate::core::{Error, Result};
use crate::ops::batch_norm::BatchNormOptions;
use crate::tensor::Tensor;
use serde::Serialize;

/// Everything behind one element: `x_hat = (x - mean) / sqrt(variance + eps)`, `result = x_hat gamma + beta`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BatchNormSteps {
    pub at: Vec<usize>,
    pub x: f64,
    /// How many values of the channel its mean and variance are computed from; `None` if they are the running ones.
    pub values: Option<usize>,
    pub mean: f64,
    /// In training this is the biased variance.
    pub variance: f64,
    pub eps: f64,
    pub x_hat: f64,
    /// The channel's weight.
    pub gamma: Option<f64>,
    /// The channel's bias.
    pub beta: Option<f64>,
    pub result: f64,
}

/// The steps to element `at` of the output of `x.batch_norm(running, weight, bias, settings)`.
///
/// # Errors
/// An error of the op; a place that the output does not have.
pub fn batch_norm_steps(
    x: &Tensor,
    running: Option<[&Tensor; 2]>,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    settings: BatchNormOptions,
    at: &[usize],
) -> Result<BatchNormSteps> {
    // The op does all the checks.
    x.detach().batch_norm(running, weight, bias, settings)?;
    check_place("batch_norm", "output", at, x.dims())?;
    let (values, channel) = (Elements::of(x)?, at[1]);
    let of_channel = |tensor: &Tensor| Ok::<_, Error>(Elements::of(tensor)?.at(&[channel]));
    let given = running.filter(|_| !settings.training);
    let (count, mean, variance) = match given {
        Some([mean, variance]) => (None, of_channel(mean)?, of_channel(variance)?),
        None => {
            let plane: usize = x.dims()[2..].iter().product();
            let planes = values.all().chunks_exact(plane).skip(channel).step_by(x.dims()[1]);
            let own: Vec<f64> = planes.flatten().copied().collect();
            let n = own.len() as f64;
            let mean = own.iter().sum::<f64>() / n;
            let variance = own.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
            (Some(own.len()), mean, variance)
        }
    };
    let (gamma, beta) = (weight.map(of_channel).transpose()?, bias.map(of_channel).transpose()?);
    let x = values.at(at);
    let x_hat = (x - mean) / (variance + settings.eps).sqrt();
    let result = x_hat * gamma.unwrap_or(1.0) + beta.unwrap_or(0.0);
    let (at, eps) = (at.to_vec(), settings.eps);
    Ok(BatchNormSteps { at, x, values: count, mean, variance, eps, x_hat, gamma, beta, result })
}
