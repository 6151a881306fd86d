//! Judges the stack in a folder and prints what came of it: for comparing with what Compose says of the same folder.
//!
//! `cargo run -p cutover-compose --example judge -- FOLDER NAME=VALUE…`

use std::collections::BTreeMap;
use std::path::PathBuf;

use cutover_compose::{Beside, Found, Origin, Port, Stack, Values, Variables, Verdict, judge};

/// A folder of this host; everything in it may be read.
struct Folder(PathBuf);

impl Beside for Folder {
    fn read(&self, path: &str) -> Found {
        std::fs::read(self.0.join(path)).map_or(Found::Missing, Found::Bytes)
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().unwrap_or_default());
    let environment: Values =
        arguments.filter_map(|one| one.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned()))).collect();
    let names = ["compose.yml", "compose.override.yml"];
    let files: Vec<(&str, Vec<u8>)> =
        names.iter().filter_map(|name| Some((*name, std::fs::read(folder.join(name)).ok()?))).collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
    let variables = Variables { environment, ..Variables::default() };
    let verdict = judge(&Stack { project: "stack", files: &files, beside: &Folder(folder), variables, profiles: &[] });
    print(&verdict);
}

fn print(verdict: &Verdict) {
    println!("verdict\t{}", if verdict.accepted() { "ok" } else { "refuse" });
    for fault in &verdict.faults {
        println!("fault\t{:?}\t{fault}", fault.code);
    }
    for warning in &verdict.warnings {
        println!("warning\t{warning}");
    }
    for demand in &verdict.demands {
        println!("demand\t{demand}");
    }
    let mut lists: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for service in verdict.services.values() {
        let list = if service.active { "services" } else { "profiled" };
        lists.entry(list).or_default().push(service.name.clone());
        if !service.active {
            continue;
        }
        for port in &service.ports {
            lists.entry("published").or_default().extend(published(&service.name, port));
        }
        for mount in service.writable() {
            let source = match mount.from {
                Origin::Anonymous => format!("(anonymous){}", mount.target),
                Origin::Volume | Origin::Host | Origin::Memory | Origin::Other => mount.source.clone(),
            };
            lists.entry("volumes").or_default().push(format!("{}:{source}", service.name));
        }
    }
    for (name, mut list) in lists {
        list.sort();
        list.dedup();
        println!("{name}\t{}", list.join(","));
    }
}

fn published(service: &str, port: &Port) -> Vec<String> {
    let address = match (port.address.as_str(), port.address.contains(':')) {
        ("", _) => String::new(),
        (address, true) => format!("[{address}]:"),
        (address, false) => format!("{address}:"),
    };
    let many = port.container.1 - port.container.0;
    let span = |(low, high): (u16, u16)| if low == high { low.to_string() } else { format!("{low}-{high}") };
    if many >= 2 {
        let host = port.host.map_or_else(|| "*".to_owned(), span);
        return vec![format!("{service}:{address}{host}->{}/{}", span(port.container), port.transport)];
    }
    let one = |offset: u16| {
        let host = port.host.map_or_else(|| "*".to_owned(), |host| (host.0 + offset).to_string());
        format!("{service}:{address}{host}->{}/{}", port.container.0 + offset, port.transport)
    };
    (0..=many).map(one).collect()
}
