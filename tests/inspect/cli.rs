//! `receptive summary --graph`, `receptive diff` and `receptive train --health`.

use crate::network;
use crate::program::{error, ok, receptive, text};
use receptive::io::TensorFile;
use receptive::nn::ModuleExt;
use receptive::{DType, Device};
use serde_json::Value;
use std::fs;

#[test]
fn summary_draws_the_tape() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (dot, svg) = (file("lenet5.dot"), file("lenet5.svg"));
    assert_eq!(ok(&["summary", "lenet5", "--graph", &dot]), ok(&["summary", "lenet5"]));
    let drawn = fs::read_to_string(&dot).unwrap();
    assert!(drawn.starts_with("digraph") && drawn.contains(r"linear\nfc3\n1 × 10"), "{drawn}");
    let json = ok(&["summary", "resnet-cifar", "--input", "3x16x16", "--graph", &svg, "--json"]);
    serde_json::from_str::<Value>(&json).unwrap();
    let drawn = fs::read_to_string(&svg).unwrap();
    assert!(drawn.starts_with("<svg") && drawn.contains("aria-label=\"batch_norm\""));

    for name in ["lenet5.png", "lenet5", "lenet5.SVG.txt"] {
        assert!(error(&["summary", "lenet5", "--graph", &file(name)]).contains(".dot or .svg"));
    }
    let nowhere = file("nowhere/lenet5.svg");
    assert!(error(&["summary", "lenet5", "--graph", &nowhere]).contains(&nowhere));
    // A shape that does not fit the network gives no tape, so no file is written.
    receptive(&["summary", "lenet5", "--input", "1x4x4", "--graph", &file("small.svg")]);
    assert!(!folder.path().join("small.svg").exists());
}

#[test]
fn diff_compares_and_judges() {
    let json = |args: &[&str]| -> Value { serde_json::from_str(&ok(&[args, &["--json"]].concat())).unwrap() };
    let found = json(&["diff", "lenet5", "--data", "sample", "--gradients"]);
    assert_eq!(
        (&found["model"], &found["a"], &found["b"]),
        (&"lenet5".into(), &"cpu:f32".into(), &"cpu:f64".into())
    );
    let layers = found["layers"].as_array().unwrap();
    assert_eq!(layers[0]["path"], "conv1");
    for layer in layers {
        for part in ["own", "accumulated", "gradient"] {
            assert!(layer[part]["max_rel"].as_f64().unwrap() < 1e-5, "{layer}");
        }
    }
    assert_eq!(found["parameters"].as_array().unwrap().len(), 10);
    let table = ok(&["diff", "lenet5", "--data", "sample", "--index", "3"]);
    assert!(
        table.contains("image 3 of") && table.contains("own rel") && !table.contains("gradient"),
        "{table}"
    );
    let same = json(&["diff", "mlp", "--data", "sample", "--b", "cpu:f32", "--tolerance", "0"]);
    assert!(same["layers"].as_array().unwrap().iter().all(|layer| layer["accumulated"]["max_abs"] == 0.0));

    // The table is printed even if the error exceeds the tolerance.
    let judged = receptive(&["diff", "lenet5", "--data", "sample", "--tolerance", "1e-12"]);
    assert_eq!(judged.status.code(), Some(1));
    assert!(text(&judged.stdout).contains("conv1") && text(&judged.stderr).contains("above the tolerance"));
    ok(&["diff", "lenet5", "--data", "sample", "--tolerance", "1e-4"]);

    let cases: [(&[&str], &str); 6] = [
        (&["diff", "lenet"], "lenet5"),
        (&["diff", "lenet5", "--a", "cpu:f16"], "there is no type `f16`"),
        (&["diff", "lenet5", "--a", "cuda:f64"], "a GPU cannot compute in f64"),
        (&["diff", "lenet5", "--b", "gpu"], "cuda:N"),
        (&["diff", "lenet5", "--tolerance", "NaN"], "--tolerance"),
        (&["diff", "lenet5", "--device", "cpu"], "--a and --b"),
    ];
    for (args, expected) in cases {
        let message = error(args);
        assert!(message.contains(expected), "{args:?}: {message}");
    }
}

/// The run's config says how often health is sampled. Without samples there is no file.
#[test]
fn train_samples_health_as_told() {
    let folder = tempfile::tempdir().unwrap();
    let lines = |flags: &[&str]| {
        let run = folder.path().join(format!("run{}", flags.concat()));
        let out = run.display().to_string();
        let args =
            ["train", "mlp2", "--data", "sample", "--subset", "100", "--max-steps", "5", "--out", &out];
        ok(&[&args, flags].concat());
        let config = fs::read_to_string(run.join("config.toml")).unwrap();
        (fs::read_to_string(run.join("health.jsonl")).map_or(0, |text| text.lines().count()), config)
    };
    assert_eq!(lines(&["--health", "2"]).0, 3);
    let (samples, config) = lines(&["--health", "0"]);
    assert!(samples == 0 && config.contains("health = 0"), "{config}");
    let (samples, config) = lines(&["--health"]);
    assert!(samples == 1 && config.contains("health = 100"), "{config}");
}

/// An output that overflows f32 appears in the table. Weights that are not finite are an error.
#[test]
fn diff_shows_an_overflow_and_refuses_damaged_weights() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weights.safetensors").display().to_string();
    let diff = ["diff", &file, "--model", "softmax", "--data", "sample"];
    let net = network("softmax", [1, 28, 28], None, &Device::cpu().unwrap(), DType::F32);
    for (factor, fits) in [(3e38, true), (f64::INFINITY, false)] {
        let scaled = |(path, value): (String, receptive::Tensor)| (path, value.mul_scalar(factor).unwrap());
        let weights = net.state_dict().unwrap().into_iter().map(scaled).collect();
        TensorFile::new(weights).write(file.as_ref()).unwrap();
        if fits {
            assert!(ok(&diff).contains("linear"));
        } else {
            let message = error(&diff);
            assert!(message.contains("weights are not finite") && message.contains("help: "), "{message}");
        }
    }
}
