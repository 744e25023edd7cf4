//! Watches a device, and writes down what runs there.

use super::memory::{Birth, Held, Living, made_in};
use super::record::{OpEvent, Phase, Profile, Span};
use crate::core::Result;
use crate::nn::{Module, ModuleExt, Role};
use crate::optim::Optimizer;
use crate::tensor::{Data, Device, Observer, Run, Saved, Scope, Tensor};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::Instant;

/// Watches a device from [`start`](Self::start) to [`finish`](Self::finish), or until it is dropped. It sees the ops of the
/// thread that started it: those of a training loop.
pub struct Profiler {
    device: Device,
    watcher: Arc<Watcher>,
}

impl Profiler {
    /// Begins to watch.
    ///
    /// # Errors
    /// The device is being watched already.
    pub fn start(device: &Device) -> Result<Profiler> {
        let watcher = Arc::new(Watcher(Mutex::new(State::new())));
        device.observe(Arc::clone(&watcher) as Arc<dyn Observer>)?;
        Ok(Profiler { device: device.clone(), watcher })
    }

    /// Names a network's and its optimiser's tensors, so that the view of memory can.
    ///
    /// # Errors
    /// The network was not initialised.
    pub fn know(&self, model: &dyn Module, optimizer: Option<&dyn Optimizer>) -> Result<()> {
        let mut state = self.watcher.state();
        for (name, param) in model.params() {
            let held = if param.role() == Role::Weight { Held::Parameter } else { Held::Buffer };
            state.name(layer_of(&name), &name, held, param.value()?);
        }
        for (name, tensor) in optimizer.map_or_else(Default::default, |o| o.memory().tensors()) {
            // After the key of the optimiser the parameter's name.
            let layer = name.split_once('.').map_or("", |(_, parameter)| layer_of(parameter));
            state.name(layer, &name, Held::OptimizerState, &tensor);
        }
        Ok(())
    }

    /// Forgets the ops that ran so far, to warm up, but not the tensors that live.
    pub fn restart(&self) {
        self.watcher.state().restart();
    }

    /// A step ends here.
    pub fn step(&self) {
        self.watcher.state().step();
    }

    /// Writes nothing down until [`resume`](Self::resume): between steps, while something else runs.
    pub fn pause(&self) {
        self.watcher.state().paused = true;
    }

    /// Goes on; the next step begins here.
    pub fn resume(&self) {
        let mut state = self.watcher.state();
        if state.paused {
            state.paused = false;
            state.step_began = Instant::now();
        }
    }

    /// Steps so far.
    pub fn steps(&self) -> usize {
        self.watcher.state().steps.len()
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Ends: what was seen. Ops after the last [`step`](Self::step) are a step of their own.
    pub fn finish(self) -> Profile {
        self.device.unobserve();
        let mut state = std::mem::replace(&mut *self.watcher.state(), State::new());
        if state.events.last().is_some_and(|event| event.step == state.steps.len()) {
            state.step();
        }
        let State { living, steps, events, .. } = state;
        Profile {
            device: self.device.to_string(),
            threads: self.device.as_cpu().map_or(0, |cx| cx.threads()),
            roof: None,
            tensors: living.finish(events.len()),
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

/// `layer1.0.conv1` of `layer1.0.conv1.weight`.
fn layer_of(parameter: &str) -> &str {
    parameter.rsplit_once('.').map_or("", |(layer, _)| layer)
}

/// What the device tells.
struct Watcher(Mutex<State>);

struct State {
    thread: ThreadId,
    began: Instant,
    step_began: Instant,
    paused: bool,
    /// The layers that are running, outermost first, or the op whose gradients are.
    scopes: Vec<Scope>,
    /// Of each recorded op its layer, and what it needs for its gradient.
    tape: HashMap<u64, (String, Vec<usize>)>,
    living: Living,
    steps: Vec<Span>,
    events: Vec<OpEvent>,
}

impl Watcher {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, for the thread that is watched.
    fn watched(&self) -> Option<MutexGuard<'_, State>> {
        Some(self.state()).filter(|state| state.thread == std::thread::current().id())
    }
}

impl State {
    fn new() -> State {
        let now = Instant::now();
        State {
            thread: std::thread::current().id(),
            began: now,
            step_began: now,
            paused: false,
            scopes: Vec::new(),
            tape: HashMap::new(),
            living: Living::default(),
            steps: Vec::new(),
            events: Vec::new(),
        }
    }

    fn restart(&mut self) {
        self.living.restart();
        (self.tape, self.steps, self.events) = Default::default();
        self.began = Instant::now();
        self.step_began = self.began;
    }

    fn step(&mut self) {
        let now = Instant::now();
        self.steps.push(self.span(self.step_began, now));
        self.step_began = now;
        // What was recorded and never differentiated is dropped by now.
        let (tape, event) = (std::mem::take(&mut self.tape), self.events.len());
        tape.values().for_each(|(_, places)| self.living.release(places, event));
    }

    fn span(&self, start: Instant, end: Instant) -> Span {
        let us = |from: Instant, to: Instant| to.saturating_duration_since(from).as_nanos() as f64 / 1e3;
        Span { start_us: us(self.began, start), us: us(start, end) }
    }

    fn name(&mut self, path: &str, name: &str, held: Held, tensor: &Tensor) {
        self.living.name(tensor.data(), &Birth { path, name, held, at: None });
    }

    /// What runs now belongs to which phase of which layer; `None` outside of any.
    fn scope(&self) -> Option<(Phase, &str)> {
        let gradients = self.scopes.iter().rev().find_map(|scope| match scope {
            Scope::Gradients(sequence) => Some(self.tape.get(sequence).map_or("", |(path, _)| path)),
            Scope::Layer(_) => None,
        });
        match (gradients, self.scopes.last()) {
            (Some(path), _) => Some((Phase::Backward, path)),
            (None, Some(Scope::Layer(path))) => Some((Phase::Forward, path)),
            _ => None,
        }
    }

    /// The same, where it may be outside of any scope: what is recorded is forward, what changes parameters or gradients is
    /// the optimiser's.
    fn phase(&self, run: &Run) -> (Phase, String) {
        let trained = |target: &&Tensor| {
            target.tracks_grad() || self.living.held(target.data()) == Some(Held::Gradient)
        };
        match self.scope() {
            Some((phase, path)) => (phase, path.to_owned()),
            None if run.targets.iter().any(trained) => (Phase::Update, String::new()),
            None if run.inputs.iter().any(|x| x.tracks_grad()) => (Phase::Forward, String::new()),
            None => (Phase::Other, String::new()),
        }
    }

    fn ran(&mut self, run: &Run) {
        let (phase, path) = self.phase(run);
        let seen = run.targets.iter().chain(run.inputs).map(|x| x.data());
        for data in seen {
            self.living.place(data, &Birth { path: "", name: "", held: Held::Other, at: None });
        }
        let birth = Birth { path: &path, name: run.op, held: made_in(phase), at: Some(self.events.len()) };
        for data in run.outputs {
            self.living.place(data, &birth);
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
            state.living.sweep(now);
        }
    }

    fn ran(&self, run: &Run) {
        if let Some(mut state) = self.watched() {
            state.ran(run);
        }
    }

    fn recorded(&self, sequence: u64, saved: &Saved) {
        let Some(mut state) = self.watched() else { return };
        let path = state.scope().map_or(String::new(), |(_, path)| path.to_owned());
        // The op that was recorded ran just now, so what it saved is known.
        let now = state.events.len().saturating_sub(1);
        let birth = Birth { path: "", name: "", held: Held::Other, at: None };
        let places: Vec<usize> = saved.tensors().map(|data| state.living.place(data, &birth)).collect();
        state.living.need(&places, now);
        state.tape.insert(sequence, (path, places));
    }

    fn made(&self, data: &Data) {
        let mut state = self.state();
        let here = state.thread == std::thread::current().id();
        let (phase, path) = state.scope().filter(|_| here).unwrap_or((Phase::Other, ""));
        let (path, at) = (path.to_owned(), Some(state.events.len()));
        state.living.place(data, &Birth { path: &path, name: "fill", held: made_in(phase), at });
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
            state.living.release(&places, now);
        }
    }
}
