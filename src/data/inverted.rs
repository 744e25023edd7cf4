//! A data set with light and dark swapped.

use super::{Dataset, Image, ImageSize};
use crate::core::Result;
use std::sync::Arc;

/// Another set's images with light and dark swapped. Labels and masks are unchanged.
pub struct Inverted(Arc<dyn Dataset>);

impl Inverted {
    /// Wraps this set.
    pub fn new(base: Arc<dyn Dataset>) -> Inverted {
        Inverted(base)
    }
}

impl Dataset for Inverted {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn size(&self) -> ImageSize {
        self.0.size()
    }

    fn classes(&self) -> &[String] {
        self.0.classes()
    }

    fn label(&self, i: usize) -> usize {
        self.0.label(i)
    }

    fn read(&self, i: usize, image: &mut Image) -> Result<()> {
        self.0.read(i, image)?;
        image.invert();
        Ok(())
    }

    fn has_masks(&self) -> bool {
        self.0.has_masks()
    }

    fn mask(&self, i: usize, mask: &mut Image) -> Result<()> {
        self.0.mask(i, mask)
    }

    fn has_trimaps(&self) -> bool {
        self.0.has_trimaps()
    }

    fn trimap(&self, i: usize, trimap: &mut Image) -> Result<()> {
        self.0.trimap(i, trimap)
    }
}
