//! Tests of the shell completions and the manual pages.
#![cfg(feature = "cli")]

mod program;

use program::{error, ok};

/// The script of every shell knows the commands and flags. Where clap supports it, it also knows names from the
/// library.
#[test]
fn completions_offer_commands_flags_and_names() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = ok(&["completions", shell]);
        for word in ["reproduce", "max-steps"] {
            assert!(script.contains(word), "{shell} does not know {word}");
        }
        // clap's scripts complete values of flags in three shells, and arguments without a flag in two.
        let by_flag = [["lenet5-tanh", "lenet5-bn"], ["mnist", "fashion-mnist"]];
        let by_place = [["conv2d_relu", "conv_transpose2d"], ["M10", "M11"]];
        let by_flag = by_flag.map(|words| (words, &["bash", "zsh", "fish"][..]));
        let by_place = by_place.map(|words| (words, &["bash", "zsh"][..]));
        for ([before, word], shells) in [by_flag, by_place].concat() {
            // Looks for the names as values to complete. The help text has them too, but with commas.
            let known =
                [format!("{before} {word}"), format!("\n{word}\\t")].map(|text| script.contains(&text));
            assert!(known[0] || known[1] || !shells.contains(&shell), "{shell} does not know {word}");
        }
    }
    let unknown = error(&["completions", "bahs"]);
    assert!(unknown.contains("zsh") && unknown.contains("'bash'"), "{unknown}");
}

/// The completions that bash offers for these words. The last word is not complete.
#[cfg(unix)]
fn offered(words: &[&str]) -> Vec<String> {
    let all = words.join(" ");
    let last = words.len();
    let script = format!(
        "eval \"$('{}' completions bash)\"; COMP_WORDS=(receptive {all}); COMP_CWORD={last}; \
         _receptive receptive '{}' '{}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        env!("CARGO_BIN_EXE_receptive"),
        words[last - 1],
        last.checked_sub(2).map_or("receptive", |at| words[at])
    );
    let output = std::process::Command::new("bash").args(["-c", &script]).output().unwrap();
    program::text(&output.stdout).lines().map(str::to_owned).collect()
}

#[test]
#[cfg(unix)]
fn bash_completes_what_was_begun() {
    if std::process::Command::new("bash").arg("--version").output().is_err() {
        return;
    }
    let offers: [(&[&str], &[&str]); 10] = [
        (&["doc"], &["doctor"]),
        (&["train", "lenet5-"], &["lenet5-tanh", "lenet5-bn"]),
        (&["train", "--data", "fash"], &["fashion-mnist"]),
        (&["train", "--loss", "bce_w"], &["bce_with_logits"]),
        (&["data", "fetch", "m"], &["mnist"]),
        (&["data", "show", "sam"], &["sample"]),
        (&["train", "--masks", "r"], &["raw"]),
        (&["reproduce", "P"], &["P1"]),
        (&["op", "soft"], &["softmax"]),
        (&["train", "--epochs", "s"], &["s"]),
    ];
    for (words, expected) in offers {
        assert_eq!(offered(words), expected, "{words:?}");
    }
}

#[test]
fn manual_pages_are_of_the_program_or_of_a_command() {
    for (words, name, contents) in [
        (&[][..], "receptive", "receptive\\-train(1)"),
        (&["train"], "receptive\\-train", "\\-\\-max\\-steps"),
        (&["data", "fetch"], "receptive\\-data\\-fetch", "\\-\\-url"),
    ] {
        let page = ok(&[&["man"], words].concat());
        let head = format!("\n.SH NAME\n{name} \\- ");
        assert!(page.contains("\n.TH ") && page.contains(&head) && page.contains(contents), "{page}");
    }
    assert!(error(&["man", "trian"]).contains("did you mean train?"));
    assert!(error(&["man", "data", "fetsh"]).contains("did you mean fetch?"));
    assert!(error(&["man", "eval", "x"]).contains("no subcommands"));
}
