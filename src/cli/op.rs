//! `receptive op`: runs any op of the table on tensors from a file.

use super::args::{DeviceArgs, KernelArgs};
use super::print_line;
use crate::core::table::table;
use crate::io::TensorFile;
use crate::ops::{self, OPS, OpSpec, Tag};
use crate::tensor::{Device, Tensor};
use crate::testing::cases;
use crate::{DType, Result};
use anyhow::{Context, bail};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Run one op on tensors from a safetensors file.
///
/// IN contains the inputs under their names in torch.nn.functional (`input`, `weight`, `tensors.0`, ...). The op writes
/// `output` to OUT. If IN contains `grad_output`, it also writes `grad.NAME` for every differentiable input.
#[derive(Debug, clap::Args)]
pub struct OpArgs {
    /// The op; `--list` shows all ops
    #[arg(required_unless_present_any = ["list", "cases"])]
    name: Option<String>,
    /// The file to read the inputs from
    #[arg(long, value_name = "IN")]
    input: Option<PathBuf>,
    /// The file to write outputs and gradients to
    #[arg(long, value_name = "OUT")]
    output: Option<PathBuf>,
    /// An attribute by its PyTorch name, such as stride=2,1
    #[arg(long = "attr", value_name = "KEY=VALUE", value_parser = attribute)]
    attrs: Vec<(String, String)>,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    kernels: KernelArgs,
    /// Print the table of ops
    #[arg(long)]
    list: bool,
    /// With --list: print one JSON object
    #[arg(long, requires = "list")]
    json: bool,
    /// Write the inputs of every case to DIR and list the cases as JSON, for tests/golden/generate.py
    #[arg(long, value_name = "DIR", hide = true)]
    cases: Option<PathBuf>,
}

fn attribute(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| format!("`{text}` is not KEY=VALUE"))?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Runs the subcommand.
///
/// # Errors
/// Unknown ops, attributes and inputs; files that cannot be read or written; an error of the op.
pub fn run(args: &OpArgs) -> anyhow::Result<()> {
    if args.list {
        return if args.json { print_line(&table_json().to_string()) } else { print_line(&listing()) };
    }
    // Check the name first: it decides which inputs there are.
    let spec = args.name.as_deref().map(ops::find).transpose()?;
    let device = args.device.open_with(&args.kernels)?;
    if let Some(folder) = &args.cases {
        return print_line(&write_cases(folder, &device)?.to_string());
    }
    let Some(spec) = spec else { bail!("no op is given; to see all ops: receptive op --list") };
    let (Some(input), Some(output)) = (&args.input, &args.output) else {
        bail!("{} needs --input IN and --output OUT", spec.name);
    };
    let mut attrs = BTreeMap::new();
    for (key, value) in &args.attrs {
        if attrs.insert(key.clone(), value.clone()).is_some() {
            bail!("--attr {key} is given twice");
        }
    }
    let inputs = TensorFile::read(input, &device)?.tensors;
    Ok(TensorFile::new(run_spec(spec, &attrs, inputs, &device)?).write(output)?)
}

type Tensors = BTreeMap<String, Tensor>;

/// Runs the op in the file's precision. A GPU also takes f16 and bf16: it computes in f32, and rounds the outputs to
/// the type of the inputs.
fn run_spec(
    spec: &'static OpSpec,
    attrs: &BTreeMap<String, String>,
    inputs: Tensors,
    device: &Device,
) -> crate::Result<Tensors> {
    let half = |x: &Tensor| matches!(x.dtype(), DType::F16 | DType::BF16);
    let Some(narrow) = inputs.values().find(|x| half(x)).map(Tensor::dtype) else {
        return spec.run(attrs, inputs);
    };
    if device.as_cuda().is_none() {
        return spec.run(attrs, inputs);
    }
    let cast = |all: Tensors, of: &dyn Fn(&Tensor) -> bool, to: DType| -> crate::Result<Tensors> {
        let one = |(name, x): (String, Tensor)| Ok((name, if of(&x) { x.to_dtype(to)? } else { x }));
        all.into_iter().map(one).collect()
    };
    let wide = cast(inputs, &half, DType::F32)?;
    cast(spec.run(attrs, wide)?, &|x| x.dtype() == DType::F32, narrow)
}

/// The list of ops: name, the equal PyTorch call, inputs and attributes.
fn listing() -> String {
    let input = |i: &ops::Input| {
        let list = if i.list { ".0 .1 ..." } else { "" };
        if i.optional { format!("[{}{list}]", i.name) } else { format!("{}{list}", i.name) }
    };
    let entry = |spec: &&OpSpec| {
        let inputs: Vec<String> = spec.inputs.iter().map(input).collect();
        let facts = [
            ("call", spec.torch.to_owned()),
            ("inputs", inputs.join(" ")),
            ("attributes", spec.attrs.join(" ")),
        ];
        let facts = facts.into_iter().filter(|(_, fact)| !fact.is_empty());
        let rows: Vec<_> = facts.map(|(what, fact)| vec![format!("  {what:<10}"), fact]).collect();
        format!("{}\n{}", spec.name, table(&rows, 2))
    };
    OPS.iter().map(entry).collect::<Vec<_>>().join("\n")
}

fn table_json() -> Value {
    let input = |i: &ops::Input| json!({ "name": i.name, "optional": i.optional, "list": i.list, "differentiable": i.differentiable });
    let row = |spec: &&OpSpec| {
        json!({
            "name": spec.name,
            "torch": spec.torch,
            "inputs": spec.inputs.iter().map(input).collect::<Vec<_>>(),
            "outputs": spec.outputs,
            "attrs": spec.attrs,
            "layer": spec.layer,
        })
    };
    json!({ "ops": OPS.iter().map(row).collect::<Vec<_>>() })
}

/// Writes `DIR/OP.safetensors` with `CASE/NAME` for every small case, and describes the cases.
fn write_cases(folder: &Path, device: &Device) -> anyhow::Result<Value> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let mut all = Vec::new();
    for spec in OPS {
        let mut file = TensorFile::default();
        for case in (spec.cases)().iter().filter(|case| case.tag != Tag::Bench) {
            let mut inputs = cases::inputs(case, device, DType::F64)?;
            let call = spec.call(&case.attrs, &inputs)?;
            if call.tracks_grad() {
                inputs.insert("grad_output".to_owned(), case.grad_output(call.output())?);
            }
            all.push(
                json!({ "op": spec.name, "case": case.label, "attrs": case.attrs, "inputs": case.names() }),
            );
            file.tensors.extend(inputs.into_iter().map(|(name, x)| (format!("{}/{name}", case.label), x)));
        }
        file.write(&folder.join(spec.name).with_extension("safetensors"))?;
    }
    Ok(json!({ "cases": all }))
}
