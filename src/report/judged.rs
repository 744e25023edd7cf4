//! Where a trained classifier is wrong, and what a segmenter makes of some images.

use super::picture::Picture;
use crate::core::Result;
use crate::train::pictures::{ASKED, Answer, Answers, Masked, Subject, sized};
use crate::train::{Confusion, Split, Trained};
use serde::Serialize;
use std::sync::atomic::AtomicBool;

/// Mistakes shown of each kind.
const SHOWN: usize = 20;
/// The longest side of an image among them.
const SIDE: usize = 96;
/// Images with their masks.
const MASKED: usize = 6;
/// Floating point operations that asking may take: a minute's work, and every image that any set validates on for the
/// networks that fit 32x32 images.
const FLOPS: u64 = 2_000_000_000_000;

/// A classifier, asked about validation images.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judged {
    /// The images' set, as `mnist/test`.
    pub set: String,
    /// Images asked about, drawn at random where they are not all.
    pub asked: usize,
    /// Images of the set.
    pub of: usize,
    /// The fraction of the asked that were right.
    pub accuracy: f64,
    /// True classes, and what they were taken for.
    pub confusion: Confusion,
    /// The fraction of each class's images that were right.
    pub per_class: Vec<Option<f64>>,
    pub mistakes: usize,
    /// Mistakes that left least probability to the true class, the worst first.
    pub worst: Vec<Mistake>,
    /// Mistakes with most probability for the wrong class, the surest first.
    pub confident: Vec<Mistake>,
}

/// An image taken for something else.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mistake {
    pub image: Picture,
    /// Its number in the set.
    pub index: usize,
    pub truth: usize,
    pub predicted: usize,
    /// Of the predicted class.
    pub probability: f64,
    /// Of the true class.
    pub truth_probability: f64,
}

/// An image with its true and its predicted mask.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MaskedImage {
    pub image: Picture,
    pub truth: Option<Picture>,
    pub predicted: Picture,
    /// The share of pixels taken for the object.
    pub share: f64,
    pub dice: Option<f64>,
    pub iou: Option<f64>,
    /// Its number in the set, for one of a set.
    pub index: Option<usize>,
}

impl MaskedImage {
    /// Of what a segmenter said.
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

/// Asks a classifier about its validation images: as many as `flops` an image allow.
///
/// # Errors
/// As [`Subject::ask`].
pub fn judge(trained: &Trained, flops: u64) -> Result<Judged> {
    let subject = trained.subject(Split::Val)?;
    let most = usize::try_from(FLOPS / flops.max(1)).unwrap_or(ASKED).clamp(50, ASKED);
    let said = subject.ask(most, &AtomicBool::new(false))?.expect("nobody stops it");
    let Answers { answers, confusion } = &said;
    let right = answers.iter().filter(|a| a.class == a.truth).count();
    Ok(Judged {
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
