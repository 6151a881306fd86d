//! What a stack wants that one container at a time can have on a host, and who has it.

use cutover_compose::{Port, Verdict};

use super::Holder;

/// Addresses that stand for all.
const EVERY: [&str; 3] = ["", "0.0.0.0", "::"];

/// Something that a service wants for itself alone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claim {
    service: String,
    what: What,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum What {
    Name(String),
    Port(Port),
}

/// Of the services that run.
pub(super) fn of(verdict: &Verdict) -> Vec<Claim> {
    let mut claims = Vec::new();
    for service in verdict.services.values().filter(|service| service.active && service.replicas > 0) {
        let claim = |what| Claim { service: service.name.clone(), what };
        claims.extend(service.container_name.iter().map(|name| claim(What::Name(name.clone()))));
        claims.extend(service.ports.iter().map(|port| claim(What::Port(port.clone()))));
    }
    claims
}

impl Claim {
    /// One line for a person, when this container has it.
    pub(super) fn held(&self, holder: &Holder) -> Option<String> {
        let Self { service, what } = self;
        let by = match holder.project.as_str() {
            "" => format!("the container {}", holder.container),
            project => format!("the container {} of the compose project {project}", holder.container),
        };
        match what {
            What::Name(name) => (*name == holder.container).then(|| {
                format!(
                    "service {service}: the container_name {name} is taken on this host by {by}: choose another one"
                )
            }),
            What::Port(port) => {
                let (_, number, transport) = holder.ports.iter().find(|held| wants(port, held))?;
                Some(format!(
                    "service {service}: port {number}/{transport} of the host is taken by {by}: choose another one, or \
                     leave it out and write a route"
                ))
            }
        }
    }
}

/// Whether a port of a service is one that is held. A range is for several replicas, which take what is free of it.
fn wants(port: &Port, (address, number, transport): &(String, u16, String)) -> bool {
    let every = |address: &str| EVERY.contains(&address);
    let both = every(&port.address) || every(address) || port.address == *address;
    let own = if port.transport.is_empty() { "tcp" } else { &port.transport };
    let single = port.container.0 == port.container.1;
    let within = port.host.is_some_and(|(low, high)| (low..=high).contains(number) && (low == high || !single));
    within && both && own == transport
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_by_another_is_told() {
        let port = |address: &str, host, container| Port {
            address: address.to_owned(),
            host: Some(host),
            container,
            transport: "tcp".to_owned(),
        };
        let ports = vec![("127.0.0.1".to_owned(), 80, "tcp".to_owned())];
        let holder = Holder { container: "other".to_owned(), project: "p".to_owned(), ports };
        let held = |what| Claim { service: "web".to_owned(), what }.held(&holder);
        assert!(held(What::Name("other".to_owned())).is_some_and(|told| told.contains("compose project p")));
        assert_eq!(held(What::Name("mine".to_owned())), None);
        for (wanted, taken) in [
            (port("", (80, 80), (8080, 8080)), true),
            (port("127.0.0.1", (70, 90), (70, 90)), true),
            (port("10.0.0.1", (80, 80), (80, 80)), false),
            (port("", (81, 81), (80, 80)), false),
            (port("", (70, 90), (80, 80)), false),
            (Port { transport: "udp".to_owned(), ..port("", (80, 80), (80, 80)) }, false),
            (Port { host: None, ..port("", (80, 80), (80, 80)) }, false),
        ] {
            assert_eq!(held(What::Port(wanted.clone())).is_some(), taken, "{wanted:?}");
        }
    }
}
