//! Tests of the profiler: its counts equal those made by hand, and profiling changes no result.

use receptive::inspect::profile::{Held, OpEvent, Profile, Profiler, StepPhase};
use receptive::models::{self, ModelConfig};
use receptive::nn::{Conv2d, Ctx, Flatten, Linear, Loss, MaxPool2d, Module, ModuleExt, Relu, Sequential};
use receptive::optim::{Adam, Optimizer, Sgd};
use receptive::report::ProfileTraining;
use receptive::train::{Callback, Flow, RunConfig, RunDir, StepReport, Trainer, train};
use receptive::{DType, Device, Key, Tensor};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A network, its optimiser, and a batch to train on.
struct Trained {
    model: Box<dyn Module>,
    optimizer: Box<dyn Optimizer>,
    x: Tensor,
    target: Tensor,
}

impl Trained {
    fn new(device: &Device, model: Box<dyn Module>, dims: [usize; 4], adam: bool) -> Trained {
        model.init(device, DType::F32, 7).unwrap();
        let (params, n) = (model.trainable().unwrap(), dims.iter().product::<usize>());
        let optimizer: Box<dyn Optimizer> = match adam {
            true => Box::new(Adam::new(params, 0.0).unwrap()),
            false => Box::new(Sgd::new(params, 0.9, false, 0.0).unwrap()),
        };
        let x = Tensor::from_vec(device, (0..n).map(|i| (i as f32 * 0.37).sin()).collect(), &dims).unwrap();
        let target =
            Tensor::from_vec(device, (0..dims[0]).map(|i| i as i64 % 3).collect(), &[dims[0]]).unwrap();
        Trained { model, optimizer, x, target }
    }

    fn step(&mut self, step: u64) {
        self.optimizer.zero_grad();
        let cx = Ctx::train("net", Key::new(1).step(step));
        let (loss, _) =
            Loss::CrossEntropy.forward_and_loss(&*self.model, &cx, &self.x, &self.target).unwrap();
        loss.backward().unwrap();
        self.optimizer.step(0.01).unwrap();
    }

    fn profile(&mut self, device: &Device, warm_up: u64, steps: u64) -> Profile {
        let profiler = Profiler::start(device).unwrap();
        profiler.know(&*self.model, Some(&*self.optimizer)).unwrap();
        for step in 0..warm_up {
            self.step(step);
            profiler.restart();
        }
        // The number of threads that use scratch memory at once differs from step to step. So the peak must be that of
        // the profiled steps alone.
        device.as_cpu().into_iter().for_each(|cpu| cpu.buffers().reset_peak());
        for step in 0..steps {
            self.step(warm_up + step);
            profiler.step();
        }
        profiler.finish()
    }

    fn weights(&self) -> BTreeMap<String, Vec<f64>> {
        let state = self.model.state_dict().unwrap();
        state.into_iter().map(|(name, weight)| (name, weight.to_f64().unwrap())).collect()
    }
}

fn tiny() -> Box<dyn Module> {
    let net = Sequential::new()
        .named("conv", Conv2d::new(1, 2, 3).padding(1))
        .named("relu", Relu)
        .named("flatten", Flatten)
        .named("fc", Linear::new(2 * 16, 3));
    Box::new(net)
}

fn zoo(name: &str, input: [usize; 3]) -> Box<dyn Module> {
    models::find(name).unwrap().build(&ModelConfig::new(input, 3)).unwrap()
}

/// Every op of one step on two 4x4 images, with its cost counted by hand.
#[test]
fn flops_and_bytes_are_those_counted_by_hand() {
    let cpu = Device::cpu().unwrap();
    let profile = Trained::new(&cpu, tiny(), [2, 1, 4, 4], false).profile(&cpu, 1, 2);
    let (x, w, b, y, fw, fb, out) = (32, 18, 2, 64, 96, 3, 6); // elements of each tensor
    let f32s = |n: u64| 4 * n;
    let expected: &[(StepPhase, &str, &str, u64, u64)] = &[
        // Per output: 9 products and sums, one bias and one comparison.
        (StepPhase::Forward, "conv+relu", "conv2d_relu", y * (2 * 9 + 1 + 1), f32s(x + w + b + y)),
        (StepPhase::Forward, "flatten", "flatten", 0, 0),
        (StepPhase::Forward, "fc", "linear", out * (2 * 32 + 1), f32s(y + fw + fb + out)),
        // A label has 8 bytes. The log-probabilities and the divisor are saved for backward.
        (StepPhase::Forward, "loss", "cross_entropy", 4 * out, f32s(out + 1 + out + 1) + 16),
        (StepPhase::Backward, "loss", "cross_entropy_grad", out, f32s(out + 1 + 1 + out) + 16),
        (StepPhase::Backward, "fc", "linear_grad_input", 2 * 2 * 3 * 32, f32s(out + fw + y)),
        (StepPhase::Backward, "fc", "linear_grad_weight", 2 * 2 * 3 * 32, f32s(out + y + fw)),
        (StepPhase::Backward, "fc", "sum_to_size", out, f32s(out + fb)),
        (StepPhase::Backward, "flatten", "reshape", 0, 0),
        // Sets dy to 0 where the output is 0, and sums the rest for the bias. dy is changed in place, so it is read and
        // written.
        (StepPhase::Backward, "conv+relu", "with_relu_grad", 2 * y, f32s(y + 2 * (y + b))),
        (StepPhase::Backward, "conv+relu", "conv2d_grad_weight", 2 * y * 9, f32s(y + x + w)),
        // Weights and momenta are read and written. Three numbers hold the learning rate, the momentum and the decay.
        (StepPhase::Update, "", "sgd", 6 * 119, f32s(2 * 2 * 119 + 119 + 3)),
    ];
    for step in 0..2 {
        let events = profile.events.iter().filter(|event| event.step == step);
        let found: Vec<_> = events.map(|e| (e.phase, &*e.path, e.op, e.flops, e.bytes)).collect();
        assert_eq!(found, expected);
    }
    let table = profile.layer_table();
    let paths: Vec<&str> = table.layers.iter().map(|row| &*row.path).collect();
    assert_eq!((paths, table.steps), (vec!["conv+relu", "flatten", "fc", "loss"], 2));
    let sums = |phase| {
        expected.iter().filter(|row| row.0 == phase).fold([0, 0], |[f, b], row| [f + row.3, b + row.4])
    };
    for (phase, cost) in [
        (StepPhase::Forward, table.sum.forward),
        (StepPhase::Backward, table.sum.backward),
        (StepPhase::Update, table.update),
    ] {
        assert_eq!([cost.flops, cost.bytes], sums(phase), "{phase:?}");
        assert!(cost.seconds > 0.0 && cost.of_roof.is_none());
    }
    let ops = profile.op_table();
    assert!(ops.iter().all(|row| row.calls == 2) && ops.len() == expected.len(), "{ops:?}");
    let shares: f64 = ops.iter().map(|row| row.share).sum();
    assert!((shares - 1.0).abs() < 1e-9, "{shares}");
}

/// Networks with residual blocks, batch norm with running statistics, dropout. Each backward op belongs to a layer that
/// ran forward, and each layer with parameters has backward ops.
#[test]
fn every_backward_op_belongs_to_the_layer_that_recorded_it() {
    let cpu = Device::cpu().unwrap();
    for (name, input) in [("resnet-cifar", [3, 8, 8]), ("lenet5-bn", [1, 28, 28]), ("minivgg", [1, 28, 28])] {
        let mut net = Trained::new(&cpu, zoo(name, input), [2, input[0], input[1], input[2]], true);
        let profile = net.profile(&cpu, 0, 1);
        let of = |phase| profile.events.iter().filter(move |event: &&OpEvent| event.phase == phase);
        let forward: BTreeSet<&str> = of(StepPhase::Forward).map(|event| &*event.path).collect();
        let backward: BTreeSet<&str> = of(StepPhase::Backward).map(|event| &*event.path).collect();
        assert!(
            of(StepPhase::Backward).count() > 20 && backward.is_subset(&forward),
            "{name}: {backward:?} {forward:?}"
        );
        for (param, _) in net.model.trainable().unwrap() {
            let layer = param.rsplit_once('.').unwrap().0;
            let has = |path: &&str| {
                **path == *layer || path.strip_prefix(layer).is_some_and(|rest| rest.starts_with('+'))
            };
            assert!(backward.iter().any(has), "{name}: {layer} is not in {backward:?}");
        }
        let other: Vec<_> = of(StepPhase::Other).map(|event| event.op).collect();
        assert!(
            other.is_empty() && of(StepPhase::Update).all(|event| event.op == "adam"),
            "{name}: {other:?}"
        );
    }
}

/// The trace has rows of slices that do not overlap, counters, and the tables.
#[test]
fn the_trace_is_a_timeline() {
    let cpu = Device::cpu().unwrap();
    let profile = Trained::new(&cpu, tiny(), [2, 1, 4, 4], false).profile(&cpu, 1, 3);
    let text = profile.trace("a test").to_string();
    let trace: Value = serde_json::from_str(&text).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let mut ends = BTreeMap::<u64, f64>::new();
    let number = |event: &Value, key: &str| event[key].as_f64().unwrap_or_else(|| panic!("{key} of {event}"));
    for event in events.iter().filter(|event| event["ph"] == "X") {
        let end = ends.entry(event["tid"].as_u64().unwrap()).or_insert(0.0);
        // The times are whole nanoseconds, written as microseconds in f64.
        assert!(
            number(event, "ts") >= *end - 1e-6 && number(event, "dur") >= 0.0,
            "{event} begins before {end}"
        );
        *end = number(event, "ts") + number(event, "dur");
    }
    assert_eq!(ends.keys().copied().collect::<Vec<_>>(), [0, 1, 2, 3]);
    let slices = events.iter().filter(|event| event["ph"] == "X").count();
    assert_eq!(slices, 3 + profile.events.len());
    let counters: Vec<_> = events.iter().filter(|event| event["ph"] == "C").collect();
    assert_eq!(counters.len(), profile.events.len());
    assert!(counters.iter().all(|counter| counter["args"]["bytes"].as_u64().unwrap() > 0));
    let conv = events.iter().find(|event| event["name"] == "conv+relu conv2d_relu").unwrap();
    assert_eq!(conv["args"]["inputs"], serde_json::json!([[2, 1, 4, 4], [2, 1, 3, 3], [2]]));
    let tables = &trace["receptive"];
    assert_eq!(tables["op_table"].as_array().unwrap().len(), profile.op_table().len());
    assert!(tables["memory_at_peak"]["bytes"].as_u64().unwrap() > 0);
}

/// The rows of the memory view add up to the peak that the pool counts. The pool rounds its blocks up by at most a
/// quarter, or 64 bytes; the rounding has its own row.
#[test]
fn memory_at_its_peak_is_that_of_the_pool() {
    let cpu = Device::cpu().unwrap();
    let pool = cpu.as_cpu().unwrap().buffers();
    for (name, input, adam) in [("lenet5", [1, 28, 28], true), ("resnet-cifar", [3, 16, 16], false)] {
        let mut net = Trained::new(&cpu, zoo(name, input), [16, input[0], input[1], input[2]], adam);
        let profile = net.profile(&cpu, 1, 2);
        let peak = profile.memory_at_peak().unwrap();
        assert_eq!(peak.bytes, profile.events.iter().map(|event| event.high).max().unwrap());
        assert_eq!(peak.rows.iter().map(|row| row.bytes).sum::<usize>(), peak.bytes, "{name}");
        // The pool may count a little more: between ops, the gradient from which backward starts is allocated.
        let whole = pool.stats().peak;
        assert!(whole >= peak.bytes && whole - peak.bytes <= 1024, "{name}: {whole} {}", peak.bytes);
        let of = |held| peak.rows.iter().filter(|row| row.held == held).map(|row| row.bytes).sum::<usize>();
        let tensors = peak.bytes - of(Held::Scratch) - of(Held::Rounding);
        let count: usize = peak.rows.iter().map(|row| row.tensors).sum();
        assert!(of(Held::Rounding) <= tensors / 4 + 64 * count, "{name}: {:?}", peak.rows);
        let parameters = 4 * net.model.num_parameters();
        assert_eq!(of(Held::Parameter), parameters, "{name}");
        assert_eq!(of(Held::OptimizerState), parameters * if adam { 2 } else { 1 }, "{name}");
        assert!(of(Held::SavedForBackward) > 0 && of(Held::Activation) < of(Held::SavedForBackward));
        drop(net);
        pool.reset_peak();
    }
}

/// A forward pass in a pause, such as a validation, leaves tensors behind. They do not count at an earlier peak.
#[test]
fn memory_at_its_peak_is_without_what_a_later_pause_made() {
    let cpu = Device::cpu().unwrap();
    let mut net = Trained::new(&cpu, zoo("lenet5", [1, 28, 28]), [64, 1, 28, 28], true);
    let profiler = Profiler::start(&cpu).unwrap();
    profiler.know(&*net.model, Some(&*net.optimizer)).unwrap();
    net.step(0);
    profiler.restart();
    let mut kept = Vec::new();
    for step in 1..4 {
        net.step(step);
        profiler.step();
        profiler.pause();
        let images = Tensor::zeros(&cpu, &[64, 1, 28, 28], DType::F32).unwrap();
        kept.push(net.model.forward(&Ctx::eval("net"), &images).unwrap());
        profiler.resume();
    }
    let profile = profiler.finish();
    let peak = profile.memory_at_peak().unwrap();
    assert_eq!(peak.rows.iter().map(|row| row.bytes).sum::<usize>(), peak.bytes, "{:?}", peak.rows);
    let made = profile.tensors.iter().filter(|life| life.born.is_none() && life.held == Held::Activation);
    assert_eq!(made.count(), 0, "nothing that a layer made was there before");
}

/// Sleeps between steps, like a checkpoint on a slow disk.
struct Slow(Duration);

impl Callback for Slow {
    fn on_step(&mut self, _: &Trainer, _: &StepReport) -> receptive::Result<Flow> {
        std::thread::sleep(self.0);
        Ok(Flow::Continue)
    }
}

/// Neither the time nor the ops of other callbacks between steps count for a step.
#[test]
fn a_step_is_without_what_comes_between_steps() {
    let folder = tempfile::tempdir().unwrap();
    let config = RunConfig {
        subset: Some(130),
        epochs: 3,
        health: 1,
        ..RunConfig::new(&models::find("mlp2").unwrap(), "sample")
    };
    let run = RunDir::create(&folder.path().join("run"), &config).unwrap();
    let pause = Duration::from_millis(200);
    let (profile, told) = (Mutex::new(None), folder.path().join("trace.json"));
    let watch = ProfileTraining::new(&told, 5, |result| *profile.lock().unwrap() = Some(result.unwrap()));
    let watchers: Vec<Box<dyn Callback>> =
        vec![Box::new(Slow(pause)), Box::new(watch.unwrap()), Box::new(Slow(pause))];
    train(&run, config, Arc::new(AtomicBool::new(false)), watchers, &|_| {}).unwrap();
    let profile = profile.into_inner().unwrap().unwrap();
    let ops = |step| profile.events.iter().filter(move |event| event.step == step).map(|event| event.op);
    assert_eq!(profile.steps.len(), 5);
    assert!((1..5).all(|step| ops(step).eq(ops(0))), "{:?}", ops(0).collect::<Vec<_>>());
    let median = profile.layer_table().step_seconds;
    assert!(median < pause.as_secs_f64(), "{median} s");
    let peak = profile.memory_at_peak().unwrap();
    assert_eq!(peak.rows.iter().map(|row| row.bytes).sum::<usize>(), peak.bytes);
}

/// A tensor's life ends with the last op that can use it. For an activation, this is the backward of its layer.
#[test]
fn tensors_live_from_the_layer_that_makes_them_to_its_gradients() {
    let cpu = Device::cpu().unwrap();
    let profile = Trained::new(&cpu, tiny(), [2, 1, 4, 4], false).profile(&cpu, 1, 2);
    let lives: Vec<_> = profile.tensors.iter().filter(|life| life.name == "conv2d_relu").collect();
    assert_eq!(lives.len(), 2, "one a step");
    for life in lives {
        assert_eq!((life.held, life.bytes, &*life.path), (Held::Activation, 256, "conv+relu"));
        let (born, died) = (life.born.unwrap(), life.died.unwrap());
        assert_eq!(life.held_at(born), Held::SavedForBackward);
        let last = &profile.events[died - 1];
        assert_eq!((last.phase, &*last.path), (StepPhase::Backward, "conv+relu"));
        assert!(!life.lives_at(died) && life.lives_at(died - 1));
    }
    let weight = profile.tensors.iter().find(|life| life.name == "fc.weight").unwrap();
    assert_eq!((weight.held, &*weight.path, weight.born, weight.died), (Held::Parameter, "fc", None, None));
}

/// The profiler keeps no tensor alive, so ops reuse memory as without it. The weights are the same bit for bit.
#[test]
fn profiled_training_gives_the_same_bits() {
    let run = |watched: bool| {
        let cpu = Device::cpu().unwrap();
        let mut net = Trained::new(&cpu, zoo("resnet-cifar", [3, 8, 8]), [4, 3, 8, 8], true);
        if watched {
            net.profile(&cpu, 1, 4);
        } else {
            (0..5).for_each(|step| net.step(step));
        }
        net.weights()
    };
    assert_eq!(run(true), run(false));
}

/// A device has at most one profiler. After it is dropped, another can start.
#[test]
fn a_device_is_watched_by_one() {
    let cpu = Device::cpu().unwrap();
    let first = Profiler::start(&cpu).unwrap();
    let Err(refused) = Profiler::start(&cpu) else { panic!("two profilers on one device") };
    assert!(refused.to_string().contains("already running"), "{refused}");
    drop(first);
    let profiler = Profiler::start(&cpu).unwrap();
    let x = Tensor::zeros(&cpu, &[3], DType::F32).unwrap();
    x.relu().unwrap();
    profiler.pause();
    x.exp().unwrap();
    profiler.resume();
    x.neg().unwrap();
    let profile = profiler.finish();
    let ops: Vec<_> = profile.events.iter().map(|event| (event.op, event.phase)).collect();
    assert_eq!((ops, profile.steps.len()), (vec![("relu", StepPhase::Other), ("neg", StepPhase::Other)], 1));
    x.relu().unwrap();
    assert!(Profiler::start(&cpu).unwrap().finish().events.is_empty());
}

/// On the meta device, costs are counted from the shapes alone.
#[test]
fn the_meta_device_can_be_profiled() {
    let meta = Device::meta();
    let profiler = Profiler::start(&meta).unwrap();
    let x = Tensor::zeros(&meta, &[8, 1, 28, 28], DType::F32).unwrap().requires_grad();
    let pool = Sequential::new().push(MaxPool2d::new(2));
    pool.forward(&Ctx::train("pool", Key::new(0)), &x).unwrap();
    let profile = profiler.finish();
    let [event] = &profile.events[..] else { panic!("{:?}", profile.events) };
    assert_eq!(
        (&*event.path, event.phase, event.flops, event.in_use),
        ("0", StepPhase::Forward, 8 * 14 * 14 * 4, 0)
    );
    // The index of each window's winner takes one byte.
    assert_eq!(event.bytes, 4 * 8 * 28 * 28 + 4 * 8 * 14 * 14 + 8 * 14 * 14);
}
