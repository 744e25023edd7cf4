//! More epochs for a run that is there.

use super::{RunConfig, RunDir};
use crate::core::{Error, Result};

/// The same run with more epochs, whether it is finished or not. Trained on, it ends with the bits of a run that had all
/// these epochs from the start. With as many epochs as it has nothing changes.
///
/// # Errors
/// Fewer epochs; a run that ends after a number of steps; a schedule whose rates depend on the run's length; a folder
/// that cannot be read or written.
pub fn longer(folder: RunDir, config: RunConfig, epochs: usize) -> Result<(RunDir, RunConfig)> {
    if epochs == config.epochs {
        return Ok((folder, config));
    }
    let refused = |what: String| Error::argument("`config.epochs`", what);
    if epochs < config.epochs {
        let had = config.epochs;
        return Err(
            refused(format!("{epochs} are fewer than the run's {had}")).expected(format!("more than {had}"))
        );
    }
    if let Some(steps) = config.max_steps {
        let what = format!("the run ends after {steps} steps, however many epochs it has");
        return Err(refused(what).help("start a new run"));
    }
    if config.schedule()?.depends_on_length() {
        let what = format!("`{}` plans its rates over the whole run", config.scheduler);
        return Err(refused(format!("{what}: with {epochs} epochs all rates so far would have been others"))
            .help(format!("start a new run of {epochs} epochs")));
    }
    let config = RunConfig { epochs, ..config };
    // First: a run killed between the two is at its old end, and resuming finishes it once more.
    folder.reopen()?;
    Ok((folder.rewrite(&config)?, config))
}
