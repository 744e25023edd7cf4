//! Tests of reverse-mode differentiation: order, accumulation, release, changed saved tensors, depth.

use receptive::cpu::CpuOptions;
use receptive::{DType, Device, ErrorKind, Tensor};

fn cpu() -> Device {
    Device::cpu_with(&CpuOptions { threads: 1, ..CpuOptions::default() }).unwrap()
}

fn leaf(device: &Device, values: &[f64]) -> Tensor {
    Tensor::from_slice(device, values, &[values.len()]).unwrap().requires_grad()
}

fn grad(x: &Tensor) -> Vec<f64> {
    x.grad().expect("a gradient").to_vec().unwrap()
}

/// One op reads the same storage twice: both gradients are added.
#[test]
fn x_times_x() {
    let cpu = cpu();
    let x = leaf(&cpu, &[3.0, -2.0]);
    x.mul(&x).unwrap().backward_with(&leaf(&cpu, &[1.0, 10.0])).unwrap();
    assert_eq!(grad(&x), [6.0, -40.0]);
}

/// Two ops use y. The backward of y's own op must run once, after both have added their gradients.
#[test]
fn a_diamond_accumulates_before_it_goes_on() {
    let cpu = cpu();
    let x = leaf(&cpu, &[2.0]);
    let y = x.mul(&x).unwrap(); // 4
    let z = y.mul(&y).unwrap().add(&y).unwrap(); // y^2 + y
    z.backward_with(&leaf(&cpu, &[1.0])).unwrap();
    assert_eq!(grad(&x), [(2.0 * 4.0 + 1.0) * 2.0 * 2.0]);
}

/// The result of floating-point addition depends on its order. Here the three parts of x's gradient are 1e16, -1e16 and
/// 1 in the order of the tape. Adding the latest first gives (1 - 1e16) + 1e16 = 0. Any order that adds the 1 last
/// gives 1.
#[test]
fn parts_are_added_in_reverse_tape_order() {
    let cpu = cpu();
    let constant = |value: f64| Tensor::from_vec(&cpu, vec![value], &[1]).unwrap();
    for _ in 0..20 {
        let x = leaf(&cpu, &[1.0]);
        let parts = [1e16, -1e16, 1.0].map(|c| x.mul(&constant(c)).unwrap());
        let y = parts[0].add(&parts[1]).unwrap().add(&parts[2]).unwrap();
        y.backward_with(&constant(1.0)).unwrap();
        assert_eq!(grad(&x), [0.0]);
    }
}

#[test]
fn backward_releases_the_graph_once() {
    let cpu = cpu();
    let (x, dy) = (leaf(&cpu, &[3.0]), leaf(&cpu, &[1.0]));
    let y = x.mul(&x).unwrap();
    y.backward_retain(&dy).unwrap();
    assert_eq!(grad(&x), [6.0]);
    y.backward_with(&dy).unwrap();
    assert_eq!(grad(&x), [12.0], "a second backward adds");
    let error = y.backward_with(&dy).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::GraphReleased);
    assert!(error.to_string().starts_with("mul: "), "{error}");
    assert_eq!(grad(&x), [12.0], "a refused backward changes nothing");
}

/// If an optimiser changed a weight between forward and backward, the gradient would be that of another function. This
/// is an error.
#[test]
fn a_saved_tensor_changed_since_is_an_error() {
    let cpu = cpu();
    let (x, w) = (leaf(&cpu, &[3.0]), leaf(&cpu, &[5.0]));
    let y = x.mul(&w).unwrap();
    w.copy_from(&leaf(&cpu, &[7.0]).detach()).unwrap();
    let error = y.backward_with(&leaf(&cpu, &[1.0])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StaleSaved);
    assert!(error.to_string().contains("input 1"), "{error}");
    assert!(x.grad().is_none());
}

/// Tensors that backward does not read may change. `add` saves none.
#[test]
fn a_tensor_nobody_saved_may_change() {
    let cpu = cpu();
    let (x, w) = (leaf(&cpu, &[3.0]), leaf(&cpu, &[5.0]));
    let y = x.add(&w).unwrap();
    w.copy_from(&leaf(&cpu, &[7.0]).detach()).unwrap();
    y.backward_with(&leaf(&cpu, &[1.0])).unwrap();
    assert_eq!(grad(&w), [1.0]);
}

/// A hundred thousand nested calls, or nested drops, would overflow the stack many times.
#[test]
fn a_chain_of_100_000_ops_runs_and_drops_without_recursion() {
    let deep = || {
        let cpu = cpu();
        let x = leaf(&cpu, &[1.0]);
        let chain = || (0..100_000).fold(x.clone(), |y, _| y.neg().unwrap());
        let y = chain();
        y.backward_with(&leaf(&cpu, &[2.0])).unwrap();
        assert_eq!(grad(&x), [2.0]);
        drop(y);
        drop(chain()); // a graph without a backward pass
    };
    std::thread::Builder::new().stack_size(128 * 1024).spawn(deep).unwrap().join().unwrap();
}

#[test]
fn what_was_not_recorded_has_no_gradient() {
    let cpu = cpu();
    let x = leaf(&cpu, &[3.0]);
    let one = leaf(&cpu, &[1.0]).detach();
    for y in [one.mul(&one).unwrap(), x.detach().mul(&one).unwrap(), x.mul(&one).unwrap().detach()] {
        let error = y.backward_with(&one).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotDifferentiable);
    }
    assert!(x.grad().is_none());
    let through = x.to_dtype(DType::I64).unwrap();
    let error = through.backward_with(&Tensor::from_vec(&cpu, vec![1i64], &[1]).unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotDifferentiable);
    assert!(error.to_string().starts_with("cast: "), "{error}");
}

#[test]
fn the_upstream_gradient_must_fit() {
    let cpu = cpu();
    let y = leaf(&cpu, &[3.0, 4.0]).neg().unwrap();
    assert_eq!(y.backward().unwrap_err().kind(), ErrorKind::Shape, "not a scalar");
    assert_eq!(y.backward_with(&leaf(&cpu, &[1.0])).unwrap_err().kind(), ErrorKind::Shape);
    let f32 = Tensor::zeros(&cpu, &[2], DType::F32).unwrap();
    assert_eq!(y.backward_with(&f32).unwrap_err().kind(), ErrorKind::Shape, "another dtype");
    y.backward_with(&leaf(&cpu, &[1.0, 1.0])).unwrap();
}

/// add passes dy to both inputs unchanged. If both leaves adopted that memory, the next accumulation into one would
/// change the other, and the caller's dy.
#[test]
fn gradients_of_two_leaves_never_share_memory() {
    let cpu = cpu();
    let (a, b) = (leaf(&cpu, &[1.0]), leaf(&cpu, &[2.0]));
    let dy = leaf(&cpu, &[1.0]).detach();
    a.add(&b).unwrap().backward_with(&dy).unwrap();
    a.add(&b).unwrap().backward_with(&dy).unwrap();
    let (ga, gb) = (a.grad().unwrap(), b.grad().unwrap());
    assert!(!ga.shares_storage(&gb) && !ga.shares_storage(&dy) && !gb.shares_storage(&dy));
    drop((ga, gb));
    a.neg().unwrap().backward_with(&dy).unwrap();
    assert_eq!((grad(&a), grad(&b), dy.to_vec().unwrap()), (vec![1.0], vec![2.0], vec![1.0]));
}

/// The same through a view: reshape's gradient is a view of dy.
#[test]
fn a_leaf_behind_a_view_owns_its_gradient() {
    let cpu = cpu();
    let x = leaf(&cpu, &[1.0, 2.0]);
    let dy = Tensor::from_vec(&cpu, vec![1.0, 2.0], &[2, 1]).unwrap();
    let y = x.reshape(&[2, 1]).unwrap();
    y.backward_retain(&dy).unwrap();
    y.backward_with(&dy).unwrap();
    assert_eq!(grad(&x), [2.0, 4.0]);
    assert_eq!(dy.to_vec::<f64>().unwrap(), [1.0, 2.0]);
}

/// An optimiser keeps the address of a gradient between steps.
#[test]
fn gradients_accumulate_in_place() {
    let cpu = cpu();
    let x = leaf(&cpu, &[1.0]);
    let address = || x.grad().unwrap().read_bytes(<[u8]>::as_ptr).unwrap();
    let dy = leaf(&cpu, &[1.0]);
    x.neg().unwrap().backward_with(&dy).unwrap();
    let first = address();
    x.neg().unwrap().backward_with(&dy).unwrap();
    assert_eq!((address(), grad(&x)), (first, vec![-2.0]));
    x.zero_grad();
    assert!(x.grad().is_none());
}

#[test]
fn an_intermediate_result_keeps_its_gradient_on_request() {
    let cpu = cpu();
    let x = leaf(&cpu, &[2.0]);
    let y = x.mul(&x).unwrap();
    let forgotten = y.neg().unwrap();
    y.retain_grad();
    forgotten.neg().unwrap().backward_with(&leaf(&cpu, &[3.0])).unwrap();
    assert_eq!((grad(&y), grad(&x)), (vec![3.0], vec![12.0]));
    assert!(forgotten.grad().is_none());
}

/// A request for more memory than any machine has is an error that says how much. The device stays usable.
#[test]
fn too_large_a_tensor_is_an_error() {
    let cpu = cpu();
    let error = Tensor::zeros(&cpu, &[1 << 30, 1 << 28], DType::F32).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfMemory);
    assert!(error.to_string().contains("1152921504606846976 bytes"), "{error}");
    let column = Tensor::zeros(&cpu, &[1 << 20, 1], DType::F64).unwrap();
    let error = column.expand(&[1 << 20, 1 << 36]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfMemory);
    assert_eq!(column.sum_all().unwrap().item().unwrap(), 0.0);
}

/// Every view sees values written in place, and so does the check for changed saved tensors.
#[test]
fn written_values_keep_the_address_and_raise_the_version() {
    let cpu = cpu();
    let x = Tensor::from_slice(&cpu, &[1f32, 2.0, 3.0], &[3]).unwrap();
    let (rest, version) = (x.narrow(0, 1, 2).unwrap(), x.version());
    rest.write(&[5f32, 6.0]).unwrap();
    assert_eq!(x.to_vec::<f32>().unwrap(), [1.0, 5.0, 6.0]);
    assert!(x.version() > version);
    assert!(x.write(&[1f32]).is_err() && x.write(&[1f64, 2.0, 3.0]).is_err());
}

/// An update whose targets overlap would read what it has just written.
#[test]
fn targets_that_share_memory_are_refused() {
    let cpu = cpu();
    let x = leaf(&cpu, &[1.0, 2.0, 3.0]);
    let (first, last) = (x.detach().narrow(0, 0, 1).unwrap(), x.detach().narrow(0, 2, 1).unwrap());
    assert_eq!(first.copy_from(&last).unwrap_err().kind(), ErrorKind::Argument);
}
