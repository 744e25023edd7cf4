//! How the camera was held, according to EXIF, and turning the pixels accordingly. (Pillow: `exif_transpose`.)

use crate::data::Image;
use exif::{In, Reader, Tag};

/// EXIF's number, 1 to 8: how the stored pixels must be turned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Orientation(u32);

impl Orientation {
    /// Stored the right way up.
    pub const UPRIGHT: Orientation = Orientation(1);

    /// Reads the number from an EXIF block: a TIFF header and its directories. A damaged block counts as upright.
    pub fn of_exif(block: &[u8]) -> Orientation {
        let mut reader = Reader::new();
        reader.continue_on_error(true);
        let exif = reader.read_raw(block.to_vec()).or_else(|e| e.distill_partial_result(|_| {}));
        let number =
            exif.ok().and_then(|exif| exif.get_field(Tag::Orientation, In::PRIMARY)?.value.get_uint(0));
        number.filter(|number| (1..=8).contains(number)).map_or(Self::UPRIGHT, Orientation)
    }

    /// `[height, width]` after turning.
    pub fn upright(self, [h, w]: [usize; 2]) -> [usize; 2] {
        if self.0 >= 5 { [w, h] } else { [h, w] }
    }

    /// Turns an image's pixels.
    pub fn turn(self, image: &mut Image) {
        if self == Self::UPRIGHT {
            return;
        }
        let [c, h, w] = image.size;
        let [height, width] = self.upright([h, w]);
        let mut turned = Image::default();
        let out = turned.reset([c, height, width]);
        for (plane, out) in image.planes().zip(out.chunks_exact_mut(h * w)) {
            for (row, out) in out.chunks_exact_mut(width).enumerate() {
                for (column, out) in out.iter_mut().enumerate() {
                    let [from_row, from_column] = self.source([row, column], [h, w]);
                    *out = plane[from_row * w + from_column];
                }
            }
        }
        *image = turned;
    }

    /// The position in the stored picture, of size `[h, w]`, from which the pixel at `[row, column]` comes.
    fn source(self, [row, column]: [usize; 2], [h, w]: [usize; 2]) -> [usize; 2] {
        match self.0 {
            2 => [row, w - 1 - column],
            3 => [h - 1 - row, w - 1 - column],
            4 => [h - 1 - row, column],
            5 => [column, row],
            6 => [h - 1 - column, row],
            7 => [h - 1 - column, w - 1 - row],
            8 => [column, w - 1 - row],
            _ => [row, column],
        }
    }
}
