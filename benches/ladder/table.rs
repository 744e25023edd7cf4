//! The check before the timing, and the table after it.

use receptive::core::table::aligned;
use receptive::inspect::Roof;
use receptive::testing::bench::Times;
use receptive::testing::conformance::Reference;
use receptive::testing::layers::{LOOPS, Layer};
use receptive::{Device, Result};

/// One rung, and the times of each loop in seconds.
pub struct Line {
    pub rung: String,
    pub times: [Times; 3],
    /// The loops for which training uses this rung.
    pub trains: [bool; 3],
}

/// A check with more f64 operations than this is left out.
const CHECKED: f64 = 2e11;

/// The exact results of a layer, against which its rungs are checked.
pub struct Check<'a> {
    layer: &'a Layer,
    reference: Option<Reference>,
}

impl<'a> Check<'a> {
    /// Computes the results, unless there is too much to compute.
    pub fn new(layer: &'a Layer, exact: &Device) -> Result<Check<'a>> {
        let spec = receptive::ops::find(layer.op)?;
        if layer.flops() > CHECKED {
            println!("{}: too large to be checked here", layer.name());
            return Ok(Check { layer, reference: None });
        }
        Ok(Check { layer, reference: Some(Reference::new(spec, &layer.case(), exact)?) })
    }

    /// No check, for a layer that would take too long here.
    pub fn none(layer: &'a Layer) -> Check<'a> {
        Check { layer, reference: None }
    }

    /// Compares a device that rounds factors by up to `rounding`.
    pub fn passes(&self, rung: &str, device: &Device, rounding: f64) {
        if let Some(reference) = &self.reference
            && let Err(failure) = reference.check(device, rounding)
        {
            panic!("{rung} is wrong on {}, so it is not timed: {failure}", self.layer.name());
        }
    }
}

/// The part of the peak that one loop of a layer reached, given its seconds.
pub type OfRoof<'a> = &'a dyn Fn(&Layer, f64) -> Option<f64>;

pub fn print(layer: &Layer, lines: &[Line], of_roof: OfRoof) {
    let (flops, bytes) = (layer.flops(), layer.bytes());
    for (which, name) in LOOPS.iter().enumerate() {
        let work = format!("{:.3} GFLOP, {:.2} MB", flops / 1e9, bytes / 1e6);
        println!("\n{} {}, {name}: {work}", layer.name(), layer.shapes());
        let head = ["rung", "ms", "n", "GFLOP/s", "GB/s", "% best", "% roof", "training"].map(str::to_owned);
        let mut rows = vec![head.to_vec()];
        let best = lines.iter().map(|line| line.times[which].median).fold(f64::INFINITY, f64::min);
        for line in lines {
            let Times { median: seconds, runs, .. } = line.times[which];
            let of_roof =
                of_roof(layer, seconds).map_or("-".to_owned(), |part| format!("{:.1}", 100.0 * part));
            rows.push(vec![
                line.rung.clone(),
                format!("{:.4}", seconds * 1e3),
                runs.to_string(),
                format!("{:.1}", flops / seconds / 1e9),
                format!("{:.1}", bytes / seconds / 1e9),
                format!("{:.1}", 100.0 * best / seconds),
                of_roof,
                if line.trains[which] { "uses it" } else { "" }.to_owned(),
            ]);
        }
        println!("{}", aligned(&rows, |column| column == 0 || column == 7));
    }
}

/// The peak in words.
pub fn words(roof: Roof) -> String {
    format!("{:.1} GFLOP/s of f32 multiply-adds, {:.1} GB/s copied", roof.flops / 1e9, roof.bytes / 1e9)
}
