//! The tape: one node per recorded op. A node has an edge for each input, which says where the input's gradient goes.
//! Of the op's tensors it keeps only those that backward reads.

use super::op::{Meta, Op};
use super::storage::{Cell, Data, Storage};
use super::{Device, Tensor};
use crate::core::{Error, ErrorKind, Result};
use smallvec::SmallVec;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Where a gradient goes.
#[derive(Clone, Default)]
pub(crate) enum Edge {
    /// Nowhere: the tensor needs no gradient.
    #[default]
    None,
    /// Into a leaf's accumulator.
    Leaf(Arc<Leaf>),
    /// To the op that made the tensor.
    Node(Arc<Node>),
}

/// Identifies a leaf: all clones of a parameter have the same id. It does not change while the tensor lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeafId(usize);

/// Where an input of a recorded op came from.
#[derive(Clone, Copy)]
pub enum Origin<'a> {
    /// A tensor that needs no gradient.
    Constant,
    /// A parameter, or any tensor on which `requires_grad` was called.
    Leaf(LeafId),
    /// Another recorded op.
    Op(&'a Arc<Node>),
}

impl Edge {
    pub fn origin(&self) -> Origin<'_> {
        match self {
            Edge::None => Origin::Constant,
            Edge::Leaf(leaf) => Origin::Leaf(LeafId(Arc::as_ptr(leaf).addr())),
            Edge::Node(node) => Origin::Op(node),
        }
    }
}

/// The gradient of a leaf: a parameter, or any tensor on which `requires_grad` was called.
#[derive(Default)]
pub(crate) struct Leaf {
    grad: Mutex<Option<Tensor>>,
}

impl Leaf {
    pub fn grad(&self) -> std::sync::MutexGuard<'_, Option<Tensor>> {
        self.grad.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A recorded op.
pub struct Node {
    pub(crate) seq: u64,
    pub(crate) op: Arc<dyn Op>,
    pub(crate) inputs: SmallVec<[Edge; 3]>,
    pub(crate) output: Meta,
    pub(crate) saved: Mutex<Option<Saved>>,
    /// `Some` after `retain_grad` was called: the gradient of the output is kept here.
    pub(crate) retained: Mutex<Option<Option<Tensor>>>,
    pub(crate) input_metas: SmallVec<[Meta; 3]>,
}

impl Node {
    /// The node's place on the tape. A larger number is later.
    pub fn sequence(&self) -> u64 {
        self.seq
    }

    /// The recorded op.
    pub fn op(&self) -> &dyn Op {
        &*self.op
    }

    /// Shapes and dtypes of the op's inputs.
    pub fn inputs(&self) -> &[Meta] {
        &self.input_metas
    }

    /// Shape and dtype of the op's first output.
    pub fn output(&self) -> Meta {
        self.output
    }

    /// Where each input came from.
    pub fn origins(&self) -> impl Iterator<Item = Origin<'_>> {
        self.inputs.iter().map(Edge::origin)
    }

    /// For each input, the node that made it, if that op was recorded.
    pub fn parents(&self) -> impl Iterator<Item = Option<&Arc<Node>>> {
        self.origins().map(|origin| match origin {
            Origin::Op(node) => Some(node),
            Origin::Constant | Origin::Leaf(_) => None,
        })
    }
}

/// A network of a thousand layers is a chain of a thousand nodes. If each node dropped the next one recursively, the
/// stack would overflow. So the first node that is dropped takes its whole chain apart in a loop.
impl Drop for Node {
    fn drop(&mut self) {
        let mut stack: Vec<Edge> = self.inputs.drain(..).collect();
        while let Some(edge) = stack.pop() {
            if let Edge::Node(node) = edge
                && let Some(mut node) = Arc::into_inner(node)
            {
                stack.extend(node.inputs.drain(..));
            }
        }
    }
}

/// A tensor kept for backward, with the version of its storage at that time.
struct SavedTensor {
    data: Data,
    version: u64,
}

/// What an op's backward receives: the tensors it asked to save, and the shapes of all inputs.
pub struct Saved {
    inputs: SmallVec<[Option<SavedTensor>; 3]>,
    outputs: SmallVec<[Option<SavedTensor>; 2]>,
    metas: SmallVec<[Meta; 3]>,
    device: Device,
    /// The first tensor that backward read although it was not saved. The methods that read cannot return an error, so
    /// the engine returns it after the op's backward.
    misread: OnceLock<Misread>,
}

#[derive(Clone, Copy)]
struct Misread {
    kind: &'static str,
    position: usize,
    there: usize,
}

impl Saved {
    pub(crate) fn new(op: &dyn Op, device: &Device, inputs: &[&Tensor], outputs: &[Data]) -> Saved {
        let saves = op.saves();
        let keep = |mask: u32, i: usize, data: &Data| {
            (mask.checked_shr(i as u32).unwrap_or(0) & 1 == 1)
                .then(|| SavedTensor { data: data.clone(), version: data.cell.version() })
        };
        Saved {
            inputs: inputs.iter().enumerate().map(|(i, x)| keep(saves.inputs, i, x.data())).collect(),
            outputs: outputs.iter().enumerate().map(|(i, y)| keep(saves.outputs, i, y)).collect(),
            metas: inputs.iter().map(|x| x.meta()).collect(),
            device: device.clone(),
            misread: OnceLock::new(),
        }
    }

    /// Input `i`, which [`Op::saves`] must list. If it does not, this returns a meta tensor without elements, and the
    /// `backward` of the whole graph ends with an error that names the op and the input.
    pub fn input(&self, i: usize) -> Tensor {
        match self.inputs.get(i) {
            Some(Some(saved)) => self.tensor(saved),
            _ => self.absent("input", i, self.inputs.len()),
        }
    }

    /// Output `i` (hidden outputs count), which [`Op::saves`] must list. If it does not, the same happens as for
    /// [`input`](Self::input).
    pub fn output(&self, i: usize) -> Tensor {
        match self.outputs.get(i) {
            Some(Some(saved)) => self.tensor(saved),
            _ => self.absent("output", i, self.outputs.len()),
        }
    }

    fn absent(&self, kind: &'static str, position: usize, there: usize) -> Tensor {
        // Only the first is reported: later ones may be its consequence.
        let _ = self.misread.set(Misread { kind, position, there });
        // `metas` is not empty, because an op has at least one input.
        let Meta { shape, dtype } = self.metas[if position < self.metas.len() { position } else { 0 }];
        let data = Data { cell: Cell::new(Storage::Meta), offset: 0, shape, dtype };
        Tensor::new(data, Device::meta(), Edge::None)
    }

    /// # Errors
    /// Backward read a tensor that was not saved.
    pub(crate) fn misread(&self, op: &dyn Op) -> Result<()> {
        let Some(&Misread { kind, position, there }) = self.misread.get() else { return Ok(()) };
        let what = if position < there {
            format!("backward reads {kind} {position}, but saves() does not list it")
        } else {
            format!("backward reads {kind} {position}, but the op has {there}")
        };
        let named = |saved: &[Option<SavedTensor>]| {
            let positions: Vec<usize> = (0..saved.len()).filter(|&i| saved[i].is_some()).collect();
            format!("{positions:?}")
        };
        Err(Error::argument(op.name(), what)
            .with("saved inputs", named(&self.inputs))
            .with("saved outputs", named(&self.outputs))
            .help("list it in saves(), as in Saves::inputs(&[0]); for its shape alone, use saved.meta(i)"))
    }

    /// All saved tensors.
    pub fn tensors(&self) -> impl Iterator<Item = &Data> {
        self.inputs.iter().chain(&self.outputs).flatten().map(|saved| &saved.data)
    }

    /// Shape and dtype of input `i`, saved or not. If there is no such input, `backward` ends with an error.
    pub fn meta(&self, i: usize) -> Meta {
        self.metas.get(i).copied().unwrap_or_else(|| self.absent("input", i, self.metas.len()).meta())
    }

    /// The number of inputs.
    pub fn len(&self) -> usize {
        self.metas.len()
    }

    /// Whether the op had no inputs.
    pub fn is_empty(&self) -> bool {
        self.metas.is_empty()
    }

    fn tensor(&self, saved: &SavedTensor) -> Tensor {
        Tensor::new(saved.data.clone(), self.device.clone(), Edge::None)
    }

    /// # Errors
    /// A saved tensor was changed in place since it was saved.
    pub(crate) fn check_versions(&self, op: &dyn Op) -> Result<()> {
        let named = |kind: &'static str| move |(i, s)| (kind, i, s);
        let all = self.inputs.iter().enumerate().map(named("input"));
        for (kind, i, saved) in all.chain(self.outputs.iter().enumerate().map(named("output"))) {
            let Some(saved) = saved else { continue };
            let now = saved.data.cell.version();
            if now != saved.version {
                let what = format!("{kind} {i} was saved for backward, and then changed in place");
                return Err(Error::new(ErrorKind::StaleSaved, op.name(), what)
                    .with(kind, saved.data.shape)
                    .with("version when saved", saved.version)
                    .with("now", now)
                    .help("call backward before the optimiser's step, or change a copy of the tensor"));
            }
        }
        Ok(())
    }
}
