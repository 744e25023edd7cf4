//! CIFAR-10's binary folder. (Krizhevsky, "Learning multiple layers of features from tiny images", 2009.)
//!
//! ```text
//! data_batch_1.bin .. data_batch_5.bin, test_batch.bin:  records of  label (1 byte) | 3 planes of 32 x 32 bytes
//! batches.meta.txt:  the class names, one per line
//! ```
//!
//! Records have no header to check. So a file must consist of whole records, every label must be a class, and all files
//! must have the same length. This detects a download that was cut off, even between two records.

use super::ImageSet;
use crate::core::{Error, ErrorKind, Result};
use crate::io::open_regular;
use std::io::{ErrorKind as IoKind, Read};
use std::path::Path;

/// The training files, in order, and the test file.
pub const BATCHES: [&str; 6] = [
    "data_batch_1.bin",
    "data_batch_2.bin",
    "data_batch_3.bin",
    "data_batch_4.bin",
    "data_batch_5.bin",
    "test_batch.bin",
];
/// The file with the class names.
pub const META: &str = "batches.meta.txt";
/// The size of an image.
pub const IMAGE: [usize; 3] = [3, 32, 32];

const PIXELS: usize = 3 * 32 * 32;
const RECORD: usize = 1 + PIXELS;
/// The longest file that is read: about 30 times an official one.
const LONGEST: u64 = 1 << 30;
const REFETCH: &str = "the file is damaged: delete it and download it again (receptive data fetch cifar10)";

/// Reads training and test images, in file order.
///
/// # Errors
/// A file that is missing, unreadable, of another length than the others, or not whole records; a label that is not a
/// class.
pub fn read(name: &str, folder: &Path) -> Result<[ImageSet; 2]> {
    let classes = classes(&folder.join(META))?;
    let mut train = Records::default();
    let mut test = Records::default();
    let mut expected = None;
    for (i, batch) in BATCHES.iter().enumerate() {
        let file = folder.join(batch);
        let n = if i < 5 { &mut train } else { &mut test }.add(&file, classes.len())?;
        if n != *expected.get_or_insert(n) {
            return Err(Error::format(file.display(), format!("holds {n} images"))
                .expected(format!("{} as {}", expected.unwrap_or_default(), BATCHES[0]))
                .help(REFETCH));
        }
    }
    let set = |part: &str, records: Records| {
        ImageSet::new(format!("{name}/{part}"), IMAGE, records.pixels, records.labels, classes.clone())
    };
    Ok([set("train", train)?, set("test", test)?])
}

#[derive(Default)]
struct Records {
    pixels: Vec<u8>,
    labels: Vec<u32>,
}

impl Records {
    /// Adds a file's records and returns their number.
    fn add(&mut self, path: &Path, classes: usize) -> Result<usize> {
        let bytes = contents(path, LONGEST)?;
        if bytes.is_empty() || bytes.len() % RECORD != 0 {
            return Err(Error::format(
                path.display(),
                format!("the file's {} bytes are not a whole number of records", bytes.len()),
            )
            .expected(format!("a multiple of {RECORD} (30,730,000 for the official files)"))
            .help(REFETCH));
        }
        for (i, record) in bytes.chunks_exact(RECORD).enumerate() {
            let label = record[0];
            if usize::from(label) >= classes {
                return Err(Error::format(path.display(), format!("record {i} has label {label}"))
                    .expected(format!("0 to {}, the classes of {META}", classes - 1))
                    .help(REFETCH));
            }
            self.labels.push(label.into());
            self.pixels.extend_from_slice(&record[1..]);
        }
        Ok(bytes.len() / RECORD)
    }
}

fn classes(path: &Path) -> Result<Vec<String>> {
    let bytes = contents(path, 1 << 16)?;
    let text = String::from_utf8(bytes).map_err(|_| Error::format(path.display(), "is not text"))?;
    let classes: Vec<String> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    match classes.len() {
        1..=256 => Ok(classes),
        n => Err(Error::format(path.display(), format!("lists {n} classes"))
            .expected("1 to 256 lines, one class name per line")
            .help(REFETCH)),
    }
}

/// Reads a whole file of at most `longest` bytes.
pub(super) fn contents(path: &Path, longest: u64) -> Result<Vec<u8>> {
    let refused = |e: std::io::Error| match e.kind() {
        IoKind::NotFound => {
            Error::new(ErrorKind::Missing, path.display().to_string(), "there is no such file")
        }
        _ => Error::io(path, "read", e),
    };
    let other = || Error::format(path.display(), "is not a regular file");
    let file = open_regular(path).map_err(refused)?.ok_or_else(other)?;
    let about = file.metadata().map_err(refused)?;
    let mut bytes = Vec::with_capacity(about.len().min(longest) as usize + 1);
    file.take(longest + 1).read_to_end(&mut bytes).map_err(refused)?;
    if bytes.len() as u64 > longest {
        return Err(Error::format(path.display(), "the file is too long")
            .expected(format!("at most {longest} bytes")));
    }
    Ok(bytes)
}
