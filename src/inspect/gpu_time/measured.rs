//! The kernels of a step as a card ran them, and how far the predictions were off.

use super::Bottleneck;
use crate::core::stats::median;
use crate::core::{Error, Result};
use crate::cuda::TimedLaunch;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// All launches of one kernel in a step, measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MeasuredRow {
    pub kernel: String,
    pub launches: usize,
    /// Seconds of all its launches together: the median over the steps.
    pub seconds: f64,
}

/// The kernels of a step on a card, launched one by one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MeasuredTable {
    /// The slowest kernel first.
    pub rows: Vec<MeasuredRow>,
    /// Seconds of all kernels together, without the gaps between them.
    pub seconds: f64,
    /// Number of steps.
    pub steps: usize,
}

/// A kernel that was both predicted and measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PredictionError {
    pub kernel: String,
    pub bottleneck: Bottleneck,
    pub measured: f64,
    pub predicted: f64,
}

impl MeasuredTable {
    /// Sums up the launches of each step.
    pub fn new(steps: &[Vec<TimedLaunch>]) -> MeasuredTable {
        let mut kernels = BTreeMap::<&str, (usize, Vec<f64>)>::new();
        for (step, launches) in steps.iter().enumerate() {
            for launch in launches {
                let (count, seconds) = kernels.entry(launch.kernel).or_default();
                *count += 1;
                seconds.resize(step + 1, 0.0);
                seconds[step] += launch.seconds;
            }
        }
        let row = |(kernel, (count, mut seconds)): (&str, (usize, Vec<f64>))| {
            seconds.resize(steps.len(), 0.0);
            MeasuredRow { kernel: kernel.to_owned(), launches: count / steps.len(), seconds: median(seconds) }
        };
        let mut rows: Vec<MeasuredRow> = kernels.into_iter().map(row).collect();
        rows.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        let seconds = rows.iter().map(|row| row.seconds).sum();
        MeasuredTable { rows, seconds, steps: steps.len() }
    }

    /// Compares it with what [`KernelTable`](super::KernelTable) wrote as JSON.
    ///
    /// ```
    /// use receptive::cuda::TimedLaunch;
    /// use receptive::inspect::gpu_time::MeasuredTable;
    /// let step = vec![TimedLaunch { kernel: "relu_fwd_f32", seconds: 3e-6 }];
    /// let predicted = r#"{"rows":[{"kernel":"relu_fwd_f32","bottleneck":"dram","seconds":2e-6}]}"#;
    /// let errors = MeasuredTable::new(&[step]).against(predicted)?;
    /// assert_eq!(errors[0].measured / errors[0].predicted, 1.5);
    /// # Ok::<(), receptive::Error>(())
    /// ```
    ///
    /// # Errors
    /// The text is no such JSON.
    pub fn against(&self, predicted: &str) -> Result<Vec<PredictionError>> {
        #[derive(Deserialize)]
        struct PredictedRow {
            kernel: String,
            bottleneck: Bottleneck,
            seconds: f64,
        }
        #[derive(Deserialize)]
        struct PredictedTable {
            rows: Vec<PredictedRow>,
        }
        let table: PredictedTable = serde_json::from_str(predicted).map_err(|e| {
            Error::argument("predictions", format!("this is no table of predictions: {e}"))
                .help("a `KernelTable` of the simulated GPU, written as JSON, is one")
        })?;
        let found = self.rows.iter().filter_map(|row| {
            let predicted = table.rows.iter().find(|predicted| predicted.kernel == row.kernel)?;
            Some(PredictionError {
                kernel: row.kernel.clone(),
                bottleneck: predicted.bottleneck,
                measured: row.seconds,
                predicted: predicted.seconds,
            })
        });
        Ok(found.collect())
    }
}

impl PredictionError {
    /// For each limit: the median of measured / predicted over the kernels that it limits, and how many these are. To fit
    /// the model to a card, divide the limit's rate by it.
    pub fn by_bottleneck(errors: &[PredictionError]) -> Vec<(Bottleneck, f64, usize)> {
        let mut ratios = BTreeMap::<Bottleneck, Vec<f64>>::new();
        for error in errors.iter().filter(|error| error.predicted > 0.0) {
            ratios.entry(error.bottleneck).or_default().push(error.measured / error.predicted);
        }
        ratios
            .into_iter()
            .map(|(of, ratios)| {
                let n = ratios.len();
                (of, median(ratios), n)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn launches_are_summed_and_compared() {
        let launch = |kernel, seconds| TimedLaunch { kernel, seconds };
        let steps = [
            vec![launch("a", 1.0), launch("b", 5.0), launch("a", 2.0)],
            vec![launch("a", 2.0), launch("b", 5.0), launch("a", 2.0)],
            vec![launch("a", 1.0), launch("b", 6.0), launch("a", 9.0)],
        ];
        let table = MeasuredTable::new(&steps);
        let rows: Vec<_> = table.rows.iter().map(|row| (&*row.kernel, row.launches, row.seconds)).collect();
        assert_eq!(rows, [("b", 1, 5.0), ("a", 2, 4.0)]);
        let predicted = r#"{"rows":[{"kernel":"a","bottleneck":"l2","seconds":8},{"kernel":"b","bottleneck":"l2","seconds":4}]}"#;
        let errors = table.against(predicted).unwrap();
        assert_eq!(PredictionError::by_bottleneck(&errors), [(Bottleneck::L2, 0.875, 2)]);
        assert!(table.against("[]").unwrap_err().to_string().contains("no table of predictions"));
    }
}
