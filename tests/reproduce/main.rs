//! Tests of the notebooks' experiments: the table is consistent, and a row can run, stop, continue and be compared.

#[path = "../data/files.rs"]
mod files;
mod recorded;

use receptive::data::{Augment, Masks, Normalization, Normalize, SETS};
use receptive::inspect::summary;
use receptive::models::ModelConfig;
use receptive::reproduce::{EXPERIMENTS, Experiment, Measure, Options, SeedResult, StoppedRun, find, run};
use receptive::train::{Callback, Flow, RunConfig, StepReport, Trainer};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn the_table_is_sound() {
    let ids: BTreeSet<&str> = EXPERIMENTS.iter().map(|row| row.id).collect();
    assert_eq!((ids.len(), EXPERIMENTS.len()), (26, 26));
    for row in EXPERIMENTS {
        let id = row.id;
        let labels: BTreeSet<&str> = row.figures.iter().map(|figure| figure.label).collect();
        assert!(!labels.is_empty() && labels.len() == row.figures.len(), "{id}: two figures have one label");
        for figure in row.figures {
            let second = figure.measure == Measure::BestOfSecond;
            assert!(!second || row.then_epochs.is_some(), "{id}: there is no second run to measure");
            // Better than chance, and below 100 %.
            assert!(figure.published.iter().all(|percent| (20.0..100.0).contains(percent)), "{id}");
        }
        assert!(row.seconds.iter().all(|seconds| (10.0..10_000.0).contains(seconds)), "{id}");
        assert_eq!(find(&id.to_lowercase()).unwrap().id, id);
    }
}

/// The notebook of C7 halves and does not vary CIFAR-10's images, unlike the others. That is the network's recipe; the
/// row's own recipe once replaced it.
#[test]
fn the_tanh_network_gets_its_notebooks_images() {
    let config = find("C7").unwrap().config().unwrap();
    assert_eq!((config.augment, config.normalize), (Augment::None, Normalization::Half));
    let other = find("C1").unwrap().config().unwrap();
    assert_eq!(other.augment, Augment::Standard);
}

/// The settings of every row are valid, and the network accepts the prepared images of its data set.
#[test]
fn every_experiment_can_be_built() {
    for row in EXPERIMENTS {
        let config = row.config().unwrap();
        config.check().unwrap_or_else(|e| panic!("{}: {e}", row.id));
        let network = row.network().unwrap();
        assert_eq!((&config.model, &*config.data), (&network.name, &*network.recipe.data), "{}", row.id);
        let set = SETS.iter().find(|set| set.name == config.data).unwrap();
        let any = Normalize::unit(set.size.channels());
        let (train, eval) = set.facts().pipelines(config.augment, config.resize, any).unwrap();
        let image = eval.output(set.size).unwrap();
        assert_eq!(train.output(set.size).unwrap(), image, "{}", row.id);
        let masks = network.loss.takes_masks();
        let classes = if masks { network.classes } else { set.classes.len() };
        let model =
            network.build(&ModelConfig::new(image, classes)).unwrap_or_else(|e| panic!("{}: {e}", row.id));
        let seen = summary(&*model, &network.name, image)
            .unwrap_or_else(|stopped| panic!("{}: {}", row.id, stopped.error));
        let expected = if masks { vec![classes, image[1], image[2]] } else { vec![classes] };
        assert_eq!(seen.layers.last().unwrap().output, expected, "{}", row.id);
    }
}

/// A folder with a small MNIST: 400 training and 400 test images.
fn small_mnist() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    files::write_set(&folder.path().join("mnist"), 400, 28, |name| (name.to_owned(), false));
    folder
}

/// Stops the run after this step.
struct StopAt(u64, Arc<AtomicBool>);

impl Callback for StopAt {
    fn on_step(&mut self, _: &Trainer, report: &StepReport) -> receptive::Result<Flow> {
        self.1.fetch_or(report.step == self.0, Ordering::Relaxed);
        Ok(Flow::Continue)
    }
}

fn options(out: &Path, data: &Path) -> Options {
    Options {
        out: out.to_owned(),
        epochs: None,
        fraction: None,
        width: None,
        masks: Masks::Binary,
        data_dir: Some(data.to_owned()),
        device: "cpu".to_owned(),
        threads: 1,
    }
}

/// Runs a row with seed 0, stopping each of its runs after this step.
fn run_to(
    row: &Experiment,
    options: &Options,
    step: u64,
) -> receptive::Result<Result<SeedResult, StoppedRun>> {
    let stop = Arc::new(AtomicBool::new(false));
    run(row, 0, options, &stop, |_: &RunConfig| StopAt(step, Arc::clone(&stop)), &|_| {})
}

const NEVER: u64 = u64::MAX;

/// An experiment that is stopped in its first run and then in its second gives the same figures as an undisturbed one.
#[test]
fn a_stopped_experiment_goes_on_to_the_same_figures() {
    let (data, outs) = (small_mnist(), [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()]);
    let [whole, parts] = outs.each_ref().map(|out| options(out.path(), data.path()));
    let row = find("M3").unwrap();
    let undisturbed = run_to(row, &whole, NEVER).unwrap().unwrap();

    let folder = parts.folder(row, 0);
    let StoppedRun(first) = run_to(row, &parts, 3).unwrap().unwrap_err();
    assert_eq!(first, folder.join("first"));
    let other = Options { data_dir: Some(outs[0].path().to_owned()), ..parts.clone() };
    let refused = run_to(row, &other, NEVER).unwrap_err().to_string();
    let expected = ["other settings: data_dir was ", "`Options.out`"];
    assert!(expected.iter().all(|part| refused.contains(part)), "{refused}");
    // Only one process at a time can use the experiment's folder.
    let held = std::fs::File::open(&folder).unwrap();
    held.lock().unwrap();
    let refused = run_to(row, &parts, NEVER).unwrap_err().to_string();
    assert!(refused.contains("another process is running this experiment"), "{refused}");
    drop(held);

    // The first run has 7 steps, so the 20th step is in the second run.
    let StoppedRun(second) = run_to(row, &parts, 20).unwrap().unwrap_err();
    assert_eq!(second, folder.join("second"));
    assert!(!folder.join("result.json").exists());
    let resumed = run_to(row, &parts, NEVER).unwrap().unwrap();
    assert_eq!(resumed.figures, undisturbed.figures);

    // Figures that were measured are read from the result file. The runs are not needed any more.
    std::fs::remove_dir_all(folder.join("first")).unwrap();
    std::fs::remove_dir_all(folder.join("second")).unwrap();
    assert_eq!(run_to(row, &parts, NEVER).unwrap().unwrap(), resumed);
    std::fs::write(folder.join("result.json"), "{}").unwrap();
    let broken = run_to(row, &parts, NEVER).unwrap_err().to_string();
    assert!(broken.contains("result.json") && broken.contains("measure again"), "{broken}");
}

#[cfg(feature = "cli")]
mod command {
    use super::*;
    use serde_json::Value;
    use std::process::{Command, Output, Stdio};

    fn receptive(args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_receptive")).arg("reproduce").args(args).output().unwrap()
    }

    fn json(args: &[&str]) -> Vec<Value> {
        let output = receptive(&[args, &["--json"]].concat());
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        report["rows"].as_array().unwrap().clone()
    }

    /// The table names the settings that differ from the notebook. For a part of an experiment it gives no speed-up.
    #[test]
    fn a_part_of_an_experiment_says_so() {
        let (data, out) = (small_mnist(), tempfile::tempdir().unwrap());
        let [data, folder] = [&data, &out].map(|folder| folder.path().to_str().unwrap());
        let parts = ["--epochs", "1", "--fraction", "0.5", "--data-dir", data, "--out", folder];
        let rows = json(&[&["m7", "--seeds", "2"], &parts[..]].concat());
        assert_eq!(rows.len(), 1);
        let row = &rows[0];
        assert_eq!((&row["id"], &row["n"], &row["model"]), (&"M7".into(), &2.into(), &"lenet5".into()));
        assert_eq!(row["published"], serde_json::json!([98.30, 98.45]));
        let settings = row["settings"].as_str().unwrap();
        assert!(
            settings.contains("1 of 5 epochs") && settings.contains("50.000 % of the data"),
            "{settings}"
        );
        assert!(row["faster"].is_null() && row["seconds"].as_f64().unwrap() > 0.0);
        assert!(
            row["lowest"].as_f64() <= row["mean"].as_f64() && row["mean"].as_f64() <= row["highest"].as_f64()
        );

        // The Markdown has the same figures as the list.
        let markdown = std::fs::read_to_string(out.path().join("results.md")).unwrap();
        let text = receptive(&["--list", "--out", folder]);
        let text = String::from_utf8(text.stdout).unwrap();
        let shown = text.split("\nM7 ").nth(1).unwrap().split("\nM8 ").next().unwrap();
        let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(markdown.starts_with("| id |") && markdown.contains(settings), "{markdown}");
        let what = "lenet5 mnist sgd 0.01, 0.5 5 published 98.30 / 98.45, here ";
        assert!(
            shown.starts_with(what) && shown.contains("; 2 seeds)") && shown.ends_with(settings),
            "{shown}"
        );

        // One seed alone is another run of the same experiment.
        let alone = json(&[&["M7", "--seed", "1"], &parts[..]].concat());
        assert_eq!((&alone[0]["n"], &alone[0]["runs"][0]), (&1.into(), &row["runs"][1]));
        assert!(out.path().join("M7.svg").exists());

        let listed = json(&["--list", "--out", folder]);
        let ids: BTreeSet<&str> = listed.iter().map(|row| row["id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), EXPERIMENTS.len());
        let measured: Vec<&Value> = listed.iter().filter(|row| !row["mean"].is_null()).collect();
        assert_eq!(measured, [row]);
    }

    /// In the printed list, all rows differ and no line is longer than 60 characters.
    #[test]
    fn the_list_tells_rows_apart_in_60_columns() {
        let out = tempfile::tempdir().unwrap();
        let list = said(&["reproduce", "--list", "--out", out.path().to_str().unwrap()]);
        let wide: Vec<&str> = list.lines().filter(|line| line.chars().count() > 60).collect();
        assert!(wide.is_empty(), "{wide:?}");
        let (rows, legend) = list.split_once("\n\n").unwrap();
        assert!(legend.replace('\n', " ").contains("two runs of the same notebook"), "{legend}");
        let heads: Vec<&str> = rows.lines().filter(|line| !line.starts_with(' ')).collect();
        let columns: Vec<&str> = heads[0].split_whitespace().collect();
        assert_eq!(columns, ["id", "model", "data", "optimiser", "epochs"]);
        let distinct: BTreeSet<&str> = heads[1..].iter().map(|head| &head[4..]).collect();
        assert_eq!((heads.len() - 1, distinct.len()), (EXPERIMENTS.len(), EXPERIMENTS.len()), "{rows}");
        assert!(rows.contains("sgd 0.00166") && rows.contains("1+10"), "{rows}");
    }

    #[test]
    fn show_prints_all_settings_and_trains_nothing() {
        let out = tempfile::tempdir().unwrap();
        let folder = out.path().to_str().unwrap();
        for row in EXPERIMENTS {
            let text = said(&["reproduce", row.id, "--show", "--out", folder]);
            let shown: RunConfig = toml(&text);
            assert_eq!(shown, row.config().unwrap(), "{}", row.id);
        }
        let text = said(&["reproduce", "C1", "--show", "--epochs", "2", "--out", folder]);
        assert_eq!(toml(&text).epochs, 2);
        let remarks: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# ")).collect();
        let remarks = remarks.join(" ");
        let meaning = "28.98 and 23.19 %: the best validation accuracy of all epochs; they are from two runs";
        assert!(remarks.contains(meaning) && remarks.contains("446 s and 313 s"), "{remarks}");
        assert!(said(&["reproduce", "P1", "--show"]).contains("Dice of all pet: nothing is published"));

        let both: Value =
            serde_json::from_str(&said(&["reproduce", "M3", "C1", "--show", "--json"])).unwrap();
        let [m3, c1] = [&both["experiments"][0], &both["experiments"][1]];
        assert_eq!(
            (&m3["runs"][1]["settings"]["epochs"], &c1["figures"][0]["published"][1]),
            (&10.into(), &23.19.into())
        );
        assert_eq!(out.path().read_dir().unwrap().count(), 0);
    }

    fn toml(text: &str) -> RunConfig {
        RunConfig::from_toml(text, "what --show prints").unwrap()
    }

    /// Runs a command that must succeed; returns stdout.
    fn said(args: &[&str]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_receptive")).args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The printed run folders work with `eval`, `predict` and `inspect`. So does the experiment's folder, which stands
    /// for its last run.
    #[test]
    fn its_runs_can_be_evaluated_asked_and_looked_into() {
        let (data, out) = (small_mnist(), tempfile::tempdir().unwrap());
        let [data, folder] = [&data, &out].map(|folder| folder.path().to_str().unwrap());
        let parts = ["reproduce", "M2", "M3", "--data-dir", data, "--out", folder];
        let text = said(&parts);
        let (_, runs) = text.split_once("run folders, for eval, predict and inspect:\n").unwrap();
        let runs: Vec<(&str, &str)> = runs.lines().map(|line| line.split_once("  ").unwrap()).collect();
        assert_eq!(runs.len(), 3, "{text}");
        let again = said(&parts);
        assert!(
            again.contains("already measured on device auto")
                && again.ends_with(&text[text.find("\nrun folders").unwrap()..])
        );

        let rows = json(&["--list", "--out", folder]);
        let row = |figure: &str| rows.iter().find(|row| row["figure"] == figure).unwrap();
        let whole = format!("{folder}/M3-seed0");
        for (run, figure) in [
            (runs[1].1, "1 epoch"),
            (runs[2].1, "saved, reloaded, 10 more"),
            (&whole, "saved, reloaded, 10 more"),
        ] {
            let eval: Value = serde_json::from_str(&said(&["eval", run.trim(), "--json"])).unwrap();
            let difference =
                100.0 * eval["accuracy"].as_f64().unwrap() - row(figure)["mean"].as_f64().unwrap();
            assert!(difference.abs() < 1e-9, "{run}: {eval}");
        }
        for (_, run) in runs.iter().copied().chain([("M3", &*whole)]) {
            assert!(said(&["predict", run.trim(), "--index", "3"]).contains("image 3"), "{run}");
            assert!(said(&["inspect", run.trim(), "--index", "3"]).contains("inspect.html"), "{run}");
        }
        assert!(out.path().join("M3-seed0/second/inspect.html").exists());
        let resumed = Command::new(env!("CARGO_BIN_EXE_receptive"))
            .args(["train", "--resume", &whole])
            .output()
            .unwrap();
        let message = String::from_utf8(resumed.stderr).unwrap();
        assert!(
            !resumed.status.success() && message.contains("it contains runs") && message.contains("second"),
            "{message}"
        );
    }

    /// If two processes run one experiment, the second reports the first or reads its result.
    #[test]
    fn two_at_once_do_not_mix() {
        let (data, out) = (small_mnist(), tempfile::tempdir().unwrap());
        let [data, folder] = [&data, &out].map(|folder| folder.path().to_str().unwrap());
        let start = || {
            let mut program = Command::new(env!("CARGO_BIN_EXE_receptive"));
            program.args(["reproduce", "M3", "--data-dir", data, "--out", folder, "--threads", "1"]);
            program.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let both = [start(), start()].map(|child| child.wait_with_output().unwrap());
        assert!(both.iter().any(|output| output.status.success()), "{both:?}");
        for output in &both {
            let [said, message] =
                [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
            let refused =
                message.contains("another process is running this experiment") && message.contains("--out");
            assert!(refused || said.contains("run folders"), "{said}{message}");
        }
        let alone = tempfile::tempdir().unwrap();
        let other = alone.path().to_str().unwrap();
        said(&["reproduce", "M3", "--data-dir", data, "--out", other, "--threads", "1"]);
        let [both, one] = [folder, other].map(|out| json(&["--list", "--out", out]));
        let means = |rows: &[Value]| rows.iter().map(|row| row["mean"].clone()).collect::<Vec<_>>();
        assert_eq!(means(&both), means(&one));
    }

    #[test]
    fn what_cannot_be_run_is_answered() {
        let out = tempfile::tempdir().unwrap();
        let folder = out.path().to_str().unwrap();
        for (args, expected) in [
            (&["M99"][..], "receptive reproduce --list"),
            (&["M7", "M99"], "there is no experiment `M99`"),
            (&[], "<ID>"),
            (&["M7", "--list"], "cannot be used with"),
            (&["--show"], "<ID>"),
            (&["--list", "--show"], "cannot be used with"),
            (&["M7", "--show", "--seeds", "2"], "cannot be used with"),
            (&["M7", "--seeds", "0"], "--seeds"),
            (&["M7", "--fraction", "0", "--out", folder], "--fraction"),
            (&["M7", "--fraction", "7", "--show", "--out", folder], "--fraction"),
            (&["M7", "--data-dir", folder, "--out", folder], "receptive data fetch mnist"),
        ] {
            let output = Command::new(env!("CARGO_BIN_EXE_receptive"))
                .arg("reproduce")
                .args(args)
                .arg("--json")
                .env("HOME", folder)
                .env_remove("RECEPTIVE_DATA")
                .output()
                .unwrap();
            let message = String::from_utf8(output.stderr).unwrap();
            assert!(!output.status.success() && output.stdout.is_empty(), "{args:?}: {message}");
            assert!(message.contains(expected) && !message.contains("panicked"), "{args:?}: {message}");
        }
        // A run that never began leaves no folder. Otherwise the next run would need the same settings.
        assert_eq!(out.path().read_dir().unwrap().count(), 0);
    }
}
