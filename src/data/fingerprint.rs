//! A few numbers that describe a split's images. They show whether the images have changed since, and in which class.
//!
//! For each class: the number of its images, and a CRC-32 over their [checksums](super::Dataset::checksum) in order.
//! For an image file, the checksum covers its name and length, and the file is not opened. For an image in memory it
//! covers the pixels.

use super::{Dataset, checked};
use crate::core::Result;
use flate2::Crc;
use serde::{Deserialize, Serialize};

/// The images of one split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fingerprint {
    /// CRC-32 over all images and their labels, in the split's order.
    pub checksum: u32,
    /// The classes, indexed by label.
    pub classes: Vec<ClassImages>,
}

/// The images of one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassImages {
    /// The number of images.
    pub images: usize,
    /// CRC-32 over their checksums, in the split's order.
    pub checksum: u32,
}

impl Fingerprint {
    /// The fingerprint of a set as it is now.
    ///
    /// # Errors
    /// A file whose name and length cannot be read; a label that is not below the number of classes.
    pub fn of(set: &dyn Dataset) -> Result<Fingerprint> {
        let mut all = Crc::new();
        let mut classes: Vec<(usize, Crc)> = set.classes().iter().map(|_| (0, Crc::new())).collect();
        for i in 0..set.len() {
            let (label, checksum) = (checked::label(set, i)?, set.checksum(i)?.to_le_bytes());
            all.update(&(label as u64).to_le_bytes());
            all.update(&checksum);
            let (images, class) = &mut classes[label];
            *images += 1;
            class.update(&checksum);
        }
        let class = |(images, crc): (usize, Crc)| ClassImages { images, checksum: crc.sum() };
        Ok(Fingerprint { checksum: all.sum(), classes: classes.into_iter().map(class).collect() })
    }

    /// The number of images.
    pub fn images(&self) -> usize {
        self.classes.iter().map(|class| class.images).sum()
    }

    /// The differences to `now`: one line per class with other images. `split` and `names` (of the classes) are used in
    /// the lines.
    pub fn changes(&self, now: &Fingerprint, split: &str, names: &[String]) -> Vec<String> {
        let mut lines = Vec::new();
        for ((name, before), now) in names.iter().zip(&self.classes).zip(&now.classes) {
            if before.images != now.images {
                lines.push(format!("{split}, {name}: {} images now, {} before", now.images, before.images));
            } else if before.checksum != now.checksum {
                lines.push(format!("{split}, {name}: {} images as before, but other ones", now.images));
            }
        }
        if lines.is_empty() && self != now {
            lines.push(format!("{split}: the same images in another order"));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Image, ImageSet, ImageSize};

    fn set(pixels: &[u8], labels: &[u32]) -> Fingerprint {
        let names = ["cat", "dog"].map(str::to_owned).to_vec();
        Fingerprint::of(&ImageSet::new("set", [1, 1, 1], pixels.to_vec(), labels.to_vec(), names).unwrap())
            .unwrap()
    }

    /// A user's set with a label that is not a class.
    struct Mislabelled([String; 2]);

    impl Dataset for Mislabelled {
        fn name(&self) -> &str {
            "mine"
        }
        fn len(&self) -> usize {
            3
        }
        fn size(&self) -> ImageSize {
            ImageSize::Fixed([1, 1, 1])
        }
        fn classes(&self) -> &[String] {
            &self.0
        }
        fn label(&self, i: usize) -> usize {
            i
        }
        fn read(&self, _i: usize, image: &mut Image) -> Result<()> {
            *image = Image::new([1, 1, 1], vec![0])?;
            Ok(())
        }
    }

    #[test]
    fn a_label_without_a_class_is_an_error() {
        let error = Fingerprint::of(&Mislabelled(["cat", "dog"].map(str::to_owned))).unwrap_err().to_string();
        assert!(error.starts_with("mine: label() returns class 2 for image 2"), "{error}");
    }

    #[test]
    fn every_kind_of_change_is_told_from_the_others() {
        let names = ["cat", "dog"].map(str::to_owned);
        let before = set(&[1, 2, 3, 4], &[0, 1, 0, 1]);
        let changes = |now: Fingerprint| before.changes(&now, "train", &names).join("; ");
        assert_eq!(changes(before.clone()), "");
        assert_eq!(changes(set(&[1, 2, 3], &[0, 1, 0])), "train, dog: 1 images now, 2 before");
        assert_eq!(
            changes(set(&[1, 2, 9, 4], &[0, 1, 0, 1])),
            "train, cat: 2 images as before, but other ones"
        );
        assert_eq!(changes(set(&[1, 2, 4, 3], &[0, 1, 1, 0])), "train: the same images in another order");
        let swapped = changes(set(&[1, 2, 3, 4], &[1, 0, 1, 0]));
        assert_eq!(swapped.matches("but other ones").count(), 2, "{swapped}");
    }
}
