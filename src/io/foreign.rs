//! Recognises other formats than safetensors by their first bytes, and says how to convert them.

/// The number of bytes from the beginning of a file that are checked.
pub(super) const HEAD: usize = 4096;

/// A file's format, and how to convert it.
pub(super) struct Foreign {
    pub what: &'static str,
    pub help: &'static str,
}

const TORCH: &str = "convert it in Python: import torch, safetensors.torch as st; \
    w = torch.load(\"FILE\", map_location=\"cpu\"); w = w.get(\"state_dict\", w); \
    st.save_file({k: v.clone().contiguous() for k, v in w.items()}, \"OUT.safetensors\")";
const SCRIPT: &str = "convert it in Python: import torch, safetensors.torch as st; \
    w = torch.jit.load(\"FILE\", map_location=\"cpu\").state_dict(); \
    st.save_file({k: v.clone().contiguous() for k, v in w.items()}, \"OUT.safetensors\")";
const NPZ: &str = "convert it in Python: import numpy, safetensors.numpy as sn; \
    sn.save_file(dict(numpy.load(\"FILE\")), \"OUT.safetensors\"); the names must be those of the network";
const NPY: &str = "convert it in Python: import numpy, safetensors.numpy as sn; \
    sn.save_file({\"NAME\": numpy.load(\"FILE\")}, \"OUT.safetensors\"), with the tensor's name for NAME";
const KERAS: &str = "read it with Keras, convert its arrays to PyTorch's layout ([out, in, height, width] \
    for a convolution), and save them under the network's names with safetensors.numpy.save_file";
const ONNX: &str = "convert it in Python: import onnx, onnx.numpy_helper as nh, safetensors.numpy as sn; \
    sn.save_file({t.name: nh.to_array(t) for t in onnx.load(\"FILE\").graph.initializer}, \"OUT.safetensors\")";
const OTHER: &str = "export the weights as safetensors from the program that made them";
const UNPACK: &str = "unpack it first, and use the .safetensors file in it";
const AGAIN: &str = "this is not the expected content: download the file again";
const LFS: &str = "fetch the content: git lfs install, then git lfs pull in the repository";
const INDEX: &str = "join the parts in Python: import safetensors.torch as st; \
    st.save_file({k: v for p in PARTS for k, v in st.load_file(p).items()}, \"OUT.safetensors\")";

/// Formats that begin with fixed bytes.
const MAGIC: &[(&[u8], &str, &str)] = &[
    (b"\x93NUMPY", "a NumPy array (.npy)", NPY),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file (.h5), as Keras saves", KERAS),
    (b"GGUF", "a GGUF file", OTHER),
    (b"version https://git-lfs", "a git-LFS pointer, not the file itself", LFS),
    (b"\x1f\x8b", "compressed with gzip", UNPACK),
    (b"BZh", "compressed with bzip2", UNPACK),
    (b"\xfd7zXZ\0", "compressed with xz", UNPACK),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    (b"\x89PNG", "a PNG picture", AGAIN),
    (b"\xff\xd8\xff", "a JPEG picture", AGAIN),
    (b"%PDF", "a PDF document", AGAIN),
];

/// The file's format, if it is known. `head` is the file's beginning: [`HEAD`] bytes or the whole file.
pub(super) fn foreign(head: &[u8]) -> Option<Foreign> {
    // In a safetensors file, byte 8 begins the JSON header. Another format could have the brace there only by chance.
    if head.get(8) == Some(&b'{') && head.get(6..8) == Some(&[0, 0]) {
        return None;
    }
    let known = |what, help| Some(Foreign { what, help });
    if head.is_empty() {
        return known("empty", AGAIN);
    }
    if let Some((_, what, help)) = MAGIC.iter().find(|(magic, ..)| head.starts_with(magic)) {
        return known(what, help);
    }
    let has = |part: &[u8]| head.windows(part.len()).any(|window| window == part);
    match head {
        [b'P', b'K', 3 | 5, 4 | 6, ..] if has(b"constants.pkl") || has(b"/code/") => {
            known("a TorchScript archive of PyTorch", SCRIPT)
        }
        [b'P', b'K', 3 | 5, 4 | 6, ..] if has(b"data.pkl") || has(b"/byteorder") || has(b"/version") => {
            known("a checkpoint of PyTorch (.pt, .pth: a zip with a pickle)", TORCH)
        }
        [b'P', b'K', 3 | 5, 4 | 6, ..] if has(b".npy") => known("arrays of NumPy (.npz)", NPZ),
        [b'P', b'K', 3 | 5, 4 | 6, ..] if has(b"config.json") || has(b"metadata.json") => {
            known("a model of Keras (.keras)", KERAS)
        }
        [b'P', b'K', 3 | 5, 4 | 6, ..] => known("a zip archive", UNPACK),
        [0x80, 1..=5, ..] if has(b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19") => {
            known("a checkpoint of PyTorch (.pt, .pth: an old one, a pickle)", TORCH)
        }
        [0x80, 1..=5, ..] => known("a Python pickle", TORCH),
        [_, _, _, _, b'T', b'F', b'L', b'3', ..] => known("a TensorFlow Lite model", OTHER),
        // The field `ir_version`, then the next field of a protobuf ModelProto.
        [8, 1..=64, 0x12 | 0x1a | 0x22 | 0x28 | 0x32 | 0x3a | 0x42, ..] => known("an ONNX model", ONNX),
        _ if head.get(257..262) == Some(b"ustar") => known("a tar archive", UNPACK),
        _ => text(head),
    }
}

/// The kind of a text file.
fn text(head: &[u8]) -> Option<Foreign> {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let start = head[..head.len().min(15)].to_ascii_lowercase();
    let html: [&[u8]; 5] = [b"<!doctype", b"<html", b"<head", b"<?xml", b"<!--"];
    if html.iter().any(|tag| start.starts_with(tag)) {
        return Some(Foreign { what: "a web page (HTML), not the file itself", help: AGAIN });
    }
    if head.windows(12).any(|window| window == b"\"weight_map\"") {
        return Some(Foreign { what: "the index of a checkpoint in several files", help: INDEX });
    }
    let printable = |byte: &u8| !byte.is_ascii_control() || byte.is_ascii_whitespace();
    match head {
        [] => None,
        _ if !head.iter().all(printable)
            || std::str::from_utf8(&head[..head.len().min(64)]).is_err_and(|e| e.error_len().is_some()) =>
        {
            None
        }
        [b'{' | b'[', ..] => Some(Foreign { what: "JSON, not tensors", help: OTHER }),
        _ => Some(Foreign { what: "plain text, not tensors", help: AGAIN }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_is_named_by_its_bytes() {
        let zip = |entry: &str| [b"PK\x03\x04aaaaaaaaaaaaaaaaaaaaaaaaaa", entry.as_bytes(), b"\0\0"].concat();
        let legacy = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.".to_vec();
        let mut tar = vec![b'a'; 512];
        tar[257..262].copy_from_slice(b"ustar");
        let cases = [
            (vec![], "empty"),
            (zip("archive/data.pkl"), "checkpoint of PyTorch"),
            (zip("net/constants.pkl"), "TorchScript"),
            (zip("fc.weight.npy"), ".npz"),
            (zip("metadata.json"), "Keras"),
            (zip("readme"), "a zip archive"),
            (legacy, "an old one"),
            (b"\x80\x04\x95\x10".to_vec(), "a Python pickle"),
            (b"\x93NUMPY\x01\0v\0{'descr'".to_vec(), ".npy"),
            (b"\x89HDF\r\n\x1a\n\0\0".to_vec(), "HDF5"),
            (b"GGUF\x03\0\0\0".to_vec(), "GGUF"),
            (b"\x08\x08\x12\x07pytorch".to_vec(), "ONNX"),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:0".to_vec(), "git-LFS"),
            (b"\n<!DOCTYPE html><html>".to_vec(), "web page"),
            (b"\xef\xbb\xbf<HTML lang=en>".to_vec(), "web page"),
            (b"\x1f\x8b\x08\0".to_vec(), "gzip"),
            (tar, "tar"),
            (br#"{"metadata": {}, "weight_map": {}}"#.to_vec(), "several files"),
            (br#"{"error": "not found"}"#.to_vec(), "JSON"),
            (b"Not Found".to_vec(), "plain text"),
        ];
        for (head, expected) in cases {
            let found = foreign(&head).map_or("nothing", |found| found.what);
            assert!(found.contains(expected), "{:?}: {found}", String::from_utf8_lossy(&head));
        }
    }

    /// This includes a file that is damaged further on: its own reader reports the damage.
    #[test]
    fn a_safetensors_file_is_not_foreign() {
        // A header of length 0x8 or 0x1208, or of other lengths, begins with another format's bytes.
        for length in [8u64, 0x1208, 0x8b1f, 0x4b50, 0x7b] {
            let head = [&length.to_le_bytes()[..], b"{\"a\":{}}"].concat();
            assert!(foreign(&head).is_none(), "{length}");
        }
    }
}
