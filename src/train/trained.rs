//! A trained network, loaded to be asked: what `eval` and `predict` share.

use super::checkpoint::Checkpoint;
use super::metrics::Tally;
use super::setup::normalization;
use super::{Flow, RunDir, evaluate};
use crate::core::{DType, Error, ErrorKind, Key, Result};
use crate::cpu::CpuOptions;
use crate::data::{
    Augment, DataDirs, Dataset, Image, ImageSize, Loader, LoaderOptions, Pipeline, SETS, Scratch, Splits,
    load,
};
use crate::io::TensorFile;
use crate::models::{self, ModelConfig, Network};
use crate::nn::{Ctx, Module, ModuleExt};
use crate::tensor::{Device, Tensor};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where weights are, and what they were trained for. A run folder knows all but `path`; for a weights file the model
/// must be said. What is said overrides the run folder, but for the model.
#[derive(Debug, Clone, Default)]
pub struct TrainedOptions {
    /// A run folder, or a safetensors file with the model's `state_dict`.
    pub path: PathBuf,
    pub model: Option<String>,
    /// A data set's name or a folder of IDX files. Without one: the set of the model's notebook.
    pub data: Option<String>,
    pub data_dir: Option<PathBuf>,
    /// Normalise by the set's statistics; `None`: as the set's notebook does.
    pub normalize: Option<bool>,
    /// The number of outputs; `None`: the set's classes.
    pub classes: Option<usize>,
    pub device: Option<String>,
    pub threads: Option<usize>,
}

/// Which images of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    Train,
    Val,
    /// The test images, also of a set that validates on them.
    Test,
}

/// A trained network and what it knows of its data.
pub struct Trained {
    pub network: Network,
    pub device: Device,
    pub model: Box<dyn Module>,
    /// The data set's name.
    pub data: String,
    /// The size of its images.
    pub size: ImageSize,
    /// What the network sees of them, `[C, H, W]`.
    pub image: [usize; 3],
    /// The names of its classes.
    pub classes: Vec<String>,
    pipeline: Pipeline,
    splits: Option<Splits>,
}

impl Trained {
    /// Loads a network. Without `images` a known data set need not be on this machine: its image size, class names and
    /// statistics are in the program.
    ///
    /// # Errors
    /// No such folder, file, model or data set; weights that do not fit the model.
    pub fn open(options: TrainedOptions, images: bool) -> Result<Trained> {
        let options = complete(options)?;
        let name = options.model.as_deref().ok_or_else(|| {
            let path = options.path.display().to_string();
            Error::new(ErrorKind::Missing, path, "a weights file does not say its model")
                .help("add --model NAME (and --data NAME), or give the run folder")
        })?;
        let network = models::find(name)?;
        let threads = options.threads.unwrap_or(0);
        let device_name = options.device.as_deref().unwrap_or("auto");
        let device = Device::from_name(device_name, &CpuOptions { threads, ..CpuOptions::default() })?;
        let data = options.data.clone().unwrap_or_else(|| network.recipe.data.clone().into_owned());
        let Facts { size, image, classes, pipeline, splits } = facts(&data, &options, images)?;
        let outputs = options.classes.unwrap_or(classes.len());
        let model = network.build(&ModelConfig::new(image, outputs))?;
        model.init(&device, DType::F32, 0)?;
        let [c, h, w] = image;
        model.load_state_dict(&weights(&options.path, &device)?).map_err(|e| {
            let path = options.path.display();
            e.help(format!("is {path} of a {name} for {c}x{h}x{w} images and {outputs} classes?"))
        })?;
        Ok(Trained { network, device, model, data, size, image, classes, pipeline, splits })
    }

    /// The images of a split.
    ///
    /// # Errors
    /// Opened without images.
    pub fn split(&self, split: Split) -> Result<&Arc<dyn Dataset>> {
        let splits = self
            .splits
            .as_ref()
            .ok_or_else(|| Error::new(ErrorKind::Missing, &*self.data, "was opened without its images"))?;
        Ok(match split {
            Split::Train => &splits.train,
            Split::Val => &splits.val,
            Split::Test => splits.test.as_ref().unwrap_or(&splits.val),
        })
    }

    /// Mean loss and accuracy on a split.
    ///
    /// # Errors
    /// A batch size of 0; data that cannot be read.
    pub fn evaluate(&self, split: Split, batch_size: usize) -> Result<Tally> {
        let options = LoaderOptions::new(batch_size, self.pipeline.clone(), self.device.clone());
        let loader = Loader::new(Arc::clone(self.split(split)?), options)?;
        let all = |_| Ok(Flow::Continue);
        let tally = self
            .device
            .install(|| evaluate(&*self.model, &self.network.name, self.network.loss, &loader, all))?;
        Ok(tally.unwrap_or_default())
    }

    /// The probability of each class for one image, as the data set would hold it.
    ///
    /// # Errors
    /// An image of another size; weights that give no probabilities (NaN).
    pub fn predict(&self, mut image: Image) -> Result<Vec<f64>> {
        self.pipeline.apply(Key::new(0), 0, &mut image, None, &mut Scratch::default())?;
        let values = self.pipeline.numbers::<f32>(&image)?;
        let [c, h, w] = image.size;
        let x = Tensor::from_vec(&self.device, values, &[1, c, h, w])?;
        let probabilities = self.device.install(|| {
            let output = self.model.forward(&Ctx::eval(&self.network.name), &x)?;
            self.network.loss.probabilities(&output)?.to_f64()
        })?;
        if probabilities.iter().any(|p| !p.is_finite()) {
            return Err(Error::new(ErrorKind::NonFinite, &*self.network.name, "the output is not finite")
                .help("the weights are damaged, or their training diverged"));
        }
        Ok(probabilities)
    }
}

/// Fills in what a run folder knows.
fn complete(options: TrainedOptions) -> Result<TrainedOptions> {
    if !options.path.is_dir() {
        return Ok(options);
    }
    let run = RunDir::config(&options.path)?;
    if let Some(model) = options.model.as_ref().filter(|model| **model != run.model) {
        let what = format!("this run trained {}, not {model}", run.model);
        return Err(Error::argument(options.path.display().to_string(), what).help("leave --model away"));
    }
    // The run's choices belong to its data set: another set is taken as its own notebook takes it.
    let same_data = options.data.as_ref().is_none_or(|data| *data == run.data);
    Ok(TrainedOptions {
        model: Some(run.model),
        data: Some(options.data.unwrap_or(run.data)),
        data_dir: options.data_dir.or(run.data_dir),
        normalize: options.normalize.or(run.normalize.filter(|_| same_data)),
        classes: options.classes.or(run.classes),
        device: options.device.or(Some(run.device)),
        threads: options.threads.or(Some(run.threads)),
        path: options.path,
    })
}

/// The best weights of a run, or those of a file.
fn weights(path: &Path, device: &Device) -> Result<BTreeMap<String, Tensor>> {
    if !path.is_dir() {
        return Ok(TensorFile::read(path, device)?.tensors);
    }
    let best = path.join("best.safetensors");
    if best.exists() {
        return Ok(TensorFile::read(&best, device)?.tensors);
    }
    let checkpoint = path.join("checkpoint.safetensors");
    if !checkpoint.exists() {
        return Err(Error::new(ErrorKind::Missing, path.display().to_string(), "holds no weights yet")
            .expected("best.safetensors or checkpoint.safetensors")
            .help(format!("go on with it: receptive train --resume {}", path.display())));
    }
    let checkpoint = Checkpoint::load(&checkpoint, device)?;
    Ok(checkpoint.state.best.map_or(checkpoint.weights, |best| best.weights))
}

/// What a network must know of its data.
struct Facts {
    size: ImageSize,
    image: [usize; 3],
    classes: Vec<String>,
    pipeline: Pipeline,
    splits: Option<Splits>,
}

fn facts(data: &str, options: &TrainedOptions, images: bool) -> Result<Facts> {
    if let Some(set) = SETS.iter().find(|set| set.name == data && !images) {
        let facts = set.facts();
        let numbers = facts.normalize(normalization(options.normalize, &facts))?;
        let (_, pipeline) = facts.pipelines(Augment::None, None, numbers)?;
        let image = pipeline.output(facts.size)?;
        return Ok(Facts { size: facts.size, image, classes: set.classes(), pipeline, splits: None });
    }
    let splits = load(data, &DataDirs::from_env(options.data_dir.as_deref()))?;
    let normalization = normalization(options.normalize, &splits.facts);
    let (_, pipeline) = splits.pipelines(Augment::None, None, normalization)?;
    Ok(Facts {
        size: splits.facts.size,
        image: pipeline.output(splits.facts.size)?,
        classes: splits.train.classes().to_vec(),
        pipeline,
        splits: Some(splits),
    })
}
