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
    /// The folders may be mounted and the ports are free, now.
    ///
    /// # Errors
    /// The first that is not so.
    pub async fn fits(&self, mounts: Vec<Mount>, ports: Vec<PublishedPort>) -> Result<(), Unfit> {
        let host = self.host.clone();
        let looked = tokio::task::spawn_blocking(move || judge(&*host, &mounts, &ports)).await;
        looked.unwrap_or_else(|error| Err(Unfit::Unknown(error.to_string())))
    }
}

fn judge(host: &dyn Host, mounts: &[Mount], ports: &[PublishedPort]) -> Result<(), Unfit> {
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
        let host = MemoryHost::new(Bounds { allowed: vec!["/srv".into()], kept: Vec::new() });
        host.lead(Path::new("/srv"), Path::new("/srv"));
        host.lead(Path::new("/srv/a"), Path::new("/srv/a"));
        let mount =
            |path: &str| Mount { from: MountFrom::Folder(path.into()), target: "/a".into(), access: Access::ReadOnly };
        let port =
            |host| PublishedPort { address: [127, 0, 0, 1].into(), host, container: 1, transport: Transport::Tcp };
        host.take(port(80), Taken::By("nginx (pid 7)".into()));
        host.take(port(81), Taken::NoSuchAddress);
        assert_eq!(judge(&host, &[mount("/srv/a")], &[port(82)]), Ok(()));
        assert!(
            matches!(judge(&host, &[mount("/etc")], &[]), Err(Unfit::Content(text)) if text.contains("[limits] bind"))
        );
        assert!(
            matches!(judge(&host, &[], &[port(82), port(80)]), Err(Unfit::Conflict(text)) if text.contains("pid 7"))
        );
        assert!(matches!(judge(&host, &[], &[port(81)]), Err(Unfit::Content(text)) if text.contains("127.0.0.1")));
    }
}
