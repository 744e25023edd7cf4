//! Printing: nested brackets, with at most [`EDGE`] items at each end of a long dimension.

use super::Tensor;
use std::fmt;

/// Items shown at each end of a dimension that is too long to show whole.
const EDGE: usize = 3;

impl fmt::Display for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_f64() {
            Ok(values) => {
                let whole = !self.dtype().is_float();
                write_dim(f, &values, self.dims(), whole, 0)?;
                write!(f, "  {} {}", self.shape(), self.dtype())
            }
            Err(_) => write!(f, "(meta)  {} {}", self.shape(), self.dtype()),
        }
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor({} {} on {})", self.shape(), self.dtype(), self.device())
    }
}

fn write_dim(
    f: &mut fmt::Formatter,
    values: &[f64],
    dims: &[usize],
    whole: bool,
    depth: usize,
) -> fmt::Result {
    let Some((&n, rest)) = dims.split_first() else {
        return match (whole, values[0]) {
            (true, v) => write!(f, "{v}"),
            (false, v) => write!(f, "{v:.4}"),
        };
    };
    let inner: usize = rest.iter().product();
    let separator = if rest.is_empty() { ", ".into() } else { format!(",\n{}", " ".repeat(depth + 1)) };
    f.write_str("[")?;
    let mut i = 0;
    while i < n {
        if i > 0 {
            f.write_str(&separator)?;
        }
        if i == EDGE && n > 2 * EDGE {
            f.write_str("...")?;
            i = n - EDGE;
            continue;
        }
        write_dim(f, &values[i * inner..(i + 1) * inner], rest, whole, depth + 1)?;
        i += 1;
    }
    f.write_str("]")
}
