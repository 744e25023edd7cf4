//! What every model can do because its parameters can be visited: initialise, count, save and load by PyTorch's names.

use super::{Module, Param, Role, Scheme, Visitor};
use crate::core::{DType, Error, ErrorKind, Key, Result};
use crate::tensor::{Device, Tensor};
use std::collections::BTreeMap;

/// The mismatches found while loading a state_dict.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// In the model, not in the file.
    pub missing: Vec<String>,
    /// In the file, not in the model.
    pub unexpected: Vec<String>,
    /// In both, with different shapes: name, shape in the model, shape in the file.
    pub misshapen: Vec<(String, Vec<usize>, Vec<usize>)>,
}

impl LoadReport {
    /// Whether every name and shape matched.
    fn is_clean(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.misshapen.is_empty()
    }

    /// One line per mismatch.
    pub fn lines(&self) -> Vec<String> {
        let missing = self.missing.iter().map(|name| format!("missing {name}"));
        let unexpected = self.unexpected.iter().map(|name| format!("unexpected {name}"));
        let misshapen = self
            .misshapen
            .iter()
            .map(|(name, model, file)| format!("{name} is {file:?} in the file and {model:?} in the model"));
        missing.chain(unexpected).chain(misshapen).collect()
    }
}

/// Methods of every module.
pub trait ModuleExt: Module {
    /// Parameters and buffers by path, in the order in which the model visits them.
    fn params(&self) -> Vec<(String, &Param)>;

    /// All layers by path, parents before children.
    fn modules(&self) -> Vec<(String, &dyn Module)>;

    /// Whether the layer contains no other layers.
    fn is_leaf(&self) -> bool {
        self.modules().is_empty()
    }

    /// Gives every parameter its values, drawn from `seed` and its path.
    ///
    /// # Errors
    /// An impossible shape; a layer or parameter whose name is empty, or is that of another one.
    fn init(&self, device: &Device, dtype: DType, seed: u64) -> Result<()> {
        self.init_with(device, dtype, seed, Scheme::Default)
    }

    /// As [`init`](Self::init), with `scheme` instead of the layers' own rules.
    ///
    /// # Errors
    /// As [`init`](Self::init).
    fn init_with(&self, device: &Device, dtype: DType, seed: u64, scheme: Scheme) -> Result<()> {
        let root = Key::new(seed).child("init");
        let params = self.params();
        let layers = self.modules();
        check_not_empty(layers.iter().map(|(path, _)| path).chain(params.iter().map(|(path, _)| path)))?;
        check_names(&params)?;
        let dims: BTreeMap<&str, &[usize]> =
            params.iter().map(|(path, p)| (path.as_str(), p.dims())).collect();
        for (path, param) in &params {
            let layer = path.rsplit_once('.').map_or(String::new(), |(layer, _)| format!("{layer}."));
            let weight = dims.get(format!("{layer}weight").as_str()).copied();
            param.initialise(device, dtype, root.child(path), scheme.rule(path, param.dims(), weight))?;
        }
        Ok(())
    }

    /// The number of trained values, frozen ones included.
    fn num_parameters(&self) -> usize {
        self.params().iter().filter(|(_, p)| p.role() == Role::Weight).map(|(_, p)| p.numel()).sum()
    }

    /// The trained tensors by path, without frozen ones. An optimiser takes these.
    ///
    /// # Errors
    /// The model was not initialised.
    fn trainable(&self) -> Result<Vec<(String, Tensor)>> {
        let weights = self.params().into_iter().filter(|(_, p)| p.role() == Role::Weight && !p.is_frozen());
        weights.map(|(path, p)| Ok((path, p.value()?.clone()))).collect()
    }

    /// Drops all gradients.
    ///
    /// # Errors
    /// The model was not initialised.
    fn zero_grad(&self) -> Result<()> {
        self.params().iter().try_for_each(|(_, p)| p.value().map(Tensor::zero_grad))
    }

    /// Every parameter and buffer by its PyTorch name. The tensors share memory with the model.
    ///
    /// # Errors
    /// The model was not initialised.
    fn state_dict(&self) -> Result<BTreeMap<String, Tensor>> {
        self.params().into_iter().map(|(path, p)| Ok((path, p.value()?.detach()))).collect()
    }

    /// Compares names and shapes with those of `weights`. Only `num_batches_tracked` may be missing.
    fn compare(&self, weights: &BTreeMap<String, Tensor>) -> LoadReport {
        let mut report = LoadReport::default();
        let params = self.params();
        for (path, param) in &params {
            match weights.get(path) {
                // Older files do not have it. As in PyTorch, the count then continues from its current value.
                None if path.ends_with(".num_batches_tracked") => {}
                None => report.missing.push(path.clone()),
                Some(w) if w.dims() != param.dims() => {
                    report.misshapen.push((path.clone(), param.dims().to_vec(), w.dims().to_vec()));
                }
                Some(_) => {}
            }
        }
        let known = |name: &&String| params.iter().any(|(path, _)| path == *name);
        report.unexpected = weights.keys().filter(|name| !known(name)).cloned().collect();
        report
    }

    /// Copies into the model every tensor that matches by name and shape, converting dtype and device. Reports
    /// mismatches.
    ///
    /// # Errors
    /// The model was not initialised.
    fn load_matching(&self, weights: &BTreeMap<String, Tensor>) -> Result<LoadReport> {
        for (path, param) in self.params() {
            let value = param.value()?;
            if let Some(w) = weights.get(&path).filter(|w| w.dims() == param.dims()) {
                value.copy_from(&w.to_dtype(value.dtype())?.to_device(value.device())?)?;
            }
        }
        Ok(self.compare(weights))
    }

    /// Copies `weights` into the model. If any name or shape does not match, nothing is changed.
    ///
    /// # Errors
    /// Any mismatch. The message lists missing, unexpected and misshapen names.
    fn load_state_dict(&self, weights: &BTreeMap<String, Tensor>) -> Result<()> {
        let report = self.compare(weights);
        if !report.is_clean() {
            let what = format!("the weights do not fit this model:\n    {}", report.lines().join("\n    "));
            return Err(Error::new(ErrorKind::Format, "state_dict", what)
                .help("the names must be those of the model's own state_dict, e.g. conv1.weight"));
        }
        self.load_matching(weights).map(|_| ())
    }
}

/// Returns an error if a part of a path, between two dots, is empty. Such a layer could not be found by its name.
fn check_not_empty<'a>(mut paths: impl Iterator<Item = &'a String>) -> Result<()> {
    match paths.find(|path| path.split('.').any(str::is_empty)) {
        None => Ok(()),
        Some(path) => Err(Error::argument("init", format!("the path `{path}` has an empty name"))
            .expected("names such as `conv1`, or `linears.0` with a text before and after each dot")),
    }
}

/// Returns an error if two parameters have the same name: they would share one place in a file of weights.
fn check_names(params: &[(String, &Param)]) -> Result<()> {
    let mut seen: BTreeMap<&str, &Param> = BTreeMap::new();
    for (path, param) in params {
        if seen.insert(path, param).is_some_and(|other| !std::ptr::eq(other, *param)) {
            return Err(Error::argument(
                "init",
                format!("visit() shows two parameters with the name `{path}`"),
            )
            .help("give each parameter and each child of a module a different name"));
        }
    }
    Ok(())
}

impl<M: Module + ?Sized> ModuleExt for M {
    fn params(&self) -> Vec<(String, &Param)> {
        let mut visitor = Visitor::default();
        self.visit(&mut visitor);
        visitor.params
    }

    fn modules(&self) -> Vec<(String, &dyn Module)> {
        let mut visitor = Visitor::default();
        self.visit(&mut visitor);
        visitor.modules
    }
}
