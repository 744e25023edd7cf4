//! Opening what is a file and nothing else.

use std::fs::{self, File};
use std::io::Result;
use std::path::Path;

/// The file, open to be read. `None`: something else is there, which is not even opened. A pipe would be waited for until
/// somebody writes into it.
pub fn open_regular(path: &Path) -> Result<Option<File>> {
    match fs::metadata(path)?.is_file() {
        true => File::open(path).map(Some),
        false => Ok(None),
    }
}
