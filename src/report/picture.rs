//! Images in a page.

use crate::data::Image;
use crate::draw::data_url;
use crate::train::pictures::{mask_picture, sized};
use serde::{Serialize, Serializer};

/// The longest side of a picture in the page.
const SIDE: usize = 384;

/// An image, written as a `data:` URL of a PNG.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture(pub Image);

impl Picture {
    /// An image, made smaller if it is very large.
    pub fn of(image: &Image) -> Picture {
        match image.size[1].max(image.size[2]) {
            0..=SIDE => Picture(image.clone()),
            _ => Picture(sized(image, SIDE).0),
        }
    }

    /// A mask of 0 and 1 as a picture, white where it is 1.
    pub fn of_mask(mask: &Image) -> Picture {
        Picture::of(&mask_picture(mask))
    }
}

impl Serialize for Picture {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&data_url(&self.0, 1))
    }
}
