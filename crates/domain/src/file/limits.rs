//! `memory`, `cpus` and `pids`.

use cutover_events::workload::Limits;

use super::quantity;
use super::strict::{Entry, Fault, Section};

/// Docker refuses less.
const MIN_MEMORY_BYTES: u64 = 6 << 20;
/// More than any host that this is built for.
const MAX_MEMORY_BYTES: u64 = 64 << 40;
/// A hundredth of a core: less cannot start a program.
const MIN_CPU_MILLI: u64 = 10;
/// More cores than any host that this is built for.
const MAX_CPU_MILLI: u64 = 1_024_000;
/// The largest number of processes that Linux has.
const MAX_PIDS: u32 = 4_194_304;

pub(super) fn read(section: &Section<'_>) -> Result<Limits, Fault> {
    Ok(Limits {
        memory_bytes: section.read("memory", |entry| entry.text(|text| memory(quantity::bytes(text)?)))?,
        cpu_milli: section.read("cpus", cores)?,
        pids: section.read("pids", |entry| {
            let number = entry.integer(1, i64::from(MAX_PIDS))?;
            u32::try_from(number).map_err(|_| entry.fault("out of range"))
        })?,
    })
}

fn cores(entry: &Entry<'_>) -> Result<u32, Fault> {
    let text = match (entry.as_string(), entry.as_number()) {
        (Some(text), _) => text.to_owned(),
        (None, Some(number)) => number.to_string(),
        (None, None) => return Err(entry.wrong("a number of cores, as in 0.5 or 2")),
    };
    let milli = quantity::cpu_milli(&text).and_then(cpu);
    milli.map_err(|text| entry.fault(text))
}

/// Bytes of memory.
pub(super) fn memory(bytes: u64) -> Result<u64, String> {
    if (MIN_MEMORY_BYTES..=MAX_MEMORY_BYTES).contains(&bytes) {
        return Ok(bytes);
    }
    Err(format!("{} is out of range; allowed is 6MiB to 65536GiB", quantity::show_bytes(bytes)))
}

/// Thousandths of a core.
pub(super) fn cpu(milli: u64) -> Result<u32, String> {
    let good = (MIN_CPU_MILLI..=MAX_CPU_MILLI).contains(&milli).then(|| u32::try_from(milli).ok()).flatten();
    good.ok_or_else(|| "out of range; allowed is 0.01 to 1024 cores".to_owned())
}

/// Processes and threads.
pub(super) fn pids(number: u32) -> Result<u32, String> {
    if (1..=MAX_PIDS).contains(&number) {
        Ok(number)
    } else {
        Err(format!("{number} is out of range; allowed is 1 to {MAX_PIDS}"))
    }
}
