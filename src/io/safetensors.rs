//! safetensors files: eight bytes with the header's length, a JSON header, then the elements.
//!
//! ```text
//! { "fc1.weight": {"dtype": "F32", "shape": [10, 784], "data_offsets": [0, 31360]}, "__metadata__": {...}, ... }
//! ```
//!
//! The `safetensors` crate parses and checks headers. The elements are then read one tensor at a time, never the whole
//! file at once. Writing is done here, so that equal tensors give equal bytes with sorted names. The crate sorts names
//! by type first, and writes metadata in an order that changes from run to run. The elements with the widest types come
//! first, so that each tensor is aligned (as PyTorch's reader needs).

use super::foreign::{HEAD, foreign};
use super::{open_regular, replace};
use crate::core::{DType, Element, Error, ErrorKind, Result, Shape};
use crate::element_type;
use crate::tensor::{Device, Tensor};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;

/// The longest header that is accepted, in bytes: the limit of the `safetensors` crate.
const MAX_HEADER: u64 = 100_000_000;
/// The element types of this crate and of the format. BOOL is read as a U8 mask and never written.
const DTYPES: [(DType, Dtype); 7] = [
    (DType::F32, Dtype::F32),
    (DType::F64, Dtype::F64),
    (DType::BF16, Dtype::BF16),
    (DType::F16, Dtype::F16),
    (DType::I64, Dtype::I64),
    (DType::U8, Dtype::U8),
    (DType::U8, Dtype::BOOL),
];

/// The tensors of a file by name, and its metadata (free-form text).
#[derive(Debug, Default)]
pub struct TensorFile {
    pub tensors: BTreeMap<String, Tensor>,
    pub metadata: BTreeMap<String, String>,
    /// Tensors that were skipped, with their dtypes: see [`read_known`](Self::read_known).
    pub skipped: BTreeMap<String, String>,
}

impl TensorFile {
    /// Tensors without metadata.
    pub fn new(tensors: BTreeMap<String, Tensor>) -> TensorFile {
        TensorFile { tensors, ..TensorFile::default() }
    }

    /// Reads a file onto a device.
    ///
    /// # Errors
    /// Errors of the operating system; content that is not safetensors; a dtype that this crate does not have.
    pub fn read(path: &Path, device: &Device) -> Result<TensorFile> {
        let file = Self::read_known(path, device)?;
        file.refuse_skipped(path).map(|()| file)
    }

    /// As [`read`](Self::read), but skips tensors of a dtype that this crate does not have and lists them in `skipped`.
    /// The caller decides later whether they are needed.
    ///
    /// # Errors
    /// As [`read`](Self::read), except for the dtype.
    pub fn read_known(path: &Path, device: &Device) -> Result<TensorFile> {
        let refused = |e| Error::io(path, "read", e);
        let other = || Error::format(path.display(), "not a regular file");
        let mut file = open_regular(path).map_err(refused)?.ok_or_else(other)?;
        let about = file.metadata().map_err(refused)?;
        Self::parse(&mut file, about.len(), path, device)
    }

    /// Reads `length` bytes of a source. Errors call it `name`.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_from(source: &mut dyn Read, length: u64, name: &Path, device: &Device) -> Result<TensorFile> {
        let file = Self::parse(source, length, name, device)?;
        file.refuse_skipped(name).map(|()| file)
    }

    fn refuse_skipped(&self, name: &Path) -> Result<()> {
        self.skipped.iter().next().map_or(Ok(()), |(key, dtype)| Err(unknown_dtype(name, key, dtype)))
    }

    fn parse(source: &mut dyn Read, length: u64, name: &Path, device: &Device) -> Result<TensorFile> {
        let bad = |what: String| Error::format(name.display(), format!("not a safetensors file: {what}"));
        let refused = |e| Error::io(name, "read", e);
        let mut head = Vec::new();
        source.take(length.min(HEAD as u64)).read_to_end(&mut head).map_err(refused)?;
        if let Some(found) = foreign(&head) {
            return Err(bad(format!("it is {}", found.what)).help(found.help));
        }
        if length < 8 {
            return Err(bad(format!("{length} bytes are too few")));
        }
        let source = &mut head.as_slice().chain(source);
        let mut prefix = [0; 8];
        source.read_exact(&mut prefix).map_err(refused)?;
        let header_length = u64::from_le_bytes(prefix);
        if header_length > MAX_HEADER.min(length - 8) {
            return Err(bad(format!("a header of {header_length} bytes does not fit into {length} bytes")));
        }
        let mut header = vec![0; header_length as usize];
        source.read_exact(&mut header).map_err(refused)?;
        let header: Metadata = serde_json::from_slice(&header).map_err(|e| bad(e.to_string()))?;
        let (filled, size) = (header.data_len() as u64, length - 8 - header_length);
        if filled != size {
            return Err(bad(format!("its tensors have {filled} bytes, but {size} bytes follow the header")));
        }
        let mut file = TensorFile::default();
        for key in header.offset_keys() {
            let info = header.info(&key).expect("one of its keys");
            let Some((dtype, shape)) = understood(info, &key, name)? else {
                let (begin, end) = info.data_offsets;
                let skipped = source.by_ref().take((end - begin) as u64);
                std::io::copy(&mut { skipped }, &mut std::io::sink()).map_err(refused)?;
                file.skipped.insert(key, info.dtype.to_string());
                continue;
            };
            let tensor = element_type!(dtype, T => {
                let mut values = vec![T::from_f64(0.0); shape.numel()];
                source.read_exact(bytemuck::cast_slice_mut(&mut values)).map_err(refused)?;
                Tensor::from_slice(device, &values, shape.dims())?
            });
            file.tensors.insert(key, tensor);
        }
        file.metadata = header.metadata().clone().into_iter().flatten().collect();
        Ok(file)
    }

    /// Writes a file completely or not at all: see [`replace`].
    ///
    /// # Errors
    /// Errors of the operating system; a meta tensor.
    pub fn write(&self, path: &Path) -> Result<()> {
        let refused = |e| Error::io(path, "write", e);
        replace(path, |place| {
            let mut file = BufWriter::new(File::create(place).map_err(refused)?);
            self.write_to(&mut file, path)?;
            file.flush().map_err(refused)
        })
    }

    /// Writes to a sink. Errors call it `name`. Equal tensors give equal bytes.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_to(&self, sink: &mut dyn Write, name: &Path) -> Result<()> {
        let mut order: Vec<_> = self.tensors.iter().collect();
        order.sort_by_key(|(name, tensor)| (std::cmp::Reverse(tensor.dtype().size()), *name));
        let mut offset = 0;
        let mut header = BTreeMap::new();
        for (key, tensor) in &order {
            let end = offset + tensor.meta().bytes();
            let (dtype, shape) = (format_of(tensor.dtype()), tensor.dims().to_vec());
            header.insert(key.as_str(), json!(TensorInfo { dtype, shape, data_offsets: (offset, end) }));
            offset = end;
        }
        if !self.metadata.is_empty() {
            header.insert("__metadata__", json!(self.metadata));
        }
        let mut header = serde_json::to_vec(&header).expect("plain data");
        header.resize(header.len().next_multiple_of(8), b' ');
        let mut put = |bytes: &[u8]| sink.write_all(bytes).map_err(|e| Error::io(name, "write", e));
        put(&(header.len() as u64).to_le_bytes())?;
        put(&header)?;
        order.iter().try_for_each(|(_, tensor)| tensor.read_bytes(&mut put)?)
    }
}

/// The tensor's type and shape in this crate's terms; `None` for a type that this crate does not have.
fn understood(info: &TensorInfo, key: &str, name: &Path) -> Result<Option<(DType, Shape)>> {
    let Some(&(dtype, _)) = DTYPES.iter().find(|d| d.1 == info.dtype) else { return Ok(None) };
    let shape = Shape::new(&info.shape);
    let wrong = |e| Error::format(name.display(), format!("tensor `{key}`: {e}"));
    Ok(Some((dtype, shape.map_err(wrong)?)))
}

/// The error for a tensor that is needed but has a type that this crate does not have.
pub fn unknown_dtype(name: &Path, key: &str, dtype: &str) -> Error {
    let what = format!("tensor `{key}` has dtype {dtype}");
    let help = match dtype.starts_with('F') {
        true => "convert it before saving: tensor.float()",
        false => "convert labels and masks to int64 before saving: tensor.long()",
    };
    Error::new(ErrorKind::DType, name.display().to_string(), what)
        .expected("F32, F64, BF16, F16, I64, U8 or BOOL")
        .help(help)
}

/// The format's name of a type: the first match in the table.
fn format_of(dtype: DType) -> Dtype {
    DTYPES.iter().find(|d| d.0 == dtype).expect("every type is in the table").1
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

    /// Every wrong size in a file is an error that names the file, before anything is allocated.
    #[test]
    fn lies_are_errors() {
        let entry = |dtype: &str, shape: &str, offsets: &str| {
            format!(r#"{{"w":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}}}"#)
        };
        let huge = format!("[{},{}]", 1u64 << 62, 8);
        let cases = [
            (vec![], "it is empty"),
            (vec![1, 0, 0], "too few"),
            (u64::MAX.to_le_bytes().to_vec(), "header of 18446744073709551615 bytes"),
            (bytes("{", 0), "EOF"),
            (bytes("[1]", 0), "invalid type"),
            (bytes(r#"{"w":3}"#, 0), "invalid type"),
            (bytes(&entry("F32", "[2]", "[0,4]"), 4), "invalid shape"),
            (bytes(&entry("F32", "[2]", "[0,8]"), 4), "have 8 bytes, but 4 bytes follow"),
            (bytes(&entry("F32", "[1]", "[8,4]"), 8), "offset for tensor `w`"),
            (bytes(&entry("F32", "[1]", "[4,8]"), 8), "offset for tensor `w`"),
            (bytes(&entry("F32", "[1]", "[0,4]"), 8), "have 4 bytes, but 8 bytes follow"),
            (bytes(&entry("F32", &huge, "[0,4]"), 4), "overflow"),
            (bytes(&entry("F32", "[1,1,1,1,1,1,1]", "[0,4]"), 4), "tensor `w`: "),
            (bytes(&entry("Q4", "[1]", "[0,1]"), 1), "Q4"),
            (bytes(&entry("F32", "[-1]", "[0,4]"), 4), "integer `-1`"),
        ];
        for (file, expected) in cases {
            let error = read(&file).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Format, "{error}");
            let text = error.to_string();
            assert!(text.starts_with("x.safetensors: ") && text.contains(expected), "{text}");
        }
    }

    #[test]
    fn bool_is_read_as_a_mask() {
        let header = r#"{"mask":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}}"#;
        let mut file = bytes(header, 2);
        *file.last_mut().unwrap() = 1;
        assert_eq!(read(&file).unwrap().tensors["mask"].to_vec::<u8>().unwrap(), [0, 1]);
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
