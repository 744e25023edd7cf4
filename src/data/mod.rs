//! Data sets: reading, finding, fetching, and feeding them to a training loop.
//!
//! | file | what |
//! |---|---|
//! | `idx.rs` | the IDX format of MNIST and Fashion-MNIST, plain or gzipped, believed only as far as the file goes |
//! | `dataset.rs` | [`Dataset`], [`ImageSet`] in memory, [`Subset`] |
//! | `normalize.rs` | pixels (u8) to numbers: `/ 255`, then `(x - mean) / std` a channel |
//! | `catalog.rs` | the table of known sets: one row each |
//! | `lookup.rs` | where a set lies on this machine, and [`load`] |
//! | `loader.rs` | [`Loader`]: shuffled batches, made ahead by threads of its own |
//! | `fetch.rs` | downloading a set |
//! | `sample/` | 5,000 + 1,000 Fashion-MNIST images, embedded in the program |
//!
//! ```
//! use receptive::data::{DataDirs, Loader, LoaderOptions, load};
//! use receptive::{Device, Key};
//! let splits = load("sample", &DataDirs::default())?;
//! let mut options = LoaderOptions::new(64, splits.normalize(None), Device::cpu()?);
//! options.shuffle = Some(Key::new(42).child("shuffle"));
//! let loader = Loader::new(splits.train, options)?;
//! assert_eq!(loader.batches(), 79); // 78 of 64 images, and the last 8
//! let batch = loader.epoch(0, 0)?.next().unwrap()?;
//! assert_eq!(batch.images.dims(), [64, 1, 28, 28]);
//! # Ok::<(), receptive::Error>(())
//! ```

pub mod catalog;
pub mod dataset;
pub mod fetch;
pub mod idx;
pub mod loader;
pub mod lookup;
pub mod normalize;

pub use catalog::{SETS, SetSpec};
pub use dataset::{Dataset, ImageSet, Subset, stratified};
pub use fetch::{FetchOptions, fetch};
pub use loader::{Batch, Epoch, Loader, LoaderOptions};
pub use lookup::{DataDirs, Splits, find, list, load};
pub use normalize::Normalize;
