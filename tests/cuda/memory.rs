//! Memory: what goes there comes back, blocks are recycled, an arena is private, and running out is an error.

use crate::{context, cuda as exact_cuda};
use receptive::cuda::CudaOptions;
use receptive::testing::cases::checked_cuda_with;
use receptive::{DType, Device, ErrorKind, Tensor};

/// The device as it is used, with recycled memory.
fn cuda() -> Option<Device> {
    checked_cuda_with(CudaOptions::default())
}

#[test]
fn what_goes_to_the_device_comes_back() {
    let Some(device) = cuda() else { return };
    // More than both halves of the staging memory.
    let values: Vec<i64> = (0..1_500_000).collect();
    let x = Tensor::from_slice(&device, &values, &[values.len()]).unwrap();
    assert_eq!(x.to_vec::<i64>().unwrap(), values);
    for (value, dtype) in
        [(0.0, DType::F32), (1.5, DType::F32), (-2.0, DType::F64), (7.0, DType::I64), (3.0, DType::U8)]
    {
        let full = Tensor::full(&device, value, &[3, 5], dtype).unwrap();
        assert_eq!(full.to_f64().unwrap(), [value; 15], "{dtype}");
    }
    let empty = Tensor::zeros(&device, &[0, 3], DType::F32).unwrap();
    assert!(empty.to_vec::<f32>().unwrap().is_empty());
}

#[test]
fn dropped_memory_is_handed_out_again_and_given_back_when_asked() {
    let Some(device) = cuda() else { return };
    let cx = context(&device);
    let tensor = || Tensor::zeros(&device, &[1000], DType::F32).unwrap();
    drop(tensor());
    let before = cx.memory_stats();
    drop(tensor());
    drop(tensor());
    let after = cx.memory_stats();
    assert_eq!(after.allocations, before.allocations, "each was dropped before the next was made");
    assert!(after.cached >= 4000 && after.peak >= after.in_use);
    cx.empty_cache();
    assert_eq!(cx.memory_stats().cached, 0);
}

/// Where accesses are checked, memory is of just the size it is used for, and freed at once.
#[test]
fn exact_memory_is_not_recycled() {
    let Some(device) = exact_cuda() else { return };
    let before = context(&device).memory_stats();
    let tensor = Tensor::zeros(&device, &[1001], DType::F32).unwrap();
    assert_eq!(context(&device).memory_stats().in_use - before.in_use, 4004);
    drop(tensor);
    drop(Tensor::zeros(&device, &[1001], DType::F32).unwrap());
    let after = context(&device).memory_stats();
    assert_eq!((after.in_use, after.cached), (before.in_use, before.cached));
    assert_eq!(after.allocations, before.allocations + 2);
}

/// A tensor that nobody can hold names those who hold most, and leaves the device usable.
#[test]
fn running_out_of_memory_is_an_error_after_which_work_goes_on() {
    let Some(device) = cuda() else { return };
    let held = Tensor::zeros(&device, &[1 << 20], DType::F32).unwrap();
    let error = Tensor::zeros(&device, &[1 << 45], DType::F32).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfMemory);
    let text = error.to_string();
    assert!(text.contains("held by tensor 4.0 MiB in 1") && text.contains("a smaller batch"), "{text}");
    drop(held);
    assert_eq!(Tensor::full(&device, 2.0, &[2], DType::F32).unwrap().to_vec::<f32>().unwrap(), [2.0; 2]);
}

/// What a graph writes to must never be handed to anyone else, and is everybody's again when the graph is gone.
#[test]
fn an_arena_is_private_until_it_is_dropped() {
    let Some(device) = cuda() else { return };
    let cx = context(&device);
    let tensor = || Tensor::zeros(&device, &[5000], DType::F32).unwrap();
    let memory = cx.graph_memory();
    memory.with(|| drop(tensor()));
    let fresh = |f: &dyn Fn()| {
        let before = cx.memory_stats().allocations;
        f();
        cx.memory_stats().allocations - before
    };
    assert_eq!(fresh(&|| memory.with(|| drop(tensor()))), 0, "the arena recycles its own");
    assert_eq!(fresh(&|| drop(tensor())), 1, "and nobody else gets it");
    drop(memory);
    let both = || drop((tensor(), tensor()));
    assert_eq!(fresh(&both), 0, "until it is gone");
}
