//! The IDX format of MNIST and Fashion-MNIST.
//!
//! ```text
//! 0 0 | element type (8: unsigned byte) | rank | dimensions, u32 big-endian each | elements, row-major
//! ```
//!
//! A file may be gzipped. Its first two bytes tell, not its name. The header is not trusted until the file confirms it:
//! a plain file must have exactly the length that the header promises, and a gzipped one is unpacked to at most one
//! byte more than that. If the promise is far beyond what images compress to, nothing is unpacked.

use crate::core::shape::MAX_RANK;
use crate::core::{Error, ErrorKind, Result};
use crate::io::open_regular;
use flate2::bufread::MultiGzDecoder;
use std::io::{BufRead, BufReader, ErrorKind as IoKind, Read};
use std::path::Path;

/// The contents of an IDX file of unsigned bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idx {
    /// The file's name, for errors found later.
    pub file: String,
    /// `[N]` for labels, `[N, H, W]` for grey images.
    pub dims: Vec<usize>,
    /// The elements, row-major.
    pub data: Vec<u8>,
}

/// Every gzipped file may unpack to this many bytes.
const SMALL: u64 = 64 << 20;
/// Beyond [`SMALL`], a file may unpack to this many times its own length. MNIST's images compress 5 to 1; deflate's
/// limit is 1032 to 1.
const BELIEVABLE: u64 = 100;
/// The first bytes of every gzipped file.
pub(super) const GZIP: [u8; 2] = [0x1f, 0x8b];
const REFETCH: &str =
    "the file is damaged or not an IDX file: delete it and download it again (receptive data fetch NAME)";

/// Reads a file, plain or gzipped.
///
/// # Errors
/// A file that is missing, unreadable, damaged, not IDX, or whose length differs from its header.
pub fn read(path: &Path) -> Result<Idx> {
    let name = path.display().to_string();
    let refused = |e: std::io::Error| match e.kind() {
        IoKind::NotFound => Error::new(ErrorKind::Missing, &*name, "there is no such file"),
        _ => Error::io(path, "open", e),
    };
    let other = || Error::format(&name, "is not a regular file").expected("an IDX file");
    let file = open_regular(path).map_err(refused)?.ok_or_else(other)?;
    let meta = file.metadata().map_err(refused)?;
    decode(&mut BufReader::with_capacity(1 << 16, file), meta.len(), &name)
}

/// Reads the bytes of a file, plain or gzipped. `name` is used in errors.
///
/// # Errors
/// As [`read`].
pub fn parse(bytes: &[u8], name: &str) -> Result<Idx> {
    decode(&mut &bytes[..], bytes.len() as u64, name)
}

fn decode(source: &mut dyn BufRead, len: u64, name: &str) -> Result<Idx> {
    if len == 0 {
        return Err(Error::format(name, "the file is empty").help(REFETCH));
    }
    let start = source.fill_buf().map_err(|e| unreadable(name, e))?;
    let (dims, data) = if start.starts_with(&GZIP) {
        let limit = SMALL.max(len.saturating_mul(BELIEVABLE));
        let mut unpacked = MultiGzDecoder::new(source);
        let (dims, promised) = header(&mut unpacked, name)?;
        if promised > limit {
            return Err(Error::format(name, "the header announces far more data than the file can contain")
                .with("dimensions", format_args!("{dims:?}"))
                .with("compressed", format_args!("{len} bytes"))
                .expected(format!("at most {limit} bytes unpacked"))
                .help(REFETCH));
        }
        (dims, elements(&mut unpacked, promised, len.saturating_mul(8), name)?)
    } else {
        let (dims, promised) = header(source, name)?;
        let held = len.saturating_sub(4 + 4 * dims.len() as u64);
        if promised != held {
            return Err(wrong_length(name, promised, &format!("{held} bytes follow it")));
        }
        (dims, elements(source, promised, promised, name)?)
    };
    Ok(Idx { file: name.to_owned(), dims, data })
}

/// The dimensions, and the number of elements that they promise.
fn header(source: &mut dyn Read, name: &str) -> Result<(Vec<usize>, u64)> {
    let mut word = [0; 4];
    let mut next = || source.read_exact(&mut word).map(|()| word).map_err(|e| unreadable(name, e));
    let [zero, zero2, kind, rank] = next()?;
    if [zero, zero2] != [0, 0] {
        let what = format!("starts with bytes {zero:02x} {zero2:02x}, so it is not an IDX file");
        return Err(Error::format(name, what).expected("00 00 08").help(REFETCH));
    }
    if kind != 0x08 {
        let what = format!("has element type {kind:#04x}");
        return Err(Error::format(name, what).expected("0x08, unsigned bytes").help(REFETCH));
    }
    if rank == 0 || usize::from(rank) > MAX_RANK {
        let what = format!("has {rank} dimensions");
        return Err(Error::format(name, what).expected(format!("1 to {MAX_RANK}")).help(REFETCH));
    }
    let dims = (0..rank).map(|_| Ok(u32::from_be_bytes(next()?) as usize)).collect::<Result<Vec<_>>>()?;
    match dims.iter().try_fold(1u64, |n, &d| n.checked_mul(d as u64)) {
        Some(promised) => Ok((dims, promised)),
        None => Err(Error::format(name, "the header announces more bytes than any file has")
            .with("dimensions", format_args!("{dims:?}"))
            .help(REFETCH)),
    }
}

/// Reads exactly `promised` bytes to the end of `source`. At most `reserve` bytes are allocated in advance; more memory
/// is taken only as data arrives.
fn elements(source: &mut dyn Read, promised: u64, reserve: u64, name: &str) -> Result<Vec<u8>> {
    let mut data = Vec::new();
    let reserve = usize::try_from(promised.min(reserve)).unwrap_or(usize::MAX);
    data.try_reserve_exact(reserve).map_err(|_| {
        Error::format(name, format!("needs {promised} bytes of memory, more than this machine has free"))
    })?;
    // One more byte than promised would show that the file goes on. Reading to the end also checks gzip's checksum.
    source.take(promised.saturating_add(1)).read_to_end(&mut data).map_err(|e| unreadable(name, e))?;
    match data.len() as u64 {
        n if n == promised => Ok(data),
        n if n > promised => Err(wrong_length(name, promised, "more bytes follow it")),
        n => Err(wrong_length(name, promised, &format!("{n} bytes follow it"))),
    }
}

fn wrong_length(name: &str, promised: u64, found: &str) -> Error {
    Error::format(name, format!("the header announces {promised} bytes, but {found}")).help(REFETCH)
}

/// Distinguishes damage in the file from an operating system that cannot read it.
fn unreadable(name: &str, e: std::io::Error) -> Error {
    match e.kind() {
        IoKind::UnexpectedEof => Error::format(name, "the file ends too early").help(REFETCH),
        IoKind::InvalidData | IoKind::InvalidInput => Error::format(name, e.to_string()).help(REFETCH),
        _ => Error::io(Path::new(name), "read", e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_labels_and_images() {
        let labels = parse(&[0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1], "labels").unwrap();
        assert_eq!((labels.dims, labels.data), (vec![3], vec![7, 2, 1]));
        let images = parse(&[0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 9, 255], "images").unwrap();
        assert_eq!((images.dims, images.data), (vec![1, 1, 2], vec![9, 255]));
    }

    /// 2^32 - 1 in three dimensions overflows u64. In two it does not overflow, but no memory may be reserved for it.
    #[test]
    fn absurd_headers_are_refused_before_memory_is_taken() {
        for rank in [1u8, 2, 3, 6] {
            let mut bytes = vec![0, 0, 8, rank];
            bytes.resize(4 + 4 * rank as usize, 0xFF);
            let error = parse(&bytes, "absurd").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Format);
            assert!(error.to_string().starts_with("absurd: the header announces"), "{error}");
        }
    }
}
