//! Compares every schedule with PyTorch's scheduler of that name, step by step (vectors made by `schedules.py`).

use receptive::Device;
use receptive::io::TensorFile;
use receptive::optim::{Plateau, Position, Schedule};
use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn every_rate_and_momentum_of_every_step_equal_pytorch() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/optim/schedules.safetensors");
    let mut vectors = TensorFile::read(&path, &Device::cpu().unwrap()).unwrap().tensors;
    let losses = vectors.remove("plateau.losses").unwrap().to_f64().unwrap();
    let mut seen = BTreeSet::new();
    for (key, numbers) in &vectors {
        let (momentum, key) = match key.strip_prefix("momentum ") {
            Some(key) => (true, key),
            None => (false, &**key),
        };
        let [text, epochs, steps, lr] = key.split(' ').collect::<Vec<_>>()[..] else { panic!("{key}") };
        let schedule: Schedule = text.parse().unwrap();
        let (epochs, steps, lr): (usize, usize, f64) =
            (epochs.parse().unwrap(), steps.parse().unwrap(), lr.parse().unwrap());
        let numbers = numbers.to_f64().unwrap();
        assert_eq!(numbers.len(), epochs * steps);
        let mut plateau = schedule.plateau(lr);
        for (step, want) in numbers.into_iter().enumerate() {
            let epoch = step / steps;
            if let Some(plateau) = plateau.as_mut().filter(|_| step > 0 && step % steps == 0) {
                plateau.observe(losses[epoch - 1]);
            }
            let at = Position { epoch, epochs, step: step as u64, steps: (epochs * steps) as u64 };
            let got = match momentum {
                true => schedule.momentum(at).unwrap(),
                false => schedule.rate(lr, at) * plateau.as_ref().map_or(1.0, Plateau::factor),
            };
            assert_eq!(schedule.momentum(at).is_some(), text.contains("onecycle"));
            assert!((got - want).abs() < 1e-12, "{key}, step {step}: {got} is not {want}");
        }
        seen.insert(text.split(':').next().unwrap().to_owned());
    }
    let all = "constant cosine exponential multistep onecycle plateau step triangle warmup";
    assert_eq!(seen.into_iter().collect::<Vec<_>>().join(" "), all);
}

/// A run that is saved and resumed between two epochs continues with the same rates.
#[test]
fn a_plateau_survives_being_saved() {
    let losses = [f64::NAN, f64::INFINITY, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5];
    let mut whole = Plateau::new(1, 0.1, 0.1);
    let mut resumed = whole.clone();
    for loss in losses {
        whole.observe(loss);
        resumed.observe(loss);
        resumed = serde_json::from_str(&serde_json::to_string(&resumed).unwrap()).unwrap();
        assert_eq!(resumed, whole);
    }
    assert_eq!(whole.factor(), 0.1 * 0.1);
}
