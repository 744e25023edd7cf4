//! What a training step gives a GPU to do, in a dry run or a counting run on the simulator.
//!
//! Without the simulator, these tests do nothing and pass. They are a program of their own, because a dry run takes the
//! whole simulated GPU.

use receptive::Device;
use receptive::core::Precision;
use receptive::cuda::{CudaOptions, Recorder, Recording, Work};
use receptive::inspect::gpu_time::{CARDS, KernelTable};
use receptive::models::{self, ModelConfig};
use receptive::testing::steps::StepBench;
use receptive::train::GraphMode;
use std::sync::{Mutex, PoisonError};

/// A network, its batch size and image, and the nodes of a captured step in f32 and in tf32.
const STEPS: [(&str, usize, [usize; 3], [usize; 2]); 6] = [
    ("lenet5", 64, [1, 28, 28], [41, 41]),
    ("minivgg", 64, [1, 28, 28], [58, 58]),
    ("resnet-cifar", 100, [3, 32, 32], [182, 182]),
    ("resnet9", 512, [3, 32, 32], [229, 110]),
    ("resnet18", 32, [3, 96, 96], [334, 256]),
    ("unet", 4, [3, 128, 128], [331, 206]),
];

/// More launches in a step mean more time between them, which small networks spend most of their time on.
#[test]
fn steps_have_as_many_nodes_as_before() {
    if Recorder::find().is_err() {
        return;
    }
    for (name, batch_size, input, nodes) in STEPS {
        for (precision, nodes) in [Precision::F32, Precision::Tf32].into_iter().zip(nodes) {
            let recording = record(name, batch_size, input, precision, GraphMode::On, None);
            assert_eq!(recording.nodes.iter().filter(|n| n.of_graph).count(), nodes, "{name} in {precision}");
            let eager = record(name, batch_size, input, precision, GraphMode::Off, None);
            assert_eq!(launches(&eager), launches(&recording), "{name} in {precision}, eager");
        }
    }
}

/// Counts one block of each launch of a step, in f32 and tf32. Each kernel has counters, and instructions in
/// `kernels/resources.tsv`, so that its time can be predicted.
#[test]
fn kernels_of_all_steps_are_counted() {
    if !Recorder::find().is_ok_and(|recorder| recorder.can_count()) {
        return;
    }
    for (name, batch_size, input, _) in STEPS {
        for precision in [Precision::F32, Precision::Tf32] {
            let recording = record(name, batch_size, input, precision, GraphMode::On, Some(1));
            let table = KernelTable::new(&CARDS[0], &recording);
            assert_eq!(table.unknown, [""; 0], "{name} in {precision}");
            for node in &recording.nodes {
                let Work::Launch { kernel, counters, .. } = &node.work else { continue };
                let counters = counters.as_ref().unwrap();
                let requests = counters.all.global_load.requests + counters.all.async_load.requests;
                assert!(requests + counters.all.global_store.requests > 0.0, "{name}: {kernel}");
                assert!(!recording.lines[kernel].is_empty(), "{name}: {kernel}");
            }
            assert!(table.seconds > 1e-5 && table.seconds < 1.0, "{name}: {} s", table.seconds);
        }
    }
}

/// The tests take turns: the simulated GPU records for one at a time.
static TURN: Mutex<()> = Mutex::new(());

/// A step of a network; `blocks` of each launch are counted.
fn record(
    name: &str,
    batch_size: usize,
    input: [usize; 3],
    precision: Precision,
    graph: GraphMode,
    blocks: Option<u64>,
) -> Recording {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let options = CudaOptions { precision, poison: false, check: false, ..CudaOptions::default() };
    let network = models::find(name).unwrap();
    let config = ModelConfig::new(input, network.classes);
    let bench = StepBench { config, batch_size, seconds: 1.0, graph };
    bench.record(&network, &Device::cuda_with(&options).unwrap(), blocks).unwrap()
}

fn launches(recording: &Recording) -> usize {
    recording.nodes.iter().filter(|node| matches!(node.work, Work::Launch { .. })).count()
}
