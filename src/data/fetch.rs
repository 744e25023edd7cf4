//! Downloading a data set: resumed where it was cut off, believed only when its SHA-256 is right.
//!
//! The bytes come through the system's `curl`: a TLS stack of the program's own would add 35 s to its build. curl writes
//! header and body to a pipe; everything else happens here: what to ask for, the `.part` file, the sum, the rename.
//!
//! ```text
//!   no file --> NAME.gz.part, growing --> sum of the unpacked content is right --> NAME.gz
//!                  cut off: kept, the next fetch asks for the rest      wrong: removed
//! ```
//!
//! The sum is that of the unpacked content, so a mirror may have compressed it in its own way.

use super::catalog::{IDX_FILES, SetSpec, Source};
use super::idx::GZIP;
use crate::core::{Error, ErrorKind, Result};
use flate2::bufread::MultiGzDecoder;
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// More than any known file unpacks to; a stream that goes on is not worth hashing.
const MAX_UNPACKED: u64 = 256 << 20;

/// What [`fetch`] reports on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// The file was there, with the right content.
    Present(&'a Path),
    /// `done` of `total` bytes are on the disk.
    Progress { file: &'a Path, done: u64, total: Option<u64> },
    /// The file has arrived, with the right content.
    Fetched(&'a Path),
}

/// How to fetch.
#[derive(Debug, Clone)]
pub struct FetchOptions {
    /// The address the files' names are appended to, instead of the set's own.
    pub url: Option<String>,
    /// The program to run.
    pub curl: PathBuf,
}

impl Default for FetchOptions {
    fn default() -> FetchOptions {
        FetchOptions { url: None, curl: "curl".into() }
    }
}

/// Fetches what is missing of a set into its folder under `root`; returns that folder. The sample has nothing to fetch.
///
/// # Errors
/// No curl; an address that does not answer or has no such file; a download that was cut off (what came is kept, and the
/// next call goes on from there); content with another sum (removed); a disk that refuses.
pub fn fetch(
    spec: &SetSpec,
    root: &Path,
    options: &FetchOptions,
    report: &mut dyn FnMut(Event),
) -> Result<PathBuf> {
    let Source::Idx(source) = &spec.source else {
        return Ok(root.to_owned());
    };
    let folder = root.join(source.folders[0]);
    std::fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, "create this folder", e))?;
    let base = options.url.as_deref().unwrap_or(source.url);
    for (name, sum) in IDX_FILES.into_iter().zip(source.sha256) {
        let url = format!("{}/{name}.gz", base.trim_end_matches('/'));
        let file = folder.join(format!("{name}.gz"));
        if file.is_file() && unpacked_sum(&file).is_ok_and(|found| found == sum) {
            report(Event::Present(&file));
            continue;
        }
        let part = folder.join(format!("{name}.gz.part"));
        Download { curl: &options.curl, url: &url, part: &part, file: &file }.run(sum, report)?;
        report(Event::Fetched(&file));
    }
    Ok(folder)
}

/// One file on its way.
struct Download<'a> {
    curl: &'a Path,
    url: &'a str,
    part: &'a Path,
    file: &'a Path,
}

/// The last header of an answer.
struct Head {
    status: u16,
    length: Option<u64>,
}

impl Download<'_> {
    fn run(&self, sum: &str, report: &mut dyn FnMut(Event)) -> Result<()> {
        let have = std::fs::metadata(self.part).map_or(0, |meta| meta.len());
        // Stopped between the last byte and the rename: nothing is left to ask for.
        if have == 0 || !unpacked_sum(self.part).is_ok_and(|found| found == sum) {
            self.download(have, report)?;
            self.check(sum)?;
        }
        std::fs::rename(self.part, self.file).map_err(|e| Error::io(self.file, "rename to", e))
    }

    /// Appends what is missing to `.part`, which holds `have` bytes.
    fn download(&self, have: u64, report: &mut dyn FnMut(Event)) -> Result<()> {
        let mut child = self.start(have)?;
        let mut answer = BufReader::with_capacity(1 << 16, child.stdout.take().expect("stdout is a pipe"));
        let received = self.receive(&mut answer, have, report);
        if received.is_err() {
            // It may be waiting for a slow server. Where it has ended by itself there is nothing to kill.
            let _ = child.kill();
        }
        drop(answer);
        let mut complaint = String::new();
        let stderr = child.stderr.as_mut().expect("stderr is a pipe");
        stderr.read_to_string(&mut complaint).map_err(|e| Error::io(self.curl, "read from", e))?;
        let complaint = complaint.trim();
        let status = child.wait().map_err(|e| Error::io(self.curl, "wait for", e))?;
        match received? {
            // The server has no bytes after ours, which are not the file: they are of no use.
            Received::NotSatisfiable => {
                std::fs::remove_file(self.part).map_err(|e| Error::io(self.part, "remove", e))?;
                self.download(0, report)
            }
            Received::Bytes { done, total } if !status.success() || total.is_some_and(|n| done < n) => {
                Err(self.cut_off(done, total, complaint))
            }
            Received::Bytes { .. } => Ok(()),
            Received::Nothing => Err(Error::new(ErrorKind::Io, self.url, "the server does not answer")
                .with("curl:", complaint.trim_start_matches("curl: "))
                .help("check the connection, or name another mirror with --url")),
        }
    }

    fn start(&self, have: u64) -> Result<Child> {
        let mut curl = Command::new(self.curl);
        curl.args(["--disable", "--silent", "--show-error", "--location", "--include"]);
        curl.args(["--suppress-connect-headers", "--proto", "=http,https"]);
        curl.args(["--connect-timeout", "30", "--speed-limit", "1", "--speed-time", "60"]);
        if have > 0 {
            curl.args(["--range", &format!("{have}-")]);
        }
        curl.args(["--url", self.url]);
        curl.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        curl.spawn().map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => {
                let program = self.curl.display().to_string();
                let folder = self.file.parent().unwrap_or(Path::new("")).display();
                Error::new(
                    ErrorKind::Missing,
                    program,
                    "downloads need this program, and it is not installed",
                )
                .help(format!("install curl (apt install curl), or put {} into {folder}", self.url))
            }
            _ => Error::io(self.curl, "run", e),
        })
    }

    /// Writes the body to `.part`, after the bytes it has where the server goes on from them, else from the start.
    fn receive(
        &self,
        answer: &mut dyn BufRead,
        have: u64,
        report: &mut dyn FnMut(Event),
    ) -> Result<Received> {
        let read_error = |e| Error::io(self.curl, "read from", e);
        let Some(head) = read_head(answer).map_err(read_error)? else {
            return Ok(Received::Nothing);
        };
        let start = match head.status {
            200 => 0,
            206 => have,
            416 if have > 0 => return Ok(Received::NotSatisfiable),
            status => return Err(self.refused(status)),
        };
        let write_error = |e| Error::io(self.part, "write", e);
        let mut part = OpenOptions::new().create(true).append(true).open(self.part).map_err(write_error)?;
        part.set_len(start).map_err(write_error)?;
        let (mut done, total) = (start, head.length.map(|length| start + length));
        loop {
            report(Event::Progress { file: self.file, done, total });
            let chunk = answer.fill_buf().map_err(read_error)?;
            if chunk.is_empty() {
                part.sync_all().map_err(write_error)?;
                return Ok(Received::Bytes { done, total });
            }
            part.write_all(chunk).map_err(write_error)?;
            let n = chunk.len();
            done += n as u64;
            answer.consume(n);
        }
    }

    fn check(&self, sum: &str) -> Result<()> {
        let (what, found) = match unpacked_sum(self.part) {
            Ok(found) if found == sum => return Ok(()),
            Ok(found) => ("this is not the published file".to_owned(), found),
            Err(e) => (format!("this is not the published file: {e}"), "none".to_owned()),
        };
        std::fs::remove_file(self.part).map_err(|e| Error::io(self.part, "remove", e))?;
        Err(Error::format(self.url, what)
            .with("sha256 of the unpacked content:", found)
            .expected(sum)
            .help("what came was removed; try again, or name another mirror with --url"))
    }

    fn refused(&self, status: u16) -> Error {
        let (kind, why) = match status {
            404 | 410 => (ErrorKind::Missing, "the server has no such file"),
            _ => (ErrorKind::Io, "the server refuses"),
        };
        Error::new(kind, self.url, format!("{why} (HTTP status {status})"))
            .help("name another mirror with --url BASE; the files' names are appended to it")
    }

    fn cut_off(&self, done: u64, total: Option<u64>, complaint: &str) -> Error {
        let total = total.map_or_else(|| "an unknown number of".to_owned(), |n| n.to_string());
        let what = format!("the download was cut off after {done} of {total} bytes");
        let error = Error::new(ErrorKind::Io, self.url, what).with("kept in", self.part.display());
        let error = if complaint.is_empty() {
            error
        } else {
            error.with("curl:", complaint.trim_start_matches("curl: "))
        };
        error.help("run the command again: it goes on from there")
    }
}

enum Received {
    /// The body's bytes, those of an earlier call included.
    Bytes { done: u64, total: Option<u64> },
    /// Nothing follows the bytes that are here.
    NotSatisfiable,
    /// No header at all.
    Nothing,
}

/// The header of the final answer; those of redirections and interim answers come before it.
fn read_head(answer: &mut dyn BufRead) -> std::io::Result<Option<Head>> {
    let mut head = None;
    let mut line = Vec::new();
    loop {
        line.clear();
        if answer.read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        match &mut head {
            None => {
                let status = text.split(' ').nth(1).and_then(|word| word.parse().ok());
                head = Some(Head { status: status.unwrap_or(0), length: None });
            }
            Some(Head { status: 100..=199 | 300..=399, .. }) if text.is_empty() => head = None,
            Some(_) if text.is_empty() => return Ok(head),
            Some(head) => {
                if let Some((name, value)) = text.split_once(':')
                    && name.eq_ignore_ascii_case("content-length")
                {
                    head.length = value.trim().parse().ok();
                }
            }
        }
    }
}

/// The SHA-256, in hexadecimal, of a file's content: unpacked if it is gzipped.
fn unpacked_sum(path: &Path) -> std::io::Result<String> {
    let mut file = BufReader::with_capacity(1 << 16, File::open(path)?);
    let zipped = file.fill_buf()?.starts_with(&GZIP);
    let content: &mut dyn Read = if zipped { &mut MultiGzDecoder::new(file) } else { &mut file };
    let mut content = content.take(MAX_UNPACKED);
    let (mut hash, mut chunk) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match content.read(&mut chunk)? {
            0 => break,
            n => hash.update(&chunk[..n]),
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
