//! How an op runs: infer -> allocate -> run -> record, for each device.
//!
//! Compared with lesson 0: the memory of outputs is taken from recycled buffers, because asking the system for it
//! costs more than many ops. Only ops whose inputs track gradients are recorded, so that evaluation keeps nothing.

use super::node::{Edge, Node, Saved};
use super::observe::Watch;
use super::op::{Meta, Op, Outputs, Plan, Update};
use super::storage::{Cell, Data, Storage};
use super::{Device, Tensor};
use crate::core::{DType, Element, Error, ErrorKind, Result};
use crate::cpu::{Buffer, CpuCtx, View, ViewMut};
use crate::cuda::{CudaCtx, DeviceView};
use crate::element_type;
use smallvec::SmallVec;
use std::sync::{Arc, Mutex};

/// Runs an op, and records it if any input tracks gradients. Returns the visible outputs.
///
/// # Errors
/// Errors of [`Op::infer`], [`Op::cpu`] and [`Op::cuda`]; no memory for the outputs; inputs on different devices.
pub fn apply<O: Op>(op: O, inputs: &[&Tensor]) -> Result<Outputs> {
    let ran = execute(&op, inputs)?;
    // Boxing the op costs an allocation, so only a recorded op is boxed.
    let recorded = tracked(inputs).then(|| Arc::new(op) as Arc<dyn Op>);
    Ok(finish(ran, inputs, recorded))
}

/// As [`apply`], for an op that is already in an `Arc`. The `op` command and the tests make such ops from the table.
///
/// # Errors
/// As [`apply`].
pub fn apply_dyn(op: &Arc<dyn Op>, inputs: &[&Tensor]) -> Result<Outputs> {
    let ran = execute(&**op, inputs)?;
    Ok(finish(ran, inputs, tracked(inputs).then(|| Arc::clone(op))))
}

/// Whether any input tracks gradients.
fn tracked(inputs: &[&Tensor]) -> bool {
    inputs.iter().any(|x| x.tracks_grad())
}

/// What ran: passed to the observer.
pub(crate) enum ExecutedCall<'a> {
    Op { op: &'a dyn Op, plan: &'a Plan, inputs: &'a [&'a Tensor], outputs: &'a [Data] },
    Update { op: &'a dyn Update, targets: &'a [&'a Tensor], inputs: &'a [&'a Tensor] },
}

struct Ran {
    outputs: SmallVec<[Data; 2]>,
    visible: usize,
    device: Device,
}

fn execute(op: &dyn Op, inputs: &[&Tensor]) -> Result<Ran> {
    let Some(first) = inputs.first() else {
        return Err(Error::argument(op.name(), "needs at least one tensor"));
    };
    let device = first.device().clone();
    check_devices(op.name(), inputs)?;
    let metas: SmallVec<[Meta; 4]> = inputs.iter().map(|x| x.meta()).collect();
    let plan = op.infer(&metas)?;
    plan.check(op.name(), metas[0])?;
    let visible = plan.visible;
    let started = Watch::on(&device).map(Watch::start).transpose()?;
    let outputs = if let Some(offset) = plan.view {
        let Meta { shape, dtype } = plan.outputs[0];
        let data = first.data();
        SmallVec::from_iter([Data { cell: data.cell.clone(), offset: data.offset + offset, shape, dtype }])
    } else {
        match &device {
            Device::Cpu(cx) => run_cpu(op, cx, inputs, &plan)?,
            Device::Cuda(cx) => run_cuda(op, cx, inputs, &plan)?,
            Device::Meta(_) => plan.outputs.iter().map(|m| data(Storage::Meta, m)).collect(),
        }
    };
    if let Some(started) = started {
        started.done(&ExecutedCall::Op { op, plan: &plan, inputs, outputs: &outputs })?;
    }
    Ok(Ran { outputs, visible, device })
}

fn data(storage: Storage, meta: &Meta) -> Data {
    Data { cell: Cell::new(storage), offset: 0, shape: meta.shape, dtype: meta.dtype }
}

fn run_cpu(op: &dyn Op, cx: &CpuCtx, inputs: &[&Tensor], plan: &Plan) -> Result<SmallVec<[Data; 2]>> {
    // If two inputs share storage (x * x), it is locked once. A second read lock could wait forever behind a waiting
    // writer.
    let first_of = |i: usize| (0..i).find(|&j| inputs[j].shares_storage(inputs[i])).unwrap_or(i);
    let guards: SmallVec<[_; 4]> =
        (0..inputs.len()).map(|i| (first_of(i) == i).then(|| inputs[i].data().cell.read())).collect();
    let views: SmallVec<[View; 4]> = (0..inputs.len())
        .map(|i| {
            let guard = guards[first_of(i)].as_ref().expect("the first of its storage is locked");
            view(inputs[i], guard)
        })
        .collect();
    let mut buffers: SmallVec<[Buffer; 2]> = SmallVec::new();
    for meta in &plan.outputs {
        buffers.push(allocate(op.name(), cx, meta)?);
    }
    let mut outs: SmallVec<[ViewMut; 2]> = buffers
        .iter_mut()
        .zip(&plan.outputs)
        .map(|(b, m)| ViewMut { shape: m.shape, dtype: m.dtype, bytes: b.bytes_mut() })
        .collect();
    if cx.poison() {
        outs.iter_mut().for_each(poison);
    }
    // If no output has elements, the op is not run. So loops need not handle a shape such as [0, 2^40].
    if plan.outputs.iter().any(|m| m.numel() > 0) {
        op.cpu(cx, plan, &views, &mut outs)?;
    }
    drop(outs);
    Ok(buffers.into_iter().zip(&plan.outputs).map(|(b, m)| data(Storage::Cpu(b), m)).collect())
}

fn run_cuda(op: &dyn Op, cx: &CudaCtx, inputs: &[&Tensor], plan: &Plan) -> Result<SmallVec<[Data; 2]>> {
    let x: SmallVec<[DeviceView; 4]> = inputs.iter().map(|x| device_view(x.data())).collect();
    let outputs: SmallVec<[Data; 2]> = plan
        .outputs
        .iter()
        .map(|m| Ok(data(Storage::Cuda(cx.take(m.bytes(), op.name())?), m)))
        .collect::<Result<_>>()?;
    let y: SmallVec<[DeviceView; 2]> = outputs.iter().map(device_view).collect();
    if cx.options().poison {
        y.iter().zip(&plan.outputs).try_for_each(|(y, m)| cx.fill_bytes(y.bytes(), 0xff, m.bytes()))?;
    }
    if plan.outputs.iter().any(|m| m.numel() > 0) {
        op.cuda(cx, plan, &x, &y)?;
        if cx.options().check {
            cx.check_fault()?;
        }
    }
    Ok(outputs)
}

/// A tensor's address on its GPU. No lock is held after this returns. None is needed: the GPU's queue runs reads and
/// writes in the order in which they were queued.
pub(super) fn device_view(data: &Data) -> DeviceView {
    let address = data.cell.read().device().address() + data.range().start as u64;
    DeviceView { shape: data.shape, dtype: data.dtype, address }
}

pub(super) fn allocate(what: &str, cx: &CpuCtx, meta: &Meta) -> Result<Buffer> {
    cx.buffers().try_take(meta.bytes()).ok_or_else(|| {
        let used = cx.buffers().stats();
        Error::new(ErrorKind::OutOfMemory, what, format!("no memory for {} bytes", meta.bytes()))
            .with("tensor", format_args!("{} {}", meta.shape, meta.dtype))
            .with("bytes in use", used.in_use)
            .with("cached", used.cached)
            .help("use a smaller batch or smaller images")
    })
}

fn view<'a>(tensor: &Tensor, storage: &'a Storage) -> View<'a> {
    let data = tensor.data();
    View { shape: data.shape, dtype: data.dtype, bytes: &storage.host()[data.range()] }
}

fn poison(out: &mut ViewMut) {
    element_type!(out.dtype, T => out.get::<T>().fill(T::POISON));
}

/// Wraps the outputs, and records `op` if it is given. Not generic, so that it is compiled once and not for every op.
fn finish(ran: Ran, inputs: &[&Tensor], op: Option<Arc<dyn Op>>) -> Outputs {
    let Ran { mut outputs, visible, device } = ran;
    let mut edge = Edge::None;
    if let Some(op) = op {
        let seq = device.next_sequence();
        let saved = Saved::new(&*op, &device, inputs, &outputs);
        if let Some(watch) = Watch::on(&device) {
            watch.recorded(seq, &saved);
        }
        edge = Edge::Node(Arc::new(Node {
            seq,
            saved: Mutex::new(Some(saved)),
            inputs: inputs.iter().map(|x| x.edge().clone()).collect(),
            input_metas: inputs.iter().map(|x| x.meta()).collect(),
            output: Meta { shape: outputs[0].shape, dtype: outputs[0].dtype },
            retained: Mutex::new(None),
            op,
        }));
    }
    outputs.truncate(visible);
    let tensor = |data| Tensor::new(data, device.clone(), std::mem::take(&mut edge));
    outputs.into_iter().map(tensor).collect()
}

/// Changes `targets` in place, reading `inputs`. The storage version of every target rises.
///
/// # Errors
/// No tensors; tensors on different devices; a target that shares storage with another tensor of the call.
pub fn update(op: &dyn Update, targets: &[&Tensor], inputs: &[&Tensor]) -> Result<()> {
    let all: SmallVec<[&Tensor; 6]> = targets.iter().chain(inputs).copied().collect();
    if all.is_empty() {
        return Err(Error::argument(op.name(), "needs at least one tensor"));
    }
    check_devices(op.name(), &all)?;
    check_alone(op.name(), &all, targets.len())?;
    let started = Watch::on(all[0].device()).map(Watch::start).transpose()?;
    change(op, all[0].device(), targets, inputs)?;
    started.map_or(Ok(()), |started| started.done(&ExecutedCall::Update { op, targets, inputs }))
}

fn change(op: &dyn Update, device: &Device, targets: &[&Tensor], inputs: &[&Tensor]) -> Result<()> {
    match device {
        Device::Meta(_) => Ok(()),
        Device::Cuda(cx) => {
            // The write lock raises the versions, as for any in-place update.
            targets.iter().for_each(|t| drop(t.data().cell.write()));
            let views = |all: &[&Tensor]| -> SmallVec<[DeviceView; 6]> {
                all.iter().map(|x| device_view(x.data())).collect()
            };
            op.cuda(cx, &views(targets), &views(inputs))
        }
        Device::Cpu(cx) => {
            let mut written: SmallVec<[_; 4]> = targets.iter().map(|t| t.data().cell.write()).collect();
            let guards: SmallVec<[_; 4]> = inputs.iter().map(|x| x.data().cell.read()).collect();
            let views: SmallVec<[View; 4]> = inputs.iter().zip(&guards).map(|(x, g)| view(x, g)).collect();
            let mut outs: SmallVec<[ViewMut; 4]> = targets
                .iter()
                .zip(written.iter_mut())
                .map(|(t, g)| {
                    let Data { shape, dtype, .. } = *t.data();
                    ViewMut { shape, dtype, bytes: &mut g.host_mut()[t.data().range()] }
                })
                .collect();
            op.cpu(cx, &mut outs, &views)
        }
    }
}

/// # Errors
/// One of the first `targets` tensors shares storage with any other tensor of `all`.
fn check_alone(op: &str, all: &[&Tensor], targets: usize) -> Result<()> {
    let mut cells: Vec<_> = all.iter().enumerate().map(|(i, x)| (Arc::as_ptr(&x.data().cell), i)).collect();
    cells.sort_unstable();
    // Sorted by cell, then by position in `all`, where targets come first. So if one tensor of an equal pair is a
    // target, the first one is.
    match cells.windows(2).find(|pair| pair[0].0 == pair[1].0 && pair[0].1 < targets) {
        None => Ok(()),
        Some(pair) => {
            Err(Error::argument(op, "a tensor that is changed in place shares its memory with another one")
                .with("target", all[pair[0].1].shape())
                .help("copy one of the two first"))
        }
    }
}

/// Overwrites a tensor's elements with values from the host.
pub(crate) fn write<T: Element>(tensor: &Tensor, values: &[T]) -> Result<()> {
    let mut guard = tensor.data().cell.write();
    match tensor.device() {
        Device::Meta(_) => {}
        Device::Cpu(_) => {
            guard.host_mut()[tensor.data().range()].copy_from_slice(bytemuck::cast_slice(values));
        }
        Device::Cuda(cx) => {
            drop(guard);
            cx.upload(device_view(tensor.data()).bytes().cast(), values)?;
        }
    }
    Ok(())
}

/// Wraps a buffer that the host has filled.
pub(super) fn adopt(device: &Device, buffer: Buffer, meta: &Meta) -> Data {
    made(device, data(Storage::Cpu(buffer), meta))
}

/// A tensor from the host's elements.
pub(crate) fn upload<T: Element>(device: &Device, values: &[T], meta: &Meta) -> Result<Data> {
    let storage = match device {
        Device::Meta(_) => Storage::Meta,
        Device::Cpu(cx) => {
            let mut buffer = allocate("tensor", cx, meta)?;
            buffer.slice_mut::<T>().copy_from_slice(values);
            Storage::Cpu(buffer)
        }
        Device::Cuda(cx) => {
            let buffer = cx.take(meta.bytes(), "tensor")?;
            cx.upload(buffer.ptr::<T>(), values)?;
            Storage::Cuda(buffer)
        }
    };
    Ok(made(device, data(storage, meta)))
}

fn made(device: &Device, data: Data) -> Data {
    if let Some(watch) = Watch::on(device) {
        watch.made(&data);
    }
    data
}

/// A tensor with every element equal.
pub(crate) fn filled(device: &Device, value: f64, meta: &Meta) -> Result<Data> {
    let storage = match device {
        Device::Meta(_) => Storage::Meta,
        Device::Cpu(cx) => {
            let mut buffer = allocate("tensor", cx, meta)?;
            element_type!(meta.dtype, T => buffer.slice_mut::<T>().fill(<T as Element>::from_f64(value)));
            Storage::Cpu(buffer)
        }
        Device::Cuda(cx) => {
            let buffer = cx.take(meta.bytes(), "tensor")?;
            if value == 0.0 {
                cx.fill_bytes(buffer.ptr(), 0, meta.bytes())?;
            } else if meta.dtype == DType::F32 {
                cx.fill_f32(buffer.ptr(), value as f32, meta.numel())?;
            } else {
                element_type!(meta.dtype, T => {
                    cx.upload(buffer.ptr::<T>(), &vec![<T as Element>::from_f64(value); meta.numel()])?
                });
            }
            Storage::Cuda(buffer)
        }
    };
    Ok(made(device, data(storage, meta)))
}

/// Calls `f` with a tensor's bytes.
pub(crate) fn download<R>(tensor: &Tensor, f: impl FnOnce(&[u8]) -> R) -> Result<R> {
    match tensor.device() {
        Device::Cpu(_) => Ok(f(&tensor.data().cell.read().host()[tensor.data().range()])),
        Device::Cuda(cx) => {
            let from = device_view(tensor.data());
            cx.download(from.bytes(), tensor.meta().bytes(), f)
        }
        Device::Meta(_) => {
            Err(Error::new(ErrorKind::Device, "tensor", "a meta tensor has a shape, but no elements")
                .with("shape", tensor.shape()))
        }
    }
}

fn check_devices(op: &str, tensors: &[&Tensor]) -> Result<()> {
    match tensors.iter().position(|x| !x.device().same(tensors[0].device())) {
        None => Ok(()),
        Some(i) => {
            let (a, b) = (tensors[0].device(), tensors[i].device());
            let what = format!("inputs 0 and {i} are on different devices ({a} and {b})");
            Err(Error::new(ErrorKind::Device, op, what)
                .help("move one with x.to_device(&device); each call of Device::cpu() makes a new device"))
        }
    }
}
