//! Times whole training steps of a network.
//!
//! A step is what a training loop repeats: zero the gradients, forward, loss, backward, SGD (rate 0.01, momentum 0.9).
//! Three steps warm up. A fourth step is timed to find how many fit into the given time (at least 5, at most 500). The
//! forward pass alone (in evaluation mode, without recording gradients) is timed a quarter as often. Images and labels
//! are random, because the time does not depend on them.
//!
//! On a GPU a step is captured as a CUDA graph and replayed, unless `graph` says otherwise. Each step is timed until
//! the device has finished it.

use super::bench::{Times, release_build};
use super::measure_alone;
use crate::core::{DType, Error, Key, Result, Shape};
use crate::cuda::{CudaCtx, CudaGraph, LaunchRecorder, Recording, TimedLaunch};
use crate::inspect::peak_resident_bytes;
use crate::inspect::profile::{CpuCounters, Profile, Profiler, WARM_UP};
use crate::models::{ModelConfig, Network};
use crate::nn::{Ctx, Module, ModuleExt};
use crate::optim::{Optimizer, Sgd};
use crate::tensor::{Device, Tensor};
use crate::train::GraphMode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Instant;

const LR: f64 = 0.01;
const MOMENTUM: f64 = 0.9;

/// What to time.
#[derive(Debug, Clone, PartialEq)]
pub struct StepBench {
    pub config: ModelConfig,
    pub batch_size: usize,
    /// About how long the timed steps should take.
    pub seconds: f64,
    /// Whether a step on a GPU is captured and replayed.
    pub graph: GraphMode,
}

/// What was measured, in milliseconds and bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepTimes {
    pub model: String,
    pub device: String,
    /// Number of worker threads.
    pub threads: usize,
    /// Whether the steps were replayed from a CUDA graph.
    pub graph: bool,
    pub batch_size: usize,
    /// Channels, height, width.
    pub input: [usize; 3],
    /// Number of timed steps.
    pub runs: usize,
    pub step_ms_median: f64,
    pub step_ms_min: f64,
    pub forward_ms_median: f64,
    /// The peak resident memory of the process, if the system reports it; on a GPU the peak memory of its tensors.
    pub peak_bytes: Option<u64>,
    pub parameters: usize,
}

/// What a step gives a simulated GPU to do.
#[derive(Debug, Clone, PartialEq)]
pub struct StepRecording {
    pub recording: Recording,
    /// Floating-point operations of all ops by their definitions; a multiply-add counts as two.
    pub flops: u64,
    /// Bytes that the ops read and write, each tensor once per op.
    pub bytes: u64,
}

impl StepBench {
    /// Times `network` on `device`.
    ///
    /// # Errors
    /// A debug build, whose times are meaningless; a batch size or time of 0; an image that is too small for the
    /// network.
    pub fn run(&self, network: &Network, device: &Device) -> Result<StepTimes> {
        self.check(network)?;
        let _alone = measure_alone()?;
        self.time(network, device)
    }

    fn check(&self, network: &Network) -> Result<()> {
        release_build(&format!("cargo run --release -- bench step {}", network.name))?;
        self.check_sizes()
    }

    fn check_sizes(&self) -> Result<()> {
        if self.batch_size == 0 {
            return Err(Error::argument("`StepBench.batch_size`", "0 is out of range").expected("1 or more"));
        }
        if !(self.seconds > 0.0 && self.seconds <= 3600.0) {
            return Err(Error::argument("`StepBench.seconds`", format!("{} is out of range", self.seconds))
                .expected("a number above 0, at most 3600"));
        }
        Ok(())
    }

    fn time(&self, network: &Network, device: &Device) -> Result<StepTimes> {
        let mut rig = Rig::new(self, network, device)?;
        let graph = self.capture(device, || rig.compute(0))?;
        let mut step = || rig.step(graph.as_ref());
        for _ in 0..WARM_UP {
            step()?;
        }
        let one = milliseconds(1, &mut step)?.min;
        let runs = ((self.seconds * 1e3 / one) as usize).clamp(5, 500);
        let times = milliseconds(runs, &mut step)?;
        let mut forward = || {
            rig.model.forward(&Ctx::eval(&network.name), &rig.x)?;
            device.synchronize()
        };
        forward()?;
        let forward_times = milliseconds((runs / 4).max(5), &mut forward)?;
        Ok(StepTimes {
            model: network.name.clone(),
            device: device.to_string(),
            threads: device.as_cpu().map_or(0, |cx| cx.threads()),
            graph: graph.is_some(),
            batch_size: self.batch_size,
            input: self.config.input,
            runs,
            step_ms_median: times.median,
            step_ms_min: times.min,
            forward_ms_median: forward_times.median,
            peak_bytes: match device.as_cuda() {
                Some(cx) => Some(cx.memory_stats().peak as u64),
                None => peak_resident_bytes(),
            },
            parameters: rig.model.num_parameters(),
        })
    }

    /// Profiles this many steps of `network` on `device`, after the same warm-up, and never with a CUDA graph. With
    /// counters, it also counts what the processor does in each op.
    ///
    /// # Errors
    /// As [`run`](Self::run); 0 steps.
    pub fn profile(
        &self,
        network: &Network,
        device: &Device,
        steps: usize,
        counters: Option<CpuCounters>,
    ) -> Result<Profile> {
        self.check(network)?;
        let _alone = measure_alone()?;
        if steps == 0 {
            return Err(Error::argument("steps", "0 is out of range").expected("1 or more"));
        }
        let mut rig = Rig::new(self, network, device)?;
        let profiler = Profiler::start(device)?;
        if let Some(counters) = counters {
            profiler.count(counters);
        }
        profiler.know(&*rig.model, Some(&rig.optimizer))?;
        for _ in 0..WARM_UP {
            rig.step(None)?;
            profiler.restart();
        }
        for _ in 0..steps {
            rig.step(None)?;
            profiler.step();
        }
        let mut profile = profiler.finish();
        profile.measure_roof(device)?;
        Ok(profile)
    }

    /// The launches of this many steps on a GPU, each with its time. They are launched one by one.
    ///
    /// # Errors
    /// A device that is not a GPU; as [`run`](Self::run).
    pub fn time_kernels(
        &self,
        network: &Network,
        device: &Device,
        steps: usize,
    ) -> Result<Vec<Vec<TimedLaunch>>> {
        self.check(network)?;
        let cx = gpu(device)?;
        let _alone = measure_alone()?;
        let mut rig = Rig::new(self, network, device)?;
        for _ in 0..WARM_UP {
            rig.step(None)?;
        }
        (0..steps).map(|_| cx.time_launches(|| rig.step(None))).collect()
    }

    /// What one step gives a simulated GPU to do, captured unless [`graph`](Self::graph) says otherwise. `blocks` of each
    /// launch run and are counted; `None` runs nothing and only lists the launches. What goes before the step is a dry run.
    ///
    /// # Errors
    /// No simulated GPU, or one built without counters; as [`run`](Self::run).
    pub fn record(&self, network: &Network, device: &Device, blocks: Option<u64>) -> Result<StepRecording> {
        self.check_sizes()?;
        gpu(device)?;
        let recorder = LaunchRecorder::find()?;
        recorder.dry_run();
        let recorded = (|| {
            let mut rig = Rig::new(self, network, device)?;
            let profiler = Profiler::start(device)?;
            rig.compute(0)?;
            let ops = profiler.finish().events;
            let graph = self.capture(device, || rig.compute(0))?;
            rig.step(graph.as_ref())?;
            match blocks {
                Some(blocks) => recorder.count(Some(blocks))?,
                None => recorder.dry_run(),
            }
            rig.step(graph.as_ref())?;
            Ok((ops.iter().map(|op| op.flops).sum(), ops.iter().map(|op| op.bytes).sum()))
        })();
        let recording = recorder.finish()?;
        recorded.map(|(flops, bytes)| StepRecording { recording, flops, bytes })
    }

    /// The step as a CUDA graph, if there is a GPU and a graph is wanted. It runs once to allocate its memory, and is
    /// then captured.
    fn capture(&self, device: &Device, step: impl Fn() -> Result<()>) -> Result<Option<CudaGraph>> {
        match (device.as_cuda(), self.graph) {
            (Some(cx), GraphMode::Auto | GraphMode::On) => {
                let memory = cx.graph_memory();
                memory.with(&step)?;
                memory.capture(step).map(Some)
            }
            (None, GraphMode::On) => {
                Err(Error::argument("`GraphMode::On`", "is not possible: the device is not a GPU")
                    .help("`GraphMode::Auto` uses a graph where it can"))
            }
            _ => Ok(None),
        }
    }

    /// Images of normally distributed pixels.
    fn images(&self, device: &Device) -> Result<Tensor> {
        let (n, [c, h, w]) = (self.batch_size, self.config.input);
        let pixel = Key::new(0).child("images");
        let pixels = Shape::new(&[n, c, h, w])?.numel() as u64;
        // Allocate on the device first: if the batch is too large, this gives an error instead of ending the process.
        let images = Tensor::zeros(device, &[n, c, h, w], DType::F32)?;
        let values: Vec<f32> = (0..pixels).map(|i| pixel.normal(i) as f32).collect();
        images.copy_from(&Tensor::from_vec(device, values, &[n, c, h, w])?)?;
        Ok(images)
    }

    /// Uniformly distributed labels; for a segmenter, masks with the size of its output.
    fn target(&self, network: &Network, model: &dyn Module, x: &Tensor) -> Result<Tensor> {
        let (dims, below) = match network.loss.takes_masks() {
            true => (model.forward(&Ctx::eval(&network.name), x)?.dims().to_vec(), 2),
            false => (vec![self.batch_size], self.config.classes),
        };
        let label = Key::new(0).child("labels");
        let count = Shape::new(&dims)?.numel() as u64;
        let labels: Vec<i64> = (0..count).map(|i| label.below(i, below) as i64).collect();
        let labels = Tensor::from_vec(x.device(), labels, &dims)?;
        // The loader gives masks in the network's dtype, so converting them is not part of a step.
        if network.loss.takes_masks() { labels.to_dtype(x.dtype()) } else { Ok(labels) }
    }
}

/// A network that is trained repeatedly on the same batch.
struct Rig<'a> {
    network: &'a Network,
    device: &'a Device,
    model: Box<dyn Module>,
    optimizer: Sgd,
    x: Tensor,
    target: Tensor,
    steps: u64,
}

impl<'a> Rig<'a> {
    fn new(bench: &StepBench, network: &'a Network, device: &'a Device) -> Result<Rig<'a>> {
        let model = network.build(&bench.config)?;
        model.init(device, DType::F32, 0)?;
        let x = bench.images(device)?;
        let target = bench.target(network, &*model, &x)?;
        let optimizer = Sgd::new(model.trainable()?, MOMENTUM, false, 0.0)?;
        Ok(Rig { network, device, model, optimizer, x, target, steps: 0 })
    }

    /// The part of a step that a graph contains.
    fn compute(&self, step: u64) -> Result<()> {
        self.optimizer.zero_grad();
        let cx = Ctx::train(&self.network.name, Key::new(0).child("forward").step(step));
        self.network.loss.forward_and_loss(&*self.model, &cx, &self.x, &self.target)?.0.backward()?;
        self.optimizer.apply()
    }

    /// A whole step, until the device has finished it.
    fn step(&mut self, graph: Option<&CudaGraph>) -> Result<()> {
        self.optimizer.set(LR)?;
        match (graph, self.device.as_cuda()) {
            (Some(graph), Some(cx)) => {
                cx.set_step(self.steps)?;
                graph.replay()?;
            }
            _ => self.compute(self.steps)?,
        }
        self.steps += 1;
        self.device.synchronize()
    }
}

/// # Errors
/// The device is not a GPU.
fn gpu(device: &Device) -> Result<&Arc<CudaCtx>> {
    device.as_cuda().ok_or_else(|| {
        Error::argument("device", format!("{device} runs no GPU kernels"))
            .help("open a GPU with `Device::cuda_with`")
    })
}

fn milliseconds(n: usize, f: &mut impl FnMut() -> Result<()>) -> Result<Times> {
    let mut times = Vec::with_capacity(n);
    for _ in 0..n {
        let start = Instant::now();
        f()?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(Times::of(times))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_beyond_this_machine_is_an_error() {
        let config = ModelConfig::new([1, 28, 28], 10);
        let bench = StepBench { config, batch_size: 1 << 45, seconds: 1.0, graph: GraphMode::Auto };
        let error = bench.images(&Device::cpu().unwrap()).unwrap_err();
        assert_eq!(error.kind(), crate::core::ErrorKind::OutOfMemory, "{error}");
    }
}
