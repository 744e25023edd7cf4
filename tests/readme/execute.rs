//! Executes blocks as a reader would, in a new folder.

use crate::commands;
use crate::markdown::Block;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Runs a script in a shell in `folder`. The shell finds `receptive`, and only the data sets in `data`.
fn shell(folder: &Path, data: &Path, script: &str) -> Output {
    let program = Path::new(env!("CARGO_BIN_EXE_receptive")).parent().unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut shell = Command::new("sh");
    shell.args(["-e", "-c", script]).current_dir(folder).env("HOME", folder.join("home"));
    shell.env("PATH", format!("{}:{path}", program.display())).env("RECEPTIVE_DATA", data);
    shell.output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A debug build refuses `receptive bench`, so these lines are left out.
fn can_run(line: &str) -> bool {
    !(cfg!(debug_assertions) && line.starts_with("receptive bench "))
}

/// Executes a page's blocks marked `run`, one after the other, in an empty folder, and compares what the text blocks
/// show.
pub fn in_order(page: &str, blocks: &[Block]) {
    let folder = tempfile::tempdir().unwrap();
    let nothing = folder.path().join("home");
    std::fs::create_dir(&nothing).unwrap();
    let mut last: Option<String> = None;
    for block in blocks {
        match (block.language.as_str(), block.mark.as_str(), &last) {
            ("text", _, Some(printed)) => compare(page, &block.text, printed),
            ("text", _, None) => panic!("{page}: this is not after a block that is run:\n{}", block.text),
            (_, "run", _) => {
                let mut printed = String::new();
                for line in block.lines().iter().filter(|line| can_run(line)) {
                    let output =
                        shell(folder.path(), &nothing, &line.replace("cargo run --release --", "receptive"));
                    printed += &said(&output);
                    assert!(output.status.success(), "{page}: {line}\n{printed}");
                }
                last = Some(printed);
            }
            _ => last = None,
        }
    }
}

/// Every line shown was printed, in this order. Decimal numbers (times, and what other processors round otherwise) and
/// the number of spaces do not count; `...` stands for any lines.
fn compare(page: &str, shown: &str, printed: &str) {
    let mut rest = printed.lines().map(stable);
    for line in shown.lines().filter(|line| line.trim() != "...") {
        let line = stable(line);
        assert!(rest.any(|other| other == line), "{page} shows `{line}`, but it was not printed:\n{printed}");
    }
}

fn stable(line: &str) -> String {
    let decimal = |word: &&str| word.contains('.') && word.starts_with(|c: char| c.is_ascii_digit());
    let mut words: Vec<&str> = line.split_whitespace().collect();
    for at in 0..words.len() {
        let epoch = words[..at].ends_with(&["in", "epoch"]);
        if epoch || decimal(&words[at]) {
            words[at] = "#";
        }
    }
    words.join(" ")
}

/// Executes the first steps of the lines marked `data` and `gpu` whose data sets and device are here.
pub fn where_it_can<'a>(blocks: impl Iterator<Item = &'a Block>) {
    let cache = || std::env::home_dir().unwrap_or_default().join(".cache/receptive");
    let data = std::env::var_os("RECEPTIVE_DATA").map_or_else(cache, PathBuf::from);
    let folder = tempfile::tempdir().unwrap();
    let found = shell(folder.path(), &data, "receptive doctor --json");
    let found: serde_json::Value = serde_json::from_slice(&found.stdout).unwrap();
    let sets = found["data"].as_array().unwrap();
    let here = |name: &str| sets.iter().any(|set| set["name"] == name && set["available"] == true);
    let gpu = found["cuda"]["available"] == true;
    for block in blocks.filter(|block| block.mark == "data" || block.mark == "gpu" && gpu) {
        for line in block.lines().iter().filter(|line| line.starts_with("receptive train ")) {
            let words = commands::split(line).remove(0);
            let value = |flag: &str| words.iter().skip_while(|word| *word != flag).nth(1);
            let own = ["--init", "--resume", "--arch"].iter().any(|flag| value(flag).is_some());
            if own || !value("--data").is_none_or(|name| here(name)) {
                continue;
            }
            let command = format!("{} --max-steps 2", words.join(" "));
            let output = shell(folder.path(), &data, &command);
            assert!(output.status.success(), "{command}\n{}", said(&output));
        }
    }
}
