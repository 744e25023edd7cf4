//! PNG, JPEG and GIF files as bytes for a network. Nothing in a file's header is believed beyond fixed limits.
//!
//! Decoding is the `image` crate's, behind the feature `images`; without it these functions are errors.

use super::Image;
use crate::core::{Error, Result};
use std::path::Path;

/// Reads a picture as three channels, laid on white where it is transparent. (Of a GIF: its first frame.)
///
/// # Errors
/// A file that cannot be read, is of another kind, is cut off or damaged, or is larger than the limits.
pub fn read(path: &Path, image: &mut Image) -> Result<()> {
    codec::read(path, image)
}

/// Reads a PNG of 8-bit grey as one channel, its bytes unchanged.
///
/// # Errors
/// As [`read`]; a picture with other pixels.
pub fn read_grey(path: &Path, image: &mut Image) -> Result<()> {
    codec::read_grey(path, image)
}

/// `[height, width]` of a picture, from its header alone.
///
/// # Errors
/// As [`read`].
pub fn dimensions(path: &Path) -> Result<[usize; 2]> {
    codec::dimensions(path)
}

/// Three channels as one (ITU-R BT.709).
pub fn grey(rgb: &Image) -> Image {
    let [_, h, w] = rgb.size;
    let (r, rest) = rgb.pixels.split_at(h * w);
    let (g, b) = rest.split_at(h * w);
    let light = |((&r, &g), &b): ((&u8, &u8), &u8)| {
        ((2126 * u32::from(r) + 7152 * u32::from(g) + 722 * u32::from(b)) / 10_000) as u8
    };
    Image { size: [1, h, w], pixels: r.iter().zip(g).zip(b).map(light).collect() }
}

#[cfg(not(feature = "images"))]
mod codec {
    use super::{Error, Image, Path, Result};
    use crate::core::ErrorKind;

    fn refused<T>(path: &Path) -> Result<T> {
        let what = "this build cannot decode pictures";
        Err(Error::new(ErrorKind::Missing, path.display().to_string(), what)
            .help("build with the feature `images`"))
    }

    pub fn read(path: &Path, _: &mut Image) -> Result<()> {
        refused(path)
    }

    pub fn read_grey(path: &Path, _: &mut Image) -> Result<()> {
        refused(path)
    }

    pub fn dimensions(path: &Path) -> Result<[usize; 2]> {
        refused(path)
    }
}

#[cfg(feature = "images")]
mod codec {
    use super::{Error, Image, Path, Result};
    use image::{DynamicImage, ImageError, ImageFormat, ImageReader, Limits};
    use std::fs::File;
    use std::io::{Cursor, Read};

    /// The longest file, in bytes.
    const MOST_BYTES: u64 = 64 << 20;
    /// The longest side, in pixels.
    const MOST_PIXELS: u32 = 16 * 1024;
    /// What decoding may allocate, in bytes.
    const MOST_MEMORY: u64 = 512 << 20;

    pub fn read(path: &Path, image: &mut Image) -> Result<()> {
        let decoded = decode(&bytes(path)?, path)?;
        let (w, h) = (decoded.width() as usize, decoded.height() as usize);
        let out = image.reset([3, h, w]);
        match decoded {
            DynamicImage::ImageRgb8(rgb) => planes(out, rgb.as_raw(), 3, |pixel, c| pixel[c]),
            DynamicImage::ImageLuma8(grey) => planes(out, grey.as_raw(), 1, |pixel, _| pixel[0]),
            other => planes(out, other.to_rgba8().as_raw(), 4, |pixel, c| {
                let (v, alpha) = (u32::from(pixel[c]), u32::from(pixel[3]));
                ((v * alpha + 255 * (255 - alpha) + 127) / 255) as u8
            }),
        }
        Ok(())
    }

    pub fn read_grey(path: &Path, image: &mut Image) -> Result<()> {
        match decode(&bytes(path)?, path)? {
            DynamicImage::ImageLuma8(grey) => {
                image.set([1, grey.height() as usize, grey.width() as usize], grey.as_raw());
                Ok(())
            }
            other => Err(Error::format(path.display(), "the picture is not 8-bit grey")
                .with("pixels", format_args!("{:?}", other.color()))
                .expected("a PNG with one byte a pixel and no palette")),
        }
    }

    pub fn dimensions(path: &Path) -> Result<[usize; 2]> {
        let file = File::open(path).map_err(|e| Error::io(path, "read", e))?;
        let reader = ImageReader::new(std::io::BufReader::new(file)).with_guessed_format();
        let reader = reader.map_err(|e| Error::io(path, "read", e))?;
        let (w, h) = reader.into_dimensions().map_err(|e| damaged(path, &e.to_string()))?;
        Ok([h as usize, w as usize])
    }

    /// From pixel after pixel to channel after channel.
    fn planes(out: &mut [u8], pixels: &[u8], samples: usize, value: impl Fn(&[u8], usize) -> u8) {
        let plane = out.len() / 3;
        for (c, out) in out.chunks_exact_mut(plane).enumerate() {
            for (out, pixel) in out.iter_mut().zip(pixels.chunks_exact(samples)) {
                *out = value(pixel, c);
            }
        }
    }

    fn bytes(path: &Path) -> Result<Vec<u8>> {
        let refused = |e| Error::io(path, "read", e);
        let file = File::open(path).map_err(refused)?;
        let about = file.metadata().map_err(refused)?;
        if !about.is_file() {
            return Err(Error::format(path.display(), "not a regular file"));
        }
        let mut bytes = Vec::with_capacity(about.len().min(MOST_BYTES) as usize + 1);
        file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(refused)?;
        if bytes.len() as u64 > MOST_BYTES {
            return Err(too_large(path, &format!("more than {} MiB", MOST_BYTES >> 20)));
        }
        Ok(bytes)
    }

    fn decode(bytes: &[u8], path: &Path) -> Result<DynamicImage> {
        let format = match image::guess_format(bytes) {
            Ok(format @ (ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::Gif)) => format,
            _ => {
                return Err(Error::format(path.display(), "neither a PNG, a JPEG nor a GIF picture")
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
        let decoded = reader.decode().map_err(|e| match e {
            ImageError::Limits(_) => too_large(
                path,
                &format!("more than {MOST_PIXELS} pixels a side, or {} MiB", MOST_MEMORY >> 20),
            ),
            e => damaged(path, &e.to_string()),
        })?;
        if decoded.width() == 0 || decoded.height() == 0 {
            return Err(damaged(path, "it has no pixels"));
        }
        Ok(decoded)
    }

    /// The decoder fills what a cut JPEG lacks with grey. A whole file ends its last scan with an end-of-image marker;
    /// neither marker can occur inside a scan.
    fn jpeg_is_complete(bytes: &[u8]) -> bool {
        let last = |marker: u8| bytes.windows(2).rposition(|pair| pair == [0xff, marker]);
        let (start_of_scan, end_of_image) = (last(0xda), last(0xd9));
        start_of_scan.is_some() && end_of_image > start_of_scan
    }

    fn too_large(path: &Path, limit: &str) -> Error {
        Error::format(path.display(), format!("the picture is too large: {limit}"))
            .help("make it smaller first")
    }

    fn damaged(path: &Path, why: &str) -> Error {
        Error::format(path.display(), format!("a damaged picture: {why}"))
    }
}
