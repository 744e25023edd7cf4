//! What a network is trained against.

use crate::core::{Named, Result};
use crate::ops::Reduction;
use crate::ops::cross_entropy::CrossEntropy;
use crate::ops::dice_loss::DiceLoss;
use crate::ops::nll_loss::NllLoss;
use crate::tensor::Tensor;

/// The loss that goes with a network's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// For outputs that are log-probabilities. PyTorch: `nn.NLLLoss`.
    Nll,
    /// For outputs that are logits. PyTorch: `nn.CrossEntropyLoss`.
    CrossEntropy,
    /// For outputs that are logits of yes or no, one an element. PyTorch: `nn.BCEWithLogitsLoss`.
    BceWithLogits,
    /// The overlap with the true mask, for logits of yes or no `[N, C, H, W]`. See [`crate::ops::dice_loss`].
    Dice,
    /// The sum of the two before: pixels and overlap.
    BceDice,
}

impl Named for Loss {
    const WHAT: &'static str = "loss";
    const NAMES: &'static [(&'static str, Loss)] = &[
        ("nll", Loss::Nll),
        ("cross_entropy", Loss::CrossEntropy),
        ("bce_with_logits", Loss::BceWithLogits),
        ("dice", Loss::Dice),
        ("bce_dice", Loss::BceDice),
    ];
}

impl Loss {
    /// The mean loss of a batch, a scalar. `target` holds i64 class labels; for a loss of yes or no it has the output's
    /// elements (a mask `[N, H, W]` will do for `[N, 1, H, W]`), from 0 to 1, of any dtype.
    ///
    /// # Errors
    /// Shapes that disagree, a label that is no class.
    pub fn compute(self, output: &Tensor, target: &Tensor) -> Result<Tensor> {
        match self {
            Loss::Nll => output.nll_loss(target, None, NllLoss::default()),
            Loss::CrossEntropy => output.cross_entropy(target, None, CrossEntropy::default()),
            Loss::BceWithLogits => {
                let mask = mask(output, target)?;
                output.binary_cross_entropy_with_logits(&mask, None, None, Reduction::Mean)
            }
            Loss::Dice => output.dice_loss(&mask(output, target)?, DiceLoss::default()),
            Loss::BceDice => {
                let mask = mask(output, target)?;
                let pixels = Loss::BceWithLogits.compute(output, &mask)?;
                pixels.add(&Loss::Dice.compute(output, &mask)?)
            }
        }
    }

    /// Whether it is one of yes or no for each pixel: targets are masks, not class labels.
    pub fn takes_masks(self) -> bool {
        match self {
            Loss::Nll | Loss::CrossEntropy => false,
            Loss::BceWithLogits | Loss::Dice | Loss::BceDice => true,
        }
    }

    /// Probabilities from the network's output: of the classes for `[N, classes]`, of yes for each element where the
    /// loss is one of yes or no.
    ///
    /// # Errors
    /// An output without classes.
    pub fn probabilities(self, output: &Tensor) -> Result<Tensor> {
        match self {
            Loss::Nll => output.exp(),
            Loss::CrossEntropy => output.softmax(1),
            Loss::BceWithLogits | Loss::Dice | Loss::BceDice => output.sigmoid(),
        }
    }
}

/// `target` in the dtype of `output`, with its dimension of one channel where only that is missing.
fn mask(output: &Tensor, target: &Tensor) -> Result<Tensor> {
    let mask = target.to_dtype(output.dtype())?;
    match (output.dims(), mask.dims()) {
        ([n, 1, image @ ..], [m, mask_image @ ..]) if n == m && image == mask_image => {
            mask.reshape(output.dims())
        }
        _ => Ok(mask),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Device, ErrorKind};

    #[test]
    fn a_mask_may_lack_the_channel_and_be_u8() {
        let cpu = Device::cpu().unwrap();
        let x = Tensor::from_slice(&cpu, &[0f32, 2.0, -1.0, 3.0], &[2, 1, 2, 1]).unwrap();
        let bytes = Tensor::from_slice(&cpu, &[1u8, 0, 0, 1], &[2, 2, 1]).unwrap();
        let floats = Tensor::from_slice(&cpu, &[1f32, 0.0, 0.0, 1.0], &[2, 1, 2, 1]).unwrap();
        for loss in [Loss::BceWithLogits, Loss::Dice, Loss::BceDice] {
            let got = loss.compute(&x, &bytes).unwrap().item().unwrap();
            assert_eq!(got, loss.compute(&x, &floats).unwrap().item().unwrap(), "{loss:?}");
            let wrong = loss.compute(&x, &bytes.reshape(&[4, 1]).unwrap());
            assert_eq!(wrong.unwrap_err().kind(), ErrorKind::Shape, "{loss:?}");
            assert_eq!(loss.probabilities(&x).unwrap().to_vec::<f32>().unwrap()[0], 0.5);
        }
    }
}
