//! One image as bytes. Sets return it, transforms change it, and normalising turns it into numbers.

use crate::core::{Error, Result};
use serde::{Deserialize, Serialize};

/// More pixels than any image here has. Below this limit no arithmetic on sizes overflows.
const MOST_PIXELS: usize = 1 << 30;

/// An image, channel by channel. It can be reused as a buffer: reading and transforming keep its allocation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// `[C, H, W]`.
    pub size: [usize; 3],
    /// `C * H * W` bytes, row by row.
    pub pixels: Vec<u8>,
}

impl Image {
    /// Swaps light and dark.
    pub fn invert(&mut self) {
        self.pixels.iter_mut().for_each(|byte| *byte = !*byte);
    }

    /// An image with these pixels.
    ///
    /// # Errors
    /// A number of pixels that does not match the size.
    pub fn new(size: [usize; 3], pixels: Vec<u8>) -> Result<Image> {
        match size.iter().try_fold(1usize, |n, &d| n.checked_mul(d)) {
            Some(n) if n == pixels.len() => Ok(Image { size, pixels }),
            _ => Err(Error::shape("image", "the number of pixels does not match the size")
                .with("pixels", pixels.len())
                .with("size", format_args!("{size:?}"))
                .expected("C x H x W bytes")),
        }
    }

    /// Sets the size. The pixels are then unspecified, and the caller must write them all.
    pub fn reset(&mut self, size: [usize; 3]) -> &mut [u8] {
        self.size = size;
        self.pixels.resize(size.iter().product(), 0);
        &mut self.pixels
    }

    /// Copies these `C * H * W` bytes into the image.
    pub(super) fn set(&mut self, size: [usize; 3], pixels: &[u8]) {
        self.size = size;
        self.pixels.clear();
        self.pixels.extend_from_slice(pixels);
    }

    /// Whether `[C, H, W]` can be an image's size: no side is 0, and there are not too many pixels.
    pub fn is_size(size: [usize; 3]) -> bool {
        let pixels = size.iter().try_fold(1usize, |n, &side| n.checked_mul(side));
        matches!(pixels, Some(1..=MOST_PIXELS))
    }

    /// The `[H, W]` planes of the channels.
    pub fn planes(&self) -> std::slice::ChunksExact<'_, u8> {
        self.pixels.chunks_exact((self.size[1] * self.size[2]).max(1))
    }
}

/// What is known about the size of a set's images before they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageSize {
    /// All images are `[C, H, W]`.
    Fixed([usize; 3]),
    /// Each image has its own height and width, as with photographs.
    Varied { channels: usize },
}

impl ImageSize {
    /// The number of channels.
    pub fn channels(self) -> usize {
        match self {
            ImageSize::Fixed([channels, ..]) | ImageSize::Varied { channels } => channels,
        }
    }

    /// `[C, H, W]`, if all images have it.
    pub fn fixed(self) -> Option<[usize; 3]> {
        match self {
            ImageSize::Fixed(size) => Some(size),
            ImageSize::Varied { .. } => None,
        }
    }
}
