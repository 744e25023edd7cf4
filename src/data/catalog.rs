//! The table of known data sets. Lookup, `receptive data list` and `receptive data fetch` read it; nothing repeats it.

use super::{Facts, ImageSize, Normalization, Normalize};
use crate::core::{Error, Result};

/// One row: a data set by its name on the command line.
#[derive(Debug)]
pub struct SetSpec {
    /// As `--data` takes it.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// Where its images come from.
    pub source: Source,
    /// The size of its images.
    pub size: ImageSize,
    /// Whether an image keeps its meaning when it is mirrored.
    pub flip: bool,
    /// Class names by label.
    pub classes: &'static [&'static str],
    /// Published mean of the training pixels (in `0..=1`), a channel each.
    pub mean: &'static [f64],
    /// Published standard deviation, likewise.
    pub std: &'static [f64],
    /// What its notebooks do with the pixels.
    pub normalization: Normalization,
    /// Which images validate.
    pub validation: Validation,
}

impl SetSpec {
    /// What preparing its images takes.
    pub fn facts(&self) -> Facts {
        Facts {
            size: self.size,
            flip: self.flip,
            statistics: Normalize { mean: self.mean.to_vec(), std: self.std.to_vec() },
            normalization: self.normalization,
        }
    }

    /// Its class names.
    pub fn classes(&self) -> Vec<String> {
        self.classes.iter().map(|&class| class.to_owned()).collect()
    }
}

/// Where a set's images come from.
#[derive(Debug)]
pub enum Source {
    /// In the program itself.
    Embedded,
    /// Four IDX files in a folder.
    Idx(IdxSource),
}

/// A set of four IDX files.
#[derive(Debug)]
pub struct IdxSource {
    /// Its folder in a data folder; the first is where `fetch` puts it, others are accepted (torchvision's layout).
    pub folders: &'static [&'static str],
    /// Where a system package puts it, and that package's name.
    pub package: Option<(&'static str, &'static str)>,
    /// Where `fetch` gets it.
    pub url: &'static str,
    /// The SHA-256 of each unpacked file, in the order of [`IDX_FILES`].
    pub sha256: [&'static str; 4],
}

/// The files of a set: training images and labels, test images and labels.
pub const IDX_FILES: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

/// Which images judge a model while it trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validation {
    /// The test images; nothing is left for a test at the end.
    Test,
    /// A sixth of the training images, drawn with a fixed seed; the test images stay untouched until the end.
    HeldOut,
}

const DIGITS: &[&str] = &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
const CLOTHES: &[&str] = &[
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
];

/// Every known set.
pub static SETS: &[SetSpec] = &[
    SetSpec {
        name: "sample",
        about: "5,000 + 1,000 images of Fashion-MNIST, 28x28 grey (Zalando Research, MIT)",
        source: Source::Embedded,
        size: ImageSize::Fixed([1, 28, 28]),
        flip: true,
        classes: CLOTHES,
        mean: &[0.2860],
        std: &[0.3530],
        normalization: Normalization::Unit,
        validation: Validation::Test,
    },
    SetSpec {
        name: "mnist",
        about: "60,000 + 10,000 handwritten digits, 28x28 grey (LeCun, Cortes, Burges)",
        source: Source::Idx(IdxSource {
            folders: &["mnist", "MNIST/raw"],
            package: None,
            url: "https://ossci-datasets.s3.amazonaws.com/mnist/",
            sha256: [
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            ],
        }),
        size: ImageSize::Fixed([1, 28, 28]),
        flip: false,
        classes: DIGITS,
        mean: &[0.1307],
        std: &[0.3081],
        normalization: Normalization::Statistics,
        validation: Validation::Test,
    },
    SetSpec {
        name: "fashion-mnist",
        about: "60,000 + 10,000 pieces of clothing, 28x28 grey (Zalando Research, MIT)",
        source: Source::Idx(IdxSource {
            folders: &["fashion-mnist", "FashionMNIST/raw"],
            package: Some(("/usr/share/datasets/fashion-mnist", "dataset-fashion-mnist")),
            url: "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            sha256: [
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            ],
        }),
        size: ImageSize::Fixed([1, 28, 28]),
        flip: true,
        classes: CLOTHES,
        mean: &[0.2860],
        std: &[0.3530],
        normalization: Normalization::Unit,
        validation: Validation::HeldOut,
    },
];

/// The names of all sets, for messages.
pub fn names() -> String {
    SETS.iter().map(|set| set.name).collect::<Vec<_>>().join(", ")
}

/// The row with this name.
///
/// # Errors
/// No such set.
pub fn spec(name: &str) -> Result<&'static SetSpec> {
    SETS.iter().find(|set| set.name == name).ok_or_else(|| {
        Error::argument("data", format!("there is no data set `{name}`"))
            .expected(format!("one of {}", names()))
    })
}
