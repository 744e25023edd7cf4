//! Tests of damaged and malicious IDX files: each gives one clear error, and none gives a panic or fills the memory.

use super::files::{gz, idx, images, labels};
use proptest::prelude::*;
use receptive::data::idx::{Idx, parse, read};
use receptive::data::{Dataset, ImageSet};
use receptive::{ErrorKind, Result};
use std::time::{Duration, Instant};

/// Checks for a `Format` error that starts with the file's name and contains `text`.
#[track_caller]
fn refused<T>(result: Result<T>, file: &str, text: &str) {
    let error = result.err().expect("must be refused");
    let message = error.to_string();
    assert_eq!(error.kind(), ErrorKind::Format, "{message}");
    assert!(message.starts_with(file), "does not name the file: {message}");
    assert!(message.contains(text), "`{text}` is not in: {message}");
}

fn set(images: Vec<u8>, labels: Vec<u8>) -> Result<ImageSet> {
    let names = Some((0..10).map(|class| class.to_string()).collect());
    ImageSet::from_idx("set", parse(&images, "images")?, parse(&labels, "labels")?, names)
}

#[test]
fn missing_and_unreadable_files() {
    let folder = tempfile::tempdir().unwrap();
    let error = read(&folder.path().join("absent")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Missing);
    assert!(error.to_string().contains("absent: there is no such file"), "{error}");
    refused(read(folder.path()), &folder.path().display().to_string(), "not a regular file");
}

#[test]
fn files_are_read_plain_and_gzipped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("images");
    for bytes in [images(3, 2, 5), gz(&images(3, 2, 5))] {
        std::fs::write(&path, bytes).unwrap();
        let Idx { dims, data, .. } = read(&path).unwrap();
        assert_eq!((dims, data.len(), data[29]), (vec![3, 2, 5], 30, 2));
    }
}

#[test]
fn empty_files() {
    refused(parse(&[], "f"), "f", "the file is empty");
    refused(parse(&gz(&[]), "f"), "f", "ends too early");
}

/// A file cut off at any byte is refused: in the header, in the elements, in gzip's trailer.
#[test]
fn truncated_files() {
    for whole in [images(3, 2, 2), gz(&images(3, 2, 2))] {
        for len in 1..whole.len() {
            let error = parse(&whole[..len], "f").expect_err("a cut file is not whole");
            assert_eq!(error.kind(), ErrorKind::Format, "cut at {len}: {error}");
        }
    }
    refused(parse(&images(3, 2, 2)[..20], "f"), "f", "announces 12 bytes, but 4 bytes follow it");
}

#[test]
fn files_that_go_on() {
    let long = [labels(5), vec![0]].concat();
    refused(parse(&long, "f"), "f", "announces 5 bytes, but 6 bytes follow it");
    refused(parse(&gz(&long), "f"), "f", "announces 5 bytes, but more bytes follow it");
    refused(parse(&[gz(&labels(5)), vec![7; 30]].concat(), "f"), "f", "");
}

/// One flipped bit anywhere in the compressed data or the checksum is found.
#[test]
fn bit_flips_in_gzipped_files() {
    let good = gz(&images(20, 4, 4));
    let expected = parse(&good, "f").unwrap();
    for bit in 10 * 8..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        match parse(&bad, "f") {
            Err(error) => assert_eq!(error.kind(), ErrorKind::Format, "bit {bit}: {error}"),
            // Some bits of deflate are padding. Then the data must be unchanged.
            Ok(same) => assert_eq!(same, expected, "bit {bit}"),
        }
    }
}

#[test]
fn wrong_magic_numbers() {
    refused(parse(b"PK\x03\x04 a zip file", "f"), "f", "starts with bytes 50 4b");
    refused(parse(b"<html>404</html>", "f"), "f", "not an IDX file");
    refused(parse(&gz(b"<html>404</html>"), "f"), "f", "not an IDX file");
    refused(parse(&[0, 0, 0x0D, 1, 0, 0, 0, 0], "f"), "f", "element type 0x0d");
    refused(parse(&[0, 0, 8, 0], "f"), "f", "has 0 dimensions");
    refused(parse(&[0, 0, 8, 200, 0, 0], "f"), "f", "has 200 dimensions");
}

/// A header that promises up to 2^96 bytes is compared with the file's size and refused before memory is allocated.
#[test]
fn absurd_headers() {
    let huge = u32::MAX as usize;
    for dims in [vec![huge], vec![huge; 2], vec![huge; 3], vec![60_000, 28, huge], vec![0, huge, huge]] {
        for bytes in [idx(&dims, &[1, 2, 3]), gz(&idx(&dims, &[1, 2, 3]))] {
            let start = Instant::now();
            refused(parse(&bytes, "f"), "f", "the header announces");
            assert!(start.elapsed() < Duration::from_secs(1));
        }
    }
}

/// A megabyte that unpacks to a gigabyte is unpacked only up to the size in the header. If that size is too large for
/// the file, nothing is unpacked.
#[test]
fn gzip_bombs_stay_cheap() {
    let million_zeros = gz(&vec![0; 1 << 20]);
    let gigabyte: Vec<u8> = million_zeros.iter().copied().cycle().take(million_zeros.len() << 10).collect();
    assert!(gigabyte.len() < 2 << 20);
    let start = Instant::now();
    for (dims, text) in [
        (vec![10, 28, 28], "announces 7840 bytes, but more bytes follow it"),
        (vec![1 << 10, 1 << 10, 1 << 10], "announces far more data than the file can contain"),
    ] {
        let bomb = [gz(&idx(&dims, &[])), gigabyte.clone()].concat();
        refused(parse(&bomb, "bomb"), "bomb", text);
    }
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}

#[test]
fn images_and_labels_that_do_not_fit_together() {
    assert_eq!(set(images(5, 2, 2), labels(5)).unwrap().len(), 5);
    refused(set(images(5, 2, 2), labels(4)), "labels", "the file has 4 labels, but there are 5 images");
    refused(set(labels(5), images(5, 2, 2)), "images", "has 1 dimensions");
    refused(set(images(5, 2, 2), images(5, 2, 2)), "labels", "has 3 dimensions");
    refused(set(images(0, 28, 28), labels(0)), "images", "holds no images");
    refused(set(images(5, 0, 28), labels(5)), "images", "holds no images");
}

#[test]
fn labels_out_of_range_name_file_position_and_label() {
    let bad = idx(&[4], &[0, 9, 10, 255]);
    refused(set(images(4, 2, 2), bad), "labels", "label 10 at position 2 is out of range\n  expected 0 to 9");
}

proptest! {
    /// Any bytes give a result or an error, never a panic. The data have exactly the size in the header.
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(idx) = parse(&bytes, "f") {
            prop_assert_eq!(idx.dims.iter().product::<usize>(), idx.data.len());
        }
    }

    /// Bytes that start like an IDX file, so that they pass the first checks.
    #[test]
    fn arbitrary_headers_never_panic(rank in 0u8..9, bytes in prop::collection::vec(0u8..4, 0..60), zip: bool) {
        let file = [vec![0, 0, 8, rank], bytes].concat();
        if let Ok(idx) = parse(&if zip { gz(&file) } else { file }, "f") {
            prop_assert_eq!(idx.dims.iter().product::<usize>(), idx.data.len());
        }
    }

    /// A good file with some bytes overwritten, then cut or extended.
    #[test]
    fn mutated_files_never_panic(
        zip: bool,
        edits in prop::collection::vec((0usize..200, any::<u8>()), 1..6),
        len in 0usize..200,
    ) {
        let good = images(6, 5, 5);
        let mut bytes = if zip { gz(&good) } else { good };
        for (at, byte) in edits {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        bytes.resize(len, 0);
        if let Ok(idx) = parse(&bytes, "f") {
            prop_assert_eq!(idx.dims.iter().product::<usize>(), idx.data.len());
        }
    }
}
