//! Makes batches of images: reads, transforms and normalises each image into its place in the batch.

use super::examples::class_targets;
use super::masks::BACKGROUND;
use super::normalize::PixelTable;
use super::{Batch, Dataset, Image, LoaderOptions, Scratch, Target, checked};
use crate::core::{Error, Float, Key, Result};
use crate::tensor::{Blank, Device};

/// What a worker needs to make batches of images. The buffers are reused for each batch.
pub(super) struct ImageBatcher<'a, T> {
    set: &'a dyn Dataset,
    options: &'a LoaderOptions,
    /// The size after the pipeline.
    size: [usize; 3],
    key: Key,
    table: PixelTable<T>,
    image: Image,
    mask: Image,
    scratch: Scratch,
}

impl<'a, T: Float> ImageBatcher<'a, T> {
    pub(super) fn new(
        set: &'a dyn Dataset,
        size: [usize; 3],
        options: &'a LoaderOptions,
        epoch: u64,
    ) -> Result<ImageBatcher<'a, T>> {
        Ok(ImageBatcher {
            set,
            options,
            size,
            key: options.augment_key.step(epoch),
            table: options.pipeline.normalize.table::<T>(size)?,
            image: Image::default(),
            mask: Image::default(),
            scratch: Scratch::default(),
        })
    }

    pub(super) fn make(&mut self, device: &Device, samples: &[usize], index: usize) -> Result<Batch> {
        let [channels, height, width] = self.size;
        let (n, pixels) = (samples.len(), height * width);
        let mut images = Blank::new(device, &[n, channels, height, width])?;
        let mut masks = match self.options.target {
            Target::Class => None,
            Target::Mask | Target::RawMask => Some(Blank::new(device, &[n, 1, height, width])?),
        };
        for (place, &i) in samples.iter().enumerate() {
            let image = &mut images.elements()[place * channels * pixels..][..channels * pixels];
            let mask = masks.as_mut().map(|masks| &mut masks.elements()[place * pixels..][..pixels]);
            self.write(i, image, mask).map_err(|e| e.at(|| format!("{}, image {i}", self.set.name())))?;
        }
        let targets = match masks {
            Some(masks) => masks.into_tensor()?,
            None => class_targets(device, samples, |i| checked::label(self.set, i))?,
        };
        Ok(Batch { index, images: images.into_tensor()?, targets, samples: samples.to_vec() })
    }

    /// Writes the numbers of one image, and of its mask, to their places in the batch.
    fn write(&mut self, i: usize, to: &mut [T], mask_to: Option<&mut [T]>) -> Result<()> {
        let ImageBatcher { set, options, size, key, table, image, mask, scratch } = self;
        checked::read(*set, i, image)?;
        match mask_to {
            None => options.pipeline.apply(*key, i, image, None, scratch)?,
            Some(to) => {
                let raw = options.target == Target::RawMask;
                let read = if raw { checked::trimap } else { checked::mask };
                read(*set, i, image.size, mask)?;
                options.pipeline.apply(*key, i, image, Some(mask), scratch)?;
                check_size("the mask", [1, size[1], size[2]], mask.size)?;
                // Around the image a transform adds 0, which a trimap calls background.
                let number = |byte: u8| match raw {
                    true => {
                        T::from_f64(f64::from(if byte == 0 { BACKGROUND } else { byte })) / T::from_f64(255.0)
                    }
                    false => T::from_f64(f64::from(byte)),
                };
                to.iter_mut().zip(&mask.pixels).for_each(|(to, &byte)| *to = number(byte));
            }
        }
        check_size("the image", *size, image.size)?;
        table.write(image, to);
        Ok(())
    }
}

/// Returns an error if the size is wrong: it would shift every later image of the batch.
fn check_size(what: &str, expected: [usize; 3], found: [usize; 3]) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::shape("loader", format!("{what} has a wrong size"))
        .with("found", format_args!("{found:?}"))
        .expected(format!("{expected:?}")))
}
