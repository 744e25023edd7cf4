//! Columns of text.

/// Rows of cells as aligned lines: the first `left` columns to the left, the rest, numbers, to the right.
pub fn table(rows: &[Vec<String>], left: usize) -> String {
    aligned(rows, |column| column < left)
}

/// Rows of cells as aligned lines: the columns that `left` names to the left, the others to the right.
pub fn aligned(rows: &[Vec<String>], left: impl Fn(usize) -> bool) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate().map(|(i, (cell, &width))| {
            if left(i) { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A large number with three digits and a decimal prefix: `846 k`, `1.23 G`.
pub fn short(n: f64) -> String {
    let (mut value, mut prefixes) = (n, ["", " k", " M", " G", " T", " P"].iter());
    let mut prefix = prefixes.next().unwrap_or(&"");
    for larger in prefixes {
        if value < 999.5 {
            break;
        }
        value /= 1000.0;
        prefix = larger;
    }
    let decimals = match value {
        _ if prefix.is_empty() => 0,
        v if v < 9.995 => 2,
        v if v < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}{prefix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        let short: Vec<String> = [0.0, 84.0, 999.0, 1000.0, 846_144.0, 999_600.0, 1.234e9].map(short).into();
        assert_eq!(short, ["0", "84", "999", "1.00 k", "846 k", "1.00 M", "1.23 G"]);
    }

    #[test]
    fn names_stand_left_and_numbers_right() {
        let rows = [vec!["conv1".into(), "9".into()], vec!["fc".into(), "100".into()]];
        assert_eq!(table(&rows, 1), "conv1    9\nfc     100");
        assert_eq!(aligned(&rows, |column| column == 1), "conv1  9\n   fc  100");
    }
}
