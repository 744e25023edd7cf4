//! Reads attributes given as text, `key=value`, with PyTorch's names, forms and defaults.

use crate::core::{Error, Result};
use std::collections::BTreeMap;
use std::str::FromStr;

/// A type that an attribute's text can be parsed as.
pub trait AttrValue: FromStr {
    /// The expected form, for error messages.
    const FORM: &'static str;
}

impl AttrValue for usize {
    const FORM: &'static str = "a whole number, 0 or more";
}

impl AttrValue for u64 {
    const FORM: &'static str = usize::FORM;
}

impl AttrValue for isize {
    const FORM: &'static str = "a whole number";
}

impl AttrValue for i64 {
    const FORM: &'static str = isize::FORM;
}

impl AttrValue for f64 {
    const FORM: &'static str = "a number";
}

/// The attributes given to an op, and the names of the tensors that come with them.
pub struct Attrs<'a> {
    op: &'static str,
    values: &'a BTreeMap<String, String>,
    inputs: &'a [&'a str],
}

impl<'a> Attrs<'a> {
    /// The attributes of `op` by name, and the names of its input tensors.
    pub fn new(op: &'static str, values: &'a BTreeMap<String, String>, inputs: &'a [&'a str]) -> Self {
        Attrs { op, values, inputs }
    }

    /// Whether the call has a tensor of this name (for example an optional `bias`).
    pub fn has_input(&self, name: &str) -> bool {
        self.inputs.contains(&name)
    }

    /// The raw text. The text `None` means the same as no attribute.
    pub fn text(&self, key: &str) -> Option<&'a str> {
        self.values.get(key).map(String::as_str).filter(|v| *v != "None")
    }

    /// A number or word, if given.
    ///
    /// # Errors
    /// Text that is not a `T`.
    pub fn get<T: AttrValue>(&self, key: &str) -> Result<Option<T>> {
        self.text(key).map(|text| self.parse(key, text)).transpose()
    }

    /// A number or word; `default` if it is not given.
    ///
    /// # Errors
    /// Text that is not a `T`.
    pub fn or<T: AttrValue>(&self, key: &str, default: T) -> Result<T> {
        Ok(self.get(key)?.unwrap_or(default))
    }

    /// A number or word that PyTorch requires.
    ///
    /// # Errors
    /// Missing or malformed.
    pub fn need<T: AttrValue>(&self, key: &str) -> Result<T> {
        self.get(key)?.ok_or_else(|| self.missing(key))
    }

    /// A flag: `true`, `True`, `1` or `false`, `False`, `0`.
    ///
    /// # Errors
    /// Anything else.
    pub fn flag(&self, key: &str, default: bool) -> Result<bool> {
        match self.text(key) {
            None => Ok(default),
            Some("true" | "True" | "1") => Ok(true),
            Some("false" | "False" | "0") => Ok(false),
            Some(text) => Err(self.malformed(key, text, "true or false")),
        }
    }

    /// A list: `2,1`, `(2, 1)`, `[2,1]` or a single `2`.
    ///
    /// # Errors
    /// An item that is not a `T`.
    pub fn list<T: AttrValue>(&self, key: &str) -> Result<Option<Vec<T>>> {
        let Some(text) = self.text(key) else { return Ok(None) };
        let inner = text.trim_matches(|c: char| "()[]".contains(c) || c.is_whitespace());
        let items = inner.split(',').map(str::trim).filter(|item| !item.is_empty());
        items.map(|item| self.parse(key, item)).collect::<Result<Vec<T>>>().map(Some)
    }

    /// A pair for height and width. A single number sets both.
    ///
    /// # Errors
    /// Not one or two numbers.
    pub fn pair(&self, key: &str) -> Result<Option<[usize; 2]>> {
        match self.list::<usize>(key)?.as_deref() {
            None => Ok(None),
            Some([both]) => Ok(Some([*both; 2])),
            Some([h, w]) => Ok(Some([*h, *w])),
            Some(_) => Err(self.malformed(key, self.text(key).unwrap_or(""), "one number or two: h,w")),
        }
    }

    /// The error for a required value that is missing.
    pub fn missing(&self, key: &str) -> Error {
        Error::argument(self.op, format!("attribute `{key}` is required"))
            .help(format!("`attrs.{key} = VALUE`"))
    }

    /// The error for a value of the wrong form.
    pub fn malformed(&self, key: &str, text: &str, expected: &str) -> Error {
        Error::argument(self.op, format!("attribute {key}={text} is malformed")).expected(expected)
    }

    fn parse<T: AttrValue>(&self, key: &str, text: &str) -> Result<T> {
        text.parse().map_err(|_| self.malformed(key, text, T::FORM))
    }
}
