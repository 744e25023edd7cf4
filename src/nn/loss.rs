//! What a network is trained against.

use crate::core::Result;
use crate::ops::cross_entropy::CrossEntropy;
use crate::ops::nll_loss::NllLoss;
use crate::tensor::Tensor;

/// The loss that goes with a network's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// For outputs that are log-probabilities. PyTorch: `nn.NLLLoss`.
    Nll,
    /// For outputs that are logits. PyTorch: `nn.CrossEntropyLoss`.
    CrossEntropy,
}

impl Loss {
    /// The mean loss of a batch, a scalar. `target` holds i64 class labels.
    ///
    /// # Errors
    /// Shapes that disagree, a label that is no class.
    pub fn compute(self, output: &Tensor, target: &Tensor) -> Result<Tensor> {
        match self {
            Loss::Nll => output.nll_loss(target, None, NllLoss::default()),
            Loss::CrossEntropy => output.cross_entropy(target, None, CrossEntropy::default()),
        }
    }

    /// Class probabilities from the network's output `[N, classes]`.
    ///
    /// # Errors
    /// An output without classes.
    pub fn probabilities(self, output: &Tensor) -> Result<Tensor> {
        match self {
            Loss::Nll => output.exp(),
            Loss::CrossEntropy => output.softmax(1),
        }
    }
}
