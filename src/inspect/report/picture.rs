//! Images on their way into a page.

use crate::data::Image;
use crate::draw::data_url;
use serde::{Serialize, Serializer};

/// An image, written as a `data:` URL of a PNG.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture(pub Image);

impl Picture {
    /// A mask of 0 and 1, white where it is 1.
    pub fn of_mask(mask: &Image) -> Picture {
        Picture(crate::train::pictures::mask_picture(mask))
    }
}

impl Serialize for Picture {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&data_url(&self.0, 1))
    }
}
