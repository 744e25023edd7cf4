//! JPEG files. This file walks the segments itself. So it finds the end of the picture even if other bytes follow, and
//! it detects a file that lacks data. The crate `jpeg-decoder` decodes.
//!
//! ```text
//! FFD8 | FFxx length data | ... | FFDA length data, entropy-coded bytes | FFxx length data | ... | FFD9 | anything
//! start    segments: tables, frame (size), EXIF       a scan                                          end
//! ```
//!
//! In entropy-coded bytes, FF is followed by 00 or by a restart marker, D0 to D7.

use super::codec::{Header, MOST_PIXELS, Refused};
use super::orientation::Orientation;
use crate::data::Image;
use jpeg_decoder::{ColorTransform, Decoder, PixelFormat};

/// The first bytes of every JPEG.
pub const SIGNATURE: &[u8] = &[0xff, 0xd8, 0xff];

/// Pictures with more pixels than this are decoded at a half, a quarter or an eighth of their size.
const LARGE: usize = 1 << 25;
/// The most memory for the coefficients, in bytes. A progressive picture keeps all of them until the last scan. For
/// other pictures they may pile up while they wait to be transformed.
const MOST_COEFFICIENTS: usize = 512 << 20;

/// The result of a walk over the segments.
#[derive(Default)]
struct JpegSegments {
    frame: Option<Frame>,
    orientation: Option<Orientation>,
    /// The number of bytes in the first scan's entropy-coded data.
    first_scan: Option<usize>,
    jfif: bool,
    /// The colour transform that Adobe's segment names.
    adobe: Option<u8>,
    /// The position after the end marker.
    end: Option<usize>,
}

struct Frame {
    progressive: bool,
    size: [usize; 2],
    /// The components' names.
    ids: Vec<u8>,
    /// The number of blocks of 8 x 8 samples in all components.
    blocks: usize,
    /// The number of blocks in the first component.
    blocks_of_first: usize,
}

impl Frame {
    fn of(marker: u8, data: &[u8]) -> Option<Frame> {
        let [_, h1, h0, w1, w0, components, rest @ ..] = data else { return None };
        let size = [[h1, h0], [w1, w0]].map(|[high, low]| usize::from(u16::from_be_bytes([*high, *low])));
        let factors: Vec<[usize; 2]> = rest
            .chunks_exact(3)
            .take(usize::from(*components))
            .map(|component| [component[1] & 15, component[1] >> 4].map(usize::from))
            .collect();
        let most = |axis: usize| factors.iter().map(|factor| factor[axis]).max().unwrap_or(0).max(1);
        let most = [most(0), most(1)];
        let blocks = |factor: &[usize; 2]| -> usize {
            [0, 1].map(|axis| (size[axis] * factor[axis]).div_ceil(8 * most[axis])).iter().product()
        };
        Some(Frame {
            progressive: marker == 0xc2,
            size,
            ids: rest.chunks_exact(3).take(usize::from(*components)).map(|component| component[0]).collect(),
            blocks: factors.iter().map(blocks).sum(),
            blocks_of_first: factors.first().map_or(0, blocks),
        })
    }

    /// The size at which it is decoded.
    fn decoded(&self) -> [usize; 2] {
        let halved = |n: u32| self.size.map(|side| side.div_ceil(1 << n));
        (0..3).map(halved).find(|[h, w]| h * w <= LARGE).unwrap_or_else(|| halved(3))
    }
}

fn walk(bytes: &[u8]) -> JpegSegments {
    let mut layout = JpegSegments::default();
    let mut at = 2;
    while let Some(found) = bytes.get(at..).and_then(|rest| rest.iter().position(|&byte| byte == 0xff)) {
        // Any number of FF may come before a marker. Some writers also leave other bytes there.
        at += found;
        let Some(skip) = bytes[at..].iter().position(|&byte| byte != 0xff) else { break };
        let marker = bytes[at + skip];
        at += skip + 1;
        match marker {
            0x00 | 0x01 | 0xd0..=0xd8 => continue,
            0xd9 => {
                layout.end = Some(at);
                break;
            }
            _ => {}
        }
        let Some(&[high, low]) = bytes.get(at..at + 2) else { break };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let Some(data) = bytes.get(at + 2..at + length.max(2)) else { break };
        at += length.max(2);
        match marker {
            // Frames are C0 to CF, except the tables C4 and CC and the extension C8.
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                layout.frame = layout.frame.or_else(|| Frame::of(marker, data));
            }
            0xe0 if data.starts_with(b"JFIF\0") => layout.jfif = true,
            0xee if data.starts_with(b"Adobe") => layout.adobe = data.get(11).copied().or(layout.adobe),
            0xe1 if data.starts_with(b"Exif\0\0") => {
                layout.orientation.get_or_insert_with(|| Orientation::of_exif(&data[6..]));
            }
            0xda => {
                let scan = scan_length(&bytes[at..]);
                layout.first_scan.get_or_insert(scan);
                at += scan;
            }
            _ => {}
        }
    }
    layout
}

/// The number of bytes up to the next marker that is not a restart.
fn scan_length(bytes: &[u8]) -> usize {
    let marker = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0x00 | 0xd0..=0xd7 | 0xff);
    bytes.windows(2).position(marker).unwrap_or(bytes.len())
}

/// The meaning of the components, by libjpeg's rules. The decoder's own rules look at the names first, which may be
/// wrong.
fn colors(frame: &Frame, layout: &JpegSegments) -> Option<ColorTransform> {
    match (&frame.ids[..], layout.adobe) {
        ([_, _, _], _) if layout.jfif => Some(ColorTransform::YCbCr),
        ([_, _, _], Some(0)) => Some(ColorTransform::RGB),
        ([_, _, _], None) if frame.ids == *b"RGB" => Some(ColorTransform::RGB),
        ([_, _, _], _) => Some(ColorTransform::YCbCr),
        ([_, _, _, _], None | Some(0)) => Some(ColorTransform::CMYK),
        ([_, _, _, _], Some(_)) => Some(ColorTransform::YCCK),
        _ => None,
    }
}

pub fn header(bytes: &[u8]) -> Result<Header, Refused> {
    let layout = walk(bytes);
    let frame = layout.frame.ok_or_else(|| Refused::Damaged("the file is cut off".to_owned()))?;
    // Check the whole picture first, because its sides are limited too.
    Header::new(frame.size, usize::MAX, Orientation::UPRIGHT)?;
    Header::new(frame.decoded(), MOST_PIXELS, layout.orientation.unwrap_or(Orientation::UPRIGHT))
}

pub fn decode(bytes: &[u8], header: Header, image: &mut Image) -> Result<(), Refused> {
    let cut_off = || Refused::Damaged("the file is cut off".to_owned());
    let layout = walk(bytes);
    let (Some(end), Some(scan), Some(frame)) = (layout.end, layout.first_scan, &layout.frame) else {
        return Err(cut_off());
    };
    // The decoder shows missing parts of a scan as grey. But a block takes at least two bits, for its mean and its end.
    // In a progressive picture it takes at least one, because the first scan contains only the means.
    let least = if frame.progressive { frame.blocks_of_first } else { 2 * frame.blocks_of_first };
    if 8 * scan < least {
        return Err(cut_off());
    }
    if 128 * frame.blocks > MOST_COEFFICIENTS {
        return Err(Refused::TooLarge);
    }
    let damaged = |e: jpeg_decoder::Error| Refused::Damaged(e.to_string());
    let mut decoder = Decoder::new(&bytes[..end]);
    if let Some(colors) = colors(frame, &layout) {
        decoder.set_color_transform(colors);
    }
    let [h, w] = header.stored;
    if header.stored != frame.size {
        decoder.scale(w as u16, h as u16).map_err(damaged)?;
    }
    let pixels = decoder.decode().map_err(damaged)?;
    let info = decoder.info().ok_or_else(cut_off)?;
    if [info.height, info.width].map(usize::from) != header.stored {
        return Err(Refused::Damaged("its headers contradict each other".to_owned()));
    }
    let samples = info.pixel_format.pixel_bytes();
    let out = image.reset([3, h, w]);
    for (channel, out) in out.chunks_exact_mut(h * w).enumerate() {
        for (out, pixel) in out.iter_mut().zip(pixels.chunks_exact(samples)) {
            *out = match info.pixel_format {
                PixelFormat::L8 => pixel[0],
                PixelFormat::L16 => pixel[1],
                PixelFormat::RGB24 => pixel[channel],
                PixelFormat::CMYK32 => printed(pixel[channel], pixel[3]),
            };
        }
    }
    Ok(())
}

/// The light that remains where this much of an ink and of black is printed: `(255 - black) * (1 - ink / 255)`, rounded
/// as in Pillow.
fn printed(ink: u8, black: u8) -> u8 {
    let paper = 255 - u32::from(black);
    let taken = u32::from(ink) * paper + 128;
    (paper - ((taken >> 8) + taken).wrapping_shr(8).min(paper)) as u8
}
