//! Values that are texts and must mean something: times, sizes, words.

use cutover_domain::file::strict::{choice, quoted};

use super::Whole;
use crate::fault::Code;
use crate::load::Loader;
use crate::tree::{At, Node};

/// Words of `depends_on` in its long form.
const CONDITIONS: [&str; 3] = ["service_started", "service_healthy", "service_completed_successfully"];
/// Words of `restart`; the last may have a number behind it.
const RESTARTS: [&str; 4] = ["no", "always", "unless-stopped", "on-failure"];
/// Keys of a service that are sizes.
const SIZES: [&str; 4] = ["mem_limit", "mem_reservation", "memswap_limit", "shm_size"];
/// Keys of a health check that are times.
const TIMES: [&str; 4] = ["interval", "timeout", "start_period", "start_interval"];

pub(super) fn judge(loader: &mut Loader<'_>, whole: &Whole<'_>) {
    for (service, node) in whole.active() {
        let own = &service.name;
        let mut told = |node: &Node, key: &str, good: bool, expected: &str| {
            if !good {
                let shown = node.as_scalar().map_or_else(String::new, |scalar| quoted(scalar.shown()));
                loader.fault(Code::Value, node.at, format!("service {own}: {key} is {shown}; expected {expected}"));
            }
        };
        for key in SIZES {
            if let Some((one, text)) = scalar(node, key) {
                told(one, key, size(text), "a size as in 512m");
            }
        }
        let check = node.get("healthcheck");
        let times =
            check.into_iter().flat_map(|check| TIMES.iter().filter_map(move |key| Some((*key, check.get(key)?))));
        for (key, one) in times.chain(node.get("stop_grace_period").map(|one| ("stop_grace_period", one))) {
            if let Some(text) = one.as_str() {
                told(one, key, duration(text), "a time as in 1m30s");
            }
        }
        if let Some((one, text)) = scalar(node, "restart") {
            let (word, count) = text.split_once(':').unwrap_or((text, "0"));
            let good = RESTARTS.contains(&word) || matches!(word, "" | "false");
            told(one, "restart", good && count.parse::<u32>().is_ok(), &choice(&RESTARTS));
        }
        for (name, how) in node.entries("depends_on") {
            if let Some((one, text)) = scalar(how, "condition") {
                told(one, &format!("the condition of {name}"), CONDITIONS.contains(&text), &choice(&CONDITIONS));
            }
        }
    }
    for (name, volume) in whole.tree.entries("volumes") {
        unset(loader, volume, &format!("volumes.{name}"));
    }
}

fn scalar<'n>(node: &'n Node, key: &str) -> Option<(&'n Node, &'n str)> {
    let one = node.get(key)?;
    Some((one, one.as_str()?))
}

/// Variables that the declaration of a volume needs.
fn unset(loader: &mut Loader<'_>, node: &Node, path: &str) {
    let mut names: Vec<(String, At)> = Vec::new();
    let mut told = |node: &Node| {
        let unset = node.as_scalar().map(|one| one.unset.clone()).unwrap_or_default();
        names.extend(unset.into_iter().map(|name| (name, node.at)));
    };
    for node in node.as_map().into_iter().flat_map(|map| map.values()) {
        told(node);
        node.as_map().into_iter().flat_map(|map| map.values()).for_each(&mut told);
    }
    for (name, at) in names {
        loader.fault(Code::Unset, at, format!("{path}: the variable {name} is not set"));
    }
}

/// Numbers with units, as Go writes times.
fn duration(text: &str) -> bool {
    let mut rest = text;
    if rest.is_empty() || rest == "0" {
        return rest == "0";
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let unit = rest[digits..].bytes().take_while(|b| b.is_ascii_alphabetic()).count();
        let known = ["ns", "us", "ms", "s", "m", "h"];
        if digits == 0 || !known.contains(&&rest[digits..digits + unit]) {
            return false;
        }
        rest = &rest[digits + unit..];
    }
    true
}

/// A number and, perhaps, a unit; -1 is no limit.
fn size(text: &str) -> bool {
    let text = text.trim();
    let digits = text.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
    let units = ["", "b", "k", "kb", "kib", "m", "mb", "mib", "g", "gb", "gib", "t", "tb", "tib", "p", "pb", "pib"];
    text == "-1" || (digits > 0 && units.contains(&text[digits..].trim().to_ascii_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes() {
        for good in ["1s", "1m30s", "1.5h", "500ms", "0", "10us"] {
            assert!(duration(good), "{good}");
        }
        for bad in ["", "s", "1", "1x", "1d", "1s x", "-1s", "ä"] {
            assert!(!duration(bad), "{bad}");
        }
        for good in ["1", "512m", "1.5g", "64MiB", "1 GB", "-1"] {
            assert!(size(good), "{good}");
        }
        for bad in ["", "m", "1x", "-5", "a lot"] {
            assert!(!size(bad), "{bad}");
        }
    }
}
