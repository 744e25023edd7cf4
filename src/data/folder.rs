//! Images sorted into folders by class. (torchvision: `ImageFolder`.)
//!
//! ```text
//! DIR/train/CLASS/*.png, *.jpg, *.jpeg     DIR/val/CLASS/...     DIR/test/CLASS/...
//! ```
//!
//! The classes are the folders of `train`, sorted by name. `val` is used to evaluate while training, `test` at the end.
//! If only one of them exists, it is used while training. `valid`, `validation` and `dev` are other names of `val`;
//! upper and lower case are the same. A folder that is not used may be a mistake, so it is an error. Hidden files, and
//! files that systems leave in folders, are ignored. So are single files that are not images, with a warning.

use super::file_set::{FileEntry, FileSet};
use crate::core::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

/// The folders of the splits, in lower case: training, validation, test.
const SPLITS: [&[&str]; 3] = [&["train"], &["val", "valid", "validation", "dev"], &["test"]];
/// Folders and files that archive programs, storage devices and desktops leave behind.
const LEFT_BEHIND: [&str; 4] = ["__MACOSX", "@eaDir", "Thumbs.db", "desktop.ini"];
const IMAGES: &str = "*.png, *.jpg or *.jpeg";

/// The sets of a folder, and warnings for the user.
pub(super) struct Folder {
    pub train: FileSet,
    pub val: FileSet,
    /// Present if the folder has both `val` and `test`.
    pub test: Option<FileSet>,
    /// Whether `test` serves as validation set because there is no `val`.
    pub val_is_test: bool,
    pub warnings: Vec<String>,
}

/// Whether this looks like images sorted into folders.
pub(super) fn is_one(root: &Path) -> bool {
    entries(root, &mut Skipped::default())
        .is_ok_and(|all| all.iter().any(|(name, path)| split_of(name) == Some(0) && path.is_dir()))
}

/// The names of picture folders that are not splits. They are probably classes that the user has not sorted into splits
/// yet.
pub(super) fn unsorted(root: &Path) -> Vec<String> {
    let pictures = |folder: &Path| {
        entries(folder, &mut Skipped::default()).is_ok_and(|all| all.iter().any(|(_, path)| is_picture(path)))
    };
    let all = entries(root, &mut Skipped::default()).unwrap_or_default();
    all.into_iter().filter(|(_, path)| path.is_dir() && pictures(path)).map(|(name, _)| name).collect()
}

/// Whether a file's name is that of a picture.
fn is_picture(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    ["png", "jpg", "jpeg"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}

/// The index in [`SPLITS`] of a folder's name.
fn split_of(name: &str) -> Option<usize> {
    let name = name.to_lowercase();
    SPLITS.iter().position(|names| names.contains(&&*name))
}

/// Lists all images without reading them.
///
/// # Errors
/// Neither `val` nor `test`; two folders for one split; a folder that is not a split; a class without images, or one
/// that is not in `train`; a folder inside a class.
pub(super) fn read(name: &str, root: &Path) -> Result<Folder> {
    let mut skipped = Skipped::default();
    let mut found: [Option<PathBuf>; 3] = Default::default();
    for (part, path) in entries(root, &mut skipped)?.into_iter().filter(|(_, path)| path.is_dir()) {
        let Some(split) = split_of(&part) else {
            return Err(Error::format(path.display(), "the name of this folder is not a split")
                .expected("train, val (or valid, validation, dev) and test")
                .help("rename it to one of these, or move it elsewhere"));
        };
        if let Some(other) = found[split].replace(path.clone()) {
            return Err(Error::format(path.display(), "is for the same split as another folder")
                .with("the other:", other.display())
                .help("put the images of both into one folder, or move one folder elsewhere"));
        }
    }
    let [train, val, test] = found;
    let train = train.ok_or_else(|| {
        Error::new(ErrorKind::Missing, name, "there are no training images").expected("a folder train")
    })?;
    let classes = classes(&train, &mut skipped)?;
    let mut part = |part: &str, folder: &Path| -> Result<FileSet> {
        let entries = split(folder, &classes, &mut skipped)?;
        let unseen = |label: &usize| entries.iter().all(|entry| entry.label != *label);
        let unseen: Vec<String> =
            (0..classes.len()).filter(unseen).map(|label| classes[label].clone()).collect();
        if !unseen.is_empty() {
            skipped.unseen.push(format!("{part} has no images of {}", some(&unseen)));
        }
        Ok(FileSet::new(format!("{name}/{part}"), entries, classes.clone()))
    };
    let train = part("train", &train)?;
    let test = test.map(|folder| part("test", &folder)).transpose()?;
    let val_is_test = val.is_none();
    let (val, test) = match (val, test) {
        (Some(val), test) => (part("val", &val)?, test),
        (None, Some(test)) => (test, None),
        (None, None) => {
            return Err(Error::new(ErrorKind::Missing, name, "there are no validation images")
                .expected("a folder val or test next to train, with the same classes"));
        }
    };
    Ok(Folder { train, val, test, val_is_test, warnings: skipped.warnings() })
}

/// The classes: the folders of the training images.
fn classes(train: &Path, skipped: &mut Skipped) -> Result<Vec<String>> {
    let (folders, files): (Vec<_>, Vec<_>) =
        entries(train, skipped)?.into_iter().partition(|(_, path)| path.is_dir());
    if folders.is_empty() {
        let holds = if files.is_empty() {
            "contains no class folders"
        } else {
            "contains files, but no class folders"
        };
        return Err(Error::format(train.display(), holds).expected("one folder per class"));
    }
    Ok(folders.into_iter().map(|(name, _)| name).collect())
}

fn split(folder: &Path, classes: &[String], skipped: &mut Skipped) -> Result<Vec<FileEntry>> {
    let mut all = Vec::new();
    for (class, path) in entries(folder, skipped)? {
        if !path.is_dir() {
            skipped.stray.push(path);
            continue;
        }
        let label = classes.iter().position(|known| *known == class).ok_or_else(|| {
            Error::format(path.display(), "is not a class of the training images")
                .expected(format!("one of {}", classes.join(", ")))
                .like(&class, &classes.iter().map(String::as_str).collect::<Vec<_>>())
        })?;
        let before = all.len();
        for (_, image) in entries(&path, skipped)? {
            let known = is_picture(&image);
            if image.is_dir() {
                return Err(Error::format(image.display(), "is a folder inside a class")
                    .expected(IMAGES)
                    .help(
                        "move its images into the class folder, or make it a class folder next to the others",
                    ));
            } else if known {
                all.push(FileEntry { image, label, trimap: None });
            } else {
                skipped.stray.push(image);
            }
        }
        if all.len() == before {
            return Err(Error::format(path.display(), "this class has no images")
                .expected(IMAGES)
                .help("add images, or remove the folder"));
        }
    }
    if all.is_empty() {
        return Err(
            Error::format(folder.display(), "contains no class folders").expected("one folder per class")
        );
    }
    Ok(all)
}

/// What was ignored or is missing.
#[derive(Default)]
struct Skipped {
    /// Hidden files, and files left behind by a program.
    left_behind: Vec<String>,
    /// Files that are not images.
    stray: Vec<PathBuf>,
    /// Classes that have no images in a split, one line per split.
    unseen: Vec<String>,
}

impl Skipped {
    fn warnings(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        self.left_behind.sort_unstable();
        self.left_behind.dedup();
        lines.extend(self.unseen.iter().cloned());
        if !self.left_behind.is_empty() {
            lines.push(format!("ignored: {}", some(&self.left_behind)));
        }
        let names = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let stray: Vec<String> = self.stray.iter().map(names).collect();
        match stray.len() {
            0 => {}
            1 => lines.push(format!("1 file is not {IMAGES} and was skipped: {}", stray[0])),
            n => lines.push(format!("{n} files are not {IMAGES} and were skipped: {}", some(&stray))),
        }
        lines
    }
}

/// The first few of these names, for a message.
fn some(names: &[String]) -> String {
    const SHOWN: usize = 3;
    let more = if names.len() > SHOWN { ", ..." } else { "" };
    names[..names.len().min(SHOWN)].join(", ") + more
}

/// The entries of a folder, sorted by name, without hidden files and files that a program left behind.
fn entries(folder: &Path, skipped: &mut Skipped) -> Result<Vec<(String, PathBuf)>> {
    let refused = |e| Error::io(folder, "list", e);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(refused)? {
        let path = entry.map_err(refused)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
        let name = name.ok_or_else(|| Error::format(path.display(), "the name is not UTF-8"))?;
        match name.starts_with('.') || LEFT_BEHIND.contains(&&*name) {
            true => skipped.left_behind.push(name),
            false => found.push((name, path)),
        }
    }
    found.sort_unstable();
    Ok(found)
}
