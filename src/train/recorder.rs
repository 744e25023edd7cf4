//! The callback that keeps a run folder up to date.

use super::checkpoint::Checkpoint;
use super::history::{Line, Metrics, check_length, is_at, read_history};
use super::pictures::draw_curves;
use super::{Callback, Flow, Outcome, PhaseReport, RunDir, Scores, StepReport, Trainer};
use crate::core::{Error, ErrorKind, Result};
use crate::io::{TensorFile, write_atomically};
use crate::nn::ModuleExt;
use crate::tensor::Tensor;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Time between two checkpoints within a long epoch.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(60);

impl RunDir {
    /// A callback that keeps this folder up to date. `metrics_bytes` is the length that the checkpoint recorded, 0 for
    /// a new run. Ctrl-C sets `stop`.
    ///
    /// # Errors
    /// A `metrics.jsonl` that cannot be opened, or is shorter than the checkpoint says.
    pub fn recorder(
        &self,
        title: String,
        log_steps: bool,
        metrics_bytes: u64,
        stop: Arc<AtomicBool>,
    ) -> Result<Recorder> {
        let path = self.path.join("metrics.jsonl");
        let refused = |doing| move |e| Error::io(&self.path.join("metrics.jsonl"), doing, e);
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(refused("open"))?;
        let length = file.metadata().map_err(refused("open"))?.len();
        check_length(&path, length, metrics_bytes)?;
        let lock = self.lock.try_clone().map_err(|e| Error::io(&self.path, "lock", e))?;
        file.set_len(metrics_bytes).map_err(refused("cut"))?;
        file.seek(SeekFrom::End(0)).map_err(refused("seek in"))?;
        let history = read_history(&path)?;
        Ok(Recorder {
            folder: self.path.clone(),
            settings: (self.settings.clone(), lock),
            title,
            log_steps,
            metrics: Metrics { path, file: BufWriter::new(file), bytes: metrics_bytes },
            written: history.len(),
            history,
            stop,
            saved: Instant::now(),
            at: None,
        })
    }
}

/// Keeps a run folder up to date while the trainer runs.
pub struct Recorder {
    folder: PathBuf,
    /// The content of `config.toml`, and the open file.
    settings: (String, File),
    title: String,
    log_steps: bool,
    metrics: Metrics,
    history: Vec<PhaseReport>,
    /// Number of reports already in `metrics.jsonl`.
    written: usize,
    stop: Arc<AtomicBool>,
    saved: Instant,
    /// The trainer's position at the last checkpoint.
    at: Option<RunPoint>,
}

impl Recorder {
    /// Metrics are written first: a checkpoint must never count lines that are not on the disk.
    fn checkpoint(&mut self, trainer: &Trainer) -> Result<()> {
        self.metrics.sync()?;
        Checkpoint::save(&self.folder.join("checkpoint.safetensors"), trainer, self.metrics.bytes)?;
        (self.saved, self.at) = (Instant::now(), Some(place(trainer)));
        let (settings, lock) = &self.settings;
        keep_settings(&self.folder, settings, lock)
    }

    fn export(&self, name: &str, weights: BTreeMap<String, Tensor>) -> Result<()> {
        TensorFile::new(weights).write(&self.folder.join(name))
    }

    fn curves(&self) -> Result<()> {
        let svg = draw_curves(&self.title, &self.history);
        write_atomically(&self.folder.join("curves.svg"), svg.as_bytes())
    }

    fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Epochs done, batches done in the current epoch, and steps done.
type RunPoint = (usize, usize, u64);

fn place(trainer: &Trainer) -> RunPoint {
    (trainer.state.epoch, trainer.state.batch, trainer.state.step)
}

impl Callback for Recorder {
    fn on_step(&mut self, trainer: &Trainer, report: &StepReport) -> Result<Flow> {
        if self.log_steps {
            self.metrics.line(Line::Step { step: report.step, loss: report.loss })?;
        }
        if let Some((step, loss)) = trainer.state.recent.mean(trainer.config.loss_every) {
            self.metrics.line(Line::Losses { epoch: trainer.state.epoch, step, loss })?;
        }
        let stopping = self.stopping();
        if stopping || self.saved.elapsed() >= CHECKPOINT_EVERY {
            if !trainer.settled() {
                // The weights are ahead of the reported steps: a checkpoint now would lack lines of `metrics.jsonl`.
                return Ok(Flow::Settle);
            }
            self.checkpoint(trainer)?;
        }
        Ok(if stopping { Flow::Stop } else { Flow::Continue })
    }

    fn on_validation(&mut self, trainer: &Trainer, _done: usize, _of: usize) -> Result<Flow> {
        if !self.stopping() {
            return Ok(Flow::Continue);
        }
        self.checkpoint(trainer)?;
        Ok(Flow::Stop)
    }

    fn on_phase(&mut self, _trainer: &Trainer, report: &PhaseReport) -> Result<()> {
        // The line is written at the end of the epoch. A checkpoint made during validation must not contain the train
        // phase's line, because resuming writes it again.
        self.history.push(*report);
        Ok(())
    }

    fn on_epoch(&mut self, trainer: &Trainer) -> Result<Flow> {
        for i in self.written..self.history.len() {
            let PhaseReport { epoch, phase, loss, scores: Scores { accuracy, overlap, .. }, seconds } =
                self.history[i];
            self.metrics.line(Line::Epoch { epoch, phase, loss, accuracy, overlap, seconds })?;
        }
        self.written = self.history.len();
        // The run is not finished yet, even after the last epoch: the exports, the last line, the test and the pictures
        // are still missing. See `RunDir::finish`.
        self.checkpoint(trainer)?;
        self.curves()?;
        Ok(if self.stopping() { Flow::Stop } else { Flow::Continue })
    }

    fn on_end(&mut self, trainer: &Trainer, outcome: &Outcome) -> Result<()> {
        self.export("last.safetensors", trainer.model.state_dict()?)?;
        if let Some(best) = &trainer.state.best {
            self.export("best.safetensors", best.weights.clone())?;
        }
        self.curves()?;
        // A callback has stopped the run.
        if !outcome.finished && trainer.state.step > 0 && self.at != Some(place(trainer)) {
            self.checkpoint(trainer)?;
        }
        if outcome.finished {
            let Outcome {
                best: Scores { accuracy: best_accuracy, overlap, .. }, best_epoch, seconds, ..
            } = *outcome;
            let [best_dice, best_iou] = [overlap.map(|o| o.dice), overlap.map(|o| o.iou)];
            self.metrics.line(Line::Done { best_accuracy, best_dice, best_iou, best_epoch, seconds })?;
            self.metrics.sync()?;
        }
        Ok(())
    }
}

/// Checks that `config.toml` is still the run's own, and restores it if it was removed. Without it the run cannot be
/// resumed, and another run could start in its folder.
///
/// # Errors
/// A file that the run has not locked (`lock`): one that replaced the run's own, or one that was removed. A removed
/// file is put back first.
pub(super) fn keep_settings(folder: &Path, settings: &str, lock: &File) -> Result<()> {
    let path = folder.join("config.toml");
    if is_at(lock, &path) {
        return Ok(());
    }
    let (what, help) = if path.exists() {
        (
            "was replaced while the run was training",
            "restore the run's own file, and resume the run from its last checkpoint",
        )
    } else {
        write_atomically(&path, settings.as_bytes())?;
        (
            "was deleted while the run was training",
            "the file has been restored: resume the run from its last checkpoint",
        )
    };
    Err(Error::new(ErrorKind::Missing, path.display().to_string(), what).help(help))
}
