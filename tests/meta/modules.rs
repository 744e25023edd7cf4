//! Checks which module imports which. As the table in `src/lib.rs` says, a module imports only modules above it, so
//! there is no cycle.
//!
//! An import counts for the module whose file defines the name. If a `mod.rs` only re-exports a name, the check follows
//! it to its definition.

use super::{read, root, sources};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The modules in the table, from its first row to its last.
fn table() -> Vec<String> {
    let [text, engine] = ["src/lib.rs", "src/engine.rs"].map(|file| read(&root().join(file)));
    let rows = text.lines().filter_map(|line| line.strip_prefix("//! | ")).filter(|row| row.contains('`'));
    let lines = text.lines().chain(engine.lines());
    let modules: BTreeSet<&str> =
        lines.filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    let named = |row: &str| -> Vec<String> {
        let cell = row.split(" |").next().unwrap();
        cell.split('`').map(str::to_owned).filter(|name| modules.contains(name.as_str())).collect()
    };
    let found: Vec<String> = rows.flat_map(named).collect();
    assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), modules.len(), "the table is not all modules");
    found
}

/// The code of a file: without comments and without its tests.
fn code(path: &Path) -> String {
    let text = read(path);
    let end = text.find("#[cfg(test)]\nmod ").unwrap_or(text.len());
    text[..end].lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n")
}

/// All paths below `crate::`. Groups in braces are split: `crate::core::{Error, Result}` is two paths.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        expand(&code[at + "crate::".len()..], &[], &mut found);
    }
    found
}

/// Reads one path or group at the start of `text`. `before` holds the segments in front of it. Returns the rest of
/// `text`.
fn expand<'a>(text: &'a str, before: &[String], found: &mut Vec<Vec<String>>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut group) = text.strip_prefix('{') {
        loop {
            group = expand(group, before, found).trim_start();
            match group.strip_prefix(',') {
                Some(rest) if !rest.trim_start().starts_with('}') => group = rest,
                rest => return rest.unwrap_or(group).trim_start().strip_prefix('}').unwrap_or(""),
            }
        }
    }
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let path = [before, &[text[..end].to_owned()]].concat();
    match text[end..].strip_prefix("::") {
        Some(rest) if !rest.starts_with('<') => expand(rest, &path, found),
        _ => {
            found.push(path);
            text[end..].strip_prefix(" as ").map_or(&text[end..], |alias| {
                alias.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_')
            })
        }
    }
}

/// Names that a module's root file only re-exports, and the module that defines them.
fn re_exports(modules: &[String]) -> BTreeMap<(String, String), String> {
    let mut found = BTreeMap::new();
    let roots = modules.iter().map(|module| {
        let file = format!("src/{module}/mod.rs");
        (module.clone(), if root().join(&file).exists() { file } else { format!("src/{module}.rs") })
    });
    for (module, file) in roots.chain([(String::new(), "src/engine.rs".to_owned())]) {
        for statement in code(&root().join(file)).split(';') {
            let Some(at) = statement.find("use crate::").filter(|&at| statement[..at].contains("pub")) else {
                continue;
            };
            for path in paths(&statement[at..]) {
                let name = path.last().unwrap().clone();
                found.insert((module.clone(), name), path[0].clone());
            }
        }
    }
    found
}

/// The macros that are exported at the crate's root, and the modules that define them.
fn macros() -> BTreeMap<String, String> {
    let defined = sources("src").into_iter().flat_map(|path| {
        let module = module_of(&path);
        let text = code(&path);
        let exported = text.split("#[macro_export]").skip(1).filter_map(|rest| {
            rest.trim_start().strip_prefix("macro_rules! ")?.split_whitespace().next().map(str::to_owned)
        });
        exported.map(|name| (name, module.clone())).collect::<Vec<_>>()
    });
    defined.collect()
}

/// The top-level module of a file.
fn module_of(path: &Path) -> String {
    let inside = path.strip_prefix(root().join("src")).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The pairs `(importer, imported)`, each with a file that has such an import.
fn arrows(modules: &[String]) -> BTreeMap<(String, String), String> {
    let (re_exports, macros) = (re_exports(modules), macros());
    let mut found = BTreeMap::new();
    for path in sources("src") {
        let (inside, from) = (path.strip_prefix(root().join("src")).unwrap(), module_of(&path));
        if ["lib", "engine", "main"].contains(&from.as_str()) {
            continue;
        }
        let is_root = inside.ends_with("mod.rs") && inside.components().count() == 2;
        let text = code(&path);
        let text = match is_root {
            // A re-export in a root file does not count as an import.
            true => text.split(';').filter(|s| !s.contains("pub use crate::")).collect::<Vec<_>>().join(";"),
            false => text,
        };
        for used in paths(&text) {
            let of =
                |module: &str, name: &str| re_exports.get(&(module.to_owned(), name.to_owned())).cloned();
            let to = match used.as_slice() {
                [module, name, ..] if modules.contains(module) => of(module, name).unwrap_or(module.clone()),
                [module] if modules.contains(module) => module.clone(),
                [name, ..] => of("", name).or(macros.get(name).cloned()).unwrap_or_default(),
                [] => continue,
            };
            assert!(!to.is_empty(), "{}: crate::{} is of no module", path.display(), used.join("::"));
            if to != from {
                found.entry((from.clone(), to)).or_insert_with(|| inside.display().to_string());
            }
        }
    }
    found
}

#[test]
fn modules_import_only_from_rows_above_their_own() {
    let modules = table();
    let row = |name: &str| modules.iter().position(|module| module == name).unwrap();
    let arrows = arrows(&modules);
    assert!(arrows.len() > modules.len(), "the reader of imports found almost none");
    let wrong: Vec<String> = arrows
        .iter()
        .filter(|((from, to), _)| row(from) <= row(to))
        .map(|((from, to), file)| format!("{from} imports {to}, which stands below it: src/{file}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_reader_of_imports_takes_groups_apart() {
    let read = |code: &str| paths(code).iter().map(|path| path.join("::")).collect::<Vec<_>>();
    assert_eq!(
        read("use crate::core::{self as c, Error, window::{Padding, Window},};"),
        ["core::self", "core::Error", "core::window::Padding", "core::window::Window"]
    );
    assert_eq!(
        read("use crate::{DType, nn::Ctx};\nlet x = crate::io::read(path);"),
        ["DType", "nn::Ctx", "io::read"]
    );
    assert_eq!(read("$crate::core::x"), ["core::x"]);
}
