//! Images sorted into folders by class. (torchvision: `ImageFolder`.)
//!
//! ```text
//! DIR/train/CLASS/*.png, *.jpg, *.jpeg     DIR/val/CLASS/...     DIR/test/CLASS/...
//! ```
//!
//! Classes are the folders of `train`, by name. `val` judges while training, `test` at the end; where only one of them is
//! there, it judges. Hidden files are ignored; anything else that is no image stops the run, for it may be a mistake.

use super::file_set::{Entry, FileSet};
use crate::core::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

/// Training, validation and, where both `val` and `test` are there, test images.
///
/// # Errors
/// No `train`, or neither `val` nor `test`; a class without images, or one that is not in `train`; files that are no images.
pub(super) fn read(name: &str, root: &Path) -> Result<(FileSet, FileSet, Option<FileSet>)> {
    let train = root.join("train");
    let classes = entries(&train)?
        .into_iter()
        .map(
            |(name, path)| {
                if path.is_dir() { Ok(name) } else { Err(stray(&path, "a folder for each class")) }
            },
        )
        .collect::<Result<Vec<String>>>()?;
    if classes.is_empty() {
        return Err(Error::format(train.display(), "holds no classes").expected("a folder for each class"));
    }
    let part = |part: &str| {
        let entries = split(&root.join(part), &classes)?;
        Ok(FileSet::new(format!("{name}/{part}"), entries, classes.clone()))
    };
    let has = |part: &str| root.join(part).is_dir();
    match (has("val"), has("test")) {
        (true, true) => Ok((part("train")?, part("val")?, Some(part("test")?))),
        (true, false) => Ok((part("train")?, part("val")?, None)),
        (false, true) => Ok((part("train")?, part("test")?, None)),
        (false, false) => Err(Error::new(ErrorKind::Missing, name, "there are no images to validate on")
            .expected("a folder val or test beside train, with the same classes")),
    }
}

fn split(folder: &Path, classes: &[String]) -> Result<Vec<Entry>> {
    let mut all = Vec::new();
    for (class, path) in entries(folder)? {
        let label = classes.iter().position(|known| *known == class).ok_or_else(|| {
            Error::format(path.display(), "is not a class of the training images")
                .expected(format!("one of {}", classes.join(", ")))
        })?;
        let before = all.len();
        for (_, image) in entries(&path)? {
            let extension = image.extension().and_then(|e| e.to_str()).unwrap_or_default();
            let known = ["png", "jpg", "jpeg"].iter().any(|known| extension.eq_ignore_ascii_case(known));
            if !known || !image.is_file() {
                return Err(stray(&image, "files *.png, *.jpg or *.jpeg"));
            }
            all.push(Entry { image, label, trimap: None });
        }
        if all.len() == before {
            return Err(Error::format(path.display(), "this class has no images")
                .expected("files *.png, *.jpg or *.jpeg")
                .help("add some, or remove the folder"));
        }
    }
    if all.is_empty() {
        return Err(Error::format(folder.display(), "holds no classes").expected("a folder for each class"));
    }
    Ok(all)
}

/// What a folder holds, but for hidden files, sorted by name.
fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let refused = |e| Error::io(folder, "list", e);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(refused)? {
        let path = entry.map_err(refused)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
        let name = name.ok_or_else(|| Error::format(path.display(), "the name is not UTF-8"))?;
        if !name.starts_with('.') {
            found.push((name, path));
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn stray(path: &Path, expected: &str) -> Error {
    Error::format(path.display(), "does not belong here").expected(expected).help("move it elsewhere")
}
