//! Tells the program which commit it is built from, for `receptive --version`. This is not part of the engine's build
//! script, because then each commit would cause the engine to be compiled again.

use std::process::Command;

fn git(arguments: &[&str]) -> Option<String> {
    let output =
        Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

fn main() {
    // A packed crate has no `.git` of its own. If a folder above it is a repository, that is another project's.
    let own = std::path::Path::new(".git").exists();
    let commit = own.then(|| git(&["rev-parse", "--short=9", "HEAD"])).flatten();
    println!("cargo::rustc-env=RECEPTIVE_COMMIT={}", commit.as_deref().unwrap_or("unknown commit"));
    println!("cargo::rerun-if-changed=build/commit.rs");
    // Git adds a line to this file at every commit and checkout.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]).filter(|_| own) {
        println!("cargo::rerun-if-changed={log}");
    }
}
