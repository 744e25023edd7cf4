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

/// NaN in an example is reported as such, with the example; it is not the learning rate's fault.
#[test]
fn nan_in_the_data_is_named() -> Result<()> {
    let [x, classes] = super::points(40)?;
    let mut values = x.to_vec::<f32>()?;
    values[2 * 5] = f32::NAN;
    let x = Tensor::from_vec(&super::cpu(), values, &[40, 2])?;
    let set = Arc::new(TensorDataset::new(&x, &classes)?);
    let train = Loader::from_examples(set, LoaderOptions::plain(20, super::cpu()))?;
    let net = super::classifier()?;
    let config = RunConfig::plain("net", 1, 0.1);
    let mut trainer = Trainer::new(&net, Loss::CrossEntropy, super::sgd(&net)?, config)?;
    let error = trainer.fit(&train, &super::batches(20)?).unwrap_err().to_string();
    assert!(error.contains("example 5 of the batch") && !error.contains("learning rate"), "{error}");
    Ok(())
}

/// Probabilities as targets of cross entropy are not masks: there is no Dice, and the loss decides which epoch is best.
#[test]
fn probabilities_as_targets_are_not_masks() -> Result<()> {
    let [x, classes] = super::points(40)?;
    let soft: Vec<f32> =
        classes.to_vec::<i64>()?.iter().flat_map(|&c| [0.9 - 0.8 * c as f32, 0.1 + 0.8 * c as f32]).collect();
    let soft = Tensor::from_vec(&super::cpu(), soft, &[40, 2])?;
    let loader = || {
        let set = Arc::new(TensorDataset::new(&x, &soft)?);
        Loader::from_examples(set, LoaderOptions::plain(20, super::cpu()))
    };
    let net = super::classifier()?;
    let config = RunConfig::plain("net", 2, 0.1);
    let mut trainer = Trainer::new(&net, Loss::CrossEntropy, super::sgd(&net)?, config)?;
    let best = trainer.fit(&loader()?, &loader()?)?.best;
    assert!(best.overlap.is_none() && best.loss.is_some(), "{best:?}");
    Ok(())
}

/// A whole-number dtype refuses what it cannot hold; a range must be finite.
#[test]
fn numbers_that_do_not_fit_are_refused() {
    let cpu = super::cpu();
    for (value, dtype) in [(2.5, DType::I64), (300.0, DType::U8), (f64::NAN, DType::I64)] {
        let error = Tensor::full(&cpu, value, &[2], dtype).unwrap_err().to_string();
        assert!(error.contains("cannot hold"), "{error}");
    }
    assert!(Tensor::arange(&cpu, 0.0, 3.0, f64::INFINITY, DType::F32).is_err());
}

/// An operator that panics names the line where it stands.
#[test]
fn an_operator_panics_at_its_own_line() {
    use std::sync::Mutex;
    static PLACE: Mutex<String> = Mutex::new(String::new());
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(|info| {
        *PLACE.lock().unwrap() = info.location().map(ToString::to_string).unwrap_or_default();
    }));
    let shapes = [3, 2].map(|n| Tensor::zeros(&super::cpu(), &[n], DType::F32).unwrap());
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| &shapes[0] + &shapes[1]));
    std::panic::set_hook(before);
    assert!(result.is_err() && PLACE.lock().unwrap().contains("data.rs"), "{}", PLACE.lock().unwrap());
}
