//! Measuring alone: `tools/results.sh` trains in the background, and a benchmark asks it to pause.
//!
//! Both sides use locks of the operating system in one folder, so that nothing is left behind by a process that was
//! killed. A benchmark holds a shared lock on `pause.lock` while it measures. The background holds a lock on
//! `runner.lock` while it lives, and writes `running` or `paused` into `state`.

use crate::core::{Error, ErrorKind, Result};
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the background may take to pause.
const PATIENCE: Duration = Duration::from_secs(10);

/// The background of this machine is paused while this value lives.
#[derive(Debug)]
pub struct Alone {
    /// The lock that asks the background to pause.
    _request: Option<File>,
}

/// Asks the background to pause, and waits until it has.
///
/// # Errors
/// A background that does not pause within ten seconds.
pub fn measure_alone() -> Result<Alone> {
    folder().map_or(Ok(Alone { _request: None }), |folder| pause(&folder, PATIENCE))
}

/// The folder that `tools/results.sh` made, if this user ever started it on this machine.
fn folder() -> Option<PathBuf> {
    let folder = std::env::temp_dir().join(format!("receptive-results-{}", user()?));
    folder.is_dir().then_some(folder)
}

#[cfg(unix)]
fn user() -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").ok().map(|process| process.uid())
}

#[cfg(not(unix))]
fn user() -> Option<u32> {
    None
}

fn pause(folder: &Path, patience: Duration) -> Result<Alone> {
    let open = |name: &str| {
        let path = folder.join(name);
        let file = File::options().create(true).append(true).open(&path);
        file.map_err(|e| Error::io(&path, "open", e))
    };
    let (request, runner) = (open("pause.lock")?, open("runner.lock")?);
    request.lock_shared().map_err(|e| Error::io(folder, "lock", e))?;
    let start = Instant::now();
    loop {
        match runner.try_lock_shared() {
            // Nothing runs in the background.
            Ok(()) => break,
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(e)) => return Err(Error::io(folder, "lock", e)),
        }
        if !fs::read_to_string(folder.join("state")).is_ok_and(|state| state.starts_with("running")) {
            break;
        }
        if start.elapsed() > patience {
            let what = "results are being measured in the background, and they did not pause";
            return Err(Error::new(ErrorKind::Io, "bench", what).help("tools/results.sh pause"));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(Alone { _request: Some(request) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(200);

    /// A benchmark refuses while the background runs, and measures when it has paused or ended.
    #[test]
    fn a_benchmark_does_not_measure_beside_the_background() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        assert!(pause(path, SHORT).is_ok(), "nothing runs");
        let runner = File::create(path.join("runner.lock")).unwrap();
        runner.lock().unwrap();
        fs::write(path.join("state"), "running 12\n").unwrap();
        let refused = pause(path, SHORT).unwrap_err().to_string();
        assert!(refused.contains("did not pause") && refused.contains("results.sh pause"), "{refused}");

        // The background sees the request as long as the benchmark holds it, and no longer.
        let seen = || File::open(path.join("pause.lock")).unwrap().try_lock().is_err();
        assert!(!seen());
        fs::write(path.join("state"), "paused\n").unwrap();
        let alone = pause(path, SHORT).unwrap();
        assert!(seen());
        drop(alone);
        assert!(!seen());

        // A background that was killed cannot change its state any more.
        fs::write(path.join("state"), "running 12\n").unwrap();
        drop(runner);
        assert!(pause(path, SHORT).is_ok());
    }
}
