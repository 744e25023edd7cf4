//! The check of a learning rate before it is used. A schedule of the caller's own may return any number.

use crate::core::{Error, ErrorKind, Result};

/// The rate, if it is a number of 0 or more.
///
/// # Errors
/// NaN, an infinite or a negative rate.
pub(super) fn checked(rate: f64, step: u64) -> Result<f64> {
    if rate >= 0.0 && rate.is_finite() {
        return Ok(rate);
    }
    let what = format!("the schedule gives the learning rate {rate} for step {step}");
    Err(Error::new(ErrorKind::Argument, "train", what).expected("a finite number, 0 or more"))
}
