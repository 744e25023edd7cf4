//! A loss with its settings.

use super::{Ctx, Fusion, Loss, Module};
use crate::core::{Error, Result};
use crate::ops::Reduction;
use crate::ops::cross_entropy::CrossEntropy;
use crate::ops::dice_loss::DiceLoss;
use crate::ops::nll_loss::NllLoss;
use crate::tensor::{Scope, Tensor, Watch, within};
use std::fmt;
use std::sync::Arc;

/// A [`Loss`] and its settings: class weights and label smoothing. PyTorch: `nn.NLLLoss(weight)`,
/// `nn.CrossEntropyLoss(weight, label_smoothing)`.
///
/// ```
/// use receptive::nn::{Criterion, Loss};
/// use receptive::{Device, Tensor};
///
/// let cpu = Device::cpu()?;
/// let weights = Tensor::from_slice(&cpu, &[1f32, 0.0], &[2])?;
/// let criterion = Criterion::from(Loss::Nll).class_weights(weights)?;
/// let log_p = Tensor::from_slice(&cpu, &[-0.5f32, -1.0, -3.0, -0.1], &[2, 2])?;
/// let target = Tensor::from_slice(&cpu, &[0i64, 1], &[2])?;
/// assert_eq!(criterion.compute(&log_p, &target)?.item()?, 0.5); // the sample of class 1 weighs nothing
/// # Ok::<(), receptive::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Criterion {
    loss: Rule,
    label_smoothing: f64,
    class_weights: Option<Tensor>,
}

/// How the loss is computed.
#[derive(Clone)]
enum Rule {
    Known(Loss),
    Own(Arc<OwnLoss>),
}

type OwnLoss = dyn Fn(&Tensor, &Tensor) -> Result<Tensor> + Send + Sync;

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rule::Known(loss) => loss.fmt(f),
            Rule::Own(_) => f.write_str("a function"),
        }
    }
}

impl From<Loss> for Criterion {
    fn from(loss: Loss) -> Criterion {
        Criterion { loss: Rule::Known(loss), label_smoothing: 0.0, class_weights: None }
    }
}

impl From<&Criterion> for Criterion {
    fn from(criterion: &Criterion) -> Criterion {
        criterion.clone()
    }
}

impl Criterion {
    /// A loss of your own: `f(output, target)` returns a scalar. If the targets are class labels (i64), the trainer
    /// also reports the accuracy; for other targets it reports the loss alone, and the best epoch has the lowest one.
    ///
    /// ```
    /// use receptive::nn::Criterion;
    /// use receptive::ops::Reduction;
    /// use receptive::{Device, Tensor};
    ///
    /// let squared = Criterion::own(|output, target| output.mse_loss(target, Reduction::Mean));
    /// let cpu = Device::cpu()?;
    /// let y = Tensor::from_slice(&cpu, &[1f32, 2.0], &[2, 1])?;
    /// let target = Tensor::from_slice(&cpu, &[1f32, 4.0], &[2, 1])?;
    /// assert_eq!(squared.compute(&y, &target)?.item()?, 2.0);
    /// # Ok::<(), receptive::Error>(())
    /// ```
    pub fn own(f: impl Fn(&Tensor, &Tensor) -> Result<Tensor> + Send + Sync + 'static) -> Criterion {
        Criterion { loss: Rule::Own(Arc::new(f)), label_smoothing: 0.0, class_weights: None }
    }

    /// Spreads this part of each target evenly over all classes.
    ///
    /// # Errors
    /// A part outside 0 to 1; a part above 0 with a loss other than cross entropy.
    pub fn label_smoothing(self, part: f64) -> Result<Criterion> {
        if !(0.0..=1.0).contains(&part) {
            return Err(Error::argument("`Criterion::label_smoothing`", format!("{part} is out of range"))
                .expected("0 to 1"));
        }
        if part > 0.0 && self.loss() != Some(Loss::CrossEntropy) {
            return Err(Error::argument(
                "`Criterion::label_smoothing`",
                "works only with the loss cross_entropy",
            )
            .help("train with `Loss::CrossEntropy`: it accepts log-probabilities and logits"));
        }
        Ok(Criterion { label_smoothing: part, ..self })
    }

    /// Gives each class a weight: `weights` is `[classes]`. The mean over a batch divides by the sum of its samples'
    /// weights.
    ///
    /// # Errors
    /// A yes/no loss, which has no classes.
    pub fn class_weights(self, weights: Tensor) -> Result<Criterion> {
        if self.loss().is_none_or(Loss::takes_masks) {
            return Err(Error::argument("`Criterion::class_weights`", "works only with a loss for classes"));
        }
        Ok(Criterion { class_weights: Some(weights), ..self })
    }

    /// The loss, without its settings; `None` for a loss of your own.
    pub fn loss(&self) -> Option<Loss> {
        match self.loss {
            Rule::Known(loss) => Some(loss),
            Rule::Own(_) => None,
        }
    }

    /// The mean loss of a batch, a scalar. `target` holds i64 class labels; for cross entropy it may hold probabilities
    /// instead, of the output's shape and dtype. For a yes/no loss it holds one number from
    /// 0 to 1 per element of the output, of any dtype (a mask `[N, H, W]` is accepted for `[N, 1, H, W]`).
    ///
    /// # Errors
    /// Shapes that disagree; a label that is not a class.
    pub fn compute(&self, output: &Tensor, target: &Tensor) -> Result<Tensor> {
        let (weights, label_smoothing) = (self.class_weights.as_ref(), self.label_smoothing);
        let loss = match &self.loss {
            Rule::Known(loss) => *loss,
            Rule::Own(f) => return own_loss(f(output, target)?),
        };
        match loss {
            Loss::Nll => output.nll_loss(target, weights, NllLoss::default()),
            Loss::CrossEntropy => output.cross_entropy(
                target,
                weights,
                CrossEntropy { label_smoothing, ..CrossEntropy::default() },
            ),
            Loss::BceWithLogits => bce(output, &mask(output, target)?),
            Loss::Dice => output.dice_loss(&mask(output, target)?, DiceLoss::default()),
            Loss::BceDice => {
                let mask = mask(output, target)?;
                bce(output, &mask)?.add(&output.dice_loss(&mask, DiceLoss::default())?)
            }
        }
    }

    /// Runs `model` on a batch and returns the mean loss, as [`compute`](Self::compute) gives it, and the output. If
    /// the network ends in log_softmax, the output may be the scores before it, which rank the classes in the same
    /// order. Then one op computes log_softmax and loss. With a hook, the network runs to its end.
    ///
    /// # Errors
    /// Shapes that do not fit; a label that is not a class.
    pub fn forward_and_loss(
        &self,
        model: &dyn Module,
        cx: &Ctx,
        x: &Tensor,
        target: &Tensor,
    ) -> Result<(Tensor, Tensor)> {
        let watch = Watch::on(x.device());
        let layer = |name: &str| Scope::Layer(name.to_owned());
        let forward = || -> Result<(Rule, Tensor)> {
            match model.fusion() {
                Fusion::BeforeLoss(model) if self.loss() == Some(Loss::Nll) && !cx.is_watched() => {
                    Ok((Rule::Known(Loss::CrossEntropy), model.scores(cx, x)?))
                }
                _ => Ok((self.loss.clone(), model.forward(cx, x)?)),
            }
        };
        let (loss, output) = within(watch.as_ref(), || layer(""), forward)?;
        let criterion = Criterion { loss, ..self.clone() };
        let loss = within(watch.as_ref(), || layer("loss"), || criterion.compute(&output, target))?;
        Ok((loss, output))
    }
}

/// The result of a loss of one's own, if it is a scalar.
fn own_loss(loss: Tensor) -> Result<Tensor> {
    match loss.dims() {
        [] => Ok(loss),
        dims => Err(Error::shape("`Criterion::own`", "the loss is not a scalar")
            .with("loss", format_args!("{dims:?}"))
            .help("reduce it with `mean_all` or `sum_all`")),
    }
}

fn bce(output: &Tensor, mask: &Tensor) -> Result<Tensor> {
    output.binary_cross_entropy_with_logits(mask, None, None, Reduction::Mean)
}

/// `target` in the dtype of `output`. If only the dimension of one channel is missing, it is added.
fn mask(output: &Tensor, target: &Tensor) -> Result<Tensor> {
    let mask = target.to_dtype(output.dtype())?;
    match (output.dims(), mask.dims()) {
        ([n, 1, image @ ..], [m, mask_image @ ..]) if n == m && image == mask_image => {
            mask.reshape(output.dims())
        }
        _ => Ok(mask),
    }
}
