//! Which class is taken for which: the confusion matrix, and the accuracy of each class.

use crate::core::{Error, Result};
use crate::tensor::Tensor;
use serde::Serialize;

/// Counts of samples by true and predicted class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Confusion {
    /// A row a true class, a column a predicted one. (scikit-learn: `confusion_matrix`.)
    pub counts: Vec<Vec<u64>>,
}

impl Confusion {
    /// No samples yet.
    pub fn new(classes: usize) -> Confusion {
        Confusion { counts: vec![vec![0; classes]; classes] }
    }

    /// Adds a batch: `output` is `[N, classes]` of probabilities or logits, `labels` `[N]`.
    ///
    /// # Errors
    /// More outputs than classes; a label that is no class.
    pub fn add(&mut self, output: &Tensor, labels: &Tensor) -> Result<()> {
        let predicted = output.detach().argmax(Some(1), false)?.to_vec::<i64>()?;
        for (label, class) in labels.to_vec::<i64>()?.into_iter().zip(predicted) {
            let cell =
                usize::try_from(label).ok().and_then(|row| self.counts.get_mut(row)?.get_mut(class as usize));
            *cell.ok_or_else(|| {
                Error::argument("confusion", format!("label {label} or class {class} is out of range"))
            })? += 1;
        }
        Ok(())
    }

    /// The fraction of each class's samples that were taken for it; `None` for a class without samples. (Recall.)
    pub fn per_class(&self) -> Vec<Option<f64>> {
        let share = |(class, row): (usize, &Vec<u64>)| {
            let n: u64 = row.iter().sum();
            (n > 0).then(|| row[class] as f64 / n as f64)
        };
        self.counts.iter().enumerate().map(share).collect()
    }

    /// The pairs most often confused: true class, predicted class, count; the most frequent first.
    pub fn worst(&self, most: usize) -> Vec<(usize, usize, u64)> {
        let cells = self.counts.iter().enumerate().flat_map(|(label, row)| {
            row.iter().enumerate().map(move |(class, &count)| (label, class, count))
        });
        let mut wrong: Vec<_> = cells.filter(|&(label, class, count)| label != class && count > 0).collect();
        wrong.sort_by_key(|&(_, _, count)| std::cmp::Reverse(count));
        wrong.truncate(most);
        wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Device;

    #[test]
    fn rows_are_true_classes() {
        let cpu = Device::cpu().unwrap();
        let output = Tensor::from_slice(&cpu, &[1f32, 0.0, 0.0, 0.0, 0.0, 1.0], &[2, 3]).unwrap();
        let labels = Tensor::from_slice(&cpu, &[0i64, 1], &[2]).unwrap();
        let mut confusion = Confusion::new(3);
        confusion.add(&output, &labels).unwrap();
        assert_eq!(confusion.counts, [[1, 0, 0], [0, 0, 1], [0, 0, 0]]);
        assert_eq!(confusion.per_class(), [Some(1.0), Some(0.0), None]);
        assert_eq!(confusion.worst(5), [(1, 2, 1)]);
        let outside = Tensor::from_slice(&cpu, &[3i64, 0], &[2]).unwrap();
        assert!(confusion.add(&output, &outside).is_err());
    }
}
