//! `receptive completions`: the suggestions of a shell when the tab key is pressed.

use super::print_line;
use crate::core::Precision;
use crate::core::text::Named;
use crate::data::{Augment, Masks, Normalization, SETS, catalog::Source};
use crate::models::{MODELS, OptimizerKind};
use crate::nn::{Loss, Scheme};
use crate::ops::OPS;
use crate::reproduce::EXPERIMENTS;
use crate::train::GraphMode;
use clap::builder::PossibleValuesParser;
use clap::{Arg, Command, ValueHint};
use clap_complete::{Shell, generate};

/// Print a script that completes commands, flags, and the names of networks, data sets, ops and experiments.
///
/// Save it where the shell looks for completions: for bash ~/.local/share/bash-completion/completions/receptive, for
/// fish ~/.config/fish/completions/receptive.fish, for zsh a file _receptive in a folder of $fpath.
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    #[arg(value_enum)]
    shell: Shell,
}

/// Runs the subcommand.
///
/// # Errors
/// A closed pipe.
pub fn run(args: &CompletionsArgs) -> anyhow::Result<()> {
    let mut script = Vec::new();
    generate(args.shell, &mut told(super::command()), "receptive", &mut script);
    print_line(String::from_utf8_lossy(&script).trim_end())
}

/// Adds to a command's arguments which values they take. Only completion uses this. The parser itself accepts any text,
/// because a value may also be a folder or a file, and because the library's errors suggest similar names.
fn told(command: Command) -> Command {
    let name = command.get_name().to_owned();
    command.mut_args(|arg| hinted(arg, &name)).mut_subcommands(told)
}

fn hinted(arg: Arg, command: &str) -> Arg {
    let names = known(command, arg.get_id().as_str());
    if !names.is_empty() {
        return arg.value_parser(PossibleValuesParser::new(names));
    }
    let value = arg.get_value_names().and_then(<[_]>::first).map_or("", |name| name.as_str());
    let hint = match arg.get_value_hint() {
        _ if value == "DIR" => ValueHint::DirPath,
        _ if value.starts_with("FILE") => ValueHint::FilePath,
        // Numbers and words: the shell must not suggest files.
        ValueHint::Unknown => ValueHint::Other,
        known => known,
    };
    if arg.get_action().takes_values() { arg.value_hint(hint) } else { arg }
}

fn all<T: Named>() -> Vec<&'static str> {
    T::NAMES.iter().map(|(name, _)| *name).collect()
}

/// The values of an argument that takes one of a few names; empty if it takes anything else.
fn known(command: &str, arg: &str) -> Vec<&'static str> {
    match (command, arg) {
        ("op", "name") => OPS.iter().map(|op| op.name).collect(),
        ("fetch", "name") => {
            let fetched = SETS.iter().filter(|set| !matches!(set.source, Source::Embedded));
            fetched.map(|set| set.name).collect()
        }
        ("show", "name") => SETS.iter().map(|set| set.name).collect(),
        ("reproduce", "ids") => EXPERIMENTS.iter().map(|row| row.id).chain(["all"]).collect(),
        ("diff", "a" | "b") => vec!["cpu:f32", "cpu:f64", "cuda:f32", "cuda:tf32", "cuda:bf16"],
        ("train" | "step" | "layers", "graph") => all::<GraphMode>(),
        (_, "model") => MODELS.iter().map(|model| model.name).collect(),
        (_, "data") => SETS.iter().map(|set| set.name).collect(),
        (_, "device") => vec!["auto", "cpu", "cuda"],
        (_, "loss") => all::<Loss>(),
        (_, "optimizer") => all::<OptimizerKind>(),
        (_, "normalize") => all::<Normalization>(),
        (_, "augment") => all::<Augment>(),
        (_, "masks") => all::<Masks>(),
        (_, "precision") => all::<Precision>(),
        (_, "scheme") => all::<Scheme>(),
        _ => Vec::new(),
    }
}
