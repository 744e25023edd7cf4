//! Tests of frozen layers and of files with prefixed names, in every command that reads them.

use super::program::{ok, receptive, text};
use receptive::io::TensorFile;
use receptive::models;
use receptive::nn::{ModuleExt, Role};
use receptive::train::{Callback, Flow, RunConfig, RunDir, Setup, StepReport, Trainer, train};
use receptive::{Device, Result};
use std::fs;
use std::path::Path;
use std::sync::Arc;

struct StopAt(u64);

impl Callback for StopAt {
    fn on_step(&mut self, trainer: &Trainer, _report: &StepReport) -> Result<Flow> {
        Ok(if trainer.state.step == self.0 { Flow::Stop } else { Flow::Continue })
    }
}

/// Two epochs of four steps. The first convolution and its batch norm are frozen.
fn frozen() -> RunConfig {
    RunConfig {
        epochs: 2,
        batch_size: 50,
        subset: Some(200),
        fraction: Some(0.1),
        threads: 1,
        freeze: vec!["0".to_owned(), "1".to_owned()],
        ..RunConfig::new(&models::find("lenet5-bn").unwrap(), "sample")
    }
}

/// Starts or resumes the training in a folder, at most up to step `to`. Returns true if it finished.
fn go(folder: &RunDir, config: RunConfig, to: u64) -> bool {
    train(folder, config, Arc::default(), vec![Box::new(StopAt(to))], &|_| {}).unwrap().outcome.finished
}

fn bytes(run: &Path, file: &str) -> Vec<u8> {
    fs::read(run.join(file)).unwrap()
}

/// A resumed run with frozen layers continues with the same weights, running statistics and optimiser state.
#[test]
fn a_run_with_frozen_layers_is_resumed_bit_for_bit() {
    let place = tempfile::tempdir().unwrap();
    let (whole, part) = (place.path().join("whole"), place.path().join("part"));
    assert!(go(&RunDir::create(&whole, &frozen()).unwrap(), frozen(), u64::MAX));
    for stop in [3, 6] {
        let _ = fs::remove_dir_all(&part);
        assert!(!go(&RunDir::create(&part, &frozen()).unwrap(), frozen(), stop));
        // There is a checkpoint, so the run continues from it and does not start again.
        assert!(part.join("checkpoint.safetensors").exists());
        let (folder, config) = RunDir::open(&part).unwrap();
        assert_eq!(config, frozen());
        assert!(go(&folder, config, u64::MAX));
        for file in ["last.safetensors", "best.safetensors"] {
            assert!(bytes(&part, file) == bytes(&whole, file), "stopped after step {stop}: {file} differs");
        }
    }
    let cpu = Device::cpu().unwrap();
    let trained = TensorFile::read(&whole.join("last.safetensors"), &cpu).unwrap().tensors;
    let drawn = Setup::new(frozen()).unwrap().model.state_dict().unwrap();
    for (name, before) in &drawn {
        let same = before.to_f64().unwrap() == trained[name].to_f64().unwrap();
        assert_eq!(same, name.starts_with("0.") || name.starts_with("1."), "{name}");
    }
}

/// Settings of an older version, which froze only weights, are read with their old meaning, and the run can continue.
#[test]
fn old_settings_with_freeze_are_read() {
    let place = tempfile::tempdir().unwrap();
    let run = place.path().join("run");
    assert!(!go(&RunDir::create(&run, &frozen()).unwrap(), frozen(), 3));
    let file = run.join("config.toml");
    let is_new = |line: &&str| line.starts_with("freeze_statistics") || line.starts_with("health");
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(text.lines().filter(is_new).count(), 2, "{text}");
    let old: String = text.lines().filter(|line| !is_new(line)).map(|line| format!("{line}\n")).collect();
    fs::write(&file, old).unwrap();
    let (folder, config) = RunDir::open(&run).unwrap();
    assert_eq!((&config.freeze, config.freeze_statistics), (&frozen().freeze, false));
    let setup = Setup::new(config.clone()).unwrap();
    let mut kept: Vec<&str> = Vec::new();
    let params = setup.model.params();
    for (name, param) in params.iter().filter(|(_, param)| param.is_frozen()) {
        assert_eq!(param.role(), Role::Weight, "{name}");
        kept.push(name);
    }
    assert_eq!(kept.len(), 4, "{kept:?}");
    assert!(go(&folder, config, u64::MAX));
}

/// A file whose names have a prefix gives the same answers as the file without it, in every command.
#[test]
fn weights_with_a_prefix_are_read_by_every_command() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name).display().to_string();
    let (run, plain) = (path("run"), path("run/best.safetensors"));
    ok(&["train", "lenet5", "--data", "sample", "--max-steps", "8", "--threads", "1", "--out", &run]);
    let cpu = Device::cpu().unwrap();
    for prefix in ["module.", "_orig_mod.", "model.net."] {
        let mut file = TensorFile::read(Path::new(&plain), &cpu).unwrap();
        file.tensors = file.tensors.into_iter().map(|(name, x)| (format!("{prefix}{name}"), x)).collect();
        let prefixed = path("prefixed.safetensors");
        file.write(Path::new(&prefixed)).unwrap();
        let page = path("page.html");
        let commands: [(&str, &[&str]); 3] =
            [("eval", &[]), ("inspect", &["--out", &page]), ("diff", &["--index", "3"])];
        for (command, more) in commands {
            let said = |weights: &str| {
                let named =
                    [command, weights, "--model", "lenet5", "--data", "sample", "--threads", "1", "--json"];
                let output = receptive(&[&named[..], more].concat());
                let stderr = text(&output.stderr);
                assert!(output.status.success(), "{command} {prefix}: {stderr}");
                let mut json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
                // Times and the file's name differ, so only these fields are compared.
                if command == "inspect" {
                    json = ["prediction", "attribution", "judged", "image"]
                        .map(|field| json[field].take())
                        .into();
                }
                (json, stderr)
            };
            let ((expected, _), (found, stderr)) = (said(&plain), said(&prefixed));
            assert!(found == expected, "{command} {prefix}: another answer");
            let line = format!("removed the prefix `{prefix}` from the file's names");
            assert!(stderr.contains(&line), "{command} {prefix}: {stderr}");
        }
    }
}
