//! `data.json`: what a run must know about the data it was trained on.
//!
//! It is written when training starts. With it, a trained run can make predictions without its data set: the class
//! names, the image size and the numbers for preparing images are those of training, even if the set has since changed
//! or is gone. It also detects that a set has changed: resuming on other images is refused, unless the user accepts
//! them, and a set with other classes is always refused.
//!
//! It contains names, but not the place where the data lie.

use crate::core::{Error, ErrorKind, Result, similar};
use crate::data::{Brightness, DatasetInfo, Fingerprint, ImageSize, Normalization, Pipeline, Splits};
use crate::io::write_atomically;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::ErrorKind as IoKind;
use std::path::Path;

/// The layout of the file.
const FORMAT: u32 = 1;
/// The most changes that an error lists; the others are counted.
const LISTED: usize = 5;
/// The most class names that an error lists; the others are counted.
const NAMED: usize = 50;

/// What a run must know about its data, as stored in `data.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataRecord {
    format: u32,
    /// The data set's name. For a folder it is the last part of its path.
    pub data: String,
    /// The classes' names; a label is an index into them.
    pub classes: Vec<String>,
    /// Whether `classes` holds real names. Without names a class is called by its number.
    pub named: bool,
    /// The size of the set's own images.
    pub size: ImageSize,
    /// The size of the network's input, `[C, H, W]`.
    pub input: [usize; 3],
    /// How an image becomes that input: the preparation steps of evaluation, and the numbers for normalising.
    pub pipeline: Pipeline,
    /// How bright the training images are at their edges. `None`: the run's version did not measure it, or the images
    /// cannot be read (training reports that itself).
    #[serde(default)]
    pub brightness: Option<Brightness>,
    /// Fingerprints of the images. `None`: the next start records the images that it finds.
    images: Option<SplitFingerprints>,
}

/// Fingerprints of each split's images, before a subset is chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SplitFingerprints {
    train: Fingerprint,
    val: Fingerprint,
    test: Option<Fingerprint>,
}

impl SplitFingerprints {
    fn of(splits: &Splits) -> Result<SplitFingerprints> {
        let test = splits.test.as_ref().map(|test| Fingerprint::of(&**test)).transpose()?;
        Ok(SplitFingerprints {
            train: Fingerprint::of(&*splits.train)?,
            val: Fingerprint::of(&*splits.val)?,
            test,
        })
    }

    /// One line per change.
    fn changes(&self, now: &SplitFingerprints, names: &[String]) -> Vec<String> {
        let mut lines = self.train.changes(&now.train, "train", names);
        lines.extend(self.val.changes(&now.val, "val", names));
        match (&self.test, &now.test) {
            (Some(before), Some(now)) => lines.extend(before.changes(now, "test", names)),
            (Some(before), None) => lines.push(format!("test: no images now, {} before", before.images())),
            (None, Some(now)) => lines.push(format!("test: {} images now, none before", now.images())),
            (None, None) => {}
        }
        lines
    }
}

impl DataRecord {
    /// The file's name in a run folder.
    pub const FILE: &'static str = "data.json";

    /// The record of a data set, before a subset is chosen, and of the pipeline for evaluating its images.
    ///
    /// # Errors
    /// An image that cannot be read; a pipeline that does not fit the images.
    pub fn of(splits: &Splits, pipeline: &Pipeline) -> Result<DataRecord> {
        let name = Path::new(&splits.name).file_name().map(|name| name.to_string_lossy().into_owned());
        Ok(DataRecord {
            format: FORMAT,
            data: name.unwrap_or_else(|| splits.name.clone()),
            classes: splits.train.classes().to_vec(),
            named: splits.named,
            size: splits.facts.size,
            input: pipeline.output(splits.facts.size)?,
            pipeline: pipeline.clone(),
            brightness: Brightness::measure(&*splits.train).ok(),
            images: Some(SplitFingerprints::of(splits)?),
        })
    }

    /// The record in a run folder. `None`: the run's version did not keep one.
    ///
    /// # Errors
    /// A file that cannot be read, or that is not a record.
    pub fn read(run: &Path) -> Result<Option<DataRecord>> {
        let file = run.join(DataRecord::FILE);
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(e) if e.kind() == IoKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io(&file, "read", e)),
        };
        let broken = |why: String| {
            Error::format(file.display(), format!("is not the record of a run's data: {why}"))
                .help("restore the file, or delete it: the run then reads the facts from its data set")
        };
        let record: DataRecord = serde_json::from_str(&text).map_err(|e| broken(e.to_string()))?;
        if record.format != FORMAT {
            return Err(broken(format!("its format is {}, not {FORMAT}", record.format)));
        }
        match record.pipeline.output(record.size) {
            Ok(input) if input == record.input && !record.classes.is_empty() => Ok(Some(record)),
            Ok(_) => Err(broken("its sizes contradict each other".to_owned())),
            Err(e) => Err(e.with("in", file.display())),
        }
    }

    /// Writes the record atomically.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn write(&self, run: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self).expect("a record has a JSON form");
        text.push('\n');
        write_atomically(&run.join(DataRecord::FILE), text.as_bytes())
    }

    /// The record without its image fingerprints: any images of the same classes and sizes are accepted.
    pub fn of_any_images(self) -> DataRecord {
        DataRecord { images: None, ..self }
    }

    /// Compares the recorded data with the present data `now`, and returns the record to continue with. Images that are
    /// not those of training are refused.
    ///
    /// # Errors
    /// Images that were added, removed, changed or moved to another class; a network input of another size.
    pub fn checked(self, now: DataRecord) -> Result<DataRecord> {
        if now.input != self.input {
            return Err(Error::shape(&*self.data, "the images' size differs from the size in training")
                .with("now", format_args!("{:?}", now.input))
                .with("in training", format_args!("{:?}", self.input)));
        }
        let changes = match (&self.images, &now.images) {
            (Some(before), Some(now)) => before.changes(now, &self.classes),
            _ => Vec::new(),
        };
        if changes.is_empty() {
            return Ok(DataRecord { images: now.images, ..self });
        }
        Err(Error::new(ErrorKind::Argument, &*self.data, "the data changed since training started")
            .with("changes:", listed(&changes, LISTED, "; "))
            .help("restore the data, or continue with the changed data: `RunDir::accept_changed_data`"))
    }

    /// The facts about the set, for evaluation when its images are not available.
    pub fn facts(&self, normalization: Normalization) -> DatasetInfo {
        DatasetInfo {
            size: self.size,
            common: Some([self.input[1], self.input[2]]),
            flip: false,
            statistics: self.pipeline.normalize.clone(),
            normalization,
        }
    }

    /// Refuses `splits` if its classes are not those of training, in the same order.
    ///
    /// # Errors
    /// Classes that were renamed, reordered, added or removed.
    pub fn check_classes(&self, splits: &Splits) -> Result<()> {
        let now = splits.train.classes();
        let alike = match self.named && splits.named {
            true => now == self.classes,
            // Without names, only the number of classes can be compared.
            false => now.len() == self.classes.len(),
        };
        if alike {
            return Ok(());
        }
        let help = "give the folders their old names, or train on these data";
        Err(Error::argument(&*splits.name, "its classes differ from those that the network was trained on")
            .with("classes:", listed(now, NAMED, ", "))
            .expected(format!("the classes of training: {}", listed(&self.classes, NAMED, ", ")))
            .help(match self.renamed(now).filter(|_| self.named && splits.named) {
                Some((now, before)) => format!("was `{now}` called `{before}` in training? {help}"),
                None => help.to_owned(),
            }))
    }

    /// Finds a renamed class: a class that training did not have, and a missing class with a similar name.
    fn renamed<'a>(&'a self, now: &'a [String]) -> Option<(&'a str, &'a str)> {
        let missing = self.classes.iter().filter(|class| !now.contains(class));
        let missing: Vec<&str> = missing.map(String::as_str).collect();
        let mut new = now.iter().filter(|class| !self.classes.contains(class));
        new.find_map(|class| Some((class.as_str(), *similar(class, &missing).first()?)))
    }
}

/// The first `most` entries; the others are counted.
fn listed(all: &[String], most: usize, between: &str) -> String {
    let first = all[..all.len().min(most)].join(between);
    match all.len().checked_sub(most) {
        Some(more @ 1..) => format!("{first}{between}and {more} more"),
        _ => first,
    }
}
