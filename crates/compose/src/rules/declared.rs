//! What a mapping must say, or cannot say at once.

use cutover_domain::file::strict::{choice, quoted};

use super::Whole;
use crate::fault::Code;
use crate::load::Loader;
use crate::tree::{Node, Value};

/// Where the content of a secret comes from.
const SECRETS: &[&str] = &["file", "environment"];
/// Where the content of a config comes from.
const CONFIGS: &[&str] = &["file", "environment", "content"];
/// Words of `pull_policy`; `every_…` says how often.
const PULLS: [&str; 8] = ["always", "never", "build", "if_not_present", "missing", "refresh", "daily", "weekly"];
/// How the test of a health check begins when it is a list.
const TESTS: [&str; 3] = ["CMD", "CMD-SHELL", "NONE"];

pub(super) fn judge(loader: &mut Loader<'_>, whole: &Whole<'_>) {
    external(loader, whole);
    for (part, sources) in [("secrets", SECRETS), ("configs", CONFIGS)] {
        for (name, node) in whole.tree.entries(part) {
            if is_external(node) {
                continue;
            }
            let given = sources.iter().filter(|key| node.get(key).is_some()).count();
            if given != 1 {
                let text = format!("{part}.{name}: exactly one of {} is needed", choice(sources));
                loader.fault(Code::Shape, node.at, text);
            }
        }
    }
    for (service, node) in whole.active() {
        one(loader, &service.name, node);
    }
}

fn one(loader: &mut Loader<'_>, own: &str, node: &Node) {
    if let Some(build) = node.get("build")
        && let (Some(_), Some(inline)) = (build.get("dockerfile"), build.get("dockerfile_inline"))
    {
        let text = format!("service {own}: dockerfile and dockerfile_inline cannot be together");
        loader.fault(Code::Conflict, inline.at, text);
    }
    if let Some(pull) = node.get("pull_policy") {
        let word = pull.as_str().unwrap_or_default();
        if !PULLS.contains(&word) && !word.starts_with("every_") {
            let text = format!("service {own}: pull_policy is {}; expected {}", quoted(word), choice(&PULLS));
            loader.fault(Code::Value, pull.at, text);
        }
    }
    if let Some(test) = node.get("healthcheck").and_then(|check| check.get("test"))
        && let Some(list) = test.as_list()
        && !list.first().and_then(Node::as_str).is_some_and(|word| TESTS.contains(&word))
    {
        let text = format!("service {own}: a test that is a list begins with {}", choice(&TESTS));
        loader.fault(Code::Value, test.at, text);
    }
    for (name, how) in node.entries("depends_on") {
        if how.get("condition").is_none() && !how.is_null() {
            let text = format!("service {own}: depends_on.{name} needs a condition");
            loader.fault(Code::Shape, how.at, text);
        }
    }
    for (name, limit) in node.entries("ulimits") {
        if limit.as_map().is_some_and(|map| !map.contains_key("soft") || !map.contains_key("hard")) {
            let text = format!("service {own}: ulimits.{name} needs both soft and hard");
            loader.fault(Code::Shape, limit.at, text);
        }
    }
    let reserved = node.get("deploy").and_then(|deploy| deploy.get("resources")?.get("reservations"));
    for request in reserved.into_iter().flat_map(|reserved| reserved.items("devices")) {
        if request.get("capabilities").is_none() {
            let text = format!("service {own}: a reserved device needs capabilities, as in [gpu]");
            loader.fault(Code::Shape, request.at, text);
        }
    }
    for host in node.items("extra_hosts") {
        if host.as_str().is_some_and(|text| !text.contains([':', '='])) {
            let text = format!("service {own}: an extra host is a name and an address, as in \"db:10.0.0.5\"");
            loader.fault(Code::Value, host.at, text);
        }
    }
}

fn is_external(node: &Node) -> bool {
    node.get("external").is_some_and(|external| external.is_true() || matches!(external.value, Value::Map(_)))
}

/// What is made elsewhere is not described here.
fn external(loader: &mut Loader<'_>, whole: &Whole<'_>) {
    // Of networks both programs take it, and ignore what it says.
    for part in ["volumes", "secrets", "configs"] {
        for (name, node) in whole.tree.entries(part) {
            let allowed = |key: &str| matches!(key, "external" | "name") || key.starts_with("x-");
            let more = node.as_map().into_iter().flatten().find(|(key, value)| !allowed(key) && !value.is_null());
            if let (true, Some((key, value))) = (is_external(node), more) {
                let text = format!("{part}.{name}: what is external cannot have {}", quoted(key));
                loader.fault(Code::Conflict, value.at, text);
            }
        }
    }
}
