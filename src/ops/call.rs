//! Calling an op by name, on tensors by name: what `receptive op`, the checks and the benches do with a row of the
//! table.
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

/// What an op returned, with the leaves its gradients go to.
pub struct Call {
    spec: &'static OpSpec,
    op: Arc<dyn Op>,
    inputs: Vec<Meta>,
    outputs: Vec<Tensor>,
    leaves: Vec<(String, Tensor)>,
}

impl OpSpec {
    /// Runs the op on tensors by name (`input`, `weight`, `tensors.0`, ...), recording it for every differentiable
    /// floating one.
    ///
    /// # Errors
    /// Unknown, missing or malformed attributes and inputs; what the op refuses.
    pub fn call(
        &'static self,
        attrs: &BTreeMap<String, String>,
        inputs: &BTreeMap<String, Tensor>,
    ) -> Result<Call> {
        let asks = |name: &str| self.differentiable(name) && inputs[name].dtype().computes();
        self.call_for(attrs, inputs, asks)
    }

    /// Runs the op forward on `tensors`, and backward when they include `grad_output`: outputs by name, gradients as
    /// `grad.NAME`. This is `receptive op`, without the files.
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
                let what = "has no gradient with respect to any of these inputs";
                return Err(Error::new(ErrorKind::NotDifferentiable, self.name, what)
                    .help("leave grad_output out of the file"));
            }
            all.extend(call.backward(&dy)?);
        }
        Ok(all)
    }

    /// As [`call`](Self::call), recording only the inputs that `asks` names.
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
    /// The first output, which carries the gradient.
    pub fn output(&self) -> &Tensor {
        &self.outputs[0]
    }

    /// The visible outputs by name.
    pub fn outputs(&self) -> BTreeMap<String, Tensor> {
        self.spec.outputs.iter().map(|name| (*name).to_owned()).zip(self.outputs.iter().cloned()).collect()
    }

    /// Shapes of the inputs, in the order the op takes them.
    pub fn inputs(&self) -> &[Meta] {
        &self.inputs
    }

    /// Floating point operations of the forward run.
    pub fn flops(&self) -> u64 {
        self.op.flops(&self.inputs, &self.outputs.iter().map(Tensor::meta).collect::<Vec<_>>())
    }

    /// Bytes that the forward run moves, at the least; see [`Op::bytes`].
    ///
    /// # Errors
    /// None: the op ran on these shapes.
    pub fn bytes(&self) -> Result<u64> {
        Ok(self.op.infer(&self.inputs)?.bytes(&*self.op, &self.inputs))
    }

    /// Whether an input was recorded, so that [`backward`](Self::backward) has something to do.
    pub fn tracks_grad(&self) -> bool {
        !self.leaves.is_empty()
    }

    /// The gradients of the recorded inputs, as `grad.NAME`, from that of the first output.
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
