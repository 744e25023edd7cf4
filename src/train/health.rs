//! `health.jsonl`: the health of every layer, sampled at a fixed interval of steps.
//!
//! Each line is one sample, `{"step":N,"epoch":E,"layers":[...]}`, taken after step N. Steps count from 0, as in
//! `metrics.jsonl`. The gradients are those of step N, and the updates are what step N changed. The outputs are those
//! for a few validation images, the same ones in every sample ([`layer_health`]). Sampling does not change the run: it
//! reads gradients and weights, and runs the network in evaluation mode without recording gradients.
//!
//! Steps between samples cost nothing extra, except the step before a sample, which copies the weights. Each line is
//! written before the checkpoint of its step. Resuming cuts off the lines that are newer than the checkpoint. Lines are
//! not synced to disk one by one, so a power cut may lose some of them, but it never damages the run.

use super::{Callback, Flow, RunDir, StepReport, Trainer};
use crate::core::{Error, ErrorKind, Result};
use crate::inspect::{LayerHealth, copy_weights, layer_health};
use crate::tensor::Tensor;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The fewest and the most images in a sample. Between these limits a sample has as many images as a training batch, so
/// it costs about as much as a step.
const IMAGES: [usize; 2] = [16, 32];

/// A line of `health.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HealthSample {
    /// Steps done before this one, over the whole run.
    pub step: u64,
    pub epoch: usize,
    /// In running order.
    pub layers: Vec<LayerHealth>,
}

/// Which of `of` validation images are used. They are spread evenly, because a data set may be sorted by class.
pub(super) fn shown(batch_size: usize, of: usize) -> Vec<usize> {
    let n = batch_size.clamp(IMAGES[0], IMAGES[1]).min(of);
    (0..n).map(|i| i * of / n).collect()
}

/// Samples [`layer_health`] into a run folder.
pub struct HealthRecorder {
    file: PathBuf,
    /// Bytes written to the file so far.
    bytes: u64,
    /// Steps from sample to sample.
    every: u64,
    images: Tensor,
    /// The weights before the next sampled step.
    before: Option<BTreeMap<String, Tensor>>,
}

impl HealthRecorder {
    /// Samples every step whose number is a multiple of `every`, with these images. A killed run may have left lines of
    /// steps that are not `done`; these are cut off.
    ///
    /// # Errors
    /// An `every` of 0; a `health.jsonl` that cannot be read or cut.
    pub fn new(folder: &RunDir, every: u64, images: Tensor, done: u64) -> Result<HealthRecorder> {
        if every == 0 {
            return Err(Error::argument("health", "0 is out of range").expected("1 or more"));
        }
        let file = folder.health();
        let bytes = truncate(&file, done)?;
        Ok(HealthRecorder { file, bytes, every, images, before: None })
    }

    fn samples(&self, step: u64) -> bool {
        step.is_multiple_of(self.every)
    }

    /// # Errors
    /// A full disk; a file that was removed or changed since the last sample.
    fn write(&mut self, sample: &HealthSample) -> Result<()> {
        let mut line = serde_json::to_string(sample).expect("a sample has a JSON form");
        line.push('\n');
        // Opened for each line: a run that fails before its first one leaves no file behind.
        let refused = |e| Error::io(&self.file, "write", e);
        let mut file = OpenOptions::new().create(true).append(true).open(&self.file).map_err(refused)?;
        if file.metadata().map_err(refused)?.len() != self.bytes {
            let what = "was deleted or changed while the run was writing to it";
            return Err(Error::new(ErrorKind::Missing, self.file.display().to_string(), what)
                .help("restore the file or its folder and resume the run, or start a new run"));
        }
        file.write_all(line.as_bytes()).map_err(refused)?;
        self.bytes += line.len() as u64;
        Ok(())
    }
}

impl Callback for HealthRecorder {
    fn on_start(&mut self, trainer: &Trainer) -> Result<()> {
        if self.samples(trainer.state.step) {
            self.before = Some(copy_weights(trainer.model)?);
        }
        Ok(())
    }

    fn reads_model(&self, step: u64) -> bool {
        self.samples(step) || self.samples(step + 1)
    }

    fn on_step(&mut self, trainer: &Trainer, report: &StepReport) -> Result<Flow> {
        let step = report.step;
        if self.samples(step) {
            let before = self.before.take();
            let layers = layer_health(trainer.model, &trainer.config.model, &self.images, before.as_ref())?;
            self.write(&HealthSample { step, epoch: trainer.state.epoch, layers })?;
        }
        if self.samples(step + 1) {
            self.before = Some(copy_weights(trainer.model)?);
        }
        Ok(Flow::Continue)
    }
}

/// Keeps the whole lines from the start of the file up to the first whose step is not done, and cuts off the rest.
/// Returns the file's length in bytes.
fn truncate(file: &Path, done: u64) -> Result<u64> {
    #[derive(Deserialize)]
    struct Step {
        step: u64,
    }
    let bytes = match fs::read(file) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        read => read.map_err(|e| Error::io(file, "read", e))?,
    };
    let known = |line: &&[u8]| {
        let step = serde_json::from_slice::<Step>(line);
        line.ends_with(b"\n") && step.is_ok_and(|line| line.step < done)
    };
    let kept: usize = bytes.split_inclusive(|&byte| byte == b'\n').take_while(known).map(<[u8]>::len).sum();
    let cut = OpenOptions::new().write(true).open(file).and_then(|file| file.set_len(kept as u64));
    cut.map(|()| kept as u64).map_err(|e| Error::io(file, "cut", e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_spread_over_the_set() {
        assert_eq!(shown(1, 32), (0..32).step_by(2).collect::<Vec<_>>());
        assert_eq!((shown(250, 6400).len(), shown(250, 6400)[31]), (32, 6200));
        assert_eq!((shown(20, 1000).len(), shown(20, 3), shown(20, 0)), (20, vec![0, 1, 2], vec![]));
    }

    /// After resuming, steps that the checkpoint does not include are sampled again. If their old lines were kept, they
    /// would appear twice.
    #[test]
    fn a_resumed_run_keeps_the_lines_of_steps_that_are_done() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("health.jsonl");
        let line = |step: u64| format!("{{\"step\":{step},\"epoch\":0,\"layers\":[]}}\n");
        let kept = |content: &str, done: u64| {
            fs::write(&file, content).unwrap();
            truncate(&file, done).unwrap();
            fs::read_to_string(&file).unwrap()
        };
        let whole = line(0) + &line(10) + &line(20);
        assert_eq!(kept(&whole, 21), whole);
        assert_eq!(kept(&whole, 20), line(0) + &line(10));
        assert_eq!(kept(&whole, 0), "");
        let torn = &whole[..whole.len() - 9];
        assert_eq!(kept(torn, 30), line(0) + &line(10));
        // The last newline is missing: the next line would be appended to this one.
        assert_eq!(kept(whole.trim_end(), 30), line(0) + &line(10));
        fs::remove_file(&file).unwrap();
        truncate(&file, 5).unwrap();
        assert!(!file.exists());
    }
}
