//! A layer's settings, read from its description: `Conv2d(1, 6, kernel_size=5, padding=2)` has a `kernel_size` and a
//! `padding`. Settings that a description leaves out have PyTorch's defaults.

use serde_json::{Map, Value};

/// The named settings, as numbers, lists of numbers, true, false, null or text.
pub(crate) fn attrs(describe: &str) -> Map<String, Value> {
    let inside = describe.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or("");
    let pairs = split(inside).into_iter().filter_map(|part| part.split_once('='));
    pairs.map(|(name, text)| (name.trim().to_owned(), value(text))).collect()
}

/// Splits the text at the commas that are not inside inner parentheses.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0i32);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn value(text: &str) -> Value {
    let text = text.trim();
    match text {
        "True" => return Value::Bool(true),
        "False" => return Value::Bool(false),
        "None" => return Value::Null,
        _ => {}
    }
    if let Some(list) = text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        return Value::Array(split(list).into_iter().map(value).collect());
    }
    if let Ok(whole) = text.parse::<i64>() {
        return whole.into();
    }
    text.parse::<f64>().map_or_else(|_| Value::String(text.to_owned()), Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn settings_are_pythons_values() {
        let conv = attrs("Conv2d(3, 16, kernel_size=(5, 3), stride=2, padding=same, bias=False)");
        let expected = json!({ "kernel_size": [5, 3], "stride": 2, "padding": "same", "bias": false });
        assert_eq!(Value::Object(conv), expected);
        let norm = attrs("BatchNorm2d(64, eps=1e-05, momentum=None)");
        assert_eq!(Value::Object(norm), json!({ "eps": 1e-5, "momentum": null }));
        assert_eq!(attrs("AdaptiveAvgPool2d(output_size=(3, None))")["output_size"], json!([3, null]));
        assert!(attrs("ReLU()").is_empty() && attrs("odd").is_empty());
    }
}
