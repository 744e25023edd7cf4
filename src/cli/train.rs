//! `receptive train`: a model name is enough; everything else has its notebook's default.

use super::args::{Switch, model_help};
use super::progress::Progress;
use crate::ErrorKind;
use crate::data::{DataDirs, find};
use crate::models::{self, Network, OptimizerKind};
use crate::train::{Checkpoint, Outcome, RunConfig, RunDir, Setup, evaluate};
use anyhow::{Context, bail};
use clap::ValueEnum;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OptimizerArg {
    Sgd,
    Adam,
    Adamw,
}

/// Train a network; the run folder keeps its weights, metrics and curves.
#[derive(Debug, clap::Args)]
#[command(allow_negative_numbers = true, mut_args = not_with_resume)]
pub struct Args {
    #[arg(required_unless_present_any = ["resume", "arch"], help = model_help())]
    model: Option<String>,
    /// Go on with a stopped run; everything is taken from its folder
    #[arg(long, value_name = "DIR")]
    resume: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    later: Later,
    /// Print one JSON object on stdout, everything else on stderr
    #[arg(long)]
    json: bool,
}

/// A resumed run takes everything from its folder: a setting given beside it would be lost without a word.
fn not_with_resume(arg: clap::Arg) -> clap::Arg {
    match arg.get_id().as_str() {
        "resume" | "json" => arg,
        _ => arg.conflicts_with("resume"),
    }
}

/// All that a new run can be told.
#[derive(Debug, clap::Args)]
struct Settings {
    /// sample, mnist, fashion-mnist, or a folder of IDX files [default: the notebook's, else the sample]
    #[arg(long)]
    data: Option<String>,
    /// Folder that holds mnist/, fashion-mnist/, ...
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[arg(long)]
    epochs: Option<usize>,
    #[arg(long)]
    batch_size: Option<usize>,
    #[arg(long)]
    val_batch_size: Option<usize>,
    #[arg(long, value_enum)]
    optimizer: Option<OptimizerArg>,
    /// Learning rate
    #[arg(long)]
    lr: Option<f64>,
    /// Momentum of sgd
    #[arg(long)]
    momentum: Option<f64>,
    #[arg(long)]
    nesterov: bool,
    #[arg(long, default_value_t = 0.0)]
    weight_decay: f64,
    /// constant, step:EVERY:GAMMA, multistep:E1,E2:GAMMA, exponential:GAMMA, cosine, onecycle, triangle:EPOCH,
    /// plateau:PATIENCE:FACTOR, or warmup:STEPS/REST before any of them
    #[arg(long)]
    scheduler: Option<String>,
    /// Scale gradients so that their joint norm is at most this
    #[arg(long, value_name = "NORM")]
    clip_norm: Option<f64>,
    /// Train on N images, the same number of each class
    #[arg(long, value_name = "N")]
    subset: Option<usize>,
    /// none or standard
    #[arg(long, default_value = "none")]
    augment: String,
    /// Normalise by the set's statistics [default: as the notebook does]
    #[arg(long, value_enum)]
    normalize: Option<Switch>,
    /// Number of outputs [default: the set's classes]
    #[arg(long)]
    classes: Option<usize>,
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    device: String,
    /// Threads [default: one for each core]
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    threads: usize,
    #[arg(long, default_value = "f32")]
    precision: String,
    /// Start from these weights (safetensors, PyTorch's names)
    #[arg(long, value_name = "FILE")]
    init: Option<PathBuf>,
    /// Load what matches of --init, list the rest
    #[arg(long, requires = "init")]
    init_partial: bool,
    /// Take the images in file order
    #[arg(long)]
    no_shuffle: bool,
    /// End after this many optimiser steps
    #[arg(long, value_name = "N")]
    max_steps: Option<u64>,
    /// Write every step's loss to metrics.jsonl
    #[arg(long)]
    log_steps: bool,
    /// Print results every N epochs
    #[arg(long, default_value_t = 1)]
    log_interval: usize,
    /// The run folder [default: runs/MODEL-DATA-N]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Flags of the command line's contract whose features are still to come: they are answered, not unknown.
#[derive(Debug, clap::Args)]
struct Later {
    #[arg(long, value_name = "N", hide = true)]
    resize: Option<usize>,
    #[arg(long, value_name = "PORT", num_args = 0..=1, hide = true)]
    live: Option<Option<u16>>,
    #[arg(long, value_name = "FILE", hide = true)]
    arch: Option<PathBuf>,
}

impl Later {
    fn refuse(&self) -> anyhow::Result<()> {
        let given =
            [("resize", self.resize.is_some()), ("live", self.live.is_some()), ("arch", self.arch.is_some())];
        match given.iter().find(|(_, given)| *given) {
            Some((flag, _)) => bail!("--{flag}: is not available in this version\n  help: leave it away"),
            None => Ok(()),
        }
    }
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<()> {
    let say = if args.json { super::say_on_stderr } else { super::say };
    let (folder, config) = match &args.resume {
        Some(path) => RunDir::open(path)?,
        None => {
            args.later.refuse()?;
            let model = args.model.as_deref().context("a model name is required")?;
            let config = configure(&models::find(model)?, &args.settings, say)?;
            config.check()?;
            let path = args.settings.out.unwrap_or_else(|| free_folder(&config));
            (RunDir::create(&path, &config)?, config)
        }
    };
    let outcome = match session(&folder, config, say) {
        Ok(outcome) => outcome,
        Err(error) => {
            if args.resume.is_none() {
                folder.discard_unbegun();
            }
            return Err(error);
        }
    };
    if args.json {
        let run = folder.path().display().to_string();
        let Outcome { best_accuracy, best_epoch, seconds, .. } = outcome;
        let object = serde_json::json!({
            "run": run, "best_accuracy": best_accuracy, "best_epoch": best_epoch, "seconds": seconds
        });
        super::print_line(&object.to_string())?;
    }
    Ok(())
}

/// The flags over the model's defaults.
fn configure(network: &Network, args: &Settings, say: fn(&str)) -> anyhow::Result<RunConfig> {
    let mut data = data_set(args, network, say)?;
    if Path::new(&data).is_dir() {
        data = std::path::absolute(&data)?.display().to_string();
    }
    let absolute = |path: &Option<PathBuf>| path.as_deref().map(std::path::absolute).transpose();
    let mut config = RunConfig::new(network, &data);
    if let Some(optimizer) = args.optimizer {
        config.set_optimizer(optimizer.into());
    }
    let set = |value: Option<usize>, target: &mut usize| *target = value.unwrap_or(*target);
    set(args.epochs, &mut config.epochs);
    set(args.batch_size, &mut config.batch_size);
    set(args.val_batch_size, &mut config.val_batch_size);
    config.lr = args.lr.unwrap_or(config.lr);
    config.momentum = args.momentum.unwrap_or(config.momentum);
    config.scheduler = args.scheduler.clone().unwrap_or(config.scheduler);
    Ok(RunConfig {
        data_dir: absolute(&args.data_dir)?,
        nesterov: args.nesterov,
        weight_decay: args.weight_decay,
        clip_norm: args.clip_norm,
        subset: args.subset,
        augment: args.augment.clone(),
        normalize: args.normalize.map(|switch| switch == Switch::On),
        classes: args.classes,
        seed: args.seed,
        device: args.device.clone(),
        threads: args.threads,
        precision: args.precision.clone(),
        init: absolute(&args.init)?,
        init_partial: args.init_partial,
        shuffle: !args.no_shuffle,
        max_steps: args.max_steps,
        log_steps: args.log_steps,
        log_interval: args.log_interval,
        ..config
    })
}

impl From<OptimizerArg> for OptimizerKind {
    fn from(arg: OptimizerArg) -> OptimizerKind {
        match arg {
            OptimizerArg::Sgd => OptimizerKind::Sgd,
            OptimizerArg::Adam => OptimizerKind::Adam,
            OptimizerArg::Adamw => OptimizerKind::Adamw,
        }
    }
}

/// `--data`, or the notebook's set where it is on this machine, or the embedded sample.
fn data_set(args: &Settings, network: &Network, say: fn(&str)) -> anyhow::Result<String> {
    if let Some(data) = &args.data {
        return Ok(data.clone());
    }
    let wanted = &*network.recipe.data;
    match find(wanted, &DataDirs::from_env(args.data_dir.as_deref())) {
        Ok(()) => Ok(wanted.to_owned()),
        Err(e) if e.kind() == ErrorKind::Missing => {
            say(&format!(
                "{wanted} is not on this machine: training on the embedded sample of Fashion-MNIST."
            ));
            say(&format!("To get it: receptive data fetch {wanted}"));
            Ok("sample".to_owned())
        }
        Err(e) => Err(e.into()),
    }
}

/// `runs/lenet5-mnist-1`, or the next number that is free.
fn free_folder(config: &RunConfig) -> PathBuf {
    let data = Path::new(&config.data).file_name().map_or("data".into(), |name| name.to_string_lossy());
    let path = |n| Path::new("runs").join(format!("{}-{data}-{n}", config.model));
    (1..).map(path).find(|path| !path.exists()).expect("some number is free")
}

/// Trains from where the folder is to the end.
fn session(folder: &RunDir, config: RunConfig, say: fn(&str)) -> anyhow::Result<Outcome> {
    let setup = Setup::new(config)?;
    let config = &setup.config;
    let path = folder.path().display();
    let mut trainer = setup.trainer()?;
    let mut metrics_bytes = 0;
    if folder.checkpoint().exists() {
        let checkpoint = Checkpoint::load(&folder.checkpoint(), &setup.device)?;
        metrics_bytes = checkpoint.metrics_bytes;
        checkpoint.restore(&mut trainer)?;
        if trainer.state.finished {
            let best = trainer.state.best.as_ref().map_or(0.0, |best| best.accuracy);
            say(&format!("{path} is finished: best validation accuracy {:.2} %", 100.0 * best));
            return Ok(trainer.outcome());
        }
        say(&format!("going on with {path} after step {}", trainer.state.step));
    } else if let Some(report) = setup.load_init()? {
        report.lines().iter().for_each(|line| say(&format!("--init: {line}")));
    }
    say(&headline(&setup));
    let stop = interrupt()?;
    let title = format!("{} on {}", config.model, config.data);
    let recorder = folder.recorder(title, config.log_steps, metrics_bytes, Arc::clone(&stop))?;
    let terminal = std::io::stderr().is_terminal();
    let mut trainer = trainer.callback(recorder).callback(Progress::new(terminal, config.log_interval, say));
    let (train, val) = setup.loaders()?;
    let outcome = setup.device.install(|| trainer.fit(&train, &val))?;
    if !outcome.finished {
        bail!("stopped after step {}; go on with: receptive train --resume {path}", trainer.state.step);
    }
    let Outcome { best_accuracy, best_epoch, seconds, .. } = outcome;
    say(&format!(
        "best validation accuracy {:.2} % in epoch {}, {seconds:.1} s in all",
        100.0 * best_accuracy,
        best_epoch + 1
    ));
    if let Some(test) = &setup.splits.test {
        let loader = setup.in_order(test)?;
        let go_on = |_| Ok(crate::train::Flow::Continue);
        let tally =
            evaluate(&*setup.model, &config.model, setup.network.loss, &loader, go_on)?.unwrap_or_default();
        let (accuracy, loss) = (100.0 * tally.accuracy(), tally.mean_loss());
        say(&format!("test accuracy of these weights {accuracy:.2} %, loss {loss:.4}"));
    }
    say(&format!("weights, metrics and curves are in {path}"));
    Ok(outcome)
}

fn headline(setup: &Setup) -> String {
    use crate::nn::ModuleExt;
    let (c, data) = (&setup.config, &setup.splits);
    format!(
        "{}: {} parameters, {} training and {} validation images of {}, batch {}, {:?} {}",
        c.model,
        setup.model.num_parameters(),
        setup.train.len(),
        data.val.len(),
        data.name,
        c.batch_size,
        c.optimizer,
        c.lr
    )
}

/// A flag that the first Ctrl-C raises; the second one ends the process.
fn interrupt() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if raised.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        eprintln!("stopping after this step; once more to stop at once");
    })
    .context("cannot listen for Ctrl-C")?;
    Ok(stop)
}
