//! Statistics.

/// The median. For an even count it is the mean of the two values in the middle; for no values it is 0.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match (values.len(), values.len() / 2) {
        (0, _) => 0.0,
        (n, half) if n % 2 == 1 => values[half],
        (_, half) => (values[half - 1] + values[half]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_even_count_the_mean_of_two() {
        assert_eq!([median(vec![]), median(vec![9.0, 1.0, 2.0])], [0.0, 2.0]);
        assert_eq!(median(vec![9.0, 2.0, 4.0, 1.0]), 3.0);
    }
}
