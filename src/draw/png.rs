//! Images as PNG files: 8 bits per sample, grey or RGB. The `png` crate encodes them.

use crate::core::text::base64;
use crate::data::Image;
use ::png::{AdaptiveFilterType, BitDepth, ColorType, Compression, Encoder, EncodingError, FilterType};

/// An image of 1 or 3 channels as a PNG file. Every pixel becomes a square of `scale` by `scale`. With any other number
/// of channels, the first channel is shown. An image without pixels gives no bytes.
pub fn png(image: &Image, scale: usize) -> Vec<u8> {
    let [channels, h, w] = image.size;
    if channels * h * w * scale == 0 {
        return Vec::new();
    }
    let samples = if channels == 3 { 3 } else { 1 };
    let planes: Vec<&[u8]> = image.planes().take(samples).collect();
    let pixels = (0..h * scale).flat_map(|y| (0..w * scale).map(move |x| y / scale * w + x / scale));
    let bytes: Vec<u8> = pixels.flat_map(|i| planes.iter().map(move |plane| plane[i])).collect();
    let color = if samples == 3 { ColorType::Rgb } else { ColorType::Grayscale };
    encode([w * scale, h * scale], color, &bytes).expect("memory takes all, and the sizes agree")
}

/// The same file as a `data:` URL, which contains the file itself.
pub fn data_url(image: &Image, scale: usize) -> String {
    format!("data:image/png;base64,{}", base64(&png(image, scale)))
}

/// Uses Paeth's filter for all rows. It is good for photographs. A row equal to the one above it, as in enlarged
/// images, becomes all zeros.
fn encode([w, h]: [usize; 2], color: ColorType, bytes: &[u8]) -> Result<Vec<u8>, EncodingError> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, w as u32, h as u32);
    encoder.set_color(color);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::Best);
    encoder.set_filter(FilterType::Paeth);
    encoder.set_adaptive_filter(AdaptiveFilterType::NonAdaptive);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(bytes)?;
    writer.finish()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decoding gives the pixels that were written, enlarged.
    #[test]
    fn a_decoder_gets_the_pixels_back() {
        for channels in [1, 3] {
            let pixels: Vec<u8> = (0..channels * 5 * 7).map(|i| (i * i * 37 % 251) as u8).collect();
            let image = Image::new([channels, 5, 7], pixels).unwrap();
            for scale in [1, 3] {
                let file = png(&image, scale);
                let mut reader = ::png::Decoder::new(&file[..]).read_info().unwrap();
                let mut decoded = vec![0; reader.output_buffer_size()];
                let info = reader.next_frame(&mut decoded).unwrap();
                assert_eq!((info.width, info.height), (7 * scale as u32, 5 * scale as u32));
                let expected = (0..5 * scale).flat_map(|y| {
                    let planes = image.planes();
                    (0..7 * scale)
                        .flat_map(move |x| planes.clone().map(move |plane| plane[y / scale * 7 + x / scale]))
                });
                assert_eq!(decoded, expected.collect::<Vec<u8>>());
            }
        }
        assert!(png(&Image { size: [1, 0, 5], pixels: Vec::new() }, 2).is_empty());
    }
}
