//! Networks without convolutions, with which the notebooks start.

use super::{MNIST, ModelConfig, ModelSpec, Recipe};
use crate::core::Result;
use crate::nn::{Flatten, Linear, LogSoftmax, Module, Relu, Sequential};

/// 7,850 parameters on MNIST.
pub(super) static SOFTMAX: ModelSpec = ModelSpec::new(
    "softmax",
    "a linear classifier: softmax regression on pixels",
    MNIST,
    || Recipe::sgd("mnist", 64, 10, 0.01).momentum(0.5),
    softmax,
);

/// Rows M3 of the notebooks. It shows that two linear maps one after another are still one linear map. 39,760
/// parameters on MNIST.
pub(super) static MLP2: ModelSpec = ModelSpec::new(
    "mlp2",
    "two linear layers with nothing between: still a linear classifier",
    MNIST,
    || Recipe::sgd("mnist", 64, 10, 0.01).momentum(0.5),
    mlp2,
);

/// Row M4. 575,050 parameters on MNIST, 1,746,506 on CIFAR-10.
pub(super) static MLP: ModelSpec = ModelSpec::new(
    "mlp",
    "five linear layers with ReLU between",
    MNIST,
    || Recipe::sgd("mnist", 64, 10, 0.01).momentum(0.5),
    mlp,
);

fn softmax(config: &ModelConfig) -> Result<Box<dyn Module>> {
    Ok(Box::new(
        Sequential::new()
            .named("flatten", Flatten)
            .named("linear", Linear::new(pixels(config), config.classes))
            .named("log_softmax", LogSoftmax(1)),
    ))
}

fn mlp2(config: &ModelConfig) -> Result<Box<dyn Module>> {
    Ok(Box::new(
        Sequential::new()
            .named("flatten", Flatten)
            .named("linear1", Linear::new(pixels(config), 50))
            .named("linear2", Linear::new(50, config.classes))
            .named("log_softmax", LogSoftmax(1)),
    ))
}

fn mlp(config: &ModelConfig) -> Result<Box<dyn Module>> {
    let sizes = [pixels(config), 512, 256, 128, 64, config.classes];
    let mut net = Sequential::new().named("flatten", Flatten);
    for (i, pair) in sizes.windows(2).enumerate() {
        if i > 0 {
            net = net.named(&format!("relu{i}"), Relu);
        }
        net = net.named(&format!("linears.{i}"), Linear::new(pair[0], pair[1]));
    }
    Ok(Box::new(net.named("log_softmax", LogSoftmax(1))))
}

fn pixels(config: &ModelConfig) -> usize {
    config.input.iter().product()
}
