//! Tests of finding, splitting and measuring data sets.

use super::files::{gz, images, labels, write_set};
use receptive::ErrorKind;
use receptive::data::{
    DataDirs, Dataset, Image, ImageSet, ImageSize, Normalization, Normalize, Splits, load,
};
use std::sync::Arc;
use std::time::Instant;

/// The normalisation that the set's notebook uses.
fn notebook(splits: &Splits) -> Normalize {
    splits.normalizer(splits.facts.normalization).unwrap()
}

#[test]
fn statistics_are_measured_over_all_images() {
    let set = ImageSet::new("two", [2, 1, 1], vec![0, 7, 255, 7], vec![0, 0], vec!["0".into()]).unwrap();
    let Normalize { mean, std } = Normalize::measure(&set).unwrap();
    assert_eq!((mean[0], std[0]), (0.5, 0.5));
    assert!((mean[1] - 7.0 / 255.0).abs() < 1e-12);
    assert_eq!(std[1], 1.0, "a constant channel is not divided by 0");
}

#[test]
fn the_embedded_sample_is_stratified_and_loads_at_once() {
    let start = Instant::now();
    let splits = load("sample", &DataDirs::default()).unwrap();
    let seconds = start.elapsed().as_secs_f64();
    assert!(seconds < 1.0, "{seconds} s"); // takes milliseconds; the bound allows for a busy machine
    assert!(splits.test.is_none());
    for (set, each) in [(&splits.train, 500), (&splits.val, 100)] {
        let mut counts = [0; 10];
        (0..set.len()).for_each(|i| counts[set.label(i)] += 1);
        assert_eq!(counts, [each; 10]);
        assert_eq!((set.size(), &*set.classes()[9]), (ImageSize::Fixed([1, 28, 28]), "Ankle boot"));
    }
    assert_eq!(notebook(&splits), Normalize::unit(1));
    // The published statistics are those of all 60,000 images. The statistics of 5,000 of them are close.
    let (measured, published) =
        (Normalize::measure(&*splits.train).unwrap(), splits.facts.statistics.clone());
    assert!((measured.mean[0] - published.mean[0]).abs() < 0.01, "{measured:?}");
    assert!((measured.std[0] - published.std[0]).abs() < 0.01, "{measured:?}");
}

/// The first folder that has the set is used. Every spelling of the file names is found, plain or gzipped.
#[test]
fn sets_are_found_in_order_and_under_every_spelling() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let dirs = DataDirs { roots: vec![first.path().into(), second.path().into()], system: false };
    write_set(&second.path().join("mnist"), 20, 2, |name| (format!("{name}.gz"), true));
    assert_eq!(load("mnist", &dirs).unwrap().train.len(), 20);
    write_set(&first.path().join("MNIST/raw"), 10, 2, |name| (name.replacen("-idx", ".idx", 1), false));
    let splits = load("mnist", &dirs).unwrap();
    assert_eq!((splits.train.len(), splits.val.len(), splits.test.is_none()), (10, 10, true));
    assert_eq!(notebook(&splits), Normalize { mean: vec![0.1307], std: vec![0.3081] });
    assert_eq!(splits.normalizer(Normalization::Unit).unwrap(), Normalize::unit(1));
}

/// Fashion-MNIST keeps its test images for the end. It validates on a sixth of the training images, always the same
/// ones.
#[test]
fn fashion_mnist_holds_out_a_sixth() {
    let root = tempfile::tempdir().unwrap();
    write_set(&root.path().join("fashion-mnist"), 60, 2, |name| (name.to_owned(), false));
    let dirs = DataDirs { roots: vec![root.path().into()], system: false };
    let all = |set: &Arc<dyn Dataset>| {
        let mut image = Image::default();
        (0..set.len()).map(|i| set.read(i, &mut image).map(|()| image.pixels[0]).unwrap()).collect::<Vec<_>>()
    };
    let splits = load("fashion-mnist", &dirs).unwrap();
    let (train, val) = (all(&splits.train), all(&splits.val));
    assert_eq!((train.len(), val.len(), splits.test.unwrap().len()), (50, 10, 60));
    assert_eq!(val, all(&load("fashion-mnist", &dirs).unwrap().val));
    let mut both = [train, val].concat();
    both.sort_unstable();
    assert!(both.into_iter().eq(0..60), "no image is in both parts");
}

#[test]
fn a_folder_of_unknown_name_works() {
    let root = tempfile::tempdir().unwrap();
    write_set(root.path(), 12, 2, |name| (format!("{name}.gz"), false)); // the content decides, not the name
    let splits = load(root.path().to_str().unwrap(), &DataDirs::default()).unwrap();
    assert_eq!((splits.train.len(), splits.train.classes().len()), (12, 10));
    assert_eq!(notebook(&splits), Normalize::unit(1));
}

#[test]
fn a_missing_set_says_where_it_was_looked_for_and_how_to_get_it() {
    let root = tempfile::tempdir().unwrap();
    let dirs = DataDirs { roots: vec![root.path().into()], system: false };
    write_set(&root.path().join("fashion-mnist"), 10, 2, |name| (name.to_owned(), false));
    std::fs::remove_file(root.path().join("fashion-mnist/t10k-labels-idx1-ubyte")).unwrap();
    let error = load("fashion-mnist", &dirs).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Missing);
    let text = error.to_string();
    for part in [
        &format!("{}: t10k-labels-idx1-ubyte is missing", root.path().join("fashion-mnist").display()),
        "receptive data fetch fashion-mnist",
        "apt install dataset-fashion-mnist",
    ] {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    let unknown = load("mnits", &dirs).err().unwrap();
    assert_eq!(unknown.kind(), ErrorKind::Argument);
    assert!(
        unknown.to_string().contains("sample, mnist, fashion-mnist, cifar10, pets or a folder"),
        "{unknown}"
    );
    let no_files = load(root.path().to_str().unwrap(), &dirs).err().unwrap();
    assert!(no_files.to_string().contains("train-images-idx3-ubyte is missing"), "{no_files}");
}

/// Two splits with images of different sizes cannot go into one model.
#[test]
fn training_and_test_images_must_be_of_one_size() {
    let root = tempfile::tempdir().unwrap();
    write_set(root.path(), 10, 2, |name| (name.to_owned(), false));
    std::fs::write(root.path().join("t10k-images-idx3-ubyte"), gz(&images(10, 3, 3))).unwrap();
    std::fs::write(root.path().join("t10k-labels-idx1-ubyte"), labels(10)).unwrap();
    let error = load(root.path().to_str().unwrap(), &DataDirs::default()).err().unwrap().to_string();
    assert!(error.contains("t10k-images-idx3-ubyte: training and test images differ in size"), "{error}");
}
