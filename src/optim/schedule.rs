//! Learning rate schedules: the rate as a pure function of the position, so that a resumed run needs no state.
//!
//! | text | rate | PyTorch |
//! |---|---|---|
//! | `constant` | `lr` | - |
//! | `step:EVERY:GAMMA` | `lr * gamma^floor(epoch / every)` | `StepLR` |
//! | `multistep:E1,E2:GAMMA` | `lr * gamma^(milestones reached)` | `MultiStepLR` |
//! | `cosine` | `lr * (1 + cos(pi epoch / epochs)) / 2` | `CosineAnnealingLR(T_max = epochs)` |
//! | `onecycle` | by step, see [`Schedule::rate`] | `OneCycleLR(max_lr = lr, total_steps)` |

use crate::core::{Error, Result};
use std::f64::consts::PI;
use std::fmt;
use std::str::FromStr;

/// A learning rate schedule.
#[derive(Debug, Clone, PartialEq)]
pub enum Schedule {
    /// The same rate throughout.
    Constant,
    /// Multiplied by `gamma` every `every` epochs.
    Step { every: usize, gamma: f64 },
    /// Multiplied by `gamma` at each of these epochs.
    MultiStep { milestones: Vec<usize>, gamma: f64 },
    /// Half a cosine from `lr` down to 0 over the run, by epoch.
    Cosine,
    /// Up to `lr` in the first 30 % of steps and down to nearly 0 after, both along half a cosine.
    OneCycle,
}

/// Where in a run a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Epochs finished.
    pub epoch: usize,
    /// Epochs of the run.
    pub epochs: usize,
    /// Steps finished.
    pub step: u64,
    /// Steps of the run.
    pub steps: u64,
}

impl Schedule {
    /// The rate for the step at this position, `lr` being the base (for `onecycle` the highest) rate.
    pub fn rate(&self, lr: f64, at: Position) -> f64 {
        match self {
            Schedule::Constant => lr,
            Schedule::Step { every, gamma } => lr * gamma.powf((at.epoch / every) as f64),
            Schedule::MultiStep { milestones, gamma } => {
                lr * gamma.powf(milestones.iter().filter(|&&m| m <= at.epoch).count() as f64)
            }
            Schedule::Cosine => lr * half_cosine(at.epoch as f64 / at.epochs.max(1) as f64),
            Schedule::OneCycle => {
                let (low, end) = (lr / 25.0, lr / 25.0 / 1e4);
                let peak = 0.3 * at.steps as f64 - 1.0;
                let last = (at.steps as f64 - 1.0).max(1.0);
                let step = at.step as f64;
                if step <= peak {
                    lr + (low - lr) * half_cosine(step / peak.max(f64::MIN_POSITIVE))
                } else {
                    end + (lr - end) * half_cosine((step - peak) / (last - peak))
                }
            }
        }
    }
}

/// From 1 at 0 down to 0 at 1.
fn half_cosine(part: f64) -> f64 {
    (1.0 + (PI * part).cos()) / 2.0
}

impl FromStr for Schedule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Schedule> {
        let wrong = || {
            Error::argument("scheduler", format!("`{text}` is not a schedule"))
                .expected("constant, step:EVERY:GAMMA, multistep:E1,E2:GAMMA, cosine or onecycle")
        };
        let gamma =
            |text: &str| text.parse::<f64>().ok().filter(|g| g.is_finite() && *g > 0.0).ok_or_else(wrong);
        let epoch = |text: &str| text.parse::<usize>().ok().filter(|e| *e > 0).ok_or_else(wrong);
        match text.split(':').collect::<Vec<_>>()[..] {
            ["constant"] => Ok(Schedule::Constant),
            ["cosine"] => Ok(Schedule::Cosine),
            ["onecycle"] => Ok(Schedule::OneCycle),
            ["step", every, g] => Ok(Schedule::Step { every: epoch(every)?, gamma: gamma(g)? }),
            ["multistep", at, g] => {
                let milestones = at.split(',').map(epoch).collect::<Result<_>>()?;
                Ok(Schedule::MultiStep { milestones, gamma: gamma(g)? })
            }
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Schedule::Constant => f.write_str("constant"),
            Schedule::Step { every, gamma } => write!(f, "step:{every}:{gamma}"),
            Schedule::MultiStep { milestones, gamma } => {
                let at: Vec<String> = milestones.iter().map(usize::to_string).collect();
                write!(f, "multistep:{}:{gamma}", at.join(","))
            }
            Schedule::Cosine => f.write_str("cosine"),
            Schedule::OneCycle => f.write_str("onecycle"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(epoch: usize, step: u64) -> Position {
        Position { epoch, epochs: 10, step, steps: 100 }
    }

    /// Values of PyTorch's `OneCycleLR(max_lr=0.1, total_steps=100)` at steps 0, 15, 29, 60 and 99.
    #[test]
    fn onecycle_equals_pytorch() {
        let known = [(0, 0.004), (15, 0.05459866761210004), (29, 0.1), (60, 0.05892800902855288), (99, 4e-7)];
        for (step, want) in known {
            let got = Schedule::OneCycle.rate(0.1, at(0, step));
            assert!((got - want).abs() < 1e-12, "step {step}: {got} is not {want}");
        }
    }

    #[test]
    fn text_and_schedule_convert_both_ways() {
        for text in ["constant", "step:5:0.1", "multistep:3,7:0.5", "cosine", "onecycle"] {
            assert_eq!(text.parse::<Schedule>().unwrap().to_string(), text);
        }
        for text in ["", "step", "step:0:0.1", "step:5:NaN", "multistep::0.1", "cosine:1"] {
            assert!(text.parse::<Schedule>().is_err(), "{text} was accepted");
        }
    }

    #[test]
    fn epoch_schedules() {
        let step: Schedule = "step:5:0.1".parse().unwrap();
        assert_eq!(step.rate(1.0, at(4, 0)), 1.0);
        assert_eq!(step.rate(1.0, at(5, 0)), 0.1);
        assert!((Schedule::Cosine.rate(1.0, at(5, 0)) - 0.5).abs() < 1e-12);
    }
}
