//! What a layer knows about the forward pass in which it runs.
//!
//! Contexts form a chain on the stack: each layer's context points to its parent's. So naming a layer costs nothing
//! until something needs the path (an error, a hook, the key of a dropout mask).

use super::{Module, Param};
use crate::core::{Key, Result};
use crate::tensor::{Device, Scope, Tensor, Watch, within};

/// Training or evaluation. The two differ only in dropout and in layers with running statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Dropout sets random values to 0. Batch norm uses the statistics of the batch and updates the running statistics.
    Train,
    /// Dropout does nothing. Batch norm uses running statistics.
    Eval,
}

/// Code that sees every layer of a forward pass. The model need not be changed for it.
pub trait Hook {
    /// Called after the layer at `path` (as in `state_dict`) turned `x` into `y`. If you also want the gradient of `y`,
    /// call [`Tensor::retain_grad`] on it here and read it after backward.
    ///
    /// # Errors
    /// An error stops the forward pass.
    fn layer(&self, path: &str, module: &dyn Module, x: &Tensor, y: &Tensor) -> Result<()>;
}

/// The context of a forward pass: mode, random key, gradients on or off, and the path of the running layer.
#[derive(Clone, Copy)]
pub struct Ctx<'a> {
    mode: Mode,
    key: Key,
    grad: bool,
    hook: Option<&'a dyn Hook>,
    parent: Option<&'a Ctx<'a>>,
    name: &'a str,
}

impl<'a> Ctx<'a> {
    /// A training step of the model called `name`. Gradients are on, and dropout uses `key` (see [`Key::step`]).
    pub fn train(name: &'a str, key: Key) -> Ctx<'a> {
        Ctx { mode: Mode::Train, key, grad: true, hook: None, parent: None, name }
    }

    /// Evaluation: nothing is recorded and nothing is random.
    pub fn eval(name: &'a str) -> Ctx<'a> {
        Ctx { mode: Mode::Eval, grad: false, ..Ctx::train(name, Key::new(0)) }
    }

    /// The same context, with a hook that sees every layer.
    pub fn with_hook(self, hook: &'a dyn Hook) -> Ctx<'a> {
        Ctx { hook: Some(hook), ..self }
    }

    /// The same context, with gradients on or off. If they are off, nothing is recorded.
    pub fn with_grad(self, grad: bool) -> Ctx<'a> {
        Ctx { grad, ..self }
    }

    /// Whether this is a training step.
    pub fn is_training(&self) -> bool {
        self.mode == Mode::Train
    }

    /// Runs the child `name` on `x`. Extends the path, adds it to errors, and shows the result to the hook.
    ///
    /// # Errors
    /// The errors of the child's forward, with the path added.
    pub fn run(&self, name: &str, module: &dyn Module, x: &Tensor) -> Result<Tensor> {
        self.child(name, None, x.device(), |child| {
            let y = module.forward(child, x)?;
            if let Some(hook) = self.hook {
                hook.layer(&child.layer_path(), module, x, &y)?;
            }
            Ok(y)
        })
    }

    /// Calls `f` with the context of the child `name`. Adds the child's path to the errors of `f`, and tells the path
    /// to the observer of `device`. `also` names a second layer whose work is part of the same op: the observer then
    /// sees `conv1+relu`.
    pub(super) fn child<T>(
        &self,
        name: &str,
        also: Option<&str>,
        device: &Device,
        f: impl FnOnce(&Ctx) -> Result<T>,
    ) -> Result<T> {
        let child = Ctx { parent: Some(self), name, ..*self };
        let scope =
            || Scope::Layer(child.layer_path() + &also.map_or(String::new(), |name| format!("+{name}")));
        within(Watch::on(device).as_ref(), scope, || f(&child)).map_err(|e| e.at(|| child.path()))
    }

    /// Whether there is a hook.
    pub(super) fn is_watched(&self) -> bool {
        self.hook.is_some()
    }

    /// A parameter's value for this pass. It gets a gradient if gradients are on and the parameter is not frozen.
    ///
    /// # Errors
    /// The model was not initialised.
    pub fn value(&self, param: &Param) -> Result<Tensor> {
        let value = param.value()?;
        Ok(if self.grad && !param.is_frozen() { value.clone() } else { value.detach() })
    }

    /// The key for this layer's random numbers in this step.
    pub fn key(&self) -> Key {
        match self.parent {
            None => self.key,
            Some(parent) => parent.key().child(self.name),
        }
    }

    /// The path as errors show it: `resnet18/layer1.0/conv1`.
    pub fn path(&self) -> String {
        let Some(parent) = self.parent else { return self.name.to_owned() };
        // A position in a sequence follows the name before it after a dot, as in state_dict: layer1.0.
        let position = parent.parent.is_some() && self.name.bytes().all(|b| b.is_ascii_digit());
        format!("{}{}{}", parent.path(), if position { '.' } else { '/' }, self.name)
    }

    /// The path as in `state_dict`, without the model's name: `layer1.0.conv1`.
    fn layer_path(&self) -> String {
        let Some(parent) = self.parent else { return String::new() };
        let above = parent.layer_path();
        if above.is_empty() { self.name.to_owned() } else { format!("{above}.{}", self.name) }
    }
}
