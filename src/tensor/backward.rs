//! The backward engine: it computes gradients from the recorded ops.
//!
//! Compared with lesson 0: the tape is a graph of shared nodes instead of one list, so that the parts of it that
//! nothing needs any more are freed at once.
//!
//! A node is one recorded op. Nodes wait in a map ordered by their place on the tape, each with the gradient of its
//! output as far as it is known. Again and again, the engine takes out the latest node. Every op that used this node's
//! output is later on the tape, and is done. So the gradient is complete. The op's backward turns it into gradients of
//! the inputs, which are added to the nodes that made those inputs. There is no recursion, and the order of additions
//! is always the same.
//!
//! Only the engine adds gradients up. A leaf, such as a parameter, adopts its first gradient without a copy if nothing
//! else refers to that memory. Later gradients are added to it in place. So the address of a gradient does not change
//! until the next `zero_grad`, and the gradient of a layer with 100 million parameters is not copied in every step.

use super::Tensor;
use super::exec;
use super::node::{Edge, Leaf, Node, Saved};
use super::observe::{Scope, Watch, within};
use super::op::Update;
use crate::core::{Error, ErrorKind, Result};
use crate::cpu::{CpuCtx, View, ViewMut};
use crate::cuda::{CudaCtx, DeviceView, Launch, kernels};
use crate::float_type;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

impl Tensor {
    /// Accumulates the gradient of this scalar into every leaf it depends on, and releases the graph's saved tensors.
    ///
    /// # Errors
    /// A tensor that does not have exactly one element; nothing recorded; a saved tensor that was changed since; a
    /// second call on the same graph.
    pub fn backward(&self) -> Result<()> {
        if self.numel() != 1 {
            return Err(Error::shape("backward", "backward must start from a tensor with one element")
                .with("tensor", self.shape())
                .help("reduce with sum or mean first, or give dy: y.backward_with(&dy)"));
        }
        let ones = exec::filled(self.device(), 1.0, &self.meta())?;
        self.run_backward(Tensor::new(ones, self.device().clone(), Edge::None), false)
    }

    /// As [`backward`](Self::backward), from a tensor of any shape. `dy` is its gradient.
    ///
    /// # Errors
    /// As [`backward`](Self::backward); a `dy` of another shape or dtype.
    pub fn backward_with(&self, dy: &Tensor) -> Result<()> {
        self.check_cotangent(dy)?;
        self.run_backward(dy.detach(), false)
    }

    /// As [`backward_with`](Self::backward_with), keeping the saved tensors so that the graph can be used again.
    ///
    /// # Errors
    /// As [`backward_with`](Self::backward_with).
    pub fn backward_retain(&self, dy: &Tensor) -> Result<()> {
        self.check_cotangent(dy)?;
        self.run_backward(dy.detach(), true)
    }

    fn check_cotangent(&self, dy: &Tensor) -> Result<()> {
        if self.meta() == dy.meta() {
            return Ok(());
        }
        Err(Error::shape("backward", "the gradient differs from the tensor in shape or dtype")
            .with("tensor", format_args!("{} {}", self.shape(), self.dtype()))
            .with("dy", format_args!("{} {}", dy.shape(), dy.dtype())))
    }

    fn run_backward(&self, dy: Tensor, retain: bool) -> Result<()> {
        let mut pending = Pending::default();
        match self.edge() {
            Edge::None => {
                return Err(Error::new(
                    ErrorKind::NotDifferentiable,
                    "backward",
                    "the tensor has no autograd graph",
                )
                .with("tensor", self.shape())
                .help("no input of this computation has requires_grad, or it ran under no_grad"));
            }
            edge => pending.send(edge, dy)?,
        }
        let watch = Watch::on(self.device());
        while let Some((place, (node, dy))) = pending.0.pop_last() {
            within(watch.as_ref(), || Scope::Gradients(place), || pending.pass_on(&node, dy, retain))?;
        }
        Ok(())
    }
}

impl Node {
    /// The gradients of this op's inputs. `dy` is dropped before the engine gets them: if the op passes it through
    /// unchanged, a leaf can adopt it without a copy.
    fn gradients(&self, dy: Tensor, retain: bool) -> Result<super::Grads> {
        if let Some(kept) = self.retained.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            *kept = Some(dy.clone());
        }
        let mut slot = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        let saved: Saved = slot.take().ok_or_else(|| {
            Error::new(ErrorKind::GraphReleased, self.op.name(), "backward has already run on this graph")
                .help("run the forward pass again, or keep the graph with backward_retain")
        })?;
        let needs: smallvec::SmallVec<[bool; 4]> =
            self.inputs.iter().map(|e| !matches!(e, Edge::None)).collect();
        let result = match saved.check_versions(&*self.op) {
            Ok(()) => self.op.backward(&saved, &dy, &needs),
            Err(changed) => Err(changed),
        };
        // If backward read a tensor that was never saved, that error comes first: it is the cause of any other.
        let result = saved.misread(&*self.op).and(result);
        if retain || result.is_err() {
            *slot = Some(saved);
        }
        let gradients = result?;
        self.check_gradients(&gradients, dy.device())?;
        Ok(gradients)
    }

    /// Checks the gradients, because users can write ops, too. Without the check, a wrong gradient would show only
    /// later, as wrong weights.
    ///
    /// # Errors
    /// A wrong number of gradients; a gradient whose shape, dtype or device is not that of its input.
    fn check_gradients(&self, gradients: &super::Grads, device: &super::Device) -> Result<()> {
        let op = self.op.name();
        if gradients.len() != self.inputs.len() {
            let what = "backward returned a wrong number of gradients";
            return Err(Error::argument(op, what)
                .with("got", gradients.len())
                .with("inputs", self.inputs.len())
                .expected("one for each input, None where there is none"));
        }
        for (i, gradient) in gradients.iter().enumerate() {
            let Some(gradient) = gradient else { continue };
            let (got, input) = (gradient.meta(), self.input_metas[i]);
            if got == input && gradient.device().same(device) {
                continue;
            }
            let (kind, differs) = match () {
                () if got.shape != input.shape => (ErrorKind::Shape, "shape"),
                () if got.dtype != input.dtype => (ErrorKind::DType, "dtype"),
                () => (ErrorKind::Device, "device"),
            };
            let what =
                format!("backward returned a gradient of input {i} with another {differs} than the input's");
            return Err(Error::new(kind, op, what)
                .with("got", format_args!("{} {} on {}", got.shape, got.dtype, gradient.device()))
                .expected(format!("{} {} on {device}", input.shape, input.dtype)));
        }
        Ok(())
    }
}

/// Nodes whose gradient is not complete yet, by place on the tape.
#[derive(Default)]
struct Pending(BTreeMap<u64, (Arc<Node>, Tensor)>);

impl Pending {
    /// Turns the gradient of an op's output into gradients of its inputs, and sends each to its leaf or its node.
    fn pass_on(&mut self, node: &Node, dy: Tensor, retain: bool) -> Result<()> {
        for (edge, gradient) in node.inputs.iter().zip(node.gradients(dy, retain)?) {
            if let Some(gradient) = gradient {
                self.send(edge, gradient)?;
            }
        }
        Ok(())
    }

    fn send(&mut self, edge: &Edge, gradient: Tensor) -> Result<()> {
        match edge {
            Edge::None => Ok(()),
            Edge::Leaf(leaf) => accumulate_leaf(leaf, gradient),
            Edge::Node(node) => {
                match self.0.entry(node.seq) {
                    std::collections::btree_map::Entry::Vacant(place) => {
                        place.insert((Arc::clone(node), gradient));
                    }
                    std::collections::btree_map::Entry::Occupied(mut place) => {
                        accumulate(&mut place.get_mut().1, gradient)?;
                    }
                }
                Ok(())
            }
        }
    }
}

fn accumulate_leaf(leaf: &Leaf, gradient: Tensor) -> Result<()> {
    match &mut *leaf.grad() {
        Some(sum) => accumulate(sum, gradient),
        empty => {
            let adopted = if gradient.owns_storage() { gradient } else { gradient.copy()? };
            *empty = Some(adopted);
            Ok(())
        }
    }
}

fn accumulate(sum: &mut Tensor, gradient: Tensor) -> Result<()> {
    if !sum.owns_storage() {
        *sum = sum.copy()?;
    }
    if gradient.shares_storage(sum) {
        return exec::update(&AddAssign, &[sum], &[&gradient.copy()?]);
    }
    exec::update(&AddAssign, &[sum], &[&gradient])
}

/// `target += x`.
#[derive(Debug)]
struct AddAssign;

impl Update for AddAssign {
    fn name(&self) -> &'static str {
        "accumulate"
    }

    fn cpu(&self, cx: &CpuCtx, targets: &mut [ViewMut], x: &[View]) -> Result<()> {
        float_type!(self.name(), x[0].dtype, T => {
            let (target, x) = (targets[0].get::<T>(), x[0].get::<T>());
            let work = x.len();
            cx.pieces(target, crate::cpu::context::CHUNK, work, |piece, target| {
                for (t, &x) in target.iter_mut().zip(&x[piece * crate::cpu::context::CHUNK..]) {
                    *t += x;
                }
            });
            Ok(())
        })
    }

    fn cuda(&self, cx: &CudaCtx, targets: &[DeviceView], x: &[DeviceView]) -> Result<()> {
        let n = x[0].numel();
        kernels::add_assign_f32(cx, Launch::over(n.div_ceil(4)), x[0].f32()?, targets[0].f32()?, n as i64)
    }
}
