//! wrk, and what it counted.

use std::net::SocketAddr;
use std::process::Stdio;

use tokio::process::Command;

use crate::Result;

/// One measurement of wrk.
pub(super) struct Run {
    /// Answers that came.
    pub requests: f64,
    /// Per second.
    pub rate: f64,
}

/// Sends with so many connections for so many seconds, from one thread; an error of any request is refused.
pub(super) async fn run(addr: SocketAddr, host: &str, path: &str, load: (u32, u32)) -> Result<Run> {
    let (connections, seconds) = load;
    let output = Command::new("wrk")
        .args(["-t1", &format!("-c{connections}"), &format!("-d{seconds}s")])
        .args(["-H", &format!("Host: {host}"), &format!("http://{addr}{path}")])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| format!("wrk does not run: {error}; scripts/bench installs it"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if text.contains("Socket errors") || text.contains("Non-2xx") {
        return Err(format!("wrk met errors at {addr}{path}: {text}").into());
    }
    let number = |marker: &str, of: fn(&str, &str) -> Option<String>| -> Result<f64> {
        let found = text.lines().find_map(|line| of(line, marker));
        Ok(found.and_then(|number| number.parse().ok()).ok_or_else(|| format!("wrk said {text}"))?)
    };
    let before = |line: &str, marker: &str| line.split_once(marker).map(|(before, _)| before.trim().to_owned());
    let after = |line: &str, marker: &str| line.split_once(marker).map(|(_, after)| after.trim().to_owned());
    Ok(Run { requests: number(" requests in ", before)?, rate: number("Requests/sec:", after)? })
}
