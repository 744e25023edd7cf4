//! Ops, modules and data sets from outside the crate that break their contract. Each gives one typed error that names
//! the wrong part, in every build.

use receptive::cpu::{CpuCtx, View, ViewMut};
use receptive::cuda::{CudaCtx, DeviceView};
use receptive::data::{Dataset, Image, ImageSize, Loader, LoaderOptions, Normalize, Target};
use receptive::nn::{Ctx, Init, Module, ModuleExt, Param, Visitor};
use receptive::tensor::{Grads, Meta, Op, Plan, Saved, Saves, Update, apply, update};
use receptive::{DType, Device, Error, ErrorKind, Result, Tensor};
use std::sync::Arc;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Broken {
    Nothing,
    Shape,
    DType,
    Device,
    TooFew,
    TooMany,
    UnsavedInput,
    UnsavedOutput,
    NoSuchInput,
    NoSuchMeta,
    HiddenFirst,
    ViewTooLong,
    ViewDType,
}

/// `2 * a + b`, with one of the faults of [`Broken`].
#[derive(Debug)]
struct Mix(Broken);

impl Op for Mix {
    fn name(&self) -> &'static str {
        "user_mix"
    }

    fn infer(&self, x: &[Meta]) -> Result<Plan> {
        let plan = Plan::new(x[0].shape, x[0].dtype);
        Ok(match self.0 {
            Broken::HiddenFirst => plan.hidden(x[0].shape, DType::F32).and(x[0].shape, DType::F32),
            Broken::ViewTooLong => Plan::view(x[0].shape, DType::F32, 1),
            Broken::ViewDType => Plan::view(x[0].shape, DType::F64, 0),
            _ => plan,
        })
    }

    fn saves(&self) -> Saves {
        Saves::inputs(&[0])
    }

    fn cpu(&self, _: &CpuCtx, _: &Plan, x: &[View], y: &mut [ViewMut]) -> Result<()> {
        let (a, b) = (x[0].get::<f32>(), x[1].get::<f32>());
        y[0].get::<f32>().iter_mut().zip(a.iter().zip(b)).for_each(|(y, (a, b))| *y = 2.0 * a + b);
        Ok(())
    }

    fn cuda(&self, _: &CudaCtx, _: &Plan, _: &[DeviceView], _: &[DeviceView]) -> Result<()> {
        Err(Error::new(ErrorKind::Device, self.name(), "runs on a CPU"))
    }

    fn backward(&self, saved: &Saved, dy: &Tensor, _: &[bool]) -> Result<Grads> {
        let (da, db) = (dy.mul_scalar(2.0)?, dy.clone());
        let wrong = match self.0 {
            Broken::Shape => dy.reshape(&[3, 2])?,
            Broken::DType => dy.to_dtype(DType::F64)?,
            Broken::Device => dy.to_device(&Device::cpu()?)?,
            Broken::TooFew => return Ok(Grads::from_iter([Some(da)])),
            Broken::TooMany => return Ok(Grads::from_iter([Some(da), Some(db.clone()), Some(db)])),
            // The error must name the tensor that was not saved, not the product that uses it.
            Broken::UnsavedInput => dy.mul(&saved.input(1))?,
            Broken::UnsavedOutput => saved.output(0),
            Broken::NoSuchInput => saved.input(7),
            Broken::NoSuchMeta => dy.reshape(saved.meta(9).dims())?,
            _ => db,
        };
        Ok(Grads::from_iter([Some(da), Some(wrong)]))
    }
}

fn pair() -> [Tensor; 2] {
    let device = Device::cpu().unwrap();
    [0, 1].map(|_| Tensor::from_slice(&device, &[1f32; 6], &[2, 3]).unwrap().requires_grad())
}

fn mixed(broken: Broken) -> Result<()> {
    let [a, b] = pair();
    apply(Mix(broken), &[&a, &b])?[0].sum_all()?.backward()
}

/// Checks the error's kind, and that its text contains the op and these `names`.
fn refused<T>(what: &str, result: Result<T>, kind: ErrorKind, names: &[&str]) {
    let error = result.err().unwrap_or_else(|| panic!("{what}: accepted"));
    let text = error.to_string();
    assert_eq!(error.kind(), kind, "{what}: {text}");
    names.iter().for_each(|name| assert!(text.contains(name), "{what}: no `{name}` in\n{text}"));
}

#[test]
fn an_op_that_breaks_its_word_is_an_error() {
    mixed(Broken::Nothing).unwrap();
    let cases: [(Broken, ErrorKind, &[&str]); 12] = [
        (Broken::Shape, ErrorKind::Shape, &["input 1", "got [3, 2] f32", "expected [2, 3] f32"]),
        (Broken::DType, ErrorKind::DType, &["input 1", "got [2, 3] f64", "expected [2, 3] f32"]),
        (Broken::Device, ErrorKind::Device, &["input 1", "device"]),
        (Broken::TooFew, ErrorKind::Argument, &["got 1", "inputs 2"]),
        (Broken::TooMany, ErrorKind::Argument, &["got 3", "inputs 2"]),
        (Broken::UnsavedInput, ErrorKind::Argument, &["input 1", "saves()", "[0]"]),
        (Broken::UnsavedOutput, ErrorKind::Argument, &["output 0", "saves()"]),
        (Broken::NoSuchInput, ErrorKind::Argument, &["input 7", "has 2"]),
        (Broken::NoSuchMeta, ErrorKind::Argument, &["input 9", "has 2"]),
        (Broken::HiddenFirst, ErrorKind::Argument, &["hidden"]),
        (Broken::ViewTooLong, ErrorKind::Shape, &["view", "offset 1"]),
        (Broken::ViewDType, ErrorKind::DType, &["view", "f64"]),
    ];
    for (broken, kind, names) in cases {
        let names: Vec<&str> = names.iter().copied().chain(["user_mix"]).collect();
        refused(&format!("{broken:?}"), mixed(broken), kind, &names);
    }
}

#[test]
fn a_position_beyond_the_last_bit_is_not_saved() {
    assert_eq!(Saves::inputs(&[40]), Saves::NONE);
    assert_eq!(Saves::outputs(&[32]), Saves::NONE);
}

#[derive(Debug)]
struct Nowhere;

impl Update for Nowhere {
    fn name(&self) -> &'static str {
        "user_update"
    }

    fn cpu(&self, _: &CpuCtx, _: &mut [ViewMut], _: &[View]) -> Result<()> {
        Ok(())
    }

    fn cuda(&self, _: &CudaCtx, _: &[DeviceView], _: &[DeviceView]) -> Result<()> {
        Ok(())
    }
}

#[test]
fn an_update_of_nothing_is_an_error() {
    refused("no tensors", update(&Nowhere, &[], &[]), ErrorKind::Argument, &["user_update"]);
}

/// A layer with a scale and a shift. `visit` passes on only the parameters named in `shown`.
struct Scale {
    weight: Param,
    bias: Param,
    shown: [Option<&'static str>; 2],
}

impl Scale {
    fn new(shown: [Option<&'static str>; 2]) -> Scale {
        let param = || Param::new(&[3], Init::Constant(0.0));
        Scale { weight: param(), bias: param(), shown }
    }
}

impl Module for Scale {
    fn forward(&self, cx: &Ctx, x: &Tensor) -> Result<Tensor> {
        x.mul(&cx.value(&self.weight)?)?.add(&cx.value(&self.bias)?)
    }

    fn visit<'a>(&'a self, visitor: &mut Visitor<'a>) {
        for (name, param) in self.shown.iter().zip([&self.weight, &self.bias]) {
            name.iter().for_each(|name| visitor.param(name, param));
        }
    }

    fn kind(&self) -> &'static str {
        "Scale"
    }
}

#[test]
fn a_visit_that_forgets_or_repeats_is_named() {
    let device = Device::cpu().unwrap();
    let x = Tensor::zeros(&device, &[2, 3], DType::F32).unwrap();
    let run = |scale: Scale| {
        scale.init(&device, DType::F32, 0)?;
        Ctx::eval("net").run("scale", &scale, &x)
    };
    run(Scale::new([Some("weight"), Some("bias")])).unwrap();
    refused(
        "forgets",
        run(Scale::new([Some("weight"), None])),
        ErrorKind::Missing,
        &["visit()", "net/scale"],
    );
    refused("repeats", run(Scale::new([Some("w"), Some("w")])), ErrorKind::Argument, &["visit()", "`w`"]);
}

/// Four grey images of 2 x 2 pixels in two classes. Image number 2 may have a wrong label, size, or mask.
struct Set {
    label: usize,
    size: [usize; 3],
    pixels: usize,
    mask: ([usize; 3], usize, u8),
    classes: Vec<String>,
}

impl Set {
    fn new() -> Set {
        let classes = ["a", "b"].map(str::to_owned).to_vec();
        Set { label: 1, size: [1, 2, 2], pixels: 4, mask: ([1, 2, 2], 4, 1), classes }
    }
}

impl Dataset for Set {
    fn name(&self) -> &str {
        "my set"
    }

    fn len(&self) -> usize {
        4
    }

    fn size(&self) -> ImageSize {
        ImageSize::Fixed([1, 2, 2])
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn label(&self, i: usize) -> usize {
        if i == 2 { self.label } else { 0 }
    }

    fn read(&self, i: usize, image: &mut Image) -> Result<()> {
        let (size, pixels) = if i == 2 { (self.size, self.pixels) } else { ([1, 2, 2], 4) };
        *image = Image { size, pixels: vec![0; pixels] };
        Ok(())
    }

    fn has_masks(&self) -> bool {
        true
    }

    fn mask(&self, i: usize, mask: &mut Image) -> Result<()> {
        let (size, pixels, byte) = if i == 2 { self.mask } else { ([1, 2, 2], 4, 0) };
        *mask = Image { size, pixels: vec![byte; pixels] };
        Ok(())
    }
}

fn loaded(set: Set, target: Target) -> Result<()> {
    let options = LoaderOptions::new(2, Normalize::unit(1), Device::cpu()?);
    let loader = Loader::new(Arc::new(set), LoaderOptions { target, ..options })?;
    loader.epoch(0, 0)?.try_for_each(|batch| batch.map(drop))
}

#[test]
fn a_data_set_that_breaks_its_word_is_an_error() {
    loaded(Set::new(), Target::Class).unwrap();
    loaded(Set::new(), Target::Mask).unwrap();
    let (class, mask) = (Target::Class, Target::Mask);
    let cases: [(&str, Set, Target, ErrorKind); 7] = [
        ("label()", Set { label: 2, ..Set::new() }, class, ErrorKind::Argument),
        ("read()", Set { size: [1, 4, 1], ..Set::new() }, class, ErrorKind::Shape),
        ("read()", Set { size: [3, 2, 2], pixels: 12, ..Set::new() }, class, ErrorKind::Shape),
        ("read()", Set { pixels: 3, ..Set::new() }, class, ErrorKind::Shape),
        ("mask()", Set { mask: ([1, 1, 2], 2, 1), ..Set::new() }, mask, ErrorKind::Shape),
        ("mask()", Set { mask: ([1, 2, 2], 5, 1), ..Set::new() }, mask, ErrorKind::Shape),
        ("mask()", Set { mask: ([1, 2, 2], 4, 255), ..Set::new() }, mask, ErrorKind::Argument),
    ];
    for (method, set, target, kind) in cases {
        refused(method, loaded(set, target), kind, &[method, "my set", "image 2"]);
    }
    let labels: Arc<dyn Dataset> = Arc::new(Set { label: 9, ..Set::new() });
    refused("subset", receptive::data::stratified(&labels, 2, None), ErrorKind::Argument, &["my set", "9"]);
}
