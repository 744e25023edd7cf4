//! `receptive train`: a model name is enough; everything else has its notebook's default.

use super::args::{KernelArgs, NetworkArgs};
use super::profile::{ProfileArgs, Watched};
use super::progress::Progress;
use crate::ErrorKind;
use crate::core::text::four_decimals;
use crate::core::{Error, Named};
use crate::data::{Augment, DataDirs, Normalization, catalog, find};
use crate::models::{Network, OptimizerKind};
use crate::nn::{Loss, Scheme};
use crate::optim::Decay;
use crate::train::live::{End, Server};
use crate::train::{
    Callback, Done, GraphMode, HEALTH_EVERY, Keep, Outcome, Overlap, RunConfig, RunDir, longer, moved, train,
};
use anyhow::bail;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Train a network; the run folder keeps its weights, metrics and pictures.
#[derive(Debug, clap::Args)]
#[command(allow_negative_numbers = true, mut_args = not_with_resume)]
pub struct Args {
    #[command(flatten)]
    network: NetworkArgs,
    /// Go on with a stopped run; everything is taken from its folder. With --epochs N train it longer; with --data or
    /// --data-dir find its data elsewhere
    #[arg(long, value_name = "DIR")]
    resume: Option<PathBuf>,
    /// With --resume: take the data as they are now, though they changed since training started
    #[arg(long, requires = "resume")]
    accept_changed_data: bool,
    #[command(flatten)]
    settings: Settings,
    /// Follow, pause and stop the run in a browser: a page on this machine only, at PORT or one that is free
    #[arg(long, value_name = "PORT", num_args = 0..=1, value_parser = port, conflicts_with = "profile")]
    live: Option<Option<u16>>,
    #[command(flatten)]
    profile: ProfileArgs,
    /// Print one JSON object on stdout, everything else on stderr
    #[arg(long)]
    json: bool,
}

fn port(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| "expected a port, 0 to 65535; MODEL goes before --live".to_owned())
}

/// A resumed run takes everything from its folder: a setting given beside it would be lost without a word.
fn not_with_resume(arg: clap::Arg) -> clap::Arg {
    match arg.get_id().as_str() {
        "resume"
        | "epochs"
        | "data"
        | "data_dir"
        | "accept_changed_data"
        | "live"
        | "profile"
        | "profile_steps"
        | "json" => arg,
        _ => arg.conflicts_with("resume"),
    }
}

/// All that a new run can be told.
#[derive(Debug, clap::Args)]
struct Settings {
    #[arg(long, help = format!("{}, or a folder of images [default: the notebook's, else the sample]", catalog::names()))]
    data: Option<String>,
    /// Folder that holds mnist/, cifar-10-batches-bin/, pets/, ...
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Times that every training image is seen [default: the notebook's]; with --resume: a larger number trains longer
    #[arg(long)]
    epochs: Option<usize>,
    /// Images of a training batch [default: the notebook's]
    #[arg(long)]
    batch_size: Option<usize>,
    /// Images of a validation batch [default: 250]
    #[arg(long)]
    val_batch_size: Option<usize>,
    /// nll, cross_entropy, bce_with_logits, dice or bce_dice [default: the network's own]
    #[arg(long)]
    loss: Option<Loss>,
    /// Of cross_entropy: spread this part of each target over all classes
    #[arg(long, value_name = "PART", default_value_t = 0.0)]
    label_smoothing: f64,
    /// What an image of each class weighs in the loss, in the classes' order: 1,2.5,1
    #[arg(long, value_name = "W,W,..", value_delimiter = ',')]
    class_weights: Option<Vec<f64>>,
    /// sgd, adam or adamw [default: the network's own]
    #[arg(long)]
    optimizer: Option<OptimizerKind>,
    /// Learning rate
    #[arg(long)]
    lr: Option<f64>,
    /// Momentum of sgd
    #[arg(long)]
    momentum: Option<f64>,
    /// Nesterov's momentum, of sgd
    #[arg(long)]
    nesterov: bool,
    /// L2 penalty; of adamw the decoupled decay
    #[arg(long)]
    weight_decay: Option<f64>,
    /// constant, step:EVERY:GAMMA, multistep:E1,E2:GAMMA, exponential:GAMMA, cosine, onecycle, triangle:EPOCH,
    /// plateau:PATIENCE:FACTOR, or warmup:STEPS/ or warmup:EPOCHSep/ before one of them: warmup:2ep/cosine
    #[arg(long)]
    scheduler: Option<String>,
    /// onecycle: leave momentum (of adam: beta1) as it is; without this flag it goes from 0.95 to 0.85 and back
    #[arg(long, requires = "scheduler")]
    no_cycle_momentum: bool,
    /// Decay weights only: neither biases nor the scales of norms
    #[arg(long)]
    decay_weights_only: bool,
    /// Scale gradients so that their joint norm is at most this
    #[arg(long, value_name = "NORM")]
    clip_norm: Option<f64>,
    /// Train on N images, the same number of each class
    #[arg(long, value_name = "N")]
    subset: Option<usize>,
    /// Batches whose gradients make one step
    #[arg(long, default_value_t = 1, value_name = "K")]
    accumulate: usize,
    /// End after N epochs without a better validation score
    #[arg(long, value_name = "N")]
    early_stop: Option<usize>,
    /// Which weights are tested in the end: best or last
    #[arg(long, value_enum, default_value_t = Keep::Best)]
    keep: Keep,
    /// Use this share of all images, of every class alike
    #[arg(long, value_name = "F")]
    fraction: Option<f64>,
    /// none, standard (pad, flip, crop) or cutout (the same and a hole) [default: as the notebook does]
    #[arg(long)]
    augment: Option<Augment>,
    /// on (the set's statistics), off (only / 255), half ((x - 0.5) / 0.5) or pixels (every pixel by its own) [default: as the notebook does]
    #[arg(long)]
    normalize: Option<Normalization>,
    /// Resize images to NxN [default: as the notebook does]
    #[arg(long, value_name = "N")]
    resize: Option<usize>,
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
    #[command(flatten)]
    kernels: KernelArgs,
    /// Capture a step as a CUDA graph and replay it: auto, on or off
    #[arg(long, default_value = "auto")]
    graph: GraphMode,
    /// Threads that read and prepare images
    #[arg(long, default_value_t = 1)]
    workers: usize,
    /// How weights are drawn: default, xavier, ... [default: as the notebook does]
    #[arg(long)]
    init_scheme: Option<Scheme>,
    /// Start from these weights (safetensors, PyTorch's names)
    #[arg(long, value_name = "FILE")]
    init: Option<PathBuf>,
    /// Load what matches of --init, list the rest
    #[arg(long, requires = "init")]
    init_partial: bool,
    /// Layers that stay as they are, each with all that is in it: encoder, conv1, layer1.0
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    freeze: Vec<String>,
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
    /// Sample every layer's health into health.jsonl every EVERY-th step; 0: never [default: 100]
    #[arg(long, value_name = "EVERY", num_args = 0..=1)]
    health: Option<Option<u64>>,
    /// The run folder [default: runs/MODEL-DATA-N]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<()> {
    let say = if args.json { super::say_on_stderr } else { super::say };
    let stop = super::interrupt()?;
    // A port that cannot be had is said before there is a run.
    let live = args
        .live
        .map(|port| Server::start(port.unwrap_or(0), Arc::clone(&stop), super::say_on_stderr))
        .transpose()?;
    let inputs = [args.network.inputs(), args.settings.init.as_slice()].concat();
    let (folder, config) = match &args.resume {
        Some(path) => {
            let (folder, config) = RunDir::open(path)?;
            if args.accept_changed_data {
                folder.accept_changed_data();
            }
            let (data, data_dir) = (&args.settings.data, &args.settings.data_dir);
            let data = data.as_deref().map(data_folder).transpose()?;
            let (folder, config) = moved(folder, config, data, absolute(data_dir)?)?;
            match args.settings.epochs {
                Some(epochs) => longer(folder, config, epochs)?,
                None => (folder, config),
            }
        }
        None => {
            let config = configure(&args.network.open()?, &args, say)?;
            config.check()?;
            let folder = match &args.settings.out {
                Some(path) => RunDir::create(path, &config)?,
                None => create_free(&config)?,
            };
            (folder, config)
        }
    };
    // After the folder is there: the profile may go into it.
    let trained = args
        .profile
        .watch(&inputs, say)
        .map_err(Into::into)
        .and_then(|profile| session(&folder, config, stop, (live, profile), say));
    let outcome = match trained {
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
        let Outcome { best, best_epoch, seconds, .. } = outcome;
        let mut object = serde_json::json!({
            "run": run, "best_accuracy": best.accuracy, "best_epoch": best_epoch, "seconds": seconds
        });
        if let Some(Overlap { dice, iou }) = best.overlap {
            object["best_dice"] = dice.into();
            object["best_iou"] = iou.into();
        }
        super::print_line(&object.to_string())?;
    }
    Ok(())
}

/// A folder of data by its whole path: a run may be resumed from elsewhere. A set's name stays.
fn data_folder(data: &str) -> std::io::Result<String> {
    match Path::new(data).is_dir() {
        true => Ok(std::path::absolute(data)?.display().to_string()),
        false => Ok(data.to_owned()),
    }
}

fn absolute(path: &Option<PathBuf>) -> std::io::Result<Option<PathBuf>> {
    path.as_deref().map(std::path::absolute).transpose()
}

/// The flags over the model's defaults.
fn configure(network: &Network, args: &Args, say: fn(&str)) -> anyhow::Result<RunConfig> {
    let (width, args) = (args.network.width, &args.settings);
    let data = data_folder(&data_set(args, network, say)?)?;
    let mut config = RunConfig::new(network, &data);
    if let Some(optimizer) = args.optimizer {
        config.set_optimizer(optimizer);
    }
    let set = |value: Option<usize>, target: &mut usize| *target = value.unwrap_or(*target);
    set(args.epochs, &mut config.epochs);
    set(args.batch_size, &mut config.batch_size);
    set(args.val_batch_size, &mut config.val_batch_size);
    config.lr = args.lr.unwrap_or(config.lr);
    if args.momentum.is_some() && config.optimizer != OptimizerKind::Sgd {
        let what = format!("is a setting of sgd, not of {}", config.optimizer.name());
        bail!(Error::argument("--momentum", what).help("leave it away, or add --optimizer sgd"));
    }
    config.momentum = args.momentum.unwrap_or(config.momentum);
    config.scheduler = args.scheduler.clone().unwrap_or(config.scheduler);
    config.weight_decay = args.weight_decay.unwrap_or(config.weight_decay);
    config.augment = args.augment.unwrap_or(config.augment);
    config.normalize = args.normalize.unwrap_or(config.normalize);
    config.scheme = args.init_scheme.unwrap_or(config.scheme);
    // The notebook's Nesterov belongs to its own optimiser and momentum.
    config.nesterov &= args.optimizer.is_none() && args.momentum.is_none();
    Ok(RunConfig {
        data_dir: absolute(&args.data_dir)?,
        width,
        loss: args.loss,
        label_smoothing: args.label_smoothing,
        class_weights: args.class_weights.clone(),
        nesterov: args.nesterov || config.nesterov,
        decay: if args.decay_weights_only { Decay::WeightsOnly } else { Decay::All },
        cycle_momentum: !args.no_cycle_momentum,
        clip_norm: args.clip_norm,
        accumulate: args.accumulate,
        early_stop: args.early_stop,
        keep: args.keep,
        subset: args.subset,
        fraction: args.fraction,
        resize: args.resize.or(config.resize),
        workers: args.workers,
        freeze: args.freeze.clone(),
        classes: args.classes,
        seed: args.seed,
        device: args.device.clone(),
        threads: args.threads,
        precision: args.kernels.precision,
        gemm_rung: args.kernels.gemm_rung,
        conv_rung: args.kernels.conv_rung,
        graph: args.graph,
        init: absolute(&args.init)?,
        init_partial: args.init_partial,
        shuffle: !args.no_shuffle,
        max_steps: args.max_steps,
        log_steps: args.log_steps,
        log_interval: args.log_interval,
        health: args.health.map_or(config.health, |every| every.unwrap_or(HEALTH_EVERY)),
        ..config
    })
}

/// `--data`, or the notebook's set where it is on this machine, or the embedded sample.
fn data_set(args: &Settings, network: &Network, say: fn(&str)) -> anyhow::Result<String> {
    if let Some(data) = &args.data {
        return Ok(data.clone());
    }
    let wanted = &*network.recipe.data;
    match find(wanted, &DataDirs::from_env(args.data_dir.as_deref())) {
        Ok(()) => Ok(wanted.to_owned()),
        Err(e) if e.kind() == ErrorKind::Missing && !network.loss.takes_masks() => {
            say(&format!(
                "{wanted} is not on this machine: training on the embedded sample of Fashion-MNIST."
            ));
            say(&format!("To get it: receptive data fetch {wanted}"));
            Ok("sample".to_owned())
        }
        Err(e) => Err(e.into()),
    }
}

/// A new run in the first free folder. Another start may take it in between: then the next one.
fn create_free(config: &RunConfig) -> crate::Result<RunDir> {
    loop {
        match RunDir::create(&free_folder(config), config) {
            Err(error) if error.kind() == ErrorKind::Argument => {}
            created => return created,
        }
    }
}

/// `runs/lenet5-mnist-1`, or the next number that is free.
fn free_folder(config: &RunConfig) -> PathBuf {
    let data = Path::new(&config.data).file_name().map_or("data".into(), |name| name.to_string_lossy());
    let path = |n| Path::new("runs").join(format!("{}-{data}-{n}", config.model));
    (1..).map(path).find(|path| !path.exists()).expect("some number is free")
}

/// Trains from where the folder is to the end.
fn session(
    folder: &RunDir,
    config: RunConfig,
    stop: Arc<AtomicBool>,
    (live, profile): (Option<Server>, Option<Watched>),
    say: fn(&str),
) -> anyhow::Result<Outcome> {
    let path = folder.path().display();
    let terminal = std::io::stderr().is_terminal();
    let mut watchers: Vec<Box<dyn Callback>> =
        vec![Box::new(Progress::new(terminal, config.log_interval, say))];
    if let Some(live) = &live {
        say(&format!("live: {}", live.url()));
        watchers.push(Box::new(live.follower(folder.path())));
    }
    let fate = profile.map(|Watched { callback, fate }| {
        watchers.push(Box::new(callback));
        fate
    });
    let result = train(folder, config, stop, watchers, &say);
    if let Some(live) = live {
        live.end(match &result {
            Ok(done) if done.outcome.finished => End::Finished,
            Ok(_) => End::Stopped,
            Err(_) => End::Failed,
        });
    }
    if result.is_err() && fate.as_ref().is_some_and(|fate| !fate.is_decided()) {
        say("there is no profile: the run failed before it was complete");
    }
    let Done { outcome, test, .. } = result?;
    if !outcome.finished {
        bail!(super::Stopped(format!("stopped; go on with: receptive train --resume {path}")));
    }
    let Outcome { best, best_epoch, seconds, .. } = outcome;
    say(&format!("best validation {best} in epoch {}, {seconds:.1} s in all", best_epoch + 1));
    if let Some(test) = test {
        say(&format!("test: {}, loss {}", test.scores(), four_decimals(test.mean_loss())));
    }
    say(&format!("weights, metrics and pictures are in {path}"));
    fate.map_or(Ok(()), |fate| fate.end())?;
    Ok(outcome)
}
