//! One image as bytes. Sets return it, transforms change it, and normalising turns it into numbers.

use crate::core::{DType, Error, Result};
use crate::tensor::{Device, Tensor};
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

    /// An image of `[C, H, W]` whose bytes come pixel by pixel, as in a file or in the crate `image`: the raw bytes of
    /// its `RgbImage` are `[3, height, width]`, those of its `GrayImage` are `[1, height, width]`.
    ///
    /// ```
    /// use receptive::data::Image;
    /// let image = Image::from_interleaved([3, 1, 2], &[1, 2, 3, 4, 5, 6])?;
    /// assert_eq!(image.pixels, [1, 4, 2, 5, 3, 6]);
    /// assert_eq!(image.interleaved(), [1, 2, 3, 4, 5, 6]);
    /// # Ok::<(), receptive::Error>(())
    /// ```
    ///
    /// # Errors
    /// A number of bytes that does not match the size.
    pub fn from_interleaved(size: [usize; 3], bytes: &[u8]) -> Result<Image> {
        let pixels = (0..size[0]).flat_map(|c| bytes.iter().skip(c).step_by(size[0])).copied();
        Image::new(size, pixels.collect())
    }

    /// The bytes pixel by pixel: for `image::RgbImage::from_raw`, and for files.
    pub fn interleaved(&self) -> Vec<u8> {
        let plane = self.size[1] * self.size[2];
        (0..plane).flat_map(|i| self.pixels.iter().skip(i).step_by(plane)).copied().collect()
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

impl Tensor {
    /// An image as a tensor `[C, H, W]` of f32 from 0 to 1. torchvision: `ToTensor`.
    ///
    /// ```
    /// use receptive::data::Image;
    /// use receptive::{Device, Tensor};
    /// let x = Tensor::from_image(&Device::cpu()?, &Image::new([1, 1, 2], vec![0, 255])?)?;
    /// assert_eq!((x.dims(), x.to_vec::<f32>()?), (&[1, 1, 2][..], vec![0.0, 1.0]));
    /// assert_eq!(x.to_image()?.pixels, [0, 255]);
    /// # Ok::<(), receptive::Error>(())
    /// ```
    ///
    /// # Errors
    /// An image without pixels.
    pub fn from_image(device: &Device, image: &Image) -> Result<Tensor> {
        if image.size.contains(&0) {
            return Err(Error::shape("from_image", "the image has no pixels")
                .with("image", format_args!("{:?}", image.size))
                .expected("[C, H, W], each 1 or more"));
        }
        let values = image.pixels.iter().map(|&byte| f32::from(byte) / 255.0).collect();
        Tensor::from_vec(device, values, &image.size)
    }

    /// A tensor `[C, H, W]` as an image: 0 becomes 0 and 1 becomes 255, values between are rounded, values outside are
    /// cut off. NaN becomes 0. torchvision: `to_pil_image`.
    ///
    /// # Errors
    /// Another number of dimensions.
    pub fn to_image(&self) -> Result<Image> {
        let &[c, h, w] = self.dims() else {
            return Err(Error::shape("to_image", "the tensor is not an image")
                .with("tensor", self.shape())
                .expected("[C, H, W]")
                .help("take one image of a batch with `narrow` and `reshape`"));
        };
        let values = self.to_dtype(DType::F32)?.to_vec::<f32>()?;
        // The conversion from f32 to u8 cuts off at 0 and 255.
        Image::new([c, h, w], values.into_iter().map(|v| (v * 255.0).round() as u8).collect())
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
