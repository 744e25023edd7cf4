//! `receptive man`: prints the help as a manual page.

use super::print_line;
use crate::core::{Error, ErrorKind};
use clap_mangen::Man;

/// Print a manual page of the program or of one command, in roff format.
///
/// To read it, pipe it to `man -l -`.
#[derive(Debug, clap::Args)]
pub struct ManArgs {
    /// A command, for example train, or data fetch [default: the program]
    command: Vec<String>,
}

/// Runs the subcommand.
///
/// # Errors
/// No such command; a closed pipe.
pub fn run(args: &ManArgs) -> anyhow::Result<()> {
    let mut page = Vec::new();
    let source = concat!("receptive ", env!("CARGO_PKG_VERSION"));
    Man::new(named(&args.command)?).source(source).render(&mut page)?;
    print_line(String::from_utf8_lossy(&page).trim_end())
}

/// The command with this name. The words are a command and its subcommands.
fn named(words: &[String]) -> crate::Result<clap::Command> {
    // The page is the same on every machine.
    let mut program = super::command().long_version(None);
    // This gives every command the full name under which it is called.
    program.build();
    let mut command = &program;
    for word in words {
        let known: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
        command = command.find_subcommand(word).ok_or_else(|| {
            let unknown = Error::new(ErrorKind::Missing, "man", format!("there is no command `{word}`"));
            match known.is_empty() {
                true => unknown.help(format!("`{}` has no subcommands", command.get_name())),
                false => unknown.expected(format!("one of {}", known.join(", "))).like(word, &known),
            }
        })?;
    }
    Ok(command.clone())
}
