//! A data set that is kept on the device. Its bytes are copied there once. One kernel then makes each batch,
//! transformed and normalised. With small images, this decides whether the GPU has to wait for its data.
//!
//! Random numbers are drawn on the host by the same code that the loader's threads use, so the images are the same to
//! the last bit. For each image the host sends a crop spec: which image it is, and which of its pixels each output
//! pixel is. A crop spec can express pads, flips, crops and a hole at the end. It cannot express a resize, which is
//! left to the threads.
//!
//! ```text
//!   output pixel (i, j)  <-  source pixel (top + i, left + sign j)   inside the valid rectangle, else the fill
//!
//!     pad    top -= p, left -= sign p        flip   left += sign (w - 1), sign = -sign        crop   top += t, left += sign l
//! ```

use super::normalize::PixelTable;
use super::transform::{DrawnTransform, Transform};
use super::{Dataset, Image, Pipeline, checked};
use crate::core::{DType, ErrorKind, Key, Result};
use crate::cpu::{CpuCtx, View, ViewMut};
use crate::cuda::{CudaCtx, DeviceView, Launch, kernels};
use crate::tensor::{Device, Meta, Tensor, Update, total_bytes, update};

/// Sets with more bytes are not kept on the device.
const LARGEST: usize = 1 << 30;
/// The number of integers in a crop spec.
pub const CROP_SPEC: usize = 12;

/// Images, labels and the table that turns bytes into numbers, on the device.
pub struct Resident {
    /// `[N, C, H, W]`, u8.
    pixels: Tensor,
    /// `[N]`, i64.
    labels: Tensor,
    /// Per channel, the number for each byte. Or: each byte divided by 255, then a mean and a deviation per pixel.
    table: Tensor,
    pipeline: Pipeline,
    key: Key,
    source: [usize; 3],
    image: [usize; 3],
}

impl Resident {
    /// Copies a set to the device; `None` if it is too large or its transforms cannot be crop specs.
    ///
    /// # Errors
    /// An image that cannot be read; an error of the device.
    pub(super) fn new(
        set: &dyn Dataset,
        pipeline: &Pipeline,
        key: Key,
        device: &Device,
    ) -> Result<Option<Resident>> {
        let Some(source) = set.size().fixed() else { return Ok(None) };
        let bytes = source.iter().product::<usize>().saturating_mul(set.len());
        let image = pipeline.output(set.size())?;
        // One crop spec shows whether all are possible, because the kinds of steps do not depend on the random numbers.
        if bytes > LARGEST || source[0] > 4 || crop_spec(pipeline, key, 0, source)?.is_none() {
            return Ok(None);
        }
        let (mut pixels, mut labels) = (Vec::with_capacity(bytes), Vec::with_capacity(set.len()));
        let mut read = Image::default();
        for i in 0..set.len() {
            checked::read(set, i, &mut read)?;
            pixels.extend_from_slice(&read.pixels);
            labels.push(checked::label(set, i)? as i64);
        }
        let [c, h, w] = source;
        let table = numbers(&pipeline.normalize.table::<f32>(image)?);
        let pixels = match Tensor::from_vec(device, pixels, &[set.len(), c, h, w]) {
            Err(full) if full.kind() == ErrorKind::OutOfMemory => return Ok(None),
            pixels => pixels?,
        };
        Ok(Some(Resident {
            pixels,
            labels: Tensor::from_vec(device, labels, &[set.len()])?,
            table: Tensor::from_slice(device, &table, &[table.len()])?,
            pipeline: pipeline.clone(),
            key,
            source,
            image,
        }))
    }

    /// How to make each of these samples in this epoch: 12 numbers per sample, as [`gather`](Self::gather) reads them.
    ///
    /// # Errors
    /// An image too small for a step.
    pub fn crop_specs(&self, epoch: u64, samples: &[usize]) -> Result<Vec<i64>> {
        let mut all = Vec::with_capacity(CROP_SPEC * samples.len());
        for &sample in samples {
            let spec = crop_spec(&self.pipeline, self.key.step(epoch), sample, self.source)?;
            all.extend(spec.expect("checked when the set was put on the device").numbers(sample));
        }
        Ok(all)
    }

    /// Allocates tensors for a batch of `n`: images and labels.
    ///
    /// # Errors
    /// No memory on the device.
    pub fn batch(&self, n: usize) -> Result<[Tensor; 2]> {
        let (device, [c, h, w]) = (self.pixels.device(), self.image);
        Ok([Tensor::zeros(device, &[n, c, h, w], DType::F32)?, Tensor::zeros(device, &[n], DType::I64)?])
    }

    /// Makes a batch in place: `images` `[B, C, H, W]` and `labels` `[B]` from `crop_specs` `[B, 12]`.
    ///
    /// # Errors
    /// An error of the device.
    pub fn gather(&self, crop_specs: &Tensor, images: &Tensor, labels: &Tensor) -> Result<()> {
        let gather = GatherBatch { source: self.source, image: self.image };
        update(&gather, &[images, labels], &[&self.pixels, &self.labels, &self.table, crop_specs])
    }
}

/// The table as one row of numbers; see [`Resident::table`].
fn numbers(table: &PixelTable<f32>) -> Vec<f32> {
    match table {
        PixelTable::Channels(rows) => rows.iter().flatten().copied().collect(),
        PixelTable::Pixels { unit, numbers } => {
            unit.iter().copied().chain(numbers.iter().flat_map(|&(mean, std)| [mean, std])).collect()
        }
    }
}

/// Says which source pixel each output pixel is.
struct CropSpec {
    top: isize,
    left: isize,
    sign: isize,
    /// The range of source rows and the range of source columns; outside them everything is fill.
    valid: [isize; 4],
    fill: u8,
    /// A square of the output: top, left, side. `hole_bytes` has its byte for each channel.
    hole: [usize; 3],
    hole_bytes: [u8; 4],
}

impl CropSpec {
    fn numbers(&self, sample: usize) -> [i64; CROP_SPEC] {
        let [row0, row1, column0, column1] = self.valid.map(|v| v as i64);
        let [hole_top, hole_left, hole_side] = self.hole.map(|v| v as i64);
        let bytes = i64::from(u32::from_le_bytes(self.hole_bytes)) | i64::from(self.fill) << 32;
        let [top, left, sign] = [self.top, self.left, self.sign].map(|v| v as i64);
        [sample as i64, top, left, sign, row0, row1, column0, column1, hole_top, hole_left, hole_side, bytes]
    }
}

/// The crop spec of a sample; `None` if a crop spec cannot express the steps.
fn crop_spec(pipeline: &Pipeline, key: Key, sample: usize, source: [usize; 3]) -> Result<Option<CropSpec>> {
    let [channels, mut h, mut w] = source;
    let mut p = CropSpec {
        top: 0,
        left: 0,
        sign: 1,
        valid: [0, h as isize, 0, w as isize],
        fill: 0,
        hole: [0; 3],
        hole_bytes: [0; 4],
    };
    let mut fills = None;
    let changes = Transform::draw_all(&pipeline.steps, key, sample, source)?;
    for (i, change) in changes.iter().enumerate() {
        match *change {
            DrawnTransform::Nothing => {}
            DrawnTransform::Resize(size) if size == [h, w] => {}
            DrawnTransform::Flip => {
                p.left += p.sign * (w as isize - 1);
                p.sign = -p.sign;
            }
            DrawnTransform::Window { top, left, size, fill } => {
                let outside =
                    top < 0 || left < 0 || top as usize + size[0] > h || left as usize + size[1] > w;
                if outside && *fills.get_or_insert(fill) != fill {
                    return Ok(None);
                }
                let (first, last) = (p.left, p.left + p.sign * (w as isize - 1));
                let [row0, row1, column0, column1] = p.valid;
                let (from, to) = (first.min(last), first.max(last) + 1);
                p.valid = [row0.max(p.top), row1.min(p.top + h as isize), column0.max(from), column1.min(to)];
                p.top += top;
                p.left += p.sign * left;
                [h, w] = size;
            }
            // Only as the last step: a window or a flip after it would move the hole.
            DrawnTransform::Erase { top, left, side, fill } if i + 1 == changes.len() => {
                p.hole = [top, left, side];
                p.hole_bytes[..channels].copy_from_slice(&fill[..channels]);
            }
            DrawnTransform::Erase { .. } | DrawnTransform::Resize(_) | DrawnTransform::ResizedCrop { .. } => {
                return Ok(None);
            }
        }
    }
    p.fill = fills.unwrap_or(0);
    Ok(Some(p))
}

/// Targets: images and labels. Inputs: the set's pixels and labels, the table, and crop specs.
#[derive(Debug)]
struct GatherBatch {
    source: [usize; 3],
    image: [usize; 3],
}

impl Update for GatherBatch {
    fn name(&self) -> &'static str {
        "gather"
    }

    fn cpu(&self, _cx: &CpuCtx, targets: &mut [ViewMut], x: &[View]) -> Result<()> {
        let (pixels, labels) = (x[0].get::<u8>(), x[1].get::<i64>());
        let (table, crop_specs) = (x[2].get::<f32>(), x[3].get::<i64>());
        let ([_, h, w], [channels, height, width]) = (self.source, self.image);
        let [images, targets] = targets else { unreachable!("images and labels") };
        let mut out = images.get::<f32>().iter_mut();
        for (p, target) in crop_specs.chunks_exact(CROP_SPEC).zip(targets.get::<i64>()) {
            *target = labels[p[0] as usize];
            for c in 0..channels {
                for (i, j) in (0..height).flat_map(|i| (0..width).map(move |j| (i, j))) {
                    let (row, column) = (p[1] + i as i64, p[2] + p[3] * j as i64);
                    let in_hole = |at: usize, from: i64| (from..from + p[10]).contains(&(at as i64));
                    let byte = if in_hole(i, p[8]) && in_hole(j, p[9]) {
                        (p[11] >> (8 * c)) as u8
                    } else if (p[4]..p[5]).contains(&row) && (p[6]..p[7]).contains(&column) {
                        let image = p[0] as usize * channels + c;
                        pixels[(image * h + row as usize) * w + column as usize]
                    } else {
                        (p[11] >> 32) as u8
                    };
                    let pixel = (c * height + i) * width + j;
                    if let Some(out) = out.next() {
                        *out = number(table, channels, c, pixel, byte);
                    }
                }
            }
        }
        Ok(())
    }

    fn cuda(&self, cx: &CudaCtx, targets: &[DeviceView], x: &[DeviceView]) -> Result<()> {
        let ([_, h, w], [c, height, width]) = (self.source, self.image);
        let args = kernels::GatherArgs {
            batch: x[3].dims()[0] as i32,
            c: c as i32,
            source_h: h as i32,
            source_w: w as i32,
            h: height as i32,
            w: width as i32,
            per_channel: i32::from(x[2].numel() == 256 * c),
            ..Default::default()
        };
        let (images, labels) = (targets[0].f32()?, targets[1].i64()?);
        kernels::gather_batch(
            cx,
            Launch::over(targets[0].numel()),
            x[0].u8()?,
            x[1].i64()?,
            x[2].f32()?,
            x[3].i64()?,
            images,
            labels,
            args,
        )
    }

    fn flops(&self, targets: &[Meta], _x: &[Meta]) -> u64 {
        targets[0].numel() as u64
    }

    /// Of the set's pixels and labels, only those of the batch are read.
    fn bytes(&self, targets: &[Meta], x: &[Meta]) -> u64 {
        let read = targets[0].numel() * x[0].dtype.size() + targets[1].bytes() + x[2].bytes() + x[3].bytes();
        read as u64 + total_bytes(targets)
    }
}

/// The number for a byte.
fn number(table: &[f32], channels: usize, c: usize, pixel: usize, byte: u8) -> f32 {
    let byte = usize::from(byte);
    if table.len() == 256 * channels {
        return table[256 * c + byte];
    }
    let [mean, std] = [table[256 + 2 * pixel], table[257 + 2 * pixel]];
    (table[byte] - mean) / std
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{ImageSet, Loader, LoaderOptions, Normalize};
    use std::sync::Arc;

    fn set() -> ImageSet {
        let bytes = |i: usize| (Key::new(9).bits(i as u64) >> 24) as u8;
        let (n, size) = (7, [3, 6, 5]);
        let pixels = (0..n * size.iter().product::<usize>()).map(bytes).collect();
        ImageSet::new("noise", size, pixels, (0..n as u32).collect(), (0..n).map(|i| i.to_string()).collect())
            .unwrap()
    }

    /// The device makes the same images as the loader's threads.
    #[test]
    fn batches_are_those_of_the_threads_to_the_bit() {
        let fill = vec![1, 2, 3];
        let pad = Transform::Pad { padding: 2, fill: 9 };
        let flip = Transform::RandomHorizontalFlip(0.5);
        let crop = Transform::RandomCrop([5, 4]);
        let hole = Transform::Cutout { side: 2, fill };
        let pixels = Normalize { mean: vec![0.4; 60], std: (1..=60).map(|i| i as f64).collect() };
        for (steps, normalize) in [
            (vec![], Normalize::unit(3)),
            (vec![pad.clone(), flip.clone(), crop.clone(), hole.clone()], Normalize::half(3)),
            (vec![flip.clone(), crop.clone(), flip.clone(), pad, crop.clone()], Normalize::unit(3)),
            (vec![crop.clone(), flip], pixels),
            (vec![crop, Transform::CenterCrop([8, 9])], Normalize::unit(3)),
        ] {
            let pipeline = Pipeline { steps, normalize };
            let cpu = Device::cpu().unwrap();
            let options = LoaderOptions {
                shuffle: Some(Key::new(3)),
                augment_key: Key::new(4),
                ..LoaderOptions::new(4, pipeline.clone(), cpu.clone())
            };
            let resident = Resident::new(&set(), &pipeline, Key::new(4), &cpu).unwrap().unwrap();
            let loader = Loader::new(Arc::new(set()), options).unwrap();
            for batch in loader.epoch(2, 0).unwrap() {
                let batch = batch.unwrap();
                let rows = resident.crop_specs(2, &batch.samples).unwrap();
                let rows = Tensor::from_vec(&cpu, rows, &[batch.len(), CROP_SPEC]).unwrap();
                let [images, labels] = resident.batch(batch.len()).unwrap();
                resident.gather(&rows, &images, &labels).unwrap();
                assert_eq!(
                    images.to_vec::<f32>().unwrap(),
                    batch.images.to_vec::<f32>().unwrap(),
                    "{pipeline:?}"
                );
                assert_eq!(labels.to_vec::<i64>().unwrap(), batch.targets.to_vec::<i64>().unwrap());
            }
        }
    }

    #[test]
    fn what_no_crop_spec_expresses_is_left_to_the_threads() {
        let hole = Transform::Cutout { side: 1, fill: vec![0; 3] };
        let cpu = Device::cpu().unwrap();
        for steps in [vec![Transform::Resize([4, 4])], vec![hole, Transform::RandomHorizontalFlip(0.5)]] {
            let pipeline = Pipeline { steps, normalize: Normalize::unit(3) };
            assert!(Resident::new(&set(), &pipeline, Key::new(0), &cpu).unwrap().is_none(), "{pipeline:?}");
        }
    }
}
