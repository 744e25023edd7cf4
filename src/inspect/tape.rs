//! Reads the tape.

use crate::tensor::{Node, Tensor};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The ops recorded on the way to `y`, in the order they ran. `stop` gets a node's position on the tape; if it returns
/// true, the search does not continue through that node.
pub(super) fn ops_before(y: &Tensor, stop: impl Fn(u64) -> bool) -> impl Iterator<Item = Arc<Node>> {
    let mut found = BTreeMap::new();
    let mut pending: Vec<Arc<Node>> = y.node().cloned().into_iter().collect();
    while let Some(node) = pending.pop() {
        if stop(node.sequence()) || found.contains_key(&node.sequence()) {
            continue;
        }
        pending.extend(node.parents().flatten().cloned());
        found.insert(node.sequence(), node);
    }
    found.into_values()
}
