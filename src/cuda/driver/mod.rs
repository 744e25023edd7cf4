//! The driver's calls. Each is safe, or says what the caller must guarantee. Nothing here panics if there is no driver:
//! [`Driver::open`] first tries to open the driver's library, and every call's error code is checked.

mod explain;
mod handles;
mod simulator;

pub use handles::{Event, Pinned, RawGraph};
pub use simulator::Simulator;

use super::context::GpuInfo;
use super::kernels::MODULES;
use super::launch::Launch;
use crate::core::Result;
use cudarc::driver::DriverError;
use cudarc::driver::result::{self, device, event, graph, module, primary_ctx, stream};
use cudarc::driver::sys::{self, CUdevice_attribute as Attribute, CUresult};
use explain::{explain, unavailable};
use std::ffi::{CString, c_void};
use std::sync::{Mutex, OnceLock, PoisonError};

/// The oldest driver that has all functions called here: CUDA 11.4, driver 470.
const OLDEST: i32 = 11_040;
/// The oldest GPU that the kernels support: compute capability 8.0, the A100 and the RTX 30 series.
const CAPABILITY: [i32; 2] = [8, 0];
/// The dynamic shared memory that a kernel may use without setting a function attribute.
const SHARED_UNASKED: u32 = 48 * 1024;

/// A device with its context and its one stream.
pub struct Driver {
    ordinal: usize,
    context: sys::CUcontext,
    device: sys::CUdevice,
    stream: sys::CUstream,
    modules: Vec<OnceLock<sys::CUmodule>>,
    /// By kernel number: the function, once loaded, and the bytes of dynamic shared memory that it may use so far.
    functions: Mutex<Vec<Option<(sys::CUfunction, u32)>>>,
}

// SAFETY: any thread may use the driver's handles; each call first makes the context current for its own thread.
unsafe impl Send for Driver {}
// SAFETY: the driver's functions are thread-safe. What this struct changes is behind a lock.
unsafe impl Sync for Driver {}

impl Driver {
    /// Opens GPU number `ordinal`.
    ///
    /// # Errors
    /// There is no driver, the driver is too old, there is no such GPU, or the GPU is too old for the kernels.
    pub fn open(ordinal: usize) -> Result<Driver> {
        // SAFETY: this opens a library by name and looks for symbols in it. Only the library's initialisers run.
        if !unsafe { sys::is_culib_present() } {
            return Err(unavailable("there is no NVIDIA driver: libcuda was not found")
                .help("install the driver, or use `Device::cpu()`"));
        }
        let version = driver_version()?;
        if version < OLDEST {
            let [have, need] = [version, OLDEST].map(version_text);
            return Err(unavailable(format!("the driver supports CUDA {have}, which is too old"))
                .expected(format!("CUDA {need} or later"))
                .help("update the NVIDIA driver"));
        }
        result::init().map_err(|e| explain("start the driver", e))?;
        let count = device::get_count().map_err(|e| explain("count the GPUs", e))? as usize;
        if ordinal >= count {
            return Err(unavailable(format!("there is no GPU number {ordinal}"))
                .with("GPUs", count)
                .help("GPUs are counted from 0; to compute without a GPU, use `Device::cpu()`"));
        }
        let device = device::get(ordinal as i32).map_err(|e| explain("open the GPU", e))?;
        let capability = [
            Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
            Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
        ]
        .map(|a| attribute(device, a));
        if capability < CAPABILITY {
            let name = device::get_name(device).unwrap_or_default();
            let [major, minor] = capability;
            return Err(unavailable(format!(
                "{name} has compute capability {major}.{minor}, which is too old"
            ))
            .expected("8.0 or later (A100, RTX 30 series)"));
        }
        // SAFETY: the device came from the driver; the context is released in `drop`.
        let context = unsafe { primary_ctx::retain(device) }.map_err(|e| explain("open the GPU", e))?;
        let mut driver = Driver {
            ordinal,
            context,
            device,
            stream: std::ptr::null_mut(),
            modules: MODULES.iter().map(|_| OnceLock::new()).collect(),
            functions: Mutex::new(Vec::new()),
        };
        driver.bind()?;
        driver.stream =
            stream::create(stream::StreamKind::NonBlocking).map_err(|e| explain("make a stream", e))?;
        Ok(driver)
    }

    /// What the driver reports about the GPU.
    pub fn facts(&self) -> GpuInfo {
        let of = |a| attribute(self.device, a);
        GpuInfo {
            ordinal: self.ordinal,
            name: device::get_name(self.device).unwrap_or_default(),
            capability: [
                of(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR),
                of(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR),
            ],
            multiprocessors: of(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT) as usize,
            // SAFETY: the device came from the driver.
            memory: unsafe { device::total_mem(self.device) }.unwrap_or(0),
            driver: driver_version().map_or_else(|_| "unknown".to_owned(), version_text),
        }
    }

    /// Makes the context current for this thread: the driver keeps one current context per thread.
    fn bind(&self) -> Result<()> {
        // SAFETY: the context lives until `drop`.
        unsafe { result::ctx::set_current(self.context) }.map_err(|e| explain("use the GPU", e))
    }

    /// New device memory; `None` if too little is free.
    pub fn allocate(&self, bytes: usize) -> Result<Option<u64>> {
        self.bind()?;
        // SAFETY: the host never accesses this memory itself. Only kernels and copies do.
        match unsafe { result::malloc_sync(bytes) } {
            Ok(address) => Ok(Some(address)),
            Err(DriverError(CUresult::CUDA_ERROR_OUT_OF_MEMORY)) => Ok(None),
            Err(e) => Err(explain("allocate device memory", e)),
        }
    }

    /// Gives memory back to the driver. Waits for all running kernels.
    ///
    /// # Safety
    /// `address` came from [`allocate`](Self::allocate), was not freed before, and nothing uses it any more.
    pub unsafe fn free(&self, address: u64) {
        if self.bind().is_ok() {
            // SAFETY: the address came from `allocate` and nothing uses it any more: promised by the caller. If this
            // fails, the memory stays allocated until the process ends.
            let _ = unsafe { result::free_sync(address) };
        }
    }

    /// Free and total bytes of the device.
    pub fn memory(&self) -> Result<(usize, usize)> {
        self.bind()?;
        result::mem_get_info().map_err(|e| explain("ask for free memory", e))
    }

    /// New page-locked host memory, filled with zeros.
    pub fn pinned(&self, bytes: usize) -> Result<Pinned> {
        self.bind()?;
        let bytes = bytes.max(1);
        // SAFETY: the memory is filled with zeros before it is used.
        let start = unsafe { result::malloc_host(bytes, 0) }.map_err(|e| explain("lock host memory", e))?;
        let start = start.cast::<u8>();
        // SAFETY: the driver allocated `bytes` bytes at `start`.
        unsafe { start.write_bytes(0, bytes) };
        Ok(Pinned { start, bytes })
    }

    /// Queues a copy to the device.
    ///
    /// # Safety
    /// `to` has room for `from`. `from` stays alive and unchanged until the stream has passed this point.
    pub unsafe fn copy_to_device(&self, to: u64, from: &[u8]) -> Result<()> {
        self.bind()?;
        // SAFETY: `to` has room for `from`, which stays unchanged until the copy is done: promised by the caller.
        unsafe { result::memcpy_htod_async(to, from, self.stream) }.map_err(|e| explain("copy to the GPU", e))
    }

    /// Queues a copy to the host.
    ///
    /// # Safety
    /// `from` holds as many bytes as `to`. Nothing reads or frees `to` until the stream has passed this point.
    pub unsafe fn copy_to_host(&self, to: &mut [u8], from: u64) -> Result<()> {
        self.bind()?;
        // SAFETY: `from` holds as many bytes as `to`, which nothing touches until the copy is done: promised by the
        // caller.
        unsafe { result::memcpy_dtoh_async(to, from, self.stream) }
            .map_err(|e| explain("copy from the GPU", e))
    }

    /// Queues a copy within the device.
    ///
    /// # Safety
    /// Both addresses have `bytes` bytes of live device memory.
    pub unsafe fn copy_on_device(&self, to: u64, from: u64, bytes: usize) -> Result<()> {
        self.bind()?;
        // SAFETY: both addresses have `bytes` live bytes: promised by the caller.
        unsafe { result::memcpy_dtod_async(to, from, bytes, self.stream) }
            .map_err(|e| explain("copy on the GPU", e))
    }

    /// Queues a fill of memory with a byte.
    ///
    /// # Safety
    /// `bytes` bytes of live device memory are at `at`.
    pub unsafe fn fill_bytes(&self, at: u64, byte: u8, bytes: usize) -> Result<()> {
        self.bind()?;
        // SAFETY: `bytes` live bytes are at `at`: promised by the caller.
        unsafe { result::memset_d8_async(at, byte, bytes, self.stream) }
            .map_err(|e| explain("fill memory", e))
    }

    /// Queues a fill of memory with a 32-bit word.
    ///
    /// # Safety
    /// `words` words of live device memory are at `at`, which is divisible by 4.
    pub unsafe fn fill_words(&self, at: u64, word: u32, words: usize) -> Result<()> {
        self.bind()?;
        // SAFETY: `words` live words are at `at`, which is aligned: promised by the caller.
        unsafe { sys::cuMemsetD32Async(at, word, words, self.stream) }
            .result()
            .map_err(|e| explain("fill memory", e))
    }

    /// Waits until the stream is empty.
    pub fn synchronize(&self) -> Result<()> {
        self.bind()?;
        // SAFETY: the stream lives until `drop`.
        unsafe { stream::synchronize(self.stream) }.map_err(|e| explain("wait for the GPU", e))
    }

    /// Records an event at this point of the stream.
    pub fn record(&self) -> Result<Event> {
        self.bind()?;
        let new = || event::create(sys::CUevent_flags::CU_EVENT_DEFAULT);
        let event = Event(new().map_err(|e| explain("make an event", e))?);
        // SAFETY: both handles are alive.
        unsafe { event::record(event.0, self.stream) }.map_err(|e| explain("record an event", e))?;
        Ok(event)
    }

    /// Queues a kernel.
    ///
    /// # Safety
    /// `arguments` point to one value per parameter of the kernel, with the parameter's type. Each address among these
    /// values is that of live device memory, which is large enough for everything that the kernel reads and writes.
    pub unsafe fn launch(&self, kernel: usize, launch: Launch, arguments: &mut [*mut c_void]) -> Result<()> {
        self.bind()?;
        let function = self.function(kernel, launch.shared)?;
        let [grid, block] = [launch.grid, launch.block].map(|[x, y, z]| (x, y, z));
        // SAFETY: the function is loaded. The arguments are those that it declares: promised by the caller.
        unsafe { result::launch_kernel(function, grid, block, launch.shared, self.stream, arguments) }
            .map_err(|e| {
                explain("launch a kernel", e)
                    .with("kernel", kernel_name(kernel))
                    .with("grid", format_args!("{:?}", launch.grid))
                    .with("block", format_args!("{:?}", launch.block))
                    .with("shared bytes", launch.shared)
            })
    }

    /// The function of kernel number `kernel`, loaded at first use. Allows it to use `shared` bytes of dynamic shared
    /// memory.
    fn function(&self, kernel: usize, shared: u32) -> Result<sys::CUfunction> {
        let mut functions = self.functions.lock().unwrap_or_else(PoisonError::into_inner);
        if functions.len() <= kernel {
            functions.resize(kernel + 1, None);
        }
        let (function, allowed) = match functions[kernel] {
            Some(known) => known,
            None => (self.load(kernel)?, SHARED_UNASKED),
        };
        if shared > allowed {
            let what = sys::CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
            // SAFETY: the function is loaded.
            unsafe { result::function::set_function_attribute(function, what, shared as i32) }
                .map_err(|e| explain("reserve shared memory", e).with("kernel", kernel_name(kernel)))?;
        }
        functions[kernel] = Some((function, shared.max(allowed)));
        Ok(function)
    }

    fn load(&self, kernel: usize) -> Result<sys::CUfunction> {
        let (number, name) = locate(kernel);
        let loaded = &self.modules[number];
        let module = match loaded.get() {
            Some(module) => *module,
            None => {
                let ptx = CString::new(MODULES[number].ptx).map_err(|_| {
                    unavailable("the PTX contains a zero byte").with("file", MODULES[number].file)
                })?;
                // SAFETY: the text ends with a zero byte.
                let module = unsafe { module::load_data(ptx.as_ptr().cast()) }
                    .map_err(|e| explain("load kernels", e).with("file", MODULES[number].file))?;
                *loaded.get_or_init(|| module)
            }
        };
        let symbol = CString::new(name).map_err(|_| unavailable("a kernel's name contains a zero byte"))?;
        // SAFETY: the module is loaded, and stays loaded until `drop`.
        unsafe { module::get_function(module, symbol) }
            .map_err(|e| explain("find a kernel", e).with("kernel", name))
    }

    /// Loads every module now. A launch loads the module that it needs by itself. So only `doctor` calls this, to
    /// report modules that do not load.
    pub fn load_all(&self) -> Result<()> {
        self.bind()?;
        let kernels: usize = MODULES.iter().map(|m| m.kernels.len()).sum();
        (0..kernels).try_for_each(|kernel| self.function(kernel, 0).map(drop))
    }

    /// Starts a capture: until [`end_capture`](Self::end_capture), queued work is recorded instead of run.
    pub fn begin_capture(&self) -> Result<()> {
        self.bind()?;
        // Relaxed: memory may still be allocated and modules loaded during the capture.
        let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_RELAXED;
        // SAFETY: the stream is alive.
        unsafe { stream::begin_capture(self.stream, mode) }.map_err(|e| explain("begin a capture", e))
    }

    /// Ends the capture. Returns the graph of the work queued since [`begin_capture`](Self::begin_capture).
    pub fn end_capture(&self) -> Result<RawGraph> {
        self.bind()?;
        // SAFETY: the stream is alive.
        let captured =
            unsafe { stream::end_capture(self.stream) }.map_err(|e| explain("end a capture", e))?;
        // SAFETY: the graph was just made. Once instantiated, it is not needed any more.
        let ready = unsafe {
            let ready = graph::instantiate(captured, sys::CUgraphInstantiate_flags(0));
            let _ = graph::destroy(captured);
            ready
        };
        ready.map(RawGraph).map_err(|e| explain("make a graph", e))
    }

    /// Queues a whole graph.
    ///
    /// # Safety
    /// All memory that its nodes use is alive.
    pub unsafe fn launch_graph(&self, graph: &RawGraph) -> Result<()> {
        self.bind()?;
        // SAFETY: graph and stream are alive, and so is all memory that the nodes use: promised by the caller.
        unsafe { graph::launch(graph.0, self.stream) }.map_err(|e| explain("launch a graph", e))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if self.bind().is_err() {
            return;
        }
        // SAFETY: this driver owns all handles, and they are not used any more. Errors are ignored: `drop` cannot
        // return them.
        unsafe {
            let _ = stream::synchronize(self.stream);
            for module in self.modules.iter().filter_map(OnceLock::get) {
                let _ = module::unload(*module);
            }
            let _ = stream::destroy(self.stream);
            let _ = primary_ctx::release(self.device);
        }
    }
}

fn locate(kernel: usize) -> (usize, &'static str) {
    let mut before = 0;
    for (number, module) in MODULES.iter().enumerate() {
        if let Some(name) = module.kernels.get(kernel - before) {
            return (number, name);
        }
        before += module.kernels.len();
    }
    unreachable!("kernels are numbered through the modules")
}

/// The name of kernel number `kernel`.
pub fn kernel_name(kernel: usize) -> &'static str {
    locate(kernel).1
}

fn attribute(device: sys::CUdevice, attribute: Attribute) -> i32 {
    // SAFETY: the device came from the driver.
    unsafe { device::get_attribute(device, attribute) }.unwrap_or(0)
}

fn driver_version() -> Result<i32> {
    let mut version = 0;
    // SAFETY: writes one integer.
    unsafe { sys::cuDriverGetVersion(&raw mut version) }
        .result()
        .map_err(|e| explain("ask the driver", e))?;
    Ok(version)
}

fn version_text(version: i32) -> String {
    format!("{}.{}", version / 1000, version % 1000 / 10)
}
