//! The library's errors name settings as in code: `` `config.clip_norm = 1` ``. On the command line this setting is a
//! flag: `--clip-norm 1`.

/// Names in the library's texts, and what a user of the command line writes instead. A value replaces `{}`, or comes
/// after the flag. `config.NAME` becomes the flag of `receptive train` for this setting.
const WORDS: &[(&str, &str)] = &[
    ("Criterion::class_weights", "--class-weights"),
    ("Criterion::label_smoothing", "--label-smoothing"),
    ("Device::cpu()", "--device cpu"),
    ("Device::cuda_with", "--device cuda"),
    ("DeviceOptions.precision", "--precision"),
    ("EXPERIMENTS", "receptive reproduce --list"),
    ("FetchOptions.url", "--url BASE"),
    ("GraphMode::Auto", "--graph auto"),
    ("GraphMode::Off", "--graph off"),
    ("GraphMode::On", "--graph on"),
    ("Options.out", "--out"),
    ("Loss::CrossEntropy", "--loss cross_entropy"),
    ("RunDir::accept_changed_data", "--accept-changed-data"),
    ("RunDir::create", "--out"),
    ("RunDir::open", "receptive train --resume {}"),
    ("Split::Val", "--split val"),
    ("StepBench.batch_size", "--batch-size"),
    ("StepBench.seconds", "--seconds"),
    ("TrainedOptions.data", "--data"),
    ("TrainedOptions.network", "--model or --arch"),
    ("index", "--index"),
];

/// Converts a text of the library for the command line: each setting in backquotes becomes its flag.
pub fn spoken(text: &str) -> String {
    let mut said = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('`') {
        let quoted = &rest[start + 1..];
        match quoted.find('`').and_then(|end| Some((flag(&quoted[..end])?, end))) {
            Some((flag, end)) => {
                said += &rest[..start];
                said += &flag;
                rest = &quoted[end + 1..];
            }
            None => {
                said += &rest[..=start];
                rest = quoted;
            }
        }
    }
    said + rest
}

/// `config.lr`, `config.lr = 0.1` or `RunDir::open(runs/a)` as a flag with its value.
fn flag(setting: &str) -> Option<String> {
    let word = |name| WORDS.iter().find(|(known, _)| *known == name).map(|(_, word)| (*word).to_owned());
    if let Some(word) = word(setting) {
        return Some(word);
    }
    let (name, value) = match setting.split_once(" = ") {
        Some((name, value)) => (name, Some(value)),
        None => match setting.strip_suffix(')').and_then(|call| call.split_once('(')) {
            Some((name, value)) => (name, Some(value)),
            None => (setting, None),
        },
    };
    if let Some(key) = name.strip_prefix("attrs.") {
        return value.map(|value| format!("--attr {key}={value}"));
    }
    if let Some(setting) = name.strip_prefix("config.") {
        return of_config(setting, value);
    }
    let flag = word(name)?;
    Some(match value {
        Some(value) if flag.contains("{}") => flag.replace("{}", value),
        Some(value) => format!("{flag} {value}"),
        None => flag,
    })
}

/// The flag of a setting of [`RunConfig`](crate::train::RunConfig), with its value if it takes one.
fn of_config(setting: &str, value: Option<&str>) -> Option<String> {
    let command = super::command();
    let mut arguments = command.find_subcommand("train")?.get_arguments();
    let argument = arguments.find(|argument| argument.get_id() == setting)?;
    let flag = format!("--{}", argument.get_long()?);
    match value.filter(|_| argument.get_action().takes_values()) {
        Some(value) => Some(format!("{flag} {value}")),
        None => Some(flag),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_become_flags_and_other_code_stays() {
        for (text, expected) in [
            ("`config.val_batch_size`: 0 is out of range", "--val-batch-size: 0 is out of range"),
            ("train with `config.cycle_momentum = false`", "train with --no-cycle-momentum"),
            ("clip gradients: `config.clip_norm = 1`", "clip gradients: --clip-norm 1"),
            ("`config.scheme = xavier`, `config.decay`", "--init-scheme xavier, --decay-weights-only"),
            ("it is in `config.toml`", "it is in `config.toml`"),
            ("go on: `RunDir::open(runs/a (1))`", "go on: receptive train --resume runs/a (1)"),
            ("use `Device::cpu()` or `GraphMode::Off`", "use --device cpu or --graph off"),
            ("`attrs.dim = D`", "--attr dim=D"),
            ("see `receptive doctor` and `x", "see `receptive doctor` and `x"),
            ("an odd name`, then `index`: 3", "an odd name`, then --index: 3"),
        ] {
            assert_eq!(spoken(text), expected);
        }
    }

    /// Each replacement is a flag that the program accepts.
    #[test]
    fn every_word_is_understood_by_the_program() {
        let flags = flags_of(&crate::cli::command());
        for (name, words) in WORDS {
            let mut named = words.split(' ').filter(|word| word.starts_with("--")).peekable();
            assert!(named.peek().is_some(), "{name}: {words}");
            assert!(named.all(|flag| flags.contains(&flag[2..].to_owned())), "{name}: {words}");
        }
    }

    /// The long flags of a command and of its subcommands.
    fn flags_of(command: &clap::Command) -> Vec<String> {
        let own = command.get_arguments().filter_map(|arg| arg.get_long().map(str::to_owned));
        own.chain(command.get_subcommands().flat_map(flags_of)).collect()
    }
}
