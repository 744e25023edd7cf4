//! The step table: the networks whose training steps are timed, with batch sizes and image sizes.

use super::steps::StepBench;
use crate::core::Result;
use crate::models::{self, ModelConfig, Network};
use crate::train::GraphMode;

/// A row of the step table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepCase {
    /// The name in `tests/peer/networks.py`, which has the same networks in PyTorch.
    pub name: &'static str,
    pub model: &'static str,
    pub batch_size: usize,
    /// Channels, height, width.
    pub input: [usize; 3],
}

const fn case(name: &'static str, model: &'static str, batch_size: usize, input: [usize; 3]) -> StepCase {
    StepCase { name, model, batch_size, input }
}

/// Every row, the smallest network first.
pub static STEP_CASES: &[StepCase] = &[
    case("mlp5_mnist_b64", "mlp", 64, [1, 28, 28]),
    case("lenet5_mnist_b64", "lenet5", 64, [1, 28, 28]),
    case("minivgg_mnist_b64", "minivgg", 64, [1, 28, 28]),
    case("lenet5_cifar_b100", "lenet5", 100, [3, 32, 32]),
    case("minivgg_cifar_b100", "minivgg", 100, [3, 32, 32]),
    case("resnet_cifar_b100", "resnet-cifar", 100, [3, 32, 32]),
    case("alexnet_b16_224", "alexnet", 16, [1, 224, 224]),
    case("vgg11small_b16_224", "vgg11-small", 16, [1, 224, 224]),
    case("vgg11_b4_224", "vgg11", 4, [1, 224, 224]),
    case("resnet18_b32_96", "resnet18", 32, [1, 96, 96]),
    case("unet64_b4_128", "unet", 4, [3, 128, 128]),
];

impl StepCase {
    /// The network, and the sizes to build it for.
    ///
    /// # Errors
    /// None for a row of the table.
    pub fn network(&self) -> Result<(Network, ModelConfig)> {
        let network = models::find(self.model)?;
        let config = ModelConfig::new(self.input, network.classes);
        Ok((network, config))
    }

    /// The benchmark of this row. It takes about this many seconds.
    pub fn bench(&self, config: ModelConfig, seconds: f64) -> StepBench {
        StepBench { config, batch_size: self.batch_size, seconds, graph: GraphMode::Auto }
    }
}
