//! Tests of layer health: each figure is compared with a known value, and sampling changes no bit of the training.

use receptive::inspect::{LayerHealth, copy_weights, layer_health};
use receptive::models;
use receptive::nn::{Conv2d, Ctx, Flatten, LeakyRelu, Linear, Module, ModuleExt, Relu, Sequential};
use receptive::optim::{Optimizer, Sgd};
use receptive::train::{Callback, Flow, RunConfig, RunDir, StepReport, Trainer, train};
use receptive::{DType, Device, Key, Result, Tensor};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn tensor(cpu: &Device, values: &[f32], dims: &[usize]) -> Tensor {
    Tensor::from_slice(cpu, values, dims).unwrap()
}

/// Initialises a model and loads these values.
fn fill(model: &dyn Module, cpu: &Device, values: &[(&str, &[f32], &[usize])]) {
    model.init(cpu, DType::F32, 0).unwrap();
    let named =
        |&(name, values, dims): &(&str, &[f32], &[usize])| (name.to_owned(), tensor(cpu, values, dims));
    model.load_state_dict(&values.iter().map(named).collect()).unwrap();
}

/// A unit is dead if its output is positive for no image. One positive output is enough to be alive; 0 is not positive.
#[test]
fn dead_units_are_counted() {
    let cpu = Device::cpu().unwrap();
    let net = Sequential::new().push(Linear::new(2, 4)).push(Relu).push(LeakyRelu(0.1));
    let weight = [1.0, 1.0, -1.0, -1.0, 1.0, -1.0, 0.0, 0.0];
    fill(&net, &cpu, &[("0.weight", &weight, &[4, 2]), ("0.bias", &[0.0; 4], &[4])]);
    let x = tensor(&cpu, &[1.0, 2.0, 3.0, 1.0, 1.0, 5.0], &[3, 2]);
    let layers = layer_health(&net, "net", &x, None).unwrap();
    // Unit 0 (the sum) is always positive, unit 1 never. Unit 2 (the difference) is positive for one image, unit 3 is
    // 0.
    let [linear, relu, leaky] = &layers[..] else { panic!("{layers:?}") };
    assert_eq!((linear.dead, relu.dead, leaky.dead), (None, Some(0.5), None));
    assert_eq!(relu.output.zeros, 8.0 / 12.0);
    assert_eq!(
        (relu.output.min, relu.output.max, relu.output.mean),
        (0.0, 6.0, (3.0 + 4.0 + 6.0 + 2.0) / 12.0)
    );
    assert_eq!((linear.output.min, linear.output.max), (-6.0, 6.0));
    assert_eq!(linear.histogram.counts.iter().sum::<u64>(), 12);
}

/// The units of a convolution are its channels. A channel is alive if any pixel of any image is positive.
#[test]
fn a_channel_lives_by_one_pixel() {
    let cpu = Device::cpu().unwrap();
    let net = Sequential::new().push(Conv2d::new(1, 2, 1)).push(Relu);
    fill(&net, &cpu, &[("0.weight", &[1.0, 1.0], &[2, 1, 1, 1]), ("0.bias", &[-7.0, -8.0], &[2])]);
    let pixels: Vec<f32> = (0..8).map(|i| i as f32 + 0.5).collect();
    let layers = layer_health(&net, "net", &tensor(&cpu, &pixels, &[2, 1, 2, 2]), None).unwrap();
    assert_eq!(layers[1].dead, Some(0.5));
    assert_eq!(layers[1].output.zeros, 15.0 / 16.0);
}

/// In plain gradient descent the update is the gradient times the learning rate, so its ratio to the weights is known.
#[test]
fn the_update_ratio_of_plain_sgd_is_known() {
    let cpu = Device::cpu().unwrap();
    let net = Sequential::new()
        .named("conv", Conv2d::new(1, 3, 3))
        .named("relu", Relu)
        .named("flatten", Flatten)
        .named("fc", Linear::new(3 * 16, 5));
    net.init(&cpu, DType::F64, 3).unwrap();
    let numbers = (0..72).map(|i| (f64::from(i) * 0.7).sin()).collect();
    let x = Tensor::from_vec(&cpu, numbers, &[2, 1, 6, 6]).unwrap();
    let params: BTreeMap<String, Tensor> = net.trainable().unwrap().into_iter().collect();
    let mut sgd = Sgd::new(net.trainable().unwrap(), 0.0, false, 0.0).unwrap();

    let untouched = layer_health(&net, "net", &x, None).unwrap();
    assert!(untouched.iter().all(|layer| layer.gradient_norm.is_none() && layer.update_norm.is_none()));

    let y = net.forward(&Ctx::train("net", Key::new(0)), &x).unwrap();
    y.mul(&y).unwrap().sum_all().unwrap().backward().unwrap();
    let before = copy_weights(&net).unwrap();
    sgd.step(0.01).unwrap();
    let layers = layer_health(&net, "net", &x, Some(&before)).unwrap();
    let by_path: BTreeMap<&str, &LayerHealth> = layers.iter().map(|layer| (&*layer.path, layer)).collect();
    let norm = |tensors: [Tensor; 2]| {
        tensors.iter().flat_map(|t| t.to_f64().unwrap()).map(|v| v * v).sum::<f64>().sqrt()
    };
    let close = |got: Option<f64>, want: f64| {
        let got = got.unwrap();
        assert!((got - want).abs() <= 1e-12 * want, "{got} is not {want}");
    };
    for path in ["conv", "fc"] {
        let [weight, bias] = ["weight", "bias"].map(|name| &params[&format!("{path}.{name}")]);
        let gradient = norm([weight, bias].map(|p| p.grad().unwrap()));
        let weights = norm([weight, bias].map(Tensor::detach));
        close(by_path[path].gradient_norm, gradient);
        close(by_path[path].weight_norm, weights);
        close(by_path[path].update_norm, 0.01 * gradient);
        close(by_path[path].update_ratio, 0.01 * gradient / weights);
    }
    let relu = by_path["relu"];
    assert_eq!((relu.gradient_norm, relu.weight_norm, relu.update_ratio), (None, None, None));
    let misshapen = BTreeMap::from([("fc.bias".to_owned(), x.clone())]);
    let error = layer_health(&net, "net", &x, Some(&misshapen)).unwrap_err().to_string();
    assert!(error.contains("differ in shape") && error.contains("net/fc"), "{error}");
}

/// A short run of 12 steps. Sampling must not change the running statistics of batch norm or the dropout masks of
/// `mlp`.
fn config(model: &str, health: u64) -> RunConfig {
    let network = models::find(model).unwrap();
    RunConfig {
        health,
        subset: Some(120),
        batch_size: 20,
        val_batch_size: 250,
        fraction: Some(0.2),
        epochs: 2,
        threads: 1,
        device: "cpu".to_owned(),
        ..RunConfig::new(&network, "sample")
    }
}

/// Sets the stop flag after a step, as Ctrl-C does.
struct StopAfter(u64, Arc<AtomicBool>);

impl Callback for StopAfter {
    fn on_step(&mut self, _trainer: &Trainer, report: &StepReport) -> Result<Flow> {
        self.1.store(report.step >= self.0, Ordering::Relaxed);
        Ok(Flow::Continue)
    }
}

/// Starts or resumes a run, until it ends or the step `stop_after` is done. Returns true if it ended.
fn run(path: &Path, config: &RunConfig, stop_after: u64) -> bool {
    let (folder, config) = match path.exists() {
        true => RunDir::open(path).unwrap(),
        false => (RunDir::create(path, config).unwrap(), config.clone()),
    };
    let stop = Arc::new(AtomicBool::new(false));
    let watch = StopAfter(stop_after, Arc::clone(&stop));
    train(&folder, config, stop, vec![Box::new(watch)], &|_| {}).unwrap().outcome.finished
}

fn health(path: &Path) -> String {
    fs::read_to_string(path.join("health.jsonl")).unwrap()
}

/// The trained weights and running statistics have the same bits with and without sampling. Each sample has its step.
#[test]
fn looking_changes_no_bit() {
    let folder = tempfile::tempdir().unwrap();
    for model in ["lenet5-bn", "mlp"] {
        let [watched, alone] = ["watched", "alone"].map(|name| folder.path().join(format!("{model}-{name}")));
        assert!(run(&watched, &config(model, 5), u64::MAX) && run(&alone, &config(model, 0), u64::MAX));
        for file in ["last.safetensors", "best.safetensors"] {
            assert!(
                fs::read(watched.join(file)).unwrap() == fs::read(alone.join(file)).unwrap(),
                "{model}: {file}"
            );
        }
        assert!(!alone.join("health.jsonl").exists());
        let lines: Vec<serde_json::Value> =
            health(&watched).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let at = |line: &serde_json::Value| (line["step"].as_u64().unwrap(), line["epoch"].as_u64().unwrap());
        assert_eq!(lines.iter().map(at).collect::<Vec<_>>(), [(0, 0), (5, 0), (10, 1)], "{model}");
        for layer in lines.iter().flat_map(|line| line["layers"].as_array().unwrap()) {
            let numbers = ["gradient_norm", "weight_norm", "update_norm", "update_ratio"];
            let trained = numbers.map(|name| layer[name].as_f64().is_some_and(|v| v > 0.0));
            let has = matches!(
                layer["kind"].as_str().unwrap(),
                "Linear" | "Conv2d" | "BatchNorm2d" | "BatchNorm1d"
            );
            assert_eq!(trained, [has; 4], "{model}: {layer}");
            assert_eq!(layer["dead"].is_f64(), layer["kind"] == "ReLU", "{layer}");
        }
    }
}

/// Stops a run before, at and after a sampled step. Then adds lines after the checkpoint's step, one of them cut off.
/// The resumed run ends with the same file, byte for byte.
#[test]
fn a_resumed_run_has_the_samples_of_one_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let config = config("lenet5-bn", 5);
    let whole = folder.path().join("whole");
    assert!(run(&whole, &config, u64::MAX));
    for stop in [3, 4, 5, 9] {
        let broken = folder.path().join(format!("broken-{stop}"));
        assert!(!run(&broken, &config, stop), "stopped after {stop}");
        let samples = health(&broken);
        fs::write(
            broken.join("health.jsonl"),
            samples + "{\"step\":40,\"epoch\":0,\"layers\":[]}\n{\"step\":4",
        )
        .unwrap();
        assert!(run(&broken, &config, u64::MAX));
        assert_eq!(health(&broken), health(&whole), "stopped after {stop}");
    }
}
