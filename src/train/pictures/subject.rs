//! Makes the pictures of a trained network and its data.

use super::layout::class_names;
use super::matrix::confusion_title;
use super::{ClassifiedImage, FirstLayer, Masked, draw_confusion, draw_grid, draw_triptychs, draw_weights};
use crate::core::text::thousands;
use crate::core::{Error, ErrorKind, Key, Result};
use crate::data::{Dataset, Image, Loader, LoaderOptions, Masks, Pipeline, Scratch, Subset, checked};
use crate::io::write_atomically;
use crate::models::Network;
use crate::nn::{Ctx, Module, ModuleExt};
use crate::tensor::{Device, Tensor};
use crate::train::{Confusion, Flow, evaluate};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The most images that a classifier is run on: all validation images of MNIST and CIFAR-10.
pub const ASKED: usize = 10_000;
/// Number of images in a grid.
const GRID: usize = 25;
/// Number of images that are shown with their masks.
const TRIPTYCHS: usize = 6;

/// A trained network with images to show.
pub struct Subject<'a> {
    pub network: &'a Network,
    pub model: &'a dyn Module,
    pub device: &'a Device,
    /// The images, usually the validation images.
    pub data: Arc<dyn Dataset>,
    /// How they are prepared for the network.
    pub pipeline: &'a Pipeline,
    /// The number of the network's outputs. It is at least the number of the set's classes.
    pub outputs: usize,
    /// For a segmenter: the kind of masks it was trained on.
    pub masks: Masks,
    pub batch_size: usize,
}

/// A classifier's prediction for an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Answer {
    /// The image's number in the set.
    pub sample: usize,
    /// The true class.
    pub truth: usize,
    /// The predicted class.
    pub class: usize,
    /// The probability of the predicted class.
    pub probability: f64,
    /// The probability of the true class.
    pub truth_probability: f64,
}

/// A classifier's predictions for some images of a set.
#[derive(Debug, Clone, PartialEq)]
pub struct Answers {
    /// In the set's order.
    pub answers: Vec<Answer>,
    pub confusion: Confusion,
}

impl Answers {
    /// The mistakes, those with the highest predicted probability first.
    pub fn most_confident_mistakes(&self) -> Vec<Answer> {
        self.mistakes(|a, b| b.probability.total_cmp(&a.probability))
    }

    /// The mistakes, those with the largest loss first: the ones with the least probability for the true class.
    pub fn worst_mistakes(&self) -> Vec<Answer> {
        self.mistakes(|a, b| a.truth_probability.total_cmp(&b.truth_probability))
    }

    fn mistakes(&self, order: impl Fn(&Answer, &Answer) -> std::cmp::Ordering) -> Vec<Answer> {
        let wrong = |a: &&Answer| a.truth != a.class;
        let mut mistakes: Vec<Answer> = self.answers.iter().filter(wrong).copied().collect();
        mistakes.sort_by(|a, b| order(a, b).then(a.sample.cmp(&b.sample)));
        mistakes
    }
}

impl Subject<'_> {
    /// Draws all pictures into a folder and returns their names. Each file is replaced as a whole. Setting `stop` ends
    /// the drawing early and keeps the pictures drawn so far. If a picture cannot be drawn, the others still are.
    ///
    /// # Errors
    /// The first error: weights or outputs that are not finite, an image that cannot be read, a file that cannot be
    /// written.
    pub fn write_pictures(&self, folder: &Path, stop: &AtomicBool) -> Result<Vec<&'static str>> {
        let weights = self.weights();
        let outputs = match self.network.loss.takes_masks() {
            true => self.masks(),
            false => self.classes(stop),
        };
        let (drawn, errors): (Vec<_>, Vec<_>) = [weights, outputs].into_iter().partition(Result::is_ok);
        let mut names = Vec::new();
        for (name, svg) in drawn.into_iter().flatten().flatten() {
            write_atomically(&folder.join(name), svg.as_bytes())?;
            names.push(name);
        }
        errors.into_iter().next().unwrap_or(Ok(Vec::new())).map(|_| names)
    }

    /// `lenet5 on mnist/test`.
    fn title(&self) -> String {
        format!("{} on {}", self.network.name, self.data.name())
    }

    /// The picture of the first weights if they act on pixels: a convolution, or a linear layer on whole images.
    fn weights(&self) -> Result<Vec<(&'static str, String)>> {
        let image = self.pipeline.output(self.data.size())?;
        let Some(layer) = FirstLayer::of(self.model, image)? else { return Ok(Vec::new()) };
        // If this is the only layer, its outputs are the classes.
        let alone = self.model.params().iter().filter(|(_, param)| param.dims().len() >= 2).count() == 1
            && layer.dims[0] == self.outputs;
        let names = if alone { class_names(self.data.classes(), self.outputs) } else { Vec::new() };
        let layer = FirstLayer { names, ..layer };
        let title = format!("{}: first layer", self.title());
        Ok(vec![("weights.svg", draw_weights(&title, &layer)?)])
    }

    /// Numbers of up to `most` images in the set's order. They are drawn at random, but the same ones every time.
    pub(in crate::train) fn some(&self, most: usize) -> Vec<usize> {
        let mut samples = Key::new(0).child("pictures").permutation(self.data.len());
        samples.truncate(most);
        samples.sort_unstable();
        samples
    }

    fn classes(&self, stop: &AtomicBool) -> Result<Vec<(&'static str, String)>> {
        let Some(said) = self.ask(ASKED, stop)? else { return Ok(Vec::new()) };
        let Answers { answers, confusion } = &said;
        let title = self.title();
        let names = class_names(self.data.classes(), self.outputs);
        let asked = match (thousands(answers.len()), thousands(self.data.len())) {
            (some, all) if some != all => format!("{some} of {all} images"),
            (all, _) => format!("{all} images"),
        };
        let mut mistakes = said.most_confident_mistakes();
        let all = thousands(mistakes.len());
        mistakes.truncate(GRID);
        let remark = match mistakes.len() {
            0 => format!("no mistakes in {asked}"),
            shown => format!("the {shown} most confident of {all} mistakes in {asked}"),
        };
        let any = Key::new(0).child("grid").permutation(answers.len());
        let shown: Vec<Answer> = any.into_iter().take(GRID).map(|i| answers[i]).collect();
        let drawn =
            format!("{} images, drawn at random; ✓ right, ✗ wrong, with the probability", shown.len());
        let confused = draw_confusion(&confusion_title(&title, confusion), &names, confusion);
        Ok(vec![
            ("predictions.svg", draw_grid(&title, &drawn, &self.judged(&shown)?)),
            ("mistakes.svg", draw_grid(&title, &remark, &self.judged(&mistakes)?)),
            ("confusion.svg", confused),
        ])
    }

    /// A classifier's predictions for up to `most` images, drawn at random but the same ones every time. `None` if
    /// stopped.
    ///
    /// # Errors
    /// Weights or outputs that are not finite; an image that cannot be read.
    pub fn ask(&self, most: usize, stop: &AtomicBool) -> Result<Option<Answers>> {
        let samples = self.some(most);
        let images = Arc::new(Subset::new(self.data.name(), Arc::clone(&self.data), samples.clone())?);
        let options = LoaderOptions::new(self.batch_size, self.pipeline.clone(), self.device.clone());
        let loader = Loader::new(images, options)?;
        let (mut answers, mut confusion) = (Vec::new(), Confusion::new(self.outputs));
        let (name, loss) = (&self.network.name, self.network.loss);
        let done = evaluate(self.model, name, loss, &loader, |batch, output, _| {
            confusion.add(output, &batch.targets)?;
            let probabilities = loss.probabilities(output)?.to_f64()?;
            if probabilities.iter().any(|p| !p.is_finite()) {
                return Err(not_finite(name));
            }
            let rows = probabilities.chunks_exact(probabilities.len() / batch.len());
            for (&i, row) in batch.samples.iter().zip(rows) {
                let best = |best: usize, class: usize| if row[class] > row[best] { class } else { best };
                let (sample, class) = (samples[i], (0..row.len()).fold(0, best));
                let truth = checked::label(&*self.data, sample)?;
                let (probability, truth_probability) = (row[class], row[truth]);
                answers.push(Answer { sample, truth, class, probability, truth_probability });
            }
            Ok(if stop.load(Ordering::Relaxed) { Flow::Stop } else { Flow::Continue })
        })?;
        Ok(done.map(|_| Answers { answers, confusion }))
    }

    /// The predictions together with the set's own pixels and the class names.
    ///
    /// # Errors
    /// An image that cannot be read.
    pub fn judged(&self, answers: &[Answer]) -> Result<Vec<ClassifiedImage>> {
        let names = class_names(self.data.classes(), self.outputs);
        let judged = |a: &Answer| {
            let mut image = Image::default();
            checked::read(&*self.data, a.sample, &mut image)?;
            let (truth, predicted) = (names[a.truth].clone(), names[a.class].clone());
            Ok(ClassifiedImage {
                image,
                truth,
                predicted,
                probability: a.probability,
                right: a.truth == a.class,
            })
        };
        answers.iter().map(judged).collect()
    }

    /// A segmenter's predictions for up to `most` images, drawn at random but the same ones every time. Each comes with
    /// the image's number in the set.
    ///
    /// # Errors
    /// Outputs that are not finite, or that are not masks; an image that cannot be read.
    pub fn segment_some(&self, most: usize) -> Result<Vec<(usize, Masked)>> {
        let masked = self.some(most).into_iter().map(|i| {
            let (mut image, mut mask) = (Image::default(), Image::default());
            checked::read(&*self.data, i, &mut image)?;
            checked::mask(&*self.data, i, image.size, &mut mask)?;
            let Subject { network, model, device, pipeline, masks, .. } = *self;
            Ok((i, segment(network, model, device, pipeline, masks, image, Some(mask))?))
        });
        masked.collect()
    }

    fn masks(&self) -> Result<Vec<(&'static str, String)>> {
        let masked: Vec<Masked> =
            self.segment_some(TRIPTYCHS)?.into_iter().map(|(_, masked)| masked).collect();
        let remark = format!("{} of {} images, drawn at random", masked.len(), thousands(self.data.len()));
        Ok(vec![("masks.svg", draw_triptychs(&self.title(), &remark, &masked))])
    }
}

/// An image as the network's input, `[1, C, H, W]`. `image` and `mask` are changed by the pipeline's steps.
pub(crate) fn prepare(
    pipeline: &Pipeline,
    device: &Device,
    image: &mut Image,
    mask: Option<&mut Image>,
) -> Result<Tensor> {
    pipeline.apply(Key::new(0), 0, image, mask, &mut Scratch::default())?;
    let [c, h, w] = image.size;
    Tensor::from_vec(device, pipeline.numbers::<f32>(image)?, &[1, c, h, w])
}

/// A segmenter's prediction for an image as the set stores it, with its true mask if known. All have the network's
/// image size.
pub(in crate::train) fn segment(
    network: &Network,
    model: &dyn Module,
    device: &Device,
    pipeline: &Pipeline,
    masks: Masks,
    mut image: Image,
    mut truth: Option<Image>,
) -> Result<Masked> {
    let x = prepare(pipeline, device, &mut image, truth.as_mut())?;
    let [_, h, w] = image.size;
    let logits = model.forward(&Ctx::eval(&network.name), &x)?.to_f64()?;
    if logits.iter().any(|v| !v.is_finite()) {
        return Err(not_finite(&network.name));
    }
    let predicted = logits.into_iter().map(|v| u8::from(masks.predicts_object(v))).collect();
    Ok(Masked { image, truth, predicted: Image::new([1, h, w], predicted)? })
}

/// The error for an output that contains NaN or infinity.
pub(in crate::train) fn not_finite(name: &str) -> Error {
    Error::new(ErrorKind::NonFinite, name, "the output is not finite")
        .help("the weights are damaged, or their training diverged")
}
