//! `receptive reproduce`: runs the notebooks' experiments, each with one command.

use super::args::DeviceArgs;
use super::progress::Progress;
use super::{experiments, interrupt, print_line, say, say_on_stderr};
use crate::ErrorKind;
use crate::data::Masks;
use crate::io::write_atomically;
use crate::reproduce::{
    EXPERIMENTS, Experiment, ExperimentReport, Options, RecordedResults, curve_gaps, draw_experiment, find,
    list, run as run_one,
};
use anyhow::bail;
use std::io::IsTerminal;
use std::path::PathBuf;

/// Run the notebooks' experiments with their settings, and compare the results with theirs.
///
/// A finished experiment is not run again; a stopped one continues. The table is also written to results.md and
/// results.json in the folder. An experiment's folder contains ordinary run folders, for eval, predict and inspect;
/// their paths are printed. Two published figures are from two runs of the same notebook.
#[derive(Debug, clap::Args)]
pub struct ReproduceArgs {
    /// Experiments, for example M7; `all` for all of them
    #[arg(required_unless_present = "list", value_name = "ID")]
    ids: Vec<String>,
    /// Show all experiments with this machine's last results
    #[arg(long, conflicts_with = "ids")]
    list: bool,
    /// Show all settings of the experiments and what was published; train nothing
    #[arg(long, conflicts_with_all = ["list", "seeds"])]
    show: bool,
    /// Train this many epochs instead of the notebook's
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// Run K seeds: 0 to K - 1
    #[arg(long, default_value_t = 1, value_name = "K", value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// Run only this seed
    #[arg(long, value_name = "S", conflicts_with_all = ["seeds", "list", "show"])]
    seed: Option<u64>,
    /// Use this fraction of the images, the same for every class
    #[arg(long, value_name = "F")]
    fraction: Option<f64>,
    /// Channels of the first stage, for networks that let you choose them
    #[arg(long, value_name = "N")]
    width: Option<usize>,
    /// Run a short version of each experiment, for a first look; `all --quick` takes about ten minutes
    #[arg(long, conflicts_with_all = ["epochs", "fraction", "width", "list", "show"])]
    quick: bool,
    /// Targets of a network that predicts masks: binary (pet 1, background 0) or raw (trimap / 255, as in the notebook)
    #[arg(long, default_value_t = Masks::Binary)]
    masks: Masks,
    /// Folder that holds mnist/, cifar-10-batches-bin/, pets/, ...
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArgs,
    /// Folder for the runs and the table
    #[arg(long, value_name = "DIR", default_value = "runs/reproduce")]
    out: PathBuf,
    /// Print one JSON object on stdout, everything else on stderr
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
///
/// # Errors
/// An unknown experiment; missing data; a folder that cannot be written.
pub fn run(args: ReproduceArgs) -> anyhow::Result<()> {
    if args.list {
        return print(&list(&args.out)?, &RecordedResults::embedded(), args.json);
    }
    let chosen = chosen(&args.ids)?;
    let say = if args.json { say_on_stderr } else { say };
    let options = Options {
        out: args.out,
        epochs: args.epochs,
        fraction: args.fraction,
        width: args.width,
        masks: args.masks,
        data_dir: args.data_dir.as_deref().map(std::path::absolute).transpose()?,
        device: args.device.name().to_owned(),
        threads: args.device.threads(),
    };
    if args.show {
        return show(&chosen, &options, args.json);
    }
    let stop = interrupt()?;
    let terminal = std::io::stderr().is_terminal();
    let mut report = ExperimentReport { rows: Vec::new() };
    let (several, mut missing) = (chosen.len() > 1, Vec::new());
    'experiments: for experiment in chosen {
        let mut results = Vec::new();
        let options = if args.quick { options.quick(experiment) } else { options.clone() };
        for seed in args.seed.map_or(0..=args.seeds - 1, |seed| seed..=seed) {
            say(&format!(
                "{} with seed {seed}: {}",
                experiment.id,
                options.folder(experiment, seed).display()
            ));
            let watch = |config: &crate::train::RunConfig| Progress::new(terminal, config.log_interval, say);
            match run_one(experiment, seed, &options, &stop, watch, &say) {
                Ok(Ok(result)) => results.push(result),
                Err(error) if several && error.kind() == ErrorKind::Missing => {
                    say(&format!("not run: {error}"));
                    missing.push(experiment.id);
                    continue 'experiments;
                }
                Err(error) => return Err(error.into()),
                Ok(Err(stopped)) => {
                    bail!(super::Stopped(format!(
                        "stopped in {}; to continue, run the same command again",
                        stopped.0.display()
                    )))
                }
            }
        }
        report.rows.extend(ExperimentReport::of(experiment, &results)?.rows);
        report.write(&options.out)?;
        if let Some(svg) = draw_experiment(experiment, &results) {
            let file = options.out.join(format!("{}.svg", experiment.id));
            write_atomically(&file, svg.as_bytes())?;
            let gaps = curve_gaps(experiment, &results);
            if !gaps.is_empty() {
                let n = results.len();
                let seeds = if n == 1 { "one seed".to_owned() } else { format!("mean of {n} seeds") };
                say(&format!("the largest gaps to the notebook's printed curves ({seeds}):"));
                gaps.iter().for_each(|gap| say(&format!("  {}", gap.describe())));
            }
            say(&format!("the curves are in {}", file.display()));
        }
    }
    if missing.is_empty() || !report.rows.is_empty() {
        print(&report, &RecordedResults::default(), args.json)?;
    }
    let runs = experiments::runs(&report, &options.out);
    if !args.json && !runs.is_empty() {
        print_line(&format!("\nrun folders, for eval, predict and inspect:\n{}", runs.join("\n")))?;
    }
    if !missing.is_empty() {
        bail!("not run, because the data are not on this machine: {}", missing.join(", "));
    }
    Ok(())
}

fn chosen(ids: &[String]) -> crate::Result<Vec<&'static Experiment>> {
    match ids {
        [all] if all == "all" => Ok(EXPERIMENTS.iter().collect()),
        _ => {
            let mut chosen: Vec<&Experiment> = Vec::new();
            for id in ids {
                let experiment = find(id)?;
                if chosen.iter().all(|known| known.id != experiment.id) {
                    chosen.push(experiment);
                }
            }
            Ok(chosen)
        }
    }
}

fn print(report: &ExperimentReport, recorded: &RecordedResults, json: bool) -> anyhow::Result<()> {
    if json {
        let mut object = serde_json::to_value(report)?;
        if *recorded != RecordedResults::default() {
            object["recorded"] = serde_json::to_value(recorded.all_rows()?)?;
        }
        return print_line(&object.to_string());
    }
    print_line(&experiments::list(report, recorded)?)
}

fn show(chosen: &[&'static Experiment], options: &Options, json: bool) -> anyhow::Result<()> {
    if json {
        let all = chosen.iter().map(|experiment| experiments::show_json(experiment, options));
        return print_line(
            &serde_json::json!({ "experiments": all.collect::<crate::Result<Vec<_>>>()? }).to_string(),
        );
    }
    for (i, experiment) in chosen.iter().enumerate() {
        let gap = if i > 0 { "\n" } else { "" };
        print_line(&format!("{gap}{}", experiments::show(experiment, options)?))?;
    }
    Ok(())
}
