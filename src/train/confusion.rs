//! The confusion matrix, and the accuracy of each class.

use crate::core::{Error, Result};
use crate::tensor::Tensor;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// Up to this many classes, JSON holds every cell: 2 MB of zeros at most. Above it, JSON holds only the cells that are
/// not 0.
const DENSE: usize = 1000;

/// Counts of samples by true and predicted class. Only cells that are not 0 are stored, because with very many classes
/// most cells are 0.
///
/// The JSON form is a list of rows, one per true class. With more than 1,000 classes it is
/// `{"classes": N, "cells": [[true class, predicted class, count], ...]}`. (scikit-learn: `confusion_matrix`.)
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    /// Counts by true and predicted class.
    cells: BTreeMap<(usize, usize), u64>,
}

impl Confusion {
    /// An empty matrix, without samples.
    pub fn new(classes: usize) -> Confusion {
        Confusion { classes, cells: BTreeMap::new() }
    }

    /// Adds a batch: `output` is `[N, classes]` of probabilities or logits, `labels` `[N]`.
    ///
    /// # Errors
    /// More outputs than classes; a label that is not a class.
    pub fn add(&mut self, output: &Tensor, labels: &Tensor) -> Result<()> {
        let predicted = output.detach().argmax(Some(1), false)?.to_vec::<i64>()?;
        let class = |class: i64| usize::try_from(class).ok().filter(|&class| class < self.classes);
        for (label, taken) in labels.to_vec::<i64>()?.into_iter().zip(predicted) {
            let (Some(label), Some(taken)) = (class(label), class(taken)) else {
                let what = format!("label {label} or class {taken} is out of range");
                return Err(Error::argument("confusion", what));
            };
            *self.cells.entry((label, taken)).or_default() += 1;
        }
        Ok(())
    }

    /// How many classes there are.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The number of samples of class `label` that were predicted as `class`.
    pub fn count(&self, label: usize, class: usize) -> u64 {
        self.cells.get(&(label, class)).copied().unwrap_or(0)
    }

    /// The cells that are not 0, row by row: true class, predicted class, count.
    pub fn cells(&self) -> impl Iterator<Item = (usize, usize, u64)> {
        self.cells.iter().map(|(&(label, class), &count)| (label, class, count))
    }

    /// The number of all samples.
    pub fn total(&self) -> u64 {
        self.cells.values().sum()
    }

    /// The number of samples that were predicted correctly.
    pub fn right(&self) -> u64 {
        self.cells().filter(|(label, class, _)| label == class).map(|(.., count)| count).sum()
    }

    /// The number of samples of each true class.
    pub fn samples(&self) -> Vec<u64> {
        let mut samples = vec![0; self.classes];
        self.cells().for_each(|(label, _, count)| samples[label] += count);
        samples
    }

    /// The recall of each class: the fraction of its samples that were predicted correctly. `None` for a class without
    /// samples.
    pub fn per_class(&self) -> Vec<Option<f64>> {
        let share = |(class, n): (usize, u64)| (n > 0).then(|| self.count(class, class) as f64 / n as f64);
        self.samples().into_iter().enumerate().map(share).collect()
    }

    /// The pairs that are confused most often, the most frequent first: true class, predicted class, count.
    pub fn worst(&self, most: usize) -> Vec<(usize, usize, u64)> {
        let mut wrong: Vec<_> = self.cells().filter(|(label, class, _)| label != class).collect();
        wrong.sort_by_key(|&(_, _, count)| std::cmp::Reverse(count));
        wrong.truncate(most);
        wrong
    }

    /// Up to `most` classes in rising order. Classes of the pairs that are confused most often are taken first, then
    /// the classes with the most samples.
    pub fn most_confused(&self, most: usize) -> Vec<usize> {
        let samples = self.samples();
        let mut by_samples: Vec<usize> = (0..self.classes).collect();
        by_samples.sort_by_key(|&class| std::cmp::Reverse(samples[class]));
        let confused = self.worst(usize::MAX).into_iter().flat_map(|(label, class, _)| [label, class]);
        let mut chosen = std::collections::BTreeSet::new();
        for class in confused.chain(by_samples) {
            if chosen.len() == most {
                break;
            }
            chosen.insert(class);
        }
        chosen.into_iter().collect()
    }
}

impl Serialize for Confusion {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        if self.classes > DENSE {
            let mut sparse = serializer.serialize_struct("Confusion", 2)?;
            sparse.serialize_field("classes", &self.classes)?;
            sparse.serialize_field("cells", &self.cells().collect::<Vec<_>>())?;
            return sparse.end();
        }
        let row = |label| (0..self.classes).map(|class| self.count(label, class)).collect::<Vec<_>>();
        serializer.collect_seq((0..self.classes).map(row))
    }
}

#[cfg(test)]
impl Confusion {
    /// A matrix of these cells: true class, predicted class, count.
    pub(crate) fn of(classes: usize, cells: impl IntoIterator<Item = (usize, usize, u64)>) -> Confusion {
        let cells = cells.into_iter().map(|(label, class, count)| ((label, class), count)).collect();
        Confusion { classes, cells }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Device;
    use serde_json::json;

    #[test]
    fn rows_are_true_classes() {
        let cpu = Device::cpu().unwrap();
        let output = Tensor::from_slice(&cpu, &[1f32, 0.0, 0.0, 0.0, 0.0, 1.0], &[2, 3]).unwrap();
        let labels = Tensor::from_slice(&cpu, &[0i64, 1], &[2]).unwrap();
        let mut confusion = Confusion::new(3);
        confusion.add(&output, &labels).unwrap();
        assert_eq!(serde_json::to_value(&confusion).unwrap(), json!([[1, 0, 0], [0, 0, 1], [0, 0, 0]]));
        assert_eq!(confusion.per_class(), [Some(1.0), Some(0.0), None]);
        assert_eq!((confusion.worst(5), confusion.total(), confusion.right()), (vec![(1, 2, 1)], 2, 1));
        for label in [3i64, -1] {
            let outside = Tensor::from_slice(&cpu, &[label, 0], &[2]).unwrap();
            assert!(confusion.add(&output, &outside).is_err());
        }
        assert!(Confusion::new(2).add(&output, &labels).is_err());
    }

    /// A million classes, as `--classes` allows, need memory only for their samples. (A dense matrix would be 8 TB.)
    #[test]
    fn very_many_classes_are_few_cells() {
        let confusion = Confusion::of(1_000_000, [(7, 7, 2), (7, 999_999, 1), (3, 9, 4)]);
        let json = serde_json::to_value(&confusion).unwrap();
        assert_eq!(json, json!({ "classes": 1_000_000, "cells": [[3, 9, 4], [7, 7, 2], [7, 999_999, 1]] }));
        assert_eq!(confusion.per_class()[7], Some(2.0 / 3.0));
        assert_eq!(confusion.most_confused(3), [3, 7, 9]);
        assert_eq!(confusion.most_confused(6), [0, 1, 3, 7, 9, 999_999]);
        assert_eq!(Confusion::new(2).most_confused(5), [0, 1]);
    }
}
