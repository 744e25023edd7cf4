//! Fusion: adjacent layers that run as one op.
//!
//! | layers | op |
//! |---|---|
//! | Conv2d, ReLU | [`conv2d_relu`](crate::ops::conv2d_relu) |
//! | Linear, ReLU | [`linear_relu`](crate::ops::linear_relu) |
//! | BatchNorm, ReLU | [`batch_norm_relu`](crate::ops::batch_norm_relu) |
//! | BatchNorm, the sum of a residual block, ReLU | `batch_norm_relu` with a residual |
//! | LogSoftmax at the end, [`Loss::Nll`](super::Loss) | [`cross_entropy`](crate::ops::cross_entropy) |
//!
//! Values, gradients and statistics are the same as without fusion. If there is a hook, nothing is fused, because a
//! hook sees the output of every layer.

use super::{Ctx, Module};
use crate::core::Result;
use crate::tensor::Tensor;

/// How a layer can be fused.
pub enum Fusion<'a> {
    /// It cannot.
    None,
    /// A ReLU: the layer before it may do its work.
    Relu,
    /// A layer that can also do the work of a ReLU after it.
    BeforeRelu(&'a dyn BeforeRelu),
    /// A log_softmax over the classes (dimension 1): a loss after it may do its work.
    LogSoftmax,
    /// A network whose last layer is such a log_softmax.
    BeforeLoss(&'a dyn BeforeLoss),
}

/// A network that can leave its last layer, a log_softmax, to the loss.
pub trait BeforeLoss {
    /// As [`Module::forward`] without the last layer: the scores of the classes.
    ///
    /// # Errors
    /// Shapes that do not fit.
    fn scores(&self, cx: &Ctx, x: &Tensor) -> Result<Tensor>;
}

/// A layer that can also apply ReLU to its output.
pub trait BeforeRelu {
    /// As [`Module::forward`] followed by ReLU. If there is a residual, it is added before the ReLU.
    ///
    /// # Errors
    /// Shapes that do not fit.
    fn forward_relu(&self, cx: &Ctx, x: &Tensor, residual: Option<&Tensor>) -> Result<Tensor>;

    /// Whether a residual of this shape can be added to the output for `x`.
    fn takes_residual(&self, x: &Tensor, residual: &Tensor) -> bool;
}

/// A named layer.
pub(super) type NamedLayer = (String, Box<dyn Module>);

/// Runs layers one after another. Adjacent layers that can be fused run as one op.
pub(super) fn run_layers(cx: &Ctx, layers: &[NamedLayer], x: &Tensor) -> Result<Tensor> {
    let (mut x, mut rest) = (x.clone(), layers);
    while let Some(((name, layer), after)) = rest.split_first() {
        let relu =
            after.first().filter(|(_, next)| matches!(next.fusion(), Fusion::Relu)).map(|(name, _)| &**name);
        (x, rest) = match rectified(cx, name, &**layer, relu) {
            Some(fused) => (fused.run(&x, None)?, &after[1..]),
            None => (cx.run(name, &**layer, &x)?, after),
        };
    }
    Ok(x)
}

/// Runs the body of a residual block, adds the output of `shortcut`, and runs `then`. If possible, the sum and
/// `then` are fused with the body's last layer.
pub(super) fn residual(
    cx: &Ctx,
    layers: &[NamedLayer],
    x: &Tensor,
    shortcut: impl FnOnce() -> Result<Tensor>,
    then: Option<(&str, &dyn Module)>,
) -> Result<Tensor> {
    let relu = then.filter(|(_, next)| matches!(next.fusion(), Fusion::Relu)).map(|(name, _)| name);
    if let Some(((name, last), body)) = layers.split_last()
        && let Some(fused) = rectified(cx, name, &**last, relu)
    {
        let (y, shortcut) = (run_layers(cx, body, x)?, shortcut()?);
        if fused.layer.takes_residual(&y, &shortcut) {
            return fused.run(&y, Some(&shortcut));
        }
        return add(cx, &cx.run(name, &**last, &y)?, &shortcut, then);
    }
    let y = run_layers(cx, layers, x)?;
    add(cx, &y, &shortcut()?, then)
}

fn add(cx: &Ctx, y: &Tensor, shortcut: &Tensor, then: Option<(&str, &dyn Module)>) -> Result<Tensor> {
    let sum = y.add(shortcut)?;
    match then {
        Some((name, layer)) => cx.run(name, layer, &sum),
        None => Ok(sum),
    }
}

/// A layer that also does the work of the ReLU after it.
struct Rectified<'a> {
    cx: &'a Ctx<'a>,
    name: &'a str,
    layer: &'a dyn BeforeRelu,
    /// The name of the ReLU.
    relu: &'a str,
}

impl Rectified<'_> {
    fn run(&self, x: &Tensor, residual: Option<&Tensor>) -> Result<Tensor> {
        self.cx.child(self.name, Some(self.relu), x.device(), |cx| self.layer.forward_relu(cx, x, residual))
    }
}

fn rectified<'a>(
    cx: &'a Ctx<'a>,
    name: &'a str,
    layer: &'a dyn Module,
    relu: Option<&'a str>,
) -> Option<Rectified<'a>> {
    match (layer.fusion(), relu) {
        (Fusion::BeforeRelu(layer), Some(relu)) if !cx.is_watched() => {
            Some(Rectified { cx, name, layer, relu })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Key;
    use crate::nn::{
        AdaptiveAvgPool2d, BatchNorm2d, Conv2d, Flatten, Hook, Linear, ModuleExt, Relu, Residual, Sequential,
    };
    use crate::{DType, Device};

    struct Watching;

    impl Hook for Watching {
        fn layer(&self, _path: &str, _module: &dyn Module, _x: &Tensor, _y: &Tensor) -> Result<()> {
            Ok(())
        }
    }

    fn net() -> Sequential {
        let body = |to| {
            Sequential::new()
                .named("conv1", Conv2d::new(4, to, 3).padding(1).no_bias())
                .named("bn1", BatchNorm2d::new(to))
                .named("relu1", Relu)
                .named("conv2", Conv2d::new(to, to, 3).padding(1).no_bias())
                .named("bn2", BatchNorm2d::new(to))
        };
        let shortcut = Sequential::new().push(Conv2d::new(4, 6, 1)).push(BatchNorm2d::new(6));
        // The shortcut gives one row and one column. Only the unfused sum can broadcast it.
        let stretched = Sequential::new().push(AdaptiveAvgPool2d::new(1)).push(Conv2d::new(6, 6, 1));
        let conv = Sequential::new().named("conv", Conv2d::new(6, 6, 1)).named("bn", BatchNorm2d::new(6));
        Sequential::new()
            .push(Conv2d::new(3, 4, 3))
            .push(Relu)
            .push(Residual::new(body(4)).then("relu", Relu))
            .push(Residual::new(body(6)).shortcut("downsample", shortcut).then("relu", Relu))
            .push(Residual::new(conv).shortcut("pool", stretched).then("relu", Relu))
            .push(Flatten)
            .push(Linear::new(6 * 36, 5))
            .push(Relu)
            .push(Linear::new(5, 3))
    }

    /// The ops from the output back to the first layer.
    fn ops(y: &Tensor) -> Vec<&'static str> {
        let mut all = Vec::new();
        let mut at = y.node().cloned();
        while let Some(node) = at {
            all.push(node.op().name());
            at = node.parents().next().flatten().cloned();
        }
        all
    }

    /// Output, gradients and statistics of one training pass are equal to the last bit.
    #[test]
    fn fused_layers_equal_the_layers_one_by_one() {
        let cpu = Device::cpu().unwrap();
        let x = Tensor::from_vec(&cpu, (0..384).map(|i| (i as f32 * 0.37).sin()).collect(), &[2, 3, 8, 8]);
        let x = x.unwrap();
        let run = |watched: bool| {
            let net = net();
            net.init(&cpu, DType::F32, 3).unwrap();
            let cx = Ctx::train("net", Key::new(0));
            let cx = if watched { cx.with_hook(&Watching) } else { cx };
            let y = net.forward(&cx, &x).unwrap();
            y.mul(&y).unwrap().sum_all().unwrap().backward().unwrap();
            let mut all = vec![y.to_vec::<f32>().unwrap()];
            for (name, param) in net.params() {
                let weight = param.value().unwrap();
                all.push(weight.to_f64().unwrap().iter().map(|&v| v as f32).collect());
                let gradient = weight.grad().map(|g| g.to_vec::<f32>().unwrap());
                assert_eq!(gradient.is_some(), name.ends_with("weight") || name.ends_with("bias"), "{name}");
                all.extend(gradient);
            }
            (ops(&y), all)
        };
        let ((fused, got), (plain, want)) = (run(false), run(true));
        assert_eq!(got, want);
        assert_eq!(fused[1..7], ["linear_relu", "flatten", "relu", "add", "batch_norm", "conv2d"]);
        assert_eq!(fused[7..15], ["batch_norm_relu", "conv2d"].repeat(4));
        assert_eq!(fused[15..], ["conv2d_relu"]);
        assert!(plain.len() > fused.len() && !plain.iter().any(|op| op.ends_with("_relu")), "{plain:?}");
    }
}
