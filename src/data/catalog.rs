//! The table of known data sets. Lookup, `receptive data list` and `receptive data fetch` read it; nothing repeats it.

use super::{Augment, DatasetInfo, ImageSize, Normalization, Normalize};
use crate::core::{Error, Result};

/// One row: a data set with its name on the command line.
#[derive(Debug)]
pub struct SetSpec {
    /// The name that `--data` takes.
    pub name: &'static str,
    /// A description in one line.
    pub about: &'static str,
    /// Where its images come from.
    pub source: Source,
    /// The size of its images.
    pub size: ImageSize,
    /// Whether an image keeps its meaning when it is mirrored.
    pub flip: bool,
    /// Class names by label.
    pub classes: &'static [&'static str],
    /// Published mean of the training pixels (in `0..=1`) per channel; for photographs that of [`IMAGENET`].
    pub mean: &'static [f64],
    /// Published standard deviation, in the same form.
    pub std: &'static [f64],
    /// How its notebooks normalise the pixels.
    pub normalization: Normalization,
    /// How its notebooks vary the training images.
    pub augment: Augment,
    /// Which images are used for validation.
    pub validation: Validation,
}

impl SetSpec {
    /// The facts that are needed to prepare its images.
    pub fn facts(&self) -> DatasetInfo {
        DatasetInfo {
            size: self.size,
            common: None,
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
    /// Embedded in the program.
    Embedded,
    /// Four IDX files in a folder.
    Idx(IdxSource),
    /// CIFAR's binary folder.
    Cifar(ArchiveSource),
    /// The folder of the Oxford-IIIT pets.
    Pets(ArchiveSource),
}

impl Source {
    /// Its folder inside a data folder. `fetch` uses the first; others are accepted too (torchvision's layout).
    pub fn folders(&self) -> &'static [&'static str] {
        match self {
            Source::Embedded => &[],
            Source::Idx(source) => source.folders,
            Source::Cifar(source) | Source::Pets(source) => source.folders,
        }
    }

    /// The folder of a system package with this set, and the package's name.
    pub fn package(&self) -> Option<(&'static str, &'static str)> {
        match self {
            Source::Idx(source) => source.package,
            _ => None,
        }
    }
}

/// A set that is published as archives (`.tar.gz`).
#[derive(Debug)]
pub struct ArchiveSource {
    /// See [`Source::folders`].
    pub folders: &'static [&'static str],
    /// Where `fetch` gets the archives.
    pub url: &'static str,
    /// Each archive's name and published MD5.
    pub archives: &'static [(&'static str, &'static str)],
    /// The folder inside the archives that contains the set's files; empty if there is none.
    pub inside: &'static str,
}

/// A set of four IDX files.
#[derive(Debug)]
pub struct IdxSource {
    /// Its folder inside a data folder. `fetch` uses the first; others are accepted too (torchvision's layout).
    pub folders: &'static [&'static str],
    /// The folder of a system package with this set, and the package's name.
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

/// Which images evaluate a model while it trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validation {
    /// The test images; no images are left for a test at the end.
    Test,
    /// A sixth of the training images, drawn with a fixed seed. The test images are not used until the end.
    HeldOut,
}

/// Mean and deviation of ImageNet's photographs, with which every published pretrained network was trained.
pub const IMAGENET: (&[f64], &[f64]) = (&[0.485, 0.456, 0.406], &[0.229, 0.224, 0.225]);

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

const OBJECTS: &[&str] =
    &["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
const BREEDS: &[&str] = &[
    "Abyssinian",
    "american_bulldog",
    "american_pit_bull_terrier",
    "basset_hound",
    "beagle",
    "Bengal",
    "Birman",
    "Bombay",
    "boxer",
    "British_Shorthair",
    "chihuahua",
    "Egyptian_Mau",
    "english_cocker_spaniel",
    "english_setter",
    "german_shorthaired",
    "great_pyrenees",
    "havanese",
    "japanese_chin",
    "keeshond",
    "leonberger",
    "Maine_Coon",
    "miniature_pinscher",
    "newfoundland",
    "Persian",
    "pomeranian",
    "pug",
    "Ragdoll",
    "Russian_Blue",
    "saint_bernard",
    "samoyed",
    "scottish_terrier",
    "shiba_inu",
    "Siamese",
    "Sphynx",
    "staffordshire_bull_terrier",
    "wheaten_terrier",
    "yorkshire_terrier",
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
        augment: Augment::None,
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
        augment: Augment::None,
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
        augment: Augment::None,
        validation: Validation::HeldOut,
    },
    SetSpec {
        name: "cifar10",
        about: "50,000 + 10,000 photographs of 10 classes, 32x32 in colour (Krizhevsky)",
        source: Source::Cifar(ArchiveSource {
            folders: &["cifar-10-batches-bin"],
            url: "https://www.cs.toronto.edu/~kriz/",
            archives: &[("cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530")],
            inside: "cifar-10-batches-bin",
        }),
        size: ImageSize::Fixed([3, 32, 32]),
        flip: true,
        classes: OBJECTS,
        mean: &[0.4914, 0.4822, 0.4465],
        std: &[0.2470, 0.2435, 0.2616],
        normalization: Normalization::Unit,
        augment: Augment::Standard,
        validation: Validation::Test,
    },
    SetSpec {
        name: "pets",
        about: "3,680 + 3,669 photographs of 37 breeds, with masks (Oxford-IIIT, CC BY-SA 4.0)",
        source: Source::Pets(ArchiveSource {
            folders: &["pets", "oxford-iiit-pet"],
            url: "https://www.robots.ox.ac.uk/~vgg/data/pets/data/",
            archives: &[
                ("images.tar.gz", "5c4f3ee8e5d25df40f4fd59a7f44e54c"),
                ("annotations.tar.gz", "95a8c909bbe2e81eed6a22bccdf3f68f"),
            ],
            inside: "",
        }),
        size: ImageSize::Varied { channels: 3 },
        flip: true,
        classes: BREEDS,
        mean: IMAGENET.0,
        std: IMAGENET.1,
        normalization: Normalization::Unit,
        augment: Augment::None,
        validation: Validation::Test,
    },
];

/// The names of all sets, for messages.
pub fn names() -> String {
    SETS.iter().map(|set| set.name).collect::<Vec<_>>().join(", ")
}

/// The row with this name, if there is one.
pub fn known(name: &str) -> Option<&'static SetSpec> {
    SETS.iter().find(|set| set.name == name)
}

/// The row with this name.
///
/// # Errors
/// No such set.
pub fn spec(name: &str) -> Result<&'static SetSpec> {
    known(name).ok_or_else(|| {
        Error::argument("data", format!("there is no data set `{name}`"))
            .expected(format!("one of {}", names()))
            .like(name, &SETS.iter().map(|set| set.name).collect::<Vec<_>>())
    })
}
