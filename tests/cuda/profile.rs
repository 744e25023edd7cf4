//! Tests of the profiler on a GPU: the same ops, layers and counts as on the CPU, and the same weights as without it.

use crate::{context, cuda};
use receptive::data::{ImageSet, Loader, LoaderOptions, Normalize};
use receptive::inspect::profile::{Profile, Profiler, StepPhase};
use receptive::models::{self, ModelConfig};
use receptive::nn::{Ctx, Loss, Module, ModuleExt};
use receptive::optim::{Optimizer, Sgd};
use receptive::report::ProfileTraining;
use receptive::train::{GraphMode, RunConfig, Trainer};
use receptive::{DType, Device, Key, Result, Tensor};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

fn lenet(device: &Device) -> (Box<dyn Module>, Sgd) {
    let model = models::find("lenet5").unwrap().build(&ModelConfig::new([1, 28, 28], 10)).unwrap();
    model.init(device, DType::F32, 3).unwrap();
    let optimizer = Sgd::new(model.trainable().unwrap(), 0.9, false, 0.0).unwrap();
    (model, optimizer)
}

fn weights(model: &dyn Module) -> BTreeMap<String, Vec<f64>> {
    let state = model.state_dict().unwrap();
    state.into_iter().map(|(name, weight)| (name, weight.to_f64().unwrap())).collect()
}

/// Runs two steps, with a profile if `watched`.
fn steps(device: &Device, watched: bool) -> (BTreeMap<String, Vec<f64>>, Option<Profile>) {
    let (model, mut optimizer) = lenet(device);
    let pixels = (0..2 * 784).map(|i| Key::new(5).normal(i) as f32).collect();
    let x = Tensor::from_vec(device, pixels, &[2, 1, 28, 28]).unwrap();
    let target = Tensor::from_vec(device, vec![3i64, 8], &[2]).unwrap();
    let profiler = watched.then(|| Profiler::start(device).unwrap());
    for step in 0..2 {
        optimizer.zero_grad();
        let cx = Ctx::train("lenet5", Key::new(1).step(step));
        Loss::Nll.forward_and_loss(&*model, &cx, &x, &target).unwrap().0.backward().unwrap();
        optimizer.step(0.05).unwrap();
        profiler.iter().for_each(Profiler::step);
    }
    (weights(&*model), profiler.map(Profiler::finish))
}

#[test]
fn ops_and_counts_are_those_of_the_cpu() {
    let Some(device) = cuda() else { return };
    let (got, profile) = steps(&device, true);
    assert_eq!(got, steps(&device, false).0);
    let (profile, cpu) = (profile.unwrap(), steps(&Device::cpu().unwrap(), true).1.unwrap());
    let ops = |profile: &Profile| -> Vec<_> {
        profile.events.iter().map(|e| (e.step, e.phase, e.path.clone(), e.op, e.flops, e.bytes)).collect()
    };
    assert_eq!(ops(&profile), ops(&cpu));
    assert!(profile.events.iter().all(|event| event.span.us > 0.0 || event.bytes == 0));
    let peak = profile.memory_at_peak().unwrap();
    assert_eq!(peak.rows.iter().map(|row| row.bytes).sum::<usize>(), peak.bytes);
    assert!(peak.bytes <= context(&device).memory_stats().peak);
}

/// The profiled epoch runs op by op, and the next epoch is replayed from a graph. The weights are the same.
#[test]
fn a_run_is_replayed_again_once_it_was_profiled() {
    let Some(device) = cuda() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("trace.json");
    let run = |graph, watched: bool| -> Result<_> {
        let (model, optimizer) = lenet(&device);
        let pixels = (0..24 * 784).map(|i| (Key::new(5).bits(i) >> 24) as u8).collect();
        let labels = (0..24).map(|i| Key::new(6).below(i, 10) as u32).collect();
        let classes = (0..10).map(|c| c.to_string()).collect();
        let set = Arc::new(ImageSet::new("noise", [1, 28, 28], pixels, labels, classes).unwrap());
        let loader = || {
            let options = LoaderOptions::new(4, Normalize::unit(1), device.clone());
            Loader::new(set.clone(), options).unwrap()
        };
        let config = RunConfig { graph, ..RunConfig::plain("lenet5", 2, 0.02) };
        let mut trainer = Trainer::new(&*model, Loss::Nll, Box::new(optimizer), config)?;
        let seen = Arc::new(Mutex::new(None));
        if watched {
            let slot = Arc::clone(&seen);
            let done = move |profile: Result<Profile>| *slot.lock().unwrap() = Some(profile.unwrap());
            trainer = trainer.callback(ProfileTraining::new(&file, 2, done)?);
        }
        trainer.fit(&loader(), &loader())?;
        drop(trainer);
        let seen = seen.lock().unwrap().take();
        Ok((weights(&*model), seen))
    };
    let (want, _) = run(GraphMode::On, false).unwrap();
    let (got, profile) = run(GraphMode::Auto, true).unwrap();
    assert_eq!(got, want);
    let profile = profile.unwrap();
    assert_eq!(profile.steps.len(), 2);
    let updates = profile.events.iter().filter(|event| event.phase == StepPhase::Update);
    assert_eq!(updates.map(|event| event.op).collect::<Vec<_>>(), ["sgd", "sgd"]);
    assert!(file.exists());
    let Err(refused) = run(GraphMode::On, true) else { panic!("a graph was watched op by op") };
    assert!(refused.to_string().contains("profiled"), "{refused}");
}

/// The launches of a piece of work are timed one by one, in their order.
#[test]
fn launches_are_timed() {
    let Some(device) = cuda() else { return };
    let x = Tensor::ones(&device, &[8], DType::F32).unwrap();
    let work = || x.relu()?.mul(&x).map(drop);
    let launches = context(&device).time_launches(work).unwrap();
    let kernels: Vec<&str> = launches.iter().map(|launch| launch.kernel).collect();
    assert_eq!(kernels, ["relu_fwd_f32", "mul_f32"]);
    assert!(launches.iter().all(|launch| (0.0..1.0).contains(&launch.seconds)));
    work().unwrap();
    assert_eq!(context(&device).time_launches(|| Ok(())).unwrap(), []);
}
