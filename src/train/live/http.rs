//! The part of HTTP/1.1 that the page needs: one request per connection, limited in size and time. Headers of each
//! answer keep other pages from using it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// The largest size of a request line with its headers.
const HEAD: usize = 8 << 10;
/// The most headers in a request.
const HEADERS: usize = 64;
/// The largest body. No request needs one: a body is read and ignored.
const BODY: usize = 4 << 10;
/// Time limit for receiving a request, and for each write.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// How long a client may go on sending after it got its answer.
const LINGER: Duration = Duration::from_millis(500);

/// A status line's number and text.
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

/// A client's request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub method: String,
    /// The path without the query.
    pub path: String,
    pub host: Option<String>,
    pub origin: Option<String>,
}

/// Why no request was read.
#[derive(Debug)]
pub(super) enum NoRequest {
    /// The request is refused, and the client is told so.
    Refused(Status),
    /// The client has disconnected.
    Gone,
}

/// A request's head, and the length of its body.
struct RequestHead {
    request: Request,
    bytes: usize,
    body: usize,
}

/// Reads one request.
///
/// # Errors
/// A request that is not valid HTTP, too large or too slow; a client that disconnected.
pub(super) fn read(stream: &mut TcpStream) -> Result<Request, NoRequest> {
    let deadline = Instant::now() + PATIENCE;
    let mut buffer = Vec::with_capacity(1024);
    let RequestHead { request, bytes, body } = loop {
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

/// Reads the bytes that have arrived, up to `most` in total.
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

/// Parses the head; `None` if it is not complete yet.
fn parse(bytes: &[u8]) -> Result<Option<RequestHead>, Status> {
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
            // Refuse a header that occurs twice (even with equal values) or that is not text. Two programs could read
            // it differently.
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
        // A number with too many digits to parse is too large as well.
        Some(digits) => digits.parse().ok().filter(|&n| n <= BODY).ok_or(Status::BODY)?,
    };
    Ok(Some(RequestHead { request, bytes: end, body }))
}

/// Headers of every answer. The page may load only its own files, and no other page may load them.
const HEADERS_OF_ALL: &str = "Connection: close\r\n\
    Cache-Control: no-store\r\n\
    Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; \
    img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n\
    Cross-Origin-Opener-Policy: same-origin\r\n\
    Cross-Origin-Resource-Policy: same-origin\r\n\
    Referrer-Policy: no-referrer\r\n\
    X-Content-Type-Options: nosniff\r\n\
    X-Frame-Options: DENY\r\n";

/// Answers with a text and ends the connection. `more`: further headers, one per line.
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

/// Answers that the request was carried out, and ends the connection.
pub(super) fn done(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(format!("HTTP/1.1 204 No Content\r\n{HEADERS_OF_ALL}\r\n").as_bytes())?;
    close(stream)
}

/// As [`answer`], with only the status as text.
pub(super) fn refuse(stream: &mut TcpStream, status: Status, more: &str) -> io::Result<()> {
    answer(stream, status, more, "text/plain", &format!("{}\n", status.1))
}

/// Begins a stream of events that ends with the connection.
pub(super) fn begin_events(stream: &mut TcpStream) -> io::Result<()> {
    let head =
        format!("HTTP/1.1 200 OK\r\n{HEADERS_OF_ALL}Content-Type: text/event-stream\r\n\r\nretry: 1000\n\n");
    stream.write_all(head.as_bytes())
}

/// Ends a connection. What the client still sends is read for a short time first: closing at once could lose the
/// answer.
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
