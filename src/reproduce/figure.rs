//! The numbers that experiments are compared by.

use crate::models::Network;
use crate::train::Split;

/// A number that an experiment is compared by.
pub struct Figure {
    /// What is measured, if a row has several numbers.
    pub label: &'static str,
    pub measure: Measure,
    /// The numbers that the notebooks printed, in percent (Dice: times 100); empty if they printed none. Two numbers
    /// are from two runs of the same notebook, in the same order as the seconds.
    pub published: &'static [f64],
}

impl Figure {
    /// Describes in words what the number is. `network` is the experiment's network.
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
            Measure::AllObject => {
                format!("the {score} of predicting the object at every pixel of the test images")
            }
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
    /// The Dice score if every pixel is predicted as object. Any segmentation must be better than this.
    AllObject,
}
