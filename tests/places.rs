//! Files that a user may share contain no paths, only names. Only `config.toml` may contain a path, and it says so.
#![cfg(feature = "cli")]

#[path = "data/files.rs"]
mod files;
mod program;

use program::{error, ok, text};
use receptive::data::Image;
use receptive::draw::png;
use std::fs;
use std::path::{Path, PathBuf};
#[cfg(feature = "live")]
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Command, Stdio},
    time::Duration,
};

/// A folder name in the middle of every path, which must not appear in shared files.
const SECRET: &str = "home-of-ann-1f9c";

/// Writes `photos/{train,val}/{circle,square}/*.png`.
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
fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() { files_below(&entry, found) } else { found.push(entry) }
    }
}

/// Checks that the secret is in no file except the user's own photographs and `config.toml`, and in nothing printed.
fn names_only(root: &Path, printed: &[(&str, String)]) {
    let mut all = Vec::new();
    files_below(root, &mut all);
    let mut artefacts = 0;
    for file in all.iter().filter(|file| !file.starts_with(root.join("photos"))) {
        let bytes = fs::read(file).unwrap();
        let says = bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
        if file.file_name().unwrap() == "config.toml" {
            let text = text(&bytes);
            assert!(text.starts_with("# ") && text.contains("Do not share"), "{}: {text}", file.display());
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

/// The output of `diff` and the files of `reproduce` contain no paths either.
#[test]
fn neither_a_comparison_nor_an_experiment_says_where_files_lie() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join(SECRET);
    let path = |name: &str| root.join(name).display().to_string();
    // Inside the folder of photographs, because these images are the user's own files too.
    files::write_set(&root.join("photos/mnist"), 400, 28, |name| (name.to_owned(), false));
    let (out, data) = (path("reproduced"), path("photos"));
    let reproduce = ["reproduce", "M3", "--data-dir", &data, "--out", &out, "--threads", "1", "--json"];
    let reproduced = ok(&reproduce);
    let (run, picture) = (format!("{out}/M3-seed0"), path("photos/seven.png"));
    let image = Image::new([1, 28, 28], (0..28 * 28).map(|p| (p % 200) as u8).collect()).unwrap();
    fs::write(&picture, png(&image, 1)).unwrap();
    let printed = [
        ("reproduce", reproduced),
        ("reproduce --list", ok(&["reproduce", "--list", "--out", &out])),
        ("diff", ok(&["diff", &run, "--json"])),
        ("diff as text", ok(&["diff", &run, "--index", "2", "--data-dir", &data])),
        ("diff of a picture", ok(&["diff", &run, "--image", &picture, "--gradients"])),
        (
            "diff of weights",
            ok(&[
                "diff",
                &format!("{run}/first/best.safetensors"),
                "--model",
                "mlp2",
                "--image",
                &picture,
                "--json",
            ]),
        ),
        ("inspect", ok(&["inspect", &run, "--json"])),
        ("eval", ok(&["eval", &run, "--json"])),
    ];
    names_only(&root, &printed);
}

/// No answer of the live page's server contains a path: pages, scripts, events, pictures and refusals.
#[cfg(feature = "live")]
#[test]
fn the_live_page_does_not_say_where_files_lie() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join(SECRET);
    let (data, run) = (photos(&root).display().to_string(), root.join("run").display().to_string());
    let mut program = Command::new(env!("CARGO_BIN_EXE_receptive"));
    program.args(["train", "lenet5", "--data", &data, "--out", &run, "--resize", "32", "--batch-size", "4"]);
    program.args(["--epochs", "40", "--threads", "1", "--health", "1", "--live"]);
    let mut process = program.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let address =
        lines.find_map(|line| line.unwrap().strip_prefix("live: http://").map(str::to_owned)).unwrap();
    let rest = std::thread::spawn(move || lines.for_each(drop));
    let (host, token) = address.trim_end_matches('/').split_once('/').unwrap();
    // The stream of events stays open until the run ends, so it is read last.
    let ask = |method: &str, name: &str| {
        let mut stream = TcpStream::connect(host).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let headers = format!("Host: {host}\r\nOrigin: http://{host}\r\nContent-Length: 0\r\n");
        write!(stream, "{method} /{token}/{name} HTTP/1.1\r\n{headers}\r\n").unwrap();
        stream
    };
    let whole = |mut stream: TcpStream| {
        let mut answer = Vec::new();
        // The server closes the connection early if it did not need the rest of the request.
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    };
    let events = ask("GET", "events");
    let page = whole(ask("GET", ""));
    let scripts = page.split(['"', '\'']).filter(|name| name.ends_with(".js") || name.ends_with(".css"));
    let mut answers: Vec<String> = scripts.map(|name| whole(ask("GET", name))).collect();
    assert!(answers.len() > 3 && answers.iter().all(|answer| answer.starts_with("HTTP/1.1 200 ")), "{page}");
    answers.extend([whole(ask("GET", "nothing")), whole(ask("PUT", "stop")), page]);
    let events = whole(events);
    assert!(process.wait().unwrap().success());
    rest.join().unwrap();
    for part in ["\"folder\":\"run\"", "\"data\":\"photos\"", "event: predictions", "circle", "\"finished\""]
    {
        assert!(events.contains(part), "no {part} among the events");
    }
    for answer in answers.iter().chain([&events]) {
        assert!(!answer.contains(SECRET), "{answer}");
    }
}

/// The remark at the top of config.toml is not a setting: the file is read equally with and without it.
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
    // A run of an older version, without the remark, can be resumed.
    fs::write(&file, settings).unwrap();
    ok(&["train", "--resume", &run]);
    fs::write(&file, text.lines().next().unwrap()).unwrap();
    assert!(error(&["train", "--resume", &run]).contains("is not a run's configuration"));
}
