//! The training of a run folder: curves from `metrics.jsonl`, each layer's health from `health.jsonl`.

use crate::core::Result;
use crate::io::read_json_lines;
use crate::train::{Phase, RunDir};
use serde::Serialize;
use serde_json::Value;
use std::path::Path;

/// The most bytes of health samples in a page. While there are more, every second sample is dropped.
const HEALTH: usize = 800_000;

/// The course of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Training {
    /// Both phases of each epoch, in order.
    pub phases: Vec<PhasePoint>,
    /// Samples of the layers' health, as in `health.jsonl`; empty if the run took none.
    pub health: Vec<Value>,
    /// Number of samples in the file.
    pub health_samples: usize,
}

/// A phase of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PhasePoint {
    pub epoch: usize,
    pub phase: Phase,
    pub loss: f64,
    pub accuracy: f64,
    /// For masks.
    pub dice: Option<f64>,
    pub seconds: f64,
}

/// Reads a run folder.
///
/// # Errors
/// Files that exist but cannot be read; a line, other than the last, that is not JSON.
pub fn training(run: &Path) -> Result<Training> {
    let phases = RunDir::history(run)?.into_iter().map(|report| PhasePoint {
        epoch: report.epoch,
        phase: report.phase,
        loss: report.loss,
        accuracy: report.scores.accuracy,
        dice: report.scores.overlap.map(|overlap| overlap.dice),
        seconds: report.seconds,
    });
    let file = run.join("health.jsonl");
    let lines = if file.exists() { read_json_lines(&file)? } else { Vec::new() };
    let (health_samples, bytes) = (lines.len(), lines.iter().map(|(_, bytes)| bytes).sum::<usize>());
    let every = bytes.div_ceil(HEALTH).max(1).next_power_of_two();
    let health = lines.into_iter().step_by(every).map(|(sample, _)| sample).collect();
    Ok(Training { phases: phases.collect(), health, health_samples })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn samples_are_thinned_out_and_a_half_written_line_is_left() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(
            training(folder.path()).unwrap(),
            Training { phases: vec![], health: vec![], health_samples: 0 }
        );
        let long = "x".repeat(HEALTH / 16);
        let lines: String =
            (0..40).map(|step| format!("{{\"step\":{step},\"layers\":\"{long}\"}}\n")).collect();
        let file = folder.path().join("health.jsonl");
        fs::write(&file, lines + "{\"step\":40").unwrap();
        let read = training(folder.path()).unwrap();
        let steps: Vec<u64> = read.health.iter().map(|sample| sample["step"].as_u64().unwrap()).collect();
        assert_eq!((read.health_samples, steps), (40, (0..40).step_by(4).collect()));
        fs::write(&file, "{}\nbroken\n{}\n").unwrap();
        let error = training(folder.path()).unwrap_err().to_string();
        assert!(error.contains("health.jsonl") && error.contains("line 2"), "{error}");
    }
}
