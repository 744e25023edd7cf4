//! Which tensors live when, and what holds the memory at its peak.
//!
//! The profiler keeps no tensor: it has weak references to their memory, and looks before each op which of them are gone.
//! So a tensor's last op is known; in which moment between that and the next op it was dropped is not.

use super::record::{OpEvent, Phase, Profile};
use crate::core::DType;
use crate::tensor::{Cell, Data};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};

/// What a piece of memory is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// A trained parameter.
    Parameter,
    /// Kept with the weights, but not trained: running statistics.
    Buffer,
    /// What the optimiser remembers of a parameter: momentum, moments.
    OptimizerState,
    /// Made by a layer, and kept because the backward pass will read it.
    SavedForBackward,
    /// Made by a layer, and on its way to the next.
    Activation,
    /// Made in the backward pass: of a parameter, or on its way to the layer before.
    Gradient,
    /// Neither made by a layer nor known by name: batches, labels, counters.
    Other,
    /// Memory that an op takes for itself while it runs.
    Scratch,
    /// What the pool's blocks are larger than the tensors in them.
    Rounding,
}

impl Held {
    /// In words.
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

/// A tensor's memory, from its first op to its last. Ops are named by their position in [`Profile::events`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TensorLife {
    /// The layer that made it, or that it is a parameter of.
    pub path: String,
    /// The op that made it, or its name: `conv1.weight`, `momentum_buffer.conv1.weight`.
    pub name: String,
    /// What it is, while the backward pass does not need it.
    pub held: Held,
    pub dims: Vec<usize>,
    #[serde(serialize_with = "as_text")]
    pub dtype: DType,
    /// Bytes of the memory; views of it have none of their own.
    pub bytes: usize,
    /// The op that made it; if none that was watched did, the first that it lived to see. None: it was there before all.
    pub born: Option<usize>,
    /// The first op that it did not live to see; none: it was there to the end.
    pub died: Option<usize>,
    /// From the op that recorded it first to the first op for which the backward pass had no more use for it.
    pub saved: Option<(usize, Option<usize>)>,
}

fn as_text<S: serde::Serializer>(dtype: &DType, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(dtype)
}

impl TensorLife {
    /// Whether it lived while this op ran.
    pub fn lives_at(&self, event: usize) -> bool {
        self.born.is_none_or(|born| born <= event) && self.died.is_none_or(|died| event < died)
    }

    /// What it is while this op runs.
    pub fn held_at(&self, event: usize) -> Held {
        let saved = self.saved.is_some_and(|(from, to)| from <= event && to.is_none_or(|to| event < to));
        if saved && self.held == Held::Activation { Held::SavedForBackward } else { self.held }
    }
}

/// What a layer holds of one kind.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HeldRow {
    pub path: String,
    pub held: Held,
    pub bytes: usize,
    pub tensors: usize,
    /// The largest of them.
    pub dims: Vec<usize>,
    /// Layer and op that made that one; empty: it was there before.
    pub born: String,
    /// The last op that it lived to see; empty: it was there to the end.
    pub died: String,
}

/// What holds the memory when most of it is in use.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MemoryAtPeak {
    /// The op that runs, by position.
    pub event: usize,
    /// The same in words: `backward conv1 conv2d_grad_weight`.
    pub at: String,
    /// In use in the device's pool.
    pub bytes: usize,
    /// Layer by layer, in the order they are first seen; they add up to `bytes`.
    pub rows: Vec<HeldRow>,
}

impl Profile {
    /// What holds the memory when most of it is in use; none where nothing ran.
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

/// What a tensor is made by.
pub(super) struct Birth<'a> {
    pub path: &'a str,
    pub name: &'a str,
    pub held: Held,
    pub at: Option<usize>,
}

/// The tensors that live, by their memory.
#[derive(Default)]
pub(super) struct Living {
    all: Vec<TensorLife>,
    /// Of each its memory, until that is gone.
    memory: Vec<Weak<Cell>>,
    /// Of each how many recorded ops need it.
    needed: Vec<usize>,
    /// Those that live, by the address of their memory: a weak reference keeps that from being given out again.
    places: HashMap<usize, usize>,
}

impl Living {
    /// Where this tensor's memory is in the list; `birth` is what is written down if it was not yet there.
    pub fn place(&mut self, data: &Data, birth: &Birth) -> usize {
        let next = self.all.len();
        let place = *self.places.entry(Arc::as_ptr(&data.cell).addr()).or_insert(next);
        if place == next {
            self.all.push(TensorLife {
                path: birth.path.to_owned(),
                name: birth.name.to_owned(),
                held: birth.held,
                dims: data.shape.dims().to_vec(),
                dtype: data.dtype,
                bytes: data.cell.read().len(),
                born: birth.at,
                died: None,
                saved: None,
            });
            self.memory.push(Arc::downgrade(&data.cell));
            self.needed.push(0);
        }
        place
    }

    /// What a tensor is, if it is known.
    pub fn held(&self, data: &Data) -> Option<Held> {
        self.places.get(&Arc::as_ptr(&data.cell).addr()).map(|&place| self.all[place].held)
    }

    /// Gives a tensor a name.
    pub fn name(&mut self, data: &Data, birth: &Birth) {
        let place = self.place(data, birth);
        let life = &mut self.all[place];
        (life.path, life.name, life.held) = (birth.path.to_owned(), birth.name.to_owned(), birth.held);
    }

    /// A recorded op needs these for its gradient.
    pub fn need(&mut self, places: &[usize], now: usize) {
        for &place in places {
            self.needed[place] += 1;
            self.all[place].saved.get_or_insert((now, None)).1 = None;
        }
    }

    /// It needs them no more.
    pub fn release(&mut self, places: &[usize], now: usize) {
        for &place in places {
            self.needed[place] = self.needed[place].saturating_sub(1);
            if let (0, Some(saved)) = (self.needed[place], &mut self.all[place].saved) {
                saved.1 = Some(now);
            }
        }
    }

    /// Those whose memory is gone died before op number `now`.
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

    /// As if those that live had been there before the first op.
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

    /// What was written down.
    pub fn finish(mut self, now: usize) -> Vec<TensorLife> {
        self.sweep(now);
        self.all
    }
}

/// What a tensor that is made in this phase is.
pub(super) fn made_in(phase: Phase) -> Held {
    match phase {
        Phase::Forward => Held::Activation,
        Phase::Backward => Held::Gradient,
        Phase::Update | Phase::Other => Held::Other,
    }
}
