//! The `receptive` program: one file per subcommand. The work is done in the library.

mod args;
pub mod bench;
mod bench_kernels;
pub mod completions;
pub mod data;
mod data_show;
pub mod diff;
pub mod doctor;
pub mod eval;
mod experiments;
mod flags;
pub mod inspect;
mod logits;
pub mod man;
mod mask;
pub mod op;
mod picture;
pub mod predict;
mod profile;
mod progress;
pub mod reproduce;
pub mod summary;
pub mod train;
mod version;

use anyhow::Context;
use clap::{CommandFactory, Parser, Subcommand};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Convolutional networks from scratch: train them, look inside them, time them.
#[derive(Debug, Parser)]
#[command(name = "receptive", version, long_version = version::version())]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Train(Box<train::TrainArgs>),
    Eval(eval::EvalArgs),
    Predict(predict::PredictArgs),
    Summary(summary::SummaryArgs),
    Inspect(inspect::InspectArgs),
    Diff(diff::DiffArgs),
    Reproduce(reproduce::ReproduceArgs),
    Data(data::DataArgs),
    Op(op::OpArgs),
    Bench(bench::BenchArgs),
    Doctor(doctor::DoctorArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

/// The program's command line: its arguments and its help.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the program. The exit code is 0 only if the request was carried out.
pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Train(args) => train::run(*args),
        Command::Eval(args) => eval::run(args),
        Command::Predict(args) => predict::run(args),
        Command::Reproduce(args) => reproduce::run(args),
        Command::Summary(args) => summary::run(&args),
        Command::Inspect(args) => inspect::run(args),
        Command::Diff(args) => diff::run(args),
        Command::Data(args) => data::run(&args),
        Command::Op(args) => op::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // The program that reads our output has closed the pipe, as `head` does: no message, and the exit code of a
        // SIGPIPE.
        Err(error) if is_broken_pipe(&error) => ExitCode::from(141),
        // A requested stop is not an error. Scripts still recognise Ctrl-C by its usual exit code.
        Err(error) if error.is::<Stopped>() => {
            say_on_stderr(&error.to_string());
            ExitCode::from(if PRESSED.load(Ordering::Relaxed) { 130 } else { 0 })
        }
        Err(error) => {
            say_on_stderr(&format!("error: {}", message(&error)));
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}

/// The error and its causes. A cause that the text already contains is left out.
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
    writeln!(std::io::stdout().lock(), "{text}").context("cannot write to stdout")
}

/// Prints a message for the user. A closed pipe must not end a training run, so a message that cannot be printed is
/// dropped. Names of the library's settings become flags.
fn say(line: &str) {
    let _ = print_line(&flags::spoken(line));
}

/// As [`say`], but on stderr, because stdout is reserved for the result.
fn say_on_stderr(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr().lock(), "{}", flags::spoken(line));
}

/// The error of a command that was asked to stop. It tells how to continue.
#[derive(Debug)]
struct Stopped(String);

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Stopped {}

/// Whether Ctrl-C was pressed, or the process received SIGTERM or SIGHUP.
static PRESSED: AtomicBool = AtomicBool::new(false);

/// A flag that the first Ctrl-C sets. The second Ctrl-C ends the process. Other code may set the flag as well, so the
/// key presses are tracked separately.
fn interrupt() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if PRESSED.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        raised.store(true, Ordering::Relaxed);
        eprintln!("stopping after this step; press Ctrl-C again to stop at once");
    })
    .map_err(|e| anyhow::anyhow!("cannot listen for Ctrl-C: {e}"))?;
    Ok(stop)
}
