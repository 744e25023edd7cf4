//! Turns `kernels/` into the files that the crate embeds: PTX, and a typed launch function per kernel.
//!
//! | input | output in `OUT_DIR` |
//! |---|---|
//! | `kernels/**/*.cu` | `NAME.ptx`, made by nvcc; without nvcc a copy of `kernels/prebuilt/NAME.ptx` |
//! | their `extern "C" __global__ void name(...)` lines | `kernels.rs`: a launch function each, so that an argument of the wrong type does not compile |
//! | `kernels/args.cuh` | its structs as `#[repr(C)]` structs in Rust, also in `kernels.rs` |
//!
//! nvcc is `$NVCC`, else the first one in `$CUDA_HOME`, `$CUDA_PATH`, `$PATH` and `/usr/local/cuda`.
//! `RECEPTIVE_KERNELS=nvcc` demands nvcc, and `RECEPTIVE_KERNELS=prebuilt` ignores it. With
//! `RECEPTIVE_UPDATE_PREBUILT=1`, the script also copies nvcc's output to `kernels/prebuilt`.
//!
//! The first line of each prebuilt file contains the hash of its sources. If a kernel or a header has changed since the
//! file was made, a build without nvcc fails. Otherwise the program would run old kernels.

#[path = "build/declarations.rs"]
mod declarations;
#[path = "build/nvcc.rs"]
mod nvcc;
#[path = "build/rust.rs"]
mod rust;

use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    // In the repository, the engine's manifest is two folders below the sources. In a packed crate, it is beside them.
    let manifest = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let top = if manifest.join("kernels").exists() { manifest } else { manifest.join("../..") };
    for watched in ["build.rs", "build", "kernels"] {
        println!("cargo:rerun-if-changed={}", top.join(watched).display());
    }
    for name in ["NVCC", "NVCC_CCBIN", "CUDA_HOME", "CUDA_PATH", MODE, UPDATE] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    let root = top.join("kernels");
    let out = PathBuf::from(variable("OUT_DIR"));
    let sources = sources(&root);
    let with_ptx = env::var_os("CARGO_FEATURE_CUDA").is_some();
    let from = if with_ptx { compile(&sources, &root, &out) } else { "none: built without CUDA".to_owned() };
    let text = rust::bindings(&sources, &read(&root.join("args.cuh")), with_ptx.then_some(&*out), &from);
    write(&out.join("kernels.rs"), &(text + &rust::texts(&texts(&root))));
}

const MODE: &str = "RECEPTIVE_KERNELS";
const UPDATE: &str = "RECEPTIVE_UPDATE_PREBUILT";

/// One `.cu` file.
struct Source {
    path: PathBuf,
    /// `gemm/01_naive.cu`.
    file: String,
    /// `gemm_01_naive` for `gemm/01_naive.cu`.
    name: String,
    text: String,
    /// The hash of this file and every header.
    hash: String,
}

/// Every `.cu` file, sorted by path.
fn sources(root: &Path) -> Vec<Source> {
    let mut files = Vec::new();
    walk(root, &mut files);
    files.sort();
    let is = |path: &Path, extension| path.extension().is_some_and(|e| e == extension);
    let headers: String = files.iter().filter(|path| is(path, "cuh")).map(|path| read(path)).collect();
    let source = |path: &PathBuf| {
        let text = read(path);
        let inside = path.strip_prefix(root).expect("a file below the folder that was walked");
        let file = inside.to_string_lossy().replace('\\', "/");
        let name = file.trim_end_matches(".cu").replace('/', "_");
        let hash = Sha256::digest(format!("{text}{headers}"));
        let hash = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        Source { path: path.clone(), file, name, text, hash }
    };
    files.iter().filter(|path| is(path, "cu")).map(source).collect()
}

/// The name and the path of every kernel and header.
fn texts(root: &Path) -> Vec<(String, PathBuf)> {
    let mut files = Vec::new();
    walk(root, &mut files);
    files.sort();
    let named = |path: PathBuf| {
        let inside = path.strip_prefix(root).ok()?.to_string_lossy().replace('\\', "/");
        let whole = path.canonicalize().unwrap_or_else(|_| path.clone());
        (inside.ends_with(".cu") || inside.ends_with(".cuh")).then(|| (format!("kernels/{inside}"), whole))
    };
    files.into_iter().filter_map(named).collect()
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in
        fs::read_dir(folder).unwrap_or_else(|e| fail(&format!("cannot read {}: {e}", folder.display())))
    {
        let path = entry.expect("a folder's entry").path();
        if path.is_dir() { walk(&path, files) } else { files.push(path) }
    }
}

/// Makes `OUT_DIR/NAME.ptx` for every source, with nvcc or from the prebuilt files. Returns what made them.
fn compile(sources: &[Source], root: &Path, out: &Path) -> String {
    let mode = env::var(MODE).unwrap_or_default();
    let nvcc = match &*mode {
        "prebuilt" => None,
        "" | "auto" | "nvcc" => nvcc::find(),
        _ => fail(&format!("{MODE}={mode}: expected auto, nvcc or prebuilt")),
    };
    let prebuilt = root.join("prebuilt");
    let Some(nvcc) = nvcc else {
        if mode == "nvcc" {
            refuse(&format!("{MODE}=nvcc, but there is no nvcc"));
        }
        for source in sources {
            let file = prebuilt.join(format!("{}.ptx", source.name));
            let text = fs::read_to_string(&file).unwrap_or_else(|e| {
                refuse(&format!("there is no nvcc, and {} cannot be read: {e}", file.display()))
            });
            // Git may have changed the line ends to those of this system.
            let text = text.replace('\r', "");
            if !text.starts_with(&stamp(source)) {
                refuse(&format!(
                    "{} (or a header) changed after {} was made from it, and there is no nvcc to rebuild it",
                    source.path.display(),
                    file.display()
                ));
            }
            write(&out.join(format!("{}.ptx", source.name)), &text);
        }
        return "prebuilt PTX".to_owned();
    };
    // If an earlier build made PTX from the same sources with the same nvcc, it is kept.
    let head = |source: &Source| format!("{}// {}\n", stamp(source), nvcc.version);
    let file = |source: &Source| out.join(format!("{}.ptx", source.name));
    let current =
        |source: &Source| fs::read_to_string(file(source)).is_ok_and(|text| text.starts_with(&head(source)));
    let stale: Vec<&Source> = sources.iter().filter(|source| !current(source)).collect();
    nvcc.compile_all(&stale, root, out);
    for source in stale {
        let file = file(source);
        write(&file, &(head(source) + &read(&file)));
    }
    if env::var(UPDATE).is_ok_and(|v| v == "1") {
        let _ = fs::remove_dir_all(&prebuilt);
        fs::create_dir_all(&prebuilt).unwrap_or_else(|e| fail(&format!("{}: {e}", prebuilt.display())));
        for source in sources {
            let name = format!("{}.ptx", source.name);
            write(&prebuilt.join(&name), &read(&out.join(&name)));
        }
    }
    nvcc.version
}

/// The first line of a PTX file.
fn stamp(source: &Source) -> String {
    format!("// made from {} and the headers, sha256 {}\n", source.name, source.hash)
}

/// The text of a file, with line ends normalised.
fn read(path: &Path) -> String {
    fs::read_to_string(path)
        .unwrap_or_else(|e| fail(&format!("cannot read {}: {e}", path.display())))
        .replace('\r', "")
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|e| fail(&format!("cannot write {}: {e}", path.display())));
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| fail(&format!("cargo did not set {name}")))
}

/// Ends the build with one clear message.
fn fail(what: &str) -> ! {
    eprintln!("\n{what}\n");
    std::process::exit(1)
}

/// Like [`fail`], and lists three ways to solve it.
fn refuse(what: &str) -> ! {
    fail(&format!(
        "feature `cuda`: {what}.\n  \
         - install nvcc: tools/get-nvcc.sh (pip, no root, 270 MB), then set NVCC to what it prints; or\n  \
         - install the CUDA toolkit, 11.8 or later, or set NVCC=/path/to/nvcc; or\n  \
         - build without CUDA: cargo build --no-default-features --features cli"
    ))
}
