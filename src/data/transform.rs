//! The steps between an image file and a batch. (torchvision: `transforms.v2`.)
//!
//! A [`Pipeline`] is a list of [`Transform`]s and a [`Normalize`]. The random numbers of a transform depend on a key
//! and the image's position in its set. So a sample looks the same whichever thread makes it, also in a resumed run. An
//! image and its mask get the same geometry: pixels are resized bilinearly, masks by the nearest pixel.

use super::resize::{Resizer, nearest};
use super::{Image, ImageSize, Normalize};
use crate::core::{Error, Float, Key, Result};
use serde::{Deserialize, Serialize};

/// The limit for the sides that a transform makes, and for padding.
const LONGEST: usize = 1 << 14;

/// One transform. Sizes are `[height, width]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Transform {
    /// Adds a border of `fill` on all four sides. In masks the border is 0.
    Pad { padding: usize, fill: u8 },
    /// Mirrors the image with this probability.
    RandomHorizontalFlip(f64),
    /// Cuts a window of this size at a random place inside the image.
    RandomCrop([usize; 2]),
    /// Cuts a window with a random fraction (`scale`) of the area and a random `ratio` of width to height, and resizes
    /// it.
    RandomResizedCrop { size: [usize; 2], scale: [f64; 2], ratio: [f64; 2] },
    /// Stretches the image to this size, bilinearly with antialias.
    Resize([usize; 2]),
    /// Resizes the image so that its shorter side has this length.
    ResizeShorter(usize),
    /// Cuts the middle. If the image is smaller, the rest is 0.
    CenterCrop([usize; 2]),
    /// Fills one square of this side at a random place inside the image, with one byte per channel. Masks are not
    /// changed. (DeVries and Taylor, "Improved regularization of convolutional neural networks with Cutout", 2017.)
    Cutout { side: usize, fill: Vec<u8> },
}

/// Buffers for applying transforms, to be reused.
#[derive(Debug, Default)]
pub struct Scratch {
    image: Image,
    resizer: Resizer,
}

/// All steps from a set's images to a network's input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pipeline {
    /// The transforms, in order.
    pub steps: Vec<Transform>,
    /// The last step, from bytes to numbers.
    pub normalize: Normalize,
}

impl From<Normalize> for Pipeline {
    /// No transforms.
    fn from(normalize: Normalize) -> Pipeline {
        Pipeline { steps: Vec::new(), normalize }
    }
}

impl Pipeline {
    /// The size of the result, `[C, H, W]`.
    ///
    /// # Errors
    /// Steps that do not fit an image of this size; images that still differ in size at the end; a normalisation that
    /// does not fit the images.
    pub fn output(&self, size: ImageSize) -> Result<[usize; 3]> {
        let size = Transform::output_of_all(&self.steps, size)?;
        self.normalize.check(size)?;
        Ok(size)
    }

    /// Transforms image number `sample`, and its mask in the same way. `key` is the key of the epoch.
    ///
    /// # Errors
    /// An image that is too small for a step.
    pub fn apply(
        &self,
        key: Key,
        sample: usize,
        image: &mut Image,
        mask: Option<&mut Image>,
        scratch: &mut Scratch,
    ) -> Result<()> {
        Transform::apply_all(&self.steps, key, sample, image, mask, scratch)
    }

    /// The `C * H * W` numbers of an image that has passed the steps.
    ///
    /// # Errors
    /// A normalisation that does not fit the image.
    pub fn numbers<T: Float>(&self, image: &Image) -> Result<Vec<T>> {
        let mut numbers = vec![T::ZERO; image.pixels.len()];
        self.normalize.table(image.size)?.write(image, &mut numbers);
        Ok(numbers)
    }
}

impl Transform {
    pub(super) fn output_of_all(steps: &[Transform], size: ImageSize) -> Result<[usize; 3]> {
        match steps.iter().try_fold(size, |size, step| step.output(size))? {
            ImageSize::Fixed(size) => Ok(size),
            ImageSize::Varied { .. } => Err(Error::shape("resize", "the images differ in size")
                .expected("one size for all images of a batch")
                .help("`config.resize = N` makes them N x N")),
        }
    }

    pub(super) fn apply_all(
        steps: &[Transform],
        key: Key,
        sample: usize,
        image: &mut Image,
        mut mask: Option<&mut Image>,
        scratch: &mut Scratch,
    ) -> Result<()> {
        for (i, step) in steps.iter().enumerate() {
            let change = step.draw(image.size, &mut Draws::of(key, sample, i))?;
            change.apply(image, scratch, true);
            if let Some(mask) = mask.as_deref_mut() {
                change.apply(mask, scratch, false);
            }
        }
        Ok(())
    }

    /// The changes that the steps make to an image of this size, with their random numbers drawn.
    pub(super) fn draw_all(
        steps: &[Transform],
        key: Key,
        sample: usize,
        mut size: [usize; 3],
    ) -> Result<Vec<DrawnTransform<'_>>> {
        let mut changes = Vec::with_capacity(steps.len());
        for (i, step) in steps.iter().enumerate() {
            let change = step.draw(size, &mut Draws::of(key, sample, i))?;
            size = change.output(size);
            changes.push(change);
        }
        Ok(changes)
    }

    /// The size after this step.
    ///
    /// # Errors
    /// A size of 0 or beyond the limit; images smaller than a crop; a fill for another number of channels;
    /// probabilities and ranges out of range.
    pub fn output(&self, size: ImageSize) -> Result<ImageSize> {
        self.check(size)?;
        let sized = |[h, w]: [usize; 2]| ImageSize::Fixed([size.channels(), h, w]);
        Ok(match (self, size) {
            (Transform::Pad { padding, .. }, ImageSize::Fixed([_, h, w])) => {
                sized([h + 2 * padding, w + 2 * padding])
            }
            (Transform::ResizeShorter(side), ImageSize::Fixed([_, h, w])) => sized(shorter(*side, [h, w])),
            (Transform::RandomCrop(to) | Transform::CenterCrop(to) | Transform::Resize(to), _)
            | (Transform::RandomResizedCrop { size: to, .. }, _) => sized(*to),
            _ => size,
        })
    }

    fn check(&self, size: ImageSize) -> Result<()> {
        let side = |n: usize| match n {
            1..=LONGEST => Ok(()),
            _ => Err(Error::argument(self.name(), format!("{n} pixels are out of range"))
                .expected(format!("1 to {LONGEST}"))),
        };
        let range = |[low, high]: [f64; 2], most: f64| match 0.0 < low && low <= high && high <= most {
            true => Ok(()),
            false => Err(Error::argument(self.name(), format!("{low} to {high} is out of range"))
                .expected(format!("above 0, at most {most}"))),
        };
        match self {
            Transform::Pad { padding, .. } => side((*padding).max(1)),
            Transform::RandomHorizontalFlip(p) if (0.0..=1.0).contains(p) => Ok(()),
            Transform::RandomHorizontalFlip(p) => {
                Err(Error::argument(self.name(), format!("{p} is not a probability")).expected("0 to 1"))
            }
            Transform::RandomCrop([h, w]) => {
                side(*h)?;
                side(*w)?;
                size.fixed().map_or(Ok(()), |size| self.fits(size, [*h, *w]))
            }
            Transform::Resize([h, w]) | Transform::CenterCrop([h, w]) => side(*h).and(side(*w)),
            Transform::ResizeShorter(n) => side(*n),
            Transform::RandomResizedCrop { size: [h, w], scale, ratio } => {
                side(*h).and(side(*w)).and(range(*scale, 1.0)).and(range(*ratio, 1e3))
            }
            Transform::Cutout { side: n, fill } => {
                side(*n)?;
                if fill.len() != size.channels() {
                    let what = format!(
                        "the fill has {} bytes, but the images have {} channels",
                        fill.len(),
                        size.channels()
                    );
                    return Err(Error::argument(self.name(), what));
                }
                size.fixed().map_or(Ok(()), |size| self.fits(size, [*n, *n]))
            }
        }
    }

    fn fits(&self, [_, h, w]: [usize; 3], [height, width]: [usize; 2]) -> Result<()> {
        if height <= h && width <= w {
            return Ok(());
        }
        Err(Error::shape(self.name(), "the image is smaller than the window")
            .with("image", format_args!("{w}x{h}"))
            .with("window", format_args!("{width}x{height}")))
    }

    /// torchvision's name.
    pub fn name(&self) -> &'static str {
        match self {
            Transform::Pad { .. } => "Pad",
            Transform::RandomHorizontalFlip(_) => "RandomHorizontalFlip",
            Transform::RandomCrop(_) => "RandomCrop",
            Transform::RandomResizedCrop { .. } => "RandomResizedCrop",
            Transform::Resize(_) | Transform::ResizeShorter(_) => "Resize",
            Transform::CenterCrop(_) => "CenterCrop",
            Transform::Cutout { .. } => "Cutout",
        }
    }

    /// The change that this step makes to an image of this size.
    fn draw(&self, size: [usize; 3], draws: &mut Draws) -> Result<DrawnTransform<'_>> {
        let [_, h, w] = size;
        Ok(match self {
            Transform::Pad { padding, fill } => {
                let start = -(*padding as isize);
                let size = [h + 2 * padding, w + 2 * padding];
                DrawnTransform::Window { top: start, left: start, size, fill: *fill }
            }
            Transform::RandomHorizontalFlip(p) if draws.uniform() < *p => DrawnTransform::Flip,
            Transform::RandomHorizontalFlip(_) => DrawnTransform::Nothing,
            Transform::RandomCrop([height, width]) => {
                self.fits(size, [*height, *width])?;
                let (top, left) = (draws.below(h - height + 1), draws.below(w - width + 1));
                DrawnTransform::window(top, left, [*height, *width])
            }
            Transform::RandomResizedCrop { size, scale, ratio } => {
                let (top, left, window) = resized_crop([h, w], *scale, *ratio, draws);
                DrawnTransform::ResizedCrop { top, left, window, size: *size }
            }
            Transform::Resize(size) => DrawnTransform::Resize(*size),
            Transform::ResizeShorter(side) => {
                let to = shorter(*side, [h, w]);
                if to.iter().any(|&n| n > LONGEST) {
                    return Err(Error::shape(self.name(), "the image is too long and thin")
                        .with("image", format_args!("{w}x{h}"))
                        .with("resized", format_args!("{}x{}", to[1], to[0])));
                }
                DrawnTransform::Resize(to)
            }
            Transform::CenterCrop(size) => DrawnTransform::Window {
                top: middle(h, size[0]),
                left: middle(w, size[1]),
                size: *size,
                fill: 0,
            },
            Transform::Cutout { side, fill } => {
                self.fits(size, [*side, *side])?;
                let (top, left) = (draws.below(h - side + 1), draws.below(w - side + 1));
                DrawnTransform::Erase { top, left, side: *side, fill }
            }
        })
    }
}

/// The random numbers of one step for one image.
struct Draws {
    key: Key,
    next: u64,
}

impl Draws {
    /// The random numbers of step `i` for image `sample`. Each of up to 256 steps has 256 draws.
    fn of(key: Key, sample: usize, i: usize) -> Draws {
        Draws { key, next: (sample as u64) << 16 | (i as u64) << 8 }
    }

    fn uniform(&mut self) -> f64 {
        self.next += 1;
        self.key.uniform(4 * (self.next - 1))
    }

    fn between(&mut self, [low, high]: [f64; 2]) -> f64 {
        low + (high - low) * self.uniform()
    }

    fn below(&mut self, n: usize) -> usize {
        self.next += 1;
        self.key.below(self.next - 1, n)
    }
}

/// The size whose shorter side is `side`. (As torchvision, rounds the longer side down.)
fn shorter(side: usize, [h, w]: [usize; 2]) -> [usize; 2] {
    if h <= w { [side, side * w / h] } else { [side * h / w, side] }
}

/// Where a window in the middle starts, rounded as in torchvision. Negative if the image is smaller than the window.
fn middle(length: usize, window: usize) -> isize {
    match length.checked_sub(window) {
        Some(rest) => (rest as f64 / 2.0).round_ties_even() as isize,
        None => -((window - length) as isize / 2),
    }
}

/// Tries ten times to fit a window of random area and ratio, then takes the middle. (torchvision:
/// `RandomResizedCrop.get_params`.)
fn resized_crop(
    [h, w]: [usize; 2],
    scale: [f64; 2],
    ratio: [f64; 2],
    draws: &mut Draws,
) -> (usize, usize, [usize; 2]) {
    let area = (h * w) as f64;
    for _ in 0..10 {
        let target = area * draws.between(scale);
        let aspect = draws.between(ratio.map(f64::ln)).exp();
        let width = (target * aspect).sqrt().round_ties_even() as usize;
        let height = (target / aspect).sqrt().round_ties_even() as usize;
        if (1..=h).contains(&height) && (1..=w).contains(&width) {
            return (draws.below(h - height + 1), draws.below(w - width + 1), [height, width]);
        }
    }
    let has = w as f64 / h as f64;
    let [height, width] = if has < ratio[0] {
        [(w as f64 / ratio[0]).round_ties_even() as usize, w]
    } else if has > ratio[1] {
        [h, (h as f64 * ratio[1]).round_ties_even() as usize]
    } else {
        [h, w]
    };
    let (height, width) = (height.clamp(1, h), width.clamp(1, w));
    ((h - height) / 2, (w - width) / 2, [height, width])
}

/// A transform with its random numbers drawn.
pub(super) enum DrawnTransform<'a> {
    Nothing,
    Flip,
    /// A window that may extend beyond the image. There it is `fill`.
    Window {
        top: isize,
        left: isize,
        size: [usize; 2],
        fill: u8,
    },
    Resize([usize; 2]),
    ResizedCrop {
        top: usize,
        left: usize,
        window: [usize; 2],
        size: [usize; 2],
    },
    Erase {
        top: usize,
        left: usize,
        side: usize,
        fill: &'a [u8],
    },
}

impl DrawnTransform<'_> {
    fn window<'a>(top: usize, left: usize, size: [usize; 2]) -> DrawnTransform<'a> {
        DrawnTransform::Window { top: top as isize, left: left as isize, size, fill: 0 }
    }

    /// The size of an image after the change.
    fn output(&self, [c, h, w]: [usize; 3]) -> [usize; 3] {
        match *self {
            DrawnTransform::Nothing | DrawnTransform::Flip | DrawnTransform::Erase { .. } => [c, h, w],
            DrawnTransform::Window { size, .. }
            | DrawnTransform::Resize(size)
            | DrawnTransform::ResizedCrop { size, .. } => [c, size[0], size[1]],
        }
    }

    /// Applies the change. `smooth` is true for pixels and false for a mask.
    fn apply(&self, image: &mut Image, scratch: &mut Scratch, smooth: bool) {
        match *self {
            DrawnTransform::Nothing => {}
            DrawnTransform::Flip => {
                let width = image.size[2];
                image.pixels.chunks_exact_mut(width).for_each(<[u8]>::reverse);
            }
            DrawnTransform::Window { top, left, size, fill } => {
                copy_window(image, top, left, size, if smooth { fill } else { 0 }, &mut scratch.image);
                std::mem::swap(image, &mut scratch.image);
            }
            DrawnTransform::Resize(size) if size == image.size[1..] => {}
            DrawnTransform::Resize(size) => {
                if smooth {
                    scratch.resizer.bilinear(image, size, &mut scratch.image);
                } else {
                    nearest(image, size, &mut scratch.image);
                }
                std::mem::swap(image, &mut scratch.image);
            }
            DrawnTransform::ResizedCrop { top, left, window, size } => {
                DrawnTransform::window(top, left, window).apply(image, scratch, smooth);
                DrawnTransform::Resize(size).apply(image, scratch, smooth);
            }
            DrawnTransform::Erase { top, left, side, fill } if smooth => {
                let [_, h, w] = image.size;
                for (plane, &fill) in image.pixels.chunks_exact_mut(h * w).zip(fill) {
                    plane.chunks_exact_mut(w).skip(top).take(side).for_each(|r| r[left..][..side].fill(fill));
                }
            }
            DrawnTransform::Erase { .. } => {}
        }
    }
}

/// Copies a window of `image` to `out`. Beyond the image, `out` is `fill`.
fn copy_window(
    image: &Image,
    top: isize,
    left: isize,
    [height, width]: [usize; 2],
    fill: u8,
    out: &mut Image,
) {
    let [channels, h, w] = image.size;
    out.reset([channels, height, width]);
    // The columns of the window that lie in the image, and where they start in it.
    let before = left.min(0).unsigned_abs().min(width);
    let from = left.max(0) as usize;
    let inside = (width - before).min(w.saturating_sub(from));
    for (plane, target) in image.planes().zip(out.pixels.chunks_exact_mut(height * width)) {
        for (row, target) in (top..).zip(target.chunks_exact_mut(width)) {
            if row < 0 || row as usize >= h || inside == 0 {
                target.fill(fill);
                continue;
            }
            target[..before].fill(fill);
            target[before..before + inside].copy_from_slice(&plane[row as usize * w + from..][..inside]);
            target[before + inside..].fill(fill);
        }
    }
}
