//! Tests that tables fit a narrow window: no line of a table is longer than 60 characters.

use super::program::ok;
use receptive::core::table::WIDTH;
use receptive::models::MODELS;

/// Checks all lines from the first that begins with `from`.
fn check(text: &str, from: &str) {
    let mut lines = text.lines().skip_while(|line| !line.starts_with(from)).peekable();
    assert!(lines.peek().is_some(), "no line begins with `{from}`:\n{text}");
    for line in lines {
        let length = line.chars().count();
        // A line with only a path may be longer, because readers copy it.
        let words = line.split_whitespace().count();
        assert!(length <= WIDTH || words == 1, "{length} characters: {line}\nin {text}");
    }
}

#[test]
fn of_what_there_is() {
    check(&ok(&["op", "--list"]), "abs");
    check(&ok(&["data", "list"]), "sample");
    check(&ok(&["doctor"]), "receptive");
    check(&ok(&["reproduce", "--list", "--out", "nowhere"]), "id");
}

#[test]
fn of_every_network_layer_by_layer() {
    for model in MODELS.iter().map(|spec| spec.name) {
        let text = ok(&["summary", model]);
        check(&text, "layer");
        // Shortened names still differ from each other.
        let table = text.lines().skip_while(|line| !line.starts_with("layer"));
        let names: Vec<&str> =
            table.filter(|line| !line.starts_with(' ')).filter_map(|line| line.split(' ').next()).collect();
        for pair in names.windows(2) {
            assert_ne!(pair[0], pair[1], "{model}");
        }
    }
}

#[test]
fn of_a_run_and_its_weights() {
    let folder = tempfile::tempdir().unwrap();
    let (run, profile) = (folder.path().join("run"), folder.path().join("profile.json"));
    let (run, profile) = (run.to_str().unwrap(), profile.to_str().unwrap());
    let short = ["--epochs", "1", "--subset", "80", "--max-steps", "6", "--fraction", "0.05"];
    let train =
        ["train", "lenet5", "--data", "sample", "--out", run, "--profile", profile, "--profile-steps", "2"];
    let said = ok(&[&train[..], &short].concat());
    let said = said.replace(profile, "profile.json").replace(run, "run");
    let table: Vec<&str> = said
        .lines()
        .skip_while(|line| !line.starts_with("layer"))
        .take_while(|line| !line.starts_with("the timeline"))
        .collect();
    check(&table.join("\n"), "layer");
    check(&ok(&["eval", run]), "T-shirt/top");
    check(
        &ok(&["predict", run, "--index", "0", "--top", "10"]).lines().skip(1).collect::<Vec<_>>().join("\n"),
        "",
    );
    check(&ok(&["diff", run]), "layer");
    check(&ok(&["diff", run, "--gradients"]), "layer");
}
