//! A trained model ready for inference. `eval` and `predict` share it.

use super::metrics::Tally;
use super::pictures::{Masked, Subject, not_finite, prepare, segment};
use super::setup::{build, criterion, device, elsewhere, loader_options, part, splits};
use super::{DataRecord, FittedWeights, Flow, RunConfig, RunDir, evaluate};
use crate::core::{DType, Error, ErrorKind, Result};
use crate::data::{
    Augment, Batch, Brightness, Dataset, Image, ImageSize, Inverted, Loader, Normalization, Pipeline, Splits,
    catalog,
};
use crate::models::{LayerSizes, Network};
use crate::nn::{Ctx, Module, ModuleExt};
use crate::tensor::{Device, Tensor};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where weights are, and what they were trained for. A run folder stores everything except `path`. For a file of
/// weights the network must be given. Values given here override those of the run folder, except the network.
///
/// A field's comment is the help of its flag, unless the flag has its own help text.
#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
pub struct TrainedOptions {
    /// A run folder, or a safetensors file of weights
    #[cfg_attr(feature = "cli", arg(value_name = "RUN|WEIGHTS"))]
    pub path: PathBuf,
    #[cfg_attr(feature = "cli", arg(skip))]
    pub network: Option<Network>,
    /// Channels of the first stage, for a network that lets you choose them; not needed for a run folder
    #[cfg_attr(feature = "cli", arg(long, value_name = "N"))]
    pub width: Option<usize>,
    /// Sizes of the layers, as for `receptive train`; not needed for a run folder
    #[cfg_attr(feature = "cli", arg(long, value_name = "N,N,.."))]
    pub layers: Option<LayerSizes>,
    /// A set's name, or a folder of images. Without one: the set of the network's notebook
    #[cfg_attr(
        feature = "cli",
        arg(long, help = format!("{}, or a folder of images; not needed for a run folder", catalog::names()))
    )]
    pub data: Option<String>,
    /// Folder that holds mnist/, cifar-10-batches-bin/, pets/, ...
    #[cfg_attr(feature = "cli", arg(long, value_name = "DIR"))]
    pub data_dir: Option<PathBuf>,
    /// on, off, half or pixels [default: as in the run or the notebook]
    #[cfg_attr(feature = "cli", arg(long))]
    pub normalize: Option<Normalization>,
    /// Resize images to NxN [default: as in the run or the notebook]
    #[cfg_attr(feature = "cli", arg(long, value_name = "N"))]
    pub resize: Option<usize>,
    /// Number of outputs [default: the run's, or the data set's number of classes]
    #[cfg_attr(feature = "cli", arg(long))]
    pub classes: Option<usize>,
    /// auto, cpu, cuda or cuda:N [default: the run's, or auto]
    #[cfg_attr(feature = "cli", arg(long))]
    pub device: Option<String>,
    /// Worker threads; 0: one per core [default: the run's, or 0]
    #[cfg_attr(feature = "cli", arg(long))]
    pub threads: Option<usize>,
}

/// Which images of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Split {
    Train,
    Val,
    /// The test images, even if the data set also validates on them.
    Test,
}

/// A trained network with what is known about its data.
pub struct Trained {
    /// The settings it was trained with, or the notebook's for a file of weights. Options override them.
    pub config: RunConfig,
    pub network: Network,
    pub device: Device,
    pub model: Box<dyn Module>,
    /// The size of the network's input, `[C, H, W]`.
    pub image: [usize; 3],
    /// The size of the data set's own images.
    pub size: ImageSize,
    /// The names of the data set's classes.
    pub classes: Vec<String>,
    /// How bright the training images are at their edges, if known.
    pub brightness: Option<Brightness>,
    /// What was changed to fit the weights to the network, if anything: see [`FittedWeights`].
    pub notes: Vec<String>,
    pipeline: Pipeline,
    splits: Option<Splits>,
}

impl Trained {
    /// Loads a network. Without `images` its data set need not be on this machine. A run folder holds what the network
    /// needs to know about its data. Known sets have their image size, class names and statistics built in.
    ///
    /// # Errors
    /// No such folder, file or data set; weights that do not fit the network; a set with other classes than the run's.
    pub fn open(options: TrainedOptions, images: bool) -> Result<Trained> {
        let path = options.path.clone();
        let run = Recorded::of(&path)?;
        let config = configuration(options, run.is_some())?;
        Self::drawn(config, run.as_ref(), images)?.load(&path)
    }

    /// The untrained network: built for its data, with the initial weights of a run with seed 0. `path` is not read.
    ///
    /// # Errors
    /// No network named; no such data set; images that are too small for the network.
    pub fn fresh(options: TrainedOptions, images: bool) -> Result<Trained> {
        let base = of_file(&options)?;
        Self::drawn(said_over(options, base), None, images)
    }

    /// Loads the weights in `path` into the network of a configuration.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn with(config: RunConfig, path: &Path, images: bool) -> Result<Trained> {
        Self::drawn(config, None, images)?.load(path)
    }

    /// Loads the weights in `path`.
    fn load(self, path: &Path) -> Result<Trained> {
        let Trained { network, device, model, image: [c, h, w], .. } = &self;
        let FittedWeights { weights, notes } = FittedWeights::of_path(&**model, path, device)?;
        model.load_state_dict(&weights).map_err(|e| {
            let (path, name, outputs) = (path.display(), &network.name, self.outputs());
            e.help(format!("check that {path} is for a {name} with {c}x{h}x{w} images and {outputs} classes"))
        })?;
        Ok(Trained { notes, ..self })
    }

    /// The network of a configuration, with weights initialised from the run's seed.
    fn drawn(config: RunConfig, run: Option<&Recorded>, images: bool) -> Result<Trained> {
        let network = config.network()?;
        // The rungs were chosen for training, perhaps on another device, so they are not used here.
        let device = device(&RunConfig { gemm_rung: None, conv_rung: None, ..config.clone() })?;
        let Known { size, classes, pipeline, splits } = known(&config, &network, run, images)?;
        let brightness = match run {
            Some(run) => run.data.brightness,
            None => catalog::known(&config.data).and_then(Brightness::known),
        };
        let image = pipeline.output(size)?;
        let model = build(&config, &network, image, classes.len())?;
        model.init_with(&device, DType::F32, config.seed, config.scheme)?;
        Ok(Trained {
            config,
            network,
            device,
            model,
            image,
            size,
            classes,
            brightness,
            notes: Vec::new(),
            pipeline,
            splits,
        })
    }

    /// Builds the same network once more, with its structure but no weight values.
    ///
    /// # Errors
    /// None, because the network was already built once with the same settings.
    pub fn blueprint(&self) -> Result<Box<dyn Module>> {
        build(&self.config, &self.network, self.image, self.classes.len())
    }

    /// The images of a split.
    ///
    /// # Errors
    /// Opened without images; a set without test images.
    pub fn split(&self, split: Split) -> Result<&Arc<dyn Dataset>> {
        let splits = self.splits.as_ref().ok_or_else(|| {
            Error::new(
                ErrorKind::Missing,
                &*self.config.data,
                "the network was opened without the images of its data set",
            )
        })?;
        Ok(match split {
            Split::Train => &splits.train,
            Split::Val => &splits.val,
            Split::Test if splits.test.is_none() && !splits.val_is_test => {
                let what = "has no test images; use the validation images: `Split::Val`";
                return Err(Error::new(ErrorKind::Missing, &*splits.name, what));
            }
            Split::Test => splits.test.as_ref().unwrap_or(&splits.val),
        })
    }

    /// Inverts light and dark in all images of the data set.
    pub fn invert(&mut self) {
        if let Some(splits) = &mut self.splits {
            let Splits { train, val, test, .. } = splits;
            for set in [train, val].into_iter().chain(test) {
                *set = Arc::new(Inverted::new(Arc::clone(set)));
            }
        }
    }

    /// Whether it was opened with its images.
    pub fn has_images(&self) -> bool {
        self.splits.is_some()
    }

    /// The number of the network's outputs. It is at least the number of the set's classes.
    pub fn outputs(&self) -> usize {
        self.config.classes.unwrap_or(self.classes.len())
    }

    /// The name of a class, or its number if it has no name.
    pub fn class_name(&self, class: usize) -> String {
        self.classes.get(class).cloned().unwrap_or_else(|| class.to_string())
    }

    /// A loader over a split, in file order, with the images prepared for this network.
    ///
    /// # Errors
    /// A batch size of 0; a split without masks for a network that needs them.
    pub fn loader(&self, split: Split, batch_size: usize) -> Result<Loader> {
        let options = loader_options(&self.config, &self.network, &self.device, &self.pipeline, batch_size);
        Loader::new(Arc::clone(self.split(split)?), options)
    }

    /// Mean loss and scores on a split. `watch` sees each batch with its output.
    ///
    /// # Errors
    /// As [`loader`](Self::loader); data that cannot be read; an error from `watch`.
    pub fn evaluate(
        &self,
        split: Split,
        batch_size: usize,
        mut watch: impl FnMut(&Batch, &Tensor) -> Result<()> + Send,
    ) -> Result<Tally> {
        let loader = self.loader(split, batch_size)?;
        let criterion = criterion(&self.config, &self.network, self.outputs(), &self.device)?;
        let tally = evaluate(&*self.model, &self.network.name, criterion, &loader, |batch, output, _| {
            watch(batch, output).map(|()| Flow::Continue)
        })?;
        Ok(tally.unwrap_or_default())
    }

    /// The inputs for drawing pictures of a split.
    ///
    /// # Errors
    /// Opened without images.
    pub fn subject(&self, split: Split) -> Result<Subject<'_>> {
        Ok(Subject {
            network: &self.network,
            model: &*self.model,
            device: &self.device,
            data: Arc::clone(self.split(split)?),
            pipeline: &self.pipeline,
            outputs: self.outputs(),
            masks: self.config.masks,
            batch_size: self.config.val_batch_size,
        })
    }

    /// One image as the network's input, `[1, C, H, W]`.
    ///
    /// # Errors
    /// An image with a different number of channels, or one that is too small for a preparation step.
    pub fn prepare(&self, mut image: Image) -> Result<Tensor> {
        self.see(&mut image, None)
    }

    /// As [`prepare`](Self::prepare). Also changes `image` and `mask` to what the network receives, before normalising.
    ///
    /// # Errors
    /// As [`prepare`](Self::prepare).
    pub fn see(&self, image: &mut Image, mask: Option<&mut Image>) -> Result<Tensor> {
        prepare(&self.pipeline, &self.device, image, mask)
    }

    /// The class probabilities of one image, given as the data set stores it; for a segmenter those of each pixel.
    ///
    /// # Errors
    /// An image of a different size; weights that give no probabilities (NaN).
    pub fn predict(&self, image: Image) -> Result<Vec<f64>> {
        let x = self.prepare(image)?;
        let output = self.model.forward(&Ctx::eval(&self.network.name), &x)?;
        let probabilities = self.network.loss.probabilities(&output)?.to_f64()?;
        if probabilities.iter().any(|p| !p.is_finite()) {
            return Err(not_finite(&self.network.name));
        }
        Ok(probabilities)
    }

    /// The mask that a segmenter predicts for one image, given as the data set stores it, with the true mask if known.
    ///
    /// # Errors
    /// As [`predict`](Self::predict); an output that does not have the shape of a mask for the image.
    pub fn segment(&self, image: Image, truth: Option<Image>) -> Result<Masked> {
        segment(&self.network, &*self.model, &self.device, &self.pipeline, self.config.masks, image, truth)
    }
}

/// The run folder's settings, or the notebook's for a file of weights, with the options applied on top.
fn configuration(options: TrainedOptions, recorded: bool) -> Result<RunConfig> {
    let path = &options.path;
    if !path.exists() {
        return Err(Error::new(
            ErrorKind::Missing,
            path.display().to_string(),
            "there is no run or file with this name",
        )
        .expected("a run folder of `receptive train`, or a safetensors file of weights"));
    }
    let base = if path.is_dir() { of_run(&options, recorded)? } else { of_file(&options)? };
    Ok(said_over(options, base))
}

/// Applies the options on top of the `base` settings.
fn said_over(options: TrainedOptions, base: RunConfig) -> RunConfig {
    RunConfig {
        data_dir: options.data_dir.or(base.data_dir),
        normalize: options.normalize.unwrap_or(base.normalize),
        resize: options.resize.or(base.resize),
        width: options.width.or(base.width),
        layers: options.layers.or(base.layers),
        classes: options.classes.or(base.classes),
        device: options.device.unwrap_or(base.device),
        threads: options.threads.unwrap_or(base.threads),
        ..base
    }
}

fn of_run(options: &TrainedOptions, recorded: bool) -> Result<RunConfig> {
    let run = RunDir::config(&options.path)?;
    let other = |network: &&Network| (&network.name, &network.arch) != (&run.model, &run.arch);
    if let Some(network) = options.network.as_ref().filter(other) {
        let what = match network.name == run.model {
            true => format!("this run trained a {} with other layers than this arch file", run.model),
            false => format!("this run trained {}, not {}", run.model, network.name),
        };
        return Err(Error::argument(options.path.display().to_string(), what)
            .help("omit `TrainedOptions.network`: the run folder contains its network"));
    }
    // A run stores the whole path of a data folder.
    let whole = |data: &String| match Path::new(data).is_dir() {
        true => std::path::absolute(data).map_or(data.clone(), |path| path.display().to_string()),
        false => data.clone(),
    };
    match options.data.as_ref().map(whole) {
        // A network needs its images prepared as in training, even if they come from another set.
        Some(data) if recorded => Ok(RunConfig { data, ..run }),
        // Without a record of the preparation, another set is prepared as its own notebook does it.
        Some(data) if data != run.data => {
            let RunConfig { augment, normalize, .. } = RunConfig::new(&run.network()?, &data);
            Ok(RunConfig { data, augment, normalize, ..run })
        }
        _ => Ok(run),
    }
}

fn of_file(options: &TrainedOptions) -> Result<RunConfig> {
    let network = options.network.as_ref().ok_or_else(|| {
        let path = options.path.display().to_string();
        Error::new(ErrorKind::Missing, path, "a weights file does not contain its model's name")
            .help("add `TrainedOptions.network` (and `TrainedOptions.data`), or give the run folder")
    })?;
    let data = options.data.as_deref().unwrap_or(&network.recipe.data);
    Ok(RunConfig { augment: Augment::None, ..RunConfig::new(network, data) })
}

/// What a network needs to know about its data.
struct Known {
    size: ImageSize,
    classes: Vec<String>,
    pipeline: Pipeline,
    splits: Option<Splits>,
}

/// The data record and the settings of a run.
struct Recorded {
    data: DataRecord,
    config: RunConfig,
}

impl Recorded {
    /// Reads a run folder's record. `None`: `path` is a file of weights, or the run's version kept no record.
    fn of(path: &Path) -> Result<Option<Recorded>> {
        if !path.is_dir() {
            return Ok(None);
        }
        let data = DataRecord::read(path)?;
        data.map(|data| Ok(Recorded { data, config: RunDir::config(path)? })).transpose()
    }
}

/// If the run recorded its data, the record is used first: the set itself may be gone, or may have changed.
fn known(config: &RunConfig, network: &Network, run: Option<&Recorded>, images: bool) -> Result<Known> {
    let RunConfig { data, augment, resize, normalize, .. } = config;
    let set = catalog::known(data);
    let recorded = run.filter(|run| run.config.normalize == *normalize).map(|run| &run.data);
    // Numbers that neither the record nor the program has are measured on the images.
    let measured = recorded.is_none() && (set.is_none() || *normalize == Normalization::Pixels);
    let loaded = || splits(config).map_err(|e| elsewhere(e, config, run.is_some()));
    let mut splits = (images || measured).then(loaded).transpose()?;
    if let (Some(splits), None, None) = (&mut splits, recorded, resize) {
        splits.check_headers()?;
    }
    if let (Some(run), Some(splits), false) = (run, &splits, network.loss.takes_masks()) {
        run.data.check_classes(splits)?;
    }
    let facts = match (&splits, recorded, set) {
        (Some(splits), ..) => splits.facts.clone(),
        (None, Some(record), _) => record.facts(*normalize),
        (None, None, Some(set)) => set.facts(),
        (None, None, None) => unreachable!("a set that is not known was loaded"),
    };
    let pipeline = match (recorded, &splits) {
        (Some(record), _) if run.is_some_and(|run| run.config.resize == *resize) => record.pipeline.clone(),
        (Some(record), _) => facts.pipelines(*augment, *resize, record.pipeline.normalize.clone())?.1,
        (None, Some(splits)) => splits.pipelines(*augment, *resize, *normalize)?.1,
        (None, None) => facts.pipelines(*augment, *resize, facts.normalize(*normalize)?)?.1,
    };
    let classes = match (run, &splits, set) {
        (Some(run), splits, _) if run.data.named || splits.is_none() => run.data.classes.clone(),
        (_, Some(splits), _) => splits.train.classes().to_vec(),
        (_, None, set) => set.map(|set| set.classes()).unwrap_or_default(),
    };
    let splits = splits.map(|splits| part(splits, config)).transpose()?;
    Ok(Known { size: facts.size, classes, pipeline, splits })
}
