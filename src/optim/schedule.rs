//! Learning rate schedules. The rate is a pure function of the position in the run, so a resumed run needs no state.
//! Only `plateau` depends on the past, on the validation losses; its state is a [`Plateau`].

use super::Plateau;
use crate::core::{Error, Result};
use std::f64::consts::PI;
use std::fmt;
use std::str::FromStr;

/// A learning rate schedule, with the same rates as PyTorch's. It is written as in the first column.
///
/// | text | PyTorch |
/// |---|---|
/// | `constant` | - |
/// | `step:EVERY:GAMMA` | `StepLR` |
/// | `multistep:E1,E2:GAMMA` | `MultiStepLR` |
/// | `exponential:GAMMA` | `ExponentialLR` |
/// | `cosine` | `CosineAnnealingLR(T_max = epochs)` |
/// | `plateau:PATIENCE:FACTOR` | `ReduceLROnPlateau` |
/// | `onecycle`, which also has a [`momentum`](Schedule::momentum) | `OneCycleLR(max_lr = lr, total_steps)` |
/// | `triangle:EPOCH`, may be a fraction such as 2.5 | `LambdaLR` |
/// | `warmup:STEPS/REST` | see below |
/// | `warmup:EPOCHSep/REST`, warm-up over this many epochs | see below |
///
/// These depend on the epoch e of E, counted from 0. h is a half cosine.
///
/// ```math
/// \begin{aligned}
/// \text{step:} \quad \mathrm{rate} &= \mathrm{lr} \, \gamma^{\lfloor e / \mathrm{every} \rfloor} \\
/// \text{multistep:} \quad \mathrm{rate} &= \mathrm{lr} \, \gamma^{\text{number of milestones} \, \le \, e} \\
/// \text{exponential:} \quad \mathrm{rate} &= \mathrm{lr} \, \gamma^e \\
/// \text{cosine:} \quad \mathrm{rate} &= \mathrm{lr} \, h(e / E) \qquad h(z) = \frac{1 + \cos \pi z}{2} \\
/// \text{plateau:} \quad \mathrm{rate} &= \mathrm{lr} \, \mathrm{factor}^{\text{times the validation loss stood still}}
/// \end{aligned}
/// ```
///
/// The others depend on the step t of T. u is the epoch with its fraction, t E / T:
///
/// ```math
/// \begin{aligned}
/// \text{onecycle:} \quad \mathrm{rate} &= \begin{cases}
///     \mathrm{lr} + (\mathrm{lr} / 25 - \mathrm{lr}) \, h(t / p) & t \le p = 0.3 \, T - 1 \\
///     \mathrm{end} + (\mathrm{lr} - \mathrm{end}) \, h \bigl( (t - p) / (T - 1 - p) \bigr) & \text{then, with }
///       \mathrm{end} = \mathrm{lr} / 250\,000
///   \end{cases} \\
/// \text{triangle:} \quad \mathrm{rate} &= \begin{cases}
///     \mathrm{lr} \, u / \mathrm{peak} & u \le \mathrm{peak} \\
///     \mathrm{lr} \, (E - u) / (E - \mathrm{peak}) & \text{then}
///   \end{cases} \\
/// \text{warmup:} \quad \mathrm{rate} &= \mathrm{lr} \, (t + 1) / \mathrm{steps} \quad \text{for the first steps}
/// \end{aligned}
/// ```
///
/// REST is any other schedule, as in `warmup:500/cosine`. In PyTorch, warm-up is
/// `LinearLR(start_factor = 1 / steps, total_iters = steps - 1)`, followed by REST in a `SequentialLR` with
/// `milestones = [steps]`. REST starts to count when warm-up ends. There is one difference: after a warm-up of STEPS, a
/// REST that depends on the epoch counts the epochs of the whole run.
#[derive(Debug, Clone, PartialEq)]
pub enum Schedule {
    /// The same rate throughout.
    Constant,
    /// Multiplied by `gamma` every `every` epochs. PyTorch: `StepLR`.
    Step { every: usize, gamma: f64 },
    /// Multiplied by `gamma` at each of these epochs. PyTorch: `MultiStepLR`.
    MultiStep { milestones: Vec<usize>, gamma: f64 },
    /// Multiplied by `gamma` every epoch. PyTorch: `ExponentialLR`.
    Exponential { gamma: f64 },
    /// Half a cosine from `lr` down to 0 over the run. Changes once per epoch. PyTorch: `CosineAnnealingLR`.
    Cosine,
    /// Multiplied by `gamma` after more than `patience` epochs without a better validation loss; see [`Plateau`].
    /// PyTorch: `ReduceLROnPlateau`.
    Plateau { patience: usize, gamma: f64 },
    /// Rises to `lr` in the first 30 % of the steps, then falls to nearly 0. Both follow half a cosine. PyTorch:
    /// `OneCycleLR`.
    OneCycle,
    /// Rises linearly from 0 to `lr` at epoch `peak`, then falls linearly to 0 at the end. Changes with every step.
    /// This is the DAWNBench recipe for CIFAR-10. PyTorch: `LambdaLR`.
    Triangle { peak: f64 },
    /// Rises linearly to `lr`, step by step; then `rest` follows. PyTorch: `LinearLR`, then the rest, in a
    /// `SequentialLR`.
    Warmup { length: Length, rest: Box<Schedule> },
}

/// The length of warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    Steps(u64),
    Epochs(usize),
}

/// The position of a step in a run.
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

impl Position {
    /// Steps per epoch, at least 1.
    fn steps_an_epoch(self) -> f64 {
        (self.steps as f64 / self.epochs.max(1) as f64).max(1.0)
    }
}

impl Schedule {
    /// The rate for the step at this position. `lr` is the base rate; for `onecycle`, `triangle` and `warmup` it is the
    /// highest rate. For `plateau` the caller multiplies the result by [`Plateau::factor`].
    pub fn rate(&self, lr: f64, at: Position) -> f64 {
        match self {
            Schedule::Constant | Schedule::Plateau { .. } => lr,
            Schedule::Step { every, gamma } => lr * gamma.powf((at.epoch / every) as f64),
            Schedule::MultiStep { milestones, gamma } => {
                lr * gamma.powf(milestones.iter().filter(|&&m| m <= at.epoch).count() as f64)
            }
            Schedule::Exponential { gamma } => lr * gamma.powf(at.epoch as f64),
            Schedule::Cosine => lr * half_cosine(at.epoch as f64 / at.epochs.max(1) as f64),
            Schedule::OneCycle => one_cycle(at, [lr / 25.0, lr, lr / 25.0 / 1e4]),
            Schedule::Triangle { peak } => {
                let epoch = at.step as f64 / at.steps_an_epoch();
                let part = if epoch <= *peak {
                    epoch / peak
                } else {
                    (at.epochs as f64 - epoch) / (at.epochs as f64 - peak)
                };
                lr * part.max(0.0)
            }
            Schedule::Warmup { length, rest } => warm_up(*length, rest, lr, at),
        }
    }

    /// The momentum (for Adam: beta1) for the step at this position, if the schedule cycles it. Only `onecycle` does:
    /// the momentum falls from 0.95 to 0.85 while the rate rises, and rises again while the rate falls. PyTorch:
    /// `OneCycleLR(cycle_momentum=True)`. It replaces the optimiser's own momentum.
    pub fn momentum(&self, at: Position) -> Option<f64> {
        match self {
            Schedule::OneCycle => Some(one_cycle(at, ONE_CYCLE_MOMENTUM)),
            Schedule::Warmup { length, rest } => {
                rest.momentum(after_warm_up(*length, at).unwrap_or(Position { step: 0, ..at }))
            }
            _ => None,
        }
    }

    /// Whether the schedule sets the [`momentum`](Self::momentum).
    pub fn cycles_momentum(&self) -> bool {
        self.momentum(Position { epoch: 0, epochs: 1, step: 0, steps: 1 }).is_some()
    }

    /// Whether the rate at a step depends on the length of the run.
    pub fn depends_on_length(&self) -> bool {
        match self {
            Schedule::Cosine | Schedule::OneCycle | Schedule::Triangle { .. } => true,
            Schedule::Warmup { rest, .. } => rest.depends_on_length(),
            Schedule::Constant
            | Schedule::Step { .. }
            | Schedule::MultiStep { .. }
            | Schedule::Exponential { .. }
            | Schedule::Plateau { .. } => false,
        }
    }

    /// The state of `plateau` at the beginning of a run; `None` for the other schedules.
    pub fn plateau(&self, lr: f64) -> Option<Plateau> {
        match self {
            Schedule::Plateau { patience, gamma } => Some(Plateau::new(*patience, *gamma, lr)),
            Schedule::Warmup { rest, .. } => rest.plateau(lr),
            _ => None,
        }
    }
}

/// The momentum of `onecycle` at the beginning, at the highest rate, and at the end.
const ONE_CYCLE_MOMENTUM: [f64; 3] = [0.95, 0.85, 0.95];

/// Half a cosine from `first` to `middle`, then another from `middle` to `last`.
fn one_cycle(at: Position, [first, middle, last]: [f64; 3]) -> f64 {
    let peak = 0.3 * at.steps as f64 - 1.0;
    let end = at.steps as f64 - 1.0;
    let step = at.step as f64;
    if step <= peak {
        middle + (first - middle) * half_cosine(step / peak.max(f64::MIN_POSITIVE))
    } else {
        last + (middle - last) * half_cosine((step - peak) / (end - peak))
    }
}

impl Length {
    /// The length in whole epochs (0 if it is given in steps), and in steps.
    fn at(self, at: Position) -> (usize, u64) {
        match self {
            Length::Steps(steps) => (0, steps),
            Length::Epochs(epochs) => (epochs, (epochs as f64 * at.steps_an_epoch()).round() as u64),
        }
    }
}

fn warm_up(length: Length, rest: &Schedule, lr: f64, at: Position) -> f64 {
    match after_warm_up(length, at) {
        Some(left) => rest.rate(lr, left),
        None => lr * (at.step + 1) as f64 / length.at(at).1 as f64,
    }
}

/// The position in the schedule after warm-up; `None` while warm-up lasts.
fn after_warm_up(length: Length, at: Position) -> Option<Position> {
    let (epochs, steps) = length.at(at);
    Some(Position {
        epoch: at.epoch.saturating_sub(epochs),
        epochs: at.epochs.saturating_sub(epochs),
        step: at.step.checked_sub(steps)?,
        steps: at.steps.saturating_sub(steps),
    })
}

/// Falls from 1 at 0 to 0 at 1.
fn half_cosine(part: f64) -> f64 {
    (1.0 + (PI * part).cos()) / 2.0
}

/// All forms of a schedule, for error messages.
const FORMS: &str = "constant, step:EVERY:GAMMA, multistep:E1,E2:GAMMA, exponential:GAMMA, cosine, onecycle, \
    triangle:EPOCH, plateau:PATIENCE:FACTOR, warmup:STEPS/REST or warmup:EPOCHSep/REST";

impl FromStr for Schedule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Schedule> {
        if let Some(warmup) = text.strip_prefix("warmup:") {
            return parse_warmup(text, warmup);
        }
        match text.split(':').collect::<Vec<_>>()[..] {
            ["constant"] => Ok(Schedule::Constant),
            ["cosine"] => Ok(Schedule::Cosine),
            ["onecycle"] => Ok(Schedule::OneCycle),
            ["step", every, gamma] => {
                Ok(Schedule::Step { every: count(text, every)?, gamma: positive(text, gamma)? })
            }
            ["multistep", at, gamma] => {
                let milestones = at.split(',').map(|at| count(text, at)).collect::<Result<_>>()?;
                Ok(Schedule::MultiStep { milestones, gamma: positive(text, gamma)? })
            }
            ["exponential", gamma] => Ok(Schedule::Exponential { gamma: positive(text, gamma)? }),
            ["triangle", peak] => Ok(Schedule::Triangle { peak: positive(text, peak)? }),
            ["plateau", patience, gamma] => {
                let patience = patience
                    .parse()
                    .map_err(|_| malformed(text, patience, "a whole number of epochs, 0 or more"))?;
                match positive(text, gamma)? {
                    g if g < 1.0 => Ok(Schedule::Plateau { patience, gamma: g }),
                    _ => Err(malformed(text, gamma, "a factor between 0 and 1")),
                }
            }
            [name, ..] => Err(match FORMS.split(", ").find(|form| form.split(':').next() == Some(name)) {
                Some(form) => malformed(text, text, form),
                None => Error::argument("`config.scheduler`", format!("`{text}` is not a schedule"))
                    .expected(FORMS),
            }),
            [] => unreachable!("a text has a first part"),
        }
    }
}

fn parse_warmup(text: &str, warmup: &str) -> Result<Schedule> {
    let (length, rest) = warmup
        .split_once('/')
        .ok_or_else(|| malformed(text, warmup, "LENGTH/REST").help("for example warmup:500/constant"))?;
    let length = match length.strip_suffix("ep") {
        Some(epochs) => Length::Epochs(count(text, epochs)?),
        None => Length::Steps(count(text, length)?),
    };
    match rest.parse()? {
        Schedule::Warmup { .. } => {
            Err(malformed(text, rest, "a schedule that does not begin with a warm-up"))
        }
        rest => Ok(Schedule::Warmup { length, rest: Box::new(rest) }),
    }
}

fn malformed(text: &str, part: &str, expected: &str) -> Error {
    Error::argument("`config.scheduler`", format!("`{part}` in `{text}` is malformed")).expected(expected)
}

/// A number of epochs or steps.
fn count<T: FromStr + PartialOrd + Default>(text: &str, part: &str) -> Result<T> {
    let count = part.parse().ok().filter(|n| *n > T::default());
    count.ok_or_else(|| malformed(text, part, "a whole number above 0"))
}

fn positive(text: &str, part: &str) -> Result<f64> {
    let number = part.parse::<f64>().ok().filter(|g| g.is_finite() && *g > 0.0);
    number.ok_or_else(|| malformed(text, part, "a number above 0"))
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
            Schedule::Exponential { gamma } => write!(f, "exponential:{gamma}"),
            Schedule::Cosine => f.write_str("cosine"),
            Schedule::Plateau { patience, gamma } => write!(f, "plateau:{patience}:{gamma}"),
            Schedule::OneCycle => f.write_str("onecycle"),
            Schedule::Triangle { peak } => write!(f, "triangle:{peak}"),
            Schedule::Warmup { length: Length::Steps(n), rest } => write!(f, "warmup:{n}/{rest}"),
            Schedule::Warmup { length: Length::Epochs(n), rest } => write!(f, "warmup:{n}ep/{rest}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_schedule_convert_both_ways() {
        let texts = [
            "constant",
            "step:5:0.1",
            "multistep:3,7:0.5",
            "exponential:0.9",
            "cosine",
            "onecycle",
            "triangle:2.5",
            "plateau:0:0.1",
            "warmup:500/cosine",
            "warmup:5ep/multistep:3,7:0.5",
        ];
        for text in texts {
            assert_eq!(text.parse::<Schedule>().unwrap().to_string(), text);
        }
    }

    /// Each error names the wrong part.
    #[test]
    fn malformed_text_is_refused_and_the_part_named() {
        let cases = [
            ("", "``"),
            ("step", "`step`"),
            ("step:0:0.1", "`0` in"),
            ("step:5:NaN", "`NaN` in"),
            ("multistep:3,,4:0.1", "`` in"),
            ("cosine:1", "`cosine:1`"),
            ("exponential:-1", "`-1` in"),
            ("triangle:0", "`0` in"),
            ("plateau:3:1", "`1` in"),
            ("plateau:-1:0.1", "`-1` in"),
            ("warmup:5", "`5` in"),
            ("warmup:0/cosine", "`0` in"),
            ("warmup:2.5ep/cosine", "`2.5` in"),
            ("warmup:5/step:x:0.1", "`x` in"),
            ("warmup:5/warmup:5/cosine", "`warmup:5/cosine` in"),
        ];
        for (text, part) in cases {
            let error = text.parse::<Schedule>().unwrap_err().to_string();
            assert!(error.contains(part) && error.contains("`config.scheduler`"), "{text}: {error}");
        }
    }

    /// As `OneCycleLR` in a `SequentialLR`, which sets its first momentum when it is created.
    #[test]
    fn before_one_cycle_warm_up_has_its_first_momentum() {
        let (plain, warm): (Schedule, Schedule) =
            ("onecycle".parse().unwrap(), "warmup:5/onecycle".parse().unwrap());
        let momentum = |schedule: &Schedule, step, steps| {
            schedule.momentum(Position { epoch: 0, epochs: 1, step, steps }).unwrap()
        };
        for step in 0..25 {
            assert_eq!(momentum(&warm, step, 25), momentum(&plain, step.saturating_sub(5), 20), "{step}");
        }
        assert_eq!([0, 5, 19].map(|step| momentum(&plain, step, 20)), [0.95, 0.85, 0.95]);
    }

    /// After warm-up, steps are counted from its end, but epochs from the start of the run.
    #[test]
    fn after_warm_up_by_steps_epochs_stay() {
        let schedule: Schedule = "warmup:4/step:2:0.5".parse().unwrap();
        let rate =
            |step: u64| schedule.rate(1.0, Position { epoch: step as usize / 3, epochs: 4, step, steps: 12 });
        let rates: Vec<f64> = (0..12).map(rate).collect();
        assert_eq!(rates, [0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]);
    }
}
