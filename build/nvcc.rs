//! Finds nvcc and runs it.

use crate::{Source, fail, read, refuse, write};
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The compute capability to compile for: that of the A100. On the A100 and every newer GPU, the driver translates the
/// PTX into machine code.
const ARCH: &str = "80";
/// nvcc writes its newest PTX version into the file, even if the code needs only an old one. An older driver refuses
/// the newest version. So the version is lowered to the first of these with which `ptxas` can assemble the file.
const ISA_VERSIONS: [&str; 4] = ["7.0", "7.1", "7.4", "7.8"];

pub struct Nvcc {
    program: PathBuf,
    /// `nvcc V13.0.88`.
    pub version: String,
}

/// `$NVCC` if it is set, else the first nvcc that runs.
pub fn find() -> Option<Nvcc> {
    if let Some(named) = env::var_os("NVCC") {
        let nvcc = open(PathBuf::from(&named));
        return Some(nvcc.unwrap_or_else(|| refuse(&format!("NVCC={} does not run", named.display()))));
    }
    let homes = ["CUDA_HOME", "CUDA_PATH"].into_iter().filter_map(env::var_os);
    let in_homes = homes.map(|home| PathBuf::from(home).join("bin/nvcc"));
    in_homes.chain(["nvcc".into(), "/usr/local/cuda/bin/nvcc".into()]).find_map(open)
}

fn open(program: PathBuf) -> Option<Nvcc> {
    let output = Command::new(&program).arg("--version").output().ok().filter(|o| o.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text.split_whitespace().find(|word| word.starts_with('V')).unwrap_or("of unknown version");
    Some(Nvcc { version: format!("nvcc {version}"), program })
}

/// nvcc's output is not deterministic: a few registers and loads depend on the addresses of nvcc's own data. All
/// outputs for a source are correct. A committed file is one of them.
impl Nvcc {
    /// Makes `OUT/NAME.ptx` from every source. As many compilers run at the same time as there are cores.
    pub fn compile_all(&self, sources: &[&Source], root: &Path, out: &Path) {
        let next = AtomicUsize::new(0);
        let worker = || {
            while let Some(source) = sources.get(next.fetch_add(1, Ordering::Relaxed)) {
                self.compile(source, root, &out.join(format!("{}.ptx", source.name)));
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..std::thread::available_parallelism().map_or(1, |n| n.get()) {
                scope.spawn(worker);
            }
        });
    }

    fn compile(&self, source: &Source, root: &Path, ptx: &Path) {
        let mut command = Command::new(&self.program);
        // No -lineinfo: it would write this machine's paths into the PTX. Relative paths keep them out of names.
        command
            .current_dir(root)
            .args(["-ptx", "-O3", "-std=c++17", "-I", "."])
            .arg(format!("-arch=compute_{ARCH}"));
        command.arg(source.path.strip_prefix(root).expect("a source lies below the root")).arg("-o").arg(ptx);
        if let Some(compiler) = env::var_os("NVCC_CCBIN") {
            command.arg("-ccbin").arg(compiler);
        }
        let output = command.output().unwrap_or_else(|e| fail(&format!("{}: {e}", self.program.display())));
        if !output.status.success() {
            let log = [output.stdout, output.stderr].concat();
            fail(&format!("nvcc failed on {}:\n{}", source.path.display(), String::from_utf8_lossy(&log)));
        }
        self.lower_version(ptx);
    }

    /// Writes the lowest version with which the file assembles. If there is no `ptxas` beside nvcc, the file stays
    /// unchanged.
    fn lower_version(&self, ptx: &Path) {
        let ptxas = self.program.with_file_name("ptxas");
        let text = read(ptx);
        // nvcc 13 writes this hint next to loads. The hint is all that needs PTX version 8.3, so it is removed.
        let needed: Vec<&str> =
            text.lines().filter(|line| !line.contains(".pragma \"used_bytes_mask")).collect();
        for version in ISA_VERSIONS {
            let stamp = format!(".version {version}");
            let stamped =
                |line: &&str| if line.starts_with(".version ") { stamp.clone() } else { (*line).to_owned() };
            let lines: Vec<String> = needed.iter().map(stamped).collect();
            write(ptx, &(lines.join("\n") + "\n"));
            let assembled = Command::new(&ptxas)
                .arg(format!("-arch=sm_{ARCH}"))
                .arg(ptx)
                .args(["-o", "/dev/null"])
                .output();
            if assembled.is_ok_and(|o| o.status.success()) {
                return;
            }
        }
        write(ptx, &text);
    }
}
