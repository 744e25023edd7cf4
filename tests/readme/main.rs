//! Checks the commands in the documents. The program's own parser parses every line, and commands that need only the
//! program are executed.
//!
//! A shell block in Markdown says after its language what it needs:
//!
//! | mark | needs | here |
//! |---|---|---|
//! | `run` | the program | executed in order, each page in an empty folder without data sets |
//! | `data` | data sets, or files of the reader's own | the first steps of those lines whose data are in `$RECEPTIVE_DATA` |
//! | `gpu` | a CUDA device | the first steps, where there is one |
//! | `net` | the network | parsed |
//! | `dev` | a checkout and other tools | its scripts, benches, lessons and their flags exist |
//!
//! A block ```` ```text run ```` is what the block before it prints: all but decimal numbers is compared.
//!
//! Links must lead to a file of the repository, and to a heading that it has.

#![cfg(feature = "cli")]

mod commands;
mod execute;
mod markdown;

use markdown::Page;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// All files below a folder with one of these extensions.
fn files(folder: &str, extensions: &[&str]) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![root().join(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| extensions.contains(&e.to_str().unwrap())) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The README, `CONTRIBUTING.md`, `docs/*.md` and `tests/*/README.md`.
fn documents() -> Vec<PathBuf> {
    let mut all = vec![root().join("README.md"), root().join("CONTRIBUTING.md")];
    all.extend(files("docs", &["md"]));
    all.extend(files("tests", &["md"]));
    all
}

fn page(path: &Path) -> Page {
    markdown::read(&read(path)).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A path as the repository's root sees it.
fn name(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

#[test]
fn every_command_line_is_one_that_the_program_takes() {
    let (mut wrong, mut count) = (Vec::new(), 0);
    let mut check = |place: &Path, line: &str| {
        for words in commands::split(line) {
            count += 1;
            if let Err(why) = commands::check(&words) {
                wrong.push(format!("{}: {line}\n    {why}", name(place)));
            }
        }
    };
    for path in documents() {
        let page = page(&path);
        page.blocks.iter().flat_map(markdown::Block::lines).for_each(|line| check(&path, &line));
        page.spans.iter().filter(|span| span.starts_with("receptive ")).for_each(|span| check(&path, span));
    }
    for (folder, extensions) in [
        ("src", &["rs", "js"][..]),
        ("examples", &["rs", "toml"]),
        ("benches", &["rs"]),
        ("tests/sim", &["sh"]),
        ("tools", &["sh"]),
    ] {
        for path in files(folder, extensions) {
            commands::in_source(&read(&path)).iter().for_each(|line| check(&path, line));
        }
    }
    assert!(wrong.is_empty(), "{} of {count} command lines are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count >= 100, "only {count} command lines were found");
}

/// The checks must find mistakes: a check that never finds one would always pass.
#[test]
fn what_is_wrong_is_found() {
    for line in [
        "receptive trian lenet5",
        "receptive train lenet5 --epohcs 3",
        "receptive train lenet5 --epochs three   # a comment",
        "FOO=1 target/release/receptive eval --nothing",
        "cargo run --release -- summary minivgg --inptu 3x32x32",
        "cargo run --release --example 99_nothing",
        "cargo bench --bench nothing",
        "python3 tests/peer/nothing.py",
        "python3 tests/peer/steps.py --nothing",
        "tests/sim/nothing.sh",
        "recpetive train",
    ] {
        let words = commands::split(line);
        assert!(words.iter().any(|words| commands::check(words).is_err()), "{line}");
    }
    for page in
        ["```sh\nreceptive doctor\n```", "```console soon\n$ receptive doctor\n```", "```sh run\nreceptive"]
    {
        assert!(markdown::read(page).is_err(), "{page}");
    }
    let source =
        "// as `receptive train lenet5` does\n.help(\"go on: receptive train --resume {}   or not\")";
    assert_eq!(commands::in_source(source), ["receptive train lenet5", "receptive train --resume X"]);
}

/// A reader may begin with any page, in an empty folder.
#[test]
fn every_page_works_from_its_first_block_to_its_last() {
    let pages = documents().into_iter().map(|path| (name(&path), page(&path).blocks));
    let runs: Vec<_> = pages.filter(|(_, blocks)| blocks.iter().any(|block| block.mark == "run")).collect();
    assert!(runs.len() >= 5, "only {} pages have something to run", runs.len());
    for (page, blocks) in runs {
        execute::in_order(&page, &blocks);
    }
}

/// If data sets or a GPU are available, runs the first steps of the lines that need them.
#[test]
fn data_and_gpu_lines_start_where_these_exist() {
    let pages: Vec<Page> = documents().iter().map(|path| page(path)).collect();
    execute::where_it_can(pages.iter().flat_map(|page| &page.blocks));
}

/// A page that was moved or a heading that was renamed leaves links behind that lead nowhere.
#[test]
fn links_lead_to_files_and_headings_that_exist() {
    let (mut wrong, mut count) = (Vec::new(), 0);
    for path in documents() {
        let links = page(&path).links;
        for link in links.iter().map(String::as_str).filter(|link| !link.contains("://")) {
            count += 1;
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            let found = target.exists()
                && (heading.is_empty() || page(&target).anchors.iter().any(|anchor| anchor == heading));
            if !found {
                wrong.push(format!("{}: {link}", name(&path)));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {count} links lead nowhere:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count >= 100, "only {count} links were found");
}
