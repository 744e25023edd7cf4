//! Batches, made ahead of the training step by threads of the loader's own.
//!
//! ```text
//!   worker 0: batches 0, 2, 4, ...  --queue-->  \
//!                                                 the epoch takes turns: 0, 1, 2, 3, ...
//!   worker 1: batches 1, 3, 5, ...  --queue-->  /
//! ```
//!
//! Which images a batch holds is a function of (key, epoch, batch) alone, and each worker has a queue of its own that is
//! emptied in turn: so the number of threads and the length of the queues change nothing but the time. An epoch can start
//! at any batch without making those before it, which is what a resumed run does. The threads are not the compute pool's:
//! reading never waits for a convolution, nor the other way round.

use super::{Dataset, Normalize};
use crate::core::{DType, Error, ErrorKind, Float, Key, Result};
use crate::float_type;
use crate::tensor::{Device, Tensor};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Some images with their labels, on the device.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Which batch of the epoch this is.
    pub index: usize,
    /// `[B, C, H, W]`, normalised, of the loader's dtype.
    pub images: Tensor,
    /// `[B]`, i64.
    pub labels: Tensor,
    /// The images' positions in the data set.
    pub samples: Vec<usize>,
}

/// How a [`Loader`] makes its batches.
#[derive(Debug, Clone)]
pub struct LoaderOptions {
    /// Images in a batch. The last batch of an epoch holds what is left.
    pub batch_size: usize,
    /// A new permutation each epoch, drawn with this key; `None` keeps the file's order.
    pub shuffle: Option<Key>,
    /// How bytes become numbers.
    pub normalize: Normalize,
    /// Where the batches go.
    pub device: Device,
    /// f32, or f64 for reference runs.
    pub dtype: DType,
    /// Threads that make batches.
    pub workers: usize,
    /// Batches that may wait, ready, for the training step.
    pub queue: usize,
}

impl LoaderOptions {
    /// f32, file order, one thread, three batches ahead.
    pub fn new(batch_size: usize, normalize: Normalize, device: Device) -> LoaderOptions {
        LoaderOptions {
            batch_size,
            shuffle: None,
            normalize,
            device,
            dtype: DType::F32,
            workers: 1,
            queue: 3,
        }
    }
}

/// Feeds a data set to a training loop, epoch by epoch. (PyTorch: `DataLoader`.)
pub struct Loader(Arc<Shared>);

struct Shared {
    dataset: Arc<dyn Dataset>,
    options: LoaderOptions,
}

impl Loader {
    /// Checks the options against the data set.
    ///
    /// # Errors
    /// A batch size, number of workers or queue of 0; no images; a dtype that does not compute; normalisation for another
    /// number of channels.
    pub fn new(dataset: Arc<dyn Dataset>, options: LoaderOptions) -> Result<Loader> {
        let sizes =
            [("batch size", options.batch_size), ("workers", options.workers), ("queue", options.queue)];
        if let Some((name, _)) = sizes.iter().find(|(_, size)| *size == 0) {
            return Err(Error::argument(*name, "cannot be 0").expected("at least 1"));
        }
        let image = dataset.image();
        if dataset.is_empty() || image.contains(&0) {
            return Err(Error::argument(dataset.name(), "holds no images")
                .with("length", dataset.len())
                .with("image", format_args!("{image:?}")));
        }
        float_type!("loader", options.dtype, T => options.normalize.table::<T>(image[0]).map(drop))?;
        Ok(Loader(Arc::new(Shared { dataset, options })))
    }

    /// What it reads.
    pub fn dataset(&self) -> &Arc<dyn Dataset> {
        &self.0.dataset
    }

    /// Batches in an epoch, the last short one included.
    pub fn batches(&self) -> usize {
        self.0.dataset.len().div_ceil(self.0.options.batch_size)
    }

    /// The batches of one epoch from `first_batch` on. Dropping it early stops its threads.
    ///
    /// # Errors
    /// The operating system refusing threads.
    pub fn epoch(&self, epoch: u64, first_batch: usize) -> Result<Epoch> {
        let options = &self.0.options;
        let n = self.0.dataset.len();
        let order = Arc::new(match options.shuffle {
            Some(key) => key.step(epoch).permutation(n),
            None => (0..n).collect(),
        });
        let capacity = options.queue.div_ceil(options.workers);
        let batches = self.batches();
        let spawn = |worker: usize| {
            let (sender, queue) = sync_channel(capacity);
            let (shared, order) = (Arc::clone(&self.0), Arc::clone(&order));
            let mine = (first_batch + worker..batches).step_by(options.workers);
            let thread = std::thread::Builder::new()
                .name(format!("loader {worker}"))
                .spawn(move || shared.work(&order, mine, &sender))
                .map_err(|e| Error::new(ErrorKind::Io, "loader", format!("cannot start a thread: {e}")))?;
            Ok(Worker { queue, thread })
        };
        let workers = (0..options.workers).map(spawn).collect::<Result<_>>()?;
        Ok(Epoch { workers, first: first_batch.min(batches), next: first_batch.min(batches), end: batches })
    }
}

impl Shared {
    /// A worker's life: its share of the batches, until there are no more, one fails, or nobody listens.
    fn work(
        &self,
        order: &[usize],
        batches: impl Iterator<Item = usize>,
        sender: &SyncSender<Result<Batch>>,
    ) {
        let result =
            float_type!("loader", self.options.dtype, T => self.send_all::<T>(order, batches, sender));
        if let Err(error) = result {
            // Nobody listening means the epoch was dropped: then there is nobody to tell.
            let _ = sender.send(Err(error));
        }
    }

    fn send_all<T: Float>(
        &self,
        order: &[usize],
        batches: impl Iterator<Item = usize>,
        sender: &SyncSender<Result<Batch>>,
    ) -> Result<()> {
        let table = self.options.normalize.table::<T>(self.dataset.image()[0])?;
        let mut values = Vec::new();
        for index in batches {
            let batch = self.make(&table, order, index, &mut values)?;
            if sender.send(Ok(batch)).is_err() {
                break;
            }
        }
        Ok(())
    }

    fn make<T: Float>(
        &self,
        table: &[[T; 256]],
        order: &[usize],
        index: usize,
        values: &mut Vec<T>,
    ) -> Result<Batch> {
        let LoaderOptions { batch_size, device, .. } = &self.options;
        let start = index * batch_size;
        let samples = &order[start..order.len().min(start + batch_size)];
        let [channels, height, width] = self.dataset.image();
        let plane = height * width;
        let mut bytes = vec![0; channels * plane];
        values.clear();
        for &i in samples {
            self.dataset.pixels(i, &mut bytes)?;
            for (plane, table) in bytes.chunks_exact(plane).zip(table) {
                values.extend(plane.iter().map(|&byte| table[usize::from(byte)]));
            }
        }
        let labels: Vec<i64> = samples.iter().map(|&i| self.dataset.label(i) as i64).collect();
        Ok(Batch {
            index,
            images: Tensor::from_slice(device, values, &[samples.len(), channels, height, width])?,
            labels: Tensor::from_slice(device, &labels, &[samples.len()])?,
            samples: samples.to_vec(),
        })
    }
}

struct Worker {
    queue: Receiver<Result<Batch>>,
    thread: JoinHandle<()>,
}

/// The batches of one epoch, in order. Ends after the first error.
pub struct Epoch {
    workers: Vec<Worker>,
    first: usize,
    next: usize,
    end: usize,
}

impl Iterator for Epoch {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Result<Batch>> {
        if self.next == self.end {
            return None;
        }
        let turn = (self.next - self.first) % self.workers.len();
        let batch = match self.workers[turn].queue.recv() {
            Ok(batch) => batch,
            Err(_) => Err(panicked(self.workers.swap_remove(turn))),
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
        // A closed queue ends its worker at the next batch it offers; all are closed before the first is waited for.
        let threads: Vec<_> = self.workers.drain(..).map(|worker| worker.thread).collect();
        for thread in threads {
            // A panic that `next` did not meet concerns batches nobody asked for.
            let _ = thread.join();
        }
    }
}

/// A worker that hung up before its share was done has panicked: its message as an error.
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
