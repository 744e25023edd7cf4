//! Tests of fetching from a local server: good files, cut off and resumed, wrong content, 404, no ranges.

use super::files::{gz, images, labels};
use receptive::data::catalog::{IDX_FILES, IdxSource, SetSpec, Source, Validation};
use receptive::data::fetch::{FetchEvent, FetchOptions, fetch};
use receptive::data::{ImageSize, Normalization};
use receptive::{Error, ErrorKind};
use sha2::{Digest, Sha256};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// How the server misbehaves.
#[derive(Clone, Copy, PartialEq)]
pub enum Manner {
    Good,
    /// For a request without a range, sends half of the file and closes the connection.
    CutsOff,
    /// Ignores the requested range: answers 200 and sends the whole file.
    IgnoresRanges,
    /// Sends wrong content.
    Lies,
    /// Sends a page that is not in gzip format.
    LoginPage,
    NotFound,
    /// Answers every request with these bytes.
    Sends(&'static [u8]),
    /// Redirects to another address first.
    Redirects,
}

pub struct Server {
    url: String,
    /// `NAME range`, in order.
    requests: Arc<Mutex<Vec<String>>>,
}

fn contents() -> [Vec<u8>; 4] {
    // Noise hardly compresses, so half of a gzipped file ends inside its data.
    let key = receptive::Key::new(5);
    let pixels: Vec<u8> = (0..40 * 28 * 28).map(|i| key.bits(i) as u8).collect();
    [super::files::idx(&[40, 28, 28], &pixels), labels(40), images(10, 28, 28), labels(10)]
}

impl Server {
    pub fn start(manner: Manner) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/set", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        // This thread ends when the test program ends.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // In some tests the client closes the connection early.
                let _ = answer(stream.unwrap(), manner, &seen);
            }
        });
        Server { url, requests }
    }

    pub fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }
}

fn answer(mut stream: TcpStream, manner: Manner, seen: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().unwrap()?;
    let path = request.split(' ').nth(1).unwrap().to_owned();
    let mut range = None;
    for line in lines {
        let line = line?.to_ascii_lowercase();
        if let Some(from) = line.strip_prefix("range: bytes=") {
            range = Some(from.trim_end_matches('-').parse::<usize>().unwrap());
        }
        if line.is_empty() {
            break;
        }
    }
    if manner == Manner::Redirects && path.starts_with("/set/") {
        let to = path.replacen("/set/", "/moved/", 1);
        return write!(stream, "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 4\r\n\r\ngone");
    }
    let name = path.rsplit('/').next().unwrap();
    seen.lock().unwrap().push(format!("{name} {range:?}"));
    let known = IDX_FILES.iter().position(|file| name.strip_suffix(".gz") == Some(file));
    let body = match (manner, known) {
        (Manner::Sends(bytes), _) => bytes.to_vec(),
        (Manner::NotFound, _) | (_, None) => {
            return write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nnot found");
        }
        (Manner::Lies, _) => gz(&labels(3)),
        (Manner::LoginPage, _) => b"\x1f\x8bplease log in".to_vec(),
        (_, Some(file)) => gz(&contents()[file]),
    };
    let start = range.filter(|_| manner != Manner::IgnoresRanges).unwrap_or(0);
    if start >= body.len() {
        return write!(stream, "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\n\r\n");
    }
    let status = if start > 0 { "206 Partial Content" } else { "200 OK" };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len() - start)?;
    let end = if manner == Manner::CutsOff && range.is_none() { body.len() / 2 } else { body.len() };
    stream.write_all(&body[start..end])
}

/// A set with the checksums of [`contents`].
fn set() -> SetSpec {
    let sum = |bytes: &Vec<u8>| -> &'static str {
        let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        hex.leak()
    };
    SetSpec {
        name: "small",
        about: "",
        source: Source::Idx(IdxSource {
            folders: &["small"],
            package: None,
            url: "http://127.0.0.1:1/never-asked",
            sha256: contents().each_ref().map(sum),
        }),
        size: ImageSize::Fixed([1, 28, 28]),
        flip: false,
        classes: &[],
        mean: &[0.0],
        std: &[1.0],
        normalization: Normalization::Unit,
        augment: receptive::data::Augment::None,
        validation: Validation::Test,
    }
}

/// Fetches the set; also returns which files were reported as fetched or present.
fn fetch_from(server: &Server, root: &Path) -> (Result<PathBuf, Error>, Vec<String>) {
    fetch_set(&set(), server, root)
}

pub fn fetch_set(set: &SetSpec, server: &Server, root: &Path) -> (Result<PathBuf, Error>, Vec<String>) {
    let options = FetchOptions { url: Some(server.url.clone()), ..FetchOptions::default() };
    let mut events = Vec::new();
    let name = |file: &Path| file.file_name().unwrap().to_str().unwrap().to_owned();
    let result = fetch(set, root, &options, &mut |event| match event {
        FetchEvent::Present(file) => events.push(format!("present {}", name(file))),
        FetchEvent::Fetched(file) => events.push(format!("fetched {}", name(file))),
        FetchEvent::Progress { done, total, .. } => assert!(total.is_none_or(|total| done <= total)),
    });
    (result, events)
}

#[track_caller]
fn assert_complete(root: &Path) {
    for (name, content) in IDX_FILES.iter().zip(contents()) {
        assert_eq!(std::fs::read(root.join(format!("small/{name}.gz"))).unwrap(), gz(&content), "{name}");
        assert!(!root.join(format!("small/{name}.gz.part")).exists(), "{name}.gz.part is left");
    }
}

/// On a machine without curl, prints a note and returns true. There [`fetch`] can only fail; its message is tested
/// below.
pub fn no_curl() -> bool {
    let missing = std::process::Command::new("curl").arg("--version").output().is_err();
    if missing {
        eprintln!("skipped: curl is not installed");
    }
    missing
}

const FIRST: &str = "train-images-idx3-ubyte.gz";

#[test]
fn a_good_download_is_complete_and_not_repeated() {
    if no_curl() {
        return;
    }
    for manner in [Manner::Good, Manner::Redirects] {
        let (server, root) = (Server::start(manner), tempfile::tempdir().unwrap());
        let (result, events) = fetch_from(&server, root.path());
        assert_eq!(result.unwrap(), root.path().join("small"));
        assert_eq!((events.len(), &*events[0]), (4, &*format!("fetched {FIRST}")));
        assert_complete(root.path());
        server.requests();
        let (result, events) = fetch_from(&server, root.path());
        result.unwrap();
        assert_eq!(events[0], format!("present {FIRST}"));
        assert_eq!(server.requests(), [""; 0], "what is here is not asked for again");
    }
}

/// If a download is cut off in the middle, the first half is kept and the next call requests only the second half.
#[test]
fn a_cut_off_download_is_resumed() {
    if no_curl() {
        return;
    }
    let (bad, good) = (Server::start(Manner::CutsOff), Server::start(Manner::Good));
    let root = tempfile::tempdir().unwrap();
    let error = fetch_from(&bad, root.path()).0.unwrap_err();
    let whole = gz(&contents()[0]).len();
    let text = error.to_string();
    assert!(text.contains(&format!("stopped after {} of {whole} bytes", whole / 2)), "{text}");
    assert!(text.contains("continues from there"), "{text}");
    fetch_from(&good, root.path()).0.unwrap();
    assert_eq!(good.requests()[0], format!("{FIRST} Some({})", whole / 2));
    assert_complete(root.path());
}

#[test]
fn a_server_that_ignores_ranges_sends_all_again() {
    if no_curl() {
        return;
    }
    let (bad, stubborn) = (Server::start(Manner::CutsOff), Server::start(Manner::IgnoresRanges));
    let root = tempfile::tempdir().unwrap();
    fetch_from(&bad, root.path()).0.unwrap_err();
    fetch_from(&stubborn, root.path()).0.unwrap();
    assert_complete(root.path());
}

/// If the last call stopped just before the rename, the part is complete and nothing is requested. If the part is
/// longer than the file, the server answers 416 and the file is fetched again.
#[test]
fn a_whole_part_is_taken_and_a_useless_one_is_replaced() {
    if no_curl() {
        return;
    }
    let (server, root) = (Server::start(Manner::Good), tempfile::tempdir().unwrap());
    let part = root.path().join(format!("small/{FIRST}.part"));
    std::fs::create_dir(root.path().join("small")).unwrap();
    std::fs::write(&part, gz(&contents()[0])).unwrap();
    fetch_from(&server, root.path()).0.unwrap();
    assert!(server.requests().iter().all(|request| !request.starts_with(FIRST)));
    std::fs::remove_file(root.path().join("small").join(FIRST)).unwrap();
    std::fs::write(&part, vec![0x1f; 100_000]).unwrap();
    fetch_from(&server, root.path()).0.unwrap();
    assert_eq!(server.requests(), [format!("{FIRST} Some(100000)"), format!("{FIRST} None")]);
    assert_complete(root.path());
}

#[test]
fn wrong_content_is_removed_and_both_sums_are_named() {
    if no_curl() {
        return;
    }
    for (manner, text) in [(Manner::Lies, "sha256 of the unpacked content: "), (Manner::LoginPage, "none")] {
        let (server, root) = (Server::start(manner), tempfile::tempdir().unwrap());
        let error = fetch_from(&server, root.path()).0.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Format);
        let Source::Idx(source) = set().source else { unreachable!("it has four files") };
        for part in [text, source.sha256[0], &server.url, "deleted"] {
            assert!(error.to_string().contains(part), "`{part}` is not in: {error}");
        }
        let left = std::fs::read_dir(root.path().join("small")).unwrap().count();
        assert_eq!(left, 0, "neither the file nor its part may stay");
    }
}

#[test]
fn an_address_without_the_file() {
    if no_curl() {
        return;
    }
    let (server, root) = (Server::start(Manner::NotFound), tempfile::tempdir().unwrap());
    let error = fetch_from(&server, root.path()).0.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Missing);
    assert!(error.to_string().contains("the server has no such file (HTTP status 404)"), "{error}");
    assert!(error.to_string().contains(FIRST) && error.to_string().contains("FetchOptions.url"), "{error}");
    assert_eq!(std::fs::read_dir(root.path().join("small")).unwrap().count(), 0);
}

#[test]
fn an_address_that_does_not_answer() {
    if no_curl() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    // This port was free a moment ago, so no server listens on it.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let options = FetchOptions { url: Some(format!("http://127.0.0.1:{port}")), ..FetchOptions::default() };
    let error = fetch(&set(), root.path(), &options, &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("the server does not answer") && error.contains("curl: (7)"), "{error}");
}

#[test]
fn a_machine_without_curl_and_a_folder_that_cannot_be() {
    let root = tempfile::tempdir().unwrap();
    let options = FetchOptions { curl: root.path().join("no-curl"), ..FetchOptions::default() };
    let error = fetch(&set(), root.path(), &options, &mut |_| {}).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Missing);
    assert!(error.to_string().contains("apt install curl"), "{error}");

    let file = root.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = fetch(&set(), &file, &options, &mut |_| {}).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("cannot create this folder"), "{error}");
}
