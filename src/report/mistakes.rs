//! The mistakes of a trained classifier, and the masks that a segmenter predicts for some images.

use super::picture::Picture;
use crate::core::Result;
use crate::train::pictures::{ASKED, Answer, Answers, Masked, Subject, sized};
use crate::train::{Confusion, Split, Trained};
use serde::Serialize;
use std::sync::atomic::AtomicBool;

/// Number of mistakes shown of each kind.
const SHOWN: usize = 20;
/// The longest side of a mistake's image, in pixels.
const SIDE: usize = 96;
/// Number of images that are shown with their masks.
const MASKED: usize = 6;
/// The most floating point operations for judging: a minute of work. For networks with 32x32 images it is enough for
/// all validation images of every set.
const FLOPS: u64 = 2_000_000_000_000;

/// A classifier's results on validation images.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassifierResults {
    /// The images' set, for example `mnist/test`.
    pub set: String,
    /// Number of images judged. If these are not all images, they are drawn at random.
    pub asked: usize,
    /// Number of images in the set.
    pub of: usize,
    /// The fraction of judged images that were predicted correctly.
    pub accuracy: f64,
    /// Counts by true and predicted class.
    pub confusion: Confusion,
    /// For each class the fraction of its images that were predicted correctly.
    pub per_class: Vec<Option<f64>>,
    pub mistakes: usize,
    /// The mistakes with the least probability for the true class, the worst first.
    pub worst: Vec<Mistake>,
    /// The mistakes with the most probability for the wrong class, the most confident first.
    pub confident: Vec<Mistake>,
}

/// An image that was predicted wrongly.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mistake {
    pub image: Picture,
    /// The image's number in the set.
    pub index: usize,
    pub truth: usize,
    pub predicted: usize,
    /// Probability of the predicted class.
    pub probability: f64,
    /// Probability of the true class.
    pub truth_probability: f64,
}

/// An image with its true and its predicted mask.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MaskedImage {
    pub image: Picture,
    pub truth: Option<Picture>,
    pub predicted: Picture,
    /// The fraction of pixels that are predicted as object.
    pub share: f64,
    pub dice: Option<f64>,
    pub iou: Option<f64>,
    /// The image's number, if it belongs to a set.
    pub index: Option<usize>,
}

impl MaskedImage {
    /// The report of a segmenter's prediction.
    pub fn of(masked: &Masked, index: Option<usize>) -> MaskedImage {
        let overlap = masked.overlap();
        MaskedImage {
            image: Picture::of(&masked.image),
            truth: masked.truth.as_ref().map(Picture::of_mask),
            predicted: Picture::of_mask(&masked.predicted),
            share: masked.share(),
            dice: overlap.map(|o| o.dice),
            iou: overlap.map(|o| o.iou),
            index,
        }
    }
}

/// Runs a classifier on its validation images. `flops` per image decide how many.
///
/// # Errors
/// As [`Subject::ask`].
pub fn classifier_results(trained: &Trained, flops: u64) -> Result<ClassifierResults> {
    let subject = trained.subject(Split::Val)?;
    let most = usize::try_from(FLOPS / flops.max(1)).unwrap_or(ASKED).clamp(50, ASKED);
    let said = subject.ask(most, &AtomicBool::new(false))?.expect("nobody stops it");
    let Answers { answers, confusion } = &said;
    let right = answers.iter().filter(|a| a.class == a.truth).count();
    Ok(ClassifierResults {
        set: subject.data.name().to_owned(),
        asked: answers.len(),
        of: subject.data.len(),
        accuracy: right as f64 / answers.len().max(1) as f64,
        confusion: confusion.clone(),
        per_class: confusion.per_class(),
        mistakes: answers.len() - right,
        worst: mistakes(&subject, said.worst_mistakes())?,
        confident: mistakes(&subject, said.most_confident_mistakes())?,
    })
}

fn mistakes(subject: &Subject, mut answers: Vec<Answer>) -> Result<Vec<Mistake>> {
    answers.truncate(SHOWN);
    let images = subject.judged(&answers)?.into_iter().map(|judged| Picture(sized(&judged.image, SIDE).0));
    let mistake = |(image, answer): (Picture, &Answer)| {
        let Answer { sample, truth, class, probability, truth_probability } = *answer;
        Mistake { image, index: sample, truth, predicted: class, probability, truth_probability }
    };
    Ok(images.zip(&answers).map(mistake).collect())
}

/// Some validation images with their masks.
///
/// # Errors
/// As [`Subject::segment_some`].
pub fn masks(trained: &Trained) -> Result<Vec<MaskedImage>> {
    let masked = trained.subject(Split::Val)?.segment_some(MASKED)?;
    Ok(masked.iter().map(|(index, masked)| MaskedImage::of(masked, Some(*index))).collect())
}
