//! Data sets: finding, downloading and reading them, and feeding them to a training loop.
//!
//! | file | what |
//! |---|---|
//! | `idx.rs` | the IDX format of MNIST and Fashion-MNIST, plain or gzipped, with every size checked against the file |
//! | `cifar.rs` | CIFAR-10's binary folder |
//! | `pets.rs` | the Oxford-IIIT pets: lists, photographs, trimaps |
//! | `folder.rs` | images sorted into folders by class |
//! | `picture/` | decoding PNG, JPEG and GIF files within limits |
//! | `dataset.rs` | [`Dataset`], [`ImageSet`] in memory, [`Subset`] |
//! | `examples.rs` | [`Examples`]: inputs and targets that are numbers already; [`TensorDataset`] |
//! | `checked.rs` | reads from a set and checks the result against the set's own description |
//! | `inverted.rs` | [`Inverted`]: another set with light and dark swapped |
//! | `fingerprint.rs` | [`Fingerprint`]: a few numbers that tell which images a split contains |
//! | `file_set.rs` | images in separate files, decoded when they are read |
//! | `image.rs` | [`Image`]: one image as bytes |
//! | `transform.rs` | [`Pipeline`]: padding, mirroring, cropping, resizing, with keyed random numbers |
//! | `resize.rs` | bilinear resizing with antialias, and nearest for masks |
//! | `augment.rs` | [`Augment`]: the pipelines that follow from a set and three settings |
//! | `masks.rs` | [`Masks`]: binary masks, or trimaps over 255 |
//! | `normalize.rs` | pixels (u8) to numbers: `/ 255`, then `(x - mean) / std` per channel or per pixel |
//! | `brightness.rs` | [`Brightness`]: whether a picture is light where the training images were dark, or the reverse |
//! | `catalog.rs` | the table of known sets, one row per set |
//! | `lookup.rs` | where a set is stored on this machine, and [`load`] |
//! | `loader.rs` | [`Loader`]: shuffled batches, prepared in advance by its own threads |
//! | `image_batcher.rs` | the batches of images that a thread of the loader makes |
//! | `device_dataset.rs` | [`Resident`]: a small set kept on a GPU, where its batches are made |
//! | `fetch.rs`, `archive.rs` | downloading a set, unpacking it |
//! | `sample/` | 5,000 + 1,000 Fashion-MNIST images, embedded in the program |
//!
//! ```
//! use receptive::data::{DataDirs, Loader, LoaderOptions, load};
//! use receptive::{Device, Key};
//! let splits = load("sample", &DataDirs::default())?;
//! let mut options = LoaderOptions::new(64, splits.normalizer(splits.facts.normalization)?, Device::cpu()?);
//! options.shuffle = Some(Key::new(42).child("shuffle"));
//! let loader = Loader::new(splits.train, options)?;
//! assert_eq!(loader.batches(), 79); // 78 of 64 images, and the last 8
//! let batch = loader.epoch(0, 0)?.next().unwrap()?;
//! assert_eq!(batch.images.dims(), [64, 1, 28, 28]);
//! # Ok::<(), receptive::Error>(())
//! ```

mod archive;
pub mod augment;
pub mod brightness;
pub mod catalog;
pub mod checked;
pub mod cifar;
pub mod dataset;
pub mod device_dataset;
pub mod examples;
pub mod fetch;
mod file_set;
pub mod fingerprint;
mod folder;
pub mod idx;
pub mod image;
mod image_batcher;
mod inverted;
pub mod loader;
pub mod lookup;
pub mod masks;
pub mod normalize;
mod pets;
pub mod picture;
mod resize;
pub mod transform;

pub use augment::{Augment, DatasetInfo};
pub use brightness::Brightness;
pub use catalog::{SETS, SetSpec};
pub use dataset::{Dataset, ImageSet, Subset, stratified};
pub use device_dataset::Resident;
pub use examples::{Examples, TensorDataset};
pub use fetch::{FetchOptions, fetch};
pub use fingerprint::Fingerprint;
pub use image::{Image, ImageSize};
pub use inverted::Inverted;
pub use loader::{Batch, Epoch, Loader, LoaderOptions, Target};
pub use lookup::{DataDirs, Splits, find, list, load};
pub use masks::Masks;
pub use normalize::{Normalization, Normalize};
pub use transform::{Pipeline, Scratch, Transform};
