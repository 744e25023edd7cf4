//! The ops: one file each, one row each in [`OPS`].
//!
//! A row carries all that the rest of the crate needs to know about an op. Gradient checks, golden vectors, benches,
//! the `receptive op` command and the docs iterate the table; nobody writes a second list.
//!
//! **To add an op:** write `src/ops/name.rs` (formula, derivation, `impl Op`, a method on [`Tensor`],
//! `SPEC` with cases), add its module and its row here, run `cargo test`. Nothing else.

pub(crate) mod adaptive;
mod along;
mod attrs;
mod binary;
mod call;
mod case;
pub(crate) mod conv2d_grad;
mod conv_transpose2d_grad;
mod cross_entropy_goal;
mod cuda;
pub(crate) mod images;
mod loss;
mod norm;
mod unary;
mod with_relu;

pub mod abs;
pub mod adaptive_avg_pool2d;
pub mod adaptive_max_pool2d;
pub mod add;
pub mod argmax;
pub mod avg_pool2d;
pub mod batch_norm;
pub mod batch_norm_relu;
pub mod binary_cross_entropy_with_logits;
pub mod cast;
pub mod cat;
pub mod clamp;
pub mod conv2d;
pub mod conv2d_relu;
pub mod conv_transpose2d;
pub mod cross_entropy;
pub mod dice_loss;
pub mod div;
pub mod dropout;
pub mod dropout2d;
pub mod exp;
pub mod expand;
pub mod flatten;
pub mod gelu;
pub mod group_norm;
pub mod instance_norm;
pub mod interpolate;
pub mod layer_norm;
pub mod leaky_relu;
pub mod linear;
pub mod linear_relu;
pub mod local_response_norm;
pub mod log;
pub mod log_softmax;
pub mod masked_fill;
pub mod matmul;
pub mod max;
pub mod max_pool2d;
pub mod mean;
pub mod mse_loss;
pub mod mul;
pub mod neg;
pub mod nll_loss;
pub mod pad;
pub mod permute;
pub mod pow;
pub mod relu;
pub mod reshape;
pub mod sigmoid;
pub mod silu;
pub mod slice;
pub mod softmax;
pub mod sqrt;
pub mod sub;
pub mod sum;
pub mod sum_to_size;
pub mod tanh;
pub mod r#where;

pub use adaptive::OutputSize;
pub use attrs::{AttrValue, Attrs};
pub use call::Call;
pub use case::{Case, CaseInput, Fill, Tag};
pub use loss::Reduction;

use crate::core::{Error, ErrorKind, Result};
use crate::tensor::{Op, Tensor};
use std::collections::BTreeMap;
use std::sync::Arc;

/// An input of an op, by its PyTorch name.
#[derive(Debug, Clone, Copy)]
pub struct Input {
    /// As in `torch.nn.functional`.
    pub name: &'static str,
    /// May be left out.
    pub optional: bool,
    /// Takes any number of tensors, named `name.0`, `name.1`, ...
    pub list: bool,
    /// Receives a gradient when it is floating.
    pub differentiable: bool,
}

impl Input {
    /// A required, differentiable input.
    pub const fn new(name: &'static str) -> Input {
        Input { name, optional: false, list: false, differentiable: true }
    }

    /// One that may be left out.
    pub const fn optional(self) -> Input {
        Input { optional: true, ..self }
    }

    /// A list of tensors.
    pub const fn list(self) -> Input {
        Input { list: true, ..self }
    }

    /// One that never receives a gradient (labels, class weights).
    pub const fn constant(self) -> Input {
        Input { differentiable: false, ..self }
    }
}

/// One row of the table.
pub struct OpSpec {
    /// Its name: PyTorch's.
    pub name: &'static str,
    /// The PyTorch call it equals.
    pub torch: &'static str,
    /// Inputs in the order the op takes them.
    pub inputs: &'static [Input],
    /// Names of the visible outputs; the first carries the gradient.
    pub outputs: &'static [&'static str],
    /// Attributes it reads.
    pub attrs: &'static [&'static str],
    /// Makes the op from its attributes.
    pub build: fn(&Attrs) -> Result<Arc<dyn Op>>,
    /// Shapes and settings for checks and benches.
    pub cases: fn() -> Vec<Case>,
}

/// Every op.
pub static OPS: &[&OpSpec] = &[
    &abs::SPEC,
    &adaptive_avg_pool2d::SPEC,
    &adaptive_max_pool2d::SPEC,
    &add::SPEC,
    &argmax::SPEC,
    &avg_pool2d::SPEC,
    &batch_norm::SPEC,
    &batch_norm_relu::SPEC,
    &binary_cross_entropy_with_logits::SPEC,
    &cat::SPEC,
    &clamp::SPEC,
    &conv2d::SPEC,
    &conv2d_relu::SPEC,
    &conv_transpose2d::SPEC,
    &cross_entropy::SPEC,
    &dice_loss::SPEC,
    &div::SPEC,
    &dropout::SPEC,
    &dropout2d::SPEC,
    &exp::SPEC,
    &expand::SPEC,
    &flatten::SPEC,
    &gelu::SPEC,
    &group_norm::SPEC,
    &instance_norm::SPEC,
    &interpolate::SPEC,
    &layer_norm::SPEC,
    &leaky_relu::SPEC,
    &linear::SPEC,
    &linear_relu::SPEC,
    &local_response_norm::SPEC,
    &log::SPEC,
    &log_softmax::SPEC,
    &masked_fill::SPEC,
    &max::SPEC,
    &matmul::SPEC,
    &max_pool2d::SPEC,
    &mean::SPEC,
    &mse_loss::SPEC,
    &mul::SPEC,
    &neg::SPEC,
    &nll_loss::SPEC,
    &pad::SPEC,
    &permute::SPEC,
    &pow::SPEC,
    &relu::SPEC,
    &reshape::SPEC,
    &sigmoid::SPEC,
    &silu::SPEC,
    &slice::SPEC,
    &softmax::SPEC,
    &sqrt::SPEC,
    &sub::SPEC,
    &sum::SPEC,
    &sum_to_size::SPEC,
    &tanh::SPEC,
    &r#where::SPEC,
];

/// The row with this name.
///
/// # Errors
/// No such op; the message lists all.
pub fn find(name: &str) -> Result<&'static OpSpec> {
    OPS.iter().copied().find(|spec| spec.name == name).ok_or_else(|| {
        let known: Vec<&str> = OPS.iter().map(|spec| spec.name).collect();
        Error::new(ErrorKind::Missing, "op", format!("there is no op `{name}`"))
            .expected(format!("one of {}", known.join(", ")))
            .like(name, &known)
    })
}

impl OpSpec {
    /// Makes the op, refusing attributes it does not know. `inputs` are the names of the tensors it will get.
    ///
    /// # Errors
    /// An unknown or malformed attribute.
    pub fn make(&self, attrs: &BTreeMap<String, String>, inputs: &[&str]) -> Result<Arc<dyn Op>> {
        if let Some(unknown) = attrs.keys().find(|key| !self.attrs.contains(&key.as_str())) {
            return Err(Error::argument(self.name, format!("there is no attribute `{unknown}`"))
                .expected(if self.attrs.is_empty() { "none".into() } else { self.attrs.join(", ") })
                .like(unknown, self.attrs));
        }
        (self.build)(&Attrs::new(self.name, attrs, inputs))
    }

    /// The names of this op's inputs among `given`, in the order the op takes them.
    ///
    /// # Errors
    /// A required input that is missing, or a name the op does not know.
    pub fn bind<'a>(&self, given: &[&'a str]) -> Result<Vec<&'a str>> {
        let mut bound = Vec::new();
        for input in self.inputs {
            let before = bound.len();
            if input.list {
                let item = |i: usize| format!("{}.{i}", input.name);
                bound.extend((0..).map_while(|i| given.iter().copied().find(|name| *name == item(i))));
            } else {
                bound.extend(given.iter().copied().find(|name| *name == input.name));
            }
            if bound.len() == before && !input.optional {
                let name = if input.list { format!("{}.0", input.name) } else { input.name.to_owned() };
                return Err(Error::new(ErrorKind::Missing, self.name, format!("input `{name}` is missing"))
                    .with("given", format_args!("{given:?}"))
                    .help(format!("it equals {}", self.torch)));
            }
        }
        if let Some(unknown) = given.iter().find(|name| !bound.contains(name)) {
            let known: Vec<&str> = self.inputs.iter().map(|i| i.name).collect();
            return Err(Error::argument(self.name, format!("there is no input `{unknown}`"))
                .expected(known.join(", ")));
        }
        Ok(bound)
    }

    /// Whether the input bound under `name` can receive a gradient.
    pub fn differentiable(&self, name: &str) -> bool {
        let base = name.split('.').next().unwrap_or(name);
        self.inputs.iter().any(|i| i.name == base && i.differentiable)
    }
}

/// The first output of an op that has only one.
pub(crate) fn one(outputs: crate::tensor::Outputs) -> Tensor {
    outputs.into_iter().next().expect("every op has a first output")
}

/// The error of a gradient op asked for a gradient of its own.
pub(crate) fn no_second_gradient(op: &str) -> Error {
    Error::new(ErrorKind::NotDifferentiable, op, "gradients of gradients are not recorded")
        .help("detach the tensor first")
}
