//! What NVIDIA's assembler made of the kernels: `kernels/resources.tsv`, written by `tools/kernels.sh`.

use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

/// How often each kind of instruction occurs: `FFMA`, `HMMA`, `LDS.128` (a load of 128 bits from shared memory), `INT`.
pub type InstructionMix = BTreeMap<&'static str, f64>;

/// A loop of a kernel: the instructions on its fast path.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KernelLoop {
    pub instructions: f64,
    pub mix: InstructionMix,
}

/// A kernel, assembled for one architecture.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Resources {
    /// Registers per thread.
    pub registers: f64,
    /// Bytes per thread that did not fit into registers.
    pub spilled: f64,
    /// Instructions of the kernel, each counted once.
    pub instructions: f64,
    pub loops: Vec<KernelLoop>,
}

impl KernelLoop {
    /// How many instructions of one kind there are, of all widths: `LDG` is `LDG.32` and `LDG.128`.
    pub fn count(&self, kind: &str) -> f64 {
        self.each(kind).map(|(_, n)| n).sum()
    }

    /// Bytes that a lane moves by instructions of one kind.
    pub fn bytes(&self, kind: &str) -> f64 {
        self.each(kind).map(|(width, n)| n * width / 8.0).sum()
    }

    /// Width in bits and number of each instruction of one kind. `LDSM`, which loads matrices, has no width in its name.
    fn each(&self, kind: &str) -> impl Iterator<Item = (f64, f64)> {
        self.mix.iter().filter_map(move |(name, &n)| {
            let (base, width) = name.split_once('.').unwrap_or((name, "128"));
            (base == kind).then(|| (width.parse().unwrap_or(0.0), n))
        })
    }
}

impl Resources {
    /// Those of a kernel for an architecture such as `sm_90`. `None` for a kernel that is not in the table.
    pub fn of(arch: &str, kernel: &str) -> Option<&'static Resources> {
        table().get(arch)?.get(kernel)
    }
}

/// By architecture, then by kernel.
type ByKernel = HashMap<&'static str, HashMap<&'static str, Resources>>;

fn table() -> &'static ByKernel {
    static TABLE: OnceLock<ByKernel> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut all = ByKernel::new();
        for line in include_str!("../../../kernels/resources.tsv").lines().skip(1) {
            let cells: Vec<&'static str> = line.split('\t').collect();
            let &[arch, kernel, part, registers, spilled, _, _, _, instructions, mix] = cells.as_slice()
            else {
                continue;
            };
            let number = |text: &str| text.parse().unwrap_or(0.0);
            let entry = all.entry(arch).or_default().entry(kernel).or_default();
            if part == "all" {
                (entry.registers, entry.spilled) = (number(registers), number(spilled));
                entry.instructions = number(instructions);
            } else {
                let pairs = mix.split(' ').filter_map(|pair| pair.split_once(':'));
                let mix = pairs.map(|(kind, n)| (kind, number(n))).collect();
                entry.loops.push(KernelLoop { instructions: number(instructions), mix });
            }
        }
        all
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_and_its_loop_are_read() {
        let gemm = Resources::of("sm_80", "gemm_v07_f32").unwrap();
        assert!(gemm.registers > 64.0 && gemm.registers <= 128.0 && gemm.instructions > 600.0);
        let main = gemm.loops.iter().max_by(|a, b| a.count("FFMA").total_cmp(&b.count("FFMA"))).unwrap();
        // A tile of 8 x 8 sums per thread, 8 steps of k: 512 multiply-adds, which read 8 x 16 floats.
        assert_eq!((main.count("FFMA"), main.bytes("LDS") >= 8.0 * 16.0 * 4.0), (512.0, true));
        assert!(Resources::of("sm_80", "no_such_kernel").is_none());
    }

    #[test]
    fn all_kernels_are_there_for_all_cards() {
        for arch in ["sm_80", "sm_86", "sm_89", "sm_90"] {
            assert!(table()[arch].len() >= 150, "{arch}");
        }
    }
}
