//! `cargo bench --bench ladder -- [--device auto|cpu|cuda] [--threads N] [--json FILE] [--gpu CARD] [FILTER]`: both
//! ladders, rung by rung.
//!
//! A rung is checked against f64 before it is timed. A line gives the median time of one loop, operations and bytes per
//! second (inputs and outputs counted once), the percentage of the fastest rung's speed, and the percentage of the peak
//! that the same run measured:
//!
//! - on the CPU, the peak is the multiply-adds that all threads together can do. Memory is not part of it, because data
//!   in a cache are faster. Winograd multiplies less than is counted, so it may exceed 100 %;
//! - on a GPU, the peak is the time that f32 multiply-adds or memory alone would need. Tensor cores may exceed 100 %.
//!
//! Without a GPU, on a simulator built with `COUNT=1`, the GPU's table has the predicted time on a card (`--gpu`, else an
//! H100) and what limits the slowest kernel: sectors per request, bank conflicts, occupancy, spills. It shows why a rung
//! beats the one before it.
//!
//! The CPU runs every distinct layer of the networks in the step table ([`receptive::testing::layers::all`]), the GPU a
//! few of every kind. The rung that training uses for a layer is marked. At the end, the CPU's run lists the layers
//! where another rung was faster, which judges the choice by shape ([`receptive::cpu::conv2d::ladder::choose`]).
//! `--json` writes the CPU's figures, and `tests/peer/convs.py` shows PyTorch's beside them.

mod cpu;
mod cuda;
mod predicted;
mod table;

use receptive::tensor::DeviceOptions;
use receptive::testing::bench::{Arguments, release_build};
use receptive::testing::layers::{Layer, all, few};
use receptive::testing::measure_alone;
use receptive::{Device, Error, Result};

fn main() {
    if let Err(error) = run() {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

fn run() -> Result<()> {
    let known = ["--device auto|cpu|cuda", "--threads N", "--json FILE", "--gpu CARD"];
    let arguments = Arguments::parse(std::env::args().skip(1), &known)?;
    let threads = arguments.number("--threads")?.unwrap_or(0);
    let named = arguments.text("--device").unwrap_or("auto");
    let device = Device::from_name(named, &DeviceOptions::with_threads(threads))?;
    let layers = if device.as_cuda().is_some() { few() } else { all()? };
    let names: Vec<String> = layers.iter().map(Layer::name).collect();
    let usage =
        "cargo bench --bench ladder -- [--device auto|cpu|cuda] [--threads N] [--json FILE] [--gpu CARD]";
    if let Some(answer) = arguments.answer(usage, names.iter().map(String::as_str))? {
        println!("{answer}");
        return Ok(());
    }
    release_build("cargo bench --bench ladder")?;
    let _alone = measure_alone()?;
    match (device.as_cuda(), arguments.text("--json")) {
        (Some(_), Some(_)) => {
            Err(Error::argument("--json", "works only on the CPU").help("add --device cpu"))
        }
        (Some(cx), None) => cuda::run(cx, &arguments),
        (None, json) => cpu::run(threads, &arguments, json),
    }
}
