//! Tensors that are computed from a rule: constants, ranges, random numbers.

use super::tensor::check_holds;
use super::{Blank, Device, Tensor};
use crate::core::{DType, Element, Error, Key, Result};
use crate::element_type;

impl Tensor {
    /// A tensor of ones. PyTorch: `torch.ones`.
    ///
    /// # Errors
    /// An impossible shape; no memory for it.
    pub fn ones(device: &Device, dims: &[usize], dtype: DType) -> Result<Tensor> {
        Self::full(device, 1.0, dims, dtype)
    }

    /// The numbers `start`, `start + step`, `start + 2 step`, ... up to `end`, which is not among them: `[N]` with
    /// `N = ceil((end - start) / step)`. PyTorch: `torch.arange`.
    ///
    /// ```
    /// use receptive::{DType, Device, Tensor};
    /// let x = Tensor::arange(&Device::cpu()?, 1.0, 2.0, 0.25, DType::F32)?;
    /// assert_eq!(x.to_vec::<f32>()?, [1.0, 1.25, 1.5, 1.75]);
    /// # Ok::<(), receptive::Error>(())
    /// ```
    ///
    /// # Errors
    /// A step of 0, or one that leads away from `end`; numbers that are not finite, or that the dtype cannot hold; no
    /// memory for so many.
    pub fn arange(device: &Device, start: f64, end: f64, step: f64, dtype: DType) -> Result<Tensor> {
        let count = ((end - start) / step).ceil();
        let finite = [start, end, step].iter().all(|v| v.is_finite());
        if !finite || !(0.0..=1e15).contains(&count) {
            return Err(Error::argument(
                "arange",
                format!("step {step} does not lead from {start} to {end}"),
            )
            .expected("finite numbers, and a step other than 0 with the sign of end - start"));
        }
        let rule = |i: u64| start + i as f64 * step;
        // If the first two are whole numbers, all are; the last is the farthest.
        if let Some(last) = (count as u64).checked_sub(1) {
            [0, last.min(1), last].into_iter().try_for_each(|i| check_holds("arange", dtype, rule(i)))?;
        }
        from_rule(device, &[count as usize], dtype, rule)
    }

    /// Random numbers from the uniform distribution over `[0, 1)`. PyTorch: `torch.rand`.
    ///
    /// The same key gives the same numbers on every device and with any number of threads.
    ///
    /// # Errors
    /// An impossible shape; no memory for it; a dtype of whole numbers.
    pub fn rand(device: &Device, dims: &[usize], dtype: DType, key: Key) -> Result<Tensor> {
        floating("rand", dtype)?;
        from_rule(device, dims, dtype, |i| key.uniform(i))
    }

    /// Random numbers from the normal distribution with mean 0 and standard deviation 1. PyTorch: `torch.randn`.
    ///
    /// The same key gives the same numbers on every device and with any number of threads.
    ///
    /// ```
    /// use receptive::{DType, Device, Key, Tensor};
    /// let x = Tensor::randn(&Device::cpu()?, &[10_000], DType::F32, Key::new(1))?;
    /// assert!(x.mean_all()?.item()?.abs() < 0.02);
    /// # Ok::<(), receptive::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`rand`](Self::rand).
    pub fn randn(device: &Device, dims: &[usize], dtype: DType, key: Key) -> Result<Tensor> {
        floating("randn", dtype)?;
        from_rule(device, dims, dtype, |i| key.normal(i))
    }
}

/// A tensor whose element number `i` is `rule(i)`. On the meta device nothing is computed.
fn from_rule(device: &Device, dims: &[usize], dtype: DType, rule: impl Fn(u64) -> f64) -> Result<Tensor> {
    if matches!(device, Device::Meta(_)) {
        return Tensor::full(device, 0.0, dims, dtype);
    }
    element_type!(dtype, T => {
        let mut blank = Blank::<T>::new(device, dims)?;
        for (i, element) in (0..).zip(blank.elements()) {
            *element = <T as Element>::from_f64(rule(i));
        }
        blank.into_tensor()
    })
}

fn floating(name: &str, dtype: DType) -> Result<()> {
    match dtype {
        DType::F32 | DType::F64 | DType::BF16 | DType::F16 => Ok(()),
        _ => {
            Err(Error::dtype(name, format!("{dtype} cannot hold the numbers"))
                .expected("f32, f64, bf16 or f16"))
        }
    }
}
