//! `confusion.svg`: the confusion matrix. With very many classes it shows only those that are confused most, so that it
//! can be read.

use super::layout::{GAP, TEXT, TITLE, heading, note};
use crate::core::text::thousands;
use crate::draw::color::{BLUE, FAINT, HAIR, INK, VERMILION, WHITE};
use crate::draw::font::{fit, width};
use crate::draw::{Anchor, Svg};
use crate::train::Confusion;

const LONGEST_NAME: f64 = 170.0;
/// With more classes than this there is no room for their names: only the `SHOWN` most confused are drawn.
const MOST: usize = 120;
const SHOWN: usize = 40;

/// Sizes of the drawing's parts, for a number of classes.
struct MatrixSizes {
    cell: f64,
    /// Font size of the counts; `None` if it would be too small to read.
    counts: Option<f64>,
    /// Font size of the names.
    names: f64,
}

impl MatrixSizes {
    fn of(classes: usize, digits: usize) -> MatrixSizes {
        let digits = width(&"0".repeat(digits), 1.0);
        match classes {
            0..=12 => MatrixSizes { cell: (12.0 * digits + 10.0).max(40.0), counts: Some(12.0), names: TEXT },
            13..=50 => MatrixSizes { cell: (9.0 * digits + 5.0).max(20.0), counts: Some(9.0), names: 11.0 },
            _ => MatrixSizes { cell: 12.0, counts: None, names: 9.0 },
        }
    }
}

/// Draws counts by true class (rows) and predicted class (columns). A cell's colour strength is the square root of its
/// share of the row. The column at the right shows the recall of each class: the share of its samples that was
/// predicted correctly. With more than 120 classes the 40 most confused are drawn.
pub fn draw_confusion(title: &str, names: &[String], confusion: &Confusion) -> String {
    let all = confusion.classes();
    let shown = if all > MOST { confusion.most_confused(SHOWN) } else { (0..all).collect() };
    let most = confusion.cells().map(|(.., count)| count).max().unwrap_or(0);
    let sizes = MatrixSizes::of(shown.len(), most.to_string().len());
    let letters = sizes.names;
    let names: Vec<_> = shown.iter().map(|&class| fit(&names[class], letters, LONGEST_NAME)).collect();
    let longest = names.iter().map(|n| width(n, letters)).fold(0.0, f64::max);
    // Names above the columns are written vertically if they would touch each other.
    let upright = longest > sizes.cell - 6.0;
    let side = sizes.cell * shown.len() as f64;
    let [left, top] = [GAP + 22.0 + longest, TITLE + 44.0 + if upright { longest } else { letters }];
    let page = (left + side + 64.0).max(360.0);
    let mut svg = Svg::new(page, top + side + GAP);
    heading(&mut svg, title, page);
    let part = match shown.len() < all {
        true => format!("the {} most confused of {} classes; ", shown.len(), thousands(all)),
        false => String::new(),
    };
    let colors = "blue: right, orange: wrong; darker: a larger share of the row; percent: recall";
    note(&mut svg, &format!("{part}{colors}"), page);
    svg.text("predicted", [left + side / 2.0, TITLE + 28.0], TEXT, Anchor::Middle, INK);
    svg.text_upwards("true", [GAP + 8.0, top + side / 2.0], TEXT, Anchor::Middle, INK);
    cells(&mut svg, confusion, &shown, &sizes, [left, top]);
    svg.frame([left, top], [side, side], FAINT);
    let recall = confusion.per_class();
    for (i, (name, &class)) in names.iter().zip(&shown).enumerate() {
        let middle = (i as f64 + 0.5) * sizes.cell;
        let base = middle + letters * 0.36;
        svg.text(name, [left - 6.0, top + base], letters, Anchor::End, INK);
        match upright {
            true => svg.text_upwards(name, [left + base, top - 6.0], letters, Anchor::Start, INK),
            false => svg.text(name, [left + middle, top - 6.0], letters, Anchor::Middle, INK),
        }
        let recall = recall[class].map_or("–".to_owned(), |share| format!("{:.1} %", 100.0 * share));
        svg.text(&recall, [left + side + 52.0, top + base], letters, Anchor::End, FAINT);
    }
    svg.finish()
}

fn cells(svg: &mut Svg, confusion: &Confusion, shown: &[usize], sizes: &MatrixSizes, [left, top]: [f64; 2]) {
    let (cell, samples) = (sizes.cell, confusion.samples());
    let place = |class: usize| shown.binary_search(&class).ok();
    for (label, class, n) in confusion.cells() {
        let (Some(i), Some(j)) = (place(label), place(class)) else { continue };
        let color = if label == class { BLUE } else { VERMILION };
        // The square root makes small counts visible: a good network's mistakes are only a few per cent.
        let fill = WHITE.mix(color, 0.05 + 0.95 * (n as f64 / samples[label] as f64).sqrt());
        let [x, y] = [left + j as f64 * cell, top + i as f64 * cell];
        svg.rect([x, y], [cell, cell], fill);
        if let Some(size) = sizes.counts {
            let ink = if fill.is_dark() { WHITE } else { INK };
            let base = [x + cell / 2.0, y + cell / 2.0 + size * 0.36];
            svg.text(&n.to_string(), base, size, Anchor::Middle, ink);
        }
    }
    let side = cell * shown.len() as f64;
    for i in 1..shown.len() {
        let at = i as f64 * cell;
        svg.line(&[[left, top + at], [left + side, top + at]], HAIR, 1.0);
        svg.line(&[[left + at, top], [left + at, top + side]], HAIR, 1.0);
    }
}

/// `lenet5 on mnist: 98.71 % of 10,000 right`.
pub(super) fn confusion_title(of: &str, confusion: &Confusion) -> String {
    let n = confusion.total();
    let percent = 100.0 * confusion.right() as f64 / n.max(1) as f64;
    format!("{of}: {percent:.2} % of {} right", thousands(n as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From no classes up to as many as have room for names: every count is in the picture, as text or as a cell.
    #[test]
    fn any_number_of_classes_has_its_picture() {
        for classes in [0, 1, 2, 10, 37, 100, 120] {
            let confusion = Confusion::of(classes, (0..classes).map(|i| (i, i, 70 + i as u64)));
            let names: Vec<String> =
                (0..classes).map(|i| format!("class {i} with <a> long & longer name")).collect();
            let svg = draw_confusion("t", &names, &confusion);
            let colored =
                svg.lines().filter(|line| line.starts_with("<rect") && line.contains(&BLUE.to_string()));
            assert_eq!(colored.count(), classes);
            assert_eq!(svg.contains("class 0 with &lt;a&gt;"), classes > 0, "{classes} classes");
            assert_eq!(svg.contains(r#"aria-label="70""#), (1..=50).contains(&classes));
            assert!(!svg.contains("NaN"));
        }
    }

    /// With very many classes the picture shows the confused ones, small and with their names. A row's share is still
    /// that of the whole class.
    #[test]
    fn of_very_many_classes_the_most_confused_are_drawn() {
        let right = (0..50_000).map(|i| (i, i, 1));
        let confusion = Confusion::of(50_000, right.chain([(123, 45_678, 3), (9, 10, 1)]));
        let names: Vec<String> = (0..50_000).map(|i| format!("class {i}")).collect();
        let svg = draw_confusion("t", &names, &confusion);
        assert!(svg.len() < 200_000, "{} bytes", svg.len());
        for text in
            ["the 40 most confused of 50,000 classes", "class 123", "class 45678", "class 10", "25.0 %"]
        {
            assert!(svg.contains(text), "{text}");
        }
        assert!(!svg.contains(">class 49999"));
    }

    #[test]
    fn cells_have_room_for_their_counts() {
        for (classes, digits) in [(2, 3), (10, 4), (10, 7), (37, 3), (50, 5)] {
            let sizes = MatrixSizes::of(classes, digits);
            assert!(width(&"8".repeat(digits), sizes.counts.unwrap()) <= sizes.cell - 4.0);
        }
        let confusion = Confusion::of(2, [(0, 0, 3), (0, 1, 1), (1, 1, 4)]);
        assert_eq!(confusion_title("m on d", &confusion), "m on d: 87.50 % of 8 right");
        assert_eq!(confusion_title("m on d", &Confusion::new(2)), "m on d: 0.00 % of 0 right");
    }
}
