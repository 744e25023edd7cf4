//! What a training step gives a GPU to do, in a dry run on the simulator: launches are listed and not run.

use receptive::Device;
use receptive::core::Precision;
use receptive::cuda::{CudaOptions, Recorder, Recording, Work};
use receptive::models::{self, ModelConfig};
use receptive::testing::steps::StepBench;
use receptive::train::GraphMode;

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
            let device = Device::cuda_with(&CudaOptions {
                precision,
                poison: false,
                check: false,
                ..CudaOptions::default()
            })
            .unwrap();
            let network = models::find(name).unwrap();
            let config = ModelConfig::new(input, network.classes);
            let bench = StepBench { config, batch_size, seconds: 1.0, graph: GraphMode::On };
            let recording = bench.record(&network, &device, None).unwrap();
            assert_eq!(recording.nodes.iter().filter(|n| n.of_graph).count(), nodes, "{name} in {precision}");
            let eager = StepBench { graph: GraphMode::Off, ..bench }.record(&network, &device, None).unwrap();
            assert_eq!(launches(&eager), launches(&recording), "{name} in {precision}, eager");
        }
    }
}

fn launches(recording: &Recording) -> usize {
    recording.nodes.iter().filter(|node| matches!(node.work, Work::Launch { .. })).count()
}
