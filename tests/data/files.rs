//! Writes small IDX files.

use std::io::Write;
use std::path::Path;

/// An IDX file with these dimensions and elements.
pub fn idx(dims: &[usize], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, dims.len() as u8];
    dims.iter().for_each(|&d| bytes.extend((d as u32).to_be_bytes()));
    bytes.extend(data);
    bytes
}

/// `n` images; every pixel of image `i` is `i`.
pub fn images(n: usize, height: usize, width: usize) -> Vec<u8> {
    let data: Vec<u8> = (0..n).flat_map(|i| vec![i as u8; height * width]).collect();
    idx(&[n, height, width], &data)
}

/// `n` labels: 0, 1, ..., 9, 0, 1, ...
pub fn labels(n: usize) -> Vec<u8> {
    idx(&[n], &(0..n).map(|i| i as u8 % 10).collect::<Vec<_>>())
}

/// The bytes in gzip format.
pub fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Writes the four files of a set with `n` training and `n` test images of `side` x `side` pixels. `spell` returns each
/// file's name on disk, and true to gzip it.
pub fn write_set(folder: &Path, n: usize, side: usize, spell: impl Fn(&str) -> (String, bool)) {
    std::fs::create_dir_all(folder).unwrap();
    for (name, bytes) in receptive::data::catalog::IDX_FILES.into_iter().zip([
        images(n, side, side),
        labels(n),
        images(n, side, side),
        labels(n),
    ]) {
        let (name, zip) = spell(name);
        std::fs::write(folder.join(name), if zip { gz(&bytes) } else { bytes }).unwrap();
    }
}
