//! Tests of a run's pictures: they exist, have the same bytes each time, and need no fonts.
#![cfg(feature = "cli")]

mod program;

use program::{error, ok};
use receptive::nn::ModuleExt;
use receptive::train::{RunConfig, Setup};
use receptive::{ErrorKind, Tensor, models};
use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The pictures in a folder by name.
fn pictures(folder: &Path) -> Vec<(String, String)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = entries
        .filter(|path| path.extension().is_some_and(|e| e == "svg"))
        .map(|path| {
            (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap())
        })
        .collect();
    found.sort();
    found
}

fn names(pictures: &[(String, String)]) -> Vec<&str> {
    pictures.iter().map(|(name, _)| name.as_str()).collect()
}

/// A run draws its pictures when it ends, and `eval --pictures` draws the same bytes from its weights.
#[test]
fn a_classifier_draws_the_same_pictures_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (run, again) = (folder.path().join("run"), folder.path().join("new/again"));
    let small = ["--data", "sample", "--fraction", "0.1", "--epochs", "1", "--threads", "1"];
    ok(&[&["train", "softmax", "--out", text(&run)][..], &small].concat());
    let drawn = pictures(&run);
    assert_eq!(
        names(&drawn),
        ["confusion.svg", "curves.svg", "mistakes.svg", "predictions.svg", "weights.svg"]
    );
    for (name, svg) in &drawn {
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"), "{name}");
        let needs_fonts = svg.contains("<text") || svg.contains("font-family");
        assert!(!needs_fonts && svg.len() < 200_000, "{name}: {} bytes", svg.len());
        let outside = svg.replace("xmlns=\"http://", "").contains("http://");
        assert!(!outside, "{name} refers to another file");
    }
    let svg = |name: &str| &drawn.iter().find(|(n, _)| n == name).unwrap().1;
    assert_eq!(svg("predictions.svg").matches("<image").count(), 25);
    assert_eq!(svg("weights.svg").matches("<image").count(), 10);
    assert!(svg("weights.svg").contains("Ankle boot") && svg("confusion.svg").contains("Ankle boot"));

    ok(&["eval", text(&run), "--pictures", text(&again)]);
    let second = pictures(&again);
    assert_eq!(names(&second), ["confusion.svg", "mistakes.svg", "predictions.svg", "weights.svg"]);
    assert!(second.iter().all(|picture| drawn.contains(picture)), "other bytes from the same weights");

    // Draws into the run's folder, where one picture was deleted.
    fs::remove_file(run.join("mistakes.svg")).unwrap();
    ok(&["eval", text(&run), "--pictures"]);
    assert!(pictures(&run) == drawn);
    let weights = run.join("best.safetensors");
    let named = ["--model", "softmax", "--data", "sample", "--pictures"];
    assert!(error(&[&["eval", text(&weights)][..], &named].concat()).contains("--pictures DIR"));
    assert!(error(&["predict", text(&run), "--index", "0", "--out", "m.png"]).contains("not a mask"));
}

/// Writes a pets folder. The pets are bright squares on a dark background.
fn squares(root: &Path) {
    fs::create_dir_all(root.join("images")).unwrap();
    fs::create_dir_all(root.join("annotations/trimaps")).unwrap();
    let lines =
        |range: std::ops::Range<u32>| range.map(|i| format!("beagle_{i} 5 2 1\n")).collect::<String>();
    fs::write(root.join("annotations/trainval.txt"), lines(0..12)).unwrap();
    fs::write(root.join("annotations/test.txt"), lines(12..16)).unwrap();
    for i in 0..16 {
        let inside = |x: u32, y: u32| (4 + i..30 + i).contains(&x) && (8..30).contains(&y);
        let photo =
            image::RgbImage::from_fn(48, 40, |x, y| image::Rgb([if inside(x, y) { 240 } else { 20 }; 3]));
        let trimap =
            image::GrayImage::from_fn(48, 40, |x, y| image::Luma([if inside(x, y) { 1 } else { 2 }]));
        // The content is PNG: the reader recognises formats by content, not by name.
        photo.save_with_format(root.join(format!("images/beagle_{i}.jpg")), image::ImageFormat::Png).unwrap();
        trimap.save(root.join(format!("annotations/trimaps/beagle_{i}.png"))).unwrap();
    }
}

#[test]
fn a_segmenter_draws_masks_and_predict_writes_one() {
    let folder = tempfile::tempdir().unwrap();
    let (root, run) = (folder.path().join("pets"), folder.path().join("run"));
    squares(&root);
    let small =
        ["--width", "4", "--resize", "32", "--epochs", "30", "--batch-size", "4", "--augment", "none"];
    ok(&[&["train", "unet", "--data", text(&root), "--out", text(&run)][..], &small].concat());
    let drawn = pictures(&run);
    assert_eq!(names(&drawn), ["curves.svg", "masks.svg", "weights.svg"]);
    // There are four validation images, fewer than the picture has room for.
    assert_eq!(drawn[1].1.matches("<image").count(), 4 * 3);
    assert!(drawn[0].1.contains("\"Dice\"") && drawn[1].1.contains("predicted, Dice 0."));

    let (png, svg) = (folder.path().join("mask.png"), folder.path().join("mask.svg"));
    let said = ok(&["predict", text(&run), "--index", "1", "--out", text(&png), "--json"]);
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    let mask = image::open(&png).unwrap().into_luma8();
    assert_eq!((mask.dimensions(), &said["height"], &said["width"]), ((48, 40), &40.into(), &48.into()));
    assert!(mask.pixels().all(|p| p.0 == [0] || p.0 == [255]), "a mask is black and white");
    let white = mask.pixels().filter(|p| p.0 == [255]).count() as f64 / (48.0 * 40.0);
    let [share, dice] = ["object_share", "dice"].map(|key| said[key].as_f64().unwrap());
    assert!((white - share).abs() < 0.08 && dice > 0.6, "{white} {said}");
    let photo = root.join("images/beagle_13.jpg");
    let said = ok(&["predict", text(&run), "--image", text(&photo), "--out", text(&svg)]);
    assert!(said.contains("of the pixels are the object") && !said.contains("Dice"), "{said}");
    assert_eq!(fs::read_to_string(&svg).unwrap().matches("<image").count(), 2);
    let other = folder.path().join("mask.jpg");
    let index = ["predict", text(&run), "--index", "1"];
    assert!(error(&[&index[..], &["--out", text(&other)]].concat()).contains(".png"));
    assert!(error(&[&index[..], &["--top", "3"]].concat()).contains("not classes"));
}

/// A set with masks is shown with them, and a network's own recipe decides how. `--masks raw` changes the targets, and a
/// run keeps it.
#[test]
fn a_set_with_masks_is_shown_with_its_masks() {
    let folder = tempfile::tempdir().unwrap();
    let (root, svg, run) =
        (folder.path().join("pets"), folder.path().join("p.svg"), folder.path().join("run"));
    squares(&root);
    let show = |more: &[&str]| ok(&[&["data", "show", text(&root)][..], more].concat());
    let drawn = || fs::read_to_string(&svg).unwrap().matches("<image").count();
    let said = show(&["--out", text(&svg), "--count", "3"]);
    for part in ["[12, 3, 40, 48]", "[12, 1, 40, 48]", "[4, 1, 128, 128]", "3 batches of 4", "beagle"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(drawn(), 3 * 2);
    show(&["--out", text(&svg), "--picture", "augmented", "--count", "2", "--augment", "standard"]);
    assert_eq!(drawn(), 2 * 7 * 2);
    let range = |more: &[&str]| {
        let said: serde_json::Value = serde_json::from_str(&show(&[&["--json"], more].concat())).unwrap();
        [0, 1].map(|i| said["batch"]["targets_range"][i].as_f64().unwrap())
    };
    assert_eq!(range(&[]), [0.0, 1.0]);
    let raw = range(&["--masks", "raw"]).map(|v| 255.0 * v);
    assert!((raw[0] - 1.0).abs() < 1e-4 && (raw[1] - 2.0).abs() < 1e-4, "{raw:?}");
    // A classifier of breeds has no masks.
    let said = show(&["--model", "tv-resnet18", "--out", text(&svg)]);
    assert!(said.contains("[12, 3, 224, 224] f32") && said.contains("[12] i64"), "{said}");
    assert_eq!(drawn(), 12);

    let small = ["--width", "2", "--resize", "16", "--epochs", "1", "--masks", "raw"];
    ok(&[&["train", "unet", "--data", text(&root), "--out", text(&run)][..], &small].concat());
    assert!(fs::read_to_string(run.join("config.toml")).unwrap().contains("masks = \"raw\""));
    ok(&["eval", text(&run), "--json"]);
    assert!(error(&["train", "lenet5", "--data", "sample", "--masks", "raw"]).contains("--masks: lenet5"));
}

/// Weights that are not finite are an error, and no picture is drawn from them.
#[test]
fn weights_that_are_not_finite_are_refused() {
    let config =
        RunConfig { fraction: Some(0.01), ..RunConfig::new(&models::find("softmax").unwrap(), "sample") };
    let setup = Setup::new(config).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let draw = || setup.subject().write_pictures(folder.path(), &AtomicBool::new(false));
    assert_eq!(draw().unwrap().len(), 4);
    pictures(folder.path()).iter().for_each(|(name, _)| fs::remove_file(folder.path().join(name)).unwrap());
    let stopped = setup.subject().write_pictures(folder.path(), &AtomicBool::new(true)).unwrap();
    assert_eq!(stopped, ["weights.svg"], "what takes long is left out when stopped");
    fs::remove_file(folder.path().join("weights.svg")).unwrap();

    let (_, weight) = setup.model.params().into_iter().find(|(path, _)| path.ends_with("weight")).unwrap();
    let value = weight.value().unwrap();
    let nan = vec![f32::NAN; weight.numel()];
    value.copy_from(&Tensor::from_vec(&setup.device, nan, weight.dims()).unwrap()).unwrap();
    let error = draw().unwrap_err();
    assert!(error.kind() == ErrorKind::NonFinite && error.to_string().contains("weight"), "{error}");
    assert!(pictures(folder.path()).is_empty());
}
