//! Suggests known names that are similar to a mistyped one.

use strsim::osa_distance;

/// The most names that are suggested.
const MOST: usize = 3;

/// The names that need at most a third as many edits as `word` has letters (at least one edit), or that begin or end
/// with `word`. The nearest come first.
pub fn similar<'a>(word: &str, known: &[&'a str]) -> Vec<&'a str> {
    let lower = word.to_lowercase();
    let near = |name: &&'a str| {
        let other = name.to_lowercase();
        // An edit inserts, deletes or changes a letter, or swaps it with its neighbour.
        let edits = osa_distance(&lower, &other);
        let part = lower.len() > 2 && (other.ends_with(&lower) || other.starts_with(&lower));
        let close = edits <= (lower.chars().count() / 3).max(1) && edits < other.chars().count();
        (close || part).then_some((edits, *name))
    };
    let mut found: Vec<(usize, &str)> = known.iter().filter_map(near).collect();
    found.sort_unstable();
    found.into_iter().take(MOST).map(|(_, name)| name).collect()
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
    }
}
