//! Tests of the run folder through the program: its contents, and that no failure loses recorded work.
#![cfg(feature = "cli")]

mod at_once;
mod longer;

use receptive::train::RunDir;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

fn receptive(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_receptive"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A small run: 3 epochs of 8 steps.
fn train(out: &Path) -> Command {
    train_epochs(out, "3")
}

fn train_epochs(out: &Path, epochs: &str) -> Command {
    let flags = ["--data", "sample", "--subset", "500", "--log-steps", "--threads", "1", "--health", "5"];
    let mut command = receptive(&["train", "lenet5", "--out", text(out)]);
    command.args(flags).args(["--loss-every", "3", "--epochs", epochs]);
    command
}

fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// The message of a command that must fail.
fn refuse(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{command:?} succeeded");
    assert!(message.starts_with("error: ") && !message.contains("panicked"), "{command:?}\n{message}");
    message
}

/// `metrics.jsonl` without the field `seconds`, which differs between runs.
fn metrics(run: &Path) -> Vec<serde_json::Value> {
    let lines = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let parse = |line: &str| {
        let mut value: serde_json::Value = serde_json::from_str(line).unwrap();
        value.as_object_mut().unwrap().remove("seconds");
        value
    };
    lines.lines().map(parse).collect()
}

fn assert_same_run(a: &Path, b: &Path) {
    for file in ["last.safetensors", "best.safetensors", "health.jsonl"] {
        assert!(fs::read(a.join(file)).unwrap() == fs::read(b.join(file)).unwrap(), "{file} differs");
    }
    assert_eq!(metrics(a), metrics(b));
}

struct Runs(tempfile::TempDir);

impl Runs {
    fn new() -> Runs {
        Runs(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

#[test]
fn a_finished_run_holds_what_it_promises_and_resuming_changes_nothing() {
    let runs = Runs::new();
    let run = runs.at("run");
    succeed(&mut train(&run));
    let mut names: Vec<String> =
        fs::read_dir(&run).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let promised = [
        "best.safetensors",
        "checkpoint.safetensors",
        "config.toml",
        "confusion.svg",
        "curves.svg",
        "data.json",
        "health.jsonl",
        "last.safetensors",
        "metrics.jsonl",
        "mistakes.svg",
        "predictions.svg",
        "weights.svg",
    ];
    assert_eq!(names, promised);
    let lines = metrics(&run);
    // In each of 3 epochs: 8 steps, 2 means of 3 steps, and 2 phases. Then the end.
    assert_eq!(lines.len(), 3 * (8 + 2 + 2) + 1);
    assert_eq!(lines[0]["event"], "step");
    assert_eq!(lines[0]["step"], 0);
    assert_eq!(
        (&lines[10]["event"], &lines[10]["phase"], &lines[11]["phase"]),
        (&"epoch".into(), &"train".into(), &"val".into())
    );
    let losses = &lines[7];
    assert_eq!(
        (&losses["event"], &losses["epoch"], &losses["step"]),
        (&"losses".into(), &0.into(), &6.into())
    );
    let steps = lines[..8].iter().filter(|line| line["event"] == "step");
    let second: Vec<f64> = steps.skip(3).map(|line| line["loss"].as_f64().unwrap()).collect();
    assert!((losses["loss"].as_f64().unwrap() - second.iter().sum::<f64>() / 3.0).abs() < 1e-12);
    let done = &lines[36];
    assert_eq!(done["event"], "done");
    let accuracies = lines.iter().filter(|l| l["phase"] == "val").map(|l| l["accuracy"].as_f64().unwrap());
    assert_eq!(done["best_accuracy"].as_f64().unwrap(), accuracies.fold(0.0, f64::max));
    let contents = || promised.map(|name| fs::read(run.join(name)).unwrap());
    let before = contents();
    succeed(&mut receptive(&["train", "--resume", text(&run)]));
    assert!(before == contents(), "resuming a finished run changed it");
}

/// A run that is killed at several moments ends with the same bytes as a run without interruption.
#[test]
fn kill_and_resume_bit_for_bit() {
    let runs = Runs::new();
    let (whole, broken) = (runs.at("whole"), runs.at("broken"));
    let start = std::time::Instant::now();
    succeed(&mut train(&whole));
    let duration = start.elapsed();
    let mut command = train(&broken);
    for kill in 1..=6 {
        let mut child = command.spawn().unwrap();
        std::thread::sleep(duration * kill / 6);
        let _ = child.kill(); // it may have finished already
        child.wait().unwrap();
        if !broken.join("config.toml").exists() {
            continue; // killed before it wrote its settings
        }
        command = receptive(&["train", "--resume", text(&broken)]);
    }
    succeed(&mut command);
    assert_same_run(&whole, &broken);
}

/// Ctrl-C finishes the step, saves, and prints the command that continues. It exits non-zero, since the run is
/// incomplete.
#[cfg(unix)]
#[test]
fn interrupted_and_resumed_bit_for_bit() {
    let runs = Runs::new();
    let (whole, broken) = (runs.at("whole"), runs.at("broken"));
    succeed(&mut train(&whole));
    let child = train(&broken).spawn().unwrap();
    while !broken.join("metrics.jsonl").exists() {
        std::thread::sleep(Duration::from_millis(2));
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let output = child.wait_with_output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(message.contains(&format!("receptive train --resume {}", text(&broken))), "{message}");
    succeed(&mut receptive(&["train", "--resume", text(&broken)]));
    assert_same_run(&whole, &broken);
}

/// `--max-steps` counts the steps of the whole run. A run that it ends counts as finished.
#[test]
fn max_steps_ends_normally() {
    let runs = Runs::new();
    let run = runs.at("run");
    succeed(train(&run).args(["--max-steps", "11"]));
    let lines = metrics(&run);
    assert_eq!(lines.iter().filter(|l| l["event"] == "step").count(), 11);
    assert_eq!(lines.iter().filter(|l| l["event"] == "epoch").count(), 4);
    assert_eq!(lines.last().unwrap()["event"], "done");
}

#[test]
fn weights_load_back_and_misfits_are_listed() {
    let runs = Runs::new();
    let run = runs.at("run");
    succeed(train(&run).args(["--max-steps", "2"]));
    let weights = run.join("last.safetensors");
    succeed(train(&runs.at("again")).args(["--max-steps", "1", "--init", text(&weights)]));
    let message = refuse(&mut receptive(&[
        "train",
        "mlp2",
        "--data",
        "sample",
        "--init",
        text(&weights),
        "--out",
        text(&runs.at("misfit")),
    ]));
    assert!(
        message.contains("missing linear1.weight") && message.contains("unexpected conv1.bias"),
        "{message}"
    );
    let partial = ["--init", text(&weights), "--init-partial", "--max-steps", "1", "--out"];
    let message =
        refuse(receptive(&["train", "mlp2", "--data", "sample"]).args(partial).arg(runs.at("nothing")));
    assert!(
        message.contains("no tensor matches") && message.contains("linear1.weight [50, 784]"),
        "{message}"
    );
    let output = succeed(train(&runs.at("partial")).args(&partial[..5]).args(["--classes", "12"]));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("--init: fc3.weight is [10, 84] in the file and [12, 84] in the model"), "{said}");
    fs::write(&weights, b"not tensors").unwrap();
    let message = refuse(train(&runs.at("broken")).args(["--init", text(&weights)]));
    assert!(message.contains("last.safetensors"), "{message}");
    let message = refuse(train(&runs.at("none")).args(["--init", "nowhere.safetensors"]));
    assert!(message.contains("nowhere.safetensors"), "{message}");
}

#[test]
fn folders_that_cannot_be_resumed_say_why() {
    let runs = Runs::new();
    let message = refuse(&mut receptive(&["train", "--resume", text(&runs.at("nowhere"))]));
    assert!(message.contains("nowhere"), "{message}");
    let empty = runs.at("empty");
    fs::create_dir(&empty).unwrap();
    let message = refuse(&mut receptive(&["train", "--resume", text(&empty)]));
    assert!(message.contains("not a run folder"), "{message}");

    let run = runs.at("run");
    succeed(train(&run).args(["--max-steps", "2"]));
    let message = refuse(&mut train(&run));
    assert!(message.contains("already contains a run") && message.contains("--resume"), "{message}");

    let file = run.join("config.toml");
    let config = fs::read_to_string(&file).unwrap();
    fs::write(&file, config.replacen("format = ", "future = true\nformat = 99", 1)).unwrap();
    let message = refuse(&mut receptive(&["train", "--resume", text(&run)]));
    assert!(message.contains("another version"), "{message}");
    fs::write(&file, "format = [").unwrap();
    refuse(&mut receptive(&["train", "--resume", text(&run)]));
    fs::write(&file, &config).unwrap();

    let checkpoint = run.join("checkpoint.safetensors");
    let whole = fs::read(&checkpoint).unwrap();
    for damaged in [&whole[..whole.len() / 2], &whole[..4], &[], &[whole.as_slice(), b"tail"].concat()] {
        fs::write(&checkpoint, damaged).unwrap();
        let message = refuse(&mut receptive(&["train", "--resume", text(&run)]));
        assert!(message.contains("checkpoint.safetensors"), "{message}");
    }
}

/// A mistake in a flag must not use up the folder's name: the corrected command gets the same `--out`.
#[test]
fn a_run_that_never_began_leaves_nothing_behind() {
    let runs = Runs::new();
    let run = runs.at("run");
    refuse(train(&run).args(["--init", "nowhere.safetensors"]));
    refuse(train(&run).args(["--classes", "2"]));
    let mut single =
        receptive(&["train", "lenet5-bn", "--data", "sample", "--batch-size", "1", "--out", text(&run)]);
    assert!(refuse(&mut single).contains("more than one value per channel"));
    let mut unmasked = receptive(&["train", "unet", "--data", "sample", "--out", text(&run)]);
    assert!(refuse(&mut unmasked).contains("no masks"));
    assert!(!run.exists());
    succeed(train(&run).args(["--max-steps", "1"]));
}

/// A run that diverges keeps the records that it has written. A run that never began does not remove a folder that
/// existed before.
#[test]
fn a_run_that_diverges_keeps_what_it_recorded() {
    let runs = Runs::new();
    let (run, own) = (runs.at("run"), runs.at("own"));
    let diverging = ["--optimizer", "sgd", "--lr", "1e6"];
    let message = refuse(train(&run).args(diverging).args(["--profile", text(&runs.at("trace.json"))]));
    assert!(message.contains("became") && message.contains("there is no checkpoint yet"), "{message}");
    assert!(fs::read_to_string(run.join("health.jsonl")).unwrap().lines().count() >= 1);

    fs::create_dir(&own).unwrap();
    refuse(train(&own).args(["--classes", "2"]));
    assert_eq!(fs::read_dir(&own).unwrap().count(), 0);
}

/// An incomplete last line, left by a killed process, is ignored. Any other damage is an error.
#[test]
fn damaged_records_are_told() {
    let runs = Runs::new();
    let run = runs.at("run");
    succeed(train(&run).args(["--max-steps", "9"]));
    let file = run.join("metrics.jsonl");
    let whole = fs::read(&file).unwrap();
    let history = |content: &[u8]| {
        fs::write(&file, content).unwrap();
        RunDir::history(&run).map(|phases| phases.len()).map_err(|e| e.to_string())
    };
    assert_eq!(history(&whole), Ok(4));
    assert_eq!(history(&whole[..whole.len() - 5]), Ok(4));
    assert_eq!(history(&[&whole[..], b"{\"event\": \"st"].concat()), Ok(4));
    for damage in [&b"garbage\n"[..], b"\xff\xfe\n"] {
        let message = history(&[damage, &whole].concat()).unwrap_err();
        assert!(
            message.contains("metrics.jsonl: line 1 is damaged") && message.contains("help: "),
            "{message}"
        );
    }
}

/// Settings that cannot train are refused, with the name of the file that contains them.
#[test]
fn damaged_settings_are_told_with_their_file_and_line() {
    let runs = Runs::new();
    let run = runs.at("run");
    succeed(train(&run).args(["--max-steps", "1"]));
    let file = run.join("config.toml");
    let config = fs::read_to_string(&file).unwrap();
    let format = config.lines().position(|line| line == "format = 2").unwrap();
    let broken = format!("line {}", format + 2);
    let cases = [
        ("val_batch_size = 250", "val_batch_size = 0", "--val-batch-size"),
        ("lr = 0.001", "lr = nan", "--lr"),
        ("scheduler = \"constant\"", "scheduler = \"linear\"", "linear"),
        ("format = 2", "format = 2\nformat =", &*broken),
    ];
    for (from, to, expected) in cases {
        assert!(config.contains(from), "{from} is not in\n{config}");
        fs::write(&file, config.replace(from, to)).unwrap();
        let message = refuse(&mut receptive(&["train", "--resume", text(&run)]));
        assert!(message.contains(expected) && message.contains("config.toml"), "{to}: {message}");
    }
}

#[cfg(unix)]
#[test]
fn a_full_or_unwritable_disk_is_an_error_and_the_checkpoint_survives() {
    let runs = Runs::new();
    let message = refuse(&mut train(Path::new("/proc/receptive-cannot-write-here")));
    assert!(message.contains("/proc/receptive-cannot-write-here"), "{message}");
    let file = runs.at("file");
    fs::write(&file, "x").unwrap();
    refuse(&mut train(&file));

    // No file may grow beyond 64 KiB, so the first checkpoint fails as on a full disk.
    let run = runs.at("run");
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 128; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_receptive")]);
    limited.args(["train", "lenet5", "--data", "sample", "--subset", "500", "--epochs", "3", "--log-steps"]);
    limited.args(["--loss-every", "3"]);
    let message = refuse(limited.args(["--threads", "1", "--health", "5", "--out", text(&run)]));
    assert!(message.contains("checkpoint.safetensors") && message.contains("disk"), "{message}");
    let left = fs::read_dir(&run).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let left: Vec<String> = left.filter(|name| name.ends_with(".tmp")).collect();
    assert!(left.is_empty(), "half-written files were left behind: {left:?}");

    // Without the limit the run can be resumed, and ends with the same result as an undisturbed run.
    succeed(&mut receptive(&["train", "--resume", text(&run)]));
    let whole = runs.at("whole");
    succeed(&mut train(&whole));
    assert_same_run(&whole, &run);
}

/// Lines written to a deleted file would be lost, so the run ends with an error.
#[cfg(unix)]
#[test]
fn metrics_removed_in_mid_run_are_noticed() {
    let runs = Runs::new();
    let run = runs.at("run");
    let child = train_epochs(&run, "200").spawn().unwrap();
    while !run.join("checkpoint.safetensors").exists() {
        std::thread::sleep(Duration::from_millis(2));
    }
    fs::remove_file(run.join("metrics.jsonl")).unwrap();
    let output = child.wait_with_output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && message.contains("deleted or replaced"), "{message}");
}

/// A removed health.jsonl or config.toml ends the run with an error too. A removed config.toml is written again.
#[cfg(unix)]
#[test]
fn other_files_removed_in_mid_run_are_noticed() {
    let runs = Runs::new();
    for (file, said) in [("health.jsonl", "deleted or changed"), ("config.toml", "has been restored")] {
        let run = runs.at(file);
        let mut child = train_epochs(&run, "200").spawn().unwrap();
        while !run.join("checkpoint.safetensors").exists() {
            std::thread::sleep(Duration::from_millis(2));
        }
        let settings = fs::read(run.join("config.toml")).unwrap();
        fs::remove_file(run.join(file)).unwrap();
        let mut message = String::new();
        child.stderr.take().unwrap().read_to_string(&mut message).unwrap();
        assert!(!child.wait().unwrap().success() && message.contains(said), "{message}");
        assert_eq!(fs::read(run.join("config.toml")).unwrap(), settings);
    }
}
