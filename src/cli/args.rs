//! Flags that several subcommands share.

use crate::core::Precision;
use crate::core::{Error, ErrorKind};
use crate::data::Image;
use crate::io::{check_writable, open_regular};
use crate::models::{self, LayerChoice, LayerSizes, Network, layer_choices};
use crate::reproduce::run_in;
use crate::tensor::{Device, DeviceOptions};
use crate::train::{RunDir, TrainedOptions};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Parses `1x28x28`: channels, height, width.
pub fn image_shape(text: &str) -> Result<[usize; 3], String> {
    let sizes: Option<Vec<usize>> = text.split('x').map(|size| size.parse().ok()).collect();
    let shape = sizes.and_then(|sizes| <[usize; 3]>::try_from(sizes).ok());
    let shape = shape.ok_or("expected CxHxW (channels, height, width), for example 3x32x32")?;
    if Image::is_size(shape) {
        return Ok(shape);
    }
    Err("channels, height and width must be at least 1, and the image must not be too large".to_owned())
}

/// Writes `1x28x28`.
pub fn image_text([c, h, w]: [usize; 3]) -> String {
    format!("{c}x{h}x{w}")
}

/// The help text of a MODEL argument.
fn model_help() -> String {
    format!("The network: {}", models::names())
}

/// The help text of `--layers`, with every network that takes it. Networks with the same sizes share an example.
fn layers_help() -> String {
    let mut examples: Vec<(&str, String)> = Vec::new();
    for (name, LayerChoice { own, .. }) in layer_choices() {
        match examples.last_mut().filter(|(sizes, _)| *sizes == own) {
            Some((_, names)) => *names += &format!(", {name}"),
            None => examples.push((own, name.to_owned())),
        }
    }
    let examples = examples.iter().map(|(own, names)| format!("{own} ({names})"));
    format!(
        "Sizes of the layers, for a network that lets you choose them: units, channels, or blocks x channels. The \
         networks' own sizes: {}",
        examples.collect::<Vec<_>>().join(", ")
    )
}

/// The size limit of an arch file.
const ARCH_BYTES: u64 = 1 << 20;

/// Which network: a row of the zoo, or an arch file.
#[derive(Debug, Clone, clap::Args)]
pub struct NetworkArgs {
    #[arg(conflicts_with = "arch", help = model_help())]
    model: Option<String>,
    /// Your own network: a TOML file that lists its layers
    #[arg(long, value_name = "FILE")]
    arch: Option<PathBuf>,
    /// Channels of the first stage, for a network that lets you choose them
    #[arg(long, value_name = "N")]
    pub width: Option<usize>,
    #[arg(long, value_name = "N,N,..", conflicts_with = "arch", help = layers_help())]
    pub layers: Option<LayerSizes>,
}

impl NetworkArgs {
    /// The input files that these flags name.
    pub fn inputs(&self) -> &[PathBuf] {
        self.arch.as_slice()
    }

    /// The network that these flags name.
    ///
    /// # Errors
    /// An unknown network, or none named; an arch file that cannot be read or that does not describe a network.
    pub fn open(&self) -> crate::Result<Network> {
        network(self.model.as_deref(), self.arch.as_deref())?.ok_or_else(|| {
            Error::new(ErrorKind::Missing, "model", "no network is given")
                .expected(format!("one of {}", models::names()))
                .help("to use your own network: --arch FILE.toml")
        })
    }
}

/// The network with this name or from this file; `None` if neither is given.
fn network(model: Option<&str>, arch: Option<&Path>) -> crate::Result<Option<Network>> {
    match (model, arch) {
        (Some(name), _) => models::find(name).map(Some),
        (None, Some(file)) => models::from_arch(&read_arch(file)?, &file.display().to_string()).map(Some),
        (None, None) => Ok(None),
    }
}

fn read_arch(file: &Path) -> crate::Result<String> {
    let refused = |e| Error::io(file, "read", e);
    let mut bytes = Vec::new();
    // Reading one byte more than allowed detects a file that is too large, whatever size the system reports.
    let other = || Error::format(file.display(), "is not a regular file");
    let text = open_regular(file).map_err(refused)?.ok_or_else(other)?;
    text.take(ARCH_BYTES + 1).read_to_end(&mut bytes).map_err(refused)?;
    if bytes.len() as u64 > ARCH_BYTES {
        return Err(Error::format(file.display(), "is too large for an arch file").expected("at most 1 MiB"));
    }
    String::from_utf8(bytes)
        .map_err(|_| Error::format(file.display(), "is not a text file").expected("TOML, in UTF-8"))
}

/// Where to compute.
#[derive(Debug, Clone, clap::Args)]
pub struct DeviceArgs {
    /// auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    device: String,
    /// Worker threads; 0: one per core
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

impl DeviceArgs {
    /// The device's name.
    pub fn name(&self) -> &str {
        &self.device
    }

    /// Number of worker threads; 0: one per core.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// The device.
    pub fn open(&self) -> crate::Result<Device> {
        Device::from_name(&self.device, &DeviceOptions::with_threads(self.threads))
    }

    /// The device, set to compute with these kernels.
    pub fn open_with(&self, kernels: &KernelArgs) -> crate::Result<Device> {
        self.named(&self.device, kernels)
    }

    /// Another device than the one asked for, with these options.
    pub fn named(&self, name: &str, kernels: &KernelArgs) -> crate::Result<Device> {
        let KernelArgs { precision, gemm_rung, conv_rung } = *kernels;
        let options = DeviceOptions { threads: self.threads, precision, gemm_rung, conv_rung };
        let device = Device::from_name(name, &options)?;
        options.check_precision(&device)?;
        Ok(device)
    }
}

/// Which kernels compute.
#[derive(Debug, Clone, clap::Args)]
pub struct KernelArgs {
    /// Type to which a GPU may round the factors of matrix products: f32 (no rounding), tf32 or bf16
    #[arg(long, default_value_t = Precision::F32)]
    pub precision: Precision,
    /// Rung of the device's GEMM ladder [default: the fastest]
    #[arg(long, value_name = "N")]
    pub gemm_rung: Option<u32>,
    /// Rung of the device's convolution ladder, for shapes that it supports [default: by shape]
    #[arg(long, value_name = "N")]
    pub conv_rung: Option<u32>,
}

/// Which trained network.
#[derive(Debug, Clone, clap::Args)]
pub struct TrainedArgs {
    #[arg(long, help = format!("{}; not needed for a run folder", model_help()), conflicts_with = "arch")]
    model: Option<String>,
    /// Your own network: a TOML file that lists its layers; not needed for a run folder
    #[arg(long, value_name = "FILE.toml")]
    arch: Option<PathBuf>,
    #[command(flatten)]
    options: TrainedOptions,
}

impl TrainedArgs {
    /// The options in the library's form. Here the path may also be a network's name or an arch file; then the network
    /// gets initial weights. The second value tells whether this is so.
    ///
    /// # Errors
    /// As [`options`](Self::options); no file or network with this name.
    pub fn options_or_fresh(mut self) -> crate::Result<(TrainedOptions, bool)> {
        let path = &self.options.path;
        let name = path.display().to_string();
        let arch = path.extension().is_some_and(|extension| extension == "toml");
        if !arch && path.exists() {
            return Ok((self.options()?, false));
        }
        let second = [self.model.as_ref().map(|_| "--model"), self.arch.as_ref().map(|_| "--arch")];
        if let Some(flag) =
            second.into_iter().flatten().next().filter(|_| arch || models::find(&name).is_ok())
        {
            return Err(Error::argument(flag, format!("{name} already gives the network"))
                .help(format!("omit {flag}: it is only for a file of weights")));
        }
        if arch {
            self.arch = Some(path.clone());
        } else if models::find(&name).is_ok() {
            self.model = Some(name);
        } else {
            return Err(Error::new(
                ErrorKind::Missing,
                name,
                "there is no run, file or network with this name",
            )
            .expected(format!(
                "a run folder of `receptive train`, a file of weights, or one of {}",
                models::names()
            )));
        }
        Ok((self.options()?, true))
    }

    /// The input files that these flags name.
    pub fn inputs(&self) -> Vec<PathBuf> {
        self.arch.iter().chain([&self.options.path]).cloned().collect()
    }

    /// The options in the library's form.
    ///
    /// # Errors
    /// An unknown model; an arch file that cannot be read or built.
    pub fn options(self) -> crate::Result<TrainedOptions> {
        Ok(TrainedOptions {
            network: network(self.model.as_deref(), self.arch.as_deref())?,
            // The folder of an experiment stands for its last run.
            path: run_in(&self.options.path),
            ..self.options
        })
    }
}

/// Refuses an output path, given with `flag`, before the work that would write to it begins.
///
/// # Errors
/// A path that cannot be written; one of the files the command reads; a file that belongs to a run folder.
pub fn check_out(flag: &str, out: &Path, inputs: &[PathBuf]) -> crate::Result<()> {
    let place = out.canonicalize().unwrap_or_else(|_| out.to_owned());
    let refused = |what: &str| {
        Err(Error::argument(flag, format!("{} {what}", out.display())).help("choose another output file"))
    };
    let read = |input: &PathBuf| input.is_file() && input.canonicalize().is_ok_and(|input| input == place);
    if inputs.iter().any(read) {
        return refused("is a file that the command reads");
    }
    if RunDir::keeps(&place) {
        return refused("belongs to a run");
    }
    check_writable(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absurd_shapes_are_refused_before_any_arithmetic() {
        assert_eq!(image_shape("3x32x16"), Ok([3, 32, 16]));
        let bad = ["", "28x28", "1x28x28x1", "0x28x28", "1xx28", "-1x2x2", "1x2x2.5"];
        let huge = ["4294967296x4294967296x4294967296", "1x99999999999x1"];
        for text in bad.iter().chain(&huge) {
            assert!(image_shape(text).is_err(), "{text}");
        }
    }
}
