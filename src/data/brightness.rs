//! Detects whether a picture is light although a network's training images were dark, or the reverse.
//!
//! The edge of a drawing shows the brightness of its paper. So the edges of the training images are compared with the
//! picture's. If a set has both light and dark edges, as photographs do, the comparison says nothing.

use super::{Dataset, Image, SetSpec};
use crate::core::Result;
use serde::{Deserialize, Serialize};

/// The number of images to look at.
const LOOKED_AT: usize = 32;
/// An edge up to `DARK` is dark, an edge from `LIGHT` on is light. (The brightest edge in 60,000 images of MNIST and
/// 5,000 of Fashion-MNIST has 0.34.)
const DARK: f64 = 0.4;
const LIGHT: f64 = 0.6;
/// The limit for a picture's edge. It is less strict than for a set, because paper may lie in the shade.
const MIDDLE: f64 = 0.55;

/// How bright the edges of a set's images are, from 0 (black) to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Brightness {
    /// The brightness of the darkest edge and of the lightest edge.
    pub edges: [f64; 2],
}

impl Brightness {
    /// Measures a few of the images, spread over the set.
    ///
    /// # Errors
    /// An image that cannot be read.
    pub fn measure(set: &dyn Dataset) -> Result<Brightness> {
        let n = LOOKED_AT.min(set.len());
        let (mut image, mut edges) = (Image::default(), [1.0f64, 0.0f64]);
        for i in 0..n {
            set.read(i * set.len() / n, &mut image)?;
            let edge = edge(&image);
            edges = [edges[0].min(edge), edges[1].max(edge)];
        }
        Ok(Brightness { edges })
    }

    /// The brightness of a set that the program knows; `None` if its images may be anything.
    pub fn known(set: &SetSpec) -> Option<Brightness> {
        // Sets with one dark channel: digits and clothes on black.
        let mean = set.mean.iter().sum::<f64>() / set.mean.len() as f64;
        (set.mean.len() == 1 && mean < DARK).then_some(Brightness { edges: [0.0, DARK] })
    }

    /// Whether the picture is light although these images are dark, or the reverse.
    pub fn is_opposite(&self, picture: &Image) -> bool {
        let edge = edge(picture);
        let [darkest, lightest] = self.edges;
        (lightest <= DARK && edge >= MIDDLE) || (darkest >= LIGHT && edge <= 1.0 - MIDDLE)
    }

    /// Whether this is true for most images of a set.
    ///
    /// # Errors
    /// An image that cannot be read.
    pub fn is_opposite_of_set(&self, set: &dyn Dataset) -> Result<bool> {
        let n = LOOKED_AT.min(set.len());
        let mut image = Image::default();
        let opposite = (0..n).map(|i| {
            set.read(i * set.len() / n, &mut image)?;
            Ok(usize::from(self.is_opposite(&image)))
        });
        Ok(2 * opposite.sum::<Result<usize>>()? > n)
    }

    /// `dark` or `light`, for messages.
    pub fn word(&self) -> &'static str {
        if self.edges[1] <= DARK { "dark" } else { "light" }
    }
}

/// The mean of the pixels along an image's edge.
fn edge(image: &Image) -> f64 {
    let [_, h, w] = image.size;
    // One pixel in an image of 28, and proportionally more in a large picture.
    let ring = (h.min(w) / 28).max(1);
    let (mut sum, mut pixels) = (0u64, 0u64);
    for plane in image.planes() {
        for (y, row) in plane.chunks_exact(w.max(1)).enumerate() {
            let whole = y < ring || y + ring >= h || w <= 2 * ring;
            let parts = if whole { [row, &[]] } else { [&row[..ring], &row[w - ring..]] };
            sum += parts.iter().flat_map(|part| part.iter()).map(|&byte| u64::from(byte)).sum::<u64>();
            pixels += parts.iter().map(|part| part.len() as u64).sum::<u64>();
        }
    }
    sum as f64 / (255 * pixels.max(1)) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{DataDirs, Inverted, catalog, load};
    use std::sync::Arc;

    /// No image of the sample is reported as the opposite of its set, and every one is after it is inverted.
    #[test]
    fn the_samples_own_images_raise_no_alarm() {
        let splits = load("sample", &DataDirs::default()).unwrap();
        let measured = Brightness::measure(&*splits.train).unwrap();
        let known = Brightness::known(catalog::known("sample").unwrap()).unwrap();
        let light = Brightness::measure(&Inverted::new(Arc::clone(&splits.train))).unwrap();
        assert_eq!((measured.word(), known.word(), light.word()), ("dark", "dark", "light"));
        let mut image = Image::default();
        for i in 0..splits.val.len() {
            splits.val.read(i, &mut image).unwrap();
            let dark = image.clone();
            image.invert();
            for (set, own, other) in
                [(&measured, &dark, &image), (&known, &dark, &image), (&light, &image, &dark)]
            {
                assert!(!set.is_opposite(own) && set.is_opposite(other), "image {i}, {set:?}");
            }
        }
        assert!(!measured.is_opposite_of_set(&*splits.val).unwrap());
        assert!(measured.is_opposite_of_set(&Inverted::new(splits.val)).unwrap());
    }

    /// Photographs have light and dark edges, so nothing can be said.
    #[test]
    fn mixed_edges_say_nothing() {
        let mixed = Brightness { edges: [0.1, 0.9] };
        let image = |byte| Image::new([3, 56, 40], vec![byte; 3 * 56 * 40]).unwrap();
        assert!(!mixed.is_opposite(&image(255)) && !mixed.is_opposite(&image(0)));
        assert_eq!(Brightness::known(catalog::known("cifar10").unwrap()), None);
        // A drawing on light paper, in a photograph's size: only the edge is sure to be paper.
        let mut drawing = image(210);
        drawing.pixels.chunks_exact_mut(40).for_each(|row| row[10..30].fill(0));
        assert!(Brightness::known(catalog::known("mnist").unwrap()).unwrap().is_opposite(&drawing));
    }

    #[test]
    fn tiny_images_have_edges() {
        for size in [[1, 1, 1], [3, 1, 5], [1, 2, 2], [1, 3, 3], [1, 60, 1]] {
            let n = size.iter().product();
            assert_eq!(edge(&Image::new(size, vec![255; n]).unwrap()), 1.0, "{size:?}");
        }
        assert_eq!(edge(&Image::new([1, 3, 3], vec![0, 0, 0, 0, 255, 0, 0, 0, 0]).unwrap()), 0.0);
    }
}
