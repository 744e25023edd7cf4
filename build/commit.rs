//! Tells the program which commit it is built from, for `receptive --version`, and gives it the project's results, for
//! `receptive reproduce --list`. This is not part of the engine's build script, because then each commit would cause
//! the engine to be compiled again.

use std::io::Result;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

const RESULTS: &str = "docs/results";

fn git(arguments: &[&str]) -> Option<String> {
    let output =
        Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

/// The files of `docs/results` as one JSON array of `[name, content]`.
fn results() -> Result<String> {
    let mut files = Vec::new();
    for entry in fs::read_dir(RESULTS)? {
        let path = entry?.path();
        if path.extension().is_some_and(|kind| kind == "json") {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            files.push(format!("[{name:?}, {}]", quoted(&fs::read_to_string(&path)?)));
        }
    }
    files.sort();
    Ok(format!("[{}]", files.join(",\n")))
}

/// A text as a JSON string. The files contain no control characters but line ends.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

fn main() -> Result<()> {
    let folder = env::var("OUT_DIR").expect("cargo gives a build script its folder");
    let results = if Path::new(RESULTS).exists() { results()? } else { "[]".to_owned() };
    fs::write(Path::new(&folder).join("results.json"), results)?;
    println!("cargo::rerun-if-changed={RESULTS}");
    // A packed crate has no `.git` of its own. If a folder above it is a repository, that is another project's.
    let own = std::path::Path::new(".git").exists();
    let commit = own.then(|| git(&["rev-parse", "--short=9", "HEAD"])).flatten();
    println!("cargo::rustc-env=RECEPTIVE_COMMIT={}", commit.as_deref().unwrap_or("unknown commit"));
    println!("cargo::rerun-if-changed=build/commit.rs");
    // Git adds a line to this file at every commit and checkout.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]).filter(|_| own) {
        println!("cargo::rerun-if-changed={log}");
    }
    Ok(())
}
