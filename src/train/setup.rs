//! Builds the parts of a run from a configuration: device, model, data, optimiser.

use super::health::shown;
use super::non_finite::finite;
use super::pictures::Subject;
use super::weights::{FittedWeights, nothing_fits};
use super::{DataRecord, RunConfig, Trainer};
use crate::core::{DType, Error, ErrorKind, Key, Result};
use crate::data::{
    DataDirs, Dataset, Loader, LoaderOptions, Pipeline, Splits, Subset, Target, catalog, checked, load,
    stratified,
};
use crate::models::{ModelConfig, Network, OptimizerKind};
use crate::nn::{Criterion, Module, ModuleExt, Param, Role};
use crate::optim::{Adam, Optimizer, Sgd};
use crate::tensor::{Device, DeviceOptions, Tensor};
use std::path::Path;
use std::sync::Arc;

/// The parts of a run, ready to be put together.
pub struct Setup {
    pub config: RunConfig,
    pub network: Network,
    pub device: Device,
    pub model: Box<dyn Module>,
    /// The data set, after `--fraction`.
    pub splits: Splits,
    /// The training set after `--subset`.
    pub train: Arc<dyn Dataset>,
    /// What happens to images in training and in evaluation.
    pub pipelines: (Pipeline, Pipeline),
    /// What a run must know about its data. The numbers for normalising are those of the run's first start.
    pub record: DataRecord,
}

impl Setup {
    /// Loads the data, builds the model for it and initialises its weights.
    ///
    /// # Errors
    /// Settings out of range; an unknown model; data that are missing or damaged; images that are too small.
    pub fn new(config: RunConfig) -> Result<Setup> {
        Setup::resume(config, None)
    }

    /// As [`new`](Self::new), for a run that has recorded its data before.
    ///
    /// # Errors
    /// As [`new`](Self::new); data that are not those of the record.
    pub fn resume(config: RunConfig, record: Option<DataRecord>) -> Result<Setup> {
        config.check()?;
        let network = config.network()?;
        let device = device(&config)?;
        device_options(&config).check_precision(&device)?;
        let mut splits = splits(&config).map_err(|e| elsewhere(e, &config, record.is_some()))?;
        splits.check_headers()?;
        // Statistics are taken from the whole set: a subset has other ones.
        let pipelines = match &record {
            None => splits.pipelines(config.augment, config.resize, config.normalize)?,
            Some(record) => {
                if !network.loss.takes_masks() {
                    record.check_classes(&splits)?;
                }
                let normalize = record.pipeline.normalize.clone();
                splits.facts.pipelines(config.augment, config.resize, normalize)?
            }
        };
        let now = DataRecord::of(&splits, &pipelines.1)?;
        let image = now.input;
        let record = match record {
            None => now,
            Some(record) => record.checked(now)?,
        };
        let splits = part(splits, &config)?;
        let train = train_set(&splits, &config)?;
        let model = build(&config, &network, image, train.classes().len())?;
        model.init_with(&device, DType::F32, config.seed, config.scheme)?;
        freeze(&*model, &config.freeze, config.freeze_statistics)?;
        Ok(Setup { config, network, device, model, splits, train, pipelines, record })
    }

    /// Loads the weights that `--init` names. Returns one note for each thing that the user should know: a prefix that
    /// was removed from the names, tensors that were skipped, tensors that a partial load left out.
    ///
    /// Names may differ from the network's by one prefix, see [`FittedWeights`]. A file of the encoder alone
    /// (torchvision's `resnet34` for `unet-resnet34`) may lack `encoder.` before its names.
    ///
    /// # Errors
    /// A file that cannot be read; names or shapes that differ, unless a partial load was asked for; a file in which
    /// nothing fits.
    pub fn load_init(&self) -> Result<Vec<String>> {
        let Some(path) = &self.config.init else { return Ok(Vec::new()) };
        let model = &*self.model;
        let FittedWeights { weights, mut notes } = FittedWeights::read(model, path, &self.device)?;
        for (name, tensor) in &weights {
            if !finite(tensor)? {
                notes.push(format!("`{name}` contains NaN or infinite numbers"));
            }
        }
        if self.config.init_partial {
            let dims = |name: &str| weights.get(name).map(Tensor::dims);
            if !model.params().iter().any(|(name, param)| dims(name) == Some(param.dims())) {
                return Err(nothing_fits(model, &weights, path));
            }
            notes.extend(model.load_matching(&weights)?.lines());
        } else {
            let hint = "to load only what matches: `config.init_partial`";
            model.load_state_dict(&weights).map_err(|e| e.help(format!("{}: {hint}", path.display())))?;
        }
        Ok(notes)
    }

    /// The loaders of the train phase and the validation phase.
    ///
    /// # Errors
    /// A batch size of 0; a set without masks for a network that needs them.
    pub fn loaders(&self) -> Result<(Loader, Loader)> {
        let train = train_options(&self.config, &self.network, &self.device, &self.pipelines.0);
        Ok((Loader::new(Arc::clone(&self.train), train)?, self.in_order(&self.splits.val)?))
    }

    /// A batch of validation images, prepared as for evaluation, for sampling the layers' health.
    ///
    /// # Errors
    /// As [`loaders`](Self::loaders); no validation images; an image that cannot be read.
    pub fn health_images(&self) -> Result<Tensor> {
        let val = &self.splits.val;
        let samples = shown(self.config.batch_size, val.len());
        let n = samples.len();
        let some = Arc::new(Subset::new(val.name(), Arc::clone(val), samples)?);
        let loader = Loader::new(some, self.loader_options(n, &self.pipelines.1))?;
        let batch = loader.epoch(0, 0)?.next().transpose()?;
        batch.map(|batch| batch.images).ok_or_else(|| {
            Error::argument("`config.health`", "there are no validation images to sample")
                .help("to take no samples, use `config.health = 0`")
        })
    }

    /// A loader over another split, in file order and prepared as for evaluation.
    ///
    /// # Errors
    /// As [`loaders`](Self::loaders).
    pub fn in_order(&self, data: &Arc<dyn Dataset>) -> Result<Loader> {
        Loader::new(Arc::clone(data), self.loader_options(self.config.val_batch_size, &self.pipelines.1))
    }

    fn loader_options(&self, batch_size: usize, pipeline: &Pipeline) -> LoaderOptions {
        loader_options(&self.config, &self.network, &self.device, pipeline, batch_size)
    }

    /// The inputs for drawing pictures: the network as it is now, and the validation images.
    pub fn subject(&self) -> Subject<'_> {
        let data = Arc::clone(&self.splits.val);
        Subject {
            network: &self.network,
            model: &*self.model,
            device: &self.device,
            data,
            pipeline: &self.pipelines.1,
            outputs: self.outputs(),
            masks: self.config.masks,
            batch_size: self.config.val_batch_size,
        }
    }

    /// The trainer at the beginning of the run.
    ///
    /// # Errors
    /// Optimiser settings out of range.
    pub fn trainer(&self) -> Result<Trainer<'_>> {
        Trainer::new(&*self.model, self.criterion()?, self.optimizer()?, self.config.clone())
    }

    /// The parameters that `--freeze` keeps unchanged, in one line; `None` without that flag.
    pub fn frozen(&self) -> Option<String> {
        let params = self.model.params();
        let of = |role: Role| params.iter().filter(move |(_, p)| p.is_frozen() && p.role() == role);
        let weights: usize = of(Role::Weight).map(|(_, p)| p.numel()).sum();
        let norms = of(Role::Buffer).filter(|(path, _)| path.ends_with("running_mean")).count();
        let layers = if norms == 1 { "norm layer" } else { "norm layers" };
        let statistics = match norms {
            0 => String::new(),
            _ => format!("; {norms} {layers} keep their running statistics and normalise with them"),
        };
        let names = self.config.freeze.join(", ");
        (!names.is_empty()).then(|| format!("frozen: {names}: {weights} parameters{statistics}"))
    }

    /// The number of the network's outputs: `--classes`, or else one per class.
    fn outputs(&self) -> usize {
        self.config.classes.unwrap_or(self.train.classes().len())
    }

    /// The loss that the run trains with.
    ///
    /// # Errors
    /// Settings that the loss does not support; class weights for another number of classes.
    pub fn criterion(&self) -> Result<Criterion> {
        criterion(&self.config, &self.network, self.outputs(), &self.device)
    }

    fn optimizer(&self) -> Result<Box<dyn Optimizer>> {
        let RunConfig { momentum, nesterov, weight_decay, decay, .. } = self.config;
        let params = self.model.trainable()?;
        Ok(match self.config.optimizer {
            OptimizerKind::Sgd => Box::new(Sgd::new(params, momentum, nesterov, weight_decay)?.decay(decay)),
            OptimizerKind::Adam => Box::new(Adam::new(params, weight_decay)?.decay(decay)),
            OptimizerKind::Adamw => Box::new(Adam::decoupled(params, weight_decay)?.decay(decay)),
        })
    }
}

/// The device of a configuration.
pub(super) fn device(config: &RunConfig) -> Result<Device> {
    Device::from_name(&config.device, &device_options(config))
}

fn device_options(config: &RunConfig) -> DeviceOptions {
    let RunConfig { threads, precision, gemm_rung, conv_rung, .. } = *config;
    DeviceOptions { threads, precision, gemm_rung, conv_rung }
}

/// The loader options of a network: batches in file order, with the kind of target that its loss needs.
pub(super) fn loader_options(
    config: &RunConfig,
    network: &Network,
    device: &Device,
    pipeline: &Pipeline,
    batch_size: usize,
) -> LoaderOptions {
    LoaderOptions {
        target: if network.loss.takes_masks() { config.masks.target() } else { Target::Class },
        workers: config.workers,
        ..LoaderOptions::new(batch_size, pipeline.clone(), device.clone())
    }
}

/// The loader options of the train phase: in an order of its own for each epoch, and varied at random.
pub(super) fn train_options(
    config: &RunConfig,
    network: &Network,
    device: &Device,
    pipeline: &Pipeline,
) -> LoaderOptions {
    let key = Key::new(config.seed);
    LoaderOptions {
        shuffle: config.shuffle.then_some(key.child("shuffle")),
        augment_key: key.child("augment"),
        ..loader_options(config, network, device, pipeline, config.batch_size)
    }
}

/// The network for these images, without weight values. A segmenter has the number of outputs it was designed for. A
/// classifier has one output per class of the set, unless `classes` asks for more.
pub(super) fn build(
    config: &RunConfig,
    network: &Network,
    image: [usize; 3],
    set_classes: usize,
) -> Result<Box<dyn Module>> {
    let least = if network.loss.takes_masks() { network.classes } else { set_classes };
    let classes = config.classes.unwrap_or(least);
    if classes < least {
        return Err(Error::argument("`config.classes`", format!("{classes} outputs are too few"))
            .expected(format!("at least the {least} classes of {}", config.data)));
    }
    if network.loss.takes_masks() && classes != least {
        return Err(Error::argument(
            "`config.classes`",
            format!("{classes} outputs do not fit the data set's masks"),
        )
        .expected(format!(
            "{least}, because the masks of {} separate one object from its background",
            config.data
        ))
        .help("omit it"));
    }
    let (width, layers) = (config.width, config.layers.clone());
    network.build(&ModelConfig { input: image, classes, width, layers })
}

/// The loss of a configuration, for a network with this number of outputs.
pub(super) fn criterion(
    config: &RunConfig,
    network: &Network,
    outputs: usize,
    device: &Device,
) -> Result<Criterion> {
    let criterion = Criterion::from(network.loss).label_smoothing(config.label_smoothing)?;
    let Some(weights) = &config.class_weights else { return Ok(criterion) };
    if weights.len() != outputs && !network.loss.takes_masks() {
        let what = format!("{} weights were given for {outputs} classes", weights.len());
        return Err(Error::argument("`config.class_weights`", what)
            .expected("one weight per class, in the classes' order"));
    }
    let weights: Vec<f32> = weights.iter().map(|&w| w as f32).collect();
    criterion.class_weights(Tensor::from_slice(device, &weights, &[weights.len()])?)
}

/// The data set of a configuration.
pub(super) fn splits(config: &RunConfig) -> Result<Splits> {
    load(&config.data, &DataDirs::from_env(config.data_dir.as_deref()))
}

/// Replaces an error about the data of a trained run by one that says how to name the new place of the data, if they
/// may have been moved.
pub(super) fn elsewhere(error: Error, config: &RunConfig, trained: bool) -> Error {
    if !trained || Path::new(&config.data).exists() || catalog::known(&config.data).is_some() {
        return error;
    }
    Error::new(ErrorKind::Missing, &*config.data, "the images that the run was trained on are missing")
        .help("if they were moved, give their new folder: `config.data = FOLDER`")
}

/// Takes the same fraction of each split, and of each class in it.
pub(super) fn part(splits: Splits, config: &RunConfig) -> Result<Splits> {
    let Some(fraction) = config.fraction else { return Ok(splits) };
    let key = Key::new(config.seed).child("fraction");
    let share = |set: Arc<dyn Dataset>| -> Result<Arc<dyn Dataset>> {
        Ok(Arc::new(of_each_class(set, fraction, key)?))
    };
    let test = splits.test.map(share).transpose()?;
    Ok(Splits { train: share(splits.train)?, val: share(splits.val)?, test, ..splits })
}

/// The training images after `--subset`.
pub(super) fn train_set(splits: &Splits, config: &RunConfig) -> Result<Arc<dyn Dataset>> {
    let Some(n) = config.subset else { return Ok(Arc::clone(&splits.train)) };
    let key = Key::new(config.seed).child("subset");
    Ok(Arc::new(stratified(&splits.train, n, Some(key))?))
}

/// This fraction of each class, rounded up, in file order.
fn of_each_class(set: Arc<dyn Dataset>, fraction: f64, key: Key) -> Result<Subset> {
    let mut members = vec![Vec::new(); set.classes().len()];
    for i in key.permutation(set.len()) {
        members[checked::label(&*set, i)?].push(i);
    }
    for class in &mut members {
        class.truncate((class.len() as f64 * fraction).ceil() as usize);
    }
    let mut indices = members.concat();
    indices.sort_unstable();
    Subset::new(set.name().to_owned(), set, indices)
}

/// Freezes the parameters of these layers: those whose name is one of `names`, or begins with it and a dot. With
/// `statistics`, buffers are frozen as well.
fn freeze(model: &dyn Module, names: &[String], statistics: bool) -> Result<()> {
    let params = model.params();
    for name in names {
        let below = |path: &str| {
            path.strip_prefix(&**name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let mut chosen = params.iter().filter(|(path, _)| below(path)).peekable();
        if chosen.peek().is_none() {
            return Err(no_such_layer(&params, name));
        }
        let all = chosen.filter(|(_, param)| statistics || param.role() == Role::Weight);
        all.for_each(|(_, param)| param.freeze(true));
    }
    if model.trainable()?.is_empty() {
        return Err(Error::argument(
            "`config.freeze`",
            "all layers are frozen, so there is nothing to train",
        )
        .help("leave a layer unfrozen, for example the last"));
    }
    Ok(())
}

fn no_such_layer(params: &[(String, &Param)], name: &str) -> Error {
    let mut layers: Vec<&str> = Vec::new();
    for (path, _) in params {
        layers.extend(path.match_indices('.').map(|(dot, _)| &path[..dot]).chain([&**path]));
    }
    layers.sort_unstable();
    layers.dedup();
    let mut top: Vec<&str> = params.iter().filter_map(|(path, _)| path.split('.').next()).collect();
    top.dedup();
    Error::argument("`config.freeze`", format!("there is no layer `{name}`"))
        .expected(format!("{}, or a layer in one of them", top.join(", ")))
        .like(name, &layers)
}
