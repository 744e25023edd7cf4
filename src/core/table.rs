//! Tables of text that fit a narrow window.

/// The longest line of a table, in characters: half a screen, a phone, a slide.
pub const WIDTH: usize = 60;
/// Names up to this length stay whole.
const NAME: usize = 30;
/// If a text column has less room than this next to the others, it goes on a line below them.
const TEXT: usize = 24;
/// Indent of the second line of a row.
const INDENT: usize = 4;
const GAP: usize = 2;

/// Formats rows of cells as aligned lines. The first `left` columns are aligned left; the others, numbers, right.
pub fn table(rows: &[Vec<String>], left: usize) -> String {
    aligned(rows, |column| column < left)
}

/// Formats rows of cells as aligned lines. Columns for which `left` is true are aligned left, the others right.
///
/// A table wider than [`WIDTH`] is made to fit. Long names lose their middle. A text in the last column is wrapped; a
/// single long word, such as a path, stays whole. If that is not enough, every row takes several lines, each with some
/// of the columns.
pub fn aligned(rows: &[Vec<String>], left: impl Fn(usize) -> bool) -> String {
    let mut rows = rows.to_vec();
    let mut widths = widths(&rows);
    let last = widths.len().saturating_sub(1);
    let text = left(last) && rows.iter().any(|row| row.get(last).is_some_and(|cell| cell.contains(' ')));
    for column in (0..widths.len()).filter(|&column| left(column) && !(text && column == last)) {
        let others = all(&widths) - widths[column];
        let longest = WIDTH.saturating_sub(others).max(NAME);
        for cell in rows.iter_mut().filter_map(|row| row.get_mut(column)) {
            *cell = without_middle(cell, longest);
        }
        widths[column] = widths[column].min(longest);
    }
    // For each line of a row: its indent and its columns.
    let mut lines: Vec<(usize, Vec<usize>)> = vec![(0, Vec::new())];
    let mut used = 0;
    for (column, width) in widths.iter_mut().enumerate() {
        let room = WIDTH.saturating_sub(used);
        if text && column == last && used > 0 && room >= TEXT {
            *width = (*width).min(room);
        } else if used > 0 && used + *width > WIDTH {
            lines.push((INDENT, Vec::new()));
            used = INDENT;
            if text && column == last {
                *width = (*width).min(WIDTH - INDENT);
            }
        }
        used += *width + GAP;
        if let Some((_, columns)) = lines.last_mut() {
            columns.push(column);
        }
    }
    let mut said = Vec::new();
    for row in &rows {
        for (number, (indent, columns)) in lines.iter().enumerate() {
            let mut line = " ".repeat(*indent);
            let mut more = Vec::new();
            for &column in columns.iter().filter(|&&column| column < row.len()) {
                let (cell, width) = (&row[column], widths[column]);
                if column != columns[0] {
                    line += &" ".repeat(GAP);
                }
                let cell = if text && column == last {
                    let mut parts = wrapped(cell, width).into_iter();
                    let first = parts.next().unwrap_or_default();
                    let hanging = line.chars().count();
                    more = parts.map(|part| " ".repeat(hanging) + &part).collect();
                    first
                } else {
                    cell.clone()
                };
                line += &if left(column) { format!("{cell:<width$}") } else { format!("{cell:>width$}") };
            }
            let line = line.trim_end();
            if number == 0 || !line.is_empty() {
                said.push(line.to_owned());
            }
            said.extend(more);
        }
    }
    said.join("\n")
}

fn widths(rows: &[Vec<String>]) -> Vec<usize> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    (0..columns).map(|column| width(column).unwrap_or(0)).collect()
}

/// The width of all columns and of the gaps between them.
fn all(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1)
}

/// The name cut to at most `longest` characters. Beginning and end are kept, because they tell names apart.
pub fn without_middle(name: &str, longest: usize) -> String {
    let length = name.chars().count();
    if length <= longest {
        return name.to_owned();
    }
    let kept = longest.saturating_sub(1);
    let end = kept / 2;
    let first = name.chars().take(kept - end);
    first.chain(['…']).chain(name.chars().skip(length - end)).collect()
}

/// Breaks the text between words into lines of at most `width` characters.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is one");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
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

    fn rows(text: &str) -> Vec<Vec<String>> {
        text.lines().map(|line| line.split('|').map(str::to_owned).collect()).collect()
    }

    #[test]
    fn numbers_for_people() {
        let short: Vec<String> = [0.0, 84.0, 999.0, 1000.0, 846_144.0, 999_600.0, 1.234e9].map(short).into();
        assert_eq!(short, ["0", "84", "999", "1.00 k", "846 k", "1.00 M", "1.23 G"]);
    }

    #[test]
    fn names_stand_left_and_numbers_right() {
        let rows = rows("conv1|9\nfc|100");
        assert_eq!(table(&rows, 1), "conv1    9\nfc     100");
        assert_eq!(aligned(&rows, |column| column == 1), "conv1  9\n   fc  100");
    }

    #[test]
    fn a_long_name_loses_its_middle() {
        assert_eq!(without_middle("encoder.layer1.conv1", 11), "encod…conv1");
        let found = table(&rows(&format!("{}|12.50 %", "name".repeat(30))), 1);
        assert_eq!(found.chars().count(), WIDTH);
        assert!(found.ends_with("name  12.50 %"), "{found}");
    }

    #[test]
    fn a_text_goes_on_below_itself() {
        let found = table(&rows(&format!("a|{}\nbc|", "word ".repeat(20).trim_end())), 2);
        let lines: Vec<&str> = found.lines().collect();
        assert_eq!(lines[0], format!("a   {}", "word ".repeat(11).trim_end()));
        assert_eq!(lines[1], format!("    {}", "word ".repeat(9).trim_end()));
        assert_eq!(lines[2], "bc");
    }

    #[test]
    fn many_columns_take_several_lines_a_row() {
        let number = "123456789012345678";
        let found = table(&rows(&format!("name|{number}|{number}|{number}\nb|1|2|3\nc|1||")), 1);
        let pad = |n: usize| " ".repeat(n);
        let expected = [
            format!("name  {number}  {number}"),
            format!("    {number}"),
            format!("b     {}1  {}2", pad(17), pad(17)),
            format!("    {}3", pad(17)),
            format!("c     {}1", pad(17)),
        ];
        assert_eq!(found, expected.join("\n"));
    }
}
