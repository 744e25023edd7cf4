//! The ops, grouped by family. Each op has one file and one row in the table of ops.
//!
//! | folder | what |
//! |---|---|
//! | `elementwise/` | functions of one element, or of two with broadcasting: activations, arithmetic, masks |
//! | `shape/` | the same elements in other positions: reshape, permute, slices, padding |
//! | `reduce/` | many elements to one: sums, means, largest elements |
//! | `product/` | matrix products and linear layers |
//! | `conv/` | convolutions, and their gradients |
//! | `pool/` | poolings, and resizing |
//! | `norm/` | normalisations, and softmax |
//! | `loss/` | losses |
//! | `random/` | dropout |
//!
//! A row has everything that the rest of the crate needs to know about an op. Gradient checks, golden vectors, random
//! cases, benches, the `receptive op` command and the layers of arch files are all derived from the table, so there is
//! no second list to maintain.
//!
//! The letters and signs of all formulas are defined once, in [`notation`] (the page `docs/notation.md`).
//!
//! **To add an op:** write `src/ops/FAMILY/name.rs` (a link to the notation, formula, derivation, `impl Op`, a method
//! on [`Tensor`], `SPEC` with cases), add its module and its row to the family's `mod.rs` and its kernel to
//! `kernels/`, run `cargo test`. CONTRIBUTING.md has every step.

mod attrs;
mod call;
mod case;
mod gradient;
pub mod images;

#[doc = include_str!("../../docs/notation.md")]
pub mod notation {}

mod conv;
mod elementwise;
mod loss;
mod norm;
mod pool;
mod product;
mod random;
mod reduce;
mod shape;

pub use attrs::{AttrValue, Attrs};
pub use call::Call;
pub use case::{Case, CaseInput, Fill, Tag};
pub use conv::*;
pub use elementwise::*;
pub use loss::*;
pub use norm::*;
pub use pool::*;
pub use product::*;
pub use random::*;
pub use reduce::*;
pub use shape::*;

use crate::core::{Error, ErrorKind, Result};
use crate::tensor::{Op, Tensor};
use std::collections::BTreeMap;
use std::sync::Arc;

/// An input of an op, by its PyTorch name.
#[derive(Debug, Clone, Copy)]
pub struct Input {
    /// Its name in `torch.nn.functional`.
    pub name: &'static str,
    /// May be left out.
    pub optional: bool,
    /// Takes any number of tensors, named `name.0`, `name.1`, ...
    pub list: bool,
    /// Receives a gradient if its dtype is floating-point.
    pub differentiable: bool,
}

impl Input {
    /// A required, differentiable input.
    pub const fn new(name: &'static str) -> Input {
        Input { name, optional: false, list: false, differentiable: true }
    }

    /// Makes this input optional.
    pub const fn optional(self) -> Input {
        Input { optional: true, ..self }
    }

    /// Makes this input a list of tensors.
    pub const fn list(self) -> Input {
        Input { list: true, ..self }
    }

    /// Makes this an input that never receives a gradient (labels, class weights).
    pub const fn constant(self) -> Input {
        Input { differentiable: false, ..self }
    }
}

/// One row of the table of ops.
pub struct OpSpec {
    /// The op's name, the same as in PyTorch.
    pub name: &'static str,
    /// The equivalent PyTorch call.
    pub torch: &'static str,
    /// The inputs, in the op's order.
    pub inputs: &'static [Input],
    /// Names of the outputs that callers see. Gradients are computed from the first.
    pub outputs: &'static [&'static str],
    /// Names of the attributes that it reads.
    pub attrs: &'static [&'static str],
    /// PyTorch's class for a layer that only runs this op, without parameters or randomness. An arch file can then use
    /// the op's name as a layer, with the attributes as keys.
    pub layer: Option<&'static str>,
    /// Makes the op from its attributes.
    pub build: fn(&Attrs) -> Result<Arc<dyn Op>>,
    /// Shapes and settings for checks and benches.
    pub cases: fn() -> Vec<Case>,
}

/// The rows of all families.
const FAMILIES: [&[&OpSpec]; 9] = [
    elementwise::ROWS,
    shape::ROWS,
    reduce::ROWS,
    product::ROWS,
    conv::ROWS,
    pool::ROWS,
    norm::ROWS,
    loss::ROWS,
    random::ROWS,
];

/// Every op, by name.
pub static OPS: &[&OpSpec] = &sorted();

/// Number of rows.
const COUNT: usize = {
    let (mut count, mut i) = (0, 0);
    while i < FAMILIES.len() {
        count += FAMILIES[i].len();
        i += 1;
    }
    count
};

/// All rows, sorted by name (insertion sort).
const fn sorted() -> [&'static OpSpec; COUNT] {
    let mut rows = [FAMILIES[0][0]; COUNT];
    let (mut family, mut row, mut count) = (0, 0, 0);
    while family < FAMILIES.len() {
        if row == FAMILIES[family].len() {
            (family, row) = (family + 1, 0);
            continue;
        }
        let mut place = count;
        while place > 0 && before(FAMILIES[family][row].name, rows[place - 1].name) {
            rows[place] = rows[place - 1];
            place -= 1;
        }
        rows[place] = FAMILIES[family][row];
        (row, count) = (row + 1, count + 1);
    }
    rows
}

/// Whether `a` comes before `b` in byte order.
const fn before(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut i = 0;
    while i < a.len() && i < b.len() && a[i] == b[i] {
        i += 1;
    }
    i < b.len() && (i == a.len() || a[i] < b[i])
}

/// The row with this name.
///
/// # Errors
/// No such op. The message lists all ops.
pub fn find(name: &str) -> Result<&'static OpSpec> {
    OPS.iter().copied().find(|spec| spec.name == name).ok_or_else(|| {
        let known: Vec<&str> = OPS.iter().map(|spec| spec.name).collect();
        Error::new(ErrorKind::Missing, "op", format!("there is no op `{name}`"))
            .expected(format!("one of {}", known.join(", ")))
            .like(name, &known)
    })
}

impl OpSpec {
    /// Makes the op. `inputs` are the names of the tensors that it will receive.
    ///
    /// # Errors
    /// An unknown or malformed attribute.
    pub fn make(&self, attrs: &BTreeMap<String, String>, inputs: &[&str]) -> Result<Arc<dyn Op>> {
        if let Some(unknown) = attrs.keys().find(|key| !self.attrs.contains(&key.as_str())) {
            return Err(Error::argument(self.name, format!("there is no attribute `{unknown}`"))
                .expected(if self.attrs.is_empty() { "none".into() } else { self.attrs.join(", ") })
                .like(unknown, self.attrs));
        }
        (self.build)(&Attrs::new(self.name, attrs, inputs))
    }

    /// Puts the names in `given` into the op's order.
    ///
    /// # Errors
    /// A required input that is missing, or a name that the op does not know.
    pub fn bind<'a>(&self, given: &[&'a str]) -> Result<Vec<&'a str>> {
        let mut bound = Vec::new();
        for input in self.inputs {
            let before = bound.len();
            if input.list {
                let item = |i: usize| format!("{}.{i}", input.name);
                bound.extend((0..).map_while(|i| given.iter().copied().find(|name| *name == item(i))));
            } else {
                bound.extend(given.iter().copied().find(|name| *name == input.name));
            }
            if bound.len() == before && !input.optional {
                let name = if input.list { format!("{}.0", input.name) } else { input.name.to_owned() };
                return Err(Error::new(ErrorKind::Missing, self.name, format!("input `{name}` is missing"))
                    .with("given", format_args!("{given:?}"))
                    .help(format!("the PyTorch call is {}", self.torch)));
            }
        }
        if let Some(unknown) = given.iter().find(|name| !bound.contains(name)) {
            let known: Vec<&str> = self.inputs.iter().map(|i| i.name).collect();
            return Err(Error::argument(self.name, format!("there is no input `{unknown}`"))
                .expected(known.join(", ")));
        }
        Ok(bound)
    }

    /// The default of an attribute, read from the call in [`torch`](Self::torch).
    pub fn default_of(&self, key: &str) -> Option<&'static str> {
        let value = self
            .torch
            .split([',', '(', ')'])
            .find_map(|word| word.trim().strip_prefix(key)?.strip_prefix('='))?;
        Some(value.trim_matches('\''))
    }

    /// Whether the input bound under `name` can receive a gradient.
    pub fn differentiable(&self, name: &str) -> bool {
        let base = name.split('.').next().unwrap_or(name);
        self.inputs.iter().any(|i| i.name == base && i.differentiable)
    }
}

/// The first output of an op that has only one.
pub(crate) fn one(outputs: crate::tensor::Outputs) -> Tensor {
    outputs.into_iter().next().expect("every op has a first output")
}
