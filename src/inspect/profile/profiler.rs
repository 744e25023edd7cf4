//! Watches a device, and records the ops that run there.

use super::counters::{CpuCounters, CpuCounts};
use super::memory::{Allocation, Held, LiveTensors, made_in};
use super::record::{OpEvent, Profile, Span, StepPhase};
use crate::core::Result;
use crate::nn::{Module, ModuleExt, Role};
use crate::optim::Optimizer;
use crate::tensor::{Data, Device, Observer, OpRun, Saved, Scope, Tensor};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::Instant;

/// Watches a device from [`start`](Self::start) to [`finish`](Self::finish), or until it is dropped. It sees only the
/// ops of the thread that started it, the thread of the training loop.
///
/// ```
/// use receptive::inspect::profile::Profiler;
/// use receptive::prelude::*;
///
/// let device = Device::cpu()?;
/// let net = Sequential::new().named("fc1", Linear::new(3, 8)).named("relu", Relu).named("fc2", Linear::new(8, 2));
/// net.init(&device, DType::F32, 0)?;
/// let x = Tensor::randn(&device, &[16, 3], DType::F32, Key::new(0))?;
/// let target = Tensor::from_vec(&device, vec![1i64; 16], &[16])?;
/// let profiler = Profiler::start(&device)?;
/// let (loss, _) = Loss::CrossEntropy.forward_and_loss(&net, &Ctx::train("net", Key::new(1)), &x, &target)?;
/// loss.backward()?;
/// profiler.step();
/// let table = profiler.finish().layer_table();
/// assert!(table.layers.iter().any(|layer| layer.path.starts_with("fc1")));
/// # Ok::<(), receptive::Error>(())
/// ```
pub struct Profiler {
    device: Device,
    watcher: Arc<Watcher>,
}

impl Profiler {
    /// Starts to watch.
    ///
    /// # Errors
    /// A device that is already being watched.
    pub fn start(device: &Device) -> Result<Profiler> {
        let watcher = Arc::new(Watcher(Mutex::new(ProfilerState::new())));
        device.observe(Arc::clone(&watcher) as Arc<dyn Observer>)?;
        Ok(Profiler { device: device.clone(), watcher })
    }

    /// From now on, counts instructions, cycles and cache misses of each op, too.
    pub fn count(&self, counters: CpuCounters) {
        self.watcher.state().counters = Some(counters);
    }

    /// Registers the names of a network's and its optimiser's tensors for the tables of memory.
    ///
    /// # Errors
    /// A network that was not initialised.
    pub fn know(&self, model: &dyn Module, optimizer: Option<&dyn Optimizer>) -> Result<()> {
        let mut state = self.watcher.state();
        for (name, param) in model.params() {
            let held = if param.role() == Role::Weight { Held::Parameter } else { Held::Buffer };
            state.name(layer_of(&name), &name, held, param.value()?);
        }
        for (name, tensor) in optimizer.map_or_else(Default::default, |o| o.memory().tensors()) {
            // The parameter's name follows after the name of the optimiser's buffer.
            let layer = name.split_once('.').map_or("", |(_, parameter)| layer_of(parameter));
            state.name(layer, &name, Held::OptimizerState, &tensor);
        }
        Ok(())
    }

    /// Deletes the record of the ops that ran so far (as warm-up), but keeps the record of the live tensors.
    pub fn restart(&self) {
        self.watcher.state().restart();
    }

    /// Marks the end of a step.
    pub fn step(&self) {
        self.watcher.state().step();
    }

    /// Records nothing until [`resume`](Self::resume). Use it between steps, while something else runs.
    pub fn pause(&self) {
        self.watcher.state().paused = true;
    }

    /// Continues; the next step begins here.
    pub fn resume(&self) {
        let mut state = self.watcher.state();
        if state.paused {
            state.paused = false;
            state.step_began = Instant::now();
        }
    }

    /// Number of steps so far.
    pub fn steps(&self) -> usize {
        self.watcher.state().steps.len()
    }

    /// The device that is watched.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Stops watching and returns the profile. Ops after the last [`step`](Self::step) count as a step of their own.
    pub fn finish(self) -> Profile {
        self.device.unobserve();
        let mut state = std::mem::replace(&mut *self.watcher.state(), ProfilerState::new());
        if state.events.last().is_some_and(|event| event.step == state.steps.len()) {
            state.step();
        }
        let ProfilerState { live, steps, events, .. } = state;
        Profile {
            device: self.device.to_string(),
            threads: self.device.as_cpu().map_or(0, |cx| cx.threads()),
            roof: None,
            tensors: live.finish(events.len()),
            steps,
            events,
        }
    }
}

impl Drop for Profiler {
    fn drop(&mut self) {
        self.device.unobserve();
    }
}

/// The layer of a parameter: `layer1.0.conv1` for `layer1.0.conv1.weight`.
fn layer_of(parameter: &str) -> &str {
    parameter.rsplit_once('.').map_or("", |(layer, _)| layer)
}

/// Receives the device's events.
struct Watcher(Mutex<ProfilerState>);

struct ProfilerState {
    thread: ThreadId,
    began: Instant,
    step_began: Instant,
    paused: bool,
    /// The running layers, outermost first, or the op whose gradients are being computed.
    scopes: Vec<Scope>,
    /// For each recorded op its layer, and the tensors it needs for its gradient.
    tape: HashMap<u64, (String, Vec<usize>)>,
    live: LiveTensors,
    counters: Option<CpuCounters>,
    /// The counts when the running op began.
    before: Option<CpuCounts>,
    steps: Vec<Span>,
    events: Vec<OpEvent>,
}

impl Watcher {
    fn state(&self) -> MutexGuard<'_, ProfilerState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, if the current thread is the one that is watched.
    fn watched(&self) -> Option<MutexGuard<'_, ProfilerState>> {
        Some(self.state()).filter(|state| state.thread == std::thread::current().id())
    }
}

impl ProfilerState {
    fn new() -> ProfilerState {
        let now = Instant::now();
        ProfilerState {
            thread: std::thread::current().id(),
            began: now,
            step_began: now,
            paused: false,
            scopes: Vec::new(),
            tape: HashMap::new(),
            live: LiveTensors::default(),
            counters: None,
            before: None,
            steps: Vec::new(),
            events: Vec::new(),
        }
    }

    fn restart(&mut self) {
        self.live.restart();
        (self.tape, self.steps, self.events) = Default::default();
        self.began = Instant::now();
        self.step_began = self.began;
    }

    fn step(&mut self) {
        let now = Instant::now();
        self.steps.push(self.span(self.step_began, now));
        self.step_began = now;
        // Ops that were recorded but never differentiated are dropped by now.
        let (tape, event) = (std::mem::take(&mut self.tape), self.events.len());
        tape.values().for_each(|(_, places)| self.live.release(places, event));
    }

    fn span(&self, start: Instant, end: Instant) -> Span {
        let us = |from: Instant, to: Instant| to.saturating_duration_since(from).as_nanos() as f64 / 1e3;
        Span { start_us: us(self.began, start), us: us(start, end) }
    }

    fn name(&mut self, path: &str, name: &str, held: Held, tensor: &Tensor) {
        self.live.name(tensor.data(), &Allocation { path, name, held, at: None });
    }

    /// The phase and layer that the current op belongs to; `None` outside of any layer.
    fn scope(&self) -> Option<(StepPhase, &str)> {
        let gradients = self.scopes.iter().rev().find_map(|scope| match scope {
            Scope::Gradients(sequence) => Some(self.tape.get(sequence).map_or("", |(path, _)| path)),
            Scope::Layer(_) => None,
        });
        match (gradients, self.scopes.last()) {
            (Some(path), _) => Some((StepPhase::Backward, path)),
            (None, Some(Scope::Layer(path))) => Some((StepPhase::Forward, path)),
            _ => None,
        }
    }

    /// The phase and layer of an op that may run outside of any layer. Then a recorded op is forward, and an op that
    /// changes parameters or gradients belongs to the optimiser.
    fn phase(&self, run: &OpRun) -> (StepPhase, String) {
        let trained =
            |target: &&Tensor| target.tracks_grad() || self.live.held(target.data()) == Some(Held::Gradient);
        match self.scope() {
            Some((phase, path)) => (phase, path.to_owned()),
            None if run.targets.iter().any(trained) => (StepPhase::Update, String::new()),
            None if run.inputs.iter().any(|x| x.tracks_grad()) => (StepPhase::Forward, String::new()),
            None => (StepPhase::Other, String::new()),
        }
    }

    fn counts(&mut self) -> Option<CpuCounts> {
        self.counters.as_mut().and_then(|counters| counters.read().ok())
    }

    fn ran(&mut self, run: &OpRun) {
        let counts = self.counts().zip(self.before.take()).map(|(now, before)| now - before);
        let (phase, path) = self.phase(run);
        let seen = run.targets.iter().chain(run.inputs).map(|x| x.data());
        for data in seen {
            self.live.place(data, &Allocation { path: "", name: "", held: Held::Other, at: None });
        }
        let allocation =
            Allocation { path: &path, name: run.op, held: made_in(phase), at: Some(self.events.len()) };
        for data in run.outputs {
            self.live.place(data, &allocation);
        }
        if self.paused {
            return;
        }
        let dims = |tensors: &[&Tensor]| tensors.iter().map(|x| x.dims().to_vec()).collect::<Vec<_>>();
        let event = OpEvent {
            path,
            phase,
            op: run.op,
            step: self.steps.len(),
            span: self.span(run.start, run.end),
            inputs: [dims(run.targets), dims(run.inputs)].concat(),
            outputs: run.outputs.iter().map(|y| y.shape.dims().to_vec()).collect(),
            flops: run.flops,
            bytes: run.bytes,
            counts,
            in_use: run.in_use,
            high: run.high,
        };
        self.events.push(event);
    }
}

impl Observer for Watcher {
    fn ready(&self) {
        if let Some(mut state) = self.watched() {
            let now = state.events.len();
            state.live.sweep(now);
            state.before = state.counts();
        }
    }

    fn ran(&self, run: &OpRun) {
        if let Some(mut state) = self.watched() {
            state.ran(run);
        }
    }

    fn recorded(&self, sequence: u64, saved: &Saved) {
        let Some(mut state) = self.watched() else { return };
        let path = state.scope().map_or(String::new(), |(_, path)| path.to_owned());
        // The recorded op ran just now, so the tensors it saved are known.
        let now = state.events.len().saturating_sub(1);
        let allocation = Allocation { path: "", name: "", held: Held::Other, at: None };
        let places: Vec<usize> = saved.tensors().map(|data| state.live.place(data, &allocation)).collect();
        state.live.need(&places, now);
        state.tape.insert(sequence, (path, places));
    }

    fn made(&self, data: &Data) {
        let mut state = self.state();
        let here = state.thread == std::thread::current().id();
        let (phase, path) = state.scope().filter(|_| here).unwrap_or((StepPhase::Other, ""));
        let (path, at) = (path.to_owned(), Some(state.events.len()));
        state.live.place(data, &Allocation { path: &path, name: "fill", held: made_in(phase), at });
    }

    fn enter(&self, scope: Scope) {
        if let Some(mut state) = self.watched() {
            state.scopes.push(scope);
        }
    }

    fn leave(&self) {
        let Some(mut state) = self.watched() else { return };
        let now = state.events.len();
        if let Some(Scope::Gradients(sequence)) = state.scopes.pop()
            && let Some((_, places)) = state.tape.get_mut(&sequence)
        {
            let places = std::mem::take(places);
            state.live.release(&places, now);
        }
    }
}
