//! Tells the program the commit it is built from, for `receptive --version`. A script of its own, because the engine's
//! would compile the engine anew after every commit.

use std::process::Command;

fn git(arguments: &[&str]) -> Option<String> {
    let output =
        Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

fn main() {
    // A packed crate has no repository around it, and one that contains it is another.
    let own = std::path::Path::new(".git").exists();
    let commit = own.then(|| git(&["rev-parse", "--short=9", "HEAD"])).flatten();
    println!("cargo::rustc-env=RECEPTIVE_COMMIT={}", commit.as_deref().unwrap_or("unknown commit"));
    println!("cargo::rerun-if-changed=build/commit.rs");
    // This file changes with every commit and checkout.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]).filter(|_| own) {
        println!("cargo::rerun-if-changed={log}");
    }
}
