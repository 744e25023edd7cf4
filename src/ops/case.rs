//! Cases: shapes and settings on which every op is checked against finite differences, PyTorch and other devices.
//!
//! A case is plain data, so the golden vectors' generator reads the same list (`receptive op --cases DIR`) that the Rust
//! tests iterate.

use crate::core::{DType, Element, Key, Result};
use crate::element_type;
use crate::tensor::{Device, Tensor};
use std::collections::BTreeMap;

/// What a case is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    /// Small: gradient check, golden vectors and conformance.
    Grad,
    /// As `Grad`, at the edge of what is allowed: empty batches, 1x1 images, scalars.
    Edge,
    /// Large: timed, and checked against f64 before.
    Bench,
}

/// How an input's elements are drawn, by a generator keyed on the case and the input's name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fill {
    /// Standard normal, at least 0.05 away from 0, where `relu` and `abs` have their kink.
    Normal,
    /// A shuffle of evenly spaced values, so that no maximum is nearly a tie.
    Distinct,
    /// Uniform in a range.
    Uniform(f64, f64),
    /// i64 labels below the number.
    Labels(usize),
    /// u8 zeros and ones.
    Mask,
}

impl Fill {
    /// The element type, where floating elements are `float`.
    pub fn dtype(self, float: DType) -> DType {
        match self {
            Fill::Labels(_) => DType::I64,
            Fill::Mask => DType::U8,
            _ => float,
        }
    }
}

/// One input of a case.
#[derive(Debug, Clone)]
pub struct CaseInput {
    pub name: &'static str,
    pub dims: Vec<usize>,
    pub fill: Fill,
}

/// One setting of one op.
#[derive(Debug, Clone)]
pub struct Case {
    pub label: &'static str,
    pub attrs: BTreeMap<String, String>,
    pub inputs: Vec<CaseInput>,
    pub tag: Tag,
}

impl Case {
    /// A case with attributes as text: `Case::new("overlap", "kernel_size=3 stride=2,1")`.
    pub fn new(label: &'static str, attrs: &str) -> Case {
        let pair = |item: &str| {
            let (key, value) = item.split_once('=').expect("attributes are written key=value");
            (key.to_owned(), value.to_owned())
        };
        let attrs = attrs.split_whitespace().map(pair).collect();
        Case { label, attrs, inputs: Vec::new(), tag: Tag::Grad }
    }

    /// Adds an input of normal numbers.
    pub fn input(self, name: &'static str, dims: &[usize]) -> Case {
        self.filled(name, dims, Fill::Normal)
    }

    /// Adds an input with chosen elements.
    pub fn filled(mut self, name: &'static str, dims: &[usize], fill: Fill) -> Case {
        self.inputs.push(CaseInput { name, dims: dims.to_vec(), fill });
        self
    }

    /// Marks an edge case.
    pub fn edge(self) -> Case {
        Case { tag: Tag::Edge, ..self }
    }

    /// Marks a large case, for benches.
    pub fn bench(self) -> Case {
        Case { tag: Tag::Bench, ..self }
    }

    /// The names of the inputs.
    pub fn names(&self) -> Vec<&'static str> {
        self.inputs.iter().map(|i| i.name).collect()
    }

    /// Draws the inputs. The numbers depend on the case and the names only, and are multiples of 2^-16, so that f32
    /// and f64 runs start from equal values.
    ///
    /// # Errors
    /// An impossible shape.
    pub fn tensors(&self, device: &Device, dtype: DType) -> Result<Vec<Tensor>> {
        let key = Key::new(0).child(self.label);
        self.inputs.iter().map(|input| input.tensor(device, dtype, key.child(input.name))).collect()
    }
}

impl Case {
    /// A random upstream gradient for the first output, of its dtype.
    ///
    /// # Errors
    /// None: the shape exists already.
    pub fn grad_output(&self, output: &Tensor) -> Result<Tensor> {
        let drawn = CaseInput { name: "grad_output", dims: output.dims().to_vec(), fill: Fill::Normal };
        drawn.tensor(output.device(), output.dtype(), Key::new(0).child(self.label).child(drawn.name))
    }
}

impl CaseInput {
    fn tensor(&self, device: &Device, dtype: DType, key: Key) -> Result<Tensor> {
        let n: usize = self.dims.iter().product();
        let below = |limit| (0..n as u64).map(|i| key.below(i, limit) as f64).collect();
        let values: Vec<f64> = match self.fill {
            Fill::Labels(classes) => below(classes),
            Fill::Mask => below(2),
            Fill::Normal => (0..n as u64).map(|i| away_from_zero(key.normal(i))).collect(),
            Fill::Uniform(low, high) => {
                (0..n as u64).map(|i| round(low + (high - low) * key.uniform(i))).collect()
            }
            Fill::Distinct => key
                .permutation(n)
                .iter()
                .map(|&p| round((p as f64 - n as f64 / 2.0 + 0.3) * 0.0625))
                .collect(),
        };
        element_type!(self.fill.dtype(dtype), T => {
            Tensor::from_vec::<T>(device, values.into_iter().map(<T as Element>::from_f64).collect(), &self.dims)
        })
    }
}

fn round(x: f64) -> f64 {
    (x * 65536.0).round() / 65536.0
}

fn away_from_zero(x: f64) -> f64 {
    round(x + 0.05f64.copysign(x))
}
