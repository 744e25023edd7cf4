//! What a training step gives a GPU to do, in a dry run or a counting run on the simulator.
//!
//! Without the simulator, these tests do nothing and pass. They are a program of their own, because a dry run takes the
//! whole simulated GPU.

use receptive::Device;
use receptive::core::Precision;
use receptive::cuda::{CudaOptions, DeviceWork, LaunchRecorder, Recording};
use receptive::inspect::gpu_time::{CARDS, KernelTable};
use receptive::models::{self, ModelConfig};
use receptive::testing::steps::{StepBench, StepRecording};
use receptive::train::GraphMode;
use std::sync::{Mutex, PoisonError};

/// A training step.
struct Step {
    name: &'static str,
    batch_size: usize,
    input: [usize; 3],
    /// Nodes of the captured step, in f32 and in tf32.
    nodes: [usize; 2],
    /// FLOPs and bytes of its ops.
    work: [u64; 2],
}

const STEPS: [Step; 6] = [
    Step {
        name: "lenet5",
        batch_size: 64,
        input: [1, 28, 28],
        nodes: [41, 41],
        work: [147_435_964, 16_792_284],
    },
    Step {
        name: "minivgg",
        batch_size: 64,
        input: [1, 28, 28],
        nodes: [58, 58],
        work: [1_114_984_468, 64_166_772],
    },
    Step {
        name: "resnet-cifar",
        batch_size: 100,
        input: [3, 32, 32],
        nodes: [182, 182],
        work: [17_402_616_163, 828_130_212],
    },
    Step {
        name: "resnet9",
        batch_size: 512,
        input: [3, 32, 32],
        nodes: [229, 110],
        work: [1_166_600_464_136, 10_022_289_308],
    },
    Step {
        name: "resnet18",
        batch_size: 32,
        input: [3, 96, 96],
        nodes: [334, 256],
        work: [62_900_462_477, 1_200_802_884],
    },
    Step {
        name: "unet",
        batch_size: 4,
        input: [3, 128, 128],
        nodes: [331, 206],
        work: [289_126_091_398, 2_803_895_856],
    },
];

/// More launches in a step mean more time between them, which small networks spend most of their time on.
#[test]
fn steps_have_as_many_nodes_as_before() {
    if LaunchRecorder::find().is_err() {
        return;
    }
    for Step { name, batch_size, input, nodes, work } in STEPS {
        for (precision, nodes) in [Precision::F32, Precision::Tf32].into_iter().zip(nodes) {
            let StepRecording { recording, flops, bytes } =
                record(name, batch_size, input, precision, GraphMode::On, None);
            assert_eq!([flops, bytes], work, "{name}");
            assert_eq!(recording.nodes.iter().filter(|n| n.of_graph).count(), nodes, "{name} in {precision}");
            let eager = record(name, batch_size, input, precision, GraphMode::Off, None).recording;
            assert_eq!(launches(&eager), launches(&recording), "{name} in {precision}, eager");
        }
    }
}

/// Counts one block of each launch of a step, in f32 and tf32. Each kernel has counters, and instructions in
/// `kernels/resources.tsv`, so that its time can be predicted.
#[test]
fn kernels_of_all_steps_are_counted() {
    if !LaunchRecorder::find().is_ok_and(|recorder| recorder.can_count()) {
        return;
    }
    for Step { name, batch_size, input, .. } in STEPS {
        for precision in [Precision::F32, Precision::Tf32] {
            let recording = record(name, batch_size, input, precision, GraphMode::On, Some(1)).recording;
            let table = KernelTable::new(&CARDS[0], &recording);
            assert_eq!(table.unknown, [""; 0], "{name} in {precision}");
            for node in &recording.nodes {
                let DeviceWork::Launch { kernel, counters, .. } = &node.work else { continue };
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
) -> StepRecording {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let options = CudaOptions { precision, poison: false, check: false, ..CudaOptions::default() };
    let network = models::find(name).unwrap();
    let config = ModelConfig::new(input, network.classes);
    let bench = StepBench { config, batch_size, seconds: 1.0, graph };
    bench.record(&network, &Device::cuda_with(&options).unwrap(), blocks).unwrap()
}

fn launches(recording: &Recording) -> usize {
    recording.nodes.iter().filter(|node| matches!(node.work, DeviceWork::Launch { .. })).count()
}
