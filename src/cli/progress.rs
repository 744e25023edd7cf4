//! The output during a training run: a bar on a terminal, plain lines elsewhere.

use crate::Result;
use crate::core::text::four_decimals;
use crate::train::{Callback, Flow, Outcome, Phase, PhaseReport, StepReport, Trainer};
use indicatif::{ProgressBar, ProgressStyle};
use std::time::{Duration, Instant};

/// Time between two plain lines within an epoch.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Shows the progress of a run.
pub struct Progress {
    bar: Option<ProgressBar>,
    say: fn(&str),
    /// Number of epochs between two printed results.
    log_interval: usize,
    train: Option<PhaseReport>,
    /// Seconds of training at the start of the epoch, without pauses.
    epoch_start: f64,
    samples: usize,
    last_line: Instant,
}

impl Progress {
    /// `terminal`: draw a bar on stderr. `say` prints a line.
    pub fn new(terminal: bool, log_interval: usize, say: fn(&str)) -> Progress {
        let style = "{prefix} {bar:24} {pos}/{len}  {msg}  {eta} left";
        let bar = terminal.then(|| {
            let style = ProgressStyle::with_template(style).expect("the template is valid");
            ProgressBar::new(0).with_style(style.progress_chars("=> "))
        });
        let now = Instant::now();
        Progress { bar, say, log_interval, train: None, epoch_start: 0.0, samples: 0, last_line: now }
    }

    fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| (self.say)(line)),
            None => (self.say)(line),
        }
    }

    fn now(&self, trainer: &Trainer) -> String {
        let tally = trainer.state.tally;
        let rate = self.samples as f64 / (trainer.state.seconds - self.epoch_start);
        let loss = four_decimals(tally.mean_loss());
        format!("loss {loss}  {}  {rate:.0} images/s", tally.scores())
    }

    /// The epoch, counted from 1, with the number of epochs.
    fn epoch(trainer: &Trainer) -> String {
        format!("epoch {}/{}", trainer.state.epoch + 1, trainer.config.epochs)
    }
}

impl Callback for Progress {
    fn on_start(&mut self, trainer: &Trainer) -> Result<()> {
        if let Some(bar) = &self.bar {
            // The bar counts the steps of the whole run, so that it shows the time left for the run.
            bar.set_prefix(Self::epoch(trainer));
            bar.set_length(trainer.total_steps());
            bar.set_position(trainer.state.step);
            bar.reset_eta();
        }
        self.epoch_start = trainer.state.seconds;
        Ok(())
    }

    fn on_step(&mut self, trainer: &Trainer, report: &StepReport) -> Result<Flow> {
        self.samples += report.samples;
        let every = trainer.config.loss_every;
        if let Some((step, loss)) = trainer.state.recent.mean(every) {
            let (epoch, steps) = (Self::epoch(trainer), if every == 1 { "step" } else { "steps" });
            self.say(&format!("{epoch}  step {step}: mean loss of {every} {steps} {}", four_decimals(loss)));
        }
        match &self.bar {
            Some(bar) => {
                bar.set_position(trainer.state.step);
                bar.set_message(self.now(trainer));
            }
            None if self.last_line.elapsed() >= LINE_EVERY => {
                self.last_line = Instant::now();
                let (epoch, step, steps) = (Self::epoch(trainer), trainer.state.step, trainer.total_steps());
                self.say(&format!("{epoch}  step {step}/{steps}  {}", self.now(trainer)));
            }
            None => {}
        }
        Ok(Flow::Continue)
    }

    fn on_validation(&mut self, _trainer: &Trainer, done: usize, of: usize) -> Result<Flow> {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("validating {done}/{of}"));
        }
        Ok(Flow::Continue)
    }

    fn on_phase(&mut self, trainer: &Trainer, report: &PhaseReport) -> Result<()> {
        if report.phase == Phase::Train {
            self.train = Some(*report);
            return Ok(());
        }
        let last = report.epoch + 1 == trainer.config.epochs;
        if let (Some(train), true) = (self.train, last || report.epoch.is_multiple_of(self.log_interval)) {
            let part = |r: &PhaseReport| format!("loss {}  {}", four_decimals(r.loss), r.scores);
            let seconds = train.seconds + report.seconds;
            let epoch = Self::epoch(trainer);
            self.say(&format!("{epoch}  train {}  val {}  {seconds:.1} s", part(&train), part(report)));
        }
        self.last_line = Instant::now();
        Ok(())
    }

    fn on_epoch(&mut self, trainer: &Trainer) -> Result<Flow> {
        self.samples = 0;
        self.epoch_start = trainer.state.seconds;
        if let (Some(bar), false) = (&self.bar, trainer.state.finished) {
            bar.set_prefix(Self::epoch(trainer));
        }
        Ok(Flow::Continue)
    }

    fn on_end(&mut self, _trainer: &Trainer, _outcome: &Outcome) -> Result<()> {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        Ok(())
    }
}
