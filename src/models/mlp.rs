//! Networks without convolutions, with which the notebooks start.

use super::{LayerChoice, LayerSizes, MNIST, ModelConfig, ModelSpec, Recipe};
use crate::core::Result;
use crate::nn::{Flatten, Linear, LogSoftmax, Module, Relu, Sequential};

const MLP2_UNITS: LayerChoice = LayerChoice {
    own: "784,50,10",
    what: "the number of pixel values, the units between the two layers, and the number of classes",
};

const MLP_UNITS: LayerChoice = LayerChoice {
    own: "784,512,256,128,64,10",
    what: "the number of pixel values, the units of every hidden layer, and the number of classes",
};

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
)
.layers(MLP2_UNITS);

/// Row M4. 575,050 parameters on MNIST, 1,746,506 on CIFAR-10.
pub(super) static MLP: ModelSpec = ModelSpec::new(
    "mlp",
    "five linear layers with ReLU between",
    MNIST,
    || Recipe::sgd("mnist", 64, 10, 0.01).momentum(0.5),
    mlp,
)
.layers(MLP_UNITS);

fn softmax(config: &ModelConfig) -> Result<Box<dyn Module>> {
    Ok(Box::new(
        Sequential::new()
            .named("flatten", Flatten)
            .named("linear", Linear::new(pixels(config), config.classes))
            .named("log_softmax", LogSoftmax(1)),
    ))
}

fn mlp2(config: &ModelConfig) -> Result<Box<dyn Module>> {
    let [from, hidden, to] = fitted(MLP2_UNITS, config, MLP2_UNITS.exactly(config)?)?;
    Ok(Box::new(
        Sequential::new()
            .named("flatten", Flatten)
            .named("linear1", Linear::new(from, hidden))
            .named("linear2", Linear::new(hidden, to))
            .named("log_softmax", LogSoftmax(1)),
    ))
}

fn mlp(config: &ModelConfig) -> Result<Box<dyn Module>> {
    let sizes = fitted(MLP_UNITS, config, MLP_UNITS.units(config)?)?;
    let mut net = Sequential::new().named("flatten", Flatten);
    for (i, pair) in sizes.windows(2).enumerate() {
        if i > 0 {
            net = net.named(&format!("relu{i}"), Relu);
        }
        net = net.named(&format!("linears.{i}"), Linear::new(pair[0], pair[1]));
    }
    Ok(Box::new(net.named("log_softmax", LogSoftmax(1))))
}

/// The sizes with the first and the last as the images and the classes need them. The network's own sizes are changed;
/// chosen sizes must fit.
fn fitted<S: AsMut<[usize]>>(choice: LayerChoice, config: &ModelConfig, mut sizes: S) -> Result<S> {
    let [from, to] = [pixels(config), config.classes];
    let [first, middle @ .., last] = sizes.as_mut() else {
        return Err(choice.refused(config, "one size is too few".to_owned()));
    };
    if config.layers.is_none() {
        (*first, *last) = (from, to);
    }
    let [c, h, w] = config.input;
    let what = match [*first == from, *last == to] {
        [true, true] => return Ok(sizes),
        [false, _] => format!("the first size is {first}, but an image of {c}x{h}x{w} has {from} values"),
        [true, false] => format!("the last size is {last}, but there are {to} classes"),
    };
    let hidden = middle.iter().copied();
    let right = LayerSizes([from].into_iter().chain(hidden).chain([to]).map(Into::into).collect());
    Err(choice.refused(config, what).help(format!("`config.layers = {right}` fits")))
}

fn pixels(config: &ModelConfig) -> usize {
    config.input.iter().product()
}
