//! Tests of `receptive data`.

use super::files::write_set;
use std::process::{Command, Output};

fn receptive(args: &[&str], home: &std::path::Path) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_receptive"));
    program.arg("data").args(args).env("HOME", home).env_remove("RECEPTIVE_DATA").output().unwrap()
}

#[test]
fn list_shows_each_set_and_where_it_lies() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".cache/receptive/mnist");
    write_set(&folder, 10, 2, |name| (name.to_owned(), false));
    let output = receptive(&["list", "--json"], home.path());
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 1);
    let sets: serde_json::Value = serde_json::from_str(&text).unwrap();
    let names: Vec<_> = sets["sets"].as_array().unwrap().iter().map(|set| &set["name"]).collect();
    assert_eq!(names, ["sample", "mnist", "fashion-mnist", "cifar10", "pets"]);
    assert_eq!(sets["sets"][0]["available"], true);
    assert_eq!(sets["sets"][1]["folder"], folder.to_str().unwrap());

    let elsewhere = tempfile::tempdir().unwrap();
    let output = receptive(&["list"], elsewhere.path());
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .any(|line| line.trim() == "receptive data fetch mnist")
    );
}

/// An unknown set and a mirror that does not exist give exit code 1, one message, and nothing on stdout.
#[test]
fn fetch_fails_with_a_message() {
    let home = tempfile::tempdir().unwrap();
    let unknown = receptive(&["fetch", "mnits", "--json"], home.path());
    let no_mirror = receptive(&["fetch", "mnist", "--json", "--url", "gopher://mirror"], home.path());
    for (output, text) in [(unknown, "there is no data set `mnits`"), (no_mirror, "error: ")] {
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(output.stdout, b"");
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains(text), "{message}");
    }
    let nothing_to_do = receptive(&["fetch", "sample", "--json"], home.path());
    assert!(nothing_to_do.status.success());
    assert_eq!(String::from_utf8(nothing_to_do.stdout).unwrap().trim(), r#"{"folder":null,"name":"sample"}"#);
}
