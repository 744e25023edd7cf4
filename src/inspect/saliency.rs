//! Saliency: how strongly the score reacts to each pixel.

use super::attribution_target::{Goal, Heatmap, Nobody, Score, logits, one_image};
use crate::core::{Error, ErrorKind, Result};
use crate::nn::Module;
use crate::tensor::Tensor;

/// How strongly the score of `goal` depends on each pixel: a map with the size of the image. `x` is one image
/// `[1, C, H, W]`, prepared as the network's input. The unit is that of the score divided by that of `x`.
///
/// ```math
/// \mathrm{map}_{i,j} = \max_c \left| \frac{\mathrm{d\,score}}{\mathrm{d} x_{c,i,j}} \right|
/// ```
///
/// with the maximum over the channels c. It takes one backward pass to the image. (Simonyan, Vedaldi, Zisserman: "Deep
/// Inside Convolutional Networks: Visualising Image Classification Models and Saliency Maps", 2014, section 3.1.)
///
/// ```
/// use receptive::inspect::{Goal, saliency};
/// use receptive::nn::{Flatten, Linear, ModuleExt, Sequential};
/// use receptive::{Device, Tensor};
/// let cpu = Device::cpu()?;
/// let net = Sequential::new().push(Flatten).named("fc", Linear::new(2, 2));
/// net.init(&cpu, receptive::DType::F32, 0)?;
/// let weight = Tensor::from_vec(&cpu, vec![1f32, -3.0, 5.0, 7.0], &[2, 2])?;
/// net.load_matching(&[("fc.weight".to_owned(), weight)].into())?;
/// let x = Tensor::from_vec(&cpu, vec![0.5f32, 0.5], &[1, 1, 1, 2])?;
/// assert_eq!(saliency(&net, "net", &x, Goal::Class(0))?.map.values, [1.0, 3.0]);
/// # Ok::<(), receptive::Error>(())
/// ```
///
/// # Errors
/// A number of images other than one; a class out of range; a goal that does not fit the network's output; a score that
/// is not finite; a score that does not depend on the image.
pub fn saliency(model: &dyn Module, name: &str, x: &Tensor, goal: Goal) -> Result<Heatmap> {
    let [_, h, w] = one_image("saliency", x)?;
    let x = x.requires_grad();
    let logits = logits(model, name, &x, &Nobody)?;
    let score = Score::of(goal, name, &logits)?;
    score.backward(&logits)?;
    let gradient = x.grad().ok_or_else(|| {
        Error::new(ErrorKind::NoGradient, "saliency", "the score does not depend on the image")
            .at(|| name.into())
    })?;
    let mut map = vec![0f64; h * w];
    for channel in gradient.to_f64()?.chunks_exact(h * w) {
        for (most, value) in map.iter_mut().zip(channel) {
            let size = value.abs();
            // Keep NaN.
            if size > *most || size.is_nan() {
                *most = size;
            }
        }
    }
    Ok(Heatmap::new(&score, [h, w], &map))
}
