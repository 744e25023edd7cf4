//! The report of any model, without a run folder or a data set.

use super::{ForwardResults, ImageFacts, MachineFacts, MaskedImage, Picture, Report, WeightsSource, see};
use crate::core::{Error, Result};
use crate::data::{Image, Normalize, Pipeline};
use crate::inspect::{Machine, describe, layer_graph, summary};
use crate::nn::{Ctx, Loss, Module, ModuleExt};
use crate::tensor::{Device, Tensor};
use crate::train::pictures::{Masked, prepare};

/// What [`report_module`] needs to know about a model and an image.
#[derive(Debug, Clone)]
pub struct About {
    /// The model's name on the page.
    pub name: String,
    /// The loss with which it was trained. The loss says what the outputs mean. If they are a mask, one decision per
    /// pixel, the report has no probabilities of classes.
    pub loss: Loss,
    /// The names of the outputs. Outputs beyond them are shown by number.
    pub classes: Vec<String>,
    /// The image, in the size that the model takes.
    pub image: Image,
    /// Its true class, if known.
    pub label: Option<usize>,
    /// How the model's input was normalised.
    pub normalize: Normalize,
}

/// Makes the report of a model of your own and one image. The model must be initialised, on a CPU or a GPU. Its weights
/// do not change.
///
/// ```
/// use receptive::data::{Image, Normalize};
/// use receptive::prelude::*;
/// use receptive::report::{About, report_module};
///
/// let net = Sequential::new()
///     .named("conv", Conv2d::new(1, 4, 3))
///     .named("relu", Relu)
///     .named("flatten", Flatten)
///     .named("fc", Linear::new(4 * 6 * 6, 2));
/// net.init(&Device::cpu()?, DType::F32, 0)?;
/// let about = About {
///     name: "mine".to_owned(),
///     loss: Loss::CrossEntropy,
///     classes: ["dark", "light"].map(str::to_owned).to_vec(),
///     image: Image::new([1, 8, 8], vec![200; 64])?,
///     label: None,
///     normalize: Normalize::unit(1),
/// };
/// let page = report_module(&net, about)?.to_html();
/// assert!(page.contains("mine"));
/// # Ok::<(), receptive::Error>(())
/// ```
///
/// # Errors
/// A model without values; an image that does not fit it; a loss that does not fit the output; a label that is not a
/// class; outputs that are not finite.
pub fn report_module(model: &dyn Module, about: About) -> Result<Report> {
    let About { name, loss, classes, image, label, normalize } = about;
    let (x, size) = (input(model, &image, normalize)?, image.size);
    let device = x.device();
    let totals = summary(model, &name, size).map_err(|stopped| stopped.error)?;
    let graph = layer_graph(model, &name, size)?;
    let class_name = |class: usize| classes.get(class).cloned().unwrap_or_else(|| class.to_string());
    check(loss, label, &model.forward(&Ctx::eval(&name), &x)?)?;
    let ForwardResults { y, layers, probabilities, attribution } =
        see(model, &name, &x, loss, &totals, &graph, class_name, |_| ())?;
    let mask = loss.takes_masks().then(|| mask(&image, &y)).transpose()?;
    let outputs = probabilities.as_ref().map_or(classes.len(), Vec::len);
    let Machine { cpu, cores, .. } = Machine::detect();
    let threads = device.as_cpu().map_or(cores, |cx| cx.threads());
    Ok(Report {
        receptive: env!("CARGO_PKG_VERSION"),
        describe: describe(model),
        weights: WeightsSource::Given,
        data: String::new(),
        classes: (0..outputs).map(class_name).collect(),
        machine: MachineFacts { cpu, device: device.to_string(), threads },
        image: ImageFacts { what: "an image".to_owned(), dims: size, picture: Picture::of(&image), label },
        parameters: totals.parameters,
        flops: totals.flops,
        activation_bytes: totals.activation_bytes,
        probabilities,
        mask,
        rows: graph.rows,
        layers,
        attribution,
        training: None,
        judged: None,
        masks: Vec::new(),
        model: name,
    })
}

/// # Errors
/// A loss that does not fit the model's output `y`; a label that is not one of its classes.
fn check(loss: Loss, label: Option<usize>, y: &Tensor) -> Result<()> {
    let unfit = |means: &str, expected: &str, other: &str| {
        Err(Error::shape("`About::loss`", format!("this loss is for {means}, but the output is not"))
            .with("output", y.shape())
            .expected(expected)
            .help(format!("use the loss with which the model was trained, such as `{other}`")))
    };
    match (loss.takes_masks(), y.dims(), label) {
        (true, [_, _, _, _], _) => Ok(()),
        (true, ..) => unfit("a mask", "[1, C, H, W]", "Loss::CrossEntropy"),
        (false, &[_, classes], Some(class)) if class >= classes => {
            Err(Error::argument("`About::label`", format!("there is no class {class}"))
                .expected(format!("a number below {classes}, the number of outputs")))
        }
        (false, [_, _], _) => Ok(()),
        (false, ..) => unfit("classes", "[1, classes]", "Loss::BceWithLogits"),
    }
}

/// The image as the model's input, `[1, C, H, W]`, on the model's device.
fn input(model: &dyn Module, image: &Image, normalize: Normalize) -> Result<Tensor> {
    let params = model.params();
    let like = params.first().map(|(_, param)| param.value()).transpose()?;
    let device = like.map_or_else(Device::cpu, |value| Ok(value.device().clone()))?;
    let x = prepare(&Pipeline::from(normalize), &device, &mut image.clone(), None)?;
    like.map_or(Ok(x.clone()), |value| x.to_dtype(value.dtype()))
}

/// The mask that a segmenter's logits `y` predict.
fn mask(image: &Image, y: &Tensor) -> Result<MaskedImage> {
    let [_, h, w] = image.size;
    let predicted = y.to_f64()?.into_iter().map(|v| u8::from(v > 0.0)).collect();
    let predicted = Image::new([1, h, w], predicted)?;
    Ok(MaskedImage::of(&Masked { image: image.clone(), truth: None, predicted }, None))
}
