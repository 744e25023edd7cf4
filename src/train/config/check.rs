//! Refuses settings that cannot train.

use super::RunConfig;
use crate::core::{Error, Result};
use crate::data::Masks;
use crate::models::OptimizerKind;

/// Upper limit for `workers`; no machine uses more threads to prepare images.
const MOST_WORKERS: usize = 1024;
/// Upper limit for `classes`; no classifier has more outputs.
const MOST_CLASSES: usize = 1_000_000;

impl RunConfig {
    /// Refuses settings that cannot train.
    ///
    /// # Errors
    /// The first setting out of range, by its name.
    pub fn check(&self) -> Result<()> {
        let positive = [
            ("epochs", self.epochs),
            ("batch_size", self.batch_size),
            ("val_batch_size", self.val_batch_size),
            ("log_interval", self.log_interval),
            ("accumulate", self.accumulate),
            ("workers", self.workers),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(out_of_range(name, 0, "1 or more"));
        }
        for (name, value, most) in
            [("workers", self.workers, MOST_WORKERS), ("classes", self.classes.unwrap_or(0), MOST_CLASSES)]
        {
            if value > most {
                return Err(out_of_range(name, value, &format!("at most {most}")));
            }
        }
        for (name, value) in [
            ("subset", self.subset.map(|n| n as u64)),
            ("max_steps", self.max_steps),
            ("resize", self.resize.map(|n| n as u64)),
            ("early_stop", self.early_stop.map(|n| n as u64)),
        ] {
            if value == Some(0) {
                return Err(out_of_range(name, 0, "1 or more"));
            }
        }
        // Weights are f32, so a larger rate would be infinite.
        if !(self.lr > 0.0 && (self.lr as f32).is_finite()) {
            return Err(out_of_range("lr", self.lr, "a number above 0, at most 3.4e38"));
        }
        if !(self.weight_decay >= 0.0 && self.weight_decay.is_finite()) {
            return Err(out_of_range("weight_decay", self.weight_decay, "a number, 0 or more"));
        }
        if self.clip_norm.is_some_and(|norm| !(norm > 0.0 && norm.is_finite())) {
            return Err(out_of_range("clip_norm", self.clip_norm.unwrap_or_default(), "a number above 0"));
        }
        if self.fraction.is_some_and(|fraction| !(fraction > 0.0 && fraction <= 1.0)) {
            let fraction = self.fraction.unwrap_or_default();
            return Err(out_of_range("fraction", fraction, "a number above 0, at most 1"));
        }
        if !(0.0..1.0).contains(&self.momentum) {
            return Err(out_of_range("momentum", self.momentum, "0 or more, and less than 1"));
        }
        if !(0.0..=1.0).contains(&self.label_smoothing) {
            return Err(out_of_range("label_smoothing", self.label_smoothing, "0 to 1"));
        }
        let weights = self.class_weights.as_deref().unwrap_or(&[1.0]);
        if let Some(weight) = weights.iter().find(|w| !(**w >= 0.0 && w.is_finite())) {
            return Err(out_of_range("class_weights", weight, "numbers, each 0 or more"));
        }
        if weights.iter().all(|&w| w == 0.0) {
            let what = "the weight of every class is 0, so there is nothing to learn";
            return Err(
                Error::argument("`config.class_weights`", what).expected("at least one weight above 0")
            );
        }
        if self.nesterov && self.optimizer != OptimizerKind::Sgd {
            return Err(Error::argument("`config.nesterov`", "works only with sgd")
                .help("omit it, or add `config.optimizer = sgd`"));
        }
        // A network of the caller's own has no row to ask.
        let classifier = || self.network().is_ok_and(|network| !network.loss.takes_masks());
        if self.masks != Masks::Binary && classifier() {
            let what = format!("{} predicts classes, so there are no masks to learn", self.model);
            return Err(Error::argument("`config.masks`", what)
                .expected("a network that predicts masks, for example unet")
                .help("omit it"));
        }
        self.schedule().map(|_| ())
    }
}

fn out_of_range(name: &str, value: impl std::fmt::Display, expected: &str) -> Error {
    Error::argument(format!("`config.{name}`"), format!("{value} is out of range")).expected(expected)
}
