//! Opening a path only if it is a regular file.

use std::fs::{self, File};
use std::io::Result;
use std::path::Path;

/// The file, open for reading; `None` if the path is something else, which is then not opened. Opening a pipe would
/// wait until a process writes into it.
pub fn open_regular(path: &Path) -> Result<Option<File>> {
    match fs::metadata(path)?.is_file() {
        true => File::open(path).map(Some),
        false => Ok(None),
    }
}
