//! Every loss and accuracy that the notebooks printed while they trained, and how far our curves are from them.

use super::{Experiment, SeedResult};
use serde::Serialize;

/// One line per curve: the experiment's id, which of its runs, the notebook, the measure, and `INDEX:VALUE` pairs.
/// Notebooks `a` and `b` are two runs of the same notebook; `c` is another one.
const PRINTED: &str = include_str!("printed.tsv");

/// Values that a notebook printed.
#[derive(Debug, Clone, PartialEq)]
pub struct PrintedCurve {
    pub id: &'static str,
    /// 0 for the experiment's first run, 1 for its second.
    pub run: usize,
    pub notebook: &'static str,
    pub measure: CurveMeasure,
    /// Positions from 0 (epochs; for [`CurveMeasure::BatchLoss`] thousands of batches), and values. Accuracies are in
    /// percent.
    pub values: Vec<(usize, f64)>,
}

/// What a curve shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CurveMeasure {
    TrainLoss,
    TrainAccuracy,
    ValLoss,
    ValAccuracy,
    /// The mean loss of every 1,000 batches.
    BatchLoss,
    /// The loss of each epoch's last batch.
    LastBatchLoss,
}

impl CurveMeasure {
    pub const ALL: [CurveMeasure; 6] = [
        CurveMeasure::TrainLoss,
        CurveMeasure::TrainAccuracy,
        CurveMeasure::ValLoss,
        CurveMeasure::ValAccuracy,
        CurveMeasure::BatchLoss,
        CurveMeasure::LastBatchLoss,
    ];

    /// Its name in words.
    pub fn name(self) -> &'static str {
        match self {
            CurveMeasure::TrainLoss => "train loss",
            CurveMeasure::TrainAccuracy => "train accuracy",
            CurveMeasure::ValLoss => "validation loss",
            CurveMeasure::ValAccuracy => "validation accuracy",
            CurveMeasure::BatchLoss => "mean loss of 1,000 batches",
            CurveMeasure::LastBatchLoss => "loss of the last batch",
        }
    }

    /// What its positions count.
    pub fn position(self) -> &'static str {
        if self == CurveMeasure::BatchLoss { "batch, in thousands" } else { "epoch" }
    }

    fn is_accuracy(self) -> bool {
        matches!(self, CurveMeasure::TrainAccuracy | CurveMeasure::ValAccuracy)
    }

    fn of_column(name: &str) -> CurveMeasure {
        match name {
            "train_loss" => CurveMeasure::TrainLoss,
            "train_accuracy" => CurveMeasure::TrainAccuracy,
            "val_loss" => CurveMeasure::ValLoss,
            "val_accuracy" => CurveMeasure::ValAccuracy,
            "batch_loss" => CurveMeasure::BatchLoss,
            "last_batch_loss" => CurveMeasure::LastBatchLoss,
            other => unreachable!("printed.tsv has no measure `{other}`"),
        }
    }
}

impl SeedResult {
    /// A curve of one of its runs; empty if it was not measured.
    pub fn curve(&self, run: usize, measure: CurveMeasure) -> &[f64] {
        let of_run = self.curves.get(run);
        match measure {
            CurveMeasure::TrainLoss => of_run.map_or(&[], |curves| &curves.train_loss),
            CurveMeasure::TrainAccuracy => of_run.map_or(&[], |curves| &curves.train_accuracy),
            CurveMeasure::ValLoss => of_run.map_or(&[], |curves| &curves.val_loss),
            CurveMeasure::ValAccuracy => of_run.map_or(&[], |curves| &curves.val_accuracy),
            CurveMeasure::BatchLoss if run == 0 => &self.batch_loss,
            CurveMeasure::LastBatchLoss if run == 0 => &self.last_batch_loss,
            CurveMeasure::BatchLoss | CurveMeasure::LastBatchLoss => &[],
        }
    }
}

/// The curves that notebooks printed for this experiment; empty if they printed none.
pub fn printed(id: &str) -> Vec<PrintedCurve> {
    let curve = |line: &'static str| {
        let mut cells = line.split('\t');
        let mut next = || cells.next().expect("a line of printed.tsv has five cells");
        let (id, run, notebook, measure) = (next(), next(), next(), CurveMeasure::of_column(next()));
        let pair = |pair: &str| {
            let (at, value) = pair.split_once(':')?;
            Some((at.parse().ok()?, value.parse().ok()?))
        };
        let values = next().split(' ').map(|text| pair(text).expect("an index and a value")).collect();
        let run = if run == "1" { 0 } else { 1 };
        PrintedCurve { id, run, notebook, measure, values }
    };
    PRINTED.lines().skip(1).filter(|line| line.split('\t').next() == Some(id)).map(curve).collect()
}

/// The place where a curve of ours is farthest from the notebooks'.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CurveGap {
    /// 0 for the experiment's first run, 1 for its second.
    pub run: usize,
    pub measure: CurveMeasure,
    /// The epoch (for [`CurveMeasure::BatchLoss`] the thousand of batches), from 1.
    pub at: usize,
    /// Our mean over the seeds.
    pub ours: f64,
    /// The lowest and the highest value that the notebooks printed there.
    pub lowest: f64,
    pub highest: f64,
    /// How far our mean is outside these two; 0 if it is between them.
    pub gap: f64,
}

impl CurveGap {
    /// One of its values with the decimals that suit its measure.
    pub fn number(&self, value: f64) -> String {
        if self.measure.is_accuracy() { format!("{value:.2}") } else { format!("{value:.4}") }
    }

    /// `train loss 0.0312 at epoch 6 (ours 1.3188, notebooks 1.3500 to 1.3804)`.
    pub fn describe(&self) -> String {
        let values = [self.gap, self.ours, self.lowest, self.highest];
        let [gap, ours, low, high] = values.map(|value| self.number(value));
        let theirs =
            if low == high { format!("notebook {low}") } else { format!("notebooks {low} to {high}") };
        let (name, position, at) = (self.measure.name(), self.measure.position(), self.at);
        let run = if self.run > 0 { ", second run" } else { "" };
        format!("{name}{run}: {gap} at {position} {at} (ours {ours}, {theirs})")
    }
}

/// For each measure that the notebooks printed, the largest gap between our mean over the seeds and their values.
/// Positions that a seed did not reach are skipped.
pub fn curve_gaps(experiment: &Experiment, results: &[SeedResult]) -> Vec<CurveGap> {
    let printed = printed(experiment.id);
    let mut gaps = Vec::new();
    for run in 0..2 {
        for measure in CurveMeasure::ALL {
            let here: Vec<&PrintedCurve> =
                printed.iter().filter(|curve| (curve.run, curve.measure) == (run, measure)).collect();
            let positions = here.iter().flat_map(|curve| curve.values.iter().map(|(at, _)| *at));
            let gap = |at: usize| {
                let ours: Option<Vec<f64>> =
                    results.iter().map(|result| result.curve(run, measure).get(at).copied()).collect();
                let ours = ours.filter(|ours| !ours.is_empty())?;
                let ours = ours.iter().sum::<f64>() / ours.len() as f64;
                let theirs = || here.iter().flat_map(|curve| &curve.values).filter(|(p, _)| *p == at);
                let lowest = theirs().map(|(_, value)| *value).fold(f64::INFINITY, f64::min);
                let highest = theirs().map(|(_, value)| *value).fold(f64::NEG_INFINITY, f64::max);
                let gap = (lowest - ours).max(ours - highest).max(0.0);
                Some(CurveGap { run, measure, at: at + 1, ours, lowest, highest, gap })
            };
            gaps.extend(positions.filter_map(gap).max_by(|a, b| a.gap.total_cmp(&b.gap)));
        }
    }
    gaps
}
