//! An op is a file and a table row: all code that checks ops, runs them by name or makes layers of them takes a row.
//! The first op here is not in the table, so no list can contain it. For an op in the table, only its own files may
//! name it.

use receptive::cpu::{CpuCtx, View, ViewMut};
use receptive::cuda::{CudaCtx, DeviceView};
use receptive::models::from_arch;
use receptive::nn::{Ctx, Module, ModuleExt, OpLayer, Sequential};
use receptive::ops::{Case, Fill, Input, OPS, OpSpec};
use receptive::tensor::{Grads, Meta, Op, Plan, Saved, Saves};
use receptive::testing::cases::{self, checked_cpu};
use receptive::testing::conformance::f32_against_f64;
use receptive::testing::gradcheck_case;
use receptive::{DType, Device, Error, ErrorKind, Result, Tensor};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// `x / (1 + |x|)`.
#[derive(Debug)]
struct Softsign;

impl Op for Softsign {
    fn name(&self) -> &'static str {
        "softsign"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        Ok(Plan::new(x[0].shape, x[0].dtype))
    }

    fn saves(&self) -> Saves {
        Saves::inputs(&[0])
    }

    fn cpu(&self, _: &CpuCtx, _: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        match x[0].dtype {
            DType::F32 => {
                let values = y[0].get::<f32>().iter_mut().zip(x[0].get::<f32>());
                values.for_each(|(y, x)| *y = x / (1.0 + x.abs()));
            }
            _ => {
                let values = y[0].get::<f64>().iter_mut().zip(x[0].get::<f64>());
                values.for_each(|(y, x)| *y = x / (1.0 + x.abs()));
            }
        }
        Ok(())
    }

    fn cuda(&self, _: &CudaCtx, _: &Plan, _: &[DeviceView], _: &[DeviceView]) -> Result<()> {
        Err(Error::new(ErrorKind::Device, self.name(), "runs on a CPU"))
    }

    fn backward(&self, saved: &Saved, dy: &Tensor, _: &[bool]) -> Result<Grads> {
        let below = saved.input(0).abs()?.add_scalar(1.0)?;
        Ok(Grads::from_iter([Some(dy.div(&below.mul(&below)?)?)]))
    }
}

static SPEC: OpSpec = OpSpec {
    name: "softsign",
    torch: "F.softsign(input)",
    inputs: &[Input::new("input")],
    outputs: &["output"],
    attrs: &[],
    layer: Some("Softsign"),
    build: |_| Ok(Arc::new(Softsign)),
    cases: || {
        vec![
            Case::new("plain", "").filled("input", &[2, 3, 5], Fill::Normal),
            Case::new("empty", "").filled("input", &[0, 3], Fill::Normal).edge(),
        ]
    },
};

#[test]
fn a_row_is_all_that_checks_need() {
    for case in (SPEC.cases)() {
        gradcheck_case(&SPEC, &case).unwrap();
        let cpu = checked_cpu(2);
        f32_against_f64(&SPEC, &case, &cpu, &cpu).unwrap();
        let all = cases::run(&SPEC, &case, &cpu, DType::F32).unwrap();
        assert_eq!(all.keys().collect::<Vec<_>>(), ["grad.input", "output"]);
    }
}

#[test]
fn a_row_is_all_that_a_layer_needs() {
    let layer = || OpLayer::new(&SPEC, BTreeMap::new()).unwrap();
    assert_eq!((layer().kind(), layer().describe().as_str()), ("Softsign", "Softsign()"));
    let net = Sequential::new().push(layer()).push(layer());
    let x = Tensor::from_slice(&Device::cpu().unwrap(), &[-1.0, 0.0, 3.0], &[3]).unwrap();
    let y = net.forward(&Ctx::eval("net"), &x).unwrap();
    assert_eq!(y.to_vec::<f64>().unwrap(), [-1.0 / 3.0, 0.0, 3.0 / 7.0]);
    assert_eq!(net.num_parameters(), 0);
}

/// Every row with a layer can be used in an arch file by the op's name.
#[test]
fn every_row_with_a_layer_is_a_kind() {
    let named: Vec<(&str, &str)> = OPS.iter().filter_map(|row| Some((row.name, row.layer?))).collect();
    assert!(named.len() >= 6);
    for (name, class) in named {
        let text = format!("input = [1, 2, 2]\nlayers = [{{ kind = \"{name}\" }}, {{ kind = \"flatten\" }}]");
        let network = from_arch(&text, "net.toml").unwrap();
        let model = network.build(&receptive::models::ModelConfig::new([1, 2, 2], 4)).unwrap();
        assert!(receptive::inspect::describe(&*model).contains(&format!("{class}(")), "{name}");
    }
}

/// All files of the project that are written by hand.
fn written() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders: Vec<PathBuf> = ["src", "tests", "benches", "examples", "kernels", "build", "tools"]
        .map(|name| root.join(name))
        .into();
    let mut files =
        ["build.rs", "README.md", "CONTRIBUTING.md", ".ci/run"].map(|name| root.join(name)).to_vec();
    let pages = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    files.extend(pages.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                let made = ["prebuilt", "__pycache__"].iter().any(|name| path.ends_with(name));
                folders.extend((!made).then_some(path));
            } else if !path.ends_with("resources.tsv") {
                // `tools/kernels.sh` writes that table.
                files.push(path);
            }
        }
    }
    files
}

/// SiLU has a kernel, random cases, vectors and a layer. If somebody adds a list that needs an entry for each new op,
/// its name appears in one more file, and this test fails.
#[test]
fn an_op_is_named_by_its_own_files() {
    let own = ["src/ops/elementwise/mod.rs", "src/ops/elementwise/silu.rs", "kernels/elementwise.cu"];
    // The layer's Rust type, the test that prints every kind of layer, and the table of PyTorch's names.
    let by_choice = [
        "src/nn/activation.rs",
        "src/nn/mod.rs",
        "tests/models/arch.rs",
        "tests/new_op.rs",
        "docs/pytorch.md",
    ];
    let names = |path: &PathBuf| {
        let text = std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).to_lowercase());
        let named = text.unwrap().split(|c: char| !c.is_alphanumeric()).any(|word| word == "silu");
        named.then(|| {
            path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().to_str().unwrap().replace('\\', "/")
        })
    };
    let named: Vec<String> = written().iter().filter_map(names).collect();
    let others: Vec<&String> =
        named.iter().filter(|path| !own.iter().chain(&by_choice).any(|known| known == path)).collect();
    assert!(others.is_empty(), "a new op would have to be named in {others:?} too");
    assert!(own.iter().all(|path| named.iter().any(|name| name == path)), "{named:?}");
}
