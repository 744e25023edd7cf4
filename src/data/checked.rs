//! Reading from a set with checks against the set's own description. Sets are user code too. A label that is not a
//! class, or an image of another size, is an error that names the set and the image, wherever it is read.

use super::{Dataset, Image};
use crate::core::{Error, Result};

/// The class of image `i`.
///
/// # Errors
/// A label that is not below the number of classes.
pub fn label(set: &dyn Dataset, i: usize) -> Result<usize> {
    let (label, classes) = (set.label(i), set.classes().len());
    if label < classes {
        return Ok(label);
    }
    Err(Error::argument(set.name(), format!("label() returns class {label} for image {i}"))
        .with("classes", classes)
        .expected("a label below the number of classes"))
}

/// Reads image `i`.
///
/// # Errors
/// As [`Dataset::read`]; an image whose size is not the set's, or whose number of pixels does not match its size.
pub fn read(set: &dyn Dataset, i: usize, image: &mut Image) -> Result<()> {
    set.read(i, image)?;
    whole(set, "read()", i, image)?;
    match set.size().fixed() {
        Some(size) if size != image.size => Err(differs(set, "read()", i)
            .with("got", format_args!("{:?}", image.size))
            .expected(format!("{size:?}, the value of the set's size()"))),
        _ if image.size[0] != set.size().channels() => Err(differs(set, "read()", i)
            .with("got", format_args!("{:?}", image.size))
            .expected(format!("{} channels, the value of the set's size()", set.size().channels()))),
        _ => Ok(()),
    }
}

/// Reads the mask of an image whose height and width are known.
///
/// # Errors
/// As [`Dataset::mask`]; a mask whose size is not its image's; bytes that are neither 0 nor 1.
pub fn mask(set: &dyn Dataset, i: usize, [_, h, w]: [usize; 3], mask: &mut Image) -> Result<()> {
    set.mask(i, mask)?;
    fits(set, "mask()", i, [1, h, w], mask)?;
    match mask.pixels.iter().find(|&&byte| byte > 1) {
        None => Ok(()),
        Some(byte) => Err(Error::argument(set.name(), format!("mask() returns a byte {byte} for image {i}"))
            .expected("1 for the object, 0 elsewhere")),
    }
}

/// Reads the trimap of an image whose height and width are known.
///
/// # Errors
/// As [`Dataset::trimap`]; a trimap whose size is not its image's; bytes other than 1, 2 and 3.
pub fn trimap(set: &dyn Dataset, i: usize, [_, h, w]: [usize; 3], trimap: &mut Image) -> Result<()> {
    set.trimap(i, trimap)?;
    fits(set, "trimap()", i, [1, h, w], trimap)?;
    match trimap.pixels.iter().find(|byte| !(1..=3).contains(*byte)) {
        None => Ok(()),
        Some(byte) => {
            Err(Error::argument(set.name(), format!("trimap() returns a byte {byte} for image {i}"))
                .expected("1 (object), 2 (background) or 3 (border)"))
        }
    }
}

fn fits(set: &dyn Dataset, method: &str, i: usize, size: [usize; 3], mask: &Image) -> Result<()> {
    whole(set, method, i, mask)?;
    if mask.size == size {
        return Ok(());
    }
    Err(differs(set, method, i)
        .with("got", format_args!("{:?}", mask.size))
        .expected(format!("{size:?}, the size of its image")))
}

fn differs(set: &dyn Dataset, method: &str, i: usize) -> Error {
    Error::shape(set.name(), format!("{method} returns a wrong size for image {i}"))
}

fn whole(set: &dyn Dataset, method: &str, i: usize, image: &Image) -> Result<()> {
    let bytes = image.size.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    if bytes == Some(image.pixels.len()) {
        return Ok(());
    }
    Err(Error::shape(set.name(), format!("{method} returns a wrong number of pixels for image {i}"))
        .with("pixels", image.pixels.len())
        .with("size", format_args!("{:?}", image.size))
        .expected("C x H x W bytes"))
}
