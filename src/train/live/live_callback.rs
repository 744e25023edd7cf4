//! The callback that reports a run to the page, and pauses it when asked to.

use super::broadcast::{Hub, Topic};
use super::events::{LiveProgress, LiveRun};
use super::gallery::{Gallery, filters};
use super::throughput::Throughput;
use crate::core::text::file_name;
use crate::core::{Error, Result};
use crate::nn::ModuleExt;
use crate::train::{Callback, Flow, Outcome, Phase, PhaseReport, RunDir, Setup, StepReport, Tally, Trainer};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Shortest time between two snapshots of filters and predictions.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// A snapshot takes at most 1 / `SHARE` of the time.
const SHARE: u32 = 40;
/// How often a waiting thread checks whether Ctrl-C was pressed.
const MOMENT: Duration = Duration::from_millis(100);
/// The longest line of `health.jsonl` that is shown. It is enough for thousands of layers.
const LONGEST_SAMPLE: u64 = 4 << 20;

/// Reports a run to the live page.
pub struct LiveCallback {
    hub: Arc<Hub>,
    folder: PathBuf,
    /// `None`: a snapshot failed, and is not tried again.
    gallery: Option<Gallery>,
    /// The sums of the current epoch after the last step.
    tally: Tally,
    throughput: Throughput,
    /// When the next snapshot is due.
    due: Instant,
    /// Number of steps done at the last snapshot.
    looked_at: Option<u64>,
    /// The length of `health.jsonl` when its last line was published.
    health_bytes: u64,
}

impl LiveCallback {
    /// A callback for the run in this folder.
    pub(super) fn new(hub: Arc<Hub>, folder: &Path) -> LiveCallback {
        LiveCallback {
            hub,
            folder: folder.to_owned(),
            gallery: None,
            tally: Tally::default(),
            throughput: Throughput::new(0, 0.0),
            due: Instant::now(),
            looked_at: None,
            health_bytes: 0,
        }
    }

    fn progress(&self, trainer: &Trainer, phase: Phase, validated: [usize; 2]) -> LiveProgress {
        // Use the trainer's clock: `state.seconds` does not advance during validation.
        let (state, steps, seconds) = (&trainer.state, trainer.total_steps(), trainer.seconds());
        LiveProgress {
            step: state.step,
            steps,
            epoch: state.epoch,
            epochs: trainer.config.epochs,
            epoch_steps: trainer.batches.div_ceil(trainer.config.accumulate) as u64,
            phase,
            validated,
            learning_rate: trainer.learning_rate(),
            seconds,
            images_per_second: self.throughput.images_per_second,
            seconds_left: self.throughput.seconds_left(state.step, steps, seconds),
        }
    }

    /// The mean score of the images that were added to the tally since the last step.
    fn score_of_step(&mut self, tally: Tally) -> f64 {
        let before = std::mem::replace(&mut self.tally, tally);
        // The tally starts from 0 in each epoch.
        let before = if tally.n > before.n { before } else { Tally::default() };
        match (tally.overlap, before.overlap.unwrap_or_default()) {
            (Some(sum), known) => (sum.dice - known.dice) / (tally.n - before.n).max(1) as f64,
            (None, _) => {
                let decisions = (tally.decisions - before.decisions).max(1);
                (tally.correct - before.correct) as f64 / decisions as f64
            }
        }
    }

    fn is_due(&self) -> bool {
        self.hub.watched() && Instant::now() >= self.due
    }

    /// Takes a snapshot of the network if a client is connected, a snapshot is due, and the trainer's state is that of
    /// the last reported step.
    fn look(&mut self, trainer: &Trainer) {
        if self.is_due() && trainer.settled() {
            let start = Instant::now();
            self.look_now(trainer);
            self.due = start + LOOK_EVERY.max(SHARE * start.elapsed());
        }
    }

    /// Takes a snapshot, unless no step was done since the last one. A snapshot that fails must not end the training.
    fn look_now(&mut self, trainer: &Trainer) {
        let step = trainer.state.step;
        if self.looked_at.replace(step) == Some(step) {
            return;
        }
        let shown = self.gallery.as_ref().map(|gallery| self.show(gallery, trainer));
        if let Some(Err(e)) = shown {
            self.give_up(&e);
        }
        // If the file has vanished, there is no sample to show.
        if let Ok(Some(sample)) = last_line(&self.folder.join("health.jsonl"), &mut self.health_bytes) {
            self.hub.publish_json(Topic::Health, sample);
        }
    }

    fn show(&self, gallery: &Gallery, trainer: &Trainer) -> Result<()> {
        if let Some(grid) = filters(trainer.model, gallery.input(), trainer.state.step)? {
            self.hub.publish(Topic::Filters, &grid);
        }
        self.hub.publish(Topic::Predictions, &gallery.ask(trainer)?);
        Ok(())
    }

    fn give_up(&mut self, error: &Error) {
        self.gallery = None;
        self.remark("Filters and predictions are no longer shown", error);
    }

    /// Reports on the page that something is missing, and on the terminal why. An error may contain paths, and the page
    /// must not show them.
    fn remark(&self, what: &str, error: &Error) {
        (self.hub.say)(&format!("{what} on the page: {error}"));
        self.hub.publish(Topic::Remark, &format!("{what}. The terminal shows the reason."));
    }

    /// Waits as long as a pause is requested. Queued steps are reported first, so that the page shows the state at the
    /// pause.
    fn pause(&mut self, trainer: &Trainer) -> Flow {
        if !trainer.settled() {
            return if self.hub.wants_pause() { Flow::Settle } else { Flow::Continue };
        }
        let start = Instant::now();
        let mut waited = false;
        while self.hub.pause(MOMENT) {
            if !waited {
                (self.hub.say)("paused on the page; resume there, or press Ctrl-C to save and stop");
            }
            waited = true;
            self.look(trainer);
        }
        if waited {
            trainer.paused_for(start.elapsed());
        }
        Flow::Continue
    }
}

impl Callback for LiveCallback {
    fn on_setup(&mut self, setup: &Setup) -> Result<()> {
        let config = &setup.config;
        self.hub.publish(
            Topic::Run,
            &LiveRun {
                folder: file_name(&self.folder),
                model: config.model.clone(),
                data: file_name(&setup.splits.name),
                parameters: setup.model.num_parameters(),
                device: setup.device.to_string(),
                batch_size: config.batch_size * config.accumulate,
                train_images: setup.train.len(),
                val_images: setup.splits.val.len(),
                score: if setup.network.loss.takes_masks() { "Dice" } else { "accuracy" },
                classes: setup.splits.val.classes().to_vec(),
                health_every: config.health,
            },
        );
        match Gallery::new(&setup.subject()) {
            Ok(gallery) => {
                self.hub.publish(Topic::Pictures, &gallery.pictures);
                self.gallery = Some(gallery);
            }
            Err(e) => self.give_up(&e),
        }
        Ok(())
    }

    fn on_start(&mut self, trainer: &Trainer) -> Result<()> {
        match RunDir::history(&self.folder) {
            Ok(reports) => reports.iter().for_each(|report| self.hub.phase(report.into())),
            Err(e) => self.remark("The earlier epochs are not shown", &e),
        }
        self.tally = trainer.state.tally;
        self.throughput = Throughput::new(trainer.state.step, trainer.state.seconds);
        self.hub.begin(self.progress(trainer, Phase::Train, [0; 2]));
        Ok(())
    }

    fn reads_model(&self, _step: u64) -> bool {
        self.is_due()
    }

    fn on_step(&mut self, trainer: &Trainer, report: &StepReport) -> Result<Flow> {
        self.throughput.step(report.samples, trainer.state.seconds);
        let score = self.score_of_step(trainer.state.tally);
        self.hub.step(report.loss, score, self.progress(trainer, Phase::Train, [0; 2]));
        self.look(trainer);
        Ok(self.pause(trainer))
    }

    fn on_validation(&mut self, trainer: &Trainer, done: usize, of: usize) -> Result<Flow> {
        self.hub.progress(self.progress(trainer, Phase::Val, [done, of]));
        self.look(trainer);
        Ok(self.pause(trainer))
    }

    fn on_phase(&mut self, _trainer: &Trainer, report: &PhaseReport) -> Result<()> {
        self.hub.phase(report.into());
        Ok(())
    }

    fn on_epoch(&mut self, trainer: &Trainer) -> Result<Flow> {
        self.throughput.skip_to(trainer.state.seconds);
        self.hub.progress(self.progress(trainer, Phase::Train, [0; 2]));
        Ok(Flow::Continue)
    }

    fn on_end(&mut self, trainer: &Trainer, outcome: &Outcome) -> Result<()> {
        if outcome.finished {
            self.hub.finishing();
        }
        if self.hub.watched() {
            self.look_now(trainer);
        }
        Ok(())
    }
}

/// The last line of a growing text file. `known` becomes the length of the file. `None` if the length has not changed.
fn last_line(file: &Path, known: &mut u64) -> std::io::Result<Option<String>> {
    let mut file = File::open(file)?;
    let bytes = file.metadata()?.len();
    if bytes == *known {
        return Ok(None);
    }
    *known = bytes;
    let start = file.seek(SeekFrom::Start(bytes.saturating_sub(LONGEST_SAMPLE)))?;
    let mut end = Vec::new();
    file.take(LONGEST_SAMPLE).read_to_end(&mut end)?;
    let Some(lines) = end.strip_suffix(b"\n") else { return Ok(None) };
    let line = match lines.iter().rposition(|&byte| byte == b'\n') {
        Some(at) => &lines[at + 1..],
        None if start == 0 => lines,
        // The line begins before the part that was read.
        None => return Ok(None),
    };
    Ok(std::str::from_utf8(line).ok().filter(|line| !line.is_empty()).map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::DType;
    use crate::nn::{Linear, Loss, Sequential};
    use crate::optim::Sgd;
    use crate::tensor::Device;
    use crate::train::RunConfig;
    use std::sync::atomic::AtomicBool;

    fn hub() -> Arc<Hub> {
        Arc::new(Hub::new(Arc::new(AtomicBool::new(false)), |_| {}))
    }

    #[test]
    fn the_last_line_is_read_when_it_is_new() {
        let folder = tempfile::tempdir().unwrap();
        let (file, mut known) = (folder.path().join("health.jsonl"), 0);
        assert!(last_line(&file, &mut known).is_err());
        std::fs::write(&file, "").unwrap();
        assert_eq!(last_line(&file, &mut known).unwrap(), None);
        std::fs::write(&file, "one\ntwo\n").unwrap();
        assert_eq!(last_line(&file, &mut known).unwrap().as_deref(), Some("two"));
        assert_eq!(last_line(&file, &mut known).unwrap(), None);
        std::fs::write(&file, "one\ntwo\nthree").unwrap();
        assert_eq!(last_line(&file, &mut known).unwrap(), None);
        // No part of a line that is too long is returned, and the line after it is read.
        let long = "\u{e4}".repeat(LONGEST_SAMPLE as usize / 2);
        std::fs::write(&file, format!("{long}\n")).unwrap();
        assert_eq!(last_line(&file, &mut known).unwrap(), None);
        std::fs::write(&file, format!("{long}\nthree\n")).unwrap();
        assert_eq!(last_line(&file, &mut known).unwrap().as_deref(), Some("three"));
    }

    /// Validation counts as time, although the trainer's state includes it only afterwards.
    #[test]
    fn time_goes_on_during_validation() {
        let net = Sequential::new().push(Linear::new(1, 1));
        net.init(&Device::cpu().unwrap(), DType::F32, 0).unwrap();
        let sgd = Box::new(Sgd::new(net.trainable().unwrap(), 0.0, false, 0.0).unwrap());
        let trainer = Trainer::new(&net, Loss::CrossEntropy, sgd, RunConfig::plain("net", 1, 0.1)).unwrap();
        let callback = LiveCallback::new(hub(), Path::new(""));
        let seconds = || callback.progress(&trainer, Phase::Val, [0, 1]).seconds;
        let before = seconds();
        std::thread::sleep(Duration::from_millis(2));
        assert!(seconds() >= before + 0.002);
    }

    /// The tally grows during an epoch and starts again in the next. A step's score is the part that the step added.
    #[test]
    fn a_steps_score_is_that_of_its_own_images() {
        let mut callback = LiveCallback::new(hub(), Path::new(""));
        let tally = |n, correct| Tally { n, decisions: n, correct, ..Tally::default() };
        let scores =
            [(10, 5), (20, 14), (24, 14), (10, 10)].map(|(n, right)| callback.score_of_step(tally(n, right)));
        assert_eq!(scores, [0.5, 0.9, 0.0, 1.0]);
    }
}
