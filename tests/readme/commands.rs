//! Splits command lines into words as a shell does, and checks them.

use crate::{files, read, root};
use clap::error::ErrorKind;

/// The commands of a line as words, without comments and without variables set for one command. `X` stands for text
/// that the shell would insert.
pub fn split(line: &str) -> Vec<Vec<String>> {
    let (mut commands, mut words, mut word) = (Vec::new(), Vec::new(), None::<String>);
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '#' if word.is_none() => break,
            '\'' | '"' => word.get_or_insert_default().extend(rest.by_ref().take_while(|&next| next != c)),
            '$' if rest.next_if_eq(&'(').is_some() => {
                rest.by_ref().find(|&next| next == ')');
                word.get_or_insert_default().push('X');
            }
            ' ' => words.extend(word.take()),
            ';' | '|' | '&' => {
                words.extend(word.take());
                commands.push(std::mem::take(&mut words));
            }
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    commands.push(words);
    for words in &mut commands {
        let set = |word: &String| {
            word == "export" || word.split_once('=').is_some_and(|(name, _)| is_variable(name))
        };
        let skipped = words.iter().take_while(|word| set(word)).count();
        words.drain(..skipped);
    }
    commands.retain(|words| !words.is_empty());
    commands
}

fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_')
}

/// The program's command lines in the comments and messages of a source file, with `X` for each placeholder.
pub fn in_source(text: &str) -> Vec<String> {
    let program = receptive::cli::command();
    let names: Vec<&str> = program.get_subcommands().map(clap::Command::get_name).collect();
    let mut found = Vec::new();
    for line in text.lines() {
        for (at, _) in line.match_indices("receptive ") {
            let (before, rest) = line.split_at(at);
            let first: String =
                rest["receptive ".len()..].chars().take_while(char::is_ascii_alphanumeric).collect();
            let inside = before.ends_with(|c: char| c.is_alphanumeric() || "/-_.".contains(c));
            if inside || !names.contains(&first.as_str()) {
                continue;
            }
            let quoted = before.ends_with('`');
            let end = |c: char| if quoted { c == '`' } else { "`\"();#\\".contains(c) };
            let command = rest.split(end).next().unwrap();
            let command = if quoted { command } else { command.split("  ").next().unwrap() };
            found.push(filled_in(command.trim_end()));
        }
    }
    found
}

/// Replaces each `{...}` of a format string with `X`.
fn filled_in(command: &str) -> String {
    let mut parts = command.split('{');
    let mut filled = parts.next().unwrap().to_owned();
    for part in parts {
        filled += &format!("X{}", part.split_once('}').map_or("", |(_, rest)| rest));
    }
    filled
}

/// Checks one command, given as words. The error says what is wrong.
pub fn check(words: &[String]) -> Result<(), String> {
    let exists = |path: &str| {
        root().join(path).exists().then_some(()).ok_or_else(|| format!("{path} is not in the repository"))
    };
    match words[0].as_str() {
        "receptive" | "target/release/receptive" => parse(&words[1..]),
        "cargo" => cargo(&words[1..]),
        "python3" | "python" | "node" => {
            let script = words.get(1).ok_or("a script is missing")?;
            exists(script)?;
            flags_exist(&words[2..], &read(&root().join(script)))
        }
        made if made.starts_with("play/") => Ok(()),
        script if script.contains('/') => exists(script),
        "g++" => Ok(()),
        other => Err(format!("`{other}` is none of the commands that the documents use")),
    }
}

/// Checks a command line with the program's own parser. The name of a command alone is only a mention and always
/// passes.
fn parse(words: &[String]) -> Result<(), String> {
    let mut named = receptive::cli::command();
    let only_names = words.iter().all(|word| match named.find_subcommand(word).cloned() {
        Some(next) => {
            named = next;
            true
        }
        None => false,
    });
    if only_names {
        return Ok(());
    }
    let line = std::iter::once("receptive").chain(words.iter().map(String::as_str));
    match receptive::cli::command().try_get_matches_from(line) {
        Err(e) if !matches!(e.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            Err(e.to_string().lines().next().unwrap().to_owned())
        }
        _ => Ok(()),
    }
}

fn cargo(words: &[String]) -> Result<(), String> {
    let (own, passed) = match words.iter().position(|word| word == "--") {
        Some(at) => (&words[..at], &words[at + 1..]),
        None => (words, &[][..]),
    };
    let named = |flag: &str| own.iter().position(|word| word == flag).and_then(|at| own.get(at + 1));
    let target = |folder: &str, name: &str| {
        let found = [format!("{folder}/{name}.rs"), format!("{folder}/{name}/main.rs")];
        let found = found.iter().any(|file| root().join(file).exists());
        found.then_some(()).ok_or_else(|| format!("{folder}/ has no {name}"))
    };
    match (own.first().map(String::as_str), named("--example"), named("--bench")) {
        (Some("run"), Some(example), _) => target("examples", example),
        (Some("run"), None, _) => parse(passed),
        (Some("bench"), _, Some(bench)) => {
            target("benches", bench)?;
            let sources = files("benches", &["rs"]).into_iter().map(|path| read(&path));
            flags_exist(passed, &sources.collect::<String>())
        }
        (Some("test" | "build" | "doc"), ..) => Ok(()),
        _ => Err("this use of cargo is not checked here".to_owned()),
    }
}

/// Checks that the flags among `words` appear in a program's source.
fn flags_exist(words: &[String], source: &str) -> Result<(), String> {
    let missing =
        words.iter().find(|word| word.starts_with("--") && !source.contains(&format!("\"{word}\"")));
    missing.map_or(Ok(()), |flag| Err(format!("no flag {flag}")))
}
