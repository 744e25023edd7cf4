//! The Oxford-IIIT pets: photographs of 37 breeds, each with a trimap. (Parkhi et al., "Cats and dogs", CVPR 2012.)
//!
//! ```text
//! images/NAME.jpg    annotations/trimaps/NAME.png    annotations/trainval.txt, test.txt:  NAME CLASS SPECIES BREED
//! ```
//!
//! The label is CLASS - 1. The class name is the name of its images without their number. The lists are read at once,
//! and the files in them must exist. Images are decoded when they are read.

use super::cifar::contents;
use super::file_set::{FileEntry, FileSet};
use crate::core::{Error, ErrorKind, Result};
use std::collections::HashSet;
use std::path::Path;

/// The lists: training images, test images.
pub const LISTS: [&str; 2] = ["annotations/trainval.txt", "annotations/test.txt"];
/// The folders with the files that the lists name.
pub const FOLDERS: [&str; 2] = ["images", "annotations/trimaps"];

/// Reads training and test images. `names` are the names of classes that have no image.
///
/// # Errors
/// A list that is missing, empty or malformed; an image that is listed twice, or whose file or trimap is missing.
pub(super) fn read(set: &str, folder: &Path, names: &[&str]) -> Result<[FileSet; 2]> {
    let mut breeds = Breeds { told: vec![None; names.len()], seen: HashSet::new() };
    let [train, test] = LISTS.map(|list| breeds.list(folder, list));
    let (train, test) = (train?, test?);
    let told = breeds.told.into_iter().zip(names);
    let classes: Vec<String> = told.map(|(told, &name)| told.unwrap_or_else(|| name.to_owned())).collect();
    let part = |part, entries| FileSet::new(format!("{set}/{part}"), entries, classes.clone());
    Ok([part("train", train), part("test", test)])
}

/// What the lists read so far contain.
struct Breeds {
    /// The name of each class; `None` until one of its images is listed.
    told: Vec<Option<String>>,
    /// The names of all images.
    seen: HashSet<String>,
}

impl Breeds {
    fn list(&mut self, folder: &Path, list: &str) -> Result<Vec<FileEntry>> {
        let path = folder.join(list);
        let text = String::from_utf8(contents(&path, 16 << 20)?)
            .map_err(|_| Error::format(path.display(), "is not text"))?;
        let mut entries = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let place = || format!("{}, line {number}", path.display());
            let (name, label) = self.line(line).map_err(|what| {
                Error::format(place(), what).with("line", line).expected("NAME CLASS SPECIES BREED")
            })?;
            let image = folder.join(FOLDERS[0]).join(format!("{name}.jpg"));
            let trimap = folder.join(FOLDERS[1]).join(format!("{name}.png"));
            if let Some(file) = [&image, &trimap].into_iter().find(|file| !file.is_file()) {
                return Err(Error::new(ErrorKind::Missing, place(), "a listed file is missing")
                    .with("file", file.display())
                    .help("unpack images.tar.gz and annotations.tar.gz into the same folder"));
            }
            entries.push(FileEntry { image, label, trimap: Some(trimap) });
        }
        if entries.is_empty() {
            return Err(Error::format(path.display(), "lists no images").expected("NAME CLASS SPECIES BREED"));
        }
        Ok(entries)
    }

    /// The name and label in a line, or what is wrong with it.
    fn line<'a>(&mut self, line: &'a str) -> std::result::Result<(&'a str, usize), String> {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let &[name, class, species, breed] = &fields[..] else {
            return Err(format!("has {} fields", fields.len()));
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if !name.chars().all(plain) || name.starts_with('.') || name.contains("..") {
            return Err(format!("`{name}` is not the name of an image"));
        }
        let class: usize = class.parse().map_err(|_| format!("`{class}` is not a class number"))?;
        if !(1..=self.told.len()).contains(&class) {
            return Err(format!("class {class} is out of range: 1 to {}", self.told.len()));
        }
        if !matches!(species, "1" | "2") || breed.parse::<u32>().is_err() {
            return Err(format!("`{species} {breed}` is not a species (1 or 2) and a breed number"));
        }
        if !self.seen.insert(name.to_owned()) {
            return Err(format!("{name} is listed twice"));
        }
        let numbered = name.rsplit_once('_').filter(|(_, number)| number.parse::<u32>().is_ok());
        let breed = numbered.map_or(name, |(breed, _)| breed);
        match &mut self.told[class - 1] {
            Some(told) if told != breed => {
                Err(format!("class {class} is {told} in an earlier line, and {breed} here"))
            }
            told => {
                told.get_or_insert_with(|| breed.to_owned());
                Ok((name, class - 1))
            }
        }
    }
}
