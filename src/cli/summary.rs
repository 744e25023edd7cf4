//! `receptive summary`: shows a network layer by layer. Its dry run tells which size the first FC needs.

use super::args::{NetworkArgs, check_out, image_shape, image_text};
use super::{print_line, say_on_stderr};
use crate::core::DType;
use crate::core::table::{WIDTH, aligned, short, wrapped};
use crate::core::text::thousands;
use crate::inspect::{Extent, FailedDryRun, LayerSummary, Summary, describe, diagram, model_graph, summary};
use crate::io::write_atomically;
use crate::models::{ModelConfig, Network};
use crate::nn::{Module, ModuleExt};
use crate::tensor::{Device, Tensor};
use std::path::{Path, PathBuf};

/// Show a network layer by layer: output shape, parameters, FLOPs, activation bytes and receptive field, for one image.
///
/// If a shape does not fit, this shows the layers up to the one that fails, and what would fit.
#[derive(Debug, clap::Args)]
pub struct SummaryArgs {
    #[command(flatten)]
    network: NetworkArgs,
    /// The image's channels, height and width [default: the notebook's]
    #[arg(long, value_name = "CxHxW", value_parser = image_shape)]
    input: Option<[usize; 3]>,
    /// Build the network for images of this shape, and show it for an image of the shape --input
    #[arg(long, value_name = "CxHxW", value_parser = image_shape)]
    built_for: Option<[usize; 3]>,
    /// Number of outputs [default: the notebook's]
    #[arg(long, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1_000_000))]
    classes: Option<usize>,
    /// Draw the autograd graph of the forward pass, every op and its parameters, into FILE.svg, or FILE.dot for
    /// Graphviz
    #[arg(long, value_name = "FILE", value_parser = graph_file)]
    graph: Option<(PathBuf, GraphFormat)>,
    /// Draw the layers as boxes and arrows into FILE.svg: kind, window and output shape. A repeated block is drawn once
    #[arg(long, value_name = "FILE.svg", value_parser = diagram_file)]
    diagram: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// The file format of a graph.
#[derive(Debug, Clone, Copy)]
enum GraphFormat {
    Dot,
    Svg,
}

/// Parses the name of a graph file. Its ending decides the format.
fn graph_file(text: &str) -> Result<(PathBuf, GraphFormat), String> {
    let path = PathBuf::from(text);
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("dot") => Ok((path, GraphFormat::Dot)),
        Some("svg") => Ok((path, GraphFormat::Svg)),
        _ => Err("expected a file that ends in .dot or .svg".to_owned()),
    }
}

/// Parses the name of a diagram's file.
fn diagram_file(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.extension().is_some_and(|ending| ending == "svg") {
        true => Ok(path),
        false => Err("expected a file that ends in .svg".to_owned()),
    }
}

/// Runs the subcommand.
///
/// # Errors
/// An unknown network; a shape that does not fit.
pub fn run(args: &SummaryArgs) -> anyhow::Result<()> {
    let network = args.network.open()?;
    if let Some((file, _)) = &args.graph {
        check_out("--graph", file, args.network.inputs())?;
    }
    if let Some(file) = &args.diagram {
        check_out("--diagram", file, args.network.inputs())?;
    }
    let input = args.input.unwrap_or(network.input);
    let config = ModelConfig {
        input: args.built_for.unwrap_or(input),
        classes: args.classes.unwrap_or(network.classes),
        width: args.network.width,
        layers: args.network.layers.clone(),
    };
    let (model, result) = dry_run(&network, &config, input)?;
    let image = image_text(input);
    if let (Some((file, format)), Ok(_)) = (&args.graph, &result) {
        draw(&*model, &network.name, input, file, *format)?;
    }
    if let (Some(file), Ok(_)) = (&args.diagram, &result) {
        let title = format!("{}: one image of {image}", network.name);
        write_atomically(file, diagram(&*model, &network.name, input)?.to_svg(&title).as_bytes())?;
    }
    match result {
        Ok(summary) if args.json => print_line(&serde_json::to_string(&summary)?),
        Ok(summary) => {
            print_line(&format!("{}: {}", network.name, describe(&*model)))?;
            print_line(&format!("\none image of {image}:\n{}", layers(&summary.layers)))?;
            print_line(&totals(&summary))
        }
        Err(FailedDryRun { layers: done, error }) => {
            let path = error.path().unwrap_or(&network.name);
            let chain = format!("one image of {image}, up to {path}:\n{}", layers(&done));
            if args.json {
                say_on_stderr(&chain)
            } else {
                print_line(&chain)?
            }
            Err(error.into())
        }
    }
}

/// Writes the graph of a network after its dry run.
fn draw(
    model: &dyn Module,
    name: &str,
    [c, h, w]: [usize; 3],
    file: &Path,
    format: GraphFormat,
) -> crate::Result<()> {
    let params = model.params();
    let device = params.first().map(|(_, param)| param.value()).transpose()?;
    let device = device.map_or_else(Device::meta, |value| value.device().clone());
    let graph = model_graph(model, name, &Tensor::zeros(&device, &[1, c, h, w], DType::F32)?)?;
    let text = match format {
        GraphFormat::Dot => graph.to_dot(),
        GraphFormat::Svg => graph.to_svg(&format!("{name}: the autograd graph of one image of {c}x{h}x{w}")),
    };
    write_atomically(file, text.as_bytes())
}

type DryRun = (Box<dyn Module>, Result<Summary, FailedDryRun>);

/// The network for `config`, and the result of passing an image of shape `input` through it. If the images of `config`
/// are too small, the network is built for its notebook's images instead, to show the layer at which the image becomes
/// too small.
fn dry_run(network: &Network, config: &ModelConfig, input: [usize; 3]) -> crate::Result<DryRun> {
    match network.build(config) {
        Ok(model) => {
            let result = summary(&*model, &network.name, input);
            Ok((model, result))
        }
        Err(too_small) => {
            let [_, h, w] = network.input;
            let model = network.build(&ModelConfig { input: [config.input[0], h, w], ..config.clone() })?;
            let Err(stopped) = summary(&*model, &network.name, input) else { return Err(too_small) };
            // For an arch file, the first error contains the line.
            let error = if network.arch.is_some() { too_small } else { stopped.error };
            Ok((model, Err(FailedDryRun { error, ..stopped })))
        }
    }
}

fn layers(layers: &[LayerSummary]) -> String {
    let header = ["layer", "kind", "output", "parameters", "weights", "FLOPs", "bytes", "sees"];
    let row = |layer: &LayerSummary| {
        let product = |dims: &[usize]| dims.iter().map(usize::to_string).collect::<Vec<_>>().join("x");
        let shapes: Vec<String> = layer.shapes.values().map(|dims| product(dims)).collect();
        vec![
            layer.path.clone(),
            layer.kind.to_owned(),
            product(&layer.output),
            thousands(layer.parameters),
            shapes.join(" "),
            short(layer.flops as f64),
            short(layer.activation_bytes as f64),
            match layer.receptive_field {
                Extent::Square(size) => format!("{size}x{size}"),
                Extent::Rectangle([h, w]) => format!("{w}x{h}"),
            },
        ]
    };
    let rows: Vec<Vec<String>> =
        std::iter::once(header.map(str::to_owned).to_vec()).chain(layers.iter().map(row)).collect();
    aligned(&rows, |column| [0, 1, 4].contains(&column))
}

fn totals(summary: &Summary) -> String {
    let text = format!(
        "{} parameters, {}FLOP and {}B of activations per image; `sees` is the receptive field in pixels",
        thousands(summary.parameters),
        spaced(short(summary.flops as f64)),
        spaced(short(summary.activation_bytes as f64)),
    );
    wrapped(&text, WIDTH).join("\n")
}

/// Prepares a number to be followed by its unit. A prefix belongs to the unit and already follows a space. A number
/// without a prefix gets a space.
fn spaced(number: String) -> String {
    if number.contains(' ') { number } else { number + " " }
}
