//! Runs one experiment with one seed. Its folder holds ordinary run folders, so an experiment that was killed continues
//! where it was. The folder also holds `result.json` when everything is measured.
//!
//! ```text
//!   OUT/M3-seed0/first/  second/  result.json          OUT/F1-seed0-epochs1-fraction0.1/...
//! ```

use super::result::losses;
use super::{Curves, Experiment, Measure, SeedResult};
use crate::core::{Error, ErrorKind, Result};
use crate::cpu::Simd;
use crate::data::Masks;
use crate::inspect::Machine;
use crate::io::write_atomically;
use crate::train::{Callback, Done, Overlap, RunConfig, RunDir, Split, Trained, train};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// The names of the folders of an experiment's runs, and of the file with its results.
pub(super) const FIRST: &str = "first";
pub(super) const SECOND: &str = "second";
pub(super) const RESULT: &str = "result.json";

/// Options that change the notebook's settings. The table states all of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The folder of the experiments.
    pub out: PathBuf,
    pub epochs: Option<usize>,
    pub fraction: Option<f64>,
    pub width: Option<usize>,
    pub masks: Masks,
    pub data_dir: Option<PathBuf>,
    pub device: String,
    /// 0: one thread per core.
    pub threads: usize,
}

/// A run that was stopped before its end, with its folder.
#[derive(Debug)]
pub struct StoppedRun(pub PathBuf);

impl Options {
    /// The folder of an experiment with this seed. Other settings have another folder.
    pub fn folder(&self, experiment: &Experiment, seed: u64) -> PathBuf {
        let mut name = format!("{}-seed{seed}", experiment.id);
        if let Some(epochs) = self.epochs {
            name += &format!("-epochs{epochs}");
        }
        if let Some(fraction) = self.fraction {
            name += &format!("-fraction{fraction}");
        }
        if let Some(width) = self.width {
            name += &format!("-width{width}");
        }
        if self.masks != Masks::Binary {
            name += &format!("-masks{}", self.masks);
        }
        self.out.join(name)
    }

    /// The notebook's settings with the changes of these options.
    fn config(&self, experiment: &Experiment, seed: u64) -> Result<RunConfig> {
        let config = experiment.config()?;
        Ok(RunConfig {
            seed,
            epochs: self.epochs.unwrap_or(config.epochs),
            fraction: self.fraction,
            width: self.width,
            masks: self.masks,
            data_dir: self.data_dir.clone(),
            device: self.device.clone(),
            threads: self.threads,
            ..config
        })
    }

    /// The runs of an experiment with this seed: their folders and settings.
    ///
    /// # Errors
    /// A setting out of range; a relative path, if there is no current folder.
    pub fn runs(&self, experiment: &Experiment, seed: u64) -> Result<Vec<(PathBuf, RunConfig)>> {
        let folder = self.folder(experiment, seed);
        let first = self.config(experiment, seed)?;
        first.check()?;
        let mut runs = vec![(folder.join(FIRST), first)];
        if let Some(epochs) = experiment.then_epochs {
            let init = std::path::absolute(folder.join(FIRST).join("last.safetensors"))
                .map_err(|e| Error::io(&folder, "find", e))?;
            let second = RunConfig { epochs, init: Some(init), ..runs[0].1.clone() };
            runs.push((folder.join(SECOND), second));
        }
        Ok(runs)
    }
}

/// The run inside an experiment's folder that gave its last figure. Any other path is returned unchanged.
pub fn run_in(path: &Path) -> PathBuf {
    let is_run = |path: &Path| path.join("config.toml").is_file();
    let inner = [SECOND, FIRST].map(|name| path.join(name)).into_iter().find(|inner| is_run(inner));
    inner.filter(|_| !is_run(path)).unwrap_or_else(|| path.to_owned())
}

/// Runs an experiment with one seed, continues it, or reads its result. `watch` makes a callback for each run; `say`
/// receives messages for the user.
///
/// # Errors
/// As [`train`]; a folder made with other settings.
pub fn run<'a, C: Callback + 'a>(
    experiment: &Experiment,
    seed: u64,
    options: &Options,
    stop: &Arc<AtomicBool>,
    mut watch: impl FnMut(&RunConfig) -> C,
    say: &dyn Fn(&str),
) -> Result<std::result::Result<SeedResult, StoppedRun>> {
    let folder = options.folder(experiment, seed);
    let file = folder.join(RESULT);
    let known = || {
        let result = SeedResult::read(&file)?;
        if let Some(SeedResult { device, .. }) = &result {
            let path = folder.display();
            say(&format!("already measured on device {device}; to measure it again, delete {path}"));
        }
        Ok(result)
    };
    if let Some(result) = known()? {
        return Ok(Ok(result));
    }
    let runs = options.runs(experiment, seed)?;
    let _alone = alone(&folder)?;
    // The process that held the lock before may have finished the measurement.
    if let Some(result) = known()? {
        return Ok(Ok(result));
    }
    let mut done = Vec::new();
    for (path, config) in &runs {
        let dir = open(path, config)?;
        let outcome = match train(&dir, config.clone(), Arc::clone(stop), vec![Box::new(watch(config))], say)
        {
            Ok(outcome) => outcome,
            Err(e) => {
                dir.discard_unbegun();
                // Errors are ignored here; the folder is removed only if it is empty.
                let _ = fs::remove_dir(&folder);
                return Err(e);
            }
        };
        if !outcome.outcome.finished {
            return Ok(Err(StoppedRun(path.clone())));
        }
        done.push(outcome);
    }
    let result = SeedResult { folder, ..measured(experiment, &runs, &done)? };
    write_atomically(&file, result.json().as_bytes())?;
    Ok(Ok(result))
}

/// Creates the experiment's folder and keeps other processes out of it until the returned file is dropped.
fn alone(folder: &Path) -> Result<File> {
    fs::create_dir_all(folder).map_err(|e| Error::io(folder, "create the folder", e))?;
    let lock = File::open(folder).map_err(|e| Error::io(folder, "open", e))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(fs::TryLockError::WouldBlock) => {
            let what = "another process is running this experiment";
            Err(Error::new(ErrorKind::Io, folder.display().to_string(), what)
                .help("wait for it, or choose another folder with `Options.out`"))
        }
        Err(fs::TryLockError::Error(e)) => Err(Error::io(folder, "lock", e)),
    }
}

/// A new run folder, or the existing one if it has these settings.
fn open(path: &Path, config: &RunConfig) -> Result<RunDir> {
    if !path.join("config.toml").exists() {
        return RunDir::create(path, config);
    }
    let (dir, found) = RunDir::open(path)?;
    if !found.trains_like(config) {
        return Err(Error::new(
            ErrorKind::Argument,
            path.display().to_string(),
            format!("was made with other settings: {}", differing(&found, config).join(", ")),
        )
        .help("use the same settings, delete the folder, or choose another folder with `Options.out`"));
    }
    Ok(dir)
}

/// The settings that differ, by name, with the old and the new value.
fn differing(found: &RunConfig, config: &RunConfig) -> Vec<String> {
    let [found, config] = [found, config].map(|config| match serde_json::to_value(config) {
        Ok(Value::Object(settings)) => settings,
        _ => unreachable!("a configuration is a table"),
    });
    let said = |value: Option<&Value>| match value {
        None | Some(Value::Null) => "unset".to_owned(),
        Some(value) => value.to_string(),
    };
    let names: BTreeSet<&String> = found.keys().chain(config.keys()).collect();
    let both = names.into_iter().map(|name| (name, said(found.get(name)), said(config.get(name))));
    both.filter(|(_, was, is)| was != is)
        .map(|(name, was, is)| format!("{name} was {was} and is now {is}"))
        .collect()
}

fn measured(experiment: &Experiment, runs: &[(PathBuf, RunConfig)], done: &[Done]) -> Result<SeedResult> {
    let config = &runs[0].1;
    let figures = experiment.figures.iter().map(|figure| {
        let share = match figure.measure {
            Measure::Best => done[0].outcome.best.first(),
            Measure::BestOfSecond => done[done.len() - 1].outcome.best.first(),
            Measure::Last(split) => {
                last(runs)?.evaluate(split, config.val_batch_size, |_, _| Ok(()))?.scores().first()
            }
            Measure::AllObject => all_object(&last(runs)?)?,
        };
        Ok(100.0 * share)
    });
    let figures = figures.collect::<Result<_>>()?;
    let seconds: f64 = done.iter().map(|done| done.outcome.seconds).sum();
    let samples: usize =
        done.iter().zip(runs).map(|(done, (_, config))| done.train_images * config.epochs).sum();
    let curves = runs.iter().map(|(path, _)| Ok(Curves::of(&RunDir::history(path)?)));
    let (batch_loss, last_batch_loss) = losses(&runs[0].0)?;
    Ok(SeedResult {
        id: experiment.id.to_owned(),
        seed: config.seed,
        figures,
        seconds,
        epochs: config.epochs,
        fraction: config.fraction,
        width: config.width,
        masks: config.masks,
        images_per_second: samples as f64 / seconds,
        machine: machine(),
        simd: Simd::from_environment()?.to_string(),
        device: config.device.clone(),
        threads: config.threads,
        receptive: env!("CARGO_PKG_VERSION").to_owned(),
        commit: env!("RECEPTIVE_COMMIT").to_owned(),
        torch: None,
        config: without_paths(config),
        curves: curves.collect::<Result<_>>()?,
        batch_loss,
        last_batch_loss,
        folder: PathBuf::new(),
    })
}

/// The settings as JSON, without this machine's folders.
fn without_paths(config: &RunConfig) -> Value {
    let config = RunConfig { data_dir: None, init: None, ..config.clone() };
    serde_json::to_value(config).expect("a configuration has a JSON form")
}

fn machine() -> String {
    let Machine { cpu, cores, .. } = Machine::detect();
    format!("{}, {cores} cores", cpu.as_deref().unwrap_or("unknown processor"))
}

/// The network with the weights after the last step.
fn last(runs: &[(PathBuf, RunConfig)]) -> Result<Trained> {
    let (path, config) = &runs[runs.len() - 1];
    Trained::with(config.clone(), &path.join("last.safetensors"), true)
}

/// Mean Dice on the test images if every pixel is predicted as object.
fn all_object(trained: &Trained) -> Result<f64> {
    let loader = trained.loader(Split::Test, trained.config.val_batch_size)?;
    let mut sum = 0.0;
    for batch in loader.epoch(0, 0)? {
        let batch = batch?;
        let masks = batch.targets.to_f64()?;
        for mask in masks.chunks_exact((masks.len() / batch.len()).max(1)) {
            let object = mask.iter().filter(|&&pixel| trained.config.masks.is_object(pixel)).count() as u64;
            sum += Overlap::of(object, mask.len() as u64, object).dice;
        }
    }
    Ok(sum / loader.samples() as f64)
}
