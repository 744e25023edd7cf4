//! Data of any shape. An input is an array of numbers. Its target is a class, or an array of numbers, too.
//!
//! A [`Dataset`](super::Dataset) holds images as bytes, which a pipeline turns into numbers. [`Examples`] are numbers
//! already: photographs in floating point, spectra, tables, images whose target is an image.
//!
//! ```
//! use receptive::data::{Loader, LoaderOptions, TensorDataset};
//! use receptive::{Device, Tensor};
//! use std::sync::Arc;
//!
//! let cpu = Device::cpu()?;
//! let x = Tensor::from_slice(&cpu, &[0f32, 1.0, 2.0, 3.0, 4.0, 5.0], &[3, 2])?;
//! let y = Tensor::from_slice(&cpu, &[1f32, 5.0, 9.0], &[3, 1])?;
//! let loader = Loader::from_examples(Arc::new(TensorDataset::new(&x, &y)?), LoaderOptions::plain(2, cpu))?;
//! let batch = loader.epoch(0, 0)?.next().unwrap()?;
//! assert_eq!((batch.images.dims(), batch.targets.to_vec::<f32>()?), (&[2, 2][..], vec![1.0, 5.0]));
//! # Ok::<(), receptive::Error>(())
//! ```

use super::Batch;
use crate::core::{DType, Error, ErrorKind, Float, Result};
use crate::tensor::{Blank, Device, Tensor};

/// Inputs and targets as numbers. The loader's threads share a set.
pub trait Examples: Send + Sync {
    /// The name in messages.
    fn name(&self) -> &str;

    /// The number of examples.
    fn len(&self) -> usize;

    /// Whether there are no examples.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The shape of one input, without the batch.
    fn input_shape(&self) -> &[usize];

    /// The shape of one target, without the batch; `None` if the target is a class.
    fn target_shape(&self) -> Option<&[usize]> {
        None
    }

    /// Writes all numbers of the input of example `i < len()` into `to`.
    ///
    /// # Errors
    /// Data that cannot be read.
    fn input(&self, i: usize, to: &mut [f32]) -> Result<()>;

    /// The class of example `i < len()`, if targets are classes.
    ///
    /// # Errors
    /// Data that cannot be read.
    fn label(&self, _i: usize) -> Result<usize> {
        Err(lacks(self.name(), "label"))
    }

    /// Writes all numbers of the target of example `i < len()` into `to`, if targets are numbers.
    ///
    /// # Errors
    /// Data that cannot be read.
    fn target(&self, _i: usize, _to: &mut [f32]) -> Result<()> {
        Err(lacks(self.name(), "target"))
    }
}

fn lacks(set: &str, method: &str) -> Error {
    Error::new(ErrorKind::Missing, set, format!("does not implement `Examples::{method}`"))
        .help("implement `label` for classes, or `target_shape` and `target` for numbers")
}

/// Two tensors in memory: example `i` is row `i` of the inputs and row `i` of the targets. PyTorch: `TensorDataset`.
#[derive(Debug, Clone)]
pub struct TensorDataset {
    shape: Vec<usize>,
    inputs: Vec<f32>,
    targets: ExampleTargets,
}

#[derive(Debug, Clone)]
enum ExampleTargets {
    Classes(Vec<usize>),
    Numbers { shape: Vec<usize>, values: Vec<f32> },
}

impl TensorDataset {
    /// A set of these inputs `[N, ...]` and targets: classes `[N]` of type i64, or numbers `[N, ...]`.
    ///
    /// # Errors
    /// Different numbers of inputs and targets; classes of another shape, or below 0; tensors without elements.
    pub fn new(inputs: &Tensor, targets: &Tensor) -> Result<TensorDataset> {
        let (&[n, ref shape @ ..], &[m, ref target @ ..]) = (inputs.dims(), targets.dims()) else {
            return Err(Error::shape(
                "tensor data set",
                "inputs and targets need a dimension for the examples",
            ));
        };
        if n != m || inputs.numel() == 0 || targets.numel() == 0 {
            return Err(Error::shape("tensor data set", "inputs and targets do not go together")
                .with("inputs", inputs.shape())
                .with("targets", targets.shape())
                .expected("equally many, at least one, each with elements"));
        }
        let targets = if targets.dtype() == DType::I64 {
            if !target.is_empty() {
                return Err(Error::shape("tensor data set", "classes have one number per example")
                    .with("targets", targets.shape())
                    .expected("[N]"));
            }
            let class = |class: i64| {
                usize::try_from(class)
                    .map_err(|_| Error::argument("tensor data set", format!("{class} is not a class")))
            };
            ExampleTargets::Classes(targets.to_vec::<i64>()?.into_iter().map(class).collect::<Result<_>>()?)
        } else {
            ExampleTargets::Numbers {
                shape: target.to_vec(),
                values: targets.to_dtype(DType::F32)?.to_vec()?,
            }
        };
        Ok(TensorDataset { shape: shape.to_vec(), inputs: inputs.to_dtype(DType::F32)?.to_vec()?, targets })
    }
}

impl Examples for TensorDataset {
    fn name(&self) -> &str {
        "tensors"
    }

    fn len(&self) -> usize {
        self.inputs.len() / self.shape.iter().product::<usize>()
    }

    fn input_shape(&self) -> &[usize] {
        &self.shape
    }

    fn target_shape(&self) -> Option<&[usize]> {
        match &self.targets {
            ExampleTargets::Classes(_) => None,
            ExampleTargets::Numbers { shape, .. } => Some(shape),
        }
    }

    fn input(&self, i: usize, to: &mut [f32]) -> Result<()> {
        to.copy_from_slice(&self.inputs[i * to.len()..][..to.len()]);
        Ok(())
    }

    fn label(&self, i: usize) -> Result<usize> {
        match &self.targets {
            ExampleTargets::Classes(classes) => Ok(classes[i]),
            ExampleTargets::Numbers { .. } => Err(lacks(self.name(), "label")),
        }
    }

    fn target(&self, i: usize, to: &mut [f32]) -> Result<()> {
        match &self.targets {
            ExampleTargets::Classes(_) => Err(lacks(self.name(), "target")),
            ExampleTargets::Numbers { values, .. } => {
                to.copy_from_slice(&values[i * to.len()..][..to.len()]);
                Ok(())
            }
        }
    }
}

/// Makes batch number `index` from these examples.
///
/// # Errors
/// The set's errors, with the example's number; no memory.
pub(super) fn batch<T: Float>(
    set: &dyn Examples,
    device: &Device,
    samples: &[usize],
    index: usize,
) -> Result<Batch> {
    let at = |e: Error, i: usize| e.at(|| format!("{}, example {i}", set.name()));
    let images =
        rows::<T>(device, samples, set.input_shape(), |i, to| set.input(i, to).map_err(|e| at(e, i)))?;
    let targets = match set.target_shape() {
        Some(shape) => rows::<T>(device, samples, shape, |i, to| set.target(i, to).map_err(|e| at(e, i)))?,
        None => class_targets(device, samples, |i| set.label(i).map_err(|e| at(e, i)))?,
    };
    Ok(Batch { index, images, targets, samples: samples.to_vec() })
}

/// The classes of these samples as a tensor `[B]` of i64.
pub(super) fn class_targets(
    device: &Device,
    samples: &[usize],
    label: impl Fn(usize) -> Result<usize>,
) -> Result<Tensor> {
    let class = |&i: &usize| {
        let class = label(i)?;
        i64::try_from(class).map_err(|_| {
            Error::argument("label", format!("{class} for example {i} is too large to be a class"))
        })
    };
    let labels = samples.iter().map(class).collect::<Result<Vec<i64>>>()?;
    Tensor::from_slice(device, &labels, &[samples.len()])
}

/// A tensor of one row per example. A number that `read` does not write is NaN.
fn rows<T: Float>(
    device: &Device,
    samples: &[usize],
    shape: &[usize],
    read: impl Fn(usize, &mut [f32]) -> Result<()>,
) -> Result<Tensor> {
    let dims: Vec<usize> = [samples.len()].into_iter().chain(shape.iter().copied()).collect();
    let mut blank = Blank::<T>::new(device, &dims)?;
    let mut row = vec![f32::NAN; shape.iter().product()];
    for (to, &i) in blank.elements().chunks_exact_mut(row.len()).zip(samples) {
        row.fill(f32::NAN);
        read(i, &mut row)?;
        to.iter_mut().zip(&row).for_each(|(to, &v)| *to = T::from_f64(f64::from(v)));
    }
    blank.into_tensor()
}
