//! One model answers several threads at once.

use receptive::prelude::*;

#[test]
fn answers_are_those_of_one_thread() -> Result<()> {
    fn is_shared<T: Send + Sync>(_: &T) {}
    let net = Sequential::new()
        .named("conv", Conv2d::new(1, 4, 3).padding(1))
        .named("bn", BatchNorm2d::new(4))
        .named("relu", Relu)
        .named("flatten", Flatten)
        .named("fc", Linear::new(4 * 64, 5));
    let cpu = crate::cpu();
    net.init(&cpu, DType::F32, 0)?;
    is_shared(&net);
    let ask = |i: u64| -> Result<Vec<f32>> {
        let x = Tensor::randn(&cpu, &[3, 1, 8, 8], DType::F32, Key::new(i))?;
        net.forward(&Ctx::eval("net"), &x)?.to_vec()
    };
    let alone = (0..40).map(ask).collect::<Result<Vec<_>>>()?;
    let together: Vec<Result<Vec<Vec<f32>>>> = std::thread::scope(|scope| {
        let ask = &ask;
        let threads: Vec<_> =
            (0..4).map(|t| scope.spawn(move || (t * 10..t * 10 + 10).map(ask).collect())).collect();
        threads.into_iter().map(|thread| thread.join().expect("no thread panics")).collect()
    });
    let together: Vec<Vec<f32>> = together.into_iter().collect::<Result<Vec<_>>>()?.concat();
    assert!(alone == together);
    Ok(())
}
