//! Who watches ops while they run: the profiler ([`crate::inspect::profile`]).
//!
//! A device's context has a seat for one observer. [`exec`](super::exec) asks for it before and after each op and update,
//! the engine of backward around each node, [`Ctx`](crate::nn::Ctx) around each layer. Where the seat is empty each of these
//! is one relaxed load. An observer sees tensors, but holds none: ops ask whether they are the only holders of a tensor
//! and then reuse its memory.
//!
//! Times are those of the op alone. On a GPU an op returns before it is done, so a watched device is waited for before and
//! after each op: the sum is that of the kernels and of the gaps between them, not of a queue that is always full. While a
//! graph is captured nothing runs, and nothing is told.

use super::exec::Runs;
use super::node::Saved;
use super::op::Meta;
use super::storage::Data;
use super::{Device, Tensor};
use crate::core::{Error, Result};
use std::sync::Arc;
use std::time::Instant;

/// Hears of everything that runs on a device.
pub trait Observer: Send + Sync {
    /// An op is about to run.
    fn ready(&self);

    /// It ran.
    fn ran(&self, run: &Run);

    /// It went on the tape, at place `sequence`.
    fn recorded(&self, sequence: u64, saved: &Saved);

    /// A tensor was made by no op: filled, or copied from the host.
    fn made(&self, data: &Data);

    /// What runs until [`leave`](Self::leave) belongs to this, and to what was entered before.
    fn enter(&self, scope: Scope);

    /// The scope that was entered last ends.
    fn leave(&self);
}

/// What ops belong to.
#[derive(Debug, Clone, PartialEq)]
pub enum Scope {
    /// The layer at this path; empty: the network itself.
    Layer(String),
    /// The gradients of the op that was recorded at this place on the tape.
    Gradients(u64),
}

/// An op that ran, or an update.
pub struct Run<'a> {
    pub op: &'static str,
    /// Tensors that were changed in place; none for an op.
    pub targets: &'a [&'a Tensor],
    pub inputs: &'a [&'a Tensor],
    /// Hidden ones too; none for an update.
    pub outputs: &'a [Data],
    pub flops: u64,
    pub bytes: u64,
    pub start: Instant,
    pub end: Instant,
    /// Bytes that the device's pool had in use right after it.
    pub in_use: usize,
    /// The most it had in use while the op ran: scratch memory is in it.
    pub high: usize,
}

/// Whom the seat holds. (A trait object in one, for `Any`.)
struct Seated(Arc<dyn Observer>);

impl Device {
    /// Lets `observer` watch this device, until [`unobserve`](Self::unobserve).
    ///
    /// # Errors
    /// Someone watches it already.
    pub fn observe(&self, observer: Arc<dyn Observer>) -> Result<()> {
        if self.seat().take(Arc::new(Seated(observer))) {
            return Ok(());
        }
        Err(Error::argument("profile", "this device is being watched already")
            .help("finish the other profile first, or open a device of your own"))
    }

    /// Nobody watches from here on.
    pub fn unobserve(&self) {
        self.seat().leave();
    }

    /// Whether somebody watches.
    pub fn is_observed(&self) -> bool {
        self.seat().is_taken()
    }

    /// Bytes in use in the pool now, and the most so far.
    fn memory(&self) -> [usize; 2] {
        match self {
            Device::Cpu(cx) => {
                let stats = cx.buffers().stats();
                [stats.in_use, stats.peak]
            }
            Device::Cuda(cx) => {
                let stats = cx.memory_stats();
                [stats.in_use, stats.peak]
            }
            Device::Meta(_) => [0; 2],
        }
    }

    fn reset_peak(&self) {
        match self {
            Device::Cpu(cx) => cx.buffers().reset_peak(),
            Device::Cuda(cx) => cx.reset_peak(),
            Device::Meta(_) => {}
        }
    }

    fn raise_peak(&self, bytes: usize) {
        match self {
            Device::Cpu(cx) => cx.buffers().raise_peak(bytes),
            Device::Cuda(cx) => cx.raise_peak(bytes),
            Device::Meta(_) => {}
        }
    }
}

/// A device that is watched.
pub(crate) struct Watch<'a> {
    device: &'a Device,
    observer: Arc<Seated>,
}

impl<'a> Watch<'a> {
    /// `None` where nobody watches.
    #[inline]
    pub fn on(device: &'a Device) -> Option<Watch<'a>> {
        if device.is_observed() { Self::seated(device) } else { None }
    }

    #[cold]
    fn seated(device: &'a Device) -> Option<Watch<'a>> {
        if device.as_cuda().is_some_and(|cx| cx.is_capturing()) {
            return None;
        }
        let observer = device.seat().guest()?.downcast().ok()?;
        Some(Watch { device, observer })
    }

    /// Something went on the tape.
    pub fn recorded(&self, sequence: u64, saved: &Saved) {
        self.observer.0.recorded(sequence, saved);
    }

    /// A tensor was made by no op.
    pub fn made(&self, data: &Data) {
        self.observer.0.made(data);
    }

    /// Something is about to run: the clock starts.
    ///
    /// # Errors
    /// On a GPU, a kernel before it that failed.
    pub fn start(self) -> Result<Started<'a>> {
        self.observer.0.ready();
        self.device.synchronize()?;
        let [_, peak] = self.device.memory();
        self.device.reset_peak();
        Ok(Started { watch: self, peak, at: Instant::now() })
    }
}

/// Something that is running.
pub(crate) struct Started<'a> {
    watch: Watch<'a>,
    /// Of the pool, before.
    peak: usize,
    at: Instant,
}

impl Started<'_> {
    /// It is done.
    ///
    /// # Errors
    /// On a GPU, it failed.
    pub fn done(self, runs: &Runs) -> Result<()> {
        let Watch { device, observer } = &self.watch;
        device.synchronize()?;
        let end = Instant::now();
        let [in_use, high] = device.memory();
        device.raise_peak(self.peak);
        let metas = |tensors: &[&Tensor]| tensors.iter().map(|x| x.meta()).collect::<Vec<Meta>>();
        let run = |op, targets, inputs, outputs, [flops, bytes]: [u64; 2]| Run {
            op,
            targets,
            inputs,
            outputs,
            flops,
            bytes,
            start: self.at,
            end,
            in_use,
            high,
        };
        observer.0.ran(&match *runs {
            Runs::Op { op, plan, inputs, outputs } => {
                let x = metas(inputs);
                let work = [op.flops(&x, &plan.outputs), plan.bytes(op, &x)];
                run(op.name(), &[], inputs, outputs, work)
            }
            Runs::Update { op, targets, inputs } => {
                let (t, x) = (metas(targets), metas(inputs));
                run(op.name(), targets, inputs, &[], [op.flops(&t, &x), op.bytes(&t, &x)])
            }
        });
        Ok(())
    }
}

/// Calls `f` within a scope, where somebody watches.
#[inline]
pub(crate) fn within<T>(watch: Option<&Watch>, scope: impl FnOnce() -> Scope, f: impl FnOnce() -> T) -> T {
    let Some(watch) = watch else { return f() };
    watch.observer.0.enter(scope());
    let result = f();
    watch.observer.0.leave();
    result
}
