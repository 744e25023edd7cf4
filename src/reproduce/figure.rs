//! The numbers that experiments are judged by.

use crate::models::Network;
use crate::train::Split;

/// A number that an experiment is judged by.
pub struct Figure {
    /// What is measured, where a row has several numbers.
    pub label: &'static str,
    pub measure: Measure,
    /// What the notebooks printed, in percent (of Dice: times 100); empty where they printed nothing. Two numbers are of two
    /// runs of the same notebook, in the order of the seconds.
    pub published: &'static [f64],
}

impl Figure {
    /// What the number is, in words. `network` is the experiment's.
    pub fn meaning(&self, network: &Network) -> String {
        let score = if network.loss.takes_masks() { "Dice, times 100," } else { "accuracy" };
        match self.measure {
            Measure::Best => format!("the best validation {score} of all epochs"),
            Measure::BestOfSecond => format!("the best validation {score} of the second run's epochs"),
            Measure::Last(split) => {
                let images = match split {
                    Split::Train => "training",
                    Split::Val => "validation",
                    Split::Test => "test",
                };
                format!("the {score} of the last weights on the {images} images")
            }
            Measure::AllObject => format!("the {score} of calling every pixel of the test images the object"),
        }
    }
}

/// How a figure is measured, in percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// The best validation score of the first run.
    Best,
    /// The best validation score of the second run.
    BestOfSecond,
    /// The score of the last weights on these images.
    Last(Split),
    /// The Dice of calling every pixel the object: what any segmentation must beat.
    AllObject,
}
