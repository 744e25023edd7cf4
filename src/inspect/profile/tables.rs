//! The cost of ops, and tables of it.
//!
//! An op is bound by compute if, at the device's peaks, its FLOPs take longer than its bytes; otherwise it is bound by
//! memory. Bytes are counted as if all came from memory, so an op whose data was still in a cache can reach more than
//! 100 % of the roof. So can an op that saves arithmetic: a convolution's FLOPs are those of its definition, and
//! Winograd's algorithm takes fewer.

use super::record::{OpEvent, Profile, StepPhase};
use crate::core::stats::median;
use crate::inspect::Roof;
use serde::Serialize;
use std::collections::HashMap;

/// What limits an op on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Bound {
    Compute,
    Memory,
}

/// Time, work, and how they compare with the roof (Williams, Waterman and Patterson 2009).
///
/// ```math
/// \begin{aligned}
/// \text{intensity} &= \frac{\text{FLOP}}{\text{bytes}} \\
/// \text{least time} &= \max \Bigl(\frac{\text{FLOP}}{\text{peak FLOP/s}}, \frac{\text{bytes}}{\text{peak bytes/s}} \Bigr) \\
/// \text{of roof} &= \frac{\text{least time}}{\text{time}}
/// \end{aligned}
/// ```
///
/// Rates are 0 if no time passed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Cost {
    pub seconds: f64,
    pub flops: u64,
    pub bytes: u64,
    /// FLOP per byte; 0 if no bytes are moved.
    pub intensity: f64,
    pub gflops_per_second: f64,
    pub gbytes_per_second: f64,
    /// The least time that the roof allows, divided by the time it took. `None` without a roof, or without work.
    pub of_roof: Option<f64>,
    pub bound: Option<Bound>,
}

impl Cost {
    /// The cost of this much work in this time.
    pub fn new(seconds: f64, flops: u64, bytes: u64, roof: Option<&Roof>) -> Cost {
        let rate = |work: f64, by: f64| if by > 0.0 { work / by } else { 0.0 };
        let (work, moved) = (flops as f64, bytes as f64);
        let roof = roof.filter(|_| flops + bytes > 0 && seconds > 0.0);
        let bound = |roof: &Roof| match work / roof.flops >= moved / roof.bytes {
            true => Bound::Compute,
            false => Bound::Memory,
        };
        Cost {
            seconds,
            flops,
            bytes,
            intensity: rate(work, moved),
            gflops_per_second: rate(work, seconds) / 1e9,
            gbytes_per_second: rate(moved, seconds) / 1e9,
            of_roof: roof.map(|roof| roof.seconds(work, moved) / seconds),
            bound: roof.map(bound),
        }
    }

    /// The cost of several together: their least times are added.
    fn sum<'a>(costs: impl Iterator<Item = &'a Cost> + Clone, roof: Option<&Roof>) -> Cost {
        let seconds = costs.clone().fold(0.0, |sum, cost| sum + cost.seconds);
        let (flops, bytes) =
            (costs.clone().map(|cost| cost.flops).sum(), costs.clone().map(|cost| cost.bytes).sum());
        let least = costs.fold(0.0, |sum, cost| sum + cost.of_roof.unwrap_or(0.0) * cost.seconds);
        let whole = Cost::new(seconds, flops, bytes, roof);
        Cost { of_roof: whole.of_roof.map(|_| least / seconds), ..whole }
    }
}

/// One op of a layer, in one phase, over all steps.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OpRow {
    pub path: String,
    pub phase: StepPhase,
    pub op: &'static str,
    pub calls: usize,
    /// Its fraction of the time of all ops.
    pub share: f64,
    #[serde(flatten)]
    pub cost: Cost,
}

/// A layer's cost in one step: the median over the steps of its ops' time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerRow {
    pub path: String,
    pub forward: Cost,
    pub backward: Cost,
    /// Forward and backward together.
    pub total: Cost,
}

/// A network's layers in one step, by median times.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerTable {
    /// In the order they run.
    pub layers: Vec<LayerRow>,
    /// The sum of all layers.
    pub sum: LayerRow,
    /// The optimiser's step.
    pub update: Cost,
    /// Seconds of a whole step, from one step to the next, including the time between ops.
    pub step_seconds: f64,
    /// Number of steps that the medians are taken over.
    pub steps: usize,
}

impl Profile {
    /// Every op of every layer and phase, in the order they first ran.
    pub fn op_table(&self) -> Vec<OpRow> {
        let groups = grouped(&self.events, |event| (&*event.path, event.phase, event.op));
        let all = self.seconds();
        let row = |((path, phase, op), events): ((&str, StepPhase, &'static str), Vec<&OpEvent>)| {
            let cost = self.cost(&events);
            let share = if all > 0.0 { cost.seconds / all } else { 0.0 };
            OpRow { path: path.to_owned(), phase, op, calls: events.len(), share, cost }
        };
        groups.into_iter().map(row).collect()
    }

    /// Forward and backward of every layer in a step, and their sum.
    pub fn layer_table(&self) -> LayerTable {
        let (forward, backward) = (self.by_layer(StepPhase::Forward), self.by_layer(StepPhase::Backward));
        let of = |costs: &[(&str, Cost)], path: &str| {
            costs.iter().find(|(other, _)| *other == path).map_or(Cost::default(), |(_, cost)| *cost)
        };
        let paths = forward.iter().map(|(path, _)| *path);
        // A graph that was recorded before the profile began has layers that occur only in the backward pass.
        let late = backward
            .iter()
            .map(|(path, _)| *path)
            .filter(|path| !forward.iter().any(|(known, _)| known == path));
        let row = |path: &str| self.row(path, of(&forward, path), of(&backward, path));
        let layers: Vec<LayerRow> = paths.chain(late).map(row).collect();
        let sum = |part: fn(&LayerRow) -> &Cost| Cost::sum(layers.iter().map(part), self.roof.as_ref());
        let [forward, backward, total] =
            [sum(|row| &row.forward), sum(|row| &row.backward), sum(|row| &row.total)];
        let updates: Vec<&OpEvent> =
            self.events.iter().filter(|event| event.phase == StepPhase::Update).collect();
        LayerTable {
            sum: LayerRow { path: "sum".to_owned(), forward, backward, total },
            update: self.a_step(&updates),
            step_seconds: median(self.steps.iter().map(|step| step.us / 1e6).collect()),
            steps: self.steps.len(),
            layers,
        }
    }

    /// The layers of a phase, in the order they run.
    fn by_layer(&self, phase: StepPhase) -> Vec<(&str, Cost)> {
        let events = self.events.iter().filter(|event| event.phase == phase);
        let groups = grouped(events, |event| &*event.path);
        groups.into_iter().map(|(path, events)| (path, self.a_step(&events))).collect()
    }

    fn row(&self, path: &str, forward: Cost, backward: Cost) -> LayerRow {
        let total = Cost::sum([&forward, &backward].into_iter(), self.roof.as_ref());
        LayerRow { path: path.to_owned(), forward, backward, total }
    }

    /// The cost of all these ops together.
    fn cost(&self, events: &[&OpEvent]) -> Cost {
        let roof = self.roof.as_ref();
        let costs: Vec<Cost> =
            events.iter().map(|e| Cost::new(e.span.us / 1e6, e.flops, e.bytes, roof)).collect();
        Cost::sum(costs.iter(), roof)
    }

    /// The cost of these ops in one step: the median of the steps' times, and the mean of their work. A short last
    /// batch has less work.
    fn a_step(&self, events: &[&OpEvent]) -> Cost {
        let mut steps = vec![Vec::new(); self.steps.len()];
        events.iter().for_each(|event| steps[event.step].push(*event));
        let costs: Vec<Cost> =
            steps.iter().filter(|events| !events.is_empty()).map(|events| self.cost(events)).collect();
        let n = costs.len().max(1) as u64;
        let whole = Cost::sum(costs.iter(), self.roof.as_ref());
        let seconds = median(costs.iter().map(|cost| cost.seconds).collect());
        let least = whole.of_roof.map(|share| share * whole.seconds / n as f64);
        let one = Cost::new(seconds, whole.flops / n, whole.bytes / n, self.roof.as_ref());
        Cost { of_roof: least.filter(|_| seconds > 0.0).map(|least| least / seconds), ..one }
    }
}

/// Events grouped by key. The keys are in the order they first occur.
fn grouped<'a, K: std::hash::Hash + Eq + Copy>(
    events: impl IntoIterator<Item = &'a OpEvent>,
    key: impl Fn(&'a OpEvent) -> K,
) -> Vec<(K, Vec<&'a OpEvent>)> {
    let (mut groups, mut places) = (Vec::<(K, Vec<&OpEvent>)>::new(), HashMap::new());
    for event in events {
        let (key, next) = (key(event), groups.len());
        let place = *places.entry(key).or_insert(next);
        if place == next {
            groups.push((key, Vec::new()));
        }
        groups[place].1.push(event);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOF: Roof = Roof { flops: 100e9, bytes: 10e9 };

    #[test]
    fn the_roof_is_the_slower_of_compute_and_memory() {
        // 1 GFLOP takes 10 ms, 0.05 GB takes 5 ms.
        let compute = Cost::new(0.02, 1_000_000_000, 50_000_000, Some(&ROOF));
        assert_eq!((compute.bound, compute.of_roof), (Some(Bound::Compute), Some(0.5)));
        assert_eq!(
            (compute.intensity, compute.gflops_per_second, compute.gbytes_per_second),
            (20.0, 50.0, 2.5)
        );
        let memory = Cost::new(0.02, 0, 50_000_000, Some(&ROOF));
        assert_eq!((memory.bound, memory.of_roof, memory.intensity), (Some(Bound::Memory), Some(0.25), 0.0));
        // Together they cannot be faster than one after the other.
        let both = Cost::sum([&compute, &memory].into_iter(), Some(&ROOF));
        assert!((both.of_roof.unwrap() - 0.375).abs() < 1e-12 && both.bytes == 100_000_000, "{both:?}");
    }

    #[test]
    fn without_time_work_or_roof_there_is_no_share() {
        for cost in
            [Cost::new(0.0, 1, 1, Some(&ROOF)), Cost::new(1.0, 0, 0, Some(&ROOF)), Cost::new(1.0, 1, 1, None)]
        {
            assert_eq!((cost.of_roof, cost.bound), (None, None));
            assert!(cost.gflops_per_second.is_finite() && cost.intensity.is_finite());
        }
    }
}
