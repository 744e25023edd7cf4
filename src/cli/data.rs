//! `receptive data`: lists the data sets on this machine, downloads others, and shows one.

use super::data_show::{self, DataShowArgs};
use super::print_line;
use crate::core::table::table;
use crate::data::catalog::{Source, spec};
use crate::data::fetch::{FetchEvent, FetchOptions, fetch};
use crate::data::lookup::Listing;
use crate::data::{DataDirs, list};
use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// List the data sets, fetch one, or show one.
#[derive(Debug, clap::Args)]
pub struct DataArgs {
    #[command(subcommand)]
    command: DataCommand,
}

#[derive(Debug, clap::Subcommand)]
enum DataCommand {
    /// Show each data set: what it is, where it is on this machine, and how to get it
    List {
        /// Folder to search first
        #[arg(long, value_name = "DIR")]
        data_dir: Option<PathBuf>,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    Show(DataShowArgs),
    /// Download a data set; an interrupted download is resumed
    Fetch {
        /// mnist, fashion-mnist, cifar10 or pets
        name: String,
        /// Folder to download to [default: $RECEPTIVE_DATA, or ~/.cache/receptive]
        #[arg(long, value_name = "DIR")]
        data_dir: Option<PathBuf>,
        /// Another mirror: an address to which the file names are appended
        #[arg(long, value_name = "BASE")]
        url: Option<String>,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

/// Runs the subcommand.
///
/// # Errors
/// An unknown set; an error of [`fetch`]; a set that cannot be read.
pub fn run(args: &DataArgs) -> anyhow::Result<()> {
    match &args.command {
        DataCommand::List { data_dir, json } => {
            let rows = list(&DataDirs::from_env(data_dir.as_deref()));
            if *json {
                return print_line(&json!({ "sets": rows }).to_string());
            }
            print_line(&table(&rows.iter().flat_map(describe).collect::<Vec<_>>(), 2))
        }
        DataCommand::Show(args) => data_show::run(args),
        DataCommand::Fetch { name, data_dir, url, json } => {
            let spec = spec(name)?;
            if matches!(spec.source, Source::Embedded) {
                eprintln!("{name} is part of the program: there is nothing to fetch");
                return if *json {
                    print_line(&json!({ "name": name, "folder": null }).to_string())
                } else {
                    Ok(())
                };
            }
            let roots = DataDirs::from_env(data_dir.as_deref()).roots;
            let root = roots.first().context("there is no home folder: give a folder with --data-dir")?;
            let options = FetchOptions { url: url.clone(), ..FetchOptions::default() };
            let mut view = DownloadProgress::new();
            let folder = fetch(spec, root, &options, &mut |event| view.show(event))?;
            eprintln!("{name} is in {}", folder.display());
            if *json { print_line(&json!({ "name": name, "folder": folder }).to_string()) } else { Ok(()) }
        }
    }
}

fn describe(row: &Listing) -> Vec<Vec<String>> {
    let below = |text: String| vec![String::new(), text];
    let mut rows = vec![vec![row.name.to_owned(), row.about.to_owned()]];
    match (&row.folder, &row.get) {
        (Some(folder), _) => {
            rows.push(below(format!("{} ({:.1} MB)", folder.display(), row.bytes as f64 / 1e6)))
        }
        // The command has a line of its own, so that it is easy to copy.
        (None, Some(get)) => {
            rows.extend([below("not on this machine; get it with:".to_owned()), below(get.clone())])
        }
        (None, None) => rows.push(below("part of the program".to_owned())),
    }
    rows
}

/// Shows a bar on a terminal, and one line per file elsewhere.
struct DownloadProgress {
    bar: Option<ProgressBar>,
    started: Option<PathBuf>,
}

impl DownloadProgress {
    fn new() -> DownloadProgress {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = "{prefix} {bar:24} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left";
            ProgressBar::new(0)
                .with_style(ProgressStyle::with_template(style).expect("the template is valid"))
        });
        DownloadProgress { bar, started: None }
    }

    fn show(&mut self, event: FetchEvent) {
        match event {
            FetchEvent::Progress { file, done, total } => {
                if self.started.as_deref() != Some(file) {
                    self.started = Some(file.to_owned());
                    self.start(file, done, total);
                }
                if let Some(bar) = &self.bar {
                    bar.set_position(done);
                }
            }
            FetchEvent::Present(file) => self.say(&format!("{}: already downloaded", name(file))),
            FetchEvent::Fetched(file) => {
                self.say(&format!("{}: downloaded, the checksum is correct", name(file)))
            }
        }
    }

    fn start(&self, file: &Path, done: u64, total: Option<u64>) {
        match &self.bar {
            Some(bar) => {
                bar.set_prefix(name(file));
                bar.set_length(total.unwrap_or(0));
                bar.set_position(done);
                bar.reset_eta();
            }
            None => {
                let size = total.map_or_else(|| "size unknown".to_owned(), |n| format!("{n} bytes"));
                let resumed = if done > 0 { format!(", continuing after {done}") } else { String::new() };
                eprintln!("{}: {size}{resumed}", name(file));
            }
        }
    }

    fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }
}

impl Drop for DownloadProgress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn name(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
