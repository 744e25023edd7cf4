//! Tests of training: it learns, gives the same result with any number of threads, and loses nothing when it is
//! stopped.

use receptive::data::{Augment, Batch, Dataset, ImageSet, Loader, LoaderOptions, Normalize};
use receptive::io::TensorFile;
use receptive::models::{self, OptimizerKind};
use receptive::nn::{Ctx, Loss, ModuleExt};
use receptive::optim::{Adam, Optimizer};
use receptive::train::{Callback, Flow, Keep, RunConfig, RunDir, Setup, StepReport, Trainer};
use receptive::{DType, Device, ErrorKind, Key, Result, Tensor};
use std::collections::BTreeMap;
use std::sync::Arc;

fn config(model: &str) -> RunConfig {
    RunConfig::new(&models::find(model).unwrap(), "sample")
}

fn first_batch(setup: &Setup) -> Batch {
    setup.loaders().unwrap().0.epoch(0, 0).unwrap().next().unwrap().unwrap()
}

fn bits(weights: &BTreeMap<String, Tensor>) -> BTreeMap<String, Vec<u32>> {
    let bits = |t: &Tensor| match t.dtype() {
        DType::I64 => t.to_vec::<i64>().unwrap().into_iter().map(|count| count as u32).collect(),
        _ => t.read::<f32, _>(|v| v.iter().map(|x| x.to_bits()).collect()).unwrap(),
    };
    weights.iter().map(|(name, t)| (name.clone(), bits(t))).collect()
}

/// A network that cannot memorise 32 images has a broken gradient somewhere.
#[test]
fn every_network_overfits_one_batch() {
    for spec in models::MODELS.iter().filter(|spec| spec.input == [1, 28, 28]) {
        let setup = Setup::new(RunConfig { batch_size: 32, ..config(spec.name) }).unwrap();
        let batch = first_batch(&setup);
        let mut adam = Adam::new(setup.model.trainable().unwrap(), 0.0).unwrap();
        let mut loss = f64::INFINITY;
        for step in 0..300 {
            adam.zero_grad();
            let output =
                setup.model.forward(&Ctx::train("net", Key::new(0).step(step)), &batch.images).unwrap();
            let value = spec.loss.compute(&output, &batch.targets).unwrap();
            value.backward().unwrap();
            adam.step(0.003).unwrap();
            loss = value.item().unwrap();
        }
        assert!(loss < 0.05, "{}: loss {loss} after 300 steps on one batch", spec.name);
    }
}

/// The notebooks' small-data experiment: 160 images, 16 of each class.
#[test]
fn the_160_image_experiment_learns() {
    let config = RunConfig { subset: Some(160), batch_size: 16, epochs: 25, ..config("lenet5") };
    let setup = Setup::new(config).unwrap();
    let mut counts = [0; 10];
    (0..setup.train.len()).for_each(|i| counts[setup.train.label(i)] += 1);
    assert_eq!(counts, [16; 10]);
    let (train, val) = setup.loaders().unwrap();
    let outcome = setup.trainer().unwrap().fit(&train, &val).unwrap();
    assert!(outcome.best.accuracy > 0.62, "{}", outcome.best.accuracy);
}

fn weights_after(threads: usize, model: &str) -> BTreeMap<String, Vec<u32>> {
    let config = RunConfig { threads, epochs: 1, max_steps: Some(25), ..config(model) };
    let setup = Setup::new(config).unwrap();
    let (train, val) = setup.loaders().unwrap();
    let mut trainer = setup.trainer().unwrap();
    trainer.fit(&train, &val).unwrap();
    bits(&setup.model.state_dict().unwrap())
}

/// Work is cut by the problem's size, so the result does not depend on the thread that computes a piece.
#[test]
fn one_two_and_three_threads_give_the_same_bits() {
    for model in ["lenet5", "minivgg", "mlp"] {
        let one = weights_after(1, model);
        assert_eq!(one, weights_after(2, model), "{model}: 2 threads");
        assert_eq!(one, weights_after(3, model), "{model}: 3 threads");
    }
}

struct StopAt(u64);

impl Callback for StopAt {
    fn on_step(&mut self, trainer: &Trainer, _report: &StepReport) -> Result<Flow> {
        Ok(if trainer.state.step == self.0 { Flow::Stop } else { Flow::Continue })
    }
}

/// The place in the loop where a callback ends the run.
#[derive(Debug, Clone, Copy, PartialEq)]
enum When {
    Step,
    Validation,
    Epoch,
}

/// Ends the run in its second epoch.
struct EndIn(When, Flow);

impl EndIn {
    fn flow(&self, when: When, due: bool) -> Result<Flow> {
        Ok(if when == self.0 && due { self.1 } else { Flow::Continue })
    }
}

impl Callback for EndIn {
    fn on_step(&mut self, trainer: &Trainer, _report: &StepReport) -> Result<Flow> {
        self.flow(When::Step, trainer.state.epoch == 1 && trainer.state.batch == 3)
    }

    fn on_validation(&mut self, trainer: &Trainer, _done: usize, _of: usize) -> Result<Flow> {
        self.flow(When::Validation, trainer.state.epoch == 1)
    }

    fn on_epoch(&mut self, trainer: &Trainer) -> Result<Flow> {
        self.flow(When::Epoch, trainer.state.epoch == 2)
    }
}

/// Stores what `on_end` receives: whether the run finished.
struct End<'a>(&'a std::sync::Mutex<Option<bool>>);

impl Callback for End<'_> {
    fn on_end(&mut self, _trainer: &Trainer, outcome: &receptive::train::Outcome) -> Result<()> {
        *self.0.lock().unwrap() = Some(outcome.finished);
        Ok(())
    }
}

/// A finish has the same effects as the normal end, wherever a callback requests it. After a stop the model holds the
/// last weights, so that the run can continue.
#[test]
fn a_finish_restores_the_best_weights_and_a_stop_keeps_the_last() {
    // This learning rate ruins the network in the second epoch, so the first epoch is the best.
    let config =
        RunConfig { epochs: 5, scheduler: "multistep:1:200".into(), subset: Some(300), ..config("mlp2") };
    for when in [When::Step, When::Validation, When::Epoch] {
        for (flow, keep) in [(Flow::Finish, Keep::Best), (Flow::Finish, Keep::Last), (Flow::Stop, Keep::Best)]
        {
            let setup = Setup::new(RunConfig { keep, ..config.clone() }).unwrap();
            let (train, val) = setup.loaders().unwrap();
            let told = std::sync::Mutex::new(None);
            let mut trainer = setup.trainer().unwrap().callback(EndIn(when, flow)).callback(End(&told));
            let outcome = trainer.fit(&train, &val).unwrap();
            let case = format!("{flow:?} in {when:?}, {keep:?}");
            let finished = flow == Flow::Finish;
            assert_eq!((outcome.finished, trainer.state.finished), (finished, finished), "{case}");
            assert_eq!(*told.lock().unwrap(), Some(finished), "{case}");
            let best = trainer.state.best.as_ref().unwrap();
            assert_eq!(best.epoch, 0, "{case}");
            let holds_best = bits(&setup.model.state_dict().unwrap()) == bits(&best.weights);
            assert_eq!(holds_best, finished && keep == Keep::Best, "{case}");
            // After a finish, both epochs have results.
            if finished {
                assert_eq!((trainer.state.epoch, trainer.state.batch), (2, 0), "{case}");
                let steps = trainer.state.step;
                assert!(trainer.fit(&train, &val).unwrap().finished, "{case}");
                assert_eq!(trainer.state.step, steps, "{case}: there is nothing left to train");
            }
        }
    }
}

/// A callback that returns `Settle` after an epoch neither ends the run nor changes the result.
#[test]
fn settling_after_an_epoch_goes_on() {
    let config = RunConfig { epochs: 3, subset: Some(300), ..config("mlp2") };
    let run = |flow| {
        let setup = Setup::new(config.clone()).unwrap();
        let (train, val) = setup.loaders().unwrap();
        let mut trainer = setup.trainer().unwrap().callback(EndIn(When::Epoch, flow));
        assert!(trainer.fit(&train, &val).unwrap().finished, "{flow:?}");
        assert_eq!(trainer.state.epoch, 3, "{flow:?}");
        bits(&setup.model.state_dict().unwrap())
    };
    assert!(run(Flow::Settle) == run(Flow::Continue), "the weights differ");
}

/// After a finish, the best weights in the run's folder are those in the model.
#[test]
fn a_finished_run_folder_holds_the_weights_of_the_model() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("run");
    let config =
        RunConfig { epochs: 5, scheduler: "multistep:1:200".into(), subset: Some(300), ..config("mlp2") };
    let folder = RunDir::create(&path, &config).unwrap();
    let setup = Setup::new(config).unwrap();
    let (train, val) = setup.loaders().unwrap();
    let recorder = folder.recorder("run".to_owned(), false, 0, Arc::default()).unwrap();
    let mut trainer = setup.trainer().unwrap().callback(EndIn(When::Step, Flow::Finish)).callback(recorder);
    let outcome = trainer.fit(&train, &val).unwrap();
    assert_eq!((outcome.finished, outcome.best_epoch, trainer.state.epoch), (true, 0, 2));
    let read = |name| bits(&TensorFile::read(&path.join(name), &setup.device).unwrap().tensors);
    let held = bits(&setup.model.state_dict().unwrap());
    assert!(read("best.safetensors") == held, "the best weights are not the model's");
    assert!(read("last.safetensors") != held, "the second epoch changed nothing");
}

/// The model ends with the best epoch's weights, not the last one's.
#[test]
fn the_best_weights_are_restored_at_the_end() {
    // This learning rate ruins the network in the second epoch, so the first epoch is the best.
    let config =
        RunConfig { epochs: 2, scheduler: "multistep:1:200".into(), subset: Some(1000), ..config("mlp2") };
    let setup = Setup::new(config).unwrap();
    let (train, val) = setup.loaders().unwrap();
    let mut trainer = setup.trainer().unwrap();
    let outcome = trainer.fit(&train, &val).unwrap();
    assert_eq!(outcome.best_epoch, 0);
    let tally =
        receptive::train::evaluate(&*setup.model, "mlp2", Loss::Nll, &val, |_, _, _| Ok(Flow::Continue));
    assert_eq!(tally.unwrap().unwrap().accuracy(), outcome.best.accuracy);
}

/// A stop keeps the position: a run that continues ends with the same bits as an uninterrupted run.
#[test]
fn stopping_and_going_on_changes_nothing() {
    stops_change_nothing(RunConfig { epochs: 2, subset: Some(500), ..config("lenet5") });
}

/// Running statistics, random crops, accumulated batches and a second worker continue from their positions too.
#[test]
fn stopping_changes_neither_statistics_nor_augmentation() {
    let config = RunConfig { epochs: 2, subset: Some(500), batch_size: 20, ..config("lenet5-bn") };
    stops_change_nothing(RunConfig { augment: Augment::Cutout, workers: 2, accumulate: 3, ..config });
}

fn stops_change_nothing(config: RunConfig) {
    let run = |stop: Option<u64>| {
        let setup = Setup::new(config.clone()).unwrap();
        let (train, val) = setup.loaders().unwrap();
        let mut trainer = setup.trainer().unwrap().callback(StopAt(stop.unwrap_or(u64::MAX)));
        let mut outcome = trainer.fit(&train, &val).unwrap();
        if stop.is_some() {
            assert!(!outcome.finished);
            outcome = trainer.fit(&train, &val).unwrap();
        }
        assert!(outcome.finished);
        (bits(&setup.model.state_dict().unwrap()), outcome.best.accuracy.to_bits())
    };
    let whole = run(None);
    for stop in [1, 8, 11] {
        assert_eq!(run(Some(stop)), whole, "stopped after step {stop}");
    }
}

/// If the loss is NaN, the run stops, and the error names the layer that first produced NaN or infinity.
#[test]
fn a_nan_loss_names_the_layer() {
    let setup = Setup::new(config("lenet5")).unwrap();
    // The weights are so large that the second convolution overflows. Everything before it is finite.
    let [conv1, conv2] =
        ["conv1.weight", "conv2.weight"].map(|name| setup.model.state_dict().unwrap()[name].clone());
    for weight in [conv1, conv2] {
        weight.copy_from(&Tensor::full(&setup.device, 1e20, weight.dims(), DType::F32).unwrap()).unwrap();
    }
    let (train, val) = setup.loaders().unwrap();
    let error = setup.trainer().unwrap().fit(&train, &val).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NonFinite);
    assert!(error.to_string().contains("output of conv2 (Conv2d)"), "{error}");
}

/// A much too large step makes the weights infinite. The error at the next loss names the parameter.
#[test]
fn an_exploded_parameter_is_named() {
    let mut config = RunConfig { lr: 1e38, ..config("mlp2") };
    config.set_optimizer(OptimizerKind::Sgd);
    let config = RunConfig { lr: 1e38, ..config };
    let setup = Setup::new(config).unwrap();
    let (train, val) = setup.loaders().unwrap();
    let error = setup.trainer().unwrap().fit(&train, &val).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NonFinite);
    assert!(error.to_string().contains("first not finite:"), "{error}");
}

#[test]
fn settings_out_of_range_are_named() {
    let wrong = [
        (RunConfig { epochs: 0, ..config("mlp") }, "`config.epochs`"),
        (RunConfig { batch_size: 0, ..config("mlp") }, "`config.batch_size`"),
        (RunConfig { lr: f64::NAN, ..config("mlp") }, "`config.lr`"),
        (RunConfig { lr: -1.0, ..config("mlp") }, "`config.lr`"),
        (RunConfig { momentum: f64::INFINITY, ..config("mlp") }, "`config.momentum`"),
        (RunConfig { weight_decay: -0.1, ..config("mlp") }, "`config.weight_decay`"),
        (RunConfig { max_steps: Some(0), ..config("mlp") }, "`config.max_steps`"),
        (RunConfig { scheduler: "step:0:1".into(), ..config("mlp") }, "scheduler"),
        (RunConfig { accumulate: 0, ..config("mlp") }, "`config.accumulate`"),
        (RunConfig { nesterov: true, ..config("mlp") }, "`config.nesterov`"),
        (RunConfig { fraction: Some(1.5), ..config("mlp") }, "`config.fraction`"),
        (RunConfig { gemm_rung: Some(77), device: "cpu".into(), ..config("mlp") }, "gemm-rung"),
        (RunConfig { subset: Some(6000), ..config("mlp") }, "subset"),
        (RunConfig { classes: Some(3), ..config("mlp") }, "`config.classes`"),
        (RunConfig { model: "lenet6".into(), ..config("mlp") }, "lenet6"),
        (RunConfig { data: "nist".into(), ..config("mlp") }, "nist"),
        (RunConfig { device: "tpu".into(), ..config("mlp") }, "device"),
    ];
    for (config, name) in wrong {
        let error = Setup::new(config).err().unwrap_or_else(|| panic!("{name} was accepted"));
        assert!(error.to_string().contains(name), "{name}: {error}");
    }
}

/// A layer that the forward pass leaves out is an error that names the layer. Its weight is not silently frozen.
#[test]
fn a_parameter_without_gradient_is_named() {
    let setup = Setup::new(config("mlp2")).unwrap();
    let batch = first_batch(&setup);
    let mut adam = Adam::new(setup.model.trainable().unwrap(), 0.0).unwrap();
    let output = setup.model.forward(&Ctx::eval("net"), &batch.images).unwrap();
    assert!(!output.tracks_grad());
    let error = adam.step(0.1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoGradient);
    assert!(error.to_string().contains("linear1.weight"), "{error}");
}

/// The smallest data set, one image of one class, can be trained without a division by zero.
#[test]
fn one_image_of_one_class_trains() {
    let device = Device::cpu().unwrap();
    let set = ImageSet::new("one", [1, 8, 8], vec![7; 64], vec![0], vec!["seven".into()]).unwrap();
    let set: Arc<dyn Dataset> = Arc::new(set);
    let loader =
        Loader::new(Arc::clone(&set), LoaderOptions::new(4, Normalize::unit(1), device.clone())).unwrap();
    let shape = models::ModelConfig::new([1, 8, 8], 1);
    let net = models::find("softmax").unwrap().build(&shape).unwrap();
    net.init(&device, DType::F32, 0).unwrap();
    let config = RunConfig {
        scheduler: "onecycle".into(),
        clip_norm: Some(1.0),
        ..RunConfig::plain("softmax", 2, 0.1)
    };
    let adam = Box::new(Adam::new(net.trainable().unwrap(), 0.0).unwrap());
    let outcome = Trainer::new(&*net, Loss::Nll, adam, config).unwrap().fit(&loader, &loader).unwrap();
    assert_eq!(outcome.best.accuracy, 1.0);
}

/// Validation and `eval` compute the run's own loss, with its settings.
#[test]
fn a_run_has_a_loss_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let weights: Vec<f64> = (0..10).map(|class| 0.5 + class as f64 / 5.0).collect();
    let run = |name: &str, loss, label_smoothing, class_weights| {
        let config = RunConfig {
            loss,
            label_smoothing,
            class_weights,
            epochs: 1,
            subset: Some(100),
            ..config("mlp2")
        };
        let path = folder.path().join(name);
        let run = RunDir::create(&path, &config).unwrap();
        receptive::train::train(&run, config, Arc::default(), Vec::new(), &|_| ()).unwrap();
        let recorded = RunDir::history(&path).unwrap()[1].loss;
        let options = receptive::train::TrainedOptions { path, ..Default::default() };
        let trained = receptive::train::Trained::open(options, true).unwrap();
        let split = receptive::train::Split::Val;
        let mut plain = 0.0;
        let tally = trained.evaluate(split, 250, |batch, output| {
            plain += Loss::CrossEntropy.compute(output, &batch.targets)?.item()? * batch.len() as f64;
            Ok(())
        });
        let tally = tally.unwrap();
        assert_eq!(tally.mean_loss(), recorded);
        (recorded, plain / tally.n as f64)
    };
    // mlp2 returns log-probabilities, which cross entropy accepts too.
    let (own, plain) = run("own", None, 0.0, None);
    assert!((own - plain).abs() < 1e-6, "{own} {plain}");
    let (same, plain) = run("same", Some(Loss::CrossEntropy), 0.0, None);
    assert!((same - plain).abs() < 1e-6 && (same - own).abs() < 1e-3, "{own} {same} {plain}");
    let (smooth, plain) = run("smooth", Some(Loss::CrossEntropy), 0.2, None);
    assert!(smooth > plain + 0.02, "{smooth} {plain}");
    let (weighted, plain) = run("weighted", None, 0.0, Some(weights));
    assert!((weighted - plain).abs() > 1e-3, "{weighted} {plain}");
}

/// Two accumulated batches of 16 give the step of one batch of 32, even if the last group is short.
#[test]
fn accumulated_batches_are_one_large_batch() {
    let weights = |batch_size, accumulate| {
        let config = RunConfig { batch_size, accumulate, subset: Some(80), epochs: 2, ..config("lenet5") };
        let setup = Setup::new(RunConfig { keep: Keep::Last, ..config }).unwrap();
        let (train, val) = setup.loaders().unwrap();
        let mut trainer = setup.trainer().unwrap();
        trainer.fit(&train, &val).unwrap();
        assert_eq!(trainer.state.step, 2 * 3);
        setup.model.state_dict().unwrap()
    };
    let (whole, parts) = (weights(32, 1), weights(16, 2));
    for (name, w) in &whole {
        let pairs = w.to_f64().unwrap().into_iter().zip(parts[name].to_f64().unwrap());
        let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        // Adam divides by the gradient's size. If a gradient is only rounding error, the steps may differ by up to
        // twice the learning rate.
        assert!(worst < 2e-4, "{name}: {worst}");
    }
}

/// With a tiny learning rate nothing changes. The first epoch stays the best, and early stopping ends the run two
/// epochs later.
#[test]
fn patience_ends_a_run_that_stands_still() {
    let config = RunConfig { subset: Some(20), epochs: 9, lr: 1e-30, early_stop: Some(2), ..config("mlp2") };
    let setup = Setup::new(config).unwrap();
    let (train, val) = setup.loaders().unwrap();
    let mut trainer = setup.trainer().unwrap();
    let outcome = trainer.fit(&train, &val).unwrap();
    assert_eq!((outcome.finished, outcome.best_epoch, trainer.state.epoch), (true, 0, 3));
}

/// The run ends with the best weights, unless `keep` requests the last ones.
#[test]
fn a_run_ends_with_the_weights_it_was_told_to_keep() {
    let ends_with_best = |keep| {
        // This learning rate soon makes the network worse, so that the best and the last weights differ.
        let config = RunConfig { subset: Some(100), epochs: 4, lr: 0.1, keep, ..config("mlp") };
        let setup = Setup::new(config).unwrap();
        let (train, val) = setup.loaders().unwrap();
        let mut trainer = setup.trainer().unwrap();
        trainer.fit(&train, &val).unwrap();
        let best = trainer.state.best.unwrap();
        assert!(best.epoch < 3, "the last epoch was the best: this test shows nothing");
        bits(&best.weights) == bits(&setup.model.state_dict().unwrap())
    };
    assert!(ends_with_best(Keep::Best));
    assert!(!ends_with_best(Keep::Last));
}

/// The learning rate falls if the validation loss does not improve.
#[test]
fn a_plateau_lowers_the_rate() {
    let config = RunConfig {
        subset: Some(20),
        epochs: 4,
        lr: 1e-6,
        scheduler: "plateau:1:0.5".into(),
        ..config("mlp2")
    };
    let setup = Setup::new(RunConfig { optimizer: OptimizerKind::Sgd, ..config }).unwrap();
    let (train, val) = setup.loaders().unwrap();
    let mut trainer = setup.trainer().unwrap();
    trainer.fit(&train, &val).unwrap();
    // The first epoch sets the best loss. The second is tolerated, the third lowers the rate, the fourth is tolerated.
    assert_eq!(trainer.learning_rate(), 0.5e-6);
}
