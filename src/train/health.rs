//! `health.jsonl`: how every layer is doing, every so many steps of a run.
//!
//! A line is a sample, `{"step":N,"epoch":E,"layers":[...]}`, taken after step N, counted from 0 as in `metrics.jsonl`:
//! gradients are those of the step, updates are what it changed, outputs are those for a few validation images, always the
//! same ([`layer_health`]). Sampling changes nothing: it reads gradients and weights, and runs the network in evaluation
//! mode, unrecorded.
//!
//! Steps between samples cost nothing, but for the one before a sample, which copies the weights. Lines are written before
//! the checkpoint of their step; resuming cuts off those that the checkpoint does not know. They are not synced one by one:
//! a power cut may cost some of them, never the run.

use super::{Callback, Flow, RunDir, StepReport, Trainer};
use crate::core::{Error, ErrorKind, Result};
use crate::inspect::{LayerHealth, copy_weights, layer_health};
use crate::tensor::Tensor;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The fewest and the most images that are shown to the network; between them a training batch's number, so that a sample
/// costs about as much as a step.
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

/// Which of `of` validation images are shown: spread evenly, for a set may be sorted by class.
pub(super) fn shown(batch_size: usize, of: usize) -> Vec<usize> {
    let n = batch_size.clamp(IMAGES[0], IMAGES[1]).min(of);
    (0..n).map(|i| i * of / n).collect()
}

/// Samples [`layer_health`] into a run folder.
pub struct HealthRecorder {
    file: PathBuf,
    /// Bytes that it holds.
    bytes: u64,
    /// Steps from sample to sample.
    every: u64,
    images: Tensor,
    /// The weights before the step that is sampled next.
    before: Option<BTreeMap<String, Tensor>>,
}

impl HealthRecorder {
    /// Samples every step whose number `every` divides, with these images. Lines of steps that are not `done`, which a killed
    /// run may have left behind, are cut off.
    ///
    /// # Errors
    /// An `every` of 0; a `health.jsonl` that cannot be read or cut.
    pub fn new(folder: &RunDir, every: u64, images: Tensor, done: u64) -> Result<HealthRecorder> {
        if every == 0 {
            return Err(Error::argument("health", "0 steps from sample to sample").expected("1 or more"));
        }
        let file = folder.health();
        let bytes = cut(&file, done)?;
        Ok(HealthRecorder { file, bytes, every, images, before: None })
    }

    fn samples(&self, step: u64) -> bool {
        step.is_multiple_of(self.every)
    }

    /// # Errors
    /// A full disk; a file that does not hold the samples so far.
    fn write(&mut self, sample: &HealthSample) -> Result<()> {
        let mut line = serde_json::to_string(sample).expect("a sample has a JSON form");
        line.push('\n');
        // Opened for each line: a run that fails before its first one leaves no file behind.
        let refused = |e| Error::io(&self.file, "write", e);
        let mut file = OpenOptions::new().create(true).append(true).open(&self.file).map_err(refused)?;
        if file.metadata().map_err(refused)?.len() != self.bytes {
            let what = "was removed or changed while the run was writing to it";
            return Err(Error::new(ErrorKind::Missing, self.file.display().to_string(), what)
                .help("put the file or its folder back and resume, or start a new run"));
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

    fn looks_at(&self, step: u64) -> bool {
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

/// Cuts the file after the last of the whole lines, from the first on, whose steps are done. Returns the bytes it then has.
fn cut(file: &Path, done: u64) -> Result<u64> {
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

    /// Lines of steps that the checkpoint does not know are taken again: kept, they would stand there twice.
    #[test]
    fn a_resumed_run_keeps_the_lines_of_steps_that_are_done() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("health.jsonl");
        let line = |step: u64| format!("{{\"step\":{step},\"epoch\":0,\"layers\":[]}}\n");
        let kept = |content: &str, done: u64| {
            fs::write(&file, content).unwrap();
            cut(&file, done).unwrap();
            fs::read_to_string(&file).unwrap()
        };
        let whole = line(0) + &line(10) + &line(20);
        assert_eq!(kept(&whole, 21), whole);
        assert_eq!(kept(&whole, 20), line(0) + &line(10));
        assert_eq!(kept(&whole, 0), "");
        let torn = &whole[..whole.len() - 9];
        assert_eq!(kept(torn, 30), line(0) + &line(10));
        // Its end is missing: the next line would be written behind it.
        assert_eq!(kept(whole.trim_end(), 30), line(0) + &line(10));
        fs::remove_file(&file).unwrap();
        cut(&file, 5).unwrap();
        assert!(!file.exists());
    }
}
