//! Records which tensors live when, and what uses the memory at its peak.
//!
//! The profiler keeps no tensor alive. It has weak references to their memory, and checks before each op which of them
//! are gone. So it knows a tensor's last op, but not the exact moment between that op and the next when the tensor was
//! dropped.

use super::record::{OpEvent, Profile, StepPhase};
use crate::core::DType;
use crate::tensor::{Cell, Data};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};

/// What a piece of memory is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// A trained parameter.
    Parameter,
    /// Stored with the weights, but not trained: running statistics.
    Buffer,
    /// The optimiser's state for a parameter: momentum (SGD), moments (Adam).
    OptimizerState,
    /// Made by a layer, and kept because the backward pass will read it.
    SavedForBackward,
    /// Made by a layer, and passed on to the next layer.
    Activation,
    /// Made in the backward pass: the gradient of a parameter, or one that is passed on to the previous layer.
    Gradient,
    /// Not made by a layer and not known by name: batches, labels, counters.
    Other,
    /// Temporary memory that an op uses while it runs.
    Scratch,
    /// Bytes by which the pool's blocks are larger than the tensors in them.
    Rounding,
}

impl Held {
    /// The name in words.
    pub fn name(self) -> &'static str {
        match self {
            Held::Parameter => "parameters",
            Held::Buffer => "buffers",
            Held::OptimizerState => "optimiser state",
            Held::SavedForBackward => "saved for backward",
            Held::Activation => "activations",
            Held::Gradient => "gradients",
            Held::Other => "input and other",
            Held::Scratch => "scratch",
            Held::Rounding => "rounding",
        }
    }
}

/// The life of a tensor's memory, from its first op to its last. Ops are given by their index in [`Profile::events`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TensorLife {
    /// The layer that made it, or whose parameter it is.
    pub path: String,
    /// The name of the op that made it, or the tensor's own name: `conv1.weight`, `momentum_buffer.conv1.weight`.
    pub name: String,
    /// What it is used for while the backward pass does not need it.
    pub held: Held,
    pub dims: Vec<usize>,
    #[serde(serialize_with = "as_text")]
    pub dtype: DType,
    /// Bytes of the memory; views share it and have no bytes of their own.
    pub bytes: usize,
    /// The op that made it. If it was made outside a watched op, the first op after that. `None`: it existed before the
    /// profile began.
    pub born: Option<usize>,
    /// The first op after it was freed; `None`: it was not freed.
    pub died: Option<usize>,
    /// From the op that recorded it first to the first op for which the backward pass no longer needed it.
    pub saved: Option<(usize, Option<usize>)>,
}

fn as_text<S: serde::Serializer>(dtype: &DType, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(dtype)
}

impl TensorLife {
    /// Whether it was alive while this op ran.
    pub fn lives_at(&self, event: usize) -> bool {
        self.born.is_none_or(|born| born <= event) && self.died.is_none_or(|died| event < died)
    }

    /// What it is used for while this op runs.
    pub fn held_at(&self, event: usize) -> Held {
        let saved = self.saved.is_some_and(|(from, to)| from <= event && to.is_none_or(|to| event < to));
        if saved && self.held == Held::Activation { Held::SavedForBackward } else { self.held }
    }
}

/// The memory of one kind that a layer holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HeldRow {
    pub path: String,
    pub held: Held,
    pub bytes: usize,
    pub tensors: usize,
    /// The sizes of the largest tensor among them.
    pub dims: Vec<usize>,
    /// The layer and op that made that tensor; empty: it existed before.
    pub born: String,
    /// The last op during which that tensor was alive; empty: it was not freed.
    pub died: String,
}

/// What uses the memory at the moment when most of it is in use.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MemoryAtPeak {
    /// The index of the op that runs then.
    pub event: usize,
    /// The same op in words: `backward conv1 conv2d_grad_weight`.
    pub at: String,
    /// Bytes in use in the device's pool.
    pub bytes: usize,
    /// One row per layer and kind, in the order they are first seen. They add up to `bytes`.
    pub rows: Vec<HeldRow>,
}

impl Profile {
    /// What uses the memory at the moment when most of it is in use; `None` if nothing ran.
    pub fn memory_at_peak(&self) -> Option<MemoryAtPeak> {
        let (at, event) = self.events.iter().enumerate().rev().max_by_key(|(_, event)| event.high)?;
        let mut rows = Vec::<HeldRow>::new();
        let mut places = BTreeMap::<(&str, Held), (usize, usize)>::new();
        for life in self.tensors.iter().filter(|life| life.bytes > 0 && life.lives_at(at)) {
            let (key, next) = ((&*life.path, life.held_at(at)), rows.len());
            let (place, largest) = places.entry(key).or_insert((next, 0));
            if *place == next {
                rows.push(HeldRow::new(&life.path, key.1));
            }
            let row = &mut rows[*place];
            row.bytes += life.bytes;
            row.tensors += 1;
            if life.bytes > *largest {
                *largest = life.bytes;
                row.dims = life.dims.clone();
                row.born = life.born.map_or(String::new(), |_| words([&life.path, &life.name]));
                let last = life.died.and_then(|died| self.events.get(died.checked_sub(1)?));
                row.died = last.map_or(String::new(), OpEvent::label);
            }
        }
        let tensors: usize = rows.iter().map(|row| row.bytes).sum();
        let rest = |path: &str, held, bytes| HeldRow { bytes, ..HeldRow::new(path, held) };
        rows.push(rest(&event.path, Held::Scratch, event.high.saturating_sub(event.in_use)));
        rows.push(rest("", Held::Rounding, event.in_use.saturating_sub(tensors)));
        rows.retain(|row| row.bytes > 0);
        Some(MemoryAtPeak { event: at, at: event.label(), bytes: event.high, rows })
    }
}

impl HeldRow {
    fn new(path: &str, held: Held) -> HeldRow {
        let (born, died) = (String::new(), String::new());
        HeldRow { path: path.to_owned(), held, bytes: 0, tensors: 0, dims: Vec::new(), born, died }
    }
}

impl OpEvent {
    /// `backward conv1 conv2d_grad_weight`.
    pub fn label(&self) -> String {
        words([self.phase.name(), &self.path, self.op])
    }
}

fn words<const N: usize>(words: [&str; N]) -> String {
    words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// What allocated a tensor, and for what use.
pub(super) struct Allocation<'a> {
    pub path: &'a str,
    pub name: &'a str,
    pub held: Held,
    pub at: Option<usize>,
}

/// The live tensors, found by their memory.
#[derive(Default)]
pub(super) struct LiveTensors {
    all: Vec<TensorLife>,
    /// A weak reference to the memory of each tensor, until it is freed.
    memory: Vec<Weak<Cell>>,
    /// For each tensor, how many recorded ops need it.
    needed: Vec<usize>,
    /// The live tensors by the address of their memory. The weak reference keeps that address from being reused.
    places: HashMap<usize, usize>,
}

impl LiveTensors {
    /// The index of this tensor's memory in the list. If it is not in the list yet, it is added as `allocation`
    /// describes.
    pub fn place(&mut self, data: &Data, allocation: &Allocation) -> usize {
        let next = self.all.len();
        let place = *self.places.entry(Arc::as_ptr(&data.cell).addr()).or_insert(next);
        if place == next {
            self.all.push(TensorLife {
                path: allocation.path.to_owned(),
                name: allocation.name.to_owned(),
                held: allocation.held,
                dims: data.shape.dims().to_vec(),
                dtype: data.dtype,
                bytes: data.cell.read().len(),
                born: allocation.at,
                died: None,
                saved: None,
            });
            self.memory.push(Arc::downgrade(&data.cell));
            self.needed.push(0);
        }
        place
    }

    /// What a tensor is used for, if it is known.
    pub fn held(&self, data: &Data) -> Option<Held> {
        self.places.get(&Arc::as_ptr(&data.cell).addr()).map(|&place| self.all[place].held)
    }

    /// Gives a tensor a name.
    pub fn name(&mut self, data: &Data, allocation: &Allocation) {
        let place = self.place(data, allocation);
        let life = &mut self.all[place];
        (life.path, life.name, life.held) =
            (allocation.path.to_owned(), allocation.name.to_owned(), allocation.held);
    }

    /// A recorded op needs these tensors for its gradient.
    pub fn need(&mut self, places: &[usize], now: usize) {
        for &place in places {
            self.needed[place] += 1;
            self.all[place].saved.get_or_insert((now, None)).1 = None;
        }
    }

    /// A recorded op no longer needs these tensors.
    pub fn release(&mut self, places: &[usize], now: usize) {
        for &place in places {
            self.needed[place] = self.needed[place].saturating_sub(1);
            if let (0, Some(saved)) = (self.needed[place], &mut self.all[place].saved) {
                saved.1 = Some(now);
            }
        }
    }

    /// Marks tensors whose memory is gone as freed before op number `now`.
    pub fn sweep(&mut self, now: usize) {
        let (all, memory) = (&mut self.all, &mut self.memory);
        self.places.retain(|_, &mut place| {
            let lives = memory[place].strong_count() > 0;
            if !lives {
                all[place].died = Some(now);
                memory[place] = Weak::new();
            }
            lives
        });
    }

    /// Treats the live tensors as if they had existed before the first op.
    pub fn restart(&mut self) {
        self.sweep(0);
        let old = std::mem::take(self);
        for (life, memory) in old.all.into_iter().zip(old.memory) {
            if life.died.is_none() {
                self.places.insert(memory.as_ptr().addr(), self.all.len());
                self.all.push(TensorLife { born: None, saved: None, ..life });
                self.memory.push(memory);
                self.needed.push(0);
            }
        }
    }

    /// Returns the recorded tensors.
    pub fn finish(mut self, now: usize) -> Vec<TensorLife> {
        self.sweep(now);
        self.all
    }
}

/// The use of a tensor that is made in this phase.
pub(super) fn made_in(phase: StepPhase) -> Held {
    match phase {
        StepPhase::Forward => Held::Activation,
        StepPhase::Backward => Held::Gradient,
        StepPhase::Update | StepPhase::Other => Held::Other,
    }
}
