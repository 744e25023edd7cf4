//! From bytes to numbers: `x / 255`, then `(x - mean) / std` of the channel. (torchvision: `ToTensor`, `Normalize`.)

use super::Dataset;
use crate::core::{Error, Float, Result};

/// Mean and deviation of each channel, of pixels in `0..=1`.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalize {
    /// What is subtracted, a channel each.
    pub mean: Vec<f64>,
    /// What is divided by, a channel each.
    pub std: Vec<f64>,
}

impl Normalize {
    /// Only `/ 255`.
    pub fn unit(channels: usize) -> Normalize {
        Normalize { mean: vec![0.0; channels], std: vec![1.0; channels] }
    }

    /// These statistics, or only `/ 255`.
    pub fn when(self, normalized: bool) -> Normalize {
        if normalized { self } else { Normalize::unit(self.mean.len()) }
    }

    /// The statistics of a set, for one that comes without published ones. A constant channel gets deviation 1.
    ///
    /// # Errors
    /// An image that cannot be read.
    pub fn measure(set: &dyn Dataset) -> Result<Normalize> {
        let [channels, height, width] = set.image();
        let plane = height * width;
        let mut counts = vec![[0u64; 256]; channels];
        let mut pixels = vec![0; channels * plane];
        for i in 0..set.len() {
            set.pixels(i, &mut pixels)?;
            for (counts, plane) in counts.iter_mut().zip(pixels.chunks_exact(plane)) {
                plane.iter().for_each(|&byte| counts[usize::from(byte)] += 1);
            }
        }
        let n = (set.len() * plane) as f64;
        let moment = |counts: &[u64; 256], f: &dyn Fn(f64) -> f64| {
            counts.iter().enumerate().map(|(v, &count)| count as f64 * f(v as f64 / 255.0)).sum::<f64>() / n
        };
        let mean: Vec<f64> = counts.iter().map(|counts| moment(counts, &|x| x)).collect();
        let deviation = |(counts, &mean): (&[u64; 256], &f64)| {
            let std = moment(counts, &|x| (x - mean).powi(2)).sqrt();
            if std > 0.0 { std } else { 1.0 }
        };
        let std = counts.iter().zip(&mean).map(deviation).collect();
        Ok(Normalize { mean, std })
    }

    /// What each byte becomes, channel by channel, rounded as PyTorch rounds: every step in `T`.
    ///
    /// # Errors
    /// A number of channels other than `channels`; a deviation that is not above 0.
    pub(crate) fn table<T: Float>(&self, channels: usize) -> Result<Vec<[T; 256]>> {
        if self.mean.len() != channels || self.std.len() != channels {
            return Err(Error::argument("normalize", format!("the images have {channels} channels"))
                .with("mean", format_args!("{:?}", self.mean))
                .with("std", format_args!("{:?}", self.std))
                .expected("one mean and one deviation a channel"));
        }
        if let Some(std) = self.std.iter().find(|std| !std.is_finite() || **std <= 0.0) {
            return Err(Error::argument("normalize", format!("a deviation of {std} cannot divide")));
        }
        let row = |(&mean, &std): (&f64, &f64)| {
            let (mean, std) = (T::from_f64(mean), T::from_f64(std));
            std::array::from_fn(|v| (T::from_f64(v as f64) / T::from_f64(255.0) - mean) / std)
        };
        Ok(self.mean.iter().zip(&self.std).map(row).collect())
    }
}
