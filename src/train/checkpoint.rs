//! `checkpoint.safetensors`: the only file that resuming reads the run's progress from.
//!
//! | names | what |
//! |---|---|
//! | `model.*` | the current weights and buffers |
//! | `optim.*` | the optimiser's state: momentum (SGD) or moments (Adam) |
//! | `best.*` | the weights and buffers of the best epoch |
//! | metadata `position` | epoch, batch, step, sums, best accuracy, bytes of `metrics.jsonl`, as JSON |

use super::state::RunPosition;
use super::{State, Trainer};
use crate::core::{Error, Result};
use crate::io::TensorFile;
use crate::nn::ModuleExt;
use crate::tensor::{Device, Tensor};
use std::collections::BTreeMap;
use std::path::Path;

const POSITION: &str = "position";

/// What a checkpoint holds.
pub struct Checkpoint {
    /// The position, including the best weights.
    pub state: State,
    pub weights: BTreeMap<String, Tensor>,
    pub optimizer: BTreeMap<String, Tensor>,
    pub optimizer_steps: u64,
    /// Bytes of `metrics.jsonl` that belong to this checkpoint.
    pub metrics_bytes: u64,
}

impl Checkpoint {
    /// Writes the trainer's state atomically. The run is marked as not finished.
    ///
    /// # Errors
    /// A file that cannot be written; the previous checkpoint stays as it was.
    pub fn save(path: &Path, trainer: &Trainer, metrics_bytes: u64) -> Result<()> {
        let mut tensors = BTreeMap::new();
        let mut add = |prefix: &str, named: BTreeMap<String, Tensor>| {
            tensors.extend(named.into_iter().map(|(name, t)| (format!("{prefix}.{name}"), t)));
        };
        add("model", trainer.model.state_dict()?);
        add("optim", trainer.optimizer.memory().tensors());
        if let Some(best) = &trainer.state.best {
            add("best", best.weights.clone());
        }
        let steps = trainer.optimizer.steps();
        let position =
            RunPosition { finished: false, ..RunPosition::of(&trainer.state, steps, metrics_bytes) };
        let position = serde_json::to_string(&position).expect("a position has a JSON form");
        let metadata = BTreeMap::from([(POSITION.to_owned(), position)]);
        TensorFile { tensors, metadata, ..TensorFile::default() }.write(path)
    }

    /// Records in a checkpoint whether its run is finished, and the length of `metrics.jsonl` in bytes.
    ///
    /// # Errors
    /// As [`load`](Self::load) and [`save`](Self::save).
    pub fn finish(path: &Path, device: &Device, finished: bool, metrics_bytes: u64) -> Result<()> {
        let mut file = TensorFile::read(path, device)?;
        let position = RunPosition { finished, metrics_bytes, ..position(&file, path)? };
        let position = serde_json::to_string(&position).expect("a position has a JSON form");
        file.metadata.insert(POSITION.to_owned(), position);
        file.write(path)
    }

    /// Reads a checkpoint.
    ///
    /// # Errors
    /// A file that is missing, damaged or not a checkpoint.
    pub fn load(path: &Path, device: &Device) -> Result<Checkpoint> {
        let file = TensorFile::read(path, device)?;
        let position = position(&file, path)?;
        let mut parts = ["model", "optim", "best"].map(|_| BTreeMap::new());
        for (name, tensor) in file.tensors {
            let (prefix, rest) = name.split_once('.').unwrap_or((&name, ""));
            let part = match prefix {
                "model" => 0,
                "optim" => 1,
                "best" => 2,
                _ => {
                    return Err(Error::format(
                        path.display(),
                        format!("contains an unknown tensor `{name}`"),
                    ));
                }
            };
            parts[part].insert(rest.to_owned(), tensor);
        }
        let [weights, optimizer, best] = parts;
        Ok(Checkpoint {
            state: position.state(best),
            weights,
            optimizer,
            optimizer_steps: position.optimizer_steps,
            metrics_bytes: position.metrics_bytes,
        })
    }

    /// Sets the trainer to the checkpoint's position, weights and optimiser state.
    ///
    /// # Errors
    /// Weights or optimiser state that belong to another model.
    pub fn restore(self, trainer: &mut Trainer) -> Result<()> {
        trainer.model.load_state_dict(&self.weights)?;
        trainer.optimizer.memory_mut().restore(&self.optimizer, self.optimizer_steps)?;
        trainer.state = self.state;
        Ok(())
    }
}

fn position(file: &TensorFile, path: &Path) -> Result<RunPosition> {
    let position = file.metadata.get(POSITION).and_then(|text| serde_json::from_str(text).ok());
    position.ok_or_else(|| Error::format(path.display(), "is not the checkpoint of a run"))
}
