//! Tests of `receptive data show`.

use super::files::write_set;
use std::path::Path;
use std::process::{Command, Output};

fn show(args: &[&str]) -> Output {
    let nowhere = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let mut program = Command::new(env!("CARGO_BIN_EXE_receptive"));
    program
        .args(["data", "show"])
        .args(args)
        .env("HOME", nowhere)
        .env_remove("RECEPTIVE_DATA")
        .output()
        .unwrap()
}

fn ok(args: &[&str]) -> String {
    let output = show(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What the notebooks print of a set: shapes, a batch, the classes and their images, the batches of an epoch.
#[test]
fn a_set_is_shown_with_its_shapes_batches_and_classes() {
    let said = ok(&["sample"]);
    for part in
        ["[5000, 1, 28, 28]", "[1000]", "u8, 0 to 255", "[64, 1, 28, 28] f32", "[64] i64", "Ankle boot"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(said.contains("an epoch: 78 batches of 64 and 1 batch of 8"), "{said}");
    assert!(said.lines().all(|line| line.chars().count() <= 100), "{said}");

    let said = ok(&["sample", "--subset", "160", "--batch-size", "16", "--json"]);
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["batches"], serde_json::json!([[10, 16]]));
    let counts = said["classes"].as_array().unwrap();
    assert!(counts.len() == 10 && counts.iter().all(|class| class["images"] == 16), "{said}");
    assert_eq!(said["splits"][0]["images"], serde_json::json!([160, 1, 28, 28]));
    assert_eq!(said["picture"], serde_json::Value::Null);
    let half = ok(&["sample", "--fraction", "0.5"]);
    assert!(half.contains("[2500, 1, 28, 28]"), "{half}");
}

/// The pixels are normalised as the set's notebook does it; `--data-dir` says where the set is.
#[test]
fn a_batch_is_prepared_as_for_training() {
    let root = tempfile::tempdir().unwrap();
    write_set(&root.path().join("mnist"), 40, 28, |name| (name.to_owned(), false));
    let said = ok(&["mnist", "--data-dir", root.path().to_str().unwrap(), "--json"]);
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    let low = said["batch"]["images_range"][0].as_f64().unwrap();
    assert!((-0.4243..0.0).contains(&low), "{said}");
}

/// One picture of each kind; the same seed draws the same bytes, another seed other ones.
#[test]
fn pictures_follow_the_seed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("p.svg");
    let out = file.to_str().unwrap();
    let draw = |more: &[&str]| {
        let said = ok(&[&["sample", "--out", out, "--count", "2"][..], more].concat());
        assert!(said.contains("written to "), "{said}");
        std::fs::read_to_string(&file).unwrap()
    };
    assert_eq!(draw(&[]).matches("<image").count(), 2);
    assert_eq!(draw(&["--picture", "classes"]).matches("<image").count(), 20);
    let varied = |seed| draw(&["--picture", "augmented", "--augment", "cutout", "--seed", seed]);
    let first = varied("1");
    assert!(first == varied("1") && first != varied("2"));
    assert_eq!(first.matches("<image").count(), 2 * 7);
}

#[test]
fn bad_requests_have_one_message() {
    for (args, part) in [
        (&["mnits"][..], "did you mean"),
        (&["cifar10"], "receptive data fetch cifar10"),
        (&["sample", "--model", "lenet55"], "lenet5"),
        (&["sample", "--out", "p.png"], ".svg"),
        (&["sample", "--picture", "classes"], "--out"),
        (&["sample", "--subset", "5"], "at least 10"),
        (&["sample", "--batch-size", "0"], "--batch-size: 0 is out of range"),
        (&["sample", "--masks", "raw"], "receptive data show pets"),
        (&["sample", "--model", "unet"], "no masks"),
    ] {
        let output = show(args);
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && output.stdout.is_empty(), "{args:?}");
        assert!(message.contains(part) && message.matches("error:").count() == 1, "{args:?}: {message}");
    }
}
