//! Which known names a mistyped one is like.

/// The most names that are offered.
const MOST: usize = 3;

/// The names within a third of the letters of `word` (at least one letter), or that end or begin with it; nearest first.
pub fn similar<'a>(word: &str, known: &[&'a str]) -> Vec<&'a str> {
    let lower = word.to_lowercase();
    let near = |name: &&'a str| {
        let other = name.to_lowercase();
        let edits = edits(&lower, &other);
        let part = lower.len() > 2 && (other.ends_with(&lower) || other.starts_with(&lower));
        let close = edits <= (lower.chars().count() / 3).max(1) && edits < other.chars().count();
        (close || part).then_some((edits, *name))
    };
    let mut found: Vec<(usize, &str)> = known.iter().filter_map(near).collect();
    found.sort_unstable();
    found.into_iter().take(MOST).map(|(_, name)| name).collect()
}

/// Letters to insert, delete, change or swap with a neighbour to get from one word to the other.
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = [vec![0; b.len() + 1], (0..=b.len()).collect::<Vec<usize>>(), vec![0; b.len() + 1]];
    for i in 1..=a.len() {
        rows[2][0] = i;
        for j in 1..=b.len() {
            let change = usize::from(a[i - 1] != b[j - 1]);
            let mut least = (rows[1][j - 1] + change).min(rows[1][j] + 1).min(rows[2][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[0][j - 2] + 1);
            }
            rows[2][j] = least;
        }
        rows.rotate_left(1);
    }
    rows[1][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_others_are_not() {
        let layers = ["conv1", "conv2", "bn1", "layer1", "layer1.0", "fc", "encoder.conv1"];
        assert_eq!(similar("cnov1", &layers), ["conv1"]);
        assert_eq!(similar("conv", &layers), ["conv1", "conv2"]);
        assert_eq!(similar("Layer1", &layers), ["layer1", "layer1.0"]);
        assert_eq!(similar("fcc", &layers), ["fc"]);
        assert!(similar("embedding", &layers).is_empty());
        assert!(similar("", &layers).is_empty());
        assert_eq!(edits("abcd", "acbd"), 1);
        assert_eq!(edits("", "abc"), 3);
    }
}
