//! Tests of memory: data copied to the device can be read back, blocks are recycled, an arena is private, and running
//! out of memory is an error.

use crate::{context, cuda as exact_cuda};
use receptive::cuda::CudaOptions;
use receptive::tensor::DeviceOptions;
use receptive::testing::cases::checked_cuda_with;
use receptive::{DType, Device, ErrorKind, Tensor};

/// `auto` takes the CPU only if there is no GPU, not if a GPU refuses a setting.
#[test]
fn auto_takes_the_gpu_or_says_why_not() {
    if cuda().is_none() {
        return;
    }
    let auto = |options| Device::from_name("auto", &options);
    assert!(auto(DeviceOptions::with_threads(1)).unwrap().as_cuda().is_some());
    let options = DeviceOptions { gemm_rung: Some(99), ..DeviceOptions::with_threads(1) };
    assert!(auto(options).unwrap_err().to_string().contains("there is no rung 99"));
    let error = Device::from_name("cuda", &DeviceOptions::with_threads(1 << 30)).unwrap_err();
    assert!(error.to_string().contains("threads"), "{error}");
}

/// The device with its usual settings, which recycle memory.
fn cuda() -> Option<Device> {
    checked_cuda_with(CudaOptions::default())
}

#[test]
fn what_goes_to_the_device_comes_back() {
    let Some(device) = cuda() else { return };
    // The data are larger than both halves of the staging memory.
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

/// If accesses are checked, a buffer has exactly the requested size and is freed at once.
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

/// The error for a tensor that is too large names the owners that hold the most memory. The device stays usable.
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

/// The error also names memory that only a graph may use, so that the sums add up.
#[test]
fn running_out_of_memory_names_what_is_kept_for_a_graph() {
    let Some(device) = cuda() else { return };
    let memory = context(&device).graph_memory();
    memory.with(|| drop(Tensor::zeros(&device, &[1 << 20], DType::F32).unwrap()));
    let exhausted = || Tensor::zeros(&device, &[1 << 45], DType::F32).unwrap_err().to_string();
    assert!(exhausted().contains("kept for a graph 4.0 MiB"), "{}", exhausted());
    drop(memory);
    assert!(!exhausted().contains("kept for a graph"), "{}", exhausted());
}

/// Readbacks and marks keep their device alive.
#[test]
fn a_result_outlives_its_device() {
    let Some(device) = cuda() else { return };
    let x = Tensor::full(&device, 3.0, &[5], DType::F32).unwrap();
    let cx = context(&device);
    let [first, last] = [cx.mark().unwrap(), cx.mark().unwrap()];
    let place = cx.scratch::<f32>(5).unwrap();
    cx.upload(place.ptr(), &x.to_vec::<f32>().unwrap()).unwrap();
    let readback = cx.read_later(&[(place.ptr(), 20)]).unwrap();
    drop((place, x, device));
    assert_eq!(readback.read(|bytes| bytemuck::cast_slice::<u8, f32>(bytes).to_vec()).unwrap(), [3.0; 5]);
    assert!(first.milliseconds_to(&last).unwrap() >= 0.0);
}

/// Memory that a graph writes to is never handed out to others. When the graph is gone, it is shared again.
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
