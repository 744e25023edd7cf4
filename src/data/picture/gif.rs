//! The first frame of a GIF.

use super::codec::{Header, MOST_PIXELS, Refused};
use super::orientation::Orientation;
use crate::data::Image;
use gif::{ColorOutput, DecodeOptions, Decoder, DecodingError, MemoryLimit};
use std::num::NonZeroU64;

fn damaged(e: DecodingError) -> Refused {
    Refused::Damaged(e.to_string())
}

fn open(bytes: &[u8]) -> Result<Decoder<&[u8]>, Refused> {
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    options.set_memory_limit(MemoryLimit::Bytes(NonZeroU64::new(MOST_PIXELS as u64).expect("it is not 0")));
    options.read_info(bytes).map_err(damaged)
}

pub fn header(bytes: &[u8]) -> Result<Header, Refused> {
    let decoder = open(bytes)?;
    let size = [decoder.height(), decoder.width()].map(usize::from);
    Header::new(size, MOST_PIXELS, Orientation::UPRIGHT)
}

/// Decodes the first frame on a white background. The frame may be smaller than the picture and partly transparent.
pub fn decode(bytes: &[u8], header: Header, image: &mut Image) -> Result<(), Refused> {
    let mut decoder = open(bytes)?;
    let global = decoder.global_palette().map(<[u8]>::to_vec);
    let frame = decoder.read_next_frame().map_err(damaged)?;
    let frame = frame.ok_or_else(|| Refused::Damaged("it contains no frame".to_owned()))?;
    let palette = frame.palette.as_ref().or(global.as_ref());
    let palette = palette.ok_or_else(|| Refused::Damaged("it has no palette".to_owned()))?;
    let [h, w] = header.stored;
    let out = image.reset([3, h, w]);
    out.fill(255);
    let [top, left, width] = [frame.top, frame.left, frame.width].map(usize::from);
    let rows = frame.buffer.chunks_exact(width.max(1)).take(h.saturating_sub(top));
    for (row, indices) in rows.enumerate() {
        for (column, &index) in indices.iter().take(w.saturating_sub(left)).enumerate() {
            if frame.transparent == Some(index) {
                continue;
            }
            let color = palette.chunks_exact(3).nth(usize::from(index)).unwrap_or(&[0, 0, 0]);
            for (channel, &value) in color.iter().enumerate() {
                out[(channel * h + top + row) * w + left + column] = value;
            }
        }
    }
    Ok(())
}
