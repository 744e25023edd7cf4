//! Batches, prepared in advance of the training step by the loader's own threads.
//!
//! ```text
//!   worker 0: batches 0, 2, 4, ...  --queue-->  \
//!                                                 the epoch takes turns: 0, 1, 2, 3, ...
//!   worker 1: batches 1, 3, 5, ...  --queue-->  /
//! ```
//!
//! The images of a batch depend only on the keys, the epoch and the number of the batch. Each worker has its own queue,
//! and the queues are read in turn. So the number of threads and the length of the queues change only the time. An
//! epoch can start at any batch without making the batches before it; a resumed run uses this. The threads do not
//! belong to the compute pool, so reading never waits for a convolution, and a convolution never waits for reading.
//!
//! A small set can be [resident](super::Resident) on a GPU: its batches are made there, without threads. The batches of
//! other sets are made on the host and sent when the epoch reaches them.

use super::dataset::{no_masks, no_trimaps};
use super::device_dataset::CROP_SPEC;
use super::image_batcher::ImageBatcher;
use super::{Dataset, Examples, Masks, Normalize, Pipeline, Resident, examples};
use crate::core::{DType, Error, ErrorKind, Float, Key, Result, Shape};
use crate::cpu::CpuOptions;
use crate::float_type;
use crate::tensor::{Device, Meta, Tensor, one_float};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Some images and their targets, on the device.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The number of this batch in the epoch.
    pub index: usize,
    /// `[B, C, H, W]`, transformed and normalised, in the loader's dtype. For [`Examples`], `[B, ...]`.
    pub images: Tensor,
    /// The targets, as [`Target`] describes them.
    pub targets: Tensor,
    /// The images' positions in the data set.
    pub samples: Vec<usize>,
}

impl Batch {
    /// The number of images.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// The same batch on this device.
    fn sent_to(self, device: &Device) -> Result<Batch> {
        if self.images.device().same(device) {
            return Ok(self);
        }
        let (images, targets) = (self.images.to_device(device)?, self.targets.to_device(device)?);
        Ok(Batch { images, targets, ..self })
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }
}

/// What a network should output for an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Target {
    /// The class: `[B]`, i64.
    #[default]
    Class,
    /// The mask: `[B, 1, H, W]` of 0 and 1, in the loader's dtype.
    Mask,
    /// The trimap over 255: `[B, 1, H, W]` of 1 / 255, 2 / 255 and 3 / 255, in the loader's dtype.
    RawMask,
}

/// How a [`Loader`] makes its batches.
#[derive(Debug, Clone)]
pub struct LoaderOptions {
    /// Images per batch. The last batch of an epoch contains the remaining images.
    pub batch_size: usize,
    /// The key for a new permutation in each epoch; `None` keeps the file's order.
    pub shuffle: Option<Key>,
    /// How images become a network's numbers.
    pub pipeline: Pipeline,
    /// The key for random transforms. They draw new numbers in each epoch.
    pub augment_key: Key,
    /// The kind of target.
    pub target: Target,
    /// The device that receives the batches.
    pub device: Device,
    /// f32, or f64 for reference runs.
    pub dtype: DType,
    /// The number of threads that make batches.
    pub workers: usize,
    /// The number of finished batches that may wait for the training step.
    pub queue: usize,
}

impl LoaderOptions {
    /// f32, classes, file order, one thread, three batches in advance. `pipeline` may be just a
    /// [`Normalize`].
    pub fn new(batch_size: usize, pipeline: impl Into<Pipeline>, device: Device) -> LoaderOptions {
        LoaderOptions {
            batch_size,
            shuffle: None,
            pipeline: pipeline.into(),
            augment_key: Key::new(0),
            target: Target::Class,
            device,
            dtype: DType::F32,
            workers: 1,
            queue: 3,
        }
    }

    /// The same for [`Examples`], which need no pipeline.
    pub fn plain(batch_size: usize, device: Device) -> LoaderOptions {
        LoaderOptions::new(batch_size, no_pipeline(), device)
    }

    /// # Errors
    /// A batch size, number of workers or queue of 0.
    fn check(&self) -> Result<()> {
        let sizes = [("batch size", self.batch_size), ("workers", self.workers), ("queue", self.queue)];
        match sizes.iter().find(|(_, size)| *size == 0) {
            None => Ok(()),
            Some((name, _)) => Err(Error::argument(*name, "cannot be 0").expected("at least 1")),
        }
    }
}

fn no_pipeline() -> Pipeline {
    Pipeline::from(Normalize { mean: Vec::new(), std: Vec::new() })
}

/// Feeds a data set to a training loop, epoch by epoch. (PyTorch: `DataLoader`.)
pub struct Loader(Arc<LoaderShared>);

struct LoaderShared {
    set: Set,
    options: LoaderOptions,
    /// Where threads make batches: the device itself, or the host if the device is a GPU.
    host: Device,
    /// The set on a GPU, if it is kept there.
    resident: Option<Resident>,
}

/// The data set that is read.
enum Set {
    /// Images, and their size after the pipeline, `[C, H, W]`.
    Images(Arc<dyn Dataset>, [usize; 3]),
    Examples(Arc<dyn Examples>),
}

impl Set {
    fn len(&self) -> usize {
        match self {
            Set::Images(set, _) => set.len(),
            Set::Examples(set) => set.len(),
        }
    }
}

impl Loader {
    /// A loader of a data set. Checks that the options fit the set.
    ///
    /// # Errors
    /// A batch size, number of workers or queue of 0; no images; no masks although they are the target; a dtype other
    /// than f32 and f64; a pipeline that does not fit the images, or after which they still differ in size.
    pub fn new(dataset: Arc<dyn Dataset>, options: LoaderOptions) -> Result<Loader> {
        options.check()?;
        let size = dataset.size();
        if dataset.is_empty() || size.fixed().is_some_and(|size| size.contains(&0)) {
            return Err(Error::argument(dataset.name(), "holds no images")
                .with("length", dataset.len())
                .with("size", format_args!("{size:?}")));
        }
        if options.target != Target::Class && !dataset.has_masks() {
            return Err(no_masks(dataset.name()));
        }
        if options.target == Target::RawMask && !dataset.has_trimaps() {
            return Err(no_trimaps(dataset.name()));
        }
        let image = options.pipeline.output(size)?;
        float_type!("loader", options.dtype, T => options.pipeline.normalize.table::<T>(image).map(drop))?;
        let classes_on_gpu = options.device.as_cuda().is_some()
            && options.target == Target::Class
            && options.dtype == DType::F32;
        let resident = match classes_on_gpu {
            true => Resident::new(&*dataset, &options.pipeline, options.augment_key, &options.device)?,
            false => None,
        };
        let host = host(&options.device)?;
        Ok(Loader(Arc::new(LoaderShared { set: Set::Images(dataset, image), options, host, resident })))
    }

    /// A loader of examples, which are numbers already.
    ///
    /// # Errors
    /// A batch size, number of workers or queue of 0; no examples, or inputs or targets without elements; a dtype other
    /// than f32 and f64; options with a pipeline, which is for images.
    pub fn from_examples(set: Arc<dyn Examples>, options: LoaderOptions) -> Result<Loader> {
        options.check()?;
        let shapes = [Some(set.input_shape()), set.target_shape()];
        if set.is_empty() || shapes.iter().flatten().any(|shape| shape.contains(&0)) {
            return Err(Error::argument(set.name(), "holds no examples, or examples without elements")
                .with("length", set.len())
                .with("input", format_args!("{:?}", set.input_shape())));
        }
        if options.pipeline != no_pipeline() || options.target != Target::Class {
            return Err(Error::argument(set.name(), "the loader's options are for images")
                .help("make them with `LoaderOptions::plain`"));
        }
        let dtype = Meta { shape: Shape::SCALAR, dtype: options.dtype };
        one_float("loader", &[dtype])?;
        let host = host(&options.device)?;
        Ok(Loader(Arc::new(LoaderShared { set: Set::Examples(set), options, host, resident: None })))
    }

    /// The shape of one input, without the batch: `[C, H, W]` of images.
    pub fn input_shape(&self) -> &[usize] {
        match &self.0.set {
            Set::Images(_, size) => size,
            Set::Examples(set) => set.input_shape(),
        }
    }

    /// The number of images or examples.
    pub fn samples(&self) -> usize {
        self.0.set.len()
    }

    /// Batches per epoch. The last one may be shorter.
    pub fn batches(&self) -> usize {
        self.samples().div_ceil(self.0.options.batch_size)
    }

    /// Images per batch.
    pub fn batch_size(&self) -> usize {
        self.0.options.batch_size
    }

    /// How the masks are to be read, if masks are the target.
    pub fn masks(&self) -> Masks {
        if self.0.options.target == Target::RawMask { Masks::Raw } else { Masks::Binary }
    }

    /// The set on the device, if it is kept there.
    pub fn resident(&self) -> Option<&Resident> {
        self.0.resident.as_ref()
    }

    /// The positions of the images in the data set, in the order in which this epoch takes them.
    pub fn order(&self, epoch: u64) -> Vec<usize> {
        let n = self.samples();
        match self.0.options.shuffle {
            Some(key) => key.step(epoch).permutation(n),
            None => (0..n).collect(),
        }
    }

    /// The batches of one epoch, starting at `first_batch`. Dropping the result stops its threads.
    ///
    /// # Errors
    /// The operating system refuses to start the threads.
    pub fn epoch(&self, epoch: u64, first_batch: usize) -> Result<Epoch> {
        let options = &self.0.options;
        let order = Arc::new(self.order(epoch));
        let capacity = options.queue.div_ceil(options.workers);
        let batches = self.batches();
        let mut made = Epoch {
            source: BatchSource::Resident { shared: Arc::clone(&self.0), order: Arc::clone(&order), epoch },
            device: options.device.clone(),
            first: first_batch.min(batches),
            next: first_batch.min(batches),
            end: batches,
        };
        if self.0.resident.is_some() {
            return Ok(made);
        }
        let spawn = |worker: usize| {
            let (sender, queue) = sync_channel(capacity);
            let (shared, order) = (Arc::clone(&self.0), Arc::clone(&order));
            let mine = (first_batch + worker..batches).step_by(options.workers);
            let thread = std::thread::Builder::new()
                .name(format!("loader {worker}"))
                .spawn(move || shared.work(epoch, &order, mine, &sender))
                .map_err(|e| Error::new(ErrorKind::Io, "loader", format!("cannot start a thread: {e}")))?;
            Ok(Worker { queue, thread })
        };
        made.source = BatchSource::Workers((0..options.workers).map(spawn).collect::<Result<_>>()?);
        Ok(made)
    }
}

/// Makes a batch from the positions of its samples and its number in the epoch.
type MakeBatch<'a> = dyn FnMut(&[usize], usize) -> Result<Batch> + 'a;

/// Where batches for `device` are made.
fn host(device: &Device) -> Result<Device> {
    match device.as_cuda() {
        Some(_) => Device::cpu_with(&CpuOptions::with_threads(1)),
        None => Ok(device.clone()),
    }
}

impl LoaderShared {
    /// The body of a worker thread. It makes its share of the batches until none is left, one fails, or the epoch is
    /// dropped.
    fn work(
        &self,
        epoch: u64,
        order: &[usize],
        batches: impl Iterator<Item = usize>,
        sender: &SyncSender<Result<Batch>>,
    ) {
        let result =
            float_type!("loader", self.options.dtype, T => self.send_all::<T>(epoch, order, batches, sender));
        if let Err(error) = result {
            // If sending fails, the epoch was dropped, and nobody needs the error.
            let _ = sender.send(Err(error));
        }
    }

    fn send_all<T: Float>(
        &self,
        epoch: u64,
        order: &[usize],
        batches: impl Iterator<Item = usize>,
        sender: &SyncSender<Result<Batch>>,
    ) -> Result<()> {
        let batch_size = self.options.batch_size;
        let mut make: Box<MakeBatch> = match &self.set {
            Set::Images(set, size) => {
                let mut images = ImageBatcher::<T>::new(&**set, *size, &self.options, epoch)?;
                Box::new(move |samples, index| images.make(&self.host, samples, index))
            }
            Set::Examples(set) => {
                Box::new(|samples, index| examples::batch::<T>(&**set, &self.host, samples, index))
            }
        };
        for index in batches {
            let start = index * batch_size;
            let samples = &order[start..order.len().min(start + batch_size)];
            if sender.send(Ok(make(samples, index)?)).is_err() {
                break;
            }
        }
        Ok(())
    }
}

struct Worker {
    queue: Receiver<Result<Batch>>,
    thread: JoinHandle<()>,
}

/// The batches of one epoch, in order. Ends after the first error.
pub struct Epoch {
    source: BatchSource,
    device: Device,
    first: usize,
    next: usize,
    end: usize,
}

enum BatchSource {
    Workers(Vec<Worker>),
    Resident { shared: Arc<LoaderShared>, order: Arc<Vec<usize>>, epoch: u64 },
}

impl LoaderShared {
    /// Makes batch `index` on the device.
    fn gather(&self, epoch: u64, order: &[usize], index: usize) -> Result<Batch> {
        let start = index * self.options.batch_size;
        let samples = &order[start..order.len().min(start + self.options.batch_size)];
        let resident = self.resident.as_ref().expect("an epoch without workers has one");
        let [images, targets] = resident.batch(samples.len())?;
        let rows = resident.crop_specs(epoch, samples)?;
        let crop_specs = Tensor::from_slice(&self.options.device, &rows, &[samples.len(), CROP_SPEC])?;
        resident.gather(&crop_specs, &images, &targets)?;
        Ok(Batch { index, images, targets, samples: samples.to_vec() })
    }
}

impl Iterator for Epoch {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Result<Batch>> {
        if self.next == self.end {
            return None;
        }
        let batch = match &mut self.source {
            BatchSource::Resident { shared, order, epoch } => shared.gather(*epoch, order, self.next),
            BatchSource::Workers(workers) => {
                let turn = (self.next - self.first) % workers.len();
                match workers[turn].queue.recv() {
                    Ok(batch) => batch.and_then(|batch| batch.sent_to(&self.device)),
                    Err(_) => Err(panicked(workers.swap_remove(turn))),
                }
            }
        };
        self.next = if batch.is_ok() { self.next + 1 } else { self.end };
        Some(batch)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.end - self.next;
        (left, Some(left))
    }
}

impl Drop for Epoch {
    fn drop(&mut self) {
        // A worker ends when its queue is closed and it tries to send the next batch. All queues are closed before the
        // first thread is joined.
        let BatchSource::Workers(workers) = &mut self.source else { return };
        let threads: Vec<_> = workers.drain(..).map(|worker| worker.thread).collect();
        for thread in threads {
            // If a thread panicked and `next` did not report it, nobody requested its batches, so the panic is ignored.
            let _ = thread.join();
        }
    }
}

/// A worker whose queue closed too early has panicked. Returns its message as an error.
fn panicked(worker: Worker) -> Error {
    let message = match worker.thread.join() {
        Ok(()) => "it ended before its last batch".to_owned(),
        Err(payload) => match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
            (Some(text), _) => (*text).to_owned(),
            (_, Some(text)) => text.clone(),
            _ => "no message".to_owned(),
        },
    };
    Error::new(ErrorKind::Internal, "loader", format!("the thread that makes batches panicked: {message}"))
        .help("this is a bug in the data set's reader")
}
