//! PNG files. This file walks the chunks itself, so that bytes after the last chunk and a missing end chunk do no harm.
//! The crate `png` decodes, row by row.
//!
//! ```text
//! 89 "PNG" 0D0A1A0A | length kind data crc | ... | 0 "IEND" crc | anything
//! ```

use super::codec::{Header, MOST_PIXELS, Refused};
use super::orientation::Orientation;
use crate::data::Image;
use flate2::Crc;
use png::{BitDepth, ColorType, Decoder, DecodingError, Reader, Transformations};
use std::borrow::Cow;

/// The first bytes of every PNG.
pub const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

fn damaged(e: DecodingError) -> Refused {
    Refused::Damaged(e.to_string())
}

/// A chunk's kind and data. If the file is cut off, the data is shorter than the chunk's length says.
struct PngChunk<'a> {
    kind: &'a [u8],
    data: &'a [u8],
    whole: bool,
    /// Where it begins.
    start: usize,
}

fn chunks(bytes: &[u8]) -> impl Iterator<Item = PngChunk<'_>> {
    let mut at = SIGNATURE.len();
    std::iter::from_fn(move || {
        let start = at;
        let length: [u8; 4] = bytes.get(start..start + 4)?.try_into().ok()?;
        let length = u32::from_be_bytes(length) as usize;
        let kind = bytes.get(start + 4..start + 8)?;
        let rest = &bytes[start + 8..];
        let whole = rest.len() >= length.saturating_add(4);
        at = start.saturating_add(length).saturating_add(12);
        Some(PngChunk { kind, data: &rest[..rest.len().min(length)], whole, start })
    })
}

/// The picture's chunks followed by an end chunk, even if the file has none. If a chunk of pixels was cut off, its rest
/// is kept, because it may still contain all pixels.
fn with_end(bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut end = bytes.len();
    let mut cut = None;
    for chunk in chunks(bytes) {
        if chunk.whole && chunk.kind == b"IEND" {
            return Cow::Borrowed(&bytes[..chunk.start + 12]);
        }
        end = chunk.start + 12 + chunk.data.len();
        if !chunk.whole {
            end = chunk.start;
            cut = (chunk.kind == b"IDAT").then_some(chunk.data);
        }
    }
    let mut mended = bytes[..end.min(bytes.len())].to_vec();
    for (kind, data) in cut.map(|data| (b"IDAT", data)).into_iter().chain([(b"IEND", &[][..])]) {
        let mut crc = Crc::new();
        crc.update(kind);
        crc.update(data);
        mended.extend((data.len() as u32).to_be_bytes());
        mended.extend(kind);
        mended.extend(data);
        mended.extend(crc.sum().to_be_bytes());
    }
    Cow::Owned(mended)
}

pub fn header(bytes: &[u8]) -> Result<Header, Refused> {
    let mut decoder = Decoder::new(bytes);
    let info = decoder.read_header_info().map_err(damaged)?;
    let size = [info.height, info.width].map(|side| side as usize);
    let exif = chunks(bytes).find(|chunk| chunk.kind == b"eXIf" && chunk.whole);
    let orientation = exif.map_or(Orientation::UPRIGHT, |chunk| Orientation::of_exif(chunk.data));
    Header::new(size, MOST_PIXELS, orientation)
}

fn open(bytes: &[u8]) -> Result<Reader<&[u8]>, Refused> {
    let mut decoder = Decoder::new(bytes);
    decoder.set_ignore_text_chunk(true);
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    decoder.read_info().map_err(damaged)
}

/// Decodes to three channels. Transparent parts become white.
pub fn decode(bytes: &[u8], header: Header, image: &mut Image) -> Result<(), Refused> {
    let bytes = with_end(bytes);
    let mut reader = open(&bytes)?;
    let [h, w] = header.stored;
    let plane = h * w;
    let color = reader.output_color_type().0;
    let out = image.reset([3, h, w]);
    rows(&mut reader, |place, pixel| {
        let samples = match (color, pixel) {
            (ColorType::Grayscale, &[v]) => [v; 3],
            (ColorType::GrayscaleAlpha, &[v, alpha]) => [on_white(v, alpha); 3],
            (ColorType::Rgb, &[r, g, b]) => [r, g, b],
            (ColorType::Rgba, &[r, g, b, alpha]) => [r, g, b].map(|v| on_white(v, alpha)),
            _ => unreachable!("expanded pixels have one of these forms"),
        };
        samples.into_iter().enumerate().for_each(|(channel, v)| out[channel * plane + place] = v);
    })
}

/// Decodes one channel of bytes without changes. If the pixels are of another kind, returns a description of them.
pub fn decode_grey(bytes: &[u8], header: Header, image: &mut Image) -> Result<Option<String>, Refused> {
    let bytes = with_end(bytes);
    let mut reader = open(&bytes)?;
    let info = reader.info();
    let plain = (info.color_type, info.bit_depth) == (ColorType::Grayscale, BitDepth::Eight);
    if !plain || info.trns.is_some() {
        return Ok(Some(format!("{:?}, {} bits", info.color_type, info.bit_depth as u8)));
    }
    let [h, w] = header.stored;
    let out = image.reset([1, h, w]);
    rows(&mut reader, |place, pixel| out[place] = pixel[0])?;
    Ok(None)
}

/// Calls `put` for every pixel with its position, row by row; in an interlaced picture pass by pass.
fn rows(reader: &mut Reader<&[u8]>, mut put: impl FnMut(usize, &[u8])) -> Result<(), Refused> {
    let info = reader.info();
    let size = [info.height, info.width].map(|side| side as usize);
    let passes = if info.interlaced { &ADAM7[..] } else { &[[0, 1, 0, 1]] };
    let samples = reader.output_color_type().0.samples();
    for &[row, rows_apart, column, columns_apart] in passes {
        if column >= size[1] {
            continue;
        }
        for row in (row..size[0]).step_by(rows_apart) {
            let line = reader.next_interlaced_row().map_err(damaged)?;
            let line = line.ok_or_else(|| Refused::Damaged("rows are missing".to_owned()))?;
            let places = (column..size[1]).step_by(columns_apart).map(|column| row * size[1] + column);
            places.zip(line.data().chunks_exact(samples)).for_each(|(place, pixel)| put(place, pixel));
        }
    }
    Ok(())
}

/// Per pass: first row, distance between rows, first column, distance between columns. (PNG specification, 8.2.)
const ADAM7: [[usize; 4]; 7] =
    [[0, 8, 0, 8], [0, 8, 4, 8], [4, 8, 0, 4], [0, 4, 2, 4], [2, 4, 0, 2], [0, 2, 1, 2], [1, 2, 0, 1]];

fn on_white(v: u8, alpha: u8) -> u8 {
    let [v, alpha] = [v, alpha].map(u32::from);
    ((v * alpha + 255 * (255 - alpha) + 127) / 255) as u8
}
