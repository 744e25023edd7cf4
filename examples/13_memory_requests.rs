//! Lesson 13: why one GPU kernel is faster than another, read from counters. No GPU is needed.
//!
//!     COUNT=1 tests/sim/build.sh target/sim/count       # once: a simulated GPU that counts (needs g++)
//!     LD_LIBRARY_PATH=target/sim/count cargo run --release --example 13_memory_requests
//!
//! Three kernels multiply the same two matrices. The first is the definition. The second changes only the order in which
//! the threads are numbered. The third puts into shared memory what a block needs more than once.

use receptive::cuda::kernels::SOURCES;
use receptive::cuda::{CudaOptions, LaunchRecorder, Recording};
use receptive::inspect::gpu_time::{GpuCard, KernelRow, KernelTable};
use receptive::{DType, Device, Result, Tensor};

/// The matrices have N rows and columns.
const N: usize = 512;
/// The rungs of the ladder of matrix products: naive, coalesced, shared.
const RUNGS: [u32; 3] = [1, 2, 3];

fn main() -> Result<()> {
    // A simulated GPU replaces the driver's library. It runs some blocks of each kernel on the CPU, and counts.
    let recorder = match LaunchRecorder::find() {
        Ok(recorder) if recorder.can_count() => recorder,
        _ => {
            println!("This lesson needs the simulated GPU. Build it once, and start the lesson with it:\n");
            println!("    COUNT=1 tests/sim/build.sh target/sim/count");
            println!("    LD_LIBRARY_PATH=target/sim/count cargo run --release --example 13_memory_requests");
            return Ok(());
        }
    };
    let card = GpuCard::find("h100")?;

    // A warp is 32 threads that run together. When they load, the memory brings sectors of 32 bytes. If the 32 threads
    // read 32 floats that lie side by side, that is 128 bytes: 4 sectors. If each reads from another row, it is 32
    // sectors, and of the 32 bytes of each only 4 are used.
    println!("{N} x {N} times {N} x {N}, predicted for the {}:\n", card.title);
    println!("{:14} {:>9} {:>14} {:>15}", "kernel", "us", "loads", "sectors a load");
    let mut rows = Vec::new();
    for rung in RUNGS {
        let recording = multiply(&recorder, rung)?;
        let row = KernelTable::new(card, &recording).rows.swap_remove(0);
        let load = loads(&recording, &row.kernel);
        println!("{:14} {:>9.1} {:>14.0} {:>15.1}", row.kernel, 1e6 * row.seconds, load, row.load_sectors[0]);
        rows.push((row, recording));
    }
    println!();

    // The counters of each line say where the loads are.
    for (row, recording) in &rows {
        print_lines(row, recording);
    }

    let [naive, coalesced, shared] = [0, 1, 2].map(|i| &rows[i].0);
    println!(
        "{} numbers its threads down the columns of C. Each thread of a warp reads another row of A: {:.1} sectors.",
        naive.kernel, naive.load_sectors[0]
    );
    println!(
        "{} numbers them along the rows. One number of A serves the warp, and B is read side by side: {:.1} sectors.",
        coalesced.kernel, coalesced.load_sectors[0]
    );
    println!(
        "{} loads each number once for a block of 1024 threads, and reads it from shared memory after that.",
        shared.kernel
    );
    println!(
        "Try: B transposed, `a.matmul(&b.transpose(0, 1)?)`. Which kernel suffers, and which does not notice?"
    );
    println!(
        "Try: kernels/gemm/05_register_2d.cu. Its banks have 2.41 wavefronts instead of 1: on which line?"
    );
    Ok(())
}

/// One product with this rung's kernel; 4 blocks of it are counted.
fn multiply(recorder: &LaunchRecorder, rung: u32) -> Result<Recording> {
    let options = CudaOptions { gemm_rung: Some(rung), poison: false, ..CudaOptions::default() };
    let gpu = Device::cuda_with(&options)?;
    let [a, b] = [Tensor::zeros(&gpu, &[N, N], DType::F32)?, Tensor::zeros(&gpu, &[N, N], DType::F32)?];
    recorder.count(Some(4))?;
    let product = a.matmul(&b);
    let recording = recorder.finish()?;
    product.map(|_| recording)
}

/// Requests of global memory: the load instructions that all warps run.
fn loads(recording: &Recording, kernel: &str) -> f64 {
    recording.lines[kernel].values().map(|line| line.global_load.requests).sum()
}

/// The lines of source that load or store, with their counts.
fn print_lines(row: &KernelRow, recording: &Recording) {
    println!("{}", row.kernel);
    for (place, counters) in &recording.lines[&row.kernel] {
        let Some((file, line)) = place.rsplit_once(':') else { continue };
        let text = SOURCES.iter().find(|(name, _)| *name == file).map_or("", |(_, text)| text);
        let code = line.parse().ok().and_then(|line: usize| text.lines().nth(line - 1)).unwrap_or("");
        for (what, traffic, unit) in [
            ("load", counters.global_load, "sectors"),
            ("store", counters.global_store, "sectors"),
            ("load", counters.shared_load, "wavefronts"),
            ("store", counters.shared_store, "wavefronts"),
        ] {
            if traffic.requests > 0.0 {
                let each = traffic.units / traffic.requests;
                println!("    {each:5.1} {unit} a {what}, {:9.0} of them: {}", traffic.requests, code.trim());
            }
        }
    }
    println!();
}
