//! The terms of `docs/GLOSSARY.md`, and those that a page explains.
//!
//! A page marks a term in its sources: `data-term="jump"` in markup, `R.term("jump", "Jump")` or `R.termAttrs("jump")`
//! in a script. [`script`] finds the marks and takes only these terms into the page. `page/terms.js` shows the meaning
//! of a term when a reader points at it.

use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// The glossary: a table in Markdown, one row per term.
const GLOSSARY: &str = include_str!("../../docs/GLOSSARY.md");

/// What stands before a term in the sources of a page.
const MARKS: [&str; 3] = ["data-term=\"", "term(\"", "termAttrs(\""];

/// A row of the glossary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub term: &'static str,
    /// One sentence. It may contain code in backticks.
    pub meaning: &'static str,
    /// A link in Markdown to the file that defines the term.
    pub file: &'static str,
}

/// All rows, in their order.
pub fn entries() -> impl Iterator<Item = Entry> {
    // The separator below the header starts with `|-`.
    let rows = GLOSSARY.lines().filter(|line| line.starts_with("| ")).skip(1);
    rows.filter_map(|row| {
        let mut cells = row.trim_matches('|').split('|').map(str::trim);
        Some(Entry { term: cells.next()?, meaning: cells.next()?, file: cells.next()? })
    })
}

/// The terms that these sources mark.
pub fn marked<'a>(sources: &[&'a str]) -> BTreeSet<&'a str> {
    let after = |source: &'a str| MARKS.into_iter().flat_map(move |mark| source.split(mark).skip(1));
    sources.iter().copied().flat_map(after).filter_map(|rest| rest.split('"').next()).collect()
}

/// A script with the meanings of the terms that a page's sources mark. It comes before the page's other scripts.
pub fn script(sources: &[&str]) -> String {
    let marked = marked(sources);
    let meanings: Map<String, Value> = entries()
        .filter(|entry| marked.contains(entry.term))
        .map(|entry| (entry.term.to_owned(), Value::from(entry.meaning.replace('`', ""))))
        .collect();
    // In JSON, `<` occurs only inside strings, where it may be escaped. So no text can end the script element.
    let meanings = Value::Object(meanings).to_string().replace('<', "\\u003c");
    format!("\"use strict\";\nwindow.Receptive = {{ meanings: {meanings} }};\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn every_row_has_a_term_a_sentence_and_a_file() {
        let rows = GLOSSARY.lines().filter(|line| line.starts_with('|')).count();
        let entries: Vec<Entry> = entries().collect();
        assert_eq!(entries.len() + 2, rows, "a row lacks a cell");
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
        for Entry { term, meaning, file } in entries {
            let sentence = meaning.strip_suffix('.').unwrap_or_default();
            let one = !sentence.is_empty() && !sentence.contains(". ");
            assert!(!term.is_empty() && one, "{term}: {meaning:?} is not one sentence");
            assert!(meaning.len() <= 200 && !meaning.contains("]("), "{term}: {meaning:?}");
            let link = file.split_once("](").and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or_default();
            assert!(link.starts_with("../") && docs.join(link).is_file(), "{term}: there is no {file}");
        }
    }

    #[test]
    fn terms_are_sorted_and_none_comes_twice() {
        let terms: Vec<String> = entries().map(|entry| entry.term.to_lowercase()).collect();
        for pair in terms.windows(2) {
            assert!(pair[0] < pair[1], "{} comes before {}", pair[0], pair[1]);
        }
    }

    #[test]
    fn a_page_gets_the_terms_that_it_marks() {
        let sources = [r#"<b data-term="jump">"#, r#"R.term("rung", "Rung"); R.termAttrs("Dice"); term(x)"#];
        assert_eq!(marked(&sources).into_iter().collect::<Vec<_>>(), ["Dice", "jump", "rung"]);
        let script = script(&sources);
        assert!(script.contains(r#""jump":""#) && script.contains(r#""Dice":""#), "{script}");
        assert!(!script.contains(r#""loop":"#) && !script.contains(['<', '`']), "{script}");
    }
}
