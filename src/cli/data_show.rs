//! `receptive data show`: what a data set holds, and pictures of it, before anything is trained.

use super::args::check_out;
use super::print_line;
use crate::core::table::table;
use crate::core::text::{file_name, four_decimals, thousands};
use crate::data::{Augment, DataDirs, Masks, catalog, load};
use crate::io::write_atomically;
use crate::models;
use crate::train::pictures::{DataPicture, draw_data_set};
use crate::train::{DataFacts, DataPreview, RunConfig};
use anyhow::bail;
use std::path::PathBuf;

/// With more classes than this, only the first ones are listed.
const MOST: usize = 100;

/// Show what a data set holds and what training sees of it: shapes, a batch, classes, and pictures.
///
/// Without --model, images are prepared as for lenet5; if the set has masks, as for unet; if its images are
/// photographs, as for tv-resnet18.
#[derive(Debug, clap::Args)]
pub struct DataShowArgs {
    #[arg(help = format!("{}, or a folder of images", catalog::names()))]
    name: String,
    /// Folder that holds mnist/, cifar-10-batches-bin/, pets/, ...
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Prepare images as the notebook of this network does
    #[arg(long)]
    model: Option<String>,
    /// Take N training images, the same number of each class
    #[arg(long, value_name = "N")]
    subset: Option<usize>,
    /// Use this fraction of the images, the same for every class
    #[arg(long, value_name = "F")]
    fraction: Option<f64>,
    /// Images per training batch [default: the notebook's]
    #[arg(long)]
    batch_size: Option<usize>,
    /// none, standard (pad, flip, crop) or cutout (standard, and a hole) [default: as in the notebook]
    #[arg(long)]
    augment: Option<Augment>,
    /// Targets of a network that predicts masks: binary (object 1, background 0) or raw (trimap / 255, as in the
    /// notebook)
    #[arg(long, default_value_t = Masks::Binary)]
    masks: Masks,
    /// Seed of all random numbers: which images a subset takes, their order, and how they are varied
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// File for a picture, .svg
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// What the picture shows
    #[arg(long, value_enum, default_value_t = DataPicture::First, requires = "out")]
    picture: DataPicture,
    /// Number of images (first), of images of each class (classes), or of rows (augmented) [default: 24, 10, 8]
    #[arg(long, value_name = "N", requires = "out", value_parser = clap::value_parser!(u16).range(1..=1000))]
    count: Option<u16>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
///
/// # Errors
/// An unknown set, or one that is not on this machine; an unknown network; settings that do not fit the set; a file
/// that cannot be written.
pub fn run(args: &DataShowArgs) -> anyhow::Result<()> {
    if let Some(out) = &args.out {
        if out.extension().is_none_or(|extension| !extension.eq_ignore_ascii_case("svg")) {
            bail!(
                "--out: {} is not the name of an SVG file\n  expected a name that ends in .svg",
                out.display()
            );
        }
        check_out("--out", out, &[])?;
    }
    let preview = DataPreview::new(&config(args)?)?;
    let facts = preview.facts()?;
    if let Some(out) = &args.out {
        let count = args.count.map_or(args.picture.usual(), usize::from);
        write_atomically(out, draw_data_set(&preview, args.picture, count)?.as_bytes())?;
    }
    if args.json {
        let mut object = serde_json::to_value(&facts)?;
        object["picture"] = serde_json::to_value(args.out.as_ref().map(file_name))?;
        return print_line(&object.to_string());
    }
    preview.splits.warnings.iter().for_each(|line| super::say_on_stderr(line));
    print_line(&text(&facts))?;
    args.out.as_ref().map_or(Ok(()), |out| print_line(&format!("\nwritten to {}", out.display())))
}

/// The settings of `receptive train` with these flags.
fn config(args: &DataShowArgs) -> anyhow::Result<RunConfig> {
    let model = match &args.model {
        Some(model) => model,
        None => usual_model(args)?,
    };
    let config = RunConfig::new(&models::find(model)?, &args.name);
    Ok(RunConfig {
        data_dir: args.data_dir.clone(),
        subset: args.subset,
        fraction: args.fraction,
        batch_size: args.batch_size.unwrap_or(config.batch_size),
        augment: args.augment.unwrap_or(config.augment),
        masks: args.masks,
        seed: args.seed,
        ..config
    })
}

/// A network that fits the set.
fn usual_model(args: &DataShowArgs) -> anyhow::Result<&'static str> {
    let splits = load(&args.name, &DataDirs::from_env(args.data_dir.as_deref()))?;
    Ok(match (splits.train.has_masks(), splits.train.size().fixed()) {
        (true, _) => "unet",
        (false, _) if args.masks != Masks::Binary => bail!(
            "--masks: {} has labels but no masks\n  help: omit it, or show a set with masks: receptive data show pets",
            args.name
        ),
        (false, Some(_)) => "lenet5",
        (false, None) => "tv-resnet18",
    })
}

/// The facts for a reader.
fn text(facts: &DataFacts) -> String {
    let head = ["split", "images", "shape of images", "shape of targets"].map(str::to_owned).to_vec();
    let rows = facts.splits.iter().map(|split| {
        let count = split.images[0].map(thousands).unwrap_or_default();
        vec![split.split.to_owned(), count, shape(&split.images), shape(&split.targets)]
    });
    let splits = table(&std::iter::once(head).chain(rows).collect::<Vec<_>>(), 1);
    let varied = match facts.splits.iter().any(|split| split.images.contains(&None)) {
        true => "\nH and W: the images differ in size",
        false => "",
    };
    let batch = &facts.batch;
    let from_to = |[low, high]: [f64; 2]| format!("{} to {}", four_decimals(low), four_decimals(high));
    let numbers = vec![
        vec!["stored pixels".to_owned(), format!("{}, 0 to 255", facts.stored)],
        vec![
            "images of a batch".to_owned(),
            format!("{:?} {}", batch.images, batch.images_type),
            from_to(batch.images_range),
        ],
        vec![
            "targets of a batch".to_owned(),
            format!("{:?} {}", batch.targets, batch.targets_type),
            from_to(batch.targets_range),
        ],
    ];
    let some = |&(batches, images): &(usize, usize)| match batches {
        1 => format!("1 batch of {images}"),
        _ => format!("{} batches of {images}", thousands(batches)),
    };
    let batches: Vec<String> = facts.batches.iter().map(some).collect();
    let listed = facts.classes.iter().take(MOST);
    let mut classes: Vec<Vec<String>> =
        listed.map(|class| vec![class.class.clone(), thousands(class.images)]).collect();
    classes.insert(0, ["class", "training images"].map(str::to_owned).to_vec());
    let rest = match facts.classes.len().checked_sub(MOST) {
        Some(more @ 1..) => format!("\nand {} more classes; --json prints all", thousands(more)),
        _ => String::new(),
    };
    format!(
        "{}\n\n{splits}{varied}\n\n{}\nan epoch: {}\n\n{}{rest}",
        file_name(&facts.name),
        table(&numbers, 3),
        batches.join(" and "),
        table(&classes, 1)
    )
}

/// `[60000, 1, 28, 28]`. Height and width that differ from image to image are letters.
fn shape(sides: &[Option<usize>]) -> String {
    let letters = ["N", "C", "H", "W"];
    let side = |(i, side): (usize, &Option<usize>)| side.map_or(letters[i].to_owned(), |n| n.to_string());
    format!("[{}]", sides.iter().enumerate().map(side).collect::<Vec<_>>().join(", "))
}
