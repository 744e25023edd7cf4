//! Pictures of a data set before training: its first images, some images of each class, or what augmentation makes of
//! some images. A mask stands beside its image.

use super::layout::{GAP, TEXT, TITLE, class_names, heading, note, sized};
use crate::core::Result;
use crate::core::text::thousands;
use crate::data::Image;
use crate::draw::color::{FAINT, INK};
use crate::draw::font::{fit, width};
use crate::draw::{Anchor, Svg};
use crate::train::{DataPreview, DataSample};

/// Longest side of an image in a grid, and in rows.
const SIDE: usize = 96;
const ROW_SIDE: usize = 64;
/// Images in a row of a grid.
const COLUMNS: usize = 6;
/// Number of augmented versions of an image.
const VERSIONS: u64 = 6;
/// The most rows, one per class.
const CLASSES: usize = 100;
/// Space between the pictures of a row.
const NEAR: f64 = 6.0;
/// The widest name of a row.
const NAME: f64 = 150.0;

/// What a picture of a data set shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum DataPicture {
    /// The first training images with their classes
    First,
    /// Some images of each class, one row per class
    Classes,
    /// Each row one image: as it is stored, and as the first epochs of training see it
    Augmented,
}

impl DataPicture {
    /// The usual number: images, images of each class, or rows.
    pub fn usual(self) -> usize {
        match self {
            DataPicture::First => 24,
            DataPicture::Classes => 10,
            DataPicture::Augmented => 8,
        }
    }
}

/// Pictures beside each other, with a name.
struct NamedPictures {
    name: String,
    pictures: Vec<Image>,
}

/// Draws a data set. `count` is the number of images, of images of each class, or of rows; there may be fewer.
///
/// # Errors
/// An image that cannot be read, or that is too small for a transform.
pub fn draw_data_set(preview: &DataPreview, kind: DataPicture, count: usize) -> Result<String> {
    let (set, all) = (&*preview.train, preview.train.len());
    let names = class_names(set.classes(), 0);
    let shown = count.min(all);
    let both = |sample: DataSample| [Some(sample.image), sample.mask].into_iter().flatten();
    let beside = if preview.has_masks() { ", each beside its mask" } else { "" };
    let title = |what: &str| format!("{}: {what}", set.name());
    let named = |i: usize| -> Result<NamedPictures> {
        let sample = preview.sample(i, None)?;
        Ok(NamedPictures { name: names[sample.label].clone(), pictures: both(sample).collect() })
    };
    Ok(match kind {
        DataPicture::First => {
            let cells = (0..shown).map(named).collect::<Result<Vec<_>>>()?;
            let remark = format!("the first {shown} of {} training images{beside}", thousands(all));
            grid(&title("images"), &remark, &cells)
        }
        DataPicture::Classes => {
            let mut rows = Vec::new();
            for (name, images) in names.iter().zip(preview.of_each_class(count)?).take(CLASSES) {
                let mut pictures = Vec::new();
                for i in images {
                    pictures.extend(both(preview.sample(i, None)?));
                }
                rows.push(NamedPictures { name: name.clone(), pictures });
            }
            let classes = match names.len() {
                n if n > CLASSES => format!("each of the first {CLASSES} of {n} classes"),
                _ => "each class".to_owned(),
            };
            let remark = format!("the first {count} training images of {classes}{beside}");
            in_rows(&title("images of each class"), &remark, &[], &rows)
        }
        DataPicture::Augmented => {
            let mut rows = Vec::new();
            for i in 0..shown {
                let NamedPictures { name, mut pictures } = named(i)?;
                for epoch in 0..VERSIONS {
                    pictures.extend(both(preview.sample(i, Some(epoch))?));
                }
                rows.push(NamedPictures { name: format!("{i}: {name}"), pictures });
            }
            let versions = (1..=VERSIONS).map(|epoch| format!("epoch {epoch}"));
            let mask = preview.has_masks().then(|| "mask".to_owned());
            let heads: Vec<String> = std::iter::once("stored".to_owned())
                .chain(versions)
                .flat_map(|head| std::iter::once(head).chain(mask.clone()))
                .collect();
            let remark = match preview.augments() {
                true => "as stored, and as the first epochs of training see it",
                false => "training sees the same picture in every epoch: there is no augmentation",
            };
            in_rows(&title("augmentation"), remark, &heads, &rows)
        }
    })
}

/// Draws pictures from left to right, `step` apart. The first begins at `x`; all end at `bottom`.
fn pictures(svg: &mut Svg, pictures: &[(Image, usize)], mut x: f64, bottom: f64, step: f64) {
    for (image, scale) in pictures {
        let [h, w] = [image.size[1] * scale, image.size[2] * scale].map(|side| side as f64);
        svg.image(image, [x, bottom - h], *scale);
        svg.frame([x, bottom - h], [w, h], FAINT);
        x += step;
    }
}

/// The images in the size in which they are drawn, and the largest width and height among all of them.
fn drawn(cells: &[NamedPictures], side: usize) -> (Vec<Vec<(Image, usize)>>, [f64; 2]) {
    let of_cell = |cell: &NamedPictures| cell.pictures.iter().map(|image| sized(image, side)).collect();
    let images: Vec<Vec<(Image, usize)>> = cells.iter().map(of_cell).collect();
    let largest = |axis: usize| {
        images.iter().flatten().map(|(image, scale)| image.size[axis] * scale).max().unwrap_or(0) as f64
    };
    let size = [largest(2), largest(1)];
    (images, size)
}

/// Cells in rows, each with its name below.
fn grid(title: &str, remark: &str, cells: &[NamedPictures]) -> String {
    let (images, [w, h]) = drawn(cells, SIDE);
    let each = cells.iter().map(|cell| cell.pictures.len()).max().unwrap_or(1).max(1);
    let columns = COLUMNS / each.min(COLUMNS);
    let cell = [(w.max(SIDE as f64) + NEAR) * each as f64 + GAP - NEAR, h + 22.0 + GAP];
    let page = GAP + columns as f64 * cell[0];
    let top = TITLE + 22.0;
    let mut svg = Svg::new(page, top + cells.len().div_ceil(columns) as f64 * cell[1]);
    heading(&mut svg, title, page);
    note(&mut svg, remark, page);
    for (i, (named, images)) in cells.iter().zip(&images).enumerate() {
        let [x, y] = [GAP + (i % columns) as f64 * cell[0], top + (i / columns) as f64 * cell[1]];
        pictures(&mut svg, images, x, y + h, w + NEAR);
        let name = fit(&named.name, TEXT, cell[0] - GAP);
        svg.text(&name, [x, y + h + 16.0], TEXT, Anchor::Start, INK);
    }
    svg.finish()
}

/// One row per name, with the name to the left. `heads` stand above the columns.
fn in_rows(title: &str, remark: &str, heads: &[String], rows: &[NamedPictures]) -> String {
    let (images, [w, h]) = drawn(rows, ROW_SIDE);
    let columns = images.iter().map(Vec::len).max().unwrap_or(0);
    let name = rows.iter().map(|row| width(&row.name, TEXT)).fold(0.0, f64::max).min(NAME);
    let left = GAP + name + GAP;
    let page = (left + columns as f64 * (w + NEAR) + GAP - NEAR).max(480.0);
    let top = TITLE + if heads.is_empty() { 22.0 } else { 42.0 };
    let mut svg = Svg::new(page, top + rows.len() as f64 * (h + NEAR) + GAP);
    heading(&mut svg, title, page);
    note(&mut svg, remark, page);
    for (i, head) in heads.iter().enumerate() {
        let at = [left + i as f64 * (w + NEAR), top - 8.0];
        svg.text(&fit(head, TEXT, w), at, TEXT, Anchor::Start, FAINT);
    }
    for (i, (row, images)) in rows.iter().zip(&images).enumerate() {
        let y = top + i as f64 * (h + NEAR);
        let at = [left - GAP, y + h / 2.0 + 4.0];
        svg.text(&fit(&row.name, TEXT, NAME), at, TEXT, Anchor::End, INK);
        pictures(&mut svg, images, left, y + h, w + NEAR);
    }
    svg.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Augment;
    use crate::models;
    use crate::train::RunConfig;

    fn preview(augment: Augment) -> DataPreview {
        let config = RunConfig::new(&models::find("lenet5").unwrap(), "sample");
        DataPreview::new(&RunConfig { augment, subset: Some(50), seed: 1, ..config }).unwrap()
    }

    #[test]
    fn a_picture_has_as_many_images_as_asked_for() {
        let plain = preview(Augment::None);
        let count = |kind, n| draw_data_set(&plain, kind, n).unwrap().matches("<image").count();
        // There are 5 images of each of 10 classes.
        assert_eq!([1, 24, 60].map(|n| count(DataPicture::First, n)), [1, 24, 50]);
        assert_eq!([1, 3, 10].map(|n| count(DataPicture::Classes, n)), [10, 30, 50]);
        assert_eq!([1, 2].map(|n| count(DataPicture::Augmented, n)), [7, 14]);
    }

    /// Every class has a row, and the rows have the classes' names.
    #[test]
    fn rows_and_cells_are_labelled() {
        let plain = preview(Augment::None);
        let svg = draw_data_set(&plain, DataPicture::Classes, 2).unwrap();
        assert!(plain.train.classes().iter().all(|class| svg.contains(&format!("\"{class}\""))), "{svg}");
        let first = draw_data_set(&plain, DataPicture::First, 1).unwrap();
        assert!(first.contains(&plain.train.classes()[plain.train.label(0)]));
    }

    /// Without augmentation all versions are the stored image, and the picture says so. With it they differ, but are
    /// the same each time.
    #[test]
    fn versions_differ_only_with_augmentation() {
        let versions = |preview: &DataPreview| {
            let svg = draw_data_set(preview, DataPicture::Augmented, 1).unwrap();
            let mut images: Vec<String> = svg
                .split("href=\"data:")
                .skip(1)
                .map(|rest| rest[..rest.find('"').unwrap()].to_owned())
                .collect();
            images.sort();
            images.dedup();
            (images.len(), svg.contains("there is no augmentation"), svg)
        };
        let (plain, varied) = (versions(&preview(Augment::None)), versions(&preview(Augment::Standard)));
        assert_eq!((plain.0, plain.1), (1, true));
        assert!(varied.0 >= 6 && !varied.1, "{}", varied.0);
        assert!(varied.2 == versions(&preview(Augment::Standard)).2, "other bytes from the same seed");
    }
}
