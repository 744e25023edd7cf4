//! safetensors files: eight bytes with the header's length, a JSON header, then the elements.
//!
//! ```text
//! { "fc1.weight": {"dtype": "F32", "shape": [10, 784], "data_offsets": [0, 31360]}, "__metadata__": {...}, ... }
//! ```
//!
//! The format is small, so reader and writer are here: a reader that names the file and the tensor in every error and
//! checks all sizes before it allocates, and a writer whose bytes depend on the tensors alone. The header lists names
//! in order; the elements lie with the widest types first, so that each tensor is aligned (as PyTorch's reader needs).

use crate::core::{DType, Element, Error, ErrorKind, Result, Shape};
use crate::element_type;
use crate::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;

/// The longest header that is read, in bytes: the limit of the format's own library.
const MAX_HEADER: u64 = 100_000_000;
const METADATA: &str = "__metadata__";

/// The tensors of a file by name, and its free-form text.
#[derive(Debug, Default)]
pub struct TensorFile {
    pub tensors: BTreeMap<String, Tensor>,
    pub metadata: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [u64; 2],
}

impl TensorFile {
    /// Tensors without metadata.
    pub fn new(tensors: BTreeMap<String, Tensor>) -> TensorFile {
        TensorFile { tensors, metadata: BTreeMap::new() }
    }

    /// Reads a file onto a device.
    ///
    /// # Errors
    /// What the operating system refuses; content that is not safetensors; a dtype this crate does not have.
    pub fn read(path: &Path, device: &Device) -> Result<TensorFile> {
        let refused = |e| Error::io(path, "read", e);
        let mut file = File::open(path).map_err(refused)?;
        let about = file.metadata().map_err(refused)?;
        if !about.is_file() {
            return Err(Error::format(path.display(), "not a regular file"));
        }
        Self::read_from(&mut file, about.len(), path, device)
    }

    /// Reads `length` bytes of a source that errors call `name`.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_from(source: &mut dyn Read, length: u64, name: &Path, device: &Device) -> Result<TensorFile> {
        let bad = |what: String| Error::format(name.display(), format!("not a safetensors file: {what}"));
        let refused = |e| Error::io(name, "read", e);
        if length < 8 {
            return Err(bad(format!("{length} bytes are too short")));
        }
        let mut prefix = [0; 8];
        source.read_exact(&mut prefix).map_err(refused)?;
        let header_length = u64::from_le_bytes(prefix);
        if header_length > MAX_HEADER.min(length - 8) {
            return Err(bad(format!("a header of {header_length} bytes in a file of {length}")));
        }
        let mut header = vec![0; header_length as usize];
        source.read_exact(&mut header).map_err(refused)?;
        let mut header: BTreeMap<String, serde_json::Value> =
            serde_json::from_slice(&header).map_err(|e| bad(format!("its header is not JSON ({e})")))?;
        let metadata = match header.remove(METADATA) {
            Some(text) => serde_json::from_value(text).map_err(|e| bad(format!("{METADATA}: {e}")))?,
            None => BTreeMap::new(),
        };
        let mut tensors = BTreeMap::new();
        for (key, dtype, shape) in layout(header, length - 8 - header_length, name)? {
            let tensor = element_type!(dtype, T => {
                let mut values = vec![T::from_f64(0.0); shape.numel()];
                source.read_exact(bytemuck::cast_slice_mut(&mut values)).map_err(refused)?;
                Tensor::from_slice(device, &values, shape.dims())?
            });
            tensors.insert(key, tensor);
        }
        Ok(TensorFile { tensors, metadata })
    }

    /// Writes a file.
    ///
    /// # Errors
    /// What the operating system refuses; a meta tensor.
    pub fn write(&self, path: &Path) -> Result<()> {
        let refused = |e| Error::io(path, "write", e);
        let mut file = BufWriter::new(File::create(path).map_err(refused)?);
        self.write_to(&mut file, path)?;
        file.flush().map_err(refused)
    }

    /// Writes to a sink that errors call `name`. Equal tensors give equal bytes.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_to(&self, sink: &mut dyn Write, name: &Path) -> Result<()> {
        let mut order: Vec<_> = self.tensors.iter().collect();
        order.sort_by_key(|(name, tensor)| (std::cmp::Reverse(tensor.dtype().size()), *name));
        let mut offset = 0;
        let mut header = BTreeMap::new();
        for (key, tensor) in &order {
            let end = offset + tensor.meta().bytes() as u64;
            let shape = tensor.dims().to_vec();
            let entry = Entry { dtype: tag(tensor.dtype()).to_owned(), shape, data_offsets: [offset, end] };
            header.insert(key.as_str(), serde_json::to_value(entry).expect("plain data"));
            offset = end;
        }
        if !self.metadata.is_empty() {
            header.insert(METADATA, serde_json::to_value(&self.metadata).expect("plain data"));
        }
        let mut header = serde_json::to_vec(&header).expect("plain data");
        header.resize(header.len().next_multiple_of(8), b' ');
        let mut put = |bytes: &[u8]| sink.write_all(bytes).map_err(|e| Error::io(name, "write", e));
        put(&(header.len() as u64).to_le_bytes())?;
        put(&header)?;
        order.iter().try_for_each(|(_, tensor)| tensor.read_bytes(&mut put)?)
    }
}

/// The tensors in the order their elements lie, after checking that they fill `size` bytes without gap or overlap.
fn layout(
    header: BTreeMap<String, serde_json::Value>,
    size: u64,
    name: &Path,
) -> Result<Vec<(String, DType, Shape)>> {
    let mut entries = Vec::with_capacity(header.len());
    for (key, value) in header {
        let bad = |what: String| Error::format(name.display(), format!("tensor `{key}`: {what}"));
        let entry: Entry = serde_json::from_value(value).map_err(|e| bad(e.to_string()))?;
        let dtype = dtype(&entry.dtype).ok_or_else(|| {
            let what = format!("tensor `{key}` has dtype {}", entry.dtype);
            Error::new(ErrorKind::DType, name.display().to_string(), what)
                .expected("F32, F64, BF16, F16, I64 or U8")
                .help("convert labels and masks to int64 before saving: tensor.long()")
        })?;
        let shape = Shape::new(&entry.shape).map_err(|e| bad(e.to_string()))?;
        let [start, end] = entry.data_offsets;
        let needed = (shape.numel() * dtype.size()) as u64;
        if end > size || end.checked_sub(start) != Some(needed) {
            return Err(bad(format!("bytes {start}..{end} of {size} do not hold {shape} {}", entry.dtype)));
        }
        entries.push((start, end, key, dtype, shape));
    }
    entries.sort_by_key(|e| (e.0, e.1));
    let mut filled = 0;
    for (start, end, key, ..) in &entries {
        if *start != filled {
            let what =
                format!("tensor `{key}` starts at byte {start}, not where the one before ends ({filled})");
            return Err(Error::format(name.display(), what));
        }
        filled = *end;
    }
    if filled != size {
        let what = format!("the tensors end at byte {filled} of {size}");
        return Err(Error::format(name.display(), what));
    }
    Ok(entries.into_iter().map(|(_, _, key, dtype, shape)| (key, dtype, shape)).collect())
}

/// The format's name of a dtype.
fn tag(dtype: DType) -> &'static str {
    match dtype {
        DType::F32 => "F32",
        DType::F64 => "F64",
        DType::BF16 => "BF16",
        DType::F16 => "F16",
        DType::I64 => "I64",
        DType::U8 => "U8",
    }
}

fn dtype(text: &str) -> Option<DType> {
    let all = [DType::F32, DType::F64, DType::BF16, DType::F16, DType::I64, DType::U8];
    all.into_iter().find(|&dtype| tag(dtype) == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(header: &str, data: usize) -> Vec<u8> {
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header.bytes());
        file.resize(file.len() + data, 0);
        file
    }

    fn read(bytes: &[u8]) -> Result<TensorFile> {
        let cpu = Device::cpu()?;
        TensorFile::read_from(&mut &bytes[..], bytes.len() as u64, Path::new("x.safetensors"), &cpu)
    }

    #[test]
    fn what_is_written_is_read_again_and_equal_tensors_are_equal_bytes() {
        let cpu = Device::cpu().unwrap();
        let mut file = TensorFile::default();
        let mut put = |name: &str, tensor: Tensor| file.tensors.insert(name.to_owned(), tensor);
        put("b.count", Tensor::scalar(&cpu, 7i64));
        put("a.mask", Tensor::from_vec(&cpu, vec![1u8, 0, 1], &[3]).unwrap());
        put("c.weight", Tensor::from_vec(&cpu, vec![0.5f32, -0.0, f32::NAN, 1e-40], &[2, 2]).unwrap());
        put("d.half", Tensor::from_vec(&cpu, vec![half::f16::ONE], &[1]).unwrap());
        put("e.empty", Tensor::zeros(&cpu, &[0, 5], DType::F64).unwrap());
        file.metadata = BTreeMap::from([("version".to_owned(), "1".to_owned())]);
        let mut written = Vec::new();
        file.write_to(&mut written, Path::new("x")).unwrap();
        let again = read(&written).unwrap();
        assert_eq!(again.metadata, file.metadata);
        for (name, tensor) in &file.tensors {
            let copy = &again.tensors[name];
            assert_eq!(copy.meta(), tensor.meta(), "{name}");
            let raw = |t: &Tensor| t.read_bytes(<[u8]>::to_vec).unwrap();
            assert_eq!(raw(copy), raw(tensor), "{name}");
        }
        let mut twice = Vec::new();
        again.write_to(&mut twice, Path::new("x")).unwrap();
        assert_eq!(twice, written);
    }

    /// Every way a file can lie about sizes is an error that names the file, before anything is allocated.
    #[test]
    fn lies_are_errors() {
        let entry = |dtype: &str, shape: &str, offsets: &str| {
            format!(r#"{{"w":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}}}"#)
        };
        let huge = format!("[{},{}]", 1u64 << 62, 8);
        let cases = [
            (vec![], "too short"),
            (u64::MAX.to_le_bytes().to_vec(), "header of 18446744073709551615 bytes"),
            (bytes("{", 0), "not JSON"),
            (bytes("[1]", 0), "not JSON"),
            (bytes(r#"{"w":3}"#, 0), "tensor `w`"),
            (bytes(&entry("F32", "[2]", "[0,4]"), 4), "do not hold [2] F32"),
            (bytes(&entry("F32", "[2]", "[0,8]"), 4), "bytes 0..8 of 4"),
            (bytes(&entry("F32", "[1]", "[8,4]"), 8), "bytes 8..4"),
            (bytes(&entry("F32", "[1]", "[4,8]"), 8), "starts at byte 4"),
            (bytes(&entry("F32", "[1]", "[0,4]"), 8), "end at byte 4 of 8"),
            (bytes(&entry("F32", &huge, "[0,4]"), 4), "too many elements"),
            (bytes(&entry("F32", "[1,1,1,1,1,1,1]", "[0,4]"), 4), "at most 6 dimensions"),
            (bytes(&entry("F32", "[-1]", "[0,4]"), 4), "tensor `w`"),
        ];
        for (file, expected) in cases {
            let error = read(&file).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Format, "{error}");
            let text = error.to_string();
            assert!(text.starts_with("x.safetensors: ") && text.contains(expected), "{text}");
        }
    }

    #[test]
    fn int32_says_what_to_do() {
        let header = r#"{"target":{"dtype":"I32","shape":[1],"data_offsets":[0,4]}}"#;
        let error = read(&bytes(header, 4)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DType);
        assert!(error.to_string().contains("tensor `target` has dtype I32"), "{error}");
        assert!(error.help_text().unwrap().contains("int64"), "{error}");
    }
}
