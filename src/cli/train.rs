//! `receptive train`: a model name is enough. All other settings have the defaults of the model's notebook.

use super::args::NetworkArgs;
use super::profile::{ProfileArgs, Watched};
use super::progress::Progress;
use crate::ErrorKind;
use crate::core::text::four_decimals;
use crate::core::{Error, Named};
use crate::data::{DataDirs, find};
use crate::models::{Network, OptimizerKind};
use crate::train::live::{RunEnd, Server};
use crate::train::{Callback, Done, Outcome, Overlap, RunConfig, RunDir, longer, moved, train};
use anyhow::bail;
use clap::parser::ValueSource;
use clap::{ArgMatches, Command, FromArgMatches};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Train a network, and keep its weights, metrics and pictures in a run folder.
#[derive(Debug, clap::Args)]
#[command(allow_negative_numbers = true, mut_args = not_with_resume)]
pub struct TrainArgs {
    #[command(flatten)]
    network: NetworkArgs,
    /// Continue a stopped run; all settings come from its folder. --epochs N trains it longer; --data or --data-dir
    /// gives a new place of its data
    #[arg(long, value_name = "DIR")]
    resume: Option<PathBuf>,
    /// With --resume: continue with the data as they are now, even if they changed since training started
    #[arg(long, requires = "resume")]
    accept_changed_data: bool,
    #[command(flatten)]
    settings: Said,
    /// The run folder [default: runs/MODEL-DATA-N]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Follow, pause and stop the run in a browser, on a page for this machine only, at PORT or at a free port
    #[arg(long, value_name = "PORT", num_args = 0..=1, value_parser = port, conflicts_with = "profile")]
    live: Option<Option<u16>>,
    #[command(flatten)]
    profile: ProfileArgs,
    /// Print one JSON object on stdout, everything else on stderr
    #[arg(long)]
    json: bool,
}

fn port(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| "expected a port, 0 to 65535; MODEL must come before --live".to_owned())
}

/// A resumed run takes everything from its folder. So other settings together with `--resume` are refused: they would
/// be ignored silently.
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

/// The settings given on the command line. [`RunConfig`] defines their flags.
#[derive(Debug)]
struct Said(ArgMatches);

impl clap::Args for Said {
    fn augment_args(command: Command) -> Command {
        // No flag is required: a missing setting has the network's own default.
        RunConfig::augment_args_for_update(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        RunConfig::augment_args_for_update(command)
    }
}

impl FromArgMatches for Said {
    /// The defaults of the flags exist only for the help.
    fn from_arg_matches(matches: &ArgMatches) -> Result<Said, clap::Error> {
        let mut said = matches.clone();
        for id in matches.ids().map(clap::Id::as_str) {
            if matches.value_source(id) != Some(ValueSource::CommandLine) {
                let _ = said.try_clear_id(id);
            }
        }
        Ok(Said(said))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Said::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Said {
    /// The value given for the setting with this name.
    fn of<T: Clone + Send + Sync + 'static>(&self, name: &str) -> Option<T> {
        self.0.get_one(name).cloned()
    }
}

/// Runs the command.
pub fn run(args: TrainArgs) -> anyhow::Result<()> {
    let say = if args.json { super::say_on_stderr } else { super::say };
    let stop = super::interrupt()?;
    // Check the port before the run is created.
    let live = args
        .live
        .map(|port| Server::start(port.unwrap_or(0), Arc::clone(&stop), super::say_on_stderr))
        .transpose()?;
    let said = &args.settings;
    let inputs = [args.network.inputs(), said.of("init").as_slice()].concat();
    let (folder, config) = match &args.resume {
        Some(path) => {
            let (folder, config) = RunDir::open(path)?;
            if args.accept_changed_data {
                folder.accept_changed_data();
            }
            let data = said.of("data").map(|data: String| data_folder(&data)).transpose()?;
            let (folder, config) = moved(folder, config, data, absolute(said.of("data_dir"))?)?;
            match said.of("epochs") {
                Some(epochs) => longer(folder, config, epochs)?,
                None => (folder, config),
            }
        }
        None => {
            let config = configure(&args, say)?;
            config.check()?;
            let folder = match &args.out {
                Some(path) => RunDir::create(path, &config)?,
                None => create_free(&config)?,
            };
            (folder, config)
        }
    };
    // After the folder is created, because the profile may be written into it.
    let trained = match args.profile.watch(&inputs, say) {
        Ok(profile) => session(&folder, config, stop, live, profile, say),
        Err(error) => Err(error.into()),
    };
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

/// Converts a data folder to its whole path, because a run may be resumed from elsewhere. The name of a set is not
/// changed.
fn data_folder(data: &str) -> std::io::Result<String> {
    match Path::new(data).is_dir() {
        true => Ok(std::path::absolute(data)?.display().to_string()),
        false => Ok(data.to_owned()),
    }
}

fn absolute(path: Option<PathBuf>) -> std::io::Result<Option<PathBuf>> {
    path.map(std::path::absolute).transpose()
}

/// The model's defaults, overridden by the flags.
fn configure(args: &TrainArgs, say: fn(&str)) -> anyhow::Result<RunConfig> {
    let (network, said) = (args.network.open()?, &args.settings);
    let data = data_folder(&data_set(said, &network, say)?)?;
    let mut config = RunConfig::new(&network, &data);
    let (optimizer, momentum) = (said.of("optimizer"), said.of::<f64>("momentum"));
    if let Some(optimizer) = optimizer {
        config.set_optimizer(optimizer);
    }
    if momentum.is_some() && config.optimizer != OptimizerKind::Sgd {
        let what = format!("works only with sgd, not with {}", config.optimizer.name());
        bail!(Error::argument("--momentum", what).help("omit it, or add --optimizer sgd"));
    }
    // The notebook's Nesterov setting is only valid for the notebook's optimiser and momentum.
    config.nesterov &= optimizer.is_none() && momentum.is_none();
    config.update_from_arg_matches(&said.0)?;
    Ok(RunConfig {
        width: args.network.width,
        layers: args.network.layers.clone(),
        data,
        data_dir: absolute(config.data_dir)?,
        init: absolute(config.init)?,
        ..config
    })
}

/// The value of `--data`; or the notebook's set, if it is on this machine; or the embedded sample.
fn data_set(said: &Said, network: &Network, say: fn(&str)) -> anyhow::Result<String> {
    if let Some(data) = said.of("data") {
        return Ok(data);
    }
    let wanted = &*network.recipe.data;
    match find(wanted, &DataDirs::from_env(said.of::<PathBuf>("data_dir").as_deref())) {
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

/// Creates a run in the first free folder. If another start takes that folder first, the next one is tried.
fn create_free(config: &RunConfig) -> crate::Result<RunDir> {
    loop {
        match RunDir::create(&free_folder(config), config) {
            Err(error) if error.kind() == ErrorKind::Argument => {}
            created => return created,
        }
    }
}

/// `runs/lenet5-mnist-1`, or with the next free number.
fn free_folder(config: &RunConfig) -> PathBuf {
    let data = Path::new(&config.data).file_name().map_or("data".into(), |name| name.to_string_lossy());
    let path = |n| Path::new("runs").join(format!("{}-{data}-{n}", config.model));
    (1..).map(path).find(|path| !path.exists()).expect("some number is free")
}

/// Trains from the folder's position to the end.
fn session(
    folder: &RunDir,
    config: RunConfig,
    stop: Arc<AtomicBool>,
    live: Option<Server>,
    profile: Option<Watched>,
    say: fn(&str),
) -> anyhow::Result<Outcome> {
    let path = folder.path().display();
    let terminal = std::io::stderr().is_terminal();
    let mut watchers: Vec<Box<dyn Callback>> =
        vec![Box::new(Progress::new(terminal, config.log_interval, say))];
    if let Some(live) = &live {
        say(&format!("live: {}", live.url()));
        watchers.push(Box::new(live.callback(folder.path())));
    }
    let fate = profile.map(|Watched { callback, fate }| {
        watchers.push(Box::new(callback));
        fate
    });
    let result = train(folder, config, stop, watchers, &say);
    if let Some(live) = live {
        live.end(match &result {
            Ok(done) if done.outcome.finished => RunEnd::Finished,
            Ok(_) => RunEnd::Stopped,
            Err(_) => RunEnd::Failed,
        });
    }
    if result.is_err() && fate.as_ref().is_some_and(|fate| !fate.is_decided()) {
        say("there is no profile: the run failed before the profile was complete");
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Args as _;

    /// The settings of `receptive train` with these flags. The defaults come from `from`.
    fn parsed(from: &RunConfig, flags: &[&str]) -> RunConfig {
        let command = RunConfig::augment_args_for_update(Command::new("train"));
        let mut config = from.clone();
        config.update_from_arg_matches(&command.get_matches_from([&["train"], flags].concat())).unwrap();
        config
    }

    /// A default that the help shows must be the library's default, also for a flag that may be given without a value.
    #[test]
    fn the_defaults_shown_are_those_taken() {
        let plain = RunConfig::plain("lenet5", 1, 0.1);
        assert_eq!(parsed(&plain, &[]), plain);
        assert_eq!(parsed(&RunConfig { health: 0, ..plain.clone() }, &["--health"]), plain);
    }
}
