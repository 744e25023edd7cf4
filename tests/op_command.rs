//! Tests of `receptive op` as in a script: it reads a safetensors file and writes outputs and gradients.
#![cfg(feature = "cli")]

use receptive::io::TensorFile;
use receptive::tensor::{Device, Tensor};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

/// A tensor in a file: name, values, shape.
type Entry = (&'static str, &'static [f64], &'static [usize]);

const IMAGE: Entry = ("input", &[1., 2., 3., 4., 5., 6., 7., 8., 9.], &[1, 1, 3, 3]);
const WEIGHT: Entry = ("weight", &[1., 10., 100., 1000.], &[1, 1, 2, 2]);
const BIAS: Entry = ("bias", &[0.5], &[1]);
const DY: Entry = ("grad_output", &[1., 2.], &[1, 1, 1, 2]);

struct Files {
    folder: tempfile::TempDir,
    device: Device,
}

impl Files {
    fn new() -> Files {
        Files { folder: tempfile::tempdir().unwrap(), device: Device::cpu().unwrap() }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, entries: &[Entry]) {
        let tensor = |&(name, values, dims): &Entry| {
            (name.to_owned(), Tensor::from_slice(&self.device, values, dims).unwrap())
        };
        TensorFile::new(entries.iter().map(tensor).collect()).write(&self.at("in")).unwrap();
    }

    fn op(&self, name: &str, attrs: &[&str]) -> Output {
        let mut program = Command::new(env!("CARGO_BIN_EXE_receptive"));
        program.args(["op", name, "--input"]).arg(self.at("in")).arg("--output").arg(self.at("out"));
        program.args(attrs.iter().flat_map(|attr| ["--attr", attr])).output().unwrap()
    }

    /// Runs an op that must succeed; returns the tensors that it writes.
    fn results(&self, name: &str, attrs: &[&str]) -> BTreeMap<String, Tensor> {
        let output = self.op(name, attrs);
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stdout.is_empty() && output.stderr.is_empty());
        TensorFile::read(&self.at("out"), &self.device).unwrap().tensors
    }

    /// Runs an op that must fail with a message that contains `text`, and must write no file.
    fn refused(&self, name: &str, attrs: &[&str], text: &str) {
        let output = self.op(name, attrs);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{name} {attrs:?}: {message}");
        assert!(message.starts_with("error: ") && message.contains(text), "{name} {attrs:?}: {message}");
        assert!(output.stdout.is_empty() && !self.at("out").exists(), "{name} {attrs:?}");
    }
}

/// A 2x2 kernel with stride (2, 1), checked by hand.
#[test]
fn outputs_and_gradients_are_written_by_name() {
    let files = Files::new();
    files.write(&[IMAGE, WEIGHT, BIAS, DY]);
    let want: [Entry; 4] = [
        ("grad.bias", &[3.], &[1]),
        ("grad.input", &[1., 12., 20., 100., 1200., 2000., 0., 0., 0.], &[1, 1, 3, 3]),
        ("grad.weight", &[5., 8., 14., 17.], &[1, 1, 2, 2]),
        ("output", &[5421.5, 6532.5], &[1, 1, 1, 2]),
    ];
    for stride in ["stride=2,1", "stride=(2, 1)", "stride=[2,1]"] {
        let got = files.results("conv2d", &[stride, "padding=0"]);
        assert_eq!(got.keys().map(String::as_str).collect::<Vec<_>>(), want.map(|(name, ..)| name));
        for (name, values, dims) in want {
            let x = &got[name];
            assert_eq!((x.to_vec::<f64>().unwrap().as_slice(), x.dims()), (values, dims), "{stride} {name}");
        }
    }
}

#[test]
fn padding_same_lists_indices_and_scalars() {
    let files = Files::new();
    files.write(&[IMAGE, WEIGHT]);
    assert_eq!(files.results("conv2d", &["padding=same"])["output"].dims(), [1, 1, 3, 3]);
    files.write(&[IMAGE]);
    let pooled = files.results("max_pool2d", &["kernel_size=2", "stride=1"]);
    assert_eq!(pooled["indices"].to_vec::<i64>().unwrap(), [4, 5, 7, 8]);
    let sum = &files.results("sum", &[])["output"];
    assert_eq!((sum.dims(), sum.item().unwrap()), (&[][..], 45.0));
    files.write(&[
        ("tensors.0", &[1.], &[1]),
        ("tensors.1", &[2., 3.], &[2]),
        ("grad_output", &[4., 5., 6.], &[3]),
    ]);
    let joined = files.results("cat", &[]);
    assert_eq!(joined["output"].to_vec::<f64>().unwrap(), [1., 2., 3.]);
    assert_eq!(joined["grad.tensors.1"].to_vec::<f64>().unwrap(), [5., 6.]);
}

#[test]
fn what_does_not_fit_is_refused() {
    let files = Files::new();
    files.refused("conv2d", &[], "No such file");
    files.write(&[IMAGE, WEIGHT, BIAS, ("grad_output", &[1.], &[1])]);
    files.refused("conv2", &[], "conv2d");
    files.refused("relu", &[], "there is no input `bias`");
    files.refused("conv2d", &[], "dy [1] f64");
    files.refused("conv2d", &["groups=2"], "groups = 2");
    files.refused("conv2d", &["strides=2"], "expected stride, padding, dilation, groups");
    files.refused("conv2d", &["stride=2x1"], "stride=2x1 is malformed\n  expected a whole number, 0 or more");
    files.refused("conv2d", &["padding=half"], "expected same, valid, one number or two: h,w");
    files.refused("conv2d", &["groups=1", "groups=1"], "--attr groups is given twice");
    files.write(&[IMAGE, ("grad_output", &[1.], &[])]);
    files.refused("argmax", &[], "argmax: has no gradient");
    files.write(&[IMAGE]);
    files.refused("conv2d", &[], "input `weight` is missing");
    files.refused("max_pool2d", &[], "attribute `kernel_size` is required");
    let bytes = fs::read(files.at("in")).unwrap();
    fs::write(files.at("in"), &bytes[..bytes.len() / 2]).unwrap();
    files.refused("relu", &[], "in: ");
}
