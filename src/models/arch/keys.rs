//! Tables of an arch file as typed values. Every error names the file and the line.

use crate::core::{Error, ErrorKind, Result};
use crate::nn::Pair;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Larger numbers are mistakes. Below this limit, a product of a few numbers fits a usize.
const MOST: i64 = 1 << 20;

/// The file's name and text, for messages.
pub(super) struct ArchFile<'a> {
    pub file: &'a str,
    pub text: &'a str,
}

impl ArchFile<'_> {
    /// An error at a byte of the file.
    pub fn error(&self, kind: ErrorKind, at: usize, what: impl Into<String>) -> Error {
        let before = &self.text.as_bytes()[..at.min(self.text.len())];
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
        Error::new(kind, format!("{}:{line}", self.file), what)
    }

    /// A wrong word or value at a byte of the file.
    pub fn wrong(&self, at: usize, what: impl Into<String>) -> Error {
        self.error(ErrorKind::Format, at, what)
    }
}

/// One table: the table of the whole file, or of one layer.
pub(super) struct Keys<'a> {
    pub source: &'a ArchFile<'a>,
    /// The layer, as in `layers.4 (conv2d)`; empty for the table of the whole file.
    pub name: String,
    /// The position in the file where the table begins.
    pub at: usize,
    pub table: &'a DeTable<'a>,
}

impl<'a> Keys<'a> {
    /// An error about the table as a whole.
    pub fn wrong(&self, what: impl AsRef<str>) -> Error {
        self.source.wrong(self.at, self.about(what.as_ref()))
    }

    /// An error about one key of the table.
    pub fn wrong_key(&self, key: &str, what: impl AsRef<str>) -> Error {
        let at = self.table.get(key).map_or(self.at, |value| value.span().start);
        self.source.wrong(at, self.about(what.as_ref()))
    }

    fn about(&self, what: &str) -> String {
        if self.name.is_empty() { what.to_owned() } else { format!("{}: {what}", self.name) }
    }

    /// Returns an error for a key that is not known.
    pub fn only(&self, known: &[&str]) -> Result<()> {
        let Some(key) = self.table.keys().find(|key| !known.contains(&&**key.get_ref())) else {
            return Ok(());
        };
        let what = self.about(&format!("there is no key `{}`", key.get_ref()));
        let list = if known.is_empty() {
            "only the key kind".to_owned()
        } else {
            format!("one of {}", known.join(", "))
        };
        Err(self.source.wrong(key.span().start, what).expected(list))
    }

    /// The value of a key, if it is present.
    pub fn get<T: Value<'a>>(&self, key: &str) -> Result<Option<T>> {
        let Some(value) = self.table.get(key) else { return Ok(None) };
        T::read(value).map(Some).ok_or_else(|| {
            let written = self.source.text.get(value.span()).unwrap_or("").trim();
            let short: String = written.chars().take(40).collect();
            self.wrong_key(key, format!("{key} = {short} is not allowed")).expected(T::EXPECTED)
        })
    }

    /// The value of a required key.
    pub fn need<T: Value<'a>>(&self, key: &str) -> Result<T> {
        self.get(key)?.ok_or_else(|| {
            self.wrong(format!("`{key}` is missing")).expected(format!("{key} = {}", T::EXPECTED))
        })
    }

    /// A size that follows from the layer before. The file may state it; then it is checked.
    pub fn follows(&self, key: &str, size: usize, dims: &[usize]) -> Result<usize> {
        match self.get::<usize>(key)? {
            Some(stated) if stated != size => Err(self
                .wrong_key(key, format!("{key} = {stated}, but the layer's input is {dims:?}"))
                .expected(format!("{key} = {size}"))
                .help("omit it: it follows from the layer before")),
            _ => Ok(size),
        }
    }
}

/// A type that a key's value can have.
pub(super) trait Value<'a>: Sized {
    const EXPECTED: &'static str;
    fn read(value: &'a Spanned<DeValue<'a>>) -> Option<Self>;
}

fn integer(value: &DeValue) -> Option<i64> {
    let number = value.as_integer()?;
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

impl Value<'_> for usize {
    const EXPECTED: &'static str = "a whole number from 0 to 1048576";

    fn read(value: &Spanned<DeValue>) -> Option<usize> {
        integer(value.get_ref()).filter(|n| (0..=MOST).contains(n)).map(|n| n as usize)
    }
}

impl Value<'_> for Pair {
    const EXPECTED: &'static str = "a whole number, or two as [vertical, horizontal]";

    fn read(value: &Spanned<DeValue>) -> Option<Pair> {
        match value.get_ref().as_array() {
            None => usize::read(value).map(Pair::from),
            Some(both) if both.len() == 2 => Some(Pair([usize::read(&both[0])?, usize::read(&both[1])?])),
            Some(_) => None,
        }
    }
}

impl Value<'_> for f64 {
    const EXPECTED: &'static str = "a finite number";

    fn read(value: &Spanned<DeValue>) -> Option<f64> {
        let number = match value.get_ref() {
            DeValue::Float(number) => number.as_str().parse().ok()?,
            other => integer(other)? as f64,
        };
        Some(number).filter(|n: &f64| n.is_finite())
    }
}

impl Value<'_> for bool {
    const EXPECTED: &'static str = "true or false";

    fn read(value: &Spanned<DeValue>) -> Option<bool> {
        value.get_ref().as_bool()
    }
}

/// The value of an op's attribute, as text.
pub(super) struct Attribute(pub String);

impl Value<'_> for Attribute {
    const EXPECTED: &'static str = "a finite number, a string in quotes, true, false, or a list of these";

    fn read(value: &Spanned<DeValue>) -> Option<Attribute> {
        let text = match value.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Boolean(flag) => flag.to_string(),
            DeValue::Array(list) => {
                let items: Option<Vec<String>> =
                    list.iter().map(|item| Some(Attribute::read(item)?.0)).collect();
                items?.join(",")
            }
            other => match integer(other) {
                Some(number) => number.to_string(),
                None => f64::read(value)?.to_string(),
            },
        };
        Some(Attribute(text))
    }
}

impl<'a> Value<'a> for &'a str {
    const EXPECTED: &'static str = "a string in quotes";

    fn read(value: &'a Spanned<DeValue<'a>>) -> Option<&'a str> {
        value.get_ref().as_str()
    }
}

impl<'a> Value<'a> for &'a [Spanned<DeValue<'a>>] {
    const EXPECTED: &'static str = "a list in brackets";

    fn read(value: &'a Spanned<DeValue<'a>>) -> Option<Self> {
        value.get_ref().as_array().map(|list| &**list)
    }
}
