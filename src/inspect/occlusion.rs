//! Occlusion: how much the score falls when a part of the image is covered.

use super::attribution_target::{Goal, Heatmap, Nobody, Score, logits, one_image};
use crate::core::{Error, Result};
use crate::nn::Module;
use crate::tensor::Tensor;
use serde::Serialize;
use std::ops::Range;

/// Number of covered images per forward pass.
const BATCH: usize = 16;

/// The patch that covers the image.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct OcclusionOptions {
    /// The patch's side, in pixels.
    pub size: usize,
    /// Pixels from one place to the next; at most `size`, so that no pixel is left out.
    pub stride: usize,
    /// The value of the covered pixels, in the unit of `x`. If images are normalised by the data set's mean, 0 is that
    /// mean.
    pub fill: f64,
}

/// An 8x8 patch every 4 pixels, filled with 0.
impl Default for OcclusionOptions {
    fn default() -> OcclusionOptions {
        OcclusionOptions { size: 8, stride: 4, fill: 0.0 }
    }
}

/// How much the score of `goal` falls when a patch covers each pixel: a map with the size of the image, in the unit of
/// the score. `x` is one image `[1, C, H, W]`, prepared as the network's input. For a mask, the pixels that count are
/// always those of the uncovered image.
///
/// ```math
/// \begin{aligned}
/// \mathrm{drop}(\mathrm{patch}) &= \operatorname{score}(x)
///   - \operatorname{score}(x \text{ with the patch's pixels set to fill}) \\
/// \mathrm{map}_{i,j} &= \operatorname{mean}_{\mathrm{patch} \ni (i,j)} \mathrm{drop}(\mathrm{patch})
/// \end{aligned}
/// ```
///
/// A square patch is placed every `stride` pixels from the top left corner, until it reaches the opposite edge, where
/// it is cut off. If it hides evidence for the prediction, the score falls. A negative number means that covering
/// raises the score. The method needs no gradient, so it also works where saturated units make the gradient 0. It costs
/// one forward pass per place. (Zeiler, Fergus: "Visualizing and Understanding Convolutional Networks", 2014, section
/// 4.2. Where patches overlap, the mean is taken, as in Captum's `Occlusion`.)
///
/// ```
/// use receptive::inspect::{Goal, OcclusionOptions, occlusion};
/// use receptive::nn::{Flatten, Linear, ModuleExt, Sequential};
/// use receptive::{Device, Tensor};
/// let cpu = Device::cpu()?;
/// let net = Sequential::new().push(Flatten).named("fc", Linear::new(3, 2));
/// net.init(&cpu, receptive::DType::F32, 0)?;
/// let weight = Tensor::from_vec(&cpu, vec![1f32, 2.0, -3.0, 0.0, 0.0, 0.0], &[2, 3])?;
/// net.load_matching(&[("fc.weight".to_owned(), weight)].into())?;
/// let x = Tensor::from_vec(&cpu, vec![1f32; 3], &[1, 1, 1, 3])?;
/// let pixel = OcclusionOptions { size: 1, stride: 1, fill: 0.0 };
/// let map = occlusion(&net, "net", &x, Goal::Class(0), &pixel)?.map;
/// assert!(map.values.iter().zip([1.0, 2.0, -3.0]).all(|(got, want)| (got - want).abs() < 1e-6));
/// # Ok::<(), receptive::Error>(())
/// ```
///
/// # Errors
/// A number of images other than one; a patch without pixels, or wider than the image; a stride of 0 or larger than the
/// patch; a fill or score that is not finite; a class out of range; a goal that does not fit the network's output.
pub fn occlusion(
    model: &dyn Module,
    name: &str,
    x: &Tensor,
    goal: Goal,
    options: &OcclusionOptions,
) -> Result<Heatmap> {
    let [_, h, w] = one_image("occlusion", x)?;
    options.check([h, w])?;
    let x = x.detach();
    let whole = logits(model, name, &x, &Nobody)?;
    let score = Score::of(goal, name, &whole)?;
    let (rows, columns) = (options.patches(h), options.patches(w));
    let patches: Vec<[Range<usize>; 2]> =
        rows.iter().flat_map(|row| columns.iter().map(|column| [row.clone(), column.clone()])).collect();
    let (mut sum, mut count) = (vec![0f64; h * w], vec![0f64; h * w]);
    for batch in patches.chunks(BATCH) {
        let covered = cover(&x, batch, options.fill)?;
        let scores = score.values(&logits(model, name, &covered, &Nobody)?)?;
        for (patch, covered) in batch.iter().zip(scores) {
            for pixel in pixels(patch, w) {
                sum[pixel] += score.value() - covered;
                count[pixel] += 1.0;
            }
        }
    }
    sum.iter_mut().zip(count).for_each(|(sum, count)| *sum /= count);
    Ok(Heatmap::new(&score, [h, w], &sum))
}

impl OcclusionOptions {
    fn check(&self, image: [usize; 2]) -> Result<()> {
        let most = image[0].min(image[1]);
        let wrong = |what: &str, value: f64, expected: String| {
            Err(Error::argument("occlusion", format!("{what} {value} is out of range")).expected(expected))
        };
        if !(1..=most).contains(&self.size) {
            return wrong("size", self.size as f64, format!("1 to {most}, the image's shorter side"));
        }
        if !(1..=self.size).contains(&self.stride) {
            return wrong("stride", self.stride as f64, format!("1 to {}, the patch's size", self.size));
        }
        if !self.fill.is_finite() {
            return wrong("fill", self.fill, "a finite number".to_owned());
        }
        Ok(())
    }

    /// The ranges of the patches along a side of this length.
    fn patches(&self, side: usize) -> Vec<Range<usize>> {
        let last = (side - self.size).div_ceil(self.stride);
        (0..=last).map(|i| i * self.stride..(i * self.stride + self.size).min(side)).collect()
    }
}

/// One copy of the image per patch, with that patch covered.
fn cover(x: &Tensor, patches: &[[Range<usize>; 2]], fill: f64) -> Result<Tensor> {
    let (h, w) = (x.dims()[2], x.dims()[3]);
    let mut mask = vec![0u8; patches.len() * h * w];
    for (patch, mask) in patches.iter().zip(mask.chunks_exact_mut(h * w)) {
        pixels(patch, w).for_each(|pixel| mask[pixel] = 1);
    }
    x.masked_fill(&Tensor::from_vec(x.device(), mask, &[patches.len(), 1, h, w])?, fill)
}

/// Indices of the pixels under a patch, row-major in an image of this width.
fn pixels(patch: &[Range<usize>; 2], width: usize) -> impl Iterator<Item = usize> {
    let [rows, columns] = patch.clone();
    rows.flat_map(move |row| columns.clone().map(move |column| row * width + column))
}
