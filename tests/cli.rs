//! Tests of the program as scripts use it: exit codes, one JSON object on stdout, and errors that say what to do.
#![cfg(feature = "cli")]

mod program;

use program::{error, ok, receptive, text};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs a command that must succeed; returns the JSON object on the only line of stdout.
fn json(args: &[&str]) -> Value {
    let stdout = ok(&[args, &["--json"]].concat());
    assert_eq!(stdout.matches('\n').count(), 1, "{args:?}: {stdout}");
    let value: Value = serde_json::from_str(&stdout).unwrap();
    assert!(value.is_object(), "{args:?}: {stdout}");
    value
}

/// Trains for a few steps in a new folder.
fn trained(extra: &[&str]) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run").display().to_string();
    let args = ["train", "lenet5", "--data", "sample", "--max-steps", "20", "--out", &run];
    ok(&[&args, extra].concat());
    (folder, run)
}

#[test]
fn help_lists_every_subcommand() {
    let help = ok(&["--help"]);
    let names = [
        "train",
        "eval",
        "predict",
        "summary",
        "inspect",
        "diff",
        "data",
        "op",
        "bench",
        "reproduce",
        "doctor",
        "completions",
        "man",
    ];
    for name in names {
        assert!(help.lines().any(|line| line.trim_start().starts_with(name)), "{name} is not in\n{help}");
        assert!(ok(&[name, "--help"]).contains("Usage:"));
    }
}

#[test]
fn summary_counts_what_the_notebooks_count() {
    let counts = [("lenet5", "1x28x28", 61_706), ("lenet5", "3x32x32", 83_126), ("mlp2", "1x28x28", 39_760)];
    for (model, input, count) in counts {
        let summary = json(&["summary", model, "--input", input]);
        assert_eq!(summary["parameters"], count, "{model} {input}");
        let layers = summary["layers"].as_array().unwrap();
        let sum: u64 = layers.iter().map(|layer| layer["parameters"].as_u64().unwrap()).sum();
        assert_eq!(sum, count);
    }
    let summary = json(&["summary", "lenet5"]);
    let conv2 = summary["layers"].as_array().unwrap().iter().find(|layer| layer["path"] == "conv2").unwrap();
    assert_eq!(conv2["kind"], "Conv2d");
    assert_eq!(conv2["output"], serde_json::json!([16, 10, 10]));
    assert_eq!(conv2["flops"], 1600 * (2 * 6 * 25 + 1));
    assert_eq!(conv2["receptive_field"], 14);
    assert!(ok(&["summary", "lenet5"]).contains("(conv1): Conv2d(1, 6, kernel_size=5, padding=2)"));
}

/// As in the notebooks' debug run, prints the layers that fit, then the layer that does not fit and a size that would.
#[test]
fn a_wrong_shape_shows_the_chain_up_to_the_failing_layer() {
    let output = receptive(&["summary", "lenet5", "--built-for", "1x28x28", "--input", "1x32x32"]);
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout.contains("pool2") && stdout.contains("16x6x6") && !stdout.contains("fc2"), "{stdout}");
    assert!(stderr.contains("at lenet5/fc1") && stderr.contains("Linear::new(576, 120)"), "{stderr}");

    let output = receptive(&["summary", "lenet5", "--input", "1x4x4", "--json"]);
    let stderr = text(&output.stderr);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(1), ""));
    assert!(
        stderr.contains("pool1") && stderr.contains("6x2x2") && stderr.contains("at lenet5/conv2"),
        "{stderr}"
    );
}

#[test]
fn doctor_and_data_print_one_object() {
    let doctor = json(&["doctor"]);
    let cuda = &doctor["cuda"];
    assert!(cuda["kernels"].is_string() && cuda["available"] == cuda["name"].is_string(), "{cuda}");
    assert_eq!(cuda["available"], cuda["reason"].is_null());
    assert_eq!(doctor["threads"].as_u64().is_some_and(|n| n >= 1), doctor["device"] == "cpu");
    assert!(doctor["gemm_gflops"].as_f64().unwrap() > 0.0);
    assert!(doctor["problems"].as_array().unwrap().iter().all(|p| p["remedy"].is_string()));
    json(&["data", "list"]);
    json(&["op", "--list"]);
}

/// `inspect --values` prints parameters and buffers by name: those of one layer, or a single one.
#[test]
fn values_are_printed_by_name() {
    let text = ok(&["inspect", "lenet5-bn", "--values", "1,5.bias"]);
    let names: Vec<&str> = text.lines().filter(|line| !line.contains(' ')).collect();
    let expected =
        ["1.bias", "1.num_batches_tracked", "1.running_mean", "1.running_var", "1.weight", "5.bias"];
    assert_eq!(names, expected, "{text}");
    assert!(text.contains("1.weight\n   1.0000    1.0000"), "{text}");
    let values = json(&["inspect", "lenet5-bn", "--values", "1.weight"]);
    assert_eq!(
        values["1.weight"],
        serde_json::json!({ "shape": [6], "values": [1.0, 1.0, 1.0, 1.0, 1.0, 1.0] })
    );
    let refused = error(&["inspect", "lenet5-bn", "--values", "1.wight"]);
    assert!(
        refused.contains("no parameter or layer `1.wight`") && refused.contains("did you mean"),
        "{refused}"
    );
}

/// `eval` and `predict` give the same results for a run folder and for its weights file with model and data named.
#[test]
fn a_run_and_its_weights_give_the_same_answers() {
    let (_folder, run) = trained(&["--json"]);
    let best = format!("{run}/best.safetensors");
    let named = ["--model", "lenet5", "--data", "sample"];
    let eval = json(&["eval", &run]);
    assert_eq!(eval["n"], 1000);
    assert!(eval["loss"].as_f64().unwrap() > 0.0 && eval["accuracy"].as_f64().unwrap() > 0.1, "{eval}");
    assert_eq!(json(&[&["eval", &best], &named[..]].concat()), eval);
    let errors = eval["errors"].as_u64().unwrap();
    assert_eq!(errors, 1000 - (1000.0 * eval["accuracy"].as_f64().unwrap()).round() as u64);
    let text = ok(&["eval", &run]);
    assert!(text.contains(&format!("errors: {errors} of 1000 (")), "{text}");
    assert_eq!(json(&["eval", &run, "--threads", "1", "--batch-size", "250"]), eval);

    let predicted = json(&["predict", &run, "--index", "3"]);
    assert_eq!(json(&[&["predict", &best, "--index", "3"], &named[..]].concat()), predicted);
    let rows = predicted["probabilities"].as_array().unwrap();
    let sum: f64 = rows.iter().map(|row| row["probability"].as_f64().unwrap()).sum();
    assert!(rows.len() == 10 && (sum - 1.0).abs() < 1e-5, "{predicted}");
    assert_eq!(
        json(&["predict", &run, "--index", "3", "--top", "2"])["probabilities"].as_array().unwrap().len(),
        2
    );

    // Without best.safetensors, the weights come from the checkpoint.
    std::fs::remove_file(&best).unwrap();
    assert_eq!(json(&["eval", &run]), eval);
    assert!(error(&["eval", &best, named[0], named[1], named[2], named[3]]).contains("best.safetensors"));
    assert!(error(&["eval", &run, "--model", "mlp"]).contains("trained lenet5"));
    assert!(error(&["predict", &run, "--index", "1000"]).contains("0 to 999"));
}

/// A picture file with a data set's image gets the same classification as the image itself.
#[test]
fn a_picture_is_read_as_the_network_sees_it() {
    use receptive::data::{DataDirs, load};
    let (folder, run) = trained(&[]);
    let set = load("sample", &DataDirs::default()).unwrap().val;
    let mut image = receptive::data::Image::default();
    set.read(5, &mut image).unwrap();
    let pixels = image.pixels;
    let file = folder.path().join("five.png");
    let file = file.to_str().unwrap();
    image::GrayImage::from_raw(28, 28, pixels.clone()).unwrap().save(file).unwrap();
    let seen = json(&["predict", &run, "--index", "5"]);
    assert_eq!(json(&["predict", &run, "--image", file])["probabilities"], seen["probabilities"]);

    let negative = pixels.iter().map(|p| 255 - p).collect();
    image::GrayImage::from_raw(28, 28, negative).unwrap().save(file).unwrap();
    assert_eq!(json(&["predict", &run, "--image", file, "--invert"])["probabilities"], seen["probabilities"]);

    let whole = std::fs::read(file).unwrap();
    std::fs::write(file, &whole[..whole.len() / 2]).unwrap();
    assert!(error(&["predict", &run, "--image", file]).contains("damaged"));
    std::fs::write(file, "no picture").unwrap();
    assert!(error(&["predict", &run, "--image", file]).contains("not a PNG, JPEG or GIF"));
    assert!(error(&["predict", &run, "--image", &run]).contains("not a regular file"));
    assert!(error(&["predict", &run, "--image", "nowhere.png"]).contains("nowhere.png"));
}

#[test]
fn unknown_names_are_answered_with_the_known_ones() {
    let cases: [(&[&str], &str); 12] = [
        (&["train", "lenet"], "lenet5"),
        (&["train", "lenet5", "--data", "minst"], "fashion-mnist"),
        (&["train", "lenet5", "--optimizer", "lion"], "adamw"),
        (&["train", "lenet5", "--data", "sample", "--scheduler", "linear"], "onecycle"),
        (&["summary", "resnet"], "minivgg"),
        (&["bench", "step", "--input", "28x28", "lenet5"], "CxHxW"),
        (&["eval", "nowhere.safetensors"], "no run or file"),
        (&["train", "lenet5", "--data", "sample", "--device", "gpu"], "cuda:N"),
        (&["doctor", "--device", "cuda:99"], "--device cpu"),
        (&["train", "lenet5", "--loss", "crossentropy"], "cross_entropy"),
        (&["trian"], "train"),
        (&["summary", "lenet5", "--inputs", "1x28x28"], "--input"),
    ];
    for (args, known) in cases {
        let message = error(args);
        assert!(message.contains(known), "{args:?} should name {known}: {message}");
    }
}

#[test]
fn settings_out_of_range_are_refused_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let bad: [(&str, &str); 20] = [
        ("--batch-size", "0"),
        ("--threads", "9999999"),
        ("--weight-decay", "-1"),
        ("--epochs", "0"),
        ("--lr", "NaN"),
        ("--lr", "-1"),
        ("--lr", "inf"),
        ("--momentum", "NaN"),
        ("--momentum", "1"),
        ("--max-steps", "0"),
        ("--subset", "3"),
        ("--workers", "100000"),
        ("--classes", "99999999999"),
        ("--freeze", "conv1,conv2,fc1,fc2,fc3"),
        ("--loss", "dice"),
        ("--label-smoothing", "0.1"),
        ("--label-smoothing", "1.5"),
        ("--class-weights", "1,2"),
        ("--class-weights", "1,1,1,1,1,1,1,1,1,-1"),
        ("--class-weights", "0,0,0,0,0,0,0,0,0,0"),
    ];
    for (flag, value) in bad {
        let args = ["train", "lenet5", "--data", "sample", flag, value, "--out", out.to_str().unwrap()];
        let message = error(&args);
        assert!(message.contains(flag.trim_start_matches('-')), "{flag} {value}: {message}");
        assert!(!out.exists(), "{flag} {value} left a folder behind");
    }
    error(&["eval", "w.safetensors", "--model", "lenet5", "--data", "sample", "--batch-size", "0"]);
    error(&["summary", "lenet5", "--classes", "0"]);
    error(&["summary", "lenet5", "--input", "0x28x28"]);
}

/// Every option is used, or refused with a message.
#[test]
fn flags_that_would_change_nothing_are_refused() {
    let cases: [(&[&str], &str); 9] = [
        (&["inspect", "lenet5", "--model", "mlp"], "omit --model"),
        (&["diff", "lenet5", "--model", "mlp"], "omit --model"),
        (&["inspect", "lenet5", "--arch", "mine.toml"], "omit --arch"),
        (&["inspect", "mine.toml", "--arch", "mine.toml"], "omit --arch"),
        (&["inspect", "lenet5", "--split", "train"], "--index"),
        (&["diff", "lenet5", "--split", "train"], "--index"),
        (&["diff", "lenet5", "--image", "a.png", "--split", "train"], "cannot be used with"),
        (&["predict", "run", "--image", "a.png", "--split", "train"], "cannot be used with"),
        (
            &[
                "train",
                "lenet5",
                "--data",
                "sample",
                "--device",
                "cpu",
                "--precision",
                "bf16",
                "--out",
                "never",
            ],
            "works only on a GPU",
        ),
    ];
    for (args, expected) in cases {
        let message = error(args);
        assert!(message.contains(expected), "{args:?} should say {expected}: {message}");
    }
}

/// An output never overwrites a file that is read, nor one of a run's own files.
#[test]
#[cfg(unix)]
fn no_input_is_written_over() {
    let (folder, run) = trained(&[]);
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (weights, config) = (at("weights.safetensors"), format!("{run}/config.toml"));
    std::fs::copy(format!("{run}/best.safetensors"), &weights).unwrap();
    std::os::unix::fs::symlink(&weights, at("page.html")).unwrap();
    let of_lenet5 = ["inspect", &weights, "--model", "lenet5", "--data", "sample", "--out"];
    let cases: [(&[&str], &str, &str); 5] = [
        (&of_lenet5, &weights, "the command reads"),
        (&of_lenet5, &config, "belongs to a run"),
        (&["inspect", &run, "--out"], &config, "belongs to a run"),
        (&["inspect", &run, "--out"], &format!("{run}/metrics.jsonl"), "belongs to a run"),
        (&of_lenet5, &at("page.html"), "the command reads"),
    ];
    for (args, out, expected) in cases {
        let before = std::fs::read(out).unwrap();
        let message = error(&[args, &[out]].concat());
        assert!(message.contains(expected), "{args:?} {out}: {message}");
        assert_eq!(std::fs::read(out).unwrap(), before);
    }
}

/// `receptive summary ... | head -1`: no panic, no message.
#[test]
#[cfg(unix)]
fn a_reader_that_leaves_is_no_error_message() {
    for args in [&["summary", "lenet5"][..], &["completions", "bash"], &["man", "train"]] {
        let mut program = Command::new(env!("CARGO_BIN_EXE_receptive"));
        // The reader is closed before the program writes its first line, even on a slow machine.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = program.args(args).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        let output = output.wait_with_output().unwrap();
        assert_eq!((text(&output.stderr).as_str(), output.status.code()), ("", Some(141)), "{args:?}");
    }
}

/// A debug build refuses, because its times mean nothing.
#[test]
#[cfg(debug_assertions)]
fn a_debug_build_refuses_to_bench() {
    assert!(error(&["bench", "step", "lenet5", "--json"]).contains("--release"));
}

#[test]
#[cfg(not(debug_assertions))]
fn bench_step_reports_what_scripts_read() {
    let args = [
        "bench",
        "step",
        "lenet5",
        "--batch-size",
        "8",
        "--seconds",
        "0.2",
        "--device",
        "cpu",
        "--threads",
        "1",
    ];
    let times = json(&args);
    let number = |key: &str| times[key].as_f64().unwrap_or_else(|| panic!("{key} in {times}"));
    assert_eq!((times["model"].as_str(), times["device"].as_str()), (Some("lenet5"), Some("cpu")));
    assert_eq!(times["input"], serde_json::json!([1, 28, 28]));
    assert_eq!((number("threads"), number("batch_size"), number("parameters")), (1.0, 8.0, 61_706.0));
    assert!((5.0..=500.0).contains(&number("runs")));
    assert!(number("step_ms_min") > 0.0 && number("step_ms_min") <= number("step_ms_median"));
    assert!(number("forward_ms_median") < number("step_ms_median"));
    assert!(number("peak_bytes") > 1e6);
    let segmenter = ["--width", "2", "--input", "3x16x16", "--batch-size", "2", "--seconds", "0.1"];
    assert_eq!(json(&[&["bench", "step", "unet"], &segmenter[..]].concat())["model"], "unet");
    assert!(error(&["bench", "step", "lenet5", "--batch-size", "0"]).contains("--batch-size"));
    assert!(error(&["bench", "step", "lenet5", "--seconds", "NaN"]).contains("--seconds"));
    assert!(error(&["bench", "step", "lenet5", "--input", "1x4x4"]).contains("too small"));
}

/// Without `--data`, a missing set is replaced by the sample, with a message. With `--data` it is an error, and no
/// folder is made.
#[test]
fn a_missing_set_is_replaced_only_where_none_was_named() {
    let folder = tempfile::tempdir().unwrap();
    let [fallback, named] = ["fallback", "named"].map(|name| folder.path().join(name).display().to_string());
    let output = receptive(&["train", "mlp2", "--max-steps", "1", "--json", "--out", &fallback]);
    let stderr = text(&output.stderr);
    assert!(output.status.success() && stderr.contains("mnist is not on this machine"), "{stderr}");
    assert!(stderr.contains("receptive data fetch mnist"), "{stderr}");
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["run"], fallback.as_str());
    let config = std::fs::read_to_string(format!("{fallback}/config.toml")).unwrap();
    assert!(config.contains("data = \"sample\"") && config.contains("optimizer = \"adam\""), "{config}");

    let message = error(&["train", "mlp2", "--data", "mnist", "--max-steps", "1", "--out", &named]);
    assert!(message.contains("receptive data fetch mnist") && !Path::new(&named).exists(), "{message}");
}

/// `--resume` takes all settings from the folder. A setting given with it would be ignored, so it is refused.
#[test]
fn a_resumed_run_takes_no_other_settings() {
    for setting in [&["lenet5"][..], &["--lr", "9"], &["--seed", "0"], &["--no-shuffle"]] {
        let message = error(&[&["train", "--resume", "run"], setting].concat());
        assert!(message.contains("cannot be used with"), "{setting:?}: {message}");
    }
    assert!(error(&["train", "--resume", "nowhere", "--json"]).contains("nowhere"));
}

/// Weights are sorted by name, and the header contains nothing else. So the same tensors give the same bytes.
#[test]
fn weights_files_are_sorted_and_without_metadata() {
    let (_folder, run) = trained(&[]);
    for name in ["best.safetensors", "last.safetensors"] {
        let bytes = std::fs::read(format!("{run}/{name}")).unwrap();
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let header = text(&bytes[8..8 + length]);
        let names = ["conv1", "conv2", "fc1", "fc2", "fc3"]
            .map(|layer| [".bias", ".weight"].map(|p| format!("\"{layer}{p}\"")));
        let positions: Vec<usize> =
            names.iter().flatten().map(|name| header.find(name.as_str()).unwrap()).collect();
        assert!(positions.is_sorted() && header.matches("\"dtype\"").count() == 10, "{header}");
        assert!(!header.contains("__metadata__"));
    }
}

#[test]
fn kernels_are_chosen_by_number_and_precision_by_name() {
    let message = error(&["train", "lenet5", "--data", "sample", "--precision", "f8"]);
    assert!(message.contains("f8") && message.contains("f32, tf32, bf16"), "{message}");
    let message = error(&["bench", "step", "mlp", "--device", "cpu", "--conv-rung", "77"]);
    assert!(
        message.contains("conv-rung: there is no rung 77") && message.contains("1 (direct)"),
        "{message}"
    );
}

/// For a mistyped value, the error suggests a similar name, as for a mistyped flag.
#[test]
fn mistyped_values_are_told_what_was_meant() {
    let cases: [(&[&str], &str); 7] = [
        (&["train", "lenet6"], "did you mean lenet5"),
        (&["train", "lenet5", "--data", "fashion-minst"], "did you mean fashion-mnist?"),
        (&["data", "fetch", "cifar-10"], "did you mean cifar10?"),
        (&["op", "rleu"], "did you mean relu"),
        (&["reproduce", "M33"], "did you mean M3"),
        (&["train", "lenet5", "--augment", "standart"], "did you mean standard?"),
        (&["train", "lenet5", "--data", "sample", "--freeze", "cnov1"], "did you mean conv1?"),
    ];
    for (arguments, expected) in cases {
        let message = error(arguments);
        assert!(message.contains(expected), "{arguments:?}: {message}");
    }
}
