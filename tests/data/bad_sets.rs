//! Tests of CIFAR's folder, the pets' folder and folders of images: complete ones, and all kinds of broken ones.

use receptive::data::{DataDirs, Dataset, Image, ImageSize, Splits, cifar, load};
use receptive::{ErrorKind, Result};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

fn open(folder: &Path) -> Result<Splits> {
    load(folder.to_str().unwrap(), &DataDirs::default())
}

/// Checks that the folder is refused with an error of this kind that contains all of `parts`.
fn refused(folder: &Path, kind: ErrorKind, parts: &[&str]) {
    let error = open(folder).err().expect("this folder is broken");
    let text = error.to_string();
    assert_eq!(error.kind(), kind, "{text}");
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

/// Ten records per batch file. Record `i` of batch `b` has label `i` and pixels of value `b`.
fn cifar_folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (b, name) in cifar::BATCHES.iter().enumerate() {
        let record = |i: u8| [vec![i], vec![b as u8; 3072]].concat();
        fs::write(folder.path().join(name), (0..10).flat_map(record).collect::<Vec<u8>>()).unwrap();
    }
    let names: String = (0..10).map(|class| format!("class {class}\n")).collect();
    fs::write(folder.path().join(cifar::META), names + "\n").unwrap();
    folder
}

#[test]
fn cifar_is_read_in_file_order() {
    let folder = cifar_folder();
    let splits = open(folder.path()).unwrap();
    assert_eq!((splits.train.len(), splits.val.len(), splits.test.is_none()), (50, 10, true));
    assert_eq!(splits.train.size(), ImageSize::Fixed([3, 32, 32]));
    assert_eq!((splits.train.label(23), &*splits.train.classes()[9]), (3, "class 9"));
    let mut image = Image::default();
    splits.train.read(23, &mut image).unwrap();
    assert_eq!(image, Image::new([3, 32, 32], vec![2; 3072]).unwrap());
    // The set is also found by its name in a data folder.
    let root = tempfile::tempdir().unwrap();
    fs::rename(folder.path(), root.path().join("cifar-10-batches-bin")).unwrap();
    let dirs = DataDirs { roots: vec![root.path().into()], system: false };
    let named = load("cifar10", &dirs).unwrap();
    assert!(named.facts.flip && named.train.name() == "cifar10/train");
}

#[test]
fn a_broken_cifar_folder_is_refused() {
    type Break = fn(&Path);
    let cases: [(Break, ErrorKind, &[&str]); 8] = [
        (
            |f| truncate(&f.join("data_batch_3.bin"), 3072),
            ErrorKind::Format,
            &["data_batch_3.bin", "a whole number of records"],
        ),
        (
            |f| truncate(&f.join("data_batch_3.bin"), 9 * 3073),
            ErrorKind::Format,
            &["holds 9 images", "expected 10"],
        ),
        (
            |f| truncate(&f.join("test_batch.bin"), 0),
            ErrorKind::Format,
            &["test_batch.bin", "the file's 0 bytes"],
        ),
        (
            |f| fs::write(f.join("test_batch.bin"), [10; 30730]).unwrap(),
            ErrorKind::Format,
            &["record 0 has label 10", "0 to 9"],
        ),
        (|f| fs::remove_file(f.join("data_batch_5.bin")).unwrap(), ErrorKind::Missing, &["data_batch_5.bin"]),
        (|f| fs::remove_file(f.join(cifar::META)).unwrap(), ErrorKind::Missing, &["batches.meta.txt"]),
        (|f| fs::write(f.join(cifar::META), "\n\n").unwrap(), ErrorKind::Format, &["lists 0 classes"]),
        (
            |f| {
                fs::remove_file(f.join("data_batch_2.bin")).unwrap();
                fs::create_dir(f.join("data_batch_2.bin")).unwrap();
            },
            ErrorKind::Format,
            &["data_batch_2.bin: is not a regular file"],
        ),
    ];
    for (damage, kind, parts) in cases {
        let folder = cifar_folder();
        damage(folder.path());
        refused(folder.path(), kind, parts);
    }
    let folder = cifar_folder();
    fs::write(folder.path().join(cifar::META), [0xff, 0xfe]).unwrap();
    refused(folder.path(), ErrorKind::Format, &["is not text"]);
}

fn truncate(path: &Path, length: u64) {
    fs::OpenOptions::new().write(true).open(path).unwrap().set_len(length).unwrap();
}

/// A few images per class. The files are empty, because loading a set does not decode them.
fn image_folder() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for file in [
        "train/cat/1.png",
        "train/cat/2.JPG",
        "train/ant/x.jpeg",
        "train/ant/.hidden",
        "val/cat/3.png",
        "val/ant/4.png",
    ] {
        let path = root.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    root
}

#[test]
fn folders_of_images_are_classes_by_name() {
    let root = image_folder();
    let splits = open(root.path()).unwrap();
    assert_eq!(splits.train.classes(), ["ant", "cat"]);
    let labels = |set: &dyn Dataset| (0..set.len()).map(|i| set.label(i)).collect::<Vec<_>>();
    assert_eq!((labels(&*splits.train), labels(&*splits.val)), (vec![0, 1, 1], vec![0, 1]));
    assert!(splits.test.is_none() && !splits.train.has_masks());
    fs::rename(root.path().join("val"), root.path().join("test")).unwrap();
    assert_eq!(open(root.path()).unwrap().val.len(), 2, "test judges where there is no val");
    let mut image = Image::default();
    let error = splits.train.read(0, &mut image).unwrap_err().to_string();
    assert!(error.contains("x.jpeg"), "an image that cannot be decoded is named: {error}");
}

#[test]
fn a_broken_folder_of_images_is_refused() {
    type Break = fn(&Path);
    let cases: [(Break, ErrorKind, &[&str]); 8] = [
        (
            |f| fs::remove_dir_all(f.join("val")).unwrap(),
            ErrorKind::Missing,
            &["there are no validation images", "val or test"],
        ),
        (
            |f| fs::create_dir(f.join("train/bee")).unwrap(),
            ErrorKind::Format,
            &["bee: this class has no images"],
        ),
        (
            |f| fs::create_dir(f.join("train/cat/deep.png")).unwrap(),
            ErrorKind::Format,
            &["deep.png: is a folder inside a class"],
        ),
        (
            |f| fs::create_dir(f.join("extra")).unwrap(),
            ErrorKind::Format,
            &["extra: the name of this folder is not a split", "train, val"],
        ),
        (
            |f| fs::create_dir(f.join("valid")).unwrap(),
            ErrorKind::Format,
            &["is for the same split as another folder"],
        ),
        (
            |f| fs::rename(f.join("val/ant"), f.join("val/bee")).unwrap(),
            ErrorKind::Format,
            &["bee: is not a class", "ant, cat"],
        ),
        (
            |f| fs::rename(f.join("val/ant"), f.join("val/ants")).unwrap(),
            ErrorKind::Format,
            &["ants: is not a class", "did you mean ant?"],
        ),
        (
            |f| {
                fs::remove_dir_all(f.join("train")).unwrap();
                fs::create_dir(f.join("train")).unwrap();
            },
            ErrorKind::Format,
            &["train: contains no class folders"],
        ),
    ];
    for (damage, kind, parts) in cases {
        let root = image_folder();
        damage(root.path());
        refused(root.path(), kind, parts);
    }
}

/// The folder of validation images may have several names, in upper or lower case. If it exists, `test` is not used for
/// validation.
#[test]
fn validation_has_many_names() {
    for name in ["val", "valid", "validation", "dev", "Valid"] {
        let root = image_folder();
        fs::rename(root.path().join("val"), root.path().join(name)).unwrap();
        fs::create_dir_all(root.path().join("test/cat")).unwrap();
        fs::write(root.path().join("test/cat/5.png"), "").unwrap();
        let splits = open(root.path()).unwrap();
        assert_eq!((splits.val.len(), splits.test.map(|test| test.len())), (2, Some(1)), "{name}");
    }
}

/// Files that are not images give one warning. Files that operating systems leave behind give another.
#[test]
fn strays_are_skipped_with_a_warning() {
    let root = image_folder();
    for file in
        ["train/notes.txt", "val/cat/list.csv", "train/cat/Thumbs.db", "train/@eaDir/x", "__MACOSX/train/y"]
    {
        let path = root.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    let splits = open(root.path()).unwrap();
    assert_eq!((splits.train.len(), splits.val.len()), (3, 2));
    let [left, stray] = &splits.warnings[..] else { panic!("{:?}", splits.warnings) };
    assert!(left.contains("@eaDir") && left.contains("..."), "{left}");
    assert!(stray.starts_with("2 files are not *.png") && stray.contains("notes.txt"), "{stray}");
}

const TRAINVAL: &str = "#NAME CLASS SPECIES BREED\nAbyssinian_1 1 1 1\n\nbeagle_2 5 2 1\n";

/// A folder of three pets. `picture` writes their images and trimaps.
fn pets_folder(picture: impl Fn(&Path, bool)) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("images")).unwrap();
    fs::create_dir_all(root.path().join("annotations/trimaps")).unwrap();
    fs::write(root.path().join("annotations/trainval.txt"), TRAINVAL).unwrap();
    fs::write(root.path().join("annotations/test.txt"), "beagle_3 5 2 1").unwrap();
    for name in ["Abyssinian_1", "beagle_2", "beagle_3"] {
        picture(&root.path().join(format!("images/{name}.jpg")), false);
        picture(&root.path().join(format!("annotations/trimaps/{name}.png")), true);
    }
    root
}

fn empty_pets() -> TempDir {
    pets_folder(|path, _| fs::write(path, "").unwrap())
}

#[test]
fn broken_lists_of_pets_are_refused() {
    let line = |line: &str, parts: &[&str]| {
        let root = empty_pets();
        fs::write(root.path().join("annotations/trainval.txt"), format!("{TRAINVAL}{line}\n")).unwrap();
        refused(root.path(), ErrorKind::Format, &[&["trainval.txt, line 5"], parts].concat());
    };
    line("beagle_4 5 2", &["has 3 fields", "NAME CLASS SPECIES BREED"]);
    line("beagle_4 five 2 1", &["`five` is not a class"]);
    line("beagle_4 0 2 1", &["class 0 is out of range: 1 to 37"]);
    line("beagle_4 38 2 1", &["class 38 is out of range"]);
    line("beagle_4 5 3 1", &["is not a species"]);
    line("../beagle_4 5 2 1", &["`../beagle_4` is not the name"]);
    line("/etc/passwd 5 2 1", &["is not the name of an image"]);
    line("a..b 5 2 1", &["is not the name of an image"]);
    line("beagle_2 5 2 1", &["beagle_2 is listed twice"]);
    line("pug_1 5 2 1", &["class 5 is beagle in an earlier line, and pug here"]);
    let root = empty_pets();
    fs::write(root.path().join("annotations/test.txt"), "# nothing\n").unwrap();
    refused(root.path(), ErrorKind::Format, &["test.txt", "lists no images"]);
    fs::write(root.path().join("annotations/test.txt"), "beagle_2 5 2 1").unwrap();
    refused(root.path(), ErrorKind::Format, &["beagle_2 is listed twice"]);
    fs::remove_file(root.path().join("annotations/test.txt")).unwrap();
    refused(root.path(), ErrorKind::Missing, &["test.txt"]);
}

#[test]
fn pets_without_their_files_are_refused() {
    for file in ["images/beagle_2.jpg", "annotations/trimaps/beagle_2.png"] {
        let root = empty_pets();
        fs::remove_file(root.path().join(file)).unwrap();
        refused(root.path(), ErrorKind::Missing, &["trainval.txt, line 4", "a listed file is missing", file]);
    }
}

#[test]
fn pets_are_breeds() {
    let root = empty_pets();
    let splits = open(root.path()).unwrap();
    assert_eq!((splits.train.len(), splits.val.len(), splits.train.classes().len()), (2, 1, 37));
    assert_eq!((splits.train.label(1), &*splits.train.classes()[4]), (4, "beagle"));
    assert_eq!((splits.train.size(), splits.train.has_masks()), (ImageSize::Varied { channels: 3 }, true));
}

#[cfg(feature = "images")]
mod decoded {
    use super::*;
    use image::{GrayImage, ImageFormat, Luma, RgbImage};

    /// Pictures of 6 x 4 pixels. From left to right: object, border, background.
    fn pets() -> TempDir {
        pets_folder(|path, trimap| {
            if trimap {
                let value = |x: u32, _| Luma([[1, 1, 3, 3, 2, 2][x as usize]]);
                GrayImage::from_fn(6, 4, value).save(path).unwrap();
            } else {
                RgbImage::from_pixel(6, 4, image::Rgb([10, 200, 30])).save(path).unwrap();
            }
        })
    }

    #[test]
    fn masks_are_pet_and_border() {
        let root = pets();
        let splits = open(root.path()).unwrap();
        let (mut image, mut mask) = (Image::default(), Image::default());
        splits.train.read(0, &mut image).unwrap();
        splits.train.mask(0, &mut mask).unwrap();
        assert_eq!((image.size, mask.size), ([3, 4, 6], [1, 4, 6]));
        assert_eq!(mask.pixels, [1, 1, 1, 1, 0, 0].repeat(4));
    }

    #[test]
    fn broken_pictures_of_pets_are_named() {
        let root = pets();
        let splits = open(root.path()).unwrap();
        let jpg = root.path().join("images/beagle_2.jpg");
        let png = root.path().join("annotations/trimaps/beagle_2.png");
        let (mut image, mut mask) = (Image::default(), Image::default());
        let mut mask_of = |trimap: GrayImage| {
            trimap.save(&png).unwrap();
            splits.train.mask(1, &mut mask).unwrap_err().to_string()
        };
        let error = mask_of(GrayImage::from_pixel(6, 5, Luma([1])));
        assert!(error.contains("beagle_2.png: the mask's size differs from its photograph's"), "{error}");
        for value in [0, 4, 255] {
            let error = mask_of(GrayImage::from_pixel(6, 4, Luma([value])));
            assert!(
                error.contains(&format!("beagle_2.png: the trimap contains a pixel with value {value}")),
                "{error}"
            );
        }
        RgbImage::new(6, 4).save(&png).unwrap();
        let error = splits.train.mask(1, &mut mask).unwrap_err().to_string();
        assert!(error.contains("beagle_2.png: the mask is not 8-bit grey"), "{error}");

        let whole = fs::read(&jpg).unwrap();
        for bytes in [&whole[..whole.len() - 20], &[], b"not a picture"] {
            fs::write(&jpg, bytes).unwrap();
            let error = splits.train.read(1, &mut image).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Format);
            assert!(error.to_string().contains("beagle_2.jpg"), "{error}");
        }
        // PNG and GIF content in a .jpg file, as in some files of the real set.
        for format in [ImageFormat::Png, ImageFormat::Gif] {
            RgbImage::from_pixel(6, 4, image::Rgb([255, 0, 0])).save_with_format(&jpg, format).unwrap();
            splits.train.read(1, &mut image).unwrap();
            assert_eq!((image.size, image.pixels[0], image.pixels[24]), ([3, 4, 6], 255, 0));
        }
    }
}

/// If a class has no validation images, a warning says so: they may have been forgotten.
#[test]
fn a_class_that_a_split_lacks_is_told() {
    let root = image_folder();
    fs::remove_dir_all(root.path().join("val/cat")).unwrap();
    let splits = open(root.path()).unwrap();
    assert_eq!(splits.warnings[0], "val has no images of cat");
}

/// If the class folders are not inside `train` and `val`, the error names the classes and says what to do.
#[test]
fn classes_without_splits_are_recognised() {
    let folder = tempfile::tempdir().unwrap();
    for class in ["ant", "bee"] {
        fs::create_dir(folder.path().join(class)).unwrap();
        fs::write(folder.path().join(class).join("1.JPG"), "").unwrap();
    }
    refused(folder.path(), ErrorKind::Missing, &["found ant, bee", "train/CLASS/*.png", "move a part"]);
}
