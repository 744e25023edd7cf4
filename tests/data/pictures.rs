//! Decoding: every kind of pixel, and files that lie.

use image::{
    DynamicImage, GrayAlphaImage, ImageBuffer, ImageFormat, Luma, LumaA, Rgb, RgbImage, Rgba, RgbaImage,
};
use proptest::prelude::*;
use receptive::data::{Image, picture};
use receptive::{ErrorKind, Result};
use std::io::Cursor;

fn encode(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn decode(bytes: &[u8]) -> Result<Image> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let mut image = Image::default();
    picture::read(file.path(), &mut image).map(|()| image)
}

fn noise() -> DynamicImage {
    RgbImage::from_fn(40, 30, |x, y| Rgb([x * 6, y * 8, x * y].map(|v| v as u8))).into()
}

#[test]
fn every_kind_of_pixel_becomes_three_channels_on_white() {
    let png = |image: DynamicImage| decode(&encode(&image, ImageFormat::Png)).unwrap().pixels;
    assert_eq!(png(RgbImage::from_pixel(1, 1, Rgb([1, 2, 3])).into()), [1, 2, 3]);
    let mut image = RgbaImage::from_pixel(2, 1, Rgba([200, 100, 0, 255]));
    image.put_pixel(1, 0, Rgba([0, 0, 0, 0]));
    assert_eq!(png(image.into()), [200, 255, 100, 255, 0, 255]);
    let deep = ImageBuffer::from_pixel(1, 1, Luma([0x8080u16]));
    assert_eq!(png(DynamicImage::ImageLuma16(deep)), [0x80; 3]);
    let deep = ImageBuffer::from_pixel(1, 1, Rgb([0u16, 0xffff, 0x4040]));
    assert_eq!(png(DynamicImage::ImageRgb16(deep)), [0, 255, 0x40]);
    assert_eq!(png(GrayAlphaImage::from_pixel(1, 1, LumaA([9, 255])).into()), [9; 3]);
    // A GIF has a palette.
    let gif = RgbImage::from_pixel(3, 2, Rgb([255, 0, 255])).into();
    assert_eq!(
        decode(&encode(&gif, ImageFormat::Gif)).unwrap().pixels[..7],
        [255, 255, 255, 255, 255, 255, 0]
    );
}

/// A palette PNG by hand: 2 x 1 pixels of one byte, indices 1 and 0.
#[test]
fn a_palette_is_looked_up() {
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |kind: &[u8; 4], data: &[u8]| {
        png.extend((data.len() as u32).to_be_bytes());
        let start = png.len();
        png.extend(kind);
        png.extend(data);
        let crc = crc32(&png[start..]);
        png.extend(crc.to_be_bytes());
    };
    chunk(b"IHDR", &[0, 0, 0, 2, 0, 0, 0, 1, 8, 3, 0, 0, 0]);
    chunk(b"PLTE", &[10, 20, 30, 40, 50, 60]);
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut zlib, &[0, 1, 0]).unwrap();
    chunk(b"IDAT", &zlib.finish().unwrap());
    chunk(b"IEND", &[]);
    assert_eq!(decode(&png).unwrap().pixels, [40, 10, 50, 20, 60, 30]);
}

/// Every prefix of a file is an error, never a panic and never half a picture.
#[test]
fn cut_files_are_errors() {
    for format in [ImageFormat::Png, ImageFormat::Jpeg] {
        let whole = encode(&noise(), format);
        assert_eq!(decode(&whole).unwrap().size, [3, 30, 40]);
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
    for bytes in [&b""[..], b"hello", b"BM\x01\x00\x01\x00\x00\x00\x00"] {
        let error = decode(bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Format);
        assert!(error.to_string().contains("neither a PNG, a JPEG nor a GIF"), "{error}");
    }
}

/// Light as the eye weighs it; grey stays what it was.
#[test]
fn grey_is_weighed() {
    let rgb = Image::new([3, 1, 2], vec![200, 77, 100, 77, 0, 77]).unwrap();
    assert_eq!(picture::grey(&rgb), Image::new([1, 1, 2], vec![114, 77]).unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// A good file with some bytes overwritten: an image or an error.
    #[test]
    fn mutated_files_never_panic(
        format in prop::sample::select(vec![ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif]),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = encode(&noise(), format);
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(image) = decode(&bytes) {
            prop_assert_eq!(image.size.iter().product::<usize>(), image.pixels.len());
        }
    }
}
