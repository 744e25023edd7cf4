//! The contract of a data set: images as bytes, a label or a mask for each, and names for the classes.

use super::idx::Idx;
use super::{Image, ImageSize, checked};
use crate::core::{Error, ErrorKind, Key, Result};
use flate2::Crc;
use std::sync::Arc;

/// Labelled images. The loader's threads share a set.
pub trait Dataset: Send + Sync {
    /// The name in messages: `mnist/train`.
    fn name(&self) -> &str;

    /// The number of images.
    fn len(&self) -> usize;

    /// Whether there are no images.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The size of its images.
    fn size(&self) -> ImageSize;

    /// The class names. A label is an index into them.
    fn classes(&self) -> &[String];

    /// The class of image `i < len()`.
    fn label(&self, i: usize) -> usize;

    /// Reads image `i < len()`. Its size must agree with [`size`](Self::size).
    ///
    /// # Errors
    /// A file that cannot be read or decoded. Sets in memory have none.
    fn read(&self, i: usize, image: &mut Image) -> Result<()>;

    /// Checks every image's header, if images are files. So a damaged file is found before the first epoch, not after
    /// the last. Returns `[height, width]` if all images have the same.
    ///
    /// # Errors
    /// An image, or a mask, whose header cannot be read or is damaged.
    fn check_headers(&self) -> Result<Option<[usize; 2]>> {
        Ok(self.size().fixed().map(|[_, h, w]| [h, w]))
    }

    /// A number that changes when image `i < len()` changes (CRC-32). By default it is computed from the image's size
    /// and pixels. A set whose images take long to read uses something cheaper, such as a file's name and length.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    fn checksum(&self, i: usize) -> Result<u32> {
        let mut image = Image::default();
        self.read(i, &mut image)?;
        let mut crc = Crc::new();
        image.size.iter().for_each(|&side| crc.update(&(side as u64).to_le_bytes()));
        crc.update(&image.pixels);
        Ok(crc.sum())
    }

    /// Whether its images have masks, for segmentation.
    fn has_masks(&self) -> bool {
        false
    }

    /// Reads the mask of image `i < len()`: one channel with the image's height and width, 1 at the object and 0
    /// elsewhere.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] for a set without masks; a file that cannot be read or decoded.
    fn mask(&self, _i: usize, _mask: &mut Image) -> Result<()> {
        Err(no_masks(self.name()))
    }

    /// Whether its masks are also known as trimaps.
    fn has_trimaps(&self) -> bool {
        false
    }

    /// Reads the trimap of image `i < len()`: as [`mask`](Self::mask), but 1 at the object, 2 at the background and 3
    /// at the border between them.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] for a set without trimaps; a file that cannot be read or decoded.
    fn trimap(&self, _i: usize, _trimap: &mut Image) -> Result<()> {
        Err(no_trimaps(self.name()))
    }
}

/// The error for a set that has no masks.
pub(super) fn no_masks(set: &str) -> Error {
    Error::new(ErrorKind::Missing, set, "this data set has labels but no masks")
        .help("segmentation needs a data set with masks: `config.data = pets`")
}

/// The error for a set that has no trimaps.
pub(super) fn no_trimaps(set: &str) -> Error {
    Error::new(ErrorKind::Missing, set, "this data set has no trimaps, so it has no raw masks")
        .expected("a data set with trimaps: `config.data = pets`")
        .help("omit `config.masks`, or use `config.masks = binary`")
}

/// The last two parts of a set's name: `photos/val` of a folder's path. Pictures, pages and records show the name, and
/// the rest of the path does not belong there.
pub(super) fn set_name(name: &str) -> String {
    let parts: Vec<&str> = name.split('/').collect();
    parts[parts.len().saturating_sub(2)..].join("/")
}

/// A data set in memory.
#[derive(Debug, Clone)]
pub struct ImageSet {
    name: String,
    size: [usize; 3],
    pixels: Vec<u8>,
    labels: Vec<u32>,
    classes: Vec<String>,
}

impl ImageSet {
    /// Makes a set of `labels.len()` images of `[C, H, W]` bytes, one after another.
    ///
    /// # Errors
    /// Numbers of pixels and labels that do not match; no images; a label that is not below the number of classes.
    pub fn new(
        name: impl Into<String>,
        size: [usize; 3],
        pixels: Vec<u8>,
        labels: Vec<u32>,
        classes: Vec<String>,
    ) -> Result<ImageSet> {
        let name = name.into();
        let bytes = size.iter().chain([&labels.len()]).try_fold(1usize, |n, &d| n.checked_mul(d));
        if bytes != Some(pixels.len()) {
            return Err(Error::shape(name, "the number of pixels does not match the number of labels")
                .with("pixels", pixels.len())
                .with("labels", labels.len())
                .with("image", format_args!("{size:?}"))
                .expected("labels x C x H x W bytes of pixels, with image [C, H, W]"));
        }
        if pixels.is_empty() {
            return Err(Error::format(name, "holds no images").with("image", format_args!("{size:?}")));
        }
        check_labels(&name, &labels, classes.len())?;
        Ok(ImageSet { name: set_name(&name), size, pixels, labels, classes })
    }

    /// Makes a set of grey images and labels from IDX files. Without class names, the labels' numbers are the names.
    ///
    /// # Errors
    /// Wrong ranks; different numbers of images and labels; no images; a label that is not below the number of classes.
    pub fn from_idx(
        name: impl Into<String>,
        images: Idx,
        labels: Idx,
        classes: Option<Vec<String>>,
    ) -> Result<ImageSet> {
        let &[n, height, width] = &images.dims[..] else {
            return Err(wrong_rank(&images, "[N, H, W] of grey images"));
        };
        let &[m] = &labels.dims[..] else {
            return Err(wrong_rank(&labels, "[N] of labels"));
        };
        if n != m {
            return Err(Error::format(
                &labels.file,
                format!("the file has {m} labels, but there are {n} images"),
            )
            .with("images", &images.file)
            .help("the two files must belong to the same data set and split"));
        }
        if images.data.is_empty() {
            return Err(Error::format(&images.file, "holds no images")
                .with("dimensions", format_args!("{:?}", images.dims)));
        }
        let numbers: Vec<u32> = labels.data.iter().map(|&label| label.into()).collect();
        let classes = classes.unwrap_or_else(|| {
            let highest = labels.data.iter().max().copied().unwrap_or(0);
            (0..=highest).map(|class| class.to_string()).collect()
        });
        check_labels(&labels.file, &numbers, classes.len())?;
        ImageSet::new(name, [1, height, width], images.data, numbers, classes)
    }
}

fn wrong_rank(idx: &Idx, expected: &str) -> Error {
    Error::format(&idx.file, format!("has {} dimensions", idx.dims.len()))
        .with("dimensions", format_args!("{:?}", idx.dims))
        .expected(expected)
        .help("the image and label files may be swapped")
}

fn check_labels(subject: &str, labels: &[u32], classes: usize) -> Result<()> {
    match labels.iter().position(|&label| label as usize >= classes) {
        None => Ok(()),
        Some(i) => {
            Err(Error::format(subject, format!("label {} at position {i} is out of range", labels[i]))
                .expected(format!("0 to {} for {classes} classes", classes.saturating_sub(1))))
        }
    }
}

impl Dataset for ImageSet {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> usize {
        self.labels.len()
    }

    fn size(&self) -> ImageSize {
        ImageSize::Fixed(self.size)
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn label(&self, i: usize) -> usize {
        self.labels[i] as usize
    }

    fn read(&self, i: usize, image: &mut Image) -> Result<()> {
        let bytes = self.size.iter().product::<usize>();
        image.set(self.size, &self.pixels[i * bytes..(i + 1) * bytes]);
        Ok(())
    }
}

/// Some images of another set, in an order of their own.
#[derive(Clone)]
pub struct Subset {
    name: String,
    base: Arc<dyn Dataset>,
    indices: Vec<usize>,
}

impl Subset {
    /// Makes a set whose image `i` is image `indices[i]` of `base`.
    ///
    /// # Errors
    /// An index outside `base`.
    pub fn new(name: impl Into<String>, base: Arc<dyn Dataset>, indices: Vec<usize>) -> Result<Subset> {
        let name = name.into();
        if let Some(i) = indices.iter().find(|&&i| i >= base.len()) {
            let what = format!("image {i} is out of range: {} has {} images", base.name(), base.len());
            return Err(Error::argument(name, what));
        }
        Ok(Subset { name: set_name(&name), base, indices })
    }
}

impl Dataset for Subset {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> usize {
        self.indices.len()
    }

    fn size(&self) -> ImageSize {
        self.base.size()
    }

    fn classes(&self) -> &[String] {
        self.base.classes()
    }

    fn label(&self, i: usize) -> usize {
        self.base.label(self.indices[i])
    }

    fn read(&self, i: usize, image: &mut Image) -> Result<()> {
        self.base.read(self.indices[i], image)
    }

    fn check_headers(&self) -> Result<Option<[usize; 2]>> {
        self.base.check_headers()
    }

    fn checksum(&self, i: usize) -> Result<u32> {
        self.base.checksum(self.indices[i])
    }

    fn has_masks(&self) -> bool {
        self.base.has_masks()
    }

    fn mask(&self, i: usize, mask: &mut Image) -> Result<()> {
        self.base.mask(self.indices[i], mask)
    }

    fn has_trimaps(&self) -> bool {
        self.base.has_trimaps()
    }

    fn trimap(&self, i: usize, trimap: &mut Image) -> Result<()> {
        self.base.trimap(self.indices[i], trimap)
    }
}

/// `floor(n / classes)` images of each class, in file order (`--subset N`).
///
/// With a key, these are the first images of each class in the key's permutation of the set, so another seed gives
/// other images. Without a key, they are the first images of each class in the file.
///
/// # Errors
/// Less than one image per class; a class with too few images.
pub fn stratified(base: &Arc<dyn Dataset>, n: usize, key: Option<Key>) -> Result<Subset> {
    let classes = base.classes().len();
    let each = n / classes.max(1);
    if each == 0 {
        return Err(Error::argument("subset", format!("{n} images are fewer than one per class"))
            .expected(format!("at least {classes}")));
    }
    let mut taken = vec![0; classes];
    let mut indices = Vec::new();
    let order = key.map_or_else(|| (0..base.len()).collect(), |key| key.permutation(base.len()));
    for i in order {
        let class = checked::label(&**base, i)?;
        if taken[class] < each {
            taken[class] += 1;
            indices.push(i);
        }
    }
    if let Some(class) = taken.iter().position(|&count| count < each) {
        let what = format!("{} has fewer than {each} images of a class", base.name());
        let most = smallest_class(&**base)? * classes;
        return Err(Error::argument("subset", what)
            .with("asked for", n)
            .with(&format!("images of class `{}`:", base.classes()[class]), taken[class])
            .expected(format!("at most {most}")));
    }
    indices.sort_unstable();
    Subset::new(base.name(), Arc::clone(base), indices)
}

fn smallest_class(set: &dyn Dataset) -> Result<usize> {
    let mut counts = vec![0; set.classes().len()];
    for i in 0..set.len() {
        counts[checked::label(set, i)?] += 1;
    }
    Ok(counts.into_iter().min().unwrap_or(0))
}
