//! Tests of arch files and raw outputs on the command line.

use super::program::{error, ok, receptive, text};
use super::{MNIST, build};
use receptive::io::TensorFile;
use receptive::nn::{Ctx, Module, ModuleExt};
use receptive::{DType, Device, Tensor};
use std::fs;

const ARCH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/arch/lenet5_tanh.toml");

#[test]
fn summary_reads_an_arch_file_and_follows_another_image() {
    for (input, parameters) in [("1x28x28", 61_706), ("3x32x32", 83_126)] {
        let output = ok(&["summary", "--arch", ARCH, "--input", input, "--json"]);
        let summary: serde_json::Value = serde_json::from_str(&output).unwrap();
        assert_eq!(summary["parameters"], parameters, "{input}");
    }
    // The layers before the failing one are on stdout.
    let output = receptive(&["summary", "--arch", ARCH, "--input", "1x8x8"]);
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("lenet5_tanh.toml:22: layers.4 (conv2d)"), "{error}");
}

/// Files that are not arch files at all.
#[test]
fn bad_arch_files_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.toml");
    let file = path.to_str().unwrap();
    assert!(error(&["summary", "--arch", file]).contains("net.toml: cannot read"));
    assert!(error(&["summary", "--arch", folder.path().to_str().unwrap()]).contains("not a regular file"));
    let too_large = vec![b'#'; (1 << 20) + 1];
    for (content, expected) in [
        (&b"name = \"\xff\xfe\""[..], "is not a text"),
        (&b"\x00\x01\x02"[..], "is not valid TOML"),
        (&b""[..], "`input` is missing"),
        (&too_large[..], "too large"),
    ] {
        fs::write(&path, content).unwrap();
        let error = error(&["summary", "--arch", file]);
        assert!(error.contains("net.toml") && error.contains(expected), "{error}");
    }
}

/// `predict --tensor` writes exactly the network's output. For a wrong input, the error says what is wrong.
#[test]
fn predict_writes_raw_outputs() {
    let cpu = Device::cpu().unwrap();
    let model = build("lenet5-bn", MNIST);
    model.init(&cpu, DType::F32, 5).unwrap();
    let values = (0..2 * 784).map(|i| (i % 97) as f32 / 97.0).collect();
    let x = Tensor::from_vec::<f32>(&cpu, values, &[2, 1, 28, 28]).unwrap();
    let expected = model.forward(&Ctx::eval("net"), &x).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let write = |name: &str, tensors| {
        TensorFile { tensors, ..TensorFile::default() }.write(&folder.path().join(name)).unwrap();
    };
    write("weights", model.state_dict().unwrap());
    write("in", [("input".to_owned(), x.clone())].into());
    write("flat", [("input".to_owned(), x.reshape(&[2, 784]).unwrap())].into());
    write("other", [("image".to_owned(), x)].into());
    let predict = |input: &str, model: &str| {
        let (weights, input, output) = (file("weights"), file(input), file("out"));
        let arguments = ["predict", &weights, "--model", model, "--tensor", &input, "--output", &output];
        arguments.map(str::to_owned)
    };
    ok(&predict("in", "lenet5-bn").each_ref().map(String::as_str));
    let got = TensorFile::read(&folder.path().join("out"), &cpu).unwrap().tensors;
    assert_eq!(got["output"].to_f64().unwrap(), expected.to_f64().unwrap());
    for (input, model, expected) in [
        ("flat", "lenet5-bn", "is not a batch of images"),
        ("other", "lenet5-bn", "contains no tensor `input`"),
        ("in", "lenet5", "missing conv1.weight"),
    ] {
        let error = error(&predict(input, model).each_ref().map(String::as_str));
        assert!(error.contains(expected), "{error}");
    }
}
