//! Values in the words of workload files: health, limits, times, variables, words of a command.

use cutover_domain::file::{check, quantity};

use super::One;
use super::toml::{Table, key, text};
use crate::model::Health;

/// Bytes of memory that Docker takes at least.
const MIN_MEMORY_BYTES: u64 = 6 << 20;
/// Variables of one workload.
const MAX_VARIABLES: usize = 512;
/// Longest time that a workload has to end, ms.
const MAX_STOP_MS: u64 = 10 * 60 * 1000;
/// Signals that workload files know.
const SIGNALS: [&str; 9] = ["HUP", "INT", "QUIT", "KILL", "USR1", "USR2", "TERM", "WINCH", "RTMIN+3"];
/// Programs that ask a server whether it is ready, and its usual port.
const ASKS: [(&str, u16); 6] = [
    ("pg_isready", 5432),
    ("redis-cli", 6379),
    ("valkey-cli", 6379),
    ("mysqladmin", 3306),
    ("mariadb-admin", 3306),
    ("mongosh", 27017),
];

/// A check that asks over HTTP is kept, and one that asks a database by its port; others are the image's business.
pub(super) fn health(one: &mut One<'_>, table: &mut Table) {
    let line = match &one.service.health {
        Health::Image | Health::None => return,
        Health::Command(words) => words.join(" "),
        Health::Shell(line) => line.clone(),
    };
    if let Some((port, path)) = local_url(&line)
        && check::health_path(&path).is_ok()
    {
        table.set("health", format!("{{ http = {}, port = {port} }}", text(&path)));
        return;
    }
    match ASKS.iter().find(|(program, _)| line.contains(program)) {
        Some((_, port)) => table.set("health", text(&format!("tcp:{port}"))),
        None => one.note("healthcheck: a command within the container; write health = \"/path\" or \"tcp:PORT\""),
    }
}

/// Port and path of the first address of the container itself.
fn local_url(line: &str) -> Option<(u16, String)> {
    let rest = line.split("http://").nth(1)?;
    let end =
        rest.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '|' | ';' | ')' | '&')).unwrap_or(rest.len());
    let url = &rest[..end];
    let (authority, path) = match url.find('/') {
        Some(at) => (&url[..at], &url[at..]),
        None => (url, "/"),
    };
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, "80"));
    let own = ["localhost", "127.0.0.1", "0.0.0.0", "[::1]"].contains(&host);
    let port = port.parse::<u16>().ok().filter(|port| *port > 0)?;
    own.then(|| (port, path.to_owned()))
}

pub(super) fn limits(one: &mut One<'_>, table: &mut Table) {
    let service = one.service;
    if let Some(given) = &service.memory {
        match bytes(given) {
            Some(bytes) if bytes >= MIN_MEMORY_BYTES => table.set("memory", text(&format!("{}MiB", bytes >> 20))),
            Some(0) => {}
            _ => one.note("mem_limit: not a size that a workload can have"),
        }
    }
    if let Some(given) = &service.cpus {
        match given.parse::<f64>() {
            Ok(0.0) => {}
            Ok(cores) if (0.01..=1024.0).contains(&cores) => table.set("cpus", text(&format!("{cores:.2}"))),
            _ => one.note("cpus: allowed is 0.01 to 1024"),
        }
    }
    if let Some(given) = &service.pids {
        match given.parse::<i64>() {
            Ok(pids @ 1..=4_194_304) => table.set("pids", pids.to_string()),
            Ok(-1 | 0) => {}
            _ => one.note("pids_limit: not a number that a workload can have"),
        }
    }
}

/// `512m`, `1.5g`, `64MiB`: Compose counts in powers of 1024 whatever the unit says.
fn bytes(given: &str) -> Option<u64> {
    let given = given.trim().to_ascii_lowercase();
    let digits = given.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
    let number: f64 = given[..digits].parse().ok()?;
    let power = match given[digits..].trim().trim_end_matches("ib").trim_end_matches('b') {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        _ => return None,
    };
    let bytes = number * 1024_f64.powi(power);
    // Below a mantissa's 53 bits every whole number is exact.
    (0.0..9e15).contains(&bytes).then(|| format!("{bytes:.0}").parse().ok()).flatten()
}

pub(super) fn policy(one: &mut One<'_>, table: &mut Table) {
    let mut lines = Vec::new();
    if let Some(given) = &one.service.stop_signal {
        let name = given.strip_prefix("SIG").unwrap_or(given);
        if SIGNALS.contains(&name) {
            lines.push(("stop_signal".to_owned(), text(&format!("SIG{name}"))));
        } else {
            one.note("stop_signal: not one that workloads know");
        }
    }
    if let Some(given) = &one.service.stop_grace_period {
        match milliseconds(given).filter(|ms| *ms <= MAX_STOP_MS) {
            Some(ms) => lines.push(("stop_timeout".to_owned(), text(&quantity::show_duration(ms)))),
            None => one.note("stop_grace_period: at most 10m"),
        }
    }
    table.table("policy", lines);
}

/// `1m30s`, as Go writes times.
fn milliseconds(given: &str) -> Option<u64> {
    let mut rest = given;
    let mut all = 0.0;
    while !rest.is_empty() && rest != "0" {
        let digits = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let unit = rest[digits..].bytes().take_while(|b| b.is_ascii_alphabetic()).count();
        let scale = match &rest[digits..digits + unit] {
            "ns" => 1e-6,
            "us" => 1e-3,
            "ms" => 1.0,
            "s" => 1e3,
            "m" => 6e4,
            "h" => 3.6e6,
            _ => return None,
        };
        all += rest[..digits].parse::<f64>().ok()? * scale;
        rest = &rest[digits + unit..];
    }
    (0.0..9e15).contains(&all).then(|| format!("{all:.0}").parse().ok()).flatten()
}

/// All variables, in the clear: whoever reads the file reads them.
pub(super) fn environment(one: &mut One<'_>, table: &mut Table) {
    let mut lines = Vec::new();
    let mut dropped = Vec::new();
    for (name, value) in &one.service.environment.0 {
        if check::env_name(name).is_err() || check::value(value).is_err() || lines.len() >= MAX_VARIABLES {
            dropped.push(name.as_str());
        } else {
            lines.push((key(name), text(value)));
        }
    }
    if !dropped.is_empty() {
        let names: Vec<String> = dropped.iter().map(|name| name.escape_debug().collect()).collect();
        one.note(format!("environment: a workload cannot have {}", names.join(", ")));
    }
    table.table("env", lines);
}

/// The words of a line, as a shell takes it apart; `None` when a quote is not closed.
pub(super) fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => {
                let next = chars.next()?;
                let kept = quote.is_some() && !matches!(next, '"' | '\\' | '$' | '`');
                let word = word.get_or_insert_default();
                if kept {
                    word.push('\\');
                }
                word.push(next);
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_line() {
        let of = |line: &str| words(line).map(|words| words.join("|"));
        for (line, expected) in [
            ("a b  c", "a|b|c"),
            ("sh -c 'a b' \"c d\"", "sh|-c|a b|c d"),
            (r#"a\ b "c\"d\n" ''"#, "a b|c\"d\\n|"),
            ("", ""),
        ] {
            assert_eq!(of(line).as_deref(), Some(expected), "{line}");
        }
        assert_eq!((of("a 'b"), of("a\\")), (None, None));
    }

    #[test]
    fn sizes_times_and_addresses() {
        assert_eq!(
            (bytes("512m"), bytes("1.5GB"), bytes("64 MiB"), bytes("x")),
            (Some(512 << 20), Some(1536 << 20), Some(64 << 20), None)
        );
        assert_eq!(
            (milliseconds("1m30s"), milliseconds("500ms"), milliseconds("0"), milliseconds("1x")),
            (Some(90_000), Some(500), Some(0), None)
        );
        assert_eq!(local_url("curl -f http://localhost:8080/healthz || exit 1"), Some((8080, "/healthz".to_owned())));
        assert_eq!(local_url("wget -q 'http://127.0.0.1'"), Some((80, "/".to_owned())));
        assert_eq!((local_url("curl http://db/x"), local_url("true")), (None, None));
    }
}
