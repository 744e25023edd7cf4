//! Where a user's files lie is in no file that may be passed on: names only. Only `config.toml` may say it, and says so.
#![cfg(feature = "cli")]

mod program;

use program::{error, ok, text};
use receptive::data::Image;
use receptive::draw::png;
use std::fs;
use std::path::{Path, PathBuf};

/// A secret in the middle of every path.
const SECRET: &str = "home-of-ann-1f9c";

/// `photos/{train,val}/{circle,square}/*.png`.
fn photos(root: &Path) -> PathBuf {
    let photos = root.join("photos");
    for (part, n) in [("train", 6), ("val", 3)] {
        for (class, level) in [("circle", 60), ("square", 200)] {
            let folder = photos.join(part).join(class);
            fs::create_dir_all(&folder).unwrap();
            for i in 0..n {
                let pixels = (0..3 * 32 * 32).map(|p| (p % 50 + level + i) as u8).collect();
                let image = Image::new([3, 32, 32], pixels).unwrap();
                fs::write(folder.join(format!("{i}.png")), png(&image, 1)).unwrap();
            }
        }
    }
    photos
}

/// Every file below a folder.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() { files(&entry, found) } else { found.push(entry) }
    }
}

/// The secret in none of the files that are not the user's own, nor in what was printed as JSON.
fn names_only(root: &Path, printed: &[(&str, String)]) {
    let mut all = Vec::new();
    files(root, &mut all);
    let mut artefacts = 0;
    for file in all.iter().filter(|file| !file.starts_with(root.join("photos"))) {
        let bytes = fs::read(file).unwrap();
        let says = bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
        if file.file_name().unwrap() == "config.toml" {
            let text = text(&bytes);
            assert!(text.starts_with("# ") && text.contains("not for sharing"), "{}: {text}", file.display());
        } else {
            assert!(!says, "{} says where the files lie", file.display());
            artefacts += 1;
        }
    }
    assert!(artefacts > 10, "only {artefacts} files");
    for (command, json) in printed {
        assert!(!json.contains(SECRET), "{command}: {json}");
    }
}

#[test]
fn no_artefact_says_where_files_lie() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join(SECRET);
    fs::create_dir(&root).unwrap();
    let path = |name: &str| root.join(name).display().to_string();
    let (data, run, picture) = (photos(&root), path("run"), path("photos/val/circle/0.png"));
    let data = data.display().to_string();
    let small = ["--epochs", "1", "--batch-size", "4", "--threads", "1", "--health", "1", "--resize", "32"];
    let profile = path("profile.json");
    let train = ["train", "lenet5", "--data", &data, "--out", &run, "--profile", &profile, "--log-steps"];
    ok(&[&train[..], &small].concat());
    let weights = format!("{run}/best.safetensors");
    let printed = [
        ("eval", ok(&["eval", &run, "--json", "--pictures", &path("drawn")])),
        ("predict", ok(&["predict", &run, "--image", &picture, "--json"])),
        ("predict as text", ok(&["predict", &run, "--image", &picture])),
        ("eval as text", ok(&["eval", &run])),
        ("inspect", ok(&["inspect", &run, "--json"])),
        (
            "inspect of a picture",
            ok(&["inspect", &run, "--image", &picture, "--json", "--out", &path("page.html")]),
        ),
        (
            "inspect of weights",
            ok(&[
                "inspect",
                &weights,
                "--model",
                "lenet5",
                "--data",
                &data,
                "--resize",
                "32",
                "--json",
                "--out",
                &path("weights.html"),
            ]),
        ),
        ("summary", ok(&["summary", "lenet5", "--json"])),
    ];
    names_only(&root, &printed);
    let page = fs::read_to_string(path("page.html")).unwrap();
    assert!(page.contains("0.png, 32x32 pixels") && page.contains("\"name\":\"run\""));
}

/// The remark stands above settings that are read as before, with and without it.
#[test]
fn the_remark_is_no_setting() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run").display().to_string();
    ok(&["train", "softmax", "--data", "sample", "--max-steps", "2", "--threads", "1", "--out", &run]);
    let file = format!("{run}/config.toml");
    let text = fs::read_to_string(&file).unwrap();
    let settings: String =
        text.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect();
    let read = |text: &str| receptive::train::RunConfig::from_toml(text, "config.toml").unwrap();
    assert!(text.starts_with("# ") && read(&settings) == read(&text) && read(&settings).to_toml() == text);
    // A run of a version that wrote none goes on.
    fs::write(&file, settings).unwrap();
    ok(&["train", "--resume", &run]);
    fs::write(&file, text.lines().next().unwrap()).unwrap();
    assert!(error(&["train", "--resume", &run]).contains("is not a run's configuration"));
}
