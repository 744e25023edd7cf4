//! Replacing a file completely or not at all.

use crate::core::{Error, Result};
use std::error::Error as _;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The beginning and the end of temporary files' names.
const TEMPORARY: [&str; 2] = [".receptive-", ".tmp"];
/// A temporary file to which nothing was written for this long is abandoned.
const ABANDONED: Duration = Duration::from_secs(60);
/// The most links that are followed, so that a circle of links ends.
const MOST_LINKS: usize = 40;

/// Replaces a file with `bytes`; see [`replace`].
///
/// # Errors
/// As [`replace`].
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    replace(path, |place| {
        File::create(place).and_then(|mut f| f.write_all(bytes)).map_err(|e| Error::io(path, "write", e))
    })
}

/// Replaces a file with what `write` puts into a temporary file. The temporary file is synced and renamed over the old
/// one, and the folder is synced. On any failure the old file is unchanged and the temporary file is removed. Temporary
/// files that killed processes left in the folder are removed too.
///
/// A symbolic link stays a link: the file to which it leads is replaced. A device or a pipe has no content to keep, so
/// `write` gets its own path and writes to it directly.
///
/// # Errors
/// An error of the operating system: permissions, a full disk; a path that is a folder.
pub fn replace(path: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let Some(file) = target(path)? else { return write(path).map_err(explained(path)) };
    let temporary = beside(&file);
    let refused = |e| Error::io(path, "write", e);
    let written = write(&temporary)
        .and_then(|()| File::open(&temporary).and_then(|f| f.sync_all()).map_err(refused))
        .and_then(|()| fs::rename(&temporary, &file).map_err(refused));
    if let Err(e) = written {
        let _ = fs::remove_file(&temporary); // the first error is the one to report
        return Err(explained(path)(e));
    }
    let folder = folder_of(&file);
    remove_abandoned(folder);
    // A rename survives a crash only after its folder is synced.
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|e| Error::io(folder, "sync", e))
}

/// Checks that [`write_atomically`] could write this file now. Called before hours of work whose result goes there.
///
/// # Errors
/// A folder that does not exist or is read-only; a path that is a folder.
pub fn check_writable(path: &Path) -> Result<()> {
    let Some(file) = target(path)? else { return Ok(()) };
    let temporary = beside(&file);
    File::create(&temporary)
        .and_then(|_| fs::remove_file(&temporary))
        .map_err(|e| explained(path)(Error::io(path, "write", e)))
}

/// Removes the temporary files that killed processes left in a folder.
pub fn remove_abandoned(folder: &Path) {
    let abandoned = |entry: &fs::DirEntry| {
        let (name, [begin, end]) = (entry.file_name(), TEMPORARY);
        let name = name.to_string_lossy();
        let modified = || entry.metadata().and_then(|file| file.modified()).ok();
        name.starts_with(begin)
            && name.ends_with(end)
            && modified().is_some_and(|then| then.elapsed().is_ok_and(|age| age > ABANDONED))
    };
    for entry in fs::read_dir(folder).into_iter().flatten().flatten().filter(abandoned) {
        let _ = fs::remove_file(entry.path()); // if this fails, the file only takes up space
    }
}

/// A name in the file's folder that no other file, thread or process uses.
fn beside(file: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let [begin, end] = TEMPORARY;
    let (process, next) = (process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    file.with_file_name(format!("{begin}{process}-{next}{end}"))
}

/// The file to replace, after following links, even to a file that does not exist yet. `None` for a device or a pipe.
fn target(path: &Path) -> Result<Option<PathBuf>> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => {
            let what = "is a folder, but a file is needed";
            Err(Error::argument(path.display().to_string(), what).help("give the name of a file in it"))
        }
        Ok(found) if !found.is_file() => Ok(None),
        Ok(_) => path.canonicalize().map(Some).map_err(|e| Error::io(path, "find", e)),
        Err(e) => {
            let follow = |place: &PathBuf| fs::read_link(place).ok().map(|to| folder_of(place).join(to));
            let last = std::iter::successors(Some(path.to_owned()), follow).take(MOST_LINKS).last();
            if last.as_deref().is_some_and(Path::is_symlink) {
                Err(Error::io(path, "find", e))
            } else {
                Ok(last)
            }
        }
    }
}

fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Adds help that fits the cause.
fn explained(path: &Path) -> impl Fn(Error) -> Error {
    move |error| {
        let cause = error.source().and_then(|source| source.downcast_ref::<io::Error>());
        let help = match cause.map(io::Error::kind) {
            Some(ErrorKind::NotFound) => format!("the folder {} does not exist", folder_of(path).display()),
            Some(ErrorKind::NotADirectory) => format!("{} is not a folder", folder_of(path).display()),
            Some(ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) => {
                "choose a place where you may write".to_owned()
            }
            Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge) => {
                "the disk is full, or the file is larger than allowed".to_owned()
            }
            _ => return error,
        };
        error.help(if path.is_file() { help + "; the existing file was not changed" } else { help })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    /// A temporary file has a name that nobody else uses: `page.html.tmp` may be a user's own file.
    #[test]
    fn no_other_file_of_the_folder_is_touched() {
        let folder = tempfile::tempdir().unwrap();
        let (page, own) = (folder.path().join("page.html"), folder.path().join("page.html.tmp"));
        fs::write(&own, "mine").unwrap();
        check_writable(&page).unwrap();
        write_atomically(&page, b"old").unwrap();
        let failed = replace(&page, |place| {
            fs::write(place, "half").unwrap();
            Err(Error::argument("test", "fails"))
        });
        assert!(failed.is_err());
        assert_eq!((fs::read(&page).unwrap(), fs::read(&own).unwrap()), (b"old".to_vec(), b"mine".to_vec()));
        assert_eq!(names(folder.path()), ["page.html", "page.html.tmp"]);
    }

    #[test]
    fn what_killed_processes_left_behind_goes_and_what_is_being_written_stays() {
        let folder = tempfile::tempdir().unwrap();
        let old = std::time::SystemTime::now() - 2 * ABANDONED;
        for (name, old) in
            [(".receptive-1-0.tmp", Some(old)), (".receptive-2-0.tmp", None), ("a.tmp", Some(old))]
        {
            let file = File::create(folder.path().join(name)).unwrap();
            old.iter().for_each(|&old| file.set_modified(old).unwrap());
        }
        write_atomically(&folder.path().join("page.html"), b"new").unwrap();
        assert_eq!(names(folder.path()), [".receptive-2-0.tmp", "a.tmp", "page.html"]);
    }

    /// A link stays a link, whether its target exists or not. A link that leads nowhere is an error.
    #[cfg(unix)]
    #[test]
    fn links_are_followed() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("far")).unwrap();
        fs::write(at("far/there"), "old").unwrap();
        for (link, to) in [("a", "far/there"), ("b", "far/new"), ("c", "b"), ("round", "round")] {
            symlink(to, at(link)).unwrap();
        }
        for (link, file) in [("a", "far/there"), ("b", "far/new"), ("c", "far/new")] {
            check_writable(&at(link)).unwrap();
            write_atomically(&at(link), link.as_bytes()).unwrap();
            assert!(at(link).is_symlink(), "{link}");
            assert_eq!(fs::read_to_string(at(file)).unwrap(), link);
        }
        assert!(write_atomically(&at("round"), b"").is_err() && at("round").is_symlink());
        assert_eq!(names(&at("far")), ["new", "there"]);
    }

    /// The reader gets what was written to the pipe, and the pipe still exists afterwards.
    #[cfg(unix)]
    #[test]
    fn a_pipe_is_written_to() {
        use std::os::unix::fs::FileTypeExt;
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        check_writable(&pipe).unwrap();
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || fs::read(pipe).unwrap()
        });
        write_atomically(&pipe, b"bytes").unwrap();
        assert_eq!(reader.join().unwrap(), b"bytes");
        assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
        assert_eq!(names(folder.path()), ["pipe"]);
    }

    /// The help fits the cause.
    #[test]
    fn errors_say_what_stands_in_the_way() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        for (path, expected) in [
            ("missing/page.html", "missing does not exist"),
            ("file/page.html", "is not a folder"),
            ("", "is a folder"),
        ] {
            let path = folder.path().join(path);
            for error in [check_writable(&path).unwrap_err(), write_atomically(&path, b"").unwrap_err()] {
                let message = error.to_string();
                assert!(message.contains(expected) && message.contains("help: "), "{message}");
            }
        }
        let full = Error::io(Path::new("page.html"), "write", ErrorKind::StorageFull.into());
        assert!(explained(Path::new("page.html"))(full).to_string().contains("the disk is full"));
    }
}
