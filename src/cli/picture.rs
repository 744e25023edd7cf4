//! PNG and JPEG files as bytes for a network. Nothing in a file's header is believed beyond fixed limits.

use super::args::image_text;
use crate::core::{Error, Result};
use image::imageops::{FilterType, resize};
use image::{ImageFormat, ImageReader, Limits, RgbImage};
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

/// The longest file, in bytes.
const MOST_BYTES: u64 = 64 << 20;
/// The longest side, in pixels.
const MOST_PIXELS: u32 = 16 * 1024;
/// What decoding may allocate, in bytes.
const MOST_MEMORY: u64 = 512 << 20;

/// A picture, laid on white where it is transparent.
#[derive(Debug)]
pub struct Picture(RgbImage);

impl Picture {
    /// Reads a PNG or JPEG file.
    ///
    /// # Errors
    /// A file that cannot be read, is neither, is cut off or damaged, or is larger than the limits.
    pub fn read(path: &Path) -> Result<Picture> {
        let refused = |e| Error::io(path, "read", e);
        let file = File::open(path).map_err(refused)?;
        let about = file.metadata().map_err(refused)?;
        if !about.is_file() {
            return Err(Error::format(path.display(), "not a regular file"));
        }
        let mut bytes = Vec::new();
        file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(refused)?;
        if bytes.len() as u64 > MOST_BYTES {
            return Err(too_large(path, &format!("more than {} MiB", MOST_BYTES >> 20)));
        }
        Self::decode(&bytes, path)
    }

    fn decode(bytes: &[u8], path: &Path) -> Result<Picture> {
        let format = match image::guess_format(bytes) {
            Ok(format @ (ImageFormat::Png | ImageFormat::Jpeg)) => format,
            _ => {
                return Err(Error::format(path.display(), "neither a PNG nor a JPEG picture")
                    .help("convert it with an image program first"));
            }
        };
        if format == ImageFormat::Jpeg && !jpeg_is_complete(bytes) {
            return Err(damaged(path, "the file is cut off"));
        }
        let mut limits = Limits::default();
        limits.max_image_width = Some(MOST_PIXELS);
        limits.max_image_height = Some(MOST_PIXELS);
        limits.max_alloc = Some(MOST_MEMORY);
        let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
        reader.limits(limits);
        let image = reader.decode().map_err(|e| match e {
            image::ImageError::Limits(_) => too_large(
                path,
                &format!("more than {MOST_PIXELS} pixels a side, or {} MiB", MOST_MEMORY >> 20),
            ),
            e => damaged(path, &e.to_string()),
        })?;
        let mut rgb = RgbImage::new(image.width(), image.height());
        for (out, pixel) in rgb.pixels_mut().zip(image.to_rgba8().pixels()) {
            let [r, g, b, alpha] = pixel.0.map(u32::from);
            out.0 = [r, g, b].map(|v| ((v * alpha + 255 * (255 - alpha) + 127) / 255) as u8);
        }
        Ok(Picture(rgb))
    }

    /// What [`pixels`](Self::pixels) does, in words.
    pub fn conversion(&self, image: [usize; 3], invert: bool) -> String {
        let (w, h) = self.0.dimensions();
        let grey = if image[0] == 1 { " grey" } else { "" };
        let inverted = if invert { ", inverted" } else { "" };
        format!("{h}x{w} pixels stretched to {}{grey} (bilinear){inverted}", image_text(image))
    }

    /// The picture as `[C, H, W]` bytes: stretched bilinearly, grey (ITU-R BT.709) for one channel.
    ///
    /// # Errors
    /// A network that takes neither 1 nor 3 channels.
    pub fn pixels(&self, [c, h, w]: [usize; 3], invert: bool) -> Result<Vec<u8>> {
        let (width, height) = (w as u32, h as u32);
        // Grey before resizing, so that rounding happens once.
        let interleaved = match c {
            1 => resize(&image::imageops::grayscale(&self.0), width, height, FilterType::Triangle).into_raw(),
            3 => resize(&self.0, width, height, FilterType::Triangle).into_raw(),
            _ => {
                return Err(Error::shape("predict", format!("a picture has 1 or 3 channels, not {c}"))
                    .help("use --index to take an image of the data set"));
            }
        };
        let flip = if invert { 255 } else { 0 };
        let channel =
            |channel: usize| interleaved.iter().skip(channel).step_by(c).map(move |&byte| byte ^ flip);
        Ok((0..c).flat_map(channel).collect())
    }
}

/// The decoder fills what a cut JPEG lacks with grey. A whole file ends its last scan with an end-of-image marker; neither
/// marker can occur inside a scan.
fn jpeg_is_complete(bytes: &[u8]) -> bool {
    let last = |marker: u8| bytes.windows(2).rposition(|pair| pair == [0xff, marker]);
    let (start_of_scan, end_of_image) = (last(0xda), last(0xd9));
    start_of_scan.is_some() && end_of_image > start_of_scan
}

fn too_large(path: &Path, limit: &str) -> Error {
    Error::format(path.display(), format!("the picture is too large: {limit}")).help("make it smaller first")
}

fn damaged(path: &Path, why: &str) -> Error {
    Error::format(path.display(), format!("a damaged picture: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{DynamicImage, Rgba, RgbaImage};

    fn encode(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn decode(bytes: &[u8]) -> Result<Picture> {
        Picture::decode(bytes, Path::new("picture"))
    }

    fn noise() -> DynamicImage {
        DynamicImage::ImageRgb8(RgbImage::from_fn(40, 30, |x, y| {
            image::Rgb([x * 6, y * 8, x * y].map(|v| v as u8))
        }))
    }

    /// Channel planes, white paper under transparency, and light for dark.
    #[test]
    fn pixels_are_planes_on_white() {
        let mut image = RgbaImage::from_pixel(2, 2, Rgba([200, 100, 0, 255]));
        image.put_pixel(1, 0, Rgba([0, 0, 0, 0]));
        let picture = decode(&encode(&image.into(), ImageFormat::Png)).unwrap();
        assert_eq!(
            picture.pixels([3, 2, 2], false).unwrap(),
            [200, 255, 200, 200, 100, 255, 100, 100, 0, 255, 0, 0]
        );
        let grey = picture.pixels([1, 2, 2], true).unwrap();
        assert_eq!((grey[1], grey[0]), (0, 255 - (0.2126 * 200.0 + 0.7152 * 100.0) as u8));
        assert!(picture.pixels([2, 2, 2], false).is_err());
    }

    /// Every prefix of a file is an error, never a panic and never half a picture.
    #[test]
    fn cut_files_are_errors() {
        for format in [ImageFormat::Png, ImageFormat::Jpeg] {
            let whole = encode(&noise(), format);
            assert!(decode(&whole).is_ok());
            // The last chunk of a PNG (12 bytes, IEND) holds nothing.
            for length in (0..whole.len() - 12).step_by(7) {
                assert!(decode(&whole[..length]).is_err(), "{format:?} cut to {length} of {}", whole.len());
            }
        }
    }

    /// A header may promise any size: the limit speaks before the memory is asked for.
    #[test]
    fn a_promised_giant_is_refused() {
        let mut png = encode(&noise(), ImageFormat::Png);
        png[16..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
        let crc = crc32(&png[12..29]);
        png[29..33].copy_from_slice(&crc.to_be_bytes());
        let error = decode(&png).unwrap_err().to_string();
        assert!(error.contains("too large"), "{error}");
    }

    fn crc32(bytes: &[u8]) -> u32 {
        let step = |crc: u32| if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
        !bytes.iter().fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), |crc, _| step(crc)))
    }

    #[test]
    fn other_files_are_named_as_such() {
        for bytes in [&b""[..], b"hello", b"GIF89a\x01\x00\x01\x00\x00\x00\x00"] {
            let error = decode(bytes).unwrap_err().to_string();
            assert!(error.contains("neither a PNG nor a JPEG"), "{error}");
        }
    }
}
