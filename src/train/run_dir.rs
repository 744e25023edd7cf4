//! The run folder: `config.toml`, `data.json`, `metrics.jsonl`, `health.jsonl`, `checkpoint.safetensors`, and their
//! exports.
//!
//! No file in it is ever incomplete. Each file is made under a temporary name, synced, and renamed over the old one;
//! then the folder is synced. `metrics.jsonl` grows line by line: a checkpoint records its length, and resuming cuts
//! the file back to that length. So a run that was killed at any moment continues as if it had not been.

use super::PhaseReport;
use super::checkpoint::Checkpoint;
use super::config::RunConfig;
use super::data_record::DataRecord;
use super::history::{Line, check_length, is_at, read_history};
use super::recorder::keep_settings;
use crate::core::{Error, ErrorKind, Result};
use crate::io::{remove_abandoned, write_atomically};
use crate::tensor::Device;
use std::cell::Cell;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// The most run folders that an error lists.
const NAMED: usize = 3;

/// How often a start tries to make its folder.
const STARTS: usize = 20;

/// The files that a run keeps.
const KEPT: [&str; 13] = [
    "config.toml",
    DataRecord::FILE,
    "metrics.jsonl",
    "health.jsonl",
    "checkpoint.safetensors",
    "best.safetensors",
    "last.safetensors",
    "curves.svg",
    "confusion.svg",
    "mistakes.svg",
    "predictions.svg",
    "weights.svg",
    "masks.svg",
];

/// A folder that holds one run. While this value lives, no other process can train in the folder.
pub struct RunDir {
    pub(super) path: PathBuf,
    /// Whether the folder was created for this run.
    made: bool,
    /// Whether a step of the run has been done in this process.
    begun: Cell<bool>,
    /// Whether the run accepts images that have changed.
    any_images: Cell<bool>,
    /// The content of `config.toml`.
    pub(super) settings: String,
    /// Holds the operating system's lock on `config.toml`. The lock ends with the process, even if it is killed.
    pub(super) lock: File,
}

impl RunDir {
    /// Starts a run: creates the folder and writes its configuration.
    ///
    /// # Errors
    /// A folder that already contains a run, or that cannot be written.
    pub fn create(path: &Path, config: &RunConfig) -> Result<RunDir> {
        // A failed start deletes its folder, possibly while this start waits for its lock. Then this start creates the
        // folder again.
        for _ in 0..STARTS {
            if let Some(folder) = Self::try_create(path, config)? {
                return Ok(folder);
            }
        }
        let what = "other processes keep creating and deleting this folder";
        Err(Error::new(ErrorKind::Io, path.display().to_string(), what)
            .help("try again when they have ended"))
    }

    /// `None`: another start deleted the folder in the meantime.
    fn try_create(path: &Path, config: &RunConfig) -> Result<Option<RunDir>> {
        let refused = |e| Error::io(path, "create the run folder", e);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(refused)?;
        }
        let made = match fs::create_dir(path) {
            Ok(()) => true,
            Err(_) if path.is_dir() => false,
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists && !path.exists() => return Ok(None),
            Err(e) => return Err(refused(e)),
        };
        // Only one start at a time may look for a run and write its own. The lock ends with the process, however it
        // ends.
        let folder = match File::open(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(|e| Error::io(path, "open", e))?,
        };
        folder.lock().map_err(|e| Error::io(path, "lock", e))?;
        if !is_at(&folder, path) {
            return Ok(None);
        }
        let file = path.join("config.toml");
        if file.exists() {
            return Err(Error::argument(path.display().to_string(), "already contains a run").help(format!(
                "continue it with `RunDir::open({})`   or choose another folder with `RunDir::create`",
                path.display()
            )));
        }
        write_atomically(&file, config.to_toml().as_bytes())?;
        Self::lock(path, made).map(Some)
    }

    /// Opens a run that was started before.
    ///
    /// # Errors
    /// A folder that is not a run, or one in which another process is training.
    pub fn open(path: &Path) -> Result<(RunDir, RunConfig)> {
        let config = Self::config(path)?;
        Ok((Self::lock(path, false)?, config))
    }

    /// The configuration of the run in `path`.
    ///
    /// # Errors
    /// A folder that is not a run, or one made by another version.
    pub fn config(path: &Path) -> Result<RunConfig> {
        let file = path.join("config.toml");
        let text = fs::read_to_string(&file).map_err(|e| {
            let what =
                if path.is_dir() { "is not a run folder: it has no config.toml" } else { "is not a folder" };
            match e.kind() {
                std::io::ErrorKind::NotFound => {
                    let help = match runs_in(path).as_slice() {
                        [] => "`receptive train` prints the path of its run folder".to_owned(),
                        runs => format!("it contains runs: use one of {}", runs.join(", ")),
                    };
                    Error::new(ErrorKind::Missing, path.display().to_string(), what).help(help)
                }
                _ => Error::io(&file, "read", e),
            }
        })?;
        RunConfig::from_toml(&text, &file.display().to_string())
    }

    /// The phases that the run in `path` has recorded, in order. It is empty before the end of the first epoch.
    ///
    /// # Errors
    /// A `metrics.jsonl` that cannot be read.
    pub fn history(path: &Path) -> Result<Vec<PhaseReport>> {
        let file = path.join("metrics.jsonl");
        if file.exists() { read_history(&file) } else { Ok(Vec::new()) }
    }

    fn lock(path: &Path, made: bool) -> Result<RunDir> {
        let file = path.join("config.toml");
        let lock = File::open(&file).map_err(|e| Error::io(&file, "open", e))?;
        match lock.try_lock() {
            Ok(()) => {
                remove_abandoned(path);
                let settings = fs::read_to_string(&file).map_err(|e| Error::io(&file, "read", e))?;
                Ok(RunDir {
                    path: path.to_owned(),
                    settings,
                    lock,
                    made,
                    begun: Cell::default(),
                    any_images: Cell::default(),
                })
            }
            Err(fs::TryLockError::WouldBlock) => {
                let what = "another process is training in this folder";
                Err(Error::new(ErrorKind::Io, path.display().to_string(), what)
                    .help("wait until it ends, or choose another folder with `RunDir::create`"))
            }
            Err(fs::TryLockError::Error(e)) => Err(Error::io(&file, "lock", e)),
        }
    }

    /// Deletes the files of a run that failed before anything was recorded (a missing file, a wrong shape, a batch too
    /// small for batch norm), so that the same command can be given again, corrected. It does nothing once a step has
    /// been done. The folder itself stays if it existed before or if it holds other files.
    pub fn discard_unbegun(self) {
        if self.begun.get() {
            return;
        }
        // Lock the folder as a start does. Otherwise another start could write into this folder between the deletions.
        let _folder = File::open(&self.path).and_then(|folder| folder.lock().map(|()| folder));
        // Errors are ignored here: the error that led here is the one to report.
        for file in ["metrics.jsonl", DataRecord::FILE, "config.toml"] {
            let _ = fs::remove_file(self.path.join(file));
        }
        if self.made {
            let _ = fs::remove_dir(&self.path);
        }
    }

    /// The next start accepts the images it finds, even if they changed since training started. It records them after
    /// checking that they fit the run.
    pub fn accept_changed_data(&self) {
        self.any_images.set(true);
    }

    /// What the run knows about its data. If changed images are accepted, the record has no image fingerprints.
    ///
    /// # Errors
    /// As [`DataRecord::read`].
    pub(super) fn known_data(&self) -> Result<Option<DataRecord>> {
        let record = DataRecord::read(&self.path)?;
        Ok(if self.any_images.get() { record.map(DataRecord::of_any_images) } else { record })
    }

    /// Refuses to start a new run in a folder that holds results.
    ///
    /// # Errors
    /// Weights, or more than one epoch of metrics, without the checkpoint that belongs to them.
    pub(super) fn check_unbegun(&self) -> Result<()> {
        let weights =
            ["best.safetensors", "last.safetensors"].iter().any(|file| self.path.join(file).exists());
        // A run killed in its first epoch has no checkpoint. If killed just before the first checkpoint, it has
        // recorded two phases.
        if !weights && Self::history(&self.path)?.len() <= 2 {
            return Ok(());
        }
        let what = "contains results, but no checkpoint.safetensors to continue from";
        Err(Error::new(ErrorKind::Missing, self.path.display().to_string(), what)
            .help("restore it, or start a new run from its weights: `config.init = best.safetensors`"))
    }

    /// Records that a step has been done, so that the folder is not deleted any more.
    pub(super) fn begin(&self) {
        self.begun.set(true);
    }

    /// Whether this is a file that a run keeps in its folder.
    pub fn keeps(file: &Path) -> bool {
        let name = file.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| KEPT.contains(&name)) && file.with_file_name("config.toml").exists()
    }

    /// The folder's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The checkpoint's path; the file may not exist yet.
    pub fn checkpoint(&self) -> PathBuf {
        self.path.join("checkpoint.safetensors")
    }

    /// The path of the layers' health samples; the file may not exist yet.
    pub fn health(&self) -> PathBuf {
        self.path.join("health.jsonl")
    }

    /// Records that the run is complete: resuming it has nothing left to do. Until this is recorded, resuming repeats
    /// what comes after the last epoch.
    ///
    /// # Errors
    /// A folder that cannot be read or written; a `config.toml` that was removed or replaced.
    pub fn finish(&self, device: &Device) -> Result<()> {
        keep_settings(&self.path, &self.settings, &self.lock)?;
        let metrics = self.path.join("metrics.jsonl");
        let bytes = metrics.metadata().map_err(|e| Error::io(&metrics, "examine", e))?.len();
        Checkpoint::finish(&self.checkpoint(), device, true, bytes)
    }

    /// Reopens a finished run so that it can continue from its last epoch. Its last line of `metrics.jsonl` will be cut
    /// off. `recorded` is the number of bytes of that file that the checkpoint counts.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub(super) fn reopen(&self, recorded: u64) -> Result<()> {
        let metrics = self.path.join("metrics.jsonl");
        let lines = match fs::read(&metrics) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            read => read.map_err(|e| Error::io(&metrics, "read", e))?,
        };
        check_length(&metrics, lines.len() as u64, recorded)?;
        let last = lines[..lines.len().saturating_sub(1)].iter().rposition(|&byte| byte == b'\n');
        let last = last.map_or(0, |end| end + 1);
        let done = matches!(serde_json::from_slice(&lines[last..]), Ok(Line::Done { .. }));
        let bytes = if done { last } else { lines.len() };
        Checkpoint::finish(&self.checkpoint(), &Device::cpu()?, false, bytes as u64)
    }

    /// The same folder with another configuration.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub(super) fn rewrite(self, config: &RunConfig) -> Result<RunDir> {
        write_atomically(&self.path.join("config.toml"), config.to_toml().as_bytes())?;
        // The old file's lock is held until the new file is locked, so that a start waiting for the old one cannot get
        // in between.
        let folder = Self::lock(&self.path, self.made)?;
        folder.any_images.set(self.any_images.get());
        Ok(folder)
    }
}

/// The first few run folders inside a folder, by name. An error suggests them.
fn runs_in(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut runs: Vec<PathBuf> = entries.filter(|path| path.join("config.toml").is_file()).collect();
    runs.sort();
    runs.iter().take(NAMED).map(|path| path.display().to_string()).collect()
}
