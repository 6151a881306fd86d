//! Whether the host has what a workload asks of it: folders that may be mounted, ports that are free.

use std::path::Path;

use cutover_domain::registry::told_port;
use cutover_events::workload::{Mount, MountFrom, PublishedPort};

use super::Execution;
use crate::adapters::host::{Host, Taken};

/// Why a host does not have what is asked for; each text is one line for a person.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unfit {
    /// It never will as things are configured: another folder or address is needed.
    Content(String),
    /// Somebody else has it now.
    Conflict(String),
    /// It could not be looked at.
    Unknown(String),
}

impl Execution {
    /// What is asked of the host can be had, now.
    ///
    /// # Errors
    /// The first that is not so.
    pub async fn fits(&self, asked: Asked) -> Result<(), Unfit> {
        if let Some(address) = &asked.repository {
            self.source.takes(address).map_err(|why| Unfit::Content(why.to_string()))?;
        }
        let host = self.host.clone();
        let looked = tokio::task::spawn_blocking(move || judge(&*host, &asked)).await;
        looked.unwrap_or_else(|error| Err(Unfit::Unknown(error.to_string())))
    }
}

/// What a workload asks of the host.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Asked {
    /// Folders to be mounted, among what is mounted.
    pub mounts: Vec<Mount>,
    /// Ports to be free.
    pub ports: Vec<PublishedPort>,
    /// The folder or the archive that it is built from.
    pub source: Option<String>,
    /// The repository that it comes from.
    pub repository: Option<String>,
}

impl Asked {
    /// Whether it asks for nothing.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

fn judge(host: &dyn Host, Asked { mounts, ports, source, repository: _ }: &Asked) -> Result<(), Unfit> {
    if let Some(path) = source {
        host.source(Path::new(path)).map_err(|why| Unfit::Content(why.to_string()))?;
    }
    for Mount { from, .. } in mounts {
        if let MountFrom::Folder(path) = from {
            host.folder(Path::new(path)).map_err(|why| Unfit::Content(why.to_string()))?;
        }
    }
    let refused = ports.iter().find_map(|port| Some(unfit(port, &host.taken(port)?)));
    refused.map_or(Ok(()), Err)
}

fn unfit(port: &PublishedPort, taken: &Taken) -> Unfit {
    let told = told_port(port);
    match taken {
        Taken::By(who) => {
            Unfit::Conflict(format!("{told} is taken on this host by {who}: stop it there, or choose another port"))
        }
        Taken::NoSuchAddress => {
            Unfit::Content(format!("{told} cannot be had: this host does not have the address {}", port.address))
        }
    }
}

#[cfg(test)]
mod tests {
    use cutover_events::workload::{Access, Transport};

    use super::*;
    use crate::adapters::host::{Bounds, MemoryHost};

    #[test]
    fn what_is_in_the_way_is_told_by_class() {
        let host = MemoryHost::new(Bounds { allowed: vec!["/srv".into()], ..Bounds::default() });
        host.lead(Path::new("/srv"), Path::new("/srv"));
        host.lead(Path::new("/srv/a"), Path::new("/srv/a"));
        let mount =
            |path: &str| Mount { from: MountFrom::Folder(path.into()), target: "/a".into(), access: Access::ReadOnly };
        let port =
            |host| PublishedPort { address: [127, 0, 0, 1].into(), host, container: 1, transport: Transport::Tcp };
        host.take(port(80), Taken::By("nginx (pid 7)".into()));
        host.take(port(81), Taken::NoSuchAddress);
        let judge = |mounts: &[Mount], ports: &[PublishedPort], source: Option<&str>| {
            let source = source.map(str::to_owned);
            let asked = Asked { mounts: mounts.to_vec(), ports: ports.to_vec(), source, repository: None };
            judge(&host, &asked)
        };
        assert_eq!(judge(&[mount("/srv/a")], &[port(82)], None), Ok(()));
        assert!(
            matches!(judge(&[mount("/etc")], &[], None), Err(Unfit::Content(text)) if text.contains("[limits] bind"))
        );
        assert!(
            matches!(judge(&[], &[port(82), port(80)], None), Err(Unfit::Conflict(text)) if text.contains("pid 7"))
        );
        assert!(matches!(judge(&[], &[port(81)], None), Err(Unfit::Content(text)) if text.contains("127.0.0.1")));
        let refused = judge(&[], &[], Some("/srv/a"));
        assert!(
            matches!(refused, Err(Unfit::Content(text)) if text.contains("[limits] sources")),
            "mounted is not read"
        );
    }
}
