//! Where a data set lies on this machine, and loading it.
//!
//! Looked through in order: `--data-dir`, `$RECEPTIVE_DATA`, `~/.cache/receptive`, the folder of a system package. A set
//! is found where all of its files are; of each file the plain one is taken before the gzipped one.

use super::catalog::{IDX_FILES, IdxSource, SETS, SetSpec, Source, Validation, names};
use super::idx::{self, Idx};
use super::{Augment, Dataset, Facts, ImageSet, Normalization, Normalize, Pipeline, Subset};
use crate::core::{Error, ErrorKind, Key, Result};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The folders to look through. The default looks nowhere: it finds the embedded sample only.
#[derive(Debug, Clone, Default)]
pub struct DataDirs {
    /// Data folders, first come first served. `fetch` writes to the first.
    pub roots: Vec<PathBuf>,
    /// Whether to look where system packages put their data, too.
    pub system: bool,
}

impl DataDirs {
    /// The folders of this process: `data_dir` (`--data-dir`), `$RECEPTIVE_DATA`, `~/.cache/receptive`, system packages.
    pub fn from_env(data_dir: Option<&Path>) -> DataDirs {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let cache = variable("HOME").map(|home| home.join(".cache/receptive"));
        let roots = [data_dir.map(Path::to_owned), variable("RECEPTIVE_DATA"), cache];
        DataDirs { roots: roots.into_iter().flatten().collect(), system: true }
    }
}

/// A data set, split as its notebook splits it.
#[derive(Clone)]
pub struct Splits {
    /// The set's name, or its folder.
    pub name: String,
    /// Images to learn from.
    pub train: Arc<dyn Dataset>,
    /// Images that judge the model while it trains.
    pub val: Arc<dyn Dataset>,
    /// Images for the end, where the set keeps some apart.
    pub test: Option<Arc<dyn Dataset>>,
    /// What preparing its images takes.
    pub facts: Facts,
}

impl Splits {
    /// The numbers that normalise this set's images as they are.
    ///
    /// # Errors
    /// An image that cannot be read, images that differ in size: only [`Normalization::Pixels`].
    pub fn normalizer(&self, normalization: Normalization) -> Result<Normalize> {
        match normalization {
            Normalization::Pixels => Normalize::measure_pixels(&*self.train, &[]),
            _ => self.facts.normalize(normalization),
        }
    }

    /// What happens to images in training and in evaluation: see [`augment`](super::augment).
    ///
    /// [`Normalization::Pixels`] is measured over the training images as evaluation sees them.
    ///
    /// # Errors
    /// Photographs without `resize`; sizes out of range; an image that cannot be read.
    pub fn pipelines(
        &self,
        augment: Augment,
        resize: Option<usize>,
        normalization: Normalization,
    ) -> Result<(Pipeline, Pipeline)> {
        if normalization != Normalization::Pixels {
            return self.facts.pipelines(augment, resize, self.facts.normalize(normalization)?);
        }
        let any = Normalize::unit(self.facts.size.channels());
        let (mut train, mut eval) = self.facts.pipelines(augment, resize, any)?;
        eval.normalize = Normalize::measure_pixels(&*self.train, &eval.steps)?;
        train.normalize = eval.normalize.clone();
        Ok((train, eval))
    }
}

/// Loads a set by its name, or from a folder with the four IDX files.
///
/// MNIST and the sample validate on their test images. Fashion-MNIST holds a sixth (10,000) of its training images out for
/// that, drawn with seed 42, and keeps its test images for the end. A folder is treated as MNIST, without normalisation;
/// its classes are numbered up to the highest training label.
///
/// # Errors
/// [`ErrorKind::Argument`]: neither a known name nor a folder. [`ErrorKind::Missing`]: not on this machine; lists where it
/// was looked for and how to get it. [`ErrorKind::Format`]: damaged files.
pub fn load(data: &str, dirs: &DataDirs) -> Result<Splits> {
    let Some(spec) = SETS.iter().find(|set| set.name == data) else {
        return load_folder(data);
    };
    let idx = match &spec.source {
        Source::Embedded => sample()?,
        Source::Idx(source) => read_all(&locate(spec, source, dirs)?)?,
    };
    let (train, test) = pair(spec.name, idx, Some(spec.classes()))?;
    split(spec.name, train, test, spec.validation, spec.facts())
}

/// Whether `data` is on this machine; its files are not read.
///
/// # Errors
/// [`ErrorKind::Argument`] and [`ErrorKind::Missing`] as [`load`].
pub fn find(data: &str, dirs: &DataDirs) -> Result<()> {
    match SETS.iter().find(|set| set.name == data) {
        None => folder_files(data).map(drop),
        Some(spec) => match &spec.source {
            Source::Embedded => Ok(()),
            Source::Idx(source) => locate(spec, source, dirs).map(drop),
        },
    }
}

fn load_folder(data: &str) -> Result<Splits> {
    let (train, test) = pair(data, read_all(&folder_files(data)?)?, None)?;
    let statistics = Normalize::measure(&train)?;
    let facts = Facts { size: train.size(), flip: false, statistics, normalization: Normalization::Unit };
    split(data, train, test, Validation::Test, facts)
}

fn folder_files(data: &str) -> Result<[PathBuf; 4]> {
    let folder = Path::new(data);
    if !folder.is_dir() {
        return Err(Error::argument("data", format!("`{data}` is neither a data set nor a folder"))
            .expected(format!("{} or a folder with IDX files", names())));
    }
    look(folder).map_err(|why| {
        Error::new(ErrorKind::Missing, data, why)
            .expected(format!("{}, .gz or plain", IDX_FILES.join(", ")))
            .help("put these files there, or name a data set")
    })
}

fn sample() -> Result<[Idx; 4]> {
    macro_rules! embedded {
        ($name:literal) => {
            idx::parse(include_bytes!(concat!("sample/", $name, ".gz")), concat!("embedded ", $name))?
        };
    }
    Ok([
        embedded!("train-images-idx3-ubyte"),
        embedded!("train-labels-idx1-ubyte"),
        embedded!("t10k-images-idx3-ubyte"),
        embedded!("t10k-labels-idx1-ubyte"),
    ])
}

fn read_all([a, b, c, d]: &[PathBuf; 4]) -> Result<[Idx; 4]> {
    Ok([idx::read(a)?, idx::read(b)?, idx::read(c)?, idx::read(d)?])
}

/// Training and test set, of equal image size and classes.
fn pair(name: &str, idx: [Idx; 4], classes: Option<Vec<String>>) -> Result<(ImageSet, ImageSet)> {
    let [train_images, train_labels, test_images, test_labels] = idx;
    let test_file = test_images.file.clone();
    let train = ImageSet::from_idx(format!("{name}/train"), train_images, train_labels, classes)?;
    let classes = Some(train.classes().to_vec());
    let test = ImageSet::from_idx(format!("{name}/test"), test_images, test_labels, classes)?;
    if train.size() != test.size() {
        return Err(Error::format(test_file, "training and test images differ in size")
            .with("train", format_args!("{:?}", train.size()))
            .with("test", format_args!("{:?}", test.size())));
    }
    Ok((train, test))
}

fn split(
    name: &str,
    train: ImageSet,
    test: ImageSet,
    validation: Validation,
    facts: Facts,
) -> Result<Splits> {
    let (train, test): (Arc<dyn Dataset>, Arc<dyn Dataset>) = (Arc::new(train), Arc::new(test));
    let (train, val, test) = match validation {
        Validation::Test => (train, test, None),
        Validation::HeldOut => {
            let (train, val) = hold_out(name, &train)?;
            (train, val, Some(test))
        }
    };
    Ok(Splits { name: name.to_owned(), train, val, test, facts })
}

/// A sixth of the images, drawn with seed 42, validates; both parts keep the file's order.
fn hold_out(name: &str, all: &Arc<dyn Dataset>) -> Result<(Arc<dyn Dataset>, Arc<dyn Dataset>)> {
    let mut val = Key::new(42).child("split").permutation(all.len());
    let mut train = val.split_off(all.len() / 6);
    val.sort_unstable();
    train.sort_unstable();
    let part = |part, indices| -> Result<Arc<dyn Dataset>> {
        Ok(Arc::new(Subset::new(format!("{name}/{part}"), Arc::clone(all), indices)?))
    };
    Ok((part("train", train)?, part("val", val)?))
}

/// The set's four files, from the first place that has them all.
///
/// # Errors
/// [`ErrorKind::Missing`]: nowhere; names every place and how to get the set.
pub fn locate(spec: &SetSpec, source: &IdxSource, dirs: &DataDirs) -> Result<[PathBuf; 4]> {
    let in_roots = dirs.roots.iter().flat_map(|root| source.folders.iter().map(move |f| root.join(f)));
    let packaged = source.package.filter(|_| dirs.system).map(|(folder, _)| PathBuf::from(folder));
    let mut looked = String::new();
    for folder in in_roots.chain(packaged) {
        match look(&folder) {
            Ok(files) => return Ok(files),
            Err(why) => write!(looked, "\n    {}: {why}", folder.display()).expect("a String takes all"),
        }
    }
    Err(Error::new(ErrorKind::Missing, spec.name, "this data set is not on this machine")
        .expected(format!("its four IDX files, .gz or plain, in one of{looked}"))
        .help(how_to_get(spec, source)))
}

/// A row of `receptive data list`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Listing {
    /// The set's name.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// Whether it can be loaded now.
    pub available: bool,
    /// Its folder, when it is available and not inside the program.
    pub folder: Option<PathBuf>,
    /// Bytes on the disk.
    pub bytes: u64,
    /// How to get it, when it is not available.
    pub get: Option<String>,
}

/// Every known set, and whether it is on this machine.
pub fn list(dirs: &DataDirs) -> Vec<Listing> {
    let row = |spec: &SetSpec| {
        let SetSpec { name, about, .. } = *spec;
        let here = Listing { name, about, available: true, folder: None, bytes: 0, get: None };
        let Source::Idx(source) = &spec.source else {
            return here;
        };
        let Ok(files) = locate(spec, source, dirs) else {
            return Listing { available: false, get: Some(how_to_get(spec, source)), ..here };
        };
        let bytes = files.iter().filter_map(|file| file.metadata().ok()).map(|meta| meta.len()).sum();
        Listing { folder: files[0].parent().map(Path::to_owned), bytes, ..here }
    };
    SETS.iter().map(row).collect()
}

fn how_to_get(spec: &SetSpec, source: &IdxSource) -> String {
    let package =
        source.package.map(|(_, package)| format!(", or on Debian and Ubuntu: apt install {package}"));
    format!("receptive data fetch {}{}", spec.name, package.unwrap_or_default())
}

/// The four files in `folder`, or what it lacks.
fn look(folder: &Path) -> std::result::Result<[PathBuf; 4], String> {
    if !folder.is_dir() {
        return Err("no such folder".into());
    }
    let mut files: [PathBuf; 4] = Default::default();
    for (file, name) in files.iter_mut().zip(IDX_FILES) {
        let dotted = name.replacen("-idx", ".idx", 1); // as some mirrors unpack them
        let spellings = [name.to_owned(), format!("{name}.gz"), dotted.clone(), format!("{dotted}.gz")];
        *file = spellings
            .iter()
            .map(|spelling| folder.join(spelling))
            .find(|path| path.is_file())
            .ok_or_else(|| format!("{name} is not there"))?;
    }
    Ok(files)
}
