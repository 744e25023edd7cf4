//! Trains a run folder to its end: what `receptive train` and `receptive reproduce` do.

use super::{
    Callback, Checkpoint, Flow, HealthRecorder, Keep, Outcome, RunConfig, RunDir, Setup, Tally, evaluate,
};
use crate::core::text::file_name;
use crate::core::{Error, ErrorKind, Named, Result};
use crate::models::OptimizerKind;
use crate::nn::ModuleExt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// How training in a folder ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Done {
    pub outcome: Outcome,
    /// Number of images in a training epoch.
    pub train_images: usize,
    /// Test results of the run's final weights, on the test images. If the set has no test images, the validation
    /// images are used, but only for the last weights: the best weights were chosen on them. `None`: the run was
    /// stopped, was finished before, or has no images left to test on.
    pub test: Option<Tally>,
}

/// Trains from the folder's current position to the end, or until `stop` is set. `watchers` are callbacks of the loop;
/// `say` receives messages for the user.
///
/// # Errors
/// Settings that cannot train, data that are missing or damaged, a folder that cannot be written.
pub fn train<'a>(
    folder: &RunDir,
    config: RunConfig,
    stop: Arc<AtomicBool>,
    mut watchers: Vec<Box<dyn Callback + 'a>>,
    say: &dyn Fn(&str),
) -> Result<Done> {
    let known = folder.known_data()?;
    let setup = Setup::resume(config, known.clone())?;
    let config = &setup.config;
    let mut trainer = setup.trainer()?;
    let mut metrics_bytes = 0;
    if folder.checkpoint().exists() {
        let checkpoint = Checkpoint::load(&folder.checkpoint(), &setup.device)?;
        metrics_bytes = checkpoint.metrics_bytes;
        checkpoint.restore(&mut trainer)?;
        let (path, step) = (folder.path().display(), trainer.state.step);
        if trainer.state.finished {
            let outcome = trainer.outcome();
            say(&format!(
                "{path} is finished: best validation {}; to train it longer, use more `config.epochs`",
                outcome.best
            ));
            return Ok(Done { outcome, train_images: setup.train.len(), test: None });
        }
        say(&format!("continuing {path} after step {step}"));
    } else {
        folder.check_unbegun()?;
        setup.load_init()?.iter().for_each(|line| say(&format!("`config.init`: {line}")));
    }
    setup.splits.warnings.iter().for_each(|line| say(&format!("{}: {line}", setup.record.data)));
    if known.as_ref() != Some(&setup.record) {
        setup.record.write(folder.path())?;
    }
    // Before the recorder: if the loaders refuse the data (a set without masks, for example), no run is left behind.
    let (train, val) = setup.loaders()?;
    say(&headline(&setup));
    if config.cycle_momentum && config.schedule()?.cycles_momentum() {
        say(&format!("{}: momentum goes from 0.95 to 0.85 and back", config.scheduler));
    }
    setup.frozen().iter().for_each(|line| say(line));
    let title = format!("{} on {}", config.model, file_name(&config.data));
    let recorder = folder.recorder(title, config.log_steps, metrics_bytes, Arc::clone(&stop))?;
    watchers.iter_mut().try_for_each(|watcher| watcher.on_setup(&setup))?;
    // Before the recorder, so that the health sample of a step is on the disk before the step's checkpoint.
    let trainer = match health(folder, &setup, trainer.state.step)? {
        Some(health) => trainer.callback(health),
        None => trainer,
    };
    // The recorder comes last, so that it sees a stop that another callback asked for in the same step.
    let mut trainer = trainer.callbacks(watchers).callback(recorder);
    let outcome = trainer.fit(&train, &val);
    if trainer.state.step > 0 {
        folder.begin();
    }
    let outcome = outcome.map_err(|error| diverged(error, folder, trainer.state.step))?;
    let path = folder.path().display();
    // Nothing is lost: resuming repeats what comes after the last epoch.
    let unfinished = |error: Error| {
        error.with("the training is complete; to test it, run", format_args!("`RunDir::open({path})`"))
    };
    let ended = trainer.state.epoch;
    if let (true, Some(epochs), true) = (outcome.finished, config.early_stop, ended < config.epochs) {
        say(&format!("ended early: {epochs} epochs without a better score"));
    }
    if RunDir::history(folder.path())?.last().is_some_and(|last| !last.loss.is_finite()) {
        say("the validation loss is NaN or infinite: the run has diverged; a lower `config.lr` may help");
    }
    let test = if outcome.finished { test(&setup).map_err(unfinished)? } else { None };
    if outcome.finished {
        // The run is complete, so a picture that cannot be drawn is reported but is not an error.
        if let Err(error) = setup.subject().write_pictures(folder.path(), &stop) {
            say(&format!("some pictures could not be drawn: {error}"));
        }
        // Last: if anything before it fails, resuming repeats it.
        folder.finish(&setup.device)?;
    }
    Ok(Done { outcome, train_images: setup.train.len(), test })
}

/// Adds to the error what is left of a run whose loss became NaN or infinite.
fn diverged(error: Error, folder: &RunDir, step: u64) -> Error {
    if error.kind() != ErrorKind::NonFinite || step == 0 {
        return error;
    }
    let path = folder.path().display();
    let left = match folder.checkpoint().exists() {
        true => format!("the last checkpoint is in {path}; its weights may already be too large"),
        false => format!("there is no checkpoint yet; the recorded metrics are in {path}"),
    };
    error.with("left:", left)
}

/// The recorder of the layers' health, if samples are taken.
fn health(folder: &RunDir, setup: &Setup, done: u64) -> Result<Option<HealthRecorder>> {
    match setup.config.health {
        0 => Ok(None),
        every => HealthRecorder::new(folder, every, setup.health_images()?, done).map(Some),
    }
}

fn test(setup: &Setup) -> Result<Option<Tally>> {
    let images = match (&setup.splits.test, setup.config.keep) {
        (Some(test), _) => test,
        (None, Keep::Last) => &setup.splits.val,
        (None, Keep::Best) => return Ok(None),
    };
    let loader = setup.in_order(images)?;
    let to_the_end = |_: &_, _: &_, _: &_| Ok(Flow::Continue);
    evaluate(&*setup.model, &setup.config.model, setup.criterion()?, &loader, to_the_end)
}

fn headline(setup: &Setup) -> String {
    let (c, data) = (&setup.config, &setup.splits);
    let momentum = match c.optimizer {
        OptimizerKind::Sgd if c.momentum > 0.0 => format!(", momentum {}", c.momentum),
        _ => String::new(),
    };
    format!(
        "{}: {} parameters, {} training and {} validation images of {}, batch {}, {} {}{}",
        c.model,
        setup.model.num_parameters(),
        setup.train.len(),
        data.val.len(),
        file_name(&data.name),
        c.batch_size,
        c.optimizer.name(),
        c.lr,
        momentum
    )
}
