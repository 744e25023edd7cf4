//! One image as bytes: what a set hands over, what the transforms change, what normalising turns into numbers.

use crate::core::{Error, Result};
use serde::{Deserialize, Serialize};

/// More pixels than any image here has; below it no arithmetic on sizes overflows.
const MOST_PIXELS: usize = 1 << 30;

/// An image, channel by channel. A buffer to use again: reading and transforming keep its allocation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// `[C, H, W]`.
    pub size: [usize; 3],
    /// `C * H * W` bytes, row by row.
    pub pixels: Vec<u8>,
}

impl Image {
    /// Light becomes dark, and dark light.
    pub fn invert(&mut self) {
        self.pixels.iter_mut().for_each(|byte| *byte = !*byte);
    }

    /// An image of these pixels.
    ///
    /// # Errors
    /// Another number of pixels than the size says.
    pub fn new(size: [usize; 3], pixels: Vec<u8>) -> Result<Image> {
        match size.iter().try_fold(1usize, |n, &d| n.checked_mul(d)) {
            Some(n) if n == pixels.len() => Ok(Image { size, pixels }),
            _ => Err(Error::shape("image", "pixels and size disagree")
                .with("pixels", pixels.len())
                .with("size", format_args!("{size:?}"))
                .expected("C x H x W bytes")),
        }
    }

    /// Makes it this size. What the pixels then are is unspecified: the caller writes them all.
    pub fn reset(&mut self, size: [usize; 3]) -> &mut [u8] {
        self.size = size;
        self.pixels.resize(size.iter().product(), 0);
        &mut self.pixels
    }

    /// Makes it a copy of these bytes, `C * H * W` of them.
    pub(super) fn set(&mut self, size: [usize; 3], pixels: &[u8]) {
        self.size = size;
        self.pixels.clear();
        self.pixels.extend_from_slice(pixels);
    }

    /// Whether `[C, H, W]` can be an image's size: nothing is 0, and it is not absurdly large.
    pub fn is_size(size: [usize; 3]) -> bool {
        let pixels = size.iter().try_fold(1usize, |n, &side| n.checked_mul(side));
        matches!(pixels, Some(1..=MOST_PIXELS))
    }

    /// The channels' `[H, W]` planes.
    pub fn planes(&self) -> std::slice::ChunksExact<'_, u8> {
        self.pixels.chunks_exact((self.size[1] * self.size[2]).max(1))
    }
}

/// What is known of the size of a set's images before they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageSize {
    /// All are `[C, H, W]`.
    Fixed([usize; 3]),
    /// Each has its own height and width, as photographs do.
    Varied { channels: usize },
}

impl ImageSize {
    /// The number of channels.
    pub fn channels(self) -> usize {
        match self {
            ImageSize::Fixed([channels, ..]) | ImageSize::Varied { channels } => channels,
        }
    }

    /// `[C, H, W]`, where all images have it.
    pub fn fixed(self) -> Option<[usize; 3]> {
        match self {
            ImageSize::Fixed(size) => Some(size),
            ImageSize::Varied { .. } => None,
        }
    }
}
