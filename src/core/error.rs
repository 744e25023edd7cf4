//! One error type for the whole crate: what went wrong, where, with which shapes, and what to do about it.
//!
//! An error is created where the check fails, by the op or file reader that knows the facts. Each layer above adds what
//! only that layer knows (the module path, the file name). A printed error looks like this:
//!
//! ```text
//! conv2d: input channels disagree with weight   at lenet5/conv1
//!   input [64, 3, 28, 28]   weight [6, 1, 5, 5]
//!   expected C / groups = 3
//!   help: Conv2d::new(3, 6, 5)
//! ```

use super::similar;
use std::fmt;

/// `std::result::Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The class of an error, for code that reacts to it. The text is for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Shapes that do not fit together, or a dimension out of range.
    Shape,
    /// An element type the operation does not take.
    DType,
    /// Tensors on different devices, or a device that does not exist.
    Device,
    /// An attribute, flag or setting outside its range.
    Argument,
    /// `backward` reached an operation, or was called on a tensor, that has no gradient.
    NotDifferentiable,
    /// A tensor saved for backward was changed in place afterwards; its gradient would be wrong.
    StaleSaved,
    /// `backward` was called a second time on a graph whose saved tensors are already released.
    GraphReleased,
    /// A parameter that should have a gradient has none.
    NoGradient,
    /// A loss, activation or gradient became NaN or infinite.
    NonFinite,
    /// The machine has no memory for a tensor.
    OutOfMemory,
    /// A file's content is wrong: magic, length, checksum, labels out of range.
    Format,
    /// A name does not exist, or something that is needed is missing.
    Missing,
    /// The operating system refused: permissions, a full disk, a vanished file.
    Io,
    /// A bug: a background thread panicked.
    Internal,
}

/// What failed, where, with which shapes, and what to do. See the [module docs](self).
///
/// `Debug` prints the same text as `Display`, because `fn main() -> receptive::Result<()>` prints errors with `Debug`.
pub struct Error(Box<ErrorInner>);

struct ErrorInner {
    kind: ErrorKind,
    subject: String,
    what: String,
    path: Option<String>,
    shapes: Vec<String>,
    expected: Option<String>,
    help: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `kind` about `subject` (an op, a flag, a file).
    pub fn new(kind: ErrorKind, subject: impl Into<String>, what: impl Into<String>) -> Self {
        Error(Box::new(ErrorInner {
            kind,
            subject: subject.into(),
            what: what.into(),
            path: None,
            shapes: Vec::new(),
            expected: None,
            help: None,
            source: None,
        }))
    }

    /// Shapes that do not fit together.
    pub fn shape(op: impl Into<String>, what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Shape, op, what)
    }

    /// An attribute or setting outside its range.
    pub fn argument(subject: impl Into<String>, what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Argument, subject, what)
    }

    /// An element type the operation does not take.
    pub fn dtype(op: impl Into<String>, what: impl Into<String>) -> Self {
        Self::new(ErrorKind::DType, op, what)
    }

    /// A file whose content is wrong.
    pub fn format(file: impl fmt::Display, what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Format, file.to_string(), what)
    }

    /// The operating system refused `doing` (e.g. `"write"`) on `file`.
    pub fn io(file: &std::path::Path, doing: &str, source: std::io::Error) -> Self {
        let what = format!("cannot {doing}: {source}");
        let mut error = Self::new(ErrorKind::Io, file.display().to_string(), what);
        error.0.source = Some(Box::new(source));
        error
    }

    /// Adds a named shape (or any named value) to the second line.
    pub fn with(mut self, name: &str, shape: impl fmt::Display) -> Self {
        self.0.shapes.push(format!("{name} {shape}"));
        self
    }

    /// States what would be right.
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.0.expected = Some(expected.into());
        self
    }

    /// States what the reader can do about it.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    /// Suggests the names in `known` that are similar to `word`. If there are any, the suggestion replaces other help.
    pub fn like(self, word: &str, known: &[&str]) -> Self {
        match similar(word, known) {
            like if like.is_empty() => self,
            like => self.help(format!("did you mean {}?", like.join(" or "))),
        }
    }

    /// Records the module path, unless a deeper module already did.
    pub fn at(mut self, path: impl FnOnce() -> String) -> Self {
        if self.0.path.is_none() {
            self.0.path = Some(path());
        }
        self
    }

    /// The class of the error.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The module path, if the error happened inside a model.
    pub fn path(&self) -> Option<&str> {
        self.0.path.as_deref()
    }

    /// The help line, if there is one.
    pub fn help_text(&self) -> Option<&str> {
        self.0.help.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let e = &*self.0;
        write!(f, "{}: {}", e.subject, e.what)?;
        if let Some(path) = &e.path {
            write!(f, "   at {path}")?;
        }
        if !e.shapes.is_empty() {
            write!(f, "\n  {}", e.shapes.join("   "))?;
        }
        if let Some(expected) = &e.expected {
            write!(f, "\n  expected {expected}")?;
        }
        if let Some(help) = &e.help {
            write!(f, "\n  help: {help}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|s| s as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The deepest module knows best where the error happened, so an outer `at` must not overwrite it.
    #[test]
    fn the_innermost_path_wins() {
        let error =
            Error::shape("linear", "features disagree").at(|| "lenet5/fc1".into()).at(|| "lenet5".into());
        assert_eq!(error.path(), Some("lenet5/fc1"));
        assert_eq!(error.to_string(), "linear: features disagree   at lenet5/fc1");
    }

    #[test]
    fn shapes_expectation_and_help_have_lines_of_their_own() {
        let error = Error::shape("conv2d", "input channels disagree with weight")
            .with("input", "[1, 3, 8, 8]")
            .with("weight", "[6, 1, 5, 5]")
            .expected("C / groups = 3")
            .help("Conv2d::new(3, 6, 5)");
        let lines: Vec<String> = error.to_string().lines().map(str::to_owned).collect();
        assert_eq!(lines[1], "  input [1, 3, 8, 8]   weight [6, 1, 5, 5]");
        assert_eq!(lines[3], "  help: Conv2d::new(3, 6, 5)");
        // What a program prints if its `main` returns the error.
        assert_eq!((format!("{error:?}"), format!("{error:#?}")), (error.to_string(), error.to_string()));
    }
}
