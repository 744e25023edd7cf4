//! A learning rate of one's own.

use receptive::prelude::*;
use std::cell::RefCell;

/// The rate falls with the root of the step; every step asks for it.
#[test]
fn the_trainer_asks_for_the_rate_of_every_step() -> Result<()> {
    let (train, val) = (super::batches(100)?, super::batches(100)?);
    let net = super::classifier()?;
    let asked = RefCell::new(Vec::new());
    let config = RunConfig::plain("net", 2, 0.5);
    let mut trainer =
        Trainer::new(&net, Loss::CrossEntropy, super::sgd(&net)?, config)?.schedule(|lr, at| {
            asked.borrow_mut().push(at.step);
            lr / ((at.step + 1) as f64).sqrt()
        });
    assert_eq!(trainer.learning_rate(), 0.5);
    trainer.fit(&train, &val)?;
    assert_eq!(trainer.learning_rate(), 0.5 / 11f64.sqrt());
    assert!((0..10).all(|step| asked.borrow().contains(&step)));
    Ok(())
}

/// A rate that is no rate stops the run at its step, before the weights change.
#[test]
fn a_rate_that_is_no_rate_is_an_error() -> Result<()> {
    let (train, val) = (super::batches(100)?, super::batches(100)?);
    for bad in [f64::NAN, f64::INFINITY, -0.1, 1e39] {
        let net = super::classifier()?;
        let config = RunConfig::plain("net", 1, 0.5);
        let mut trainer = Trainer::new(&net, Loss::CrossEntropy, super::sgd(&net)?, config)?
            .schedule(|lr, at| if at.step == 4 { bad } else { lr });
        let error = trainer.fit(&train, &val).unwrap_err().to_string();
        assert!(error.contains("Trainer::schedule"), "{error}");
        assert!(error.contains(&format!("step 4 is {bad}")), "{error}");
        assert!(net.state_dict()?["fc.weight"].to_vec::<f32>()?.iter().all(|w| w.is_finite()));
    }
    Ok(())
}

/// The largest number of epochs is a way to say "until a callback ends it". The number of steps must not overflow.
#[test]
fn the_most_epochs_do_not_overflow() -> Result<()> {
    let (train, val) = (super::batches(40)?, super::batches(40)?);
    let net = super::classifier()?;
    let plain = RunConfig::plain("net", usize::MAX, 0.5);
    let config = RunConfig { max_steps: Some(3), early_stop: Some(usize::MAX), ..plain };
    let mut trainer = Trainer::new(&net, Loss::CrossEntropy, super::sgd(&net)?, config)?;
    trainer.fit(&train, &val)?;
    assert_eq!((trainer.state.step, trainer.total_steps()), (3, 3));
    trainer.config.max_steps = None;
    assert_eq!(trainer.total_steps(), u64::MAX);
    Ok(())
}
