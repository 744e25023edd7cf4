//! Tests of whole training runs: the same losses as on the CPU, eager and from a captured graph.

use crate::{context, cuda};
use receptive::data::{
    Dataset, ImageSet, Loader, LoaderOptions, Normalize, Pipeline, TensorDataset, Transform,
};
use receptive::models::{self, ModelConfig};
use receptive::nn::{Ctx, Linear, Loss, Module, ModuleExt, Visitor};
use receptive::optim::{Adam, Optimizer, Sgd};
use receptive::train::{Callback, Flow, GraphMode, HealthRecorder, RunConfig, RunDir, StepReport, Trainer};
use receptive::{DType, Device, ErrorKind, Key, Result, Tensor};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A set of `n` random images of the network's size, with labels.
fn noise(n: usize, size: [usize; 3]) -> Arc<dyn Dataset> {
    let byte = |i: usize| (Key::new(5).bits(i as u64) >> 24) as u8;
    let pixels = (0..n * size.iter().product::<usize>()).map(byte).collect();
    let labels = (0..n as u64).map(|i| Key::new(6).below(i, 10) as u32).collect();
    Arc::new(ImageSet::new("noise", size, pixels, labels, (0..10).map(|c| c.to_string()).collect()).unwrap())
}

/// The settings of a run, besides the device.
#[derive(Clone, Copy)]
struct Run {
    model: &'static str,
    batch: usize,
    /// Chosen so that the last batch is short: no graph is captured for its shapes.
    images: usize,
    epochs: usize,
    adam: bool,
    lr: f64,
    resident: bool,
    clip_norm: Option<f64>,
    schedule: &'static str,
    /// The step after which a callback finishes the run.
    finish: Option<u64>,
}

const RUN: Run = Run {
    model: "lenet5",
    batch: 8,
    images: 35,
    epochs: 2,
    adam: false,
    lr: 0.02,
    resident: true,
    clip_norm: None,
    schedule: "cosine",
    finish: None,
};

/// The losses of a run, per step and per phase.
struct Seen {
    losses: Vec<(u64, f64)>,
    phases: Vec<f64>,
}

struct Watch {
    seen: Arc<Mutex<Seen>>,
    finish: Option<u64>,
}

impl Callback for Watch {
    fn on_step(&mut self, _trainer: &Trainer, report: &StepReport) -> Result<Flow> {
        self.seen.lock().unwrap().losses.push((report.step, report.loss));
        Ok(if self.finish == Some(report.step) { Flow::Finish } else { Flow::Continue })
    }

    fn on_phase(&mut self, _trainer: &Trainer, report: &receptive::train::PhaseReport) -> Result<()> {
        self.seen.lock().unwrap().phases.push(report.loss);
        Ok(())
    }
}

impl Run {
    fn on(self, device: &Device, graph: GraphMode) -> Seen {
        self.train(&*self.network(), device, graph).unwrap()
    }

    fn network(self) -> Box<dyn Module> {
        let network = models::find(self.model).unwrap();
        network.build(&ModelConfig::new(network.input, 10)).unwrap()
    }

    fn train(self, model: &dyn Module, device: &Device, graph: GraphMode) -> Result<Seen> {
        self.watched(model, device, graph, None)
    }

    fn watched(
        self,
        model: &dyn Module,
        device: &Device,
        graph: GraphMode,
        health: Option<HealthRecorder>,
    ) -> Result<Seen> {
        let network = models::find(self.model).unwrap();
        let size = network.input;
        model.init(device, DType::F32, 3).unwrap();
        let mut steps = vec![Transform::Pad { padding: 2, fill: 0 }, Transform::RandomHorizontalFlip(0.5)];
        // The device cannot make resized crops, so the host's threads make those batches.
        let last = match self.resident {
            true => Transform::RandomCrop([size[1], size[2]]),
            false => Transform::RandomResizedCrop {
                size: [size[1], size[2]],
                scale: [0.5, 1.0],
                ratio: [0.8, 1.25],
            },
        };
        steps.push(last);
        let loader = |n, pipeline, shuffle| {
            let options =
                LoaderOptions { shuffle, ..LoaderOptions::new(self.batch, pipeline, device.clone()) };
            Loader::new(noise(n, size), options).unwrap()
        };
        let plain = Normalize::unit(size[0]);
        let train = loader(self.images, Pipeline { steps, normalize: plain.clone() }, Some(Key::new(8)));
        assert_eq!(train.resident().is_some(), self.resident && device.as_cuda().is_some());
        let val = loader(5, plain.into(), None);
        let params = model.trainable().unwrap();
        let optimizer: Box<dyn Optimizer> = match self.adam {
            true => Box::new(Adam::decoupled(params, 0.01).unwrap()),
            false => Box::new(Sgd::new(params, 0.9, true, 1e-4).unwrap()),
        };
        let config = RunConfig {
            graph,
            clip_norm: self.clip_norm,
            scheduler: self.schedule.into(),
            ..RunConfig::plain(self.model, self.epochs, self.lr)
        };
        let seen = Arc::new(Mutex::new(Seen { losses: vec![], phases: vec![] }));
        let watch = Watch { seen: Arc::clone(&seen), finish: self.finish };
        let mut trainer = Trainer::new(model, network.loss, optimizer, config)?.callback(watch);
        if let Some(health) = health {
            trainer = trainer.callback(health);
        }
        assert!(trainer.fit(&train, &val)?.finished);
        let best = &trainer.state.best.as_ref().unwrap().weights;
        for (name, weight) in model.state_dict()? {
            assert_eq!(weight.to_f64()?, best[&name].to_f64()?, "{name} is not the best epoch's");
        }
        drop(trainer);
        Ok(Arc::into_inner(seen).unwrap().into_inner().unwrap())
    }

    /// Checks that eager steps and replayed steps give the same losses as the CPU.
    fn check(self) {
        let Some(device) = cuda() else { return };
        let want = self.on(&Device::cpu().unwrap(), GraphMode::Off);
        for graph in [GraphMode::Off, GraphMode::On] {
            let got = self.on(&device, graph);
            assert_eq!(got.losses.len(), want.losses.len());
            for (&(step, got), &(place, want)) in got.losses.iter().zip(&want.losses) {
                assert_eq!(step, place);
                assert!(
                    (got - want).abs() <= 1e-4 * want.abs(),
                    "{} {graph:?} step {step}: {got}, CPU {want}",
                    self.model
                );
            }
            for (got, want) in got.phases.iter().zip(&want.phases) {
                assert!(
                    (got - want).abs() <= 1e-3 * want.abs(),
                    "{} {graph:?}: {got}, CPU {want}",
                    self.model
                );
            }
        }
    }
}

#[test]
fn lenet5_trains_as_on_the_cpu() {
    RUN.check();
}

#[test]
fn minivgg_trains_as_on_the_cpu() {
    Run { model: "minivgg", batch: 4, images: 18, epochs: 1, ..RUN }.check();
}

/// A network with batch norm, running statistics and residual blocks.
#[test]
fn resnet_cifar_trains_as_on_the_cpu() {
    Run { model: "resnet-cifar", batch: 2, images: 9, epochs: 1, ..RUN }.check();
}

/// Adam's bias corrections and the dropout masks change in every step. A graph must not repeat those of the first step.
#[test]
fn adam_and_dropout_go_on_in_a_graph() {
    Run { model: "mlp", batch: 8, images: 35, adam: true, lr: 0.002, ..RUN }.check();
}

/// The momentum changes in every step, for both optimisers.
#[test]
fn a_cycled_momentum_goes_on_in_a_graph() {
    let run = Run { model: "mlp2", batch: 4, schedule: "onecycle", ..RUN };
    run.check();
    Run { adam: true, lr: 0.002, ..run }.check();
}

/// If a callback finishes the run, its current epoch is validated and is the last.
#[test]
fn a_run_that_is_finished_early_ends_as_at_its_end() {
    let Some(device) = cuda() else { return };
    for (device, graph) in
        [(&Device::cpu().unwrap(), GraphMode::Off), (&device, GraphMode::Off), (&device, GraphMode::On)]
    {
        let seen = Run { epochs: 4, finish: Some(6), ..RUN }.on(device, graph);
        assert_eq!(seen.phases.len(), 2 * 2, "{graph:?}");
        assert!((7..=10).contains(&seen.losses.len()), "{graph:?}: {} steps", seen.losses.len());
    }
}

#[test]
fn clipped_gradients_go_on_in_a_graph() {
    Run { clip_norm: Some(0.5), ..RUN }.check();
}

/// Batches made by the host are copied to the buffers that the graph reads.
#[test]
fn batches_of_the_host_feed_a_graph() {
    Run { resident: false, epochs: 1, ..RUN }.check();
}

/// The loss of a replayed step is checked after the weights have changed. The error names the step and says how to find
/// the layer.
#[test]
fn a_loss_that_is_not_finite_ends_the_run_at_its_step() {
    let Some(device) = cuda() else { return };
    let run = Run { lr: 1e6, ..RUN };
    let error = |graph| run.train(&*run.network(), &device, graph).map(|seen| seen.losses).unwrap_err();
    let [eager, replayed] = [GraphMode::Off, GraphMode::On].map(error);
    assert_eq!((eager.kind(), replayed.kind()), (ErrorKind::NonFinite, ErrorKind::NonFinite));
    let [eager, replayed] = [eager, replayed].map(|error| error.to_string());
    assert_eq!(replayed.lines().next(), eager.lines().next());
    assert!(!eager.contains("GraphMode::Off") && replayed.contains("GraphMode::Off"), "{eager}\n{replayed}");
}

/// A network whose forward pass reads its own output. A graph cannot capture this.
struct Peeking {
    network: Box<dyn Module>,
    forwards: AtomicUsize,
}

impl Module for Peeking {
    fn forward(&self, cx: &Ctx, x: &Tensor) -> Result<Tensor> {
        self.forwards.fetch_add(1, Ordering::Relaxed);
        let y = self.network.forward(cx, x)?;
        y.to_vec::<f32>()?;
        Ok(y)
    }

    fn visit<'a>(&'a self, visitor: &mut Visitor<'a>) {
        self.network.visit(visitor);
    }

    fn kind(&self) -> &'static str {
        "Peeking"
    }
}

/// If a step cannot be captured, one capture is tried and all steps run without a graph. With `--graph on` it is an
/// error that says why.
#[test]
fn what_cannot_be_captured_trains_without_a_graph() {
    let Some(device) = cuda() else { return };
    for resident in [true, false] {
        let run = Run { resident, epochs: 1, ..RUN };
        let peeking = || Peeking { network: run.network(), forwards: AtomicUsize::new(0) };
        let network = peeking();
        let got = run.train(&network, &device, GraphMode::Auto).unwrap();
        assert_eq!(got.losses, run.on(&device, GraphMode::Off).losses);
        // Two more forward passes: one validation batch, and the attempt to capture.
        assert_eq!(network.forwards.into_inner(), got.losses.len() + 2);
        let error = run.train(&peeking(), &device, GraphMode::On).map(|seen| seen.losses).unwrap_err();
        assert!(error.to_string().contains("GraphMode::Off"), "{error}");
    }
}

/// A health sample belongs to its step even if later steps are queued. Its gradients, updates and outputs equal those
/// of an eager run: at the first step, at a step with a short batch, and at replayed steps after it.
#[test]
fn health_is_sampled_from_replayed_steps() {
    let Some(device) = cuda() else { return };
    let folder = tempfile::tempdir().unwrap();
    let lines = |graph: GraphMode| {
        let network = RUN.network();
        let path = folder.path().join(format!("{graph:?}"));
        let run =
            RunDir::create(&path, &RunConfig::new(&models::find(RUN.model).unwrap(), "sample")).unwrap();
        let images = (0..4 * 784).map(|i| Key::new(9).normal(i) as f32).collect();
        let images = Tensor::from_vec(&device, images, &[4, 1, 28, 28]).unwrap();
        let health = HealthRecorder::new(&run, 2, images, 0).unwrap();
        let seen = RUN.watched(&*network, &device, graph, Some(health)).unwrap();
        assert_eq!(seen.losses, RUN.on(&device, graph).losses, "looking changed the run");
        std::fs::read_to_string(run.health()).unwrap()
    };
    let (eager, replayed) = (lines(GraphMode::Off), lines(GraphMode::On));
    assert_eq!(eager.lines().count(), 5);
    for (eager, replayed) in eager.lines().zip(replayed.lines()) {
        assert_eq!(eager, replayed);
    }
}

/// The memory of the graph is private, so that other work neither reads nor writes it. At the end it is freed.
#[test]
fn a_run_leaves_no_memory_behind() {
    let Some(device) = cuda() else { return };
    let before = context(&device).memory_stats().in_use;
    RUN.on(&device, GraphMode::On);
    assert_eq!(context(&device).memory_stats().in_use, before);
}

/// The scores of each phase.
struct Scored(Arc<Mutex<Vec<receptive::train::Scores>>>);

impl Callback for Scored {
    fn on_phase(&mut self, _trainer: &Trainer, report: &receptive::train::PhaseReport) -> Result<()> {
        self.0.lock().unwrap().push(report.scores);
        Ok(())
    }
}

/// Targets that are class probabilities are no masks, neither in eager steps nor in replayed ones.
#[test]
fn probabilities_are_counted_as_on_the_cpu() {
    let Some(gpu) = cuda() else { return };
    let run = |device: &Device, graph: GraphMode| -> Result<Vec<receptive::train::Scores>> {
        let x = Tensor::randn(device, &[44, 6], DType::F32, Key::new(1))?;
        let soft = Tensor::randn(device, &[44, 3], DType::F32, Key::new(2))?.softmax(1)?;
        let set = Arc::new(TensorDataset::new(&x, &soft)?);
        let loader = Loader::from_examples(set, LoaderOptions::plain(8, device.clone()))?;
        let net = Linear::new(6, 3);
        net.init(device, DType::F32, 0)?;
        let sgd = Box::new(Sgd::new(net.trainable()?, 0.9, false, 0.0)?);
        let config = RunConfig { graph, ..RunConfig::plain("net", 3, 0.1) };
        let scores = Arc::default();
        let watch = Scored(Arc::clone(&scores));
        Trainer::new(&net, Loss::CrossEntropy, sgd, config)?.callback(watch).fit(&loader, &loader)?;
        let scores = scores.lock().unwrap();
        Ok(scores.clone())
    };
    let want = run(&Device::cpu().unwrap(), GraphMode::Off).unwrap();
    assert!(want.iter().all(|scores| scores.overlap.is_none() && scores.accuracy > 0.2), "{want:?}");
    for graph in [GraphMode::Off, GraphMode::On] {
        assert_eq!(run(&gpu, graph).unwrap(), want, "{graph:?}");
    }
}
