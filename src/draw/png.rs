//! PNG, written: 8 bits a sample, grey or RGB (PNG specification, third edition).
//!
//! Every row is filtered by Paeth's predictor (left + above - above left, the nearest of the three): good for photographs,
//! and nothing is left of a row that repeats the one above, as the rows of an enlarged image do.

use crate::data::Image;
use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};
use std::io::Write;

const PAETH: u8 = 4;

/// An image of 1 or 3 channels as a PNG file, every pixel a square of `scale` by `scale`. Of other numbers of channels the
/// first is shown.
pub fn png(image: &Image, scale: usize) -> Vec<u8> {
    let [channels, h, w] = image.size;
    let samples = if channels == 3 { 3 } else { 1 };
    let planes: Vec<&[u8]> = image.planes().take(samples).collect();
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
    let mut above = vec![0; w * scale * samples];
    for y in 0..h * scale {
        let pixels = (0..w * scale).map(|x| y / scale * w + x / scale);
        let row: Vec<u8> = pixels.flat_map(|i| planes.iter().map(move |plane| plane[i])).collect();
        let filtered = (0..row.len()).map(|i| row[i].wrapping_sub(paeth(&row, &above, i, samples)));
        let line: Vec<u8> = [PAETH].into_iter().chain(filtered).collect();
        zlib.write_all(&line).expect("memory takes all");
        above = row;
    }
    let size = [w * scale, h * scale].map(|side| (side as u32).to_be_bytes()).concat();
    let kind = if samples == 3 { 2 } else { 0 };
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    chunk(&mut file, b"IHDR", &[&size[..], &[8, kind, 0, 0, 0]].concat());
    chunk(&mut file, b"IDAT", &zlib.finish().expect("memory takes all"));
    chunk(&mut file, b"IEND", &[]);
    file
}

fn paeth(row: &[u8], above: &[u8], i: usize, samples: usize) -> u8 {
    let left = i.checked_sub(samples);
    let (a, b, c) = (left.map_or(0, |l| row[l]), above[i], left.map_or(0, |l| above[l]));
    let guess = i32::from(a) + i32::from(b) - i32::from(c);
    let off = |v: u8| (guess - i32::from(v)).abs();
    if off(a) <= off(b) && off(a) <= off(c) {
        a
    } else if off(b) <= off(c) {
        b
    } else {
        c
    }
}

fn chunk(file: &mut Vec<u8>, name: &[u8; 4], data: &[u8]) {
    file.extend((data.len() as u32).to_be_bytes());
    let body = [name, data].concat();
    let mut crc = Crc::new();
    crc.update(&body);
    file.extend(body);
    file.extend(crc.sum().to_be_bytes());
}

#[cfg(all(test, feature = "images"))]
mod tests {
    use super::*;

    /// What another program reads is what was written, enlarged.
    #[test]
    fn a_decoder_gets_the_pixels_back() {
        for channels in [1, 3] {
            let pixels: Vec<u8> = (0..channels * 5 * 7).map(|i| (i * i * 37 % 251) as u8).collect();
            let image = Image::new([channels, 5, 7], pixels).unwrap();
            for scale in [1, 3] {
                let decoded = ::image::load_from_memory(&png(&image, scale)).unwrap();
                assert_eq!((decoded.width(), decoded.height()), (7 * scale as u32, 5 * scale as u32));
                let expected = (0..5 * scale).flat_map(|y| {
                    let planes = image.planes();
                    (0..7 * scale)
                        .flat_map(move |x| planes.clone().map(move |plane| plane[y / scale * 7 + x / scale]))
                });
                assert_eq!(decoded.as_bytes(), expected.collect::<Vec<u8>>());
            }
        }
    }
}
