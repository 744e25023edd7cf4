//! Tests of the live page: good and bad clients connect to a real run over raw sockets.
#![cfg(feature = "cli")]

mod program;

use program::{error, ok, text};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const RECEPTIVE: &str = env!("CARGO_BIN_EXE_receptive");
/// The time after which a test gives up.
const LIMIT: Duration = Duration::from_secs(60);

/// A training run that serves its page.
struct Run {
    process: Child,
    port: u16,
    token: String,
    folder: PathBuf,
    _place: tempfile::TempDir,
}

impl Run {
    /// Starts `receptive train MODEL --data sample --live` with `more` arguments and waits for the page's address.
    fn start(model: &str, more: &[&str]) -> Run {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("run");
        let out = folder.display().to_string();
        let args = [&["train", model, "--data", "sample", "--out", &*out][..], more, &["--live"]].concat();
        Run::spawn(&args, folder, place)
    }

    fn spawn(args: &[&str], folder: PathBuf, place: tempfile::TempDir) -> Run {
        let mut program = Command::new(RECEPTIVE);
        program.args(args);
        Run::launch(program, folder, place)
    }

    fn launch(mut program: Command, folder: PathBuf, place: tempfile::TempDir) -> Run {
        program.env("HOME", env!("CARGO_TARGET_TMPDIR")).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = program.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let url =
            lines.find_map(|line| line.unwrap().strip_prefix("live: http://127.0.0.1:").map(str::to_owned));
        let url = url.expect("the page's address is printed");
        let mut parts = url.split('/');
        let (port, token) = (parts.next().unwrap().parse().unwrap(), parts.next().unwrap().to_owned());
        // Reads the rest, so that a closed pipe does not end the run.
        thread::spawn(move || lines.for_each(drop));
        Run { process, port, token, folder, _place: place }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream
    }

    /// Sends some bytes and returns the whole answer.
    fn raw(&self, request: &[u8]) -> String {
        let mut stream = self.connect();
        // The server may close the connection before it has read everything.
        let _ = stream.write_all(request).and_then(|()| stream.shutdown(Shutdown::Write));
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        text(&answer)
    }

    /// The whole answer to a request below the page's address.
    fn ask(&self, method: &str, name: &str, headers: &str) -> String {
        let Run { port, token, .. } = self;
        self.raw(
            format!("{method} /{token}/{name} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{headers}\r\n")
                .as_bytes(),
        )
    }

    fn post(&self, name: &str) {
        let answer = self.ask(
            "POST",
            name,
            &format!("Origin: http://127.0.0.1:{}\r\nContent-Length: 0\r\n", self.port),
        );
        assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    }

    fn follow(&self) -> Events {
        let mut stream = self.connect();
        let Run { port, token, .. } = self;
        write!(stream, "GET /{token}/events HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n").unwrap();
        Events { lines: BufReader::new(stream), head: String::new() }
    }

    /// Waits until the run ends; returns its exit code and the text of stderr.
    fn end(mut self) -> (i32, String) {
        until("the run ends", || self.process.try_wait().unwrap().is_some());
        let mut said = String::new();
        self.process.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (self.process.wait().unwrap().code().unwrap(), said)
    }

    fn interrupt(&self) {
        let kill = Command::new("kill").args(["-INT", &self.process.id().to_string()]).status().unwrap();
        assert!(kill.success());
    }

    /// Resident memory in kB.
    fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < LIMIT, "not in time: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A client that follows the run's events.
struct Events {
    lines: BufReader<TcpStream>,
    head: String,
}

impl Events {
    /// The next event; `None` when the stream ends.
    fn next(&mut self) -> Option<(String, Value)> {
        let mut name = String::new();
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            if let Some(event) = line.strip_prefix("event: ") {
                name = event.trim().to_owned();
            } else if let Some(data) = line.strip_prefix("data: ") {
                return Some((name, serde_json::from_str(data).unwrap()));
            } else if name.is_empty() {
                self.head += &line;
            }
        }
    }

    /// The next event of this name for which `is` returns true.
    fn until(&mut self, event: &str, is: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        while let Some((name, value)) = self.next() {
            if name == event && is(&value) {
                return value;
            }
            assert!(start.elapsed() < LIMIT, "no {event}");
        }
        panic!("the stream ended before {event}")
    }

    fn state(&mut self, state: &str) {
        self.until("state", |value| value == state);
    }

    fn step(&mut self) -> u64 {
        self.until("progress", |_| true)["step"].as_u64().unwrap()
    }
}

#[test]
fn a_run_is_followed_paused_resumed_and_stopped() {
    let run = Run::start("lenet5", &["--epochs", "500"]);
    let mut events = run.follow();
    let about = events.until("run", |_| true);
    assert_eq!(
        (&about["model"], &about["parameters"], &about["score"]),
        (&"lenet5".into(), &61_706.into(), &"accuracy".into())
    );
    events.until("curve", |curve| curve["points"].as_array().unwrap().len() > 2);
    let filters = events.until("filters", |_| true);
    assert_eq!(filters["dims"], serde_json::json!([6, 1, 5, 5]));
    let predictions = events.until("predictions", |_| true);
    let classes = predictions["classes"].as_array().unwrap();
    assert!(
        classes.len() == 8 && classes.iter().all(|shown| shown.as_array().unwrap().len() == 3),
        "{predictions}"
    );

    run.post("pause");
    events.state("paused");
    let mut later = run.follow();
    later.state("paused");
    let at = run.follow().until("progress", |_| true);
    let paused = at["step"].as_u64().unwrap();
    thread::sleep(Duration::from_millis(1500));
    assert_eq!(run.follow().step(), paused, "a paused run takes no steps");
    run.post("resume");
    later.state("running");
    let on = later.until("progress", |progress| progress["step"].as_u64() > Some(paused));
    let trained = on["seconds"].as_f64().unwrap() - at["seconds"].as_f64().unwrap();
    assert!(trained > 0.0 && trained < 1.5, "{trained} s of training in a pause of 1.5 s");

    run.post("stop");
    let mut states = Vec::new();
    while let Some((event, value)) = later.next() {
        states.extend((event == "state").then_some(value));
    }
    assert!(states.last() == Some(&"stopped".into()) && !states.contains(&"finishing".into()), "{states:?}");
    let place = tempfile::tempdir().unwrap();
    let kept = place.path().join("run");
    // Moves the run's folder: dropping `run` deletes the place where it was.
    std::fs::rename(&run.folder, &kept).unwrap();
    let (code, said) = run.end();
    // A stop that was requested is no error.
    assert!(code == 0 && said.contains("\nstopped; go on with: receptive train --resume"), "{code} {said}");

    let resumed =
        Run::spawn(&["train", "--resume", kept.to_str().unwrap(), "--live", "0"], kept.clone(), place);
    let mut events = resumed.follow();
    assert!(events.step() > paused, "it goes on where it was stopped");
    // Ctrl-C also works while the run is paused.
    resumed.post("pause");
    events.state("paused");
    resumed.interrupt();
    events.state("stopped");
    let (code, said) = resumed.end();
    assert!(code == 130 && said.matches("paused on the page").count() == 1, "{code} {said}");
}

/// A second Ctrl-C ends a run without saving. A stop from the page does not count as the first one.
#[test]
fn ctrl_c_after_a_stop_from_the_page_still_saves() {
    // The steps are so long that both requests come within one step.
    let run = Run::start("resnet9", &["--epochs", "50", "--batch-size", "64"]);
    run.follow().state("running");
    run.post("stop");
    run.interrupt();
    let (code, said) = run.end();
    let told = ["as requested on the page", "again to stop at once", "stopped; go on with"];
    assert!(code == 130 && told.iter().all(|line| said.contains(line)), "{code} {said}");
}

#[test]
fn strangers_are_refused_and_disturb_nothing() {
    let run = Run::start("mlp2", &["--epochs", "5000"]);
    let Run { port, token, .. } = &run;
    let mut events = run.follow();
    events.state("running");
    let request = |path: &str, host: &str, more: &str| {
        run.raw(format!("POST {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n").as_bytes())
    };
    let (own, stop) = (format!("127.0.0.1:{port}"), format!("/{token}/stop"));
    let other = format!("{:032x}", 7);
    let refused = [
        (403, request(&stop, "evil.example", "")),
        (403, request(&stop, &format!("evil.example:{port}"), "")),
        (403, request(&stop, &own, "Origin: http://evil.example\r\n")),
        (403, request(&stop, &own, "Origin: null\r\n")),
        (403, request(&format!("/{other}/stop"), &own, "")),
        (403, request("/stop", &own, "")),
        (403, request("/", &own, "")),
        (403, run.raw(b"GET / HTTP/1.0\r\n\r\n")),
        (404, request(&format!("/{token}/../config.toml"), &own, "")),
        (404, request(&format!("/{token}/runs"), &own, "")),
        (405, run.ask("GET", "stop", "")),
        (405, run.ask("OPTIONS", "stop", &format!("Origin: http://{own}\r\n"))),
        (405, run.ask("PUT", "", "")),
        (413, run.ask("POST", "stop", "Content-Length: 4097\r\n")),
        (413, run.ask("POST", "stop", &format!("Content-Length: 1000000\r\n\r\n{}", "x".repeat(1_000_000)))),
        (411, run.ask("POST", "stop", "Transfer-Encoding: chunked\r\n")),
        (400, run.ask("POST", "stop", "Content-Length: 1\r\nContent-Length: 2\r\n")),
        (400, run.raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")),
        (400, run.raw(b"hello\r\n\r\n")),
        (400, run.raw(&[b"GET ".as_slice(), &[0; 3000]].concat())),
        (431, run.raw(format!("GET /{} HTTP/1.1\r\n", "x".repeat(100_000)).as_bytes())),
        (431, run.ask("GET", "", &"a: b\r\n".repeat(500))),
    ];
    for (i, (status, answer)) in refused.iter().enumerate() {
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{i}: {answer:?}"));
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{i}: {answer}");
        assert!(
            !head.to_lowercase().contains("access-control") && body.lines().count() == 1,
            "{i}: {answer}"
        );
        for secret in [token, "mlp2", run.folder.to_str().unwrap(), "rust", "receptive"] {
            assert!(!answer.contains(secret), "{i}: {answer}");
        }
    }
    // Clients that send part of a request, or nothing, and leave.
    for begun in ["", "GET", "GET / HTTP/1.1\r\nHost: x", "POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf"]
    {
        assert_eq!(run.raw(begun.as_bytes()), "");
    }
    // If a client continues to send slowly after the answer, its connection is closed after a moment.
    let slow: Vec<TcpStream> = (0..4).map(|_| run.connect()).collect();
    slow.iter().for_each(|mut stream| stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap());
    let start = Instant::now();
    for mut stream in slow {
        while stream.write_all(b"x").is_ok() {
            assert!(start.elapsed() < Duration::from_secs(10), "a slow client holds its place");
            thread::sleep(Duration::from_millis(100));
        }
    }
    let _silent: Vec<TcpStream> = (0..20).map(|_| run.connect()).collect();
    for own in ["", "live.js", "base.css"] {
        let answer = run.ask("GET", own, "");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK") && body.len() > 500, "{own}: {head}");
        let headers = [
            "no-store",
            "default-src 'none'",
            "Referrer-Policy: no-referrer",
            "nosniff",
            "frame-ancestors 'none'",
        ];
        headers.iter().for_each(|header| assert!(head.contains(header), "{own}: {head}"));
        assert!(!head.to_lowercase().contains("access-control") && !body.contains(token.as_str()));
    }
    let step = events.step();
    assert!(events.until("progress", |progress| progress["step"].as_u64() > Some(step)).is_object());
    assert!(events.head.contains("text/event-stream") && events.head.contains("no-store"), "{}", events.head);
    run.post("stop");
    events.state("stopped");
}

#[test]
fn a_crowd_does_not_disturb_the_run() {
    let run = Run::start("lenet5", &["--epochs", "12"]);
    // A client that never reads.
    let mut deaf = run.connect();
    write!(deaf, "GET /{}/events HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n", run.token, run.port).unwrap();
    let mut crowd: Vec<Events> = (0..200).map(|_| run.follow()).collect();
    crowd.iter_mut().for_each(|client| client.state("running"));
    let before = run.memory();
    // Only a few clients may follow. Others get a refusal.
    let mut more: Vec<Events> = (0..100).map(|_| run.follow()).collect();
    let answers = more.iter_mut().map(|client| {
        let mut line = String::new();
        client.lines.read_line(&mut line).unwrap();
        line
    });
    let (let_in, refused): (Vec<String>, Vec<String>) = answers.partition(|line| line.contains(" 200 "));
    assert!(
        let_in.len() <= 55 && refused.iter().all(|line| line.contains(" 503 ")),
        "{} {refused:?}",
        let_in.len()
    );
    drop(more);
    // Some clients leave during the training.
    crowd.truncate(150);
    crowd[0].until("progress", |progress| progress["epoch"].as_u64() >= Some(9));
    let after = run.memory();
    assert!(after < before + 64 * 1024, "{before} kB before, {after} kB after");
    for client in &mut crowd {
        client.state("finished");
        assert!(client.next().is_none());
    }
    let (code, said) = run.end();
    assert!(code == 0 && !said.contains("panicked"), "{code} {said}");
}

/// Connections must not use all file descriptors of the process. Otherwise the run would fail at its next checkpoint.
#[test]
#[cfg(unix)]
fn strangers_leave_files_to_the_run() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("run");
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n 256 && exec \"$0\" \"$@\"", RECEPTIVE]);
    limited.args(["train", "mlp2", "--data", "sample", "--epochs", "5000", "--live", "--out"]).arg(&folder);
    let mut run = Run::launch(limited, folder, place);
    let metrics = run.folder.join("metrics.jsonl");
    let bytes = || std::fs::metadata(&metrics).map_or(0, |file| file.len());
    let strangers: Vec<TcpStream> = (0..300).map(|_| run.connect()).collect();
    for _ in 0..2 {
        let before = bytes();
        until("an epoch is recorded", || bytes() > before || run.process.try_wait().unwrap().is_some());
    }
    drop(strangers);
    until("there is room again", || run.ask("GET", "base.css", "").starts_with("HTTP/1.1 200 "));
    run.post("stop");
    let (code, said) = run.end();
    assert!(code == 0 && said.contains("stopped; go on with"), "{code} {said}");
}

/// The live page does not change a run: the weights have the same bits with and without it.
#[test]
fn a_watched_run_gives_the_same_bits() {
    let place = tempfile::tempdir().unwrap();
    let alone = place.path().join("alone");
    let settings = ["--epochs", "2", "--augment", "standard"];
    ok(&[&["train", "lenet5-bn", "--data", "sample", "--out", alone.to_str().unwrap()][..], &settings]
        .concat());
    let run = Run::start("lenet5-bn", &settings);
    let mut events = run.follow();
    events.until("predictions", |_| true);
    run.post("pause");
    events.state("paused");
    run.post("resume");
    events.state("finished");
    let weights = |folder: &Path| {
        ["last", "best"].map(|name| std::fs::read(folder.join(name).with_extension("safetensors")).unwrap())
    };
    assert!(weights(&alone) == weights(&run.folder), "the weights differ");
    assert_eq!(run.end().0, 0);
}

/// The page runs the network too. These ops would appear in the profile, so `--profile` and `--live` exclude each
/// other.
#[test]
fn a_profiled_run_has_no_page() {
    let message = error(&["train", "mlp2", "--data", "sample", "--profile", "profile.json", "--live"]);
    assert!(message.contains("cannot be used with"), "{message}");
}

#[test]
fn a_port_that_cannot_be_had_is_said_before_there_is_a_run() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("run").display().to_string();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let train = |port: &str| error(&["train", "mlp2", "--data", "sample", "--out", &out, "--live", port]);
    let message = train(&port);
    assert!(
        message.contains(&format!("cannot listen on port {port}")) && message.contains("another program"),
        "{message}"
    );
    assert!(train("65536").contains("expected a port"));
    assert!(train("mlp2").contains("MODEL must come before --live"));
    assert!(!Path::new(&out).exists());
}
