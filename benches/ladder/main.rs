//! `cargo bench --bench ladder -- [--device auto|cpu|cuda] [--threads N] [--json FILE] [FILTER]`: both ladders, rung by rung.
//!
//! A rung is checked against f64 before it is timed. A line gives the median time of one loop, operations and bytes a second
//! (inputs and outputs counted once), the percentage of the fastest rung, and the percentage of the roof that this very
//! run measured:
//!
//! - on the CPU, of the multiply-adds that all threads together can do; memory sets no roof there, as what fits a cache is
//!   faster. Winograd multiplies less than is counted and may pass it;
//! - on a GPU, of the time that f32 multiply-adds or memory would need if nothing else were in the way. Tensor cores may
//!   pass it.
//!
//! The CPU is shown every distinct layer of the networks in the step table ([`receptive::testing::layers::all`]), the GPU a
//! few of every kind. The rung that training takes for a layer is marked, and at the end the CPU's run lists where another was
//! faster: what the choice by shape ([`receptive::cpu::conv2d::ladder::choose`]) is measured by. `--json` writes the CPU's figures; `tests/peer/convs.py` puts PyTorch's beside them.

mod cpu;
mod cuda;
mod table;

use receptive::tensor::DeviceOptions;
use receptive::testing::bench::{Arguments, release_build};
use receptive::testing::layers::{Layer, all, few};
use receptive::{Device, Error, Result};

fn main() {
    if let Err(error) = run() {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

fn run() -> Result<()> {
    let known = ["--device auto|cpu|cuda", "--threads N", "--json FILE"];
    let arguments = Arguments::parse(std::env::args().skip(1), &known)?;
    let threads = arguments.number("--threads")?.unwrap_or(0);
    let named = arguments.text("--device").unwrap_or("auto");
    let device = Device::from_name(named, &DeviceOptions::with_threads(threads))?;
    let layers = if device.as_cuda().is_some() { few() } else { all()? };
    let names: Vec<String> = layers.iter().map(Layer::name).collect();
    let usage = "cargo bench --bench ladder -- [--device auto|cpu|cuda] [--threads N] [--json FILE]";
    if let Some(answer) = arguments.answer(usage, names.iter().map(String::as_str))? {
        println!("{answer}");
        return Ok(());
    }
    release_build("cargo bench --bench ladder")?;
    match (device.as_cuda(), arguments.text("--json")) {
        (Some(_), Some(_)) => {
            Err(Error::argument("--json", "holds the CPU's figures").help("add --device cpu"))
        }
        (Some(cx), None) => cuda::run(cx, &arguments),
        (None, json) => cpu::run(threads, &arguments, json),
    }
}
