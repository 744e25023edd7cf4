//! A short version of each experiment, for a first look: `receptive reproduce all --quick` runs all of them in about
//! ten minutes on two cores. The figures are lower than those of the whole experiments.

use super::{Experiment, Options};

/// How much of an experiment a short run keeps: epochs (none: all), the part of the data, and the network's width.
struct QuickPart {
    epochs: Option<usize>,
    fraction: Option<f64>,
    width: Option<usize>,
}

const WHOLE: QuickPart = QuickPart { epochs: None, fraction: None, width: None };

const fn epochs(epochs: usize) -> QuickPart {
    QuickPart { epochs: Some(epochs), ..WHOLE }
}

const fn one_epoch(fraction: f64) -> QuickPart {
    QuickPart { epochs: Some(1), fraction: Some(fraction), ..WHOLE }
}

/// Chosen so that each takes at most half a minute.
fn part(id: &str) -> QuickPart {
    match id {
        "M4" => epochs(4),
        "M5" | "M6" | "M9" => epochs(40),
        "M10" => epochs(60),
        "M7" => epochs(3),
        "M8" | "M11" | "F3" => epochs(1),
        "C1" | "C2" | "C3" => epochs(2),
        "C4" | "C5" | "C7" | "C8" => epochs(1),
        "C6" => one_epoch(0.15),
        "C9" => one_epoch(0.03),
        "F1" => one_epoch(0.01),
        "F4" | "F5" => one_epoch(0.02),
        "F2" => one_epoch(0.01),
        "P1" => QuickPart { epochs: Some(1), fraction: Some(0.5), width: Some(8) },
        _ => WHOLE,
    }
}

impl Options {
    /// These options, shortened for a first look at an experiment.
    pub fn quick(&self, experiment: &Experiment) -> Options {
        let QuickPart { epochs, fraction, width } = part(experiment.id);
        Options { epochs, fraction, width, ..self.clone() }
    }
}
