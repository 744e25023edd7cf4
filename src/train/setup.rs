//! From a configuration to a run: device, model, data, optimiser.

use super::{RunConfig, Trainer, TrainerOptions};
use crate::core::{DType, Error, Key, Result};
use crate::cpu::CpuOptions;
use crate::data::{
    Augment, DataDirs, Dataset, Facts, Loader, LoaderOptions, Normalization, Pipeline, Splits, load,
    stratified,
};
use crate::io::TensorFile;
use crate::models::{self, ModelConfig, Network, OptimizerKind};
use crate::nn::{LoadReport, Module, ModuleExt};
use crate::optim::{Adam, Optimizer, Sgd};
use crate::tensor::Device;
use std::sync::Arc;

/// The parts of a run, ready to be put together.
pub struct Setup {
    pub config: RunConfig,
    pub network: Network,
    pub device: Device,
    pub model: Box<dyn Module>,
    pub splits: Splits,
    /// The training set after `--subset`.
    pub train: Arc<dyn Dataset>,
    /// What happens to images in training and in evaluation.
    pub pipelines: (Pipeline, Pipeline),
}

impl Setup {
    /// Loads the data, builds the model for it and draws its weights.
    ///
    /// # Errors
    /// Settings out of range; an unknown model; data that are missing or damaged; a network the images are too small for.
    pub fn new(config: RunConfig) -> Result<Setup> {
        config.check()?;
        let network = models::find(&config.model)?;
        let options = CpuOptions { threads: config.threads, ..CpuOptions::default() };
        let device = Device::from_name(&config.device, &options)?;
        let splits = load(&config.data, &DataDirs::from_env(config.data_dir.as_deref()))?;
        let train: Arc<dyn Dataset> = match config.subset {
            None => Arc::clone(&splits.train),
            Some(n) => {
                let key = Key::new(config.seed).child("subset");
                Arc::new(stratified(&splits.train, n, Some(key))?)
            }
        };
        let normalization = normalization(config.normalize, &splits.facts);
        let pipelines = splits.pipelines(Augment::None, None, normalization)?;
        let shape = ModelConfig::new(pipelines.0.output(train.size())?, classes(&config, &*train)?);
        let model = network.build(&shape)?;
        model.init(&device, DType::F32, config.seed)?;
        Ok(Setup { config, network, device, model, splits, train, pipelines })
    }

    /// Loads the weights `--init` names. The report says what a partial load left out.
    ///
    /// # Errors
    /// A file that cannot be read; names or shapes that differ, unless a partial load was asked for.
    pub fn load_init(&self) -> Result<Option<LoadReport>> {
        let Some(path) = &self.config.init else { return Ok(None) };
        let weights = TensorFile::read(path, &self.device)?.tensors;
        if self.config.init_partial {
            return self.model.load_matching(&weights).map(Some);
        }
        let hint = "to load only what matches: --init-partial";
        self.model.load_state_dict(&weights).map_err(|e| e.help(format!("{}: {hint}", path.display())))?;
        Ok(Some(LoadReport::default()))
    }

    /// The loaders of the train and the validation phase.
    ///
    /// # Errors
    /// A batch size of 0.
    pub fn loaders(&self) -> Result<(Loader, Loader)> {
        let key = Key::new(self.config.seed).child("shuffle");
        let train = LoaderOptions {
            shuffle: self.config.shuffle.then_some(key),
            augment_key: Key::new(self.config.seed).child("augment"),
            ..self.loader_options(self.config.batch_size, &self.pipelines.0)
        };
        Ok((Loader::new(Arc::clone(&self.train), train)?, self.in_order(&self.splits.val)?))
    }

    /// A loader over another split, in file order.
    ///
    /// # Errors
    /// A batch size of 0.
    pub fn in_order(&self, data: &Arc<dyn Dataset>) -> Result<Loader> {
        Loader::new(Arc::clone(data), self.loader_options(self.config.val_batch_size, &self.pipelines.1))
    }

    fn loader_options(&self, batch_size: usize, pipeline: &Pipeline) -> LoaderOptions {
        LoaderOptions::new(batch_size, pipeline.clone(), self.device.clone())
    }

    /// The trainer at the beginning of the run.
    ///
    /// # Errors
    /// Optimiser settings out of range.
    pub fn trainer(&self) -> Result<Trainer<'_>> {
        let config = &self.config;
        let options = TrainerOptions {
            name: config.model.clone(),
            epochs: config.epochs,
            max_steps: config.max_steps,
            lr: config.lr,
            schedule: config.schedule()?,
            clip_norm: config.clip_norm,
            seed: config.seed,
        };
        Ok(Trainer::new(&*self.model, self.network.loss, self.optimizer()?, options))
    }

    fn optimizer(&self) -> Result<Box<dyn Optimizer>> {
        let RunConfig { momentum, nesterov, weight_decay, .. } = self.config;
        let params = self.model.trainable()?;
        Ok(match self.config.optimizer {
            OptimizerKind::Sgd => Box::new(Sgd::new(params, momentum, nesterov, weight_decay)?),
            OptimizerKind::Adam => Box::new(Adam::new(params, weight_decay)?),
            OptimizerKind::Adamw => Box::new(Adam::decoupled(params, weight_decay)?),
        })
    }
}

/// What was chosen, or what the set's notebook does.
pub(super) fn normalization(choice: Option<bool>, facts: &Facts) -> Normalization {
    match choice {
        None => facts.normalization,
        Some(true) => Normalization::Statistics,
        Some(false) => Normalization::Unit,
    }
}

fn classes(config: &RunConfig, data: &dyn Dataset) -> Result<usize> {
    let has = data.classes().len();
    match config.classes {
        None => Ok(has),
        Some(classes) if classes >= has => Ok(classes),
        Some(classes) => Err(Error::argument("--classes", format!("{classes} outputs are too few"))
            .expected(format!("at least the {has} classes of {}", data.name()))),
    }
}
