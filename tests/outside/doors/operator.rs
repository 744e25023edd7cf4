//! Operators between tensors that do not fit: they panic, at the line of the caller.

use receptive::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;

#[test]
fn the_panic_is_at_the_line_of_the_operator() -> Result<()> {
    let [a, b] = [2, 3].map(|n| Tensor::ones(&crate::cpu(), &[n], DType::F32));
    let (a, b) = (a?, b?);
    let labels = Tensor::from_slice(&crate::cpu(), &[1i64, 2], &[2])?;
    let (send, places) = mpsc::channel();
    let here = std::thread::current().id();
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if std::thread::current().id() == here {
            let place = info.location().map(|place| (place.file().to_owned(), place.line()));
            send.send(place).expect("the test waits");
        } else {
            before(info);
        }
    }));
    let line = line!();
    let lines: [&dyn Fn() -> Tensor; 6] = [
        &|| &a + &b,
        &|| a.clone() * &b,
        &|| &a - b.clone(),
        &|| a.clone() / b.clone(),
        &|| -&labels,
        &|| 1.5 - -labels.clone(),
    ];
    for (i, run) in (2..).zip(lines) {
        catch_unwind(AssertUnwindSafe(run)).expect_err("the operands do not fit");
        let (file, at) = places.recv().expect("the hook ran").expect("a panic has a place");
        assert!(file.ends_with("operator.rs") && !file.ends_with("operators.rs"), "{file}");
        assert_eq!(at, line + i);
    }
    Ok(())
}
