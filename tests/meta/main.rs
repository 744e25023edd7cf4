//! Checks that the repository's statements about itself are true.

mod documents;
mod modules;

use receptive::models::from_arch;
use receptive::ops::OPS;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// All Rust files below a folder.
fn sources(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    assert!(!found.is_empty(), "{folder} has no Rust files");
    found.sort();
    found
}

/// A file that no module declares is not compiled, and its tests never run.
#[test]
fn every_file_is_declared_as_a_module() {
    for path in sources("src") {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        if ["lib", "engine", "main"].contains(&stem) && path.parent() == Some(&root().join("src")) {
            continue;
        }
        let (folder, name) = match stem {
            "mod" => (path.parent().unwrap().parent().unwrap(), path.parent().unwrap().file_name().unwrap()),
            _ => (path.parent().unwrap(), path.file_stem().unwrap()),
        };
        // Top-level modules belong to one of two crates.
        let parents = ["mod.rs", "lib.rs", "engine.rs"].map(|file| folder.join(file));
        let parents = parents.into_iter().chain([folder.with_extension("rs")]).filter(|file| file.exists());
        let declaration = format!("mod {};", name.to_str().unwrap());
        let declared = parents.filter(|parent| read(parent).replace("r#", "").contains(&declaration)).count();
        assert_eq!(declared, 1, "{} is declared by {declared} files", path.display());
    }
}

/// If a table of files leaves a file out, readers do not find it.
#[test]
fn tables_of_files_are_complete() {
    let header = |path: &Path| -> String {
        read(path).lines().filter(|line| line.starts_with("//!")).collect::<Vec<_>>().join("\n")
    };
    for path in sources("src") {
        let header = header(&path);
        if !path.ends_with("mod.rs") || !header.contains("//! | file |") {
            continue;
        }
        for entry in fs::read_dir(path.parent().unwrap()).unwrap() {
            let entry = entry.unwrap();
            let slash = if entry.path().is_dir() { "/" } else { "" };
            let name = entry.file_name().into_string().unwrap() + slash;
            let listed = name == "mod.rs" || header.contains(&format!("`{name}"));
            assert!(listed, "{}: its table of files lacks {name}", path.display());
        }
    }
}

/// An op without a row in the table is not checked by any test. A row has the name of its file.
#[test]
fn every_op_file_is_a_row_and_opens_with_its_lesson() {
    let rows: BTreeSet<&str> = OPS.iter().map(|spec| spec.name).collect();
    assert_eq!(rows.len(), OPS.len(), "two rows have one name");
    for path in sources("src/ops") {
        let text = read(&path);
        if !text.contains("pub static SPEC") {
            continue;
        }
        let name = path.file_stem().unwrap().to_str().unwrap();
        let file = path.strip_prefix(root()).unwrap().display();
        assert!(rows.contains(name), "{file} has a SPEC, but OPS has no row `{name}`");
        let header: String =
            text.lines().take_while(|line| line.starts_with("//!")).collect::<Vec<_>>().join("\n");
        let parts = [
            ("a formula", "```math"),
            ("the notation's link", "\n//! Notation: [docs/notation.md](crate::ops::notation).\n"),
            ("a shape table", "|---|"),
            ("a worked example", "Ok::<()"),
        ];
        for (what, sign) in parts {
            assert!(header.contains(sign), "{file}: its header lacks {what} ({sign})");
        }
    }
}

/// The LaTeX commands that formulas may use. `node tools/check-math.mjs` really draws the formulas.
const COMMANDS: &str = "alpha begin beta Bigl bigl Bigr bigr cap cdot cdots cos cup end frac gamma ge hat in \
    lambda langle lceil ldots le left leftarrow lfloor ln mathrm max mid min ni odot \
    operatorname pi qquad quad rangle rceil rfloor right sigma sim sqrt sum tanh text \
    textstyle tfrac times to varepsilon xi";

/// The mistake in a formula, if any: in braces, environments or commands.
fn mistake(formula: &str) -> Option<String> {
    let mut open = Vec::new();
    let mut rest = formula;
    while let Some(at) = rest.find(['{', '}', '\\']) {
        let sign = rest.as_bytes()[at];
        rest = &rest[at + 1..];
        let length = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let command = &rest[..length];
        let environment = || rest[length..].strip_prefix('{')?.split_once('}').map(|(name, _)| name);
        match (sign, command) {
            (b'{', _) => open.push("{"),
            (b'}', _) if open.pop() != Some("{") => return Some("a } too many".to_owned()),
            (b'}', _) => {}
            (_, "") => rest = rest.get(1..).unwrap_or_default(),
            (_, "begin") => open.push(environment().unwrap_or_default()),
            (_, "end") if open.pop() != environment() => return Some("an \\end too many".to_owned()),
            (_, _) if !COMMANDS.split(' ').any(|known| known == command) => {
                return Some(format!("\\{command}?"));
            }
            _ => {}
        }
    }
    open.pop().map(|left| format!("{left} is never closed"))
}

#[test]
fn formulas_are_latex() {
    assert!(
        [r"\frac{1}{2", r"x}", r"\begin{aligned}", r"x \end{aligned}", r"\foo"]
            .iter()
            .all(|f| mistake(f).is_some())
    );
    for path in sources("src") {
        let text = read(&path);
        let mut comments = vec![String::new()];
        for line in text.lines().map(str::trim_start) {
            match line.strip_prefix("//!").or_else(|| line.strip_prefix("///")) {
                Some(rest) => *comments.last_mut().unwrap() += &format!("{}\n", rest.trim_start()),
                None => comments.push(String::new()),
            }
        }
        for formula in comments.iter().flat_map(|comment| comment.split("```math\n").skip(1)) {
            let formula = formula.split("```").next().unwrap();
            assert_eq!(mistake(formula), None, "{}:\n{formula}", path.display());
        }
    }
}

/// Without the header, pages show the source of formulas. So it must be set wherever the pages are built: by hand, in
/// CI, on docs.rs.
#[test]
fn pages_set_their_formulas() {
    for file in [".cargo/config.toml", ".ci/run", "Cargo.toml"] {
        let flags = read(&root().join(file)).replace(['"', '\'', ','], " ");
        let words: Vec<&str> = flags.split_whitespace().collect();
        let header = words.iter().position(|word| *word == "--html-in-header").map(|at| words[at + 1]);
        assert_eq!(header, Some("docs/katex/header.html"), "{file}");
    }
    let header = read(&root().join("docs/katex/header.html"));
    assert!(header.contains("docs/katex/katex`"), "the header loads KaTeX from the folder it lies in");
    for file in ["docs/katex/katex.js", "docs/katex/katex.css"] {
        assert!(read(&root().join(file)).len() > 100_000, "{file} is not KaTeX");
    }
}

#[test]
fn every_op_has_cases_with_attributes_it_knows() {
    for spec in OPS {
        let cases = (spec.cases)();
        assert!(!cases.is_empty(), "{} has no cases", spec.name);
        let labels: BTreeSet<&str> = cases.iter().map(|case| case.label).collect();
        assert_eq!(labels.len(), cases.len(), "{}: two cases have one label", spec.name);
        for case in &cases {
            let made = spec.bind(&case.names()).and_then(|names| spec.make(&case.attrs, &names));
            assert!(made.is_ok(), "{}/{}: {}", spec.name, case.label, made.unwrap_err());
        }
    }
}

/// All files below `kernels/` with one of these extensions, without generated files.
fn kernels(extensions: &[&str]) -> Vec<PathBuf> {
    let folders = ["kernels", "kernels/gemm", "kernels/conv2d"].map(|folder| root().join(folder));
    let entries = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| extensions.contains(&e.to_str().unwrap())))
        .collect();
    files.sort();
    files
}

/// The header of a kernel's file says what the file teaches, how many bytes it moves and what limits it.
#[test]
fn every_kernel_file_opens_with_its_lesson() {
    for path in kernels(&["cu", "cuh"]) {
        let text = read(&path);
        let header: String = text
            .lines()
            .take_while(|line| line.starts_with("//"))
            .collect::<Vec<_>>()
            .join("\n")
            .to_lowercase();
        assert!(!header.is_empty(), "{}: no header", path.display());
        if path.extension().is_some_and(|e| e == "cu") {
            for sign in ["bytes", "limited by"] {
                assert!(header.contains(sign), "{}: its header lacks `{sign}`", path.display());
            }
        }
        assert!(text.lines().count() <= 450, "{} is long", path.display());
        let own = path.ends_with("ptx.cuh") || !text.contains("asm ") && !text.contains("asm(");
        assert!(own, "{}: inline PTX belongs in ptx.cuh", path.display());
    }
}

/// With an outdated file, machines without nvcc would run old kernels.
#[test]
fn prebuilt_ptx_is_that_of_the_sources() {
    let headers: String = {
        let mut files = kernels(&["cuh"]);
        files.sort();
        files.iter().map(|path| read(path)).collect()
    };
    let mut expected = BTreeSet::new();
    for path in kernels(&["cu"]) {
        let inside = path.strip_prefix(root().join("kernels")).unwrap().with_extension("");
        let name = inside.to_str().unwrap().replace('/', "_");
        let hash = Sha256::digest(format!("{}{headers}", read(&path)));
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let ptx = read(&root().join("kernels/prebuilt").join(&name).with_extension("ptx"));
        let stamp = ptx.lines().next().unwrap_or_default();
        assert!(
            stamp.ends_with(&hash),
            "{name}.ptx is stale: RECEPTIVE_UPDATE_PREBUILT=1 cargo build with nvcc"
        );
        expected.insert(name + ".ptx");
    }
    let found: BTreeSet<String> = fs::read_dir(root().join("kernels/prebuilt"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(found, expected);
}

/// `unsafe` occurs only in the code for memory and devices, and each use says why it is sound.
#[test]
fn unsafe_code_is_confined_and_explained() {
    for path in sources("src") {
        let text = read(&path);
        let uses: Vec<usize> = (text.lines().enumerate())
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
            .filter(|(_, line)| {
                line.contains("unsafe {") || line.contains("unsafe impl") || line.contains("unsafe fn")
            })
            .map(|(i, _)| i)
            .collect();
        let inside = ["src/cpu", "src/cuda"].iter().any(|folder| path.starts_with(root().join(folder)));
        assert!(uses.is_empty() || inside, "{}: unsafe outside cpu/ and cuda/", path.display());
        let lines: Vec<&str> = text.lines().collect();
        for i in uses {
            let explained = lines[i.saturating_sub(6)..i]
                .iter()
                .any(|line| line.contains("SAFETY:") || line.contains("# Safety"));
            assert!(explained, "{}:{}: unsafe without a SAFETY reason", path.display(), i + 1);
        }
    }
}

/// One idea per file.
#[test]
fn files_stay_short() {
    for path in ["src", "tests", "benches", "examples"].iter().flat_map(|folder| sources(folder)) {
        let lines = read(&path).lines().count();
        assert!(lines <= 450, "{} has {lines} lines", path.display());
    }
}

/// The ways that `tools/walk --update` wrote are short, and name files that are there.
#[test]
fn ways_through_the_code_stay_short() {
    for (way, most) in [("conv2d", 28), ("batch", 85)] {
        let text = read(&root().join("docs/walks").join(way).with_extension("txt"));
        let functions: Vec<&str> = text.lines().filter(|line| line.starts_with("  ")).collect();
        assert!((1..=most).contains(&functions.len()), "{way}: {} functions", functions.len());
        for line in functions {
            let file = line.rsplit_once('(').unwrap().1.trim_end_matches(')');
            assert!(
                file == "std" || root().join(file).exists(),
                "docs/walks: {line}: run tools/walk --update"
            );
        }
    }
}

/// The arch files in `examples/` can be built.
#[test]
fn example_arch_files_are_networks() {
    let files: Vec<_> =
        fs::read_dir(root().join("examples/arch")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 2);
    for path in files {
        if let Err(e) = from_arch(&read(&path), path.to_str().unwrap()) {
            panic!("{e}");
        }
    }
}

/// The library's messages name settings as in code (`` `config.freeze` ``), because its callers write code, not flags.
/// For the command line, `src/cli/flags.rs` replaces these names by flags.
#[test]
fn only_the_command_line_speaks_of_flags() {
    let program = receptive::cli::command();
    let train = program.find_subcommand("train").unwrap();
    let settings: BTreeSet<&str> = train.get_arguments().map(|argument| argument.get_id().as_str()).collect();
    for path in sources("src") {
        let file = path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
        // bench.rs has the benches' own command line.
        if file.starts_with("src/cli/") || file == "src/testing/bench.rs" {
            continue;
        }
        let text = read(&path);
        // Lines that run other programs may have flags, and so may a `cargo` command that a user should type.
        let said = |line: &&str| {
            !line.starts_with("//") && ![".args(", "git(&[", "cargo run "].iter().any(|s| line.contains(s))
        };
        for line in text.lines().map(str::trim_start).filter(said) {
            for setting in line.split("`config.").skip(1) {
                let field = setting.split(|c: char| c != '_' && !c.is_ascii_lowercase()).next().unwrap();
                let known = field.is_empty() || settings.contains(field);
                assert!(known, "{file}: no flag of `receptive train` is for the setting {field}");
            }
            let strings = line.split('"').skip(1).step_by(2);
            let mut rests = strings.filter_map(|string| string.split("--").nth(1));
            let flag = rests.find(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '{'));
            assert!(flag.is_none(), "{file}: --{} in `{line}`: name the setting", flag.unwrap());
        }
    }
}
