//! HTTP/1.1 as far as the page needs it: one request a connection, bounded in size and time, and answers with the headers that
//! keep the page to itself.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// The longest request line with its headers.
const HEAD: usize = 8 << 10;
/// Headers in a request, at most.
const HEADERS: usize = 64;
/// The longest body. None is needed: what comes is read and forgotten.
const BODY: usize = 4 << 10;
/// How long a request may take to arrive, and a write to be taken.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// How long a client may go on sending after its answer.
const LINGER: Duration = Duration::from_millis(500);

/// A status line's number and words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Status(pub u16, pub &'static str);

impl Status {
    pub const OK: Status = Status(200, "OK");
    pub const MOVED: Status = Status(308, "Permanent Redirect");
    pub const BAD_REQUEST: Status = Status(400, "Bad Request");
    pub const FORBIDDEN: Status = Status(403, "Forbidden");
    pub const NOT_FOUND: Status = Status(404, "Not Found");
    pub const METHOD: Status = Status(405, "Method Not Allowed");
    pub const TIMEOUT: Status = Status(408, "Request Timeout");
    pub const LENGTH: Status = Status(411, "Length Required");
    pub const BODY: Status = Status(413, "Content Too Large");
    pub const HEAD: Status = Status(431, "Request Header Fields Too Large");
    pub const BUSY: Status = Status(503, "Service Unavailable");
}

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub method: String,
    /// Without a query.
    pub path: String,
    pub host: Option<String>,
    pub origin: Option<String>,
}

/// Why there is no request.
#[derive(Debug)]
pub(super) enum NoRequest {
    /// The client is told so.
    Refused(Status),
    /// It is gone.
    Gone,
}

/// A request's head, and how long its body is.
struct Head {
    request: Request,
    bytes: usize,
    body: usize,
}

/// Reads one request.
///
/// # Errors
/// A request that is none, too large or too slow; a client that left.
pub(super) fn read(stream: &mut TcpStream) -> Result<Request, NoRequest> {
    let deadline = Instant::now() + PATIENCE;
    let mut buffer = Vec::with_capacity(1024);
    let Head { request, bytes, body } = loop {
        if let Some(head) = parse(&buffer).map_err(NoRequest::Refused)? {
            break head;
        }
        if buffer.len() >= HEAD {
            return Err(NoRequest::Refused(Status::HEAD));
        }
        receive(stream, &mut buffer, HEAD, deadline)?;
    };
    while buffer.len() < bytes + body {
        receive(stream, &mut buffer, bytes + body, deadline)?;
    }
    Ok(request)
}

/// Reads what has come, until there are `most` bytes.
fn receive(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    most: usize,
    deadline: Instant,
) -> Result<(), NoRequest> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(NoRequest::Refused(Status::TIMEOUT));
    }
    let mut part = [0; 1024];
    let room = (most - buffer.len()).min(part.len());
    let got = stream.set_read_timeout(Some(left)).and_then(|()| stream.read(&mut part[..room]));
    match got {
        Ok(0) => Err(NoRequest::Gone),
        Ok(n) => {
            buffer.extend_from_slice(&part[..n]);
            Ok(())
        }
        Err(e) if e.kind() == ErrorKind::Interrupted => Ok(()),
        Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Err(NoRequest::Refused(Status::TIMEOUT))
        }
        Err(_) => Err(NoRequest::Gone),
    }
}

/// The head in these bytes; `None` where its end is still to come.
fn parse(bytes: &[u8]) -> Result<Option<Head>, Status> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let end = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(end)) => end,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Status::HEAD),
        Err(_) => return Err(Status::BAD_REQUEST),
    };
    let (method, target) = parsed.method.zip(parsed.path).ok_or(Status::BAD_REQUEST)?;
    let header = |name: &str| {
        let mut same = parsed.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
        let value = same.next().map(|header| std::str::from_utf8(header.value).map(str::to_owned));
        match (value.transpose(), same.next()) {
            // Two, even alike, or one that is no text: a way of being taken for another.
            (Err(_), _) | (_, Some(_)) => Err(Status::BAD_REQUEST),
            (Ok(value), None) => Ok(value),
        }
    };
    let path = target.split('?').next().unwrap_or_default().to_owned();
    let request =
        Request { method: method.to_owned(), path, host: header("host")?, origin: header("origin")? };
    if header("transfer-encoding")?.is_some() {
        return Err(Status::LENGTH);
    }
    let body = match header("content-length")? {
        None => 0,
        Some(digits) if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) => {
            return Err(Status::BAD_REQUEST);
        }
        // More digits than a number holds are too many as well.
        Some(digits) => digits.parse().ok().filter(|&n| n <= BODY).ok_or(Status::BODY)?,
    };
    Ok(Some(Head { request, bytes: end, body }))
}

/// On every answer. A page may load what is its own, and nothing else may load it.
const HEADERS_OF_ALL: &str = "Connection: close\r\n\
    Cache-Control: no-store\r\n\
    Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; \
    img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n\
    Cross-Origin-Opener-Policy: same-origin\r\n\
    Cross-Origin-Resource-Policy: same-origin\r\n\
    Referrer-Policy: no-referrer\r\n\
    X-Content-Type-Options: nosniff\r\n\
    X-Frame-Options: DENY\r\n";

/// Answers with a text, and ends the connection. `more`: headers, a line each.
pub(super) fn answer(
    stream: &mut TcpStream,
    status: Status,
    more: &str,
    kind: &str,
    text: &str,
) -> io::Result<()> {
    let Status(number, words) = status;
    let length = text.len();
    let head = format!(
        "HTTP/1.1 {number} {words}\r\n{HEADERS_OF_ALL}{more}Content-Type: {kind}; charset=utf-8\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(&[head.as_bytes(), text.as_bytes()].concat())?;
    close(stream)
}

/// Answers that what was asked for is done, and ends the connection.
pub(super) fn done(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(format!("HTTP/1.1 204 No Content\r\n{HEADERS_OF_ALL}\r\n").as_bytes())?;
    close(stream)
}

/// As [`answer`], with the status alone.
pub(super) fn refuse(stream: &mut TcpStream, status: Status, more: &str) -> io::Result<()> {
    answer(stream, status, more, "text/plain", &format!("{}\n", status.1))
}

/// Begins a stream of events that ends with the connection.
pub(super) fn begin_events(stream: &mut TcpStream) -> io::Result<()> {
    let head =
        format!("HTTP/1.1 200 OK\r\n{HEADERS_OF_ALL}Content-Type: text/event-stream\r\n\r\nretry: 1000\n\n");
    stream.write_all(head.as_bytes())
}

/// Ends a connection. What the client still sends is taken for a moment: closed before, the answer would be lost with it.
pub(super) fn close(stream: &mut TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    let deadline = Instant::now() + LINGER;
    let mut rest = [0; 4096];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        stream.set_read_timeout(Some(left))?;
        if stream.read(&mut rest)? == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(request: &str) -> u16 {
        match parse(request.as_bytes()) {
            Err(Status(number, _)) => number,
            Ok(Some(_)) => 200,
            Ok(None) => 100,
        }
    }

    #[test]
    fn heads_are_read_and_bounded() {
        let head = parse(b"POST /a/b?c HTTP/1.1\r\nhost: h\r\nOrigin: o\r\nContent-Length: 12\r\n\r\nbody")
            .unwrap()
            .unwrap();
        let [method, path] = ["POST", "/a/b"].map(str::to_owned);
        let request = Request { method, path, host: Some("h".into()), origin: Some("o".into()) };
        assert_eq!((head.request, head.bytes, head.body), (request, 64, 12));
        let with = |header: &str| status(&format!("GET / HTTP/1.1\r\n{header}\r\n\r\n"));
        assert_eq!([with("Content-Length: 4096"), with("Content-Length: 4097")], [200, 413]);
        assert_eq!(with("Content-Length: 99999999999999999999999"), 413);
        for bad in [
            "Content-Length: -1",
            "Content-Length: 1, 1",
            "Content-Length:",
            "Host: a\r\nHost: b",
            "Host: \u{e4}\0",
        ] {
            assert_eq!(with(bad), 400, "{bad}");
        }
        assert_eq!(with("Transfer-Encoding: chunked"), 411);
        assert_eq!(with(&"a: b\r\n".repeat(HEADERS + 1)), 431);
        for bad in ["\0\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/3.0\r\n\r\n", "G\u{fc}T / HTTP/1.1\r\n\r\n"] {
            assert_eq!(status(bad), 400, "{bad}");
        }
        assert_eq!([status(""), status("GET / HTTP/1.1\r\nHost: a"), status("GE")], [100; 3]);
    }
}
