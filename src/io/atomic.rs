//! Replacing a file as a whole, or not at all.

use crate::core::{Error, Result};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

/// Replaces a file with `bytes`; see [`replace`].
///
/// # Errors
/// As [`replace`].
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    replace(path, |temporary| {
        File::create(temporary).and_then(|mut f| f.write_all(bytes)).map_err(|e| Error::io(path, "write", e))
    })
}

/// Replaces a file with what `write` puts into the temporary file it is given: synced, renamed over the old one, and
/// the folder synced. On any failure the old file is untouched and the temporary one removed.
///
/// # Errors
/// The operating system refusing: permissions, a full disk.
pub fn replace(path: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let temporary = path.with_added_extension("tmp");
    let refused = |e| Error::io(path, "write", e);
    let written = write(&temporary)
        .and_then(|()| File::open(&temporary).and_then(|f| f.sync_all()).map_err(refused))
        .and_then(|()| fs::rename(&temporary, path).map_err(refused));
    if let Err(e) = written {
        let _ = fs::remove_file(&temporary); // the first error is the one to report
        return Err(e.help("is the disk full, or the folder read-only? What was there before is untouched"));
    }
    // A rename is durable once its folder is.
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|e| Error::io(folder, "sync", e))
}

/// Whether [`write_atomically`] could write this file now: asked before hours of work whose result goes there.
///
/// # Errors
/// A folder that is not there or is read-only; a path that is a folder.
pub fn check_writable(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Err(Error::argument(path.display().to_string(), "is a folder, not a file to write"));
    }
    let temporary = path.with_added_extension("tmp");
    File::create(&temporary)
        .and_then(|_| fs::remove_file(&temporary))
        .map_err(|e| Error::io(path, "write", e).help("does its folder exist, and may you write there?"))
}
