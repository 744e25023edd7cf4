//! Tests of `receptive inspect`: the page loads nothing from the network, its size is bounded, it shows the numbers of
//! `--json`, and bad input gives an error message.

use crate::program::{error, ok};
use serde_json::{Value, json};
use std::path::Path;

/// The largest allowed page, for any network.
const MOST_BYTES: u64 = 12_000_000;

/// The output of `--json`: one object on one line.
fn numbers(args: &[&str]) -> Value {
    let stdout = ok(&[&["inspect"], args, &["--json"]].concat());
    assert_eq!(stdout.matches('\n').count(), 1, "{args:?}");
    serde_json::from_str(&stdout).unwrap()
}

/// The report inside a page. Checks the page's size, and that it loads nothing from the network.
fn report(page: &Path) -> Value {
    let size = page.metadata().unwrap().len();
    assert!(size < MOST_BYTES, "{}: {size} bytes", page.display());
    let html = std::fs::read_to_string(page).unwrap();
    for part in ["src=", "href=", "url("] {
        for (at, _) in html.match_indices(part) {
            let after = html[at + part.len()..].trim_start_matches(['"', '\'']);
            assert!(!after.starts_with("http") && !after.starts_with("//"), "{part}{}", &after[..40]);
        }
    }
    let (_, after) = html.split_once("id=\"report\">").unwrap();
    serde_json::from_str(after.split_once("</script>").unwrap().0).unwrap()
}

fn trained(folder: &Path) -> String {
    let run = folder.join("run").display().to_string();
    ok(&["train", "lenet5", "--data", "sample", "--max-steps", "20", "--out", &run]);
    run
}

/// The page is in the run's folder and has the same numbers as --json: shapes, receptive fields, scores, maps.
#[test]
fn a_run_is_shown_with_its_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path());
    let numbers = numbers(&[&run]);
    let page = Path::new(&run).join("inspect.html");
    assert_eq!((&numbers["page"], &numbers["weights"]["name"]), (&json!("inspect.html"), &json!("run")));
    assert_eq!(numbers["page_bytes"], page.metadata().unwrap().len());
    let report = report(&page);
    assert_eq!(report["weights"]["from"], "run");
    assert_eq!(report["image"]["what"], "image 0 of sample/test");
    assert_eq!(numbers["layers"].as_array().unwrap().len(), report["layers"].as_array().unwrap().len());
    let conv2 = numbers["layers"].as_array().unwrap().iter().find(|layer| layer["path"] == "conv2").unwrap();
    assert_eq!(conv2["receptive_field"], json!({ "size": [14, 14], "jump": [2, 2], "start": [-2, -2] }));
    assert!(conv2["seconds"].as_f64().unwrap() > 0.0);
    for (shown, printed) in
        report["layers"].as_array().unwrap().iter().zip(numbers["layers"].as_array().unwrap())
    {
        for (key, value) in printed.as_object().unwrap() {
            assert_eq!(&shown[key], value, "{} {key}", printed["path"]);
        }
    }
    let attribution = numbers["attribution"].as_array().unwrap();
    assert_eq!(attribution.len(), 3);
    assert_eq!(attribution[0]["goal"], numbers["prediction"][0]["index"]);
    assert_eq!(attribution[0]["saliency"]["dims"], json!([28, 28]));
    assert_eq!(attribution[0]["saliency"]["values"].as_array().unwrap().len(), 784);
    assert!(attribution[0]["gradcam"]["layer"].is_string());
    // `predict` gives the same class and probability for this image.
    let predicted: Value = serde_json::from_str(&ok(&["predict", &run, "--index", "0", "--json"])).unwrap();
    assert_eq!(numbers["prediction"][0]["class"], predicted["class"]);
    let [shown, said] = [&numbers["prediction"][0], &predicted].map(|p| p["probability"].as_f64().unwrap());
    assert!((shown - said).abs() < 1e-6, "{shown} {said}");
    // `eval` gives the same accuracy and confusion matrix for this set.
    let eval: Value = serde_json::from_str(&ok(&["eval", &run, "--json"])).unwrap();
    assert_eq!(numbers["judged"]["accuracy"], eval["accuracy"]);
    assert_eq!(numbers["judged"]["confusion"], eval["confusion"]);
    let mistakes = report["judged"]["mistakes"].as_u64().unwrap();
    assert_eq!(mistakes, 1000 - (1000.0 * eval["accuracy"].as_f64().unwrap()).round() as u64);
    assert_eq!(report["training"]["phases"].as_array().unwrap().len(), 2);
}

/// A file of weights and a picture: the same network is shown, without a training.
#[test]
fn weights_and_a_picture_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path());
    let picture = folder.path().join("<!--<script>.png");
    image::GrayImage::from_fn(40, 30, |x, y| image::Luma([(x * 6) as u8 ^ (y * 5) as u8]))
        .save(&picture)
        .unwrap();
    let page = folder.path().join("page.html");
    let weights = format!("{run}/best.safetensors");
    let args = [&weights, "--model", "lenet5", "--data", "sample", "--image", picture.to_str().unwrap()];
    numbers(&[&args[..], &["--out", page.to_str().unwrap()]].concat());
    let report = report(&page);
    assert_eq!((&report["weights"]["from"], &report["training"]), (&json!("file"), &Value::Null));
    assert!(report["image"]["what"].as_str().unwrap().contains("40x30 pixels stretched to 28x28"));
    assert_eq!(report["image"]["label"], Value::Null);
}

/// Without weights and data the page uses random weights and says so, with an image of the sample or a synthetic one.
#[test]
fn a_network_alone_is_shown_untrained() {
    let folder = tempfile::tempdir().unwrap();
    for (model, image) in [("lenet5", "image 0 of sample/test"), ("resnet-cifar", "image 0 of sample/test")] {
        let page = folder.path().join(format!("{model}.html"));
        let args = [model, "--data-dir", folder.path().to_str().unwrap(), "--out", page.to_str().unwrap()];
        let numbers = numbers(&args);
        assert_eq!(numbers["weights"], json!({ "from": "drawn", "seed": 0 }));
        assert_eq!(numbers["image"]["what"], image);
        assert_eq!(report(&page)["judged"], Value::Null);
    }
    let page = folder.path().join("unet.html");
    let args = [
        "unet",
        "--width",
        "4",
        "--data-dir",
        folder.path().to_str().unwrap(),
        "--out",
        page.to_str().unwrap(),
    ];
    let numbers = numbers(&args);
    assert!(numbers["image"]["what"].as_str().unwrap().contains("synthetic"), "{}", numbers["image"]);
    assert_eq!(numbers["attribution"][0]["goal"], "mask");
    assert_eq!(numbers["attribution"].as_array().unwrap().len(), 1);
    let report = report(&page);
    let joins = report["rows"].as_array().unwrap().iter().filter(|row| row["join"] == "cat").count();
    assert_eq!(joins, 4);
}

/// A network from an arch file works like any other.
#[test]
fn an_arch_file_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page.html");
    let arch = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/arch/residual.toml");
    let numbers = numbers(&[arch.to_str().unwrap(), "--data", "sample", "--out", page.to_str().unwrap()]);
    assert!(numbers["rows"].as_array().unwrap().iter().any(|row| row["join"] == "add"));
    report(&page);
}

/// A batch norm without running statistics has no steps in the report.
#[test]
fn a_batch_norm_without_statistics_has_no_steps() {
    let folder = tempfile::tempdir().unwrap();
    let [arch, page] = ["norm.toml", "page.html"].map(|name| folder.path().join(name));
    let text = r#"
name = "norm"
input = [1, 28, 28]
layers = [
    { kind = "batch_norm2d", track_running_stats = false },
    { kind = "batch_norm2d" },
    { kind = "flatten" },
    { kind = "linear", out_features = 10 },
]
"#;
    std::fs::write(&arch, text).unwrap();
    let args = [arch.to_str().unwrap(), "--data", "sample", "--out", page.to_str().unwrap()];
    numbers(&args);
    let layers = &report(&page)["layers"];
    assert_eq!(layers[0]["steps"], Value::Null);
    assert!(layers[1]["steps"]["running_mean"]["f32"].is_string(), "{}", layers[1]["steps"]);
}

#[test]
fn bad_input_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path());
    let here = folder.path().to_str().unwrap();
    let text = folder.path().join("text.png");
    std::fs::write(&text, "no picture").unwrap();
    let nowhere = folder.path().join("none/page.html");
    let cases: [(&[&str], &str); 12] = [
        (&["nothing"], "no run, file or network with this name"),
        (&["nothing"], "lenet5"),
        (&[here], "config.toml"),
        (&[&format!("{run}/best.safetensors")], "--model or --arch"),
        (&[&run, "--model", "mlp"], "trained lenet5"),
        (&[&run, "--index", "1000"], "0 to 999"),
        (&[&run, "--image", text.to_str().unwrap()], "not a PNG, JPEG or GIF"),
        (&[&run, "--image", "nowhere.png"], "nowhere.png"),
        (&[&run, "--image", "a.png", "--index", "1"], "cannot be used with"),
        (&[&run, "--out", here], "is a folder"),
        (&[&run, "--out", nowhere.to_str().unwrap()], "none"),
        (&["lenet5", "--data", "mnist"], "receptive data fetch mnist"),
    ];
    for (args, expected) in cases {
        let message = error(&[&["inspect"], args].concat());
        assert!(message.contains(expected), "{args:?} should say {expected}: {message}");
    }
    assert!(!Path::new(&run).join("inspect.html").exists());
}
