//! The server: checks access, and answers requests.

use super::broadcast::{Hub, MOST_CLIENTS, Sent};
use super::events::RunEnd;
use super::http::{self, NoRequest, PATIENCE, Request, Status};
use super::token::Token;
use super::{LiveCallback, page};
use crate::core::{Error, ErrorKind, Result};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The most connections at once: clients that follow the run, and some more for single requests.
const MOST_CONNECTIONS: usize = MOST_CLIENTS + 64;
/// Open files that are reserved for the run: its data, metrics and checkpoints, and a GPU's driver.
const RESERVED_FILES: u64 = 64;
/// Stack size of a connection's thread, which needs little.
const STACK: usize = 256 << 10;
/// Time between two checks for news: four updates per second look live.
const NEWS_EVERY: Duration = Duration::from_millis(250);
/// When nothing is new, a comment is sent after this time. It also detects clients that have disconnected.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);
/// How long the server waits for clients at the end.
const FAREWELL: Duration = Duration::from_secs(1);

/// Serves the live page of one run, until the server is dropped.
pub struct Server {
    site: Arc<Site>,
    thread: Option<JoinHandle<()>>,
}

/// State that the listener and all connections share.
struct Site {
    hub: Arc<Hub>,
    token: Token,
    port: u16,
    closing: AtomicBool,
    connections: AtomicUsize,
}

/// How a request is answered.
enum Route {
    File(page::File),
    /// The last slash of the page's address is missing: redirect.
    AddSlash,
    Events,
    /// The request of one of the page's buttons.
    Ask(fn(&Hub)),
    /// The status, and the method that is allowed here.
    Refuse(Status, Option<&'static str>),
}

impl Server {
    /// Listens on a port of 127.0.0.1; 0 chooses a free one. The page can set `stop`; `say` prints on the terminal what
    /// was requested on the page.
    ///
    /// # Errors
    /// A port that is in use, or reserved by the system; no random numbers.
    pub fn start(port: u16, stop: Arc<AtomicBool>, say: fn(&str)) -> Result<Server> {
        let refused = |e: io::Error| {
            let error =
                Error::new(ErrorKind::Io, "the live page", format!("cannot listen on port {port}: {e}"));
            match e.kind() {
                io::ErrorKind::AddrInUse => error
                    .help("another program uses it: choose another port, or give no number for a free one"),
                io::ErrorKind::PermissionDenied => {
                    error.help("choose a port of 1024 or more, or give no number for a free one")
                }
                _ => error,
            }
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(refused)?;
        let port = listener.local_addr().map_err(refused)?.port();
        let site = Arc::new(Site::new(Hub::new(stop, say), port)?);
        let served = Arc::clone(&site);
        let listen = move || listen(&listener, &served);
        let thread = thread::Builder::new().name("live".into()).stack_size(STACK).spawn(listen);
        Ok(Server { site, thread: Some(thread.map_err(refused)?) })
    }

    /// The page's address, including its secret.
    pub fn url(&self) -> String {
        format!("http://{}/{}/", self.site.address(), self.site.token.text())
    }

    /// The callback that follows the run in this folder.
    pub fn callback(&self, folder: &Path) -> LiveCallback {
        LiveCallback::new(Arc::clone(&self.site.hub), folder)
    }

    /// Tells the page how the run ended, and gives it a second to receive it.
    pub fn end(self, end: RunEnd) {
        self.site.hub.end(end, FAREWELL);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.site.closing.store(true, Ordering::Relaxed);
        self.site.hub.end(RunEnd::Failed, Duration::ZERO);
        // Connecting wakes up the listener.
        if TcpStream::connect_timeout(&self.site.address(), PATIENCE).is_ok() {
            let _ = self.thread.take().map(JoinHandle::join);
        }
    }
}

/// A connection that is being served. Dropping it frees its place.
struct ConnectionGuard(Arc<Site>);

impl ConnectionGuard {
    fn take(site: &Arc<Site>) -> Option<ConnectionGuard> {
        let taken = |n: usize| (n < MOST_CONNECTIONS).then_some(n + 1);
        let free = site.connections.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).is_ok();
        free.then(|| ConnectionGuard(Arc::clone(site)))
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether the run can still open the files that it needs in addition to this connection. A new file gets the lowest
/// free number, so all lower numbers are in use.
#[cfg(unix)]
fn leaves_files(stream: &TcpStream) -> bool {
    use nix::sys::resource::{Resource, getrlimit};
    use std::os::fd::AsRawFd;
    let number = u64::try_from(stream.as_raw_fd()).unwrap_or(u64::MAX);
    getrlimit(Resource::RLIMIT_NOFILE).is_ok_and(|(most, _)| number < most.saturating_sub(RESERVED_FILES))
}

/// This system has no such limit.
#[cfg(not(unix))]
fn leaves_files(_stream: &TcpStream) -> bool {
    true
}

fn listen(listener: &TcpListener, site: &Arc<Site>) {
    for stream in listener.incoming() {
        if site.closing.load(Ordering::Relaxed) {
            return;
        }
        let Ok(mut stream) = stream else {
            // The limit of open files is reached: wait until some are closed.
            thread::sleep(Duration::from_millis(50));
            continue;
        };
        let Some(place) = ConnectionGuard::take(site).filter(|_| leaves_files(&stream)) else {
            // An answer this short is sent at once or not at all.
            let _ = stream.set_nonblocking(true).and_then(|()| http::refuse(&mut stream, Status::BUSY, ""));
            continue;
        };
        // Errors of one client are ignored.
        let serve = move || drop(serve(&mut stream, &place.0));
        // If no thread can be started, the connection is closed.
        let _ = thread::Builder::new().name("live client".into()).stack_size(STACK).spawn(serve);
    }
}

fn serve(stream: &mut TcpStream, site: &Site) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let request = match http::read(stream) {
        Ok(request) => request,
        Err(NoRequest::Refused(status)) => return http::refuse(stream, status, ""),
        Err(NoRequest::Gone) => return Ok(()),
    };
    match site.route(&request) {
        Route::File(file) => http::answer(stream, Status::OK, "", file.kind, file.text),
        Route::AddSlash => {
            http::refuse(stream, Status::MOVED, &format!("Location: /{}/\r\n", site.token.text()))
        }
        Route::Events => events(stream, &site.hub),
        Route::Ask(ask) => {
            ask(&site.hub);
            http::done(stream)
        }
        Route::Refuse(status, allowed) => {
            let allow = allowed.map_or(String::new(), |method| format!("Allow: {method}\r\n"));
            http::refuse(stream, status, &allow)
        }
    }
}

/// Sends news until the run ends or the client disconnects.
fn events(stream: &mut TcpStream, hub: &Hub) -> io::Result<()> {
    let Some(_client) = hub.client() else {
        return http::refuse(stream, Status::BUSY, "Retry-After: 10\r\n");
    };
    http::begin_events(stream)?;
    let (mut sent, mut alive) = (Sent::default(), Instant::now());
    loop {
        let (news, last) = hub.news(&mut sent);
        if !news.is_empty() || alive.elapsed() >= SIGN_OF_LIFE {
            // A line that consists of a colon only is a comment.
            stream.write_all(if news.is_empty() { b":\n\n" } else { news.as_bytes() })?;
            alive = Instant::now();
        }
        if last {
            return http::close(stream);
        }
        hub.wait(NEWS_EVERY);
    }
}

impl Site {
    fn new(hub: Hub, port: u16) -> Result<Site> {
        let (closing, connections) = (AtomicBool::new(false), AtomicUsize::new(0));
        Ok(Site { hub: Arc::new(hub), token: Token::new()?, port, closing, connections })
    }

    fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    fn route(&self, request: &Request) -> Route {
        if !self.is_own_host(request.host.as_deref()) || !self.is_own_origin(request.origin.as_deref()) {
            return Route::Refuse(Status::FORBIDDEN, None);
        }
        let mut parts = request.path.strip_prefix('/').unwrap_or_default().splitn(2, '/');
        let (token, rest) = (parts.next().unwrap_or_default(), parts.next());
        if !self.token.is(token) {
            return Route::Refuse(Status::FORBIDDEN, None);
        }
        let (method, route) = match rest {
            None => ("GET", Route::AddSlash),
            Some("events") => ("GET", Route::Events),
            Some("pause") => ("POST", Route::Ask(|hub| hub.ask_to_pause(true))),
            Some("resume") => ("POST", Route::Ask(|hub| hub.ask_to_pause(false))),
            Some("stop") => ("POST", Route::Ask(Hub::ask_to_stop)),
            Some(name) => match page::files().find(|file| file.name == name) {
                Some(file) => ("GET", Route::File(file)),
                None => return Route::Refuse(Status::NOT_FOUND, None),
            },
        };
        if request.method == method { route } else { Route::Refuse(Status::METHOD, Some(method)) }
    }

    /// Whether `Host` is this machine's own name. Other names could have been made to lead here (DNS rebinding).
    fn is_own_host(&self, host: Option<&str>) -> bool {
        let own = |host: &str| ["127.0.0.1", "localhost"].iter().any(|name| name.eq_ignore_ascii_case(host));
        host.is_some_and(|host| match host.rsplit_once(':') {
            Some((name, port)) => own(name) && port == self.port.to_string(),
            // Clients omit the port if it is 80, the default of HTTP.
            None => own(host) && self.port == 80,
        })
    }

    /// Whether the request came from this page, or from a program that is not a page.
    fn is_own_origin(&self, origin: Option<&str>) -> bool {
        let own =
            |origin: &str| origin.strip_prefix("http://").is_some_and(|host| self.is_own_host(Some(host)));
        origin.is_none_or(own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::live::broadcast::Topic;

    fn site(port: u16) -> Site {
        Site::new(Hub::new(Arc::default(), |_| {}), port).unwrap()
    }

    /// A client that does not read blocks only its own thread, until a write times out.
    #[test]
    fn a_client_that_does_not_read_loses_its_place() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let deaf = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        let site = site(80);
        deaf.shutdown(std::net::Shutdown::Write).unwrap();
        serve(&mut stream, &site).unwrap();
        assert_eq!(stream.write_timeout().unwrap(), Some(PATIENCE));
        // A short timeout tests the same. The message is larger than the sockets' buffers.
        stream.set_write_timeout(Some(Duration::from_millis(50))).unwrap();
        site.hub.publish_json(Topic::Remark, "0".repeat(64 << 20));
        let error = events(&mut stream, &site.hub).unwrap_err();
        assert!(matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut), "{error}");
        assert!(!site.hub.watched());
    }

    #[test]
    fn only_the_page_itself_is_let_in() {
        let gate = site(8000);
        let token = gate.token.text().to_owned();
        let status = |method: &str, path: &str, host: Option<&str>, origin: Option<&str>| {
            let [host, origin] = [host, origin].map(|name| name.map(str::to_owned));
            match gate.route(&Request { method: method.into(), path: path.into(), host, origin }) {
                Route::Refuse(Status(number, _), _) => number,
                Route::File(_) => 200,
                Route::AddSlash => 308,
                Route::Events | Route::Ask(_) => 0,
            }
        };
        let own = Some("127.0.0.1:8000");
        let page = format!("/{token}/");
        assert_eq!(status("GET", &page, own, None), 200);
        assert_eq!(status("GET", &page, Some("LOCALHOST:8000"), Some("http://localhost:8000")), 200);
        assert_eq!(status("GET", &format!("/{token}"), own, None), 308);
        assert_eq!(status("GET", &format!("/{token}/events"), own, None), 0);
        let pause = format!("/{token}/pause");
        assert_eq!(status("POST", &pause, own, Some("http://127.0.0.1:8000")), 0);
        // Names that could be made to lead here.
        let hosts = [
            "evil.example:8000",
            "127.0.0.1",
            "localhost",
            "127.0.0.1:8001",
            "127.0.0.1:8000.evil.example",
            "",
        ];
        for host in hosts.map(Some).into_iter().chain([None]) {
            assert_eq!(status("GET", &page, host, None), 403, "{host:?}");
        }
        let origins = [
            "null",
            "",
            "http://evil.example",
            "https://127.0.0.1:8000",
            "http://127.0.0.1:8001",
            "127.0.0.1:8000",
        ];
        for origin in origins {
            assert_eq!(status("POST", &pause, own, Some(origin)), 403, "{origin}");
        }
        let default = site(80);
        for host in ["127.0.0.1", "LOCALHOST", "localhost:80"] {
            let origin = format!("http://{host}");
            assert!(default.is_own_host(Some(host)) && default.is_own_origin(Some(&origin)), "{host}");
        }
        for host in ["evil.example", "localhost:8000", "evil.example:80", ""] {
            assert!(!default.is_own_host(Some(host)), "{host}");
        }
        let other = Token::new().unwrap();
        let paths = [
            "/",
            "",
            "/favicon.ico",
            "/events",
            "/pause",
            &format!("/{}/", other.text()),
            &format!("/{}x/", token),
        ];
        for path in paths {
            assert_eq!(status("GET", path, own, None), 403, "{path}");
            assert_eq!(status("PUT", path, own, None), 403, "{path}");
        }
        for path in ["x", "../Cargo.toml", "events/", "live.js/", "%2e%2e/"] {
            assert_eq!(status("GET", &format!("/{token}/{path}"), own, None), 404, "{path}");
        }
        for (method, path) in
            [("POST", ""), ("HEAD", ""), ("OPTIONS", "pause"), ("GET", "stop"), ("DELETE", "events")]
        {
            assert_eq!(status(method, &format!("/{token}/{path}"), own, None), 405, "{method} {path}");
        }
    }
}
