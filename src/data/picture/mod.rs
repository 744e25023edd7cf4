//! PNG, JPEG and GIF files decoded to bytes for a network, the right way up.
//!
//! | file | what |
//! |---|---|
//! | `jpeg.rs` | JPEG: where the picture ends in its file, whether it is complete, its pixels |
//! | `png.rs` | PNG: its chunks, and its pixels row by row |
//! | `gif.rs` | the first frame of a GIF |
//! | `orientation.rs` | EXIF: how the camera was held |
//!
//! Sizes in a file's header are checked against fixed limits. Bytes after the end of a picture are ignored, because
//! phones append films. The crates `jpeg-decoder`, `png` and `gif` decode the files. They belong to the feature
//! `images`; without it these functions return errors.

#[cfg(feature = "images")]
mod gif;
#[cfg(feature = "images")]
mod jpeg;
#[cfg(feature = "images")]
mod orientation;
#[cfg(feature = "images")]
mod png;

use super::Image;
use crate::core::{Error, Result};
use std::path::Path;

/// Reads a picture as three channels, the right way up. Transparent parts become white. (Of a GIF, the first frame is
/// read.)
///
/// # Errors
/// A file that cannot be read, is of another kind, is cut off or damaged, or exceeds the limits.
pub fn read(path: &Path, image: &mut Image) -> Result<()> {
    codec::read(path, image)
}

/// Reads the mask of a photograph, a PNG of 8-bit grey, as one channel. Its bytes are not changed.
///
/// If a mask has no orientation and its stored size is the photograph's, it gets the photograph's orientation.
///
/// # Errors
/// As [`read`]; a mask that is not 8-bit grey; a mask whose size is not the photograph's.
pub fn read_mask(path: &Path, photograph: &Path, mask: &mut Image) -> Result<()> {
    codec::read_mask(path, photograph, mask)
}

/// `[height, width]` of a picture as [`read`] returns it, from its header alone.
///
/// # Errors
/// As [`read`].
pub fn dimensions(path: &Path) -> Result<[usize; 2]> {
    codec::dimensions(path)
}

/// Converts three channels to one (ITU-R BT.709).
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

    pub fn read_mask(path: &Path, _: &Path, _: &mut Image) -> Result<()> {
        refused(path)
    }

    pub fn dimensions(path: &Path) -> Result<[usize; 2]> {
        refused(path)
    }
}

#[cfg(feature = "images")]
mod codec {
    use super::orientation::Orientation;
    use super::{Error, Image, Path, Result, gif, jpeg, png};
    use crate::io::open_regular;
    use std::cell::Cell;
    use std::io::Read;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Once;

    /// The largest file, in bytes.
    const MOST_BYTES: u64 = 64 << 20;
    /// The longest side, in pixels.
    const MOST_SIDE: usize = 16 * 1024;
    /// The most pixels of a picture. Decoding needs several bytes per pixel: at most about 700 MB in all.
    pub const MOST_PIXELS: usize = 100_000_000;
    /// With this many first bytes, nearly every file shows its size and its orientation.
    const HEAD: u64 = 128 << 10;

    /// Why a picture is refused.
    #[derive(Debug)]
    pub enum Refused {
        TooLarge,
        Damaged(String),
    }

    /// The content of a header.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Header {
        /// `[height, width]` of the pixels as stored in the file.
        pub stored: [usize; 2],
        pub orientation: Orientation,
    }

    impl Header {
        /// Checks the size. `most` is the limit for pixels, [`MOST_PIXELS`] if the picture cannot be decoded at a
        /// smaller size.
        pub fn new(
            stored: [usize; 2],
            most: usize,
            orientation: Orientation,
        ) -> std::result::Result<Header, Refused> {
            let [h, w] = stored;
            match h * w {
                0 => Err(Refused::Damaged("it has no pixels".to_owned())),
                _ if h.max(w) > MOST_SIDE || h * w > most => Err(Refused::TooLarge),
                _ => Ok(Header { stored, orientation }),
            }
        }

        /// `[height, width]` the right way up.
        fn upright(&self) -> [usize; 2] {
            self.orientation.upright(self.stored)
        }
    }

    #[derive(Clone, Copy)]
    enum Format {
        Png,
        Jpeg,
        Gif,
    }

    impl Format {
        fn of(bytes: &[u8], path: &Path) -> Result<Format> {
            if bytes.starts_with(png::SIGNATURE) {
                Ok(Format::Png)
            } else if bytes.starts_with(jpeg::SIGNATURE) {
                Ok(Format::Jpeg)
            } else if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") {
                Ok(Format::Gif)
            } else {
                Err(Error::format(path.display(), "not a PNG, JPEG or GIF picture")
                    .help("convert it with an image program first"))
            }
        }

        fn header(self, bytes: &[u8]) -> std::result::Result<Header, Refused> {
            match self {
                Format::Png => png::header(bytes),
                Format::Jpeg => jpeg::header(bytes),
                Format::Gif => gif::header(bytes),
            }
        }
    }

    pub fn read(path: &Path, image: &mut Image) -> Result<()> {
        let bytes = bytes(path, MOST_BYTES)?;
        let format = Format::of(&bytes, path)?;
        let header = guarded(path, || format.header(&bytes))?;
        guarded(path, || match format {
            Format::Png => png::decode(&bytes, header, image),
            Format::Jpeg => jpeg::decode(&bytes, header, image),
            Format::Gif => gif::decode(&bytes, header, image),
        })?;
        header.orientation.turn(image);
        Ok(())
    }

    pub fn read_mask(path: &Path, photograph: &Path, mask: &mut Image) -> Result<()> {
        let bytes = bytes(path, MOST_BYTES)?;
        let own = match Format::of(&bytes, path)? {
            Format::Png => guarded(path, || png::header(&bytes))?,
            _ => return Err(not_grey(path, "not a PNG file")),
        };
        if let Some(other) = guarded(path, || png::decode_grey(&bytes, own, mask))? {
            return Err(not_grey(path, &other));
        }
        let photo = header(photograph)?;
        let turn = match own.orientation {
            Orientation::UPRIGHT if own.stored == photo.stored => photo.orientation,
            own => own,
        };
        turn.turn(mask);
        if mask.size[1..] == photo.upright() {
            return Ok(());
        }
        let [h, w] = photo.upright();
        Err(Error::format(path.display(), "the mask's size differs from its photograph's")
            .with("mask", format_args!("{} x {}", mask.size[2], mask.size[1]))
            .with("photograph", format_args!("{w} x {h}")))
    }

    fn not_grey(path: &Path, pixels: &str) -> Error {
        Error::format(path.display(), "the mask is not 8-bit grey")
            .with("pixels", pixels)
            .expected("a PNG with one byte per pixel and no palette")
    }

    pub fn dimensions(path: &Path) -> Result<[usize; 2]> {
        header(path).map(|header| header.upright())
    }

    /// Reads the header from the first bytes or, if they do not contain it, from the whole file.
    fn header(path: &Path) -> Result<Header> {
        let head = bytes(path, HEAD)?;
        let format = Format::of(&head, path)?;
        match guarded(path, || format.header(&head)) {
            Err(_) if head.len() as u64 == HEAD => {
                let all = bytes(path, MOST_BYTES)?;
                guarded(path, || format.header(&all))
            }
            header => header,
        }
    }

    /// Reads at most `most` bytes from the beginning of a file.
    fn bytes(path: &Path, most: u64) -> Result<Vec<u8>> {
        let refused = |e| Error::io(path, "read", e);
        let other = || Error::format(path.display(), "not a regular file");
        let file = open_regular(path).map_err(refused)?.ok_or_else(other)?;
        let about = file.metadata().map_err(refused)?;
        if about.len() > MOST_BYTES {
            return Err(Error::format(path.display(), "the picture is too large")
                .with("bytes", about.len())
                .expected(format!("at most {} MiB", MOST_BYTES >> 20))
                .help("make it smaller first"));
        }
        let mut bytes = Vec::with_capacity(about.len().min(most) as usize + 1);
        file.take(most).read_to_end(&mut bytes).map_err(refused)?;
        Ok(bytes)
    }

    thread_local! {
        /// True while this thread decodes. A panic is then caught, so it is not printed.
        static QUIET: Cell<bool> = const { Cell::new(false) };
    }

    /// Wraps the panic hook, once. Panics outside a decoder are reported as before.
    fn quiet_hook() {
        static WRAPPED: Once = Once::new();
        WRAPPED.call_once(|| {
            let report = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                if !QUIET.get() {
                    report(panic);
                }
            }));
        });
    }

    /// Runs a decoder. A damaged file may make it panic. That becomes an error of the file like any other, and prints
    /// nothing.
    fn guarded<T>(path: &Path, decode: impl FnOnce() -> std::result::Result<T, Refused>) -> Result<T> {
        // Unwind safe: anything that a decoder leaves unfinished is dropped with the error.
        quiet_hook();
        let before = QUIET.replace(true);
        let result = catch_unwind(AssertUnwindSafe(decode));
        QUIET.set(before);
        let result = result.unwrap_or_else(|_| Err(Refused::Damaged("the decoder failed".to_owned())));
        result.map_err(|refused| match refused {
            Refused::TooLarge => Error::format(path.display(), "the picture is too large")
                .expected(format!(
                    "at most {MOST_SIDE} pixels on a side, and {} million in total",
                    MOST_PIXELS / 1_000_000
                ))
                .help("make it smaller first"),
            Refused::Damaged(why) => Error::format(path.display(), format!("the picture is damaged: {why}")),
        })
    }
}
