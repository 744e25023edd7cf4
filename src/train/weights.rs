//! Weights from other programs, fitted to a model. Their names may differ from the model's by one prefix, and the file
//! may hold tensors that no layer needs.
//!
//! `nn.DataParallel` puts `module.` before every name, and `torch.compile` puts `_orig_mod.`. A network that was a part
//! of a larger one carries that part's name (`model.`, `net.`, `backbone.`). The model here may also be the larger one:
//! torchvision's `resnet34` is the encoder of `unet-resnet34`.

use super::checkpoint::Checkpoint;
use crate::core::{DType, Error, ErrorKind, Result};
use crate::io::TensorFile;
use crate::io::safetensors::unknown_dtype;
use crate::nn::{Module, ModuleExt};
use crate::tensor::{Device, Tensor};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

/// Prefixes that wrappers put before names.
const WRAPPERS: [&str; 4] = ["module", "_orig_mod", "model", "net"];
/// The most names of one kind that a message lists.
const SHOWN: usize = 4;

/// Weights under the model's names, and one note for each change that this needed.
pub struct FittedWeights {
    pub weights: BTreeMap<String, Tensor>,
    pub notes: Vec<String>,
}

impl FittedWeights {
    /// The best weights of a run, or the weights in a file.
    pub(super) fn of_path(model: &dyn Module, path: &Path, device: &Device) -> Result<FittedWeights> {
        if !path.is_dir() {
            return FittedWeights::read(model, path, device);
        }
        let best = path.join("best.safetensors");
        let checkpoint = path.join("checkpoint.safetensors");
        if best.exists() {
            let read = FittedWeights::read(model, &best, device);
            let damaged = |e: Error| match e.kind() == ErrorKind::Format && checkpoint.exists() {
                true => e.help("delete the file: the checkpoint also contains the best weights"),
                false => e,
            };
            return read.map_err(damaged);
        }
        if !checkpoint.exists() {
            return Err(Error::new(
                ErrorKind::Missing,
                path.display().to_string(),
                "contains no weights yet",
            )
            .expected("best.safetensors or checkpoint.safetensors")
            .help(format!("continue it with `RunDir::open({})`", path.display())));
        }
        let checkpoint = Checkpoint::load(&checkpoint, device)?;
        let weights = checkpoint.state.best.map_or(checkpoint.weights, |best| best.weights);
        Ok(FittedWeights { weights, notes: Vec::new() })
    }

    /// Reads a file of weights for `model`.
    ///
    /// # Errors
    /// A file that is not safetensors; a tensor that the model needs, of a dtype that this crate does not have.
    pub fn read(model: &dyn Module, path: &Path, device: &Device) -> Result<FittedWeights> {
        let mut file = TensorFile::read_known(path, device)?;
        let known: BTreeSet<String> = model.params().into_iter().map(|(name, _)| name).collect();
        let names: Vec<&str> = file.tensors.keys().chain(file.skipped.keys()).map(String::as_str).collect();
        let change = PrefixChange::between(&names, &known);
        let mut notes: Vec<String> = change.note().into_iter().collect();
        file.tensors = change.apply(file.tensors, &known);
        file.skipped = change.apply(file.skipped, &known);
        if let Some((name, dtype)) = file.skipped.iter().find(|(name, _)| known.contains(*name)) {
            return Err(unknown_dtype(path, name, dtype));
        }
        let mut extra = file.skipped;
        let needed = file.tensors.iter().filter(|(name, _)| known.contains(*name));
        let types: Vec<DType> = needed.map(|(_, t)| t.dtype()).filter(|t| t.is_float()).collect();
        // Keep tensors that the model lacks but whose dtype is that of weights: they are reported as unexpected.
        // Counters and scales have other dtypes and are dropped.
        file.tensors.retain(|name, tensor| {
            let dtype = tensor.dtype();
            let keep = known.contains(name) || types.is_empty() || types.contains(&dtype);
            if !keep {
                extra.insert(name.clone(), dtype.to_string());
            }
            keep
        });
        if !extra.is_empty() {
            let some = listed(extra.iter().map(|(name, dtype)| format!("{name} ({dtype})")));
            notes.push(format!("skipped tensors that the network does not need: {some}"));
        }
        Ok(FittedWeights { weights: file.tensors, notes })
    }
}

/// The error for a file in which no tensor fits the model.
pub fn nothing_fits(model: &dyn Module, weights: &BTreeMap<String, Tensor>, path: &Path) -> Error {
    let shown = |(name, dims): (String, &[usize])| format!("{name} {dims:?}");
    let ours = listed(model.params().into_iter().map(|(name, p)| shown((name, p.dims()))));
    let theirs = listed(weights.iter().map(|(name, t)| shown((name.clone(), t.dims()))));
    Error::format(path.display(), "no tensor matches the network in name and shape")
        .with("the file has", theirs)
        .with("the network has", ours)
        .help("rename the file's tensors to the network's names, and save the file again")
}

/// The first few names; the rest are counted.
fn listed(all: impl Iterator<Item = String>) -> String {
    let mut all: Vec<String> = all.collect();
    let more = all.len().saturating_sub(SHOWN);
    all.truncate(SHOWN);
    let more = if more == 0 { String::new() } else { format!(", and {more} more") };
    if all.is_empty() { "nothing".to_owned() } else { all.join(", ") + &more }
}

/// Replaces one prefix of the file's names (`removed`) by one of the model's (`added`). Each ends in a dot or is empty.
#[derive(Debug, Default, PartialEq, Eq)]
struct PrefixChange {
    removed: String,
    added: String,
}

impl PrefixChange {
    /// The change that makes the most names agree. No change if fewer or as many names agree with it as without it, or
    /// if two changes do equally well.
    fn between(names: &[&str], known: &BTreeSet<String>) -> PrefixChange {
        let mut by_last: HashMap<&str, Vec<&str>> = HashMap::new();
        for name in known {
            by_last.entry(last(name)).or_default().push(name);
        }
        let mut counts: HashMap<(&str, &str), usize> = HashMap::new();
        for name in names {
            for ours in by_last.get(last(name)).into_iter().flatten() {
                let (removed, added) = apart(name, ours);
                if allowed(removed, added) {
                    *counts.entry((removed, added)).or_default() += 1;
                }
            }
        }
        let most = counts.values().max().copied().unwrap_or(0);
        let mut best = counts.iter().filter(|(_, count)| **count == most).map(|(pair, _)| *pair);
        match (best.next(), best.next()) {
            (Some((removed, added)), None) => {
                PrefixChange { removed: removed.to_owned(), added: added.to_owned() }
            }
            _ => PrefixChange::default(),
        }
    }

    fn note(&self) -> Option<String> {
        let PrefixChange { removed, added } = self;
        match (removed.is_empty(), added.is_empty()) {
            (true, true) => None,
            (false, true) => Some(format!("removed the prefix `{removed}` from the file's names")),
            (true, false) => Some(format!("added the prefix `{added}` to the file's names")),
            (false, false) => {
                Some(format!("replaced the prefix `{removed}` by `{added}` in the file's names"))
            }
        }
    }

    /// Keeps a name that is already one of the model's, and a name that `added` does not turn into one of the model's.
    fn apply<T>(&self, all: BTreeMap<String, T>, known: &BTreeSet<String>) -> BTreeMap<String, T> {
        let rename = |name: String| match name.strip_prefix(&self.removed) {
            Some(rest) if !known.contains(&name) => {
                let new = format!("{}{rest}", self.added);
                if self.added.is_empty() || known.contains(&new) { new } else { name }
            }
            _ => name,
        };
        let taken: BTreeSet<String> = all.keys().cloned().collect();
        let free = |name: String| {
            let new = rename(name.clone());
            if new != name && taken.contains(&new) { name } else { new }
        };
        all.into_iter().map(|(name, value)| (free(name), value)).collect()
    }
}

/// The part after the last dot.
fn last(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// Splits off the longest common end of two names, in whole dot-separated parts. Returns the two beginnings.
fn apart<'a>(a: &'a str, b: &'a str) -> (&'a str, &'a str) {
    let same: usize =
        a.rsplit('.').zip(b.rsplit('.')).take_while(|(a, b)| a == b).map(|(part, _)| part.len() + 1).sum();
    let before = |name: &'a str| &name[..(name.len() + 1).saturating_sub(same)];
    (before(a), before(b))
}

/// Whether this replacement is allowed. Removing and adding at once is allowed only if the removed prefix belongs to a
/// wrapper: replacing `fc.` by `classifier.` would name another layer.
fn allowed(removed: &str, added: &str) -> bool {
    let wrapper = |part: &str| WRAPPERS.contains(&part);
    removed.is_empty() || added.is_empty() || removed.trim_end_matches('.').split('.').all(wrapper)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(file: &[&str], model: &[&str]) -> (String, String) {
        let known = model.iter().map(|name| (*name).to_owned()).collect();
        let PrefixChange { removed, added } = PrefixChange::between(file, &known);
        (removed, added)
    }

    #[test]
    fn one_prefix_is_found_whatever_it_is() {
        let net = ["conv1.weight", "conv1.bias", "layer1.0.conv1.weight", "fc.weight", "fc.bias"];
        for prefix in
            ["", "module.", "_orig_mod.", "model.", "net.", "module._orig_mod.", "foo.bar.", "a.conv1."]
        {
            let file: Vec<String> = net.iter().map(|name| format!("{prefix}{name}")).collect();
            let file: Vec<&str> = file.iter().map(String::as_str).collect();
            assert_eq!(change(&file, &net), (prefix.to_owned(), String::new()));
            assert_eq!(change(&net, &file), (String::new(), prefix.to_owned()));
        }
        let unet = ["encoder.conv1.weight", "encoder.conv1.bias", "encoder.fc.weight", "up.weight"];
        let file = ["module.conv1.weight", "module.conv1.bias", "module.fc.weight"];
        assert_eq!(change(&file, &unet), ("module.".to_owned(), "encoder.".to_owned()));
    }

    #[test]
    fn what_is_no_prefix_stays() {
        let none = (String::new(), String::new());
        assert_eq!(change(&["classifier.weight", "classifier.bias"], &["fc.weight", "fc.bias"]), none);
        let two = ["student.fc.weight", "teacher.fc.weight", "student.fc.bias", "teacher.fc.bias"];
        assert_eq!(change(&two, &["fc.weight", "fc.bias"]), none);
        assert_eq!(change(&["fc.weight", "x.fc.weight"], &["fc.weight"]), none);
        assert_eq!(change(&[], &["fc.weight"]), none);
    }
}
