//! Which writes the table refuses. Pure: nothing is changed here.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;

use super::Snapshot;
use crate::wire::{Fence, Names, Place, Put, PutRefused, RefusedCode, Route, Target};

/// Routes or targets of one write; a workload with more is a mistake.
const MAX_PARTS: usize = 256;
/// Releases from before of one workload: those of a day with a release every three hours. Each costs the memory of its
/// manifest, and a request for what no release has is looked for in all of them.
const MAX_FORMER: usize = 8;
/// Bytes of one label of a name; that of DNS.
const MAX_LABEL: usize = 63;
/// Names of one workload; it has one, and room for those of its processes.
const MAX_NAMES: usize = 64;
/// Networks with more hosts than a /8 do not exist.
const PREFIXES: std::ops::RangeInclusive<u8> = 8..=32;

/// Who writes, and with what right.
pub(super) struct Credentials<'a> {
    pub(super) workload: &'a str,
    pub(super) log: &'a str,
    pub(super) generation: u64,
    pub(super) router_boot: &'a str,
    pub(super) writer_epoch: u64,
}

impl<'a> From<&'a Put> for Credentials<'a> {
    fn from(put: &'a Put) -> Self {
        Self {
            workload: &put.workload,
            log: &put.log,
            generation: put.generation,
            router_boot: &put.router_boot,
            writer_epoch: put.writer_epoch,
        }
    }
}

impl<'a> From<&'a Fence> for Credentials<'a> {
    fn from(fence: &'a Fence) -> Self {
        Self {
            workload: &fence.workload,
            log: &fence.log,
            generation: fence.generation,
            router_boot: &fence.router_boot,
            writer_epoch: fence.writer_epoch,
        }
    }
}

pub(super) fn refuse<T>(code: RefusedCode, text: String) -> Result<T, PutRefused> {
    Err(PutRefused { code, text })
}

/// Refuses a writer without the right to write.
pub(super) fn check_writer(table: &Snapshot, boot: &str, writer: &Credentials<'_>) -> Result<(), PutRefused> {
    if let Some(owner) = table.log.as_deref().filter(|owner| *owner != writer.log) {
        let text = format!("the table belongs to log {owner}, this write is of log {}", writer.log);
        return refuse(RefusedCode::OtherLog, text);
    }
    if writer.router_boot != boot {
        let text = format!("the write is meant for proxy {}, this is {boot}: read the table first", writer.router_boot);
        return refuse(RefusedCode::RouterBoot, text);
    }
    if writer.writer_epoch < table.writer_epoch {
        let text = format!("writer epoch {} is over, the current one is {}", writer.writer_epoch, table.writer_epoch);
        return refuse(RefusedCode::WriterEpoch, text);
    }
    match table.entries.get(writer.workload) {
        Some(entry) if writer.generation <= entry.generation => {
            let text = format!("generation {} is not above {}, the entry's own", writer.generation, entry.generation);
            refuse(RefusedCode::Generation, text)
        }
        _ if writer.workload.is_empty() || writer.log.is_empty() => {
            refuse(RefusedCode::Invalid, "workload and log must not be empty".to_owned())
        }
        _ => Ok(()),
    }
}

/// Refuses a write that makes no sense by itself, or claims what is another workload's.
pub(super) fn check_content(table: &Snapshot, put: &Put) -> Result<(), PutRefused> {
    let invalid = |text: String| refuse(RefusedCode::Invalid, text);
    if put.routes.len() > MAX_PARTS || put.targets.len() > MAX_PARTS {
        return invalid(format!("more than {MAX_PARTS} routes or targets"));
    }
    let mut own = BTreeSet::new();
    for route in &put.routes {
        if let Some(wrong) = wrong_route(route) {
            return invalid(wrong);
        }
        let is_address = |target: &Target| target.place.address().is_some();
        if route.port == 0 && put.targets.iter().any(is_address) {
            return invalid(format!("{}{} needs a port", route.host, route.path));
        }
        if !own.insert(claim_of(route)) {
            return invalid(format!("{}{} is named twice", route.host, route.path));
        }
    }
    let units: BTreeSet<_> = put.targets.iter().map(|target| target.unit.as_str()).collect();
    if units.len() != put.targets.len() || units.contains("") {
        return invalid("each target needs a unit of its own".to_owned());
    }
    if let Some(wrong) = wrong_folders(put) {
        return invalid(wrong);
    }
    if put.probe.as_ref().is_some_and(|probe| probe.path.as_ref().is_some_and(|path| !path.starts_with('/'))) {
        return invalid("a probe's path begins with /".to_owned());
    }
    if let Some(wrong) = put.names.as_ref().and_then(wrong_names) {
        return invalid(wrong);
    }
    for (workload, entry) in table.entries.iter().filter(|(workload, _)| **workload != put.workload) {
        if let Some(name) = shared_name(entry.names.as_ref(), put.names.as_ref()) {
            return refuse(RefusedCode::Claimed, format!("the name {name} belongs to {} ({workload})", entry.name));
        }
        if let Some(route) = entry.routes.iter().find(|route| own.contains(&claim_of(route))) {
            let text = format!("{}{} belongs to {} ({workload})", route.host, route.path, entry.name);
            return refuse(RefusedCode::Claimed, text);
        }
    }
    Ok(())
}

fn claim_of(route: &Route) -> (&str, &str) {
    (&route.host, route.path.trim_end_matches('/'))
}

/// A name that both have on one gateway.
fn shared_name<'a>(theirs: Option<&'a Names>, ours: Option<&Names>) -> Option<&'a str> {
    let (theirs, ours) = (theirs?, ours?);
    let same = theirs.gateway == ours.gateway;
    theirs.names.iter().find(|name| same && ours.names.contains(*name)).map(String::as_str)
}

fn wrong_names(names: &Names) -> Option<String> {
    if names.names.len() > MAX_NAMES {
        return Some(format!("more than {MAX_NAMES} names"));
    }
    if names.gateway.is_unspecified() || !PREFIXES.contains(&names.prefix) {
        return Some(format!("{}/{} is no gateway of a network", names.gateway, names.prefix));
    }
    let wrong = names.names.iter().find(|name| !name.split('.').all(is_label))?;
    Some(format!("{wrong:?} is no name: labels of a-z, 0-9, - and _, at most {MAX_LABEL} bytes each, lower case"))
}

fn is_label(label: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b);
    (1..=MAX_LABEL).contains(&label.len()) && label.bytes().all(plain)
}

fn wrong_route(route: &Route) -> Option<String> {
    let name = route.host.strip_prefix("*.").unwrap_or(&route.host);
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b);
    let is_v6 =
        name.strip_prefix('[').and_then(|v6| v6.strip_suffix(']')).is_some_and(|v6| v6.parse::<Ipv6Addr>().is_ok());
    if name.is_empty() || name.ends_with('.') || !(is_v6 || name.bytes().all(plain)) {
        return Some(format!("{:?} is no host: lower case, without port, `*.` only at its beginning", route.host));
    }
    let printable = route.path.bytes().all(|b| b.is_ascii_graphic() && b != b'?' && b != b'#');
    let wrong = || format!("{:?} is no path prefix: it begins with / and has no ? or #", route.path);
    (!route.path.starts_with('/') || !printable).then(wrong)
}

/// A release folder serves alone, and folders are named from the root.
fn wrong_folders(put: &Put) -> Option<String> {
    let of_targets = put.targets.iter().filter_map(|target| match &target.place {
        Place::Folder(folder) => Some(folder),
        Place::Address(_) => None,
    });
    if of_targets.clone().next().is_some() && put.targets.len() > 1 {
        return Some("a release folder serves alone: it has no other target beside it".to_owned());
    }
    if put.former.len() > MAX_FORMER {
        return Some(format!("more than {MAX_FORMER} releases from before"));
    }
    let mut folders = of_targets.chain(put.former.iter().map(|former| &former.folder));
    let wrong = folders.find(|folder| !folder.is_absolute())?;
    Some(format!("{} is no release folder: it is named from the root", wrong.display()))
}
