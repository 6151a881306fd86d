//! What `/proc` tells of processes: descendants, memory, processor time; and ending them by id.

use std::collections::HashMap;
use std::time::Duration;

use rustix::process::{Pid, Signal};

use crate::Result;

/// Processor time of Linux is counted in hundredths of a second for programs, whatever the kernel's own tick.
const TICKS_PER_SECOND: f64 = 100.0;

/// A process and all that it started, and those in turn.
pub(crate) fn tree(root: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for pid in all() {
        if let Some(parent) = stat(pid).and_then(|fields| fields.get(1).and_then(|parent| parent.parse().ok())) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = vec![root];
    let mut at = 0;
    while let Some(pid) = found.get(at) {
        found.extend(children.remove(pid).unwrap_or_default());
        at += 1;
    }
    found
}

/// Processes whose command line or environment holds that text: an engine starts its proxy with the latter.
pub(crate) fn mentioning(text: &str) -> Vec<u32> {
    let me = std::process::id();
    let holds = |pid: &u32, what: &str| {
        let bytes = std::fs::read(format!("/proc/{pid}/{what}")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).contains(text)
    };
    let mentions = |pid: &u32| *pid != me && ["cmdline", "environ"].into_iter().any(|what| holds(pid, what));
    all().into_iter().filter(mentions).collect()
}

fn all() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str().and_then(|name| name.parse().ok())).collect()
}

/// Fields of `/proc/PID/stat` after the name, the state first; zombies count as gone.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after) = text.rsplit_once(')')?;
    let fields: Vec<String> = after.split_whitespace().map(str::to_owned).collect();
    if fields.first().is_some_and(|state| state == "Z") { None } else { Some(fields) }
}

/// Whether the process lives.
pub(crate) fn lives(pid: u32) -> bool {
    stat(pid).is_some()
}

/// Processor time of these processes so far, in user space and in the kernel.
pub(crate) fn cpu(pids: &[u32]) -> Duration {
    let ticks = |pid: &u32| -> Option<f64> {
        let fields = stat(*pid)?;
        Some(fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?)
    };
    Duration::from_secs_f64(pids.iter().filter_map(ticks).sum::<f64>() / TICKS_PER_SECOND)
}

/// Memory of these processes, MiB: proportional set size, so that shared pages count once.
pub(crate) fn pss_mib(pids: &[u32]) -> Result<f64> {
    let mut kib = 0.0;
    for pid in pids {
        let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
            .map_err(|error| format!("memory of process {pid}: {error}"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).ok_or("no Pss in smaps_rollup")?;
        kib += line.trim().trim_end_matches(" kB").trim().parse::<f64>()?;
    }
    Ok(kib / 1024.0)
}

/// Sends a signal; a process that is gone is no error.
pub(crate) fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        rustix::process::kill_process(pid, signal).unwrap_or_default();
    }
}

/// Asks the processes to end, and kills what is left after `grace`.
pub(crate) async fn end(pids: &[u32], grace: Duration) {
    for pid in pids {
        signal(*pid, Signal::TERM);
    }
    let deadline = tokio::time::Instant::now() + grace;
    while pids.iter().any(|pid| lives(*pid)) && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for pid in pids.iter().filter(|pid| lives(**pid)) {
        signal(*pid, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_has_memory_and_is_in_its_own_tree() {
        let me = std::process::id();
        assert!(lives(me));
        assert!(pss_mib(&[me]).unwrap() > 0.1);
        assert!(tree(me).contains(&me));
    }
}
