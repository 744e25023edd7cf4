//! Losses: how far a network's output is from its target.

use super::{Criterion, Ctx, Module};
use crate::core::{Error, Named, Result};
use crate::tensor::Tensor;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// The loss that fits a network's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// For outputs that are log-probabilities. PyTorch: `nn.NLLLoss`.
    Nll,
    /// For outputs that are logits. PyTorch: `nn.CrossEntropyLoss`.
    CrossEntropy,
    /// For outputs that are logits of yes or no, one per element. PyTorch: `nn.BCEWithLogitsLoss`.
    BceWithLogits,
    /// How much the output overlaps the true mask, for yes/no logits `[N, C, H, W]`. See [`crate::ops::dice_loss`].
    Dice,
    /// The sum of `BceWithLogits` and `Dice`: single pixels and overlap.
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

impl FromStr for Loss {
    type Err = Error;

    fn from_str(text: &str) -> Result<Loss> {
        Self::named(text)
    }
}

impl Loss {
    /// [`Criterion::compute`] without settings.
    ///
    /// # Errors
    /// As [`Criterion::compute`].
    pub fn compute(self, output: &Tensor, target: &Tensor) -> Result<Tensor> {
        Criterion::from(self).compute(output, target)
    }

    /// [`Criterion::forward_and_loss`] without settings.
    ///
    /// # Errors
    /// As [`Criterion::forward_and_loss`].
    pub fn forward_and_loss(
        self,
        model: &dyn Module,
        cx: &Ctx,
        x: &Tensor,
        target: &Tensor,
    ) -> Result<(Tensor, Tensor)> {
        Criterion::from(self).forward_and_loss(model, cx, x, target)
    }

    /// Whether this is a yes/no loss per pixel. Its targets are masks, not class labels.
    pub fn takes_masks(self) -> bool {
        match self {
            Loss::Nll | Loss::CrossEntropy => false,
            Loss::BceWithLogits | Loss::Dice | Loss::BceDice => true,
        }
    }

    /// Probabilities from the network's output: of the classes for `[N, classes]`; for a yes/no loss, of yes for each
    /// element.
    ///
    /// # Errors
    /// An output without a dimension for the classes.
    pub fn probabilities(self, output: &Tensor) -> Result<Tensor> {
        match self {
            Loss::Nll => output.exp(),
            Loss::CrossEntropy => output.softmax(1),
            Loss::BceWithLogits | Loss::Dice | Loss::BceDice => output.sigmoid(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Key;
    use crate::nn::{Fusion, Hook, Linear, LogSoftmax, ModuleExt, Sequential};
    use crate::{DType, Device, ErrorKind};

    struct Watching;

    impl Hook for Watching {
        fn layer(&self, _path: &str, _module: &dyn Module, _x: &Tensor, _y: &Tensor) -> Result<()> {
            Ok(())
        }
    }

    /// One op for log_softmax and nll_loss gives the same loss and gradients to the last bit. With a hook, the two ops
    /// run.
    #[test]
    fn a_last_log_softmax_is_left_to_the_loss() {
        let cpu = Device::cpu().unwrap();
        let x = Tensor::from_vec(&cpu, (0..48).map(|i| (i as f32 * 0.7).sin() * 3.0).collect(), &[8, 6]);
        let (x, target) = (x.unwrap(), Tensor::from_slice(&cpu, &[0i64, 3, 2, 4, 1, 0, 4, 2], &[8]).unwrap());
        let net = Sequential::new().push(Linear::new(6, 5)).push(LogSoftmax(1));
        net.init(&cpu, DType::F32, 3).unwrap();
        let weight = net.trainable().unwrap().remove(0).1;
        let run = |cx: &Ctx| {
            weight.zero_grad();
            let (loss, output) = Loss::Nll.forward_and_loss(&net, cx, &x, &target).unwrap();
            loss.backward().unwrap();
            let made_by = loss.node().unwrap().op().name();
            (loss.item().unwrap(), weight.grad().unwrap().to_vec::<f32>().unwrap(), made_by, output)
        };
        let cx = Ctx::train("net", Key::new(0));
        let (fused, plain) = (run(&cx), run(&cx.with_hook(&Watching)));
        assert_eq!((fused.0, &fused.1), (plain.0, &plain.1));
        assert_eq!((fused.2, plain.2), ("cross_entropy", "nll_loss"));
        let log_p = fused.3.log_softmax(1).unwrap().to_vec::<f32>().unwrap();
        assert_eq!(log_p, plain.3.to_vec::<f32>().unwrap());
        // A log_softmax over another dimension than the classes stays in the network.
        assert!(matches!(Sequential::new().push(LogSoftmax(0)).fusion(), Fusion::None));
    }

    /// The configuration of a run and an arch file use the same names.
    #[test]
    fn a_loss_has_one_name() {
        for (name, loss) in Loss::NAMES {
            assert_eq!(serde_json::to_value(loss).unwrap(), *name);
        }
    }

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
