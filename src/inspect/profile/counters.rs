//! What the processor counts while an op runs: instructions, cycles and cache misses of all its threads.
//!
//! Linux keeps these counters (`man perf_event_open`). Many virtual machines and some settings do not allow them.

use super::record::{OpEvent, Profile, StepPhase};
use crate::core::{Error, ErrorKind, Result};
use serde::Serialize;
use std::collections::HashMap;
use std::ops::{Add, Sub};

/// Counted events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct CpuCounts {
    pub instructions: u64,
    pub cycles: u64,
    /// Loads and stores that no cache could serve.
    pub cache_misses: u64,
}

impl CpuCounts {
    /// Instructions per cycle.
    pub fn ipc(&self) -> f64 {
        if self.cycles > 0 { self.instructions as f64 / self.cycles as f64 } else { 0.0 }
    }

    fn with(self, other: CpuCounts, f: fn(u64, u64) -> u64) -> CpuCounts {
        CpuCounts {
            instructions: f(self.instructions, other.instructions),
            cycles: f(self.cycles, other.cycles),
            cache_misses: f(self.cache_misses, other.cache_misses),
        }
    }
}

impl Add for CpuCounts {
    type Output = CpuCounts;

    fn add(self, other: CpuCounts) -> CpuCounts {
        self.with(other, u64::wrapping_add)
    }
}

impl Sub for CpuCounts {
    type Output = CpuCounts;

    fn sub(self, other: CpuCounts) -> CpuCounts {
        self.with(other, u64::saturating_sub)
    }
}

/// A layer's counts in one step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CounterRow {
    pub path: String,
    pub phase: StepPhase,
    pub counts: CpuCounts,
    pub ipc: f64,
}

impl Profile {
    /// The counts of each layer and phase in a step (the mean), in the order they first ran. Empty if nothing was counted.
    pub fn counter_table(&self) -> Vec<CounterRow> {
        let mut rows = Vec::<CounterRow>::new();
        let mut places = HashMap::<(&str, StepPhase), usize>::new();
        for OpEvent { path, phase, counts, .. } in &self.events {
            let Some(counts) = *counts else { continue };
            let next = rows.len();
            let place = *places.entry((path, *phase)).or_insert(next);
            if place == next {
                rows.push(CounterRow { path: path.clone(), phase: *phase, counts, ipc: 0.0 });
            } else {
                rows[place].counts = rows[place].counts + counts;
            }
        }
        let steps = self.steps.len().max(1) as u64;
        for row in &mut rows {
            row.ipc = row.counts.ipc();
            let CpuCounts { instructions, cycles, cache_misses } = row.counts;
            row.counts = CpuCounts {
                instructions: instructions / steps,
                cycles: cycles / steps,
                cache_misses: cache_misses / steps,
            };
        }
        rows
    }
}

fn refused(why: &str) -> Error {
    Error::new(ErrorKind::Device, "counters", format!("the processor's counters cannot be read: {why}"))
}

/// Open counters. They count this thread and the threads that it starts later, so open them before the device.
#[derive(Debug)]
pub struct CpuCounters(system::Three);

impl CpuCounters {
    /// Opens the counters of the processor.
    ///
    /// # Errors
    /// The system or the machine has none, or does not allow them.
    pub fn open() -> Result<CpuCounters> {
        system::open().map(CpuCounters)
    }

    /// The counts since they were opened.
    ///
    /// # Errors
    /// The system refuses.
    pub fn read(&mut self) -> Result<CpuCounts> {
        let [instructions, cycles, cache_misses] = system::read(&mut self.0)?;
        Ok(CpuCounts { instructions, cycles, cache_misses })
    }
}

#[cfg(all(target_os = "linux", feature = "cli"))]
mod system {
    use super::refused;
    use crate::core::Result;
    use perf_event::events::{Event, Hardware};
    use perf_event::{Builder, Counter};

    pub type Three = [Counter; 3];

    pub fn open() -> Result<Three> {
        of([Hardware::INSTRUCTIONS, Hardware::CPU_CYCLES, Hardware::CACHE_MISSES])
    }

    pub fn of<E: Event + Clone>(events: [E; 3]) -> Result<Three> {
        let open = |event: E| -> std::io::Result<Counter> {
            let mut counter = Builder::new(event).inherit(true).exclude_kernel(true).build()?;
            counter.enable()?;
            Ok(counter)
        };
        let [a, b, c] = events.map(open);
        let all = || Ok([a?, b?, c?]);
        all().map_err(|e: std::io::Error| match e.kind() {
            std::io::ErrorKind::NotFound => refused("this machine has none, as most virtual machines"),
            _ => refused(&e.to_string()).help("`sudo sysctl kernel.perf_event_paranoid=1` may allow them"),
        })
    }

    pub fn read(counters: &mut Three) -> Result<[u64; 3]> {
        let mut read = |i: usize| counters[i].read().map_err(|e| refused(&e.to_string()));
        Ok([read(0)?, read(1)?, read(2)?])
    }
}

#[cfg(not(all(target_os = "linux", feature = "cli")))]
mod system {
    use super::refused;
    use crate::core::Result;

    /// No value of this type exists.
    pub type Three = std::convert::Infallible;

    pub fn open() -> Result<Three> {
        Err(refused("only the program for Linux can"))
    }

    pub fn read(counters: &mut Three) -> Result<[u64; 3]> {
        match *counters {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_and_give_the_ipc() {
        let a = CpuCounts { instructions: 30, cycles: 10, cache_misses: 2 };
        let b = CpuCounts { instructions: 10, cycles: 10, cache_misses: 1 };
        assert_eq!((a + b).ipc(), 2.0);
        assert_eq!(
            (a - b, CpuCounts::default().ipc()),
            (CpuCounts { instructions: 20, cycles: 0, cache_misses: 1 }, 0.0)
        );
    }

    /// The counters that every Linux has: they grow while this thread works, and while a thread that it starts does.
    #[cfg(all(target_os = "linux", feature = "cli"))]
    #[test]
    fn counts_grow_with_work_of_all_threads() {
        let work = || (0..2_000_000u64).fold(0, |sum, i| std::hint::black_box(sum ^ i));
        let clock = perf_event::events::Software::TASK_CLOCK;
        let Ok(mut counters) = system::of([clock, clock, clock]).map(CpuCounters) else { return };
        let before = counters.read().unwrap();
        work();
        let alone = counters.read().unwrap() - before;
        assert!(alone.instructions > 0, "{alone:?}");
        let before = counters.read().unwrap();
        std::thread::spawn(work).join().unwrap();
        let other = counters.read().unwrap() - before;
        assert!(other.instructions > alone.instructions / 4, "{other:?} {alone:?}");
    }
}
