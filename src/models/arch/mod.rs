//! Arch files: a network as an ordered list of layers, like the notebooks' arch dictionary, in TOML.
//!
//! ```toml
//! name = "tiny"
//! input = [1, 28, 28]
//! layers = [
//!     { kind = "conv2d", out_channels = 8, kernel_size = 3 },
//!     { kind = "relu" },
//!     { kind = "max_pool2d", kernel_size = 2 },
//!     { kind = "residual", layers = [{ kind = "conv2d", out_channels = 8, kernel_size = 3, padding = "same" }] },
//!     { kind = "flatten" },
//!     { kind = "linear", out_features = 10 },
//! ]
//! ```
//!
//! The file says what each layer does. The number of incoming channels or features follows from the layers before and
//! from the input's size. Keys are PyTorch's names. A parameter is named by its layer's position: `layers.0.weight`.
//! `sequential` contains its own layers (`layers.3.0.weight`). `repeat` stands for its layers written `times` times.
//! `residual` adds its input, or the output of its `shortcut`, to the output of its layers.

mod keys;
mod kinds;

use super::{ModelConfig, Network, OptimizerKind, Recipe};
use crate::core::{DType, Error, Named, Result};
use crate::data::Image;
use crate::nn::{Ctx, Loss, Module, ModuleExt, Residual, Sequential};
use crate::optim::ADAMW_DECAY;
use crate::tensor::{Device, Tensor};
use keys::{ArchFile, Keys};
use kinds::{KINDS, Kind, Make, of_op};
use std::cell::Cell;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// More layers than any network here has, so that a file cannot fill the memory. (The TOML parser limits how deeply
/// blocks are nested.)
const MOST_LAYERS: usize = 10_000;

type Items<'a> = &'a [Spanned<DeValue<'a>>];

/// The network that an arch file describes. `file` is its name in messages.
///
/// # Errors
/// Text that is not TOML; kinds and keys that do not exist; values that are not accepted; layers that do not fit their
/// input. Each error has the file's name and the line.
pub fn from_arch(text: &str, file: &str) -> Result<Network> {
    let source = ArchFile { file, text };
    let table = parse(&source)?;
    let top = Keys { source: &source, name: String::new(), at: 0, table: &table };
    top.only(&[
        "name",
        "input",
        "loss",
        "data",
        "batch_size",
        "epochs",
        "optimizer",
        "lr",
        "momentum",
        "nesterov",
        "weight_decay",
        "scheduler",
        "scheme",
        "resize",
        "layers",
    ])?;
    let name = name(&top)?;
    let input = image(&top)?;
    let (_, output) = layers(&top, name, input)?;
    let ends_in_log_softmax =
        top.need::<Items>("layers")?.last().is_some_and(|last| kind_of(last) == Some("log_softmax"));
    let (text, file) = (text.to_owned(), file.to_owned());
    let mut network = Network::new(name, input, output, recipe(&top)?, {
        let (name, text) = (name.to_owned(), text.clone());
        move |config| build(&text, &file, &name, config)
    });
    network.loss =
        choice(&top, "loss")?.unwrap_or(if ends_in_log_softmax { Loss::Nll } else { Loss::CrossEntropy });
    network.arch = Some(text);
    Ok(network)
}

fn parse<'a>(source: &ArchFile<'a>) -> Result<DeTable<'a>> {
    let table = DeTable::parse(source.text).map_err(|e| {
        let at = e.span().map_or(0, |span| span.start);
        source.wrong(at, format!("is not valid TOML: {}", e.message()))
    })?;
    Ok(table.into_inner())
}

fn build(text: &str, file: &str, name: &str, config: &ModelConfig) -> Result<Box<dyn Module>> {
    let source = ArchFile { file, text };
    let table = parse(&source)?;
    let top = Keys { source: &source, name: String::new(), at: 0, table: &table };
    let (model, outputs) = layers(&top, name, config.input)?;
    if outputs != config.classes {
        let what = format!("the last layer has {outputs} outputs, but {} are needed", config.classes);
        return Err(top.wrong_key("layers", what).help("set the last layer's out_features or out_channels"));
    }
    Ok(Box::new(model))
}

/// The layers for an image of this size, and the number of classes or mask channels of the output.
fn layers(top: &Keys, name: &str, [c, h, w]: [usize; 3]) -> Result<(Sequential, usize)> {
    let items = list(top, "layers")?;
    // Two images, because a norm without running statistics needs more than one.
    let x = Tensor::zeros(&Device::meta(), &[2, c, h, w], DType::F32)?;
    let placer = Placer { source: top.source, model: name, placed: Cell::new(0) };
    let (layers, y) = placer.place(items, "layers", Sequential::new(), x)?;
    match y.dims() {
        &[_, outputs] | &[_, outputs, _, _] => Ok((Sequential::new().named("layers", layers), outputs)),
        dims => Err(top
            .wrong_key("layers", format!("the last layer's output is {dims:?}"))
            .expected("[N, classes], or [N, channels, H, W] for masks")),
    }
}

/// Builds layers one after another. Each is built for the output of the layer before, computed on the meta device.
struct Placer<'a> {
    source: &'a ArchFile<'a>,
    model: &'a str,
    placed: Cell<usize>,
}

impl<'a> Placer<'a> {
    /// Adds `items` to `net`, whose output is `x`. Returns the new network and its output.
    fn place(
        &self,
        items: Items<'a>,
        path: &str,
        mut net: Sequential,
        mut x: Tensor,
    ) -> Result<(Sequential, Tensor)> {
        for item in items {
            let at = item.span().start;
            self.placed.set(self.placed.get() + 1);
            if self.placed.get() > MOST_LAYERS {
                return Err(self.source.wrong(at, format!("more than {MOST_LAYERS} layers")));
            }
            let here = format!("{path}.{}", net.len());
            let (kind, keys) = self.open(item, &here)?;
            (net, x) = match kind.make {
                Make::Layer(make) => self.push(net, &keys, &x, || make(&keys, x.dims()))?,
                Make::Op(row) => self.push(net, &keys, &x, || of_op(&keys, row))?,
                Make::Sequential => {
                    let (block, y) = self.place(list(&keys, "layers")?, &here, Sequential::new(), x)?;
                    (net.push(block), y)
                }
                Make::Repeat => {
                    let mut all = (net, x);
                    for _ in 0..keys.need::<usize>("times")? {
                        all = self.place(list(&keys, "layers")?, path, all.0, all.1)?;
                    }
                    all
                }
                Make::Residual => {
                    let (block, y) = self.residual(&keys, &here, x)?;
                    (net.push(block), y)
                }
            };
        }
        Ok((net, x))
    }

    /// Adds a layer and returns the new output too. `make` is called twice: one layer is run to see its output, the
    /// other is added.
    fn push(
        &self,
        net: Sequential,
        keys: &Keys,
        x: &Tensor,
        make: impl Fn() -> Result<Box<dyn Module>>,
    ) -> Result<(Sequential, Tensor)> {
        let y = self.probe(&*make()?, keys, x)?;
        Ok((net.push(make()?), y))
    }

    fn residual(&self, keys: &Keys<'a>, path: &str, x: Tensor) -> Result<(Residual, Tensor)> {
        let (body, y) = self.place(list(keys, "layers")?, path, Sequential::new(), x.clone())?;
        let mut block = Residual::new(body);
        let mut beside = x;
        if let Some(items) = keys.get::<Items>("shortcut")? {
            let path = format!("{path}.shortcut");
            let (shortcut, z) = self.place(items, &path, Sequential::new(), beside)?;
            (block, beside) = (block.shortcut("shortcut", shortcut), z);
        }
        if y.dims() != beside.dims() {
            let what = format!(
                "the output of its layers is {:?} and cannot be added to {:?}",
                &y.dims()[1..],
                &beside.dims()[1..]
            );
            return Err(keys.wrong(what).help("a shortcut with a 1x1 conv2d can change channels and size"));
        }
        Ok((block, y))
    }

    /// The kind and the keys of one layer in the list.
    fn open(&self, item: &'a Spanned<DeValue<'a>>, path: &str) -> Result<(&'static Kind, Keys<'a>)> {
        let at = item.span().start;
        let table = item.get_ref().as_table().ok_or_else(|| {
            self.source
                .wrong(at, format!("{path} is not a layer"))
                .expected("a table such as { kind = \"relu\" }")
        })?;
        let mut keys = Keys { source: self.source, name: path.to_owned(), at, table };
        let name = keys.need::<&str>("kind")?;
        let kind = KINDS.iter().find(|kind| kind.name == name).ok_or_else(|| {
            let known: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
            keys.wrong_key("kind", format!("there is no kind `{name}`"))
                .expected(format!("one of {}", known.join(", ")))
        })?;
        keys.name = format!("{path} ({name})");
        let known: Vec<&str> = std::iter::once("kind").chain(kind.keys.iter().copied()).collect();
        keys.only(&known)?;
        Ok((kind, keys))
    }

    /// The layer's output for `x`, as a shape only.
    fn probe(&self, layer: &dyn Module, keys: &Keys, x: &Tensor) -> Result<Tensor> {
        let run = || {
            layer.init(x.device(), DType::F32, 0)?;
            layer.forward(&Ctx::eval(self.model), x)
        };
        run().map_err(|e| self.source.error(e.kind(), keys.at, format!("{}: {e}", keys.name)))
    }
}

/// A list of layers. It must not be empty.
fn list<'a>(keys: &Keys<'a>, key: &str) -> Result<Items<'a>> {
    let items = keys.need::<Items>(key)?;
    if items.is_empty() { Err(keys.wrong_key(key, "the list has no layers")) } else { Ok(items) }
}

fn kind_of<'a>(item: &'a Spanned<DeValue<'a>>) -> Option<&'a str> {
    item.get_ref().as_table()?.get("kind")?.get_ref().as_str()
}

/// The network's name. Run folders are named after it, so it must not be a path.
fn name<'a>(top: &'a Keys) -> Result<&'a str> {
    let name = top.get::<&str>("name")?.unwrap_or("arch");
    let plain = |c: char| c.is_alphanumeric() || "-_. ".contains(c);
    if name.starts_with(char::is_alphanumeric) && name.chars().all(plain) {
        return Ok(name);
    }
    Err(top
        .wrong_key("name", format!("name = {name:?} is not allowed"))
        .expected("letters, digits, - and _, because the name becomes part of the run folder's name"))
}

fn image(top: &Keys) -> Result<[usize; 3]> {
    let sizes: Items = top.need("input")?;
    let wrong = || {
        top.wrong_key("input", "is not an image size")
            .expected("[channels, height, width], each 1 or more, such as [1, 28, 28]")
    };
    let sizes: Option<Vec<usize>> = sizes.iter().map(keys::Value::read).collect();
    let image = sizes.and_then(|sizes| <[usize; 3]>::try_from(sizes).ok());
    image.filter(|&size| Image::is_size(size)).ok_or_else(wrong)
}

/// The training settings. The defaults are Adam at 0.001 on the embedded sample.
fn recipe(top: &Keys) -> Result<Recipe> {
    let own = Recipe::adam("sample", 64, 15, 0.001);
    let schedule = top
        .get::<&str>("scheduler")?
        .map(|text| text.parse().map_err(|e: Error| top.wrong_key("scheduler", e.to_string())));
    let optimizer = choice(top, "optimizer")?.unwrap_or(own.optimizer);
    let decay = if optimizer == OptimizerKind::Adamw { ADAMW_DECAY } else { own.weight_decay };
    Ok(Recipe {
        prepare: &[],
        data: top.get::<&str>("data")?.map_or(own.data, |data| data.to_owned().into()),
        batch_size: top.get("batch_size")?.unwrap_or(own.batch_size),
        epochs: top.get("epochs")?.unwrap_or(own.epochs),
        optimizer,
        lr: top.get("lr")?.unwrap_or(own.lr),
        momentum: top.get("momentum")?.unwrap_or(own.momentum),
        nesterov: top.get("nesterov")?.unwrap_or(own.nesterov),
        weight_decay: top.get("weight_decay")?.unwrap_or(decay),
        schedule: schedule.transpose()?.unwrap_or(own.schedule),
        scheme: choice(top, "scheme")?.unwrap_or(own.scheme),
        resize: top.get("resize")?,
    })
}

/// The value of a key that accepts only a few words.
fn choice<T: Named>(top: &Keys, key: &str) -> Result<Option<T>> {
    let Some(word) = top.get::<&str>(key)? else { return Ok(None) };
    let unknown = || top.wrong_key(key, format!("there is no {key} `{word}`")).expected(T::known());
    T::find(word).map(Some).ok_or_else(unknown)
}
