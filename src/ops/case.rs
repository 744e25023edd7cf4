//! Cases: shapes and settings on which every op is checked against finite differences, PyTorch and other devices.
//!
//! A case is plain data. The Rust tests and the generator of the golden vectors (`receptive op --cases DIR`) use the
//! same list.

use crate::core::{DType, Element, Key, Result};
use crate::element_type;
use crate::tensor::{Device, Tensor};
use std::collections::BTreeMap;

/// What a case is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    /// Small: for the gradient check, golden vectors and conformance tests.
    Grad,
    /// As `Grad`, with extreme but allowed shapes: empty batches, 1x1 images, scalars.
    Edge,
    /// Large: first checked against f64, then timed.
    Bench,
}

/// How an input's elements are drawn. The case and the input's name are the key of the random generator.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fill {
    /// Standard normal, at least 0.05 away from 0, because `relu` and `abs` have a kink there.
    Normal,
    /// A shuffle of evenly spaced values, so that no maximum is nearly a tie.
    Distinct,
    /// Uniform in a range.
    Uniform(f64, f64),
    /// i64 labels from 0 up to but not including this number.
    Labels(usize),
    /// u8 zeros and ones.
    Mask,
}

impl Fill {
    /// The element type, with `float` for floating-point elements.
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

/// One call of one op: its attributes and inputs.
#[derive(Debug, Clone)]
pub struct Case {
    pub label: &'static str,
    pub attrs: BTreeMap<String, String>,
    pub inputs: Vec<CaseInput>,
    pub tag: Tag,
}

impl Case {
    /// A case with its attributes as text: `Case::new("overlap", "kernel_size=3 stride=2,1")`.
    pub fn new(label: &'static str, attrs: &str) -> Case {
        let pair = |item: &str| {
            let (key, value) = item.split_once('=').expect("attributes are written key=value");
            (key.to_owned(), value.to_owned())
        };
        let attrs = attrs.split_whitespace().map(pair).collect();
        Case { label, attrs, inputs: Vec::new(), tag: Tag::Grad }
    }

    /// Adds an input of normally distributed numbers.
    pub fn input(self, name: &'static str, dims: &[usize]) -> Case {
        self.filled(name, dims, Fill::Normal)
    }

    /// Adds an input whose elements are drawn as `fill` says.
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

    /// Draws the inputs. The numbers depend only on the case and the names. They are multiples of 2^-16, so f32 and f64
    /// runs start from equal values.
    ///
    /// # Errors
    /// An impossible shape.
    pub fn tensors(&self, device: &Device, dtype: DType) -> Result<Vec<Tensor>> {
        let key = Key::new(0).child(self.label);
        self.inputs.iter().map(|input| input.tensor(device, dtype, key.child(input.name))).collect()
    }
}

impl Case {
    /// A random gradient of the loss with respect to the first output, with the same dtype.
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
