//! `metrics.jsonl`: one line per step or phase, and one at the end.

use super::{Overlap, Phase, PhaseReport, Scores};
use crate::core::{Error, ErrorKind, Result};
use crate::io::read_json_lines;
use serde::{Deserialize, Deserializer, Serialize};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// A line of `metrics.jsonl`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Line {
    Step {
        step: u64,
        #[serde(deserialize_with = "number_or_nan")]
        loss: f64,
    },
    /// The mean loss of the last `loss_every` steps. `epoch` counts from 0, `step` from 1 within the epoch.
    Losses {
        epoch: usize,
        step: usize,
        #[serde(deserialize_with = "number_or_nan")]
        loss: f64,
    },
    Epoch {
        epoch: usize,
        phase: Phase,
        #[serde(deserialize_with = "number_or_nan")]
        loss: f64,
        #[serde(deserialize_with = "number_or_nan")]
        accuracy: f64,
        /// `dice` and `iou` for masks; absent for classes.
        #[serde(flatten)]
        overlap: Option<Overlap>,
        seconds: f64,
    },
    Done {
        best_accuracy: f64,
        #[serde(skip_serializing_if = "Option::is_none")]
        best_dice: Option<f64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        best_iou: Option<f64>,
        best_epoch: usize,
        seconds: f64,
    },
}

/// JSON has no NaN and no infinity: both are written as null, and read as NaN.
fn number_or_nan<'de, D: Deserializer<'de>>(source: D) -> std::result::Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(source)?.unwrap_or(f64::NAN))
}

/// The phases recorded in a `metrics.jsonl`, for the curves. Other kinds of lines are skipped. A loss written as null
/// becomes NaN.
pub fn read_history(path: &Path) -> Result<Vec<PhaseReport>> {
    let report = |(line, _)| match serde_json::from_value(line) {
        Ok(Line::Epoch { epoch, phase, loss, accuracy, overlap, seconds }) => Some(PhaseReport {
            epoch,
            phase,
            loss,
            scores: Scores { accuracy, overlap, loss: None },
            seconds,
        }),
        _ => None,
    };
    Ok(read_json_lines(path)?.into_iter().filter_map(report).collect())
}

/// `metrics.jsonl`, open at its end.
pub struct Metrics {
    pub path: PathBuf,
    pub file: BufWriter<File>,
    pub bytes: u64,
}

impl Metrics {
    pub fn line(&mut self, line: Line) -> Result<()> {
        let mut text = serde_json::to_string(&line).expect("a line has a JSON form");
        text.push('\n');
        self.file.write_all(text.as_bytes()).map_err(|e| Error::io(&self.path, "write", e))?;
        self.bytes += text.len() as u64;
        Ok(())
    }

    /// # Errors
    /// A full disk; a file that was removed from the folder or replaced, so that everything written to it is lost.
    pub fn sync(&mut self) -> Result<()> {
        let synced = self.file.flush().and_then(|()| self.file.get_ref().sync_data());
        synced.map_err(|e| Error::io(&self.path, "write", e))?;
        if is_at(self.file.get_ref(), &self.path) {
            return Ok(());
        }
        let what = "was deleted or replaced while the run was writing to it";
        Err(Error::new(ErrorKind::Missing, self.path.display().to_string(), what)
            .help("restore the file or its folder and resume the run, or start a new run"))
    }
}

/// Whether the open file or folder is still the one at `path`.
#[cfg(unix)]
pub fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let same = |a: fs::Metadata, b: fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
    file.metadata().is_ok_and(|open| fs::metadata(path).is_ok_and(|there| same(open, there)))
}

/// Whether a file or folder exists at `path`.
#[cfg(not(unix))]
pub fn is_at(_file: &File, path: &Path) -> bool {
    path.exists()
}

/// # Errors
/// Returns an error if `metrics.jsonl` is shorter than the checkpoint recorded.
pub(super) fn check_length(metrics: &Path, length: u64, recorded: u64) -> Result<()> {
    if length >= recorded {
        return Ok(());
    }
    let what = format!("has {length} bytes, but it had {recorded} when the checkpoint was made");
    Err(Error::format(metrics.display(), what).help("the file was shortened: restore it, or start a new run"))
}
