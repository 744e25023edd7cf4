//! Unpacking what was downloaded. An archive is not trusted: only regular files with expected names are unpacked,
//! nothing outside the folder, no links, and no more than a fixed number of bytes.

use super::{cifar, pets};
use crate::core::{Error, Result};
use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Component, Path, PathBuf};
use tar::EntryType;

/// More bytes than any known set unpacks to.
const MOST_BYTES: u64 = 4 << 30;

/// Writes the wanted files that `archive` (`.tar.gz`) contains under `inside` into the folder `to`.
///
/// # Errors
/// A damaged archive; an archive with links or with paths that leave its folder; a disk that cannot be written.
pub(super) fn unpack(archive: &Path, inside: &str, wanted: fn(&Path) -> bool, to: &Path) -> Result<()> {
    let damaged =
        |e: std::io::Error| Error::format(archive.display(), format!("the archive is damaged: {e}"));
    let file = File::open(archive).map_err(|e| Error::io(archive, "read", e))?;
    let content = MultiGzDecoder::new(BufReader::with_capacity(1 << 16, file)).take(MOST_BYTES);
    for entry in tar::Archive::new(content).entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let path = entry.path().map_err(damaged)?.into_owned();
        let refused = |what: &str| Error::format(archive.display(), what).with("entry", path.display());
        match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous => {}
            EntryType::Directory | EntryType::XGlobalHeader => continue,
            _ => return Err(refused("the archive contains an entry that is not a file or a folder")),
        }
        let Some(path) = plain(&path) else {
            return Err(refused("the archive contains a path that leads outside its folder"));
        };
        let Some(path) = path.strip_prefix(inside).ok().filter(|path| wanted(path)) else {
            continue;
        };
        let target = to.join(path);
        let write = |e| Error::io(&target, "write", e);
        std::fs::create_dir_all(target.parent().unwrap_or(to)).map_err(write)?;
        let mut out = File::create_new(&target).map_err(write)?;
        std::io::copy(&mut entry, &mut out).map_err(write)?;
    }
    Ok(())
}

/// The path without `.` parts; `None` if it contains anything but names.
fn plain(path: &Path) -> Option<PathBuf> {
    path.components()
        .filter(|part| *part != Component::CurDir)
        .map(|part| matches!(part, Component::Normal(_)).then_some(part))
        .collect()
}

/// Whether this is a file of CIFAR's folder.
pub(super) fn of_cifar(path: &Path) -> bool {
    cifar::BATCHES.iter().chain([&cifar::META]).any(|name| path == Path::new(name))
}

/// Whether this is an image, a trimap or a list of the pets.
pub(super) fn of_pets(path: &Path) -> bool {
    let [images, trimaps] = pets::FOLDERS.map(Path::new);
    let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    let folder = path.parent().unwrap_or(Path::new(""));
    let is = |extension: &str| path.extension().is_some_and(|e| e == extension);
    !hidden
        && (folder == images && is("jpg")
            || folder == trimaps && is("png")
            || folder == Path::new("annotations") && is("txt"))
}
