//! Tests of `--profile FILE` and `receptive bench layers`, used as in a script.

use super::program::{error, ok, receptive, text};
use serde_json::Value;
use std::path::Path;

fn read(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Profiles 8 steps after the first three, across the end of an epoch. The weights equal those of a run without a
/// profile.
#[test]
fn train_writes_the_profile_of_some_steps() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (run, plain, file) = (path("run"), path("plain"), path("trace.json"));
    let args = |out| {
        [
            "train",
            "lenet5",
            "--data",
            "sample",
            "--subset",
            "640",
            "--max-steps",
            "14",
            "--json",
            "--out",
            out,
        ]
    };
    let output = receptive(&[&args(&run)[..], &["--profile", &file, "--profile-steps", "8"]].concat());
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success() && stdout.matches('\n').count() == 1, "{stdout} {stderr}");
    for sign in
        ["conv1+relu1", "conv2d_grad_weight", "% roof", "peak memory", "saved for backward", "trace.json"]
    {
        assert!(stderr.contains(sign), "{sign} is not in\n{stderr}");
    }
    let trace = read(Path::new(&file));
    let events = trace["traceEvents"].as_array().unwrap();
    let named = |name: &str| events.iter().filter(|event| event["name"] == name).count();
    assert_eq!((named("step 7"), named("step 8"), named("sgd") + named("adam")), (1, 0, 8));
    // An epoch has ten batches, and the validation after it is not in the profile.
    assert_eq!(named("conv1+relu1 conv2d_relu"), 8);
    assert!(trace["receptive"]["roof"]["flops"].as_f64().unwrap() > 0.0);
    ok(&args(&plain));
    let weights = |run: &str| std::fs::read(format!("{run}/last.safetensors")).unwrap();
    assert_eq!(weights(&run), weights(&plain));
}

/// If the run has fewer steps than requested, the profile has the steps that there are, without the validation.
#[test]
fn a_short_run_is_profiled_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (run, file) = (path("run"), path("trace.json"));
    let said =
        ok(&["train", "mlp2", "--data", "sample", "--max-steps", "2", "--out", &run, "--profile", &file]);
    let steps = |file: &str| read(Path::new(file))["receptive"]["layer_table"]["steps"].as_u64().unwrap();
    assert_eq!(steps(&file), 1);
    assert!(said.contains("the run had only 1 of the 20 steps to profile"), "{said}");
    // The run is finished, so there is no step to profile and no file is written.
    let output = receptive(&["train", "--resume", &run, "--profile", &path("none.json")]);
    let message = text(&output.stderr);
    assert!(!output.status.success() && message.contains("the run has no steps left"), "{message}");
    assert!(!Path::new(&path("none.json")).exists());
}

/// The profile may be written into the run's folder, but not over one of the run's own files.
#[test]
fn a_profile_may_go_into_the_run_folder() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let train = |profile: &Path| {
        let (out, profile) = (run.to_str().unwrap(), profile.to_str().unwrap());
        receptive(&[
            "train",
            "mlp2",
            "--data",
            "sample",
            "--max-steps",
            "2",
            "--out",
            out,
            "--profile",
            profile,
        ])
    };
    for (profile, expected) in [("", "is a folder"), ("config.toml", "belongs to a run")] {
        let output = train(&run.join(profile));
        let message = text(&output.stderr);
        assert!(!output.status.success() && message.contains(expected), "{profile}: {message}");
        assert!(!run.exists(), "{profile}");
    }
    assert!(train(&run.join("trace.json")).status.success() && run.join("trace.json").exists());
}

/// If the profile's file cannot be written, the error comes before the run's folder is created.
#[test]
fn a_file_that_cannot_be_written_is_an_error_before_training() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let nowhere = folder.path().join("no/such/folder/trace.json");
    for file in [nowhere.as_path(), folder.path()] {
        let file = file.to_str().unwrap();
        let train =
            ["train", "lenet5", "--data", "sample", "--out", out.to_str().unwrap(), "--profile", file];
        for args in [&train[..], &["bench", "step", "lenet5", "--profile", file]] {
            let message = error(args);
            assert!(message.contains(file), "{message}");
        }
        assert!(!out.exists());
    }
    assert!(error(&["train", "lenet5", "--profile-steps", "5"]).contains("--profile"));
    assert!(error(&["train", "lenet5", "--profile", "x.json", "--profile-steps", "0"]).contains("1..=10000"));
}

/// A debug build refuses, because its times mean nothing.
#[test]
#[cfg(debug_assertions)]
fn a_debug_build_refuses_to_bench_layers() {
    assert!(error(&["bench", "layers", "lenet5"]).contains("--release"));
}

#[test]
#[cfg(not(debug_assertions))]
fn bench_layers_tells_time_and_work_of_each() {
    let args = [
        "bench",
        "layers",
        "lenet5",
        "--batch-size",
        "8",
        "--steps",
        "5",
        "--device",
        "cpu",
        "--threads",
        "1",
    ];
    let table: Value = serde_json::from_str(&ok(&[&args[..], &["--json"]].concat())).unwrap();
    let layers = table["layers"].as_array().unwrap();
    let paths: Vec<&str> = layers.iter().map(|layer| layer["path"].as_str().unwrap()).collect();
    let expected =
        ["conv1+relu1", "pool1", "conv2+relu2", "pool2", "flatten", "fc1+relu3", "fc2+relu4", "fc3", "loss"];
    assert_eq!(paths, expected);
    let number = |value: &Value, key: &str| value[key].as_f64().unwrap_or_else(|| panic!("{key} in {value}"));
    for layer in layers.iter().filter(|layer| layer["path"] != "flatten") {
        for phase in ["forward", "backward"] {
            let cost = &layer[phase];
            let keys = [
                "seconds",
                "flops",
                "bytes",
                "intensity",
                "gflops_per_second",
                "gbytes_per_second",
                "of_roof",
            ];
            assert!(keys.iter().all(|key| number(cost, key) > 0.0), "{layer}");
            assert!(["compute", "memory"].contains(&cost["bound"].as_str().unwrap()));
        }
    }
    let sum: f64 = layers.iter().map(|layer| number(&layer["total"], "seconds")).sum();
    let step = number(&table, "step_seconds");
    assert!((sum - number(&table["sum"]["total"], "seconds")).abs() < 1e-9 && sum < step, "{sum} of {step}");
    let text = ok(&args);
    assert!(
        text.contains("conv1+relu1  forward") && text.contains("bound") && text.contains("sum"),
        "{text}"
    );
    assert!(text.lines().all(|line| line.chars().count() <= 60), "{text}");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("trace.json");
    let step = ["bench", "step", "lenet5", "--batch-size", "8", "--seconds", "0.1", "--json", "--profile"];
    let times: Value = serde_json::from_str(&ok(&[&step[..], &[file.to_str().unwrap()]].concat())).unwrap();
    assert_eq!(
        (times["model"].as_str(), read(&file)["receptive"]["layer_table"]["steps"].as_u64()),
        (Some("lenet5"), Some(20))
    );
}
