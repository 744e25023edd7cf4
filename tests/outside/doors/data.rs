//! Data of one's own: images in floating point, with a mask or a number as the target.

use receptive::data::Examples;
use receptive::prelude::*;
use std::sync::Arc;

/// Images `[1, 8, 8]` of one bright square; the target is its mask, or the number of its pixels.
struct Squares {
    masks: bool,
    shape: Vec<usize>,
}

impl Squares {
    fn loader(masks: bool, workers: usize) -> Result<Loader> {
        let shape = if masks { vec![1, 8, 8] } else { vec![1] };
        let options = LoaderOptions { workers, ..LoaderOptions::plain(10, crate::cpu()) };
        Loader::from_examples(Arc::new(Squares { masks, shape }), options)
    }

    fn is_inside(i: usize, pixel: usize) -> bool {
        let (side, row, column) = (2 + i % 4, pixel / 8, pixel % 8);
        row < side && column < side
    }
}

impl Examples for Squares {
    fn name(&self) -> &str {
        "squares"
    }

    fn len(&self) -> usize {
        40
    }

    fn input_shape(&self) -> &[usize] {
        &[1, 8, 8]
    }

    fn target_shape(&self) -> Option<&[usize]> {
        Some(&self.shape)
    }

    fn input(&self, i: usize, to: &mut [f32]) -> Result<()> {
        let noise = |pixel: usize| Key::new(7).step(i as u64).uniform(pixel as u64) as f32 - 0.5;
        let light = |pixel| if Squares::is_inside(i, pixel) { 3.0 } else { 0.0 };
        to.iter_mut().enumerate().for_each(|(pixel, to)| *to = light(pixel) + noise(pixel));
        Ok(())
    }

    fn target(&self, i: usize, to: &mut [f32]) -> Result<()> {
        let inside = |pixel| f32::from(u8::from(Squares::is_inside(i, pixel)));
        match self.masks {
            true => to.iter_mut().enumerate().for_each(|(pixel, to)| *to = inside(pixel)),
            false => to[0] = (0..64).map(inside).sum(),
        }
        Ok(())
    }
}

#[test]
fn masks_train_a_segmenter() -> Result<()> {
    let net = Sequential::new().named("conv", Conv2d::new(1, 1, 3).padding(1));
    net.init(&crate::cpu(), DType::F32, 0)?;
    let config = RunConfig::plain("net", 40, 0.5);
    let loaders = [Squares::loader(true, 1)?, Squares::loader(true, 1)?];
    let outcome =
        Trainer::new(&net, Loss::BceWithLogits, super::sgd(&net)?, config)?.fit(&loaders[0], &loaders[1])?;
    assert!(outcome.best.overlap.is_some_and(|overlap| overlap.dice > 0.9), "{outcome:?}");
    Ok(())
}

#[test]
fn numbers_are_the_same_with_any_number_of_workers() -> Result<()> {
    let all = |workers| -> Result<Vec<f32>> {
        let mut all = Vec::new();
        for batch in Squares::loader(false, workers)?.epoch(0, 0)? {
            let batch = batch?;
            all.extend(batch.images.to_vec::<f32>()?);
            all.extend(batch.targets.to_vec::<f32>()?);
        }
        Ok(all)
    };
    let one = all(1)?;
    assert_eq!((one.len(), &one[640..644]), (40 * 65, &[4.0, 9.0, 16.0, 25.0][..]));
    assert!(one == all(3)?);
    Ok(())
}

/// Batches of one example, and a last batch that is shorter.
#[test]
fn every_example_is_in_one_batch() -> Result<()> {
    let x = Tensor::arange(&crate::cpu(), 0.0, 7.0, 1.0, DType::F32)?;
    for (batch_size, sizes) in [(1, &[1; 7][..]), (3, &[3, 3, 1]), (9, &[7])] {
        let set = Arc::new(TensorDataset::new(&x, &x)?);
        let loader = Loader::from_examples(set, LoaderOptions::plain(batch_size, crate::cpu()))?;
        let batches = loader.epoch(0, 0)?.collect::<Result<Vec<_>>>()?;
        assert!(batches.iter().map(|batch| batch.len()).eq(sizes.iter().copied()));
        let all = batches.iter().map(|batch| batch.targets.to_vec::<f32>()).collect::<Result<Vec<_>>>()?;
        assert_eq!(all.concat(), x.to_vec::<f32>()?);
    }
    Ok(())
}

/// A set that forgets a method, and options that are for images, are errors that say what to do.
#[test]
fn mistakes_are_named() -> Result<()> {
    struct Half;

    impl Examples for Half {
        fn name(&self) -> &str {
            "half"
        }

        fn len(&self) -> usize {
            3
        }

        fn input_shape(&self) -> &[usize] {
            &[2]
        }

        fn input(&self, _: usize, to: &mut [f32]) -> Result<()> {
            to.fill(0.0);
            Ok(())
        }
    }

    let cpu = crate::cpu();
    let loader = Loader::from_examples(Arc::new(Half), LoaderOptions::plain(2, cpu.clone()))?;
    let error = loader.epoch(0, 0)?.next().unwrap().unwrap_err().to_string();
    assert!(error.contains("Examples::label") && error.contains("example 0"), "{error}");
    let images = LoaderOptions::new(2, receptive::data::Normalize::unit(1), cpu);
    let error = Loader::from_examples(Arc::new(Half), images).err().unwrap().to_string();
    assert!(error.contains("LoaderOptions::plain"), "{error}");
    Ok(())
}

/// A label that no i64 can hold is named as the user wrote it, not as -1.
#[test]
fn a_label_that_is_too_large_is_named() -> Result<()> {
    struct Largest;

    impl Examples for Largest {
        fn name(&self) -> &str {
            "largest"
        }

        fn len(&self) -> usize {
            3
        }

        fn input_shape(&self) -> &[usize] {
            &[2]
        }

        fn input(&self, _: usize, to: &mut [f32]) -> Result<()> {
            to.fill(0.0);
            Ok(())
        }

        fn label(&self, i: usize) -> Result<usize> {
            Ok(if i == 1 { usize::MAX } else { 0 })
        }
    }

    let loader = Loader::from_examples(Arc::new(Largest), LoaderOptions::plain(3, crate::cpu()))?;
    let error = loader.epoch(0, 0)?.next().unwrap().unwrap_err().to_string();
    assert!(error.contains(&format!("{} for example 1 is too large", usize::MAX)), "{error}");
    Ok(())
}
