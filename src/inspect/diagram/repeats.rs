//! Finds boxes that follow one another several times, so that they are drawn once.
//!
//! Two parts of a diagram are the same if their boxes have the same text and output, and are connected in the same way.
//! A part may take inputs only from itself and from the box before it. The rest of the diagram may use only the output
//! of its last box.

use super::{DiagramBox, RepeatedBoxes};

/// Where a box takes an input from, seen from the part it is in.
#[derive(Debug, PartialEq)]
enum InputPlace {
    /// The box before the part, or the image.
    Before,
    /// A box of the part, by its place in it.
    Inside(usize),
}

/// The boxes with every repetition drawn once, and how often each of them repeats.
pub(super) fn collapsed(boxes: Vec<DiagramBox>) -> (Vec<DiagramBox>, Vec<RepeatedBoxes>) {
    let (mut kept, mut repeats) = (Vec::new(), Vec::new());
    // The new number of each box. The last box of a part stands for the last box of all its copies.
    let mut number: Vec<usize> = Vec::new();
    let mut at = 0;
    while at < boxes.len() {
        let lengths = 1..=(boxes.len() - at) / 2;
        let found = lengths.map(|length| (length, times(&boxes, at, length)));
        // The choice that saves most boxes; of several, the shortest part.
        let best = found.rev().max_by_key(|&(length, times)| length * (times - 1));
        let (length, times) = best.filter(|&(_, times)| times > 1).unwrap_or((1, 1));
        let start = kept.len();
        number.extend((0..length * times).map(|i| start + i % length));
        for one in &boxes[at..at + length] {
            let from = one.from.iter().map(|from| from.map(|from| number[from])).collect();
            kept.push(DiagramBox { from, ..one.clone() });
        }
        if times > 1 {
            repeats.push(RepeatedBoxes { boxes: start..kept.len(), times });
        }
        at += length * times;
    }
    (kept, repeats)
}

/// How often the part of `length` boxes at `at` follows itself; 1 if it is not repeated or may not be left out.
fn times(boxes: &[DiagramBox], at: usize, length: usize) -> usize {
    let Some(first) = part(boxes, at, length) else { return 1 };
    let more = (1..).take_while(|i| part(boxes, at + i * length, length).as_ref() == Some(&first));
    let times = 1 + more.count();
    let end = at + times * length;
    let inner = at..end - 1;
    let used = boxes[end..].iter().flat_map(|one| one.from.iter().flatten()).any(|from| inner.contains(from));
    if used { 1 } else { times }
}

type Part<'a> = Vec<(&'a str, &'a [&'static str], &'a [usize], Vec<InputPlace>)>;

/// The boxes of a part, in a form that can be compared; `None` if it does not stand by itself.
fn part(boxes: &[DiagramBox], at: usize, length: usize) -> Option<Part<'_>> {
    let place = |from: &Option<usize>| match (*from, at.checked_sub(1)) {
        (Some(from), _) if from >= at => Some(InputPlace::Inside(from - at)),
        (from, before) => (from == before).then_some(InputPlace::Before),
    };
    let of = |one: &'_ DiagramBox| one.from.iter().map(place).collect::<Option<Vec<_>>>();
    boxes
        .get(at..at + length)?
        .iter()
        .map(|one| Some((&*one.text, &*one.then, &*one.output, of(one)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Boxes of equal output, from a text and the boxes their inputs come from.
    fn boxes(rows: &[(&str, &[usize])]) -> Vec<DiagramBox> {
        let row = |(i, &(text, from)): (usize, &(&str, &[usize]))| DiagramBox {
            text: text.to_owned(),
            then: vec![],
            output: vec![4],
            from: if i == 0 { vec![None] } else { from.iter().copied().map(Some).collect() },
        };
        rows.iter().enumerate().map(row).collect()
    }

    fn texts(boxes: &[DiagramBox]) -> String {
        boxes.iter().map(|one| one.text.as_str()).collect()
    }

    /// Two residual blocks: `a b`, and a sum with the block's input. Then a box that follows the second sum.
    #[test]
    fn a_repeated_block_is_drawn_once() {
        let rows: [(&str, &[usize]); 8] = [
            ("s", &[]),
            ("a", &[0]),
            ("b", &[1]),
            ("+", &[2, 0]),
            ("a", &[3]),
            ("b", &[4]),
            ("+", &[5, 3]),
            ("e", &[6]),
        ];
        let (kept, repeats) = collapsed(boxes(&rows));
        assert_eq!(texts(&kept), "sab+e");
        assert_eq!(kept[4].from, [Some(3)]);
        assert_eq!(repeats, [RepeatedBoxes { boxes: 1..4, times: 2 }]);
    }

    /// Equal boxes are not a repetition if another box uses one of the outputs between.
    #[test]
    fn a_block_whose_inside_is_used_elsewhere_stays() {
        let rows: [(&str, &[usize]); 4] = [("s", &[]), ("a", &[0]), ("a", &[1]), ("+", &[2, 1])];
        let (kept, repeats) = collapsed(boxes(&rows));
        assert_eq!((texts(&kept).as_str(), repeats), ("saa+", vec![]));
        let chain: [(&str, &[usize]); 5] = [("a", &[]), ("a", &[0]), ("a", &[1]), ("b", &[2]), ("a", &[3])];
        let (kept, repeats) = collapsed(boxes(&chain));
        assert_eq!((texts(&kept).as_str(), repeats), ("aba", vec![RepeatedBoxes { boxes: 0..1, times: 3 }]));
    }
}
