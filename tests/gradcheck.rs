//! Compares every gradient of every op with central differences.

use receptive::ops::Tag;
use receptive::testing::{for_each_case, gradcheck_case};

#[test]
fn every_op_every_case_every_input() {
    for_each_case(&[Tag::Grad, Tag::Edge], gradcheck_case);
}
