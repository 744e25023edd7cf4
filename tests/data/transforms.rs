//! Tests of transforms: the results equal torchvision's, image and mask move together, and random choices depend only
//! on the key.

use receptive::data::{
    Augment, Dataset, Image, ImageSet, ImageSize, Loader, LoaderOptions, Normalization, Normalize, Pipeline,
    Scratch, Target, Transform,
};
use receptive::{Device, ErrorKind, Key, Result};
use std::sync::Arc;

/// An image whose pixels are a function of their position. The expected values below are Pillow's results for it.
fn pattern([c, h, w]: [usize; 3]) -> Image {
    let pixel = |i: usize| {
        let (c, y, x) = (i / (h * w), i / w % h, i % w);
        ((x * 37 + y * 101 + c * 53 + x * y * 7) % 256) as u8
    };
    Image::new([c, h, w], (0..c * h * w).map(pixel).collect()).unwrap()
}

fn pipeline(steps: Vec<Transform>) -> Pipeline {
    Pipeline { steps, normalize: Normalize::unit(1) }
}

fn apply(steps: Vec<Transform>, key: Key, image: &Image) -> Image {
    let mut image = image.clone();
    pipeline(steps).apply(key, 3, &mut image, None, &mut Scratch::default()).unwrap();
    image
}

fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

/// Equals Pillow's `resize(..., BILINEAR)` bit for bit, for smaller and larger outputs and mixtures.
#[test]
fn resize_is_pillows() {
    let shrunk = pattern([1, 5, 7]).resized([3, 4]);
    assert_eq!(shrunk.pixels, [64, 127, 121, 153, 165, 137, 121, 168, 130, 117, 123, 112]);
    for (from, to, hash) in [
        ([1, 28, 28], [224, 224], 0x59ee_1d13_362e_fa09),
        ([1, 28, 28], [96, 96], 0x5feb_ac90_b0ae_24c5),
        ([3, 160, 160], [128, 128], 0x9fc7_5e93_458b_bcc0),
        ([3, 375, 500], [128, 128], 0xc9e2_8ab5_083c_d92f),
        ([3, 33, 47], [47, 20], 0xbf08_4a70_a68a_5c47),
        ([1, 16, 16], [16, 5], 0x6ade_3349_6fd5_5e8b),
        ([1, 9, 9], [31, 9], 0x1ce9_c66b_347d_7db8),
    ] {
        let resized = pattern(from).resized(to);
        assert_eq!(resized.size, [from[0], to[0], to[1]]);
        assert_eq!(fnv(&resized.pixels), hash, "{from:?} to {to:?}");
    }
}

/// One scratch is used for images of many sizes. The tables of one image must not affect the next.
#[test]
fn a_scratch_serves_images_of_different_sizes() {
    let mut scratch = Scratch::default();
    let resize = pipeline(vec![Transform::Resize([7, 9])]);
    for size in [[1, 20, 30], [3, 5, 5], [1, 20, 30], [2, 7, 40], [1, 30, 9]] {
        let mut image = pattern(size);
        resize.apply(Key::new(0), 0, &mut image, None, &mut scratch).unwrap();
        assert_eq!(image, pattern(size).resized([7, 9]), "{size:?}");
    }
}

#[test]
fn sizes_are_torchvisions() {
    let after = |step: &Transform, size| apply(vec![step.clone()], Key::new(0), &pattern(size)).size;
    let shorter = Transform::ResizeShorter(146);
    for (size, expected) in [([1, 375, 500], [1, 146, 194]), ([3, 500, 333], [3, 219, 146])] {
        assert_eq!(after(&shorter, size), expected);
        assert_eq!(shorter.output(ImageSize::Fixed(size)).unwrap(), ImageSize::Fixed(expected));
    }
    let crop = |size| apply(vec![Transform::CenterCrop(size)], Key::new(0), &pattern([1, 5, 6])).pixels;
    assert_eq!(crop([2, 3]), [48, 99, 150, 163, 221, 23]);
    let padded = crop([3, 9]);
    assert_eq!(padded[..9], [0, 101, 145, 189, 233, 21, 65, 0, 0]);
    assert_eq!(crop([7, 8])[..8], [0; 8]);
    let pad = apply(vec![Transform::Pad { padding: 2, fill: 9 }], Key::new(0), &pattern([2, 3, 4]));
    assert_eq!(pad.size, [2, 7, 8]);
    assert_eq!((pad.pixels[0], &pad.pixels[16..24]), (9, &[9, 9, 0, 37, 74, 111, 9, 9][..]));
}

/// Random crops, flips and cutouts take all their possible values, and every pixel comes from the image or the fill.
#[test]
fn random_steps_cover_their_range() {
    let image = pattern([1, 6, 6]);
    let draw = |step: Transform, sample| {
        let mut image = image.clone();
        pipeline(vec![step]).apply(Key::new(7), sample, &mut image, None, &mut Scratch::default()).unwrap();
        image
    };
    let flips = (0..1000).filter(|&i| draw(Transform::RandomHorizontalFlip(0.5), i) != image).count();
    assert!((450..550).contains(&flips), "{flips} of 1000");
    let mut corners: Vec<u8> = (0..200).map(|i| draw(Transform::RandomCrop([4, 4]), i).pixels[0]).collect();
    corners.sort_unstable();
    corners.dedup();
    assert_eq!(corners.len(), 9, "3 x 3 places: {corners:?}");
    for i in 0..100 {
        let holes = draw(Transform::Cutout { side: 3, fill: vec![1] }, i);
        let changed = holes.pixels.iter().zip(&image.pixels).filter(|(a, b)| a != b).count();
        assert_eq!(changed, 9, "no pixel of the pattern is 1, and the square lies inside");
    }
    let crop = Transform::RandomResizedCrop { size: [5, 4], scale: [0.08, 1.0], ratio: [0.75, 4.0 / 3.0] };
    assert!((0..100).all(|i| draw(crop.clone(), i).size == [1, 5, 4]));
    // If no window of the wanted shape fits, the centre is used.
    let thin = apply(vec![crop], Key::new(1), &pattern([1, 1, 50]));
    assert_eq!(thin.size, [1, 5, 4]);
}

/// A mask that marks the bright pixels still marks them after every transform.
#[test]
fn masks_go_where_their_images_go() {
    let (h, w) = (24, 20);
    let bright = |i: usize| (i / w / 6 + i % w / 5) % 2;
    let image = Image::new([1, h, w], (0..h * w).map(|i| 200 * bright(i) as u8).collect()).unwrap();
    let mask = Image::new([1, h, w], (0..h * w).map(|i| bright(i) as u8).collect()).unwrap();
    let scale = [0.3, 1.0];
    let steps = pipeline(vec![
        Transform::Pad { padding: 3, fill: 0 },
        Transform::RandomHorizontalFlip(0.5),
        Transform::RandomCrop([22, 18]),
        Transform::RandomResizedCrop { size: [44, 40], scale, ratio: [0.8, 1.2] },
        Transform::ResizeShorter(60),
        Transform::CenterCrop([50, 50]),
    ]);
    for sample in 0..50 {
        let (mut x, mut y) = (image.clone(), mask.clone());
        steps.apply(Key::new(1), sample, &mut x, Some(&mut y), &mut Scratch::default()).unwrap();
        assert_eq!((x.size, y.size), ([1, 50, 50], [1, 50, 50]));
        assert!(y.pixels.iter().all(|&v| v < 2), "a mask stays 0 and 1");
        let agree = x.pixels.iter().zip(&y.pixels).filter(|(x, y)| (**x >= 100) == (**y == 1)).count();
        assert!(agree > 2300, "{agree} of 2500 agree in sample {sample}"); // only the image's edges are blurred
    }
}

#[test]
fn impossible_pipelines_are_refused_before_an_image_is_read() {
    let varied = ImageSize::Varied { channels: 1 };
    let refused = |steps, size| pipeline(steps).output(size).unwrap_err();
    let error = refused(vec![Transform::RandomHorizontalFlip(0.5)], varied);
    assert_eq!(
        (error.kind(), error.help_text()),
        (ErrorKind::Shape, Some("`config.resize = N` makes them N x N"))
    );
    assert_eq!(pipeline(vec![Transform::Resize([4, 5])]).output(varied).unwrap(), [1, 4, 5]);
    let size = ImageSize::Fixed([1, 8, 8]);
    let (scale, ratio) = ([0.5, 1.0], [1.0, 1.0]);
    for step in [
        Transform::RandomCrop([9, 8]),
        Transform::RandomCrop([0, 8]),
        Transform::Resize([1 << 20, 8]),
        Transform::ResizeShorter(0),
        Transform::RandomHorizontalFlip(f64::NAN),
        Transform::RandomResizedCrop { size: [4, 4], scale: [0.0, 1.0], ratio },
        Transform::RandomResizedCrop { size: [4, 4], scale, ratio: [2.0, 1.0] },
        Transform::Cutout { side: 9, fill: vec![0] },
        Transform::Cutout { side: 2, fill: vec![0, 0] },
        Transform::Pad { padding: usize::MAX, fill: 0 },
    ] {
        assert!(pipeline(vec![step.clone()]).output(size).is_err(), "{step:?}");
    }
    // If image sizes vary, an image that is too small or too thin is found only when it is read.
    for (step, image) in [
        (Transform::RandomCrop([9, 8]), [1, 8, 8]),
        (Transform::Cutout { side: 9, fill: vec![0] }, [1, 8, 8]),
        (Transform::ResizeShorter(256), [1, 1, 100]),
    ] {
        let result =
            pipeline(vec![step]).apply(Key::new(0), 0, &mut pattern(image), None, &mut Scratch::default());
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Shape);
    }
}

/// Images of different sizes, with masks.
struct Photos(Vec<String>);

impl Dataset for Photos {
    fn name(&self) -> &str {
        "photos"
    }
    fn len(&self) -> usize {
        50
    }
    fn size(&self) -> ImageSize {
        ImageSize::Varied { channels: 3 }
    }
    fn classes(&self) -> &[String] {
        &self.0
    }
    fn label(&self, _: usize) -> usize {
        0
    }
    fn read(&self, i: usize, image: &mut Image) -> Result<()> {
        *image = pattern([3, 20 + i, 60 - i]);
        Ok(())
    }
    fn has_masks(&self) -> bool {
        true
    }
    fn mask(&self, i: usize, mask: &mut Image) -> Result<()> {
        *mask = pattern([1, 20 + i, 60 - i]);
        mask.pixels.iter_mut().for_each(|v| *v &= 1);
        Ok(())
    }
}

/// The images and masks of an epoch, from batch `first` on.
fn epoch(workers: usize, epoch: u64, first: usize) -> Vec<(Vec<f32>, Vec<f32>)> {
    let scale = [0.2, 1.0];
    let steps = vec![
        Transform::RandomResizedCrop { size: [16, 16], scale, ratio: [0.75, 1.25] },
        Transform::RandomHorizontalFlip(0.5),
        Transform::Cutout { side: 4, fill: vec![1, 2, 3] },
    ];
    let mut options =
        LoaderOptions::new(8, Pipeline { steps, normalize: Normalize::half(3) }, Device::cpu().unwrap());
    options.shuffle = Some(Key::new(1));
    options.augment_key = Key::new(2);
    options.target = Target::Mask;
    options.workers = workers;
    let loader = Loader::new(Arc::new(Photos(vec!["one".into()])), options).unwrap();
    assert_eq!(loader.input_shape(), [3, 16, 16]);
    let values = |batch: Result<receptive::data::Batch>| {
        let batch = batch.unwrap();
        let n = batch.samples.len();
        assert_eq!((batch.images.dims(), batch.targets.dims()), (&[n, 3, 16, 16][..], &[n, 1, 16, 16][..]));
        (batch.images.to_vec().unwrap(), batch.targets.to_vec().unwrap())
    };
    loader.epoch(epoch, first).unwrap().map(values).collect()
}

/// The random choices for an image depend on the epoch and the image, not on threads or on where a resumed run starts.
#[test]
fn augmentation_does_not_depend_on_threads_or_resuming() {
    let reference = epoch(1, 3, 0);
    assert!(reference.iter().all(|(_, masks)| masks.iter().all(|&v| v == 0.0 || v == 1.0)));
    for workers in [1, 2, 3] {
        assert_eq!(epoch(workers, 3, 0), reference, "{workers} workers");
        assert_eq!(epoch(workers, 3, 4), reference[4..], "{workers} workers, resumed at batch 4");
    }
    assert_ne!(epoch(1, 4, 0), reference);
}

#[test]
fn a_set_without_masks_is_refused_at_once() {
    let set = ImageSet::new("plain", [1, 1, 1], vec![0], vec![0], vec!["0".into()]).unwrap();
    let mut options = LoaderOptions::new(1, Normalize::unit(1), Device::cpu().unwrap());
    options.target = Target::Mask;
    let error = Loader::new(Arc::new(set), options).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Missing);
    assert!(error.to_string().starts_with("plain: this data set has labels but no masks"), "{error}");
}

/// The transforms that the settings `augment` and `resize` select for each data set, by name.
#[test]
fn settings_give_pipelines() {
    let facts = |name| receptive::data::catalog::spec(name).unwrap().facts();
    let steps = |name, augment, resize| {
        let facts = facts(name);
        let normalize = facts.normalize(Normalization::Half).unwrap();
        let (train, eval) = facts.pipelines(augment, resize, normalize).unwrap();
        let names = |p: &Pipeline| p.steps.iter().map(Transform::name).collect::<Vec<_>>().join(" ");
        (names(&train), names(&eval), train.output(facts.size).unwrap())
    };
    let standard = "Pad RandomHorizontalFlip RandomCrop";
    assert_eq!(steps("cifar10", Augment::None, None), (String::new(), String::new(), [3, 32, 32]));
    assert_eq!(steps("cifar10", Augment::Standard, None), (standard.into(), String::new(), [3, 32, 32]));
    let cutout = (format!("{standard} Cutout Resize"), "Resize".into(), [3, 64, 64]);
    assert_eq!(steps("cifar10", Augment::Cutout, Some(64)), cutout);
    assert_eq!(steps("mnist", Augment::Standard, None).0, "Pad RandomCrop", "a mirrored digit is no digit");
    assert_eq!(steps("pets", Augment::None, Some(128)), ("Resize".into(), "Resize".into(), [3, 128, 128]));
    let photo = ("RandomResizedCrop RandomHorizontalFlip".into(), "Resize CenterCrop".into(), [3, 224, 224]);
    assert_eq!(steps("pets", Augment::Standard, Some(224)), photo);
    let pets = facts("pets");
    assert!(pets.pipelines(Augment::None, None, Normalize::unit(3)).is_err(), "photographs need a size");
    let (train, _) = facts("cifar10").pipelines(Augment::Cutout, None, Normalize::unit(3)).unwrap();
    assert_eq!(train.steps.last(), Some(&Transform::Cutout { side: 8, fill: vec![125, 123, 114] }));
}

#[test]
fn names_are_parsed_as_they_are_printed() {
    for name in ["off", "on", "half", "pixels"] {
        assert_eq!(name.parse::<Normalization>().unwrap().to_string(), name);
        let value: Normalization = serde_json::from_str(&format!("\"{name}\"")).unwrap();
        assert_eq!(value, name.parse().unwrap());
    }
    for name in ["none", "standard", "cutout"] {
        assert_eq!(name.parse::<Augment>().unwrap().to_string(), name);
        let value: Augment = serde_json::from_str(&format!("\"{name}\"")).unwrap();
        assert_eq!(value, name.parse().unwrap());
    }
    assert!("of".parse::<Normalization>().unwrap_err().to_string().contains("off, on, half, pixels"));
}

/// Equals scikit-learn's StandardScaler. Computed by hand for two images; one pixel is constant.
#[test]
fn pixels_are_standardised_each_by_its_own() {
    let set =
        ImageSet::new("two", [1, 1, 3], vec![0, 7, 10, 255, 7, 30], vec![0, 0], vec!["0".into()]).unwrap();
    let normalize = Normalize::measure_pixels(&set, &[]).unwrap();
    let close = |a: &[f64], b: [f64; 3]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12);
    assert!(close(&normalize.mean, [0.5, 7.0 / 255.0, 20.0 / 255.0]), "{normalize:?}");
    assert!(close(&normalize.std, [0.5, 1.0, 10.0 / 255.0]), "{normalize:?}");
    let loader =
        Loader::new(Arc::new(set), LoaderOptions::new(2, normalize, Device::cpu().unwrap())).unwrap();
    let images = loader.epoch(0, 0).unwrap().next().unwrap().unwrap().images.to_vec::<f32>().unwrap();
    let expected = [-1.0, 0.0, -1.0, 1.0, 0.0, 1.0];
    assert!(images.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{images:?}");
}
