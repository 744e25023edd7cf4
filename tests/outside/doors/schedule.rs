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
