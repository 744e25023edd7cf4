//! Images in separate files, decoded when they are read.
//!
//! Nothing is kept between epochs. Decoding a photograph takes a worker a few milliseconds, and a training step on a
//! batch of photographs takes far longer than that.

use super::dataset::{no_masks, set_name};
use super::masks::BACKGROUND;
use super::{Dataset, Image, ImageSize, picture};
use crate::core::{Error, Result};
use flate2::Crc;
use rayon::prelude::*;
use std::path::PathBuf;

/// One image of a [`FileSet`].
#[derive(Debug, Clone)]
pub(super) struct FileEntry {
    pub image: PathBuf,
    pub label: usize,
    /// The trimap: 1 for the object, 2 for the background, 3 for the border between them.
    pub trimap: Option<PathBuf>,
}

/// Pictures of any size, as three channels.
#[derive(Debug)]
pub(super) struct FileSet {
    name: String,
    entries: Vec<FileEntry>,
    classes: Vec<String>,
    masks: bool,
}

impl FileSet {
    /// Labels must be below the number of classes. The set has masks if all entries have a trimap.
    pub fn new(name: String, entries: Vec<FileEntry>, classes: Vec<String>) -> FileSet {
        let masks = !entries.is_empty() && entries.iter().all(|entry| entry.trimap.is_some());
        FileSet { name: set_name(&name), entries, classes, masks }
    }
}

impl Dataset for FileSet {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> usize {
        self.entries.len()
    }

    fn size(&self) -> ImageSize {
        ImageSize::Varied { channels: 3 }
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn label(&self, i: usize) -> usize {
        self.entries[i].label
    }

    fn read(&self, i: usize, image: &mut Image) -> Result<()> {
        picture::read(&self.entries[i].image, image)
    }

    /// Checks all headers, so that the reported error does not depend on the threads.
    fn check_headers(&self) -> Result<Option<[usize; 2]>> {
        let header = |entry: &FileEntry| {
            entry.trimap.as_ref().map_or(Ok([0; 2]), |trimap| picture::dimensions(trimap))?;
            picture::dimensions(&entry.image)
        };
        let sizes: Vec<Result<[usize; 2]>> = self.entries.par_iter().map(header).collect();
        let sizes = sizes.into_iter().collect::<Result<Vec<_>>>()?;
        Ok(sizes.first().copied().filter(|first| sizes.iter().all(|size| size == first)))
    }

    /// The checksum of the names and lengths of the image file and its trimap file.
    fn checksum(&self, i: usize) -> Result<u32> {
        let FileEntry { image, trimap, .. } = &self.entries[i];
        let mut crc = Crc::new();
        for file in [Some(image), trimap.as_ref()].into_iter().flatten() {
            let bytes = file.metadata().map_err(|e| Error::io(file, "examine", e))?.len();
            crc.update(file.file_name().unwrap_or_default().as_encoded_bytes());
            crc.update(&bytes.to_le_bytes());
        }
        Ok(crc.sum())
    }

    fn has_masks(&self) -> bool {
        self.masks
    }

    /// The mask is 1 where the trimap is 1 (object) or 3 (border). (The border is a band of a few pixels that the
    /// annotators left undecided; it is mostly fur.)
    fn mask(&self, i: usize, mask: &mut Image) -> Result<()> {
        self.trimap(i, mask)?;
        mask.pixels.iter_mut().for_each(|value| *value = u8::from(*value != BACKGROUND));
        Ok(())
    }

    fn has_trimaps(&self) -> bool {
        self.masks
    }

    fn trimap(&self, i: usize, mask: &mut Image) -> Result<()> {
        let FileEntry { image, trimap, .. } = &self.entries[i];
        let trimap = trimap.as_ref().ok_or_else(|| no_masks(&self.name))?;
        picture::read_mask(trimap, image, mask)?;
        if let Some(wrong) = mask.pixels.iter().find(|value| !(1..=3).contains(*value)) {
            return Err(Error::format(
                trimap.display(),
                format!("the trimap contains a pixel with value {wrong}"),
            )
            .expected("1 (object), 2 (background) or 3 (border)"));
        }
        Ok(())
    }
}
