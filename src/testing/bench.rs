//! Shared code of the benchmarks: flags, the refusal of a debug build, the provenance of a figure, and the statistic.

use crate::core::stats::median;
use crate::core::{Error, Result};
use crate::inspect::Machine;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::process::Command;

/// The arguments after `cargo bench --bench NAME --`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Arguments {
    values: BTreeMap<String, String>,
    /// Only names that contain this are measured; empty: all names.
    pub filter: String,
    question: Option<Question>,
}

/// The most names that a message lists.
const FEW: usize = 12;

/// A question to a benchmark, which is answered instead of measuring.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Question {
    Help,
    List,
}

impl Arguments {
    /// Reads flags, each with a value, and at most one filter. `known` are the existing flags, such as `--threads N`.
    ///
    /// # Errors
    /// An unknown flag, a flag without its value, a second filter.
    pub fn parse(arguments: impl IntoIterator<Item = String>, known: &[&str]) -> Result<Arguments> {
        let mut found = Arguments::default();
        // Cargo itself adds `--bench`.
        let mut arguments = arguments.into_iter().filter(|argument| argument != "--bench");
        while let Some(argument) = arguments.next() {
            let question = match argument.as_str() {
                "--help" | "-h" => Some(Question::Help),
                "--list" => Some(Question::List),
                _ => None,
            };
            if question.is_some() {
                found.question = question;
                continue;
            }
            if !argument.starts_with("--") {
                if !found.filter.is_empty() {
                    return Err(Error::argument(argument, "is a second filter, but only one is allowed")
                        .help("quote a filter of two words: cargo bench --bench ladder -- 'conv2d vgg11'"));
                }
                found.filter = argument;
                continue;
            }
            if !known.iter().any(|flag| flag.split(' ').next() == Some(&argument)) {
                return Err(Error::argument(argument, "there is no such flag")
                    .expected(format!("{}, or a filter", known.join(", "))));
            }
            let Some(value) = arguments.next() else {
                return Err(Error::argument(argument, "has no value").expected(known.join(", ")));
            };
            found.values.insert(argument, value);
        }
        Ok(found)
    }

    /// The value of a flag.
    pub fn text(&self, flag: &str) -> Option<&str> {
        self.values.get(flag).map(String::as_str)
    }

    /// The value of a flag as a number.
    ///
    /// # Errors
    /// A value that is not a number.
    pub fn number<T: std::str::FromStr>(&self, flag: &str) -> Result<Option<T>> {
        let parse = |text: &str| text.parse().map_err(|_| not_a_number(flag, text));
        self.text(flag).map(parse).transpose()
    }

    /// The text to print instead of measuring, if `--help` or `--list` asks for one. `usage` is the command with its
    /// flags; `names` are all names that can be measured.
    ///
    /// # Errors
    /// No name contains the filter.
    pub fn answer<'a>(&self, usage: &str, names: impl Iterator<Item = &'a str>) -> Result<Option<String>> {
        if self.question == Some(Question::Help) {
            let flags = "  FILTER  measure only what has this in its name\n  --list  print the names\n  --help  print this";
            return Ok(Some(format!("usage: {usage} [--list] [--help] [FILTER]\n{flags}")));
        }
        let names: Vec<&str> = names.collect();
        let chosen: Vec<&str> = names.iter().copied().filter(|name| self.chosen(name)).collect();
        if chosen.is_empty() {
            let known = match names.len() {
                0..=FEW => format!("a part of one of: {}", names.join(", ")),
                n => format!("a part of one of {n} names; --list prints them"),
            };
            return Err(Error::argument(&self.filter, "no name contains this filter")
                .expected(known)
                .like(&self.filter, &names));
        }
        Ok(self.question.map(|_| chosen.join("\n")))
    }

    /// Whether this name is to be measured.
    pub fn chosen(&self, name: &str) -> bool {
        name.contains(&self.filter)
    }
}

fn not_a_number(flag: &str, text: &str) -> Error {
    Error::argument(flag, format!("`{text}` is not a number")).help(format!("{flag} 2"))
}

/// Refuses a debug build; `command` is the command to use instead.
///
/// # Errors
/// This is a debug build.
pub fn release_build(command: &str) -> Result<()> {
    if cfg!(debug_assertions) {
        return Err(
            Error::argument("bench", "this is a debug build, whose times are not meaningful").help(command)
        );
    }
    Ok(())
}

/// Where and how a figure was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// The commit of the source, with `+` where files were changed since; `unknown` outside a repository.
    pub commit: String,
    /// The processor's name, if the system reports it.
    pub cpu: Option<String>,
    /// Number of threads that this process can run at once.
    pub cores: usize,
    /// Number of threads that were used.
    pub threads: usize,
    /// The vector instructions that were used.
    pub simd: String,
    /// How the figure was computed from the runs, for example `median`.
    pub statistic: String,
}

impl Provenance {
    /// The provenance of what this process measures with this many threads at this SIMD level.
    pub fn new(threads: usize, simd: impl ToString, statistic: &str) -> Provenance {
        let Machine { cpu, cores, .. } = Machine::detect();
        let (simd, statistic) = (simd.to_string(), statistic.to_owned());
        Provenance { commit: commit(), cpu, cores, threads, simd, statistic }
    }
}

impl std::fmt::Display for Provenance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Provenance { commit, cpu, cores, threads, simd, statistic } = self;
        let cpu = cpu.as_deref().unwrap_or("unknown processor");
        write!(f, "{cpu}, {cores} cores, {threads} threads, {simd}; commit {commit}; {statistic}")
    }
}

fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(["-C", env!("CARGO_MANIFEST_DIR")]).args(arguments).output();
        let output = output.ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(hash) = git(&["rev-parse", "--short", "HEAD"]) else { return "unknown".to_owned() };
    let changed =
        git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|text| !text.is_empty());
    hash + if changed { "+" } else { "" }
}

/// The times of some runs, in the unit in which they were given.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Times {
    pub median: f64,
    pub min: f64,
    pub runs: usize,
}

impl Times {
    /// The statistics of these times.
    ///
    /// # Panics
    /// If there are no times.
    pub fn of(times: Vec<f64>) -> Times {
        let min = times.iter().copied().reduce(f64::min).expect("at least one time");
        Times { min, runs: times.len(), median: median(times) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Arguments> {
        Arguments::parse(text.split_whitespace().map(str::to_owned), &["--threads N", "--json FILE"])
    }

    #[test]
    fn flags_filter_and_cargos_own_flag() {
        let arguments = parse("--bench --threads 2 vgg11").unwrap();
        assert_eq!(arguments.number::<usize>("--threads").unwrap(), Some(2));
        assert_eq!((arguments.text("--json"), &*arguments.filter), (None, "vgg11"));
        assert!(arguments.chosen("conv2d vgg11 0") && !arguments.chosen("lenet5"));
    }

    #[test]
    fn a_mistaken_flag_names_those_there_are() {
        for (line, what) in [("--thread 2", "--threads N"), ("--json", "no value"), ("a b", "second filter")]
        {
            let error = parse(line).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
        assert!(parse("--threads two").unwrap().number::<usize>("--threads").is_err());
    }

    #[test]
    fn the_median_of_an_even_count_is_between_the_middle_two() {
        assert_eq!(Times::of(vec![9.0, 2.0, 4.0, 1.0]), Times { median: 3.0, min: 1.0, runs: 4 });
        assert_eq!(Times::of(vec![9.0, 1.0, 2.0]).median, 2.0);
    }
    #[test]
    fn help_and_list_are_answered_and_an_unknown_filter_is_refused() {
        let answer = |text: &str| {
            let arguments = Arguments::parse(text.split_whitespace().map(str::to_owned), &[])?;
            arguments.answer("bench", ["conv", "linear"].into_iter())
        };
        assert!(answer("--help").unwrap().unwrap().starts_with("usage: bench"));
        assert_eq!(answer("--list").unwrap().unwrap(), "conv\nlinear");
        assert_eq!(answer("--list lin").unwrap().unwrap(), "linear");
        assert_eq!(answer("lin").unwrap(), None);
        assert!(answer("convv").unwrap_err().to_string().contains("conv, linear"));
    }
}
