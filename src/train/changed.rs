//! What may be changed in an existing run: the number of epochs, and where its data lie.

use super::{Checkpoint, RunConfig, RunDir, Setup};
use crate::core::{Error, Result};
use crate::tensor::Device;
use std::path::PathBuf;

/// The same run with more epochs, whether it is finished or not. Trained further, it ends with the same bits as a run
/// that had all these epochs from the start. If `epochs` equals the present number, nothing changes.
///
/// # Errors
/// Fewer epochs; a run that ends after a number of steps, or that ended early; a schedule whose rates depend on the run's
/// length; a folder that cannot be read or written.
pub fn longer(folder: RunDir, config: RunConfig, epochs: usize) -> Result<(RunDir, RunConfig)> {
    if epochs == config.epochs {
        return Ok((folder, config));
    }
    let refused = |what: String| Error::argument("`config.epochs`", what);
    if epochs < config.epochs {
        let had = config.epochs;
        return Err(refused(format!("{epochs} epochs are fewer than the run's {had}"))
            .expected(format!("more than {had}")));
    }
    if let Some(steps) = config.max_steps {
        let what = format!("the run ends after {steps} steps, for any number of epochs");
        return Err(refused(what).help("start a new run"));
    }
    if config.schedule()?.depends_on_length() {
        let what = format!("the learning rates of `{}` depend on the length of the run", config.scheduler);
        return Err(refused(format!(
            "{what}: with {epochs} epochs, all earlier rates would have been different"
        ))
        .help(format!("start a new run of {epochs} epochs")));
    }
    let checkpoint = folder.checkpoint();
    if checkpoint.exists() {
        let Checkpoint { state, metrics_bytes, .. } = Checkpoint::load(&checkpoint, &Device::cpu()?)?;
        if state.finished && state.epoch < config.epochs {
            let ended = format!("the run ended after epoch {} of {}", state.epoch, config.epochs);
            return Err(match config.early_stop {
                Some(epochs) => {
                    refused(format!("{ended}: {epochs} without a better score (`config.early_stop`)"))
                }
                None => refused(ended),
            }
            .help("with more epochs it would also have ended there: start a new run"));
        }
        if state.finished {
            // Reopen before writing the settings. A run killed between the two is at its old end, and resuming finishes
            // it again.
            folder.reopen(metrics_bytes)?;
        }
    }
    let config = RunConfig { epochs, ..config };
    Ok((folder.rewrite(&config)?, config))
}

/// The same run with its data in another place. Its settings change only if the run can continue with the data there.
///
/// # Errors
/// No data there, or different data; a folder that cannot be written.
pub fn moved(
    folder: RunDir,
    config: RunConfig,
    data: Option<String>,
    data_dir: Option<PathBuf>,
) -> Result<(RunDir, RunConfig)> {
    if data.is_none() && data_dir.is_none() {
        return Ok((folder, config));
    }
    let config =
        RunConfig { data: data.unwrap_or(config.data), data_dir: data_dir.or(config.data_dir), ..config };
    Setup::resume(config.clone(), folder.known_data()?)?;
    Ok((folder.rewrite(&config)?, config))
}
