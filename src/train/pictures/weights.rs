//! `weights.svg`: the first layer's weights as images. They show which pixel pattern each output responds to.

use super::layout::{GAP, TEXT, TITLE, heading, note, three_digits};
use crate::core::text::thousands;
use crate::core::{Error, ErrorKind, Result};
use crate::data::Image;
use crate::draw::color::{FAINT, INK, diverging};
use crate::draw::font::{fit, width};
use crate::draw::{Anchor, Rgb, Svg};
use crate::nn::{Module, ModuleExt};

/// The most filters that are shown.
const MOST: usize = 64;
const BAR: [f64; 2] = [240.0, 12.0];

/// Weights that act directly on pixels.
#[derive(Debug, Clone)]
pub struct FirstLayer {
    /// The parameter's name: `conv1.weight`.
    pub path: String,
    /// `[O, C, H, W]`. H and W are the kernel's size, or for a linear layer the image's.
    pub dims: [usize; 4],
    pub values: Vec<f64>,
    /// The names of the outputs. If this is empty, outputs are shown by their numbers.
    pub names: Vec<String>,
}

impl FirstLayer {
    /// The current first weights of a model for images of size `[C, H, W]`. `None` if they do not act on pixels, that
    /// is, if they belong neither to a convolution nor to a linear layer on whole images. Outputs have no names.
    ///
    /// # Errors
    /// A model without weight values.
    pub fn of(model: &dyn Module, image: [usize; 3]) -> Result<Option<FirstLayer>> {
        let params = model.params();
        let first = params.iter().find(|(_, param)| param.dims().len() >= 2);
        let Some((path, param)) = first else { return Ok(None) };
        let dims = match (param.dims(), image) {
            (&[o, c, h, w], _) => [o, c, h, w],
            (&[o, i], [c, h, w]) if i == c * h * w => [o, c, h, w],
            _ => return Ok(None),
        };
        let values = param.value()?.detach().to_f64()?;
        Ok(Some(FirstLayer { path: path.clone(), dims, values, names: Vec::new() }))
    }

    /// The largest absolute value. It sets one scale for all images.
    ///
    /// # Errors
    /// Weights that are not finite.
    pub fn largest(&self) -> Result<f64> {
        if self.values.iter().any(|v| !v.is_finite()) {
            return Err(Error::new(ErrorKind::NonFinite, &*self.path, "the weights are not finite")
                .help("the weights are damaged, or their training diverged"));
        }
        Ok(self.values.iter().fold(0.0, |m: f64, v| m.max(v.abs())))
    }

    /// Output `o` as an image. Three channels are shown as colours around grey. For other numbers of channels, their
    /// mean is shown.
    fn image(&self, o: usize, largest: f64) -> Image {
        let [_, c, h, w] = self.dims;
        let values = &self.values[o * c * h * w..][..c * h * w];
        let share = |v: f64| if largest > 0.0 { v / largest } else { 0.0 };
        if c == 3 {
            let pixels = values.iter().map(|&v| channel(share(v))).collect();
            return Image { size: [3, h, w], pixels };
        }
        let at = |i: usize| diverging((0..c).map(|k| share(values[k * h * w + i])).sum::<f64>() / c as f64);
        let pixels = (0..3).flat_map(|k| (0..h * w).map(move |i| at(i).0[k])).collect();
        Image { size: [3, h, w], pixels }
    }
}

/// A channel's byte; grey means 0.
fn channel(share: f64) -> u8 {
    (127.5 + 127.5 * share).round().clamp(0.0, 255.0) as u8
}

/// Draws the weights of the first 64 outputs as images, all on one scale.
///
/// # Errors
/// Weights that are not finite.
pub fn draw_weights(title: &str, layer: &FirstLayer) -> Result<String> {
    let largest = layer.largest()?;
    let [outputs, c, h, w] = layer.dims;
    let shown = outputs.min(MOST);
    let columns = match shown {
        0..=6 => shown.max(1),
        7..=10 => 5,
        _ => 8,
    };
    // Small kernels are enlarged more.
    let scale = (if h.max(w) <= 16 { 64 } else { 96 } / h.max(w).max(1)).max(1);
    let side = [w, h].map(|n| (n * scale) as f64);
    let cell = [side[0].max(64.0) + GAP, side[1] + 16.0 + GAP];
    let top = TITLE + 22.0;
    let page = (GAP + columns as f64 * cell[0]).max(BAR[0] + 160.0);
    let bottom = top + shown.div_ceil(columns) as f64 * cell[1];
    let mut svg = Svg::new(page, bottom + if c == 3 { 78.0 } else { 46.0 });
    heading(&mut svg, title, page);
    let part = if shown < outputs { format!("the first {shown} of ") } else { String::new() };
    note(&mut svg, &format!("{}: {part}{} outputs, each {c}×{h}×{w}", layer.path, thousands(outputs)), page);
    for o in 0..shown {
        let [x, y] = [GAP + (o % columns) as f64 * cell[0], top + (o / columns) as f64 * cell[1]];
        svg.image(&layer.image(o, largest), [x, y], scale);
        svg.frame([x, y], side, FAINT);
        let name = layer.names.get(o).cloned().unwrap_or_else(|| o.to_string());
        svg.text(&fit(&name, TEXT, cell[0] - 8.0), [x, y + side[1] + 15.0], TEXT, Anchor::Start, INK);
    }
    legend(&mut svg, [GAP, bottom + 4.0], largest, c == 3);
    Ok(svg.finish())
}

/// The scale: one bar, or one bar per colour.
fn legend(svg: &mut Svg, [x, y]: [f64; 2], largest: f64, color: bool) {
    let bars: &[&str] = if color { &["red", "green", "blue"] } else { &["weight"] };
    let left = x + width("green ", TEXT).max(width("weight ", TEXT)).ceil();
    for (k, name) in bars.iter().enumerate() {
        let y = y + 16.0 * k as f64;
        svg.text(name, [left - 6.0, y + 10.0], TEXT, Anchor::End, FAINT);
        let steps = 60;
        for i in 0..steps {
            let t = (2 * i + 1 - steps) as f64 / (steps - 1) as f64;
            let mut rgb = [channel(0.0); 3];
            rgb[k] = channel(t);
            let fill = if color { Rgb(rgb) } else { diverging(t) };
            let step = BAR[0] / f64::from(steps);
            svg.rect([left + step * f64::from(i), y], [step, BAR[1]], fill);
        }
    }
    let below = y + 16.0 * bars.len() as f64 + 10.0;
    for (at, value) in [(0.0, -largest), (0.5, 0.0), (1.0, largest)] {
        svg.text(&three_digits(value), [left + at * BAR[0], below], TEXT, Anchor::Middle, FAINT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(dims: [usize; 4], value: impl Fn(usize) -> f64) -> FirstLayer {
        let values = (0..dims.iter().product()).map(value).collect();
        FirstLayer { path: "conv1.weight".to_owned(), dims, values, names: Vec::new() }
    }

    #[test]
    fn zero_is_neutral_and_the_largest_is_full() {
        let grey = layer([1, 1, 1, 3], |i| [-2.0, 0.0, 2.0][i]);
        let image = grey.image(0, grey.largest().unwrap());
        let pixel = |i: usize| Rgb([0, 1, 2].map(|k| image.pixels[k * 3 + i]));
        assert_eq!([0, 1, 2].map(pixel), [-1.0, 0.0, 1.0].map(diverging));
        let color = layer([1, 3, 1, 1], |i| [-2.0, 0.0, 2.0][i]);
        assert_eq!(color.image(0, 2.0).pixels, [0, 128, 255]);
    }

    #[test]
    fn many_outputs_are_cut_and_all_zeros_are_drawn() {
        let svg = draw_weights("t", &layer([100, 1, 28, 28], |_| 0.0)).unwrap();
        assert_eq!(svg.matches("<image").count(), 64);
        assert!(svg.contains("the first 64 of 100 outputs, each 1×28×28") && !svg.contains("NaN"));
        let svg = draw_weights("t", &layer([1, 3, 3, 3], |i| i as f64)).unwrap();
        assert!(svg.matches("<image").count() == 1 && svg.contains("−26.0"), "{svg}");
    }

    /// The largest and the smallest numbers of the type: each channel is divided by the largest value before the mean
    /// is taken.
    #[test]
    fn extreme_weights_are_drawn() {
        for size in [f64::MAX, 1e35, f64::from_bits(1)] {
            let layer = layer([2, 2, 2, 2], |i| if i % 3 == 0 { -size } else { size });
            let svg = draw_weights("t", &layer).unwrap();
            assert!(svg.len() < 30_000 && !svg.contains("NaN") && !svg.contains("inf"), "{size}");
            let image = layer.image(0, size);
            assert_eq!(image.pixels[0], 255, "one channel at each end: white");
        }
    }

    #[test]
    fn weights_that_are_not_finite_are_refused() {
        let error = draw_weights("t", &layer([1, 1, 2, 2], |_| f64::NAN)).unwrap_err();
        assert!(error.kind() == ErrorKind::NonFinite && error.to_string().contains("conv1.weight"));
    }
}
