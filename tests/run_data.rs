//! Tests that a run needs only its own folder to predict, even if its data are changed or gone, and that it notices
//! when the data change.
#![cfg(feature = "cli")]

mod program;

use program::{error, ok, text};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Writes a picture of 8 x 8 pixels near this colour. Different `variant`s give different pictures.
fn write_png(path: &Path, colour: [u8; 3], variant: u8) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut encoder = png::Encoder::new(File::create(path).unwrap(), 8, 8);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let pixel = |i: u8| {
        colour.map(|c| c.saturating_add(i.wrapping_mul(7).wrapping_add(variant.wrapping_mul(31)) % 16))
    };
    let pixels: Vec<u8> = (0..64).flat_map(pixel).collect();
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
}

const CAT: [u8; 3] = [200, 30, 30];
const DOG: [u8; 3] = [30, 200, 30];

/// A folder with a data set of two classes, and with the runs trained on it.
struct Set(tempfile::TempDir);

impl Set {
    fn new() -> Set {
        let set = Set(tempfile::tempdir().unwrap());
        for split in ["train", "val"] {
            for (class, colour) in [("cat", CAT), ("dog", DOG)] {
                (0..4).for_each(|i| write_png(&set.at(&format!("pets/{split}/{class}/{i}.png")), colour, i));
            }
        }
        set
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn path(&self, name: &str) -> String {
        self.at(name).display().to_string()
    }

    /// Trains on the set with these flags; returns the run folder.
    fn train(&self, name: &str, flags: &[&str]) -> String {
        self.train_on(name, &self.path("pets"), flags)
    }

    fn train_on(&self, name: &str, data: &str, flags: &[&str]) -> String {
        let run = self.path(name);
        let always =
            ["--resize", "8", "--epochs", "2", "--batch-size", "4", "--threads", "1", "--health", "0"];
        let start = ["train", "softmax", "--data", data, "--out", &run];
        ok(&[&start[..], &always[..], flags].concat());
        run
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.at(from), self.at(to)).unwrap();
    }

    fn predict(&self, run: &str) -> String {
        let image = self.path("cat.png");
        write_png(Path::new(&image), CAT, 5);
        ok(&["predict", run, "--image", &image, "--json"])
    }
}

/// With every normalisation, a run gives the same answer with its original data, with changed data, and without data.
#[test]
fn a_run_answers_without_its_data() {
    for normalize in ["off", "on", "half", "pixels"] {
        let set = Set::new();
        let run = set.train("run", &["--normalize", normalize]);
        let before = set.predict(&run);
        assert!(before.contains(r#""class":"cat""#), "{before}");
        write_png(&set.at("pets/train/cat/white.png"), [239; 3], 0);
        assert_eq!(set.predict(&run), before, "{normalize}: another training image");
        set.rename("pets/train/dog", "pets/train/ant");
        set.rename("pets/val/dog", "pets/val/ant");
        assert_eq!(set.predict(&run), before, "{normalize}: another class");
        ok(&["inspect", &run, "--image", &set.path("cat.png")]);
        fs::remove_dir_all(set.at("pets")).unwrap();
        assert_eq!(set.predict(&run), before, "{normalize}: no data");
        ok(&["inspect", &run]);
    }
}

/// Evaluation uses the mean and std that were measured at training, even if the training images have changed since.
#[test]
fn evaluation_normalises_as_training_did() {
    for normalize in ["on", "pixels"] {
        let set = Set::new();
        let run = set.train("run", &["--normalize", normalize]);
        let before = ok(&["eval", &run, "--json"]);
        write_png(&set.at("pets/train/cat/white.png"), [239; 3], 0);
        assert_eq!(ok(&["eval", &run, "--json"]), before, "{normalize}");
    }
}

#[test]
fn other_classes_are_refused_with_both_lists() {
    let set = Set::new();
    let run = set.train("run", &[]);
    let refused = |what: &str| {
        let message = error(&["eval", &run]);
        assert!(message.contains("its classes differ from those"), "{what}: {message}");
        assert!(message.contains("the classes of training: cat, dog"), "{what}: {message}");
        message
    };
    for split in ["train", "val"] {
        set.rename(&format!("pets/{split}/dog"), &format!("pets/{split}/bird"));
    }
    assert!(refused("renamed and in another order").contains("bird, cat"));
    for split in ["train", "val"] {
        set.rename(&format!("pets/{split}/bird"), &format!("pets/{split}/dogs"));
    }
    assert!(refused("mistyped").contains("was `dogs` called `dog` in training?"));
    for split in ["train", "val"] {
        set.rename(&format!("pets/{split}/dogs"), &format!("{split}-bird"));
    }
    assert!(!refused("one is missing").contains("called"));
    // Another set is held to the same classes.
    assert!(error(&["eval", &run, "--data", "sample"]).contains("Ankle boot"));
}

#[test]
fn resuming_on_changed_data_is_refused_until_it_is_accepted() {
    let set = Set::new();
    let run = set.train("run", &["--max-steps", "1"]);
    // Makes the run unfinished, as after a kill.
    let fresh = || {
        let config = fs::read_to_string(Path::new(&run).join("config.toml")).unwrap();
        fs::write(Path::new(&run).join("config.toml"), config.replace("max_steps = 1\n", "max_steps = 3\n"))
            .unwrap();
        for file in ["checkpoint.safetensors", "metrics.jsonl", "best.safetensors", "last.safetensors"] {
            fs::remove_file(Path::new(&run).join(file)).unwrap();
        }
    };
    fresh();
    let resume = ["train", "--resume", &run];
    let refused = |change: &str| {
        let message = error(&resume);
        assert!(message.contains("the data changed since training started"), "{message}");
        assert!(message.contains(change) && message.contains("--accept-changed-data"), "{change}: {message}");
    };
    write_png(&set.at("pets/train/cat/9.png"), CAT, 9);
    refused("train, cat: 5 images now, 4 before");
    set.rename("pets/train/cat/9.png", "9.png");
    set.rename("pets/val/dog/3.png", "pets/val/dog/4.png");
    refused("val, dog: 4 images as before, but other ones");
    set.rename("pets/val/dog/4.png", "pets/val/dog/3.png");
    set.rename("pets/train/cat/3.png", "pets/train/dog/3b.png");
    refused("train, cat: 3 images now, 4 before; train, dog: 5 images now, 4 before");
    let accepted = ["train", "--resume", &run, "--accept-changed-data"];
    ok(&accepted);
    // From then on the changed data are the run's data.
    ok(&resume);
    fresh();
    set.rename("pets/train/dog/3b.png", "pets/train/cat/3.png");
    refused("train, cat: 4 images now, 3 before");
    for split in ["train", "val"] {
        set.rename(&format!("pets/{split}/dog"), &format!("pets/{split}/bird"));
    }
    assert!(error(&accepted).contains("its classes differ from those"));
}

/// Runs of older versions have no record of their data. They still work, with their data set.
#[test]
fn a_run_without_a_record_is_read_as_before() {
    let set = Set::new();
    let run = set.train("run", &["--normalize", "pixels"]);
    let before = set.predict(&run);
    fs::remove_file(Path::new(&run).join("data.json")).unwrap();
    assert_eq!(set.predict(&run), before);
    ok(&["eval", &run]);
    ok(&["train", "--resume", &run]);
}

#[test]
fn the_record_holds_names_and_no_paths() {
    let set = Set::new();
    let record = fs::read_to_string(Path::new(&set.train("run", &[])).join("data.json")).unwrap();
    assert!(record.contains(r#""data": "pets""#), "{record}");
    assert!(!record.contains('/'), "{record}");
}

#[test]
fn a_damaged_record_is_an_error_that_names_it() {
    let set = Set::new();
    let run = set.train("run", &[]);
    let file = Path::new(&run).join("data.json");
    let good = fs::read_to_string(&file).unwrap();
    let broken = [
        String::new(),
        good[..good.len() / 2].to_owned(),
        good.replace(r#""format": 1"#, r#""format": 7"#),
        good.replacen("8,", "9,", 1),
        good.replace("\"cat\",", "").replace("\"dog\"", ""),
        good.replacen("1.0", "0.0", 1),
        good.replacen("Resize", "Explode", 1),
    ];
    for (i, broken) in broken.iter().enumerate() {
        assert_ne!(*broken, good, "{i}");
        fs::write(&file, broken).unwrap();
        let message = error(&["predict", &run, "--image", &set.path("pets/val/cat/0.png")]);
        assert!(message.contains("data.json"), "{i}: {message}");
    }
}

/// A run whose classes have names can be evaluated on a set whose classes have only numbers.
#[test]
fn numbered_classes_go_with_named_ones() {
    let set = Set::new();
    let run = set.path("run");
    ok(&[
        "train", "softmax", "--data", "sample", "--subset", "100", "--epochs", "1", "--health", "0", "--out",
        &run,
    ]);
    let folder = set.at("numbers");
    fs::create_dir_all(&folder).unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/data/sample");
    for file in receptive::data::catalog::IDX_FILES {
        let file = format!("{file}.gz");
        fs::copy(source.join(&file), folder.join(&file)).unwrap();
    }
    let named = ok(&["eval", &run]);
    let numbered = ok(&["eval", &run, "--data", text(folder.as_os_str().as_encoded_bytes()).as_str()]);
    let numbers = |text: &str| text.split_once(": loss").unwrap().1.to_owned();
    assert_eq!(numbers(&named), numbers(&numbered));
}

/// Pictures that all have one size need no --resize. The folder for validation may be called `valid`.
#[test]
fn pictures_of_one_size_need_no_resize() {
    let set = Set::new();
    set.rename("pets/val", "pets/valid");
    let (data, run) = (set.path("pets"), set.path("run"));
    let train = ["train", "softmax", "--data", &data, "--out", &run, "--epochs", "1", "--batch-size", "4"];
    ok(&[&train[..], &["--threads", "1", "--health", "0"]].concat());
    assert!(set.predict(&run).contains("probabilities"));
    // A picture of another size is resized to the training size, even if the data are gone.
    fs::remove_dir_all(set.at("pets")).unwrap();
    set.predict(&run);
}

/// If the test at the end of a run finds a damaged picture, no training is lost: after a repair the run can be
/// completed.
#[test]
fn a_damaged_test_picture_leaves_a_run_to_complete() {
    let set = Set::new();
    let picture = set.at("pets/test/cat/0.png");
    write_png(&picture, CAT, 0);
    let whole = fs::read(&picture).unwrap();
    // The header is complete, but pixels are missing.
    fs::write(&picture, &whole[..60]).unwrap();
    let (data, run) = (set.path("pets"), set.path("run"));
    let train = ["train", "softmax", "--data", &data, "--out", &run, "--epochs", "1", "--batch-size", "4"];
    let message = error_after_output(&[&train[..], &["--threads", "1", "--health", "0"]].concat());
    assert!(message.contains("test/cat/0.png") && message.contains("--resume"), "{message}");
    // The repaired picture counts as changed data.
    fs::write(&picture, &whole).unwrap();
    let resumed = ok(&["train", "--resume", &run, "--accept-changed-data"]);
    assert!(resumed.contains("test"), "{resumed}");
    for file in ["predictions.svg", "best.safetensors", "last.safetensors"] {
        assert!(Path::new(&run).join(file).exists(), "{file}");
    }
    let lines = fs::read_to_string(Path::new(&run).join("metrics.jsonl")).unwrap();
    assert_eq!(lines.matches("\"done\"").count(), 1, "{lines}");
    // Now the run is finished.
    assert!(ok(&["train", "--resume", &run]).contains("is finished"));
    // A damaged header is reported before the first epoch.
    fs::write(&picture, &whole[..20]).unwrap();
    let again = set.path("again");
    let message =
        error_after_output(&["train", "softmax", "--data", &data, "--out", &again, "--threads", "1"]);
    assert!(message.contains("test/cat/0.png") && !Path::new(&again).exists(), "{message}");
}

/// The message of a command that must fail; it may print to stdout before.
fn error_after_output(args: &[&str]) -> String {
    let output = program::receptive(args);
    assert_eq!(output.status.code(), Some(1), "{args:?}");
    text(&output.stderr)
}

/// If a run's folder of pictures was moved, the error says so. With `--data FOLDER` the run continues.
#[test]
fn moved_pictures_are_found_again() {
    let set = Set::new();
    let run = set.train("run", &["--max-steps", "3"]);
    set.rename("pets", "animals");
    let moved = set.path("animals");
    for args in [&["eval", &*run][..], &["train", "--resume", &run, "--data", "nowhere"]] {
        assert!(error(args).contains("nowhere") || error(args).contains("--data FOLDER"), "{}", error(args));
    }
    assert!(ok(&["eval", &run, "--data", &moved]).contains("accuracy"));
    let fresh = set.train_on("fresh", &moved, &["--scheduler", "step:1:0.5"]);
    set.rename("animals", "pets");
    assert!(error(&["train", "--resume", &fresh, "--epochs", "3"]).contains("--data FOLDER"));
    let longer = ["train", "--resume", &fresh, "--epochs", "3", "--data", &set.path("pets")];
    assert!(ok(&longer).contains("epoch 3/3"));
    assert!(ok(&["eval", &fresh]).contains("accuracy"));
}

/// A `--data` folder that does not fit is not recorded: the run's settings stay as they are.
#[test]
fn a_wrong_place_is_not_taken_down() {
    let set = Set::new();
    let run = set.train("run", &["--scheduler", "step:1:0.5"]);
    let settings = fs::read_to_string(set.at("run/config.toml")).unwrap();
    for split in ["train", "val"] {
        for class in ["cat", "dog"] {
            write_png(&set.at(&format!("fewer/{split}/{class}/0.png")), CAT, 0);
            write_png(&set.at(&format!("others/{split}/{class}s/0.png")), CAT, 0);
        }
    }
    for place in ["nowhere", "sample", &set.path("fewer"), &set.path("others")] {
        error(&["train", "--resume", &run, "--data", place, "--epochs", "3"]);
        assert_eq!(fs::read_to_string(set.at("run/config.toml")).unwrap(), settings, "{place}");
    }
    let accepted = ["--epochs", "3", "--accept-changed-data"];
    ok(&[&["train", "--resume", &*run, "--data", &set.path("fewer")][..], &accepted].concat());
    assert!(ok(&["eval", &run]).contains("accuracy"));
}

/// A set with only `train` and `val` has no test images, and `--split test` is an error.
#[test]
fn a_set_without_test_images_has_no_test() {
    let set = Set::new();
    let run = set.train("run", &[]);
    let message = error(&["eval", &run, "--split", "test"]);
    assert!(message.contains("no test images") && message.contains("--split val"), "{message}");
    assert!(ok(&["eval", &run, "--split", "val"]).contains("accuracy"));
}

/// A named pipe in place of a file is refused. Otherwise the program would wait until another process writes into it.
#[cfg(unix)]
#[test]
fn a_pipe_is_no_file() {
    let set = Set::new();
    let run = set.train("run", &[]);
    let pipe = set.path("pets/train/cat/pipe.png");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let data = set.path("pets");
    for args in [
        &["predict", &*run, "--image", &pipe][..],
        &["eval", &pipe, "--model", "softmax", "--data", "sample"],
        &["train", "softmax", "--data", "sample", "--init", &pipe, "--out", &set.path("init")],
        &["train", "softmax", "--data", &data, "--resize", "8", "--out", &set.path("pictures")],
        &["summary", "--arch", &pipe],
    ] {
        assert!(error(args).contains("not a regular file"), "{args:?}: {}", error(args));
    }
}

/// `--accept-changed-data` replaces the record of the run's data only if the new data can be used.
#[test]
fn changed_data_are_accepted_only_where_they_will_do() {
    let set = Set::new();
    let run = set.train("run", &["--scheduler", "step:1:0.5"]);
    let record = fs::read(set.at("run/data.json")).unwrap();
    set.rename("pets", "gone");
    error(&["train", "--resume", &run, "--epochs", "3", "--accept-changed-data"]);
    set.rename("gone", "pets");
    ok(&["train", "--resume", &run, "--accept-changed-data"]);
    assert_eq!(fs::read(set.at("run/data.json")).unwrap(), record);
    write_png(&set.at("pets/train/cat/new.png"), CAT, 9);
    assert!(error(&["train", "--resume", &run, "--epochs", "4"]).contains("--accept-changed-data"));
    ok(&["train", "--resume", &run, "--epochs", "4", "--accept-changed-data"]);
    ok(&["train", "--resume", &run, "--epochs", "5"]);
}

/// Small files cannot make the program use much memory, neither by a false size in the header nor by strong
/// compression.
#[cfg(target_os = "linux")]
#[test]
fn small_files_of_large_pictures_take_little_memory() {
    let set = Set::new();
    let run = set.train("run", &[]);
    let bits = |name: &str, side: u32, lines: u32| {
        let file = File::create(set.at(name)).unwrap();
        let mut encoder = png::Encoder::new(file, side, side);
        encoder.set_depth(png::BitDepth::One);
        let mut writer = encoder.write_header().unwrap();
        let mut stream = writer.stream_writer().unwrap();
        let line = vec![0x55; side.div_ceil(8) as usize];
        (0..lines).for_each(|_| std::io::Write::write_all(&mut stream, &line).unwrap());
        // If the stream ends early, the encoder returns an error, but the file is written.
        let _ = stream.finish();
    };
    bits("large.png", 8000, 8000);
    bits("giant.png", 16384, 16384);
    bits("cut.png", 9000, 10);
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/pictures");
    let patched = |from: &str, name: &str, at: &dyn Fn(&[u8]) -> usize, size: [u8; 4]| {
        let mut bytes = fs::read(shared.join(from)).unwrap();
        let at = at(&bytes);
        bytes[at..at + 4].copy_from_slice(&size);
        fs::write(set.at(name), bytes).unwrap();
    };
    let frame = |bytes: &[u8]| 5 + bytes.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    patched("444-then-zeros.jpg", "promise.jpg", &frame, [0x32, 0xc8, 0x32, 0xc8]);
    patched("palette.gif", "promise.gif", &|_| 6, [0x00, 0x30, 0x00, 0x20]);
    for (name, taken) in [
        ("large.png", true),
        ("giant.png", false),
        ("cut.png", false),
        ("promise.jpg", false),
        ("promise.gif", false),
    ] {
        let limited = format!(
            "ulimit -v 900000; exec {} predict {run} --image {} --threads 1",
            env!("CARGO_BIN_EXE_receptive"),
            set.path(name)
        );
        let output = std::process::Command::new("sh").args(["-c", &limited]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(i32::from(!taken)), "{name}: {said}");
        assert!(taken || said.contains(name), "{name}: {said}");
    }
}
