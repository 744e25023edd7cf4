//! Calls an op by its name on tensors by their names. `receptive op`, the checks and the benches use this to run any op
//! of the table.
//!
//! ```
//! use receptive::{Device, Tensor, ops};
//! use std::collections::BTreeMap;
//! let x = Tensor::from_vec(&Device::cpu()?, vec![-1f64, 2.0], &[2])?;
//! let inputs = BTreeMap::from([("input".to_owned(), x.clone())]);
//! let call = ops::find("relu")?.call(&BTreeMap::new(), &inputs)?;
//! assert_eq!(call.output().to_vec::<f64>()?, [0.0, 2.0]);
//! let grads = call.backward(&x)?;
//! assert_eq!(grads["grad.input"].to_vec::<f64>()?, [0.0, 2.0]);
//! # Ok::<(), receptive::Error>(())
//! ```

use super::OpSpec;
use crate::core::{Error, ErrorKind, Result};
use crate::tensor::{Meta, Op, Tensor, apply_dyn};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The outputs of an op, and the leaves that receive its gradients.
pub struct Call {
    spec: &'static OpSpec,
    op: Arc<dyn Op>,
    inputs: Vec<Meta>,
    outputs: Vec<Tensor>,
    leaves: Vec<(String, Tensor)>,
}

impl OpSpec {
    /// Runs the op on tensors by name (`input`, `weight`, `tensors.0`, ...). Records it for the gradient of every
    /// differentiable floating-point input.
    ///
    /// # Errors
    /// Unknown, missing or malformed attributes and inputs; errors of the op.
    pub fn call(
        &'static self,
        attrs: &BTreeMap<String, String>,
        inputs: &BTreeMap<String, Tensor>,
    ) -> Result<Call> {
        let asks = |name: &str| self.differentiable(name) && inputs[name].dtype().computes();
        self.call_for(attrs, inputs, asks)
    }

    /// Runs the op forward on `tensors`, and backward if they include `grad_output`. Returns the outputs by name and
    /// the gradients as `grad.NAME`. The command `receptive op` does the same with files.
    ///
    /// # Errors
    /// As [`call`](Self::call) and [`Call::backward`].
    pub fn run(
        &'static self,
        attrs: &BTreeMap<String, String>,
        mut tensors: BTreeMap<String, Tensor>,
    ) -> Result<BTreeMap<String, Tensor>> {
        let grad_output = tensors.remove("grad_output");
        let call = self.call(attrs, &tensors)?;
        let mut all = call.outputs();
        if let Some(dy) = grad_output {
            if !call.tracks_grad() {
                let what = "has no gradient with respect to these inputs";
                return Err(Error::new(ErrorKind::NotDifferentiable, self.name, what)
                    .help("omit grad_output from the file"));
            }
            all.extend(call.backward(&dy)?);
        }
        Ok(all)
    }

    /// As [`call`](Self::call), but records only the inputs for which `asks` is true.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub fn call_for(
        &'static self,
        attrs: &BTreeMap<String, String>,
        inputs: &BTreeMap<String, Tensor>,
        asks: impl Fn(&str) -> bool,
    ) -> Result<Call> {
        let given: Vec<&str> = inputs.keys().map(String::as_str).collect();
        let names = self.bind(&given)?;
        let op = self.make(attrs, &names)?;
        let leaf =
            |name: &&str| if asks(name) { inputs[*name].requires_grad() } else { inputs[*name].detach() };
        let tensors: Vec<Tensor> = names.iter().map(leaf).collect();
        let outputs = apply_dyn(&op, &tensors.iter().collect::<Vec<_>>())?.into_vec();
        let inputs = tensors.iter().map(Tensor::meta).collect();
        let leaves = names.iter().map(|name| (*name).to_owned()).zip(tensors);
        let leaves = leaves.filter(|(_, x)| x.tracks_grad()).collect();
        Ok(Call { spec: self, op, inputs, outputs, leaves })
    }
}

impl Call {
    /// The first output. Gradients are computed from this one.
    pub fn output(&self) -> &Tensor {
        &self.outputs[0]
    }

    /// The visible outputs by name.
    pub fn outputs(&self) -> BTreeMap<String, Tensor> {
        self.spec.outputs.iter().map(|name| (*name).to_owned()).zip(self.outputs.iter().cloned()).collect()
    }

    /// Shapes and dtypes of the inputs, in the op's order.
    pub fn inputs(&self) -> &[Meta] {
        &self.inputs
    }

    /// Floating point operations of the forward run.
    pub fn flops(&self) -> u64 {
        self.op.flops(&self.inputs, &self.outputs.iter().map(Tensor::meta).collect::<Vec<_>>())
    }

    /// The fewest bytes that the forward run must move; see [`Op::bytes`].
    ///
    /// # Errors
    /// None: the op already ran on these shapes.
    pub fn bytes(&self) -> Result<u64> {
        Ok(self.op.infer(&self.inputs)?.bytes(&*self.op, &self.inputs))
    }

    /// Whether an input was recorded. Else [`backward`](Self::backward) has nothing to compute.
    pub fn tracks_grad(&self) -> bool {
        !self.leaves.is_empty()
    }

    /// The gradients of the recorded inputs, as `grad.NAME`, from `dy`, the gradient of the first output.
    ///
    /// # Errors
    /// A `dy` of another shape or dtype; an op without a gradient; a second call.
    pub fn backward(&self, dy: &Tensor) -> Result<BTreeMap<String, Tensor>> {
        self.output().backward_with(dy)?;
        let grad = |(name, leaf): &(String, Tensor)| {
            let grad = leaf.grad().ok_or_else(|| {
                Error::new(ErrorKind::NoGradient, self.spec.name, format!("no gradient reached `{name}`"))
            })?;
            Ok((format!("grad.{name}"), grad))
        };
        self.leaves.iter().map(grad).collect()
    }
}
