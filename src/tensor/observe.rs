//! Observing ops while they run: used by the profiler ([`crate::inspect::profile`]).
//!
//! Each device's context has one slot for an observer. Three places call the observer: [`exec`](super::exec)
//! before and after each op and update, the backward engine around each node, and [`Ctx`](crate::nn::Ctx) around each
//! layer. Without an observer, each of these calls costs one relaxed load. An observer sees tensors but must not keep
//! them: if the engine holds the only reference to a tensor, it may reuse the memory.
//!
//! Each op is timed by itself. On a GPU an op returns before it is done, so an observed device is synchronised before
//! and after each op. The total then includes the gaps between the kernels. So it is more than the time of the same
//! kernels in a queue that never runs empty. While a CUDA graph is captured nothing runs, so the observer is not
//! called.

use super::exec::ExecutedCall;
use super::node::Saved;
use super::op::Meta;
use super::storage::Data;
use super::{Device, Tensor};
use crate::core::{Error, Result};
use std::sync::Arc;
use std::time::Instant;

/// Its methods are called for everything that runs on a device.
pub trait Observer: Send + Sync {
    /// An op or an update is about to run.
    fn ready(&self);

    /// The op or the update ran.
    fn ran(&self, run: &OpRun);

    /// The op was recorded on the tape, at place `sequence`.
    fn recorded(&self, sequence: u64, saved: &Saved);

    /// A tensor was made without an op: filled, or copied from the host.
    fn made(&self, data: &Data);

    /// Everything that runs until the matching [`leave`](Self::leave) belongs to this scope and to the scopes around
    /// it.
    fn enter(&self, scope: Scope);

    /// The scope that was entered last has ended.
    fn leave(&self);
}

/// The part of a network or of backward to which ops belong.
#[derive(Debug, Clone, PartialEq)]
pub enum Scope {
    /// The layer at this path. An empty path is the network itself.
    Layer(String),
    /// The backward of the op that was recorded at this place on the tape.
    Gradients(u64),
}

/// An op or an update that ran.
pub struct OpRun<'a> {
    pub op: &'static str,
    /// Tensors that were changed in place. Empty for an op.
    pub targets: &'a [&'a Tensor],
    pub inputs: &'a [&'a Tensor],
    /// Outputs, hidden ones included. Empty for an update.
    pub outputs: &'a [Data],
    pub flops: u64,
    pub bytes: u64,
    pub start: Instant,
    pub end: Instant,
    /// Bytes in use in the device's pool right after it ran.
    pub in_use: usize,
    /// The most bytes in use while it ran, scratch memory included.
    pub high: usize,
}

/// Wraps the observer so that the slot can store it as `dyn Any`.
struct StoredObserver(Arc<dyn Observer>);

impl Device {
    /// Lets `observer` watch this device until [`unobserve`](Self::unobserve) is called.
    ///
    /// # Errors
    /// The device already has an observer.
    pub fn observe(&self, observer: Arc<dyn Observer>) -> Result<()> {
        if self.observer_slot().set(Arc::new(StoredObserver(observer))) {
            return Ok(());
        }
        Err(Error::argument("profile", "another profile is already running on this device")
            .help("finish the other profile first, or open another device"))
    }

    /// Removes the observer.
    pub fn unobserve(&self) {
        self.observer_slot().clear();
    }

    /// Whether the device has an observer.
    pub fn is_observed(&self) -> bool {
        self.observer_slot().is_taken()
    }

    /// Bytes in use in the pool now, and the most in use so far.
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

/// A device together with its observer.
pub(crate) struct Watch<'a> {
    device: &'a Device,
    observer: Arc<StoredObserver>,
}

impl<'a> Watch<'a> {
    /// `None` if the device has no observer.
    #[inline]
    pub fn on(device: &'a Device) -> Option<Watch<'a>> {
        if device.is_observed() { Self::with_observer(device) } else { None }
    }

    #[cold]
    fn with_observer(device: &'a Device) -> Option<Watch<'a>> {
        if device.as_cuda().is_some_and(|cx| cx.is_capturing()) {
            return None;
        }
        let observer = device.observer_slot().get()?.downcast().ok()?;
        Some(Watch { device, observer })
    }

    /// An op was recorded on the tape.
    pub fn recorded(&self, sequence: u64, saved: &Saved) {
        self.observer.0.recorded(sequence, saved);
    }

    /// A tensor was made without an op.
    pub fn made(&self, data: &Data) {
        self.observer.0.made(data);
    }

    /// Something is about to run: starts the clock.
    ///
    /// # Errors
    /// On a GPU: an earlier kernel failed.
    pub fn start(self) -> Result<Started<'a>> {
        self.observer.0.ready();
        self.device.synchronize()?;
        let [_, peak] = self.device.memory();
        self.device.reset_peak();
        Ok(Started { watch: self, peak, at: Instant::now() })
    }
}

/// An op or an update that is running.
pub(crate) struct Started<'a> {
    watch: Watch<'a>,
    /// The pool's peak before it started.
    peak: usize,
    at: Instant,
}

impl Started<'_> {
    /// Stops the clock and tells the observer.
    ///
    /// # Errors
    /// On a GPU: the op or the update failed.
    pub fn done(self, runs: &ExecutedCall) -> Result<()> {
        let Watch { device, observer } = &self.watch;
        device.synchronize()?;
        let end = Instant::now();
        let [in_use, high] = device.memory();
        device.raise_peak(self.peak);
        let metas = |tensors: &[&Tensor]| tensors.iter().map(|x| x.meta()).collect::<Vec<Meta>>();
        let run = |op, targets, inputs, outputs, [flops, bytes]: [u64; 2]| OpRun {
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
            ExecutedCall::Op { op, plan, inputs, outputs } => {
                let x = metas(inputs);
                let work = [op.flops(&x, &plan.outputs), plan.bytes(op, &x)];
                run(op.name(), &[], inputs, outputs, work)
            }
            ExecutedCall::Update { op, targets, inputs } => {
                let (t, x) = (metas(targets), metas(inputs));
                run(op.name(), targets, inputs, &[], [op.flops(&t, &x), op.bytes(&t, &x)])
            }
        });
        Ok(())
    }
}

/// Calls `f` within a scope, if there is an observer.
#[inline]
pub(crate) fn within<T>(watch: Option<&Watch>, scope: impl FnOnce() -> Scope, f: impl FnOnce() -> T) -> T {
    let Some(watch) = watch else { return f() };
    watch.observer.0.enter(scope());
    let result = f();
    watch.observer.0.leave();
    result
}
