//! Tests of decoding: every kind of pixel, and files with wrong headers.

use image::{
    DynamicImage, GrayAlphaImage, ImageBuffer, ImageFormat, Luma, LumaA, Rgb, RgbImage, Rgba, RgbaImage,
};
use proptest::prelude::*;
use receptive::data::{Image, picture};
use receptive::{ErrorKind, Result};
use std::io::Cursor;
use std::path::{Path, PathBuf};

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
    // A GIF stores its colours in a palette.
    let gif = RgbImage::from_pixel(3, 2, Rgb([255, 0, 255])).into();
    assert_eq!(
        decode(&encode(&gif, ImageFormat::Gif)).unwrap().pixels[..7],
        [255, 255, 255, 255, 255, 255, 0]
    );
}

/// A palette PNG written by hand: 2 x 1 pixels of one byte, with the indices 1 and 0.
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

/// Compares every kind of file that tests/peer/pictures.py writes with the pixels that Pillow reads. The small folder
/// is committed; $RECEPTIVE_PICTURES may name a folder with the whole matrix.
///
/// In grey files and in files whose colours have all samples (`444`), every value is within 3 of Pillow's. The two
/// round the cosine transform differently, by 1 in brightness and by 1 in colour, which counts 1.77 times in blue. In
/// files with subsampled colours, the filters that fill the gaps differ at edges; there the mean difference is within
/// 1.
#[test]
fn pictures_are_as_pillow_reads_them() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/pictures");
    let folder = std::env::var_os("RECEPTIVE_PICTURES").map_or(kept, PathBuf::from);
    let expected = std::fs::read(folder.join("expected.safetensors")).unwrap();
    let expected = safetensors::SafeTensors::deserialize(&expected).unwrap();
    let (mut agreeing, mut wrong, mut off, mut means) = (0, Vec::new(), Vec::new(), Vec::new());
    for (name, tensor) in expected.tensors() {
        let mut image = Image::default();
        if let Err(error) = picture::read(&folder.join(&name), &mut image) {
            wrong.push(format!("{name}: {error}"));
            continue;
        }
        let dimensions = picture::dimensions(&folder.join(&name)).unwrap();
        if image.size != *tensor.shape() || dimensions != image.size[1..] {
            wrong.push(format!("{name}: {:?}, Pillow has {:?}", image.size, tensor.shape()));
            continue;
        }
        let apart: Vec<u8> = image.pixels.iter().zip(tensor.data()).map(|(a, b)| a.abs_diff(*b)).collect();
        let most = apart.iter().copied().max().unwrap_or(0);
        let mean = apart.iter().map(|&d| f64::from(d)).sum::<f64>() / apart.len() as f64;
        let lossless = !name.ends_with(".jpg");
        let subsampled = name.starts_with("sub");
        match (lossless && most == 0) || (!lossless && if subsampled { mean <= 1.0 } else { most <= 3 }) {
            true => agreeing += 1,
            false => wrong.push(format!("{name}: {most} at most, {mean:.3} in the mean")),
        }
        if most > 2 && !subsampled {
            let three = apart.iter().filter(|&&d| d > 2).count();
            off.push(format!("{name}: {most} at {three} of {} values", apart.len()));
        }
        if subsampled {
            means.push((mean, most, name));
        }
    }
    means.sort_by(|a, b| b.0.total_cmp(&a.0));
    println!(
        "{agreeing} files agree; more than 2 off, all samples there: {off:#?}; subsampled, largest means: {:#?}",
        &means[..means.len().min(8)]
    );
    assert!(wrong.is_empty() && agreeing >= 40, "{agreeing} agree\n{}", wrong.join("\n"));
}

/// A file that is cut off is an error, or it lacks only the end and gives the whole picture.
#[test]
fn cut_files_are_errors() {
    for format in [ImageFormat::Png, ImageFormat::Jpeg] {
        let whole = encode(&noise(), format);
        let picture = decode(&whole).unwrap();
        assert_eq!(picture.size, [3, 30, 40]);
        for length in 0..whole.len() {
            match decode(&whole[..length]) {
                Err(_) => {}
                // The checksums and the end chunk of a PNG contain no pixels.
                Ok(cut) => assert!(
                    format == ImageFormat::Png && length + 24 > whole.len() && cut == picture,
                    "{length}"
                ),
            }
        }
    }
}

/// A file whose header promises many more pixels than its data contain is an error.
#[test]
fn a_scan_too_short_for_its_picture_is_cut_off() {
    let small = encode(&noise(), ImageFormat::Jpeg);
    let frame = small.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    for side in [13_000u16, 600] {
        let mut jpeg = small.clone();
        jpeg[frame + 5..frame + 7].copy_from_slice(&side.to_be_bytes());
        jpeg[frame + 7..frame + 9].copy_from_slice(&side.to_be_bytes());
        let error = decode(&jpeg).unwrap_err().to_string();
        assert!(error.contains("cut off"), "{error}");
    }
}

/// A very large picture is decoded at half its size, and `dimensions` returns that size too.
#[test]
fn giant_jpegs_are_made_smaller_on_the_way() {
    let (w, h) = (8200u32, 4200u32);
    let image = RgbImage::from_fn(w, h, |x, _| Rgb(if x < w / 2 { [250, 10, 10] } else { [10, 10, 250] }));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), encode(&image.into(), ImageFormat::Jpeg)).unwrap();
    let mut image = Image::default();
    picture::read(file.path(), &mut image).unwrap();
    assert_eq!(image.size, [3, 2100, 4100]);
    assert_eq!(picture::dimensions(file.path()).unwrap(), [2100, 4100]);
    assert!(image.pixels[5].abs_diff(250) < 3 && image.pixels[4095].abs_diff(10) < 3);
}

/// A photograph's EXIF orientation may turn it. A trimap with the size of the stored photograph is turned with it. A
/// trimap with the size of the turned photograph is not.
#[test]
fn masks_follow_their_photograph() {
    let folder = tempfile::tempdir().unwrap();
    let [photo, mask_file] = ["photo.jpg", "mask.png"].map(|name| folder.path().join(name));
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/pictures");
    let grey = |w, h| image::GrayImage::from_fn(w, h, |x, y| Luma([(10 * y + x) as u8]));
    let read = |orientation: u32, w, h| {
        std::fs::copy(kept.join(format!("444-exif{orientation}l.jpg")), &photo).unwrap();
        grey(w, h).save(&mask_file).unwrap();
        let mut mask = Image::default();
        picture::read_mask(&mask_file, &photo, &mut mask).map(|()| mask)
    };
    // As stored, the photographs are 24 pixels wide and 16 high.
    for orientation in 1..=8 {
        let mask = read(orientation, 24, 16).unwrap();
        let seen = if orientation < 5 { [1, 16, 24] } else { [1, 24, 16] };
        assert_eq!(mask.size, seen, "{orientation}");
        let corner = [0, 23, 150 + 23, 150, 0, 150, 150 + 23, 23][orientation as usize - 1];
        assert_eq!(mask.pixels[0], corner, "{orientation}");
    }
    let upright = read(6, 16, 24).unwrap();
    assert_eq!((upright.size, upright.pixels[1]), ([1, 24, 16], 1));
    assert!(read(1, 16, 24).unwrap_err().to_string().contains("16 x 24"));
}

/// A header can promise any size. The limit is checked before memory is allocated.
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
        assert!(error.to_string().contains("not a PNG, JPEG or GIF"), "{error}");
    }
}

/// A JFIF file contains YCbCr, whatever the names of its components are. libjpeg reads it in the same way.
#[test]
fn jfif_says_more_than_names() {
    let jpeg = encode(&noise(), ImageFormat::Jpeg);
    let mut renamed = jpeg.clone();
    for (marker, first, step) in [(0xc0, 10, 3), (0xda, 5, 2)] {
        let at = jpeg.windows(2).position(|pair| pair == [0xff, marker]).unwrap();
        b"RGB".iter().enumerate().for_each(|(i, &name)| renamed[at + first + step * i] = name);
    }
    assert_eq!(decode(&renamed).unwrap(), decode(&jpeg).unwrap());
}

/// Grey is the weighted sum of the three channels. A grey pixel keeps its value.
#[test]
fn grey_is_weighed() {
    let rgb = Image::new([3, 1, 2], vec![200, 77, 100, 77, 0, 77]).unwrap();
    assert_eq!(picture::grey(&rgb), Image::new([1, 1, 2], vec![114, 77]).unwrap());
}

/// A change that damages a file.
#[derive(Debug, Clone)]
enum Damage {
    Overwrite(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, usize),
    Copy(prop::sample::Index, prop::sample::Index, usize),
    Cut(prop::sample::Index),
}

impl Damage {
    fn any() -> impl Strategy<Value = Damage> {
        let place = any::<prop::sample::Index>;
        prop_oneof![
            6 => (place(), any::<u8>()).prop_map(|(at, byte)| Damage::Overwrite(at, byte)),
            // Bytes of JPEG markers, and the smallest and largest lengths.
            3 => (place(), prop::sample::select(vec![0u8, 1, 0x7f, 0xd0, 0xd8, 0xd9, 0xda, 0xc0, 0xc2, 0xc4, 0xdb, 0xdd, 0xff]))
                .prop_map(|(at, byte)| Damage::Overwrite(at, byte)),
            1 => (place(), prop::collection::vec(any::<u8>(), 1..9)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
            1 => (place(), 1usize..40).prop_map(|(at, n)| Damage::Remove(at, n)),
            1 => (place(), place(), 1usize..80).prop_map(|(from, to, n)| Damage::Copy(from, to, n)),
            1 => place().prop_map(Damage::Cut),
        ]
    }

    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let n = bytes.len();
        match self {
            Damage::Overwrite(at, byte) => bytes[at.index(n)] = *byte,
            Damage::Insert(at, new) => drop(bytes.splice(at.index(n)..at.index(n), new.iter().copied())),
            Damage::Remove(at, more) => drop(bytes.drain(at.index(n)..n.min(at.index(n) + more))),
            Damage::Copy(from, to, more) => {
                let block = bytes[from.index(n)..n.min(from.index(n) + more)].to_vec();
                drop(bytes.splice(to.index(n)..to.index(n), block));
            }
            Damage::Cut(at) => bytes.truncate(at.index(n)),
        }
    }
}

/// Good files of every kind: those in tests/data/pictures.
fn good_files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/pictures");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|kind| kind != "safetensors"));
    files.sort();
    assert!(files.len() > 100, "{}", files.len());
    files
}

/// The number of damaged files to try: `RECEPTIVE_FUZZ`, or 400.
fn damaged_files() -> u32 {
    std::env::var("RECEPTIVE_FUZZ").map_or(400, |text| text.parse().expect("RECEPTIVE_FUZZ is a number"))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(damaged_files()) })]
    /// A damaged file gives an image or an error. The size read from its header alone must be that of the image.
    #[test]
    fn damaged_files_never_panic(
        file in prop::sample::select(good_files()),
        damage in prop::collection::vec(Damage::any(), 1..6),
    ) {
        let mut bytes = std::fs::read(&file).unwrap();
        damage.iter().for_each(|damage| damage.apply(&mut bytes));
        let damaged = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(damaged.path(), &bytes).unwrap();
        let mut image = Image::default();
        if picture::read(damaged.path(), &mut image).is_ok() {
            let [c, h, w] = image.size;
            prop_assert_eq!(c * h * w, image.pixels.len());
            prop_assert_eq!(picture::dimensions(damaged.path()).unwrap(), [h, w]);
        }
        let mut mask = Image::default();
        if picture::read_mask(damaged.path(), &file, &mut mask).is_ok() {
            prop_assert_eq!(mask.size.iter().product::<usize>(), mask.pixels.len());
        }
    }
}
