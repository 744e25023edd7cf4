//! Runs the program as a script would.

use std::path::Path;
use std::process::{Command, Output};

/// Runs the program with no data sets but the sample.
pub fn receptive(args: &[&str]) -> Output {
    let nowhere = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let mut program = Command::new(env!("CARGO_BIN_EXE_receptive"));
    program.args(args).env("HOME", nowhere).env_remove("RECEPTIVE_DATA").output().unwrap()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Runs a command that must succeed; returns stdout.
pub fn ok(args: &[&str]) -> String {
    let output = receptive(args);
    assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// Runs a command that must fail, with nothing on stdout; returns the only message on stderr.
pub fn error(args: &[&str]) -> String {
    let output = receptive(args);
    let stderr = text(&output.stderr);
    assert!(matches!(output.status.code(), Some(1 | 2)), "{args:?}: {:?} {stderr}", output.status);
    assert_eq!(text(&output.stdout), "", "{args:?}");
    assert_eq!(stderr.matches("error:").count(), 1, "{args:?}: {stderr}");
    assert!(stderr.starts_with("error: ") && !stderr.contains("panicked"), "{args:?}: {stderr}");
    stderr
}
