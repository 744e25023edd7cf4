//! `receptive predict WEIGHTS --tensor FILE --output FILE`: a network's output for a tensor, to compare with another
//! program.

use crate::core::{DType, Error, ErrorKind, Result};
use crate::io::TensorFile;
use crate::models::{LayerSizes, ModelConfig, Network};
use crate::nn::{Ctx, ModuleExt};
use crate::tensor::{Device, DeviceOptions};
use crate::train::FittedWeights;
use std::path::Path;

/// The weights, their network, and the device.
pub struct ModelFile<'a> {
    pub network: Network,
    /// A safetensors file with the network's `state_dict`.
    pub path: &'a Path,
    pub width: Option<usize>,
    pub layers: Option<LayerSizes>,
    /// `None`: the network's own number of classes.
    pub classes: Option<usize>,
    pub device: Option<&'a str>,
    pub threads: usize,
}

/// Reads `input` `[N, C, H, W]`, already normalised, from one safetensors file, and writes the network's raw `output`
/// to another file.
///
/// # Errors
/// Files that cannot be read or written; a file without a tensor `input`; weights or images that do not fit the
/// network.
pub fn run(weights: &ModelFile, tensor: &Path, output: &Path) -> Result<()> {
    let options = DeviceOptions::with_threads(weights.threads);
    let device = Device::from_name(weights.device.unwrap_or("auto"), &options)?;
    let missing = |what: &str| Error::new(ErrorKind::Missing, tensor.display().to_string(), what);
    let mut file = TensorFile::read(tensor, &device)?;
    let x = file.tensors.remove("input").ok_or_else(|| missing("contains no tensor `input`"))?;
    let &[_, c, h, w] = x.dims() else {
        return Err(Error::shape(tensor.display().to_string(), "`input` is not a batch of images")
            .with("input", x.shape())
            .expected("[N, C, H, W]"));
    };
    let network = &weights.network;
    let classes = weights.classes.unwrap_or(network.classes);
    let (width, layers) = (weights.width, weights.layers.clone());
    let model = network.build(&ModelConfig { input: [c, h, w], classes, width, layers })?;
    model.init(&device, DType::F32, 0)?;
    let fitted = FittedWeights::read(&*model, weights.path, &device)?;
    fitted.notes.iter().for_each(|note| super::say_on_stderr(note));
    model.load_state_dict(&fitted.weights)?;
    let x = x.to_dtype(DType::F32)?;
    let y = model.forward(&Ctx::eval(&network.name), &x)?;
    TensorFile { tensors: [("output".to_owned(), y)].into(), ..TensorFile::default() }.write(output)
}
