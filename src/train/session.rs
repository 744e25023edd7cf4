//! From a run folder to trained weights: what `receptive train` and `receptive reproduce` do.

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
    /// Images of a training epoch.
    pub train_images: usize,
    /// The weights the run ends with, on the images that neither trained nor chose them; for a set without such images,
    /// and weights that were not chosen, on the validation images. `None`: stopped, finished before, or nothing is left to
    /// test on.
    pub test: Option<Tally>,
}

/// Trains from where the folder is to the end, or until `stop` is raised. `watchers` follow the loop; `say` hears what a person
/// should know.
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
                "{path} is finished: best validation {}; more `config.epochs` train it longer",
                outcome.best
            ));
            return Ok(Done { outcome, train_images: setup.train.len(), test: None });
        }
        say(&format!("going on with {path} after step {step}"));
    } else {
        folder.check_unbegun()?;
        setup.load_init()?.iter().for_each(|line| say(&format!("`config.init`: {line}")));
    }
    setup.splits.warnings.iter().for_each(|line| say(&format!("{}: {line}", setup.record.data)));
    if known.as_ref() != Some(&setup.record) {
        setup.record.write(folder.path())?;
    }
    // Before the recorder: what they refuse, a set without masks, leaves no run behind.
    let (train, val) = setup.loaders()?;
    say(&headline(&setup));
    if config.cycle_momentum && config.schedule()?.cycles_momentum() {
        say(&format!("{}: momentum goes from 0.95 to 0.85 and back", config.scheduler));
    }
    setup.frozen().iter().for_each(|line| say(line));
    let title = format!("{} on {}", config.model, file_name(&config.data));
    let recorder = folder.recorder(title, config.log_steps, metrics_bytes, Arc::clone(&stop))?;
    watchers.iter_mut().try_for_each(|watcher| watcher.on_setup(&setup))?;
    // Before the recorder: a checkpoint's step has its sample on the disk.
    let trainer = match health(folder, &setup, trainer.state.step)? {
        Some(health) => trainer.callback(health),
        None => trainer,
    };
    // The recorder comes last: it sees a stop that a watcher asked for in the same step.
    let mut trainer = trainer.callbacks(watchers).callback(recorder);
    let outcome = trainer.fit(&train, &val);
    if trainer.state.step > 0 {
        folder.begin();
    }
    let outcome = outcome.map_err(|error| diverged(error, folder, trainer.state.step))?;
    let path = folder.path().display();
    // Nothing is lost: resuming does again what comes after the last epoch.
    let unfinished = |error: Error| {
        error.with("the training is complete; to test it:", format_args!("`RunDir::open({path})`"))
    };
    let ended = trainer.state.epoch;
    if let (true, Some(epochs), true) = (outcome.finished, config.early_stop, ended < config.epochs) {
        say(&format!("ended early: {epochs} epochs without a better score"));
    }
    if RunDir::history(folder.path())?.last().is_some_and(|last| !last.loss.is_finite()) {
        say("the validation loss is no number: the run has diverged, a lower `config.lr` may help");
    }
    let test = if outcome.finished { test(&setup).map_err(unfinished)? } else { None };
    if outcome.finished {
        // The run is complete: pictures that cannot be drawn take nothing from it.
        if let Err(error) = setup.subject().write_pictures(folder.path(), &stop) {
            say(&format!("some pictures could not be drawn: {error}"));
        }
        // Last: what fails before it is done again when the run is resumed.
        folder.finish(&setup.device)?;
    }
    Ok(Done { outcome, train_images: setup.train.len(), test })
}

/// Says what is left of a run whose loss is no number any more.
fn diverged(error: Error, folder: &RunDir, step: u64) -> Error {
    if error.kind() != ErrorKind::NonFinite || step == 0 {
        return error;
    }
    let path = folder.path().display();
    let left = match folder.checkpoint().exists() {
        true => format!("the last checkpoint is in {path}; its weights may be too large already"),
        false => format!("there is no checkpoint yet; what was recorded is in {path}"),
    };
    error.with("left:", left)
}

/// Where samples of the layers' health go, if any are taken.
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
