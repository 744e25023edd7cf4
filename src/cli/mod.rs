//! The `receptive` program: one file for each subcommand, thin over the library.

pub mod data;
pub mod op;
mod progress;
pub mod train;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Convolutional networks from scratch: train them, look inside them, time them.
#[derive(Debug, Parser)]
#[command(name = "receptive", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Data(data::Args),
    Train(Box<train::Args>),
    Op(op::Args),
}

/// Runs the program. The exit code is 0 only when what was asked was done.
pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Data(args) => data::run(&args),
        Command::Train(args) => train::run(*args),
        Command::Op(args) => op::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", message(&error));
            ExitCode::FAILURE
        }
    }
}

/// The error and its causes, without a cause whose words the error already has.
fn message(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |text, cause| match text.as_str() {
        "" => cause,
        _ if text.contains(&cause) => text,
        _ => format!("{text}: {cause}"),
    })
}

/// Prints one line to stdout.
///
/// # Errors
/// A closed pipe, a full disk.
fn print_line(text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    Ok(writeln!(std::io::stdout().lock(), "{text}")?)
}

/// Tells the user something in passing. A closed pipe must not end a training run: what cannot be said is dropped.
fn say(line: &str) {
    let _ = print_line(line);
}

/// As [`say`], where stdout is kept for the result.
fn say_on_stderr(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
