//! Tests of the loader: every image comes once, batches do not depend on threads, and errors reach the caller.

use receptive::data::{Dataset, Image, ImageSize, Loader, LoaderOptions, Normalize, stratified};
use receptive::{DType, Device, Error, ErrorKind, Key, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// 100 images of one pixel, whose value is the image's number. Counts the reads, and can fail or panic at one image.
struct Numbered {
    classes: Vec<String>,
    reads: AtomicUsize,
    bad: Option<(usize, bool)>,
}

impl Numbered {
    fn new(bad: Option<(usize, bool)>) -> Arc<Numbered> {
        let classes = (0..10).map(|class| class.to_string()).collect();
        Arc::new(Numbered { classes, reads: AtomicUsize::new(0), bad })
    }
}

impl Dataset for Numbered {
    fn name(&self) -> &str {
        "numbered"
    }
    fn len(&self) -> usize {
        100
    }
    fn size(&self) -> ImageSize {
        ImageSize::Fixed([1, 1, 1])
    }
    fn classes(&self) -> &[String] {
        &self.classes
    }
    fn label(&self, i: usize) -> usize {
        i % 10
    }
    fn read(&self, i: usize, image: &mut Image) -> Result<()> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        match self.bad {
            Some((bad, true)) if bad == i => panic!("image {i} explodes"),
            Some((bad, false)) if bad == i => Err(Error::format("numbered", format!("image {i} is torn"))),
            _ => {
                image.reset([1, 1, 1])[0] = i as u8;
                Ok(())
            }
        }
    }
}

fn options(batch_size: usize, shuffle: Option<u64>) -> LoaderOptions {
    let mut options = LoaderOptions::new(batch_size, Normalize::unit(1), Device::cpu().unwrap());
    options.shuffle = shuffle.map(|seed| Key::new(seed).child("shuffle"));
    options
}

/// The image numbers in an epoch's batches, read from the pixels. Checks that the labels agree.
fn numbers(loader: &Loader, epoch: u64, first: usize) -> Vec<Vec<usize>> {
    let read = |batch: Result<receptive::data::Batch>| {
        let batch = batch.unwrap();
        let pixels = batch.images.to_vec::<f32>().unwrap();
        let numbers: Vec<usize> = pixels.iter().map(|p| (p * 255.0).round() as usize).collect();
        let labels: Vec<i64> = numbers.iter().map(|&i| i as i64 % 10).collect();
        assert_eq!(batch.targets.to_vec::<i64>().unwrap(), labels);
        assert_eq!(batch.samples, numbers);
        numbers
    };
    loader.epoch(epoch, first).unwrap().map(read).collect()
}

#[test]
fn an_epoch_shows_every_image_once_and_no_two_epochs_are_alike() {
    let loader = Loader::new(Numbered::new(None), options(16, Some(3))).unwrap();
    let epoch = numbers(&loader, 0, 0);
    assert_eq!(epoch.iter().map(Vec::len).collect::<Vec<_>>(), [16, 16, 16, 16, 16, 16, 4]);
    let mut all = epoch.concat();
    assert_ne!(all, numbers(&loader, 1, 0).concat());
    all.sort_unstable();
    assert!(all.into_iter().eq(0..100));
}

#[test]
fn without_shuffling_batches_follow_the_file() {
    let loader = Loader::new(Numbered::new(None), options(30, None)).unwrap();
    assert!(numbers(&loader, 5, 0).concat().into_iter().eq(0..100));
}

/// The number of threads and the queue may change when a batch is made, but not its contents.
#[test]
fn batches_do_not_depend_on_threads_or_queues() {
    let reference = numbers(&Loader::new(Numbered::new(None), options(7, Some(1))).unwrap(), 2, 0);
    for (workers, queue) in [(1, 1), (2, 1), (3, 4), (40, 2)] {
        let options = LoaderOptions { workers, queue, ..options(7, Some(1)) };
        let loader = Loader::new(Numbered::new(None), options).unwrap();
        assert_eq!(numbers(&loader, 2, 0), reference, "{workers} workers, queue {queue}");
    }
}

/// A resumed run starts in the middle of an epoch: the rest must be the same, and only the rest is read.
#[test]
fn an_epoch_can_start_at_any_batch() {
    for workers in [1, 2] {
        let set = Numbered::new(None);
        let loader = Loader::new(set.clone(), LoaderOptions { workers, ..options(16, Some(9)) }).unwrap();
        let whole = numbers(&loader, 4, 0);
        for first in [1, 2, 6, 7, 8] {
            let before = set.reads.load(Ordering::SeqCst);
            assert_eq!(numbers(&loader, 4, first), whole[first.min(7)..], "from batch {first}");
            let read = set.reads.load(Ordering::SeqCst) - before;
            assert_eq!(read, 100usize.saturating_sub(16 * first), "images read from batch {first}");
        }
    }
}

/// The queue is bounded. After an epoch is dropped early, no thread is left.
#[test]
fn dropping_an_epoch_stops_its_threads() {
    let set = Numbered::new(None);
    let loader = Loader::new(set.clone(), LoaderOptions { queue: 2, ..options(1, None) }).unwrap();
    let mut epoch = loader.epoch(0, 0).unwrap();
    epoch.next().unwrap().unwrap();
    std::thread::sleep(Duration::from_millis(50));
    let read = set.reads.load(Ordering::SeqCst);
    assert!(read <= 4, "one taken, two queued, one in hand; but {read} were made");
    drop((epoch, loader));
    assert_eq!(Arc::strong_count(&set), 1, "a thread still holds the data set");
}

#[test]
fn errors_and_panics_of_a_thread_reach_the_caller() {
    for (panics, kind, text) in
        [(false, ErrorKind::Format, "image 50 is torn"), (true, ErrorKind::Internal, "image 50 explodes")]
    {
        for workers in [1, 3] {
            let options = LoaderOptions { workers, ..options(10, None) };
            let loader = Loader::new(Numbered::new(Some((50, panics))), options).unwrap();
            let mut epoch = loader.epoch(0, 0).unwrap();
            assert!((0..5).all(|_| epoch.next().unwrap().is_ok()));
            let error = epoch.next().unwrap().unwrap_err();
            assert_eq!(error.kind(), kind);
            assert!(error.to_string().contains(text), "{error}");
            assert!(epoch.next().is_none(), "an epoch ends after an error");
        }
    }
}

#[test]
fn impossible_loaders_are_refused() {
    let refused = |change: &dyn Fn(&mut LoaderOptions)| {
        let mut options = options(4, None);
        change(&mut options);
        Loader::new(Numbered::new(None), options).err().map(|e| e.to_string()).unwrap_or_default()
    };
    assert!(refused(&|o| o.batch_size = 0).starts_with("batch size: cannot be 0"));
    assert!(refused(&|o| o.workers = 0).starts_with("workers: cannot be 0"));
    assert!(refused(&|o| o.queue = 0).starts_with("queue: cannot be 0"));
    assert!(refused(&|o| o.dtype = DType::I64).contains("i64 is not f32 or f64"));
    assert!(refused(&|o| o.pipeline = Normalize::unit(3).into()).contains("do not fit images of [1, 1, 1]"));
    assert!(refused(&|o| o.pipeline.normalize.std[0] = f64::NAN).contains("is not a number above 0"));
}

/// Equals `(x / 255 - mean) / std` bit for bit in each precision.
#[test]
fn pixels_are_normalised_in_the_asked_precision() {
    let normalize = Normalize { mean: vec![0.1307], std: vec![0.3081] };
    let f32s = LoaderOptions { pipeline: normalize.clone().into(), ..options(100, None) };
    let batch = |options| Loader::new(Numbered::new(None), options).unwrap().epoch(0, 0).unwrap().next();
    let got = batch(f32s.clone()).unwrap().unwrap().images.to_vec::<f32>().unwrap();
    assert!((0..100).all(|i| got[i] == (i as f32 / 255.0 - 0.1307) / 0.3081));
    let got = batch(LoaderOptions { dtype: DType::F64, ..f32s }).unwrap().unwrap();
    let got = got.images.to_vec::<f64>().unwrap();
    assert!((0..100).all(|i| got[i] == (i as f64 / 255.0 - 0.1307) / 0.3081));
}

#[test]
fn a_stratified_subset_has_equally_many_of_each_class() {
    let base: Arc<dyn Dataset> = Numbered::new(None);
    let indices = |n, key| {
        let subset = stratified(&base, n, key).unwrap();
        let mut image = Image::default();
        let read = |i| subset.read(i, &mut image).map(|()| usize::from(image.pixels[0])).unwrap();
        (0..subset.len()).map(read).collect::<Vec<_>>()
    };
    assert!(indices(39, None).into_iter().eq(0..30), "floor(39 / 10) of each, the first in the file");
    let drawn = indices(39, Some(Key::new(1)));
    assert!((0..10).all(|class| drawn.iter().filter(|&&i| i % 10 == class).count() == 3));
    assert!(drawn.is_sorted());
    assert_eq!(drawn, indices(39, Some(Key::new(1))));
    assert_ne!(drawn, indices(39, Some(Key::new(2))));
    assert_eq!(indices(100, Some(Key::new(1))).len(), 100);
}

#[test]
fn an_impossible_subset_says_what_is_possible() {
    let base: Arc<dyn Dataset> = Numbered::new(None);
    let error = |n| stratified(&base, n, None).err().unwrap().to_string();
    assert!(error(9).contains("fewer than one per class"), "{}", error(9));
    assert!(error(110).contains("expected at most 100"), "{}", error(110));
}
