//! A service of the tree in types; what does not mean anything is told and left out.

use std::collections::BTreeSet;

use cutover_domain::file::strict::quoted;
use cutover_domain::reference::Reference;

use super::{Build, Command, Condition, Environment, Health, Service, mount, port};
use crate::fault::Code;
use crate::load::{Loader, pairs};
use crate::tree::{Node, Scalar};
use crate::variables::{Values, Variables};

/// Ports, or volumes, of one service: each is a process or a mount, and what people mean is a range or a folder.
const MAX_ENTRIES: usize = 1000;

/// Reads one service. `profiles` are those that are asked for; `*` asks for all.
pub(crate) fn service(
    loader: &mut Loader<'_>,
    (name, node): (&str, &Node),
    variables: &Variables,
    profiles: &[String],
) -> Service {
    let texts = |key: &str| -> Vec<String> {
        node.items(key).iter().filter_map(|one| Some(one.as_str()?.to_owned())).collect()
    };
    let own = texts("profiles");
    let asked = |profile: &String| profiles.iter().any(|asked| asked == "*" || asked == profile);
    let active = own.is_empty() || own.iter().any(asked);
    let text = |key: &str| node.text_of(key).map(str::to_owned);
    let mut service = Service {
        name: name.to_owned(),
        active,
        profiles: own,
        container_name: text("container_name"),
        build: node.get("build").filter(|build| !build.is_null()).map(build),
        command: node.get("command").and_then(command),
        entrypoint: node.get("entrypoint").and_then(command),
        health: health(node),
        after: after(node),
        replicas: replicas(node),
        expose: texts("expose").iter().filter_map(|port| port.split('/').next()?.parse().ok()).collect(),
        restart: text("restart"),
        stop_signal: text("stop_signal"),
        stop_grace_period: text("stop_grace_period"),
        keys: node.as_map().into_iter().flatten().map(|(key, _)| key.clone()).collect(),
        ..Service::default()
    };
    limits(&mut service, node);
    image(loader, &mut service, node);
    ports(loader, &mut service, node);
    mounts(loader, &mut service, node);
    service.environment = environment(loader, &service, node, variables);
    service
}

fn limits(service: &mut Service, node: &Node) {
    let deployed = |key: &str| node.get("deploy")?.get("resources")?.get("limits")?.text_of(key);
    let either = |key: &str, deploy: &str| node.text_of(key).or_else(|| deployed(deploy)).map(str::to_owned);
    service.memory = either("mem_limit", "memory");
    service.cpus = either("cpus", "cpus");
    service.pids = either("pids_limit", "pids");
}

/// What may be repeated of a service's value to a person.
fn shown(scalar: Option<&Scalar>) -> String {
    scalar.map_or_else(|| "this".to_owned(), |scalar| quoted(scalar.shown()))
}

/// Tells of variables that a value needs and that are not set; true when there was one.
fn unset(loader: &mut Loader<'_>, name: &str, node: &Node, what: &str) -> bool {
    let inner = |node: &Node| -> Vec<String> { node.as_scalar().map(|one| one.unset.clone()).unwrap_or_default() };
    let mut found = inner(node);
    found.extend(node.as_map().into_iter().flatten().flat_map(|(_, node)| inner(node)));
    let names: BTreeSet<String> = found.into_iter().collect();
    for variable in &names {
        let text = format!("service {name}: the variable {variable} in {what} is not set");
        loader.fault(Code::Unset, node.at, text);
    }
    !names.is_empty()
}

fn image(loader: &mut Loader<'_>, service: &mut Service, node: &Node) {
    let name = &service.name;
    let given = node.get("image").filter(|image| !image.is_null());
    let Some(image) = given else {
        if service.build.is_none() && !service.keys.contains("provider") {
            loader.fault(Code::Missing, node.at, format!("service {name}: neither an image nor a build"));
        }
        return;
    };
    if unset(loader, name, image, "its image") {
        return;
    }
    let Some(text) = image.as_str() else { return };
    if let Err(bad) = Reference::parse(text) {
        // The reason is about the text that came of the variables, which may be a secret.
        let filled = image.as_scalar().is_some_and(|scalar| scalar.written.is_some());
        let why = if filled { shown(image.as_scalar()) + " does not come to an image reference" } else { bad.0 };
        loader.fault(Code::Value, image.at, format!("service {name}: {why}"));
        return;
    }
    service.image = Some(text.to_owned());
}

/// Entries of a list that are read one by one, and compared with one another.
fn entries<'n>(loader: &mut Loader<'_>, service: &Service, node: &'n Node, key: &str) -> &'n [Node] {
    let all = node.items(key);
    if all.len() <= MAX_ENTRIES {
        return all;
    }
    let text = format!("service {}: {} {key}; at most {MAX_ENTRIES} are allowed", service.name, all.len());
    loader.fault(Code::Limit, node.at, text);
    &[]
}

fn ports(loader: &mut Loader<'_>, service: &mut Service, node: &Node) {
    for one in entries(loader, service, node, "ports") {
        if unset(loader, &service.name, one, "a port") {
            continue;
        }
        match port::read(one) {
            Ok(port) => service.ports.push(port),
            Err(why) => {
                let text = format!("service {}: {} is no port to publish: {why}", service.name, shown(one.as_scalar()));
                loader.fault(Code::Value, one.at, text);
            }
        }
    }
}

fn mounts(loader: &mut Loader<'_>, service: &mut Service, node: &Node) {
    for one in entries(loader, service, node, "volumes") {
        if unset(loader, &service.name, one, "a volume") {
            continue;
        }
        match mount::read(one) {
            Ok(mount) => service.mounts.push(mount),
            Err(why) => {
                let text = format!("service {}: {} is no volume: {why}", service.name, shown(one.as_scalar()));
                loader.fault(Code::Value, one.at, text);
            }
        }
    }
}

fn build(node: &Node) -> Build {
    if let Some(context) = node.as_str() {
        return Build { context: context.to_owned(), ..Build::default() };
    }
    let text = |key: &str| node.text_of(key).unwrap_or_default().to_owned();
    let plain = ["context", "dockerfile", "target", "args"];
    Build {
        context: node.text_of("context").unwrap_or(".").to_owned(),
        dockerfile: text("dockerfile"),
        target: text("target"),
        args: node.get("args").map(pairs).unwrap_or_default().into_keys().collect(),
        more: node.as_map().into_iter().flatten().any(|(key, _)| !plain.contains(&key.as_str())),
    }
}

fn command(node: &Node) -> Option<Command> {
    if let Some(line) = node.as_str() {
        return Some(Command::Line(line.to_owned()));
    }
    let words = node.as_list()?.iter().filter_map(|word| Some(word.as_str()?.to_owned()));
    Some(Command::Words(words.collect()))
}

fn health(node: &Node) -> Health {
    let Some(check) = node.get("healthcheck") else { return Health::Image };
    if check.get("disable").is_some_and(Node::is_true) {
        return Health::None;
    }
    let Some(test) = check.get("test") else { return Health::Image };
    if let Some(line) = test.as_str() {
        return Health::Shell(line.to_owned());
    }
    let words: Vec<String> = check.items("test").iter().filter_map(|word| Some(word.as_str()?.to_owned())).collect();
    match words.split_first() {
        Some((kind, _)) if kind == "NONE" => Health::None,
        Some((kind, rest)) if kind == "CMD-SHELL" => Health::Shell(rest.join(" ")),
        Some((kind, rest)) if kind == "CMD" => Health::Command(rest.to_vec()),
        _ => Health::Image,
    }
}

fn after(node: &Node) -> std::collections::BTreeMap<String, Condition> {
    let Some(after) = node.get("depends_on") else { return std::collections::BTreeMap::new() };
    let names = after
        .as_list()
        .unwrap_or_default()
        .iter()
        .filter_map(|name| Some((name.as_str()?.to_owned(), Condition::Started)));
    let long = after.as_map().into_iter().flatten().map(|(name, how)| {
        let condition = match how.text_of("condition") {
            Some("service_healthy") => Condition::Healthy,
            Some("service_completed_successfully") => Condition::Completed,
            _ => Condition::Started,
        };
        (name.clone(), condition)
    });
    names.chain(long).collect()
}

fn replicas(node: &Node) -> u32 {
    let deployed = node.get("deploy").and_then(|deploy| deploy.text_of("replicas"));
    let text = node.text_of("scale").or(deployed);
    text.and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// Env files in their order, then the service's own; a name without a value takes that of the variables.
fn environment(loader: &mut Loader<'_>, service: &Service, node: &Node, variables: &Variables) -> Environment {
    let mut values = Values::new();
    // Compose reads the env files of services that it starts, and no others.
    if service.active {
        for file in node.items("env_file") {
            let required = file.get("required").is_none_or(Node::is_true);
            let Some(path) = file.as_str().or_else(|| file.text_of("path")) else { continue };
            match loader.env_file(path.strip_prefix("./").unwrap_or(path), variables, file.at) {
                Some(found) => values.extend(found),
                None if required => {
                    let text = format!("service {}: there is no env file {}", service.name, quoted(path));
                    loader.fault(Code::Missing, file.at, text);
                }
                None => {}
            }
        }
    }
    if service.active {
        label_files(loader, service, node);
    }
    for (name, node) in node.get("environment").map(pairs).unwrap_or_default() {
        let given = match node.as_str() {
            Some(text) => Some(text.to_owned()),
            None => {
                loader.asked.names.insert(name.clone());
                variables.get(&name).map(str::to_owned)
            }
        };
        if let Some(value) = given {
            values.insert(name, value);
        }
    }
    Environment(values)
}

/// Files of labels must be there; what they say is no business of anybody here.
fn label_files(loader: &mut Loader<'_>, service: &Service, node: &Node) {
    for file in node.items("label_file") {
        let Some(path) = file.as_str() else { continue };
        if loader.is_missing(path, file.at) {
            let text = format!("service {}: there is no label file {}", service.name, quoted(path));
            loader.fault(Code::Missing, file.at, text);
        }
    }
}
