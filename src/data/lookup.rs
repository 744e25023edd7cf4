//! Where a data set is stored on this machine, and loading it.
//!
//! These places are searched in order: `--data-dir`, `$RECEPTIVE_DATA`, `~/.cache/receptive`, the folder of a system
//! package. A folder counts only if it has all files of the set. A plain IDX file is preferred to a gzipped one.

use super::catalog::{IDX_FILES, IMAGENET, SETS, SetSpec, Source, Validation, known, names, spec};
use super::folder::Folder;
use super::idx::{self, Idx};
use super::{
    Augment, Dataset, DatasetInfo, ImageSet, ImageSize, Normalization, Normalize, Pipeline, Subset, cifar,
    folder, pets,
};
use crate::core::{Error, ErrorKind, Key, Result};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The folders to search. The default searches none, so it finds only the embedded sample.
#[derive(Debug, Clone, Default)]
pub struct DataDirs {
    /// Data folders, searched in this order. `fetch` writes to the first.
    pub roots: Vec<PathBuf>,
    /// Whether to search the folders of system packages, too.
    pub system: bool,
}

impl DataDirs {
    /// The folders for this process: `data_dir` (`--data-dir`), `$RECEPTIVE_DATA`, `~/.cache/receptive`, system
    /// packages.
    pub fn from_env(data_dir: Option<&Path>) -> DataDirs {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let cache = variable("HOME").map(|home| home.join(".cache/receptive"));
        let roots = [data_dir.map(Path::to_owned), variable("RECEPTIVE_DATA"), cache];
        DataDirs { roots: roots.into_iter().flatten().collect(), system: true }
    }
}

/// A data set, split as in its notebook.
#[derive(Clone)]
pub struct Splits {
    /// The set's name, or its folder.
    pub name: String,
    /// Training images.
    pub train: Arc<dyn Dataset>,
    /// Images to evaluate the model while it trains.
    pub val: Arc<dyn Dataset>,
    /// Images for the test at the end, if the set has a separate part for it.
    pub test: Option<Arc<dyn Dataset>>,
    /// Whether the test images are also used to evaluate while training.
    pub val_is_test: bool,
    /// The facts that are needed to prepare its images.
    pub facts: DatasetInfo,
    /// Whether its classes have names. Those of a folder of IDX files are only numbered.
    pub named: bool,
    /// Warnings for the user, one line each.
    pub warnings: Vec<String>,
}

impl Splits {
    /// Reads every image's header. If all photographs have the same size, notes it in `facts`.
    ///
    /// # Errors
    /// An image whose header cannot be read or is damaged.
    pub fn check_headers(&mut self) -> Result<()> {
        let sets = [Some(&self.train), Some(&self.val), self.test.as_ref()];
        let sizes = sets.into_iter().flatten().map(|set| set.check_headers()).collect::<Result<Vec<_>>>()?;
        self.facts.common = sizes[0].filter(|size| sizes.iter().all(|other| *other == Some(*size)));
        Ok(())
    }

    /// The numbers that normalise this set's images without transforms.
    ///
    /// # Errors
    /// Only for [`Normalization::Pixels`]: an image that cannot be read; images that differ in size.
    pub fn normalizer(&self, normalization: Normalization) -> Result<Normalize> {
        match normalization {
            Normalization::Pixels => Normalize::measure_pixels(&*self.train, &[]),
            _ => self.facts.normalize(normalization),
        }
    }

    /// The pipelines for training and for evaluation: see [`augment`](super::augment).
    ///
    /// [`Normalization::Pixels`] is measured on the training images after the steps of evaluation.
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

/// Loads a set by its name, or from a folder with four IDX files, CIFAR's binary files, the pets' layout, or images
/// sorted into `train/CLASS` and `val/CLASS`.
///
/// MNIST, CIFAR-10, the pets and the sample use their test images for validation. Fashion-MNIST uses a sixth (10,000)
/// of its training images, drawn with seed 42, and keeps its test images for the end. A folder of IDX files is treated
/// as MNIST, without normalisation; its classes are the numbers up to the highest training label.
///
/// # Errors
/// [`ErrorKind::Argument`]: neither a known name nor a folder. [`ErrorKind::Missing`]: not on this machine; the message
/// lists the places that were searched and how to get the set. [`ErrorKind::Format`]: damaged files.
pub fn load(data: &str, dirs: &DataDirs) -> Result<Splits> {
    let Some(spec) = known(data) else {
        return load_folder(data);
    };
    let (train, test) = match &spec.source {
        Source::Embedded => pair(spec.name, sample()?, Some(spec.classes()))?,
        Source::Idx(_) => pair(spec.name, read_all(&locate(spec, dirs)?.1)?, Some(spec.classes()))?,
        Source::Cifar(_) => pair_of(cifar::read(spec.name, &locate(spec, dirs)?.0)?),
        Source::Pets(_) => pair_of(pets::read(spec.name, &locate(spec, dirs)?.0, spec.classes)?),
    };
    split(spec.name, train, test, spec.validation, spec.facts())
}

/// Checks that `data` is on this machine, without reading its files.
///
/// # Errors
/// [`ErrorKind::Argument`] and [`ErrorKind::Missing`] as [`load`].
pub fn find(data: &str, dirs: &DataDirs) -> Result<()> {
    match known(data) {
        None => layout(data).map(drop),
        Some(SetSpec { source: Source::Embedded, .. }) => Ok(()),
        Some(spec) => locate(spec, dirs).map(drop),
    }
}

/// The kind of files in a folder that is not a known set.
enum FolderKind {
    Idx(Vec<PathBuf>),
    /// The layout of this known set.
    As(&'static SetSpec),
    Images,
}

/// Recognises a layout by a single file, so that an error can name the other files that are missing.
fn layout(data: &str) -> Result<FolderKind> {
    let folder = Path::new(data);
    if !folder.is_dir() {
        return Err(Error::argument("data", format!("`{data}` is neither a data set nor a folder"))
            .expected(format!("{} or a folder of IDX files, CIFAR batches or images", names()))
            .like(data, &SETS.iter().map(|set| set.name).collect::<Vec<_>>()));
    }
    let has = |name: &str| folder.join(name).exists();
    if folder::is_one(folder) {
        return Ok(FolderKind::Images);
    }
    if has(cifar::META) || cifar::BATCHES.iter().any(|batch| has(batch)) {
        return Ok(FolderKind::As(spec("cifar10")?));
    }
    if has("images") && has("annotations") {
        return Ok(FolderKind::As(spec("pets")?));
    }
    let unsorted = folder::unsorted(folder);
    if !unsorted.is_empty() {
        return Err(Error::new(
            ErrorKind::Missing,
            data,
            "contains class folders, but neither `train` nor `val`",
        )
        .with("found", unsorted.join(", "))
        .expected("train/CLASS/*.png and val/CLASS/*.png")
        .help("move a part of each class's images into val/CLASS, and the others into train/CLASS"));
    }
    idx_files(folder).map(FolderKind::Idx).map_err(|why| {
        Error::new(ErrorKind::Missing, data, why)
            .expected(format!(
                "{}, plain or .gz; or train/CLASS/*.png and val/CLASS/*.png",
                IDX_FILES.join(", ")
            ))
            .help("put these files there, or use a data set's name")
    })
}

fn load_folder(data: &str) -> Result<Splits> {
    let root = Path::new(data);
    match layout(data)? {
        FolderKind::Idx(files) => {
            let (train, test) = pair(data, read_all(&files)?, None)?;
            let statistics = Normalize::measure(&*train)?;
            let normalization = Normalization::Unit;
            let facts =
                DatasetInfo { size: train.size(), common: None, flip: false, statistics, normalization };
            Ok(Splits { named: false, ..split(data, train, test, Validation::Test, facts)? })
        }
        FolderKind::As(spec) => {
            let (train, test) = match spec.source {
                Source::Pets(_) => pair_of(pets::read(data, root, spec.classes)?),
                _ => pair_of(cifar::read(data, root)?),
            };
            split(data, train, test, spec.validation, spec.facts())
        }
        FolderKind::Images => {
            let Folder { train, val, test, val_is_test, warnings } = folder::read(data, root)?;
            let (mean, std) = (IMAGENET.0.to_vec(), IMAGENET.1.to_vec());
            let facts = DatasetInfo {
                size: ImageSize::Varied { channels: 3 },
                common: None,
                flip: true,
                statistics: Normalize { mean, std },
                normalization: Normalization::Unit,
            };
            let (train, val) = pair_of([train, val]);
            let test = test.map(|test| Arc::new(test) as Arc<dyn Dataset>);
            Ok(Splits { name: data.to_owned(), train, val, test, val_is_test, facts, named: true, warnings })
        }
    }
}

type TrainTest = (Arc<dyn Dataset>, Arc<dyn Dataset>);

fn pair_of<T: Dataset + 'static>([train, test]: [T; 2]) -> TrainTest {
    (Arc::new(train), Arc::new(test))
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

/// Reads the four files of [`idx_files`].
fn read_all(files: &[PathBuf]) -> Result<[Idx; 4]> {
    Ok([idx::read(&files[0])?, idx::read(&files[1])?, idx::read(&files[2])?, idx::read(&files[3])?])
}

/// Training and test set, with the same image size and the same classes.
fn pair(name: &str, idx: [Idx; 4], classes: Option<Vec<String>>) -> Result<TrainTest> {
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
    Ok(pair_of([train, test]))
}

fn split(
    name: &str,
    train: Arc<dyn Dataset>,
    test: Arc<dyn Dataset>,
    validation: Validation,
    facts: DatasetInfo,
) -> Result<Splits> {
    let (train, val, test) = match validation {
        Validation::Test => (train, test, None),
        Validation::HeldOut => {
            let (train, val) = hold_out(name, &train)?;
            (train, val, Some(test))
        }
    };
    let val_is_test = test.is_none();
    Ok(Splits {
        name: name.to_owned(),
        train,
        val,
        test,
        val_is_test,
        facts,
        named: true,
        warnings: Vec::new(),
    })
}

/// Separates a sixth of the images, drawn with seed 42, for validation. Both parts keep the file's order.
fn hold_out(name: &str, all: &Arc<dyn Dataset>) -> Result<TrainTest> {
    let mut val = Key::new(42).child("split").permutation(all.len());
    let mut train = val.split_off(all.len() / 6);
    val.sort_unstable();
    train.sort_unstable();
    let part = |part, indices| -> Result<Arc<dyn Dataset>> {
        Ok(Arc::new(Subset::new(format!("{name}/{part}"), Arc::clone(all), indices)?))
    };
    Ok((part("train", train)?, part("val", val)?))
}

/// The folder of a set and its files, from the first place that has all of them.
///
/// # Errors
/// [`ErrorKind::Missing`]: no place has it. The message names every place and how to get the set.
fn locate(spec: &SetSpec, dirs: &DataDirs) -> Result<(PathBuf, Vec<PathBuf>)> {
    let folders = spec.source.folders();
    let in_roots = dirs.roots.iter().flat_map(|root| folders.iter().map(move |f| root.join(f)));
    let packaged = spec.source.package().filter(|_| dirs.system).map(|(folder, _)| PathBuf::from(folder));
    let mut looked = String::new();
    for folder in in_roots.chain(packaged) {
        match look(&spec.source, &folder) {
            Ok(files) => return Ok((folder, files)),
            Err(why) => write!(looked, "\n    {}: {why}", folder.display()).expect("a String takes all"),
        }
    }
    let what = match spec.source {
        Source::Idx(_) => "its four IDX files, plain or .gz,",
        Source::Cifar(_) => "its binary files",
        _ => "its images and annotations",
    };
    Err(Error::new(ErrorKind::Missing, spec.name, "this data set is not on this machine")
        .expected(format!("{what} in one of{looked}"))
        .help(how_to_get(spec)))
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
    /// Its folder, if it is available and not embedded in the program.
    pub folder: Option<PathBuf>,
    /// Bytes on the disk.
    pub bytes: u64,
    /// How to get it, if it is not available.
    pub get: Option<String>,
}

/// Every known set, and whether it is on this machine.
pub fn list(dirs: &DataDirs) -> Vec<Listing> {
    let row = |spec: &SetSpec| {
        let SetSpec { name, about, .. } = *spec;
        let here = Listing { name, about, available: true, folder: None, bytes: 0, get: None };
        if matches!(spec.source, Source::Embedded) {
            return here;
        }
        match locate(spec, dirs) {
            Ok((folder, files)) => {
                Listing { folder: Some(folder), bytes: files.iter().map(|file| bytes(file)).sum(), ..here }
            }
            Err(_) => Listing { available: false, get: Some(how_to_get(spec)), ..here },
        }
    };
    SETS.iter().map(row).collect()
}

/// The size of a file, or of all files in a folder.
fn bytes(path: &Path) -> u64 {
    let length = |path: PathBuf| path.metadata().map_or(0, |meta| meta.len());
    match path.read_dir() {
        Ok(entries) => entries.flatten().map(|entry| length(entry.path())).sum(),
        Err(_) => length(path.to_owned()),
    }
}

fn how_to_get(spec: &SetSpec) -> String {
    let package =
        spec.source.package().map(|(_, package)| format!(", or on Debian and Ubuntu: apt install {package}"));
    format!("receptive data fetch {}{}", spec.name, package.unwrap_or_default())
}

/// The files of a set in `folder`, or what is missing.
pub(super) fn look(source: &Source, folder: &Path) -> std::result::Result<Vec<PathBuf>, String> {
    if !folder.is_dir() {
        return Err("no such folder".into());
    }
    let names = match source {
        Source::Embedded => Vec::new(),
        Source::Idx(_) => return idx_files(folder),
        Source::Cifar(_) => [&cifar::BATCHES[..], &[cifar::META]].concat(),
        Source::Pets(_) => [pets::LISTS, pets::FOLDERS].concat(),
    };
    let there = |name: &str| Some(folder.join(name)).filter(|path| path.exists());
    names.into_iter().map(|name| there(name).ok_or_else(|| format!("{name} is missing"))).collect()
}

/// The four files of an IDX set in `folder`, or what is missing.
fn idx_files(folder: &Path) -> std::result::Result<Vec<PathBuf>, String> {
    let file = |name: &str| {
        let dotted = name.replacen("-idx", ".idx", 1); // the names from some mirrors
        let spellings = [name.to_owned(), format!("{name}.gz"), dotted.clone(), format!("{dotted}.gz")];
        let mut paths = spellings.iter().map(|spelling| folder.join(spelling));
        paths.find(|path| path.is_file()).ok_or_else(|| format!("{name} is missing"))
    };
    IDX_FILES.into_iter().map(file).collect()
}
