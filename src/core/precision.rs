//! How far a device may round the inputs of matrix products.

use super::{Error, Named, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The precision to which matrix products may round their inputs. Sums and tensors are always f32. Only a GPU's tensor
/// cores use this permission.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 24 significant bits: nothing is rounded.
    #[default]
    F32,
    /// 11 significant bits.
    Tf32,
    /// 8 significant bits.
    Bf16,
}

impl Named for Precision {
    const WHAT: &'static str = "precision";
    const NAMES: &'static [(&'static str, Self)] =
        &[("f32", Precision::F32), ("tf32", Precision::Tf32), ("bf16", Precision::Bf16)];
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Precision {
    type Err = Error;

    fn from_str(text: &str) -> Result<Precision> {
        Self::named(text)
    }
}

impl Precision {
    /// The largest relative error of rounding one input.
    pub fn rounding(self) -> f64 {
        match self {
            Precision::F32 => 0.0,
            Precision::Tf32 => 2f64.powi(-11),
            Precision::Bf16 => 2f64.powi(-8),
        }
    }
}
