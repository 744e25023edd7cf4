//! Downloading a data set. An interrupted download is continued, and a file is accepted only if its published checksum
//! matches.
//!
//! The bytes come through the system's `curl`, because a TLS library in the program would add 35 s to its build. curl
//! writes header and body to a pipe. Everything else happens here: the request, the `.part` file, the checksum, the
//! rename.
//!
//! ```text
//!   no file --> NAME.gz.part, growing --> sum of the unpacked content is right --> NAME.gz
//!                  cut off: kept, the next fetch requests the rest      wrong: removed
//! ```
//!
//! The checksum is that of the unpacked content, because a mirror may have compressed it differently. A set in archives
//! is published with their MD5s. Archives are unpacked into a temporary folder next to the set's folder, which appears
//! only when it is complete.

use super::archive::{of_cifar, of_pets, unpack};
use super::catalog::{ArchiveSource, IDX_FILES, IdxSource, SetSpec, Source};
use super::idx::GZIP;
use super::lookup::look;
use crate::core::{Error, ErrorKind, Result};
use flate2::bufread::MultiGzDecoder;
use md5::Md5;
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// More bytes than any known file unpacks to. Hashing stops there.
const MAX_UNPACKED: u64 = 256 << 20;

/// Progress that [`fetch`] reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchEvent<'a> {
    /// The file existed already, with the right content.
    Present(&'a Path),
    /// `done` of `total` bytes are on the disk.
    Progress { file: &'a Path, done: u64, total: Option<u64> },
    /// The file has arrived, with the right content.
    Fetched(&'a Path),
}

/// How to fetch.
#[derive(Debug, Clone)]
pub struct FetchOptions {
    /// An address to use instead of the set's own. The files' names are appended to it.
    pub url: Option<String>,
    /// The program to run.
    pub curl: PathBuf,
}

impl Default for FetchOptions {
    fn default() -> FetchOptions {
        FetchOptions { url: None, curl: "curl".into() }
    }
}

/// Downloads what is missing of a set into its folder under `root`, and returns that folder. The sample needs no
/// download.
///
/// # Errors
/// No curl; an address that does not answer or has no such file; a download that was cut off (the part is kept, and the
/// next call continues it); content with another checksum (it is removed); a disk that cannot be written.
pub fn fetch(
    spec: &SetSpec,
    root: &Path,
    options: &FetchOptions,
    report: &mut dyn FnMut(FetchEvent),
) -> Result<PathBuf> {
    match &spec.source {
        Source::Embedded => Ok(root.to_owned()),
        Source::Idx(source) => fetch_idx(source, root, options, report),
        Source::Cifar(source) | Source::Pets(source) => fetch_archives(spec, source, root, options, report),
    }
}

fn fetch_idx(
    source: &IdxSource,
    root: &Path,
    options: &FetchOptions,
    report: &mut dyn FnMut(FetchEvent),
) -> Result<PathBuf> {
    let folder = root.join(source.folders[0]);
    let base = options.url.as_deref().unwrap_or(source.url);
    for (name, sum) in IDX_FILES.into_iter().zip(source.sha256) {
        fetch_file(&folder, &format!("{name}.gz"), base, Checksum::Content(sum), options, report)?;
    }
    Ok(folder)
}

fn fetch_archives(
    spec: &SetSpec,
    source: &ArchiveSource,
    root: &Path,
    options: &FetchOptions,
    report: &mut dyn FnMut(FetchEvent),
) -> Result<PathBuf> {
    let folder = root.join(source.folders[0]);
    if look(&spec.source, &folder).is_ok() {
        report(FetchEvent::Present(&folder));
        return Ok(folder);
    }
    let base = options.url.as_deref().unwrap_or(source.url);
    let work = root.join(format!("{}.part", spec.name));
    for (name, sum) in source.archives {
        fetch_file(&work, name, base, Checksum::Archive(sum), options, report)?;
    }
    let unpacked = work.join("unpacked");
    if unpacked.exists() {
        std::fs::remove_dir_all(&unpacked).map_err(|e| Error::io(&unpacked, "remove", e))?;
    }
    let wanted = if matches!(spec.source, Source::Cifar(_)) { of_cifar } else { of_pets };
    for (name, _) in source.archives {
        unpack(&work.join(name), source.inside, wanted, &unpacked)?;
    }
    look(&spec.source, &unpacked)
        .map_err(|why| Error::format(work.display(), format!("the unpacked archive is incomplete: {why}")))?;
    std::fs::rename(&unpacked, &folder).map_err(|e| {
        Error::io(&folder, "move the download to this place", e)
            .help("an incomplete folder may exist at this place: move it elsewhere")
    })?;
    std::fs::remove_dir_all(&work).map_err(|e| Error::io(&work, "remove", e))?;
    Ok(folder)
}

/// Downloads one file into `folder`, unless it exists.
fn fetch_file(
    folder: &Path,
    name: &str,
    base: &str,
    sum: Checksum,
    options: &FetchOptions,
    report: &mut dyn FnMut(FetchEvent),
) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, "create this folder", e))?;
    let url = format!("{}/{name}", base.trim_end_matches('/'));
    let file = folder.join(name);
    if file.is_file() && sum.is_of(&file) {
        report(FetchEvent::Present(&file));
        return Ok(());
    }
    let part = folder.join(format!("{name}.part"));
    Download { curl: &options.curl, url: &url, part: &part, file: &file }.run(sum, report)?;
    report(FetchEvent::Fetched(&file));
    Ok(())
}

/// The published checksum of a file.
#[derive(Clone, Copy)]
enum Checksum<'a> {
    /// SHA-256 of the unpacked file.
    Content(&'a str),
    /// MD5 of the file as it is.
    Archive(&'a str),
}

impl Checksum<'_> {
    fn published(&self) -> &str {
        match self {
            Checksum::Content(sum) | Checksum::Archive(sum) => sum,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Checksum::Content(_) => "sha256 of the unpacked content:",
            Checksum::Archive(_) => "md5 of the archive:",
        }
    }

    /// The checksum of a file, in hexadecimal.
    fn measure(&self, path: &Path) -> std::io::Result<String> {
        let mut file = BufReader::with_capacity(1 << 16, File::open(path)?);
        match self {
            Checksum::Archive(_) => digest::<Md5>(&mut file),
            Checksum::Content(_) if file.fill_buf()?.starts_with(&GZIP) => {
                digest::<Sha256>(&mut MultiGzDecoder::new(file).take(MAX_UNPACKED))
            }
            Checksum::Content(_) => digest::<Sha256>(&mut file.take(MAX_UNPACKED)),
        }
    }

    fn is_of(&self, path: &Path) -> bool {
        self.measure(path).is_ok_and(|found| found == self.published())
    }
}

/// One download.
struct Download<'a> {
    curl: &'a Path,
    url: &'a str,
    part: &'a Path,
    file: &'a Path,
}

/// The header of an answer.
struct ResponseHead {
    status: u16,
    length: Option<u64>,
}

impl Download<'_> {
    fn run(&self, sum: Checksum, report: &mut dyn FnMut(FetchEvent)) -> Result<()> {
        let have = std::fs::metadata(self.part).map_or(0, |meta| meta.len());
        // An earlier run may have stopped between the last byte and the rename. Then nothing is missing.
        if have == 0 || !sum.is_of(self.part) {
            self.download(have, report)?;
            self.check(sum)?;
        }
        std::fs::rename(self.part, self.file)
            .map_err(|e| Error::io(self.file, "move the download to this place", e))
    }

    /// Appends the missing bytes to `.part`, which has `have` bytes.
    fn download(&self, have: u64, report: &mut dyn FnMut(FetchEvent)) -> Result<()> {
        let mut child = self.start(have)?;
        let mut answer = BufReader::with_capacity(1 << 16, child.stdout.take().expect("stdout is a pipe"));
        let received = self.receive(&mut answer, have, report);
        if received.is_err() {
            // curl may be waiting for a slow server. If it has already ended, killing it does nothing.
            let _ = child.kill();
        }
        drop(answer);
        let mut complaint = String::new();
        let stderr = child.stderr.as_mut().expect("stderr is a pipe");
        stderr.read_to_string(&mut complaint).map_err(|e| Error::io(self.curl, "read from", e))?;
        let complaint = complaint.trim();
        let status = child.wait().map_err(|e| Error::io(self.curl, "wait for", e))?;
        match received? {
            // The server has no more bytes, but ours are not the published file. So ours are removed.
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
                .help("check the connection, or use another mirror: `FetchOptions.url`")),
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
                    "this program is needed for downloads and is not installed",
                )
                .help(format!("install curl (apt install curl), or put {} into {folder}", self.url))
            }
            _ => Error::io(self.curl, "run", e),
        })
    }

    /// Writes the body to `.part`: after its bytes if the server continues from there, else from the start.
    fn receive(
        &self,
        answer: &mut dyn BufRead,
        have: u64,
        report: &mut dyn FnMut(FetchEvent),
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
            report(FetchEvent::Progress { file: self.file, done, total });
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

    fn check(&self, sum: Checksum) -> Result<()> {
        let (what, found) = match sum.measure(self.part) {
            Ok(found) if found == sum.published() => return Ok(()),
            Ok(found) => ("the downloaded file is not the published one".to_owned(), found),
            Err(e) => (format!("the downloaded file is not the published one: {e}"), "none".to_owned()),
        };
        std::fs::remove_file(self.part).map_err(|e| Error::io(self.part, "remove", e))?;
        Err(Error::format(self.url, what)
            .with(sum.name(), found)
            .expected(sum.published())
            .help("the download was deleted; try again, or use another mirror: `FetchOptions.url`"))
    }

    fn refused(&self, status: u16) -> Error {
        let (kind, why) = match status {
            404 | 410 => (ErrorKind::Missing, "the server has no such file"),
            _ => (ErrorKind::Io, "the server refused the request"),
        };
        Error::new(kind, self.url, format!("{why} (HTTP status {status})"))
            .help("use another mirror: `FetchOptions.url`; the file names are appended to it")
    }

    fn cut_off(&self, done: u64, total: Option<u64>, complaint: &str) -> Error {
        let total = total.map_or_else(|| "an unknown number of".to_owned(), |n| n.to_string());
        let what = format!("the download stopped after {done} of {total} bytes");
        let error = Error::new(ErrorKind::Io, self.url, what).with("kept in", self.part.display());
        let error = if complaint.is_empty() {
            error
        } else {
            error.with("curl:", complaint.trim_start_matches("curl: "))
        };
        error.help("run the command again: it continues from there")
    }
}

enum Received {
    /// The number of bytes in `.part`, including those of earlier calls.
    Bytes { done: u64, total: Option<u64> },
    /// The server has no bytes after those in `.part`.
    NotSatisfiable,
    /// No header at all.
    Nothing,
}

/// The header of the final answer. Headers of redirections and interim answers come before it and are skipped.
fn read_head(answer: &mut dyn BufRead) -> std::io::Result<Option<ResponseHead>> {
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
                head = Some(ResponseHead { status: status.unwrap_or(0), length: None });
            }
            Some(ResponseHead { status: 100..=199 | 300..=399, .. }) if text.is_empty() => head = None,
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

fn digest<D: Digest>(content: &mut dyn Read) -> std::io::Result<String> {
    let (mut hash, mut chunk) = (D::new(), vec![0; 1 << 16]);
    loop {
        match content.read(&mut chunk)? {
            0 => break,
            n => hash.update(&chunk[..n]),
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
