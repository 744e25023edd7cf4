//! Files to which one line of JSON is added at a time.

use crate::core::{Error, Result};
use serde_json::{Map, Value};
use std::fs;
use std::path::Path;

/// The JSON objects in a file, one per line, each with the length of its line in bytes. A last line without a line end
/// is ignored: it is still being written, or its process was killed.
///
/// # Errors
/// A file that cannot be read; a line that is not a JSON object.
pub fn read_json_lines(file: &Path) -> Result<Vec<(Value, usize)>> {
    let bytes = fs::read(file).map_err(|e| Error::io(file, "read", e))?;
    let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(&[][..], |end| &bytes[..end]);
    if whole.is_empty() {
        return Ok(Vec::new());
    }
    let object = |(i, line): (usize, &[u8])| match serde_json::from_slice::<Map<_, _>>(line) {
        Ok(object) => Ok((Value::Object(object), line.len())),
        Err(e) => Err(Error::format(file.display(), format!("line {} is damaged: {e}", i + 1))
            .help("restore the file, or move it elsewhere to see the rest of the run")),
    };
    whole.split(|&byte| byte == b'\n').enumerate().map(object).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_line_may_be_torn() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("metrics.jsonl");
        let read = |content: &[u8]| {
            fs::write(&file, content).unwrap();
            read_json_lines(&file).map(|lines| lines.len()).map_err(|e| e.to_string())
        };
        for (content, lines) in [("", 0), ("{\"a\"", 0), ("{}\n", 1), ("{}\r\n{}\n{\"a", 2)] {
            assert_eq!(read(content.as_bytes()), Ok(lines), "{content}");
        }
        for content in [&b"{}\n{\"a\n{}\n"[..], b"{}\n\xff\xfe\n", b"{}\n5\n", b"{}\n\n"] {
            let message = read(content).unwrap_err();
            assert!(
                message.contains("metrics.jsonl: line 2 is damaged") && message.contains("help: "),
                "{message}"
            );
        }
    }
}
